//! The definition of the product, as three loops.

use super::{Mat, MatMut, Real, Store};

/// C = A B or C += A B, one element after the other: what the fast kernels are tested against and compared with.
///
/// Products and sums are rounded separately, so it differs from the kernels, which fuse them, by about k/2 units in the
/// last place of the largest partial sum at most.
///
/// # Panics
/// If the sizes do not fit one another.
pub fn matmul_naive<T: Real>(store: Store, a: Mat<'_, T>, b: Mat<'_, T>, mut c: MatMut<'_, T>) {
    super::check_sizes(a.rows(), a.cols(), b.rows(), b.cols(), c.rows(), c.cols());
    for i in 0..c.rows() {
        for j in 0..c.cols() {
            let mut sum = if store == Store::Add { *c.at_mut(i, j) } else { T::ZERO };
            for k in 0..a.cols() {
                sum = sum + a.at(i, k) * b.at(k, j);
            }
            *c.at_mut(i, j) = sum;
        }
    }
}
