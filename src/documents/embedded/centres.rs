//! The centres of the lists of vectors: found by k-means on a sample, by direction. Pure, and from
//! the same sample always the same.

use crate::retrieve::{QueryVector, TurnVectors};

/// How often centres move to the middle of their rows. More brings nothing that recall shows.
const ROUNDS: usize = 5;

/// Rows of the sample for each centre.
pub(super) const SAMPLE_ROWS: usize = 25;

/// The centres of lists, as rows themselves.
#[derive(Default)]
pub(super) struct Centres {
    numbers: Vec<i8>,
    scales: Vec<f32>,
}

impl Centres {
    /// So many centres are right for so many rows: fewer make lists in which much is looked at that
    /// is far, more take longer to find than they bring.
    pub(super) fn right_for(rows: usize) -> usize {
        ((rows as f64).sqrt() * 3.0) as usize
    }

    /// Finds so many centres of these rows, at most one a row. The seed decides where they start.
    pub(super) fn of(numbers: &[i8], scales: &[f32], size: usize, most: usize, seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let count = most.min(scales.len());
        let mut places: Vec<usize> = (0..scales.len()).collect();
        chance.shuffle(&mut places);
        let row = |at: usize| &numbers[at * size..(at + 1) * size];
        let mut centres = Self::default();
        for at in &places[..count] {
            centres.numbers.extend_from_slice(row(*at));
            centres.scales.push(scales[*at]);
        }
        for _ in 0..ROUNDS {
            let mut sums = vec![vec![0.0f32; size]; count];
            let mut members = vec![0u32; count];
            for (at, scale) in scales.iter().enumerate() {
                let home = centres.nearest(row(at), *scale);
                members[home] += 1;
                for (sum, number) in sums[home].iter_mut().zip(row(at)) {
                    *sum += f32::from(*number) * scale;
                }
            }
            for (sum, members) in sums.iter_mut().zip(&members) {
                if *members == 0 {
                    // A centre that nobody is near starts anew.
                    let at = chance.usize(..scales.len());
                    *sum = row(at).iter().map(|number| f32::from(*number)).collect();
                }
            }
            let quantised = TurnVectors::quantise(&sums);
            centres = Self::default();
            for (numbers, scale) in quantised.rows() {
                centres.numbers.extend_from_slice(numbers);
                centres.scales.push(scale);
            }
        }
        centres
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// The centre that is nearest to a row; the first among equals.
    pub(super) fn nearest(&self, row: &[i8], scale: f32) -> usize {
        let cosines = self.cosines(&QueryVector::of_row(row, scale));
        let mut best = 0;
        for (at, cosine) in cosines.iter().enumerate() {
            if *cosine > cosines[best] {
                best = at;
            }
        }
        best
    }

    /// The places of all centres, the nearest to the question first.
    pub(super) fn by_nearness(&self, query: &QueryVector) -> Vec<usize> {
        let cosines = self.cosines(query);
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        order.sort_by(|one, other| cosines[*other].total_cmp(&cosines[*one]));
        order
    }

    fn cosines(&self, query: &QueryVector) -> Vec<f32> {
        let mut cosines = Vec::new();
        query.cosines(&self.numbers, &self.scales, &mut Vec::new(), &mut cosines);
        cosines
    }
}
