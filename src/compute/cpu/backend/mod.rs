//! The CPU as a [`Backend`]: picks the kernel for element type and memory order.

mod conv;
mod index;
mod loss;
mod narrow;
mod norm;
mod order;
mod plain;
mod pooling;
mod quant;
mod softmax;
mod sparse;

use super::gemm::{self, Bias, Epilogue, Mat, MatBatch, MatBatchMut, MatMut, Store};
use super::lanes::Float;
use super::reduce::Reduction;
use super::{Cpu, binary, cast, copy, lif, optimizer, pair_loss, random, reduce, standardise, unary};
use crate::compute::backend::{
    Affine, Arg, Backend, Binary, ClassLoss, Compare, ConvShape, Moments, NormGrad, PairLoss, PoolShape, Product,
    QuantWeight, Quantised, Reduce, SparseArg, Unary, Update,
};
use crate::compute::dtype::{DType, Element, bf16, f16};
use crate::compute::lif::{LifArriving, LifGradients, LifOut, LifScan, Surrogate};
use crate::compute::memory::Buffer;
use crate::compute::shape::Layout;
use crate::rng::Key;
use order::Ordered;

/// The kernels of a crew of CPU workers.
#[derive(Debug)]
pub struct CpuBackend {
    cpu: Cpu,
}

impl CpuBackend {
    /// Kernels that run on `cpu`.
    pub fn new(cpu: Cpu) -> Self {
        Self { cpu }
    }

    /// The workers and instruction set.
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }
}

/// Runs an expression with `$T` standing for the Rust type of a run-time type.
macro_rules! by_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            DType::F16 => {
                type $T = f16;
                $body
            }
            DType::Bf16 => {
                type $T = bf16;
                $body
            }
            DType::I8 => {
                type $T = i8;
                $body
            }
            DType::I32 => {
                type $T = i32;
                $body
            }
            DType::U8 => {
                type $T = u8;
                $body
            }
        }
    };
}

/// The same for the types that kernels compute in; front ends widen the others.
macro_rules! real_type {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            other => unreachable!("front ends widen {other} before they call"),
        }
    };
}

impl Backend for CpuBackend {
    fn fill(&self, out: &mut Buffer, value: f64) {
        by_type!(out.dtype(), T => out.as_mut_slice::<T>().fill(Element::of_f64(value)));
    }

    fn fill_uniform(&self, out: &mut Buffer, low: f64, high: f64, key: Key) {
        match out.dtype() {
            DType::F32 => random::fill_uniform::<f32>(&self.cpu, key, 0, low, high, out.as_mut_slice()),
            DType::F64 => random::fill_uniform::<f64>(&self.cpu, key, 0, low, high, out.as_mut_slice()),
            other => unreachable!("front ends draw no {other}"),
        }
    }

    fn fill_normal(&self, out: &mut Buffer, mean: f64, std: f64, key: Key) {
        match out.dtype() {
            DType::F32 => random::fill_normal::<f32>(&self.cpu, key, 0, mean, std, out.as_mut_slice()),
            DType::F64 => random::fill_normal::<f64>(&self.cpu, key, 0, mean, std, out.as_mut_slice()),
            other => unreachable!("front ends draw no {other}"),
        }
    }

    fn copy(&self, x: Arg<'_>, out: &mut Buffer, at: &Layout) {
        by_type!(out.dtype(), T => match Ordered::new(at, [x.layout]) {
            Some(ordered) if !x.is_empty() => {
                let from = &x.buffer.as_slice::<T>()[x.layout.offset..];
                let len = at.shape.len();
                copy::strided_copy(&self.cpu, ordered.shape(), from, ordered.strides(0), &mut out.as_mut_slice()[..len]);
            }
            _ => plain::copy::<T>(x, out.as_mut_slice(), at),
        });
    }

    fn cast(&self, x: Arg<'_>, out: &mut Buffer) {
        macro_rules! to {
            ($F:ty: $($name:ident $T:ty),*) => {
                match out.dtype() {
                    $(DType::$name => cast::cast::<$F, $T>(&self.cpu, x.dense(), out.as_mut_slice()),)*
                    _ => by_type!(out.dtype(), T => plain::cast::<$F, T>(x.dense(), out.as_mut_slice())),
                }
            };
        }
        match x.dtype() {
            DType::F32 => to!(f32: F64 f64, F16 f16, Bf16 bf16),
            DType::F64 => to!(f64: F32 f32),
            DType::F16 => to!(f16: F32 f32),
            DType::Bf16 => to!(bf16: F32 f32),
            DType::I8 => to!(i8: F32 f32),
            DType::I32 => to!(i32: F32 f32),
            DType::U8 => to!(u8: F32 f32),
        }
    }

