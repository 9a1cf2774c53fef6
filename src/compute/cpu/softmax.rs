//! Softmax of rows and its logarithm.
//!
//! Tolerance, against double precision: results of softmax within 1e-6 (`f32`; 1e-14 for `f64`), logarithms within as
//! much of their size plus 1, gradients within as much of the sum of the sizes of `dy` in the row.
//!
//! A NaN or +infinity makes its row NaN, and so do -infinities alone; else -infinity is a probability of zero.
#![allow(unsafe_code)]

use super::lanes::{Float, Kernel, Vector, dispatch};
use super::row::{self, Column, Walk};
use super::{Cpu, Parts, math};

/// Elements that are worth a worker.
const GRAIN: usize = 4_096;

/// `out = e^(x - m) / Σ e^(x - m)` in each row of `cols` elements, with m its maximum.
///
/// # Panics
/// If lengths do not fit.
pub fn softmax<T: Float>(cpu: &Cpu, cols: usize, x: &[T], out: &mut [T]) {
    on_rows(cpu, cols, [x], out, |[x], out, rows| dispatch(cpu.isa, Forward::<T, false> { x, out, rows, cols }));
}

/// `out = x - m - ln Σ e^(x - m)` in each row of `cols` elements, with m its maximum.
///
/// # Panics
/// If lengths do not fit.
pub fn log_softmax<T: Float>(cpu: &Cpu, cols: usize, x: &[T], out: &mut [T]) {
    on_rows(cpu, cols, [x], out, |[x], out, rows| dispatch(cpu.isa, Forward::<T, true> { x, out, rows, cols }));
}

/// Gradient of the input of [`softmax`] from its result `y` and the gradient `dy` of that: `dx = y (dy - Σ y dy)`.
///
/// # Panics
/// If lengths do not fit.
pub fn softmax_grad<T: Float>(cpu: &Cpu, cols: usize, y: &[T], dy: &[T], dx: &mut [T]) {
    on_rows(cpu, cols, [y, dy], dx, |[y, dy], dx, rows| {
        dispatch(cpu.isa, Backward::<T, false> { y, dy, dx, rows, cols });
    });
}

/// Gradient of the input of [`log_softmax`] from its result `y` and the gradient `dy` of that: `dx = dy - e^y Σ dy`.
///
/// # Panics
/// If lengths do not fit.
pub fn log_softmax_grad<T: Float>(cpu: &Cpu, cols: usize, y: &[T], dy: &[T], dx: &mut [T]) {
    on_rows(cpu, cols, [y, dy], dx, |[y, dy], dx, rows| {
        dispatch(cpu.isa, Backward::<T, true> { y, dy, dx, rows, cols });
    });
}

/// Calls `job` with rows of the inputs, the same of `out` and their number, for all rows.
fn on_rows<T: Float, const N: usize>(
    cpu: &Cpu,
    cols: usize,
    inputs: [&[T]; N],
    out: &mut [T],
    job: impl Fn([*const T; N], *mut T, usize) + Sync,
) {
    assert!(inputs.iter().all(|x| x.len() == out.len()), "a result for each element");
    let rows = row::rows(out.len(), cols);
    let inputs = inputs.map(Column::of);
    let out = Parts::new(out);
    row::deal(cpu, rows, cols, GRAIN, &|range| {
        let start = range.start * cols;
        // SAFETY: ranges of different calls are disjoint.
        let out = unsafe { out.piece(start..range.end * cols) };
        job(inputs.map(|x| x.at(start)), out.as_mut_ptr(), range.len());
    });
}

/// `rows` rows of `cols` elements, at `x` and at `out`.
struct Forward<T, const LOG: bool> {
    x: *const T,
    out: *mut T,
    rows: usize,
    cols: usize,
}

impl<T: Float, const LOG: bool> Kernel<T> for Forward<T, LOG> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { cols, .. } = self;
        for r in 0..self.rows {
            // SAFETY: row `r` has `cols` elements, in `x` and in `out`.
            unsafe {
                let (x, out) = (self.x.add(r * cols), self.out.add(r * cols));
                let most = V::splat(row::largest::<V>(x, cols));
                let [sum] = row::sums::<V, _, 1>(Exps::<V, LOG> { x, most, out }, cols);
                if LOG {
                    let log = math::ln(V::of(sum));
                    row::walk(Shift { x, most, log, out }, 0..cols);
                } else {
                    row::walk(Scale { out, factor: V::of(1.0 / sum) }, 0..cols);
                }
            }
        }
    }
}

