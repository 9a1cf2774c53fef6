//! `run.json`: what was run, on what, and what came out.

use super::{CheckpointCost, Machine, Named, OutputDir, RunProfile};
use crate::engine::InactiveFigures;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the file.
pub(super) const FILE: &str = "run.json";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// It is under way, or was killed; files that the record lists may not be there yet.
    Running,
    /// It reached its end.
    Complete,
    /// It was stopped from outside; what it recorded until then is there.
    Interrupted,
    /// An error stopped it; what it recorded until then is there.
    Failed,
}

/// The numbers of a run. All are finite; those that divide by nothing are 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunSummary {
    /// Neurons of the network.
    pub neurons: u64,
    /// Synapses of the network.
    pub synapses: u64,
    /// Biological time simulated, ms.
    pub duration_ms: f64,
    /// Time step, ms.
    pub dt_ms: f64,
    /// Threads used.
    pub threads: usize,
    /// Instruction set used.
    pub isa: String,
    /// Wall-clock time to build the network, s.
    pub build_s: f64,
    /// Wall-clock time to simulate, s.
    pub sim_s: f64,
    /// `sim_s` over the biological time: below 1 is faster than real time.
    pub real_time_factor: f64,
    /// Spikes of the network.
    pub spikes: u64,
    /// Synaptic events delivered.
    pub synaptic_events: u64,
    /// Mean rate of each population, Hz.
    pub rates_hz: Named<f64>,
    /// Wall-clock time of each phase of the simulation (update, deliver, exchange, record, ...), s.
    pub phases_s: Named<f64>,
    /// Largest resident memory of the process, bytes.
    pub peak_rss_bytes: u64,
    /// Resident memory of the process when the run ended, bytes.
    #[serde(default)]
    pub resident_bytes: u64,
    /// Memory of the synapses, bytes.
    pub synapse_bytes: u64,
    /// How often the network was cut anew by measured load; absent where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalances: Option<u64>,
    /// Digest of all spikes: the same for the same network and seed on any machine and with any number of threads.
    pub spike_digest: String,
    /// What skipping and compressing neurons at rest did, if it was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactive: Option<InactiveFigures>,
}

/// How the weights onto a receptor were stored, and what that cost in precision.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoredWeights {
    /// Population.
    pub population: String,
    /// Receptor.
    pub receptor: String,
    /// Unit of the weights.
    pub unit: String,
    /// Bits a weight.
    pub bits: u32,
    /// Smallest difference between two weights, in the weight's unit; 0 for floating-point numbers.
    pub step: f64,
    /// Largest difference between a weight as drawn and as stored, in the weight's unit.
    pub max_error: f64,
}

/// The record of a run, kept as `run.json` beside its results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this program.
    pub tessera: String,
    /// How the run ended.
    pub status: RunStatus,
    /// What stopped it, if an error did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it ran on.
    pub machine: Machine,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// The configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The whole configuration, with every default filled in.
    pub config: serde_json::Value,
    /// Size of each population, in the order of the network.
    #[serde(default)]
    pub populations: Named<u32>,
    /// How weights were stored.
    #[serde(default)]
    pub weights: Vec<StoredWeights>,
    /// The numbers; absent if the run stopped before it had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<RunSummary>,
    /// Biological times at which the run was resumed from a checkpoint, ms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed_ms: Vec<f64>,
    /// What checkpoints cost, if any were written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<CheckpointCost>,
    /// Where time and memory went, if the run was asked to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Box<RunProfile>>,
    /// Names of the result files beside this one.
    #[serde(default)]
    pub files: Vec<String>,
}

impl RunRecord {
    /// Writes `run.json`; a reader sees the old one or the new one, never a part.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &OutputDir) -> Result<()> {
        let path = folder.path(FILE);
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::format(&path, e.to_string()))?;
        text.push(b'\n');
        folder.write_atomic(FILE, &text)
    }

    /// Notes in the record of a run under way that it failed, in the room that record has: for disks on which another
    /// finds none.
    ///
    /// # Errors
    /// There is no such record, or no room in it.
    pub fn note_failure(folder: &OutputDir, error: &Error) -> Result<()> {
        let path = folder.path(FILE);
        let io = |e| Error::io(&path, "write", e);
        let mut record = Self::read(&path)?;
        (record.status, record.error) = (RunStatus::Failed, Some(error.to_string()));
        // Without indentation it is shorter than it was, by more than the error is long.
        let text = serde_json::to_vec(&record).map_err(|e| Error::format(&path, e.to_string()))?;
        let mut file = OpenOptions::new().write(true).open(&path).map_err(io)?;
        if text.len() as u64 > file.metadata().map_err(io)?.len() {
            return Err(io(std::io::ErrorKind::StorageFull.into()));
        }
        let written = file.write_all(&text).and_then(|()| file.set_len(text.len() as u64));
        written.and_then(|()| file.sync_all()).map_err(io)
    }

    /// Reads the `run.json` of a folder, or the file itself.
    ///
    /// # Errors
    /// The file cannot be read or is not a record of a run.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let text = std::fs::read(&file).map_err(|e| Error::io(&file, "read", e))?;
        serde_json::from_slice(&text).map_err(|e| Error::format(&file, format!("it is not the record of a run: {e}")))
    }
}
