//! From one random word to one value: inverse distribution functions by table.
//!
//! One word gives one value, without rejection, so that a value depends on its counter alone and whole arrays of
//! words can be turned into values side by side.

use super::Distribution;
use super::normal;
use crate::error::{Error, Result};
use crate::rng;
use std::sync::{Arc, OnceLock};

/// Cells an octave of the quantile table.
const CELLS_AN_OCTAVE: usize = 64;
/// Octaves from half a word to half the range of words.
const OCTAVES: usize = 32;
/// Cells of either half of the table.
const HALF: usize = CELLS_AN_OCTAVE * OCTAVES;
/// Bits of an `f64` below those that choose the cell.
const SHIFT: u32 = 52 - CELLS_AN_OCTAVE.trailing_zeros();
/// The chosen bits of 0.5, the smallest distance a word has from the end of the range.
const FIRST: u64 = 0.5f64.to_bits() >> SHIFT;
/// 2^32.
const WORDS: f64 = 4_294_967_296.0;

/// A distribution prepared for drawing: one 32-bit word to one value by the inverse distribution function.
///
/// Constant and uniform values are computed directly. Normal (also truncated) and log-normal ones come from a
/// table of straight lines whose cells halve with the distance to the nearer end of the range of words, 64 an
/// octave. The interpolation error is below 2e-5 standard deviations of the normal everywhere, tails included (for
/// the log-normal: of its logarithm, relative to the value). 32 bits reach 6.33 standard deviations.
#[derive(Debug, Clone)]
pub struct Sampler {
    law: Law,
    min: f64,
    max: f64,
    mean: f64,
    rms: f64,
}

#[derive(Debug, Clone)]
enum Law {
    Constant(f64),
    Uniform { low: f64, width: f64 },
    Table(Arc<Table>),
}

/// Line `i`: `intercept[i] + slope[i] * y`, where `y` is the word's distance to the nearer end plus one half.
/// The first half of the lines is for words below 2^31.
///
/// Invariant: both arrays have `2 * HALF` entries (their type).
#[derive(Debug)]
struct Table {
    intercept: [f64; 2 * HALF],
    slope: [f64; 2 * HALF],
}

impl Table {
    /// Lines through `quantile(u, 1 - u)` at the ends of the cells.
    fn new(quantile: impl Fn(f64, f64) -> f64) -> Arc<Self> {
        let mut table = Arc::new(Self { intercept: [0.0; 2 * HALF], slope: [0.0; 2 * HALF] });
        let new = Arc::get_mut(&mut table).expect("not shared yet");
        for side in 0..2 {
            let at = |y: f64| {
                let (near, far) = (y / WORDS, 1.0 - y / WORDS);
                if side == 0 { quantile(near, far) } else { quantile(far, near) }
            };
            let mut left = (cell_start(0), at(cell_start(0)));
            for cell in 0..HALF {
                let right = (cell_start(cell + 1), at(cell_start(cell + 1)));
                let slope = (right.1 - left.1) / (right.0 - left.0);
                new.slope[side * HALF + cell] = slope;
                new.intercept[side * HALF + cell] = left.1 - slope * left.0;
                left = right;
            }
        }
        table
    }

    #[inline(always)]
    fn value(&self, word: u32) -> f64 {
        // All ones for words of the upper half: folds them onto the lower half, bit by bit.
        let fold = ((word as i32) >> 31) as u32;
        let y = f64::from((word ^ fold) as i32) + 0.5;
        let cell = ((y.to_bits() >> SHIFT).wrapping_sub(FIRST) as usize & (HALF - 1)) | (fold as usize & HALF);
        self.intercept[cell] + self.slope[cell] * y
    }

    /// Mean and mean square of the values, exactly those of the lines.
    fn moments(&self) -> (f64, f64) {
        let (mut mean, mut square) = (0.0, 0.0);
        for cell in 0..2 * HALF {
            // The first octave has one word, at its start, which stands for the way from the end to 1.
            let line = |y: f64| self.intercept[cell] + self.slope[cell] * y;
            let (y0, y1, left, right) = match cell % HALF {
                0 => (0.0, 1.0, line(0.5), line(0.5)),
                c if c < CELLS_AN_OCTAVE => continue,
                c => (cell_start(c), cell_start(c + 1), line(cell_start(c)), line(cell_start(c + 1))),
            };
            let share = (y1 - y0) / WORDS;
            mean += share * 0.5 * (left + right);
            square += share * (left * left + left * right + right * right) / 3.0;
        }
        (mean, square)
    }
}

