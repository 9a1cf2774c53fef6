//! Cutting a network anew while it runs.
//!
//! Between two steps all that matters is the state of the neurons and the spikes on their way, and neither knows of shards.
//! So the state is taken out, the synapses are copied into new shards, and the spikes of the last longest delay are sent
//! once more, as when a checkpoint is restored. Spikes stay the same, whatever the cuts and whenever they change; only the
//! decision to cut looks at the clock.

use super::connectivity::Connectivity;
use super::cut::{CutOptions, CutStrategy, cut};
use super::lay_out::lay_out;
use super::load::BlockLoads;
use super::partition::Partition;
use super::shard::PHASES;
use super::simulation::Simulation;
use crate::compute::Crew;
use crate::error::{Error, Result};
use crate::metrics::available_memory;
use crate::synapse::WeightGrid;
use std::time::Instant;

/// Seconds of work of a worker after which balance is looked at for the first time; twice as many after each new cut.
const WATCH_S: f64 = 0.25;
/// Seconds a worker takes to copy a synapse: a guess for the first cut.
const COPY_S: f64 = 12e-9;
/// How many times over a new cut has to win its time back.
const WORTH: f64 = 2.0;
/// Name of the phase in [`Figures::phases_s`](super::Figures::phases_s).
const PHASE: &str = "rebalance";

/// How the network of a simulation is cut, and how even that has been.
pub(super) struct Cut {
    partition: Partition,
    strategy: Option<CutStrategy>,
    loads: Option<BlockLoads>,
    grids: Vec<Vec<Option<WeightGrid>>>,
    delays: Vec<u32>,
    /// Seconds of work of each worker on machines that are gone.
    busy: Vec<f64>,
    watch: Watch,
    /// What a new cut took, s.
    took: Option<f64>,
}

/// What had been measured when the present stretch of watching began.
#[derive(Debug, Clone, Default)]
struct Watch {
    step: u64,
    busy: Vec<f64>,
    shards: Vec<[f64; 2]>,
    /// Seconds of work to watch for.
    long_s: Option<f64>,
}

impl Cut {
    pub fn of(connectivity: &Connectivity) -> Self {
        Self {
            partition: connectivity.partition.clone(),
            strategy: connectivity.strategy,
            loads: connectivity.loads.clone(),
            grids: connectivity.grids.clone(),
            delays: connectivity.delays.clone(),
            busy: Vec::new(),
            watch: Watch::default(),
            took: None,
        }
    }

    /// Seconds of work of each worker, with those on earlier machines.
    pub fn with_earlier(&self, mut busy: Vec<f64>) -> Vec<f64> {
        busy.iter_mut().zip(&self.busy).for_each(|(sum, earlier)| *sum += earlier);
        busy
    }
}

fn since(now: &[f64], then: &[f64]) -> Vec<f64> {
    now.iter().enumerate().map(|(i, x)| x - then.get(i).copied().unwrap_or(0.0)).collect()
}

impl Simulation {
    /// Number of shards the network is cut into.
    pub fn shards(&self) -> usize {
        self.cut.partition.shards
    }

    /// How many times as long as the mean the busiest worker has worked since the last cut, less 1: 0 is perfect balance.
    pub fn imbalance(&self) -> f64 {
        imbalance(&self.machine.figures().busy)
    }

    /// Cuts the network anew, by expected load, as `options` say. No spike changes.
    ///
    /// Takes about as long as construction, and memory for a second copy of the synapses meanwhile.
    ///
    /// # Errors
    /// If the simulation has been finished or stopped by an error, an option is out of range, the strategy needs positions
    /// that there are not, memory will not do (nothing has changed so far), or the synapses lie in a file that is damaged.
    pub fn recut(&mut self, options: &CutOptions) -> Result<()> {
        options.check()?;
        let strategy = options.strategy.or(self.cut.strategy).unwrap_or_default();
        let workers = self.figures.threads;
        let shards = options.shards_for(&self.model, workers, self.figures.synapses as f64);
        self.move_to(strategy, |this, loads| cut(&this.model, strategy, shards, loads))
    }

    /// Cuts the network anew by the load measured since it was last cut (on average over the shards of today, where
    /// nothing has been measured by the expected load). No spike changes.
    ///
    /// # Errors
    /// As [`recut`](Self::recut).
    pub fn rebalance(&mut self) -> Result<()> {
        let now = self.machine.shard_seconds();
        let then = &self.cut.watch.shards;
        let measured: Vec<[f64; 2]> = now
            .iter()
            .enumerate()
            .map(|(shard, now)| {
                let then = then.get(shard).copied().unwrap_or_default();
                [now[0] - then[0], now[1] - then[1]]
            })
            .collect();
        let shards = self.cut.partition.shards;
        // Only runs of the numbering can follow a measured load.
        self.move_to(CutStrategy::ZOrder, |this, loads| {
            let seconds: f64 = measured.iter().flatten().sum();
            if seconds > 0.0 {
                let loads = loads.measured(&this.cut.partition, &measured);
                return cut(&this.model, CutStrategy::ZOrder, shards, &loads);
            }
            cut(&this.model, CutStrategy::ZOrder, shards, loads)
        })?;
        self.figures.rebalances += 1;
        Ok(())
    }

