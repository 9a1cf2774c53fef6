//! Sizes of a convolution, checked once.

use crate::error::{Error, Fault, Result};

/// How a convolution is computed. Every way gives the same bits for any number of workers; see
/// [`conv`](super) for how far they differ from one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ConvAlgorithm {
    /// The fastest for the sizes, which alone decide. Always the direct one for `f64`, whose results serve as references.
    #[default]
    Auto,
    /// Every product of the definition, added in the order of the taps.
    Direct,
    /// F(4x4, 3x3) of Winograd: a quarter of the multiplications, and about twice the error of rounding. Only for 3x3 taps
    /// with stride 1, dilation 1 and one group.
    Winograd,
}

/// Stride, padding, dilation and groups of a convolution; pairs are (height, width). For one dimension use height 1
/// with stride 1, padding 0 and dilation 1 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvOptions {
    /// Steps of the window in the input, pixels (at least 1).
    pub stride: [usize; 2],
    /// Zero pixels added on each side of the input.
    pub padding: [usize; 2],
    /// Distance between neighbouring taps in the input, pixels (at least 1).
    pub dilation: [usize; 2],
    /// Number of groups the channels are cut into; divides both channel counts. With as many groups as input channels
    /// the convolution is depthwise.
    pub groups: usize,
    /// How sums are computed. Inference with 8 bits is exact and does not look at it.
    pub algorithm: ConvAlgorithm,
}

impl Default for ConvOptions {
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1, algorithm: ConvAlgorithm::Auto }
    }
}

/// Sizes of a two-dimensional convolution.
///
/// Memory order, everywhere contiguous: input `[n, h, w, c_in]`, weights `[kh, kw, c_in / groups, c_out]`, bias
/// `[c_out]`, output `[n, out_h, out_w, c_out]`. So activations are channels-last, and a weight tensor of the logical
/// shape `[c_out, c_in / groups, kh, kw]` has the strides of [`weight_strides`](Self::weight_strides).
///
/// Invariant: every size but `n` is at least one, the output has at least one pixel, and the numbers of elements fit
/// `isize`. Checked by [`new`](Self::new).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    n: usize,
    h: usize,
    w: usize,
    c_in: usize,
    c_out: usize,
    kh: usize,
    kw: usize,
    out_h: usize,
    out_w: usize,
    options: ConvOptions,
}

