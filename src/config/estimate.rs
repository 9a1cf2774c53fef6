//! What a network will need before any of it is made: neurons, synapses, memory, time.
//!
//! The constants are measurements of the engine, rounded; the time is a rough guess because nobody knows the rates
//! before the run.

use super::run::RunOptions;
use crate::engine::{Expected, SimOptions, forecast, part};
use crate::error::{Error, Result};
use crate::metrics::{MemorySnapshot, available_memory};
use crate::model::wiring::expected_synapses;
use crate::model::{NetworkSpec, PopulationSpec, SynapseStorage};
use crate::synapse::WeightBits;

/// Bytes of the program itself: code, libraries, stacks, buffers of files.
const BASE_BYTES: f64 = 14e6;
/// Seconds of one step of a current-based LIF neuron on one thread.
const NEURON_STEP_S: f64 = 0.1e-9;
/// Seconds of one synaptic event on one thread.
const EVENT_S: f64 = 0.5e-9;
/// Seconds of one synaptic event of a procedural projection on one thread, with weights and delays that are drawn.
const DRAWN_EVENT_S: f64 = 8.4e-9;
/// Mean rate assumed for the estimate of time, Hz.
const ASSUMED_RATE_HZ: f64 = 5.0;

/// What a run will need.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Neurons, exactly.
    pub neurons: u64,
    /// Expected synapses.
    pub synapses: f64,
    /// Expected synapses of each projection, in their order.
    pub synapses_of: Vec<f64>,
    /// Part of the synapses that is drawn at every spike and not kept.
    pub procedural: f64,
    /// Most memory of the process, bytes: the parts, the program itself, and what construction takes for a while.
    pub memory_bytes: u64,
    /// Part of it that synapses take, bytes.
    pub synapse_bytes: u64,
    /// The parts while running, named as [`Simulation::memory`](crate::engine::Simulation::memory) names what it counts;
    /// its resident memory is that with the program, its high-water mark is `memory_bytes`.
    pub parts: MemorySnapshot,
    /// Rough time of the simulation itself at a mean rate of 5 Hz, s.
    pub seconds: f64,
    /// Whether all weights were taken to have 32 bits.
    wide: bool,
}

impl Estimate {
    /// Estimates a run at a mean rate of 5 Hz, as nobody knows the rates before.
    pub fn of(network: &NetworkSpec, run: &RunOptions) -> Self {
        Self::at_rate(network, run, ASSUMED_RATE_HZ)
    }

    /// Estimates a run in which neurons fire at a mean rate of `rate_hz`.
    pub fn at_rate(network: &NetworkSpec, run: &RunOptions, rate_hz: f64) -> Self {
        let sizes: Vec<f64> = network.populations.iter().map(|p| p.placement.size(&p.name, run.seed) as f64).collect();
        let synapses_of: Vec<f64> = (0..network.projections.len()).map(|p| expected_synapses(network, p)).collect();
        let wide = run.weight_bits == WeightBits::W32;
        let drawn = network.projections.iter().zip(&synapses_of);
        let drawn = drawn.filter(|(projection, _)| projection.storage == SynapseStorage::Procedural);
        let procedural: f64 = drawn.map(|(_, synapses)| synapses).sum();
        let steps = run.duration_ms / run.dt_ms;
        let cost = |(population, n): (&PopulationSpec, &f64)| n * steps * population.model.cost() * NEURON_STEP_S;
        let steps_s: f64 = network.populations.iter().zip(&sizes).map(cost).sum();
        let synapses: f64 = synapses_of.iter().sum();
        let spikes_a_source = rate_hz * run.duration_ms * 1e-3;
        let events_s = spikes_a_source * ((synapses - procedural) * EVENT_S + procedural * DRAWN_EVENT_S);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = run.threads.unwrap_or(cores).min(cores) as f64;
        let seconds = (steps_s + events_s) / threads;
        let options = SimOptions {
            dt: run.dt_ms,
            threads: run.threads.unwrap_or(0),
            precision: run.precision,
            isa: None,
            weight_bits: run.weight_bits,
            // What compression saves depends on the activity, which nobody knows before.
            inactive: None,
            cut: run.cut.clone(),
        };
        let expected = Expected { synapses: &synapses_of, rate_hz, duration_ms: run.duration_ms };
        let (mut parts, construction) = forecast(network, run.seed, &options, &expected);
        let running = (BASE_BYTES as u64).saturating_add(parts.counted());
        let memory_bytes = running.saturating_add(construction);
        (parts.resident_bytes, parts.high_water_bytes) = (running, memory_bytes);
        Self {
            neurons: sizes.iter().sum::<f64>() as u64,
            synapses,
            memory_bytes,
            synapse_bytes: [part::SYNAPSES, part::INDEX, part::PROCEDURAL]
                .iter()
                .fold(0, |sum: u64, part| sum.saturating_add(parts.bytes(part))),
            synapses_of,
            procedural,
            parts,
            seconds,
            wide,
        }
    }

    /// Estimates a run of a network whose synapses lie in a mapped file: the system takes their memory back where it is
    /// short.
    pub fn of_model(network: &NetworkSpec, run: &RunOptions, synapses: u64) -> Self {
        let mut estimate = Self::of(network, run);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = run.threads.unwrap_or(cores).min(cores) as f64;
        estimate.synapses = synapses as f64;
        estimate.seconds += estimate.synapses * ASSUMED_RATE_HZ * run.duration_ms * 1e-3 * EVENT_S / threads;
        estimate
    }

    /// Whether the memory there is will do.
    ///
    /// # Errors
    /// [`Error::NotEnoughMemory`] if not, with what would reduce the need.
    pub fn fits(&self) -> Result<()> {
        match available_memory() {
            Some(available) => self.fits_in(available),
            // Systems that do not say how much there is are trusted to have enough.
            None => Ok(()),
        }
    }

    /// Whether `available` bytes will do.
    ///
    /// # Errors
    /// As for [`Estimate::fits`].
    pub fn fits_in(&self, available: u64) -> Result<()> {
        if self.memory_bytes <= available {
            return Ok(());
        }
        let gigabytes = |bytes: u64| bytes as f64 * 1e-9;
        let mut remedies = vec!["fewer synapses or neurons"];
        if self.procedural < 0.5 * self.synapses {
            remedies.push("storage = \"procedural\" for large projections");
        }
        if self.wide {
            remedies.push("weight_bits = 16");
        }
        if self.synapse_bytes < self.memory_bytes / 2 {
            remedies.push("precision = \"f32\"");
        }
        Err(Error::NotEnoughMemory(format!(
            "the network needs about {:.2} GB ({} neurons, {:.4e} synapses), but {:.2} GB are available; what would \
             reduce it: {}, or a machine with more memory",
            gigabytes(self.memory_bytes),
            self.neurons,
            self.synapses,
            gigabytes(available),
            remedies.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_says_what_helps() {
        let estimate = Estimate {
            neurons: 10,
            synapses: 1e9,
            synapses_of: vec![1e9],
            procedural: 0.0,
            memory_bytes: 8_260_000_000,
            synapse_bytes: 8_200_000_000,
            parts: MemorySnapshot::default(),
            seconds: 1.0,
            wide: true,
        };
        assert!(estimate.fits_in(9_000_000_000).is_ok());
        let message = estimate.fits_in(2_000_000_000).unwrap_err().to_string();
        assert!(
            message.contains("8.26 GB") && message.contains("2.00 GB") && message.contains("weight_bits = 16"),
            "{message}"
        );
    }
}
