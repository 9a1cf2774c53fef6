//! Normalisation of rows by their own moments: LayerNorm (Ba, Kiros and Hinton 2016, arXiv:1607.06450) and RMSNorm (Zhang and
//! Sennrich 2019, arXiv:1910.07467).
//!
//! Moments are sums of `row::sums`, the variance of differences from the mean. Results agree with double precision
//! within 1e-5 (`f32`; 1e-13 for `f64`) of the size of the normalised row (gradients: of the largest `|dy weight|` over
//! the standard deviation; column sums: of the sum of the sizes of their terms).
#![allow(unsafe_code)]

use super::columns::{NormGrads, add_blocks, values_or};
use super::conv::scratch::Scratch;
use super::lanes::{Float, Kernel, Vector, dispatch};
use super::row::{self, Column, Walk};
use super::{Cpu, Parts};
use std::ops::Range;

/// Elements that are worth a worker.
const GRAIN: usize = 8_192;

/// `out = (x - mean) / √(var + eps) * weight + bias`, with the mean and the variance (divided by `cols`) of each row and
/// a weight and bias for each column (1 and 0 where there are none). `stats` receives the mean and `1/√(var + eps)` of
/// each row.
///
/// # Panics
/// If lengths do not fit.
pub fn layer_norm<T: Float>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    [weight, bias]: [Option<&[T]>; 2],
    eps: f64,
    out: &mut [T],
    stats: Option<[&mut [T]; 2]>,
) {
    let (mean, rstd) = match stats {
        Some([mean, rstd]) => (Some(mean), Some(rstd)),
        None => (None, None),
    };
    forward::<T, true>(cpu, cols, x, [weight, bias], eps, out, mean, rstd);
}

/// `out = x / √(mean of x² + eps) * weight`, with the mean over each row and a weight for each column (1 where there are
/// none). `rstd` receives `1/√(mean of x² + eps)` of each row.
///
/// # Panics
/// If lengths do not fit.
pub fn rms_norm<T: Float>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    weight: Option<&[T]>,
    eps: f64,
    out: &mut [T],
    rstd: Option<&mut [T]>,
) {
    forward::<T, false>(cpu, cols, x, [weight, None], eps, out, None, rstd);
}

#[allow(clippy::too_many_arguments)]
fn forward<T: Float, const CENTRED: bool>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    [weight, bias]: [Option<&[T]>; 2],
    eps: f64,
    out: &mut [T],
    mean: Option<&mut [T]>,
    rstd: Option<&mut [T]>,
) {
    let rows = row::rows(x.len(), cols);
    assert_eq!(x.len(), out.len(), "a result for each element");
    for stat in [&mean, &rstd].into_iter().flatten() {
        assert_eq!(stat.len(), rows, "a number for each row");
    }
    let (mut ones, mut zeros) = (None, None);
    let weight = values_or(weight, cols, T::ONE, &mut ones);
    let bias = values_or(bias, cols, T::ZERO, &mut zeros);
    let x = Column::of(x);
    let out = Parts::new(out);
    let [mean, rstd] = [mean, rstd].map(|stat| stat.map(Parts::new));
    row::deal(cpu, rows, cols, GRAIN, &|range| {
        // SAFETY: ranges of different calls are disjoint.
        let [mean, rstd] = [mean, rstd].map(|stat| stat.map(|stat| unsafe { stat.piece(range.clone()) }));
        let start = range.start * cols;
        // SAFETY: as above.
        let out = unsafe { out.piece(start..range.end * cols) };
        dispatch(cpu.isa, Forward::<T, CENTRED> { x: x.at(start), weight, bias, eps, out, mean, rstd });
    });
}

struct Forward<'a, T, const CENTRED: bool> {
    /// As many elements as `out`.
    x: *const T,
    /// An element for each column.
    weight: &'a [T],
    bias: &'a [T],
    eps: f64,
    out: &'a mut [T],
    mean: Option<&'a mut [T]>,
    rstd: Option<&'a mut [T]>,
}

