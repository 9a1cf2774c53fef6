//! What one step of a leaky integrate-and-fire neuron computes with, for those who step it outside the engine.

use super::dynamics::validate;
use super::{NeuronModel, ParamColumn, ParamTable, Prepare};
use crate::compute::Isa;
use crate::error::Result;

/// The constants of one step of [`LifPscDelta`](super::LifPscDelta) or [`LifPscExp`](super::LifPscExp), derived from
/// parameters and time step in double precision. A step is, in this order of operations and each rounded alone,
///
/// ```text
/// next = v decay + drive [+ i from_syn]  + x (without i)
/// spike where next >= v_th and not refractory; v = v_reset there
/// i    = i fade + x                      (with i)
/// ```
///
/// where `x` is what arrives at the end of the step: mV without a synaptic current `i`, pA with one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LifConstants {
    /// Factor the potential keeps of itself in a step.
    pub decay: f64,
    /// mV that leak and constant current add in a step.
    pub drive: f64,
    /// mV that a current of 1 pA, constant during the step, adds.
    pub from_current: f64,
    /// Threshold, mV.
    pub v_th: f64,
    /// Potential after a spike, mV.
    pub v_reset: f64,
    /// Potential to start from, mV: `e_l`.
    pub v_start: f64,
    /// Steps a neuron is held after a spike.
    pub refractory: u16,
    /// The synaptic current, if the model has one.
    pub synapse: Option<SynapseConstants>,
}

/// The part of [`LifConstants`] that belongs to an exponentially decaying current.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SynapseConstants {
    /// Factor the current keeps of itself in a step.
    pub fade: f64,
    /// mV that a current of 1 pA at the start of the step adds in it.
    pub from_syn: f64,
}

/// Refuses what the engine would refuse of a population of this model.
pub(super) fn check_uniform(model: &dyn NeuronModel, dt: f64) -> Result<()> {
    let columns = model.values().into_iter().map(ParamColumn::Uniform).collect();
    let params = ParamTable { len: 1, columns };
    let name = model.name();
    validate(model, &Prepare { dt, seed: 0, population: name, params: &params, first: 0, len: 1, isa: Isa::Portable })
}
