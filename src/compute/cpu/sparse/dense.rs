//! Products of a sparse matrix with a dense one, and what their gradients take.
#![allow(unsafe_code)]

use super::{Cpu, Rows, split_rows};
use crate::compute::cpu::Parts;
use crate::compute::simd::{Kernel, Lanes, Real, dispatch};
use std::ops::Range;

/// `out = a b`: `b` is `a.cols` x `n`, `out` is rows x `n`, both row-major. Each element is the sum along the row of `a`
/// in its order.
///
/// # Panics
/// If sizes do not fit or a column is out of range.
pub fn product<T: Real>(cpu: &Cpu, a: Rows<'_, T>, b: &[T], n: usize, out: &mut [T]) {
    a.check();
    assert_eq!((b.len(), out.len()), (a.cols * n, a.rows() * n), "sizes of a product");
    if n == 1 {
        return times_vector(cpu, a, b, out);
    }
    let parts = Parts::new(out);
    split_rows(cpu, a.starts, n as f64 / 16.0, &|rows| {
        // SAFETY: ranges of rows do not overlap.
        let out = unsafe { parts.piece(rows.start * n..rows.end * n) };
        dispatch(cpu.isa, Product { a, b, n, rows, out });
    });
}

struct Product<'a, T> {
    a: Rows<'a, T>,
    b: &'a [T],
    n: usize,
    rows: Range<usize>,
    out: &'a mut [T],
}

impl<T: Real> Kernel<T> for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        let Self { a, b, n, rows, out } = self;
        for (row, out) in rows.zip(out.chunks_exact_mut(n)) {
            let elements = a.starts[row]..a.starts[row + 1];
            let (columns, values) = (&a.columns[elements.clone()], &a.values[elements]);
            if n < S::LANES {
                narrow::<S>(columns, values, b, out);
                continue;
            }
            let mut at = 0;
            while n - at >= 8 * S::LANES {
                tile::<S, 8>(columns, values, b, n, at, out);
                at += 8 * S::LANES;
            }
            if n - at >= 4 * S::LANES {
                tile::<S, 4>(columns, values, b, n, at, out);
                at += 4 * S::LANES;
            }
            if n - at >= 2 * S::LANES {
                tile::<S, 2>(columns, values, b, n, at, out);
                at += 2 * S::LANES;
            }
            if n - at >= S::LANES {
                tile::<S, 1>(columns, values, b, n, at, out);
                at += S::LANES;
            }
            if at < n {
                // The last columns once more with some before them, whose sums are the same.
                tile::<S, 1>(columns, values, b, n, n - S::LANES, out);
            }
        }
    }
}

/// `U` vectors of a row of the result, from column `at` on.
#[inline(always)]
fn tile<S: Lanes, const U: usize>(
    columns: &[u32],
    values: &[S::Elem],
    b: &[S::Elem],
    n: usize,
    at: usize,
    out: &mut [S::Elem],
) {
    let mut sums = [S::splat(S::Elem::ZERO); U];
    for (column, value) in columns.iter().zip(values) {
        let from = *column as usize * n + at;
        let row = &b[from..from + U * S::LANES];
        let value = S::splat(*value);
        for (u, sum) in sums.iter_mut().enumerate() {
            *sum = sum.add(value.mul(S::load(&row[u * S::LANES..])));
        }
    }
    let out = &mut out[at..at + U * S::LANES];
    for (u, sum) in sums.into_iter().enumerate() {
        sum.store(&mut out[u * S::LANES..]);
    }
}

/// A row of the result that is narrower than a vector. What lies behind a row of `b` is summed along and dropped.
#[inline(always)]
fn narrow<S: Lanes>(columns: &[u32], values: &[S::Elem], b: &[S::Elem], out: &mut [S::Elem]) {
    let n = out.len();
    let mut sum = S::splat(S::Elem::ZERO);
    let mut padded = [S::Elem::ZERO; 32];
    for (column, value) in columns.iter().zip(values) {
        let from = *column as usize * n;
        let row = if from + S::LANES <= b.len() {
            S::load(&b[from..from + S::LANES])
        } else {
            padded[..n].copy_from_slice(&b[from..from + n]);
            S::load(&padded)
        };
        sum = sum.add(S::splat(*value).mul(row));
    }
    sum.store(&mut padded);
    out.copy_from_slice(&padded[..n]);
}

