//! Pieces of one output for many workers.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice that workers take disjoint pieces of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: pieces are handed out under the promise of `piece` that no two that are alive at once overlap, so sharing the
// whole is sharing out `&mut [T]`, which takes `T: Send`.
unsafe impl<T: Send> Sync for Parts<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// All of `slice`.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrow: PhantomData }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements of `range`; panics if it leaves the slice.
    ///
    /// # Safety
    /// No two pieces that are alive at the same time may overlap.
    #[allow(clippy::mut_from_ref)]
    #[inline]
    pub unsafe fn piece(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: in bounds by the check above, not aliased by the caller's promise, alive for 'a by construction.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }

    /// A pointer to the first element, for kernels that write strided pieces.
    pub fn as_mut_ptr(&self) -> *mut T {
        self.start
    }
}

/// Columns of a matrix go to workers in granules of this many: whole cache lines for every element type from 16 bits on,
/// and the panels that products take B in.
pub const GRANULE: usize = 32;

/// The columns of a matrix that belong to a worker, in nearly equal shares of whole granules; the first workers have one
/// more where it does not come out even. Kernels that write a weight or its gradient by columns share this rule, so that
/// a worker finds its columns in its own cache.
pub fn column_share(cols: usize, worker: usize, workers: usize) -> Range<usize> {
    let granules = cols.div_ceil(GRANULE);
    let (each, extra) = (granules / workers, granules % workers);
    let start = worker * each + worker.min(extra);
    let end = start + each + usize::from(worker < extra);
    (start * GRANULE).min(cols)..(end * GRANULE).min(cols)
}

/// The ranges of `0..len` in blocks of `block`: where to cut sums, so that their order follows from the sizes alone.
pub fn blocks(len: usize, block: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..len.div_ceil(block.max(1))).map(move |i| i * block..((i + 1) * block).min(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_columns_meet_and_are_nearly_equal() {
        for cols in [0, 1, 31, 32, 33, 100, 256, 1000] {
            for workers in 1..9 {
                let shares: Vec<_> = (0..workers).map(|worker| column_share(cols, worker, workers)).collect();
                assert_eq!((shares[0].start, shares[workers - 1].end), (0, cols));
                assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
                let granules = |share: &Range<usize>| share.len().div_ceil(GRANULE);
                assert!(granules(&shares[0]) <= granules(&shares[workers - 1]) + 1);
            }
        }
    }
}
