//! Leaky integrate-and-fire neuron with exponentially decaying synaptic currents.
//!
//! ```text
//! c_m dv/dt = -c_m (v - e_l) / tau_m + i_syn_ex + i_syn_in + i_e + I(t)
//! tau_syn_ex di_syn_ex/dt = -i_syn_ex,    i_syn_ex += weight at every arrival (i_syn_in alike)
//! v >= v_th: spike, v = v_reset for t_ref
//! ```
//!
//! Integrated exactly on the grid of steps; `I` is constant within a step. A step propagates the potential with the
//! currents of its start, then lets the currents decay and adds the input that arrives at its end. Currents keep
//! decaying and receiving during refractoriness.
//!
//! Where both synaptic time constants are equal, the two currents obey one equation and are kept as one column,
//! `i_syn`, with one receptor for weights of either sign. The option `currents` asks for two columns all the same,
//! which is needed where the time constants are drawn for each neuron.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `c_m` | pF | 250 | membrane capacitance |
//! | `tau_m` | ms | 10 | membrane time constant |
//! | `e_l` | mV | -70 | resting potential |
//! | `v_th` | mV | -55 | threshold |
//! | `v_reset` | mV | -70 | potential after a spike |
//! | `t_ref` | ms | 2 | refractory time, rounded to whole steps |
//! | `tau_syn_ex` | ms | 2 | time constant of excitatory currents |
//! | `tau_syn_in` | ms | 2 | time constant of inhibitory currents |
//! | `i_e` | pA | 0 | constant current |
//!
//! Reference: S. Rotter, M. Diesmann (1999), Exact digital simulation of time-invariant linear systems with
//! applications to neuronal modeling, Biological Cybernetics 81:381-402.

use super::currents::{Currents, check_merged, current_receptors};
use super::dynamics::{
    Derived, Dynamics, check_refractory, check_reset, refractory_steps, stepper, unrest_of_membrane,
};
use super::lif_constants::{LifConstants, SynapseConstants, check_uniform};
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Prepare, Receptor, Stepper, Variable, propagator};
use crate::compute::simd::{Lanes, Real};
use crate::error::{Error, Result};

parameters! {
    /// Leaky integrate-and-fire neuron with exponential synaptic currents, `lif_psc_exp`.
    pub struct LifPscExp {
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
        /// Time constant of excitatory currents.
        tau_syn_ex: "ms" = 2.0, Positive;
        /// Time constant of inhibitory currents.
        tau_syn_in: "ms" = 2.0, Positive;
        /// Constant current.
        i_e: "pA" = 0.0, Any;
        option
        /// Whether equal time constants share one current.
        currents: Currents;
    }
}

const MERGED: &[Variable] = &[Variable::new("v_m", "mV", -70.0), Variable::new("i_syn", "pA", 0.0)];
const SEPARATE: &[Variable] =
    &[Variable::new("v_m", "mV", -70.0), Variable::new("i_syn_ex", "pA", 0.0), Variable::new("i_syn_in", "pA", 0.0)];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "lif_psc_exp",
    doc: "Leaky integrate-and-fire neuron, exponential synaptic currents; exact integration",
    parameters: LifPscExp::PARAMETERS,
    variables: MERGED,
    options: LifPscExp::OPTIONS,
    reference: "Rotter & Diesmann (1999) Biol Cybern 81:381-402",
    is_source: false,
    needs: None,
    make: make::<LifPscExp>,
};

impl LifPscExp {
    fn merged(&self) -> bool {
        self.currents == Currents::Merged && self.tau_syn_ex == self.tau_syn_in
    }

    /// What a step of `dt` ms computes with, where both synaptic time constants are equal.
    ///
    /// # Errors
    /// Values the engine would refuse (out of range, a reset that is not below the threshold), or two synaptic
    /// currents.
    pub fn constants(&self, dt: f64) -> Result<LifConstants> {
        check_uniform(self, dt)?;
        if !self.merged() {
            return Err(Error::invalid(
                "tau_syn_in",
                format!(
                    "tau_syn_ex = {} ms and tau_syn_in = {} ms are kept as two currents; constants of a step are there \
                     for one: make them equal and leave `currents` at `merged`",
                    self.tau_syn_ex, self.tau_syn_in
                ),
            ));
        }
        let (fade, from_syn) = self.synapse(self.tau_syn_ex, dt);
        Ok(LifConstants { synapse: Some(SynapseConstants { fade, from_syn }), ..self.membrane(dt) })
    }

