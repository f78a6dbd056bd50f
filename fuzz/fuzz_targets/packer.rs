//! Contexts of any sessions: the budget holds, and each living turn is shown or listed, none twice.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use jiff::tz::TimeZone;
use keepsake::context::{
    Context, DocumentView, Format, Hit, Input, Instructions, Passage, SectionKind, Source,
    TurnView, build, measure,
};
use keepsake::tokens::{Model, Models};
use keepsake::types::{Media, Part, Policy, Role, Seq, Shares, Status, Timestamp, Turn};
use libfuzzer_sys::fuzz_target;

/// The most turns of a session: enough for every border, few enough to be quick.
const TURNS_MAX: usize = 24;

static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let (models, policy) = (Models::new(), Policy::initial());
    let names = ["gpt-4o", "gpt-4", "claude-sonnet-4-5", "p50k_base"];
    names.map(|name| models.resolve(&policy, name).expect("it is built in")).into()
});

#[derive(Debug, Arbitrary)]
enum Said {
    Text(String),
    Call(u8, String),
    Result(u8, String),
    Media(String, u16),
}

#[derive(Debug, Arbitrary)]
struct Spoken {
    role: u8,
    name: Option<u8>,
    parts: Vec<Said>,
    gap: u8,
}

#[derive(Debug, Arbitrary)]
struct Asked {
    model: u8,
    format: u8,
    budget: u16,
    reserve: u8,
    instructions: Option<String>,
    pinned: Option<String>,
    query: Option<String>,
    shares: (u8, u8),
    sessions: [Vec<Spoken>; 2],
    hits: Vec<(bool, u8, Option<(u8, u8)>)>,
    as_of: i64,
    length_price: u8,
    documents: [String; 2],
    chunks: Vec<Chunk>,
    documents_percent: Option<u8>,
}

#[derive(Debug, Arbitrary)]
struct Chunk {
    second: bool,
    start: u16,
    bytes: u8,
    heading: Vec<String>,
    score: u8,
}

fn part(said: &Said) -> Part {
    match said {
        Said::Text(text) => Part::Text(text.clone()),
        Said::Call(id, arguments) => Part::ToolCall {
            id: format!("c{}", id % 4),
            name: "search".to_owned(),
            arguments: arguments.clone(),
        },
        Said::Result(id, text) => Part::ToolResult {
            call_id: format!("c{}", id % 4),
            parts: vec![Part::Text(text.clone())],
            is_error: id % 2 == 0,
        },
        Said::Media(caption, tokens) => Part::Media(Media {
            uri: "https://m.example/1.png".to_owned(),
            file_id: String::new(),
            media_type: "image/png".to_owned(),
            caption: caption.clone(),
            tokens: u32::from(*tokens),
        }),
    }
}

/// The turns of a session as the edge lets them in: results from tools, calls from the assistant.
fn turns(spoken: &[Spoken]) -> Vec<Turn> {
    let mut seq = 0;
    let mut all = Vec::new();
    for spoken in spoken.iter().take(TURNS_MAX) {
        seq += 1 + u64::from(spoken.gap % 3);
        let role = [Role::User, Role::Assistant, Role::Tool][usize::from(spoken.role % 3)];
        let fits = |said: &&Said| match said {
            Said::Text(_) => true,
            Said::Call(..) => role == Role::Assistant,
            Said::Result(..) => role == Role::Tool,
            Said::Media(..) => role != Role::Tool,
        };
        let parts: Vec<Part> = spoken.parts.iter().filter(fits).map(part).collect();
        if parts.is_empty() {
            continue;
        }
        all.push(Turn {
            seq: Seq(seq),
            role,
            name: spoken.name.map(|name| format!("N{name}")).unwrap_or_default(),
            parts,
            created_at: Timestamp(1_700_000_000_000 + seq as i64 * 9_000_000),
            committed_at: Timestamp(1_700_000_000_000),
            external_id: String::new(),
            metadata: Default::default(),
            status: Status::Complete,
        });
    }
    all
}

/// The chunks as retrieval finds them: pieces of their documents, at borders of characters.
fn passages<'a>(asked: &'a Asked, model: &Model) -> Vec<Passage<'a>> {
    let passage = |(number, chunk): (u32, &'a Chunk)| {
        let text = &asked.documents[usize::from(chunk.second)];
        let border = |at: usize| (0..=at.min(text.len())).rfind(|at| text.is_char_boundary(*at));
        let start = border(chunk.start.into())?;
        let end = border(start + usize::from(chunk.bytes))?.max(start);
        let tokens = model.tokenizer.count(&text[start..end]);
        Some(Passage {
            document: usize::from(chunk.second),
            chunk: number,
            start: start as u64,
            end: end as u64,
            heading: &chunk.heading,
            text: &text[start..end],
            tokens,
            score: f64::from(chunk.score),
        })
    };
    (0..).zip(asked.chunks.iter().take(TURNS_MAX)).filter_map(passage).collect()
}

