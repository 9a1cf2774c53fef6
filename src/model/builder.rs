//! Describing a network in Rust: the builder face of [`NetworkSpec`].

use super::{
    AreaSpec, ConnectionRule, DelaySpec, Distribution, NetworkSpec, Placement, PopulationId, PopulationSpec,
    ProjectionSpec, Selection, StimulusKind, StimulusSpec, StimulusTarget, SynapseStorage,
};
use crate::error::{Error, Result, did_you_mean};
use crate::lattice::{Box4, Lattice4};
use crate::neuron::NeuronModel;
use std::sync::Arc;

/// Weights and delays of synapses that do not change.
///
/// ```
/// use tessera::model::{Distribution, StaticSynapse};
/// let _ = StaticSynapse { weight: 0.2, delay: 1.5 };
/// let _ = StaticSynapse { weight: Distribution::normal(87.8, 8.78), delay: 1.5 };
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StaticSynapse<W = f64, D = f64> {
    /// Weight, in the unit of the target's receptor: a number or a [`Distribution`].
    pub weight: W,
    /// Delay, ms: a number, a [`Distribution`] or a [`DelaySpec`].
    pub delay: D,
}

impl From<f64> for DelaySpec {
    fn from(delay: f64) -> Self {
        Self::Drawn(Distribution::Constant(delay))
    }
}

impl From<Distribution> for DelaySpec {
    fn from(delay: Distribution) -> Self {
        Self::Drawn(delay)
    }
}

impl From<u32> for Placement {
    fn from(count: u32) -> Self {
        Self::Count(count)
    }
}

impl From<Box4> for Placement {
    /// One neuron on every cell.
    fn from(region: Box4) -> Self {
        Self::Region { region, density: 1.0 }
    }
}

impl NetworkSpec {
    /// An empty network on a lattice. Networks without one start from [`NetworkSpec::default`].
    pub fn new(lattice: Lattice4) -> Self {
        Self { lattice: Some(lattice), ..Self::default() }
    }

    /// Adds a named box of the lattice and returns the box.
    ///
    /// # Errors
    /// If there is no lattice, the box leaves it or is empty, or the name is taken.
    pub fn area(&mut self, name: &str, region: Box4) -> Result<Box4> {
        if self.areas.iter().any(|a| a.name == name) {
            return Err(Error::invalid(format!("area.{name}"), "this name is taken by another area"));
        }
        if let Some(message) = self.region_fault(&region) {
            return Err(Error::invalid(format!("area.{name}"), message));
        }
        self.areas.push(AreaSpec { name: name.into(), region });
        Ok(region)
    }

    /// Adds a population: a number of neurons, a box of the lattice (one neuron a cell), or any [`Placement`].
    ///
    /// # Errors
    /// If the name is taken.
    pub fn population(
        &mut self,
        name: &str,
        placement: impl Into<Placement>,
        model: impl NeuronModel + 'static,
    ) -> Result<PopulationId> {
        self.add_population(PopulationSpec {
            name: name.into(),
            model: Arc::new(model),
            placement: placement.into(),
            params: Vec::new(),
            initial: Vec::new(),
        })
    }

