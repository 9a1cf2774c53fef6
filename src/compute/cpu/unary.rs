//! Elementwise functions of one column, and their derivatives.

use super::lanes::{Float, Vector};
use super::map::{Map, map, map_block, update, update_block};
use super::{Cpu, math};
use crate::compute::isa::Isa;

/// An elementwise function. Precision is that of [`math`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `-x`
    Neg,
    /// `|x|`; slope 0 at 0.
    Abs,
    /// -1, 0 or 1; slope 0.
    Sign,
    /// `x^2`
    Square,
    /// Square root.
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Recip,
    /// `e^x`
    Exp,
    /// `e^x - 1`
    ExpM1,
    /// Natural logarithm.
    Ln,
    /// `ln(1 + x)`
    Ln1p,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
    /// Error function.
    Erf,
    /// [`math::gelu_tanh`].
    GeluTanh,
    /// [`math::gelu_erf`].
    GeluErf,
    /// `x sigmoid(x)`
    Silu,
    /// `ln(1 + e^x)`
    Softplus,
    /// `max(x, 0)`; slope 0 at 0.
    Relu,
    /// `x` above 0, `slope x` elsewhere.
    LeakyRelu {
        /// Slope up to 0.
        slope: f64,
    },
    /// `x` above 0, `alpha (e^x - 1)` elsewhere.
    Elu {
        /// Minus the limit at -infinity, at least 0.
        alpha: f64,
    },
    /// Into `low..=high`; slope 1 on the bounds, 0 beyond.
    Clamp {
        /// Smallest result.
        low: f64,
        /// Largest result.
        high: f64,
    },
    /// `scale x + shift`, fused where the machine can.
    Affine {
        /// Factor.
        scale: f64,
        /// Summand.
        shift: f64,
    },
    /// `x` to the power of `exponent`; 2, 3, 1/2, -1/2, -1 and -2 without logarithms.
    Pow {
        /// The exponent.
        exponent: f64,
    },
}

/// What the derivative of a function is computed from, besides the gradient of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Its argument.
    Input,
    /// Its result.
    Output,
    /// Nothing: any column of the length will do.
    Nothing,
}

impl Unary {
    /// What [`unary_backward`] wants as `saved`.
    pub fn saved(self) -> Saved {
        match self {
            Self::Neg | Self::Sign | Self::Affine { .. } => Saved::Nothing,
            Self::Sqrt
            | Self::Rsqrt
            | Self::Recip
            | Self::Exp
            | Self::ExpM1
            | Self::Tanh
            | Self::Sigmoid
            | Self::Relu
            | Self::Elu { .. } => Saved::Output,
            _ => Saved::Input,
        }
    }
}

/// Calls `$then!(value of a map type)` with the function of `$op`.
macro_rules! with_function {
    ($op:expr, $t:ty, $then:ident) => {
        match $op {
            Unary::Neg => $then!(Neg),
            Unary::Abs => $then!(Abs),
            Unary::Sign => $then!(Sign),
            Unary::Square => $then!(Square),
            Unary::Sqrt => $then!(Sqrt),
            Unary::Rsqrt => $then!(Rsqrt),
            Unary::Recip => $then!(Recip),
            Unary::Exp => $then!(Exp),
            Unary::ExpM1 => $then!(ExpM1),
            Unary::Ln => $then!(Ln),
            Unary::Ln1p => $then!(Ln1p),
            Unary::Sin => $then!(Sin),
            Unary::Cos => $then!(Cos),
            Unary::Tanh => $then!(Tanh),
            Unary::Sigmoid => $then!(Sigmoid),
            Unary::Erf => $then!(Erf),
            Unary::GeluTanh => $then!(GeluTanh),
            Unary::GeluErf => $then!(GeluErf),
            Unary::Silu => $then!(Silu),
            Unary::Softplus => $then!(Softplus),
            Unary::Relu => $then!(Relu),
            Unary::LeakyRelu { slope } => $then!(LeakyRelu(<$t>::of(slope))),
            Unary::Elu { alpha } => $then!(Elu(<$t>::of(alpha))),
            Unary::Clamp { low, high } => $then!(Clamp(<$t>::of(low), <$t>::of(high))),
            Unary::Affine { scale, shift } => $then!(Affine(<$t>::of(scale), <$t>::of(shift))),
            Unary::Pow { exponent } if exponent == 2.0 => $then!(Square),
            Unary::Pow { exponent } if exponent == 3.0 => $then!(Cube),
            Unary::Pow { exponent } if exponent == 0.5 => $then!(PowHalf),
            Unary::Pow { exponent } if exponent == -0.5 => $then!(PowMinusHalf),
            Unary::Pow { exponent } if exponent == -1.0 => $then!(PowMinusOne),
            Unary::Pow { exponent } if exponent == -2.0 => $then!(PowMinusTwo),
            Unary::Pow { exponent } => $then!(Pow(<$t>::of(exponent), <$t>::of(exponent - 1.0))),
        }
    };
}

