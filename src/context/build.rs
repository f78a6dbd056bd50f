//! From the plan to messages, payload and account.

use crate::context::{
    BuildError, Context, CountMethod, DROPPED_MAX, DropReason, Dropped, Format, Input, Item,
    Message, MessageRole, Section, SectionKind, Trust, TurnRange, anthropic, breakpoints,
    groups::Rules,
    layout::{Layout, Slab, plan},
    openai,
};
use crate::tokens::Exactness;
use crate::types::Seq;

/// The sections in the order of the layout.
const SECTIONS: [SectionKind; 6] = [
    SectionKind::Instructions,
    SectionKind::Summary,
    SectionKind::Recent,
    SectionKind::Documents,
    SectionKind::Retrieved,
    SectionKind::CurrentExchange,
];

/// Where a slab stands among the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The index of its first message.
    pub(super) first: usize,
    /// The index of its last message.
    pub(super) last: usize,
    /// The index of its last part in that message.
    pub(super) part: usize,
    /// How many parts it adds.
    pub(super) parts: usize,
}

/// Builds a context. Time is linear in the living turns given, at some nanoseconds each, plus
/// 2 µs a token for what was not counted before: a query, the request's instructions, passages and
/// headings, and tool groups whose calls and results do not match.
///
/// # Errors
/// [`BuildError`] when the instructions, or they and the current exchange, do not fit into the
/// budget less the reserve; it names the budget that would do.
pub fn build(input: &Input<'_>) -> Result<Context, BuildError> {
    let (tokenizer, framing) = (&input.model.tokenizer, &input.model.framing);
    let rules = Rules { format: input.format, tokenizer, framing };
    let mut layout = plan(input, rules)?;
    let (messages, places) = lay(&mut layout.slabs, input.format);
    let offset = message_offset(&messages, input.format);
    for (slab, place) in layout.slabs.iter_mut().zip(&places) {
        for item in &mut slab.items {
            item.message_index = index(place.first, offset);
        }
    }
    let own = |slab: &Slab| slab.cost.tokens(framing);
    let used = u64::from(framing.priming) + layout.slabs.iter().map(own).sum::<u64>();
    let used_tokens = small(used);
    let breakpoints = breakpoints::place(&layout.slabs, &places, offset, input);
    let sections = sections(&layout);
    let content: u32 = sections.iter().map(|section| section.tokens).sum();
    Ok(Context {
        payload_json: match input.format {
            Format::Neutral => String::new(),
            Format::OpenAiChat => openai::payload(&messages),
            Format::AnthropicMessages => anthropic::payload(&messages),
        },
        messages,
        used_tokens,
        exactness: exactness(input, &layout.slabs),
        count_method: count_method(&layout),
        framing_tokens: used_tokens - content,
        not_shown: not_shown(input, &layout, &sections),
        dropped: dropped(input, &layout),
        full_history_tokens: full_history_tokens(input, &layout.slabs),
        sections,
        breakpoints,
    })
}

