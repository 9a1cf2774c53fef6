//! Memory for packed operands, kept by every thread from call to call.

use std::cell::RefCell;

use super::super::super::HugeVec;

/// Pieces that a thread keeps: as many as are taken at once.
const KEPT: usize = 3;

thread_local! {
    static PIECES: RefCell<Vec<HugeVec<u64>>> = const { RefCell::new(Vec::new()) };
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
        let kept = PIECES.with_borrow_mut(|pieces| {
            let best = (0..pieces.len()).filter(|i| pieces[*i].len() >= words).min_by_key(|i| pieces[*i].len());
            best.map(|i| pieces.swap_remove(i))
        });
        // Some room to grow, so that slowly growing sizes do not allocate each time; and at least a huge page.
        Self { memory: Some(kept.unwrap_or_else(|| HugeVec::zeroed((words + words / 4).max(1 << 17)))) }
    }

    /// Its first byte.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.memory.as_mut().expect("not dropped").as_mut_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Some(own) = self.memory.take() else { return };
        PIECES.with_borrow_mut(|pieces| {
            pieces.push(own);
            if pieces.len() > KEPT {
                // The largest ones are worth keeping.
                let smallest = (0..pieces.len()).min_by_key(|i| pieces[*i].len()).unwrap_or(0);
                pieces.swap_remove(smallest);
            }
        });
    }
}
