//! What an optimizer has to keep to go on later.

use super::method::Method;
use super::slot::{Slot, stepped_dtype};
use crate::compute::DType;
use crate::error::{Error, Fault, Result};
use crate::nn::Param;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// The state of an optimizer, besides its parameters: plain names, numbers and tensors, for any file format to store.
///
/// With G the number of a group and P the place of a parameter in it, both from 0:
///
/// | name | holds |
/// |---|---|
/// | `lr_factor` | what learning rates are multiplied by |
/// | `G.lr`, `G.weight_decay`, .. | every hyperparameter of the group; truth values are 0 and 1 |
/// | `G.P.step` | steps the parameter has taken; absent before the first |
/// | `G.P.exp_avg`, .. | tensors of the method, named as in torch, in the parameter's shape |
/// | `G.P.master` | `f32` master weights of a 16-bit parameter |
#[derive(Debug, Clone, Default)]
pub struct OptimizerState {
    /// Name of the method: `sgd`, `adam`, `adamw`, `lion` or `rmsprop`.
    pub method: String,
    /// Numbers by name.
    pub numbers: Vec<(String, f64)>,
    /// Tensors by name. Snapshots, which share memory with the optimizer until its next step.
    pub tensors: Vec<(String, Tensor)>,
}

const FACTOR: &str = "lr_factor";
const STEP: &str = "step";
const MASTER: &str = "master";

pub(super) fn save<M: Method>(groups: &[M], slots: &[Slot], lr_factor: f64) -> OptimizerState {
    let mut numbers = vec![(FACTOR.to_owned(), lr_factor)];
    let mut tensors = Vec::new();
    for (group, method) in groups.iter().enumerate() {
        numbers.extend(method.numbers().into_iter().map(|(name, value)| (format!("{group}.{name}"), value)));
    }
    for slot in slots.iter().filter(|slot| slot.steps > 0) {
        let name = |what: &str| format!("{}.{}.{what}", slot.group, slot.place);
        numbers.push((name(STEP), slot.steps as f64));
        let kept = groups[slot.group].state_names().iter().zip(&slot.state);
        tensors.extend(kept.filter_map(|(what, tensor)| Some((name(what), tensor.clone()?))));
        tensors.extend(slot.master.iter().map(|master| (name(MASTER), master.clone())));
    }
    OptimizerState { method: M::NAME.to_owned(), numbers, tensors }
}

/// What is still to be used of a state, and what was wrong so far.
struct Reader<'a> {
    numbers: BTreeMap<&'a str, f64>,
    tensors: BTreeMap<&'a str, &'a Tensor>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn number(&mut self, name: &str) -> Option<f64> {
        let number = self.numbers.remove(name);
        if number.is_none() {
            self.faults.push(Fault::new(name, "is missing from the state"));
        }
        number
    }

    /// A tensor as the optimizer keeps it: on the device and in the order of the parameter.
    fn tensor(&mut self, name: &str, like: &Tensor, dtype: DType) -> Result<Option<Tensor>> {
        let Some(tensor) = self.tensors.remove(name) else {
            self.faults.push(Fault::new(name, "is missing from the state"));
            return Ok(None);
        };
        if tensor.shape() != like.shape() || tensor.dtype() != dtype {
            let message =
                format!("is {} {}; the parameter needs {} {dtype}", tensor.shape(), tensor.dtype(), like.shape());
            self.faults.push(Fault::new(name, message));
            return Ok(None);
        }
        tensor.detach().to_device(like.device())?.in_order_of(&like.layout().dense_like()).map(Some)
    }
}

/// Groups, slots and factor as a state has them.
pub(super) fn load<M: Method>(
    state: &OptimizerState,
    groups: &[M],
    slots: &[Slot],
    params: &[Param],
) -> Result<(Vec<M>, Vec<Slot>, f64)> {
    if state.method != M::NAME {
        return Err(Error::Usage(format!(
            "the state is of method `{}` and cannot be loaded into `{}`",
            state.method,
            M::NAME
        )));
    }
    let mut reader = Reader {
        numbers: state.numbers.iter().map(|(name, value)| (name.as_str(), *value)).collect(),
        tensors: state.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect(),
        faults: Vec::new(),
    };
    let factor = reader.number(FACTOR).unwrap_or(1.0);
    if !(factor >= 0.0 && factor.is_finite()) {
        reader.faults.push(Fault::new(FACTOR, format!("{factor} is not allowed; it must be at least 0 and finite")));
    }
    let mut groups = groups.to_vec();
    for (group, method) in groups.iter_mut().enumerate() {
        for (name, _) in method.numbers() {
            if let Some(value) = reader.number(&format!("{group}.{name}")) {
                method.set_number(name, value);
            }
        }
        reader.faults.extend(method.faults());
    }
    let mut loaded = Vec::with_capacity(slots.len());
    for (slot, param) in slots.iter().zip(params) {
        let mut fresh = Slot::new(slot.group, slot.place);
        let name = |what: &str| format!("{}.{}.{what}", slot.group, slot.place);
        if let Some(steps) = reader.numbers.remove(name(STEP).as_str()) {
            if steps < 1.0 || steps.fract() != 0.0 || steps > (1u64 << 53) as f64 {
                reader.faults.push(Fault::new(name(STEP), format!("{steps} is not a number of steps")));
            }
            fresh.steps = steps as u64;
            let value = param.value();
            let dtype = stepped_dtype(value.dtype());
            for (to, what) in fresh.state.iter_mut().zip(groups[slot.group].state_names()) {
                *to = reader.tensor(&name(what), &value, dtype)?;
            }
            if dtype != value.dtype() {
                fresh.master = reader.tensor(&name(MASTER), &value, DType::F32)?;
            }
            // Whether the parameter is the copy of this master is looked at in the next step, as it may be loaded later.
            fresh.version = u64::MAX;
        }
        loaded.push(fresh);
    }
    let left: Vec<String> = reader.numbers.keys().chain(reader.tensors.keys()).map(|name| (*name).to_owned()).collect();
    reader.faults.extend(
        left.into_iter()
            .map(|name| Fault::new(name, "is in the state, but this optimizer has no such group, parameter or name")),
    );
    if reader.faults.is_empty() { Ok((groups, loaded, factor)) } else { Err(Error::Invalid(reader.faults)) }
}
