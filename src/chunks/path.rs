//! The headings that a place of a text stands under.

use super::Heading;

/// No heading is longer, in bytes: it stands with each chunk below it.
const HEADING_BYTES_MAX: usize = 160;

/// No text has more headings, so that they take no more memory than the text may; what comes after
/// stands under the last ones.
pub(super) const HEADINGS_MAX: usize = 100_000;

impl Heading {
    /// A heading of these words, on one line and cut where they are too many; `None` when there is
    /// none.
    pub(super) fn new(at: usize, level: u8, words: &str) -> Option<Self> {
        let mut text = String::new();
        for word in words.split_whitespace() {
            let room = HEADING_BYTES_MAX.saturating_sub(text.len() + usize::from(!text.is_empty()));
            if !text.is_empty() && room > 0 {
                text.push(' ');
            }
            if word.len() > room {
                text.push_str(&word[..word.floor_char_boundary(room)]);
                break;
            }
            text.push_str(word);
        }
        let text = text.trim_end().to_owned();
        (!text.is_empty()).then_some(Self { at, level, text })
    }
}

/// Follows the headings of a text from its start on.
pub(super) struct Path<'a> {
    ahead: &'a [Heading],
    open: Vec<&'a Heading>,
}

impl<'a> Path<'a> {
    pub(super) fn new(headings: &'a [Heading]) -> Self {
        Self { ahead: headings, open: Vec::new() }
    }

    /// The headings above a place, the outermost first. Places are asked for in order.
    pub(super) fn at(&mut self, place: usize) -> Vec<String> {
        while let Some((next, ahead)) = self.ahead.split_first()
            && next.at <= place
        {
            let inside = self.open.iter().take_while(|open| open.level < next.level).count();
            self.open.truncate(inside);
            self.open.push(next);
            self.ahead = ahead;
        }
        self.open.iter().map(|heading| heading.text.clone()).collect()
    }
}
