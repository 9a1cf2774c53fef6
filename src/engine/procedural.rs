//! Projections whose synapses are not kept: those of a source are drawn again whenever it spikes.
//!
//! The shard that owns the source draws them, once for all shards, right after the step in which it spiked, and sends the
//! records to the steps and shards of their arrival ([`Transit`]). What is drawn is a pure function of seed, projection
//! and source ([`Wiring::append`]), the same that construction would store; sums over synapses are integers, so that it
//! does not matter where records come from.

use super::connectivity::Record;
use super::partition::{Partition, Slot};
use super::pathways::nearest;
use super::recorder::Spike;
use super::routing::Routing;
use crate::compute::Crew;
use crate::compute::records::{Each, Places, Sending, Transit, Transits};
use crate::model::wiring::{Levels, StoredBuffer, SynapseBuffer, Wiring};
use crate::model::{BrainModel, DelaySampler, DelaySpec, Distribution, Sampler, StepTable, SynapseStorage};
use crate::synapse::WeightGrid;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A projection that is drawn at every spike.
#[derive(Debug)]
struct Lane {
    /// Its number in the network.
    projection: usize,
    wiring: Arc<dyn Wiring>,
    routing: Routing,
    target: usize,
    /// For each receptor of the target, how it takes weights.
    receptors: Vec<Entry>,
    /// The delay of all synapses, if they have one.
    delay: Option<u32>,
    /// The weight of all synapses, if they have one.
    weight: Option<f64>,
    /// Tables to draw from, where the rule takes them and weights have one receptor.
    tables: Option<Tables>,
}

/// Tables of stored weights and of delays; `None` where all synapses of a lane have the same.
#[derive(Debug)]
struct Tables {
    weight: Option<Arc<StepTable>>,
    delay: Option<Arc<StepTable>>,
}

/// A table that projections share; `None` if there can be none.
type Shared = Option<Arc<StepTable>>;

/// Tables by what they are made of: projections that draw from the same distribution share them, which leaves more of the
/// caches for others.
#[derive(Default)]
struct Shelf {
    weights: Vec<((Distribution, u64), Shared)>,
    delays: Vec<(DelaySpec, Shared)>,
}

impl Shelf {
    /// The table of the stored weights of a distribution; `None` if there can be none.
    fn weight(&mut self, spec: &Distribution, sampler: &Sampler, per_unit: f64) -> Option<Arc<StepTable>> {
        let key = (spec.clone(), per_unit.to_bits());
        if let Some((_, known)) = self.weights.iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        let table = StepTable::new(|word| nearest(sampler.sample(word) * per_unit)).map(Arc::new);
        self.weights.push((key, table.clone()));
        table
    }

    /// The table of delays; `None` if there can be none.
    fn delay(&mut self, spec: &DelaySpec, sampler: &DelaySampler) -> Option<Arc<StepTable>> {
        if let Some((_, known)) = self.delays.iter().find(|(known, _)| known == spec) {
            return known.clone();
        }
        let table = StepTable::new(|word| sampler.sample(word) as i32).map(Arc::new);
        self.delays.push((spec.clone(), table.clone()));
        table
    }
}

/// How a receptor takes synapses.
#[derive(Debug)]
struct Entry {
    /// One over the unit of stored weights.
    per_unit: f64,
    /// Whether its sums are in the wide row.
    wide: bool,
    places: Arc<Places>,
}

/// The procedural projections of a network, ready to draw the synapses of any source.
#[derive(Debug)]
pub(super) struct Generator {
    /// First neuron of each population.
    firsts: Vec<u32>,
    /// Lanes of each source population.
    lanes: Vec<Vec<Lane>>,
    slots: Arc<[usize]>,
    synapses: u64,
    longest: u32,
}

/// Memory to draw in.
#[derive(Debug, Default)]
struct Scratch {
    buffer: SynapseBuffer,
    stored: StoredBuffer,
    weights: Vec<i32>,
    /// For each receptor: targets, weights and delays of synapses that go there.
    sorted: Vec<(Vec<u32>, Vec<i32>, Vec<u32>)>,
}

