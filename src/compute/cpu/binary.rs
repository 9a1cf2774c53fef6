//! Elementwise functions of two columns, with broadcasting.
#![allow(unsafe_code)]

use super::lanes::{Float, Vector};
use super::map::{Map, map, map_block, update, update_block, walk};
use super::strided::{BLOCK, Gather, Shared, Walk, split_rows};
use super::{Cpu, Parts};
use crate::compute::isa::Isa;
use std::ops::Range;

/// An elementwise function of two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a b`
    Mul,
    /// `a / b`
    Div,
    /// The smaller; NaN if either is.
    Min,
    /// The larger; NaN if either is.
    Max,
    /// `a` to the power of `b`: see [`math::pow`](super::math::pow()).
    Pow,
    /// `alpha a + beta b`, the sum fused where the machine can.
    Combine {
        /// Factor of the first.
        alpha: f64,
        /// Factor of the second.
        beta: f64,
    },
}

macro_rules! with_function {
    ($op:expr, $t:ty, $then:ident) => {
        match $op {
            Binary::Add => $then!(Add),
            Binary::Sub => $then!(Sub),
            Binary::Mul => $then!(Mul),
            Binary::Div => $then!(Div),
            Binary::Min => $then!(Min),
            Binary::Max => $then!(Max),
            Binary::Pow => $then!(Pow),
            // A factor of one takes no multiplication.
            Binary::Combine { alpha, beta } if alpha == 1.0 => $then!(AddScaled(<$t>::of(beta))),
            Binary::Combine { alpha, beta } => $then!(Combine(<$t>::of(alpha), <$t>::of(beta))),
        }
    };
}

/// `out = op(a, b)`, elementwise on columns of one length.
///
/// # Panics
/// If the lengths differ.
pub fn binary<T: Float>(cpu: &Cpu, op: Binary, a: &[T], b: &[T], out: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map(cpu, $f, [a, b], [out])
        };
    }
    with_function!(op, T, run)
}

/// [`binary`] on the caller alone: a block within another loop.
///
/// # Panics
/// If the lengths differ.
pub fn binary_block<T: Float>(isa: Isa, op: Binary, a: &[T], b: &[T], out: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map_block(isa, $f, [a, b], [out])
        };
    }
    with_function!(op, T, run)
}

/// `a = op(a, b)`, elementwise on columns of one length.
///
/// # Panics
/// If the lengths differ.
pub fn binary_in_place<T: Float>(cpu: &Cpu, op: Binary, a: &mut [T], b: &[T]) {
    macro_rules! run {
        ($f:expr) => {
            update(cpu, $f, [a], [b])
        };
    }
    with_function!(op, T, run)
}

/// [`binary_in_place`] on the caller alone: a block within another loop.
///
/// # Panics
/// If the lengths differ.
pub fn binary_in_place_block<T: Float>(isa: Isa, op: Binary, a: &mut [T], b: &[T]) {
    macro_rules! run {
        ($f:expr) => {
            update_block(isa, $f, [a], [b])
        };
    }
    with_function!(op, T, run)
}

/// `out = op(a, scalar)`.
///
/// # Panics
/// If the lengths differ.
pub fn binary_scalar<T: Float>(cpu: &Cpu, op: Binary, a: &[T], scalar: T, out: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map(cpu, WithRight($f, scalar), [a], [out])
        };
    }
    with_function!(op, T, run)
}

/// `a = op(a, scalar)`.
pub fn binary_scalar_in_place<T: Float>(cpu: &Cpu, op: Binary, a: &mut [T], scalar: T) {
    macro_rules! run {
        ($f:expr) => {
            update(cpu, WithRight($f, scalar), [a], [])
        };
    }
    with_function!(op, T, run)
}

/// `out = op(scalar, b)`.
///
/// # Panics
/// If the lengths differ.
pub fn scalar_binary<T: Float>(cpu: &Cpu, op: Binary, scalar: T, b: &[T], out: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map(cpu, WithLeft($f, scalar), [b], [out])
        };
    }
    with_function!(op, T, run)
}

