//! Memory for packed operands, kept by every thread from call to call.

use std::cell::Cell;

use super::super::super::HugeVec;

thread_local! {
    static KEPT: Cell<Option<HugeVec<u64>>> = const { Cell::new(None) };
}

/// Memory of the calling thread, aligned to 64 bytes, given back when dropped.
pub(super) struct Scratch {
    /// Always there until dropped.
    memory: Option<HugeVec<u64>>,
}

impl Scratch {
    /// At least `bytes` bytes with any content.
    pub fn take(bytes: usize) -> Self {
        let words = bytes.div_ceil(8);
        let memory = KEPT.take().filter(|kept| kept.len() >= words);
        // Some room to grow, so that slowly growing sizes do not allocate each time.
        Self { memory: Some(memory.unwrap_or_else(|| HugeVec::zeroed((words + words / 4).max(1 << 17)))) }
    }

    /// Its first byte.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.memory.as_mut().expect("not dropped").as_mut_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A task within a task may have given back another one; the larger one is worth keeping.
        let other = KEPT.take();
        let larger = |a: &HugeVec<u64>, b: &Option<HugeVec<u64>>| b.as_ref().is_none_or(|b| a.len() >= b.len());
        KEPT.set(match self.memory.take() {
            Some(own) if larger(&own, &other) => Some(own),
            _ => other,
        });
    }
}