impl Generator {
    /// The procedural projections of `model`; `None` if it has none. `wirings` are those of all projections.
    pub fn new(
        model: &BrainModel,
        wirings: Vec<Box<dyn Wiring>>,
        grids: &[Vec<Option<WeightGrid>>],
        partition: &Partition,
        crew: &Crew,
    ) -> Option<Self> {
        let procedural = |(i, _): &(usize, Box<dyn Wiring>)| is_procedural(model, *i);
        let chosen: Vec<(usize, Arc<dyn Wiring>)> =
            wirings.into_iter().enumerate().filter(procedural).map(|(i, wiring)| (i, wiring.into())).collect();
        if chosen.is_empty() {
            return None;
        }
        let sources = |i: usize| model.populations()[model.spec().projections[i].source.0].size();
        let synapses =
            chosen.iter().map(|(i, wiring)| wiring.exact().unwrap_or_else(|| count(&**wiring, sources(*i), crew)));
        let synapses = synapses.sum();
        Some(Self::laid_out(model, chosen, grids, partition, synapses))
    }

    fn laid_out(
        model: &BrainModel,
        chosen: Vec<(usize, Arc<dyn Wiring>)>,
        grids: &[Vec<Option<WeightGrid>>],
        partition: &Partition,
        synapses: u64,
    ) -> Self {
        let populations = model.populations();
        let slots: Arc<[usize]> = partition.slots.as_slice().into();
        // Places of each population and receptor, made when they are first needed.
        let mut places: Vec<Vec<Option<Arc<Places>>>> =
            populations.iter().map(|p| vec![None; p.receptors().len()]).collect();
        let mut lanes: Vec<Vec<Lane>> = populations.iter().map(|_| Vec::new()).collect();
        let mut longest = 1;
        let mut shelf = Shelf::default();
        for (projection, wiring) in chosen {
            let spec = &model.spec().projections[projection];
            let target = spec.target.0;
            let receptors = grids[target].iter().enumerate().map(|(receptor, grid)| {
                let at = || {
                    let of = |b: &super::partition::BlockPlace| (b.shard, b.slot + b.stride * receptor as u32);
                    Arc::new(Places::new(partition.blocks[target].iter().map(of).collect(), slots.clone()))
                };
                Entry {
                    per_unit: grid.map_or(1.0, |g| 1.0 / g.unit),
                    wide: partition.wide() || grid.is_some_and(|g| g.bits != 16),
                    places: places[target][receptor].get_or_insert_with(at).clone(),
                }
            });
            let receptors: Vec<Entry> = receptors.collect();
            let routing = Routing::new(populations[target].receptors(), model.projection_receptor(projection));
            let tables = wiring.redraws().zip(routing.single()).and_then(|(from, receptor)| {
                let weight = from.weights.map(|s| shelf.weight(&spec.weight, s, receptors[receptor].per_unit));
                let delay = from.delays.map(|s| shelf.delay(&spec.delay, s));
                // A projection that draws but has no table goes the long way.
                Some(Tables {
                    weight: weight.map_or(Some(None), |t| t.map(Some))?,
                    delay: delay.map_or(Some(None), |t| t.map(Some))?,
                })
            });
            let (low, high) = wiring.delays();
            longest = longest.max(high);
            lanes[spec.source.0].push(Lane {
                projection,
                routing,
                target,
                receptors,
                tables,
                delay: (low == high).then_some(low),
                weight: wiring.weights().constant,
                wiring,
            });
        }
        Self { firsts: populations.iter().map(|p| p.first()).collect(), lanes, slots, synapses, longest }
    }

    /// The same projections for another cut of the network.
    pub fn relaid(&self, model: &BrainModel, grids: &[Vec<Option<WeightGrid>>], partition: &Partition) -> Self {
        let lanes = self.lanes.iter().flatten().map(|lane| (lane.projection, lane.wiring.clone()));
        Self::laid_out(model, lanes.collect(), grids, partition, self.synapses)
    }

