//! Packing with AVX-512 where the steps of an operand lie next to one another: blocks are transposed in registers.

use std::arch::x86_64::*;

/// Bytes of a row that packing fetches ahead.
const AHEAD: usize = 512;

/// Packs units of 4 bytes whose steps lie next to one another; arguments as for
/// [`PackFn`](super::kernels::PackFn).
///
/// # Safety
/// As for [`PackFn`](super::kernels::PackFn); the caller must have AVX-512 F.
#[inline(always)]
pub(super) unsafe fn pack_rows_4(
    to: *mut i32,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const i32,
    lane_stride: usize,
) {
    // SAFETY: the caller vouches for both ends; stores beyond `width` are overwritten by the next step's, or lie in
    // the slack.
    unsafe {
        for step in (0..steps).step_by(16) {
            let count = (steps - step).min(16);
            let mask = 0xffff >> (16 - count);
            for lane in (0..width).step_by(16) {
                let from = from.wrapping_add(lane * lane_stride + step);
                let mut rows = [_mm512_setzero_si512(); 16];
                for (i, row) in rows.iter_mut().enumerate() {
                    if lane + i < lanes {
                        let from = from.add(i * lane_stride);
                        *row = _mm512_maskz_loadu_epi32(mask, from);
                        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD / 4).cast());
                    }
                }
                let steps = transpose_16(rows);
                let to = to.add(step * width + lane);
                for (i, units) in steps.iter().enumerate() {
                    if i < count {
                        _mm512_storeu_si512(to.add(i * width).cast(), *units);
                    }
                }
            }
        }
    }
}

/// Packs units of 8 bytes, as [`pack_rows_4`] does those of 4.
///
/// # Safety
/// As for [`pack_rows_4`].
#[inline(always)]
pub(super) unsafe fn pack_rows_8(
    to: *mut i64,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const i64,
    lane_stride: usize,
) {
    // SAFETY: as in `pack_rows_4`.
    unsafe {
        for step in (0..steps).step_by(8) {
            let count = (steps - step).min(8);
            let mask = 0xff >> (8 - count);
            for lane in (0..width).step_by(8) {
                let from = from.wrapping_add(lane * lane_stride + step);
                let mut rows = [_mm512_setzero_si512(); 8];
                for (i, row) in rows.iter_mut().enumerate() {
                    if lane + i < lanes {
                        let from = from.add(i * lane_stride);
                        *row = _mm512_maskz_loadu_epi64(mask, from);
                        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD / 8).cast());
                    }
                }
                let steps = transpose_8(rows);
                let to = to.add(step * width + lane);
                for (i, units) in steps.iter().enumerate() {
                    if i < count {
                        _mm512_storeu_si512(to.add(i * width).cast(), *units);
                    }
                }
            }
        }
    }
}

/// Packs units of 4 bytes whose lanes lie next to one another; arguments as for
/// [`PackFn`](super::kernels::PackFn).
///
/// # Safety
/// As for [`pack_rows_4`].
#[inline(always)]
pub(super) unsafe fn pack_cols_4(
    to: *mut i32,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const i32,
    step_stride: usize,
) {
    // SAFETY: as in `pack_rows_4`.
    unsafe {
        if lanes == 32 && width == 32 {
            for step in 0..steps {
                let (to, from) = (to.add(step * width), from.add(step * step_stride));
                _mm512_storeu_si512(to.cast(), _mm512_loadu_si512(from.cast()));
                _mm512_storeu_si512(to.add(16).cast(), _mm512_loadu_si512(from.add(16).cast()));
            }
            return;
        }
        for first in (0..width).step_by(16) {
            let count = lanes.saturating_sub(first).min(16);
            let mask = ((0xffff_u32 << count) >> 16) as u16;
            for step in 0..steps {
                let units = _mm512_maskz_loadu_epi32(mask, from.wrapping_add(step * step_stride + first));
                _mm512_storeu_si512(to.add(step * width + first).cast(), units);
            }
        }
    }
}

