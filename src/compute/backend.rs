//! What a device must be able to do: one method for each kernel.
//!
//! Front ends have checked everything before they call: shapes fit, element types are the ones documented here, and
//! outputs are buffers of their own of the right length. A kernel writes every element of its output.

use super::dtype::{DType, Element};
use super::lif::{LifArriving, LifGradients, LifOut, LifScan, Surrogate};
use super::memory::Buffer;
use super::shape::Layout;
use crate::rng::Key;

/// An input of a kernel: a buffer and where its elements lie in it.
#[derive(Debug, Clone, Copy)]
pub struct Arg<'a> {
    /// The buffer.
    pub buffer: &'a Buffer,
    /// Shape, strides and offset.
    pub layout: &'a Layout,
}

impl<'a> Arg<'a> {
    /// Type of the elements.
    pub fn dtype(&self) -> DType {
        self.buffer.dtype()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.layout.shape.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.layout.shape.is_empty()
    }

    /// The elements of a dense argument in the order they lie in memory.
    ///
    /// # Panics
    /// If the layout has gaps or the type is another.
    pub fn dense<T: Element>(&self) -> &'a [T] {
        assert!(self.layout.is_dense(), "{:?} is not dense", self.layout);
        &self.buffer.as_slice::<T>()[self.layout.offset..self.layout.offset + self.len()]
    }
}

/// Functions of one number, and what their derivatives are computed from.
pub use super::cpu::unary::{Saved as UnarySaved, Unary};

/// Functions of two numbers. Integers are computed in double precision and saturate; division by 0 gives 0 there.
pub use super::cpu::binary::Binary;

/// Comparisons; the result is `u8`, 1 for true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    /// a = b
    Eq,
    /// a ≠ b
    Ne,
    /// a < b
    Lt,
    /// a ≤ b
    Le,
    /// a > b
    Gt,
    /// a ≥ b
    Ge,
}

/// What becomes of the elements along axes that vanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// Their sum
    Sum,
    /// The largest; NaN if any is
    Max,
    /// The smallest; NaN if any is
    Min,
}

/// Losses of pairs of numbers.
pub use super::cpu::pair_loss::PairLoss;

/// Function applied to a product while it is in cache.
pub use super::cpu::gemm::Activation;
/// What a step of an optimizer does to each element, and the columns it works on.
pub use super::cpu::optimizer::{Rule, Update};

/// Sizes of a convolution, and the memory order its kernels take.
pub use super::cpu::conv::{ConvAlgorithm, ConvOptions, ConvShape};

/// Sizes of a pooling, and the memory order its kernels take.
pub use super::cpu::pooling::{PoolOptions, PoolShape};

/// A loss over classes: what each row of logits (or logarithms of probabilities) is compared with.
///
/// With p = softmax of the row (or exp of it where `normalized`), y its target, C classes and ε = `smoothing`, the loss of
/// a row is `-scale ((1 - ε) w_y ln p_y + ε/C Σ_c w_c ln p_c)`; 0 where the target is `ignore`.
#[derive(Debug, Clone, Copy)]
pub struct ClassLoss<'a> {
    /// Class of each row, `i32`; below the number of classes, or `ignore`.
    pub targets: Arg<'a>,
    /// Weight of each class, of the type of the logits; 1 where there are none.
    pub weights: Option<Arg<'a>>,
    /// Part of the target that is spread evenly over all classes, 0 to 1.
    pub smoothing: f64,
    /// Rows with this target count nothing.
    pub ignore: Option<i32>,
    /// Whether rows hold logarithms of probabilities already.
    pub normalized: bool,
    /// Factor of losses and gradients.
    pub scale: f64,
}