/// Adds up `e^(x - most)`, which also goes to `out` unless the logarithm is wanted.
#[derive(Clone, Copy)]
struct Exps<V: Vector, const LOG: bool> {
    x: *const V::Elem,
    most: V,
    out: *mut V::Elem,
}

impl<V: Vector, const LOG: bool> Walk<V, 1> for Exps<V, LOG> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, [sum]: [V; 1], at: usize, n: usize) -> [V; 1] {
        // SAFETY: both rows have these places.
        unsafe {
            let x = row::load::<V, FULL>(self.x.add(at), n);
            let e = row::first::<V, FULL>(row::exp_below_zero(x - self.most), n, V::zero());
            if !LOG {
                row::store::<V, FULL>(e, self.out.add(at), n);
            }
            [sum + e]
        }
    }
}

/// `out = x - most - log`
#[derive(Clone, Copy)]
struct Shift<V: Vector> {
    x: *const V::Elem,
    most: V,
    log: V,
    out: *mut V::Elem,
}

impl<V: Vector> Walk<V, 0> for Shift<V> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, none: [V; 0], at: usize, n: usize) -> [V; 0] {
        // SAFETY: both rows have these places.
        unsafe {
            // One after the other: both terms together would be rounded to the precision of the larger one.
            let y = row::load::<V, FULL>(self.x.add(at), n) - self.most - self.log;
            row::store::<V, FULL>(y, self.out.add(at), n);
        }
        none
    }
}

/// `out = out factor`
#[derive(Clone, Copy)]
struct Scale<V: Vector> {
    out: *mut V::Elem,
    factor: V,
}

impl<V: Vector> Walk<V, 0> for Scale<V> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, none: [V; 0], at: usize, n: usize) -> [V; 0] {
        // SAFETY: the row has these places.
        unsafe {
            let to = self.out.add(at);
            row::store::<V, FULL>(row::load::<V, FULL>(to, n) * self.factor, to, n);
        }
        none
    }
}

/// `rows` rows of `cols` elements each, in three matrices.
struct Backward<T, const LOG: bool> {
    y: *const T,
    dy: *const T,
    dx: *mut T,
    rows: usize,
    cols: usize,
}

impl<T: Float, const LOG: bool> Kernel<T> for Backward<T, LOG> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { cols, .. } = self;
        for r in 0..self.rows {
            // SAFETY: row `r` has `cols` elements in each matrix.
            unsafe {
                let (y, dy) = (self.y.add(r * cols), self.dy.add(r * cols));
                let [sum] = row::sums::<V, _, 1>(Along::<V, LOG> { y, dy }, cols);
                row::walk(Grad::<V, LOG> { y, dy, sum: V::of(sum), dx: self.dx.add(r * cols) }, 0..cols);
            }
        }
    }
}

/// Adds up `y dy`, or `dy` for the logarithm.
#[derive(Clone, Copy)]
struct Along<V: Vector, const LOG: bool> {
    y: *const V::Elem,
    dy: *const V::Elem,
}

impl<V: Vector, const LOG: bool> Walk<V, 1> for Along<V, LOG> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, [sum]: [V; 1], at: usize, n: usize) -> [V; 1] {
        // SAFETY: both rows have these places.
        unsafe {
            let dy = row::load::<V, FULL>(self.dy.add(at), n);
            if LOG {
                return [sum + dy];
            }
            [dy.mul_add(row::load::<V, FULL>(self.y.add(at), n), sum)]
        }
    }
}

#[derive(Clone, Copy)]
struct Grad<V: Vector, const LOG: bool> {
    y: *const V::Elem,
    dy: *const V::Elem,
    sum: V,
    dx: *mut V::Elem,
}

