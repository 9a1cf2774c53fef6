//! Numbers about spike trains: rates, irregularity, correlation.
//!
//! A spike counts in a [`Window`] if `start < t <= stop`, since a spike of the step from `t - dt` to `t` bears the time
//! `t`: a run of 100 ms holds spikes up to and including 100 ms. Neurons without spikes count in every mean over
//! neurons unless stated otherwise.

use crate::error::{Error, Result};
use crate::storage::PopulationSpikes;

/// A stretch of time, ms; the start is outside, the end inside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    start: f64,
    stop: f64,
}

impl Window {
    /// The time from `start` to `stop`, ms.
    ///
    /// # Errors
    /// If a limit is not finite or the window is empty.
    pub fn new(start: f64, stop: f64) -> Result<Self> {
        if start.is_finite() && stop.is_finite() && start < stop {
            Ok(Self { start, stop })
        } else {
            Err(Error::invalid(
                "plot.window",
                format!("{start} to {stop} ms is no stretch of time; the start must be before the end, both finite"),
            ))
        }
    }

    /// From 0 to the last spike, rounded up to a full ms; 0 to 1000 ms if there is no spike after 0.
    ///
    /// Where the duration of the run is known, pass that instead: rates come out too high if a run ends in silence.
    pub fn of(populations: &[PopulationSpikes]) -> Self {
        let last = populations.iter().flat_map(|p| &p.times_ms).copied().filter(|t| t.is_finite()).fold(0.0, f64::max);
        Self { start: 0.0, stop: if last > 0.0 { last.ceil() } else { 1000.0 } }
    }

    /// Its start, ms.
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Its end, ms.
    pub fn stop(&self) -> f64 {
        self.stop
    }

    /// Its length, ms.
    pub fn length(&self) -> f64 {
        self.stop - self.start
    }

    /// Whether a spike at `t` ms counts.
    pub fn contains(&self, t: f64) -> bool {
        self.start < t && t <= self.stop
    }

    /// Bin of a spike at `t` ms, for bins of `width` ms from the start; the end of a bin belongs to it.
    fn bin(&self, t: f64, width: f64) -> usize {
        // Times are multiples of dt and carry rounding errors; a bin's end must not slip into the next.
        (((t - self.start) / width - 1e-9).ceil() - 1.0).max(0.0) as usize
    }

    /// Number of bins of `width` ms that cover the window; the last one may be shorter.
    fn bins(&self, width: f64) -> usize {
        ((self.length() / width - 1e-9).ceil() as usize).max(1)
    }
}

/// Number of neurons of a population; if the file did not say, one more than the highest index that fired.
pub fn neurons(spikes: &PopulationSpikes) -> u32 {
    let seen = spikes.ids.iter().max().map_or(0, |id| id.saturating_add(1));
    spikes.size.max(seen)
}

/// Times and neurons of the spikes in a window.
fn within(spikes: &PopulationSpikes, window: Window) -> impl Iterator<Item = (f64, u32)> {
    spikes.times_ms.iter().copied().zip(spikes.ids.iter().copied()).filter(move |(t, _)| window.contains(*t))
}

/// Spikes in a window per neuron.
pub fn spike_counts(spikes: &PopulationSpikes, window: Window) -> Vec<u32> {
    let mut counts = vec![0; neurons(spikes) as usize];
    for (_, id) in within(spikes, window) {
        counts[id as usize] += 1;
    }
    counts
}

/// Mean rate over all neurons of the population, Hz; 0 for a population without neurons.
pub fn mean_rate_hz(spikes: &PopulationSpikes, window: Window) -> f64 {
    match neurons(spikes) {
        0 => 0.0,
        n => within(spikes, window).count() as f64 / f64::from(n) / (window.length() * 1e-3),
    }
}

/// Rate of each neuron, Hz.
pub fn neuron_rates_hz(spikes: &PopulationSpikes, window: Window) -> Vec<f64> {
    let seconds = window.length() * 1e-3;
    spike_counts(spikes, window).into_iter().map(|n| f64::from(n) / seconds).collect()
}

