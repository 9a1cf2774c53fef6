//! Construction in one pass: every source's synapses are drawn, sorted by (shard, delay) and written as final records.

use super::connectivity::Connectivity;
use super::partition::Partition;
use super::procedural::is_procedural;
use super::routing::Routing;
use crate::compute::Crew;
use crate::compute::records::Format;
use crate::error::{Error, Result};
use crate::model::BrainModel;
use crate::model::wiring::{SynapseBuffer, Wiring};
use crate::synapse::{PackScratch, Packer, Store, StoreBuilder, WeightGrid};
use std::sync::Mutex;

/// Sources a worker takes at a time.
const BATCH: u32 = 64;
/// Mean records a segment from which on whole cache lines pay.
const LINE_WORTHY: f64 = 8.0;

/// Most granules of records in a shard: their numbers have 32 bits, and shards are not quite even.
const MOST_GRANULES: f64 = 3.5e9;

/// All synapses of a network, shard by shard.
pub(super) struct Built {
    /// For each shard, one store for each format in use.
    pub stores: Vec<Vec<Store>>,
    /// Steps of each delay class, ascending.
    pub delays: Vec<u32>,
}

/// Where the synapses of one projection go: everything a packing loop needs, looked up once.
struct Lane<'a> {
    wiring: &'a dyn Wiring,
    routing: Routing,
    target: usize,
    /// For each receptor: unit, and index into the formats of the source population.
    receptors: Vec<(f64, usize)>,
}

/// Formats, in the order in which a source population's lanes name them.
const FORMATS: [Format; 3] = [Format::Lines, Format::Packed4, Format::Packed8];

/// Builds the synapses of every shard but those of procedural projections. `grids` has, for each population, the grid of each receptor, `None` where no
/// projection arrives.
pub(super) fn build(
    model: &BrainModel,
    wirings: &[Box<dyn Wiring>],
    routings: &[Routing],
    grids: &[Vec<Option<WeightGrid>>],
    partition: &Partition,
    crew: &Crew,
) -> Result<Built> {
    let populations = model.populations();
    let shards = partition.shards;
    let wide_slots = partition.wide();
    let classes = DelayClasses::of(wirings)?;

    // Lanes of each source population, and how many records and segments to expect in each format.
    let mut lanes: Vec<Vec<Lane<'_>>> = populations.iter().map(|_| Vec::new()).collect();
    let mut records = [0f64; 3];
    let mut segments = [0f64; 3];
    for source in 0..populations.len() {
        let stored = |i: &usize| model.spec().projections[*i].source.0 == source && !is_procedural(model, *i);
        let own: Vec<usize> = (0..wirings.len()).filter(stored).collect();
        let bits = |i: usize, r: usize| grids[model.spec().projections[i].target.0][r].map_or(16, |g| g.bits);
        let narrow: f64 = own.iter().map(|i| wirings[*i].expected()).sum();
        let spread: u32 = own
            .iter()
            .map(|i| {
                let (a, b) = wirings[*i].delays();
                b - a + 1
            })
            .max()
            .unwrap_or(1);
        let size = f64::from(populations[source].size());
        let effective = f64::from(spread).min(1.0 + f64::from(spread) * 0.7);
        let per_segment = narrow / size / shards as f64 / effective;
        let narrow_format = narrow_format(wide_slots, per_segment);
        for i in own {
            let target = model.spec().projections[i].target.0;
            let receptors: Vec<(f64, usize)> = grids[target]
                .iter()
                .enumerate()
                .map(|(r, grid)| {
                    let format = if bits(i, r) == 16 { narrow_format } else { 2 };
                    (grid.map_or(1.0, |g| 1.0 / g.unit), format)
                })
                .collect();
            let expected = wirings[i].expected();
            let bound = expected + 8.0 * expected.sqrt() + 1024.0;
            let (low, high) = wirings[i].delays();
            let used: std::collections::BTreeSet<usize> = receptors.iter().map(|(_, format)| *format).collect();
            for format in used {
                records[format] += bound;
                segments[format] += (size * f64::from(high - low + 1)).min(bound) + bound / 60_000.0;
            }
            lanes[source].push(Lane { wiring: &*wirings[i], routing: routings[i], target, receptors });
        }
    }
    let own = |source: usize| !lanes[source].is_empty();
    fill(model, partition, crew, records, segments, &classes, own, |worker, source, neuron| {
        let index = neuron - populations[source].first();
        worker.draw(index, &lanes[source], partition, &classes);
        Ok(())
    })
}

