//! Elements by number, and tensors side by side.

use super::{check_device, check_same, narrowed, wide};
use crate::compute::{DType, Layout, Shape};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

struct SelectRule {
    shape: Shape,
    axis: usize,
    index: Tensor,
    skip: Option<i32>,
}

impl Backward for SelectRule {
    fn name(&self) -> &'static str {
        "index_select"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let [outer, _, inner] = around(&self.shape, self.axis);
        let from = wide(&dy.contiguous()?)?.reshape([outer, self.index.len(), inner])?;
        let device = dy.device();
        let dx = Tensor::filled(device, from.dtype(), Layout::row_major(self.shape), |dx| {
            device.backend().gather_grad(from.arg(), self.index.arg(), self.skip, dx);
        })?;
        Ok(vec![Some(narrowed(dx, dy.dtype())?)])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.index);
    }
}

/// Elements before, along and after an axis.
fn around(shape: &Shape, axis: usize) -> [usize; 3] {
    let dims = shape.dims();
    [dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product()]
}

struct CatRule {
    axis: usize,
    lengths: Vec<usize>,
}

impl Backward for CatRule {
    fn name(&self) -> &'static str {
        "cat"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None; self.lengths.len()]) };
        let mut start = 0;
        let mut part = |len: &usize| {
            let part = dy.narrow(self.axis as isize, start, *len).map(Some);
            start += len;
            part
        };
        self.lengths.iter().map(&mut part).collect()
    }
    fn saved(&self, _: &mut dyn FnMut(&Tensor)) {}
}

impl Tensor {
    fn checked_index(op: &'static str, index: &Self, below: usize) -> Result<Self> {
        if index.dtype() != DType::I32 {
            return Err(Error::op(op, format!("the index is {}, not i32; convert with `to_dtype`", index.dtype())));
        }
        let index = index.detach().contiguous()?;
        match index.device().backend().stray_index(index.arg(), below) {
            None => Ok(index),
            Some(stray) => Err(Error::op(
                op,
                format!(
                    "index {stray} is out of range: there are {below} entries, numbered from 0 (index of shape {})",
                    index.shape()
                ),
            )),
        }
    }

    /// The entries along `axis` that `index` (`i32`, any shape) names, in its order; the axis gives way to the axes of
    /// the index. Gradients of entries named more than once add up in the order of the index.
    ///
    /// ```
    /// use tessera::{compute::Device, tensor::Tensor};
    /// let table = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 2], &Device::cpu())?;
    /// let index = Tensor::new(&[2i32, 0, 2], [3], &Device::cpu())?;
    /// assert_eq!(table.index_select(0, &index)?.to_vec::<f32>()?, [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
    /// # Ok::<(), tessera::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such axis, the index is not `i32`, or names an entry that is not there.
    pub fn index_select(&self, axis: isize, index: &Self) -> Result<Self> {
        self.index_select_but(axis, index, None)
    }

    /// The same, where entry `skip` gets no gradient.
    pub(crate) fn index_select_but(&self, axis: isize, index: &Self, skip: Option<i32>) -> Result<Self> {
        const OP: &str = "index_select";
        check_device(OP, self, index)?;
        let axis = self.shape().axis(OP, axis)?;
        let mut dims = self.dims()[..axis].to_vec();
        dims.extend(index.dims());
        dims.extend(&self.dims()[axis + 1..]);
        let shape = Shape::checked(&dims)?;
        let index = Self::checked_index(OP, index, self.dims()[axis])?;
        let (x, device) = (self.detach().contiguous()?.reshape(around(&self.shape(), axis))?, self.device());
        let out = Self::filled(device, self.dtype(), Layout::row_major(shape), |out| {
            device.backend().gather(x.arg(), index.arg(), out);
        })?;
        Ok(record(&[self], out, || SelectRule { shape: self.shape(), axis, index, skip }))
    }

    /// Rows of zeros with a 1 at the class that this index (`i32`, any shape) names: the shape with an axis of `classes`
    /// after it, of element type `dtype`.
    ///
    /// # Errors
    /// This is not `i32`, or names a class that is not there.
    pub fn one_hot(&self, classes: usize, dtype: DType) -> Result<Self> {
        let index = Self::checked_index("one_hot", self, classes)?;
        let mut dims = self.dims().to_vec();
        dims.push(classes);
        let device = self.device();
        Self::filled(device, dtype, Layout::row_major(Shape::checked(&dims)?), |out| {
            device.backend().one_hot(index.arg(), out);
        })
    }

    /// Tensors one after the other along an axis; the other axes have equal lengths. The result keeps the order in memory
    /// of the first.
    ///
    /// # Errors
    /// No tensor at all, lengths of other axes, element types or devices that differ.
    pub fn cat(tensors: &[&Self], axis: isize) -> Result<Self> {
        const OP: &str = "cat";
        let Some(first) = tensors.first() else {
            return Err(Error::op(OP, "there are no tensors to put one after the other"));
        };
        let axis = first.shape().axis(OP, axis)?;
        let mut dims = first.dims().to_vec();
        dims[axis] = 0;
        for tensor in tensors {
            check_same(OP, first, tensor)?;
            let same = |(i, n): (usize, &usize)| i == axis || *n == first.dims()[i];
            if tensor.shape().rank() != dims.len() || !tensor.dims().iter().enumerate().all(same) {
                return Err(Error::op(
                    OP,
                    format!("{} and {} differ along another axis than {axis}", first.shape(), tensor.shape()),
                ));
            }
            dims[axis] += tensor.dims()[axis];
        }
        let shape = Shape::checked(&dims)?;
        // The order of axes in memory, slowest first.
        let like = first.layout().dense_like();
        let mut order: Vec<usize> = (0..dims.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(like.strides[*i]));
        let at = if like.is_row_major() { Layout::row_major(shape) } else { Layout::ordered(shape, &order) };
        let device = first.device();
        let out = Self::filled(device, first.dtype(), at, |out| {
            let mut start = 0;
            for tensor in tensors {
                let offset = start * at.strides[axis];
                device.backend().copy(tensor.arg(), out, &Layout { shape: tensor.shape(), offset, ..at });
                start += tensor.dims()[axis];
            }
        })?;
        let lengths = || tensors.iter().map(|tensor| tensor.dims()[axis]).collect();
        Ok(record(tensors, out, || CatRule { axis, lengths: lengths() }))
    }

    /// Tensors of one shape along a new axis before axis `axis`.
    ///
    /// # Errors
    /// No tensor at all, shapes, element types or devices that differ, or there is no such place.
    pub fn stack(tensors: &[&Self], axis: usize) -> Result<Self> {
        if let Some(other) = tensors.iter().find(|other| other.shape() != tensors[0].shape()) {
            return Err(Error::op("stack", format!("shapes {} and {} differ", tensors[0].shape(), other.shape())));
        }
        let apart = tensors.iter().map(|tensor| tensor.unsqueeze(axis)).collect::<Result<Vec<_>>>()?;
        Self::cat(&apart.iter().collect::<Vec<_>>(), axis as isize)
    }
}
