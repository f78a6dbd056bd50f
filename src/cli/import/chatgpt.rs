//! ChatGPT's `conversations.json`: each conversation is a tree of messages, of which the branch
//! that ends in `current_node` is what the person sees.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::cli::{
    import::messages::{call_part, result_part},
    import::parsed::{ImportSession, Parsed},
    import::{LABEL_BYTES_MAX, ids},
    wire::{of_unix_seconds, text_part},
};
use crate::proto::v1;

/// The user of conversations whose export names none.
pub const USER: &str = "chatgpt";

/// Reads the conversations of an export.
pub fn parse(conversations: &[Value]) -> Parsed {
    let mut parsed = Parsed { form: "ChatGPT's conversations.json", ..Parsed::default() };
    for (index, conversation) in conversations.iter().enumerate() {
        let id = ["conversation_id", "id"].iter().find_map(|key| conversation.get(*key)?.as_str());
        let Some(id) = id else {
            parsed.mistake(0, format!("conversation {}: no `id`", index + 1));
            continue;
        };
        let Some(mapping) = conversation.get("mapping").and_then(Value::as_object) else {
            parsed.mistake(0, format!("conversation `{id}`: no `mapping`"));
            continue;
        };
        let mut metadata = BTreeMap::from([("conversation".to_owned(), id.to_owned())]);
        let title = conversation.get("title").and_then(Value::as_str).unwrap_or_default();
        if !title.is_empty() {
            metadata.insert("title".to_owned(), ids::cut(title, LABEL_BYTES_MAX).to_owned());
        }
        let branch = match branch(mapping, conversation.get("current_node")) {
            Ok(branch) => branch,
            Err(message) => {
                parsed.mistake(0, format!("conversation `{id}`: {message}"));
                continue;
            }
        };
        let (turns, skipped) = turns_of(&branch);
        parsed.skipped += skipped;
        if !turns.is_empty() {
            parsed.sessions.push(ImportSession {
                session_id: ids::session_id("", id),
                user_id: USER.to_owned(),
                pinned_instructions: String::new(),
                metadata,
                turns,
            });
        }
    }
    parsed
}

/// A node with its id.
type Node<'a> = (&'a str, &'a Value);

/// The nodes from the root to `current`, or, when the export names none, to the leaf of the last
/// children.
fn branch<'a>(
    mapping: &'a Map<String, Value>,
    current: Option<&'a Value>,
) -> Result<Vec<Node<'a>>, String> {
    let mut next = current.and_then(Value::as_str).or_else(|| last_leaf(mapping));
    let mut seen = HashSet::new();
    let mut nodes = Vec::new();
    while let Some(id) = next {
        let (key, node) = mapping.get_key_value(id).ok_or(format!("there is no node `{id}`"))?;
        if !seen.insert(id) {
            return Err(format!("the node `{id}` is its own ancestor"));
        }
        nodes.push((key.as_str(), node));
        next = node.get("parent").and_then(Value::as_str);
    }
    nodes.reverse();
    Ok(nodes)
}

fn last_leaf(mapping: &Map<String, Value>) -> Option<&str> {
    let root = mapping.iter().find(|(_, node)| node["parent"].is_null());
    let mut id = root.map(|(id, _)| id.as_str())?;
    // A child is never visited twice in a tree; the bound ends a walk in something else.
    for _ in 0..mapping.len() {
        match mapping.get(id)?["children"].as_array().and_then(|all| all.last()?.as_str()) {
            Some(child) => id = child,
            None => break,
        }
    }
    Some(id)
}

/// A message that a person can see.
struct Seen<'a> {
    id: &'a str,
    message: &'a Value,
    role: &'a str,
    text: String,
}

