//! Copying operands to the order that tile kernels stream.

/// The body of every [`PackFn`](super::kernels::PackFn); `transpose` copies what it can of operands whose steps are
/// next to one another and returns the number of steps it did, for any number of lanes below `width`.
///
/// # Safety
/// As for [`PackFn`](super::kernels::PackFn).
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn pack<U: Copy + Default>(
    to: *mut U,
    width: usize,
    lanes: usize,
    steps: usize,
    from: *const U,
    lane_stride: usize,
    step_stride: usize,
) {
    // SAFETY: the caller vouches for both ends.
    unsafe {
        for step in 0..steps {
            let to = to.add(step * width);
            let from = from.add(step * step_stride);
            if lane_stride == 1 {
                std::ptr::copy_nonoverlapping(from, to, lanes);
            } else {
                for lane in 0..lanes {
                    *to.add(lane) = *from.add(lane * lane_stride);
                }
            }
            for lane in lanes..width {
                *to.add(lane) = U::default();
            }
        }
    }
}
