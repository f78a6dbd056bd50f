//! Every turn of a partition with its score: signals standardised, weighed and summed.

use std::cmp::Ordering;
use std::ops::Range;

use crate::retrieve::{
    ChatKind, Hit, Mode, Request, SignalValue, Weights,
    cosine::Cosines,
    index::TurnEntry,
    lexical::{Counts, Lexical, Partition, lexical},
    query::{Asked, AskedTerm, surface_words},
    signals::{
        COSINE_PIECE, COSINES_START, FLAGS_START, Flags, NAMES, RAW_COSINE_SHARE, RAW_FLAG_SHARE,
        SESSION, SIGNALS, STANDARDISED_TURNS_MIN, Standardised, TURN, VICINITY, WINDOW, in_order,
        named_speakers,
    },
};

/// A turn may be a hit without a word of the query in its session when it is among so many that
/// are most like it in meaning.
const COSINE_HITS_MAX: usize = 100;

/// What a question asks of a partition.
pub(super) struct Evidence<'a> {
    pub(super) partition: &'a Partition<'a>,
    pub(super) asked: &'a Asked,
    /// Where the terms stand.
    pub(super) counts: &'a Counts,
}

/// Every turn of the partition with its score, and what explains it.
pub(super) struct Scored<'a> {
    evidence: &'a Evidence<'a>,
    /// The signals that are no flags, in their order. One without weight may be empty.
    signals: [Standardised; FLAGS_START],
    /// The best passage of each turn by words, as its place in the partition.
    best: Vec<usize>,
    meaning: Option<Meaning>,
    /// For each part, which of its speakers the query names.
    named: Vec<Vec<bool>>,
    weights: [f64; SIGNALS],
    scores: Vec<f64>,
}

/// What of the cosines is no signal.
struct Meaning {
    /// The piece of each turn that is most alike.
    best: Vec<u16>,
    /// The cosine from which on a turn may be a hit by it.
    least: f32,
}

impl<'a> Scored<'a> {
    /// Scores all turns; without cosines by words alone.
    pub(super) fn new(
        request: &Request<'_>,
        evidence: &'a Evidence<'a>,
        mut cosines: Option<Cosines>,
    ) -> Self {
        let Evidence { partition, asked, counts } = *evidence;
        let raw = partition.turns < STANDARDISED_TURNS_MIN;
        let weights = weights(request, evidence, cosines.is_some(), raw);
        let terms = term_weights(request.weights, asked);
        let wanted = [WINDOW, VICINITY].map(|signal| weights[signal] != 0.0);
        let mut lexical = lexical(partition, counts, &terms, wanted);
        let best = std::mem::take(&mut lexical.best);
        let meaning = cosines.as_mut().map(|cosines| Meaning {
            least: cosines.reached_by(COSINE_HITS_MAX),
            best: std::mem::take(&mut cosines.best),
        });
        let query_words = surface_words(request.query.text);
        let parts = partition.parts.iter();
        let mut scored = Self {
            evidence,
            signals: signals(lexical, cosines, raw),
            best,
            meaning,
            named: parts.map(|part| named_speakers(part.index, &query_words)).collect(),
            weights,
            scores: vec![0.0; partition.turns],
        };
        scored.sum();
        scored
    }

    /// Sums the weighted signals of each turn.
    fn sum(&mut self) {
        for (signal, weight) in self.signals.iter().zip(self.weights) {
            if weight != 0.0 {
                signal.add(weight, &mut self.scores);
            }
        }
        let weights = &self.weights[FLAGS_START..];
        if weights.iter().all(|weight| *weight == 0.0) {
            return;
        }
        let worth = |flags: Flags| flags.values().zip(weights).map(|(flag, weight)| flag * weight);
        let worths: Vec<f64> = Flags::all().map(|flags| worth(flags).sum()).collect();
        for (part, named) in self.evidence.partition.parts.iter().zip(&self.named) {
            for (turn, score) in self.scores[part.turns.clone()].iter_mut().enumerate() {
                *score += worths[Flags::of(self.evidence.asked, part.index, turn, named).place()];
            }
        }
    }

    /// The best hits that the filter lets through. It is asked about the best first, and no further
    /// than it takes: it may cost more than a score.
    pub(super) fn hits(&self, request: &Request<'_>) -> Vec<Hit> {
        let turns = 0..self.evidence.partition.turns;
        let mut found: Vec<usize> = turns.filter(|at| self.may_be_hit(*at)).collect();
        let (mut rest, mut step) = (found.as_mut_slice(), request.hits_max.max(1));
        let mut hits = Vec::new();
        while !rest.is_empty() && hits.len() < request.hits_max {
            let order = |a: &usize, b: &usize| self.order(*a, *b);
            let count = step.min(rest.len());
            if count < rest.len() {
                rest.select_nth_unstable_by(count - 1, order);
            }
            let (best, others) = rest.split_at_mut(count);
            best.sort_unstable_by(order);
            let places = best.iter().map(|at| self.place(*at));
            let through = places.filter(|found| (request.filter)(found.source, found.entry.seq));
            let room = request.hits_max - hits.len();
            hits.extend(through.take(room).map(|found| self.hit(&found, request.explain)));
            (rest, step) = (others, step * 2);
        }
        hits
    }

