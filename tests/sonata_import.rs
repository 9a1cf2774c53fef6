//! Networks in SONATA files become what the files say, and spike when NEST does.

mod sonata_rig;

use sonata_rig::{mixed, put, put_ids, single, write};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tessera::config::{RecordKind, RunSpec};
use tessera::engine::{Precision, Recorder, SpikeRecorder, StateSample};
use tessera::error::{Error, Result};
use tessera::model::{ConnectionRule, Distribution, Edge, Selection, StimulusKind};
use tessera::storage::read_spikes;
use tessera::synapse::WeightBits;

/// The example of the Allen Institute, if the data folder is there.
fn allen(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TESSERA_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = folder.join("sonata_300_pointneurons").join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no data ({})", path.display());
    None
}

const SIMULATION: &str = "examples/300_pointneurons/simulation_config.json";

fn load(path: &Path, set: &[&str]) -> RunSpec {
    let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
    RunSpec::load(path, &set).unwrap_or_else(|error| panic!("{error}"))
}

/// Steps and neurons of the spikes of a population.
fn spikes_of(spec: &RunSpec, population: &str) -> BTreeSet<(i64, u32)> {
    let mut sim = spec.build().unwrap();
    let spikes = sim.record(SpikeRecorder::of([population])).unwrap();
    sim.run(spec.run.duration_ms).unwrap();
    let dt = spec.run.dt_ms;
    sim.recorder(&spikes).of_population(population).iter().map(|(t, id)| ((t / dt).round() as i64, *id)).collect()
}

/// BMTK 1.2 with NEST 3.10 made the reference from the same files, at a time step of 0.1 ms.
#[test]
fn the_allen_example_spikes_as_in_nest() {
    let (Some(config), Some(reference)) = (allen(SIMULATION), allen("nest310_reference_spikes_dt0.1.h5")) else {
        return;
    };
    let spec = load(&config, &["run.dt=\"0.1 ms\""]);
    assert_eq!((spec.run.precision, spec.run.weight_bits), (Precision::F64, WeightBits::W32));
    let ours = spikes_of(&spec, "internal");
    let nest = &read_spikes(reference).unwrap()[0];
    let theirs: BTreeSet<(i64, u32)> =
        nest.times_ms.iter().zip(&nest.ids).map(|(t, id)| ((t / 0.1).round() as i64, *id)).collect();
    let shared = ours.intersection(&theirs).count();
    println!("{} spikes here, {} in NEST, {shared} of them in the same step", ours.len(), theirs.len());
    assert_eq!((theirs.len(), ours.len(), shared), (18_777, 18_777, 18_777));
}

#[test]
fn the_allen_example_is_read_as_it_is() {
    let Some(config) = allen(SIMULATION) else { return };
    let check = RunSpec::check(&config, &[]);
    let spec = check.spec.unwrap();
    assert_eq!((spec.run.duration_ms, spec.run.dt_ms), (1500.0, 0.01));
    assert_eq!(check.estimate.unwrap().synapses, 27_588.0 + 20_844.0);
    // Both conditions of the file have no effect, and are told.
    assert_eq!(check.warnings.len(), 2, "{:?}", check.warnings);
    let record = |name: &str| spec.records.iter().find(|record| record.name == name).map(|record| record.kind.clone());
    let Some(RecordKind::State(state)) = record("membrane_potential") else { panic!("{:?}", spec.records) };
    assert_eq!(state[0].neurons, Selection::Indices(vec![0, 80, 160, 240, 270].into()));
    // BMTK's config.json names the two others.
    let merged = load(&allen("examples/300_pointneurons/config.json").unwrap(), &["run.tstop=50"]);
    assert_eq!((merged.run.duration_ms, merged.network.projections.len()), (50.0, 2));
}

/// Samples of one recording.
#[derive(Default)]
struct Trace(Vec<f32>);

impl Recorder for Trace {
    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        self.0.extend_from_slice(sample.values);
        Ok(())
    }
}

/// What NEST 3.10 recorded of this network: spikes arrive at the end of the step their time lies in plus the default
/// delay of 1 ms, and two in one step count twice.
#[test]
fn spikes_arrive_as_in_nest() {
    let folder = tempfile::tempdir().unwrap();
    let spec = load(&single(folder.path()), &[]);
    let mut sim = spec.build().unwrap();
    let trace = sim.record(Trace::default()).unwrap();
    sim.run(3.0).unwrap();
    let trace = &sim.recorder(&trace).0;
    assert_eq!(trace.len(), 30);
    let nest = [
        (14, -70.0),
        (15, -69.999_737_946_667_41),
        (20, -69.992_133_992_366_76),
        (21, -69.989_410_812_107_7),
        (22, -69.985_453_586_422_21),
        (30, -69.910_142_919_531_81),
    ];
    for (step, v) in nest {
        let found = f64::from(trace[step - 1]);
        assert!((found - v).abs() < 1e-5, "at step {step}: {found} instead of {v}");
    }
    let names: Vec<&str> = spec.network.populations.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["cells", "input", "input+1"]);
}

