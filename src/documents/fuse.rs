//! Puts candidates in order by words and meaning together. Pure.

use crate::documents::Candidate;
use crate::retrieve::{Mode, SignalValue};

/// What words and meaning count, in deviations over the candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusionWeights {
    /// What the BM25 score counts.
    pub words: f64,
    /// What the cosine counts.
    pub vector: f64,
}

impl FusionWeights {
    /// What the service uses: round numbers, checked on two public sets.
    pub const DEFAULT: Self = Self { words: 0.4, vector: 0.6 };
}

/// A candidate in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// Which candidate it is.
    pub index: usize,
    /// The score that decided its place.
    pub score: f64,
    /// What the score is made of.
    pub signals: Vec<SignalValue>,
}

/// The candidates in order, the best first; equal ones keep theirs.
///
/// Each signal counts by its distance from the mean of the candidates, in deviations, times its
/// weight. A candidate whose words are not known has none of them. One whose vector is not made yet
/// is as like as its words let expect: by the line of least squares through those that have both,
/// but not less like for having more of the words. A signal that no candidate has, or that `mode`
/// leaves out, counts nothing: without any vector all goes by words, in every mode.
pub fn fuse(candidates: &[Candidate], mode: Mode, weights: FusionWeights) -> Vec<Fused> {
    let by_vector =
        mode != Mode::Words && candidates.iter().any(|candidate| candidate.vector.is_some());
    let by_words = candidates.iter().any(|candidate| candidate.words.is_some())
        && (mode != Mode::Vectors || !by_vector);
    let words: Vec<f64> =
        candidates.iter().map(|candidate| candidate.words.unwrap_or(0.0).into()).collect();
    let mut signals = Vec::new();
    if by_vector {
        let vector: Vec<Option<f64>> =
            candidates.iter().map(|candidate| candidate.vector.map(f64::from)).collect();
        let values = with_expected(&words, &vector);
        signals.push(Signal::new("vector", values, weights.vector));
    }
    if by_words {
        signals.insert(0, Signal::new("words", words, weights.words));
    }
    let fused = |index: usize| {
        let signals: Vec<SignalValue> = signals.iter().map(|signal| signal.of(index)).collect();
        let score = signals.iter().map(|signal| signal.standardised * signal.weight).sum();
        Fused { index, score, signals }
    };
    let mut order: Vec<Fused> = (0..candidates.len()).map(fused).collect();
    order.sort_by(|one, other| other.score.total_cmp(&one.score));
    order
}

/// The cosines, and in place of each that is not known what the words let expect, between the least
/// and the most that is known.
fn with_expected(words: &[f64], vector: &[Option<f64>]) -> Vec<f64> {
    let known: Vec<(f64, f64)> =
        words.iter().zip(vector).filter_map(|(word, cosine)| Some((*word, (*cosine)?))).collect();
    let count = known.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / count;
    let (word_mean, cosine_mean) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut over, mut under) = (0.0, 0.0);
    for (word, cosine) in &known {
        over += (word - word_mean) * (cosine - cosine_mean);
        under += (word - word_mean).powi(2);
    }
    let slope = if under > 1e-12 { (over / under).max(0.0) } else { 0.0 };
    let cosines = || known.iter().map(|pair| pair.1);
    let (least, most) =
        (cosines().fold(f64::INFINITY, f64::min), cosines().fold(f64::NEG_INFINITY, f64::max));
    let expected = |word: f64| (cosine_mean + slope * (word - word_mean)).max(least).min(most);
    let value = |(word, cosine): (&f64, &Option<f64>)| cosine.unwrap_or_else(|| expected(*word));
    words.iter().zip(vector).map(value).collect()
}

/// A signal of all candidates.
struct Signal {
    name: &'static str,
    values: Vec<f64>,
    mean: f64,
    /// One over the deviation; 0 when all are equal.
    per_deviation: f64,
    weight: f64,
}

impl Signal {
    fn new(name: &'static str, values: Vec<f64>, weight: f64) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt();
        let per_deviation = if deviation > 1e-6 { 1.0 / deviation } else { 0.0 };
        Self { name, values, mean, per_deviation, weight }
    }

    fn of(&self, index: usize) -> SignalValue {
        let raw = self.values[index];
        SignalValue {
            name: self.name,
            raw,
            standardised: (raw - self.mean) * self.per_deviation,
            weight: self.weight,
        }
    }
}
