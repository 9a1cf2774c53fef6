//! [`BrainModel`]: a described network made concrete, ready to be wired and run.

use super::placement::Sites;
use super::validate::{selection_len, weight_bounds};
use super::{ConnectionRule, Distribution, NetworkSpec, PopulationId, PopulationSpec, Sampler, StimulusKind};
use crate::error::{Error, Fault, Result};
use crate::lattice::{Box4, Cell, Position};
use crate::neuron::{NeuronModel, ParamColumn, ParamTable, Polarity, Receptor};
use crate::rng::{Key, Purpose};
use std::ops::Range;
use std::sync::Arc;

/// A network with its neurons numbered, placed and given their parameters.
///
/// Synapses are not part of it: [`wiring::prepare`](super::wiring::prepare) makes them projection by projection
/// and source by source, wherever they are to lie.
///
/// Invariant, checked by [`build`](Self::build): the description is free of faults, populations take consecutive
/// neuron numbers from 0 on, and there are at most 2^32 - 1 neurons.
#[derive(Debug)]
pub struct BrainModel {
    spec: NetworkSpec,
    seed: u64,
    populations: Vec<Population>,
    projection_receptors: Vec<ReceptorChoice>,
    stimulus_receptors: Vec<Vec<Option<usize>>>,
}

/// A population of a [`BrainModel`].
#[derive(Debug)]
pub struct Population {
    name: String,
    first: u32,
    size: u32,
    model: Arc<dyn NeuronModel>,
    params: ParamTable,
    receptors: Vec<Receptor>,
    sites: Arc<Sites>,
}

/// Where the weights of a projection go at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceptorChoice {
    /// All to this receptor.
    Always(usize),
    /// By the sign of the weight.
    BySign {
        /// Receptor of weights of zero and above.
        nonnegative: usize,
        /// Receptor of weights below zero.
        negative: usize,
    },
}

impl ReceptorChoice {
    /// The receptor of a weight.
    #[inline(always)]
    pub fn of(self, weight: f64) -> usize {
        match self {
            Self::Always(receptor) => receptor,
            Self::BySign { nonnegative, negative } => {
                if weight < 0.0 {
                    negative
                } else {
                    nonnegative
                }
            }
        }
    }

    /// The receptors of weights within `min..=max`.
    ///
    /// # Errors
    /// A sentence, if the target has no such receptor, or one that does not take these weights.
    fn resolve(target: &Population, name: Option<&str>, min: f64, max: f64) -> Result<Self, String> {
        let names = || target.receptors.iter().map(|r| r.name).collect::<Vec<_>>();
        if let Some(name) = name {
            let Some(index) = crate::neuron::resolve_receptor(&target.receptors, name) else {
                let hint = match crate::error::did_you_mean(name, names()) {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => String::new(),
                };
                return Err(format!(
                    "population `{}` has no receptor `{name}`; its receptors are {}{hint}",
                    target.name,
                    names().join(", ")
                ));
            };
            return match target.receptors[index].polarity {
                Polarity::Excitatory if min < 0.0 => {
                    Err(format!("receptor `{name}` takes weights of 0 and above, but the weight can be {min}"))
                }
                Polarity::Inhibitory | Polarity::InhibitoryMagnitude if max > 0.0 => {
                    Err(format!("receptor `{name}` takes weights below 0, but the weight can be {max}"))
                }
                _ => Ok(Self::Always(index)),
            };
        }
        let find = |matches: &dyn Fn(Polarity) -> bool| {
            let exact = target.receptors.iter().position(|r| matches(r.polarity));
            exact.or_else(|| target.receptors.iter().position(|r| r.polarity == Polarity::Signed))
        };
        let missing = |what: &str, weight: f64| {
            format!(
                "population `{}` has no receptor for {what} weights such as {weight}; its receptors are {}",
                target.name,
                names().join(", ")
            )
        };
        let nonnegative = find(&|p| p == Polarity::Excitatory);
        let negative = find(&|p| matches!(p, Polarity::Inhibitory | Polarity::InhibitoryMagnitude));
        match (min < 0.0, max >= 0.0) {
            (false, _) => nonnegative.map(Self::Always).ok_or_else(|| missing("non-negative", max)),
            (true, false) => negative.map(Self::Always).ok_or_else(|| missing("negative", min)),
            (true, true) => {
                let nonnegative = nonnegative.ok_or_else(|| missing("non-negative", max))?;
                let negative = negative.ok_or_else(|| missing("negative", min))?;
                if nonnegative == negative {
                    return Ok(Self::Always(negative));
                }
                Ok(Self::BySign { nonnegative, negative })
            }
        }
    }
}

