//! [`Connectivity`]: all synapses of a network in the form in which a simulation streams over them.

use super::cut::{CutOptions, CutStrategy, cut};
use super::load::BlockLoads;
use super::options::SimOptions;
use super::partition::{Partition, Slot};
use super::pathways::{self, Built};
use super::procedural::{self, Generator};
use super::routing::Routing;
use crate::compute::Crew;
use crate::compute::records::SourceRow;
use crate::error::{Error, Result};
use crate::model::wiring::{self, Wiring};
use crate::model::{BrainModel, LONGEST_DELAY};
use crate::neuron::Polarity;
use crate::synapse::{Store, WeightGrid, WeightRange};
use std::path::{Path, PathBuf};

/// All synapses of a network as final records, cut into shards for a number of workers.
///
/// It is what takes long to make of a large network, and what a model file keeps. A simulation is made of a
/// [`BrainModel`] and its connectivity ([`Simulation::with_connectivity`](super::Simulation::with_connectivity)).
#[derive(Debug)]
pub struct Connectivity {
    pub(super) partition: Partition,
    /// How it was cut, where that is known.
    pub(super) strategy: Option<CutStrategy>,
    /// What its blocks of neurons are expected to cost, where that has been asked.
    pub(super) loads: Option<BlockLoads>,
    /// For each population, the grid of each receptor; `None` where no projection arrives.
    pub(super) grids: Vec<Vec<Option<WeightGrid>>>,
    /// Steps of each delay class, ascending.
    pub(super) delays: Vec<u32>,
    /// For each shard, a store for each format of records in use.
    pub(super) stores: Vec<Vec<Store>>,
    /// The synapses that are drawn at every spike, where there are such.
    pub(super) generator: Option<Generator>,
    /// The file the records lie in, if they do.
    pub(super) origin: Option<PathBuf>,
    /// Sum of hashes of all synapses, where it is known.
    pub(super) synapse_sum: Option<u64>,
}

/// The error for synapses that name places that do not exist.
pub(super) fn damaged(origin: &Option<PathBuf>, where_: &str) -> Error {
    let message = format!("the synapses are damaged ({where_}); `tessera info --verify` shows where");
    Error::format(origin.as_deref().unwrap_or(Path::new("")), message)
}

/// How weights onto one receptor are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWeights {
    /// Population.
    pub population: String,
    /// Receptor.
    pub receptor: String,
    /// Unit of the weights.
    pub unit: String,
    /// The grid.
    pub grid: WeightGrid,
}

/// A synapse as it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Synapse {
    /// The target's number in the whole network.
    pub target: u32,
    /// Receptor of the target, an index into [`Population::receptors`](crate::model::Population::receptors).
    pub receptor: usize,
    /// Weight, in the receptor's unit and with the sign a projection gives it, as rounded to the receptor's grid.
    pub weight: f64,
    /// Delay in steps, at least 1.
    pub delay: u32,
}

impl Connectivity {
    /// Draws all synapses of `model` and lays them out for the threads of `options`.
    ///
    /// # Errors
    /// If an option is out of range, or the delays do not fit the time step.
    pub fn build(model: &BrainModel, options: &SimOptions) -> Result<Self> {
        options.check()?;
        Self::draw(model, options, &Crew::new(options.workers()))
    }

    pub(super) fn draw(model: &BrainModel, options: &SimOptions, crew: &Crew) -> Result<Self> {
        let populations = model.populations();
        let mut wirings: Vec<Box<dyn Wiring>> = Vec::new();
        let mut routings = Vec::new();
        // What each receptor of each population receives.
        let mut ranges: Vec<Vec<Vec<WeightRange>>> =
            populations.iter().map(|p| vec![Vec::new(); p.receptors().len()]).collect();
        for (index, projection) in model.spec().projections.iter().enumerate() {
            let wiring = wiring::prepare(model, index, options.dt, crew)?;
            let longest = wiring.delays().1;
            if longest > LONGEST_DELAY {
                let message = format!(
                    "delays of up to {longest} steps of {} ms are possible; at most {LONGEST_DELAY} steps are supported",
                    options.dt
                );
                return Err(Error::invalid(format!("projection.{}.delay", projection.name), message));
            }
            let target = projection.target.0;
            let routing = Routing::new(populations[target].receptors(), model.projection_receptor(index));
            let weights = wiring.weights();
            let range = WeightRange { min: weights.min, max: weights.max, rms: weights.rms };
            for (receptor, range) in routing.ranges(range) {
                ranges[target][receptor].push(range);
            }
            wirings.push(wiring);
            routings.push(routing);
        }
        let grid = |r: &Vec<WeightRange>| (!r.is_empty()).then(|| WeightGrid::choose(r, options.weight_bits));
        let grids: Vec<Vec<_>> = ranges.iter().map(|of| of.iter().map(grid).collect()).collect();
        let expected: f64 = wirings.iter().map(|w| w.expected()).sum();
        let loads = BlockLoads::of_wirings(model, &wirings, options.dt, crew);
        let shards = options.cut.shards_for(model, crew.size(), expected);
        let partition = cut(model, options.cut.chosen(), shards, &loads)?;
        let Built { stores, delays } = pathways::build(model, &wirings, &routings, &grids, &partition, crew)?;
        let generator = Generator::new(model, wirings, &grids, &partition, crew);
        let (strategy, loads) = (Some(options.cut.chosen()), Some(loads));
        Ok(Self { partition, strategy, loads, grids, delays, stores, generator, origin: None, synapse_sum: None })
    }