    fn unary(&self, op: Unary, x: Arg<'_>, out: &mut Buffer) {
        match out.dtype() {
            DType::F32 => unary::unary::<f32>(&self.cpu, op, x.dense(), out.as_mut_slice()),
            DType::F64 => unary::unary::<f64>(&self.cpu, op, x.dense(), out.as_mut_slice()),
            DType::F16 => narrow::map1::<f16>(&self.cpu, x.dense(), out.as_mut_slice(), &|x, y| {
                unary::unary_block(self.cpu.isa, op, x, y);
            }),
            DType::Bf16 => narrow::map1::<bf16>(&self.cpu, x.dense(), out.as_mut_slice(), &|x, y| {
                unary::unary_block(self.cpu.isa, op, x, y);
            }),
            integer => by_type!(integer, T => plain::unary_integer::<T>(op, x.dense(), out.as_mut_slice())),
        }
    }

    fn unary_grad(&self, op: Unary, saved: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer) {
        let block = |saved: &[f32], dy: &[f32], dx: &mut [f32]| {
            unary::unary_backward_block(self.cpu.isa, op, saved, dy, dx);
        };
        match dx.dtype() {
            DType::F32 => {
                unary::unary_backward::<f32>(&self.cpu, op, saved.dense(), dy.dense(), dx.as_mut_slice());
            }
            DType::F64 => {
                unary::unary_backward::<f64>(&self.cpu, op, saved.dense(), dy.dense(), dx.as_mut_slice());
            }
            DType::F16 => {
                narrow::map2::<f16>(&self.cpu, saved.dense(), dy.dense(), dx.as_mut_slice(), &block);
            }
            DType::Bf16 => {
                narrow::map2::<bf16>(&self.cpu, saved.dense(), dy.dense(), dx.as_mut_slice(), &block);
            }
            other => unreachable!("front ends ask for no gradient in {other}"),
        }
    }

    fn binary(&self, op: Binary, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
        let same = a.layout.same_order(at) && b.layout.same_order(at) && at.is_dense();
        let block = |a: &[f32], b: &[f32], out: &mut [f32]| binary::binary_block(self.cpu.isa, op, a, b, out);
        match out.dtype() {
            DType::F32 => real_binary::<f32>(&self.cpu, op, a, b, out, at),
            DType::F64 => real_binary::<f64>(&self.cpu, op, a, b, out, at),
            DType::F16 if same => narrow::map2::<f16>(&self.cpu, a.dense(), b.dense(), out.as_mut_slice(), &block),
            DType::Bf16 if same => narrow::map2::<bf16>(&self.cpu, a.dense(), b.dense(), out.as_mut_slice(), &block),
            other => by_type!(other, T => plain::binary::<T>(op, a, b, out.as_mut_slice(), at)),
        }
    }

    fn compare(&self, op: Compare, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
        by_type!(a.dtype(), T => plain::compare::<T>(op, a, b, out.as_mut_slice(), at));
    }

    fn select(&self, mask: Arg<'_>, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
        by_type!(out.dtype(), T => plain::select::<T>(mask, a, b, out.as_mut_slice(), at));
    }

    fn reduce(&self, op: Reduce, x: Arg<'_>, axes: &[bool], out: &mut Buffer) {
        match out.dtype() {
            DType::F32 => real_reduce::<f32>(&self.cpu, op, x, axes, out),
            DType::F64 => real_reduce::<f64>(&self.cpu, op, x, axes, out),
            other => by_type!(other, T => plain::reduce::<T>(op, x, axes, out.as_mut_slice())),
        }
    }

    fn arg_max(&self, x: Arg<'_>, out: &mut Buffer) {
        let columns = x.layout.shape.last();
        match x.dtype() {
            DType::F32 => reduce::argmax_rows::<f32>(&self.cpu, x.dense(), columns, out.as_mut_slice()),
            DType::F64 => reduce::argmax_rows::<f64>(&self.cpu, x.dense(), columns, out.as_mut_slice()),
            other => by_type!(other, T => plain::arg_max::<T>(x.dense(), columns, out.as_mut_slice())),
        }
    }

