//! Sums, extremes and moments of whole columns and of rows.
//!
//! Sums are taken in one order whatever the workers and the instruction set: in blocks of 4096 elements, element `i` of
//! a block is added to lane `i` modulo 64 (32 in `f64`), lanes are folded in halves, blocks are added in double
//! precision, first within chunks of 16 blocks or more, then the chunks. In `f32` the error of a sum is at most
//! `71 * 2^-24` times the sum of the terms' sizes, however many they are.
#![allow(unsafe_code)]

mod columns;

pub use columns::{reduce_axis, reduce_columns, sum_columns};

use super::lanes::{Float, Kernel, Vector, dispatch};
use super::map::{Map, length};
use super::strided::{Shared, split_rows};
use super::{Cpu, Parts};
use crate::compute::isa::Isa;
use crate::compute::simd::Real;
use std::ops::Range;

/// Elements added up in their own precision.
const BLOCK: usize = 4096;
/// Most chunks: their sums are kept until all are there.
const CHUNKS: usize = 256;
/// Bytes of the lanes that sums are kept in.
const LANE_BYTES: usize = 256;
/// Elements of rows worth a worker.
const GRAIN: usize = 8_192;

/// How a sequence becomes one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reduction {
    /// Sum; 0 of nothing.
    Sum,
    /// Mean; NaN of nothing.
    Mean,
    /// Largest; NaN if any is; -infinity of nothing.
    Max,
    /// Smallest; NaN if any is; infinity of nothing.
    Min,
    /// Sum of squares.
    SumSquares,
    /// Variance: the sum of squared distances from the mean, over the number of elements less `correction` (1 for the
    /// unbiased estimate). Blocks have their own means; in `f32` its relative error is below 1e-5.
    Variance {
        /// Degrees of freedom that the mean took.
        correction: f64,
    },
}

/// Mean and sum of squared distances from it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// How many elements.
    pub count: f64,
    /// Their mean; 0 of nothing.
    pub mean: f64,
    /// Sum of squared distances from the mean.
    pub squares: f64,
}

impl Moments {
    /// The moments of both together (Chan, Golub & LeVeque 1979).
    #[inline]
    pub fn and(self, o: Self) -> Self {
        if self.count == 0.0 {
            return o;
        }
        let count = self.count + o.count;
        let apart = o.mean - self.mean;
        let share = o.count / count;
        Self {
            count,
            mean: self.mean + apart * share,
            squares: self.squares + o.squares + apart * apart * self.count * share,
        }
    }

    /// Variance with so many degrees of freedom taken; NaN where none are left.
    pub fn variance(&self, correction: f64) -> f64 {
        let freedom = self.count - correction;
        if freedom > 0.0 { self.squares / freedom } else { f64::NAN }
    }
}

/// The sum of the outputs of `map` over all places.
///
/// # Panics
/// If the lengths differ.
pub fn sum_of<T: Float, const I: usize, const O: usize>(
    cpu: &Cpu,
    map: impl Map<T, I, O>,
    inputs: [&[T]; I],
) -> [f64; O] {
    let len = length(inputs.iter().map(|x| x.len()));
    let from = inputs.map(|x| Shared(x.as_ptr()));
    let from = &from;
    in_chunks(
        cpu,
        len,
        [0.0; O],
        |range| chunk_sum(cpu.isa, map, from, range),
        |a, b| std::array::from_fn(|o| a[o] + b[o]),
    )
}

/// [`sum_of`] on the caller alone: the same bits.
///
/// # Panics
/// If the lengths differ.
pub fn sum_of_block<T: Float, const I: usize, const O: usize>(
    isa: Isa,
    map: impl Map<T, I, O>,
    inputs: [&[T]; I],
) -> [f64; O] {
    let len = length(inputs.iter().map(|x| x.len()));
    let from = inputs.map(|x| Shared(x.as_ptr()));
    chunks(len).fold([0.0; O], |total, range| {
        let part = chunk_sum(isa, map, &from, range);
        std::array::from_fn(|o| total[o] + part[o])
    })
}

/// Sum of all elements.
pub fn sum<T: Float>(cpu: &Cpu, x: &[T]) -> f64 {
    sum_of(cpu, Same, [x])[0]
}

/// Sum of all squares: of a gradient, the square of its norm.
pub fn sum_squares<T: Float>(cpu: &Cpu, x: &[T]) -> f64 {
    sum_of(cpu, Squared, [x])[0]
}

