//! Layer normalisation.

use super::Param;
use super::module::{Module, Slot, Visitor};
use crate::compute::{DType, Device};
use crate::error::Result;
use crate::tensor::Tensor;

/// Normalisation over the last axes; see [`Tensor::layer_norm`].
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// Lengths of the last axes.
    pub shape: Vec<usize>,
    /// Factors, of that shape; first 1.
    pub weight: Option<Param>,
    /// Terms, of that shape; first 0.
    pub bias: Option<Param>,
    /// Added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// With weight and bias, and torch's default for `eps`, 1e-5.
    ///
    /// # Errors
    /// No memory is left.
    pub fn new(shape: &[usize], device: &Device) -> Result<Self> {
        let weight = Param::new(&Tensor::ones(shape, DType::F32, device)?);
        let bias = Param::new(&Tensor::zeros(shape, DType::F32, device)?);
        Ok(Self { weight: Some(weight), bias: Some(bias), ..Self::plain(shape) })
    }

    /// Without weight and bias.
    pub fn plain(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), weight: None, bias: None, eps: 1e-5 }
    }

    /// With another `eps`.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.weight.as_ref().map(Param::tensor), self.bias.as_ref().map(Param::tensor));
        x.layer_norm(&self.shape, weight.as_ref(), bias.as_ref(), self.eps)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        if let Some(weight) = &self.weight {
            visitor("weight", Slot::Param(weight));
        }
        if let Some(bias) = &self.bias {
            visitor("bias", Slot::Param(bias));
        }
    }
}
