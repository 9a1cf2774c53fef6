//! Sizes of a pooling, checked once.

use crate::error::{Error, Fault, Result};
use std::ops::Range;

/// Window of a pooling; pairs are (height, width). For one dimension use height 1 with kernel 1, stride 1, padding 0 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolOptions {
    /// Taps of the window (at least 1).
    pub kernel: [usize; 2],
    /// Steps of the window, pixels (at least 1).
    pub stride: [usize; 2],
    /// Pixels added on each side of the input, at most half of the window: minus infinity for maxima, zero for averages.
    pub padding: [usize; 2],
    /// Distance between neighbouring taps, pixels (at least 1).
    pub dilation: [usize; 2],
    /// Whether averages count the padding: if not, sums are divided by the number of taps in the input. Has no meaning
    /// for maxima.
    pub count_padding: bool,
}

impl PoolOptions {
    /// A square window that moves by its size.
    pub fn square(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [kernel; 2], padding: [0; 2], dilation: [1; 2], count_padding: true }
    }
}

/// Sizes of a pooling over `[n, h, w, c]`.
///
/// Invariant, checked by [`new`](Self::new): all sizes but `n` are at least one, every window has a tap in the input, and
/// the numbers of elements fit `isize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolShape {
    n: usize,
    h: usize,
    w: usize,
    c: usize,
    out_h: usize,
    out_w: usize,
    options: PoolOptions,
}

impl PoolShape {
    /// A pooling of `input` (`[n, h, w, c]`). The last rows and columns that no whole window reaches are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault found: sizes of zero, padding of more than half of the window, a window larger
    /// than the padded input, tensors larger than the address space.
    pub fn new(input: [usize; 4], options: PoolOptions) -> Result<Self> {
        let [n, h, w, c] = input;
        let mut faults = Vec::new();
        let mut fault = |key: String, message: String| faults.push(Fault::new(format!("pool.{key}"), message));
        if c == 0 {
            fault("input.channels".into(), "0 is not allowed; it has to be at least 1".into());
        }
        let mut out = [0; 2];
        for (axis, size) in [h, w].into_iter().enumerate() {
            let name = ["height", "width"][axis];
            let (kernel, stride) = (options.kernel[axis], options.stride[axis]);
            let (padding, dilation) = (options.padding[axis], options.dilation[axis]);
            let positive = [("input", size), ("kernel", kernel), ("stride", stride), ("dilation", dilation)];
            for (key, _) in positive.into_iter().filter(|(_, value)| *value == 0) {
                fault(format!("{key}.{name}"), "0 is not allowed; it has to be at least 1".into());
            }
            if positive.iter().any(|(_, value)| *value == 0) {
                continue;
            }
            let span = (kernel - 1).checked_mul(dilation).and_then(|s| s.checked_add(1));
            let padded = padding.checked_mul(2).and_then(|p| p.checked_add(size));
            let (Some(span), Some(padded)) = (span, padded) else {
                fault(format!("kernel.{name}"), "the window does not fit the address space".into());
                continue;
            };
            if padding > span / 2 {
                let most = span / 2;
                fault(
                    format!("padding.{name}"),
                    format!(
                        "{padding} is more than half of the window, which spans {span} pixels; at most {most} is allowed"
                    ),
                );
            } else if span > padded {
                fault(
                    format!("kernel.{name}"),
                    format!("the window spans {span} pixels but the padded input has {padded}; use a smaller window"),
                );
            } else {
                out[axis] = (padded - span) / stride + 1;
                // Windows that begin in the padding: with dilation, their taps may step over a short input.
                let missed = (0..out[axis]).map(|o| o * stride).take_while(|start| *start < padding);
                let first = |start: usize| (dilation - (padding - start) % dilation) % dilation;
                if missed.into_iter().any(|start| first(start) >= size) {
                    fault(
                        format!("dilation.{name}"),
                        format!(
                            "with {dilation} a window has no tap in the input of {size} pixels; pad or dilate less"
                        ),
                    );
                }
            }
        }
        let bytes = [n.max(1), h, w, c].iter().try_fold(8usize, |product, size| product.checked_mul(*size));
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            fault("input".into(), format!("{n} x {h} x {w} x {c} elements do not fit the address space"));
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        Ok(Self { n, h, w, c, out_h: out[0], out_w: out[1], options })
    }

    /// Images in the batch.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Input height, pixels.
    pub fn h(&self) -> usize {
        self.h
    }
    /// Input width, pixels.
    pub fn w(&self) -> usize {
        self.w
    }
    /// Channels.
    pub fn c(&self) -> usize {
        self.c
    }
    /// Output height, pixels.
    pub fn out_h(&self) -> usize {
        self.out_h
    }
    /// Output width, pixels.
    pub fn out_w(&self) -> usize {
        self.out_w
    }
    /// Window, stride, padding, dilation.
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }
    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.n * self.h * self.w * self.c
    }
    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.n * self.out_h * self.out_w * self.c
    }

    /// Taps of `axis` (0 height, 1 width) at output coordinate `at` that lie in the input, and the input coordinate of the
    /// first of them.
    #[inline(always)]
    pub(super) fn taps(&self, axis: usize, at: usize) -> (Range<usize>, usize) {
        let size = [self.h, self.w][axis];
        let dilation = self.options.dilation[axis];
        let start = (at * self.options.stride[axis]) as isize - self.options.padding[axis] as isize;
        let first = if start < 0 { start.unsigned_abs().div_ceil(dilation) } else { 0 };
        let end = ((size as isize - start) as usize).div_ceil(dilation).min(self.options.kernel[axis]);
        (first..end.max(first), (start + (first * dilation) as isize) as usize)
    }

    /// The output columns whose windows lie within the input as far as the width goes.
    pub(super) fn inner_columns(&self) -> Range<usize> {
        let (stride, padding) = (self.options.stride[1], self.options.padding[1]);
        let span = (self.options.kernel[1] - 1) * self.options.dilation[1] + 1;
        let end = (self.w + padding).checked_sub(span).map_or(0, |room| room / stride + 1).min(self.out_w);
        padding.div_ceil(stride).min(end)..end
    }

    /// How many taps of a row lie in the input at output column `at`, and the input column of the first of them; `inner` is
    /// [`inner_columns`](Self::inner_columns).
    #[inline(always)]
    pub(super) fn columns(&self, at: usize, inner: &Range<usize>) -> (usize, usize) {
        if inner.contains(&at) {
            return (self.options.kernel[1], at * self.options.stride[1] - self.options.padding[1]);
        }
        let (taps, first) = self.taps(1, at);
        (taps.len(), first)
    }

    /// Whether no two windows share a pixel.
    pub(super) fn windows_are_apart(&self) -> bool {
        (0..2).all(|axis| {
            let span = (self.options.kernel[axis] - 1) * self.options.dilation[axis] + 1;
            span <= self.options.stride[axis] || [self.out_h, self.out_w][axis] == 1
        })
    }

    /// What sums over `taps` taps are divided by.
    #[inline(always)]
    pub(super) fn divisor(&self, taps: usize) -> usize {
        if self.options.count_padding { self.options.kernel[0] * self.options.kernel[1] } else { taps }
    }
}