/// `out = op(x)`, elementwise.
///
/// # Panics
/// If the lengths differ.
pub fn unary<T: Float>(cpu: &Cpu, op: Unary, x: &[T], out: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map(cpu, Forward($f), [x], [out])
        };
    }
    with_function!(op, T, run)
}

/// [`unary`] on the caller alone: a block within another loop.
///
/// # Panics
/// If the lengths differ.
pub fn unary_block<T: Float>(isa: Isa, op: Unary, x: &[T], out: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map_block(isa, Forward($f), [x], [out])
        };
    }
    with_function!(op, T, run)
}

/// `x = op(x)`, elementwise.
pub fn unary_in_place<T: Float>(cpu: &Cpu, op: Unary, x: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            update(cpu, Forward($f), [x], [])
        };
    }
    with_function!(op, T, run)
}

/// [`unary_in_place`] on the caller alone: a block within another loop.
pub fn unary_block_in_place<T: Float>(isa: Isa, op: Unary, x: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            update_block(isa, Forward($f), [x], [])
        };
    }
    with_function!(op, T, run)
}

/// `dx = dy` times the slope of `op`, elementwise; `saved` is what [`Unary::saved`] asks for.
///
/// # Panics
/// If the lengths differ.
pub fn unary_backward<T: Float>(cpu: &Cpu, op: Unary, saved: &[T], dy: &[T], dx: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map(cpu, Backward($f), [dy, saved], [dx])
        };
    }
    with_function!(op, T, run)
}

/// [`unary_backward`] on the caller alone: a block within another loop.
///
/// # Panics
/// If the lengths differ.
pub fn unary_backward_block<T: Float>(isa: Isa, op: Unary, saved: &[T], dy: &[T], dx: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            map_block(isa, Backward($f), [dy, saved], [dx])
        };
    }
    with_function!(op, T, run)
}

/// `dy = dy` times the slope of `op`: [`unary_backward`] onto the gradient itself.
///
/// # Panics
/// If the lengths differ.
pub fn unary_backward_in_place<T: Float>(cpu: &Cpu, op: Unary, saved: &[T], dy: &mut [T]) {
    macro_rules! run {
        ($f:expr) => {
            update(cpu, Backward($f), [dy], [saved])
        };
    }
    with_function!(op, T, run)
}

/// A function and the gradient of its argument on lanes.
trait Function<T: Float>: Copy + Sync {
    fn value<V: Vector<Elem = T>>(self, x: V) -> V;
    /// The gradient of the argument from that of the result and what [`Unary::saved`] says.
    fn gradient<V: Vector<Elem = T>>(self, dy: V, saved: V) -> V;
}

#[derive(Clone, Copy)]
struct Forward<F>(F);
impl<T: Float, F: Function<T>> Map<T, 1, 1> for Forward<F> {
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [x]: [V; 1]) -> [V; 1] {
        [self.0.value(x)]
    }
}

#[derive(Clone, Copy)]
struct Backward<F>(F);
impl<T: Float, F: Function<T>> Map<T, 2, 1> for Backward<F> {
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [dy, saved]: [V; 2]) -> [V; 1] {
        [self.0.gradient(dy, saved)]
    }
}

