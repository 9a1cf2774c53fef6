//! Kernels for every element type and memory order, computed in double precision and rounded once. The fast kernels are
//! compared with these, and types and orders that have none use them.

use super::super::walk;
use crate::compute::backend::{Arg, Binary, Compare, Reduce, Unary};
use crate::compute::dtype::Element;
use crate::compute::shape::Layout;

pub(super) fn copy<T: Element>(x: Arg<'_>, out: &mut [T], at: &Layout) {
    let from = x.buffer.as_slice::<T>();
    walk::rows([x.layout, at], |[a, o], len, [sa, so]| {
        if sa == 1 && so == 1 {
            out[o..o + len].copy_from_slice(&from[a..a + len]);
        } else {
            for i in 0..len {
                out[o + i * so] = from[a + i * sa];
            }
        }
    });
}

pub(super) fn cast<F: Element, T: Element>(x: &[F], out: &mut [T]) {
    for (x, out) in x.iter().zip(out) {
        *out = T::of_f64(x.to_f64());
    }
}

/// Integers, through doubles: results are rounded towards zero and saturate.
pub(super) fn unary_integer<T: Element>(op: Unary, x: &[T], out: &mut [T]) {
    for (x, out) in x.iter().zip(out) {
        let x = x.to_f64();
        *out = T::of_f64(match op {
            Unary::Neg => -x,
            Unary::Abs => x.abs(),
            Unary::Sign => f64::from(i8::from(x > 0.0) - i8::from(x < 0.0)),
            Unary::Square => x * x,
            Unary::Relu => x.max(0.0),
            Unary::Clamp { low, high } => x.max(low).min(high),
            Unary::Affine { scale, shift } => scale * x + shift,
            other => unreachable!("front ends ask for no {other:?} of integers"),
        });
    }
}

pub(super) fn binary<T: Element>(op: Binary, a: Arg<'_>, b: Arg<'_>, out: &mut [T], at: &Layout) {
    let (from_a, from_b) = (a.buffer.as_slice::<T>(), b.buffer.as_slice::<T>());
    let integer = !T::DTYPE.is_float();
    walk::rows([a.layout, b.layout, at], |[a, b, o], len, [sa, sb, so]| {
        for i in 0..len {
            let (x, y) = (from_a[a + i * sa].to_f64(), from_b[b + i * sb].to_f64());
            out[o + i * so] = T::of_f64(match op {
                Binary::Add => x + y,
                Binary::Sub => x - y,
                Binary::Mul => x * y,
                Binary::Div if integer && y == 0.0 => 0.0,
                Binary::Div => x / y,
                Binary::Min if x.is_nan() || y.is_nan() => f64::NAN,
                Binary::Min => x.min(y),
                Binary::Max if x.is_nan() || y.is_nan() => f64::NAN,
                Binary::Max => x.max(y),
                Binary::Pow => libm::pow(x, y),
                Binary::Combine { alpha, beta } => alpha * x + beta * y,
            });
        }
    });
}

pub(super) fn compare<T: Element>(op: Compare, a: Arg<'_>, b: Arg<'_>, out: &mut [u8], at: &Layout) {
    let (from_a, from_b) = (a.buffer.as_slice::<T>(), b.buffer.as_slice::<T>());
    walk::rows([a.layout, b.layout, at], |[a, b, o], len, [sa, sb, so]| {
        for i in 0..len {
            let (x, y) = (from_a[a + i * sa].to_f64(), from_b[b + i * sb].to_f64());
            out[o + i * so] = u8::from(match op {
                Compare::Eq => x == y,
                Compare::Ne => x != y,
                Compare::Lt => x < y,
                Compare::Le => x <= y,
                Compare::Gt => x > y,
                Compare::Ge => x >= y,
            });
        }
    });
}

pub(super) fn select<T: Element>(mask: Arg<'_>, a: Arg<'_>, b: Arg<'_>, out: &mut [T], at: &Layout) {
    let (from_a, from_b) = (a.buffer.as_slice::<T>(), b.buffer.as_slice::<T>());
    let truth = mask.buffer.as_slice::<u8>();
    walk::rows([mask.layout, a.layout, b.layout, at], |[m, a, b, o], len, [sm, sa, sb, so]| {
        for i in 0..len {
            out[o + i * so] = if truth[m + i * sm] != 0 { from_a[a + i * sa] } else { from_b[b + i * sb] };
        }
    });
}

pub(super) fn reduce<T: Element>(op: Reduce, x: Arg<'_>, axes: &[bool], out: &mut [T]) {
    let start = match op {
        Reduce::Sum => 0.0,
        Reduce::Max => f64::NEG_INFINITY,
        Reduce::Min => f64::INFINITY,
    };
    // The output seen in the shape of the input: reduced axes stand still.
    let mut kept = Layout::row_major(x.layout.shape);
    let mut step = 1;
    for axis in (0..x.layout.shape.rank()).rev() {
        kept.strides[axis] = if axes[axis] { 0 } else { step };
        if !axes[axis] {
            step *= x.layout.shape.dims()[axis];
        }
    }
    let from = x.buffer.as_slice::<T>();
    let mut sums = vec![start; out.len()];
    walk::rows([x.layout, &kept], |[a, o], len, [sa, so]| {
        for i in 0..len {
            let (x, sum) = (from[a + i * sa].to_f64(), &mut sums[o + i * so]);
            *sum = match op {
                Reduce::Sum => *sum + x,
                _ if x.is_nan() || sum.is_nan() => f64::NAN,
                Reduce::Max => sum.max(x),
                Reduce::Min => sum.min(x),
            };
        }
    });
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = T::of_f64(sum);
    }
}

pub(super) fn arg_max<T: Element>(x: &[T], row: usize, out: &mut [i32]) {
    for (x, out) in x.chunks_exact(row).zip(out) {
        let mut best = 0;
        for (i, value) in x.iter().enumerate() {
            if value.to_f64() > x[best].to_f64() {
                best = i;
            }
        }
        *out = best as i32;
    }
}
