//! Clipping of gradients.

use crate::error::{Error, Result};

/// What to do where gradients are not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NonFinite {
    /// Fail; nothing is changed.
    Error,
    /// Change nothing and say so in the [`StepReport`](super::StepReport).
    Skip,
}

/// How gradients are kept small. Applied after [`StepOptions::grad_scale`](super::StepOptions::grad_scale).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Clip {
    /// Not at all; nobody looks whether they are finite.
    #[default]
    None,
    /// If the norm n of the gradients of all parameters together exceeds `max`, all are multiplied by
    /// max / (n + 10⁻⁶), as torch does. The norm takes one pass over the gradients; the factor takes none.
    /// An infinite `max` clips nothing but computes the norm and looks whether it is finite. Pascanu, Mikolov & Bengio
    /// (2013), "On the difficulty of training recurrent neural networks", arXiv:1211.5063.
    Norm {
        /// Largest norm.
        max: f64,
        /// What to do if the norm is not finite.
        non_finite: NonFinite,
    },
    /// Every element is held between `-max` and `max`. NaN stays NaN.
    Value {
        /// Largest absolute value.
        max: f64,
    },
}

impl Clip {
    /// Holds the global norm at `max`; a norm that is not finite is an error.
    pub fn norm(max: f64) -> Self {
        Self::Norm { max, non_finite: NonFinite::Error }
    }

    /// Holds every element within `±max`.
    pub fn value(max: f64) -> Self {
        Self::Value { max }
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Norm { max, .. } | Self::Value { max } if max.is_nan() || max <= 0.0 => {
                Err(Error::Usage(format!("gradients cannot be clipped at {max}; the bound must be above 0")))
            }
            _ => Ok(()),
        }
    }

    /// What gradients of norm `norm` are multiplied by.
    pub(super) fn factor(self, norm: f64) -> f64 {
        match self {
            Self::Norm { max, .. } => (max / (norm + 1e-6)).min(1.0),
            _ => 1.0,
        }
    }

    /// What elements are held at.
    pub(super) fn bound(self) -> f64 {
        match self {
            Self::Value { max } => max,
            _ => f64::INFINITY,
        }
    }
}
