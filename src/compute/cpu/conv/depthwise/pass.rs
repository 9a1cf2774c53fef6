//! The forward pass and the gradient of the input.
// Pixels are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use super::reads::{Read, Reads, Way};
use super::{PIXELS, prefetch, repeat};
use crate::compute::cpu::conv::Activation;
use crate::compute::cpu::conv::scratch::Scratch;
use crate::compute::cpu::conv::shape::ConvShape;
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};
use std::ops::Range;

/// Bytes of the rows that a unit of work writes, about.
const UNIT_BYTES: usize = 128 << 10;

/// What all units have in common.
struct Pass<'a, T> {
    shape: &'a ConvShape,
    way: Way,
    reads: Reads,
    /// What is read, elements of an image of it, and of one of the result.
    from: &'a [T],
    from_image: usize,
    to: Parts<'a, T>,
    /// Rows and pixels of a row of the result.
    height: usize,
    width: usize,
    /// Rows of a unit.
    rows: usize,
    weights: &'a [T],
    bias: Option<&'a [T]>,
    relu: bool,
    zeros: &'a [T],
}

/// The forward pass; lengths have been checked.
pub(in crate::compute::cpu::conv) fn forward<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    weights: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
) {
    let size = [shape.out_h(), shape.out_w()];
    run(cpu, shape, Way::Forward, x, weights, (bias, activation == Activation::Relu), size, y);
}

/// The gradient of the input; lengths have been checked.
pub(in crate::compute::cpu::conv) fn input_gradient<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    dy: &[T],
    weights: &[T],
    dx: &mut [T],
) {
    run(cpu, shape, Way::Back, dy, weights, (None, false), [shape.h(), shape.w()], dx);
}

#[allow(clippy::too_many_arguments)]
fn run<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    way: Way,
    from: &[T],
    weights: &[T],
    (bias, relu): (Option<&[T]>, bool),
    [height, width]: [usize; 2],
    to: &mut [T],
) {
    let channels = shape.c_out();
    let rows = (UNIT_BYTES / (width * channels * size_of::<T>())).clamp(1, height);
    let units = height.div_ceil(rows);
    let mut zeros = Scratch::take(channels);
    zeros.as_mut_slice().fill(T::ZERO);
    let pass = Pass {
        shape,
        way,
        reads: Reads::new(shape, way, channels),
        from,
        from_image: from.len() / shape.n(),
        to: Parts::new(to),
        height,
        width,
        rows: height.div_ceil(units),
        weights,
        bias,
        relu,
        zeros: zeros.as_mut_slice(),
    };
    let units = height.div_ceil(pass.rows);
    cpu.crew.for_each(shape.n() * units, &|unit| {
        let (image, first) = (unit / units, unit % units * pass.rows);
        dispatch(cpu.isa, Unit { pass: &pass, image, rows: first..(first + pass.rows).min(height) });
    });
}

/// Some rows of an image.
struct Unit<'a, T> {
    pass: &'a Pass<'a, T>,
    image: usize,
    rows: Range<usize>,
}

impl<T: Float> Kernel<T> for Unit<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { pass, image, rows } = self;
        let times = pass.shape.group_out();
        let image_from = &pass.from[image * pass.from_image..][..pass.from_image];
        let to_row = pass.width * if pass.way == Way::Forward { pass.shape.c_out() } else { pass.shape.c_in() };
        let at = image * pass.height * to_row;
        // SAFETY: every unit has rows of its own.
        let to = unsafe { pass.to.piece(at + rows.start * to_row..at + rows.end * to_row) };
        if times == 1 {
            return self::rows::<V>(pass, image_from.as_ptr(), &rows, to);
        }
        match pass.way {
            Way::Forward => {
                let span = pass.reads.span(pass.shape, rows.clone());
                let row = pass.reads.row();
                let mut copied = Scratch::take(span.len() * row);
                let copied = copied.as_mut_slice();
                repeat(&image_from[span.start * row / times..span.end * row / times], times, copied);
                self::rows::<V>(pass, copied.as_ptr().wrapping_sub(span.start * row), &rows, to);
            }
            Way::Back => {
                let mut each = Scratch::take(to.len() * times);
                let each = each.as_mut_slice();
                self::rows::<V>(pass, image_from.as_ptr(), &rows, each);
                for (to, each) in to.iter_mut().zip(each.chunks_exact(times)) {
                    *to = each[0];
                    for gradient in &each[1..] {
                        *to += *gradient;
                    }
                }
            }
        }
    }
}

