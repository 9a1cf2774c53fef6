//! Equations over memory.
#![allow(unsafe_code)]

use super::equations::Equation;
use crate::compute::cpu::lanes::{Float, Kernel, Single, SingleKernel, Vector, dispatch, dispatch_single};
use crate::compute::dtype::{bf16, f16};
use crate::compute::isa::Isa;

/// What is done to a gradient before its equation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adjust {
    /// Factor.
    pub(super) scale: f64,
    /// What its absolute value is held at, after scaling; a NaN stays one.
    pub(super) bound: f64,
}

/// `rows` runs of `cols` elements, `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stride: usize,
}

/// Steps values in place.
///
/// # Safety
/// The window lies within what each pointer allows for, and nothing else reads or writes values and state there.
pub(super) unsafe fn walk<T: Float, E: Equation<T, S>, const S: usize>(
    isa: Isa,
    equation: E,
    adjust: Adjust,
    values: *mut T,
    gradient: *const T,
    state: [*mut T; S],
    window: Window,
) {
    let (scale, bound) = (T::of(adjust.scale), T::of(adjust.bound));
    dispatch(isa, Walk { equation, scale, bound, values, gradient, state, window });
}

/// Steps `f32` values in place, given a 16-bit gradient, and writes their rounded copy.
///
/// # Safety
/// As for [`walk`].
pub(super) unsafe fn walk_half<H: Half, E: Equation<f32, S>, const S: usize>(
    isa: Isa,
    equation: E,
    adjust: Adjust,
    values: *mut f32,
    (copy, gradient): (*mut H, *const H),
    state: [*mut f32; S],
    window: Window,
) {
    let (scale, bound) = (adjust.scale as f32, adjust.bound as f32);
    dispatch_single(isa, WalkHalf { equation, scale, bound, values, copy, gradient, state, window });
}

struct Walk<T, E, const S: usize> {
    equation: E,
    scale: T,
    bound: T,
    values: *mut T,
    gradient: *const T,
    state: [*mut T; S],
    window: Window,
}

/// A NaN stays one: the second operand is the result where either is.
#[inline(always)]
fn adjusted<V: Vector>(g: V, scale: V::Elem, bound: V::Elem) -> V {
    let (g, bound) = (g * V::splat(scale), V::splat(bound));
    bound.min((-bound).max(g))
}

impl<T: Float, E: Equation<T, S>, const S: usize> Kernel<T> for Walk<T, E, S> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { equation, scale, bound, values, gradient, state, window } = self;
        let mut start = 0;
        for _ in 0..window.rows {
            let end = start + window.cols;
            let mut at = start;
            while at + V::LANES <= end {
                // SAFETY: `LANES` elements from `at` on lie in the window, which the caller vouches for.
                unsafe {
                    let g = adjusted(V::load(gradient.add(at)), scale, bound);
                    let mut s = [V::zero(); S];
                    for i in 0..S {
                        s[i] = V::load(state[i].add(at));
                    }
                    let (p, s) = equation.step(V::load(values.add(at)), g, s);
                    p.store(values.add(at));
                    for i in 0..S {
                        s[i].store(state[i].add(at));
                    }
                }
                at += V::LANES;
            }
            let n = end - at;
            if n > 0 {
                // SAFETY: `n` elements from `at` on are left of the row.
                unsafe {
                    let g = adjusted(V::load_first(gradient.add(at), n), scale, bound);
                    let mut s = [V::zero(); S];
                    for i in 0..S {
                        s[i] = V::load_first(state[i].add(at), n);
                    }
                    let (p, s) = equation.step(V::load_first(values.add(at), n), g, s);
                    p.store_first(values.add(at), n);
                    for i in 0..S {
                        s[i].store_first(state[i].add(at), n);
                    }
                }
            }
            start += window.stride;
        }
    }
}

/// A 16-bit floating-point type in memory.
pub(super) trait Half: Copy + Default {
    /// `LANES` numbers.
    ///
    /// # Safety
    /// `LANES` elements can be read at `from`.
    unsafe fn load<V: Single>(from: *const Self) -> V;
    /// Rounds to nearest even.
    ///
    /// # Safety
    /// `LANES` elements can be written at `to`.
    unsafe fn store<V: Single>(x: V, to: *mut Self);
}

impl Half for bf16 {
    #[inline(always)]
    unsafe fn load<V: Single>(from: *const Self) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load_bf16(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Single>(x: V, to: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { x.store_bf16(to) }
    }
}

impl Half for f16 {
    #[inline(always)]
    unsafe fn load<V: Single>(from: *const Self) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load_f16(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Single>(x: V, to: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { x.store_f16(to) }
    }
}

/// Most lanes there are.
pub(super) const MOST_LANES: usize = 16;

/// The first `n` numbers, others zero.
///
/// # Safety
/// `n` elements, at most `LANES`, can be read at `from`.
#[inline(always)]
pub(super) unsafe fn load_first_half<H: Half, V: Single>(from: *const H, n: usize) -> V {
    let mut all = [H::default(); MOST_LANES];
    // SAFETY: the caller's promise, and `LANES` is at most the length of `all`.
    unsafe {
        std::ptr::copy_nonoverlapping(from, all.as_mut_ptr(), n);
        H::load(all.as_ptr())
    }
}

struct WalkHalf<H, E, const S: usize> {
    equation: E,
    scale: f32,
    bound: f32,
    values: *mut f32,
    copy: *mut H,
    gradient: *const H,
    state: [*mut f32; S],
    window: Window,
}

impl<H: Half, E: Equation<f32, S>, const S: usize> SingleKernel for WalkHalf<H, E, S> {
    type Output = ();
    #[inline(always)]
    fn run<V: Single>(self) {
        let Self { equation, scale, bound, values, copy, gradient, state, window } = self;
        let mut start = 0;
        for _ in 0..window.rows {
            let end = start + window.cols;
            let mut at = start;
            while at + V::LANES <= end {
                // SAFETY: as in `Walk`.
                unsafe {
                    let g = adjusted(H::load::<V>(gradient.add(at)), scale, bound);
                    let mut s = [V::zero(); S];
                    for i in 0..S {
                        s[i] = V::load(state[i].add(at));
                    }
                    let (p, s) = equation.step(V::load(values.add(at)), g, s);
                    p.store(values.add(at));
                    H::store(p, copy.add(at));
                    for i in 0..S {
                        s[i].store(state[i].add(at));
                    }
                }
                at += V::LANES;
            }
            let n = end - at;
            if n > 0 {
                // SAFETY: as in `Walk`; `n` is below `LANES`, which is at most the length of `rounded`.
                unsafe {
                    let g = adjusted(load_first_half::<H, V>(gradient.add(at), n), scale, bound);
                    let mut s = [V::zero(); S];
                    for i in 0..S {
                        s[i] = V::load_first(state[i].add(at), n);
                    }
                    let (p, s) = equation.step(V::load_first(values.add(at), n), g, s);
                    p.store_first(values.add(at), n);
                    let mut rounded = [H::default(); MOST_LANES];
                    H::store(p, rounded.as_mut_ptr());
                    std::ptr::copy_nonoverlapping(rounded.as_ptr(), copy.add(at), n);
                    for i in 0..S {
                        s[i].store_first(state[i].add(at), n);
                    }
                }
            }
            start += window.stride;
        }
    }
}
