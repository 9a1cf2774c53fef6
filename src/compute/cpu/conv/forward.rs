//! The forward pass as a gather.

use super::Activation;
use super::gather::{Access, Gather, Panel, Tap, WeightRow, run_all};
use super::pack::{PackSource, pack, packed_len};
use super::planar::MOST_CHANNELS;
use super::scratch::Scratch;
use super::shape::ConvShape;
use super::tile::{VECS, lanes};
use crate::compute::cpu::Cpu;
use crate::compute::cpu::lanes::{Float, Path};

/// Below this many channels, the taps of a row of the window are read as one run, from a padded copy of the input where
/// the window reaches over the border: the copy is small then, and a run of three elements too short.
pub(super) const FEW_CHANNELS: usize = 32;
/// From this many output pixels on, weights of several panels are packed: their rows then lie next to each other, which
/// spares address translation and cache conflicts, but takes a copy.
const PACK_FROM_PIXELS: usize = 128;

/// See [`conv_forward`](super::conv_forward), which has checked the lengths.
pub(super) fn forward<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    weights: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
) {
    let options = *shape.options();
    let (kh, kw, run, c_out) = (shape.kh(), shape.kw(), shape.group_in(), shape.c_out());
    let mergeable = options.groups == 1 && options.dilation[1] == 1;
    let inside = options.padding[1] == 0;
    let planes = by_planes(shape.group_out(), options.stride[1], shape.out_w());
    let padded_copy = mergeable && !inside && run < FEW_CHANNELS && kw > 1;
    let merged = mergeable && !planes && (inside || padded_copy);
    let access = match (planes, padded_copy) {
        (true, _) => Access::Planes,
        (_, true) => Access::PaddedCopy,
        _ => Access::InPlace,
    };
    let columns = if merged { 1 } else { kw };
    let mut taps = Vec::with_capacity(options.groups * kh * columns);
    for group in 0..options.groups {
        for ky in 0..kh {
            for kx in 0..columns {
                let (dy, dx) = (shape.tap_offset(0, ky), shape.tap_offset(1, kx));
                taps.push(Tap { dy, dx, channel: group * run });
            }
        }
    }
    let taps_each = kh * columns;
    let run = if merged { run * kw } else { run };
    let depth = taps_each * run;

    let path = Path::of(cpu.isa);
    // Panels of planes have their channels next to each other, without a vector to fill.
    let lanes = if planes { shape.group_out() } else { lanes::<T>(path) };
    let mut panels = panels(options.groups, shape.group_out(), lanes, taps_each);
    let pixels = shape.n() * shape.out_h() * shape.out_w();
    let in_place =
        !planes && shape.group_out().is_multiple_of(lanes) && (panels.len() == 1 || pixels < PACK_FROM_PIXELS);
    let mut packed = Scratch::take(run + if in_place { 0 } else { packed_len(&panels, depth, lanes) });
    let (zeros, packed) = packed.as_mut_slice().split_at_mut(run);
    zeros.fill(T::ZERO);
    let (weights, weight_row) = if in_place {
        panels.iter_mut().for_each(|p| p.weights = p.first);
        (weights.as_ptr(), WeightRow::Strided(c_out))
    } else {
        place(&mut panels, depth, lanes);
        let starts: Vec<usize> = (0..taps_each).map(|t| t * run * c_out).collect();
        let source = PackSource { taps: &starts, run, run_stride: c_out, column_stride: 1 };
        pack(cpu, weights, &source, &panels, lanes, &|panel| panel.first, packed);
        (packed.as_ptr(), WeightRow::Packed)
    };
    let gather = Gather {
        images: shape.n(),
        x: x.as_ptr(),
        h: shape.h(),
        w: shape.w(),
        x_pixel: shape.c_in(),
        step: options.stride,
        rows: shape.out_h(),
        cols: shape.out_w(),
        out: y.as_mut_ptr(),
        out_pixel: c_out,
        out_row: shape.out_w() * c_out,
        out_image: shape.out_h() * shape.out_w() * c_out,
        taps,
        taps_each,
        run,
        access,
        panels,
        weights,
        weight_row,
        bias: bias.map_or(std::ptr::null(), <[T]>::as_ptr),
        relu: activation == Activation::Relu,
        zeros: zeros.as_ptr(),
    };
    // SAFETY: the lengths have been checked against the shape; taps and panels were laid out above, `depth` rows to a
    // panel; a run that is not of one pixel lies in the padded copy, or within the row since nothing is padded.

    unsafe { run_all(cpu, &[gather]) };
}

/// Whether `channels` output channels are computed with pixels in the lanes of a vector, see
/// [`planar`](super::planar): where vectors of channels would be half empty at least, and rows are long enough.
pub(super) fn by_planes(channels: usize, step: usize, cols: usize) -> bool {
    channels <= MOST_CHANNELS && step == 1 && cols >= MOST_CHANNELS
}

/// Panels of at most two vectors for `channels` output channels in each of `groups` groups, whose taps follow each other.
pub(super) fn panels(groups: usize, channels: usize, lanes: usize, taps_each: usize) -> Vec<Panel> {
    let width = VECS * lanes;
    let mut panels = Vec::with_capacity(groups * channels.div_ceil(width));
    for group in 0..groups {
        for first in (0..channels).step_by(width) {
            panels.push(Panel {
                tap: group * taps_each,
                first: group * channels + first,
                channels: width.min(channels - first),
                weights: 0,
            });
        }
    }
    panels
}

/// Places the panels one after the other.
pub(super) fn place(panels: &mut [Panel], depth: usize, lanes: usize) {
    let mut at = 0;
    for panel in panels {
        panel.weights = at;
        at += panel.channels.div_ceil(lanes) * lanes * depth;
    }
}
