//! Comparisons of views, and choices between them.
//!
//! Elements of any type that compares: the loops are plain ones, which the compiler turns into the vector instructions of
//! the set they are dispatched to.
#![allow(unsafe_code)]

use super::lanes::{Single, SingleKernel, dispatch_single};
use super::strided::{BLOCK, Gather, Shared, Walk};
use super::{Cpu, Parts};
use crate::compute::isa::Isa;

/// Elements worth a worker.
const GRAIN: usize = 16_384;

/// How two numbers are compared. Nothing but [`Comparison::Ne`] holds where either is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// a = b
    Eq,
    /// a ≠ b
    Ne,
    /// a < b
    Lt,
    /// a ≤ b
    Le,
    /// a > b
    Gt,
    /// a ≥ b
    Ge,
}

/// Calls `$then!(a closure that compares)`.
macro_rules! with_comparison {
    ($op:expr, $then:ident) => {
        match $op {
            Comparison::Eq => $then!(|a: &T, b: &T| a == b),
            Comparison::Ne => $then!(|a: &T, b: &T| a != b),
            Comparison::Lt => $then!(|a: &T, b: &T| a < b),
            Comparison::Le => $then!(|a: &T, b: &T| a <= b),
            Comparison::Gt => $then!(|a: &T, b: &T| a > b),
            Comparison::Ge => $then!(|a: &T, b: &T| a >= b),
        }
    };
}

/// `out = a op b`, 1 for true, on views of one shape, whatever their strides (in elements; 0 repeats); `out` is filled
/// row by row.
///
/// # Panics
/// If a view leaves its slice, `out` has another number of elements, or there are more than 8 dimensions.
#[allow(clippy::too_many_arguments)]
pub fn strided_compare<T: Copy + PartialOrd + Send + Sync>(
    cpu: &Cpu,
    op: Comparison,
    shape: &[usize],
    a: &[T],
    a_strides: &[usize],
    b: &[T],
    b_strides: &[usize],
    out: &mut [u8],
) {
    assert_eq!(out.len(), shape.iter().product::<usize>(), "the output of a shape {shape:?}");
    let way = Walk::new(shape, [a_strides, b_strides], [a.len(), b.len()]);
    let ((a, b), out, step) = ((Shared(a.as_ptr()), Shared(b.as_ptr())), Parts::new(out), way.step());
    let piece = if step == [1, 1] { usize::MAX } else { BLOCK };
    way.pieces(cpu, GRAIN, piece, || {
        let (mut left, mut right) = (Gather::new(a.get(), step[0]), Gather::new(b.get(), step[1]));
        move |place, n, [x, y]: [usize; 2]| {
            // SAFETY: the walk stays within the views and deals every place of the output once.
            unsafe {
                let a = std::slice::from_raw_parts(left.piece(x, n), n);
                let b = std::slice::from_raw_parts(right.piece(y, n), n);
                compare_block(cpu.isa, op, a, b, out.piece(place..place + n));
            }
        }
    });
}

/// `out = a op b`, 1 for true, elementwise on columns of one length, on the caller alone.
///
/// # Panics
/// If the lengths differ.
pub fn compare_block<T: Copy + PartialOrd>(isa: Isa, op: Comparison, a: &[T], b: &[T], out: &mut [u8]) {
    assert!(a.len() == b.len() && a.len() == out.len(), "columns of a comparison differ in length");
    macro_rules! run {
        ($f:expr) => {
            dispatch_single(isa, Compare { a, b, out, holds: $f })
        };
    }
    with_comparison!(op, run)
}

/// All of one length.
struct Compare<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [u8],
    holds: F,
}

impl<T: Copy, F: Fn(&T, &T) -> bool> SingleKernel for Compare<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<V: Single>(self) {
        for ((a, b), out) in self.a.iter().zip(self.b).zip(self.out) {
            *out = u8::from((self.holds)(a, b));
        }
    }
}

