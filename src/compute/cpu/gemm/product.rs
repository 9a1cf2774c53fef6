//! Products of `f32` and `f64`.

use super::super::super::Isa;
use super::super::Cpu;
use super::driver::{Operand, Problem, equal_part};
use super::epilogue::Finish;
use super::plan::{Blocks, Cut, Shape};
use super::{Activation, Bias, Epilogue, Mat, MatBatch, MatBatchMut, MatMut, PackedB, Real, Store, check_sizes};

/// C = A B or C + A B, then the epilogue, on all workers.
///
/// Tolerance between instruction sets, and against exact arithmetic: k times the unit roundoff of `T` times the product
/// of the absolute values, |A| |B| (plus |C|).
///
/// # Panics
/// If the sizes of the matrices or of the bias do not fit one another, or if what is kept lies neither by rows nor by
/// columns as C does.
pub fn gemm<T: Real>(
    cpu: &Cpu,
    store: Store,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
) {
    Product::new(cpu.isa, store, a, Right::Plain(b), c, epilogue).run(cpu);
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
    let product = Product::new(isa, store, a, Right::Plain(b), c, epilogue);
    // SAFETY: see `Product::new`; the caller is the only worker.
    unsafe { product.part(Cut::NONE, 0) };
}

/// [`gemm`] with a B that was packed before. The same bits.
///
/// # Panics
/// As [`gemm`], and if B was packed for another instruction set, or if the columns of C do not lie next to one another.
pub fn gemm_packed<T: Real>(
    cpu: &Cpu,
    store: Store,
    a: Mat<'_, T>,
    b: &PackedB<T>,
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
) {
    Product::new(cpu.isa, store, a, Right::Packed(b), c, epilogue).run(cpu);
}

/// [`gemm`] for every member of a batch, on all workers, with one bias and activation for all. The same bits as one
/// after the other.
///
/// # Panics
/// As [`gemm`], and if the batches do not have the same number of members.
pub fn gemm_batched<T: Real>(
    cpu: &Cpu,
    store: Store,
    a: MatBatch<'_, T>,
    b: MatBatch<'_, T>,
    c: MatBatchMut<'_, T>,
    bias: Bias<'_, T>,
    activation: Activation,
) {
    let count = c.count();
    assert!(
        a.count() == count && b.count() == count,
        "cannot multiply batches of {} and {} matrices into one of {count}",
        a.count(),
        b.count()
    );
    if count == 0 {
        return;
    }
    let product = |index: usize| {
        // SAFETY: members of a batch do not overlap; two workers on one member write different parts of it.
        let c = unsafe { c.member(index) };
        let epilogue = Epilogue { bias, activation, keep: None };
        Product::new(cpu.isa, store, a.member(index), Right::Plain(b.member(index)), c, epilogue)
    };
    let workers = cpu.crew.size();
    // Whole members, unless there are so few that some workers would have one more than others.
    let whole = workers == 1 || count.is_multiple_of(workers) || count >= 4 * workers;
    let cut = if whole { Cut::NONE } else { product(0).problem.cut(workers) };
    let pieces = count * cut.parts();
    let workers = workers.min(pieces).min(product(0).problem.worth(count));
    let share = |worker: usize| {
        for piece in equal_part(pieces, workers, worker) {
            // SAFETY: see `Product::new`; pieces do not overlap.
            unsafe { product(piece / cut.parts()).part(cut, piece % cut.parts()) };
        }
    };
    if workers == 1 {
        return share(0);
    }
    cpu.crew.run(&|worker| {
        if worker < workers {
            share(worker);
        }
    });
}

/// B as given or packed.
enum Right<'a, T: Real> {
    Plain(Mat<'a, T>),
    Packed(&'a PackedB<T>),
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
    fn new(
        isa: Isa,
        store: Store,
        a: Mat<'a, T>,
        b: Right<'a, T>,
        c: MatMut<'a, T>,
        epilogue: Epilogue<'a, T>,
    ) -> Self {
        let (bk, bn) = match &b {
            Right::Plain(b) => (b.rows(), b.cols()),
            Right::Packed(b) => (b.rows(), b.cols()),
        };
        check_sizes(a.rows(), a.cols(), bk, bn, c.rows(), c.cols());
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
        bias.check(c.rows(), c.cols());
        let by_rows = |m: &MatMut<'_, T>| m.col_stride() == 1 || m.cols() <= 1;
        let by_cols = |m: &MatMut<'_, T>| m.row_stride() == 1 || m.rows() <= 1;
        let (a, b, c, bias, keep) = match b {
            Right::Plain(b) => {
                let all_by_cols = by_cols(&c) && keep.as_ref().is_none_or(by_cols);
                // A single column lies both ways and is better computed as a row.
                let turned = !by_rows(&c) || (c.cols() == 1 && c.rows() > 1 && all_by_cols);
                let (a, b, c, bias, keep) =
                    if turned { (b.t(), a.t(), c.t(), bias.t(), keep.map(MatMut::t)) } else { (a, b, c, bias, keep) };
                (a, Operand::Plain { start: b.as_ptr(), lane: b.col_stride(), step: b.row_stride() }, c, bias, keep)
            }
            Right::Packed(b) => {
                assert!(b.isa() == isa, "B was packed for {}, not for {isa}", b.isa());
                assert!(by_rows(&c), "the output of a product with packed weights must lie by rows");
                (a, b.operand(), c, bias, keep)
            }
        };
        assert!(keep.as_ref().is_none_or(by_rows), "what is kept must lie by rows or columns as the output does");

        let finish = Finish::new(isa, activation, &c, keep.as_ref());
        let (bias_cols, bias_rows) = bias.pointers();
        let problem = Problem {
            kernels: T::kernels(isa),
            m: c.rows(),
            n: c.cols(),
            k: a.cols(),
            a: Operand::Plain { start: a.as_ptr(), lane: a.row_stride(), step: a.col_stride() },
            b,
            c: c.as_mut_ptr(),
            c_row: c.row_stride(),
            window: false,
            add: store == Store::Add,
            bias_cols,
            bias_rows,
            relu: activation == Activation::Relu && finish.in_registers(),
        };
        Self { problem, finish }
    }

    /// Computes it on all workers.
    fn run(&self, cpu: &Cpu) {
        // SAFETY: see `new`; parts do not overlap.
        self.problem.on_all(cpu, &|cut, index| unsafe { self.part(cut, index) });
    }

    /// Computes part `index`.
    ///
    /// # Safety
    /// No part may be computed twice at the same time.
    unsafe fn part(&self, cut: Cut, index: usize) {
        let (rows, cols) = self.problem.part(cut, index);
        let blocks = Blocks::choose(Shape::of(&self.problem, rows.len(), cols.len()));
        // SAFETY: see `new`; parts differ in rows or columns.
        unsafe { self.problem.run(rows, cols, blocks, &mut &self.finish) };
    }
}
