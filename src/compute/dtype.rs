//! Element types of tensors.

use crate::error::{Error, Result};
pub use half::{bf16, f16};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit floating point; the default.
    F32,
    /// 64-bit floating point.
    F64,
    /// 16-bit IEEE floating point: 5 bits of exponent, 10 of fraction.
    F16,
    /// 16-bit brain floating point: 8 bits of exponent, 7 of fraction.
    Bf16,
    /// 8-bit signed integer.
    I8,
    /// 32-bit signed integer.
    I32,
    /// 8-bit unsigned integer; also the type of truth values (0 and 1).
    U8,
}

impl DType {
    /// All types.
    pub const ALL: [Self; 7] = [Self::F32, Self::F64, Self::F16, Self::Bf16, Self::I8, Self::I32, Self::U8];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }

    /// Its name: `f32`, `f64`, `f16`, `bf16`, `i8`, `i32` or `u8`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I8 => "i8",
            Self::I32 => "i32",
            Self::U8 => "u8",
        }
    }

    /// Whether gradients can flow through tensors of the type.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }

    /// Parses a name as [`DType::name`] gives it.
    ///
    /// # Errors
    /// An unknown name; the message lists the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|dtype| dtype.name()).collect();
            Error::Usage(format!("unknown element type `{name}`; known are {}", known.join(", ")))
        })
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    /// Keeps [`super::Element`] to the types whose every bit pattern is a value.
    pub trait Sealed {}
}

/// A Rust type that can be an element of a tensor. Every bit pattern of such a type is a valid value.
pub trait Element: sealed::Sealed + Copy + Send + Sync + Default + PartialEq + std::fmt::Debug + 'static {
    /// Its run-time name.
    const DTYPE: DType;
    /// Widens to double precision.
    fn to_f64(self) -> f64;
    /// Rounds from double precision; integers truncate towards zero and saturate.
    fn of_f64(x: f64) -> Self;
}

/// The same number, or one beside it that rounds to the same 16 bits, with the lower half of its bits zero: conversions of
/// `half` do not look at those, and take what is just above a tie for one.
#[inline]
fn sticky(x: f64) -> f64 {
    let bits = x.to_bits();
    f64::from_bits(bits & !0xffff_ffff | u64::from(bits as u32 != 0) << 32)
}

macro_rules! element {
    ($($t:ty, $dtype:ident, $to:expr, $of:expr;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$dtype;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                let to: fn($t) -> f64 = $to;
                to(self)
            }
            #[inline(always)]
            fn of_f64(x: f64) -> Self {
                let of: fn(f64) -> $t = $of;
                of(x)
            }
        }
    )*};
}
element! {
    f32, F32, f64::from, |x| x as f32;
    f64, F64, |x| x, |x| x;
    f16, F16, f64::from, |x| f16::from_f64(sticky(x));
    bf16, Bf16, f64::from, |x| bf16::from_f64(sticky(x));
    i8, I8, f64::from, |x| x as i8;
    i32, I32, f64::from, |x| x as i32;
    u8, U8, f64::from, |x| x as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_the_nearest() {
        // Ties go to the even neighbour, what lies above them up, below them down.
        let tie = 0.580_078_125;
        assert_eq!(bf16::of_f64(tie).to_f64(), 0.578_125);
        assert_eq!(bf16::of_f64(tie * (1.0 + f64::EPSILON)).to_f64(), 0.582_031_25);
        assert_eq!(bf16::of_f64(tie * (1.0 - f64::EPSILON)).to_f64(), 0.578_125);
        let tie = 1.0 + 0.5f64.powi(11);
        assert_eq!(f16::of_f64(tie).to_f64(), 1.0);
        assert_eq!(f16::of_f64(tie * (1.0 + f64::EPSILON)).to_f64(), 1.0 + 0.5f64.powi(10));
        assert_eq!(f16::of_f64(-tie * (1.0 + f64::EPSILON)).to_f64(), -1.0 - 0.5f64.powi(10));
        assert!(bf16::of_f64(f64::NAN).is_nan() && f16::of_f64(f64::NAN).is_nan());
        assert_eq!(f16::of_f64(f64::INFINITY), f16::INFINITY);
        assert_eq!(bf16::of_f64(f64::NEG_INFINITY), bf16::NEG_INFINITY);
    }

    #[test]
    fn names_parse_back() {
        for dtype in DType::ALL {
            assert_eq!(DType::parse(dtype.name()).unwrap(), dtype);
        }
        assert!(DType::parse("f8").unwrap_err().to_string().contains("bf16"));
    }
}
