//! When buffered records go to disk.

use std::time::{Duration, Instant};

/// Spikes kept in memory before they are written, over all populations. Each write waits for the disk.
pub(super) const BATCH: usize = 1 << 20;
/// Longest wall-clock time a record stays in memory only, so that a kill of a slow run loses little.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// Counts what waits and says when it is time to write it.
///
/// The clock decides when bytes are written, never which: every writer makes the same file for any cadence.
#[derive(Debug)]
pub(super) struct Cadence {
    batch: usize,
    interval: Duration,
    waiting: usize,
    last: Instant,
}

impl Cadence {
    pub(super) fn new(batch: usize, interval: Duration) -> Self {
        Self { batch, interval, waiting: 0, last: Instant::now() }
    }

    /// Adds `items` that wait.
    pub(super) fn add(&mut self, items: usize) {
        self.waiting += items;
    }

    /// Whether what waits is too much.
    pub(super) fn full(&self) -> bool {
        self.waiting >= self.batch
    }

    /// Whether what waits is too much or too old.
    pub(super) fn due(&self) -> bool {
        self.full() || (self.waiting > 0 && self.last.elapsed() >= self.interval)
    }

    /// Everything was written.
    pub(super) fn done(&mut self) {
        self.waiting = 0;
        self.last = Instant::now();
    }
}
