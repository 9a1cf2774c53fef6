//! The gradients of weights and bias.
// Pixels are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use super::reads::{Read, Reads, Way};
use super::{PIXELS, repeat};
use crate::compute::cpu::columns::add_blocks;
use crate::compute::cpu::conv::scratch::Scratch;
use crate::compute::cpu::conv::shape::ConvShape;
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};
use std::ops::Range;

/// Most segments of rows, each of which has sums of its own.
const SEGMENTS: usize = 64;
/// Pixels of a segment, if there are as many.
const SEGMENT_PIXELS: usize = 256;

/// `dw` and `db` from `x` and `dy`; lengths have been checked. Rows of the output are cut into segments, whose number
/// follows from the sizes; these are added up in ascending order.
pub(in crate::compute::cpu::conv) fn weight_gradient<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    db: Option<&mut [T]>,
) {
    let channels = shape.c_out();
    let rows = shape.n() * shape.out_h();
    let segments = (rows * shape.out_w()).div_ceil(SEGMENT_PIXELS).min(rows).clamp(1, SEGMENTS);
    let (weights, each) = (dw.len(), dw.len() + channels);
    // A segment has the gradient of the weights, then that of the bias.
    let mut partial = Scratch::take(segments * each);
    let mut zeros = Scratch::take(channels);
    zeros.as_mut_slice().fill(T::ZERO);
    let (reads, zeros) = (Reads::new(shape, Way::Forward, channels), &*zeros.as_mut_slice());
    {
        let parts = Parts::new(partial.as_mut_slice());
        cpu.crew.for_each(segments, &|segment| {
            // SAFETY: every segment has sums of its own.
            let sums = unsafe { parts.piece(segment * each..(segment + 1) * each) };
            sums.fill(T::ZERO);
            let rows = rows * segment / segments..rows * (segment + 1) / segments;
            dispatch(cpu.isa, Segment { shape, reads: &reads, x, dy, zeros, rows, sums });
        });
    }
    let partial = &*partial.as_mut_slice();
    let mut all = Scratch::take(each);
    let all = all.as_mut_slice();
    add_blocks(cpu, partial, each, [Some(&mut *all)]);
    dw.copy_from_slice(&all[..weights]);
    if let Some(db) = db {
        db.copy_from_slice(&all[weights..]);
    }
}

/// Some rows of the output, numbered over all images.
struct Segment<'a, T> {
    shape: &'a ConvShape,
    reads: &'a Reads,
    x: &'a [T],
    dy: &'a [T],
    zeros: &'a [T],
    rows: Range<usize>,
    sums: &'a mut [T],
}

impl<T: Float> Kernel<T> for Segment<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { shape, reads, x, dy, zeros, rows, sums } = self;
        let (channels, times) = (shape.c_out(), shape.group_out());
        let taps = shape.kh() * shape.kw();
        let image_len = shape.h() * shape.w() * shape.c_in();
        let mut list = Scratch::<u64>::take(taps * (PIXELS + 1));
        const { assert!(size_of::<Read<T>>() <= (PIXELS + 1) * size_of::<u64>()) };
        // SAFETY: a `Read` is made of so many words, any values of which are one; it is not read before it is written.
        let list = unsafe { std::slice::from_raw_parts_mut(list.as_mut_ptr().cast::<Read<T>>(), taps) };
        assert!(sums.len() == (taps + 1) * channels);
        let mut copied = Scratch::take(if times == 1 { 0 } else { shape.kh() * reads.row() });
        for row in rows {
            let (image, y) = (row / shape.out_h(), row % shape.out_h());
            let image = &x[image * image_len..][..image_len];
            let gradient = &dy[row * shape.out_w() * channels..][..shape.out_w() * channels];
            if times > 1 {
                let len = reads.row();
                for (i, (_, from)) in reads.rows(shape, y).enumerate() {
                    let to = &mut copied.as_mut_slice()[i * len..(i + 1) * len];
                    repeat(&image[from * len / times..(from + 1) * len / times], times, to);
                }
            }
            for group in 0..reads.groups() {
                let origin = if times == 1 { image.as_ptr() } else { copied.as_mut_ptr().cast_const() };
                let count = reads.list(shape, (y, group), (origin, times > 1), zeros.as_ptr(), list);
                let mut from = [zeros.as_ptr(); PIXELS];
                for (i, from) in from.iter_mut().enumerate().take(reads.pixels(group)) {
                    *from = gradient[(group * PIXELS + i) * channels..].as_ptr();
                }
                let whole = channels - channels % V::LANES;
                // SAFETY: what is listed exists or is zero, and so does the gradient.
                unsafe {
                    for c in (0..whole).step_by(V::LANES) {
                        vector::<V, true>(&list[..count], &from, c, V::LANES, channels, taps, sums.as_mut_ptr());
                    }
                    if whole < channels {
                        let last = channels - whole;
                        vector::<V, false>(&list[..count], &from, whole, last, channels, taps, sums.as_mut_ptr());
                    }
                }
            }
        }
    }
}

/// Adds what a few neighbouring pixels of a vector of channels contribute.
///
/// # Safety
/// `count` channels from `channel` on exist wherever is read; `sums` has `channels` elements for each tap and the bias.
#[inline(always)]
unsafe fn vector<V: Vector, const FULL: bool>(
    list: &[Read<V::Elem>],
    dy: &[*const V::Elem; PIXELS],
    channel: usize,
    count: usize,
    channels: usize,
    taps: usize,
    sums: *mut V::Elem,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut gradients = [V::zero(); PIXELS];
        for i in 0..PIXELS {
            let from = dy[i].add(channel);
            gradients[i] = if FULL { V::load(from) } else { V::load_first(from, count) };
        }
        for read in list {
            let to = sums.add(read.tap * channels + channel);
            let mut sum = if FULL { V::load(to) } else { V::load_first(to, count) };
            for i in 0..PIXELS {
                let from = read.from[i].add(channel);
                let x = if FULL { V::load(from) } else { V::load_first(from, count) };
                sum = x.mul_add(gradients[i], sum);
            }
            if FULL { sum.store(to) } else { sum.store_first(to, count) }
        }
        let to = sums.add(taps * channels + channel);
        let mut sum = if FULL { V::load(to) } else { V::load_first(to, count) };
        for gradient in gradients {
            sum = sum + gradient;
        }
        if FULL { sum.store(to) } else { sum.store_first(to, count) }
    }
}