    fn product(&self, product: Product<'_>, out: &mut Buffer, at: &Layout) {
        match (product.a.dtype(), out.dtype()) {
            (DType::F32, DType::F32) => real_product::<f32>(&self.cpu, product, out, at),
            (DType::F64, DType::F64) => real_product::<f64>(&self.cpu, product, out, at),
            (DType::Bf16, DType::Bf16) => half_product::<bf16, bf16>(&self.cpu, product, out, at),
            (DType::Bf16, DType::F32) => half_product::<bf16, f32>(&self.cpu, product, out, at),
            (DType::F16, DType::F16) => half_product::<f16, f16>(&self.cpu, product, out, at),
            (DType::F16, DType::F32) => half_product::<f16, f32>(&self.cpu, product, out, at),
            (DType::I8, DType::I32) => {
                let [rows, cols] = [at.shape.dims()[0], at.shape.dims()[1]];
                let c = &mut out.as_mut_slice::<i32>()[at.offset..];
                let c = MatMut::new(c, rows, cols, at.strides[0], at.strides[1]);
                gemm::gemm_i8(&self.cpu, Store::Set, mat::<i8>(&product.a), mat::<i8>(&product.b), c);
            }
            (a, to) => unreachable!("front ends do not ask for a product of {a} into {to}"),
        }
    }

    fn batched_product(&self, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
        match out.dtype() {
            DType::F32 => real_batch::<f32>(&self.cpu, a, b, out, at),
            DType::F64 => real_batch::<f64>(&self.cpu, a, b, out, at),
            other => unreachable!("front ends widen batches of {other}"),
        }
    }

    fn quantise(&self, x: Arg<'_>, to: Quantised, out: &mut Buffer) {
        quant::quantise(&self.cpu, x.dense(), to, out.as_mut_slice());
    }

    fn quant_product(&self, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer) {
        quant::product(&self.cpu, x, weight, out);
    }

    fn quant_conv(&self, shape: &ConvShape, x: Arg<'_>, weight: &QuantWeight<'_>, out: &mut Buffer) {
        quant::conv(&self.cpu, shape, x, weight, out);
    }

    fn conv(
        &self,
        shape: &ConvShape,
        x: Arg<'_>,
        weight: Arg<'_>,
        bias: Option<Arg<'_>>,
        activation: gemm::Activation,
        out: &mut Buffer,
    ) {
        real_type!(out.dtype(), T => conv::forward::<T>(&self.cpu, shape, x, weight, bias, activation, out));
    }

    fn conv_input_grad(&self, shape: &ConvShape, dy: Arg<'_>, weight: Arg<'_>, dx: &mut Buffer) {
        real_type!(dx.dtype(), T => conv::input_grad::<T>(&self.cpu, shape, dy, weight, dx));
    }

    fn conv_weight_grad(&self, shape: &ConvShape, x: Arg<'_>, dy: Arg<'_>, dw: &mut Buffer, db: Option<&mut Buffer>) {
        real_type!(dw.dtype(), T => conv::weight_grad::<T>(&self.cpu, shape, x, dy, dw, db));
    }

    fn max_pool(&self, pool: &PoolShape, rectify: bool, x: Arg<'_>, out: &mut Buffer) {
        real_type!(out.dtype(), T => pooling::max::<T>(&self.cpu, pool, rectify, x.dense(), out.as_mut_slice()));
    }

    fn max_pool_grad(&self, pool: &PoolShape, rectify: bool, x: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer) {
        real_type!(dx.dtype(), T => {
            pooling::max_grad::<T>(&self.cpu, pool, rectify, x.dense(), dy.dense(), dx.as_mut_slice());
        });
    }

    fn avg_pool(&self, pool: &PoolShape, x: Arg<'_>, out: &mut Buffer) {
        real_type!(out.dtype(), T => pooling::avg::<T>(&self.cpu, pool, x.dense(), out.as_mut_slice()));
    }

    fn avg_pool_grad(&self, pool: &PoolShape, dy: Arg<'_>, dx: &mut Buffer) {
        real_type!(dx.dtype(), T => pooling::avg_grad::<T>(&self.cpu, pool, dy.dense(), dx.as_mut_slice()));
    }

    fn weigh_targets(&self, loss: &ClassLoss<'_>, classes: usize) -> Result<f64, i32> {
        loss::weigh(loss, classes)
    }

    fn class_loss(&self, loss: &ClassLoss<'_>, x: Arg<'_>, losses: &mut Buffer, dx: Option<&mut Buffer>) {
        real_type!(x.dtype(), T => loss::class_loss::<T>(&self.cpu, loss, x, losses, dx));
    }

