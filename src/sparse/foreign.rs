//! To and from the matrices of other crates.

use super::Csr;
use crate::compute::simd::Real;
use crate::error::{Error, Result};

#[allow(dead_code, reason = "used by each of two features")]
fn numbers(columns: impl ExactSizeIterator<Item = usize>) -> Result<Vec<u32>> {
    columns
        .map(|column| {
            u32::try_from(column)
                .map_err(|_| Error::op("csr", format!("column {column} is beyond the 2^32 that can be numbered")))
        })
        .collect()
}

#[cfg(feature = "sprs")]
impl<T: Real> Csr<T> {
    /// A copy as a row-wise matrix of the crate `sprs`.
    pub fn to_sprs(&self) -> sprs::CsMat<T> {
        let columns = self.pattern().columns().iter().map(|column| *column as usize).collect();
        sprs::CsMat::new((self.rows(), self.cols()), self.pattern().starts().to_vec(), columns, self.values().to_vec())
    }

    /// A copy of a matrix of the crate `sprs`, stored by rows or by columns.
    ///
    /// # Errors
    /// More than 2^32 rows or columns.
    pub fn from_sprs(matrix: &sprs::CsMat<T>) -> Result<Self> {
        let by_row = if matrix.is_csr() { None } else { Some(matrix.to_csr()) };
        let matrix = by_row.as_ref().unwrap_or(matrix);
        // Its starts need not begin with 0.
        let starts = matrix.proper_indptr().to_vec();
        let columns = numbers(matrix.indices().iter().copied())?;
        Self::new(matrix.cols(), starts, columns, matrix.data().to_vec())
    }
}

#[cfg(feature = "nalgebra-sparse")]
impl<T: Real + nalgebra_sparse::na::Scalar> Csr<T> {
    /// A copy as a matrix of the crate `nalgebra-sparse`.
    ///
    /// # Errors
    /// That crate refuses the matrix.
    pub fn to_nalgebra(&self) -> Result<nalgebra_sparse::CsrMatrix<T>> {
        let columns = self.pattern().columns().iter().map(|column| *column as usize).collect();
        let starts = self.pattern().starts().to_vec();
        nalgebra_sparse::CsrMatrix::try_from_csr_data(self.rows(), self.cols(), starts, columns, self.values().to_vec())
            .map_err(|e| Error::op("csr", e.to_string()))
    }

    /// A copy of a matrix of the crate `nalgebra-sparse`.
    ///
    /// # Errors
    /// More than 2^32 rows or columns.
    pub fn from_nalgebra(matrix: &nalgebra_sparse::CsrMatrix<T>) -> Result<Self> {
        let columns = numbers(matrix.col_indices().iter().copied())?;
        Self::new(matrix.ncols(), matrix.row_offsets().to_vec(), columns, matrix.values().to_vec())
    }
}
