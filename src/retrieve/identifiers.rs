//! Identifiers: names of code, versions, paths, addresses, numbers of orders. They are found whole
//! and by their parts.

use crate::retrieve::{fold::fold, query::cut, words::Word};

/// Only this many bytes of what stands for several words count: addresses of pages go on for long.
const CHAIN_BYTES_MAX: usize = 128;

/// Hexadecimal words of so many characters and more are found by their first [`SHORT_HASH`] too.
const HASH_MIN: usize = 8;

/// As many characters of a hash as people write.
const SHORT_HASH: usize = 7;

/// Whether a word (of its own letters, not folded) has parts.
pub(super) fn is_identifier(word: &str) -> bool {
    is_version(word) || is_hash(word) || {
        let (mut letters, mut split) = (false, false);
        let mut humps = Humps::default();
        for c in word.chars() {
            split |= humps.next(c) || c == '_' || c == '.' || c == ':';
            letters |= c.is_alphabetic();
        }
        split && letters
    }
}

/// Gives the parts of an identifier of more than one byte each.
pub(super) fn each_part(word: &str, give: &mut dyn FnMut(&str)) {
    if is_version(word) {
        let bare = word.trim_start_matches(['v', 'V']);
        if bare.len() < word.len() {
            give(bare);
        }
        let mut dots = bare.match_indices('.');
        if let (_, Some((second, _))) = (dots.next(), dots.next()) {
            give(&bare[..second]);
        }
        return;
    }
    if is_hash(word) {
        give(&word[..SHORT_HASH]);
    }
    for piece in word.split(['_', '.', ':']) {
        let whole = piece.len() == word.len();
        each_hump(piece, &mut |part| {
            if part.len() > 1 && !(whole && part.len() == word.len()) {
                give(part);
            }
        });
    }
}

/// Whether a word is numbers with dots, and a `v` before them or not.
fn is_version(word: &str) -> bool {
    let bare = word.strip_prefix(['v', 'V']).unwrap_or(word).as_bytes();
    bare.contains(&b'.') && bare.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// Whether a word looks like the hash of something: hexadecimal, with letters and digits.
fn is_hash(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= HASH_MIN
        && bytes.iter().all(u8::is_ascii_hexdigit)
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_alphabetic)
}

/// Where a word goes over from small letters to a capital: `renderFrame`; or from an abbreviation
/// to a word: `HTTPServer`.
#[derive(Default)]
struct Humps {
    lower: bool,
    /// How many capitals came just before.
    capitals: usize,
    /// How many small letters follow a capital that follows another.
    tail: usize,
    after_capitals: bool,
}

/// So many small letters make a word behind an abbreviation: the `s` of `URLs` does not.
const TAIL_MIN: usize = 2;

impl Humps {
    /// Takes the next character; whether it shows that there was a border.
    fn next(&mut self, c: char) -> bool {
        let (upper, lower) = (c.is_uppercase(), c.is_lowercase());
        let border = self.lower && upper;
        if lower {
            self.after_capitals |= self.capitals >= 2;
            self.tail = if self.after_capitals { self.tail + 1 } else { 0 };
        } else {
            (self.after_capitals, self.tail) = (false, 0);
        }
        self.capitals = if upper { self.capitals + 1 } else { 0 };
        self.lower = lower;
        border || self.tail == TAIL_MIN
    }
}

fn each_hump(piece: &str, give: &mut dyn FnMut(&str)) {
    let mut humps = Humps::default();
    let (mut start, mut capital) = (0, 0);
    for (at, c) in piece.char_indices() {
        let upper = c.is_uppercase();
        if humps.next(c) {
            let border = if upper { at } else { capital };
            if border > start {
                give(&piece[start..border]);
                start = border;
            }
        }
        if upper {
            capital = at;
        }
    }
    give(&piece[start..]);
}

/// Words that follow each other without a space: paths, addresses, numbers with hyphens.
pub(super) struct Chain<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    words: usize,
    slashes: usize,
    /// Whether there is a `://` in it, and where what is behind it begins.
    address: Option<usize>,
    /// Whether a mark in it stands between the words of identifiers only.
    told: bool,
}

