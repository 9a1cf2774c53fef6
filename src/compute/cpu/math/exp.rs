//! Exponentials.

use super::{either, polynomial, single};
use crate::compute::cpu::lanes::Vector;

/// `(e^r - 1 - r) / r^2` on [-ln 2 / 2, ln 2 / 2]: relative error of `e^r` 3e-9.
const EXP_SINGLE: [f64; 5] = [
    0.499_999_934_579_255_8,
    0.166_665_207_080_814_84,
    0.041_668_386_682_176_1,
    8.368_709_778_262_4e-3,
    1.381_463_477_192_332e-3,
];
/// The same to 4e-18.
const EXP_DOUBLE: [f64; 10] = [
    0.500_000_000_000_001_1,
    0.166_666_666_666_664_13,
    0.041_666_666_666_530_704,
    8.333_333_333_494_324e-3,
    1.388_888_894_350_578_9e-3,
    1.984_126_950_658_840_2e-4,
    2.480_149_321_433_186_6e-5,
    2.755_758_654_905_467_7e-6,
    2.763_021_081_617_603_5e-7,
    2.499_996_244_701_699_2e-8,
];
/// `(2^r - 1) / r` on [-1/2, 1/2]: relative error of `2^r` 2e-9.
const EXP2_SINGLE: [f64; 6] = [
    0.693_147_202_783_718_7,
    0.240_226_479_173_066_1,
    0.055_503_325_671_751_97,
    9.618_437_528_756_76e-3,
    1.339_884_642_269_184_8e-3,
    1.535_328_212_220_720_1e-4,
];
/// The same to 4e-18.
const EXP2_DOUBLE: [f64; 11] = [
    std::f64::consts::LN_2,
    0.240_226_506_959_101_3,
    0.055_504_108_664_820_09,
    9.618_129_107_594_181e-3,
    1.333_355_814_677_407_4e-3,
    1.540_353_045_704_590_3e-4,
    1.525_273_349_338_863_7e-5,
    1.321_543_531_120_596e-6,
    1.017_819_953_040_072_2e-7,
    7.073_778_828_589_161e-9,
    4.434_770_891_737_686_5e-10,
];

/// `(q, n)` with `e^x = (1 + q) * 2^n`, for `|x|` up to 750.
#[inline(always)]
pub(super) fn reduced<V: Vector>(x: V) -> (V, V) {
    let n = (x * V::of(std::f64::consts::LOG2_E)).round();
    // ln 2 in two parts, the first short enough that its product with n is exact.
    let r = n.neg_mul_add(either(0.693_359_375, 0.693_147_180_369_123_8), x);
    let r = n.neg_mul_add(either(-2.121_944_4e-4, 1.908_214_929_270_587_7e-10), r);
    let p = if single::<V>() { polynomial(r, &EXP_SINGLE) } else { polynomial(r, &EXP_DOUBLE) };
    (p.mul_add(r * r, r), n)
}

/// `e^x`: error below 1.5 ulp; infinite above the largest number, gradual underflow.
#[inline(always)]
pub fn exp<V: Vector>(x: V) -> V {
    let x = either::<V>(-105.0, -747.0).max(either::<V>(89.0, 710.0).min(x));
    let (q, n) = reduced(x);
    (V::one() + q).scale(n)
}

/// `2^x` for `x` between -252 and 252 (`f32`) or -2044 and 2044 (`f64`): error below 1.5 ulp.
#[inline(always)]
pub fn exp2<V: Vector>(x: V) -> V {
    let n = x.round();
    let r = x - n;
    let p = if single::<V>() { polynomial(r, &EXP2_SINGLE) } else { polynomial(r, &EXP2_DOUBLE) };
    p.mul_add(r, V::one()).scale(n)
}

/// `e^x - 1`: error below 3 ulp, near zero too.
#[inline(always)]
pub fn exp_m1<V: Vector>(x: V) -> V {
    let x = either::<V>(-105.0, -747.0).max(either::<V>(89.0, 710.0).min(x));
    let (q, n) = reduced(x);
    // Half of it, as 2^n alone may overflow.
    let half = V::of(0.5).scale(n);
    let y = half.mul_add(q, half - V::of(0.5));
    y + y
}
