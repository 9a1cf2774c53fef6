//! What an operation leaves on its result.

use super::gradients::{Gradients, LeafId};
use super::mode::records_gradients;
use crate::compute::{DType, Device, Shape};
use crate::error::Result;
use crate::tensor::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Where the gradient of a tensor goes.
#[derive(Clone)]
pub(crate) enum Grad {
    /// Into the result of the backward pass.
    Leaf(LeafId),
    /// To output `.1` of the operation that made it.
    Node(NodeRef, usize),
}

/// A shared node.
pub(crate) type NodeRef = Arc<Node>;

/// The gradient of one operation.
pub(crate) trait Backward: Send + Sync {
    /// The operation, for messages.
    fn name(&self) -> &'static str;
    /// The gradient of each input from those of the outputs (`None` where none arrived). Inputs that track no gradient
    /// may be left out with `None`.
    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>>;
    /// Calls `visit` with every tensor it keeps.
    fn saved(&self, visit: &mut dyn FnMut(&Tensor));
}

/// What a backward step may do besides returning gradients.
pub(crate) struct Tape<'a> {
    /// Gradients of leaves found so far.
    pub(super) leaves: &'a mut Gradients,
    /// Which inputs track gradients.
    pub(super) needs: &'a [bool],
}

impl Tape<'_> {
    /// Whether the gradient of input `i` is wanted.
    pub(crate) fn needs(&self, i: usize) -> bool {
        self.needs.get(i).copied().unwrap_or(false)
    }
}

/// Shape, type and device of an output, for gradients that nothing arrives for and for checks.
#[derive(Clone)]
pub(super) struct Meta {
    pub(super) shape: Shape,
    pub(super) dtype: DType,
    pub(super) device: Device,
}

/// One operation on the tape.
pub(crate) struct Node {
    /// Later operations have larger numbers, so inputs always have smaller ones.
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) inputs: Vec<Option<Grad>>,
    pub(super) outputs: Vec<Meta>,
    /// `None` once a backward pass has used it up.
    pub(super) rule: Mutex<Option<Box<dyn Backward>>>,
}

impl Drop for Node {
    /// A long chain of nodes is taken apart link by link: dropping it by recursion would need a stack as deep.
    fn drop(&mut self) {
        let mut links: Vec<NodeRef> = Vec::new();
        let unlink = |node: &mut Node, links: &mut Vec<NodeRef>| {
            for input in node.inputs.drain(..).flatten() {
                if let Grad::Node(node, _) = input {
                    links.push(node);
                }
            }
            // What the rule keeps may hold the last handle of an input's node, too.
            if let Some(rule) = node.rule.get_mut().unwrap_or_else(|e| e.into_inner()).take() {
                rule.saved(&mut |tensor| {
                    if let Some(Grad::Node(node, _)) = tensor.grad() {
                        links.push(node.clone());
                    }
                });
            }
        };
        unlink(self, &mut links);
        while let Some(link) = links.pop() {
            if let Some(mut node) = Arc::into_inner(link) {
                unlink(&mut node, &mut links);
            }
        }
    }
}

/// Puts `rule` on the result of an operation, if any input tracks gradients and recording is on. Rules
/// keep inputs as they are: the backward pass runs with recording off, and a parameter is known by its identity.
#[inline]
pub(crate) fn record<B: Backward + 'static>(inputs: &[&Tensor], output: Tensor, rule: impl FnOnce() -> B) -> Tensor {
    if !records_gradients() || inputs.iter().all(|input| input.grad().is_none()) {
        return output;
    }
    let node = node_of(inputs, std::slice::from_ref(&output), Box::new(rule()));
    output.with_node(node, 0)
}

/// The same for an operation of several results.
pub(crate) fn record_many<B: Backward + 'static>(
    inputs: &[&Tensor],
    outputs: Vec<Tensor>,
    rule: impl FnOnce() -> B,
) -> Vec<Tensor> {
    if !records_gradients() || inputs.iter().all(|input| input.grad().is_none()) {
        return outputs;
    }
    record_always(inputs, outputs, Box::new(rule()))
}

/// The same whether or not an input tracks gradients.
pub(super) fn record_always(inputs: &[&Tensor], outputs: Vec<Tensor>, rule: Box<dyn Backward>) -> Vec<Tensor> {
    let node = node_of(inputs, &outputs, rule);
    outputs.into_iter().enumerate().map(|(i, output)| output.with_node(node.clone(), i)).collect()
}

fn node_of(inputs: &[&Tensor], outputs: &[Tensor], rule: Box<dyn Backward>) -> NodeRef {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let meta = |output: &Tensor| Meta { shape: output.shape(), dtype: output.dtype(), device: output.device().clone() };
    Arc::new(Node {
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        name: rule.name(),
        inputs: inputs.iter().map(|input| input.grad().cloned()).collect(),
        outputs: outputs.iter().map(meta).collect(),
        rule: Mutex::new(Some(rule)),
    })
}
