//! [`Simulation`]: a network that runs, and what it tells its observers.

use super::connectivity::{Connectivity, StoredWeights, damaged};
use super::digest::Digest;
use super::inactive::InactiveFigures;
use super::lay_out;
use super::machine::{Collected, Machine, MachineFigures};
use super::options::SimOptions;
use super::rebalance::Cut;
use super::recorder::{Layout, PopulationLayout, Recorder, Spike, StateRecording, StateSample};
use super::shard::{Fault, PHASES, What};
use super::snapshot::Counters;
use crate::compute::{Crew, Isa};
use crate::error::{Error, Result};
use crate::metrics;
use crate::model::{BrainModel, PopulationId, Selection};
use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where a run is, told to a callback between stretches of steps.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Biological time reached, ms.
    pub time_ms: f64,
    /// Biological time at which the run ends, ms.
    pub until_ms: f64,
    /// Wall-clock time since the run began.
    pub wall: Duration,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It reached its end.
    Complete,
    /// The callback stopped it.
    Interrupted,
}

/// Figures of a simulation since it was built.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Neurons.
    pub neurons: u64,
    /// Synapses.
    pub synapses: u64,
    /// Bytes of synapses with all their tables.
    pub synapse_bytes: u64,
    /// Worker threads.
    pub threads: usize,
    /// Instruction set.
    pub isa: Isa,
    /// Seconds it took to build.
    pub build_s: f64,
    /// Seconds spent in steps and recording.
    pub sim_s: f64,
    /// Biological time simulated, ms.
    pub simulated_ms: f64,
    /// Spikes.
    pub spikes: u64,
    /// Synaptic events: records delivered.
    pub synaptic_events: u64,
    /// Segments delivered in this process: synapses of one spike with the same delay onto the same shard.
    pub segments: u64,
    /// Spikes of each population.
    pub population_spikes: Vec<u64>,
    /// Seconds by phase, mean over the workers; `record` is that of the collecting thread.
    pub phases_s: BTreeMap<String, f64>,
    /// Seconds of work of each worker.
    pub busy_s: Vec<f64>,
    /// Additions that overflowed their row and took the exact detour.
    pub row_overflows: u64,
    /// How often the network was cut anew by measured load in this process.
    pub rebalances: u64,
    /// Digest of all spikes.
    pub spike_digest: String,
}

impl Figures {
    /// Wall-clock time over biological time.
    pub fn real_time_factor(&self) -> f64 {
        if self.simulated_ms > 0.0 { self.sim_s * 1e3 / self.simulated_ms } else { 0.0 }
    }
}

/// A recorder inside a simulation; gives it back by [`Simulation::recorder`].
#[derive(Debug)]
pub struct RecorderHandle<R> {
    index: usize,
    kind: PhantomData<fn() -> R>,
}

/// A network laid out for a number of threads, ready to step.
pub struct Simulation {
    pub(super) machine: Box<dyn Machine>,
    pub(super) layout: Layout,
    pub(super) variables: Vec<Vec<String>>,
    pub(super) weights: Vec<StoredWeights>,
    /// The file the synapses lie in, if they do.
    pub(super) origin: Option<PathBuf>,
    /// The sum of synapses, where it was known before.
    pub(super) synapse_sum: Option<u64>,
    pub(super) recorders: Vec<Box<dyn Recorder>>,
    pub(super) started: bool,
    pub(super) finished: bool,
    /// State became non-finite or a recorder failed.
    pub(super) failed: bool,
    pub(super) step: u64,
    pub(super) probes: lay_out::ProbePlan,
    stretch: Stretch,
    pub(super) figures: Figures,
    /// What an earlier process counted that this one goes on from.
    pub(super) carried: Counters,
    pub(super) digest: Digest,
    /// Spikes of the last `longest_delay` steps: some of their synapses may lie ahead.
    pub(super) in_flight: Vec<Spike>,
    longest_delay: u64,
    pub(super) record_s: f64,
    /// Stretches of steps run so far.
    pub(super) stretches: u64,
    pub(super) collected: Collected,
    pub(super) batch: Vec<Spike>,
    pub(super) model: BrainModel,
    pub(super) options: SimOptions,
    /// Tells the network from others, once somebody has asked.
    pub(super) network: Option<u64>,
    /// How the network is cut into shards, and how even that is.
    pub(super) cut: Cut,
}

/// How many steps are run between two collections: about as many as take [`Stretch::AIM`].
pub(super) struct Stretch {
    steps: u64,
}

impl Stretch {
    const AIM: Duration = Duration::from_millis(40);
    /// Bounds what the logs hold.
    const MOST: u64 = 10_000;
    /// Bounds it as well, where neurons spike a lot.
    pub(super) const MOST_SPIKES: f64 = 32_768.0;

