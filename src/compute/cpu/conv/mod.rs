//! Convolution: forward pass, gradients of input, weights and bias, without ever building the columns of im2col.
//!
//! Memory order is channels-last throughout, see [`ConvShape`]. One dimension is a height of 1.
//!
//! Convolutions of three by three taps with many channels take Winograd's F(4x4, 3x3), see [`ConvAlgorithm`]; windows of one
//! pixel are products of matrices; all others are computed directly:
//!
//! Each output element is one chain of fused multiply-adds that starts from the bias and goes over the taps, row by row,
//! and within a tap over the channels, both ascending (for the gradient of the input, over the taps descending). Taps in
//! the padding count as zeros. The gradients of weights and bias are summed over blocks of pixels that follow from the
//! sizes. So results are the same bits for any number of workers.
//!
//! Tolerance: with `K` products to a sum, an element differs from the exact sum by at most `K ulp(s)`, where `s` is the
//! sum of the absolute values of the products, and usually by a few `sqrt(K)` hundredths of that; so do the instruction sets
//! among each other. Winograd's algorithm stays within four times that bound. Its errors are usually twice those of the
//! direct form, and two to five times for the gradient of the weights; `docs/decisions/convolution.md` has figures.
#![allow(unsafe_code)]

mod bias_gradient;
mod depthwise;
mod forward;
mod gather;
mod input_gradient;
mod naive;
mod pack;
mod planar;
mod pointwise;
pub(in crate::compute::cpu) mod scratch;
mod shape;
mod tile;
mod transpose;
mod weight_gradient;
mod weight_tile;
mod winograd;

#[cfg(test)]
mod tests;

pub use naive::{conv_gradients_naive, conv_naive, im2col};
pub use shape::{ConvAlgorithm, ConvOptions, ConvShape};

use super::Cpu;
use super::gemm::Real;
use super::lanes::Float;

/// What is applied to each sum before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// `max(s, 0)`; NaN stays NaN.
    Relu,
}

/// Forward convolution: `y = activation(conv(x, weights) + bias)`. Layouts as in [`ConvShape`]; a correlation, as in
/// every neural-network library.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn conv_forward<T: Float + Real>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    weights: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
) {
    assert_eq!(x.len(), shape.input_len(), "elements of the input");
    assert_eq!(weights.len(), shape.weight_len(), "elements of the weights");
    assert_eq!(y.len(), shape.output_len(), "elements of the output");
    if let Some(bias) = bias {
        assert_eq!(bias.len(), shape.c_out(), "elements of the bias");
    }
    if shape.n() == 0 {
        return;
    }
    if winograd::applies(shape, size_of::<T>()) {
        return winograd::forward(cpu, shape, x, weights, bias, activation, y);
    }
    if pointwise::applies(shape) {
        return pointwise::forward(cpu, shape, x, weights, bias, activation, y);
    }
    if depthwise::applies(shape) {
        return depthwise::forward(cpu, shape, x, weights, bias, activation, y);
    }
    forward::forward(cpu, shape, x, weights, bias, activation, y);
}

/// Gradient of the input, `dx`, from the gradient of the output, `dy`.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn conv_input_gradient<T: Float + Real>(cpu: &Cpu, shape: &ConvShape, dy: &[T], weights: &[T], dx: &mut [T]) {
    assert_eq!(dy.len(), shape.output_len(), "elements of the output");
    assert_eq!(weights.len(), shape.weight_len(), "elements of the weights");
    assert_eq!(dx.len(), shape.input_len(), "elements of the input");
    if shape.n() == 0 {
        return;
    }
    if winograd::applies(shape, size_of::<T>()) {
        return winograd::input_gradient(cpu, shape, dy, weights, dx);
    }
    if pointwise::applies(shape) {
        return pointwise::input_gradient(cpu, shape, dy, weights, dx);
    }
    if depthwise::applies(shape) {
        return depthwise::input_gradient(cpu, shape, dy, weights, dx);
    }
    input_gradient::input_gradient(cpu, shape, dy, weights, dx);
}

/// Gradients of the weights, `dw`, and of the bias, `db`, from the gradient of the output, `dy`.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn conv_weight_gradient<T: Float + Real>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    db: Option<&mut [T]>,
) {
    assert_eq!(x.len(), shape.input_len(), "elements of the input");
    assert_eq!(dy.len(), shape.output_len(), "elements of the output");
    assert_eq!(dw.len(), shape.weight_len(), "elements of the weights");
    if let Some(db) = &db {
        assert_eq!(db.len(), shape.c_out(), "elements of the bias");
    }
    if winograd::applies(shape, size_of::<T>()) {
        if let Some(db) = db {
            bias_gradient::bias_gradient(cpu, dy, db);
        }
        return winograd::weight_gradient(cpu, shape, x, dy, dw);
    }
    if shape.n() > 0 && pointwise::applies(shape) {
        return pointwise::weight_gradient(cpu, shape, x, dy, dw, db);
    }
    if shape.n() > 0 && depthwise::applies(shape) {
        return depthwise::weight_gradient(cpu, shape, x, dy, dw, db);
    }
    weight_gradient::weight_gradient(cpu, shape, x, dy, dw, db);
}
