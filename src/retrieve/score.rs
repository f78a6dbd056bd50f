//! Every turn of a partition with its score: signals standardised, weighed and summed.

use std::cmp::Ordering;
use std::ops::Range;

use crate::retrieve::{
    ChatKind, Hit, Mode, Request, SignalValue, Weights,
    cosine::Cosines,
    lexical::{Counts, Lexical, Partition, lexical},
    query::{Asked, AskedTerm, surface_words},
    signals::{
        COSINES_START, FLAGS_START, NAMES, RAW_COSINE_SHARE, RAW_FLAG_SHARE, SESSION, SIGNALS,
        STANDARDISED_TURNS_MIN, Standardised, flags, in_order, named_speakers, shifted,
    },
};
use crate::types::{Seq, Timestamp};

/// A turn may be a hit without a word of the query in its session when it is among so many that
/// are most like it in meaning.
const COSINE_HITS_MAX: usize = 100;

/// What a question asks of a partition.
pub(super) struct Evidence<'a> {
    pub(super) partition: &'a Partition<'a>,
    pub(super) asked: &'a Asked,
    /// Where the terms stand.
    pub(super) counts: &'a Counts,
    /// How alike the turns are in meaning; none: words alone.
    pub(super) cosines: Option<&'a Cosines>,
}

/// Every turn of the partition with its score, and what explains it.
pub(super) struct Scored<'a> {
    evidence: &'a Evidence<'a>,
    /// The signals that are no flags, in their order. One without weight may be empty.
    signals: [Standardised; FLAGS_START],
    /// The best passage of each turn by words, as its place in the partition.
    best: Vec<usize>,
    /// For each part, which of its speakers the query names.
    named: Vec<Vec<bool>>,
    weights: [f64; SIGNALS],
    scores: Vec<f64>,
    /// The cosine from which on a turn may be a hit by it.
    cosine_min: f64,
}

impl<'a> Scored<'a> {
    /// Scores all turns.
    pub(super) fn new(request: &Request<'_>, evidence: &'a Evidence<'a>) -> Self {
        let Evidence { partition, asked, counts, cosines } = *evidence;
        let raw = partition.turns < STANDARDISED_TURNS_MIN;
        let query_words = surface_words(request.query.text);
        let lexical = lexical(partition, counts, &term_weights(request.weights, partition, asked));
        let best = lexical.best.clone();
        let parts = partition.parts.iter();
        let mut scored = Self {
            evidence,
            signals: signals(partition, lexical, cosines, raw),
            best,
            named: parts.map(|part| named_speakers(part.index, &query_words)).collect(),
            weights: weights(request, evidence, raw),
            scores: vec![0.0; partition.turns],
            cosine_min: cosines.map_or(0.0, |cosines| cosines.reached_by(COSINE_HITS_MAX)),
        };
        scored.sum();
        scored
    }

    /// Sums the weighted signals of each turn.
    fn sum(&mut self) {
        for (signal, weight) in self.signals.iter().zip(self.weights) {
            if weight != 0.0 {
                for (score, value) in self.scores.iter_mut().zip(signal.values()) {
                    *score += weight * value;
                }
            }
        }
        let weights = &self.weights[FLAGS_START..];
        if weights.iter().all(|weight| *weight == 0.0) {
            return;
        }
        for (part, named) in self.evidence.partition.parts.iter().zip(&self.named) {
            for (turn, score) in self.scores[part.turns.clone()].iter_mut().enumerate() {
                let flags = flags(self.evidence.asked, part.index, turn, named);
                *score +=
                    flags.iter().zip(weights).map(|(flag, weight)| flag * weight).sum::<f64>();
            }
        }
    }

