//! Quantised kernels: unsigned 8-bit activations, signed 8-bit weights, exact 32-bit sums.
#![allow(unsafe_code)]

use crate::compute::Activation;
use crate::compute::backend::{Arg, ConvShape, QuantWeight, Quantised, Unary};
use crate::compute::cpu::{Cpu, Parts, unary};
use crate::compute::isa::Isa;
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

/// What makes numbers of integer sums.
struct Finish<'a> {
    scales: &'a [f32],
    bias: Option<&'a [f32]>,
    /// Zero point times the sum of each column of the weights: what the zero point adds to every sum.
    shift: Vec<i32>,
    input: f32,
    activation: Activation,
}

impl<'a> Finish<'a> {
    fn new(weight: &QuantWeight<'a>) -> Self {
        let scales = weight.scales.dense::<f32>();
        let bytes = weight.bytes.dense::<i8>();
        let mut shift = vec![0i32; scales.len()];
        for row in bytes.chunks_exact(scales.len().max(1)) {
            for (sum, w) in shift.iter_mut().zip(row) {
                *sum += i32::from(*w);
            }
        }
        for sum in &mut shift {
            *sum *= i32::from(weight.input.zero);
        }
        let bias = weight.bias.as_ref().map(|bias| bias.dense::<f32>());
        Self { scales, bias, shift, input: weight.input.scale, activation: weight.activation }
    }

    /// Columns `columns` of one row.
    fn row(&self, isa: Isa, sums: &[i32], columns: Range<usize>, out: &mut [f32]) {
        let (scales, shift) = (&self.scales[columns.clone()], &self.shift[columns.clone()]);
        for (((out, sum), scale), shift) in out.iter_mut().zip(sums).zip(scales).zip(shift) {
            *out = (sum - shift) as f32 * (self.input * scale);
        }
        if let Some(bias) = self.bias {
            for (out, bias) in out.iter_mut().zip(&bias[columns]) {
                *out += bias;
            }
        }
        match self.activation {
            Activation::Identity => {}
            Activation::Relu => unary::unary_block_in_place(isa, Unary::Relu, out),
            Activation::GeluTanh => unary::unary_block_in_place(isa, Unary::GeluTanh, out),
        }
    }
}

thread_local! {
    /// Sums of one row, and the taps of a block of pixels.
    static SCRATCH: RefCell<(Vec<i32>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// `sums[j] = Σ_k x[k] w[k, first + j]`.
fn row_sums(x: &[u8], w: &[i8], width: usize, first: usize, sums: &mut [i32]) {
    sums.fill(0);
    for (x, w) in x.iter().zip(w.chunks_exact(width)) {
        let x = i32::from(*x);
        for (sum, w) in sums.iter_mut().zip(&w[first..]) {
            *sum += x * i32::from(*w);
        }
    }
}

pub(super) fn product(cpu: &Cpu, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer) {
    let [k, n] = [weight.bytes.layout.shape.dims()[0], weight.bytes.layout.shape.dims()[1]];
    let finish = Finish::new(weight);
    let (x, w) = (x.dense::<u8>(), weight.bytes.dense::<i8>());
    let out = out.as_mut_slice::<f32>();
    let rows = out.len() / n.max(1);
    let parts = Parts::new(out);
    cpu.crew.for_each(rows, &|i| {
        SCRATCH.with_borrow_mut(|(sums, _)| {
            sums.resize(n, 0);
            row_sums(&x[i * k..(i + 1) * k], w, n, 0, sums);
            // SAFETY: every row is dealt once.
            finish.row(cpu.isa, sums, 0..n, unsafe { parts.piece(i * n..(i + 1) * n) });
        });
    });
}

pub(super) fn conv(cpu: &Cpu, shape: &ConvShape, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer) {
    let finish = Finish::new(weight);
    let (x, w) = (x.dense::<u8>(), weight.bytes.dense::<i8>());
    let out = out.as_mut_slice::<f32>();
    let (c_out, per_in, per_out) = (shape.c_out(), shape.group_in(), shape.group_out());
    let k = shape.kh() * shape.kw() * per_in;
    let pixels = shape.n() * shape.out_h() * shape.out_w();
    let parts = Parts::new(out);
    cpu.crew.for_each(pixels.div_ceil(PIXELS), &|block| {
        SCRATCH.with_borrow_mut(|(sums, taps)| {
            sums.resize(per_out, 0);
            taps.resize(k, 0);
            for pixel in block * PIXELS..((block + 1) * PIXELS).min(pixels) {
                for group in 0..shape.options().groups {
                    gather(shape, x, weight.input.zero, pixel, group, taps);
                    let columns = group * per_out..(group + 1) * per_out;
                    row_sums(taps, w, c_out, columns.start, sums);
                    let at = pixel * c_out;
                    // SAFETY: every pixel and every group of its channels is dealt once.
                    let out = unsafe { parts.piece(at + columns.start..at + columns.end) };
                    finish.row(cpu.isa, sums, columns, out);
                }
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
