//! The memory of a run by part: what is counted is what `tessera check` estimates.

use std::path::Path;
use tessera::config::{Estimate, RunSpec};
use tessera::engine::part;
use tessera::metrics::MemorySnapshot;

/// The parts whose size the clock or the activity decides: how many spikes wait depends on how fast the machine is, and
/// the fullest step so far on the dynamics. They are bounded instead.
const ACTIVE: [&str; 2] = [part::LOGS, part::BUFFERS];

/// Builds and runs a configuration; what was counted at the end, and what was estimated at the rate it had.
fn run(file: &str, overrides: &[&str]) -> Option<(MemorySnapshot, Estimate)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(file);
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let check = RunSpec::check(&path, &overrides);
    let Some(spec) = check.spec else {
        let data = path.with_file_name("../../shared/data/larva");
        assert!(file == "larva.toml" && !data.exists(), "{:?}", check.faults);
        println!("skipped: no data");
        return None;
    };
    let mut sim = spec.build().unwrap();
    sim.run(spec.run.duration_ms).unwrap();
    let counted = sim.memory("run");
    let seconds = spec.run.duration_ms * 1e-3;
    let rate_hz = sim.figures().spikes as f64 / sim.figures().neurons as f64 / seconds;
    Some((counted, Estimate::at_rate(&spec.network, &spec.run, rate_hz)))
}

fn without_activity(memory: &MemorySnapshot) -> f64 {
    memory.counted() as f64 - ACTIVE.iter().map(|part| memory.bytes(part)).sum::<u64>() as f64
}

fn agree(file: &str, overrides: &[&str]) {
    let Some((counted, estimate)) = run(file, overrides) else { return };
    let (own, foreseen) = (without_activity(&counted), without_activity(&estimate.parts));
    let told = format!("{file} {overrides:?}\n{counted}\n{}", estimate.parts);
    assert!((foreseen / own - 1.0).abs() < 0.1, "{told}");
    // Every part that matters, too.
    for part in counted.parts.iter().filter(|part| part.bytes as f64 > 0.1 * own && !ACTIVE.contains(&&*part.part)) {
        let foreseen = estimate.parts.bytes(&part.part) as f64;
        assert!((foreseen / part.bytes as f64 - 1.0).abs() < 0.1, "{}: {told}", part.part);
    }
    // 32,768 spikes (three times over) and what a stretch may overshoot, as room of lists that doubles.
    assert!(counted.bytes(part::LOGS) < 12 << 20 && counted.bytes(part::BUFFERS) < 4 << 20, "{told}");
}

#[test]
fn quickstart() {
    for threads in ["run.threads=1", "run.threads=2", "run.threads=3"] {
        agree("quickstart.toml", &["run.duration=\"200 ms\"", threads]);
    }
    agree(
        "quickstart.toml",
        &["run.duration=\"50 ms\"", "run.threads=2", "run.precision=\"f64\"", "run.weight_bits=32"],
    );
}

#[test]
fn vogels_abbott() {
    for file in ["cuba.toml", "coba.toml"] {
        agree(file, &["run.duration=\"100 ms\"", "run.threads=2"]);
        agree(file, &["run.duration=\"50 ms\"", "run.threads=5"]);
    }
}

#[test]
fn brunel() {
    agree("brunel.toml", &["run.duration=\"50 ms\"", "run.threads=2"]);
}

#[test]
fn lattice() {
    agree("lattice_4d.toml", &["run.duration=\"50 ms\"", "run.threads=2"]);
}

#[test]
fn larva() {
    agree("larva.toml", &["run.duration=\"50 ms\"", "run.threads=2"]);
}

/// A quarter of the neurons and a sixteenth of the synapses.
#[test]
fn microcircuit() {
    let sizes = [
        ("L23E", 5171),
        ("L23I", 1459),
        ("L4E", 5479),
        ("L4I", 1370),
        ("L5E", 1213),
        ("L5I", 266),
        ("L6E", 3599),
        ("L6I", 737),
    ];
    let sizes = sizes.map(|(name, n)| format!("population.{name}.n={n}"));
    let mut overrides: Vec<&str> = sizes.iter().map(|text| &**text).collect();
    overrides.extend(["run.duration=\"20 ms\"", "run.threads=2"]);
    agree("microcircuit.toml", &overrides);
}

#[test]
fn snapshots_are_compared_by_part() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/cuba.toml");
    let spec = RunSpec::load(path, &["run.threads=1".to_owned()]).unwrap();
    let mut sim = spec.build().unwrap();
    let built = sim.memory("built");
    sim.run(20.0).unwrap();
    let ran = sim.memory("ran");
    let changed = built.diff(&ran);
    // Nothing that is laid out once grows.
    assert!(
        changed.iter().all(|c| [part::LOGS, part::CALENDAR, part::BUFFERS, part::STIMULI].contains(&&*c.part)),
        "{changed:?}"
    );
    assert!(changed.iter().any(|c| c.part == part::LOGS && c.before < c.after), "{changed:?}");
    assert_eq!(built.bytes(part::STATE), 4000 * (3 * 4 + 2));
}
