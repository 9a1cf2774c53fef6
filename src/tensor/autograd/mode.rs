//! Whether operations are recorded, and how a segment that is computed twice sees the same world.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static OFF: Cell<u32> = const { Cell::new(0) };
    static DRAWS: RefCell<Vec<Draws>> = const { RefCell::new(Vec::new()) };
}

/// Numbers of draws that a segment takes: noted the first time, handed out again the second.
enum Draws {
    Noted(Vec<u64>),
    Replayed(VecDeque<u64>),
}

/// Restores a thread's setting when dropped, by unwinding too.
struct Restore(fn());

impl Drop for Restore {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `work` without recording gradients: results track none, and nothing is kept for a backward pass.
///
/// ```
/// use tessera::{compute::Device, tensor::{Tensor, no_grad}};
/// let x = Tensor::new(&[1.0f32, 2.0], [2], &Device::cpu())?.requires_grad();
/// assert!(x.mul(&x)?.tracks_grad());
/// assert!(!no_grad(|| x.mul(&x))?.tracks_grad());
/// # Ok::<(), tessera::error::Error>(())
/// ```
pub fn no_grad<R>(work: impl FnOnce() -> R) -> R {
    OFF.set(OFF.get() + 1);
    let _restore = Restore(|| OFF.set(OFF.get() - 1));
    work()
}

/// Runs `work` with recording on, inside a [`no_grad`] too.
pub(super) fn with_grad<R>(work: impl FnOnce() -> R) -> R {
    thread_local!(static BEFORE: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) });
    BEFORE.with_borrow_mut(|before| before.push(OFF.replace(0)));
    let _restore = Restore(|| OFF.set(BEFORE.with_borrow_mut(Vec::pop).unwrap_or(0)));
    work()
}

/// Whether operations on this thread are recorded.
#[inline]
pub fn records_gradients() -> bool {
    OFF.get() == 0
}

/// Whether a checkpointed segment is being computed the second time. What counts or averages over forward passes, such
/// as the running statistics of batch normalisation, must not count this one.
pub fn is_recomputing() -> bool {
    DRAWS.with_borrow(|stack| stack.iter().any(|draws| matches!(draws, Draws::Replayed(_))))
}

/// The next number of a random operation, from its own `counter`: each forward pass draws anew. A segment that is
/// computed a second time gets the numbers of the first.
pub fn draw_number(counter: &AtomicU64) -> u64 {
    DRAWS.with_borrow_mut(|stack| {
        // Segments within segments: what lies above the innermost replay notes the numbers it hands out.
        let replay = stack.iter().rposition(|draws| matches!(draws, Draws::Replayed(_)));
        let number = match replay.map(|at| &mut stack[at]) {
            Some(Draws::Replayed(numbers)) => numbers.pop_front(),
            _ => None,
        };
        let number = number.unwrap_or_else(|| counter.fetch_add(1, Ordering::Relaxed));
        for draws in &mut stack[replay.map_or(0, |at| at + 1)..] {
            if let Draws::Noted(numbers) = draws {
                numbers.push(number);
            }
        }
        number
    })
}

/// Runs `work` and notes the numbers of its draws.
pub(super) fn noting_draws<R>(work: impl FnOnce() -> R) -> (R, Vec<u64>) {
    let result;
    let numbers;
    {
        DRAWS.with_borrow_mut(|stack| stack.push(Draws::Noted(Vec::new())));
        let mut popped = PopDraws(true);
        result = work();
        numbers = popped.pop();
    }
    (result, numbers)
}

/// Runs `work` with its draws numbered as the first time.
pub(super) fn replaying_draws<R>(numbers: &[u64], work: impl FnOnce() -> R) -> R {
    DRAWS.with_borrow_mut(|stack| stack.push(Draws::Replayed(numbers.iter().copied().collect())));
    let mut popped = PopDraws(true);
    let result = work();
    popped.pop();
    result
}

struct PopDraws(bool);

impl PopDraws {
    fn pop(&mut self) -> Vec<u64> {
        self.0 = false;
        match DRAWS.with_borrow_mut(Vec::pop) {
            Some(Draws::Noted(numbers)) => numbers,
            _ => Vec::new(),
        }
    }
}

impl Drop for PopDraws {
    fn drop(&mut self) {
        if self.0 {
            self.pop();
        }
    }
}