    fn softmax(&self, log: bool, x: Arg<'_>, out: &mut Buffer) {
        let row = x.layout.shape.last();
        real_type!(x.dtype(), T => softmax::forward::<T>(&self.cpu, log, row, x.dense(), out.as_mut_slice()));
    }

    fn softmax_grad(&self, log: bool, y: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer) {
        let row = y.layout.shape.last();
        real_type!(y.dtype(), T => {
            softmax::grad::<T>(&self.cpu, log, row, y.dense(), dy.dense(), dx.as_mut_slice());
        });
    }

    fn row_norm(&self, x: Arg<'_>, affine: Affine<'_>, eps: f64, out: &mut Buffer, stats: Option<[&mut Buffer; 2]>) {
        real_type!(x.dtype(), T => norm::rows::<T>(&self.cpu, x, affine, eps, out, stats));
    }

    fn row_norm_grad(&self, x: Arg<'_>, stats: [Arg<'_>; 2], weight: Option<Arg<'_>>, dy: Arg<'_>, grad: NormGrad<'_>) {
        real_type!(x.dtype(), T => norm::rows_grad::<T>(&self.cpu, x, stats, weight, dy, grad));
    }

    fn column_moments(&self, x: Arg<'_>, mean: &mut Buffer, var: &mut Buffer) {
        real_type!(x.dtype(), T => norm::column_moments::<T>(&self.cpu, x, mean, var));
    }

    fn column_norm(&self, x: Arg<'_>, moments: Moments<'_>, affine: Affine<'_>, rectify: bool, out: &mut Buffer) {
        real_type!(x.dtype(), T => norm::columns::<T>(&self.cpu, x, moments, affine, rectify, out));
    }

    fn column_norm_grad(
        &self,
        x: Arg<'_>,
        moments: Moments<'_>,
        weight: Option<Arg<'_>>,
        dy: Arg<'_>,
        through_moments: bool,
        grad: NormGrad<'_>,
    ) {
        real_type!(x.dtype(), T => norm::columns_grad::<T>(&self.cpu, x, moments, weight, dy, through_moments, grad));
    }

    fn standardise(&self, x: Arg<'_>, eps: f64, out: &mut Buffer, stats: Option<[&mut Buffer; 2]>) {
        real_type!(out.dtype(), T => {
            let (mean, var) = standardise::standardise::<T>(&self.cpu, x.dense(), eps, out.as_mut_slice());
            if let Some([means, rstds]) = stats {
                means.as_mut_slice::<T>()[0] = Element::of_f64(mean);
                rstds.as_mut_slice::<T>()[0] = Element::of_f64(1.0 / (var + eps).sqrt());
            }
        });
    }

    fn pair_loss(&self, loss: PairLoss, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer) {
        real_type!(out.dtype(), T => {
            pair_loss::pair_loss::<T>(&self.cpu, loss, a.dense(), b.dense(), out.as_mut_slice());
        });
    }

    fn pair_loss_sum(&self, loss: PairLoss, scale: f64, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer) {
        real_type!(out.dtype(), T => {
            let sum = pair_loss::pair_loss_sum::<T>(&self.cpu, loss, a.dense(), b.dense());
            out.as_mut_slice::<T>()[0] = Element::of_f64(scale * sum);
        });
    }

    fn pair_loss_grad(&self, loss: PairLoss, scale: f64, a: Arg<'_>, b: Arg<'_>, da: &mut Buffer) {
        real_type!(da.dtype(), T => {
            pair_loss::pair_loss_backward::<T>(&self.cpu, loss, a.dense(), b.dense(), scale, da.as_mut_slice());
        });
    }

    fn dropout(&self, x: Arg<'_>, rate: f64, key: Key, out: &mut Buffer) {
        real_type!(out.dtype(), T => random::dropout::<T>(&self.cpu, key, 0, rate, x.dense(), out.as_mut_slice()));
    }

    fn gather(&self, x: Arg<'_>, index: Arg<'_>, out: &mut Buffer) {
        let dims = x.layout.shape;
        by_type!(out.dtype(), T => index::gather::<T>(dims.dims(), x.dense(), index.dense(), out.as_mut_slice()));
    }

    fn gather_grad(&self, dy: Arg<'_>, index: Arg<'_>, skip: Option<i32>, dx: &mut Buffer) {
        let dims = dy.layout.shape;
        real_type!(dx.dtype(), T => {
            index::gather_grad::<T>(&self.cpu, dims.dims(), dy.dense(), index.dense(), skip, dx.as_mut_slice());
        });
    }

    fn one_hot(&self, index: Arg<'_>, out: &mut Buffer) {
        by_type!(out.dtype(), T => index::one_hot::<T>(index.dense(), out.as_mut_slice()));
    }

    fn stray_index(&self, index: Arg<'_>, below: usize) -> Option<i32> {
        let inside = |i: &i32| usize::try_from(*i).is_ok_and(|i| i < below);
        index.dense::<i32>().iter().copied().find(|i| !inside(i))
    }

    fn lif(&self, scan: &LifScan<'_>, out: LifOut<'_>) {
        match scan.v.dtype() {
            DType::F64 => lif::forward::<f64>(&self.cpu, scan, out),
            _ => lif::forward::<f32>(&self.cpu, scan, out),
        }
    }

    fn lif_grad(&self, scan: &LifScan<'_>, surrogate: Surrogate, arriving: &LifArriving<'_>, to: LifGradients<'_>) {
        match scan.v.dtype() {
            DType::F64 => lif::backward::<f64>(&self.cpu, scan, surrogate, arriving, to),
            _ => lif::backward::<f32>(&self.cpu, scan, surrogate, arriving, to),
        }
    }

    fn sparse_product(&self, a: &SparseArg<'_>, b: Arg<'_>, n: usize, out: &mut Buffer) {
        match out.dtype() {
            DType::F64 => sparse::product::<f64>(&self.cpu, a, b, n, out),
            _ => sparse::product::<f32>(&self.cpu, a, b, n, out),
        }
    }

    fn sparse_sampled(&self, a: &SparseArg<'_>, c: Arg<'_>, b: Arg<'_>, n: usize, out: &mut Buffer) {
        match out.dtype() {
            DType::F64 => sparse::sampled::<f64>(&self.cpu, a, c, b, n, out),
            _ => sparse::sampled::<f32>(&self.cpu, a, c, b, n, out),
        }
    }

    fn add_rows(&self, x: Arg<'_>, a: &SparseArg<'_>, out: &mut Buffer) {
        match out.dtype() {
            DType::F64 => sparse::add_rows::<f64>(&self.cpu, x, a, out),
            _ => sparse::add_rows::<f32>(&self.cpu, x, a, out),
        }
    }

    fn add_rows_grad(&self, x: Arg<'_>, a: &SparseArg<'_>, dy: Arg<'_>, out: &mut Buffer) {
        match out.dtype() {
            DType::F64 => sparse::add_rows_grad::<f64>(&self.cpu, x, a, dy, out),
            _ => sparse::add_rows_grad::<f32>(&self.cpu, x, a, dy, out),
        }
    }

    fn accumulate(&self, x: Arg<'_>, out: &mut Buffer) {
        optimizer::accumulate(&self.cpu, x, out);
    }

    fn optimize(&self, updates: &mut [Update<'_>], scale: f64, bound: f64) {
        optimizer::optimize(&self.cpu, updates, scale, bound);
    }

    fn gradient_squares(&self, updates: &[Update<'_>]) -> f64 {
        optimizer::gradient_squares(&self.cpu, updates)
    }
}

fn mat<'a, T: Element>(arg: &Arg<'a>) -> Mat<'a, T> {
    let [rows, cols] = [arg.layout.shape.dims()[0], arg.layout.shape.dims()[1]];
    let data = arg.buffer.as_slice::<T>();
    Mat::new(&data[arg.layout.offset.min(data.len())..], rows, cols, arg.layout.strides[0], arg.layout.strides[1])
}

