//! A turn as the messages of a format: only what the format can carry.

use serde_json::value::RawValue;

use crate::context::Format;
use crate::types::{Media, Part, Role, Turn};

/// Who a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageRole {
    /// The instructions.
    System,
    /// The user; also what is quoted from the past.
    User,
    /// The assistant.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// One message: never without a part, no part blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who it is from.
    pub role: MessageRole,
    /// The speaker's name as the format carries it, or empty.
    pub name: String,
    /// What it is made of. A message of the role `Tool` is one result.
    pub parts: Vec<Part>,
}

/// What stands in for an empty result: providers refuse empty content.
const EMPTY_RESULT: &str = "(no output)";

/// The longest name of a speaker or a tool that OpenAI takes, in characters.
const NAME_CHARS_MAX: usize = 64;

impl Message {
    pub(super) fn text(role: MessageRole, text: String) -> Self {
        Self { role, name: String::new(), parts: vec![Part::Text(text)] }
    }
}

/// The messages of one turn, as if its calls and results had their counterparts; none when the
/// format can carry nothing of it.
pub(super) fn turn_messages(turn: &Turn, format: Format) -> Vec<Message> {
    let role = match turn.role {
        Role::User => MessageRole::User,
        Role::Assistant => MessageRole::Assistant,
        Role::Tool if holds_results(turn) => return result_messages(turn, format),
        Role::Tool => MessageRole::User,
    };
    let mut parts: Vec<Part> =
        turn.parts.iter().filter_map(|part| adapt(part, role, format)).collect();
    if role == MessageRole::Assistant {
        finish_assistant(&mut parts, format);
    }
    if parts.is_empty() {
        return Vec::new();
    }
    let name = if turn.role == Role::Tool { String::new() } else { speaker(&turn.name, format) };
    vec![Message { role, name, parts }]
}

/// Whether the turn holds results that can be sent as such.
pub(super) fn holds_results(turn: &Turn) -> bool {
    turn.role == Role::Tool && turn.parts.iter().any(|p| matches!(p, Part::ToolResult { .. }))
}

/// Whether the turn holds calls that need results.
pub(super) fn holds_calls(turn: &Turn) -> bool {
    turn.role == Role::Assistant && turn.parts.iter().any(|p| matches!(p, Part::ToolCall { .. }))
}

/// A message for a result that the record does not hold.
pub(super) fn missing_result(call_id: &str) -> Message {
    let parts = vec![Part::Text("[no result recorded]".to_owned())];
    let result = Part::ToolResult { call_id: call_id.to_owned(), parts, is_error: true };
    Message { role: MessageRole::Tool, name: String::new(), parts: vec![result] }
}

/// A message of the user's for results whose call is gone. Media stay behind their captions.
pub(super) fn orphan_results(results: Vec<Message>) -> Message {
    let mut text = "[result of a tool call that is not shown]".to_owned();
    let inner = results.into_iter().flat_map(|message| message.parts).flat_map(|part| match part {
        Part::ToolResult { parts, .. } => parts,
        other => vec![other],
    });
    for part in inner {
        match part {
            Part::Text(line) => text = format!("{text}\n{line}"),
            Part::Media(media) => text = format!("{text}\n{}", stand_in(&media)),
            Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Opaque { .. } => {}
        }
    }
    Message::text(MessageRole::User, text)
}

/// One message a result. Text beside results goes to the result before it, or to the first one.
fn result_messages(turn: &Turn, format: Format) -> Vec<Message> {
    let role = MessageRole::Tool;
    let mut results: Vec<(&str, bool, Vec<Part>)> = Vec::new();
    let mut before: Vec<Part> = Vec::new();
    for part in &turn.parts {
        if let Part::ToolResult { call_id, parts, is_error } = part {
            let mut inner = std::mem::take(&mut before);
            inner.extend(parts.iter().filter_map(|part| adapt(part, role, format)));
            results.push((call_id, *is_error, inner));
        } else if let Some(part) = adapt(part, role, format) {
            results.last_mut().map_or(&mut before, |(_, _, inner)| inner).push(part);
        }
    }
    let message = |(id, is_error, mut parts): (&str, bool, Vec<Part>)| {
        if parts.is_empty() {
            parts.push(Part::Text(EMPTY_RESULT.to_owned()));
        }
        let result = Part::ToolResult { call_id: call_id(id, format), parts, is_error };
        Message { role, name: String::new(), parts: vec![result] }
    };
    results.into_iter().map(message).collect()
}

