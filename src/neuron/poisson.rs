//! Poisson source: spikes at random, independently in every step.
//!
//! In every step a neuron spikes with probability `rate * dt`: a Bernoulli process, the usual grid version of a
//! Poisson process. It sends at most one spike a step, so its rate is exact and its intervals are geometric; a rate
//! with `rate * dt > 1` is refused. (The Poisson *stimulus* delivers true Poisson counts instead.)
//!
//! Draws depend on the seed, the population's name, the unit of 32 neurons and the step only (Philox, 7 rounds). A
//! probability is resolved to 2^-64: a draw of 32 bits decides, and in the rare case of a tie a second one.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `rate` | Hz | 10 | mean rate |
//!
//! Reference: W. Gerstner, W. M. Kistler, R. Naud, L. Paninski (2014), Neuronal Dynamics, Cambridge University Press,
//! section 7.2; J. K. Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11 (Philox).

use super::dynamics::validate;
use super::registry::{make, numeric_model, parameters};
use super::{Block, ModelInfo, NeuronModel, ParamTable, Prepare, Receptor, Stepper, Variable};
use crate::compute::Isa;
use crate::compute::simd::{Kernel, Lanes, Real, dispatch};
use crate::error::Result;
use crate::rng::{Key, Purpose, ROUNDS_STEP, philox, philox_lanes};

parameters! {
    /// Source of random spikes, `poisson`.
    pub struct Poisson {
        /// Mean rate.
        rate: "Hz" = 10.0, NonNegative;
    }
}

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "poisson",
    doc: "Source that spikes at random with a given rate, at most once a step",
    parameters: Poisson::PARAMETERS,
    variables: &[],
    options: Poisson::OPTIONS,
    reference: "Gerstner et al. (2014) Neuronal Dynamics, section 7.2",
    is_source: true,
    needs: None,
    make: make::<Poisson>,
};

/// Philox blocks a unit of 32 neurons takes, one word a neuron.
const BLOCKS: usize = 8;

impl Poisson {
    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        validate(self, prepare)?;
        let threshold = |rate: f64| {
            // The conversion saturates: a probability of 1 becomes 1 - 2^-64.
            let scaled = (rate * prepare.dt * 1e-3 * 18_446_744_073_709_551_616.0) as u64;
            ((scaled >> 32) as u32, scaled as u32)
        };
        let thresholds = match prepare.params.uniform(0) {
            Some(rate) => vec![[threshold(rate); 32]],
            None => (0..prepare.len / 32)
                .map(|unit| std::array::from_fn(|i| threshold(prepare.params.get(0, unit * 32 + i))))
                .collect(),
        };
        let (coarse, fine) = thresholds.iter().map(|unit| (unit.map(|t| t.0), unit.map(|t| t.1))).unzip();
        let key = Key::named(prepare.seed, Purpose::Source, prepare.population);
        let mask = if prepare.params.uniform(0).is_some() { 0 } else { usize::MAX };
        Ok(Box::new(Source { key, first: prepare.first / 32, coarse, fine, mask, isa: prepare.isa }))
    }
}

struct Source {
    key: Key,
    /// First unit of the part within the population.
    first: u32,
    /// Upper and lower 32 bits of each neuron's probability; one unit for all where they agree.
    coarse: Vec<[u32; 32]>,
    fine: Vec<[u32; 32]>,
    /// Applied to the unit's index: zero where one unit stands for all.
    mask: usize,
    isa: Isa,
}

impl<T: Real> Stepper<T> for Source {
    fn step(&mut self, block: &mut Block<'_, T>) {
        let unit = block.offset / 32;
        let spikes = &mut block.spikes[..block.len / 32];
        // The element type only selects the lanes, which the draws do not use.
        dispatch::<f32, _>(self.isa, Draw { source: self, step: block.step, unit, spikes });
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.coarse) + size_of_val(&*self.fine)
    }
}

struct Draw<'a> {
    source: &'a Source,
    step: u64,
    unit: usize,
    spikes: &'a mut [u32],
}

impl Kernel<f32> for Draw<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes<Elem = f32>>(self) {
        let Self { source, step, unit: first, spikes } = self;
        let (low, high) = (step as u32, (step >> 32) as u32);
        for (i, out) in spikes.iter_mut().enumerate() {
            let place = (first + i) & source.mask;
            let coarse = &source.coarse[place];
            let unit = source.first + (first + i) as u32;
            let indices = std::array::from_fn(|block| block as u32);
            let words = philox_lanes::<ROUNDS_STEP, BLOCKS>(
                [[low; BLOCKS], [high; BLOCKS], [unit; BLOCKS], indices],
                source.key,
            );
            // Most units of most steps have no spike: a plain vector comparison finds that out.
            let mut candidates = 0u32;
            for (words, coarse) in words.iter().zip(coarse.as_chunks::<BLOCKS>().0) {
                for (word, coarse) in words.iter().zip(coarse) {
                    candidates |= u32::from(word <= coarse);
                }
            }
            if candidates == 0 {
                *out = 0;
                continue;
            }
            let (mut spiked, mut ties) = (0u32, 0u32);
            for (group, words) in words.iter().enumerate() {
                for (block, word) in words.iter().enumerate() {
                    let neuron = group * BLOCKS + block;
                    spiked |= u32::from(*word < coarse[neuron]) << neuron;
                    ties |= u32::from(*word == coarse[neuron]) << neuron;
                }
            }
            while ties != 0 {
                let neuron = ties.trailing_zeros();
                let counter = [low, high, unit, BLOCKS as u32 + neuron];
                let word = philox::<ROUNDS_STEP>(counter, source.key)[0];
                spiked |= u32::from(word < source.fine[place][neuron as usize]) << neuron;
                ties &= ties - 1;
            }
            *out = spiked;
        }
    }
}

impl NeuronModel for Poisson {
    numeric_model!("poisson");

    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let p = self.with(values);
        let highest = 1e3 / dt;
        (p.rate > highest)
            .then(|| {
                let message = format!(
                    "{} Hz is more than one spike in a step of {dt} ms; allowed is up to {highest} Hz. Use more \
                     neurons or a smaller dt",
                    p.rate
                );
                ("rate", message)
            })
            .into_iter()
            .collect()
    }

    fn variables(&self) -> &[Variable] {
        &[]
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        Vec::new()
    }

    fn is_source(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        3.0
    }
}
