//! Messages as `system` and `messages` of a Messages request. Content is always a list of blocks,
//! so that a block that is added later does not change the bytes before it.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::context::{Message, MessageRole};
use crate::types::{Media, Part};

#[derive(Serialize)]
struct Payload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    messages: Vec<Turn<'a>>,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Block<'a> {
    Tagged(Tagged<'a>),
    Raw(Box<RawValue>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tagged<'a> {
    Text {
        text: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: &'a str,
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    Image {
        source: Reference<'a>,
    },
    Document {
        source: Reference<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Reference<'a> {
    Url { url: &'a str },
    File { file_id: &'a str },
}

/// The JSON object of the messages.
pub(super) fn payload(messages: &[Message]) -> String {
    let (system, messages) = match messages {
        [first, rest @ ..] if first.role == MessageRole::System => (text(&first.parts), rest),
        all => (None, all),
    };
    let messages = messages.iter().map(|message| Turn {
        role: if message.role == MessageRole::Assistant { "assistant" } else { "user" },
        content: message.parts.iter().filter_map(block).collect(),
    });
    serde_json::to_string(&Payload { system, messages: messages.collect() })
        .expect("strings, numbers and checked JSON can be written")
}

fn text(parts: &[Part]) -> Option<&str> {
    match parts.first() {
        Some(Part::Text(text)) => Some(text),
        _ => None,
    }
}

fn block(part: &Part) -> Option<Block<'_>> {
    let tagged = match part {
        Part::Text(text) => Tagged::Text { text },
        Part::ToolCall { id, name, arguments } => {
            Tagged::ToolUse { id, name, input: RawValue::from_string(arguments.clone()).ok()? }
        }
        Part::ToolResult { call_id, parts, is_error } => Tagged::ToolResult {
            tool_use_id: call_id,
            content: parts.iter().filter_map(block).collect(),
            is_error: *is_error,
        },
        Part::Media(media) => media_block(media),
        Part::Opaque { json, .. } => {
            return RawValue::from_string(json.clone()).ok().map(Block::Raw);
        }
    };
    Some(Block::Tagged(tagged))
}

fn media_block(media: &Media) -> Tagged<'_> {
    let source = if media.file_id.is_empty() {
        Reference::Url { url: &media.uri }
    } else {
        Reference::File { file_id: &media.file_id }
    };
    if media.media_type.starts_with("image/") {
        Tagged::Image { source }
    } else {
        Tagged::Document { source }
    }
}