fn edges(spec: &RunSpec, projection: &str) -> Vec<Edge> {
    let found = spec.network.projections.iter().find(|p| p.name == projection);
    let names: Vec<_> = spec.network.projections.iter().map(|p| &p.name).collect();
    let Some(found) = found else { panic!("no {projection} among {names:?}") };
    let ConnectionRule::Edges(edges) = &found.rule else { panic!("{:?}", found.rule) };
    edges.to_vec()
}

fn edge(source: u32, target: u32, weight: f32, delay: f32) -> Edge {
    Edge { source, target, weight, delay }
}

#[test]
fn both_dialects_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let config = mixed(folder.path());
    let check = RunSpec::check(&config, &["run.dt=0.05 ms".to_owned()]);
    assert_eq!(check.faults, []);
    let spec = check.spec.unwrap();
    assert_eq!((spec.run.duration_ms, spec.run.dt_ms, spec.run.seed), (20.0, 0.05, 11));
    let spec_01 = load(&config, &[]);

    // Nodes 1, 4, 9 of one model, 6 of another.
    let populations = &spec.network.populations;
    let names: Vec<(&str, &str)> = populations.iter().map(|p| (p.name.as_str(), p.model.name())).collect();
    let expected = [("net.iaf_psc_exp", "lif_psc_exp"), ("net.iaf_cond_exp", "lif_cond_exp"), ("ext", "spike_train")];
    assert_eq!(names, expected);
    assert_eq!(spec.ids[0].as_deref(), Some([1, 4, 9].as_slice()));
    assert_eq!(spec.ids[1].as_deref(), Some([6].as_slice()));
    assert_eq!(spec.ids[2], None);
    // tau_m of node 1 is NEST's default; of 4 and 9 it stands in the file of nodes.
    let tau_m = populations[0].params.iter().find(|(name, _)| name == "tau_m").unwrap();
    assert_eq!(tau_m.1, Distribution::Values(vec![10.0, 14.0, 19.0].into()));
    let value = |parameter: &str| {
        let model = &populations[0].model;
        let place = model.parameters().iter().position(|p| p.name == parameter).unwrap();
        model.values()[place]
    };
    assert_eq!((value("c_m"), value("t_ref"), value("v_th")), (200.0, 1.0, -55.0));
    let start =
        |population: usize| populations[population].initial.iter().find(|(name, _)| name == "v_m").unwrap().1.clone();
    assert_eq!((start(0), start(1)), (Distribution::Constant(-60.0), Distribution::Constant(-70.0)));

    // 20 x 3 synapses, delay of the parameters; own weight and delay; delay of the parameters; -
    assert_eq!(
        edges(&spec, "ext_to_net.ext.net.iaf_psc_exp"),
        [edge(0, 2, 60.0, 2.5), edge(0, 2, 8.0, 0.7), edge(2, 0, 40.0, 2.5),]
    );
    assert_eq!(edges(&spec, "ext_to_net.ext.net.iaf_cond_exp"), [edge(1, 0, 0.5, 0.3)]);
    assert_eq!(edges(&spec, "recurrent.net.iaf_psc_exp.net.iaf_cond_exp"), [edge(2, 0, -4.0, 2.0)]);
    assert_eq!(edges(&spec, "recurrent.net.iaf_cond_exp.net.iaf_psc_exp"), [edge(0, 0, 25.0, 1.5)]);

    // L5 is node 4, L6 is node 1: neurons 1 and 0 of the first population. The current comes one step later.
    let clamp = &spec_01.network.stimuli[0];
    assert_eq!(clamp.targets.len(), 1);
    assert_eq!(clamp.targets[0].neurons, Selection::Indices(vec![0, 1].into()));
    let StimulusKind::Steps { times, amplitudes } = &clamp.kind else { panic!("{:?}", clamp.kind) };
    let near = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(near(times, &[5.1, 7.1, 10.1, 30.1]), "{times:?}");
    assert_eq!(amplitudes, &[100.0, 0.0, -50.0, 0.0]);

    let names: Vec<&str> = spec.records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["my_spikes", "v", "cond"]);
    let RecordKind::Spikes { populations, .. } = &spec.records[0].kind else { panic!() };
    assert_eq!(populations, &["net.iaf_psc_exp", "net.iaf_cond_exp"]);
    let RecordKind::State(v) = &spec_01.records[1].kind else { panic!() };
    assert_eq!((v[0].every, v[0].start, v[0].stop), (5, 2.0, 10.0));
    assert_eq!(v[0].neurons, Selection::Indices(vec![0, 1].into()));
    let RecordKind::State(g) = &spec.records[2].kind else { panic!() };
    assert_eq!((g[0].population, g[0].variables.as_slice()), (1, ["g_ex".to_owned()].as_slice()));
    assert_eq!(spec.output.dir, folder.path().join("out"));
}

