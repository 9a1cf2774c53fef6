//! The configuration files that come with the program: they are read without fault and describe what they say.

use std::path::PathBuf;
use tessera::config::{RecordKind, RunSpec, SpikesFormat};
use tessera::model::{ConnectionRule, Distribution, Placement, Selection, StimulusKind};

fn config(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs").join(name)
}

/// Loads a file that must have neither fault nor warning.
fn load(name: &str, overrides: &[&str]) -> RunSpec {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let check = RunSpec::check(config(name), &overrides);
    let list = |faults: &[tessera::error::Fault]| faults.iter().map(|f| format!("{f}\n")).collect::<String>();
    assert!(check.faults.is_empty(), "{name}:\n{}", list(&check.faults));
    assert!(check.warnings.is_empty(), "{name}:\n{}", list(&check.warnings));
    check.spec.unwrap()
}

fn synapses(name: &str) -> f64 {
    RunSpec::check(config(name), &[]).estimate.unwrap().synapses
}

#[test]
fn brunel() {
    let spec = load("brunel.toml", &[]);
    assert_eq!(spec.network.populations.len(), 2);
    let names: Vec<&str> = spec.network.projections.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["excitation.exc.exc", "excitation.exc.inh", "inhibition.inh.exc", "inhibition.inh.inh"]);
    assert_eq!(spec.network.projections[2].rule, ConnectionRule::FixedIndegree { n: 250 });
    assert_eq!(spec.network.projections[2].weight, Distribution::Constant(-0.5));
    assert_eq!(synapses("brunel.toml"), 12_500.0 * 1_250.0);
    assert_eq!(spec.network.stimuli[0].targets[1].level, 20_000.0);
    assert_eq!(spec.run.duration_ms, 1_100.0);
    assert_eq!(spec.output.dir, PathBuf::from("results/brunel"));
}

#[test]
fn cuba_and_coba() {
    let cuba = load("cuba.toml", &[]);
    let weights: Vec<_> = cuba.network.projections.iter().map(|p| p.weight.clone()).collect();
    assert_eq!(weights, [16.2, -90.0, 16.2, -90.0].map(Distribution::Constant));
    let RecordKind::State(states) = &cuba.records[1].kind else { panic!("a state recording") };
    assert_eq!((states[0].name.as_str(), states[0].every), ("potential", 10));
    assert_eq!(states[0].neurons, Selection::Indices((0..10).collect()));

    let coba = load("coba.toml", &[]);
    let initial: Vec<&str> = coba.network.populations[0].initial.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(initial, ["v_m", "g_ex", "g_in"]);
    assert_eq!(synapses("coba.toml"), 4_000.0 * 4_000.0 * 0.02);
}

#[test]
fn microcircuit_has_the_published_numbers() {
    let spec = load("microcircuit.toml", &[]);
    let check = RunSpec::check(config("microcircuit.toml"), &[]);
    let estimate = check.estimate.unwrap();
    assert_eq!(estimate.neurons, 77_169);
    assert_eq!((estimate.synapses / 1e5).round() / 10.0, 298.9);
    assert_eq!(spec.network.projections.len(), 55);
    // 4.48 bytes each, and the program itself.
    assert!((1.3e9..1.5e9).contains(&(estimate.memory_bytes as f64)), "{}", estimate.memory_bytes);
    let find = |name: &str| spec.network.projections.iter().find(|p| p.name == name).unwrap();
    let strong = find("recurrent.L4E.L23E");
    assert_eq!(strong.weight, Distribution::Normal { mean: 175.62, sd: 17.562, low: 0.0, high: f64::INFINITY });
    let inhibitory = find("recurrent.L5I.L5E");
    assert_eq!(
        inhibitory.weight,
        Distribution::Normal { mean: -351.24, sd: 35.124, low: f64::NEG_INFINITY, high: 0.0 }
    );
    // Rows are targets: p(L5I -> L5E) = 0.3726 stands in row L5E.
    let pairs = 1_065.0 * 4_850.0;
    let expected = (libm::log(1.0 - 0.3726) / libm::log(1.0 - 1.0 / pairs)).round();
    let ConnectionRule::FixedTotal { n } = inhibitory.rule else { panic!("a fixed total") };
    assert!((n as f64 - expected).abs() <= 1.0, "{n} {expected}");
    let StimulusKind::Poisson { weight, .. } = &spec.network.stimuli[0].kind else { panic!("Poisson input") };
    assert_eq!((*weight, spec.network.stimuli[0].targets[6].level), (87.81, 23_200.0));
}

