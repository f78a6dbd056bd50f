//! BM25 over a partition: the turn's best passage, the turn with its neighbours, the session.

use std::borrow::Cow;
use std::ops::Range;

use crate::retrieve::{SessionIndex, index::PassageEntry, query::AskedTerm, rank::Source};

/// Saturation of BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009).
const K1: f32 = 1.2;
/// Length normalisation of BM25.
const B: f32 = 0.75;

/// How many neighbours on either side are a turn's vicinity.
pub(super) const VICINITY: usize = 3;

/// The turns of the sources that lie below their horizons, in one row.
pub(super) struct Partition<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// How many turns.
    pub(super) turns: usize,
    passages: usize,
}

/// What of one source takes part.
pub(super) struct Part<'a> {
    pub(super) index: &'a SessionIndex,
    /// Its turns, as places in the partition.
    pub(super) turns: Range<usize>,
    /// The place of its first passage in the partition.
    pub(super) first_passage: usize,
    /// How many passages take part.
    passages: usize,
    /// How many of the first turns take part by their vectors.
    pub(super) with_vectors: usize,
}

impl<'a> Partition<'a> {
    /// The partition of `sources`.
    pub(super) fn of(sources: &[Source<'a>]) -> Self {
        let mut partition =
            Self { parts: Vec::with_capacity(sources.len()), turns: 0, passages: 0 };
        for source in sources {
            let turns = source.index.turns_below(source.horizon);
            let passages = match turns {
                0 => 0,
                _ => source.index.passages_of(turns - 1).end,
            };
            partition.parts.push(Part {
                index: source.index,
                turns: partition.turns..partition.turns + turns,
                first_passage: partition.passages,
                passages,
                with_vectors: source.turns_with_vectors(),
            });
            partition.turns += turns;
            partition.passages += passages;
        }
        partition
    }

    /// Its passages.
    pub(super) fn passages(&self) -> impl Iterator<Item = &'a PassageEntry> {
        self.parts.iter().flat_map(|part| &part.index.passages[..part.passages])
    }
}

/// How often each term of the query stands in each of some texts, a column a term, and how many
/// words the texts have.
#[derive(Clone)]
pub(super) struct Counts {
    columns: Vec<Vec<f32>>,
    words: Vec<f32>,
}

impl Counts {
    /// Looks the terms up in the partition's passages.
    pub(super) fn gather(partition: &Partition<'_>, terms: &[AskedTerm]) -> Self {
        let column = |term: &AskedTerm| {
            let mut column = vec![0.0; partition.passages];
            for part in &partition.parts {
                for hash in &term.hashes {
                    part.index.postings.each(*hash, |passage, count| {
                        if passage < part.passages {
                            column[part.first_passage + passage] += f32::from(count);
                        }
                    });
                }
            }
            column
        };
        Self {
            columns: terms.iter().map(column).collect(),
            words: partition.passages().map(|passage| passage.words as f32).collect(),
        }
    }

    /// How many words all texts have, stop words not counted.
    pub(super) fn all_words(&self) -> f64 {
        self.words.iter().copied().map(f64::from).sum()
    }

    /// In how many texts each term stands.
    pub(super) fn frequencies(&self) -> Vec<usize> {
        let present = |column: &Vec<f32>| column.iter().filter(|count| **count > 0.0).count();
        self.columns.iter().map(present).collect()
    }

    /// The counts of the terms at these places alone, in their order.
    pub(super) fn keep(mut self, places: &[usize]) -> Self {
        self.columns = places.iter().map(|at| std::mem::take(&mut self.columns[*at])).collect();
        self
    }

    /// The same for other texts, made of these: `make` turns one number a text into one number a
    /// new text.
    fn map(&self, make: impl Fn(&[f32]) -> Vec<f32>) -> Self {
        let columns = self.columns.iter().map(|column| make(column)).collect();
        Self { columns, words: make(&self.words) }
    }

    /// BM25 of each text, as `weights` weigh the terms.
    fn scores(&self, weights: &[f64]) -> Vec<f32> {
        bm25(&self.words, weights, |term, column| column.extend_from_slice(&self.columns[term]))
    }
}

/// BM25 of texts of so many words, as `weights` weigh the terms; `count` writes how often a term
/// stands in each text to an empty column.
fn bm25(words: &[f32], weights: &[f64], count: impl Fn(usize, &mut Vec<f32>)) -> Vec<f32> {
    let total: f64 = words.iter().copied().map(f64::from).sum();
    let mean = (total / words.len().max(1) as f64).max(1.0) as f32;
    let norms: Vec<f32> = words.iter().map(|words| K1 * (1.0 - B + B * words / mean)).collect();
    let mut scores = vec![0.0f32; words.len()];
    // One column for all terms: memory that is new each time costs more than what is done in it.
    let mut column = Vec::with_capacity(words.len());
    for (term, weight) in weights.iter().enumerate() {
        column.clear();
        count(term, &mut column);
        let frequency = column.iter().filter(|count| **count > 0.0).count();
        let worth = (rarity(frequency, words.len()) * weight) as f32 * (K1 + 1.0);
        for ((score, count), norm) in scores.iter_mut().zip(&column).zip(&norms) {
            *score += worth * count / (count + norm);
        }
    }
    scores
}

