//! Leaky integrate-and-fire neuron with alpha-shaped synaptic conductances.
//!
//! ```text
//! c_m dv/dt = -g_l (v - e_l) - g_ex (v - e_ex) - g_in (v - e_in) + i_e + I(t)
//! g(s) = weight * e * s / tau_syn * exp(-s / tau_syn) after an arrival at s = 0
//! v >= v_th: spike, v = v_reset for t_ref
//! ```
//!
//! The weight is the peak of the conductance, reached `tau_syn` after the arrival (inhibitory weights count by
//! magnitude). A conductance is kept as its value and the second variable of the cascade, `dg` (nS/ms):
//! `g' = -g / tau_syn + dg`, `dg' = -dg / tau_syn`; an arrival adds `weight * e / tau_syn` to `dg`.
//!
//! A step integrates the potential from the state at its start, advances the conductances exactly and adds the input
//! that arrives at its end. `I` is constant within a step. The integrators are those of `lif_cond_exp`:
//! `exponential_euler` (default) takes each conductance's exact *mean over the step*, `rk4` the exact values at its
//! start, middle and end.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `c_m` | pF | 250 | membrane capacitance |
//! | `g_l` | nS | 16.6667 | leak conductance |
//! | `e_l` | mV | -70 | leak reversal potential |
//! | `e_ex` | mV | 0 | excitatory reversal potential |
//! | `e_in` | mV | -85 | inhibitory reversal potential |
//! | `v_th` | mV | -55 | threshold |
//! | `v_reset` | mV | -60 | potential after a spike |
//! | `t_ref` | ms | 2 | refractory time, rounded to whole steps |
//! | `tau_syn_ex` | ms | 0.2 | rise time of excitatory conductances |
//! | `tau_syn_in` | ms | 2 | rise time of inhibitory conductances |
//! | `i_e` | pA | 0 | constant current |
//!
//! Reference: H. Meffin, A. N. Burkitt, D. B. Grayden (2004), An analytical model for the "large, fluctuating synaptic
//! conductance state" typical of neocortical neurons in vivo, J Comput Neurosci 16:159-175; alpha functions after
//! W. Rall (1967), J Neurophysiol 30:1138-1168.

use super::conductance::{Conductances, Membrane, conductance_receptors};
use super::dynamics::{Derived, Dynamics, check_refractory, check_reset, refractory_steps, stepper};
use super::integrator::Integrator;
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Prepare, Receptor, Stepper, Variable, propagator};
use crate::compute::simd::{Lanes, Real};
use crate::error::Result;

parameters! {
    /// Leaky integrate-and-fire neuron with alpha-shaped conductances, `lif_cond_alpha`.
    pub struct LifCondAlpha {
        /// Membrane capacitance.
        c_m: "pF" = 250.0, Positive;
        /// Leak conductance.
        g_l: "nS" = 16.6667, Positive;
        /// Leak reversal potential.
        e_l: "mV" = -70.0, Any;
        /// Excitatory reversal potential.
        e_ex: "mV" = 0.0, Any;
        /// Inhibitory reversal potential.
        e_in: "mV" = -85.0, Any;
        /// Threshold.
        v_th: "mV" = -55.0, Any;
        /// Potential after a spike.
        v_reset: "mV" = -60.0, Any;
        /// Refractory time, rounded to whole steps.
        t_ref: "ms" = 2.0, NonNegative;
        /// Rise time of excitatory conductances.
        tau_syn_ex: "ms" = 0.2, Positive;
        /// Rise time of inhibitory conductances.
        tau_syn_in: "ms" = 2.0, Positive;
        /// Constant current.
        i_e: "pA" = 0.0, Any;
        option
        /// How the potential is integrated.
        integrator: Integrator;
    }
}

