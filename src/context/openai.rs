//! Messages as the `messages` array of a Chat Completions request.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use crate::context::{Message, MessageRole};
use crate::types::{Media, Part};

/// Members of an assistant's message that opaque JSON cannot set.
const OWN_MEMBERS: [&str; 4] = ["role", "name", "content", "tool_calls"];

/// The JSON array of the messages.
pub(super) fn payload(messages: &[Message]) -> String {
    let messages: Vec<Chat<'_>> = messages.iter().map(Chat).collect();
    serde_json::to_string(&messages).expect("strings, numbers and checked JSON can be written")
}

struct Chat<'a>(&'a Message);

impl Serialize for Chat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message { role, name, parts } = self.0;
        let mut map = serializer.serialize_map(None)?;
        let word = match role {
            MessageRole::System => "system",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
            MessageRole::Tool => "tool",
        };
        map.serialize_entry("role", word)?;
        if !name.is_empty() {
            map.serialize_entry("name", name)?;
        }
        match parts.as_slice() {
            [Part::ToolResult { call_id, parts, .. }] => {
                map.serialize_entry("tool_call_id", call_id)?;
                content(&mut map, parts)?;
            }
            parts => content(&mut map, parts)?,
        }
        let calls: Vec<_> = parts.iter().filter_map(call).collect();
        if !calls.is_empty() {
            map.serialize_entry("tool_calls", &calls)?;
        }
        for (key, value) in members(parts) {
            map.serialize_entry(&key, &value)?;
        }
        map.end()
    }
}

/// `content`: null beside calls, a string for one text, else a list.
fn content<M: SerializeMap>(map: &mut M, parts: &[Part]) -> Result<(), M::Error> {
    let shown: Vec<_> = parts.iter().filter_map(listed).collect();
    match parts.iter().find_map(only_text).filter(|_| shown.len() == 1) {
        Some(text) => map.serialize_entry("content", text),
        None if shown.is_empty() => map.serialize_entry("content", &()),
        None => map.serialize_entry("content", &shown),
    }
}

fn only_text(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(text),
        _ => None,
    }
}

fn listed(part: &Part) -> Option<serde_json::Value> {
    match part {
        Part::Text(text) => Some(json!({"type": "text", "text": text})),
        Part::Media(media) => Some(media_json(media)),
        Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Opaque { .. } => None,
    }
}

fn media_json(media: &Media) -> serde_json::Value {
    if media.media_type.starts_with("image/") {
        json!({"type": "image_url", "image_url": {"url": media.uri}})
    } else {
        json!({"type": "file", "file": {"file_id": media.file_id}})
    }
}

fn call(part: &Part) -> Option<serde_json::Value> {
    match part {
        Part::ToolCall { id, name, arguments } => Some(json!({
            "id": id, "type": "function", "function": {"name": name, "arguments": arguments},
        })),
        _ => None,
    }
}

/// The members of opaque objects, by name; the first of a name counts.
fn members(parts: &[Part]) -> BTreeMap<String, Box<RawValue>> {
    let mut members = BTreeMap::new();
    for part in parts {
        let Part::Opaque { json, .. } = part else { continue };
        let own: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap_or_default();
        for (key, value) in own {
            if !OWN_MEMBERS.contains(&key.as_str()) {
                members.entry(key).or_insert(value);
            }
        }
    }
    members
}