impl<V: Vector, const LOG: bool> Walk<V, 0> for Grad<V, LOG> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, none: [V; 0], at: usize, n: usize) -> [V; 0] {
        // SAFETY: the three rows have these places.
        unsafe {
            let y = row::load::<V, FULL>(self.y.add(at), n);
            let dy = row::load::<V, FULL>(self.dy.add(at), n);
            let dx = if LOG { row::exp_below_zero(y).neg_mul_add(self.sum, dy) } else { y * (dy - self.sum) };
            row::store::<V, FULL>(dx, self.dx.add(at), n);
        }
        none
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::trial::{SHAPES, near, noise, on_all, tolerance, wide};
    use super::*;

    fn agrees<T: Float>() {
        for [rows, cols] in SHAPES {
            let x: Vec<T> = noise::<T>(rows * cols, 1).iter().map(|x| T::of(x.to_f64() * 8.0 + 50.0)).collect();
            let dy = noise::<T>(rows * cols, 2);
            let (mut y, mut log, mut dx, mut dx_log) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for (x, dy) in wide(&x).chunks(cols).zip(wide(&dy).chunks(cols)) {
                let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = x.iter().map(|x| (x - most).exp()).sum();
                let here: Vec<f64> = x.iter().map(|x| (x - most).exp() / sum).collect();
                let along: f64 = here.iter().zip(dy).map(|(y, dy)| y * dy).sum();
                let total: f64 = dy.iter().sum();
                log.extend(x.iter().map(|x| x - most - sum.ln()));
                dx.extend(here.iter().zip(dy).map(|(y, dy)| y * (dy - along)));
                dx_log.extend(here.iter().zip(dy).map(|(y, dy)| dy - y * total));
                y.extend(here);
            }
            let kernel = |cpu: &Cpu| {
                let [mut y, mut log, mut dx, mut dx_log] = [3, 4, 5, 6].map(|seed| noise::<T>(x.len(), seed));
                softmax(cpu, cols, &x, &mut y);
                log_softmax(cpu, cols, &x, &mut log);
                softmax_grad(cpu, cols, &y, &dy, &mut dx);
                log_softmax_grad(cpu, cols, &log, &dy, &mut dx_log);
                vec![y, log, dx, dx_log]
            };
            on_all(kernel, |isa, found| {
                let tolerance = tolerance::<T>(1e-6, 1e-14);
                near(&format!("softmax {rows} {cols} {isa}"), &found[0], &y, tolerance);
                near(&format!("logarithm {rows} {cols} {isa}"), &found[1], &log, tolerance * 16.0);
                near(&format!("gradient {rows} {cols} {isa}"), &found[2], &dx, tolerance * 2.0);
                let size = (cols as f64).sqrt() * 16.0;
                near(&format!("gradient of logarithm {rows} {cols} {isa}"), &found[3], &dx_log, tolerance * size);
            });
        }
    }

    #[test]
    fn agrees_with_the_formulas_in_single_precision() {
        agrees::<f32>();
    }

    #[test]
    fn agrees_with_the_formulas_in_double_precision() {
        agrees::<f64>();
    }

    #[test]
    fn extreme_elements() {
        let inf = f64::INFINITY;
        for isa in crate::compute::Isa::all_available() {
            let cpu = Cpu::with_isa(1, isa);
            for (x, p) in [
                ([1e300, -1e300, 1e300], [0.5, 0.0, 0.5]),
                ([-inf, 3.0, -inf], [0.0, 1.0, 0.0]),
                ([-1e308, -inf, -1.5e308], [1.0, 0.0, 0.0]),
                ([inf, 0.0, 0.0], [f64::NAN; 3]),
                ([0.0, 0.0, f64::NAN], [f64::NAN; 3]),
                ([f64::NAN, 0.0, 0.0], [f64::NAN; 3]),
                ([-inf; 3], [f64::NAN; 3]),
            ] {
                let (mut out, mut log) = ([0.0; 3], [0.0; 3]);
                softmax(&cpu, 3, &x, &mut out);
                log_softmax(&cpu, 3, &x, &mut log);
                near(&format!("{x:?} {isa}"), &out, &p, 0.0);
                assert!(log[1].is_nan() == p[1].is_nan() && (p[1] != 0.0 || log[1] < -1e299), "{x:?} {log:?}");
            }
        }
    }
}
