//! Parameters that share hyperparameters.

use super::method::Method;
use crate::nn::Param;

/// Parameters with the method that steps them.
///
/// ```
/// # use tessera::{compute::Device, nn::{InitRng, Linear}};
/// use tessera::optim::{AdamW, Fused, ParamGroup};
/// # let layer = Linear::new(2, 2, &Device::cpu(), &mut InitRng::new(1))?;
/// let base = AdamW { lr: 3e-4, weight_decay: 0.1, ..AdamW::default() };
/// let optimizer = Fused::new([
///     ParamGroup::new([layer.weight.clone()], base),
///     ParamGroup::new(layer.bias.clone(), base).weight_decay(0.0),
/// ])?;
/// # Ok::<(), tessera::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ParamGroup<M> {
    /// The parameters.
    pub params: Vec<Param>,
    /// Equation and hyperparameters.
    pub method: M,
}

impl<M: Method> ParamGroup<M> {
    /// A group of parameters stepped by `method`.
    pub fn new(params: impl IntoIterator<Item = Param>, method: M) -> Self {
        Self { params: params.into_iter().collect(), method }
    }

    /// With another learning rate.
    #[must_use]
    pub fn lr(mut self, lr: f64) -> Self {
        self.method.set_lr(lr);
        self
    }

    /// With another weight decay.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.method.set_weight_decay(weight_decay);
        self
    }
}