/// `out[r, c] = op(a[r, c], row[c])`: a bias for each column.
///
/// # Panics
/// If `a` and `out` differ in length, or it is no multiple of the length of `row`.
pub fn binary_row<T: Float>(cpu: &Cpu, op: Binary, a: &[T], row: &[T], out: &mut [T]) {
    assert_eq!(a.len(), out.len(), "input and output differ in length");
    let (rows, columns) = rows_of(a.len(), row.len());
    let out = Parts::new(out);
    general(cpu, op, &[rows, columns], (a.as_ptr(), &[columns, 1], a.len()), (row, &[0, 1]), out);
}

/// [`binary_row`] onto its first argument.
///
/// # Panics
/// If the length of `a` is no multiple of the length of `row`.
pub fn binary_row_in_place<T: Float>(cpu: &Cpu, op: Binary, a: &mut [T], row: &[T]) {
    let (rows, columns) = rows_of(a.len(), row.len());
    let (len, out) = (a.len(), Parts::new(a));
    general(cpu, op, &[rows, columns], (out.as_mut_ptr(), &[columns, 1], len), (row, &[0, 1]), out);
}

/// `out[r, c] = op(a[r, c], column[r])`.
///
/// # Panics
/// If `a` and `out` differ in length, or it is no multiple of the length of `column`.
pub fn binary_column<T: Float>(cpu: &Cpu, op: Binary, a: &[T], column: &[T], out: &mut [T]) {
    assert_eq!(a.len(), out.len(), "input and output differ in length");
    let (columns, rows) = rows_of(a.len(), column.len());
    let out = Parts::new(out);
    general(cpu, op, &[rows, columns], (a.as_ptr(), &[columns, 1], a.len()), (column, &[1, 0]), out);
}

/// `out = op(a, b)` on views of one shape, whatever their strides (in elements; 0 repeats); `out` is filled row by row.
///
/// # Panics
/// If a view leaves its slice, `out` has another number of elements, or there are more than 8 dimensions.
#[allow(clippy::too_many_arguments)]
pub fn strided_binary<T: Float>(
    cpu: &Cpu,
    op: Binary,
    shape: &[usize],
    a: &[T],
    a_strides: &[usize],
    b: &[T],
    b_strides: &[usize],
    out: &mut [T],
) {
    assert_eq!(out.len(), shape.iter().product::<usize>(), "the output of a shape {shape:?}");
    general(cpu, op, shape, (a.as_ptr(), a_strides, a.len()), (b, b_strides), Parts::new(out));
}

fn rows_of(len: usize, columns: usize) -> (usize, usize) {
    assert!(len == 0 || (columns > 0 && len.is_multiple_of(columns)), "{len} elements in rows of {columns}");
    (len.checked_div(columns).unwrap_or(0), columns)
}

/// The first argument may lie where the result does if it has the same strides.
fn general<T: Float>(
    cpu: &Cpu,
    op: Binary,
    shape: &[usize],
    a: (*const T, &[usize], usize),
    b: (&[T], &[usize]),
    out: Parts<'_, T>,
) {
    macro_rules! run {
        ($f:expr) => {
            general_with(cpu, $f, shape, a, b, out)
        };
    }
    with_function!(op, T, run)
}

fn general_with<T: Float, M: Map<T, 2, 1>>(
    cpu: &Cpu,
    f: M,
    shape: &[usize],
    (a, a_strides, a_len): (*const T, &[usize], usize),
    (b, b_strides): (&[T], &[usize]),
    out: Parts<'_, T>,
) {
    let way = Walk::new(shape, [a_strides, b_strides], [a_len, b.len()]);
    let a = Shared(a);
    if let ([rows, columns], [[apart, 0], [1, 1]]) = way.outline()
        && apart == columns
        && 2 * columns <= BLOCK
        && *rows >= 4 * cpu.crew.size()
    {
        return short_rows(cpu, f, a, (*rows, *columns), b, out);
    }
    let (isa, step) = (cpu.isa, way.step());
    let piece = if step == [1, 1] { usize::MAX } else { BLOCK };
    way.pieces(cpu, M::GRAIN, piece, || {
        let (mut left, mut right) = (Gather::new(a.get(), step[0]), Gather::new(b.as_ptr(), step[1]));
        move |place, n, [x, y]: [usize; 2]| {
            // SAFETY: the walk stays within the views and deals every place of the output once; what is read of the
            // output, if anything, are the same places.
            unsafe {
                let to = out.piece(place..place + n).as_mut_ptr();
                walk(isa, f, [left.piece(x, n), right.piece(y, n)], [to], n);
            }
        }
    });
}