    /// The standard deviation of the scores.
    pub(super) fn spread(&self) -> f64 {
        let count = self.scores.len().max(1) as f64;
        let mean = self.scores.iter().sum::<f64>() / count;
        let squares = self.scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>();
        (squares / count).sqrt()
    }

    /// Whether a word of the query stands in the turn's session, or the turn is among those that
    /// are most like it.
    fn may_be_hit(&self, at: usize) -> bool {
        let alike = |meaning: &Meaning| self.signals[COSINE_PIECE].reaches(at, meaning.least);
        self.signals[SESSION].raw_of(at) > 0.0 || self.meaning.as_ref().is_some_and(alike)
    }

    /// The order of hits: score, then the newest, then the higher place, then the earlier source.
    fn order(&self, a: usize, b: usize) -> Ordering {
        self.scores[b].total_cmp(&self.scores[a]).then_with(|| {
            let (a, b) = (self.place(a), self.place(b));
            let newest = b.entry.created_at.cmp(&a.entry.created_at);
            newest.then(b.entry.seq.cmp(&a.entry.seq)).then(a.source.cmp(&b.source))
        })
    }

    /// Where a turn of the partition is.
    fn place(&self, at: usize) -> Found<'a> {
        let parts = &self.evidence.partition.parts;
        let source = parts.partition_point(|part| part.turns.end <= at);
        let turn = at - parts[source].turns.start;
        Found { at, source, turn, entry: &parts[source].index.turns[turn] }
    }

    fn hit(&self, found: &Found<'_>, explain: bool) -> Hit {
        Hit {
            source: found.source,
            seq: found.entry.seq,
            score: self.scores[found.at],
            signals: if explain { self.explained(found) } else { Vec::new() },
            passage: self.passage(found),
        }
    }

    fn explained(&self, found: &Found<'_>) -> Vec<SignalValue> {
        let index = self.evidence.partition.parts[found.source].index;
        let named = &self.named[found.source];
        let flags = Flags::of(self.evidence.asked, index, found.turn, named);
        let flags: Vec<f64> = flags.values().collect();
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
    fn passage(&self, found: &Found<'_>) -> Option<Range<usize>> {
        let part = &self.evidence.partition.parts[found.source];
        let passages = part.index.passages_of(found.turn);
        if passages.len() < 2 {
            return None;
        }
        let mut place = self.best[found.at] - part.first_passage;
        // The pieces after the whole turn are its passages.
        let piece = |meaning: &Meaning| usize::from(meaning.best[found.at]).checked_sub(1);
        let by_meaning = self.meaning.as_ref().and_then(piece);
        if let Some(piece) = by_meaning
            && self.signals[TURN].raw_of(found.at) == 0.0
            && piece < passages.len()
        {
            place = passages.start + piece;
        }
        let passage = &part.index.passages[place];
        Some(passage.start as usize..passage.end as usize)
    }
}

/// A turn on its way to being a hit.
struct Found<'a> {
    /// Its place in the partition.
    at: usize,
    source: usize,
    /// Its place in the source.
    turn: usize,
    entry: &'a TurnEntry,
}

/// What each signal counts for this request.
fn weights(
    request: &Request<'_>,
    evidence: &Evidence<'_>,
    with_vectors: bool,
    raw: bool,
) -> [f64; SIGNALS] {
    let Evidence { partition, counts, .. } = evidence;
    let turns = || partition.parts.iter().flat_map(|p| &p.index.turns[..p.turns.len()]);
    let kind = request.query.kind.unwrap_or_else(|| ChatKind::of(turns()));
    // Of few turns nearly all are near each other: what stands in the turn itself tells them apart.
    let near = match raw {
        true => request.weights.long_turns,
        false => request.weights.near(counts.all_words() / partition.turns as f64),
    };
    let mut weights = in_order(request.weights, near, kind.weights(request.weights));
    if !with_vectors {
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

/// What each term counts: less for acknowledgements.
fn term_weights(weights: &Weights, asked: &Asked) -> Vec<f64> {
    let weight =
        |term: &AskedTerm| term.weight * if term.informative { 1.0 } else { weights.idle_term };
    asked.terms.iter().map(weight).collect()
}

/// The signals that are no flags, in the order of their names; those of vectors are empty when
/// there are none, and those of neighbours when they have no weight.
fn signals(lexical: Lexical, cosines: Option<Cosines>, raw: bool) -> [Standardised; FLAGS_START] {
    let form = if raw { Standardised::raw } else { Standardised::new };
    let share = raw.then_some(RAW_COSINE_SHARE);
    let [whole, piece, around] = match cosines {
        Some(cosines) => [cosines.turn, cosines.piece, cosines.vicinity],
        None => Default::default(),
    };
    [
        form(lexical.turn),
        form(lexical.window),
        form(lexical.vicinity),
        form(lexical.session),
        Standardised::cosines(whole, share),
        Standardised::cosines(piece, share),
        Standardised::cosines(around, share),
    ]
}