/// Rate of the population over time: for each bin of `bin_ms` the mean over its neurons, Hz.
///
/// The last bin ends with the window and may be shorter; its rate refers to its own length.
///
/// # Panics
/// If `bin_ms` is not positive.
pub fn population_rate_hz(spikes: &PopulationSpikes, window: Window, bin_ms: f64) -> Vec<f64> {
    assert!(bin_ms > 0.0, "bins of {bin_ms} ms; they must be longer than 0");
    let bins = window.bins(bin_ms);
    let mut counts = vec![0u64; bins];
    for (t, _) in within(spikes, window) {
        counts[window.bin(t, bin_ms).min(bins - 1)] += 1;
    }
    let n = f64::from(neurons(spikes).max(1));
    counts
        .into_iter()
        .enumerate()
        .map(|(i, count)| {
            let left = window.length() - i as f64 * bin_ms;
            let width = if left < bin_ms * (1.0 - 1e-9) { left } else { bin_ms };
            count as f64 / n / (width * 1e-3)
        })
        .collect()
}

/// Spike times in a window, neuron by neuron.
#[derive(Debug, Clone, PartialEq)]
pub struct Trains {
    /// Where the times of neuron `i` begin; one entry more than neurons.
    starts: Vec<usize>,
    times: Vec<f64>,
}

impl Trains {
    /// Sorts spikes by neuron; the times of each neuron stay in their order.
    pub fn new(spikes: &PopulationSpikes, window: Window) -> Self {
        let counts = spike_counts(spikes, window);
        let mut starts = Vec::with_capacity(counts.len() + 1);
        let mut total = 0usize;
        for count in counts {
            starts.push(total);
            total += count as usize;
        }
        let mut next = starts.clone();
        starts.push(total);
        let mut times = vec![0.0; total];
        for (t, id) in within(spikes, window) {
            times[next[id as usize]] = t;
            next[id as usize] += 1;
        }
        Self { starts, times }
    }

    /// Number of neurons.
    pub fn neurons(&self) -> usize {
        self.starts.len() - 1
    }

    /// Spike times of one neuron, ms, ascending.
    ///
    /// # Panics
    /// If there is no such neuron.
    pub fn of(&self, neuron: usize) -> &[f64] {
        &self.times[self.starts[neuron]..self.starts[neuron + 1]]
    }

    /// Spike times of every neuron in order.
    pub fn iter(&self) -> impl Iterator<Item = &[f64]> {
        self.starts.windows(2).map(|w| &self.times[w[0]..w[1]])
    }
}

/// Coefficient of variation of a neuron's interspike intervals: their standard deviation (over n) by their mean.
///
/// 0 for a clock, 1 for a Poisson process. None with fewer than three spikes, and if all came at one time.
pub fn isi_cv(times_ms: &[f64]) -> Option<f64> {
    if times_ms.len() < 3 {
        return None;
    }
    let n = (times_ms.len() - 1) as f64;
    let mean = (times_ms[times_ms.len() - 1] - times_ms[0]) / n;
    let variance = times_ms.windows(2).map(|w| (w[1] - w[0] - mean) * (w[1] - w[0] - mean)).sum::<f64>() / n;
    (mean > 0.0).then(|| variance.sqrt() / mean)
}

/// [`isi_cv`] of each neuron; None for those with fewer than three spikes in the window.
pub fn isi_cvs(spikes: &PopulationSpikes, window: Window) -> Vec<Option<f64>> {
    Trains::new(spikes, window).iter().map(isi_cv).collect()
}

/// How many interspike intervals of all neurons fall into each of `bins` bins of `bin_ms` from 0; longer ones are left
/// out. Bin `i` holds the intervals with `i * bin_ms <= interval < (i + 1) * bin_ms`.
///
/// # Panics
/// If `bin_ms` is not positive.
pub fn isi_histogram(spikes: &PopulationSpikes, window: Window, bin_ms: f64, bins: usize) -> Vec<u64> {
    assert!(bin_ms > 0.0, "bins of {bin_ms} ms; they must be longer than 0");
    let mut counts = vec![0; bins];
    for train in Trains::new(spikes, window).iter() {
        for pair in train.windows(2) {
            // An interval of two steps of 0.1 ms may come out as 0.1999...; it belongs to the bin from 0.2.
            let bin = ((pair[1] - pair[0]) / bin_ms + 1e-9).floor();
            if bin < bins as f64 {
                counts[bin as usize] += 1;
            }
        }
    }
    counts
}

