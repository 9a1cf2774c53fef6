//! The gradients of weights and bias: sums over all output pixels, in an order that follows from the sizes.
//!
//! Output pixels are cut into blocks of rows of one image, blocks into segments of consecutive ones. Each segment adds its
//! blocks, in ascending order, to gradients of its own, and these are added up in ascending order at the end. How many
//! segments there are follows from the sizes. Within a segment, workers may share out the weights, which changes no sum.

use super::bias_gradient::add_columns;
use super::forward::FEW_CHANNELS;
use super::scratch::Scratch;
use super::shape::ConvShape;
use super::tile::{TABLE_ROW, VECS};
use super::weight_tile::{WeightTileArgs, WeightTileFn, weight_tiles};
use crate::compute::cpu::lanes::{Float, Kernel, Path, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};
use std::ops::Range;

/// Bytes of input and gradient of a block, which all tiles walk over: about half of the second-level cache.
const BLOCK_BYTES: usize = 256 << 10;
/// Units of work wanted, so that workers finish together.
const UNITS: usize = 16;
/// Elements that the gradients of all segments may take.
const SEGMENT_ELEMENTS: usize = 2 << 20;

/// How a weight gradient is cut. A function of the shape alone.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Output rows of a block; blocks of an image; blocks.
    block_rows: usize,
    image_blocks: usize,
    blocks: usize,
    /// Segments of blocks.
    segments: usize,
    /// Whether input blocks are copied with padding, and the rows of weights of all taps walked as one.
    padded_copy: bool,
}

impl Plan {
    fn new(shape: &ConvShape, element: usize) -> Self {
        let row_bytes = shape.out_w() * (shape.c_in() * shape.options().stride[1] + shape.c_out()) * element;
        let image_blocks = shape.out_h().div_ceil((BLOCK_BYTES / row_bytes).max(1));
        let block_rows = shape.out_h().div_ceil(image_blocks);
        let image_blocks = shape.out_h().div_ceil(block_rows);
        let blocks = shape.n() * image_blocks;
        let gradients = shape.weight_len() + shape.c_out();
        let segments = UNITS.min(blocks).min(SEGMENT_ELEMENTS / gradients).max(1);
        let padded_copy = shape.options().groups == 1 && shape.group_in() < FEW_CHANNELS && shape.kh() * shape.kw() > 1;
        Self { block_rows, image_blocks, blocks, segments, padded_copy }
    }
}

/// See [`conv_weight_gradient`](super::conv_weight_gradient), which has checked the lengths.
pub(super) fn weight_gradient<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    db: Option<&mut [T]>,
) {
    let plan = Plan::new(shape, size_of::<T>());
    let path = Path::of(cpu.isa);
    let (weights, each) = (dw.len(), dw.len() + shape.c_out());
    // A segment has the gradient of the weights, then that of the bias.
    let mut partial = Scratch::<T>::take(each * plan.segments);
    let partial = partial.as_mut_slice();
    let columns = shape.c_out();
    // Workers share out the weights of a segment by ranges of the rows of weights, whole taps where there are many.
    let rows_of_weights = weights / columns;
    let shares = UNITS.div_ceil(plan.segments).min(rows_of_weights.div_ceil(TABLE_ROW));
    {
        let parts = Parts::new(&mut *partial);
        cpu.crew.for_each(plan.segments * shares, &|unit| {
            let (segment, share) = (unit / shares, unit % shares);
            let rows = rows_of_weights * share / shares..rows_of_weights * (share + 1) / shares;
            let at = segment * each;
            // SAFETY: every unit has rows of weights of its own in its segment, and one of each segment the bias.

            let (own, own_bias) = unsafe {
                let bias = if share == 0 && db.is_some() { at + weights..at + each } else { at..at };
                (parts.piece(at + rows.start * columns..at + rows.end * columns), parts.piece(bias))
            };
            own.fill(T::ZERO);
            own_bias.fill(T::ZERO);
            let blocks = plan.blocks * segment / plan.segments..plan.blocks * (segment + 1) / plan.segments;
            let tiles = weight_tiles(path);
            dispatch(cpu.isa, Segment { shape, plan, x, dy, blocks, rows, own, own_bias, tiles });
        });
    }
    let partial = &*partial;
    let sum = |range: Range<usize>, to: &mut [T]| {
        to.copy_from_slice(&partial[range.clone()]);
        for segment in 1..plan.segments {
            let from = &partial[segment * each..][range.clone()];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
        }
    };
    let parts = Parts::new(dw);
    cpu.split(weights, 16 << 10, &|range| {
        // SAFETY: ranges do not overlap.

        sum(range.clone(), unsafe { parts.piece(range) });
    });
    if let Some(db) = db {
        sum(weights..each, db);
    }
}

