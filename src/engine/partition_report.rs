//! What a cut of a network looks like: sizes, borders, balance, and how near the numbering keeps what is connected.

use super::connectivity::Connectivity;
use super::cut::{CutStrategy, cut};
use super::load::BlockLoads;
use super::locality::{Locality, Order, Trace};
use super::options::SimOptions;
use super::partition::{BLOCK, Partition};
use crate::compute::Crew;
use crate::error::{Error, Result};
use crate::model::wiring::{self, SynapseBuffer, Wiring};
use crate::model::{BrainModel, Population};
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Sources a worker takes at a time.
const BATCH: u32 = 256;

/// A cut of a network into partitions, as a run with so many shards makes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionReport {
    /// Name of the strategy.
    pub strategy: &'static str,
    /// Neurons of the network.
    pub neurons: u64,
    /// Synapses of the network.
    pub synapses: u64,
    /// Each partition.
    pub partitions: Vec<PartitionShare>,
    /// Spread of the number of neurons.
    pub neuron_spread: Spread,
    /// Spread of the number of synapses.
    pub synapse_spread: Spread,
    /// Spread of the expected load, which the cut makes even; its mean is 1.
    pub load: Spread,
    /// Synapses between partitions, as a share of all.
    pub cut_share: f64,
    /// How near the numbering keeps what is connected.
    pub locality: Locality,
    /// The same, if neurons were numbered row by row (x fastest, then y, z, w); absent where none is on a lattice.
    pub locality_by_rows: Option<Locality>,
    /// For each population and neuron its partition.
    #[serde(skip)]
    owners: Vec<Vec<u32>>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PartitionShare {
    /// Neurons.
    pub neurons: u64,
    /// Synapses onto them: a partition holds the synapses of its targets.
    pub synapses: u64,
    /// First and last cell along x, y, z, w of its neurons on the lattice, if there are any.
    pub cells: Option<[[u32; 2]; 4]>,
    /// Least and greatest position along x, y, z, w of its neurons that have one, um.
    pub extent_um: Option<[[f32; 2]; 4]>,
    /// Neurons with a synapse to or from another partition.
    pub boundary_neurons: u64,
    /// Synapses from other partitions.
    pub cut_synapses: u64,
    /// Expected cost of a step over the mean of the partitions.
    pub load: f64,
}

/// How a quantity differs between partitions.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (of the partitions themselves, not of a sample).
    pub sd: f64,
    /// Greatest over the mean, less 1: 0 is perfect balance.
    pub imbalance: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let n = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / n;
        let sd = (values.clone().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        let most = values.fold(0.0, f64::max);
        Self { mean, sd, imbalance: if mean > 0.0 { most / mean - 1.0 } else { 0.0 } }
    }
}

/// Where the targets of a source come from: `(population, index)` of each is appended.
type Targets<'a> = dyn Fn(usize, u32, &mut Found) -> Result<()> + Sync + 'a;

/// The targets of a source, and memory to find them in.
#[derive(Default)]
struct Found {
    buffer: SynapseBuffer,
    targets: Vec<(u32, u32)>,
}

/// What one worker has counted.
struct Tally {
    synapses: Vec<u64>,
    cut: Vec<u64>,
    distance: [Trace; 2],
}

impl PartitionReport {
    /// The cut of a network into `partitions` partitions, by the strategy of `options`. Every synapse is drawn once and
    /// kept nowhere: it takes the time of construction and hardly any memory.
    ///
    /// # Errors
    /// If the number is out of range, delays do not fit the time step, or the strategy needs positions there are not.
    pub fn of_model(model: &BrainModel, options: &SimOptions, partitions: usize) -> Result<Self> {
        let (options, crew) = checked(options, partitions)?;
        let projections = model.spec().projections.iter().enumerate();
        let wirings: Vec<Box<dyn Wiring>> =
            projections.map(|(index, _)| wiring::prepare(model, index, options.dt, &crew)).collect::<Result<_>>()?;
        let mut lanes: Vec<Vec<(usize, usize)>> = vec![Vec::new(); model.populations().len()];
        for (index, projection) in model.spec().projections.iter().enumerate() {
            lanes[projection.source.0].push((index, projection.target.0));
        }
        let loads = BlockLoads::of_wirings(model, &wirings, options.dt, &crew);
        let strategy = options.cut.chosen();
        let partition = cut(model, strategy, partitions, &loads)?;
        Self::of(model, strategy, &partition, &loads, &crew, &|population, source, found| {
            found.targets.clear();
            for (wiring, target) in &lanes[population] {
                found.buffer.clear();
                wirings[*wiring].append(source, &mut found.buffer);
                found.targets.extend(found.buffer.target.iter().map(|neuron| (*target as u32, *neuron)));
            }
            Ok(())
        })
    }

