//! A full disk ends a run with one clear sentence; what was acknowledged before is there, and the run can go on.
//!
//! The disk is a file system of a few megabytes in memory, where this process may mount one; the program also meets a
//! limit on the size of its files (`prlimit`). Where neither works the test says that it is skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tessera::engine::{Layout, PopulationLayout, Recorder, Spike, StateRecording, StateSample};
use tessera::model::Selection;
use tessera::storage::{
    CsvSpikes, NpySpikes, OutputDir, PopulationSpikes, RateTable, RunRecord, RunStatus, SonataSpikes, StateReport,
    read_rates, read_report, read_spikes, repair, repairable,
};

/// A small file system, unmounted when dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one; where that is not possible, says so.
    fn mount(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                println!("skipped: no small disk ({})", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: no small disk ({error})");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the disk larger.
    fn grow(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a recorder that failed keeps its file open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn layout() -> Layout {
    let population = |name: &str, first, size| PopulationLayout { name: name.into(), first, size };
    let state = StateRecording {
        name: "state".into(),
        population: 1,
        variables: vec!["v_m".into()],
        units: vec!["mV".into()],
        neurons: Selection::All,
        every: 1,
        start: 0.0,
        stop: f64::INFINITY,
    };
    Layout { dt: 0.5, populations: vec![population("a", 0, 7), population("b", 7, 300)], states: vec![state] }
}

const KINDS: [&str; 5] = ["sonata", "csv", "npy", "rates", "states"];
const NEVER: Duration = Duration::from_secs(3_600);

fn recorder(kind: &str, folder: &Path, resuming: bool) -> Box<dyn Recorder> {
    let file = |name: &str| folder.join(name);
    match (kind, resuming) {
        ("sonata", false) => {
            Box::new(SonataSpikes::create(file("spikes.h5"), None).unwrap().with_cadence(5_000, NEVER))
        }
        ("sonata", true) => Box::new(SonataSpikes::resuming(file("spikes.h5"), None).with_cadence(5_000, NEVER)),
        ("csv", false) => Box::new(CsvSpikes::create(file("spikes.csv"), None).unwrap().with_cadence(5_000, NEVER)),
        ("csv", true) => Box::new(CsvSpikes::resuming(file("spikes.csv"), None).with_cadence(5_000, NEVER)),
        ("npy", false) => Box::new(NpySpikes::create(folder, None).unwrap().with_cadence(5_000, NEVER)),
        ("npy", true) => Box::new(NpySpikes::resuming(folder, None).with_cadence(5_000, NEVER)),
        ("rates", false) => Box::new(RateTable::create(file("rates.csv"), 0.5, None).unwrap()),
        ("rates", true) => Box::new(RateTable::resuming(file("rates.csv"), 0.5, None).unwrap()),
        ("states", false) => Box::new(StateReport::create(folder).unwrap().with_cadence(20_000, NEVER)),
        ("states", true) => Box::new(StateReport::resuming(folder).with_cadence(20_000, NEVER)),
        _ => unreachable!(),
    }
}

/// In every step a spike of each neuron, and a sample.
fn step(recorder: &mut dyn Recorder, step: u64) -> tessera::error::Result<()> {
    let all: Vec<Spike> = (0..307).map(|neuron| Spike { step, neuron }).collect();
    recorder.spikes(step, step + 1, &all)?;
    recorder.state(&StateSample { recording: 0, step, values: &[step as f32; 300] })
}

fn check_spikes(populations: &[PopulationSpikes], steps: u64) {
    for population in populations {
        let n = if population.name == "a" { 7 } else { 300 };
        assert!(population.ids.len() as u64 >= steps * n, "{}: {}", population.name, population.ids.len());
        for (i, (&time, &id)) in (0..).zip(population.times_ms.iter().zip(&population.ids)) {
            assert_eq!((time, u64::from(id)), ((i / n + 1) as f64 * 0.5, i % n), "{} spike {i}", population.name);
        }
    }
}

/// What is in the files is what was recorded, and at least so many steps of it.
fn check(kind: &str, folder: &Path, steps: u64) {
    match kind {
        "states" => {
            let report = read_report(folder.join("state_v_m.h5")).unwrap();
            assert!(report.data.len() as u64 >= steps);
            assert!(report.data.iter().enumerate().all(|(step, row)| row == &[step as f32; 300]));
        }
        "rates" => {
            let rates = read_rates(folder.join("rates.csv")).unwrap();
            assert!(rates.times_ms.len() as u64 >= steps);
            assert!(rates.rates_hz.iter().flatten().all(|&rate| rate == 2_000.0));
        }
        _ => check_spikes(&read_spikes(folder).unwrap(), steps),
    }
}

fn bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap()).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    files.into_iter().map(|e| (e.file_name().into(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn recorders_survive_a_full_disk() {
    let layout = layout();
    for kind in KINDS {
        let size = if kind == "rates" { 300_000 } else { 1 << 20 };
        let Some(disk) = SmallDisk::mount(size) else { return };
        let mut full = recorder(kind, disk.path(), false);
        full.start(&layout).unwrap();
        for at in 0..100 {
            step(&mut *full, at).unwrap();
        }
        let place = full.checkpoint().unwrap();
        let error = (100..1_000_000).find_map(|at| step(&mut *full, at).err()).unwrap();
        let message = error.to_string();
        assert!(message.contains("cannot write: No space left on device"), "{kind}: {message}");
        let file = if kind == "npy" {
            "spikes_"
        } else if kind == "states" {
            "state_v_m.h5"
        } else {
            "."
        };
        assert!(message.contains(&disk.path().display().to_string()) && message.contains(file), "{kind}: {message}");
        // The engine closes recorders after an error; here one that cannot be closed, and one that is only dropped.
        if kind.len() % 2 == 0 {
            let _ = full.finish();
        }
        drop(full);
        for file in repairable(disk.path()).unwrap() {
            repair(&file).unwrap_or_else(|e| panic!("{kind}: {e}"));
        }
        check(kind, disk.path(), 100);

        // With more room the run goes on from its checkpoint as if nothing had been.
        disk.grow(64 << 20);
        let mut again = recorder(kind, disk.path(), true);
        again.resume(&layout, &place).unwrap();
        for at in 100..400 {
            step(&mut *again, at).unwrap();
        }
        again.finish().unwrap();
        let whole = tempfile::tempdir().unwrap();
        let mut recorder = recorder(kind, whole.path(), false);
        recorder.start(&layout).unwrap();
        for at in 0..400 {
            step(&mut *recorder, at).unwrap();
        }
        recorder.finish().unwrap();
        assert!(bytes(disk.path()) == bytes(whole.path()), "{kind}: the files differ");
    }
}

#[test]
fn a_resume_that_finds_no_room_changes_nothing() {
    let layout = layout();
    for kind in ["sonata", "states"] {
        let Some(disk) = SmallDisk::mount(3 << 20) else { return };
        let mut recorder_ = recorder(kind, disk.path(), false);
        recorder_.start(&layout).unwrap();
        for at in 0..400 {
            step(&mut *recorder_, at).unwrap();
        }
        let place = recorder_.checkpoint().unwrap();
        recorder_.finish().unwrap();
        let before = bytes(disk.path());
        disk.grow(before.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() + (200 << 10));
        let mut again = recorder(kind, disk.path(), true);
        let error = again.resume(&layout, &place).unwrap_err().to_string();
        assert!(error.contains("cannot write: No space left on device"), "{kind}: {error}");
        drop(again);
        assert!(bytes(disk.path()) == before, "{kind}: the files differ");
    }
}

#[test]
fn nothing_is_left_of_a_file_that_could_not_be_begun() {
    let Some(disk) = SmallDisk::mount(64 << 10) else { return };
    let filler = disk.path().join("filler");
    let _ = std::fs::write(&filler, vec![0_u8; 1 << 20]);
    for kind in KINDS {
        let error = recorder(kind, disk.path(), false).start(&layout()).unwrap_err().to_string();
        assert!(error.contains("No space left on device"), "{kind}: {error}");
    }
    let dir = OutputDir::create(disk.path(), false).unwrap();
    let error = dir.write_atomic("run.json", &[b' '; 5_000]).unwrap_err().to_string();
    assert!(error.contains("run.json: cannot write: No space left on device"), "{error}");
    assert_eq!(bytes(disk.path()).len(), 1, "only the filler is left");
}

/// A network that spikes a lot at once.
fn config(folder: &Path, format: &str) -> PathBuf {
    let path = folder.join("busy.toml");
    let text = format!(
        r#"
[run]
duration = "2 s"
dt = "0.1 ms"

[neuron.lif]
model = "lif_psc_exp"
i_e = "2000 pA"

[population.exc]
n = 1000
neuron = "lif"

[record.spikes]
kind = "spikes"
format = "{format}"

[record.rates]
kind = "rates"
bin = "10 ms"

[record.potential]
kind = "state"
populations = ["exc"]
variables = ["v_m"]
neurons = {{ first = 5 }}
interval = "10 ms"
"#
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn ends_with(output: &Output, file: &str, reason: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("rust-hdf5"), "{stderr}");
    let first = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(first.contains(file) && first.contains(reason), "{stderr}");
}

#[test]
fn the_program_tells_of_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    for (format, file) in [("sonata", "spikes.h5"), ("csv", "spikes.csv"), ("npy", "spikes_exc_times.npy")] {
        let Some(disk) = SmallDisk::mount(1 << 20) else { return };
        let mut program = Command::new(env!("CARGO_BIN_EXE_tessera"));
        program.args(["run", "--quiet", "--out"]).arg(disk.path().join("out")).arg(config(folder.path(), format));
        let output = program.stdin(Stdio::null()).output().unwrap();
        ends_with(&output, file, "cannot write: No space left on device");
        // The record of the run may find no room either, but is never half there.
        if let Ok(record) = RunRecord::read(disk.path().join("out")) {
            assert_eq!(record.status, RunStatus::Failed);
            assert!(record.error.unwrap().contains(file));
        }
        let repair = Command::new(env!("CARGO_BIN_EXE_tessera")).arg("repair").arg(disk.path().join("out")).output();
        let repair = repair.unwrap();
        assert!(repair.status.success(), "{}", String::from_utf8_lossy(&repair.stderr));
        read_spikes(disk.path().join("out")).unwrap();
        read_report(disk.path().join("out/potential_v_m.h5")).unwrap();
        read_rates(disk.path().join("out/rates.csv")).unwrap();
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: no prlimit");
        return;
    }
    for (format, file) in [("sonata", "spikes.h5"), ("csv", "spikes.csv"), ("npy", "spikes_exc_times.npy")] {
        let out = folder.path().join(format);
        let mut program = Command::new("prlimit");
        program.arg("--fsize=700000").arg(env!("CARGO_BIN_EXE_tessera"));
        program.args(["run", "--quiet", "--out"]).arg(&out).arg(config(folder.path(), format));
        let output = program.stdin(Stdio::null()).output().unwrap();
        ends_with(&output, file, "cannot write: File too large");
        let record = RunRecord::read(&out).unwrap();
        assert_eq!(record.status, RunStatus::Failed);
        assert!(record.error.unwrap().contains("File too large"));
        for file in repairable(&out).unwrap() {
            repair(&file).unwrap();
        }
        assert!(!read_spikes(&out).unwrap().is_empty());
    }
}
