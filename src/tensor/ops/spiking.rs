//! Spiking neurons over many steps, with surrogate gradients.

use super::{check_device, check_same};
use crate::compute::{
    Arg, DType, Device, Layout, LifArriving, LifGradients, LifOut, LifScan, LifStep, LifVarying, Shape, Surrogate,
};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record_many};

/// What neurons are in between steps. One number each neuron.
#[derive(Debug, Clone)]
pub struct LifState {
    /// Potentials.
    pub v: Tensor,
    /// Synaptic currents, where the neurons have them.
    pub i: Option<Tensor>,
    /// Steps for which neurons are still held after a spike, as whole numbers.
    pub held: Tensor,
}

impl LifState {
    /// Neurons of `shape` with potential `v`, no current, none of them held.
    ///
    /// # Errors
    /// No memory is left.
    pub fn at(v: f64, step: &LifStep, shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        let shape = shape.into();
        let zeros = || Tensor::zeros(shape, dtype, device);
        Ok(Self {
            v: Tensor::full(v, shape, dtype, device)?,
            i: step.synapse.is_some().then(zeros).transpose()?,
            held: zeros()?,
        })
    }

    /// The same values, cut off from the steps that led to them.
    pub fn detach(&self) -> Self {
        Self { v: self.v.detach(), i: self.i.as_ref().map(Tensor::detach), held: self.held.detach() }
    }
}

/// Constants that differ between neurons, in place of those of the step. Each broadcasts to the shape of the neurons;
/// gradients flow to them.
#[derive(Debug, Clone)]
pub struct LifConstantsEach {
    /// In place of [`LifStep::decay`].
    pub decay: Tensor,
    /// In place of [`LifStep::drive`].
    pub drive: Tensor,
    /// In place of [`LifStep::v_th`].
    pub v_th: Tensor,
}

/// What [`Tensor::lif`] gives.
#[derive(Debug, Clone)]
pub struct LifRun {
    /// 1 where a neuron spikes in a step, else 0; shape of the input.
    pub spikes: Tensor,
    /// Potential of each neuron at the end of each step, after a reset; shape of the input. Where it was asked for.
    pub potentials: Option<Tensor>,
    /// State at the end.
    pub state: LifState,
}

struct ScanRule {
    step: LifStep,
    surrogate: Surrogate,
    steps: usize,
    /// Where the input and each neuron's numbers lie.
    rows: Layout,
    all: Layout,
    /// The input, which is stepped again; not kept where nothing can spike.
    x: Option<Tensor>,
    start: LifState,
    each: Option<[Tensor; 3]>,
    /// Which results there are before the state at the end.
    spikes: bool,
    potentials: bool,
}

impl Backward for ScanRule {
    fn name(&self) -> &'static str {
        "lif"
    }

    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let mut dy = dy.iter();
        let mut arrived = |there: bool, like: &Layout| -> Result<Option<Tensor>> {
            if !there {
                return Ok(None);
            }
            dy.next().and_then(Option::as_ref).map(|dy| dy.in_order_of(like)).transpose()
        };
        let spikes = arrived(self.spikes, &self.all)?;
        let potentials = arrived(self.potentials, &self.all)?;
        let v = arrived(true, &self.rows)?;
        let i = arrived(self.start.i.is_some(), &self.rows)?;
        let arriving = LifArriving {
            spikes: spikes.as_ref().map(Tensor::arg),
            potentials: potentials.as_ref().map(Tensor::arg),
            v: v.as_ref().map(Tensor::arg),
            i: i.as_ref().map(Tensor::arg),
        };
        let (device, dtype) = (self.start.v.device(), self.start.v.dtype());
        let row = || device.buffer(dtype, self.rows.shape.len());
        let mut x = device.buffer(dtype, self.all.shape.len())?;
        let mut dv = row()?;
        let mut di = self.start.i.as_ref().map(|_| row()).transpose()?;
        let mut each = self.each.as_ref().map(|_| Ok::<_, Error>([row()?, row()?, row()?])).transpose()?;
        let input = self.x.as_ref().map(Tensor::arg);
        let scan = scan(&self.step, self.steps, input, &self.start, self.each.as_ref());
        let to =
            LifGradients { x: &mut x, v: &mut dv, i: di.as_mut(), varying: each.as_mut().map(|each| each.each_mut()) };
        device.backend().lif_grad(&scan, self.surrogate, &arriving, to);
        let tensor = |buffer, layout: &Layout| Some(Tensor::of(device, std::sync::Arc::new(buffer), *layout));
        let mut gradients = vec![tensor(x, &self.all), tensor(dv, &self.rows)];
        gradients.extend(di.map(|di| tensor(di, &self.rows)));
        gradients.extend(each.into_iter().flatten().map(|each| tensor(each, &self.rows)));
        Ok(gradients)
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        let start = [Some(&self.start.v), self.start.i.as_ref(), Some(&self.start.held), self.x.as_ref()];
        start.into_iter().flatten().chain(self.each.iter().flatten()).for_each(visit);
    }
}

