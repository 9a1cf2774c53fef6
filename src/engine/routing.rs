//! Which receptor a weight goes to.

use crate::model::ReceptorChoice;
use crate::neuron::{Polarity, Receptor};
use crate::synapse::WeightRange;

/// Receptors of positive and negative weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Routing {
    positive: Goal,
    negative: Goal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Goal {
    receptor: usize,
    /// The receptor sums magnitudes.
    magnitude: bool,
}

impl Routing {
    /// For weights that go where `choice` says at a population with these receptors.
    pub fn new(receptors: &[Receptor], choice: ReceptorChoice) -> Self {
        let goal = |receptor: usize| Goal {
            receptor,
            magnitude: receptors[receptor].polarity == Polarity::InhibitoryMagnitude,
        };
        match choice {
            ReceptorChoice::Always(receptor) => Self { positive: goal(receptor), negative: goal(receptor) },
            ReceptorChoice::BySign { nonnegative, negative } => {
                Self { positive: goal(nonnegative), negative: goal(negative) }
            }
        }
    }

    /// Receptor and stored value of a weight.
    #[inline(always)]
    pub fn of(&self, weight: f64) -> (usize, f64) {
        let goal = if weight < 0.0 { self.negative } else { self.positive };
        (goal.receptor, if goal.magnitude { weight.abs() } else { weight })
    }

    /// The one receptor all weights go to, and whether they go there as they are.
    pub fn single(&self) -> Option<usize> {
        (self.positive == self.negative && !self.positive.magnitude).then_some(self.positive.receptor)
    }

    /// What each receptor sees of weights in a range.
    pub fn ranges(&self, range: WeightRange) -> Vec<(usize, WeightRange)> {
        let mut seen = Vec::new();
        let mut add = |goal: Goal, min: f64, max: f64| {
            let (min, max) = if goal.magnitude {
                (if min <= 0.0 && max >= 0.0 { 0.0 } else { min.abs().min(max.abs()) }, min.abs().max(max.abs()))
            } else {
                (min, max)
            };
            seen.push((goal.receptor, WeightRange { min, max, rms: range.rms }));
        };
        if self.positive == self.negative {
            add(self.positive, range.min, range.max);
        } else {
            if range.max >= 0.0 {
                add(self.positive, range.min.max(0.0), range.max);
            }
            if range.min < 0.0 {
                add(self.negative, range.min, range.max.min(0.0));
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENTS: [Receptor; 2] = [
        Receptor { name: "excitatory", unit: "pA", polarity: Polarity::Excitatory },
        Receptor { name: "inhibitory", unit: "pA", polarity: Polarity::Inhibitory },
    ];
    const CONDUCTANCES: [Receptor; 2] = [
        Receptor { name: "excitatory", unit: "nS", polarity: Polarity::Excitatory },
        Receptor { name: "inhibitory", unit: "nS", polarity: Polarity::InhibitoryMagnitude },
    ];

    const BY_SIGN: ReceptorChoice = ReceptorChoice::BySign { nonnegative: 0, negative: 1 };

    #[test]
    fn signs_choose_the_receptor() {
        let currents = Routing::new(&CURRENTS, BY_SIGN);
        assert_eq!((currents.of(2.0), currents.of(-2.0)), ((0, 2.0), (1, -2.0)));
        let conductances = Routing::new(&CONDUCTANCES, BY_SIGN);
        assert_eq!((conductances.of(2.0), conductances.of(-2.0)), ((0, 2.0), (1, 2.0)));
        let named = Routing::new(&CONDUCTANCES, ReceptorChoice::Always(1));
        assert_eq!((named.of(67.0), named.of(-67.0)), ((1, 67.0), (1, 67.0)));
    }

    #[test]
    fn ranges_split_by_sign() {
        let range = WeightRange { min: -3.0, max: 5.0, rms: 1.0 };
        let split = Routing::new(&CONDUCTANCES, BY_SIGN).ranges(range);
        assert_eq!(split[0], (0, WeightRange { min: 0.0, max: 5.0, rms: 1.0 }));
        assert_eq!(split[1], (1, WeightRange { min: 0.0, max: 3.0, rms: 1.0 }));
    }
}
