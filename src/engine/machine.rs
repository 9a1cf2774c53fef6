//! The crew at work: shards dealt to workers, stepped together, collected at the end of a stretch of steps.

use super::inactive::InactiveFigures;
use super::lay_out::ProbePlan;
use super::procedural::{Generator, Procedural};
use super::recorder::{Layout, Spike};
use super::shard::{DELIVER, Fault, PHASES, Shard, UPDATE, WAIT};
use super::snapshot::StateColumn;
use super::step_trace::StepTraces;
use crate::compute::clock::{Calibration, ticks};
use crate::compute::simd::Real;
use crate::compute::{Barrier, Crew, Isa, Mailbox};
use crate::metrics::{MemorySnapshot, TraceThread};
use crate::synapse::Store;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A network laid out for a crew, in single or double precision.
pub(super) trait Machine: Send {
    /// Runs steps `from..to`; returns the first step that was not run, which is below `to` after a fault.
    fn run(&mut self, from: u64, to: u64) -> u64;
    /// Moves what was logged since the last call to `collected`.
    fn collect(&mut self, collected: &mut Collected);
    /// Events, seconds by phase and rows' overflows since the start.
    fn figures(&self) -> MachineFigures;
    /// Sets up the state recordings of `layout`.
    fn install_probes(&mut self, layout: &Layout, variables: &[Vec<String>]) -> ProbePlan;
    /// Value of a state variable of a neuron.
    fn state(&self, population: usize, variable: usize, neuron: u32) -> f64;
    /// Copies the state of a population to where there is a place for each of its neurons.
    fn take_population(&self, population: usize, columns: &mut [StateColumn], refractory: &mut [u16]);
    /// The reverse.
    fn put_population(&mut self, population: usize, columns: &[StateColumn], refractory: &[u16]);
    /// Copies the state of the process of a noise stimulus to where there is a place for each neuron of its population.
    fn take_process(&self, origin: (usize, usize), state: &mut [f64]);
    /// The reverse.
    fn put_process(&mut self, origin: (usize, usize), state: &[f64]);
    /// Sends spikes of steps before `step` once more, before the first step, which is `step`.
    fn send_again(&mut self, step: u64, spikes: &[Spike]);
    /// The longest delay there may be, steps.
    fn longest_delay(&self) -> u32;
    /// What skipping and compression of neurons at rest did, if it is on, with steps of `dt` ms.
    fn inactive(&self, dt: f64) -> Option<InactiveFigures>;
    /// Seconds of update and of delivery of every shard, since the start.
    fn shard_seconds(&self) -> Vec<[f64; 2]>;
    /// Gives the synapses of every shard away, and what draws those that are not kept. The machine must not run again.
    fn take_synapses(&mut self) -> (Vec<Vec<Store>>, Option<Generator>);
    /// A number that tells all synapses together from others, however they lie; `None` if they are damaged.
    fn synapse_sum(&self) -> Option<u64>;
    /// Adds the memory of its parts.
    fn add_memory(&mut self, memory: &mut MemorySnapshot);
    /// Keeps the phases of single steps from now on, in bounded room.
    fn trace_steps(&mut self);
    /// The steps kept, a thread for each worker, in nanoseconds since `begun`, and that they are every so many-th.
    fn traced_steps(&self, begun: std::time::Instant) -> (Vec<TraceThread>, u64);
}

/// What the shards logged.
#[derive(Default)]
pub(super) struct Collected {
    /// (step, neuron), ascending.
    pub spikes: Vec<(u64, u32)>,
    /// For each shard, its samples in the order of its due probes.
    pub samples: Vec<Vec<f32>>,
    pub fault: Option<Fault>,
}

