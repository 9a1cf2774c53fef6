//! The optimizer that steps all parameters in one pass.

use super::clip::{Clip, NonFinite};
use super::group::ParamGroup;
use super::method::Method;
use super::optimizer::{Optimizer, StepOptions, StepReport};
use super::slot::{Slot, check_param, row_of};
use super::state::{self, OptimizerState};
use crate::compute::{Arg, Device, Layout, Rule, Update};
use crate::error::{Error, Result};
use crate::nn::Param;
use crate::tensor::{Gradients, Tensor};
use std::collections::BTreeSet;
use std::sync::RwLockWriteGuard;

/// Parameters in groups, stepped together by a [`Method`].
///
/// A step looks gradients up by identity, prepares what is missing (state in the first step, copies of values that
/// someone still holds), computes the norm of the gradients where it is asked for, and then updates everything in one
/// region of the device's workers. Parameters are changed in place; whoever holds an earlier value keeps that value.
///
/// Parameters of `f32` and `f64` are stepped as they are. For `bf16` and `f16` the optimizer keeps `f32` master weights
/// and state; the parameter is their rounded copy. A value that is set from outside becomes the new master.
#[derive(Debug)]
pub struct Fused<M> {
    params: Vec<Param>,
    /// Places of `params` by identity: the order locks are taken in, so that two optimizers cannot wait for each other.
    by_identity: Vec<usize>,
    slots: Vec<Slot>,
    groups: Vec<M>,
    lr_factor: f64,
    clip: Clip,
    device: Device,
}

/// A parameter in a step.
struct Work<'a> {
    value: RwLockWriteGuard<'a, Tensor>,
    /// In the memory order of the value.
    gradient: Tensor,
    layout: Layout,
}

impl<M: Method> Fused<M> {
    /// An optimizer of these groups.
    ///
    /// # Errors
    /// Hyperparameters out of range, no parameters at all, one that appears twice, is not floating point, or is on
    /// another device than the first.
    pub fn new(groups: impl IntoIterator<Item = ParamGroup<M>>) -> Result<Self> {
        let (mut params, mut slots, mut methods) = (Vec::new(), Vec::new(), Vec::new());
        for (group, ParamGroup { params: own, method }) in groups.into_iter().enumerate() {
            method.check()?;
            methods.push(method);
            slots.extend((0..own.len()).map(|place| Slot::new(group, place)));
            params.extend(own);
        }
        let Some(first) = params.first() else {
            return Err(Error::Usage("an optimizer needs at least one parameter".to_owned()));
        };
        let device = first.device();
        let mut seen = BTreeSet::new();
        for (param, slot) in params.iter().zip(&slots) {
            check_param(&slot.name(), param)?;
            if !seen.insert(param.id()) {
                return Err(Error::Usage(format!(
                    "{} is there a second time; a shared parameter is given to an optimizer once",
                    slot.name()
                )));
            }
            if param.device() != device {
                return Err(Error::Usage(format!(
                    "{} is on {}, the first parameter on {device}; an optimizer works on one device",
                    slot.name(),
                    param.device()
                )));
            }
        }
        let mut by_identity: Vec<usize> = (0..params.len()).collect();
        by_identity.sort_unstable_by_key(|i| params[*i].id());
        Ok(Self { params, by_identity, slots, groups: methods, lr_factor: 1.0, clip: Clip::None, device })
    }

    /// The method of a group with its hyperparameters, without the factor of the learning rate.
    ///
    /// # Errors
    /// There is no such group.
    pub fn method(&self, group: usize) -> Result<&M> {
        self.groups.get(group).ok_or_else(|| self.no_group(group))
    }

    /// Replaces the method of a group. Its parameters keep the state both methods have in common.
    ///
    /// # Errors
    /// There is no such group, hyperparameters are out of range, or the method keeps other tensors than the one before.
    pub fn set_method(&mut self, group: usize, method: M) -> Result<()> {
        let before = self.method(group)?.state_names();
        method.check()?;
        if before != method.state_names() {
            return Err(Error::Usage(format!(
                "the method of group {group} keeps {before:?}, the new one {:?}; make a new optimizer",
                method.state_names()
            )));
        }
        self.groups[group] = method;
        Ok(())
    }

    fn no_group(&self, group: usize) -> Error {
        Error::Usage(format!("there is no group {group}; the optimizer has {}, counted from 0", self.groups.len()))
    }

    /// Changes the method of a group and checks the result.
    fn change(&mut self, group: usize, change: impl FnOnce(&mut M)) -> Result<()> {
        let mut method = *self.method(group)?;
        change(&mut method);
        method.check()?;
        self.groups[group] = method;
        Ok(())
    }
}

/// Locks every parameter that has a gradient; its value is dense and held by nobody else afterwards.
fn gather<'a>(
    params: &'a [Param],
    by_identity: &[usize],
    slots: &[Slot],
    gradients: &Gradients,
    device: &Device,
) -> Result<Vec<Option<Work<'a>>>> {
    let mut all: Vec<Option<Work<'a>>> = Vec::with_capacity(params.len());
    all.resize_with(params.len(), || None);
    for i in by_identity {
        let param = &params[*i];
        let Some(gradient) = gradients.of(param.id()).filter(|_| param.is_trainable()) else { continue };
        let mut value = param.write();
        if value.device() != device {
            return Err(Error::op(
                "step",
                format!("{} is on {}, its optimizer on {device}", slots[*i].name(), value.device()),
            ));
        }
        slots[*i].check_gradient(&value, gradient)?;
        value.make_mut()?;
        let layout = *value.layout();
        let gradient = gradient.detach().in_order_of(&layout)?;
        all[*i] = Some(Work { value, gradient, layout });
    }
    Ok(all)
}

