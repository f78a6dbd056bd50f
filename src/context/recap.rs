//! The summary section: lines of summaries as one message, by day, and its count.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::context::{
    Cost, CountMethod, Input, Item, Message, MessageRole, SummaryView, Trust, block,
    groups::Rules,
    measure::{cost, text_cost},
};
use crate::summarize::{Line, Span, frontier};
use crate::tokens::Tokenizer;
use crate::types::Seq;

/// A budget below this gets no summary: ten percent of it would hold a few words.
const BUDGET_TOKENS_MIN: u32 = 2_048;

/// Summaries of this many other sessions are looked at, the latest: more than a share holds.
const OTHER_SESSIONS_MAX: usize = 16;

/// The summary section.
pub(super) struct Recap {
    /// The message and its cost; none when there is nothing to show.
    pub(super) message: Option<(Message, Cost)>,
    pub(super) method: CountMethod,
    /// What it shows, one item a summary; the message's index is not known here.
    pub(super) items: Vec<Item>,
    /// What all of it costs, framing included.
    pub(super) tokens: u64,
}

/// A summary that may be shown.
struct Shown<'a> {
    view: &'a SummaryView<'a>,
    /// Whether it is of another session than the one whose recent turns are shown.
    is_other: bool,
    /// How many summaries of its kind are newer.
    age: usize,
}

/// A line that may be shown: in the order of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_other: bool,
    day: Date,
    source: usize,
    seq: Seq,
    /// The index of its summary among those that may be shown, and of the line in it.
    shown: usize,
    line: usize,
}

impl Place {
    /// Which heading it stands under.
    fn heading(&self) -> (bool, Date, usize) {
        (self.is_other, self.day, self.source)
    }
}

/// Packs summaries into `space` tokens, the message around them included. Of the session whose
/// recent turns are shown, only what lies wholly before `end` is taken; none: all of it.
pub(super) fn recap(input: &Input<'_>, rules: Rules<'_>, space: u64, end: Option<Seq>) -> Recap {
    let none = Recap { message: None, method: CountMethod::Added, items: Vec::new(), tokens: 0 };
    if space == 0 || input.budget_tokens < BUDGET_TOKENS_MIN || input.summaries.is_empty() {
        return none;
    }
    let shown = candidates(input, end);
    let mut packed = Packed::new(input, rules);
    packed.fill(&shown, space);
    while !packed.taken.is_empty() {
        let message = Message::text(MessageRole::User, packed.render(&shown));
        let mut method = CountMethod::Added;
        let own = if rules.tokenizer.lines_add_up() {
            text_cost(packed.content, rules.format)
        } else {
            method = CountMethod::Recounted;
            cost(std::slice::from_ref(&message), rules.format, rules.tokenizer)
        };
        let tokens = own.tokens(rules.framing);
        if tokens <= space {
            let items = packed.items(&shown);
            return Recap { message: Some((message, own)), method, items, tokens };
        }
        packed.taken.pop();
    }
    none
}

/// The line of a summary as the block shows it.
pub(crate) fn line_text(line: &Line) -> block::Line {
    let rendered = line.render().replace(['\n', '\r'], " ");
    let (text, escaped) = block::escape(&rendered);
    let text = block::begins_line(text.trim_start().to_owned()) + "\n";
    block::Line { text, escaped }
}

/// The summaries that may be shown, those of the session first, then by source.
fn candidates<'a>(input: &Input<'a>, end: Option<Seq>) -> Vec<Shown<'a>> {
    let mut sources: BTreeMap<usize, Vec<&'a SummaryView<'a>>> = BTreeMap::new();
    for view in input.summaries {
        let whole = view.summary.lines.len() == view.line_tokens.len();
        let is_own = Some(view.source) == input.session;
        let is_before = !is_own || end.is_none_or(|end| view.summary.span.last_seq < end);
        if whole && is_before && is_living(input, view) {
            sources.entry(view.source).or_default().push(view);
        }
    }
    let own = input.session.and_then(|own| sources.remove(&own)).unwrap_or_default();
    let mut others: Vec<Vec<&SummaryView<'_>>> = sources.into_values().map(uncovered).collect();
    let latest = |views: &Vec<&SummaryView<'_>>| {
        let lines = views.iter().flat_map(|view| &view.summary.lines);
        Reverse(lines.map(|line| line.created_at).max())
    };
    others.sort_by_key(latest);
    others.truncate(OTHER_SESSIONS_MAX);
    let newest = |is_other: bool| {
        move |(age, view): (usize, &'a SummaryView<'a>)| Shown { view, is_other, age }
    };
    let own = uncovered(own).into_iter().rev().enumerate().map(newest(false));
    let others = others.into_iter().flat_map(|views| views.into_iter().rev());
    own.chain(others.enumerate().map(newest(true))).collect()
}