/// Left end of a cell: a power of two from 1/2 on, divided evenly.
fn cell_start(cell: usize) -> f64 {
    f64::from_bits((FIRST + cell as u64) << SHIFT)
}

/// The table of the standard normal, shared by all unrestricted normal samplers.
fn standard_normal() -> &'static Table {
    static TABLE: OnceLock<Arc<Table>> = OnceLock::new();
    TABLE.get_or_init(|| Table::new(|u, rest| if u <= 0.5 { normal::quantile(u) } else { -normal::quantile(rest) }))
}

/// Lower- and upper-tail probabilities of a normal restricted to an interval of standard scores.
#[derive(Debug, Clone, Copy)]
struct Restricted {
    below: f64,
    above: f64,
    inside: f64,
}

impl Restricted {
    fn new(low: f64, high: f64) -> Self {
        let (below, above) = (normal::cdf(low), normal::cdf(-high));
        // The difference is taken in the tail where both numbers are small.
        let inside = if low > 0.0 {
            normal::cdf(-low) - above
        } else if high < 0.0 {
            normal::cdf(high) - below
        } else {
            1.0 - below - above
        };
        Self { below, above, inside }
    }

    fn quantile(self, u: f64, rest: f64) -> f64 {
        let p = self.below + u * self.inside;
        if p <= 0.5 { normal::quantile(p) } else { -normal::quantile(self.above + rest * self.inside) }
    }
}

impl Distribution {
    /// Whether the distribution makes sense, whatever it is for.
    ///
    /// # Errors
    /// One sentence with the offending value.
    pub fn check(&self) -> Result<(), String> {
        let finite = |name: &str, x: f64| {
            if x.is_finite() { Ok(()) } else { Err(format!("{name} {x} is not a finite number")) }
        };
        match self {
            Self::Constant(value) => finite("the value", *value),
            Self::Uniform { low, high } => {
                finite("low", *low)?;
                finite("high", *high)?;
                if low > high {
                    return Err(format!("low {low} exceeds high {high} of the uniform distribution; exchange them"));
                }
                finite("the width", high - low)
            }
            Self::Normal { mean, sd, low, high } => {
                finite("mean", *mean)?;
                finite("sd", *sd)?;
                if *sd < 0.0 {
                    return Err(format!("sd {sd} of the normal distribution is negative; it must be 0 or above"));
                }
                if low.is_nan() || high.is_nan() || low > high {
                    return Err(format!("bounds [{low}, {high}] of the normal distribution are not an interval"));
                }
                if *sd == 0.0 {
                    if (*low..=*high).contains(mean) {
                        return Ok(());
                    }
                    return Err(format!("mean {mean} with sd 0 lies outside the bounds [{low}, {high}]"));
                }
                if low == high {
                    return finite("low", *low);
                }
                if Restricted::new((low - mean) / sd, (high - mean) / sd).inside <= 0.0 {
                    return Err(format!(
                        "the normal distribution with mean {mean} and sd {sd} has no probability within [{low}, {high}]; \
                         widen the bounds"
                    ));
                }
                Ok(())
            }
            Self::Lognormal { mean, sd } => {
                finite("mean", *mean)?;
                finite("sd", *sd)?;
                if *mean <= 0.0 {
                    return Err(format!("mean {mean} of the log-normal distribution must be above 0"));
                }
                if *sd < 0.0 {
                    return Err(format!("sd {sd} of the log-normal distribution is negative; it must be 0 or above"));
                }
                Ok(())
            }
            Self::Values(values) => match values.iter().position(|v| !v.is_finite()) {
                Some(i) => Err(format!("value {} at index {i} is not a finite number", values[i])),
                None if values.is_empty() => Err("the list of values is empty".into()),
                None => Ok(()),
            },
        }
    }
}

/// Mean and standard deviation of the logarithm of a log-normal variable with the given mean and deviation.
fn log_parameters(mean: f64, sd: f64) -> (f64, f64) {
    let variance = libm::log1p((sd / mean) * (sd / mean));
    (libm::log(mean) - 0.5 * variance, variance.sqrt())
}

