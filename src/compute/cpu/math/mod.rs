//! Functions on vector lanes, for kernels of every kind: elementwise ones, the epilogues of matrix products, surrogate
//! gradients. Each is written once for `f32` and `f64`; the polynomials are minimax fits (Remez' algorithm) of the
//! degree that the precision needs.
//!
//! Errors stated here hold on every instruction set. "ulp" is the distance between neighbouring numbers at the exact
//! result. NaN gives NaN; infinities give the limit.

mod activation;
mod erf;
mod exp;
mod log;
mod pow;
mod trig;

pub use activation::{
    elu, gelu_erf, gelu_erf_slope, gelu_tanh, gelu_tanh_slope, sigmoid, silu, silu_slope, softplus, tanh,
};
pub use erf::{erf, erf_slope};
pub use exp::{exp, exp_m1, exp2};
pub use log::{ln, ln_1p};
pub use pow::{pow, pow_double, pow_single};
pub use trig::{cos, sin, sin_cos};

use super::lanes::{Float, Vector};
use crate::compute::simd::Real;

/// Whether the elements of `V` are single precision; a constant after compilation.
#[inline(always)]
const fn single<V: Vector>() -> bool {
    size_of::<V::Elem>() == 4
}

/// The first constant for `f32`, the second for `f64`.
#[inline(always)]
fn either<V: Vector>(for_f32: f64, for_f64: f64) -> V {
    V::of(if single::<V>() { for_f32 } else { for_f64 })
}

/// `c[0] + c[1] x + c[2] x^2 + ...` by Horner's rule.
#[inline(always)]
fn polynomial<V: Vector, const N: usize>(x: V, c: &[f64; N]) -> V {
    let mut k = N - 1;
    let mut p = V::of(c[k]);
    while k > 0 {
        k -= 1;
        p = p.mul_add(x, V::of(c[k]));
    }
    p
}

/// Applies a scalar function to each lane, in double precision: for rare arguments.
#[inline(always)]
#[allow(unsafe_code)]
fn lane_by_lane<V: Vector>(x: V, f: fn(f64) -> f64) -> V {
    let mut lanes = [V::Elem::ZERO; 16];
    // SAFETY: no vector has more than 16 lanes.
    unsafe { x.store(lanes.as_mut_ptr()) };
    let mut l = 0;
    while l < V::LANES {
        lanes[l] = V::Elem::of(f(lanes[l].to_f64()));
        l += 1;
    }
    // SAFETY: as above.
    unsafe { V::load(lanes.as_ptr()) }
}

/// Where it is infinite, of either sign.
#[inline(always)]
fn infinite<V: Vector>(x: V) -> V::Mask {
    x.abs().eq(V::splat(V::Elem::INFINITY))
}

#[cfg(test)]
mod tests;
