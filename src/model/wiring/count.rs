//! Random counts: exact binomial and hypergeometric draws, and the splitting of a total among many.

use crate::compute::Crew;
use crate::rng::{Key, Sequence};
use std::sync::Mutex;

/// `ln n! - ln(sqrt(2 pi n) (n/e)^n)`, the error of Stirling's formula.
fn stirling_error(n: f64) -> f64 {
    if n <= 15.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * libm::log(n) + n - 0.5 * libm::log(2.0 * std::f64::consts::PI);
    }
    let square = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / square) / square) / square) / square)
        / n
}

/// `x ln(x / m) + m - x` without cancellation where the two are near.
fn deviance(x: f64, m: f64) -> f64 {
    if (x - m).abs() >= 0.1 * (x + m) {
        return x * libm::log(x / m) + m - x;
    }
    let v = (x - m) / (x + m);
    let mut sum = (x - m) * v;
    let mut term = 2.0 * x * v;
    let mut j = 1.0;
    loop {
        term *= v * v;
        j += 2.0;
        let next = sum + term / j;
        if next == sum {
            return sum;
        }
        sum = next;
    }
}

/// Probability of `k` of `n`, each with probability `p` (and `q = 1 - p`), to about 14 digits for any size.
///
/// Saddle-point form (Loader 2000, "Fast and accurate computation of binomial probabilities").
fn binomial_probability(k: f64, n: f64, p: f64, q: f64) -> f64 {
    if k == 0.0 {
        return libm::exp(n * if p < 0.5 { libm::log1p(-p) } else { libm::log(q) });
    }
    if k == n {
        return libm::exp(n * if q < 0.5 { libm::log1p(-q) } else { libm::log(p) });
    }
    let exponent =
        stirling_error(n) - stirling_error(k) - stirling_error(n - k) - deviance(k, n * p) - deviance(n - k, n * q);
    libm::exp(exponent) * (n / (2.0 * std::f64::consts::PI * k * (n - k))).sqrt()
}

/// A number in (0, 1) with 53 bits.
fn fine_unit(words: &mut Sequence) -> f64 {
    let high = u64::from(words.next_word());
    let bits = (high << 32 | u64::from(words.next_word())) >> 12;
    (bits as f64 + 0.5) / 4_503_599_627_370_496.0
}

/// Inverts a unimodal distribution on `0..=most` from its mode outwards: takes about two standard deviations of
/// steps. `up(k)` is `P(k + 1) / P(k)`.
fn invert_from_mode(u: f64, mode: f64, at_mode: f64, least: f64, most: f64, up: impl Fn(f64) -> f64) -> u64 {
    let mut left = u - at_mode;
    if left <= 0.0 {
        return mode as u64;
    }
    let (mut above, mut p_above) = (mode, at_mode);
    let (mut below, mut p_below) = (mode, at_mode);
    loop {
        if above < most {
            p_above *= up(above);
            above += 1.0;
            left -= p_above;
            if left <= 0.0 {
                return above as u64;
            }
        } else {
            p_above = 0.0;
        }
        if below > least {
            below -= 1.0;
            p_below /= up(below);
            left -= p_below;
            if left <= 0.0 {
                return below as u64;
            }
        } else {
            p_below = 0.0;
        }
        // Rounding may leave about 1e-14 of the probability unassigned: it goes to the mode.
        if p_above < 1e-30 && p_below < 1e-30 {
            return mode as u64;
        }
    }
}

/// A binomial count: how many of `n` happen, each with probability `p`.
pub(super) fn binomial(n: u64, p: f64, words: &mut Sequence) -> u64 {
    if n == 0 || p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return n;
    }
    let (n, q) = (n as f64, 1.0 - p);
    let odds = p / q;
    let mode = ((n + 1.0) * p).floor().min(n);
    let at_mode = binomial_probability(mode, n, p, q);
    invert_from_mode(fine_unit(words), mode, at_mode, 0.0, n, |k| (n - k) / (k + 1.0) * odds)
}

/// A hypergeometric count: how many of `draws`, taken without replacement from `good + bad`, are good.
fn hypergeometric(good: u64, bad: u64, draws: u64, words: &mut Sequence) -> u64 {
    let least = draws.saturating_sub(bad);
    let most = draws.min(good);
    if least == most {
        return least;
    }
    let (g, b, n) = (good as f64, bad as f64, draws as f64);
    let mode = ((n + 1.0) * (g + 1.0) / (g + b + 2.0)).floor().clamp(least as f64, most as f64);
    let (p, q) = (n / (g + b), (g + b - n) / (g + b));
    let at_mode = binomial_probability(mode, g, p, q) * binomial_probability(n - mode, b, p, q)
        / binomial_probability(n, g + b, p, q);
    let up = |k: f64| (g - k) / (k + 1.0) * ((n - k) / (b - n + k + 1.0));
    invert_from_mode(fine_unit(words), mode, at_mode, least as f64, most as f64, up)
}

