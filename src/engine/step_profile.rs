//! Where the time of the steps went: a table of phases, and one of workers.

use super::machine::MachineFigures;
use super::shard::{DELIVER, EXCHANGE, PHASES, UPDATE, WAIT};
use super::simulation::Simulation;
use crate::metrics::{Profiler, Trace, seconds};
use serde::{Deserialize, Serialize};

/// Where the time of the steps went that this process took (steps before a checkpoint do not count).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepProfile {
    /// Steps taken.
    pub steps: u64,
    /// Worker threads.
    pub threads: usize,
    /// Parts the network is cut into; each worker steps some of them.
    pub shards: usize,
    /// Wall-clock time of all steps and of recording, s.
    pub wall_s: f64,
    /// Phases, in the order of a step, then `record` and `other`; their `total_s` add up to `wall_s`.
    pub phases: Vec<PhaseProfile>,
    /// One entry a worker.
    pub workers: Vec<WorkerProfile>,
}

/// One phase of all steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PhaseProfile {
    /// Its name, as in `phases_s`.
    pub phase: String,
    /// How often it ran: once a step for each shard (`wait`: for each worker), once a stretch of steps for `record`.
    pub calls: u64,
    /// Seconds, mean over the workers.
    pub total_s: f64,
    /// Seconds of one call, on the worker that made it.
    pub mean_s: f64,
    /// `total_s` over the wall-clock time of all steps.
    pub share: f64,
    /// What it works through: `spike`, `event` (one synapse delivering one spike) or `neuron-step`; none where nothing
    /// is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// How many of them.
    #[serde(default)]
    pub items: u64,
    /// Nanoseconds of one worker for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns_an_item: Option<f64>,
}

/// The time of one worker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WorkerProfile {
    /// Seconds of work.
    pub busy_s: f64,
    /// Seconds over those of the mean worker: 1 is perfect balance.
    pub load: f64,
}

impl Simulation {
    /// Where the time of the steps went so far. The engine always measures it, so asking costs nothing beforehand.
    pub fn step_profile(&self) -> StepProfile {
        let MachineFigures { events, phases, busy, steps, shards, .. } = self.machine.figures();
        let threads = self.figures.threads;
        let wall_s = self.figures.sim_s - self.carried.sim_s;
        let spikes = self.figures.spikes - self.carried.population_spikes.iter().sum::<u64>();
        let row = |phase: &str, calls: u64, total_s: f64, workers: usize, item: Option<(&str, u64)>| {
            let worked_s = total_s * workers as f64;
            let items = item.map_or(0, |(_, items)| items);
            PhaseProfile {
                phase: phase.to_owned(),
                calls,
                total_s,
                mean_s: if calls == 0 { 0.0 } else { worked_s / calls as f64 },
                share: if wall_s > 0.0 { total_s / wall_s } else { 0.0 },
                item: item.map(|(item, _)| item.to_owned()),
                items,
                ns_an_item: (items > 0).then(|| worked_s * 1e9 / items as f64),
            }
        };
        let mut rows = Vec::new();
        for (phase, total_s) in phases.iter().enumerate() {
            let item = match phase {
                // Every shard looks at every spike.
                EXCHANGE => Some(("spike", spikes * shards as u64)),
                DELIVER => Some(("event", events)),
                UPDATE => Some(("neuron-step", self.figures.neurons * steps)),
                _ => None,
            };
            let calls = match phase {
                WAIT if threads == 1 => 0,
                WAIT => steps * threads as u64,
                _ => steps * shards as u64,
            };
            rows.push(row(PHASES[phase], calls, *total_s, threads, item));
        }
        rows.push(row("record", self.stretches, self.record_s, 1, Some(("spike", spikes))));
        let other = (wall_s - rows.iter().map(|row| row.total_s).sum::<f64>()).max(0.0);
        rows.push(row("other", self.stretches, other, 1, None));
        let mean = busy.iter().sum::<f64>() / busy.len().max(1) as f64;
        let load = |busy_s: f64| if mean > 0.0 { busy_s / mean } else { 1.0 };
        let workers = busy.iter().map(|busy_s| WorkerProfile { busy_s: *busy_s, load: load(*busy_s) }).collect();
        StepProfile { steps, threads, shards, wall_s, phases: rows, workers }
    }

    /// Keeps the phases of single steps from now on, for [`add_steps_to`](Self::add_steps_to): at most 65,536 steps of
    /// shards (1,024 for each worker where they are more than 64), evenly over the run however long it is.
    pub fn trace_steps(&mut self) {
        self.machine.trace_steps();
    }

    /// Adds a thread for each worker to a trace of `profiler`, with the phases of the steps that were kept, and a note
    /// `every_steps`: that they are those whose number is a multiple of it.
    pub fn add_steps_to(&self, trace: &mut Trace, profiler: &Profiler) {
        let Some(begun) = profiler.begun() else { return };
        let (threads, every) = self.machine.traced_steps(begun);
        trace.threads.extend(threads);
        trace.notes.push(("every_steps".to_owned(), every.into()));
    }
}

impl StepProfile {
    /// A phase by name.
    pub fn phase(&self, name: &str) -> Option<&PhaseProfile> {
        self.phases.iter().find(|row| row.phase == name)
    }
}

impl std::fmt::Display for StepProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { steps, threads, shards, wall_s, .. } = self;
        writeln!(f, "{steps} steps, {threads} threads, {shards} shards, {}", seconds(*wall_s))?;
        write!(f, "{:<10} {:>10} {:>11} {:>11} {:>7}  works through", "phase", "calls", "total", "mean", "share")?;
        for row in &self.phases {
            let [total, mean] = [row.total_s, row.mean_s].map(seconds);
            write!(f, "\n{:<10} {:>10} {total:>11} {mean:>11} {:>6.1}%", row.phase, row.calls, row.share * 100.0)?;
            if let (Some(item), Some(ns)) = (&row.item, row.ns_an_item) {
                write!(f, "  {} {item}s, {ns:.3} ns each", row.items)?;
            }
        }
        for (number, worker) in self.workers.iter().enumerate() {
            write!(f, "\nworker {number:<3} {:>22} at work, load {:.3}", seconds(worker.busy_s), worker.load)?;
        }
        Ok(())
    }
}
