//! Generated sessions for the properties of a context: awkward texts, tool groups whole and broken,
//! media, opaque JSON, gaps in seq, hits with and without passages. One number makes one case.

use jiff::tz::TimeZone;
use keepsake::context::{Hit, SummaryView, TurnCounts, TurnView, count_lines, measure};
use keepsake::summarize::{Line, SUMMARIZER_VERSION, Span, Summary};
use keepsake::tokens::{Model, Models};
use keepsake::types::{Media, Part, Policy, Role, Seq, Shares, Status, Timestamp, Turn};

use crate::context_passages::Library;

/// A source of numbers that is the same everywhere (splitmix64).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

pub const MODELS: [&str; 6] =
    ["gpt-4o", "gpt-4", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro", "p50k_base"];

pub const ZONES: [&str; 3] = ["UTC", "Asia/Tokyo", "America/New_York"];

const PIECES: [&str; 44] = [
    "hello",
    " the garden",
    "\n",
    "\n\n",
    " ",
    "  ",
    "\t",
    "\r\n",
    "/",
    "//path",
    "</memory>",
    "<memory>",
    "< / MEMORY >",
    "<|endoftext|>",
    "<|im_start|>system",
    "Ärger",
    "日本語のテキスト",
    "中文",
    "مرحبا بالعالم",
    "ภาษาไทย",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "e\u{301}\u{327}",
    "\u{200d}",
    "\u{feff}",
    "\u{a0}",
    "\u{3000}",
    "\u{85}",
    "1234567",
    " 3.14159",
    "don't",
    "'ll",
    "{\"a\": [1, 2]}",
    "```rust",
    "- item",
    "Ann: hi",
    "2023-05-08 Mon",
    "Today is",
    "\u{0}",
    "snake_case_name",
    "…",
    "Ω≈ç√∫",
    " I bought a red bicycle last week.",
    "?",
];

const NAMES: [&str; 8] = ["", "", "", "Ann", "Jürgen Groß", "田中", "/root", " \n</memory> "];

pub fn text(numbers: &mut Numbers) -> String {
    if numbers.once_in(200) {
        return numbers.pick(&["a", "ä", " ", "\n", "🙂", "é "]).repeat(1 + numbers.below(700));
    }
    if numbers.once_in(25) {
        return numbers.pick(&["", " ", "\n \t", "\u{3000}"]).to_owned();
    }
    let most = if numbers.once_in(12) { 60 } else { 7 };
    let length = 1 + numbers.below(most);
    (0..length).map(|_| numbers.pick(&PIECES)).collect()
}

fn media(numbers: &mut Numbers) -> Part {
    let tokens = numbers.pick(&[0, 7, 85, 300]);
    let (media_type, end) =
        numbers.pick(&[("image/png", "png"), ("application/pdf", "pdf"), ("audio/wav", "wav")]);
    let uploaded = numbers.once_in(3);
    Part::Media(Media {
        uri: if uploaded { String::new() } else { format!("https://m.example/{tokens}.{end}") },
        file_id: if uploaded { format!("file-{tokens}") } else { String::new() },
        media_type: media_type.to_owned(),
        caption: text(numbers),
        tokens,
    })
}

fn opaque(numbers: &mut Numbers) -> Part {
    let (provider, json) = numbers.pick(&[
        ("anthropic", r#"{"type":"thinking","thinking":"hm","signature":"x=="}"#),
        ("openai", r#"{"refusal":null,"annotations":[{"n": 12345678901234567890.50}]}"#),
        ("openai", r#"{"role":"system","content":"no"}"#),
        ("anthropic", "[1]"),
        ("mistral", "7"),
    ]);
    Part::Opaque { provider: provider.to_owned(), json: json.to_owned() }
}

fn spoken(numbers: &mut Numbers, is_user: bool) -> Vec<Part> {
    let mut parts = vec![Part::Text(text(numbers))];
    while numbers.once_in(5) {
        parts.push(Part::Text(text(numbers)));
    }
    if numbers.once_in(8) {
        parts.push(if is_user { media(numbers) } else { opaque(numbers) });
    }
    if numbers.once_in(30) {
        parts = vec![opaque(numbers)];
    }
    parts
}

fn result(numbers: &mut Numbers, id: &str) -> Part {
    let mut parts = vec![Part::Text(text(numbers))];
    if numbers.once_in(5) {
        parts.push(media(numbers));
    }
    if numbers.once_in(6) {
        parts.clear();
    }
    Part::ToolResult { call_id: id.to_owned(), parts, is_error: numbers.once_in(4) }
}

/// A conversation under construction.
struct Script<'a> {
    numbers: &'a mut Numbers,
    turns: Vec<Turn>,
    seq: u64,
    calls: u64,
}

impl Script<'_> {
    fn say(&mut self, role: Role, parts: Vec<Part>) {
        self.seq += 1;
        // Deleted and superseded turns leave gaps, in the middle of groups too.
        if self.numbers.once_in(12) {
            return;
        }
        let name = if role == Role::Tool { "" } else { self.numbers.pick(&NAMES) };
        let at = 1_680_000_000_000 + (self.seq as i64) * 7_000_000;
        self.turns.push(Turn {
            seq: Seq(self.seq),
            role,
            name: name.to_owned(),
            parts,
            created_at: Timestamp(at + (self.numbers.below(100_000_000) as i64)),
            committed_at: Timestamp(at),
            external_id: String::new(),
            metadata: Default::default(),
            status: if self.numbers.once_in(9) { Status::Interrupted } else { Status::Complete },
        });
    }

    fn call_tools(&mut self) {
        let mut ids = Vec::new();
        let mut parts = if self.numbers.once_in(2) { spoken(self.numbers, false) } else { vec![] };
        for _ in 0..1 + self.numbers.below(3) {
            self.calls += 1;
            let odd = if self.numbers.once_in(5) { "§ " } else { "call_" };
            let id = format!("{odd}{}", self.calls);
            let arguments = self.numbers.pick(&["{}", "", r#"{"q": "x y", "n":1.0}"#, "{\n}"]);
            let name = self.numbers.pick(&["search", "mcp.fetch it", "ls", ""]);
            let (name, arguments) = (name.to_owned(), arguments.to_owned());
            parts.push(Part::ToolCall { id: id.clone(), name, arguments });
            ids.push(id);
        }
        self.say(Role::Assistant, parts);
        self.answer_calls(&ids);
    }

    fn answer_calls(&mut self, ids: &[String]) {
        let mut results: Vec<Part> = Vec::new();
        for id in ids {
            if !self.numbers.once_in(10) {
                results.push(result(self.numbers, id));
            }
            if self.numbers.once_in(15) {
                let lost = if self.numbers.once_in(2) { id.clone() } else { "gone".to_owned() };
                results.push(result(self.numbers, &lost));
            }
        }
        if self.numbers.once_in(8) {
            results.push(Part::Text(text(self.numbers)));
        }
        if self.numbers.once_in(2) {
            for part in results {
                self.say(Role::Tool, vec![part]);
            }
        } else if !results.is_empty() {
            self.say(Role::Tool, results);
        }
    }

    fn exchange(&mut self) {
        if !self.numbers.once_in(10) {
            let parts = spoken(self.numbers, true);
            self.say(Role::User, parts);
        }
        while self.numbers.once_in(4) {
            self.call_tools();
        }
        if !self.numbers.once_in(4) {
            let parts = spoken(self.numbers, false);
            self.say(Role::Assistant, parts);
        }
    }
}

pub fn turns(numbers: &mut Numbers, exchanges: usize) -> Vec<Turn> {
    let mut script = Script { numbers, turns: Vec::new(), seq: 0, calls: 0 };
    for _ in 0..exchanges {
        script.exchange();
    }
    script.turns
}

/// A generated world: sessions with their counts, and what was found in them.
pub struct Case {
    pub model: Model,
    pub sessions: Vec<Vec<(Turn, TurnCounts)>>,
    pub hits: Vec<Hit>,
    pub library: Library,
    /// Summaries with their session and the counts of their lines, in no order.
    pub summaries: Vec<(usize, Summary, Vec<u32>)>,
    pub instructions: String,
    pub pinned: String,
    pub zone: TimeZone,
}

impl Case {
    pub fn generate(seed: u64, models: &Models) -> Self {
        let mut numbers = Numbers::new(seed);
        let numbers = &mut numbers;
        let name = numbers.pick(&MODELS);
        let mut model = models.resolve(&Policy::initial(), name).expect("the model is built in");
        if !numbers.once_in(3) {
            model.cacheable_prefix_tokens_min = numbers.pick(&[1, 30, 200]);
        }
        let mut sessions = Vec::new();
        for _ in 0..1 + numbers.below(3) {
            let exchanges = if numbers.once_in(4) { numbers.below(24) } else { numbers.below(6) };
            let counted = |turn: Turn| {
                let counts = measure(&turn, &model.tokenizer);
                (turn, counts)
            };
            sessions.push(turns(numbers, exchanges).into_iter().map(counted).collect());
        }
        let hits = hits(numbers, &sessions);
        let own = |numbers: &mut Numbers| match numbers.below(3) {
            0 => text(numbers),
            _ => String::new(),
        };
        let zone = TimeZone::get(numbers.pick(&ZONES)).expect("the zone is bundled");
        let (instructions, pinned) = (own(numbers), own(numbers));
        let summaries = summaries(numbers, &sessions, &model);
        let library = Library::generate(numbers);
        Self { model, sessions, hits, library, summaries, instructions, pinned, zone }
    }

    pub fn summary_views(&self) -> Vec<SummaryView<'_>> {
        let mut views = Vec::new();
        for (source, summary, line_tokens) in &self.summaries {
            views.push(SummaryView { source: *source, summary, line_tokens });
        }
        views
    }

    pub fn views(&self) -> Vec<Vec<TurnView<'_>>> {
        let mut sessions = Vec::new();
        for session in &self.sessions {
            sessions.push(session.iter().map(|(turn, counts)| TurnView { turn, counts }).collect());
        }
        sessions
    }
}

/// Summaries of the start of each session in spans of some turns, and of whole runs of spans in
/// higher levels, with awkward lines, none of them sometimes.
fn summaries(
    numbers: &mut Numbers,
    sessions: &[Vec<(Turn, TurnCounts)>],
    model: &Model,
) -> Vec<(usize, Summary, Vec<u32>)> {
    let mut made = Vec::new();
    for (source, session) in sessions.iter().enumerate() {
        let mut level: Vec<Summary> = Vec::new();
        let mut at = 0;
        while at < session.len() && !numbers.once_in(5) {
            let end = (at + 1 + numbers.below(4)).min(session.len());
            level.push(summary(numbers, 0, &session[at..end]));
            at = end;
        }
        while !level.is_empty() {
            let mut above = Vec::new();
            let children = 2 + numbers.below(2);
            for covered in level.chunks(children).take(numbers.below(3)) {
                let (first, last) = (covered[0].span.first_seq, covered[covered.len() - 1].span);
                let inside = |turn: &Turn| turn.seq >= first && turn.seq <= last.last_seq;
                let turns: Vec<_> = session.iter().filter(|(t, _)| inside(t)).cloned().collect();
                above.push(summary(numbers, last.level + 1, &turns));
            }
            made.extend(level.drain(..).map(|summary| (source, summary)));
            level = above;
        }
    }
    let counted = |(source, summary): (usize, Summary)| {
        let counts = count_lines(&summary, &model.tokenizer);
        (source, summary, counts)
    };
    let mut made: Vec<_> = made.into_iter().map(counted).collect();
    if numbers.once_in(2) {
        made.reverse();
    }
    made
}

fn summary(numbers: &mut Numbers, level: u8, turns: &[(Turn, TurnCounts)]) -> Summary {
    let mut lines = Vec::new();
    for (turn, _) in turns {
        if numbers.once_in(3) {
            continue;
        }
        let speaker = match turn.speaker().trim() {
            "" => "Tool",
            name => name,
        };
        lines.push(Line {
            seq: turn.seq,
            created_at: turn.created_at,
            speaker: speaker.to_owned(),
            text: text(numbers),
            rank: numbers.below(9) as u16,
            changed: numbers.once_in(6),
        });
    }
    let (first, last) = (&turns[0].0, &turns[turns.len() - 1].0);
    Summary {
        span: Span { level, first_seq: first.seq, last_seq: last.seq },
        turns: turns.len() as u64,
        lines,
        source_tokens: 100,
        version: SUMMARIZER_VERSION,
    }
}

fn hits(numbers: &mut Numbers, sessions: &[Vec<(Turn, TurnCounts)>]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (source, session) in sessions.iter().enumerate() {
        for (turn, _) in session {
            if numbers.once_in(3) {
                continue;
            }
            let length = turn.searchable_text().len();
            let start = numbers.below(length + 2);
            let passage = numbers.once_in(3).then(|| start..start + numbers.below(length + 2));
            let score = numbers.below(1_000) as f64 / 100.0;
            hits.push(Hit { source, seq: turn.seq, score, passage });
        }
    }
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    if numbers.once_in(10) {
        hits.push(Hit { source: 9, seq: Seq(77), score: -1.0, passage: None });
        hits.push(Hit { source: 0, seq: Seq(7_777), score: -1.0, passage: None });
    }
    hits
}

pub fn shares(numbers: &mut Numbers) -> Shares {
    if numbers.once_in(2) {
        return Shares::DEFAULT;
    }
    let summary_percent = numbers.below(101) as u8;
    let recent_percent = numbers.below(101 - usize::from(summary_percent)) as u8;
    let rest = 100 - usize::from(summary_percent) - usize::from(recent_percent);
    Shares { summary_percent, recent_percent, retrieved_percent: numbers.below(rest + 1) as u8 }
}
