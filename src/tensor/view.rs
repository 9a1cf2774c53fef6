//! Views: the same elements under another shape or order of axes. None of them copies, except where it says so.

use super::Tensor;
use super::autograd::{Backward, Tape, record};
use crate::compute::{Layout, Shape};
use crate::error::{Error, Result};

/// Undoes a view: the gradient is brought back to the shape the input had.
struct Unview {
    op: &'static str,
    undo: Undo,
}

enum Undo {
    Reshape(Shape),
    Permute([usize; crate::compute::MAX_RANK], usize),
    /// The gradient is placed into zeros of this shape: (axis, start).
    Place(Shape, usize, usize),
    /// The gradient is summed over what was stretched.
    Sum(Shape),
}

impl Backward for Unview {
    fn name(&self) -> &'static str {
        self.op
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let dx = match &self.undo {
            Undo::Reshape(shape) => dy.reshape(*shape)?,
            Undo::Permute(order, rank) => dy.permute(&order[..*rank])?,
            Undo::Place(shape, axis, start) => dy.placed(*shape, *axis, *start)?,
            Undo::Sum(shape) => dy.sum_to(*shape)?,
        };
        Ok(vec![Some(dx)])
    }
    fn saved(&self, _: &mut dyn FnMut(&Tensor)) {}
}

impl Tensor {
    fn viewed(&self, layout: Layout, op: &'static str, undo: impl FnOnce() -> Undo) -> Self {
        record(&[self], self.view(layout), || Unview { op, undo: undo() })
    }

