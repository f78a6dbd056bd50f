//! The smallest parts of a text that chunks are put together from: sentences, lines, and, where
//! those are too long for a chunk, words and parts of words.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;

use super::{Count, Heading};

/// How many bytes are looked at together. The rules of sentences and words look ahead, to the end
/// of the text if they must; inside of such a window their time stays linear in the text.
const WINDOW_BYTES: usize = 1_024;

/// A line that is shorter than this, in bytes, and a line break after it are meant so; longer ones
/// may be wrapped.
const WRAPPED_BYTES_MIN: usize = 40;

/// White space at the end of a line is part of its last sentence up to this many bytes.
const TAIL_BYTES_MAX: usize = 4;

/// Sentences have at most this many marks and spaces in a row.
const MARKS_MAX: usize = 16;

/// How good a place is to begin a chunk, the best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Border {
    /// Inside of a word.
    Inside,
    /// Between words, or where a line was only wrapped.
    Word,
    /// Between sentences.
    Sentence,
    /// Between lines.
    Line,
    /// After an empty line, before a line that is indented.
    Indented,
    /// After an empty line.
    Paragraph,
    /// Before a row.
    Row,
    /// Before a heading; the number is the greater, the higher its level.
    Heading(u8),
}

/// A piece of a text. Pieces follow each other without a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What is before it.
    pub(super) border: Border,
    /// About how many tokens it adds to a chunk, from 1.
    pub(super) tokens: usize,
}

/// The pieces of a text, in order, each made when it is asked for.
pub(super) struct Pieces<'a> {
    text: &'a str,
    headings: &'a [Heading],
    rows: &'a [usize],
    has_rows: bool,
    count: Count<'a>,
    /// A sentence of more tokens is cut.
    sentence_tokens_max: usize,
    /// Parts of sentences have at most so many bytes, and so, in encodings of bytes, tokens.
    part_bytes_max: usize,
    at: usize,
    border: Border,
    made: VecDeque<Piece>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(
        text: &'a str,
        headings: &'a [Heading],
        rows: &'a [usize],
        tokens_max: usize,
        count: Count<'a>,
    ) -> Self {
        Self {
            text,
            headings,
            rows,
            has_rows: !rows.is_empty(),
            count,
            sentence_tokens_max: tokens_max * 2 / 3,
            part_bytes_max: (tokens_max / 2).clamp(16, 64),
            at: 0,
            border: Border::Paragraph,
            made: VecDeque::new(),
        }
    }

    /// Cuts the next line, with the empty ones after it, or what of it fits into a window.
    fn cut_line(&mut self) {
        let (start, line) = (self.at, line(&self.text[self.at..]));
        let heading = self.marked_border(start);
        let (end, after) = match line {
            Line::Whole { bytes, breaks } => {
                let end = start + bytes;
                (end, border_after(&self.text[start..end], &self.text[end..], breaks))
            }
            Line::Open { bytes, after } => (start + bytes, after),
        };
        self.cut_sentences(start, end);
        self.at = end;
        // A heading stands with what follows it.
        self.border = if heading { after.min(Border::Word) } else { after };
    }

    /// Strengthens the border at the start of a line by what is known of the place; says whether
    /// it is a heading.
    fn marked_border(&mut self, start: usize) -> bool {
        let row = self.rows.partition_point(|row| *row < start);
        self.rows = &self.rows[row..];
        if self.rows.first() == Some(&start) {
            self.border = Border::Row;
        } else if self.has_rows {
            // Nothing inside of a row is better than its end.
            self.border = self.border.min(Border::Sentence);
        }
        let mut marked = false;
        while let Some((heading, rest)) = self.headings.split_first() {
            if heading.at > start {
                break;
            }
            if heading.at == start && !self.has_rows {
                let border = Border::Heading(u8::MAX - heading.level);
                self.border = if marked { self.border.max(border) } else { border };
                marked = true;
            }
            self.headings = rest;
        }
        marked
    }

    fn cut_sentences(&mut self, start: usize, end: usize) {
        let text = self.text;
        let words = text[start..end].trim_end();
        let tail = start + words.len();
        // Short white space is one with the sentence before it, other stands alone.
        let ended = if end - tail <= TAIL_BYTES_MAX { end } else { tail };
        let mut sentences = sentences(words).peekable();
        while let Some(offset) = sentences.next() {
            let at = start + offset;
            let until = sentences.peek().map_or(ended, |next| start + next);
            let border = if offset == 0 { self.border } else { Border::Sentence };
            self.push_sentence(at, until, border);
        }
        let rest = self.made.back().map_or(start, |piece| piece.end);
        if rest < end {
            let border = if rest == start { self.border } else { Border::Word };
            self.push_part(rest, &text[rest..end], border);
        }
    }

    fn push_sentence(&mut self, start: usize, end: usize, border: Border) {
        let sentence = &self.text[start..end];
        let tokens = self.tokens(sentence);
        if tokens <= self.sentence_tokens_max || sentence.len() <= self.part_bytes_max {
            self.made.push_back(Piece { start, end, border, tokens });
            return;
        }
        let words = sentence.split_word_bound_indices().map(|(at, _)| at);
        for (offset, part) in joined(sentence, words, self.part_bytes_max) {
            let border = if offset == 0 { border } else { Border::Word };
            self.push_part(start + offset, part, border);
        }
    }

    /// Pushes some words, or the parts of one that is too long.
    fn push_part(&mut self, at: usize, part: &str, border: Border) {
        if part.len() <= self.part_bytes_max {
            let tokens = self.tokens(part);
            self.made.push_back(Piece { start: at, end: at + part.len(), border, tokens });
            return;
        }
        let clusters = part.grapheme_indices(true).map(|(at, _)| at);
        for (offset, cluster) in joined(part, clusters, self.part_bytes_max) {
            // A cluster that is longer than the limit is cut between its characters.
            let characters = cluster.char_indices().map(|(at, _)| at);
            for (inner, piece) in joined(cluster, characters, self.part_bytes_max) {
                let border = if offset + inner == 0 { border } else { Border::Inside };
                let start = at + offset + inner;
                let tokens = self.tokens(piece);
                self.made.push_back(Piece { start, end: start + piece.len(), border, tokens });
            }
        }
    }

    /// About how many tokens `text` adds to a chunk: a space at its end is one with the next word.
    fn tokens(&self, text: &str) -> usize {
        let counted = text.strip_suffix(' ').unwrap_or(text);
        ((self.count)(counted) as usize).max(1)
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.made.is_empty() && self.at < self.text.len() {
            self.cut_line();
        }
        self.made.pop_front()
    }
}

