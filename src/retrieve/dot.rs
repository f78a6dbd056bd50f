//! Dot products of small integers: the same exact sums on every processor, by the widest
//! instructions that this one has.

/// Writes to `sums` the dot product of `query` with each row of `rows`, which are as long as it.
///
/// The numbers of the query are of -128 to 127, in wider places. The sums are exact up to 65,535
/// numbers a row. An empty query has no rows.
pub(super) fn dots(query: &[i16], rows: &[i8], sums: &mut Vec<i32>) {
    sums.clear();
    if query.is_empty() {
        return;
    }
    debug_assert_eq!(rows.len() % query.len(), 0, "rows are as long as the query");
    sums.reserve(rows.len() / query.len());
    wide::dots(query, rows, sums);
}

/// The plain loop, for processors without such instructions and for the ends of rows.
pub(super) fn dot(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(q, r)| i32::from(*q) * i32::from(*r)).sum()
}

/// The ways of the processors, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Plain,
}

impl Way {
    /// All that this processor can go.
    pub(super) fn possible() -> impl Iterator<Item = Self> {
        let ways = [
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, std::arch::is_x86_feature_detected!("avx512bw")),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, std::arch::is_x86_feature_detected!("avx2")),
            #[cfg(target_arch = "aarch64")]
            (Self::Neon, std::arch::is_aarch64_feature_detected!("neon")),
            (Self::Plain, true),
        ];
        ways.into_iter().filter(|(_, possible)| *possible).map(|(way, _)| way)
    }
}

#[cfg(test)]
pub(super) use wide::dots_by;

#[expect(unsafe_code, reason = "instructions of a processor are called where it has them")]
mod wide {
    use super::{Way, dot};

    pub(super) fn dots(query: &[i16], rows: &[i8], sums: &mut Vec<i32>) {
        let best = Way::possible().next().unwrap_or(Way::Plain);
        // SAFETY: the way is one that this processor can go.
        unsafe { dots_by(best, query, rows, sums) }
    }

    /// # Safety
    /// The way is one of [`Way::possible`].
    pub(in crate::retrieve) unsafe fn dots_by(
        way: Way,
        query: &[i16],
        rows: &[i8],
        sums: &mut Vec<i32>,
    ) {
        let rows = rows.chunks_exact(query.len());
        match way {
            // SAFETY: the caller says that the processor has these instructions.
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => unsafe { x86::dots_512(query, rows, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 => unsafe { x86::dots_256(query, rows, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Way::Neon => unsafe { arm::dots(query, rows, sums) },
            Way::Plain => sums.extend(rows.map(|row| dot(query, row))),
        }
    }

    #[cfg(target_arch = "x86_64")]
    mod x86 {
        use std::arch::x86_64::{
            __m128i, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_shuffle_epi32,
            _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepi8_epi16,
            _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_setzero_si256,
            _mm512_add_epi32, _mm512_cvtepi8_epi16, _mm512_loadu_si512, _mm512_madd_epi16,
            _mm512_reduce_add_epi32, _mm512_setzero_si512,
        };
        use std::slice::ChunksExact;

        use super::dot;

        /// How many numbers one step takes.
        const STEP_512: usize = 32;
        /// The same with half the width.
        const STEP_256: usize = 16;

        #[target_feature(enable = "avx512f,avx512bw")]
        pub(super) fn dots_512(query: &[i16], rows: ChunksExact<'_, i8>, sums: &mut Vec<i32>) {
            let (steps, rest) = query.as_chunks::<STEP_512>();
            for row in rows {
                let (row_steps, row_rest) = row.as_chunks::<STEP_512>();
                let mut sum = _mm512_setzero_si512();
                for (q, r) in steps.iter().zip(row_steps) {
                    // SAFETY: the arrays are as long as what is loaded; no alignment is asked for.
                    let (q, r) = unsafe {
                        let row = _mm256_loadu_si256(r.as_ptr().cast::<__m256i>());
                        (_mm512_loadu_si512(q.as_ptr().cast()), row)
                    };
                    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(q, _mm512_cvtepi8_epi16(r)));
                }
                sums.push(_mm512_reduce_add_epi32(sum) + dot(rest, row_rest));
            }
        }

        #[target_feature(enable = "avx2")]
        pub(super) fn dots_256(query: &[i16], rows: ChunksExact<'_, i8>, sums: &mut Vec<i32>) {
            let (steps, rest) = query.as_chunks::<STEP_256>();
            for row in rows {
                let (row_steps, row_rest) = row.as_chunks::<STEP_256>();
                let mut sum = _mm256_setzero_si256();
                for (q, r) in steps.iter().zip(row_steps) {
                    // SAFETY: the arrays are as long as what is loaded; no alignment is asked for.
                    let (q, r) = unsafe {
                        let row = _mm_loadu_si128(r.as_ptr().cast::<__m128i>());
                        (_mm256_loadu_si256(q.as_ptr().cast::<__m256i>()), row)
                    };
                    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(q, _mm256_cvtepi8_epi16(r)));
                }
                let halves =
                    _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
                let pairs = _mm_add_epi32(halves, _mm_shuffle_epi32::<0b01_00_11_10>(halves));
                let all = _mm_add_epi32(pairs, _mm_shuffle_epi32::<0b10_11_00_01>(pairs));
                sums.push(_mm_cvtsi128_si32(all) + dot(rest, row_rest));
            }
        }
    }

    #[cfg(target_arch = "aarch64")]
    mod arm {
        use std::arch::aarch64::{
            vaddvq_s32, vdupq_n_s32, vget_high_s16, vget_low_s16, vld1_s8, vld1q_s16, vmlal_s16,
            vmovl_s8,
        };
        use std::slice::ChunksExact;

        use super::dot;

        /// How many numbers one step takes.
        const STEP: usize = 8;

        #[target_feature(enable = "neon")]
        pub(super) fn dots(query: &[i16], rows: ChunksExact<'_, i8>, sums: &mut Vec<i32>) {
            let (steps, rest) = query.as_chunks::<STEP>();
            for row in rows {
                let (row_steps, row_rest) = row.as_chunks::<STEP>();
                let (mut low, mut high) = (vdupq_n_s32(0), vdupq_n_s32(0));
                for (q, r) in steps.iter().zip(row_steps) {
                    // SAFETY: the arrays are as long as what is loaded; no alignment is asked for.
                    let (q, r) = unsafe { (vld1q_s16(q.as_ptr()), vld1_s8(r.as_ptr())) };
                    let r = vmovl_s8(r);
                    low = vmlal_s16(low, vget_low_s16(q), vget_low_s16(r));
                    high = vmlal_s16(high, vget_high_s16(q), vget_high_s16(r));
                }
                sums.push(vaddvq_s32(low) + vaddvq_s32(high) + dot(rest, row_rest));
            }
        }
    }
}
