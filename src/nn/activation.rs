//! Activations as layers.

use super::module::Module;
use crate::compute::{Activation, Unary};
use crate::error::Result;
use crate::tensor::Tensor;

macro_rules! activation {
    ($($(#[$doc:meta])* $name:ident => $op:expr, $fused:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name;

        impl Module for $name {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.unary($op)
            }
            fn activation(&self) -> Option<Activation> {
                $fused
            }
        }
    )*};
}
activation! {
    /// max(x, 0)
    Relu => Unary::Relu, Some(Activation::Relu);
    /// x Φ(x), with the error function (Hendrycks & Gimpel 2016)
    Gelu => Unary::GeluErf, None;
    /// The tanh form of GELU (Hendrycks & Gimpel 2016)
    GeluTanh => Unary::GeluTanh, Some(Activation::GeluTanh);
    /// Hyperbolic tangent
    Tanh => Unary::Tanh, None;
    /// 1/(1 + e⁻ˣ)
    Sigmoid => Unary::Sigmoid, None;
    /// x / (1 + e⁻ˣ)
    Silu => Unary::Silu, None;
    /// ln(1 + eˣ)
    Softplus => Unary::Softplus, None;
}

/// x where x > 0, else a x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakyRelu(
    /// The slope a below zero; torch's default is 0.01.
    pub f64,
);

impl Module for LeakyRelu {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.unary(Unary::LeakyRelu { slope: self.0 })
    }
}

/// x where x > 0, else a (eˣ - 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Elu(
    /// The factor a below zero; torch's default is 1.
    pub f64,
);

impl Module for Elu {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.unary(Unary::Elu { alpha: self.0 })
    }
}
