//! What an optimizer keeps for one parameter.

use crate::compute::cpu::optimizer::MAX_STATE;
use crate::compute::{Buffer, DType, Device, Layout, Shape};
use crate::error::{Error, Result};
use crate::nn::Param;
use crate::tensor::Tensor;

/// What an optimizer keeps for one parameter.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Its group, and its place there.
    pub(super) group: usize,
    pub(super) place: usize,
    /// Steps taken.
    pub(super) steps: u64,
    /// The tensors of the method, from the first step on: in the memory order of the parameter.
    pub(super) state: [Option<Tensor>; MAX_STATE],
    /// `f32` values a 16-bit parameter is the rounded copy of, from the first step on.
    pub(super) master: Option<Tensor>,
    /// Changes the parameter had seen when the master copy was last known to agree with it.
    pub(super) version: u64,
}

/// Type of the values that are stepped for a parameter of type `dtype`.
pub(super) fn stepped_dtype(dtype: DType) -> DType {
    if matches!(dtype, DType::Bf16 | DType::F16) { DType::F32 } else { dtype }
}

impl Slot {
    pub(super) fn new(group: usize, place: usize) -> Self {
        Self { group, place, steps: 0, state: [None, None, None], master: None, version: 0 }
    }

    /// `parameter 3 of group 0`, for messages.
    pub(super) fn name(&self) -> String {
        format!("parameter {} of group {}", self.place, self.group)
    }

    /// Refuses a gradient that is not of the parameter's shape, element type and device.
    pub(super) fn check_gradient(&self, value: &Tensor, gradient: &Tensor) -> Result<()> {
        let (shape, dtype) = (value.shape(), value.dtype());
        if gradient.shape() != shape || gradient.dtype() != dtype {
            return Err(Error::op(
                "step",
                format!("{} is {shape} {dtype}, its gradient {} {}", self.name(), gradient.shape(), gradient.dtype()),
            ));
        }
        if gradient.device() != value.device() {
            return Err(Error::op(
                "step",
                format!("{} is on {}, its gradient on {}", self.name(), value.device(), gradient.device()),
            ));
        }
        Ok(())
    }

    /// Makes the first `count` tensors of state and the master copy fit the value, which is dense. Those that are
    /// missing are made.
    pub(super) fn prepare(&mut self, count: usize, value: &Tensor, version: u64) -> Result<()> {
        let dtype = stepped_dtype(value.dtype());
        let layout = *value.layout();
        for i in 0..count {
            let column = match &self.state[i] {
                None => zeros(value.device(), dtype, layout)?,
                Some(column) if column.dtype() != dtype || column.device() != value.device() => {
                    return Err(Error::op(
                        "step",
                        format!(
                            "{} became {} on {}, but its state is {} on {}; make a new optimizer after such a change",
                            self.name(),
                            value.dtype(),
                            value.device(),
                            column.dtype(),
                            column.device()
                        ),
                    ));
                }
                Some(column) if column.layout().same_order(&layout) => continue,
                Some(column) => column.in_order_of(&layout)?,
            };
            self.state[i] = Some(column);
        }
        if dtype == value.dtype() {
            self.master = None;
            return Ok(());
        }
        // Another version may be a step that was skipped, or the same value set again: only a value that is not the
        // rounded copy replaces the master.
        match &self.master {
            Some(master) if self.version == version || is_rounded_copy(master, value)? => {
                if !master.layout().same_order(&layout) {
                    self.master = Some(master.in_order_of(&layout)?);
                }
            }
            _ => self.master = Some(value.detach().to_dtype(DType::F32)?),
        }
        Ok(())
    }

    /// The columns to write, once [`Slot::prepare`] has made them.
    pub(super) fn columns(&mut self, count: usize) -> Result<([Option<&mut Buffer>; MAX_STATE], Option<&mut Buffer>)> {
        let mut columns = [None, None, None];
        for (to, column) in columns.iter_mut().zip(self.state[..count].iter_mut().flatten()) {
            *to = Some(column.make_mut()?);
        }
        Ok((columns, self.master.as_mut().map(Tensor::make_mut).transpose()?))
    }
}

fn zeros(device: &Device, dtype: DType, layout: Layout) -> Result<Tensor> {
    Tensor::filled(device, dtype, layout.dense_like(), |out| device.backend().fill(out, 0.0))
}

/// Whether the value is what `master` rounds to, bit for bit.
fn is_rounded_copy(master: &Tensor, value: &Tensor) -> Result<bool> {
    if master.device() != value.device() || master.shape() != value.shape() {
        return Ok(false);
    }
    let rounded = master.to_dtype(value.dtype())?.in_order_of(value.layout())?;
    let bytes = |tensor: &Tensor| {
        let at = tensor.layout().offset * tensor.dtype().size();
        at..at + tensor.len() * tensor.dtype().size()
    };
    Ok(rounded.buffer().as_bytes()[bytes(&rounded)] == value.buffer().as_bytes()[bytes(value)])
}

/// Length of the rows a matrix lies in; of anything else the number of its elements.
pub(super) fn row_of(layout: &Layout) -> usize {
    let shape: Shape = layout.shape;
    if shape.rank() != 2 {
        return shape.len().max(1);
    }
    let fastest = if layout.strides()[1] == 1 { 1 } else { 0 };
    shape.dims()[fastest].max(1)
}

/// Refuses what no optimizer can step.
pub(super) fn check_param(name: &str, param: &Param) -> Result<()> {
    let dtype = param.dtype();
    if dtype.is_float() {
        return Ok(());
    }
    Err(Error::op(
        "optimizer",
        format!("{name} is {} {dtype}; only floating-point parameters are trained", param.shape()),
    ))
}
