//! Cross entropy between rows of logits and classes, with its gradient.
#![allow(unsafe_code)]

use super::lanes::{Float, Kernel, Vector, dispatch};
use super::row::{self, Column, Walk};
use super::{Cpu, Parts, math};

/// What rows of logits are compared to. With p = softmax of a row (e to its elements where `normalized`), y its target, C
/// classes, w their weights and ε the smoothing, the loss of the row is
/// `-scale ((1 - ε) w_y ln p_y + ε/C Σ_c w_c ln p_c)`, and 0 where y is `ignore`.
#[derive(Debug, Clone, Copy)]
pub struct CrossEntropy<'a, T> {
    /// Class of each row.
    pub targets: &'a [i32],
    /// Weight of each class; 1 where there are none.
    pub weights: Option<&'a [T]>,
    /// Part of the target that is spread evenly over all classes, 0 to 1.
    pub smoothing: f64,
    /// Rows with this target count nothing.
    pub ignore: Option<i32>,
    /// Whether rows hold logarithms of probabilities already.
    pub normalized: bool,
    /// Factor of losses and gradients.
    pub scale: f64,
}

impl<T: Float> CrossEntropy<'_, T> {
    /// Sum of the weights of the targets that are not ignored (their number where there are no weights): what a mean loss
    /// is divided by. In double precision, in order.
    ///
    /// # Errors
    /// The first target that is neither below `classes` nor ignored.
    pub fn weight(&self, classes: usize) -> Result<f64, i32> {
        let mut sum = 0.0;
        for target in self.targets {
            if self.ignore == Some(*target) {
                continue;
            }
            match usize::try_from(*target) {
                Ok(class) if class < classes => sum += self.weights.map_or(1.0, |weights| weights[class].to_f64()),
                _ => return Err(*target),
            }
        }
        Ok(sum)
    }
}

/// The loss of each row of `classes` logits, the gradient of their sum where `dx` is given, and the sum (in double
/// precision, in order). One pass over memory: a row stays in the cache from its maximum to its gradient.
///
/// Tolerance: gradients within 1e-6 (`f32`; 1e-14 for `f64`) of `scale` times the largest weight; losses within as much
/// relative to `scale` times the weight times the range of the row's logits plus 1.
///
/// A NaN or +infinity makes its row NaN; -infinity is a probability of zero.
///
/// # Panics
/// If lengths do not fit, or a target is neither a class nor ignored.
pub fn cross_entropy<T: Float>(
    cpu: &Cpu,
    loss: &CrossEntropy<'_, T>,
    classes: usize,
    x: &[T],
    losses: &mut [T],
    dx: Option<&mut [T]>,
) -> f64 {
    let rows = row::rows(x.len(), classes);
    assert_eq!((rows, rows), (loss.targets.len(), losses.len()), "rows, and their targets and losses");
    assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "a gradient for each logit");
    assert!(loss.weights.is_none_or(|weights| weights.len() == classes), "a weight for each class");
    let spread = loss.smoothing / classes as f64;
    let spread_sum = spread * loss.weights.map_or(classes as f64, |w| w.iter().map(|w| w.to_f64()).sum());
    let from = Column::of(x);
    let to = dx.map(Parts::new);
    let all = Parts::new(&mut *losses);
    row::deal(cpu, rows, classes, 4_096, &|range| {
        // SAFETY: ranges of different calls are disjoint.
        let losses = unsafe { all.piece(range.clone()) };
        let dx = to.map_or(std::ptr::null_mut(), |to| to.as_mut_ptr().wrapping_add(range.start * classes));
        let targets = &loss.targets[range.clone()];
        let x = from.at(range.start * classes);
        // One kernel for each combination, so that none pays for what it does not do.
        match (loss.normalized, dx.is_null(), spread > 0.0) {
            (true, ..) => {
                // SAFETY: both have `targets.len()` rows, which no other worker writes.
                let rows = Rows::<T, false, true> { loss, targets, x, losses, dx, classes, spread, spread_sum };
                dispatch(cpu.isa, Normalized(rows));
            }
            (_, true, true) => {
                let rows = Rows::<T, false, true> { loss, targets, x, losses, dx, classes, spread, spread_sum };
                dispatch(cpu.isa, rows);
            }
            (_, true, false) => {
                let rows = Rows::<T, false, false> { loss, targets, x, losses, dx, classes, spread, spread_sum };
                dispatch(cpu.isa, rows);
            }
            (_, false, true) => {
                let rows = Rows::<T, true, true> { loss, targets, x, losses, dx, classes, spread, spread_sum };
                dispatch(cpu.isa, rows);
            }
            (_, false, false) => {
                let rows = Rows::<T, true, false> { loss, targets, x, losses, dx, classes, spread, spread_sum };
                dispatch(cpu.isa, rows);
            }
        }
    });
    losses.iter().map(|loss| loss.to_f64()).sum()
}

