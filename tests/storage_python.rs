//! Result files are read by h5py, libsonata and NumPy, also those of a run that was killed.
//!
//! Where Python comes from, and what happens without it, stands in `python/venv.rs`.

#[path = "python/venv.rs"]
mod venv;

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tessera::engine::{Layout, PopulationLayout, Recorder, Spike, StateRecording, StateSample};
use tessera::model::Selection;
use tessera::storage::{NpySpikes, Repaired, Report, SonataSpikes, StateReport, read_report, read_spikes, repair};

/// Set for the child that is to die: the folder it writes into.
const FOLDER: &str = "TESSERA_TEST_PYTHON_FOLDER";
const STEPS: u64 = 4_000;

fn layout() -> Layout {
    let population = |name: &str, first, size| PopulationLayout { name: name.into(), first, size };
    let state = |name: &str, population, neurons, variables: &[&str], every| StateRecording {
        name: name.into(),
        population,
        variables: variables.iter().map(|v| (*v).into()).collect(),
        units: vec!["mV".into(); variables.len()],
        neurons,
        every,
        start: 0.0,
        stop: f64::INFINITY,
    };
    let some = Selection::Indices([2_u32, 5, 11].into());
    Layout {
        dt: 0.1,
        populations: vec![population("L23 exc", 0, 40), population("mute", 40, 3)],
        states: vec![state("all", 1, Selection::All, &["v_m"], 10), state("some", 0, some, &["v_m", "i_syn"], 7)],
    }
}

/// Records a run into a folder; `flush` says at which steps everything is put on disk.
fn record(folder: &Path, flush: impl Fn(u64) -> bool) -> (SonataSpikes, StateReport) {
    let hour = Duration::from_secs(3_600);
    let layout = layout();
    let mut spikes = SonataSpikes::create(folder.join("spikes.h5"), None).unwrap().with_cadence(usize::MAX, hour);
    let mut states = StateReport::create(folder).unwrap();
    spikes.start(&layout).unwrap();
    states.start(&layout).unwrap();
    for step in 0..STEPS {
        spikes.spikes(step, step + 1, &spikes_of(step)).unwrap();
        for (recording, (every, values)) in [(10, 3), (7, 6)].into_iter().enumerate() {
            if (step + 1) % every == 0 {
                let values: Vec<f32> = (0..values).map(|i| step as f32 - 65.0 + i as f32 / 8.0).collect();
                states.state(&StateSample { recording, step, values: &values }).unwrap();
            }
        }
        if flush(step + 1) {
            spikes.flush().unwrap();
            states.flush().unwrap();
        }
    }
    (spikes, states)
}

/// Neurons of the first population only, up to eight in a step.
fn spikes_of(step: u64) -> Vec<Spike> {
    let first = (step * 7 % 33) as u32;
    (first..first + (step % 9) as u32).filter(|&n| n < 40).map(|neuron| Spike { step, neuron }).collect()
}

fn pairs(times: &[f64], ids: &[u32]) -> Value {
    times.iter().zip(ids).map(|(t, i)| json!([t, i])).collect()
}

/// What our own readers say of a folder, for Python to compare.
fn expected(folder: &Path, npy: bool) -> Value {
    let spikes: serde_json::Map<String, Value> = read_spikes(folder.join("spikes.h5"))
        .unwrap()
        .into_iter()
        .map(|p| (p.name, pairs(&p.times_ms, &p.ids)))
        .collect();
    let report = |name: &str| {
        let Report { population, variable, unit, node_ids, times_ms, data } = read_report(folder.join(name)).unwrap();
        let report = json!({ "population": population, "variable": variable, "unit": unit, "node_ids": node_ids,
            "times_ms": times_ms, "data": data });
        (name.to_owned(), report)
    };
    let reports: serde_json::Map<String, Value> =
        ["all_v_m.h5", "some_v_m.h5", "some_i_syn.h5"].into_iter().map(report).collect();
    let npy = if npy { Value::Object(spikes.clone()) } else { json!({}) };
    json!({ "spikes": { "spikes.h5": spikes }, "reports": reports, "npy": npy })
}

fn compare(python: &Path, folder: &Path, npy: bool) {
    std::fs::write(folder.join("expected.json"), expected(folder, npy).to_string()).unwrap();
    venv::compare(python, folder);
}

#[test]
fn python_reads_what_was_recorded() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let _open = record(Path::new(&folder), |steps| steps % 1_000 == 0 && steps <= 3_000);
        std::process::abort();
    }
    let Some(python) = venv::python() else { return };

    let whole = tempfile::tempdir().unwrap();
    let (mut spikes, mut states) = record(whole.path(), |steps| steps % 1_000 == 0);
    spikes.finish().unwrap();
    states.finish().unwrap();
    let mut arrays = NpySpikes::create(whole.path(), None).unwrap();
    arrays.start(&layout()).unwrap();
    (0..STEPS).for_each(|step| arrays.spikes(step, step + 1, &spikes_of(step)).unwrap());
    arrays.finish().unwrap();
    let all: usize = (0..STEPS).map(|step| spikes_of(step).len()).sum();
    assert_eq!(read_spikes(whole.path().join("spikes.h5")).unwrap().iter().map(|p| p.ids.len()).sum::<usize>(), all);
    compare(&python, whole.path(), true);

    let killed = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["python_reads_what_was_recorded", "--exact", "--test-threads=1"])
        .env(FOLDER, killed.path())
        .output()
        .unwrap()
        .status;
    assert!(!status.success(), "the child was to die");
    for file in ["spikes.h5", "all_v_m.h5", "some_v_m.h5", "some_i_syn.h5"] {
        assert_eq!(repair(killed.path().join(file)).unwrap(), Repaired::Recovered);
    }
    let acknowledged: usize = (0..3_000).map(|step| spikes_of(step).len()).sum();
    let kept: usize = read_spikes(killed.path()).unwrap().iter().map(|p| p.ids.len()).sum();
    assert!((acknowledged..=all).contains(&kept), "{kept} of {acknowledged} to {all}");
    compare(&python, killed.path(), false);

    // A run without a step is read too.
    let empty = tempfile::tempdir().unwrap();
    let mut none = SonataSpikes::create(empty.path().join("spikes.h5"), None).unwrap();
    none.start(&layout()).unwrap();
    none.finish().unwrap();
    let mut states = StateReport::create(empty.path()).unwrap();
    states.start(&layout()).unwrap();
    states.finish().unwrap();
    compare(&python, empty.path(), false);
}
