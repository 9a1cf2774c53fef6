//! Rules by which each source chooses its targets: bernoulli, fixed_outdegree, fixed_total.
//!
//! All three come down to a number of synapses for each source and a uniform choice of that many targets:
//! - fixed_outdegree: the number is given.
//! - fixed_total: the numbers are exactly multinomial. Without multapses each pair is used at most once, so they are
//!   multivariate hypergeometric with as many places a source as there are targets.
//! - bernoulli: independent trials are a binomial number of successes, placed on a uniform subset.
//!
//! Without autapses, a target is drawn among the others (one fewer) and those from the source on move up by one:
//! exact, and no redraws. Without multapses, the targets are a uniform subset (see `subset`); where more than half of
//! the targets are chosen, it is the others that are drawn.

use super::count::binomial;
use super::draw::{Sink, SynapseDraw, Targets};
use super::subset::{complement, distinct};
use super::{Levels, Redrawn, Redraws, StoredBuffer, SynapseBuffer, WeightSummary, Wiring};
use crate::compute::Crew;
use crate::rng::Key;
use std::sync::{Mutex, PoisonError};

/// Number of synapses of each source.
#[derive(Debug)]
pub(super) enum Degrees {
    Same(u32),
    Each(Vec<u32>),
    Binomial { p: f64, key: Key },
}

/// What targets are chosen from, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    pub targets: u32,
    /// Whether source `i` may not choose target `i`.
    pub without_self: bool,
    /// Whether a source chooses a target at most once.
    pub distinct: bool,
}

impl Pool {
    /// Number of targets a source can choose from.
    fn size(&self) -> u32 {
        self.targets.saturating_sub(u32::from(self.without_self))
    }
}

#[derive(Debug)]
pub(super) struct BySource {
    pub sources: u32,
    pub degrees: Degrees,
    pub pool: Pool,
    pub draw: SynapseDraw,
}

impl BySource {
    fn degree(&self, source: u32) -> u32 {
        match &self.degrees {
            Degrees::Same(n) => *n,
            Degrees::Each(n) => n[source as usize],
            Degrees::Binomial { p, key } => {
                binomial(u64::from(self.pool.size()), *p, &mut key.sequence(u64::from(source))) as u32
            }
        }
    }
}

impl BySource {
    /// Draws the number of synapses of every source now: the draw takes as long as some hundred synapses.
    pub fn fix_degrees(&mut self, crew: &Crew) {
        const BATCH: usize = 1024;
        let mut degrees = vec![0u32; self.sources as usize];
        let parts: Vec<_> = degrees.chunks_mut(BATCH).map(Mutex::new).collect();
        crew.for_each(parts.len(), &|i| {
            let mut part = parts[i].lock().unwrap_or_else(PoisonError::into_inner);
            for (k, degree) in part.iter_mut().enumerate() {
                *degree = self.degree((i * BATCH + k) as u32);
            }
        });
        drop(parts);
        self.degrees = Degrees::Each(degrees);
    }

    /// Draws the synapses of a source, but for weights and delays that are not drawn.
    fn choose<O: Sink>(&self, source: u32, out: &mut O) {
        let count = self.degree(source) as usize;
        let pool = self.pool.size();
        let skip = if self.pool.without_self { source } else { u32::MAX };
        let from = out.target().len();
        if self.pool.distinct {
            self.draw.draw(source, count, Targets::Raw, out);
            let chosen = &mut out.target()[from..];
            if count > pool as usize / 2 {
                let mut left_out = chosen[..pool as usize - count].to_vec();
                distinct(&mut left_out, pool);
                let mut place = chosen.iter_mut();
                complement(&mut left_out, pool, |target| {
                    if let Some(place) = place.next() {
                        *place = target;
                    }
                });
            } else {
                distinct(chosen, pool);
            }
            for target in chosen {
                *target += u32::from(*target >= skip);
            }
        } else {
            self.draw.draw(source, count, Targets::Uniform { n: pool, skip }, out);
        }
    }
}

impl Wiring for BySource {
    fn expected(&self) -> f64 {
        match &self.degrees {
            Degrees::Binomial { p, .. } => f64::from(self.sources) * f64::from(self.pool.size()) * p,
            _ => self.exact().unwrap_or(0) as f64,
        }
    }

    fn exact(&self) -> Option<u64> {
        match &self.degrees {
            Degrees::Same(n) => Some(u64::from(self.sources) * u64::from(*n)),
            Degrees::Each(n) => Some(n.iter().map(|n| u64::from(*n)).sum()),
            Degrees::Binomial { .. } => None,
        }
    }

    fn max_outdegree_hint(&self) -> usize {
        match &self.degrees {
            Degrees::Same(n) => *n as usize,
            Degrees::Each(n) => n.iter().copied().max().unwrap_or(0) as usize,
            Degrees::Binomial { p, .. } => {
                let n = f64::from(self.pool.size());
                (n * p + 6.0 * (n * p * (1.0 - p)).sqrt() + 8.0).min(n) as usize
            }
        }
    }

    fn append(&self, source: u32, out: &mut SynapseBuffer) {
        let from = out.target.len();
        self.choose(source, out);
        self.draw.finish(source, from, 0, out);
    }

    fn redraws(&self) -> Option<Redraws<'_>> {
        let (weights, delays) = (self.draw.weights.sampler(), self.draw.delays.sampler());
        let (low, high) = self.draw.delays.bounds();
        let given = self.draw.weights.summary().constant.is_some() || weights.is_some();
        (given && (low == high || delays.is_some())).then_some(Redraws { weights, delays })
    }

    fn redraw(&self, source: u32, levels: Levels<'_>, out: &mut StoredBuffer) {
        self.choose(source, &mut Redrawn { levels, out });
    }

    fn weights(&self) -> WeightSummary {
        self.draw.weights.summary()
    }

    fn delays(&self) -> (u32, u32) {
        self.draw.delays.bounds()
    }

    fn bytes(&self) -> usize {
        if let Degrees::Each(n) = &self.degrees { n.len() * 4 } else { 0 }
    }
}
