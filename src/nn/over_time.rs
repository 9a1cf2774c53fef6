//! What is done along the time axis: reading results out, and layers that know no time.

use super::module::{Module, Visitor};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// What becomes of the time axis, the first of [T, ..]. Also a layer of its own: `Readout::Sum` after spiking neurons
/// counts their spikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// It stays: [T, ..].
    Trace,
    /// The last step.
    Last,
    /// The sum over steps: the number of spikes of each neuron.
    Sum,
    /// The mean over steps.
    Mean,
    /// The largest value of any step.
    Max,
}

impl Module for Readout {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.shape().rank() == 0 || x.dims()[0] == 0 {
            return Err(Error::op("readout", format!("the input {} has no step along its first axis", x.shape())));
        }
        match self {
            Self::Trace => Ok(x.clone()),
            Self::Last => x.select(0, x.dims()[0] - 1),
            Self::Sum => x.sum(&[0], false),
            Self::Mean => x.mean(&[0], false),
            Self::Max => x.max(0, false),
        }
    }
}

/// A layer that knows no time, applied to every step: [T, batch, ..] is given to it as [T * batch, ..]. For
/// convolutions, pooling and whatever else takes a batch as its first axis; a [`Linear`](super::Linear) needs it not.
///
/// Names of parameters are those of the layer within.
#[derive(Debug, Clone)]
pub struct OverTime<M>(
    /// The layer.
    pub M,
);

impl<M: Module> Module for OverTime<M> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.shape().rank() < 2 {
            return Err(Error::op("over_time", format!("the input {} is not [T, batch, ..]", x.shape())));
        }
        let fold = |t: &Tensor, lead: &[usize], from: usize| {
            let mut dims = lead.to_vec();
            dims.extend(&t.dims()[from..]);
            t.reshape(crate::compute::Shape::checked(&dims)?)
        };
        let (steps, batch) = (x.dims()[0], x.dims()[1]);
        let y = self.0.forward(&fold(x, &[steps * batch], 2)?)?;
        if y.shape().rank() == 0 || y.dims()[0] != steps * batch {
            return Err(Error::op(
                "over_time",
                format!("the layer made {} of {steps} steps of a batch of {batch}", y.shape()),
            ));
        }
        fold(&y, &[steps, batch], 1)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        self.0.visit(visitor);
    }

    fn set_training(&self, training: bool) {
        self.0.set_training(training);
    }

    fn reset_state(&self) {
        self.0.reset_state();
    }
}