/// A line at the start of a text.
enum Line {
    /// With its line break and the empty lines after it; how many breaks those are.
    Whole { bytes: usize, breaks: usize },
    /// What of it fits into a window, and what the border after that is.
    Open { bytes: usize, after: Border },
}

fn line(text: &str) -> Line {
    let window = &text[..text.floor_char_boundary(WINDOW_BYTES)];
    let Some(first) = window.find('\n') else {
        return open_line(window, window.len() == text.len());
    };
    let (mut bytes, mut breaks) = (first + 1, 1);
    for (offset, c) in window[first + 1..].char_indices() {
        if c == '\n' {
            bytes = first + 1 + offset + 1;
            breaks += 1;
        } else if !c.is_whitespace() {
            break;
        }
    }
    Line::Whole { bytes, breaks }
}

/// As much of a window as ends at a border: its last sentence, word or character may go on.
fn open_line(window: &str, at_end: bool) -> Line {
    if at_end {
        return Line::Open { bytes: window.len(), after: Border::Line };
    }
    if let Some(bytes) = sentences(window).last().filter(|at| *at > 0) {
        return Line::Open { bytes, after: Border::Sentence };
    }
    let last = |(at, _): (usize, &str)| (at > 0).then_some(at);
    if let Some(bytes) = window.split_word_bound_indices().next_back().and_then(last) {
        return Line::Open { bytes, after: Border::Word };
    }
    let bytes = window.grapheme_indices(true).next_back().and_then(last);
    Line::Open { bytes: bytes.unwrap_or(window.len()), after: Border::Inside }
}

/// Where sentences begin. After a full stop the rules look ahead from each mark and space that
/// follows, over all that is no letter; so a text with many of them in a row is one sentence.
fn sentences(text: &str) -> impl Iterator<Item = usize> {
    let mut run = 0;
    let marked = text.chars().any(|c| {
        run = if c.is_alphanumeric() { 0 } else { run + 1 };
        run > MARKS_MAX
    });
    let starts = (!marked).then(|| text.split_sentence_bound_indices().map(|(at, _)| at));
    let whole = (marked && !text.is_empty()).then_some(0);
    starts.into_iter().flatten().chain(whole)
}

/// The border between a line and the text after it.
fn border_after(line: &str, next: &str, breaks: usize) -> Border {
    let next = next.chars().next();
    if breaks > 1 {
        let indented = next.is_some_and(char::is_whitespace);
        return if indented { Border::Indented } else { Border::Paragraph };
    }
    let line = line.trim_end();
    let goes_on = line.ends_with(|c: char| c.is_alphanumeric() || c == ',');
    let wrapped = line.len() >= WRAPPED_BYTES_MIN && goes_on;
    if wrapped && next.is_some_and(char::is_alphabetic) { Border::Word } else { Border::Line }
}

/// The parts of `whole` that begin at these places, neighbours joined as long as they have at most
/// `bytes_max` bytes together; one that has more stands alone.
fn joined(
    whole: &str,
    starts: impl Iterator<Item = usize>,
    bytes_max: usize,
) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for next in starts.skip(1).chain([whole.len()]) {
        if next - start > bytes_max && end > start {
            parts.push((start, &whole[start..end]));
            start = end;
        }
        end = next;
    }
    parts.push((start, &whole[start..]));
    parts
}