/// [`sum_squares`] on the caller alone: the same bits.
pub fn sum_squares_block<T: Float>(isa: Isa, x: &[T]) -> f64 {
    sum_of_block(isa, Squared, [x])[0]
}

/// Sum of the products of two columns.
///
/// # Panics
/// If the lengths differ.
pub fn dot<T: Float>(cpu: &Cpu, a: &[T], b: &[T]) -> f64 {
    sum_of(cpu, Product, [a, b])[0]
}

/// Whether no element is infinite or NaN.
pub fn all_finite<T: Float>(cpu: &Cpu, x: &[T]) -> bool {
    sum_of(cpu, TimesZero, [x])[0] == 0.0
}

/// [`all_finite`] on the caller alone.
pub fn all_finite_block<T: Float>(isa: Isa, x: &[T]) -> bool {
    sum_of_block(isa, TimesZero, [x])[0] == 0.0
}

/// How many elements are not 0; NaN is not.
pub fn count_nonzero<T: Float>(cpu: &Cpu, x: &[T]) -> u64 {
    sum_of(cpu, NotZero, [x])[0] as u64
}

/// Mean and variance of all elements, in one pass.
pub fn moments<T: Float>(cpu: &Cpu, x: &[T]) -> Moments {
    let from = Shared(x.as_ptr());
    in_chunks(
        cpu,
        x.len(),
        Moments::default(),
        |range| dispatch(cpu.isa, ChunkMoments { from: from.get().wrapping_add(range.start), len: range.len() }),
        Moments::and,
    )
}

/// One number of all elements.
pub fn reduce<T: Float>(cpu: &Cpu, op: Reduction, x: &[T]) -> T {
    T::of(match op {
        Reduction::Sum => sum(cpu, x),
        Reduction::Mean => sum(cpu, x) / x.len() as f64,
        Reduction::SumSquares => sum_squares(cpu, x),
        Reduction::Variance { correction } => moments(cpu, x).variance(correction),
        Reduction::Max => {
            let from = Shared(x.as_ptr());
            let part = |range: Range<usize>| extreme::<T, true>(cpu.isa, &from, range);
            return in_chunks(cpu, x.len(), -T::INFINITY, part, |a, b| if a > b || a.is_nan() { a } else { b });
        }
        Reduction::Min => {
            let from = Shared(x.as_ptr());
            let part = |range: Range<usize>| extreme::<T, false>(cpu.isa, &from, range);
            return in_chunks(cpu, x.len(), T::INFINITY, part, |a, b| if a < b || a.is_nan() { a } else { b });
        }
    })
}

/// One number of each row: `out[r]` of `x[r, ..]`. The same bits as [`reduce`] of the row.
///
/// # Panics
/// If `x` has not `out.len() * columns` elements.
pub fn reduce_rows<T: Float>(cpu: &Cpu, op: Reduction, x: &[T], columns: usize, out: &mut [T]) {
    let rows = out.len();
    assert_eq!(x.len(), rows * columns, "{rows} rows of {columns}");
    // Few long rows: all workers on each.
    if rows < cpu.crew.size() && columns >= 2 * BLOCK * 16 {
        for (row, out) in x.chunks_exact(columns).zip(out) {
            *out = reduce(cpu, op, row);
        }
        return;
    }
    let out = Parts::new(out);
    split_rows(cpu, rows, columns.max(64), GRAIN, &|part| {
        // SAFETY: parts are disjoint.
        let out = unsafe { out.piece(part.clone()) };
        let x = &x[part.start * columns..part.end * columns];
        reduce_rows_block(cpu.isa, op, x, columns, out);
    });
}

/// [`reduce_rows`] on the caller alone: the same bits.
///
/// # Panics
/// If `x` has not `out.len() * columns` elements.
pub fn reduce_rows_block<T: Float>(isa: Isa, op: Reduction, x: &[T], columns: usize, out: &mut [T]) {
    assert_eq!(x.len(), out.len() * columns, "{} rows of {columns}", out.len());
    dispatch(isa, Rows { op, x: x.as_ptr(), columns, out });
}

/// The first place of each row's largest element (the first NaN if there is one): `out[r]` of `x[r, ..]`.
///
/// # Panics
/// If `x` has not `out.len() * columns` elements, or `columns` is 0.
pub fn argmax_rows<T: Float>(cpu: &Cpu, x: &[T], columns: usize, out: &mut [i32]) {
    arg_rows::<T, true>(cpu, x, columns, out);
}

