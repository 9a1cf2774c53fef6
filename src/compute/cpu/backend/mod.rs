//! The CPU as a [`Backend`]: picks the kernel for element type and memory order.

mod conv;
mod loss;
mod narrow;
mod plain;
mod pooling;

use super::gemm::{self, Bias, Epilogue, Mat, MatMut, Store};
use super::{Cpu, lif, optimizer, unary};
use crate::compute::Pooling;
use crate::compute::backend::{Arg, Backend, Binary, ClassLoss, Compare, ConvShape, Product, Reduce, Unary, Update};
use crate::compute::dtype::{DType, bf16, f16};
use crate::compute::lif::{LifArriving, LifGradients, LifOut, LifScan, Surrogate};
use crate::compute::memory::Buffer;
use crate::compute::shape::Layout;
use crate::rng::Key;

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
        by_type!(out.dtype(), T => out.as_mut_slice::<T>().fill(crate::compute::Element::of_f64(value)));
    }

    fn fill_uniform(&self, out: &mut Buffer, low: f64, high: f64, key: Key) {
        by_type!(out.dtype(), T => plain::fill_uniform::<T>(out.as_mut_slice(), low, high, key));
    }

    fn fill_normal(&self, out: &mut Buffer, mean: f64, std: f64, key: Key) {
        by_type!(out.dtype(), T => plain::fill_normal::<T>(out.as_mut_slice(), mean, std, key));
    }

    fn copy(&self, x: Arg<'_>, out: &mut Buffer, at: &Layout) {
        by_type!(out.dtype(), T => plain::copy::<T>(x, out.as_mut_slice(), at));
    }

    fn cast(&self, x: Arg<'_>, out: &mut Buffer) {
        by_type!(x.dtype(), F => by_type!(out.dtype(), T => plain::cast::<F, T>(x.dense(), out.as_mut_slice())));
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
        by_type!(out.dtype(), T => plain::binary::<T>(op, a, b, out.as_mut_slice(), at));
    }

    fn compare(&self, op: Compare, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
        by_type!(a.dtype(), T => plain::compare::<T>(op, a, b, out.as_mut_slice(), at));
    }

    fn select(&self, mask: Arg<'_>, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
        by_type!(out.dtype(), T => plain::select::<T>(mask, a, b, out.as_mut_slice(), at));
    }

    fn reduce(&self, op: Reduce, x: Arg<'_>, axes: &[bool], out: &mut Buffer) {
        by_type!(out.dtype(), T => plain::reduce::<T>(op, x, axes, out.as_mut_slice()));
    }

    fn arg_max(&self, x: Arg<'_>, out: &mut Buffer) {
        by_type!(x.dtype(), T => plain::arg_max::<T>(x.dense(), x.layout.shape.last(), out.as_mut_slice()));
    }

    fn product(&self, product: Product<'_>, out: &mut Buffer, at: &Layout) {
        match (product.a.dtype(), out.dtype()) {
            (DType::F32, DType::F32) => real_product::<f32>(&self.cpu, product, out, at),
            (DType::F64, DType::F64) => real_product::<f64>(&self.cpu, product, out, at),
            (a, to) => unreachable!("front ends do not ask for a product of {a} into {to}"),
        }
    }

    fn batched_product(&self, a: Arg<'_>, b: Arg<'_>, out: &mut Buffer, at: &Layout) {
        let batch = at.shape.dims()[0];
        for i in 0..batch {
            let product = Product { a, b, bias: None, activation: gemm::Activation::Identity, keep: None };
            let one = |layout: &Layout| {
                let dims = &layout.shape.dims()[1..];
                let mut own = Layout::row_major(dims.into());
                own.strides[..2].copy_from_slice(&layout.strides[1..3]);
                own.offset = layout.offset + i * layout.strides[0];
                own
            };
            let (a_one, b_one) = (one(a.layout), one(b.layout));
            let product =
                Product { a: Arg { layout: &a_one, ..product.a }, b: Arg { layout: &b_one, ..product.b }, ..product };
            self.product(product, out, &one(at));
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

    fn max_pool(&self, pool: &Pooling, x: Arg<'_>, rectify: bool, out: &mut Buffer, taps: Option<&mut Buffer>) {
        let taps = taps.map(Buffer::as_mut_slice);
        real_type!(out.dtype(), T => pooling::max::<T>(&self.cpu, pool, x.dense(), rectify, out.as_mut_slice(), taps));
    }

    fn max_pool_grad(&self, pool: &Pooling, taps: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer) {
        real_type!(dx.dtype(), T => pooling::max_grad::<T>(&self.cpu, pool, taps.dense(), dy.dense(), dx.as_mut_slice()));
    }

    fn avg_pool(&self, pool: &Pooling, count_padding: bool, x: Arg<'_>, out: &mut Buffer) {
        real_type!(out.dtype(), T => pooling::avg::<T>(&self.cpu, pool, count_padding, x.dense(), out.as_mut_slice()));
    }

    fn avg_pool_grad(&self, pool: &Pooling, count_padding: bool, dy: Arg<'_>, dx: &mut Buffer) {
        real_type!(dx.dtype(), T => {
            pooling::avg_grad::<T>(&self.cpu, pool, count_padding, dy.dense(), dx.as_mut_slice());
        });
    }

    fn weigh_targets(&self, loss: &ClassLoss<'_>, classes: usize) -> Result<f64, i32> {
        loss::weigh(loss, classes)
    }

    fn class_loss(&self, loss: &ClassLoss<'_>, x: Arg<'_>, losses: &mut Buffer, dx: Option<&mut Buffer>) {
        real_type!(x.dtype(), T => loss::class_loss::<T>(&self.cpu, loss, x, losses, dx));
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
}

fn mat<'a, T: crate::compute::Element>(arg: &Arg<'a>) -> Mat<'a, T> {
    let [rows, cols] = [arg.layout.shape.dims()[0], arg.layout.shape.dims()[1]];
    let data = arg.buffer.as_slice::<T>();
    Mat::new(&data[arg.layout.offset.min(data.len())..], rows, cols, arg.layout.strides[0], arg.layout.strides[1])
}

fn real_product<T: gemm::Real + crate::compute::Element>(
    cpu: &Cpu,
    product: Product<'_>,
    out: &mut Buffer,
    at: &Layout,
) {
    let [rows, cols] = [at.shape.dims()[0], at.shape.dims()[1]];
    let c = MatMut::new(&mut out.as_mut_slice::<T>()[at.offset..], rows, cols, at.strides[0], at.strides[1]);
    let epilogue = Epilogue {
        bias: product.bias.as_ref().map_or(Bias::None, |bias| Bias::PerColumn(bias.dense::<T>())),
        activation: product.activation,
        keep: product.keep.map(|keep| MatMut::row_major(keep.as_mut_slice::<T>(), rows, cols)),
    };
    gemm::gemm(cpu, Store::Set, mat(&product.a), mat(&product.b), c, epilogue);
}