/// The synapses of `from`, copied into the shards of `partition`.
pub(super) fn repack(from: &Connectivity, model: &BrainModel, partition: &Partition, crew: &Crew) -> Result<Built> {
    let populations = model.populations();
    let classes = DelayClasses { steps: from.delays.clone(), lookup: Lookup::Sparse };
    let more = partition.shards as f64 / from.shards() as f64;
    // For each source population, the format of 16-bit weights; what to expect in each format.
    let mut narrow_formats = Vec::new();
    let mut records = [0f64; 3];
    let mut segments = [0f64; 3];
    for population in populations {
        let (mut own, mut pieces) = ([0u64; 2], [0u64; 2]);
        for store in from.stores.iter().flatten() {
            let wide = usize::from(!store.arena.format().narrow());
            for row in &store.rows[population.first() as usize..][..population.size() as usize] {
                store.arena.for_each_segment(*row, |_, segment| {
                    own[wide] += u64::from(segment.count());
                    pieces[wide] += 1;
                });
            }
        }
        let total = (own[0] + own[1]) as f64;
        let per_segment = total / ((pieces[0] + pieces[1]) as f64 * more).max(1.0);
        let format = narrow_format(partition.wide(), per_segment);
        narrow_formats.push(format);
        // Weights of both widths may hide in records of eight bytes: room for all in each of the two formats.
        let pieces = ((pieces[0] + pieces[1]) as f64 * partition.shards as f64).min(total);
        for format in std::collections::BTreeSet::from([format, 2]) {
            records[format] += total;
            segments[format] += pieces;
        }
    }
    fill(
        model,
        partition,
        crew,
        records,
        segments,
        &classes,
        |_| true,
        |worker, source, neuron| {
            let classes = classes.steps.len() as u32;
            from.for_each_stored(neuron, &mut |at, record| {
                let place = partition.blocks[at.population][(at.neuron / 32) as usize];
                let slot = place.slot + place.stride * at.receptor as u32 + at.neuron % 32;
                let narrow = from.grids[at.population][at.receptor].is_some_and(|grid| grid.bits == 16);
                let format = if narrow { narrow_formats[source] } else { 2 };
                let key = place.shard * classes + u32::from(record.class);
                worker.drawn[format].push((key, (slot, record.weight)));
            })
        },
    )
}

/// The format of 16-bit weights, an index into [`FORMATS`].
pub(super) fn narrow_format(wide_slots: bool, per_segment: f64) -> usize {
    if wide_slots {
        2
    } else if per_segment >= LINE_WORTHY {
        0
    } else {
        1
    }
}

