//! Conversions between element types.
#![allow(unsafe_code)]

use super::lanes::{Single, SingleKernel, Vector, dispatch_single};
use super::strided::Shared;
use super::{Cpu, Parts};
use crate::compute::isa::Isa;
use half::{bf16, f16};
use std::mem::MaybeUninit;

/// Elements worth a worker.
const GRAIN: usize = 16_384;

/// An element that converts to `U`.
///
/// To a floating-point type: rounded to nearest even, NaN stays one, what is too large becomes infinite. To an integer:
/// towards zero, to the nearest bound where the type has no such number; NaN becomes 0.
pub trait Cast<U>: Copy + Send + Sync + 'static {
    /// Converts as many elements as the lanes hold.
    ///
    /// # Safety
    /// So many can be read at `from` and written at `to`.
    unsafe fn lanes<V: Single>(from: *const Self, to: *mut U);
}

/// `out = x`, converted.
///
/// # Panics
/// If the lengths differ.
pub fn cast<T: Cast<U>, U: Copy + Send + Sync>(cpu: &Cpu, x: &[T], out: &mut [U]) {
    assert_eq!(x.len(), out.len(), "columns of a conversion differ in length");
    let (from, to) = (Shared(x.as_ptr()), Parts::new(out));
    cpu.split(x.len(), GRAIN, &|range| {
        // SAFETY: ranges of different calls are disjoint.
        let to = unsafe { to.piece(range.clone()) };
        dispatch_single(
            cpu.isa,
            Run { from: from.get().wrapping_add(range.start), to: to.as_mut_ptr(), len: range.len() },
        );
    });
}

/// [`cast`] on the caller alone: a block within another loop.
///
/// # Panics
/// If the lengths differ.
pub fn cast_block<T: Cast<U>, U: Copy>(isa: Isa, x: &[T], out: &mut [U]) {
    assert_eq!(x.len(), out.len(), "columns of a conversion differ in length");
    dispatch_single(isa, Run { from: x.as_ptr(), to: out.as_mut_ptr(), len: x.len() });
}

/// Both pointers allow for `len` elements.
struct Run<T, U> {
    from: *const T,
    to: *mut U,
    len: usize,
}

impl<T: Cast<U>, U: Copy> SingleKernel for Run<T, U> {
    type Output = ();
    #[inline(always)]
    fn run<V: Single>(self) {
        let Self { from, to, len } = self;
        let mut at = 0;
        while at + V::LANES <= len {
            // SAFETY: `at + LANES` does not pass `len`.
            unsafe { T::lanes::<V>(from.add(at), to.add(at)) };
            at += V::LANES;
        }
        if at < len {
            let (mut x, mut y) = (MaybeUninit::<[T; 16]>::zeroed(), MaybeUninit::<[U; 16]>::zeroed());
            let (x, y) = (x.as_mut_ptr().cast::<T>(), y.as_mut_ptr().cast::<U>());
            // SAFETY: `len - at` elements are left, fewer than the 16 of the buffers; zeros are values of all the
            // number types.
            unsafe {
                x.copy_from_nonoverlapping(from.add(at), len - at);
                T::lanes::<V>(x, y);
                to.add(at).copy_from_nonoverlapping(y, len - at);
            }
        }
    }
}

macro_rules! casts {
    ($($from:ty => $to:ty: |$f:ident, $t:ident| $body:expr;)*) => { $(
        impl Cast<$to> for $from {
            #[inline(always)]
            unsafe fn lanes<V: Single>($f: *const $from, $t: *mut $to) {
                // SAFETY: the caller's promise.
                unsafe { $body }
            }
        }
    )* };
}

casts! {
    bf16 => f32: |from, to| V::load_bf16(from).store(to);
    f32 => bf16: |from, to| V::load(from).store_bf16(to);
    f16 => f32: |from, to| V::load_f16(from).store(to);
    f32 => f16: |from, to| V::load(from).store_f16(to);
    bf16 => f16: |from, to| V::load_bf16(from).store_f16(to);
    f16 => bf16: |from, to| V::load_f16(from).store_bf16(to);
    f32 => f64: |from, to| {
        let (low, high) = V::load(from).widen();
        low.store(to);
        high.store(to.add(V::LANES / 2));
    };
    f64 => f32: |from, to| {
        V::narrow(V::Double::load(from), V::Double::load(from.add(V::LANES / 2))).store(to)
    };
    i8 => f32: |from, to| V::load_i8(from).store(to);
    u8 => f32: |from, to| V::load_u8(from).store(to);
    i32 => f32: |from, to| V::load_i32(from).store(to);
}

