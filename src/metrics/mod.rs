//! Memory figures of the running process, and what it may still take.

mod available;

pub use available::available_memory;

/// Largest resident memory of this process so far, bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    status_field("VmHWM:")
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
