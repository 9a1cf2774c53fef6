//! Memory for intermediate results that is kept from call to call.
#![allow(unsafe_code)]

use crate::compute::Zeroed;
use std::cell::RefCell;

thread_local! {
    /// Buffers of this thread that are not in use.
    static FREE: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with `len` elements that hold whatever an earlier use left. Uses may nest.
pub(super) fn with_scratch<T: Zeroed, R>(len: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    const { assert!(align_of::<T>() <= align_of::<u64>()) };
    let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let words = (len * size_of::<T>()).div_ceil(size_of::<u64>());
    if buffer.len() < words {
        buffer.resize(words, 0);
    }
    // SAFETY: the buffer has room for `len` elements, is aligned for them, and any initialised bytes are values of a
    // plain number (`Zeroed` is implemented for those alone).
    let result = work(unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), len) });
    FREE.with_borrow_mut(|free| free.push(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_nest_and_grow() {
        with_scratch::<f32, _>(10, |a| {
            a.fill(1.0);
            with_scratch::<u8, _>(1000, |b| b.fill(2));
            assert!(a.iter().all(|x| *x == 1.0));
        });
        with_scratch::<f64, _>(10_000, |c| assert_eq!(c.len(), 10_000));
    }
}
