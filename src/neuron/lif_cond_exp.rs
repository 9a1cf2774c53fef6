//! Leaky integrate-and-fire neuron with exponentially decaying synaptic conductances.
//!
//! ```text
//! c_m dv/dt = -g_l (v - e_l) - g_ex (v - e_ex) - g_in (v - e_in) + i_e + I(t)
//! tau_syn_ex dg_ex/dt = -g_ex,    g_ex += weight at every arrival (g_in alike, by the weight's magnitude)
//! v >= v_th: spike, v = v_reset for t_ref
//! ```
//!
//! A step integrates the potential with the conductances as they decay from its start, and adds the input that arrives
//! at its end. `I` is constant within a step. Integrators of the potential:
//! - `exponential_euler` (default): relaxes exactly toward the equilibrium of each conductance's *mean over the step*,
//!   which is known exactly. Second order in `dt` and stable for any conductance. (Brian2's method of that name takes
//!   the conductances of the start of the step instead; with `tau_syn_ex` = 0.2 ms and `dt` = 0.1 ms that makes
//!   excitatory potentials a quarter too large.)
//! - `rk4`: fourth-order Runge-Kutta with the exact conductances at the start, middle and end of the step. Fourth order
//!   in `dt`, but unstable where `dt * (g_l + g_ex + g_in) / c_m` exceeds 2.7.
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
//! | `tau_syn_ex` | ms | 0.2 | decay time of excitatory conductances |
//! | `tau_syn_in` | ms | 2 | decay time of inhibitory conductances |
//! | `i_e` | pA | 0 | constant current |
//!
//! Reference: H. Meffin, A. N. Burkitt, D. B. Grayden (2004), An analytical model for the "large, fluctuating synaptic
//! conductance state" typical of neocortical neurons in vivo, J Comput Neurosci 16:159-175.

use super::conductance::{Conductances, Membrane, conductance_receptors};
use super::dynamics::{Derived, Dynamics, check_refractory, check_reset, refractory_steps, stepper};
use super::integrator::Integrator;
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Prepare, Receptor, Stepper, Variable, propagator};
use crate::compute::simd::{Lanes, Real};
use crate::error::Result;

parameters! {
    /// Leaky integrate-and-fire neuron with exponential conductances, `lif_cond_exp`.
    pub struct LifCondExp {
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
        /// Decay time of excitatory conductances.
        tau_syn_ex: "ms" = 0.2, Positive;
        /// Decay time of inhibitory conductances.
        tau_syn_in: "ms" = 2.0, Positive;
        /// Constant current.
        i_e: "pA" = 0.0, Any;
        option
        /// How the potential is integrated.
        integrator: Integrator;
    }
}

const VARIABLES: &[Variable] =
    &[Variable::new("v_m", "mV", -70.0), Variable::new("g_ex", "nS", 0.0), Variable::new("g_in", "nS", 0.0)];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "lif_cond_exp",
    doc: "Leaky integrate-and-fire neuron, exponential synaptic conductances",
    parameters: LifCondExp::PARAMETERS,
    variables: VARIABLES,
    options: LifCondExp::OPTIONS,
    reference: "Meffin, Burkitt & Grayden (2004) J Comput Neurosci 16:159-175",
    is_source: false,
    needs: None,
    make: make::<LifCondExp>,
};

impl LifCondExp {
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
                    p.v_reset,
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

struct Equations<const RK4: bool>;

impl<const RK4: bool> Dynamics<3, 2, 13> for Equations<RK4> {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, g_ex, g_in]: [S; 3],
        [input_ex, input_in]: [S; 2],
        current: Option<S>,
        constants: &[S; 13],
        held: S::Mask,
    ) -> ([S; 3], S::Mask) {
        let &[g_l, e_ex, e_in, minus_dt_by_c, drive, v_th, v_reset, constants @ ..] = constants;
        let [fade_ex, fade_in, half_ex, half_in, mean_ex, mean_in] = constants;
        let membrane = Membrane { g_l, e_ex, e_in, minus_dt_by_c };
        let drive = current.map_or(drive, |current| drive.add(current));
        let end = Conductances { ex: g_ex.mul(fade_ex), inh: g_in.mul(fade_in) };
        let next = if RK4 {
            let start = Conductances { ex: g_ex, inh: g_in };
            let middle = Conductances { ex: g_ex.mul(half_ex), inh: g_in.mul(half_in) };
            membrane.rk4(v, [start, middle, end], drive)
        } else {
            let mean = Conductances { ex: g_ex.mul(mean_ex), inh: g_in.mul(mean_in) };
            membrane.exponential_euler(v, mean, drive)
        };
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        ([S::select(spiked, v_reset, next), end.ex.add(input_ex), end.inh.add(input_in)], spiked)
    }
}

impl NeuronModel for LifCondExp {
    numeric_model!("lif_cond_exp");

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
        4.0
    }
}
