//! Functions of two numbers, elementwise, with broadcasting.

use super::{autocast_pair, check_device, check_float, check_same};
use crate::compute::{Arg, Binary, Compare, DType, Layout, Shape};
use crate::error::{Error, Result};
use crate::precision;
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

struct BinaryRule {
    op: Binary,
    shapes: [Shape; 2],
    /// The operands, where the derivative needs them.
    operands: Option<[Tensor; 2]>,
}

impl Backward for BinaryRule {
    fn name(&self) -> &'static str {
        name(self.op)
    }

    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None, None]) };
        let [a_shape, b_shape] = self.shapes;
        let (mut da, mut db) = (None, None);
        match (&self.operands, self.op) {
            (None, Binary::Sub) => {
                da = tape.needs(0).then(|| dy.sum_to(a_shape)).transpose()?;
                db = tape.needs(1).then(|| dy.sum_to(b_shape)?.neg()).transpose()?;
            }
            (None, Binary::Combine { alpha, beta }) => {
                da = tape.needs(0).then(|| dy.sum_to(a_shape)?.mul_scalar(alpha)).transpose()?;
                db = tape.needs(1).then(|| dy.sum_to(b_shape)?.mul_scalar(beta)).transpose()?;
            }
            (None, _) => {
                da = tape.needs(0).then(|| dy.sum_to(a_shape)).transpose()?;
                db = tape.needs(1).then(|| dy.sum_to(b_shape)).transpose()?;
            }
            (Some([a, b]), op) => {
                if tape.needs(0) {
                    let slope = match op {
                        Binary::Mul => dy.mul(b)?,
                        Binary::Div => dy.div(b)?,
                        Binary::Pow => dy.mul(&b.mul(&a.pow(&b.add_scalar(-1.0)?)?)?)?,
                        // Equal operands share the gradient, as torch has it.
                        Binary::Min => dy.mul(&share(a, b, Compare::Lt)?)?,
                        _ => dy.mul(&share(a, b, Compare::Gt)?)?,
                    };
                    da = Some(slope.sum_to(a_shape)?);
                }
                if tape.needs(1) {
                    let slope = match op {
                        Binary::Mul => dy.mul(a)?,
                        Binary::Div => dy.mul(&a.div(&b.square()?)?)?.neg()?,
                        Binary::Pow => dy.mul(&a.pow(b)?.mul(&a.ln()?)?)?,
                        Binary::Min => dy.mul(&share(b, a, Compare::Lt)?)?,
                        _ => dy.mul(&share(b, a, Compare::Gt)?)?,
                    };
                    db = Some(slope.sum_to(b_shape)?);
                }
            }
        }
        Ok(vec![da, db])
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        self.operands.iter().flatten().for_each(visit);
    }
}

/// 1 where `a` wins, 1/2 where they are equal, else 0.
fn share(a: &Tensor, b: &Tensor, wins: Compare) -> Result<Tensor> {
    let wins = a.compare(b, wins)?.to_dtype(a.dtype())?;
    let equal = a.compare(b, Compare::Eq)?.to_dtype(a.dtype())?;
    wins.add(&equal.mul_scalar(0.5)?)
}

fn name(op: Binary) -> &'static str {
    match op {
        Binary::Add => "add",
        Binary::Sub => "sub",
        Binary::Mul => "mul",
        Binary::Div => "div",
        Binary::Min => "minimum",
        Binary::Max => "maximum",
        Binary::Pow => "pow",
        Binary::Combine { .. } => "combine",
    }
}

/// Where the result goes: in the order of the first operand that has the shape of the result and no gaps.
fn result_layout(shape: Shape, operands: [&Tensor; 2]) -> Layout {
    operands
        .into_iter()
        .find(|t| t.shape() == shape && t.layout().is_dense())
        .map_or_else(|| Layout::row_major(shape), |t| t.layout().dense_like())
}

impl Tensor {
    /// A function of two tensors whose shapes broadcast.
    ///
    /// # Errors
    /// Shapes that do not broadcast, other element types or devices.
    pub fn binary(&self, op: Binary, other: &Self) -> Result<Self> {
        if self.dtype() != other.dtype() && precision::current().is_some() {
            let (a, b) = autocast_pair(self, other)?;
            return precision::under(None, || a.binary(op, &b));
        }
        check_same(name(op), self, other)?;
        let shape = Shape::broadcast(name(op), &self.shape(), &other.shape())?;
        let at = result_layout(shape, [self, other]);
        let (a, b) = (self.layout().broadcast_to(shape), other.layout().broadcast_to(shape));
        let device = self.device();
        let out = Self::filled(device, self.dtype(), at, |out| {
            let a = Arg { buffer: self.buffer(), layout: &a };
            let b = Arg { buffer: other.buffer(), layout: &b };
            device.backend().binary(op, a, b, out, &at);
        })?;
        Ok(record(&[self, other], out, || BinaryRule {
            op,
            shapes: [self.shape(), other.shape()],
            operands: (!matches!(op, Binary::Add | Binary::Sub | Binary::Combine { .. }))
                .then(|| [self.clone(), other.clone()]),
        }))
    }

