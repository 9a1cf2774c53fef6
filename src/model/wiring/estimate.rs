//! How many synapses a projection will have, before anything is made.

use super::super::{ConnectionRule, DistanceRule, NetworkSpec, Placement};
use super::delay::displacement;
use super::kernel::{cell_axes, offsets};
use crate::lattice::{Lattice4, Position};

/// Most displacements summed exactly; beyond, pairs are sampled.
const MOST_OFFSETS: usize = 1 << 20;
/// Sources and targets looked at where pairs are sampled.
pub(super) const SAMPLED: [u64; 2] = [64, 4096];

/// Synapses of a fixed-total projection for which a given pair is connected at least once with probability `p`:
/// `ln(1 - p) / ln(1 - 1 / (sources * targets))`, rounded.
///
/// As in the microcircuit model (Potjans & Diesmann 2014, "The cell-type specific cortical microcircuit").
pub fn total_from_probability(p: f64, sources: u32, targets: u32) -> u64 {
    let pairs = f64::from(sources) * f64::from(targets);
    (libm::log1p(-p) / libm::log1p(-1.0 / pairs)).round() as u64
}

/// Number of synapses to expect of projection number `projection`: exact where the rule fixes it, else the mean.
///
/// For `distance`, exact in the mean where both populations are placed by density; otherwise from a sample of pairs,
/// good to some percent.
///
/// # Panics
/// If there is no such projection or it names a population that does not exist.
pub fn expected_synapses(net: &NetworkSpec, projection: usize) -> f64 {
    let spec = &net.projections[projection];
    let (source, target) = (&net.populations[spec.source.0].placement, &net.populations[spec.target.0].placement);
    let (sources, targets) = (source.expected_size(), target.expected_size());
    let without_self = spec.source == spec.target && !spec.autapses;
    let pairs = if without_self { sources * (targets - 1.0) } else { sources * targets };
    match &spec.rule {
        ConnectionRule::AllToAll => pairs,
        ConnectionRule::OneToOne => sources,
        ConnectionRule::Bernoulli { p } => pairs * p,
        ConnectionRule::FixedIndegree { n } => targets * f64::from(*n),
        ConnectionRule::FixedOutdegree { n } => sources * f64::from(*n),
        ConnectionRule::FixedTotal { n } => *n as f64,
        ConnectionRule::Edges(edges) => edges.len() as f64,
        ConnectionRule::Distance(rule) => {
            let own = if without_self { sources * rule.p_max } else { 0.0 };
            on_lattice(net.lattice.as_ref(), source, target, rule).map_or_else(
                || sources * targets * mean_probability(net.lattice.as_ref(), source, target, rule),
                |all| all - own,
            )
        }
    }
}

/// Sum over all displacements, for populations placed by density.
fn on_lattice(lattice: Option<&Lattice4>, source: &Placement, target: &Placement, rule: &DistanceRule) -> Option<f64> {
    let (Placement::Region { region: s, density: per_s }, Placement::Region { region: t, density: per_t }) =
        (source, target)
    else {
        return None;
    };
    let found = offsets(rule, &cell_axes(lattice?, s, t), MOST_OFFSETS)?;
    Some(found.iter().map(|o| o.p * o.pairs).sum::<f64>() * per_s * per_t)
}

/// Mean probability over a regular sample of pairs.
fn mean_probability(lattice: Option<&Lattice4>, source: &Placement, target: &Placement, rule: &DistanceRule) -> f64 {
    let (from, to) = (sample(lattice, source, SAMPLED[0]), sample(lattice, target, SAMPLED[1]));
    let mut sum = 0.0;
    for a in &from {
        for b in &to {
            let hops = lattice.map_or(0, |l| hops(l, *a, *b));
            sum += rule.probability(displacement(lattice, *a, *b), hops);
        }
    }
    sum / (from.len() * to.len()).max(1) as f64
}

/// Cells apart along the fourth axis.
pub(super) fn hops(lattice: &Lattice4, a: Position, b: Position) -> u32 {
    let apart = lattice.cell_of(a)[3].abs_diff(lattice.cell_of(b)[3]);
    if lattice.periodic[3] { apart.min(lattice.shape[3] - apart) } else { apart }
}

/// Up to about `n` positions spread over a placement.
pub(super) fn sample(lattice: Option<&Lattice4>, placement: &Placement, n: u64) -> Vec<Position> {
    match (placement, lattice) {
        (Placement::Positions(points), _) => {
            let n = n.min(points.len() as u64);
            (0..n).map(|i| points[(i * points.len() as u64 / n) as usize]).collect()
        }
        (Placement::Region { region, .. }, Some(lattice)) => {
            let cells = region.cells();
            let n = n.min(cells);
            (0..n)
                .map(|i| {
                    // A stride that shares no factor with the sides, so that no axis is sampled at few places only.
                    let mut place = (u128::from(i) * 2_654_435_761 % u128::from(cells)) as u64;
                    lattice.centre(std::array::from_fn(|a| {
                        let side = u64::from(region.hi[a] - region.lo[a]);
                        let at = place % side;
                        place /= side;
                        region.lo[a] + at as u32
                    }))
                })
                .collect()
        }
        _ => Vec::new(),
    }
}
