//! Which passages the documents section takes: greedy by rank, within a space, no document more
//! than half of it while others wait.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::context::{Citation, DropReason, Dropped, Input, Passage, block, excerpts::Mark};
use crate::tokens::Tokenizer;
use crate::types::Seq;

/// One document takes at most one in this many of the tokens while passages of others wait: with
/// two sources side by side an answer can be compared, and the best one keeps the most of any.
const DOCUMENT_PART: u64 = 2;

/// A passage is counted only when it has, by what its document says of it, at most this many times
/// the tokens that are left: tokenizers differ by less.
const TOKENS_FACTOR: u64 = 2;

/// What was taken, in the order of taking, and what was not.
pub(super) struct Choice<'a> {
    pub(super) taken: Vec<&'a Passage<'a>>,
    pub(super) dropped: Vec<Dropped>,
}

/// Tokens of pieces of passages, each counted once.
pub(super) struct Counts<'a> {
    tokenizer: &'a Tokenizer,
    /// By document, start and end.
    known: BTreeMap<(usize, u64, u64), u32>,
}

impl<'a> Counts<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, known: BTreeMap::new() }
    }

    /// What the bytes `start` to `end` of the passage's document cost, as a text that ends a line.
    pub(super) fn of(&mut self, passage: &Passage<'_>, start: u64, end: u64) -> u32 {
        let tokenizer = self.tokenizer;
        let known = self.known.entry((passage.document, start, end));
        *known.or_insert_with(|| tokenizer.count(&body(part(passage, start, end)).0))
    }

    fn mark(&self, mark: &Mark<'_>) -> u32 {
        self.tokenizer.count(&mark.text().0)
    }
}

/// The bytes `start` to `end` of the document's text, as far as the passage holds them. Borders
/// inside a character move inward.
pub(super) fn part<'a>(passage: &Passage<'a>, start: u64, end: u64) -> &'a str {
    let text = passage.text;
    let at = |byte: u64| {
        let inside = byte.saturating_sub(passage.start);
        usize::try_from(inside).unwrap_or(text.len()).min(text.len())
    };
    let border = |at: &usize| text.is_char_boundary(*at);
    let from = (at(start)..text.len()).find(border).unwrap_or(text.len());
    let to = (from..=at(end)).rfind(border).unwrap_or(from);
    &text[from..to]
}

/// A text as the section shows it, and whether a look-alike of the fence or of a mark was escaped
/// in it.
pub(super) fn body(text: &str) -> (Cow<'_, str>, bool) {
    let (text, fence) = block::escape(text);
    let (text, escaped) = match block::escape_marks(&text) {
        (Cow::Owned(text), _) => (Cow::Owned(text), true),
        (Cow::Borrowed(_), _) => (text, fence),
    };
    let ends = text.ends_with('\n');
    (if ends { text } else { Cow::Owned(text.into_owned() + "\n") }, escaped)
}

/// Takes passages into `left` tokens of texts and marks. What does not fit is passed over; what
/// lies wholly in what is taken is dropped; a passage given twice is ignored. What the limit of its
/// document crowds out comes again when all have been looked at.
pub(super) fn choose<'a>(input: &Input<'a>, left: u64, counts: &mut Counts<'a>) -> Choice<'a> {
    let mut seen = BTreeSet::new();
    let mut chooser = Chooser {
        input,
        left,
        limit: left / DOCUMENT_PART,
        shown: BTreeMap::new(),
        choice: Choice { taken: Vec::new(), dropped: Vec::new() },
    };
    let mut crowded = Vec::new();
    for passage in input.passages.iter().filter(|passage| is_whole(input, passage)) {
        if !seen.insert((passage.document, passage.start, passage.end)) {
            continue;
        }
        if !chooser.offer(passage, counts) {
            crowded.push(passage);
        }
    }
    chooser.limit = u64::MAX;
    for passage in crowded {
        chooser.offer(passage, counts);
    }
    chooser.choice.dropped.sort_by(|a, b| b.score.total_cmp(&a.score));
    chooser.choice
}

