//! A clock cheap enough to read several times a simulation step.
#![allow(unsafe_code)]

/// Ticks of the processor's constant-rate counter; nanoseconds where there is none.
#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the time-stamp counter.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(target_arch = "aarch64")]
    {
        let t: u64;
        // SAFETY: the virtual counter is readable from user space.
        unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) t) };
        return t;
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
    }
}

/// A stretch of time measured in both ticks and seconds; converts tick sums taken within it to seconds.
#[derive(Debug, Clone, Copy)]
pub struct Calibration {
    ticks: u64,
    instant: std::time::Instant,
}

impl Calibration {
    /// Starts now.
    pub fn start() -> Self {
        Self { ticks: ticks(), instant: std::time::Instant::now() }
    }

    /// Seconds a tick, from the time since the start.
    pub fn seconds_per_tick(&self) -> f64 {
        let elapsed = ticks().wrapping_sub(self.ticks).max(1);
        self.instant.elapsed().as_secs_f64() / elapsed as f64
    }

    /// Seconds since the start.
    pub fn elapsed(&self) -> f64 {
        self.instant.elapsed().as_secs_f64()
    }
}
