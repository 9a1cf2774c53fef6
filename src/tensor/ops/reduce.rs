//! Sums, means, extremes.

use super::{autocast, check_float};
use crate::compute::{DType, Layout, MAX_RANK, Reduce, Shape};
use crate::error::{Error, Result};
use crate::precision::{self, OpClass};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

struct SumRule {
    shape: Shape,
    /// The result with the summed axes kept at length 1.
    kept: Shape,
}

impl Backward for SumRule {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(dy.reshape(self.kept)?.broadcast_to(self.shape)?)])
    }
    fn saved(&self, _: &mut dyn FnMut(&Tensor)) {}
}

struct ExtremeRule {
    x: Tensor,
    y: Tensor,
    kept: Shape,
}

impl Backward for ExtremeRule {
    fn name(&self) -> &'static str {
        "max or min"
    }
    /// Equal extremes share the gradient evenly.
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let y = self.y.reshape(self.kept)?;
        let hit = self.x.compare(&y, crate::compute::Compare::Eq)?.to_dtype(self.x.dtype())?;
        let hits = hit.sum_to(self.kept)?;
        Ok(vec![Some(hit.mul(&dy.reshape(self.kept)?.div(&hits)?)?)])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.x);
        visit(&self.y);
    }
}

impl Tensor {
    fn reduced(&self, op: Reduce, marked: &[bool], keep: bool) -> Result<(Self, Shape)> {
        let dims = self.dims();
        let kept: Vec<usize> = dims.iter().zip(marked).map(|(n, out)| if *out { 1 } else { *n }).collect();
        let kept = Shape::new(&kept);
        let rest: Vec<usize> = dims.iter().zip(marked).filter(|(_, out)| !**out).map(|(n, _)| *n).collect();
        let shape = if keep { kept } else { Shape::new(&rest) };
        let device = self.device();
        let out = Self::filled(device, self.dtype(), Layout::row_major(shape), |out| {
            device.backend().reduce(op, self.arg(), marked, out);
        })?;
        Ok((out, kept))
    }

    fn marked(&self, op: &'static str, axes: &[isize]) -> Result<[bool; MAX_RANK]> {
        let mut marked = [false; MAX_RANK];
        for axis in axes {
            marked[self.shape().axis(op, *axis)?] = true;
        }
        Ok(marked)
    }

    /// Sum over some axes, which vanish, or stay with length 1 where `keep` is set. Sums are taken over fixed blocks in
    /// a fixed order, so they do not depend on the number of threads.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn sum(&self, axes: &[isize], keep: bool) -> Result<Self> {
        if precision::current().is_some() {
            let x = autocast(OpClass::Sensitive, self)?;
            return precision::under(None, || x.sum(axes, keep));
        }
        let marked = self.marked("sum", axes)?;
        let (out, kept) = self.reduced(Reduce::Sum, &marked[..self.shape().rank()], keep)?;
        Ok(record(&[self], out, || SumRule { shape: self.shape(), kept }))
    }

    /// Sum of all elements, as a scalar.
    ///
    /// # Errors
    /// No memory is left.
    pub fn sum_all(&self) -> Result<Self> {
        let axes: Vec<isize> = (0..self.shape().rank() as isize).collect();
        self.sum(&axes, false)
    }

    /// Mean over some axes.
    ///
    /// # Errors
    /// There is no such axis, or the elements are integers.
    pub fn mean(&self, axes: &[isize], keep: bool) -> Result<Self> {
        check_float("mean", self)?;
        let sum = self.sum(axes, keep)?;
        let count = self.len() as f64 / sum.len().max(1) as f64;
        sum.mul_scalar(1.0 / count)
    }

    /// Mean of all elements, as a scalar.
    ///
    /// # Errors
    /// The elements are integers.
    pub fn mean_all(&self) -> Result<Self> {
        let axes: Vec<isize> = (0..self.shape().rank() as isize).collect();
        self.mean(&axes, false)
    }

    /// The largest element along an axis. Equal ones share the gradient.
    ///
    /// # Errors
    /// There is no such axis, or it has no elements.
    pub fn max(&self, axis: isize, keep: bool) -> Result<Self> {
        self.extreme("max", Reduce::Max, axis, keep)
    }

    /// The smallest element along an axis. Equal ones share the gradient.
    ///
    /// # Errors
    /// There is no such axis, or it has no elements.
    pub fn min(&self, axis: isize, keep: bool) -> Result<Self> {
        self.extreme("min", Reduce::Min, axis, keep)
    }

    fn extreme(&self, name: &'static str, op: Reduce, axis: isize, keep: bool) -> Result<Self> {
        let marked = self.marked(name, &[axis])?;
        if self.is_empty() {
            return Err(Error::op(name, format!("shape {} has no elements", self.shape())));
        }
        let (out, kept) = self.reduced(op, &marked[..self.shape().rank()], keep)?;
        let y = out.clone();
        Ok(record(&[self], out, || ExtremeRule { x: self.clone(), y, kept }))
    }

    /// Index of the largest element along the last axis (the first of equal ones), as `i32`.
    ///
    /// # Errors
    /// The last axis has no elements.
    pub fn arg_max(&self) -> Result<Self> {
        if self.shape().rank() == 0 || self.is_empty() {
            return Err(Error::op("arg_max", format!("shape {} has no last axis with elements", self.shape())));
        }
        let x = self.detach().contiguous()?;
        let shape = self.shape().reduced(self.shape().rank() - 1, false);
        let device = self.device();
        Self::filled(device, DType::I32, Layout::row_major(shape), |out| device.backend().arg_max(x.arg(), out))
    }

    /// Summed to a shape that broadcasts to this one: what the gradient of a stretched operand is.
    pub(crate) fn sum_to(&self, shape: Shape) -> Result<Self> {
        if shape == self.shape() {
            return Ok(self.clone());
        }
        let extra = self.shape().rank() - shape.rank();
        let axes: Vec<isize> = (0..self.shape().rank())
            .filter(|axis| *axis < extra || (shape.dims()[axis - extra] == 1 && self.dims()[*axis] != 1))
            .map(|axis| axis as isize)
            .collect();
        self.sum(&axes, true)?.reshape(shape)
    }
}
