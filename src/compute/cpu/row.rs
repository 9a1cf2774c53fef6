//! What kernels over the rows of a matrix share: dealing rows to workers, and the sums and the maximum of a row.
#![allow(unsafe_code)]

use super::lanes::{Float, Vector};
use super::{Cpu, math};
use std::ops::Range;

/// Elements of a row that are summed in lanes before the sum goes to double precision.
pub(super) const SUM_BLOCK: usize = 4_096;

/// Number of rows of `cols` elements.
///
/// # Panics
/// If `cols` is zero or `len` is not a whole number of rows.
pub(super) fn rows(len: usize, cols: usize) -> usize {
    assert!(cols > 0 && len.is_multiple_of(cols), "{len} elements are not rows of {cols}");
    len / cols
}

/// Calls `job` with consecutive ranges that cover the `count` items (rows, blocks) of `size` elements each, on as many
/// workers as get at least `grain` elements. The result must not depend on the cuts. A worker gets the same items each
/// time, which may still be in its cache.
pub(super) fn deal(cpu: &Cpu, count: usize, size: usize, grain: usize, job: &(dyn Fn(Range<usize>) + Sync)) {
    let workers = cpu.crew.size().min(count).min(count * size / grain);
    if workers <= 1 {
        return job(0..count);
    }
    cpu.crew.run(&|worker| {
        if worker < workers {
            job(count * worker / workers..count * (worker + 1) / workers);
        }
    });
}

/// A read-only slice as a pointer that may go to other threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<T>(*const T);
// SAFETY: made from shared slices that outlive the kernel call; only read.
unsafe impl<T: Sync> Sync for Column<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for Column<T> {}

impl<T> Column<T> {
    pub fn of(slice: &[T]) -> Self {
        Self(slice.as_ptr())
    }

    /// Pointer to element `at`.
    #[inline(always)]
    pub fn at(self, at: usize) -> *const T {
        self.0.wrapping_add(at)
    }
}

/// `LANES` elements where `FULL`, else the first `n` and zeros.
///
/// # Safety
/// So many elements can be read at `from`.
#[inline(always)]
pub(super) unsafe fn load<V: Vector, const FULL: bool>(from: *const V::Elem, n: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe { if FULL { V::load(from) } else { V::load_first(from, n) } }
}

/// Writes `LANES` elements where `FULL`, else the first `n`.
///
/// # Safety
/// So many elements can be written at `to`.
#[inline(always)]
pub(super) unsafe fn store<V: Vector, const FULL: bool>(x: V, to: *mut V::Elem, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { if FULL { x.store(to) } else { x.store_first(to, n) } }
}

/// `x` where `FULL`, else its first `n` lanes and `other` in the rest.
#[inline(always)]
pub(super) fn first<V: Vector, const FULL: bool>(x: V, n: usize, other: V) -> V {
    if FULL { x } else { V::select(V::mask_of((1 << n) - 1), x, other) }
}

/// Something done to vectors of consecutive places of a row. Mark `at` `#[inline(always)]`.
pub(super) trait Walk<V: Vector, const K: usize>: Copy {
    /// Does it to `LANES` places from `at` on where `FULL`, else to `n`, and returns `sums` with what these give added.
    ///
    /// # Safety
    /// The row has these places.
    unsafe fn at<const FULL: bool>(self, sums: [V; K], at: usize, n: usize) -> [V; K];
}

/// Walks along `places` of a row in order, four sums of vectors at a time, and returns the sums.
///
/// # Safety
/// The row has these places.
#[inline(always)]
pub(super) unsafe fn walk<V: Vector, W: Walk<V, K>, const K: usize>(walk: W, places: Range<usize>) -> [V; K] {
    let mut sums = [[V::zero(); K]; 4];
    let Range { start: mut at, end } = places;
    // SAFETY: `at` and what follows it up to `end` are places of the row.
    unsafe {
        while at + 4 * V::LANES <= end {
            sums[0] = walk.at::<true>(sums[0], at, V::LANES);
            sums[1] = walk.at::<true>(sums[1], at + V::LANES, V::LANES);
            sums[2] = walk.at::<true>(sums[2], at + 2 * V::LANES, V::LANES);
            sums[3] = walk.at::<true>(sums[3], at + 3 * V::LANES, V::LANES);
            at += 4 * V::LANES;
        }
        while at + V::LANES <= end {
            sums[0] = walk.at::<true>(sums[0], at, V::LANES);
            at += V::LANES;
        }
        if at < end {
            sums[1] = walk.at::<false>(sums[1], at, end - at);
        }
    }
    let mut total = [V::zero(); K];
    for k in 0..K {
        total[k] = (sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k]);
    }
    total
}

