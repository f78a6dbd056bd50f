//! Puts pieces together to chunks: each as full as may be, ended at the best border of its later
//! part, begun with the end of the one before.

use std::collections::VecDeque;

use super::{
    Count, Extract,
    pieces::{Border, Piece, Pieces},
};
use crate::types::Chunking;

/// A chunk ends at the best border after this part of its tokens: later ones only, it would end
/// inside of paragraphs more often; earlier ones too, there would be more and shorter chunks.
const FILLED: (usize, usize) = (1, 3);

/// How many bytes a token of an overlap has at first guess, and how often a guess is halved.
const GUESS: (usize, usize) = (4, 3);

/// A chunk: where it stands, and its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) tokens: u32,
}

/// The chunks of a text, in order, each made when it is asked for.
pub(super) struct Cuts<'a> {
    text: &'a str,
    pieces: Pieces<'a>,
    count: Count<'a>,
    tokens_max: usize,
    overlap_max: usize,
    /// Whether chunks begin and overlap at rows, if they can.
    by_rows: bool,
    /// Pieces that no chunk has ended with yet.
    open: VecDeque<Piece>,
    /// What the next chunk repeats of the one before: from where on, and about how many tokens.
    repeated: Option<(usize, usize)>,
}

impl<'a> Cuts<'a> {
    pub(super) fn new(extract: &'a Extract, chunking: Chunking, count: Count<'a>) -> Self {
        let Extract { text, headings, rows, .. } = extract;
        let tokens_max = usize::from(chunking.tokens_max);
        Self {
            text,
            pieces: Pieces::new(text, headings, rows, tokens_max, count),
            count,
            tokens_max,
            overlap_max: usize::from(chunking.overlap_tokens),
            by_rows: !rows.is_empty(),
            open: VecDeque::new(),
            repeated: None,
        }
    }

    /// Takes pieces until they are too many for a chunk; says how many fit, as far as is known.
    fn fill(&mut self) -> usize {
        let mut tokens = self.repeated.map_or(0, |(_, tokens)| tokens);
        for place in 0.. {
            if place == self.open.len() {
                match self.pieces.next() {
                    Some(piece) => self.open.push_back(piece),
                    None => return place,
                }
            }
            tokens += self.open[place].tokens;
            if tokens > self.tokens_max {
                return place.max(1);
            }
        }
        0
    }

    /// How many pieces the chunk has, of `most` that fit.
    fn ended(&self, most: usize) -> usize {
        if most == self.open.len() {
            return most;
        }
        let borders = (1..=most).rev().map(|place| (place, self.open[place].border));
        if self.by_rows
            && let Some((place, _)) = borders.clone().find(|(_, border)| *border == Border::Row)
        {
            return place;
        }
        let all: usize = self.open.range(..most).map(|piece| piece.tokens).sum();
        let mut tokens = all;
        let mut best = (most, self.open[most].border);
        for (place, border) in borders {
            if tokens * FILLED.1 < all * FILLED.0 {
                break;
            }
            if border > best.1 {
                best = (place, border);
            }
            tokens -= self.open[place - 1].tokens;
        }
        best.0
    }

    fn tokens(&self, start: usize, end: usize) -> usize {
        (self.count)(&self.text[start..end]) as usize
    }

    /// Halves the first piece, between characters; `false` when it is only one.
    fn halve(&mut self) -> bool {
        let Some(whole) = self.open.front().copied() else { return false };
        let middle = self.text.ceil_char_boundary(whole.start.midpoint(whole.end));
        if middle == whole.end {
            return false;
        }
        self.open.pop_front();
        let tokens = |start, end| self.tokens(start, end).max(1);
        let first = Piece { end: middle, tokens: tokens(whole.start, middle), ..whole };
        let tokens = tokens(middle, whole.end);
        let second = Piece { start: middle, border: Border::Inside, tokens, ..whole };
        self.open.push_front(second);
        self.open.push_front(first);
        true
    }

    /// Where the chunk after the first `ended` pieces begins, and about how many tokens it repeats.
    fn repeat(&self, ended: usize) -> Option<(usize, usize)> {
        let next = self.open.get(ended)?;
        if self.overlap_max == 0 || matches!(next.border, Border::Heading(_)) {
            return None;
        }
        let mut tokens = 0;
        let mut best: Option<(usize, bool, usize)> = None;
        for place in (1..ended).rev() {
            let Piece { start, border, tokens: more, .. } = self.open[place];
            tokens += more;
            if tokens > self.overlap_max {
                break;
            }
            let whole = border >= if self.by_rows { Border::Row } else { Border::Sentence };
            if whole || (!self.by_rows && best.is_none_or(|(_, whole, _)| !whole)) {
                best = Some((start, whole, tokens));
            }
            // What stands before a heading is about something else.
            if matches!(border, Border::Heading(_)) {
                break;
            }
        }
        if let Some((start, _, tokens)) = best
            && self.tokens(start, next.start) <= self.overlap_max
        {
            return Some((start, tokens));
        }
        if self.by_rows { None } else { self.repeat_words(ended) }
    }

    /// As [`Self::repeat`], from a word of the last piece on.
    fn repeat_words(&self, ended: usize) -> Option<(usize, usize)> {
        let last = self.open.get(ended - 1)?;
        let mut bytes = self.overlap_max * GUESS.0;
        for _ in 0..GUESS.1 {
            let from = last.end.saturating_sub(bytes).max(last.start + 1);
            let from = self.text.ceil_char_boundary(from);
            let rest = &self.text[from..last.end];
            let space = rest.find(char::is_whitespace)?;
            let start = from + space + (rest.len() - space - rest[space..].trim_start().len());
            let tokens = self.tokens(start, last.end);
            if start < last.end && tokens <= self.overlap_max {
                return Some((start, tokens));
            }
            bytes /= 2;
        }
        None
    }
}

impl Iterator for Cuts<'_> {
    type Item = Cut;

    fn next(&mut self) -> Option<Cut> {
        let mut most = self.fill();
        let body = self.open.front()?.start;
        loop {
            let ended = self.ended(most);
            let end = self.open[ended - 1].end;
            let start = self.repeated.map_or(body, |(start, _)| start);
            let tokens = self.tokens(start, end);
            // The sum of the pieces was an estimate.
            if tokens > self.tokens_max {
                if ended > 1 {
                    most = ended - 1;
                    continue;
                }
                if self.repeated.take().is_some() {
                    most = self.fill();
                    continue;
                }
                if self.halve() {
                    most = 1;
                    continue;
                }
            }
            self.repeated = self.repeat(ended);
            self.open.drain(..ended);
            return Some(Cut { start, end, tokens: u32::try_from(tokens).unwrap_or(u32::MAX) });
        }
    }
}
