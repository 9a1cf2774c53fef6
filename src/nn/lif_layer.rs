//! Layers of leaky integrate-and-fire neurons, trained with surrogate gradients.
//!
//! A layer is made of one of the engine's models, `lif_psc_delta` or `lif_psc_exp`, and a time step, and computes what
//! the engine computes with them: in `f32` and `f64`, the same spikes to the bit for the same input. A trained layer is
//! thus a population of the engine.
//!
//! | | `lif_psc_delta` | `lif_psc_exp` (one synaptic current) |
//! |---|---|---|
//! | input of a step, `x` | mV, the potential jumps by it at the end of the step | pA, the current jumps by it at the end |
//! | step | `v = v decay + drive + x` | `v = v decay + drive + i from_syn`, then `i = i fade + x` |
//! | `decay`, `fade` | `exp(-dt / tau_m)` | the same; `exp(-dt / tau_syn)` |
//! | `drive` | `e_l (1 - decay) + i_e tau_m / c_m (1 - decay)` | the same |
//! | while refractory | input is dropped | the current goes on |
//!
//! A spike is `v >= v_th` after that; then `v = v_reset`, or with [`Reset::BySubtraction`], which the engine does not
//! have, `v` goes down by `v_th - v_reset`. The neuron is then held for `t_ref`, rounded to steps. `drive` is computed
//! with `expm1`, and all constants in double precision.

use super::module::{Module, Slot, Visitor};
use super::{Param, Readout};
use crate::compute::{DType, Device, LifStep, Reset, Shape, Surrogate};
use crate::error::{Error, Result};
use crate::neuron::{LifConstants, LifPscDelta, LifPscExp};
use crate::precision::OpClass;
use crate::tensor::Tensor;
use crate::tensor::autograd::is_recomputing;
use crate::tensor::ops::{LifConstantsEach, LifRun, LifState, autocast};
use std::sync::{Mutex, PoisonError};

/// Where a call of a spiking layer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// At rest: potentials at `e_l`, no currents, no neuron refractory.
    Fresh,
    /// Where the call before ended; gradients stop there. Truncated backpropagation through time.
    Detached,
    /// Where the call before ended; gradients flow back into the earlier calls, as long as the graph they left is
    /// there.
    Attached,
}

/// The state a layer carries from call to call.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) carry: Carry,
    state: Mutex<Option<LifState>>,
}

impl Carried {
    pub(super) fn new(carry: Carry) -> Self {
        Self { carry, state: Mutex::new(None) }
    }