/// Those that no other covers, oldest first.
fn uncovered<'a>(views: Vec<&'a SummaryView<'a>>) -> Vec<&'a SummaryView<'a>> {
    let spans: Vec<Span> = views.iter().map(|view| view.summary.span).collect();
    frontier(&spans).into_iter().map(|at| views[at]).collect()
}

/// Whether a turn that it covers is still there.
fn is_living(input: &Input<'_>, view: &SummaryView<'_>) -> bool {
    let Some(source) = input.sources.get(view.source) else { return false };
    let span = &view.summary.span;
    let at = source.turns.partition_point(|turn| turn.turn.seq < span.first_seq);
    source.turns.get(at).is_some_and(|turn| turn.turn.seq <= span.last_seq)
}

/// Lines that are taken into a space.
struct Packed<'a> {
    input: &'a Input<'a>,
    rules: Rules<'a>,
    /// In the order of their worth.
    taken: Vec<Place>,
    /// Tokens of all that is taken, and of what stands around it.
    content: u32,
}

impl<'a> Packed<'a> {
    fn new(input: &'a Input<'a>, rules: Rules<'a>) -> Self {
        let fence = [block::OPEN_SUMMARY, block::CLOSE];
        let content = fence.map(|text| rules.tokenizer.count(text)).iter().sum();
        Self { input, rules, taken: Vec::new(), content }
    }

    /// Takes lines: those of the session first, the best first, more of the newer summaries.
    fn fill(&mut self, shown: &[Shown<'_>], space: u64) {
        let mut lines: Vec<(bool, usize, Place)> = Vec::new();
        for (at, one) in shown.iter().enumerate() {
            for (line, said) in one.view.summary.lines.iter().enumerate() {
                let place = Place {
                    is_other: one.is_other,
                    day: block::day(said.created_at, self.input.time_zone),
                    source: one.view.source,
                    seq: said.seq,
                    shown: at,
                    line,
                };
                // A line of the newest summary outweighs the same rank of the next by a half.
                let worth = (usize::from(said.rank) + 1) * (2 + one.age);
                lines.push((one.is_other, worth, place));
            }
        }
        lines.sort_unstable();
        let mut headings = BTreeMap::new();
        let mut has_others = false;
        for (is_other, _, place) in lines {
            let tokenizer = self.rules.tokenizer;
            let mut own = shown[place.shown].view.line_tokens[place.line];
            if !headings.contains_key(&place.heading()) {
                own += heading_tokens(&mut headings, place, tokenizer);
            }
            if is_other && !has_others {
                own += tokenizer.count(block::OTHERS);
            }
            let content = self.content.saturating_add(own);
            if text_cost(content, self.rules.format).tokens(self.rules.framing) <= space {
                self.content = content;
                self.taken.push(place);
                has_others |= is_other;
            } else if !self.taken.iter().any(|taken| taken.heading() == place.heading()) {
                headings.remove(&place.heading());
            }
        }
    }

    fn render(&self, shown: &[Shown<'_>]) -> String {
        let places: BTreeSet<Place> = self.taken.iter().copied().collect();
        let mut text = block::OPEN_SUMMARY.to_owned();
        let mut before: Option<Place> = None;
        for place in places {
            if place.is_other && before.is_none_or(|before| !before.is_other) {
                text.push_str(block::OTHERS);
            }
            if before.is_none_or(|before| before.heading() != place.heading()) {
                text.push_str(&block::heading(place.day));
            }
            let line = &shown[place.shown].view.summary.lines[place.line];
            text.push_str(&line_text(line).text);
            before = Some(place);
        }
        text.push_str(block::CLOSE);
        text
    }

    /// One item for each summary of which a line is taken, those of the session first.
    fn items(&self, shown: &[Shown<'_>]) -> Vec<Item> {
        let mut taken: BTreeMap<(bool, usize, Seq), (usize, Vec<usize>)> = BTreeMap::new();
        for place in &self.taken {
            let span = &shown[place.shown].view.summary.span;
            let key = (place.is_other, place.source, span.first_seq);
            taken.entry(key).or_insert((place.shown, Vec::new())).1.push(place.line);
        }
        let item = |((_, source, _), (at, lines)): (_, (usize, Vec<usize>))| {
            let SummaryView { summary, line_tokens, .. } = shown[at].view;
            Item {
                source: Some(source),
                first_seq: summary.span.first_seq,
                last_seq: summary.span.last_seq,
                tokens: lines.iter().map(|line| line_tokens[*line]).sum(),
                score: 0.0,
                partial: lines.len() < summary.lines.len(),
                escaped: lines.iter().any(|line| line_text(&summary.lines[*line]).escaped),
                message_index: 0,
                trust: Trust::Quoted,
                citation: None,
            }
        };
        taken.into_iter().map(item).collect()
    }
}

fn heading_tokens(
    known: &mut BTreeMap<(bool, Date, usize), u32>,
    place: Place,
    tokenizer: &Tokenizer,
) -> u32 {
    *known.entry(place.heading()).or_insert_with(|| tokenizer.count(&block::heading(place.day)))
}
