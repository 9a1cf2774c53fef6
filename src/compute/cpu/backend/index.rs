//! Rows by number.

use crate::compute::cpu::{Cpu, Parts};
use crate::compute::dtype::Element;

/// Elements of a row that are worth a worker.
const GRAIN: usize = 256;

pub(super) fn gather<T: Element>(dims: &[usize], x: &[T], index: &[i32], out: &mut [T]) {
    let (n, inner) = (dims[1], dims[2]);
    if x.is_empty() || inner == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(n * inner).zip(out.chunks_exact_mut((index.len() * inner).max(1))) {
        for (i, out) in index.iter().zip(out.chunks_exact_mut(inner)) {
            let from = *i as usize * inner;
            out.copy_from_slice(&x[from..from + inner]);
        }
    }
}

/// Workers share out the columns, so every element is summed in the order of the index.
#[allow(unsafe_code)]
pub(super) fn gather_grad<T: Element + std::ops::AddAssign>(
    cpu: &Cpu,
    dims: &[usize],
    dy: &[T],
    index: &[i32],
    skip: Option<i32>,
    dx: &mut [T],
) {
    let (outer, len, inner) = (dims[0], dims[1], dims[2]);
    dx.fill(T::default());
    if dx.is_empty() || dy.is_empty() {
        return;
    }
    let n = dx.len() / (outer * inner);
    let dx = Parts::new(dx);
    cpu.split(inner, GRAIN, &|columns| {
        for o in 0..outer {
            for (i, to) in index.iter().enumerate().filter(|(_, to)| skip != Some(**to)) {
                let from = (o * len + i) * inner;
                let to = (o * n + *to as usize) * inner;
                // SAFETY: workers have columns of their own.
                let sums = unsafe { dx.piece(to + columns.start..to + columns.end) };
                for (sum, dy) in sums.iter_mut().zip(&dy[from + columns.start..]) {
                    *sum += *dy;
                }
            }
        }
    });
}

pub(super) fn one_hot<T: Element>(index: &[i32], out: &mut [T]) {
    let classes = out.len() / index.len().max(1);
    out.fill(T::default());
    for (row, class) in index.iter().enumerate() {
        out[row * classes + *class as usize] = T::of_f64(1.0);
    }
}
