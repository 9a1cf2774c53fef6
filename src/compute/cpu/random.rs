//! Random numbers: every element is a pure function of (key, place).
//!
//! Places come in groups of 64 words (Philox4x32 with seven rounds, 16 counters side by side): word `w` of counter
//! `16 g + l` belongs to place `64 g + 16 w + l`. An `f32` takes one word, an `f64` two. A fill is given the place of
//! its first element, so pieces of a longer sequence can be made apart, and a draw is found again without being kept.
//! Uniform numbers, and so dropout, are the same bits on every instruction set.
#![allow(unsafe_code)]

use super::lanes::{Float, Kernel, Vector, dispatch};
use super::strided::Shared;
use super::{Cpu, Parts, math};
use crate::compute::isa::Isa;
use crate::rng::{Key, ROUNDS_STEP, philox_lanes};
use std::ops::Range;

/// Words that are made at a time.
const GROUP: usize = 64;
/// Elements worth a worker.
const GRAIN: usize = 4_096;

/// An element that can be drawn.
pub trait Draw: Float {
    /// Elements made from one group of words.
    const ELEMENTS: usize;
    /// Uniform numbers in [0, 1), multiples of 2^-24 or 2^-53, in the order of their places.
    fn unit(words: &[[u32; 16]; 4], out: &mut [Self; GROUP]);
}

impl Draw for f32 {
    const ELEMENTS: usize = GROUP;
    #[inline(always)]
    fn unit(words: &[[u32; 16]; 4], out: &mut [f32; GROUP]) {
        for w in 0..4 {
            for l in 0..16 {
                out[16 * w + l] = (words[w][l] >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
            }
        }
    }
}

impl Draw for f64 {
    const ELEMENTS: usize = GROUP / 2;
    #[inline(always)]
    fn unit(words: &[[u32; 16]; 4], out: &mut [f64; GROUP]) {
        for w in 0..2 {
            for l in 0..16 {
                let bits = u64::from(words[2 * w][l]) << 21 ^ u64::from(words[2 * w + 1][l]) >> 11;
                out[16 * w + l] = bits as f64 * (1.0 / 9_007_199_254_740_992.0);
            }
        }
    }
}

/// Uniform numbers in [low, high).
///
/// # Panics
/// If `low` is not below `high`.
pub fn fill_uniform<T: Draw>(cpu: &Cpu, key: Key, place: u64, low: f64, high: f64, out: &mut [T]) {
    assert!(low < high, "uniform numbers between {low} and {high}");
    fill(cpu, key, place, Uniform { low: T::of(low), width: T::of(high - low), high: T::of(high) }, out);
}

/// Normally distributed numbers (Box & Muller 1958), within `2e-6` (`f32`) or `1e-14` (`f64`) standard deviations of the
/// exact transform of the words, and at most 5.8 (`f32`) or 8.6 (`f64`) from the mean.
///
/// # Panics
/// If `deviation` is below 0.
pub fn fill_normal<T: Draw>(cpu: &Cpu, key: Key, place: u64, mean: f64, deviation: f64, out: &mut [T]) {
    assert!(deviation >= 0.0, "normal numbers with a standard deviation of {deviation}");
    fill(cpu, key, place, Normal { mean: T::of(mean), deviation: T::of(deviation) }, out);
}

/// 1 with probability `p`, else 0.
///
/// # Panics
/// If `p` is no probability.
pub fn fill_bernoulli<T: Draw>(cpu: &Cpu, key: Key, place: u64, p: f64, out: &mut [T]) {
    assert!((0.0..=1.0).contains(&p), "a probability of {p}");
    fill(cpu, key, place, Bernoulli(T::of(p)), out);
}

/// `out = x / (1 - p)`, or 0 with probability `p`. Its own gradient: with the same key and place the same elements are
/// dropped, so no mask need be kept.
///
/// # Panics
/// If the lengths differ or `p` is not in [0, 1].
pub fn dropout<T: Draw>(cpu: &Cpu, key: Key, place: u64, p: f64, x: &[T], out: &mut [T]) {
    assert!((0.0..=1.0).contains(&p), "a probability of {p}");
    assert_eq!(x.len(), out.len(), "input and output differ in length");
    let scale = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
    let x = Shared(x.as_ptr());
    fill(cpu, key, place, Dropout { x, p: T::of(p), scale: T::of(scale) }, out);
}

/// A random order of `0..n`: element `i` is where the `i`-th comes from. The bias is below `n / 2^64`.
pub fn permutation(key: Key, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        let words = key.words([i as u32, (i as u64 >> 32) as u32, 0, 0]);
        let word = u64::from(words[0]) << 32 | u64::from(words[1]);
        let j = ((u128::from(word) * (i as u128 + 1)) >> 64) as usize;
        order.swap(i, j);
    }
    order
}

