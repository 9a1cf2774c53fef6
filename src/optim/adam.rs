//! Adam, and Adam with decoupled weight decay.

use super::method::{Checker, Method, Sealed, hyperparameters};
use crate::compute::Rule;
use crate::error::Fault;

/// Adam; equations and defaults as `torch.optim.Adam`. In step t of a parameter:
///
/// g ← g + weight_decay p
///
/// m ← m + (1 - β₁) (g - m);  v ← β₂ v + (1 - β₂) g²
///
/// p ← p - lr / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + eps)
///
/// With `amsgrad`, the largest v so far stands in the place of v in the root.
///
/// | field | meaning | default |
/// |---|---|---|
/// | `lr` | learning rate | 10⁻³ |
/// | `beta1` | share of m that stays | 0.9 |
/// | `beta2` | share of v that stays | 0.999 |
/// | `eps` | added to the root | 10⁻⁸ |
/// | `weight_decay` | L2 penalty | 0 |
/// | `amsgrad` | divide by the largest v so far | `false` |
///
/// State: `exp_avg` (m), `exp_avg_sq` (v), `max_exp_avg_sq` with `amsgrad`. Kingma & Ba (2014), arXiv:1412.6980; Reddi,
/// Kale & Kumar (2018), "On the convergence of Adam and beyond".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean of gradients that stays from step to step.
    pub beta1: f64,
    /// Share of the mean of their squares that stays.
    pub beta2: f64,
    /// Added to the root.
    pub eps: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Whether to divide by the largest mean of squares so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

/// Adam with decoupled weight decay; equations and defaults as `torch.optim.AdamW`: p ← (1 - lr weight_decay) p in the
/// place of the L2 penalty of [`Adam`].
///
/// | field | meaning | default |
/// |---|---|---|
/// | `lr` | learning rate | 10⁻³ |
/// | `beta1` | share of m that stays | 0.9 |
/// | `beta2` | share of v that stays | 0.999 |
/// | `eps` | added to the root | 10⁻⁸ |
/// | `weight_decay` | decay of the parameter per step, over the learning rate | 10⁻² |
/// | `amsgrad` | divide by the largest v so far | `false` |
///
/// State as [`Adam`]. Loshchilov & Hutter (2017), "Decoupled weight decay regularization", arXiv:1711.05101.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean of gradients that stays from step to step.
    pub beta1: f64,
    /// Share of the mean of their squares that stays.
    pub beta2: f64,
    /// Added to the root.
    pub eps: f64,
    /// Decay of the parameter per step, over the learning rate.
    pub weight_decay: f64,
    /// Whether to divide by the largest mean of squares so far.
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 1e-2, amsgrad: false }
    }
}

impl Sealed for Adam {}
impl Sealed for AdamW {}

fn names(amsgrad: bool) -> &'static [&'static str] {
    if amsgrad { &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"] } else { &["exp_avg", "exp_avg_sq"] }
}

/// Adam's rule in step `step`, without weight decay.
fn rule(adam: &Adam, lr: f64, step: u64) -> Rule {
    let rest = |beta: f64| 1.0 - libm::pow(beta, step as f64);
    Rule::Adam {
        rate: lr / rest(adam.beta1),
        decay: adam.weight_decay,
        shrink: 1.0,
        beta1: adam.beta1,
        beta2: adam.beta2,
        root: 1.0 / rest(adam.beta2).sqrt(),
        epsilon: adam.eps,
        largest: adam.amsgrad,
    }
}

fn faults(name: &'static str, adam: &Adam) -> Vec<Fault> {
    Checker::new(name)
        .not_negative("lr", adam.lr)
        .share("beta1", adam.beta1)
        .share("beta2", adam.beta2)
        .not_negative("eps", adam.eps)
        .not_negative("weight_decay", adam.weight_decay)
        .faults()
}

impl Method for Adam {
    const NAME: &'static str = "adam";

    hyperparameters!(lr, beta1, beta2, eps, weight_decay; amsgrad);

    fn state_names(&self) -> &'static [&'static str] {
        names(self.amsgrad)
    }

    fn rule(&self, lr: f64, step: u64) -> Rule {
        rule(self, lr, step)
    }

    fn faults(&self) -> Vec<Fault> {
        faults("Adam", self)
    }
}

impl AdamW {
    /// The same without decay.
    fn plain(&self) -> Adam {
        let Self { lr, beta1, beta2, eps, amsgrad, .. } = *self;
        Adam { lr, beta1, beta2, eps, weight_decay: 0.0, amsgrad }
    }
}

impl Method for AdamW {
    const NAME: &'static str = "adamw";

    hyperparameters!(lr, beta1, beta2, eps, weight_decay; amsgrad);

    fn state_names(&self) -> &'static [&'static str] {
        names(self.amsgrad)
    }

    fn rule(&self, lr: f64, step: u64) -> Rule {
        let mut rule = rule(&self.plain(), lr, step);
        if let Rule::Adam { shrink, .. } = &mut rule {
            *shrink = 1.0 - lr * self.weight_decay;
        }
        rule
    }

    fn faults(&self) -> Vec<Fault> {
        faults("AdamW", &Adam { weight_decay: self.weight_decay, ..self.plain() })
    }
}
