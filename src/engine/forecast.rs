//! The memory a network will take, by part, before any of it is made: the layout of the engine applied to expected
//! numbers. The parts are those that [`Simulation::memory`](super::Simulation::memory) counts.

use super::calendar::Calendar;
use super::memory::part;
use super::options::{Precision, SimOptions};
use super::partition::Partition;
use super::pathways::narrow_format;
use super::shard::Scratch;
use super::simulation::Stretch;
use crate::compute::Isa;
use crate::compute::records::{Arena, Format, Transit};
use crate::metrics::MemorySnapshot;
use crate::model::wiring::{delay_shares, weight_summary};
use crate::model::{
    ConnectionRule, Distribution, NetworkSpec, Placement, PopulationSpec, Sampler, Selection, StimulusKind,
    SynapseStorage,
};
use crate::neuron::{ParamColumn, ParamTable, Prepare, Receptor};
use crate::synapse::{WeightGrid, WeightRange};

/// What is expected of a network.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Synapses of each projection.
    pub synapses: &'a [f64],
    /// Mean rate of all neurons, Hz.
    pub rate_hz: f64,
    /// Biological time simulated, ms.
    pub duration_ms: f64,
}

/// Formats in the order in which `pathways` numbers them.
const FORMATS: [Format; 3] = [Format::Lines, Format::Packed4, Format::Packed8];
/// Tables of a Poisson stimulus on a part of a population.
const POISSON_BYTES: u64 = 600;
/// Neurons of which a model is asked how much its constants take.
const PROBED: usize = 64;

/// Memory while the network runs, by part, and bytes that construction takes beyond it for a while.
pub fn forecast(net: &NetworkSpec, seed: u64, options: &SimOptions, expected: &Expected<'_>) -> (MemorySnapshot, u64) {
    let mut memory = MemorySnapshot { name: "estimate".to_owned(), ..MemorySnapshot::default() };
    let sizes: Vec<u64> = net.populations.iter().map(|p| p.placement.size(&p.name, seed)).collect();
    let receptors: Vec<Vec<Receptor>> = net.populations.iter().map(receptors).collect();
    let cut: Vec<(u64, usize)> = sizes.iter().zip(&receptors).map(|(n, r)| (*n, r.len())).collect();
    let slots =
        cut.iter().fold(0usize, |sum, (n, r)| sum.saturating_add((n.next_multiple_of(32) as usize).saturating_mul(*r)));
    let neurons = sizes.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    let total: f64 = expected.synapses.iter().sum();
    let usual = || Partition::shards_for(options.workers(), slots, total / neurons.max(1) as f64);
    let shards = options.cut.shards.unwrap_or_else(usual);
    let number = if options.precision == Precision::F64 { 8 } else { 4 };

    for (population, n) in net.populations.iter().zip(&sizes) {
        let columns = population.model.variables().len() as u64 * number + 2;
        // Every part is padded to whole blocks of 32.
        let padded = n.next_multiple_of(32) + 16 * (shards as u64 - 1).min(n / 32);
        memory.add(part::STATE, padded * columns);
        memory.add(part::PARAMETERS, parameters(population, *n, number as usize, seed, options));
        memory.add(part::POSITIONS, positions(&population.placement, *n));
    }
    let synapses = Synapses::of(net, &sizes, &receptors, shards, options, expected);
    memory.add(part::SYNAPSES, synapses.bytes as u64);
    let stores = (synapses.formats.iter().filter(|used| **used).count() * shards) as u64;
    memory.add(part::INDEX, stores * neurons * 8);
    memory.add(part::CALENDAR, synapses.calendars(shards) as u64);
    let wide_slots = slots / shards > super::partition::NARROW_SLOTS;
    let row = |used: bool, bytes: u64| if used { bytes } else { 0 };
    let drawn = (0..net.projections.len()).any(|index| !is_kept(net, index));
    let narrow = !wide_slots && (synapses.formats[0] || synapses.formats[1] || drawn);
    let rows = row(narrow, 2) + row(synapses.formats[2], 4);
    memory.add(part::ROWS, slots as u64 * rows + slots as u64 / 32);
    memory.add(part::PROCEDURAL, procedural(net, &sizes, &receptors, shards, options, expected) as u64);
    let fresh = if number == 8 { Scratch::<f64>::FRESH_BYTES } else { Scratch::<f32>::FRESH_BYTES };
    memory.add(part::BUFFERS, (shards * (fresh + synapses.lines_a_step(shards) as usize)) as u64);
    memory.add(part::STIMULI, stimuli(net, &sizes, shards as u64, number));
    memory.add(part::LOGS, logs(neurons, synapses.longest, options.dt, expected));
    let edges = |rule: &ConnectionRule| if let ConnectionRule::Edges(edges) = rule { size_of_val(&**edges) } else { 0 };
    memory.add(part::DESCRIPTION, net.projections.iter().map(|p| edges(&p.rule) as u64).sum());

    // While synapses are drawn, the tables of sources are there twice and some rules keep lists; state, calendars and
    // buffers come afterwards.
    let later = [part::STATE, part::CALENDAR, part::BUFFERS, part::ROWS, part::LOGS, part::STIMULI];
    let later = later.iter().fold(0u64, |sum, name| sum.saturating_add(memory.bytes(name)));
    let construction =
        (synapses.lists as u64).saturating_add(stores.saturating_mul(neurons).saturating_mul(8)).saturating_sub(later);
    (memory, construction)
}

