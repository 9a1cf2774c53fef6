//! B packed once, for weights that many products share.

use super::super::super::{HugeVec, Isa};
use super::driver::Operand;
use super::kernels::SLACK;
use super::{Mat, Real};

/// A matrix in the order that the kernels of one instruction set stream as B.
///
/// Invariant: `data` has ceil(n / width) panels of k steps of `width` elements and slack behind them, where `width` is
/// that of a packed panel of `isa`.
#[derive(Debug)]
pub struct PackedB<T: Real> {
    isa: Isa,
    k: usize,
    n: usize,
    data: HugeVec<T>,
}

impl<T: Real> PackedB<T> {
    /// Packs B (k x n) for products on `isa`.
    pub fn new(isa: Isa, b: Mat<'_, T>) -> Self {
        let kernels = T::kernels(isa);
        let (k, n, width) = (b.rows(), b.cols(), kernels.panel());
        let panels = n.div_ceil(width);
        let mut data = HugeVec::<T>::zeroed(panels * width * k + SLACK);
        for panel in 0..if k > 0 { panels } else { 0 } {
            let first = panel * width;
            let lanes = (n - first).min(width);
            // SAFETY: `data` has room for the panel and the slack; element (0, first) and those after it lie in `b` by
            // its invariant; `Real::kernels` gives what the machine can run.
            unsafe {
                let to = data.as_mut_ptr().add(first * k);
                let from = b.as_ptr().add(first * b.col_stride());
                (kernels.pack)(to, width, lanes, k, from, b.col_stride(), b.row_stride());
            }
        }
        Self { isa, k, n, data }
    }

    /// Number of rows of B.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// Number of columns of B.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// The instruction set it was packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// For the driver.
    pub(super) fn operand(&self) -> Operand<T> {
        Operand::Panels { start: self.data.as_ptr() }
    }
}
