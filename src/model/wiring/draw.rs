//! The hot loop of construction: from counters to targets, weights and delays of one source's synapses.
//!
//! Synapse `j` of source `s` has one Philox block at counter (j, s, 0, 0): word 0 chooses the target, word 1 the
//! delay, word 2 the weight. Chunks of synapses pass through plain loops over arrays, which the compiler vectorises
//! for the instruction set chosen at run time; the bits are the same on each.

use super::delay::Delays;
use super::weight::Weights;
use super::{Redrawn, SynapseBuffer};
use crate::compute::Isa;
use crate::compute::simd::{Kernel, Lanes, dispatch};
use crate::rng;
use crate::rng::{Key, ROUNDS_BUILD};

/// Synapses drawn at a time.
pub(super) const CHUNK: usize = 256;
/// Blocks are computed in whole groups of this many: two of the widest vectors. A loop without a fixed length would leave
/// a rest to be computed one by one, which for a few hundred synapses takes as long as all others.
const GROUP: usize = 16;

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

/// What takes synapses while they are drawn.
pub(super) trait Sink {
    /// Where their targets go.
    fn target(&mut self) -> &mut Vec<u32>;
    /// Takes the weights and delays of some, from their words; those that are not drawn are filled in at the end.
    fn take(&mut self, draw: &SynapseDraw, weight: &[u32], delay: &mut [u32]);
}

impl Sink for SynapseBuffer {
    #[inline(always)]
    fn target(&mut self) -> &mut Vec<u32> {
        &mut self.target
    }

    #[inline(always)]
    fn take(&mut self, draw: &SynapseDraw, weight: &[u32], delay: &mut [u32]) {
        if let Some(sampler) = draw.weights.sampler() {
            let mut values = [0f64; CHUNK];
            sampler.fill(weight, &mut values[..weight.len()]);
            self.weight.extend_from_slice(&values[..weight.len()]);
        }
        if let Some(sampler) = draw.delays.sampler() {
            for d in delay.iter_mut() {
                *d = sampler.sample(*d);
            }
            self.delay.extend_from_slice(delay);
        }
    }
}

impl Sink for Redrawn<'_> {
    #[inline(always)]
    fn target(&mut self) -> &mut Vec<u32> {
        &mut self.out.target
    }

    #[inline(always)]
    fn take(&mut self, _: &SynapseDraw, weight: &[u32], delay: &mut [u32]) {
        if let Some(table) = self.levels.weight {
            self.out.weight.extend(weight.iter().map(|word| table.level(*word)));
        }
        if let Some(table) = self.levels.delay {
            self.out.delay.extend(delay.iter().map(|word| table.level(*word) as u32));
        }
    }
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
    pub fn draw<O: Sink>(&self, source: u32, count: usize, targets: Targets, out: &mut O) {
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

/// The blocks at counters (first + i, neuron, 0, 0), for `i` below `count` rounded up to whole groups; word `w` of
/// block `i` goes to `words[w][i]`.
///
/// The same words as [`rng::philox`]. They are kept in the lower halves of 64-bit lanes from round to round: the
/// upper halves are never read, which spares the widening and narrowing around each multiplication.
#[inline(always)]
fn blocks<const WORDS: usize>(key: Key, first: u32, neuron: u32, count: usize, words: &mut [[u32; CHUNK]; WORDS]) {
    const LOW: u64 = 0xffff_ffff;
    let count = count.next_multiple_of(GROUP).min(CHUNK);
    for start in (0..count).step_by(GROUP) {
        let base = first.wrapping_add(start as u32);
        let mut group = [[0u32; GROUP]; WORDS];
        for i in 0..GROUP {
            let mut c = [u64::from(base.wrapping_add(i as u32)), u64::from(neuron), 0, 0];
            let [mut k0, mut k1] = key.0;
            for _ in 0..ROUNDS_BUILD {
                let p0 = (c[0] & LOW) * u64::from(rng::MUL[0]);
                let p1 = (c[2] & LOW) * u64::from(rng::MUL[1]);
                c = [p1 >> 32 ^ c[1] ^ u64::from(k0), p1, p0 >> 32 ^ c[3] ^ u64::from(k1), p0];
                k0 = k0.wrapping_add(rng::WEYL[0]);
                k1 = k1.wrapping_add(rng::WEYL[1]);
            }
            for (to, word) in group.iter_mut().zip(c) {
                to[i] = word as u32;
            }
        }
        for (to, word) in words.iter_mut().zip(&group) {
            to[start..start + GROUP].copy_from_slice(word);
        }
    }
}

struct Draw<'a, O> {
    draw: &'a SynapseDraw,
    source: u32,
    count: usize,
    targets: Targets,
    out: &'a mut O,
}

