//! A context as a person reads it: its messages, a bar of the budget, and the account.

use std::collections::BTreeMap;

use owo_colors::AnsiColors;

use crate::cli::{output::Paint, wire::readable};
use crate::proto::v1;

/// How many cells the bar of the budget has: with its label it fits a terminal of 80 columns.
const BAR_CELLS: usize = 60;

/// How many items, ranges and dropped turns are listed at most; the JSON form lists all.
const LISTED_MAX: usize = 40;

/// How many characters of a title or a heading are shown.
const HEADING_CHARS_MAX: usize = 60;

/// One stretch of the bar.
struct Stretch {
    label: &'static str,
    letter: char,
    colour: AnsiColors,
    tokens: u64,
}

fn look(kind: v1::SectionKind) -> (&'static str, char, AnsiColors) {
    match kind {
        v1::SectionKind::Instructions => ("instructions", 'I', AnsiColors::Magenta),
        v1::SectionKind::Summary => ("summary", 'S', AnsiColors::Cyan),
        v1::SectionKind::Recent => ("recent", 'R', AnsiColors::Blue),
        v1::SectionKind::Retrieved => ("retrieved", 'F', AnsiColors::Green),
        v1::SectionKind::Documents => ("documents", 'D', AnsiColors::Green),
        v1::SectionKind::CurrentExchange => ("current exchange", 'Q', AnsiColors::Yellow),
        v1::SectionKind::Unspecified => ("?", '?', AnsiColors::White),
    }
}

fn stretches(context: &v1::BuildContextResponse) -> Vec<Stretch> {
    let section = |section: &v1::Section| {
        let (label, letter, colour) = look(section.kind());
        Stretch { label, letter, colour, tokens: u64::from(section.tokens) }
    };
    let mut all: Vec<Stretch> = context.sections.iter().map(section).collect();
    let tokens = u64::from(context.framing_tokens);
    all.push(Stretch { label: "framing", letter: '+', colour: AnsiColors::White, tokens });
    all
}

/// Shares `cells` among `tokens` of a budget: each that is not 0 gets one at least, and together
/// they get no more than there are.
pub(super) fn cells_of(tokens: &[u64], budget: u64, cells: usize) -> Vec<usize> {
    let budget = budget.max(tokens.iter().sum()).max(1);
    let whole = cells as u64;
    let mut given: Vec<usize> = tokens
        .iter()
        .map(|&t| usize::try_from(t * whole / budget).unwrap_or(cells).max(usize::from(t > 0)))
        .collect();
    while given.iter().sum::<usize>() > cells {
        let largest = (0..given.len()).max_by_key(|&i| given[i]).unwrap_or(0);
        given[largest] -= 1;
    }
    given
}

/// The bar of the budget and its legend, one section a line.
pub(super) fn bar(context: &v1::BuildContextResponse, paint: Paint) -> String {
    let parts = stretches(context);
    let budget = u64::from(context.budget_tokens);
    let tokens: Vec<u64> = parts.iter().map(|part| part.tokens).collect();
    let cells = cells_of(&tokens, budget, BAR_CELLS);
    let mut line = String::from("[");
    for (part, &count) in parts.iter().zip(&cells) {
        let cell = if paint.coloured { '█' } else { part.letter };
        if count > 0 {
            line.push_str(&paint.colour(&cell.to_string().repeat(count), part.colour));
        }
    }
    let rest = BAR_CELLS - cells.iter().sum::<usize>();
    line.push_str(&paint.dim(&"·".repeat(rest)));
    let share = 100.0 * f64::from(context.used_tokens) / f64::from(context.budget_tokens.max(1));
    line.push_str(&format!("] {} of {budget} tokens, {share:.0} %\n", context.used_tokens));
    for part in parts.iter().filter(|part| part.tokens > 0) {
        let mark = if paint.coloured { "█".to_owned() } else { part.letter.to_string() };
        let mark = paint.colour(&mark, part.colour);
        line.push_str(&format!("  {mark} {:<17}{:>7}\n", part.label, part.tokens));
    }
    line
}

