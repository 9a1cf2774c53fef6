//! Products of matrices, and the linear map with its bias and activation.

use super::{autocast, check_device, check_float, check_same};
use crate::compute::{Activation, Arg, DType, Layout, Product, Shape, Unary};
use crate::error::{Error, Result};
use crate::precision::{self, OpClass};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record, records_gradients};

struct MatmulRule {
    a: Tensor,
    b: Tensor,
}

impl Backward for MatmulRule {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None, None]) };
        let da = tape.needs(0).then(|| dy.matmul(&self.b.t()?)?.sum_to(self.a.shape())).transpose()?;
        let db = tape.needs(1).then(|| self.a.t()?.matmul(dy)?.sum_to(self.b.shape())).transpose()?;
        Ok(vec![da, db])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.a);
        visit(&self.b);
    }
}

impl Tensor {
    /// Product of matrices [m, k] and [k, n], or of batches of them [.., m, k] and [.., k, n] whose leading axes
    /// broadcast. Operands may be transposed views; neither is copied. `i8` matrices give `i32`.
    ///
    /// # Errors
    /// Inner lengths that differ, leading axes that do not broadcast, element types or devices that differ.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        const OP: &str = "matmul";
        if precision::current().is_some() {
            let (a, b) = (autocast(OpClass::Product, self)?, autocast(OpClass::Product, other)?);
            return precision::under(None, || a.matmul(&b));
        }
        check_same(OP, self, other)?;
        if self.dtype() == DType::I8 {
            return self.matmul_i8(other);
        }
        check_float(OP, self)?;
        let (ra, rb) = (self.shape().rank(), other.shape().rank());
        if ra < 2 || rb < 2 {
            return Err(Error::op(
                OP,
                format!("needs two axes at least: left is {}, right is {}", self.shape(), other.shape()),
            ));
        }
        let ([m, k], [kb, n]) =
            ([self.dims()[ra - 2], self.dims()[ra - 1]], [other.dims()[rb - 2], other.dims()[rb - 1]]);
        if k != kb {
            return Err(Error::op(
                OP,
                format!("left is {}, right is {}: the inner lengths {k} and {kb} differ", self.shape(), other.shape()),
            ));
        }
        let device = self.device();
        if k == 0 || self.is_empty() || other.is_empty() {
            let shape = Shape::broadcast(OP, &lead(self), &lead(other))?;
            let mut dims = shape.dims().to_vec();
            dims.extend([m, n]);
            let zeros = Self::zeros(Shape::checked(&dims)?, self.dtype(), device)?;
            return Ok(record(&[self, other], zeros, || MatmulRule { a: self.clone(), b: other.clone() }));
        }
        let out = if ra == 2 && rb == 2 {
            let at = Layout::row_major([m, n].into());
            Self::filled(device, self.dtype(), at, |out| {
                let (a, b) = (self.arg(), other.arg());
                let product = Product { a, b, bias: None, activation: Activation::Identity, keep: None };
                device.backend().product(product, out, &at);
            })?
        } else {
            batched(self, other, [m, k, n])?
        };
        Ok(record(&[self, other], out, || MatmulRule { a: self.clone(), b: other.clone() }))
    }

    /// Product of 8-bit matrices with exact 32-bit sums.
    fn matmul_i8(&self, other: &Self) -> Result<Self> {
        let (a, b) = (self.shape(), other.shape());
        if a.rank() != 2 || b.rank() != 2 || a.dims()[1] != b.dims()[0] {
            return Err(Error::op("matmul", format!("8-bit matrices {a} and {b} do not fit: [m, k] and [k, n] do")));
        }
        let at = Layout::row_major([a.dims()[0], b.dims()[1]].into());
        let device = self.device();
        if a.is_empty() || b.is_empty() {
            return Self::zeros(at.shape, DType::I32, device);
        }
        Self::filled(device, DType::I32, at, |out| {
            let (a, b) = (self.arg(), other.arg());
            let product = Product { a, b, bias: None, activation: Activation::Identity, keep: None };
            device.backend().product(product, out, &at);
        })
    }

    /// x Wᵀ + b, then an activation, in one kernel: x is [.., in], the weight [out, in], the bias [out].
    ///
    /// # Errors
    /// Lengths that do not fit, element types or devices that differ.
    pub fn linear(&self, weight: &Self, bias: Option<&Self>, activation: Activation) -> Result<Self> {
        const OP: &str = "linear";
        if precision::current().is_some() {
            let (x, w) = (autocast(OpClass::Product, self)?, autocast(OpClass::Product, weight)?);
            return precision::under(None, || x.linear(&w, bias, activation));
        }
        check_same(OP, self, weight)?;
        check_float(OP, self)?;
        let inputs = self.shape().last();
        if weight.shape().rank() != 2 || self.shape().rank() == 0 || weight.dims()[1] != inputs {
            return Err(Error::op(
                OP,
                format!(
                    "input {} does not fit weight {}: its last axis must be the weight's",
                    self.shape(),
                    weight.shape()
                ),
            ));
        }
        let outputs = weight.dims()[0];
        // Sums of 16-bit operands are kept in f32; so is what is added to them.
        let narrow = matches!(self.dtype(), DType::F16 | DType::Bf16);
        if let Some(bias) = bias {
            check_device(OP, self, bias)?;
            if bias.dtype() != DType::F32 || !narrow {
                check_same(OP, self, bias)?;
            }
            if bias.dims() != [outputs] {
                return Err(Error::op(OP, format!("bias {} does not fit weight {}", bias.shape(), weight.shape())));
            }
        }
        let rows = self.shape().rows();
        let mut dims = self.dims().to_vec();
        *dims.last_mut().unwrap_or(&mut 0) = outputs;
        let x = self.reshape([rows, inputs])?;
        let at = Layout::row_major([rows, outputs].into());
        let device = self.device();
        // ReLU can be undone from the result; others need what they were applied to.
        let tracked = records_gradients() && [Some(self), Some(weight), bias].iter().flatten().any(|t| t.tracks_grad());
        let mut before = match activation {
            Activation::Identity | Activation::Relu => None,
            _ if tracked => Some(device.buffer(self.dtype(), rows * outputs)?),
            _ => None,
        };
        let wt = weight.detach().t()?;
        let sum_type = if narrow { DType::F32 } else { self.dtype() };
        let bias_now = bias.map(|bias| bias.detach().contiguous()?.to_dtype(sum_type)).transpose()?;
        let y = Self::filled(device, self.dtype(), at, |out| {
            let product = Product {
                a: x.arg(),
                b: wt.arg(),
                bias: bias_now.as_ref().map(Tensor::arg),
                activation,
                keep: before.as_mut(),
            };
            device.backend().product(product, out, &at);
        })?;
        let kept = match (activation, before) {
            (Activation::Relu, _) => Some(y.clone()),
            (_, Some(before)) => Some(Self::of(device, std::sync::Arc::new(before), at)),
            _ => None,
        };
        let inputs: Vec<&Tensor> = [Some(&x), Some(weight), bias].into_iter().flatten().collect();
        let y = record(&inputs, y, || LinearRule {
            x: x.clone(),
            weight: weight.clone(),
            bias: bias.map(Self::dtype),
            activation,
            kept,
        });
        y.reshape(Shape::checked(&dims)?)
    }
}

