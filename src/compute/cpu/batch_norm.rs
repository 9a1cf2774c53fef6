//! Normalisation of columns by their moments over all rows: BatchNorm (Ioffe and Szegedy 2015, arXiv:1502.03167) of
//! activations whose channels come last.
//!
//! Rows are walked through as one sequence of numbers, in periods of whole rows that are whole vectors too: three
//! channels take no longer than sixteen. What belongs to columns is repeated to the length of a period.
#![allow(unsafe_code)]

use super::columns::NormGrads;
use super::conv::scratch::Scratch;
use super::lanes::{Float, Kernel, Vector, dispatch};
use super::row::{self, Column, Walk};
use super::{Cpu, Parts};
use std::ops::Range;

/// Elements that are worth a worker.
const GRAIN: usize = 16_384;

/// How a matrix is cut, from its size alone.
#[derive(Debug, Clone, Copy)]
struct Cut {
    rows: usize,
    cols: usize,
    /// Elements of a period, whole rows; whole vectors too unless there are many columns.
    period: usize,
    /// Rows of a block whose sums are taken together, whole periods.
    block: usize,
}

impl Cut {
    fn of(len: usize, cols: usize) -> Self {
        let rows = row::rows(len, cols);
        // 16 divides into the lanes of every vector.
        let least = cols << (4 - cols.trailing_zeros().min(4));
        // Several vectors, so that a sum in memory is not needed again before it has been written.
        let period = if least > 1_024 { cols } else { least * 128_usize.div_ceil(least) };
        // Enough blocks for many workers, and few enough that their sums are quickly added. A block stays in the
        // second-level cache from one pass to the next.
        let elements = (len / 64).clamp(4_096, 32_768);
        let block = (elements / period).max(1) * (period / cols);
        Self { rows, cols, period, block }
    }

    fn blocks(self) -> usize {
        self.rows.div_ceil(self.block)
    }

    /// Rows of block `b`.
    fn rows_of(self, b: usize) -> usize {
        self.block.min(self.rows - b * self.block)
    }

    /// Elements of the blocks in `range`.
    fn elements(self, range: &Range<usize>) -> Range<usize> {
        let end = (range.end * self.block).min(self.rows);
        range.start * self.block * self.cols..end * self.cols
    }

    /// Runs `job` for blocks, on all workers.
    fn deal(self, cpu: &Cpu, job: &(dyn Fn(Range<usize>) + Sync)) {
        row::deal(cpu, self.blocks(), self.block * self.cols, GRAIN, job);
    }

    /// The numbers `of(column)`, repeated to a period.
    fn repeat<T: Float>(self, to: &mut [T], of: impl Fn(usize) -> f64) {
        let (first, rest) = to.split_at_mut(self.cols);
        first.iter_mut().enumerate().for_each(|(c, to)| *to = T::of(of(c)));
        rest.chunks_exact_mut(self.cols).for_each(|to| to.copy_from_slice(first));
    }
}

/// Adds up columns within `sums` (a period), into its first row.
fn fold<T: Float>(sums: &mut [T], cols: usize) {
    let (first, rest) = sums.split_at_mut(cols);
    for row in rest.chunks_exact(cols) {
        first.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
    }
}

