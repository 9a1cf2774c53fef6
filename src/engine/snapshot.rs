//! [`Snapshot`]: all that a run has to know in order to go on, as plain data.

use super::connectivity::damaged;
use super::digest::{Digest, DigestState};
use super::fingerprint::fingerprint;
use super::options::Precision;
use super::recorder::Spike;
use super::simulation::Simulation;
use crate::error::{Error, Result};
use crate::model::StimulusKind;
use std::collections::BTreeMap;

/// A simulation between two steps. It depends on neither threads, shards nor instruction set.
///
/// Draws have no state (they are functions of the step), nor do the models of the library beyond their columns and
/// refractory counters. A [`Stepper`](crate::neuron::Stepper) of your own must keep its state there too: what it holds
/// itself is not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps taken.
    pub step: u64,
    /// Time step, ms.
    pub dt: f64,
    /// Precision of the columns.
    pub precision: Precision,
    /// Seed of all draws.
    pub seed: u64,
    /// What [`Simulation::network`] says of the network.
    pub network: u64,
    /// Populations, in order.
    pub populations: Vec<PopulationState>,
    /// Noise stimuli, in order of stimulus and target.
    pub processes: Vec<ProcessState>,
    /// Spikes that may not have reached all their targets yet: those of the last `longest delay` steps, ascending.
    pub in_flight: Vec<Spike>,
    /// What has been counted.
    pub counters: Counters,
    /// The digest of all spikes so far.
    pub digest: DigestState,
    /// What each recorder said at [`Recorder::checkpoint`](super::Recorder::checkpoint).
    pub recorders: Vec<serde_json::Value>,
}

/// State of a population.
#[derive(Debug, Clone, PartialEq)]
pub struct PopulationState {
    /// Its name.
    pub name: String,
    /// Names and values of its state variables.
    pub columns: Vec<(String, StateColumn)>,
    /// Steps each neuron is still held for.
    pub refractory: Vec<u16>,
}

/// Values of a state variable, one a neuron.
#[derive(Debug, Clone, PartialEq)]
pub enum StateColumn {
    /// In single precision.
    F32(Vec<f32>),
    /// In double precision.
    F64(Vec<f64>),
}

/// State of the process behind a noise stimulus on one population.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessState {
    /// Name of the stimulus.
    pub stimulus: String,
    /// Name of the population.
    pub population: String,
    /// Deviation from the mean of each neuron, pA; 0 for neurons that the stimulus does not act on.
    pub state: Vec<f64>,
}

/// What a run counts; see [`Figures`](super::Figures).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// Spikes of each population.
    pub population_spikes: Vec<u64>,
    /// Synaptic events.
    pub synaptic_events: u64,
    /// Additions that overflowed their row.
    pub row_overflows: u64,
    /// Seconds spent in steps and recording.
    pub sim_s: f64,
    /// Seconds by phase.
    pub phases_s: BTreeMap<String, f64>,
}

impl StateColumn {
    fn zeroed(precision: Precision, len: usize) -> Self {
        match precision {
            Precision::F32 => Self::F32(vec![0.0; len]),
            Precision::F64 => Self::F64(vec![0.0; len]),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Precision of the values.
    pub fn precision(&self) -> Precision {
        match self {
            Self::F32(_) => Precision::F32,
            Self::F64(_) => Precision::F64,
        }
    }

    /// The value of a neuron.
    pub(super) fn get(&self, neuron: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[neuron]),
            Self::F64(values) => values[neuron],
        }
    }

    /// Replaces the values from neuron `first` on. Values that were single are so again.
    pub(super) fn write(&mut self, first: usize, values: impl Iterator<Item = f64>) {
        match self {
            Self::F32(to) => to[first..].iter_mut().zip(values).for_each(|(to, x)| *to = x as f32),
            Self::F64(to) => to[first..].iter_mut().zip(values).for_each(|(to, x)| *to = x),
        }
    }
}

/// Above any count of a snapshot.
const MOST: u64 = 1 << 60;

