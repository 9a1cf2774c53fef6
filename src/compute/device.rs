//! Devices that tensors live on.

use super::backend::Backend;
use super::cpu::{Cpu, CpuBackend};
use super::dtype::DType;
use super::memory::{Buffer, Pool, PoolFigures};
use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock};

/// Where tensors live and their kernels run. Cheap to clone; a clone is the same device.
#[derive(Debug, Clone)]
pub enum Device {
    /// Processors of this machine.
    Cpu(Arc<CpuDevice>),
}

/// A crew of workers with a memory pool of its own.
#[derive(Debug)]
pub struct CpuDevice {
    backend: CpuBackend,
    pool: Arc<Pool>,
}

/// The device of [`Device::cpu`], once somebody has asked for it.
static ALL: OnceLock<Device> = OnceLock::new();

impl Device {
    /// Figures of the memory pool of [`Device::cpu`]; `None` as long as nobody has used that device.
    pub fn cpu_pool_figures() -> Option<PoolFigures> {
        ALL.get().map(|device| device.pool().figures())
    }

    /// All processors this process may use: one device for the whole process.
    pub fn cpu() -> Self {
        ALL.get_or_init(|| Self::cpu_threads(std::thread::available_parallelism().map_or(1, usize::from))).clone()
    }

    /// A device of its own with `threads` workers (at least one), the caller included. Tensors of two devices do not
    /// mix. Results do not depend on the number.
    pub fn cpu_threads(threads: usize) -> Self {
        Self::of_cpu(Cpu::new(threads))
    }

    /// A device on chosen workers and instruction set.
    pub fn of_cpu(cpu: Cpu) -> Self {
        Self::Cpu(Arc::new(CpuDevice { backend: CpuBackend::new(cpu), pool: Arc::default() }))
    }

    /// Parses `cpu` or `cpu:THREADS`.
    ///
    /// # Errors
    /// A device this build or machine does not have; never another device in its place.
    pub fn parse(name: &str) -> Result<Self> {
        let (kind, detail) = name.split_once(':').map_or((name, None), |(kind, detail)| (kind, Some(detail)));
        match (kind, detail) {
            ("cpu", None) => Ok(Self::cpu()),
            ("cpu", Some(threads)) => match threads.parse() {
                Ok(threads @ 1..=4096) => Ok(Self::cpu_threads(threads)),
                _ => {
                    Err(Error::Usage(format!("`{name}`: the number of threads is `{threads}`, allowed are 1 to 4096")))
                }
            },
            ("cuda" | "metal" | "webgpu", _) => Err(Error::Unavailable(format!(
                "device `{name}` is not part of this build; it has cpu and cpu:THREADS"
            ))),
            _ => Err(Error::Usage(format!("unknown device `{name}`; known are cpu and cpu:THREADS"))),
        }
    }

    /// Its kernels.
    #[inline]
    pub fn backend(&self) -> &dyn Backend {
        match self {
            Self::Cpu(device) => &device.backend,
        }
    }

    /// The workers and instruction set of a CPU device.
    pub fn as_cpu(&self) -> &Cpu {
        match self {
            Self::Cpu(device) => device.backend.cpu(),
        }
    }

    /// Its memory pool.
    #[inline]
    pub fn pool(&self) -> &Arc<Pool> {
        match self {
            Self::Cpu(device) => &device.pool,
        }
    }

    /// Room for `len` elements on the device; the values are arbitrary until written.
    ///
    /// # Errors
    /// The limit of the pool or the memory is exceeded.
    #[inline]
    pub fn buffer(&self, dtype: DType, len: usize) -> Result<Buffer> {
        Buffer::new(self.pool(), dtype, len)
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cpu(a), Self::Cpu(b)) => Arc::ptr_eq(a, b),
        }
    }
}

impl Eq for Device {}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu(_) => write!(f, "cpu:{}", self.as_cpu().crew.size()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_parse_or_say_why_not() {
        assert_eq!(Device::parse("cpu:3").unwrap().to_string(), "cpu:3");
        assert_eq!(Device::parse("cpu").unwrap(), Device::cpu());
        assert!(matches!(Device::parse("cuda:0"), Err(Error::Unavailable(_))));
        assert!(Device::parse("cpu:0").is_err() && Device::parse("gpu").is_err());
        assert_ne!(Device::cpu_threads(1), Device::cpu_threads(1));
    }
}
