//! Products of `f32` and `f64`.

use super::super::super::Isa;
use super::super::Cpu;
use super::driver::{Operand, Problem, equal_part};
use super::epilogue::Finish;
use super::plan::{Blocks, Cut, Shape};
use super::{Activation, Bias, Epilogue, Mat, MatMut, Real, Store, check_sizes};

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
    let product = Product::new(cpu.isa, store, a, b, c, epilogue);
    let cut = product.cut(cpu.crew.size());
    if cut.rows * cut.cols == 1 {
        // SAFETY: see `Product::new`; this is the only worker.
        return unsafe { product.part(cut, 0) };
    }
    cpu.crew.run(&|worker| {
        if worker < cut.rows * cut.cols {
            // SAFETY: see `Product::new`; parts do not overlap.
            unsafe { product.part(cut, worker) };
        }
    });
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
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
) {
    let product = Product::new(isa, store, a, b, c, epilogue);
    // SAFETY: see `Product::new`; the caller is the only worker.
    unsafe { product.part(Cut { rows: 1, cols: 1 }, 0) };
}

/// A product ready to be computed in parts.
struct Product<'a, T: Real> {
    problem: Problem<T, T>,
    finish: Finish<'a, T>,
}

impl<'a, T: Real> Product<'a, T> {
    /// Checks sizes, and turns C so that its columns are next to one another.
    ///
    /// Afterwards every place the problem names is good: the operands by the invariants of `Mat` and `MatMut`, which
    /// are borrowed for `'a`, and the kernels by `Real::kernels`, which gives only what the machine can run.
    #[track_caller]
    fn new(isa: Isa, store: Store, a: Mat<'a, T>, b: Mat<'a, T>, c: MatMut<'a, T>, epilogue: Epilogue<'a, T>) -> Self {
        check_sizes(a.rows(), a.cols(), b.rows(), b.cols(), c.rows(), c.cols());
        let Epilogue { bias, activation, keep } = epilogue;
        if let Some(keep) = &keep {
            assert!(
                keep.rows() == c.rows() && keep.cols() == c.cols(),
                "cannot keep a {} x {} matrix in a {} x {} one",
                c.rows(),
                c.cols(),
                keep.rows(),
                keep.cols()
            );
        }
        match bias {
            Bias::PerColumn(bias) => assert_eq!(bias.len(), c.cols(), "a bias per column takes one number for each"),
            Bias::PerRow(bias) => assert_eq!(bias.len(), c.rows(), "a bias per row takes one number for each"),
            Bias::None => {}
        }
        let by_rows = |m: &MatMut<'_, T>| m.col_stride() == 1 || m.cols() <= 1;
        let by_cols = |m: &MatMut<'_, T>| m.row_stride() == 1 || m.rows() <= 1;
        let all_by_cols = by_cols(&c) && keep.as_ref().is_none_or(by_cols);
        // A single column lies both ways and is better computed as a row.
        let turned = !by_rows(&c) || (c.cols() == 1 && c.rows() > 1 && all_by_cols);
        let (a, b, c, bias, keep) =
            if turned { (b.t(), a.t(), c.t(), bias.t(), keep.map(MatMut::t)) } else { (a, b, c, bias, keep) };
        assert!(keep.as_ref().is_none_or(by_rows), "what is kept must lie by rows or columns as the output does");

        let finish = Finish::new(isa, activation, &c, keep.as_ref());
        let (bias_cols, bias_rows) = match bias {
            Bias::None => (std::ptr::null(), std::ptr::null()),
            Bias::PerColumn(bias) => (bias.as_ptr(), std::ptr::null()),
            Bias::PerRow(bias) => (std::ptr::null(), bias.as_ptr()),
        };
        let problem = Problem {
            kernels: T::kernels(isa),
            m: c.rows(),
            n: c.cols(),
            k: a.cols(),
            a: Operand::Plain { start: a.as_ptr(), lane: a.row_stride(), step: a.col_stride() },
            b: Operand::Plain { start: b.as_ptr(), lane: b.col_stride(), step: b.row_stride() },
            c: c.as_mut_ptr(),
            c_row: c.row_stride(),
            add: store == Store::Add,
            bias_cols,
            bias_rows,
            relu: activation == Activation::Relu && finish.in_registers(),
        };
        Self { problem, finish }
    }

    /// How to cut it for so many workers.
    fn cut(&self, workers: usize) -> Cut {
        let p = &self.problem;
        if workers == 1 {
            return Cut { rows: 1, cols: 1 };
        }
        Cut::choose(p.m, p.n.div_ceil(p.kernels.lanes), 1, p.k, workers)
    }

    /// Computes part `index`.
    ///
    /// # Safety
    /// No part may be computed twice at the same time.
    unsafe fn part(&self, cut: Cut, index: usize) {
        let p = &self.problem;
        let lanes = p.kernels.lanes;
        let rows = equal_part(p.m, cut.rows, index / cut.cols);
        let groups = equal_part(p.n.div_ceil(lanes), cut.cols, index % cut.cols);
        let cols = groups.start * lanes..(groups.end * lanes).min(p.n);
        let shape = Shape::of(p, rows.len(), cols.len());
        // SAFETY: see `new`; parts differ in rows or columns.
        unsafe {
            p.run(rows, cols, Blocks::choose(shape), &mut |rows, cols| self.finish.block(rows, cols));
        }
    }
}
