//! The largest or the mean element under windows.

use super::{check_float, narrowed, wide};
use crate::compute::{Layout, PoolOptions, PoolShape, Shape};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record};

/// Windows of a pooling along each of `N` axes (1: length, 2: height and width).
///
/// ```
/// use tessera::tensor::Windows;
/// // As in torch, the window moves by its own size where no stride is given.
/// assert_eq!(Windows::new([2, 2]), Windows { kernel: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1] });
/// assert_eq!(Windows::new([3]).stride([1]).padding([1]).padding, [1]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Windows<const N: usize> {
    /// Size of the window.
    pub kernel: [usize; N],
    /// Steps of the window.
    pub stride: [usize; N],
    /// Elements added at each end: never the largest, zeros in a mean. At most half of the window.
    pub padding: [usize; N],
    /// Distance of neighbouring taps. Means take no other than 1.
    pub dilation: [usize; N],
}

impl<const N: usize> Windows<N> {
    /// Windows side by side, without padding.
    pub fn new(kernel: [usize; N]) -> Self {
        Self { kernel, stride: kernel, padding: [0; N], dilation: [1; N] }
    }

    /// With another stride.
    #[must_use]
    pub fn stride(self, stride: [usize; N]) -> Self {
        Self { stride, ..self }
    }

    /// With a padding.
    #[must_use]
    pub fn padding(self, padding: [usize; N]) -> Self {
        Self { padding, ..self }
    }

    /// With a dilation.
    #[must_use]
    pub fn dilation(self, dilation: [usize; N]) -> Self {
        Self { dilation, ..self }
    }

    /// The sizes for an input of shape [n, channels, ..].
    fn on(&self, op: &'static str, x: &Shape, count_padding: bool) -> Result<PoolShape> {
        let dims = x.dims();
        if dims.len() != 2 + N {
            let axes = if N == 1 { "[n, channels, length]" } else { "[n, channels, height, width]" };
            return Err(Error::op(op, format!("needs an input {axes}, not {x}")));
        }
        let plane = |sizes: &[usize], rest: usize| if N == 1 { [rest, sizes[0]] } else { [sizes[0], sizes[1]] };
        let options = PoolOptions {
            kernel: plane(&self.kernel, 1),
            stride: plane(&self.stride, 1),
            padding: plane(&self.padding, 0),
            dilation: plane(&self.dilation, 1),
            count_padding,
        };
        let [h, w] = plane(&dims[2..], 1);
        PoolShape::new([dims[0], h, w, dims[1]], options).map_err(|error| match error {
            Error::Invalid(faults) => {
                let all: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
                Error::op(op, format!("windows {:?} do not fit input {x}: {}", self.kernel, all.join("; ")))
            }
            other => other,
        })
    }
}

/// The layout of the result of windows over a shape of that rank.
fn out_layout(pool: &PoolShape, rank: usize) -> Layout {
    if rank == 3 {
        Layout::channels_last([pool.n(), pool.c(), pool.out_w()].into())
    } else {
        Layout::channels_last([pool.n(), pool.c(), pool.out_h(), pool.out_w()].into())
    }
}

struct PoolRule {
    op: &'static str,
    pool: PoolShape,
    shape: Shape,
    /// Of a maximum: the input, channels-last, and whether ReLU comes before.
    max: Option<(Tensor, bool)>,
}

impl Backward for PoolRule {
    fn name(&self) -> &'static str {
        self.op
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let (from, device) = (wide(&dy.channels_last()?)?, dy.device());
        let x = self.max.as_ref().map(|(x, rectify)| Ok((wide(x)?, *rectify))).transpose()?;
        let dx = Tensor::filled(device, from.dtype(), Layout::channels_last(self.shape), |dx| match &x {
            Some((x, rectify)) => device.backend().max_pool_grad(&self.pool, *rectify, x.arg(), from.arg(), dx),
            None => device.backend().avg_pool_grad(&self.pool, from.arg(), dx),
        })?;
        Ok(vec![Some(dx.to_dtype(dy.dtype())?)])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        self.max.iter().for_each(|(x, _)| visit(x));
    }
}

impl Tensor {
    /// The largest element under each window over images [n, channels, height, width]; NaN where one is NaN. The first
    /// of equal ones gets the gradient. The result lies channels-last.
    ///
    /// # Errors
    /// An input of another rank, or windows that do not fit it.
    pub fn max_pool2d(&self, windows: Windows<2>) -> Result<Self> {
        self.max_pool("max_pool2d", windows, false)
    }

