//! Convolutions of images and sequences.

use super::{autocast, check_device, check_float, check_same, narrowed, wide};
use crate::compute::{Activation, Buffer, ConvOptions, ConvShape, Device, Layout, MAX_RANK, Shape, Unary};
use crate::error::{Error, Result};
use crate::precision::{self, OpClass};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record, records_gradients};
use std::sync::Arc;

/// Stride, padding, dilation and groups of a convolution along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv1dOptions {
    /// Steps of the window (at least 1).
    pub stride: usize,
    /// Zeros added at each end.
    pub padding: usize,
    /// Distance of neighbouring taps (at least 1).
    pub dilation: usize,
    /// Number of groups the channels are cut into; divides the channels of input and output.
    pub groups: usize,
}

impl Default for Conv1dOptions {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

impl From<Conv1dOptions> for ConvOptions {
    fn from(own: Conv1dOptions) -> Self {
        Self {
            stride: [1, own.stride],
            padding: [0, own.padding],
            dilation: [1, own.dilation],
            groups: own.groups,
            ..Self::default()
        }
    }
}

/// The order in which a weight [out, in / groups, kernel..] lies in memory for the kernels: output channels fastest, then
/// input channels, then the taps.
pub fn conv_weight_layout(shape: impl Into<Shape>) -> Layout {
    let shape = shape.into();
    let mut order: Vec<usize> = (2..shape.rank()).collect();
    order.extend([1, 0]);
    Layout::ordered(shape, &order)
}

struct ConvRule {
    op: &'static str,
    shape: ConvShape,
    x: Tensor,
    weight: Tensor,
    bias: bool,
    /// The result of ReLU.
    kept: Option<Tensor>,
}

impl Backward for ConvRule {
    fn name(&self) -> &'static str {
        self.op
    }

    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let mut all = vec![None; 2 + usize::from(self.bias)];
        let Some(dy) = &dy[0] else { return Ok(all) };
        let dy = match &self.kept {
            None => dy.channels_last()?,
            Some(kept) => dy.through(Unary::Relu, kept)?,
        };
        let (dy, dtype) = (wide(&dy)?, self.x.dtype());
        let (device, shape) = (dy.device(), &self.shape);
        let weight_layout = conv_weight_layout(self.weight.shape());
        if tape.needs(0) {
            let weight = wide(&self.weight)?.in_order_of(&weight_layout)?;
            let dx = Tensor::filled(device, dy.dtype(), Layout::channels_last(self.x.shape()), |dx| {
                device.backend().conv_input_grad(shape, dy.arg(), weight.arg(), dx);
            })?;
            all[0] = Some(dx.to_dtype(dtype)?);
        }
        let wants_bias = self.bias && tape.needs(2);
        if tape.needs(1) || wants_bias {
            let x = wide(&self.x)?;
            let mut db = wants_bias.then(|| device.buffer(dy.dtype(), shape.c_out())).transpose()?;
            let dw = Tensor::filled(device, dy.dtype(), weight_layout, |dw| {
                device.backend().conv_weight_grad(shape, x.arg(), dy.arg(), dw, db.as_mut());
            })?;
            all[1] = tape.needs(1).then(|| dw.to_dtype(dtype)).transpose()?;
            if let Some(db) = db {
                all[2] = Some(vector(device, db).to_dtype(dtype)?);
            }
        }
        Ok(all)
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.x);
        visit(&self.weight);
        self.kept.iter().for_each(visit);
    }
}

/// A buffer as a tensor of one axis.
fn vector(device: &Device, buffer: Buffer) -> Tensor {
    let layout = Layout::row_major([buffer.len()].into());
    Tensor::of(device, Arc::new(buffer), layout)
}

impl Tensor {
    /// Convolution (a correlation, as in every neural-network library) of images [n, in, height, width] with a weight
    /// [out, in / groups, kernel height, kernel width], plus a bias `[out]`, then an activation (identity or ReLU) in the
    /// same kernel. The result [n, out, out height, out width] lies channels-last in memory; an input in another order
    /// is copied into it first, a weight into [`conv_weight_layout`].
    ///
    /// ```
    /// use tessera::{compute::{Activation, ConvOptions, DType, Device}, tensor::Tensor};
    /// let x = Tensor::ones([1, 1, 4, 4], DType::F32, &Device::cpu())?;
    /// let w = Tensor::ones([2, 1, 3, 3], DType::F32, &Device::cpu())?;
    /// let y = x.conv2d(&w, None, ConvOptions { padding: [1, 1], ..Default::default() }, Activation::Identity)?;
    /// assert_eq!(y.dims(), [1, 2, 4, 4]);
    /// assert_eq!(y.to_vec::<f32>()?[..5], [4.0, 6.0, 6.0, 4.0, 6.0]);
    /// # Ok::<(), tessera::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes, channels or groups that do not fit, a window larger than the padded input, element types or devices that
    /// differ, an activation that convolutions cannot fuse.
    pub fn conv2d(
        &self,
        weight: &Self,
        bias: Option<&Self>,
        options: ConvOptions,
        activation: Activation,
    ) -> Result<Self> {
        self.conv("conv2d", 2, weight, bias, options, activation)
    }

