//! Tensors, operations on them, and gradients.
//!
//! A [`Tensor`] is a value: its elements never change once it is made, so it can be shared, kept for the backward pass
//! and viewed from several sides without a copy. Operations check shapes, element types and devices, run one kernel of
//! the device's [`Backend`](crate::compute::Backend), and note on the result how its gradient flows back
//! ([`autograd`]). Elements are `f32` where nothing else is asked for.

pub mod autograd;
mod create;
mod format;
pub mod ops;
mod value;
mod view;

pub use autograd::{CustomOp, Gradients, LeafId, Saved, checkpoint, no_grad};
pub use ops::{
    BatchNormed, ClassLossOptions, Conv1dOptions, Reduction, SparseMatrix, Windows, conv_weight_layout, conv2d_shape,
};
pub use value::Tensor;