    /// The elements, in row-major order of their indices, in another shape. A copy is made only where the new axes
    /// cut across the order of the elements in memory.
    ///
    /// # Errors
    /// The number of elements differs.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        if shape == self.shape() {
            return Ok(self.clone());
        }
        if shape.len() != self.len() {
            return Err(Error::op(
                "reshape",
                format!("{} has {} elements and cannot become {shape} with {}", self.shape(), self.len(), shape.len()),
            ));
        }
        match self.layout().reshaped(shape) {
            Some(layout) => Ok(self.viewed(layout, "reshape", || Undo::Reshape(self.shape()))),
            None => self.contiguous()?.reshape(shape),
        }
    }

    /// All axes from `start` on as one. `flatten(1)` makes rows of a batch.
    ///
    /// # Errors
    /// There is no axis `start`.
    pub fn flatten(&self, start: usize) -> Result<Self> {
        if start >= self.shape().rank() {
            self.shape().axis("flatten", start as isize)?;
        }
        let dims = self.dims();
        let mut flat = dims[..start].to_vec();
        flat.push(dims[start..].iter().product());
        self.reshape(Shape::checked(&flat)?)
    }

    /// The axes in another order: axis i of the result is axis `order[i]` of this.
    ///
    /// # Errors
    /// `order` does not name every axis once.
    pub fn permute(&self, order: &[usize]) -> Result<Self> {
        let rank = self.shape().rank();
        let mut inverse = [usize::MAX; crate::compute::MAX_RANK];
        for (to, from) in order.iter().enumerate() {
            if *from >= rank || inverse[*from] != usize::MAX || order.len() != rank {
                return Err(Error::op(
                    "permute",
                    format!("{order:?} is not an order of the {rank} axes of shape {}", self.shape()),
                ));
            }
            inverse[*from] = to;
        }
        if order.len() != rank {
            return Err(Error::op("permute", format!("{order:?} names {} of {rank} axes", order.len())));
        }
        let mut layout = *self.layout();
        let dims: Vec<usize> = order.iter().map(|axis| self.dims()[*axis]).collect();
        layout.shape = Shape::new(&dims);
        layout.strides = [0; crate::compute::MAX_RANK];
        for (to, from) in order.iter().enumerate() {
            layout.strides[to] = self.layout().strides[*from];
        }
        Ok(self.viewed(layout, "permute", || Undo::Permute(inverse, rank)))
    }

    /// Two axes exchanged; negative numbers count from the end.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn transpose(&self, a: isize, b: isize) -> Result<Self> {
        let (a, b) = (self.shape().axis("transpose", a)?, self.shape().axis("transpose", b)?);
        let mut order: Vec<usize> = (0..self.shape().rank()).collect();
        order.swap(a, b);
        self.permute(&order)
    }

    /// The last two axes exchanged.
    ///
    /// # Errors
    /// There are fewer than two axes.
    pub fn t(&self) -> Result<Self> {
        self.transpose(-2, -1)
    }

    /// The `len` indices from `start` on along `axis`.
    ///
    /// # Errors
    /// The range leaves the axis.
    pub fn narrow(&self, axis: isize, start: usize, len: usize) -> Result<Self> {
        let axis = self.shape().axis("narrow", axis)?;
        let all = self.dims()[axis];
        if start.checked_add(len).is_none_or(|end| end > all) {
            return Err(Error::op(
                "narrow",
                format!("{len} from {start} on leave axis {axis} of shape {}, which has length {all}", self.shape()),
            ));
        }
        let mut dims = self.dims().to_vec();
        dims[axis] = len;
        let mut layout = *self.layout();
        layout.shape = Shape::new(&dims);
        if len > 0 {
            layout.offset += start * layout.strides[axis];
        }
        let shape = self.shape();
        Ok(self.viewed(layout, "narrow", || Undo::Place(shape, axis, start)))
    }

    /// Index `index` of `axis`, without that axis.
    ///
    /// # Errors
    /// The index leaves the axis.
    pub fn select(&self, axis: isize, index: usize) -> Result<Self> {
        let axis = self.shape().axis("select", axis)?;
        self.narrow(axis as isize, index, 1)?.reshape(self.shape().reduced(axis, false))
    }

    /// With a new axis of length 1 before axis `axis` (or at the end where `axis` is the rank).
    ///
    /// # Errors
    /// There is no such place, or the rank would exceed the limit.
    pub fn unsqueeze(&self, axis: usize) -> Result<Self> {
        let mut dims = self.dims().to_vec();
        if axis > dims.len() {
            return Err(Error::op("unsqueeze", format!("there is no place {axis} in shape {}", self.shape())));
        }
        dims.insert(axis, 1);
        self.reshape(Shape::checked(&dims)?)
    }

    /// Without axis `axis`, which must have length 1.
    ///
    /// # Errors
    /// There is no such axis or its length is not 1.
    pub fn squeeze(&self, axis: isize) -> Result<Self> {
        let at = self.shape().axis("squeeze", axis)?;
        if self.dims()[at] != 1 {
            return Err(Error::op("squeeze", format!("axis {axis} of shape {} is not of length 1", self.shape())));
        }
        self.reshape(self.shape().reduced(at, false))
    }

    /// Stretched to a shape it broadcasts to; stretched axes take no memory.
    ///
    /// # Errors
    /// It does not broadcast to the shape.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        if shape == self.shape() {
            return Ok(self.clone());
        }
        if Shape::broadcast("broadcast_to", &self.shape(), &shape)? != shape {
            return Err(Error::op("broadcast_to", format!("{} does not stretch to {shape}", self.shape())));
        }
        let own = self.shape();
        Ok(self.viewed(self.layout().broadcast_to(shape), "broadcast_to", || Undo::Sum(own)))
    }

    /// In row-major order without gaps: itself where it is so already, else a copy.
    ///
    /// # Errors
    /// No memory is left.
    pub fn contiguous(&self) -> Result<Self> {
        if self.layout().is_row_major() { Ok(self.clone()) } else { self.copied(Layout::row_major(self.shape())) }
    }

    /// In channels-last order (axis 1 fastest): itself where it is so already, else a copy.
    ///
    /// # Errors
    /// No memory is left.
    pub fn channels_last(&self) -> Result<Self> {
        let layout = Layout::channels_last(self.shape());
        if self.layout().same_order(&layout) { Ok(self.clone()) } else { self.copied(layout) }
    }

    /// Without gaps, in whatever order of axes: itself where it is so already, else a row-major copy.
    pub(crate) fn dense(&self) -> Result<Self> {
        if self.layout().is_dense() { Ok(self.clone()) } else { self.contiguous() }
    }

    /// A copy in the order of a dense layout of the same shape.
    pub(crate) fn copied(&self, layout: Layout) -> Result<Self> {
        let device = self.device();
        let out = Self::filled(device, self.dtype(), layout, |out| device.backend().copy(self.arg(), out, &layout))?;
        let shape = self.shape();
        Ok(record(&[self], out, || Unview { op: "copy", undo: Undo::Reshape(shape) }))
    }

    /// In the memory order of `like`, which has the same shape; itself where it is so already.
    pub(crate) fn in_order_of(&self, like: &Layout) -> Result<Self> {
        debug_assert_eq!(self.shape(), like.shape);
        let dense = like.dense_like();
        if self.layout().same_order(&dense) { Ok(self.clone()) } else { self.copied(dense) }
    }

    /// Zeros of `shape` with this from `start` on along `axis`. The gradient of [`Tensor::narrow`].
    fn placed(&self, shape: Shape, axis: usize, start: usize) -> Result<Self> {
        let device = self.device();
        let part = self.layout().dense_like();
        let layout = Layout::row_major(shape);
        let backend = device.backend();
        let out = Self::filled(device, self.dtype(), layout, |out| {
            backend.fill(out, 0.0);
            backend.copy(
                self.arg(),
                out,
                &Layout { shape: part.shape, strides: layout.strides, offset: start * layout.strides[axis] },
            );
        })?;
        let len = self.dims()[axis];
        Ok(record(&[self], out, || Unnarrow { axis, start, len }))
    }
}

/// Undoes the placing of a part among zeros.
struct Unnarrow {
    axis: usize,
    start: usize,
    len: usize,
}

impl Backward for Unnarrow {
    fn name(&self) -> &'static str {
        "place"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(dy.narrow(self.axis as isize, self.start, self.len)?)])
    }
    fn saved(&self, _: &mut dyn FnMut(&Tensor)) {}
}
