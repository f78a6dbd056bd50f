//! P1: what `build` returns is counted again by other code, from the payload, and never passes the
//! budget; the account names every turn once; every provider takes the messages.

use std::collections::BTreeSet;

use keepsake::context::{
    Breakpoint, BuildError, Citation, Context, Format, Input, Instructions, Item, Message,
    MessageRole, SectionKind, Source, build,
};
use keepsake::summarize::Summary;
use keepsake::tokens::{Exactness, Models};
use keepsake::types::{Part, Seq, Timestamp};

use crate::context_case::{Case, Numbers, shares, text};
use crate::context_counter::Counter;
use crate::context_passages::check_documents;
use crate::context_rules::{check_anthropic, check_neutral, check_openai};

const FORMATS: [Format; 3] = [Format::Neutral, Format::OpenAiChat, Format::AnthropicMessages];

/// How many contexts each test builds for one generated session.
const BUILDS: u64 = 6;

/// How many contexts all tests here build together, at least; `KEEPSAKE_CASES` sets it.
fn cases() -> u64 {
    std::env::var("KEEPSAKE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(108_000)
}

fn check_count(case: &Case, input: &Input<'_>, context: &Context) {
    let counter = Counter::new(&case.model);
    let again = match input.format {
        Format::Neutral => counter.neutral(&context.messages),
        Format::OpenAiChat => counter.openai(&context.payload_json),
        Format::AnthropicMessages => counter.anthropic(&context.payload_json),
    };
    let used = u64::from(context.used_tokens);
    assert!(
        used + u64::from(input.reserve_tokens) <= u64::from(input.budget_tokens),
        "over budget"
    );
    assert!(again <= used, "counted apart: {again}, by the account: {used}");
    if context.exactness == Exactness::Exact {
        assert_eq!(again, used, "an exact count differs");
    }
    let sections: u32 = context.sections.iter().map(|section| section.tokens).sum();
    assert_eq!(sections + context.framing_tokens, context.used_tokens);
    for section in &context.sections {
        let items: u32 = section.items.iter().map(|item| item.tokens).sum();
        assert!(items <= section.tokens, "{section:?}");
    }
}

/// Shown and listed are all living turns, none twice.
fn check_account(case: &Case, context: &Context) {
    let all: BTreeSet<(usize, Seq)> = (0..case.sessions.len())
        .flat_map(|source| case.sessions[source].iter().map(move |(turn, _)| (source, turn.seq)))
        .collect();
    let mut named = BTreeSet::new();
    let verbatim = context.sections.iter().filter(|section| section.kind != SectionKind::Summary);
    for item in verbatim.flat_map(|section| &section.items) {
        assert_eq!(item.first_seq, item.last_seq);
        let turn = (item.source.unwrap_or(usize::MAX), item.first_seq);
        let is_turn = item.first_seq != Seq(0);
        assert!(!is_turn || named.insert(turn), "{turn:?} is shown twice");
    }
    let mut summarized = BTreeSet::new();
    for item in &context.sections[1].items {
        let source = item.source.expect("a summary has a source");
        let span: Vec<_> = all.range((source, item.first_seq)..=(source, item.last_seq)).collect();
        assert!(!span.is_empty(), "a summary of no living turn");
        for turn in span {
            assert!(summarized.insert(*turn), "{turn:?} is summarized twice");
        }
    }
    named.extend(summarized);
    for range in &context.not_shown {
        let from = (range.source, range.first_seq);
        let listed: Vec<_> = all.range(from..=(range.source, range.last_seq)).collect();
        assert_eq!(listed.len() as u64, range.turns, "{range:?}");
        for turn in listed {
            assert!(named.insert(*turn), "{turn:?} is shown and listed, or listed twice");
        }
    }
    assert_eq!(named, all, "shown and listed are not all");
}

/// What is summarized of the session stands wholly before its recent turns, fenced, by rank, and
/// only where the budget is large enough.
fn check_summary(case: &Case, input: &Input<'_>, context: &Context) {
    let section = &context.sections[1];
    assert_eq!(section.kind, SectionKind::Summary);
    assert!(section.tokens <= section.allowance_tokens);
    assert!(section.items.is_empty() || input.budget_tokens >= 2_048);
    let own = |item: &&Item| item.source.is_some() && item.source == input.session;
    let last = section.items.iter().filter(own).map(|item| item.last_seq).max();
    let words = [2, 5].map(|at| context.sections[at].items.iter().filter(own));
    for item in words.into_iter().flatten() {
        assert!(last.is_none_or(|last| last < item.first_seq), "summarized and said: {item:?}");
    }
    for item in &section.items {
        let is_it = |made: &&(usize, Summary, Vec<u32>)| {
            let span = &made.1.span;
            Some(made.0) == item.source
                && (span.first_seq, span.last_seq) == (item.first_seq, item.last_seq)
        };
        let mut known = case.summaries.iter().filter(is_it);
        let fits = |made: &(usize, Summary, Vec<u32>)| {
            let whole: u32 = made.2.iter().sum();
            if item.partial { item.tokens < whole } else { item.tokens == whole }
        };
        assert!(known.any(fits), "{item:?} is no summary");
    }
    if let Some(item) = section.items.first() {
        check_fence(&context.messages, item.message_index, input, "<memory> Summary of earlier");
    }
}

fn check_breakpoints(input: &Input<'_>, context: &Context) {
    let breakpoints = &context.breakpoints;
    assert!(breakpoints.len() <= 4);
    assert!(breakpoints.windows(2).all(|pair| {
        let place = |at: usize| (pair[at].message_index, pair[at].part_index);
        pair[0].tokens < pair[1].tokens && place(0) < place(1)
    }));
    let least = input.model.cacheable_prefix_tokens_min;
    assert!(breakpoints.iter().all(|breakpoint| breakpoint.tokens >= least));
    let system = input.format == Format::AnthropicMessages
        && context.messages.first().is_some_and(|message| message.role == MessageRole::System);
    let blocks = |breakpoint: &Breakpoint| {
        let at = message_at(breakpoint, system);
        let before = context.messages[..at].iter().map(|message| message.parts.len());
        assert!((breakpoint.part_index as usize) < context.messages[at].parts.len());
        before.sum::<usize>() + breakpoint.part_index as usize
    };
    if let [first, .., last] = breakpoints.as_slice() {
        assert!(blocks(last) - blocks(first) <= 20);
    }
    for breakpoint in breakpoints {
        let before = &context.messages[..=message_at(breakpoint, system)];
        if context.exactness == Exactness::Exact {
            let counter = Counter::new(input.model);
            let tokens = counter.neutral(before) - u64::from(input.model.framing.priming);
            assert_eq!(tokens, u64::from(breakpoint.tokens));
        }
    }
}

/// The index of a breakpoint's message with the instructions counted as one.
fn message_at(breakpoint: &Breakpoint, system: bool) -> usize {
    usize::try_from(breakpoint.message_index + i32::from(system)).expect("a message")
}

fn check_quote(case: &Case, input: &Input<'_>, context: &Context) {
    let retrieved = &context.sections[4];
    assert_eq!(retrieved.kind, SectionKind::Retrieved);
    for item in retrieved.items.iter().filter(|item| !item.partial && !item.escaped) {
        let source = &case.sessions[item.source.expect("a source")];
        let (turn, _) = source.iter().find(|(t, _)| t.seq == item.first_seq).expect("a turn");
        let words = turn.searchable_text();
        let verbatim = |part: &Part| matches!(part, Part::Text(text) if text.contains(&words));
        let quotes = context.messages.iter().any(|message| message.parts.iter().any(verbatim));
        assert!(quotes, "{words:?} is not quoted as it was said");
    }
    if let Some(item) = retrieved.items.first() {
        let end = check_fence(&context.messages, item.message_index, input, "<memory> Quoted from");
        assert!(end.starts_with("Today is 2023-07-2"), "{end}");
    }
}

/// Inside the quoted block nothing but its own fence can be read as a fence.
fn check_fence<'a>(
    messages: &'a [Message],
    index: i32,
    input: &Input<'_>,
    opening: &str,
) -> &'a str {
    let system =
        input.format == Format::AnthropicMessages && messages[0].role == MessageRole::System;
    let message = &messages[usize::try_from(index).expect("a message") + usize::from(system)];
    let is_block = |part: &&Part| matches!(part, Part::Text(text) if text.starts_with(opening));
    let Some(Part::Text(block)) = message.parts.iter().rfind(is_block) else {
        panic!("no block in {message:?}")
    };
    let blank = |c: char| c.is_whitespace() || c == '/';
    let tight = block.to_lowercase().replace(blank, "");
    assert_eq!(tight.matches("<memory").count(), 2, "a fence inside of the fence: {block:?}");
    let (_, end) = block.rsplit_once('\n').expect("lines");
    end
}