    /// Compares two tensors whose shapes broadcast; the result is `u8`, 1 for true.
    ///
    /// # Errors
    /// Shapes that do not broadcast, other element types or devices.
    pub fn compare(&self, other: &Self, op: Compare) -> Result<Self> {
        check_same("compare", self, other)?;
        let shape = Shape::broadcast("compare", &self.shape(), &other.shape())?;
        let at = result_layout(shape, [self, other]);
        let (a, b) = (self.layout().broadcast_to(shape), other.layout().broadcast_to(shape));
        let device = self.device();
        Self::filled(device, DType::U8, at, |out| {
            let a = Arg { buffer: self.buffer(), layout: &a };
            let b = Arg { buffer: other.buffer(), layout: &b };
            device.backend().compare(op, a, b, out, &at);
        })
    }

    /// `a` where this mask (`u8`) is not 0, else `b`. All shapes broadcast.
    ///
    /// # Errors
    /// The mask is not `u8`, shapes do not broadcast, element types or devices differ.
    pub fn select_where(&self, a: &Self, b: &Self) -> Result<Self> {
        const OP: &str = "select_where";
        if self.dtype() != DType::U8 {
            return Err(Error::op(OP, format!("the mask is {}, not u8; make it with `compare`", self.dtype())));
        }
        check_same(OP, a, b)?;
        check_device(OP, self, a)?;
        let shape = Shape::broadcast(OP, &Shape::broadcast(OP, &self.shape(), &a.shape())?, &b.shape())?;
        let at = result_layout(shape, [a, b]);
        let layouts = [self, a, b].map(|t| t.layout().broadcast_to(shape));
        let device = a.device();
        let out = Self::filled(device, a.dtype(), at, |out| {
            let m = Arg { buffer: self.buffer(), layout: &layouts[0] };
            let x = Arg { buffer: a.buffer(), layout: &layouts[1] };
            let y = Arg { buffer: b.buffer(), layout: &layouts[2] };
            device.backend().select(m, x, y, out, &at);
        })?;
        Ok(record(&[a, b], out, || SelectRule { mask: self.clone(), shapes: [a.shape(), b.shape()] }))
    }
}

struct SelectRule {
    mask: Tensor,
    shapes: [Shape; 2],
}

impl Backward for SelectRule {
    fn name(&self) -> &'static str {
        "select_where"
    }
    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None, None]) };
        let zero = Tensor::zeros(Shape::SCALAR, dy.dtype(), dy.device())?;
        let part = |wanted: bool, a: &Tensor, b: &Tensor, shape: Shape| {
            wanted.then(|| self.mask.select_where(a, b)?.sum_to(shape)).transpose()
        };
        Ok(vec![part(tape.needs(0), dy, &zero, self.shapes[0])?, part(tape.needs(1), &zero, dy, self.shapes[1])?])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.mask);
    }
}

impl Tensor {
    /// Sum of two tensors whose shapes broadcast.
    ///
    /// # Errors
    /// Shapes that do not broadcast, other element types or devices.
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.binary(Binary::Add, other)
    }

    /// Difference of two tensors whose shapes broadcast.
    ///
    /// # Errors
    /// As [`Tensor::add`].
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.binary(Binary::Sub, other)
    }

    /// Elementwise product of two tensors whose shapes broadcast.
    ///
    /// # Errors
    /// As [`Tensor::add`].
    pub fn mul(&self, other: &Self) -> Result<Self> {
        self.binary(Binary::Mul, other)
    }

    /// Elementwise quotient of two tensors whose shapes broadcast.
    ///
    /// # Errors
    /// As [`Tensor::add`].
    pub fn div(&self, other: &Self) -> Result<Self> {
        self.binary(Binary::Div, other)
    }

    /// `alpha` times this plus `beta` times the other, in one pass. Shapes broadcast.
    ///
    /// # Errors
    /// As [`Tensor::add`].
    pub fn combine(&self, alpha: f64, other: &Self, beta: f64) -> Result<Self> {
        self.binary(Binary::Combine { alpha, beta }, other)
    }

    /// The larger of each two elements; NaN where either is. Equal elements share the gradient.
    ///
    /// # Errors
    /// As [`Tensor::add`].
    pub fn maximum(&self, other: &Self) -> Result<Self> {
        self.binary(Binary::Max, other)
    }

    /// The smaller of each two elements; NaN where either is. Equal elements share the gradient.
    ///
    /// # Errors
    /// As [`Tensor::add`].
    pub fn minimum(&self, other: &Self) -> Result<Self> {
        self.binary(Binary::Min, other)
    }

    /// Each element of this to the power of the other's.
    ///
    /// # Errors
    /// As [`Tensor::add`], and for integers.
    pub fn pow(&self, other: &Self) -> Result<Self> {
        check_float("pow", self)?;
        self.binary(Binary::Pow, other)
    }
}
