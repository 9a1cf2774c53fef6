//! A shard: the neurons one worker owns, the synapses onto them, and their step.

use super::calendar::Calendar;
use super::inactive::{Tiles, Watch};
use super::partition::Part;
use super::procedural::Procedural;
use super::stimulus::{Stimulus, Target};
use crate::compute::clock::ticks;
use crate::compute::input::{all_finite, take, take_with_events};
use crate::compute::records::{Arriving, DeliveryScratch, Sending, SourceRow, prefetch_read};
use crate::compute::simd::Real;
use crate::compute::{HugeVec, Isa, Rows};
use crate::neuron::{Block, Stepper};
use crate::synapse::Store;

/// Neurons stepped at a time: their inputs and state stay in the first-level cache.
pub(super) const TILE: usize = 1024;
/// Most receptors and most state variables of a model.
pub(super) const MAX_RECEPTORS: usize = 8;
pub(super) const MAX_VARIABLES: usize = 16;

/// What a worker does in a step, in order; the names are those of `phases_s`.
pub(super) const PHASES: [&str; 4] = ["exchange", "deliver", "update", "wait"];
pub(super) const EXCHANGE: usize = 0;
pub(super) const DELIVER: usize = 1;
pub(super) const UPDATE: usize = 2;
pub(super) const WAIT: usize = 3;

/// The synapses of a shard in one format, and what is on its way through them.
pub(super) struct Pathway {
    pub store: Store,
    pub calendar: Calendar,
    /// Steps of each delay class.
    pub delays: Vec<u32>,
}

/// Where a receptor's synaptic input comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowKind {
    /// No projection reaches it.
    None,
    Narrow,
    Wide,
}

pub(super) struct ReceptorInput<T> {
    pub kind: RowKind,
    /// First slot.
    pub slot: usize,
    /// Weight of one unit of the row.
    pub unit: T,
    /// Whether a stimulus adds to it.
    pub stimulated: bool,
}

/// Consecutive neurons of one population.
pub(super) struct Slice<T: Real> {
    pub population: usize,
    pub part: Part,
    /// Number in the whole network of the first neuron.
    pub first_neuron: u32,
    pub columns: Vec<HugeVec<T>>,
    pub refractory: HugeVec<u16>,
    pub stepper: Box<dyn Stepper<T>>,
    pub receptors: Vec<ReceptorInput<T>>,
    pub stimuli: Vec<Stimulus<T>>,
    /// Whether any stimulus injects current.
    pub injected: bool,
    /// Which of its tiles rest, if anybody looks.
    pub tiles: Option<Box<Tiles<T>>>,
}

/// What one state recording takes from one slice.
pub(super) struct Probe {
    pub recording: usize,
    pub slice: usize,
    pub columns: Vec<usize>,
    /// (neuron within the slice, its place among the recording's neurons).
    pub neurons: Vec<(u32, u32)>,
    pub every: u64,
    pub from_step: u64,
    pub to_step: u64,
}

impl Probe {
    pub fn due(&self, step: u64) -> bool {
        (step + 1).is_multiple_of(self.every) && (self.from_step..self.to_step).contains(&(step + 1))
    }
}

/// What keeps a run from going on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fault {
    pub step: u64,
    pub what: What,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    /// A state variable was found infinite or NaN.
    NonFinite { population: usize, neuron: u32, variable: usize, value: f64 },
    /// Synapses in lent memory name places that do not exist.
    Damaged,
}

impl Fault {
    /// Orders faults of several shards, so that the same one is told whatever their number.
    pub fn key(&self) -> (u64, usize, u32) {
        match self.what {
            What::Damaged => (self.step, 0, 0),
            What::NonFinite { population, neuron, .. } => (self.step, 1 + population, neuron),
        }
    }
}

pub(super) struct Shard<T: Real> {
    pub slices: Vec<Slice<T>>,
    pub pathways: Vec<Pathway>,
    pub rows: Rows,
    pub probes: Vec<Probe>,
    /// Samples taken since they were last collected: for each due probe in turn, for each variable its neurons.
    pub samples: Vec<f32>,
    /// Spikes since they were last collected: step and neuron of the whole network.
    pub log: Vec<(u64, u32)>,
    pub events: u64,
    /// Segments delivered.
    pub segments: u64,
    /// Ticks spent in each phase but waiting, which is not the shard's.
    pub times: [u64; 4],
    pub fault: Option<Fault>,
    pub scratch: Scratch<T>,
    /// Looks after neurons at rest, if anybody does.
    pub watch: Option<Box<Watch>>,
}

