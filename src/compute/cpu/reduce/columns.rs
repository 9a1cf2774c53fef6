//! Sums and extremes of the columns of a matrix (over its leading dimension).
//!
//! Each column is added from top to bottom: rows in blocks of 64, blocks within chunks that follow from the size alone
//! (65,536 elements or 256 rows, whichever is more), then the chunks. Matrices of up to 32 columns are read as ones of
//! a multiple of the columns. The result is the same for any number of workers and, but for fused products, on every
//! instruction set; the error is at most `64 + rows of a chunk / 64 + chunks` roundings.
#![allow(unsafe_code)]

use super::{Reduction, Same, Squared, reduce_rows, reduce_rows_block};
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::map::Map;
use crate::compute::cpu::scratch::with_scratch;
use crate::compute::cpu::strided::split_rows;
use crate::compute::cpu::{Cpu, Parts};

/// Rows added up before they are added to what came before.
const BLOCK: usize = 64;
/// Columns dealt with together.
const STRIP: usize = 1024;
/// Up to so many columns, rows are joined to longer ones.
const SHORT: usize = TILE / 2;
/// Elements of rows that were joined because they are short.
const TILE: usize = 64;
/// Elements from which on work is shared.
const SHARED: usize = 32_768;

/// `out[c]` = sum over `r` of `map(x[r, c], parameters[..][c])`.
///
/// # Panics
/// If lengths do not fit the columns, of which there are as many as results.
fn column_sums<T: Float, const C: usize, const N: usize>(
    cpu: &Cpu,
    map: impl Map<T, N, 1>,
    x: &[T],
    parameters: [&[T]; C],
    out: &mut [T],
) {
    const { assert!(N == 1 + C) };
    let columns = out.len();
    assert!(columns > 0 && x.len().is_multiple_of(columns), "{} elements in rows of {columns}", x.len());
    assert!(parameters.iter().all(|p| p.len() == columns), "a parameter for each of {columns} columns");
    let rows = x.len() / columns;
    let join = TILE / columns;
    if columns > SHORT || rows < 2 * join {
        return sums(cpu, map, x, parameters, out);
    }
    // Rows side by side: the columns of the long rows are summed, then those that are the same column.
    let wide = join * columns;
    let (long, rest) = x.split_at(rows / join * wide);
    let mut tiles = [[T::ZERO; TILE]; C];
    for (tile, parameters) in tiles.iter_mut().zip(parameters) {
        tile[..wide].chunks_exact_mut(columns).for_each(|copy| copy.copy_from_slice(parameters));
    }
    let (mut joined, mut last) = ([T::ZERO; TILE], [T::ZERO; TILE]);
    sums(cpu, map, long, tiles.each_ref().map(|tile| &tile[..wide]), &mut joined[..wide]);
    if !rest.is_empty() {
        sums(cpu, map, rest, parameters, &mut last[..columns]);
    }
    for (c, out) in out.iter_mut().enumerate() {
        *out = (0..join).fold(T::ZERO, |sum, copy| sum + joined[copy * columns + c]) + last[c];
    }
}

fn sums<T: Float, const C: usize, const N: usize>(
    cpu: &Cpu,
    map: impl Map<T, N, 1>,
    x: &[T],
    parameters: [&[T]; C],
    out: &mut [T],
) {
    let columns = out.len();
    let rows = x.len() / columns;
    let chunk = (65_536usize.div_ceil(columns)).max(256).next_multiple_of(BLOCK);
    let (chunks, strips) = (rows.div_ceil(chunk).max(1), columns.div_ceil(STRIP));
    with_scratch::<T, _>(chunks * columns, |partial| {
        let parts = Parts::new(partial);
        let task = |index: usize| {
            let (i, strip) = (index / strips, index % strips);
            let rows = i * chunk..((i + 1) * chunk).min(rows);
            let begin = strip * STRIP;
            let n = STRIP.min(columns - begin);
            // SAFETY: each strip of each chunk belongs to one task.
            let out = unsafe { parts.piece(i * columns + begin..i * columns + begin + n) };
            let parameters = parameters.map(|p| p[begin..begin + n].as_ptr());
            let x = x[rows.start * columns..rows.end * columns].as_ptr().wrapping_add(begin);
            dispatch(cpu.isa, Strip { map, x, rows: rows.len(), columns, parameters, out });
        };
        let grain = if x.len() >= SHARED { 1 } else { usize::MAX };
        split_rows(cpu, chunks * strips, 1, grain, &|mine| mine.for_each(task));
        out.fill(T::ZERO);
        for part in partial.chunks_exact(columns) {
            out.iter_mut().zip(part).for_each(|(sum, part)| *sum += *part);
        }
    });
}

