//! Gradients of the input.

use super::PoolShape;
use super::forward::{GRAIN, each_range, fetch_ahead};
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};
use std::marker::PhantomData;
use std::ops::Range;

/// Gradient of the input of [`max_pool_forward`](super::max_pool_forward): each window's goes to its maximum, the first in
/// the order of rows and columns where several are equal, the last NaN where there are any. The maximum is found again
/// from `x`, which costs less than to write and read its place.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn max_pool_backward<T: Float>(cpu: &Cpu, shape: &PoolShape, x: &[T], dy: &[T], dx: &mut [T]) {
    assert_eq!(x.len(), shape.input_len(), "elements of the input");
    spread::<T, ToMaximum<false>>(cpu, shape, x, dy, dx);
}

/// Gradient of the input of [`max_pool_relu_forward`](super::max_pool_relu_forward): as [`max_pool_backward`], and nothing
/// for windows whose maximum is not above 0.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn max_pool_relu_backward<T: Float>(cpu: &Cpu, shape: &PoolShape, x: &[T], dy: &[T], dx: &mut [T]) {
    assert_eq!(x.len(), shape.input_len(), "elements of the input");
    spread::<T, ToMaximum<true>>(cpu, shape, x, dy, dx);
}

/// Gradient of the input of [`avg_pool_forward`](super::avg_pool_forward).
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn avg_pool_backward<T: Float>(cpu: &Cpu, shape: &PoolShape, dy: &[T], dx: &mut [T]) {
    spread::<T, ToAll>(cpu, shape, &[], dy, dx);
}

/// Where the taps of a window lie.
#[derive(Clone, Copy)]
struct Window {
    rows: usize,
    cols: usize,
    row_step: usize,
    tap_step: usize,
    divisor: usize,
    lanes: usize,
}

/// How the gradient of a window's output goes to its taps.
trait Spread {
    /// Writes (`ADD`: adds) the gradient `dy` to the taps from `dx` on, whose inputs are from `x` on where they are needed.
    unsafe fn window<V: Vector, const ADD: bool>(x: *const V::Elem, dy: V, dx: *mut V::Elem, window: Window);
}

#[inline(always)]
unsafe fn put<V: Vector, const ADD: bool>(value: V, to: *mut V::Elem, lanes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let value = if ADD { V::load_first(to, lanes) + value } else { value };
        value.store_first(to, lanes);
    }
}

struct ToAll;
impl Spread for ToAll {
    #[inline(always)]
    unsafe fn window<V: Vector, const ADD: bool>(_: *const V::Elem, dy: V, dx: *mut V::Elem, window: Window) {
        let share = dy / V::of(window.divisor as f64);
        for row in 0..window.rows {
            for col in 0..window.cols {
                // SAFETY: the taps exist.
                unsafe { put::<V, ADD>(share, dx.add(row * window.row_step + col * window.tap_step), window.lanes) };
            }
        }
    }
}

/// To the maximum; with `RELU`, only where that is above 0.
struct ToMaximum<const RELU: bool>;
impl<const RELU: bool> Spread for ToMaximum<RELU> {
    #[inline(always)]
    unsafe fn window<V: Vector, const ADD: bool>(x: *const V::Elem, dy: V, dx: *mut V::Elem, window: Window) {
        let lanes = window.lanes;
        // SAFETY: the taps exist.
        unsafe {
            if window.rows == 2 && window.cols == 2 {
                // The common window, all in registers: a tap has the maximum if it beat those before it and none behind
                // it beat it.
                let at = [0, window.tap_step, window.row_step, window.row_step + window.tap_step];
                let mut best = V::load_first(x, lanes);
                let mut shares = [dy, V::zero(), V::zero(), V::zero()];
                for tap in 1..4 {
                    let value = V::load_first(x.add(at[tap]), lanes);
                    let better = V::or(value.gt(best), value.is_nan());
                    best = V::select(better, value, best);
                    for share in &mut shares[..tap] {
                        *share = V::select(better, V::zero(), *share);
                    }
                    shares[tap] = V::select(better, dy, V::zero());
                }
                if RELU {
                    let passes = best.gt(V::zero());
                    for share in &mut shares {
                        *share = V::select(passes, *share, V::zero());
                    }
                }
                for tap in 0..4 {
                    put::<V, ADD>(shares[tap], dx.add(at[tap]), lanes);
                }
                return;
            }
            // The number of the best tap so far, in lanes: whole numbers below 2^24 are exact.
            let (mut best, mut place) = (V::load_first(x, lanes), V::zero());
            for row in 0..window.rows {
                for col in 0..window.cols {
                    let value = V::load_first(x.add(row * window.row_step + col * window.tap_step), lanes);
                    let better = V::or(value.gt(best), value.is_nan());
                    best = V::select(better, value, best);
                    place = V::select(better, V::of((row * window.cols + col) as f64), place);
                }
            }
            let dy = if RELU { V::select(best.gt(V::zero()), dy, V::zero()) } else { dy };
            for row in 0..window.rows {
                for col in 0..window.cols {
                    let here = place.eq(V::of((row * window.cols + col) as f64));
                    let share = V::select(here, dy, V::zero());
                    put::<V, ADD>(share, dx.add(row * window.row_step + col * window.tap_step), lanes);
                }
            }
        }
    }
}

