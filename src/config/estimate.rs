//! What a network will need before any of it is made: neurons, synapses, memory, time.
//!
//! The constants are measurements of the engine, rounded; the time is a rough guess because nobody knows the rates
//! before the run.

use super::memory::available_memory;
use super::occupancy;
use super::run::RunOptions;
use crate::engine::Precision;
use crate::error::{Error, Result};
use crate::lattice::{Box4, Lattice4, Position};
use crate::model::{ConnectionRule, DistanceKernel, DistanceRule, KernelShape, NetworkSpec, Placement, PopulationSpec};
use crate::neuron::{ParamColumn, ParamTable};
use crate::synapse::WeightBits;

/// Bytes of a synapse with a 16-bit weight, with the tables and the unused ends of cache lines.
const DENSE_SYNAPSE_BYTES: f64 = 4.0 * 1.12;
/// Bytes of a synapse with a 32-bit weight, or of a source with few synapses.
const WIDE_SYNAPSE_BYTES: f64 = 8.2;
/// Synapses of a source below which the narrow layout does not pay: 32 for each half of the targets.
const FEW_SYNAPSES: f64 = 64.0;
/// Bytes of the program itself.
const BASE_BYTES: f64 = 60e6;
/// Seconds of one step of a current-based LIF neuron on one thread.
const NEURON_STEP_S: f64 = 0.1e-9;
/// Seconds of one synaptic event on one thread.
const EVENT_S: f64 = 0.5e-9;
/// Mean rate assumed for the estimate of time, Hz.
const ASSUMED_RATE_HZ: f64 = 5.0;

/// What a run will need.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Neurons, exactly.
    pub neurons: u64,
    /// Expected synapses.
    pub synapses: f64,
    /// Expected synapses of each projection, in their order.
    pub synapses_of: Vec<f64>,
    /// Memory while running, bytes.
    pub memory_bytes: u64,
    /// Part of it that synapses take, bytes.
    pub synapse_bytes: u64,
    /// Rough time of the simulation itself at a mean rate of 5 Hz, s.
    pub seconds: f64,
    /// Whether all weights were taken to have 32 bits.
    wide: bool,
}

impl Estimate {
    /// Estimates a run.
    pub fn of(network: &NetworkSpec, run: &RunOptions) -> Self {
        let sizes: Vec<f64> = network.populations.iter().map(|p| size(p, run.seed) as f64).collect();
        let synapses_of: Vec<f64> =
            network.projections.iter().map(|p| expected(network, p.source.0, p.target.0, p, &sizes)).collect();
        let wide = run.weight_bits == WeightBits::W32;
        let mut by_source = vec![0.0; sizes.len()];
        for (projection, synapses) in network.projections.iter().zip(&synapses_of) {
            by_source[projection.source.0] += synapses;
        }
        let synapse_bytes: f64 = by_source
            .iter()
            .zip(&sizes)
            .map(|(synapses, n)| {
                let dense = !wide && synapses / n.max(1.0) >= FEW_SYNAPSES;
                synapses * if dense { DENSE_SYNAPSE_BYTES } else { WIDE_SYNAPSE_BYTES }
            })
            .sum();
        let number = if run.precision == Precision::F64 { 8.0 } else { 4.0 };
        let (mut neuron_bytes, mut steps_s) = (0.0, 0.0);
        let steps = run.duration_ms / run.dt_ms;
        for (population, n) in network.populations.iter().zip(&sizes) {
            let model = &population.model;
            let values = model.values();
            let table = ParamTable { len: 1, columns: values.into_iter().map(ParamColumn::Uniform).collect() };
            let columns = (model.variables().len() + population.params.len()) as f64;
            neuron_bytes += n * (number * columns + 4.0 * model.receptors(&table).len() as f64 + 2.0);
            steps_s += n * steps * model.cost() * NEURON_STEP_S;
        }
        let synapses: f64 = synapses_of.iter().sum();
        let events = synapses * ASSUMED_RATE_HZ * run.duration_ms * 1e-3;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = run.threads.unwrap_or(cores).min(cores) as f64;
        Self {
            neurons: sizes.iter().sum::<f64>() as u64,
            synapses,
            synapses_of,
            memory_bytes: (BASE_BYTES + synapse_bytes + neuron_bytes) as u64,
            synapse_bytes: synapse_bytes as u64,
            seconds: (steps_s + events * EVENT_S) / threads,
            wide,
        }
    }

    /// Whether the memory there is will do.
    ///
    /// # Errors
    /// [`Error::NotEnoughMemory`] if not, with what would reduce the need.
    pub fn fits(&self) -> Result<()> {
        match available_memory() {
            Some(available) => self.fits_in(available),
            // Systems that do not say how much there is are trusted to have enough.
            None => Ok(()),
        }
    }