struct LinearRule {
    x: Tensor,
    weight: Tensor,
    /// Type of the bias, if there is one.
    bias: Option<DType>,
    activation: Activation,
    /// The result of ReLU, or what another activation was applied to.
    kept: Option<Tensor>,
}

impl Backward for LinearRule {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None; 2 + usize::from(self.bias.is_some())]) };
        let dz = match &self.kept {
            None => dy.clone(),
            Some(kept) => dy.through(activation_as_unary(self.activation), kept)?,
        };
        // The gradient of the weight is made in the order the weight is stored in: (out, in) from (in, out).
        let dw = tape.needs(1).then(|| self.x.t()?.matmul(&dz)?.t()).transpose()?;
        let db = match self.bias {
            Some(dtype) if tape.needs(2) => {
                let wide = if dz.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
                Some(dz.to_dtype(wide)?.sum(&[0], false)?.to_dtype(dtype)?)
            }
            _ => None,
        };
        let dx = tape.needs(0).then(|| dz.matmul(&self.weight)).transpose()?;
        let mut all = vec![dx, dw];
        if self.bias.is_some() {
            all.push(db);
        }
        Ok(all)
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.x);
        visit(&self.weight);
        self.kept.iter().for_each(visit);
    }
}

/// The activation of a fused kernel as a function of its own.
pub(crate) fn activation_as_unary(activation: Activation) -> Unary {
    match activation {
        Activation::Relu => Unary::Relu,
        Activation::GeluTanh => Unary::GeluTanh,
        _ => Unary::Affine { scale: 1.0, shift: 0.0 },
    }
}

/// The axes before the last two.
fn lead(t: &Tensor) -> Shape {
    Shape::new(&t.dims()[..t.shape().rank() - 2])
}

fn batched(a: &Tensor, b: &Tensor, [m, k, n]: [usize; 3]) -> Result<Tensor> {
    let batch = Shape::broadcast("matmul", &lead(a), &lead(b))?;
    // Three axes each: the leading ones as one where they can be, by a copy where they cannot.
    let flat = |t: &Tensor, rows: usize, cols: usize| -> Result<Tensor> {
        let t = t.detach();
        if t.shape().rank() == 2 {
            return t.broadcast_to([batch.len(), rows, cols]);
        }
        let mut dims = batch.dims().to_vec();
        dims.extend([rows, cols]);
        t.broadcast_to(Shape::checked(&dims)?)?.reshape([batch.len(), rows, cols])
    };
    let (a, b) = (flat(a, m, k)?, flat(b, k, n)?);
    let at = Layout::row_major([batch.len(), m, n].into());
    let device = a.device();
    let dtype = a.dtype();
    if matches!(dtype, DType::F16 | DType::Bf16) {
        let wide = batched(&a.to_dtype(DType::F32)?, &b.to_dtype(DType::F32)?, [m, k, n])?.to_dtype(dtype)?;
        let mut dims = batch.dims().to_vec();
        dims.extend([m, n]);
        return wide.reshape(Shape::checked(&dims)?);
    }
    let out = Tensor::filled(device, dtype, at, |out| {
        let (a, b): (Arg<'_>, Arg<'_>) = (a.arg(), b.arg());
        device.backend().batched_product(a, b, out, &at);
    })?;
    let mut dims = batch.dims().to_vec();
    dims.extend([m, n]);
    out.reshape(Shape::checked(&dims)?)
}
