//! Explicit lists of synapses.

use super::super::sample::steps_of;
use super::super::{Distribution, Edge, Sampler};
use super::delay::Delays;
use super::draw::SynapseDraw;
use super::weight::Weights;
use super::{SynapseBuffer, WeightSummary, Wiring};
use std::sync::Arc;

/// The edges of a list, in the order of the list within each source, taken as they are: neither self-connections
/// nor repeated ones are left out. Edge `i` without a weight or delay of its own takes item `i` of the projection's
/// list, or draws from its distribution at counter `i`.
#[derive(Debug)]
pub(super) struct EdgeWiring {
    edges: Arc<[Edge]>,
    /// Indices into `edges`, ordered by source. A list of edges is at most 2^32 - 1 long.
    order: Vec<u32>,
    /// Where each source starts in `order`, then its length.
    starts: Vec<u32>,
    dt: f64,
    draw: SynapseDraw,
    weights: WeightSummary,
    delays: (u32, u32),
    longest: usize,
}

impl EdgeWiring {
    pub fn new(edges: Arc<[Edge]>, sources: u32, weight: &Distribution, dt: f64, draw: SynapseDraw) -> Self {
        let mut starts = vec![0u32; sources as usize + 1];
        for edge in edges.iter() {
            starts[edge.source as usize + 1] += 1;
        }
        let longest = starts.iter().copied().max().unwrap_or(0) as usize;
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut order = vec![0u32; edges.len()];
        for (i, edge) in edges.iter().enumerate() {
            let place = &mut next[edge.source as usize];
            order[*place as usize] = i as u32;
            *place += 1;
        }
        let weights = summary(&edges, weight, &draw.weights);
        let delays = delay_bounds(&edges, dt, &draw.delays);
        Self { edges, order, starts, dt, draw, weights, delays, longest }
    }
}

/// Bounds over all edges; drawn weights count with the bounds and moments of their distribution.
pub(super) fn summary(edges: &[Edge], distribution: &Distribution, weights: &Weights) -> WeightSummary {
    let drawn = edges.iter().filter(|e| e.weight.is_nan()).count();
    if drawn == edges.len() {
        return weights.summary();
    }
    let own: Vec<f64> = edges.iter().filter(|e| !e.weight.is_nan()).map(|e| f64::from(e.weight)).collect();
    let own = WeightSummary::of(own.into_iter());
    if drawn == 0 {
        return own;
    }
    let other = match Sampler::new(distribution) {
        Ok(sampler) => WeightSummary::drawn(&sampler),
        Err(_) => weights.summary(),
    };
    let share = drawn as f64 / edges.len() as f64;
    let mix = |a: f64, b: f64| a * (1.0 - share) + b * share;
    let (min, max) = (own.min.min(other.min), own.max.max(other.max));
    WeightSummary {
        min,
        max,
        mean: mix(own.mean, other.mean),
        rms: mix(own.rms * own.rms, other.rms * other.rms).sqrt(),
        constant: (min == max).then_some(min),
    }
}

fn delay_bounds(edges: &[Edge], dt: f64, delays: &Delays) -> (u32, u32) {
    let mut bounds: Option<(u32, u32)> = None;
    let mut include = |low: u32, high: u32| {
        bounds = Some(bounds.map_or((low, high), |(l, h)| (l.min(low), h.max(high))));
    };
    for edge in edges.iter().filter(|e| !e.delay.is_nan()) {
        let steps = steps_of(f64::from(edge.delay), dt);
        include(steps, steps);
    }
    if edges.iter().any(|e| e.delay.is_nan()) {
        let (low, high) = delays.bounds();
        include(low, high);
    }
    bounds.unwrap_or_else(|| delays.bounds())
}

impl Wiring for EdgeWiring {
    fn expected(&self) -> f64 {
        self.edges.len() as f64
    }

    fn exact(&self) -> Option<u64> {
        Some(self.edges.len() as u64)
    }

    fn max_outdegree_hint(&self) -> usize {
        self.longest
    }

    fn append(&self, source: u32, out: &mut SynapseBuffer) {
        let range = self.starts[source as usize] as usize..self.starts[source as usize + 1] as usize;
        for index in &self.order[range] {
            let edge = self.edges[*index as usize];
            // Only edges that need it pay for a draw.
            let words = if edge.weight.is_nan() || edge.delay.is_nan() {
                self.draw.key.words([*index, source, 0, 0])
            } else {
                [0; 4]
            };
            out.target.push(edge.target);
            out.weight.push(match &self.draw.weights {
                _ if !edge.weight.is_nan() => f64::from(edge.weight),
                Weights::Constant(value) => *value,
                Weights::Drawn(sampler) => sampler.sample(words[2]),
                Weights::Listed(values) => values[*index as usize],
            });
            out.delay.push(match &self.draw.delays {
                _ if !edge.delay.is_nan() => steps_of(f64::from(edge.delay), self.dt),
                Delays::Constant(steps) => *steps,
                Delays::Drawn(sampler) => sampler.sample(words[1]),
                Delays::Listed(steps) => steps[*index as usize],
                Delays::Distance(distance) => distance.steps_between(source, edge.target),
            });
        }
    }

    fn weights(&self) -> WeightSummary {
        self.weights
    }

    fn delays(&self) -> (u32, u32) {
        self.delays
    }
}
