//! Operations of a user's own.

use super::node::{Backward, Tape, record};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Values an operation keeps for its gradient.
pub type Saved = Vec<Tensor>;

/// An operation with a gradient of its own.
///
/// ```
/// use tessera::{compute::Device, error::Result, tensor::{CustomOp, Saved, Tensor}};
/// struct Cube;
/// impl CustomOp for Cube {
///     fn name(&self) -> &'static str { "cube" }
///     fn forward(&self, inputs: &[Tensor]) -> Result<(Tensor, Saved)> {
///         let x = &inputs[0];
///         Ok((x.mul(x)?.mul(x)?, vec![x.clone()]))
///     }
///     fn backward(&self, saved: &[Tensor], dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
///         let x = &saved[0];
///         Ok(vec![Some(x.mul(x)?.mul_scalar(3.0)?.mul(dy)?)])
///     }
/// }
/// let x = Tensor::new(&[2.0f32], [1], &Device::cpu())?.requires_grad();
/// let gradients = Tensor::apply(Cube, &[&x])?.backward()?;
/// assert_eq!(gradients.get(&x).unwrap().item()?, 12.0);
/// # Ok::<(), tessera::error::Error>(())
/// ```
pub trait CustomOp: Send + Sync {
    /// A name for messages.
    fn name(&self) -> &'static str;

    /// The result, and what the gradient will need. The inputs track no gradients here.
    ///
    /// # Errors
    /// Inputs that do not fit.
    fn forward(&self, inputs: &[Tensor]) -> Result<(Tensor, Saved)>;

    /// The gradient of each input, from what was kept and the gradient of the result; `None` for an input that has
    /// none.
    ///
    /// # Errors
    /// Whatever its operations return.
    fn backward(&self, saved: &[Tensor], dy: &Tensor) -> Result<Vec<Option<Tensor>>>;
}

struct Custom<C> {
    op: C,
    saved: Saved,
    shapes: Vec<crate::compute::Shape>,
}

impl<C: CustomOp> Backward for Custom<C> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None; self.shapes.len()]) };
        let dx = self.op.backward(&self.saved, dy)?;
        let fits = dx.len() == self.shapes.len()
            && dx.iter().zip(&self.shapes).all(|(dx, shape)| dx.as_ref().is_none_or(|dx| dx.shape() == *shape));
        if !fits {
            let got: Vec<_> = dx.iter().map(|dx| dx.as_ref().map(Tensor::shape)).collect();
            return Err(Error::op(
                self.op.name(),
                format!("its backward returned gradients of shapes {got:?} for inputs of shapes {:?}", self.shapes),
            ));
        }
        Ok(dx)
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        self.saved.iter().for_each(visit);
    }
}

impl Tensor {
    /// The result of an operation of one's own on `inputs`.
    ///
    /// # Errors
    /// What its forward pass returns.
    pub fn apply<C: CustomOp + 'static>(op: C, inputs: &[&Tensor]) -> Result<Self> {
        let detached: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
        let (output, saved) = super::no_grad(|| op.forward(&detached))?;
        let shapes = inputs.iter().map(|input| input.shape()).collect();
        Ok(record(inputs, output.detach(), || Custom { op, saved, shapes }))
    }
}