impl<T: Float, const CENTRED: bool> Kernel<T> for Forward<'_, T, CENTRED> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(mut self) {
        let cols = self.weight.len();
        for r in 0..self.out.len() / cols {
            let x = self.x.wrapping_add(r * cols);
            // SAFETY: row `r` has `cols` elements at `x` and in `out`; weight and bias have as many.
            unsafe {
                let mut mean = T::ZERO;
                if CENTRED {
                    mean = T::of(row::sums::<V, _, 1>(Sum { x }, cols)[0] / cols as f64);
                }
                let [squares] = row::sums::<V, _, 1>(Squares::<V, CENTRED> { x, mean: V::splat(mean) }, cols);
                let rstd = T::of(1.0 / (squares / cols as f64 + self.eps).sqrt());
                if let Some(means) = &mut self.mean {
                    means[r] = mean;
                }
                if let Some(rstds) = &mut self.rstd {
                    rstds[r] = rstd;
                }
                let normalise = Normalise::<V, CENTRED> {
                    x,
                    mean: V::splat(mean),
                    rstd: V::splat(rstd),
                    weight: self.weight.as_ptr(),
                    bias: self.bias.as_ptr(),
                    to: self.out.as_mut_ptr().add(r * cols),
                };
                row::walk(normalise, 0..cols);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Sum<T> {
    x: *const T,
}

impl<V: Vector> Walk<V, 1> for Sum<V::Elem> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, [sum]: [V; 1], at: usize, n: usize) -> [V; 1] {
        // SAFETY: the row has these places.
        [sum + unsafe { row::load::<V, FULL>(self.x.add(at), n) }]
    }
}

#[derive(Clone, Copy)]
struct Squares<V: Vector, const CENTRED: bool> {
    x: *const V::Elem,
    mean: V,
}

impl<V: Vector, const CENTRED: bool> Walk<V, 1> for Squares<V, CENTRED> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, [sum]: [V; 1], at: usize, n: usize) -> [V; 1] {
        // SAFETY: the row has these places.
        let mut x = unsafe { row::load::<V, FULL>(self.x.add(at), n) };
        if CENTRED {
            x = row::first::<V, FULL>(x - self.mean, n, V::zero());
        }
        [x.mul_add(x, sum)]
    }
}

#[derive(Clone, Copy)]
struct Normalise<V: Vector, const CENTRED: bool> {
    x: *const V::Elem,
    mean: V,
    rstd: V,
    weight: *const V::Elem,
    bias: *const V::Elem,
    to: *mut V::Elem,
}

impl<V: Vector, const CENTRED: bool> Walk<V, 0> for Normalise<V, CENTRED> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, none: [V; 0], at: usize, n: usize) -> [V; 0] {
        // SAFETY: the row, the result, weight and bias have these places.
        unsafe {
            let mut x = row::load::<V, FULL>(self.x.add(at), n);
            if CENTRED {
                x = x - self.mean;
            }
            let weight = row::load::<V, FULL>(self.weight.add(at), n);
            let mut y = x * self.rstd;
            y = if CENTRED { y.mul_add(weight, row::load::<V, FULL>(self.bias.add(at), n)) } else { y * weight };
            row::store::<V, FULL>(y, self.to.add(at), n);
        }
        none
    }
}

/// Gradients of [`layer_norm`] from its input, its `stats` and the gradient `dy` of its result. With x̂ the normalised
/// row, g = dy weight and m the mean over a row: `dx = (g - m(g) - x̂ m(g x̂)) / √(var + eps)`, and over all rows
/// `dweight = Σ dy x̂`, `dbias = Σ dy`.
///
/// # Panics
/// If lengths do not fit.
pub fn layer_norm_grad<T: Float>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    [mean, rstd]: [&[T]; 2],
    weight: Option<&[T]>,
    dy: &[T],
    grads: NormGrads<'_, T>,
) {
    backward::<T, true>(cpu, cols, x, mean, rstd, weight, dy, grads);
}

/// Gradients of [`rms_norm`] (`dbias` is the sum of `dy`, if wanted), as in [`layer_norm_grad`] but without its `m(g)`.
///
/// # Panics
/// If lengths do not fit.
pub fn rms_norm_grad<T: Float>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    rstd: &[T],
    weight: Option<&[T]>,
    dy: &[T],
    grads: NormGrads<'_, T>,
) {
    backward::<T, false>(cpu, cols, x, rstd, rstd, weight, dy, grads);
}

/// Rows whose sums of columns are taken together: enough blocks for many workers, yet few beside the rows.
fn block_rows(rows: usize) -> usize {
    (rows / 64).clamp(32, 512)
}

