//! The parts that are never dropped: instructions and the current exchange.

use std::ops::Range;

use crate::context::{
    Cost, Input, Instructions, Item, Message, MessageRole, SectionKind, Trust, TurnView,
    groups::{self, Rules, words},
    layout::Slab,
    measure::text_cost,
    message::holds_calls,
};
use crate::tokens::Tokenizer;
use crate::types::{Role, Seq};

/// What stands between the request's instructions and the pinned ones.
const BETWEEN: &str = "\n\n";

/// The current exchange, and where the past before it ends.
pub(super) struct Exchange {
    /// Whether it is a query that was not appended.
    pub(super) is_query: bool,
    /// Indexes of the turns before it.
    pub(super) past: Range<usize>,
    pub(super) slabs: Vec<Slab>,
    /// Tokens of the user turn or the query alone.
    pub(super) first_tokens: u64,
    /// Tokens of all of it.
    pub(super) tokens: u64,
}

/// The one `system` message: the request's instructions, then the pinned ones. None without text.
pub(super) fn instructions(input: &Input<'_>, rules: Rules<'_>) -> Option<Slab> {
    let given = [input.instructions, input.pinned].into_iter().flatten();
    let given: Vec<Instructions<'_>> = given.filter(|i| !i.text.trim().is_empty()).collect();
    let (text, tokens) = match given.as_slice() {
        [] => return None,
        [only] => (only.text.to_owned(), vec![only.tokens]),
        [first, second, ..] => {
            let (text, total) = joined(first, second, rules.tokenizer);
            let second = second.tokens.min(total);
            (text, vec![total - second, second])
        }
    };
    let items = tokens.iter().map(|tokens| Item {
        tokens: *tokens,
        trust: Trust::Tenant,
        ..conversation(None, Seq(0), 0)
    });
    let cost = Cost { content: tokens.iter().sum(), messages: 1, ..Cost::default() };
    Some(Slab {
        section: SectionKind::Instructions,
        items: items.collect(),
        messages: vec![Message::text(MessageRole::System, text)],
        cost,
    })
}

/// The two texts as one, and its tokens. Where lines add up, the second is not counted again.
fn joined(
    first: &Instructions<'_>,
    second: &Instructions<'_>,
    tokenizer: &Tokenizer,
) -> (String, u32) {
    let head = format!("{}{BETWEEN}", first.text);
    let begins_line = !second.text.starts_with(|c: char| c.is_whitespace() || c == '/');
    if begins_line && tokenizer.lines_add_up() {
        let total = tokenizer.count(&head).saturating_add(second.tokens);
        return (head + second.text, total);
    }
    let text = head + second.text;
    let total = tokenizer.count(&text);
    (text, total)
}

/// Cuts the session: the query, if it was not appended; else the last user turn and all after it;
/// else nothing.
pub(super) fn exchange(input: &Input<'_>, turns: &[TurnView<'_>], rules: Rules<'_>) -> Exchange {
    let last_user = turns.iter().rposition(|view| view.turn.role == Role::User);
    if let Some(text) = unappended(input, turns, last_user) {
        let cost = text_cost(rules.tokenizer.count(text), rules.format);
        let slab = Slab {
            section: SectionKind::CurrentExchange,
            items: vec![conversation(None, Seq(0), cost.content)],
            messages: vec![Message::text(MessageRole::User, text.to_owned())],
            cost,
        };
        let tokens = cost.tokens(rules.framing);
        let past = 0..turns.len();
        let slabs = vec![slab];
        return Exchange { is_query: true, past, slabs, first_tokens: tokens, tokens };
    }
    let cut = last_user.unwrap_or(turns.len());
    let slabs = appended(turns, cut, input.session, rules);
    let tokens = |slab: &Slab| slab.cost.tokens(rules.framing);
    Exchange {
        is_query: false,
        past: 0..cut,
        first_tokens: slabs.first().map_or(0, tokens),
        tokens: slabs.iter().map(tokens).sum(),
        slabs,
    }
}

/// The turns from `cut` on. A user turn that cannot be sent is replaced by a stand-in.
fn appended(
    turns: &[TurnView<'_>],
    cut: usize,
    source: Option<usize>,
    rules: Rules<'_>,
) -> Vec<Slab> {
    let units = groups::units(turns, cut..turns.len(), rules);
    let mut slabs = Vec::new();
    for unit in &units {
        let shown = groups::shown(turns, unit, rules);
        if shown.is_empty() && slabs.is_empty() {
            slabs.push(groups::placeholder(rules));
        }
        slabs.extend(shown);
    }
    let slab = |shown| Slab::new(shown, SectionKind::CurrentExchange, turns, source);
    slabs.into_iter().map(slab).collect()
}

/// The query, unless it is what the last user turn says and nobody has answered that turn yet: then
/// it was appended.
fn unappended<'a>(
    input: &Input<'a>,
    turns: &[TurnView<'_>],
    last_user: Option<usize>,
) -> Option<&'a str> {
    let query = input.query.filter(|query| !query.trim().is_empty())?;
    let Some(at) = last_user else { return Some(query) };
    let last = turns[turns.len() - 1].turn;
    let answered = last.role == Role::Assistant && !holds_calls(last);
    let same = words(turns[at].turn).trim() == query.trim();
    (answered || !same).then_some(query)
}

/// An item of the conversation's own words, or of none when `seq` is 0.
pub(super) fn conversation(source: Option<usize>, seq: Seq, tokens: u32) -> Item {
    Item {
        source,
        first_seq: seq,
        last_seq: seq,
        tokens,
        score: 0.0,
        partial: false,
        escaped: false,
        message_index: 0,
        trust: Trust::Conversation,
        citation: None,
    }
}
