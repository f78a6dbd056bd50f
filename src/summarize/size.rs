//! How large a turn is for the marks of summaries.

use crate::types::Turn;

/// About how many bytes of text one token takes.
const TOKEN_BYTES: usize = 4;

/// What a turn's words count for the marks, in tokens of about four bytes: the same whatever the
/// model is, so that a changed policy moves no border. At least 1.
pub fn tokens_of(turn: &Turn) -> u64 {
    turn.searchable_text().len().div_ceil(TOKEN_BYTES).max(1) as u64
}