fn adapt(part: &Part, role: MessageRole, format: Format) -> Option<Part> {
    match part {
        Part::Text(text) if text.trim().is_empty() => None,
        Part::Text(text) => Some(Part::Text(text.clone())),
        Part::Media(media) if takes_media(media, role, format) => Some(part.clone()),
        Part::Media(media) => Some(Part::Text(stand_in(media))),
        Part::ToolCall { id, name, arguments } if role == MessageRole::Assistant => {
            Some(Part::ToolCall {
                id: call_id(id, format),
                name: tool_name(name, format),
                arguments: call_arguments(arguments, format),
            })
        }
        Part::Opaque { provider, json } if takes_opaque(provider, json, role, format) => {
            Some(part.clone())
        }
        Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Opaque { .. } => None,
    }
}

/// What providers ask of an assistant's message beyond its parts. Anthropic refuses a last text
/// that ends in white space: it goes from all texts that end a turn, so that a turn's bytes do not
/// change when another one follows. OpenAI takes extra members only beside content or calls.
fn finish_assistant(parts: &mut Vec<Part>, format: Format) {
    if format == Format::AnthropicMessages
        && let Some(Part::Text(text)) = parts.last_mut()
    {
        text.truncate(text.trim_end().len());
    }
    let opaque = |part: &Part| matches!(part, Part::Opaque { .. });
    if format == Format::OpenAiChat && parts.iter().all(opaque) {
        parts.clear();
    }
}

fn takes_media(media: &Media, role: MessageRole, format: Format) -> bool {
    let web = media.uri.starts_with("https://") || media.uri.starts_with("http://");
    let uploaded = !media.file_id.is_empty();
    let image = media.media_type.starts_with("image/");
    let pdf = media.media_type == "application/pdf";
    let user = role == MessageRole::User;
    media.tokens > 0
        && match format {
            Format::Neutral => user && (web || uploaded),
            Format::OpenAiChat => user && ((image && web) || (pdf && uploaded)),
            Format::AnthropicMessages => {
                (image || (pdf && user)) && (web || uploaded) && (user || role == MessageRole::Tool)
            }
        }
}

/// What media are in words, where they cannot be sent.
fn stand_in(media: &Media) -> String {
    let named = ["image", "audio", "video"];
    let kind = named.into_iter().find(|kind| media.media_type.starts_with(kind)).unwrap_or("file");
    if media.caption.trim().is_empty() {
        format!("[{kind}]")
    } else {
        format!("[{kind}: {}]", media.caption)
    }
}

fn takes_opaque(provider: &str, json: &str, role: MessageRole, format: Format) -> bool {
    let wanted = match format {
        Format::Neutral => return true,
        Format::OpenAiChat => "openai",
        Format::AnthropicMessages => "anthropic",
    };
    let roles = [MessageRole::Assistant, MessageRole::User];
    let taken = &roles[..if format == Format::OpenAiChat { 1 } else { 2 }];
    provider == wanted && taken.contains(&role) && is_object(json)
}

pub(super) fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(json).is_ok()
}

/// The speaker's name where the format has a place for it. OpenAI takes ASCII letters, digits, `_`
/// and `-`; a name without any of its letters is left out.
fn speaker(name: &str, format: Format) -> String {
    match format {
        Format::Neutral => name.to_owned(),
        Format::OpenAiChat if name.bytes().any(|b| b.is_ascii_alphanumeric()) => plain_name(name),
        Format::OpenAiChat | Format::AnthropicMessages => String::new(),
    }
}

fn tool_name(name: &str, format: Format) -> String {
    match format {
        Format::Neutral => name.to_owned(),
        Format::OpenAiChat | Format::AnthropicMessages if name.is_empty() => "tool".to_owned(),
        Format::OpenAiChat | Format::AnthropicMessages => plain_name(name),
    }
}

fn plain_name(name: &str) -> String {
    let plain = |c: char| if is_plain(c) { c } else { '_' };
    name.chars().take(NAME_CHARS_MAX).map(plain).collect()
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The id of a call. Anthropic takes plain characters only: another id becomes its hash.
fn call_id(id: &str, format: Format) -> String {
    if format == Format::AnthropicMessages && (id.is_empty() || !id.chars().all(is_plain)) {
        return format!("id_{}", &blake3::hash(id.as_bytes()).to_hex()[..16]);
    }
    id.to_owned()
}

/// The arguments of a call: an object byte for byte; what is none is wrapped for Anthropic.
fn call_arguments(arguments: &str, format: Format) -> String {
    let wrap = |text| format!("{{\"arguments\":{}}}", serde_json::Value::from(text));
    match format {
        _ if arguments.trim().is_empty() => "{}".to_owned(),
        Format::AnthropicMessages if !is_object(arguments) => wrap(arguments),
        Format::Neutral | Format::OpenAiChat | Format::AnthropicMessages => arguments.to_owned(),
    }
}
