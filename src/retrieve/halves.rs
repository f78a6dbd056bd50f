//! Vectors of half-bytes, two numbers a byte, and their dot products with vectors of bytes: the
//! same exact sums on every processor, by the widest instructions that this one has.
//!
//! A block of 32 bytes holds 64 numbers: the low halves of all bytes, then the high ones. A row is
//! filled up to whole blocks with zeros. A half is a number of -7 to 7, with 8 added.

use crate::retrieve::dot::Way;

/// How many numbers a block has.
pub(super) const BLOCK: usize = 64;
/// How many bytes.
const BLOCK_BYTES: usize = BLOCK / 2;
/// What a half has more than its number.
const OFFSET: i8 = 8;
/// The largest number of a half.
const LARGEST: f32 = 7.0;
/// Numbers along a bell curve say most in half a byte when those beyond so many deviations count as
/// those at it.
const DEVIATIONS: f32 = 2.5;
/// Where the largest number is beyond so many deviations, they lie along no bell curve, and none is
/// cut off.
const DEVIATIONS_MAX: f32 = 6.0;

/// A row of numbers of a byte as numbers of -7 to 7.
pub(super) fn narrowed(row: &[i8]) -> Vec<i8> {
    let squares: i32 = row.iter().map(|number| i32::from(*number).pow(2)).sum();
    let deviation = (squares as f32 / row.len().max(1) as f32).sqrt();
    let largest = row.iter().map(|number| number.unsigned_abs()).max().unwrap_or_default();
    let largest = f32::from(largest.max(1));
    let bell = largest <= DEVIATIONS_MAX * deviation;
    let end = if bell { (DEVIATIONS * deviation).min(largest) } else { largest };
    let share = LARGEST / end;
    // Half is added to round; the cast then cuts off.
    let half = |number: &i8| {
        let number = (f32::from(*number) * share).clamp(-LARGEST, LARGEST);
        (number + 0.5_f32.copysign(number)) as i8
    };
    row.iter().map(half).collect()
}

/// Adds a row of numbers of -7 to 7 to `rows`.
pub(super) fn pack(row: &[i8], rows: &mut Vec<u8>) {
    let half = |number: i8| (number + OFFSET).cast_unsigned();
    for numbers in row.chunks(BLOCK) {
        let mut block = [0; BLOCK];
        block[..numbers.len()].copy_from_slice(numbers);
        let (low, high) = block.split_at(BLOCK_BYTES);
        rows.extend(low.iter().zip(high).map(|(low, high)| half(*low) | half(*high) << 4));
    }
}

/// How many bytes a packed row of so many numbers takes.
pub(super) fn bytes_of(numbers: usize) -> usize {
    numbers.div_ceil(BLOCK) * BLOCK_BYTES
}

/// Writes to `sums` the dot product of `query`, of numbers of -128 to 127 in wider places, with
/// each of the packed `rows`, which have as many numbers as it. The sums are exact up to 65,535
/// numbers a row. An empty query has no rows.
pub(super) fn dots(query: &[i16], rows: &[u8], sums: &mut Vec<i32>) {
    let best = Way::possible().next().unwrap_or(Way::Plain);
    dots_by(best, query, rows, sums);
}

/// [`dots`] by one way of this processor.
pub(super) fn dots_by(way: Way, query: &[i16], rows: &[u8], sums: &mut Vec<i32>) {
    sums.clear();
    if query.is_empty() {
        return;
    }
    let mut blocks: Vec<[i8; BLOCK]> = Vec::with_capacity(query.len().div_ceil(BLOCK));
    for numbers in query.chunks(BLOCK) {
        let mut block = [0; BLOCK];
        for (place, number) in block.iter_mut().zip(numbers) {
            *place = *number as i8;
        }
        blocks.push(block);
    }
    let rows = rows.as_chunks::<BLOCK_BYTES>().0;
    debug_assert_eq!(rows.len() % blocks.len(), 0, "rows are as long as the query");
    // What the offsets add to each sum.
    let added = query.iter().map(|q| i32::from(*q)).sum::<i32>() * i32::from(OFFSET);
    sums.reserve(rows.len() / blocks.len());
    wide::dots(way, &blocks, rows, sums);
    sums.iter_mut().for_each(|sum| *sum -= added);
}

/// The plain loop, offsets and all.
fn dot(query: &[[i8; BLOCK]], row: &[[u8; BLOCK_BYTES]]) -> i32 {
    let mut sum = 0;
    for (query, row) in query.iter().zip(row) {
        let (low, high) = query.split_at(BLOCK_BYTES);
        for ((low, high), both) in low.iter().zip(high).zip(row) {
            sum += i32::from(*low) * i32::from(both & 0x0f);
            sum += i32::from(*high) * i32::from(both >> 4);
        }
    }
    sum
}