/// The first place of each row's smallest element (the first NaN if there is one).
///
/// # Panics
/// If `x` has not `out.len() * columns` elements, or `columns` is 0.
pub fn argmin_rows<T: Float>(cpu: &Cpu, x: &[T], columns: usize, out: &mut [i32]) {
    arg_rows::<T, false>(cpu, x, columns, out);
}

fn arg_rows<T: Float, const MAX: bool>(cpu: &Cpu, x: &[T], columns: usize, out: &mut [i32]) {
    let rows = out.len();
    assert_eq!(x.len(), rows * columns, "{rows} rows of {columns}");
    assert!(rows == 0 || columns > 0, "rows without elements have no largest one");
    let out = Parts::new(out);
    split_rows(cpu, rows, columns, GRAIN, &|part| {
        // SAFETY: parts are disjoint.
        let out = unsafe { out.piece(part.clone()) };
        for (row, out) in x[part.start * columns..].chunks_exact(columns).zip(out) {
            let best = extreme::<T, MAX>(cpu.isa, &Shared(row.as_ptr()), 0..columns);
            let place = row.iter().position(|x| *x == best || x.is_nan());
            *out = place.expect("the extreme is one of the row") as i32;
        }
    });
}

/// The chunks of `0..len`: boundaries follow from the length alone.
fn chunks(len: usize) -> impl Iterator<Item = Range<usize>> {
    let chunk = chunk_len(len);
    (0..len.div_ceil(chunk)).map(move |i| i * chunk..((i + 1) * chunk).min(len))
}

fn chunk_len(len: usize) -> usize {
    len.div_ceil(BLOCK).div_ceil(CHUNKS).max(16) * BLOCK
}

/// Combines the parts of all chunks in order.
fn in_chunks<R: Copy + Send + Sync>(
    cpu: &Cpu,
    len: usize,
    nothing: R,
    part: impl Fn(Range<usize>) -> R + Sync,
    combine: impl Fn(R, R) -> R,
) -> R {
    let count = len.div_ceil(chunk_len(len));
    if count <= 1 || cpu.crew.size() == 1 {
        return chunks(len).fold(nothing, |total, range| combine(total, part(range)));
    }
    let mut parts = [nothing; CHUNKS];
    let out = Parts::new(&mut parts);
    split_rows(cpu, count, 1, 1, &|mine| {
        for (i, range) in chunks(len).enumerate().skip(mine.start).take(mine.len()) {
            // SAFETY: each chunk belongs to one worker.
            let out = unsafe { out.piece(i..i + 1) };
            out[0] = part(range);
        }
    });
    parts[..count].iter().fold(nothing, |total, part| combine(total, *part))
}

fn chunk_sum<T: Float, const I: usize, const O: usize>(
    isa: Isa,
    map: impl Map<T, I, O>,
    from: &[Shared<T>; I],
    range: Range<usize>,
) -> [f64; O] {
    let mut begin = [std::ptr::null(); I];
    for (begin, from) in begin.iter_mut().zip(from) {
        *begin = from.get().wrapping_add(range.start);
    }
    dispatch(isa, ChunkSum { map, from: begin, len: range.len() })
}

/// All pointers allow for `len` elements.
struct ChunkSum<T, M, const I: usize, const O: usize> {
    map: M,
    from: [*const T; I],
    len: usize,
}

impl<T: Float, M: Map<T, I, O>, const I: usize, const O: usize> Kernel<T> for ChunkSum<T, M, I, O> {
    type Output = [f64; O];
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) -> [f64; O] {
        // SAFETY: the construction's promise.
        unsafe { sum_blocks::<V, M, I, O>(self.map, self.from, self.len) }
    }
}

/// The sum over a chunk, block after block.
///
/// # Safety
/// All pointers allow for `len` elements.
#[inline(always)]
unsafe fn sum_blocks<V: Vector, M: Map<V::Elem, I, O>, const I: usize, const O: usize>(
    map: M,
    from: [*const V::Elem; I],
    len: usize,
) -> [f64; O] {
    let mut total = [0.0; O];
    let mut at = 0;
    while at < len {
        let n = BLOCK.min(len - at);
        let mut begin = from;
        let mut i = 0;
        while i < I {
            begin[i] = begin[i].wrapping_add(at);
            i += 1;
        }
        // SAFETY: `at + n` does not pass `len`.
        let part = unsafe { block_sum::<V, M, I, O>(map, begin, n) };
        let mut o = 0;
        while o < O {
            total[o] += part[o].to_f64();
            o += 1;
        }
        at += n;
    }
    total
}

