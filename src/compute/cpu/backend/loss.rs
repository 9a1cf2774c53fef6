//! Losses over classes.

use crate::compute::backend::{Arg, ClassLoss};
use crate::compute::cpu::Cpu;
use crate::compute::cpu::cross_entropy::{CrossEntropy, cross_entropy};
use crate::compute::cpu::lanes::Float;
use crate::compute::dtype::{DType, Element};
use crate::compute::memory::Buffer;

fn spec<'a, T: Float + Element>(loss: &ClassLoss<'a>) -> CrossEntropy<'a, T> {
    CrossEntropy {
        targets: loss.targets.dense(),
        weights: loss.weights.as_ref().map(Arg::dense),
        smoothing: loss.smoothing,
        ignore: loss.ignore,
        normalized: loss.normalized,
        scale: loss.scale,
    }
}

pub(super) fn weigh(loss: &ClassLoss<'_>, classes: usize) -> Result<f64, i32> {
    match loss.weights.map(|weights| weights.dtype()) {
        Some(DType::F64) => spec::<f64>(loss).weight(classes),
        _ => spec::<f32>(loss).weight(classes),
    }
}

pub(super) fn class_loss<T: Float + Element>(
    cpu: &Cpu,
    loss: &ClassLoss<'_>,
    x: Arg<'_>,
    losses: &mut Buffer,
    dx: Option<&mut Buffer>,
) {
    let dx = dx.map(Buffer::as_mut_slice::<T>);
    cross_entropy(cpu, &spec(loss), x.layout.shape.last(), x.dense(), losses.as_mut_slice(), dx);
}
