//! Neurons at rest are skipped and compressed, and nobody can tell from the results: the same spikes and the same state,
//! bit for bit, with and without, on any number of threads, across snapshots, whatever wakes them.

use std::path::Path;
use tessera::compute::Isa;
use tessera::config::RunSpec;
use tessera::engine::{Inactive, InactiveFigures, Precision, SimOptions, Simulation, Snapshot, StateRecording};
use tessera::engine::{Recorder, StateSample};
use tessera::error::Result;
use tessera::model::{BrainModel, Distribution, NetworkSpec, PopulationId, Selection};
use tessera::neuron::{LifEuler, LifPscDelta, LifPscExp};

/// A lattice of 524,288 neurons, large enough that arrays of one shard or two have pages of their own. A wave that a
/// short stimulus sets off runs through a part of it, over synapses that were compressed before; a current that is
/// switched on and off and a few given spikes wake neurons elsewhere.
const LATTICE: &str = r#"
[run]
duration = "140 ms"
dt = "0.5 ms"
seed = 3

[lattice]
shape = [32, 32, 32, 16]
spacing = "20 um"

[area.focus]
x = [3, 9]
y = [5, 9]
z = [2, 8]
w = [2, 5]

[area.walled]
x = [0, 16]
y = [0, 16]
w = [0, 12]

[area.corner]
x = [28, 32]
y = [28, 32]
z = [28, 32]

[neuron.leaky]
model = "lif_psc_delta"
tau_m = "3 ms"
t_ref = "6 ms"

[population.exc]
neuron = "leaky"
area = "lattice"

[population.few]
neuron = "lif_psc_exp"
n = 700

[projection.near]
source = "exc"
target = "exc"
rule = "distance"
kernel = "box"
p = 0.9
extent = "21 um"
weight = "16 mV"
delay = { dist = "uniform", low = "0.5 ms", high = "2.5 ms" }
autapses = false

[projection.far]
source = "few"
target = "exc"
rule = "fixed_outdegree"
n = 300
weight = "3 mV"
delay = "1 ms"

[stimulus.spark]
kind = "poisson"
target = "exc"
area = "focus"
rate = "2000 Hz"
weight = "20 mV"
start = "80 ms"
stop = "82 ms"

[stimulus.push]
kind = "dc"
target = "exc"
area = "corner"
amplitude = "2000 pA"
start = "90 ms"
stop = "120 ms"

[stimulus.touch]
kind = "dc"
target = "few"
amplitude = "1500 pA"
start = "100 ms"
stop = "110 ms"
"#;

const SOON: Option<Inactive> = Some(Inactive { after: 3.0, synapses: true, tolerance: None });

fn build(options: SimOptions) -> Simulation {
    let check = RunSpec::check_text(Path::new("lattice.toml"), LATTICE, &[]);
    assert!(check.faults.is_empty(), "{:?}", check.faults);
    let spec = check.spec.unwrap();
    let model = BrainModel::build(&spec.network, spec.run.seed).unwrap();
    Simulation::new(model, SimOptions { dt: spec.run.dt_ms, ..options }).unwrap()
}

fn options(threads: usize, inactive: Option<Inactive>) -> SimOptions {
    SimOptions { threads, inactive, ..SimOptions::default() }
}

/// What has to be the same: digest, events, spikes of each population.
type Told = (String, u64, Vec<u64>);

fn told(sim: &Simulation) -> Told {
    let figures = sim.figures();
    (figures.spike_digest, figures.synaptic_events, figures.population_spikes)
}

/// What came out, and what skipping did before the wave and in all.
fn run(options: SimOptions) -> (Told, Option<(InactiveFigures, InactiveFigures)>) {
    let mut sim = build(options);
    sim.run(78.0).unwrap();
    let quiet = sim.inactive();
    sim.run(140.0 - sim.time()).unwrap();
    (told(&sim), quiet.zip(sim.inactive()))
}