fn scan<'a>(
    step: &LifStep,
    steps: usize,
    x: Option<Arg<'a>>,
    start: &'a LifState,
    each: Option<&'a [Tensor; 3]>,
) -> LifScan<'a> {
    LifScan {
        step: *step,
        varying: each.map(|[decay, drive, v_th]| LifVarying {
            decay: decay.arg(),
            drive: drive.arg(),
            v_th: v_th.arg(),
        }),
        steps,
        neurons: start.v.len(),
        x,
        v: start.v.arg(),
        i: start.i.as_ref().map(Tensor::arg),
        held: start.held.arg(),
    }
}

/// Where one step of `x` lies, if its neurons lie without gaps; time may have any stride.
fn row_layout(x: &Tensor) -> Layout {
    let mut rows = *x.layout();
    rows.shape = Shape::new(&x.dims()[1..]);
    rows.strides = [0; crate::compute::MAX_RANK];
    rows.strides[..x.dims().len() - 1].copy_from_slice(&x.layout().strides()[1..]);
    rows
}

/// The layout of a result: steps one after the other, neurons in the order of `rows`.
fn stacked(steps: usize, rows: &Layout) -> Layout {
    let mut dims = vec![steps];
    dims.extend(rows.shape.dims());
    let mut all = Layout::row_major(Shape::new(&dims));
    all.strides[0] = rows.shape.len().max(1);
    all.strides[1..dims.len()].copy_from_slice(rows.strides());
    all
}

/// What [`Tensor::lif`] and [`Tensor::leaky_integrator`] check and compute: (spikes, potentials, state at the end).
fn run(
    op: &'static str,
    x: &Tensor,
    (step, surrogate): (&LifStep, Surrogate),
    start: &LifState,
    each: Option<&LifConstantsEach>,
    (want_spikes, want_potentials): (bool, bool),
) -> Result<(Option<Tensor>, Option<Tensor>, LifState)> {
    check(op, x, step, surrogate, start, each)?;
    let dense = row_layout(x).is_dense();
    let x = &if dense { x.clone() } else { x.contiguous()? };
    let rows = row_layout(x).dense_like();
    let steps = x.dims()[0];
    let all = stacked(steps, &rows);
    let start = LifState {
        v: start.v.in_order_of(&rows)?,
        i: start.i.as_ref().map(|i| i.in_order_of(&rows)).transpose()?,
        held: start.held.in_order_of(&rows)?,
    };
    let each = each
        .map(|each| {
            let of = |value: &Tensor| value.broadcast_to(rows.shape)?.in_order_of(&rows);
            Ok::<_, Error>([of(&each.decay)?, of(&each.drive)?, of(&each.v_th)?])
        })
        .transpose()?;
    let (device, dtype) = (x.device(), x.dtype());
    let buffer = |layout: &Layout| device.buffer(dtype, layout.shape.len());
    let mut spikes = want_spikes.then(|| buffer(&all)).transpose()?;
    let mut potentials = want_potentials.then(|| buffer(&all)).transpose()?;
    let mut v = buffer(&rows)?;
    let mut i = start.i.as_ref().map(|_| buffer(&rows)).transpose()?;
    let mut held = buffer(&rows)?;
    let out =
        LifOut { spikes: spikes.as_mut(), potentials: potentials.as_mut(), v: &mut v, i: i.as_mut(), held: &mut held };
    device.backend().lif(&scan(step, steps, Some(x.arg()), &start, each.as_ref()), out);
    let tensor = |buffer, layout: &Layout| Tensor::of(device, std::sync::Arc::new(buffer), *layout);
    let mut outputs: Vec<Tensor> = Vec::with_capacity(4);
    outputs.extend(spikes.map(|spikes| tensor(spikes, &all)));
    outputs.extend(potentials.map(|potentials| tensor(potentials, &all)));
    outputs.push(tensor(v, &rows));
    outputs.extend(i.map(|i| tensor(i, &rows)));
    let held = tensor(held, &rows);
    let mut inputs = vec![x, &start.v];
    inputs.extend(&start.i);
    inputs.extend(each.iter().flatten());
    let can_spike = step.v_th.is_finite() || each.is_some();
    let outputs = record_many(&inputs, outputs, || ScanRule {
        step: *step,
        surrogate,
        steps,
        rows,
        all,
        x: can_spike.then(|| x.clone()),
        start: start.clone(),
        each: each.clone(),
        spikes: want_spikes,
        potentials: want_potentials,
    });
    let mut outputs = outputs.into_iter();
    let mut next = |there: bool| if there { outputs.next() } else { None };
    let (spikes, potentials) = (next(want_spikes), next(want_potentials));
    let v = next(true).ok_or_else(|| Error::op(op, "gave no potentials"))?;
    Ok((spikes, potentials, LifState { v, i: next(start.i.is_some()), held }))
}