/// Fills the stores of every shard: `collect(worker, population, neuron)` puts the synapses of a source into the
/// worker's lists. `records` and `segments` bound what comes in each format.
#[allow(clippy::too_many_arguments)]
fn fill(
    model: &BrainModel,
    partition: &Partition,
    crew: &Crew,
    records: [f64; 3],
    segments: [f64; 3],
    classes: &DelayClasses,
    sends: impl Fn(usize) -> bool,
    collect: impl Fn(&mut Worker<'_>, usize, u32) -> Result<()> + Sync,
) -> Result<Built> {
    let populations = model.populations();
    let (shards, neurons) = (partition.shards, model.neurons());
    let used: Vec<usize> = (0..3).filter(|f| records[*f] > 0.0).collect();
    for f in &used {
        let in_shard = (records[*f] / FORMATS[*f].granule() as f64 + segments[*f]) / shards as f64;
        if in_shard > MOST_GRANULES {
            return Err(Error::Usage(format!(
                "one worker would hold about {:.1e} synapse records, more than the {MOST_GRANULES:.0e} its tables can \
                 address; use more threads",
                in_shard * FORMATS[*f].granule() as f64
            )));
        }
    }
    let builders: Vec<Vec<Option<StoreBuilder>>> = (0..shards)
        .map(|shard| {
            (0..3)
                .map(|f| {
                    used.contains(&f).then(|| {
                        // All synapses may go to one shard; pages that are not used cost nothing.
                        let slots = partition.slots[shard].max(32);
                        let (records, segments) = (records[f] as usize, segments[f] as usize);
                        StoreBuilder::new(FORMATS[f], slots, records, segments, neurons as usize, crew.size())
                    })
                })
                .collect()
        })
        .collect();

    // Batches of sources, largest populations' first neurons first: (population, first source).
    let batches: Vec<(usize, u32)> = populations
        .iter()
        .enumerate()
        .filter(|(p, _)| sends(*p))
        .flat_map(|(p, population)| (0..population.size()).step_by(BATCH as usize).map(move |first| (p, first)))
        .collect();
    let workers: Vec<Mutex<Worker<'_>>> =
        (0..crew.size()).map(|_| Mutex::new(Worker::new(&builders, shards, classes.steps.len()))).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = Mutex::new(None);
    crew.run(&|index| {
        let mut worker = workers[index].lock().unwrap_or_else(|e| e.into_inner());
        loop {
            let batch = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some((population, first)) = batches.get(batch) else { break };
            let p = &populations[*population];
            for source in *first..(first + BATCH).min(p.size()) {
                let neuron = p.first() + source;
                match collect(&mut worker, *population, neuron) {
                    Ok(()) => worker.write_all(neuron),
                    Err(error) => {
                        failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                        return;
                    }
                }
            }
        }
    });
    drop(workers);
    if let Some(error) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        return Err(error);
    }
    let stores = builders.into_iter().map(|formats| formats.into_iter().flatten().map(StoreBuilder::finish).collect());
    Ok(Built { stores: stores.collect(), delays: classes.steps.clone() })
}

/// The nearest integer, ties to even, of a number below 2^31: adding 1.5 * 2^52 leaves no room for a fraction. The
/// library's function is a call where the instruction set for it is not known at compile time.
#[inline(always)]
pub(super) fn nearest(x: f64) -> i32 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    (x + MAGIC).to_bits() as i32
}

/// Delays as small numbers, so that any length of delay fits a segment's head.
struct DelayClasses {
    /// Steps of each class, ascending.
    steps: Vec<u32>,
    lookup: Lookup,
}

enum Lookup {
    /// Class `delay - first`.
    Dense(u32),
    /// By binary search.
    Sparse,
}

impl DelayClasses {
    /// Longest span of delays that is numbered densely.
    const DENSE: u32 = 4096;

    fn of(wirings: &[Box<dyn Wiring>]) -> Result<Self> {
        let (mut low, mut high) = (u32::MAX, 1);
        for (a, b) in wirings.iter().map(|w| w.delays()) {
            low = low.min(a);
            high = high.max(b);
        }
        if low > high {
            return Ok(Self { steps: vec![1], lookup: Lookup::Dense(1) });
        }
        if high - low < Self::DENSE {
            return Ok(Self { steps: (low..=high).collect(), lookup: Lookup::Dense(low) });
        }
        let mut steps: Vec<u32> = Vec::new();
        for wiring in wirings {
            let (a, b) = wiring.delays();
            steps.extend(a..=b);
            steps.sort_unstable();
            steps.dedup();
        }
        if steps.len() > usize::from(u16::MAX) {
            return Err(Error::invalid(
                "projection",
                format!(
                    "the delays of all projections together span {} different numbers of steps; at most 65535 are \
                     supported: use a larger dt or a narrower distribution",
                    steps.len()
                ),
            ));
        }
        Ok(Self { steps, lookup: Lookup::Sparse })
    }

    #[inline(always)]
    fn class(&self, delay: u32) -> u32 {
        match self.lookup {
            Lookup::Dense(first) => delay - first,
            Lookup::Sparse => self.steps.binary_search(&delay).expect("within the wirings' bounds") as u32,
        }
    }
}

