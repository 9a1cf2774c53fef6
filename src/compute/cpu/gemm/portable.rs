//! Tile kernels for any processor: arrays that the compiler turns into what vectors there are. Products and sums are
//! rounded separately.
#![allow(unsafe_op_in_unsafe_fn)]

use super::kernels::{Kernels, tiles_of_16_registers};
use super::micro::{Lanes, Tile, tile};
use super::pack::pack;

/// `N` numbers of type `T`.
pub(super) struct Array<T, const N: usize>(std::marker::PhantomData<T>);

macro_rules! lanes {
    ($t:ident, $n:literal, $tile:ident, $kernels:ident) => {
        impl Lanes for Array<$t, $n> {
            type Unit = $t;
            type Sum = $t;
            type Units = [$t; $n];
            type Sums = [$t; $n];
            type Mask = usize;
            const LANES: usize = $n;

            #[inline(always)]
            unsafe fn fetch(_: *const $t) {}
            #[inline(always)]
            unsafe fn fetch_far(_: *const u8) {}
            #[inline(always)]
            unsafe fn mask(n: usize) -> usize {
                n
            }
            #[inline(always)]
            unsafe fn splat(from: *const $t) -> [$t; $n] {
                [*from; $n]
            }
            #[inline(always)]
            unsafe fn load(from: *const $t) -> [$t; $n] {
                from.cast::<[$t; $n]>().read_unaligned()
            }
            #[inline(always)]
            unsafe fn load_some(from: *const $t, n: usize) -> [$t; $n] {
                if n == $n {
                    return Self::load(from);
                }
                let mut units = [0.0; $n];
                for (i, unit) in units.iter_mut().enumerate() {
                    if i < n {
                        *unit = *from.add(i);
                    }
                }
                units
            }
            #[inline(always)]
            unsafe fn zeros() -> [$t; $n] {
                [0.0; $n]
            }
            #[inline(always)]
            unsafe fn splat_sum(from: *const $t) -> [$t; $n] {
                [*from; $n]
            }
            #[inline(always)]
            unsafe fn load_sums(from: *const $t) -> [$t; $n] {
                Self::load(from)
            }
            #[inline(always)]
            unsafe fn load_sums_some(from: *const $t, n: usize) -> [$t; $n] {
                Self::load_some(from, n)
            }
            #[inline(always)]
            unsafe fn store(to: *mut $t, sums: [$t; $n]) {
                to.cast::<[$t; $n]>().write_unaligned(sums)
            }
            #[inline(always)]
            unsafe fn store_some(to: *mut $t, sums: [$t; $n], n: usize) {
                for (i, sum) in sums.iter().enumerate() {
                    if i < n {
                        *to.add(i) = *sum;
                    }
                }
            }
            #[inline(always)]
            unsafe fn fma(a: [$t; $n], b: [$t; $n], mut c: [$t; $n]) -> [$t; $n] {
                for i in 0..$n {
                    c[i] += a[i] * b[i];
                }
                c
            }
            #[inline(always)]
            unsafe fn add(a: [$t; $n], mut b: [$t; $n]) -> [$t; $n] {
                for i in 0..$n {
                    b[i] += a[i];
                }
                b
            }
            #[inline(always)]
            unsafe fn relu(mut a: [$t; $n]) -> [$t; $n] {
                for x in &mut a {
                    *x = if *x < 0.0 { 0.0 } else { *x };
                }
                a
            }
        }

        /// # Safety
        /// As [`TileFn`](super::micro::TileFn).
        unsafe fn $tile<const M: usize, const N: usize>(t: &Tile<$t, $t>) {
            tile::<Array<$t, $n>, M, N>(t)
        }

        /// Kernels for this type.
        pub(super) static $kernels: Kernels<$t, $t> =
            Kernels { lanes: $n, tiles: tiles_of_16_registers!($tile), pack: pack::<$t> };
    };
}
lanes!(f32, 4, f32_tile, F32);
lanes!(f64, 2, f64_tile, F64);
