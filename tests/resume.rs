//! `tessera resume` and what calls for checkpoints: signals, damaged files, runs that are done, networks that changed.
//! That killed runs come to the same end is tested in `kill_resume.rs`.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tessera::storage::{Checkpoints, RunRecord, RunStatus};

fn tessera(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs and expects this exit code; the standard error.
fn expect(code: i32, args: &[&str]) -> String {
    let output = tessera(args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    stderr
}

/// A folder with a configuration, a list of edges it reads, and the results of a run that nobody disturbed.
struct Bench {
    folder: tempfile::TempDir,
    config: String,
    expected: BTreeMap<String, Vec<u8>>,
}

const CONFIG: &str = r#"
[run]
duration = "300 ms"
seed = 3

[population.exc]
neuron = "lif_psc_exp"
n = 200

[population.inh]
neuron = "lif_psc_delta"
n = 50

[projection.listed]
source = "exc"
target = "inh"
rule = "edges"
file = "edges.txt"
weight = "3 mV"
delay = "7 ms"

[projection.back]
source = "inh"
target = "exc"
rule = "fixed_indegree"
n = 10
weight = "-60 pA"
delay = "1.5 ms"

[stimulus.rain]
kind = "poisson"
target = "exc"
rate = "9 kHz"
weight = "25 pA"

[record.spikes]
kind = "spikes"

[record.rates]
kind = "rates"
bin = "10 ms"

[checkpoint]
every = "50 ms"
keep = 3
"#;

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let edges: String = (0..600).map(|i| format!("{} {}\n", i * 7 % 200, i % 50)).collect();
        std::fs::write(folder.path().join("edges.txt"), edges).unwrap();
        let config = folder.path().join("net.toml");
        std::fs::write(&config, CONFIG).unwrap();
        let mut bench = Self { config: config.display().to_string(), folder, expected: BTreeMap::new() };
        expect(0, &["run", &bench.config, "--quiet", "--threads", "1", "--out", &bench.path("whole")]);
        bench.expected = bench.results("whole");
        bench
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn results(&self, run: &str) -> BTreeMap<String, Vec<u8>> {
        let names = ["spikes.h5", "rates.csv"].map(str::to_owned);
        names.map(|name| (name.clone(), std::fs::read(Path::new(&self.path(run)).join(name)).unwrap())).into()
    }

    fn record(&self, run: &str) -> RunRecord {
        RunRecord::read(self.path(run)).unwrap()
    }

    /// Copies the results of the whole run, as if it had been killed just before its end.
    fn killed(&self, name: &str) -> String {
        let (from, to) = (PathBuf::from(self.path("whole")), PathBuf::from(self.path(name)));
        std::fs::create_dir_all(to.join("checkpoints")).unwrap();
        for file in ["spikes.h5", "rates.csv"] {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
        for file in std::fs::read_dir(from.join("checkpoints")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join("checkpoints").join(file.file_name())).unwrap();
        }
        to.display().to_string()
    }

    fn checkpoint(&self, run: &str, step: u64) -> PathBuf {
        PathBuf::from(self.path(run)).join(format!("checkpoints/step_{step:012}.h5"))
    }

    fn steps(&self, run: &str) -> Vec<u64> {
        let files = std::fs::read_dir(PathBuf::from(self.path(run)).join("checkpoints")).unwrap();
        let step = |name: String| name.strip_prefix("step_")?.strip_suffix(".h5")?.parse().ok();
        let mut steps: Vec<u64> = files.filter_map(|f| step(f.unwrap().file_name().into_string().unwrap())).collect();
        steps.sort_unstable();
        steps
    }
}

#[test]
fn the_newest_checkpoint_that_is_intact_is_taken() {
    let bench = Bench::new();
    assert_eq!(bench.steps("whole"), [2000, 2500, 3000]);
    let whole = bench.record("whole");
    let cost = whole.checkpoints.unwrap();
    assert_eq!((cost.number, cost.bytes), (6, std::fs::metadata(bench.checkpoint("whole", 3000)).unwrap().len()));
    let run = bench.killed("a");
    // The newest is cut, the one before is changed.
    let newest = bench.checkpoint("a", 3000);
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() - 5000]).unwrap();
    let before = bench.checkpoint("a", 2500);
    let mut bytes = std::fs::read(&before).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&before, bytes).unwrap();
    let told = expect(0, &["resume", &run, "--threads", "3", "--isa", "portable"]);
    for words in ["step_000000003000.h5", "step_000000002500.h5", "going on from", "resuming at 200 ms"] {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(bench.results("a"), bench.expected);
    let record = bench.record("a");
    assert_eq!((record.status, &record.resumed_ms[..]), (RunStatus::Complete, &[200.0][..]));
    assert_eq!(record.checkpoints.unwrap().number, 6);
    let (found, expected) = (record.summary.unwrap(), whole.summary.unwrap());
    assert_eq!((found.spikes, found.spike_digest), (expected.spikes, expected.spike_digest));
    assert_eq!((found.rates_hz, found.synaptic_events), (expected.rates_hz, expected.synaptic_events));
    // Both were written anew.
    assert_eq!(bench.steps("a"), [2000, 2500, 3000]);
    assert!(Checkpoints::latest(&run).unwrap().damaged.is_empty());
}

