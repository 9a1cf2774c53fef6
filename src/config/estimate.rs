//! What a network will need before any of it is made: neurons, synapses, memory, time.
//!
//! The constants are measurements of the engine, rounded; the time is a rough guess because nobody knows the rates
//! before the run.

use super::run::RunOptions;
use crate::engine::Precision;
use crate::error::{Error, Result};
use crate::metrics::available_memory;
use crate::model::wiring::expected_synapses;
use crate::model::{NetworkSpec, SynapseStorage};
use crate::neuron::{ParamColumn, ParamTable};
use crate::synapse::WeightBits;

/// Bytes of a synapse with a 16-bit weight, with the tables and the unused ends of cache lines.
const DENSE_SYNAPSE_BYTES: f64 = 4.0 * 1.12;
/// Bytes of a synapse with a 32-bit weight, or of a source with few synapses.
const WIDE_SYNAPSE_BYTES: f64 = 8.2;
/// Synapses of a source below which the narrow layout does not pay: 32 for each half of the targets.
const FEW_SYNAPSES: f64 = 64.0;
/// Bytes of the program itself.
const BASE_BYTES: f64 = 60e6;
/// Seconds of one step of a current-based LIF neuron on one thread.
const NEURON_STEP_S: f64 = 0.1e-9;
/// Seconds of one synaptic event on one thread.
const EVENT_S: f64 = 0.5e-9;
/// Seconds of one synaptic event of a procedural projection on one thread, with weights and delays that are drawn.
const DRAWN_EVENT_S: f64 = 5.5e-9;
/// Bytes a procedural projection keeps for each of its sources.
const DRAWN_SOURCE_BYTES: f64 = 4.0;
/// Bytes of a record under way.
const UNDER_WAY_BYTES: f64 = 4.0;
/// Mean delay assumed for what is under way, s.
const ASSUMED_DELAY_S: f64 = 2e-3;
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
    /// Memory while running, bytes.
    pub memory_bytes: u64,
    /// Part of it that synapses take, bytes.
    pub synapse_bytes: u64,
    /// Rough time of the simulation itself at a mean rate of 5 Hz, s.
    pub seconds: f64,
    /// Whether all weights were taken to have 32 bits.
    wide: bool,
}

impl Estimate {
    /// Estimates a run.
    pub fn of(network: &NetworkSpec, run: &RunOptions) -> Self {
        let sizes: Vec<f64> = network.populations.iter().map(|p| p.placement.size(&p.name, run.seed) as f64).collect();
        let synapses_of: Vec<f64> = (0..network.projections.len()).map(|p| expected_synapses(network, p)).collect();
        let wide = run.weight_bits == WeightBits::W32;
        let mut by_source = vec![0.0; sizes.len()];
        let (mut procedural, mut drawn_bytes) = (0.0, 0.0);
        for (projection, synapses) in network.projections.iter().zip(&synapses_of) {
            if projection.storage == SynapseStorage::Procedural {
                procedural += synapses;
                drawn_bytes += DRAWN_SOURCE_BYTES * sizes[projection.source.0];
            } else {
                by_source[projection.source.0] += synapses;
            }
        }
        drawn_bytes += procedural * ASSUMED_RATE_HZ * ASSUMED_DELAY_S * UNDER_WAY_BYTES;
        let synapse_bytes: f64 = by_source
            .iter()
            .zip(&sizes)
            .map(|(synapses, n)| {
                let dense = !wide && synapses / n.max(1.0) >= FEW_SYNAPSES;
                synapses * if dense { DENSE_SYNAPSE_BYTES } else { WIDE_SYNAPSE_BYTES }
            })
            .sum();
        let synapse_bytes = synapse_bytes + drawn_bytes;
        let number = if run.precision == Precision::F64 { 8.0 } else { 4.0 };
        let (mut neuron_bytes, mut steps_s) = (0.0, 0.0);
        let steps = run.duration_ms / run.dt_ms;
        for (population, n) in network.populations.iter().zip(&sizes) {
            let model = &population.model;
            let values = model.values();
            let table = ParamTable { len: 1, columns: values.into_iter().map(ParamColumn::Uniform).collect() };
            let columns = (model.variables().len() + population.params.len()) as f64;
            neuron_bytes += n * (number * columns + 4.0 * model.receptors(&table).len() as f64 + 2.0);
            steps_s += n * steps * model.cost() * NEURON_STEP_S;
        }
        let synapses: f64 = synapses_of.iter().sum();
        let spikes_a_source = ASSUMED_RATE_HZ * run.duration_ms * 1e-3;
        let events_s = spikes_a_source * ((synapses - procedural) * EVENT_S + procedural * DRAWN_EVENT_S);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = run.threads.unwrap_or(cores).min(cores) as f64;
        Self {
            neurons: sizes.iter().sum::<f64>() as u64,
            synapses,
            synapses_of,
            procedural,
            memory_bytes: (BASE_BYTES + synapse_bytes + neuron_bytes) as u64,
            synapse_bytes: synapse_bytes as u64,
            seconds: (steps_s + events_s) / threads,
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
