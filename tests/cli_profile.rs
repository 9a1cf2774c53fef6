//! `--profile`, `--trace` and the reports of `tessera bench`, by the program itself.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tessera::storage::{RunProfile, RunRecord};

const SMALL: &str = r#"
[run]
duration = "40 ms"
seed = 3
[neuron.lif]
model = "lif_psc_delta"
[population.exc]
neuron = "lif"
n = 200
[population.inh]
neuron = "lif"
n = 50
[projection.all]
populations = ["exc", "inh"]
rule = "bernoulli"
p = 0.2
weight = ["0.2 mV", "-0.8 mV"]
delay = "1.5 ms"
[stimulus.drive]
kind = "poisson"
target = ["exc", "inh"]
rate = "20 kHz"
weight = "0.5 mV"
[record.spikes]
kind = "spikes"
"#;

/// Exit code, standard output, standard error.
fn tessera(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap(), text(&out.stdout), text(&out.stderr))
}

fn succeed(folder: &Path, args: &[&str]) -> String {
    let (code, out, err) = tessera(folder, args);
    assert_eq!(code, 0, "{args:?}\n{out}\n{err}");
    out
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("small.toml"), SMALL).unwrap();
    dir
}

fn profile(results: &Path) -> RunProfile {
    *RunRecord::read(results).unwrap().profile.expect("a profile was asked for")
}

