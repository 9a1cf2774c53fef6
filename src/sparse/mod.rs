//! Sparse matrices stored by rows, and products with them.
//!
//! A [`Csr`] is a shared [`Pattern`] (where elements lie) and one value for each element. Tensors take their values as
//! parameters: see `tensor::SparseMatrix`.

mod csr;
#[cfg(any(feature = "sprs", feature = "nalgebra-sparse"))]
mod foreign;
mod pattern;

pub use crate::compute::cpu::sparse::Events;
pub use csr::{Csr, CsrView};
pub use pattern::{Pattern, Turned};
