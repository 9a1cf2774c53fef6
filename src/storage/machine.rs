//! What a run was made on.

use serde::{Deserialize, Serialize};

/// The machine of a run, as far as it matters for its speed. Nothing in it tells one machine of a kind from another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Processor model, or its architecture where the system does not name the model.
    pub cpu: String,
    /// Logical processors this process may use.
    pub cores: usize,
    /// Memory, bytes; absent where the system does not say.
    pub memory: Option<u64>,
    /// Operating system.
    pub os: String,
}

impl Machine {
    /// This machine.
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: cpu_model(&read("/proc/cpuinfo")).unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: total_memory(&read("/proc/meminfo")),
            os: os_name(&read("/etc/os-release")).unwrap_or_else(|| std::env::consts::OS.to_owned()),
        }
    }
}

/// Model of the first processor.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|l| l.starts_with("model name"))?;
    let model = line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" ");
    (!model.is_empty()).then_some(model)
}

/// Total memory in bytes; the file counts in KiB.
fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|l| l.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Name and version for people.
fn os_name(os_release: &str) -> Option<String> {
    let name = os_release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?.trim_matches('"');
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_files_are_understood() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: X\nmodel name\t: Some  CPU @ 3.0GHz\n\nprocessor\t: 1\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("Some CPU @ 3.0GHz"));
        assert_eq!(cpu_model("processor: 0\n"), None);
        assert_eq!(total_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(os_name("ID=debian\nPRETTY_NAME=\"Debian 12\"\n").as_deref(), Some("Debian 12"));
        assert_eq!(os_name(""), None);
    }
}