/// Pearson correlation of two series of counts; None if one is constant or they differ in length.
pub fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let (a, b) = (standardised(a)?, standardised(b)?);
    Some(a.iter().zip(&b).map(|(a, b)| a * b).sum())
}

/// The series less its mean, scaled to unit length; None if it is constant.
fn standardised(series: &[f64]) -> Option<Vec<f64>> {
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    let length = series.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>().sqrt();
    (length > 0.0).then(|| series.iter().map(|v| (v - mean) / length).collect())
}

/// Mean Pearson correlation of spike counts in bins of `bin_ms`, over all pairs of neurons of the population whose
/// counts vary; None with fewer than two such neurons.
///
/// A last bin that the window cuts short is left out. The cost is neurons times bins, not pairs: for unit vectors
/// `z_i` the sum over ordered pairs of `z_i · z_j` is `|sum of z_i|^2` less the number of neurons.
///
/// # Panics
/// If `bin_ms` is not positive.
pub fn spike_count_correlation(spikes: &PopulationSpikes, window: Window, bin_ms: f64) -> Option<f64> {
    assert!(bin_ms > 0.0, "bins of {bin_ms} ms; they must be longer than 0");
    let bins = (window.length() / bin_ms + 1e-9).floor() as usize;
    let mut sum = vec![0.0; bins];
    let mut counts = vec![0.0; bins];
    let mut n = 0.0;
    for train in Trains::new(spikes, window).iter().filter(|t| !t.is_empty()) {
        counts.fill(0.0);
        for t in train {
            if let Some(count) = counts.get_mut(window.bin(*t, bin_ms)) {
                *count += 1.0;
            }
        }
        if let Some(z) = standardised(&counts) {
            n += 1.0;
            for (s, z) in sum.iter_mut().zip(z) {
                *s += z;
            }
        }
    }
    (n > 1.0).then(|| (sum.iter().map(|s| s * s).sum::<f64>() - n) / (n * (n - 1.0)))
}

