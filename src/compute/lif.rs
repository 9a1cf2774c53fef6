//! Leaky integrate-and-fire neurons in training: what a step computes, and the derivative that stands in for that of a
//! spike.

use super::backend::Arg;
use super::memory::Buffer;

/// What becomes of the potential of a neuron that spikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// It is set to `v_reset`, as the engine's models do.
    #[default]
    ToValue,
    /// It is lowered by `v_th - v_reset`, so that what lay above the threshold stays. The engine has no such model.
    BySubtraction,
}

/// Derivative used for that of a spike, which is zero nearly everywhere.
///
/// A spike is the step function of `x = (v - v_th) / (v_th - v_reset)`, where `v` is the potential just before the
/// comparison: 0 at the threshold, -1 at the reset. In the backward pass the derivative of the step by `x` is taken to
/// be `g(x)`, so that by `v` it is `g(x) / (v_th - v_reset)`. The forward pass is not changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Surrogate {
    /// `g(x) = 1 / (1 + slope |x|)²`. Zenke & Ganguli (2018), SuperSpike, Neural Computation 30:1514-1541.
    FastSigmoid {
        /// How fast it falls off; above 0. 25 is common where potentials stay near the threshold, smaller values reach
        /// farther.
        slope: f64,
    },
    /// `g(x) = (alpha / 2) / (1 + (pi alpha x / 2)²)`, the derivative of `atan(pi alpha x / 2) / pi`. Fang et al.
    /// (2021), Incorporating learnable membrane time constant, ICCV.
    ArcTan {
        /// Height and steepness; above 0, usually 2.
        alpha: f64,
    },
    /// `g(x) = gamma max(0, 1 - |x|)`. Bellec et al. (2018), Long short-term memory and learning-to-learn in networks
    /// of spiking neurons, NeurIPS.
    Triangular {
        /// Height; above 0, 0.3 in the paper.
        gamma: f64,
    },
    /// `g(x) = 1`. Bengio, Leonard & Courville (2013), arXiv:1308.3432.
    StraightThrough,
}

impl Default for Surrogate {
    /// The fast sigmoid of slope 5.
    fn default() -> Self {
        Self::FastSigmoid { slope: 5.0 }
    }
}

impl Surrogate {
    /// `g(x)` in double precision.
    ///
    /// ```
    /// use tessera::compute::Surrogate;
    /// assert_eq!(Surrogate::FastSigmoid { slope: 1.0 }.derivative(-1.0), 0.25);
    /// assert_eq!(Surrogate::Triangular { gamma: 0.3 }.derivative(2.0), 0.0);
    /// ```
    pub fn derivative(self, x: f64) -> f64 {
        match self {
            Self::FastSigmoid { slope } => (1.0 + slope * x.abs()).powi(-2),
            Self::ArcTan { alpha } => {
                alpha
                    / 2.0
                    / (1.0 + (std::f64::consts::FRAC_PI_2 * alpha * x) * (std::f64::consts::FRAC_PI_2 * alpha * x))
            }
            Self::Triangular { gamma } => gamma * (1.0 - x.abs()).max(0.0),
            Self::StraightThrough => 1.0,
        }
    }

    /// The number it is described by, if there is one, and that number's name.
    pub fn parameter(self) -> Option<(&'static str, f64)> {
        match self {
            Self::FastSigmoid { slope } => Some(("slope", slope)),
            Self::ArcTan { alpha } => Some(("alpha", alpha)),
            Self::Triangular { gamma } => Some(("gamma", gamma)),
            Self::StraightThrough => None,
        }
    }
}

/// One step of a neuron. Each operation is rounded alone and none is fused, in this order:
///
/// ```text
/// next  = v decay + drive + x                      without a synaptic current
/// next  = v decay + drive + i from_syn             with one; then i = i fade + x
/// spike = next >= v_th, unless held
/// v     = held ? v : spike ? reset(next) : next
/// held  = spike ? refractory : max(held - 1, 0)    steps in which it stays as it is
/// ```
///
/// These are the steps of the engine's models `lif_psc_delta` and `lif_psc_exp` (with one synaptic current), to the
/// bit, for [`Reset::ToValue`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LifStep {
    /// Factor the potential keeps of itself.
    pub decay: f64,
    /// What leak and constant current add.
    pub drive: f64,
    /// Threshold; infinite for a leaky integrator that never spikes.
    pub v_th: f64,
    /// Potential after a spike.
    pub v_reset: f64,
    /// Steps a neuron is held after a spike.
    pub refractory: u16,
    /// (fade, from_syn) of a synaptic current, if there is one.
    pub synapse: Option<(f64, f64)>,
    /// What a spike does to the potential.
    pub reset: Reset,
    /// Whether gradients pass by the reset: a spike's effect on its own neuron's later potential is then taken as
    /// given. The usual choice; without it, gradients also flow through the reset.
    pub detach_reset: bool,
}

