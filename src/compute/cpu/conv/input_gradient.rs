//! The gradient of the input: for each phase of the stride, a gather from the gradient of the output.
//!
//! Input pixel `i` (on either axis) is read at tap `k` by output pixel `(i + padding - k dilation) / stride`, where that
//! is a whole number. For `i = phase + stride j` the taps for which it is are the same for all `j`, and the output pixel
//! is `j` plus a constant: a convolution without stride.

use super::forward::{FEW_CHANNELS, by_planes, panels, place};
use super::gather::{Access, Gather, Tap, WeightRow, run_all};
use super::pack::{PackSource, pack, packed_len};
use super::scratch::Scratch;
use super::shape::ConvShape;
use super::tile::lanes;
use crate::compute::cpu::Cpu;
use crate::compute::cpu::lanes::{Float, Path};

/// Taps of an axis that reach a phase of the stride, with the offset of the output pixel, offsets ascending.
fn phase_taps(shape: &ConvShape, axis: usize, phase: usize) -> Vec<(usize, isize)> {
    let stride = shape.options().stride[axis] as isize;
    let count = [shape.kh(), shape.kw()][axis];
    let distance = |tap: usize| phase as isize - shape.tap_offset(axis, tap);
    (0..count).rev().filter(|k| distance(*k) % stride == 0).map(|k| (k, distance(k) / stride)).collect()
}

/// See [`conv_input_gradient`](super::conv_input_gradient), which has checked the lengths.
pub(super) fn input_gradient<T: Float>(cpu: &Cpu, shape: &ConvShape, dy: &[T], weights: &[T], dx: &mut [T]) {
    let options = *shape.options();
    let (h, w, c_in, c_out) = (shape.h(), shape.w(), shape.c_in(), shape.c_out());
    let (group_in, group_out) = (shape.group_in(), shape.group_out());
    let path = Path::of(cpu.isa);
    let [stride_y, stride_x] = options.stride;
    let planes = by_planes(group_in, 1, w.div_ceil(stride_x));
    let lanes = if planes { group_in } else { lanes::<T>(path) };
    let longest = group_out * if options.groups == 1 { shape.kw() } else { 1 };
    // Every tap is in one phase, and the panels of all phases are alike.
    let alike = panels(options.groups, group_in, lanes, 0);
    let mut scratch = Scratch::take(longest + packed_len(&alike, shape.kh() * shape.kw() * group_out, lanes));
    let (zeros, mut packed) = scratch.as_mut_slice().split_at_mut(longest);
    zeros.fill(T::ZERO);
    let out = dx.as_mut_ptr();
    let mut gathers = Vec::with_capacity(stride_y.min(h) * stride_x.min(w));
    for phase_y in 0..stride_y.min(h) {
        for phase_x in 0..stride_x.min(w) {
            let (taps_y, taps_x) = (phase_taps(shape, 0, phase_y), phase_taps(shape, 1, phase_x));
            let (rows, cols) = ((h - phase_y).div_ceil(stride_y), (w - phase_x).div_ceil(stride_x));
            let neighbours = taps_x.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1);
            let mergeable = options.groups == 1 && neighbours && !taps_x.is_empty() && !taps_y.is_empty();
            let inside = taps_x.first().is_some_and(|t| t.1 >= 0)
                && taps_x.last().is_some_and(|t| t.1 + cols as isize <= shape.out_w() as isize);
            let padded_copy = mergeable && !inside && group_out < FEW_CHANNELS && taps_x.len() > 1;
            // A phase that no tap reaches has nothing to copy.
            let planes = planes && !taps_x.is_empty() && !taps_y.is_empty();
            let merged = mergeable && !planes && (inside || padded_copy);
            let access = match (planes, padded_copy) {
                (true, _) => Access::Planes,
                (_, true) => Access::PaddedCopy,
                _ => Access::InPlace,
            };
            let columns = if merged { &taps_x[..1] } else { &taps_x[..] };
            let taps_each = taps_y.len() * columns.len();
            let run = if merged { group_out * taps_x.len() } else { group_out };

            let mut taps = Vec::with_capacity(options.groups * taps_each);
            for group in 0..options.groups {
                for (_, dy) in &taps_y {
                    for (_, dx) in columns {
                        taps.push(Tap { dy: *dy, dx: *dx, channel: group * group_out });
                    }
                }
            }
            let mut panels = panels(options.groups, group_in, lanes, taps_each);
            let depth = taps_each * run;
            place(&mut panels, depth, lanes);
            let (own, rest) = packed.split_at_mut(packed_len(&panels, depth, lanes));
            packed = rest;
            // Packing goes tap by tap, whether they are merged or not.
            let mut starts = Vec::with_capacity(taps_y.len() * taps_x.len());
            for (ky, _) in &taps_y {
                for (kx, _) in &taps_x {
                    starts.push((ky * shape.kw() + kx) * group_in * c_out);
                }
            }
            let source = PackSource { taps: &starts, run: group_out, run_stride: 1, column_stride: c_out };
            // The first of a panel's channels: as a row of its group's weights, and the group's first column.
            let first = |panel: &super::gather::Panel| {
                let (group, channel) = (panel.first / group_in, panel.first % group_in);
                channel * c_out + group * group_out
            };
            pack(cpu, weights, &source, &panels, lanes, &first, own);
            gathers.push(Gather {
                images: shape.n(),
                x: dy.as_ptr(),
                h: shape.out_h(),
                w: shape.out_w(),
                x_pixel: c_out,
                step: [1, 1],
                rows,
                cols,
                out: out.wrapping_add((phase_y * w + phase_x) * c_in),
                out_pixel: stride_x * c_in,
                out_row: stride_y * w * c_in,
                out_image: h * w * c_in,
                taps,
                taps_each,
                run,
                access,
                panels,
                weights: own.as_ptr(),
                weight_row: WeightRow::Packed,
                bias: std::ptr::null(),
                relu: false,
                zeros: zeros.as_ptr(),
            });
        }
    }
    // SAFETY: the lengths have been checked against the shape; every input pixel is in one phase; taps and panels were
    // laid out above; a run that is not of one pixel lies in the padded copy or within the row.

    unsafe { run_all(cpu, &gathers) };
}
