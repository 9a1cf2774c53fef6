//! Keeping gradients of 16-bit training in range.

use super::clip::NonFinite;
use super::optimizer::{Optimizer, StepOptions, StepReport};
use crate::error::{Error, Result};
use crate::tensor::{Gradients, Tensor};

/// Multiplies the loss, so that small gradients do not vanish in `f16`, and undoes it in the optimizer's step; finds the
/// factor by itself.
///
/// Where gradients are not finite, the step is skipped and the factor multiplied by `backoff`; after `interval` steps in
/// a row without that, it is multiplied by `growth`. Undoing takes no pass over the gradients, and looking for what is
/// not finite is the same pass that computes their norm. Micikevicius et al. (2018), "Mixed precision training",
/// arXiv:1710.03740.
///
/// ```
/// # use tessera::{compute::Device, nn::{InitRng, Linear, Module}, tensor::Tensor};
/// use tessera::optim::{Adam, LossScale, Method};
/// # let model = Linear::new(2, 1, &Device::cpu(), &mut InitRng::new(1))?;
/// # let x = Tensor::new(&[1f32, 2.0], [1, 2], &Device::cpu())?;
/// let mut optimizer = Adam::default().over(model.parameters())?;
/// let mut scale = LossScale::default();
/// let loss = model.forward(&x)?.square()?.mean_all()?;
/// let gradients = scale.apply(&loss)?.backward()?;
/// let report = scale.step(&mut optimizer, &gradients)?;
/// assert!(!report.skipped);
/// # Ok::<(), tessera::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LossScale {
    /// What the scale is multiplied by after `interval` good steps in a row; default 2.
    pub growth: f64,
    /// What the scale is multiplied by after gradients that are not finite; default 0.5.
    pub backoff: f64,
    /// Good steps in a row before the scale grows; default 2000.
    pub interval: u64,
    /// Smallest scale; default 1.
    pub floor: f64,
    /// Largest scale; default 2²⁴.
    pub ceiling: f64,
    /// What it has found so far; save it, and set it again to go on.
    pub state: LossScaleState,
}

/// What a [`LossScale`] has found so far: plain data to save and restore.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScaleState {
    /// What the loss is multiplied by.
    pub scale: f64,
    /// Good steps since the scale last changed.
    pub good_steps: u64,
    /// Steps skipped so far.
    pub skipped: u64,
}

impl Default for LossScale {
    /// Begins at 65536.
    fn default() -> Self {
        Self {
            growth: 2.0,
            backoff: 0.5,
            interval: 2000,
            floor: 1.0,
            ceiling: 16_777_216.0,
            state: LossScaleState { scale: 65_536.0, good_steps: 0, skipped: 0 },
        }
    }
}

impl LossScale {
    /// Begins at `scale`.
    ///
    /// # Errors
    /// The scale is not above 0 and finite.
    pub fn new(scale: f64) -> Result<Self> {
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::Usage(format!(
                "a loss cannot be scaled by {scale}; the scale must be above 0 and finite"
            )));
        }
        Ok(Self { state: LossScaleState { scale, good_steps: 0, skipped: 0 }, ..Self::default() })
    }

    /// What the loss is multiplied by now.
    pub fn scale(&self) -> f64 {
        self.state.scale
    }

    /// Steps skipped so far.
    pub fn skipped(&self) -> u64 {
        self.state.skipped
    }

    /// The loss to call `backward` on.
    ///
    /// # Errors
    /// No memory is left.
    pub fn apply(&self, loss: &Tensor) -> Result<Tensor> {
        loss.mul_scalar(self.state.scale)
    }

    /// Steps `optimizer` with gradients of a loss from [`LossScale::apply`], or skips the step where they are not
    /// finite, and adapts the scale.
    ///
    /// # Errors
    /// As [`Optimizer::step_with`].
    pub fn step(&mut self, optimizer: &mut dyn Optimizer, gradients: &Gradients) -> Result<StepReport> {
        self.step_with(optimizer, gradients, StepOptions::default())
    }

    /// [`LossScale::step`] with options; `grad_scale` goes on top of undoing the scale. Gradients that are not finite are
    /// skipped whatever the options say.
    ///
    /// # Errors
    /// As [`Optimizer::step_with`].
    pub fn step_with(
        &mut self,
        optimizer: &mut dyn Optimizer,
        gradients: &Gradients,
        options: StepOptions,
    ) -> Result<StepReport> {
        let grad_scale = options.grad_scale / self.state.scale;
        let report = optimizer.step_with(gradients, StepOptions { grad_scale, non_finite: Some(NonFinite::Skip) })?;
        self.note(report.skipped);
        Ok(report)
    }

    /// Adapts the scale after a step.
    fn note(&mut self, skipped: bool) {
        let state = &mut self.state;
        if skipped {
            state.skipped += 1;
            state.good_steps = 0;
            state.scale = (state.scale * self.backoff).max(self.floor);
            return;
        }
        state.good_steps += 1;
        if state.good_steps >= self.interval {
            state.good_steps = 0;
            // Also where the floor or a loaded scale lies above the ceiling, good steps make nothing smaller.
            state.scale = (state.scale * self.growth).min(self.ceiling.max(state.scale));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_falls_at_once_and_grows_slowly() {
        let mut scale = LossScale { interval: 3, floor: 8192.0, ceiling: 131_072.0, ..LossScale::default() };
        let mut after = |skipped: bool| {
            scale.note(skipped);
            scale.scale()
        };
        assert_eq!([after(true), after(false), after(false)], [32_768.0; 3]);
        assert_eq!(after(false), 65_536.0);
        assert_eq!([after(false), after(false), after(true)], [65_536.0, 65_536.0, 32_768.0]);
        // Good steps must be in a row.
        assert_eq!([after(false), after(false), after(false)], [32_768.0, 32_768.0, 65_536.0]);
        assert_eq!([after(false), after(false), after(false)], [65_536.0, 65_536.0, 131_072.0]);
        assert_eq!([after(false), after(false), after(false)], [131_072.0; 3]);
        assert_eq!([after(true), after(true), after(true), after(true), after(true)][4], 8192.0);
        assert_eq!(scale.skipped(), 7);
        let other = LossScale { state: scale.state, ..LossScale::default() };
        assert_eq!((other.scale(), other.skipped()), (8192.0, 7));
        assert!(LossScale::new(0.0).is_err() && LossScale::new(f64::INFINITY).is_err());
    }
}