/// Some rows, each of `classes` elements at `x` and, unless that is null, at `dx`.
struct Rows<'a, T, const GRAD: bool, const SMOOTH: bool> {
    loss: &'a CrossEntropy<'a, T>,
    targets: &'a [i32],
    x: *const T,
    losses: &'a mut [T],
    dx: *mut T,
    classes: usize,
    spread: f64,
    spread_sum: f64,
}

impl<T: Float, const GRAD: bool, const SMOOTH: bool> Rows<'_, T, GRAD, SMOOTH> {
    /// The target of row `r` and its part of the weight; none where it is ignored.
    #[inline(always)]
    fn target(&self, r: usize) -> Option<(usize, f64)> {
        let target = self.targets[r];
        if self.loss.ignore == Some(target) {
            return None;
        }
        let class = target as usize;
        assert!(target >= 0 && class < self.classes, "target {target} is none of {} classes", self.classes);
        let weight = match self.loss.weights {
            Some(weights) => weights[class].to_f64(),
            None => 1.0,
        };
        Some((class, (1.0 - self.loss.smoothing) * weight))
    }

    /// Pointer to the weights, or null.
    #[inline(always)]
    fn weights(&self) -> *const T {
        match self.loss.weights {
            Some(weights) => weights.as_ptr(),
            None => std::ptr::null(),
        }
    }
}

impl<T: Float, const GRAD: bool, const SMOOTH: bool> Kernel<T> for Rows<'_, T, GRAD, SMOOTH> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let scale = self.loss.scale;
        let len = self.classes;
        let mut r = 0;
        while r < self.targets.len() {
            let x = self.x.wrapping_add(r * len);
            let dx = self.dx.wrapping_add(if GRAD { r * len } else { 0 });
            let Some((class, own)) = self.target(r) else {
                self.losses[r] = T::ZERO;
                if GRAD {
                    // SAFETY: row `r` of the gradient has `len` elements.
                    unsafe { std::slice::from_raw_parts_mut(dx, len) }.fill(T::ZERO);
                }
                r += 1;
                continue;
            };
            // SAFETY: row `r` has `len` elements, at `x` and, where there is a gradient, at `dx`; weights as many.
            unsafe {
                let most = row::largest::<V>(x, len);
                let weights = self.weights();
                let exps = Exps::<V, GRAD, SMOOTH> { x, most: V::splat(most), weights, to: dx };
                let [sum, below] = row::sums::<V, _, 2>(exps, len);
                // Logarithms relative to the largest logit, which loses no digits to its size.
                let log_sum = math::ln(V::splat(T::of(sum))).largest().to_f64();
                let mut total = own * (log_sum - (*x.add(class) - most).to_f64());
                if SMOOTH {
                    total += self.spread_sum * log_sum - self.spread * below;
                }
                self.losses[r] = T::of(scale * total);
                if GRAD {
                    let factor = V::of(scale * if SMOOTH { own + self.spread_sum } else { own } / sum);
                    let spread = V::of(scale * self.spread);
                    row::walk(Finish::<V, SMOOTH> { to: dx, factor, spread, weights }, 0..len);
                    *dx.add(class) = *dx.add(class) - T::of(scale * own);
                }
            }
            r += 1;
        }
    }
}

/// Sums of `exp(x - most)`, written to `to`, and, where `SMOOTH`, of `x - most` times the weights.
struct Exps<V: Vector, const GRAD: bool, const SMOOTH: bool> {
    x: *const V::Elem,
    most: V,
    weights: *const V::Elem,
    to: *mut V::Elem,
}
impl<V: Vector, const GRAD: bool, const SMOOTH: bool> Clone for Exps<V, GRAD, SMOOTH> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<V: Vector, const GRAD: bool, const SMOOTH: bool> Copy for Exps<V, GRAD, SMOOTH> {}

impl<V: Vector, const GRAD: bool, const SMOOTH: bool> Walk<V, 2> for Exps<V, GRAD, SMOOTH> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, [sum, below]: [V; 2], at: usize, n: usize) -> [V; 2] {
        // SAFETY: the row, the weights and, where `GRAD`, `to` have these places.
        unsafe {
            let x = row::load::<V, FULL>(self.x.add(at), n) - self.most;
            let e = row::first::<V, FULL>(row::exp_below_zero(x), n, V::zero());
            if GRAD {
                row::store::<V, FULL>(e, self.to.add(at), n);
            }
            if !SMOOTH {
                return [sum + e, below];
            }
            let x = row::first::<V, FULL>(x, n, V::zero());
            let below = if self.weights.is_null() {
                below + x
            } else {
                x.mul_add(row::load::<V, FULL>(self.weights.add(at), n), below)
            };
            [sum + e, below]
        }
    }
}

