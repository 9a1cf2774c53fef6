//! Operations with their gradients, one family a file.

mod binary;
mod dtype;
mod matmul;
mod reduce;
mod sparse;
mod spiking;
mod unary;

pub use sparse::SparseMatrix;
pub use spiking::{LifConstantsEach, LifRun, LifState};

use super::Tensor;
use crate::error::{Error, Result};

/// Refuses tensors of two devices or two element types.
pub(crate) fn check_same(op: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    check_device(op, a, b)?;
    if a.dtype() != b.dtype() {
        return Err(Error::op(
            op,
            format!(
                "element types differ: {} {} and {} {}; convert one with `to_dtype`",
                a.shape(),
                a.dtype(),
                b.shape(),
                b.dtype()
            ),
        ));
    }
    Ok(())
}

/// Refuses tensors of two devices.
pub(crate) fn check_device(op: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    if a.device() != b.device() {
        let note = if a.device().to_string() == b.device().to_string() {
            "two devices made separately; clone one `Device`"
        } else {
            "move one with `to_device`"
        };
        return Err(Error::op(op, format!("tensors are on {} and {} ({note})", a.device(), b.device())));
    }
    Ok(())
}

/// Refuses what is not floating point.
pub(crate) fn check_float(op: &'static str, x: &Tensor) -> Result<()> {
    if x.dtype().is_float() {
        return Ok(());
    }
    Err(Error::op(op, format!("needs a floating-point tensor, not {} {}", x.shape(), x.dtype())))
}