fn turns_of(branch: &[Node<'_>]) -> (Vec<v1::NewTurn>, usize) {
    let with_message = branch.iter().filter(|(_, node)| !node["message"].is_null());
    let total = with_message.clone().count();
    let seen: Vec<Seen<'_>> = with_message.filter_map(|&(id, node)| see(id, node)).collect();
    let skipped = total - seen.len();
    let turns = seen.iter().enumerate().map(|(i, this)| turn(this, i, &seen)).collect();
    (turns, skipped)
}

/// `None` for system messages, hidden ones and those without words.
fn see<'a>(id: &'a str, node: &'a Value) -> Option<Seen<'a>> {
    let message = &node["message"];
    let role = message["author"]["role"].as_str()?;
    let hidden = message["metadata"]["is_visually_hidden_from_conversation"].as_bool();
    let content = &message["content"];
    let kind = content["content_type"].as_str().unwrap_or("text");
    let inner = ["thoughts", "reasoning_recap", "user_editable_context", "model_editable_context"];
    if role == "system" || hidden == Some(true) || inner.contains(&kind) {
        return None;
    }
    let text = text_of(content);
    (!text.trim().is_empty()).then_some(Seen { id, message, role, text })
}

/// The words of a message: its parts, with captions for media, or its code or result.
fn text_of(content: &Value) -> String {
    let parts = content["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut texts: Vec<String> = parts.iter().map(part_text).collect();
    for key in ["text", "result"] {
        texts.extend(content[key].as_str().map(str::to_owned));
    }
    texts.retain(|text| !text.trim().is_empty());
    texts.join("\n")
}

fn part_text(part: &Value) -> String {
    if let Some(text) = part.as_str() {
        return text.to_owned();
    }
    if let Some(text) = part["text"].as_str() {
        return text.to_owned();
    }
    let kind = part["content_type"].as_str().unwrap_or("media");
    let kind = kind.split('_').next().unwrap_or("media");
    let prompt = part["metadata"]["dalle"]["prompt"].as_str().filter(|text| !text.is_empty());
    match prompt {
        Some(prompt) => format!("[{kind}: {prompt}]"),
        None => format!("[{kind}]"),
    }
}

/// What the model said to a tool is a call when the tool's answer is the next thing seen, and that
/// answer is its result; either without the other is text.
fn turn(this: &Seen<'_>, index: usize, seen: &[Seen<'_>]) -> v1::NewTurn {
    let before = index.checked_sub(1).map(|before| &seen[before]);
    let (role, part) = match this.role {
        "user" => (v1::Role::User, text_part(this.text.clone())),
        "tool" => match before.filter(|before| calls(before).is_some()) {
            Some(call) => {
                let words = vec![text_part(this.text.clone())];
                (v1::Role::Tool, result_part(call.id.to_owned(), words))
            }
            None => {
                let tool = this.message["author"]["name"].as_str().unwrap_or("tool");
                (v1::Role::Assistant, text_part(format!("[{tool}] {}", this.text)))
            }
        },
        _ => match (calls(this), seen.get(index + 1)) {
            (Some(tool), Some(next)) if next.role == "tool" => {
                let id = this.id.to_owned();
                (v1::Role::Assistant, call_part(id, tool.to_owned(), &this.text))
            }
            _ => (v1::Role::Assistant, text_part(this.text.clone())),
        },
    };
    let interrupted = this.message["status"] == "in_progress";
    let status = if interrupted { v1::TurnStatus::Interrupted } else { v1::TurnStatus::Complete };
    v1::NewTurn {
        role: role as i32,
        name: String::new(),
        parts: vec![part],
        created_at: this.message["create_time"].as_f64().and_then(of_unix_seconds),
        external_id: ids::external_id(this.id),
        metadata: BTreeMap::new(),
        status: status as i32,
    }
}

/// The tool that the model speaks to.
fn calls<'a>(seen: &Seen<'a>) -> Option<&'a str> {
    let recipient = seen.message["recipient"].as_str().unwrap_or("all");
    (seen.role == "assistant" && recipient != "all").then_some(recipient)
}
