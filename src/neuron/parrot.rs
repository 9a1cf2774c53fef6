//! Parrot neuron: repeats what it hears.
//!
//! A parrot spikes in every step at whose end its summed input is above zero: once, whatever the number and size of
//! the weights. Inhibitory input counts against excitatory input of the same step. It has no state and no
//! refractoriness, and ignores injected current.
//!
//! Parameters: none.
//!
//! Reference: M.-O. Gewaltig, M. Diesmann (2007), NEST (NEural Simulation Tool), Scholarpedia 2:1430, whose
//! `parrot_neuron` differs in repeating every spike of a step.

use super::dynamics::{Derived, Dynamics, stepper};
use super::registry::{make, numeric_model, parameters};
use super::{ModelInfo, NeuronModel, ParamTable, Polarity, Prepare, Receptor, Stepper, Variable};
use crate::compute::simd::{Lanes, Real};
use crate::error::Result;

parameters! {
    /// Neuron that repeats its input, `parrot`.
    pub struct Parrot {}
}

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "parrot",
    doc: "Repeats its input: spikes in every step whose summed input is above zero",
    parameters: Parrot::PARAMETERS,
    variables: &[],
    options: Parrot::OPTIONS,
    reference: "Gewaltig & Diesmann (2007) Scholarpedia 2:1430",
    is_source: false,
    needs: None,
    make: make::<Parrot>,
};

impl Parrot {
    fn stepper<T: Real>(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<T>>> {
        stepper(Equations, self, prepare, |_| Derived { constants: [], refractory: 0 })
    }
}

struct Equations;

impl Dynamics<0, 1, 0> for Equations {
    #[inline(always)]
    fn advance<S: Lanes>(
        state: [S; 0],
        [input]: [S; 1],
        _current: Option<S>,
        _constants: &[S; 0],
        _held: S::Mask,
    ) -> ([S; 0], S::Mask) {
        (state, S::splat(S::Elem::ZERO).lt(input))
    }
}

impl NeuronModel for Parrot {
    numeric_model!("parrot");

    fn variables(&self) -> &[Variable] {
        &[]
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        vec![Receptor { name: "synaptic", unit: "", polarity: Polarity::Signed }]
    }

    fn cost(&self) -> f64 {
        0.3
    }
}
