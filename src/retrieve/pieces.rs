//! What of a turn is embedded: the whole, then its sentences, or the passages of a long turn.

use std::ops::Range;

use crate::retrieve::passages::{passages, sentences};
use crate::types::Turn;

/// A turn has at most this many pieces: the whole and the first passages of some 4,500 tokens. A
/// longer text is a paste, whose rest is found by its words.
pub const PIECES_MAX: usize = 32;

/// The version of the cut into pieces: vectors of pieces that were cut otherwise are made again.
pub const PIECES_VERSION: u16 = 1;

/// The texts of a turn that are embedded: its searchable text, without speaker or date, or of a
/// turn with several passages the first; then, where there are several, its sentences, or passages.
///
/// At most [`PIECES_MAX`], the first of the text; empty when the turn has nothing to search.
pub fn pieces(turn: &Turn) -> Vec<String> {
    pieces_of(&turn.searchable_text())
}

/// [`pieces`] of a bare text.
pub(super) fn pieces_of(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let part = |range: Range<usize>| text[range].trim().to_owned();
    let mut parts = passages(text);
    let mut whole = text.trim().to_owned();
    if parts.len() == 1 {
        parts = sentences(text);
    } else {
        // A model reads no more of a long text than its first passage: it is embedded once.
        whole = part(parts[0].clone());
    }
    let mut pieces = vec![whole];
    if parts.len() > 1 {
        pieces.extend(parts.into_iter().take(PIECES_MAX - 1).map(part));
    }
    pieces
}
