//! The CPU as a [`Backend`]: picks the kernel for element type and memory order.

mod plain;
mod sparse;

use super::Cpu;
use super::gemm::{self, Bias, Epilogue, Mat, MatMut, Store};
use super::lif;
use crate::compute::backend::{Arg, Backend, Binary, Compare, Product, Reduce, SparseArg, Unary};
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
use by_type;

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
        by_type!(out.dtype(), T => plain::unary::<T>(op, x.dense(), out.as_mut_slice()));
    }

    fn unary_grad(&self, op: Unary, x: Arg<'_>, y: Arg<'_>, dy: Arg<'_>, dx: &mut Buffer) {
        by_type!(dx.dtype(), T => plain::unary_grad::<T>(op, x.dense(), y.dense(), dy.dense(), dx.as_mut_slice()));
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
