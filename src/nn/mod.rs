//! Layers: parameters, and how they make one tensor of another.
//!
//! A [`Module`] maps a tensor to a tensor and names its parameters; [`Sequential`] chains modules. Shapes and names of
//! parameters are those of torch, so weights can be exchanged by name.

mod activation;
mod batch_norm;
mod conv;
mod dropout;
mod embedding;
mod encoder;
mod flatten;
mod init;
mod layer_norm;
mod lif_layer;
mod linear;
mod module;
mod over_time;
mod param;
mod pooling;
mod sequential;
mod softmax;
mod sparse_linear;

pub use activation::{Elu, Gelu, GeluTanh, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
pub use batch_norm::{BatchNorm1d, BatchNorm2d, BatchNormOptions, RunningStatistics};
pub use conv::{Conv1d, Conv2d};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use encoder::{ConstantEncoder, Latency, LatencyEncoder, PoissonEncoder};
pub use flatten::Flatten;
pub use init::{Init, InitRng};
pub use layer_norm::LayerNorm;
pub use lif_layer::{Carry, LiLayer, LifLayer, LifModel};
pub use linear::Linear;
pub(crate) use module::collect;
pub use module::{Layer, Module, Slot, Visitor};
pub use over_time::{OverTime, Readout};
pub use param::{Param, State};
pub use pooling::{AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d};
pub use sequential::Sequential;
pub use softmax::{LogSoftmax, Softmax};
pub use sparse_linear::SparseLinear;

pub use crate::compute::{Reset, Surrogate};
