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
mod sparse;
mod spiking;
mod unary;

pub use conv::{Conv1dOptions, conv_weight_layout, conv2d_shape};
pub use loss::{ClassLossOptions, Reduction};
pub use norm::BatchNormed;
pub use pooling::Windows;
pub use sparse::SparseMatrix;
pub use spiking::{LifConstantsEach, LifRun, LifState};

use super::Tensor;
use crate::compute::DType;
use crate::error::{Error, Result};
use crate::precision::{self, OpClass};

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

/// An operand in the type the policy of the thread asks for: `f32` and 16-bit floating point are converted, other types
/// are left. Without a policy nothing is.
#[inline]
pub(crate) fn autocast(class: OpClass, x: &Tensor) -> Result<Tensor> {
    match precision::current().and_then(|policy| policy.operand(class)) {
        Some(dtype) if dtype != x.dtype() && matches!(x.dtype(), DType::F32 | DType::F16 | DType::Bf16) => {
            x.to_dtype(dtype)
        }
        _ => Ok(x.clone()),
    }
}

/// Two operands of a neutral operation in the wider of their types, under a policy; without one as they are.
pub(crate) fn autocast_pair(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let narrow = |dtype| matches!(dtype, DType::F16 | DType::Bf16);
    if a.dtype() != b.dtype() && precision::current().is_some() && a.dtype().is_float() && b.dtype().is_float() {
        let wide = match (a.dtype(), b.dtype()) {
            (x, y) if narrow(x) && narrow(y) => DType::F32,
            (x, y) if narrow(x) => y,
            (DType::F32, y) if !narrow(y) => y,
            (x, _) => x,
        };
        return Ok((a.to_dtype(wide)?, b.to_dtype(wide)?));
    }
    Ok((a.clone(), b.clone()))
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
