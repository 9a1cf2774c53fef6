//! Modules one after the other.

use super::module::{Module, Slot, Visitor};
use crate::compute::Activation;
use crate::error::Result;
use crate::tensor::{Tensor, checkpoint};
use std::sync::Arc;

/// A chain of modules, named `0`, `1`, .. as in torch. A layer followed by an activation it can apply itself runs as
/// one kernel.
#[derive(Clone, Default)]
pub struct Sequential {
    layers: Vec<Arc<dyn Module>>,
    /// Layers per checkpointed segment; 0 keeps everything.
    segment: usize,
}

impl Sequential {
    /// An empty chain: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `layer` at the end.
    #[must_use]
    pub fn push(mut self, layer: impl Module + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// With the activations inside segments of `layers` layers computed again in the backward pass instead of kept; 0
    /// keeps all. A chain of n layers needs least memory with segments of about the square root of n.
    #[must_use]
    pub fn checkpoint_every(mut self, layers: usize) -> Self {
        self.segment = layers;
        self
    }

    /// With a layer at the end that others hold as well.
    #[must_use]
    pub fn push_shared(mut self, layer: Arc<dyn Module>) -> Self {
        self.layers.push(layer);
        self
    }

    /// Layer `i`, to be held by others as well.
    pub fn shared(&self, i: usize) -> Option<&Arc<dyn Module>> {
        self.layers.get(i)
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether it has no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Layer `i`.
    pub fn get(&self, i: usize) -> Option<&dyn Module> {
        self.layers.get(i).map(|layer| &**layer)
    }
}

fn run(layers: &[Arc<dyn Module>], x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    let mut i = 0;
    while i < layers.len() {
        let next = layers.get(i + 1);
        // ReLU is left to a layer behind it that takes it along, such as the maximum under windows: there are fewer
        // elements there, and its gradient needs no pass of its own.
        if layers[i].activation() == Some(Activation::Relu)
            && let Some(next) = next.filter(|next| next.absorbs_relu())
        {
            (x, i) = (next.forward_rectified(&x)?, i + 2);
            continue;
        }
        let absorbed =
            |activation| activation == Activation::Relu && layers.get(i + 2).is_some_and(|l| l.absorbs_relu());
        let fused = next
            .and_then(|next| next.activation())
            .filter(|activation| !absorbed(*activation))
            .and_then(|activation| layers[i].forward_activated(&x, activation));
        (x, i) = match fused {
            Some(y) => (y?, i + 2),
            None => (layers[i].forward(&x)?, i + 1),
        };
    }
    Ok(x)
}

impl Module for Sequential {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.segment == 0 {
            return run(&self.layers, x);
        }
        let mut x = x.clone();
        for segment in self.layers.chunks(self.segment) {
            let segment: Vec<Arc<dyn Module>> = segment.to_vec();
            x = checkpoint(&[&x], move |inputs| run(&segment, &inputs[0]))?;
        }
        Ok(x)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        for (i, layer) in self.layers.iter().enumerate() {
            visitor(&i.to_string(), Slot::Child(&**layer));
        }
    }
}
