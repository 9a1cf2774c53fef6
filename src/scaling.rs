//! Scaling benchmarks: the same network on different numbers of threads, repeated, with medians and spike digests.

mod cost_model;

pub use cost_model::{CostModel, MeasuredRun, Prediction, Price};

use crate::config::RunSpec;
use crate::error::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// A scaling measurement to be made.
#[derive(Debug)]
pub struct Scaling<'a> {
    spec: &'a RunSpec,
    threads: Vec<usize>,
    repeats: usize,
    weak: bool,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether the network grew with the number of threads.
    pub weak: bool,
    /// One entry for each number of threads, in the order asked for.
    pub points: Vec<Point>,
}

/// Medians over the repeats with one number of threads.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// Number of threads.
    pub threads: usize,
    /// Neurons of the network.
    pub neurons: u64,
    /// Synapses of the network.
    pub synapses: u64,
    /// Seconds to build, median.
    pub build_s: f64,
    /// Seconds to simulate, median.
    pub sim_s: f64,
    /// Seconds to simulate of every repeat, in order.
    pub sim_all_s: Vec<f64>,
    /// Wall-clock time over biological time, median.
    pub real_time_factor: f64,
    /// Strong: seconds of the first entry over these. Weak: the same, times the growth of the network.
    pub speed_up: f64,
    /// Speed-up over the growth in threads.
    pub efficiency: f64,
    /// Mean over maximum of the workers' busy time: 1 is perfect balance.
    pub load_balance: f64,
    /// Median seconds of each phase.
    pub phases_s: BTreeMap<String, f64>,
    /// Digest of the spikes.
    pub spike_digest: String,
    /// Whether all repeats had the same digest.
    pub repeatable: bool,
}

impl Report {
    /// Whether the spikes were the same in every run (strong scaling), or in every repeat (weak scaling, where each
    /// number of threads has its own network).
    pub fn spikes_agree(&self) -> bool {
        let same = self.points.windows(2).all(|p| p[0].spike_digest == p[1].spike_digest);
        self.points.iter().all(|p| p.repeatable) && (self.weak || same)
    }
}

impl<'a> Scaling<'a> {
    /// The same network on different numbers of threads.
    pub fn strong(spec: &'a RunSpec) -> Self {
        Self { spec, threads: vec![1, 2], repeats: 3, weak: false }
    }

    /// A network that grows with the number of threads, so that the work of each stays the same.
    pub fn weak(spec: &'a RunSpec) -> Self {
        Self { weak: true, ..Self::strong(spec) }
    }

    /// Numbers of threads; the first is the reference.
    pub fn threads(mut self, threads: impl IntoIterator<Item = usize>) -> Self {
        self.threads = threads.into_iter().collect();
        self
    }

    /// Runs with each number of threads.
    pub fn repeats(mut self, repeats: usize) -> Self {
        self.repeats = repeats;
        self
    }

    /// Measures. Repeats alternate between the numbers of threads, so that a drift of the machine's speed meets all.
    ///
    /// # Errors
    /// If a run fails, or the network cannot grow (weak scaling).
    pub fn run(&self) -> Result<Report> {
        if self.threads.is_empty() || self.threads.contains(&0) || self.repeats == 0 {
            return Err(Error::Usage("scaling needs at least one thread and one repeat".to_owned()));
        }
        let first = self.threads[0];
        let mut specs = Vec::new();
        for threads in &self.threads {
            let mut spec = self.spec.clone();
            spec.run.threads = Some(*threads);
            if self.weak {
                spec.network = spec.network.grown(*threads as f64 / first as f64)?;
            }
            specs.push(spec);
        }
        let mut runs: Vec<Vec<crate::engine::Figures>> = vec![Vec::new(); specs.len()];
        for _ in 0..self.repeats {
            for (spec, runs) in specs.iter().zip(&mut runs) {
                let mut sim = spec.build()?;
                sim.run(spec.run.duration_ms)?;
                sim.finish()?;
                runs.push(sim.figures());
            }
        }
        let reference = median(runs[0].iter().map(|f| f.sim_s).collect());
        let points = self
            .threads
            .iter()
            .zip(&runs)
            .map(|(threads, runs)| {
                let sim_all_s: Vec<f64> = runs.iter().map(|f| f.sim_s).collect();
                let sim_s = median(sim_all_s.clone());
                let growth = *threads as f64 / first as f64;
                let speed_up = reference / sim_s * if self.weak { growth } else { 1.0 };
                let names: Vec<String> = runs[0].phases_s.keys().cloned().collect();
                Point {
                    threads: *threads,
                    neurons: runs[0].neurons,
                    synapses: runs[0].synapses,
                    build_s: median(runs.iter().map(|f| f.build_s).collect()),
                    sim_s,
                    sim_all_s,
                    real_time_factor: median(runs.iter().map(crate::engine::Figures::real_time_factor).collect()),
                    speed_up,
                    efficiency: speed_up / growth,
                    load_balance: median(runs.iter().map(|f| balance(&f.busy_s)).collect()),
                    phases_s: names
                        .into_iter()
                        .map(|name| {
                            let seconds = median(runs.iter().map(|f| f.phases_s[&name]).collect());
                            (name, seconds)
                        })
                        .collect(),
                    spike_digest: runs[0].spike_digest.clone(),
                    repeatable: runs.iter().all(|f| f.spike_digest == runs[0].spike_digest),
                }
            })
            .collect();
        Ok(Report { weak: self.weak, points })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:>7} {:>9} {:>12} {:>8} {:>8} {:>7} {:>8} {:>10} {:>8}  digest",
            "threads", "neurons", "synapses", "build s", "sim s", "rtf", "speed-up", "efficiency", "balance"
        )?;
        for p in &self.points {
            writeln!(
                f,
                "{:>7} {:>9} {:>12} {:>8.3} {:>8.3} {:>7.3} {:>8.2} {:>10.2} {:>8.2}  {}",
                p.threads,
                p.neurons,
                p.synapses,
                p.build_s,
                p.sim_s,
                p.real_time_factor,
                p.speed_up,
                p.efficiency,
                p.load_balance,
                p.spike_digest
            )?;
        }
        for p in &self.points {
            let phases: Vec<_> = p.phases_s.iter().map(|(name, s)| format!("{name} {s:.3} s")).collect();
            writeln!(f, "{:>7} threads: {}", p.threads, phases.join(", "))?;
        }
        write!(f, "spikes {}", if self.spikes_agree() { "agree" } else { "DIFFER" })
    }
}

fn balance(busy: &[f64]) -> f64 {
    let most = busy.iter().copied().fold(0.0, f64::max);
    if most == 0.0 { 1.0 } else { busy.iter().sum::<f64>() / busy.len() as f64 / most }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_balance() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(balance(&[1.0, 1.0]), 1.0);
        assert_eq!(balance(&[1.0, 3.0]), 2.0 / 3.0);
    }
}
