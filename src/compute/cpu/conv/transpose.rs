//! Transpositions of blocks no larger than a vector each way.
// Tiles are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use crate::compute::cpu::lanes::Vector;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// `to[j * to_row + i] = from[i * from_row + j]` for `i` below `rows` and `j` below `cols`, at most `LANES` each.
///
/// # Safety
/// These elements can be read and written.
#[inline(always)]
pub(super) unsafe fn transpose<V: Vector>(
    from: *const V::Elem,
    from_row: usize,
    rows: usize,
    cols: usize,
    to: *mut V::Elem,
    to_row: usize,
) {
    // Sixteen single-precision lanes exist under AVX-512 only.
    #[cfg(target_arch = "x86_64")]
    if V::LANES == 16 && size_of::<V::Elem>() == 4 {
        // SAFETY: the elements are `f32`; the code around was compiled for AVX-512, as its lanes are used.
        return unsafe { transpose16(from.cast(), from_row, rows, cols, to.cast(), to_row) };
    }
    for j in 0..cols {
        for i in 0..rows {
            // SAFETY: the caller's promise.
            unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) };
        }
    }
}

/// A transposition of up to 16 by 16 elements in registers; of up to 8 rows in half the steps.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose16(from: *const f32, from_row: usize, rows: usize, cols: usize, to: *mut f32, to_row: usize) {
    // SAFETY: the promise of `transpose`; rows and columns that do not exist are masked off.
    unsafe {
        let wanted = ((1u32 << cols) - 1) as __mmask16;
        let written = ((1u32 << rows) - 1) as __mmask16;
        let mut r = [_mm512_setzero_ps(); 16];
        if rows <= 8 {
            for i in 0..8 {
                let mask = if i < rows { wanted } else { 0 };
                r[i] = _mm512_maskz_loadu_ps(mask, from.wrapping_add(i * from_row));
            }
            let fours = [fours(&r, 0), fours(&r, 4)];
            for j in 0..4 {
                // Columns j and 4 + j, then 8 + j and 12 + j.
                let low = _mm512_shuffle_f32x4::<0x44>(fours[0][j], fours[1][j]);
                let high = _mm512_shuffle_f32x4::<0xEE>(fours[0][j], fours[1][j]);
                for (pair, first) in [(low, j), (high, 8 + j)] {
                    let pair = _mm512_shuffle_f32x4::<0xD8>(pair, pair);
                    if first < cols {
                        let column = _mm512_castps512_ps256(pair);
                        _mm256_mask_storeu_ps(to.add(first * to_row), written as __mmask8, column);
                    }
                    if first + 4 < cols {
                        let column = _mm512_extractf32x8_ps::<1>(pair);
                        _mm256_mask_storeu_ps(to.add((first + 4) * to_row), written as __mmask8, column);
                    }
                }
            }
            return;
        }
        for i in 0..16 {
            let mask = if i < rows { wanted } else { 0 };
            r[i] = _mm512_maskz_loadu_ps(mask, from.wrapping_add(i * from_row));
        }
        let fours = [fours(&r, 0), fours(&r, 4), fours(&r, 8), fours(&r, 12)];
        for j in 0..4 {
            let [a, b, c, d] = [fours[0][j], fours[1][j], fours[2][j], fours[3][j]];
            let low = [_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d)];
            let high = [_mm512_shuffle_f32x4::<0xEE>(a, b), _mm512_shuffle_f32x4::<0xEE>(c, d)];
            let columns = [
                _mm512_shuffle_f32x4::<0x88>(low[0], low[1]),
                _mm512_shuffle_f32x4::<0xDD>(low[0], low[1]),
                _mm512_shuffle_f32x4::<0x88>(high[0], high[1]),
                _mm512_shuffle_f32x4::<0xDD>(high[0], high[1]),
            ];
            for (l, column) in columns.into_iter().enumerate() {
                if 4 * l + j < cols {
                    _mm512_mask_storeu_ps(to.add((4 * l + j) * to_row), written, column);
                }
            }
        }
    }
}

/// Rows `at` to `at + 3` four by four: 128-bit lane `l` of result `j` is column `4 l + j`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fours(r: &[__m512; 16], at: usize) -> [__m512; 4] {
    // SAFETY: the caller is compiled with the instructions.
    unsafe {
        let low = [_mm512_unpacklo_ps(r[at], r[at + 1]), _mm512_unpacklo_ps(r[at + 2], r[at + 3])];
        let high = [_mm512_unpackhi_ps(r[at], r[at + 1]), _mm512_unpackhi_ps(r[at + 2], r[at + 3])];
        let (a, b) = (_mm512_castps_pd(low[0]), _mm512_castps_pd(low[1]));
        let (c, d) = (_mm512_castps_pd(high[0]), _mm512_castps_pd(high[1]));
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)),
            _mm512_castpd_ps(_mm512_unpacklo_pd(c, d)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(c, d)),
        ]
    }
}
