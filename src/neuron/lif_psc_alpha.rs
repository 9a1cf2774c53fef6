//! Leaky integrate-and-fire neuron with alpha-shaped synaptic currents.
//!
//! ```text
//! c_m dv/dt = -c_m (v - e_l) / tau_m + i_syn_ex + i_syn_in + i_e + I(t)
//! i_syn(s) = weight * e * s / tau_syn * exp(-s / tau_syn) after an arrival at s = 0
//! v >= v_th: spike, v = v_reset for t_ref
//! ```
//!
//! The weight is the peak of the current, reached `tau_syn` after the arrival. A current is kept as its value `i_syn`
//! and the second variable of the cascade, `di_syn` (pA/ms): `i_syn' = -i_syn / tau_syn + di_syn`,
//! `di_syn' = -di_syn / tau_syn`, and an arrival adds `weight * e / tau_syn` to `di_syn`.
//!
//! Integrated exactly on the grid of steps; `I` is constant within a step. A step propagates the potential with the
//! currents of its start, then the currents, and adds the input that arrives at its end. Currents keep evolving during
//! refractoriness. Equal time constants share one current as in `lif_psc_exp`.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `c_m` | pF | 250 | membrane capacitance |
//! | `tau_m` | ms | 10 | membrane time constant |
//! | `e_l` | mV | -70 | resting potential |
//! | `v_th` | mV | -55 | threshold |
//! | `v_reset` | mV | -70 | potential after a spike |
//! | `t_ref` | ms | 2 | refractory time, rounded to whole steps |
//! | `tau_syn_ex` | ms | 2 | rise time of excitatory currents |
//! | `tau_syn_in` | ms | 2 | rise time of inhibitory currents |
//! | `i_e` | pA | 0 | constant current |
//!
//! Reference: S. Rotter, M. Diesmann (1999), Exact digital simulation of time-invariant linear systems with
//! applications to neuronal modeling, Biological Cybernetics 81:381-402.

use super::currents::{Currents, check_merged, current_receptors};
use super::dynamics::{Derived, Dynamics, check_refractory, check_reset, refractory_steps, stepper};
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Prepare, Receptor, Stepper, Variable, propagator};
use crate::compute::simd::{Lanes, Real};
use crate::error::Result;

parameters! {
    /// Leaky integrate-and-fire neuron with alpha-shaped synaptic currents, `lif_psc_alpha`.
    pub struct LifPscAlpha {
        /// Membrane capacitance.
        c_m: "pF" = 250.0, Positive;
        /// Membrane time constant.
        tau_m: "ms" = 10.0, Positive;
        /// Resting potential.
        e_l: "mV" = -70.0, Any;
        /// Threshold.
        v_th: "mV" = -55.0, Any;
        /// Potential after a spike.
        v_reset: "mV" = -70.0, Any;
        /// Refractory time, rounded to whole steps.
        t_ref: "ms" = 2.0, NonNegative;
        /// Rise time of excitatory currents.
        tau_syn_ex: "ms" = 2.0, Positive;
        /// Rise time of inhibitory currents.
        tau_syn_in: "ms" = 2.0, Positive;
        /// Constant current.
        i_e: "pA" = 0.0, Any;
        option
        /// Whether equal time constants share one current.
        currents: Currents;
    }
}

const MERGED: &[Variable] =
    &[Variable::new("v_m", "mV", -70.0), Variable::new("i_syn", "pA", 0.0), Variable::new("di_syn", "pA/ms", 0.0)];
const SEPARATE: &[Variable] = &[
    Variable::new("v_m", "mV", -70.0),
    Variable::new("i_syn_ex", "pA", 0.0),
    Variable::new("di_syn_ex", "pA/ms", 0.0),
    Variable::new("i_syn_in", "pA", 0.0),
    Variable::new("di_syn_in", "pA/ms", 0.0),
];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "lif_psc_alpha",
    doc: "Leaky integrate-and-fire neuron, alpha-shaped synaptic currents (weight = peak); exact integration",
    parameters: LifPscAlpha::PARAMETERS,
    variables: MERGED,
    options: LifPscAlpha::OPTIONS,
    reference: "Rotter & Diesmann (1999) Biol Cybern 81:381-402",
    is_source: false,
    needs: None,
    make: make::<LifPscAlpha>,
};

