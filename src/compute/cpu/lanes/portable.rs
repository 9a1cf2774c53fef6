//! Lanes that are plain arrays, for every machine; what the compiler makes of them depends on the target.

use super::super::math;
use super::{Single, Vector};
use half::{bf16, f16};
use std::array::from_fn;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Lanes that are a plain array.
#[derive(Debug, Clone, Copy)]
pub struct Array<T, const N: usize>([T; N]);

/// `a * b + c`, fused where every processor of the target can.
macro_rules! fused {
    ($a:expr, $b:expr, $c:expr) => {
        if cfg!(target_arch = "aarch64") { $a.mul_add($b, $c) } else { $a * $b + $c }
    };
}

macro_rules! portable {
    ($t:ty, $n:literal, $bits:ty, $signed:ty, $bias:literal, $fraction:literal, $magic:literal, $pow:path) => {
        portable!(@operator $t, $n, Add, add, +);
        portable!(@operator $t, $n, Sub, sub, -);
        portable!(@operator $t, $n, Mul, mul, *);
        portable!(@operator $t, $n, Div, div, /);
        impl Neg for Array<$t, $n> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self(from_fn(|i| -self.0[i]))
            }
        }
        impl Array<$t, $n> {
            /// `2^self` for integral `self` whose power is a normal number.
            #[inline(always)]
            fn power_of_two(self) -> Self {
                Self(from_fn(|i| {
                    let bits = (self.0[i] + $magic).to_bits();
                    <$t>::from_bits(bits.wrapping_add($bias) << $fraction)
                }))
            }
        }
        impl Vector for Array<$t, $n> {
            type Elem = $t;
            // All ones or all zeros in each lane: what compares and selects of every vector unit work on.
            type Mask = [$bits; $n];
            const LANES: usize = $n;
            #[inline(always)]
            fn splat(x: $t) -> Self {
                Self([x; $n])
            }
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { from.cast::<[$t; $n]>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { to.cast::<[$t; $n]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn stream(self, to: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { self.store(to) }
            }
            #[inline(always)]
            unsafe fn load_first(from: *const $t, n: usize) -> Self {
                let mut lanes = [0.0; $n];
                // SAFETY: the caller's promise; no more than the array holds.
                unsafe { std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), n.min($n)) };
                Self(lanes)
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $t, n: usize) {
                // SAFETY: the caller's promise; no more than the array holds.
                unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, n.min($n)) }
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Self(from_fn(|i| fused!(self.0[i], a.0[i], b.0[i])))
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self {
                Self(from_fn(|i| fused!((-self.0[i]), a.0[i], b.0[i])))
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                Self(from_fn(|i| if self.0[i] < o.0[i] { self.0[i] } else { o.0[i] }))
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                Self(from_fn(|i| if self.0[i] > o.0[i] { self.0[i] } else { o.0[i] }))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(from_fn(|i| self.0[i].sqrt()))
            }
            #[inline(always)]
            fn round(self) -> Self {
                // Adding 1.5 * 2^(fraction bits) leaves no room for a fraction.
                Self(from_fn(|i| (self.0[i] + $magic) - $magic))
            }
            #[inline(always)]
            fn scale(self, n: Self) -> Self {
                // In two steps, as 2^n itself may leave the range of normal numbers. The first is exact.
                let first = (n * Self::splat(0.5)).round();
                self * first.power_of_two() * (n - first).power_of_two()
            }
            #[inline(always)]
            fn split(self) -> (Self, Self) {
                const THREE_QUARTERS: $bits = (0.75 as $t).to_bits();
                const ONE: $bits = (1.0 as $t).to_bits();
                let exponent: [$bits; $n] =
                    from_fn(|i| self.0[i].to_bits().wrapping_sub(THREE_QUARTERS).wrapping_add(ONE) >> $fraction);
                let m = from_fn(|i| {
                    let up = exponent[i].wrapping_sub($bias) << $fraction;
                    <$t>::from_bits(self.0[i].to_bits().wrapping_sub(up))
                });
                (Self(m), Self(from_fn(|i| exponent[i].wrapping_sub($bias) as $signed as $t)))
            }
            #[inline(always)]
            fn lt(self, o: Self) -> Self::Mask {
                from_fn(|i| <$bits>::from(self.0[i] < o.0[i]).wrapping_neg())
            }
            #[inline(always)]
            fn le(self, o: Self) -> Self::Mask {
                from_fn(|i| <$bits>::from(self.0[i] <= o.0[i]).wrapping_neg())
            }
            #[inline(always)]
            fn eq(self, o: Self) -> Self::Mask {
                from_fn(|i| <$bits>::from(self.0[i] == o.0[i]).wrapping_neg())
            }
            #[inline(always)]
            fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
                Self(from_fn(|i| <$t>::from_bits((a.0[i].to_bits() & mask[i]) | (b.0[i].to_bits() & !mask[i]))))
            }
            #[inline(always)]
            fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
                from_fn(|i| a[i] & b[i])
            }
            #[inline(always)]
            fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask {
                from_fn(|i| a[i] | b[i])
            }
            #[inline(always)]
            fn not(a: Self::Mask) -> Self::Mask {
                from_fn(|i| !a[i])
            }
            #[inline(always)]
            fn bits(mask: Self::Mask) -> u32 {
                mask.iter().enumerate().fold(0, |bits, (i, m)| bits | (*m as u32 & 1 << i))
            }
            #[inline(always)]
            fn mask_of(bits: u32) -> Self::Mask {
                from_fn(|i| <$bits>::from(bits >> i & 1 == 1).wrapping_neg())
            }
            #[inline(always)]
            fn bit_and(self, o: Self) -> Self {
                Self(from_fn(|i| <$t>::from_bits(self.0[i].to_bits() & o.0[i].to_bits())))
            }
            #[inline(always)]
            fn bit_or(self, o: Self) -> Self {
                Self(from_fn(|i| <$t>::from_bits(self.0[i].to_bits() | o.0[i].to_bits())))
            }
            #[inline(always)]
            fn bit_xor(self, o: Self) -> Self {
                Self(from_fn(|i| <$t>::from_bits(self.0[i].to_bits() ^ o.0[i].to_bits())))
            }
            #[inline(always)]
            fn sum(self) -> $t {
                let mut a = self.0;
                let mut half = $n / 2;
                while half > 0 {
                    for i in 0..half {
                        a[i] += a[i + half];
                    }
                    half /= 2;
                }
                a[0]
            }
            #[inline(always)]
            fn largest(self) -> $t {
                self.0.iter().fold(self.0[0], |m, x| if *x > m { *x } else { m })
            }
            #[inline(always)]
            fn smallest(self) -> $t {
                self.0.iter().fold(self.0[0], |m, x| if *x < m { *x } else { m })
            }
            #[inline(always)]
            unsafe fn transpose(from: *const $t, from_step: usize, to: *mut $t, to_step: usize) {
                let (from, to) = (from.cast::<$bits>(), to.cast::<$bits>());
                for i in 0..$n {
                    for j in 0..$n {
                        // SAFETY: the caller's promise.
                        unsafe { *to.add(i * to_step + j) = *from.add(j * from_step + i) };
                    }
                }
            }
            #[inline(always)]
            fn pow(self, o: Self) -> Self {
                $pow(self, o)
            }
        }
    };
    (@operator $t:ty, $n:literal, $trait:ident, $name:ident, $op:tt) => {
        impl $trait for Array<$t, $n> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, o: Self) -> Self {
                Self(from_fn(|i| self.0[i] $op o.0[i]))
            }
        }
    };
}
portable!(f32, 8, u32, i32, 127, 23, 12_582_912.0, math::pow_single);
portable!(f64, 4, u64, i64, 1023, 52, 6_755_399_441_055_744.0, math::pow_double);