/// Some rows of weights over the blocks of a segment.
struct Segment<'a, T: 'static> {
    shape: &'a ConvShape,
    plan: Plan,
    x: &'a [T],
    dy: &'a [T],
    blocks: Range<usize>,
    /// Rows of weights, `(ky * kw + kx) * group_in + c`.
    rows: Range<usize>,
    /// Gradients of these rows.
    own: &'a mut [T],
    /// Gradient of the bias, or empty.
    own_bias: &'a mut [T],
    tiles: &'static [[WeightTileFn<T>; VECS]],
}

impl<T: Float> Kernel<T> for Segment<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(mut self) {
        let (shape, plan) = (self.shape, self.plan);
        let window = Window::new(shape, &plan);
        let mut copied = Scratch::take(if plan.padded_copy { window.height * window.row } else { 0 });
        for block in self.blocks.clone() {
            let image = block / plan.image_blocks;
            let first = block % plan.image_blocks * plan.block_rows;
            let rows = first..(first + plan.block_rows).min(shape.out_h());
            // SAFETY: the lengths have been checked against the shape.
            unsafe {
                if plan.padded_copy {
                    window.copy(shape, self.x, image, &rows, copied.as_mut_ptr());
                    self.block_of_copy::<V>(&window, image, &rows, copied.as_mut_ptr());
                } else {
                    self.block_by_taps::<V>(image, &rows);
                }
                if !self.own_bias.is_empty() {
                    let columns = shape.c_out();
                    let start = (image * shape.out_h() + rows.start) * shape.out_w() * columns;
                    let pixels = (rows.end - rows.start) * shape.out_w();
                    add_columns::<V>(&self.dy[start..start + pixels * columns], self.own_bias);
                }
            }
        }
    }
}

impl<T: Float> Segment<'_, T> {
    /// A block where every tap is clipped to the pixels at which it lies in the input.
    #[inline(always)]
    unsafe fn block_by_taps<V: Vector<Elem = T>>(&mut self, image: usize, out_rows: &Range<usize>) {
        let shape = self.shape;
        let (group_in, group_out, c_in, c_out) = (shape.group_in(), shape.group_out(), shape.c_in(), shape.c_out());
        let stride = shape.options().stride;
        let mut row = self.rows.start;
        while row < self.rows.end {
            let (tap, c) = (row / group_in, row % group_in);
            let count = (group_in - c).min(self.rows.end - row);
            let first_row = row;
            row += count;
            let (ky, kx) = (tap / shape.kw(), tap % shape.kw());
            let ys = valid(shape.tap_offset(0, ky), stride[0], shape.h(), out_rows.clone());
            let xs = valid(shape.tap_offset(1, kx), stride[1], shape.w(), 0..shape.out_w());
            if ys.is_empty() || xs.is_empty() {
                continue;
            }
            let in_y = ((ys.start * stride[0]) as isize + shape.tap_offset(0, ky)) as usize;
            let in_x = ((xs.start * stride[1]) as isize + shape.tap_offset(1, kx)) as usize;
            let from = ((image * shape.h() + in_y) * shape.w() + in_x) * c_in + c;
            let gradient = ((image * shape.out_h() + ys.start) * shape.out_w() + xs.start) * c_out;
            for group in 0..shape.options().groups {
                let from = self.x.as_ptr().wrapping_add(from + group * group_in);
                let mut args = WeightTileArgs {
                    x: [from; TABLE_ROW],
                    x_pixel: stride[1] * c_in,
                    x_row: stride[0] * shape.w() * c_in,
                    dy: self.dy.as_ptr().wrapping_add(gradient + group * group_out),
                    dy_pixel: c_out,
                    dy_row: shape.out_w() * c_out,
                    rows: ys.end - ys.start,
                    cols: xs.end - xs.start,
                    out: self.own.as_mut_ptr().wrapping_add((first_row - self.rows.start) * c_out + group * group_out),
                    out_row: c_out,
                    last: 0,
                };
                // SAFETY: the rows and columns are those at which the tap lies in the input.
                unsafe { self.tile_all::<V, _>(&mut args, count, group_out, |r| from.wrapping_add(r)) };
            }
        }
    }

    /// A block whose padded input lies at `copied`: every row of weights has a fixed offset there.
    #[inline(always)]
    unsafe fn block_of_copy<V: Vector<Elem = T>>(
        &mut self,
        window: &Window,
        image: usize,
        out_rows: &Range<usize>,
        copied: *const T,
    ) {
        let shape = self.shape;
        let (c_in, c_out, kw) = (shape.c_in(), shape.c_out(), shape.kw());
        let options = shape.options();
        let (dilation, first) = (options.dilation, self.rows.start);
        let mut args = WeightTileArgs {
            x: [copied; TABLE_ROW],
            x_pixel: options.stride[1] * c_in,
            x_row: options.stride[0] * window.row,
            dy: self.dy.as_ptr().wrapping_add((image * shape.out_h() + out_rows.start) * shape.out_w() * c_out),
            dy_pixel: c_out,
            dy_row: shape.out_w() * c_out,
            rows: out_rows.end - out_rows.start,
            cols: shape.out_w(),
            out: self.own.as_mut_ptr(),
            out_row: c_out,
            last: 0,
        };
        let pointer = |r: usize| {
            let (tap, c) = ((first + r) / c_in, (first + r) % c_in);
            copied.wrapping_add(tap / kw * dilation[0] * window.row + tap % kw * dilation[1] * c_in + c)
        };
        // SAFETY: the copy has a pixel for every tap at every output pixel of the block.
        unsafe { self.tile_all::<V, _>(&mut args, self.rows.end - first, c_out, pointer) };
    }

    /// All tiles of `count` rows of weights and `channels` output channels; `pointer(row)` is what a row reads.
    #[inline(always)]
    unsafe fn tile_all<V: Vector<Elem = T>, P: Fn(usize) -> *const T>(
        &self,
        args: &mut WeightTileArgs<T>,
        count: usize,
        channels: usize,
        pointer: P,
    ) {
        let (dy, out) = (args.dy, args.out);
        let tiles = count.div_ceil(self.tiles.len());
        for tile in 0..tiles {
            let (start, end) = (count * tile / tiles, count * (tile + 1) / tiles);
            for m in start..end {
                args.x[m - start] = pointer(m);
            }
            for first in (0..channels).step_by(VECS * V::LANES) {
                let width = (channels - first).min(VECS * V::LANES);
                let vectors = width.div_ceil(V::LANES);
                args.dy = dy.wrapping_add(first);
                args.out = out.wrapping_add(start * args.out_row + first);
                args.last = width - (vectors - 1) * V::LANES;
                // SAFETY: the caller's promise for all rows and channels.
                unsafe { self.tiles[end - start - 1][vectors - 1](args) };
            }
        }
    }
}