/// `to = to factor - spread weight`
struct Finish<V: Vector, const SMOOTH: bool> {
    to: *mut V::Elem,
    factor: V,
    spread: V,
    weights: *const V::Elem,
}
impl<V: Vector, const SMOOTH: bool> Clone for Finish<V, SMOOTH> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<V: Vector, const SMOOTH: bool> Copy for Finish<V, SMOOTH> {}

impl<V: Vector, const SMOOTH: bool> Walk<V, 0> for Finish<V, SMOOTH> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, none: [V; 0], at: usize, n: usize) -> [V; 0] {
        // SAFETY: the gradient and the weights have these places.
        unsafe {
            let mut y = row::load::<V, FULL>(self.to.add(at), n) * self.factor;
            if SMOOTH {
                y = if self.weights.is_null() {
                    y - self.spread
                } else {
                    row::load::<V, FULL>(self.weights.add(at), n).neg_mul_add(self.spread, y)
                };
            }
            row::store::<V, FULL>(y, self.to.add(at), n);
        }
        none
    }
}

/// Rows of logarithms of probabilities.
struct Normalized<'a, T>(Rows<'a, T, false, true>);

impl<T: Float> Kernel<T> for Normalized<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self(rows) = self;
        let scale = rows.loss.scale;
        let len = rows.classes;
        let weights = rows.weights();
        for r in 0..rows.targets.len() {
            let x = rows.x.wrapping_add(r * len);
            let target = rows.target(r);
            // SAFETY: row `r` has `len` elements, at `x` and, unless null, at `dx`; weights as many.
            unsafe {
                rows.losses[r] = match target {
                    None => T::ZERO,
                    Some((class, own)) => {
                        let mut total = own * (*x.add(class)).to_f64();
                        if rows.spread > 0.0 {
                            let [sum] = row::sums::<V, _, 1>(Weighted { x, weights }, len);
                            total += rows.spread * sum;
                        }
                        T::of(-scale * total)
                    }
                };
                if !rows.dx.is_null() {
                    let dx = std::slice::from_raw_parts_mut(rows.dx.add(r * len), len);
                    let spread = T::of(if target.is_some() { -scale * rows.spread } else { 0.0 });
                    match rows.loss.weights {
                        Some(weights) if target.is_some() => {
                            dx.iter_mut().zip(weights).for_each(|(dx, weight)| *dx = *weight * spread);
                        }
                        _ => dx.fill(spread),
                    }
                    if let Some((class, own)) = target {
                        dx[class] = dx[class] - T::of(scale * own);
                    }
                }
            }
        }
    }
}

/// The sum of `x`, times the weights unless these are null.
#[derive(Clone, Copy)]
struct Weighted<T> {
    x: *const T,
    weights: *const T,
}