/// A product of matrices with what follows it: `out = activation(a b + bias)`, or `out += a b`.
#[derive(Debug)]
pub struct Product<'a> {
    /// m x k, or batch x m x k.
    pub a: Arg<'a>,
    /// k x n, or batch x k x n.
    pub b: Arg<'a>,
    /// n numbers, added to each row; `f32` where the operands have 16 bits.
    pub bias: Option<Arg<'a>>,
    /// Applied last.
    pub activation: Activation,
    /// Where to keep what the activation was applied to; row-major.
    pub keep: Option<&'a mut Buffer>,
}

/// A sparse matrix stored by rows: see `sparse::Pattern` for what holds of it.
#[derive(Debug, Clone, Copy)]
pub struct SparseArg<'a> {
    /// Where each row starts, and the end of the last.
    pub starts: &'a [usize],
    /// Column of each element.
    pub columns: &'a [u32],
    /// Number of columns.
    pub cols: usize,
    /// The values, `f32` or `f64`.
    pub values: Arg<'a>,
    /// Which value each element has, where it is not the one of its own number.
    pub order: Option<&'a [usize]>,
    /// The same matrix stored by columns, where that is known.
    pub turned: Option<TurnedArg<'a>>,
}

/// Where the elements of a [`SparseArg`] lie when it is stored by columns.
#[derive(Debug, Clone, Copy)]
pub struct TurnedArg<'a> {
    /// Where each column starts, and the end of the last.
    pub starts: &'a [usize],
    /// Row of each element.
    pub rows: &'a [u32],
    /// Which element of the other order each is.
    pub from: &'a [usize],
}

/// Means and variances of columns.
#[derive(Debug, Clone, Copy)]
pub struct Moments<'a> {
    /// Mean of each column.
    pub mean: Arg<'a>,
    /// Variance of each column.
    pub var: Arg<'a>,
    /// Added to the variance before the root is taken.
    pub eps: f64,
}

/// Factor and term of each column after normalisation; 1 and 0 where there are none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Affine<'a> {
    /// Factors.
    pub weight: Option<Arg<'a>>,
    /// Terms.
    pub bias: Option<Arg<'a>>,
}

/// Where the gradients of a normalisation go; what is `None` is not wanted.
#[derive(Debug, Default)]
pub struct NormGrad<'a> {
    /// Of the input.
    pub dx: Option<&'a mut Buffer>,
    /// Of the factors.
    pub dweight: Option<&'a mut Buffer>,
    /// Of the terms.
    pub dbias: Option<&'a mut Buffer>,
}

/// A map from numbers to bytes: x ≈ scale (q - zero).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantised {
    /// Size of a step, above 0.
    pub scale: f32,
    /// The byte that stands for 0.
    pub zero: u8,
}

/// Weights as signed bytes, and what their products become.
#[derive(Debug, Clone, Copy)]
pub struct QuantWeight<'a> {
    /// `i8`, [k, n] row-major.
    pub bytes: Arg<'a>,
    /// `i32`, `[n]`: sum of each column.
    pub sums: Arg<'a>,
    /// `f32`, `[n]`: size of a step of each column.
    pub scales: Arg<'a>,
    /// `f32`, `[n]`.
    pub bias: Option<Arg<'a>>,
    /// What the bytes of the other operand stand for.
    pub input: Quantised,
    /// Applied last.
    pub activation: Activation,
}

mod sealed {
    /// Devices are the library's own.
    pub trait Sealed {}
    impl Sealed for crate::compute::cpu::CpuBackend {}
}