/// The part of output coordinates `range` whose input coordinate `stride * i + offset` is in `0..size`.
fn valid(offset: isize, stride: usize, size: usize, range: Range<usize>) -> Range<usize> {
    let start = if offset < 0 { offset.unsigned_abs().div_ceil(stride) } else { 0 };
    let end = match (size as isize - offset).max(0) as usize {
        0 => 0,
        room => (room - 1) / stride + 1,
    };
    range.start.max(start)..range.end.min(end).max(range.start.max(start))
}

/// Geometry of the padded copy of a block.
struct Window {
    /// Rows of pixels, and elements of a row.
    height: usize,
    row: usize,
}

impl Window {
    fn new(shape: &ConvShape, plan: &Plan) -> Self {
        let options = shape.options();
        let height = (plan.block_rows - 1) * options.stride[0] + (shape.kh() - 1) * options.dilation[0] + 1;
        let width = (shape.out_w() - 1) * options.stride[1] + (shape.kw() - 1) * options.dilation[1] + 1;
        Self { height, row: width * shape.c_in() }
    }

    /// Copies what output rows `rows` of `image` read to `to`, zeros where there is no input.
    unsafe fn copy<T: Float>(&self, shape: &ConvShape, x: &[T], image: usize, rows: &Range<usize>, to: *mut T) {
        let (c_in, options) = (shape.c_in(), shape.options());
        let left = (options.padding[1] * c_in).min(self.row);
        let count = (self.row - left).min(shape.w() * c_in);
        let height = (rows.len() - 1) * options.stride[0] + (shape.kh() - 1) * options.dilation[0] + 1;
        for y in 0..height {
            let from = (rows.start * options.stride[0] + y).wrapping_sub(options.padding[0]);
            // SAFETY: `to` holds `height` rows; the row copied exists.
            unsafe {
                let row = to.add(y * self.row);
                if from >= shape.h() {
                    row.write_bytes(0, self.row);
                    continue;
                }
                row.write_bytes(0, left);
                let from = x[(image * shape.h() + from) * shape.w() * c_in..][..count].as_ptr();
                std::ptr::copy_nonoverlapping(from, row.add(left), count);
                row.add(left + count).write_bytes(0, self.row - left - count);
            }
        }
    }
}
