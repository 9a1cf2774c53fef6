//! Which instruction set the kernels run on. Chosen at run time; spikes are the same bits on each.

use crate::error::{Error, Result};

/// An instruction set the hot loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 with AVX-512 F, BW, DQ, VL and VAES: 16 single-precision lanes.
    Avx512,
    /// x86-64 with AVX2 and AES: 8 single-precision lanes.
    Avx2,
    /// AArch64 Advanced SIMD (always present there): 4 single-precision lanes.
    Neon,
    /// What every machine of the target has (SSE2 on x86-64).
    Portable,
}

impl Isa {
    /// Every name that [`Isa::parse`] takes.
    pub const NAMES: [&'static str; 4] = ["avx512", "avx2", "neon", "portable"];

    /// The fastest set this machine has.
    pub fn detect() -> Self {
        [Self::Avx512, Self::Avx2, Self::Neon].into_iter().find(|isa| isa.available()).unwrap_or(Self::Portable)
    }

    /// Every set this machine can run, fastest first.
    pub fn all_available() -> Vec<Self> {
        [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable].into_iter().filter(|isa| isa.available()).collect()
    }

    /// Whether this machine can run it.
    pub fn available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512dq")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("vaes")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("aes"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            Self::Portable => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Parses a name and checks that this machine has the set; an error names what it has.
    pub fn parse(name: &str) -> Result<Self> {
        let isa = match name {
            "avx512" => Self::Avx512,
            "avx2" => Self::Avx2,
            "neon" => Self::Neon,
            "portable" => Self::Portable,
            _ => {
                return Err(Error::Usage(format!(
                    "unknown instruction set `{name}`; known are {}",
                    Self::NAMES.join(", ")
                )));
            }
        };
        if isa.available() {
            Ok(isa)
        } else {
            let here: Vec<_> = Self::all_available().iter().map(|i| i.name()).collect();
            Err(Error::Unavailable(format!(
                "this machine cannot run instruction set `{name}`; it has {}",
                here.join(", ")
            )))
        }
    }

    /// Its name as [`Isa::parse`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
