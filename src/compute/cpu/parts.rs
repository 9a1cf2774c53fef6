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

/// The ranges of `0..len` in blocks of `block`: where to cut sums, so that their order follows from the sizes alone.
pub fn blocks(len: usize, block: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..len.div_ceil(block.max(1))).map(move |i| i * block..((i + 1) * block).min(len))
}