/// Mean of values; None if there are none.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spikes(size: u32, events: &[(f64, u32)]) -> PopulationSpikes {
        PopulationSpikes {
            name: "p".into(),
            size,
            times_ms: events.iter().map(|e| e.0).collect(),
            ids: events.iter().map(|e| e.1).collect(),
        }
    }

    fn window(start: f64, stop: f64) -> Window {
        Window::new(start, stop).unwrap()
    }

    #[test]
    fn windows_take_their_end_and_not_their_start() {
        let w = window(10.0, 20.0);
        assert!(
            !w.contains(10.0) && w.contains(10.1) && w.contains(20.0) && !w.contains(20.1) && !w.contains(f64::NAN)
        );
        assert!(Window::new(5.0, 5.0).unwrap_err().to_string().contains("5 to 5 ms"));
        assert!(Window::new(0.0, f64::INFINITY).is_err());
        assert_eq!(Window::of(&[]), window(0.0, 1000.0));
        assert_eq!(Window::of(&[spikes(1, &[(1.0, 0), (99.3, 0)])]), window(0.0, 100.0));
    }

    #[test]
    fn rates_are_spikes_per_neuron_and_second() {
        // Three spikes of four neurons in 500 ms: 3 / 4 / 0.5 = 1.5 Hz; the spike at 600 ms is outside.
        let s = spikes(4, &[(100.0, 0), (200.0, 0), (500.0, 2), (600.0, 3)]);
        let w = window(0.0, 500.0);
        assert_eq!(mean_rate_hz(&s, w), 1.5);
        assert_eq!(neuron_rates_hz(&s, w), [4.0, 0.0, 2.0, 0.0]);
        assert_eq!(mean_rate_hz(&spikes(0, &[]), w), 0.0);
        assert_eq!(neurons(&spikes(0, &[(1.0, 6)])), 7);
    }

    #[test]
    fn bins_hold_their_end_despite_rounding() {
        // 0.1 + 0.2 is 0.30000000000000004, the end of the third bin of 0.1 ms.
        let s = spikes(1, &[(0.1, 0), (0.1 + 0.2, 0), (0.4, 0)]);
        assert_eq!(population_rate_hz(&s, window(0.0, 0.4), 0.1), [10_000.0, 0.0, 10_000.0, 10_000.0]);
        // Ten ms in bins of 4 ms: the last has 2 ms, one spike of two neurons there is 250 Hz.
        let s = spikes(2, &[(4.0, 0), (9.0, 1)]);
        let rates = population_rate_hz(&s, window(0.0, 10.0), 4.0);
        assert_eq!(rates, [125.0, 0.0, 250.0]);
    }

    #[test]
    fn cv_of_known_intervals() {
        assert_eq!(isi_cv(&[10.0, 20.0, 30.0, 40.0]), Some(0.0));
        // Intervals 10 and 30: mean 20, standard deviation 10.
        assert_eq!(isi_cv(&[0.0, 10.0, 40.0]), Some(0.5));
        assert_eq!(isi_cv(&[0.0, 10.0]), None);
        assert_eq!(isi_cv(&[5.0, 5.0, 5.0]), None);
        let s = spikes(2, &[(1.0, 0), (11.0, 0), (20.0, 1), (41.0, 0)]);
        assert_eq!(isi_cvs(&s, window(0.0, 100.0)), [Some(0.5), None]);
    }

    #[test]
    fn cv_of_a_poisson_process_is_near_one() {
        let key = crate::rng::Key::new(7, crate::rng::Purpose::Poisson, 0);
        let mut t = 0.0;
        let times: Vec<f64> = (0..20_000)
            .map(|i| {
                t -= 10.0 * libm::log(crate::rng::unit(key.words([i, 0, 0, 0])[0]));
                t
            })
            .collect();
        let cv = isi_cv(&times).unwrap();
        assert!((cv - 1.0).abs() < 0.03, "{cv}");
    }

    #[test]
    fn intervals_are_counted_neuron_by_neuron() {
        let s = spikes(2, &[(1.0, 0), (2.0, 1), (3.0, 0), (6.0, 1), (6.0, 0), (90.0, 0)]);
        // Neuron 0: 2, 3, 84 ms; neuron 1: 4 ms.
        assert_eq!(isi_histogram(&s, window(0.0, 100.0), 2.0, 3), [0, 2, 1]);
        let trains = Trains::new(&s, window(0.0, 100.0));
        assert_eq!((trains.neurons(), trains.of(1)), (2, &[2.0, 6.0][..]));
    }

    #[test]
    fn correlation_of_known_series() {
        assert!((correlation(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]).unwrap() - 1.0).abs() < 1e-12);
        assert!((correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]).unwrap() + 1.0).abs() < 1e-12);
        // Deviations (-1, 0, 1) and (-1, 1, 0): 1 / sqrt(2 * 2) = 0.5.
        assert!((correlation(&[1.0, 2.0, 3.0], &[0.0, 2.0, 1.0]).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(correlation(&[1.0, 1.0], &[0.0, 2.0]), None);
    }

    #[test]
    fn count_correlation_is_the_mean_over_pairs() {
        // Counts in bins of 10 ms: neuron 0 (1 0 1 0), neuron 1 (1 0 1 0), neuron 2 (0 1 0 1), neuron 3 silent.
        let s = spikes(4, &[(5.0, 0), (6.0, 1), (15.0, 2), (25.0, 0), (30.0, 1), (40.0, 2)]);
        let c = spike_count_correlation(&s, window(0.0, 40.0), 10.0).unwrap();
        // Pairs: +1, -1, -1.
        assert!((c + 1.0 / 3.0).abs() < 1e-12, "{c}");
        assert_eq!(spike_count_correlation(&spikes(3, &[(1.0, 0)]), window(0.0, 40.0), 10.0), None);
    }
}