/// The sum over a block in its own precision.
///
/// # Safety
/// All pointers allow for `n` elements.
#[inline(always)]
pub(super) unsafe fn block_sum<V: Vector, M: Map<V::Elem, I, O>, const I: usize, const O: usize>(
    map: M,
    from: [*const V::Elem; I],
    n: usize,
) -> [V::Elem; O] {
    let lanes = LANE_BYTES / size_of::<V::Elem>();
    let vectors = lanes / V::LANES; // at most 8
    let mut sums = [[V::zero(); 8]; O];
    let mut at = 0;
    while at + lanes <= n {
        let mut v = 0;
        while v < vectors {
            let mut x = [V::zero(); I];
            let mut i = 0;
            while i < I {
                // SAFETY: `at + lanes` does not pass `n`.
                x[i] = unsafe { V::load(from[i].add(at + v * V::LANES)) };
                i += 1;
            }
            let y = map.lanes(x);
            let mut o = 0;
            while o < O {
                sums[o][v] = sums[o][v] + y[o];
                o += 1;
            }
            v += 1;
        }
        at += lanes;
    }
    let mut v = 0;
    while at < n {
        let left = V::LANES.min(n - at);
        let mut x = [V::zero(); I];
        let mut i = 0;
        while i < I {
            // SAFETY: `left` elements are left.
            x[i] = unsafe { V::load_first(from[i].add(at), left) };
            i += 1;
        }
        let y = map.lanes(x);
        let inside = V::mask_of((1 << left) - 1);
        let mut o = 0;
        while o < O {
            sums[o][v] = sums[o][v] + V::select(inside, y[o], V::zero());
            o += 1;
        }
        at += left;
        v += 1;
    }
    let mut result = [V::Elem::ZERO; O];
    let mut o = 0;
    while o < O {
        let mut half = vectors / 2;
        while half > 0 {
            let mut v = 0;
            while v < half {
                sums[o][v] = sums[o][v] + sums[o][v + half];
                v += 1;
            }
            half /= 2;
        }
        result[o] = sums[o][0].sum();
        o += 1;
    }
    result
}

/// The pointer allows for `len` elements.
struct ChunkMoments<T> {
    from: *const T,
    len: usize,
}

impl<T: Float> Kernel<T> for ChunkMoments<T> {
    type Output = Moments;
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) -> Moments {
        // SAFETY: the construction's promise.
        unsafe { chunk_moments::<V>(self.from, self.len) }
    }
}

/// # Safety
/// The pointer allows for `len` elements.
#[inline(always)]
pub(super) unsafe fn chunk_moments<V: Vector>(from: *const V::Elem, len: usize) -> Moments {
    let mut total = Moments::default();
    let mut at = 0;
    while at < len {
        let n = BLOCK.min(len - at);
        let begin = from.wrapping_add(at);
        // SAFETY: `at + n` does not pass `len`.
        let sum = unsafe { block_sum::<V, Same, 1, 1>(Same, [begin], n) }[0].to_f64();
        let mean = sum / n as f64;
        // The block is in the first-level cache now. The mean rounded to the elements' precision will do: the sums of
        // the distances from it correct for it.
        let centre = V::Elem::of(mean);
        // SAFETY: as above.
        let [apart, squares] = unsafe { block_sum::<V, Apart<V::Elem>, 1, 2>(Apart(centre), [begin], n) };
        let apart = apart.to_f64() / n as f64;
        let block = Moments {
            count: n as f64,
            mean: centre.to_f64() + apart,
            squares: (squares.to_f64() - apart * apart * n as f64).max(0.0),
        };
        total = total.and(block);
        at += n;
    }
    total
}

fn extreme<T: Float, const MAX: bool>(isa: Isa, from: &Shared<T>, range: Range<usize>) -> T {
    dispatch(isa, Extreme::<T, MAX> { from: from.get().wrapping_add(range.start), len: range.len() })
}

/// The pointer allows for `len` elements.
struct Extreme<T, const MAX: bool> {
    from: *const T,
    len: usize,
}

impl<T: Float, const MAX: bool> Kernel<T> for Extreme<T, MAX> {
    type Output = T;
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) -> T {
        // SAFETY: the construction's promise.
        unsafe { extreme_of::<V, MAX>(self.from, self.len) }
    }
}

