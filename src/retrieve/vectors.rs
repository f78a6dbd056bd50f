//! Vectors as bytes: unit vectors whose numbers are integers of one byte, with one scale each; and
//! those of a session in memory, whose numbers are of half a byte.

use serde::{Deserialize, Serialize};

use crate::retrieve::{dot::dots, halves};

/// The largest integer of a quantised vector; -128 is not used.
const LARGEST: f32 = 127.0;

/// The vectors of one turn's pieces, quantised: the whole turn's first, then those of its
/// sentences or passages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnVectors {
    dimensions: u16,
    /// What makes each vector of length 1; 0 for a vector without direction.
    scales: Vec<f32>,
    /// The integers of all vectors, one after the other.
    #[serde(with = "bytes")]
    numbers: Vec<i8>,
}

impl TurnVectors {
    /// Quantises the vectors of a turn's pieces, in the order of [`crate::retrieve::pieces`].
    ///
    /// Their length counts nothing. All have as many numbers as the first, at most 65,535; a vector
    /// of another size, or one with a number that is not finite, becomes one without direction,
    /// which is like no other.
    pub fn quantise(vectors: &[Vec<f32>]) -> Self {
        let size = vectors.first().map_or(0, Vec::len);
        let dimensions = u16::try_from(size).unwrap_or_default();
        let mut turn = Self { dimensions, scales: Vec::new(), numbers: Vec::new() };
        for vector in vectors {
            let right = vector.len() == turn.dimensions();
            let integers = quantised(if right { vector } else { &[] });
            turn.scales.push(scale(&integers));
            turn.numbers.extend(integers);
            turn.numbers.resize(turn.scales.len() * turn.dimensions(), 0);
        }
        turn
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// How many numbers each vector has.
    pub fn dimensions(&self) -> usize {
        usize::from(self.dimensions)
    }

    /// The vectors at these places, in their order; a place that there is none at is left out.
    #[must_use]
    pub fn pick(&self, places: &[usize]) -> Self {
        let (mut scales, mut numbers) = (Vec::new(), Vec::new());
        for place in places.iter().filter(|place| **place < self.len()) {
            let own = place * self.dimensions()..(place + 1) * self.dimensions();
            scales.push(self.scales[*place]);
            numbers.extend_from_slice(&self.numbers[own]);
        }
        Self { dimensions: self.dimensions, scales, numbers }
    }

    /// Adds the vectors of another at the end, when they have as many numbers.
    pub fn extend(&mut self, more: &Self) {
        if more.dimensions == self.dimensions {
            self.scales.extend_from_slice(&more.scales);
            self.numbers.extend_from_slice(&more.numbers);
        }
    }

    /// The vectors: the integers of each, and what makes it of length 1.
    pub fn rows(&self) -> impl Iterator<Item = (&[i8], f32)> {
        // Vectors without numbers have no rows.
        let rows = self.numbers.chunks_exact(self.dimensions().max(1));
        rows.zip(self.scales.iter().copied())
    }
}

fn quantised(vector: &[f32]) -> Vec<i8> {
    let largest = vector.iter().fold(0.0f32, |most, number| most.max(number.abs()));
    let usable = largest > 0.0 && vector.iter().all(|number| number.is_finite());
    if !usable {
        return vec![0; vector.len()];
    }
    // The integers of a number over the largest lie between -127 and 127.
    vector.iter().map(|number| (number / largest * LARGEST).round() as i8).collect()
}

/// One over the length of a vector.
fn scale(integers: &[i8]) -> f32 {
    let square: i64 = integers.iter().map(|number| i64::from(*number).pow(2)).sum();
    if square == 0 { 0.0 } else { (1.0 / (square as f64).sqrt()) as f32 }
}

/// The vectors of a session's turns, in one row, all searched. They are kept in half-bytes: what
/// is read of memory is what a search takes, and the cosines of [`TurnVectors`] change by less than
/// a hundredth.
#[derive(Debug, Clone, Default)]
pub(super) struct PieceVectors {
    dimensions: usize,
    halves: Vec<u8>,
    scales: Vec<f32>,
}

impl PieceVectors {
    /// Adds a turn's vectors and gives the place of the first; none when there is none, or when
    /// their size is not that of the others.
    pub(super) fn add(&mut self, vectors: &TurnVectors) -> Option<usize> {
        let size = vectors.dimensions();
        let fits = self.scales.is_empty() || size == self.dimensions;
        let whole = size > 0 && vectors.numbers.len() == vectors.len() * size;
        if vectors.is_empty() || !fits || !whole {
            return None;
        }
        self.dimensions = size;
        let start = self.scales.len();
        let (scales, halves) = packed(vectors);
        reserve(&mut self.scales, scales.len());
        reserve(&mut self.halves, halves.len());
        self.scales.extend(scales);
        self.halves.extend(halves);
        Some(start)
    }

