//! How the learning rate changes over time.

use crate::error::{Error, Fault, Result};

/// The learning rate as a factor of its first value, by step; plain data.
///
/// ```
/// use tessera::optim::Schedule;
/// let schedule = Schedule::Cosine { steps: 1000, floor: 0.1 }.warmed_up(100);
/// assert_eq!(schedule.at(50), 0.5);
/// assert_eq!(schedule.at(100), 1.0);
/// assert_eq!(schedule.at(5000), 0.1);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Schedule {
    /// 1
    #[default]
    Constant,
    /// factor^⌊step / every⌋
    Step {
        /// Steps between changes.
        every: u64,
        /// What each change multiplies by.
        factor: f64,
    },
    /// In a straight line from `from` to `to` over `steps` steps, `to` from then on.
    Linear {
        /// First factor.
        from: f64,
        /// Last factor.
        to: f64,
        /// Steps between them.
        steps: u64,
    },
    /// floor + (1 - floor) (1 + cos(π step / steps)) / 2, `floor` from `steps` on. Loshchilov & Hutter (2016),
    /// arXiv:1608.03983.
    Cosine {
        /// Steps until `floor` is reached.
        steps: u64,
        /// Last factor.
        floor: f64,
    },
    /// Half a cosine from 1 to `floor`, again and again; each period is `stretch` times as long as the one before.
    /// Loshchilov & Hutter (2016).
    CosineRestarts {
        /// Steps of the first period.
        first: u64,
        /// Ratio of the length of a period to the one before; 1 keeps it.
        stretch: u64,
        /// Lowest factor.
        floor: f64,
    },
    /// In a straight line from `from` to 1 over `steps` steps, then another schedule from its step 0 on.
    Warmup {
        /// Steps of the warm-up.
        steps: u64,
        /// First factor.
        from: f64,
        /// What follows.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// The factor in step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        let line = |from: f64, to: f64, steps: u64| {
            if step >= steps { to } else { from + (to - from) * (step as f64 / steps as f64) }
        };
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => libm::pow(*factor, (step / every.max(&1)) as f64),
            Self::Linear { from, to, steps } => line(*from, *to, *steps),
            Self::Cosine { steps, floor } if step >= *steps => *floor,
            Self::Cosine { steps, floor } => half_cosine(step, *steps, *floor),
            Self::CosineRestarts { first, stretch, floor } => {
                let (at, period) = period(step, (*first).max(1), *stretch);
                half_cosine(at, period, *floor)
            }
            Self::Warmup { steps, then, .. } if step >= *steps => then.at(step - steps),
            Self::Warmup { steps, from, .. } => line(*from, 1.0, *steps),
        }
    }

    /// After a warm-up in a straight line from 0 over `steps` steps.
    #[must_use]
    pub fn warmed_up(self, steps: u64) -> Self {
        self.warmed_up_from(0.0, steps)
    }

    /// After a warm-up in a straight line from `from` over `steps` steps.
    #[must_use]
    pub fn warmed_up_from(self, from: f64, steps: u64) -> Self {
        Self::Warmup { steps, from, then: Box::new(self) }
    }

    /// Refuses numbers that make no schedule.
    ///
    /// # Errors
    /// Factors that are negative or not finite, periods of no steps; all of them are named.
    pub fn check(&self) -> Result<()> {
        let mut faults = Vec::new();
        self.collect_faults(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }

    fn collect_faults(&self, faults: &mut Vec<Fault>) {
        let mut factor = |name: &str, value: f64| {
            if !(value >= 0.0 && value.is_finite()) {
                faults.push(Fault::new(name, format!("{value} is not allowed; it must be at least 0 and finite")));
            }
        };
        match self {
            Self::Constant => {}
            Self::Step { factor: value, .. } => factor("Step.factor", *value),
            Self::Linear { from, to, .. } => {
                factor("Linear.from", *from);
                factor("Linear.to", *to);
            }
            Self::Cosine { floor, .. } => factor("Cosine.floor", *floor),
            Self::CosineRestarts { floor, .. } => factor("CosineRestarts.floor", *floor),
            Self::Warmup { from, .. } => factor("Warmup.from", *from),
        }
        let mut least = |name: &str, value: u64| {
            if value == 0 {
                faults.push(Fault::new(name, "0 is not allowed; it must be at least 1"));
            }
        };
        match self {
            Self::Step { every, .. } => least("Step.every", *every),
            Self::CosineRestarts { first, stretch, .. } => {
                least("CosineRestarts.first", *first);
                least("CosineRestarts.stretch", *stretch);
            }
            Self::Warmup { then, .. } => then.collect_faults(faults),
            _ => {}
        }
    }
}