    /// The largest element under each window over sequences [n, channels, length], as [`Tensor::max_pool2d`].
    ///
    /// # Errors
    /// As [`Tensor::max_pool2d`].
    pub fn max_pool1d(&self, windows: Windows<1>) -> Result<Self> {
        self.max_pool("max_pool1d", windows, false)
    }

    /// The same after ReLU, if `rectify` is set, in one pass: max(x, 0) under a window is the larger of its maximum and
    /// 0, so values and gradients are those of ReLU followed by pooling.
    pub(crate) fn max_pool<const N: usize>(
        &self,
        op: &'static str,
        windows: Windows<N>,
        rectify: bool,
    ) -> Result<Self> {
        check_float(op, self)?;
        let pool = windows.on(op, &self.shape(), true)?;
        let (x, device) = (self.channels_last()?, self.device());
        let from = wide(&x)?;
        let y = Self::filled(device, from.dtype(), out_layout(&pool, self.shape().rank()), |out| {
            device.backend().max_pool(&pool, rectify, from.arg(), out);
        })?;
        let y = narrowed(y, self.dtype())?;
        Ok(record(&[&x], y, || PoolRule { op, pool, shape: self.shape(), max: Some((x.clone(), rectify)) }))
    }

    /// The mean under each window over images [n, channels, height, width]; taps in the padding count as zeros where
    /// `count_padding` is set (torch's `count_include_pad`), else not at all. The result lies channels-last.
    ///
    /// # Errors
    /// An input of another rank, windows that do not fit it, a dilation.
    pub fn avg_pool2d(&self, windows: Windows<2>, count_padding: bool) -> Result<Self> {
        self.avg_pool("avg_pool2d", windows, count_padding)
    }

    /// The mean under each window over sequences [n, channels, length], as [`Tensor::avg_pool2d`].
    ///
    /// # Errors
    /// As [`Tensor::avg_pool2d`].
    pub fn avg_pool1d(&self, windows: Windows<1>, count_padding: bool) -> Result<Self> {
        self.avg_pool("avg_pool1d", windows, count_padding)
    }

    fn avg_pool<const N: usize>(&self, op: &'static str, windows: Windows<N>, count_padding: bool) -> Result<Self> {
        check_float(op, self)?;
        if windows.dilation != [1; N] {
            return Err(Error::op(op, format!("dilation {:?} is not supported, only 1", windows.dilation)));
        }
        let pool = windows.on(op, &self.shape(), count_padding)?;
        let (x, device) = (self.channels_last()?, self.device());
        let from = wide(&x)?;
        let y = Self::filled(device, from.dtype(), out_layout(&pool, self.shape().rank()), |out| {
            device.backend().avg_pool(&pool, from.arg(), out);
        })?;
        let y = narrowed(y, self.dtype())?;
        Ok(record(&[&x], y, || PoolRule { op, pool, shape: self.shape(), max: None }))
    }

    /// The mean over equal windows of images [n, channels, height, width], as many as `out` says: [1, 1] gives the mean
    /// of every channel, [n, channels, 1, 1].
    ///
    /// # Errors
    /// An input of another rank, or sizes that `out` does not divide.
    pub fn adaptive_avg_pool2d(&self, out: [usize; 2]) -> Result<Self> {
        self.adaptive_avg_pool("adaptive_avg_pool2d", out)
    }

    /// The mean over equal windows of sequences [n, channels, length], as [`Tensor::adaptive_avg_pool2d`].
    ///
    /// # Errors
    /// As [`Tensor::adaptive_avg_pool2d`].
    pub fn adaptive_avg_pool1d(&self, out: [usize; 1]) -> Result<Self> {
        self.adaptive_avg_pool("adaptive_avg_pool1d", out)
    }

    fn adaptive_avg_pool<const N: usize>(&self, op: &'static str, out: [usize; N]) -> Result<Self> {
        let mut kernel = [1; N];
        if self.shape().rank() == 2 + N {
            for (axis, (size, out)) in self.dims()[2..].iter().zip(out).enumerate() {
                if out == 0 || size % out != 0 || *size == 0 {
                    return Err(Error::op(
                        op,
                        format!("{size} elements of input {} cannot be cut into {out} equal windows", self.shape()),
                    ));
                }
                kernel[axis] = size / out;
            }
        }
        self.avg_pool(op, Windows::new(kernel), true)
    }
}
