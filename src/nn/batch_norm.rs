//! Batch normalisation.

use super::module::{Module, Slot, Visitor};
use super::{Param, State};
use crate::compute::{Activation, DType, Device};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::autograd::is_recomputing;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a batch normalisation is set up; the defaults are torch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance.
    pub eps: f64,
    /// Part of the new batch in the running statistics; `None` gives every batch the same part.
    pub momentum: Option<f64>,
    /// Whether there are weight and bias.
    pub affine: bool,
    /// Whether statistics are kept for inference; without them, inference uses those of its batch.
    pub running: bool,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: Some(0.1), affine: true, running: true }
    }
}

/// Mean and variance of each channel over the batches of training.
#[derive(Debug, Clone)]
pub struct RunningStatistics {
    /// `[channels]`
    pub mean: State,
    /// `[channels]`; unbiased.
    pub var: State,
    /// Number of batches, one `i32`.
    pub batches: State,
}

impl RunningStatistics {
    fn new(channels: usize, device: &Device) -> Result<Self> {
        Ok(Self {
            mean: State::new(&Tensor::zeros([channels], DType::F32, device)?),
            var: State::new(&Tensor::ones([channels], DType::F32, device)?),
            batches: State::new(&Tensor::scalar(0i32, device)?),
        })
    }

    /// Takes in the moments of a batch of `count` elements to a channel.
    fn add(&self, mean: &Tensor, var: &Tensor, count: usize, momentum: Option<f64>) -> Result<()> {
        let batches = self.batches.value().add_scalar(1.0)?;
        let part = match momentum {
            Some(part) => part,
            None => 1.0 / batches.item()?,
        };
        let unbiased = count as f64 / (count as f64 - 1.0);
        let mix = |state: &State, new: &Tensor, factor: f64| {
            let old = state.value();
            let new = new.to_dtype(old.dtype())?.mul_scalar(part * factor)?;
            state.set(&old.mul_scalar(1.0 - part)?.add(&new)?)
        };
        mix(&self.mean, mean, 1.0)?;
        mix(&self.var, var, unbiased)?;
        self.batches.set(&batches)
    }
}

macro_rules! batch_norm {
    ($($name:ident, $op:literal, $ranks:pat, $shapes:literal;)*) => {$(
        #[doc = concat!("Normalisation of each channel over the batch, for inputs ", $shapes, "; see")]
        /// [`Tensor::batch_norm_train`]. In inference, after [`Module::set_training`], the statistics of the training are
        /// used. Segments that are computed again for their gradient do not count twice.
        #[derive(Debug, Clone)]
        pub struct $name {
            /// `[channels]`; first 1.
            pub weight: Option<Param>,
            /// `[channels]`; first 0.
            pub bias: Option<Param>,
            /// What inference uses.
            pub running: Option<RunningStatistics>,
            /// Set up.
            pub options: BatchNormOptions,
            training: Arc<AtomicBool>,
        }

        impl $name {
            /// For inputs of that many channels.
            ///
            /// # Errors
            /// No memory is left.
            pub fn new(channels: usize, options: BatchNormOptions, device: &Device) -> Result<Self> {
                let param = |value: f64| {
                    let first = || Tensor::full(value, [channels], DType::F32, device);
                    options.affine.then(first).transpose().map(|first| first.as_ref().map(Param::new))
                };
                let running = options.running.then(|| RunningStatistics::new(channels, device)).transpose()?;
                let training = Arc::new(AtomicBool::new(true));
                Ok(Self { weight: param(1.0)?, bias: param(0.0)?, running, options, training })
            }

            fn run(&self, x: &Tensor, rectify: bool) -> Result<Tensor> {
                if !matches!(x.shape().rank(), $ranks) {
                    return Err(Error::op($op, format!("needs an input {}, not {}", $shapes, x.shape())));
                }
                let (weight, bias) = (self.weight.as_ref().map(Param::tensor), self.bias.as_ref().map(Param::tensor));
                let (weight, bias, eps) = (weight.as_ref(), bias.as_ref(), self.options.eps);
                let training = self.training.load(Ordering::Relaxed);
                if let (false, Some(running)) = (training, &self.running) {
                    return x.batch_norm([&running.mean.value(), &running.var.value()], weight, bias, eps, rectify);
                }
                let normed = x.batch_norm_train(weight, bias, eps, rectify)?;
                if let (true, Some(running), false) = (training, &self.running, is_recomputing()) {
                    let count = x.len() / normed.mean.len();
                    running.add(&normed.mean, &normed.var, count, self.options.momentum)?;
                }
                Ok(normed.y)
            }
        }

        impl Module for $name {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                self.run(x, false)
            }

            fn visit(&self, visitor: &mut Visitor<'_>) {
                if let Some(weight) = &self.weight {
                    visitor("weight", Slot::Param(weight));
                }
                if let Some(bias) = &self.bias {
                    visitor("bias", Slot::Param(bias));
                }
                if let Some(running) = &self.running {
                    visitor("running_mean", Slot::State(&running.mean));
                    visitor("running_var", Slot::State(&running.var));
                    visitor("num_batches_tracked", Slot::State(&running.batches));
                }
            }

            fn set_training(&self, training: bool) {
                self.training.store(training, Ordering::Relaxed);
            }

            fn forward_activated(&self, x: &Tensor, activation: Activation) -> Option<Result<Tensor>> {
                (activation == Activation::Relu).then(|| self.run(x, true))
            }
        }
    )*};
}
batch_norm! {
    BatchNorm1d, "BatchNorm1d", 2 | 3, "[n, channels] or [n, channels, length]";
    BatchNorm2d, "BatchNorm2d", 4, "[n, channels, height, width]";
}