/// Mean and variance (divided by the number of rows) of each of `cols` columns of `x`; NaN where there are no rows.
///
/// In blocks of at most 32,768 elements (or one row), put together in order in double precision (Chan, Golub and LeVeque
/// 1979). A block sums differences from c, the mean m of its first eighth or more, and the squares of these. An eighth of
/// the block differs from the mean by m - c, so its variance is at least (m - c)^2 / 8: what cancels in
/// `Σ (x - c)² / n - (m - c)²` is no more than eight times the variance, whatever the offset.
/// Means are within 1e-6 (`f32`; 1e-14 for `f64`) of the size of the largest element, variances within 1e-5 (1e-13) of
/// their own size plus the square of the rounding of the largest element.
///
/// # Panics
/// If lengths do not fit.
pub fn column_moments<T: Float>(cpu: &Cpu, cols: usize, x: &[T], mean: &mut [T], var: &mut [T]) {
    let cut = Cut::of(x.len(), cols);
    assert_eq!((mean.len(), var.len()), (cols, cols), "moments of each column");
    // For each block c, and the sums of x - c and of their squares.
    let mut partials = Scratch::<T>::take(cut.blocks() * 3 * cols);
    let all = Parts::new(partials.as_mut_slice());
    let x = Column::of(x);
    cut.deal(cpu, &|range| {
        let mut scratch = Scratch::<T>::take(3 * cut.period);
        let (shifts, rest) = scratch.as_mut_slice().split_at_mut(cut.period);
        let (sums, squares) = rest.split_at_mut(cut.period);
        for b in range {
            // SAFETY: blocks are disjoint.
            let to = unsafe { all.piece(b * 3 * cols..(b + 1) * 3 * cols) };
            let elements = cut.elements(&(b..b + 1));
            let (x, len) = (x.at(elements.start), elements.len());
            let eighth = (len.div_ceil(8).div_ceil(cut.period) * cut.period).min(len);
            sums.fill(T::ZERO);
            along(cpu, cut, eighth, Sum { x, sums: sums.as_mut_ptr() });
            fold(sums, cols);
            cut.repeat(shifts, |c| sums[c].to_f64() / (eighth / cols) as f64);
            sums.fill(T::ZERO);
            squares.fill(T::ZERO);
            let (to_sums, to_squares) = (sums.as_mut_ptr(), squares.as_mut_ptr());
            along(cpu, cut, len, Shifted { x, shifts: shifts.as_ptr(), sums: to_sums, squares: to_squares });
            fold(sums, cols);
            fold(squares, cols);
            for (to, period) in to.chunks_exact_mut(cols).zip([&*shifts, &*sums, &*squares]) {
                to.copy_from_slice(&period[..cols]);
            }
        }
    });
    // Means less the shift of the first block, so that their differences keep their digits too.
    let partials = partials.as_mut_slice();
    let mut state = Scratch::<f64>::take(2 * cols);
    let (means, squares) = state.as_mut_slice().split_at_mut(cols);
    for (b, partial) in partials.chunks_exact(3 * cols).enumerate() {
        let (before, count) = ((b * cut.block) as f64, cut.rows_of(b) as f64);
        let share = count / (before + count);
        for c in 0..cols {
            let [shift, sum, square] = [0, 1, 2].map(|i| partial[i * cols + c].to_f64());
            let off = sum / count;
            let mean = (shift - partials[c].to_f64()) + off;
            let square = square - sum * off;
            // Not with `max`, which would make a number of a NaN.
            let square = if square < 0.0 { 0.0 } else { square };
            if b == 0 {
                (means[c], squares[c]) = (mean, square);
            } else {
                let step = mean - means[c];
                means[c] += step * share;
                squares[c] += square + step * step * before * share;
            }
        }
    }
    if cut.rows == 0 {
        mean.fill(T::NAN);
        return var.fill(T::NAN);
    }
    for c in 0..cols {
        mean[c] = T::of(partials[c].to_f64() + means[c]);
        var[c] = T::of(squares[c] / cut.rows as f64);
    }
}

/// Moments of columns, as [`column_moments`] gives them, or gathered over many batches.
#[derive(Debug, Clone, Copy)]
pub struct ColumnMoments<'a, T> {
    /// Mean of each column.
    pub mean: &'a [T],
    /// Variance of each column.
    pub var: &'a [T],
    /// Added to the variance before the root is taken.
    pub eps: f64,
}

impl<T: Float> ColumnMoments<'_, T> {
    fn check(&self, cols: usize) {
        assert_eq!((self.mean.len(), self.var.len()), (cols, cols), "moments of each column");
    }

    /// 1/√(var + eps)
    fn rstd(&self, c: usize) -> f64 {
        1.0 / (self.var[c].to_f64() + self.eps).sqrt()
    }
}

fn check_columns<T>(columns: &[Option<&[T]>], cols: usize) {
    assert!(columns.iter().flatten().all(|column| column.len() == cols), "a number for each column");
}

fn value<T: Float>(column: Option<&[T]>, c: usize, other: f64) -> f64 {
    column.map_or(other, |column| column[c].to_f64())
}

