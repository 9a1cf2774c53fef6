//! Ranges of activations.

use crate::compute::Quantised;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// How the range of an activation is chosen from what was seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Calibration {
    /// From the smallest to the largest value.
    #[default]
    MinMax,
    /// So that this share of the values (in percent, above 50, 100 at most) lies within, cut evenly at both ends: rare
    /// large values then do not cost everything else its precision.
    Percentile(f64),
}

/// Bins of the histogram that percentiles are read from.
const BINS: usize = 4096;

/// What has been seen of an activation.
#[derive(Debug, Clone)]
pub struct Observer {
    low: f64,
    high: f64,
    /// Counts of values between `low` and `high`.
    bins: Vec<u64>,
    seen: u64,
}

impl Default for Observer {
    fn default() -> Self {
        Self { low: f64::INFINITY, high: f64::NEG_INFINITY, bins: vec![0; BINS], seen: 0 }
    }
}

impl Observer {
    /// Takes note of the values of a tensor. Infinite values and NaN are an error: their range is of no use.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn observe(&mut self, x: &Tensor) -> Result<()> {
        let values: Vec<f32> = x.detach().to_dtype(crate::compute::DType::F32)?.to_vec()?;
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::op("calibrate", format!("an activation of shape {} holds {bad}", x.shape())));
        }
        let (low, high) = values
            .iter()
            .fold((self.low, self.high), |(low, high), v| (low.min(f64::from(*v)), high.max(f64::from(*v))));
        if values.is_empty() {
            return Ok(());
        }
        self.widen(low, high);
        let step = BINS as f64 / (self.high - self.low).max(f64::MIN_POSITIVE);
        for v in &values {
            let bin = ((f64::from(*v) - self.low) * step) as usize;
            self.bins[bin.min(BINS - 1)] += 1;
        }
        self.seen += values.len() as u64;
        Ok(())
    }

    /// Spreads the counts over a wider range: each bin's count goes where the middle of the bin lies.
    fn widen(&mut self, low: f64, high: f64) {
        if self.seen > 0 && (low < self.low || high > self.high) {
            let old = std::mem::replace(&mut self.bins, vec![0; BINS]);
            let width = (self.high - self.low) / BINS as f64;
            let step = BINS as f64 / (high - low);
            for (i, count) in old.into_iter().enumerate() {
                let middle = self.low + (i as f64 + 0.5) * width;
                self.bins[(((middle - low) * step) as usize).min(BINS - 1)] += count;
            }
        }
        (self.low, self.high) = (low, high);
    }

    /// The range chosen; 0 to 0 if nothing was seen.
    ///
    /// # Errors
    /// A percentile outside of 50 to 100.
    pub fn range(&self, calibration: Calibration) -> Result<(f64, f64)> {
        if self.seen == 0 {
            return Ok((0.0, 0.0));
        }
        let Calibration::Percentile(percent) = calibration else { return Ok((self.low, self.high)) };
        if !(percent > 50.0 && percent <= 100.0) {
            return Err(Error::op("calibrate", format!("the percentile is {percent}; allowed are above 50 to 100")));
        }
        let outside = (self.seen as f64 * (1.0 - percent / 100.0) / 2.0) as u64;
        let width = (self.high - self.low) / BINS as f64;
        fn cut<'c>(mut counts: impl Iterator<Item = &'c u64>, outside: u64) -> usize {
            let mut below = 0;
            counts
                .position(|count| {
                    below += count;
                    below > outside
                })
                .unwrap_or(0)
        }
        let from = cut(self.bins.iter(), outside);
        let to = cut(self.bins.iter().rev(), outside);
        Ok((self.low + from as f64 * width, self.high - to as f64 * width))
    }

    /// Scale and zero point for the range, which is stretched to hold 0 so that 0 (padding, ReLU) is exact.
    ///
    /// # Errors
    /// As [`Observer::range`].
    pub fn parameters(&self, calibration: Calibration) -> Result<Quantised> {
        let (low, high) = self.range(calibration)?;
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = ((high - low) / 255.0).max(1e-12);
        let zero = (-low / scale).round().clamp(0.0, 255.0);
        Ok(Quantised { scale: scale as f32, zero: zero as u8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Device;

    #[test]
    fn ranges_hold_zero_and_percentiles_leave_outliers_out() {
        let device = Device::cpu_threads(1);
        let mut observer = Observer::default();
        let mut values: Vec<f32> = (0..10_000).map(|i| 1.0 + i as f32 / 10_000.0).collect();
        observer.observe(&Tensor::new(&values, [10_000], &device).unwrap()).unwrap();
        values.fill(1.5);
        values[0] = 100.0;
        observer.observe(&Tensor::new(&values, [10_000], &device).unwrap()).unwrap();
        assert_eq!(observer.range(Calibration::MinMax).unwrap(), (1.0, 100.0));
        let (low, high) = observer.range(Calibration::Percentile(99.9)).unwrap();
        assert!((0.9..1.1).contains(&low) && (1.9..2.1).contains(&high), "{low} {high}");
        let found = observer.parameters(Calibration::Percentile(99.9)).unwrap();
        assert_eq!(found.zero, 0);
        assert!(observer.range(Calibration::Percentile(20.0)).is_err());
        let nan = Tensor::new(&[f32::NAN], [1], &device).unwrap();
        assert!(observer.observe(&nan).is_err());
    }
}
