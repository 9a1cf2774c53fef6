//! Views seen in the order in which the output lies in memory.

use crate::compute::shape::{Layout, MAX_RANK};

/// Axes of views of one shape, sorted so that a dense output is row-major in them.
pub(super) struct Ordered<const N: usize> {
    rank: usize,
    shape: [usize; MAX_RANK],
    strides: [[usize; MAX_RANK]; N],
}

impl<const N: usize> Ordered<N> {
    /// The axes by falling stride of `at`; `None` where the output is not dense from its first element on.
    pub(super) fn new(at: &Layout, views: [&Layout; N]) -> Option<Self> {
        if at.offset != 0 || !at.is_dense() {
            return None;
        }
        let rank = at.shape.rank();
        let mut axes: [usize; MAX_RANK] = std::array::from_fn(|axis| axis);
        if !at.is_row_major() {
            // Axes of length 1 lie anywhere; their stride must not put them between others.
            let step = |axis: usize| if at.shape.dims()[axis] == 1 { usize::MAX } else { at.strides[axis] };
            axes[..rank].sort_by_key(|axis| std::cmp::Reverse(step(*axis)));
        }
        let mut own = Self { rank, shape: [1; MAX_RANK], strides: [[0; MAX_RANK]; N] };
        for (to, from) in axes[..rank].iter().enumerate() {
            own.shape[to] = at.shape.dims()[*from];
            for (strides, view) in own.strides.iter_mut().zip(&views) {
                strides[to] = view.strides[*from];
            }
        }
        Some(own)
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape[..self.rank]
    }

    pub(super) fn strides(&self, view: usize) -> &[usize] {
        &self.strides[view][..self.rank]
    }
}
