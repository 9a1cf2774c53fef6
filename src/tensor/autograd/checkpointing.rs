//! Gradient checkpointing: keep the inputs of a segment, compute its inside again when its gradient is due.
//!
//! Chen, Xu, Zhang & Guestrin (2016), "Training deep nets with sublinear memory cost". A chain of n layers cut into
//! about sqrt(n) segments keeps the inputs of the segments and the inside of one at a time.

use super::backward::walk;
use super::gradients::{Gradients, LeafId};
use super::mode::{no_grad, noting_draws, records_gradients, replaying_draws, with_grad};
use super::node::{Backward, Tape, record_always};
use crate::error::Result;
use crate::precision::{self, Policy};
use crate::tensor::Tensor;
use std::sync::Arc;

/// Computes `segment(inputs)` without keeping what its gradient needs; when the gradient is due, the segment is computed
/// again. The second time gives the same bits: kernels do, and random operations draw the same numbers.
///
/// `segment` must be a function of its inputs and of parameters alone. Gradients flow to both.
///
/// # Errors
/// What `segment` returns.
pub fn checkpoint<F>(inputs: &[&Tensor], segment: F) -> Result<Tensor>
where
    F: Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
{
    let detached: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
    if !records_gradients() {
        return segment(&detached);
    }
    let (output, draws) = noting_draws(|| no_grad(|| segment(&detached)));
    let rule = Segment { inputs: detached, run: Arc::new(segment), draws, policy: precision::current() };
    // The segment may use parameters though no input tracks gradients, so it is recorded in any case.
    let mut outputs = record_always(inputs, vec![output?.detach()], Box::new(rule));
    Ok(outputs.remove(0))
}

struct Segment {
    inputs: Vec<Tensor>,
    #[allow(clippy::type_complexity)]
    run: Arc<dyn Fn(&[Tensor]) -> Result<Tensor> + Send + Sync>,
    draws: Vec<u64>,
    /// Mixed precision of the first time.
    policy: Option<Policy>,
}

impl Backward for Segment {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None; self.inputs.len()]) };
        let ids: Vec<Option<LeafId>> = (0..self.inputs.len()).map(|i| tape.needs(i).then(LeafId::fresh)).collect();
        let leaves: Vec<Tensor> = self
            .inputs
            .iter()
            .zip(&ids)
            .map(|(input, id)| id.map_or_else(|| input.clone(), |id| input.as_leaf(id)))
            .collect();
        let output =
            replaying_draws(&self.draws, || with_grad(|| precision::under(self.policy, || (self.run)(&leaves))))?;
        drop(leaves);
        let mut found = Gradients::new();
        if output.tracks_grad() {
            walk(&[(output, dy.clone())], &mut found, false)?;
        }
        let dx = ids.iter().map(|id| id.and_then(|id| found.remove(id))).collect();
        tape.leaves.accumulate(&found)?;
        Ok(dx)
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        self.inputs.iter().for_each(visit);
    }
}
