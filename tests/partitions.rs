//! Cuts of a network into shards: spikes never depend on them, whatever the strategy, the number, and when they change.

#[path = "networks/mixed.rs"]
mod networks;

use networks::mixed;
use std::path::PathBuf;
use tessera::config::RunSpec;
use tessera::engine::{Connectivity, CutOptions, CutStrategy, Digest, SimOptions, Simulation, SpikeRecorder};
use tessera::model::{BrainModel, ConnectionRule, Edge, NetworkSpec, StaticSynapse};
use tessera::neuron::LifPscExp;

fn cut(strategy: CutStrategy, shards: usize) -> CutOptions {
    CutOptions { strategy: Some(strategy), shards: Some(shards), rebalance: None }
}

fn lattice() -> (NetworkSpec, SimOptions) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/lattice_4d.toml");
    let spec = RunSpec::load(path, &["lattice.shape=[12, 12, 6, 4]".to_owned()]).unwrap();
    (spec.network, SimOptions { dt: spec.run.dt_ms, threads: 1, ..SimOptions::default() })
}

fn simulation(network: &NetworkSpec, options: SimOptions) -> Simulation {
    Simulation::new(BrainModel::build(network, 11).unwrap(), options).unwrap()
}

/// Spikes, their digest and the events of a run of `steps` steps.
fn told(sim: &Simulation) -> (u64, String, u64) {
    let figures = sim.figures();
    (figures.spikes, figures.spike_digest, figures.synaptic_events)
}

fn run(network: &NetworkSpec, options: SimOptions, ms: f64) -> (u64, String, u64) {
    let mut sim = simulation(network, options);
    sim.run(ms).unwrap();
    told(&sim)
}

#[test]
fn spikes_do_not_depend_on_strategy_and_number_of_shards() {
    let (lattice, lattice_options) = lattice();
    for (network, options, ms) in
        [(lattice, lattice_options, 100.0), (mixed(), SimOptions { threads: 1, ..SimOptions::default() }, 150.0)]
    {
        let reference = run(&network, options.clone(), ms);
        assert!(reference.0 > 1000);
        for strategy in CutStrategy::ALL {
            for (threads, shards) in [(1, 3), (2, 2), (2, 7), (3, 16)] {
                let options = SimOptions { threads, cut: cut(strategy, shards), ..options.clone() };
                assert_eq!(run(&network, options, ms), reference, "{strategy:?}, {shards} shards on {threads} threads");
            }
        }
    }
}

#[test]
fn synapses_made_before_are_cut_as_asked() {
    let (network, options) = lattice();
    let reference = run(&network, options.clone(), 100.0);
    for strategy in CutStrategy::ALL {
        let model = BrainModel::build(&network, 11).unwrap();
        let made = Connectivity::build(&model, &SimOptions { threads: 2, ..options.clone() }).unwrap();
        let options = SimOptions { threads: 2, cut: cut(strategy, 5), ..options.clone() };
        let mut sim = Simulation::with_connectivity(model, made, options).unwrap();
        assert_eq!(sim.shards(), 5);
        sim.run(100.0).unwrap();
        assert_eq!(told(&sim), reference, "{strategy:?}");
    }
}

