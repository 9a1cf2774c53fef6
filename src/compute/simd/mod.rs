//! Vector lanes: the one place that names machine instructions for arithmetic.
//!
//! A kernel is written once against [`Lanes`] and run through [`dispatch`], which picks the widest lanes of the
//! instruction set chosen at run time. Every operation is a single correctly rounded IEEE operation and none is
//! fused, so a kernel gives the same bits on every set. Functions built from these ([`exp`]) inherit that.
#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::ars::ArsKeys;
use super::isa::Isa;
pub use portable::Array;

/// Element of state columns: `f32` or `f64`.
pub trait Real:
    super::Zeroed
    + Copy
    + Send
    + Sync
    + 'static
    + PartialOrd
    + Default
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + std::ops::AddAssign
{
    /// Lanes under AVX-512 (portable lanes elsewhere).
    type Avx512: Lanes<Elem = Self>;
    /// Lanes under AVX2 (portable lanes elsewhere).
    type Avx2: Lanes<Elem = Self>;
    /// Lanes made of plain arrays.
    type Portable: Lanes<Elem = Self>;
    /// Zero.
    const ZERO: Self;
    /// Rounds from double precision.
    fn of(x: f64) -> Self;
    /// Widens to double precision.
    fn to_f64(self) -> f64;
    /// Rounds from an integer.
    fn of_i64(x: i64) -> Self;
    /// Neither infinite nor NaN.
    fn finite(self) -> bool;
}

/// A vector of `LANES` elements. All operations are elementwise and correctly rounded.
pub trait Lanes: Copy {
    /// Element type.
    type Elem: Real;
    /// One truth value a lane.
    type Mask: Copy;
    /// Number of elements; divides 32.
    const LANES: usize;

    /// Every lane `x`.
    fn splat(x: Self::Elem) -> Self;
    /// The first `LANES` elements of `from`; panics if there are fewer.
    fn load(from: &[Self::Elem]) -> Self;
    /// Writes to the first `LANES` elements of `to`; panics if there are fewer.
    fn store(self, to: &mut [Self::Elem]);
    /// The first `LANES` integers of `from`, converted.
    fn load_i16(from: &[i16]) -> Self;
    /// The first `LANES` integers of `from`, converted (rounded to nearest even).
    fn load_i32(from: &[i32]) -> Self;
    /// The first `LANES` integers of `from`, converted.
    fn load_u16(from: &[u16]) -> Self;
    /// Sum.
    fn add(self, o: Self) -> Self;
    /// Difference.
    fn sub(self, o: Self) -> Self;
    /// Product.
    fn mul(self, o: Self) -> Self;
    /// Quotient.
    fn div(self, o: Self) -> Self;
    /// `self < o ? self : o` (so the second where either is NaN).
    fn min(self, o: Self) -> Self;
    /// `self > o ? self : o` (so the second where either is NaN).
    fn max(self, o: Self) -> Self;
    /// `self >= o`; false where either is NaN.
    fn ge(self, o: Self) -> Self::Mask;
    /// `self < o`; false where either is NaN.
    fn lt(self, o: Self) -> Self::Mask;
    /// `mask ? a : b`.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// Bit `l` is lane `l`.
    fn bits(mask: Self::Mask) -> u32;
    /// Truth of both.
    fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// `a` and not `b`.
    fn and_not(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// `2^self` for integral `self` within the range of normal exponents.
    fn exp2_integral(self) -> Self;
    /// Which of the first `LANES` counters are above zero; each of those goes down by one.
    fn count_down(counters: &mut [u16]) -> Self::Mask;
    /// Outcomes of 32 draws, in whatever form suits the instruction set.
    type Outcomes: Copy;
    /// 32 draws of 16 bits from the words of `keys` at four consecutive counters from `counter` on (the first word
    /// counts up; two draws in each word, the lower half first), looked up in an alias table: the top five bits of a
    /// draw choose a column, the others are compared with its threshold. Also returns the draws that equal their
    /// threshold exactly (bit `i` for draw `i`), which the caller resolves with more bits.
    fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (Self::Outcomes, u32);
    /// Outcomes `at..at + LANES`, converted.
    fn outcomes(outcomes: &Self::Outcomes, at: usize) -> Self;
    /// The draws and their outcomes as numbers, for the rare correction.
    fn outcome_array(outcomes: Self::Outcomes) -> OutcomeLine;
    /// The inverse of [`outcome_array`](Self::outcome_array).
    fn outcomes_of(array: OutcomeLine) -> Self::Outcomes;
}

/// Outcomes kept in memory, on a cache line of their own: a vector stored across two lines cannot be loaded back before
/// it has reached the cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct OutcomeLine {
    /// The outcomes.
    pub outcomes: [u16; 32],
    /// The draws, two in each word.
    pub draws: [u32; 16],
}

/// A kernel: what to run, generic over the lanes it runs on. Mark `run` `#[inline(always)]`.
pub trait Kernel<T: Real> {
    /// What the kernel returns.
    type Output;
    /// The body.
    fn run<S: Lanes<Elem = T>>(self) -> Self::Output;
}

/// Runs `kernel` with the lanes of `isa`, compiled with its instructions.
#[inline(always)]
pub fn dispatch<T: Real, K: Kernel<T>>(isa: Isa, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes,avx2,aes,bmi1,bmi2,popcnt,lzcnt")]
    fn avx512<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
        kernel.run::<T::Avx512>()
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,aes,bmi1,bmi2,popcnt,lzcnt")]
    fn avx2<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
        kernel.run::<T::Avx2>()
    }
    match isa {
        // SAFETY: `Isa::detect` and `Isa::parse` are the only ways to a value and hand it out only where the
        // machine has the set; `Simulation` refuses any other.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::<T, K>(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::<T, K>(kernel) },
        _ => kernel.run::<T::Portable>(),
    }
}