/// `out = (x - mean) / √(var + eps) * weight + bias`, with a number for each column (1 and 0 where there are no weight
/// and bias); with `rectify` the larger of that and 0.
///
/// Within three roundings of `(x - mean) weight / √(var + eps)` and one of the result.
///
/// # Panics
/// If lengths do not fit.
pub fn column_norm<T: Float>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    moments: ColumnMoments<'_, T>,
    [weight, bias]: [Option<&[T]>; 2],
    rectify: bool,
    out: &mut [T],
) {
    let cut = Cut::of(x.len(), cols);
    assert_eq!(x.len(), out.len(), "a result for each element");
    moments.check(cols);
    check_columns(&[weight, bias], cols);
    let mut scratch = Scratch::<T>::take(3 * cut.period);
    let (means, rest) = scratch.as_mut_slice().split_at_mut(cut.period);
    let (factors, terms) = rest.split_at_mut(cut.period);
    cut.repeat(means, |c| moments.mean[c].to_f64());
    cut.repeat(factors, |c| moments.rstd(c) * value(weight, c, 1.0));
    cut.repeat(terms, |c| value(bias, c, 0.0));
    let columns = [Column::of(means), Column::of(factors), Column::of(terms)];
    let x = Column::of(x);
    let out = Parts::new(out);
    cut.deal(cpu, &|range| {
        let elements = cut.elements(&range);
        let x = x.at(elements.start);
        // SAFETY: blocks are disjoint.
        let out = unsafe { out.piece(elements.clone()) }.as_mut_ptr();
        let [means, factors, terms] = columns.map(|column| column.at(0));
        if rectify {
            along(cpu, cut, elements.len(), Normalise::<T, true> { x, means, factors, terms, out });
        } else {
            along(cpu, cut, elements.len(), Normalise::<T, false> { x, means, factors, terms, out });
        }
    });
}

/// Gradients of [`column_norm`] without `rectify`, from its input and the gradient `dy` of its result. With
/// s = 1/√(var + eps), x̂ = (x - mean) s and n rows: `dbias = Σ dy`, `dweight = Σ dy x̂` and
/// `dx = weight s (dy - (dbias + x̂ dweight) / n)` where the moments are those of `x` (`through_moments`), else
/// `dx = weight s dy`.
///
/// Within 1e-5 (`f32`; 1e-13 for `f64`) of the largest |weight s dy|, and sums of the sum of the sizes of their terms.
///
/// # Panics
/// If lengths do not fit.
#[allow(clippy::too_many_arguments)]
pub fn column_norm_grad<T: Float>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    moments: ColumnMoments<'_, T>,
    weight: Option<&[T]>,
    dy: &[T],
    through_moments: bool,
    grads: NormGrads<'_, T>,
) {
    let cut = Cut::of(x.len(), cols);
    assert_eq!(x.len(), dy.len(), "a gradient for each element");
    moments.check(cols);
    check_columns(&[weight, grads.dweight.as_deref(), grads.dbias.as_deref()], cols);
    let NormGrads { dx, dweight, dbias } = grads;
    assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "a gradient for each element");
    let mut scratch = Scratch::<T>::take(4 * cut.period);
    let (means, rest) = scratch.as_mut_slice().split_at_mut(cut.period);
    cut.repeat(means, |c| moments.mean[c].to_f64());
    let means = Column::of(means);
    let (x, dy) = (Column::of(x), Column::of(dy));

    // Σ dy and Σ dy (x - mean) of each column.
    let mut sums = Scratch::<f64>::take(2 * cols);
    let sums = sums.as_mut_slice();
    sums.fill(0.0);
    if dweight.is_some() || dbias.is_some() || (through_moments && dx.is_some()) {
        let mut partials = Scratch::<T>::take(cut.blocks() * 2 * cols);
        let all = Parts::new(partials.as_mut_slice());
        cut.deal(cpu, &|range| {
            let mut scratch = Scratch::<T>::take(2 * cut.period);
            let (sums, products) = scratch.as_mut_slice().split_at_mut(cut.period);
            for b in range {
                let elements = cut.elements(&(b..b + 1));
                sums.fill(T::ZERO);
                products.fill(T::ZERO);
                let products_of = Products {
                    x: x.at(elements.start),
                    dy: dy.at(elements.start),
                    means: means.at(0),
                    sums: sums.as_mut_ptr(),
                    products: products.as_mut_ptr(),
                };
                along(cpu, cut, elements.len(), products_of);
                fold(sums, cols);
                fold(products, cols);
                // SAFETY: blocks are disjoint.
                let to = unsafe { all.piece(b * 2 * cols..(b + 1) * 2 * cols) };
                to[..cols].copy_from_slice(&sums[..cols]);
                to[cols..].copy_from_slice(&products[..cols]);
            }
        });
        for partial in partials.as_mut_slice().chunks_exact(2 * cols) {
            sums.iter_mut().zip(partial).for_each(|(sum, x)| *sum += x.to_f64());
        }
    }
    let (sums, products) = sums.split_at(cols);
    if let Some(dbias) = dbias {
        dbias.iter_mut().zip(sums).for_each(|(to, sum)| *to = T::of(*sum));
    }
    if let Some(dweight) = dweight {
        dweight.iter_mut().zip(products).enumerate().for_each(|(c, (to, sum))| *to = T::of(*sum * moments.rstd(c)));
    }

    let Some(dx) = dx else { return };
    let (factors, rest) = rest.split_at_mut(cut.period);
    let (shifts, slopes) = rest.split_at_mut(cut.period);
    let factor = |c: usize| moments.rstd(c) * value(weight, c, 1.0);
    let rows = cut.rows as f64;
    cut.repeat(factors, factor);
    cut.repeat(shifts, |c| factor(c) * sums[c] / rows);
    cut.repeat(slopes, |c| factor(c) * products[c] / rows * moments.rstd(c) * moments.rstd(c));
    let columns = [Column::of(factors), Column::of(shifts), Column::of(slopes)];
    let dx = Parts::new(dx);
    cut.deal(cpu, &|range| {
        let elements = cut.elements(&range);
        let (x, dy) = (x.at(elements.start), dy.at(elements.start));
        let [factors, shifts, slopes] = columns.map(|column| column.at(0));
        // SAFETY: blocks are disjoint.
        let dx = unsafe { dx.piece(elements.clone()) }.as_mut_ptr();
        if through_moments {
            along(cpu, cut, elements.len(), Grad { x, dy, means: means.at(0), factors, shifts, slopes, dx });
        } else {
            along(cpu, cut, elements.len(), Given { dy, factors, dx });
        }
    });
}