/// The rarity of a term in `frequency` of `total` texts: BM25's, as Lucene keeps it above zero.
pub(super) fn rarity(frequency: usize, total: usize) -> f64 {
    let (frequency, total) = (frequency as f64, total as f64);
    (1.0 + (total - frequency + 0.5) / (frequency + 0.5)).ln()
}

/// The lexical signals of each turn of the partition, in its order. All are BM25.
pub(super) struct Lexical {
    /// Of the turn's best passage.
    pub(super) turn: Vec<f32>,
    /// Of the best passages of the turn and its direct neighbours; empty when it is not wanted.
    pub(super) window: Vec<f32>,
    /// The same with [`VICINITY`] neighbours on either side.
    pub(super) vicinity: Vec<f32>,
    /// Of the turn's session.
    pub(super) session: Vec<f32>,
    /// The turn's best passage, as its place in the partition.
    pub(super) best: Vec<usize>,
}

/// Computes the lexical signals; `passages` counts the terms, `weights` has one number a term.
/// `wanted` says whether the window and the vicinity are.
pub(super) fn lexical(
    partition: &Partition<'_>,
    passages: &Counts,
    weights: &[f64],
    wanted: [bool; 2],
) -> Lexical {
    let passage_scores = passages.scores(weights);
    let best = best_passages(partition, &passage_scores);
    let of_best = |column: &[f32]| best.iter().map(|passage| column[*passage]).collect();
    // Where no turn has two passages, the passages are the turns.
    let turns = match partition.passages == partition.turns {
        true => Cow::Borrowed(passages),
        false => Cow::Owned(passages.map(of_best)),
    };
    let sessions = passages.map(|column| session_sums(partition, column)).scores(weights);
    let session_of = |(session, part): (usize, &Part<'_>)| {
        std::iter::repeat_n(sessions[session], part.turns.len())
    };
    let windows = |wanted: bool, reach| {
        let mut words = Vec::new();
        add_window_sums(partition, &turns.words, reach, &mut words);
        let count = |term: usize, column: &mut Vec<f32>| {
            add_window_sums(partition, &turns.columns[term], reach, column);
        };
        if wanted { bm25(&words, weights, count) } else { Vec::new() }
    };
    Lexical {
        turn: best.iter().map(|passage| passage_scores[*passage]).collect(),
        window: windows(wanted[0], 1),
        vicinity: windows(wanted[1], VICINITY),
        session: full_parts(partition).enumerate().flat_map(session_of).collect(),
        best,
    }
}

/// The best passage of each turn, as its place in the partition; the first among equals.
fn best_passages(partition: &Partition<'_>, scores: &[f32]) -> Vec<usize> {
    let mut best = Vec::with_capacity(partition.turns);
    for part in &partition.parts {
        for turn in 0..part.turns.len() {
            let passages = part.index.passages_of(turn);
            let mut found = part.first_passage + passages.start;
            for passage in passages {
                let passage = part.first_passage + passage;
                if scores[passage] > scores[found] {
                    found = passage;
                }
            }
            best.push(found);
        }
    }
    best
}

/// Adds to `sums`, which is empty, for each turn the sum over it and `reach` neighbours before and
/// after it, as far as its session reaches.
fn add_window_sums(partition: &Partition<'_>, column: &[f32], reach: usize, sums: &mut Vec<f32>) {
    sums.extend_from_slice(column);
    for part in &partition.parts {
        let (session, sums) = (&column[part.turns.clone()], &mut sums[part.turns.clone()]);
        for step in 1..=reach.min(session.len().saturating_sub(1)) {
            for (sum, before) in sums[step..].iter_mut().zip(session) {
                *sum += before;
            }
            for (sum, after) in sums.iter_mut().zip(&session[step..]) {
                *sum += after;
            }
        }
    }
}

/// The sum over each session that has turns.
fn session_sums(partition: &Partition<'_>, column: &[f32]) -> Vec<f32> {
    let passages = |part: &Part<'_>| part.first_passage..part.first_passage + part.passages;
    full_parts(partition).map(|part| column[passages(part)].iter().sum()).collect()
}

fn full_parts<'a, 'b>(partition: &'b Partition<'a>) -> impl Iterator<Item = &'b Part<'a>> {
    partition.parts.iter().filter(|part| !part.turns.is_empty())
}
