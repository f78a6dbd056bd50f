//! When a summary is due, and over which turns.

use std::ops::Range;

use crate::summarize::{Span, frontier};
use crate::types::{Group, Role, Seq};

/// When summaries are due. Tokens are those of turns as messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Turns that no summary covers may cost this much; more, and the oldest are covered.
    pub tail_high_tokens: u64,
    /// About this much of them is left then. The difference is what one summary covers.
    pub tail_low_tokens: u64,
    /// A level may have this many spans in the frontier; more, and the oldest are covered.
    pub level_spans_max: usize,
    /// How many spans one of the next level covers.
    pub fan_in: usize,
    /// In an idle session, turns that cost less than this are left uncovered: their share would
    /// not hold one sentence.
    pub idle_tokens_min: u64,
}

impl Marks {
    /// What a new tenant gets. A summary covers some 2,000 tokens: one talk of two persons, or a
    /// handful of exchanges with a model, so that its share of 10 % holds some eight sentences. At
    /// the default budget of 4,000 the recent turns take 1,000 to 2,000, so that little lies
    /// between them and the last summary. Seven spans a level leave the newest four or more
    /// uncondensed.
    pub const DEFAULT: Self = Self {
        tail_high_tokens: 3_072,
        tail_low_tokens: 1_024,
        level_spans_max: 7,
        fan_in: 4,
        idle_tokens_min: 256,
    };

    /// What one summary of turns covers at least, unless the turns end before.
    fn leaf_tokens(&self) -> u64 {
        self.tail_high_tokens.saturating_sub(self.tail_low_tokens).max(1)
    }
}

/// A living turn as planning needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnSize {
    /// The turn.
    pub seq: Seq,
    /// What it costs as a message.
    pub tokens: u64,
    /// Who said it: a user's turn opens an exchange.
    pub role: Role,
    /// How it takes part in a group of calls and results, which is never cut.
    pub group: Group,
}

/// A summary that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// One of level 0, over the living turns from `first` to `last`.
    Leaf {
        /// The first turn.
        first: Seq,
        /// The last turn.
        last: Seq,
    },
    /// One of a higher level, over whole spans of the level below it.
    Merge {
        /// The level of the new summary, from 1.
        level: u8,
        /// What it covers, oldest first; at least one.
        children: Vec<Span>,
    },
}

impl Step {
    /// The span of the summary that this step makes.
    pub fn span(&self) -> Span {
        match self {
            Self::Leaf { first, last } => Span { level: 0, first_seq: *first, last_seq: *last },
            Self::Merge { level, children } => Span {
                level: *level,
                first_seq: children.first().map_or(Seq(0), |child| child.first_seq),
                last_seq: children.last().map_or(Seq(0), |child| child.last_seq),
            },
        }
    }
}

/// The next summary that is due, or none; call it again when that one is made.
///
/// `turns` are the living turns by ascending seq, `existing` the spans of all summaries that are
/// not void, in any order. `idle` says that nobody speaks for now: then all turns are
/// covered, but for a group of calls at the end that may go on, and for very few tokens.
///
/// Where a span ends depends only on where it starts and on the turns inside it and right behind
/// it, so that a step that comes late makes the same spans as one that comes in time. What void
/// summaries left uncovered comes first, then turns, then higher levels.
pub fn next(turns: &[TurnSize], existing: &[Span], marks: &Marks, idle: bool) -> Option<Step> {
    let spans = frontier(existing);
    let spans: Vec<Span> = spans.into_iter().map(|at| existing[at]).collect();
    leaf(turns, &spans, marks, idle).or_else(|| merge(&spans, marks))
}

fn leaf(turns: &[TurnSize], spans: &[Span], marks: &Marks, idle: bool) -> Option<Step> {
    let mut at = 0;
    for span in spans {
        let gap = at;
        while at < turns.len() && turns[at].seq < span.first_seq {
            at += 1;
        }
        if gap < at {
            let end = cut(turns, gap..at, marks).unwrap_or(at);
            return Some(step(turns, gap..end));
        }
        while at < turns.len() && turns[at].seq <= span.last_seq {
            at += 1;
        }
    }
    tail(turns, at, marks, idle)
}

