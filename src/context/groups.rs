//! Units: turns that are shown together or not at all, as messages that any provider takes.

use std::ops::Range;

use crate::context::{
    Cost, Format, Message, MessageRole, TurnView,
    measure::cost,
    message::{holds_calls, holds_results, missing_result, orphan_results, turn_messages},
};
use crate::tokens::{Framing, Tokenizer};
use crate::types::{Part, Role, Turn};

/// What rendering and counting need.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) format: Format,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) framing: &'a Framing,
}

/// Turns that stand or fall together: a turn with calls and the tool turns after it, or one turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    /// Indexes of its turns.
    pub(super) turns: Range<usize>,
    /// What its messages cost; 0 when nothing of it can be sent.
    pub(super) tokens: u64,
    /// Whether its first message is the user's.
    pub(super) user: bool,
    /// Whether each call has its result and each result its call, so that counts made at append
    /// hold.
    whole: bool,
}

#[cfg(test)]
impl Unit {
    pub(super) fn whole(turns: Range<usize>, tokens: u64, user: bool) -> Self {
        Self { turns, tokens, user, whole: true }
    }
}

/// Messages of one turn (or of none: stand-ins), and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) turn: Option<usize>,
    pub(super) messages: Vec<Message>,
    pub(super) cost: Cost,
}

/// Cuts the turns of `range` into units.
pub(super) fn units(turns: &[TurnView<'_>], range: Range<usize>, rules: Rules<'_>) -> Vec<Unit> {
    let mut units = Vec::with_capacity(range.len());
    let mut start = range.start;
    while start < range.end {
        let mut end = start + 1;
        if turns[start].counts.neutral.calls > 0 {
            while end < range.end && turns[end].turn.role == Role::Tool {
                end += 1;
            }
        }
        units.push(unit(turns, start..end, rules));
        start = end;
    }
    units
}

fn unit(turns: &[TurnView<'_>], range: Range<usize>, rules: Rules<'_>) -> Unit {
    let whole = is_whole(&turns[range.clone()]);
    let tokens = if whole {
        let own = |view: &TurnView<'_>| view.counts.cost(rules.format).tokens(rules.framing);
        turns[range.clone()].iter().map(own).sum()
    } else {
        let shown = repaired(turns, &range, rules);
        shown.iter().map(|shown| shown.cost.tokens(rules.framing)).sum()
    };
    let user = turns[range.start].turn.role != Role::Assistant;
    Unit { turns: range, tokens, user, whole }
}

/// The unit's messages, turn by turn.
pub(super) fn shown(turns: &[TurnView<'_>], unit: &Unit, rules: Rules<'_>) -> Vec<Shown> {
    if !unit.whole {
        return repaired(turns, &unit.turns, rules);
    }
    let one = |at: usize| Shown {
        turn: Some(at),
        messages: turn_messages(turns[at].turn, rules.format),
        cost: *turns[at].counts.cost(rules.format),
    };
    unit.turns.clone().map(one).filter(|shown| !shown.messages.is_empty()).collect()
}

/// Whether every call has exactly one result and nothing else stands between.
fn is_whole(turns: &[TurnView<'_>]) -> bool {
    if turns[0].counts.neutral.calls == 0 {
        return turns[0].counts.neutral.results == 0;
    }
    let first = turns[0].turn;
    let mut open: Vec<&str> = Vec::new();
    for part in &first.parts {
        if let Part::ToolCall { id, .. } = part {
            if open.contains(&id.as_str()) {
                return false;
            }
            open.push(id);
        }
    }
    for view in &turns[1..] {
        if view.counts.neutral.results == 0 {
            return false;
        }
        for part in &view.turn.parts {
            if let Part::ToolResult { call_id, .. } = part {
                let Some(at) = open.iter().position(|id| id == call_id) else { return false };
                open.swap_remove(at);
            }
        }
    }
    open.is_empty()
}

/// The messages of a group whose calls and results do not match: results of its calls first, then
/// one stand-in for each call without a result, then what has lost its call, as the user's text.
fn repaired(turns: &[TurnView<'_>], range: &Range<usize>, rules: Rules<'_>) -> Vec<Shown> {
    let mut shown = Vec::new();
    let mut later = Vec::new();
    let mut open = Vec::new();
    for at in range.clone() {
        let turn = turns[at].turn;
        let mut messages = turn_messages(turn, rules.format);
        let mut lost = Vec::new();
        if holds_results(turn) {
            (messages, lost) = messages.into_iter().partition(|message| close(message, &mut open));
        } else if holds_calls(turn) {
            open = open_calls(&mut messages);
        } else {
            later.push((at, std::mem::take(&mut messages)));
        }
        shown.push((Some(at), messages));
        if !lost.is_empty() {
            later.push((at, vec![orphan_results(lost)]));
        }
    }
    shown.extend(open.iter().map(|id| (None, vec![missing_result(id)])));
    shown.extend(later.into_iter().map(|(at, messages)| (Some(at), messages)));
    let counted = |(turn, messages): (Option<usize>, Vec<Message>)| {
        let cost = cost(&messages, rules.format, rules.tokenizer);
        Shown { turn, messages, cost }
    };
    shown.into_iter().filter(|(_, messages)| !messages.is_empty()).map(counted).collect()
}

/// The ids of the calls, in order; a second call of one id goes.
fn open_calls(messages: &mut [Message]) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        message.parts.retain(|part| match part {
            Part::ToolCall { id, .. } if open.contains(id) => false,
            Part::ToolCall { id, .. } => {
                open.push(id.clone());
                true
            }
            _ => true,
        });
    }
    open
}

/// Whether the message answers a call that is open, which is open no longer.
fn close(message: &Message, open: &mut Vec<String>) -> bool {
    let Some(Part::ToolResult { call_id, .. }) = message.parts.first() else { return false };
    let Some(at) = open.iter().position(|id| id == call_id) else { return false };
    open.remove(at);
    true
}

/// The text of a turn's own words, parts joined by a line break.
pub(super) fn words(turn: &Turn) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        _ => None,
    };
    turn.parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

/// A user message that stands where a provider wants one and there is none.
pub(super) fn placeholder(rules: Rules<'_>) -> Shown {
    let text = "(The conversation continues.)".to_owned();
    let messages = vec![Message::text(MessageRole::User, text)];
    let cost = cost(&messages, rules.format, rules.tokenizer);
    Shown { turn: None, messages, cost }
}
