//! A sparse matrix: a pattern and its values.

use super::pattern::{Pattern, check_cols};
use crate::compute::cpu::Cpu;
use crate::compute::cpu::sparse::{self, Events, Rows};
use crate::compute::simd::Real;
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// A matrix of which only some elements are stored, row by row (compressed sparse rows); the others are zero. Stored
/// elements may be zero, too.
///
/// Invariants: those of [`Pattern`], and one value for each element (checked by [`Csr::with_pattern`], kept by all other
/// constructors).
///
/// ```
/// use tessera::compute::cpu::Cpu;
/// use tessera::sparse::Csr;
/// let cpu = Cpu::new(1);
/// let a = Csr::from_triplets(&cpu, 2, 3, &[1, 0, 1], &[2, 1, 0], &[5.0f32, 2.0, 3.0])?;
/// assert_eq!(a.to_dense(), [0.0, 2.0, 0.0, 3.0, 0.0, 5.0]);
/// assert_eq!(a.times(&cpu, &[1.0, 1.0, 2.0], 1)?, [2.0, 13.0]);
/// # Ok::<(), tessera::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Csr<T> {
    pattern: Arc<Pattern>,
    values: Vec<T>,
}

/// Some consecutive rows of a [`Csr`].
#[derive(Debug, Clone, Copy)]
pub struct CsrView<'a, T> {
    starts: &'a [usize],
    columns: &'a [u32],
    values: &'a [T],
    cols: usize,
}

impl<T: Real> Csr<T> {
    /// A matrix of `starts.len() - 1` rows and `cols` columns; the elements of row r are `starts[r]..starts[r + 1]`.
    ///
    /// # Errors
    /// An invariant of [`Pattern`] does not hold, or there is not one value for each column.
    pub fn new(cols: usize, starts: Vec<usize>, columns: Vec<u32>, values: Vec<T>) -> Result<Self> {
        Self::with_pattern(Arc::new(Pattern::new(cols, starts, columns)?), values)
    }

    /// The elements of a pattern, in its order.
    ///
    /// # Errors
    /// There is not one value for each element.
    pub fn with_pattern(pattern: Arc<Pattern>, values: Vec<T>) -> Result<Self> {
        if values.len() != pattern.len() {
            return Err(Error::op(
                "csr",
                format!("{} values for {} stored elements of {pattern:?}", values.len(), pattern.len()),
            ));
        }
        Ok(Self { pattern, values })
    }

    /// The matrix with `values[i]` at row `row_of[i]` and column `col_of[i]`, in any order. Values at one place are added
    /// in the order they are given. Assembled in two passes by all workers; the result is the same bits for any number
    /// of them.
    ///
    /// # Errors
    /// Lists of different lengths, or a place outside the matrix.
    pub fn from_triplets(
        cpu: &Cpu,
        rows: usize,
        cols: usize,
        row_of: &[u32],
        col_of: &[u32],
        values: &[T],
    ) -> Result<Self> {
        let fault = |message: String| Err(Error::op("csr", message));
        check_cols(cols)?;
        if row_of.len() != values.len() || col_of.len() != values.len() {
            let lengths = (row_of.len(), col_of.len(), values.len());
            return fault(format!("{} rows, {} columns and {} values were given", lengths.0, lengths.1, lengths.2));
        }
        if let Some(i) = row_of.iter().position(|row| *row as usize >= rows) {
            return fault(format!("element {i} is in row {} of {rows}", row_of[i]));
        }
        if let Some(i) = col_of.iter().position(|col| *col as usize >= cols) {
            return fault(format!("element {i} is in column {} of {cols}", col_of[i]));
        }
        let (starts, columns, sums) = sparse::rows_of_triplets(cpu, rows, row_of, col_of, values);
        Self::with_pattern(Arc::new(Pattern::sound(cols, starts, columns)), sums)
    }

    /// The elements of a row-major matrix that are not zero.
    ///
    /// # Errors
    /// `dense` does not have `rows * cols` elements.
    pub fn from_dense(cpu: &Cpu, dense: &[T], rows: usize, cols: usize) -> Result<Self> {
        check_cols(cols)?;
        if rows.checked_mul(cols) != Some(dense.len()) {
            return Err(Error::op("csr", format!("{} values are not a matrix of {rows} x {cols}", dense.len())));
        }
        if cols == 0 {
            return Self::new(0, vec![0; rows + 1], Vec::new(), Vec::new());
        }
        let Events { starts, inputs, values, .. } = Events::of_dense(cpu, dense, cols);
        Self::with_pattern(Arc::new(Pattern::sound(cols, starts, inputs)), values)
    }

