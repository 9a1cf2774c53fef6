//! Batches of equal matrices at equal distances.

use super::super::Parts;
use super::mat::extent;
use super::{Mat, MatMut};

/// `count` matrices that are read, each `stride` elements after the one before (0 repeats one matrix).
///
/// Invariant: every element lies within `data` (checked by the constructor).
#[derive(Debug, Clone, Copy)]
pub struct MatBatch<'a, T> {
    data: &'a [T],
    count: usize,
    stride: usize,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> MatBatch<'a, T> {
    /// `count` matrices like `first`, whose data reach as far as the last one.
    ///
    /// # Panics
    /// If an element lies outside of `data`.
    #[track_caller]
    pub fn new(data: &'a [T], count: usize, stride: usize, [rows, cols, row_stride, col_stride]: [usize; 4]) -> Self {
        check(data.len(), count, stride, rows, cols, row_stride, col_stride);
        Self { data, count, stride, rows, cols, row_stride, col_stride }
    }

    /// `count` row-major matrices, one after the other.
    ///
    /// # Panics
    /// If `data` is too short.
    #[track_caller]
    pub fn row_major(data: &'a [T], count: usize, rows: usize, cols: usize) -> Self {
        Self::new(data, count, rows * cols, [rows, cols, cols, 1])
    }

    /// The transposed matrices, of the same data.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Number of matrices.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One of the matrices.
    ///
    /// # Panics
    /// If there are not so many.
    #[track_caller]
    pub fn member(&self, index: usize) -> Mat<'a, T> {
        assert!(index < self.count, "matrix {index} of a batch of {}", self.count);
        // An empty matrix may lie beyond the end.
        let data = self.data.get(index * self.stride..).unwrap_or_default();
        Mat::new(data, self.rows, self.cols, self.row_stride, self.col_stride)
    }
}

/// `count` matrices that are written, each `stride` elements after the one before.
///
/// Invariant: every element lies within `data`, and no two at the same place (checked by the constructor).
#[derive(Debug)]
pub struct MatBatchMut<'a, T> {
    data: Parts<'a, T>,
    count: usize,
    stride: usize,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> MatBatchMut<'a, T> {
    /// `count` matrices of the size and strides `[rows, cols, row_stride, col_stride]`. They lie one after the other,
    /// or side by side (the first rows of all, then the second rows, as the heads of attention do).
    ///
    /// # Panics
    /// If an element lies outside of `data`, if matrices overlap, or as [`MatMut::new`].
    #[track_caller]
    pub fn new(data: &'a mut [T], count: usize, stride: usize, shape: [usize; 4]) -> Self {
        let [rows, cols, row_stride, col_stride] = shape;
        check(data.len(), count, stride, rows, cols, row_stride, col_stride);
        if count > 0 {
            MatMut::new(data, rows, cols, row_stride, col_stride);
        }
        let (line, lines, next) = if col_stride == 1 { (cols, rows, row_stride) } else { (rows, cols, col_stride) };
        let apart = stride >= extent(rows, cols, row_stride, col_stride);
        let beside = stride >= line && (lines <= 1 || next >= (count.max(1) - 1) * stride + line);
        assert!(
            count <= 1 || apart || beside,
            "the {count} matrices of {rows} x {cols} elements, {stride} apart with strides ({row_stride}, {col_stride}), overlap"
        );
        Self { data: Parts::new(data), count, stride, rows, cols, row_stride, col_stride }
    }

    /// `count` row-major matrices, one after the other.
    ///
    /// # Panics
    /// If `data` is too short.
    #[track_caller]
    pub fn row_major(data: &'a mut [T], count: usize, rows: usize, cols: usize) -> Self {
        Self::new(data, count, rows * cols, [rows, cols, cols, 1])
    }

    /// Number of matrices.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One of the matrices.
    ///
    /// # Safety
    /// No two views of one member may be written to at the same place at the same time.
    ///
    /// # Panics
    /// If there are not so many.
    #[track_caller]
    pub(super) unsafe fn member(&self, index: usize) -> MatMut<'_, T> {
        assert!(index < self.count, "matrix {index} of a batch of {}", self.count);
        let start = self.data.as_mut_ptr().wrapping_add(index * self.stride);
        // SAFETY: within the slice by the invariant, by which members share no element either; the strides were
        // checked by `new`. The caller vouches for other views of this member.
        unsafe { MatMut::from_raw(start, [self.rows, self.cols, self.row_stride, self.col_stride]) }
    }
}

/// Refuses batches that leave their slice.
#[track_caller]
fn check(len: usize, count: usize, stride: usize, rows: usize, cols: usize, row_stride: usize, col_stride: usize) {
    let one = extent(rows, cols, row_stride, col_stride);
    if count == 0 || one == 0 {
        return;
    }
    let all = (count - 1).checked_mul(stride).and_then(|start| start.checked_add(one));
    let all = all.expect("the stride of a batch overflows the address space");
    assert!(
        all <= len,
        "{count} matrices of {rows} x {cols} elements, {stride} apart with strides ({row_stride}, {col_stride}), take \
         {all} elements, the slice has {len}"
    );
}
