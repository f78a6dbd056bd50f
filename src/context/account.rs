//! What a context is, and the account of it.

use crate::context::Message;
use crate::tokens::Exactness;
use crate::types::Seq;

/// How many hits left out an account names.
pub const DROPPED_MAX: usize = 100;

/// Why no context could be built. The minimum holds for the same request and session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The instructions alone do not fit.
    #[error("the instructions do not fit into the budget; at least {minimum_tokens} are needed")]
    InstructionsTooLarge {
        /// The smallest budget for the instructions, the current exchange and the reserve.
        minimum_tokens: u64,
    },
    /// The instructions fit, the current exchange after them does not.
    #[error("the current exchange does not fit; a budget of at least {minimum_tokens} is needed")]
    CurrentExchangeTooLarge {
        /// The smallest budget for the instructions, the current exchange and the reserve.
        minimum_tokens: u64,
    },
}

/// Messages ready to send, and the account of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The messages; for `AnthropicMessages` neighbours of one role are one message. The
    /// instructions, if any, are the first, with the role `System`.
    pub messages: Vec<Message>,
    /// The same as JSON to send as it is; empty for `Neutral`.
    pub payload_json: String,
    /// What all that is returned costs; at most the budget less the reserve.
    pub used_tokens: u32,
    /// How far the count can be trusted.
    pub exactness: Exactness,
    /// How the count was made.
    pub count_method: CountMethod,
    /// Tokens that frame messages: roles, names, marks of parts and calls, what primes the answer.
    pub framing_tokens: u32,
    /// All six sections in the order of the layout; their tokens and the framing add up to
    /// `used_tokens`.
    pub sections: Vec<Section>,
    /// Living turns that are not shown, by source and seq: neither in words nor in the span of a
    /// summary that is shown. A turn in such a span that is also quoted is shown in words.
    pub not_shown: Vec<TurnRange>,
    /// What was found and left out: turns, best first, passages, best first, then turns that cannot
    /// be sent; at most [`DROPPED_MAX`].
    pub dropped: Vec<Dropped>,
    /// What the instructions and all living turns given would cost as messages.
    pub full_history_tokens: u64,
    /// At most 4 places for a provider's cache, ascending.
    pub breakpoints: Vec<Breakpoint>,
}

/// How the count of a context was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountMethod {
    /// From counts of messages and lines, which add up.
    Added,
    /// The tokenizer ends no token at a line break: the quoted blocks were counted as wholes.
    Recounted,
}

/// The sections of a context, in the order of its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionKind {
    /// The request's instructions, then the session's pinned ones.
    Instructions,
    /// Summaries of older turns.
    Summary,
    /// The turns before the current exchange, as they were said.
    Recent,
    /// What retrieval found in documents.
    Documents,
    /// What retrieval found in the past.
    Retrieved,
    /// The last user turn, or the query, and all after it.
    CurrentExchange,
}

/// One section of a context.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Which one.
    pub kind: SectionKind,
    /// Its tokens without the framing of messages.
    pub tokens: u32,
    /// The space it had, framing included.
    pub allowance_tokens: u32,
    /// What it shows, in order. An item of the summary stands for all living turns of its span
    /// that no other section shows.
    pub items: Vec<Item>,
}

/// Whose words an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The tenant's own.
    Tenant,
    /// The conversation's, in their own messages.
    Conversation,
    /// Quoted from the past as data, word for word or as a summary of whole sentences.
    Quoted,
}

/// One thing that a section shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The index of its session among the sources; none for instructions and a query.
    pub source: Option<usize>,
    /// The first turn it is from; 0 when it is from none.
    pub first_seq: Seq,
    /// The last turn it is from; 0 when it is from none.
    pub last_seq: Seq,
    /// Its tokens without the message, fence or heading around it.
    pub tokens: u32,
    /// The score of retrieval, the best of what it is made of; 0 outside the retrieved section and
    /// the documents.
    pub score: f64,
    /// Whether only a part of the turn, or of the summary, is shown.
    pub partial: bool,
    /// Whether a look-alike of the fence was escaped in it.
    pub escaped: bool,
    /// The index of its first message, as in [`Breakpoint::message_index`].
    pub message_index: i32,
    /// Whose words it is.
    pub trust: Trust,
    /// Where it stands; for passages of documents only.
    pub citation: Option<Citation>,
}

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// The index of the document among the documents.
    pub document: usize,
    /// The headings above its start, the outermost first.
    pub heading: Vec<String>,
    /// Its first byte in the document's text.
    pub start: u64,
    /// The byte after its last one.
    pub end: u64,
    /// The number of its first chunk.
    pub first_chunk: u32,
    /// The number of its last chunk.
    pub last_chunk: u32,
    /// The number of the chunk whose score it has.
    pub best_chunk: u32,
}

/// Living turns, next to each other, that a context does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnRange {
    /// The index of their session among the sources.
    pub source: usize,
    /// The first of them.
    pub first_seq: Seq,
    /// The last of them.
    pub last_seq: Seq,
    /// How many living turns it holds.
    pub turns: u64,
    /// What they would cost as messages.
    pub tokens: u64,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It did not fit into what was left.
    OverBudget,
    /// It is shown in another section.
    AlreadyShown,
    /// The number of retrieved turns, or of chunks of documents, was reached.
    OverLimit,
    /// It cannot be sent in this format.
    NotSendable,
}

/// Something that was found and left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    /// The index of its session among the sources; none for a passage of a document.
    pub source: Option<usize>,
    /// The turn; 0 for a passage of a document.
    pub seq: Seq,
    /// What it would have cost; of a passage, about.
    pub tokens: u32,
    /// The score of retrieval; 0 when it was not retrieved.
    pub score: f64,
    /// Why.
    pub reason: DropReason,
    /// Where it stands, when it is a passage of a document.
    pub citation: Option<Citation>,
}

/// A place up to which later contexts of the session are the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakpoint {
    /// The index into the messages of the payload. For `AnthropicMessages` the `system` text is no
    /// message: it has the index -1 and the message after it 0.
    pub message_index: i32,
    /// The index of the part in that message.
    pub part_index: u32,
    /// The tokens up to and with that part.
    pub tokens: u32,
}
