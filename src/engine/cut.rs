//! How neurons are dealt to shards: strategies, and what a cut is told.
//!
//! A strategy looks at the model and at what its parts are expected or measured to cost. Whatever it decides, spikes stay
//! the same: sums of input are integers and draws know nothing of shards.

use super::load::BlockLoads;
use super::partition::{BLOCK, NARROW_SLOTS, Partition};
use crate::error::{Error, Result};
use crate::model::{BrainModel, Population};
use crate::rng::{Key, Purpose};

/// How the network is cut into shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CutStrategy {
    /// Runs of consecutive neurons of every population, such that all shards cost the same. On a lattice neurons are
    /// numbered along the Z-order curve, so that a run is a compact region.
    #[default]
    ZOrder,
    /// Boxes along the longest axis of the space the neurons lie in. Populations without positions are cut into runs.
    Blocks,
    /// Blocks of neurons in random order: what a cut costs that knows nothing of space.
    Random,
}

impl CutStrategy {
    /// All strategies.
    pub const ALL: [Self; 3] = [Self::ZOrder, Self::Blocks, Self::Random];
    /// Their names, in that order.
    pub const NAMES: [&'static str; 3] = ["zorder", "blocks", "random"];

    /// The name configuration files use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZOrder => Self::NAMES[0],
            Self::Blocks => Self::NAMES[1],
            Self::Random => Self::NAMES[2],
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }
}

/// How the network is cut, and when it is cut anew. None of it changes a spike.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CutOptions {
    /// Strategy. Where absent, Z-order; synapses that were made before keep the cut they have.
    pub strategy: Option<CutStrategy>,
    /// Number of shards, at least 1. Where absent, one for each worker, or a multiple where shards would be very large.
    pub shards: Option<usize>,
    /// Cut anew, by measured load, where the busiest worker works longer than the mean by more than this (0.1: a tenth)
    /// and the time to be won is more than a new cut takes; never where absent.
    pub rebalance: Option<f64>,
}

impl CutOptions {
    pub(super) fn check(&self) -> Result<()> {
        if self.shards.is_some_and(|shards| !(1..=MOST_SHARDS).contains(&shards)) {
            let shards = self.shards.unwrap_or(0);
            let message = format!("{shards} shards are out of range; allowed are 1 to {MOST_SHARDS}");
            return Err(Error::invalid("run.shards", message));
        }
        if let Some(bound) = self.rebalance
            && !(bound.is_finite() && bound > 0.0)
        {
            return Err(Error::invalid("run.rebalance", format!("{bound} is not above 0")));
        }
        Ok(())
    }

    /// The strategy of a network that is cut for the first time.
    pub(super) fn chosen(&self) -> CutStrategy {
        self.strategy.unwrap_or_default()
    }

    /// Number of shards for `workers` workers and a network of about so many synapses.
    pub(super) fn shards_for(&self, model: &BrainModel, workers: usize, synapses: f64) -> usize {
        let slots = sizes(model).iter().map(|(n, r)| n.next_multiple_of(BLOCK) as usize * r).sum();
        let out_degree = synapses / f64::from(model.neurons().max(1));
        self.shards.unwrap_or_else(|| Partition::shards_for(workers, slots, out_degree))
    }
}

/// Most shards a network is cut into.
pub(crate) const MOST_SHARDS: usize = 4096;

/// For each population its size and its number of receptors.
fn sizes(model: &BrainModel) -> Vec<(u32, usize)> {
    model.populations().iter().map(|p| (p.size(), p.receptors().len())).collect()
}

