//! Products of 16-bit floating-point numbers, summed in `f32`.

use std::marker::PhantomData;
use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::super::super::{Isa, Zeroed};
use super::super::Cpu;
use super::driver::{Operand, Problem, Sink};
use super::epilogue::Finish;
use super::kernels::{Kernels, NarrowPackFn};
use super::narrow::{WideBf16, WideF16, pack};
use super::plan::{Blocks, Cut, Shape};
use super::scratch::Scratch;
use super::{Activation, Epilogue, Mat, MatMut, Store, check_sizes};

mod sealed {
    use super::{Isa, NarrowPackFn};

    pub trait Half: Copy + Send + Sync + 'static {
        /// Packs elements widened to `f32`.
        fn widen(isa: Isa) -> NarrowPackFn<f32>;

        /// Whether the processor multiplies pairs.
        fn pairs(isa: Isa) -> bool;

        /// The elements rounded to nearest.
        fn narrow(isa: Isa, from: &[f32], to: &mut [Self])
        where
            Self: Sized;
    }

    pub trait Output<H>: Copy + Send + Sync + 'static {
        /// Whether it is `f32`, in which sums can lie as they are.
        const WIDE: bool;

        /// Adds elements, widened.
        fn widen(from: &[Self], to: &mut [f32])
        where
            Self: Sized;

        /// The elements rounded to nearest.
        fn narrow(isa: Isa, from: &[f32], to: &mut [Self])
        where
            Self: Sized;
    }
}

/// `bf16` and `f16`.
pub trait Half: sealed::Half {}
impl Half for bf16 {}
impl Half for f16 {}

/// What a product of `H` can be stored as: `f32` or `H` itself, rounded to nearest once.
pub trait HalfOutput<H: Half>: sealed::Output<H> {}
impl<H: Half> HalfOutput<H> for f32 {}
impl HalfOutput<bf16> for bf16 {}
impl HalfOutput<f16> for f16 {}

impl sealed::Half for bf16 {
    fn widen(isa: Isa) -> NarrowPackFn<f32> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if isa.available() => super::narrow512::wide_bf16,
            _ => pack::<WideBf16>,
        }
    }

    fn pairs(isa: Isa) -> bool {
        #[cfg(target_arch = "x86_64")]
        return isa == Isa::Avx512 && isa.available() && std::is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        return {
            let _ = isa;
            false
        };
    }

    fn narrow(isa: Isa, from: &[f32], to: &mut [Self]) {
        #[inline(always)]
        fn each(from: &[f32], to: &mut [bf16]) {
            for (from, to) in from.iter().zip(to) {
                let bits = from.to_bits();
                let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
                // A NaN stays one: quiet, with its sign.
                let kept = bits >> 16 | 0x40;
                *to = bf16::from_bits(if from.is_nan() { kept } else { rounded } as u16);
            }
        }
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn with_avx512(from: &[f32], to: &mut [bf16]) {
                each(from, to)
            }
            if isa == Isa::Avx512 && isa.available() {
                // SAFETY: the machine has the instruction set.
                return unsafe { with_avx512(from, to) };
            }
        }
        let _ = isa;
        each(from, to)
    }
}

impl sealed::Half for f16 {
    fn widen(isa: Isa) -> NarrowPackFn<f32> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if isa.available() => super::narrow512::wide_f16,
            _ => pack::<WideF16>,
        }
    }

    fn pairs(_: Isa) -> bool {
        false
    }

    fn narrow(_: Isa, from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
}

impl<H: Half> sealed::Output<H> for f32 {
    const WIDE: bool = true;

    fn widen(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }

