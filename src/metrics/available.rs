//! How much memory this process may still take.

use std::path::{Path, PathBuf};

/// Bytes this process may still take: what the system has available, or less if a control group (version 1 or 2)
/// limits it. None on systems that do not say.
pub fn available_memory() -> Option<u64> {
    let system = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_available(&text));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = control_groups(&groups).into_iter().filter_map(|group| left(&group)).min();
    match (system, limit) {
        (Some(system), Some(limit)) => Some(system.min(limit)),
        (system, limit) => system.or(limit),
    }
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn mem_available(text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// Folders of the memory control groups of a process, from its own up to the root: a parent's limit holds too.
fn control_groups(text: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let root = if controllers.is_empty() {
            Path::new("/sys/fs/cgroup")
        } else if controllers.split(',').any(|c| c == "memory") {
            Path::new("/sys/fs/cgroup/memory")
        } else {
            continue;
        };
        let own = root.join(group.trim_start_matches('/'));
        folders.extend(own.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned));
    }
    folders
}

/// What a control group has left, if it has a limit.
fn left(folder: &Path) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let number = |text: String| text.trim().parse::<u64>().ok();
    let (limit, used) = match read("memory.max") {
        Some(limit) => (number(limit)?, read("memory.current").and_then(number).unwrap_or(0)),
        None => (
            read("memory.limit_in_bytes").and_then(number)?,
            read("memory.usage_in_bytes").and_then(number).unwrap_or(0),
        ),
    };
    // Version 1 writes a number near 2^63 where there is no limit.
    (limit < 1 << 60).then(|| limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_texts_are_read() {
        assert_eq!(mem_available("MemTotal: 10 kB\nMemAvailable:    2048 kB\n"), Some(2_097_152));
        assert_eq!(
            control_groups("0::/user/job\n"),
            ["/sys/fs/cgroup/user/job", "/sys/fs/cgroup/user", "/sys/fs/cgroup"].map(PathBuf::from)
        );
        assert_eq!(control_groups("5:cpu,memory:/a\n3:pids:/a\n")[0], PathBuf::from("/sys/fs/cgroup/memory/a"));
    }

    #[test]
    fn limits_of_both_versions_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(left(dir.path()), None);
        std::fs::write(dir.path().join("memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(left(dir.path()), None);
        std::fs::write(dir.path().join("memory.limit_in_bytes"), "1000\n").unwrap();
        std::fs::write(dir.path().join("memory.usage_in_bytes"), "400\n").unwrap();
        assert_eq!(left(dir.path()), Some(600));
        std::fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(left(dir.path()), None);
    }
}
