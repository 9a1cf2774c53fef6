//! What a program takes: time in named spans ([`Profiler`]), traces of them, memory by part ([`MemorySnapshot`]), memory of
//! the running process, and what it may still take.

mod available;
mod memory_parts;
mod profile;
mod profiler;
mod trace;

pub use available::available_memory;
pub use memory_parts::{MemoryChange, MemoryPart, MemorySnapshot};
pub use profile::{Profile, ProfileRow, seconds};
pub use profiler::{Installed, NotOpen, Profiler, Span, span, timed};
pub use trace::{Trace, TraceEvent, TraceThread};

use std::sync::atomic::{AtomicU64, Ordering};

/// Largest resident memory of this process so far, bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    status_field("VmHWM:").max(EARLIER_PEAK.load(Ordering::Relaxed))
}

/// The largest resident memory before the system's mark was last set back, bytes.
static EARLIER_PEAK: AtomicU64 = AtomicU64::new(0);

/// Largest resident memory since the last call of [`start_peak`], or of the whole process where there was none, bytes.
pub fn peak_since_start() -> u64 {
    status_field("VmHWM:")
}

/// Sets the mark of [`peak_since_start`] back to what is resident now; whether the system let it. [`peak_rss_bytes`]
/// still tells of the whole process.
pub fn start_peak() -> bool {
    EARLIER_PEAK.fetch_max(status_field("VmHWM:"), Ordering::Relaxed);
    // Linux: 5 sets the high-water mark back to the present resident size.
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Resident memory of this process now, bytes; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    status_field("VmRSS:")
}

fn status_field(name: &str) -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_figures_are_plausible() {
        let (now, peak) = (super::resident_bytes(), super::peak_rss_bytes());
        assert!(now > 100_000 && peak >= now / 2, "{now} {peak}");
    }
}
