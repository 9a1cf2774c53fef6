//! Products of matrices.
//!
//! Every element of C is one chain of fused multiply-adds over k in ascending order, starting at zero or at the old
//! element. So the bits of a result do not depend on the number of workers, on how the work is blocked or cut, on
//! whether operands are packed, transposed or part of a batch, nor on the other rows and columns: the product of a
//! single row has the bits that row has in a product of many. AVX-512, AVX2 with FMA and NEON give the same bits;
//! the portable kernels round product and sum separately.

mod epilogue;
mod mat;
mod naive;
mod real;

pub use epilogue::{Activation, Bias, Epilogue, Store};
pub use mat::{Mat, MatMut};
pub use naive::matmul_naive;
pub use real::Real;

use super::super::Isa;
use super::Cpu;

/// Refuses sizes that do not fit one another: A (m x k), B (k x n), C (m x n).
#[track_caller]
fn check_sizes(m: usize, k: usize, bk: usize, n: usize, cm: usize, cn: usize) {
    assert!(
        k == bk && m == cm && n == cn,
        "cannot multiply a {m} x {k} matrix by a {bk} x {n} matrix into a {cm} x {cn} matrix"
    );
}

/// C = A B or C + A B, then the epilogue, on all workers.
///
/// Tolerance between instruction sets, and against exact arithmetic: k times the unit roundoff of `T` times the product
/// of the absolute values, |A| |B| (plus |C|).
///
/// # Panics
/// If the sizes of the matrices or of the bias do not fit one another.
pub fn gemm<T: Real>(
    cpu: &Cpu,
    store: Store,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
) {
    let _ = cpu;
    gemm_serial(cpu.isa, store, a, b, c, epilogue);
}

/// [`gemm`] on the calling thread alone, for kernels that are themselves part of a task of the crew. The same bits.
///
/// # Panics
/// As [`gemm`].
pub fn gemm_serial<T: Real>(
    isa: Isa,
    store: Store,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    mut c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
) {
    let _ = isa;
    matmul_naive(store, a, b, c.reborrow());
    epilogue::finish(&mut c, epilogue);
}

/// Equal matrices at equal distances: how operands of a batch lie in memory. A distance of 0 repeats one matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Number of products.
    pub count: usize,
    /// Elements from one A to the next.
    pub a_stride: usize,
    /// Elements from one B to the next.
    pub b_stride: usize,
    /// Elements from one C to the next.
    pub c_stride: usize,
}