fn real_binary<T: Float + Element>(cpu: &Cpu, op: Binary, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
    match Ordered::new(at, [a.layout, b.layout]) {
        Some(ordered) if !at.shape.is_empty() => {
            let (x, y) = (&a.buffer.as_slice::<T>()[a.layout.offset..], &b.buffer.as_slice::<T>()[b.layout.offset..]);
            let (x_strides, y_strides) = (ordered.strides(0), ordered.strides(1));
            let out = &mut out.as_mut_slice()[..at.shape.len()];
            binary::strided_binary(cpu, op, ordered.shape(), x, x_strides, y, y_strides, out);
        }
        _ => plain::binary::<T>(op, a, b, out.as_mut_slice(), at),
    }
}

/// Reductions over axes that lie side by side in memory; others are copied so that they do.
fn real_reduce<T: Float + Element>(cpu: &Cpu, op: Reduce, x: Arg<'_>, axes: &[bool], out: &mut Buffer) {
    let shape = x.layout.shape;
    let (rank, dims) = (shape.rank(), shape.dims());
    let kind = match op {
        Reduce::Sum => Reduction::Sum,
        Reduce::Max => Reduction::Max,
        Reduce::Min => Reduction::Min,
    };
    // Axes by falling stride; those of length 1 play no part.
    let mut order: Vec<usize> = (0..rank).filter(|axis| dims[*axis] != 1).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(x.layout.strides[*axis]));
    let kept: Vec<usize> = order.iter().copied().filter(|axis| !axes[*axis]).collect();
    let run = order.iter().position(|axis| axes[*axis]).unwrap_or(order.len());
    let len = order[run..].iter().take_while(|axis| axes[**axis]).count();
    let together = order.iter().filter(|axis| axes[**axis]).count() == len;
    if shape.is_empty() || !x.layout.is_dense() || !together || !kept.is_sorted() {
        return plain::reduce::<T>(op, x, axes, out.as_mut_slice());
    }
    let lengths = |axes: &[usize]| axes.iter().map(|axis| dims[*axis]).product::<usize>();
    let sizes = [lengths(&order[..run]), lengths(&order[run..run + len]), lengths(&order[run + len..])];
    let to = &mut out.as_mut_slice::<T>()[..sizes[0] * sizes[2]];
    if sizes[0] * sizes[2] == 1 {
        to[0] = reduce::reduce(cpu, kind, x.dense());
    } else {
        reduce::reduce_axis(cpu, kind, x.dense(), sizes, to);
    }
}