/// Something done along a matrix, period by period.
trait Along<T: Float>: Copy {
    /// The same for the matrix from element `at` on.
    fn after(self, at: usize) -> Self;
    /// Does it to `LANES` places of a period from `at` on where `FULL`, else to `n`.
    ///
    /// # Safety
    /// The matrix and what belongs to columns have these places.
    unsafe fn places<V: Vector<Elem = T>, const FULL: bool>(self, at: usize, n: usize);
}

/// Does `what` along `len` elements, which begin with a row and which everything in `what` has.
fn along<T: Float>(cpu: &Cpu, cut: Cut, len: usize, what: impl Along<T>) {
    dispatch(cpu.isa, Periods { what, period: cut.period, len });
}

struct Periods<A> {
    what: A,
    period: usize,
    len: usize,
}

impl<T: Float, A: Along<T>> Kernel<T> for Periods<A> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { what, period, len } = self;
        let mut start = 0;
        while start < len {
            let places = period.min(len - start);
            // SAFETY: `len` elements are there, and `period` numbers for columns.
            unsafe { row::walk::<V, _, 0>(Places(what.after(start)), 0..places) };
            start += places;
        }
    }
}

#[derive(Clone, Copy)]
struct Places<A>(A);

impl<V: Vector, A: Along<V::Elem>> Walk<V, 0> for Places<A> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, none: [V; 0], at: usize, n: usize) -> [V; 0] {
        // SAFETY: the caller's promise.
        unsafe { self.0.places::<V, FULL>(at, n) };
        none
    }
}

/// Adds `a b` to what is at `to`.
///
/// # Safety
/// So many elements are there.
#[inline(always)]
unsafe fn add<V: Vector, const FULL: bool>(to: *mut V::Elem, n: usize, a: V, b: V) {
    // SAFETY: the caller's promise.
    unsafe { row::store::<V, FULL>(a.mul_add(b, row::load::<V, FULL>(to, n)), to, n) };
}

