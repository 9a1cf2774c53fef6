//! Which neurons belong to which shard, and where each has its slots.
//!
//! A shard is the part of the network one worker owns: neurons, their synapses' records, their input rows. Every
//! population is cut into runs of blocks of 32 neurons (`cut` says where). Results do not depend on it.

/// Neurons in a block: the unit of dealing to shards, of SIMD and of counter-based draws.
pub const BLOCK: u32 = 32;
/// Largest number of slots a 16-bit record can address.
pub const NARROW_SLOTS: usize = 65_536;

/// A cut of the network into shards.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Number of shards.
    pub shards: usize,
    /// For each population, its parts in order (empty parts left out).
    pub parts: Vec<Vec<Part>>,
    /// For each shard, its number of slots.
    pub slots: Vec<usize>,
    /// For each population and block of 32 neurons, the shard and the slot of the block's first neuron in the first
    /// receptor.
    pub blocks: Vec<Vec<BlockPlace>>,
    /// Neurons of each population.
    sizes: Vec<u32>,
    /// For each shard and 32 slots what the first of them stands for: a receptor of consecutive neurons.
    slots_of: Vec<Vec<Slot>>,
}

/// Consecutive neurons of one population in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The shard.
    pub shard: usize,
    /// Index within the population of the first neuron; a multiple of 32.
    pub first: u32,
    /// Number of neurons.
    pub len: u32,
    /// Slot of the first neuron in the first receptor; receptor `r` of neuron `i` has slot
    /// `slot + r * padded() + i`.
    pub slot: usize,
}

impl Part {
    /// Neurons, rounded up to whole blocks.
    pub fn padded(&self) -> usize {
        self.len.next_multiple_of(BLOCK) as usize
    }
}

/// Place of a block of 32 neurons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlace {
    /// The shard.
    pub shard: u32,
    /// Slot of the first neuron of the block in the first receptor.
    pub slot: u32,
    /// Distance between the slots of one neuron in consecutive receptors.
    pub stride: u32,
}

/// What a slot of a shard stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub population: usize,
    /// Index within the population.
    pub neuron: u32,
    pub receptor: usize,
}

impl Partition {
    /// The partition in which population `p` has the parts `cuts[p]`: (shard, first neuron, number of neurons).
    /// `None` if they do not hold every neuron once, in order, in whole blocks.
    pub fn of_cuts(populations: &[(u32, usize)], shards: usize, cuts: &[Vec<(usize, u32, u32)>]) -> Option<Self> {
        let mut slots = vec![0usize; shards];
        let mut slots_of = vec![Vec::new(); shards];
        let mut parts = Vec::with_capacity(populations.len());
        let mut places = Vec::with_capacity(populations.len());
        for (population, (size, receptors)) in populations.iter().enumerate() {
            let mut of_population = Vec::new();
            let mut of_blocks = Vec::new();
            let mut next = 0u32;
            for &(shard, first, len) in cuts.get(population)? {
                let whole = len > 0 && first == next && first.is_multiple_of(BLOCK);
                next = first.checked_add(len).filter(|end| whole && shard < shards && end <= size)?;
                let slots = &mut slots[shard];
                let part = Part { shard, first, len, slot: *slots };
                for receptor in 0..*receptors {
                    let blocks = (first..first + len).step_by(BLOCK as usize);
                    slots_of[shard].extend(blocks.map(|neuron| Slot { population, neuron, receptor }));
                }
                *slots += part.padded() * receptors;
                u32::try_from(*slots).ok()?;
                of_blocks.extend((0..len.div_ceil(BLOCK)).map(|b| BlockPlace {
                    shard: shard as u32,
                    slot: part.slot as u32 + b * BLOCK,
                    stride: part.padded() as u32,
                }));
                of_population.push(part);
            }
            if next != *size {
                return None;
            }
            parts.push(of_population);
            places.push(of_blocks);
        }
        let sizes = populations.iter().map(|(size, _)| *size).collect();
        Some(Self { shards, parts, slots, blocks: places, sizes, slots_of })
    }

    /// What a slot of a shard stands for; `None` if it stands for nothing, as those of padding do.
    pub fn slot(&self, shard: usize, slot: u32) -> Option<Slot> {
        let first = self.slots_of[shard].get((slot / BLOCK) as usize)?;
        let neuron = first.neuron + slot % BLOCK;
        (neuron < self.sizes[first.population]).then_some(Slot { neuron, ..*first })
    }

    /// Whether a shard has more slots than 16 bits can number.
    pub fn wide(&self) -> bool {
        self.slots.iter().any(|s| *s > NARROW_SLOTS)
    }

    /// How many shards `workers` workers take for a network of `slots` slots with `out_degree` synapses a source:
    /// as few as keep slots within 16 bits, unless the pieces of a source would become very short.
    pub fn shards_for(workers: usize, slots: usize, out_degree: f64) -> usize {
        let rounds = slots.div_ceil(NARROW_SLOTS * workers).max(1);
        let shards = rounds * workers;
        if rounds > 1 && out_degree / (shards as f64) < 64.0 { workers } else { shards }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cut::{runs, stretches};
    use proptest::prelude::*;

    /// A cut in which every block costs the same.
    fn even(sizes: &[(u32, usize)], shards: usize) -> Partition {
        let loads: Vec<_> = sizes.iter().map(|(n, _)| vec![1.0; n.div_ceil(BLOCK) as usize]).collect();
        let owners = stretches(&loads, shards);
        let runs: Vec<_> = owners.iter().zip(sizes).map(|(owners, (size, _))| runs(owners, *size)).collect();
        Partition::of_cuts(sizes, shards, &runs).unwrap()
    }

    proptest! {
        #[test]
        fn every_neuron_has_one_place(
            sizes in prop::collection::vec((1u32..20_000, 0usize..3), 1..6),
            shards in 1usize..9,
        ) {
            let partition = even(&sizes, shards);
            let cut = partition.parts.iter().zip(&partition.blocks);
            for (population, ((size, receptors), (parts, blocks))) in sizes.iter().zip(cut).enumerate() {
                let mut next = 0;
                for part in parts {
                    prop_assert_eq!(part.first, next);
                    prop_assert!(part.first % BLOCK == 0 && part.len > 0);
                    prop_assert!(part.slot + part.padded() * receptors <= partition.slots[part.shard]);
                    for i in (0..part.len).step_by(BLOCK as usize) {
                        let place = blocks[((part.first + i) / BLOCK) as usize];
                        prop_assert_eq!(place.shard as usize, part.shard);
                        prop_assert_eq!(place.slot as usize, part.slot + i as usize);
                        for receptor in 0..*receptors {
                            let slot = place.slot + place.stride * receptor as u32;
                            let expected = Slot { population, neuron: part.first + i, receptor };
                            prop_assert_eq!(partition.slot(part.shard, slot), Some(expected));
                        }
                    }
                    next += part.len;
                }
                prop_assert_eq!(next, *size);
                prop_assert_eq!(blocks.len(), size.div_ceil(BLOCK) as usize);
            }
        }

        #[test]
        fn shards_are_even(size in 2_000u32..100_000, shards in 1usize..9) {
            let partition = even(&[(size, 1), (size / 4, 1)], shards);
            let most = partition.slots.iter().max().unwrap();
            let least = partition.slots.iter().min().unwrap();
            prop_assert!(most - least <= 4 * 32 * 2 + 64);
        }
    }
}