fn real_batch<T: gemm::Real + Element>(cpu: &Cpu, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
    let count = at.shape.dims()[0];
    if at.shape.is_empty() {
        return;
    }
    let batch = |arg: &Arg<'_>| {
        let (dims, strides) = (arg.layout.shape.dims(), &arg.layout.strides);
        (strides[0], [dims[1], dims[2], strides[1], strides[2]])
    };
    let (x, y) = (&a.buffer.as_slice::<T>()[a.layout.offset..], &b.buffer.as_slice::<T>()[b.layout.offset..]);
    let ((a_stride, a_shape), (b_stride, b_shape)) = (batch(&a), batch(&b));
    let [rows, cols] = [at.shape.dims()[1], at.shape.dims()[2]];
    let c = &mut out.as_mut_slice::<T>()[at.offset..];
    gemm::gemm_batched(
        cpu,
        Store::Set,
        MatBatch::new(x, count, a_stride, a_shape),
        MatBatch::new(y, count, b_stride, b_shape),
        MatBatchMut::new(c, count, at.strides[0], [rows, cols, at.strides[1], at.strides[2]]),
        Bias::None,
        gemm::Activation::Identity,
    );
}

/// Operands of 16 bits, sums of 32; the bias is `f32`.
fn half_product<H, O>(cpu: &Cpu, product: Product<'_>, out: &mut Buffer, at: &Layout)
where
    H: gemm::Half + Element,
    O: gemm::HalfOutput<H> + Element,
{
    let [rows, cols] = [at.shape.dims()[0], at.shape.dims()[1]];
    let c = MatMut::new(&mut out.as_mut_slice::<O>()[at.offset..], rows, cols, at.strides[0], at.strides[1]);
    let epilogue = Epilogue {
        bias: product.bias.as_ref().map_or(Bias::None, |bias| Bias::PerColumn(bias.dense::<f32>())),
        activation: product.activation,
        keep: product.keep.map(|keep| MatMut::row_major(keep.as_mut_slice::<O>(), rows, cols)),
    };
    gemm::gemm_half(cpu, Store::Set, mat::<H>(&product.a), mat::<H>(&product.b), c, epilogue);
}

fn real_product<T: gemm::Real + Element>(cpu: &Cpu, product: Product<'_>, out: &mut Buffer, at: &Layout) {
    let [rows, cols] = [at.shape.dims()[0], at.shape.dims()[1]];
    let c = MatMut::new(&mut out.as_mut_slice::<T>()[at.offset..], rows, cols, at.strides[0], at.strides[1]);
    let epilogue = Epilogue {
        bias: product.bias.as_ref().map_or(Bias::None, |bias| Bias::PerColumn(bias.dense::<T>())),
        activation: product.activation,
        keep: product.keep.map(|keep| MatMut::row_major(keep.as_mut_slice::<T>(), rows, cols)),
    };
    gemm::gemm(cpu, Store::Set, mat(&product.a), mat(&product.b), c, epilogue);
}
