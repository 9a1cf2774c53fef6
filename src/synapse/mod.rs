//! Synapses at rest: the grid their weights lie on, and the tables from a source to its records.

mod dormant;
mod grid;
mod store;

pub use dormant::Dormancy;
pub use grid::{WeightBits, WeightGrid, WeightRange};
pub use store::{PackScratch, Packer, Store, StoreBuilder};