/// The sums of some columns over `rows` rows, `columns` apart, whose first element is at `x`.
struct Strip<'a, T, M, const C: usize, const N: usize> {
    map: M,
    x: *const T,
    rows: usize,
    columns: usize,
    parameters: [*const T; C],
    out: &'a mut [T],
}

impl<T: Float, M: Map<T, N, 1>, const C: usize, const N: usize> Kernel<T> for Strip<'_, T, M, C, N> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let strip = self;
        let n = strip.out.len();
        let mut block = [T::ZERO; STRIP];
        strip.out.fill(T::ZERO);
        let mut row = 0;
        while row < strip.rows {
            let end = strip.rows.min(row + BLOCK);
            let mut first = true;
            while row < end {
                // Several rows at a time, so that the sums are loaded and stored less often.
                // SAFETY: the rows are there, and `block` has room for the sums.
                unsafe {
                    if end - row >= 4 {
                        strip.add_rows::<V, 4>(row, block.as_mut_ptr(), first);
                        row += 4;
                    } else {
                        strip.add_rows::<V, 1>(row, block.as_mut_ptr(), first);
                        row += 1;
                    }
                }
                first = false;
            }
            // SAFETY: `n` sums of either.
            unsafe { add_to::<V>(strip.out.as_mut_ptr(), block.as_ptr(), n) };
        }
    }
}

impl<T: Float, M: Map<T, N, 1>, const C: usize, const N: usize> Strip<'_, T, M, C, N> {
    /// Adds `G` rows to the sums at `to`, or begins them with the rows.
    ///
    /// # Safety
    /// The rows are there; `to` allows for a sum of each column.
    #[inline(always)]
    unsafe fn add_rows<V: Vector<Elem = T>, const G: usize>(&self, row: usize, to: *mut T, first: bool) {
        let n = self.out.len();
        let mut at = 0;
        while at < n {
            let left = n - at;
            let mut sum = V::zero();
            let mut x = [V::zero(); N];
            // SAFETY: the caller's promise.
            unsafe {
                if !first {
                    sum = load(to.add(at), left);
                }
                let mut i = 0;
                while i < C {
                    x[1 + i] = load(self.parameters[i].add(at), left);
                    i += 1;
                }
                let mut g = 0;
                while g < G {
                    x[0] = load(self.x.add((row + g) * self.columns + at), left);
                    let [y] = self.map.lanes(x);
                    sum = sum + y;
                    g += 1;
                }
                if left >= V::LANES { sum.store(to.add(at)) } else { sum.store_first(to.add(at), left) }
            }
            at += V::LANES;
        }
    }
}

/// A vector of the `left` elements that are left, or the first of them.
///
/// # Safety
/// `left` elements can be read.
#[inline(always)]
unsafe fn load<V: Vector>(from: *const V::Elem, left: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe { if left >= V::LANES { V::load(from) } else { V::load_first(from, left) } }
}

/// `to += x`.
///
/// # Safety
/// Both allow for `n` elements.
#[inline(always)]
unsafe fn add_to<V: Vector>(to: *mut V::Elem, x: *const V::Elem, n: usize) {
    let mut at = 0;
    while at + V::LANES <= n {
        // SAFETY: the caller's promise.
        unsafe { (V::load(to.add(at)) + V::load(x.add(at))).store(to.add(at)) };
        at += V::LANES;
    }
    if at < n {
        // SAFETY: the caller's promise.
        unsafe {
            (V::load_first(to.add(at), n - at) + V::load_first(x.add(at), n - at)).store_first(to.add(at), n - at)
        };
    }
}

/// `out[c]` = sum over `r` of `x[r, c]`: the gradient of a bias.
///
/// # Panics
/// If the length of `x` is no multiple of the length of `out`.
pub fn sum_columns<T: Float>(cpu: &Cpu, x: &[T], out: &mut [T]) {
    if x.is_empty() {
        return out.fill(T::ZERO);
    }
    column_sums(cpu, Same, x, [], out);
}

