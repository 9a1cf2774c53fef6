//! What is done to a product while it is in cache: bias, activation.

use std::ops::Range;

use super::super::super::Isa;
use super::driver::Sink;
use super::{MatMut, Real};

/// Whether a product replaces the output or is added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    /// C = A B
    Set,
    /// C = C + A B
    Add,
}

/// Numbers added to a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bias<'a, T> {
    /// Nothing is added.
    None,
    /// One number for each column of C.
    PerColumn(&'a [T]),
    /// One number for each row of C.
    PerRow(&'a [T]),
}

impl<T> Bias<'_, T> {
    /// Refuses a bias that does not fit an output of this size.
    #[track_caller]
    pub(super) fn check(&self, rows: usize, cols: usize) {
        let (what, len, wanted) = match self {
            Self::None => return,
            Self::PerColumn(bias) => ("column", bias.len(), cols),
            Self::PerRow(bias) => ("row", bias.len(), rows),
        };
        assert!(len == wanted, "a bias of {len} numbers, one for each {what}, does not fit a {rows} x {cols} output");
    }

    /// Where the numbers for columns and for rows are, or null.
    pub(super) fn pointers(&self) -> (*const T, *const T) {
        match self {
            Self::None => (std::ptr::null(), std::ptr::null()),
            Self::PerColumn(bias) => (bias.as_ptr(), std::ptr::null()),
            Self::PerRow(bias) => (std::ptr::null(), bias.as_ptr()),
        }
    }

    /// The same bias seen from the transposed output.
    pub(super) fn t(self) -> Self {
        match self {
            Self::None => Self::None,
            Self::PerColumn(bias) => Self::PerRow(bias),
            Self::PerRow(bias) => Self::PerColumn(bias),
        }
    }
}

/// A function applied to every element of a product after the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// max(x, 0); NaN stays NaN
    Relu,
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): Hendrycks & Gimpel (2016), arXiv:1606.08415
    GeluTanh,
}

/// What is done to C = A B (or C + A B) before it is final: `activation(C + bias)`.
#[derive(Debug)]
pub struct Epilogue<'a, T, B = T> {
    /// Added to the product.
    pub bias: Bias<'a, B>,
    /// Applied after the bias.
    pub activation: Activation,
    /// Where to keep what the activation was applied to, if that is needed later (for gradients); of the size and
    /// orientation of C.
    pub keep: Option<MatMut<'a, T>>,
}

impl<T, B> Default for Epilogue<'_, T, B> {
    fn default() -> Self {
        Self { bias: Bias::None, activation: Activation::Identity, keep: None }
    }
}

impl<'a, T, B> Epilogue<'a, T, B> {
    /// Nothing is done.
    pub fn none() -> Self {
        Self::default()
    }

    /// A bias for each column (the bias of a linear layer) and an activation.
    pub fn bias(bias: &'a [B], activation: Activation) -> Self {
        Self { bias: Bias::PerColumn(bias), activation, keep: None }
    }
}

/// What an epilogue asks for beyond what tile kernels do themselves, over finished blocks of C.
pub(super) struct Finish<'a, T> {
    isa: Isa,
    activation: Activation,
    c: *mut T,
    c_row: usize,
    keep: Option<(*mut T, usize)>,
    borrow: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: the pointers name outputs of which every worker finishes its own part (see `Finish::block`).
unsafe impl<T: Send> Sync for Finish<'_, T> {}

impl<'a, T: Real> Finish<'a, T> {
    /// For a C (and `keep`) whose columns are next to one another.
    pub fn new(isa: Isa, activation: Activation, c: &MatMut<'a, T>, keep: Option<&MatMut<'a, T>>) -> Self {
        let keep = keep.map(|keep| (keep.as_mut_ptr(), keep.row_stride()));
        Self { isa, activation, c: c.as_mut_ptr(), c_row: c.row_stride(), keep, borrow: std::marker::PhantomData }
    }

    /// Whether tile kernels can apply the activation.
    pub fn in_registers(&self) -> bool {
        self.keep.is_none() && matches!(self.activation, Activation::Identity | Activation::Relu)
    }
}

impl<T: Real> Sink for &Finish<'_, T> {
    unsafe fn begin(&mut self, _: Range<usize>, _: Range<usize>) {}

    /// Finishes a block of C that holds the product and the bias.
    unsafe fn end(&mut self, rows: Range<usize>, cols: Range<usize>) {
        if self.in_registers() {
            return;
        }
        if self.keep.is_none() && cols.len() == self.c_row {
            // The rows lie in one piece.
            let len = rows.len() * cols.len();
            // SAFETY: within C by the caller's promise, which also makes it ours alone.
            let block = unsafe { std::slice::from_raw_parts_mut(self.c.add(rows.start * self.c_row), len) };
            return T::activate(self.isa, self.activation, block);
        }
        for i in rows {
            // SAFETY: within C by the caller's promise, which also makes it ours alone.
            let row = unsafe { std::slice::from_raw_parts_mut(self.c.add(i * self.c_row + cols.start), cols.len()) };
            if let Some((keep, keep_row)) = self.keep {
                // SAFETY: as above; `keep` and C are different slices, since both are borrowed uniquely.
                unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), keep.add(i * keep_row + cols.start), row.len()) };
            }
            T::activate(self.isa, self.activation, row);
        }
    }
}
