//! Layers: parameters, and how they make one tensor of another.
//!
//! A [`Module`] maps a tensor to a tensor and names its parameters; [`Sequential`] chains modules. Shapes and names of
//! parameters are those of torch, so weights can be exchanged by name.

mod activation;
mod init;
mod linear;
mod module;
mod param;
mod sequential;

pub use activation::{Elu, Gelu, GeluTanh, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
pub use init::{Init, InitRng};
pub use linear::Linear;
pub(crate) use module::collect;
pub use module::{Module, Slot, Visitor};
pub use param::{Param, State};
pub use sequential::Sequential;