/// `out = a x` for a vector. Each sum is taken in 8 interleaved parts.
///
/// # Panics
/// If sizes do not fit or a column is out of range.
pub fn times_vector<T: Real>(cpu: &Cpu, a: Rows<'_, T>, x: &[T], out: &mut [T]) {
    a.check();
    assert_eq!((x.len(), out.len()), (a.cols, a.rows()), "sizes of a product");
    let parts = Parts::new(out);
    split_rows(cpu, a.starts, 0.6, &|rows| {
        // SAFETY: ranges of rows do not overlap.
        let out = unsafe { parts.piece(rows.clone()) };
        for (row, out) in rows.zip(out) {
            let elements = a.starts[row]..a.starts[row + 1];
            let (columns, values) = (&a.columns[elements.clone()], &a.values[elements]);
            let mut sums = [T::ZERO; 8];
            let (whole, rest) = columns.as_chunks::<8>();
            let (values, values_rest) = values.as_chunks::<8>();
            for (columns, values) in whole.iter().zip(values) {
                for ((sum, column), value) in sums.iter_mut().zip(columns).zip(values) {
                    *sum += *value * x[*column as usize];
                }
            }
            for ((sum, column), value) in sums.iter_mut().zip(rest).zip(values_rest) {
                *sum += *value * x[*column as usize];
            }
            *out = pairwise(&mut sums);
        }
    });
}

/// The sum of a power of two of parts, added in pairs.
#[inline(always)]
fn pairwise<T: Real>(parts: &mut [T]) -> T {
    let mut half = parts.len() / 2;
    while half > 0 {
        for i in 0..half {
            parts[i] += parts[i + half];
        }
        half /= 2;
    }
    parts[0]
}

/// `out[e]` = the product of row `row(e)` of `c` (rows x `n`) with row `columns[e]` of `b` (`a.cols` x `n`), for every
/// stored element `e`; the values of `a` are not read. The gradient of stored values. Each sum is taken in 32
/// interleaved parts.
///
/// # Panics
/// If sizes do not fit or a column is out of range.
pub fn sampled<T: Real>(cpu: &Cpu, a: Rows<'_, T>, c: &[T], b: &[T], n: usize, out: &mut [T]) {
    a.check();
    assert_eq!((b.len(), c.len(), out.len()), (a.cols * n, a.rows() * n, a.columns.len()), "sizes of a product");
    let parts = Parts::new(out);
    split_rows(cpu, a.starts, 2.0 + n as f64 / 16.0, &|rows| {
        // SAFETY: ranges of rows do not overlap.
        let out = unsafe { parts.piece(a.starts[rows.start]..a.starts[rows.end]) };
        dispatch(cpu.isa, Sampled { a, b, c, n, rows, out });
    });
}

struct Sampled<'a, T> {
    a: Rows<'a, T>,
    b: &'a [T],
    c: &'a [T],
    n: usize,
    rows: Range<usize>,
    out: &'a mut [T],
}

impl<T: Real> Kernel<T> for Sampled<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        let Self { a, b, c, n, rows, out } = self;
        let first = a.starts[rows.start];
        for row in rows {
            let elements = a.starts[row]..a.starts[row + 1];
            let of_c = &c[row * n..(row + 1) * n];
            let out = &mut out[elements.start - first..elements.end - first];
            for (column, out) in a.columns[elements].iter().zip(out) {
                let from = *column as usize * n;
                *out = dot::<S>(of_c, &b[from..from + n]);
            }
        }
    }
}

/// Numbers summed apart: the same for lanes of any width.
const PARTS: usize = 32;

#[inline(always)]
fn dot<S: Lanes>(a: &[S::Elem], b: &[S::Elem]) -> S::Elem {
    // At most 8 vectors make up the parts.
    let vectors = PARTS / S::LANES;
    let mut sums = [S::splat(S::Elem::ZERO); 8];
    let (whole, rest) = a.as_chunks::<PARTS>();
    let (b_whole, b_rest) = b.as_chunks::<PARTS>();
    for (a, b) in whole.iter().zip(b_whole) {
        for (u, sum) in sums.iter_mut().enumerate().take(vectors) {
            *sum = sum.add(S::load(&a[u * S::LANES..]).mul(S::load(&b[u * S::LANES..])));
        }
    }
    let mut parts = [S::Elem::ZERO; PARTS];
    if !rest.is_empty() {
        let (mut a, mut b) = (parts, parts);
        a[..rest.len()].copy_from_slice(rest);
        b[..b_rest.len()].copy_from_slice(b_rest);
        for (u, sum) in sums.iter_mut().enumerate().take(vectors) {
            *sum = sum.add(S::load(&a[u * S::LANES..]).mul(S::load(&b[u * S::LANES..])));
        }
    }
    for (u, sum) in sums.into_iter().enumerate().take(vectors) {
        sum.store(&mut parts[u * S::LANES..]);
    }
    pairwise(&mut parts)
}
