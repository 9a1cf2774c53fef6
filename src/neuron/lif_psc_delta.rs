//! Leaky integrate-and-fire neuron whose potential jumps at every arriving spike.
//!
//! ```text
//! c_m dv/dt = -c_m (v - e_l) / tau_m + i_e + I(t),    v += weight at every arrival
//! v >= v_th: spike, v = v_reset for t_ref
//! ```
//!
//! Integrated exactly on the grid of steps; `I` is constant within a step. A step propagates the potential, then adds
//! the input that arrives at its end, then compares with the threshold. Input during refractoriness is dropped.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `c_m` | pF | 250 | membrane capacitance |
//! | `tau_m` | ms | 10 | membrane time constant |
//! | `e_l` | mV | -70 | resting potential |
//! | `v_th` | mV | -55 | threshold |
//! | `v_reset` | mV | -70 | potential after a spike |
//! | `t_ref` | ms | 2 | refractory time, rounded to whole steps |
//! | `i_e` | pA | 0 | constant current |
//!
//! Reference: S. Rotter, M. Diesmann (1999), Exact digital simulation of time-invariant linear systems with
//! applications to neuronal modeling, Biological Cybernetics 81:381-402.

use super::dynamics::{
    Derived, Dynamics, check_refractory, check_reset, refractory_steps, stepper, unrest_of_membrane,
};
use super::lif_constants::{LifConstants, check_uniform};
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Polarity, Prepare, Receptor, Stepper, Variable, propagator};
use crate::compute::simd::{Lanes, Real};
use crate::error::Result;

parameters! {
    /// Leaky integrate-and-fire neuron with delta synapses, `lif_psc_delta`.
    pub struct LifPscDelta {
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
        /// Constant current.
        i_e: "pA" = 0.0, Any;
    }
}

const VARIABLES: &[Variable] = &[Variable::new("v_m", "mV", -70.0)];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "lif_psc_delta",
    doc: "Leaky integrate-and-fire neuron, potential jumps at every input; exact integration",
    parameters: LifPscDelta::PARAMETERS,
    variables: VARIABLES,
    options: LifPscDelta::OPTIONS,
    reference: "Rotter & Diesmann (1999) Biol Cybern 81:381-402",
    is_source: false,
    needs: None,
    make: make::<LifPscDelta>,
};

impl LifPscDelta {
    /// What a step of `dt` ms computes with.
    ///
    /// # Errors
    /// Values the engine would refuse: out of range, a reset that is not below the threshold.
    pub fn constants(&self, dt: f64) -> Result<LifConstants> {
        check_uniform(self, dt)?;
        Ok(self.derived(dt))
    }

    fn derived(&self, dt: f64) -> LifConstants {
        let from_current = propagator::from_constant_current(self.tau_m, self.c_m, dt);
        let rest = -self.e_l * libm::expm1(-dt / self.tau_m);
        LifConstants {
            decay: propagator::decay(self.tau_m, dt),
            drive: rest + self.i_e * from_current,
            from_current,
            v_th: self.v_th,
            v_reset: self.v_reset,
            v_start: self.e_l,
            refractory: refractory_steps(self.t_ref, dt).expect("checked"),
            synapse: None,
        }
    }

    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        stepper(Equations, self, prepare, |values| {
            let c = self.with(values).derived(prepare.dt);
            Derived { constants: [c.decay, c.drive, c.from_current, c.v_th, c.v_reset], refractory: c.refractory }
        })
    }
}

struct Equations;

impl Dynamics<1, 1, 5> for Equations {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v]: [S; 1],
        [input]: [S; 1],
        current: Option<S>,
        &[decay, drive, from_current, v_th, v_reset]: &[S; 5],
        held: S::Mask,
    ) -> ([S; 1], S::Mask) {
        let mut next = v.mul(decay).add(drive);
        if let Some(current) = current {
            next = next.add(current.mul(from_current));
        }
        let next = next.add(input);
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        ([S::select(spiked, v_reset, next)], spiked)
    }

    fn unrest([v]: [f64; 1], &[decay, drive, _, v_th, _]: &[f64; 5]) -> Option<f64> {
        unrest_of_membrane(v, drive / (1.0 - decay), v_th, 0.0)
    }
}

impl NeuronModel for LifPscDelta {
    numeric_model!("lif_psc_delta");

    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let p = self.with(values);
        check_reset(p.v_reset, p.v_th).into_iter().chain(check_refractory(p.t_ref, dt)).collect()
    }

    fn variables(&self) -> &[Variable] {
        VARIABLES
    }

    fn initial(&self, _variable: usize, values: &[f64]) -> f64 {
        self.with(values).e_l
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        vec![Receptor { name: "synaptic", unit: "mV", polarity: Polarity::Signed }]
    }

    fn cost(&self) -> f64 {
        0.8
    }
}
