//! Programs to compare with, through a script of ours in their own Python.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;

const SCRIPT: &str = include_str!("peers.py");

/// PyTorch, and ONNX Runtime where it is installed beside it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// A Python that has `torch`.
    pub python: PathBuf,
    /// Measure also with what makes the peer faster than it comes: AVX-512 kernels of its matrix library on processors
    /// of another maker (a preloaded function; needs gcc), compiled graphs, ONNX Runtime. These are baselines of their
    /// own.
    pub best: bool,
}

/// One median of a peer.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) case: String,
    pub(super) baseline: String,
    pub(super) seconds: f64,
}

impl Peer {
    pub(super) fn run(&self, group: &str, threads: usize) -> Result<Vec<Found>> {
        let output = Command::new(&self.python)
            .args(["-c", SCRIPT, group, &threads.to_string(), if self.best { "best" } else { "stock" }])
            .output()
            .map_err(|e| Error::io(&self.python, "run", e))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last: Vec<&str> = said.lines().rev().take(3).collect();
            return Err(Error::Unavailable(format!(
                "{} cannot run the comparison of group `{group}`: {}",
                self.python.display(),
                last.into_iter().rev().collect::<Vec<_>>().join(" | ")
            )));
        }
        text.lines()
            .filter_map(|line| line.strip_prefix("RESULT "))
            .map(|line| {
                serde_json::from_str(line)
                    .map_err(|e| Error::Usage(format!("the script of the comparison printed `{line}`: {e}")))
            })
            .collect()
    }
}
