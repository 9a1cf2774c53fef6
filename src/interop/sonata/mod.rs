//! The SONATA format of networks and simulations: configurations, nodes, edges, types, node sets and spikes.
//!
//! Files are read as the two main writers of the format write them, the Allen Institute's BMTK and the Blue Brain
//! project's libsonata; where they spell things differently both spellings are read. What a file says is kept in its own
//! terms here; `config::sonata` makes a network of it.
//!
//! Reference: K. Dai et al. (2020), The SONATA data format for efficient description of large-scale network models, PLoS
//! Comput Biol 16:e1007696.

mod attribute;
mod config;
mod edges;
mod findings;
mod hdf5;
mod json;
mod node_sets;
mod nodes;
mod spikes;
mod types;
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

pub use attribute::{Attribute, Value};
pub use config::Config;
pub use edges::{EdgePopulation, read_edges};
pub use findings::Findings;
pub use json::Item;
pub use node_sets::NodeSets;
pub use nodes::{NodePopulation, read_nodes};
pub use spikes::{SpikeTrains, read_spikes};
pub use write::{Export, ExportOptions, Exported};
