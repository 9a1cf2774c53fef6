//! The table of a measurement.

use super::cases::Work;
use super::measure::median;
use super::{Samples, Slot};
use serde::Serialize;
use std::collections::BTreeMap;

/// One operation on one number of threads.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Group of cases.
    pub group: String,
    /// The operation and its sizes.
    pub case: String,
    /// Threads, of the peer as well.
    pub threads: usize,
    /// Median seconds of a call.
    pub seconds: f64,
    /// Seconds of a call, of every sample.
    #[serde(skip)]
    pub samples_s: Vec<f64>,
    /// The fastest sample, seconds.
    pub best_seconds: f64,
    /// Floating-point or integer operations a second, in 10⁹, where the case counts them.
    pub gflops: Option<f64>,
    /// Bytes moved a second, in 10⁹, where the case counts them.
    pub gbytes: Option<f64>,
    /// Something else the case reports.
    pub note: Option<String>,
    /// Median seconds of each baseline.
    pub peers: BTreeMap<String, f64>,
}

impl Row {
    /// How many times faster than a baseline.
    pub fn against(&self, baseline: &str) -> Option<f64> {
        Some(self.peers.get(baseline)? / self.seconds)
    }

    /// The fastest baseline but stock PyTorch in its fastest layout, and how many times faster this is.
    pub fn against_best(&self) -> Option<(&str, f64)> {
        let (name, seconds) = self.peers.iter().min_by(|a, b| a.1.total_cmp(b.1))?;
        Some((name, seconds / self.seconds))
    }
}

/// Everything that was measured, and on what.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The processor, as the system names it.
    pub processor: String,
    /// Instruction set of the kernels.
    pub isa: String,
    /// The measurements.
    pub rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(
        groups: &[&str],
        own: BTreeMap<Slot, Samples>,
        mut theirs: BTreeMap<Slot, BTreeMap<String, Vec<f64>>>,
    ) -> Self {
        let rows = own
            .into_iter()
            .map(|(slot, samples)| {
                let seconds = median(&samples.seconds);
                let rate = |amount: f64| amount / seconds * 1e-9;
                let (gflops, gbytes) = match samples.work {
                    Work::Operations(n) => (Some(rate(n)), None),
                    Work::Bytes(n) => (None, Some(rate(n))),
                    Work::Uncounted => (None, None),
                };
                let peers = theirs.remove(&slot).unwrap_or_default();
                Row {
                    group: groups[slot.group].to_owned(),
                    case: slot.name,
                    threads: slot.threads,
                    seconds,
                    samples_s: samples.seconds.clone(),
                    best_seconds: samples.seconds.iter().copied().fold(f64::INFINITY, f64::min),
                    gflops,
                    gbytes,
                    note: samples.note,
                    peers: peers.into_iter().map(|(name, all)| (name, median(&all))).collect(),
                }
            })
            .collect();
        let isa = crate::compute::Isa::detect().to_string();
        Self { processor: processor(), isa, rows }
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}, {}; medians; x = times as fast as that baseline", self.processor, self.isa)?;
        let compared = self.rows.iter().any(|row| !row.peers.is_empty());
        write!(f, "{:<36} {:>2} {:>11} {:>12}", "", "T", "us", "rate")?;
        writeln!(
            f,
            "{}",
            if compared {
                format!(" {:>18} {:>30}", "stock torch us (x)", "fastest baseline us (x)")
            } else {
                String::new()
            }
        )?;
        for row in &self.rows {
            let rate = match (row.gflops, row.gbytes) {
                (Some(rate), _) => format!("{rate:.1} Gop/s"),
                (_, Some(rate)) => format!("{rate:.1} GB/s"),
                _ => String::new(),
            };
            write!(f, "{:<36} {:>2} {:>11.2} {:>12}", row.case, row.threads, row.seconds * 1e6, rate)?;
            if let (Some(stock), Some(ratio)) = (row.peers.get("torch"), row.against("torch")) {
                write!(f, " {:>18}", format!("{:.2} ({ratio:.2}x)", stock * 1e6))?;
            } else if compared {
                write!(f, " {:>18}", "")?;
            }
            if let Some((name, ratio)) = row.against_best() {
                write!(f, " {:>30}", format!("{name} {:.2} ({ratio:.2}x)", row.peers[name] * 1e6))?;
            }
            writeln!(f, "{}", row.note.as_ref().map(|note| format!("  {note}")).unwrap_or_default())?;
        }
        Ok(())
    }
}
