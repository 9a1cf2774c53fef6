//! Normalisation, and the statistics it rests on.

use super::{autocast, check_device, check_float, check_same, narrowed, wide};
use crate::compute::{Affine, Buffer, DType, Device, Layout, Moments, NormGrad, Shape, Unary};
use crate::error::{Error, Result};
use crate::precision::{self, OpClass};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record, records_gradients};
use std::sync::Arc;

/// The dense elements of a tensor as rows of `cols`, in the order they lie in memory.
fn matrix(x: &Tensor, cols: usize) -> Tensor {
    let rows = x.len().checked_div(cols).unwrap_or(0);
    x.view(Layout { offset: x.layout().offset, ..Layout::row_major([rows, cols].into()) })
}

fn of(device: &Device, buffer: Buffer, shape: Shape) -> Tensor {
    Tensor::of(device, Arc::new(buffer), Layout::row_major(shape))
}

/// A parameter in the type that kernels compute in, checked against the input and the shape it must have. It has the
/// element type of the input, or `f32` where that has 16 bits.
fn fitting(op: &'static str, x: &Tensor, column: &Tensor, shape: Shape) -> Result<Tensor> {
    if !(column.dtype() == DType::F32 && matches!(x.dtype(), DType::F16 | DType::Bf16)) {
        check_same(op, x, column)?;
    }
    check_device(op, x, column)?;
    if column.shape() != shape {
        return Err(Error::op(
            op,
            format!("input {} takes parameters of shape {shape}, not {}", x.shape(), column.shape()),
        ));
    }
    wide(column)?.contiguous()
}

/// The gradients that are wanted of an input, its factors and its terms.
struct Wanted {
    dx: Option<Buffer>,
    dweight: Option<Buffer>,
    dbias: Option<Buffer>,
}

impl Wanted {
    /// `inputs` are numbers of inputs on the tape: x is 0, weight and bias follow where there are any.
    fn new(tape: &Tape<'_>, x: &Tensor, cols: usize, [weight, bias]: [Option<usize>; 2]) -> Result<Self> {
        let wanted = |input: Option<usize>| input.is_some_and(|input| tape.needs(input));
        let buffer = |wanted: bool, len| wanted.then(|| x.device().buffer(x.dtype(), len)).transpose();
        Ok(Self {
            dx: buffer(tape.needs(0), x.len())?,
            dweight: buffer(wanted(weight), cols)?,
            dbias: buffer(wanted(bias), cols)?,
        })
    }

    fn grad(&mut self) -> NormGrad<'_> {
        NormGrad { dx: self.dx.as_mut(), dweight: self.dweight.as_mut(), dbias: self.dbias.as_mut() }
    }

    /// As results of a rule: dx in the layout of the input, the others in the shape and type of the parameters.
    fn results(self, device: &Device, at: Layout, dtype: DType, affine: [Option<(Shape, DType)>; 2]) -> Results {
        let dx = self.dx.map(|dx| narrowed(Tensor::of(device, Arc::new(dx), at), dtype)).transpose()?;
        let mut all = vec![dx];
        for (buffer, like) in [self.dweight, self.dbias].into_iter().zip(affine) {
            if let Some((shape, dtype)) = like {
                all.push(buffer.map(|buffer| narrowed(of(device, buffer, shape), dtype)).transpose()?);
            }
        }
        Ok(all)
    }
}

type Results = Result<Vec<Option<Tensor>>>;

/// Which inputs of the tape weight and bias are.
fn numbers(weight: bool, bias: bool) -> [Option<usize>; 2] {
    [weight.then_some(1), bias.then_some(1 + usize::from(weight))]
}

fn like(tensor: Option<&Tensor>) -> Option<(Shape, DType)> {
    tensor.map(|tensor| (tensor.shape(), tensor.dtype()))
}

struct RowNormRule {
    op: &'static str,
    x: Tensor,
    cols: usize,
    stats: [Tensor; 2],
    weight: Option<Tensor>,
    bias: Option<(Shape, DType)>,
}

impl Backward for RowNormRule {
    fn name(&self) -> &'static str {
        self.op
    }
    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let numbers = numbers(self.weight.is_some(), self.bias.is_some());
        let Some(dy) = &dy[0] else { return Ok(vec![None; 1 + numbers.iter().flatten().count()]) };
        let (x, dy) = (wide(&self.x)?, wide(&dy.in_order_of(self.x.layout())?)?);
        let weight = self.weight.as_ref().map(|weight| wide(weight)?.contiguous()).transpose()?;
        let mut wanted = Wanted::new(tape, &x, self.cols, numbers)?;
        let stats = [self.stats[0].arg(), self.stats[1].arg()];
        let (x_rows, dy_rows) = (matrix(&x, self.cols), matrix(&dy, self.cols));
        let weight = weight.as_ref().map(Tensor::arg);
        x.device().backend().row_norm_grad(x_rows.arg(), stats, weight, dy_rows.arg(), wanted.grad());
        wanted.results(
            x.device(),
            self.x.layout().dense_like(),
            self.x.dtype(),
            [like(self.weight.as_ref()), self.bias],
        )
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.x);
        self.stats.iter().chain(&self.weight).for_each(visit);
    }
}

