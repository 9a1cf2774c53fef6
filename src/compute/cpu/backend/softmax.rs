//! Softmax of rows.

use crate::compute::cpu::Cpu;
use crate::compute::dtype::Element;

pub(super) fn forward<T: Element>(_: &Cpu, log: bool, row: usize, x: &[T], out: &mut [T]) {
    for (x, out) in x.chunks_exact(row.max(1)).zip(out.chunks_exact_mut(row.max(1))) {
        let most = x.iter().fold(f64::NEG_INFINITY, |most, x| if x.to_f64() > most { x.to_f64() } else { most });
        let sum: f64 = x.iter().map(|x| libm::exp(x.to_f64() - most)).sum();
        let log_sum = most + libm::log(sum);
        for (x, out) in x.iter().zip(out) {
            *out = T::of_f64(if log { x.to_f64() - log_sum } else { libm::exp(x.to_f64() - most) / sum });
        }
    }
}

pub(super) fn grad<T: Element>(_: &Cpu, log: bool, row: usize, y: &[T], dy: &[T], dx: &mut [T]) {
    let row = row.max(1);
    for ((y, dy), dx) in y.chunks_exact(row).zip(dy.chunks_exact(row)).zip(dx.chunks_exact_mut(row)) {
        if log {
            let sum: f64 = dy.iter().map(|dy| dy.to_f64()).sum();
            for ((y, dy), dx) in y.iter().zip(dy).zip(dx) {
                *dx = T::of_f64(dy.to_f64() - libm::exp(y.to_f64()) * sum);
            }
        } else {
            let sum: f64 = y.iter().zip(dy).map(|(y, dy)| y.to_f64() * dy.to_f64()).sum();
            for ((y, dy), dx) in y.iter().zip(dy).zip(dx) {
                *dx = T::of_f64(y.to_f64() * (dy.to_f64() - sum));
            }
        }
    }
}
