//! Sine and cosine.

use super::{either, lane_by_lane, polynomial, single};
use crate::compute::cpu::lanes::Vector;

/// `(sin(x) - x) / x^3` as a polynomial in `x^2`, `|x|` up to pi/4: error 5e-12.
const SINE_SINGLE: [f64; 4] =
    [-0.166_666_666_414_497_43, 8.333_329_364_222_835e-3, -1.983_932_762_704_891e-4, 2.718_241_133_220_138e-6];
/// The same to 2e-21.
const SINE_DOUBLE: [f64; 7] = [
    -0.166_666_666_666_666_66,
    8.333_333_333_333_323e-3,
    -1.984_126_984_125_500_7e-4,
    2.755_731_921_415_642e-6,
    -2.505_210_490_223_789e-8,
    1.605_836_538_397_241_7e-10,
    -7.578_633_975_632_19e-13,
];
/// `(cos(x) - 1 + x^2 / 2) / x^4` as a polynomial in `x^2`, `|x|` up to pi/4: error 1e-10.
const COSINE_SINGLE: [f64; 3] = [0.041_666_646_772_850_12, -1.388_736_247_479_368_4e-3, 2.443_783_121_552_162e-5];
/// The same to 5e-20.
const COSINE_DOUBLE: [f64; 6] = [
    0.041_666_666_666_666_6,
    -1.388_888_888_887_411e-3,
    2.480_158_728_945_939_2e-5,
    -2.755_731_434_255_721e-7,
    2.087_572_158_753_143_7e-9,
    -1.135_954_480_938_568_1e-11,
];

/// `(sin r, cos r, d)` where `x = k pi/2 + r` and `d` is `k` modulo 4, between -2 and 2.
#[inline(always)]
fn parts<V: Vector>(x: V) -> (V, V, V) {
    let k = (x * V::of(std::f64::consts::FRAC_2_PI)).round();
    // pi/2 in three parts, the first two short enough that their products with k are exact.
    let r = k.neg_mul_add(either(1.570_312_5, 1.570_796_326_734_125_6), x);
    let r = k.neg_mul_add(either(4.837_512_969_970_703e-4, 6.077_100_506_303_966e-11), r);
    let r = k.neg_mul_add(either(7.549_789_954_891_882e-8, 2.022_266_248_795_950_6e-21), r);
    let z = r * r;
    let (s, c) = if single::<V>() {
        (polynomial(z, &SINE_SINGLE), polynomial(z, &COSINE_SINGLE))
    } else {
        (polynomial(z, &SINE_DOUBLE), polynomial(z, &COSINE_DOUBLE))
    };
    let sine = s.mul_add(z * r, r);
    let cosine = c.mul_add(z * z, V::of(0.5).neg_mul_add(z, V::one()));
    let d = (k * V::of(0.25)).round().neg_mul_add(V::of(4.0), k);
    (sine, cosine, d)
}

/// Lanes too large to be reduced here, or infinite or NaN.
#[inline(always)]
fn beyond<V: Vector>(x: V) -> bool {
    V::bits(V::not(x.abs().le(either(8192.0, 500_000.0)))) != 0
}

/// Sine: absolute error below 1.2e-7 (`f32`) or 3e-16 (`f64`) for `|x|` up to 8192 or 500,000; vectors with larger
/// arguments are computed lane by lane, to the same error and more slowly. Infinity gives NaN.
#[inline(always)]
pub fn sin<V: Vector>(x: V) -> V {
    if beyond(x) {
        return lane_by_lane(x, libm::sin);
    }
    let (sine, cosine, d) = parts(x);
    let y = V::select(d.abs().eq(V::one()), cosine, sine);
    let negative = V::or(d.abs().eq(V::of(2.0)), d.eq(V::of(-1.0)));
    V::select(negative, -y, y)
}

/// [`sin()`] and [`cos()`], for little more than one of them.
#[inline(always)]
pub fn sin_cos<V: Vector>(x: V) -> (V, V) {
    if beyond(x) {
        return (lane_by_lane(x, libm::sin), lane_by_lane(x, libm::cos));
    }
    let (sine, cosine, d) = parts(x);
    let swapped = d.abs().eq(V::one());
    let (s, c) = (V::select(swapped, cosine, sine), V::select(swapped, sine, cosine));
    let opposite = d.abs().eq(V::of(2.0));
    (V::select(V::or(opposite, d.eq(V::of(-1.0))), -s, s), V::select(V::or(opposite, d.eq(V::one())), -c, c))
}

/// Cosine: as [`sin()`].
#[inline(always)]
pub fn cos<V: Vector>(x: V) -> V {
    if beyond(x) {
        return lane_by_lane(x, libm::cos);
    }
    let (sine, cosine, d) = parts(x);
    let y = V::select(d.abs().eq(V::one()), sine, cosine);
    let negative = V::or(d.abs().eq(V::of(2.0)), d.eq(V::one()));
    V::select(negative, -y, y)
}
