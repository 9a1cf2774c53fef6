//! What a shard does about neurons at rest: finding them, waking them, putting their memory away.

use super::figures::{Activity, InactiveFigures};
use super::resting::Resting;
use super::{Inactive, Tiles};
use crate::compute::Rows;
use crate::compute::records::{Arena, Arriving, Segment};
use crate::compute::simd::Real;
use crate::engine::shard::{Pathway, RowKind, Shard, Slice, TILE};
use crate::synapse::Dormancy;
use std::sync::Arc;

/// Steps between two looks for blocks at rest. A look costs a block that seems quiet about half a step.
pub(super) const CHECK: u64 = 64;
/// Bytes of synapses, and blocks of state, put away at a look. Bounds the time a look takes to about a tenth of a second.
const BUDGET: usize = 32 << 20;
const TILES: usize = 4096;
/// Slots that share a mark, as a power of two: a multiple of a block of 32 neurons, far fewer than a tile.
const MARK: u32 = 8;
/// Blocks sleep only where at least one in so many of a shard does.
const FEW: usize = 8;
/// Events that cost as much to mark as stepping a block once saves: about 0.4 ns each against 80 ns.
const EVENTS_OF_A_STEP: u64 = 200;
/// Looks left out after skipping blocks did not pay.
const PAUSE: u64 = 16;

/// A shard's view of neurons at rest.
pub(in crate::engine) struct Watch {
    /// Steps a block rests before it is compressed; longer than any delay, so that nothing of its neurons is in flight.
    after: u64,
    synapses: bool,
    resting: Arc<Resting>,
    /// One for each stretch of slots: something arrived there in this step.
    marks: Vec<u8>,
    /// For each mark, the first of its blocks in `targets`.
    starts: Vec<u32>,
    /// (slice, block) of the slots of each mark.
    targets: Vec<(u32, u32)>,
    /// For each pathway, once there is something to put away.
    dormant: Vec<Option<Dormancy>>,
    tiles: usize,
    /// Neurons of the shard.
    neurons: u64,
    /// Blocks at rest; counted when that may have changed.
    asleep: usize,
    /// Neurons stepped.
    activity: Option<Activity>,
    /// Since the last look: events marked, blocks skipped.
    marked: u64,
    skipped: u64,
    /// No block is put to sleep before this step.
    from: u64,
}

/// Gives every shard a watch over its neurons.
///
/// `after` is in steps, `longest` the longest delay, `neurons` the number of neurons of the network.
pub(in crate::engine) fn install<T: Real>(
    shards: &mut [Shard<T>],
    options: &Inactive,
    dt: f64,
    longest: u32,
    neurons: u32,
) {
    let resting = Arc::new(Resting::new(neurons));
    let after = (options.after / dt).ceil() as u64;
    for shard in shards {
        for slice in &mut shard.slices {
            let tiles = Tiles::new(slice, &shard.rows, options.tolerance, resting.clone());
            slice.tiles = Some(Box::new(tiles));
        }
        shard.watch = Some(Box::new(Watch::new(shard, after.max(u64::from(longest) + 1), options, resting.clone())));
    }
}