impl<V: Vector> Walk<V, 1> for Weighted<V::Elem> {
    #[inline(always)]
    unsafe fn at<const FULL: bool>(self, [sum]: [V; 1], at: usize, n: usize) -> [V; 1] {
        // SAFETY: both have these places.
        unsafe {
            let x = row::load::<V, FULL>(self.x.add(at), n);
            if self.weights.is_null() {
                [sum + x]
            } else {
                [x.mul_add(row::load::<V, FULL>(self.weights.add(at), n), sum)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::trial::{SHAPES, near, noise, on_all, tolerance, wide};
    use super::*;

    /// Losses and gradient by the formulas.
    fn reference<T: Float>(loss: &CrossEntropy<'_, T>, classes: usize, x: &[T]) -> [Vec<f64>; 2] {
        let (mut losses, mut grads) = (Vec::new(), Vec::new());
        let weight = |c: usize| loss.weights.map_or(1.0, |w| w[c].to_f64());
        for (x, target) in wide(x).chunks(classes).zip(loss.targets) {
            if loss.ignore == Some(*target) {
                losses.push(0.0);
                grads.extend(vec![0.0; classes]);
                continue;
            }
            let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln();
            let log_p = |c: usize| x[c] - if loss.normalized { 0.0 } else { log_sum };
            let share = |c: usize| {
                let own = if c == *target as usize { 1.0 - loss.smoothing } else { 0.0 };
                (own + loss.smoothing / classes as f64) * weight(c)
            };
            losses.push(
                (0..classes).map(|c| if share(c) == 0.0 { 0.0 } else { -loss.scale * share(c) * log_p(c) }).sum(),
            );
            let all: f64 = (0..classes).map(share).sum();
            grads.extend((0..classes).map(|c| {
                let p = if loss.normalized { 0.0 } else { all * log_p(c).exp() };
                loss.scale * (p - share(c))
            }));
        }
        [losses, grads]
    }

    fn compare<T: Float>(loss: &CrossEntropy<'_, T>, classes: usize, x: &[T]) {
        let [losses, grads] = reference(loss, classes, x);
        let sum: f64 = losses.iter().sum();
        let kernel = |cpu: &Cpu| {
            let rows = loss.targets.len();
            let (mut losses, mut dx, mut again) = (noise(rows, 1), noise(x.len(), 2), noise(rows, 3));
            let sum = cross_entropy(cpu, loss, classes, x, &mut losses, Some(&mut dx));
            let alone = cross_entropy(cpu, loss, classes, x, &mut again, None);
            assert_eq!((sum.to_bits(), &losses), (alone.to_bits(), &again));
            vec![losses, dx, vec![T::of(sum)]]
        };
        on_all(kernel, |isa, found| {
            let tolerance = tolerance::<T>(1e-6, 1e-14) * loss.scale * 2.0;
            near(&format!("loss, {isa}"), &found[0], &losses, 8.0 * tolerance);
            near(&format!("gradient, {isa}"), &found[1], &grads, tolerance);
            near(&format!("sum, {isa}"), &found[2], &[sum], 8.0 * tolerance * losses.len() as f64);
        });
    }

    fn all_kinds<T: Float>() {
        for [rows, classes] in SHAPES {
            let x: Vec<T> = noise(rows * classes, 7);
            let targets: Vec<i32> = (0..rows).map(|r| (r * 7 % classes) as i32).collect();
            let weights: Vec<T> = noise::<T>(classes, 8).iter().map(|w| T::of((w.to_f64() + 2.0) * 0.5)).collect();
            for smoothing in [0.0, 0.1] {
                for weights in [None, Some(&weights[..])] {
                    for normalized in [false, true] {
                        let ignore = weights.map(|_| 0);
                        let targets = &targets;
                        let loss = CrossEntropy { targets, weights, smoothing, ignore, normalized, scale: 0.5 };
                        compare(&loss, classes, &x);
                        let own = |t: &i32| {
                            if ignore == Some(*t) { 0.0 } else { weights.map_or(1.0, |w| w[*t as usize].to_f64()) }
                        };
                        assert_eq!(loss.weight(classes), Ok(targets.iter().map(own).sum()));
                    }
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_formulas_in_single_precision() {
        all_kinds::<f32>();
    }

    #[test]
    fn agrees_with_the_formulas_in_double_precision() {
        all_kinds::<f64>();
    }

    #[test]
    fn extreme_logits() {
        let plain = |targets| CrossEntropy {
            targets,
            weights: None,
            smoothing: 0.0,
            ignore: None,
            normalized: false,
            scale: 1.0,
        };
        let inf = f32::INFINITY;
        for isa in crate::compute::Isa::all_available() {
            let cpu = Cpu::with_isa(1, isa);
            let x = [1e30, 1e30, -1e30, -inf, 0.0, 0.0, inf, 0.0, 0.0, f32::NAN, 0.0, 0.0, -inf, -inf, -inf];
            let (mut losses, mut dx) = ([0.0; 5], [0.0; 15]);
            cross_entropy(&cpu, &plain(&[0, 0, 1, 1, 1]), 3, &x, &mut losses, Some(&mut dx));
            assert!((losses[0] - std::f32::consts::LN_2).abs() < 1e-6);
            assert_eq!(dx[..3], [-0.5, 0.5, 0.0]);
            assert_eq!((losses[1], dx[3]), (inf, -1.0));
            assert!(losses[2..].iter().chain(&dx[6..]).all(|x| x.is_nan()), "{losses:?} {dx:?}");
        }
    }

    #[test]
    #[should_panic(expected = "target 3 is none of 3 classes")]
    fn targets_beyond_the_classes_are_refused() {
        let loss =
            CrossEntropy { targets: &[3], weights: None, smoothing: 0.0, ignore: None, normalized: false, scale: 1.0 };
        assert_eq!(loss.weight(3), Err(3));
        cross_entropy(&Cpu::new(1), &loss, 3, &[0f32; 3], &mut [0.0], None);
    }
}
