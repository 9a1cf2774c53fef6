//! Making tensors from values.

use super::Tensor;
use crate::compute::{DType, Device, Element, Layout, Shape};
use crate::error::{Error, Result};
use crate::rng::Key;

impl Tensor {
    /// A copy of `values` in row-major order.
    ///
    /// ```
    /// use tessera::{compute::Device, tensor::Tensor};
    /// let t = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0], [2, 2], &Device::cpu())?;
    /// assert_eq!(t.sum_all()?.item()?, 10.0);
    /// # Ok::<(), tessera::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// The number of values is not the number of elements of the shape.
    pub fn new<T: Element>(values: &[T], shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        let shape = shape.into();
        if values.len() != shape.len() {
            return Err(Error::op(
                "new",
                format!("shape {shape} has {} elements, but {} values were given", shape.len(), values.len()),
            ));
        }
        Self::filled(device, T::DTYPE, Layout::row_major(shape), |out| out.as_mut_slice::<T>().copy_from_slice(values))
    }

    /// A copy of the bytes of elements in row-major order, as this machine stores them.
    ///
    /// # Errors
    /// The number of bytes is not that of the elements of the shape.
    pub fn from_bytes(bytes: &[u8], dtype: DType, shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        let shape = shape.into();
        if bytes.len() != shape.len() * dtype.size() {
            return Err(Error::op(
                "from_bytes",
                format!("shape {shape} of {dtype} takes {} bytes, not {}", shape.len() * dtype.size(), bytes.len()),
            ));
        }
        Self::filled(device, dtype, Layout::row_major(shape), |out| out.as_mut_bytes().copy_from_slice(bytes))
    }

    /// One number, without axes.
    ///
    /// # Errors
    /// No memory is left.
    pub fn scalar<T: Element>(value: T, device: &Device) -> Result<Self> {
        Self::new(&[value], Shape::SCALAR, device)
    }

    /// Every element `value`.
    ///
    /// # Errors
    /// No memory is left.
    pub fn full(value: f64, shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        Self::filled(device, dtype, Layout::row_major(shape.into()), |out| device.backend().fill(out, value))
    }

    /// Every element 0.
    ///
    /// # Errors
    /// No memory is left.
    pub fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        Self::full(0.0, shape, dtype, device)
    }

    /// Every element 1.
    ///
    /// # Errors
    /// No memory is left.
    pub fn ones(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        Self::full(1.0, shape, dtype, device)
    }

    /// Every element `value`, in shape, type, order and device like this.
    ///
    /// # Errors
    /// No memory is left.
    pub fn full_like(&self, value: f64) -> Result<Self> {
        let device = self.device();
        Self::filled(device, self.dtype(), self.layout().dense_like(), |out| device.backend().fill(out, value))
    }

    /// `f32` elements uniform in `low..high`; element i depends on `key` and i only.
    ///
    /// # Errors
    /// No memory is left.
    pub fn uniform(low: f64, high: f64, shape: impl Into<Shape>, key: Key, device: &Device) -> Result<Self> {
        Self::filled(device, DType::F32, Layout::row_major(shape.into()), |out| {
            device.backend().fill_uniform(out, low, high, key);
        })
    }

    /// `f32` elements from a normal distribution; element i depends on `key` and i only.
    ///
    /// # Errors
    /// No memory is left.
    pub fn normal(mean: f64, std: f64, shape: impl Into<Shape>, key: Key, device: &Device) -> Result<Self> {
        Self::filled(device, DType::F32, Layout::row_major(shape.into()), |out| {
            device.backend().fill_normal(out, mean, std, key);
        })
    }
}