/// What becomes of the words of a group.
trait Recipe<T: Draw>: Copy + Sync {
    /// Makes the elements of a group.
    fn group<V: Vector<Elem = T>>(self, words: &[[u32; 16]; 4], out: &mut [T; GROUP]);

    /// A last change to elements `place..` of the whole fill, which are those `within` of a group.
    fn finish<V: Vector<Elem = T>>(self, made: &mut [T; GROUP], within: Range<usize>, place: usize) {
        let _ = (made, within, place);
    }
}

fn fill<T: Draw, R: Recipe<T>>(cpu: &Cpu, key: Key, place: u64, recipe: R, out: &mut [T]) {
    let len = out.len();
    let out = Parts::new(out);
    cpu.split(len, GRAIN, &|range| {
        // SAFETY: ranges of different calls are disjoint.
        let out = unsafe { out.piece(range.clone()) };
        run(cpu.isa, key, place, recipe, range.start, out);
    });
}

fn run<T: Draw, R: Recipe<T>>(isa: Isa, key: Key, place: u64, recipe: R, begin: usize, out: &mut [T]) {
    dispatch(isa, Fill { key, place, recipe, begin, out });
}

/// The elements from `begin` on of a fill whose first is at `place`.
struct Fill<'a, T, R> {
    key: Key,
    place: u64,
    recipe: R,
    begin: usize,
    out: &'a mut [T],
}

impl<T: Draw, R: Recipe<T>> Kernel<T> for Fill<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { key, place, recipe, begin, out } = self;
        let mut at = 0;
        let mut made = [T::ZERO; GROUP];
        while at < out.len() {
            let here = place.wrapping_add((begin + at) as u64);
            let (group, skip) = (here / T::ELEMENTS as u64, (here % T::ELEMENTS as u64) as usize);
            let n = (T::ELEMENTS - skip).min(out.len() - at);
            let mut counters = [[0u32; 16]; 4];
            let first = group.wrapping_mul(16);
            let [low, high, ..] = &mut counters;
            for (l, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let counter = first.wrapping_add(l as u64);
                (*low, *high) = (counter as u32, (counter >> 32) as u32);
            }
            let words = philox_lanes::<ROUNDS_STEP, 16>(counters, key);
            recipe.group::<V>(&words, &mut made);
            recipe.finish::<V>(&mut made, skip..skip + n, begin + at);
            if n == T::ELEMENTS {
                // A length that is known when it is compiled is copied in registers.
                out[at..at + T::ELEMENTS].copy_from_slice(&made[..T::ELEMENTS]);
            } else {
                out[at..at + n].copy_from_slice(&made[skip..skip + n]);
            }
            at += n;
        }
    }
}

/// `f` of the elements of a group, vector by vector.
macro_rules! each_vector {
    ($made:ident, $elements:expr, |$x:ident| $y:expr) => {{
        let mut at = 0;
        while at < $elements {
            // SAFETY: groups are multiples of vectors.
            unsafe {
                let $x = V::load($made.as_ptr().add(at));
                let y: V = $y;
                y.store($made.as_mut_ptr().add(at));
            }
            at += V::LANES;
        }
    }};
}

