//! Tile kernels for AVX-512: up to 14 rows by 2 vectors.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::x86_64::*;

use super::kernels::{Kernels, tiles_of_32_registers};
use super::micro::{Lanes, Tile, tile};
use super::pack::pack;
use super::transpose512::{pack_cols_4, pack_cols_8, pack_rows_4, pack_rows_8};

/// 16 `f32`.
pub(super) struct F32Lanes;

impl Lanes for F32Lanes {
    type Unit = f32;
    type Sum = f32;
    type Units = __m512;
    type Sums = __m512;
    type Mask = __mmask16;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn fetch(at: *const Self::Sum) {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[inline(always)]
    unsafe fn fetch_far(at: *const u8) {
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[inline(always)]
    unsafe fn mask(n: usize) -> __mmask16 {
        0xffff >> (16 - n)
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> __m512 {
        _mm512_set1_ps(*from)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        _mm512_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn load_some(from: *const f32, mask: __mmask16) -> __m512 {
        _mm512_maskz_loadu_ps(mask, from)
    }
    #[inline(always)]
    unsafe fn zeros() -> __m512 {
        _mm512_setzero_ps()
    }
    #[inline(always)]
    unsafe fn splat_sum(from: *const f32) -> __m512 {
        _mm512_set1_ps(*from)
    }
    #[inline(always)]
    unsafe fn load_sums(from: *const f32) -> __m512 {
        _mm512_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn load_sums_some(from: *const f32, mask: __mmask16) -> __m512 {
        _mm512_maskz_loadu_ps(mask, from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, sums: __m512) {
        _mm512_storeu_ps(to, sums)
    }
    #[inline(always)]
    unsafe fn store_some(to: *mut f32, sums: __m512, mask: __mmask16) {
        _mm512_mask_storeu_ps(to, mask, sums)
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn relu(a: __m512) -> __m512 {
        // Where one operand is NaN, the second one is taken.
        _mm512_max_ps(_mm512_setzero_ps(), a)
    }
}

/// # Safety
/// As [`TileFn`](super::micro::TileFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn f32_tile<const M: usize, const N: usize>(t: &Tile<f32, f32>) {
    tile::<F32Lanes, M, N>(t)
}

/// # Safety
/// As [`PackFn`](super::kernels::PackFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn f32_pack(
    to: *mut f32,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const f32,
    lane_stride: usize,
    step_stride: usize,
) {
    if step_stride == 1 && lane_stride != 1 {
        pack_rows_4(to.cast(), width, lanes, steps, from.cast(), lane_stride)
    } else if lane_stride == 1 {
        pack_cols_4(to.cast(), width, lanes, steps, from.cast(), step_stride)
    } else {
        pack(to, width, lanes, steps, from, lane_stride, step_stride)
    }
}

/// Kernels for `f32`.
pub(super) static F32: Kernels<f32, f32> =
    Kernels { lanes: 16, tiles: tiles_of_32_registers!(f32_tile), pack: f32_pack };

/// 8 `f64`.
pub(super) struct F64Lanes;

impl Lanes for F64Lanes {
    type Unit = f64;
    type Sum = f64;
    type Units = __m512d;
    type Sums = __m512d;
    type Mask = __mmask8;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn fetch(at: *const Self::Sum) {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[inline(always)]
    unsafe fn fetch_far(at: *const u8) {
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[inline(always)]
    unsafe fn mask(n: usize) -> __mmask8 {
        0xff >> (8 - n)
    }
    #[inline(always)]
    unsafe fn splat(from: *const f64) -> __m512d {
        _mm512_set1_pd(*from)
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> __m512d {
        _mm512_loadu_pd(from)
    }
    #[inline(always)]
    unsafe fn load_some(from: *const f64, mask: __mmask8) -> __m512d {
        _mm512_maskz_loadu_pd(mask, from)
    }
    #[inline(always)]
    unsafe fn zeros() -> __m512d {
        _mm512_setzero_pd()
    }
    #[inline(always)]
    unsafe fn splat_sum(from: *const f64) -> __m512d {
        _mm512_set1_pd(*from)
    }
    #[inline(always)]
    unsafe fn load_sums(from: *const f64) -> __m512d {
        _mm512_loadu_pd(from)
    }
    #[inline(always)]
    unsafe fn load_sums_some(from: *const f64, mask: __mmask8) -> __m512d {
        _mm512_maskz_loadu_pd(mask, from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, sums: __m512d) {
        _mm512_storeu_pd(to, sums)
    }
    #[inline(always)]
    unsafe fn store_some(to: *mut f64, sums: __m512d, mask: __mmask8) {
        _mm512_mask_storeu_pd(to, mask, sums)
    }
    #[inline(always)]
    unsafe fn fma(a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        _mm512_fmadd_pd(a, b, c)
    }
    #[inline(always)]
    unsafe fn add(a: __m512d, b: __m512d) -> __m512d {
        _mm512_add_pd(a, b)
    }
    #[inline(always)]
    unsafe fn relu(a: __m512d) -> __m512d {
        // Where one operand is NaN, the second one is taken.
        _mm512_max_pd(_mm512_setzero_pd(), a)
    }
}

/// # Safety
/// As [`TileFn`](super::micro::TileFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn f64_tile<const M: usize, const N: usize>(t: &Tile<f64, f64>) {
    tile::<F64Lanes, M, N>(t)
}

/// # Safety
/// As [`PackFn`](super::kernels::PackFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn f64_pack(
    to: *mut f64,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const f64,
    lane_stride: usize,
    step_stride: usize,
) {
    if step_stride == 1 && lane_stride != 1 {
        pack_rows_8(to.cast(), width, lanes, steps, from.cast(), lane_stride)
    } else if lane_stride == 1 {
        pack_cols_8(to.cast(), width, lanes, steps, from.cast(), step_stride)
    } else {
        pack(to, width, lanes, steps, from, lane_stride, step_stride)
    }
}

/// Kernels for `f64`.
pub(super) static F64: Kernels<f64, f64> =
    Kernels { lanes: 8, tiles: tiles_of_32_registers!(f64_tile), pack: f64_pack };