fn receptors(population: &PopulationSpec) -> Vec<Receptor> {
    let columns = population.model.values().into_iter().map(ParamColumn::Uniform).collect();
    population.model.receptors(&ParamTable { len: 1, columns })
}

fn positions(placement: &Placement, n: u64) -> u64 {
    match placement {
        Placement::Count(_) => 0,
        Placement::Positions(points) => size_of_val(&**points) as u64,
        // A place on the curve for each cell with neurons, and the number of its first neuron where cells differ.
        Placement::Region { density, .. } if *density < 1.0 => n * 8,
        Placement::Region { density, .. } if density.fract() == 0.0 => (n as f64 / density.max(1.0) * 8.0) as u64,
        Placement::Region { density, .. } => (n as f64 / density.max(1.0) * 12.0) as u64,
    }
}

/// Parameters that differ between neurons, and the constants that the model derives from them.
fn parameters(population: &PopulationSpec, n: u64, number: usize, seed: u64, options: &SimOptions) -> u64 {
    if let Some(spikes) = population.model.given_spikes() {
        return spikes.len() as u64 * 16;
    }
    // What a model keeps once and what it keeps for each neuron is told apart by asking it twice.
    let few = probed(population, PROBED, number, seed, options);
    let many = probed(population, 2 * PROBED, number, seed, options);
    let each = many.saturating_sub(few) as f64 / PROBED as f64;
    let once = (2 * few).saturating_sub(many);
    once as u64 + (each * n as f64) as u64
}

/// Bytes of parameters and constants of the first neurons.
fn probed(population: &PopulationSpec, len: usize, number: usize, seed: u64, options: &SimOptions) -> usize {
    let mut columns: Vec<ParamColumn> = population.model.values().into_iter().map(ParamColumn::Uniform).collect();
    for (name, distribution) in &population.params {
        let Some(place) = population.model.parameters().iter().position(|p| p.name == name) else { continue };
        let values: Vec<f64> = match distribution {
            Distribution::Values(values) => values.iter().copied().cycle().take(len).collect(),
            drawn => match Sampler::new(drawn) {
                Ok(sampler) if sampler.constant().is_none() => {
                    (0..len as u32).map(|i| sampler.sample(i * (u32::MAX / len as u32) + 1)).collect()
                }
                _ => continue,
            },
        };
        if values.len() == len {
            columns[place] = ParamColumn::PerNeuron(values);
        }
    }
    let params = ParamTable { len, columns };
    let prepare = Prepare {
        dt: options.dt,
        seed,
        population: &population.name,
        params: &params,
        first: 0,
        len,
        isa: Isa::Portable,
    };
    let constants = match number {
        8 => population.model.stepper_f64(&prepare).map_or(0, |stepper| stepper.bytes()),
        _ => population.model.stepper_f32(&prepare).map_or(0, |stepper| stepper.bytes()),
    };
    params.bytes() + constants
}

