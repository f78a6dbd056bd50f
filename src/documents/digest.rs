//! What a digest of searched contents is made of: a sum, so that it does not depend on an order,
//! and what goes is subtracted. Pure.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::types::Generation;

/// What a content counts.
pub(super) fn of_content(generation: Generation) -> u64 {
    xxh3_64(&generation.0)
}

/// What the vector of a chunk counts.
pub(super) fn of_vector(generation: Generation, ordinal: u32, row: &[i8]) -> u64 {
    let mut sum = xxh3_64_with_seed(&generation.0, u64::from(ordinal) + 1);
    // The integers of a vector as bytes, a piece at a time: there is no safe cast of a whole row.
    let mut bytes = [0u8; 256];
    for piece in row.chunks(bytes.len()) {
        for (byte, number) in bytes.iter_mut().zip(piece) {
            *byte = number.cast_unsigned();
        }
        sum = xxh3_64_with_seed(&bytes[..piece.len()], sum);
    }
    sum
}