macro_rules! functions {
    ($($name:ident $(($($p:ident: $pt:ident),+))?: |$x:ident| $value:expr, |$dy:ident, $s:ident| $gradient:expr;)*) => { $(
        #[derive(Clone, Copy)]
        struct $name$(<T>($($pt),+))?;
        functions!(@impl $name $(($($p),+))?, |$x| $value, |$dy, $s| $gradient);
    )* };
    (@impl $name:ident, |$x:ident| $value:expr, |$dy:ident, $s:ident| $gradient:expr) => {
        impl<T: Float> Function<T> for $name {
            #[inline(always)]
            fn value<V: Vector<Elem = T>>(self, $x: V) -> V { $value }
            #[inline(always)]
            fn gradient<V: Vector<Elem = T>>(self, $dy: V, $s: V) -> V { $gradient }
        }
    };
    (@impl $name:ident ($($p:ident),+), |$x:ident| $value:expr, |$dy:ident, $s:ident| $gradient:expr) => {
        impl<T: Float> Function<T> for $name<T> {
            #[inline(always)]
            fn value<V: Vector<Elem = T>>(self, $x: V) -> V { let Self($($p),+) = self; $(let $p = V::splat($p);)+ $value }
            #[inline(always)]
            fn gradient<V: Vector<Elem = T>>(self, $dy: V, $s: V) -> V { let Self($($p),+) = self; $(let $p = V::splat($p);)+ $gradient }
        }
    };
}

functions! {
    Neg: |x| -x, |dy, _s| -dy;
    Abs: |x| x.abs(), |dy, x| V::select(x.eq(V::zero()), V::zero(), dy.bit_xor(x.sign_bit()));
    Sign: |x| V::select(V::or(x.eq(V::zero()), x.is_nan()), x, V::one().bit_or(x.sign_bit())), |dy, _s| dy.bit_and(V::zero());
    Square: |x| x * x, |dy, x| (x + x) * dy;
    Cube: |x| x * x * x, |dy, x| V::of(3.0) * x * x * dy;
    Sqrt: |x| x.sqrt(), |dy, y| dy * V::of(0.5) / y;
    Rsqrt: |x| V::one() / x.sqrt(), |dy, y| dy * V::of(-0.5) * (y * y * y);
    Recip: |x| V::one() / x, |dy, y| -(dy * (y * y));
    Exp: |x| math::exp(x), |dy, y| dy * y;
    ExpM1: |x| math::exp_m1(x), |dy, y| dy * (y + V::one());
    Ln: |x| math::ln(x), |dy, x| dy / x;
    Ln1p: |x| math::ln_1p(x), |dy, x| dy / (x + V::one());
    Sin: |x| math::sin(x), |dy, x| dy * math::cos(x);
    Cos: |x| math::cos(x), |dy, x| -(dy * math::sin(x));
    Tanh: |x| math::tanh(x), |dy, y| dy * y.neg_mul_add(y, V::one());
    Sigmoid: |x| math::sigmoid(x), |dy, y| dy * y * (V::one() - y);
    Erf: |x| math::erf(x), |dy, x| dy * math::erf_slope(x);
    GeluTanh: |x| math::gelu_tanh(x), |dy, x| dy * math::gelu_tanh_slope(x);
    GeluErf: |x| math::gelu_erf(x), |dy, x| dy * math::gelu_erf_slope(x);
    Silu: |x| math::silu(x), |dy, x| dy * math::silu_slope(x);
    Softplus: |x| math::softplus(x), |dy, x| dy * math::sigmoid(x);
    // The second of `max` where either is NaN: NaN stays.
    Relu: |x| V::zero().max(x), |dy, y| V::select(y.le(V::zero()), V::zero(), dy);
    LeakyRelu(slope: T): |x| V::select(x.gt(V::zero()), x, slope * x), |dy, x| V::select(x.gt(V::zero()), dy, slope * dy);
    Elu(alpha: T): |x| math::elu(x, alpha), |dy, y| V::select(y.gt(V::zero()), dy, dy * (y + alpha));
    Clamp(low: T, high: T): |x| high.min(low.max(x)), |dy, x| V::select(V::or(x.lt(low), x.gt(high)), V::zero(), dy);
    Affine(scale: T, shift: T): |x| x.mul_add(scale, shift), |dy, _s| { let _ = shift; dy * scale };
    Pow(exponent: T, less: T): |x| { let _ = less; math::pow(x, exponent) }, |dy, x| dy * exponent * math::pow(x, less);
    // As `Pow` they are derived from the argument.
    PowHalf: |x| x.sqrt(), |dy, x| dy * V::of(0.5) / x.sqrt();
    PowMinusHalf: |x| V::one() / x.sqrt(), |dy, x| dy * V::of(-0.5) / (x * x.sqrt());
    PowMinusOne: |x| V::one() / x, |dy, x| -(dy / (x * x));
    PowMinusTwo: |x| V::one() / (x * x), |dy, x| dy * V::of(-2.0) / (x * x * x);
}

#[cfg(test)]
mod tests;
