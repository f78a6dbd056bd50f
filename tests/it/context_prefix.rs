//! P8: what stands before the last breakpoint depends on session, shares, model and budget only,
//! and the start of the recent turns moves in steps.

use jiff::tz::TimeZone;
use keepsake::context::{
    Context, DocumentView, Format, Hit, Input, Instructions, Passage, SectionKind, Source,
    SummaryView, TurnCounts, TurnView, build, count_lines, measure,
};
use keepsake::summarize::{Marks, Span, Step, Summary, TurnSize, condense, next, summarize};
use keepsake::tokens::{Model, Models};
use keepsake::types::{Part, Policy, Role, Seq, Shares, Status, Timestamp, Turn};
use serde_json::value::RawValue;

use crate::context_case::Numbers;

const BUDGETS: [u32; 3] = [1_024, 4_096, 16_000];
/// Marks so low that many summaries are made in a short conversation.
const MARKS: Marks = Marks {
    tail_high_tokens: 900,
    tail_low_tokens: 300,
    level_spans_max: 3,
    fan_in: 2,
    idle_tokens_min: 50,
};

const PINNED: &str = "You are the assistant of a small garden centre. Answer in short sentences.";
const WORDS: [&str; 24] = [
    "roses",
    "the",
    "order",
    "of",
    "Monday",
    "seeds",
    "we",
    "need",
    "water",
    "a",
    "greenhouse",
    "is",
    "late",
    "delivery",
    "pots",
    "and",
    "customers",
    "ask",
    "for",
    "lavender",
    "before",
    "noon",
    "please",
    "check",
];

const PASSAGES: [&str; 4] = [
    "Roses cost 4.50 a pot, from ten pots on 4.20.",
    "    indented: lavender, 3.10 a pot, ten pots 29.\n",
    "/ Seeds of sunflowers are sold by the bag of 50 grams only, and not before March.",
    "Greenhouses are delivered on Mondays, when they were ordered before noon on Thursday.",
];

/// A conversation that grows turn by turn, and what was counted for it.
struct Talk {
    model: Model,
    numbers: Numbers,
    turns: Vec<(Turn, TurnCounts)>,
    summaries: Vec<(Summary, Vec<u32>)>,
}

/// What changes from call to call.
#[derive(Clone)]
struct Ask {
    query: Option<String>,
    hits: Vec<Hit>,
    as_of: Timestamp,
}

impl Talk {
    fn new(model: &str) -> Self {
        let known = Models::new().resolve(&Policy::initial(), model).expect("a built-in model");
        let model = Model { cacheable_prefix_tokens_min: 10, ..known };
        Self { model, numbers: Numbers::new(5), turns: Vec::new(), summaries: Vec::new() }
    }

    fn words(&mut self, most: usize) -> String {
        let length = 3 + self.numbers.below(most);
        let words: Vec<_> = (0..length).map(|_| self.numbers.pick(&WORDS)).collect();
        format!("I {} {}.", words.join(" "), self.numbers.below(1_000))
    }

    fn append(&mut self, role: Role, parts: Vec<Part>) {
        let seq = self.turns.len() as u64 + 1;
        let at = Timestamp(1_700_000_000_000 + (seq as i64) * 3_000_000);
        let turn = Turn {
            seq: Seq(seq),
            role,
            name: String::new(),
            parts,
            created_at: at,
            committed_at: at,
            external_id: String::new(),
            metadata: Default::default(),
            status: Status::Complete,
        };
        let counts = measure(&turn, &self.model.tokenizer);
        self.turns.push((turn, counts));
    }

    fn say(&mut self, role: Role, most: usize) {
        let words = self.words(most);
        self.append(role, vec![Part::Text(words)]);
    }

    fn call_tool(&mut self) {
        let id = format!("call_{}", self.turns.len());
        let call = Part::ToolCall { id: id.clone(), name: "stock".into(), arguments: "{}".into() };
        self.append(Role::Assistant, vec![call]);
        let parts = vec![Part::Text(self.words(8))];
        let result = Part::ToolResult { call_id: id, parts, is_error: false };
        self.append(Role::Tool, vec![result]);
    }

    /// Makes the summaries that are due.
    fn summarize(&mut self) {
        let size = |(turn, counts): &(Turn, TurnCounts)| TurnSize {
            seq: turn.seq,
            tokens: counts.neutral.tokens(&self.model.framing),
            role: turn.role,
            group: turn.group(),
        };
        let sizes: Vec<TurnSize> = self.turns.iter().map(size).collect();
        let tokenizer = &self.model.tokenizer;
        loop {
            let spans: Vec<Span> = self.summaries.iter().map(|(made, _)| made.span).collect();
            let Some(step) = next(&sizes, &spans, &MARKS, false) else { return };
            let span = step.span();
            let made = match step {
                Step::Leaf { .. } => {
                    let turns = self.turns.iter().map(|(turn, _)| turn);
                    let turns: Vec<&Turn> = turns.filter(|turn| span.holds(turn.seq)).collect();
                    summarize(span, &turns, "en", tokenizer)
                }
                Step::Merge { children, .. } => {
                    let made = self.summaries.iter().map(|(made, _)| made);
                    let made: Vec<&Summary> =
                        made.filter(|made| children.contains(&made.span)).collect();
                    condense(span, &made, "en", tokenizer)
                }
            };
            let counts = count_lines(&made, tokenizer);
            self.summaries.push((made, counts));
        }
    }

