//! What can be said of the weights and delays of a projection before anything is made.

use super::super::sample::steps_of;
use super::super::{ConnectionRule, DelaySampler, DelaySpec, Distribution, NetworkSpec};
use super::delay::displacement;
use super::edges;
use super::estimate::{SAMPLED, hops, sample};
use super::weight::{WeightSummary, Weights};
use crate::error::Result;
use std::collections::BTreeMap;

/// Draws by which the distribution of delays is described.
const DRAWS: u32 = 1 << 12;
/// Edges whose delays are looked at.
const EDGES: usize = 1 << 20;

/// Bounds and moments of the weights of projection number `projection`.
///
/// # Errors
/// If its distribution is none.
///
/// # Panics
/// If there is no such projection.
pub fn weight_summary(net: &NetworkSpec, projection: usize) -> Result<WeightSummary> {
    let spec = &net.projections[projection];
    let weights = Weights::new(&spec.weight)?;
    Ok(match &spec.rule {
        ConnectionRule::Edges(list) => edges::summary(list, &spec.weight, &weights),
        _ => weights.summary(),
    })
}

/// The delays of projection number `projection` in steps of `dt` ms, ascending, each with the share of synapses that have
/// it; the shares add up to 1. Exact for constant and drawn delays but for their discretisation, and from a sample of
/// edges or pairs otherwise.
///
/// # Panics
/// If there is no such projection.
pub fn delay_shares(net: &NetworkSpec, projection: usize, dt: f64) -> Vec<(u32, f64)> {
    let spec = &net.projections[projection];
    let mut shares: BTreeMap<u32, f64> = BTreeMap::new();
    match (&spec.rule, &spec.delay) {
        (ConnectionRule::Edges(list), _) if list.iter().any(|edge| !edge.delay.is_nan()) => {
            for edge in list.iter().step_by(list.len().div_ceil(EDGES).max(1)).filter(|edge| !edge.delay.is_nan()) {
                *shares.entry(steps_of(f64::from(edge.delay), dt)).or_default() += 1.0;
            }
        }
        (_, DelaySpec::Drawn(Distribution::Values(values))) => {
            for delay in values.iter() {
                *shares.entry(steps_of(*delay, dt)).or_default() += 1.0;
            }
        }
        (_, DelaySpec::Drawn(distribution)) => {
            if let Ok(sampler) = DelaySampler::new(distribution, dt) {
                // The ends are there however few reach them: the engine lays its tables out for them.
                let (low, high) = sampler.bounds();
                shares.extend([(low, 0.0), (high, 0.0)]);
                for draw in 0..DRAWS {
                    *shares.entry(sampler.sample(draw * (u32::MAX / DRAWS) + u32::MAX / DRAWS / 2)).or_default() += 1.0;
                }
            }
        }
        (rule, DelaySpec::Distance { velocity, offset }) => {
            let lattice = net.lattice.as_ref();
            let placed = |p: usize, n| sample(lattice, &net.populations[p].placement, n);
            for from in placed(spec.source.0, SAMPLED[0]) {
                for to in placed(spec.target.0, SAMPLED[1]) {
                    let apart = displacement(lattice, from, to);
                    let weight = match rule {
                        ConnectionRule::Distance(rule) => {
                            rule.probability(apart, lattice.map_or(0, |l| hops(l, from, to)))
                        }
                        _ => 1.0,
                    };
                    if weight > 0.0 {
                        let distance = apart.iter().map(|x| x * x).sum::<f64>().sqrt();
                        *shares.entry(steps_of(offset + distance / velocity, dt)).or_default() += weight;
                    }
                }
            }
        }
    }
    let total: f64 = shares.values().sum();
    if total == 0.0 {
        return vec![(1, 1.0)];
    }
    shares.into_iter().map(|(steps, share)| (steps, share / total)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StaticSynapse;
    use crate::neuron::LifPscExp;

    #[test]
    fn shares_of_delays_are_those_of_the_distribution() {
        let mut net = NetworkSpec::default();
        let a = net.population("a", 10, LifPscExp::default()).unwrap();
        let uniform = DelaySpec::Drawn(Distribution::Uniform { low: 1.0, high: 2.0 });
        for delay in [DelaySpec::from(1.5), uniform] {
            net.project(a, a, ConnectionRule::AllToAll, StaticSynapse { weight: 1.0, delay }).unwrap();
        }
        assert_eq!(delay_shares(&net, 0, 0.1), [(15, 1.0)]);
        let shares = delay_shares(&net, 1, 0.5);
        assert_eq!(shares.iter().map(|s| s.0).collect::<Vec<_>>(), [2, 3, 4]);
        let expected = [0.25, 0.5, 0.25];
        assert!(shares.iter().zip(expected).all(|((_, share), e)| (share - e).abs() < 0.01), "{shares:?}");
        let summary = weight_summary(&net, 0).unwrap();
        assert_eq!((summary.min, summary.max), (1.0, 1.0));
    }
}