impl LifPscAlpha {
    fn merged(&self) -> bool {
        self.currents == Currents::Merged && self.tau_syn_ex == self.tau_syn_in
    }

    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        let dt = prepare.dt;
        let membrane = |p: &Self| {
            let from_current = propagator::from_constant_current(p.tau_m, p.c_m, dt);
            let rest = -p.e_l * libm::expm1(-dt / p.tau_m);
            let decay = propagator::decay(p.tau_m, dt);
            let refractory = refractory_steps(p.t_ref, dt).expect("checked");
            ([decay, rest + p.i_e * from_current, from_current, p.v_th, p.v_reset], refractory)
        };
        // Decay, current from its slope, slope from a weight, v from the current, v from its slope.
        let synapse = |p: &Self, tau: f64| {
            let decay = propagator::decay(tau, dt);
            let from_i = propagator::from_exponential_current(p.tau_m, tau, p.c_m, dt);
            let from_di = propagator::from_alpha_current(p.tau_m, tau, p.c_m, dt);
            [decay, dt * decay, std::f64::consts::E / tau, from_i, from_di]
        };
        if self.merged() {
            stepper(Merged, self, prepare, |values| {
                let p = self.with(values);
                let ([m0, m1, m2, m3, m4], refractory) = membrane(&p);
                let [s0, s1, s2, s3, s4] = synapse(&p, p.tau_syn_ex);
                Derived { constants: [m0, m1, m2, m3, m4, s0, s1, s2, s3, s4], refractory }
            })
        } else {
            stepper(Separate, self, prepare, |values| {
                let p = self.with(values);
                let ([m0, m1, m2, m3, m4], refractory) = membrane(&p);
                let [e0, e1, e2, e3, e4] = synapse(&p, p.tau_syn_ex);
                let [i0, i1, i2, i3, i4] = synapse(&p, p.tau_syn_in);
                Derived { constants: [m0, m1, m2, m3, m4, e0, e1, e2, e3, e4, i0, i1, i2, i3, i4], refractory }
            })
        }
    }
}

/// One synaptic current of a step: its effect on the potential, and its new value and slope.
#[inline(always)]
fn current_step<S: Lanes>(
    i: S,
    di: S,
    input: S,
    [decay, from_slope, from_weight, v_from_i, v_from_di]: [S; 5],
) -> (S, S, S) {
    let effect = i.mul(v_from_i).add(di.mul(v_from_di));
    (effect, i.mul(decay).add(di.mul(from_slope)), di.mul(decay).add(input.mul(from_weight)))
}

struct Merged;

impl Dynamics<3, 1, 10> for Merged {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, i, di]: [S; 3],
        [input]: [S; 1],
        current: Option<S>,
        &[decay, drive, from_current, v_th, v_reset, s0, s1, s2, s3, s4]: &[S; 10],
        held: S::Mask,
    ) -> ([S; 3], S::Mask) {
        let (effect, i, di) = current_step(i, di, input, [s0, s1, s2, s3, s4]);
        let mut next = v.mul(decay).add(drive).add(effect);
        if let Some(current) = current {
            next = next.add(current.mul(from_current));
        }
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        ([S::select(spiked, v_reset, next), i, di], spiked)
    }
}

struct Separate;

impl Dynamics<5, 2, 15> for Separate {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, i_ex, di_ex, i_in, di_in]: [S; 5],
        [input_ex, input_in]: [S; 2],
        current: Option<S>,
        &[decay, drive, from_current, v_th, v_reset, e0, e1, e2, e3, e4, i0, i1, i2, i3, i4]: &[S; 15],
        held: S::Mask,
    ) -> ([S; 5], S::Mask) {
        let (effect_ex, i_ex, di_ex) = current_step(i_ex, di_ex, input_ex, [e0, e1, e2, e3, e4]);
        let (effect_in, i_in, di_in) = current_step(i_in, di_in, input_in, [i0, i1, i2, i3, i4]);
        let mut next = v.mul(decay).add(drive).add(effect_ex).add(effect_in);
        if let Some(current) = current {
            next = next.add(current.mul(from_current));
        }
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        ([S::select(spiked, v_reset, next), i_ex, di_ex, i_in, di_in], spiked)
    }
}

impl NeuronModel for LifPscAlpha {
    numeric_model!("lif_psc_alpha");

    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let p = self.with(values);
        check_reset(p.v_reset, p.v_th)
            .into_iter()
            .chain(check_refractory(p.t_ref, dt))
            .chain(check_merged(self.merged(), p.tau_syn_ex, p.tau_syn_in))
            .collect()
    }

    fn variables(&self) -> &[Variable] {
        if self.merged() { MERGED } else { SEPARATE }
    }

    fn initial(&self, variable: usize, values: &[f64]) -> f64 {
        if variable == 0 { self.with(values).e_l } else { 0.0 }
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        current_receptors(self.merged())
    }

    fn cost(&self) -> f64 {
        1.5
    }
}
