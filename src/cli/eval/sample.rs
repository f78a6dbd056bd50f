//! How sure a mean over questions is: its interval, and its value over either half. Pure.
//! In: the figures of questions, each with its conversation. Out: means with 95 % intervals.
//! Invariant: the same questions in the same order give the same numbers.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::cli::eval::figures::{Figure, Figures};

/// How often the questions are drawn anew: the ends of an interval then move by a tenth of its
/// width from seed to seed.
const DRAWS: usize = 2_000;
/// Where drawing begins.
const SEED: u64 = 7;

/// A question's figures.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it shares with questions that are not independent of it: the conversation.
    pub cluster: String,
    /// Its figures.
    pub figures: Figures,
}

/// A mean, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Over all questions that have the figure.
    pub mean: f64,
    /// The ends of its 95 % interval.
    pub interval: [f64; 2],
    /// The means over the questions to either half of the conversations; none of no question.
    pub halves: [Option<f64>; 2],
    /// How many questions have the figure.
    pub questions: usize,
}

/// The means of all figures that occur.
///
/// The interval is that of a bootstrap in two stages: conversations are drawn with replacement, and
/// of each its questions (Davison and Hinkley, Bootstrap Methods and their Application, 1997, 3.8).
/// The halves go by the hashes of the conversations' names.
pub fn estimates(samples: &[Sample]) -> BTreeMap<Figure, Estimate> {
    let mut clusters: BTreeMap<(u64, &str), Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        let name = sample.cluster.as_str();
        clusters.entry((xxh3_64(name.as_bytes()), name)).or_default().push(at);
    }
    let clusters: Vec<Vec<usize>> = clusters.into_values().collect();
    let half = |odd| clusters.iter().skip(odd).step_by(2).flatten().copied().collect();
    let halves: [Vec<usize>; 2] = [half(0), half(1)];
    let all: Vec<usize> = (0..samples.len()).collect();
    let draws = draws(&clusters);
    let names: std::collections::BTreeSet<Figure> =
        samples.iter().flat_map(|sample| sample.figures.keys().copied()).collect();
    let estimate = |figure| {
        let values: Vec<Option<f64>> =
            samples.iter().map(|sample| sample.figures.get(&figure).copied()).collect();
        let mut means: Vec<f64> = draws.iter().filter_map(|draw| mean(&values, draw)).collect();
        means.sort_by(f64::total_cmp);
        let estimate = Estimate {
            mean: mean(&values, &all).unwrap_or_default(),
            interval: [25, 975].map(|permille| at_permille(&means, permille)),
            halves: [0, 1].map(|half: usize| mean(&values, &halves[half])),
            questions: values.iter().flatten().count(),
        };
        (figure, estimate)
    };
    names.into_iter().map(estimate).collect()
}

/// Questions by their places, as often as they are drawn.
fn draws(clusters: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut draw = || {
        let mut drawn = Vec::new();
        for _ in clusters {
            let cluster = &clusters[random.usize(..clusters.len())];
            drawn.extend(cluster.iter().map(|_| cluster[random.usize(..cluster.len())]));
        }
        drawn
    };
    (0..DRAWS).map(|_| draw()).collect()
}

/// The mean of the values at these places that are there.
fn mean(values: &[Option<f64>], places: &[usize]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0u32);
    for value in places.iter().filter_map(|place| values[*place]) {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}

/// The smallest value that so many of a thousand do not exceed; 0 of none.
fn at_permille(sorted: &[f64], permille: usize) -> f64 {
    let rank = (sorted.len() * permille).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}
