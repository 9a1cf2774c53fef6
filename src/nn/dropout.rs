//! Dropout.

use super::InitRng;
use super::module::Module;
use crate::error::{Error, Result};
use crate::rng::{Key, Purpose};
use crate::tensor::Tensor;
use crate::tensor::autograd::draw_number;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// In training, every element set to 0 with probability `rate` and the others divided by `1 - rate`; in inference, after
/// [`Module::set_training`], the identity. Every forward pass draws anew; a segment that is computed again for its
/// gradient draws the same. A clone is the same layer.
#[derive(Debug, Clone)]
pub struct Dropout {
    rate: f64,
    key: Key,
    draws: Arc<AtomicU64>,
    training: Arc<AtomicBool>,
}

impl Dropout {
    /// With draws of a stream of its own from `rng`.
    ///
    /// # Errors
    /// A rate outside of 0 to 1.
    pub fn new(rate: f64, rng: &mut InitRng) -> Result<Self> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(Error::op("Dropout", format!("the rate is {rate}; allowed are 0 to 1")));
        }
        let (draws, training) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
        Ok(Self { rate, key: rng.key(), draws, training })
    }

    /// Number of forward passes so far: with the seed, all that the next draw depends on.
    pub fn draws(&self) -> u64 {
        self.draws.load(Ordering::Relaxed)
    }

    /// Goes on as after that many forward passes.
    pub fn set_draws(&self, draws: u64) {
        self.draws.store(draws, Ordering::Relaxed);
    }
}

impl Module for Dropout {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !self.training.load(Ordering::Relaxed) || self.rate == 0.0 {
            return Ok(x.clone());
        }
        let [low, high] = self.key.0;
        let seed = u64::from(low) | u64::from(high) << 32;
        x.dropout(self.rate, Key::new(seed, Purpose::Dropout, draw_number(&self.draws)))
    }

    fn set_training(&self, training: bool) {
        self.training.store(training, Ordering::Relaxed);
    }
}
