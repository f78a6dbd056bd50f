//! From a query to turns, best first.

use std::cmp::Ordering;
use std::ops::Range;

use crate::retrieve::{
    Language, Query, SessionIndex, Weights,
    lexical::{Counts, Lexical, Partition, lexical},
    query::{Asked, AskedTerm, QUERY_TERMS_MAX, QUERY_WORDS_MAX, surface_words},
    signals::{
        ChatKind, FLAGS_START, NAMES, RAW_FLAG_SHARE, SESSION, SIGNALS, STANDARDISED_TURNS_MIN,
        Standardised, flags, in_order, named_speakers, shifted,
    },
};
use crate::types::{Seq, Timestamp};

/// At most this many languages of a partition are tried for each word of a query.
const LANGUAGES_MAX: usize = 4;

/// One session that takes part.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its index.
    pub index: &'a SessionIndex,
    /// Turns at or above it take part in nothing, statistics included; none: all take part.
    pub horizon: Option<Seq>,
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
}

/// Why nothing was retrieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSignal {
    /// There are no turns to search.
    EmptyPartition,
    /// The query has no informative word: it acknowledges, or asks to go on.
    NothingAsked,
    /// No informative word of the query stands in the partition.
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
    /// The signals that have weight, in the order of the table.
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
    let counts = known_terms(&partition, &mut asked);
    if asked.informative().next().is_none() {
        return Ranking::none(NoSignal::NothingKnown);
    }
    let scored = Scored::new(request, &partition, &asked, &counts);
    Ranking { decision: Decision::Retrieved, hits: scored.hits(request) }
}

impl Ranking {
    fn none(why: NoSignal) -> Self {
        Self { decision: Decision::NoSignal(why), hits: Vec::new() }
    }
}

/// The languages of the partition's turns with the number of their turns, the commonest first.
fn languages(partition: &Partition<'_>) -> Vec<(Language, usize)> {
    let mut counts = [(Language::Other, 0usize); Language::COUNT];
    for part in &partition.parts {
        for turn in &part.index.turns[..part.turns.len()] {
            let count = &mut counts[turn.language as usize];
            *count = (turn.language, count.1 + 1);
        }
    }
    counts.sort_by_key(|(language, count)| (std::cmp::Reverse(*count), *language));
    counts.into_iter().filter(|(_, count)| *count > 0).take(LANGUAGES_MAX).collect()
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

/// Every turn of the partition with its score, and what explains it.
struct Scored<'a> {
    partition: &'a Partition<'a>,
    asked: &'a Asked,
    lexical: [Standardised; FLAGS_START],
    best: Vec<usize>,
    /// For each part, which of its speakers the query names.
    named: Vec<Vec<bool>>,
    weights: [f64; SIGNALS],
    scores: Vec<f64>,
}

impl<'a> Scored<'a> {
    fn new(
        request: &Request<'_>,
        partition: &'a Partition<'a>,
        asked: &'a Asked,
        counts: &Counts,
    ) -> Self {
        let turns = || partition.parts.iter().flat_map(|p| &p.index.turns[..p.turns.len()]);
        let kind = request.query.kind.unwrap_or_else(|| ChatKind::of(turns()));
        let mut weights = in_order(request.weights, kind.weights(request.weights));
        let query_words = surface_words(request.query.text);
        let lexical = lexical(partition, counts, &term_weights(request.weights, partition, asked));
        let best = lexical.best.clone();
        let raw = partition.turns < STANDARDISED_TURNS_MIN;
        if raw {
            weights[FLAGS_START..].iter_mut().for_each(|weight| *weight *= RAW_FLAG_SHARE);
        }
        let form = if raw { Standardised::raw } else { Standardised::new };
        let parts = partition.parts.iter();
        let mut scored = Self {
            partition,
            asked,
            lexical: lexical_signals(partition, lexical).map(form),
            best,
            named: parts.map(|part| named_speakers(part.index, &query_words)).collect(),
            weights,
            scores: vec![0.0; partition.turns],
        };
        scored.sum();
        scored
    }

