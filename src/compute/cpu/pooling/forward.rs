//! Forward passes.

use super::PoolShape;
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};
use std::marker::PhantomData;

/// Elements read that are worth a worker.
pub(super) const GRAIN: usize = 16 << 10;

/// Maximum over each window. A NaN in the window is its maximum.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn max_pool_forward<T: Float>(cpu: &Cpu, shape: &PoolShape, x: &[T], y: &mut [T]) {
    pool::<T, Max>(cpu, shape, x, y);
}

/// The same after ReLU: at least 0, NaN stays NaN.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn max_pool_relu_forward<T: Float>(cpu: &Cpu, shape: &PoolShape, x: &[T], y: &mut [T]) {
    pool::<T, MaxRelu>(cpu, shape, x, y);
}

/// Average over each window.
///
/// # Panics
/// If a slice has not the length that `shape` says.
pub fn avg_pool_forward<T: Float>(cpu: &Cpu, shape: &PoolShape, x: &[T], y: &mut [T]) {
    pool::<T, Average>(cpu, shape, x, y);
}

/// How the elements of a window become one.
trait Reduction {
    /// From two to one.
    fn merge<V: Vector>(a: V, b: V) -> V;
    /// The last step, for a window whose sum is divided by `divisor`.
    fn finish<V: Vector>(a: V, divisor: usize) -> V;
}

struct Max;
impl Reduction for Max {
    #[inline(always)]
    fn merge<V: Vector>(a: V, b: V) -> V {
        // `b` where it is a NaN; and `a` stays where it is one, since it does not compare.
        V::select(V::or(b.gt(a), b.is_nan()), b, a)
    }
    #[inline(always)]
    fn finish<V: Vector>(a: V, _: usize) -> V {
        a
    }
}

struct MaxRelu;
impl Reduction for MaxRelu {
    #[inline(always)]
    fn merge<V: Vector>(a: V, b: V) -> V {
        Max::merge(a, b)
    }
    #[inline(always)]
    fn finish<V: Vector>(a: V, _: usize) -> V {
        V::select(a.lt(V::zero()), V::zero(), a)
    }
}

struct Average;
impl Reduction for Average {
    #[inline(always)]
    fn merge<V: Vector>(a: V, b: V) -> V {
        a + b
    }
    #[inline(always)]
    fn finish<V: Vector>(a: V, divisor: usize) -> V {
        a / V::of(divisor as f64)
    }
}

fn pool<T: Float, R: Reduction + Sync>(cpu: &Cpu, shape: &PoolShape, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), shape.input_len(), "elements of the input");
    assert_eq!(y.len(), shape.output_len(), "elements of the output");
    let row = shape.out_w() * shape.c();
    let rows = shape.n() * shape.out_h();
    let cost = row * shape.options().kernel[0] * shape.options().kernel[1];
    let parts = Parts::new(y);
    // Ranges of output rows. Where they are cut changes no result.
    each_range(cpu, rows, (GRAIN / cost).max(1), &|range| {
        // SAFETY: ranges do not overlap.
        let y = unsafe { parts.piece(range.start * row..range.end * row) };
        dispatch(cpu.isa, Rows::<T, R> { shape, x, y, first: range.start, reduction: PhantomData });
    });
}

/// Calls `job` for ranges that cover `0..count`, on all workers where it is worth it.
pub(super) fn each_range(cpu: &Cpu, count: usize, grain: usize, job: &(dyn Fn(std::ops::Range<usize>) + Sync)) {
    let workers = cpu.crew.size().min(count / grain);
    if workers <= 1 {
        return job(0..count);
    }
    // Finer than the workers, as they may be interrupted.
    let pieces = (workers * 4).min(count / grain).max(1);
    cpu.crew.for_each(pieces, &|piece| job(count * piece / pieces..count * (piece + 1) / pieces));
}

/// Asks for the input that the window one output row further down adds to the window at `in_x`: its lines are taken in an
/// order that processors do not foresee.
#[inline(always)]
pub(super) fn fetch_ahead<T>(shape: &PoolShape, image: *const T, next_row: usize, in_x: usize) {
    let stride = shape.options().stride;
    // Short rows are foreseen.
    if shape.w() * shape.c() * size_of::<T>() < 2048 {
        return;
    }
    for y in next_row..(next_row + stride[0]).min(shape.h()) {
        let start = image.wrapping_add((y * shape.w() + in_x) * shape.c()).cast::<u8>();
        for line in (0..stride[1] * shape.c() * size_of::<T>()).step_by(64) {
            let line = start.wrapping_add(line);
            // SAFETY: a hint, allowed for any address.
            #[cfg(target_arch = "x86_64")]
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(line.cast());
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = line;
        }
    }
}

/// Output rows `first` on, over all images.
struct Rows<'a, T, R> {
    shape: &'a PoolShape,
    x: &'a [T],
    y: &'a mut [T],
    first: usize,
    reduction: PhantomData<R>,
}

impl<T: Float, R: Reduction> Kernel<T> for Rows<'_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { shape, x, y, first, .. } = self;
        let (c, options) = (shape.c(), shape.options());
        let row = shape.out_w() * c;
        let inner = shape.inner_columns();
        let pairs = options.kernel == [2, 2];
        for (i, y) in y.chunks_exact_mut(row).enumerate() {
            let (image, out_y) = ((first + i) / shape.out_h(), (first + i) % shape.out_h());
            let (taps_y, in_y) = shape.taps(0, out_y);
            let x = &x[image * shape.h() * shape.w() * c..][..shape.h() * shape.w() * c];
            let row_step = options.dilation[0] * shape.w() * c;
            let tap_step = options.dilation[1] * c;
            let next_row = in_y + (taps_y.len() - 1) * options.dilation[0] + 1;
            for (out_x, y) in y.chunks_exact_mut(c).enumerate() {
                let (taps_x, in_x) = shape.columns(out_x, &inner);
                fetch_ahead(shape, x.as_ptr(), next_row, in_x);
                let start = (in_y * shape.w() + in_x) * c;
                let divisor = shape.divisor(taps_y.len() * taps_x);
                let mut channel = 0;
                while channel < c {
                    let lanes = (c - channel).min(V::LANES);
                    // SAFETY: the taps lie in the image, and `lanes` channels from `channel` on in the pixel.
                    unsafe {
                        let from = x.as_ptr().add(start + channel);
                        let value = if pairs && taps_y.len() == 2 && taps_x == 2 {
                            let below = from.add(row_step);
                            let value = V::load_first(from, lanes);
                            let value = R::merge(value, V::load_first(from.add(tap_step), lanes));
                            let value = R::merge(value, V::load_first(below, lanes));
                            R::merge(value, V::load_first(below.add(tap_step), lanes))
                        } else {
                            window::<V, R>(from, taps_y.len(), taps_x, row_step, tap_step, lanes)
                        };
                        R::finish(value, divisor).store_first(y.as_mut_ptr().add(channel), lanes);
                    }
                    channel += lanes;
                }
            }
        }
    }
}

/// Reduces `rows` by `cols` taps, at least one, row by row.
#[inline(always)]
unsafe fn window<V: Vector, R: Reduction>(
    from: *const V::Elem,
    rows: usize,
    cols: usize,
    row_step: usize,
    tap_step: usize,
    lanes: usize,
) -> V {
    // SAFETY: the caller's promise: all taps exist.
    unsafe {
        let mut value = V::load_first(from, lanes);
        for row in 0..rows {
            for col in usize::from(row == 0)..cols {
                value = R::merge(value, V::load_first(from.add(row * row_step + col * tap_step), lanes));
            }
        }
        value
    }
}