fn spread<T: Float, S: Spread + Sync>(cpu: &Cpu, shape: &PoolShape, x: &[T], dy: &[T], dx: &mut [T]) {
    assert_eq!(dy.len(), shape.output_len(), "elements of the output");
    assert_eq!(dx.len(), shape.input_len(), "elements of the input");
    let (c, h, w) = (shape.c(), shape.h(), shape.w());
    let apart = shape.windows_are_apart();
    let parts = Parts::new(dx);
    let cost = shape.out_w() * c * shape.options().kernel[0] * shape.options().kernel[1];
    let part = |rows: Range<usize>, image: usize, channels: Range<usize>, zero: bool| Part {
        shape,
        x,
        dy,
        image,
        rows,
        channels,
        apart,
        zero,
        spread: PhantomData::<S>,
    };
    if apart && shape.options().dilation == [1, 1] && shape.options().padding == [0, 0] {
        // Every window row has input rows of its own, those up to the next one included.
        let rows = shape.n() * shape.out_h();
        let starts = |row: usize| {
            let (image, row) = (row / shape.out_h(), row % shape.out_h());
            image * h + if row == 0 { 0 } else { row * shape.options().stride[0] }
        };
        each_range(cpu, rows, (GRAIN / cost).max(1), &|range| {
            for row in range {
                // SAFETY: no two rows of windows have an input row in common, and the last of an image has the rest.
                let dx = unsafe { parts.piece(starts(row) * w * c..starts(row + 1) * w * c) };
                let (image, row) = (row / shape.out_h(), row % shape.out_h());
                let origin = (image * h + if row == 0 { 0 } else { row * shape.options().stride[0] }) * w * c;
                let origin = origin - image * h * w * c;
                dx.fill(T::ZERO);
                dispatch(cpu.isa, Job { part: part(row..row + 1, image, 0..c, false), dx, origin });
            }
        });
        return;
    }
    // Windows share pixels: one worker has an image, or some channels of it.
    let cuts = (4 * cpu.crew.size()).div_ceil(shape.n().max(1)).min(c.div_ceil(64)).max(1);
    each_range(cpu, shape.n() * cuts, (GRAIN / (cost * shape.out_h()).max(1)).max(1), &|range| {
        for unit in range {
            let (image, cut) = (unit / cuts, unit % cuts);
            // Whole cache lines of channels where they are many.
            let edge = |cut: usize| if cut == cuts { c } else { c * cut / cuts / 16 * 16 };
            let channels = edge(cut)..edge(cut + 1);
            let target = Target { start: parts.as_mut_ptr().wrapping_add(image * h * w * c) };
            dispatch(cpu.isa, SharedJob { part: part(0..shape.out_h(), image, channels, true), target });
        }
    });
}

/// Sets some channels of all pixels of an image to zero.
unsafe fn zero_channels<T>(image: *mut T, pixels: usize, c: usize, channels: &Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe {
        if channels.len() == c {
            image.write_bytes(0, pixels * c);
            return;
        }
        for pixel in 0..pixels {
            image.add(pixel * c + channels.start).write_bytes(0, channels.len());
        }
    }
}

