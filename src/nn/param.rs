//! Parameters, and other tensors a layer carries from call to call.

use crate::compute::{DType, Device, Shape};
use crate::error::{Error, Result};
use crate::tensor::{LeafId, Tensor};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

/// A tensor that training changes. A clone is the same parameter, so layers can share one.
#[derive(Debug, Clone)]
pub struct Param(Arc<ParamInner>);

#[derive(Debug)]
struct ParamInner {
    id: LeafId,
    /// A leaf of the tape, so that a forward pass only takes a handle.
    value: RwLock<Tensor>,
    trainable: AtomicBool,
    /// Counts replacements and changes of the value.
    version: AtomicU64,
}

impl Param {
    /// A parameter with this value.
    pub fn new(value: &Tensor) -> Self {
        let id = LeafId::fresh();
        Self(Arc::new(ParamInner {
            id,
            value: RwLock::new(value.as_leaf(id)),
            trainable: AtomicBool::new(true),
            version: AtomicU64::new(0),
        }))
    }

    /// Its identity in [`Gradients`](crate::tensor::Gradients) and optimizers.
    pub fn id(&self) -> LeafId {
        self.0.id
    }

    /// Its value for a forward pass: gradients flow to it, unless it is frozen.
    pub fn tensor(&self) -> Tensor {
        let value = self.0.value.read().unwrap_or_else(PoisonError::into_inner);
        if self.is_trainable() { value.clone() } else { value.detach() }
    }

    /// Its value alone. A snapshot: later training does not change it.
    pub fn value(&self) -> Tensor {
        self.0.value.read().unwrap_or_else(PoisonError::into_inner).detach()
    }

    /// Replaces the value; element type and device become those of `value`, the order in memory stays.
    ///
    /// # Errors
    /// The shape differs.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        let mut own = self.write();
        if own.shape() != value.shape() {
            return Err(Error::op(
                "set",
                format!("the parameter has shape {}, the new value {}", own.shape(), value.shape()),
            ));
        }
        *own = value.detach().in_order_of(own.layout())?.as_leaf(self.0.id);
        Ok(())
    }

    /// The value, to be changed in place with [`Tensor::make_mut`]: no other tensor changes with it. Readers wait.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Tensor> {
        let own = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        self.0.version.fetch_add(1, Ordering::Relaxed);
        own
    }

    /// Counts the times the value was replaced or lent for a change.
    pub(crate) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Relaxed)
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.value().shape()
    }

    /// Type of its elements.
    pub fn dtype(&self) -> DType {
        self.value().dtype()
    }

    /// The device it lives on.
    pub fn device(&self) -> Device {
        self.value().device().clone()
    }

    /// Whether gradients flow to it.
    pub fn is_trainable(&self) -> bool {
        self.0.trainable.load(Ordering::Relaxed)
    }

    /// Freezes it (`false`): no gradient flows to it and optimizers leave it alone; or lets it be trained again.
    pub fn set_trainable(&self, trainable: bool) {
        self.0.trainable.store(trainable, Ordering::Relaxed);
    }
}

/// A tensor that a layer keeps beside its parameters, such as running statistics: stored with them, not trained.
#[derive(Debug, Clone)]
pub struct State(Arc<RwLock<Tensor>>);

impl State {
    /// State with this value.
    pub fn new(value: &Tensor) -> Self {
        Self(Arc::new(RwLock::new(value.detach())))
    }

    /// Its value, as a snapshot.
    pub fn value(&self) -> Tensor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// The shape differs.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if own.shape() != value.shape() {
            return Err(Error::op(
                "set",
                format!("the state has shape {}, the new value {}", own.shape(), value.shape()),
            ));
        }
        *own = value.detach();
        Ok(())
    }
}
