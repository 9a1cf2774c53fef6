//! Delays of a projection's synapses, in steps.

use super::super::brain::BrainModel;
use super::super::placement::Sites;
use super::super::sample::steps_of;
use super::super::{ConnectionRule, DelaySampler, DelaySpec, Distribution};
use crate::error::Result;
use crate::lattice::{Lattice4, Position};
use std::sync::Arc;

/// Where delays come from.
#[derive(Debug)]
pub(super) enum Delays {
    Constant(u32),
    Drawn(DelaySampler),
    /// Steps of each item.
    Listed(Vec<u32>),
    Distance(DistanceDelay),
}

/// Delays that grow with the distance between the two neurons.
#[derive(Debug)]
pub(super) struct DistanceDelay {
    sources: Arc<Sites>,
    targets: Arc<Sites>,
    lattice: Option<Lattice4>,
    /// um/ms.
    velocity: f64,
    /// ms.
    offset: f64,
    /// ms.
    dt: f64,
    /// No two connected neurons are further apart, um.
    farthest: f64,
}

/// Displacement on the lattice, or in plain space where the network has none.
pub(super) fn displacement(lattice: Option<&Lattice4>, from: Position, to: Position) -> [f64; 4] {
    match lattice {
        Some(lattice) => lattice.displacement(from, to),
        None => std::array::from_fn(|a| f64::from(to[a]) - f64::from(from[a])),
    }
}

impl Delays {
    /// Prepares the delays of a validated projection.
    pub fn new(model: &BrainModel, projection: usize, dt: f64) -> Result<Self> {
        let spec = &model.spec().projections[projection];
        Ok(match &spec.delay {
            DelaySpec::Drawn(Distribution::Values(values)) => {
                Self::Listed(values.iter().map(|ms| steps_of(*ms, dt)).collect())
            }
            DelaySpec::Drawn(distribution) => {
                let sampler = DelaySampler::new(distribution, dt)?;
                match sampler.constant() {
                    Some(steps) => Self::Constant(steps),
                    None => Self::Drawn(sampler),
                }
            }
            DelaySpec::Distance { velocity, offset } => {
                let (sources, targets) = (model.sites(spec.source), model.sites(spec.target));
                let lattice = model.spec().lattice.clone();
                let mut farthest = largest_distance(&sources, &targets, lattice.as_ref());
                if let ConnectionRule::Distance(rule) = &spec.rule {
                    // A scaled distance of `cutoff` is at most this far.
                    farthest = farthest.min(rule.cutoff * rule.scale.iter().copied().fold(0.0, f64::max));
                }
                Self::Distance(DistanceDelay {
                    sources,
                    targets,
                    lattice,
                    velocity: *velocity,
                    offset: *offset,
                    dt,
                    farthest,
                })
            }
        })
    }

    /// The sampler, where delays are drawn.
    #[inline(always)]
    pub fn sampler(&self) -> Option<&DelaySampler> {
        if let Self::Drawn(sampler) = self { Some(sampler) } else { None }
    }

    /// Appends the delays of `targets` unless they are drawn.
    pub fn finish(&self, source: u32, targets: &[u32], first_item: u64, out: &mut Vec<u32>) {
        match self {
            Self::Drawn(_) => {}
            Self::Constant(steps) => out.resize(out.len() + targets.len(), *steps),
            Self::Listed(steps) => out.extend(targets.iter().map(|t| steps[first_item as usize + *t as usize])),
            Self::Distance(distance) => {
                let from = distance.sources.position(source).unwrap_or_default();
                out.extend(targets.iter().map(|t| distance.steps(from, *t)));
            }
        }
    }

    /// Smallest and largest number of steps.
    pub fn bounds(&self) -> (u32, u32) {
        match self {
            Self::Constant(steps) => (*steps, *steps),
            Self::Drawn(sampler) => sampler.bounds(),
            Self::Listed(steps) => (steps.iter().copied().min().unwrap_or(1), steps.iter().copied().max().unwrap_or(1)),
            Self::Distance(d) => {
                (steps_of(d.offset, d.dt), steps_of(d.offset + d.farthest * (1.0 + 1e-9) / d.velocity, d.dt))
            }
        }
    }
}

impl DistanceDelay {
    /// Steps between a source and a target (indices within their populations).
    pub fn steps_between(&self, source: u32, target: u32) -> u32 {
        self.steps(self.sources.position(source).unwrap_or_default(), target)
    }

    fn steps(&self, from: Position, target: u32) -> u32 {
        let to = self.targets.position(target).unwrap_or_default();
        let d = displacement(self.lattice.as_ref(), from, to);
        let distance = d.iter().map(|x| x * x).sum::<f64>().sqrt();
        steps_of(self.offset + distance / self.velocity, self.dt)
    }
}

/// A distance that no source and target exceed, um.
fn largest_distance(sources: &Sites, targets: &Sites, lattice: Option<&Lattice4>) -> f64 {
    let (Some(s), Some(t)) = (sources.extent(), targets.extent()) else { return 0.0 };
    let along = |a: usize| {
        let open = (t.1[a] - s.0[a]).abs().max((s.1[a] - t.0[a]).abs());
        match lattice {
            Some(l) if l.periodic[a] => open.min(0.5 * f64::from(l.shape[a]) * l.spacing[a]),
            _ => open,
        }
    };
    (0..4).map(|a| along(a) * along(a)).sum::<f64>().sqrt()
}