#[test]
fn a_resolved_configuration_gives_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let spec = load(&mixed(folder.path()), &["run.dt=0.2", "inputs.push.enabled=false"]);
    let again = RunSpec::from_resolved(&spec.resolved, Some(Path::new("elsewhere/run.json"))).unwrap();
    assert_eq!((&again.run, &again.records, &again.output), (&spec.run, &spec.records, &spec.output));
    assert_eq!(again.network.stimuli.len(), 0);
    assert_eq!(spikes_of(&again, "ext"), spikes_of(&spec, "ext"));
    // A run that goes on may have another end.
    let mut longer = spec.resolved.clone();
    longer["run"]["duration"] = "30 ms".into();
    let longer = RunSpec::from_resolved(&longer, None).unwrap();
    assert_eq!((longer.run.duration_ms, longer.run.dt_ms), (30.0, 0.2));
    assert_eq!(RunSpec::from_resolved(&longer.resolved, None).unwrap().run, longer.run);
    let absent = serde_json::json!({ "sonata": { "config": "/none/config.json" } });
    assert!(RunSpec::from_resolved(&absent, None).is_err());
    assert!(RunSpec::from_resolved(&serde_json::json!({ "sonata": 3 }), None).is_err());
}

#[test]
fn the_program_runs_checks_and_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = mixed(folder.path());
    let program = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tessera")).args(arguments).arg(&config).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) = program(&["check"]);
    assert!(code == Some(0) && text.contains("synapses   about 6"), "{text}");
    let (code, text) = program(&["info"]);
    assert!(code == Some(0) && text.contains("net.iaf_cond_exp"), "{text}");
    let (code, text) = program(&["run", "--set", "run.tstop=\"10 ms\""]);
    assert!(code == Some(0) && text.contains("simulated  10 ms"), "{text}");
    let out = folder.path().join("out");
    assert!(out.join("run.json").is_file());
    // Results have the names and ids of the files again.
    let spikes = read_spikes(out.join("my_spikes.h5")).unwrap();
    assert_eq!((spikes.len(), spikes[0].name.as_str(), spikes[0].size), (1, "net", 10));
    assert!(
        !spikes[0].ids.is_empty() && spikes[0].ids.iter().all(|id| [1, 4, 6, 9].contains(id)),
        "{:?}",
        spikes[0].ids
    );
    let report = |file: &str| rust_hdf5::H5File::open(out.join(file)).unwrap();
    let nodes = |file: &str| report(file).dataset("report/net/mapping/node_ids").unwrap().read_raw::<u64>().unwrap();
    assert_eq!((nodes("v_v_m.h5"), nodes("cond_g_ex.h5")), (vec![1, 4], vec![6]));
    // It goes on from a checkpoint, and the records are what they would have been.
    let half = folder.path().join("half");
    let checkpoint = ["run", "--set", "checkpoint.every=\"5 ms\"", "--set", "run.tstop=5", "-o"];
    assert_eq!(program(&[&checkpoint[..], &[half.to_str().unwrap()]].concat()).0, Some(0));
    let resume =
        Command::new(env!("CARGO_BIN_EXE_tessera")).arg("resume").arg(&half).args(["--until", "10 ms"]).output();
    assert_eq!(resume.unwrap().status.code(), Some(0));
    for file in ["my_spikes.h5", "v_v_m.h5", "cond_g_ex.h5"] {
        let bytes = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert_eq!(bytes(&half), bytes(&out), "{file}");
    }
    // Nothing is replaced unless the file or the command asks for it.
    assert_eq!(program(&["run"]).0, Some(1));
    assert_eq!(program(&["run", "--set", "output.overwrite_output_dir=true"]).0, Some(0));
}

/// Every fault of a configuration, as text.
fn faults(config: &Path) -> Vec<String> {
    let check = RunSpec::check(config, &[]);
    assert!(check.spec.is_none());
    check.faults.iter().map(ToString::to_string).collect()
}

fn assert_told(found: &[String], parts: &[&[&str]]) {
    let all = found.join("\n");
    for wanted in parts {
        assert!(
            found.iter().any(|fault| wanted.iter().all(|part| fault.contains(part))),
            "{wanted:?} is not told:\n{all}"
        );
    }
    assert_eq!(found.len(), parts.len(), "\n{all}");
}

