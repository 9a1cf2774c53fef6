//! Vector lanes of the dense kernels: like [`simd`](crate::compute::simd), but with fused multiply-add, partial loads
//! and bit patterns, and without the promise of equal bits on every instruction set.
//!
//! A kernel is written once against [`Vector`] and run through [`dispatch`]. Functions on lanes must be
//! `#[inline(always)]` and must not put lane operations into closures: a closure is compiled without the instructions
//! that its surroundings were compiled with.
#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use portable::Array;
#[cfg(target_arch = "x86_64")]
pub use x86::{F32x8, F32x16, F64x4, F64x8};

use crate::compute::isa::Isa;
use crate::compute::simd::Real;
use half::{bf16, f16};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Element of dense kernels: `f32` or `f64`.
pub trait Float: Real {
    /// Lanes under AVX-512 (portable ones elsewhere).
    type Avx512Lanes: Vector<Elem = Self>;
    /// Lanes under AVX2 with FMA (portable ones elsewhere).
    type Avx2Lanes: Vector<Elem = Self>;
    /// Lanes made of plain arrays.
    type PortableLanes: Vector<Elem = Self>;
    /// One.
    const ONE: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// A quiet NaN.
    const NAN: Self;
    /// Smallest positive normal number.
    const MIN_POSITIVE: Self;
    /// Bits of the fraction, 23 or 52.
    const FRACTION_BITS: u32;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Whether it is no number.
    fn is_nan(self) -> bool;
}

/// A vector of `LANES` elements. Operations are elementwise; each is one correctly rounded IEEE operation unless it
/// says otherwise.
pub trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Element type.
    type Elem: Float;
    /// One truth value a lane.
    type Mask: Copy;
    /// Number of elements: a power of two, at most 16.
    const LANES: usize;

    /// Every lane `x`.
    fn splat(x: Self::Elem) -> Self;
    /// Every lane `x`, rounded.
    #[inline(always)]
    fn of(x: f64) -> Self {
        Self::splat(Self::Elem::of(x))
    }
    /// Every lane zero.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(Self::Elem::ZERO)
    }
    /// Every lane one.
    #[inline(always)]
    fn one() -> Self {
        Self::splat(Self::Elem::ONE)
    }
    /// `LANES` elements from memory of any alignment.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load(from: *const Self::Elem) -> Self;
    /// Writes `LANES` elements to memory of any alignment.
    ///
    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store(self, to: *mut Self::Elem);
    /// Writes past the caches, for large results that are not read again soon.
    ///
    /// # Safety
    /// As [`store`](Self::store), and `to` is aligned to the size of the vector.
    unsafe fn stream(self, to: *mut Self::Elem);
    /// The first `n` (at most `LANES`) elements; the other lanes are zero and their memory is not touched.
    ///
    /// # Safety
    /// `n` elements can be read at `from`.
    unsafe fn load_first(from: *const Self::Elem, n: usize) -> Self;
    /// Writes the first `n` (at most `LANES`) elements; no other memory is touched.
    ///
    /// # Safety
    /// `n` elements can be written at `to`.
    unsafe fn store_first(self, to: *mut Self::Elem, n: usize);

    /// `self * a + b`: rounded once under AVX-512, AVX2 and NEON, twice elsewhere.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `b - self * a`, rounded like [`mul_add`](Self::mul_add).
    fn neg_mul_add(self, a: Self, b: Self) -> Self;
    /// `self < o ? self : o`: the second where either is NaN.
    fn min(self, o: Self) -> Self;
    /// `self > o ? self : o`: the second where either is NaN.
    fn max(self, o: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The nearest integer, ties to even, where `|self|` is below 2^22 (`f32`) or 2^51 (`f64`).
    fn round(self) -> Self;
    /// `self * 2^n` for integral `n` between -252 and 252 (`f32`) or -2044 and 2044 (`f64`); overflow and gradual
    /// underflow as in a multiplication where `self` is between 1/2 and 2.
    fn scale(self, n: Self) -> Self;
    /// `(m, e)` with `self = m * 2^e`, `e` integral and `m` in [0.75, 1.5), for positive normal numbers. Other numbers
    /// give some pair.
    fn split(self) -> (Self, Self);

    /// `self < o`; false where either is NaN.
    fn lt(self, o: Self) -> Self::Mask;
    /// `self <= o`; false where either is NaN.
    fn le(self, o: Self) -> Self::Mask;
    /// `self == o`; false where either is NaN.
    fn eq(self, o: Self) -> Self::Mask;
    /// `self > o`; false where either is NaN.
    #[inline(always)]
    fn gt(self, o: Self) -> Self::Mask {
        o.lt(self)
    }
    /// `self >= o`; false where either is NaN.
    #[inline(always)]
    fn ge(self, o: Self) -> Self::Mask {
        o.le(self)
    }
    /// Where it is a NaN.
    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        Self::not(self.eq(self))
    }
    /// `mask ? a : b`.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// Truth of both.
    fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Truth of either.
    fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Untruth.
    fn not(a: Self::Mask) -> Self::Mask;
    /// Bit `l` is lane `l`.
    fn bits(mask: Self::Mask) -> u32;
    /// The inverse of [`bits`](Self::bits).
    fn mask_of(bits: u32) -> Self::Mask;

    /// Both bit patterns' common ones.
    fn bit_and(self, o: Self) -> Self;
    /// Ones of either bit pattern.
    fn bit_or(self, o: Self) -> Self;
    /// Ones of exactly one of the bit patterns.
    fn bit_xor(self, o: Self) -> Self;
    /// Only the sign bit.
    #[inline(always)]
    fn sign_bit(self) -> Self {
        self.bit_and(Self::of(-0.0))
    }
    /// Without the sign.
    #[inline(always)]
    fn abs(self) -> Self {
        self.bit_xor(self.sign_bit())
    }

    /// The sum of all lanes, the upper half added to the lower until one is left.
    fn sum(self) -> Self::Elem;
    /// The largest lane, or some lane where one is NaN.
    fn largest(self) -> Self::Elem;
    /// The smallest lane, or some lane where one is NaN.
    fn smallest(self) -> Self::Elem;

    /// Transposes a square of `LANES` rows: element `j` of row `i` of the result, `i * to_step + j` from `to` on, is
    /// element `i` of row `j` of the source. Bit patterns are kept.
    ///
    /// # Safety
    /// Rows of `LANES` elements, `from_step` apart, can be read from `from` on, and ones `to_step` apart be written.
    unsafe fn transpose(from: *const Self::Elem, from_step: usize, to: *mut Self::Elem, to_step: usize);

    /// `self` to the power of `o`: see [`math::pow`](super::math::pow).
    fn pow(self, o: Self) -> Self;
}

