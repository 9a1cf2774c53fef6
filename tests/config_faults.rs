//! What is wrong in a file is all reported at once, each fault where it stands and with what is allowed.

use std::path::{Path, PathBuf};
use tessera::config::{Check, RunSpec};
use tessera::error::{Error, Fault};

fn list(faults: &[Fault]) -> String {
    let shortened = |fault: &Fault| {
        let mut fault = fault.clone();
        fault.file = fault.file.map(|file| file.file_name().map_or(file.clone(), PathBuf::from));
        format!("{fault}\n")
    };
    faults.iter().map(shortened).collect()
}

/// Checks a text as a file of its own folder.
fn check(text: &str, overrides: &[&str]) -> Check {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    RunSpec::check(&path, &overrides)
}

const SMALL: &str = r#"
[run]
duration = "100 ms"

[population.a]
neuron = "lif_psc_exp"
n = 100

[projection.p]
source = "a"
target = "a"
rule = "bernoulli"
p = 0.1
weight = "10 pA"
delay = "1 ms"
"#;

#[test]
fn every_fault_of_a_file_is_reported_with_its_line() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/faulty.toml");
    let found = RunSpec::check(&path, &[]);
    assert!(found.spec.is_none() && found.estimate.is_none());
    assert!(found.faults.len() > 40);
    assert!(found.faults.iter().all(|fault| fault.line.is_some()));
    let folder = path.parent().unwrap().display().to_string();
    insta::assert_snapshot!(list(&found.faults).replace(&folder, "FOLDER"));
    let Err(Error::Invalid(loaded)) = RunSpec::from_file(&path) else { panic!("faults") };
    assert_eq!(loaded, found.faults);
}

#[test]
fn a_good_file_has_none() {
    let found = check(SMALL, &[]);
    assert_eq!(list(&found.faults) + &list(&found.warnings), "");
    let estimate = found.estimate.unwrap();
    assert_eq!((estimate.neurons, estimate.synapses), (100, 1000.0));
}

#[test]
fn overrides_are_checked_like_the_file_and_located_at_set() {
    let found = check(SMALL, &["run.duration=2 s", "run.seed=5", "population.a.n=20"]);
    let spec = found.spec.unwrap();
    assert_eq!((spec.run.duration_ms, spec.run.seed), (2000.0, 5));
    assert_eq!(found.estimate.unwrap().neurons, 20);
    let found = check(SMALL, &["run.dt=1 mV", "population.a.m=3", "projection.p.target=b", "run"]);
    insta::assert_snapshot!(list(&found.faults), @r#"
    --set: `run` has no `=`; expected is `key=value`, for example `run.duration="2 s"`
    --set: run.dt: `1 mV` is a voltage; a time is expected, for example "10 ms"
    --set: population.a.m: `m` is not a key known here; known are neuron, n, area, region, density, coordinates, ids, initial, file, c_m, tau_m, e_l, v_th, v_reset, t_ref, tau_syn_ex, tau_syn_in, i_e, currents
    --set: projection.p.target: `b` is not a population known here; known are a
    "#);
}

#[test]
fn times_off_the_grid_are_warned_about() {
    let found =
        check(SMALL, &["projection.p.delay=1.25 ms", "run.duration=100.04 ms", "population.a.tau_syn_ex=0.15 ms"]);
    assert!(found.spec.is_some());
    insta::assert_snapshot!(list(&found.warnings), @r#"
    --set: run.duration: 100.04 ms is not a multiple of dt = 0.1 ms; the run ends at 100 ms
    --set: population.a.tau_syn_ex: dt = 0.1 ms is more than half of tau_syn_ex = 0.15 ms; results will be coarse, a smaller run.dt helps
    --set: projection.p.delay: 1.25 ms is not a multiple of dt = 0.1 ms; it becomes 1.3 ms
    "#);
    let found = check(SMALL, &["projection.p.delay=0.01 ms"]);
    insta::assert_snapshot!(list(&found.warnings), @r#"
    --set: projection.p.delay: 0.01 ms is less than half of dt = 0.1 ms; it becomes one step, 0.1 ms
    "#);
}

#[test]
fn checkpoints_are_checked() {
    let faults = |overrides: &[&str]| list(&check(SMALL, overrides).faults);
    insta::assert_snapshot!(faults(&["checkpoint.every=0 ms", "checkpoint.every_wall=1 mV", "checkpoint.keep=0"]), @r#"
    --set: checkpoint.every: `0 ms` is out of range; allowed is above 0 ms
    --set: checkpoint.every_wall: `1 mV` is a voltage; a time is expected, for example "10 ms"
    --set: checkpoint.keep: `0` is out of range; allowed is 1 to 1000000
    "#);
    insta::assert_snapshot!(faults(&["checkpoint.on_signal=false"]), @"--set: checkpoint.on_signal: no checkpoint would ever be written; give `every` or `every_wall`, or set on_signal = true");
    insta::assert_snapshot!(list(&check(SMALL, &["checkpoint.every=0.25 ms"]).warnings), @"--set: checkpoint.every: 0.25 ms is not a multiple of dt = 0.1 ms; it becomes 0.3 ms");
    let spec = check(SMALL, &["checkpoint.every_wall=1500 ms"]).spec.unwrap().checkpoint.unwrap();
    assert_eq!((spec.every, spec.every_wall, spec.keep), (None, Some(std::time::Duration::from_millis(1500)), 2));
    assert!(spec.on_signal && check(SMALL, &[]).spec.unwrap().checkpoint.is_none());
}

#[test]
fn empty_selections_are_faults() {
    let text = r#"
[lattice]
shape = [4, 4, 1, 1]
[area.left]
x = [0, 2]
[area.right]
x = [2, 4]
[population.a]
neuron = "lif_psc_exp"
area = "left"
[population.few]
neuron = "lif_psc_exp"
area = "left"
density = 0.01
[population.somewhere]
neuron = "lif_psc_exp"
n = 3
[stimulus.s]
kind = "dc"
target = ["a", "somewhere"]
area = "right"
amplitude = 1
"#;
    insta::assert_snapshot!(list(&check(text, &[]).faults), @r#"
    a.toml:14: population.few.density: 0.01 neurons on each of 8 cells give no neuron; a density of at least 0.125 is needed
    a.toml:21: stimulus.s.area: no neuron of population `a` is in this area
    a.toml:21: stimulus.s.area: population `somewhere` has no positions, so no neuron is in an area
    "#);
}

#[test]
fn faults_of_the_finished_network_lead_to_the_file() {
    // That a drawn threshold is below the reset shows only in the values themselves.
    let found = check(SMALL, &["population.a.v_th={ dist = \"uniform\", low = -75, high = -50 }"]);
    assert!(found.spec.is_none());
    assert!(found.faults[0].message.starts_with("neuron "), "{}", list(&found.faults));
    assert_eq!((found.faults[0].key.as_str(), found.faults[0].line), ("population.a.v_reset", Some(5)));
}

#[test]
fn a_missing_file_and_broken_toml_are_plain_errors() {
    assert!(matches!(RunSpec::from_file("no/such/file.toml"), Err(Error::Io { .. })));
    let found = check("[run]\ndt = = 1\n", &[]);
    assert_eq!((found.faults.len(), found.faults[0].line), (1, Some(2)));
}
