//! What a step costs, fitted to measured phases, and what that predicts for more threads.
//!
//! Every phase is taken to be a sum of a few kinds of work, each with a price:
//!
//! | phase | work |
//! |---|---|
//! | update | neuron-steps, weighted by the cost of their model; visits of a shard (one a shard and step) |
//! | deliver | events; segments (synapses of a spike with the same target shard and delay) |
//! | exchange | spikes read, once by every shard; segments |
//! | barrier | steps times the binary logarithm of the number of threads |
//!
//! Prices are those that make the sum of squared relative errors over all runs smallest, none below zero. Runs differ in
//! threads and in shards, which is what tells events from segments. How many segments there are with another number of
//! shards follows from the runs too: `k` synapses of a source fall into `S D` cells of shard and delay, of which
//! `S D (1 - exp(-k / (S D)))` are not empty; `D` is fitted.
//!
//! A prediction knows nothing of memory that is shared by more cores, of sockets, and of clocks that fall when more cores
//! are at work.

use super::median;
use crate::config::RunSpec;
use crate::engine::Figures;
use crate::error::{Error, Result};
use crate::model::BrainModel;
use serde::Serialize;

/// Shards for each thread that are measured.
const SHARDS_A_THREAD: [usize; 4] = [1, 2, 4, 8];
/// Numbers of threads that are predicted.
const PREDICTED: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// The phases that are fitted, and the kinds of work in each.
const PHASES: [(&str, &[&str]); 3] = [
    ("update", &["neuron-step", "shard-step"]),
    ("deliver", &["event", "segment"]),
    ("exchange", &["spike and shard", "segment"]),
];

/// A fitted model, with the runs it was fitted to and what it predicts.
#[derive(Debug, Clone, Serialize)]
pub struct CostModel {
    /// Prices.
    pub prices: Vec<Price>,
    /// Delays a source's synapses are spread over, effectively.
    pub delays: f64,
    /// Every measured run.
    pub runs: Vec<MeasuredRun>,
    /// What is predicted for as many shards as threads; not measured.
    pub predictions: Vec<Prediction>,
}

/// The price of a kind of work.
#[derive(Debug, Clone, Serialize)]
pub struct Price {
    /// Phase of a step.
    pub phase: &'static str,
    /// Kind of work.
    pub work: &'static str,
    /// Nanoseconds of one thread for each unit.
    pub ns: f64,
}

/// A run: medians over its repeats.
#[derive(Debug, Clone, Serialize)]
pub struct MeasuredRun {
    /// Threads.
    pub threads: usize,
    /// Shards.
    pub shards: usize,
    /// Segments delivered.
    pub segments: u64,
    /// Synaptic events delivered.
    pub events: u64,
    /// Measured seconds of update, deliver and exchange, mean over the threads, and of the barrier.
    pub measured_s: [f64; 4],
    /// The same as the model has them.
    pub fitted_s: [f64; 4],
}

impl MeasuredRun {
    /// The model's sum over that measured, less 1.
    pub fn residual(&self) -> f64 {
        self.fitted_s.iter().sum::<f64>() / self.measured_s.iter().sum::<f64>() - 1.0
    }
}

/// What the model says of a number of threads.
#[derive(Debug, Clone, Serialize)]
pub struct Prediction {
    /// Threads and shards.
    pub threads: usize,
    /// Seconds of update, deliver, exchange and barrier.
    pub seconds: [f64; 4],
    /// Wall-clock time over biological time.
    pub real_time_factor: f64,
    /// Over one thread, as predicted.
    pub speed_up: f64,
}

/// What a run did, whatever its threads.
#[derive(Debug, Clone, Copy)]
struct Work {
    steps: f64,
    neuron_steps: f64,
    spikes: f64,
    events: f64,
}

impl Work {
    /// Units of each kind of work of a phase.
    fn units(&self, phase: usize, shards: f64, segments: f64) -> Vec<f64> {
        match phase {
            0 => vec![self.neuron_steps, shards * self.steps],
            1 => vec![self.events, segments],
            _ => vec![self.spikes * shards, segments],
        }
    }
}

