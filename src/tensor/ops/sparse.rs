//! Products with sparse matrices, whose stored values are tensors.

use super::{autocast, check_same};
use crate::compute::simd::Real;
use crate::compute::{DType, Device, Element, Layout, Shape, SparseArg, TurnedArg};
use crate::error::{Error, Result};
use crate::precision::OpClass;
use crate::sparse::{Csr, Pattern};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};
use std::sync::Arc;

/// A sparse matrix whose values are a tensor: where its elements lie is fixed, what they are can be learned. Cheap to
/// clone. `f32` or `f64`, on a CPU device; under a policy of mixed precision, 16-bit operands are converted to `f32`.
///
/// ```
/// use tessera::compute::{Device, cpu::Cpu};
/// use tessera::sparse::Csr;
/// use tessera::tensor::{SparseMatrix, Tensor};
/// let device = Device::cpu();
/// let csr = Csr::from_triplets(device.as_cpu(), 2, 3, &[0, 1, 1], &[1, 0, 2], &[2.0f32, 3.0, 5.0])?;
/// let matrix = SparseMatrix::from_csr(&csr, &device)?;
/// let x = Tensor::new(&[1.0f32, 0.0], [2], &device)?; // the first of two inputs spikes
/// assert_eq!(x.add_rows(&matrix)?.to_vec::<f32>()?, [0.0, 2.0, 0.0]);
/// # Ok::<(), tessera::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SparseMatrix {
    pattern: Arc<Pattern>,
    values: Tensor,
}

impl SparseMatrix {
    /// Elements at the places of `pattern`; `values` has one number for each, in its order. Gradients flow to `values`.
    ///
    /// # Errors
    /// There is not one value for each element, or the type is neither `f32` nor `f64`.
    pub fn new(pattern: &Arc<Pattern>, values: &Tensor) -> Result<Self> {
        const OP: &str = "sparse_matrix";
        if values.dims() != [pattern.len()] {
            return Err(Error::op(
                OP,
                format!("values are {}, but {pattern:?} takes [{}]", values.shape(), pattern.len()),
            ));
        }
        if !matches!(values.dtype(), DType::F32 | DType::F64) {
            return Err(Error::op(
                OP,
                format!("values are {}; products with sparse matrices take f32 and f64", values.dtype()),
            ));
        }
        Ok(Self { pattern: pattern.clone(), values: values.contiguous()? })
    }

    /// A copy of a matrix on a device.
    ///
    /// # Errors
    /// No memory is left.
    pub fn from_csr<T: Real + Element>(csr: &Csr<T>, device: &Device) -> Result<Self> {
        Self::new(csr.pattern(), &Tensor::new(csr.values(), [csr.len()], device)?)
    }

    /// A copy of its values as they are now, without gradients.
    ///
    /// # Errors
    /// `T` is not the type of the values.
    pub fn to_csr<T: Real + Element>(&self) -> Result<Csr<T>> {
        Csr::with_pattern(self.pattern.clone(), self.values.to_vec()?)
    }

    /// Where the elements lie.
    pub fn pattern(&self) -> &Arc<Pattern> {
        &self.pattern
    }

    /// The value of each element.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// (rows, columns)
    pub fn dims(&self) -> (usize, usize) {
        (self.pattern.rows(), self.pattern.cols())
    }

    fn arg(&self) -> SparseArg<'_> {
        SparseArg {
            starts: self.pattern.starts(),
            columns: self.pattern.columns(),
            cols: self.pattern.cols(),
            values: self.values.arg(),
            order: None,
            turned: None,
        }
    }

    /// The product with a dense matrix [columns, n] or vector `[columns]`: [rows, n] or `[rows]`. Sums run along rows of
    /// this matrix in order, so they are the same bits for any number of threads. Gradients flow to the values and to
    /// the dense operand.
    ///
    /// # Errors
    /// Lengths that do not fit, element types or devices that differ.
    pub fn times(&self, dense: &Tensor) -> Result<Tensor> {
        const OP: &str = "sparse times";
        let dense = &autocast(OpClass::Sensitive, dense)?;
        check_same(OP, &self.values, dense)?;
        let (rows, cols) = self.dims();
        let rank = dense.shape().rank();
        if !matches!(rank, 1 | 2) || dense.dims()[0] != cols {
            return Err(Error::op(
                OP,
                format!(
                    "the matrix is [{rows}, {cols}], the dense operand {}: needs [{cols}] or [{cols}, n]",
                    dense.shape()
                ),
            ));
        }
        let b = dense.contiguous()?;
        let mut dims = dense.dims().to_vec();
        dims[0] = rows;
        let shape = Shape::new(&dims);
        let device = dense.device();
        let n = shape.len().checked_div(rows).unwrap_or(0);
        let out = Tensor::filled(device, dense.dtype(), Layout::row_major(shape), |out| {
            device.backend().sparse_product(&self.arg(), b.arg(), n, out);
        })?;
        Ok(record(&[&self.values, dense], out, || TimesRule { matrix: self.clone(), dense: b.clone(), n }))
    }
}

