//! Standardised columns (z-scores).

use super::Cpu;
use super::lanes::{Float, Vector};
use super::map::{Map, map};
use super::reduce::moments;

/// `out = (x - mean) / sqrt(variance + epsilon)` with mean and (biased) variance of all elements, which are returned.
/// Against double precision results are within `3e-6` (`f32`) of their size plus 1.
///
/// # Panics
/// If the lengths differ.
pub fn standardise<T: Float>(cpu: &Cpu, x: &[T], epsilon: f64, out: &mut [T]) -> (f64, f64) {
    let m = moments(cpu, x);
    let variance = m.variance(0.0);
    map(cpu, Standardise(T::of(m.mean), T::of(1.0 / (variance + epsilon).sqrt())), [x], [out]);
    (m.mean, variance)
}

#[derive(Clone, Copy)]
struct Standardise<T>(T, T);
impl<T: Float> Map<T, 1, 1> for Standardise<T> {
    const GRAIN: usize = 16_384;
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [x]: [V; 1]) -> [V; 1] {
        [(x - V::splat(self.0)) * V::splat(self.1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Isa;

    #[test]
    fn z_scores() {
        for len in [2, 1000, 200_001] {
            let x: Vec<f32> = (0..len).map(|i| ((i * 7919 + 1009) % 2003) as f32 * 0.001 + 4.0).collect();
            let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let mean = wide.iter().sum::<f64>() / len as f64;
            let variance = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / len as f64;
            for isa in Isa::all_available() {
                let mut first: Option<Vec<f32>> = None;
                for workers in [1, 2, 3, 5] {
                    let mut out = vec![0.0; len];
                    let (m, v) = standardise(&Cpu::with_isa(workers, isa), &x, 0.0, &mut out);
                    assert!((m - mean).abs() < 1e-6 && (v / variance - 1.0).abs() < 1e-5);
                    for (got, x) in out.iter().zip(&wide) {
                        let want = (x - mean) / variance.sqrt();
                        assert!((f64::from(*got) - want).abs() <= 3e-6 * (1.0 + want.abs()), "{got} {want}");
                    }
                    assert_eq!(first.get_or_insert_with(|| out.clone()), &out);
                }
            }
        }
    }
}
