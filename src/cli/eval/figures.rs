//! What an answer is worth: the figures of one question. Pure.
//! In: a question, what was found, a context. Out: figures, 0 to 1, or tokens.
//! Invariant: each is the figure of the data sets' own scorer, where that has it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::cli::eval::{
    ask::{Answer, Context},
    gains::ndcg,
    questions::{DocumentQuestion, Question},
};

/// How far rankings are looked at.
pub const DEPTHS: [usize; 3] = [5, 10, 20];
/// The depth whose recall comes with an interval.
const MAIN_DEPTH: usize = 10;

/// One figure, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// The share of the evidence among so many first hits.
    Recall(usize),
    /// The discounted gain of the first ten hits.
    Ndcg,
    /// The share of the evidence that stands whole in a context of this budget.
    Evidence(u32),
    /// Whether all of it does.
    AllEvidence(u32),
    /// Whether the answer stands in the context, but for case, punctuation and articles.
    Answer(u32),
    /// How many tokens a context of this budget takes.
    Tokens(u32),
    /// What it takes less than the whole history.
    Saved(u32),
}

impl Figure {
    /// Its name in a table.
    pub fn label(self) -> String {
        match self {
            Self::Recall(depth) => format!("recall@{depth}"),
            Self::Ndcg => "nDCG@10".to_owned(),
            Self::Evidence(budget) => format!("evidence within {budget}"),
            Self::AllEvidence(budget) => format!("all evidence within {budget}"),
            Self::Answer(budget) => format!("answer within {budget}"),
            Self::Tokens(budget) => format!("tokens used of {budget}"),
            Self::Saved(budget) => format!("saved at {budget}"),
        }
    }

    /// Its name in JSON.
    pub fn key(self) -> String {
        match self {
            Self::Recall(depth) => format!("recall@{depth}"),
            Self::Ndcg => "ndcg@10".to_owned(),
            Self::Evidence(budget) => format!("evidence@{budget}"),
            Self::AllEvidence(budget) => format!("allEvidence@{budget}"),
            Self::Answer(budget) => format!("answer@{budget}"),
            Self::Tokens(budget) => format!("tokens@{budget}"),
            Self::Saved(budget) => format!("saved@{budget}"),
        }
    }

    /// Whether it is shown with its interval and halves, and for each way of searching.
    pub fn is_main(self) -> bool {
        matches!(self, Self::Recall(MAIN_DEPTH) | Self::Ndcg | Self::Evidence(_))
    }

    /// A value of it for people: percent, or tokens.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Tokens(_) => format!("{value:.0}"),
            _ => format!("{:.1}", 100.0 * value),
        }
    }
}

/// The figures that a question has.
pub type Figures = BTreeMap<Figure, f64>;

/// All figures of an answer.
pub fn of_answer(question: &Question, answer: &Answer) -> Figures {
    let mut figures = of_ranking(question, &answer.ranked);
    for context in &answer.contexts {
        figures.extend(of_context(question, context));
    }
    figures
}

/// The figures of a ranking, best first; none without evidence.
pub fn of_ranking(question: &Question, ranked: &[String]) -> Figures {
    let evidence = evidence_of(question).unwrap_or_default();
    let relevant = evidence.into_iter().map(|turn| (turn.to_owned(), 1.0)).collect();
    of_ranked(&relevant, ranked)
}

/// The figures of a ranking of documents; none where nothing is relevant.
pub fn of_documents(question: &DocumentQuestion, ranked: &[String]) -> Figures {
    of_ranked(&question.relevant, ranked)
}

fn of_ranked(relevant: &HashMap<String, f64>, ranked: &[String]) -> Figures {
    if relevant.is_empty() {
        return Figures::new();
    }
    let recall = |depth: usize| {
        let first: HashSet<&String> = ranked.iter().take(depth).collect();
        let found = relevant.keys().filter(|name| first.contains(name)).count();
        (Figure::Recall(depth), ratio(found, relevant.len()))
    };
    let ndcg = (Figure::Ndcg, ndcg(relevant, ranked));
    DEPTHS.into_iter().map(recall).chain([ndcg]).collect()
}

/// The figures of a context.
pub fn of_context(question: &Question, context: &Context) -> Figures {
    let budget = context.budget;
    let mut figures = Figures::from([(Figure::Tokens(budget), f64::from(context.tokens))]);
    if let Some(evidence) = evidence_of(question) {
        let turns: HashSet<&str> = context.shown.turns.iter().map(String::as_str).collect();
        let found = evidence.intersection(&turns).count();
        figures.insert(Figure::Evidence(budget), ratio(found, evidence.len()));
        figures.insert(Figure::AllEvidence(budget), one_if(found == evidence.len()));
    }
    if let Some(answer) = question.answer.as_deref().filter(|answer| !answer.is_empty()) {
        let within = format!(" {} ", normalised(&context.shown.text));
        let stands = within.contains(&format!(" {} ", normalised(answer)));
        figures.insert(Figure::Answer(budget), one_if(stands));
    }
    if context.full_history_tokens > 0 {
        #[expect(clippy::cast_precision_loss, reason = "histories have far fewer tokens")]
        let full = context.full_history_tokens as f64;
        figures.insert(Figure::Saved(budget), 1.0 - f64::from(context.tokens) / full);
    }
    figures
}

/// Whether a question's category is measured apart from all others: it has no answer.
pub fn is_apart(question: &Question) -> bool {
    let category = question.category.as_deref().unwrap_or_default();
    category.starts_with("5-") || category == "abstention"
}

/// The turns that hold the answer, each once.
fn evidence_of(question: &Question) -> Option<HashSet<&str>> {
    let evidence = question.evidence.as_ref()?;
    let evidence: HashSet<&str> = evidence.iter().map(String::as_str).collect();
    (!evidence.is_empty()).then_some(evidence)
}

/// A text without case, punctuation and articles, one space between words: as the scorer does it.
fn normalised(text: &str) -> String {
    let is_mark = |c: char| c.is_ascii_punctuation() || "’‘“”–—…".contains(c);
    let text: String =
        text.to_lowercase().chars().map(|c| if is_mark(c) { ' ' } else { c }).collect();
    let words = text.split_whitespace().filter(|word| !["a", "an", "the"].contains(word));
    words.collect::<Vec<_>>().join(" ")
}

fn one_if(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

#[expect(clippy::cast_precision_loss, reason = "counts of turns and documents are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