/// One number of each column: `out[c]` of `x[.., c]`.
///
/// # Panics
/// If the length of `x` is no multiple of the length of `out`.
pub fn reduce_columns<T: Float>(cpu: &Cpu, op: Reduction, x: &[T], out: &mut [T]) {
    let columns = out.len();
    if x.is_empty() {
        let mut nothing = [T::ZERO];
        reduce_rows_block(cpu.isa, op, &[], 0, &mut nothing);
        return out.fill(nothing[0]);
    }
    let rows = (x.len() / columns) as f64;
    let scale = |out: &mut [T], divisor: f64| out.iter_mut().for_each(|y| *y = T::of(y.to_f64() / divisor));
    match op {
        Reduction::Sum => sum_columns(cpu, x, out),
        Reduction::Mean => {
            sum_columns(cpu, x, out);
            scale(out, rows);
        }
        Reduction::SumSquares => column_sums(cpu, Squared, x, [], out),
        Reduction::Variance { correction } => with_scratch(columns, |mean| {
            sum_columns(cpu, x, mean);
            scale(mean, rows);
            column_sums(cpu, SquaredDistance, x, [&*mean], out);
            scale(out, if rows > correction { rows - correction } else { f64::NAN });
        }),
        Reduction::Max => extremes::<T, true>(cpu, x, out),
        Reduction::Min => extremes::<T, false>(cpu, x, out),
    }
}

/// One number along the middle dimension: `out[o, i]` of `x[o, .., i]` for `x` of `[outer, n, inner]`. Any axis of a
/// contiguous tensor, or several neighbouring ones.
///
/// # Panics
/// If lengths do not fit.
pub fn reduce_axis<T: Float>(cpu: &Cpu, op: Reduction, x: &[T], [outer, n, inner]: [usize; 3], out: &mut [T]) {
    assert_eq!(x.len(), outer * n * inner, "a tensor of {outer} x {n} x {inner}");
    assert_eq!(out.len(), outer * inner, "a result of {outer} x {inner}");
    if inner == 1 {
        return reduce_rows(cpu, op, x, n, out);
    }
    if out.is_empty() {
        return;
    }
    if x.is_empty() {
        return reduce_columns(cpu, op, x, out);
    }
    if outer < cpu.crew.size() || n * inner >= SHARED {
        for (x, out) in x.chunks_exact(n * inner).zip(out.chunks_exact_mut(inner)) {
            reduce_columns(cpu, op, x, out);
        }
        return;
    }
    let out = Parts::new(out);
    split_rows(cpu, outer, n * inner, SHARED / 2, &|mine| {
        for o in mine {
            // SAFETY: each `o` belongs to one worker. Within a crew's task `cpu` works on the caller alone.
            let out = unsafe { out.piece(o * inner..(o + 1) * inner) };
            reduce_columns(cpu, op, &x[o * n * inner..(o + 1) * n * inner], out);
        }
    });
}

/// `(x - mean)^2`
#[derive(Clone, Copy)]
struct SquaredDistance;
impl<T: Float> Map<T, 2, 1> for SquaredDistance {
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [x, mean]: [V; 2]) -> [V; 1] {
        let apart = x - mean;
        [apart * apart]
    }
}

fn extremes<T: Float, const MAX: bool>(cpu: &Cpu, x: &[T], out: &mut [T]) {
    let columns = out.len();
    assert!(x.len().is_multiple_of(columns), "{} elements in rows of {columns}", x.len());
    let out = Parts::new(out);
    let (isa, rows) = (cpu.isa, x.len() / columns);
    let strips = columns.div_ceil(64);
    split_rows(cpu, strips, 64 * rows, SHARED / 2, &|mine| {
        let (begin, end) = (mine.start * 64, (mine.end * 64).min(columns));
        // SAFETY: strips are disjoint.
        let out = unsafe { out.piece(begin..end) };
        dispatch(isa, Extremes::<T, MAX> { x: x.as_ptr().wrapping_add(begin), rows, columns, out });
    });
}

/// `rows` rows, `columns` apart, can be read from `x` on.
struct Extremes<'a, T, const MAX: bool> {
    x: *const T,
    rows: usize,
    columns: usize,
    out: &'a mut [T],
}

