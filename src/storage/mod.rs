//! Result files: spikes, state reports, rates, and the summary of a run; written while it runs, and read back.
//!
//! The layout of an output folder is described in `docs/results.md`, the choice of the HDF5 library and how a file
//! survives a kill in `docs/decisions/hdf5.md`.

mod aside;
mod cadence;
mod checkpoint;
mod checkpoints;
mod container;
mod csv_spikes;
mod hdf5_stream;
mod machine;
mod model_file;
mod named;
mod node_names;
mod npy_spikes;
mod output_dir;
mod place;
mod population_filter;
mod rate_table;
mod read_report;
mod read_spikes;
mod record_file;
mod repair;
mod repair_plain;
mod run_profile;
mod run_record;
mod sonata_file;
mod sonata_spikes;
mod state_report;
mod utc;
mod write_spikes;

pub use checkpoint::{Checkpoint, CheckpointCost, CheckpointedRun};
pub use checkpoints::{Checkpoints, Latest};
pub use container::Compression;
pub use csv_spikes::CsvSpikes;
pub use machine::Machine;
pub use model_file::{MappedModel, ModelSettings, NeuronData, NeuronQuery, convert_model};
pub use named::Named;
pub use node_names::NodeNames;
pub use npy_spikes::NpySpikes;
pub use output_dir::OutputDir;
pub use rate_table::{RateTable, Rates, read_rates};
pub use read_report::{Report, read_report};
pub use read_spikes::{holds_spikes, read_spikes};
pub use repair::{Repaired, repair, repairable};
pub use run_profile::{MemoryChanges, MemoryProfile, RunProfile, TimeProfile, TraceRecord};
pub use run_record::{RunRecord, RunStatus, RunSummary, StoredWeights};
pub use sonata_spikes::SonataSpikes;
pub use state_report::StateReport;
pub use utc::rfc3339;
pub use write_spikes::{SpikeFormat, write_spikes};

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