impl Watch {
    fn new<T: Real>(shard: &Shard<T>, after: u64, options: &Inactive, resting: Arc<Resting>) -> Self {
        let marks = (shard.rows.slots() >> MARK) + 1;
        let mut of_mark: Vec<Vec<(u32, u32)>> = vec![Vec::new(); marks];
        let (mut tiles, mut neurons) = (0, 0);
        for (number, slice) in shard.slices.iter().enumerate() {
            let padded = slice.part.padded();
            tiles += padded.div_ceil(TILE);
            neurons += u64::from(slice.part.len);
            for receptor in slice.receptors.iter().filter(|r| !matches!(r.kind, RowKind::None)) {
                for tile in 0..padded.div_ceil(TILE) {
                    let (first, last) = (tile * TILE, ((tile + 1) * TILE).min(padded) - 1);
                    let touched = (receptor.slot + first) >> MARK..=(receptor.slot + last) >> MARK;
                    for targets in &mut of_mark[touched] {
                        targets.push((number as u32, tile as u32));
                    }
                }
            }
        }
        let mut starts = Vec::with_capacity(marks + 1);
        let mut targets = Vec::new();
        for of_mark in of_mark {
            starts.push(targets.len() as u32);
            targets.extend(of_mark);
        }
        starts.push(targets.len() as u32);
        Self {
            after,
            synapses: options.synapses,
            resting,
            marks: vec![0; marks.next_multiple_of(8)],
            starts,
            targets,
            dormant: shard.pathways.iter().map(|_| None).collect(),
            tiles,
            neurons,
            asleep: 0,
            activity: None,
            marked: 0,
            skipped: 0,
            from: 0,
        }
    }

    /// Whether `step` is one in which blocks are looked at.
    #[inline]
    pub fn looks(&self, step: u64) -> bool {
        step % CHECK == CHECK - 1 && step >= self.from
    }

