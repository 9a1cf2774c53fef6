//! Depthwise convolutions: every group has one input channel. The lanes of a vector are channels, so that a pixel is read
//! as it lies.
//!
//! Results are computed for a few neighbouring pixels at a time. A [`Reads`] lists where each of these reads at each tap,
//! once for all channels. Where a channel has several outputs, rows of the input are copied with every channel repeated
//! as often, and rows of its gradient added up likewise.

mod pass;
mod reads;
mod weight_gradient;

pub(super) use pass::{forward, input_gradient};
pub(super) use weight_gradient::weight_gradient;

use super::shape::ConvShape;

/// Output channels from which on lanes of channels are filled well enough.
const FEWEST_CHANNELS: usize = 8;
/// Neighbouring pixels that are computed together.
const PIXELS: usize = 8;

/// Whether passes of `shape` are computed this way.
pub(super) fn applies(shape: &ConvShape) -> bool {
    shape.options().groups == shape.c_in() && shape.c_in() > 1 && shape.c_out() >= FEWEST_CHANNELS
}

/// Writes every channel of the pixels in `from` `times` times in a row.
#[inline(always)]
fn repeat<T: Copy>(from: &[T], times: usize, to: &mut [T]) {
    match times {
        2 => repeat_each::<T, 2>(from, to),
        3 => repeat_each::<T, 3>(from, to),
        4 => repeat_each::<T, 4>(from, to),
        _ => {
            for (x, copies) in from.iter().zip(to.chunks_exact_mut(times)) {
                copies.fill(*x);
            }
        }
    }
}

/// A number of copies that the compiler knows.
#[inline(always)]
fn repeat_each<T: Copy, const TIMES: usize>(from: &[T], to: &mut [T]) {
    for (x, copies) in from.iter().zip(to.as_chunks_mut::<TIMES>().0) {
        *copies = [*x; TIMES];
    }
}

/// Asks for the line that holds `at`, which need not exist.
#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which does not touch memory.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
