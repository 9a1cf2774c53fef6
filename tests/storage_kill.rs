//! A run that is killed loses nothing that was acknowledged: a child process writes, and dies without notice.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tessera::engine::{Layout, PopulationLayout, Recorder, Spike, StateRecording, StateSample};
use tessera::model::Selection;
use tessera::storage::{OutputDir, Repaired, SonataSpikes, StateReport, read_report, read_spikes, repair};

/// Set for the child only: the folder it writes into.
const FOLDER: &str = "TESSERA_TEST_KILL_FOLDER";
/// What the child says after acknowledging so many steps.
const TOLD: &str = "acknowledged ";

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
    Layout { dt: 0.5, populations: vec![population("a", 0, 7), population("b", 7, 30)], states: vec![state] }
}

/// In a step a spike of each neuron, and a sample.
fn step(spikes: &mut SonataSpikes, states: &mut StateReport, step: u64) {
    let all: Vec<Spike> = (0..37).map(|neuron| Spike { step, neuron }).collect();
    spikes.spikes(step, step + 1, &all).unwrap();
    states.state(&StateSample { recording: 0, step, values: &[step as f32; 30] }).unwrap();
}

/// Plays the run of the child: in every step a spike of each neuron and a sample; acknowledges at the end of those
/// steps that `acknowledge` says, and tells.
fn record(folder: &Path, steps: u64, acknowledge: impl Fn(u64) -> bool) {
    let hour = Duration::from_secs(3_600);
    let mut spikes = SonataSpikes::create(folder.join("spikes.h5"), None).unwrap().with_cadence(usize::MAX, hour);
    let mut states = StateReport::create(folder).unwrap();
    spikes.start(&layout()).unwrap();
    states.start(&layout()).unwrap();
    for at in 0..steps {
        step(&mut spikes, &mut states, at);
        if acknowledge(at + 1) {
            spikes.flush().unwrap();
            states.flush().unwrap();
            eprintln!("{TOLD}{}", at + 1);
        }
    }
    // Dropping the recorders would complete the files: the process must end before.
    std::process::abort();
}

/// This test program, running one of its tests as the child.
fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--test-threads=1", "--nocapture"]).env(FOLDER, folder);
    command
}

/// Repairs what the child left, and checks that at least `acknowledged` steps are there, and nothing else.
///
/// More than what was acknowledged may be there, but never less.
fn check(folder: &Path, acknowledged: u64) {
    let (spikes, report) = (folder.join("spikes.h5"), folder.join("state_v_m.h5"));
    for file in [&spikes, &report] {
        assert_eq!(repair(file).unwrap(), Repaired::Recovered);
        assert_eq!(repair(file).unwrap(), Repaired::Intact);
    }
    for population in read_spikes(&spikes).unwrap() {
        let n = u64::from(population.size);
        let found = population.ids.len() as u64;
        assert!(found >= acknowledged * n, "{}: {found} of {}", population.name, acknowledged * n);
        for (i, (&time, &id)) in (0..).zip(population.times_ms.iter().zip(&population.ids)) {
            assert_eq!((time, u64::from(id)), ((i / n + 1) as f64 * 0.5, i % n), "{} spike {i}", population.name);
        }
    }
    let report = read_report(&report).unwrap();
    assert!(report.data.len() as u64 >= acknowledged, "{} of {acknowledged}", report.data.len());
    assert_eq!(report.times_ms[0], 0.5);
    for (step, row) in report.data.iter().enumerate() {
        assert_eq!(row, &[step as f32; 30]);
    }
}

#[test]
fn acknowledged_records_survive_a_kill() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        record(Path::new(&folder), 1_000, |steps| steps == 388 || steps == 777);
    }
    let folder = tempfile::tempdir().unwrap();
    let output = child("acknowledged_records_survive_a_kill", folder.path()).output().unwrap();
    assert!(!output.status.success(), "the child was to die");
    check(folder.path(), 777);
    // The folder counts as one with results, and may be cleared.
    assert!(OutputDir::create(folder.path(), false).is_err());
    OutputDir::create(folder.path(), true).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_kill_in_the_midst_of_writing_is_survived() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        record(Path::new(&folder), u64::MAX, |steps| steps % 3 == 0);
    }
    let kills = std::env::var("TESSERA_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    for kill in 1..=kills {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child("a_kill_in_the_midst_of_writing_is_survived", folder.path());
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = |line: std::io::Result<String>| line.ok()?.strip_prefix(TOLD)?.parse::<u64>().ok();
        for _ in 0..kill * 7 {
            lines.next().unwrap().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it told before it died has been acknowledged.
        let last = lines.filter_map(told).last().unwrap_or(0);
        check(folder.path(), last.max(kill * 7 * 3 - 3));
    }
}

#[test]
fn a_killed_run_goes_on_exactly() {
    const STEPS: u64 = 900;
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        let mut spikes = SonataSpikes::create(folder.join("spikes.h5"), None).unwrap();
        let mut states = StateReport::create(folder).unwrap();
        spikes.start(&layout()).unwrap();
        states.start(&layout()).unwrap();
        for at in 0.. {
            step(&mut spikes, &mut states, at);
            if at % 3 == 2 {
                let places = serde_json::json!([at + 1, spikes.checkpoint().unwrap(), states.checkpoint().unwrap()]);
                std::fs::write(folder.join("part.json"), places.to_string()).unwrap();
                std::fs::rename(folder.join("part.json"), folder.join("places.json")).unwrap();
                eprintln!("{TOLD}{}", at + 1);
            }
        }
    }
    let whole = tempfile::tempdir().unwrap();
    let mut spikes = SonataSpikes::create(whole.path().join("spikes.h5"), None).unwrap();
    let mut states = StateReport::create(whole.path()).unwrap();
    spikes.start(&layout()).unwrap();
    states.start(&layout()).unwrap();
    (0..STEPS).for_each(|at| step(&mut spikes, &mut states, at));
    spikes.finish().unwrap();
    states.finish().unwrap();
    for kill in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let mut child = child("a_killed_run_goes_on_exactly", folder.path());
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        for _ in 0..kill * 11 {
            lines.next().unwrap().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let places = std::fs::read_to_string(folder.path().join("places.json")).unwrap();
        let places: serde_json::Value = serde_json::from_str(&places).unwrap();
        let mut spikes = SonataSpikes::resuming(folder.path().join("spikes.h5"), None);
        let mut states = StateReport::resuming(folder.path());
        spikes.resume(&layout(), &places[1]).unwrap();
        states.resume(&layout(), &places[2]).unwrap();
        (places[0].as_u64().unwrap()..STEPS).for_each(|at| step(&mut spikes, &mut states, at));
        spikes.finish().unwrap();
        states.finish().unwrap();
        for file in ["spikes.h5", "state_v_m.h5"] {
            let (found, expected) = (folder.path().join(file), whole.path().join(file));
            assert!(std::fs::read(found).unwrap() == std::fs::read(expected).unwrap(), "{file} differs");
        }
    }
}
