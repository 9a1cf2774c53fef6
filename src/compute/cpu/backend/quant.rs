//! Quantised kernels: unsigned 8-bit activations, signed 8-bit weights, exact 32-bit sums.
#![allow(unsafe_code)]

use crate::compute::Activation;
use crate::compute::backend::{Arg, ConvShape, QuantWeight, Quantised};
use crate::compute::cpu::gemm::{Dequant, Mat, MatMut, gemm_i8_dequant};
use crate::compute::cpu::{Cpu, Parts};
use crate::compute::memory::Buffer;
use std::cell::RefCell;
use std::ops::Range;

/// Elements that are worth a worker.
const GRAIN: usize = 16_384;
/// Output pixels whose taps are brought together at a time: their bytes stay in the second-level cache.
const PIXELS: usize = 64;

/// `round(x / scale) + zero`, held within 0 to 255; NaN becomes the zero point. Ties go to even.
pub(super) fn quantise(cpu: &Cpu, x: &[f32], to: Quantised, out: &mut [u8]) {
    let len = out.len();
    let (factor, zero) = (1.0 / to.scale, f32::from(to.zero));
    let parts = Parts::new(out);
    cpu.split(len, GRAIN, &|range| {
        // SAFETY: `split` deals every index once.
        let out = unsafe { parts.piece(range.clone()) };
        for (x, out) in x[range].iter().zip(out) {
            let q = (x * factor).round_ties_even() + zero;
            *out = if q.is_nan() { to.zero } else { q.clamp(0.0, 255.0) as u8 };
        }
    });
}

/// What makes numbers of integer sums: what the zero point adds to each, and the factor of each column.
struct Finish<'a> {
    offsets: Vec<i32>,
    factors: Vec<f32>,
    bias: Option<&'a [f32]>,
    activation: Activation,
}

impl<'a> Finish<'a> {
    fn new(weight: &QuantWeight<'a>) -> Self {
        let zero = i32::from(weight.input.zero);
        Self {
            offsets: weight.sums.dense::<i32>().iter().map(|sum| -zero * sum).collect(),
            factors: weight.scales.dense::<f32>().iter().map(|scale| weight.input.scale * scale).collect(),
            bias: weight.bias.as_ref().map(|bias| bias.dense::<f32>()),
            activation: weight.activation,
        }
    }

    fn columns(&self, columns: Range<usize>) -> Dequant<'_> {
        Dequant {
            offsets: Some(&self.offsets[columns.clone()]),
            col_scales: &self.factors[columns.clone()],
            row_scales: None,
            bias: self.bias.map(|bias| &bias[columns]),
            activation: self.activation,
        }
    }
}

thread_local! {
    /// The taps of a block of pixels.
    static TAPS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn product(cpu: &Cpu, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer) {
    let [k, n] = [weight.bytes.layout.shape.dims()[0], weight.bytes.layout.shape.dims()[1]];
    let finish = Finish::new(weight);
    let rows = x.layout.shape.rows();
    let a = Mat::row_major(x.dense::<u8>(), rows, k);
    let b = Mat::row_major(weight.bytes.dense::<i8>(), k, n);
    gemm_i8_dequant(cpu, a, b, MatMut::row_major(out.as_mut_slice::<f32>(), rows, n), finish.columns(0..n));
}

pub(super) fn conv(cpu: &Cpu, shape: &ConvShape, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer) {
    let finish = Finish::new(weight);
    let (x, w) = (x.dense::<u8>(), weight.bytes.dense::<i8>());
    let (c_out, per_in, per_out) = (shape.c_out(), shape.group_in(), shape.group_out());
    let k = shape.kh() * shape.kw() * per_in;
    let pixels = shape.n() * shape.out_h() * shape.out_w();
    let parts = Parts::new(out.as_mut_slice::<f32>());
    cpu.crew.for_each(pixels.div_ceil(PIXELS), &|block| {
        let block = block * PIXELS..((block + 1) * PIXELS).min(pixels);
        // SAFETY: every block of pixels is dealt once.
        let out = unsafe { parts.piece(block.start * c_out..block.end * c_out) };
        TAPS.with_borrow_mut(|taps| {
            taps.resize(block.len() * k, 0);
            for group in 0..shape.options().groups {
                for (pixel, taps) in block.clone().zip(taps.chunks_exact_mut(k)) {
                    gather(shape, x, weight.input.zero, pixel, group, taps);
                }
                let columns = group * per_out..(group + 1) * per_out;
                let a = Mat::row_major(&taps[..block.len() * k], block.len(), k);
                let b = Mat::new(&w[columns.start..], k, per_out, c_out, 1);
                let c = MatMut::new(&mut out[columns.start..], block.len(), per_out, c_out, 1);
                // Within a task of the crew the product runs on this worker alone.
                gemm_i8_dequant(cpu, a, b, c, finish.columns(columns));
            }
        });
    });
}

/// The input bytes of a group of channels under the window of an output pixel, tap after tap.
fn gather(shape: &ConvShape, x: &[u8], zero: u8, pixel: usize, group: usize, taps: &mut [u8]) {
    let (per_image, width) = (shape.out_h() * shape.out_w(), shape.out_w());
    let (image, row, column) = (pixel / per_image, pixel % per_image / width, pixel % width);
    let per_in = shape.group_in();
    let options = shape.options();
    let at = |out: usize, axis: usize, tap: usize| {
        (out * options.stride[axis] + tap * options.dilation[axis]).checked_sub(options.padding[axis])
    };
    for (tap, taps) in taps.chunks_exact_mut(per_in).enumerate() {
        let (down, right) = (tap / shape.kw(), tap % shape.kw());
        match (at(row, 0, down), at(column, 1, right)) {
            (Some(h), Some(w)) if h < shape.h() && w < shape.w() => {
                let from = ((image * shape.h() + h) * shape.w() + w) * shape.c_in() + group * per_in;
                taps.copy_from_slice(&x[from..from + per_in]);
            }
            _ => taps.fill(zero),
        }
    }
}
