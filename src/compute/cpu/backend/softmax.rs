//! Softmax of rows.

use crate::compute::cpu::Cpu;
use crate::compute::cpu::lanes::Float;
use crate::compute::cpu::softmax::{log_softmax, log_softmax_grad, softmax, softmax_grad};

pub(super) fn forward<T: Float>(cpu: &Cpu, log: bool, row: usize, x: &[T], out: &mut [T]) {
    (if log { log_softmax } else { softmax })(cpu, row.max(1), x, out);
}

pub(super) fn grad<T: Float>(cpu: &Cpu, log: bool, row: usize, y: &[T], dy: &[T], dx: &mut [T]) {
    (if log { log_softmax_grad } else { softmax_grad })(cpu, row.max(1), y, dy, dx);
}
