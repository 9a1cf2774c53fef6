//! The tensor itself.

use super::autograd::{Grad, LeafId, NodeRef};
use crate::compute::{Arg, Buffer, DType, Device, Element, Layout, Shape};
use crate::error::{Error, Result};
use std::sync::Arc;

/// Elements of one type in a shape on a device. Cheap to clone; a clone shares the elements, which never change.
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

struct Inner {
    buffer: Arc<Buffer>,
    layout: Layout,
    device: Device,
    grad: Option<Grad>,
}

impl Tensor {
    /// A tensor over a buffer. Every element of the layout must lie in the buffer.
    pub(crate) fn of(device: &Device, buffer: Arc<Buffer>, layout: Layout) -> Self {
        debug_assert!(layout.end() <= buffer.len(), "{layout:?} in {buffer:?}");
        Self(Arc::new(Inner { buffer, layout, device: device.clone(), grad: None }))
    }

    /// A fresh tensor that `fill` writes; `layout` must be dense and start at 0.
    pub(crate) fn filled(
        device: &Device,
        dtype: DType,
        layout: Layout,
        fill: impl FnOnce(&mut Buffer),
    ) -> Result<Self> {
        let mut buffer = device.buffer(dtype, layout.shape.len())?;
        fill(&mut buffer);
        Ok(Self::of(device, Arc::new(buffer), layout))
    }

    /// The same value as the result of `node`.
    pub(crate) fn with_node(self, node: NodeRef, output: usize) -> Self {
        self.with_grad(Some(Grad::Node(node, output)))
    }

    fn with_grad(self, grad: Option<Grad>) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => Self(Arc::new(Inner { grad, ..inner })),
            Err(shared) => Self(Arc::new(Inner {
                buffer: shared.buffer.clone(),
                layout: shared.layout,
                device: shared.device.clone(),
                grad,
            })),
        }
    }

    /// Where its gradient goes.
    pub(crate) fn grad(&self) -> Option<&Grad> {
        self.0.grad.as_ref()
    }

    /// The same value, cut off from what it was computed from: no gradient flows back through it.
    pub fn detach(&self) -> Self {
        if self.0.grad.is_none() { self.clone() } else { self.clone().with_grad(None) }
    }

    /// The same value as a leaf of its own, whose gradient [`Gradients`](super::Gradients) will hold.
    pub fn requires_grad(&self) -> Self {
        self.as_leaf(LeafId::fresh())
    }

    /// The same value as leaf `id`.
    pub(crate) fn as_leaf(&self, id: LeafId) -> Self {
        self.clone().with_grad(Some(Grad::Leaf(id)))
    }

    /// The leaf it is, if it is one.
    pub fn leaf_id(&self) -> Option<LeafId> {
        match self.0.grad {
            Some(Grad::Leaf(id)) => Some(id),
            _ => None,
        }
    }

    /// Whether gradients flow back through it.
    pub fn tracks_grad(&self) -> bool {
        self.0.grad.is_some()
    }

    /// Its shape.
    #[inline]
    pub fn shape(&self) -> Shape {
        self.0.layout.shape
    }

    /// The lengths of its axes.
    pub fn dims(&self) -> &[usize] {
        self.0.layout.shape.dims()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.layout.shape.len()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.0.layout.shape.is_empty()
    }

    /// Type of its elements.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.0.buffer.dtype()
    }

    /// The device it lives on.
    #[inline]
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// How its elements lie in the buffer.
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// The buffer, which views share.
    #[inline]
    pub(crate) fn buffer(&self) -> &Arc<Buffer> {
        &self.0.buffer
    }

    /// Buffer and layout, as kernels take them.
    #[inline]
    pub(crate) fn arg(&self) -> Arg<'_> {
        Arg { buffer: &self.0.buffer, layout: &self.0.layout }
    }

    /// Another view of the same buffer, off the tape.
    pub(crate) fn view(&self, layout: Layout) -> Self {
        Self::of(&self.0.device, self.0.buffer.clone(), layout)
    }

    /// Its elements where they lie dense in whatever order of axes.
    pub(crate) fn as_dense<T: Element>(&self) -> Option<&[T]> {
        let layout = &self.0.layout;
        layout.is_dense().then(|| &self.0.buffer.as_slice::<T>()[layout.offset..layout.offset + layout.shape.len()])
    }

    /// Whether nothing else holds its elements, which fill their buffer: writing in place takes no copy.
    pub(crate) fn is_sole(&self) -> bool {
        Arc::strong_count(&self.0) == 1
            && Arc::strong_count(&self.0.buffer) == 1
            && self.0.layout.offset == 0
            && self.0.layout.is_dense()
            && self.0.buffer.len() == self.0.layout.shape.len()
    }

    /// The buffer for writing in place. The tensor gets a copy of its own first where the elements are shared, so no
    /// other tensor changes. The layout is dense and starts at 0 afterwards.
    pub(crate) fn make_mut(&mut self) -> Result<&mut Buffer> {
        if !self.is_sole() {
            let layout = self.0.layout.dense_like();
            let backend = self.0.device.backend();
            let copy =
                Self::filled(&self.0.device, self.dtype(), layout, |out| backend.copy(self.arg(), out, &layout))?;
            *self = copy.with_grad(self.0.grad.clone());
        }
        let inner = Arc::get_mut(&mut self.0).ok_or_else(shared)?;
        Arc::get_mut(&mut inner.buffer).ok_or_else(shared)
    }

    /// The elements in row-major order.
    ///
    /// # Errors
    /// `T` is not the type of the elements.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if T::DTYPE != self.dtype() {
            return Err(Error::op(
                "to_vec",
                format!("the tensor holds {}, not {}; convert with `to_dtype` first", self.dtype(), T::DTYPE),
            ));
        }
        let plain = self.detach().contiguous()?;
        Ok(plain.as_dense::<T>().map(<[T]>::to_vec).unwrap_or_default())
    }

    /// The bytes of the elements in row-major order, as this machine stores them.
    ///
    /// # Errors
    /// No memory is left.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let plain = self.detach().contiguous()?;
        let size = plain.dtype().size();
        let start = plain.layout().offset * size;
        Ok(plain.buffer().as_bytes()[start..start + plain.len() * size].to_vec())
    }

    /// The only element, as a double.
    ///
    /// # Errors
    /// There is more than one element, or none.
    pub fn item(&self) -> Result<f64> {
        if self.len() != 1 {
            return Err(Error::op("item", format!("shape {} has {} elements, not one", self.shape(), self.len())));
        }
        let at = self.0.layout.offset;
        Ok(match self.dtype() {
            DType::F32 => self.0.buffer.as_slice::<f32>()[at].to_f64(),
            DType::F64 => self.0.buffer.as_slice::<f64>()[at],
            DType::F16 => self.0.buffer.as_slice::<crate::compute::f16>()[at].to_f64(),
            DType::Bf16 => self.0.buffer.as_slice::<crate::compute::bf16>()[at].to_f64(),
            DType::I8 => self.0.buffer.as_slice::<i8>()[at].to_f64(),
            DType::I32 => self.0.buffer.as_slice::<i32>()[at].to_f64(),
            DType::U8 => self.0.buffer.as_slice::<u8>()[at].to_f64(),
        })
    }
}

fn shared() -> Error {
    Error::Usage("a tensor that was just copied is shared already".to_owned())
}