/// One worker's memory: the synapses of a source in each format, and where they go.
struct Worker<'a> {
    buffer: SynapseBuffer,
    /// For each format: (key = shard * classes + class, record).
    drawn: [Vec<(u32, (u32, i32))>; 3],
    sorted: Vec<(u32, i32)>,
    counts: Vec<u32>,
    packers: Vec<Vec<Option<Packer<'a>>>>,
    scratch: PackScratch,
    classes: usize,
}

impl<'a> Worker<'a> {
    fn new(builders: &'a [Vec<Option<StoreBuilder>>], shards: usize, classes: usize) -> Self {
        Self {
            buffer: SynapseBuffer::default(),
            drawn: Default::default(),
            sorted: Vec::new(),
            counts: vec![0; shards * classes + 1],
            packers: builders
                .iter()
                .map(|b| b.iter().map(|b| b.as_ref().map(StoreBuilder::packer)).collect())
                .collect(),
            scratch: PackScratch::default(),
            classes,
        }
    }

    /// Draws all synapses of one source (its index within the population).
    fn draw(&mut self, source: u32, lanes: &[Lane<'_>], partition: &Partition, classes: &DelayClasses) {
        for lane in lanes {
            let buffer = &mut self.buffer;
            buffer.target.clear();
            buffer.weight.clear();
            buffer.delay.clear();
            lane.wiring.append(source, buffer);
            let places = &partition.blocks[lane.target];
            let synapses = buffer.target.iter().zip(&buffer.weight).zip(&buffer.delay);
            if let Some(receptor) = lane.routing.single() {
                let (per_unit, format) = lane.receptors[receptor];
                self.drawn[format].extend(synapses.map(|((target, weight), delay)| {
                    let place = places[(*target / 32) as usize];
                    let slot = place.slot + place.stride * receptor as u32 + target % 32;
                    let key = place.shard * self.classes as u32 + classes.class(*delay);
                    (key, (slot, nearest(weight * per_unit)))
                }));
            } else {
                for ((target, weight), delay) in synapses {
                    let (receptor, weight) = lane.routing.of(*weight);
                    let (per_unit, format) = lane.receptors[receptor];
                    let place = places[(*target / 32) as usize];
                    let slot = place.slot + place.stride * receptor as u32 + target % 32;
                    let key = place.shard * self.classes as u32 + classes.class(*delay);
                    self.drawn[format].push((key, (slot, nearest(weight * per_unit))));
                }
            }
        }
    }

    /// Writes what was drawn of a source (its number in the network).
    fn write_all(&mut self, neuron: u32) {
        for format in 0..3 {
            if !self.drawn[format].is_empty() {
                self.write(neuron, format);
            }
        }
    }

    /// Sorts what was drawn in one format by (shard, delay) and writes it.
    fn write(&mut self, neuron: u32, format: usize) {
        let Self { drawn, sorted, counts, packers, scratch, classes, .. } = self;
        let drawn = &mut drawn[format];
        counts.fill(0);
        for (key, _) in drawn.iter() {
            counts[*key as usize + 1] += 1;
        }
        let mut sum = 0;
        for count in counts.iter_mut() {
            sum += *count;
            *count = sum;
        }
        // `counts[key]` is now where the records of `key` begin; after the scatter it is where they end.
        sorted.resize(drawn.len(), (0, 0));
        for (key, record) in drawn.iter() {
            let at = &mut counts[*key as usize];
            sorted[*at as usize] = *record;
            *at += 1;
        }
        let mut from = 0usize;
        for (shard, packers) in packers.iter_mut().enumerate() {
            let ends = &mut counts[shard * *classes..(shard + 1) * *classes];
            let end = ends.last().map_or(from, |e| *e as usize);
            if end > from {
                let mut last = from as u32;
                for e in ends.iter_mut() {
                    (last, *e) = (*e, *e - last);
                }
                let packer = packers[format].as_mut().expect("the format is in use");
                packer.write(neuron, ends, &sorted[from..end], scratch);
            }
            from = end;
        }
        drawn.clear();
    }
}
