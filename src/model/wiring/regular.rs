//! Rules without chance: all_to_all and one_to_one.

use super::draw::{SynapseDraw, Targets};
use super::{SynapseBuffer, WeightSummary, Wiring};

#[derive(Debug)]
enum Pattern {
    AllToAll { targets: u32, without_self: bool },
    OneToOne,
}

/// Every pair, or pairs of equal index. Lists of weights and delays have one value for each pair, source by source
/// (for all_to_all: `source * targets + target`, self-connections included even where they are left out).
#[derive(Debug)]
pub(super) struct Regular {
    sources: u32,
    pattern: Pattern,
    draw: SynapseDraw,
}

impl Regular {
    pub fn all_to_all(sources: u32, targets: u32, without_self: bool, draw: SynapseDraw) -> Self {
        Self { sources, pattern: Pattern::AllToAll { targets, without_self }, draw }
    }

    pub fn one_to_one(sources: u32, draw: SynapseDraw) -> Self {
        Self { sources, pattern: Pattern::OneToOne, draw }
    }
}

impl Wiring for Regular {
    fn expected(&self) -> f64 {
        f64::from(self.sources) * self.max_outdegree_hint() as f64
    }

    fn exact(&self) -> Option<u64> {
        Some(u64::from(self.sources) * self.max_outdegree_hint() as u64)
    }

    fn max_outdegree_hint(&self) -> usize {
        match self.pattern {
            Pattern::AllToAll { targets, without_self } => targets as usize - usize::from(without_self),
            Pattern::OneToOne => 1,
        }
    }

    fn append(&self, source: u32, out: &mut SynapseBuffer) {
        let from = out.target.len();
        let mut first_item = 0;
        match self.pattern {
            Pattern::AllToAll { targets, without_self: false } => {
                out.target.extend(0..targets);
                first_item = u64::from(source) * u64::from(targets);
            }
            Pattern::AllToAll { targets, without_self: true } => {
                out.target.extend((0..source).chain(source + 1..targets));
                first_item = u64::from(source) * u64::from(targets);
            }
            Pattern::OneToOne => out.target.push(source),
        }
        self.draw.draw(source, out.target.len() - from, Targets::Given, out);
        self.draw.finish(source, from, first_item, out);
    }

    fn weights(&self) -> WeightSummary {
        self.draw.weights.summary()
    }

    fn delays(&self) -> (u32, u32) {
        self.draw.delays.bounds()
    }
}
