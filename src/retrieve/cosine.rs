//! How alike the query and each turn are in meaning: the cosines of their vectors.

use std::ops::Range;

use crate::retrieve::{
    lexical::{Partition, VICINITY},
    vectors::QueryVector,
};

/// The cosines of a partition's turns with the query, in its order. A turn without vectors has
/// NaN.
pub(super) struct Cosines {
    /// Of the turn as a whole.
    pub(super) turn: Vec<f32>,
    /// Of the piece of the turn that is most alike.
    pub(super) piece: Vec<f32>,
    /// The mean of `piece` over the turn and its neighbours, as far as they have vectors and the
    /// session reaches.
    pub(super) vicinity: Vec<f32>,
    /// Which piece is most alike; 0 is the whole turn.
    pub(super) best: Vec<u16>,
    /// How many turns have vectors.
    pub(super) known: usize,
}

impl Cosines {
    /// The cosines with `query`, or none when no turn has vectors of its size.
    pub(super) fn of(partition: &Partition<'_>, query: &[f32]) -> Option<Self> {
        let query = QueryVector::of(query)?;
        let turns = partition.turns;
        let mut cosines = Self {
            turn: Vec::with_capacity(turns),
            piece: Vec::with_capacity(turns),
            vicinity: Vec::with_capacity(turns),
            best: Vec::with_capacity(turns),
            known: 0,
        };
        for part in &partition.parts {
            let of_session = part.index.vectors.cosines(&query);
            for turn in 0..part.turns.len() {
                let own = part.index.vectors_of(turn);
                let own = if turn < part.with_vectors { own } else { 0..0 };
                cosines.push(of_session.get(own).unwrap_or_default());
            }
            cosines.add_vicinity(part.turns.clone());
        }
        (cosines.known > 0).then_some(cosines)
    }

    /// Adds a turn by the cosines of its pieces, the whole first.
    fn push(&mut self, pieces: &[f32]) {
        let whole = pieces.first().copied().unwrap_or(f32::NAN);
        let (mut best, mut piece) = (0, whole);
        for (place, cosine) in (0u16..).zip(pieces) {
            if *cosine > piece {
                (best, piece) = (place, *cosine);
            }
        }
        self.known += usize::from(!pieces.is_empty());
        self.turn.push(whole);
        self.piece.push(piece);
        self.best.push(best);
    }

    /// Adds the means of a session's turns, whose cosines are there.
    fn add_vicinity(&mut self, session: Range<usize>) {
        let known = |cosine: f32| if cosine.is_nan() { (0.0, 0.0) } else { (cosine, 1.0) };
        for turn in session.clone() {
            let first = turn.saturating_sub(VICINITY).max(session.start);
            let end = (turn + VICINITY + 1).min(session.end);
            let (mut sum, mut count) = (0.0, 0.0);
            for cosine in &self.piece[first..end] {
                let (value, one) = known(*cosine);
                sum += value;
                count += one;
            }
            // Of no neighbour with vectors the mean is NaN.
            self.vicinity.push(sum / count);
        }
    }

    /// The largest cosine of a piece.
    pub(super) fn largest(&self) -> f32 {
        self.piece.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// The cosine that the best `places` turns reach.
    pub(super) fn reached_by(&self, places: usize) -> f32 {
        let mut known: Vec<f32> = self.piece.iter().copied().filter(|c| !c.is_nan()).collect();
        if known.len() <= places || places == 0 {
            return f32::NEG_INFINITY;
        }
        *known.select_nth_unstable_by(places - 1, |a, b| b.total_cmp(a)).1
    }
}