/// Whether it is of a known document and its range is as long as its text.
fn is_whole(input: &Input<'_>, passage: &Passage<'_>) -> bool {
    passage.document < input.documents.len()
        && passage.end.checked_sub(passage.start) == u64::try_from(passage.text.len()).ok()
}

/// What of a document is taken.
#[derive(Default)]
struct Shown<'a> {
    /// The ranges of the taken chunks, and the headings that they stand under.
    chunks: Vec<(u64, u64, &'a [String])>,
    tokens: u64,
}

impl Shown<'_> {
    /// The ranges of `start` to `end` that no taken chunk holds.
    fn uncovered(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> =
            self.chunks.iter().map(|(start, end, _)| (*start, *end)).collect();
        ranges.sort_unstable();
        let mut free = Vec::new();
        let mut at = start;
        for (from, to) in ranges {
            if from > at && at < end {
                free.push((at, from.min(end)));
            }
            at = at.max(to);
        }
        if at < end {
            free.push((at, end));
        }
        free
    }
}

struct Chooser<'a, 'b> {
    input: &'b Input<'a>,
    left: u64,
    /// The most tokens of one document.
    limit: u64,
    shown: BTreeMap<usize, Shown<'a>>,
    choice: Choice<'a>,
}

impl<'a> Chooser<'a, '_> {
    /// Takes a passage or drops it; false when only the limit of its document is in the way.
    fn offer(&mut self, passage: &'a Passage<'a>, counts: &mut Counts<'a>) -> bool {
        let shown = self.shown.entry(passage.document).or_default();
        let free = shown.uncovered(passage.start, passage.end);
        let about = u64::from(passage.tokens);
        let why = if passage.text.trim().is_empty() {
            Some(DropReason::NotSendable)
        } else if free.is_empty() {
            Some(DropReason::AlreadyShown)
        } else if self.choice.taken.len() >= self.input.passages_max as usize {
            Some(DropReason::OverLimit)
        } else if self.left == 0 || about > self.left.saturating_mul(TOKENS_FACTOR) {
            Some(DropReason::OverBudget)
        } else {
            None
        };
        if let Some(reason) = why {
            self.drop(passage, passage.tokens, reason);
            return true;
        }
        let mut tokens: u32 = free.iter().map(|(from, to)| counts.of(passage, *from, *to)).sum();
        let touches = |(start, end, _): &(u64, u64, &[String])| {
            *start <= passage.end && passage.start <= *end
        };
        if !shown.chunks.iter().any(touches) {
            let is_known = shown.chunks.iter().any(|(.., heading)| *heading == passage.heading);
            let view = &self.input.documents[passage.document];
            let heading = (!is_known).then_some((view, passage.heading));
            tokens += counts.mark(&Mark { number: 1, heading });
        }
        if u64::from(tokens) > self.left {
            self.drop(passage, tokens, DropReason::OverBudget);
            return true;
        }
        // The first passage of a document is never crowded out: it is what others wait beside.
        if shown.tokens > 0 && shown.tokens + u64::from(tokens) > self.limit {
            return false;
        }
        self.left -= u64::from(tokens);
        shown.tokens += u64::from(tokens);
        shown.chunks.push((passage.start, passage.end, passage.heading));
        self.choice.taken.push(passage);
        true
    }

    fn drop(&mut self, passage: &Passage<'_>, tokens: u32, reason: DropReason) {
        self.choice.dropped.push(Dropped {
            source: None,
            seq: Seq(0),
            tokens,
            score: passage.score,
            reason,
            citation: Some(Citation {
                document: passage.document,
                heading: passage.heading.to_vec(),
                start: passage.start,
                end: passage.end,
                first_chunk: passage.chunk,
                last_chunk: passage.chunk,
                best_chunk: passage.chunk,
            }),
        });
    }
}
