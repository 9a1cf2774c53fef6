//! Softmax as a layer.

use super::module::Module;
use crate::error::Result;
use crate::tensor::Tensor;

/// Softmax along an axis; see [`Tensor::softmax`]. For training use the logits with [`Tensor::cross_entropy`] instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax(
    /// The axis, counted from the end where negative.
    pub isize,
);

impl Module for Softmax {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.softmax(self.0)
    }
}

/// The logarithm of softmax along an axis; see [`Tensor::log_softmax`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSoftmax(
    /// The axis, counted from the end where negative.
    pub isize,
);

impl Module for LogSoftmax {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.log_softmax(self.0)
    }
}
