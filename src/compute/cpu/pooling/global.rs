//! The average over all pixels of an image: adaptive average pooling to one pixel.

use super::forward::{GRAIN, each_range};
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};

/// Pixels that are summed before their sum is added to that of the blocks before.
pub const GLOBAL_BLOCK: usize = 64;

/// `y[n, c]` = average of `x[n, pixels, c]` over the pixels; `[n, c]` is the shape of `y`.
///
/// # Panics
/// If `pixels` or `channels` is zero or the slices do not have the lengths that follow.
pub fn global_avg_forward<T: Float>(cpu: &Cpu, pixels: usize, channels: usize, x: &[T], y: &mut [T]) {
    assert!(pixels > 0 && channels > 0, "an average over no pixels");
    assert_eq!(x.len(), y.len() * pixels, "elements of the input");
    assert_eq!(y.len() % channels, 0, "elements of the output");
    let parts = Parts::new(y);
    // Any cut is allowed: every channel of an image is summed for itself.
    each_range(cpu, parts.len(), (GRAIN / pixels).max(16), &|range| {
        let mut at = range.start;
        while at < range.end {
            let (image, channel) = (at / channels, at % channels);
            let end = range.end.min((image + 1) * channels);
            // SAFETY: ranges do not overlap.
            let y = unsafe { parts.piece(at..end) };
            let x = &x[image * pixels * channels..][..pixels * channels];
            dispatch(cpu.isa, Sum { x, y, channel, channels });
            at = end;
        }
    });
}

/// Gradient of the input of [`global_avg_forward`]: `dx[n, pixel, c] = dy[n, c] / pixels`.
///
/// # Panics
/// As [`global_avg_forward`].
pub fn global_avg_backward<T: Float>(cpu: &Cpu, pixels: usize, channels: usize, dy: &[T], dx: &mut [T]) {
    assert!(pixels > 0 && channels > 0, "an average over no pixels");
    assert_eq!(dx.len(), dy.len() * pixels, "elements of the input");
    assert_eq!(dy.len() % channels, 0, "elements of the output");
    let parts = Parts::new(dx);
    let divisor = T::of(pixels as f64);
    each_range(cpu, dy.len() / channels * pixels, (GRAIN / channels).max(1), &|range| {
        let mut at = range.start;
        while at < range.end {
            let image = at / pixels;
            let end = range.end.min((image + 1) * pixels);
            // SAFETY: ranges do not overlap.
            let dx = unsafe { parts.piece(at * channels..end * channels) };
            let (first, rest) = dx.split_at_mut(channels);
            for (dx, dy) in first.iter_mut().zip(&dy[image * channels..]) {
                *dx = *dy / divisor;
            }
            for pixel in rest.chunks_exact_mut(channels) {
                pixel.copy_from_slice(first);
            }
            at = end;
        }
    });
}

/// Averages of channels `channel` on of one image.
struct Sum<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
    channel: usize,
    channels: usize,
}

impl<T: Float> Kernel<T> for Sum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let pixels = self.x.len() / self.channels;
        let divisor = V::of(pixels as f64);
        let mut done = 0;
        while done < self.y.len() {
            let lanes = (self.y.len() - done).min(V::LANES);
            // SAFETY: `lanes` channels from here on in every pixel.
            unsafe {
                let from = self.x.as_ptr().add(self.channel + done);
                let mut total = V::zero();
                for block in (0..pixels).step_by(GLOBAL_BLOCK) {
                    let mut sum = V::zero();
                    for pixel in block..(block + GLOBAL_BLOCK).min(pixels) {
                        sum = sum + V::load_first(from.add(pixel * self.channels), lanes);
                    }
                    total = total + sum;
                }
                (total / divisor).store_first(self.y.as_mut_ptr().add(done), lanes);
            }
            done += lanes;
        }
    }
}