impl Single for Array<f32, 8> {
    type Double = Array<f64, 4>;
    #[inline(always)]
    fn widen(self) -> (Array<f64, 4>, Array<f64, 4>) {
        (Array(from_fn(|i| f64::from(self.0[i]))), Array(from_fn(|i| f64::from(self.0[i + 4]))))
    }
    #[inline(always)]
    fn narrow(low: Array<f64, 4>, high: Array<f64, 4>) -> Self {
        Self(from_fn(|i| if i < 4 { low.0[i] as f32 } else { high.0[i - 4] as f32 }))
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: the caller's promise; `bf16` is a transparent `u16`.
        let from = unsafe { from.cast::<[u16; 8]>().read_unaligned() };
        Self(from_fn(|i| f32::from_bits(u32::from(from[i]) << 16)))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        let rounded: [u16; 8] = from_fn(|i| {
            let bits = self.0[i].to_bits();
            let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
            let nan = bits >> 16 | 0x40;
            (if self.0[i].is_nan() { nan } else { nearest }) as u16
        });
        // SAFETY: the caller's promise; `bf16` is a transparent `u16`.
        unsafe { to.cast::<[u16; 8]>().write_unaligned(rounded) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self {
        // SAFETY: the caller's promise.
        let from = unsafe { from.cast::<[f16; 8]>().read_unaligned() };
        Self(from_fn(|i| from[i].to_f32_const()))
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut f16) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f16; 8]>().write_unaligned(from_fn(|i| f16::from_f32_const(self.0[i]))) }
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        // SAFETY: the caller's promise.
        let from = unsafe { from.cast::<[i8; 8]>().read_unaligned() };
        Self(from_fn(|i| f32::from(from[i])))
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self {
        // SAFETY: the caller's promise.
        let from = unsafe { from.cast::<[u8; 8]>().read_unaligned() };
        Self(from_fn(|i| f32::from(from[i])))
    }
    #[inline(always)]
    unsafe fn load_i32(from: *const i32) -> Self {
        // SAFETY: the caller's promise.
        let from = unsafe { from.cast::<[i32; 8]>().read_unaligned() };
        Self(from_fn(|i| from[i] as f32))
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: *mut i32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[i32; 8]>().write_unaligned(from_fn(|i| self.0[i].round_ties_even() as i32)) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        let x = self.round();
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[i8; 8]>().write_unaligned(from_fn(|i| x.0[i] as i8)) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: *mut u8) {
        let x = self.round();
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u8; 8]>().write_unaligned(from_fn(|i| x.0[i] as u8)) }
    }
}
