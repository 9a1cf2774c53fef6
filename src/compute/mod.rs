//! Where work is done: instruction sets, vector lanes, memory for large arrays, worker threads, and the kernels that
//! stream over synapses. Kernels see arrays and numbers only.

mod arena;
pub mod ars;
mod backend;
pub mod clock;
mod codec;
pub mod cpu;
mod device;
mod dtype;
pub mod input;
mod isa;
mod lif;
mod mailbox;
mod memory;
pub mod poisson;
pub mod records;
mod rows;
mod shape;
pub mod simd;
mod threads;

pub use arena::{HugeVec, Zeroed};
pub use backend::{
    Activation, Affine, Arg, Backend, Binary, ClassLoss, Compare, ConvAlgorithm, ConvOptions, ConvShape, Moments,
    NormGrad, PairLoss, PoolOptions, PoolShape, Product, QuantWeight, Quantised, Reduce, Rule, SparseArg, TurnedArg,
    Unary, UnarySaved, Update,
};
pub use codec::{Codec, CodecFigures, Grain};
pub use device::{CpuDevice, Device};
pub use dtype::{DType, Element, bf16, f16};
pub use isa::Isa;
pub use lif::{LifArriving, LifGradients, LifOut, LifScan, LifStep, LifVarying, Reset, Surrogate};
pub use mailbox::Mailbox;
pub use memory::{Buffer, Pool, PoolFigures};
pub use rows::Rows;
pub use shape::{Layout, MAX_RANK, Shape, Strides};
pub use threads::{Barrier, Crew};
