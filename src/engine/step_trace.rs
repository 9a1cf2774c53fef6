//! The phases of single steps of every worker, kept in bounded room for a trace.
//!
//! A long run has more steps than there is room for. When a worker's room is full, it drops every second step it has kept
//! and keeps every second of those to come, so that a trace always covers the whole run, evenly, with all phases of the
//! steps it has.

use super::shard::{DELIVER, EXCHANGE, PHASES, UPDATE, WAIT};
use crate::compute::clock::ticks;
use crate::metrics::{TraceEvent, TraceThread};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// Steps of shards that all workers together keep at most: 3 MB in memory, about 30 MB as a file.
const ROOM: usize = 1 << 16;
/// Steps of shards that a worker keeps at least.
const LEAST: usize = 1 << 10;

/// The traces of all workers, and where their clock began.
pub(super) struct StepTraces {
    workers: Vec<Mutex<StepTrace>>,
    ticks: u64,
    instant: Instant,
}

/// The steps one worker keeps.
pub(super) struct StepTrace {
    /// Steps that are multiples of this are kept.
    every: u64,
    room: usize,
    steps: Vec<ShardStep>,
    waits: Vec<Wait>,
}

/// Half a cache line, as a step may take no longer than a microsecond.
#[derive(Clone, Copy)]
struct ShardStep {
    step: u64,
    start: u64,
    /// Ticks of each of the first three phases; those of longer ones end at the largest number.
    took: [u32; 3],
}

#[derive(Clone, Copy)]
struct Wait {
    step: u64,
    start: u64,
    took: u32,
}

/// Ticks between two readings of the clock.
fn between(start: u64, end: u64) -> u32 {
    u32::try_from(end.wrapping_sub(start)).unwrap_or(u32::MAX)
}

/// An empty list with room that was touched: the first steps are not to wait for pages.
fn roomy<T: Copy>(filler: T, room: usize) -> Vec<T> {
    let mut list = vec![filler; room];
    list.clear();
    list
}

impl StepTraces {
    pub fn new(workers: usize) -> Self {
        let room = (ROOM / workers.max(1)).max(LEAST);
        let workers = (0..workers).map(|_| Mutex::new(StepTrace::with_room(room))).collect();
        Self { workers, ticks: ticks(), instant: Instant::now() }
    }

    pub fn lock(&self, worker: usize) -> MutexGuard<'_, StepTrace> {
        self.workers[worker].lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The steps that all workers kept, which are every so many-th, on a time axis that begins at `begun`.
    pub fn threads(&self, begun: Instant) -> (Vec<TraceThread>, u64) {
        let elapsed = ticks().wrapping_sub(self.ticks).max(1);
        let ns_a_tick = self.instant.elapsed().as_nanos() as f64 / elapsed as f64;
        let base = self.instant.saturating_duration_since(begun).as_nanos() as u64;
        let ns = |at: u64| base + (at.wrapping_sub(self.ticks) as f64 * ns_a_tick) as u64;
        let every = (0..self.workers.len()).map(|worker| self.lock(worker).every).max().unwrap_or(1);
        let names: [Arc<str>; PHASES.len()] = PHASES.map(Arc::from);
        let threads = (0..self.workers.len()).map(|worker| {
            let trace = self.lock(worker);
            let mut events = Vec::new();
            let mut add = |phase: usize, step: u64, from: u64, to: u64| {
                let start_ns = ns(from);
                let (name, duration_ns) = (names[phase].clone(), ns(to) - start_ns);
                events.push(TraceEvent { name, start_ns, duration_ns, step: Some(step) });
            };
            for ShardStep { step, start, took } in trace.steps.iter().filter(|kept| kept.step.is_multiple_of(every)) {
                let mut at = *start;
                for phase in [EXCHANGE, DELIVER, UPDATE] {
                    let end = at.wrapping_add(u64::from(took[phase]));
                    add(phase, *step, at, end);
                    at = end;
                }
            }
            for Wait { step, start, took } in trace.waits.iter().filter(|kept| kept.step.is_multiple_of(every)) {
                add(WAIT, *step, *start, start.wrapping_add(u64::from(*took)));
            }
            TraceThread { name: format!("worker {worker}"), events, dropped: 0, shortest_ns: 0 }
        });
        (threads.collect(), every)
    }
}

impl StepTrace {
    fn with_room(room: usize) -> Self {
        let step = ShardStep { step: 1, start: 1, took: [1; 3] };
        let wait = Wait { step: 1, start: 1, took: 1 };
        Self { every: 1, room, steps: roomy(step, room), waits: roomy(wait, room) }
    }

    /// A shard took a step; `at` are the ticks at its beginning and after each phase.
    pub fn note_step(&mut self, step: u64, at: &[u64; 4]) {
        if step.is_multiple_of(self.every) {
            let took = [between(at[0], at[1]), between(at[1], at[2]), between(at[2], at[3])];
            self.steps.push(ShardStep { step, start: at[0], took });
            // Shards of one step stay together: a step is dropped with all its shards or not at all.
            if self.steps.len() >= self.room && self.steps[0].step != step {
                self.every *= 2;
                self.steps.retain(|kept| kept.step.is_multiple_of(self.every));
                self.waits.retain(|kept| kept.step.is_multiple_of(self.every));
            }
        }
    }

    /// The worker waited for the others at the end of a step.
    pub fn note_wait(&mut self, step: u64, start: u64, end: u64) {
        if step.is_multiple_of(self.every) {
            self.waits.push(Wait { step, start, took: between(start, end) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_covered_evenly_in_bounded_room() {
        let mut trace = StepTrace::with_room(100);
        for step in 0..10_000 {
            for _ in 0..3 {
                trace.note_step(step, &[step, step + 1, step + 2, step + 3]);
            }
            trace.note_wait(step, step, step + 1);
            assert!(trace.steps.len() <= 103 && trace.waits.len() <= 103);
        }
        let steps: Vec<u64> = trace.waits.iter().map(|wait| wait.step).collect();
        assert!(steps.iter().zip(0..).all(|(step, i)| *step == i * trace.every), "{steps:?}");
        assert!(steps.len() as u64 >= 10_000 / trace.every && trace.every.is_power_of_two());
        assert!(
            trace
                .steps
                .chunks(3)
                .all(|shards| shards.len() == 3 && shards.iter().all(|kept| kept.step == shards[0].step))
        );
    }
}