/// Some rows of windows of an image.
struct Part<'a, T, S> {
    shape: &'a PoolShape,
    /// Empty where it is not needed.
    x: &'a [T],
    dy: &'a [T],
    image: usize,
    rows: Range<usize>,
    channels: Range<usize>,
    /// Whether no two windows share a pixel.
    apart: bool,
    /// Whether the channels have to be set to zero first; then the part has all rows.
    zero: bool,
    spread: PhantomData<S>,
}

/// A part whose input rows nobody else has.
struct Job<'a, T, S> {
    part: Part<'a, T, S>,
    dx: &'a mut [T],
    /// Element of the image at which `dx` begins.
    origin: usize,
}

/// A part with channels of its own.
struct SharedJob<'a, T, S> {
    part: Part<'a, T, S>,
    target: Target<T>,
}

struct Target<T> {
    start: *mut T,
}

impl<T: Float, S: Spread> Kernel<T> for Job<'_, T, S> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let start = self.dx.as_mut_ptr().wrapping_sub(self.origin);
        // SAFETY: the windows of these rows lie in `dx`.
        unsafe { self.part.run::<V>(start) }
    }
}

impl<T: Float, S: Spread> Kernel<T> for SharedJob<'_, T, S> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        // SAFETY: the target is the whole image, of which this job has its channels.
        unsafe { self.part.run::<V>(self.target.start) }
    }
}

impl<T: Float, S: Spread> Part<'_, T, S> {
    /// `dx` is where the gradient of the image begins.
    #[inline(always)]
    unsafe fn run<V: Vector<Elem = T>>(self, dx: *mut T) {
        let (shape, c) = (self.shape, self.shape.c());
        let options = shape.options();
        let x = self.x.as_ptr().wrapping_add(self.image * shape.h() * shape.w() * c);
        let inner = shape.inner_columns();
        // Rows that are zeroed. Where windows share pixels that is done just before they are added to.
        let mut zeroed = if self.zero { 0 } else { shape.h() };
        for out_y in self.rows.clone() {
            let (taps_y, in_y) = shape.taps(0, out_y);
            let next_row = in_y + (taps_y.len() - 1) * options.dilation[0] + 1;
            if next_row > zeroed || out_y + 1 == shape.out_h() {
                let end = if out_y + 1 == shape.out_h() { shape.h() } else { next_row };
                let (row, pixels) = (zeroed * shape.w() * c, (end - zeroed) * shape.w());
                // SAFETY: rows of the image, of which the channels are this job's.
                unsafe { zero_channels(dx.wrapping_add(row), pixels, c, &self.channels) };
                zeroed = end;
            }
            for out_x in 0..shape.out_w() {
                let (taps_x, in_x) = shape.columns(out_x, &inner);
                if !self.x.is_empty() && self.channels.len() == c {
                    fetch_ahead(shape, x, next_row, in_x);
                }
                let start = (in_y * shape.w() + in_x) * c;
                let out = ((self.image * shape.out_h() + out_y) * shape.out_w() + out_x) * c;
                let mut window = Window {
                    rows: taps_y.len(),
                    cols: taps_x,
                    row_step: options.dilation[0] * shape.w() * c,
                    tap_step: options.dilation[1] * c,
                    divisor: shape.divisor(taps_y.len() * taps_x),
                    lanes: 0,
                };
                let mut channel = self.channels.start;
                while channel < self.channels.end {
                    window.lanes = (self.channels.end - channel).min(V::LANES);
                    // SAFETY: the taps lie in the image, the channels in the pixel.
                    unsafe {
                        let dy = V::load_first(self.dy.as_ptr().add(out + channel), window.lanes);
                        let (x, dx) = (x.wrapping_add(start + channel), dx.wrapping_add(start + channel));
                        if self.apart {
                            S::window::<V, false>(x, dy, dx, window);
                        } else {
                            S::window::<V, true>(x, dy, dx, window);
                        }
                    }
                    channel += window.lanes;
                }
            }
        }
    }
}