/// A number of tokens that is below the budget, or as large as fits.
pub(super) fn small(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// An index as the account gives it.
pub(super) fn index(message: usize, offset: i32) -> i32 {
    i32::try_from(message).unwrap_or(i32::MAX) - offset
}

/// How many messages the payload holds elsewhere: Anthropic's `system` is none of its messages.
fn message_offset(messages: &[Message], format: Format) -> i32 {
    let system = messages.first().is_some_and(|message| message.role == MessageRole::System);
    i32::from(system && format == Format::AnthropicMessages)
}

/// The messages of all slabs in a row, and where each slab stands. For Anthropic, neighbours of one
/// role become one message, results being the user's.
fn lay(slabs: &mut [Slab], format: Format) -> (Vec<Message>, Vec<Place>) {
    let mut messages: Vec<Message> = Vec::new();
    let mut places = Vec::with_capacity(slabs.len());
    for slab in slabs {
        let mut first = None;
        let mut parts = 0;
        for mut message in slab.messages.drain(..) {
            let merges = format == Format::AnthropicMessages;
            if merges && message.role == MessageRole::Tool {
                message.role = MessageRole::User;
            }
            parts += message.parts.len();
            match messages.last_mut().filter(|last| merges && last.role == message.role) {
                Some(last) => last.parts.append(&mut message.parts),
                None => messages.push(message),
            }
            first.get_or_insert(messages.len() - 1);
        }
        let last = messages.len().saturating_sub(1);
        let part = messages.last().map_or(0, |message| message.parts.len().saturating_sub(1));
        places.push(Place { first: first.unwrap_or(last), last, part, parts });
    }
    (messages, places)
}

fn sections(layout: &Layout) -> Vec<Section> {
    let section = |(kind, allowance): (SectionKind, u64)| {
        let own = layout.slabs.iter().filter(|slab| slab.section == kind);
        let tokens = own.clone().map(|slab| slab.cost.content).sum();
        let (mut items, mut newest) = (Vec::new(), Seq(0));
        for item in own.flat_map(|slab| &slab.items) {
            add_item(&mut items, item, newest);
            newest = newest.max(item.first_seq);
        }
        Section { kind, tokens, allowance_tokens: small(allowance), items }
    };
    SECTIONS.into_iter().zip(layout.allowances).map(section).collect()
}

/// Adds an item; `newest` is the latest turn of those before it. A turn of a repaired group may
/// stand in two slabs: it is one item all the same.
fn add_item(items: &mut Vec<Item>, item: &Item, newest: Seq) {
    let own_turn = item.trust == Trust::Conversation && item.first_seq != Seq(0);
    let is_back = own_turn && item.first_seq <= newest;
    let known = items.iter_mut().rev().find(|known| is_back && known.first_seq == item.first_seq);
    match known {
        Some(known) => known.tokens += item.tokens,
        None => items.push(item.clone()),
    }
}

fn exactness(input: &Input<'_>, slabs: &[Slab]) -> Exactness {
    let estimated = slabs.iter().any(|slab| slab.cost.estimated);
    if estimated || input.format == Format::AnthropicMessages {
        return Exactness::Estimated;
    }
    input.model.exactness()
}

fn count_method(layout: &Layout) -> CountMethod {
    let methods = [layout.recap_method, layout.excerpts.method, layout.quote.method];
    match methods.contains(&CountMethod::Recounted) {
        true => CountMethod::Recounted,
        false => CountMethod::Added,
    }
}

fn full_history_tokens(input: &Input<'_>, slabs: &[Slab]) -> u64 {
    let framing = &input.model.framing;
    let instructions = slabs.iter().filter(|slab| slab.section == SectionKind::Instructions);
    let own = instructions.map(|slab| slab.cost.tokens(framing)).sum::<u64>();
    let turns = input.sources.iter().flat_map(|source| source.turns);
    let past = turns.map(|view| view.counts.cost(input.format).tokens(framing)).sum::<u64>();
    u64::from(framing.priming) + own + past
}

/// The living turns that are neither in the window, nor in the exchange, nor quoted, nor in the
/// span of a summary that is shown.
fn not_shown(input: &Input<'_>, layout: &Layout, sections: &[Section]) -> Vec<TurnRange> {
    let quoted = sections.iter().filter(|section| section.kind == SectionKind::Retrieved);
    let mut quoted: Vec<(usize, Seq)> = quoted
        .flat_map(|section| &section.items)
        .filter_map(|item| Some((item.source?, item.first_seq)))
        .collect();
    quoted.sort_unstable();
    let mut quoted = quoted.into_iter().peekable();
    let spans = spans(sections);
    let mut ranges = Vec::new();
    for (source, views) in input.sources.iter().enumerate() {
        let mut open: Option<TurnRange> = None;
        for (at, view) in views.turns.iter().enumerate() {
            let cost = view.counts.cost(input.format);
            let own = Some(source) == input.session && at >= layout.first_shown;
            let is_quoted = quoted.next_if_eq(&(source, view.turn.seq)).is_some();
            let is_shown = is_quoted || (own && cost.messages > 0);
            if is_shown || covers(&spans, source, view.turn.seq) {
                ranges.extend(open.take());
                continue;
            }
            let seq = view.turn.seq;
            let range = open.get_or_insert(TurnRange {
                source,
                first_seq: seq,
                last_seq: seq,
                turns: 0,
                tokens: 0,
            });
            range.last_seq = seq;
            range.turns += 1;
            range.tokens += cost.tokens(&input.model.framing);
        }
        ranges.extend(open);
    }
    ranges
}

/// The spans of the summaries that are shown, by source and first seq: none overlap.
fn spans(sections: &[Section]) -> Vec<(usize, Seq, Seq)> {
    let shown = sections.iter().filter(|section| section.kind == SectionKind::Summary);
    let items = shown.flat_map(|section| &section.items);
    let mut spans: Vec<(usize, Seq, Seq)> =
        items.filter_map(|item| Some((item.source?, item.first_seq, item.last_seq))).collect();
    spans.sort_unstable();
    spans
}

fn covers(spans: &[(usize, Seq, Seq)], source: usize, seq: Seq) -> bool {
    let after = spans.partition_point(|(of, first, _)| (*of, *first) <= (source, seq));
    let before = after.checked_sub(1).map(|at| spans[at]);
    before.is_some_and(|(of, _, last)| of == source && seq <= last)
}

/// The hits left out, the passages, and after them the turns of the session that cannot be sent.
/// However many hits there are, half of the names are free for passages.
fn dropped(input: &Input<'_>, layout: &Layout) -> Vec<Dropped> {
    let own = input.session_turns().get(layout.first_shown..).unwrap_or_default();
    let mute = own.iter().filter(|view| view.counts.cost(input.format).messages == 0);
    let mute = mute.map(|view| Dropped {
        source: input.session,
        seq: view.turn.seq,
        tokens: 0,
        score: 0.0,
        reason: DropReason::NotSendable,
        citation: None,
    });
    let (hits, passages) = (&layout.quote.dropped, &layout.excerpts.dropped);
    let kept = DROPPED_MAX - passages.len().min(DROPPED_MAX / 2);
    let found = hits.iter().take(kept).chain(passages).cloned();
    found.chain(mute).take(DROPPED_MAX).collect()
}