/// Shown and listed are all turns, none twice.
fn check(context: &Context, sessions: &[Vec<Turn>]) {
    let mut seen = BTreeSet::new();
    let fixed = [SectionKind::Instructions, SectionKind::Summary];
    for section in context.sections.iter().filter(|section| !fixed.contains(&section.kind)) {
        for item in &section.items {
            let Some(source) = item.source else { continue };
            for turn in &sessions[source] {
                if item.first_seq <= turn.seq && turn.seq <= item.last_seq {
                    assert!(seen.insert((source, turn.seq)), "{:?} is shown twice", turn.seq);
                }
            }
        }
    }
    for range in &context.not_shown {
        for turn in &sessions[range.source] {
            if range.first_seq <= turn.seq && turn.seq <= range.last_seq {
                assert!(seen.insert((range.source, turn.seq)), "{:?} is listed twice", turn.seq);
            }
        }
    }
    let all: usize = sessions.iter().map(Vec::len).sum();
    assert_eq!(seen.len(), all, "each turn is shown or listed");
}

fuzz_target!(|asked: Asked| {
    let model = &MODELS[usize::from(asked.model) % MODELS.len()];
    let sessions = [turns(&asked.sessions[0]), turns(&asked.sessions[1])];
    let counts = sessions
        .each_ref()
        .map(|turns| turns.iter().map(|turn| measure(turn, &model.tokenizer)).collect::<Vec<_>>());
    let views: Vec<Vec<TurnView<'_>>> = sessions
        .iter()
        .zip(&counts)
        .map(|(turns, counts)| {
            turns.iter().zip(counts).map(|(turn, counts)| TurnView { turn, counts }).collect()
        })
        .collect();
    let sources: Vec<Source<'_>> = views.iter().map(|turns| Source { turns }).collect();
    let hit = |(second, seq, passage): &(bool, u8, Option<(u8, u8)>)| Hit {
        source: usize::from(*second),
        seq: Seq(u64::from(*seq)),
        score: f64::from(*seq),
        passage: passage.map(|(a, b)| usize::from(a)..usize::from(a) + usize::from(b)),
    };
    let hits: Vec<Hit> = asked.hits.iter().map(hit).collect();
    let texts = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let (instructions, pinned) = (texts(&asked.instructions), texts(&asked.pinned));
    let summary_percent = asked.shares.0 % 101;
    let recent_percent = asked.shares.1 % (101 - summary_percent);
    let passages = passages(&asked, model);
    let documents = ["first", "second"].map(|document| DocumentView {
        collection: "notes",
        document,
        title: &asked.documents[0],
    });
    let input = Input {
        model,
        format: [Format::Neutral, Format::OpenAiChat, Format::AnthropicMessages]
            [usize::from(asked.format % 3)],
        budget_tokens: u32::from(asked.budget % 4_096),
        reserve_tokens: u32::from(asked.reserve),
        instructions: asked
            .instructions
            .is_some()
            .then(|| Instructions::new(&instructions, &model.tokenizer)),
        pinned: asked.pinned.is_some().then(|| Instructions::new(&pinned, &model.tokenizer)),
        shares: Shares {
            summary_percent,
            recent_percent,
            retrieved_percent: 100 - summary_percent - recent_percent,
        },
        sources: &sources,
        session: Some(0),
        summaries: &[],
        hits: &hits,
        length_price: f64::from(asked.length_price) / 16.0,
        retrieved_turns_max: 20,
        documents: &documents,
        passages: &passages,
        passages_max: 10,
        documents_percent: asked.documents_percent.map(|percent| percent % 101),
        query: asked.query.as_deref(),
        as_of: Timestamp(asked.as_of % 4_000_000_000_000),
        time_zone: &TimeZone::UTC,
    };
    let Ok(context) = build(&input) else { return };
    let available = input.budget_tokens.saturating_sub(input.reserve_tokens);
    assert!(context.used_tokens <= available, "{} of {available}", context.used_tokens);
    let parts: u32 = context.sections.iter().map(|section| section.tokens).sum();
    assert_eq!(parts + context.framing_tokens, context.used_tokens, "the account adds up");
    check(&context, &sessions);
    assert_eq!(build(&input).as_ref(), Ok(&context), "the same input, the same context");
});