/// Whether the synapses of a projection are kept.
fn is_kept(net: &NetworkSpec, projection: usize) -> bool {
    net.projections[projection].storage == SynapseStorage::Stored
}

/// Tables of procedural projections, and their records on their way.
fn procedural(
    net: &NetworkSpec,
    sizes: &[u64],
    receptors: &[Vec<Receptor>],
    shards: usize,
    options: &SimOptions,
    expected: &Expected<'_>,
) -> f64 {
    let (mut bytes, mut under_way, mut longest) = (0.0, 0.0, 0);
    let mut targets: Vec<usize> = Vec::new();
    for (index, projection) in net.projections.iter().enumerate().filter(|(index, _)| !is_kept(net, *index)) {
        let shares = delay_shares(net, index, options.dt);
        longest = longest.max(shares[shares.len() - 1].0);
        let delay: f64 = shares.iter().map(|(delay, share)| f64::from(*delay) * share).sum();
        under_way += expected.synapses[index] * expected.rate_hz * options.dt * 1e-3 * delay;
        // The number of synapses of each source, for some rules.
        bytes += 4.0 * sizes[projection.source.0] as f64;
        targets.push(projection.target.0);
    }
    if targets.is_empty() {
        return 0.0;
    }
    targets.sort_unstable();
    targets.dedup();
    // Shard and slot of every block of 32 neurons.
    bytes += targets.iter().map(|t| sizes[*t].div_ceil(32) as f64 * receptors[*t].len() as f64 * 8.0).sum::<f64>();
    let pairs = (shards * shards) as f64;
    let half_chunk = 0.5 * Transit::<u32>::chunk_bytes(shards) as f64;
    let used = (f64::from(longest) * pairs).min(under_way);
    bytes + Transit::<u32>::ring(longest) as f64 * pairs * 32.0 + under_way * 4.0 + used * half_chunk
}

/// The records of all synapses.
#[derive(Debug, Default)]
struct Synapses {
    bytes: f64,
    /// Which formats are in use.
    formats: [bool; 3],
    /// Segments that all spikes of a step take, in each format, over all shards.
    segments_a_step: [f64; 3],
    /// Cache lines delivered in a step, over all shards.
    lines: f64,
    /// Longest delay, steps.
    longest: u32,
    /// Bytes of the lists that rules keep during construction.
    lists: f64,
}

