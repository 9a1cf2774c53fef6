//! Networks as plain data, their validation, and how they become neurons and synapses.

mod brain;
mod builder;
mod distribution;
mod growth;
mod normal;
mod placement;
mod sample;
mod spec;
mod step_table;
mod validate;
pub mod wiring;

pub use brain::{BrainModel, Population, ReceptorChoice};
pub use builder::StaticSynapse;
pub use distribution::Distribution;
pub use sample::{DelaySampler, LONGEST_DELAY, Sampler};
pub(crate) use spec::procedural_fault;
pub use spec::{
    AreaSpec, ConnectionRule, DelaySpec, DistanceKernel, DistanceRule, Edge, KernelShape, NetworkSpec, Placement,
    PopulationId, PopulationSpec, ProjectionSpec, Selection, StimulusKind, StimulusSpec, StimulusTarget,
    SynapseStorage,
};
pub use step_table::StepTable;
