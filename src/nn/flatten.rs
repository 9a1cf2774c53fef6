//! From images to rows.

use super::module::Module;
use crate::error::Result;
use crate::tensor::Tensor;

/// All axes but the first as one, in row-major order: [n, c, h, w] becomes [n, c h w] as in torch, whatever the order in
/// memory was. A copy is made only where that order differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flatten;

impl Module for Flatten {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.flatten(1)
    }
}