/// `mean` is as long as `rstd` and not used unless `CENTRED`.
#[allow(clippy::too_many_arguments)]
fn backward<T: Float, const CENTRED: bool>(
    cpu: &Cpu,
    cols: usize,
    x: &[T],
    mean: &[T],
    rstd: &[T],
    weight: Option<&[T]>,
    dy: &[T],
    grads: NormGrads<'_, T>,
) {
    let rows = row::rows(x.len(), cols);
    assert_eq!((x.len(), rows, rows), (dy.len(), mean.len(), rstd.len()), "elements, and statistics of rows");
    let NormGrads { dx, dweight, dbias } = grads;
    assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "a gradient for each element");
    let mut ones = None;
    let weight = values_or(weight, cols, T::ONE, &mut ones);
    let block = block_rows(rows);
    let blocks = rows.div_ceil(block);
    let sums = dweight.is_some() || dbias.is_some();
    let mut partials = Scratch::<T>::take(if sums { blocks * 2 * cols } else { 0 });
    let all = Parts::new(partials.as_mut_slice());
    let dx = dx.map(Parts::new);
    row::deal(cpu, blocks, block * cols, GRAIN, &|range| {
        for b in range {
            let rows = b * block..((b + 1) * block).min(rows);
            let cut = |column: &'_ [T]| Column::of(column).at(rows.start * cols);
            let grad = Backward { x: cut(x), dy: cut(dy), mean, rstd, rows: rows.clone(), weight };
            // SAFETY: blocks are disjoint.
            let dx = dx.map(|dx| unsafe { dx.piece(rows.start * cols..rows.end * cols) }.as_mut_ptr());
            // SAFETY: as above.
            let sums = sums.then(|| unsafe { all.piece(b * 2 * cols..(b + 1) * 2 * cols) });
            match (dx, sums) {
                (Some(dx), Some(sums)) => {
                    sums.fill(T::ZERO);
                    dispatch(cpu.isa, To::<T, CENTRED, true, true> { grad, dx, sums: sums.as_mut_ptr() });
                }
                (Some(dx), None) => {
                    dispatch(cpu.isa, To::<T, CENTRED, true, false> { grad, dx, sums: std::ptr::null_mut() });
                }
                (None, Some(sums)) => {
                    sums.fill(T::ZERO);
                    let sums = sums.as_mut_ptr();
                    dispatch(cpu.isa, To::<T, CENTRED, false, true> { grad, dx: std::ptr::null_mut(), sums });
                }
                (None, None) => {}
            }
        }
    });
    if sums {
        add_blocks(cpu, partials.as_mut_slice(), cols, [dweight, dbias]);
    }
}

/// A block of rows.
struct Backward<'a, T> {
    /// The block's first element, and so on for `dy`.
    x: *const T,
    dy: *const T,
    /// Of all rows.
    mean: &'a [T],
    rstd: &'a [T],
    rows: Range<usize>,
    /// A number for each column.
    weight: &'a [T],
}

/// Where gradients of a block go: those of the input where `DX`, and where `SUMS` the sums of columns, those of
/// `dy x̂` and behind them those of `dy`.
struct To<'a, T, const CENTRED: bool, const DX: bool, const SUMS: bool> {
    grad: Backward<'a, T>,
    dx: *mut T,
    sums: *mut T,
}

impl<T: Float, const CENTRED: bool, const DX: bool, const SUMS: bool> Kernel<T> for To<'_, T, CENTRED, DX, SUMS> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { grad, dx, sums } = self;
        let cols = grad.weight.len();
        let weight = grad.weight.as_ptr();
        for (i, r) in grad.rows.clone().enumerate() {
            let (x, dy) = (grad.x.wrapping_add(i * cols), grad.dy.wrapping_add(i * cols));
            let mean = V::splat(if CENTRED { grad.mean[r] } else { T::ZERO });
            let rstd = V::splat(grad.rstd[r]);
            // SAFETY: `x` and `dy` have `cols` elements from here on, and so have `weight` and, where they are written to,
            // this row of `dx` and both halves of `sums`.
            unsafe {
                let terms = Terms::<V, CENTRED, DX, SUMS> { x, dy, weight, mean, rstd, sums, cols };
                let [sum, along] = row::sums::<V, _, 2>(terms, cols);
                if DX {
                    let dx = dx.add(i * cols);
                    let sum = V::of(sum / cols as f64);
                    // Of x - mean, rather than of x̂.
                    let along = V::of(along / cols as f64) * rstd;
                    let finish = Finish::<V, CENTRED> { x, dy, weight, mean, rstd, sum, along, dx };
                    row::walk(finish, 0..cols);
                }
            }
        }
    }
}

/// Adds up g and g x̂ over a row, and into `sums` dy x̂ and dy.
#[derive(Clone, Copy)]
struct Terms<V: Vector, const CENTRED: bool, const DX: bool, const SUMS: bool> {
    x: *const V::Elem,
    dy: *const V::Elem,
    weight: *const V::Elem,
    mean: V,
    rstd: V,
    sums: *mut V::Elem,
    cols: usize,
}