/// The step within its period, and the length of that period.
fn period(step: u64, first: u64, stretch: u64) -> (u64, u64) {
    if stretch <= 1 {
        return (step % first, first);
    }
    let (mut start, mut length) = (0u64, first);
    while step - start >= length {
        start += length;
        length = length.saturating_mul(stretch);
    }
    (step - start, length)
}

fn half_cosine(step: u64, steps: u64, floor: f64) -> f64 {
    floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * step as f64 / steps as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn curves_pass_through_their_points() {
        assert_eq!(Schedule::Constant.at(7), 1.0);
        let steps = Schedule::Step { every: 10, factor: 0.5 };
        assert_eq!([steps.at(0), steps.at(9), steps.at(10), steps.at(35)], [1.0, 1.0, 0.5, 0.125]);
        let line = Schedule::Linear { from: 1.0, to: 0.2, steps: 4 };
        for (step, factor) in [(0, 1.0), (1, 0.8), (4, 0.2), (9, 0.2)] {
            near(line.at(step), factor);
        }
        let cosine = Schedule::Cosine { steps: 100, floor: 0.2 };
        for (step, factor) in [(0, 1.0), (50, 0.6), (100, 0.2), (1000, 0.2)] {
            near(cosine.at(step), factor);
        }
        near(cosine.at(25), 0.2 + 0.8 * 0.5 * (1.0 + 0.5f64.sqrt()));
    }

    #[test]
    fn restarts_begin_anew_in_longer_periods() {
        let restarts = Schedule::CosineRestarts { first: 10, stretch: 2, floor: 0.0 };
        for (step, factor) in [(0, 1.0), (5, 0.5), (10, 1.0), (20, 0.5), (30, 1.0), (50, 0.5), (70, 1.0)] {
            near(restarts.at(step), factor);
        }
        let even = Schedule::CosineRestarts { first: 10, stretch: 1, floor: 0.0 };
        near(even.at(1_000_000_000_005), 0.5);
        // Periods of 1, 2, 4, .. steps: 2^64 - 2 is the last step of the one that begins at 2^63 - 1.
        near(Schedule::CosineRestarts { first: 1, stretch: 2, floor: 0.0 }.at(u64::MAX - 1), 0.0);
    }

    #[test]
    fn a_warm_up_goes_before_anything() {
        let schedule = Schedule::Step { every: 3, factor: 0.1 }.warmed_up_from(0.2, 4);
        for (step, factor) in [(0, 0.2), (2, 0.6), (4, 1.0), (6, 1.0), (7, 0.1)] {
            near(schedule.at(step), factor);
        }
    }

    #[test]
    fn impossible_schedules_are_named() {
        let schedule = Schedule::CosineRestarts { first: 0, stretch: 0, floor: -1.0 }.warmed_up_from(f64::NAN, 3);
        let message = schedule.check().unwrap_err().to_string();
        for part in ["Warmup.from", "CosineRestarts.first", "CosineRestarts.stretch", "CosineRestarts.floor"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(Schedule::Cosine { steps: 0, floor: 0.0 }.check().is_ok());
        assert!(schedule.at(5).is_finite());
    }
}
