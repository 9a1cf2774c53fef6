//! What skipping and compression did in a run.

use crate::compute::CodecFigures;
use serde::{Deserialize, Serialize};

/// What skipping and compression did since the simulation was built, or last cut anew.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InactiveFigures {
    /// Time at which the first stretch of `active_fraction` begins, ms.
    pub from_ms: f64,
    /// Length of a stretch, ms. The last may be shorter.
    pub stretch_ms: f64,
    /// Share of the neurons that were stepped, stretch by stretch.
    pub active_fraction: Vec<f64>,
    /// Blocks of neurons.
    pub blocks: u64,
    /// Blocks at rest now.
    pub resting: u64,
    /// Times a block at rest was woken.
    pub wake_ups: u64,
    /// Memory saved now by giving back that of state and of input sums at rest, bytes.
    pub state_bytes_saved: u64,
    /// Memory saved now by compressing synapses, bytes.
    pub synapse_bytes_saved: u64,
    /// Wall-clock time of all workers spent compressing, s.
    pub compress_s: f64,
    /// Wall-clock time of all workers spent decompressing, s.
    pub decompress_s: f64,
}

impl InactiveFigures {
    /// Share of the neurons that were stepped, mean over time.
    pub fn mean_active_fraction(&self) -> f64 {
        let stretches = self.active_fraction.len();
        if stretches == 0 { 1.0 } else { self.active_fraction.iter().sum::<f64>() / stretches as f64 }
    }

    pub(super) fn add_codec(&mut self, figures: CodecFigures) {
        self.compress_s += figures.pack_s;
        self.decompress_s += figures.unpack_s;
    }
}

/// Stretches of an [`Activity`] at most.
const MOST: usize = 1024;

/// Neurons stepped, summed over stretches of steps that double in length when there get too many of them.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Activity {
    /// The first step.
    from: u64,
    /// Steps of a stretch.
    length: u64,
    sums: Vec<u64>,
    /// Steps of the last stretch so far.
    steps: u64,
}

impl Activity {
    pub fn new(from: u64, length: u64) -> Self {
        Self { from, length, sums: Vec::new(), steps: length }
    }

    /// Notes that `neurons` neurons were stepped in the next step.
    pub fn note(&mut self, neurons: u64) {
        if self.steps == self.length {
            if self.sums.len() == MOST {
                self.sums = self.sums.chunks(2).map(|pair| pair.iter().sum()).collect();
                self.length *= 2;
            }
            self.sums.push(0);
            self.steps = 0;
        }
        if let Some(last) = self.sums.last_mut() {
            *last += neurons;
        }
        self.steps += 1;
    }

    /// Adds those of another shard, which has seen the same steps.
    pub fn add(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += other;
        }
    }

    /// Writes the shares among `neurons` neurons, with steps of `dt` ms.
    pub fn tell(&self, neurons: u64, dt: f64, figures: &mut InactiveFigures) {
        figures.from_ms = self.from as f64 * dt;
        figures.stretch_ms = self.length as f64 * dt;
        let last = self.sums.len().saturating_sub(1);
        let steps = |i| if i == last { self.steps } else { self.length };
        let shares = self.sums.iter().enumerate();
        figures.active_fraction = shares.map(|(i, sum)| *sum as f64 / (steps(i) * neurons.max(1)) as f64).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_double_and_keep_their_sums() {
        let mut activity = Activity::new(10, 4);
        let steps = 4 * MOST as u64 * 3 + 3;
        for step in 0..steps {
            activity.note(if step < steps / 2 { 10 } else { 0 });
        }
        assert!(activity.sums.len() <= MOST && activity.length == 16);
        assert_eq!(activity.sums.iter().sum::<u64>(), steps / 2 * 10);
        let mut figures = InactiveFigures::default();
        activity.tell(10, 0.5, &mut figures);
        assert_eq!((figures.from_ms, figures.stretch_ms), (5.0, 8.0));
        assert_eq!((figures.active_fraction[0], *figures.active_fraction.last().unwrap()), (1.0, 0.0));
        assert!((figures.mean_active_fraction() - 0.5).abs() < 1e-3);
    }
}
