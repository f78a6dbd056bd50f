//! The documents section: chosen passages as one message, and its count.
//!
//! `[1] Title > Heading (document)` and the text as it stands in the document; neighbouring chunks
//! are one passage. The number is the passage's place among the items of the section. A further
//! passage under the same heading has `[2] …` before it. Each passage begins with its mark and ends
//! in a line break, so that counts of passages add up although lines inside of them, which begin as
//! the document has them, do not.

use std::collections::BTreeMap;

use crate::context::{
    Citation, Cost, CountMethod, DocumentView, Dropped, Input, Item, Message, MessageRole, Passage,
    Trust, block,
    groups::Rules,
    measure::{cost, text_cost},
    passages::{Choice, Counts, body, choose, part},
};
use crate::types::Seq;

/// The most characters of a title or a heading in a mark: a long one is cut, the account has it
/// whole.
const WORDS_CHARS_MAX: usize = 120;

/// The documents section.
pub(super) struct Excerpts {
    /// The message and its cost; none when nothing was taken.
    pub(super) message: Option<(Message, Cost)>,
    pub(super) method: CountMethod,
    /// What it shows, in the order of the text; the message's index is not known here.
    pub(super) items: Vec<Item>,
    /// What was left out, best first.
    pub(super) dropped: Vec<Dropped>,
    /// What all of it costs, framing included.
    pub(super) tokens: u64,
}

/// Packs passages into `space` tokens, the message around them included.
pub(super) fn excerpts(input: &Input<'_>, rules: Rules<'_>, space: u64) -> Excerpts {
    let mut counts = Counts::new(&input.model.tokenizer);
    let fence = match input.passages {
        [] => 0,
        _ => [block::OPEN_DOCUMENTS, block::CLOSE].map(|t| rules.tokenizer.count(t)).iter().sum(),
    };
    let around = text_cost(fence, rules.format).tokens(rules.framing);
    let mut method = CountMethod::Added;
    // Chunks are chosen by counts of their own. Where two of them meet, the count of the whole may
    // be another; then less is chosen.
    let mut margin = 0;
    loop {
        let left = space.saturating_sub(around).saturating_sub(margin);
        let Choice { taken, dropped } = choose(input, left, &mut counts);
        if taken.is_empty() {
            return Excerpts { message: None, method, items: Vec::new(), dropped, tokens: 0 };
        }
        let rendered = render(input, &taken, &mut counts, rules);
        let message = Message::text(MessageRole::User, rendered.text);
        let own = if rules.tokenizer.lines_add_up() {
            text_cost(fence.saturating_add(rendered.tokens), rules.format)
        } else {
            method = CountMethod::Recounted;
            cost(std::slice::from_ref(&message), rules.format, rules.tokenizer)
        };
        let tokens = own.tokens(rules.framing);
        if tokens <= space {
            let message = Some((message, own));
            return Excerpts { message, method, items: rendered.items, dropped, tokens };
        }
        margin = margin * 2 + (tokens - space);
    }
}

/// Chunks that touch each other, as one.
struct Run<'a> {
    document: usize,
    start: u64,
    end: u64,
    chunks: (u32, u32),
    best: &'a Passage<'a>,
    heading: &'a [String],
    text: String,
    /// The chunk, when it is a single one.
    only: Option<&'a Passage<'a>>,
}

/// What stands before a passage.
pub(super) struct Mark<'a> {
    pub(super) number: usize,
    /// Where it stands; none: where the passage before it does.
    pub(super) heading: Option<(&'a DocumentView<'a>, &'a [String])>,
}

impl Mark<'_> {
    /// The mark as a line, and whether a look-alike of the fence was escaped in it.
    pub(super) fn text(&self) -> (String, bool) {
        let Some((view, heading)) = self.heading else {
            return (format!("[{}] …\n", self.number), false);
        };
        let mut path: Vec<String> = Vec::new();
        for words in std::iter::once(view.title).chain(heading.iter().map(String::as_str)) {
            let words = one_line(words);
            if !words.is_empty() && path.last() != Some(&words) {
                path.push(words);
            }
        }
        let space = if path.is_empty() { "" } else { " " };
        let path = path.join(" > ");
        let line = format!("[{}] {path}{space}({})\n", self.number, view.document);
        let (text, escaped) = block::escape(&line);
        (text.into_owned(), escaped)
    }
}

