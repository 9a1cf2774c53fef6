//! Poolings: from buffers to kernels. A window over all pixels has kernels of its own.

use crate::compute::backend::PoolShape;
use crate::compute::cpu::lanes::Float;
use crate::compute::cpu::{Cpu, pooling};

/// Pixels of an image where a window covers all of it.
fn global(pool: &PoolShape) -> Option<usize> {
    let size = [pool.h(), pool.w()];
    (pool.options().kernel == size && pool.options().padding == [0, 0]).then(|| size[0] * size[1])
}

pub(super) fn max<T: Float>(cpu: &Cpu, pool: &PoolShape, rectify: bool, x: &[T], out: &mut [T]) {
    if rectify {
        pooling::max_pool_relu_forward(cpu, pool, x, out);
    } else {
        pooling::max_pool_forward(cpu, pool, x, out);
    }
}

pub(super) fn max_grad<T: Float>(cpu: &Cpu, pool: &PoolShape, rectify: bool, x: &[T], dy: &[T], dx: &mut [T]) {
    if rectify {
        pooling::max_pool_relu_backward(cpu, pool, x, dy, dx);
    } else {
        pooling::max_pool_backward(cpu, pool, x, dy, dx);
    }
}

pub(super) fn avg<T: Float>(cpu: &Cpu, pool: &PoolShape, x: &[T], out: &mut [T]) {
    match global(pool) {
        Some(pixels) => pooling::global_avg_forward(cpu, pixels, pool.c(), x, out),
        None => pooling::avg_pool_forward(cpu, pool, x, out),
    }
}

pub(super) fn avg_grad<T: Float>(cpu: &Cpu, pool: &PoolShape, dy: &[T], dx: &mut [T]) {
    match global(pool) {
        Some(pixels) => pooling::global_avg_backward(cpu, pixels, pool.c(), dy, dx),
        None => pooling::avg_pool_backward(cpu, pool, dy, dx),
    }
}
