//! Adaptive exponential integrate-and-fire neuron (AdEx) with exponentially decaying synaptic conductances.
//!
//! ```text
//! c_m dv/dt = -g_l (v - e_l) + g_l delta_t exp((v - v_th) / delta_t) - g_ex (v - e_ex) - g_in (v - e_in)
//!             - w + i_e + I(t)
//! tau_w dw/dt = a (v - e_l) - w
//! v >= v_peak: spike, v = v_reset for t_ref, w += b
//! ```
//!
//! A step integrates `v` and `w` from the state at its start, then lets the conductances decay (exactly) and adds the
//! input that arrives at its end. During refractoriness `v` is held and `w` relaxes. Conductances grow by the weight's
//! magnitude. Integrators:
//! - `exponential_euler` (default): `w` and the spike-initiating exponential are frozen at the *start* of the step, the
//!   conductances at their exact mean over it, and `v` relaxes exactly toward the equilibrium these make; likewise `w`
//!   toward `a (v - e_l)` with `v` of the start. First order in `dt`.
//! - `rk4`: one fourth-order Runge-Kutta step for `v` and `w` together, with the exact conductances at the start, middle
//!   and end of the step, and `v` not taken above `v_peak` on the right-hand side.
//!
//! The exponential's argument is clamped at 20, so that no value overflows. At that point the current is 5e8 times
//! `g_l delta_t` and carries `v` past any sensible peak within the step; a lower clamp would change spike times.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `c_m` | pF | 281 | membrane capacitance |
//! | `g_l` | nS | 30 | leak conductance |
//! | `e_l` | mV | -70.6 | leak reversal potential |
//! | `e_ex` | mV | 0 | excitatory reversal potential |
//! | `e_in` | mV | -85 | inhibitory reversal potential |
//! | `v_th` | mV | -50.4 | threshold of spike initiation |
//! | `delta_t` | mV | 2 | slope factor |
//! | `v_peak` | mV | 0 | peak at which a spike is sent |
//! | `v_reset` | mV | -60 | potential after a spike |
//! | `a` | nS | 4 | subthreshold adaptation |
//! | `b` | pA | 80.5 | spike-triggered adaptation |
//! | `tau_w` | ms | 144 | time constant of adaptation |
//! | `t_ref` | ms | 0 | refractory time, rounded to whole steps |
//! | `tau_syn_ex` | ms | 0.2 | decay time of excitatory conductances |
//! | `tau_syn_in` | ms | 2 | decay time of inhibitory conductances |
//! | `i_e` | pA | 0 | constant current |
//!
//! Reference: R. Brette, W. Gerstner (2005), Adaptive exponential integrate-and-fire model as an effective description
//! of neuronal activity, J Neurophysiol 94:3637-3642.

use super::conductance::{Conductances, Membrane, conductance_receptors};
use super::dynamics::{Derived, Dynamics, check_refractory, refractory_steps, stepper};
use super::integrator::Integrator;
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Prepare, Receptor, Stepper, Variable, propagator};
use crate::compute::simd::{Lanes, Real, exp};
use crate::error::Result;

parameters! {
    /// Adaptive exponential integrate-and-fire neuron, `adex`.
    pub struct AdEx {
        /// Membrane capacitance.
        c_m: "pF" = 281.0, Positive;
        /// Leak conductance.
        g_l: "nS" = 30.0, Positive;
        /// Leak reversal potential.
        e_l: "mV" = -70.6, Any;
        /// Excitatory reversal potential.
        e_ex: "mV" = 0.0, Any;
        /// Inhibitory reversal potential.
        e_in: "mV" = -85.0, Any;
        /// Threshold of spike initiation.
        v_th: "mV" = -50.4, Any;
        /// Slope factor.
        delta_t: "mV" = 2.0, Positive;
        /// Peak at which a spike is sent.
        v_peak: "mV" = 0.0, Any;
        /// Potential after a spike.
        v_reset: "mV" = -60.0, Any;
        /// Subthreshold adaptation.
        a: "nS" = 4.0, Any;
        /// Spike-triggered adaptation.
        b: "pA" = 80.5, Any;
        /// Time constant of adaptation.
        tau_w: "ms" = 144.0, Positive;
        /// Refractory time, rounded to whole steps.
        t_ref: "ms" = 0.0, NonNegative;
        /// Decay time of excitatory conductances.
        tau_syn_ex: "ms" = 0.2, Positive;
        /// Decay time of inhibitory conductances.
        tau_syn_in: "ms" = 2.0, Positive;
        /// Constant current.
        i_e: "pA" = 0.0, Any;
        option
        /// How potential and adaptation are integrated.
        integrator: Integrator;
    }
}

