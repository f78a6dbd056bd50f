//! What goes into a context, piece by piece, in the order of its layout.

use crate::context::{
    BuildError, Cost, CountMethod, Input, Item, Message, SectionKind, TurnView,
    excerpts::{Excerpts, excerpts},
    fixed::{conversation, exchange, instructions},
    groups::{self, Rules, Shown, Unit},
    quote::{Quote, quote},
    recap::{Recap, recap},
    share::{Space, split},
};
use crate::types::Seq;

/// A piece of the layout: the messages of one turn, of the instructions, of the quote or of a
/// stand-in.
pub(super) struct Slab {
    pub(super) section: SectionKind,
    pub(super) items: Vec<Item>,
    pub(super) messages: Vec<Message>,
    pub(super) cost: Cost,
}

/// A planned context.
pub(super) struct Layout {
    pub(super) slabs: Vec<Slab>,
    /// The index of the session's first turn that is recent or current.
    pub(super) first_shown: usize,
    /// Tokens that each section could use, in the order of the layout.
    pub(super) allowances: [u64; 6],
    /// How the summary section was counted.
    pub(super) recap_method: CountMethod,
    /// The documents section; its message is in the slabs.
    pub(super) excerpts: Excerpts,
    /// The retrieved section; its message is in the slabs.
    pub(super) quote: Quote,
}

/// Plans a context.
///
/// # Errors
/// [`BuildError`] when the fixed parts do not fit.
pub(super) fn plan(input: &Input<'_>, rules: Rules<'_>) -> Result<Layout, BuildError> {
    let turns = input.session_turns();
    let instructions = instructions(input, rules);
    let exchange = exchange(input, turns, rules);
    let own = instructions.as_ref().map_or(0, |slab| slab.cost.tokens(rules.framing));
    let fixed = u64::from(rules.framing.priming) + own;
    let available = input.available();
    let minimum_tokens = fixed + exchange.tokens + u64::from(input.reserve_tokens);
    if own > 0 && fixed > available {
        return Err(BuildError::InstructionsTooLarge { minimum_tokens });
    }
    if fixed + exchange.tokens > available {
        return Err(BuildError::CurrentExchangeTooLarge { minimum_tokens });
    }
    let past = groups::units(turns, exchange.past.clone(), rules);
    let lead = groups::placeholder(rules);
    let free = available - fixed;
    let space = Space { available, free, lead: lead.cost.tokens(rules.framing), past: &past };
    let first = |start: usize| past.get(start).map_or(exchange.past.end, |unit| unit.turns.start);
    let seq = |at: usize| turns.get(at).map(|view| view.turn.seq);
    let recap_before = |start: usize, space: u64| recap(input, rules, space, seq(first(start)));
    let (split, mut recap) = split(input, space, &exchange, &recap_before);
    let first_shown = first(split.start);
    let first_seq = seq(first_shown);
    let is_shown = |source: usize, seq: Seq| {
        Some(source) == input.session && first_seq.is_some_and(|first| seq >= first)
    };
    let mut excerpts = excerpts(input, rules, split.documents);
    let left = split.quote.saturating_sub(excerpts.tokens);
    let mut quote = quote(input, rules, left, &is_shown);
    let mut slabs: Vec<Slab> = instructions.into_iter().collect();
    slabs.extend(summarized(&mut recap));
    if split.needs_lead {
        slabs.push(Slab::new(lead, SectionKind::Recent, turns, None));
    }
    slabs.extend(recent(turns, &past[split.start..], input.session, rules));
    slabs.extend(excerpted(&mut excerpts));
    slabs.extend(quoted(&mut quote));
    slabs.extend(exchange.slabs);
    let own = available - exchange.tokens;
    let allowances = [own, split.summary, split.high, split.documents, left, free];
    Ok(Layout { slabs, first_shown, allowances, recap_method: recap.method, excerpts, quote })
}

fn recent(
    turns: &[TurnView<'_>],
    units: &[Unit],
    source: Option<usize>,
    rules: Rules<'_>,
) -> impl Iterator<Item = Slab> {
    let shown = units.iter().flat_map(move |unit| groups::shown(turns, unit, rules));
    shown.map(move |shown| Slab::new(shown, SectionKind::Recent, turns, source))
}

fn summarized(recap: &mut Recap) -> Option<Slab> {
    let (message, cost) = recap.message.take()?;
    let items = std::mem::take(&mut recap.items);
    Some(Slab { section: SectionKind::Summary, items, messages: vec![message], cost })
}

fn excerpted(excerpts: &mut Excerpts) -> Option<Slab> {
    let (message, cost) = excerpts.message.take()?;
    let items = std::mem::take(&mut excerpts.items);
    Some(Slab { section: SectionKind::Documents, items, messages: vec![message], cost })
}

fn quoted(quote: &mut Quote) -> Option<Slab> {
    let (message, cost) = quote.message.take()?;
    let items = std::mem::take(&mut quote.items);
    Some(Slab { section: SectionKind::Retrieved, items, messages: vec![message], cost })
}

impl Slab {
    pub(super) fn new(
        shown: Shown,
        section: SectionKind,
        turns: &[TurnView<'_>],
        source: Option<usize>,
    ) -> Self {
        let item = |at: usize| conversation(source, turns[at].turn.seq, shown.cost.content);
        let items = shown.turn.map(item).into_iter().collect();
        Self { section, items, messages: shown.messages, cost: shown.cost }
    }
}
