//! Comparison with a baseline: which items changed by more than the noise.

use super::measurements::{Item, Measurements};
use crate::metrics::seconds;
use serde::Serialize;

/// Changes of the median below this are never told: layouts of code and memory move it that much.
const LEAST: f64 = 0.03;
/// Standard deviations that a change has to exceed.
const DEVIATIONS: f64 = 3.0;

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Slower by more than the bound.
    Slower,
    /// Faster by more than the bound.
    Faster,
    /// Within the bound.
    Same,
    /// Not in the baseline.
    New,
    /// In the baseline only.
    Gone,
}

/// One item beside its baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The item.
    pub name: String,
    /// Median in the baseline, s.
    pub before_s: Option<f64>,
    /// Median now, s.
    pub now_s: Option<f64>,
    /// Median now over that of the baseline.
    pub ratio: Option<f64>,
    /// How far the ratio may be from 1 by noise alone.
    pub bound: f64,
    /// What follows.
    pub verdict: Verdict,
    /// Facts whose values differ, such as digests of spikes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts_differ: Vec<String>,
}

/// All items beside their baseline.
///
/// The rule: an item changed if the ratio of the medians, or its inverse, exceeds 1 by more than the larger of 3 % and
/// three standard deviations of the ratio of two single samples, `3 sqrt(s0^2 + s1^2)`, with the relative spreads `s` as
/// [`Item::spread`] takes them from the repeats. Medians scatter less than single samples, so the bound leaves room for
/// what moves all repeats of a session together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the baseline.
    pub baseline: String,
    /// When the baseline was made.
    pub made: String,
    /// What differs between the machines; times then say little about the program.
    pub machine_differs: Option<String>,
    /// The items, in the order of the new measurements; then those that are gone.
    pub changes: Vec<Change>,
}

/// The bound of the rule.
fn bound(before: &Item, now: &Item) -> f64 {
    (DEVIATIONS * before.spread().hypot(now.spread())).max(LEAST)
}

fn compare(before: &Item, now: &Item) -> Change {
    let bound = bound(before, now);
    let (before_s, now_s) = (before.median_s(), now.median_s());
    let ratio = now_s / before_s;
    let verdict = match ratio {
        ratio if ratio > 1.0 + bound => Verdict::Slower,
        ratio if 1.0 / ratio > 1.0 + bound => Verdict::Faster,
        _ => Verdict::Same,
    };
    let differs = |(fact, value): &(&String, &serde_json::Value)| before.facts.get(*fact).is_some_and(|b| b != *value);
    let facts_differ = now.facts.iter().filter(differs).map(|(fact, _)| fact.clone()).collect();
    let name = now.name.clone();
    Change { name, before_s: Some(before_s), now_s: Some(now_s), ratio: Some(ratio), bound, verdict, facts_differ }
}

impl Comparison {
    /// Compares measurements with a baseline of that name.
    pub fn new(name: &str, before: &Measurements, now: &Measurements) -> Self {
        let alone = |item: &Item, verdict| Change {
            name: item.name.clone(),
            before_s: (verdict == Verdict::Gone).then(|| item.median_s()),
            now_s: (verdict == Verdict::New).then(|| item.median_s()),
            ratio: None,
            bound: 0.0,
            verdict,
            facts_differ: Vec::new(),
        };
        let mut changes: Vec<Change> = now
            .items
            .iter()
            .map(|item| before.item(&item.name).map_or_else(|| alone(item, Verdict::New), |b| compare(b, item)))
            .collect();
        let gone = before.items.iter().filter(|item| now.item(&item.name).is_none());
        changes.extend(gone.map(|item| alone(item, Verdict::Gone)));
        let told = |m: &Measurements| format!("{}, {} cores, {}", m.machine.cpu, m.machine.cores, m.isa);
        let (was, is) = (told(before), told(now));
        let machine_differs = (was != is).then(|| format!("the baseline is of {was}; this is {is}"));
        Self { baseline: name.to_owned(), made: before.made.clone(), machine_differs, changes }
    }

