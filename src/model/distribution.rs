//! Distributions of weights, delays, parameters and initial values.

use std::sync::Arc;

/// A distribution of a quantity, in the quantity's own unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Always the same value.
    Constant(f64),
    /// Uniform on [low, high).
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Normal, restricted to [low, high] by redrawing (infinite ends: not restricted).
    Normal {
        /// Mean before restriction.
        mean: f64,
        /// Standard deviation before restriction.
        sd: f64,
        /// Smallest value kept.
        low: f64,
        /// Largest value kept.
        high: f64,
    },
    /// Log-normal with the given mean and standard deviation of the quantity itself.
    Lognormal {
        /// Mean of the quantity, above zero.
        mean: f64,
        /// Standard deviation of the quantity.
        sd: f64,
    },
    /// One value for each item, in order (from a file).
    Values(Arc<[f64]>),
}

impl Distribution {
    /// A normal distribution without bounds.
    pub const fn normal(mean: f64, sd: f64) -> Self {
        Self::Normal { mean, sd, low: f64::NEG_INFINITY, high: f64::INFINITY }
    }
}

impl From<f64> for Distribution {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}