    fn membrane(&self, dt: f64) -> LifConstants {
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

    /// Decay of a current with time constant `tau`, and the potential it gives.
    fn synapse(&self, tau: f64, dt: f64) -> (f64, f64) {
        (propagator::decay(tau, dt), propagator::from_exponential_current(self.tau_m, tau, self.c_m, dt))
    }

    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        let dt = prepare.dt;
        if self.merged() {
            stepper(Merged, self, prepare, |values| {
                let p = self.with(values);
                let c = p.membrane(dt);
                let (fade, from_syn) = p.synapse(p.tau_syn_ex, dt);
                let constants = [c.decay, c.drive, c.from_current, c.v_th, c.v_reset, fade, from_syn];
                Derived { constants, refractory: c.refractory }
            })
        } else {
            stepper(Separate, self, prepare, |values| {
                let p = self.with(values);
                let c = p.membrane(dt);
                let (fade_ex, from_ex) = p.synapse(p.tau_syn_ex, dt);
                let (fade_in, from_in) = p.synapse(p.tau_syn_in, dt);
                Derived {
                    constants: [
                        c.decay,
                        c.drive,
                        c.from_current,
                        c.v_th,
                        c.v_reset,
                        fade_ex,
                        from_ex,
                        fade_in,
                        from_in,
                    ],
                    refractory: c.refractory,
                }
            })
        }
    }
}

struct Merged;

impl Dynamics<2, 1, 7> for Merged {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, i]: [S; 2],
        [input]: [S; 1],
        current: Option<S>,
        &[decay, drive, from_current, v_th, v_reset, fade, from_syn]: &[S; 7],
        held: S::Mask,
    ) -> ([S; 2], S::Mask) {
        let mut next = v.mul(decay).add(drive).add(i.mul(from_syn));
        if let Some(current) = current {
            next = next.add(current.mul(from_current));
        }
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        ([S::select(spiked, v_reset, next), i.mul(fade).add(input)], spiked)
    }

    fn unrest([v, i]: [f64; 2], &[decay, drive, _, v_th, _, fade, from_syn]: &[f64; 7]) -> Option<f64> {
        unrest_of_membrane(v, drive / (1.0 - decay), v_th, (i * from_syn).abs() / (1.0 - fade))
    }
}

struct Separate;

impl Dynamics<3, 2, 9> for Separate {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, i_ex, i_in]: [S; 3],
        [input_ex, input_in]: [S; 2],
        current: Option<S>,
        &[decay, drive, from_current, v_th, v_reset, fade_ex, from_ex, fade_in, from_in]: &[S; 9],
        held: S::Mask,
    ) -> ([S; 3], S::Mask) {
        let mut next = v.mul(decay).add(drive).add(i_ex.mul(from_ex)).add(i_in.mul(from_in));
        if let Some(current) = current {
            next = next.add(current.mul(from_current));
        }
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        let state =
            [S::select(spiked, v_reset, next), i_ex.mul(fade_ex).add(input_ex), i_in.mul(fade_in).add(input_in)];
        (state, spiked)
    }

    fn unrest([v, i_ex, i_in]: [f64; 3], constants: &[f64; 9]) -> Option<f64> {
        let &[decay, drive, _, v_th, _, fade_ex, from_ex, fade_in, from_in] = constants;
        let pull = (i_ex * from_ex).abs() / (1.0 - fade_ex) + (i_in * from_in).abs() / (1.0 - fade_in);
        unrest_of_membrane(v, drive / (1.0 - decay), v_th, pull)
    }
}

impl NeuronModel for LifPscExp {
    numeric_model!("lif_psc_exp");

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
}
