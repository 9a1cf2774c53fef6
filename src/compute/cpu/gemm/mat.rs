//! Views of matrices: a slice with a size and strides, checked once when made.

use std::marker::PhantomData;

/// The last place a matrix of this layout touches plus one, in elements.
///
/// # Panics
/// If it overflows the address space.
pub(super) fn extent(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    if rows == 0 || cols == 0 {
        return 0;
    }
    (rows - 1)
        .checked_mul(row_stride)
        .and_then(|r| (cols - 1).checked_mul(col_stride).and_then(|c| r.checked_add(c)))
        .and_then(|last| last.checked_add(1))
        .expect("the strides of a matrix overflow the address space")
}

/// A matrix that is read: element (i, j) is `data[i * row_stride + j * col_stride]`. A stride may be zero (broadcast).
///
/// Invariant: every element lies within `data` (checked by every constructor).
#[derive(Debug)]
pub struct Mat<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<T> Clone for Mat<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Mat<'_, T> {}

impl<'a, T> Mat<'a, T> {
    /// A `rows` x `cols` matrix with these strides, in elements.
    ///
    /// # Panics
    /// If an element lies outside of `data`.
    #[track_caller]
    pub fn new(data: &'a [T], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        let extent = extent(rows, cols, row_stride, col_stride);
        assert!(
            extent <= data.len(),
            "a {rows} x {cols} matrix with strides ({row_stride}, {col_stride}) takes {extent} elements, the slice has {}",
            data.len()
        );
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// A `rows` x `cols` matrix whose rows lie one after the other.
    ///
    /// # Panics
    /// If `data` is too short.
    #[track_caller]
    pub fn row_major(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::new(data, rows, cols, cols, 1)
    }

    /// A `rows` x `cols` matrix whose columns lie one after the other.
    ///
    /// # Panics
    /// If `data` is too short.
    #[track_caller]
    pub fn col_major(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::new(data, rows, cols, 1, rows)
    }

    /// The transposed matrix, of the same data.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Elements from one column to the next.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// Where element (0, 0) is; for the kernels.
    pub(crate) fn as_ptr(&self) -> *const T {
        self.data.as_ptr()
    }
}

impl<T: Copy> Mat<'_, T> {
    /// Element (i, j).
    ///
    /// # Panics
    /// If it is outside of the matrix.
    #[track_caller]
    pub fn at(&self, i: usize, j: usize) -> T {
        assert!(i < self.rows && j < self.cols, "element ({i}, {j}) of a {} x {} matrix", self.rows, self.cols);
        self.data[i * self.row_stride + j * self.col_stride]
    }
}

/// A matrix that is written: element (i, j) is `data[i * row_stride + j * col_stride]`, and either the columns or the
/// rows are next to one another (`col_stride == 1` or `row_stride == 1`).
///
/// Invariant: every element lies within the slice it was made of, which it borrows, and no two at the same place (checked
/// by every constructor).
#[derive(Debug)]
pub struct MatMut<'a, T> {
    start: *mut T,
    borrow: PhantomData<&'a mut [T]>,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> MatMut<'a, T> {
    /// A `rows` x `cols` matrix with these strides, in elements.
    ///
    /// # Panics
    /// If an element lies outside of `data`, if neither stride is 1, or if rows (columns) overlap.
    #[track_caller]
    pub fn new(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        let extent = extent(rows, cols, row_stride, col_stride);
        assert!(
            extent <= data.len(),
            "a {rows} x {cols} matrix with strides ({row_stride}, {col_stride}) takes {extent} elements, the slice has {}",
            data.len()
        );
        let by_rows = (col_stride == 1 || cols <= 1) && (row_stride >= cols || rows <= 1);
        let by_cols = (row_stride == 1 || rows <= 1) && (col_stride >= rows || cols <= 1);
        assert!(
            by_rows || by_cols,
            "a {rows} x {cols} output with strides ({row_stride}, {col_stride}) has neither rows nor columns in one piece"
        );
        Self { start: data.as_mut_ptr(), borrow: PhantomData, rows, cols, row_stride, col_stride }
    }

    /// A `rows` x `cols` matrix whose rows lie one after the other.
    ///
    /// # Panics
    /// If `data` is too short.
    #[track_caller]
    pub fn row_major(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self::new(data, rows, cols, cols, 1)
    }

    /// A `rows` x `cols` matrix whose columns lie one after the other.
    ///
    /// # Panics
    /// If `data` is too short.
    #[track_caller]
    pub fn col_major(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self::new(data, rows, cols, 1, rows)
    }

    /// A matrix at `start`.
    ///
    /// # Safety
    /// All its elements must be writable for `'a`, no two at the same place, and not in use elsewhere; one of the
    /// strides must be 1 (see [`MatMut::new`]).
    pub(super) unsafe fn from_raw(start: *mut T, [rows, cols, row_stride, col_stride]: [usize; 4]) -> Self {
        Self { start, borrow: PhantomData, rows, cols, row_stride, col_stride }
    }

    /// The transposed matrix, of the same data.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Elements from one column to the next.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// The same matrix, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { borrow: PhantomData, ..*self }
    }

    /// Element (i, j).
    ///
    /// # Panics
    /// If it is outside of the matrix.
    #[track_caller]
    pub fn at_mut(&mut self, i: usize, j: usize) -> &mut T {
        assert!(i < self.rows && j < self.cols, "element ({i}, {j}) of a {} x {} matrix", self.rows, self.cols);
        // SAFETY: inside of the matrix by the check above, so inside of the slice by the invariant; borrowed alone.
        unsafe { &mut *self.start.add(i * self.row_stride + j * self.col_stride) }
    }

    /// Where element (0, 0) is; for the kernels.
    pub(crate) fn as_mut_ptr(&self) -> *mut T {
        self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_swaps_indices() {
        let data = [1, 2, 3, 4, 5, 6];
        let a = Mat::row_major(&data, 2, 3);
        assert_eq!((a.at(1, 0), a.t().at(0, 1), a.t().rows()), (4, 4, 3));
        assert_eq!(Mat::col_major(&data, 3, 2).at(1, 1), 5);
        assert_eq!(Mat::new(&data[..1], 4, 5, 0, 0).at(3, 4), 1);
    }

    #[test]
    #[should_panic(expected = "takes 9 elements, the slice has 8")]
    fn a_matrix_that_leaves_the_slice_is_refused() {
        Mat::new(&[0; 8], 3, 3, 3, 1);
    }

    #[test]
    #[should_panic(expected = "overflow the address space")]
    fn strides_that_overflow_are_refused() {
        Mat::new(&[0; 8], 3, 3, usize::MAX / 2 + 1, 1);
    }

    #[test]
    #[should_panic(expected = "neither rows nor columns in one piece")]
    fn an_output_with_overlapping_rows_is_refused() {
        MatMut::new(&mut [0; 8], 3, 3, 2, 1);
    }
}