fn check_error(input: &Input<'_>, error: &BuildError) {
    let (BuildError::InstructionsTooLarge { minimum_tokens }
    | BuildError::CurrentExchangeTooLarge { minimum_tokens }) = error;
    let with = |tokens: u64| {
        let budget_tokens = u32::try_from(tokens).expect("a small number");
        build(&Input { budget_tokens, ..input.clone() })
    };
    assert!(*minimum_tokens > u64::from(input.budget_tokens));
    assert!(with(*minimum_tokens).is_ok(), "the minimum does not do");
    assert!(with(minimum_tokens - 1).is_err(), "less than the minimum does");
}

fn budget(numbers: &mut Numbers) -> u32 {
    let most = numbers.pick(&[200, 400, 800, 2_000, 10_000, 100_000, 1_000_000]);
    if numbers.once_in(4) {
        return 2_040 + numbers.below(200) as u32;
    }
    64 + numbers.below(most - 63) as u32
}

/// How many contexts there were of a kind.
#[derive(Default)]
struct Tally {
    built: u64,
    /// Refused for want of budget.
    refused: u64,
    /// With a summary of the session; with one of another session; with a part of one.
    own: u64,
    others: u64,
    partial: u64,
    /// With documents; with passages of more than one chunk.
    documents: u64,
    merged: u64,
}

