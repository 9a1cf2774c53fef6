//! The blocks of one slice: which are awake, and what wakes the others.

use super::StateCompressor;
use super::figures::InactiveFigures;
use super::resting::Resting;
use crate::compute::simd::Real;
use crate::compute::{HugeVec, Rows};
use crate::engine::shard::{RowKind, Slice, TILE};
use crate::engine::stimulus::Hold;
use crate::neuron::Stepper;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// The blocks (tiles of the update loop) of a slice.
pub(in crate::engine) struct Tiles<T> {
    /// One bit for each.
    awake: Vec<u64>,
    number: usize,
    asleep: usize,
    /// For each, the step in which it fell asleep.
    since: Vec<u64>,
    /// Those that fell asleep and were not looked at again, in order: (step, block). Some woke up in between.
    fallen: VecDeque<(u64, u32)>,
    compressor: StateCompressor<T>,
    /// Blocks whose state is recorded: it stays where it is.
    recorded: Vec<bool>,
    /// Whether the neuron model rests at all.
    rests: bool,
    /// Unrest below which a block is put to sleep though it still decays.
    tolerance: Option<f64>,
    drives: Vec<Drive>,
    /// Neurons of the network.
    neurons: Range<u32>,
    resting: Arc<Resting>,
    wake_ups: u64,
    /// Bytes of refractory counters and input sums of a block, which are zero while it rests.
    beside: u64,
    /// Those of compressed blocks.
    released: u64,
    /// State before a step.
    before: Vec<T>,
}

/// What a stimulus does to blocks.
enum Drive {
    /// It acts on these blocks in these steps; they wake when it begins and ends, and with `pins` cannot rest between.
    Window { steps: Range<u64>, on: Vec<bool>, pins: bool },
    /// It wakes blocks in single steps: (step, block), ascending.
    Events(Vec<(u64, u32)>),
}

impl<T: Real> Tiles<T> {
    /// Of a slice, all awake.
    pub fn new(slice: &Slice<T>, rows: &Rows, tolerance: Option<f64>, resting: Arc<Resting>) -> Self {
        let Slice { part, first_neuron, stepper, stimuli, receptors, refractory, injected, .. } = slice;
        let of_rows = receptors.iter().map(|receptor| match receptor.kind {
            RowKind::Narrow if rows.releases(false) => size_of::<i16>(),
            RowKind::Wide if rows.releases(true) => size_of::<i32>(),
            _ => 0,
        });
        let counters = if refractory.releases() { size_of::<u16>() } else { 0 };
        let beside = (TILE * (counters + of_rows.sum::<usize>())) as u64;
        let padded = part.padded();
        let number = padded.div_ceil(TILE);
        let mut awake = vec![u64::MAX; number.div_ceil(64)];
        if !number.is_multiple_of(64) {
            awake[number / 64] = (1 << (number % 64)) - 1;
        }
        let drives = stimuli.iter().map(|stimulus| match stimulus.hold() {
            Hold::Events(events) => {
                let mut events: Vec<(u64, u32)> =
                    events.iter().map(|(step, neuron)| (*step, neuron / TILE as u32)).collect();
                events.dedup();
                Drive::Events(events)
            }
            hold => {
                let on = (0..padded).step_by(TILE).map(|offset| stimulus.acts_on(offset, TILE.min(padded - offset)));
                Drive::Window { steps: stimulus.active(), on: on.collect(), pins: matches!(hold, Hold::Varies) }
            }
        });
        let drives = drives.collect();
        let tiles = Self {
            awake,
            number,
            asleep: 0,
            since: vec![0; number],
            fallen: VecDeque::new(),
            compressor: StateCompressor::new(padded, TILE),
            recorded: vec![false; number],
            rests: stepper.rests(),
            tolerance: tolerance.filter(|_| !injected),
            drives,
            neurons: *first_neuron..first_neuron + part.len,
            resting,
            wake_ups: 0,
            beside,
            released: 0,
            before: Vec::new(),
        };
        (0..number).for_each(|tile| tiles.resting.wake(&tiles.neurons_of(tile)));
        tiles
    }

    /// Neurons of the network in a block.
    fn neurons_of(&self, tile: usize) -> Range<u32> {
        let first = self.neurons.start + (tile * TILE) as u32;
        first..(first + TILE as u32).min(self.neurons.end)
    }

    pub fn number(&self) -> usize {
        self.number
    }

    pub fn asleep(&self) -> usize {
        self.asleep
    }

    /// Words of the bits of blocks that are awake.
    pub fn words(&self) -> usize {
        self.awake.len()
    }

    pub fn word(&self, word: usize) -> u64 {
        self.awake[word]
    }

    pub fn is_awake(&self, tile: usize) -> bool {
        self.awake[tile / 64] >> (tile % 64) & 1 != 0
    }

    /// Says that the state of these neurons of the part is recorded.
    pub fn keep(&mut self, neurons: impl Iterator<Item = u32>) {
        for neuron in neurons {
            self.recorded[neuron as usize / TILE] = true;
        }
    }

    /// Wakes a block, whose state is put back if it was compressed.
    #[inline]
    pub fn wake(&mut self, tile: usize, columns: &mut [HugeVec<T>]) {
        if !self.is_awake(tile) {
            self.awake[tile / 64] |= 1 << (tile % 64);
            self.asleep -= 1;
            self.wake_ups += 1;
            if self.compressor.decompress(tile * TILE, columns) {
                self.released -= self.beside;
            }
            self.resting.wake(&self.neurons_of(tile));
        }
    }

