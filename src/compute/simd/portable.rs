//! Lanes that are plain arrays, for every machine.

use super::super::ars::ArsKeys;
use super::{Lanes, OutcomeLine};

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