#[test]
fn spikes_are_the_same_with_and_without() {
    let (plain, none) = run(options(1, None));
    assert_eq!(none, None);
    assert!(plain.2.iter().all(|spikes| *spikes > 1000), "{plain:?}");
    for (threads, isa, precision) in [
        (1, None, Precision::F32),
        (2, Some(Isa::Portable), Precision::F32),
        (3, None, Precision::F32),
        (2, None, Precision::F64),
    ] {
        let reference = match precision {
            Precision::F32 => plain.clone(),
            Precision::F64 => run(SimOptions { precision, ..options(2, None) }).0,
        };
        let (with, figures) = run(SimOptions { isa, precision, ..options(threads, SOON) });
        assert_eq!(with, reference, "{threads} threads, {isa:?}, {precision:?}");
        let (quiet, end) = figures.unwrap();
        assert!(quiet.resting == quiet.blocks && quiet.wake_ups == 0, "{quiet:?}");
        assert!(end.wake_ups > 100, "{end:?}");
        let mut shares = end.active_fraction.iter();
        assert!(shares.all(|share| *share <= 1.0) && end.mean_active_fraction() < 0.9, "{end:?}");
        if cfg!(target_os = "linux") && threads < 3 {
            assert!(quiet.state_bytes_saved > 0 && quiet.synapse_bytes_saved > 0, "{quiet:?}");
            assert!(end.compress_s > 0.0 && end.decompress_s > 0.0);
            assert!(end.synapse_bytes_saved < quiet.synapse_bytes_saved, "the wave brings synapses back");
        }
    }
    let (with, figures) = run(options(2, Some(Inactive { after: 3.0, synapses: false, tolerance: None })));
    assert_eq!(with, plain);
    assert_eq!(figures.unwrap().0.synapse_bytes_saved, 0);
}

/// State of all neurons while most of them are compressed.
fn state(snapshot: &Snapshot) -> impl PartialEq + std::fmt::Debug {
    (snapshot.step, snapshot.network, snapshot.populations.clone(), snapshot.in_flight.clone(), snapshot.digest.clone())
}

#[test]
fn snapshots_hold_what_is_compressed() {
    let snapshots = |options: SimOptions| {
        let mut sim = build(options);
        let mut taken = Vec::new();
        // At rest, in the midst of the wave, and after it.
        for until in [70.0, 97.0, 140.0] {
            sim.run(until - sim.time()).unwrap();
            taken.push(sim.snapshot().unwrap());
        }
        (taken, told(&sim))
    };
    let (plain, end) = snapshots(options(1, None));
    let (with, same) = snapshots(options(2, SOON));
    assert_eq!(end, same);
    for (plain, with) in plain.iter().zip(&with) {
        assert!(state(plain) == state(with), "state at step {}", plain.step);
    }
    for (from, threads, inactive) in
        [(&plain[0], 2, SOON), (&with[0], 1, None), (&with[1], 1, SOON), (&plain[1], 3, SOON)]
    {
        let mut sim = build(options(threads, inactive));
        sim.restore(from).unwrap();
        sim.run(140.0 - sim.time()).unwrap();
        assert_eq!(told(&sim), end, "from step {} on {threads} threads", from.step);
        assert!(state(&sim.snapshot().unwrap()) == state(&plain[2]));
    }
}

/// Keeps every sample.
#[derive(Default)]
struct Samples(Vec<(u64, Vec<u32>)>);

impl Recorder for Samples {
    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        self.0.push((sample.step, sample.values.iter().map(|x| x.to_bits()).collect()));
        Ok(())
    }
}

#[test]
fn recorded_state_is_that_of_skipped_neurons_too() {
    let record = |inactive| {
        let mut sim = build(options(2, inactive));
        let neurons: Vec<u32> = (0..524_288).step_by(4999).collect();
        sim.record_state(StateRecording {
            name: "v".into(),
            population: 0,
            variables: vec!["v_m".into()],
            units: Vec::new(),
            neurons: Selection::Indices(neurons.into()),
            every: 7,
            start: 0.0,
            stop: f64::INFINITY,
        })
        .unwrap();
        let handle = sim.record(Samples::default()).unwrap();
        sim.run(120.0).unwrap();
        let single: Vec<u64> = (0..524_288)
            .step_by(1777)
            .map(|neuron| sim.state(PopulationId(0), "v_m", neuron).unwrap().to_bits())
            .collect();
        (sim.recorder(&handle).0.clone(), single)
    };
    assert!(record(None) == record(SOON));
}