    /// Puts a turn's vectors in place of as many others that were of their turn.
    pub(super) fn replace(&mut self, start: usize, vectors: &TurnVectors) -> bool {
        let size = halves::bytes_of(vectors.dimensions());
        let places = start..start + vectors.len();
        let whole = vectors.numbers.len() == vectors.len() * vectors.dimensions();
        if vectors.dimensions() != self.dimensions || !whole || places.end > self.scales.len() {
            return false;
        }
        let (scales, halves) = packed(vectors);
        self.halves[places.start * size..places.end * size].copy_from_slice(&halves);
        self.scales[places].copy_from_slice(&scales);
        true
    }

    /// The cosine of each vector with the query's; none for a query of another size.
    pub(super) fn cosines(&self, query: &QueryVector) -> Vec<f32> {
        if query.numbers.len() != self.dimensions {
            return Vec::new();
        }
        let mut sums = Vec::new();
        halves::dots(&query.numbers, &self.halves, &mut sums);
        query.scaled(&sums, &self.scales).collect()
    }

    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.halves.capacity() + self.scales.capacity() * size_of::<f32>()
    }
}

/// Vectors in half-bytes, with what makes each of length 1.
fn packed(vectors: &TurnVectors) -> (Vec<f32>, Vec<u8>) {
    let (mut scales, mut packed) = (Vec::new(), Vec::new());
    for (row, _) in vectors.rows() {
        let numbers = halves::narrowed(row);
        scales.push(scale(&numbers));
        halves::pack(&numbers, &mut packed);
    }
    (scales, packed)
}

/// Makes room for `more` and, when that needs a new place, for an eighth of what there is: doubling
/// would leave half of the largest part of an index empty.
fn reserve<T>(row: &mut Vec<T>, more: usize) {
    if row.capacity() - row.len() < more {
        row.reserve_exact(more.max(row.len() / 8));
    }
}

/// The vector of a query, quantised.
#[derive(Debug, Clone)]
pub struct QueryVector {
    numbers: Vec<i16>,
    scale: f32,
}

impl QueryVector {
    /// Quantises a query's vector; none for one without direction.
    pub fn of(vector: &[f32]) -> Option<Self> {
        let integers = quantised(vector);
        let scale = scale(&integers);
        let numbers = integers.into_iter().map(i16::from).collect();
        (scale > 0.0).then_some(Self { numbers, scale })
    }

    /// A row of [`TurnVectors::rows`] in the place of a question.
    pub fn of_row(row: &[i8], scale: f32) -> Self {
        Self { numbers: row.iter().copied().map(i16::from).collect(), scale }
    }

    /// How many numbers it has.
    pub fn dimensions(&self) -> usize {
        self.numbers.len()
    }

    /// Writes to `cosines` its cosine with each of these rows, which have as many numbers as it
    /// and one scale each. `sums` is room for the work.
    pub fn cosines(
        &self,
        rows: &[i8],
        scales: &[f32],
        sums: &mut Vec<i32>,
        cosines: &mut Vec<f32>,
    ) {
        dots(&self.numbers, rows, sums);
        cosines.clear();
        cosines.extend(self.scaled(sums, scales));
    }

    /// The cosines of vectors by their products with it and what makes them of length 1.
    fn scaled<'a>(&self, sums: &'a [i32], scales: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let own = self.scale;
        sums.iter().zip(scales).map(move |(sum, scale)| *sum as f32 * (scale * own))
    }
}

/// Numbers of one byte as one string of bytes.
mod bytes {
    use std::fmt;

    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(numbers: &[i8], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().map(|number| number.cast_unsigned()).collect();
        to.serialize_bytes(&bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<i8>, D::Error> {
        from.deserialize_bytes(Bytes)
    }

    struct Bytes;

    impl de::Visitor<'_> for Bytes {
        type Value = Vec<i8>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("bytes")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<i8>, E> {
            Ok(bytes.iter().map(|byte| byte.cast_signed()).collect())
        }
    }
}