/// Memory a step works in.
pub(super) struct Scratch<T: Real> {
    /// One buffer of a tile for each receptor. On cache lines, as loads across two of them would cost a third.
    inputs: Vec<HugeVec<T>>,
    zeros: HugeVec<T>,
    current: HugeVec<T>,
    delivery: DeliveryScratch,
    heads: Vec<SourceRow>,
}

impl<T: Real> Scratch<T> {
    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let tiles = self.inputs.len() * TILE + self.zeros.len() + self.current.len();
        tiles * size_of::<T>() + self.delivery.bytes() + self.heads.capacity() * size_of::<SourceRow>()
    }

    /// Bytes of it before the first step.
    pub const FRESH_BYTES: usize = (MAX_RECEPTORS + 2) * TILE * size_of::<T>();
}

impl<T: Real> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            inputs: (0..MAX_RECEPTORS).map(|_| HugeVec::zeroed(TILE)).collect(),
            zeros: HugeVec::zeroed(TILE),
            current: HugeVec::zeroed(TILE),
            delivery: DeliveryScratch::default(),
            heads: Vec::new(),
        }
    }
}

impl<T: Real> Shard<T> {
    /// Enters the spikes of the step before `step` into the calendars.
    pub fn exchange<'a>(&mut self, step: u64, spikes: impl Iterator<Item = &'a [u32]> + Clone) {
        if let Some(watch) = &mut self.watch {
            watch.fetch(&mut self.pathways, spikes.clone());
        }
        let heads = &mut self.scratch.heads;
        for Pathway { store, calendar, delays } in &mut self.pathways {
            if store.arena.is_sparse() {
                for neuron in spikes.clone().flatten() {
                    let neuron = *neuron as usize;
                    store.arena.will_need(store.rows[neuron], store.rows.get(neuron + 1).copied());
                }
            }
            // Three passes, so that the table rows and then the heads are on their way from memory all at once.
            for list in spikes.clone() {
                for neuron in list {
                    prefetch_read(&store.rows[*neuron as usize]);
                }
            }
            heads.clear();
            for list in spikes.clone() {
                for neuron in list {
                    let row = store.rows[*neuron as usize];
                    if row.segments() > 0 {
                        store.arena.prefetch_head(row);
                        heads.push(row);
                    }
                }
            }
            // A spike of step s with a delay of d steps arrives in step s + d, and s is `step - 1`.
            let mut sound = true;
            for row in heads.iter() {
                sound &= store.arena.for_each_segment(*row, |class, segment| match delays.get(usize::from(class)) {
                    Some(delay) => calendar.push(step - 1 + u64::from(*delay), segment),
                    None => sound = false,
                });
            }
            if !sound {
                self.fault = Some(Fault { step, what: What::Damaged });
            }
        }
    }

    /// Adds what arrives in `step` to the input rows.
    pub fn deliver(&mut self, isa: Isa, step: u64, drawn: Option<Arriving<'_>>) {
        for Pathway { store, calendar, .. } in &mut self.pathways {
            let arriving = calendar.arriving(step);
            self.segments += arriving.len() as u64;
            self.events += store.arena.deliver(isa, arriving, &mut self.rows, &mut self.scratch.delivery);
            // Afterwards, when the records are in the cache.
            if let Some(watch) = &mut self.watch {
                watch.mark(&store.arena, arriving);
            }
            calendar.clear(step);
        }
        if let Some(drawn) = drawn {
            if let Some(watch) = &mut self.watch {
                watch.mark_drawn(&drawn);
            }
            self.events += drawn.deliver(&mut self.rows);
        }
        if self.rows.stray() > 0 {
            self.fault = Some(Fault { step, what: What::Damaged });
        }
    }

    /// Steps all neurons; their spikes go to `out` and the log.
    pub fn update(&mut self, isa: Isa, step: u64, out: &mut Vec<u32>) {
        let mut looks = false;
        if let Some(watch) = &mut self.watch {
            watch.rouse(step, &mut self.slices);
            looks = watch.looks(step);
        }
        for slice in &mut self.slices {
            let from = out.len();
            if !slice.step(isa, step, looks, &mut self.rows, &mut self.scratch, out) && self.fault.is_none() {
                self.fault = slice.find_fault(step);
            }
            self.log.extend(out[from..].iter().map(|neuron| (step, *neuron)));
        }
        self.rows.end_step();
        for probe in &self.probes {
            if probe.due(step) {
                let slice = &self.slices[probe.slice];
                for column in &probe.columns {
                    let column = &slice.columns[*column];
                    self.samples.extend(probe.neurons.iter().map(|(i, _)| column[*i as usize].to_f64() as f32));
                }
            }
        }
    }

    /// One step between two barriers, timed by phase; gives the ticks at its beginning and after each phase.
    pub fn step<'a>(
        &mut self,
        isa: Isa,
        step: u64,
        received: impl Iterator<Item = &'a [u32]> + Clone,
        drawn: Option<Arriving<'_>>,
        out: &mut Vec<u32>,
    ) -> [u64; 4] {
        let start = ticks();
        if step > 0 {
            self.exchange(step, received);
        }
        let exchanged = ticks();
        self.deliver(isa, step, drawn);
        let delivered = ticks();
        self.update(isa, step, out);
        let updated = ticks();
        // Not part of the update, whose time tells what steps cost.
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.looks(step)) {
            watch.tend(step, &mut self.slices, &mut self.pathways, &mut self.rows);
        }
        self.times[EXCHANGE] += exchanged.wrapping_sub(start);
        self.times[DELIVER] += delivered.wrapping_sub(exchanged);
        self.times[UPDATE] += updated.wrapping_sub(delivered);
        [start, exchanged, delivered, updated]
    }

    /// Draws the synapses of procedural projections of the neurons that spiked, and sends them on their way.
    pub fn send(&mut self, procedural: &Procedural, shard: usize, spikes: &[u32], to: &mut Sending<'_>) {
        let start = ticks();
        procedural.send(shard, spikes, to);
        self.times[EXCHANGE] += ticks().wrapping_sub(start);
    }
}

