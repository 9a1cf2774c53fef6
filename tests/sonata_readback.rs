//! The results of a run of the program are read by h5py and libsonata, and are what the simulation did.
//!
//! The comparison is with recorders in memory of the same network, not with what this library reads back.

#[path = "python/venv.rs"]
mod venv;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use tessera::config::RunSpec;
use tessera::engine::{Layout, Recorder, SpikeRecorder, StateSample};
use tessera::error::Result;
use tessera::model::Selection;

/// Keeps the samples of every recording: the end of the step (ms) and the values.
#[derive(Default)]
struct Samples {
    dt: f64,
    of: Vec<Vec<(f64, Vec<f32>)>>,
}

impl Recorder for Samples {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        self.dt = layout.dt;
        self.of = vec![Vec::new(); layout.states.len()];
        Ok(())
    }

    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        self.of[sample.recording].push(((sample.step + 1) as f64 * self.dt, sample.values.to_vec()));
        Ok(())
    }
}

#[test]
fn python_reads_the_results_of_a_run() {
    let Some(python) = venv::python() else { return };
    let config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.toml");
    let overrides = ["run.duration=300 ms", "stimulus.push.start=100 ms", "stimulus.push.stop=200 ms"];

    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("quickstart");
    let mut program = Command::new(env!("CARGO_BIN_EXE_tessera"));
    program.args(["run", "--quiet", "--threads", "2", "-o"]).arg(&folder).arg(&config);
    for text in overrides {
        program.args(["--set", text]);
    }
    assert!(program.status().unwrap().success());

    let spec = RunSpec::load(&config, &overrides.map(str::to_owned)).unwrap();
    let mut sim = spec.build().unwrap();
    let spikes = sim.record(SpikeRecorder::all()).unwrap();
    let samples = sim.record(Samples::default()).unwrap();
    sim.run(spec.run.duration_ms).unwrap();
    let (spikes, samples, layout) = (sim.recorder(&spikes), sim.recorder(&samples), sim.layout());
    assert!(spikes.spikes.len() > 1_000 && layout.states.len() == 2);

    let by_population: serde_json::Map<String, Value> =
        layout.populations.iter().map(|p| (p.name.clone(), json!(spikes.of_population(&p.name)))).collect();
    let mut reports = serde_json::Map::new();
    for (recording, samples) in layout.states.iter().zip(&samples.of) {
        let Selection::Indices(neurons) = &recording.neurons else { panic!("the first few neurons are recorded") };
        assert_eq!((recording.variables.len(), samples.len(), neurons.len()), (1, 300, 5));
        let report = json!({
            "population": layout.populations[recording.population].name,
            "variable": recording.variables[0],
            "unit": recording.units[0],
            "node_ids": neurons.to_vec(),
            "times_ms": samples.iter().map(|(time, _)| *time).collect::<Vec<_>>(),
            "data": samples.iter().map(|(_, values)| values.clone()).collect::<Vec<_>>(),
        });
        reports.insert(format!("{}_{}.h5", recording.name, recording.variables[0]), report);
    }
    let expected = json!({ "spikes": { "spikes.h5": by_population }, "reports": reports, "npy": {} });
    std::fs::write(folder.join("expected.json"), expected.to_string()).unwrap();
    venv::compare(&python, &folder);
}