#[test]
fn profiles_are_told_and_recorded_and_change_no_spike() {
    let dir = folder();
    let plain = ["run", "small.toml", "-o", "plain", "-t", "2", "-q"];
    succeed(dir.path(), &plain);
    let args = ["run", "small.toml", "-o", "out", "-t", "2", "--profile", "time,memory", "--trace", "steps.json"];
    let told = succeed(dir.path(), &args);
    for part in ["deliver", "neuron-steps", "worker 1", "MB at the end of", "synapses", "counted", "trace"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let digest = |name: &str| RunRecord::read(dir.path().join(name)).unwrap().summary.unwrap().spike_digest;
    assert_eq!(digest("plain"), digest("out"));
    assert!(RunRecord::read(dir.path().join("plain")).unwrap().profile.is_none());

    let RunProfile { time, memory, trace } = profile(&dir.path().join("out"));
    let time = time.unwrap();
    let calls = |name: &str| time.steps.phase(name).unwrap().calls;
    assert_eq!((time.steps.steps, time.steps.threads, time.steps.shards), (400, 2, 2));
    assert_eq!([calls("exchange"), calls("deliver"), calls("update"), calls("wait")], [800; 4]);
    let update = time.steps.phase("update").unwrap();
    assert_eq!((update.item.as_deref(), update.items), (Some("neuron-step"), 250 * 400));
    let sum: f64 = time.steps.phases.iter().map(|phase| phase.total_s).sum();
    assert!(sum >= time.steps.wall_s * 0.999, "{:?}", time.steps);
    for path in
        ["check", "build", "build/place neurons", "build/draw synapses", "build/lay out", "run", "run/steps", "finish"]
    {
        assert!(time.spans.row(path).is_some_and(|row| row.calls > 0), "{path}: {:?}", time.spans);
    }

    let memory = memory.unwrap();
    let names: Vec<&str> = memory.snapshots.iter().map(|snapshot| &*snapshot.name).collect();
    assert_eq!(names, ["check", "build", "run", "finish"]);
    assert_eq!(memory.changes.len(), 3);
    let built = memory.snapshot("build").unwrap();
    assert!(built.bytes("synapses") > 4 * 10_000 && built.bytes("neuron state") > 0, "{built}");
    assert!(memory.diff("build", "run").unwrap().iter().all(|change| change.part != "synapses"));
    assert!(memory.estimate.is_some_and(|estimate| estimate.bytes("synapses") > 0));

    let trace = trace.unwrap();
    let json: Value = serde_json::from_slice(&std::fs::read(dir.path().join("steps.json")).unwrap()).unwrap();
    let spans: Vec<&Value> = json["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] == "X").collect();
    assert_eq!((spans.len() as u64, trace.every_steps), (trace.spans, 1));
    assert_eq!(spans.iter().filter(|span| span["name"] == "deliver").count(), 800);
    assert_eq!(json["otherData"]["every_steps"], 1);
}

#[test]
fn a_trace_is_not_overwritten_unasked() {
    let dir = folder();
    std::fs::write(dir.path().join("mine.json"), "mine").unwrap();
    let args = ["run", "small.toml", "-o", "out", "--trace", "mine.json"];
    let (code, _, err) = tessera(dir.path(), &args);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--trace mine.json exists already"), "{err}");
    // Before any work: there are no results either.
    assert!(!dir.path().join("out").exists());
    assert_eq!(std::fs::read_to_string(dir.path().join("mine.json")).unwrap(), "mine");
    let (code, _, err) = tessera(dir.path(), &["run", "small.toml", "-o", "out", "--trace", "no/such/folder.json"]);
    assert!(code == 2 && err.contains("there is no folder no/such"), "{err}");
    succeed(dir.path(), &[&args[..], &["--overwrite"]].concat());
    assert!(std::fs::read_to_string(dir.path().join("mine.json")).unwrap().contains("traceEvents"));
}

#[test]
fn a_resumed_run_is_profiled_from_where_it_goes_on() {
    let dir = folder();
    let text = format!("{SMALL}\n[checkpoint]\nevery = \"20 ms\"\n");
    std::fs::write(dir.path().join("small.toml"), text).unwrap();
    succeed(dir.path(), &["run", "small.toml", "-o", "out", "-q", "-t", "1", "--profile", "time"]);
    let spans = profile(&dir.path().join("out")).time.unwrap().spans;
    assert!(spans.row("run/checkpoint").is_some_and(|row| row.calls == 2), "{spans:?}");
    succeed(dir.path(), &["resume", "out", "--until", "50 ms", "-t", "1", "--profile", "time", "--trace", "t.json"]);
    let time = profile(&dir.path().join("out")).time.unwrap();
    assert_eq!(time.steps.steps, 100);
    assert_eq!((time.steps.phase("deliver").unwrap().calls, time.steps.phase("wait").unwrap().calls), (100, 0));
    assert!(time.spans.row("restore").is_some());
}

/// The one folder of a report in `reports`, which is removed from the list of `seen`.
fn new_report(reports: &Path, seen: &mut Vec<PathBuf>) -> PathBuf {
    let entries = std::fs::read_dir(reports).unwrap().map(|entry| entry.unwrap().path());
    let new: Vec<PathBuf> = entries.filter(|path| !path.ends_with("baselines") && !seen.contains(path)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    seen.extend(new.clone());
    new[0].clone()
}

#[test]
fn benchmarks_leave_reports_and_compare_with_baselines() {
    let dir = folder();
    let reports = dir.path().join("bench-reports");
    let mut seen = Vec::new();
    let run = ["bench", "run", "small.toml", "-t", "1", "--repeats", "3"];
    // Asked for before anything is measured.
    let (code, out, err) = tessera(dir.path(), &[&run[..], &["--baseline", "main"]].concat());
    assert!(code == 2 && out.is_empty() && err.contains("there is no baseline `main`"), "{out}{err}");
    assert!(!reports.exists() && !err.contains("repeat 1"), "{err}");

    let told = succeed(dir.path(), &[&run[..], &["--save-baseline", "main"]].concat());
    assert!(told.contains("small: simulate") && told.contains("main.json"), "{told}");
    let report = new_report(&reports, &mut seen);
    for file in ["report.json", "times.svg", "index.html"] {
        assert!(report.join(file).is_file(), "{file}");
    }
    let (code, _, err) = tessera(dir.path(), &[&run[..], &["--save-baseline", "main"]].concat());
    assert!(code == 2 && err.contains("there is a baseline `main` already"), "{err}");

    // A baseline that was a thousand times as fast.
    let file = reports.join("baselines/main.json");
    let mut baseline: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for item in baseline["items"].as_array_mut().unwrap() {
        let samples = item["samples_s"].as_array_mut().unwrap();
        assert_eq!(samples.len(), 3);
        samples.iter_mut().for_each(|s| *s = 1e-8.into());
    }
    std::fs::write(&file, baseline.to_string()).unwrap();
    // The noise of a busy machine may hide anything but not this; a single sample has a fixed spread.
    let single = ["bench", "run", "small.toml", "-t", "1", "--repeats", "1", "--baseline", "main"];
    let told = succeed(dir.path(), &single);
    assert!(told.contains("SLOWER") && told.contains("2 slower, 0 faster, 0 within noise"), "{told}");
    let report = new_report(&reports, &mut seen);
    let json: Value = serde_json::from_slice(&std::fs::read(report.join("report.json")).unwrap()).unwrap();
    assert_eq!(json["comparison"]["changes"][1]["verdict"], "slower");
    assert!(std::fs::read_to_string(report.join("index.html")).unwrap().contains("class=\"slower\""));
    let (code, _, err) = tessera(dir.path(), &[&single[..], &["--fail-if-slower", "--no-report"]].concat());
    assert!(code == 1 && err.contains("2 measurements are slower"), "{err}");
    let (code, _, err) = tessera(dir.path(), &["bench", "ops", "--baseline", "main"]);
    assert!(code == 2 && err.contains("is of `tessera bench run`, not of `tessera bench ops`"), "{err}");
}

#[test]
fn scaling_and_operations_are_reported_too() {
    let dir = folder();
    let reports = dir.path().join("r");
    let mut seen = Vec::new();
    let scaling = ["bench", "scaling", "small.toml", "--repeats", "1", "--reports", "r", "--save-baseline", "s"];
    succeed(dir.path(), &scaling);
    let report = new_report(&reports, &mut seen);
    assert!(report.join("scaling.svg").is_file() && report.join("times.svg").is_file());
    let ops = ["bench", "ops", "--only", "mlp", "--threads", "1", "--rounds", "1", "--reports", "r", "--json"];
    let object: Value = serde_json::from_str(&succeed(dir.path(), &ops)).unwrap();
    assert!(object["rows"][0].get("samples_s").is_none());
    let json: Value =
        serde_json::from_slice(&std::fs::read(new_report(&reports, &mut seen).join("report.json")).unwrap()).unwrap();
    let items = json["measurements"]["items"].as_array().unwrap();
    assert!(items.len() >= 4 && items.iter().all(|item| item["samples_s"].as_array().unwrap().len() > 2), "{items:?}");
}
