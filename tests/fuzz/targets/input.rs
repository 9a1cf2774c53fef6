//! What every target does with its input: files in a folder in memory, read by `tests/mutations/readers.rs`.

#[path = "../../mutations/bundle.rs"]
mod bundle;
#[path = "../../mutations/containers.rs"]
mod containers;
#[path = "../../mutations/fixtures.rs"]
mod fixtures;
#[path = "../../mutations/readers.rs"]
mod readers;

use std::path::Path;
use std::sync::OnceLock;
use tessera::config::RunSpec;

/// The run whose checkpoints the target `checkpoint` reads.
fn run() -> &'static RunSpec {
    static RUN: OnceLock<RunSpec> = OnceLock::new();
    RUN.get_or_init(|| fixtures::small(folder().path()))
}

fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder for the files")
}

/// Reads `bytes` as the target of that name does. Every refusal must name a file.
pub fn read(target: &str, bytes: &[u8]) {
    let files = folder();
    let outcome = readers::fuzzed(target, bytes, files.path(), run());
    let named = files.path().display().to_string();
    for refusal in &outcome.refusals {
        assert!(refusal.contains(&named), "this names no file: {refusal}");
    }
}
