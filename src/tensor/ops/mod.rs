//! Operations with their gradients, one family a file.

mod binary;
mod conv;
mod dropout;
mod dtype;
mod index;
mod loss;
mod matmul;
mod norm;
mod pooling;
mod reduce;
mod softmax;
mod unary;

pub use conv::{Conv1dOptions, conv_weight_layout};
pub use loss::{ClassLossOptions, Reduction};
pub use norm::BatchNormed;
pub use pooling::Windows;

use super::Tensor;
use crate::compute::DType;
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

/// The value off the tape in the type that kernels compute in: 16-bit types in `f32`, others as they are.
pub(crate) fn wide(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::F16 | DType::Bf16 => x.detach().to_dtype(DType::F32),
        _ => Ok(x.detach()),
    }
}

/// A fresh result in the type of the operands.
pub(crate) fn narrowed(y: Tensor, dtype: DType) -> Result<Tensor> {
    if y.dtype() == dtype { Ok(y) } else { y.to_dtype(dtype) }
}