#[test]
fn a_time_below_zero_is_refused() {
    let check = RunSpec::check_text(Path::new("lattice.toml"), LATTICE, &["inactive.after=-1 ms".into()]);
    let faults: Vec<String> = check.faults.iter().map(ToString::to_string).collect();
    assert!(faults.len() == 1 && faults[0].contains("inactive.after"), "{faults:?}");
    let spec = RunSpec::check_text(Path::new("lattice.toml"), LATTICE, &[]).spec.unwrap();
    let model = BrainModel::build(&spec.network, 1).unwrap();
    let options =
        SimOptions { dt: 0.5, ..options(1, Some(Inactive { after: f64::NAN, synapses: true, tolerance: None })) };
    assert!(Simulation::new(model, options).unwrap_err().to_string().contains("inactive.after"));
}

#[test]
fn enabled_decides() {
    let read = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
        RunSpec::check_text(Path::new("lattice.toml"), LATTICE, &set).spec.unwrap().inactive
    };
    assert_eq!(read(&[]), None);
    assert_eq!(read(&["inactive.enabled=false"]), None);
    assert_eq!(read(&["inactive.enabled=true"]), Some(Inactive::default()));
    assert_eq!(
        read(&["inactive.after=2 ms", "inactive.synapses=false"]),
        Some(Inactive { after: 2.0, synapses: false, tolerance: None })
    );
}

/// With a tolerance blocks rest while they still decay, and are then as near to rest as it says.
#[test]
fn a_tolerance_bounds_the_error() {
    let tolerance = 1e-3;
    let run = |tolerance: Option<f64>, until: f64| {
        let mut net = NetworkSpec::default();
        let exp = LifPscExp { tau_m: 10.0, e_l: -70.0, v_th: -55.0, ..LifPscExp::default() };
        let a = net.population("exp", 3000, exp).unwrap();
        let b = net.population("delta", 1500, LifPscDelta { tau_m: 10.0, ..LifPscDelta::default() }).unwrap();
        let c =
            net.population("euler", 1024, LifEuler { tau_m: 10.0, v_rest: 0.0, v_reset: 0.0, v_th: 15.0, t_ref: 2.0 });
        for (population, low, high) in [(a, -74.0, -60.0), (b, -72.0, -57.0), (c.unwrap(), -5.0, 10.0)] {
            net.vary(population, "v_m", Distribution::Uniform { low, high }).unwrap();
        }
        let inactive = Some(Inactive { after: 0.0, synapses: true, tolerance });
        let options = SimOptions { threads: 2, inactive, ..SimOptions::default() };
        let mut sim = Simulation::new(BrainModel::build(&net, 5).unwrap(), options).unwrap();
        sim.run(until).unwrap();
        let v = |p: usize, n: u32| (0..n).map(|i| sim.state(PopulationId(p), "v_m", i).unwrap()).collect::<Vec<_>>();
        (sim.inactive().unwrap(), [v(0, 3000), v(1, 1500), v(2, 1024)].concat())
    };
    let (early, v) = run(Some(tolerance), 100.0);
    assert_eq!(early.resting, early.blocks);
    assert_eq!(run(None, 100.0).0.resting, 0, "bits take longer to come to rest");
    let (_, exact) = run(None, 400.0);
    for (v, exact) in v.iter().zip(&exact) {
        assert!((v - exact).abs() <= tolerance * 15.0 * 1.001, "{v} is not {exact}");
    }
    assert!(v.iter().zip(&exact).any(|(v, exact)| v != exact));
}