/// Constants that differ between neurons, in place of those of [`LifStep`]: dense, one each neuron.
#[derive(Debug, Clone, Copy)]
pub struct LifVarying<'a> {
    /// In place of [`LifStep::decay`].
    pub decay: Arg<'a>,
    /// In place of [`LifStep::drive`].
    pub drive: Arg<'a>,
    /// In place of [`LifStep::v_th`].
    pub v_th: Arg<'a>,
}

/// Neurons stepped many times. All tensors are `f32` or all `f64`; one number each neuron where nothing else is said.
#[derive(Debug, Clone, Copy)]
pub struct LifScan<'a> {
    /// The step.
    pub step: LifStep,
    /// Constants of each neuron; only without a synaptic current.
    pub varying: Option<LifVarying<'a>>,
    /// Number of steps.
    pub steps: usize,
    /// Number of neurons.
    pub neurons: usize,
    /// Input: neuron `n` of step `t` at `offset + t * strides[0] + n`; a stride of 0 repeats one step. Gradients of
    /// neurons that cannot spike need none.
    pub x: Option<Arg<'a>>,
    /// Potentials to start from.
    pub v: Arg<'a>,
    /// Synaptic currents to start from, where the step has them.
    pub i: Option<Arg<'a>>,
    /// Steps for which neurons are still held, as whole numbers.
    pub held: Arg<'a>,
}

/// Where a scan writes. Steps lie one after the other, neurons within.
#[derive(Debug)]
pub struct LifOut<'a> {
    /// Spikes as 0 and 1, each step.
    pub spikes: Option<&'a mut Buffer>,
    /// Potentials at the end of each step.
    pub potentials: Option<&'a mut Buffer>,
    /// Potentials at the end.
    pub v: &'a mut Buffer,
    /// Currents at the end, where the step has them.
    pub i: Option<&'a mut Buffer>,
    /// Steps for which neurons are held, at the end.
    pub held: &'a mut Buffer,
}

/// Gradients that arrive at the results of a scan: dense, `None` where there are none.
#[derive(Debug, Clone, Copy)]
pub struct LifArriving<'a> {
    /// At the spikes.
    pub spikes: Option<Arg<'a>>,
    /// At the potentials of each step.
    pub potentials: Option<Arg<'a>>,
    /// At the potentials at the end.
    pub v: Option<Arg<'a>>,
    /// At the currents at the end.
    pub i: Option<Arg<'a>>,
}

/// Gradients of a scan.
#[derive(Debug)]
pub struct LifGradients<'a> {
    /// Of the input, steps one after the other.
    pub x: &'a mut Buffer,
    /// Of the potentials at the start.
    pub v: &'a mut Buffer,
    /// Of the currents at the start, where the step has them.
    pub i: Option<&'a mut Buffer>,
    /// Of decay, drive and threshold of each neuron, where they vary.
    pub varying: Option<[&'a mut Buffer; 3]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formulas again, from their primitives by central differences where there is one.
    #[test]
    fn derivatives_are_those_of_the_functions_they_come_from() {
        let by_difference = |f: &dyn Fn(f64) -> f64, x: f64| (f(x + 1e-6) - f(x - 1e-6)) / 2e-6;
        for x in [-3.0, -0.7, -0.1, 0.2, 1.4] {
            let arc = |x: f64| libm::atan(std::f64::consts::FRAC_PI_2 * 2.0 * x) / std::f64::consts::PI + 0.5;
            assert!((Surrogate::ArcTan { alpha: 2.0 }.derivative(x) - by_difference(&arc, x)).abs() < 1e-9);
            // The fast sigmoid x / (1 + b |x|).
            let fast = |x: f64| x / (1.0 + 5.0 * x.abs());
            assert!((Surrogate::default().derivative(x) - by_difference(&fast, x)).abs() < 1e-8);
        }
        assert_eq!(Surrogate::Triangular { gamma: 0.5 }.derivative(-0.5), 0.25);
        assert_eq!(Surrogate::StraightThrough.derivative(9.0), 1.0);
    }
}
