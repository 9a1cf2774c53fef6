//! The error function.

use super::{exp, exp2, lane_by_lane, polynomial, single};
use crate::compute::cpu::lanes::Vector;

/// `erf(x) / x` as a polynomial in `x^2`, `|x|` up to 1: relative error 2e-9.
const NEAR: [f64; 7] = [
    1.128_379_165_726_7,
    -0.376_126_258_242_16,
    0.112_835_851_483_52,
    -0.026_853_811_923_966,
    5.188_327_664_647_4e-3,
    -8.010_193_446_309e-4,
    7.853_860_784_269_8e-5,
];
/// `log2(1 - erf(t)) / t` for `t` up to 4.2: absolute error of the power 1e-9. Beyond it falls on.
const FAR: [f64; 10] = [
    -1.627_907_125_255_9,
    -0.918_446_236_600_21,
    -0.148_281_912_938_03,
    0.027_628_529_718_822,
    2.787_311_198_982_1e-4,
    -2.504_413_367_050_2e-3,
    1.010_989_146_134_6e-3,
    -2.206_027_462_024_7e-4,
    2.674_004_907_160_1e-5,
    -1.402_421_153_481_6e-6,
];

/// Error function: error below 3 ulp in `f32`, 1 ulp in `f64`, where it is computed lane by lane.
#[inline(always)]
pub fn erf<V: Vector>(x: V) -> V {
    if !single::<V>() {
        return lane_by_lane(x, libm::erf);
    }
    let size = x.abs();
    let near = size * polynomial(size * size, &NEAR);
    let y = V::select(size.lt(V::one()), near, V::one() - erfc_above(size));
    y.bit_or(x.sign_bit())
}

/// `1 - erf(t)` for `t` at least 0: absolute error below 1e-7 in `f32`, 1 ulp in `f64`.
#[inline(always)]
pub(super) fn erfc_above<V: Vector>(t: V) -> V {
    if !single::<V>() {
        return lane_by_lane(t, libm::erfc);
    }
    // From there on the result is 0.
    let t = V::of(8.0).min(t);
    exp2(t * polynomial(t, &FAR))
}

/// Slope of [`erf()`], `2 / sqrt(pi) e^(-x^2)`.
#[inline(always)]
pub fn erf_slope<V: Vector>(x: V) -> V {
    exp(-(x * x)) * V::of(std::f64::consts::FRAC_2_SQRT_PI)
}
