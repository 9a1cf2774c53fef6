//! Tile kernels for AArch64 Advanced SIMD: up to 14 rows by 2 vectors.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::aarch64::*;

use super::kernels::{Kernels, tiles_of_32_registers};
use super::micro::{Lanes, Tile, tile};
use super::pack::pack;

/// 4 `f32`.
struct F32Lanes;

impl Lanes for F32Lanes {
    type Unit = f32;
    type Sum = f32;
    type Units = float32x4_t;
    type Sums = float32x4_t;
    type Mask = usize;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn fetch(_: *const f32) {}
    #[inline(always)]
    unsafe fn fetch_far(_: *const u8) {}
    #[inline(always)]
    unsafe fn mask(n: usize) -> usize {
        n
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> float32x4_t {
        vld1q_dup_f32(from)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        vld1q_f32(from)
    }
    #[inline(always)]
    unsafe fn load_some(from: *const f32, n: usize) -> float32x4_t {
        if n == Self::LANES {
            return vld1q_f32(from);
        }
        let mut lanes = [0.0; Self::LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            *lane = *from.add(i);
        }
        vld1q_f32(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn zeros() -> float32x4_t {
        vdupq_n_f32(0.0)
    }
    #[inline(always)]
    unsafe fn splat_sum(from: *const f32) -> float32x4_t {
        vld1q_dup_f32(from)
    }
    #[inline(always)]
    unsafe fn load_sums(from: *const f32) -> float32x4_t {
        vld1q_f32(from)
    }
    #[inline(always)]
    unsafe fn load_sums_some(from: *const f32, n: usize) -> float32x4_t {
        Self::load_some(from, n)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, sums: float32x4_t) {
        vst1q_f32(to, sums)
    }
    #[inline(always)]
    unsafe fn store_some(to: *mut f32, sums: float32x4_t, n: usize) {
        if n == Self::LANES {
            return vst1q_f32(to, sums);
        }
        let mut lanes = [0.0; Self::LANES];
        vst1q_f32(lanes.as_mut_ptr(), sums);
        for (i, lane) in lanes.iter().enumerate().take(n) {
            *to.add(i) = *lane;
        }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }
    #[inline(always)]
    unsafe fn relu(a: float32x4_t) -> float32x4_t {
        // The maximum instruction would turn -0 into 0.
        vbslq_f32(vcltzq_f32(a), Self::zeros(), a)
    }
}

/// # Safety
/// As [`TileFn`](super::micro::TileFn).
#[target_feature(enable = "neon")]
unsafe fn f32_tile<const M: usize, const N: usize>(t: &Tile<f32, f32>) {
    tile::<F32Lanes, M, N>(t)
}

/// Kernels for `f32`.
pub(super) static F32: Kernels<f32, f32> =
    Kernels { lanes: 4, tiles: tiles_of_32_registers!(f32_tile), pack: pack::<f32> };

/// 2 `f64`.
struct F64Lanes;

impl Lanes for F64Lanes {
    type Unit = f64;
    type Sum = f64;
    type Units = float64x2_t;
    type Sums = float64x2_t;
    type Mask = usize;
    const LANES: usize = 2;

    #[inline(always)]
    unsafe fn fetch(_: *const f64) {}
    #[inline(always)]
    unsafe fn fetch_far(_: *const u8) {}
    #[inline(always)]
    unsafe fn mask(n: usize) -> usize {
        n
    }
    #[inline(always)]
    unsafe fn splat(from: *const f64) -> float64x2_t {
        vld1q_dup_f64(from)
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> float64x2_t {
        vld1q_f64(from)
    }
    #[inline(always)]
    unsafe fn load_some(from: *const f64, n: usize) -> float64x2_t {
        if n == Self::LANES {
            return vld1q_f64(from);
        }
        let mut lanes = [0.0; Self::LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            *lane = *from.add(i);
        }
        vld1q_f64(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn zeros() -> float64x2_t {
        vdupq_n_f64(0.0)
    }
    #[inline(always)]
    unsafe fn splat_sum(from: *const f64) -> float64x2_t {
        vld1q_dup_f64(from)
    }
    #[inline(always)]
    unsafe fn load_sums(from: *const f64) -> float64x2_t {
        vld1q_f64(from)
    }
    #[inline(always)]
    unsafe fn load_sums_some(from: *const f64, n: usize) -> float64x2_t {
        Self::load_some(from, n)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, sums: float64x2_t) {
        vst1q_f64(to, sums)
    }
    #[inline(always)]
    unsafe fn store_some(to: *mut f64, sums: float64x2_t, n: usize) {
        if n == Self::LANES {
            return vst1q_f64(to, sums);
        }
        let mut lanes = [0.0; Self::LANES];
        vst1q_f64(lanes.as_mut_ptr(), sums);
        for (i, lane) in lanes.iter().enumerate().take(n) {
            *to.add(i) = *lane;
        }
    }
    #[inline(always)]
    unsafe fn fma(a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t {
        vfmaq_f64(c, a, b)
    }
    #[inline(always)]
    unsafe fn add(a: float64x2_t, b: float64x2_t) -> float64x2_t {
        vaddq_f64(a, b)
    }
    #[inline(always)]
    unsafe fn relu(a: float64x2_t) -> float64x2_t {
        // The maximum instruction would turn -0 into 0.
        vbslq_f64(vcltzq_f64(a), Self::zeros(), a)
    }
}

/// # Safety
/// As [`TileFn`](super::micro::TileFn).
#[target_feature(enable = "neon")]
unsafe fn f64_tile<const M: usize, const N: usize>(t: &Tile<f64, f64>) {
    tile::<F64Lanes, M, N>(t)
}

/// Kernels for `f64`.
pub(super) static F64: Kernels<f64, f64> =
    Kernels { lanes: 2, tiles: tiles_of_32_registers!(f64_tile), pack: pack::<f64> };
