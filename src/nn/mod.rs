//! Layers: parameters, and how they make one tensor of another.
//!
//! A [`Module`] maps a tensor to a tensor and names its parameters; [`Sequential`] chains modules. Shapes and names of
//! parameters are those of torch, so weights can be exchanged by name.

mod activation;
mod init;
mod lif_layer;
mod linear;
mod module;
mod over_time;
mod param;
mod sequential;
mod sparse_linear;

pub use activation::{Elu, Gelu, GeluTanh, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
pub use init::{Init, InitRng};
pub use lif_layer::{Carry, LiLayer, LifLayer, LifModel};
pub use linear::Linear;
pub use module::{Module, Slot, Visitor};
pub use over_time::{OverTime, Readout};
pub use param::{Param, State};
pub use sequential::Sequential;
pub use sparse_linear::SparseLinear;

pub use crate::compute::{Reset, Surrogate};
