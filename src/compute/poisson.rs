//! Poisson draws for blocks of 32 neurons: an alias table on 16-bit draws with exact refinement.
//!
//! Five bits of a draw choose one of 32 columns and eleven are compared with the column's threshold (Walker 1977,
//! "An efficient method for generating discrete random variables with general distributions"). A draw that equals
//! the threshold is decided with 32 more bits, so probabilities are right to 2^-48.

use super::ars::ArsKeys;
use super::simd::{Lanes, Real};
use crate::rng::{Key, ROUNDS_STEP, philox};

/// Largest mean of one table. Larger means are sums of several draws: 32 columns then hold all but 1e-13 of the mass.
const MAX_MEAN: f64 = 6.0;

/// The distribution of the number of events in a step, ready for drawing.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub struct PoissonTable {
    threshold: [u16; 32],
    alias: [u16; 32],
    /// For each column, the share of a tie that keeps the column, scaled to 2^32.
    residual: [u32; 32],
    /// Independent draws that are summed.
    parts: u32,
}

impl PoissonTable {
    /// For `mean` events a step (finite, 0 or above).
    pub fn new(mean: f64) -> Self {
        let parts = (mean / MAX_MEAN).ceil().max(1.0);
        let mean = mean / parts;
        let mut share = [0.0f64; 32];
        share[0] = libm::exp(-mean);
        for k in 1..32 {
            share[k] = share[k - 1] * mean / k as f64;
        }
        let total: f64 = share.iter().sum();
        let mut height = share.map(|p| p * 32.0 / total);
        let mut alias: [u16; 32] = std::array::from_fn(|i| i as u16);
        let mut keep = [1.0f64; 32];
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..32).partition(|i| height[*i] < 1.0);
        while let (Some(s), Some(l)) = (small.pop(), large.last().copied()) {
            keep[s] = height[s];
            alias[s] = l as u16;
            height[l] -= 1.0 - height[s];
            if height[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        let threshold = keep.map(|k| (k * 2048.0).floor().min(2047.0) as u16);
        let residual = std::array::from_fn(|i| {
            let rest = (keep[i] * 2048.0 - f64::from(threshold[i])).clamp(0.0, 1.0);
            (rest * 4_294_967_295.0) as u32
        });
        Self { threshold, alias, residual, parts: parts as u32 }
    }

    /// Draws for the neurons `first..first + out.len()` of a population (multiples of 32) in `step` and writes
    /// `weight` times the number of events, added to `base.at(i, out from i on)`, to `out`.
    ///
    /// The draw of a neuron depends on `keys`, its index and the step alone.
    #[inline(always)]
    pub(super) fn add_events<S: Lanes>(
        &self,
        keys: &PoissonKeys,
        first: u32,
        step: u64,
        weight: S::Elem,
        out: &mut [S::Elem],
        mut base: impl Base<S>,
    ) {
        let weight = S::splat(weight);
        for part in 0..self.parts {
            for (b, chunk) in out.chunks_exact_mut(32).enumerate() {
                let block = first / 32 + b as u32;
                let draws = S::ars16(&keys.draw, [block * 4, step as u32, (step >> 32) as u32, part]);
                let mut events = OnLines([0u16; 32]);
                let ties = S::alias32(&draws, &self.threshold, &self.alias, &mut events.0);
                if ties != 0 {
                    self.refine(keys, block, step, part, &draws, ties, &mut events.0);
                }
                let mut i = 0;
                while i < 32 {
                    let weighted = S::load_u16(&events.0[i..]).mul(weight);
                    let before = if part == 0 { base.at(b * 32 + i, &chunk[i..]) } else { S::load(&chunk[i..]) };
                    before.add(weighted).store(&mut chunk[i..]);
                    i += S::LANES;
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    #[allow(clippy::too_many_arguments)]
    fn refine(
        &self,
        keys: &PoissonKeys,
        block: u32,
        step: u64,
        part: u32,
        draws: &[u32; 16],
        mut ties: u32,
        events: &mut [u16; 32],
    ) {
        while ties != 0 {
            let i = ties.trailing_zeros();
            ties &= ties - 1;
            let column = ((draws[i as usize / 2] >> (16 * (i % 2))) as u16 >> 11) as usize;
            let more = philox::<ROUNDS_STEP>([block * 32 + i, step as u32, (step >> 32) as u32, part], keys.refine)[0];
            events[i as usize] = if more < self.residual[column] { column as u16 } else { self.alias[column] };
        }
    }
}

/// What events are added to. A trait and not a closure, which would not be sure to be compiled for the instruction set
/// of its caller.
pub(super) trait Base<S: Lanes> {
    /// The numbers before, from place `at` on; `out` is what is at that place of the output.
    fn at(&mut self, at: usize, out: &[S::Elem]) -> S;
}

/// Adds to what is there.
struct Present;

impl<S: Lanes> Base<S> for Present {
    #[inline(always)]
    fn at(&mut self, _at: usize, out: &[S::Elem]) -> S {
        S::load(out)
    }
}

/// On a cache line of its own: a vector stored across two lines cannot be loaded back before it has reached the cache,
/// which would triple the cost of a draw.
#[repr(align(64))]
struct OnLines<T>(T);

/// Keys of the draws of one Poisson stimulus on one population.
#[derive(Debug, Clone, Copy)]
pub struct PoissonKeys {
    /// Of the 16-bit draws.
    pub draw: ArsKeys,
    /// Of their refinement.
    pub refine: Key,
}

/// Adds Poisson events to single-precision or double-precision inputs under an instruction set.
pub struct AddEvents<'a, T> {
    /// Distribution.
    pub table: &'a PoissonTable,
    /// Keys.
    pub keys: &'a PoissonKeys,
    /// Index of the first neuron within its population; a multiple of 32.
    pub first: u32,
    /// Step.
    pub step: u64,
    /// Weight of an event.
    pub weight: T,
    /// Inputs to add to.
    pub out: &'a mut [T],
}

impl<T: Real> super::simd::Kernel<T> for AddEvents<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        self.table.add_events::<S>(self.keys, self.first, self.step, self.weight, self.out, Present);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::{Isa, simd::dispatch};
    use crate::rng::Purpose;

    fn keys() -> PoissonKeys {
        PoissonKeys {
            draw: ArsKeys::new(Key::new(11, Purpose::Poisson, 0)),
            refine: Key::new(11, Purpose::PoissonRefine, 0),
        }
    }

    fn draws(isa: Isa, mean: f64, neurons: usize, steps: u64) -> Vec<u32> {
        let (table, keys) = (PoissonTable::new(mean), keys());
        let mut counts = vec![0u32; 200];
        for step in 0..steps {
            let mut out = vec![0f32; neurons];
            dispatch(isa, AddEvents { table: &table, keys: &keys, first: 32, step, weight: 1.0, out: &mut out });
            for k in out {
                counts[k as usize] += 1;
            }
        }
        counts
    }

    #[test]
    fn counts_follow_the_poisson_distribution() {
        for mean in [0.02, 1.28, 2.0, 17.0] {
            let counts = draws(Isa::detect(), mean, 8192, 400);
            let total: u32 = counts.iter().sum();
            let mut p = (-mean).exp();
            let (mut chi2, mut freedom, mut rest_p, mut rest_n) = (0.0, -1.0, 1.0, f64::from(total));
            for (k, n) in counts.iter().enumerate() {
                let expected = p * f64::from(total);
                if expected >= 20.0 {
                    chi2 += (f64::from(*n) - expected).powi(2) / expected;
                    freedom += 1.0;
                    rest_p -= p;
                    rest_n -= f64::from(*n);
                }
                p *= mean / (k + 1) as f64;
            }
            let rest = rest_p.max(0.0) * f64::from(total);
            assert!((rest_n - rest).abs() < 6.0 * rest.sqrt() + 6.0, "tail of mean {mean}: {rest_n} for {rest}");
            // Six standard deviations of chi-square.
            assert!(chi2 < freedom + 6.0 * (2.0f64 * freedom).sqrt() + 6.0, "mean {mean}: chi2 {chi2}, {freedom} dof");
        }
    }

    #[test]
    fn draws_are_the_same_on_every_set_and_for_any_split() {
        let (table, keys) = (PoissonTable::new(1.3), keys());
        let draw = |isa, first: u32, n: usize| {
            let mut out = vec![0f64; n];
            dispatch(isa, AddEvents { table: &table, keys: &keys, first, step: 9, weight: 2.5, out: &mut out });
            out
        };
        let whole = draw(Isa::Portable, 0, 1024);
        for isa in Isa::all_available() {
            assert_eq!(whole, draw(isa, 0, 1024), "{isa}");
            let split: Vec<f64> =
                [(0, 96), (96, 416), (512, 512)].into_iter().flat_map(|(first, n)| draw(isa, first, n)).collect();
            assert_eq!(whole, split, "{isa}");
        }
    }
}
