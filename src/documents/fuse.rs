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
/// weight. A candidate whose words are not known has none of them; one without a vector is as
/// unlike as the least like one. A signal that no candidate has, or that `mode` leaves out, counts
/// nothing: without any vector all goes by words, in every mode.
pub fn fuse(candidates: &[Candidate], mode: Mode, weights: FusionWeights) -> Vec<Fused> {
    let words: Vec<Option<f32>> = candidates.iter().map(|candidate| candidate.words).collect();
    let vector: Vec<Option<f32>> = candidates.iter().map(|candidate| candidate.vector).collect();
    let has = |values: &[Option<f32>]| values.iter().any(Option::is_some);
    let by_vector = mode != Mode::Words && has(&vector);
    let by_words = has(&words) && (mode != Mode::Vectors || !by_vector);
    let mut signals = Vec::new();
    if by_words {
        signals.push(Signal::new("words", &words, 0.0, weights.words));
    }
    if by_vector {
        let least = vector.iter().flatten().copied().fold(f32::INFINITY, f32::min);
        signals.push(Signal::new("vector", &vector, least, weights.vector));
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
    fn new(name: &'static str, values: &[Option<f32>], missing: f32, weight: f64) -> Self {
        let known = |value: &Option<f32>| f64::from(value.unwrap_or(missing));
        let values: Vec<f64> = values.iter().map(known).collect();
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
