//! First values of parameters.

use crate::compute::{Device, Layout, Shape};
use crate::error::Result;
use crate::rng::{Key, Purpose};
use crate::tensor::Tensor;

/// Hands out one stream of random numbers for each parameter, in the order they are made. The values of a parameter
/// depend on the seed and on how many were made before it, not on threads.
#[derive(Debug, Clone)]
pub struct InitRng {
    seed: u64,
    next: u64,
}

impl InitRng {
    /// Streams of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    /// The key of the next stream.
    pub fn key(&mut self) -> Key {
        self.next += 1;
        Key::new(self.seed, Purpose::Parameter, self.next - 1)
    }
}

/// How the first values are drawn. `fan_in` and `fan_out` are the numbers of inputs and outputs of one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every value this number.
    Constant(f64),
    /// Uniform between two bounds.
    Uniform(f64, f64),
    /// Normal with mean and standard deviation.
    Normal(f64, f64),
    /// Uniform within ± √(6 / ((1 + a²) fan_in)), for units with leaky ReLU of slope a (0 for ReLU); a = √5 is torch's
    /// default for linear and convolutional layers. He, Zhang, Ren & Sun (2015), arXiv:1502.01852.
    KaimingUniform(f64),
    /// Normal with standard deviation √(2 / ((1 + a²) fan_in)). He et al. (2015).
    KaimingNormal(f64),
    /// Uniform within ± √(6 / (fan_in + fan_out)). Glorot & Bengio (2010).
    XavierUniform,
    /// Normal with standard deviation √(2 / (fan_in + fan_out)). Glorot & Bengio (2010).
    XavierNormal,
}

impl Init {
    /// Draws a tensor of `shape` whose elements lie as `layout` orders them. Element i in row-major order of the shape
    /// depends on the key and i only.
    ///
    /// # Errors
    /// No memory is left.
    pub fn draw(self, shape: impl Into<Shape>, fans: (usize, usize), key: Key, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        let (fan_in, fan_out) = (fans.0.max(1) as f64, fans.1.max(1) as f64);
        let uniform = |bound: f64| Tensor::uniform(-bound, bound, shape, key, device);
        let normal = |std: f64| Tensor::normal(0.0, std, shape, key, device);
        match self {
            Self::Constant(value) => Tensor::full(value, shape, crate::compute::DType::F32, device),
            Self::Uniform(low, high) => Tensor::uniform(low, high, shape, key, device),
            Self::Normal(mean, std) => Tensor::normal(mean, std, shape, key, device),
            Self::KaimingUniform(a) => uniform((6.0 / ((1.0 + a * a) * fan_in)).sqrt()),
            Self::KaimingNormal(a) => normal((2.0 / ((1.0 + a * a) * fan_in)).sqrt()),
            Self::XavierUniform => uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Self::XavierNormal => normal((2.0 / (fan_in + fan_out)).sqrt()),
        }
    }

    /// The same, stored in the order of `layout`.
    ///
    /// # Errors
    /// No memory is left.
    pub(crate) fn draw_as(self, layout: &Layout, fans: (usize, usize), key: Key, device: &Device) -> Result<Tensor> {
        self.draw(layout.shape, fans, key, device)?.in_order_of(layout)
    }
}