/// Figures of a machine since its start.
#[derive(Debug, Clone, Default)]
pub(super) struct MachineFigures {
    pub events: u64,
    pub segments: u64,
    /// Seconds in each phase, mean over the workers.
    pub phases: [f64; PHASES.len()],
    /// Seconds of work (all phases but waiting), for each worker.
    pub busy: Vec<f64>,
    pub overflows: u64,
    pub synapses: u64,
    pub synapse_bytes: u64,
    /// Steps taken.
    pub steps: u64,
    pub shards: usize,
}

pub(super) struct Shards<T: Real> {
    pub isa: Isa,
    pub crew: Crew,
    /// For each worker, its shards.
    pub shards: Vec<Mutex<Vec<Shard<T>>>>,
    /// One for each shard.
    pub mailboxes: Vec<Mailbox<u32>>,
    /// Projections that are drawn at every spike, where there are such.
    pub procedural: Option<Procedural>,
    barrier: Barrier,
    /// For each worker, ticks spent waiting for the others.
    waited: Vec<AtomicU64>,
    seconds: f64,
    total_ticks: u64,
    steps: u64,
    traces: Option<StepTraces>,
}

/// Which of `shards` shards are those of `worker` among `workers`.
fn dealt(shards: usize, workers: usize, worker: usize) -> Range<usize> {
    worker * shards / workers..(worker + 1) * shards / workers
}

impl<T: Real> Shards<T> {
    /// `shards` in order, dealt to the crew in runs of like length; with fewer shards than workers some get none.
    pub fn new(isa: Isa, crew: Crew, shards: Vec<Shard<T>>, procedural: Option<Procedural>) -> Self {
        let (workers, count) = (crew.size(), shards.len());
        let mailboxes = (0..count).map(|_| Mailbox::default()).collect();
        let mut shards = shards.into_iter();
        let mut deal = |w| shards.by_ref().take(dealt(count, workers, w).len()).collect();
        let shards = (0..workers).map(|w| Mutex::new(deal(w))).collect();
        let barrier = Barrier::new(workers);
        let waited = (0..workers).map(|_| AtomicU64::new(0)).collect();
        Self {
            isa,
            crew,
            shards,
            mailboxes,
            procedural,
            barrier,
            waited,
            seconds: 0.0,
            total_ticks: 0,
            steps: 0,
            traces: None,
        }
    }

