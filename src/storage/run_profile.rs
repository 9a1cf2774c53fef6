//! What a run was asked to tell of its time and memory, as part of its record.

use crate::engine::StepProfile;
use crate::metrics::{MemoryChange, MemorySnapshot, Profile};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The profile of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunProfile {
    /// Where the time went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeProfile>,
    /// Where the memory went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryProfile>,
    /// The trace, if one was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceRecord>,
}

/// Where the time of a run went, up to the writing of its record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TimeProfile {
    /// Phases of the program, on its main thread.
    pub spans: Profile,
    /// Phases of the steps, on the workers.
    pub steps: StepProfile,
}

/// Where the memory of a run went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryProfile {
    /// Memory at the end of each phase of the program, by part.
    pub snapshots: Vec<MemorySnapshot>,
    /// What changed from each snapshot to the next.
    pub changes: Vec<MemoryChanges>,
    /// What `tessera check` estimates for the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<MemorySnapshot>,
    /// Whether the system let the high-water mark be set back at the beginning of each phase; where not, the mark of a
    /// snapshot is that of the whole process until then.
    pub high_water_by_phase: bool,
}

/// What changed between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryChanges {
    /// Name of the earlier snapshot.
    pub from: String,
    /// Name of the later one.
    pub to: String,
    /// The parts that differ.
    pub parts: Vec<MemoryChange>,
}

/// A trace that was written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TraceRecord {
    /// The file.
    pub file: PathBuf,
    /// Spans in it.
    pub spans: u64,
    /// Of the steps, those whose number is a multiple of this are in it.
    pub every_steps: u64,
}

impl MemoryProfile {
    /// A profile of snapshots in the order in which they were taken.
    pub fn of(snapshots: Vec<MemorySnapshot>, estimate: Option<MemorySnapshot>, high_water_by_phase: bool) -> Self {
        let changes = snapshots.windows(2).map(|pair| MemoryChanges {
            from: pair[0].name.clone(),
            to: pair[1].name.clone(),
            parts: pair[0].diff(&pair[1]),
        });
        Self { changes: changes.collect(), snapshots, estimate, high_water_by_phase }
    }

    /// The snapshot of that name.
    pub fn snapshot(&self, name: &str) -> Option<&MemorySnapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }

    /// The parts that differ between two snapshots; `None` if there is no such snapshot.
    pub fn diff(&self, from: &str, to: &str) -> Option<Vec<MemoryChange>> {
        Some(self.snapshot(from)?.diff(self.snapshot(to)?))
    }
}