/// New cuts before the first step, after single steps and in a run, with everything recorded.
#[test]
fn spikes_do_not_depend_on_new_cuts_at_odd_places() {
    let (lattice, lattice_options) = lattice();
    let mixed_options = SimOptions { threads: 1, ..SimOptions::default() };
    for (network, options) in [(lattice, lattice_options), (mixed(), mixed_options)] {
        let dt = options.dt;
        let steps = 400u64;
        let reference = run(&network, options.clone(), steps as f64 * dt);
        for threads in [1, 2, 3] {
            let mut sim = simulation(&network, SimOptions { threads, ..options.clone() });
            let spikes = sim.record(SpikeRecorder::all()).unwrap();
            let cuts = [
                (0, cut(CutStrategy::Random, 3)),
                (1, cut(CutStrategy::ZOrder, 1)),
                (1, cut(CutStrategy::Blocks, 4)),
                (17, cut(CutStrategy::Random, 9)),
                (101, cut(CutStrategy::ZOrder, 2)),
            ];
            for (run, cut) in cuts {
                sim.run(run as f64 * dt).unwrap();
                // Not every network lies in space.
                let wanted = cut.shards.unwrap();
                match sim.recut(&cut) {
                    Ok(()) => assert_eq!(sim.shards(), wanted),
                    Err(error) => assert!(error.to_string().contains("no population has positions"), "{error}"),
                }
            }
            for run in [3, 50, 1] {
                sim.run(run as f64 * dt).unwrap();
                sim.rebalance().unwrap();
            }
            sim.run((steps - sim.steps()) as f64 * dt).unwrap();
            assert_eq!(told(&sim), reference, "{threads} threads");
            let figures = sim.figures();
            assert_eq!(figures.rebalances, 3);
            assert!(figures.phases_s["rebalance"] > 0.0 && figures.phases_s["update"] > 0.0);
            let mut digest = Digest::default();
            digest.update(&sim.recorder(&spikes).spikes);
            assert_eq!(digest.hex(), reference.1);
        }
    }
}

/// A checkpoint of a run that has been cut anew goes on in one that has not, and the other way round.
#[test]
fn snapshots_do_not_know_of_cuts() {
    let network = mixed();
    let options = SimOptions { threads: 2, ..SimOptions::default() };
    let reference = run(&network, options.clone(), 60.0);
    for (before, after) in [(true, false), (false, true)] {
        let mut first = simulation(&network, options.clone());
        first.run(20.3).unwrap();
        if before {
            first.recut(&cut(CutStrategy::Random, 5)).unwrap();
            first.run(0.2).unwrap();
        }
        let snapshot = first.snapshot().unwrap();
        let mut second = simulation(&network, SimOptions { threads: 3, ..options.clone() });
        second.restore(&snapshot).unwrap();
        if after {
            second.recut(&cut(CutStrategy::ZOrder, 7)).unwrap();
        }
        second.run(60.0 - second.time()).unwrap();
        assert_eq!(told(&second), reference);
    }
}

/// One population receives everything: half of its neurons are most of the load.
fn lopsided() -> NetworkSpec {
    let mut net = NetworkSpec::default();
    let driver = net.population("driver", 2000, LifPscExp { i_e: 600.0, ..Default::default() }).unwrap();
    let target = net.population("target", 4000, LifPscExp::default()).unwrap();
    let edge = |source, k: u32| Edge { source, target: (source * 7 + k * 13) % 500, weight: f32::NAN, delay: f32::NAN };
    let edges: Vec<Edge> = (0..2000).flat_map(|s| (0..100).map(move |k| edge(s, k))).collect();
    let rule = ConnectionRule::Edges(edges.into());
    net.project(driver, target, rule, StaticSynapse { weight: 0.1, delay: 1.0 }).unwrap();
    net
}

#[test]
fn expected_in_degrees_move_the_cuts() {
    let network = lopsided();
    let model = BrainModel::build(&network, 1).unwrap();
    let options = SimOptions { threads: 2, ..SimOptions::default() };
    let report = tessera::engine::PartitionReport::of_model(&model, &options, 2).unwrap();
    let [a, b] = &report.partitions[..] else { panic!("two partitions") };
    // By numbers of neurons alone, both would have 3,000.
    assert!(a.neurons + 400 < b.neurons && a.synapses == 200_000, "{a:?} {b:?}");
    assert!(a.cut_synapses > 90_000 && b.cut_synapses == 0 && a.boundary_neurons == 500, "{a:?} {b:?}");
    assert!(report.load.imbalance < 0.01, "{:?}", report.load);
}

#[test]
fn boxes_need_positions() {
    let network = lopsided();
    let options = SimOptions { cut: cut(CutStrategy::Blocks, 2), ..SimOptions::default() };
    let error = Simulation::new(BrainModel::build(&network, 1).unwrap(), options).unwrap_err().to_string();
    assert!(error.contains("run.partition") && error.contains("allowed here are zorder, random"), "{error}");
    for options in [
        CutOptions { shards: Some(0), ..Default::default() },
        CutOptions { rebalance: Some(0.0), ..Default::default() },
    ] {
        let options = SimOptions { cut: options, ..SimOptions::default() };
        assert!(Simulation::new(BrainModel::build(&network, 1).unwrap(), options).is_err());
    }
}