struct ColumnNormRule {
    op: &'static str,
    /// Channels-last.
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: f64,
    weight: Option<Tensor>,
    bias: Option<(Shape, DType)>,
    through_moments: bool,
    /// The result of ReLU.
    kept: Option<Tensor>,
}

impl Backward for ColumnNormRule {
    fn name(&self) -> &'static str {
        self.op
    }
    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let numbers = numbers(self.weight.is_some(), self.bias.is_some());
        let Some(dy) = &dy[0] else { return Ok(vec![None; 1 + numbers.iter().flatten().count()]) };
        let dy = match &self.kept {
            None => dy.channels_last()?,
            Some(kept) => dy.through(Unary::Relu, kept)?,
        };
        let (x, dy, cols) = (wide(&self.x)?, wide(&dy)?, self.mean.len());
        let weight = self.weight.as_ref().map(|weight| wide(weight)?.contiguous()).transpose()?;
        let mut wanted = Wanted::new(tape, &x, cols, numbers)?;
        let (x_rows, dy_rows) = (matrix(&x, cols), matrix(&dy, cols));
        x.device().backend().column_norm_grad(
            x_rows.arg(),
            Moments { mean: self.mean.arg(), var: self.var.arg(), eps: self.eps },
            weight.as_ref().map(Tensor::arg),
            dy_rows.arg(),
            self.through_moments,
            wanted.grad(),
        );
        let at = Layout::channels_last(x.shape());
        wanted.results(x.device(), at, self.x.dtype(), [like(self.weight.as_ref()), self.bias])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        [&self.x, &self.mean, &self.var].into_iter().chain(&self.weight).chain(&self.kept).for_each(visit);
    }
}

/// What [`Tensor::batch_norm_train`] makes.
#[derive(Debug, Clone)]
pub struct BatchNormed {
    /// The normalised input.
    pub y: Tensor,
    /// Mean of each channel over the batch; tracks no gradients.
    pub mean: Tensor,
    /// Variance of each channel, divided by the number of elements; tracks no gradients.
    pub var: Tensor,
}