impl Population {
    fn new(spec: &PopulationSpec, sites: Arc<Sites>, first: u32, seed: u64) -> Result<Self> {
        let size = sites.len() as u32;
        let mut columns: Vec<ParamColumn> = spec.model.values().into_iter().map(ParamColumn::Uniform).collect();
        for (name, distribution) in &spec.params {
            let index = spec.model.parameters().iter().position(|p| p.name == name).expect("validated");
            columns[index] = match distribution {
                Distribution::Values(values) => ParamColumn::PerNeuron(values.to_vec()),
                _ => {
                    let sampler = Sampler::new(distribution)?;
                    match sampler.constant() {
                        Some(value) => ParamColumn::Uniform(value),
                        None => {
                            let key = Key::named(seed, Purpose::Parameter, &format!("{}.{name}", spec.name));
                            ParamColumn::PerNeuron(draw_column(key, &sampler, 0..size))
                        }
                    }
                }
            };
        }
        let params = ParamTable { len: size as usize, columns };
        let receptors = spec.model.receptors(&params);
        Ok(Self { name: spec.name.clone(), first, size, model: spec.model.clone(), params, receptors, sites })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the parameters that differ between its neurons.
    pub fn param_bytes(&self) -> usize {
        self.params.bytes()
    }

    /// Bytes of the positions of its neurons.
    pub fn position_bytes(&self) -> usize {
        self.sites.bytes()
    }

    /// Number of its first neuron in the whole network.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Number of its neurons.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Its neuron model.
    pub fn model(&self) -> &Arc<dyn NeuronModel> {
        &self.model
    }

    /// Parameter values of its neurons.
    pub fn params(&self) -> &ParamTable {
        &self.params
    }

    /// Its receptors.
    pub fn receptors(&self) -> &[Receptor] {
        &self.receptors
    }

    /// Position of a neuron (index within the population), um; none for populations without positions.
    pub fn position(&self, neuron: u32) -> Option<Position> {
        self.sites.position(neuron)
    }

    /// Cell of a neuron (index within the population) placed on the lattice by density.
    pub fn cell(&self, neuron: u32) -> Option<Cell> {
        match &*self.sites {
            Sites::Cells(cells) => Some(cells.cell(neuron)),
            _ => None,
        }
    }

    /// The box of cells a population placed by density lies in.
    pub fn region(&self) -> Option<Box4> {
        match &*self.sites {
            Sites::Cells(cells) => Some(cells.region),
            _ => None,
        }
    }
}

/// Most events of a Poisson stimulus a neuron and step: each six take a draw of their own.
const MOST_EVENTS: f64 = 1e4;

/// Values for consecutive neurons: neuron `i` has word `i % 4` of block `i / 4`.
fn draw_column(key: Key, sampler: &Sampler, range: Range<u32>) -> Vec<f64> {
    let mut block = (u32::MAX, [0; 4]);
    range
        .map(|i| {
            if block.0 != i / 4 {
                block = (i / 4, key.words([i / 4, 0, 0, 0]));
            }
            sampler.sample(block.1[i as usize % 4])
        })
        .collect()
}

impl BrainModel {
    /// Numbers, places and parametrises the neurons of a network. Nothing is drawn that depends on other parts of
    /// the network: adding a population, projection or stimulus changes no value of the others.
    ///
    /// # Errors
    /// Every fault of the description, all at once.
    pub fn build(spec: &NetworkSpec, seed: u64) -> Result<Self> {
        let faults = spec.validate();
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let place = |p: &PopulationSpec| Arc::new(Sites::new(&p.placement, spec.lattice.as_ref(), &p.name, seed));
        let sites: Vec<_> = spec.populations.iter().map(place).collect();
        // Drawn placements have a size only now: check again what depends on sizes.
        let sizes: Vec<_> = sites.iter().map(|s| Some(s.len())).collect();
        let mut faults = spec.validate_sized(&sizes);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let mut first = 0;
        let mut populations = Vec::new();
        for (population, sites) in spec.populations.iter().zip(sites) {
            let built = Population::new(population, sites, first, seed)?;
            first += built.size;
            populations.push(built);
        }
        let mut projection_receptors = Vec::new();
        for projection in &spec.projections {
            let (min, max) = weight_bounds(projection)?;
            let target = &populations[projection.target.0];
            match ReceptorChoice::resolve(target, projection.receptor.as_deref(), min, max) {
                Ok(choice) => projection_receptors.push(choice),
                Err(message) => {
                    let key = if projection.receptor.is_some() { "receptor" } else { "weight" };
                    faults.push(Fault::new(format!("projection.{}.{key}", projection.name), message));
                }
            }
        }
        let mut stimulus_receptors = Vec::new();
        for stimulus in &spec.stimuli {
            let mut receptors = Vec::new();
            for target in &stimulus.targets {
                let (StimulusKind::Poisson { weight, receptor } | StimulusKind::Spikes { weight, receptor, .. }) =
                    &stimulus.kind
                else {
                    receptors.push(None);
                    continue;
                };
                let target = &populations[target.population.0];
                match ReceptorChoice::resolve(target, receptor.as_deref(), *weight, *weight) {
                    Ok(choice) => receptors.push(Some(choice.of(*weight))),
                    Err(message) => {
                        let key = if receptor.is_some() { "receptor" } else { "weight" };
                        faults.push(Fault::new(format!("stimulus.{}.{key}", stimulus.name), message));
                    }
                }
            }
            stimulus_receptors.push(receptors);
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        Ok(Self { spec: spec.clone(), seed, populations, projection_receptors, stimulus_receptors })
    }

    /// The description it was built from: projections and stimuli keep their order and indices.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// The seed it was built with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Bytes of the lists of synapses in the description.
    pub fn edge_bytes(&self) -> usize {
        let edges =
            |rule: &ConnectionRule| if let ConnectionRule::Edges(edges) = rule { size_of_val(&**edges) } else { 0 };
        self.spec.projections.iter().map(|projection| edges(&projection.rule)).sum()
    }

    /// Number of neurons in all.
    pub fn neurons(&self) -> u32 {
        self.populations.last().map_or(0, |p| p.first + p.size)
    }

    /// Populations in order.
    pub fn populations(&self) -> &[Population] {
        &self.populations
    }

    /// A population by its name, with its index.
    pub fn population(&self, name: &str) -> Option<(PopulationId, &Population)> {
        let index = self.populations.iter().position(|p| p.name == name)?;
        Some((PopulationId(index), &self.populations[index]))
    }

    /// Where the weights of a projection go.
    pub fn projection_receptor(&self, projection: usize) -> ReceptorChoice {
        self.projection_receptors[projection]
    }

    /// The receptor of the events of a stimulus at its `target`-th target population; none for currents.
    pub fn stimulus_receptor(&self, stimulus: usize, target: usize) -> Option<usize> {
        self.stimulus_receptors[stimulus][target]
    }

    /// Number of neurons a stimulus acts upon at its `target`-th target population.
    pub fn stimulated(&self, stimulus: usize, target: usize) -> u32 {
        let target = &self.spec.stimuli[stimulus].targets[target];
        selection_len(&target.neurons, u64::from(self.populations[target.population.0].size)) as u32
    }

    /// Initial values of a state variable (index into the model's variables) for a range of neurons (indices within
    /// the population).
    ///
    /// # Panics
    /// If the population, the variable or the neurons do not exist.
    pub fn initial_column(&self, population: PopulationId, variable: usize, range: Range<u32>) -> Vec<f64> {
        let built = &self.populations[population.0];
        assert!(range.end <= built.size, "population `{}` has {} neurons", built.name, built.size);
        let name = built.model.variables()[variable].name;
        let given = self.spec.populations[population.0].initial.iter().find(|(n, _)| n == name);
        match given.map(|(_, distribution)| distribution) {
            Some(Distribution::Values(values)) => values[range.start as usize..range.end as usize].to_vec(),
            Some(distribution) => {
                let sampler = Sampler::new(distribution).expect("validated");
                let key = Key::named(self.seed, Purpose::Initial, &format!("{}.{name}", built.name));
                draw_column(key, &sampler, range)
            }
            None if built.params.is_uniform() && !range.is_empty() => {
                vec![built.model.initial(variable, &built.params.row(0)); range.len()]
            }
            None => range.map(|i| built.model.initial(variable, &built.params.row(i as usize))).collect(),
        }
    }

    /// Faults of parameter combinations for a time step (ms): of each kind, the first neuron that has it; and Poisson
    /// stimuli with more events a step than can be drawn in reasonable time.
    pub fn check_step(&self, dt: f64) -> Vec<Fault> {
        let mut faults = Vec::new();
        for population in &self.populations {
            let neurons = if population.params.is_uniform() { 1 } else { population.size };
            let mut seen: Vec<&'static str> = Vec::new();
            for neuron in 0..neurons {
                for (name, message) in population.model.check(&population.params.row(neuron as usize), dt) {
                    if seen.contains(&name) {
                        continue;
                    }
                    seen.push(name);
                    let place = if neurons == 1 { String::new() } else { format!("neuron {neuron}: ") };
                    faults.push(Fault::new(format!("population.{}.{name}", population.name), place + &message));
                }
            }
        }
        for stimulus in &self.spec.stimuli {
            let levels = stimulus.targets.iter().map(|target| target.level);
            let rate = levels.fold(0.0, f64::max);
            if matches!(stimulus.kind, StimulusKind::Poisson { .. }) && rate * dt * 1e-3 > MOST_EVENTS {
                let message = format!(
                    "{rate} Hz are {:.1e} events in each step of {dt} ms; at most {MOST_EVENTS:.0e} are drawn. A \
                     current of the same mean and deviation (`noise`) does the same at such rates",
                    rate * dt * 1e-3
                );
                faults.push(Fault::new(format!("stimulus.{}.rate", stimulus.name), message));
            }
        }
        faults
    }

    /// Weights that none of a projection is below or above.
    ///
    /// # Errors
    /// None for the projections of a built model.
    pub fn weight_bounds(&self, projection: usize) -> Result<(f64, f64)> {
        weight_bounds(&self.spec.projections[projection])
    }

    pub(super) fn sites(&self, population: PopulationId) -> Arc<Sites> {
        self.populations[population.0].sites.clone()
    }
}
