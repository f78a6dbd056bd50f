//! Numbers that are written in groups: those of telephones, cards and accounts.

use crate::retrieve::words::Word;

/// So few digits are no number of a telephone.
const DIGITS_MIN: usize = 7;
/// A card has this many, a telephone fifteen.
const DIGITS_MAX: usize = 19;
/// Two ways of writing a telephone's number differ in what stands before its last digits: `+49`,
/// `0049`, `0`. So many digits are the same in all, wherever the country's code ends.
const LAST: usize = 8;
/// A number has at most so many groups.
const GROUPS_MAX: usize = 8;

/// Groups of digits that follow each other.
pub(super) struct Digits<'a> {
    text: &'a str,
    end: usize,
    digits: String,
    groups: Vec<usize>,
    /// Whether it goes on for longer than any number.
    long: bool,
}

impl<'a> Digits<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, end: 0, digits: String::new(), groups: Vec::new(), long: false }
    }

    /// Takes the next word, at `start`; gives the number before it, unless it goes on.
    pub(super) fn next(&mut self, start: usize, word: &str, sink: &mut dyn FnMut(Word<'_>)) {
        let is_digits = word.starts_with(|c: char| c.is_ascii_digit())
            && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if self.groups.is_empty() && !is_digits {
            return;
        }
        let gap = &self.text[self.end..start];
        let joins = gap.len() <= 3 && gap.chars().all(|c| " -./()\u{2010}\u{2013}".contains(c));
        let goes_on = is_digits && joins;
        if !self.groups.is_empty() && !goes_on {
            self.end(sink);
        }
        if is_digits {
            for group in word.split('.').filter(|group| !group.is_empty()) {
                self.long |=
                    self.digits.len() + group.len() > DIGITS_MAX || self.groups.len() == GROUPS_MAX;
                if !self.long {
                    self.digits.push_str(group);
                    self.groups.push(group.len());
                }
            }
            self.end = start + word.len();
        }
    }

    /// Gives the number, if it is one, and begins anew.
    pub(super) fn end(&mut self, sink: &mut dyn FnMut(Word<'_>)) {
        let digits = self.digits.strip_prefix("00").unwrap_or(&self.digits);
        if !self.long && digits.len() >= DIGITS_MIN && !self.is_date() && !self.is_address() {
            if self.groups.len() > 1 {
                sink(Word::whole(digits));
            }
            if digits.len() > LAST {
                let last = format!("…{}", &digits[digits.len() - LAST..]);
                sink(Word::whole(&last));
            }
        }
        self.digits.clear();
        self.groups.clear();
        self.long = false;
    }

    /// Whether the groups are those of a date, or years.
    fn is_date(&self) -> bool {
        matches!(self.groups[..], [4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 4] | [4, 4])
    }

    /// Whether the groups are those of a host's address.
    fn is_address(&self) -> bool {
        self.groups.len() == 4 && self.groups.iter().all(|group| *group <= 3)
    }
}
