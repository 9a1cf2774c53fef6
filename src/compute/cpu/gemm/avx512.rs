//! Tile kernels for AVX-512: up to 14 rows by 2 vectors.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::x86_64::*;

use super::kernels::{Kernels, tiles_of_32_registers};
use super::micro::{Tile, tile};
use super::pack::pack;
use super::transpose512::{pack_cols_4, pack_cols_8, pack_rows_4, pack_rows_8};
use super::x86_lanes::real_lanes;

/// 16 `f32`.
pub(super) struct F32Lanes;

real_lanes! {
    F32Lanes: 16 f32, __m512, __mmask16;
    mask n: 0xffff >> (16 - n);
    load_some from, mask: _mm512_maskz_loadu_ps(mask, from);
    store_some to, sums, mask: _mm512_mask_storeu_ps(to, mask, sums);
    _mm512_set1_ps _mm512_loadu_ps _mm512_setzero_ps _mm512_storeu_ps _mm512_fmadd_ps _mm512_add_ps _mm512_max_ps
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

real_lanes! {
    F64Lanes: 8 f64, __m512d, __mmask8;
    mask n: 0xff >> (8 - n);
    load_some from, mask: _mm512_maskz_loadu_pd(mask, from);
    store_some to, sums, mask: _mm512_mask_storeu_pd(to, mask, sums);
    _mm512_set1_pd _mm512_loadu_pd _mm512_setzero_pd _mm512_storeu_pd _mm512_fmadd_pd _mm512_add_pd _mm512_max_pd
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
