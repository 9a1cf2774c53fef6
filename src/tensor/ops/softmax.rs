//! Softmax.

use super::{autocast, check_float, narrowed, wide};
use crate::compute::{Layout, Shape};
use crate::error::Result;
use crate::precision::{self, OpClass};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

struct SoftmaxRule {
    log: bool,
    y: Tensor,
}

impl Backward for SoftmaxRule {
    fn name(&self) -> &'static str {
        name(self.log)
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let (y, wide_dy, device) = (wide(&self.y)?, wide(&dy.contiguous()?)?, dy.device());
        let dx = Tensor::filled(device, y.dtype(), Layout::row_major(y.shape()), |dx| {
            device.backend().softmax_grad(self.log, y.arg(), wide_dy.arg(), dx);
        })?;
        Ok(vec![Some(narrowed(dx, dy.dtype())?)])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.y);
    }
}

fn name(log: bool) -> &'static str {
    if log { "log_softmax" } else { "softmax" }
}

impl Tensor {
    /// exp(x) / Σ exp(x) along an axis; the largest is subtracted first, so nothing overflows. Axes other than the last
    /// are brought there by a copy.
    ///
    /// # Errors
    /// There is no such axis, or the elements are integers.
    pub fn softmax(&self, axis: isize) -> Result<Self> {
        self.softmax_along(axis, false)
    }

    /// x - ln Σ exp(x) along an axis: the logarithm of [`Tensor::softmax`], without loss of digits.
    ///
    /// # Errors
    /// As [`Tensor::softmax`].
    pub fn log_softmax(&self, axis: isize) -> Result<Self> {
        self.softmax_along(axis, true)
    }

    fn softmax_along(&self, axis: isize, log: bool) -> Result<Self> {
        if precision::current().is_some() {
            let x = autocast(OpClass::Sensitive, self)?;
            return precision::under(None, || x.softmax_along(axis, log));
        }
        check_float(name(log), self)?;
        let (axis, rank) = (self.shape().axis(name(log), axis)?, self.shape().rank());
        if axis + 1 != rank {
            let last = rank as isize - 1;
            return self.transpose(axis as isize, last)?.softmax_along(last, log)?.transpose(axis as isize, last);
        }
        let x = self.contiguous()?;
        let (from, device, shape): (_, _, Shape) = (wide(&x)?, self.device(), self.shape());
        let y = Self::filled(device, from.dtype(), Layout::row_major(shape), |out| {
            device.backend().softmax(log, from.arg(), out);
        })?;
        let y = narrowed(y, self.dtype())?;
        let kept = y.clone();
        Ok(record(&[&x], y, || SoftmaxRule { log, y: kept }))
    }
}
