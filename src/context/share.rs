//! How the space after the fixed parts is shared between the window of recent turns, the documents
//! and the quote.

use crate::context::{Input, fixed::Exchange, groups::Unit, recap::Recap, window};

/// How much of the budget documents and quote leave free for the turns that follow an appended user
/// turn, in percent: a tool loop may grow by this without a change of what stands before it.
const GROWTH_PERCENT: u64 = 15;

/// What there is to share, in tokens.
#[derive(Clone, Copy)]
pub(super) struct Space<'a> {
    /// What all that is returned may cost.
    pub(super) available: u64,
    /// What is left of it after the priming and the instructions.
    pub(super) free: u64,
    /// What a stand-in for a user's message costs.
    pub(super) lead: u64,
    /// The units before the current exchange.
    pub(super) past: &'a [Unit],
}

/// Who gets what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// The index of the first recent unit.
    pub(super) start: usize,
    /// Whether a stand-in for a user's message comes before it.
    pub(super) needs_lead: bool,
    /// The high mark of the window.
    pub(super) high: u64,
    /// What the summary may cost.
    pub(super) summary: u64,
    /// What the documents may cost.
    pub(super) documents: u64,
    /// What documents and quote may cost together.
    pub(super) quote: u64,
}

struct Window {
    start: usize,
    needs_lead: bool,
    tokens: u64,
    high: u64,
}

/// Shares the space. `recap` packs summaries of what lies before a unit into a space. Window and
/// summary depend on the session, the shares and the budget only, as long as they fit beside the
/// current exchange; else the marks of the window are halved until it does, and then the space of
/// the summary. What follows an appended user turn takes from its reserve first, then from
/// documents and quote by halves, then from window and summary.
pub(super) fn split(
    input: &Input<'_>,
    space: Space<'_>,
    exchange: &Exchange,
    recap: &dyn Fn(usize, u64) -> Recap,
) -> (Split, Recap) {
    let part = |percent: u8| space.free * u64::from(percent) / 100;
    let shares = (part(input.shares.recent_percent), part(input.shares.summary_percent));
    let mut stable = stable(space, shares, space.free - exchange.first_tokens, recap);
    let left = space.free - exchange.first_tokens - stable.tokens();
    let unused = shares.1.saturating_sub(stable.recap.tokens)
        + shares.0.saturating_sub(stable.window.tokens);
    let growth = if exchange.is_query { 0 } else { space.available * GROWTH_PERCENT / 100 };
    let (documents, both) = found_percents(input);
    let allowed = part(both) + unused;
    let mut quote = left.saturating_sub(growth).min(allowed);
    let tail = exchange.tokens - exchange.first_tokens;
    while quote > 0 && quote + tail > left {
        quote /= 2;
    }
    if tail > left {
        let shares = (stable.window.high, shares.1);
        stable = self::stable(space, shares, space.free - exchange.tokens, recap);
    }
    // Where less is left than is allowed, both lose the same part of it.
    let documents = match input.passages {
        [] => 0,
        _ => (part(documents) + unused) * quote / allowed.max(1),
    };
    let Stable { window: Window { start, needs_lead, high, .. }, recap, summary } = stable;
    (Split { start, needs_lead, high, summary, documents, quote }, recap)
}

/// The share of the documents, and of documents and retrieved turns together, in percent.
fn found_percents(input: &Input<'_>) -> (u8, u8) {
    let retrieved = input.shares.retrieved_percent;
    match input.documents_percent {
        Some(documents) => (documents, retrieved.saturating_add(documents)),
        None => (retrieved / 2, retrieved),
    }
}

/// What stands before the quote.
struct Stable {
    window: Window,
    recap: Recap,
    /// What the summary could use.
    summary: u64,
}

impl Stable {
    fn tokens(&self) -> u64 {
        self.window.tokens + self.recap.tokens
    }
}

/// The window and the summary of at most these shares that fit into `room`. A summary is a user's
/// message: no stand-in is needed after it.
fn stable(
    space: Space<'_>,
    (recent, mut summary): (u64, u64),
    room: u64,
    recap: &dyn Fn(usize, u64) -> Recap,
) -> Stable {
    let mut window = fitting(space, recent, room);
    while summary > room - window.tokens {
        summary /= 2;
    }
    let recap = recap(window.start, summary);
    if recap.message.is_some() && window.needs_lead {
        window.needs_lead = false;
        window.tokens -= space.lead;
    }
    Stable { window, recap, summary }
}

/// The window with the largest high mark of `high`, its half, and so on to 0, that fits.
fn fitting(space: Space<'_>, mut high: u64, room: u64) -> Window {
    loop {
        let start = window::start(space.past, high);
        let shown = &space.past[start..];
        let first = shown.iter().find(|unit| unit.tokens > 0);
        let needs_lead = first.is_some_and(|unit| !unit.user);
        let lead = if needs_lead { space.lead } else { 0 };
        let tokens = shown.iter().map(|unit| unit.tokens).sum::<u64>() + lead;
        if tokens <= room || high == 0 {
            return Window { start, needs_lead, tokens, high };
        }
        high /= 2;
    }
}