impl<O: Sink> Kernel<f32> for Draw<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes<Elem = f32>>(self) {
        let Draw { draw, source, count, targets, out } = self;
        let mut words = [[0u32; CHUNK]; 3];
        let mut first = 0;
        while first < count {
            let n = (count - first).min(CHUNK);
            blocks(draw.key, first as u32, source, n, &mut words);
            let [target, delay, weight] = &mut words;
            match targets {
                Targets::Uniform { n: below, skip } => {
                    for t in target[..n].iter_mut() {
                        let drawn = rng::below(*t, below);
                        *t = drawn + u32::from(drawn >= skip);
                    }
                    out.target().extend_from_slice(&target[..n]);
                }
                Targets::Raw => out.target().extend_from_slice(&target[..n]),
                Targets::Given => {}
            }
            out.take(draw, &weight[..n], &mut delay[..n]);
            first += n;
        }
    }
}

/// The first `count` blocks from counter (first, neuron, 0, 0) on; see [`blocks`].
pub(super) fn block_words(isa: Isa, key: Key, first: u32, neuron: u32, count: usize, words: &mut [[u32; CHUNK]; 4]) {
    struct Words<'a>(Key, u32, u32, usize, &'a mut [[u32; CHUNK]; 4]);
    impl Kernel<f32> for Words<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Lanes<Elem = f32>>(self) {
            blocks(self.0, self.1, self.2, self.3, self.4);
        }
    }
    dispatch::<f32, _>(isa, Words(key, first, neuron, count, words));
}

/// `count` words of `target`, all four words of the blocks at counters (j, target, 0, 0) being used.
pub(super) fn words_of_target(isa: Isa, key: Key, target: u32, count: usize, out: &mut Vec<u32>) {
    struct Words<'a>(Key, u32, usize, &'a mut Vec<u32>);
    impl Kernel<f32> for Words<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Lanes<Elem = f32>>(self) {
            let Words(key, target, count, out) = self;
            out.clear();
            let mut words = [[0u32; CHUNK]; 4];
            let mut first = 0;
            while out.len() < count {
                let blocks_left = (count - out.len()).div_ceil(4).min(CHUNK);
                blocks(key, first, target, blocks_left, &mut words);
                // All first words, then all second words and so on: a fixed order like any other.
                for word in &words {
                    out.extend_from_slice(&word[..blocks_left]);
                }
                first += CHUNK as u32;
            }
            out.truncate(count);
        }
    }
    dispatch::<f32, _>(isa, Words(key, target, count, out));
}

#[cfg(test)]
mod tests {
    use super::super::super::{DelaySampler, Distribution};
    use super::*;

    struct Blocks(Key, u32, u32);
    impl Kernel<f32> for Blocks {
        type Output = [[u32; CHUNK]; 4];
        #[inline(always)]
        fn run<S: Lanes<Elem = f32>>(self) -> Self::Output {
            let mut words = [[0; CHUNK]; 4];
            blocks(self.0, self.1, self.2, CHUNK, &mut words);
            words
        }
    }

    #[test]
    fn blocks_are_those_of_philox_on_every_instruction_set() {
        let (key, first, neuron) = (Key([0xdead_beef, 7]), u32::MAX - 20, 0x8000_0001);
        for isa in Isa::all_available() {
            let words = dispatch::<f32, _>(isa, Blocks(key, first, neuron));
            for i in 0..CHUNK {
                let one = key.words([first.wrapping_add(i as u32), neuron, 0, 0]);
                assert_eq!(words.map(|word| word[i]), one, "block {i} on {isa}");
            }
        }
    }

    #[test]
    fn synapses_are_the_same_bits_on_every_instruction_set() {
        let weight = Distribution::Normal { mean: 87.8, sd: 8.78, low: 60.0, high: f64::INFINITY };
        let delay = Distribution::Normal { mean: 1.5, sd: 0.75, low: 0.05, high: f64::INFINITY };
        let mut reference = None;
        for isa in Isa::all_available() {
            let draw = SynapseDraw {
                key: Key([1, 2]),
                weights: Weights::new(&weight).unwrap(),
                delays: Delays::Drawn(DelaySampler::new(&delay, 0.1).unwrap()),
                isa,
            };
            let mut out = SynapseBuffer::default();
            draw.draw(5, 1003, Targets::Uniform { n: 700, skip: 5 }, &mut out);
            assert!(out.target.iter().all(|t| *t != 5 && *t <= 700));
            assert_eq!(reference.get_or_insert_with(|| out.clone()), &out, "{isa}");
        }
    }
}
