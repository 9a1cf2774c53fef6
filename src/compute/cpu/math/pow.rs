//! Powers.

use super::{exp, infinite, ln};
use crate::compute::cpu::lanes::{Float, Single, Vector};
use crate::compute::simd::Real;

/// `a` to the power of `b`, with the special values of C's `pow`: error below 1 ulp.
#[inline(always)]
pub fn pow<V: Vector>(a: V, b: V) -> V {
    a.pow(b)
}

/// [`pow()`] of single-precision lanes: in double precision, then rounded.
#[inline(always)]
pub fn pow_single<V: Single>(a: V, b: V) -> V {
    let (a0, a1) = a.widen();
    let (b0, b1) = b.widen();
    V::narrow(wide(a0, b0), wide(a1, b1))
}

/// `e^(b ln |a|)` with the signs and special values of `pow`, for numbers that came from single precision.
#[inline(always)]
fn wide<D: Vector<Elem = f64>>(a: D, b: D) -> D {
    let one = D::one();
    let y = exp(b * ln(a.abs()));
    // Numbers from 2^25 on are even.
    let large = b.abs().ge(D::of(33_554_432.0));
    let half = b * D::of(0.5);
    let whole = D::or(large, b.round().eq(b));
    let odd = D::and(D::not(large), D::and(whole, D::not(half.round().eq(half))));
    let y = D::select(odd, y.bit_or(a.sign_bit()), y);
    let undefined = D::and(D::not(whole), D::and(a.lt(D::zero()), D::not(infinite(a))));
    let y = D::select(undefined, D::splat(<f64 as Float>::NAN), y);
    let y = D::select(b.is_nan(), b, y);
    let minus_one_to_infinity = D::and(a.eq(D::of(-1.0)), infinite(b));
    D::select(D::or(D::or(b.eq(D::zero()), a.eq(one)), minus_one_to_infinity), one, y)
}

/// [`pow()`] of double-precision lanes, lane by lane.
#[inline(always)]
#[allow(unsafe_code)]
pub fn pow_double<V: Vector<Elem = f64>>(a: V, b: V) -> V {
    let (mut x, mut y) = ([0.0; 16], [0.0; 16]);
    // SAFETY: no vector has more than 16 lanes.
    unsafe {
        a.store(x.as_mut_ptr());
        b.store(y.as_mut_ptr());
    }
    let mut l = 0;
    while l < V::LANES {
        x[l] = f64::of(libm::pow(x[l], y[l]));
        l += 1;
    }
    // SAFETY: as above.
    unsafe { V::load(x.as_ptr()) }
}