impl Tensor {
    /// `(x - mean) / √(var + eps) * weight + bias` with mean and variance over the last axes, whose lengths `normalized`
    /// repeats; so do the shapes of weight and bias. Ba, Kiros & Hinton (2016), arXiv:1607.06450.
    ///
    /// # Errors
    /// Lengths that are not those of the last axes, a weight or bias of another shape, element types that differ (16-bit
    /// inputs may come with weights in `f32`), or no elements.
    pub fn layer_norm(
        &self,
        normalized: &[usize],
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Result<Self> {
        const OP: &str = "layer_norm";
        if precision::current().is_some() {
            let x = autocast(OpClass::Sensitive, self)?;
            return precision::under(None, || x.layer_norm(normalized, weight, bias, eps));
        }
        check_float(OP, self)?;
        if normalized.is_empty() || self.is_empty() || !self.dims().ends_with(normalized) {
            return Err(Error::op(
                OP,
                format!("input {} does not end in the normalised axes {normalized:?}", self.shape()),
            ));
        }
        self.contiguous()?.row_norm(OP, normalized, weight, bias, eps)
    }

    /// `(x - mean) / √(var + eps)` with mean and variance of all elements.
    ///
    /// # Errors
    /// There are no elements, or they are integers.
    pub fn z_score(&self, eps: f64) -> Result<Self> {
        const OP: &str = "z_score";
        if precision::current().is_some() {
            let x = autocast(OpClass::Sensitive, self)?;
            return precision::under(None, || x.z_score(eps));
        }
        check_float(OP, self)?;
        if self.is_empty() {
            return Err(Error::op(OP, format!("shape {} has no elements", self.shape())));
        }
        let (own, device) = (self.dense()?, self.device());
        let x = wide(&own)?;
        let mut stats = if records_gradients() && self.tracks_grad() {
            Some([device.buffer(x.dtype(), 1)?, device.buffer(x.dtype(), 1)?])
        } else {
            None
        };
        let y = Self::filled(device, x.dtype(), x.layout().dense_like(), |out| {
            device.backend().standardise(x.arg(), eps, out, stats.as_mut().map(|stats| stats.each_mut()));
        })?;
        let y = narrowed(y, self.dtype())?;
        let Some(stats) = stats else { return Ok(y) };
        let stats = stats.map(|buffer| of(device, buffer, [1].into()));
        let cols = self.len();
        Ok(record(&[&own], y, || RowNormRule { op: OP, x: own.clone(), cols, stats, weight: None, bias: None }))
    }

    /// Of a row-major tensor.
    fn row_norm(
        &self,
        op: &'static str,
        normalized: &[usize],
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Result<Self> {
        let cols: usize = normalized.iter().product();
        let rows = self.len() / cols;
        let fit = |column: &Self| fitting(op, self, column, Shape::new(normalized));
        let wide_weight = weight.map(fit).transpose()?;
        let wide_bias = bias.map(fit).transpose()?;
        let (x, device) = (wide(self)?, self.device());
        let inputs: Vec<&Self> = [Some(self), weight, bias].into_iter().flatten().collect();
        let mut stats = if records_gradients() && inputs.iter().any(|input| input.tracks_grad()) {
            Some([device.buffer(x.dtype(), rows)?, device.buffer(x.dtype(), rows)?])
        } else {
            None
        };
        let from = matrix(&x, cols);
        let y = Self::filled(device, x.dtype(), x.layout().dense_like(), |out| {
            let affine =
                Affine { weight: wide_weight.as_ref().map(Self::arg), bias: wide_bias.as_ref().map(Self::arg) };
            device.backend().row_norm(from.arg(), affine, eps, out, stats.as_mut().map(|stats| stats.each_mut()));
        })?;
        let y = narrowed(y, self.dtype())?;
        let Some(stats) = stats else { return Ok(y) };
        let stats = stats.map(|buffer| of(device, buffer, [rows].into()));
        Ok(record(&inputs, y, || RowNormRule {
            op,
            x: self.clone(),
            cols,
            stats,
            weight: weight.cloned(),
            bias: like(bias),
        }))
    }

    /// `(x - mean) / √(var + eps) * weight + bias` with mean and variance of each channel over the batch, for an input
    /// [n, channels, ..] and weight and bias [channels]. Then ReLU where `rectify` is set. Ioffe & Szegedy (2015),
    /// arXiv:1502.03167. The result lies channels-last.
    ///
    /// # Errors
    /// Fewer than two elements to a channel, a weight or bias of another shape, element types that differ (16-bit inputs
    /// may come with weights in `f32`).
    pub fn batch_norm_train(
        &self,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
        rectify: bool,
    ) -> Result<BatchNormed> {
        self.column_norm("batch_norm_train", None, weight, bias, eps, rectify)
    }

    /// The same with mean and variance [channels] given, as in inference.
    ///
    /// # Errors
    /// As [`Tensor::batch_norm_train`], but for any number of elements.
    pub fn batch_norm(
        &self,
        [mean, var]: [&Self; 2],
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
        rectify: bool,
    ) -> Result<Self> {
        Ok(self.column_norm("batch_norm", Some([mean, var]), weight, bias, eps, rectify)?.y)
    }

    fn column_norm(
        &self,
        op: &'static str,
        given: Option<[&Self; 2]>,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
        rectify: bool,
    ) -> Result<BatchNormed> {
        check_float(op, self)?;
        if self.shape().rank() < 2 {
            return Err(Error::op(op, format!("needs an input [n, channels, ..], not {}", self.shape())));
        }
        let cols = self.dims()[1];
        let rows = self.len().checked_div(cols).unwrap_or(0);
        if given.is_none() && rows < 2 {
            return Err(Error::op(
                op,
                format!("input {} has {rows} elements to a channel; their variance needs two", self.shape()),
            ));
        }
        let fit = |column: &Self| fitting(op, self, column, [cols].into());
        let wide_weight = weight.map(fit).transpose()?;
        let wide_bias = bias.map(fit).transpose()?;
        let (x, device) = (self.channels_last()?, self.device());
        let wide_x = wide(&x)?;
        let from = matrix(&wide_x, cols);
        let (mean, var) = match given {
            Some([mean, var]) => (fit(mean)?, fit(var)?),
            None => {
                let mut mean = device.buffer(wide_x.dtype(), cols)?;
                let mut var = device.buffer(wide_x.dtype(), cols)?;
                device.backend().column_moments(from.arg(), &mut mean, &mut var);
                (of(device, mean, [cols].into()), of(device, var, [cols].into()))
            }
        };
        let y = Self::filled(device, wide_x.dtype(), Layout::channels_last(x.shape()), |out| {
            let affine =
                Affine { weight: wide_weight.as_ref().map(Self::arg), bias: wide_bias.as_ref().map(Self::arg) };
            let moments = Moments { mean: mean.arg(), var: var.arg(), eps };
            device.backend().column_norm(from.arg(), moments, affine, rectify, out);
        })?;
        let y = narrowed(y, self.dtype())?;
        let kept = rectify.then(|| y.clone());
        let inputs: Vec<&Self> = [Some(&x), weight, bias].into_iter().flatten().collect();
        let y = record(&inputs, y, || ColumnNormRule {
            op,
            x: x.clone(),
            mean: mean.clone(),
            var: var.clone(),
            eps,
            weight: weight.cloned(),
            bias: like(bias),
            through_moments: given.is_none(),
            kept,
        });
        Ok(BatchNormed { y, mean, var })
    }
}

struct VarRule {
    x: Tensor,
    mean: Tensor,
    factor: f64,
}

impl Backward for VarRule {
    fn name(&self) -> &'static str {
        "var"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let dy = dy.reshape(self.mean.shape())?.mul_scalar(2.0 * self.factor)?;
        Ok(vec![Some(self.x.sub(&self.mean)?.mul(&dy)?)])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.x);
        visit(&self.mean);
    }
}