#[test]
fn microcircuit_with_constant_background() {
    let spec = load("microcircuit.toml", &["stimulus.background.enabled=false", "stimulus.background_dc.enabled=true"]);
    assert_eq!(spec.network.stimuli.len(), 1);
    assert!(matches!(spec.network.stimuli[0].kind, StimulusKind::Dc));
    for (target, k_ext) in
        spec.network.stimuli[0].targets.iter().zip([1600.0, 1500.0, 2100.0, 1900.0, 2000.0, 1900.0, 2900.0, 2100.0])
    {
        assert!((target.level - 8.0 * k_ext * 87.81 * 0.5e-3).abs() < 1e-9);
    }
}

#[test]
fn lattices() {
    let spec = load("lattice_4d.toml", &[]);
    let check = RunSpec::check(config("lattice_4d.toml"), &[]);
    let cells = 24 * 24 * 12 * 8;
    let n = check.estimate.unwrap().neurons;
    assert!((i64::try_from(n).unwrap() - cells - cells / 4).abs() < 600, "{n}");
    let Selection::Indices(driven) = &spec.network.stimuli[0].targets[0].neurons else { panic!("a part") };
    assert_eq!(driven.len(), 6 * 6 * 4 * 2);

    let quick = load("quickstart.toml", &[]);
    let Placement::Region { region, density } = quick.network.populations[2].placement else { panic!("a region") };
    assert_eq!((region.lo[3], region.hi[3], density), (1, 2, 2.0));
    let (name, v_th) = &quick.network.populations[0].params[0];
    assert_eq!(name, "v_th");
    assert!(matches!(v_th, Distribution::Normal { mean: -55.0, .. }));
}

#[test]
fn larva_takes_its_neurons_from_a_table() {
    let data = std::env::var("TESSERA_DATA")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if !data.join("larva/meta_data.csv").is_file() {
        println!("skipped: no data");
        return;
    }
    let spec = load("larva.toml", &[]);
    let ids = spec.ids[0].as_ref().unwrap();
    assert_eq!((ids.len(), ids[0], ids[1]), (3_591, 29, 37_365));
    let ConnectionRule::Edges(edges) = &spec.network.projections[0].rule else { panic!("edges") };
    assert_eq!(edges.len(), 119_010);
    assert_eq!((edges[0].source, edges[0].weight), (0, 9.0 * 12.0));
    let total: f64 = edges.iter().map(|edge| f64::from(edge.weight)).sum();
    assert!((total - 376_091.0 * 12.0).abs() < 1.0);
    let Selection::Indices(senses) = &spec.network.stimuli[0].targets[0].neurons else { panic!("a part") };
    assert_eq!(senses.len(), 434);
    assert_eq!(spec.network.stimuli.len(), 1);
}

#[test]
fn the_resolved_configuration_reads_as_the_same_run() {
    for name in ["brunel.toml", "coba.toml", "microcircuit.toml", "quickstart.toml", "lattice_4d.toml"] {
        let first = load(name, &["run.duration=250 ms", "output.format=csv"]);
        let text = toml::to_string(&first.resolved).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let second = RunSpec::from_file(&path).unwrap();
        assert_eq!(format!("{:?}", first.network), format!("{:?}", second.network));
        assert_eq!((&first.run, &first.records, &first.output), (&second.run, &second.records, &second.output));
        assert_eq!(first.resolved["run"], second.resolved["run"]);
        assert_eq!(first.resolved["run"]["precision"], "f32");
        assert_eq!(first.output.spikes_format, SpikesFormat::Csv);
    }
}