impl<T: Float, const MAX: bool> Kernel<T> for Extremes<'_, T, MAX> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { x, rows, columns, out } = self;
        out.fill(if MAX { -T::INFINITY } else { T::INFINITY });
        for r in 0..rows {
            let row = x.wrapping_add(r * columns);
            let mut at = 0;
            while at < out.len() {
                let n = V::LANES.min(out.len() - at);
                let best = out.as_mut_ptr().wrapping_add(at);
                // SAFETY: `n` elements are left in the row and the output.
                unsafe {
                    let (a, b) = (V::load_first(best, n), V::load_first(row.add(at), n));
                    let better = if MAX { a.max(b) } else { a.min(b) };
                    V::select(a.is_nan(), a, better).store_first(best, n);
                }
                at += n;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Isa;

    fn numbers<T: Float>(len: usize) -> Vec<T> {
        (0..len).map(|i| T::of(((i * 7919 + 13) % 2003) as f64 * 0.01 - 7.0)).collect()
    }

    const OPS: [Reduction; 6] = [
        Reduction::Sum,
        Reduction::Mean,
        Reduction::Max,
        Reduction::Min,
        Reduction::SumSquares,
        Reduction::Variance { correction: 1.0 },
    ];

    /// Columns one by one, in double precision.
    fn exact(op: Reduction, x: &[f64], columns: usize) -> Vec<f64> {
        let rows = x.len() / columns;
        let column = |c: usize| x.iter().skip(c).step_by(columns).copied();
        (0..columns)
            .map(|c| {
                let n = rows as f64;
                let mean = column(c).sum::<f64>() / n;
                match op {
                    Reduction::Sum => mean * n,
                    Reduction::Mean => mean,
                    Reduction::Max => column(c).fold(f64::NEG_INFINITY, f64::max),
                    Reduction::Min => column(c).fold(f64::INFINITY, f64::min),
                    Reduction::SumSquares => column(c).map(|x| x * x).sum(),
                    Reduction::Variance { correction } => {
                        column(c).map(|x| (x - mean).powi(2)).sum::<f64>() / (n - correction)
                    }
                }
            })
            .collect()
    }

    fn check<T: Float>(rows: usize, columns: usize, tolerance: f64) {
        let x = numbers::<T>(rows * columns);
        let wide: Vec<f64> = x.iter().map(|x| x.to_f64()).collect();
        for op in OPS {
            let want = exact(op, &wide, columns);
            let mut first: Option<Vec<T>> = None;
            for isa in Isa::all_available() {
                for workers in [1, 2, 3, 5] {
                    let mut out = vec![T::ZERO; columns];
                    reduce_columns(&Cpu::with_isa(workers, isa), op, &x, &mut out);
                    for (got, want) in out.iter().zip(&want) {
                        let close = (got.to_f64() - want).abs() <= tolerance * rows as f64 * 100.0;
                        assert!(close || want.is_nan(), "{op:?} {rows}x{columns}: {got:?}, not {want}");
                    }
                    let same = first.get_or_insert_with(|| out.clone()).iter().zip(&out);
                    assert!(
                        same.into_iter().all(|(a, b)| a == b || b.is_nan()),
                        "{op:?} {rows}x{columns} on {isa} with {workers}"
                    );
                }
            }
        }
    }

    #[test]
    fn columns_of_all_shapes() {
        for (rows, columns) in [
            (1, 1),
            (5, 3),
            (64, 10),
            (1000, 6),
            (64, 256),
            (300, 32),
            (257, 33),
            (5000, 16),
            (100, 768),
            (3, 5000),
            (700, 100),
        ] {
            check::<f32>(rows, columns, 1e-6);
            check::<f64>(rows, columns, 1e-14);
        }
    }

    #[test]
    fn any_axis() {
        let (outer, n, inner) = (9, 70, 65);
        let x = numbers::<f32>(outer * n * inner);
        for op in OPS {
            for workers in [1, 3] {
                let cpu = Cpu::new(workers);
                let mut out = vec![0.0; outer * inner];
                reduce_axis(&cpu, op, &x, [outer, n, inner], &mut out);
                for o in 0..outer {
                    let mut want = vec![0.0; inner];
                    reduce_columns(&cpu, op, &x[o * n * inner..][..n * inner], &mut want);
                    assert_eq!(out[o * inner..][..inner], want);
                }
                let mut rows = vec![0.0; outer * n];
                reduce_axis(&cpu, op, &x, [outer * n, inner, 1], &mut rows);
                let mut want = vec![0.0; outer * n];
                reduce_rows(&cpu, op, &x, inner, &mut want);
                assert_eq!(rows, want);
            }
        }
        let mut out = [1.0, 1.0];
        reduce_axis::<f32>(&Cpu::new(1), Reduction::Sum, &[], [1, 0, 2], &mut out);
        assert_eq!(out, [0.0, 0.0]);
        reduce_axis::<f32>(&Cpu::new(1), Reduction::Max, &[], [1, 0, 2], &mut out);
        assert_eq!(out, [f32::NEG_INFINITY; 2]);
    }

    #[test]
    fn nan_is_the_extreme_of_its_column() {
        let mut x = numbers::<f32>(50 * 20);
        x[7 * 20 + 3] = f32::NAN;
        for isa in Isa::all_available() {
            let mut out = vec![0.0; 20];
            reduce_columns(&Cpu::with_isa(2, isa), Reduction::Max, &x, &mut out);
            assert!(out.iter().enumerate().all(|(c, y)| y.is_nan() == (c == 3)));
        }
    }
}