/// `sums += x`
#[derive(Clone, Copy)]
struct Sum<T> {
    x: *const T,
    sums: *mut T,
}

impl<T: Float> Along<T> for Sum<T> {
    #[inline(always)]
    fn after(self, at: usize) -> Self {
        Self { x: self.x.wrapping_add(at), ..self }
    }
    #[inline(always)]
    unsafe fn places<V: Vector<Elem = T>, const FULL: bool>(self, at: usize, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let to = self.sums.add(at);
            let x = row::load::<V, FULL>(self.x.add(at), n);
            row::store::<V, FULL>(row::load::<V, FULL>(to, n) + x, to, n);
        }
    }
}

/// `sums += x - shifts`, `squares += (x - shifts)^2`
#[derive(Clone, Copy)]
struct Shifted<T> {
    x: *const T,
    shifts: *const T,
    sums: *mut T,
    squares: *mut T,
}

impl<T: Float> Along<T> for Shifted<T> {
    #[inline(always)]
    fn after(self, at: usize) -> Self {
        Self { x: self.x.wrapping_add(at), ..self }
    }
    #[inline(always)]
    unsafe fn places<V: Vector<Elem = T>, const FULL: bool>(self, at: usize, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let x = row::load::<V, FULL>(self.x.add(at), n) - row::load::<V, FULL>(self.shifts.add(at), n);
            let to = self.sums.add(at);
            row::store::<V, FULL>(row::load::<V, FULL>(to, n) + x, to, n);
            add::<V, FULL>(self.squares.add(at), n, x, x);
        }
    }
}

/// `out = (x - means) factors + terms`, not below 0 where `RECTIFY`.
#[derive(Clone, Copy)]
struct Normalise<T, const RECTIFY: bool> {
    x: *const T,
    means: *const T,
    factors: *const T,
    terms: *const T,
    out: *mut T,
}

impl<T: Float, const RECTIFY: bool> Along<T> for Normalise<T, RECTIFY> {
    #[inline(always)]
    fn after(self, at: usize) -> Self {
        Self { x: self.x.wrapping_add(at), out: self.out.wrapping_add(at), ..self }
    }
    #[inline(always)]
    unsafe fn places<V: Vector<Elem = T>, const FULL: bool>(self, at: usize, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let x = row::load::<V, FULL>(self.x.add(at), n) - row::load::<V, FULL>(self.means.add(at), n);
            let factor = row::load::<V, FULL>(self.factors.add(at), n);
            let mut y = x.mul_add(factor, row::load::<V, FULL>(self.terms.add(at), n));
            if RECTIFY {
                // In this order NaN stays NaN.
                y = V::zero().max(y);
            }
            row::store::<V, FULL>(y, self.out.add(at), n);
        }
    }
}

/// `sums += dy`, `products += dy (x - means)`
#[derive(Clone, Copy)]
struct Products<T> {
    x: *const T,
    dy: *const T,
    means: *const T,
    sums: *mut T,
    products: *mut T,
}

impl<T: Float> Along<T> for Products<T> {
    #[inline(always)]
    fn after(self, at: usize) -> Self {
        Self { x: self.x.wrapping_add(at), dy: self.dy.wrapping_add(at), ..self }
    }
    #[inline(always)]
    unsafe fn places<V: Vector<Elem = T>, const FULL: bool>(self, at: usize, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let x = row::load::<V, FULL>(self.x.add(at), n) - row::load::<V, FULL>(self.means.add(at), n);
            let dy = row::load::<V, FULL>(self.dy.add(at), n);
            let to = self.sums.add(at);
            row::store::<V, FULL>(row::load::<V, FULL>(to, n) + dy, to, n);
            add::<V, FULL>(self.products.add(at), n, x, dy);
        }
    }
}

/// `dx = dy factors - shifts - (x - means) slopes`
#[derive(Clone, Copy)]
struct Grad<T> {
    x: *const T,
    dy: *const T,
    means: *const T,
    factors: *const T,
    shifts: *const T,
    slopes: *const T,
    dx: *mut T,
}

