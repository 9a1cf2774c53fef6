//! Copies of views: what makes any view contiguous.
#![allow(unsafe_code)]

use super::lanes::{Float, Kernel, Vector, dispatch};
use super::strided::{DIMENSIONS, Shared, Walk, split_rows};
use super::{Cpu, Parts};
use std::ops::Range;

/// Elements worth a worker.
const GRAIN: usize = 16_384;
/// Elements of a column that are transposed together: their cache lines are used up at once.
const BAND: usize = 64;

/// Fills `out`, row by row, with the view of `x` that has the shape and strides (in elements; 0 repeats). Views whose
/// rows lie along another dimension are transposed in squares of vectors where elements have four or eight bytes.
///
/// # Panics
/// If the view leaves `x`, `out` has another number of elements, or there are more than 8 dimensions.
pub fn strided_copy<T: Copy + Send + Sync>(cpu: &Cpu, shape: &[usize], x: &[T], strides: &[usize], out: &mut [T]) {
    assert_eq!(out.len(), shape.iter().product::<usize>(), "the output of a shape {shape:?}");
    let way = Walk::new(shape, [strides], [x.len()]);
    let (step, out) = (way.step()[0], Parts::new(out));
    let (sizes, steps) = way.outline();
    let last = sizes.len() - 1;
    if step > 1
        && sizes[last] >= 4
        && let Some(along) = (0..last).find(|d| steps[*d][0] == 1 && sizes[*d] >= 4)
    {
        return transposed(cpu, sizes, steps, along, x, out);
    }
    way.pieces(cpu, GRAIN, usize::MAX, || {
        |place, n, [begin]: [usize; 1]| {
            // SAFETY: the walk deals every place of the output once.
            let to = unsafe { out.piece(place..place + n) };
            match step {
                1 => to.copy_from_slice(&x[begin..begin + n]),
                0 => to.fill(x[begin]),
                _ => to.iter_mut().zip(x[begin..].iter().step_by(step)).for_each(|(to, from)| *to = *from),
            }
        }
    });
}

/// The transpose of a matrix of `rows` rows: `out[c, r] = x[r, c]`.
///
/// # Panics
/// If the lengths are not `rows * columns`.
pub fn transpose<T: Copy + Send + Sync>(cpu: &Cpu, rows: usize, columns: usize, x: &[T], out: &mut [T]) {
    assert_eq!(x.len(), rows * columns, "a matrix of {rows} rows and {columns} columns");
    strided_copy(cpu, &[columns, rows], x, &[1, columns], out);
}

/// A copy whose rows lie along dimension `along` in the source and along the last one in the result.
fn transposed<T: Copy + Send + Sync>(
    cpu: &Cpu,
    sizes: &[usize],
    steps: &[[usize; 1]],
    along: usize,
    x: &[T],
    out: Parts<'_, T>,
) {
    let last = sizes.len() - 1;
    let (tall, wide) = (sizes[along], sizes[last]);
    // Row-major steps of the result.
    let mut to_steps = [1; DIMENSIONS];
    for d in (0..last).rev() {
        to_steps[d] = to_steps[d + 1] * sizes[d + 1];
    }
    // The other dimensions, with the steps of source and result.
    let others = (0..last).filter(|d| *d != along);
    let (mut shape, mut from, mut to) = ([1; DIMENSIONS], [0; DIMENSIONS], [0; DIMENSIONS]);
    let mut dims = 0;
    for d in others {
        (shape[dims], from[dims], to[dims]) = (sizes[d], steps[d][0], to_steps[d]);
        dims += 1;
    }
    let bands = tall.div_ceil(BAND);
    (shape[dims], from[dims], to[dims]) = (bands, BAND, BAND * to_steps[along]);
    dims += 1;
    let shape = &shape[..dims];
    let way = Walk::new(shape, [&from[..dims], &to[..dims]], [usize::MAX; 2]);
    let (x, out) = (Shared(x.as_ptr()), Shared(out.as_mut_ptr().cast_const()));
    let count: usize = shape.iter().product();
    // `Walk` merges dimensions, so bands are numbered by elements of its rows.
    let row = way.row();
    split_rows(cpu, count, tall.min(BAND) * wide, GRAIN, &|part: Range<usize>| {
        way.rows(part.start / row..part.end.div_ceil(row), |r, offset| {
            let inside = part.start.max(r * row)..part.end.min((r + 1) * row);
            for index in inside {
                let within = index - r * row;
                let [source, target] = std::array::from_fn(|i| offset[i] + within * way.step()[i]);
                let height = BAND.min(tall - index % bands * BAND);
                let task = Band {
                    from: x.get().wrapping_add(source),
                    from_step: steps[last][0],
                    to: out.get().cast_mut().wrapping_add(target),
                    to_step: to_steps[along],
                    height,
                    wide,
                };
                match size_of::<T>() {
                    4 => dispatch::<f32, _>(cpu.isa, task.cast()),
                    8 => dispatch::<f64, _>(cpu.isa, task.cast()),
                    // SAFETY: bands are disjoint parts of views that were checked to stay within their slices.
                    _ => unsafe { task.rest(0..height, 0..wide) },
                }
            }
        });
    });
}

