//! The fully connected layer.

use super::module::{Layer, Module, Slot, Visitor};
use super::{Init, InitRng, Param};
use crate::compute::{Activation, Device, Layout};
use crate::error::Result;
use crate::tensor::Tensor;

/// x Wᵀ + b: the weight is [out, in], the bias `[out]`, the input [.., in]. The weight lies in memory with its outputs
/// fastest, which is the order products read it in.
#[derive(Debug, Clone)]
pub struct Linear {
    /// [out, in]
    pub weight: Param,
    /// `[out]`
    pub bias: Option<Param>,
}

impl Linear {
    /// With bias; values drawn as torch does: uniform within ± 1/√in.
    ///
    /// # Errors
    /// No memory is left.
    pub fn new(inputs: usize, outputs: usize, device: &Device, rng: &mut InitRng) -> Result<Self> {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        let weight = Self::draw(inputs, outputs, Init::KaimingUniform(5f64.sqrt()), device, rng)?;
        let bias = Init::Uniform(-bound, bound).draw([outputs], (inputs, outputs), rng.key(), device)?;
        Ok(Self { weight: Param::new(&weight), bias: Some(Param::new(&bias)) })
    }

    /// With weights drawn by `init` and a bias of zeros, or none.
    ///
    /// # Errors
    /// No memory is left.
    pub fn with_init(
        inputs: usize,
        outputs: usize,
        bias: bool,
        init: Init,
        device: &Device,
        rng: &mut InitRng,
    ) -> Result<Self> {
        let weight = Param::new(&Self::draw(inputs, outputs, init, device, rng)?);
        let zeros = || Init::Constant(0.0).draw([outputs], (inputs, outputs), crate::rng::Key([0, 0]), device);
        Ok(Self { weight, bias: bias.then(zeros).transpose()?.as_ref().map(Param::new) })
    }

    fn draw(inputs: usize, outputs: usize, init: Init, device: &Device, rng: &mut InitRng) -> Result<Tensor> {
        let layout = Layout::ordered([outputs, inputs].into(), &[1, 0]);
        init.draw_as(&layout, (inputs, outputs), rng.key(), device)
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(Param::tensor);
        x.linear(&self.weight.tensor(), bias.as_ref(), Activation::Identity)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor("weight", Slot::Param(&self.weight));
        if let Some(bias) = &self.bias {
            visitor("bias", Slot::Param(bias));
        }
    }

    fn layer(&self) -> Layer<'_> {
        Layer::Linear(self)
    }

    fn forward_activated(&self, x: &Tensor, activation: Activation) -> Option<Result<Tensor>> {
        let bias = self.bias.as_ref().map(Param::tensor);
        Some(x.linear(&self.weight.tensor(), bias.as_ref(), activation))
    }
}
