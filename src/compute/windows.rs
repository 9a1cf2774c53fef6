//! Sizes of pooling windows, checked once.

use crate::error::{Error, Result};

/// Windows that slide over the pixels of every channel; pairs are (height, width). One dimension is a height of 1.
///
/// Memory order, everywhere contiguous: input `[n, h, w, c]`, output `[n, out_h, out_w, c]`: channels-last.
///
/// Invariant, checked by [`Pooling::new`]: kernel, stride and dilation are at least 1, the padding is at most half of the
/// kernel, and the output has at least one pixel; so every window holds at least one pixel of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pooling {
    /// Images in the batch.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Pixels of the input.
    pub size: [usize; 2],
    /// Pixels of the output: `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down.
    pub out: [usize; 2],
    /// Taps of the window.
    pub kernel: [usize; 2],
    /// Steps of the window, pixels.
    pub stride: [usize; 2],
    /// Pixels added on each side; they are never the largest and count as zeros in a mean.
    pub padding: [usize; 2],
    /// Distance of neighbouring taps, pixels.
    pub dilation: [usize; 2],
}

impl Pooling {
    /// Windows over `n` images of `c` channels and `size` pixels.
    ///
    /// # Errors
    /// A window, stride or dilation of 0, a padding above half of the window, a window larger than the padded input.
    pub fn new(
        op: &'static str,
        [n, c]: [usize; 2],
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<Self> {
        let mut out = [0; 2];
        for axis in 0..2 {
            let name = ["height", "width"][axis];
            let (kernel, stride, padding, dilation) = (kernel[axis], stride[axis], padding[axis], dilation[axis]);
            if kernel == 0 || stride == 0 || dilation == 0 {
                return Err(Error::op(
                    op,
                    format!(
                        "a window of {name} {kernel}, stride {stride} and dilation {dilation}: each must be at least 1"
                    ),
                ));
            }
            if padding > kernel / 2 {
                return Err(Error::op(
                    op,
                    format!("padding {padding} is more than half of the window of {name} {kernel}"),
                ));
            }
            let span = (kernel - 1).checked_mul(dilation).and_then(|span| span.checked_add(1));
            let room = padding.checked_mul(2).and_then(|padding| padding.checked_add(size[axis]));
            match (span, room) {
                (Some(span), Some(room)) if span <= room && size[axis] > 0 => out[axis] = (room - span) / stride + 1,
                _ => {
                    return Err(Error::op(
                        op,
                        format!(
                            "a window of {name} {kernel} with dilation {dilation} does not fit images of \
                             {} x {} pixels padded by {padding}",
                            size[0], size[1]
                        ),
                    ));
                }
            }
        }
        Ok(Self { n, c, size, out, kernel, stride, padding, dilation })
    }

    /// Taps of a window.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Where tap `tap` (row by row) of the window at output pixel `out` lies in the input, if it is not in the padding.
    pub fn at(&self, out: [usize; 2], tap: usize) -> Option<[usize; 2]> {
        let tap = [tap / self.kernel[1], tap % self.kernel[1]];
        let mut pixel = [0; 2];
        for axis in 0..2 {
            pixel[axis] =
                (out[axis] * self.stride[axis] + tap[axis] * self.dilation[axis]).wrapping_sub(self.padding[axis]);
            if pixel[axis] >= self.size[axis] {
                return None;
            }
        }
        Some(pixel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_formula_and_faults_are_told() {
        let new = |kernel, stride, padding| Pooling::new("pool", [2, 3], [7, 5], kernel, stride, padding, [1, 1]);
        let pool = new([3, 2], [2, 2], [1, 0]).unwrap();
        assert_eq!((pool.out, pool.at([0, 0], 0), pool.at([0, 1], 3)), ([4, 2], None, Some([0, 3])));
        assert!(new([8, 2], [1, 1], [0, 0]).unwrap_err().to_string().contains("7 x 5 pixels"));
        assert!(new([2, 2], [1, 1], [2, 0]).unwrap_err().to_string().contains("half"));
        assert!(new([2, 2], [0, 1], [0, 0]).is_err());
    }
}