impl Sampler {
    /// Prepares a distribution.
    ///
    /// # Errors
    /// If the distribution makes no sense, or is a list of values, which are not drawn.
    pub fn new(distribution: &Distribution) -> Result<Self> {
        distribution.check().map_err(|message| Error::invalid("distribution", message))?;
        Ok(match *distribution {
            Distribution::Constant(value) => Self::constantly(value),
            Distribution::Uniform { low, high } if low == high => Self::constantly(low),
            Distribution::Uniform { low, high } => Self {
                law: Law::Uniform { low, width: high - low },
                min: low,
                max: high,
                mean: 0.5 * (low + high),
                rms: ((low * low + low * high + high * high) / 3.0).sqrt(),
            },
            Distribution::Normal { mean, sd: 0.0, .. } => Self::constantly(mean),
            Distribution::Normal { low, high, .. } if low == high => Self::constantly(low),
            Distribution::Normal { mean, sd, low, high } if low == f64::NEG_INFINITY && high == f64::INFINITY => {
                let standard = standard_normal();
                let mut table = Table { intercept: standard.intercept, slope: standard.slope };
                table.intercept.iter_mut().for_each(|x| *x = mean + sd * *x);
                table.slope.iter_mut().for_each(|x| *x *= sd);
                Self::tabulated(Arc::new(table), low, high)
            }
            Distribution::Normal { mean, sd, low, high } => {
                let inside = Restricted::new((low - mean) / sd, (high - mean) / sd);
                let table = Table::new(|u, rest| (mean + sd * inside.quantile(u, rest)).clamp(low, high));
                Self::tabulated(table, low, high)
            }
            Distribution::Lognormal { mean, sd: 0.0 } => Self::constantly(mean),
            Distribution::Lognormal { mean, sd } => {
                let (m, s) = log_parameters(mean, sd);
                let table = Table::new(|u, rest| {
                    let z = if u <= 0.5 { normal::quantile(u) } else { -normal::quantile(rest) };
                    libm::exp(m + s * z)
                });
                Self::tabulated(table, 0.0, f64::INFINITY)
            }
            Distribution::Values(_) => {
                return Err(Error::invalid("distribution", "a list of values has an order and cannot be drawn from"));
            }
        })
    }

    fn constantly(value: f64) -> Self {
        Self { law: Law::Constant(value), min: value, max: value, mean: value, rms: value.abs() }
    }

    fn tabulated(table: Arc<Table>, low: f64, high: f64) -> Self {
        let (mean, square) = table.moments();
        let (min, max) = (table.value(0).max(low), table.value(u32::MAX).min(high));
        Self { law: Law::Table(table), min, max, mean, rms: square.sqrt() }
    }

    /// The value a word stands for.
    #[inline(always)]
    pub fn sample(&self, word: u32) -> f64 {
        match &self.law {
            Law::Constant(value) => *value,
            Law::Uniform { low, width } => clamp(low + width * rng::unit(word), self.min, self.max),
            Law::Table(table) => clamp(table.value(word), self.min, self.max),
        }
    }

    /// The values of many words; `out` is as long as `words`.
    #[inline(always)]
    pub(super) fn fill(&self, words: &[u32], out: &mut [f64]) {
        match &self.law {
            Law::Constant(value) => out.fill(*value),
            Law::Uniform { low, width } => {
                for (x, word) in out.iter_mut().zip(words) {
                    *x = clamp(low + width * rng::unit(*word), self.min, self.max);
                }
            }
            Law::Table(table) => {
                for (x, word) in out.iter_mut().zip(words) {
                    *x = clamp(table.value(*word), self.min, self.max);
                }
            }
        }
    }

    /// The smallest and largest value any word gives.
    pub fn bounds(&self) -> (f64, f64) {
        (self.min, self.max)
    }

    /// Mean of the values.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Square root of the mean of the squared values.
    pub fn rms(&self) -> f64 {
        self.rms
    }

    /// The value, if there is only one.
    pub fn constant(&self) -> Option<f64> {
        if let Law::Constant(value) = self.law { Some(value) } else { None }
    }
}

/// As `f64::clamp`, in the form that becomes two vector instructions.
#[inline(always)]
fn clamp(x: f64, min: f64, max: f64) -> f64 {
    let x = if x < min { min } else { x };
    if x > max { max } else { x }
}

