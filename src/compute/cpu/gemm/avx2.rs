//! Tile kernels for AVX2 with FMA: up to 6 rows by 2 vectors.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::x86_64::*;

use super::kernels::{Kernels, tiles_of_16_registers, tiles_of_small_panels};
use super::micro::{Lanes, Tile, tile};
use super::pack::pack;
use super::x86_lanes::real_lanes;

/// 8 `f32`.
pub(super) struct F32Lanes;

real_lanes! {
    F32Lanes: 8 f32, __m256, __m256i;
    mask n: _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    load_some from, mask: _mm256_maskload_ps(from, mask);
    store_some to, sums, mask: _mm256_maskstore_ps(to, mask, sums);
    _mm256_set1_ps _mm256_loadu_ps _mm256_setzero_ps _mm256_storeu_ps _mm256_fmadd_ps _mm256_add_ps _mm256_max_ps
}

/// # Safety
/// As [`TileFn`](super::micro::TileFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_tile<const M: usize, const N: usize>(t: &Tile<f32, f32>) {
    tile::<F32Lanes, M, N>(t)
}

/// # Safety
/// As [`PackFn`](super::kernels::PackFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn f32_pack(
    to: *mut f32,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const f32,
    lane_stride: usize,
    step_stride: usize,
) {
    pack(to, width, lanes, steps, from, lane_stride, step_stride)
}

/// Kernels for `f32`.
pub(super) static F32: Kernels<f32, f32> =
    Kernels { lanes: 8, tiles: tiles_of_16_registers!(f32_tile), pack: f32_pack };

/// 4 `f64`.
pub(super) struct F64Lanes;

real_lanes! {
    F64Lanes: 4 f64, __m256d, __m256i;
    mask n: _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3));
    load_some from, mask: _mm256_maskload_pd(from, mask);
    store_some to, sums, mask: _mm256_maskstore_pd(to, mask, sums);
    _mm256_set1_pd _mm256_loadu_pd _mm256_setzero_pd _mm256_storeu_pd _mm256_fmadd_pd _mm256_add_pd _mm256_max_pd
}

/// # Safety
/// As [`TileFn`](super::micro::TileFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn f64_tile<const M: usize, const N: usize>(t: &Tile<f64, f64>) {
    tile::<F64Lanes, M, N>(t)
}

/// # Safety
/// As [`PackFn`](super::kernels::PackFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn f64_pack(
    to: *mut f64,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const f64,
    lane_stride: usize,
    step_stride: usize,
) {
    pack(to, width, lanes, steps, from, lane_stride, step_stride)
}

/// Kernels for `f64`.
pub(super) static F64: Kernels<f64, f64> =
    Kernels { lanes: 4, tiles: tiles_of_16_registers!(f64_tile), pack: f64_pack };

/// 8 pairs of 16-bit integers.
struct PairsLanes;

impl Lanes for PairsLanes {
    type Unit = u32;
    type Sum = i32;
    type Units = __m256i;
    type Sums = __m256i;
    type Mask = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn fetch(at: *const i32) {
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[inline(always)]
    unsafe fn fetch_far(at: *const u8) {
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[inline(always)]
    unsafe fn mask(n: usize) -> __m256i {
        F32Lanes::mask(n)
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m256i {
        _mm256_set1_epi32(*from as i32)
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m256i {
        _mm256_loadu_si256(from.cast())
    }
    #[inline(always)]
    unsafe fn load_some(from: *const u32, mask: __m256i) -> __m256i {
        _mm256_maskload_epi32(from.cast(), mask)
    }
    #[inline(always)]
    unsafe fn zeros() -> __m256i {
        _mm256_setzero_si256()
    }
    #[inline(always)]
    unsafe fn splat_sum(from: *const i32) -> __m256i {
        _mm256_set1_epi32(*from)
    }
    #[inline(always)]
    unsafe fn load_sums(from: *const i32) -> __m256i {
        _mm256_loadu_si256(from.cast())
    }
    #[inline(always)]
    unsafe fn load_sums_some(from: *const i32, mask: __m256i) -> __m256i {
        _mm256_maskload_epi32(from, mask)
    }
    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: __m256i) {
        _mm256_storeu_si256(to.cast(), sums)
    }
    #[inline(always)]
    unsafe fn store_some(to: *mut i32, sums: __m256i, mask: __m256i) {
        _mm256_maskstore_epi32(to, mask, sums)
    }
    #[inline(always)]
    unsafe fn fma(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        _mm256_add_epi32(c, _mm256_madd_epi16(a, b))
    }
    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn relu(a: __m256i) -> __m256i {
        _mm256_max_epi32(_mm256_setzero_si256(), a)
    }
}

/// # Safety
/// As [`TileFn`](super::micro::TileFn).
#[target_feature(enable = "avx2")]
unsafe fn pairs_tile<const M: usize, const N: usize>(t: &Tile<u32, i32>) {
    tile::<PairsLanes, M, N>(t)
}

/// Kernels for pairs of 16-bit integers.
pub(super) static PAIRS: Kernels<u32, i32> =
    Kernels { lanes: 8, tiles: tiles_of_small_panels!(pairs_tile), pack: pack::<u32> };
