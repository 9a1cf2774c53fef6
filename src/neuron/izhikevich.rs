//! Izhikevich's simple model of spiking neurons.
//!
//! ```text
//! dv/dt = 0.04 v^2 + 5 v + 140 - u + i_e + I(t),    v += weight at every arrival
//! du/dt = a (b v - u)
//! v >= v_peak: spike, v = c, u += d
//! ```
//!
//! One forward-Euler step for both variables, both from the values at its start (as NEST with consistent integration):
//! `v' = v + dt (0.04 v^2 + 5 v + 140 - u + i_e + I) + input`, `u' = u + dt a (b v - u)`, then the comparison with
//! `v_peak` and the reset. Currents have the unit of `dv/dt`, mV/ms. There is no refractory time. The published
//! simulations use other orders and half steps and so give slightly different spike times.
//!
//! | parameter | unit | default | |
//! |---|---|---|---|
//! | `a` | 1/ms | 0.02 | rate of the recovery variable |
//! | `b` | 1/ms | 0.2 | sensitivity of the recovery variable |
//! | `c` | mV | -65 | potential after a spike |
//! | `d` | mV/ms | 8 | increment of the recovery variable after a spike |
//! | `v_peak` | mV | 30 | peak at which a spike is sent |
//! | `i_e` | mV/ms | 0 | constant current |
//!
//! Neurons start at `v = c`, `u = b c`.
//!
//! Reference: E. M. Izhikevich (2003), Simple model of spiking neurons, IEEE Transactions on Neural Networks
//! 14:1569-1572.

use super::dynamics::{Derived, Dynamics, stepper};
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Polarity, Prepare, Receptor, Stepper, Variable};
use crate::compute::simd::{Lanes, Real};
use crate::error::Result;

parameters! {
    /// Izhikevich neuron with delta synapses, `izhikevich`.
    pub struct Izhikevich {
        /// Rate of the recovery variable.
        a: "1/ms" = 0.02, Any;
        /// Sensitivity of the recovery variable.
        b: "1/ms" = 0.2, Any;
        /// Potential after a spike.
        c: "mV" = -65.0, Any;
        /// Increment of the recovery variable after a spike.
        d: "mV/ms" = 8.0, Any;
        /// Peak at which a spike is sent.
        v_peak: "mV" = 30.0, Any;
        /// Constant current.
        i_e: "mV/ms" = 0.0, Any;
    }
}

const VARIABLES: &[Variable] = &[Variable::new("v_m", "mV", -65.0), Variable::new("u", "mV/ms", -13.0)];

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "izhikevich",
    doc: "Izhikevich neuron, potential jumps at every input; forward Euler",
    parameters: Izhikevich::PARAMETERS,
    variables: VARIABLES,
    options: Izhikevich::OPTIONS,
    reference: "Izhikevich (2003) IEEE Trans Neural Netw 14:1569-1572",
    is_source: false,
    needs: None,
    make: make::<Izhikevich>,
};

impl Izhikevich {
    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        let dt = prepare.dt;
        stepper(Equations, self, prepare, |values| {
            let p = self.with(values);
            Derived { constants: [0.04, 5.0, 140.0 + p.i_e, dt, dt * p.a, p.b, p.v_peak, p.c, p.d], refractory: 0 }
        })
    }
}

struct Equations;

impl Dynamics<2, 1, 9> for Equations {
    #[inline(always)]
    fn advance<S: Lanes>(
        [v, u]: [S; 2],
        [input]: [S; 1],
        current: Option<S>,
        &[square, linear, drive, dt, rate, b, v_peak, c, d]: &[S; 9],
        _held: S::Mask,
    ) -> ([S; 2], S::Mask) {
        let mut slope = v.mul(square).add(linear).mul(v).add(drive).sub(u);
        if let Some(current) = current {
            slope = slope.add(current);
        }
        let next_v = v.add(slope.mul(dt)).add(input);
        let next_u = u.add(v.mul(b).sub(u).mul(rate));
        let spiked = next_v.ge(v_peak);
        ([S::select(spiked, c, next_v), S::select(spiked, next_u.add(d), next_u)], spiked)
    }
}

impl NeuronModel for Izhikevich {
    numeric_model!("izhikevich");

    fn check(&self, values: &[f64], dt: f64) -> Vec<(&'static str, String)> {
        let p = self.with(values);
        let mut faults = Vec::new();
        if p.c >= p.v_peak {
            faults.push(("c", format!("{} mV is not below the peak v_peak = {} mV", p.c, p.v_peak)));
        }
        if dt * p.a.abs() > 1.0 {
            let message = format!(
                "{} / ms is too fast for the time step of {dt} ms; with forward Euler at most {} / ms are stable",
                p.a,
                1.0 / dt
            );
            faults.push(("a", message));
        }
        faults
    }

    fn variables(&self) -> &[Variable] {
        VARIABLES
    }

    fn initial(&self, variable: usize, values: &[f64]) -> f64 {
        let p = self.with(values);
        if variable == 0 { p.c } else { p.b * p.c }
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        vec![Receptor { name: "synaptic", unit: "mV", polarity: Polarity::Signed }]
    }
}
