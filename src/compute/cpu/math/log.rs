//! Logarithms.

use super::{either, polynomial, single};
use crate::compute::cpu::lanes::{Float, Vector};

/// `(ln(1 + f) - f + f^2 / 2) / f^3` on [-1/4, 1/2]: relative error of the logarithm 5e-9.
const LOG_SINGLE: [f64; 8] = [
    0.333_334_487_581_743_44,
    -0.250_000_963_069_152_2,
    0.199_908_768_861_373_74,
    -0.166_473_107_345_754_52,
    0.144_781_823_813_350_4,
    -0.131_610_175_827_840_96,
    0.104_638_502_807_266_57,
    -0.045_085_889_841_104_856,
];
/// `(2 atanh(s) - 2 s) / s^3` as a polynomial in `s^2`, `|s|` up to 1/5: relative error of the logarithm 2e-19.
const LOG_DOUBLE: [f64; 8] = [
    0.666_666_666_666_666,
    0.400_000_000_000_565_24,
    0.285_714_285_558_469_3,
    0.222_222_242_956_662_54,
    0.181_816_658_711_664_47,
    0.153_911_133_314_798_86,
    0.131_735_603_586_542_57,
    0.138_433_860_587_117_93,
];

/// `ln(1 + z) / z` on [0, 1]: relative error 5e-9.
const UNIT_SINGLE: [f64; 10] = [
    1.0,
    -0.499_999_024_231_690_3,
    0.333_299_624_216_611_2,
    -0.249_541_336_822_589_78,
    0.196_759_393_128_291_8,
    -0.153_055_925_704_770_14,
    0.106_036_546_785_024_87,
    -0.056_959_530_636_431_54,
    0.019_851_459_733_522_796,
    -0.003_244_024_461_922_064_3,
];

/// `ln(u + c)` for `u` normal or zero or special, and `c` at most a rounding error of it; `ln(u)` where not `CORRECTED`.
#[inline(always)]
fn logarithm<V: Vector, const CORRECTED: bool>(u: V, c: V) -> V {
    let (m, e) = u.split();
    let mut f = m - V::one();
    if CORRECTED {
        f = f + c.scale(-e);
    }
    let square = f * f;
    let (high, low) = (
        either::<V>(0.693_359_375, 0.693_147_180_369_123_8),
        either::<V>(-2.121_944_4e-4, 1.908_214_929_270_587_7e-10),
    );
    let half = V::of(0.5);
    let y = if single::<V>() {
        let p = polynomial(f, &LOG_SINGLE);
        half.neg_mul_add(square, e.mul_add(low, square * f * p))
    } else {
        let s = f / (V::of(2.0) + f);
        let z = s * s;
        let r = z * polynomial(z, &LOG_DOUBLE);
        let half_square = half * square;
        e.mul_add(low, s * (half_square + r)) - half_square
    };
    let y = e.mul_add(high, f + y);
    let y = V::select(u.eq(V::splat(V::Elem::INFINITY)), u, y);
    let y = V::select(u.eq(V::zero()), V::splat(-V::Elem::INFINITY), y);
    V::select(u.ge(V::zero()), y, V::splat(V::Elem::NAN))
}

/// Natural logarithm: error below 2 ulp, also of subnormal numbers; -infinity at zero, NaN below.
#[inline(always)]
pub fn ln<V: Vector>(x: V) -> V {
    let tiny = x.lt(V::splat(V::Elem::MIN_POSITIVE));
    let bits = f64::from(V::Elem::FRACTION_BITS + 1);
    let u = V::select(tiny, x * either(16_777_216.0, 9007199254740992.0), x);
    let y = logarithm::<V, false>(u, V::zero());
    V::select(tiny, y - V::of(bits * std::f64::consts::LN_2), y)
}

/// `ln(1 + x)`: error below 3 ulp, near zero too; -infinity at -1, NaN below.
#[inline(always)]
pub fn ln_1p<V: Vector>(x: V) -> V {
    let u = V::one() + x;
    // What the sum lost (Knuth's two-sum).
    let back = u - V::one();
    let lost = (V::one() - (u - back)) + (x - back);
    let y = logarithm::<V, true>(u, lost);
    // Keeps the sign of zero, and numbers that 1 + x does not see.
    V::select(x.abs().lt(V::splat(V::Elem::MIN_POSITIVE)), x, y)
}

/// `ln(1 + z)` for `z` in [0, 1]: error as of [`ln_1p`].
#[inline(always)]
pub(super) fn ln_1p_unit<V: Vector>(z: V) -> V {
    if single::<V>() { z * polynomial(z, &UNIT_SINGLE) } else { ln_1p(z) }
}