/// Single-precision lanes: conversions from and to other types.
pub trait Single: Vector<Elem = f32> {
    /// Double-precision lanes, half as many.
    type Double: Vector<Elem = f64>;
    /// Lower and upper half.
    fn widen(self) -> (Self::Double, Self::Double);
    /// The inverse of [`widen`](Self::widen), rounded to nearest even.
    fn narrow(low: Self::Double, high: Self::Double) -> Self;
    /// `LANES` numbers, exactly.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load_bf16(from: *const bf16) -> Self;
    /// Rounded to nearest even; a NaN stays one.
    ///
    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store_bf16(self, to: *mut bf16);
    /// `LANES` numbers, exactly.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load_f16(from: *const f16) -> Self;
    /// Rounded to nearest even; what is too large becomes infinite, a NaN stays one.
    ///
    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store_f16(self, to: *mut f16);
    /// `LANES` integers, exactly.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load_i8(from: *const i8) -> Self;
    /// `LANES` integers, exactly.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load_u8(from: *const u8) -> Self;
    /// `LANES` integers, rounded to nearest even.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load_i32(from: *const i32) -> Self;
    /// The nearest integer (ties to even) for numbers between -2^31 and 2^31 - 128.
    ///
    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store_i32(self, to: *mut i32);
    /// The nearest integer (ties to even) for numbers between -128 and 127.
    ///
    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store_i8(self, to: *mut i8);
    /// The nearest integer (ties to even) for numbers between 0 and 255.
    ///
    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store_u8(self, to: *mut u8);
}

