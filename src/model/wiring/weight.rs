//! Weights of a projection's synapses.

use super::super::{Distribution, Sampler};
use crate::error::Result;
use std::sync::Arc;

/// What is known of all weights of a projection before its synapses are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightSummary {
    /// No weight is below this.
    pub min: f64,
    /// No weight is above this.
    pub max: f64,
    /// Mean (exact for lists; of the distribution for drawn weights).
    pub mean: f64,
    /// Root of the mean square (as `mean`).
    pub rms: f64,
    /// The weight, if all synapses have the same.
    pub constant: Option<f64>,
}

impl WeightSummary {
    /// Summary of a list of weights; all zero for an empty one.
    pub(in super::super) fn of(values: impl ExactSizeIterator<Item = f64>) -> Self {
        let n = values.len().max(1) as f64;
        let (mut min, mut max, mut sum, mut square) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0);
        for value in values {
            min = min.min(value);
            max = max.max(value);
            sum += value;
            square += value * value;
        }
        if min > max {
            (min, max) = (0.0, 0.0);
        }
        Self { min, max, mean: sum / n, rms: (square / n).sqrt(), constant: (min == max).then_some(min) }
    }

    /// Summary of drawn weights.
    pub(super) fn drawn(sampler: &Sampler) -> Self {
        let (min, max) = sampler.bounds();
        Self { min, max, mean: sampler.mean(), rms: sampler.rms(), constant: sampler.constant() }
    }
}

/// Where weights come from.
#[derive(Debug)]
pub(super) enum Weights {
    Constant(f64),
    Drawn(Sampler),
    Listed(Arc<[f64]>),
}

impl Weights {
    pub fn new(distribution: &Distribution) -> Result<Self> {
        if let Distribution::Values(values) = distribution {
            return Ok(Self::Listed(values.clone()));
        }
        let sampler = Sampler::new(distribution)?;
        Ok(match sampler.constant() {
            Some(value) => Self::Constant(value),
            None => Self::Drawn(sampler),
        })
    }

    /// The sampler, where weights are drawn.
    #[inline(always)]
    pub fn sampler(&self) -> Option<&Sampler> {
        if let Self::Drawn(sampler) = self { Some(sampler) } else { None }
    }

    /// Appends the weights of `targets` unless they are drawn.
    pub fn finish(&self, targets: &[u32], first_item: u64, out: &mut Vec<f64>) {
        match self {
            Self::Drawn(_) => {}
            Self::Constant(value) => out.resize(out.len() + targets.len(), *value),
            Self::Listed(values) => out.extend(targets.iter().map(|t| values[first_item as usize + *t as usize])),
        }
    }

    pub fn summary(&self) -> WeightSummary {
        match self {
            Self::Constant(value) => {
                WeightSummary { min: *value, max: *value, mean: *value, rms: value.abs(), constant: Some(*value) }
            }
            Self::Drawn(sampler) => WeightSummary::drawn(sampler),
            Self::Listed(values) => WeightSummary::of(values.iter().copied()),
        }
    }
}