    /// The same of synapses that exist already, such as those of a model file.
    ///
    /// # Errors
    /// As for [`of_model`](Self::of_model), and if the synapses lie in a file that is damaged.
    pub fn of_connectivity(
        model: &BrainModel,
        connectivity: &Connectivity,
        options: &SimOptions,
        partitions: usize,
    ) -> Result<Self> {
        let (options, crew) = checked(options, partitions)?;
        let loads = BlockLoads::of_connectivity(model, connectivity, options.dt, &crew)?;
        let strategy = options.cut.chosen();
        let partition = cut(model, strategy, partitions, &loads)?;
        Self::of(model, strategy, &partition, &loads, &crew, &|population, source, found| {
            found.targets.clear();
            let targets = &mut found.targets;
            connectivity.for_each_record(model.populations()[population].first() + source, &mut |at, _| {
                targets.push((at.population as u32, at.neuron));
            })
        })
    }

    fn of(
        model: &BrainModel,
        strategy: CutStrategy,
        partition: &Partition,
        loads: &BlockLoads,
        crew: &Crew,
        targets: &Targets<'_>,
    ) -> Result<Self> {
        let populations = model.populations();
        let shards = partition.shards;
        let block_owner =
            |population: usize, neuron: u32| partition.blocks[population][(neuron / BLOCK) as usize].shard;
        let boundary: Vec<AtomicBool> = (0..model.neurons()).map(|_| AtomicBool::new(false)).collect();
        let orders = [Some(Order::numbering(model)), Order::by_rows(model)];
        let batches: Vec<(usize, u32)> = populations
            .iter()
            .enumerate()
            .flat_map(|(p, population)| (0..population.size()).step_by(BATCH as usize).map(move |first| (p, first)))
            .collect();
        let next = AtomicUsize::new(0);
        let tallies = Mutex::new(Vec::new());
        let failed = Mutex::new(None);
        crew.run(&|_| {
            let mut tally = Tally {
                synapses: vec![0; shards],
                cut: vec![0; shards],
                distance: [Trace::default(), Trace::default()],
            };
            let mut found = Found::default();
            while let Some((population, first)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let p = &populations[*population];
                for source in *first..(first + BATCH).min(p.size()) {
                    if let Err(error) = targets(*population, source, &mut found) {
                        failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                        return;
                    }
                    let own = block_owner(*population, source);
                    for (to, neuron) in &found.targets {
                        let owner = block_owner(*to as usize, *neuron);
                        tally.synapses[owner as usize] += 1;
                        if owner != own {
                            tally.cut[owner as usize] += 1;
                            boundary[(p.first() + source) as usize].store(true, Ordering::Relaxed);
                            boundary[(populations[*to as usize].first() + neuron) as usize]
                                .store(true, Ordering::Relaxed);
                        }
                    }
                    for (order, trace) in orders.iter().zip(&mut tally.distance) {
                        if let Some(order) = order {
                            trace.add(order, *population, source, &found.targets);
                        }
                    }
                }
            }
            tallies.lock().unwrap_or_else(|e| e.into_inner()).push(tally);
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
            return Err(error);
        }
        let mut partitions = vec![PartitionShare::default(); shards];
        let mut distance = [Trace::default(), Trace::default()];
        for tally in tallies.into_inner().unwrap_or_else(|e| e.into_inner()) {
            for (share, (synapses, cut)) in partitions.iter_mut().zip(tally.synapses.iter().zip(&tally.cut)) {
                share.synapses += synapses;
                share.cut_synapses += cut;
            }
            distance.iter_mut().zip(&tally.distance).for_each(|(sum, part)| sum.join(part));
        }
        let mut owners = Vec::new();
        let mut expected = vec![0.0; shards];
        for (number, population) in populations.iter().enumerate() {
            let of_neurons: Vec<u32> = (0..population.size()).map(|neuron| block_owner(number, neuron)).collect();
            for (neuron, owner) in of_neurons.iter().enumerate() {
                let share = &mut partitions[*owner as usize];
                share.neurons += 1;
                let on_boundary = &boundary[population.first() as usize + neuron];
                share.boundary_neurons += u64::from(on_boundary.load(Ordering::Relaxed));
                share.place(population, neuron as u32);
            }
            for (place, load) in partition.blocks[number].iter().zip(&loads.totals()[number]) {
                expected[place.shard as usize] += load;
            }
            owners.push(of_neurons);
        }
        let mean = expected.iter().sum::<f64>() / shards as f64;
        for (share, load) in partitions.iter_mut().zip(&expected) {
            share.load = if mean > 0.0 { load / mean } else { 0.0 };
        }
        let synapses: u64 = partitions.iter().map(|p| p.synapses).sum();
        let cut: u64 = partitions.iter().map(|p| p.cut_synapses).sum();
        let mut localities = orders.iter().zip(&distance).map(|(order, sums)| {
            let reuse = |order: &Order| {
                order.line_reuse(model, &mut |population, source, trace| {
                    let mut found = Found::default();
                    targets(population, source, &mut found)?;
                    trace.extend_from_slice(&found.targets);
                    Ok(())
                })
            };
            order.as_ref().map(|order| Ok::<_, Error>(sums.locality(reuse(order)?))).transpose()
        });
        let (locality, locality_by_rows) = (localities.next().transpose()?, localities.next().transpose()?);
        Ok(Self {
            strategy: strategy.name(),
            neurons: u64::from(model.neurons()),
            synapses,
            neuron_spread: Spread::of(partitions.iter().map(|p| p.neurons as f64)),
            synapse_spread: Spread::of(partitions.iter().map(|p| p.synapses as f64)),
            load: Spread::of(partitions.iter().map(|p| p.load)),
            cut_share: if synapses > 0 { cut as f64 / synapses as f64 } else { 0.0 },
            partitions,
            locality: locality.flatten().unwrap_or_default(),
            locality_by_rows: locality_by_rows.flatten(),
            owners,
        })
    }

    /// The partition of a neuron, by population and index within it.
    ///
    /// # Panics
    /// If there is no such neuron.
    pub fn owner(&self, population: usize, neuron: u32) -> u32 {
        self.owners[population][neuron as usize]
    }
}

/// The options, with a crew.
fn checked(options: &SimOptions, partitions: usize) -> Result<(SimOptions, Crew)> {
    let mut options = options.clone();
    options.cut.shards = Some(partitions);
    options.check()?;
    let workers = options.workers();
    Ok((options, Crew::new(workers)))
}

impl PartitionShare {
    /// Widens the ranges so that a neuron lies within.
    fn place(&mut self, population: &Population, neuron: u32) {
        if let Some(cell) = population.cell(neuron) {
            let ranges = self.cells.get_or_insert_with(|| cell.map(|c| [c, c]));
            widen(ranges, cell);
        }
        if let Some(position) = population.position(neuron) {
            let ranges = self.extent_um.get_or_insert_with(|| position.map(|x| [x, x]));
            widen(ranges, position);
        }
    }
}

fn widen<T: PartialOrd + Copy>(ranges: &mut [[T; 2]; 4], point: [T; 4]) {
    for (range, x) in ranges.iter_mut().zip(point) {
        if x < range[0] {
            range[0] = x;
        }
        if x > range[1] {
            range[1] = x;
        }
    }
}
