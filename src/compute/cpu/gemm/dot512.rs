//! Tile kernels for AVX-512 that multiply and sum groups of k: pairs of `bf16`, quads of 8-bit integers.
#![allow(unsafe_op_in_unsafe_fn)]

use std::arch::x86_64::*;

use super::kernels::{Kernels, tiles_of_panels};
use super::micro::{Lanes, Tile, tile};
use super::pack::pack;
use super::transpose512::{pack_cols_4, pack_rows_4};

/// # Safety
/// As [`PackFn`](super::kernels::PackFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn pack_units(
    to: *mut u32,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const u32,
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

/// Lanes of groups in `u32` units; `$sums` of the type `$sum`, `$fma` adds the products of groups to them.
macro_rules! lanes {
    (
        $lanes:ident, $tile:ident, $kernels:ident, $features:literal, $sum:ident, $sums:ident,
        |$a:ident, $b:ident, $c:ident| $fma:expr, $load:ident, $load_some:ident, $store:ident, $store_some:ident,
        $splat:ident, $add:ident, $max:ident, $zero:ident
    ) => {
        /// 16 groups.
        struct $lanes;
        impl Lanes for $lanes {
            type Unit = u32;
            type Sum = $sum;
            type Units = __m512i;
            type Sums = $sums;
            type Mask = __mmask16;
            const LANES: usize = 16;

            #[inline(always)]
            unsafe fn fetch(at: *const $sum) {
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
            unsafe fn splat(from: *const u32) -> __m512i {
                // Elements read where they lie are aligned to themselves, not to groups.
                _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
            }
            #[inline(always)]
            unsafe fn load(from: *const u32) -> __m512i {
                _mm512_loadu_si512(from.cast())
            }
            #[inline(always)]
            unsafe fn load_some(from: *const u32, mask: __mmask16) -> __m512i {
                _mm512_maskz_loadu_epi32(mask, from.cast())
            }
            #[inline(always)]
            unsafe fn zeros() -> $sums {
                $zero()
            }
            #[inline(always)]
            unsafe fn splat_sum(from: *const $sum) -> $sums {
                $splat(*from)
            }
            #[inline(always)]
            unsafe fn load_sums(from: *const $sum) -> $sums {
                $load(from.cast())
            }
            #[inline(always)]
            unsafe fn load_sums_some(from: *const $sum, mask: __mmask16) -> $sums {
                $load_some(mask, from)
            }
            #[inline(always)]
            unsafe fn store(to: *mut $sum, sums: $sums) {
                $store(to.cast(), sums)
            }
            #[inline(always)]
            unsafe fn store_some(to: *mut $sum, sums: $sums, mask: __mmask16) {
                $store_some(to, mask, sums)
            }
            #[inline(always)]
            unsafe fn fma($a: __m512i, $b: __m512i, $c: $sums) -> $sums {
                $fma
            }
            #[inline(always)]
            unsafe fn add(a: $sums, b: $sums) -> $sums {
                $add(a, b)
            }
            #[inline(always)]
            unsafe fn relu(a: $sums) -> $sums {
                $max($zero(), a)
            }
        }

        /// # Safety
        /// As [`TileFn`](super::micro::TileFn).
        #[target_feature(enable = $features)]
        unsafe fn $tile<const M: usize, const N: usize>(t: &Tile<u32, $sum>) {
            tile::<$lanes, M, N>(t)
        }

        /// Kernels for these groups.
        pub(super) static $kernels: Kernels<u32, $sum> =
            Kernels { lanes: 16, tiles: tiles_of_panels!($tile), pack: pack_units };
    };
}

lanes!(
    Bf16Lanes,
    bf16_tile,
    BF16,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16",
    f32,
    __m512,
    |a, b, c| _mm512_dpbf16_ps(
        c,
        std::mem::transmute::<__m512i, __m512bh>(a),
        std::mem::transmute::<__m512i, __m512bh>(b)
    ),
    _mm512_loadu_ps,
    _mm512_maskz_loadu_ps,
    _mm512_storeu_ps,
    _mm512_mask_storeu_ps,
    _mm512_set1_ps,
    _mm512_add_ps,
    _mm512_max_ps,
    _mm512_setzero_ps
);
lanes!(
    VnniLanes,
    vnni_tile,
    VNNI,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    i32,
    __m512i,
    |a, b, c| _mm512_dpbusd_epi32(c, a, b),
    _mm512_loadu_si512,
    _mm512_maskz_loadu_epi32,
    _mm512_storeu_si512,
    _mm512_mask_storeu_epi32,
    _mm512_set1_epi32,
    _mm512_add_epi32,
    _mm512_max_epi32,
    _mm512_setzero_si512
);