struct NormRule {
    x: Tensor,
    /// The result, with the summed axes kept at length 1.
    y: Tensor,
}

impl Backward for NormRule {
    fn name(&self) -> &'static str {
        "norm"
    }
    /// x / |x|; 0 where |x| is 0, as torch has it.
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let zero = Tensor::zeros(Shape::SCALAR, self.y.dtype(), self.y.device())?;
        let nonzero = self.y.compare(&zero, crate::compute::Compare::Ne)?;
        let factor = nonzero.select_where(&dy.reshape(self.y.shape())?.div(&self.y)?, &zero)?;
        Ok(vec![Some(self.x.mul(&factor)?)])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.x);
        visit(&self.y);
    }
}

impl Tensor {
    /// Variance over some axes: squared differences to the mean, summed, divided by their number less `correction` (1
    /// for the unbiased estimate).
    ///
    /// # Errors
    /// There is no such axis, the elements are integers, or there are no more than `correction`.
    pub fn var(&self, axes: &[isize], correction: usize, keep: bool) -> Result<Self> {
        const OP: &str = "var";
        if precision::current().is_some() {
            let x = autocast(OpClass::Sensitive, self)?;
            return precision::under(None, || x.var(axes, correction, keep));
        }
        check_float(OP, self)?;
        let x = self.detach();
        let mean = x.mean(axes, true)?;
        let count = self.len() / mean.len().max(1);
        if count <= correction {
            return Err(Error::op(
                OP,
                format!(
                    "{count} elements of shape {} along axes {axes:?} are too few for correction {correction}",
                    self.shape()
                ),
            ));
        }
        let factor = 1.0 / (count - correction) as f64;
        let var = x.sub(&mean)?.square()?.sum(axes, keep)?.mul_scalar(factor)?;
        Ok(record(&[self], var, || VarRule { x: self.clone(), mean, factor }))
    }

    /// Standard deviation over some axes: the root of [`Tensor::var`].
    ///
    /// # Errors
    /// As [`Tensor::var`].
    pub fn std(&self, axes: &[isize], correction: usize, keep: bool) -> Result<Self> {
        self.var(axes, correction, keep)?.sqrt()
    }

    /// Euclidean norm over some axes: the root of the sum of squares. Its gradient at 0 is 0.
    ///
    /// # Errors
    /// There is no such axis, or the elements are integers.
    pub fn norm(&self, axes: &[isize], keep: bool) -> Result<Self> {
        if precision::current().is_some() {
            let x = autocast(OpClass::Sensitive, self)?;
            return precision::under(None, || x.norm(axes, keep));
        }
        check_float("norm", self)?;
        let kept = self.detach().square()?.sum(axes, true)?.sqrt()?;
        let y = if keep {
            kept.clone()
        } else {
            let mut marked = vec![false; self.shape().rank()];
            for axis in axes {
                marked[self.shape().axis("norm", *axis)?] = true;
            }
            let rest: Vec<usize> = self.dims().iter().zip(&marked).filter(|(_, out)| !**out).map(|(n, _)| *n).collect();
            kept.reshape(rest.as_slice())?
        };
        Ok(record(&[self], y, || NormRule { x: self.clone(), y: kept }))
    }
}
