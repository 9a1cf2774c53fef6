//! The walk from a loss back to the leaves.

use super::gradients::Gradients;
use super::mode::no_grad;
use super::node::{Grad, NodeRef, Tape};
use crate::error::{Error, Result};
use crate::precision;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What a graph keeps for its backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GraphMemory {
    /// Operations on the tape.
    pub nodes: usize,
    /// Bytes of the values they keep, each buffer once; leaves (parameters and inputs that require gradients), which
    /// are there anyway, are not counted.
    pub bytes: u64,
}

/// Gradients that have arrived at the outputs of a node that is still to come.
struct Waiting {
    node: NodeRef,
    dy: Vec<Option<Tensor>>,
}

impl Tensor {
    /// Gradients of this number with respect to every leaf it depends on. The values kept for it are freed on the way.
    ///
    /// # Errors
    /// The tensor has more than one element (use [`Tensor::backward_with`]), depends on no leaf, or a backward pass
    /// has used its graph up already.
    pub fn backward(&self) -> Result<Gradients> {
        self.backward_with(&self.one()?)
    }

    /// The same, keeping the graph for another pass.
    ///
    /// # Errors
    /// As [`Tensor::backward`].
    pub fn backward_keep(&self) -> Result<Gradients> {
        let mut leaves = Gradients::new();
        walk(&[(self.clone(), self.one()?)], &mut leaves, true)?;
        Ok(leaves)
    }

    /// Gradients of the sum of this tensor times `dy`, which has its shape.
    ///
    /// # Errors
    /// As [`Tensor::backward`], and where the shapes differ.
    pub fn backward_with(&self, dy: &Tensor) -> Result<Gradients> {
        let mut leaves = Gradients::new();
        walk(&[(self.clone(), dy.clone())], &mut leaves, false)?;
        Ok(leaves)
    }

    fn one(&self) -> Result<Tensor> {
        if self.len() != 1 {
            return Err(Error::op(
                "backward",
                format!(
                    "the gradient of a tensor of shape {} is not one number per leaf; reduce it to a scalar (`sum_all`, \
                     `mean_all`) or give the outer gradient with `backward_with`",
                    self.shape()
                ),
            ));
        }
        self.detach().full_like(1.0)
    }

    /// What the graph behind this tensor keeps for its backward pass.
    pub fn graph_memory(&self) -> GraphMemory {
        let mut memory = GraphMemory::default();
        let (mut seen, mut buffers) = (HashSet::new(), HashSet::new());
        let mut open: Vec<NodeRef> = Vec::new();
        if let Some(Grad::Node(node, _)) = self.grad() {
            open.push(node.clone());
        }
        while let Some(node) = open.pop() {
            if !seen.insert(node.number) {
                continue;
            }
            memory.nodes += 1;
            if let Some(rule) = &*node.rule.lock().unwrap_or_else(|e| e.into_inner()) {
                rule.saved(&mut |tensor| {
                    if buffers.insert(Arc::as_ptr(tensor.buffer())) && tensor.leaf_id().is_none() {
                        memory.bytes += tensor.buffer().bytes() as u64;
                    }
                });
            }
            open.extend(node.inputs.iter().flatten().filter_map(|grad| match grad {
                Grad::Node(node, _) => Some(node.clone()),
                Grad::Leaf(_) => None,
            }));
        }
        memory
    }
}

/// Carries the gradients `dy` of several tensors back, adding what arrives at leaves to `leaves`.
pub(super) fn walk(roots: &[(Tensor, Tensor)], leaves: &mut Gradients, keep: bool) -> Result<()> {
    let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
    for (root, dy) in roots {
        if root.shape() != dy.shape() || root.dtype() != dy.dtype() {
            return Err(Error::op(
                "backward",
                format!(
                    "the outer gradient is {} {}, the tensor {} {}",
                    dy.shape(),
                    dy.dtype(),
                    root.shape(),
                    root.dtype()
                ),
            ));
        }
        let Some(grad) = root.grad() else {
            return Err(Error::op(
                "backward",
                "the tensor depends on no parameter and no tensor that requires gradients, or was made within `no_grad`",
            ));
        };
        arrive(grad, dy.clone(), &mut waiting, leaves)?;
    }
    // The latest operation first: everything that uses its outputs is later, so its gradients are complete.
    let rules = || {
        while let Some((_, Waiting { node, dy })) = waiting.pop_last() {
            let mut held = node.rule.lock().unwrap_or_else(|e| e.into_inner());
            let Some(rule) = held.take() else {
                return Err(Error::op(
                    "backward",
                    format!(
                        "a backward pass has gone through `{}` already and freed the values it kept; compute the loss \
                         again, or call `backward_keep` for every pass but the last",
                        node.name
                    ),
                ));
            };
            let needs: Vec<bool> = node.inputs.iter().map(Option::is_some).collect();
            let result = rule.backward(&mut Tape { leaves, needs: &needs }, &dy);
            if keep {
                *held = Some(rule);
            }
            drop(held);
            drop(dy);
            let dx = result?;
            debug_assert_eq!(dx.len(), node.inputs.len(), "{}", node.name);
            for (grad, dx) in node.inputs.iter().zip(dx) {
                if let (Some(grad), Some(dx)) = (grad, dx) {
                    arrive(grad, dx, &mut waiting, leaves)?;
                }
            }
        }
        Ok(())
    };
    // Rules follow the types of the forward pass, not whatever policy the caller is under.
    no_grad(|| precision::under(None, rules))
}

fn arrive(grad: &Grad, dy: Tensor, waiting: &mut BTreeMap<u64, Waiting>, leaves: &mut Gradients) -> Result<()> {
    let (node, output) = match grad {
        Grad::Leaf(id) => return leaves.add(*id, &dy),
        Grad::Node(node, output) => (node, *output),
    };
    let meta = &node.outputs[output];
    if meta.shape != dy.shape() || meta.dtype != dy.dtype() || meta.device != *dy.device() {
        return Err(Error::op(
            "backward",
            format!(
                "the gradient that arrives at `{}` is {} {}, but its result is {} {}",
                node.name,
                dy.shape(),
                dy.dtype(),
                meta.shape,
                meta.dtype
            ),
        ));
    }
    let entry = waiting
        .entry(node.number)
        .or_insert_with(|| Waiting { node: node.clone(), dy: vec![None; node.outputs.len()] });
    let slot = &mut entry.dy[output];
    *slot = Some(match slot.take() {
        None => dy,
        Some(sum) => sum.add(&dy)?,
    });
    Ok(())
}