/// Splits `total` synapses among `sources`, every one of which is equally likely: exactly multinomial, or, where a
/// source takes at most `capacity` and no place is filled twice, exactly multivariate hypergeometric.
///
/// The range of sources is halved again and again; the share of the left half is one draw keyed by the range, so
/// the outcome does not depend on who splits what.
pub(super) fn split_total(total: u64, sources: u32, capacity: Option<u64>, key: Key, crew: &Crew) -> Vec<u32> {
    let mut degrees = vec![0u32; sources as usize];
    let mut parts = vec![Part { total, first: 0, degrees: degrees.as_mut_slice() }];
    while parts.len() < 64 && parts.iter().any(|p| p.degrees.len() > 1) {
        parts = parts.into_iter().flat_map(|part| part.halves(capacity, key)).collect();
    }
    let parts: Vec<_> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    crew.for_each(parts.len(), &|i| {
        if let Some(part) = parts[i].lock().unwrap_or_else(|e| e.into_inner()).take() {
            part.finish(capacity, key);
        }
    });
    drop(parts);
    degrees
}

/// Consecutive sources and the synapses they share.
struct Part<'a> {
    total: u64,
    first: u32,
    degrees: &'a mut [u32],
}

impl<'a> Part<'a> {
    fn halves(self, capacity: Option<u64>, key: Key) -> Vec<Part<'a>> {
        let n = self.degrees.len();
        if n <= 1 {
            return vec![self];
        }
        let left = n / 2;
        let mut words = key.sequence(u64::from(self.first) << 32 | n as u64);
        let to_left = match capacity {
            None => binomial(self.total, left as f64 / n as f64, &mut words),
            Some(c) => hypergeometric(left as u64 * c, (n - left) as u64 * c, self.total, &mut words),
        };
        let (a, b) = self.degrees.split_at_mut(left);
        vec![
            Part { total: to_left, first: self.first, degrees: a },
            Part { total: self.total - to_left, first: self.first + left as u32, degrees: b },
        ]
    }

    fn finish(self, capacity: Option<u64>, key: Key) {
        if self.degrees.len() == 1 {
            self.degrees[0] = self.total as u32;
        } else if self.total > 0 {
            for half in self.halves(capacity, key) {
                half.finish(capacity, key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(draws: impl Iterator<Item = u64>) -> (f64, f64, f64) {
        let x: Vec<f64> = draws.map(|k| k as f64).collect();
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        (mean, x.iter().map(|k| (k - mean) * (k - mean)).sum::<f64>() / (n - 1.0), n)
    }

    #[test]
    fn probabilities_sum_to_one() {
        for (n, p) in [(1.0, 0.3), (10.0, 0.5), (200.0, 0.01), (5000.0, 0.7)] {
            let sum: f64 = (0..=n as u32).map(|k| binomial_probability(f64::from(k), n, p, 1.0 - p)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "n = {n}, p = {p}: {sum}");
        }
    }

    #[test]
    fn binomial_draws_have_their_moments() {
        for (n, p) in [(10u64, 0.3), (1000, 0.5), (1_000_000, 1e-5), (3_000_000_000, 0.25), (100, 0.99)] {
            let mut words = Key([1, n as u32]).sequence(0);
            let (mean, variance, count) = moments((0..20_000).map(|_| binomial(n, p, &mut words)));
            let (m, v) = (n as f64 * p, n as f64 * p * (1.0 - p));
            assert!((mean - m).abs() < 4.5 * (v / count).sqrt(), "n = {n}, p = {p}: mean {mean}");
            assert!((variance / v - 1.0).abs() < 0.06, "n = {n}, p = {p}: variance {variance}, expected {v}");
        }
        let mut words = Key([1, 1]).sequence(0);
        assert_eq!((binomial(5, 0.0, &mut words), binomial(5, 1.0, &mut words)), (0, 5));
    }

    #[test]
    fn hypergeometric_draws_have_their_moments() {
        for (g, b, n) in [(10u64, 10u64, 7u64), (1000, 3000, 500), (2_000_000_000, 4_000_000_000, 10_000), (50, 5, 53)]
        {
            let mut words = Key([2, g as u32]).sequence(0);
            let (mean, variance, count) = moments((0..20_000).map(|_| hypergeometric(g, b, n, &mut words)));
            let (gf, bf, nf) = (g as f64, b as f64, n as f64);
            let all = gf + bf;
            let m = nf * gf / all;
            let v = nf * gf / all * bf / all * (all - nf) / (all - 1.0);
            assert!((mean - m).abs() < 4.5 * (v / count).sqrt(), "{g} {b} {n}: mean {mean}");
            assert!((variance / v - 1.0).abs() < 0.06, "{g} {b} {n}: variance {variance}, expected {v}");
        }
    }

    #[test]
    fn splitting_keeps_the_total_for_any_crew() {
        let split = |capacity, workers| split_total(123_457, 1001, capacity, Key([3, 3]), &Crew::new(workers));
        for capacity in [None, Some(130)] {
            let one = split(capacity, 1);
            assert_eq!(one.iter().map(|d| u64::from(*d)).sum::<u64>(), 123_457);
            assert!(capacity.is_none_or(|c| one.iter().all(|d| u64::from(*d) <= c)));
            assert_eq!(one, split(capacity, 3));
        }
    }
}