    /// The state to start from for an input of this shape, type and device.
    pub(super) fn start(&self, op: &'static str, step: &LifStep, v_start: f64, x: &Tensor) -> Result<LifState> {
        if x.shape().rank() == 0 {
            return Err(Error::op(op, "the input is a single number; its first axis must be time"));
        }
        let neurons = Shape::new(&x.dims()[1..]);
        let fresh = || LifState::at(v_start, step, neurons, x.dtype(), x.device());
        if self.carry == Carry::Fresh {
            return fresh();
        }
        if is_recomputing() {
            return Err(Error::op(
                op,
                "a layer that carries state from call to call cannot lie in a checkpointed segment: the second pass \
                 would start where the first ended; use `Carry::Fresh` or leave it out of the segment",
            ));
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &*state else { return fresh() };
        if state.v.shape() != neurons || state.v.dtype() != x.dtype() {
            return Err(Error::op(
                op,
                format!(
                    "the layer carries the state of neurons of shape {} {}, the input {} {} has {neurons}; call \
                     `reset_state` before an unrelated input",
                    state.v.shape(),
                    state.v.dtype(),
                    x.shape(),
                    x.dtype()
                ),
            ));
        }
        Ok(if self.carry == Carry::Detached { state.detach() } else { state.clone() })
    }

    pub(super) fn keep(&self, state: &LifState) {
        if self.carry != Carry::Fresh {
            *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
        }
    }

    pub(super) fn state(&self) -> Option<LifState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn forget(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The model a layer was made of.
#[derive(Debug, Clone, PartialEq)]
pub enum LifModel {
    /// `lif_psc_delta`
    Delta(LifPscDelta),
    /// `lif_psc_exp`
    Exp(LifPscExp),
}

impl LifModel {
    pub(super) fn constants(&self, dt: f64) -> Result<LifConstants> {
        match self {
            Self::Delta(model) => model.constants(dt),
            Self::Exp(model) => model.constants(dt),
        }
    }
}

impl From<LifPscDelta> for LifModel {
    fn from(model: LifPscDelta) -> Self {
        Self::Delta(model)
    }
}

impl From<LifPscExp> for LifModel {
    fn from(model: LifPscExp) -> Self {
        Self::Exp(model)
    }
}

pub(super) fn step_of(c: &LifConstants) -> LifStep {
    LifStep {
        decay: c.decay,
        drive: c.drive,
        v_th: c.v_th,
        v_reset: c.v_reset,
        refractory: c.refractory,
        synapse: c.synapse.map(|s| (s.fade, s.from_syn)),
        reset: Reset::ToValue,
        detach_reset: true,
    }
}

/// Leaky integrate-and-fire neurons. The input is [T, ..] with time first, or one step [..] at a time
/// ([`stepwise`](Self::stepwise)); the output has its shape and is 1 where a neuron spikes, else 0. Neurons do not
/// depend on one another: put a [`Linear`](super::Linear) before the layer. Computed in `f32` or `f64`; under a policy of
/// mixed precision, 16-bit input is converted to `f32`.
///
/// ```
/// use tessera::compute::{DType, Device};
/// use tessera::neuron::LifPscDelta;
/// use tessera::nn::{LifLayer, Module};
/// use tessera::tensor::Tensor;
///
/// let unit = LifPscDelta { tau_m: 20.0, e_l: 0.0, v_reset: 0.0, v_th: 1.0, t_ref: 0.0, ..Default::default() };
/// let layer = LifLayer::new(unit, 1.0)?; // time step in ms
/// let input = Tensor::full(0.3, [10, 2, 3], DType::F32, &Device::cpu())?; // 10 steps, batch of 2, 3 neurons
/// let spikes = layer.forward(&input)?;
/// assert_eq!(spikes.dims(), [10, 2, 3]);
/// assert_eq!(spikes.sum_all()?.item()?, 12.0); // 0.3, 0.585, 0.857, 1.115: a spike every fourth step
/// # Ok::<(), tessera::error::Error>(())
/// ```
#[derive(Debug)]
pub struct LifLayer {
    model: LifModel,
    dt: f64,
    step: LifStep,
    v_start: f64,
    surrogate: Surrogate,
    stepwise: bool,
    carried: Carried,
    /// ln(tau_m / ms)
    log_tau_m: Option<Param>,
    /// ln((v_th - v_reset) / mV)
    log_rise: Option<Param>,
}

impl LifLayer {
    /// Neurons of `model` with a time step of `dt` ms; the surrogate is a fast sigmoid of slope 5, gradients pass by the
    /// reset, and every call starts at rest.
    ///
    /// # Errors
    /// Values the engine would refuse, or a model with two synaptic currents.
    pub fn new(model: impl Into<LifModel>, dt: f64) -> Result<Self> {
        let model = model.into();
        let constants = model.constants(dt)?;
        Ok(Self {
            model,
            dt,
            step: step_of(&constants),
            v_start: constants.v_start,
            surrogate: Surrogate::default(),
            stepwise: false,
            carried: Carried::new(Carry::Fresh),
            log_tau_m: None,
            log_rise: None,
        })
    }

    /// With another surrogate.
    #[must_use]
    pub fn with_surrogate(mut self, surrogate: Surrogate) -> Self {
        self.surrogate = surrogate;
        self
    }

    /// With another reset.
    #[must_use]
    pub fn with_reset(mut self, reset: Reset) -> Self {
        self.step.reset = reset;
        self
    }

    /// Whether gradients pass by the reset (the usual choice, and the default) or flow through it.
    #[must_use]
    pub fn with_detached_reset(mut self, detach: bool) -> Self {
        self.step.detach_reset = detach;
        self
    }

    /// With another place to start calls from.
    #[must_use]
    pub fn with_carry(mut self, carry: Carry) -> Self {
        self.carried = Carried::new(carry);
        self
    }

    /// Every call is one step: the input has no time axis, and state is carried with [`Carry::Attached`] (or as
    /// [`with_carry`](Self::with_carry) says afterwards) until [`reset_state`](Module::reset_state).
    #[must_use]
    pub fn stepwise(mut self) -> Self {
        self.stepwise = true;
        self.with_carry(Carry::Attached)
    }

    /// With `tau_m` learned: one value for all neurons (shape []), or one each (a shape that broadcasts to that of the
    /// neurons, such as `[n]`). The parameter is `log_tau_m`, the logarithm of `tau_m` in ms, so that every value is
    /// allowed. Only for `lif_psc_delta`. Constants are then computed in `f32`; they differ from the engine's by up to
    /// two units in the last place.
    ///
    /// # Errors
    /// The model has a synaptic current, or no memory is left.
    pub fn with_learned_tau_m(mut self, shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        let tau_m = self.delta()?.tau_m;
        self.log_tau_m = Some(Param::new(&Tensor::full(tau_m.ln(), shape, DType::F32, device)?));
        Ok(self)
    }

    /// With `v_th` learned, as [`with_learned_tau_m`](Self::with_learned_tau_m). The parameter is `log_rise`, the
    /// logarithm of `v_th - v_reset` in mV.
    ///
    /// # Errors
    /// The model has a synaptic current, or no memory is left.
    pub fn with_learned_v_th(mut self, shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        let model = self.delta()?;
        let rise = (model.v_th - model.v_reset).ln();
        self.log_rise = Some(Param::new(&Tensor::full(rise, shape, DType::F32, device)?));
        Ok(self)
    }

    fn delta(&self) -> Result<&LifPscDelta> {
        match &self.model {
            LifModel::Delta(model) => Ok(model),
            LifModel::Exp(_) => Err(Error::op(
                "lif_layer",
                "constants can be learned only for lif_psc_delta, whose potential takes its input directly",
            )),
        }
    }

    /// The model it was made of. Learned constants are not in it: see [`tau_m`](Self::tau_m) and [`v_th`](Self::v_th).
    pub fn model(&self) -> &LifModel {
        &self.model
    }

    /// Time step, ms.
    pub fn dt(&self) -> f64 {
        self.dt
    }

    /// The step it computes.
    pub fn step(&self) -> &LifStep {
        &self.step
    }

    /// The surrogate.
    pub fn surrogate(&self) -> Surrogate {
        self.surrogate
    }

    /// The state the next call will start from, if state is carried and there is one.
    pub fn state(&self) -> Option<LifState> {
        self.carried.state()
    }

    /// Membrane time constants now, ms, where they are learned.
    ///
    /// # Errors
    /// No memory is left.
    pub fn tau_m(&self) -> Result<Option<Tensor>> {
        self.log_tau_m.as_ref().map(|log| log.value().exp()).transpose()
    }

    /// Thresholds now, mV, where they are learned.
    ///
    /// # Errors
    /// No memory is left.
    pub fn v_th(&self) -> Result<Option<Tensor>> {
        self.log_rise.as_ref().map(|log| log.value().exp()?.add_scalar(self.step.v_reset)).transpose()
    }

    /// Constants of each neuron, if any is learned, with gradients to the parameters.
    fn each(&self, x: &Tensor) -> Result<Option<LifConstantsEach>> {
        if self.log_tau_m.is_none() && self.log_rise.is_none() {
            return Ok(None);
        }
        let shared = |value: f64| Tensor::full(value, Shape::SCALAR, x.dtype(), x.device());
        let learned = |param: &Param| param.tensor().to_dtype(x.dtype());
        let (decay, drive) = match &self.log_tau_m {
            None => (shared(self.step.decay)?, shared(self.step.drive)?),
            Some(log_tau_m) => {
                let model = self.delta()?;
                let log_tau_m = learned(log_tau_m)?;
                // exp(-dt / tau)
                let decay = log_tau_m.neg()?.exp()?.mul_scalar(-self.dt)?.exp()?;
                // Where the potential would come to rest: e_l + i_e tau / c_m.
                let rest = if model.i_e == 0.0 {
                    shared(model.e_l)?
                } else {
                    log_tau_m.exp()?.mul_scalar(model.i_e / model.c_m)?.add_scalar(model.e_l)?
                };
                let drive = decay.neg()?.add_scalar(1.0)?.mul(&rest)?;
                (decay, drive)
            }
        };
        let v_th = match &self.log_rise {
            None => shared(self.step.v_th)?,
            Some(log_rise) => learned(log_rise)?.exp()?.add_scalar(self.step.v_reset)?,
        };
        Ok(Some(LifConstantsEach { decay, drive, v_th }))
    }

    /// Spikes, and potentials at the end of each step as well.
    ///
    /// # Errors
    /// As [`Module::forward`].
    pub fn run(&self, x: &Tensor) -> Result<LifRun> {
        self.advance(x, true)
    }

    fn advance(&self, x: &Tensor, potentials: bool) -> Result<LifRun> {
        if self.stepwise {
            let run = self.unroll(&x.unsqueeze(0)?, potentials)?;
            return Ok(LifRun {
                spikes: run.spikes.squeeze(0)?,
                potentials: run.potentials.map(|v| v.squeeze(0)).transpose()?,
                state: run.state,
            });
        }
        self.unroll(x, potentials)
    }

    fn unroll(&self, x: &Tensor, potentials: bool) -> Result<LifRun> {
        let x = &autocast(OpClass::Sensitive, x)?;
        let start = self.carried.start("lif", &self.step, self.v_start, x)?;
        let each = self.each(x)?;
        let run = x.lif(&self.step, self.surrogate, &start, each.as_ref(), potentials)?;
        self.carried.keep(&run.state);
        Ok(run)
    }
}

impl Module for LifLayer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.advance(x, false)?.spikes)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        if let Some(param) = &self.log_tau_m {
            visitor("log_tau_m", Slot::Param(param));
        }
        if let Some(param) = &self.log_rise {
            visitor("log_rise", Slot::Param(param));
        }
    }

