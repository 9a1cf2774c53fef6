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

/// Functions of one number. Each has its derivative in [`Backend::unary_grad`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Unary {
    /// a x + b
    Affine(f64, f64),
    /// |x|; derivative 0 at 0
    Abs,
    /// x²
    Square,
    /// √x
    Sqrt,
    /// 1/√x
    Rsqrt,
    /// 1/x
    Recip,
    /// eˣ
    Exp,
    /// ln x
    Ln,
    /// tanh x
    Tanh,
    /// 1/(1 + e⁻ˣ)
    Sigmoid,
    /// max(x, 0)
    Relu,
    /// x where x > 0, else a x
    LeakyRelu(f64),
    /// x where x > 0, else a (eˣ - 1)
    Elu(f64),
    /// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))): Hendrycks & Gimpel (2016), arXiv:1606.08415
    GeluTanh,
    /// x/2 (1 + erf(x/√2))
    Gelu,
    /// x / (1 + e⁻ˣ)
    Silu,
    /// ln(1 + eˣ)
    Softplus,
    /// x held between two bounds; derivative 1 between and at them, 0 outside
    Clamp(f64, f64),
}

/// Functions of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a b
    Mul,
    /// a / b; integers truncate, and give 0 for b = 0
    Div,
    /// The smaller; NaN if either is
    Min,
    /// The larger; NaN if either is
    Max,
    /// a to the power b
    Pow,
}

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

/// Function applied to a product while it is in cache.
pub use super::cpu::gemm::Activation;

/// A product of matrices with what follows it: `out = activation(a b + bias)`, or `out += a b`.
#[derive(Debug)]
pub struct Product<'a> {
    /// m x k, or batch x m x k.
    pub a: Arg<'a>,
    /// k x n, or batch x k x n.
    pub b: Arg<'a>,
    /// n numbers, added to each row.
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
    /// `out[i] = op(x[i])` in memory order. Dense input; floating point, and integers for `Affine`, `Abs`, `Square`,
    /// `Relu` and `Clamp`.
    fn unary(&self, op: Unary, x: Arg<'_>, out: &mut Buffer);
    /// `dx[i] = dy[i] * op'(x[i])`, given `y = op(x)` as well. All dense in the same memory order; floating point.
    fn unary_grad(&self, op: Unary, x: Arg<'_>, y: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer);
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
    /// are not zero do. `f32`, `f64`.
    fn add_rows(&self, x: Arg<'_>, a: &SparseArg<'_>, out: &mut Buffer);
    /// The gradient of the values in [`Backend::add_rows`], from `dy` (samples x cols).
    fn add_rows_grad(&self, x: Arg<'_>, a: &SparseArg<'_>, dy: Arg<'_>, out: &mut Buffer);
}
