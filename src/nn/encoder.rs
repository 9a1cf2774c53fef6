//! Numbers as spikes: from [..] to [T, ..], time first. No gradient flows back through an encoder.

use super::module::Module;
use crate::compute::{Compare, DType, Shape};
use crate::error::{Error, Result};
use crate::rng::{Key, Purpose};
use crate::tensor::Tensor;
use crate::tensor::autograd::draw_number;
use std::sync::atomic::AtomicU64;

/// Rates: each number x is a spike train in which every step has a spike with probability
/// `1 - exp(-x max_rate dt / 1000)`, that of a Poisson process of rate `x max_rate` to have at least one event in the
/// step. Numbers of 0 and below never spike.
///
/// Every call draws anew, from streams of the seed: the k-th call gives the same spikes in every run of a program,
/// whatever the number of threads.
#[derive(Debug)]
pub struct PoissonEncoder {
    steps: usize,
    /// Events expected in a step for x = 1.
    per_step: f64,
    seed: u64,
    calls: AtomicU64,
}

impl PoissonEncoder {
    /// `steps` steps of `dt` ms, with `max_rate` Hz for a number of 1.
    ///
    /// # Errors
    /// A rate below 0 or a time step that is not above 0.
    pub fn new(steps: usize, max_rate: f64, dt: f64, seed: u64) -> Result<Self> {
        let allowed = max_rate >= 0.0 && max_rate.is_finite() && dt > 0.0 && dt.is_finite();
        if !allowed {
            return Err(Error::op(
                "poisson_encoder",
                format!("a rate of {max_rate} Hz in steps of {dt} ms; the rate must be 0 or above, the step above 0"),
            ));
        }
        Ok(Self { steps, per_step: max_rate * dt / 1000.0, seed, calls: AtomicU64::new(0) })
    }

    /// The spikes of `x` under a key: element i of the result depends on the key, i and its own number only.
    ///
    /// # Errors
    /// More axes than tensors may have, or no memory is left.
    pub fn encode(&self, x: &Tensor, key: Key) -> Result<Tensor> {
        let probability = x.detach().to_dtype(DType::F32)?.mul_scalar(-self.per_step)?.exp()?.neg()?.add_scalar(1.0)?;
        let mut dims = vec![self.steps];
        dims.extend(x.dims());
        let draws = Tensor::uniform(0.0, 1.0, Shape::checked(&dims)?, key, x.device())?;
        draws.compare(&probability, Compare::Lt)?.to_dtype(x.dtype())
    }
}

impl Module for PoissonEncoder {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.encode(x, Key::new(self.seed, Purpose::Encode, draw_number(&self.calls)))
    }
}

/// When a [`LatencyEncoder`] puts the spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Step `round((1 - x) (T - 1))`: the first for x = 1, the last for 0.
    Linear,
    /// When a leaky integrator with time constant `tau_m` (ms), driven by the constant x, first passes the encoder's
    /// threshold θ: at `tau_m ln(x / (x - θ))`, in steps of `dt` (ms), rounded down. Those later than the last step are
    /// left out. Zenke & Vogels (2021), Neural Computation 33:899-925.
    Charging {
        /// Time constant, ms.
        tau_m: f64,
        /// Time step, ms.
        dt: f64,
    },
}

/// Latencies: each number above a threshold is a single spike, the earlier the larger the number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyEncoder {
    /// Number of steps.
    pub steps: usize,
    /// Numbers up to this one are silent.
    pub threshold: f64,
    /// When the spike comes.
    pub latency: Latency,
}

impl Module for LatencyEncoder {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        const OP: &str = "latency_encoder";
        if self.steps == 0 || self.steps > i32::MAX as usize {
            return Err(Error::op(OP, format!("{} steps; there must be at least one", self.steps)));
        }
        let x = x.detach();
        let wide = x.to_dtype(DType::F64)?;
        let step = match self.latency {
            Latency::Linear => {
                let last = (self.steps - 1) as f64;
                wide.clamp(0.0, 1.0)?.mul_scalar(-last)?.add_scalar(last + 0.5)?
            }
            Latency::Charging { tau_m, dt } => {
                if !(self.threshold > 0.0 && tau_m > 0.0 && dt > 0.0) {
                    let given = format!("threshold {}, tau_m {tau_m} ms, dt {dt} ms", self.threshold);
                    return Err(Error::op(OP, format!("{given}: all must be above 0")));
                }
                wide.div(&wide.add_scalar(-self.threshold)?)?.ln()?.mul_scalar(tau_m / dt)?
            }
        };
        let scalar = |value: f64, dtype| Tensor::full(value, Shape::SCALAR, dtype, x.device());
        // In the type of the numbers, so that one that equals the threshold is silent.
        let loud = x.compare(&scalar(self.threshold, x.dtype())?, Compare::Gt)?;
        let step = loud.select_where(&step.to_dtype(DType::I32)?, &scalar(-1.0, DType::I32)?)?;
        let clock: Vec<i32> = (0..self.steps as i32).collect();
        let mut dims = vec![1; x.shape().rank() + 1];
        dims[0] = self.steps;
        let clock = Tensor::new(&clock, Shape::checked(&dims)?, x.device())?;
        clock.compare(&step, Compare::Eq)?.to_dtype(x.dtype())
    }
}

/// The same input in every step: a constant current. Takes no memory for time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConstantEncoder {
    /// Number of steps.
    pub steps: usize,
}

impl Module for ConstantEncoder {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut dims = vec![self.steps];
        dims.extend(x.dims());
        x.broadcast_to(Shape::checked(&dims)?)
    }
}
