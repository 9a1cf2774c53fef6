//! Tile kernels for any processor: arrays that the compiler turns into what vectors there are. Products and sums are
//! rounded separately.
#![allow(unsafe_op_in_unsafe_fn)]

use super::kernels::{Kernels, tiles_of_16_registers, tiles_of_small_panels};
use super::micro::{Lanes, Tile, tile};
use super::pack::pack;

/// `N` numbers of type `T`.
pub(super) struct Array<T, const N: usize>(std::marker::PhantomData<T>);

/// The first `n` of `N` elements, zeros elsewhere.
///
/// # Safety
/// `n` elements must be readable.
#[inline(always)]
unsafe fn some<T: Copy + Default, const N: usize>(from: *const T, n: usize) -> [T; N] {
    if n == N {
        return from.cast::<[T; N]>().read_unaligned();
    }
    let mut elements = [T::default(); N];
    for (i, element) in elements.iter_mut().enumerate() {
        if i < n {
            *element = *from.add(i);
        }
    }
    elements
}

macro_rules! lanes {
    ($u:ident, $t:ident, $n:literal, $tiles:ident, $tile:ident, $kernels:ident, |$a:ident, $b:ident, $c:ident| $fma:expr, $plus:expr) => {
        impl Lanes for Array<$t, $n> {
            type Unit = $u;
            type Sum = $t;
            type Units = [$u; $n];
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
            unsafe fn splat(from: *const $u) -> [$u; $n] {
                [*from; $n]
            }
            #[inline(always)]
            unsafe fn load(from: *const $u) -> [$u; $n] {
                from.cast::<[$u; $n]>().read_unaligned()
            }
            #[inline(always)]
            unsafe fn load_some(from: *const $u, n: usize) -> [$u; $n] {
                some(from, n)
            }
            #[inline(always)]
            unsafe fn zeros() -> [$t; $n] {
                [$t::default(); $n]
            }
            #[inline(always)]
            unsafe fn splat_sum(from: *const $t) -> [$t; $n] {
                [*from; $n]
            }
            #[inline(always)]
            unsafe fn load_sums(from: *const $t) -> [$t; $n] {
                from.cast::<[$t; $n]>().read_unaligned()
            }
            #[inline(always)]
            unsafe fn load_sums_some(from: *const $t, n: usize) -> [$t; $n] {
                some(from, n)
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
            unsafe fn fma(a: [$u; $n], b: [$u; $n], mut c: [$t; $n]) -> [$t; $n] {
                for i in 0..$n {
                    let ($a, $b, $c) = (a[i], b[i], c[i]);
                    c[i] = $fma;
                }
                c
            }
            #[inline(always)]
            unsafe fn add(a: [$t; $n], mut b: [$t; $n]) -> [$t; $n] {
                for i in 0..$n {
                    b[i] = $plus(a[i], b[i]);
                }
                b
            }
            #[inline(always)]
            unsafe fn relu(mut a: [$t; $n]) -> [$t; $n] {
                for x in &mut a {
                    *x = if *x < $t::default() { $t::default() } else { *x };
                }
                a
            }
        }

        /// # Safety
        /// As [`TileFn`](super::micro::TileFn).
        unsafe fn $tile<const M: usize, const N: usize>(t: &Tile<$u, $t>) {
            tile::<Array<$t, $n>, M, N>(t)
        }

        /// Kernels for this type.
        pub(super) static $kernels: Kernels<$u, $t> = Kernels { lanes: $n, tiles: $tiles!($tile), pack: pack::<$u> };
    };
}
lanes!(f32, f32, 4, tiles_of_16_registers, f32_tile, F32, |a, b, c| c + a * b, std::ops::Add::add);
lanes!(f64, f64, 2, tiles_of_16_registers, f64_tile, F64, |a, b, c| c + a * b, std::ops::Add::add);
lanes!(
    u32,
    i32,
    4,
    tiles_of_small_panels,
    pairs_tile,
    PAIRS,
    |a, b, c| {
        let (low, high) = (|x: u32| i32::from(x as i16), |x: u32| (x as i32) >> 16);
        c.wrapping_add(low(a).wrapping_mul(low(b))).wrapping_add(high(a).wrapping_mul(high(b)))
    },
    i32::wrapping_add
);