fn tessera(args: &[&str]) -> (bool, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tessera")).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn info_shows_partitions_and_draws_them() {
    let config = format!("{}/configs/lattice_4d.toml", env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let small = ["--set", "lattice.shape=[12, 12, 6, 4]"];
    let mut cut_shares = Vec::new();
    for strategy in CutStrategy::NAMES {
        let picture = dir.path().join(format!("{strategy}.svg")).display().to_string();
        let args = ["info", &config, "--partitions", "4", "--partition", strategy, "--plot", &picture];
        let (done, printed, error) = tessera(&[&args[..], &small].concat());
        assert!(done, "{error}");
        assert!(printed.contains(&format!("strategy {strategy}")) && printed.contains("imbalance"), "{printed}");
        assert!(std::fs::read_to_string(&picture).unwrap().contains("<svg"));
        let (done, _, error) = tessera(&[&args[..], &small].concat());
        assert!(!done && error.contains("exists"), "{error}");
        let (_, printed, _) = tessera(&[&args[..6], &small, &["--json"]].concat());
        let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let parts = report["partitions"].as_array().unwrap();
        let sum = |key: &str| parts.iter().map(|p| p[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!((parts.len(), sum("neurons")), (4, report["neurons"].as_u64().unwrap()));
        assert_eq!(sum("synapses"), report["synapses"].as_u64().unwrap());
        let share = report["cut_share"].as_f64().unwrap();
        assert!((sum("cut_synapses") as f64 / sum("synapses") as f64 - share).abs() < 1e-12);
        assert!(report["load"]["imbalance"].as_f64().unwrap() < 0.1, "{}", report["load"]);
        let distance = |of: &str| report[of]["mean_distance_within"].as_f64().unwrap();
        assert!(distance("locality") < distance("locality_by_rows"), "the curve keeps neighbours together");
        cut_shares.push(share);
    }
    assert!(cut_shares[0] < 0.8 * cut_shares[2], "runs of the curve cut fewer synapses: {cut_shares:?}");
}

#[test]
fn partitions_that_cannot_be_are_refused() {
    let config = format!("{}/configs/brunel.toml", env!("CARGO_MANIFEST_DIR"));
    for (args, told) in [
        (&["--partitions", "0"][..], "allowed are 1 to 4096"),
        (&["--partitions", "2", "--partition", "blocks"], "no population has positions"),
        (&["--partitions", "2", "--plot", "x.svg"], "has no lattice"),
        (&["--partitions", "2", "--plot", "x.gif"], "neither in .svg nor in .png"),
        (&["--plot", "x.svg"], "--partitions"),
        (&["--partitions", "2", "--partition", "hilbert"], "zorder, blocks, random"),
    ] {
        let (done, _, error) = tessera(&[&["info", &config], args].concat());
        assert!(!done && error.contains(told), "{args:?}: {error}");
    }
}

#[test]
fn runs_are_cut_as_the_command_line_says() {
    let config = format!("{}/configs/lattice_4d.toml", env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let digest = |name: &str, more: &[&str]| {
        let out = dir.path().join(name).display().to_string();
        let args = ["run", &config, "--json", "--threads", "2", "--out", &out, "--set", "run.duration=50 ms"];
        let (done, printed, error) = tessera(&[&args[..], &["--set", "lattice.shape=[12, 12, 6, 4]"], more].concat());
        assert!(done, "{error}");
        let summary: serde_json::Value = serde_json::from_str(&printed).unwrap();
        summary["spike_digest"].as_str().unwrap().to_owned()
    };
    let reference = digest("reference", &[]);
    assert_eq!(digest("random", &["--partition", "random"]), reference);
    assert_eq!(digest("blocks", &["--set", "run.partition=blocks", "--set", "run.shards=5"]), reference);
    assert_eq!(digest("rebalance", &["--set", "run.rebalance=0.01"]), reference);
}
