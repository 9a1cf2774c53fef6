//! Observers of a simulation: what they are told and when. File formats live in `storage`.

use crate::error::Result;
use crate::model::Selection;
use std::any::Any;

/// One spike. It happened at time `(step + 1) * dt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spike {
    /// Step in which the neuron crossed its threshold.
    pub step: u64,
    /// Index of the neuron in the whole network (see [`Layout::locate`]).
    pub neuron: u32,
}

/// How neurons of the network are numbered: each population takes the next `size` numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Time step, ms.
    pub dt: f64,
    /// Populations in order.
    pub populations: Vec<PopulationLayout>,
    /// State recordings in order.
    pub states: Vec<StateRecording>,
}

/// A population within a [`Layout`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopulationLayout {
    /// Its name.
    pub name: String,
    /// Number of its first neuron in the whole network.
    pub first: u32,
    /// Number of its neurons.
    pub size: u32,
}

impl Layout {
    /// Population index and index within the population of a neuron of the network.
    pub fn locate(&self, neuron: u32) -> (usize, u32) {
        let population = self.populations.partition_point(|p| p.first <= neuron) - 1;
        (population, neuron - self.populations[population].first)
    }

    /// Number of neurons in all.
    pub fn neurons(&self) -> u32 {
        self.populations.last().map_or(0, |p| p.first + p.size)
    }

    /// Time of a spike in `step`, ms.
    pub fn time_of(&self, step: u64) -> f64 {
        (step + 1) as f64 * self.dt
    }
}

/// Which state variables of which neurons are recorded, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRecording {
    /// Name, unique in the run.
    pub name: String,
    /// Index of the population.
    pub population: usize,
    /// Variables, by name.
    pub variables: Vec<String>,
    /// Units of those variables, filled in by the simulation.
    pub units: Vec<String>,
    /// Neurons.
    pub neurons: Selection,
    /// Steps between samples; a sample is taken at the end of every step `s` with `(s + 1) % every == 0`.
    pub every: u64,
    /// Time of the first sample at the earliest, ms.
    pub start: f64,
    /// Time from which no sample is taken, ms.
    pub stop: f64,
}

/// One sample of one recording.
#[derive(Debug, Clone, Copy)]
pub struct StateSample<'a> {
    /// Index into [`Layout::states`].
    pub recording: usize,
    /// Step at whose end it was taken (time `(step + 1) * dt`).
    pub step: u64,
    /// For each variable in order, the values of the selected neurons in order.
    pub values: &'a [f32],
}

/// An observer. Calls come from one thread, in order of time.
pub trait Recorder: Any + Send {
    /// Before the first step.
    ///
    /// # Errors
    /// Whatever keeps it from recording; the run does not start.
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let _ = layout;
        Ok(())
    }

    /// The spikes of steps `from..to`, ascending by (step, neuron). Called for every stretch of steps, also without
    /// spikes.
    ///
    /// # Errors
    /// Whatever keeps it from recording; the run stops.
    fn spikes(&mut self, from: u64, to: u64, spikes: &[Spike]) -> Result<()> {
        let _ = (from, to, spikes);
        Ok(())
    }

    /// A sample of state variables.
    ///
    /// # Errors
    /// Whatever keeps it from recording; the run stops.
    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        let _ = sample;
        Ok(())
    }

    /// Puts everything recorded so far on disk, and says where the records end in a form that
    /// [`resume`](Self::resume) takes later. The default, for recorders that keep nothing in files, says nothing.
    ///
    /// # Errors
    /// Whatever keeps it from recording; the run stops.
    fn checkpoint(&mut self) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    /// Takes the place of [`start`](Self::start) in a run that goes on from a checkpoint. `place` is what
    /// [`checkpoint`](Self::checkpoint) said then; whatever was recorded after it is dropped, and the records end up
    /// as if the run had never stopped. The default starts anew.
    ///
    /// # Errors
    /// If the records do not reach up to that place, or cannot be written; the run does not start.
    fn resume(&mut self, layout: &Layout, place: &serde_json::Value) -> Result<()> {
        let _ = place;
        self.start(layout)
    }

    /// Bytes it holds in memory, for the memory profile.
    fn bytes(&self) -> usize {
        0
    }

    /// After the last step, also when the run was interrupted or stopped by an error: close what is open.
    ///
    /// # Errors
    /// Whatever keeps it from closing its records.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Keeps the spikes of chosen populations in memory.
#[derive(Debug, Default, Clone)]
pub struct SpikeRecorder {
    /// Population names; empty for all.
    pub populations: Vec<String>,
    /// The spikes so far, ascending by (step, neuron).
    pub spikes: Vec<Spike>,
    /// Steps seen so far.
    pub steps: u64,
    layout: Option<Layout>,
    ranges: Vec<std::ops::Range<u32>>,
}

impl SpikeRecorder {
    /// Records every population.
    pub fn all() -> Self {
        Self::default()
    }

    /// Records the named populations.
    pub fn of<S: Into<String>>(populations: impl IntoIterator<Item = S>) -> Self {
        Self { populations: populations.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Spike times (ms) and indices within the population, of one population.
    pub fn of_population(&self, name: &str) -> Vec<(f64, u32)> {
        let Some(layout) = &self.layout else { return Vec::new() };
        let Some(p) = layout.populations.iter().find(|p| p.name == name) else { return Vec::new() };
        let range = p.first..p.first + p.size;
        self.spikes
            .iter()
            .filter(|s| range.contains(&s.neuron))
            .map(|s| (layout.time_of(s.step), s.neuron - p.first))
            .collect()
    }

    /// Mean rate over all recorded neurons and all steps seen, Hz.
    pub fn mean_rate_hz(&self) -> f64 {
        let neurons: u32 = self.ranges.iter().map(|r| r.end - r.start).sum();
        let seconds = self.steps as f64 * self.layout.as_ref().map_or(0.0, |l| l.dt) * 1e-3;
        if neurons == 0 || seconds == 0.0 { 0.0 } else { self.spikes.len() as f64 / f64::from(neurons) / seconds }
    }
}

impl Recorder for SpikeRecorder {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        self.ranges = layout
            .populations
            .iter()
            .filter(|p| self.populations.is_empty() || self.populations.contains(&p.name))
            .map(|p| p.first..p.first + p.size)
            .collect();
        self.layout = Some(layout.clone());
        Ok(())
    }

    fn spikes(&mut self, from: u64, to: u64, spikes: &[Spike]) -> Result<()> {
        self.steps += to - from;
        self.spikes.extend(spikes.iter().filter(|s| self.ranges.iter().any(|r| r.contains(&s.neuron))));
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.spikes.capacity() * size_of::<Spike>()
    }
}
