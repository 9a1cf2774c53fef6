//! Views with strides, walked row by row.
#![allow(unsafe_code)]

use super::Cpu;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Most dimensions of a strided walk.
pub const DIMENSIONS: usize = 8;

/// Elements of a view that are brought together at a time where they do not lie so.
pub(super) const BLOCK: usize = 1024;

/// The shape that `N` views are walked by, with dimensions of one element dropped and neighbours merged that are one
/// in all views. Strides count elements; 0 repeats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<const N: usize> {
    dims: usize,
    shape: [usize; DIMENSIONS],
    strides: [[usize; N]; DIMENSIONS],
}

impl<const N: usize> Walk<N> {
    /// Checks that each view stays within the length given for it.
    ///
    /// # Panics
    /// If it does not, if there are more than [`DIMENSIONS`] dimensions, or strides for other than each of them.
    pub(super) fn new(shape: &[usize], strides: [&[usize]; N], lengths: [usize; N]) -> Self {
        assert!(shape.len() <= DIMENSIONS, "{} dimensions, more than {DIMENSIONS}", shape.len());
        let empty = shape.contains(&0);
        for (strides, len) in strides.iter().zip(lengths) {
            assert_eq!(strides.len(), shape.len(), "strides {strides:?} of a view of shape {shape:?}");
            let last = shape.iter().zip(*strides).try_fold(0usize, |last, (n, stride)| {
                n.saturating_sub(1).checked_mul(*stride).and_then(|step| last.checked_add(step))
            });
            let inside = last.is_some_and(|last| last < len);
            assert!(empty || inside, "a view of shape {shape:?} and strides {strides:?} leaves its {len} elements");
        }
        let mut walk = Self { dims: 0, shape: [1; DIMENSIONS], strides: [[0; N]; DIMENSIONS] };
        for (d, n) in shape.iter().enumerate().filter(|(_, n)| **n != 1) {
            let step: [usize; N] = std::array::from_fn(|i| strides[i][d]);
            let last = walk.dims.wrapping_sub(1);
            if walk.dims > 0 && (0..N).all(|i| walk.strides[last][i] == step[i].wrapping_mul(*n)) {
                walk.shape[last] *= n;
                walk.strides[last] = step;
            } else {
                walk.shape[walk.dims] = *n;
                walk.strides[walk.dims] = step;
                walk.dims += 1;
            }
        }
        if walk.dims == 0 {
            // One element, which is a row too.
            walk.dims = 1;
            walk.strides[0] = [1; N];
        }
        walk
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.shape[..self.dims].iter().product()
    }

    /// Elements of a row: along the last dimension.
    pub(super) fn row(&self) -> usize {
        self.shape[self.dims - 1]
    }

    /// Step from one element of a row to the next, of each view.
    pub(super) fn step(&self) -> [usize; N] {
        self.strides[self.dims - 1]
    }

    /// Dimensions and steps that are left.
    pub(super) fn outline(&self) -> (&[usize], &[[usize; N]]) {
        (&self.shape[..self.dims], &self.strides[..self.dims])
    }

    /// Calls `visit(row, where the row begins in each view)` for the rows of a range.
    #[inline]
    #[allow(clippy::needless_range_loop)]
    pub(super) fn rows(&self, rows: Range<usize>, mut visit: impl FnMut(usize, [usize; N])) {
        let outer = self.dims - 1;
        let mut index = [0usize; DIMENSIONS];
        let mut offset = [0usize; N];
        let mut rest = rows.start;
        for d in (0..outer).rev() {
            index[d] = rest % self.shape[d];
            rest /= self.shape[d];
            for i in 0..N {
                offset[i] += index[d] * self.strides[d][i];
            }
        }
        for row in rows {
            visit(row, offset);
            for d in (0..outer).rev() {
                index[d] += 1;
                for i in 0..N {
                    offset[i] += self.strides[d][i];
                }
                if index[d] < self.shape[d] {
                    break;
                }
                for i in 0..N {
                    offset[i] -= self.shape[d] * self.strides[d][i];
                }
                index[d] = 0;
            }
        }
    }

    /// Calls `visit(place of the first result, its number of elements, where they begin in each view)` for pieces of
    /// rows, each of at most `piece` elements, on all workers; each makes its own `visit`. Results are numbered row by
    /// row.
    pub(super) fn pieces<F: FnMut(usize, usize, [usize; N])>(
        &self,
        cpu: &Cpu,
        grain: usize,
        piece: usize,
        visitor: impl Fn() -> F + Sync,
    ) {
        let (len, row, step) = (self.len(), self.row(), self.step());
        if len == 0 {
            return;
        }
        let rows = len / row;
        let deal = |rows: Range<usize>, within: Range<usize>| {
            let mut visit = visitor();
            self.rows(rows, |r, offset| {
                let mut at = within.start;
                while at < within.end {
                    let n = piece.min(within.end - at);
                    let mut begin = offset;
                    for i in 0..N {
                        begin[i] += at * step[i];
                    }
                    visit(r * row + at, n, begin);
                    at += n;
                }
            });
        };
        // Few long rows are cut across, many along.
        if rows < 4 * cpu.crew.size() {
            cpu.split(row, grain.div_ceil(rows), &|within| deal(0..rows, within));
        } else {
            split_rows(cpu, rows, row, grain, &|part| deal(part, 0..row));
        }
    }
}

