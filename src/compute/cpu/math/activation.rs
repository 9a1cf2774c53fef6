//! Activation functions and their slopes.

use super::erf::erfc_above;
use super::log::ln_1p_unit;
use super::{either, exp, exp_m1, exp2, polynomial};
use crate::compute::cpu::lanes::Vector;
use std::f64::consts::{FRAC_1_SQRT_2, LOG2_E};

/// sqrt(2 / pi)
const ROOT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
/// 1 / sqrt(2 pi)
const INVERSE_ROOT_TAU: f64 = 0.398_942_280_401_432_7;

/// Hyperbolic tangent: error below 4 ulp, near zero too.
#[inline(always)]
pub fn tanh<V: Vector>(x: V) -> V {
    let size = x.abs();
    // From there on the result is 1.
    let z = either::<V>(20.0, 40.0).min(size + size);
    let (q, n) = super::exp::reduced(z);
    let power = V::one().scale(n);
    let m = power.mul_add(q, power - V::one()); // e^z - 1
    (m / (m + V::of(2.0))).bit_or(x.sign_bit())
}

/// `1 / (1 + e^-x)`: error below 3 ulp where the result is a normal number.
#[inline(always)]
pub fn sigmoid<V: Vector>(x: V) -> V {
    V::one() / (V::one() + exp(-x))
}

/// `x sigmoid(x)`: absolute error below 2.5 ulp of the larger of the result and 1/4; 0 at -infinity.
#[inline(always)]
pub fn silu<V: Vector>(x: V) -> V {
    // Below the bound the result is 0, which the product with -infinity would not be.
    let x = either::<V>(-110.0, -760.0).max(x);
    x / (V::one() + exp(-x))
}

/// Slope of [`silu`]: absolute error below 5e-7 (`f32`) or 1e-15 (`f64`).
#[inline(always)]
pub fn silu_slope<V: Vector>(x: V) -> V {
    // Beyond the bounds the slope is 0 or 1.
    let x = either::<V>(-87.0, -708.0).max(either::<V>(87.0, 708.0).min(x));
    let e = exp(-x);
    let s = V::one() / (V::one() + e);
    // e s is 1 - s without its cancellation.
    s * x.mul_add(e * s, V::one())
}

/// `ln(1 + e^x)`: error below 4 ulp.
#[inline(always)]
pub fn softplus<V: Vector>(x: V) -> V {
    V::zero().max(x) + ln_1p_unit(exp(-x.abs()))
}

/// `x` above zero, `alpha (e^x - 1)` elsewhere.
#[inline(always)]
pub fn elu<V: Vector>(x: V, alpha: V) -> V {
    V::select(x.gt(V::zero()), x, alpha * exp_m1(x))
}

/// Beyond `-b` and `b` the tails of the Gaussian are 0 in either precision: 2^-205 and 2^-1100.
#[inline(always)]
fn tail<V: Vector>() -> V {
    either(12.0, 22.0)
}

/// `e^(-2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, for `|x|` up to [`tail`].
#[inline(always)]
fn gelu_power<V: Vector>(x: V) -> V {
    const LINEAR: f64 = -2.0 * ROOT_2_OVER_PI * LOG2_E;
    exp2(x * polynomial(x * x, &[LINEAR, LINEAR * 0.044_715]))
}

/// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: error below 1.5 ulp of `x`, which is 6e-7 (`f32`) or 1e-15
/// (`f64`) where it is largest, at `x` near 5; exact from there on.
///
/// It is `x` times the logistic function of twice the argument. Hendrycks & Gimpel (2016), "Gaussian error linear
/// units".
#[inline(always)]
pub fn gelu_tanh<V: Vector>(x: V) -> V {
    let x = (-tail::<V>()).max(x);
    x / (V::one() + gelu_power(tail::<V>().min(x)))
}

/// Slope of [`gelu_tanh`]: absolute error below 1e-6 (`f32`) or 2e-15 (`f64`).
#[inline(always)]
pub fn gelu_tanh_slope<V: Vector>(x: V) -> V {
    // Beyond the bounds, up to which the power is finite, the slope is 0 or 1.
    let bound = either::<V>(10.0, 20.0);
    let x = (-bound).max(bound.min(x));
    let e = gelu_power(x);
    let s = V::one() / (V::one() + e);
    let inner = polynomial(x * x, &[2.0 * ROOT_2_OVER_PI, 6.0 * ROOT_2_OVER_PI * 0.044_715]);
    // e s is 1 - s without its cancellation.
    (x * s * (e * s)).mul_add(inner, s)
}

/// `x / 2 (1 + erf(x / sqrt 2))`: absolute error below 5e-7 (`f32`) or 1e-15 (`f64`) for `|x|` up to 10, and exact
/// beyond.
#[inline(always)]
pub fn gelu_erf<V: Vector>(x: V) -> V {
    // Beyond the bounds, where infinities would make NaN, the tail is 0.
    let bound = V::of(40.0);
    let near = (-bound).max(bound.min(x));
    let tail = near * V::of(0.5) * erfc_above(near.abs() * V::of(FRAC_1_SQRT_2));
    V::select(x.le(V::zero()), tail, x - tail)
}

/// Slope of [`gelu_erf`]: absolute error below 1e-6 (`f32`) or 2e-15 (`f64`).
#[inline(always)]
pub fn gelu_erf_slope<V: Vector>(x: V) -> V {
    let x = V::of(-40.0).max(V::of(40.0).min(x));
    let tail = V::of(0.5) * erfc_above(x.abs() * V::of(FRAC_1_SQRT_2));
    let cumulative = V::select(x.le(V::zero()), tail, V::one() - tail);
    let density = exp(x * x * V::of(-0.5)) * V::of(INVERSE_ROOT_TAU);
    x.mul_add(density, cumulative)
}