/// The kernels of a device. Floating-point types are `f32`, `f64`, `f16` and `bf16`; the two of 16 bits compute in
/// `f32` and round once at the end.
pub trait Backend: sealed::Sealed + std::fmt::Debug + Send + Sync {
    /// Every element `value`. Any type.
    fn fill(&self, out: &mut Buffer, value: f64);
    /// Uniform draws from `low..high`; element i depends on `key` and i only. `f32`, `f64`.
    fn fill_uniform(&self, out: &mut Buffer, low: f64, high: f64, key: Key);
    /// Normal draws; element i depends on `key` and i only. `f32`, `f64`.
    fn fill_normal(&self, out: &mut Buffer, mean: f64, std: f64, key: Key);
    /// Writes the elements of `x` where layout `at`, of the same shape, puts them in `out`. Elements of `out` that `at`
    /// does not reach keep their values. Any type, the same on both sides.
    fn copy(&self, x: Arg<'_>, out: &mut Buffer, at: &Layout);
    /// Converts element by element to the type of `out`, in memory order. Dense input, any types.
    fn cast(&self, x: Arg<'_>, out: &mut Buffer);
    /// `out[i] = op(x[i])` in memory order. Dense input; floating point, and integers for functions that need no more
    /// than arithmetic and comparisons.
    fn unary(&self, op: Unary, x: Arg<'_>, out: &mut Buffer);
    /// `dx[i] = dy[i] * op'(x[i])`, where `saved` is the argument or the result of `op` as [`Unary::saved`] tells. All
    /// dense in the same memory order; floating point.
    fn unary_grad(&self, op: Unary, saved: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer);
    /// `out = op(a, b)` where layout `at` puts it; `a` and `b` have its shape (stride 0 where stretched). Any type.
    fn binary(&self, op: Binary, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout);
    /// The same for comparisons; `out` is `u8`.
    fn compare(&self, op: Compare, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout);
    /// `mask ? a : b` where layout `at` puts it; the mask is `u8`. Any type.
    fn select(&self, mask: Arg<'_>, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout);
    /// Reduces the axes marked in `axes`; `out` is row-major in those that remain. Any type; sums of `f32` over fixed
    /// blocks, independent of the number of workers.
    fn reduce(&self, op: Reduce, x: Arg<'_>, axes: &[bool], out: &mut Buffer);
    /// Index of the largest element of each row (the first of equal ones) as `i32`. Row-major input, any type.
    fn arg_max(&self, x: Arg<'_>, out: &mut Buffer);
    /// `out = activation(a b + bias)` where layout `at` puts it: two axes, one of which has stride 1. Types: all
    /// `f32`, or all `f64`; `bf16` or `f16` operands with an `f32` output or one of their type; `i8` operands with an
    /// `i32` output.
    fn product(&self, product: Product<'_>, out: &mut Buffer, at: &Layout);
    /// The same for a batch of equal shapes: three axes everywhere, a stride of 0 repeats an operand.
    fn batched_product(&self, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout);

    /// `f32` rounded to bytes in memory order, ties to even, held within 0 to 255; NaN becomes the zero point. Dense input.
    fn quantise(&self, x: Arg<'_>, to: Quantised, out: &mut Buffer);
    /// `out[i, j] = activation(scale_x scale_j Σ (x[i, k] - zero) w[k, j] + bias[j])`: x is `u8` [m, k] row-major, `out`
    /// `f32` [m, n] row-major. Sums are exact.
    fn quant_product(&self, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer);
    /// The same for a convolution: x is `u8` and channels-last, the rows of the weight are taps and input channels of a
    /// group, `out` is `f32` and channels-last. Padding stands for 0.
    fn quant_conv(&self, shape: &ConvShape, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer);
    /// Convolution with its bias, then `activation` (identity or ReLU). Operands lie as [`ConvShape`] says. `f32`, `f64`.
    fn conv(
        &self,
        shape: &ConvShape,
        x: Arg<'_>,
        weight: Arg<'_>,
        bias: Option<Arg<'_>>,
        activation: Activation,
        out: &mut Buffer,
    );
    /// Gradient of a convolution's input from that of its output. `f32`, `f64`.
    fn conv_input_grad(&self, shape: &ConvShape, dy: Arg<'_>, weight: Arg<'_>, dx: &mut Buffer);
    /// Gradients of a convolution's weight and bias from that of its output. `f32`, `f64`.
    fn conv_weight_grad(&self, shape: &ConvShape, x: Arg<'_>, dy: Arg<'_>, dw: &mut Buffer, db: Option<&mut Buffer>);
    /// The largest element under each window; NaN if any is; where `rectify` is set, at least 0. Operands of poolings
    /// lie as [`PoolShape`] says. `f32`, `f64`.
    fn max_pool(&self, pool: &PoolShape, rectify: bool, x: Arg<'_>, out: &mut Buffer);
    /// Gradient of the input `x` of [`Backend::max_pool`]: the first of equal elements gets it. `f32`, `f64`.
    fn max_pool_grad(&self, pool: &PoolShape, rectify: bool, x: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer);
    /// The mean under each window. `f32`, `f64`.
    fn avg_pool(&self, pool: &PoolShape, x: Arg<'_>, out: &mut Buffer);
    /// Gradient of the input of [`Backend::avg_pool`]. `f32`, `f64`.
    fn avg_pool_grad(&self, pool: &PoolShape, dy: Arg<'_>, dx: &mut Buffer);
    /// Sum of the weights of the targets that are not ignored (their number where there are no weights), or the first
    /// target that names none of `classes` classes.
    fn weigh_targets(&self, loss: &ClassLoss<'_>, classes: usize) -> std::result::Result<f64, i32>;
    /// The loss of each row of `x`, and the gradient of their sum. Row-major. `f32`, `f64`.
    fn class_loss(&self, loss: &ClassLoss<'_>, x: Arg<'_>, losses: &mut Buffer, dx: Option<&mut Buffer>);
    /// Softmax of each row, or its logarithm. Row-major. `f32`, `f64`.
    fn softmax(&self, log: bool, x: Arg<'_>, out: &mut Buffer);
    /// Gradient of the input of [`Backend::softmax`] from its result and the gradient of that. `f32`, `f64`.
    fn softmax_grad(&self, log: bool, y: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer);
    /// `(x - mean) / √(var + eps) * weight + bias`, with the moments of each row and an affine map of each column.
    /// `stats` receives the mean and `1/√(var + eps)` of each row. Row-major matrix. `f32`, `f64`.
    fn row_norm(&self, x: Arg<'_>, affine: Affine<'_>, eps: f64, out: &mut Buffer, stats: Option<[&mut Buffer; 2]>);
    /// Gradients of [`Backend::row_norm`] from its `stats`. `f32`, `f64`.
    fn row_norm_grad(&self, x: Arg<'_>, stats: [Arg<'_>; 2], weight: Option<Arg<'_>>, dy: Arg<'_>, grad: NormGrad<'_>);
    /// Mean and variance (divided by the number of rows) of each column. Row-major matrix. `f32`, `f64`.
    fn column_moments(&self, x: Arg<'_>, mean: &mut Buffer, var: &mut Buffer);
    /// `(x - mean) / √(var + eps) * weight + bias` with moments and affine map of each column; then ReLU where `rectify`
    /// is set. Row-major matrix. `f32`, `f64`.
    fn column_norm(&self, x: Arg<'_>, moments: Moments<'_>, affine: Affine<'_>, rectify: bool, out: &mut Buffer);
    /// Gradients of [`Backend::column_norm`] (without ReLU), through the moments too where `through_moments` is set.
    /// `f32`, `f64`.
    fn column_norm_grad(
        &self,
        x: Arg<'_>,
        moments: Moments<'_>,
        weight: Option<Arg<'_>>,
        dy: Arg<'_>,
        through_moments: bool,
        grad: NormGrad<'_>,
    );
    /// `(x - mean) / √(var + eps)` with the moments of all elements; `stats` receives the mean and `1/√(var + eps)`, one
    /// number each. Dense input, in memory order. `f32`, `f64`.
    fn standardise(&self, x: Arg<'_>, eps: f64, out: &mut Buffer, stats: Option<[&mut Buffer; 2]>);
    /// The loss of every pair. Dense inputs of one memory order. `f32`, `f64`.
    fn pair_loss(&self, loss: PairLoss, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer);
    /// `scale` times the sum of [`Backend::pair_loss`], one number.
    fn pair_loss_sum(&self, loss: PairLoss, scale: f64, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer);
    /// `scale` times the derivative of [`Backend::pair_loss`] by `a`.
    fn pair_loss_grad(&self, loss: PairLoss, scale: f64, a: Arg<'_>, b: Arg<'_>, da: &mut Buffer);
    /// `out[i]` is `x[i] / (1 - rate)`, or 0 with probability `rate`; which depends on `key` and i only. Dense input, in
    /// memory order. `f32`, `f64`.
    fn dropout(&self, x: Arg<'_>, rate: f64, key: Key, out: &mut Buffer);
    /// `out[o, i, :] = x[o, index[i], :]` for `x` of [outer, n, inner], row-major; `index` (`i32`) is below n. Any type.
    fn gather(&self, x: Arg<'_>, index: Arg<'_>, out: &mut Buffer);
    /// `dx[o, index[i], :] += dy[o, i, :]` from zeros on, i ascending, for `dy` of [outer, len, inner], row-major.
    /// Indices equal to `skip` are left out. `f32`, `f64`.
    fn gather_grad(&self, dy: Arg<'_>, index: Arg<'_>, skip: Option<i32>, dx: &mut Buffer);
    /// `out[i, c] = 1` where c is `index[i]` (`i32`, below the length of a row), else 0. Any type.
    fn one_hot(&self, index: Arg<'_>, out: &mut Buffer);
    /// The first element of `index` (`i32`, dense) that is not in `0..below`.
    fn stray_index(&self, index: Arg<'_>, below: usize) -> Option<i32>;
    /// Neurons over many steps: see [`LifStep`](super::LifStep). `f32`, `f64`; the same bits on every device.
    fn lif(&self, scan: &LifScan<'_>, out: LifOut<'_>);
    /// Gradients of [`Backend::lif`], with `surrogate` for the derivative of spikes. Where no neuron can spike (the
    /// threshold is infinite and nothing varies), the input is not read.
    fn lif_grad(&self, scan: &LifScan<'_>, surrogate: Surrogate, arriving: &LifArriving<'_>, to: LifGradients<'_>);
    /// `out = a b`: `b` is cols x n, `out` rows x n, row-major. `f32`, `f64`.
    fn sparse_product(&self, a: &SparseArg<'_>, b: Arg<'_>, n: usize, out: &mut Buffer);
    /// For each stored element of `a`, the product of its row of `c` (rows x n) with its column's row of `b` (cols x n):
    /// the gradient of the values in [`Backend::sparse_product`].
    fn sparse_sampled(&self, a: &SparseArg<'_>, c: Arg<'_>, b: Arg<'_>, n: usize, out: &mut Buffer);
    /// `out = x a`: `x` is samples x rows, `out` samples x cols, row-major. Costs what the rows of elements of `x` that
    /// are not zero do, or less where `x` turns out dense and `a` is known by columns. `f32`, `f64`.
    fn add_rows(&self, x: Arg<'_>, a: &SparseArg<'_>, out: &mut Buffer);
    /// The gradient of the values in [`Backend::add_rows`], from `dy` (samples x cols).
    fn add_rows_grad(&self, x: Arg<'_>, a: &SparseArg<'_>, dy: Arg<'_>, out: &mut Buffer);
    /// `out[i] += x[i]` in memory order. Dense input; floating point, the same type on both sides.
    fn accumulate(&self, x: Arg<'_>, out: &mut Buffer);
    /// One step of an optimizer on all parameters at once, after every gradient was multiplied by `scale` and then held
    /// within `±bound`. Types are those documented at [`Update`].
    fn optimize(&self, updates: &mut [Update<'_>], scale: f64, bound: f64);
    /// Sum of the squares of all gradients in double precision, independent of the number of workers; not finite if any
    /// element is not.
    fn gradient_squares(&self, updates: &[Update<'_>]) -> f64;
}