    fn lock(&self, worker: usize) -> std::sync::MutexGuard<'_, Vec<Shard<T>>> {
        self.shards[worker].lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The steps of one worker.
    #[allow(unsafe_code)]
    fn work(&self, worker: usize, from: u64, to: u64, faulty: &AtomicU64) {
        let mut shards = self.lock(worker);
        let first = dealt(self.mailboxes.len(), self.crew.size(), worker).start;
        let mut panic = None;
        let mut waited = 0u64;
        let mut trace = self.traces.as_ref().map(|traces| traces.lock(worker));
        for step in from..to {
            for (k, shard) in shards.iter_mut().enumerate() {
                // SAFETY: every worker passes the barrier below once a step. In step `s` only the owner touches list
                // `s % 2` of a mailbox, all others read list `(s - 1) % 2`, which was written before the last barrier.
                let out = unsafe { self.mailboxes[first + k].outgoing(step) };
                out.clear();
                // SAFETY: as above.
                let received = self.mailboxes.iter().map(|mailbox| unsafe { mailbox.received(step) });
                // SAFETY: as above, for the records of procedural projections: owners write what arrives later.
                let arriving = self.procedural.as_ref().map(|p| unsafe { p.transits.arriving(step, first + k) });
                // A neuron model that panics must not leave the other workers waiting at the barrier.
                let stepped = catch_unwind(AssertUnwindSafe(|| {
                    let at = shard.step(self.isa, step, received, arriving, out);
                    if let Some(procedural) = &self.procedural {
                        // SAFETY: as above; this is the one call for the shard in this step.
                        let mut sending = unsafe { procedural.transits.sending(step, first + k) };
                        shard.send(procedural, first + k, out, &mut sending);
                    }
                    at
                }));
                if let (Some(trace), Ok(at)) = (&mut trace, &stepped) {
                    trace.note_step(step, at);
                }
                if shard.fault.is_some() || stepped.is_err() {
                    faulty.fetch_min(step, Ordering::Relaxed);
                    panic = stepped.err();
                }
            }
            if self.crew.size() > 1 {
                let start = ticks();
                self.barrier.wait();
                let end = ticks();
                waited += end.wrapping_sub(start);
                if let Some(trace) = &mut trace {
                    trace.note_wait(step, start, end);
                }
            }
            // The barrier orders these: either all workers see the fault of this step or none does.
            if faulty.load(Ordering::Relaxed) <= step {
                break;
            }
        }
        drop(shards);
        self.waited[worker].fetch_add(waited, Ordering::Relaxed);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl<T: Real> Machine for Shards<T> {
    fn run(&mut self, from: u64, to: u64) -> u64 {
        let faulty = AtomicU64::new(u64::MAX);
        let calibration = Calibration::start();
        let start = ticks();
        let this = &*self;
        this.crew.run(&|worker| this.work(worker, from, to, &faulty));
        self.total_ticks += ticks().wrapping_sub(start);
        self.seconds += calibration.elapsed();
        let reached = match faulty.load(Ordering::Relaxed) {
            u64::MAX => to,
            step => step + 1,
        };
        self.steps += reached - from;
        reached
    }

    fn collect(&mut self, collected: &mut Collected) {
        collected.spikes.clear();
        collected.samples.clear();
        collected.fault = None;
        for worker in 0..self.crew.size() {
            for shard in self.lock(worker).iter_mut() {
                collected.spikes.append(&mut shard.log);
                collected.samples.push(std::mem::take(&mut shard.samples));
                if let Some(fault) = shard.fault
                    && collected.fault.as_ref().is_none_or(|known| fault.key() < known.key())
                {
                    collected.fault = Some(fault);
                }
            }
        }
        // Every shard's log is in order already; a stable sort merges such runs in linear time.
        collected.spikes.sort();
    }

    fn figures(&self) -> MachineFigures {
        let per_tick = if self.total_ticks == 0 { 0.0 } else { self.seconds / self.total_ticks as f64 };
        let workers = self.crew.size();
        let mut figures = MachineFigures { steps: self.steps, shards: self.mailboxes.len(), ..Default::default() };
        for worker in 0..workers {
            let mut busy = 0.0;
            for shard in self.lock(worker).iter() {
                figures.events += shard.events;
                figures.segments += shard.segments;
                figures.overflows += shard.rows.overflows();
                for (phase, ticks) in shard.times.iter().enumerate() {
                    let seconds = *ticks as f64 * per_tick;
                    figures.phases[phase] += seconds / workers as f64;
                    busy += seconds;
                }
                for pathway in &shard.pathways {
                    figures.synapses += pathway.store.synapses;
                    figures.synapse_bytes += pathway.store.bytes() as u64;
                }
            }
            let waited = self.waited[worker].load(Ordering::Relaxed) as f64 * per_tick;
            figures.phases[WAIT] += waited / workers as f64;
            figures.busy.push(busy);
        }
        if let Some(procedural) = &self.procedural {
            figures.synapses += procedural.synapses();
            figures.synapse_bytes += procedural.bytes();
        }
        figures
    }

    fn install_probes(&mut self, layout: &Layout, variables: &[Vec<String>]) -> ProbePlan {
        self.plan_probes(layout, variables)
    }

    fn state(&self, population: usize, variable: usize, neuron: u32) -> f64 {
        for worker in 0..self.crew.size() {
            for shard in self.lock(worker).iter() {
                for slice in &shard.slices {
                    let range = slice.part.first..slice.part.first + slice.part.len;
                    if slice.population == population && range.contains(&neuron) {
                        let place = (neuron - slice.part.first) as usize;
                        let compressed = slice.tiles.as_ref().and_then(|tiles| tiles.compressed_value(variable, place));
                        return compressed.unwrap_or(slice.columns[variable][place]).to_f64();
                    }
                }
            }
        }
        f64::NAN
    }

    fn take_population(&self, population: usize, columns: &mut [StateColumn], refractory: &mut [u16]) {
        Shards::take_population(self, population, columns, refractory);
    }

    fn put_population(&mut self, population: usize, columns: &[StateColumn], refractory: &[u16]) {
        Shards::put_population(self, population, columns, refractory);
    }

    fn take_process(&self, origin: (usize, usize), state: &mut [f64]) {
        Shards::take_process(self, origin, state);
    }

    fn put_process(&mut self, origin: (usize, usize), state: &[f64]) {
        Shards::put_process(self, origin, state);
    }

    fn send_again(&mut self, step: u64, spikes: &[Spike]) {
        Shards::send_again(self, step, spikes);
    }

    fn longest_delay(&self) -> u32 {
        self.longest_of_all()
    }

    fn inactive(&self, dt: f64) -> Option<InactiveFigures> {
        let mut figures: Option<InactiveFigures> = None;
        let (mut activity, mut neurons) = (None, 0);
        for worker in 0..self.crew.size() {
            for shard in self.lock(worker).iter() {
                let Some(watch) = &shard.watch else { continue };
                let figures = figures.get_or_insert_default();
                watch.tell(figures, &mut activity);
                for slice in &shard.slices {
                    neurons += u64::from(slice.part.len);
                    if let Some(tiles) = &slice.tiles {
                        tiles.tell(figures);
                    }
                }
            }
        }
        if let (Some(figures), Some(activity)) = (&mut figures, activity) {
            activity.tell(neurons, dt, figures);
        }
        figures
    }

    fn shard_seconds(&self) -> Vec<[f64; 2]> {
        let per_tick = if self.total_ticks == 0 { 0.0 } else { self.seconds / self.total_ticks as f64 };
        let workers = (0..self.crew.size()).flat_map(|worker| {
            let of = |shard: &Shard<T>| [UPDATE, DELIVER].map(|phase| shard.times[phase] as f64 * per_tick);
            self.lock(worker).iter().map(of).collect::<Vec<_>>()
        });
        workers.collect()
    }

    fn take_synapses(&mut self) -> (Vec<Vec<Store>>, Option<Generator>) {
        let shards = self.shards.iter_mut().flat_map(|w| w.get_mut().unwrap_or_else(|e| e.into_inner()));
        let stores = shards.map(|shard| {
            if let Some(watch) = &mut shard.watch {
                watch.fetch_all(&mut shard.pathways);
            }
            shard.pathways.drain(..).map(|pathway| pathway.store).collect()
        });
        (stores.collect(), self.procedural.take().map(Procedural::into_generator))
    }

    fn synapse_sum(&self) -> Option<u64> {
        self.sum_of_synapses()
    }

    fn add_memory(&mut self, memory: &mut MemorySnapshot) {
        Shards::add_memory(self, memory);
    }

    fn trace_steps(&mut self) {
        self.traces = Some(StepTraces::new(self.crew.size()));
    }

    fn traced_steps(&self, begun: std::time::Instant) -> (Vec<TraceThread>, u64) {
        self.traces.as_ref().map_or((Vec::new(), 1), |traces| traces.threads(begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_dealt_in_runs_of_like_length() {
        for (shards, workers) in [(1, 1), (5, 2), (2, 3), (0, 2), (7, 7), (16, 5)] {
            let runs: Vec<_> = (0..workers).map(|w| dealt(shards, workers, w)).collect();
            assert_eq!((runs[0].start, runs[workers - 1].end), (0, shards));
            assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
            let lengths = || runs.iter().map(ExactSizeIterator::len);
            assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1);
        }
    }
}
