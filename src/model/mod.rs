//! Networks as plain data, their validation, and how they become neurons and synapses.

mod distribution;
mod spec;

pub use distribution::Distribution;
pub use spec::{
    AreaSpec, ConnectionRule, DelaySpec, DistanceKernel, DistanceRule, Edge, KernelShape, NetworkSpec, Placement,
    PopulationId, PopulationSpec, ProjectionSpec, Selection, StimulusKind, StimulusSpec, StimulusTarget,
};