    /// What the turns from an index on cost.
    fn tokens(&self, from: usize, format: Format) -> u64 {
        let own =
            |(_, counts): &(Turn, TurnCounts)| counts.cost(format).tokens(&self.model.framing);
        self.turns[from..].iter().map(own).sum()
    }

    /// A new question, other hits, a later day.
    fn ask(&mut self, unappended: bool) -> Ask {
        let query = unappended.then(|| self.words(9));
        let mut hits = Vec::new();
        for (turn, _) in &self.turns {
            if self.numbers.once_in(3) {
                let score = self.numbers.below(100) as f64;
                hits.push(Hit { source: 0, seq: turn.seq, score, passage: None });
            }
        }
        let as_of = Timestamp(1_800_000_000_000 + self.numbers.below(1_000) as i64 * 86_400_000);
        Ask { query, hits, as_of }
    }

    fn build(&self, ask: &Ask, budget_tokens: u32, format: Format) -> Context {
        let documents = [DocumentView { collection: "c", document: "prices", title: "Prices" }];
        let passage = |(chunk, text): (usize, &'static &str)| Passage {
            document: 0,
            chunk: chunk as u32 * 2,
            start: chunk as u64 * 1_000,
            end: chunk as u64 * 1_000 + text.len() as u64,
            heading: &[],
            text,
            tokens: 0,
            score: 9.0 - chunk as f64,
        };
        let passages: Vec<Passage<'_>> = PASSAGES.iter().enumerate().map(passage).collect();
        let views: Vec<TurnView<'_>> =
            self.turns.iter().map(|(turn, counts)| TurnView { turn, counts }).collect();
        let mut summaries = Vec::new();
        for (summary, line_tokens) in &self.summaries {
            summaries.push(SummaryView { source: 0, summary, line_tokens });
        }
        let input = Input {
            model: &self.model,
            format,
            budget_tokens,
            reserve_tokens: 0,
            instructions: None,
            pinned: Some(Instructions::new(PINNED, &self.model.tokenizer)),
            shares: Shares::DEFAULT,
            sources: &[Source { turns: &views }],
            session: Some(0),
            summaries: &summaries,
            hits: &ask.hits,
            length_price: 0.0,
            retrieved_turns_max: 200,
            documents: &documents,
            passages: if ask.hits.is_empty() { &[] } else { &passages },
            passages_max: 200,
            documents_percent: None,
            query: ask.query.as_deref(),
            as_of: ask.as_of,
            time_zone: &TimeZone::UTC,
        };
        build(&input).expect("the parts are small")
    }
}

/// How many bytes of the payload stand up to and with the last breakpoint.
fn stable_bytes(context: &Context, format: Format) -> usize {
    #[derive(serde::Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        system: &'a RawValue,
        #[serde(borrow)]
        messages: Vec<Content<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        content: Vec<&'a RawValue>,
    }
    let payload = context.payload_json.as_str();
    let Some(last) = context.breakpoints.last() else { return 0 };
    let raw: &RawValue = if format == Format::OpenAiChat {
        let messages: Vec<&RawValue> = serde_json::from_str(payload).expect("a list");
        messages[usize::try_from(last.message_index).expect("a message")]
    } else {
        let parsed: Payload<'_> = serde_json::from_str(payload).expect("an object");
        match usize::try_from(last.message_index) {
            Ok(at) => parsed.messages[at].content[last.part_index as usize],
            Err(_) => parsed.system,
        }
    };
    raw.get().as_ptr() as usize + raw.get().len() - payload.as_ptr() as usize
}