/// `out = mask ? a : b` (the mask holds where it is not 0) on views of one shape, whatever their strides; `out` is filled
/// row by row.
///
/// # Panics
/// If a view leaves its slice, `out` has another number of elements, or there are more than 8 dimensions.
#[allow(clippy::too_many_arguments)]
pub fn strided_select<T: Copy + Send + Sync>(
    cpu: &Cpu,
    shape: &[usize],
    mask: &[u8],
    mask_strides: &[usize],
    a: &[T],
    a_strides: &[usize],
    b: &[T],
    b_strides: &[usize],
    out: &mut [T],
) {
    assert_eq!(out.len(), shape.iter().product::<usize>(), "the output of a shape {shape:?}");
    let way = Walk::new(shape, [mask_strides, a_strides, b_strides], [mask.len(), a.len(), b.len()]);
    let (mask, a, b) = (Shared(mask.as_ptr()), Shared(a.as_ptr()), Shared(b.as_ptr()));
    let (out, step) = (Parts::new(out), way.step());
    let piece = if step == [1, 1, 1] { usize::MAX } else { BLOCK };
    way.pieces(cpu, GRAIN, piece, || {
        let mut truth = Gather::new(mask.get(), step[0]);
        let (mut left, mut right) = (Gather::new(a.get(), step[1]), Gather::new(b.get(), step[2]));
        move |place, n, [m, x, y]: [usize; 3]| {
            // SAFETY: the walk stays within the views and deals every place of the output once.
            unsafe {
                let mask = std::slice::from_raw_parts(truth.piece(m, n), n);
                let a = std::slice::from_raw_parts(left.piece(x, n), n);
                let b = std::slice::from_raw_parts(right.piece(y, n), n);
                select_block(cpu.isa, mask, a, b, out.piece(place..place + n));
            }
        }
    });
}

/// `out = mask ? a : b`, elementwise on columns of one length, on the caller alone.
///
/// # Panics
/// If the lengths differ.
pub fn select_block<T: Copy>(isa: Isa, mask: &[u8], a: &[T], b: &[T], out: &mut [T]) {
    let n = out.len();
    assert!(mask.len() == n && a.len() == n && b.len() == n, "columns of a choice differ in length");
    dispatch_single(isa, Select { mask, a, b, out });
}

/// All of one length.
struct Select<'a, T> {
    mask: &'a [u8],
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
}

impl<T: Copy> SingleKernel for Select<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Single>(self) {
        for (((mask, a), b), out) in self.mask.iter().zip(self.a).zip(self.b).zip(self.out) {
            *out = if *mask != 0 { *a } else { *b };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Comparison; 6] =
        [Comparison::Eq, Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];

    fn holds<T: PartialOrd>(op: Comparison, a: T, b: T) -> bool {
        match op {
            Comparison::Eq => a == b,
            Comparison::Ne => a != b,
            Comparison::Lt => a < b,
            Comparison::Le => a <= b,
            Comparison::Gt => a > b,
            Comparison::Ge => a >= b,
        }
    }

    fn check<T: Copy + PartialOrd + Send + Sync + std::fmt::Debug>(value: fn(usize) -> T) {
        for (rows, columns) in [(1, 1), (3, 5), (70, 33), (2, 20_000)] {
            let len = rows * columns;
            let a: Vec<T> = (0..len).map(|i| value(i * 7 % 23)).collect();
            let b: Vec<T> = (0..len).map(|i| value(i * 5 % 23)).collect();
            for isa in Isa::all_available() {
                for workers in [1, 3] {
                    let cpu = Cpu::with_isa(workers, isa);
                    for op in ALL {
                        let mut out = vec![9; len];
                        strided_compare(&cpu, op, &[rows, columns], &a, &[columns, 1], &b, &[columns, 1], &mut out);
                        assert!((0..len).all(|i| out[i] == u8::from(holds(op, a[i], b[i]))), "{op:?}");
                        strided_compare(&cpu, op, &[rows, columns], &a, &[columns, 1], &b, &[1, 0], &mut out);
                        assert!((0..len).all(|i| out[i] == u8::from(holds(op, a[i], b[i / columns]))), "{op:?}");
                    }
                    let mask: Vec<u8> = (0..len).map(|i| (i % 3) as u8).collect();
                    let mut out = a.clone();
                    let s = [columns, 1];
                    strided_select(&cpu, &[rows, columns], &mask, &s, &a, &s, &b, &[0, 1], &mut out);
                    for i in 0..len {
                        let want = if i % 3 != 0 { a[i] } else { b[i % columns] };
                        assert!(out[i] == want || want.partial_cmp(&want).is_none(), "{i}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_type_and_view() {
        check(|i| if i == 11 { f32::NAN } else { i as f32 - 7.0 });
        check(|i| if i == 11 { f64::NAN } else { i as f64 - 7.0 });
        check(|i| i as i32 - 7);
        check(|i| i as u8);
    }
}
