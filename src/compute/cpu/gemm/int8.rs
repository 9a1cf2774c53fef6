//! Products of 8-bit integers, summed in `i32` or turned into `f32`.

use std::ops::Range;

use super::super::super::{HugeVec, Isa};
use super::super::Cpu;
use super::column_sums::column_sums;
use super::driver::{Operand, Problem, Sink};
use super::halves::Window;
use super::kernels::{Kernels, NarrowPackFn, SLACK};
use super::narrow::{PairsI16, pack};
use super::plan::{Blocks, Cut, Shape};
use super::real::Sealed as _;
use super::scratch::Scratch;
use super::{Activation, Mat, MatMut, Store, check_sizes, portable};

mod sealed {
    pub trait Byte: Copy + Send + Sync + 'static + Into<i16> {
        const SIGNED: bool;
    }
    impl Byte for i8 {
        const SIGNED: bool = true;
    }
    impl Byte for u8 {
        const SIGNED: bool = false;
    }
}

/// `i8` and `u8`.
pub trait Byte: sealed::Byte {}
impl Byte for i8 {}
impl Byte for u8 {}

/// How an instruction set multiplies bytes.
struct Scheme {
    kernels: &'static Kernels<u32, i32>,
    /// Elements in a unit.
    group: usize,
    pack_signed: NarrowPackFn<u32>,
    pack_unsigned: NarrowPackFn<u32>,
    pack_b: NarrowPackFn<u32>,
    /// What packing adds to signed elements of A.
    shift: i32,
}

impl Scheme {
    fn of(isa: Isa) -> Self {
        let pairs = |kernels| Self {
            kernels,
            group: 2,
            pack_signed: pack::<PairsI16<i8>>,
            pack_unsigned: pack::<PairsI16<u8>>,
            pack_b: pack::<PairsI16<i8>>,
            shift: 0,
        };
        #[cfg(target_arch = "x86_64")]
        if isa.available() {
            use super::narrow512::{quads, quads_flipped};
            if isa == Isa::Avx512 && std::is_x86_feature_detected!("avx512vnni") {
                return Self {
                    kernels: &super::dot512::VNNI,
                    group: 4,
                    pack_signed: quads_flipped,
                    pack_unsigned: quads,
                    pack_b: quads,
                    shift: 128,
                };
            }
            if matches!(isa, Isa::Avx512 | Isa::Avx2) && std::is_x86_feature_detected!("avx2") {
                return pairs(&super::avx2::PAIRS);
            }
        }
        let _ = isa;
        pairs(&portable::PAIRS)
    }
}

/// A B of 8-bit integers packed once, for weights that many products share.
///
/// Invariant: `data` has ceil(n / width) panels of all units of k and slack behind them, `width` being that of a packed
/// panel of `isa`; `sums` has the sum of each column.
#[derive(Debug)]
pub struct PackedI8 {
    isa: Isa,
    k: usize,
    n: usize,
    data: HugeVec<u32>,
    sums: Vec<i32>,
}

impl PackedI8 {
    /// Packs B (k x n) for products on `isa`.
    pub fn new(isa: Isa, b: Mat<'_, i8>) -> Self {
        let scheme = Scheme::of(isa);
        let (k, n, width) = (b.rows(), b.cols(), scheme.kernels.panel());
        let units = k.div_ceil(scheme.group);
        let mut data = HugeVec::<u32>::zeroed(n.div_ceil(width) * width * units + SLACK);
        for first in (0..if k > 0 { n } else { 0 }).step_by(width) {
            // SAFETY: `data` has room for the panel and the slack; the columns lie in `b` by its invariant; the scheme is
            // one that the machine can run.
            unsafe {
                let to = data.as_mut_ptr().add(first * units);
                let lanes = first..(first + width).min(n);
                let from = b.as_ptr().cast();
                (scheme.pack_b)(to, width, lanes, 0..units, from, b.col_stride(), b.row_stride(), k);
            }
        }
        let mut sums = vec![0; n];
        column_sums(isa, b, 0..n, &mut sums);
        Self { isa, k, n, data, sums }
    }

