//! What a turn costs: counted once, when it is appended.

use serde::{Deserialize, Serialize};

use crate::context::{Format, Message, block, message::turn_messages};
use crate::planted::{self, Bug};
use crate::tokens::{Framing, Tokenizer};
use crate::types::{Part, Turn};

/// What messages cost, with all that depends on the framing as numbers of things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Tokens of the contents, media as declared.
    pub content: u32,
    /// How many messages.
    pub messages: u32,
    /// How many of them carry a name.
    pub named: u32,
    /// Tokens of the names.
    pub name_tokens: u32,
    /// Parts of contents that are lists.
    pub listed_parts: u32,
    /// Tool calls.
    pub calls: u32,
    /// Tool results.
    pub results: u32,
    /// Whether something is in it whose cost no provider documents: tools, lists, media, opaque
    /// JSON.
    pub estimated: bool,
}

/// What a turn costs by one tokenizer, in each format and as a quoted line: what a derived row
/// holds for (key of the tokenizer, [`crate::context::LAYOUT_VERSION`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnCounts {
    /// As `Format::Neutral`.
    pub neutral: Cost,
    /// As `Format::OpenAiChat`.
    pub openai_chat: Cost,
    /// As `Format::AnthropicMessages`.
    pub anthropic_messages: Cost,
    /// Tokens of its line in the quoted block; 0 when it has no words.
    pub line: u32,
}

/// Counts a turn, at some 3 µs a token of new text at most; equal texts of the formats are counted
/// once. A turn without content costs nothing.
pub fn measure(turn: &Turn, tokenizer: &Tokenizer) -> TurnCounts {
    let messages = |format| turn_messages(turn, format);
    let neutral = messages(Format::Neutral);
    let openai = messages(Format::OpenAiChat);
    let anthropic = messages(Format::AnthropicMessages);
    let mut counter = Counter::new(tokenizer);
    TurnCounts {
        neutral: counter.cost(&neutral, Format::Neutral),
        openai_chat: counter.cost(&openai, Format::OpenAiChat),
        anthropic_messages: counter.cost(&anthropic, Format::AnthropicMessages),
        line: block::line(turn, None).map_or(0, |line| tokenizer.count(&line.text)),
    }
}

impl TurnCounts {
    /// What the turn's own messages cost in `format`.
    pub fn cost(&self, format: Format) -> &Cost {
        match format {
            Format::Neutral => &self.neutral,
            Format::OpenAiChat => &self.openai_chat,
            Format::AnthropicMessages => &self.anthropic_messages,
        }
    }
}

impl Cost {
    /// The tokens around the contents.
    pub fn framing_tokens(&self, framing: &Framing) -> u32 {
        let times = |number: u32, each: u32| number.saturating_mul(each);
        times(self.messages, framing.per_message)
            .saturating_add(times(self.named, framing.per_name))
            .saturating_add(self.name_tokens)
            .saturating_add(times(self.listed_parts, framing.per_part))
            .saturating_add(times(self.calls, framing.per_tool_call))
            .saturating_add(times(self.results, framing.per_tool_result))
    }

    /// All tokens, framing included.
    pub fn tokens(&self, framing: &Framing) -> u64 {
        match planted::has(Bug::NoFraming) {
            true => u64::from(self.content),
            false => u64::from(self.content) + u64::from(self.framing_tokens(framing)),
        }
    }
}

/// What messages of a format cost, counted now.
pub(super) fn cost(messages: &[Message], format: Format, tokenizer: &Tokenizer) -> Cost {
    Counter::new(tokenizer).cost(messages, format)
}

/// What one message of one text costs when its tokens are known.
pub(super) fn text_cost(tokens: u32, format: Format) -> Cost {
    let listed = u32::from(format == Format::AnthropicMessages);
    Cost {
        content: tokens,
        messages: 1,
        listed_parts: listed,
        estimated: listed > 0,
        ..Cost::default()
    }
}

/// Counts texts, each different one once.
struct Counter<'a> {
    tokenizer: &'a Tokenizer,
    known: Vec<(&'a str, u32)>,
}

/// How many texts a counter remembers: the parts of usual turns. Looking one up is a comparison of
/// lengths.
const KNOWN_MAX: usize = 64;

impl<'a> Counter<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, known: Vec::new() }
    }

    fn count(&mut self, text: &'a str) -> u32 {
        if let Some((_, tokens)) = self.known.iter().find(|(known, _)| *known == text) {
            return *tokens;
        }
        let tokens = self.tokenizer.count(text);
        if self.known.len() < KNOWN_MAX {
            self.known.push((text, tokens));
        }
        tokens
    }

    fn cost(&mut self, messages: &'a [Message], format: Format) -> Cost {
        let mut cost = Cost::default();
        for message in messages {
            cost.messages += 1;
            if !message.name.is_empty() {
                cost.named += 1;
                cost.name_tokens = cost.name_tokens.saturating_add(self.count(&message.name));
            }
            self.add_parts(&message.parts, format, &mut cost);
        }
        let lists = cost.calls + cost.results + cost.listed_parts;
        cost.estimated |= lists > 0;
        cost
    }

    fn add_parts(&mut self, parts: &'a [Part], format: Format, cost: &mut Cost) {
        let mut listed = 0;
        for part in parts {
            let tokens = match part {
                Part::Text(text) => {
                    listed += 1;
                    self.count(text)
                }
                Part::ToolCall { id, name, arguments } => {
                    cost.calls += 1;
                    [id, name, arguments].map(|text| self.count(text)).iter().sum()
                }
                Part::ToolResult { call_id, parts, .. } => {
                    cost.results += 1;
                    self.add_parts(parts, format, cost);
                    self.count(call_id)
                }
                Part::Media(media) => {
                    listed += 1;
                    cost.estimated = true;
                    media.tokens
                }
                Part::Opaque { json, .. } => {
                    listed += 1;
                    cost.estimated = true;
                    self.count(json)
                }
            };
            cost.content = cost.content.saturating_add(tokens);
        }
        let single = matches!(parts, [Part::Text(_)]) && format != Format::AnthropicMessages;
        cost.listed_parts += if single { 0 } else { listed };
    }
}
