//! Memory that kernels borrow for a call and that stays with its thread for the next one.

use crate::compute::{HugeVec, Zeroed};
use std::cell::RefCell;
use std::marker::PhantomData;

thread_local! {
    /// Buffers that nobody uses at present.
    static FREE: RefCell<Vec<HugeVec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// `len` elements of whatever was there before, aligned to 64 bytes; goes back to the thread's store when dropped.
pub(in crate::compute::cpu) struct Scratch<T: Zeroed> {
    /// `None` only while being dropped. Holds at least `len` elements of `T`.
    buffer: Option<HugeVec<u64>>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Zeroed> Scratch<T> {
    /// Takes the smallest free buffer that is large enough, or a new one of which half as much again would fit.
    pub fn take(len: usize) -> Self {
        const { assert!(size_of::<T>() <= 8 && align_of::<T>() <= 8) };
        let words = (len * size_of::<T>()).div_ceil(8);
        let found = FREE.with_borrow_mut(|free| {
            let fits = (0..free.len()).filter(|&i| free[i].len() >= words).min_by_key(|&i| free[i].len());
            match fits {
                Some(at) => Some(free.swap_remove(at)),
                // One that is too small would only be kept beside its successor.
                None => {
                    free.pop();
                    None
                }
            }
        });
        let buffer = found.unwrap_or_else(|| HugeVec::zeroed(words + words / 2));
        Self { buffer: Some(buffer), len, element: PhantomData }
    }

    /// Pointer to the first element.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.buffer.as_mut().map_or(std::ptr::null_mut(), |b| b.as_mut_ptr().cast())
    }

    /// The elements.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: the buffer holds `len` elements at least, any of whose bits were written as zero or as numbers of a
        // plain type; `T: Zeroed` is a primitive number, for which every bit pattern is a value.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }
}

impl<T: Zeroed> Drop for Scratch<T> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // The thread may be ending; then the buffer goes with it.
            let _ = FREE.try_with(|free| free.borrow_mut().push(buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_do_not_overlap() {
        let mut a = Scratch::<f32>::take(100);
        let mut b = Scratch::<f64>::take(100);
        a.as_mut_slice().fill(1.0);
        b.as_mut_slice().fill(2.0);
        assert!(a.as_mut_slice().iter().all(|x| *x == 1.0));
        assert_eq!(a.as_mut_ptr() as usize % 64, 0);
        let at = a.as_mut_ptr();
        drop(a);
        assert_eq!(Scratch::<f32>::take(90).as_mut_ptr(), at);
        assert_eq!(Scratch::<f32>::take(0).as_mut_slice().len(), 0);
    }
}
