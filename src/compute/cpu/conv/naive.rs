//! The reference: im2col and a triple loop. Slow, obvious, for tests and for showing what the fast kernels compute.

use super::shape::ConvShape;
use crate::compute::simd::Real;

/// The columns of image `n` and group `group`: row `oy * out_w + ox` holds the `kh * kw * c_in / groups` inputs under
/// the window at output pixel (`oy`, `ox`), zero where it lies in the padding.
pub fn im2col<T: Real>(shape: &ConvShape, x: &[T], n: usize, group: usize) -> Vec<T> {
    let (h, w, c_in, per_group) = (shape.h(), shape.w(), shape.c_in(), shape.group_in());
    let options = shape.options();
    let mut columns = Vec::with_capacity(shape.out_h() * shape.out_w() * shape.kh() * shape.kw() * per_group);
    for oy in 0..shape.out_h() {
        for ox in 0..shape.out_w() {
            for ky in 0..shape.kh() {
                for kx in 0..shape.kw() {
                    let y = (oy * options.stride[0] + ky * options.dilation[0]).wrapping_sub(options.padding[0]);
                    let x_ = (ox * options.stride[1] + kx * options.dilation[1]).wrapping_sub(options.padding[1]);
                    if y < h && x_ < w {
                        let start = ((n * h + y) * w + x_) * c_in + group * per_group;
                        columns.extend_from_slice(&x[start..start + per_group]);
                    } else {
                        columns.resize(columns.len() + per_group, T::ZERO);
                    }
                }
            }
        }
    }
    columns
}

/// Forward convolution (a correlation, as in every neural-network library) by [`im2col`], sums in the order of the
/// weights in memory. Layouts as in [`ConvShape`].
pub fn conv_naive<T: Real>(shape: &ConvShape, x: &[T], weights: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let (pixels, depth) = (shape.out_h() * shape.out_w(), shape.kh() * shape.kw() * shape.group_in());
    for n in 0..shape.n() {
        for group in 0..shape.options().groups {
            let columns = im2col(shape, x, n, group);
            for pixel in 0..pixels {
                for o in group * shape.group_out()..(group + 1) * shape.group_out() {
                    let mut sum = bias.map_or(T::ZERO, |b| b[o]);
                    for k in 0..depth {
                        sum += columns[pixel * depth + k] * weights[k * shape.c_out() + o];
                    }
                    y[(n * pixels + pixel) * shape.c_out() + o] = sum;
                }
            }
        }
    }
}

/// Gradients of a scalar with respect to input, weights and bias, from its gradient `dy` with respect to the output.
pub fn conv_gradients_naive<T: Real>(shape: &ConvShape, x: &[T], weights: &[T], dy: &[T]) -> (Vec<T>, Vec<T>, Vec<T>) {
    let (pixels, per_group, c_out) = (shape.out_h() * shape.out_w(), shape.group_in(), shape.c_out());
    let depth = shape.kh() * shape.kw() * per_group;
    let mut dx = vec![T::ZERO; shape.input_len()];
    let mut dw = vec![T::ZERO; shape.weight_len()];
    let mut db = vec![T::ZERO; c_out];
    let options = shape.options();
    for n in 0..shape.n() {
        for group in 0..options.groups {
            let columns = im2col(shape, x, n, group);
            for pixel in 0..pixels {
                for k in 0..depth {
                    let (tap, c) = (k / per_group, k % per_group);
                    let (oy, ox, ky, kx) =
                        (pixel / shape.out_w(), pixel % shape.out_w(), tap / shape.kw(), tap % shape.kw());
                    let y = (oy * options.stride[0] + ky * options.dilation[0]).wrapping_sub(options.padding[0]);
                    let x_ = (ox * options.stride[1] + kx * options.dilation[1]).wrapping_sub(options.padding[1]);
                    let inside = y < shape.h() && x_ < shape.w();
                    for o in group * shape.group_out()..(group + 1) * shape.group_out() {
                        let g = dy[(n * pixels + pixel) * c_out + o];
                        dw[k * c_out + o] += columns[pixel * depth + k] * g;
                        if inside {
                            let at = ((n * shape.h() + y) * shape.w() + x_) * shape.c_in() + group * per_group + c;
                            dx[at] += weights[k * c_out + o] * g;
                        }
                    }
                }
                for o in group * shape.group_out()..(group + 1) * shape.group_out() {
                    db[o] += dy[(n * pixels + pixel) * c_out + o];
                }
            }
        }
    }
    (dx, dw, db)
}
