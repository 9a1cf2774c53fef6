//! Sparse products.

use super::super::Cpu;
use super::super::sparse::{self, Events, Rows};
use crate::compute::backend::{Arg, SparseArg};
use crate::compute::dtype::Element;
use crate::compute::memory::Buffer;
use crate::compute::simd::Real;

/// The matrix with its values in the order of its elements; `room` is for those that have to be brought there.
fn rows<'a, T: Real + Element>(a: &SparseArg<'a>, room: &'a mut Vec<T>) -> Rows<'a, T> {
    let stored = a.values.dense::<T>();
    let values = match a.order {
        None => stored,
        Some(order) => {
            room.extend(order.iter().map(|element| stored[*element]));
            room
        }
    };
    Rows { starts: a.starts, columns: a.columns, cols: a.cols, values }
}

pub(super) fn product<T: Real + Element>(cpu: &Cpu, a: &SparseArg<'_>, b: Arg<'_>, n: usize, out: &mut Buffer) {
    sparse::product(cpu, rows::<T>(a, &mut Vec::new()), b.dense(), n, out.as_mut_slice());
}

pub(super) fn sampled<T: Real + Element>(
    cpu: &Cpu,
    a: &SparseArg<'_>,
    c: Arg<'_>,
    b: Arg<'_>,
    n: usize,
    out: &mut Buffer,
) {
    sparse::sampled(cpu, rows::<T>(a, &mut Vec::new()), c.dense(), b.dense(), n, out.as_mut_slice());
}

pub(super) fn add_rows<T: Real + Element>(cpu: &Cpu, x: Arg<'_>, a: &SparseArg<'_>, out: &mut Buffer) {
    let mut room = Vec::new();
    let a = rows::<T>(a, &mut room);
    let events = Events::of_dense(cpu, x.dense::<T>(), a.rows());
    if events.samples() > 0 {
        sparse::add_rows(cpu, &events, a, out.as_mut_slice());
    } else {
        // No inputs: nothing to add.
        out.as_mut_slice::<T>().fill(T::ZERO);
    }
}

pub(super) fn add_rows_grad<T: Real + Element>(
    cpu: &Cpu,
    x: Arg<'_>,
    a: &SparseArg<'_>,
    dy: Arg<'_>,
    out: &mut Buffer,
) {
    let mut room = Vec::new();
    let a = rows::<T>(a, &mut room);
    let events = Events::of_dense(cpu, x.dense::<T>(), a.rows());
    if events.samples() > 0 {
        sparse::rows_gradient(cpu, &events.by_input(cpu), a, dy.dense(), out.as_mut_slice());
    } else {
        out.as_mut_slice::<T>().fill(T::ZERO);
    }
}