    /// Number of items with a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.changes.iter().filter(|change| change.verdict == verdict).count()
    }

    /// The change of an item.
    pub fn change(&self, name: &str) -> Option<&Change> {
        self.changes.iter().find(|change| change.name == name)
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "against baseline `{}` of {}", self.baseline, self.made)?;
        if let Some(differs) = &self.machine_differs {
            writeln!(f, "another machine: {differs}")?;
        }
        writeln!(f, "{:<36} {:>11} {:>11} {:>8} {:>8}", "", "before", "now", "change", "noise")?;
        for change in &self.changes {
            let time = |s: Option<f64>| s.map_or_else(|| "-".to_owned(), seconds);
            let percent =
                change.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:+.1}%", (ratio - 1.0) * 100.0));
            write!(f, "{:<36} {:>11} {:>11} {percent:>8}", change.name, time(change.before_s), time(change.now_s))?;
            write!(f, " {:>7.1}%", change.bound * 100.0)?;
            match change.verdict {
                Verdict::Slower => write!(f, "  SLOWER")?,
                Verdict::Faster => write!(f, "  faster")?,
                Verdict::New => write!(f, "  new")?,
                Verdict::Gone => write!(f, "  gone")?,
                Verdict::Same => {}
            }
            for fact in &change.facts_differ {
                write!(f, "  {fact} differs")?;
            }
            writeln!(f)?;
        }
        let [slower, faster, same] =
            [Verdict::Slower, Verdict::Faster, Verdict::Same].map(|verdict| self.count(verdict));
        write!(f, "{slower} slower, {faster} faster, {same} within noise")
    }
}

#[cfg(test)]
mod tests {
    use super::super::measurements::Kind;
    use super::*;

    fn measured(items: &[(&str, &[f64])]) -> Measurements {
        let items = items.iter().map(|(name, samples)| Item::new(*name, samples.to_vec())).collect();
        Measurements { items, ..Measurements::now(Kind::Run, "avx2") }
    }

    #[test]
    fn changes_beyond_the_noise_are_told() {
        let before = measured(&[
            ("quiet", &[1.0, 1.001, 0.999]),
            ("noisy", &[1.0, 1.3, 0.8]),
            ("small", &[1.0, 1.0, 1.0]),
            ("gone", &[1.0]),
        ]);
        let now = measured(&[
            ("quiet", &[1.05, 1.051, 1.049]),
            ("noisy", &[1.3, 1.5, 1.1]),
            ("small", &[1.02, 1.02, 1.02]),
            ("fresh", &[2.0]),
        ]);
        let forward = Comparison::new("b", &before, &now);
        let verdicts: Vec<Verdict> = forward.changes.iter().map(|change| change.verdict).collect();
        assert_eq!(verdicts, [Verdict::Slower, Verdict::Same, Verdict::Same, Verdict::New, Verdict::Gone]);
        assert!(forward.to_string().ends_with("1 slower, 0 faster, 2 within noise"), "{forward}");
        let back = Comparison::new("b", &now, &before);
        assert_eq!(back.change("quiet").unwrap().verdict, Verdict::Faster);
        assert_eq!((back.count(Verdict::Slower), back.machine_differs), (0, None));
    }

    #[test]
    fn other_machines_and_other_facts_are_told() {
        let before = measured(&[("a", &[1.0])]);
        let mut now = measured(&[("a", &[1.0])]);
        now.isa = "neon".to_owned();
        now.items[0] = now.items[0].clone().with("digest", "1");
        let mut older = before.clone();
        older.items[0] = older.items[0].clone().with("digest", "2");
        let comparison = Comparison::new("b", &older, &now);
        assert!(comparison.machine_differs.is_some());
        assert_eq!(comparison.changes[0].facts_differ, ["digest"]);
    }
}