    /// The best hits that the filter lets through.
    pub(super) fn hits(&self, request: &Request<'_>) -> Vec<Hit> {
        let mut found: Vec<Found> = Vec::new();
        for (source, part) in self.evidence.partition.parts.iter().enumerate() {
            for (turn, at) in part.turns.clone().enumerate() {
                let entry = &part.index.turns[turn];
                if self.may_be_hit(at) && (request.filter)(source, entry.seq) {
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
        found.into_iter().map(|found| self.hit(&found, request.explain)).collect()
    }

    /// Whether a word of the query stands in the turn's session, or the turn is among those that
    /// are most like it.
    fn may_be_hit(&self, at: usize) -> bool {
        let alike = |cosines: &Cosines| cosines.piece[at] >= self.cosine_min;
        self.signals[SESSION].raw_of(at) > 0.0 || self.evidence.cosines.is_some_and(alike)
    }

    fn hit(&self, found: &Found, explain: bool) -> Hit {
        Hit {
            source: found.source,
            seq: found.seq,
            score: found.score,
            signals: if explain { self.explained(found) } else { Vec::new() },
            passage: self.passage(found),
        }
    }

    fn explained(&self, found: &Found) -> Vec<SignalValue> {
        let index = self.evidence.partition.parts[found.source].index;
        let flags = flags(self.evidence.asked, index, found.turn, &self.named[found.source]);
        let mut explained = Vec::new();
        for (place, (name, weight)) in NAMES.into_iter().zip(self.weights).enumerate() {
            if weight != 0.0 {
                let (raw, standardised) = match place.checked_sub(FLAGS_START) {
                    Some(flag) => (flags[flag], flags[flag]),
                    None => {
                        let signal = &self.signals[place];
                        (signal.raw_of(found.at), signal.value_of(found.at))
                    }
                };
                explained.push(SignalValue { name, raw, standardised, weight });
            }
        }
        explained
    }

    /// The best passage of a long turn: by words, or by meaning where it has none of the words.
    fn passage(&self, found: &Found) -> Option<Range<usize>> {
        let part = &self.evidence.partition.parts[found.source];
        let passages = part.index.passages_of(found.turn);
        if passages.len() < 2 {
            return None;
        }
        let mut place = self.best[found.at] - part.first_passage;
        let by_meaning = self.evidence.cosines.and_then(|cosines| {
            // The pieces after the whole turn are its passages.
            usize::from(cosines.best[found.at]).checked_sub(1)
        });
        if let Some(piece) = by_meaning
            && self.signals[0].raw_of(found.at) == 0.0
            && piece < passages.len()
        {
            place = passages.start + piece;
        }
        let passage = &part.index.passages[place];
        Some(passage.start as usize..passage.end as usize)
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

/// What each signal counts for this request.
fn weights(request: &Request<'_>, evidence: &Evidence<'_>, raw: bool) -> [f64; SIGNALS] {
    let parts = || evidence.partition.parts.iter();
    let turns = || parts().flat_map(|part| &part.index.turns[..part.turns.len()]);
    let kind = request.query.kind.unwrap_or_else(|| ChatKind::of(turns()));
    let mut weights = in_order(request.weights, kind.weights(request.weights));
    if evidence.cosines.is_none() {
        weights[COSINES_START..FLAGS_START].fill(0.0);
    } else if request.mode == Mode::Vectors {
        weights[..COSINES_START].fill(0.0);
        weights[FLAGS_START..].fill(0.0);
    }
    if raw {
        weights[FLAGS_START..].iter_mut().for_each(|weight| *weight *= RAW_FLAG_SHARE);
    }
    weights
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

/// The signals that are no flags, in the order of their names; those of vectors are empty when
/// there are none.
fn signals(
    partition: &Partition<'_>,
    lexical: Lexical,
    cosines: Option<&Cosines>,
    raw: bool,
) -> [Standardised; FLAGS_START] {
    let sessions: Vec<Range<usize>> = partition.parts.iter().map(|p| p.turns.clone()).collect();
    let before = shifted(&lexical.turn, &sessions, 0);
    let after = shifted(&lexical.turn, &sessions, 2);
    let form = if raw { Standardised::raw } else { Standardised::new };
    let share = raw.then_some(RAW_COSINE_SHARE);
    let by_meaning = |values: fn(&Cosines) -> &Vec<f64>| {
        let values = cosines.map(values).cloned().unwrap_or_default();
        Standardised::cosines(values, share)
    };
    [
        form(lexical.turn),
        form(lexical.window),
        form(lexical.vicinity),
        form(lexical.session),
        form(before),
        form(after),
        by_meaning(|cosines| &cosines.turn),
        by_meaning(|cosines| &cosines.piece),
        by_meaning(|cosines| &cosines.vicinity),
    ]
}