/// Calls `job` with consecutive ranges that cover `0..rows`, one for each worker that gets at least `grain` elements
/// in rows of `columns`. For work whose result does not depend on where it is cut.
#[inline]
pub(super) fn split_rows(cpu: &Cpu, rows: usize, columns: usize, grain: usize, job: &(dyn Fn(Range<usize>) + Sync)) {
    let workers = cpu.crew.size().min(rows).min(rows.saturating_mul(columns) / grain.max(1));
    if workers <= 1 {
        return job(0..rows);
    }
    cpu.crew.run(&|worker| {
        if worker < workers {
            job(rows * worker / workers..rows * (worker + 1) / workers);
        }
    });
}

/// Brings pieces of a view's rows together where they do not lie so.
pub(super) struct Gather<T> {
    data: *const T,
    step: usize,
    block: MaybeUninit<[T; BLOCK]>,
}

impl<T: Copy> Gather<T> {
    /// Of a view whose rows have the step.
    pub(super) fn new(data: *const T, step: usize) -> Self {
        Self { data, step, block: MaybeUninit::uninit() }
    }

    /// A pointer to `n` elements, equal to those `step` apart from `begin` on; valid until the next call.
    ///
    /// # Safety
    /// They exist, are not written meanwhile, and are no more than [`BLOCK`] unless they lie together.
    #[inline]
    pub(super) unsafe fn piece(&mut self, begin: usize, n: usize) -> *const T {
        // SAFETY: the caller's promise.
        unsafe {
            let from = self.data.add(begin);
            if self.step == 1 {
                return from;
            }
            let to = self.block.as_mut_ptr().cast::<T>();
            debug_assert!(n <= BLOCK);
            if self.step == 0 {
                let value = *from;
                for i in 0..n {
                    *to.add(i) = value;
                }
            } else {
                for i in 0..n {
                    *to.add(i) = *from.add(i * self.step);
                }
            }
            to
        }
    }
}

/// A pointer that workers read from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<T>(pub(super) *const T);
// SAFETY: only read through, by those who promise that no one writes there meanwhile.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer.
    pub(super) fn get(&self) -> *const T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn dimensions_merge_where_all_views_allow() {
        let walk = Walk::new(&[2, 1, 3, 4], [&[12, 7, 4, 1], &[0, 0, 4, 1]], [24, 12]);
        assert_eq!(walk.outline(), (&[2, 12][..], &[[12, 0], [1, 1]][..]));
        assert_eq!((walk.len(), walk.row()), (24, 12));
        assert_eq!(Walk::new(&[], [&[]], [1]).len(), 1);
        assert_eq!(Walk::new(&[3, 0], [&[0, 1]], [0]).len(), 0);
    }

    #[test]
    #[should_panic(expected = "leaves its 23 elements")]
    fn views_that_leave_their_memory_are_refused() {
        Walk::new(&[2, 12], [&[12, 1]], [23]);
    }

    #[test]
    fn pieces_cover_everything_once() {
        for (shape, strides) in [
            (vec![3, 5, 7], vec![1, 21, 3]),
            (vec![2, 3000], vec![3000, 1]),
            (vec![100, 2, 3], vec![0, 3, 1]),
            (vec![1], vec![1]),
            (vec![4, 1, 2, 1, 3, 2, 2, 2], vec![1, 0, 4, 9, 8, 24, 48, 96]),
        ] {
            let len: usize = shape.iter().product();
            let bound = 1 + shape.iter().zip(&strides).map(|(n, s)| (n - 1) * s).sum::<usize>();
            let expected = |place: usize| {
                let mut rest = place;
                shape.iter().zip(&strides).rev().fold(0, |offset, (n, s)| {
                    let index = rest % n;
                    rest /= n;
                    offset + index * s
                })
            };
            for workers in [1, 3] {
                let cpu = Cpu::new(workers);
                let walk = Walk::new(&shape, [&strides], [bound]);
                let seen = Mutex::new(vec![0; len]);
                walk.pieces(&cpu, 1, 5, || {
                    |place, n, [begin]: [usize; 1]| {
                        assert!((1..=5).contains(&n));
                        for i in 0..n {
                            assert_eq!(begin + i * walk.step()[0], expected(place + i));
                            seen.lock().expect("no panic")[place + i] += 1;
                        }
                    }
                });
                assert!(seen.into_inner().expect("no panic").iter().all(|n| *n == 1));
            }
        }
    }
}
