//! Result files: spikes, state reports, rates, and the summary of a run; written while it runs, and read back.

/// Spikes of one population, as read back from results.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PopulationSpikes {
    /// Name of the population.
    pub name: String,
    /// Number of neurons, 0 if the file does not say.
    pub size: u32,
    /// Spike times, ms, ascending.
    pub times_ms: Vec<f64>,
    /// For each spike the neuron, 0 to `size - 1`.
    pub ids: Vec<u32>,
}
