//! One message of a Chat Completions request, or one line with a role and a text, as a turn.

use serde_json::{Map, Value};

use crate::cli::wire::{of_unix_seconds, parse_time, text_part};
use crate::proto::{v1, v1::part::Kind};

/// The longest URI that is kept; a longer one (usually the image itself as `data:`) is left out.
const URI_BYTES_MAX: usize = 4 << 10;

/// What a message is to a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A turn.
    Turn(Box<v1::NewTurn>),
    /// Instructions: to be pinned, no turn.
    Instructions(String),
    /// Nothing that anyone said.
    Empty,
}

/// Reads a message: `role`, `content` or `text`, and where given `name`, `created_at`,
/// `tool_calls`, `tool_call_id`, `metadata`, `refusal`.
///
/// # Errors
/// A sentence for people that names what is wrong.
pub fn read(value: &Value) -> Result<Message, String> {
    let object = value.as_object().ok_or("no JSON object")?;
    let role = object.get("role").and_then(Value::as_str).ok_or("no `role`")?;
    let mut parts = contents(object)?;
    let role = match role {
        "system" | "developer" => return Ok(instructions(&parts)),
        "user" | "human" => v1::Role::User,
        "assistant" | "model" => {
            add_calls(object, &mut parts)?;
            v1::Role::Assistant
        }
        "tool" | "function" => {
            let call_id =
                ["tool_call_id", "name"].iter().find_map(|key| object.get(*key)?.as_str());
            let call_id = call_id.ok_or("a result without `tool_call_id`")?.to_owned();
            parts = vec![result_part(call_id, parts)];
            v1::Role::Tool
        }
        other => return Err(format!("`{other}` is no role: user, assistant, tool or system")),
    };
    if parts.is_empty() {
        return Ok(Message::Empty);
    }
    let name = object.get("name").and_then(Value::as_str).filter(|_| role != v1::Role::Tool);
    Ok(Message::Turn(Box::new(v1::NewTurn {
        role: role as i32,
        name: name.unwrap_or_default().to_owned(),
        parts,
        created_at: created_at(object)?,
        external_id: String::new(),
        metadata: labels(object)?,
        status: 0,
    })))
}

/// A part that is the result of a call.
pub fn result_part(call_id: String, parts: Vec<v1::Part>) -> v1::Part {
    v1::Part {
        kind: Some(Kind::ToolResult(v1::ToolResultPart { call_id, parts, is_error: false })),
    }
}

/// A part that is a call. Arguments that are no JSON object become the `input` of one.
pub fn call_part(id: String, name: String, arguments: &str) -> v1::Part {
    let is_object = serde_json::from_str::<Map<String, Value>>(arguments).is_ok();
    let arguments_json = if is_object || arguments.trim().is_empty() {
        arguments.trim().to_owned()
    } else {
        serde_json::json!({ "input": arguments }).to_string()
    };
    v1::Part { kind: Some(Kind::ToolCall(v1::ToolCallPart { id, name, arguments_json })) }
}

fn instructions(parts: &[v1::Part]) -> Message {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.kind {
            Some(Kind::Text(text)) => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    if texts.is_empty() { Message::Empty } else { Message::Instructions(texts.join("\n\n")) }
}

/// The parts of `content` (or `text`): a string, or an array of parts.
fn contents(object: &Map<String, Value>) -> Result<Vec<v1::Part>, String> {
    let content = object.get("content").filter(|value| !value.is_null());
    let mut parts = Vec::new();
    match content.or_else(|| object.get("text")) {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => push_text(&mut parts, text),
        Some(Value::Array(pieces)) => {
            for piece in pieces {
                push_piece(&mut parts, piece)?;
            }
        }
        Some(_) => return Err("`content` is neither text nor a list of parts".to_owned()),
    }
    if let Some(refusal) = object.get("refusal").and_then(Value::as_str) {
        push_text(&mut parts, refusal);
    }
    Ok(parts)
}

fn push_text(parts: &mut Vec<v1::Part>, text: &str) {
    if !text.trim().is_empty() {
        parts.push(text_part(text));
    }
}

fn push_piece(parts: &mut Vec<v1::Part>, piece: &Value) -> Result<(), String> {
    let text = |key: &str| piece.get(key).and_then(Value::as_str);
    match text("type").or_else(|| piece.as_str().map(|_| "")) {
        Some("") => push_text(parts, piece.as_str().unwrap_or_default()),
        Some("text" | "input_text" | "output_text") => {
            push_text(parts, text("text").unwrap_or_default());
        }
        Some("refusal") => push_text(parts, text("refusal").unwrap_or_default()),
        Some("image_url" | "input_image") => {
            let uri = piece["image_url"]["url"].as_str().or_else(|| piece["image_url"].as_str());
            push_media(parts, uri.unwrap_or_default(), "image");
        }
        Some("input_audio") => push_text(parts, "[audio]"),
        Some("file") => {
            let name = piece["file"]["filename"].as_str().unwrap_or("file");
            push_text(parts, &format!("[file: {name}]"));
        }
        Some(other) => return Err(format!("a part of the unknown type `{other}`")),
        None => return Err("a part without `type`".to_owned()),
    }
    Ok(())
}

fn push_media(parts: &mut Vec<v1::Part>, uri: &str, kind: &str) {
    if uri.is_empty() || uri.len() > URI_BYTES_MAX || uri.starts_with("data:") {
        push_text(parts, &format!("[{kind}]"));
        return;
    }
    parts.push(v1::Part {
        kind: Some(Kind::Media(v1::MediaPart {
            source: Some(v1::media_part::Source::Uri(uri.to_owned())),
            media_type: format!("{kind}/*"),
            caption: String::new(),
            tokens: 0,
        })),
    });
}

fn add_calls(object: &Map<String, Value>, parts: &mut Vec<v1::Part>) -> Result<(), String> {
    let calls = object.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    for call in calls {
        let id = call["id"].as_str().ok_or("a call without `id`")?;
        let function = call.get("function").or_else(|| call.get("custom")).unwrap_or(call);
        let name = function["name"].as_str().ok_or("a call without a name")?;
        let arguments = function["arguments"].as_str().or_else(|| function["input"].as_str());
        parts.push(call_part(id.to_owned(), name.to_owned(), arguments.unwrap_or_default()));
    }
    // The form before tool calls: one call, named by its function; so does its result.
    if let Some(call) = object.get("function_call").filter(|value| !value.is_null()) {
        let name = call["name"].as_str().ok_or("a call without a name")?;
        let arguments = call["arguments"].as_str().unwrap_or_default();
        parts.push(call_part(name.to_owned(), name.to_owned(), arguments));
    }
    Ok(())
}

fn created_at(object: &Map<String, Value>) -> Result<Option<prost_types::Timestamp>, String> {
    match object.get("created_at").or_else(|| object.get("timestamp")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => parse_time(text).map(Some),
        Some(Value::Number(seconds)) => seconds
            .as_f64()
            .and_then(of_unix_seconds)
            .map(Some)
            .ok_or_else(|| format!("`{seconds}` is no moment in time")),
        Some(other) => Err(format!("`created_at` is `{other}`, no moment in time")),
    }
}

fn labels(
    object: &Map<String, Value>,
) -> Result<std::collections::BTreeMap<String, String>, String> {
    let labels = object.get("metadata").and_then(Value::as_object).into_iter().flatten();
    labels
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            Value::Number(_) | Value::Bool(_) => Ok((key.clone(), value.to_string())),
            _ => Err(format!("the label `{key}` is neither text nor a number")),
        })
        .collect()
}