    fn reset_state(&self) {
        self.carried.forget();
    }
}

/// Leaky integrators without spikes, for the output of a spiking network: the membrane of a model without its threshold.
/// The input is [T, ..]; the output is what the readout makes of the potentials.
#[derive(Debug)]
pub struct LiLayer {
    step: LifStep,
    v_start: f64,
    readout: Readout,
    carried: Carried,
}

impl LiLayer {
    /// The membrane (and synaptic current) of `model` with a time step of `dt` ms.
    ///
    /// # Errors
    /// As [`LifLayer::new`].
    pub fn new(model: impl Into<LifModel>, dt: f64, readout: Readout) -> Result<Self> {
        let constants = model.into().constants(dt)?;
        let (step, v_start) = (step_of(&constants), constants.v_start);
        Ok(Self { step, v_start, readout, carried: Carried::new(Carry::Fresh) })
    }

    /// With another place to start calls from.
    #[must_use]
    pub fn with_carry(mut self, carry: Carry) -> Self {
        self.carried = Carried::new(carry);
        self
    }
}

impl Module for LiLayer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = &autocast(OpClass::Sensitive, x)?;
        let start = self.carried.start("leaky_integrator", &self.step, self.v_start, x)?;
        let (potentials, state) = x.leaky_integrator(&self.step, &start)?;
        self.carried.keep(&state);
        self.readout.forward(&potentials)
    }

    fn reset_state(&self) {
        self.carried.forget();
    }
}
