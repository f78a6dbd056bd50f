//! A turn of a conversation and the parts it is made of.

use serde::{Deserialize, Serialize};

use crate::types::{Metadata, Seq, Timestamp};

/// Who a turn is from, as the model sees it. There is no `system`: instructions are not turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The person who talks with the model (or the first of two persons).
    User,
    /// The model (or the second of two persons; then the turn has a name).
    Assistant,
    /// The results of tool calls.
    Tool,
}

/// Whether a turn came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// The turn is whole.
    Complete,
    /// The turn was broken off, for example a stream that the person stopped.
    Interrupted,
}

/// A piece of media, held by reference only and never fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Where it lies, or empty when `file_id` is set.
    pub uri: String,
    /// The provider's id of an uploaded file, or empty when `uri` is set.
    pub file_id: String,
    /// The media type, for example `image/png`.
    pub media_type: String,
    /// What it shows, in words: searched, and shown where the media itself cannot be.
    pub caption: String,
    /// What it costs the model, in tokens, as the client declares; 0: not declared.
    pub tokens: u32,
}

/// One part of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Text as it was written.
    Text(String),
    /// A call of a tool by the model.
    ToolCall {
        /// The provider's id of the call, unique in the session's living turns.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments: a JSON object, as text, byte for byte.
        arguments: String,
    },
    /// What a tool answered.
    ToolResult {
        /// The id of the call that this answers.
        call_id: String,
        /// Text and media only.
        parts: Vec<Part>,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// Media by reference.
    Media(Media),
    /// Provider JSON (reasoning, signatures): returned byte for byte, never searched.
    Opaque {
        /// The provider that wrote it, lower case: `anthropic`, `openai`, …
        provider: String,
        /// One JSON value, as text.
        json: String,
    },
}

impl Part {
    /// The bytes of what it says or holds: its text, arguments, caption, address or JSON.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::ToolCall { arguments, .. } => arguments.len(),
            Self::ToolResult { parts, .. } => parts.iter().map(Self::bytes).sum(),
            Self::Media(media) => media.caption.len() + media.uri.len(),
            Self::Opaque { json, .. } => json.len(),
        }
    }
}

/// How a turn takes part in a group of tool calls with their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// It stands alone.
    None,
    /// It holds calls: the results that directly follow belong to it.
    Calls,
    /// It holds results of the calls before it.
    Results,
}

/// One turn of a session, as it lies in the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Its place, from 1.
    pub seq: Seq,
    /// Who it is from.
    pub role: Role,
    /// The speaker's name, or empty.
    pub name: String,
    /// At least one part with content.
    pub parts: Vec<Part>,
    /// When it was said, by the client's word.
    pub created_at: Timestamp,
    /// When the server committed it.
    pub committed_at: Timestamp,
    /// The client's id for it, or empty; unique for the session's life.
    pub external_id: String,
    /// Free labels.
    pub metadata: Metadata,
    /// Whether it came to its end.
    pub status: Status,
}

impl Turn {
    /// The words that search may find: text parts, captions, and texts of tool results, joined by a
    /// line break. Calls and opaque JSON are not searched. Empty when there is nothing of the kind.
    pub fn searchable_text(&self) -> String {
        let mut words = Vec::new();
        collect_words(&self.parts, &mut words);
        words.join("\n")
    }

    /// The speaker as a person reads it: the name, or else the role with a capital letter.
    pub fn speaker(&self) -> &str {
        match (self.name.as_str(), self.role) {
            ("", Role::User) => "User",
            ("", Role::Assistant) => "Assistant",
            ("", Role::Tool) => "Tool",
            (name, _) => name,
        }
    }

    /// How the turn takes part in a group of tool calls.
    pub fn group(&self) -> Group {
        let has = |wanted: fn(&Part) -> bool| self.parts.iter().any(wanted);
        if has(|part| matches!(part, Part::ToolCall { .. })) {
            Group::Calls
        } else if has(|part| matches!(part, Part::ToolResult { .. })) {
            Group::Results
        } else {
            Group::None
        }
    }
}

fn collect_words<'a>(parts: &'a [Part], words: &mut Vec<&'a str>) {
    for part in parts {
        match part {
            Part::Text(text) => words.push(text),
            Part::Media(media) if !media.caption.is_empty() => words.push(&media.caption),
            Part::ToolResult { parts, .. } => collect_words(parts, words),
            Part::Media(_) | Part::ToolCall { .. } | Part::Opaque { .. } => {}
        }
    }
}
