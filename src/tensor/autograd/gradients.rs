//! What a backward pass returns.

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names a leaf: a parameter, or a tensor made with [`Tensor::requires_grad`]. Unique within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafId(u64);

impl LeafId {
    /// An identity no other leaf has.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Gradients of leaves, by identity.
#[derive(Debug, Default)]
pub struct Gradients {
    /// Sorted by identity. Parameters are made in order, so lookups from a list of parameters are short searches.
    entries: Vec<(LeafId, Tensor)>,
}

impl Gradients {
    /// No gradients yet, to accumulate into.
    pub fn new() -> Self {
        Self::default()
    }

    /// The gradient with respect to a leaf; `None` where it is not one or the loss does not depend on it.
    pub fn get(&self, leaf: &Tensor) -> Option<&Tensor> {
        self.of(leaf.leaf_id()?)
    }

    /// The gradient with respect to leaf `id`.
    #[inline]
    pub fn of(&self, id: LeafId) -> Option<&Tensor> {
        let at = self.entries.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.entries[at].1)
    }

    /// The gradients with their leaves, in the order the leaves were made.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (LeafId, &Tensor)> {
        self.entries.iter().map(|(id, gradient)| (*id, gradient))
    }

    /// Number of leaves that have a gradient.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes the gradient of a leaf out.
    pub fn remove(&mut self, id: LeafId) -> Option<Tensor> {
        let at = self.entries.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// Replaces the gradient of a leaf, or sets it.
    pub fn set(&mut self, id: LeafId, gradient: Tensor) {
        match self.entries.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => self.entries[at].1 = gradient,
            Err(at) => self.entries.insert(at, (id, gradient)),
        }
    }

    /// Adds `gradient` to that of a leaf, in place where nothing else holds the sum.
    ///
    /// # Errors
    /// The shapes, element types or devices differ.
    pub fn add(&mut self, id: LeafId, gradient: &Tensor) -> Result<()> {
        match self.entries.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => {
                let sum = &mut self.entries[at].1;
                if sum.shape() != gradient.shape() {
                    return Err(Error::op(
                        "backward",
                        format!("a leaf got gradients of shapes {} and {}", sum.shape(), gradient.shape()),
                    ));
                }
                let plain = sum.dtype() == gradient.dtype() && sum.device() == gradient.device();
                if plain && sum.is_sole() && !sum.tracks_grad() && !gradient.tracks_grad() {
                    let gradient = gradient.in_order_of(sum.layout())?;
                    let device = sum.device().clone();
                    device.backend().accumulate(gradient.arg(), sum.make_mut()?);
                } else {
                    *sum = sum.add(gradient)?;
                }
            }
            Err(at) => self.entries.insert(at, (id, gradient.clone())),
        }
        Ok(())
    }

    /// Adds all gradients of `other`: accumulation over micro-batches. In place, from the second time a leaf is met on.
    ///
    /// # Errors
    /// The shapes of a leaf's gradients differ.
    pub fn accumulate(&mut self, other: &Self) -> Result<()> {
        other.entries.iter().try_for_each(|(id, gradient)| self.add(*id, gradient))
    }

    /// Every gradient times `factor`.
    ///
    /// # Errors
    /// No memory is left.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        for (_, gradient) in &mut self.entries {
            *gradient = gradient.mul_scalar(factor)?;
        }
        Ok(())
    }
}