    /// Cuts anew where that is due: `left` steps are still to be taken in this call.
    pub(super) fn rebalance_if_due(&mut self, left: u64) -> Result<()> {
        let Some(bound) = self.options.cut.rebalance else { return Ok(()) };
        let busy = self.machine.figures().busy;
        let watch = &self.cut.watch;
        let window = since(&busy, &watch.busy);
        let long = watch.long_s.unwrap_or(WATCH_S);
        let mean = window.iter().sum::<f64>() / window.len().max(1) as f64;
        if window.len() < 2 || mean < long {
            return Ok(());
        }
        let steps = (self.step - watch.step).max(1) as f64;
        let most = window.iter().copied().fold(0.0, f64::max);
        let wins = (most - mean) / steps * left as f64;
        let guess = COPY_S * self.figures.synapses as f64 / self.figures.threads as f64;
        if imbalance(&window) <= bound || wins < WORTH * self.cut.took.unwrap_or(guess) {
            let shards = self.machine.shard_seconds();
            self.cut.watch = Watch { step: self.step, busy, shards, long_s: Some(long) };
            return Ok(());
        }
        match self.rebalance() {
            // Without room for a copy it goes on as it is.
            Err(Error::NotEnoughMemory(_)) => self.options.cut.rebalance = None,
            other => other?,
        }
        self.cut.watch.long_s = Some(long * 2.0);
        Ok(())
    }

    /// Moves neurons and synapses into the shards that `choose` gives for the expected loads.
    fn move_to(
        &mut self,
        strategy: CutStrategy,
        choose: impl Fn(&Self, &BlockLoads) -> Result<Partition>,
    ) -> Result<()> {
        if self.finished || self.failed {
            let why = if self.failed { "was stopped by an error" } else { "has been finished" };
            return Err(Error::Usage(format!("the simulation {why}; it cannot be cut anew")));
        }
        let room = self.figures.synapse_bytes / 8 * 9;
        if available_memory().is_some_and(|available| available < room) {
            let message = format!("a new cut needs {:.2} GB for a copy of the synapses", room as f64 * 1e-9);
            return Err(Error::NotEnoughMemory(message));
        }
        let began = Instant::now();
        let moved = self.moved(strategy, choose);
        let took = began.elapsed().as_secs_f64();
        self.cut.took = Some(took);
        *self.carried.phases_s.entry(PHASE.to_owned()).or_default() += took;
        moved
    }

    fn moved(&mut self, strategy: CutStrategy, choose: impl Fn(&Self, &BlockLoads) -> Result<Partition>) -> Result<()> {
        let crew = Crew::new(self.figures.threads);
        let known = match self.cut.loads.take() {
            Some(loads) => {
                let chosen = choose(self, &loads);
                self.cut.loads = Some(loads);
                Some(chosen?)
            }
            None => {
                // Whether it can be cut so at all.
                choose(self, &BlockLoads::even(&self.model))?;
                None
            }
        };
        if known.as_ref().is_some_and(|known| known.parts == self.cut.partition.parts) {
            return Ok(());
        }
        // From here on the machine is being taken apart.
        let (populations, processes) = self.states();
        let counted = self.figures();
        let (stores, generator) = self.machine.take_synapses();
        let cut = &mut self.cut;
        let mut from = Connectivity {
            partition: cut.partition.clone(),
            strategy: cut.strategy,
            loads: None,
            grids: std::mem::take(&mut cut.grids),
            delays: std::mem::take(&mut cut.delays),
            stores,
            generator,
            origin: self.origin.clone(),
            synapse_sum: self.synapse_sum,
        };
        let partition = match known {
            Some(partition) => partition,
            None => {
                let loads = BlockLoads::of_connectivity(&self.model, &from, self.options.dt, &crew);
                let partition = loads.and_then(|loads| {
                    let partition = choose(self, &loads);
                    self.cut.loads = Some(loads);
                    partition
                });
                self.taken_apart(partition)?
            }
        };
        let to = from.relaid(&self.model, partition, &crew);
        let mut to = self.taken_apart(to)?;
        from.stores.clear();
        (to.strategy, to.loads) = (Some(strategy), self.cut.loads.take());
        let (busy, took) = (std::mem::take(&mut self.cut.busy), self.cut.took);
        let earlier = self.machine.figures().busy;
        let mut new = Cut { busy, took, ..Cut::of(&to) };
        new.busy.resize(earlier.len(), 0.0);
        new.busy.iter_mut().zip(earlier).for_each(|(sum, seconds)| *sum += seconds);
        new.watch.step = self.step;
        let machine = lay_out(&self.model, to, &self.options, self.figures.isa, crew);
        self.machine = self.taken_apart(machine)?;
        self.cut = new;
        self.put_states(&populations, &processes);
        self.machine.send_again(self.step, &self.in_flight);
        // What the machine that is gone had counted; recording is counted here and not in it.
        self.carried.synaptic_events = counted.synaptic_events;
        self.carried.row_overflows = counted.row_overflows;
        self.figures.segments = counted.segments;
        for phase in PHASES {
            self.carried.phases_s.insert(phase.to_owned(), counted.phases_s.get(phase).copied().unwrap_or(0.0));
        }
        self.figures.synapse_bytes = self.machine.figures().synapse_bytes;
        if self.started {
            self.probes = self.machine.install_probes(&self.layout, &self.variables);
        }
        Ok(())
    }

    /// Notes a failure after which there is no machine to go on with.
    fn taken_apart<T>(&mut self, result: Result<T>) -> Result<T> {
        self.failed |= result.is_err();
        result
    }
}

/// The most over the mean, less 1.
fn imbalance(busy: &[f64]) -> f64 {
    let mean = busy.iter().sum::<f64>() / busy.len().max(1) as f64;
    if mean > 0.0 { busy.iter().copied().fold(0.0, f64::max) / mean - 1.0 } else { 0.0 }
}
