//! Dropout.

use super::{check_float, narrowed, wide};
use crate::compute::Layout;
use crate::error::{Error, Result};
use crate::rng::Key;
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

/// Keeps no mask: it is drawn again.
struct DropoutRule {
    rate: f64,
    key: Key,
    at: Layout,
}

impl Backward for DropoutRule {
    fn name(&self) -> &'static str {
        "dropout"
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        Ok(vec![Some(dy.in_order_of(&self.at)?.dropped(self.rate, self.key)?)])
    }
    fn saved(&self, _: &mut dyn FnMut(&Tensor)) {}
}

impl Tensor {
    /// Every element set to 0 with probability `rate`, the others divided by `1 - rate`. Which ones depends on `key` and
    /// on where the element lies in memory, not on threads: the same key gives the same mask. Srivastava et al. (2014).
    ///
    /// # Errors
    /// A rate outside of 0 to 1, or integers.
    pub fn dropout(&self, rate: f64, key: Key) -> Result<Self> {
        const OP: &str = "dropout";
        check_float(OP, self)?;
        if !(0.0..=1.0).contains(&rate) {
            return Err(Error::op(OP, format!("the rate is {rate}; allowed are 0 to 1")));
        }
        if rate == 0.0 {
            return Ok(self.clone());
        }
        let x = self.dense()?;
        let y = x.detach().dropped(rate, key)?;
        Ok(record(&[&x], y, || DropoutRule { rate, key, at: x.layout().dense_like() }))
    }

    fn dropped(&self, rate: f64, key: Key) -> Result<Self> {
        if rate == 1.0 {
            return self.full_like(0.0);
        }
        let (x, device) = (wide(self)?, self.device());
        let y = Self::filled(device, x.dtype(), self.layout().dense_like(), |out| {
            device.backend().dropout(x.arg(), rate, key, out);
        })?;
        narrowed(y, self.dtype())
    }
}
