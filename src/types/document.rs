//! Documents: what they are called and made of.

use serde::{Deserialize, Serialize};

use crate::types::ids::InvalidId;

/// What the record calls one content of a document: 16 bytes, never used again, part of each key of
/// that content, so that nothing written for an older content can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub [u8; 16]);

/// How the bytes of a document are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaType {
    /// `text/plain`: as it is.
    #[default]
    Plain,
    /// `text/markdown`: as it is; headings are kept beside each chunk.
    Markdown,
    /// `text/html`: its main text.
    Html,
    /// `application/jsonl`: a value a line.
    JsonLines,
    /// `text/csv`: a record a row, with a first row of names.
    Csv,
    /// `text/x-source`: source code of any language, as it is.
    Source,
    /// `application/pdf`: its text, page by page.
    Pdf,
}

impl MediaType {
    /// Every media type.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Markdown,
        Self::Html,
        Self::JsonLines,
        Self::Csv,
        Self::Source,
        Self::Pdf,
    ];

    /// Its name as the contract gives it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
            Self::JsonLines => "application/jsonl",
            Self::Csv => "text/csv",
            Self::Source => "text/x-source",
            Self::Pdf => "application/pdf",
        }
    }

    /// The media type of that name. Parameters (`; charset=utf-8`) and case count nothing.
    ///
    /// # Errors
    /// [`InvalidId`] for any other name.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let name = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|media| media.text() == name).ok_or(InvalidId)
    }
}

/// How a document is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunking {
    /// The most tokens of a chunk, by `o200k_base`, 32 to 1,024.
    pub tokens_max: u16,
    /// How many tokens at the start of a chunk repeat the end of the one before, at the most: 0 to
    /// half of `tokens_max`.
    pub overlap_tokens: u16,
}

impl Chunking {
    /// What a document gets whose sender says nothing.
    pub const DEFAULT: Self = Self { tokens_max: 200, overlap_tokens: 20 };
    /// The smallest `tokens_max`.
    pub const TOKENS_MIN: u16 = 32;
    /// The largest `tokens_max`.
    pub const TOKENS_MAX: u16 = 1_024;
}

/// A chunk of a document: where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkSpan {
    /// Where it starts in the text of the document, in bytes.
    pub start: u64,
    /// Where it ends: above `start`; it may reach into the next chunk (overlap).
    pub end: u64,
    /// The headings that it stands under, the outermost first.
    pub heading: Vec<String>,
    /// The hash of all that is searched of it (title, headings, text): equal for equal chunks.
    pub hash: [u8; 16],
    /// Its tokens by `o200k_base`.
    pub tokens: u32,
}