impl Synapses {
    fn of(
        net: &NetworkSpec,
        sizes: &[u64],
        receptors: &[Vec<Receptor>],
        shards: usize,
        options: &SimOptions,
        expected: &Expected<'_>,
    ) -> Self {
        let mut this = Self { longest: 1, ..Self::default() };
        let wide_slots = {
            let cut = sizes.iter().zip(receptors);
            let slots = cut.fold(0usize, |sum, (n, r)| sum.saturating_add(n.next_multiple_of(32) as usize * r.len()));
            slots.div_ceil(shards) > super::partition::NARROW_SLOTS
        };
        let bits = weight_bits(net, receptors, options);
        for (source, size) in sizes.iter().enumerate() {
            // For each format the records of a source by delay.
            let mut by_delay: [std::collections::BTreeMap<u32, f64>; 3] = Default::default();
            let (mut of_source, mut spread) = (0.0, 1);
            let mut own = Vec::new();
            let kept = net.projections.iter().enumerate().filter(|(index, _)| is_kept(net, *index));
            for (index, projection) in kept.filter(|(_, p)| p.source.0 == source) {
                let shares = delay_shares(net, index, options.dt);
                let (first, last) = (shares[0].0, shares[shares.len() - 1].0);
                spread = spread.max(last - first + 1);
                this.longest = this.longest.max(last);
                of_source += expected.synapses[index] / (*size).max(1) as f64;
                let targets = sizes[projection.target.0] as f64;
                this.lists += match &projection.rule {
                    ConnectionRule::FixedIndegree { .. } => {
                        4.0 * expected.synapses[index] + 4.0 * *size as f64 * options.workers() as f64
                    }
                    ConnectionRule::Edges(edges) => 4.0 * (edges.len() as f64 + *size as f64),
                    ConnectionRule::FixedTotal { .. } => 4.0 * *size as f64,
                    ConnectionRule::Distance(_) => 8.0 * targets,
                    _ => 0.0,
                };
                own.push((index, shares));
            }
            let effective = f64::from(spread).min(1.0 + f64::from(spread) * 0.7);
            let narrow = narrow_format(wide_slots, of_source / shards as f64 / effective);
            for (index, shares) in own {
                for (wide, share_of) in bits[index].iter().copied() {
                    let format = if wide { 2 } else { narrow };
                    let count = expected.synapses[index] / (*size).max(1) as f64 * share_of;
                    this.formats[format] |= count > 0.0;
                    for (delay, share) in &shares {
                        *by_delay[format].entry(*delay).or_default() += count * share;
                    }
                }
            }
            let spikes_a_step = *size as f64 * expected.rate_hz * options.dt * 1e-3;
            for (format, by_delay) in by_delay.iter().enumerate() {
                let (mut granules, mut segments) = (0.0, 0.0);
                let granule = FORMATS[format].granule() as f64;
                for count in by_delay.values() {
                    let here = count / shards as f64;
                    let some = 1.0 - (-here).exp();
                    segments += some;
                    granules += if granule == 1.0 { here } else { mean_granules(here, granule) };
                }
                let unit = granule * FORMATS[format].record_bytes() as f64;
                // The head is rounded up to whole granules, where there is a segment at all.
                let head = if segments < 1.0 { segments } else { (segments * 4.0 / unit).ceil().max(1.0) };
                let head = if granule == 1.0 { segments * 4.0 / unit } else { head };
                // The last source of a chunk does not fit: half its bytes are lost on the average.
                let of_source = (granules + head) * unit;
                let chunk = Arena::CHUNK_BYTES as f64;
                let lost = if of_source < chunk { 1.0 / (1.0 - (0.5 * of_source / chunk).min(0.5)) } else { 1.0 };
                this.bytes += of_source * lost * *size as f64 * shards as f64;
                this.segments_a_step[format] += spikes_a_step * segments * shards as f64;
                if format == 0 {
                    this.lines += spikes_a_step * granules * shards as f64;
                }
            }
        }
        this
    }

    /// All calendars: empty buckets and the room for what is on its way.
    fn calendars(&self, shards: usize) -> f64 {
        let buckets = Calendar::buckets(self.longest) as f64;
        let used = (0..3).filter(|f| self.formats[*f]);
        used.map(|format| {
            let mean = self.segments_a_step[format] / shards as f64;
            // Lists grow by doubling, from 4, to the fullest step so far.
            let room =
                if mean > 0.01 { libm::exp2(libm::log2((mean + 3.0 * mean.sqrt()).max(4.0)).ceil()) } else { 0.0 };
            buckets * (24.0 + 8.0 * room) * shards as f64
        })
        .sum()
    }

    /// Bytes of the lists of lines that a shard delivers from.
    fn lines_a_step(&self, shards: usize) -> f64 {
        if self.lines == 0.0 { 0.0 } else { 10.0 * self.lines / shards as f64 }
    }
}

/// Mean number of granules of `granule` records that a segment of a Poisson number of records takes.
fn mean_granules(mean: f64, granule: f64) -> f64 {
    if mean > 300.0 {
        return mean / granule + 0.5;
    }
    let (mut p, mut sum, mut k) = ((-mean).exp(), 0.0, 0.0);
    while k < mean + 12.0 * mean.sqrt() + 20.0 {
        k += 1.0;
        p *= mean / k;
        sum += p * (k / granule).ceil();
    }
    sum
}