    /// Chooses the next length, after a stretch that took so long and had so many spikes.
    fn adapt(&mut self, took: Duration, spikes: usize) {
        let ratio = Self::AIM.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let ratio = ratio.min(Self::MOST_SPIKES / spikes.max(1) as f64);
        self.steps = ((self.steps as f64 * ratio.clamp(0.25, 4.0)) as u64).clamp(1, Self::MOST);
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simulation(step {}, {} neurons)", self.step, self.figures.neurons)
    }
}

impl Simulation {
    /// Lays the network out: draws its synapses and derives every model's constants.
    ///
    /// # Errors
    /// If an option is out of range, a model cannot be run with this time step or precision, or the machine lacks
    /// the instruction set.
    pub fn new(model: BrainModel, options: SimOptions) -> Result<Self> {
        let start = Instant::now();
        let isa = options.check_for(&model)?;
        let crew = Crew::new(options.workers());
        let connectivity = {
            let _span = metrics::span("draw synapses");
            Connectivity::draw(&model, &options, &crew)?
        };
        Self::assemble(model, connectivity, options, isa, crew, start)
    }

    /// Lays the neurons of a network out beside synapses that were made before. Where there are fewer shards than
    /// threads, or `options` asks for another cut, the synapses are first copied into such shards.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if the synapses lie in a file that is damaged.
    ///
    /// # Panics
    /// If the synapses are of another network.
    pub fn with_connectivity(model: BrainModel, connectivity: Connectivity, options: SimOptions) -> Result<Self> {
        let start = Instant::now();
        let isa = options.check_for(&model)?;
        let crew = Crew::new(options.workers());
        assert_eq!(connectivity.partition.parts.len(), model.populations().len(), "synapses are of this network");
        let connectivity = connectivity.cut_for(&model, &options, &crew)?;
        Self::assemble(model, connectivity, options, isa, crew, start)
    }

    fn assemble(
        model: BrainModel,
        connectivity: Connectivity,
        options: SimOptions,
        isa: Isa,
        crew: Crew,
        start: Instant,
    ) -> Result<Self> {
        let _span = metrics::span("lay out");
        let threads = crew.size();
        let weights = connectivity.stored_weights(&model);
        let (origin, synapse_sum) = (connectivity.origin.clone(), connectivity.synapse_sum);
        let cut = Cut::of(&connectivity);
        let machine = lay_out::lay_out(&model, connectivity, &options, isa, crew)?;
        let populations = model
            .populations()
            .iter()
            .map(|p| PopulationLayout { name: p.name().to_owned(), first: p.first(), size: p.size() })
            .collect();
        let layout = Layout { dt: options.dt, populations, states: Vec::new() };
        let variables = model
            .populations()
            .iter()
            .map(|p| p.model().variables().iter().map(|v| v.name.to_owned()).collect())
            .collect();
        let built = machine.figures();
        let longest_delay = u64::from(machine.longest_delay());
        let figures = Figures {
            neurons: u64::from(layout.neurons()),
            synapses: built.synapses,
            synapse_bytes: built.synapse_bytes,
            threads,
            isa,
            build_s: start.elapsed().as_secs_f64(),
            sim_s: 0.0,
            simulated_ms: 0.0,
            spikes: 0,
            synaptic_events: 0,
            segments: 0,
            population_spikes: vec![0; layout.populations.len()],
            phases_s: BTreeMap::new(),
            busy_s: Vec::new(),
            row_overflows: 0,
            rebalances: 0,
            spike_digest: Digest::default().hex(),
        };
        Ok(Self {
            machine,
            layout,
            variables,
            weights,
            origin,
            synapse_sum,
            recorders: Vec::new(),
            started: false,
            finished: false,
            failed: false,
            step: 0,
            probes: lay_out::ProbePlan::default(),
            // The first is short: steps of a large network take long, and the caller may want to stop.
            stretch: Stretch { steps: 1 },
            figures,
            carried: Counters::default(),
            digest: Digest::default(),
            in_flight: Vec::new(),
            longest_delay,
            record_s: 0.0,
            stretches: 0,
            collected: Collected::default(),
            batch: Vec::new(),
            model,
            options,
            network: None,
            cut,
        })
    }

    /// Adds an observer. It is told of everything from the next step on.
    ///
    /// # Errors
    /// If the simulation has begun.
    pub fn record<R: Recorder>(&mut self, recorder: R) -> Result<RecorderHandle<R>> {
        self.record_boxed(Box::new(recorder))?;
        Ok(RecorderHandle { index: self.recorders.len() - 1, kind: PhantomData })
    }

