//! The sum of the squares of all gradients: the norm that clipping compares, and whether all are finite.
#![allow(unsafe_code)]

use super::walk::{Half, load_first_half};
use super::{Update, matrix};
use crate::compute::cpu::lanes::{Kernel, Single, SingleKernel, Vector, dispatch, dispatch_single};
use crate::compute::cpu::{Cpu, GRANULE, Parts, column_share};
use crate::compute::dtype::{DType, bf16, f16};
use crate::compute::isa::Isa;
use std::cell::RefCell;
use std::ops::Range;

/// Elements of a flat gradient that make one partial sum.
const BLOCK: usize = 4_096;
/// Rows of a wide matrix whose [`GRANULE`] columns make one partial sum.
const ROWS: usize = 64;
/// Elements below which another worker does not pay.
const WORTH: usize = 16_384;

/// A gradient as pointer, with the place of its partial sums.
#[derive(Clone, Copy)]
struct Segment {
    gradient: *const u8,
    dtype: DType,
    len: usize,
    row: usize,
    /// Its first partial sum.
    sums: usize,
}

/// Segments that may be seen by all workers.
struct Shared<'a>(&'a [Segment]);
// SAFETY: gradients are only read.
unsafe impl Sync for Shared<'_> {}

thread_local! {
    static SCRATCH: RefCell<(Vec<Segment>, Vec<f64>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Sum of the squares of all elements of all gradients; infinite or NaN if any element is. Single precision and below
/// cannot overflow.
///
/// Squares are added in double precision, in blocks that follow from the sizes: the same bits for any number of
/// workers; between instruction sets the relative difference is below 1e-13.
///
/// # Panics
/// If the columns of an update do not belong together; see [`Update`].
pub fn gradient_squares(cpu: &Cpu, updates: &[Update<'_>]) -> f64 {
    SCRATCH.with_borrow_mut(|(segments, sums)| {
        segments.clear();
        let (mut count, mut total) = (0, 0);
        for update in updates {
            update.check();
            let (dtype, len, row) = (update.param.dtype(), update.param.len(), update.row);
            let at = update.gradient.layout.offset * dtype.size();
            let gradient = update.gradient.buffer.as_bytes()[at..].as_ptr();
            segments.push(Segment { gradient, dtype, len, row, sums: count });
            count += blocks(len, row);
            total += len;
        }
        sums.clear();
        sums.resize(count, 0.0);
        let workers = cpu.crew.size().min(total / WORTH).max(1);
        let (shared, parts) = (Shared(segments), Parts::new(sums));
        if workers == 1 {
            share(&shared, &parts, cpu.isa, 0, 1);
        } else {
            cpu.crew.run(&|worker| {
                if worker < workers {
                    share(&shared, &parts, cpu.isa, worker, workers);
                }
            });
        }
        sums.iter().sum()
    })
}

/// How many partial sums a gradient has.
fn blocks(len: usize, row: usize) -> usize {
    match matrix(len, row) {
        Some((rows, cols)) => rows.div_ceil(ROWS) * cols.div_ceil(GRANULE),
        None => len.div_ceil(BLOCK),
    }
}

/// What one worker does: the columns of matrices that it has in an optimizer step too, where rows are long enough, else
/// its share of blocks.
fn share(segments: &Shared<'_>, sums: &Parts<'_, f64>, isa: Isa, worker: usize, workers: usize) {
    // Blocks that are not cut by columns are counted through all segments.
    let by_columns = |s: &Segment| matrix(s.len, s.row).filter(|(_, cols)| *cols >= 64 * workers);
    let all: usize = segments.0.iter().filter(|s| by_columns(s).is_none()).map(|s| blocks(s.len, s.row)).sum();
    let (first, last) = (all * worker / workers, all * (worker + 1) / workers);
    let mut before = 0;
    for s in segments.0 {
        let own = |count: usize| first.saturating_sub(before).min(count)..last.saturating_sub(before).min(count);
        match matrix(s.len, s.row) {
            Some((rows, cols)) if by_columns(s).is_some() => {
                let columns = column_share(cols, worker, workers);
                let panels = columns.start / GRANULE..columns.end.div_ceil(GRANULE);
                // SAFETY: panels of different workers are disjoint.
                unsafe { s.add_matrix(isa, sums, cols, 0..rows.div_ceil(ROWS), panels) };
            }
            Some((rows, cols)) => {
                // In whole bands of rows: a band belongs to the worker its first block falls to.
                let panels = cols.div_ceil(GRANULE);
                let count = rows.div_ceil(ROWS) * panels;
                let range = own(count);
                let bands = range.start.div_ceil(panels)..range.end.div_ceil(panels);
                // SAFETY: bands of different workers are disjoint.
                unsafe { s.add_matrix(isa, sums, cols, bands, 0..panels) };
                before += count;
            }
            None => {
                let count = s.len.div_ceil(BLOCK);
                // SAFETY: blocks of different workers are disjoint.
                unsafe { s.add_flat(isa, sums, own(count)) };
                before += count;
            }
        }
    }
}

/// `ROWS` rows of `cols` elements, `stride` apart, at most, and a sum for each [`GRANULE`] columns.
#[derive(Clone, Copy)]
struct Band {
    rows: usize,
    cols: usize,
    stride: usize,
}

impl Segment {
    /// # Safety
    /// No other thread has the same blocks.
    unsafe fn add_flat(&self, isa: Isa, sums: &Parts<'_, f64>, blocks: Range<usize>) {
        for block in blocks {
            let range = block * BLOCK..((block + 1) * BLOCK).min(self.len);
            // One block is a band of one row that is folded into one sum.
            let band = Band { rows: range.len().div_ceil(GRANULE), cols: GRANULE, stride: GRANULE };
            // SAFETY: the caller's promise.
            let sum = unsafe { sums.piece(self.sums + block..self.sums + block + 1) };
            // SAFETY: the block lies within the gradient.
            unsafe { self.add(isa, range.start, band, range.len(), sum) };
        }
    }

    /// # Safety
    /// No other thread has the same bands and panels.
    unsafe fn add_matrix(
        &self,
        isa: Isa,
        sums: &Parts<'_, f64>,
        cols: usize,
        bands: Range<usize>,
        panels: Range<usize>,
    ) {
        if panels.is_empty() {
            return;
        }
        let (rows, all_panels) = (self.len / cols, cols.div_ceil(GRANULE));
        let first = panels.start * GRANULE;
        let width = cols.min(panels.end * GRANULE) - first;
        for band in bands {
            let height = ROWS.min(rows - band * ROWS);
            let at = self.sums + band * all_panels;
            // SAFETY: the caller's promise.
            let sums = unsafe { sums.piece(at + panels.start..at + panels.end) };
            let window = Band { rows: height, cols: width, stride: cols };
            // SAFETY: the window lies within the gradient.
            unsafe { self.add(isa, band * ROWS * cols + first, window, usize::MAX, sums) };
        }
    }

    /// Sums of the panels of a band that begins at element `at`; at most `limit` elements from there on are read.
    ///
    /// # Safety
    /// The band, up to the limit, lies within the gradient.
    unsafe fn add(&self, isa: Isa, at: usize, band: Band, limit: usize, sums: &mut [f64]) {
        // SAFETY: the gradient is of this type (`Update::check`).
        unsafe {
            match self.dtype {
                DType::F64 => dispatch(isa, Wide { from: self.gradient.cast::<f64>().add(at), band, limit, sums }),
                DType::F32 => {
                    dispatch_single(isa, Narrow { from: self.gradient.cast::<f32>().add(at), band, limit, sums })
                }
                DType::Bf16 => {
                    dispatch_single(isa, Narrow { from: self.gradient.cast::<bf16>().add(at), band, limit, sums })
                }
                DType::F16 => {
                    dispatch_single(isa, Narrow { from: self.gradient.cast::<f16>().add(at), band, limit, sums })
                }
                other => unreachable!("a gradient of {other}"),
            }
        }
    }
}

/// Elements whose squares are added on lanes `V`.
trait Squared<V>: Copy {
    /// Double-precision lanes.
    type Sum: Vector<Elem = f64>;
    /// Lanes read at a time.
    const LANES: usize;
    /// Adds the squares of `LANES` elements.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn add(from: *const Self, sum: Self::Sum) -> Self::Sum;
    /// Adds the squares of `n` elements.
    ///
    /// # Safety
    /// `n` elements, fewer than `LANES`, can be read at `from`.
    unsafe fn add_first(from: *const Self, n: usize, sum: Self::Sum) -> Self::Sum;
}

impl<V: Vector<Elem = f64>> Squared<V> for f64 {
    type Sum = V;
    const LANES: usize = V::LANES;
    #[inline(always)]
    unsafe fn add(from: *const Self, sum: V) -> V {
        // SAFETY: the caller's promise.
        let x = unsafe { V::load(from) };
        x.mul_add(x, sum)
    }
    #[inline(always)]
    unsafe fn add_first(from: *const Self, n: usize, sum: V) -> V {
        // SAFETY: the caller's promise.
        let x = unsafe { V::load_first(from, n) };
        x.mul_add(x, sum)
    }
}

#[inline(always)]
fn add_both<V: Single>(x: V, sum: V::Double) -> V::Double {
    let (low, high) = x.widen();
    high.mul_add(high, low.mul_add(low, sum))
}

macro_rules! squared {
    ($($t:ty: |$from:ident, $n:ident| $all:expr, $first:expr;)*) => {$(
        impl<V: Single> Squared<V> for $t {
            type Sum = V::Double;
            const LANES: usize = V::LANES;
            #[inline(always)]
            unsafe fn add($from: *const Self, sum: V::Double) -> V::Double {
                // SAFETY: the caller's promise.
                add_both::<V>(unsafe { $all }, sum)
            }
            #[inline(always)]
            unsafe fn add_first($from: *const Self, $n: usize, sum: V::Double) -> V::Double {
                // SAFETY: the caller's promise.
                add_both::<V>(unsafe { $first }, sum)
            }
        }
    )*};
}
squared! {
    f32: |from, n| V::load(from), V::load_first(from, n);
    bf16: |from, n| <bf16 as Half>::load(from), load_first_half(from, n);
    f16: |from, n| <f16 as Half>::load(from), load_first_half(from, n);
}

/// Panels whose sums are kept at a time, so that they stay in the first-level cache while rows are read.
const PANELS: usize = 32;

/// # Safety
/// The band, up to the limit, can be read at `from`; `sums` has one number for each of its panels, or one for all if
/// the band is of one panel.
#[inline(always)]
unsafe fn sum_band<V, T: Squared<V>>(from: *const T, band: Band, limit: usize, sums: &mut [f64]) {
    let panels = band.cols.div_ceil(GRANULE);
    let mut first = 0;
    while first < panels {
        let count = PANELS.min(panels - first);
        let mut partial = [T::Sum::zero(); PANELS];
        for row in 0..band.rows {
            for (panel, partial) in partial[..count].iter_mut().enumerate() {
                let column = (first + panel) * GRANULE;
                let start = row * band.stride + column;
                let n = GRANULE.min(band.cols - column).min(limit - start);
                let mut sum = *partial;
                let mut at = 0;
                while at + T::LANES <= n {
                    // SAFETY: within the panel.
                    sum = unsafe { T::add(from.add(start + at), sum) };
                    at += T::LANES;
                }
                if at < n {
                    // SAFETY: `n - at` elements are left of the panel.
                    sum = unsafe { T::add_first(from.add(start + at), n - at, sum) };
                }
                *partial = sum;
            }
        }
        for (sum, partial) in sums[first..first + count].iter_mut().zip(partial) {
            *sum = partial.sum();
        }
        first += count;
    }
}

struct Wide<'a> {
    from: *const f64,
    band: Band,
    limit: usize,
    sums: &'a mut [f64],
}

impl Kernel<f64> for Wide<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = f64>>(self) {
        // SAFETY: whoever made the kernel vouches for the band.
        unsafe { sum_band::<V, f64>(self.from, self.band, self.limit, self.sums) };
    }
}

struct Narrow<'a, T> {
    from: *const T,
    band: Band,
    limit: usize,
    sums: &'a mut [f64],
}

macro_rules! narrow {
    ($($t:ty)*) => {$(
        impl SingleKernel for Narrow<'_, $t> {
            type Output = ();
            #[inline(always)]
            fn run<V: Single>(self) {
                // SAFETY: whoever made the kernel vouches for the band.
                unsafe { sum_band::<V, $t>(self.from, self.band, self.limit, self.sums) };
            }
        }
    )*};
}
narrow! { f32 bf16 f16 }