const VARIABLES: &[Variable] = &[
    Variable::new("v_m", "mV", -70.6),
    Variable::new("w", "pA", 0.0),
    Variable::new("g_ex", "nS", 0.0),
    Variable::new("g_in", "nS", 0.0),
];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "adex",
    doc: "Adaptive exponential integrate-and-fire neuron, exponential synaptic conductances",
    parameters: AdEx::PARAMETERS,
    variables: VARIABLES,
    options: AdEx::OPTIONS,
    reference: "Brette & Gerstner (2005) J Neurophysiol 94:3637-3642",
    is_source: false,
    needs: None,
    make: make::<AdEx>,
};

/// Largest argument of the spike-initiating exponential.
const LARGEST_ARGUMENT: f64 = 20.0;

impl AdEx {
    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        let dt = prepare.dt;
        let derive = |values: &[f64]| {
            let p = self.with(values);
            Derived {
                constants: [
                    p.g_l,
                    p.e_ex,
                    p.e_in,
                    -dt / p.c_m,
                    p.g_l * p.e_l + p.i_e,
                    p.v_th,
                    1.0 / p.delta_t,
                    p.g_l * p.delta_t,
                    p.v_peak,
                    p.v_reset,
                    p.a,
                    p.e_l,
                    p.b,
                    propagator::decay(p.tau_w, dt),
                    dt / p.tau_w,
                    propagator::decay(p.tau_syn_ex, dt),
                    propagator::decay(p.tau_syn_in, dt),
                    propagator::decay(p.tau_syn_ex, dt / 2.0),
                    propagator::decay(p.tau_syn_in, dt / 2.0),
                    propagator::mean_of_decay(p.tau_syn_ex, dt),
                    propagator::mean_of_decay(p.tau_syn_in, dt),
                ],
                refractory: refractory_steps(p.t_ref, dt).expect("checked"),
            }
        };
        match self.integrator {
            Integrator::ExponentialEuler => stepper(Equations::<false>, self, prepare, derive),
            Integrator::Rk4 => stepper(Equations::<true>, self, prepare, derive),
        }
    }
}

/// The active part of the membrane: what depends on `v` beyond the leak, and adaptation.
#[derive(Clone, Copy)]
struct Active<S> {
    membrane: Membrane<S>,
    drive: S,
    v_th: S,
    by_delta_t: S,
    g_delta: S,
    v_peak: S,
    a: S,
    e_l: S,
    dt_by_tau_w: S,
}

impl<S: Lanes> Active<S> {
    /// Current of spike initiation, pA.
    #[inline(always)]
    fn initiation(&self, v: S) -> S {
        let argument = v.sub(self.v_th).mul(self.by_delta_t).min(S::splat(S::Elem::of(LARGEST_ARGUMENT)));
        exp(argument).mul(self.g_delta)
    }

    /// Increments of `v` (none where `held`) and `w` over a step at the slopes of a state.
    #[inline(always)]
    fn slopes(&self, v: S, w: S, g: Conductances<S>, held: S::Mask) -> (S, S) {
        let v = v.min(self.v_peak);
        let slope = self.membrane.slope(v, g, self.drive.add(self.initiation(v)).sub(w));
        let slope_w = v.sub(self.e_l).mul(self.a).sub(w).mul(self.dt_by_tau_w);
        (S::select(held, S::splat(S::Elem::ZERO), slope), slope_w)
    }

