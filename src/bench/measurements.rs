//! Measurements: named items with all their samples, and what they were made on.

use crate::storage::{Machine, rfc3339};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whole configurations: construction and simulation.
    Run,
    /// One network on different numbers of threads.
    Scaling,
    /// Operations of the dense layer.
    Ops,
}

impl Kind {
    /// Its name, as in the names of folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Scaling => "scaling",
            Self::Ops => "ops",
        }
    }
}

/// The measurements of one benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// What was measured.
    pub kind: Kind,
    /// When the measurements were made, RFC 3339 in UTC.
    pub made: String,
    /// Version of this program.
    pub tessera: String,
    /// What they were made on.
    pub machine: Machine,
    /// Instruction set.
    pub isa: String,
    /// The items, in the order of the benchmark.
    pub items: Vec<Item>,
}

/// One thing that was timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its name, unique among the items.
    pub name: String,
    /// Seconds of every repeat, in order; all positive and finite.
    pub samples_s: Vec<f64>,
    /// What else is known of it, by name: sizes, rates, digests.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub facts: serde_json::Map<String, serde_json::Value>,
}

impl Measurements {
    /// Measurements made now, on this machine, without items.
    pub fn now(kind: Kind, isa: impl Into<String>) -> Self {
        Self {
            kind,
            made: rfc3339(SystemTime::now()),
            tessera: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine::this(),
            isa: isa.into(),
            items: Vec::new(),
        }
    }

    /// The item of that name.
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }
}

/// Expected range of `n` normal deviates over their standard deviation, for n from 2 to 6 (constant d2 of control charts).
const RANGE_OVER_SD: [f64; 5] = [1.128, 1.693, 2.059, 2.326, 2.534];
/// Standard deviation taken for a single sample, of which nothing is known.
const UNKNOWN: f64 = 0.05;

impl Item {
    /// An item without further facts.
    pub fn new(name: impl Into<String>, samples_s: Vec<f64>) -> Self {
        Self { name: name.into(), samples_s, facts: serde_json::Map::new() }
    }

    /// The item with a fact.
    #[must_use]
    pub fn with(mut self, fact: &str, value: impl Into<serde_json::Value>) -> Self {
        self.facts.insert(fact.to_owned(), value.into());
        self
    }

    /// Median of the samples, s; 0 without any.
    pub fn median_s(&self) -> f64 {
        median(&self.samples_s)
    }

    /// Standard deviation of a single sample, relative to the median: from the range of up to six samples, from the median
    /// absolute deviation (times 1.4826) of more; 5 % of a single sample.
    pub fn spread(&self) -> f64 {
        let median_s = self.median_s();
        if median_s <= 0.0 {
            return 0.0;
        }
        let samples = &self.samples_s;
        match samples.len() {
            0 | 1 => UNKNOWN,
            n @ 2..=6 => {
                let (low, high) = samples.iter().fold((f64::MAX, 0.0f64), |(l, h), s| (l.min(*s), h.max(*s)));
                (high - low) / RANGE_OVER_SD[n - 2] / median_s
            }
            _ => {
                let apart: Vec<f64> = samples.iter().map(|s| (s - median_s).abs()).collect();
                1.4826 * median(&apart) / median_s
            }
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_of_few_and_many_samples() {
        assert_eq!(Item::new("a", vec![2.0]).spread(), 0.05);
        assert!((Item::new("a", vec![1.0, 1.1, 1.2]).spread() - 0.2 / 1.693 / 1.1).abs() < 1e-12);
        // One outlier among many does not count.
        let mut samples = vec![1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.0];
        samples.push(9.0);
        assert!(Item::new("a", samples).spread() < 0.03);
    }
}
