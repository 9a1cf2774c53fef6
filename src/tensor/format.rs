//! How tensors print.

use super::Tensor;
use crate::compute::DType;

/// Most elements that are shown of an axis.
const SHOWN: usize = 6;

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({} {} on {})", self.shape(), self.dtype(), self.device())
    }
}

impl std::fmt::Display for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        axis(f, self, 0)?;
        write!(f, " {} {}", self.shape(), self.dtype())
    }
}

fn axis(f: &mut std::fmt::Formatter<'_>, tensor: &Tensor, depth: usize) -> std::fmt::Result {
    if tensor.shape().rank() == 0 {
        let value = tensor.item().map_err(|_| std::fmt::Error)?;
        return if matches!(tensor.dtype(), DType::I8 | DType::I32 | DType::U8) {
            write!(f, "{value}")
        } else {
            write!(f, "{value:.4}")
        };
    }
    let n = tensor.dims()[0];
    write!(f, "[")?;
    for i in 0..n.min(SHOWN) {
        if i > 0 && tensor.shape().rank() > 1 {
            write!(f, ",\n{:1$}", "", depth + 1)?;
        } else if i > 0 {
            write!(f, ", ")?;
        }
        axis(f, &tensor.detach().select(0, i).map_err(|_| std::fmt::Error)?, depth + 1)?;
    }
    write!(f, "{}]", if n > SHOWN { ", .." } else { "" })
}