    /// One Runge-Kutta step, with the conductances at the start, middle and end of it.
    #[inline(always)]
    fn rk4(&self, v: S, w: S, g: [Conductances<S>; 3], held: S::Mask) -> (S, S) {
        let c = |x: f64| S::splat(S::Elem::of(x));
        let (half, two, sixth) = (c(0.5), c(2.0), c(1.0 / 6.0));
        let (v1, w1) = self.slopes(v, w, g[0], held);
        let (v2, w2) = self.slopes(v.add(v1.mul(half)), w.add(w1.mul(half)), g[1], held);
        let (v3, w3) = self.slopes(v.add(v2.mul(half)), w.add(w2.mul(half)), g[1], held);
        let (v4, w4) = self.slopes(v.add(v3), w.add(w3), g[2], held);
        let mean = |k1: S, k2: S, k3: S, k4: S| k1.add(k2.add(k3).mul(two)).add(k4).mul(sixth);
        (v.add(mean(v1, v2, v3, v4)), w.add(mean(w1, w2, w3, w4)))
    }
}

struct Equations<const RK4: bool>;

impl<const RK4: bool> Dynamics<4, 2, 21> for Equations<RK4> {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, w, g_ex, g_in]: [S; 4],
        [input_ex, input_in]: [S; 2],
        current: Option<S>,
        constants: &[S; 21],
        held: S::Mask,
    ) -> ([S; 4], S::Mask) {
        let &[g_l, e_ex, e_in, minus_dt_by_c, drive, v_th, by_delta_t, g_delta, v_peak, v_reset, rest @ ..] = constants;
        let [a, e_l, b, fade_w, dt_by_tau_w, fade_ex, fade_in, half_ex, half_in, mean_ex, mean_in] = rest;
        let membrane = Membrane { g_l, e_ex, e_in, minus_dt_by_c };
        let drive = current.map_or(drive, |current| drive.add(current));
        let active = Active { membrane, drive, v_th, by_delta_t, g_delta, v_peak, a, e_l, dt_by_tau_w };
        let end = Conductances { ex: g_ex.mul(fade_ex), inh: g_in.mul(fade_in) };
        let (next, next_w) = if RK4 {
            let start = Conductances { ex: g_ex, inh: g_in };
            let middle = Conductances { ex: g_ex.mul(half_ex), inh: g_in.mul(half_in) };
            active.rk4(v, w, [start, middle, end], held)
        } else {
            let toward = v.sub(e_l).mul(a);
            let drive = drive.add(active.initiation(v)).sub(w);
            let mean = Conductances { ex: g_ex.mul(mean_ex), inh: g_in.mul(mean_in) };
            (membrane.exponential_euler(v, mean, drive), toward.add(w.sub(toward).mul(fade_w)))
        };
        let spiked = S::and_not(next.ge(v_peak), held);
        let next = S::select(held, v, next);
        let state = [
            S::select(spiked, v_reset, next),
            S::select(spiked, next_w.add(b), next_w),
            end.ex.add(input_ex),
            end.inh.add(input_in),
        ];
        (state, spiked)
    }
}

impl NeuronModel for AdEx {
    numeric_model!("adex");

    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let p = self.with(values);
        let mut faults = Vec::new();
        if p.v_reset >= p.v_peak {
            faults.push(("v_reset", format!("{} mV is not below the peak v_peak = {} mV", p.v_reset, p.v_peak)));
        }
        if p.v_peak < p.v_th {
            faults.push(("v_peak", format!("{} mV is below the threshold v_th = {} mV", p.v_peak, p.v_th)));
        }
        faults.extend(check_refractory(p.t_ref, dt));
        faults
    }

    fn variables(&self) -> &[Variable] {
        VARIABLES
    }

    fn initial(&self, variable: usize, values: &[f64]) -> f64 {
        if variable == 0 { self.with(values).e_l } else { 0.0 }
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        conductance_receptors()
    }

    fn cost(&self) -> f64 {
        7.0
    }
}