impl CostModel {
    /// Runs a network on the given numbers of threads, each with one shard a thread and with more, and fits the model.
    ///
    /// # Errors
    /// If a run fails, or nothing is to be measured.
    pub fn measure(spec: &RunSpec, threads: &[usize], repeats: usize) -> Result<Self> {
        if threads.is_empty() || threads.contains(&0) || repeats == 0 {
            return Err(Error::Usage("a cost model needs at least one thread and one repeat".to_owned()));
        }
        let mut plans: Vec<(usize, usize)> = Vec::new();
        for threads in threads {
            plans.extend(SHARDS_A_THREAD.iter().map(|more| (*threads, threads * more)));
        }
        let model = BrainModel::build(&spec.network, spec.run.seed)?;
        let cost: f64 = model.populations().iter().map(|p| f64::from(p.size()) * p.model().cost()).sum();
        drop(model);
        let mut all: Vec<Vec<Figures>> = vec![Vec::new(); plans.len()];
        for _ in 0..repeats {
            for ((threads, shards), figures) in plans.iter().zip(&mut all) {
                let mut spec = spec.clone();
                spec.run.threads = Some(*threads);
                spec.run.cut.shards = Some(*shards);
                spec.run.cut.rebalance = None;
                let mut sim = spec.build()?;
                sim.run(spec.run.duration_ms)?;
                sim.finish()?;
                figures.push(sim.figures());
            }
        }
        let first = &all[0][0];
        let steps = (first.simulated_ms / spec.run.dt_ms).round();
        let work = Work {
            steps,
            neuron_steps: cost * steps,
            spikes: first.spikes as f64,
            events: first.synaptic_events as f64,
        };
        let seconds = |runs: &[Figures], name: &str| {
            median(runs.iter().map(|f| f.phases_s.get(name).copied().unwrap_or(0.0)).collect())
        };
        let runs = plans.iter().zip(&all).map(|((threads, shards), figures)| {
            // Waiting is what the barrier costs and what others still have to do; only the first is the barrier's.
            let barrier = figures.iter().map(|f| {
                let mean = f.busy_s.iter().sum::<f64>() / f.busy_s.len().max(1) as f64;
                let most = f.busy_s.iter().copied().fold(0.0, f64::max);
                (f.phases_s.get("wait").copied().unwrap_or(0.0) - (most - mean)).max(0.0)
            });
            let measured_s = [
                seconds(figures, PHASES[0].0),
                seconds(figures, PHASES[1].0),
                seconds(figures, PHASES[2].0),
                median(barrier.collect()),
            ];
            MeasuredRun {
                threads: *threads,
                shards: *shards,
                segments: figures[0].segments,
                events: figures[0].synaptic_events,
                measured_s,
                fitted_s: [0.0; 4],
            }
        });
        Ok(Self::fit(work, first.simulated_ms, runs.collect()))
    }

    fn fit(work: Work, simulated_ms: f64, mut runs: Vec<MeasuredRun>) -> Self {
        let mut prices = Vec::new();
        let mut by_phase = Vec::new();
        for (phase, (name, kinds)) in PHASES.iter().enumerate() {
            let rows: Vec<(Vec<f64>, f64)> = runs
                .iter()
                .map(|run| {
                    let units = work.units(phase, run.shards as f64, run.segments as f64);
                    (units, run.measured_s[phase] * run.threads as f64)
                })
                .collect();
            let fitted = non_negative_least_squares(&rows);
            prices.extend(kinds.iter().zip(&fitted).map(|(work, s)| Price { phase: name, work, ns: s * 1e9 }));
            by_phase.push(fitted);
        }
        let several = runs.iter().filter(|run| run.threads > 1);
        let rows: Vec<(Vec<f64>, f64)> =
            several.map(|run| (vec![work.steps * (run.threads as f64).log2()], run.measured_s[3])).collect();
        let barrier = non_negative_least_squares(&rows).first().copied().unwrap_or(0.0);
        prices.push(Price { phase: "barrier", work: "step and doubling of threads", ns: barrier * 1e9 });
        let seconds = |threads: usize, shards: usize, segments: f64| -> [f64; 4] {
            std::array::from_fn(|phase| match by_phase.get(phase) {
                Some(prices) => {
                    let units = work.units(phase, shards as f64, segments);
                    units.iter().zip(prices).map(|(n, s)| n * s).sum::<f64>() / threads as f64
                }
                None => barrier * work.steps * (threads as f64).log2(),
            })
        };
        for run in &mut runs {
            run.fitted_s = seconds(run.threads, run.shards, run.segments as f64);
        }
        let a_spike = work.events / work.spikes.max(1.0);
        let delays =
            effective_delays(a_spike, runs.iter().map(|r| (r.shards as f64, r.segments as f64 / work.spikes.max(1.0))));
        let alone = seconds(1, 1, work.spikes * cells(a_spike, delays)).iter().sum::<f64>();
        let predictions = PREDICTED.iter().map(|threads| {
            let segments = work.spikes * cells(a_spike, *threads as f64 * delays);
            let seconds = seconds(*threads, *threads, segments);
            let sum: f64 = seconds.iter().sum();
            let speed_up = if sum > 0.0 { alone / sum } else { 0.0 };
            Prediction { threads: *threads, seconds, real_time_factor: sum * 1e3 / simulated_ms, speed_up }
        });
        Self { prices, delays, predictions: predictions.collect(), runs }
    }
}

