//! Which neurons of the whole network rest: what a shard knows of the sources in others.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Neurons of a region, as a power of two.
const SHIFT: u32 = 10;

/// For each region of 1,024 neurons of the network, how many blocks that reach into it are awake.
///
/// Shards read what others write in the same step, so when exactly a region counts as resting may differ from run to
/// run. That decides when synapses are compressed, never what they do: they are fetched at every spike.
#[derive(Debug)]
pub(in crate::engine) struct Resting {
    regions: Vec<Region>,
}

#[derive(Debug, Default)]
struct Region {
    awake: AtomicU32,
    /// The step in which the last block fell asleep.
    since: AtomicU64,
}

impl Region {
    fn is_out(&self, since: u64) -> bool {
        self.awake.load(Ordering::Acquire) == 0 && self.since.load(Ordering::Acquire) <= since
    }
}

impl Resting {
    /// Of so many neurons, with no blocks yet.
    pub fn new(neurons: u32) -> Self {
        Self { regions: (0..=neurons >> SHIFT).map(|_| Region::default()).collect() }
    }

    fn of(&self, neurons: &Range<u32>) -> &[Region] {
        if neurons.is_empty() {
            return &[];
        }
        &self.regions[(neurons.start >> SHIFT) as usize..=((neurons.end - 1) >> SHIFT) as usize]
    }

    /// A block of these neurons wakes up, or is there to begin with.
    pub fn wake(&self, neurons: &Range<u32>) {
        for region in self.of(neurons) {
            region.awake.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A block of these neurons falls asleep in `step`.
    pub fn rest(&self, neurons: &Range<u32>, step: u64) {
        for region in self.of(neurons) {
            // Before the count, so that whoever sees that none is awake sees since when.
            region.since.fetch_max(step, Ordering::AcqRel);
            region.awake.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether any region of these neurons has been asleep since `step` or longer.
    pub fn any_rested_since(&self, neurons: &Range<u32>, step: u64) -> bool {
        self.of(neurons).iter().any(|region| region.is_out(step))
    }

    /// Whether all blocks of these neurons have been asleep since `step` or longer.
    pub fn rested_since(&self, neurons: &Range<u32>, step: u64) -> bool {
        self.of(neurons).iter().all(|region| region.is_out(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_rests_when_all_its_blocks_do() {
        let resting = Resting::new(5000);
        let blocks = [0..700, 700..2500, 2500..5000];
        blocks.iter().for_each(|block| resting.wake(block));
        assert!(!resting.rested_since(&(0..10), 100));
        resting.rest(&blocks[0], 5);
        assert!(!resting.rested_since(&(0..10), 100), "the second block reaches into the region");
        resting.rest(&blocks[1], 7);
        assert!(resting.rested_since(&(0..1500), 7) && !resting.rested_since(&(0..1500), 6));
        assert!(!resting.rested_since(&(0..3000), 100));
        resting.wake(&blocks[0]);
        assert!(!resting.rested_since(&(1000..1001), 100));
        assert!(resting.rested_since(&(1024..1025), 100));
        assert!(resting.rested_since(&(3..3), 0));
        assert!(resting.any_rested_since(&(0..5000), 7));
    }
}