impl<T: Float> Along<T> for Grad<T> {
    #[inline(always)]
    fn after(self, at: usize) -> Self {
        let (x, dy) = (self.x.wrapping_add(at), self.dy.wrapping_add(at));
        Self { x, dy, dx: self.dx.wrapping_add(at), ..self }
    }
    #[inline(always)]
    unsafe fn places<V: Vector<Elem = T>, const FULL: bool>(self, at: usize, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let x = row::load::<V, FULL>(self.x.add(at), n) - row::load::<V, FULL>(self.means.add(at), n);
            let dy = row::load::<V, FULL>(self.dy.add(at), n);
            let factor = row::load::<V, FULL>(self.factors.add(at), n);
            let dx = dy.mul_add(factor, -row::load::<V, FULL>(self.shifts.add(at), n));
            let dx = x.neg_mul_add(row::load::<V, FULL>(self.slopes.add(at), n), dx);
            row::store::<V, FULL>(dx, self.dx.add(at), n);
        }
    }
}

/// `dx = dy factors`
#[derive(Clone, Copy)]
struct Given<T> {
    dy: *const T,
    factors: *const T,
    dx: *mut T,
}

impl<T: Float> Along<T> for Given<T> {
    #[inline(always)]
    fn after(self, at: usize) -> Self {
        Self { dy: self.dy.wrapping_add(at), dx: self.dx.wrapping_add(at), ..self }
    }
    #[inline(always)]
    unsafe fn places<V: Vector<Elem = T>, const FULL: bool>(self, at: usize, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let dy = row::load::<V, FULL>(self.dy.add(at), n);
            row::store::<V, FULL>(dy * row::load::<V, FULL>(self.factors.add(at), n), self.dx.add(at), n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::trial::{SHAPES, near, noise, on_all, tolerance, wide};
    use super::*;

    const MORE_SHAPES: [[usize; 2]; 6] = [[5000, 6], [3001, 3], [700, 64], [400, 100], [1, 768], [50, 1027]];

    fn shapes() -> impl Iterator<Item = [usize; 2]> {
        SHAPES.into_iter().filter(|[rows, _]| *rows > 0).chain(MORE_SHAPES)
    }

    /// Mean and variance of each column.
    fn moments(x: &[f64], cols: usize) -> [Vec<f64>; 2] {
        let rows = (x.len() / cols) as f64;
        let column = |c: usize| x.iter().skip(c).step_by(cols);
        let mean: Vec<f64> = (0..cols).map(|c| column(c).sum::<f64>() / rows).collect();
        let var = (0..cols).map(|c| column(c).map(|x| (x - mean[c]) * (x - mean[c])).sum::<f64>() / rows).collect();
        [mean, var]
    }

    fn moments_agree<T: Float>(offset: f64) {
        for [rows, cols] in shapes() {
            let x: Vec<T> = noise::<T>(rows * cols, 1).iter().map(|x| T::of(x.to_f64() + offset)).collect();
            let [mean, var] = moments(&wide(&x), cols);
            let kernel = |cpu: &Cpu| {
                let (mut mean, mut var) = (noise(cols, 2), noise(cols, 3));
                column_moments(cpu, cols, &x, &mut mean, &mut var);
                vec![mean, var]
            };
            on_all(kernel, |isa, found| {
                let tolerance = tolerance::<T>(1e-6, 1e-14) * 2.0;
                near(&format!("mean {rows} {cols} {isa}"), &found[0], &mean, tolerance * offset.abs().max(1.0));
                near(&format!("variance {rows} {cols} {isa}"), &found[1], &var, tolerance * 10.0);
            });
        }
    }

    fn norm_agrees<T: Float>(affine: bool, rectify: bool) {
        for [rows, cols] in shapes() {
            let x = noise::<T>(rows * cols, 1);
            let [mean, var, w, b] = [2, 3, 4, 5].map(|seed| noise::<T>(cols, seed));
            let var: Vec<T> = var.iter().map(|v| T::of(v.to_f64().abs() + 0.1)).collect();
            let (weight, bias) = (affine.then_some(&w[..]), affine.then_some(&b[..]));
            let given = ColumnMoments { mean: &mean, var: &var, eps: 1e-3 };
            let kernel = |cpu: &Cpu| {
                let mut out = noise(x.len(), 6);
                column_norm(cpu, cols, &x, given, [weight, bias], rectify, &mut out);
                vec![out]
            };
            let expected: Vec<f64> = (0..x.len())
                .map(|i| {
                    let c = i % cols;
                    let normal = (x[i].to_f64() - mean[c].to_f64()) * given.rstd(c);
                    let y = normal * value(weight, c, 1.0) + value(bias, c, 0.0);
                    if rectify { y.max(0.0) } else { y }
                })
                .collect();
            on_all(kernel, |isa, found| {
                near(&format!("{rows} {cols} {isa}"), &found[0], &expected, tolerance::<T>(1e-5, 1e-14));
            });
        }
    }

    fn gradients_agree<T: Float>(affine: bool, through: bool) {
        for [rows, cols] in shapes() {
            let (x, dy, w) = (noise::<T>(rows * cols, 1), noise::<T>(rows * cols, 2), noise::<T>(cols, 3));
            let weight = affine.then_some(&w[..]);
            let (wide_x, wide_dy) = (wide(&x), wide(&dy));
            let [mean, var] = moments(&wide_x, cols).map(|column| column.iter().map(|x| T::of(*x)).collect::<Vec<T>>());
            let given = ColumnMoments { mean: &mean, var: &var, eps: 0.1 };
            let normal = |i: usize| (wide_x[i] - mean[i % cols].to_f64()) * given.rstd(i % cols);
            let (mut dweight, mut dbias) = (vec![0.0; cols], vec![0.0; cols]);
            for i in 0..x.len() {
                dweight[i % cols] += wide_dy[i] * normal(i);
                dbias[i % cols] += wide_dy[i];
            }
            let dx: Vec<f64> = (0..x.len())
                .map(|i| {
                    let c = i % cols;
                    let mean = if through { (dbias[c] + normal(i) * dweight[c]) / rows as f64 } else { 0.0 };
                    value(weight, c, 1.0) * given.rstd(c) * (wide_dy[i] - mean)
                })
                .collect();
            let kernel = |cpu: &Cpu| {
                let grad = |grads: NormGrads<'_, T>| {
                    column_norm_grad(cpu, cols, &x, given, weight, &dy, through, grads);
                };
                let (mut dx, mut dweight, mut dbias) = (noise(x.len(), 4), noise(cols, 5), noise(cols, 6));
                let (to_dweight, to_dbias) = (Some(&mut dweight[..]), Some(&mut dbias[..]));
                grad(NormGrads { dx: Some(&mut dx), dweight: to_dweight, dbias: to_dbias });
                let mut alone = noise(x.len(), 7);
                grad(NormGrads { dx: Some(&mut alone), ..NormGrads::default() });
                assert_eq!(dx, alone);
                grad(NormGrads::default());
                vec![dx, dweight, dbias]
            };
            on_all(kernel, |isa, found| {
                let tolerance = tolerance::<T>(1e-5, 1e-13);
                near(&format!("dx {rows} {cols} {isa}"), &found[0], &dx, 8.0 * tolerance);
                near(&format!("dweight {rows} {cols} {isa}"), &found[1], &dweight, tolerance * rows as f64);
                near(&format!("dbias {rows} {cols} {isa}"), &found[2], &dbias, tolerance * rows as f64);
            });
        }
    }

    #[test]
    fn moments_agree_with_the_formulas() {
        moments_agree::<f32>(0.0);
        moments_agree::<f64>(0.0);
        let (mut mean, mut var) = ([0.0f32; 2], [0.0; 2]);
        column_moments(&Cpu::new(1), 2, &[], &mut mean, &mut var);
        assert!(mean.iter().chain(&var).all(|x| x.is_nan()));
    }

    #[test]
    fn a_mean_far_from_zero_costs_no_digits_of_the_variance() {
        moments_agree::<f32>(1000.0);
        moments_agree::<f64>(-1e6);
    }

    #[test]
    fn normalisation_agrees_with_the_formula() {
        for affine in [true, false] {
            for rectify in [true, false] {
                norm_agrees::<f32>(affine, rectify);
                norm_agrees::<f64>(affine, rectify);
            }
        }
    }

    #[test]
    fn gradients_agree_with_the_formulas() {
        for affine in [true, false] {
            for through in [true, false] {
                gradients_agree::<f32>(affine, through);
                gradients_agree::<f64>(affine, through);
            }
        }
    }
}
