//! Runs that are killed without notice, at random moments, and resumed, often several times in a row: they end with the
//! same digest and the same bytes in every file as the run that nobody disturbed.
//!
//! The ordinary suite kills a few times; `TESSERA_KILLS=200 cargo test --test kill_resume -- --nocapture` does it at
//! length. When a kill falls decides nothing but what is tried: every check holds for any moment.

#[path = "python/venv.rs"]
#[allow(dead_code)]
mod venv;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tessera::rng::{Key, Purpose, Sequence};
use tessera::storage::{Checkpoints, PopulationSpikes, RunRecord, RunStatus, read_spikes, repair};

/// Kills of a run in a row; then it is let go to its end.
const IN_A_ROW: u32 = 6;

fn network() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/networks/lively.toml")
}

/// Runs the program and waits for it.
fn tessera(args: &[&str]) {
    let output = start(args).wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Content of the result files in a folder: all but the record of the run and the checkpoints.
fn results(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|e| e.file_type().unwrap().is_file() && e.file_name() != "run.json");
    files.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

fn digest(folder: &Path) -> String {
    RunRecord::read(folder).unwrap().summary.unwrap().spike_digest
}

/// What was tried and what happened.
#[derive(Debug, Default)]
struct Tally {
    runs: u32,
    kills: u32,
    before_the_first_checkpoint: u32,
    while_resuming_or_resumed: u32,
    ended_before_the_kill: u32,
    spike_files_read: u32,
    spike_files_read_by_h5py: u32,
    most_in_a_row: u32,
}

/// What a killed run leaves in `spikes.h5` can be read once it is repaired: a beginning of all spikes, and at least
/// those up to the newest checkpoint.
fn check_spikes(out: &Path, all: &[PopulationSpikes], python: Option<&Path>, tally: &mut Tally) {
    let Ok(latest) = Checkpoints::latest(out) else { return };
    assert!(latest.damaged.is_empty(), "a checkpoint is complete or absent: {:?}", latest.damaged);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("spikes.h5");
    std::fs::copy(out.join("spikes.h5"), &copy).unwrap();
    repair(&copy).unwrap();
    let found = read_spikes(&copy).unwrap();
    assert_eq!(found.len(), all.len());
    for (found, all) in found.iter().zip(all) {
        let known = all.times_ms.iter().filter(|time| **time <= latest.checkpoint.time_ms() + 1e-9).count();
        let (n, name) = (found.ids.len(), &all.name);
        assert!(n >= known, "{name}: {n} spikes of {known} by the checkpoint");
        assert!(found.ids[..] == all.ids[..n] && found.times_ms[..] == all.times_ms[..n], "{name}: not a beginning");
    }
    tally.spike_files_read += 1;
    let Some(python) = python else { return };
    let script = "import h5py, sys\n\
                  f = h5py.File(sys.argv[1])\n\
                  print(*[f['spikes'][p][d].shape[0] for p in f['spikes'] for d in ('timestamps', 'node_ids')])";
    let output = Command::new(python).args(["-c", script]).arg(&copy).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lengths: Vec<(&str, usize)> = found.iter().map(|p| (p.name.as_str(), p.ids.len())).collect();
    lengths.sort_unstable();
    let expected: Vec<String> = lengths.iter().flat_map(|(_, n)| [n.to_string(), n.to_string()]).collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected.join(" "));
    tally.spike_files_read_by_h5py += 1;
}

/// Starts the program and kills it after `wait`; whether it came to an end before.
fn disturb(args: &[&str], wait: Duration) -> bool {
    let mut child = start(args);
    let begin = Instant::now();
    while begin.elapsed() < wait {
        if let Some(status) = child.try_wait().unwrap() {
            let output = child.wait_with_output().unwrap();
            assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    // It may have ended in the last moment.
    child.wait().unwrap().success()
}

#[test]
fn killed_runs_come_to_the_same_end() {
    let kills = std::env::var("TESSERA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let folder = tempfile::tempdir().unwrap();
    let network = network().display().to_string();
    let path = |name: &str| folder.path().join(name).display().to_string();

    // The run that nobody disturbs. It writes a checkpoint at its end only.
    let reference = path("reference");
    let rarely = ["--set", "checkpoint.every=0.8 s", "--set", "checkpoint.every_wall=1000 s"];
    tessera(&[&["run", &network, "--threads", "1", "--out", &reference], &rarely[..]].concat());
    let (expected, digest_expected) = (results(Path::new(&reference)), digest(Path::new(&reference)));
    let all = read_spikes(format!("{reference}/spikes.h5")).unwrap();
    assert!(all.iter().all(|p| p.ids.len() > 300), "no population may be silent");
    // How long a run takes with its checkpoints, here and now.
    let begin = Instant::now();
    tessera(&["run", &network, "--threads", "2", "--out", &path("timed")]);
    let span = begin.elapsed();
    assert_eq!(results(Path::new(&path("timed"))), expected);

    let python = venv::python();
    let mut draws: Sequence = Key::new(2026, Purpose::Placement, 0).sequence(0);
    let mut below = |n: u32| draws.next_word() % n;
    let mut tally = Tally::default();
    while tally.kills < kills {
        let out = path(&format!("run{}", tally.runs));
        tally.runs += 1;
        let mut in_a_row = 0;
        let mut first = true;
        loop {
            let threads = (1 + below(3)).to_string();
            let isa = ["portable", "default"][below(2) as usize];
            let mut args =
                if first { vec!["run", &network, "--out", &out, "--overwrite"] } else { vec!["resume", &out] };
            args.extend(["--threads", &threads]);
            if isa == "portable" {
                args.extend(["--isa", isa]);
            }
            let last = tally.kills >= kills || in_a_row >= IN_A_ROW;
            // A third of the kills falls into the first tenth, where runs are set up and records are taken up again.
            let span = if below(3) == 0 { span / 10 } else { span };
            let wait = if last { Duration::MAX } else { span * below(1000) / 1000 };
            // A run may be complete and yet be killed before its process has ended.
            let complete = || RunRecord::read(&out).is_ok_and(|record| record.status == RunStatus::Complete);
            if disturb(&args, wait) || complete() {
                tally.ended_before_the_kill += u32::from(!last);
                break;
            }
            in_a_row += 1;
            tally.kills += 1;
            tally.while_resuming_or_resumed += u32::from(!first);
            let h5py = if tally.kills % 5 == 1 { python.as_deref() } else { None };
            check_spikes(Path::new(&out), &all, h5py, &mut tally);
            // A run without a checkpoint begins again.
            first = Checkpoints::latest(&out).is_err();
            tally.before_the_first_checkpoint += u32::from(first);
        }
        tally.most_in_a_row = tally.most_in_a_row.max(in_a_row);
        let record = RunRecord::read(&out).unwrap();
        assert_eq!(record.status, RunStatus::Complete);
        assert_eq!(digest(Path::new(&out)), digest_expected);
        let found = results(Path::new(&out));
        assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
        for (name, bytes) in &expected {
            assert!(found[name] == *bytes, "{name} after {in_a_row} kills, resumed at {:?} ms", record.resumed_ms);
        }
        let whole = RunRecord::read(&reference).unwrap().summary.unwrap();
        let summary = record.summary.unwrap();
        assert_eq!(
            (summary.spikes, summary.synaptic_events, summary.duration_ms, &summary.rates_hz),
            (whole.spikes, whole.synaptic_events, whole.duration_ms, &whole.rates_hz)
        );
        std::fs::remove_dir_all(&out).unwrap();
    }
    println!("{tally:#?}");
}
