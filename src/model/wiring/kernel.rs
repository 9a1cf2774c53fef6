//! Connection probability by distance, and the displacements at which it is above zero.

use super::super::{DistanceKernel, DistanceRule, KernelShape};
use crate::lattice::{Box4, Lattice4};

impl DistanceKernel {
    /// Value at distance `r` (um): 1 at zero, never rising.
    pub fn value(&self, r: f64) -> f64 {
        let x = r / self.extent;
        match self.shape {
            KernelShape::Gaussian => libm::exp(-0.5 * x * x),
            KernelShape::Exponential => libm::exp(-x),
            KernelShape::Linear => (1.0 - x).max(0.0),
            KernelShape::Box => f64::from(u8::from(x <= 1.0)),
        }
    }
}

impl DistanceRule {
    /// Connection probability for a displacement (um along each axis) over `hops` cells of w.
    pub fn probability(&self, displacement: [f64; 4], hops: u32) -> f64 {
        let square: f64 = (0..4).map(|a| (displacement[a] / self.scale[a]) * (displacement[a] / self.scale[a])).sum();
        self.at(square.sqrt()) * self.hop_factor(hops)
    }

    /// Probability at scaled distance `r` without the factor for hops.
    pub(super) fn at(&self, r: f64) -> f64 {
        if r > self.cutoff { 0.0 } else { self.p_max * self.kernel.value(r) }
    }

    pub(super) fn hop_factor(&self, hops: u32) -> f64 {
        if self.hop_w == 1.0 || hops == 0 { 1.0 } else { libm::pow(self.hop_w, f64::from(hops)) }
    }
}

/// A displacement between bins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Offset {
    /// In bins.
    pub delta: [i32; 4],
    /// Connection probability (of bins that are points), or a bound that no pair in such bins exceeds.
    pub p: f64,
    /// Number of (source bin, target bin) pairs that have it.
    pub pairs: f64,
}

/// One axis of a grid of bins: which displacements there are, and how far apart such bins are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// Bins of the whole axis.
    pub bins: u32,
    /// Width of a bin, um.
    pub width: f64,
    pub periodic: bool,
    /// Half-open range of the sources' bins.
    pub sources: (u32, u32),
    /// Half-open range of the targets' bins.
    pub targets: (u32, u32),
    /// Whether neurons may be anywhere in their bin (else: at its centre).
    pub spread: bool,
}

impl Axis {
    /// Distance that no two neurons at a displacement of `d` bins fall below, um; exact for points.
    fn gap(&self, d: i64) -> f64 {
        let d = d.unsigned_abs() as f64;
        if self.spread {
            // Rounding may put a neuron into the neighbouring bin.
            ((d - 1.0) * self.width - 1e-9 * self.width * f64::from(self.bins)).max(0.0)
        } else {
            d * self.width
        }
    }

    /// Number of pairs of bins at a displacement.
    fn pairs(&self, d: i64) -> i64 {
        let straight = |d: i64| {
            let (lo, hi) = (i64::from(self.targets.0) - d, i64::from(self.targets.1) - d);
            (hi.min(i64::from(self.sources.1)) - lo.max(i64::from(self.sources.0))).max(0)
        };
        if self.periodic {
            let n = i64::from(self.bins);
            straight(d) + straight(d - n) + straight(d + n)
        } else {
            straight(d)
        }
    }

    /// All displacements within `reach` (um): displacement, gap, pairs.
    fn steps(&self, reach: f64) -> Vec<(i32, f64, f64)> {
        let (low, high) = if self.periodic {
            (-(i64::from(self.bins) - 1) / 2, i64::from(self.bins) / 2)
        } else {
            (
                i64::from(self.targets.0) - i64::from(self.sources.1) + 1,
                i64::from(self.targets.1) - 1 - i64::from(self.sources.0),
            )
        };
        // Gaps grow with |d|, so what is out of reach is left out without looking at it.
        // A float beyond them becomes the largest integer.
        let farthest = ((reach / self.width).ceil() as i64).saturating_add(2);
        (low.max(-farthest)..=high.min(farthest))
            .map(|d| (d as i32, self.gap(d), self.pairs(d) as f64))
            .filter(|(_, gap, pairs)| *gap <= reach && *pairs > 0.0)
            .collect()
    }
}

/// Displacements with a probability above zero, or none if there are more than `most`.
pub(super) fn offsets(rule: &DistanceRule, axes: &[Axis; 4], most: usize) -> Option<Vec<Offset>> {
    let spread = axes[3].spread;
    let steps: [Vec<_>; 4] = std::array::from_fn(|a| axes[a].steps(rule.cutoff * rule.scale[a] * (1.0 + 1e-12)));
    // Four of five corners of a 4D box lie outside the ball, hence the generous first look.
    if steps.iter().map(|s| s.len() as f64).product::<f64>() > 8.0 * most as f64 {
        return None;
    }
    let mut found = Vec::new();
    let square = |a: usize, gap: f64| (gap / rule.scale[a]) * (gap / rule.scale[a]);
    for w in &steps[3] {
        // A bin of spread neurons need not be a cell: the factor for hops then counts for each pair alone.
        let hop = if spread { 1.0 } else { rule.hop_factor(w.0.unsigned_abs()) };
        for z in &steps[2] {
            for y in &steps[1] {
                for x in &steps[0] {
                    let r = (square(0, x.1) + square(1, y.1) + square(2, z.1) + square(3, w.1)).sqrt();
                    let p = rule.at(r) * hop;
                    if p > 0.0 {
                        let pairs = x.2 * y.2 * z.2 * w.2;
                        found.push(Offset { delta: [x.0, y.0, z.0, w.0], p, pairs });
                        if found.len() > most {
                            return None;
                        }
                    }
                }
            }
        }
    }
    Some(found)
}

/// The axes of the lattice with a cell as the bin and all neurons at centres.
pub(super) fn cell_axes(lattice: &Lattice4, sources: &Box4, targets: &Box4) -> [Axis; 4] {
    std::array::from_fn(|a| Axis {
        bins: lattice.shape[a],
        width: lattice.spacing[a],
        periodic: lattice.periodic[a],
        sources: (sources.lo[a], sources.hi[a]),
        targets: (targets.lo[a], targets.hi[a]),
        spread: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periodic_displacements_reach_every_cell_once() {
        for bins in [1u32, 2, 5, 6] {
            let axis = Axis { bins, width: 1.0, periodic: true, sources: (0, bins), targets: (0, bins), spread: false };
            let steps = axis.steps(f64::INFINITY);
            assert_eq!(steps.len(), bins as usize);
            assert!(steps.iter().all(|s| s.2 == f64::from(bins)));
        }
        let clamped = Axis { bins: 6, width: 2.0, periodic: false, sources: (0, 2), targets: (3, 6), spread: false };
        let steps = clamped.steps(7.0);
        assert_eq!(steps, [(2, 4.0, 1.0), (3, 6.0, 2.0)]);
    }
}