    fn narrow(_: Isa, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

macro_rules! output {
    ($t:ident) => {
        impl sealed::Output<$t> for $t {
            const WIDE: bool = false;

            fn widen(from: &[$t], to: &mut [f32]) {
                from.convert_to_f32_slice(to);
            }

            fn narrow(isa: Isa, from: &[f32], to: &mut [$t]) {
                <$t as sealed::Half>::narrow(isa, from, to);
            }
        }
    };
}
output!(bf16);
output!(f16);

/// C = A B or C + A B, then the epilogue, on all workers; sums, bias and activation are in `f32`, and C is rounded once.
///
/// `f16` is widened and multiplied as `f32` is (see [`gemm`](super::gemm)). So is `bf16`, except where the processor has
/// AVX512_BF16, which adds the products of two consecutive k at a time and takes subnormal numbers for zero: its sums
/// agree with the others within k times the unit roundoff of `f32` times |A| |B|, plus k times 2^-126. On one
/// instruction set the bits are the same for any number of workers.
///
/// # Panics
/// As [`gemm`](super::gemm).
pub fn gemm_half<H: Half, O: HalfOutput<H>>(
    cpu: &Cpu,
    store: Store,
    a: Mat<'_, H>,
    b: Mat<'_, H>,
    c: MatMut<'_, O>,
    epilogue: Epilogue<'_, O, f32>,
) {
    check_sizes(a.rows(), a.cols(), b.rows(), b.cols(), c.rows(), c.cols());
    let by_rows = |m: &MatMut<'_, O>| m.col_stride() == 1 || m.cols() <= 1;
    let Epilogue { bias, activation, keep } = epilogue;
    bias.check(c.rows(), c.cols());
    if let Some(keep) = &keep {
        check_sizes(c.rows(), a.cols(), a.cols(), c.cols(), keep.rows(), keep.cols());
    }
    let turned = !by_rows(&c);
    let (a, b, c, bias, keep) =
        if turned { (b.t(), a.t(), c.t(), bias.t(), keep.map(MatMut::t)) } else { (a, b, c, bias, keep) };
    assert!(keep.as_ref().is_none_or(by_rows), "what is kept must lie by rows or columns as the output does");
    let out = Out { isa: cpu.isa, activation, c, keep, add: store == Store::Add, halves: PhantomData };
    let (bias_cols, bias_rows) = bias.pointers();
    let (m, n, k) = (out.c.rows(), out.c.cols(), a.cols());
    #[cfg(target_arch = "x86_64")]
    if H::pairs(cpu.isa) {
        let pairs = |start: Mat<'_, H>, lanes: usize, lane: usize, element: usize| {
            // Elements of k that lie next to one another are pairs already.
            if element == 1 && k % 2 == 0 && (lane.is_multiple_of(2) || lanes <= 1) {
                return Operand::Plain { start: start.as_ptr().cast::<u32>(), lane: lane / 2, step: 1 };
            }
            let pack: NarrowPackFn<u32> = super::narrow512::pairs_bf16;
            Operand::Narrow { start: start.as_ptr().cast(), lane, element, elements: k, pack }
        };
        let problem = Problem {
            kernels: &super::dot512::BF16,
            m,
            n,
            k: k.div_ceil(2),
            a: pairs(a, m, a.row_stride(), a.col_stride()),
            b: pairs(b, n, b.col_stride(), b.row_stride()),
            c: std::ptr::null_mut(),
            c_row: 0,
            window: false,
            add: false,
            bias_cols,
            bias_rows,
            relu: false,
        };
        return out.compute(cpu, problem);
    }
    let wide = |start: Mat<'_, H>, lane, element| Operand::Narrow {
        start: start.as_ptr().cast(),
        lane,
        element,
        elements: k,
        pack: H::widen(cpu.isa),
    };
    let problem = Problem {
        kernels: <f32 as super::real::Sealed>::kernels(cpu.isa),
        m,
        n,
        k,
        a: wide(a, a.row_stride(), a.col_stride()),
        b: wide(b, b.col_stride(), b.row_stride()),
        c: std::ptr::null_mut(),
        c_row: 0,
        window: false,
        add: false,
        bias_cols,
        bias_rows,
        relu: false,
    };
    out.compute(cpu, problem);
}

/// Where a product goes.
struct Out<'a, H, O> {
    isa: Isa,
    activation: Activation,
    c: MatMut<'a, O>,
    keep: Option<MatMut<'a, O>>,
    add: bool,
    halves: PhantomData<H>,
}

// SAFETY: of the outputs every worker writes its own part (see `Out::compute`).
unsafe impl<H, O: Send> Sync for Out<'_, H, O> {}

