//! The floating-point types whose products are of the same type.

use std::ops::{Add, Mul};

use super::super::super::{Isa, Zeroed};
use super::super::unary::{Unary, unary_block_in_place};
use super::epilogue::Activation;
use super::kernels::Kernels;
use super::portable;

mod sealed {
    pub trait Sealed: super::Zeroed {
        /// The tile kernels for `isa`.
        fn kernels(isa: super::Isa) -> &'static super::Kernels<Self, Self>
        where
            Self: Sized;

        /// Applies an activation.
        fn activate(isa: super::Isa, activation: super::Activation, values: &mut [Self])
        where
            Self: Sized;
    }
}
pub(super) use sealed::Sealed;

/// `f32` and `f64`.
pub trait Real:
    Sealed + Copy + PartialOrd + Add<Output = Self> + Mul<Output = Self> + Send + Sync + std::fmt::Debug + Default + 'static
{
    /// 0
    const ZERO: Self;
}

macro_rules! real {
    ($t:ident, $kernels:ident) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
        }
        impl Sealed for $t {
            fn kernels(isa: Isa) -> &'static Kernels<Self, Self> {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 if isa.available() => &super::avx512::$kernels,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 if isa.available() && std::is_x86_feature_detected!("fma") => &super::avx2::$kernels,
                    #[cfg(target_arch = "aarch64")]
                    Isa::Neon => &super::neon::$kernels,
                    _ => &portable::$kernels,
                }
            }

            fn activate(isa: Isa, activation: Activation, values: &mut [Self]) {
                match activation {
                    Activation::Identity => {}
                    Activation::Relu => unary_block_in_place(isa, Unary::Relu, values),
                    Activation::GeluTanh => unary_block_in_place(isa, Unary::GeluTanh, values),
                }
            }
        }
    };
}
real!(f32, F32);
real!(f64, F64);
