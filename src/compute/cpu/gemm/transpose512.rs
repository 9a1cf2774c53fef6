//! Packing with AVX-512 where the steps of an operand lie next to one another: blocks are transposed in registers.

use std::arch::x86_64::*;

/// Packs units of 4 bytes whose steps lie next to one another; arguments as for
/// [`PackFn`](super::kernels::PackFn), except that lanes beyond `lanes` get any content.
///
/// Neither group of 16 lanes reaches into another, since no width above 16 is not a multiple of it.
///
/// Four steps of 16 lanes are loaded so that every 128-bit quarter of a vector holds four steps of one lane, which
/// leaves 4 x 4 transposes within quarters: half the shuffles of a 16 x 16 transpose.
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
    // SAFETY: the caller vouches for both ends; a lane that is not there is read where lane 0 is. Stores beyond `width`
    // are overwritten by the next step's, or lie in the slack.
    unsafe {
        debug_assert!(width <= 16 || width.is_multiple_of(16));
        let whole = steps / 4 * 4;
        for first in (0..width).step_by(16) {
            let mut at = [from; 16];
            for (i, at) in at.iter_mut().enumerate() {
                *at = from.add(if first + i < lanes { (first + i) * lane_stride } else { 0 });
            }
            let to = to.add(first);
            for step in (0..whole).step_by(4) {
                let mut z = [_mm512_setzero_si512(); 4];
                for (j, z) in z.iter_mut().enumerate() {
                    *z = _mm512_castsi128_si512(_mm_loadu_si128(at[j].add(step).cast()));
                    *z = _mm512_inserti32x4::<1>(*z, _mm_loadu_si128(at[j + 4].add(step).cast()));
                    *z = _mm512_inserti32x4::<2>(*z, _mm_loadu_si128(at[j + 8].add(step).cast()));
                    *z = _mm512_inserti32x4::<3>(*z, _mm_loadu_si128(at[j + 12].add(step).cast()));
                }
                let t = [
                    _mm512_unpacklo_epi32(z[0], z[1]),
                    _mm512_unpackhi_epi32(z[0], z[1]),
                    _mm512_unpacklo_epi32(z[2], z[3]),
                    _mm512_unpackhi_epi32(z[2], z[3]),
                ];
                let to = to.add(step * width);
                _mm512_storeu_si512(to.cast(), _mm512_unpacklo_epi64(t[0], t[2]));
                _mm512_storeu_si512(to.add(width).cast(), _mm512_unpackhi_epi64(t[0], t[2]));
                _mm512_storeu_si512(to.add(2 * width).cast(), _mm512_unpacklo_epi64(t[1], t[3]));
                _mm512_storeu_si512(to.add(3 * width).cast(), _mm512_unpackhi_epi64(t[1], t[3]));
            }
        }
        for step in whole..steps {
            for lane in 0..lanes {
                *to.add(step * width + lane) = from.add(lane * lane_stride + step).read_unaligned();
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
        let whole = steps / 2 * 2;
        for first in (0..width).step_by(8) {
            let mut at = [from; 8];
            for (i, at) in at.iter_mut().enumerate() {
                *at = from.add(if first + i < lanes { (first + i) * lane_stride } else { 0 });
            }
            // Lanes beyond the width would overwrite the first ones of the next step.
            let mask = 0xff_u8 >> (8 - (width - first).min(8));
            let to = to.add(first);
            for step in (0..whole).step_by(2) {
                let mut z = [_mm512_setzero_si512(); 2];
                for (j, z) in z.iter_mut().enumerate() {
                    *z = _mm512_castsi128_si512(_mm_loadu_si128(at[j].add(step).cast()));
                    *z = _mm512_inserti64x2::<1>(*z, _mm_loadu_si128(at[j + 2].add(step).cast()));
                    *z = _mm512_inserti64x2::<2>(*z, _mm_loadu_si128(at[j + 4].add(step).cast()));
                    *z = _mm512_inserti64x2::<3>(*z, _mm_loadu_si128(at[j + 6].add(step).cast()));
                }
                let to = to.add(step * width);
                _mm512_mask_storeu_epi64(to, mask, _mm512_unpacklo_epi64(z[0], z[1]));
                _mm512_mask_storeu_epi64(to.add(width), mask, _mm512_unpackhi_epi64(z[0], z[1]));
            }
        }
        for step in whole..steps {
            for lane in 0..lanes {
                *to.add(step * width + lane) = from.add(lane * lane_stride + step).read_unaligned();
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
        // Steps in ascending order, since stores reach into the next one.
        for step in 0..steps {
            for first in (0..width).step_by(16) {
                let count = lanes.saturating_sub(first).min(16);
                let mask = ((0xffff_u32 << count) >> 16) as u16;
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
        // Steps in ascending order, since stores reach into the next one.
        for step in 0..steps {
            for first in (0..width).step_by(8) {
                let count = lanes.saturating_sub(first).min(8);
                let mask = ((0xff_u32 << count) >> 8) as u8;
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