#[derive(Clone, Copy)]
struct Uniform<T> {
    low: T,
    width: T,
    high: T,
}
impl<T: Draw> Recipe<T> for Uniform<T> {
    #[inline(always)]
    fn group<V: Vector<Elem = T>>(self, words: &[[u32; 16]; 4], out: &mut [T; GROUP]) {
        T::unit(words, out);
        let (low, width, high) = (V::splat(self.low), V::splat(self.width), V::splat(self.high));
        each_vector!(out, T::ELEMENTS, |u| {
            // Not fused, so that every instruction set rounds alike; rounding may reach the open end.
            let y = low + u * width;
            V::select(y.lt(high), y, low)
        });
    }
}

#[derive(Clone, Copy)]
struct Bernoulli<T>(T);
impl<T: Draw> Recipe<T> for Bernoulli<T> {
    #[inline(always)]
    fn group<V: Vector<Elem = T>>(self, words: &[[u32; 16]; 4], out: &mut [T; GROUP]) {
        T::unit(words, out);
        let p = V::splat(self.0);
        each_vector!(out, T::ELEMENTS, |u| V::select(u.lt(p), V::one(), V::zero()));
    }
}

#[derive(Clone, Copy)]
struct Normal<T> {
    mean: T,
    deviation: T,
}
impl<T: Draw> Recipe<T> for Normal<T> {
    #[inline(always)]
    fn group<V: Vector<Elem = T>>(self, words: &[[u32; 16]; 4], out: &mut [T; GROUP]) {
        T::unit(words, out);
        let (mean, deviation) = (V::splat(self.mean), V::splat(self.deviation));
        // In each 32 elements: 16 radii, then as many angles.
        let mut pair = 0;
        while pair < T::ELEMENTS {
            let mut at = pair;
            while at < pair + 16 {
                // SAFETY: 16 is a multiple of the lanes.
                unsafe {
                    let place = out.as_mut_ptr().add(at);
                    // In (0, 1]: the logarithm is finite.
                    let u = V::one() - V::load(place);
                    let angle = (V::load(place.add(16)) - V::of(0.5)) * V::of(std::f64::consts::TAU);
                    let radius = (math::ln(u) * V::of(-2.0)).sqrt() * deviation;
                    let (sine, cosine) = math::sin_cos(angle);
                    radius.mul_add(cosine, mean).store(place);
                    radius.mul_add(sine, mean).store(place.add(16));
                }
                at += V::LANES;
            }
            pair += 32;
        }
    }
}

#[derive(Clone, Copy)]
struct Dropout<T> {
    x: Shared<T>,
    p: T,
    scale: T,
}
impl<T: Draw> Recipe<T> for Dropout<T> {
    #[inline(always)]
    fn group<V: Vector<Elem = T>>(self, words: &[[u32; 16]; 4], out: &mut [T; GROUP]) {
        T::unit(words, out);
        let (p, scale) = (V::splat(self.p), V::splat(self.scale));
        each_vector!(out, T::ELEMENTS, |u| V::select(u.lt(p), V::zero(), scale));
    }

    #[inline(always)]
    fn finish<V: Vector<Elem = T>>(self, made: &mut [T; GROUP], within: Range<usize>, place: usize) {
        let n = within.len();
        let mut at = 0;
        while at < n {
            let left = V::LANES.min(n - at);
            // SAFETY: `x` has the elements of the fill, and the group those of the range.
            unsafe {
                let to = made.as_mut_ptr().add(within.start + at);
                let (x, scale) = (V::load_first(self.x.get().add(place + at), left), V::load_first(to, left));
                // What is dropped is 0 even where it was infinite or NaN.
                V::select(scale.eq(V::zero()), scale, x * scale).store_first(to, left);
            }
            at += V::LANES;
        }
    }
}

#[cfg(test)]
mod tests;