/// A summary of the turns after the last that is covered.
fn tail(turns: &[TurnSize], start: usize, marks: &Marks, idle: bool) -> Option<Step> {
    let tokens: u64 = turns[start..].iter().map(|turn| turn.tokens).sum();
    if idle {
        return all(closed(turns), start, marks);
    }
    if tokens <= marks.tail_high_tokens {
        return None;
    }
    let end = cut(turns, start..turns.len(), marks)?;
    (end <= last_exchange(turns)).then(|| step(turns, start..end))
}

/// A summary of all turns from `start` on, or of the first of them.
fn all(turns: &[TurnSize], start: usize, marks: &Marks) -> Option<Step> {
    let tokens = |from: usize| turns[from..].iter().map(|turn| turn.tokens).sum::<u64>();
    if start >= turns.len() || tokens(start) < marks.idle_tokens_min {
        return None;
    }
    let end = cut(turns, start..turns.len(), marks);
    let end = end.filter(|end| tokens(*end) >= marks.idle_tokens_min);
    Some(step(turns, start..end.unwrap_or(turns.len())))
}

/// The turns without a group of calls at their end: more results may come.
fn closed(turns: &[TurnSize]) -> &[TurnSize] {
    let last = turns.iter().rposition(|turn| turn.group == Group::None);
    &turns[..last.map_or(0, |last| last + 1)]
}

fn step(turns: &[TurnSize], range: Range<usize>) -> Step {
    Step::Leaf { first: turns[range.start].seq, last: turns[range.end - 1].seq }
}

/// Where the last exchange starts: at the last user turn, or at the last group.
fn last_exchange(turns: &[TurnSize]) -> usize {
    let user = turns.iter().rposition(|turn| turn.role == Role::User);
    user.unwrap_or_else(|| {
        let whole = turns.iter().rposition(|turn| turn.group != Group::Results);
        whole.unwrap_or(0)
    })
}

/// The end of a summary that starts where `range` does: after the first turn that makes it large
/// enough, with its whole group, and as far as the next user turn when that is near. None when the
/// turns of `range` do not tell.
fn cut(turns: &[TurnSize], range: Range<usize>, marks: &Marks) -> Option<usize> {
    let wanted = marks.leaf_tokens();
    let near = wanted / 4;
    let (mut tokens, mut found) = (0, None);
    for at in range.clone() {
        if at > range.start && tokens >= wanted && is_border(turns, at) {
            let (end, end_tokens) = *found.get_or_insert((at, tokens));
            if tokens - end_tokens > near {
                return Some(end);
            }
            if turns[at].role == Role::User {
                return Some(at);
            }
        }
        tokens += turns[at].tokens;
    }
    None
}

/// Whether a group or a turn of its own begins at `at`, which is not 0.
fn is_border(turns: &[TurnSize], at: usize) -> bool {
    turns[at].group != Group::Results || turns[at - 1].group == Group::None
}

/// The oldest spans of the lowest level that has too many, or that stand before a higher level.
fn merge(spans: &[Span], marks: &Marks) -> Option<Step> {
    let fan_in = marks.fan_in.max(2);
    let highest = spans.iter().map(|span| span.level).max()?;
    for level in 0..=highest.min(u8::MAX - 1) {
        let own = |span: &Span| span.level == level;
        let Some(start) = spans.iter().position(own) else { continue };
        let run = spans[start..].iter().take_while(|span| own(span)).count();
        let is_last = !spans[start + run..].iter().any(|span| span.level > level);
        let all = spans[start..].iter().filter(|span| own(span)).count();
        if !is_last || all > marks.level_spans_max.max(fan_in) {
            let children = spans[start..start + run.min(fan_in)].to_vec();
            return Some(Step::Merge { level: level + 1, children });
        }
    }
    None
}