/// Cells of `n` that are not empty when `k` things fall into them at random.
fn cells(k: f64, n: f64) -> f64 {
    if n > 0.0 { n * -(-k / n).exp_m1() } else { 0.0 }
}

/// The number of delays that gives the segments a spike that were counted with these numbers of shards (geometric mean).
fn effective_delays(k: f64, counted: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for (shards, segments) in counted {
        let (mut low, mut high) = (1e-3f64, 1e5f64);
        for _ in 0..100 {
            let middle = (low * high).sqrt();
            *if cells(k, shards * middle) < segments { &mut low } else { &mut high } = middle;
        }
        sum += low.ln();
        count += 1;
    }
    if count > 0 { (sum / f64::from(count)).exp() } else { 1.0 }
}

/// The non-negative factors for which the relative errors of `rows` (units, result) have the least sum of squares. What
/// would come out negative is left out and the rest fitted again.
fn non_negative_least_squares(rows: &[(Vec<f64>, f64)]) -> Vec<f64> {
    let count = rows.first().map_or(0, |(units, _)| units.len());
    let mut kept: Vec<usize> = (0..count).collect();
    loop {
        let solved = least_squares(rows, &kept);
        let lowest = (0..kept.len()).filter(|i| solved[*i] < 0.0).min_by(|a, b| {
            // What matters is how much time a factor takes away.
            let size = |i: usize| solved[i] * rows.iter().map(|(units, _)| units[kept[i]]).sum::<f64>();
            size(*a).total_cmp(&size(*b))
        });
        match lowest {
            Some(i) => drop(kept.remove(i)),
            None => {
                let mut all = vec![0.0; count];
                kept.iter().zip(&solved).for_each(|(k, x)| all[*k] = *x);
                return all;
            }
        }
    }
}

/// Least squares over the columns `kept`, by the normal equations of scaled columns; columns without a part of their own
/// get 0.
fn least_squares(rows: &[(Vec<f64>, f64)], kept: &[usize]) -> Vec<f64> {
    let rows: Vec<Vec<f64>> =
        rows.iter().filter(|(_, y)| *y > 0.0).map(|(units, y)| kept.iter().map(|k| units[*k] / y).collect()).collect();
    let n = kept.len();
    let norms: Vec<f64> = (0..n).map(|i| rows.iter().map(|r| r[i] * r[i]).sum::<f64>().sqrt()).collect();
    let scaled = |r: &Vec<f64>, i: usize| if norms[i] > 0.0 { r[i] / norms[i] } else { 0.0 };
    let mut system: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut row: Vec<f64> = (0..n).map(|j| rows.iter().map(|r| scaled(r, i) * scaled(r, j)).sum()).collect();
            row.push(rows.iter().map(|r| scaled(r, i)).sum());
            row
        })
        .collect();
    let mut free = vec![false; n];
    for column in 0..n {
        let pivot = (column..n).max_by(|a, b| system[*a][column].abs().total_cmp(&system[*b][column].abs()));
        let Some(pivot) = pivot else { break };
        system.swap(column, pivot);
        if system[column][column].abs() < 1e-9 {
            free[column] = true;
            continue;
        }
        let lead = system[column].clone();
        for (_, row) in system.iter_mut().enumerate().filter(|(row, _)| *row != column) {
            let factor = row[column] / lead[column];
            row.iter_mut().zip(&lead).for_each(|(x, of_lead)| *x -= factor * of_lead);
        }
    }
    (0..n).map(|i| if free[i] || norms[i] == 0.0 { 0.0 } else { system[i][n] / system[i][i] / norms[i] }).collect()
}