/// The messages in the order in which they are sent; for a provider's format, its JSON.
pub(super) fn messages(context: &v1::BuildContextResponse, paint: Paint) -> String {
    if !context.payload_json.is_empty() {
        return format!("{}\n", context.payload_json);
    }
    let mut text = String::new();
    for message in &context.messages {
        let (role, colour) = match message.role() {
            v1::MessageRole::System => ("system", AnsiColors::Magenta),
            v1::MessageRole::User => ("user", AnsiColors::Yellow),
            v1::MessageRole::Assistant => ("assistant", AnsiColors::Blue),
            v1::MessageRole::Tool => ("tool", AnsiColors::Cyan),
            v1::MessageRole::Unspecified => ("?", AnsiColors::White),
        };
        let name = if message.name.is_empty() { "" } else { " " };
        text.push_str(&paint.colour(&format!("── {role}{name}{}", message.name), colour));
        text.push('\n');
        text.push_str(readable(&message.parts).trim_end());
        text.push('\n');
    }
    text
}

/// The account: the bar, what came from where, what it saves, and what is not shown.
pub(super) fn account(context: &v1::BuildContextResponse, paint: Paint) -> String {
    let mut text = bar(context, paint);
    text.push_str(&sources(context, paint));
    text.push_str(&saving(context));
    for point in &context.breakpoints {
        text.push_str(&format!(
            "cache breakpoint: message {}, part {}, {} tokens up to there\n",
            point.message_index, point.part_index, point.tokens
        ));
    }
    text.push_str(&left_out(context, paint));
    text.push_str(&decision_line(context.decision, &context.degraded));
    text
}

/// What came from where, one line an item.
fn sources(context: &v1::BuildContextResponse, paint: Paint) -> String {
    let mut text = String::new();
    for section in context.sections.iter().filter(|section| !section.items.is_empty()) {
        let (label, _, colour) = look(section.kind());
        let count = section.items.len();
        text.push_str(&format!(
            "{} ({count}, {} of {} tokens)\n",
            paint.colour(label, colour),
            section.tokens,
            section.allowance_tokens
        ));
        if !is_found(section.kind()) && count > 3 {
            text.push_str(&format!("  {}\n", span_of(&section.items)));
            continue;
        }
        for item in section.items.iter().take(LISTED_MAX) {
            text.push_str(&match &item.citation {
                Some(citation) => passage_line(item, citation),
                None => item_line(item, section.kind()),
            });
            text.push_str(&signals(&item.signals, "      "));
        }
        if count > LISTED_MAX {
            text.push_str(&format!("  and {} more\n", count - LISTED_MAX));
        }
    }
    text
}

/// Whether retrieval found what the section shows.
fn is_found(kind: v1::SectionKind) -> bool {
    matches!(kind, v1::SectionKind::Retrieved | v1::SectionKind::Documents)
}

/// A long run of items as the ranges of turns that it covers.
fn span_of(items: &[v1::Item]) -> String {
    let mut spans: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for item in items {
        let span = spans.entry(&item.session_id).or_insert((item.first_seq, item.last_seq));
        *span = (span.0.min(item.first_seq), span.1.max(item.last_seq));
    }
    let spans: Vec<String> =
        spans.iter().map(|(session, (first, last))| format!("{session}#{first}–{last}")).collect();
    spans.join(", ")
}