/// `out = f(a, b)` where `a` and `out` have rows that lie one after the other, and `b` is one short row: it is repeated
/// in memory, so that what is done at a time is not short.
fn short_rows<T: Float, M: Map<T, 2, 1>>(
    cpu: &Cpu,
    f: M,
    a: Shared<T>,
    (rows, columns): (usize, usize),
    b: &[T],
    out: Parts<'_, T>,
) {
    let mut tile = [T::ZERO; BLOCK];
    let together = BLOCK / columns;
    for copy in tile.chunks_exact_mut(columns) {
        copy.copy_from_slice(&b[..columns]);
    }
    split_rows(cpu, rows, columns, M::GRAIN, &|part: Range<usize>| {
        let mut at = part.start;
        while at < part.end {
            let n = together.min(part.end - at) * columns;
            // SAFETY: parts are disjoint; the tile holds `together` rows; the first view lies as the output does.
            unsafe {
                let to = out.piece(at * columns..at * columns + n).as_mut_ptr();
                walk(cpu.isa, f, [a.get().add(at * columns), tile.as_ptr()], [to], n);
            }
            at += together;
        }
    });
}

#[derive(Clone, Copy)]
struct WithRight<F, T>(F, T);
impl<T: Float, F: Map<T, 2, 1>> Map<T, 1, 1> for WithRight<F, T> {
    const GRAIN: usize = F::GRAIN;
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [a]: [V; 1]) -> [V; 1] {
        self.0.lanes([a, V::splat(self.1)])
    }
}

#[derive(Clone, Copy)]
struct WithLeft<F, T>(F, T);
impl<T: Float, F: Map<T, 2, 1>> Map<T, 1, 1> for WithLeft<F, T> {
    const GRAIN: usize = F::GRAIN;
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [b]: [V; 1]) -> [V; 1] {
        self.0.lanes([V::splat(self.1), b])
    }
}

macro_rules! functions {
    ($($name:ident $(($($p:ident),+))?, $grain:literal: |$a:ident, $b:ident| $value:expr;)*) => { $(
        functions!(@one $name $(($($p),+))?, $grain, |$a, $b| $value);
    )* };
    (@one $name:ident, $grain:literal, |$a:ident, $b:ident| $value:expr) => {
        #[derive(Clone, Copy)]
        struct $name;
        impl<T: Float> Map<T, 2, 1> for $name {
            const GRAIN: usize = $grain;
            #[inline(always)]
            fn lanes<V: Vector<Elem = T>>(self, [$a, $b]: [V; 2]) -> [V; 1] { [$value] }
        }
    };
    (@one $name:ident ($p:ident), $grain:literal, |$a:ident, $b:ident| $value:expr) => {
        #[derive(Clone, Copy)]
        struct $name<T>(T);
        impl<T: Float> Map<T, 2, 1> for $name<T> {
            const GRAIN: usize = $grain;
            #[inline(always)]
            fn lanes<V: Vector<Elem = T>>(self, [$a, $b]: [V; 2]) -> [V; 1] { let $p = V::splat(self.0); [$value] }
        }
    };
    (@one $name:ident ($p:ident, $q:ident), $grain:literal, |$a:ident, $b:ident| $value:expr) => {
        #[derive(Clone, Copy)]
        struct $name<T>(T, T);
        impl<T: Float> Map<T, 2, 1> for $name<T> {
            const GRAIN: usize = $grain;
            #[inline(always)]
            fn lanes<V: Vector<Elem = T>>(self, [$a, $b]: [V; 2]) -> [V; 1] {
                let ($p, $q) = (V::splat(self.0), V::splat(self.1));
                [$value]
            }
        }
    };
}

functions! {
    Add, 16_384: |a, b| a + b;
    Sub, 16_384: |a, b| a - b;
    Mul, 16_384: |a, b| a * b;
    Div, 16_384: |a, b| a / b;
    Min, 16_384: |a, b| V::select(a.is_nan(), a, a.min(b));
    Max, 16_384: |a, b| V::select(a.is_nan(), a, a.max(b));
    Pow, 1_024: |a, b| a.pow(b);
    AddScaled(beta), 16_384: |a, b| b.mul_add(beta, a);
    Combine(alpha, beta), 16_384: |a, b| b.mul_add(beta, a * alpha);
}

#[cfg(test)]
mod tests;