impl Simulation {
    /// A number that two networks share only if they are the same: populations and their parameters, every synapse,
    /// weight grids, stimuli. Computed when it is first asked for, in about two nanoseconds of a core for each synapse.
    ///
    /// What a neuron model keeps besides its parameters is taken from its `Debug` text.
    ///
    /// # Errors
    /// If the synapses lie in a file that is damaged.
    pub fn network(&mut self) -> Result<u64> {
        if let Some(known) = self.network {
            return Ok(known);
        }
        let sum = self.synapse_sum.or_else(|| self.machine.synapse_sum());
        let sum = sum.ok_or_else(|| damaged(&self.origin, "found when all were read"))?;
        Ok(*self.network.insert(fingerprint(&self.model, &self.weights, sum)))
    }

    /// All that is needed to go on later from here with [`restore`](Self::restore). The recorders put what they have
    /// on disk first.
    ///
    /// # Errors
    /// If a recorder fails, or the simulation has ended or was stopped by an error.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        if self.finished || self.failed {
            let why = if self.failed { "was stopped by an error" } else { "has been finished" };
            return Err(Error::Usage(format!("the simulation {why}; no snapshot can be taken")));
        }
        self.start()?;
        let network = self.network()?;
        let recorders = self.recorders.iter_mut().map(|r| r.checkpoint()).collect::<Result<_>>()?;
        let (populations, processes) = self.states();
        let figures = self.figures();
        Ok(Snapshot {
            step: self.step,
            dt: self.options.dt,
            precision: self.options.precision,
            seed: self.model.seed(),
            network,
            populations,
            processes,
            in_flight: self.in_flight.clone(),
            counters: Counters {
                population_spikes: figures.population_spikes,
                synaptic_events: figures.synaptic_events,
                row_overflows: figures.row_overflows,
                sim_s: figures.sim_s,
                phases_s: figures.phases_s,
            },
            digest: self.digest.state(),
            recorders,
        })
    }

    /// Puts a simulation that has not begun where another of the same network was. Its recorders, the same in the
    /// same order, resume their records.
    ///
    /// # Errors
    /// If the simulation has begun; if the snapshot is of another network, seed, time step or precision, or does not
    /// fit in itself; if a recorder cannot resume. Except in the last case nothing has been changed.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.refuse_when_started("snapshots are restored")?;
        self.check_snapshot(snapshot)?;
        self.put_states(&snapshot.populations, &snapshot.processes);
        self.machine.send_again(snapshot.step, &snapshot.in_flight);
        self.step = snapshot.step;
        self.in_flight.clone_from(&snapshot.in_flight);
        self.digest = Digest::resume(&snapshot.digest);
        self.figures.simulated_ms = self.step as f64 * self.options.dt;
        self.figures.sim_s = snapshot.counters.sim_s;
        self.figures.spikes = snapshot.counters.population_spikes.iter().sum();
        self.figures.population_spikes.clone_from(&snapshot.counters.population_spikes);
        self.carried = snapshot.counters.clone();
        self.started = true;
        self.probes = self.machine.install_probes(&self.layout, &self.variables);
        let places = self.recorders.iter_mut().zip(&snapshot.recorders);
        let resumed = places.map(|(recorder, place)| recorder.resume(&self.layout, place)).find(Result::is_err);
        self.failed = resumed.is_some();
        // Recorders that could resume are not asked to finish: that would drop what they hold after the snapshot.
        self.finished = self.failed;
        resumed.unwrap_or(Ok(()))
    }

    /// Whether a snapshot is one of this simulation, so that [`restore`](Self::restore) can only fail for reasons that lie
    /// with the recorders.
    ///
    /// # Errors
    /// One sentence on what differs.
    pub fn check_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let refuse = |message: String| Err(Error::Usage(message));
        let differs = |what: &str, theirs: &dyn std::fmt::Display, ours: &dyn std::fmt::Display| {
            Err(Error::Usage(format!("the checkpoint is of a run with {what} {theirs}, but this one has {ours}")))
        };
        if snapshot.dt.to_bits() != self.options.dt.to_bits() {
            return differs("a time step (ms) of", &snapshot.dt, &self.options.dt);
        }
        if snapshot.precision != self.options.precision {
            let name = |p| if p == Precision::F32 { "f32" } else { "f64" };
            return differs("precision", &name(snapshot.precision), &name(self.options.precision));
        }
        if snapshot.seed != self.model.seed() {
            return differs("seed", &snapshot.seed, &self.model.seed());
        }
        let network = self.network()?;
        if snapshot.network != network {
            let theirs = format!("{:016x}", snapshot.network);
            return refuse(format!(
                "the checkpoint is of another network (its number is {theirs}, this one's {network:016x})"
            ));
        }
        if snapshot.recorders.len() != self.recorders.len() {
            return differs("a number of recorders of", &snapshot.recorders.len(), &self.recorders.len());
        }
        // The network is the same, so what follows holds unless the snapshot was damaged or made up.
        let populations = snapshot.populations.len() == self.layout.populations.len()
            && snapshot.counters.population_spikes.len() == self.layout.populations.len()
            && snapshot.populations.iter().zip(&self.layout.populations).zip(&self.variables).all(
                |((state, layout), variables)| {
                    let size = layout.size as usize;
                    state.name == layout.name
                        && state.refractory.len() == size
                        && state.columns.iter().map(|(name, _)| name).eq(variables)
                        && state.columns.iter().all(|(_, c)| c.len() == size && c.precision() == snapshot.precision)
                },
            );
        let origins = self.processes();
        let processes = snapshot.processes.len() == origins.len()
            && snapshot.processes.iter().zip(origins).all(|(state, origin)| {
                let (stimulus, population, size) = self.process(origin);
                (&state.stimulus, &state.population, state.state.len()) == (&stimulus, &population, size)
            });
        // Counts go on from here; none comes near the bound in a lifetime.
        let counters = &snapshot.counters;
        let spikes = counters.population_spikes.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        let counts = [snapshot.step, spikes, counters.synaptic_events, counters.row_overflows];
        let bounded = counts.iter().all(|n| *n < MOST);
        let known = |spike: &Spike| spike.neuron < self.layout.neurons() && spike.step < snapshot.step;
        let spikes = [&snapshot.in_flight, &snapshot.digest.open];
        if populations && processes && bounded && spikes.iter().all(|list| list.iter().all(known)) {
            Ok(())
        } else {
            refuse("the checkpoint does not fit the network it says it is of".to_owned())
        }
    }

    /// The state of all neurons and processes.
    pub(super) fn states(&self) -> (Vec<PopulationState>, Vec<ProcessState>) {
        let precision = self.options.precision;
        let mut populations = Vec::new();
        for (number, (layout, variables)) in self.layout.populations.iter().zip(&self.variables).enumerate() {
            let size = layout.size as usize;
            let mut columns = vec![StateColumn::zeroed(precision, size); variables.len()];
            let mut refractory = vec![0; size];
            self.machine.take_population(number, &mut columns, &mut refractory);
            let columns = variables.iter().cloned().zip(columns).collect();
            populations.push(PopulationState { name: layout.name.clone(), columns, refractory });
        }
        let mut processes = Vec::new();
        for origin in self.processes() {
            let (stimulus, population, size) = self.process(origin);
            let mut state = vec![0.0; size];
            self.machine.take_process(origin, &mut state);
            processes.push(ProcessState { stimulus, population, state });
        }
        (populations, processes)
    }

    /// The reverse of [`states`](Self::states).
    pub(super) fn put_states(&mut self, populations: &[PopulationState], processes: &[ProcessState]) {
        for (number, population) in populations.iter().enumerate() {
            let columns: Vec<StateColumn> = population.columns.iter().map(|(_, column)| column.clone()).collect();
            self.machine.put_population(number, &columns, &population.refractory);
        }
        for (origin, process) in self.processes().into_iter().zip(processes) {
            self.machine.put_process(origin, &process.state);
        }
    }

    /// Noise stimuli, by (stimulus, target).
    fn processes(&self) -> Vec<(usize, usize)> {
        let stimuli = self.model.spec().stimuli.iter().enumerate();
        let noisy = stimuli
            .filter(|(_, s)| matches!(s.kind, StimulusKind::Noise { .. } | StimulusKind::OrnsteinUhlenbeck { .. }));
        noisy.flat_map(|(index, s)| (0..s.targets.len()).map(move |place| (index, place))).collect()
    }

    /// Names of a noise stimulus and of its target, and the number of neurons there.
    fn process(&self, (stimulus, target): (usize, usize)) -> (String, String, usize) {
        let stimulus = &self.model.spec().stimuli[stimulus];
        let population = &self.layout.populations[stimulus.targets[target].population.0];
        (stimulus.name.clone(), population.name.clone(), population.size as usize)
    }
}
