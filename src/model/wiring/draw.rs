//! The hot loop of construction: from counters to targets, weights and delays of one source's synapses.
//!
//! Synapse `j` of source `s` has one Philox block at counter (j, s, 0, 0): word 0 chooses the target, word 1 the
//! delay, word 2 the weight. Chunks of synapses pass through plain loops over arrays, which the compiler vectorises
//! for the instruction set chosen at run time; the bits are the same on each.

use super::SynapseBuffer;
use super::delay::Delays;
use super::weight::Weights;
use crate::compute::Isa;
use crate::compute::simd::{Kernel, Lanes, dispatch};
use crate::rng;
use crate::rng::{Key, ROUNDS_BUILD, philox_lanes};

/// Synapses drawn at a time.
const CHUNK: usize = 256;
/// Blocks computed side by side.
const SIDE_BY_SIDE: usize = 16;

/// What becomes of word 0.
#[derive(Debug, Clone, Copy)]
pub(super) enum Targets {
    /// A target below `n`, uniformly; targets from `skip` on are moved up by one, which leaves `skip` out.
    Uniform { n: u32, skip: u32 },
    /// The word itself takes the target's place, for the caller to replace.
    Raw,
    /// The targets are in the buffer already.
    Given,
}

/// Draws the synapses of a projection.
#[derive(Debug)]
pub(super) struct SynapseDraw {
    pub key: Key,
    pub weights: Weights,
    pub delays: Delays,
    pub isa: Isa,
}

impl SynapseDraw {
    /// Appends `count` synapses of `source`. With [`Targets::Given`], the last `count` targets of the buffer are
    /// those of the synapses. The caller then calls [`finish`](Self::finish) once the targets are final.
    pub fn draw(&self, source: u32, count: usize, targets: Targets, out: &mut SynapseBuffer) {
        let words_needed =
            !matches!(targets, Targets::Given) || self.weights.sampler().is_some() || self.delays.sampler().is_some();
        if words_needed {
            dispatch::<f32, _>(self.isa, Draw { draw: self, source, count, targets, out });
        }
    }

    /// Fills in the weights and delays that are not drawn, for the targets from index `from` on. `first_item` is
    /// the number of the item (for lists of values) of target 0 of this source.
    pub fn finish(&self, source: u32, from: usize, first_item: u64, out: &mut SynapseBuffer) {
        let SynapseBuffer { target, weight, delay } = out;
        self.weights.finish(&target[from..], first_item, weight);
        self.delays.finish(source, &target[from..], first_item, delay);
    }
}

/// The blocks at counters (first, neuron, 0, 0), (first + 1, neuron, 0, 0) and so on.
#[inline(always)]
fn blocks(key: Key, first: u32, neuron: u32) -> [[u32; SIDE_BY_SIDE]; 4] {
    let indices = std::array::from_fn(|l| first.wrapping_add(l as u32));
    philox_lanes::<ROUNDS_BUILD, SIDE_BY_SIDE>(
        [indices, [neuron; SIDE_BY_SIDE], [0; SIDE_BY_SIDE], [0; SIDE_BY_SIDE]],
        key,
    )
}

struct Draw<'a> {
    draw: &'a SynapseDraw,
    source: u32,
    count: usize,
    targets: Targets,
    out: &'a mut SynapseBuffer,
}

impl Kernel<f32> for Draw<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes<Elem = f32>>(self) {
        let Draw { draw, source, count, targets, out } = self;
        let mut words = [[0u32; CHUNK]; 3];
        let mut values = [0f64; CHUNK];
        let mut first = 0;
        while first < count {
            let n = (count - first).min(CHUNK);
            for group in (0..n).step_by(SIDE_BY_SIDE) {
                let block = blocks(draw.key, (first + group) as u32, source);
                for (to, from) in words.iter_mut().zip(block) {
                    to[group..group + SIDE_BY_SIDE].copy_from_slice(&from);
                }
            }
            let [target, delay, weight] = &mut words;
            match targets {
                Targets::Uniform { n: below, skip } => {
                    for t in target[..n].iter_mut() {
                        let drawn = rng::below(*t, below);
                        *t = drawn + u32::from(drawn >= skip);
                    }
                    out.target.extend_from_slice(&target[..n]);
                }
                Targets::Raw => out.target.extend_from_slice(&target[..n]),
                Targets::Given => {}
            }
            if let Some(sampler) = draw.weights.sampler() {
                sampler.fill(&weight[..n], &mut values[..n]);
                out.weight.extend_from_slice(&values[..n]);
            }
            if let Some(sampler) = draw.delays.sampler() {
                for d in delay[..n].iter_mut() {
                    *d = sampler.sample(*d);
                }
                out.delay.extend_from_slice(&delay[..n]);
            }
            first += n;
        }
    }
}

/// Sources of target `target`, four a block at counter (j / 4, target, 0, 0): words for synapses `0..count`.
pub(super) fn words_of_target(isa: Isa, key: Key, target: u32, count: usize, out: &mut Vec<u32>) {
    struct Words<'a>(Key, u32, usize, &'a mut Vec<u32>);
    impl Kernel<f32> for Words<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Lanes<Elem = f32>>(self) {
            let Words(key, target, count, out) = self;
            out.clear();
            let mut first = 0;
            while out.len() < count {
                let block = blocks(key, first, target);
                // Word-major within the group: a fixed order like any other.
                for word in block {
                    out.extend_from_slice(&word);
                }
                first += SIDE_BY_SIDE as u32;
            }
            out.truncate(count);
        }
    }
    dispatch::<f32, _>(isa, Words(key, target, count, out));
}
