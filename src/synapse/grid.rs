//! The integer grid on which the weights of one receptor lie.
//!
//! Weights are stored and summed as integers, so that a sum does not depend on the order of its terms. All
//! projections onto a receptor of a population share one unit. The choice depends on the network alone, never on
//! threads or shards.

/// How finely weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightBits {
    /// 16 bits where they are enough (error at most 0.2 % of the typical weight), else 32.
    #[default]
    Auto,
    /// Always 16 bits.
    W16,
    /// Always 32 bits.
    W32,
}

impl WeightBits {
    /// The names configuration files use.
    pub const NAMES: [&'static str; 3] = ["auto", "16", "32"];
    const ALL: [Self; 3] = [Self::Auto, Self::W16, Self::W32];

    /// Its name among [`NAMES`](Self::NAMES).
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bits| bits.name() == name)
    }
}

/// What is known of the weights of one projection: no weight lies outside `min..=max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightRange {
    /// Smallest weight.
    pub min: f64,
    /// Largest weight.
    pub max: f64,
    /// Root mean square.
    pub rms: f64,
}

impl WeightRange {
    fn largest(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }
}

/// The unit of the stored weights of one receptor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightGrid {
    /// One step of the stored integers, in the receptor's unit.
    pub unit: f64,
    /// 16 or 32.
    pub bits: u32,
    /// Largest difference between a weight and what is stored for it, in the receptor's unit; 0 if all are exact.
    pub error: f64,
}

/// Largest stored weight that leaves the 16-bit row room for a few coincident events.
const COMFORTABLE_16: f64 = 8191.0;
const LARGEST_16: f64 = 32_767.0;
/// Leaves the 32-bit row room for a hundred coincident events of the largest weight.
const COMFORTABLE_32: f64 = 16_777_215.0;
/// Largest rounding error of 16-bit weights, as a root mean square relative to that of the weights.
const TOLERATED: f64 = 2e-3;

impl WeightGrid {
    /// The grid for all projections onto a receptor.
    pub fn choose(ranges: &[WeightRange], bits: WeightBits) -> Self {
        let largest = ranges.iter().map(WeightRange::largest).fold(0.0, f64::max);
        if largest == 0.0 {
            return Self { unit: 1.0, bits: 16, error: 0.0 };
        }
        if bits != WeightBits::W32
            && let Some(unit) = common_unit(ranges)
        {
            return Self { unit, bits: 16, error: 0.0 };
        }
        let power_of_two = |steps: f64| libm::exp2((libm::log2(largest / steps)).ceil());
        let fine_enough = |unit: f64| {
            let error = unit / 12f64.sqrt();
            ranges.iter().all(|r| r.rms == 0.0 || error <= TOLERATED * r.rms)
        };
        let rough = power_of_two(COMFORTABLE_16);
        let tight = power_of_two(LARGEST_16);
        let (unit, bits) = match bits {
            WeightBits::W32 => (power_of_two(COMFORTABLE_32), 32),
            _ if fine_enough(rough) => (rough, 16),
            WeightBits::W16 => (tight, 16),
            WeightBits::Auto if fine_enough(tight) => (tight, 16),
            WeightBits::Auto => (power_of_two(COMFORTABLE_32), 32),
        };
        Self { unit, bits, error: unit / 2.0 }
    }

    /// The stored integer nearest to a weight.
    #[inline(always)]
    pub fn store(&self, weight: f64) -> i32 {
        (weight / self.unit).round_ties_even() as i32
    }
}

/// A unit of which all weights are whole multiples, where every projection has a single weight and there is one.
fn common_unit(ranges: &[WeightRange]) -> Option<f64> {
    if ranges.iter().any(|r| r.min != r.max) {
        return None;
    }
    let weights: Vec<f64> = ranges.iter().map(WeightRange::largest).filter(|w| *w > 0.0).collect();
    let smallest = weights.iter().copied().fold(f64::INFINITY, f64::min);
    (1..=16).map(|k| smallest / f64::from(k)).find(|unit| {
        weights.iter().all(|w| {
            let multiple = w / unit;
            multiple <= COMFORTABLE_16 && (multiple - multiple.round()).abs() < 1e-9 * multiple
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(w: f64) -> WeightRange {
        WeightRange { min: w, max: w, rms: w.abs() }
    }

    #[test]
    fn constant_weights_are_exact() {
        let grid = WeightGrid::choose(&[constant(0.1), constant(-0.5)], WeightBits::Auto);
        assert_eq!((grid.unit, grid.bits, grid.error), (0.1, 16, 0.0));
        assert_eq!((grid.store(0.1), grid.store(-0.5)), (1, -5));
        let halves = WeightGrid::choose(&[constant(1.0), constant(1.5)], WeightBits::Auto);
        assert_eq!((halves.store(1.0), halves.store(1.5)), (2, 3));
    }

    #[test]
    fn the_microcircuit_fits_16_bits_with_an_eighth_of_a_picoampere() {
        let w = |mean: f64| WeightRange { min: mean - 62.0, max: mean + 62.0, rms: mean.abs() * 1.005 };
        let inhibitory = WeightRange { min: -351.2 - 222.0, max: 0.0, rms: 353.0 };
        let grid = WeightGrid::choose(&[w(87.8), w(175.6), inhibitory], WeightBits::Auto);
        assert_eq!((grid.unit, grid.bits, grid.error), (0.125, 16, 0.0625));
    }

    #[test]
    fn a_wide_range_takes_32_bits_unless_told_otherwise() {
        let ranges = [constant(0.001), WeightRange { min: 0.0, max: 100.0, rms: 50.0 }];
        assert_eq!(WeightGrid::choose(&ranges, WeightBits::Auto).bits, 32);
        let forced = WeightGrid::choose(&ranges, WeightBits::W16);
        assert_eq!(forced.bits, 16);
        assert!(forced.error > 0.0);
    }
}