/// For each projection, the shares of its synapses whose weights take 32 bits (true) and 16 bits.
fn weight_bits(net: &NetworkSpec, receptors: &[Vec<Receptor>], options: &SimOptions) -> Vec<Vec<(bool, f64)>> {
    // Weights of both signs may go to two receptors: name, or sign.
    let mut ranges: std::collections::BTreeMap<(usize, String), Vec<WeightRange>> = Default::default();
    let mut keys = Vec::new();
    for (index, projection) in net.projections.iter().enumerate() {
        let target = projection.target.0;
        let Ok(weights) = weight_summary(net, index) else {
            keys.push(Vec::new());
            continue;
        };
        let single = receptors[target].len() < 2;
        let mut own: Vec<((usize, String), f64)> = Vec::new();
        let (negative, positive) = (weights.min < 0.0, weights.max >= 0.0);
        match &projection.receptor {
            Some(name) => own.push(((target, name.clone()), 1.0)),
            None if single => own.push(((target, String::new()), 1.0)),
            None => {
                let share = if negative && positive { 0.5 } else { 1.0 };
                for (_, sign) in [(negative, "-"), (positive, "+")].into_iter().filter(|(any, _)| *any) {
                    own.push(((target, sign.to_owned()), share));
                }
            }
        }
        for (key, _) in &own {
            let range = match &*key.1 {
                "-" => WeightRange { min: weights.min, max: weights.max.min(0.0), rms: weights.rms },
                "+" => WeightRange { min: weights.min.max(0.0), max: weights.max, rms: weights.rms },
                _ => WeightRange { min: weights.min, max: weights.max, rms: weights.rms },
            };
            ranges.entry(key.clone()).or_default().push(range);
        }
        keys.push(own);
    }
    let wide = |key: &(usize, String)| {
        ranges.get(key).is_some_and(|ranges| WeightGrid::choose(ranges, options.weight_bits).bits == 32)
    };
    keys.iter().map(|own| own.iter().map(|(key, share)| (wide(key), *share)).collect()).collect()
}

fn stimuli(net: &NetworkSpec, sizes: &[u64], shards: u64, number: u64) -> u64 {
    let of = |stimulus: &crate::model::StimulusSpec| -> u64 {
        let mut shared = match &stimulus.kind {
            StimulusKind::Spikes { events, .. } => events.len() as u64 * 16,
            StimulusKind::Matrix { values, .. } => size_of_val(&**values) as u64,
            _ => 0,
        };
        for target in &stimulus.targets {
            let n = sizes[target.population.0];
            let chosen = match &target.neurons {
                Selection::All => n,
                Selection::Indices(indices) => {
                    // Shards without any of these neurons keep nothing.
                    let cut = |shard: u64| indices.partition_point(|i| u64::from(*i) < n * shard / shards);
                    shared += (0..shards).filter(|s| cut(*s) < cut(s + 1)).count() as u64 * (n / shards) * number;
                    indices.len() as u64
                }
            };
            shared += match &stimulus.kind {
                StimulusKind::Noise { .. } | StimulusKind::OrnsteinUhlenbeck { .. } => n * (number + 8),
                StimulusKind::Matrix { .. } => chosen * 8,
                StimulusKind::Poisson { .. } => POISSON_BYTES * shards,
                _ => 0,
            };
        }
        shared
    };
    net.stimuli.iter().map(of).sum()
}

/// Spikes that wait for the recorders, and those of the longest delay.
fn logs(neurons: u64, longest: u32, dt: f64, expected: &Expected<'_>) -> u64 {
    let spikes = |ms: f64| neurons as f64 * expected.rate_hz * ms * 1e-3;
    let stretch = spikes(expected.duration_ms).min(Stretch::MOST_SPIKES);
    // Log of the shards, merged list, batch; lists grow by doubling.
    (1.5 * (48.0 * stretch + 16.0 * spikes(f64::from(longest) * dt))) as u64
}
