//! `tessera bench ops`: how long operations of the dense layer take, beside PyTorch and ONNX Runtime if they are there.
//!
//! Every case has a name that the peer's script (`peers.py`, part of the program) uses as well. Both run in turn, one
//! group of cases and one number of threads at a time, several rounds, so that a busy machine slows both; a ratio is
//! taken between medians over all rounds.

mod cases;
mod measure;
mod peers;
mod report;

pub use cases::GROUPS;
pub use peers::Peer;
pub use report::{Report, Row};

use crate::compute::Device;
use crate::error::{Error, Result, did_you_mean};
use std::collections::BTreeMap;

/// What is measured.
#[derive(Debug, Clone)]
pub struct OpBench {
    /// Groups of cases, of [`GROUPS`]; all where empty.
    pub groups: Vec<String>,
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// How often every group is measured, in turn with the peer.
    pub rounds: usize,
    /// The program to compare with.
    pub peer: Option<Peer>,
}

impl Default for OpBench {
    fn default() -> Self {
        Self { groups: Vec::new(), threads: vec![1, 2], rounds: 3, peer: None }
    }
}

impl OpBench {
    /// Measures. `progress` is told what is under way.
    ///
    /// # Errors
    /// An unknown group, no memory, or a peer that does not run; the message holds what it said.
    pub fn run(&self, mut progress: impl FnMut(&str)) -> Result<Report> {
        for group in &self.groups {
            if !GROUPS.contains(&group.as_str()) {
                let near = did_you_mean(group, GROUPS).map(|near| format!(", did you mean `{near}`?"));
                return Err(Error::Usage(format!(
                    "there is no group `{group}`{}; known are {}",
                    near.unwrap_or_default(),
                    GROUPS.join(", ")
                )));
            }
        }
        if self.rounds == 0 || self.threads.contains(&0) {
            return Err(Error::Usage("rounds and threads are 1 at least".to_owned()));
        }
        let groups: Vec<&str> =
            GROUPS.into_iter().filter(|g| self.groups.is_empty() || self.groups.iter().any(|own| own == g)).collect();
        // (place in the list of cases, name, threads) -> samples; peers by baseline.
        let mut own: BTreeMap<Slot, Samples> = BTreeMap::new();
        let mut theirs: BTreeMap<Slot, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
        for round in 0..self.rounds {
            for (place, group) in groups.iter().enumerate() {
                for threads in &self.threads {
                    progress(&format!("round {} of {}: {group}, {threads} threads", round + 1, self.rounds));
                    let device = Device::cpu_threads(*threads);
                    for (i, mut case) in cases::of(group, &device)?.into_iter().enumerate() {
                        let slot = Slot { group: place, case: i, name: case.name.clone(), threads: *threads };
                        let samples = own.entry(slot).or_insert_with(|| Samples {
                            work: case.work,
                            note: case.note.clone(),
                            seconds: Vec::new(),
                        });
                        samples.seconds.extend(measure::samples(&mut case.run)?);
                    }
                    drop(device);
                    if let Some(peer) = &self.peer {
                        for found in peer.run(group, *threads)? {
                            let slot = own.keys().find(|slot| slot.name == found.case && slot.threads == *threads);
                            if let Some(slot) = slot {
                                let all = theirs.entry(slot.clone()).or_default();
                                all.entry(found.baseline).or_default().push(found.seconds);
                            }
                        }
                    }
                }
            }
        }
        Ok(Report::new(&groups, own, theirs))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    group: usize,
    case: usize,
    threads: usize,
    name: String,
}

struct Samples {
    work: cases::Work,
    note: Option<String>,
    seconds: Vec<f64>,
}
