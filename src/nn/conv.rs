//! Convolutional layers.

use super::module::{Layer, Module, Slot, Visitor};
use super::{Init, InitRng, Param};
use crate::compute::{Activation, ConvOptions, ConvShape, Device};
use crate::error::{Error, Result};
use crate::tensor::{Conv1dOptions, Tensor, conv_weight_layout, conv2d_shape};

/// Weight and bias as torch draws them: both uniform within ± 1/√(inputs of a unit).
fn draw(
    op: &'static str,
    [inputs, outputs, groups]: [usize; 3],
    kernel: &[usize],
    bias: bool,
    device: &Device,
    rng: &mut InitRng,
) -> Result<(Param, Option<Param>)> {
    if groups == 0 || inputs % groups != 0 || outputs % groups != 0 || inputs * outputs == 0 {
        return Err(Error::op(
            op,
            format!("{inputs} input and {outputs} output channels cannot be cut into {groups} equal groups"),
        ));
    }
    if kernel.contains(&0) {
        return Err(Error::op(op, format!("a kernel of size {kernel:?} has no taps")));
    }
    let taps: usize = kernel.iter().product();
    let mut dims = vec![outputs, inputs / groups];
    dims.extend(kernel);
    let fan_in = inputs / groups * taps;
    let fans = (fan_in, outputs / groups * taps);
    let layout = conv_weight_layout(dims.as_slice());
    let weight = Init::KaimingUniform(5f64.sqrt()).draw_as(&layout, fans, rng.key(), device)?;
    let bound = 1.0 / (fan_in as f64).sqrt();
    let draw_bias = |rng: &mut InitRng| Init::Uniform(-bound, bound).draw([outputs], fans, rng.key(), device);
    let bias = bias.then(|| draw_bias(rng)).transpose()?;
    Ok((Param::new(&weight), bias.as_ref().map(Param::new)))
}

macro_rules! conv {
    ($(#[$doc:meta])* $name:ident, $op:literal, $call:ident, $options:ident, $n:literal, $weight:literal, $layer:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            #[doc = $weight]
            pub weight: Param,
            /// `[out]`
            pub bias: Option<Param>,
            /// Stride, padding, dilation and groups.
            pub options: $options,
        }

        impl $name {
            /// With bias; values drawn as torch does: uniform within ± 1/√(inputs of a unit).
            ///
            /// # Errors
            /// Channels that the groups do not divide, a kernel without taps, or no memory is left.
            pub fn new(
                inputs: usize,
                outputs: usize,
                kernel: [usize; $n],
                options: $options,
                device: &Device,
                rng: &mut InitRng,
            ) -> Result<Self> {
                let (weight, bias) = draw($op, [inputs, outputs, options.groups], &kernel, true, device, rng)?;
                Ok(Self { weight, bias, options })
            }

            /// The same without bias, as before a normalisation.
            ///
            /// # Errors
            /// As for `new`.
            pub fn without_bias(
                inputs: usize,
                outputs: usize,
                kernel: [usize; $n],
                options: $options,
                device: &Device,
                rng: &mut InitRng,
            ) -> Result<Self> {
                let (weight, bias) = draw($op, [inputs, outputs, options.groups], &kernel, false, device, rng)?;
                Ok(Self { weight, bias, options })
            }

            fn run(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
                let bias = self.bias.as_ref().map(Param::tensor);
                x.$call(&self.weight.tensor(), bias.as_ref(), self.options, activation)
            }
        }

        impl Module for $name {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                self.run(x, Activation::Identity)
            }

            fn visit(&self, visitor: &mut Visitor<'_>) {
                visitor("weight", Slot::Param(&self.weight));
                if let Some(bias) = &self.bias {
                    visitor("bias", Slot::Param(bias));
                }
            }

            fn layer(&self) -> Layer<'_> {
                $layer(self)
            }

            fn forward_activated(&self, x: &Tensor, activation: Activation) -> Option<Result<Tensor>> {
                matches!(activation, Activation::Identity | Activation::Relu).then(|| self.run(x, activation))
            }
        }
    };
}
conv! {
    /// Convolution of images [n, in, height, width]; see [`Tensor::conv2d`].
    ///
    /// ```
    /// use tessera::{compute::{ConvOptions, DType, Device}, nn::{Conv2d, InitRng, Module}, tensor::Tensor};
    /// let (device, mut rng) = (Device::cpu(), InitRng::new(1));
    /// let options = ConvOptions { padding: [2, 2], ..Default::default() };
    /// let layer = Conv2d::new(1, 6, [5, 5], options, &device, &mut rng)?;
    /// let x = Tensor::ones([64, 1, 28, 28], DType::F32, &device)?;
    /// assert_eq!(layer.forward(&x)?.dims(), [64, 6, 28, 28]);
    /// # Ok::<(), tessera::error::Error>(())
    /// ```
    Conv2d, "Conv2d", conv2d, ConvOptions, 2, "[out, in / groups, kernel height, kernel width]",
    Layer::Conv2d
}
conv! {
    /// Convolution of sequences [n, in, length]; see [`Tensor::conv1d`].
    Conv1d, "Conv1d", conv1d, Conv1dOptions, 1, "[out, in / groups, kernel]", |_| Layer::Other
}

impl Conv2d {
    /// The sizes of the convolution of an input [n, in, height, width].
    ///
    /// # Errors
    /// An input that does not fit; the message names both shapes.
    pub fn sizes(&self, x: &Tensor) -> Result<ConvShape> {
        conv2d_shape(x.shape(), self.weight.shape(), self.options)
    }
}