impl<V: Vector, const CENTRED: bool, const DX: bool, const SUMS: bool> Walk<V, 2> for Terms<V, CENTRED, DX, SUMS> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, [sum, along]: [V; 2], at: usize, n: usize) -> [V; 2] {
        // SAFETY: all columns have these places; `sums` two times.
        unsafe {
            let dy = row::load::<V, FULL>(self.dy.add(at), n);
            let mut x = row::load::<V, FULL>(self.x.add(at), n);
            if CENTRED {
                x = x - self.mean;
            }
            x = x * self.rstd;
            if SUMS {
                let to = self.sums.add(at);
                row::store::<V, FULL>(dy.mul_add(x, row::load::<V, FULL>(to, n)), to, n);
                let to = self.sums.add(self.cols + at);
                row::store::<V, FULL>(dy + row::load::<V, FULL>(to, n), to, n);
            }
            if !DX {
                return [sum, along];
            }
            // Zero beyond the row, as both factors are.
            let g = dy * row::load::<V, FULL>(self.weight.add(at), n);
            [if CENTRED { sum + g } else { sum }, g.mul_add(x, along)]
        }
    }
}

/// `dx = (dy weight - sum - (x - mean) along) rstd`
#[derive(Clone, Copy)]
struct Finish<V: Vector, const CENTRED: bool> {
    x: *const V::Elem,
    dy: *const V::Elem,
    weight: *const V::Elem,
    mean: V,
    rstd: V,
    sum: V,
    along: V,
    dx: *mut V::Elem,
}

impl<V: Vector, const CENTRED: bool> Walk<V, 0> for Finish<V, CENTRED> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, none: [V; 0], at: usize, n: usize) -> [V; 0] {
        // SAFETY: all columns have these places.
        unsafe {
            let mut x = row::load::<V, FULL>(self.x.add(at), n);
            let dy = row::load::<V, FULL>(self.dy.add(at), n);
            let weight = row::load::<V, FULL>(self.weight.add(at), n);
            let mut dx = dy * weight;
            if CENTRED {
                x = x - self.mean;
                dx = dy.mul_add(weight, -self.sum);
            }
            dx = x.neg_mul_add(self.along, dx) * self.rstd;
            row::store::<V, FULL>(dx, self.dx.add(at), n);
        }
        none
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::trial::{SHAPES, near, noise, on_all, tolerance, wide};
    use super::*;

    /// Mean and 1/standard deviation of a row.
    fn moments(x: &[f64], centred: bool, eps: f64) -> [f64; 2] {
        let n = x.len() as f64;
        let mean = if centred { x.iter().sum::<f64>() / n } else { 0.0 };
        [mean, 1.0 / (x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n + eps).sqrt()]
    }

    /// Some column of numbers, or what stands for none.
    fn or<T: Float>(column: Option<&[T]>, cols: usize, other: f64) -> Vec<f64> {
        column.map_or(vec![other; cols], wide)
    }

    fn forward_agrees<T: Float>(centred: bool, offset: f64, affine: bool) {
        for [rows, cols] in SHAPES {
            let x: Vec<T> = noise::<T>(rows * cols, 1).iter().map(|x| T::of(x.to_f64() + offset)).collect();
            let (w, b) = (noise::<T>(cols, 2), noise::<T>(cols, 3));
            let weight = affine.then_some(&w[..]);
            let bias = (affine && centred).then_some(&b[..]);
            let (wide_weight, wide_bias) = (or(weight, cols, 1.0), or(bias, cols, 0.0));
            let eps = 1e-3;
            let kernel = |cpu: &Cpu| {
                let (mut out, mut mean, mut rstd) = (noise(x.len(), 4), vec![T::ZERO; rows], noise(rows, 6));
                if centred {
                    layer_norm(cpu, cols, &x, [weight, bias], eps, &mut out, Some([&mut mean, &mut rstd]));
                } else {
                    rms_norm(cpu, cols, &x, weight, eps, &mut out, Some(&mut rstd));
                }
                vec![out, mean, rstd]
            };
            let (mut out, mut means, mut rstds) = (Vec::new(), Vec::new(), Vec::new());
            for x in wide(&x).chunks(cols) {
                let [mean, rstd] = moments(x, centred, eps);
                out.extend((0..cols).map(|c| (x[c] - mean) * rstd * wide_weight[c] + wide_bias[c]));
                means.push(mean);
                rstds.push(rstd);
            }
            on_all(kernel, |isa, found| {
                let tolerance = tolerance::<T>(1e-5, 1e-13) * offset.abs().max(1.0);
                near(&format!("out {rows} {cols} {isa}"), &found[0], &out, 4.0 * tolerance);
                near(&format!("mean {rows} {cols} {isa}"), &found[1], &means, 0.1 * tolerance);
                near(&format!("rstd {rows} {cols} {isa}"), &found[2], &rstds, 32.0 * tolerance);
            });
        }
    }