fn item_line(item: &v1::Item, kind: v1::SectionKind) -> String {
    let scored = is_found(kind);
    let fixed = kind == v1::SectionKind::Instructions;
    let place = match (item.session_id.as_str(), item.first_seq, item.last_seq) {
        ("", ..) => if fixed { "instructions" } else { "this request" }.to_owned(),
        (session, 0, _) => format!("{session} (pinned)"),
        (session, first, last) if first == last => format!("{session}#{first}"),
        (session, first, last) => format!("{session}#{first}–{last}"),
    };
    let mut line = format!("  {place:<34} {:>6} tokens", item.tokens);
    if scored {
        line.push_str(&format!("  score {:.3}", item.score));
    }
    for (holds, word) in [(item.partial, "  in part"), (item.escaped, "  escaped")] {
        if holds {
            line.push_str(word);
        }
    }
    line.push('\n');
    line
}

/// A passage: where it stands, what it costs, and on a line below, under which title and headings.
fn passage_line(item: &v1::Item, at: &v1::Citation) -> String {
    let place = format!("{}/{}@{}–{}", at.collection, at.document_id, at.start, at.end);
    let escaped = if item.escaped { "  escaped" } else { "" };
    let mut text =
        format!("  {place:<34} {:>6} tokens  score {:.3}{escaped}\n", item.tokens, item.score);
    let names = std::iter::once(&at.title).chain(&at.heading).filter(|name| !name.is_empty());
    let path: Vec<String> = names.map(|name| one_line(name, HEADING_CHARS_MAX)).collect();
    if !path.is_empty() {
        text.push_str(&format!("      {}\n", path.join(" > ")));
    }
    text
}

/// Each signal of a score on a line of its own; nothing when there are none.
pub(super) fn signals(signals: &[v1::Signal], indent: &str) -> String {
    let line = |s: &v1::Signal| {
        let gain = s.standardised * s.weight;
        format!(
            "{indent}{:<24}{:>9.3} → {:>7.3} × {:.3} = {gain:.3}\n",
            s.name, s.raw, s.standardised, s.weight
        )
    };
    signals.iter().map(line).collect()
}

fn saving(context: &v1::BuildContextResponse) -> String {
    let full = context.full_history_tokens;
    let used = f64::from(context.used_tokens);
    let exact = match context.exactness() {
        v1::Exactness::Estimated => "an upper bound",
        v1::Exactness::Exact | v1::Exactness::Unspecified => "exact",
    };
    let by = format!("counted for {} by {} ({exact})", context.model, context.tokenizer);
    if full <= u64::from(context.used_tokens) {
        return format!("full history {full} tokens; {by}\n");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown as a percentage without decimals")]
    let percent = 100.0 * (1.0 - used / full as f64);
    format!("full history {full} tokens: {percent:.0} % saved; {by}\n")
}

fn left_out(context: &v1::BuildContextResponse, paint: Paint) -> String {
    let turns: u64 = context.not_shown.iter().map(|range| range.turns).sum();
    if turns == 0 {
        return String::new();
    }
    let tokens: u64 = context.not_shown.iter().map(|range| range.tokens).sum();
    let ranges = context.not_shown.len();
    let found = context.dropped.len();
    let line = format!(
        "not shown: {turns} turns in {ranges} ranges, {tokens} tokens; {found} found and left out\n"
    );
    paint.dim(&line)
}

/// What retrieval decided and what is degraded, in one line.
pub(super) fn decision_line(decision: i32, degraded: &[i32]) -> String {
    let name = v1::RetrievalDecision::try_from(decision).unwrap_or_default().as_str_name();
    let mut line = format!("retrieval: {}", in_words(name, "RETRIEVAL_DECISION_"));
    let lacks: Vec<String> = degraded
        .iter()
        .filter_map(|&value| v1::Degradation::try_from(value).ok())
        .map(|value| in_words(value.as_str_name(), "DEGRADATION_"))
        .collect();
    if !lacks.is_empty() {
        line.push_str(&format!("; degraded: {}", lacks.join(", ")));
    }
    line.push('\n');
    line
}

/// An enum's name in words: `RETRIEVAL_DECISION_NO_SIGNAL` less its prefix is `no signal`.
pub(super) fn in_words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ")
}

/// Text on one line, cut after `chars_max` characters.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &flat[..at]),
        None => flat,
    }
}
