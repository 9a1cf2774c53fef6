//! Growing a network by a factor, for weak scaling.

use super::{ConnectionRule, NetworkSpec, Placement};
use crate::error::{Error, Fault, Result};

impl NetworkSpec {
    /// The network with `factor` times as many neurons and about as many synapses for each: populations grow, the
    /// lattice and everything on it stretches along its longest axis, in-degrees and out-degrees stay.
    ///
    /// # Errors
    /// If something has no larger version: lists of edges, of positions or of neurons, or one value for each neuron.
    pub fn grown(&self, factor: f64) -> Result<Self> {
        let mut grown = self.clone();
        let mut faults = Vec::new();
        let scale = |n: u32| (f64::from(n) * factor).round().max(1.0) as u32;
        let axis = self
            .lattice
            .as_ref()
            .map_or(0, |lattice| (0..4).max_by_key(|a| (lattice.shape[*a], std::cmp::Reverse(*a))).unwrap_or(0));
        if let Some(lattice) = &mut grown.lattice {
            lattice.shape[axis] = scale(lattice.shape[axis]);
        }
        for area in &mut grown.areas {
            (area.region.lo[axis], area.region.hi[axis]) =
                (stretch(area.region.lo[axis], factor), scale(area.region.hi[axis]));
        }
        for population in &mut grown.populations {
            match &mut population.placement {
                Placement::Count(n) => *n = scale(*n),
                Placement::Region { region, .. } => {
                    (region.lo[axis], region.hi[axis]) = (stretch(region.lo[axis], factor), scale(region.hi[axis]));
                }
                Placement::Positions(_) => faults.push(Fault::new(
                    format!("population.{}", population.name),
                    "a list of positions has no larger version; weak scaling needs `n` or a region",
                )),
            }
        }
        for projection in &mut grown.projections {
            match &mut projection.rule {
                ConnectionRule::Bernoulli { p } => *p /= factor,
                ConnectionRule::FixedTotal { n } => *n = (*n as f64 * factor).round() as u64,
                ConnectionRule::Edges(_) => faults.push(Fault::new(
                    format!("projection.{}", projection.name),
                    "a list of edges has no larger version; weak scaling needs a connection rule",
                )),
                _ => {}
            }
        }
        if faults.is_empty() { Ok(grown) } else { Err(Error::Invalid(faults)) }
    }
}

fn stretch(lo: u32, factor: f64) -> u32 {
    (f64::from(lo) * factor).round() as u32
}