/// Delays in time steps: one word to one number of steps.
///
/// Step `k` has the probability that the distribution of the delay has from `k - 1/2` to `k + 1/2` steps, up to
/// 2^-32. Delays that round to less than one step are left out (the others grow in proportion) for distributions
/// with a lower bound (uniform, log-normal, normal with `low`), and count as one step for others.
#[derive(Debug, Clone)]
pub struct DelaySampler {
    /// Number of steps of the first entry of `last_word`.
    first: u32,
    /// Largest word that gives `first + i` steps; ascending, ends with `u32::MAX`.
    last_word: Vec<u32>,
    /// For the upper bits of a word, the first entry of `last_word` that can be meant.
    guide: Box<[u32; GUIDE]>,
    mean: f64,
}

const GUIDE: usize = 4096;
const GUIDE_SHIFT: u32 = 32 - GUIDE.trailing_zeros();
/// Longest delay, steps: a simulation has a list for each step up to the longest.
pub const LONGEST_DELAY: u32 = (1 << 20) - 1;

/// Rounds a delay to the grid: at least one step. One too long becomes one step more than is allowed.
pub(super) fn steps_of(delay: f64, dt: f64) -> u32 {
    // What is no number becomes 0 steps, and so 1.
    ((delay / dt).round().clamp(1.0, f64::from(LONGEST_DELAY) + 1.0) as u32).max(1)
}

impl DelaySampler {
    /// Prepares a distribution of delays (ms) for time step `dt` (ms).
    ///
    /// # Errors
    /// If the distribution makes no sense, is a list of values, has no delay of at least half a step although it
    /// has a lower bound, or exceeds [`LONGEST_DELAY`].
    pub fn new(distribution: &Distribution, dt: f64) -> Result<Self> {
        let bad = |message: String| Error::invalid("delay", message);
        let sampler = Sampler::new(distribution).map_err(|_| match distribution.check() {
            Err(message) => bad(message),
            Ok(()) => bad("a list of values has an order and cannot be drawn from".into()),
        })?;
        let (min, max) = sampler.bounds();
        if max > f64::from(LONGEST_DELAY) * dt {
            return Err(bad(format!(
                "{max} ms are more than {LONGEST_DELAY} steps of {dt} ms, the longest delay there is"
            )));
        }
        if let Some(value) = sampler.constant() {
            return Ok(Self::new_from(steps_of(value, dt), vec![u32::MAX]));
        }
        if max < 0.5 * dt {
            return Err(bad(format!("no delay (at most {max} ms) reaches half a step of {dt} ms; use a smaller dt")));
        }
        // Probability below `x`, and from `x` on, of the unrestricted distribution.
        let tails: Box<dyn Fn(f64) -> (f64, f64)> = match *distribution {
            Distribution::Uniform { low, high } => Box::new(move |x| {
                (((x - low) / (high - low)).clamp(0.0, 1.0), ((high - x) / (high - low)).clamp(0.0, 1.0))
            }),
            Distribution::Normal { mean, sd, .. } => {
                Box::new(move |x| (normal::cdf((x - mean) / sd), normal::cdf((mean - x) / sd)))
            }
            Distribution::Lognormal { mean, sd } => {
                let (m, s) = log_parameters(mean, sd);
                Box::new(move |x| {
                    if x <= 0.0 {
                        return (0.0, 1.0);
                    }
                    let z = (libm::log(x) - m) / s;
                    (normal::cdf(z), normal::cdf(-z))
                })
            }
            Distribution::Constant(_) | Distribution::Values(_) => unreachable!("handled above"),
        };
        let (bounded, low, high) = match *distribution {
            Distribution::Normal { low, high, .. } => (low > f64::NEG_INFINITY, low, high),
            Distribution::Uniform { low, high } => (true, low, high),
            _ => (true, 0.0, f64::INFINITY),
        };
        let from = if bounded { low.max(0.5 * dt) } else { f64::NEG_INFINITY };
        let (start, end) = (tails(from), tails(high));
        let between = |a: (f64, f64), b: (f64, f64)| if a.0 < 0.5 { b.0 - a.0 } else { a.1 - b.1 };
        let all = between(start, end);
        if all <= 0.0 {
            return Err(bad(format!("no delay within [{low}, {high}] ms reaches half a step of {dt} ms")));
        }
        let first = steps_of(if bounded { from.max(min) } else { min }, dt);
        let last = steps_of(max, dt).max(first);
        let mut kept_first = first;
        let mut last_word: Vec<u32> = Vec::new();
        for step in first..=last {
            let share = between(start, tails((f64::from(step) + 0.5) * dt)) / all;
            let words = if step == last { WORDS } else { (share * WORDS).round().clamp(0.0, WORDS) };
            if words < 1.0 {
                kept_first = step + 1;
                continue;
            }
            // A step without a word of its own repeats the entry before, which the search passes over.
            last_word.push((words - 1.0) as u32);
            if words >= WORDS {
                break;
            }
        }
        Ok(Self::new_from(kept_first, last_word))
    }