/// Cuts a network into `shards` shards of like load.
///
/// # Errors
/// If the strategy needs positions and there are none.
pub(super) fn cut(model: &BrainModel, strategy: CutStrategy, shards: usize, loads: &BlockLoads) -> Result<Partition> {
    let sizes = sizes(model);
    let of = |owners: &[Vec<u32>]| {
        let runs: Vec<_> = owners.iter().zip(&sizes).map(|(owners, (size, _))| runs(owners, *size)).collect();
        Partition::of_cuts(&sizes, shards, &runs).expect("every neuron is dealt once")
    };
    let totals = loads.totals();
    Ok(match strategy {
        CutStrategy::ZOrder => {
            let partition = of(&stretches(&totals, shards));
            let slots: usize = partition.slots.iter().sum();
            // Records of 4 bytes are worth more than the last per cent of balance.
            if partition.wide() && slots <= shards * NARROW_SLOTS {
                let even: Vec<Vec<f64>> =
                    totals.iter().zip(&sizes).map(|(l, (_, r))| vec![(*r).max(1) as f64; l.len()]).collect();
                let even = of(&stretches(&even, shards));
                if !even.wide() {
                    return Ok(even);
                }
            }
            partition
        }
        CutStrategy::Blocks => of(&boxes(model, &totals, shards)?),
        CutStrategy::Random => of(&shuffled(model.seed(), &totals, shards)),
    })
}

/// The owner of every block as runs of neurons: (shard, first neuron, number of neurons).
pub(super) fn runs(owners: &[u32], size: u32) -> Vec<(usize, u32, u32)> {
    let mut block = 0u32;
    let of_shard = owners.chunk_by(|a, b| a == b).map(|run| {
        let first = block * BLOCK;
        block += run.len() as u32;
        (run[0] as usize, first, (block * BLOCK).min(size) - first)
    });
    of_shard.collect()
}

/// Blocks that are dealt together: whole groups of 128 neurons share their random words, so cut there where that costs no
/// balance.
fn unit(blocks: usize, shards: usize) -> usize {
    if blocks >= 64 * shards { 4 } else { 1 }
}

/// Every population in consecutive runs, one for each shard, of the same share of its load.
///
/// What does not divide evenly is carried from one population to the next, boundary by boundary, so that the sum over
/// populations never misses its share by more than half a unit: small populations spread over the shards too.
pub(super) fn stretches(loads: &[Vec<f64>], shards: usize) -> Vec<Vec<u32>> {
    // For each boundary between two shards, the load in front of it beyond its share.
    let mut beyond = vec![0.0; shards + 1];
    let mut owners = Vec::with_capacity(loads.len());
    for blocks in loads {
        let unit = unit(blocks.len(), shards);
        let mut ends = vec![0.0];
        let mut sum = 0.0;
        for group in blocks.chunks(unit) {
            sum += group.iter().sum::<f64>();
            ends.push(sum);
        }
        let mut of_block = Vec::with_capacity(blocks.len());
        let mut from = 0;
        for shard in 0..shards {
            let mut to = ends.len() - 1;
            if shard + 1 < shards {
                let share = sum * (shard + 1) as f64 / shards as f64;
                let wanted = share - beyond[shard + 1];
                let above = ends.partition_point(|end| *end < wanted).min(to);
                let below = above.saturating_sub(1);
                let nearest = if wanted - ends[below] < ends[above] - wanted { below } else { above };
                to = nearest.max(from);
                beyond[shard + 1] += ends[to] - share;
            }
            of_block.resize((to * unit).min(blocks.len()), shard as u32);
            from = to;
        }
        owners.push(of_block);
    }
    owners
}

/// Least and greatest position on each axis, um.
type Extent = [[f64; 2]; 4];

/// Where the blocks of a population lie on each axis, um; none if it has no positions. Widens `extent` to hold them.
fn centres(population: &Population, extent: &mut Extent) -> Option<Vec<[f64; 4]>> {
    population.position(0)?;
    let blocks = (0..population.size()).step_by(BLOCK as usize).map(|first| {
        let last = (first + BLOCK).min(population.size());
        let mut sum = [0.0; 4];
        for neuron in first..last {
            let position = population.position(neuron).unwrap_or_default().map(f64::from);
            for ((sum, [low, high]), x) in sum.iter_mut().zip(extent.iter_mut()).zip(position) {
                (*sum, *low, *high) = (*sum + x, low.min(x), high.max(x));
            }
        }
        sum.map(|x| x / f64::from(last - first))
    });
    Some(blocks.collect())
}