/// The sums over `0..len`: each [`SUM_BLOCK`] in the precision of `V`, these in order in double precision. So the error of
/// a sum is at most about 70 (`f32`) or 130 (`f64`) roundings of the sum of the terms' sizes, whatever the length.
///
/// # Safety
/// The row has `len` places.
#[inline(always)]
pub(super) unsafe fn sums<V: Vector, W: Walk<V, K>, const K: usize>(terms: W, len: usize) -> [f64; K] {
    use crate::compute::simd::Real;
    let mut total = [0.0; K];
    let mut start = 0;
    while start < len {
        let end = (start + SUM_BLOCK).min(len);
        // SAFETY: `end` is at most `len`.
        let sums = unsafe { walk(terms, start..end) };
        for k in 0..K {
            total[k] += sums[k].sum().to_f64();
        }
        start = end;
    }
    total
}

/// The largest of `len` numbers, -infinity for none; any number or NaN where there are NaNs.
///
/// # Safety
/// `len` elements can be read at `x`.
#[inline(always)]
pub(super) unsafe fn largest<V: Vector>(x: *const V::Elem, len: usize) -> V::Elem {
    let low = V::splat(-V::Elem::INFINITY);
    let mut most = [low; 4];
    let mut at = 0;
    // SAFETY: `at` and what is read from there on stay below `len`.
    unsafe {
        while at + 4 * V::LANES <= len {
            most[0] = most[0].max(V::load(x.add(at)));
            most[1] = most[1].max(V::load(x.add(at + V::LANES)));
            most[2] = most[2].max(V::load(x.add(at + 2 * V::LANES)));
            most[3] = most[3].max(V::load(x.add(at + 3 * V::LANES)));
            at += 4 * V::LANES;
        }
        while at + V::LANES <= len {
            most[0] = most[0].max(V::load(x.add(at)));
            at += V::LANES;
        }
        if at < len {
            let n = len - at;
            most[1] = most[1].max(first::<V, false>(V::load_first(x.add(at), n), n, low));
        }
    }
    most[0].max(most[1]).max(most[2].max(most[3])).largest()
}

/// `e^x` for `x` up to 0: an absolute error below 1.5 units in the last place of 1, that is with relative error
/// `(2 - x) 2^-24` (`f32`) or `(2 - x) 2^-53` (`f64`). Cheaper than [`math::exp`], whose relative error is the same for all
/// `x`: in a row of softmax small terms stand beside a term of 1.
#[inline(always)]
pub(super) fn exp_below_zero<V: Vector>(x: V) -> V {
    // Below these bounds the power is zero. In this order of arguments NaN stays NaN.
    let low = V::of(if size_of::<V::Elem>() == 4 { -160.0 } else { -1_100.0 });
    math::exp2(low.max(x * V::of(std::f64::consts::LOG2_E)))
}

/// What tests of row kernels share.
#[cfg(test)]
pub(super) mod trial {
    use crate::compute::cpu::Cpu;
    use crate::compute::cpu::lanes::Float;
    use crate::compute::isa::Isa;

    /// Rows and columns around the lane counts, the blocks of sums and the grains of workers.
    pub const SHAPES: [[usize; 2]; 9] =
        [[0, 5], [1, 1], [3, 10], [70, 16], [33, 17], [2100, 33], [300, 129], [9, 5000], [1, 20_001]];

    /// Numbers in [-2, 2), different for each `seed`.
    pub fn noise<T: Float>(len: usize, seed: u64) -> Vec<T> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            T::of((state >> 40) as f64 * 4.0 / (1 << 24) as f64 - 2.0)
        };
        (0..len).map(|_| next()).collect()
    }

    pub fn wide<T: Float>(x: &[T]) -> Vec<f64> {
        x.iter().map(|x| x.to_f64()).collect()
    }

    /// Calls `check` with what `kernel` gives on each instruction set, the same bits for any number of workers.
    pub fn on_all<T: Float>(kernel: impl Fn(&Cpu) -> Vec<Vec<T>>, check: impl Fn(&str, Vec<Vec<f64>>)) {
        for isa in Isa::all_available() {
            let one = kernel(&Cpu::with_isa(1, isa));
            let bits = |all: &[Vec<T>]| -> Vec<u64> { all.iter().flatten().map(|x| x.to_f64().to_bits()).collect() };
            for workers in [2, 3, 5] {
                let other = kernel(&Cpu::with_isa(workers, isa));
                assert_eq!(bits(&one), bits(&other), "{workers} workers, {isa}");
            }
            check(isa.name(), one.iter().map(|x| wide(x)).collect());
        }
    }

    /// Asserts `|x - y| <= tolerance` at every place; equal infinities and two NaNs pass.
    pub fn near(what: &str, x: &[f64], y: &[f64], tolerance: f64) {
        assert_eq!(x.len(), y.len());
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let same = x == y || (x.is_nan() && y.is_nan());
            assert!(same || (x - y).abs() <= tolerance, "{what} [{i}]: {x}, not {y} within {tolerance:e}");
        }
    }

    /// The tolerance for `f32` or `f64`.
    pub fn tolerance<T: Float>(for_f32: f64, for_f64: f64) -> f64 {
        if size_of::<T>() == 4 { for_f32 } else { for_f64 }
    }
}