fn shared_bytes(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

/// The blocks of documents and of retrieved turns.
fn quotes(context: &Context) -> Vec<Part> {
    let is_quote = |part: &&Part| matches!(part, Part::Text(t) if t.starts_with("<memory> Quoted"));
    context.messages.iter().flat_map(|message| &message.parts).filter(is_quote).cloned().collect()
}

/// Grows a conversation and follows the start of its recent turns.
struct Walk {
    budget: u32,
    format: Format,
    start: Seq,
    high: Option<u64>,
    moves: u32,
    /// How many summaries there were, how often a context showed some, and how often they changed.
    summaries: usize,
    summarized: u32,
    steps: u32,
    previous: Option<Context>,
    shared: Vec<f64>,
}

impl Walk {
    fn step(&mut self, talk: &mut Talk, ask: &Ask) {
        talk.summarize();
        let context = talk.build(ask, self.budget, self.format);
        let other = Ask { query: ask.query.is_some().then(|| talk.words(9)), ..talk.ask(true) };
        self.check_same_prefix(&context, &talk.build(&other, self.budget, self.format));
        let bare = Ask { hits: Vec::new(), ..ask.clone() };
        self.check_same_prefix(&context, &talk.build(&bare, self.budget, self.format));
        let before = (self.start, self.summaries);
        self.check_start(talk, &context);
        self.summarized += u32::from(!context.sections[1].items.is_empty());
        self.steps += u32::from(self.summaries != talk.summaries.len());
        self.summaries = talk.summaries.len();
        if let Some(previous) = &self.previous {
            let end = stable_bytes(previous, self.format);
            let shared = shared_bytes(&previous.payload_json, &context.payload_json);
            let stepped = before != (self.start, self.summaries);
            assert!(stepped || shared >= end, "{shared} of {end} bytes before are the same");
            let (before, now) = (&previous.payload_json, &context.payload_json);
            self.shared.push(shared_bytes(before, now) as f64 / now.len() as f64);
        }
        self.previous = Some(context);
    }

    #[track_caller]
    fn check_same_prefix(&self, context: &Context, other: &Context) {
        let end = stable_bytes(context, self.format);
        assert_eq!(context.breakpoints, other.breakpoints);
        assert!(!context.breakpoints.is_empty());
        assert_eq!(context.payload_json[..end], other.payload_json[..end]);
    }

    fn check_start(&mut self, talk: &Talk, context: &Context) {
        let recent = &context.sections[2];
        assert_eq!(recent.kind, SectionKind::Recent);
        let Some(first) = recent.items.first() else { return };
        if first.first_seq == self.start {
            return;
        }
        assert!(first.first_seq > self.start, "the start moved back");
        self.moves += u32::from(self.start != Seq(0));
        self.start = first.first_seq;
        let high = u64::from(recent.allowance_tokens);
        assert_eq!(*self.high.get_or_insert(high), high, "the window was made smaller");
        let appended: u64 = talk.tokens(0, self.format);
        let moves = u64::from(self.moves);
        assert!(moves * (high - high / 2) <= appended, "{moves} moves in {appended} tokens");
    }
}

/// Grows a conversation by `exchanges`, every third with a tool loop, and builds a context at each
/// call of the model.
fn check(model: &str, format: Format, exchanges: usize, unappended: bool) {
    for budget in BUDGETS {
        let mut talk = Talk::new(model);
        let mut walk = Walk {
            budget,
            format,
            start: Seq(0),
            high: None,
            moves: 0,
            summaries: 0,
            summarized: 0,
            steps: 0,
            previous: None,
            shared: Vec::new(),
        };
        for exchange in 0..exchanges {
            let ask = if unappended {
                let ask = talk.ask(true);
                walk.step(&mut talk, &ask);
                talk.say(Role::User, 20);
                ask
            } else {
                talk.say(Role::User, 20);
                talk.ask(false)
            };
            if !unappended {
                tool_loop(&mut talk, &mut walk, &ask, if exchange % 3 == 0 { 3 } else { 0 });
            }
            talk.say(Role::Assistant, 40);
        }
        let mean = walk.shared.iter().sum::<f64>() / walk.shared.len() as f64;
        println!(
            "{model} {format:?} {budget}: {} moves and {} steps of the frontier in {} turns, \
             {} contexts with a summary, mean shared part {mean:.3}",
            walk.moves,
            walk.steps,
            talk.turns.len(),
            walk.summarized,
        );
        assert_eq!(walk.summarized > 0, budget > 2_048 && walk.moves > 0, "{budget}");
        assert!(walk.moves > 0 || budget > 4_096, "the window never filled");
    }
}

/// Calls of the model in one exchange: the quote before the user's turn stays as it is.
fn tool_loop(talk: &mut Talk, walk: &mut Walk, ask: &Ask, calls: usize) {
    walk.step(talk, ask);
    let first = walk.previous.as_ref().map(quotes);
    let room = u64::from(walk.budget) * 15 / 100;
    let from = talk.turns.len();
    for _ in 0..calls {
        talk.call_tool();
        walk.step(talk, ask);
        let grown = talk.tokens(from, walk.format);
        let now = walk.previous.as_ref().map(quotes);
        assert!(grown > room || now == first, "a quote changed in a tool loop");
    }
}

#[test]
fn appended_questions_keep_the_prefix_for_openai() {
    check("gpt-4o", Format::OpenAiChat, 150, false);
}

#[test]
fn appended_questions_keep_the_prefix_for_anthropic() {
    check("claude-sonnet-4-5", Format::AnthropicMessages, 150, false);
}

#[test]
fn questions_not_appended_keep_the_prefix_for_openai() {
    check("gpt-4o", Format::OpenAiChat, 150, true);
}

#[test]
fn questions_not_appended_keep_the_prefix_for_anthropic() {
    check("claude-sonnet-4-5", Format::AnthropicMessages, 150, true);
}