impl<T: Real> Slice<T> {
    /// Steps the neurons of the slice, but for tiles at rest; false if a membrane potential (the first column) became
    /// non-finite. With `looks`, tiles that a step leaves as they were go to rest.
    fn step(
        &mut self,
        isa: Isa,
        step: u64,
        looks: bool,
        rows: &mut Rows,
        scratch: &mut Scratch<T>,
        out: &mut Vec<u32>,
    ) -> bool {
        let padded = self.part.padded();
        let mut finite = true;
        let Some(mut tiles) = self.tiles.take_if(|tiles| looks || tiles.asleep() > 0) else {
            let mut offset = 0;
            while offset < padded {
                let len = TILE.min(padded - offset);
                self.gather(isa, step, offset, len, rows, scratch);
                finite &= self.advance(isa, step, offset, len, scratch, out);
                offset += len;
            }
            return finite;
        };
        for word in 0..tiles.words() {
            let mut bits = tiles.word(word);
            while bits != 0 {
                let tile = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let offset = tile * TILE;
                let len = TILE.min(padded - offset);
                self.gather(isa, step, offset, len, rows, scratch);
                let quiet = looks && tiles.may_rest(tile, step) && self.is_quiet(offset, len, scratch);
                if quiet {
                    tiles.note(&self.columns, offset..offset + len);
                }
                let spikes = out.len();
                finite &= self.advance(isa, step, offset, len, scratch, out);
                if quiet && out.len() == spikes {
                    tiles.rest_if_unchanged(tile, step, &*self.stepper, &self.columns, offset..offset + len);
                }
            }
        }
        self.tiles = Some(tiles);
        finite
    }

    /// Whether a tile has neither input nor refractory neurons, after its input has been gathered.
    fn is_quiet(&self, offset: usize, len: usize, scratch: &Scratch<T>) -> bool {
        let silent = |(input, buffer): (&ReceptorInput<T>, &HugeVec<T>)| {
            let read = input.stimulated || !matches!(input.kind, RowKind::None);
            !read || buffer[..len].iter().all(|x| *x == T::ZERO)
        };
        self.receptors.iter().zip(&scratch.inputs).all(silent)
            && self.refractory[offset..offset + len].iter().all(|steps| *steps == 0)
    }