/// Between words of a chain.
const JOINTS: &str = "-/\\.@:_";
/// Also between them once there was a slash.
const JOINTS_OF_PATHS: &str = "-/\\.@:_?&=%#+~";
/// So many of them at most: `://`, and `/../` is none.
const JOINTS_MAX: usize = 3;

impl<'a> Chain<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, start: 0, end: 0, words: 0, slashes: 0, address: None, told: false }
    }

    /// Takes the next word, at `start`; gives the chain before it, unless it goes on.
    pub(super) fn next(&mut self, start: usize, word: &str, sink: &mut dyn FnMut(Word<'_>)) {
        if self.words > 0 && self.goes_on(start) {
            self.words += 1;
        } else {
            self.end(sink);
            (self.start, self.words) = (start, 1);
        }
        self.end = start + word.len();
    }

    fn goes_on(&mut self, start: usize) -> bool {
        let gap = &self.text[self.end..start];
        let joints = if self.slashes > 0 { JOINTS_OF_PATHS } else { JOINTS };
        let joins = gap.len() <= JOINTS_MAX && gap.chars().all(|c| joints.contains(c));
        if !joins || gap.is_empty() || matches!(gap, "--" | "---" | ".." | "...") {
            return false;
        }
        match gap {
            "://" if self.words == 1 => self.address = Some(start),
            "@" | "::" | "." => self.told = true,
            ":" | "-" => {}
            _ => self.slashes += gap.matches(['/', '\\']).count(),
        }
        true
    }

    /// Gives what stands for the chain, if it is an identifier, and begins anew.
    pub(super) fn end(&mut self, sink: &mut dyn FnMut(Word<'_>)) {
        if self.words > 0 {
            self.give(sink);
        }
        *self = Self::new(self.text);
    }

    fn give(&self, sink: &mut dyn FnMut(Word<'_>)) {
        let (before, after) = (&self.text[..self.start], &self.text[self.end..]);
        let chain = &self.text[self.start..self.end];
        let mut folded = String::new();
        if self.words > 1 && self.is_identifier(before) {
            let chain = &self.text[self.address.unwrap_or(self.start)..self.end];
            let chain = chain.strip_prefix("www.").unwrap_or(chain);
            fold(cut(chain, CHAIN_BYTES_MAX), &mut folded);
            sink(Word::whole(&folded));
        }
        // `C++`, `C#`: the last word with its marks.
        let marks = match after.as_bytes() {
            [b'+', b'+', ..] => 2,
            [b'#', ..] => 1,
            _ => 0,
        };
        let ends = after[marks..].chars().next().is_none_or(|c| !c.is_alphanumeric());
        if marks > 0 && (marks == 2 || ends) {
            let last = chain.rfind(|c: char| JOINTS.contains(c)).map_or(0, |at| at + 1);
            fold(cut(&chain[last..], CHAIN_BYTES_MAX), &mut folded);
            folded.push_str(&after[..marks]);
            sink(Word::whole(&folded));
        }
        // `.NET`, `.env`: the first word with its dot.
        if let Some(before) = before.strip_suffix('.')
            && chain.starts_with(char::is_alphabetic)
            && before
                .chars()
                .next_back()
                .is_none_or(|c| c.is_whitespace() || "(\"'`[/\\".contains(c))
        {
            let first = chain.find(|c: char| JOINTS.contains(c)).unwrap_or(chain.len());
            fold(cut(&chain[..first], CHAIN_BYTES_MAX), &mut folded);
            folded.insert(0, '.');
            sink(Word::whole(&folded));
        }
    }

    /// Whether several words are an identifier, and not words of a sentence that hang together.
    fn is_identifier(&self, before: &str) -> bool {
        let chain = &self.text[self.start..self.end];
        self.told
            || self.address.is_some()
            || self.slashes > 1
            || self.slashes > 0
                && (chain.contains(['.', '_']) || before.ends_with(['/', '\\', '~', '.']))
            || chain.bytes().any(|byte| byte.is_ascii_digit())
    }
}