    /// Fetches the synapses of neurons that spiked, where they are away.
    #[inline]
    pub fn fetch<'a>(&mut self, pathways: &mut [Pathway], spikes: impl Iterator<Item = &'a [u32]> + Clone) {
        for (dormant, pathway) in self.dormant.iter_mut().zip(pathways) {
            let Some(dormant) = dormant.as_mut().filter(|dormant| dormant.is_any_away()) else { continue };
            for neuron in spikes.clone().flatten() {
                dormant.fetch_row(&mut pathway.store, *neuron);
            }
            for neuron in spikes.clone().flatten() {
                let row = pathway.store.rows[*neuron as usize];
                if row.segments() > 0 {
                    dormant.fetch_records(&mut pathway.store, row);
                }
            }
        }
    }

    /// Fetches all synapses.
    pub fn fetch_all(&mut self, pathways: &mut [Pathway]) {
        for (dormant, pathway) in self.dormant.iter_mut().zip(pathways) {
            if let Some(dormant) = dormant {
                dormant.fetch_all(&mut pathway.store);
            }
        }
    }

    /// Notes where the events of `segments` go, if anybody there may be asleep.
    #[inline]
    pub fn mark(&mut self, arena: &Arena, segments: &[Segment]) {
        if self.asleep > 0 {
            arena.mark(segments, MARK, &mut self.marks);
            self.marked += segments.iter().map(|segment| u64::from(segment.count())).sum::<u64>();
        }
    }

    /// As [`mark`](Self::mark), for synapses that are drawn.
    #[inline]
    pub fn mark_drawn(&mut self, drawn: &Arriving<'_>) {
        if self.asleep > 0 {
            self.marked += drawn.mark(MARK, &mut self.marks);
        }
    }

    /// Wakes the blocks that events or stimuli reach in `step`.
    pub fn rouse<T: Real>(&mut self, step: u64, slices: &mut [Slice<T>]) {
        let activity = self.activity.get_or_insert_with(|| Activity::new(step, CHECK));
        if self.asleep == 0 {
            activity.note(self.neurons);
            return;
        }
        for word in 0..self.marks.len() / 8 {
            let eight: &mut [u8; 8] = (&mut self.marks[word * 8..word * 8 + 8]).try_into().expect("eight bytes");
            if u64::from_ne_bytes(*eight) == 0 {
                continue;
            }
            let marked = std::mem::take(eight);
            for mark in (0..8).filter(|i| marked[*i] != 0).map(|i| word * 8 + i) {
                for target in self.starts[mark]..self.starts[mark + 1] {
                    let (slice, tile) = self.targets[target as usize];
                    let Slice { tiles, columns, .. } = &mut slices[slice as usize];
                    if let Some(tiles) = tiles {
                        tiles.wake(tile as usize, columns);
                    }
                }
            }
        }
        let mut stepped = 0u64;
        self.asleep = 0;
        for Slice { tiles, columns, part, .. } in slices.iter_mut() {
            let Some(tiles) = tiles else { continue };
            tiles.wake_by_stimuli(step, columns);
            // Blocks hold as many neurons each, but for the last; that is near enough for a share.
            let awake = (tiles.number() - tiles.asleep()) as u64;
            stepped += awake * u64::from(part.len) / tiles.number() as u64;
            self.asleep += tiles.asleep();
        }
        activity.note(stepped);
        self.skipped += self.asleep as u64;
    }

    /// After a step in which blocks were looked at: decides whether sleeping pays, and puts memory away.
    pub fn tend<T: Real>(&mut self, step: u64, slices: &mut [Slice<T>], pathways: &mut [Pathway], rows: &mut Rows) {
        let asleep = slices.iter().filter_map(|slice| slice.tiles.as_ref()).map(|tiles| tiles.asleep()).sum();
        self.asleep = asleep;
        let (marked, skipped) = (std::mem::take(&mut self.marked), std::mem::take(&mut self.skipped));
        if asleep > 0 && (asleep * FEW < self.tiles || marked > skipped.saturating_mul(EVENTS_OF_A_STEP).max(1)) {
            for Slice { tiles, columns, .. } in slices.iter_mut() {
                if let Some(tiles) = tiles {
                    tiles.wake_all(columns);
                }
            }
            self.asleep = 0;
            self.from = step + PAUSE * CHECK;
            return;
        }
        let Some(since) = step.checked_sub(self.after) else { return };
        for slice in slices.iter_mut() {
            compress(slice, since, rows);
        }
        // Also where no block of this shard is asleep: sources in others may be.
        if self.synapses {
            let mut budget = BUDGET;
            for (dormant, pathway) in self.dormant.iter_mut().zip(pathways) {
                let sources = 0..pathway.store.rows.len() as u32;
                if dormant.is_none() && !self.resting.any_rested_since(&sources, since) {
                    continue;
                }
                let dormant = dormant.get_or_insert_with(|| Dormancy::new(&pathway.store));
                dormant.put_away(&mut pathway.store, |sources| self.resting.rested_since(sources, since), &mut budget);
            }
        }
    }

    /// Adds what this shard did; its activity goes to `activity`.
    pub fn tell(&self, figures: &mut InactiveFigures, activity: &mut Option<Activity>) {
        for dormant in self.dormant.iter().flatten() {
            let codec = dormant.figures();
            figures.synapse_bytes_saved += codec.raw_bytes.saturating_sub(codec.packed_bytes);
            figures.add_codec(codec);
        }
        match (activity, &self.activity) {
            (Some(sum), Some(own)) => sum.add(own),
            (sum @ None, Some(own)) => *sum = Some(own.clone()),
            (_, None) => {}
        }
    }
}

/// Compresses the blocks of a slice that have rested since `since`, with their refractory counters and input sums.
fn compress<T: Real>(slice: &mut Slice<T>, since: u64, rows: &mut Rows) {
    let Slice { tiles, columns, refractory, receptors, part, .. } = slice;
    let Some(tiles) = tiles else { return };
    // Small arrays lie beside other things, and keep their memory.
    if !columns.iter().all(|column| column.releases()) {
        return;
    }
    let mut compressed = Vec::new();
    while compressed.len() < TILES {
        let Some(tile) = tiles.next_to_compress(since) else { break };
        tiles.compress(tile, columns);
        compressed.push(tile);
    }
    compressed.sort_unstable();
    // What is zero at rest is given back for runs of blocks, as that of a single one does not fill a page.
    for run in tiles.compressed_runs(&compressed, 16) {
        let neurons = run.start * TILE..(run.end * TILE).min(part.padded());
        refractory.release(neurons.clone());
        for receptor in receptors.iter().filter(|r| !matches!(r.kind, RowKind::None)) {
            rows.release(receptor.slot + neurons.start..receptor.slot + neurons.end);
        }
    }
}