#[test]
fn everything_unsupported_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = mixed(folder.path());
    write(
        folder.path(),
        "net_node_types.csv",
        "node_type_id model_type model_template dynamics_params\n\
         1 point_neuron nest:iaf_psc_exq exp.json\n2 biophysical ctdb:Biophys1.hoc NULL\n",
    );
    write(
        folder.path(),
        "edge_types.csv",
        "edge_type_id syn_weight dynamics_params model_template weight_function\n\
         1 NULL none.json stdp_synapse NULL\n2 1 NULL static_synapse my_function\n3 1 NULL NULL wmax\n",
    );
    let simulation = std::fs::read_to_string(&config).unwrap();
    let simulation = simulation
        .replace(r#""module": "h5""#, r#""module": "nwb""#)
        .replace(r#""module": "IClamp""#, r#""module": "IClam""#)
        .replace(r#""cells": "stiff""#, r#""cells": "stif""#)
        .replace(r#""dt": 0.1"#, r#""dt": 0"#)
        .replace("multimeter_report", "extracellular");
    std::fs::write(&config, simulation).unwrap();
    assert_told(
        &faults(&config),
        &[
            &["run.dt", "0 ms is out of range"],
            &["net_node_types.csv:2: model_template", "iaf_psc_exq", "did you mean `nest:iaf_psc_exp`"],
            &["net_node_types.csv:3: model_type", "`biophysical` cells"],
            &["inputs.ext.module", "NWB"],
            &["inputs.push.module", "did you mean `IClamp`"],
            &["reports.v.module", "extracellular"],
            &["reports.v.cells", "selects no neuron"],
            &["reports.g.cells", "did you mean `stiff`"],
            &["edge_types.csv:2: dynamics_params", "none.json"],
            &["edge_types.csv:2: model_template", "stdp_synapse"],
            &["/edges/ext_to_net/weight_function", "my_function"],
            &["/edges/ext_to_net/syn_weight", "edge 0", "no `syn_weight`", "1 edges more"],
        ],
    );
}

#[test]
fn wrong_parameters_are_told_with_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = mixed(folder.path());
    write(folder.path(), "models/exp.json", r#"{"C_m": -1, "V_mm": 3, "delta": 0.5, "tau_m": "x"}"#);
    write(folder.path(), "models/slow.json", r#"{"delay": 2.5, "receptor_type": 2, "dellay": 1}"#);
    assert_told(
        &faults(&config),
        &[
            &["exp.json: C_m", "-1 pF is out of range"],
            &["exp.json: V_mm", "did you mean `V_m`"],
            &["exp.json: delta", "0.5 is not supported"],
            &["exp.json: tau_m", "a number is expected"],
            &["slow.json: receptor_type", "only receptor_type 0"],
            &["slow.json: dellay", "did you mean `delay`"],
        ],
    );
}

#[test]
fn ids_that_do_not_fit_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = mixed(folder.path());
    let file = rust_hdf5::H5File::create(folder.path().join("edges.h5")).unwrap();
    let group = file.create_group("edges").unwrap();
    let wrong = group.create_group("wrong").unwrap();
    put_ids(&wrong, "source_node_id", &[0, 3], "ext");
    put_ids(&wrong, "target_node_id", &[0, 7], "net");
    put(&wrong, "edge_type_id", &[3_u32, 3]);
    let strange = group.create_group("strange").unwrap();
    put_ids(&strange, "source_node_id", &[0], "ex");
    put_ids(&strange, "target_node_id", &[0], "ext");
    put(&strange, "edge_type_id", &[3_u32]);
    let back = group.create_group("back").unwrap();
    put_ids(&back, "source_node_id", &[9], "net");
    put_ids(&back, "target_node_id", &[0], "ext");
    put(&back, "edge_type_id", &[3_u32]);
    file.close().unwrap();
    assert_told(
        &faults(&config),
        &[
            &["/edges/wrong/source_node_id", "no node 3 in `ext`"],
            &["/edges/wrong/target_node_id", "no node 0 in `net`", "1 edges more"],
            &["/edges/strange/source_node_id.node_population", "did you mean `ext`"],
            &["/edges/back/target_node_id", "virtual nodes of `ext`"],
        ],
    );
}

#[test]
fn files_that_are_something_else_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let config = mixed(folder.path());
    write(folder.path(), "net_nodes.h5", "this is no HDF5 file, though it is long enough to look at");
    let found = faults(&config);
    assert!(found.iter().any(|fault| fault.contains("net_nodes.h5") && fault.contains("HDF5")), "{found:?}");
    std::fs::copy(folder.path().join("edges.h5"), folder.path().join("net_nodes.h5")).unwrap();
    let found = faults(&config);
    assert!(found.iter().any(|fault| fault.contains("not a SONATA file of nodes")), "{found:?}");
    assert!(matches!(RunSpec::from_file(folder.path().join("none.json")), Err(Error::Io { .. })));
}