    fn new_from(first: u32, last_word: Vec<u32>) -> Self {
        let guide =
            Box::new(std::array::from_fn(|i| last_word.partition_point(|w| (*w as usize) < i << GUIDE_SHIFT) as u32));
        let mut mean = 0.0;
        let mut before = 0.0;
        for (i, word) in last_word.iter().enumerate() {
            let until = f64::from(*word) + 1.0;
            mean += (f64::from(first) + i as f64) * (until - before) / WORDS;
            before = until;
        }
        Self { first, last_word, guide, mean }
    }

    /// The number of steps a word stands for, at least 1.
    #[inline(always)]
    pub fn sample(&self, word: u32) -> u32 {
        let mut i = self.guide[(word >> GUIDE_SHIFT) as usize] as usize;
        // Rarely more than no round; ends because the last entry is `u32::MAX`.
        while word > self.last_word[i] {
            i += 1;
        }
        self.first + i as u32
    }

    /// Smallest and largest number of steps.
    pub fn bounds(&self) -> (u32, u32) {
        (self.first, self.first + self.last_word.len() as u32 - 1)
    }

    /// Mean number of steps.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The number of steps, if there is only one.
    pub fn constant(&self) -> Option<u32> {
        (self.last_word.len() == 1).then_some(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words spread evenly over the range, both ends included.
    fn spread(n: u32) -> impl Iterator<Item = u32> {
        (0..n).map(move |i| (u64::from(i) * u64::from(u32::MAX) / u64::from(n - 1)) as u32)
    }

    #[test]
    fn normal_table_is_within_its_stated_error() {
        let sampler = Sampler::new(&Distribution::normal(0.0, 1.0)).unwrap();
        let near_ends = (0..32).flat_map(|b| [1u32 << b, (1 << b) - 1, !(1u32 << b), !((1 << b) - 1)]);
        for word in spread(100_003).chain(near_ends) {
            let exact =
                if word < 1 << 31 { normal::quantile(rng::unit(word)) } else { -normal::quantile(rng::unit(!word)) };
            let error = (sampler.sample(word) - exact).abs();
            assert!(error < 2e-5, "word {word}: {error:e}");
        }
        assert!(sampler.mean().abs() < 1e-12 && (sampler.rms() - 1.0).abs() < 2e-5);
        assert!(sampler.bounds().1 > 6.3 && sampler.bounds().1 < 6.4);
    }

    #[test]
    fn truncated_normal_has_its_moments_and_keeps_its_bounds() {
        for (mean, sd, low, high) in [(1.5, 0.75, 0.05, f64::INFINITY), (0.0, 1.0, 2.0, 3.0), (0.0, 1.0, -9.0, -5.0)] {
            let sampler = Sampler::new(&Distribution::Normal { mean, sd, low, high }).unwrap();
            let (a, b) = ((low - mean) / sd, (high - mean) / sd);
            let phi = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let z = if a > 0.0 { normal::cdf(-a) - normal::cdf(-b) } else { normal::cdf(b) - normal::cdf(a) };
            let expected = mean + sd * (phi(a) - phi(b)) / z;
            assert!((sampler.mean() - expected).abs() < 2e-5 * sd, "{} against {expected}", sampler.mean());
            let mut sum = 0.0;
            for word in spread(50_001) {
                let x = sampler.sample(word);
                assert!(x >= low && x <= high && x >= sampler.bounds().0 && x <= sampler.bounds().1);
                sum += x;
            }
            assert!((sum / 50_001.0 - expected).abs() < 1e-3 * sd);
        }
    }

    #[test]
    fn lognormal_has_the_given_mean_and_deviation() {
        let sampler = Sampler::new(&Distribution::Lognormal { mean: 3.0, sd: 1.5 }).unwrap();
        assert!((sampler.mean() - 3.0).abs() < 1e-4);
        let sd = (sampler.rms() * sampler.rms() - sampler.mean() * sampler.mean()).sqrt();
        assert!((sd - 1.5).abs() < 2e-4, "{sd}");
        assert!(sampler.bounds().0 > 0.0);
    }

    #[test]
    fn values_are_the_same_one_by_one_and_side_by_side() {
        for distribution in [
            Distribution::Constant(2.0),
            Distribution::Uniform { low: -1.0, high: 4.0 },
            Distribution::normal(87.8, 8.78),
            Distribution::Normal { mean: 1.0, sd: 1.0, low: 0.0, high: 2.0 },
        ] {
            let sampler = Sampler::new(&distribution).unwrap();
            let words: Vec<u32> = spread(1001).collect();
            let mut out = vec![0.0; words.len()];
            sampler.fill(&words, &mut out);
            assert!(words.iter().zip(&out).all(|(w, x)| sampler.sample(*w).to_bits() == x.to_bits()));
        }
    }

    #[test]
    fn delays_have_the_probability_of_their_grid_cell() {
        // The microcircuit's delays: N(1.5, 0.75) ms redrawn below half a step.
        let distribution = Distribution::Normal { mean: 1.5, sd: 0.75, low: 0.05, high: f64::INFINITY };
        let sampler = DelaySampler::new(&distribution, 0.1).unwrap();
        assert_eq!(sampler.bounds().0, 1);
        let n = 1 << 20;
        let mut counts = vec![0u32; sampler.bounds().1 as usize + 1];
        for word in spread(n) {
            counts[sampler.sample(word) as usize] += 1;
        }
        let all = normal::cdf((1.5 - 0.05) / 0.75);
        for (step, count) in counts.iter().enumerate().skip(1) {
            let edge = |x: f64| normal::cdf((x - 1.5) / 0.75);
            let p = (edge((step as f64 + 0.5) * 0.1) - edge((step as f64 - 0.5) * 0.1)) / all;
            assert!((f64::from(*count) - p * f64::from(n)).abs() < 3.0, "step {step}: {count}");
        }
        assert_eq!(sampler.sample(0), 1);
        assert_eq!(sampler.sample(u32::MAX), sampler.bounds().1);
    }

    #[test]
    fn delays_without_a_lower_bound_are_raised_to_one_step() {
        let sampler = DelaySampler::new(&Distribution::normal(0.1, 0.1), 0.1).unwrap();
        let ones = spread(100_001).filter(|w| sampler.sample(*w) == 1).count() as f64 / 100_001.0;
        assert!((ones - normal::cdf(0.5)).abs() < 1e-4, "{ones}");
        assert_eq!(DelaySampler::new(&Distribution::Constant(0.01), 0.1).unwrap().constant(), Some(1));
        assert!(DelaySampler::new(&Distribution::Uniform { low: 0.0, high: 0.01 }, 0.1).is_err());
        let uniform = DelaySampler::new(&Distribution::Uniform { low: 1.0, high: 2.0 }, 0.5).unwrap();
        assert_eq!(uniform.bounds(), (2, 4));
        assert!((uniform.mean() - 3.0).abs() < 1e-6);
    }

    #[test]
    fn senseless_distributions_are_refused_with_their_value() {
        let message = |d: Distribution| d.check().unwrap_err();
        assert!(message(Distribution::Uniform { low: 2.0, high: 1.0 }).contains("low 2 exceeds high 1"));
        assert!(message(Distribution::normal(0.0, -1.0)).contains("sd -1"));
        assert!(message(Distribution::Lognormal { mean: 0.0, sd: 1.0 }).contains("mean 0"));
        assert!(message(Distribution::Normal { mean: 0.0, sd: 1.0, low: 50.0, high: 60.0 }).contains("[50, 60]"));
        assert!(message(Distribution::Constant(f64::NAN)).contains("NaN"));
    }
}
