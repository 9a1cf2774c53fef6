//! Packing of narrow operands with AVX-512.

use std::arch::x86_64::*;
use std::ops::Range;

use half::{bf16, f16};

use super::narrow::{Narrow, PairsBf16, QuadsI8, WideBf16, WideF16};
use super::transpose512::transpose_16;

/// [`Narrow`] for 16 units at a time.
pub(super) trait Narrow512: Narrow {
    /// 16 consecutive units of one lane, of which the first `elements` elements are there.
    ///
    /// # Safety
    /// These elements must be readable; the caller must have AVX-512 F, BW, DQ and VL.
    unsafe fn steps(from: *const Self::Element, elements: usize) -> __m512i;

    /// The units of the `lanes` first of 16 lanes at one step, from `count` elements that are `stride` apart.
    ///
    /// # Safety
    /// As for [`Narrow512::steps`].
    unsafe fn lanes(from: *const Self::Element, lanes: usize, stride: usize, count: usize) -> __m512i;
}

/// The lowest `n` bits, of at most 64.
#[inline(always)]
fn low_bits(n: usize) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

/// A [`NarrowPackFn`](super::kernels::NarrowPackFn).
///
/// # Safety
/// As for [`NarrowPackFn`](super::kernels::NarrowPackFn); the caller must have AVX-512 F, BW, DQ and VL.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn pack<N: Narrow512>(
    to: *mut N::Unit,
    width: usize,
    lanes: Range<usize>,
    steps: Range<usize>,
    from: *const u8,
    lane_stride: usize,
    element_stride: usize,
    elements: usize,
) {
    // SAFETY: the caller's promise. Stores beyond `width` are overwritten by the next step's, or lie in the slack.
    unsafe {
        if lane_stride != 1 && element_stride != 1 {
            return super::narrow::pack::<N>(to, width, lanes, steps, from, lane_stride, element_stride, elements);
        }
        let from = from.cast::<N::Element>().wrapping_add(lanes.start * lane_stride);
        if lane_stride != 1 {
            for step in (0..steps.len()).step_by(16) {
                let k = (steps.start + step) * N::GROUP;
                let count = (steps.len() - step).min(16);
                let there = (elements - k).min(count * N::GROUP);
                for lane in (0..width).step_by(16) {
                    let from = from.wrapping_add(lane * lane_stride + k);
                    let mut rows = [_mm512_setzero_si512(); 16];
                    for (i, row) in rows.iter_mut().enumerate() {
                        if lane + i < lanes.len() {
                            *row = N::steps(from.wrapping_add(i * lane_stride), there);
                        }
                    }
                    let units = transpose_16(rows);
                    let to = to.add(step * width + lane);
                    for (i, units) in units.iter().enumerate() {
                        if i < count {
                            _mm512_storeu_si512(to.add(i * width).cast(), *units);
                        }
                    }
                }
            }
            return;
        }
        for (s, step) in steps.enumerate() {
            let k = step * N::GROUP;
            let count = (elements - k).min(N::GROUP);
            let from = from.wrapping_add(k * element_stride);
            for lane in (0..width).step_by(16) {
                let there = lanes.len().saturating_sub(lane).min(16);
                let units = N::lanes(from.wrapping_add(lane), there, element_stride, count);
                _mm512_storeu_si512(to.add(s * width + lane).cast(), units);
            }
        }
    }
}

/// 16 elements of 2 bytes, the first `n` from memory, each in the low half of 4 bytes.
///
/// # Safety
/// `n` elements must be readable; the caller must have AVX-512 F, BW and VL.
#[inline(always)]
unsafe fn words(from: *const i16, n: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(low_bits(n) as u16, from)) }
}

/// The same for 16 bytes.
///
/// # Safety
/// As for [`words`].
#[inline(always)]
unsafe fn bytes(from: *const i8, n: usize) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(low_bits(n) as u16, from)) }
}

impl Narrow512 for WideBf16 {
    #[inline(always)]
    unsafe fn steps(from: *const bf16, elements: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_slli_epi32::<16>(words(from.cast(), elements.min(16))) }
    }
    #[inline(always)]
    unsafe fn lanes(from: *const bf16, lanes: usize, _: usize, _: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_slli_epi32::<16>(words(from.cast(), lanes)) }
    }
}

impl Narrow512 for WideF16 {
    #[inline(always)]
    unsafe fn steps(from: *const f16, elements: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe {
            let mask = low_bits(elements.min(16)) as u16;
            _mm512_castps_si512(_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from.cast())))
        }
    }
    #[inline(always)]
    unsafe fn lanes(from: *const f16, lanes: usize, _: usize, _: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { Self::steps(from, lanes) }
    }
}

impl Narrow512 for PairsBf16 {
    #[inline(always)]
    unsafe fn steps(from: *const bf16, elements: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_maskz_loadu_epi16(low_bits(elements) as u32, from.cast()) }
    }
    #[inline(always)]
    unsafe fn lanes(from: *const bf16, lanes: usize, stride: usize, count: usize) -> __m512i {
        // SAFETY: the caller's promise; of the second row nothing is read if it is not there.
        unsafe {
            let low = words(from.cast(), lanes);
            let high = words(from.wrapping_add(stride).cast(), if count > 1 { lanes } else { 0 });
            _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
        }
    }
}

impl<const FLIP: u8> Narrow512 for QuadsI8<FLIP> {
    #[inline(always)]
    unsafe fn steps(from: *const u8, elements: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe {
            let units = _mm512_maskz_loadu_epi8(low_bits(elements), from.cast());
            _mm512_xor_si512(units, _mm512_set1_epi8(FLIP as i8))
        }
    }
    #[inline(always)]
    unsafe fn lanes(from: *const u8, lanes: usize, stride: usize, count: usize) -> __m512i {
        // SAFETY: the caller's promise; of rows that are not there nothing is read.
        unsafe {
            let row = |i: usize| (from.wrapping_add(i * stride).cast::<i8>(), if i < count { lanes } else { 0 });
            let [(p0, n0), (p1, n1), (p2, n2), (p3, n3)] = [row(0), row(1), row(2), row(3)];
            let low = _mm512_or_si512(bytes(p0, n0), _mm512_slli_epi32::<8>(bytes(p1, n1)));
            let high = _mm512_or_si512(bytes(p2, n2), _mm512_slli_epi32::<8>(bytes(p3, n3)));
            let units = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
            _mm512_xor_si512(units, _mm512_set1_epi8(FLIP as i8))
        }
    }
}

/// A pack function for each type.
macro_rules! packs {
    ($($name:ident: $narrow:ty),+ $(,)?) => { $(
        /// # Safety
        /// As for [`NarrowPackFn`](super::kernels::NarrowPackFn).
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe fn $name(
            to: *mut <$narrow as Narrow>::Unit,
            width: usize,
            lanes: Range<usize>,
            steps: Range<usize>,
            from: *const u8,
            lane_stride: usize,
            element_stride: usize,
            elements: usize,
        ) {
            // SAFETY: the caller's promise.
            unsafe { pack::<$narrow>(to, width, lanes, steps, from, lane_stride, element_stride, elements) }
        }
    )+ };
}
packs!(
    wide_bf16: WideBf16,
    wide_f16: WideF16,
    pairs_bf16: PairsBf16,
    quads_flipped: QuadsI8<0x80>,
    quads: QuadsI8<0>,
);