/// Boxes along the axis on which the neurons reach farthest, the first of equals.
fn boxes(model: &BrainModel, loads: &[Vec<f64>], shards: usize) -> Result<Vec<Vec<u32>>> {
    let mut extent = [[f64::INFINITY, f64::NEG_INFINITY]; 4];
    let centres: Vec<_> = model.populations().iter().map(|p| centres(p, &mut extent)).collect();
    let length = |axis: usize| extent[axis][1] - extent[axis][0];
    let axis = (0..4).rev().max_by(|a, b| length(*a).total_cmp(&length(*b))).unwrap_or(0);
    if length(axis) < 0.0 {
        let message = "`blocks` cuts along an axis, but no population has positions; allowed here are zorder, random";
        return Err(Error::invalid("run.partition", message));
    }
    // All blocks that lie somewhere, in the order of the axis.
    let mut placed: Vec<(f64, usize, usize)> = Vec::new();
    for (population, centres) in centres.iter().enumerate() {
        let centres = centres.iter().flatten().enumerate();
        placed.extend(centres.map(|(block, centre)| (centre[axis], population, block)));
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.2, a.1).cmp(&(b.2, b.1))));
    let total: f64 = placed.iter().map(|(_, population, block)| loads[*population][*block]).sum();
    let mut owners = stretches(loads, shards);
    let mut before = 0.0;
    for (_, population, block) in placed {
        let load = loads[population][block];
        let middle = (before + load / 2.0) / total;
        owners[population][block] = ((middle * shards as f64) as u32).min(shards as u32 - 1);
        before += load;
    }
    Ok(owners)
}

/// The blocks of every population in random order, dealt in turn.
fn shuffled(seed: u64, loads: &[Vec<f64>], shards: usize) -> Vec<Vec<u32>> {
    let mut dealt = 0;
    let of = |(population, blocks): (usize, &Vec<f64>)| {
        let unit = unit(blocks.len(), shards);
        let key = Key::new(seed, Purpose::Partition, population as u64);
        let mut order: Vec<(u32, usize)> =
            (0..blocks.len().div_ceil(unit)).map(|u| (key.words([u as u32, 0, 0, 0])[0], u)).collect();
        order.sort_unstable();
        let mut owners = vec![0; blocks.len()];
        for (_, u) in order {
            let last = ((u + 1) * unit).min(blocks.len());
            owners[u * unit..last].fill((dealt % shards) as u32);
            dealt += 1;
        }
        owners
    };
    loads.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_are_met_to_half_a_unit(
            loads in prop::collection::vec(prop::collection::vec(0.1f64..3.0, 1..400), 1..6),
            shards in 1usize..9,
        ) {
            let owners = stretches(&loads, shards);
            let mut sums = vec![0.0; shards];
            for (owners, loads) in owners.iter().zip(&loads) {
                prop_assert_eq!(owners.len(), loads.len());
                prop_assert!(owners.windows(2).all(|w| w[0] <= w[1]));
                owners.iter().zip(loads).for_each(|(o, l)| sums[*o as usize] += l);
            }
            let total: f64 = sums.iter().sum();
            // A unit is at most four blocks; a shard has two boundaries.
            for sum in sums {
                prop_assert!((sum - total / shards as f64).abs() <= 12.0 + 1e-9, "{} of {}", sum, total);
            }
        }

        #[test]
        fn random_cuts_deal_every_block(blocks in 1usize..3000, shards in 1usize..9, seed in 0u64..9) {
            let owners = shuffled(seed, &[vec![1.0; blocks]], shards);
            let mut counts = vec![0usize; shards];
            owners[0].iter().for_each(|o| counts[*o as usize] += 1);
            // One unit of four blocks more or less, and the last unit may be a single block.
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 7);
        }
    }

    #[test]
    fn runs_join_blocks_of_one_shard() {
        assert_eq!(runs(&[0, 0, 1, 0], 100), [(0, 0, 64), (1, 64, 32), (0, 96, 4)]);
        assert!(runs(&[], 0).is_empty());
    }

    #[test]
    fn strategies_have_names() {
        for strategy in CutStrategy::ALL {
            assert_eq!(CutStrategy::named(strategy.name()), Some(strategy));
        }
        assert_eq!(CutStrategy::named("z"), None);
    }
}