    /// Adds a population described in full.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn add_population(&mut self, population: PopulationSpec) -> Result<PopulationId> {
        if self.populations.iter().any(|p| p.name == population.name) {
            let key = format!("population.{}", population.name);
            return Err(Error::invalid(key, "this name is taken by another population"));
        }
        self.populations.push(population);
        Ok(PopulationId(self.populations.len() - 1))
    }

    /// The population of a name.
    ///
    /// # Errors
    /// If there is none; the message names the nearest.
    pub fn find_population(&self, name: &str) -> Result<PopulationId> {
        let names = || self.populations.iter().map(|p| p.name.as_str());
        names().position(|n| n == name).map(PopulationId).ok_or_else(|| {
            let hint = did_you_mean(name, names()).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            let known = names().collect::<Vec<_>>().join(", ");
            Error::invalid(
                format!("population.{name}"),
                format!("there is no such population; there are {known}{hint}"),
            )
        })
    }

    /// Gives a parameter, or the initial value of a state variable, of a
    /// population its own value for each neuron, from a distribution.
    ///
    /// # Errors
    /// If the population does not exist, or its model has no such parameter or variable.
    pub fn vary(&mut self, population: PopulationId, name: &str, values: impl Into<Distribution>) -> Result<()> {
        let spec = self.known(population)?;
        if spec.model.parameters().iter().any(|p| p.name == name) {
            spec.params.retain(|(n, _)| n != name);
            spec.params.push((name.into(), values.into()));
            return Ok(());
        }
        if spec.model.variables().iter().any(|v| v.name == name) {
            spec.initial.retain(|(n, _)| n != name);
            spec.initial.push((name.into(), values.into()));
            return Ok(());
        }
        let names: Vec<_> = spec.model.parameters().iter().map(|p| p.name).collect();
        let variables = spec.model.variables().iter().map(|v| v.name);
        let names: Vec<_> = names.into_iter().chain(variables).collect();
        let hint = did_you_mean(name, names.iter().copied()).map(|n| format!("; did you mean `{n}`?"));
        Err(Error::invalid(
            format!("population.{}.{name}", spec.name),
            format!(
                "model `{}` has no such parameter or state variable; it has {}{}",
                spec.model.name(),
                names.join(", "),
                hint.unwrap_or_default()
            ),
        ))
    }

    fn known(&mut self, population: PopulationId) -> Result<&mut PopulationSpec> {
        let n = self.populations.len();
        self.populations
            .get_mut(population.0)
            .ok_or_else(|| Error::Usage(format!("population {} does not exist; there are {n}", population.0)))
    }

    /// Connects two populations. The projection is named `source_to_target`, with a number where that name is
    /// taken. Self-connections and repeated connections are allowed; change that, and choose a receptor, on the
    /// returned description.
    ///
    /// # Errors
    /// If a population does not exist.
    pub fn project<W: Into<Distribution>, D: Into<DelaySpec>>(
        &mut self,
        source: PopulationId,
        target: PopulationId,
        rule: ConnectionRule,
        synapse: StaticSynapse<W, D>,
    ) -> Result<&mut ProjectionSpec> {
        let stem = format!("{}_to_{}", self.known(source)?.name.clone(), self.known(target)?.name);
        let mut name = stem.clone();
        let mut number = 1;
        while self.projections.iter().any(|p| p.name == name) {
            number += 1;
            name = format!("{stem}_{number}");
        }
        self.projections.push(ProjectionSpec {
            name,
            source,
            target,
            rule,
            weight: synapse.weight.into(),
            delay: synapse.delay.into(),
            receptor: None,
            autapses: true,
            multapses: true,
            storage: SynapseStorage::Stored,
        });
        Ok(self.projections.last_mut().expect("just added"))
    }

    /// Stimulates all neurons of a population, from the start on and for ever. `level` is the rate (Hz) of a Poisson
    /// stimulus or the amplitude (pA) of a current. More populations, a part of the neurons and times are set on
    /// the returned description.
    ///
    /// # Errors
    /// If the population does not exist or the name is taken.
    pub fn stimulate(
        &mut self,
        name: &str,
        population: PopulationId,
        level: f64,
        kind: StimulusKind,
    ) -> Result<&mut StimulusSpec> {
        self.known(population)?;
        if self.stimuli.iter().any(|s| s.name == name) {
            return Err(Error::invalid(format!("stimulus.{name}"), "this name is taken by another stimulus"));
        }
        let target = StimulusTarget { population, neurons: Selection::All, level };
        self.stimuli.push(StimulusSpec {
            name: name.into(),
            targets: vec![target],
            kind,
            start: 0.0,
            stop: f64::INFINITY,
        });
        Ok(self.stimuli.last_mut().expect("just added"))
    }
}