const VARIABLES: &[Variable] = &[
    Variable::new("v_m", "mV", -70.0),
    Variable::new("g_ex", "nS", 0.0),
    Variable::new("dg_ex", "nS/ms", 0.0),
    Variable::new("g_in", "nS", 0.0),
    Variable::new("dg_in", "nS/ms", 0.0),
];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "lif_cond_alpha",
    doc: "Leaky integrate-and-fire neuron, alpha-shaped synaptic conductances (weight = peak)",
    parameters: LifCondAlpha::PARAMETERS,
    variables: VARIABLES,
    options: LifCondAlpha::OPTIONS,
    reference: "Meffin, Burkitt & Grayden (2004) J Comput Neurosci 16:159-175",
    is_source: false,
    needs: None,
    make: make::<LifCondAlpha>,
};

impl LifCondAlpha {
    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        let dt = prepare.dt;
        let derive = |values: &[f64]| {
            let p = self.with(values);
            let decay = propagator::decay;
            Derived {
                constants: [
                    p.g_l,
                    p.e_ex,
                    p.e_in,
                    -dt / p.c_m,
                    p.g_l * p.e_l + p.i_e,
                    p.v_th,
                    p.v_reset,
                    dt,
                    dt / 2.0,
                    decay(p.tau_syn_ex, dt),
                    decay(p.tau_syn_in, dt),
                    decay(p.tau_syn_ex, dt / 2.0),
                    decay(p.tau_syn_in, dt / 2.0),
                    std::f64::consts::E / p.tau_syn_ex,
                    std::f64::consts::E / p.tau_syn_in,
                    propagator::mean_of_decay(p.tau_syn_ex, dt),
                    propagator::mean_of_decay(p.tau_syn_in, dt),
                    propagator::mean_of_alpha(p.tau_syn_ex, dt),
                    propagator::mean_of_alpha(p.tau_syn_in, dt),
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

struct Equations<const RK4: bool>;

impl<const RK4: bool> Dynamics<5, 2, 19> for Equations<RK4> {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, g_ex, dg_ex, g_in, dg_in]: [S; 5],
        [input_ex, input_in]: [S; 2],
        current: Option<S>,
        constants: &[S; 19],
        held: S::Mask,
    ) -> ([S; 5], S::Mask) {
        let &[g_l, e_ex, e_in, minus_dt_by_c, drive, v_th, v_reset, dt, half_dt, constants @ ..] = constants;
        let [fade_ex, fade_in, half_ex, half_in, weight_ex, weight_in, means @ ..] = constants;
        let membrane = Membrane { g_l, e_ex, e_in, minus_dt_by_c };
        let drive = current.map_or(drive, |current| drive.add(current));
        // (g + s dg) exp(-s / tau_syn) after a time s.
        let end = Conductances { ex: g_ex.add(dg_ex.mul(dt)).mul(fade_ex), inh: g_in.add(dg_in.mul(dt)).mul(fade_in) };
        let next = if RK4 {
            let start = Conductances { ex: g_ex, inh: g_in };
            let middle = Conductances {
                ex: g_ex.add(dg_ex.mul(half_dt)).mul(half_ex),
                inh: g_in.add(dg_in.mul(half_dt)).mul(half_in),
            };
            membrane.rk4(v, [start, middle, end], drive)
        } else {
            let [mean_ex, mean_in, mean_dg_ex, mean_dg_in] = means;
            let mean = Conductances {
                ex: g_ex.mul(mean_ex).add(dg_ex.mul(mean_dg_ex)),
                inh: g_in.mul(mean_in).add(dg_in.mul(mean_dg_in)),
            };
            membrane.exponential_euler(v, mean, drive)
        };
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        let dg_ex = dg_ex.mul(fade_ex).add(input_ex.mul(weight_ex));
        let dg_in = dg_in.mul(fade_in).add(input_in.mul(weight_in));
        ([S::select(spiked, v_reset, next), end.ex, dg_ex, end.inh, dg_in], spiked)
    }
}

impl NeuronModel for LifCondAlpha {
    numeric_model!("lif_cond_alpha");

    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let p = self.with(values);
        check_reset(p.v_reset, p.v_th).into_iter().chain(check_refractory(p.t_ref, dt)).collect()
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
        5.0
    }
}