/// The words of a text on one line.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(WORDS_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

struct Rendered {
    text: String,
    items: Vec<Item>,
    /// Tokens of all passages with their marks.
    tokens: u32,
}

fn render<'a>(
    input: &Input<'a>,
    taken: &[&'a Passage<'a>],
    counts: &mut Counts<'a>,
    rules: Rules<'_>,
) -> Rendered {
    let mut text = block::OPEN_DOCUMENTS.to_owned();
    let mut items = Vec::new();
    let mut total = 0_u32;
    let mut place: Option<(usize, &[String])> = None;
    for (at, run) in runs(taken).into_iter().enumerate() {
        let here = (run.document, run.heading);
        let is_new = place.replace(here) != Some(here);
        let heading = is_new.then(|| (&input.documents[run.document], run.heading));
        let (mark, mark_escaped) = Mark { number: at + 1, heading }.text();
        let (body, body_escaped) = body(&run.text);
        let own = rules.tokenizer.count(&mark);
        let whole = match run.only.filter(|_| block::adds_up(&body)) {
            Some(chunk) => own.saturating_add(counts.of(chunk, chunk.start, chunk.end)),
            None => rules.tokenizer.count(&format!("{mark}{body}")),
        };
        total = total.saturating_add(whole);
        text.push_str(&mark);
        text.push_str(&body);
        items.push(item(&run, whole.saturating_sub(own), mark_escaped || body_escaped));
    }
    text.push_str(block::CLOSE);
    Rendered { text, items, tokens: total }
}

/// What was taken, chunks that touch each other as one: documents in the order in which they came
/// in, each in the order of its text.
fn runs<'a>(taken: &[&'a Passage<'a>]) -> Vec<Run<'a>> {
    let mut order = BTreeMap::new();
    for (at, passage) in taken.iter().enumerate() {
        order.entry(passage.document).or_insert(at);
    }
    let mut sorted = taken.to_vec();
    sorted.sort_by_key(|passage| (order[&passage.document], passage.start, passage.end));
    let mut runs: Vec<Run<'a>> = Vec::new();
    for passage in sorted {
        let last = runs.last_mut();
        let touches =
            |run: &&mut Run<'_>| run.document == passage.document && passage.start <= run.end;
        match last.filter(touches) {
            Some(run) => run.add(passage),
            None => runs.push(Run::of(passage)),
        }
    }
    runs
}

impl<'a> Run<'a> {
    fn of(passage: &'a Passage<'a>) -> Self {
        Self {
            document: passage.document,
            start: passage.start,
            end: passage.end,
            chunks: (passage.chunk, passage.chunk),
            best: passage,
            heading: passage.heading,
            text: passage.text.to_owned(),
            only: Some(passage),
        }
    }

    /// Adds a chunk that starts inside or at the end of the run.
    fn add(&mut self, passage: &'a Passage<'a>) {
        self.text.push_str(part(passage, self.end, passage.end));
        self.end = self.end.max(passage.end);
        self.chunks = (self.chunks.0.min(passage.chunk), self.chunks.1.max(passage.chunk));
        if passage.score > self.best.score {
            self.best = passage;
        }
        self.only = None;
    }
}

fn item(run: &Run<'_>, tokens: u32, escaped: bool) -> Item {
    Item {
        source: None,
        first_seq: Seq(0),
        last_seq: Seq(0),
        tokens,
        score: run.best.score,
        partial: false,
        escaped,
        message_index: 0,
        trust: Trust::Quoted,
        citation: Some(Citation {
            document: run.document,
            heading: run.heading.to_vec(),
            start: run.start,
            end: run.end,
            first_chunk: run.chunks.0,
            last_chunk: run.chunks.1,
            best_chunk: run.best.chunk,
        }),
    }
}