/// Rows `rows` of the result, with as many channels as the output has, from rows that begin at `origin`.
#[inline(always)]
fn rows<V: Vector>(pass: &Pass<'_, V::Elem>, origin: *const V::Elem, rows: &Range<usize>, to: &mut [V::Elem]) {
    let (shape, channels) = (pass.shape, pass.shape.c_out());
    let mut list = Scratch::<u64>::take(shape.kh() * shape.kw() * (PIXELS + 1));
    const { assert!(size_of::<Read<V::Elem>>() <= (PIXELS + 1) * size_of::<u64>()) };
    // SAFETY: a `Read` is made of so many words, any values of which are one; it is not read before it is written.
    let list =
        unsafe { std::slice::from_raw_parts_mut(list.as_mut_ptr().cast::<Read<V::Elem>>(), shape.kh() * shape.kw()) };
    assert!(to.len() == rows.len() * pass.width * channels && pass.weights.len() == list.len() * channels);
    for y in rows.clone() {
        for group in 0..pass.reads.groups() {
            let count = pass.reads.list(shape, (y, group), (origin, false), pass.zeros.as_ptr(), list);
            let first = ((y - rows.start) * pass.width + group * PIXELS) * channels;
            let pixels = pass.reads.pixels(group);
            let whole = channels - channels % V::LANES;
            // SAFETY: what is listed exists or is zero, and these pixels of the result are `to`'s.
            unsafe {
                let to = to.as_mut_ptr().add(first);
                for c in (0..whole).step_by(V::LANES) {
                    vector::<V, true>(pass, &list[..count], c, V::LANES, to, pixels);
                }
                if whole < channels {
                    vector::<V, false>(pass, &list[..count], whole, channels - whole, to, pixels);
                }
            }
        }
    }
}

/// A few neighbouring pixels of a vector of channels.
///
/// # Safety
/// `count` channels from `channel` on exist wherever is read, and in `pixels` pixels from `to` on.
#[inline(always)]
unsafe fn vector<V: Vector, const FULL: bool>(
    pass: &Pass<'_, V::Elem>,
    list: &[Read<V::Elem>],
    channel: usize,
    count: usize,
    to: *mut V::Elem,
    pixels: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let channels = pass.shape.c_out();
        let bias = match pass.bias {
            Some(bias) => V::load_first(bias.as_ptr().add(channel), count),
            None => V::zero(),
        };
        let mut sums = [bias; PIXELS];
        // What the next pixels of the row will read for the first time. The processor does not see it coming: lines are
        // taken a pixel apart.
        if let Some(read) = list.last() {
            for from in read.from {
                prefetch(from.wrapping_add(PIXELS * channels + channel));
            }
            for i in 0..PIXELS {
                prefetch(to.wrapping_add((PIXELS + i) * channels + channel));
            }
        }
        for read in list {
            let weight = pass.weights.as_ptr().add(read.tap * channels + channel);
            let weight = if FULL { V::load(weight) } else { V::load_first(weight, count) };
            for i in 0..PIXELS {
                let from = read.from[i].add(channel);
                let x = if FULL { V::load(from) } else { V::load_first(from, count) };
                sums[i] = x.mul_add(weight, sums[i]);
            }
        }
        if pass.relu {
            for sum in &mut sums {
                // Zero where the sum is below it; a NaN stays one.
                *sum = V::zero().max(*sum);
            }
        }
        for i in 0..PIXELS {
            if i < pixels {
                let to = to.add(i * channels + channel);
                if FULL { sums[i].store(to) } else { sums[i].store_first(to, count) }
            }
        }
    }
}
