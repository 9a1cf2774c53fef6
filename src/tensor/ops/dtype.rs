//! Other element types and other devices.

use crate::compute::{DType, Device};
use crate::error::Result;
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

struct CastRule(DType);

impl Backward for CastRule {
    fn name(&self) -> &'static str {
        "to_dtype"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        dy.iter().map(|dy| dy.as_ref().map(|dy| dy.to_dtype(self.0)).transpose()).collect()
    }
    fn saved(&self, _: &mut dyn FnMut(&Tensor)) {}
}

struct MoveRule(Device);

impl Backward for MoveRule {
    fn name(&self) -> &'static str {
        "to_device"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        dy.iter().map(|dy| dy.as_ref().map(|dy| dy.to_device(&self.0)).transpose()).collect()
    }
    fn saved(&self, _: &mut dyn FnMut(&Tensor)) {}
}

impl Tensor {
    /// The elements converted: floating point rounds to nearest even, integers truncate towards zero and saturate.
    /// Itself where the type is the same. Gradients flow between floating-point types.
    ///
    /// # Errors
    /// No memory is left.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        let x = self.dense()?;
        let device = x.device();
        let out = Self::filled(device, dtype, x.layout().dense_like(), |out| device.backend().cast(x.arg(), out))?;
        if !(dtype.is_float() && self.dtype().is_float()) {
            return Ok(out);
        }
        Ok(record(&[self], out, || CastRule(self.dtype())))
    }

    /// A copy on another device; itself where it is there already.
    ///
    /// # Errors
    /// No memory is left there.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        if device == self.device() {
            return Ok(self.clone());
        }
        let x = self.dense()?;
        let from = x.layout().offset * x.dtype().size();
        let out = Self::filled(device, x.dtype(), x.layout().dense_like(), |out| {
            let bytes = out.bytes();
            out.as_mut_bytes().copy_from_slice(&x.buffer().as_bytes()[from..from + bytes]);
        })?;
        Ok(record(&[self], out, || MoveRule(self.device().clone())))
    }
}
