//! The update equations with the numbers of one step.

/// What a step does to a parameter p, given its gradient g. Numbers that depend on how many steps were taken, such as
/// bias corrections, are those of this step.
///
/// Tolerance between instruction sets: a few units in the last place of each term of an equation for one step. Where
/// β₁ m + (1 - β₁) g of Lion is zero but for rounding, its sign may differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// g ← g + `decay` p; p ← p - `rate` g
    Sgd {
        /// Learning rate.
        rate: f64,
        /// L2 penalty.
        decay: f64,
    },
    /// g ← g + `decay` p; b ← `keep` b + `take` g; p ← p - `rate` (`ahead` g + `follow` b)
    Momentum {
        /// Learning rate.
        rate: f64,
        /// L2 penalty.
        decay: f64,
        /// Share of b that stays.
        keep: f64,
        /// Share of g that is added.
        take: f64,
        /// Weight of the gradient itself.
        ahead: f64,
        /// Weight of b.
        follow: f64,
    },
    /// p ← `shrink` p after g ← g + `decay` p; m ← m + (1 - `beta1`) (g - m); v ← `beta2` v + (1 - `beta2`) g²;
    /// p ← p - `rate` m / (`root` √v + `epsilon`). With `largest`, x ← max(x, v) stands in the place of v in the root.
    Adam {
        /// Learning rate over the bias correction of m.
        rate: f64,
        /// L2 penalty, added to the gradient.
        decay: f64,
        /// 1 - learning rate times decoupled weight decay.
        shrink: f64,
        /// Share of m that stays.
        beta1: f64,
        /// Share of v that stays.
        beta2: f64,
        /// 1 over the root of the bias correction of v.
        root: f64,
        /// Added to the root.
        epsilon: f64,
        /// Whether the largest v so far is kept as a third column.
        largest: bool,
    },
    /// p ← `shrink` p - `rate` sign(`beta1` m + (1 - `beta1`) g); m ← `beta2` m + (1 - `beta2`) g
    Lion {
        /// Learning rate.
        rate: f64,
        /// 1 - learning rate times decoupled weight decay.
        shrink: f64,
        /// Share of m in the sign.
        beta1: f64,
        /// Share of m that stays.
        beta2: f64,
    },
    /// g ← g + `decay` p; v ← `alpha` v + (1 - `alpha`) g²; d ← g / (√v + `epsilon`); p ← p - `rate` d. If `centered`,
    /// a ← a + (1 - `alpha`) (g - a) and v - a² (0 where rounding makes it negative) stands in the place of v in the
    /// root. With `momentum`, b ← `momentum` b + d stands in the place of d. Columns: v, a, b.
    RmsProp {
        /// Learning rate.
        rate: f64,
        /// L2 penalty.
        decay: f64,
        /// Share of v that stays.
        alpha: f64,
        /// Added to the root.
        epsilon: f64,
        /// Share of b that stays, if there is b.
        momentum: Option<f64>,
        /// Whether the mean of the gradients is kept and taken off.
        centered: bool,
    },
}

impl Rule {
    /// Columns of state it keeps.
    pub fn columns(self) -> usize {
        match self {
            Self::Sgd { .. } => 0,
            Self::Momentum { .. } | Self::Lion { .. } => 1,
            Self::Adam { largest, .. } => 2 + usize::from(largest),
            Self::RmsProp { momentum, centered, .. } => 1 + usize::from(centered) + usize::from(momentum.is_some()),
        }
    }
}
