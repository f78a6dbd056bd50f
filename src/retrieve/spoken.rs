//! Which languages the turns of a session are in: so a short turn is read as those around it.

use crate::retrieve::{Language, TurnTerms, terms::unsure_terms};
use crate::types::Turn;

/// The languages of the turns of a session so far.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// How many turns showed each language.
    counts: [u32; Language::COUNT],
}

impl Default for Spoken {
    fn default() -> Self {
        Self { counts: [0; Language::COUNT] }
    }
}

impl Spoken {
    /// Takes the next turn of the session with its terms by [`crate::retrieve::analyse`], and gives
    /// them back; or others, where the turn does not show its language and those before it, most of
    /// them, showed another one than that it was read by.
    pub fn settle(&mut self, turn: &Turn, terms: TurnTerms) -> TurnTerms {
        if let Some(shown) = terms.sure() {
            self.counts[shown as usize] += 1;
            return terms;
        }
        match commonest(&self.counts) {
            Some(common) if common != terms.language => {
                unsure_terms(&turn.searchable_text(), common)
            }
            _ => terms,
        }
    }
}

/// The language counted most, the first in their order among equals; none when none was counted.
pub(super) fn commonest(counts: &[u32; Language::COUNT]) -> Option<Language> {
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    let place = counts.iter().position(|count| *count == most)?;
    Some(Language::by_number(place as u64))
}