fn check(
    op: &'static str,
    x: &Tensor,
    step: &LifStep,
    surrogate: Surrogate,
    start: &LifState,
    each: Option<&LifConstantsEach>,
) -> Result<()> {
    if !matches!(x.dtype(), DType::F32 | DType::F64) {
        return Err(Error::op(
            op,
            format!("neurons are stepped in f32 or f64, not in {}; convert with `to_dtype`", x.dtype()),
        ));
    }
    if x.shape().rank() == 0 {
        return Err(Error::op(op, "the input is a single number; its first axis must be time"));
    }
    if let Some((name, value)) = surrogate.parameter()
        && !(value > 0.0 && value.is_finite())
    {
        return Err(Error::op(op, format!("{name} of the surrogate is {value}; it must be above 0")));
    }
    if step.v_th.is_finite() && step.v_reset >= step.v_th {
        return Err(Error::op(op, format!("reset {} is not below the threshold {}", step.v_reset, step.v_th)));
    }
    let neurons = Shape::new(&x.dims()[1..]);
    for (name, state) in [("v", Some(&start.v)), ("i", start.i.as_ref()), ("held", Some(&start.held))] {
        let Some(state) = state else { continue };
        check_same(op, x, state)?;
        if state.shape() != neurons {
            return Err(Error::op(
                op,
                format!(
                    "the input {} has neurons of shape {neurons} after its time axis, but `{name}` of the state is {}",
                    x.shape(),
                    state.shape()
                ),
            ));
        }
    }
    if step.synapse.is_some() != start.i.is_some() {
        let (has, lacks) = if start.i.is_some() { ("state", "step") } else { ("step", "state") };
        return Err(Error::op(op, format!("the {has} has a synaptic current, the {lacks} has none")));
    }
    let Some(each) = each else { return Ok(()) };
    if step.synapse.is_some() {
        return Err(Error::op(op, "constants of each neuron are there only for neurons without a synaptic current"));
    }
    for value in [&each.decay, &each.drive, &each.v_th] {
        check_device(op, x, value)?;
        check_same(op, x, value)?;
    }
    Ok(())
}

impl Tensor {
    /// Spikes of leaky integrate-and-fire neurons for this input [T, ..]: the first axis is time, the others are
    /// neurons that do not depend on one another. See [`LifStep`] for the step and [`Surrogate`] for the derivative
    /// that stands in for that of a spike. `f32` or `f64`; the spikes are the same bits on every device and for any
    /// number of threads. Gradients flow to the input, to potentials and currents of the start, and to `each`.
    ///
    /// The backward pass keeps the input alone and steps the neurons again.
    ///
    /// # Errors
    /// The state does not fit the input, element types or devices differ, a reset is not below the threshold.
    pub fn lif(
        &self,
        step: &LifStep,
        surrogate: Surrogate,
        start: &LifState,
        each: Option<&LifConstantsEach>,
        potentials: bool,
    ) -> Result<LifRun> {
        let (spikes, potentials, state) = run("lif", self, (step, surrogate), start, each, (true, potentials))?;
        let spikes = spikes.ok_or_else(|| Error::op("lif", "gave no spikes"))?;
        Ok(LifRun { spikes, potentials, state })
    }

    /// Potentials of leaky integrators for this input [T, ..], at the end of each step, and their state at the end:
    /// neurons of [`Tensor::lif`] that never spike. Threshold, reset and refractoriness of `step` are not used.
    ///
    /// # Errors
    /// As [`Tensor::lif`].
    pub fn leaky_integrator(&self, step: &LifStep, start: &LifState) -> Result<(Self, LifState)> {
        const OP: &str = "leaky_integrator";
        let step = LifStep { v_th: f64::INFINITY, refractory: 0, ..*step };
        let (_, potentials, state) = run(OP, self, (&step, Surrogate::StraightThrough), start, None, (false, true))?;
        Ok((potentials.ok_or_else(|| Error::op(OP, "gave no potentials"))?, state))
    }
}
