//! Windows of one pixel, step one: products of matrices, whose rows are the pixels.

use super::Activation;
use super::bias_gradient::add_columns;
use super::scratch::Scratch;
use super::shape::ConvShape;
use crate::compute::cpu::columns::add_blocks;
use crate::compute::cpu::gemm::{self, Epilogue, Mat, MatMut, Real, Store, gemm, gemm_serial};
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};

/// Most segments of pixels of the gradient of the weights, and the fewest pixels of one.
const SEGMENTS: usize = 16;
const SEGMENT_PIXELS: usize = 256;
/// Elements that the gradients of all segments may take.
const SEGMENT_ELEMENTS: usize = 4 << 20;
/// Bytes of input and gradient of a block: about half of the second-level cache.
const BLOCK_BYTES: usize = 512 << 10;

/// Whether passes of `shape` are computed this way.
pub(super) fn applies(shape: &ConvShape) -> bool {
    let options = shape.options();
    shape.kh() * shape.kw() == 1 && options.stride == [1, 1] && options.padding == [0, 0] && options.groups == 1
}

/// Number of pixels.
fn pixels(shape: &ConvShape) -> usize {
    shape.n() * shape.h() * shape.w()
}

/// The forward pass; lengths have been checked.
pub(super) fn forward<T: Float + Real>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    weights: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
) {
    let (rows, inputs, outputs) = (pixels(shape), shape.c_in(), shape.c_out());
    let activation = match activation {
        Activation::Identity => gemm::Activation::Identity,
        Activation::Relu => gemm::Activation::Relu,
    };
    let mut epilogue = bias.map_or_else(Epilogue::none, |bias| Epilogue::bias(bias, activation));
    epilogue.activation = activation;
    let weights = Mat::row_major(weights, inputs, outputs);
    gemm(cpu, Store::Set, Mat::row_major(x, rows, inputs), weights, MatMut::row_major(y, rows, outputs), epilogue);
}

/// The gradient of the input; lengths have been checked.
pub(super) fn input_gradient<T: Float + Real>(cpu: &Cpu, shape: &ConvShape, dy: &[T], weights: &[T], dx: &mut [T]) {
    let (rows, inputs, outputs) = (pixels(shape), shape.c_in(), shape.c_out());
    let weights = Mat::row_major(weights, inputs, outputs).t();
    let dx = MatMut::row_major(dx, rows, inputs);
    gemm(cpu, Store::Set, Mat::row_major(dy, rows, outputs), weights, dx, Epilogue::none());
}

/// The gradients of weights and bias; lengths have been checked. Pixels are cut into segments, whose number follows from
/// the sizes; these are added up in ascending order.
pub(super) fn weight_gradient<T: Float + Real>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    db: Option<&mut [T]>,
) {
    let (rows, inputs, outputs) = (pixels(shape), shape.c_in(), shape.c_out());
    let (weights, each) = (dw.len(), dw.len() + outputs);
    // A power of two, which most crews can share evenly.
    let segments = 1 << (rows / SEGMENT_PIXELS).min(SEGMENT_ELEMENTS / each).clamp(1, SEGMENTS).ilog2();
    let block = (BLOCK_BYTES / ((inputs + outputs) * size_of::<T>())).max(64);
    let mut partial = Scratch::take(segments * each + each);
    let (partial, all) = partial.as_mut_slice().split_at_mut(segments * each);
    {
        let parts = Parts::new(&mut *partial);
        let segment = |segment: usize, alone: bool| {
            // SAFETY: every segment has sums of its own.
            let sums = unsafe { parts.piece(segment * each..(segment + 1) * each) };
            sums.fill(<T as Default>::default());
            let (own, own_bias) = sums.split_at_mut(weights);
            let end = rows * (segment + 1) / segments;
            for first in (rows * segment / segments..end).step_by(block) {
                let count = block.min(end - first);
                let x = Mat::row_major(&x[first * inputs..], count, inputs);
                let gradient = &dy[first * outputs..(first + count) * outputs];
                let (right, sums) = (Mat::row_major(gradient, count, outputs), MatMut::row_major(own, inputs, outputs));
                if alone {
                    gemm_serial(cpu.isa, Store::Add, x.t(), right, sums, Epilogue::none());
                } else {
                    gemm(cpu, Store::Add, x.t(), right, sums, Epilogue::none());
                }
                dispatch(cpu.isa, Sums { dy: gradient, sums: own_bias });
            }
        };
        if segments > 1 {
            cpu.crew.for_each(segments, &|index| segment(index, true));
        } else {
            segment(0, false);
        }
    }
    add_blocks(cpu, partial, each, [Some(&mut *all)]);
    dw.copy_from_slice(&all[..weights]);
    if let Some(db) = db {
        db.copy_from_slice(&all[weights..]);
    }
}

/// Adds the rows of `dy` to `sums`.
struct Sums<'a, T> {
    dy: &'a [T],
    sums: &'a mut [T],
}

impl<T: Float> Kernel<T> for Sums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        add_columns::<V>(self.dy, self.sums);
    }
}