/// Conversions that `as` makes; plain loops become vector instructions.
macro_rules! plain_casts {
    ($($from:ty => $($to:ty),+;)*) => { $($(
        impl Cast<$to> for $from {
            #[inline(always)]
            unsafe fn lanes<V: Single>(from: *const $from, to: *mut $to) {
                for l in 0..V::LANES {
                    // SAFETY: the caller's promise.
                    unsafe { *to.add(l) = *from.add(l) as $to };
                }
            }
        }
    )+)* };
}

plain_casts! {
    f32 => i8, u8, i32;
    f64 => i8, u8, i32;
    i8 => f64, i32;
    u8 => f64, i32;
    i32 => f64;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T, U>(x: &[T], want: impl Fn(T) -> U, same: impl Fn(U, U) -> bool)
    where
        T: Cast<U> + std::fmt::Debug,
        U: Copy + Send + Sync + Default + std::fmt::Debug,
    {
        for isa in Isa::all_available() {
            for workers in [1, 3] {
                for len in [x.len(), 1, 7, 19] {
                    let mut out = vec![U::default(); len];
                    cast(&Cpu::with_isa(workers, isa), &x[..len], &mut out);
                    for (x, y) in x.iter().zip(&out) {
                        assert!(same(*y, want(*x)), "{x:?} became {y:?}, not {:?}, on {isa}", want(*x));
                    }
                    let mut block = vec![U::default(); len];
                    cast_block(isa, &x[..len], &mut block);
                    assert!(block.iter().zip(&out).all(|(a, b)| same(*a, *b)));
                }
            }
        }
    }

    fn singles() -> Vec<f32> {
        let mut x: Vec<f32> = (0..=u32::MAX).step_by(40_961).map(f32::from_bits).collect();
        // Halves between neighbours of the short types, and around them.
        x.extend(
            (0..=u16::MAX).flat_map(|b| [0x7fff, 0x8000, 0x8001].map(|low| f32::from_bits(u32::from(b) << 16 | low))),
        );
        x.extend((0..=u16::MAX).flat_map(|b| {
            let y = f16::from_bits(b).to_f32();
            [y, y * (1.0 + f32::EPSILON), (y + f16::from_bits(b.wrapping_add(1)).to_f32()) / 2.0]
        }));
        x
    }

    #[test]
    fn short_floats_round_to_nearest_even() {
        let x = singles();
        let bf = |a: bf16, b: bf16| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let hf = |a: f16, b: f16| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        check(&x, bf16::from_f32, bf);
        check(&x, f16::from_f32, hf);
        let sf = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let b: Vec<bf16> = all.iter().map(|b| bf16::from_bits(*b)).collect();
        let h: Vec<f16> = all.iter().map(|b| f16::from_bits(*b)).collect();
        check(&b, bf16::to_f32, sf);
        check(&h, f16::to_f32, sf);
        check(&b, |b| f16::from_f32(b.to_f32()), hf);
        check(&h, |h| bf16::from_f32(h.to_f32()), bf);
    }

    #[test]
    fn double_precision() {
        let x = singles();
        check(&x, f64::from, |a: f64, b| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x) * 1.000_000_03).collect();
        check(&wide, |x| x as f32, |a: f32, b| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
    }

    #[test]
    fn integers_truncate_and_saturate() {
        let mut x = singles();
        x.extend((-600..600).map(|i| i as f32 * 0.25));
        check(&x, |x| x as i8, |a, b| a == b);
        check(&x, |x| x as u8, |a, b| a == b);
        check(&x, |x| x as i32, |a, b| a == b);
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x) * 1.000_000_03).collect();
        check(&wide, |x| x as i8, |a, b| a == b);
        check(&wide, |x| x as i32, |a, b| a == b);
        check(&(0..=255).collect::<Vec<u8>>(), f32::from, |a: f32, b| a == b);
        check(&(0..=255).collect::<Vec<u8>>(), i32::from, |a: i32, b| a == b);
        check(&(-128..=127).collect::<Vec<i8>>(), f32::from, |a: f32, b| a == b);
        check(&(-128..=127).collect::<Vec<i8>>(), f64::from, |a: f64, b| a == b);
        let whole: Vec<i32> =
            (i64::from(i32::MIN)..=i64::from(i32::MAX)).step_by(9_999_991).map(|i| i as i32).collect();
        check(&whole, |i| i as f32, |a, b| a == b);
        check(&whole, f64::from, |a: f64, b| a == b);
    }
}
