//! From one random word to one of a few whole numbers, where the number never falls as the word grows.

/// Most levels a table has.
const MOST_LEVELS: i64 = 16_384;
/// Words around a change of level that are looked at when a table is made.
const NEAR: u32 = 8;

/// A function of words that rises in steps, by the words at which it does: the same numbers as evaluating it, several
/// times faster.
#[derive(Debug)]
pub struct StepTable {
    first: i32,
    /// For each level the last word that is not above it; the last is `u32::MAX`.
    last_word: Vec<u32>,
    /// For each stretch of words of equal length, the level of its first word.
    guide: Vec<u16>,
    shift: u32,
}

impl StepTable {
    /// The table of `level`; `None` if it has too many levels or falls somewhere near where it should rise, as happens
    /// where what it rounds is hardly wider than its own rounding errors.
    pub fn new(level: impl Fn(u32) -> i32) -> Option<Self> {
        let (first, last) = (level(0), level(u32::MAX));
        let levels = i64::from(last) - i64::from(first) + 1;
        if !(1..=MOST_LEVELS).contains(&levels) {
            return None;
        }
        let mut last_word = Vec::with_capacity(levels as usize);
        let mut from = 0u32;
        for at in first..last {
            // The last word whose level is not above `at`; there is one, since that of `from` is not.
            let (mut low, mut high) = (from, u32::MAX);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                *(if level(middle) <= at { &mut low } else { &mut high }) = middle;
            }
            let good = (low.saturating_sub(NEAR)..=low).all(|word| level(word) <= at)
                && (high..=high.saturating_add(NEAR)).all(|word| level(word) > at);
            if !good {
                return None;
            }
            last_word.push(low);
            from = low;
        }
        last_word.push(u32::MAX);
        let size = (4 * last_word.len()).next_power_of_two().clamp(256, 4096);
        let shift = 32 - size.trailing_zeros();
        let guide = (0..size).map(|i| last_word.partition_point(|word| (*word as usize) < i << shift) as u16);
        Some(Self { first, guide: guide.collect(), shift, last_word })
    }

    /// The number a word stands for.
    #[inline(always)]
    pub fn level(&self, word: u32) -> i32 {
        let mut i = usize::from(self.guide[(word >> self.shift) as usize]);
        // One step without a branch: hardly ever more are needed. Ends because the last entry is `u32::MAX`.
        i += usize::from(word > self.last_word[i]);
        while word > self.last_word[i] {
            i += 1;
        }
        self.first + i as i32
    }

    /// Bytes of the table.
    pub fn bytes(&self) -> usize {
        self.last_word.len() * 4 + self.guide.len() * 2
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Distribution, Sampler};
    use super::*;

    fn compare(distribution: &Distribution, per_unit: f64) -> bool {
        let sampler = Sampler::new(distribution).unwrap();
        let level = |word| (sampler.sample(word) * per_unit).round_ties_even() as i32;
        let Some(table) = StepTable::new(level) else { return false };
        let near = table.last_word.iter().flat_map(|word| (0..20).map(|k| word.wrapping_add(k).wrapping_sub(9)));
        let spread = (0..2_000_000u32).map(|i| i.wrapping_mul(2_654_435_761));
        for word in near.chain(spread).chain([0, u32::MAX]) {
            assert_eq!(table.level(word), level(word), "{distribution:?} at {word}");
        }
        true
    }

    #[test]
    fn tables_give_the_numbers_of_the_samplers() {
        for (distribution, per_unit) in [
            (Distribution::normal(87.8, 8.78), 8.0),
            (Distribution::Normal { mean: -351.0, sd: 35.0, low: f64::NEG_INFINITY, high: 0.0 }, 8.0),
            (Distribution::Normal { mean: 0.0, sd: 20.0, low: -3.0, high: 90.0 }, 31.0),
            (Distribution::Uniform { low: -4.0, high: 17.5 }, 100.0),
            (Distribution::Lognormal { mean: 3.0, sd: 2.0 }, 64.0),
            (Distribution::Constant(4.0), 3.0),
        ] {
            assert!(compare(&distribution, per_unit), "{distribution:?}");
        }
        assert!(!compare(&Distribution::normal(0.0, 1.0), 1e6), "too many levels");
    }

    #[test]
    fn what_falls_is_refused() {
        assert!(StepTable::new(|word| if word < 1 << 31 { 0 } else { i32::from(word % 3 == 0) }).is_none());
        assert!(StepTable::new(|word| -((word >> 30) as i32)).is_none());
    }
}