    /// Whether `available` bytes will do.
    ///
    /// # Errors
    /// As for [`Estimate::fits`].
    pub fn fits_in(&self, available: u64) -> Result<()> {
        if self.memory_bytes <= available {
            return Ok(());
        }
        let gigabytes = |bytes: u64| bytes as f64 * 1e-9;
        let mut remedies = vec!["fewer synapses or neurons"];
        if self.wide {
            remedies.push("weight_bits = 16");
        }
        if self.synapse_bytes < self.memory_bytes / 2 {
            remedies.push("precision = \"f32\"");
        }
        Err(Error::NotEnoughMemory(format!(
            "the network needs about {:.2} GB ({} neurons, {:.4e} synapses), but {:.2} GB are available; what would \
             reduce it: {}, or a machine with more memory",
            gigabytes(self.memory_bytes),
            self.neurons,
            self.synapses,
            gigabytes(available),
            remedies.join(", ")
        )))
    }
}

/// Number of neurons of a population under a seed.
pub(super) fn size(population: &PopulationSpec, seed: u64) -> u64 {
    match &population.placement {
        Placement::Count(n) => u64::from(*n),
        Placement::Positions(positions) => positions.len() as u64,
        Placement::Region { region, density } => occupancy::count(region, *density, &population.name, seed),
    }
}

fn expected(
    network: &NetworkSpec,
    source: usize,
    target: usize,
    projection: &crate::model::ProjectionSpec,
    sizes: &[f64],
) -> f64 {
    let (pre, post) = (sizes[source], sizes[target]);
    let without_self = source == target && !projection.autapses;
    let pairs = pre * post - if without_self { pre } else { 0.0 };
    match &projection.rule {
        ConnectionRule::AllToAll => pairs,
        ConnectionRule::OneToOne => pre.min(post),
        ConnectionRule::Bernoulli { p } => p * pairs,
        ConnectionRule::FixedIndegree { n } => f64::from(*n) * post,
        ConnectionRule::FixedOutdegree { n } => f64::from(*n) * pre,
        ConnectionRule::FixedTotal { n } => *n as f64,
        ConnectionRule::Edges(edges) => edges.len() as f64,
        ConnectionRule::Distance(rule) => {
            let (from, to) = (&network.populations[source].placement, &network.populations[target].placement);
            let all = match (from, to, &network.lattice) {
                (
                    Placement::Region { region: a, density: da },
                    Placement::Region { region: b, density: db },
                    Some(lattice),
                ) => rule.p_max * da * db * over_offsets(rule, lattice, a, b),
                _ => {
                    let (a, b) = (points(from, network.lattice.as_ref()), points(to, network.lattice.as_ref()));
                    let scale = pre * post / (a.len() * b.len()).max(1) as f64;
                    rule.p_max * scale * over_pairs(rule, network.lattice.as_ref(), &a, &b)
                }
            };
            all - if without_self { rule.p_max * pre } else { 0.0 }
        }
    }
}

/// Value of a kernel at a scaled distance.
fn kernel(kernel: DistanceKernel, r: f64) -> f64 {
    let x = r / kernel.extent;
    match kernel.shape {
        KernelShape::Gaussian => libm::exp(-0.5 * x * x),
        KernelShape::Exponential => libm::exp(-x),
        KernelShape::Linear => (1.0 - x).max(0.0),
        KernelShape::Box => f64::from(x <= 1.0),
    }
}

/// Sum of the kernel over all pairs of cells of two boxes: for each axis, how often each distance occurs.
fn over_offsets(rule: &DistanceRule, lattice: &Lattice4, from: &Box4, to: &Box4) -> f64 {
    let axes: [Vec<(f64, f64)>; 4] = std::array::from_fn(|a| {
        let cells = i64::from(lattice.shape[a]);
        let (lo, hi) = (i64::from(from.lo[a]), i64::from(from.hi[a]));
        let (to_lo, to_hi) = (i64::from(to.lo[a]), i64::from(to.hi[a]));
        let mut count = vec![0.0; cells as usize + 1];
        for offset in to_lo - hi + 1..to_hi - lo {
            let pairs = (to_hi.min(hi + offset) - to_lo.max(lo + offset)).max(0);
            let wrapped = offset.rem_euclid(cells);
            let distance = if lattice.periodic[a] { wrapped.min(cells - wrapped) } else { offset.abs() };
            count[distance as usize] += pairs as f64;
        }
        let step = lattice.spacing[a] / rule.scale[a];
        (count.into_iter().enumerate())
            .filter(|(_, pairs)| *pairs > 0.0)
            .map(|(cells, pairs)| {
                // The cost of hops rides with the pairs of the w axis.
                let hops = if a == 3 { libm::pow(rule.hop_w, cells as f64) } else { 1.0 };
                ((cells as f64 * step) * (cells as f64 * step), pairs * hops)
            })
            .take_while(|(square, _)| *square <= rule.cutoff * rule.cutoff)
            .collect()
    });
    let limit = rule.cutoff * rule.cutoff;
    let mut sum = 0.0;
    for (w2, w_pairs) in &axes[3] {
        for (z2, z_pairs) in axes[2].iter().take_while(|(z2, _)| w2 + z2 <= limit) {
            for (y2, y_pairs) in axes[1].iter().take_while(|(y2, _)| w2 + z2 + y2 <= limit) {
                let mut line = 0.0;
                for (x2, x_pairs) in axes[0].iter().take_while(|(x2, _)| w2 + z2 + y2 + x2 <= limit) {
                    line += x_pairs * kernel(rule.kernel, (w2 + z2 + y2 + x2).sqrt());
                }
                sum += line * w_pairs * z_pairs * y_pairs;
            }
        }
    }
    sum
}

