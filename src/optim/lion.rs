//! Lion.

use super::method::{Checker, Method, Sealed, hyperparameters};
use crate::compute::Rule;
use crate::error::Fault;

/// Lion: steps of one size along the sign of an interpolated gradient.
///
/// p ← (1 - lr weight_decay) p - lr sign(β₁ m + (1 - β₁) g)
///
/// m ← β₂ m + (1 - β₂) g
///
/// | field | meaning | default |
/// |---|---|---|
/// | `lr` | learning rate; the paper advises a third to a tenth of AdamW's | 10⁻⁴ |
/// | `beta1` | share of m in the sign | 0.9 |
/// | `beta2` | share of m that stays | 0.99 |
/// | `weight_decay` | decay of the parameter per step, over the learning rate | 0 |
///
/// State: `exp_avg` (m). Chen et al. (2023), "Symbolic discovery of optimization algorithms", arXiv:2302.06675.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lion {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean of gradients in the sign.
    pub beta1: f64,
    /// Share of the mean of gradients that stays from step to step.
    pub beta2: f64,
    /// Decay of the parameter per step, over the learning rate.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Self { lr: 1e-4, beta1: 0.9, beta2: 0.99, weight_decay: 0.0 }
    }
}

impl Sealed for Lion {}

impl Method for Lion {
    const NAME: &'static str = "lion";

    hyperparameters!(lr, beta1, beta2, weight_decay;);

    fn state_names(&self) -> &'static [&'static str] {
        &["exp_avg"]
    }

    fn rule(&self, lr: f64, _: u64) -> Rule {
        Rule::Lion { rate: lr, shrink: 1.0 - lr * self.weight_decay, beta1: self.beta1, beta2: self.beta2 }
    }

    fn faults(&self) -> Vec<Fault> {
        Checker::new("Lion")
            .not_negative("lr", self.lr)
            .share("beta1", self.beta1)
            .share("beta2", self.beta2)
            .not_negative("weight_decay", self.weight_decay)
            .faults()
    }
}
