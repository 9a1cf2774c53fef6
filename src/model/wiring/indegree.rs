//! fixed_indegree: every target draws its sources; served by source.
//!
//! The sources of a target come from counters of that target alone. They are drawn twice: once to count how often
//! each source occurs, once to put the target in its place. Each worker does so for a run of consecutive targets and
//! keeps its own lists, so that no two write to the same place. As a worker goes through its targets in order and the
//! parts are read in order, the targets of a source ascend, whatever the number of workers.
//!
//! Memory: 4 bytes a synapse and 4 bytes a source for each part, until the wiring is dropped.

use super::draw::{SynapseDraw, Targets, words_of_target};
use super::subset::distinct;
use super::{SynapseBuffer, WeightSummary, Wiring};
use crate::compute::Crew;
use crate::compute::Isa;
use crate::rng;
use crate::rng::Key;
use std::sync::Mutex;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    /// Sources a target.
    pub n: u32,
    pub sources: u32,
    pub targets: u32,
    /// Whether target `i` may not draw source `i`: it draws among the others, moved up by one from `i` on.
    pub without_self: bool,
    /// Whether a target draws a source at most once.
    pub distinct: bool,
    pub key: Key,
}

impl Drawing {
    /// The sources of a target, in `out`.
    fn sources_of(&self, isa: Isa, target: u32, out: &mut Vec<u32>) {
        words_of_target(isa, self.key, target, self.n as usize, out);
        let pool = self.sources - u32::from(self.without_self);
        if self.distinct {
            distinct(out, pool);
        } else {
            out.iter_mut().for_each(|word| *word = rng::below(*word, pool));
        }
        if self.without_self {
            out.iter_mut().for_each(|source| *source += u32::from(*source >= target));
        }
    }
}

/// The synapses onto a run of targets, by source.
#[derive(Debug, Default)]
struct Part {
    /// Where the targets of each source end in `targets`.
    ends: Vec<u32>,
    targets: Vec<u32>,
}

impl Part {
    fn new(rule: &Drawing, isa: Isa, targets: std::ops::Range<u32>) -> Self {
        let mut drawn = Vec::new();
        // Counts go one place up: after summing, place `s` is where source `s` starts, and after writing, where it
        // ends.
        let mut ends = vec![0u32; rule.sources as usize + 1];
        for target in targets.clone() {
            rule.sources_of(isa, target, &mut drawn);
            for source in &drawn {
                ends[*source as usize + 1] += 1;
            }
        }
        for i in 1..ends.len() {
            ends[i] += ends[i - 1];
        }
        let mut list = vec![0u32; ends[ends.len() - 1] as usize];
        for target in targets {
            rule.sources_of(isa, target, &mut drawn);
            for source in &drawn {
                let place = &mut ends[*source as usize];
                list[*place as usize] = target;
                *place += 1;
            }
        }
        Self { ends, targets: list }
    }

    fn of(&self, source: u32) -> &[u32] {
        let start = if source == 0 { 0 } else { self.ends[source as usize - 1] };
        &self.targets[start as usize..self.ends[source as usize] as usize]
    }
}

#[derive(Debug)]
pub(super) struct FixedIndegree {
    parts: Vec<Part>,
    synapses: u64,
    longest: usize,
    draw: SynapseDraw,
}

impl FixedIndegree {
    pub fn new(rule: &Drawing, draw: SynapseDraw, crew: &Crew) -> Self {
        let synapses = u64::from(rule.n) * u64::from(rule.targets);
        // A part for each worker, but no more than keep their tables small beside the lists, and as many as keep
        // places within 32 bits.
        let most = (synapses / (4 * u64::from(rule.sources).max(1))).max(1);
        let fewest = synapses / u64::from(u32::MAX) + 1;
        let parts = (crew.size() as u64).min(most).max(fewest).min(u64::from(rule.targets.max(1)));
        let bound = |i: u64| (u64::from(rule.targets) * i / parts) as u32;
        let slots: Vec<Mutex<Part>> = (0..parts).map(|_| Mutex::default()).collect();
        crew.for_each(slots.len(), &|i| {
            let part = Part::new(rule, draw.isa, bound(i as u64)..bound(i as u64 + 1));
            *slots[i].lock().unwrap_or_else(|e| e.into_inner()) = part;
        });
        let parts: Vec<Part> =
            slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(|e| e.into_inner())).collect();
        let longest = (0..rule.sources).map(|s| parts.iter().map(|p| p.of(s).len()).sum()).max().unwrap_or(0);
        Self { parts, synapses, longest, draw }
    }
}

impl Wiring for FixedIndegree {
    fn expected(&self) -> f64 {
        self.synapses as f64
    }

    fn exact(&self) -> Option<u64> {
        Some(self.synapses)
    }

    fn max_outdegree_hint(&self) -> usize {
        self.longest
    }

    fn append(&self, source: u32, out: &mut SynapseBuffer) {
        let from = out.target.len();
        for part in &self.parts {
            out.target.extend_from_slice(part.of(source));
        }
        self.draw.draw(source, out.target.len() - from, Targets::Given, out);
        self.draw.finish(source, from, 0, out);
    }

    fn weights(&self) -> WeightSummary {
        self.draw.weights.summary()
    }

    fn delays(&self) -> (u32, u32) {
        self.draw.delays.bounds()
    }
}