impl ConvShape {
    /// A convolution of `input` (`[n, h, w, c_in]`) with `kernel` (`[c_out, kh, kw]`).
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault found: sizes, strides, dilations or groups of zero, channels that the groups
    /// do not divide, a kernel larger than the padded input, tensors larger than the address space, an algorithm that does
    /// not fit.
    pub fn new(input: [usize; 4], kernel: [usize; 3], options: ConvOptions) -> Result<Self> {
        let [n, h, w, c_in] = input;
        let [c_out, kh, kw] = kernel;
        let ConvOptions { stride, padding, dilation, groups, algorithm } = options;
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: String| faults.push(Fault::new(format!("conv.{key}"), message));
        for (key, value) in [
            ("input.height", h),
            ("input.width", w),
            ("input.channels", c_in),
            ("kernel.channels", c_out),
            ("kernel.height", kh),
            ("kernel.width", kw),
            ("stride.height", stride[0]),
            ("stride.width", stride[1]),
            ("dilation.height", dilation[0]),
            ("dilation.width", dilation[1]),
            ("groups", groups),
        ] {
            if value == 0 {
                fault(key, "0 is not allowed; it has to be at least 1".into());
            }
        }
        if groups > 0 {
            for (key, value) in [("input.channels", c_in), ("kernel.channels", c_out)] {
                if value % groups != 0 {
                    fault(key, format!("{value} channels cannot be cut into {groups} equal groups"));
                }
            }
        }
        let mut out = [0; 2];
        for (axis, (size, k)) in [(h, kh), (w, kw)].into_iter().enumerate() {
            let name = ["height", "width"][axis];
            let span = (k.max(1) - 1).checked_mul(dilation[axis]).and_then(|s| s.checked_add(1));
            let padded = padding[axis].checked_mul(2).and_then(|p| p.checked_add(size));
            match (span, padded) {
                (Some(span), Some(padded)) if span <= padded => out[axis] = (padded - span) / stride[axis].max(1) + 1,
                (Some(span), Some(padded)) => fault(
                    &format!("kernel.{name}"),
                    format!(
                        "the kernel spans {span} pixels but the padded input has {padded}; pad more or use a smaller kernel"
                    ),
                ),
                _ => fault(&format!("kernel.{name}"), "the window does not fit the address space".into()),
            }
        }
        let fits = |sizes: &[usize]| {
            let product = sizes.iter().try_fold(8usize, |product, size| product.checked_mul(*size));
            product.is_some_and(|bytes| bytes <= isize::MAX as usize)
        };
        let padded = [0, 1].map(|axis| input[1 + axis].saturating_add(padding[axis].saturating_mul(2)));
        if !fits(&[n.max(1), padded[0], padded[1], c_in]) || !fits(&[n.max(1), out[0], out[1], c_out]) {
            fault("input", format!("{n} x {h} x {w} pixels do not fit the address space"));
        }
        if !fits(&[kh, kw, c_in, c_out]) {
            fault("kernel", format!("{c_out} x {c_in} x {kh} x {kw} weights do not fit the address space"));
        }
        if algorithm == ConvAlgorithm::Winograd && !winograd_fits([kh, kw], &options) {
            let message = format!(
                "Winograd's algorithm is for 3x3 taps with stride 1, dilation 1 and one group, not {kh}x{kw} taps with \
                 stride {stride:?}, dilation {dilation:?} and {groups} groups; leave the choice to the library or take the \
                 direct one"
            );
            faults.push(Fault::new("conv.algorithm", message));
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        Ok(Self { n, h, w, c_in, c_out, kh, kw, out_h: out[0], out_w: out[1], options })
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
    /// Input channels.
    pub fn c_in(&self) -> usize {
        self.c_in
    }
    /// Output channels.
    pub fn c_out(&self) -> usize {
        self.c_out
    }
    /// Kernel height, taps.
    pub fn kh(&self) -> usize {
        self.kh
    }
    /// Kernel width, taps.
    pub fn kw(&self) -> usize {
        self.kw
    }
    /// Output height, pixels: `(h + 2 padding - dilation (kh - 1) - 1) / stride + 1`, rounded down.
    pub fn out_h(&self) -> usize {
        self.out_h
    }
    /// Output width, pixels.
    pub fn out_w(&self) -> usize {
        self.out_w
    }
    /// Stride, padding, dilation and groups.
    pub fn options(&self) -> &ConvOptions {
        &self.options
    }
    /// Input channels of a group.
    pub fn group_in(&self) -> usize {
        self.c_in / self.options.groups
    }
    /// Output channels of a group.
    pub fn group_out(&self) -> usize {
        self.c_out / self.options.groups
    }
    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.n * self.h * self.w * self.c_in
    }
    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        self.kh * self.kw * self.group_in() * self.c_out
    }
    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.n * self.out_h * self.out_w * self.c_out
    }
    /// Multiplications of one pass (forward, or either gradient), taps in the padding counted too.
    pub fn multiplications(&self) -> usize {
        self.output_len() * self.kh * self.kw * self.group_in()
    }
    /// Strides, in elements, of the logical weight tensor `[c_out, c_in / groups, kh, kw]`.
    pub fn weight_strides(&self) -> [usize; 4] {
        let per_tap = self.group_in() * self.c_out;
        [1, self.c_out, self.kw * per_tap, per_tap]
    }
    /// Whether [`ConvAlgorithm::Winograd`] can compute it.
    pub(super) fn winograd_fits(&self) -> bool {
        winograd_fits([self.kh, self.kw], &self.options)
    }
    /// Input coordinate minus `stride` times the output coordinate at tap `tap` of `axis` (0 height, 1 width).
    pub(super) fn tap_offset(&self, axis: usize, tap: usize) -> isize {
        (tap * self.options.dilation[axis]) as isize - self.options.padding[axis] as isize
    }
}

fn winograd_fits(taps: [usize; 2], options: &ConvOptions) -> bool {
    taps == [3, 3] && options.stride == [1, 1] && options.dilation == [1, 1] && options.groups == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sizes_follow_the_formula() {
        let options =
            ConvOptions { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2, ..Default::default() };
        let shape = ConvShape::new([3, 8, 9, 4], [6, 3, 3], options).expect("valid");
        assert_eq!((shape.out_h(), shape.out_w()), (4, 9));
        assert_eq!((shape.input_len(), shape.weight_len(), shape.output_len()), (864, 108, 648));
        assert_eq!(shape.weight_strides(), [1, 6, 36, 12]);
    }

    #[test]
    fn every_fault_is_told() {
        let options = ConvOptions { stride: [0, 1], groups: 2, ..Default::default() };
        let message = ConvShape::new([1, 4, 4, 3], [4, 3, 7], options).expect_err("faults").to_string();
        assert_eq!(
            message,
            "conv.stride.height: 0 is not allowed; it has to be at least 1\n\
             conv.input.channels: 3 channels cannot be cut into 2 equal groups\n\
             conv.kernel.width: the kernel spans 7 pixels but the padded input has 4; pad more or use a smaller kernel"
        );
        assert!(ConvShape::new([1 << 40, 1 << 12, 1 << 12, 3], [1, 1, 1], ConvOptions::default()).is_err());
    }
}