    /// Number of synapses.
    pub fn synapses(&self) -> u64 {
        self.synapses
    }

    /// Population and index of a neuron of the network.
    fn locate(&self, neuron: u32) -> (usize, u32) {
        let population = self.firsts.partition_point(|first| *first <= neuron) - 1;
        (population, neuron - self.firsts[population])
    }

    /// Calls `visit(place, stored weight, delay)` for every synapse of a source.
    pub fn for_each(&self, neuron: u32, visit: &mut dyn FnMut(Slot, i32, u32)) {
        let (population, source) = self.locate(neuron);
        let mut buffer = SynapseBuffer::default();
        for lane in &self.lanes[population] {
            buffer.clear();
            lane.wiring.append(source, &mut buffer);
            for ((target, weight), delay) in buffer.target.iter().zip(&buffer.weight).zip(&buffer.delay) {
                let (receptor, weight) = lane.routing.of(*weight);
                let stored = nearest(weight * lane.receptors[receptor].per_unit);
                visit(Slot { population: lane.target, neuron: *target, receptor }, stored, *delay);
            }
        }
    }

    /// Sends the synapses of a source to where and when they arrive.
    fn send(&self, neuron: u32, scratch: &mut Scratch, out: &mut Sending<'_>) {
        let (population, source) = self.locate(neuron);
        let Scratch { buffer, stored, weights, sorted } = scratch;
        let mut to = |entry: &Entry, targets: &[u32], weights: Each<'_, i32>, delays: Each<'_, u32>| {
            out.send(entry.wide, &entry.places, targets, weights, delays);
        };
        for lane in &self.lanes[population] {
            if let (Some(tables), Some(receptor)) = (&lane.tables, lane.routing.single()) {
                stored.clear();
                let levels = Levels { weight: tables.weight.as_deref(), delay: tables.delay.as_deref() };
                lane.wiring.redraw(source, levels, stored);
                let entry = &lane.receptors[receptor];
                let constant = |weight: f64| Each::Same(nearest(weight * entry.per_unit));
                let weights = lane.weight.map_or(Each::Own(stored.weight.as_slice()), constant);
                to(entry, &stored.target, weights, lane.delay.map_or(Each::Own(stored.delay.as_slice()), Each::Same));
                continue;
            }
            buffer.clear();
            lane.wiring.append(source, buffer);
            let delays = lane.delay.map_or(Each::Own(buffer.delay.as_slice()), Each::Same);
            if let Some(weight) = lane.weight {
                let (receptor, weight) = lane.routing.of(weight);
                let entry = &lane.receptors[receptor];
                to(entry, &buffer.target, Each::Same(nearest(weight * entry.per_unit)), delays);
            } else if let Some(receptor) = lane.routing.single() {
                let entry = &lane.receptors[receptor];
                weights.clear();
                weights.extend(buffer.weight.iter().map(|weight| nearest(weight * entry.per_unit)));
                to(entry, &buffer.target, Each::Own(weights), delays);
            } else {
                sorted.resize_with(sorted.len().max(lane.receptors.len()), Default::default);
                for ((target, weight), delay) in buffer.target.iter().zip(&buffer.weight).zip(&buffer.delay) {
                    let (receptor, weight) = lane.routing.of(*weight);
                    let list = &mut sorted[receptor];
                    list.0.push(*target);
                    list.1.push(nearest(weight * lane.receptors[receptor].per_unit));
                    list.2.push(*delay);
                }
                for (entry, list) in lane.receptors.iter().zip(&mut *sorted) {
                    if !list.0.is_empty() {
                        let delays = lane.delay.map_or(Each::Own(list.2.as_slice()), Each::Same);
                        to(entry, &list.0, Each::Own(&list.1), delays);
                    }
                    list.0.clear();
                    list.1.clear();
                    list.2.clear();
                }
            }
        }
    }