impl Tally {
    fn count(&mut self, input: &Input<'_>, context: &Context) {
        let items = &context.sections[1].items;
        let has = |is: &dyn Fn(&Item) -> bool| u64::from(items.iter().any(is));
        self.own += has(&|item| item.source == input.session);
        self.others += has(&|item| item.source != input.session);
        self.partial += has(&|item| item.partial);
        let items = &context.sections[3].items;
        let is_merged = |at: &Citation| at.first_chunk < at.last_chunk;
        self.documents += u64::from(!items.is_empty());
        self.merged += u64::from(items.iter().any(|i| i.citation.as_ref().is_some_and(is_merged)));
    }
}

/// Builds contexts of one generated session and checks each.
fn check(seed: u64, models: &Models) -> Tally {
    let case = Case::generate(seed, models);
    let views = case.views();
    let sources: Vec<Source<'_>> = views.iter().map(|turns| Source { turns }).collect();
    let summaries = case.summary_views();
    let (documents, passages) = (case.library.views(), case.library.passages());
    let numbers = &mut Numbers::new(!seed);
    let mut tally = Tally::default();
    for _ in 0..BUILDS {
        let query = text(numbers);
        let budget_tokens = budget(numbers);
        let session = (!numbers.once_in(6)).then(|| numbers.below(sources.len()));
        let counted = |text| Some(Instructions::new(text, &case.model.tokenizer));
        let input = Input {
            model: &case.model,
            format: numbers.pick(&FORMATS),
            budget_tokens,
            reserve_tokens: if numbers.once_in(3) { numbers.below(100) as u32 } else { 0 },
            instructions: counted(&case.instructions),
            pinned: counted(&case.pinned),
            shares: shares(numbers),
            sources: &sources,
            session,
            summaries: if numbers.once_in(4) { &[] } else { &summaries },
            hits: if numbers.once_in(5) { &[] } else { &case.hits },
            length_price: numbers.pick(&[0.0, 0.0, 0.5, 5.0]),
            retrieved_turns_max: numbers.pick(&[0, 3, 200, 200]),
            documents: &documents,
            passages: if numbers.once_in(3) { &[] } else { &passages },
            passages_max: numbers.pick(&[0, 3, 200, 200]),
            documents_percent: numbers.pick(&[None, None, Some(0), Some(20)]),
            query: (!numbers.once_in(3)).then_some(query.as_str()),
            as_of: Timestamp(1_690_000_000_000),
            time_zone: &case.zone,
        };
        tally.built += 1;
        let context = match build(&input).inspect_err(|error| check_error(&input, error)) {
            Ok(context) => context,
            Err(_) => {
                tally.refused += 1;
                continue;
            }
        };
        check_count(&case, &input, &context);
        check_account(&case, &context);
        check_summary(&case, &input, &context);
        tally.count(&input, &context);
        check_breakpoints(&input, &context);
        check_quote(&case, &input, &context);
        check_documents(&case.library, &input, &context);
        match input.format {
            Format::Neutral => check_neutral(&context.messages),
            Format::OpenAiChat => check_openai(&context.payload_json),
            Format::AnthropicMessages => check_anthropic(&context.payload_json),
        }
        if numbers.once_in(8) {
            assert_eq!(build(&input).expect("it was built before"), context, "not the same twice");
        }
    }
    tally
}

/// One of four parts of the cases, so that they run beside each other.
fn run(quarter: u64) {
    let models = Models::new();
    let sessions = cases().div_ceil(4 * BUILDS);
    let mut all = Tally::default();
    for number in 0..sessions {
        let seed = number * 4 + quarter;
        let checked = std::panic::catch_unwind(|| check(seed, &models));
        let tally = checked.unwrap_or_else(|cause| {
            eprintln!("the case with the seed {seed} failed");
            std::panic::resume_unwind(cause)
        });
        all.built += tally.built;
        all.refused += tally.refused;
        all.own += tally.own;
        all.others += tally.others;
        all.partial += tally.partial;
        all.documents += tally.documents;
        all.merged += tally.merged;
    }
    let Tally { built, refused, own, others, partial, documents, merged } = all;
    println!("{built} contexts, {refused} of them refused for want of budget, 0 over it");
    println!("with summaries of the session {own}, of others {others}, in part {partial}");
    println!("with documents {documents}, with chunks as one passage {merged}");
    let kinds = [own, others, partial, documents, merged];
    assert!(kinds.iter().all(|count| count * 200 > built), "few of a kind: {kinds:?}");
}

#[test]
fn no_budget_is_exceeded_in_the_first_quarter_of_cases() {
    run(0);
}

#[test]
fn no_budget_is_exceeded_in_the_second_quarter_of_cases() {
    run(1);
}

#[test]
fn no_budget_is_exceeded_in_the_third_quarter_of_cases() {
    run(2);
}

#[test]
fn no_budget_is_exceeded_in_the_fourth_quarter_of_cases() {
    run(3);
}