/// A kernel: what to run, generic over the lanes it runs on. Mark `run` `#[inline(always)]`.
pub trait Kernel<T: Float> {
    /// What the kernel returns.
    type Output;
    /// The body.
    fn run<V: Vector<Elem = T>>(self) -> Self::Output;
}

/// A kernel on single-precision lanes that converts. Mark `run` `#[inline(always)]`.
pub trait SingleKernel {
    /// What the kernel returns.
    type Output;
    /// The body.
    fn run<V: Single>(self) -> Self::Output;
}

/// The lanes an instruction set has for dense kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compute::cpu) enum Path {
    /// [`Float::Avx512Lanes`]
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// [`Float::Avx2Lanes`]
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// [`Float::PortableLanes`]
    Portable,
}

impl Path {
    /// AVX2 lanes need FMA and F16C too, which [`Isa::Avx2`] does not promise by itself.
    #[inline]
    pub fn of(isa: Isa) -> Self {
        #[cfg(target_arch = "x86_64")]
        if matches!(isa, Isa::Avx512 | Isa::Avx2)
            && std::is_x86_feature_detected!("fma")
            && std::is_x86_feature_detected!("f16c")
        {
            return if isa == Isa::Avx512 { Self::Avx512 } else { Self::Avx2 };
        }
        let _ = isa;
        Self::Portable
    }
}

macro_rules! dispatcher {
    ($(#[$doc:meta])* $name:ident, [$($param:tt)*], $kernel:ident: [$($bound:tt)*], $wide:ty, $half:ty, $plain:ty) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<$($param)* $kernel: $($bound)*>(isa: Isa, kernel: $kernel) -> $kernel::Output {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
            fn avx512<$($param)* $kernel: $($bound)*>(kernel: $kernel) -> $kernel::Output {
                kernel.run::<$wide>()
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
            fn avx2<$($param)* $kernel: $($bound)*>(kernel: $kernel) -> $kernel::Output {
                kernel.run::<$half>()
            }
            fn portable<$($param)* $kernel: $($bound)*>(kernel: $kernel) -> $kernel::Output {
                kernel.run::<$plain>()
            }
            match Path::of(isa) {
                // SAFETY: values of `Isa` are handed out only where the machine has the set (`Isa::detect`,
                // `Isa::parse`), and `Path::of` checked what goes beyond it.
                #[cfg(target_arch = "x86_64")]
                Path::Avx512 => unsafe { avx512(kernel) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Path::Avx2 => unsafe { avx2(kernel) },
                Path::Portable => portable(kernel),
            }
        }
    };
}

dispatcher! {
    /// Runs `kernel` with the lanes of `isa`, compiled with its instructions.
    dispatch, [T: Float,], K: [Kernel<T>], T::Avx512Lanes, T::Avx2Lanes, T::PortableLanes
}
dispatcher! {
    /// Runs `kernel` with the single-precision lanes of `isa`, compiled with its instructions.
    dispatch_single, [], K: [SingleKernel], WideSingle, HalfSingle, Array<f32, 8>
}

#[cfg(target_arch = "x86_64")]
type WideSingle = F32x16;
#[cfg(target_arch = "x86_64")]
type HalfSingle = F32x8;

macro_rules! float {
    ($t:ty, $wide:ident, $half:ident, $lanes:literal) => {
        impl Float for $t {
            #[cfg(target_arch = "x86_64")]
            type Avx512Lanes = $wide;
            #[cfg(target_arch = "x86_64")]
            type Avx2Lanes = $half;
            #[cfg(not(target_arch = "x86_64"))]
            type Avx512Lanes = Array<$t, $lanes>;
            #[cfg(not(target_arch = "x86_64"))]
            type Avx2Lanes = Array<$t, $lanes>;
            type PortableLanes = Array<$t, $lanes>;
            const ONE: Self = 1.0;
            const INFINITY: Self = <$t>::INFINITY;
            const NAN: Self = <$t>::NAN;
            const MIN_POSITIVE: Self = <$t>::MIN_POSITIVE;
            const FRACTION_BITS: u32 = <$t>::MANTISSA_DIGITS - 1;
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
        }
    };
}
float!(f32, F32x16, F32x8, 8);
float!(f64, F64x8, F64x4, 4);

#[cfg(test)]
mod tests;
