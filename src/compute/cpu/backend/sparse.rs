//! Sparse products.

use super::super::scratch::with_scratch;
use super::super::sparse::{self, Events, Rows};
use super::super::{Cpu, copy};
use crate::compute::backend::{Arg, SparseArg, TurnedArg};
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

/// Samples from which on columns of samples fill vectors.
const MANY: usize = 16;
/// Samples that are transposed together.
const CHUNK: usize = 256;

pub(super) fn add_rows<T: Real + Element>(cpu: &Cpu, x: Arg<'_>, a: &SparseArg<'_>, out: &mut Buffer) {
    let mut room = Vec::new();
    let (matrix, x, out) = (rows::<T>(a, &mut room), x.dense::<T>(), out.as_mut_slice::<T>());
    if matrix.rows() == 0 || x.is_empty() {
        // No inputs: nothing to add.
        return out.fill(T::ZERO);
    }
    let samples = x.len() / matrix.rows();
    if let Some(turned) = a.turned.filter(|_| samples >= MANY) {
        // An addition of an event costs as much as a vector of samples does, so above some share of active inputs it is
        // faster to take them all. The sums have the same terms in the same order, besides zeros.
        let active = sparse::count_events(cpu, x);
        if active * 16 > x.len() {
            return all_rows(cpu, x, matrix, &turned, out);
        }
    }
    sparse::add_rows(cpu, &Events::of_dense(cpu, x, matrix.rows()), matrix, out);
}

/// `out = x a` by columns of `a`, with samples side by side.
fn all_rows<T: Real + Element>(cpu: &Cpu, x: &[T], a: Rows<'_, T>, turned: &TurnedArg<'_>, out: &mut [T]) {
    let (inputs, cols) = (a.rows(), a.cols);
    let values: Vec<T> = turned.from.iter().map(|element| a.values[*element]).collect();
    let by_column = Rows { starts: turned.starts, columns: turned.rows, cols: inputs, values: &values };
    let samples = x.len() / inputs;
    // Chunks of like size, so that none is a single sample.
    let chunks = samples.div_ceil(CHUNK);
    let each = samples.div_ceil(chunks);
    with_scratch::<T, _>(each * (inputs + cols), |scratch| {
        for first in (0..samples).step_by(each) {
            let n = each.min(samples - first);
            let (side_by_side, sums) = scratch.split_at_mut(n * inputs);
            let sums = &mut sums[..n * cols];
            copy::transpose(cpu, n, inputs, &x[first * inputs..(first + n) * inputs], side_by_side);
            sparse::product(cpu, by_column, side_by_side, n, sums);
            copy::transpose(cpu, cols, n, sums, &mut out[first * cols..(first + n) * cols]);
        }
    });
}

pub(super) fn add_rows_grad<T: Real + Element>(
    cpu: &Cpu,
    x: Arg<'_>,
    a: &SparseArg<'_>,
    dy: Arg<'_>,
    out: &mut Buffer,
) {
    let mut room = Vec::new();
    let (a, x, out) = (rows::<T>(a, &mut room), x.dense::<T>(), out.as_mut_slice::<T>());
    if x.is_empty() {
        return out.fill(T::ZERO);
    }
    let events = Events::of_dense(cpu, x, a.rows());
    sparse::rows_gradient(cpu, &events.by_input(cpu), a, dy.dense(), out);
}