    /// Number of rows of B.
    pub fn rows(&self) -> usize {
        self.k
    }

    /// Number of columns of B.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// The sum of each column, which corrects for a zero point of A.
    pub fn column_sums(&self) -> &[i32] {
        &self.sums
    }
}

/// B of 8-bit integers, as given or packed.
#[derive(Debug, Clone, Copy)]
pub enum Right8<'a> {
    /// As it lies in memory.
    Plain(Mat<'a, i8>),
    /// Packed before.
    Packed(&'a PackedI8),
}

impl<'a> From<Mat<'a, i8>> for Right8<'a> {
    fn from(b: Mat<'a, i8>) -> Self {
        Self::Plain(b)
    }
}

impl<'a> From<&'a PackedI8> for Right8<'a> {
    fn from(b: &'a PackedI8) -> Self {
        Self::Packed(b)
    }
}

impl Right8<'_> {
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Plain(b) => (b.rows(), b.cols()),
            Self::Packed(b) => (b.rows(), b.cols()),
        }
    }
}

/// How sums of 8-bit products become numbers: element (i, j) is
/// `activation(((sum + offsets[j]) * col_scales[j]) * row_scales[i] + bias[j])`.
#[derive(Debug, Clone, Copy)]
pub struct Dequant<'a> {
    /// Added to the sums of each column, modulo 2^32: for a zero point z of A, minus z times the sum of the column of B.
    pub offsets: Option<&'a [i32]>,
    /// A factor for each column, or one for all.
    pub col_scales: &'a [f32],
    /// A factor for each row.
    pub row_scales: Option<&'a [f32]>,
    /// Added to each column.
    pub bias: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Activation,
}

/// C = A B or C + A B for `i8` or `u8` A and `i8` B, exact modulo 2^32, on all workers.
///
/// # Panics
/// If the sizes of the matrices do not fit one another, if B was packed for another instruction set, or if the columns
/// of C do not lie next to one another.
pub fn gemm_i8<'a, A: Byte>(cpu: &Cpu, store: Store, a: Mat<'_, A>, b: impl Into<Right8<'a>>, c: MatMut<'_, i32>) {
    let mut problem = Bytes::new(cpu.isa, a, b.into(), c.rows(), c.cols(), None);
    by_rows(&c);
    problem.problem.c = c.as_mut_ptr();
    problem.problem.c_row = c.row_stride();
    problem.problem.add = store == Store::Add;
    problem.problem.on_all(cpu, &|cut, index| {
        // SAFETY: operands are good by their types' invariants (see `Bytes::new`); parts differ in rows or columns.
        unsafe { problem.part(cut, index, |problem, _, rows, cols, blocks| problem.run(rows, cols, blocks, &mut ())) };
    });
}

