//! Leaky integrate-and-fire neuron in the plain forward-Euler form common on lattices.
//!
//! ```text
//! v += dt / tau_m * (-(v - v_rest) + input + I)
//! v >= v_th: spike, v = v_reset for t_ref
//! ```
//!
//! `input` is the sum of the weights (mV) that arrive in this step and acts in this step only; `I` is the injected
//! current times a resistance of 1 mV/pA. During refractoriness the potential stays where it is and input is dropped.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `tau_m` | ms | 20 | membrane time constant |
//! | `v_rest` | mV | -65 | resting potential |
//! | `v_th` | mV | -50 | threshold |
//! | `v_reset` | mV | -65 | potential after a spike |
//! | `t_ref` | ms | 2 | refractory time, rounded to whole steps |
//!
//! Reference: L. Lapicque (1907), Recherches quantitatives sur l'excitation electrique des nerfs traitee comme une
//! polarisation, J Physiol Pathol Gen 9:620-635; the form is that of W. Gerstner, W. M. Kistler (2002), Spiking
//! Neuron Models, Cambridge University Press, chapter 4.

use super::dynamics::{
    Derived, Dynamics, check_refractory, check_reset, refractory_steps, stepper, unrest_of_membrane,
};
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Polarity, Prepare, Receptor, Stepper, Variable};
use crate::compute::simd::{Lanes, Real};
use crate::error::Result;

parameters! {
    /// Leaky integrate-and-fire neuron by forward Euler, `lif_euler`.
    pub struct LifEuler {
        /// Membrane time constant.
        tau_m: "ms" = 20.0, Positive;
        /// Resting potential.
        v_rest: "mV" = -65.0, Any;
        /// Threshold.
        v_th: "mV" = -50.0, Any;
        /// Potential after a spike.
        v_reset: "mV" = -65.0, Any;
        /// Refractory time, rounded to whole steps.
        t_ref: "ms" = 2.0, NonNegative;
    }
}

const VARIABLES: &[Variable] = &[Variable::new("v_m", "mV", -65.0)];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "lif_euler",
    doc: "Leaky integrate-and-fire neuron by forward Euler; input acts in the step in which it arrives",
    parameters: LifEuler::PARAMETERS,
    variables: VARIABLES,
    options: LifEuler::OPTIONS,
    reference: "Lapicque (1907) J Physiol Pathol Gen 9:620-635",
    is_source: false,
    needs: None,
    make: make::<LifEuler>,
};

impl LifEuler {
    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        let dt = prepare.dt;
        stepper(Equations, self, prepare, |values| {
            let p = self.with(values);
            Derived {
                constants: [dt / p.tau_m, p.v_rest, p.v_th, p.v_reset],
                refractory: refractory_steps(p.t_ref, dt).expect("checked"),
            }
        })
    }
}

struct Equations;

impl Dynamics<1, 1, 4> for Equations {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v]: [S; 1],
        [input]: [S; 1],
        current: Option<S>,
        &[rate, v_rest, v_th, v_reset]: &[S; 4],
        held: S::Mask,
    ) -> ([S; 1], S::Mask) {
        let mut pull = v_rest.sub(v).add(input);
        if let Some(current) = current {
            pull = pull.add(current);
        }
        let next = v.add(pull.mul(rate));
        let spiked = S::and_not(next.ge(v_th), held);
        let next = S::select(held, v, next);
        ([S::select(spiked, v_reset, next)], spiked)
    }

    fn unrest([v]: [f64; 1], &[_, v_rest, v_th, _]: &[f64; 4]) -> Option<f64> {
        unrest_of_membrane(v, v_rest, v_th, 0.0)
    }
}

impl NeuronModel for LifEuler {
    numeric_model!("lif_euler");

    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let p = self.with(values);
        let coarse = (dt > p.tau_m).then(|| {
            let message =
                format!("{} ms is shorter than the time step of {dt} ms, with which forward Euler oscillates", p.tau_m);
            ("tau_m", message)
        });
        check_reset(p.v_reset, p.v_th).into_iter().chain(check_refractory(p.t_ref, dt)).chain(coarse).collect()
    }

    fn variables(&self) -> &[Variable] {
        VARIABLES
    }

    fn initial(&self, _variable: usize, values: &[f64]) -> f64 {
        self.with(values).v_rest
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        vec![Receptor { name: "synaptic", unit: "mV", polarity: Polarity::Signed }]
    }

    fn cost(&self) -> f64 {
        0.8
    }
}