/// The largest or smallest element; NaN if any is.
///
/// # Safety
/// The pointer allows for `len` elements.
#[inline(always)]
pub(super) unsafe fn extreme_of<V: Vector, const MAX: bool>(from: *const V::Elem, len: usize) -> V::Elem {
    let worst = V::splat(if MAX { -V::Elem::INFINITY } else { V::Elem::INFINITY });
    let mut best = [worst; 4];
    let mut nan = V::mask_of(0);
    let mut at = 0;
    while at + 4 * V::LANES <= len {
        let mut v = 0;
        while v < 4 {
            // SAFETY: four vectors are left.
            let x = unsafe { V::load(from.add(at + v * V::LANES)) };
            best[v] = if MAX { x.max(best[v]) } else { x.min(best[v]) };
            nan = V::or(nan, x.is_nan());
            v += 1;
        }
        at += 4 * V::LANES;
    }
    while at < len {
        let left = V::LANES.min(len - at);
        // SAFETY: `left` elements are left.
        let x = unsafe { V::load_first(from.add(at), left) };
        let x = V::select(V::mask_of(((1u64 << left) - 1) as u32), x, worst);
        best[0] = if MAX { x.max(best[0]) } else { x.min(best[0]) };
        nan = V::or(nan, x.is_nan());
        at += left;
    }
    if V::bits(nan) != 0 {
        return V::Elem::NAN;
    }
    if MAX {
        best[0].max(best[2]).max(best[1].max(best[3])).largest()
    } else {
        best[0].min(best[2]).min(best[1].min(best[3])).smallest()
    }
}

/// `x` has `out.len()` rows of `columns`.
struct Rows<'a, T> {
    op: Reduction,
    x: *const T,
    columns: usize,
    out: &'a mut [T],
}

impl<T: Float> Kernel<T> for Rows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { op, x, columns, out } = self;
        let chunk = chunk_len(columns);
        for (r, out) in out.iter_mut().enumerate() {
            let row = x.wrapping_add(r * columns);
            let (mut total, mut moments) = (0.0, Moments::default());
            let mut at = 0;
            while at < columns && !matches!(op, Reduction::Max | Reduction::Min) {
                let (begin, n) = (row.wrapping_add(at), chunk.min(columns - at));
                // SAFETY: within the row.
                unsafe {
                    match op {
                        Reduction::SumSquares => total += sum_blocks::<V, Squared, 1, 1>(Squared, [begin], n)[0],
                        Reduction::Variance { .. } => moments = moments.and(chunk_moments::<V>(begin, n)),
                        _ => total += sum_blocks::<V, Same, 1, 1>(Same, [begin], n)[0],
                    }
                }
                at += n;
            }
            *out = match op {
                Reduction::Sum | Reduction::SumSquares => T::of(total),
                Reduction::Mean => T::of(total / columns as f64),
                Reduction::Variance { correction } => T::of(moments.variance(correction)),
                // SAFETY: the row.
                Reduction::Max => unsafe { extreme_of::<V, true>(row, columns) },
                // SAFETY: the row.
                Reduction::Min => unsafe { extreme_of::<V, false>(row, columns) },
            };
        }
    }
}

macro_rules! terms {
    ($($(#[$doc:meta])* $name:ident, [$($x:ident),+]: $value:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name;
        impl<T: Float> Map<T, { [$(stringify!($x)),+].len() }, 1> for $name {
            #[inline(always)]
            fn lanes<V: Vector<Elem = T>>(self, [$($x),+]: [V; { [$(stringify!($x)),+].len() }]) -> [V; 1] { [$value] }
        }
    )* };
}

terms! {
    /// The element.
    Same, [x]: x;
    /// Its square.
    Squared, [x]: x * x;
    /// The product of two.
    Product, [a, b]: a * b;
    /// 0, or NaN where infinite or NaN.
    TimesZero, [x]: x * V::zero();
    /// 1 where not 0.
    NotZero, [x]: V::select(x.eq(V::zero()), V::zero(), V::one());
}

/// The distance from a number, and its square.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apart<T>(pub(super) T);
impl<T: Float> Map<T, 1, 2> for Apart<T> {
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [x]: [V; 1]) -> [V; 2] {
        let apart = x - V::splat(self.0);
        [apart, apart * apart]
    }
}

#[cfg(test)]
mod tests;
