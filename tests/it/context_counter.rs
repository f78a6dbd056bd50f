//! Counts what is sent, apart from the code that is tested.

use keepsake::context::Message;
use keepsake::tokens::{Framing, Model};
use keepsake::types::Part;
use serde_json::Value;
use serde_json::value::RawValue;
use tiktoken_rs::CoreBPE;

/// Counts by the reference tokenizer where there is one, else by the stated bound.
pub struct Counter<'a> {
    reference: Option<&'static CoreBPE>,
    model: &'a Model,
}

impl<'a> Counter<'a> {
    pub fn new(model: &'a Model) -> Self {
        let reference = match model.name.as_str() {
            "gpt-4o" | "gpt-5" => Some(tiktoken_rs::o200k_base_singleton()),
            "gpt-4" => Some(tiktoken_rs::cl100k_base_singleton()),
            "p50k_base" => Some(tiktoken_rs::p50k_base_singleton()),
            _ => None,
        };
        Self { reference, model }
    }

    fn text(&self, text: &str) -> u64 {
        match self.reference {
            Some(reference) => reference.encode_ordinary(text).len() as u64,
            None => u64::from(self.model.tokenizer.count(text)),
        }
    }

    fn framing(&self) -> &Framing {
        &self.model.framing
    }

    fn part(&self, tokens: u64) -> u64 {
        u64::from(self.framing().per_part) + tokens
    }

    pub fn openai(&self, payload: &str) -> u64 {
        let payload: Vec<Value> = serde_json::from_str(payload).expect("the payload is a list");
        let messages = payload.iter().map(|message| self.openai_message(message)).sum::<u64>();
        u64::from(self.framing().priming) + messages
    }

    fn openai_message(&self, message: &Value) -> u64 {
        let mut tokens = u64::from(self.framing().per_message);
        for (key, value) in message.as_object().expect("a message is an object") {
            tokens += match (key.as_str(), value) {
                ("role", _) | ("content", Value::Null) => 0,
                ("name", Value::String(name)) => {
                    u64::from(self.framing().per_name) + self.text(name)
                }
                ("content", Value::String(text)) => self.text(text),
                ("content", Value::Array(parts)) => {
                    parts.iter().map(|part| self.part(self.openai_part(part))).sum()
                }
                ("tool_call_id", Value::String(id)) => {
                    u64::from(self.framing().per_tool_result) + self.text(id)
                }
                ("tool_calls", Value::Array(calls)) => {
                    calls.iter().map(|call| self.openai_call(call)).sum()
                }
                (_, other) => self.text(key) + self.text(&other.to_string()),
            };
        }
        tokens
    }

    fn openai_part(&self, part: &Value) -> u64 {
        match &part["text"] {
            Value::String(text) => self.text(text),
            _ => declared(part["image_url"]["url"].as_str().or(part["file"]["file_id"].as_str())),
        }
    }

    fn openai_call(&self, call: &Value) -> u64 {
        let function = &call["function"];
        let texts = [&call["id"], &function["name"], &function["arguments"]];
        let own = texts.map(|text| self.text(text.as_str().expect("a string")));
        u64::from(self.framing().per_tool_call) + own.iter().sum::<u64>()
    }

    pub fn anthropic(&self, payload: &str) -> u64 {
        #[derive(serde::Deserialize)]
        struct Payload {
            system: Option<String>,
            messages: Vec<Turn>,
        }
        #[derive(serde::Deserialize)]
        struct Turn {
            content: Vec<Box<RawValue>>,
        }
        let payload: Payload = serde_json::from_str(payload).expect("the payload has that form");
        let message = u64::from(self.framing().per_message);
        let system = payload.system.map_or(0, |text| message + self.text(&text));
        let own = |turn: &Turn| turn.content.iter().map(|block| self.block(block)).sum::<u64>();
        let messages = payload.messages.iter().map(|turn| message + own(turn)).sum::<u64>();
        u64::from(self.framing().priming) + system + messages
    }

    fn block(&self, raw: &RawValue) -> u64 {
        let block: Value = serde_json::from_str(raw.get()).expect("a block is JSON");
        let string = |key: &str| block[key].as_str().expect("a string");
        match block["type"].as_str() {
            Some("text") => self.part(self.text(string("text"))),
            Some("tool_use") => {
                #[derive(serde::Deserialize)]
                struct Call {
                    input: Box<RawValue>,
                }
                let call: Call = serde_json::from_str(raw.get()).expect("a call has input");
                let texts = [string("id"), string("name"), call.input.get()];
                let own = texts.map(|text| self.text(text)).iter().sum::<u64>();
                u64::from(self.framing().per_tool_call) + own
            }
            Some("tool_result") => {
                let inner = block["content"].as_array().expect("a list").iter().map(|block| {
                    let raw = RawValue::from_string(block.to_string()).expect("it is JSON");
                    self.block(&raw)
                });
                let own = self.text(string("tool_use_id")) + inner.sum::<u64>();
                u64::from(self.framing().per_tool_result) + own
            }
            Some("image" | "document") => {
                let source = &block["source"];
                self.part(declared(source["url"].as_str().or(source["file_id"].as_str())))
            }
            _ => self.part(self.text(raw.get())),
        }
    }

    pub fn neutral(&self, messages: &[Message]) -> u64 {
        let own = messages.iter().map(|message| {
            let name = match message.name.as_str() {
                "" => 0,
                name => u64::from(self.framing().per_name) + self.text(name),
            };
            u64::from(self.framing().per_message) + name + self.parts(&message.parts)
        });
        u64::from(self.framing().priming) + own.sum::<u64>()
    }

    fn parts(&self, parts: &[Part]) -> u64 {
        let framing = self.framing();
        if let [Part::Text(text)] = parts {
            return self.text(text);
        }
        let own = parts.iter().map(|part| match part {
            Part::Text(text) => self.part(self.text(text)),
            Part::Media(media) => self.part(u64::from(media.tokens)),
            Part::Opaque { json, .. } => self.part(self.text(json)),
            Part::ToolCall { id, name, arguments } => {
                let own = [id, name, arguments].map(|text| self.text(text)).iter().sum::<u64>();
                u64::from(framing.per_tool_call) + own
            }
            Part::ToolResult { call_id, parts, .. } => {
                u64::from(framing.per_tool_result) + self.text(call_id) + self.parts(parts)
            }
        });
        own.sum()
    }
}

/// The tokens that a generated reference declares in its name.
fn declared(reference: Option<&str>) -> u64 {
    let digits = reference.expect("a reference").chars().filter(char::is_ascii_digit);
    digits.collect::<String>().parse().expect("a number")
}