/// `e^x`, elementwise: relative error below 2 ulp in `f32` (1.2e-7) and 3 ulp in `f64`, the same bits on every
/// instruction set. Arguments are clamped to the range whose result is a normal number.
///
/// Range reduction by ln 2 in two parts and a Taylor polynomial on [-ln2/2, ln2/2], evaluated by Horner's rule.
#[inline(always)]
pub fn exp<S: Lanes>(x: S) -> S {
    let c = |v: f64| S::splat(S::Elem::of(v));
    let single = size_of::<S::Elem>() == 4;
    let (low, high) = if single { (-87.0, 88.0) } else { (-708.0, 709.0) };
    let x = x.max(c(low)).min(c(high));
    // Adding and subtracting 1.5 * 2^(mantissa bits) rounds to the nearest integer.
    let magic = if single { c(12_582_912.0) } else { c(6_755_399_441_055_744.0) };
    let n = x.mul(c(std::f64::consts::LOG2_E)).add(magic).sub(magic);
    // ln 2 = HIGH + LOW with HIGH short enough that n * HIGH is exact.
    let (high_part, low_part) =
        if single { (0.693_359_375, -2.121_944_4e-4) } else { (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10) };
    let r = x.sub(n.mul(c(high_part))).sub(n.mul(c(low_part)));
    let terms = if single { 7 } else { 13 };
    let mut p = c(INVERSE_FACTORIAL[terms]);
    let mut k = terms;
    while k > 0 {
        k -= 1;
        p = p.mul(r).add(c(INVERSE_FACTORIAL[k]));
    }
    p.mul(n.exp2_integral())
}

const INVERSE_FACTORIAL: [f64; 14] = {
    let mut table = [1.0; 14];
    let mut k = 1;
    while k < 14 {
        table[k] = table[k - 1] / k as f64;
        k += 1;
    }
    table
};

#[cfg(target_arch = "x86_64")]
pub use x86::{F32x8, F32x16, F64x4, F64x8};

macro_rules! real {
    ($t:ty, $avx512:ident, $avx2:ident) => {
        impl Real for $t {
            #[cfg(target_arch = "x86_64")]
            type Avx512 = $avx512;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = $avx2;
            #[cfg(not(target_arch = "x86_64"))]
            type Avx512 = Array<$t, 8>;
            #[cfg(not(target_arch = "x86_64"))]
            type Avx2 = Array<$t, 8>;
            type Portable = Array<$t, 8>;
            const ZERO: Self = 0.0;
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn of_i64(x: i64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}
real!(f32, F32x16, F32x8);
real!(f64, F64x8, F64x4);

#[cfg(test)]
mod tests {
    use super::*;

    struct ExpAll<'a, T>(&'a [T], &'a mut [T]);
    impl<T: Real> Kernel<T> for ExpAll<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<S: Lanes<Elem = T>>(self) {
            for (x, y) in self.0.chunks_exact(S::LANES).zip(self.1.chunks_exact_mut(S::LANES)) {
                exp(S::load(x)).store(y);
            }
        }
    }

    fn exp_on_every_set<T: Real>(bound: f64, tolerance: f64) {
        let x: Vec<T> = (0..4096).map(|i| T::of((f64::from(i) / 4096.0 * 2.0 - 1.0) * bound)).collect();
        let mut reference: Option<Vec<T>> = None;
        for isa in Isa::all_available() {
            let mut y = vec![T::ZERO; x.len()];
            dispatch(isa, ExpAll(&x, &mut y));
            for (x, y) in x.iter().zip(&y) {
                let error = (y.to_f64() / x.to_f64().exp() - 1.0).abs();
                assert!(error < tolerance, "exp({x:?}) = {y:?} on {isa}, relative error {error:e}");
            }
            let first = reference.get_or_insert_with(|| y.clone());
            assert!(first == &y, "exp differs between instruction sets ({isa})");
        }
    }

    #[test]
    fn exp_is_accurate_and_the_same_everywhere() {
        exp_on_every_set::<f32>(80.0, 2.4e-7);
        exp_on_every_set::<f64>(700.0, 7e-16);
    }

    struct Misc<'a>(&'a mut [u16], &'a mut Vec<u32>);
    impl Kernel<f32> for Misc<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Lanes<Elem = f32>>(self) {
            let ints: Vec<i16> = (0..32).map(|i| (i * 2117 - 30_000) as i16).collect();
            for i in (0..32).step_by(S::LANES) {
                let counting = S::count_down(&mut self.0[i..]);
                let x = S::load_i16(&ints[i..]);
                let y = S::select(counting, x.div(S::splat(3.0)), x.max(S::splat(7.0)));
                let mut out = vec![0f32; S::LANES];
                y.store(&mut out);
                self.1.extend(out.iter().map(|v| v.to_bits()));
                let mask = S::and_not(x.ge(S::splat(0.0)), counting);
                self.1.extend((0..S::LANES).map(|l| S::bits(mask) >> l & 1));
            }
            self.1.sort_unstable(); // lane widths interleave values and bits differently
        }
    }

    #[test]
    fn every_set_gives_the_same_bits() {
        let mut reference = None;
        for isa in Isa::all_available() {
            let mut counters: Vec<u16> = (0..32).map(|i| if i % 3 == 0 { i } else { 0 }).collect();
            let mut out = Vec::new();
            dispatch(isa, Misc(&mut counters, &mut out));
            let got = (counters, out);
            assert_eq!(reference.get_or_insert_with(|| got.clone()), &got, "{isa}");
        }
    }
}