#[test]
fn a_complete_run_goes_on_to_a_later_end_only() {
    let bench = Bench::new();
    let whole = bench.path("whole");
    let told = expect(2, &["resume", &whole]);
    assert!(told.contains("is complete at 300 ms") && told.contains("--until"), "{told}");
    let told = expect(2, &["resume", &whole, "--until", "250 ms"]);
    assert!(told.contains("after the end at 250 ms"), "{told}");
    for (until, words) in [("5 mV", "is a voltage"), ("nan", "--until"), ("soon", "--until")] {
        let told = expect(2, &["resume", &whole, "--until", until]);
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(bench.results("whole"), bench.expected);
    expect(0, &["resume", &whole, "--until", "420 ms", "--quiet"]);
    expect(0, &["run", &bench.config, "--set", "run.duration=420 ms", "--out", &bench.path("longer"), "--quiet"]);
    assert_eq!(bench.results("whole"), bench.results("longer"));
    assert_eq!(bench.record("whole").summary.unwrap().duration_ms, 420.0);
    // The later end is that of the run from now on.
    assert!(expect(2, &["resume", &whole]).contains("is complete at 420 ms"));
}

#[test]
fn an_older_checkpoint_can_be_chosen() {
    let bench = Bench::new();
    let run = bench.killed("a");
    let older = bench.checkpoint("a", 2000).display().to_string();
    let told = expect(0, &["resume", &older]);
    assert!(told.contains("removed 2 later checkpoints"), "{told}");
    assert_eq!(bench.results("a"), bench.expected);
    // Elsewhere it is of no use.
    let lost = bench.path("step_000000002000.h5");
    std::fs::copy(&older, &lost).unwrap();
    assert!(expect(2, &["resume", &lost]).contains("is not in the folder `checkpoints`"));
    for (path, words) in [
        (bench.path("nowhere"), "cannot open"),
        (bench.folder.path().display().to_string(), "there is no checkpoint in it"),
        (bench.config.clone(), "net.toml"),
        (format!("{run}/spikes.h5"), "spikes.h5"),
    ] {
        let told = expect(1, &["resume", &path]);
        assert!(told.contains(words), "{path}: {told}");
    }
}

#[test]
fn another_network_is_refused_and_nothing_touched() {
    let bench = Bench::new();
    let run = bench.killed("a");
    let edges = bench.folder.path().join("edges.txt");
    let text = std::fs::read_to_string(&edges).unwrap();
    std::fs::write(&edges, text.replacen("7 1\n", "7 2\n", 1)).unwrap();
    let told = expect(2, &["resume", &run]);
    assert!(told.contains("the checkpoint is of another network"), "{told}");
    std::fs::remove_file(&edges).unwrap();
    assert!(expect(2, &["resume", &run]).contains("edges.txt"));
    assert_eq!(bench.results("a"), bench.expected);
    std::fs::write(&edges, text).unwrap();
    expect(0, &["resume", &run]);
    assert_eq!(bench.results("a"), bench.expected);
}

/// Starts a run that takes long, and sends it a signal once it has begun to record.
fn signalled(bench: &Bench, run: &str, signal: &str, more: &[&str]) -> Output {
    let out = bench.path(run);
    let endless = ["--set", "run.duration=10000 s", "--set", "checkpoint.every=5000 s"];
    let args = [&["run", &bench.config, "--quiet", "--out", &out], &endless[..], more].concat();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    let child = command.args(args).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let send = |signal: &str| {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    };
    while !Path::new(&out).join("spikes.h5").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    send(signal);
    if signal == "-USR1" {
        while !Path::new(&out).join("checkpoints").is_dir() || bench.steps(run).is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        send("-KILL");
    }
    child.wait_with_output().unwrap()
}

#[test]
fn signals_call_for_checkpoints() {
    let bench = Bench::new();
    for (name, signal) in [("term", "-TERM"), ("int", "-INT"), ("usr1", "-USR1")] {
        let output = signalled(&bench, name, signal, &[]);
        let ended = signal != "-USR1";
        assert_eq!(output.status.code(), ended.then_some(130));
        let steps = bench.steps(name);
        assert_eq!(steps.len(), 1);
        let record = bench.record(name);
        assert_eq!(record.status, if ended { RunStatus::Interrupted } else { RunStatus::Running });
        if ended {
            assert_eq!(record.summary.unwrap().duration_ms, steps[0] as f64 * 0.1);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains("tessera resume"), "{told}");
        }
        // It goes on for as long as it takes to compare.
        let until = (steps[0] as f64 * 0.1).max(250.0) + 50.0;
        let until = format!("{until} ms");
        expect(0, &["resume", &bench.path(name), "--quiet", "--until", &until]);
        let duration = format!("run.duration={until}");
        let whole = bench.path(&format!("{name} whole"));
        expect(0, &["run", &bench.config, "--quiet", "--set", &duration, "--out", &whole]);
        assert_eq!(bench.results(name), bench.results(&format!("{name} whole")));
    }
    // Not if they are told not to.
    let output = signalled(&bench, "none", "-TERM", &["--set", "checkpoint.on_signal=false"]);
    assert_eq!(output.status.code(), Some(130));
    assert!(bench.steps("none").is_empty());
    assert!(expect(1, &["resume", &bench.path("none")]).contains("there is no checkpoint in it"));
}

