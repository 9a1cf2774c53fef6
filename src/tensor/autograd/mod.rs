//! Gradients by reverse-mode differentiation.
//!
//! Every operation on a tensor that tracks gradients puts a node on its result: what the operation was, the nodes its
//! inputs came from, and the values its gradient will need. [`Tensor::backward`](super::Tensor::backward) walks these nodes from the loss back,
//! the latest first, and returns the gradients of the leaves: parameters, and tensors made with
//! [`Tensor::requires_grad`](super::Tensor::requires_grad). Tensors never change, so nothing a node keeps can become stale.

mod backward;
mod checkpointing;
mod custom;
mod gradients;
mod mode;
mod node;

pub use backward::GraphMemory;
pub use checkpointing::checkpoint;
pub use custom::{CustomOp, Saved};
pub use gradients::{Gradients, LeafId};
pub use mode::{draw_number, is_recomputing, no_grad, records_gradients};
pub(crate) use node::{Backward, Grad, NodeRef, Tape, record, record_many};
