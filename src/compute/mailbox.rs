//! Double-buffered lists that one worker writes while all read what was written the step before.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;

/// Two lists that take turns: in step `t` the owner fills list `t % 2` while every worker reads list `(t - 1) % 2`.
///
/// A barrier between steps makes this sound; see the safety conditions.
#[derive(Debug)]
pub struct Mailbox<T> {
    lists: [crossbeam_utils::CachePadded<UnsafeCell<Vec<T>>>; 2],
}

// SAFETY: access is coordinated by the callers' barrier, as the methods demand.
unsafe impl<T: Send + Sync> Sync for Mailbox<T> {}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { lists: std::array::from_fn(|_| UnsafeCell::new(Vec::new()).into()) }
    }
}

impl<T> Mailbox<T> {
    /// The list of `step`, while nobody else has the mailbox.
    pub fn list_mut(&mut self, step: u64) -> &mut Vec<T> {
        self.lists[(step % 2) as usize].get_mut()
    }

    /// The list filled in the step before `step`.
    ///
    /// # Safety
    /// A barrier separates this from the owner's writing in the step before and in the step after.
    pub unsafe fn received(&self, step: u64) -> &[T] {
        // SAFETY: promised by the caller.
        unsafe { &*self.lists[((step + 1) % 2) as usize].get() }
    }

    /// The list of `step`, for its owner to fill.
    ///
    /// # Safety
    /// Only the owner calls this, once a step, and drops the reference before the barrier that ends the step.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn outgoing(&self, step: u64) -> &mut Vec<T> {
        // SAFETY: promised by the caller.
        unsafe { &mut *self.lists[(step % 2) as usize].get() }
    }
}
