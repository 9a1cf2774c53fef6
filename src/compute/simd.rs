//! Vector lanes: the one place that names machine instructions for arithmetic.
//!
//! A kernel is written once against [`Lanes`] and run through [`dispatch`], which picks the widest lanes of the
//! instruction set chosen at run time. Every operation is a single correctly rounded IEEE operation and none is
//! fused, so a kernel gives the same bits on every set. Functions built from these ([`exp`]) inherit that.
#![allow(unsafe_code)]

use super::ars::ArsKeys;
use super::isa::Isa;

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

/// The lookups of [`Lanes::alias32`] one by one.
#[inline(always)]
fn alias32_by_table(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (OutcomeLine, u32) {
    let draws = keys.words16(counter);
    let mut out = OutcomeLine { outcomes: [0; 32], draws };
    let mut ties = 0u32;
    for i in 0..32 {
        let draw = (draws[i / 2] >> (16 * (i % 2))) as u16;
        let column = usize::from(draw >> 11);
        let fraction = draw & 0x7ff;
        out.outcomes[i] = if fraction < threshold[column] { column as u16 } else { alias[column] };
        ties |= u32::from(fraction == threshold[column]) << i;
    }
    (out, ties)
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

/// Lanes that are a plain array; what the compiler makes of it depends on the target.
#[derive(Debug, Clone, Copy)]
pub struct Array<T, const N: usize>([T; N]);

macro_rules! portable_lanes {
    ($t:ty, $n:literal, $bits:ty, $bias:literal, $mantissa:literal, $magic:literal) => {
        impl Lanes for Array<$t, $n> {
            type Elem = $t;
            // All ones or all zeros in each lane: what compares and selects of every vector unit work on.
            type Mask = [$bits; $n];
            const LANES: usize = $n;
            #[inline(always)]
            fn splat(x: $t) -> Self {
                Self([x; $n])
            }
            #[inline(always)]
            fn load(from: &[$t]) -> Self {
                Self(from[..$n].try_into().expect("length checked"))
            }
            #[inline(always)]
            fn store(self, to: &mut [$t]) {
                to[..$n].copy_from_slice(&self.0);
            }
            #[inline(always)]
            fn load_i16(from: &[i16]) -> Self {
                let from = &from[..$n];
                Self(std::array::from_fn(|i| <$t>::from(from[i])))
            }
            #[inline(always)]
            fn load_i32(from: &[i32]) -> Self {
                let from = &from[..$n];
                Self(std::array::from_fn(|i| from[i] as $t))
            }
            #[inline(always)]
            fn load_u16(from: &[u16]) -> Self {
                let from = &from[..$n];
                Self(std::array::from_fn(|i| <$t>::from(from[i])))
            }
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] + o.0[i]))
            }
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] - o.0[i]))
            }
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] * o.0[i]))
            }
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] / o.0[i]))
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] < o.0[i] { self.0[i] } else { o.0[i] }))
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] > o.0[i] { self.0[i] } else { o.0[i] }))
            }
            #[inline(always)]
            fn ge(self, o: Self) -> Self::Mask {
                std::array::from_fn(|i| <$bits>::from(self.0[i] >= o.0[i]).wrapping_neg())
            }
            #[inline(always)]
            fn lt(self, o: Self) -> Self::Mask {
                std::array::from_fn(|i| <$bits>::from(self.0[i] < o.0[i]).wrapping_neg())
            }
            #[inline(always)]
            fn select(mask: Self::Mask, a: Self, b: Self) -> Self {
                Self(std::array::from_fn(|i| {
                    <$t>::from_bits((a.0[i].to_bits() & mask[i]) | (b.0[i].to_bits() & !mask[i]))
                }))
            }
            #[inline(always)]
            fn bits(mask: Self::Mask) -> u32 {
                mask.iter().enumerate().fold(0, |bits, (i, m)| bits | (*m as u32 & 1 << i))
            }
            #[inline(always)]
            fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
                std::array::from_fn(|i| a[i] & b[i])
            }
            #[inline(always)]
            fn and_not(a: Self::Mask, b: Self::Mask) -> Self::Mask {
                std::array::from_fn(|i| a[i] & !b[i])
            }
            #[inline(always)]
            fn exp2_integral(self) -> Self {
                Self(std::array::from_fn(|i| {
                    let bits = (self.0[i] + $magic).to_bits();
                    <$t>::from_bits(bits.wrapping_add($bias) << $mantissa)
                }))
            }
            type Outcomes = OutcomeLine;
            #[inline(always)]
            fn alias32(
                keys: &ArsKeys,
                counter: [u32; 4],
                threshold: &[u16; 32],
                alias: &[u16; 32],
            ) -> (OutcomeLine, u32) {
                alias32_by_table(keys, counter, threshold, alias)
            }
            #[inline(always)]
            fn outcomes(outcomes: &OutcomeLine, at: usize) -> Self {
                Self::load_u16(&outcomes.outcomes[at..])
            }
            #[inline(always)]
            fn outcome_array(outcomes: OutcomeLine) -> OutcomeLine {
                outcomes
            }
            #[inline(always)]
            fn outcomes_of(array: OutcomeLine) -> OutcomeLine {
                array
            }
            #[inline(always)]
            fn count_down(counters: &mut [u16]) -> Self::Mask {
                let counters = &mut counters[..$n];
                std::array::from_fn(|i| {
                    let counting = counters[i] > 0;
                    counters[i] = counters[i].saturating_sub(1);
                    <$bits>::from(counting).wrapping_neg()
                })
            }
        }
    };
}
portable_lanes!(f32, 8, u32, 127, 23, 12_582_912.0);
portable_lanes!(f64, 8, u64, 1023, 52, 6_755_399_441_055_744.0);

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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::ars::ArsKeys;
    use super::Lanes;
    use std::arch::x86_64::*;

    // SAFETY (all blocks of this module): the intrinsics need the instruction set that `dispatch` checked before
    // these lanes were chosen; every pointer comes from a slice whose length is asserted to hold all lanes.

    macro_rules! lanes {
        (
            $(#[$doc:meta])* $name:ident: $t:ty, $n:literal, $raw:ty, $mask:ty,
            splat $splat:ident, load $load:ident, store $store:ident,
            add $add:ident, sub $sub:ident, mul $mul:ident, div $div:ident, min $min:ident, max $max:ident,
            i16 |$p16:ident| $i16:expr, u16 |$pu16:ident| $u16:expr, i32 |$p32:ident| $i32:expr,
            ge |$ga:ident, $gb:ident| $ge:expr, lt |$la:ident, $lb:ident| $lt:expr,
            select |$sm:ident, $sa:ident, $sb:ident| $select:expr, bits |$bm:ident| $bits:expr,
            and |$aa:ident, $ab:ident| $and:expr, and_not |$na:ident, $nb:ident| $and_not:expr,
            exp2 |$ex:ident| $exp2:expr, count_down |$cd:ident| $count_down:expr,
            $($extra:item)*
        ) => {
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name($raw);
            #[allow(clippy::undocumented_unsafe_blocks)]
            impl Lanes for $name {
                type Elem = $t;
                type Mask = $mask;
                const LANES: usize = $n;
                #[inline(always)]
                fn splat(x: $t) -> Self { Self(unsafe { $splat(x) }) }
                #[inline(always)]
                fn load(from: &[$t]) -> Self { assert!(from.len() >= $n); Self(unsafe { $load(from.as_ptr()) }) }
                #[inline(always)]
                fn store(self, to: &mut [$t]) { assert!(to.len() >= $n); unsafe { $store(to.as_mut_ptr(), self.0) } }
                #[inline(always)]
                fn load_i16(from: &[i16]) -> Self { assert!(from.len() >= $n); let $p16 = from.as_ptr(); Self(unsafe { $i16 }) }
                #[inline(always)]
                fn load_u16(from: &[u16]) -> Self { assert!(from.len() >= $n); let $pu16 = from.as_ptr(); Self(unsafe { $u16 }) }
                #[inline(always)]
                fn load_i32(from: &[i32]) -> Self { assert!(from.len() >= $n); let $p32 = from.as_ptr(); Self(unsafe { $i32 }) }
                #[inline(always)]
                fn add(self, o: Self) -> Self { Self(unsafe { $add(self.0, o.0) }) }
                #[inline(always)]
                fn sub(self, o: Self) -> Self { Self(unsafe { $sub(self.0, o.0) }) }
                #[inline(always)]
                fn mul(self, o: Self) -> Self { Self(unsafe { $mul(self.0, o.0) }) }
                #[inline(always)]
                fn div(self, o: Self) -> Self { Self(unsafe { $div(self.0, o.0) }) }
                #[inline(always)]
                fn min(self, o: Self) -> Self { Self(unsafe { $min(self.0, o.0) }) }
                #[inline(always)]
                fn max(self, o: Self) -> Self { Self(unsafe { $max(self.0, o.0) }) }
                #[inline(always)]
                fn ge(self, o: Self) -> $mask { let ($ga, $gb) = (self.0, o.0); unsafe { $ge } }
                #[inline(always)]
                fn lt(self, o: Self) -> $mask { let ($la, $lb) = (self.0, o.0); unsafe { $lt } }
                #[inline(always)]
                fn select($sm: $mask, a: Self, b: Self) -> Self { let ($sa, $sb) = (a.0, b.0); Self(unsafe { $select }) }
                #[inline(always)]
                #[allow(unused_unsafe)]
                fn bits($bm: $mask) -> u32 { unsafe { $bits } }
                #[inline(always)]
                #[allow(unused_unsafe)]
                fn and($aa: $mask, $ab: $mask) -> $mask { unsafe { $and } }
                #[inline(always)]
                #[allow(unused_unsafe)]
                fn and_not($na: $mask, $nb: $mask) -> $mask { unsafe { $and_not } }
                #[inline(always)]
                fn exp2_integral(self) -> Self { let $ex = self.0; Self(unsafe { $exp2 }) }
                #[inline(always)]
                fn count_down(counters: &mut [u16]) -> $mask {
                    assert!(counters.len() >= $n);
                    let $cd = counters.as_mut_ptr();
                    unsafe { $count_down }
                }
                $($extra)*
            }
        };
    }

    #[allow(clippy::undocumented_unsafe_blocks)]
    #[inline(always)]
    unsafe fn alias32_avx512(
        keys: &ArsKeys,
        counter: [u32; 4],
        threshold: &[u16; 32],
        alias: &[u16; 32],
    ) -> ((__m512i, __m512i), u32) {
        // No closures: one that is not inlined would be compiled without the instructions it consists of.
        unsafe {
            let k = keys.0.as_ptr().cast::<__m128i>();
            // Made in registers: four words stored one by one cannot be loaded as one before they reached the cache.
            let [c0, c1, c2, c3] = counter.map(|c| c as i32);
            let same = _mm512_setr_epi32(0, c1, c2, c3, 1, c1, c2, c3, 2, c1, c2, c3, 3, c1, c2, c3);
            let counters = _mm512_add_epi32(same, _mm512_maskz_set1_epi32(0x1111, c0));
            let state = _mm512_xor_si512(counters, _mm512_broadcast_i32x4(_mm_loadu_si128(k)));
            let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(1))));
            let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(2))));
            let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(3))));
            let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(4))));
            let draws = _mm512_aesenclast_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(5))));
            let column = _mm512_srli_epi16::<11>(draws);
            let fraction = _mm512_and_si512(draws, _mm512_set1_epi16(0x7ff));
            let limit = _mm512_permutexvar_epi16(column, _mm512_loadu_si512(threshold.as_ptr().cast()));
            let other = _mm512_permutexvar_epi16(column, _mm512_loadu_si512(alias.as_ptr().cast()));
            let below = _mm512_cmplt_epu16_mask(fraction, limit);
            let outcomes = _mm512_mask_mov_epi16(other, below, column);
            ((outcomes, draws), _mm512_cmpeq_epu16_mask(fraction, limit))
        }
    }

    #[allow(clippy::undocumented_unsafe_blocks)]
    #[inline(always)]
    unsafe fn ars16_aes(keys: &ArsKeys, counter: [u32; 4]) -> [u32; 16] {
        unsafe {
            let k = keys.0.as_ptr().cast::<__m128i>();
            let [c0, c1, c2, c3] = counter.map(|c| c as i32);
            let same = _mm_setr_epi32(0, c1, c2, c3);
            let mut blocks = [same; 4];
            for (j, block) in blocks.iter_mut().enumerate() {
                let counter = _mm_insert_epi32::<0>(same, c0.wrapping_add(j as i32));
                let state = _mm_xor_si128(counter, _mm_loadu_si128(k));
                let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(1)));
                let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(2)));
                let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(3)));
                let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(4)));
                *block = _mm_aesenclast_si128(state, _mm_loadu_si128(k.add(5)));
            }
            std::mem::transmute::<[__m128i; 4], [u32; 16]>(blocks)
        }
    }

    /// A table of 32 numbers below 2^16 as bytes: low halves of entries 0 to 15 and 16 to 31, then high halves; each
    /// vector holds its 16 bytes twice, as byte shuffles look up within halves of a vector.
    #[allow(clippy::undocumented_unsafe_blocks)]
    #[inline(always)]
    unsafe fn byte_tables(table: &[u16; 32]) -> [__m256i; 4] {
        unsafe {
            let t = table.as_ptr().cast::<__m128i>();
            let (a, b, c, d) =
                (_mm_loadu_si128(t), _mm_loadu_si128(t.add(1)), _mm_loadu_si128(t.add(2)), _mm_loadu_si128(t.add(3)));
            let low = _mm_set1_epi16(0xff);
            [
                _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low))),
                _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_and_si128(c, low), _mm_and_si128(d, low))),
                _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_srli_epi16::<8>(a), _mm_srli_epi16::<8>(b))),
                _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_srli_epi16::<8>(c), _mm_srli_epi16::<8>(d))),
            ]
        }
    }

    /// Bytes of a table of 32 at `index` (below 16) in the lower or, where `upper` says so, the upper half.
    #[allow(clippy::undocumented_unsafe_blocks)]
    #[inline(always)]
    unsafe fn look_up(low: __m256i, high: __m256i, index: __m256i, upper: __m256i) -> __m256i {
        unsafe { _mm256_blendv_epi8(_mm256_shuffle_epi8(low, index), _mm256_shuffle_epi8(high, index), upper) }
    }

    #[allow(clippy::undocumented_unsafe_blocks)]
    #[inline(always)]
    unsafe fn alias32_avx2(
        keys: &ArsKeys,
        counter: [u32; 4],
        threshold: &[u16; 32],
        alias: &[u16; 32],
    ) -> (super::OutcomeLine, u32) {
        unsafe {
            let draws = ars16_aes(keys, counter);
            let mut out = super::OutcomeLine { outcomes: [0; 32], draws };
            let (t, a) = (byte_tables(threshold), byte_tables(alias));
            let mut ties = 0u32;
            for half in 0..2 {
                let u = _mm256_loadu_si256(draws.as_ptr().add(8 * half).cast());
                let column = _mm256_srli_epi16::<11>(u);
                let fraction = _mm256_and_si256(u, _mm256_set1_epi16(0x7ff));
                let upper = _mm256_cmpgt_epi16(column, _mm256_set1_epi16(15));
                // The odd bytes select nothing: their top bit is set.
                let index =
                    _mm256_or_si256(_mm256_and_si256(column, _mm256_set1_epi16(15)), _mm256_set1_epi16(-0x8000));
                let limit = _mm256_or_si256(
                    look_up(t[0], t[1], index, upper),
                    _mm256_slli_epi16::<8>(look_up(t[2], t[3], index, upper)),
                );
                let other = look_up(a[0], a[1], index, upper);
                // Fractions and thresholds are below 2^11, so signed comparison is right.
                let below = _mm256_cmpgt_epi16(limit, fraction);
                let chosen = _mm256_blendv_epi8(other, column, below);
                _mm256_storeu_si256(out.outcomes.as_mut_ptr().add(16 * half).cast(), chosen);
                let equal = _mm256_cmpeq_epi16(limit, fraction);
                let bits = _mm_packs_epi16(_mm256_castsi256_si128(equal), _mm256_extracti128_si256::<1>(equal));
                ties |= (_mm_movemask_epi8(bits) as u32) << (16 * half);
            }
            (out, ties)
        }
    }

    lanes! {
        /// Sixteen single-precision lanes of AVX-512.
        F32x16: f32, 16, __m512, u16,
        splat _mm512_set1_ps, load _mm512_loadu_ps, store _mm512_storeu_ps,
        add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, div _mm512_div_ps, min _mm512_min_ps, max _mm512_max_ps,
        i16 |p| _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(p.cast()))),
        u16 |p| _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()))),
        i32 |p| _mm512_cvtepi32_ps(_mm512_loadu_si512(p.cast())),
        ge |a, b| _mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b), lt |a, b| _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b),
        select |m, a, b| _mm512_mask_blend_ps(m, b, a), bits |m| u32::from(m),
        and |a, b| a & b, and_not |a, b| a & !b,
        exp2 |x| _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
            _mm512_castps_si512(_mm512_add_ps(x, _mm512_set1_ps(12_582_912.0))), _mm512_set1_epi32(127)))),
        count_down |p| {
            let c = _mm256_loadu_si256(p.cast());
            _mm256_storeu_si256(p.cast(), _mm256_subs_epu16(c, _mm256_set1_epi16(1)));
            _mm256_test_epi16_mask(c, c)
        },
        type Outcomes = (__m512i, __m512i);
        #[inline(always)]
        fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> ((__m512i, __m512i), u32) {
            unsafe { alias32_avx512(keys, counter, threshold, alias) }
        }
        #[inline(always)]
        fn outcomes(outcomes: &(__m512i, __m512i), at: usize) -> Self {
            let half = unsafe {
                if at == 0 { _mm512_castsi512_si256(outcomes.0) } else { _mm512_extracti64x4_epi64::<1>(outcomes.0) }
            };
            Self(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(half)) })
        }
        #[inline(always)]
        fn outcome_array(outcomes: (__m512i, __m512i)) -> super::OutcomeLine {
            unsafe {
                super::OutcomeLine { outcomes: std::mem::transmute::<__m512i, [u16; 32]>(outcomes.0), draws: std::mem::transmute::<__m512i, [u32; 16]>(outcomes.1) }
            }
        }
        #[inline(always)]
        fn outcomes_of(array: super::OutcomeLine) -> (__m512i, __m512i) {
            unsafe { (
                    std::mem::transmute::<[u16; 32], __m512i>(array.outcomes),
                    std::mem::transmute::<[u32; 16], __m512i>(array.draws),
                ) }
        }
    }

    lanes! {
        /// Eight double-precision lanes of AVX-512.
        F64x8: f64, 8, __m512d, u8,
        splat _mm512_set1_pd, load _mm512_loadu_pd, store _mm512_storeu_pd,
        add _mm512_add_pd, sub _mm512_sub_pd, mul _mm512_mul_pd, div _mm512_div_pd, min _mm512_min_pd, max _mm512_max_pd,
        i16 |p| _mm512_cvtepi32_pd(_mm256_cvtepi16_epi32(_mm_loadu_si128(p.cast()))),
        u16 |p| _mm512_cvtepi32_pd(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()))),
        i32 |p| _mm512_cvtepi32_pd(_mm256_loadu_si256(p.cast())),
        ge |a, b| _mm512_cmp_pd_mask::<_CMP_GE_OQ>(a, b), lt |a, b| _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b),
        select |m, a, b| _mm512_mask_blend_pd(m, b, a), bits |m| u32::from(m),
        and |a, b| a & b, and_not |a, b| a & !b,
        exp2 |x| _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_add_epi64(
            _mm512_castpd_si512(_mm512_add_pd(x, _mm512_set1_pd(6_755_399_441_055_744.0))), _mm512_set1_epi64(1023)))),
        count_down |p| {
            let c = _mm_loadu_si128(p.cast());
            _mm_storeu_si128(p.cast(), _mm_subs_epu16(c, _mm_set1_epi16(1)));
            _mm_test_epi16_mask(c, c)
        },
        type Outcomes = super::OutcomeLine;
        #[inline(always)]
        fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (super::OutcomeLine, u32) {
            let (outcomes, ties) = unsafe { alias32_avx512(keys, counter, threshold, alias) };
            (F32x16::outcome_array(outcomes), ties)
        }
        #[inline(always)]
        fn outcomes(outcomes: &super::OutcomeLine, at: usize) -> Self {
            Self::load_u16(&outcomes.outcomes[at..])
        }
        #[inline(always)]
        fn outcome_array(outcomes: super::OutcomeLine) -> super::OutcomeLine {
            outcomes
        }
        #[inline(always)]
        fn outcomes_of(array: super::OutcomeLine) -> super::OutcomeLine {
            array
        }
    }

    lanes! {
        /// Eight single-precision lanes of AVX2.
        F32x8: f32, 8, __m256, __m256,
        splat _mm256_set1_ps, load _mm256_loadu_ps, store _mm256_storeu_ps,
        add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, div _mm256_div_ps, min _mm256_min_ps, max _mm256_max_ps,
        i16 |p| _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(p.cast()))),
        u16 |p| _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()))),
        i32 |p| _mm256_cvtepi32_ps(_mm256_loadu_si256(p.cast())),
        ge |a, b| _mm256_cmp_ps::<_CMP_GE_OQ>(a, b), lt |a, b| _mm256_cmp_ps::<_CMP_LT_OQ>(a, b),
        select |m, a, b| _mm256_blendv_ps(b, a, m), bits |m| _mm256_movemask_ps(m) as u32,
        and |a, b| _mm256_and_ps(a, b), and_not |a, b| _mm256_andnot_ps(b, a),
        exp2 |x| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
            _mm256_castps_si256(_mm256_add_ps(x, _mm256_set1_ps(12_582_912.0))), _mm256_set1_epi32(127)))),
        count_down |p| {
            let c = _mm_loadu_si128(p.cast());
            _mm_storeu_si128(p.cast(), _mm_subs_epu16(c, _mm_set1_epi16(1)));
            let idle = _mm_cmpeq_epi16(c, _mm_setzero_si128());
            _mm256_castsi256_ps(_mm256_cvtepi16_epi32(_mm_xor_si128(idle, _mm_set1_epi16(-1))))
        },
        type Outcomes = super::OutcomeLine;
        #[inline(always)]
        fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (super::OutcomeLine, u32) {
            unsafe { alias32_avx2(keys, counter, threshold, alias) }
        }
        #[inline(always)]
        fn outcomes(outcomes: &super::OutcomeLine, at: usize) -> Self {
            Self::load_u16(&outcomes.outcomes[at..])
        }
        #[inline(always)]
        fn outcome_array(outcomes: super::OutcomeLine) -> super::OutcomeLine {
            outcomes
        }
        #[inline(always)]
        fn outcomes_of(array: super::OutcomeLine) -> super::OutcomeLine {
            array
        }
    }

    lanes! {
        /// Four double-precision lanes of AVX2.
        F64x4: f64, 4, __m256d, __m256d,
        splat _mm256_set1_pd, load _mm256_loadu_pd, store _mm256_storeu_pd,
        add _mm256_add_pd, sub _mm256_sub_pd, mul _mm256_mul_pd, div _mm256_div_pd, min _mm256_min_pd, max _mm256_max_pd,
        i16 |p| _mm256_cvtepi32_pd(_mm_cvtepi16_epi32(_mm_loadl_epi64(p.cast()))),
        u16 |p| _mm256_cvtepi32_pd(_mm_cvtepu16_epi32(_mm_loadl_epi64(p.cast()))),
        i32 |p| _mm256_cvtepi32_pd(_mm_loadu_si128(p.cast())),
        ge |a, b| _mm256_cmp_pd::<_CMP_GE_OQ>(a, b), lt |a, b| _mm256_cmp_pd::<_CMP_LT_OQ>(a, b),
        select |m, a, b| _mm256_blendv_pd(b, a, m), bits |m| _mm256_movemask_pd(m) as u32,
        and |a, b| _mm256_and_pd(a, b), and_not |a, b| _mm256_andnot_pd(b, a),
        exp2 |x| _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_add_epi64(
            _mm256_castpd_si256(_mm256_add_pd(x, _mm256_set1_pd(6_755_399_441_055_744.0))), _mm256_set1_epi64x(1023)))),
        count_down |p| {
            let c = _mm_loadl_epi64(p.cast());
            _mm_storel_epi64(p.cast(), _mm_subs_epu16(c, _mm_set1_epi16(1)));
            let idle = _mm_cmpeq_epi16(c, _mm_setzero_si128());
            _mm256_castsi256_pd(_mm256_cvtepi16_epi64(_mm_xor_si128(idle, _mm_set1_epi16(-1))))
        },
        type Outcomes = super::OutcomeLine;
        #[inline(always)]
        fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (super::OutcomeLine, u32) {
            unsafe { alias32_avx2(keys, counter, threshold, alias) }
        }
        #[inline(always)]
        fn outcomes(outcomes: &super::OutcomeLine, at: usize) -> Self {
            Self::load_u16(&outcomes.outcomes[at..])
        }
        #[inline(always)]
        fn outcome_array(outcomes: super::OutcomeLine) -> super::OutcomeLine {
            outcomes
        }
        #[inline(always)]
        fn outcomes_of(array: super::OutcomeLine) -> super::OutcomeLine {
            array
        }
    }
}

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