    /// Adds an observer whose type is not known here.
    ///
    /// # Errors
    /// If the simulation has begun.
    pub fn record_boxed(&mut self, recorder: Box<dyn Recorder>) -> Result<()> {
        self.refuse_when_started("recorders are added")?;
        self.recorders.push(recorder);
        Ok(())
    }

    /// Asks for samples of state variables; every recorder is told of them. Fills in the units.
    ///
    /// # Errors
    /// If the simulation has begun, or the population, a variable or a neuron does not exist.
    pub fn record_state(&mut self, mut recording: StateRecording) -> Result<()> {
        self.refuse_when_started("state recordings are added")?;
        let Some(population) = self.model.populations().get(recording.population) else {
            return Err(Error::Usage(format!("there is no population number {}", recording.population)));
        };
        let known = population.model().variables();
        recording.units.clear();
        for name in &recording.variables {
            let Some(variable) = known.iter().find(|v| v.name == name) else {
                let names: Vec<_> = known.iter().map(|v| v.name).collect();
                return Err(Error::Usage(format!(
                    "population `{}` has no state variable `{name}`; it has {}",
                    population.name(),
                    names.join(", ")
                )));
            };
            recording.units.push(variable.unit.to_owned());
        }
        if let Selection::Indices(indices) = &recording.neurons
            && let Some(bad) = indices.iter().find(|i| **i >= population.size())
        {
            return Err(Error::Usage(format!(
                "population `{}` has no neuron {bad}; it has 0 to {}",
                population.name(),
                population.size() - 1
            )));
        }
        recording.every = recording.every.max(1);
        self.layout.states.push(recording);
        Ok(())
    }

    pub(super) fn refuse_when_started(&self, what: &str) -> Result<()> {
        if self.started { Err(Error::Usage(format!("{what} before the first step"))) } else { Ok(()) }
    }

    /// A recorder that was added with [`record`](Self::record).
    ///
    /// # Panics
    /// If the handle is of another simulation.
    pub fn recorder<R: Recorder>(&self, handle: &RecorderHandle<R>) -> &R {
        let recorder: &dyn Any = &*self.recorders[handle.index];
        recorder.downcast_ref().expect("the handle is of this simulation")
    }