struct TimesRule {
    matrix: SparseMatrix,
    dense: Tensor,
    n: usize,
}

impl Backward for TimesRule {
    fn name(&self) -> &'static str {
        "sparse times"
    }

    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None, None]) };
        let dy = dy.contiguous()?;
        let device = dy.device();
        let matrix = &self.matrix;
        let (mut d_values, mut d_dense) = (None, None);
        if tape.needs(0) {
            let layout = Layout::row_major(matrix.values.shape());
            d_values = Some(Tensor::filled(device, dy.dtype(), layout, |out| {
                device.backend().sparse_sampled(&matrix.arg(), dy.arg(), self.dense.arg(), self.n, out);
            })?);
        }
        if tape.needs(1) {
            let turned = matrix.pattern.turned(device.as_cpu());
            let arg = SparseArg {
                starts: turned.pattern.starts(),
                columns: turned.pattern.columns(),
                cols: turned.pattern.cols(),
                values: matrix.values.arg(),
                order: Some(&turned.from),
                turned: None,
            };
            d_dense = Some(Tensor::filled(device, dy.dtype(), Layout::row_major(self.dense.shape()), |out| {
                device.backend().sparse_product(&arg, dy.arg(), self.n, out);
            })?);
        }
        Ok(vec![d_values, d_dense])
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.matrix.values);
        visit(&self.dense);
    }
}

struct AddRowsRule {
    matrix: SparseMatrix,
    /// [samples, rows]
    x: Tensor,
    shape: Shape,
}

impl Backward for AddRowsRule {
    fn name(&self) -> &'static str {
        "add_rows"
    }

    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None, None]) };
        let (matrix, device) = (&self.matrix, dy.device());
        let (rows, cols) = matrix.dims();
        let samples = self.x.dims()[0];
        let dy = dy.contiguous()?.reshape([samples, cols])?;
        let (mut dx, mut d_values) = (None, None);
        if tape.needs(0) {
            // All inputs get a gradient, silent ones too: the matrix times each sample's dy. Samples lie side by side
            // for it.
            let b = dy.t()?.contiguous()?;
            let product = Tensor::filled(device, dy.dtype(), Layout::row_major([rows, samples].into()), |out| {
                device.backend().sparse_product(&matrix.arg(), b.arg(), samples, out);
            })?;
            dx = Some(product.t()?.reshape(self.shape)?);
        }
        if tape.needs(1) {
            d_values = Some(Tensor::filled(device, dy.dtype(), Layout::row_major(matrix.values.shape()), |out| {
                device.backend().add_rows_grad(self.x.arg(), &matrix.arg(), dy.arg(), out);
            })?);
        }
        Ok(vec![dx, d_values])
    }

    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.matrix.values);
        visit(&self.x);
    }
}

impl Tensor {
    /// The product of activations that are mostly zero, such as spikes, with a sparse matrix: [.., rows] to
    /// [.., columns]. Rows of active inputs are added up, so the cost is that of the active rows, not of the matrix; of
    /// many samples with many active inputs, all rows are, which is faster then and gives the same sums for finite values.
    /// Sums run over inputs in order, so they are the same bits for any number of threads. Gradients flow to the
    /// activations, silent ones too, and to the values of the matrix.
    ///
    /// # Errors
    /// Lengths that do not fit, element types or devices that differ.
    pub fn add_rows(&self, matrix: &SparseMatrix) -> Result<Self> {
        const OP: &str = "add_rows";
        let activations = &autocast(OpClass::Sensitive, self)?;
        check_same(OP, activations, &matrix.values)?;
        let (rows, cols) = matrix.dims();
        if self.shape().rank() == 0 || self.shape().last() != rows {
            return Err(Error::op(
                OP,
                format!(
                    "activations are {}, the matrix is [{rows}, {cols}]: the last axis must be {rows}",
                    self.shape()
                ),
            ));
        }
        let samples = self.shape().rows();
        let x = activations.detach().contiguous()?.reshape([samples, rows])?;
        let mut dims = self.dims().to_vec();
        dims[self.shape().rank() - 1] = cols;
        let device = self.device();
        let out = Self::filled(device, x.dtype(), Layout::row_major(Shape::new(&dims)), |out| {
            // By columns as well where there are samples enough for it to pay.
            let turned = (samples >= 16).then(|| matrix.pattern.turned(device.as_cpu()));
            let turned = turned.as_ref().map(|turned| TurnedArg {
                starts: turned.pattern.starts(),
                rows: turned.pattern.columns(),
                from: &turned.from,
            });
            device.backend().add_rows(x.arg(), &SparseArg { turned, ..matrix.arg() }, out);
        })?;
        let shape = self.shape();
        Ok(record(&[activations, &matrix.values], out, || AddRowsRule { matrix: matrix.clone(), x: x.clone(), shape }))
    }
}