    /// Wakes all blocks.
    pub fn wake_all(&mut self, columns: &mut [HugeVec<T>]) {
        (0..self.number).for_each(|tile| self.wake(tile, columns));
    }

    /// Wakes the blocks that stimuli do something new to in `step`.
    pub fn wake_by_stimuli(&mut self, step: u64, columns: &mut [HugeVec<T>]) {
        if self.asleep == 0 {
            return;
        }
        let drives = std::mem::take(&mut self.drives);
        for drive in &drives {
            match drive {
                Drive::Window { steps, on, .. } if steps.start == step || steps.end == step => {
                    on.iter().enumerate().filter(|(_, on)| **on).for_each(|(tile, _)| self.wake(tile, columns));
                }
                Drive::Window { .. } => {}
                Drive::Events(events) => {
                    let from = events.partition_point(|(at, _)| *at < step);
                    let now = events[from..].iter().take_while(|(at, _)| *at == step);
                    now.for_each(|(_, tile)| self.wake(*tile as usize, columns));
                }
            }
        }
        self.drives = drives;
    }

    /// Whether a block may be found at rest in `step`, as far as model and stimuli go.
    pub fn may_rest(&self, tile: usize, step: u64) -> bool {
        let pinned = |drive: &Drive| match drive {
            Drive::Window { steps, on, pins } => *pins && on[tile] && steps.contains(&step),
            Drive::Events(_) => false,
        };
        self.rests && !self.drives.iter().any(pinned)
    }

    /// Notes the state of a block before a step.
    pub fn note(&mut self, columns: &[HugeVec<T>], range: Range<usize>) {
        self.before.clear();
        columns.iter().for_each(|column| self.before.extend_from_slice(&column[range.clone()]));
    }

    /// Puts a block to sleep if its state is bit for bit what was noted, or near enough to rest where that is allowed.
    pub fn rest_if_unchanged(
        &mut self,
        tile: usize,
        step: u64,
        stepper: &dyn Stepper<T>,
        columns: &[HugeVec<T>],
        range: Range<usize>,
    ) {
        let same = columns.iter().zip(self.before.chunks(range.len())).all(|(column, before)| {
            // Numbers that are equal may differ in the sign of zero.
            column[range.clone()].iter().zip(before).all(|(x, y)| x.to_f64().to_bits() == y.to_f64().to_bits())
        });
        let near = || {
            let tolerance = self.tolerance?;
            let columns: Vec<&[T]> = columns.iter().map(|column| &column[range.clone()]).collect();
            stepper.unrest(range.start, &columns).filter(|unrest| *unrest <= tolerance)
        };
        if same || near().is_some() {
            self.awake[tile / 64] &= !(1 << (tile % 64));
            self.asleep += 1;
            self.since[tile] = step;
            self.fallen.push_back((step, tile as u32));
            self.resting.rest(&self.neurons_of(tile), step);
        }
    }

    /// The next block that has been at rest since `step` or longer, lies uncompressed and may be compressed.
    pub fn next_to_compress(&mut self, step: u64) -> Option<usize> {
        while let Some((since, tile)) = self.fallen.front().copied().filter(|(since, _)| *since <= step) {
            self.fallen.pop_front();
            let tile = tile as usize;
            if !self.is_awake(tile) && self.since[tile] == since && !self.recorded[tile] {
                return Some(tile);
            }
        }
        None
    }

    /// Compresses the state of a block at rest.
    pub fn compress(&mut self, tile: usize, columns: &mut [HugeVec<T>]) {
        if !self.compressor.is_compressed(tile) {
            self.compressor.compress(tile, columns);
            self.released += self.beside;
        }
    }

    /// Runs of compressed blocks that one of `tiles` (ascending) lies in, with at most `around` neighbours on each side.
    pub fn compressed_runs(&self, tiles: &[usize], around: usize) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for tile in tiles {
            if runs.last().is_some_and(|run| run.contains(tile)) {
                continue;
            }
            let compressed = |tile: &usize| self.compressor.is_compressed(*tile);
            let before = (0..*tile).rev().take(around).take_while(compressed).count();
            let mut end = tile + 1 + (tile + 1..self.number).take(around).take_while(compressed).count();
            while end < self.number && compressed(&end) && tiles.binary_search(&end).is_ok() {
                end += 1;
            }
            runs.push(tile - before..end);
        }
        runs
    }

    /// A state variable of a neuron of the part, if its block is compressed.
    pub fn compressed_value(&self, variable: usize, neuron: usize) -> Option<T> {
        self.compressor.value(variable, neuron)
    }

    /// Copies what is compressed of a state variable to its places in a copy of the column.
    pub fn fill_in(&self, variable: usize, column: &mut [T]) {
        self.compressor.fill_in(variable, column);
    }

    /// Adds what happened here.
    pub fn tell(&self, figures: &mut InactiveFigures) {
        let codec = self.compressor.figures();
        figures.blocks += self.number as u64;
        figures.resting += self.asleep as u64;
        figures.wake_ups += self.wake_ups;
        figures.state_bytes_saved += (codec.raw_bytes + self.released).saturating_sub(codec.packed_bytes);
        figures.add_codec(codec);
    }
}
