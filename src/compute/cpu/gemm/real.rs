//! The floating-point types whose products are C of the same type.

use std::ops::{Add, Mul};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` and `f64`.
pub trait Real:
    sealed::Sealed
    + Copy
    + PartialOrd
    + Add<Output = Self>
    + Mul<Output = Self>
    + Send
    + Sync
    + std::fmt::Debug
    + Default
    + 'static
{
    /// 0
    const ZERO: Self;

    /// The tanh form of GELU.
    fn gelu_tanh(self) -> Self;
}

/// sqrt(2 / pi)
const ROOT: f64 = 0.797_884_560_802_865_4;

impl Real for f32 {
    const ZERO: Self = 0.0;

    fn gelu_tanh(self) -> Self {
        f64::from(self).gelu_tanh() as f32
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;

    fn gelu_tanh(self) -> Self {
        0.5 * self * (1.0 + libm::tanh(ROOT * (self + 0.044_715 * self * self * self)))
    }
}