    /// Number of shards: at most so many workers find work.
    pub fn shards(&self) -> usize {
        self.partition.shards
    }

    /// Number of synapses.
    pub fn synapses(&self) -> u64 {
        let stored: u64 = self.stores.iter().flatten().map(|store| store.synapses).sum();
        stored + self.generator.as_ref().map_or(0, Generator::synapses)
    }

    /// Longest delay, steps.
    pub fn longest_delay(&self) -> u32 {
        self.delays.last().copied().unwrap_or(1)
    }

    /// How weights are stored, receptor by receptor.
    pub fn stored_weights(&self, model: &BrainModel) -> Vec<StoredWeights> {
        let mut stored = Vec::new();
        for (population, grids) in model.populations().iter().zip(&self.grids) {
            for (receptor, grid) in population.receptors().iter().zip(grids) {
                if let Some(grid) = grid {
                    stored.push(StoredWeights {
                        population: population.name().to_owned(),
                        receptor: receptor.name.to_owned(),
                        unit: receptor.unit.to_owned(),
                        grid: *grid,
                    });
                }
            }
        }
        stored
    }

    /// These synapses as `options` wants them cut: as they are, or copied.
    pub(super) fn cut_for(self, model: &BrainModel, options: &SimOptions, crew: &Crew) -> Result<Self> {
        let CutOptions { strategy, shards, .. } = options.cut;
        let enough = shards.map_or(self.shards() >= crew.size(), |shards| shards == self.shards());
        if enough && strategy.is_none_or(|strategy| self.strategy == Some(strategy)) {
            return Ok(self);
        }
        let loads = match &self.loads {
            Some(loads) => loads.clone(),
            None => BlockLoads::of_connectivity(model, &self, options.dt, crew)?,
        };
        let shards = options.cut.shards_for(model, crew.size(), self.synapses() as f64);
        let partition = cut(model, options.cut.chosen(), shards, &loads)?;
        let mut copy = self.relaid(model, partition, crew)?;
        (copy.strategy, copy.loads) = (Some(options.cut.chosen()), Some(loads));
        Ok(copy)
    }

    /// The same synapses, copied into the shards of `partition`.
    pub(super) fn relaid(&self, model: &BrainModel, partition: Partition, crew: &Crew) -> Result<Self> {
        let Built { stores, delays } = pathways::repack(self, model, &partition, crew)?;
        let (grids, origin, synapse_sum) = (self.grids.clone(), None, self.synapse_sum);
        let generator = self.generator.as_ref().map(|generator| generator.relaid(model, &grids, &partition));
        let (strategy, loads) = (None, None);
        Ok(Self { partition, strategy, loads, grids, delays, stores, generator, origin, synapse_sum })
    }

    /// Appends all synapses of a neuron (its number in the whole network) to `out`, in no particular order.
    ///
    /// # Errors
    /// If the synapses lie in a file that is damaged.
    ///
    /// # Panics
    /// If there is no such neuron, or `model` is not the model this was built for.
    pub fn synapses_of(&self, model: &BrainModel, neuron: u32, out: &mut Vec<Synapse>) -> Result<()> {
        self.for_each_record(neuron, &mut |at, record| {
            let weight = f64::from(record.weight) * self.unit(model, at.population, at.receptor);
            let target = model.populations()[at.population].first() + at.neuron;
            out.push(Synapse { target, receptor: at.receptor, weight, delay: self.delays[usize::from(record.class)] });
        })
    }

    /// What a stored weight of 1 means at a receptor: in its unit, and below zero where it keeps magnitudes of negative
    /// weights.
    pub(super) fn unit(&self, model: &BrainModel, population: usize, receptor: usize) -> f64 {
        let unit = self.grids[population][receptor].map_or(1.0, |g| g.unit);
        let polarity = model.populations()[population].receptors()[receptor].polarity;
        if polarity == Polarity::InhibitoryMagnitude { -unit } else { unit }
    }

    /// Calls `visit` for every synapse of a source neuron as a record, whether it is stored or drawn.
    pub(super) fn for_each_record(&self, neuron: u32, visit: &mut dyn FnMut(Slot, Record)) -> Result<()> {
        self.for_each_stored(neuron, visit)?;
        if let Some(generator) = &self.generator {
            generator.for_each(neuron, &mut |at, weight, delay| {
                visit(at, procedural::record(weight, delay, &self.delays));
            });
        }
        Ok(())
    }

    /// Calls `visit` for every record of a source neuron.
    pub(super) fn for_each_stored(&self, neuron: u32, visit: &mut dyn FnMut(Slot, Record)) -> Result<()> {
        for (shard, stores) in self.stores.iter().enumerate() {
            for store in stores {
                let row: SourceRow = store.rows[neuron as usize];
                let mut sound = true;
                let whole = store.arena.for_each_segment(row, |class, segment| {
                    sound &= usize::from(class) < self.delays.len();
                    store.arena.for_each_record(segment, |slot, weight| match self.partition.slot(shard, slot) {
                        Some(at) if sound => visit(at, Record { weight, class }),
                        _ => sound = false,
                    });
                });
                if !(whole && sound) {
                    return Err(damaged(&self.origin, &format!("those of neuron {neuron}")));
                }
            }
        }
        Ok(())
    }
}

/// A record as it is stored: an integer weight on the receptor's grid, a class of delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub weight: i32,
    pub class: u16,
}
