//! From a query to turns, best first.

use std::ops::Range;

use crate::retrieve::{
    Language, Query, SessionIndex, Weights,
    cosine::Cosines,
    lexical::{Counts, Partition},
    query::{Asked, QUERY_TERMS_MAX, QUERY_WORDS_MAX},
    rules::is_idle_anywhere,
    score::{Evidence, Scored},
};
use crate::types::Seq;

/// A question none of whose words is known is answered when a piece of a turn is as like it as
/// this. By all-MiniLM-L6-v2, 99 questions of 100 about another chat stay below 0.29 over one turn,
/// 0.33 over ten and 0.47 over 400: the largest of more cosines is larger by chance. Three of four
/// questions about a chat of 400 turns itself come above 0.55.
fn cosine_min(turns: usize) -> f32 {
    (0.28 + 0.035 * (turns.max(1) as f32).ln()).min(0.5)
}

/// By what turns are ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// By words and what is seen from them.
    Words,
    /// By the likeness of vectors alone; by words where there are none.
    Vectors,
    /// By both.
    #[default]
    Hybrid,
}

/// One session that takes part.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its index.
    pub index: &'a SessionIndex,
    /// Turns at or above it take part in nothing, statistics included; none: all take part.
    pub horizon: Option<Seq>,
    /// Turns at or above it take part by words alone, whether they have vectors or not, so that
    /// vectors that come for them change nothing; none: all that have vectors use them.
    pub words_from: Option<Seq>,
}

impl Source<'_> {
    /// The turns below it may take part by their vectors.
    fn vectors_below(&self) -> Option<Seq> {
        [self.horizon, self.words_from].into_iter().flatten().min()
    }

    /// How many turns that may take part by their vectors have something to embed.
    pub fn wanting(&self) -> usize {
        self.index.wanting(self.vectors_below())
    }

    /// How many of these have their vectors.
    pub fn vectors_known(&self) -> usize {
        self.index.vectors_known(self.vectors_below())
    }

    /// How many of the first turns may take part by their vectors.
    pub(super) fn turns_with_vectors(&self) -> usize {
        self.index.turns_below(self.vectors_below())
    }
}

/// What is asked, of whom, and how the answer is limited.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The sessions, in an order that the caller keeps stable.
    pub sources: &'a [Source<'a>],
    /// The question.
    pub query: Query<'a>,
    /// Whether a turn (place of its source, its own place) may be a hit. It changes no statistics.
    pub filter: &'a dyn Fn(usize, Seq) -> bool,
    /// The most hits.
    pub hits_max: usize,
    /// What each signal counts.
    pub weights: &'a Weights,
    /// By what turns are ranked.
    pub mode: Mode,
    /// The vector of what [`crate::retrieve::to_embed`] gives for the query; none: it is ranked by
    /// words.
    pub vector: Option<&'a [f32]>,
    /// Whether hits come with their signals.
    pub explain: bool,
}

/// Why nothing was retrieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSignal {
    /// There are no turns to search.
    EmptyPartition,
    /// The query has no informative word: it acknowledges, or asks to go on.
    NothingAsked,
    /// No informative word of the query stands in the partition, and nothing is like it in meaning.
    NothingKnown,
}

/// Whether the past was searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It was.
    Retrieved,
    /// There is no absolute evidence that the past matters.
    NoSignal(NoSignal),
}

/// One signal of a hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalValue {
    /// The signal's name, as in the table of weights.
    pub name: &'static str,
    /// Its own value.
    pub raw: f64,
    /// The value that was weighed: deviations from the partition's mean; the raw value for flags
    /// and in small partitions.
    pub standardised: f64,
    /// Its weight.
    pub weight: f64,
}

/// A turn that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The place of its source.
    pub source: usize,
    /// Its place in the session.
    pub seq: Seq,
    /// The weighted sum of its signals; comparable inside one ranking only.
    pub score: f64,
    /// With `explain`, the signals that have weight, in the order of the table; else empty.
    pub signals: Vec<SignalValue>,
    /// The best passage of a long turn, in bytes of its searchable text; none: the turn is short.
    pub passage: Option<Range<usize>>,
}

/// The answer: turns, best first. The order is total: score, then the newest by `created_at`, then
/// the higher place, then the earlier source.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Whether the past was searched.
    pub decision: Decision,
    /// At most as many as asked for; empty without a signal.
    pub hits: Vec<Hit>,
    /// The standard deviation of the scores of all turns of the partition, 0 without a signal: by
    /// it scores of one ranking compare with those of another.
    pub spread: f64,
}

/// Ranks the turns of a partition for a query. The same request has the same answer, bit for bit,
/// however far the sessions grow beyond their horizons.
pub fn rank(request: &Request<'_>) -> Ranking {
    let partition = Partition::of(request.sources);
    if partition.turns == 0 {
        return Ranking::none(NoSignal::EmptyPartition);
    }
    let mut asked = Asked::read(&request.query, &languages(&partition));
    if asked.informative().next().is_none() {
        return Ranking::none(NoSignal::NothingAsked);
    }
    // Where no word is known the query's language is a guess; thanks in any language ask nothing.
    let has_content = asked.informative().any(|term| !is_idle_anywhere(&term.word));
    let counts = known_terms(&partition, &mut asked);
    let cosines = request
        .vector
        .filter(|_| request.mode != Mode::Words)
        .and_then(|vector| Cosines::of(&partition, vector));
    let alike =
        cosines.as_ref().is_some_and(|cosines| cosines.largest() >= cosine_min(cosines.known));
    if asked.informative().next().is_none() && !(alike && has_content) {
        return Ranking::none(NoSignal::NothingKnown);
    }
    let evidence = Evidence { partition: &partition, asked: &asked, counts: &counts };
    let scored = Scored::new(request, &evidence, cosines);
    Ranking { decision: Decision::Retrieved, hits: scored.hits(request), spread: scored.spread() }
}

impl Ranking {
    fn none(why: NoSignal) -> Self {
        Self { decision: Decision::NoSignal(why), hits: Vec::new(), spread: 0.0 }
    }
}

/// The languages of the partition's turns with the number of their turns, the commonest first.
pub(super) fn languages(partition: &Partition<'_>) -> Vec<(Language, usize)> {
    let mut counts = [(Language::Other, 0usize); Language::COUNT];
    for part in &partition.parts {
        for turn in &part.index.turns[..part.turns.len()] {
            let count = &mut counts[turn.language as usize];
            *count = (turn.language, count.1 + 1);
        }
    }
    counts.sort_by_key(|(language, count)| (std::cmp::Reverse(*count), *language));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Leaves in `asked` the terms that the partition has, of a long query only its questions and
/// rarest terms, and counts them.
fn known_terms(partition: &Partition<'_>, asked: &mut Asked) -> Counts {
    let counts = Counts::gather(partition, &asked.terms);
    let frequencies = counts.frequencies();
    let mut kept: Vec<usize> = (0..asked.terms.len()).filter(|at| frequencies[*at] > 0).collect();
    let long = asked.words > QUERY_WORDS_MAX;
    let terms_max = if long { QUERY_TERMS_MAX / 2 } else { QUERY_TERMS_MAX };
    if kept.len() > terms_max {
        kept.sort_by_key(|at| (!asked.terms[*at].asked, frequencies[*at]));
        kept.truncate(terms_max);
        kept.sort_unstable();
    }
    asked.terms = kept.iter().map(|at| asked.terms[*at].clone()).collect();
    counts.keep(&kept)
}
