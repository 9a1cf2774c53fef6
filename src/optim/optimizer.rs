//! What every optimizer does.

use super::clip::{Clip, NonFinite};
use super::state::OptimizerState;
use crate::error::Result;
use crate::nn::Param;
use crate::tensor::Gradients;

/// How one step treats the gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOptions {
    /// Every gradient is multiplied by this first: 1/n after n micro-batches, 1/s after the loss was multiplied by s.
    /// Costs no pass over memory of its own.
    pub grad_scale: f64,
    /// Whether to look for infinities and NaN among the gradients, and what to do if there are any. `None` leaves it to
    /// the optimizer's [`Clip`].
    pub non_finite: Option<NonFinite>,
}

impl Default for StepOptions {
    fn default() -> Self {
        Self { grad_scale: 1.0, non_finite: None }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepReport {
    /// Parameters that had a gradient and were stepped.
    pub updated: usize,
    /// Norm of all gradients together, after [`StepOptions::grad_scale`] and before clipping, where it was needed.
    pub norm: Option<f64>,
    /// Whether gradients were made smaller because of their norm.
    pub clipped: bool,
    /// Whether nothing was changed because gradients were not finite.
    pub skipped: bool,
}

/// Something that changes parameters given their gradients.
///
/// Parameters belong to groups, numbered from 0, with hyperparameters of their own. A parameter without a gradient, or
/// one that is frozen, is left alone with its state, as in torch.
pub trait Optimizer: Send + std::fmt::Debug {
    /// Steps every parameter that has a gradient. If it fails, nothing was changed.
    ///
    /// # Errors
    /// A gradient whose shape, element type or device is not its parameter's; gradients that are not finite, where that
    /// is asked about; no memory for state.
    fn step_with(&mut self, gradients: &Gradients, options: StepOptions) -> Result<StepReport>;

    /// [`Optimizer::step_with`] default options.
    ///
    /// # Errors
    /// As [`Optimizer::step_with`].
    fn step(&mut self, gradients: &Gradients) -> Result<StepReport> {
        self.step_with(gradients, StepOptions::default())
    }

    /// All parameters, group by group.
    fn params(&self) -> &[Param];

    /// Number of groups.
    fn groups(&self) -> usize;

    /// Learning rate of a group, without [`Optimizer::lr_factor`].
    ///
    /// # Errors
    /// There is no such group.
    fn lr(&self, group: usize) -> Result<f64>;

    /// Sets the learning rate of a group.
    ///
    /// # Errors
    /// There is no such group, or the rate is negative or not finite.
    fn set_lr(&mut self, group: usize, lr: f64) -> Result<()>;

    /// Weight decay of a group.
    ///
    /// # Errors
    /// There is no such group.
    fn weight_decay(&self, group: usize) -> Result<f64>;

    /// Sets the weight decay of a group.
    ///
    /// # Errors
    /// There is no such group, or the decay is negative or not finite.
    fn set_weight_decay(&mut self, group: usize, weight_decay: f64) -> Result<()>;

    /// What all learning rates are multiplied by; 1 at first.
    fn lr_factor(&self) -> f64;

    /// Sets what all learning rates are multiplied by: the value of a [`Schedule`](super::Schedule).
    ///
    /// # Errors
    /// The factor is negative or not finite.
    fn set_lr_factor(&mut self, factor: f64) -> Result<()>;

    /// How gradients are clipped.
    fn clip(&self) -> Clip;

    /// Sets how gradients are clipped.
    ///
    /// # Errors
    /// The bound is not above zero.
    fn set_clip(&mut self, clip: Clip) -> Result<()>;

    /// Everything that going on later takes, besides the parameters. A snapshot: later steps do not change it.
    fn state(&self) -> OptimizerState;

    /// Goes on from a state: hyperparameters, step counts and tensors become those saved. If it fails, nothing was
    /// changed.
    ///
    /// # Errors
    /// The state is of another method, or its groups or tensors do not fit the parameters; all that does not fit is named.
    fn load_state(&mut self, state: &OptimizerState) -> Result<()>;
}
