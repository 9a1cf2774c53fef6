//! RMSprop.

use super::method::{Checker, Method, Sealed, hyperparameters};
use crate::compute::Rule;
use crate::error::Fault;

/// RMSprop; equations and defaults as `torch.optim.RMSprop`.
///
/// g ← g + weight_decay p
///
/// v ← α v + (1 - α) g²
///
/// centered: a ← a + (1 - α) (g - a), and v - a² stands in the place of v below; what rounding makes negative is 0 (torch
/// gives NaN)
///
/// d ← g / (√v + eps);  with momentum: b ← momentum b + d, d ← b
///
/// p ← p - lr d
///
/// | field | meaning | default |
/// |---|---|---|
/// | `lr` | learning rate | 10⁻² |
/// | `alpha` | share of v that stays | 0.99 |
/// | `eps` | added to the root | 10⁻⁸ |
/// | `weight_decay` | L2 penalty | 0 |
/// | `momentum` | share of b that stays; 0 keeps no b | 0 |
/// | `centered` | divide by the deviation of gradients rather than their mean square | `false` |
///
/// State: `square_avg` (v), `grad_avg` (a) where centered, `momentum_buffer` (b) with momentum. Tieleman & Hinton (2012),
/// lecture 6.5 of "Neural networks for machine learning"; centered: Graves (2013), arXiv:1308.0850.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean of squares that stays from step to step.
    pub alpha: f64,
    /// Added to the root.
    pub eps: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Share of the momentum buffer that stays.
    pub momentum: f64,
    /// Whether the mean of gradients is taken off.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { lr: 1e-2, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

impl Sealed for RmsProp {}

impl Method for RmsProp {
    const NAME: &'static str = "rmsprop";

    hyperparameters!(lr, alpha, eps, weight_decay, momentum; centered);

    fn state_names(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum != 0.0) {
            (false, false) => &["square_avg"],
            (true, false) => &["square_avg", "grad_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
        }
    }

    fn rule(&self, lr: f64, _: u64) -> Rule {
        Rule::RmsProp {
            rate: lr,
            decay: self.weight_decay,
            alpha: self.alpha,
            epsilon: self.eps,
            momentum: (self.momentum != 0.0).then_some(self.momentum),
            centered: self.centered,
        }
    }

    fn faults(&self) -> Vec<Fault> {
        Checker::new("RmsProp")
            .not_negative("lr", self.lr)
            .share("alpha", self.alpha)
            .not_negative("eps", self.eps)
            .not_negative("weight_decay", self.weight_decay)
            .not_negative("momentum", self.momentum)
            .faults()
    }
}