/// A run of a model file goes on from the model file; nothing else is needed.
#[test]
fn runs_of_model_files_go_on() {
    let bench = Bench::new();
    let (model, run) = (bench.path("model.h5"), bench.path("a"));
    expect(0, &["build", &bench.config, "-o", &model]);
    expect(0, &["run", "--model", &model, "--quiet", "--set", "run.duration=180 ms", "--out", &run]);
    std::fs::remove_file(bench.folder.path().join("edges.txt")).unwrap();
    let told = expect(0, &["resume", &run, "--until", "300 ms", "--threads", "3"]);
    assert!(told.contains("resuming at 150 ms"), "{told}");
    assert_eq!(bench.results("a"), bench.expected);
    // A model file of another network in its place is refused.
    let other = bench.path("other.toml");
    std::fs::write(&other, CONFIG.replace("rule = \"edges\"\nfile = \"edges.txt\"", "rule = \"bernoulli\"\np = 0.1"))
        .unwrap();
    expect(0, &["build", &other, "-o", &model, "--overwrite"]);
    let told = expect(2, &["resume", &run, "--until", "400 ms"]);
    assert!(told.contains("another network"), "{told}");
}

/// The folder of a killed run is taken with --overwrite, its checkpoints are removed.
#[test]
fn overwriting_removes_checkpoints() {
    let bench = Bench::new();
    let run = bench.killed("a");
    assert!(expect(1, &["run", &bench.config, "--quiet", "--out", &run]).contains("--overwrite"));
    let short = ["--set", "run.duration=20 ms"];
    expect(0, &[&["run", &bench.config, "--quiet", "--overwrite", "--out", &run], &short[..]].concat());
    assert!(bench.steps("a").is_empty());
}