impl std::fmt::Display for CostModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "cost model, fitted by least squares to {} kinds of runs", self.runs.len())?;
        for Price { phase, work, ns } in &self.prices {
            writeln!(f, "  {phase:<9} {ns:>10.3} ns for each {work}")?;
        }
        writeln!(f, "  synapses of a source are spread over {:.1} delays, effectively", self.delays)?;
        writeln!(
            f,
            "{:>7} {:>6} {:>14} {:>10} {:>10} {:>8}",
            "threads", "shards", "events/segment", "measured s", "model s", "residual"
        )?;
        for run in &self.runs {
            writeln!(
                f,
                "{:>7} {:>6} {:>14.1} {:>10.4} {:>10.4} {:>7.1}%",
                run.threads,
                run.shards,
                run.events as f64 / run.segments.max(1) as f64,
                run.measured_s.iter().sum::<f64>(),
                run.fitted_s.iter().sum::<f64>(),
                run.residual() * 100.0
            )?;
        }
        writeln!(f, "predicted, not measured; shared memory bandwidth and clocks are not in the model")?;
        write!(
            f,
            "{:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "threads", "update", "deliver", "exchange", "barrier", "rtf", "speed-up"
        )?;
        for p in &self.predictions {
            let [update, deliver, exchange, barrier] = p.seconds;
            write!(
                f,
                "\n{:>7} {update:>8.4} {deliver:>8.4} {exchange:>8.4} {barrier:>8.4} {:>8.4} {:>8.2}",
                p.threads, p.real_time_factor, p.speed_up
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_that_made_the_times_are_found_again() {
        let work = Work { steps: 1e4, neuron_steps: 7.7e8, spikes: 2.5e5, events: 9.7e8 };
        let (delays, a_spike) = (30.0, 9.7e8 / 2.5e5);
        let price = [[0.09e-9, 2e-6], [0.45e-9, 6e-9], [20e-9, 2e-9]];
        let mut runs = Vec::new();
        for threads in [1, 2] {
            for more in SHARDS_A_THREAD {
                let shards = threads * more;
                let segments = work.spikes * cells(a_spike, shards as f64 * delays);
                let mut measured_s = [0.0; 4];
                for phase in 0..3 {
                    let units = work.units(phase, shards as f64, segments.round());
                    let sum: f64 = units.iter().zip(price[phase]).map(|(n, s)| n * s).sum();
                    measured_s[phase] = sum / threads as f64;
                }
                measured_s[3] = 50e-9 * work.steps * (threads as f64).log2();
                let (segments, events) = (segments.round() as u64, 970_000_000);
                runs.push(MeasuredRun { threads, shards, segments, events, measured_s, fitted_s: [0.0; 4] });
            }
        }
        let model = CostModel::fit(work, 1000.0, runs);
        assert!((model.delays / delays - 1.0).abs() < 1e-3, "{}", model.delays);
        let expected = [0.09, 2e3, 0.45, 6.0, 20.0, 2.0, 50.0];
        for (price, expected) in model.prices.iter().zip(expected) {
            assert!((price.ns / expected - 1.0).abs() < 1e-3, "{price:?}, {expected}");
        }
        assert!(model.runs.iter().all(|run| run.residual().abs() < 1e-6));
        assert!(model.predictions.windows(2).all(|p| p[1].speed_up > 0.0));
        assert!(model.to_string().contains("predicted, not measured"));
    }

    #[test]
    fn nothing_costs_less_than_nothing() {
        let rows: Vec<(Vec<f64>, f64)> = (1..9).map(|i| (vec![f64::from(i), 1.0], f64::from(i) * 2.0 - 1.0)).collect();
        let found = non_negative_least_squares(&rows);
        assert!(found[1] == 0.0 && found[0] > 1.0 && found[0] < 2.0, "{found:?}");
    }
}