    /// Takes one step.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn step(&mut self) -> Result<()> {
        self.run_steps(1, &mut |_| ControlFlow::Continue(())).map(drop)
    }

    /// Runs for `duration` ms of biological time.
    ///
    /// # Errors
    /// If state becomes non-finite or a recorder fails. Everything up to there has been recorded.
    pub fn run(&mut self, duration: f64) -> Result<()> {
        self.run_with(duration, |_| ControlFlow::Continue(())).map(drop)
    }

    /// Runs for `duration` ms and calls `progress` a few times a second; it may stop the run.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with(
        &mut self,
        duration: f64,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let steps = duration / self.options.dt;
        if !(steps.is_finite() && steps >= 0.0) {
            return Err(Error::Usage(format!("a run of {duration} ms is not possible")));
        }
        self.run_steps(steps.round() as u64, &mut progress)
    }

    fn run_steps(&mut self, steps: u64, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Outcome> {
        if self.finished {
            return Err(Error::Usage("the simulation has been finished".to_owned()));
        }
        self.start()?;
        let begin = Instant::now();
        let until = self.step + steps;
        let mut outcome = Outcome::Complete;
        let mut result = Ok(());
        while self.step < until {
            let to = until.min(self.step + self.stretch.steps);
            let stretch = Instant::now();
            let from = self.step;
            self.step = {
                let _span = metrics::span("steps");
                self.machine.run(from, to)
            };
            self.stretches += 1;
            let ran = stretch.elapsed();
            let record = Instant::now();
            result = {
                let _span = metrics::span("record");
                self.collect(from)
            };
            self.record_s += record.elapsed().as_secs_f64();
            if self.step == to {
                self.stretch.adapt(ran, self.batch.len());
            }
            if result.is_err() {
                self.failed = true;
                break;
            }
            let told = Progress {
                time_ms: self.step as f64 * self.options.dt,
                until_ms: until as f64 * self.options.dt,
                wall: begin.elapsed(),
            };
            if progress(told).is_break() && self.step < until {
                outcome = Outcome::Interrupted;
                break;
            }
            if self.options.cut.rebalance.is_some() && self.step < until {
                result = self.rebalance_if_due(until - self.step);
                if result.is_err() {
                    break;
                }
            }
        }
        self.figures.sim_s += begin.elapsed().as_secs_f64();
        self.figures.simulated_ms = self.step as f64 * self.options.dt;
        result.map(|()| outcome)
    }

    pub(super) fn start(&mut self) -> Result<()> {
        if !self.started {
            self.started = true;
            self.probes = self.machine.install_probes(&self.layout, &self.variables);
            let mut recorders = self.recorders.iter_mut();
            let started = recorders.try_for_each(|recorder| recorder.start(&self.layout));
            self.failed = started.is_err();
            return started;
        }
        Ok(())
    }

    /// Hands what the shards logged since step `from` to the recorders.
    fn collect(&mut self, from: u64) -> Result<()> {
        self.machine.collect(&mut self.collected);
        self.batch.clear();
        self.batch.extend(self.collected.spikes.iter().map(|(step, neuron)| Spike { step: *step, neuron: *neuron }));
        self.digest.update(&self.batch);
        let oldest = self.step.saturating_sub(self.longest_delay);
        self.in_flight.drain(..self.in_flight.partition_point(|spike| spike.step < oldest));
        self.in_flight.extend_from_slice(&self.batch[self.batch.partition_point(|spike| spike.step < oldest)..]);
        self.figures.spikes += self.batch.len() as u64;
        for spike in &self.batch {
            self.figures.population_spikes[self.layout.locate(spike.neuron).0] += 1;
        }
        for recorder in &mut self.recorders {
            recorder.spikes(from, self.step, &self.batch)?;
        }
        let recorders = &mut self.recorders;
        self.probes.merge(&self.collected.samples, from, self.step, |recording, step, values| {
            let sample = StateSample { recording, step, values };
            recorders.iter_mut().try_for_each(|recorder| recorder.state(&sample))
        })?;
        match self.collected.fault {
            None => Ok(()),
            Some(Fault { step, what: What::NonFinite { population, neuron, variable, value } }) => {
                Err(Error::NonFinite {
                    population: self.layout.populations[population].name.clone(),
                    neuron,
                    variable: self.variables[population][variable].clone(),
                    value,
                    step,
                    time_ms: self.layout.time_of(step),
                })
            }
            Some(Fault { step, what: What::Damaged }) => Err(damaged(&self.origin, &format!("found in step {step}"))),
        }
    }

    /// Tells the recorders that this was all. Called once, also after an error; dropping the simulation does it too.
    ///
    /// # Errors
    /// The first a recorder reports; the others are closed nevertheless.
    pub fn finish(&mut self) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        self.finished = true;
        if !self.started {
            return Ok(());
        }
        let mut first = Ok(());
        for recorder in &mut self.recorders {
            let closed = recorder.finish();
            if first.is_ok() {
                first = closed;
            }
        }
        first
    }

    /// Figures so far.
    pub fn figures(&self) -> Figures {
        let MachineFigures { events, segments, phases, busy, overflows, synapse_bytes, .. } = self.machine.figures();
        let mut figures = self.figures.clone();
        // What is under way of procedural projections grows as it is needed.
        figures.synapse_bytes = synapse_bytes;
        figures.synaptic_events = self.carried.synaptic_events + events;
        figures.segments += segments;
        figures.busy_s = self.cut.with_earlier(busy);
        figures.row_overflows = self.carried.row_overflows + overflows;
        figures.phases_s = PHASES.iter().map(|name| (*name).to_owned()).zip(phases).collect();
        figures.phases_s.insert("record".to_owned(), self.record_s);
        for (phase, seconds) in &self.carried.phases_s {
            *figures.phases_s.entry(phase.clone()).or_default() += seconds;
        }
        figures.spike_digest = self.digest.hex();
        figures
    }

    /// What skipping and compression of neurons at rest did, if [`SimOptions::inactive`] asks for it.
    pub fn inactive(&self) -> Option<InactiveFigures> {
        self.machine.inactive(self.options.dt)
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Biological time reached, ms.
    pub fn time(&self) -> f64 {
        self.step as f64 * self.options.dt
    }

    /// How neurons are numbered.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How weights are stored, receptor by receptor.
    pub fn stored_weights(&self) -> &[StoredWeights] {
        &self.weights
    }

    /// The network.
    pub fn model(&self) -> &BrainModel {
        &self.model
    }

    /// Present value of a state variable of one neuron.
    ///
    /// # Errors
    /// If the population, variable or neuron does not exist.
    pub fn state(&self, population: PopulationId, variable: &str, neuron: u32) -> Result<f64> {
        let Some(p) = self.layout.populations.get(population.0) else {
            return Err(Error::Usage(format!("there is no population number {}", population.0)));
        };
        let Some(v) = self.variables[population.0].iter().position(|v| v == variable) else {
            return Err(Error::Usage(format!("population `{}` has no state variable `{variable}`", p.name)));
        };
        if neuron >= p.size {
            return Err(Error::Usage(format!("population `{}` has no neuron {neuron}", p.name)));
        }
        Ok(self.machine.state(population.0, v, neuron))
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // Errors cannot be reported here; `finish` is the way to see them.
        let _ = self.finish();
    }
}
