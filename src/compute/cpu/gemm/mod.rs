//! Products of matrices.
//!
//! Every element of C is one chain of fused multiply-adds over k in ascending order, starting at zero or at the old
//! element. So the bits of a result do not depend on the number of workers, on how the work is blocked or cut, on
//! whether operands are packed, transposed or part of a batch, nor on the other rows and columns: the product of a
//! single row has the bits that row has in a product of many. AVX-512, AVX2 with FMA and NEON give the same bits;
//! the portable kernels round product and sum separately.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod batch;
mod column_sums;
mod cut;
#[cfg(target_arch = "x86_64")]
mod dot512;
mod driver;
mod epilogue;
mod halves;
#[cfg(test)]
mod halves_tests;
mod int8;
#[cfg(test)]
mod int8_tests;
mod kernels;
mod mat;
mod micro;
mod naive;
mod narrow;
#[cfg(target_arch = "x86_64")]
mod narrow512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod packed;
mod plan;
mod portable;
mod product;
mod real;
mod scratch;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod transpose512;
#[cfg(target_arch = "x86_64")]
mod x86_lanes;

pub use batch::{MatBatch, MatBatchMut};
pub use epilogue::{Activation, Bias, Epilogue, Store};
pub use halves::{Half, HalfOutput, gemm_half};
pub use int8::{Byte, Dequant, PackedI8, Right8, gemm_i8, gemm_i8_dequant};
pub use mat::{Mat, MatMut};
pub use naive::matmul_naive;
pub use packed::PackedB;
pub use product::{gemm, gemm_batched, gemm_packed, gemm_serial};
pub use real::Real;

/// Refuses sizes that do not fit one another: A (m x k), B (k x n), C (m x n).
#[track_caller]
fn check_sizes(m: usize, k: usize, bk: usize, n: usize, cm: usize, cn: usize) {
    assert!(
        k == bk && m == cm && n == cn,
        "cannot multiply a {m} x {k} matrix by a {bk} x {n} matrix into a {cm} x {cn} matrix"
    );
}