    /// Takes the input of the tile `offset..offset + len` out of the rows and adds what stimuli do.
    #[inline]
    fn gather(&mut self, isa: Isa, step: u64, offset: usize, len: usize, rows: &mut Rows, scratch: &mut Scratch<T>) {
        // The first stimulus is taken in along with the row of its receptor where that is possible.
        let mut merged = 0;
        for (receptor, (input, buffer)) in self.receptors.iter().zip(&mut scratch.inputs).enumerate() {
            let first = input.slot + offset;
            let buffer = &mut buffer[..len];
            match input.kind {
                RowKind::Narrow => {
                    let events = self.stimuli.first().filter(|s| s.merges(receptor, step));
                    if let Some(stimulus) = events {
                        let events = stimulus.events(self.part.first, step, offset, buffer);
                        take_with_events(isa, rows, first, input.unit, events);
                        merged = 1;
                    } else {
                        take(isa, rows, false, first, input.unit, buffer);
                    }
                }
                RowKind::Wide => take(isa, rows, true, first, input.unit, buffer),
                RowKind::None if input.stimulated => buffer.fill(T::ZERO),
                RowKind::None => {}
            }
        }
        if self.injected {
            scratch.current[..len].fill(T::ZERO);
        }
        for stimulus in &mut self.stimuli[merged..] {
            let current = &mut scratch.current[..len];
            let target = Target { step, offset, len, inputs: &mut scratch.inputs, current };
            stimulus.add(isa, self.part.first, target);
        }
    }

    /// Steps the tile `offset..offset + len`, whose input was gathered; false if the first column became non-finite.
    #[inline]
    fn advance(
        &mut self,
        isa: Isa,
        step: u64,
        offset: usize,
        len: usize,
        scratch: &Scratch<T>,
        out: &mut Vec<u32>,
    ) -> bool {
        let padded = self.part.padded();
        let mut finite = true;
        let mut inputs = [&scratch.zeros[..len]; MAX_RECEPTORS];
        for ((slot, input), buffer) in inputs.iter_mut().zip(&self.receptors).zip(&scratch.inputs) {
            if input.stimulated || !matches!(input.kind, RowKind::None) {
                *slot = &buffer[..len];
            }
        }
        let count = self.columns.len();
        let mut columns = self.columns.iter_mut();
        let mut columns: [&mut [T]; MAX_VARIABLES] = std::array::from_fn(|_| match columns.next() {
            Some(column) => &mut column[offset..offset + len],
            None => &mut [],
        });
        let mut spikes = [0u32; TILE / 32];
        let words = len / 32;
        self.stepper.step(&mut Block {
            step,
            offset,
            len,
            inputs: &inputs[..self.receptors.len()],
            current: self.injected.then_some(&scratch.current[..len]),
            columns: &mut columns[..count],
            refractory: &mut self.refractory[offset..offset + len],
            spikes: &mut spikes[..words],
        });
        if count > 0 {
            finite = all_finite(isa, &self.columns[0][offset..offset + len]);
        }
        if offset + len == padded && !self.part.len.is_multiple_of(32) {
            spikes[words - 1] &= u32::MAX >> (32 - self.part.len % 32);
        }
        for (word, bits) in spikes[..words].iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let neuron = offset as u32 + word as u32 * 32 + bits.trailing_zeros();
                out.push(self.first_neuron + neuron);
                bits &= bits - 1;
            }
        }
        finite
    }

    /// The first neuron with a non-finite variable; padding neurons do not count.
    fn find_fault(&self, step: u64) -> Option<Fault> {
        let len = self.part.len as usize;
        self.columns.iter().enumerate().find_map(|(variable, column)| {
            let i = column[..len].iter().position(|x| !x.finite())?;
            let neuron = self.part.first + i as u32;
            let value = column[i].to_f64();
            Some(Fault { step, what: What::NonFinite { population: self.population, neuron, variable, value } })
        })
    }
}