impl<H: Half, O: HalfOutput<H>> Out<'_, H, O> {
    /// Computes all parts of `problem`, whose C is still to be named. Its operands are good by the invariants of `Mat`,
    /// its kernels are ones that the machine can run.
    fn compute<U: Copy + Sync>(self, cpu: &Cpu, mut problem: Problem<U, f32>) {
        let relu = self.activation == Activation::Relu && self.keep.is_none();
        problem.relu = relu;
        if O::WIDE {
            // `O` is `f32`.
            let whole = |m: &MatMut<'_, O>| {
                let shape = [m.rows(), m.cols(), m.row_stride(), m.col_stride()];
                // SAFETY: the same matrix, seen as what it is.
                unsafe { MatMut::from_raw(m.as_mut_ptr().cast::<f32>(), shape) }
            };
            let (c, keep) = (whole(&self.c), self.keep.as_ref().map(whole));
            problem.c = c.as_mut_ptr();
            problem.c_row = c.row_stride();
            problem.add = self.add;
            let finish = Finish::new(self.isa, self.activation, &c, keep.as_ref());
            problem.on_all(cpu, &|cut, index| {
                let (rows, cols) = problem.part(cut, index);
                let blocks = Blocks::choose(Shape::of(&problem, rows.len(), cols.len()));
                // SAFETY: see above; parts differ in rows or columns.
                unsafe { problem.run(rows, cols, blocks, &mut &finish) };
            });
            return;
        }
        problem.window = true;
        problem.add = self.add;
        // SAFETY: see above; parts differ in rows or columns.
        problem.on_all(cpu, &|cut, index| unsafe { self.part(&problem, relu, cut, index) });
    }

    /// Computes part `index` by way of a window of `f32`.
    ///
    /// # Safety
    /// As for [`Problem::run`].
    unsafe fn part<U: Copy>(&self, problem: &Problem<U, f32>, relu: bool, cut: Cut, index: usize) {
        let (rows, cols) = problem.part(cut, index);
        let blocks = Blocks::choose(Shape::of(problem, rows.len(), cols.len()));
        let mut window = Window::new(blocks, problem.kernels);
        let problem = Problem { c: window.start(), c_row: window.row, ..*problem };
        let mut sink = Narrowing { out: self, window, relu };
        // SAFETY: the caller's promise; the window has room for a block.
        unsafe { problem.run(rows, cols, blocks, &mut sink) };
    }
}

/// Memory for one block of C in another type than its own.
pub(super) struct Window<S> {
    scratch: Scratch,
    /// Elements from one row to the next.
    pub row: usize,
    sums: PhantomData<S>,
}

impl<S: Zeroed> Window<S> {
    /// Room for any block that `Problem::run` makes with these blocks.
    pub fn new<U>(blocks: Blocks, kernels: &Kernels<U, S>) -> Self {
        let rows = blocks.mc.max(kernels.most_rows());
        let row = blocks.nc.max(kernels.panel());
        // An odd number of cache lines a row, so that rows do not fall on few sets of the cache.
        let row = (row * size_of::<S>()).div_ceil(64) | 1;
        Self { scratch: Scratch::take(rows * row * 64), row: row * 64 / size_of::<S>(), sums: PhantomData }
    }

    /// Its first element.
    pub fn start(&mut self) -> *mut S {
        self.scratch.as_mut_ptr().cast()
    }
}

/// Rounds finished blocks.
struct Narrowing<'a, 'b, H, O> {
    out: &'a Out<'b, H, O>,
    window: Window<f32>,
    relu: bool,
}

impl<H: Half, O: HalfOutput<H>> Narrowing<'_, '_, H, O> {
    /// The rows of a block, in the window, in C, and in what is kept.
    ///
    /// # Safety
    /// The block must lie within C, and nothing else may use it.
    unsafe fn each(
        &mut self,
        rows: Range<usize>,
        cols: Range<usize>,
        f: impl Fn(&mut [f32], &mut [O], Option<&mut [O]>),
    ) {
        let (start, row) = (self.window.start(), self.window.row);
        let Out { c, keep, .. } = self.out;
        for (i, r) in rows.enumerate() {
            // SAFETY: the caller's promise; window, C and `keep` do not overlap.
            unsafe {
                let wide = std::slice::from_raw_parts_mut(start.add(i * row), cols.len());
                let of = |m: &MatMut<'_, O>| {
                    std::slice::from_raw_parts_mut(m.as_mut_ptr().add(r * m.row_stride() + cols.start), cols.len())
                };
                f(wide, of(c), keep.as_ref().map(of));
            }
        }
    }
}

impl<H: Half, O: HalfOutput<H>> Sink for Narrowing<'_, '_, H, O> {
    unsafe fn begin(&mut self, rows: Range<usize>, cols: Range<usize>) {
        if self.out.add {
            // SAFETY: the caller's promise.
            unsafe { self.each(rows, cols, |wide, c, _| O::widen(c, wide)) };
        }
    }

    unsafe fn end(&mut self, rows: Range<usize>, cols: Range<usize>) {
        let Out { isa, activation, .. } = *self.out;
        let relu = self.relu;
        // SAFETY: the caller's promise.
        unsafe {
            self.each(rows, cols, |wide, c, keep| {
                if let Some(keep) = keep {
                    O::narrow(isa, wide, keep);
                }
                if !relu {
                    <f32 as super::real::Sealed>::activate(isa, activation, wide);
                }
                O::narrow(isa, wide, c);
            });
        }
    }
}
