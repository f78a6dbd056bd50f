//! Which hits the quoted block takes: greedy by what a token of them is expected to bring, within a
//! space.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::Date;

use crate::context::{
    DropReason, Dropped, Hit, Input, TurnView,
    block::{self, Line},
};
use crate::tokens::Tokenizer;
use crate::types::Seq;

/// About the tokens of a heading, which a hit may need beside its line.
const HEADING_TOKENS: u32 = 8;

/// A hit that was taken.
pub(super) struct Taken<'a> {
    pub(super) hit: &'a Hit,
    pub(super) day: Date,
    pub(super) line: Line,
    pub(super) tokens: u32,
    pub(super) partial: bool,
}

/// What was taken, in the order of taking, and what was not.
pub(super) struct Choice<'a> {
    pub(super) taken: Vec<Taken<'a>>,
    pub(super) dropped: Vec<Dropped>,
    /// The tokens of each heading, by day and source.
    pub(super) headings: BTreeMap<(Date, usize), u32>,
    left: u64,
}

/// Takes hits into `left` tokens of lines and headings. A hit that does not fit is passed over; a
/// hit given twice, or of a turn that is no living one, is ignored. `is_shown` says which turns
/// other sections show.
pub(super) fn choose<'a>(
    input: &Input<'a>,
    left: u64,
    is_shown: &dyn Fn(usize, Seq) -> bool,
) -> Choice<'a> {
    let tokenizer = &input.model.tokenizer;
    let mut choice =
        Choice { taken: Vec::new(), dropped: Vec::new(), headings: BTreeMap::new(), left };
    let mut seen = BTreeSet::new();
    for (hit, view) in by_gain(input) {
        if !seen.insert((hit.source, hit.seq)) {
            continue;
        }
        if is_shown(hit.source, hit.seq) {
            choice.drop(hit, view.counts.line, DropReason::AlreadyShown);
        } else if view.counts.line == 0 {
            choice.drop(hit, 0, DropReason::NotSendable);
        } else if choice.taken.len() >= input.retrieved_turns_max as usize {
            choice.drop(hit, view.counts.line, DropReason::OverLimit);
        } else {
            let day = block::day(view.turn.created_at, input.time_zone);
            choice.take(hit, view, day, tokenizer);
        }
    }
    choice
}

/// The hits of living turns, those first of which a token is expected to bring most: the greedy
/// order of the knapsack problem (Dantzig, Discrete-Variable Extremum Problems, 1957). The chance
/// that a hit is what is asked for grows as an exponential of its score, so its logarithm a token
/// is the score less the price of its length. Among equals the better hit is first.
fn by_gain<'a>(input: &Input<'a>) -> Vec<(&'a Hit, &'a TurnView<'a>)> {
    let gain = |hit: &Hit, view: &TurnView<'_>| {
        let tokens = view.counts.line.saturating_add(HEADING_TOKENS);
        hit.score - input.length_price * f64::from(tokens).ln()
    };
    let found = input.hits.iter().filter_map(|hit| Some((hit, find(input, hit)?)));
    let mut found: Vec<_> = found.map(|(hit, view)| (gain(hit, view), hit, view)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, hit, view)| (hit, view)).collect()
}

fn find<'a>(input: &Input<'a>, hit: &Hit) -> Option<&'a TurnView<'a>> {
    let turns = input.sources.get(hit.source)?.turns;
    let at = turns.binary_search_by_key(&hit.seq, |view| view.turn.seq).ok()?;
    Some(&turns[at])
}

impl<'a> Choice<'a> {
    /// Notes what is left out.
    pub(super) fn drop(&mut self, hit: &Hit, tokens: u32, reason: DropReason) {
        let Hit { source, seq, score, .. } = *hit;
        let source = Some(source);
        self.dropped.push(Dropped { source, seq, tokens, score, reason, citation: None });
    }

    fn take(&mut self, hit: &'a Hit, view: &TurnView<'_>, day: Date, tokenizer: &Tokenizer) {
        let whole = view.counts.line;
        if hit.passage.is_none() && u64::from(whole) > self.left {
            return self.drop(hit, whole, DropReason::OverBudget);
        }
        let place = (day, hit.source);
        let known = self.headings.contains_key(&place);
        let heading = if known { 0 } else { tokenizer.count(&block::heading(day)) };
        let left = self.left.saturating_sub(u64::from(heading));
        // A passage alone where the whole would fit costs more evidence than the space it saves.
        let part = hit.passage.as_ref().filter(|_| u64::from(whole) > left);
        let part = part.and_then(|range| passage(view, range, tokenizer));
        let (line, tokens, partial) = match part {
            Some((line, tokens)) => (Some(line), tokens, true),
            None if u64::from(whole) <= left => (block::line(view.turn, None), whole, false),
            None => (None, whole, false),
        };
        let Some(line) = line.filter(|_| u64::from(tokens) <= left) else {
            return self.drop(hit, whole, DropReason::OverBudget);
        };
        self.left = left - u64::from(tokens);
        if !known {
            self.headings.insert(place, heading);
        }
        self.taken.push(Taken { hit, day, line, tokens, partial });
    }

    /// Gives up the last of what was taken, `tokens` of it or all.
    pub(super) fn give_up(&mut self, tokens: u64) {
        let mut freed = 0;
        while freed < tokens
            && let Some(taken) = self.taken.pop()
        {
            freed += u64::from(taken.tokens);
            self.drop(taken.hit, taken.tokens, DropReason::OverBudget);
        }
    }
}

/// A passage as a line, unless it is no shorter than the whole.
fn passage(
    view: &TurnView<'_>,
    range: &Range<usize>,
    tokenizer: &Tokenizer,
) -> Option<(Line, u32)> {
    let line = block::line(view.turn, Some(range))?;
    let tokens = tokenizer.count(&line.text);
    (tokens < view.counts.line).then_some((line, tokens))
}
