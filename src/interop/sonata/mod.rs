//! The SONATA format of networks and simulations.

mod write;
mod write_config;
mod write_currents;
mod write_edges;
mod write_folder;
mod write_hdf5;
mod write_nodes;
mod write_plan;
mod write_spikes;
mod write_templates;

pub use write::{Export, ExportOptions, Exported};