/// `to[i, j] = from[j, i]` for `i` below `height` and `j` below `wide`.
struct Band<T> {
    from: *const T,
    from_step: usize,
    to: *mut T,
    to_step: usize,
    height: usize,
    wide: usize,
}

impl<T: Copy> Band<T> {
    fn cast<U>(self) -> Band<U> {
        let Self { from, from_step, to, to_step, height, wide } = self;
        Band { from: from.cast(), from_step, to: to.cast(), to_step, height, wide }
    }

    /// One by one.
    ///
    /// # Safety
    /// The elements exist and no one else writes them.
    #[inline(always)]
    unsafe fn rest(&self, i: Range<usize>, j: Range<usize>) {
        for j in j {
            for i in i.clone() {
                // SAFETY: the caller's promise.
                unsafe { *self.to.add(i * self.to_step + j) = *self.from.add(j * self.from_step + i) };
            }
        }
    }
}

impl<T: Float> Kernel<T> for Band<T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let (tall, wide) = (self.height / V::LANES * V::LANES, self.wide / V::LANES * V::LANES);
        for j in (0..wide).step_by(V::LANES) {
            for i in (0..tall).step_by(V::LANES) {
                // SAFETY: whole squares within the band, whose elements exist; no one else writes them.
                unsafe {
                    let from = self.from.add(j * self.from_step + i);
                    V::transpose(from, self.from_step, self.to.add(i * self.to_step + j), self.to_step);
                }
            }
        }
        // SAFETY: as above.
        unsafe {
            self.rest(tall..self.height, 0..wide);
            self.rest(0..self.height, wide..self.wide);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Isa;
    use proptest::prelude::*;

    fn naive<T: Copy>(shape: &[usize], x: &[T], strides: &[usize]) -> Vec<T> {
        let len: usize = shape.iter().product();
        (0..len)
            .map(|place| {
                let mut rest = place;
                let offset = shape.iter().zip(strides).rev().fold(0, |offset, (n, s)| {
                    let index = rest % n;
                    rest /= n;
                    offset + index * s
                });
                x[offset]
            })
            .collect()
    }

    fn check<T: Copy + Send + Sync + PartialEq + std::fmt::Debug>(
        shape: &[usize],
        strides: &[usize],
        value: fn(usize) -> T,
    ) {
        let bound = 1 + shape.iter().zip(strides).map(|(n, s)| n.saturating_sub(1) * s).sum::<usize>();
        let x: Vec<T> = (0..bound).map(value).collect();
        let want = naive(shape, &x, strides);
        for isa in Isa::all_available() {
            for workers in [1, 3] {
                let mut out = vec![value(0); want.len()];
                strided_copy(&Cpu::with_isa(workers, isa), shape, &x, strides, &mut out);
                assert!(out == want, "{shape:?} {strides:?} on {isa}");
            }
        }
    }

    fn check_all(shape: &[usize], strides: &[usize]) {
        check(shape, strides, |i| i as u8);
        check(shape, strides, |i| i as u16);
        check(shape, strides, |i| i as f32);
        check(shape, strides, |i| i as u64);
    }

    #[test]
    fn transposes_of_all_sizes() {
        for (rows, columns) in [(1, 5), (4, 4), (16, 16), (17, 31), (64, 64), (100, 33), (3, 300), (130, 257)] {
            check_all(&[columns, rows], &[1, columns]);
            check_all(&[2, columns, rows], &[rows * columns, 1, columns]);
            // NCHW from channels last, and back.
            check_all(&[2, columns, rows, 3], &[columns * rows * 3, 1, 3 * columns, columns]);
            check_all(&[2, rows, 3, columns], &[columns * rows * 3, 3, 1, 3 * rows]);
        }
        check_all(&[200, 300], &[1, 200]);
    }

    proptest! {
        #[test]
        fn any_permutation_with_gaps_and_repeats(
            sizes in prop::collection::vec(1usize..20, 1..5),
            order in prop::sample::subsequence((0..5usize).collect::<Vec<_>>(), 5).prop_shuffle(),
            gap in 0usize..3,
            repeated in 0usize..8,
        ) {
            let n = sizes.len();
            let order: Vec<usize> = order.into_iter().filter(|d| *d < n).collect();
            let mut strides = vec![0; n];
            let mut step = 1;
            for d in order {
                strides[d] = step;
                step = step * sizes[d] + gap;
            }
            if repeated < n {
                strides[repeated] = 0;
            }
            check(&sizes, &strides, |i| i as f32);
            check(&sizes, &strides, |i| i as u16);
        }
    }
}
