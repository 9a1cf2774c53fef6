//! A linear map whose weights lie at given places only.

use super::Param;
use super::module::{Module, Slot, Visitor};
use crate::compute::simd::Real;
use crate::compute::{DType, Device, Element};
use crate::error::Result;
use crate::sparse::{Csr, Pattern};
use crate::tensor::{SparseMatrix, Tensor};
use std::sync::Arc;

/// x A + b with a sparse matrix A, [inputs, outputs]: the input is [.., inputs] and may be mostly zero, the bias
/// `[outputs]`. Its cost is that of the rows of active inputs. The connectivity of the engine makes such a layer: see
/// `Connectivity::to_csr`.
#[derive(Debug, Clone)]
pub struct SparseLinear {
    pattern: Arc<Pattern>,
    /// The stored elements of A, in the order of the pattern.
    pub values: Param,
    /// `[outputs]`
    pub bias: Option<Param>,
}

impl SparseLinear {
    /// With the values of a matrix, and a bias of zeros or none.
    ///
    /// # Errors
    /// No memory is left.
    pub fn new<T: Real + Element>(csr: &Csr<T>, bias: bool, device: &Device) -> Result<Self> {
        let matrix = SparseMatrix::from_csr(csr, device)?;
        let zeros = || Tensor::zeros([csr.cols()], T::DTYPE, device);
        Ok(Self {
            pattern: csr.pattern().clone(),
            values: Param::new(matrix.values()),
            bias: bias.then(zeros).transpose()?.as_ref().map(Param::new),
        })
    }

    /// The matrix, with gradients to the values.
    ///
    /// # Errors
    /// The values were replaced by ones of a type that sparse products do not take.
    pub fn matrix(&self) -> Result<SparseMatrix> {
        SparseMatrix::new(&self.pattern, &self.values.tensor())
    }

    /// Type of the values.
    pub fn dtype(&self) -> DType {
        self.values.dtype()
    }
}

impl Module for SparseLinear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.add_rows(&self.matrix()?)?;
        match &self.bias {
            Some(bias) => y.add(&bias.tensor()),
            None => Ok(y),
        }
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor("values", Slot::Param(&self.values));
        if let Some(bias) = &self.bias {
            visitor("bias", Slot::Param(bias));
        }
    }
}