/// C = A B for `i8` or `u8` A and `i8` B, turned into `f32`, on all workers. The sums are exact modulo 2^32; each step
/// after them is rounded once, and the same bits on every instruction set but for the activation (see
/// [`unary`](super::super::unary)).
///
/// # Panics
/// As [`gemm_i8`], and if a slice of `dequant` does not fit the size of C.
pub fn gemm_i8_dequant<'a, A: Byte>(
    cpu: &Cpu,
    a: Mat<'_, A>,
    b: impl Into<Right8<'a>>,
    c: MatMut<'_, f32>,
    dequant: Dequant<'_>,
) {
    let (m, n) = (c.rows(), c.cols());
    let fits = |what: &str, len: Option<usize>, want: usize| {
        assert!(len.is_none_or(|len| len == want), "{} {what} do not fit a {m} x {n} output", len.unwrap_or(0));
    };
    fits("offsets", dequant.offsets.map(<[_]>::len), n);
    fits("scales of rows", dequant.row_scales.map(<[_]>::len), m);
    fits("numbers of a bias", dequant.bias.map(<[_]>::len), n);
    if dequant.col_scales.len() != 1 {
        fits("scales of columns", Some(dequant.col_scales.len()), n);
    }
    by_rows(&c);
    let mut problem = Bytes::new(cpu.isa, a, b.into(), m, n, dequant.offsets);
    problem.problem.window = true;
    let out = Out { isa: cpu.isa, c: c.as_mut_ptr(), c_row: c.row_stride(), dequant };
    problem.problem.on_all(cpu, &|cut, index| {
        // SAFETY: as in `gemm_i8`; the window has room for a block, and finished blocks lie in C.
        unsafe {
            problem.part(cut, index, |problem, bias_cols, rows, cols, blocks| {
                let mut window = Window::new(blocks, problem.kernels);
                let problem = Problem { c: window.start(), c_row: window.row, bias_cols, ..*problem };
                problem.run(rows, cols, blocks, &mut Dequantising { out: &out, window });
            });
        }
    });
}

#[track_caller]
fn by_rows<T>(c: &MatMut<'_, T>) {
    assert!(c.col_stride() == 1 || c.cols() <= 1, "the output of a product of 8-bit integers must lie by rows");
}

/// A product of bytes whose C is still to be named.
struct Bytes<'a> {
    problem: Problem<u32, i32>,
    isa: Isa,
    b: Right8<'a>,
    /// What packing adds to the elements of A.
    shift: i32,
    offsets: Option<&'a [i32]>,
}

impl<'a> Bytes<'a> {
    /// Checks sizes. Afterwards the operands are good by the invariants of their types, and the kernels are ones that
    /// the machine can run.
    #[track_caller]
    fn new<A: Byte>(isa: Isa, a: Mat<'a, A>, b: Right8<'a>, m: usize, n: usize, offsets: Option<&'a [i32]>) -> Self {
        let (bk, bn) = b.size();
        check_sizes(a.rows(), a.cols(), bk, bn, m, n);
        let scheme = Scheme::of(isa);
        let k = a.cols();
        let narrow = |start, lane, element, pack| Operand::Narrow { start, lane, element, elements: k, pack };
        let pack_a = if A::SIGNED { scheme.pack_signed } else { scheme.pack_unsigned };
        let problem = Problem {
            kernels: scheme.kernels,
            m,
            n,
            k: k.div_ceil(scheme.group),
            a: narrow(a.as_ptr().cast(), a.row_stride(), a.col_stride(), pack_a),
            b: match b {
                Right8::Plain(b) => narrow(b.as_ptr().cast(), b.col_stride(), b.row_stride(), scheme.pack_b),
                Right8::Packed(b) => {
                    assert!(b.isa == isa, "B was packed for {}, not for {isa}", b.isa);
                    Operand::Panels { start: b.data.as_ptr() }
                }
            },
            c: std::ptr::null_mut(),
            c_row: 0,
            window: false,
            add: false,
            bias_cols: std::ptr::null(),
            bias_rows: std::ptr::null(),
            relu: false,
        };
        Self { problem, isa, b, shift: if A::SIGNED { scheme.shift } else { 0 }, offsets }
    }

