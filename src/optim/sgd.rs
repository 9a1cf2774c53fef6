//! Stochastic gradient descent.

use super::method::{Checker, Method, Sealed, hyperparameters};
use crate::compute::Rule;
use crate::error::Fault;

/// Stochastic gradient descent, with momentum if asked for; equations and defaults as `torch.optim.SGD`.
///
/// g ← g + weight_decay p
///
/// b ← momentum b + (1 - dampening) g (b ← g in the first step of a parameter)
///
/// g ← g + momentum b with Nesterov momentum, else g ← b
///
/// p ← p - lr g
///
/// | field | meaning | default |
/// |---|---|---|
/// | `lr` | learning rate | 10⁻³ |
/// | `momentum` | share of b that stays; 0 keeps no b | 0 |
/// | `dampening` | share of the gradient that b does not get | 0 |
/// | `weight_decay` | L2 penalty | 0 |
/// | `nesterov` | look ahead along b; needs momentum and no dampening | `false` |
///
/// State: `momentum_buffer` (b), with momentum. Sutskever, Martens, Dahl & Hinton (2013), "On the importance of
/// initialization and momentum in deep learning".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the momentum buffer that stays from step to step.
    pub momentum: f64,
    /// Share of the gradient that the momentum buffer does not get.
    pub dampening: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Nesterov momentum.
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

impl Sealed for Sgd {}

impl Method for Sgd {
    const NAME: &'static str = "sgd";

    hyperparameters!(lr, momentum, dampening, weight_decay; nesterov);

    fn state_names(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    fn rule(&self, lr: f64, step: u64) -> Rule {
        if self.momentum == 0.0 {
            return Rule::Sgd { rate: lr, decay: self.weight_decay };
        }
        let (keep, take) = if step == 1 { (0.0, 1.0) } else { (self.momentum, 1.0 - self.dampening) };
        let (ahead, follow) = if self.nesterov { (1.0, self.momentum) } else { (0.0, 1.0) };
        Rule::Momentum { rate: lr, decay: self.weight_decay, keep, take, ahead, follow }
    }

    fn faults(&self) -> Vec<Fault> {
        let checker = Checker::new("Sgd")
            .not_negative("lr", self.lr)
            .not_negative("momentum", self.momentum)
            .not_negative("weight_decay", self.weight_decay);
        let checker = if self.dampening.is_finite() {
            checker
        } else {
            checker.fault("dampening", format!("{} is not allowed; it must be finite", self.dampening))
        };
        if self.nesterov && (self.momentum <= 0.0 || self.dampening != 0.0) {
            let message = format!(
                "Nesterov momentum needs momentum above 0 and no dampening; they are {} and {}",
                self.momentum, self.dampening
            );
            return checker.fault("nesterov", message).faults();
        }
        checker.faults()
    }
}