    /// Sums the weighted signals of each turn.
    fn sum(&mut self) {
        for (signal, weight) in self.lexical.iter().zip(self.weights) {
            if weight != 0.0 {
                for (score, value) in self.scores.iter_mut().zip(signal.values()) {
                    *score += weight * value;
                }
            }
        }
        let weights = &self.weights[FLAGS_START..];
        for (part, named) in self.partition.parts.iter().zip(&self.named) {
            for (turn, score) in self.scores[part.turns.clone()].iter_mut().enumerate() {
                let flags = flags(self.asked, part.index, turn, named);
                *score +=
                    flags.iter().zip(weights).map(|(flag, weight)| flag * weight).sum::<f64>();
            }
        }
    }

    /// The best hits that the filter lets through.
    fn hits(&self, request: &Request<'_>) -> Vec<Hit> {
        let mut found: Vec<Found> = Vec::new();
        let session = &self.lexical[SESSION];
        for (source, part) in self.partition.parts.iter().enumerate() {
            for (turn, at) in part.turns.clone().enumerate() {
                let entry = &part.index.turns[turn];
                let touched = session.raw_of(at) > 0.0;
                if touched && (request.filter)(source, entry.seq) {
                    let (seq, created_at) = (entry.seq, entry.created_at);
                    found.push(Found { at, source, turn, seq, created_at, score: self.scores[at] });
                }
            }
        }
        if found.len() > request.hits_max && request.hits_max > 0 {
            found.select_nth_unstable_by(request.hits_max - 1, Found::order);
        }
        found.truncate(request.hits_max);
        found.sort_unstable_by(Found::order);
        found.into_iter().map(|found| self.hit(&found)).collect()
    }

    fn hit(&self, found: &Found) -> Hit {
        let part = &self.partition.parts[found.source];
        let flags = flags(self.asked, part.index, found.turn, &self.named[found.source]);
        let lexical = self.lexical.iter().map(|s| (s.raw_of(found.at), s.value_of(found.at)));
        let values = lexical.chain(flags.into_iter().map(|flag| (flag, flag)));
        let named = NAMES.into_iter().zip(self.weights).zip(values);
        let passage = &part.index.passages[self.best[found.at] - part.first_passage];
        let long = part.index.passages_of(found.turn).len() > 1;
        Hit {
            source: found.source,
            seq: found.seq,
            score: found.score,
            signals: named
                .filter(|((_, weight), _)| *weight != 0.0)
                .map(|((name, weight), (raw, standardised))| SignalValue {
                    name,
                    raw,
                    standardised,
                    weight,
                })
                .collect(),
            passage: long.then_some(passage.start as usize..passage.end as usize),
        }
    }
}

/// A turn on its way to being a hit.
struct Found {
    at: usize,
    source: usize,
    turn: usize,
    seq: Seq,
    created_at: Timestamp,
    score: f64,
}

impl Found {
    fn order(a: &Self, b: &Self) -> Ordering {
        b.score
            .total_cmp(&a.score)
            .then(b.created_at.cmp(&a.created_at))
            .then(b.seq.cmp(&a.seq))
            .then(a.source.cmp(&b.source))
    }
}

/// What each term counts: less for the names of speakers and for acknowledgements.
fn term_weights(weights: &Weights, partition: &Partition<'_>, asked: &Asked) -> Vec<f64> {
    let is_name = |word: &String| {
        let mut speakers = partition.parts.iter().flat_map(|part| &part.index.speakers);
        speakers.any(|speaker| speaker.words.contains(word))
    };
    let weight = |term: &AskedTerm| {
        let name = if is_name(&term.word) { weights.name_term } else { 1.0 };
        let idle = if term.informative { 1.0 } else { weights.idle_term };
        term.weight * name * idle
    };
    asked.terms.iter().map(weight).collect()
}

/// The lexical signals in the order of their names.
fn lexical_signals(partition: &Partition<'_>, lexical: Lexical) -> [Vec<f64>; FLAGS_START] {
    let sessions: Vec<Range<usize>> = partition.parts.iter().map(|p| p.turns.clone()).collect();
    let before = shifted(&lexical.turn, &sessions, 0);
    let after = shifted(&lexical.turn, &sessions, 2);
    [lexical.turn, lexical.window, lexical.vicinity, lexical.session, before, after]
}
