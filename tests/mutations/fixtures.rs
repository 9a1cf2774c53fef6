//! Good files of every kind, which the cases damage.

#![allow(dead_code)] // Each program uses a part.

use std::path::{Path, PathBuf};
use tessera::config::RunSpec;
use tessera::interop::npy;
use tessera::storage::{
    Checkpoint, CheckpointCost, CheckpointedRun, Compression, CsvSpikes, NpySpikes, RateTable, SonataSpikes,
    StateReport,
};

/// A small network of everything that a model file or a checkpoint holds.
pub const SMALL: &str = r#"
[run]
duration = "20 ms"
dt = 0.1
seed = 5
threads = 1

[lattice]
shape = [4, 3, 2, 1]
spacing = "20 um"

[population.cells]
neuron = "lif_psc_exp"
area = "lattice"
v_th = { dist = "normal", mean = "-60 mV", sd = "1 mV" }
initial = { v_m = { dist = "uniform", low = "-70 mV", high = "-58 mV" } }

[population.delta]
neuron = "lif_psc_delta"
n = 40

[population.given]
neuron = "spike_train"
n = 3
file = "data/spikes.txt"

[population.named]
neuron = "parrot"
ids = { file = "data/neurons.csv", column = "id" }

[projection.near]
source = "cells"
target = "cells"
rule = "distance"
p = 0.5
extent = "30 um"
weight = { dist = "normal", mean = "20 pA", sd = "90 pA" }
delay = { velocity = "0.3 m/s", offset = "0.5 ms" }

[projection.many]
source = ["cells", "given"]
target = ["delta", "cells"]
rule = "all_to_all"
weight = [0.001234567, 300]
delay = { dist = "uniform", low = "0.1 ms", high = "3 ms" }

[projection.wired]
source = "named"
target = "named"
rule = "edges"
file = "data/edges.txt"
weight = 1
delay = "2 ms"

[stimulus.push]
kind = "dc"
target = "cells"
neurons = { first = 5 }
amplitude = 500

[stimulus.rain]
kind = "poisson"
target = "delta"
rate = "8 kHz"
weight = "3 mV"

[stimulus.noise]
kind = "ornstein_uhlenbeck"
target = "cells"
mean = 100
sd = 300
tau = "5 ms"

[stimulus.events]
kind = "spikes"
target = "named"
file = "data/input.txt"
weight = 1

[stimulus.steps]
kind = "steps"
target = "cells"
times = ["1 ms", 5]
amplitudes = [100, "0.2 nA"]

[stimulus.matrix]
kind = "matrix"
target = "delta"
file = "data/wide.npy"
interval = "2 ms"

[record.spikes]
kind = "spikes"

[record.state]
kind = "state"
populations = "cells"
variables = ["v_m", "i_syn"]
neurons = { every = 3 }
interval = "0.5 ms"
"#;

/// Files that the configurations name.
pub fn data(folder: &Path) {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let put = |name: &str, text: &str| std::fs::write(data.join(name), text).unwrap();
    put("points.csv", "id,y,x\n1,0.5,10\n2,5,20.25\n3,-7,3e1\n");
    put("currents.txt", "# one a neuron\n1 10.5\n2 -20\n3 30\n");
    put("neurons.csv", "id,class\n720575940624547622,KC\n7,\"PN, a\"\n9,PN\n11,KC\n");
    put("spikes.txt", "time neuron\n0.5 0\n1.5 2\n2.25 1 # here\n3 0\n7.5 2\n");
    put("input.txt", "1.0 11\n2.0 9\n2.5 720575940624547622\n");
    put("edges.txt", "source target weight delay\n7 9 1.5 1\n9 11 2 0.5\n11 7 -3 2.5\n720575940624547622 7 1 1\n");
    put("edges.csv", "pre,post,weight\n1,2,0.5\n2,3,\n\"3\",1,-1e-3\n");
    let values: Vec<f32> = (0..3 * 5).map(|i| i as f32 - 7.5).collect();
    npy::write(data.join("currents.npy"), &[5, 3], &values).unwrap();
    let values: Vec<f64> = (0..40 * 5).map(f64::from).collect();
    npy::write(data.join("wide.npy"), &[5, 40], &values).unwrap();
    npy::write(data.join("edges.npy"), &[3, 4], &[0.0, 1.0, 2.5, 1.0, 1.0, 2.0, 3.5, 1.0, 2.0, 0.0, -4.0, 0.5])
        .unwrap();
    npy::write(data.join("spikes.npy"), &[3, 2], &[0.5, 1.0, 1.5, 0.0, 2.5, 3.0]).unwrap();
}

/// The configuration that uses every key, with its files.
pub fn full(folder: &Path) -> PathBuf {
    data(folder);
    let path = folder.join("full.toml");
    std::fs::write(&path, include_str!("../config/full.toml")).unwrap();
    path
}

/// The small network.
pub fn small(folder: &Path) -> RunSpec {
    data(folder);
    let path = folder.join("small.toml");
    std::fs::write(&path, SMALL).unwrap();
    RunSpec::from_file(&path).unwrap()
}

/// The small network as a model file.
pub fn model(folder: &Path, compression: Compression) -> PathBuf {
    let path = folder.join("small.h5");
    small(folder).write_model(&path, compression, true).unwrap();
    path
}

/// A model file of a few neurons.
pub fn tiny(folder: &Path, compression: Compression) -> PathBuf {
    let path = folder.join("tiny.toml");
    let text = "[population.a]\nneuron = \"lif_psc_delta\"\nn = 3\n[projection.p]\nsource = \"a\"\ntarget = \"a\"\n\
                rule = \"all_to_all\"\nweight = 1\ndelay = \"1 ms\"\n";
    std::fs::write(&path, text).unwrap();
    let model = folder.join("tiny.h5");
    RunSpec::from_file(&path).unwrap().write_model(&model, compression, true).unwrap();
    model
}

/// A run of the small network with every kind of result, and a checkpoint of its middle.
pub fn checkpoint(folder: &Path) -> (RunSpec, PathBuf) {
    let spec = small(folder);
    let mut sim = spec.build().unwrap();
    let file = |name: &str| folder.join(name);
    sim.record(SonataSpikes::create(file("spikes.h5"), None).unwrap()).unwrap();
    sim.record(CsvSpikes::create(file("spikes.csv"), None).unwrap()).unwrap();
    sim.record(NpySpikes::create(folder, None).unwrap()).unwrap();
    sim.record(RateTable::create(file("rates.csv"), 1.0, None).unwrap()).unwrap();
    sim.record(StateReport::create(folder).unwrap()).unwrap();
    sim.run(10.0).unwrap();
    let run = CheckpointedRun {
        tessera: "1.2.3".into(),
        started: "2026-01-01T00:00:00Z".into(),
        written: "2026-01-01T00:00:01Z".into(),
        file: spec.path.clone(),
        config: spec.resolved.clone(),
        resumed_ms: vec![1.0],
        cost: CheckpointCost { number: 1, seconds: 0.5, bytes: 6 },
    };
    let path = folder.join("step.h5");
    Checkpoint { snapshot: sim.snapshot().unwrap(), run }.write(&path).unwrap();
    sim.run(5.0).unwrap();
    sim.finish().unwrap();
    assert!(sim.figures().spikes > 50, "{} spikes do not say much", sim.figures().spikes);
    (spec, path)
}