    /// Where the elements lie.
    pub fn pattern(&self) -> &Arc<Pattern> {
        &self.pattern
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.pattern.rows()
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.pattern.cols()
    }

    /// Number of stored elements.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of each element.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The value of each element, to be changed.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Columns and values of row `row`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> (&[u32], &[T]) {
        let elements = self.pattern.row(row);
        (&self.pattern.columns()[elements.clone()], &self.values[elements])
    }

    /// All rows.
    pub fn view(&self) -> CsrView<'_, T> {
        self.view_rows(0..self.rows())
    }

    /// Some rows.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn view_rows(&self, rows: Range<usize>) -> CsrView<'_, T> {
        CsrView {
            starts: &self.pattern.starts()[rows.start..rows.end + 1],
            columns: self.pattern.columns(),
            values: &self.values,
            cols: self.cols(),
        }
    }

    /// All elements as (row, column, value), row after row.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, T)> {
        (0..self.rows()).flat_map(|row| {
            let (columns, values) = self.row(row);
            columns.iter().zip(values).map(move |(column, value)| (row, *column as usize, *value))
        })
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self, cpu: &Cpu) -> Self {
        let turned = self.pattern.turned(cpu);
        let values = turned.from.iter().map(|element| self.values[*element]).collect();
        Self { pattern: turned.pattern.clone(), values }
    }

    /// The whole matrix, row-major.
    pub fn to_dense(&self) -> Vec<T> {
        let cols = self.cols();
        let mut dense = vec![T::ZERO; self.rows() * cols];
        for (row, column, value) in self.iter() {
            dense[row * cols + column] = value;
        }
        dense
    }

    /// Each value converted.
    pub fn map<U: Real>(&self, convert: impl Fn(T) -> U) -> Csr<U> {
        Csr { pattern: self.pattern.clone(), values: self.values.iter().map(|value| convert(*value)).collect() }
    }

    /// The matrix as kernels take it.
    fn kernel(&self) -> Rows<'_, T> {
        Rows { starts: self.pattern.starts(), columns: self.pattern.columns(), cols: self.cols(), values: &self.values }
    }

    /// The product with a row-major matrix of `n` columns: `cols` x n to `rows` x n. Sums run along the rows of this
    /// matrix, in order (in 8 interleaved parts for n = 1): the same bits for any number of workers and on every
    /// instruction set.
    ///
    /// # Errors
    /// `b` does not have `cols * n` elements.
    pub fn times(&self, cpu: &Cpu, b: &[T], n: usize) -> Result<Vec<T>> {
        if self.cols().checked_mul(n) != Some(b.len()) {
            return Err(Error::op(
                "csr",
                format!("{} values are not the {} x {n} matrix that {:?} takes", b.len(), self.cols(), self.pattern),
            ));
        }
        let mut out = vec![T::ZERO; self.rows() * n];
        sparse::product(cpu, self.kernel(), b, n, &mut out);
        Ok(out)
    }

    /// Adds up the rows whose inputs are active, for each sample: samples x `cols`. Its cost is that of the active rows.
    ///
    /// # Errors
    /// The events have another number of inputs than this has rows.
    pub fn add_rows(&self, cpu: &Cpu, events: &Events<T>) -> Result<Vec<T>> {
        if events.width != self.rows() {
            return Err(Error::op("csr", format!("events of {} inputs for {:?}", events.width, self.pattern)));
        }
        let mut out = vec![T::ZERO; events.samples() * self.cols()];
        sparse::add_rows(cpu, events, self.kernel(), &mut out);
        Ok(out)
    }
}

impl<'a, T: Copy> CsrView<'a, T> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Number of stored elements.
    pub fn len(&self) -> usize {
        self.starts[self.rows()] - self.starts[0]
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Columns and values of row `row` of the view.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> (&'a [u32], &'a [T]) {
        let elements = self.starts[row]..self.starts[row + 1];
        (&self.columns[elements.clone()], &self.values[elements])
    }

    /// The element at a place; `None` where nothing is stored.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize, col: usize) -> Option<T> {
        let (columns, values) = self.row(row);
        u32::try_from(col).ok().and_then(|col| columns.binary_search(&col).ok()).map(|at| values[at])
    }
}