/// The rule of a step, computed once for parameters of one group that have taken equally many steps.
struct Rules<'a, M> {
    groups: &'a [M],
    lr_factor: f64,
    last: Option<(usize, u64, Rule)>,
}

impl<M: Method> Rules<'_, M> {
    fn of(&mut self, slot: &Slot) -> Rule {
        let step = slot.steps + 1;
        match self.last {
            Some((group, last, rule)) if group == slot.group && last == step => rule,
            _ => {
                let method = &self.groups[slot.group];
                let rule = method.rule(method.lr() * self.lr_factor, step);
                self.last = Some((slot.group, step, rule));
                rule
            }
        }
    }
}

impl<M: Method> Optimizer for Fused<M> {
    fn step_with(&mut self, gradients: &Gradients, options: StepOptions) -> Result<StepReport> {
        if !options.grad_scale.is_finite() {
            return Err(Error::Usage(format!("gradients cannot be scaled by {}", options.grad_scale)));
        }
        let Self { params, by_identity, slots, groups, lr_factor, clip, device } = self;
        let mut works = gather(params, by_identity, slots, gradients, device)?;
        for ((work, slot), param) in works.iter().zip(slots.iter_mut()).zip(params.iter()) {
            if let Some(Work { value, .. }) = work {
                // The version before this step's own lock.
                slot.prepare(groups[slot.group].state_names().len(), value, param.version() - 1)?;
            }
        }
        let mut rules = Rules { groups, lr_factor: *lr_factor, last: None };
        let mut updates: Vec<Update<'_>> = Vec::with_capacity(works.len());
        for (work, slot) in works.iter_mut().zip(slots.iter_mut()) {
            let Some(Work { value, gradient, layout }) = work else { continue };
            let rule = rules.of(slot);
            let (state, master) = slot.columns(groups[slot.group].state_names().len())?;
            let gradient = Arg { buffer: gradient.buffer(), layout: gradient.layout() };
            updates.push(Update { rule, param: value.make_mut()?, master, gradient, state, row: row_of(layout) });
        }
        let backend = device.backend();
        let mut report = StepReport { updated: updates.len(), ..StepReport::default() };
        let mut scale = options.grad_scale;
        let policy = match *clip {
            Clip::Norm { non_finite, .. } => Some(options.non_finite.unwrap_or(non_finite)),
            _ => options.non_finite,
        };
        if let Some(policy) = policy {
            let norm = backend.gradient_squares(&updates).sqrt() * scale.abs();
            report.norm = Some(norm);
            if !norm.is_finite() {
                return match policy {
                    NonFinite::Skip => Ok(StepReport { updated: 0, skipped: true, ..report }),
                    NonFinite::Error => Err(Error::op(
                        "step",
                        format!(
                            "the norm of the gradients is {norm}; nothing was changed. A smaller learning rate usually helps"
                        ),
                    )),
                };
            }
            let factor = clip.factor(norm);
            report.clipped = factor < 1.0;
            scale *= factor;
        }
        backend.optimize(&mut updates, scale, clip.bound());
        drop(updates);
        for ((work, slot), param) in works.iter().zip(slots.iter_mut()).zip(params.iter()) {
            if work.is_some() {
                slot.steps += 1;
                slot.version = param.version();
            }
        }
        Ok(report)
    }

    fn params(&self) -> &[Param] {
        &self.params
    }

    fn groups(&self) -> usize {
        self.groups.len()
    }

    fn lr(&self, group: usize) -> Result<f64> {
        Ok(self.method(group)?.lr())
    }

    fn set_lr(&mut self, group: usize, lr: f64) -> Result<()> {
        self.change(group, |method| method.set_lr(lr))
    }

    fn weight_decay(&self, group: usize) -> Result<f64> {
        Ok(self.method(group)?.weight_decay())
    }

    fn set_weight_decay(&mut self, group: usize, weight_decay: f64) -> Result<()> {
        self.change(group, |method| method.set_weight_decay(weight_decay))
    }

    fn lr_factor(&self) -> f64 {
        self.lr_factor
    }

    fn set_lr_factor(&mut self, factor: f64) -> Result<()> {
        if !(factor >= 0.0 && factor.is_finite()) {
            return Err(Error::Usage(format!(
                "learning rates cannot be multiplied by {factor}; the factor must be at least 0 and finite"
            )));
        }
        self.lr_factor = factor;
        Ok(())
    }

    fn clip(&self) -> Clip {
        self.clip
    }

    fn set_clip(&mut self, clip: Clip) -> Result<()> {
        clip.check()?;
        self.clip = clip;
        Ok(())
    }

    fn state(&self) -> OptimizerState {
        state::save(&self.groups, &self.slots, self.lr_factor)
    }

    fn load_state(&mut self, state: &OptimizerState) -> Result<()> {
        let (groups, slots, lr_factor) = state::load(state, &self.groups, &self.slots, &self.params)?;
        (self.groups, self.slots, self.lr_factor) = (groups, slots, lr_factor);
        Ok(())
    }
}