/// Packs units of 8 bytes whose lanes lie next to one another; arguments as for
/// [`PackFn`](super::kernels::PackFn).
///
/// # Safety
/// As for [`pack_rows_4`].
#[inline(always)]
pub(super) unsafe fn pack_cols_8(
    to: *mut i64,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const i64,
    step_stride: usize,
) {
    // SAFETY: as in `pack_rows_4`.
    unsafe {
        if lanes == 16 && width == 16 {
            for step in 0..steps {
                let (to, from) = (to.add(step * width), from.add(step * step_stride));
                _mm512_storeu_si512(to.cast(), _mm512_loadu_si512(from.cast()));
                _mm512_storeu_si512(to.add(8).cast(), _mm512_loadu_si512(from.add(8).cast()));
            }
            return;
        }
        for first in (0..width).step_by(8) {
            let count = lanes.saturating_sub(first).min(8);
            let mask = ((0xff_u32 << count) >> 8) as u8;
            for step in 0..steps {
                let units = _mm512_maskz_loadu_epi64(mask, from.wrapping_add(step * step_stride + first));
                _mm512_storeu_si512(to.add(step * width + first).cast(), units);
            }
        }
    }
}

/// The 16 x 16 transpose.
///
/// # Safety
/// The caller must have AVX-512 F.
#[inline(always)]
pub(super) unsafe fn transpose_16(rows: [__m512i; 16]) -> [__m512i; 16] {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = _mm512_setzero_si512();
        // Pairs of rows, then fours: within every 128-bit quarter, `fours[4 g + i]` has column i of rows 4 g to 4 g + 3.
        let (mut pairs, mut fours, mut half, mut out) = ([zero; 16], [zero; 16], [zero; 16], [zero; 16]);
        for i in 0..8 {
            pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
        }
        for g in 0..4 {
            let p = 4 * g;
            fours[p] = _mm512_unpacklo_epi64(pairs[p], pairs[p + 2]);
            fours[p + 1] = _mm512_unpackhi_epi64(pairs[p], pairs[p + 2]);
            fours[p + 2] = _mm512_unpacklo_epi64(pairs[p + 1], pairs[p + 3]);
            fours[p + 3] = _mm512_unpackhi_epi64(pairs[p + 1], pairs[p + 3]);
        }
        // Quarters to their places.
        for i in 0..4 {
            half[i] = _mm512_shuffle_i32x4::<0x88>(fours[i], fours[4 + i]);
            half[4 + i] = _mm512_shuffle_i32x4::<0xdd>(fours[i], fours[4 + i]);
            half[8 + i] = _mm512_shuffle_i32x4::<0x88>(fours[8 + i], fours[12 + i]);
            half[12 + i] = _mm512_shuffle_i32x4::<0xdd>(fours[8 + i], fours[12 + i]);
        }
        for i in 0..4 {
            out[i] = _mm512_shuffle_i32x4::<0x88>(half[i], half[8 + i]);
            out[4 + i] = _mm512_shuffle_i32x4::<0x88>(half[4 + i], half[12 + i]);
            out[8 + i] = _mm512_shuffle_i32x4::<0xdd>(half[i], half[8 + i]);
            out[12 + i] = _mm512_shuffle_i32x4::<0xdd>(half[4 + i], half[12 + i]);
        }
        out
    }
}

/// The 8 x 8 transpose of units of 8 bytes.
///
/// # Safety
/// The caller must have AVX-512 F.
#[inline(always)]
unsafe fn transpose_8(rows: [__m512i; 8]) -> [__m512i; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = _mm512_setzero_si512();
        let (mut pairs, mut half, mut out) = ([zero; 8], [zero; 8], [zero; 8]);
        for i in 0..4 {
            pairs[2 * i] = _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1]);
        }
        // pairs[2 i + j], quarter q: column 2 q + j of rows 2 i, 2 i + 1.
        for j in 0..2 {
            half[j] = _mm512_shuffle_i64x2::<0x88>(pairs[j], pairs[2 + j]);
            half[2 + j] = _mm512_shuffle_i64x2::<0xdd>(pairs[j], pairs[2 + j]);
            half[4 + j] = _mm512_shuffle_i64x2::<0x88>(pairs[4 + j], pairs[6 + j]);
            half[6 + j] = _mm512_shuffle_i64x2::<0xdd>(pairs[4 + j], pairs[6 + j]);
        }
        for j in 0..2 {
            out[j] = _mm512_shuffle_i64x2::<0x88>(half[j], half[4 + j]);
            out[2 + j] = _mm512_shuffle_i64x2::<0x88>(half[2 + j], half[6 + j]);
            out[4 + j] = _mm512_shuffle_i64x2::<0xdd>(half[j], half[4 + j]);
            out[6 + j] = _mm512_shuffle_i64x2::<0xdd>(half[2 + j], half[6 + j]);
        }
        out
    }
}