    /// Bytes of the tables of places, and of the out-degrees of sources.
    fn bytes(&self) -> usize {
        let mut places: Vec<&Arc<Places>> =
            self.lanes.iter().flatten().flat_map(|lane| &lane.receptors).map(|entry| &entry.places).collect();
        places.sort_by_key(|places| Arc::as_ptr(places));
        places.dedup_by_key(|places| Arc::as_ptr(places));
        let degrees = self.lanes.iter().flatten().map(|lane| lane.wiring.bytes()).sum::<usize>();
        places.iter().map(|places| places.bytes()).sum::<usize>() + degrees
    }

    fn uses(&self, wide: bool) -> bool {
        self.lanes.iter().flatten().flat_map(|lane| &lane.receptors).any(|entry| entry.wide == wide)
    }
}

/// Whether a projection is drawn at every spike.
pub(super) fn is_procedural(model: &BrainModel, projection: usize) -> bool {
    model.spec().projections[projection].storage == SynapseStorage::Procedural
}

/// Number of synapses of a rule that does not fix it: all are drawn once.
fn count(wiring: &dyn Wiring, sources: u32, crew: &Crew) -> u64 {
    const BATCH: u32 = 64;
    let sum = AtomicU64::new(0);
    crew.for_each(sources.div_ceil(BATCH) as usize, &|batch| {
        let mut buffer = SynapseBuffer::default();
        let first = batch as u32 * BATCH;
        let mut own = 0;
        for source in first..(first + BATCH).min(sources) {
            buffer.clear();
            wiring.append(source, &mut buffer);
            own += buffer.len() as u64;
        }
        sum.fetch_add(own, Ordering::Relaxed);
    });
    sum.into_inner()
}

/// The procedural projections of a network at work.
#[derive(Debug)]
pub(super) struct Procedural {
    generator: Generator,
    pub transits: Transits,
    /// Memory each shard draws in.
    scratch: Vec<Mutex<Scratch>>,
}

impl Procedural {
    /// Lists that [`new`](Self::new) makes for what is under way.
    pub fn buckets(generator: &Generator) -> u64 {
        let widths = u64::from(generator.uses(false)) + u64::from(generator.uses(true));
        let shards = generator.slots.len() as u64;
        Transit::<u32>::ring(generator.longest).saturating_mul(shards * shards * widths)
    }

    pub fn new(generator: Generator) -> Self {
        let Generator { slots, longest, .. } = &generator;
        let transits = Transits::new(slots, *longest, generator.uses(false), generator.uses(true));
        Self { transits, scratch: slots.iter().map(|_| Mutex::default()).collect(), generator }
    }

    /// What draws the synapses.
    pub fn into_generator(self) -> Generator {
        self.generator
    }

    /// Number of synapses.
    pub fn synapses(&self) -> u64 {
        self.generator.synapses
    }

    /// Longest delay, steps.
    pub fn longest(&self) -> u32 {
        self.generator.longest
    }

    /// Sends the synapses of neurons of `shard`.
    pub fn send(&self, shard: usize, spikes: &[u32], to: &mut Sending<'_>) {
        let mut scratch = self.scratch[shard].lock().unwrap_or_else(PoisonError::into_inner);
        for neuron in spikes {
            self.generator.send(*neuron, &mut scratch, to);
        }
    }

    /// Sends what is still under way at the beginning of `step` of spikes of steps before it, once more.
    pub fn send_again(&mut self, step: u64, spikes: &[Spike]) {
        let Self { generator, transits, .. } = self;
        let mut scratch = Scratch::default();
        for spike in spikes {
            if let Some(mut to) = transits.sending_again(spike.step, step) {
                generator.send(spike.neuron, &mut scratch, &mut to);
            }
        }
    }

    /// Bytes of what is under way and of the tables.
    pub fn bytes(&self) -> u64 {
        (self.transits.bytes() + self.generator.bytes()) as u64
    }
}

/// What [`Record`] keeps of a synapse that is drawn: its delay by its class.
pub(super) fn record(weight: i32, delay: u32, delays: &[u32]) -> Record {
    let class = delays.binary_search(&delay).expect("the delays of all projections have a class");
    Record { weight, class: class as u16 }
}