#[expect(unsafe_code, reason = "instructions of a processor are called where it has them")]
mod wide {
    use super::{BLOCK, BLOCK_BYTES, Way, dot};

    pub(super) fn dots(
        way: Way,
        query: &[[i8; BLOCK]],
        rows: &[[u8; BLOCK_BYTES]],
        sums: &mut Vec<i32>,
    ) {
        let rows = rows.chunks_exact(query.len());
        let possible = Way::possible().any(|possible| possible == way);
        match way {
            // SAFETY: the processor has these instructions, as was just seen.
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 if possible => unsafe { x86::dots_512(query, rows, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 if possible => unsafe { x86::dots_256(query, rows, sums) },
            _ => sums.extend(rows.map(|row| dot(query, row))),
        }
    }

    #[cfg(target_arch = "x86_64")]
    mod x86 {
        use std::arch::x86_64::{
            __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_add_epi16,
            _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_si128, _mm256_extracti128_si256,
            _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8,
            _mm256_set1_epi16, _mm256_setzero_si256, _mm256_srli_epi16, _mm512_add_epi16,
            _mm512_add_epi32, _mm512_castsi256_si512, _mm512_inserti64x4, _mm512_loadu_si512,
            _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_reduce_add_epi32, _mm512_set1_epi16,
            _mm512_setzero_si512,
        };
        use std::slice::ChunksExact;

        use super::{BLOCK, BLOCK_BYTES};

        type Rows<'a> = ChunksExact<'a, [u8; BLOCK_BYTES]>;

        /// Sums of two products, at most 2 × 15 × 128 each, of which so many fit into 16 bits.
        const ADDED_MAX: usize = 8;

        #[target_feature(enable = "avx512f,avx512bw")]
        pub(super) fn dots_512(query: &[[i8; BLOCK]], rows: Rows<'_>, sums: &mut Vec<i32>) {
            let mask = _mm256_set1_epi8(0x0f);
            let ones = _mm512_set1_epi16(1);
            for row in rows {
                let mut sum = _mm512_setzero_si512();
                for (query, row) in query.chunks(ADDED_MAX).zip(row.chunks(ADDED_MAX)) {
                    let mut short = _mm512_setzero_si512();
                    for (q, r) in query.iter().zip(row) {
                        // SAFETY: the arrays are as long as what is loaded; no alignment is asked
                        // for.
                        let (q, r) = unsafe {
                            let row = _mm256_loadu_si256(r.as_ptr().cast::<__m256i>());
                            (_mm512_loadu_si512(q.as_ptr().cast()), row)
                        };
                        let low = _mm256_and_si256(r, mask);
                        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(r), mask);
                        let r = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
                        short = _mm512_add_epi16(short, _mm512_maddubs_epi16(r, q));
                    }
                    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(short, ones));
                }
                sums.push(_mm512_reduce_add_epi32(sum));
            }
        }

        #[target_feature(enable = "avx2")]
        pub(super) fn dots_256(query: &[[i8; BLOCK]], rows: Rows<'_>, sums: &mut Vec<i32>) {
            let mask = _mm256_set1_epi8(0x0f);
            let ones = _mm256_set1_epi16(1);
            for row in rows {
                let mut sum = _mm256_setzero_si256();
                // A block adds two.
                for (query, row) in query.chunks(ADDED_MAX / 2).zip(row.chunks(ADDED_MAX / 2)) {
                    let mut short = _mm256_setzero_si256();
                    for (q, r) in query.iter().zip(row) {
                        let (first, second) = q.split_at(BLOCK_BYTES);
                        // SAFETY: the arrays are as long as what is loaded; no alignment is asked
                        // for.
                        let (first, second, r) = unsafe {
                            (
                                _mm256_loadu_si256(first.as_ptr().cast::<__m256i>()),
                                _mm256_loadu_si256(second.as_ptr().cast::<__m256i>()),
                                _mm256_loadu_si256(r.as_ptr().cast::<__m256i>()),
                            )
                        };
                        let low = _mm256_and_si256(r, mask);
                        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(r), mask);
                        short = _mm256_add_epi16(short, _mm256_maddubs_epi16(low, first));
                        short = _mm256_add_epi16(short, _mm256_maddubs_epi16(high, second));
                    }
                    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(short, ones));
                }
                let halves =
                    _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
                let pairs = _mm_add_epi32(halves, _mm_shuffle_epi32::<0b01_00_11_10>(halves));
                let all = _mm_add_epi32(pairs, _mm_shuffle_epi32::<0b10_11_00_01>(pairs));
                sums.push(_mm_cvtsi128_si32(all));
            }
        }
    }
}