    /// Calls `run(problem, what to add to its columns, rows, columns, blocks)` for part `index`.
    ///
    /// # Safety
    /// As for [`Problem::run`].
    unsafe fn part(
        &self,
        cut: Cut,
        index: usize,
        run: impl FnOnce(&Problem<u32, i32>, *const i32, Range<usize>, Range<usize>, Blocks),
    ) {
        let (rows, cols) = self.problem.part(cut, index);
        let blocks = Blocks::choose(Shape::of(&self.problem, rows.len(), cols.len()));
        let mut scratch;
        let mut bias_cols = self.offsets.map_or(std::ptr::null(), <[i32]>::as_ptr);
        if self.shift != 0 && !cols.is_empty() {
            // (a + shift) b summed is too large by shift times the sum of the column.
            scratch = Scratch::take(cols.len() * size_of::<i32>());
            let start = scratch.as_mut_ptr().cast::<i32>();
            // SAFETY: just taken; any content is a number, and the first use overwrites it.
            let sums = unsafe { std::slice::from_raw_parts_mut(start, cols.len()) };
            match self.b {
                Right8::Plain(b) => column_sums(self.isa, b, cols.clone(), sums),
                Right8::Packed(b) => sums.copy_from_slice(&b.sums[cols.clone()]),
            }
            for (i, sum) in sums.iter_mut().enumerate() {
                let offset = self.offsets.map_or(0, |offsets| offsets[cols.start + i]);
                *sum = offset.wrapping_sub(sum.wrapping_mul(self.shift));
            }
            // Kernels count columns from the first of the matrix.
            bias_cols = start.wrapping_sub(cols.start);
        }
        let problem = Problem { bias_cols, ..self.problem };
        run(&problem, bias_cols, rows, cols, blocks);
    }
}

impl Sink for () {
    unsafe fn begin(&mut self, _: Range<usize>, _: Range<usize>) {}
    unsafe fn end(&mut self, _: Range<usize>, _: Range<usize>) {}
}

/// Where dequantised numbers go.
struct Out<'a> {
    isa: Isa,
    c: *mut f32,
    c_row: usize,
    dequant: Dequant<'a>,
}

// SAFETY: of C every worker writes its own part.
unsafe impl Sync for Out<'_> {}

struct Dequantising<'a> {
    out: &'a Out<'a>,
    window: Window<i32>,
}

impl Sink for Dequantising<'_> {
    unsafe fn begin(&mut self, _: Range<usize>, _: Range<usize>) {}

    unsafe fn end(&mut self, rows: Range<usize>, cols: Range<usize>) {
        let Out { isa, c, c_row, dequant } = *self.out;
        let (start, row) = (self.window.start(), self.window.row);
        for (i, r) in rows.enumerate() {
            // SAFETY: the caller's promise; window and C do not overlap.
            let (sums, out) = unsafe {
                (
                    std::slice::from_raw_parts(start.add(i * row), cols.len()),
                    std::slice::from_raw_parts_mut(c.add(r * c_row + cols.start), cols.len()),
                )
            };
            let scale = dequant.row_scales.map_or(1.0, |scales| scales[r]);
            dequantise(isa, &dequant, sums, scale, cols.start, out);
            f32::activate(isa, dequant.activation, out);
        }
    }
}

/// One row but for the activation; `first` is the number of its first column.
fn dequantise(isa: Isa, dequant: &Dequant<'_>, sums: &[i32], row_scale: f32, first: usize, out: &mut [f32]) {
    #[inline(always)]
    fn scaled(dequant: &Dequant<'_>, sums: &[i32], row_scale: f32, first: usize, out: &mut [f32]) {
        if let [scale] = dequant.col_scales {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = *sum as f32 * scale * row_scale;
            }
        } else {
            for ((out, sum), scale) in out.iter_mut().zip(sums).zip(&dequant.col_scales[first..]) {
                *out = *sum as f32 * scale * row_scale;
            }
        }
        if let Some(bias) = dequant.bias {
            for (out, bias) in out.iter_mut().zip(&bias[first..]) {
                *out += bias;
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn with_avx512(dequant: &Dequant<'_>, sums: &[i32], row_scale: f32, first: usize, out: &mut [f32]) {
            scaled(dequant, sums, row_scale, first, out);
        }
        if isa == Isa::Avx512 && isa.available() {
            // SAFETY: the machine has the instruction set.
            return unsafe { with_avx512(dequant, sums, row_scale, first, out) };
        }
    }
    let _ = isa;
    scaled(dequant, sums, row_scale, first, out);
}
