//! Long turns in passages: cut at paragraphs, sentences and code blocks.

use std::ops::Range;

/// A turn estimated at more tokens than this is cut into passages.
const TURN_TOKENS_MAX: usize = 300;

/// Passages are filled up to about this many tokens.
const PASSAGE_TOKENS: usize = 150;

/// A sentence estimated at fewer tokens than this stands with its neighbour: "Wow!", "Great."
const SENTENCE_TOKENS_MIN: usize = 6;

/// The byte ranges of the passages of `text`, in order: together they are the whole text, each
/// begins and ends at a character border. One range when the text is short; the empty text has
/// one empty range.
pub(super) fn passages(text: &str) -> Vec<Range<usize>> {
    let short = quarter_tokens(text) <= TURN_TOKENS_MAX * 4;
    let atoms = if short { Vec::new() } else { atoms(text) };
    let mut passages: Vec<Range<usize>> = Vec::new();
    let (mut start, mut filled) = (0, 0);
    for atom in atoms {
        let size = quarter_tokens(&text[atom.clone()]);
        if filled > 0 && filled + size > PASSAGE_TOKENS * 4 {
            passages.push(start..atom.start);
            (start, filled) = (atom.start, 0);
        }
        filled += size;
    }
    passages.push(start..text.len());
    passages
}

/// The byte ranges of the sentences and lines of `text`, in order: together they are the whole
/// text. One that is too short to mean something by itself is one with the next, or at the end with
/// the one before.
pub(super) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut sentences: Vec<Range<usize>> = Vec::new();
    let (mut start, mut filled) = (0, 0);
    for atom in atoms(text) {
        filled += quarter_tokens(text[atom.clone()].trim());
        if filled >= SENTENCE_TOKENS_MIN * 4 {
            sentences.push(start..atom.end);
            (start, filled) = (atom.end, 0);
        }
    }
    match sentences.last_mut() {
        Some(last) => last.end = text.len(),
        None => sentences.push(0..text.len()),
    }
    sentences
}

/// An estimate of the tokens of `text`, times four: a letter of the Latin script is a quarter of a
/// token, of another alphabet a half, of a script without spaces a whole one.
fn quarter_tokens(text: &str) -> usize {
    text.chars().map(quarters).sum()
}

fn quarters(c: char) -> usize {
    match u32::from(c) {
        0..0x250 => 1,
        0x250..0xe00 => 2,
        _ => 4,
    }
}

/// The smallest pieces that are kept whole: sentences, lines, code blocks; over-long ones are cut
/// hard.
fn atoms(text: &str) -> Vec<Range<usize>> {
    let mut atoms = Vec::new();
    let (mut start, mut at, mut fenced) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        let fence = line.trim_start().starts_with("```");
        if fence && !fenced && start < at {
            push_cut(text, start..at, &mut atoms);
            start = at;
        }
        fenced ^= fence;
        let line_start = at;
        at += line.len();
        if !fenced {
            if !fence {
                for end in sentence_ends(line) {
                    push_cut(text, start..line_start + end, &mut atoms);
                    start = line_start + end;
                }
            }
            if start < at {
                push_cut(text, start..at, &mut atoms);
            }
            start = at;
        }
    }
    if start < text.len() {
        push_cut(text, start..text.len(), &mut atoms);
    }
    atoms
}

/// Where sentences end inside `line`, the end of the line left out.
fn sentence_ends(line: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut closed = false;
    for (at, c) in line.char_indices() {
        if closed && c.is_whitespace() {
            ends.push(at + c.len_utf8());
        }
        closed = matches!(c, '.' | '!' | '?' | '؟' | '…');
        if matches!(c, '。' | '！' | '？') {
            ends.push(at + c.len_utf8());
        }
    }
    ends.retain(|end| *end < line.len());
    ends
}

/// Pushes `range`, cut at white space or characters where it is longer than a turn may be.
fn push_cut(text: &str, range: Range<usize>, atoms: &mut Vec<Range<usize>>) {
    let (mut start, mut filled, mut space) = (range.start, 0, None);
    for (offset, c) in text[range.clone()].char_indices() {
        let at = range.start + offset;
        if filled >= PASSAGE_TOKENS * 4 && (c.is_whitespace() || filled >= TURN_TOKENS_MAX * 4) {
            space = Some(at);
        }
        if let Some(end) = space.take() {
            atoms.push(start..end);
            (start, filled) = (end, 0);
        }
        filled += quarters(c);
    }
    atoms.push(start..range.end);
}
