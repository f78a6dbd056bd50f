//! Turns the bytes of a document into text, and cuts the text into chunks. Pure.
//! In: bytes and how to read them. Out: a text and the spans of its chunks, in order.
//! Invariant: the spans cover every byte of the text, the order is kept, and no chunk has more
//! tokens than asked for.

mod cut;
mod html;
mod markdown;
mod path;
mod pieces;
mod rows;

use crate::types::{ChunkSpan, Chunking, MediaType};

#[cfg(test)]
mod tests;

/// What counts the tokens of a text.
type Count<'a> = &'a dyn Fn(&str) -> u32;

/// Why a document has no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The bytes are no UTF-8.
    #[error("the bytes are no UTF-8 from byte `{at}` on")]
    NotUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// The bytes are not what the media type says.
    #[error("the bytes are no `{}`: {why}", media.text())]
    Malformed {
        /// The media type.
        media: MediaType,
        /// What is wrong, without content.
        why: String,
    },
}

/// The text of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extract {
    /// The text; chunks are spans of it.
    pub text: String,
    /// The headings, by rising place: from there on it counts until one of the same or a higher
    /// level. Level 1 is the outermost.
    pub headings: Vec<Heading>,
    /// Where rows begin, by rising place, when the text is made of rows: a chunk cuts none that is
    /// not too long by itself. Empty for any other text.
    pub rows: Vec<usize>,
    /// Whether the text is, byte for byte, what came in.
    pub verbatim: bool,
}

/// A heading of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The byte of the text from which on it counts.
    pub at: usize,
    /// Its level, from 1.
    pub level: u8,
    /// Its words, on one line.
    pub text: String,
}

/// What is searched of a chunk: title and headings, then its text.
pub fn searchable(title: &str, heading: &[String], text: &str) -> String {
    let mut whole = String::with_capacity(title.len() + text.len() + 64);
    for line in std::iter::once(title).chain(heading.iter().map(String::as_str)) {
        if !line.is_empty() && !whole.lines().any(|known| known == line) {
            whole.push_str(line);
            whole.push('\n');
        }
    }
    whole.push_str(text);
    whole
}

/// Reads the text of a document of any media type but PDF, which is read elsewhere.
///
/// All but HTML is verbatim: byte order marks, line breaks and NUL bytes stay. HTML gives its main
/// text, or, where none is found, all that is visible.
///
/// # Errors
/// [`ExtractError`] when the bytes are no UTF-8 or not of the media type.
pub fn extract(media: MediaType, bytes: &[u8]) -> Result<Extract, ExtractError> {
    if media == MediaType::Pdf {
        let why = "it is read in a process of its own".to_owned();
        return Err(ExtractError::Malformed { media, why });
    }
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| ExtractError::NotUtf8 { at: error.valid_up_to() })?;
    let (mut headings, mut rows) = (Vec::new(), Vec::new());
    match media {
        MediaType::Plain | MediaType::Source | MediaType::Pdf => {}
        MediaType::Markdown => headings = markdown::headings(text),
        MediaType::JsonLines => rows = rows::json_lines(text)?,
        MediaType::Csv => (rows, headings) = rows::csv(text),
        MediaType::Html => return Ok(html::extract(text)),
    }
    Ok(Extract { text: text.to_owned(), headings, rows, verbatim: true })
}

/// Cuts a text into chunks of at most `chunking.tokens_max` tokens as `count` counts them. An empty
/// text has no chunk.
///
/// A chunk ends before a heading or after a paragraph, a line, a sentence, a word, whatever is the
/// best of its later part, and the next begins with what fits into `chunking.overlap_tokens` of its
/// last sentences; at a heading nothing is repeated. Where a text has rows, a chunk ends after a
/// row and repeats whole rows, unless a row alone is too long. Time and memory are linear in the
/// length of the text if those of `count` are, whatever the text.
pub fn chunk(
    title: &str,
    extract: &Extract,
    chunking: Chunking,
    count: &dyn Fn(&str) -> u32,
) -> Vec<ChunkSpan> {
    let mut path = path::Path::new(&extract.headings);
    let span = |cut: cut::Cut| {
        let text = &extract.text[cut.start..cut.end];
        let white = text.len() - text.trim_start().len();
        // A chunk of white space stands where it starts.
        let place = if white < text.len() { cut.start + white } else { cut.start };
        let heading = path.at(place);
        let hash = blake3::hash(searchable(title, &heading, text).as_bytes());
        let (hash, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        let hash = *hash;
        let (start, end) = (cut.start as u64, cut.end as u64);
        ChunkSpan { start, end, heading, hash, tokens: cut.tokens }
    };
    cut::Cuts::new(extract, chunking, count).map(span).collect()
}