    fn backward_agrees<T: Float>(centred: bool, affine: bool) {
        for [rows, cols] in SHAPES {
            let (x, dy, w) = (noise::<T>(rows * cols, 1), noise::<T>(rows * cols, 2), noise::<T>(cols, 3));
            let weight = affine.then_some(&w[..]);
            let wide_weight = or(weight, cols, 1.0);
            let (wide_x, wide_dy) = (wide(&x), wide(&dy));
            let stats: Vec<[f64; 2]> = wide_x.chunks(cols).map(|x| moments(x, centred, 1e-3)).collect();
            let [mean, rstd] = [0, 1].map(|i| stats.iter().map(|s| T::of(s[i])).collect::<Vec<T>>());
            let grad = |cpu: &Cpu, grads: NormGrads<'_, T>| {
                if centred {
                    layer_norm_grad(cpu, cols, &x, [&mean, &rstd], weight, &dy, grads);
                } else {
                    rms_norm_grad(cpu, cols, &x, &rstd, weight, &dy, grads);
                }
            };
            let kernel = |cpu: &Cpu| {
                let (mut dx, mut dweight, mut dbias) = (noise(x.len(), 4), noise(cols, 5), noise(cols, 6));
                let dx_all = Some(&mut dx[..]);
                grad(cpu, NormGrads { dx: dx_all, dweight: Some(&mut dweight), dbias: Some(&mut dbias) });
                let (mut dx_alone, mut dweight_alone) = (dx.clone(), dweight.clone());
                dx_alone.fill(T::ZERO);
                dweight_alone.fill(T::ZERO);
                grad(cpu, NormGrads { dx: Some(&mut dx_alone), ..NormGrads::default() });
                grad(cpu, NormGrads { dweight: Some(&mut dweight_alone), ..NormGrads::default() });
                grad(cpu, NormGrads::default());
                assert_eq!((&dx, &dweight), (&dx_alone, &dweight_alone));
                vec![dx, dweight, dbias]
            };
            let (mut dx, mut dweight, mut dbias) = (Vec::new(), vec![0.0; cols], vec![0.0; cols]);
            for (r, [mean, rstd]) in stats.iter().enumerate() {
                let dy = &wide_dy[r * cols..(r + 1) * cols];
                let normal: Vec<f64> = (0..cols).map(|c| (wide_x[r * cols + c] - mean) * rstd).collect();
                let g: Vec<f64> = (0..cols).map(|c| dy[c] * wide_weight[c]).collect();
                let sum: f64 = if centred { g.iter().sum::<f64>() / cols as f64 } else { 0.0 };
                let along: f64 = (0..cols).map(|c| g[c] * normal[c]).sum::<f64>() / cols as f64;
                dx.extend((0..cols).map(|c| (g[c] - sum - normal[c] * along) * rstd));
                (0..cols).for_each(|c| dweight[c] += dy[c] * normal[c]);
                (0..cols).for_each(|c| dbias[c] += dy[c]);
            }
            let steepest = stats.iter().map(|s| s[1]).fold(1.0, f64::max);
            on_all(kernel, |isa, found| {
                let tolerance = tolerance::<T>(1e-5, 1e-13);
                near(&format!("dx {rows} {cols} {isa}"), &found[0], &dx, 4.0 * tolerance * steepest);
                near(&format!("dweight {rows} {cols} {isa}"), &found[1], &dweight, 2.0 * tolerance * rows as f64);
                near(&format!("dbias {rows} {cols} {isa}"), &found[2], &dbias, tolerance * rows as f64);
            });
        }
    }

    #[test]
    fn layer_norm_agrees_with_the_formulas() {
        forward_agrees::<f32>(true, 0.0, true);
        forward_agrees::<f32>(true, 0.0, false);
        forward_agrees::<f64>(true, 0.0, true);
    }

    #[test]
    fn rms_norm_agrees_with_the_formulas() {
        forward_agrees::<f32>(false, 0.0, true);
        forward_agrees::<f64>(false, 0.0, false);
    }

    #[test]
    fn a_mean_far_from_zero_loses_no_more_digits_than_the_input_has() {
        forward_agrees::<f32>(true, 1000.0, true);
        forward_agrees::<f64>(true, -1e6, true);
    }

    #[test]
    fn gradients_agree_with_the_formulas() {
        for affine in [true, false] {
            backward_agrees::<f32>(true, affine);
            backward_agrees::<f64>(true, affine);
            backward_agrees::<f32>(false, affine);
            backward_agrees::<f64>(false, affine);
        }
    }
}
