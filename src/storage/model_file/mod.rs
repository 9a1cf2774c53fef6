//! Model files: a constructed network in one HDF5 file, mapped back without construction.
//!
//! The layout is documented in `docs/model-format.md`.

mod create;
mod description;
mod open;
mod partial;

pub use create::{ModelSettings, convert_model};
pub use open::MappedModel;
pub use partial::{NeuronData, NeuronQuery};

/// Kind of container.
const FORMAT: &str = "tessera-model";
/// Newest version read, and the one written.
const VERSION: u32 = 1;

/// Array of a population.
fn of_population(population: &str, array: &str) -> String {
    format!("populations/{population}/{array}")
}

/// Array of a stimulus.
fn of_stimulus(stimulus: &str, array: &str) -> String {
    format!("stimuli/{stimulus}/{array}")
}

/// Array of a store of synapses.
fn of_store(shard: usize, format: &str, array: &str) -> String {
    format!("synapses/shard_{shard}/{format}/{array}")
}
