//! What providers accept, written from their documents and apart from the renderer.

use keepsake::context::{Message, MessageRole};
use keepsake::types::Part;
use serde_json::Value;

fn is_plain(text: &str, max: usize) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !text.is_empty() && text.len() <= max && text.bytes().all(plain)
}

fn string<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no string `{key}` in {value}"))
}

fn check_words(text: &str) {
    assert!(!text.trim().is_empty(), "blank text");
}

/// Calls that wait for their results.
#[derive(Default)]
struct Open(Vec<String>);

impl Open {
    fn call(&mut self, id: &str) {
        assert!(!self.0.iter().any(|open| open == id), "two calls are named {id}");
        self.0.push(id.to_owned());
    }

    fn answer(&mut self, id: &str) {
        let at = self.0.iter().position(|open| open == id);
        self.0.remove(at.unwrap_or_else(|| panic!("the result {id} has no call before it")));
    }

    fn check_closed(&self) {
        assert!(self.0.is_empty(), "calls without results: {:?}", self.0);
    }
}

/// Checks the `messages` of a Chat Completions request.
pub fn check_openai(payload: &str) {
    let payload: Value = serde_json::from_str(payload).expect("the payload is JSON");
    let messages = payload.as_array().expect("the payload is a list");
    let mut open = Open::default();
    let mut is_first = true;
    for (at, message) in messages.iter().enumerate() {
        let role = string(message, "role");
        if role != "tool" {
            open.check_closed();
        }
        if role == "system" {
            assert_eq!(at, 0, "a system message in the middle");
        } else {
            assert!(!is_first || role == "user", "the first message is not the user's");
            is_first = false;
        }
        if role == "tool" {
            open.answer(string(message, "tool_call_id"));
        }
        if let Some(name) = message.get("name") {
            assert!(is_plain(name.as_str().expect("a name is a string"), 64), "{name}");
        }
        check_openai_content(message, role);
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            assert_eq!(role, "assistant");
            assert_eq!(string(call, "type"), "function");
            assert!(is_plain(string(&call["function"], "name"), 64), "{call}");
            string(&call["function"], "arguments");
            open.call(string(call, "id"));
        }
    }
    open.check_closed();
}

fn check_openai_content(message: &Value, role: &str) {
    match &message["content"] {
        Value::String(text) => check_words(text),
        Value::Null => {
            assert_eq!(role, "assistant", "only an assistant has no content");
            assert!(message.get("tool_calls").is_some(), "neither content nor calls");
        }
        Value::Array(parts) => {
            assert!(!parts.is_empty());
            for part in parts {
                match string(part, "type") {
                    "text" => check_words(string(part, "text")),
                    "image_url" if role == "user" => {
                        assert!(string(&part["image_url"], "url").starts_with("http"));
                    }
                    "file" if role == "user" => check_words(string(&part["file"], "file_id")),
                    other => panic!("a part of the type {other} in a message of {role}"),
                }
            }
        }
        other => panic!("content is {other}"),
    }
}

/// Checks `system` and `messages` of a Messages request.
pub fn check_anthropic(payload: &str) {
    let payload: Value = serde_json::from_str(payload).expect("the payload is JSON");
    if let Some(system) = payload.get("system") {
        check_words(system.as_str().expect("system is a string"));
    }
    let messages = payload["messages"].as_array().expect("messages are a list");
    let mut open = Open::default();
    for (at, message) in messages.iter().enumerate() {
        let expected = if at % 2 == 0 { "user" } else { "assistant" };
        assert_eq!(string(message, "role"), expected, "roles do not alternate from user");
        let blocks = message["content"].as_array().expect("content is a list");
        assert!(!blocks.is_empty(), "empty content");
        let mut others = false;
        for block in blocks {
            let kind = string(block, "type");
            if kind == "tool_result" {
                assert!(!others, "a result after other blocks");
                open.answer(string(block, "tool_use_id"));
            } else {
                assert!(expected == "assistant" || open.0.is_empty(), "results do not come first");
                others = true;
            }
            check_block(block, kind, expected, &mut open);
        }
        let is_last = at + 1 == messages.len();
        assert!(expected == "assistant" && !is_last || open.0.is_empty(), "a call without result");
        if let Some(text) = blocks.last().and_then(|b| b.get("text")).and_then(Value::as_str) {
            let is_end = is_last && expected == "assistant";
            assert!(!is_end || text.trim_end() == text, "a last text ends in white space");
        }
    }
}

fn check_block(block: &Value, kind: &str, role: &str, open: &mut Open) {
    match (kind, role) {
        ("text", _) => check_words(string(block, "text")),
        ("tool_use", "assistant") => {
            let id = string(block, "id");
            assert!(is_plain(id, 256), "{id}");
            assert!(is_plain(string(block, "name"), 64), "{block}");
            assert!(block["input"].is_object(), "{block}");
            open.call(id);
        }
        ("tool_result", "user") => {
            for inner in block["content"].as_array().expect("content is a list") {
                match string(inner, "type") {
                    "text" => check_words(string(inner, "text")),
                    "image" => check_source(inner),
                    other => panic!("{other} in a result"),
                }
            }
        }
        ("image" | "document", "user") => check_source(block),
        ("thinking", _) => check_words(string(block, "signature")),
        (kind, role) => panic!("a block of the type {kind} in a message of {role}"),
    }
}

fn check_source(block: &Value) {
    let source = &block["source"];
    match string(source, "type") {
        "url" => assert!(string(source, "url").starts_with("http")),
        "file" => check_words(string(source, "file_id")),
        other => panic!("a source of the type {other}"),
    }
}

/// Checks neutral messages by the strictest of the rules that need no payload.
pub fn check_neutral(messages: &[Message]) {
    let mut open = Open::default();
    let mut is_first = true;
    for (at, message) in messages.iter().enumerate() {
        if message.role != MessageRole::Tool {
            open.check_closed();
        }
        if message.role == MessageRole::System {
            assert_eq!(at, 0);
        } else {
            assert!(!is_first || message.role == MessageRole::User);
            is_first = false;
        }
        assert!(!message.parts.is_empty());
        for part in &message.parts {
            match part {
                Part::Text(text) => check_words(text),
                Part::ToolCall { id, .. } => open.call(id),
                Part::ToolResult { call_id, parts, .. } => {
                    assert_eq!(message.role, MessageRole::Tool);
                    assert!(!parts.is_empty());
                    open.answer(call_id);
                }
                Part::Media(media) => assert!(media.tokens > 0),
                Part::Opaque { .. } => {}
            }
        }
    }
    open.check_closed();
}