/// At most this many points stand for a population whose pairs are summed one by one.
const POINTS: usize = 2_000;

/// Positions of a population, evenly thinned if there are many.
fn points(placement: &Placement, lattice: Option<&Lattice4>) -> Vec<Position> {
    match (placement, lattice) {
        (Placement::Positions(positions), _) => {
            positions.iter().step_by(positions.len().div_ceil(POINTS).max(1)).copied().collect()
        }
        (Placement::Region { region, .. }, Some(lattice)) => {
            let cells = region.cells();
            let sides: [u64; 4] = std::array::from_fn(|a| u64::from(region.hi[a] - region.lo[a]));
            (0..cells)
                .step_by(cells.div_ceil(POINTS as u64).max(1) as usize)
                .map(|mut i| {
                    let cell = std::array::from_fn(|a| {
                        let at = i % sides[a];
                        i /= sides[a];
                        region.lo[a] + at as u32
                    });
                    lattice.centre(cell)
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

fn over_pairs(rule: &DistanceRule, lattice: Option<&Lattice4>, from: &[Position], to: &[Position]) -> f64 {
    let mut sum = 0.0;
    for a in from {
        for b in to {
            let d: [f64; 4] = match lattice {
                Some(lattice) => lattice.displacement(*a, *b),
                None => std::array::from_fn(|k| f64::from(b[k]) - f64::from(a[k])),
            };
            let square: f64 = d.iter().zip(rule.scale).map(|(d, scale)| (d / scale) * (d / scale)).sum();
            if square <= rule.cutoff * rule.cutoff {
                let hops = lattice.map_or(0.0, |lattice| (d[3].abs() / lattice.spacing[3]).round());
                sum += kernel(rule.kernel, square.sqrt()) * libm::pow(rule.hop_w, hops);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(shape: KernelShape, extent: f64, cutoff: f64) -> DistanceRule {
        DistanceRule { kernel: DistanceKernel { shape, extent }, p_max: 1.0, cutoff, scale: [1.0; 4], hop_w: 0.5 }
    }

    /// Every pair of cells, one by one.
    fn brute(rule: &DistanceRule, lattice: &Lattice4, a: &Box4, b: &Box4) -> f64 {
        let centres = |r: &Box4| r.cells_in_z_order().iter().map(|c| lattice.centre(*c)).collect::<Vec<_>>();
        over_pairs(rule, Some(lattice), &centres(a), &centres(b))
    }

    #[test]
    fn sums_over_offsets_are_those_over_pairs() {
        for periodic in [false, true] {
            let lattice = Lattice4 { shape: [7, 6, 3, 4], spacing: [1.0, 2.0, 1.0, 3.0], periodic: [periodic; 4] };
            let a = Box4 { lo: [0, 1, 0, 0], hi: [7, 5, 2, 3] };
            let b = Box4 { lo: [2, 0, 1, 1], hi: [6, 6, 3, 4] };
            for rule in [
                rule(KernelShape::Gaussian, 2.0, 6.0),
                rule(KernelShape::Box, 3.0, 3.0),
                rule(KernelShape::Linear, 5.0, 5.0),
            ] {
                let (fast, slow) = (over_offsets(&rule, &lattice, &a, &b), brute(&rule, &lattice, &a, &b));
                assert!((fast - slow).abs() < 1e-9 * slow, "{fast} {slow}");
            }
        }
    }

    #[test]
    fn too_little_memory_says_what_helps() {
        let estimate = Estimate {
            neurons: 10,
            synapses: 1e9,
            synapses_of: vec![1e9],
            memory_bytes: 8_260_000_000,
            synapse_bytes: 8_200_000_000,
            seconds: 1.0,
            wide: true,
        };
        assert!(estimate.fits_in(9_000_000_000).is_ok());
        let message = estimate.fits_in(2_000_000_000).unwrap_err().to_string();
        assert!(
            message.contains("8.26 GB") && message.contains("2.00 GB") && message.contains("weight_bits = 16"),
            "{message}"
        );
    }
}