    /// Convolution of sequences [n, in, length] with a weight [out, in / groups, kernel], as [`Tensor::conv2d`].
    ///
    /// # Errors
    /// As [`Tensor::conv2d`].
    pub fn conv1d(
        &self,
        weight: &Self,
        bias: Option<&Self>,
        options: Conv1dOptions,
        activation: Activation,
    ) -> Result<Self> {
        self.conv("conv1d", 1, weight, bias, options.into(), activation)
    }

    fn conv(
        &self,
        op: &'static str,
        spatial: usize,
        weight: &Self,
        bias: Option<&Self>,
        options: ConvOptions,
        activation: Activation,
    ) -> Result<Self> {
        if precision::current().is_some() {
            let (x, weight) = (autocast(OpClass::Product, self)?, autocast(OpClass::Product, weight)?);
            let bias = bias.map(|bias| autocast(OpClass::Product, bias)).transpose()?;
            return precision::under(None, || x.conv(op, spatial, &weight, bias.as_ref(), options, activation));
        }
        check_same(op, self, weight)?;
        check_float(op, self)?;
        let shape = fitted(op, spatial, &self.shape(), &weight.shape(), options)?;
        if let Some(bias) = bias {
            check_same(op, self, bias)?;
            check_device(op, self, bias)?;
            if bias.dims() != [shape.c_out()] {
                return Err(Error::op(op, format!("bias {} does not fit weight {}", bias.shape(), weight.shape())));
            }
        }
        if !matches!(activation, Activation::Identity | Activation::Relu) {
            return Err(Error::op(op, format!("it cannot apply {activation:?} itself; apply it to the result")));
        }
        let mut dims = [0; MAX_RANK];
        dims[..2].copy_from_slice(&[shape.n(), shape.c_out()]);
        dims[2..2 + spatial].copy_from_slice(&[shape.out_h(), shape.out_w()][2 - spatial..]);
        let at = Layout::channels_last(Shape::checked(&dims[..2 + spatial])?);

        let x = self.channels_last()?;
        let device = self.device();
        let (wide_x, wide_weight) = (wide(&x)?, wide(weight)?.in_order_of(&conv_weight_layout(weight.shape()))?);
        let wide_bias = bias.map(|bias| wide(bias)?.contiguous()).transpose()?;
        let y = Self::filled(device, wide_x.dtype(), at, |out| {
            let bias = wide_bias.as_ref().map(Self::arg);
            device.backend().conv(&shape, wide_x.arg(), wide_weight.arg(), bias, activation, out);
        })?;
        let y = narrowed(y, self.dtype())?;
        let tracked = records_gradients() && [Some(self), Some(weight), bias].iter().flatten().any(|t| t.tracks_grad());
        let kept = (tracked && activation == Activation::Relu).then(|| y.clone());
        let inputs: Vec<&Self> = [Some(&x), Some(weight), bias].into_iter().flatten().collect();
        Ok(record(&inputs, y, || ConvRule {
            op,
            shape,
            x: x.clone(),
            weight: weight.clone(),
            bias: bias.is_some(),
            kept,
        }))
    }
}

/// The sizes of a convolution of images of shape `x` [n, in, height, width] with a weight [out, in / groups, kernel
/// height, kernel width].
///
/// # Errors
/// Shapes that do not fit; the message names both.
pub fn conv2d_shape(x: Shape, weight: Shape, options: ConvOptions) -> Result<ConvShape> {
    fitted("conv2d", 2, &x, &weight, options)
}

/// The checked sizes for an input and a weight of `spatial` axes besides batch and channels.
fn fitted(op: &'static str, spatial: usize, x: &Shape, weight: &Shape, options: ConvOptions) -> Result<ConvShape> {
    let faulty = |why: String| Error::op(op, format!("input {x} does not fit weight {weight}: {why}"));
    if x.rank() != 2 + spatial || weight.rank() != 2 + spatial {
        return Err(faulty(format!("both must have {} axes", 2 + spatial)));
    }
    let plane = |dims: &[usize]| if spatial == 1 { [1, dims[2]] } else { [dims[2], dims[3]] };
    let ([n, c], [out, per_group]) = ([x.dims()[0], x.dims()[1]], [weight.dims()[0], weight.dims()[1]]);
    let ([h, w], [kh, kw]) = (plane(x.dims()), plane(weight.dims()));
    if options.groups > 0 && per_group * options.groups != c {
        return Err(faulty(format!(
            "the input has {c} channels, the weight takes {per_group} in each of {} groups",
            options.groups
        )));
    }
    ConvShape::new([n, h, w, c], [out, kh, kw], options).map_err(|error| match error {
        Error::Invalid(faults) => {
            let all: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
            faulty(all.join("; "))
        }
        other => other,
    })
}
