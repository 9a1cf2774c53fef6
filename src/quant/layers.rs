//! Layers that multiply bytes.

use crate::compute::{Activation, DType, Device, Layout, QuantWeight, Quantised};
use crate::error::{Error, Result};
use crate::nn::{Conv2d, Linear, Module};
use crate::tensor::Tensor;
use crate::tensor::ops::check_device;

/// Weights rounded to signed bytes, one scale for each output channel: w ≈ scale q, |q| <= 127.
#[derive(Debug, Clone)]
struct Weights {
    /// [inputs, outputs] row-major.
    bytes: Tensor,
    /// Sum of each column.
    sums: Tensor,
    scales: Tensor,
    bias: Option<Tensor>,
    input: Quantised,
    activation: Activation,
}

impl Weights {
    /// From a matrix [outputs, inputs].
    fn new(
        matrix: &[f32],
        [outputs, inputs]: [usize; 2],
        bias: Option<Tensor>,
        input: Quantised,
        activation: Activation,
        device: &Device,
    ) -> Result<Self> {
        let mut bytes = vec![0i8; inputs * outputs];
        let (mut scales, mut sums) = (vec![0f32; outputs], vec![0i32; outputs]);
        for (o, row) in matrix.chunks_exact(inputs).enumerate() {
            let largest = row.iter().fold(0f32, |m, w| m.max(w.abs()));
            if !largest.is_finite() {
                return Err(Error::op("quantise", format!("the weights of output {o} are not finite")));
            }
            let scale = (largest / 127.0).max(1e-12);
            scales[o] = scale;
            for (i, w) in row.iter().enumerate() {
                let byte = (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
                bytes[i * outputs + o] = byte;
                sums[o] += i32::from(byte);
            }
        }
        Ok(Self {
            bytes: Tensor::new(&bytes, [inputs, outputs], device)?,
            sums: Tensor::new(&sums, [outputs], device)?,
            scales: Tensor::new(&scales, [outputs], device)?,
            bias,
            input,
            activation,
        })
    }

    fn weight(&self) -> QuantWeight<'_> {
        QuantWeight {
            bytes: self.bytes.arg(),
            sums: self.sums.arg(),
            scales: self.scales.arg(),
            bias: self.bias.as_ref().map(Tensor::arg),
            input: self.input,
            activation: self.activation,
        }
    }

    /// The input as bytes, in the order it lies in memory.
    fn bytes_of(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.detach().to_dtype(DType::F32)?;
        let device = x.device();
        let layout = x.layout().dense_like();
        Tensor::filled(device, DType::U8, layout, |out| device.backend().quantise(x.arg(), self.input, out))
    }

    /// Bytes of weights and scales.
    fn size(&self) -> usize {
        self.bytes.len() + 4 * (self.scales.len() + self.bias.as_ref().map_or(0, Tensor::len))
    }
}

/// [`Linear`] on bytes, with the activation that follows it. For inference: no gradient flows through.
#[derive(Debug, Clone)]
pub struct QuantLinear {
    weights: Weights,
}

impl QuantLinear {
    /// A linear layer rounded, for inputs in the range of `input`.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn new(layer: &Linear, input: Quantised, activation: Activation) -> Result<Self> {
        let weight = layer.weight.value().to_dtype(DType::F32)?;
        let bias = layer.bias.as_ref().map(|bias| bias.value().to_dtype(DType::F32)).transpose()?;
        let [outputs, inputs] = [weight.dims()[0], weight.dims()[1]];
        let matrix: Vec<f32> = weight.to_vec()?;
        let weights = Weights::new(&matrix, [outputs, inputs], bias, input, activation, weight.device())?;
        Ok(Self { weights })
    }

    /// Bytes of weights, scales and bias.
    pub fn size(&self) -> usize {
        self.weights.size()
    }
}

impl Module for QuantLinear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [inputs, outputs] = [self.weights.bytes.dims()[0], self.weights.bytes.dims()[1]];
        if x.shape().last() != inputs || x.shape().rank() == 0 {
            return Err(Error::op(
                "QuantLinear",
                format!("input {} does not fit a weight of {inputs} inputs and {outputs} outputs", x.shape()),
            ));
        }
        check_device("QuantLinear", x, &self.weights.bytes)?;
        let mut dims = x.dims().to_vec();
        *dims.last_mut().unwrap_or(&mut 0) = outputs;
        let rows = x.shape().rows();
        let bytes = self.weights.bytes_of(&x.detach().contiguous()?.reshape([rows, inputs])?)?;
        let device = x.device();
        let y = Tensor::filled(device, DType::F32, Layout::row_major([rows, outputs].into()), |out| {
            device.backend().quant_product(bytes.arg(), &self.weights.weight(), out);
        })?;
        y.reshape(dims.as_slice())
    }
}

/// [`Conv2d`] on bytes, with the activation that follows it. For inference: no gradient flows through.
#[derive(Debug, Clone)]
pub struct QuantConv2d {
    weights: Weights,
    layer: Conv2d,
}

impl QuantConv2d {
    /// A convolution rounded, for inputs in the range of `input`.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn new(layer: &Conv2d, input: Quantised, activation: Activation) -> Result<Self> {
        let weight = layer.weight.value().to_dtype(DType::F32)?;
        let bias = layer.bias.as_ref().map(|bias| bias.value().to_dtype(DType::F32)).transpose()?;
        // Rows of one output channel in the order of the kernel's taps: height, width, channel.
        let outputs = weight.dims()[0];
        let matrix: Vec<f32> = weight.permute(&[0, 2, 3, 1])?.to_vec()?;
        let inputs = matrix.len() / outputs;
        let weights = Weights::new(&matrix, [outputs, inputs], bias, input, activation, weight.device())?;
        Ok(Self { weights, layer: layer.clone() })
    }

    /// Bytes of weights, scales and bias.
    pub fn size(&self) -> usize {
        self.weights.size()
    }
}

impl Module for QuantConv2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        check_device("QuantConv2d", x, &self.weights.bytes)?;
        let shape = self.layer.sizes(x)?;
        let bytes = self.weights.bytes_of(&x.detach().channels_last()?)?;
        let device = x.device();
        let out = [shape.n(), shape.c_out(), shape.out_h(), shape.out_w()];
        Tensor::filled(device, DType::F32, Layout::channels_last(out.into()), |out| {
            device.backend().quant_conv(&shape, bytes.arg(), &self.weights.weight(), out);
        })
    }
}
