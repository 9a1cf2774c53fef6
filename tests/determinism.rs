//! The promise of the engine: the same network and seed give the same spikes, bit for bit, on any number of threads,
//! with any instruction set, however the run is cut into pieces, and whatever is recorded.

#[path = "networks/mixed.rs"]
mod networks;

use networks::mixed;
use std::ops::ControlFlow;
use std::path::PathBuf;
use tessera::compute::Isa;
use tessera::config::RunSpec;
use tessera::engine::{
    Connectivity, Digest, Figures, Inactive, Outcome, Precision, SimOptions, Simulation, SpikeRecorder, StateRecording,
    StoredWeights,
};
use tessera::model::{BrainModel, ConnectionRule, Distribution, NetworkSpec, Selection, StaticSynapse, StimulusKind};
use tessera::neuron::{LifPscDelta, LifPscExp, SpikeTrain};
use tessera::synapse::WeightBits;

/// Number of spikes and spike digest of every network of this file.
///
/// These pin the spikes across versions and machines: a change of any of them changes the results of every user. When
/// a change is meant, run these tests, copy the values the failure prints, and say in CHANGELOG.md what changed and
/// why; a change that is not meant is a defect.
const GOLDEN: [(&str, u64, &str); 13] = [
    ("quickstart", 2954, "3580570181a564ba"),
    ("lattice_4d", 39675, "0d17a186ea4c5704"),
    ("brunel", 6875, "8d247c5544bed976"),
    ("cuba", 1694, "1b3a612a60fae68e"),
    ("coba", 4260, "e7591d96391ceb77"),
    ("microcircuit", 11633, "cb4162e82576b959"),
    ("larva", 1583, "50ab7c2fa98a5214"),
    ("mixed", 13911, "0b67b4694c91826a"),
    ("mixed f64", 13914, "a4d0f3cdbf905864"),
    ("shards", 69270, "705c9a4aa44843e6"),
    ("wide slots", 80442, "a38bcf25f618183b"),
    ("exact weights", 5686, "b3b555ceca0f41f5"),
    ("overflows", 8508, "31a77d9b4707779a"),
];

/// A network and how long it runs.
struct Case {
    name: &'static str,
    network: NetworkSpec,
    seed: u64,
    options: SimOptions,
    duration: f64,
}

/// How a run is cut.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// One call.
    Whole,
    /// Single steps, then stretches of different lengths.
    Pieces,
    /// Stopped by its progress callback again and again.
    Stopped,
}

impl Case {
    fn of(name: &'static str, network: NetworkSpec, seed: u64, duration: f64) -> Self {
        Self { name, network, seed, options: SimOptions { threads: 1, ..SimOptions::default() }, duration }
    }

    /// A configuration of the program, made small by overrides.
    fn config(name: &'static str, overrides: &[&str]) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("configs/{name}.toml"));
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let spec = RunSpec::load(path, &overrides).unwrap_or_else(|e| panic!("{name}: {e}"));
        let options = SimOptions {
            dt: spec.run.dt_ms,
            threads: 1,
            precision: spec.run.precision,
            weight_bits: spec.run.weight_bits,
            ..SimOptions::default()
        };
        Self { name, network: spec.network, seed: spec.run.seed, options, duration: spec.run.duration_ms }
    }

    fn build(&self, options: SimOptions) -> Simulation {
        Simulation::new(BrainModel::build(&self.network, self.seed).unwrap(), options).unwrap()
    }

    fn on_threads(&self, threads: usize) -> Figures {
        self.run(SimOptions { threads, ..self.options.clone() }, Pace::Whole)
    }

    fn run(&self, options: SimOptions, pace: Pace) -> Figures {
        let mut sim = self.build(options);
        self.advance(&mut sim, pace);
        sim.finish().unwrap();
        sim.figures()
    }

    fn advance(&self, sim: &mut Simulation, pace: Pace) {
        let steps = (self.duration / self.options.dt).round() as u64;
        match pace {
            Pace::Whole => sim.run(self.duration).unwrap(),
            Pace::Pieces => {
                for _ in 0..5.min(steps) {
                    sim.step().unwrap();
                }
                sim.run(0.0).unwrap();
                for stretch in [1, 17, 2, 100].into_iter().cycle() {
                    let left = steps - sim.steps();
                    if left == 0 {
                        break;
                    }
                    sim.run(stretch.min(left) as f64 * self.options.dt).unwrap();
                }
            }
            Pace::Stopped => loop {
                let left = (steps - sim.steps()) as f64 * self.options.dt;
                if sim.run_with(left, |_| ControlFlow::Break(())).unwrap() == Outcome::Complete {
                    break;
                }
            },
        }
        assert_eq!(sim.steps(), steps);
    }

    /// Runs with every state variable recorded and with the spikes kept, and checks that those are what was counted.
    fn recorded(&self, options: SimOptions) -> Figures {
        let mut sim = self.build(options);
        let populations = sim.model().populations().len();
        for population in 0..populations {
            let p = &sim.model().populations()[population];
            let variables: Vec<String> = p.model().variables().iter().map(|v| v.name.to_owned()).collect();
            if variables.is_empty() {
                continue;
            }
            sim.record_state(StateRecording {
                name: format!("state{population}"),
                population,
                variables,
                units: Vec::new(),
                neurons: Selection::All,
                every: 3,
                start: 0.0,
                stop: f64::INFINITY,
            })
            .unwrap();
        }
        let spikes = sim.record(SpikeRecorder::all()).unwrap();
        self.advance(&mut sim, Pace::Whole);
        let figures = sim.figures();
        let spikes = &sim.recorder(&spikes).spikes;
        assert!(spikes.windows(2).all(|w| w[0] < w[1]), "{}: spikes ascend by step and neuron", self.name);
        let mut digest = Digest::default();
        digest.update(spikes);
        assert_eq!((spikes.len() as u64, digest.hex()), (figures.spikes, figures.spike_digest.clone()));
        figures
    }

    /// Runs it in every way there is and compares with the pinned spikes.
    fn check(&self) {
        let reference = self.on_threads(1);
        self.pinned(&reference);
        let same = |way: &str, figures: &Figures| {
            assert_eq!(figures.spike_digest, reference.spike_digest, "{}: {way}", self.name);
            let counts = |f: &Figures| (f.neurons, f.synapses, f.synaptic_events, f.population_spikes.clone());
            assert_eq!(counts(figures), counts(&reference), "{}: {way}", self.name);
        };
        for threads in [2, 3, 4, 8] {
            same(&format!("{threads} threads"), &self.on_threads(threads));
        }
        for isa in Isa::all_available() {
            for threads in [1, 2] {
                let options = SimOptions { threads, isa: Some(isa), ..self.options.clone() };
                same(&format!("{isa}, {threads} threads"), &self.run(options, Pace::Whole));
            }
        }
        for (threads, pace) in [(1, Pace::Pieces), (2, Pace::Pieces), (1, Pace::Stopped), (2, Pace::Stopped)] {
            let options = SimOptions { threads, ..self.options.clone() };
            same(&format!("{pace:?}, {threads} threads"), &self.run(options, pace));
        }
        for (built, threads) in [(1, 3), (3, 2)] {
            let model = BrainModel::build(&self.network, self.seed).unwrap();
            let of = |threads| SimOptions { threads, ..self.options.clone() };
            let connectivity = Connectivity::build(&model, &of(built)).unwrap();
            let mut all = Vec::new();
            (0..model.neurons()).for_each(|n| connectivity.synapses_of(&model, n, &mut all).unwrap());
            assert_eq!(all.len() as u64, reference.synapses, "{}", self.name);
            let mut sim = Simulation::with_connectivity(model, connectivity, of(threads)).unwrap();
            self.advance(&mut sim, Pace::Whole);
            same(&format!("laid out for {built}, run on {threads} threads"), &sim.figures());
        }
        for threads in [1, 3] {
            let options = SimOptions { threads, ..self.options.clone() };
            same(&format!("recorded, {threads} threads"), &self.recorded(options));
        }
        for (threads, pace, after) in [(1, Pace::Whole, 0.0), (2, Pace::Pieces, 5.0), (3, Pace::Whole, 0.0)] {
            let inactive = Some(Inactive { after, synapses: true, tolerance: None });
            let options = SimOptions { threads, inactive, ..self.options.clone() };
            same(&format!("neurons at rest skipped, {threads} threads"), &self.run(options.clone(), pace));
            same(&format!("the same, recorded, {threads} threads"), &self.recorded(options));
        }
    }

    /// Compares with [`GOLDEN`].
    fn pinned(&self, figures: &Figures) {
        let (_, spikes, digest) = *GOLDEN.iter().find(|(name, ..)| *name == self.name).expect("it is in the table");
        let found = (figures.spikes, figures.spike_digest.as_str());
        assert!(figures.spikes > 500, "{}: {} spikes do not say much", self.name, figures.spikes);
        assert_eq!(found, (spikes, digest), "the spikes of `{}` have changed", self.name);
    }
}

#[test]
fn quickstart() {
    let push = ["stimulus.push.start=50 ms", "stimulus.push.stop=100 ms"];
    Case::config("quickstart", &["run.duration=150 ms", push[0], push[1]]).check();
}

#[test]
fn lattice_4d() {
    Case::config("lattice_4d", &["run.duration=250 ms", "lattice.shape=[12, 12, 6, 4]"]).check();
}

#[test]
fn brunel() {
    let small = ["population.exc.n=1000", "population.inh.n=250", "projection.excitation.n=100"];
    let more = ["projection.inhibition.n=25", "run.duration=100 ms"];
    Case::config("brunel", &[small[0], small[1], small[2], more[0], more[1]]).check();
}

#[test]
fn cuba() {
    Case::config("cuba", &["run.duration=60 ms"]).check();
}

#[test]
fn coba() {
    Case::config("coba", &["run.duration=60 ms"]).check();
}

/// A twentieth of the neurons of each population with the same probabilities of connection.
#[test]
fn microcircuit() {
    let sizes = [
        ("L23E", 1034),
        ("L23I", 292),
        ("L4E", 1096),
        ("L4I", 274),
        ("L5E", 243),
        ("L5I", 53),
        ("L6E", 720),
        ("L6I", 147),
    ];
    let mut overrides: Vec<String> = sizes.iter().map(|(name, n)| format!("population.{name}.n={n}")).collect();
    overrides.push("run.duration=60 ms".into());
    Case::config("microcircuit", &overrides.iter().map(String::as_str).collect::<Vec<_>>()).check();
}

#[test]
fn larva() {
    let data = std::env::var("TESSERA_DATA")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if !data.join("larva/meta_data.csv").is_file() {
        println!("skipped: no data");
        return;
    }
    Case::config("larva", &["run.duration=100 ms"]).check();
}

#[test]
fn every_model_rule_and_stimulus() {
    let case = Case::of("mixed", mixed(), 11, 400.0);
    case.check();
    // No part of the network may be silent, or it would not be tested.
    let figures = case.on_threads(1);
    assert!(figures.population_spikes.iter().all(|n| *n > 20), "{:?}", figures.population_spikes);
    // Another seed, another network.
    let other = Case { seed: 12, ..Case::of("mixed", mixed(), 11, 400.0) };
    assert_ne!(other.on_threads(1).spike_digest, figures.spike_digest);
}

#[test]
fn every_model_rule_and_stimulus_in_double_precision() {
    let mut case = Case::of("mixed f64", mixed(), 11, 400.0);
    case.options.precision = Precision::F64;
    case.check();
}

/// Stored with few or many bits, the same network is another one, but the same on any machine.
#[test]
fn every_model_rule_and_stimulus_with_forced_weight_bits() {
    let mut seen = Vec::new();
    for weight_bits in [WeightBits::W16, WeightBits::W32] {
        let mut case = Case::of("mixed", mixed(), 11, 150.0);
        case.options.weight_bits = weight_bits;
        let reference = case.on_threads(1);
        for (threads, isa) in [(2, Isa::Portable), (3, Isa::detect())] {
            let options = SimOptions { threads, isa: Some(isa), ..case.options.clone() };
            let figures = case.run(options, Pace::Whole);
            assert_eq!(figures.spike_digest, reference.spike_digest, "{weight_bits:?}, {threads} threads");
        }
        seen.push(reference.spike_digest);
    }
    assert_ne!(seen[0], seen[1]);
}

/// Fewer neurons than threads, and no synapses at all.
#[test]
fn networks_smaller_than_the_crew() {
    for size in [1u32, 2, 31, 33, 65] {
        let mut net = NetworkSpec::default();
        let a = net.population("a", size, LifPscExp::default()).unwrap();
        let b = net.population("b", 1, LifPscDelta::default()).unwrap();
        net.stimulate("rain", a, 9_000.0, StimulusKind::Poisson { weight: 30.0, receptor: None }).unwrap();
        let alone = Case::of("small", net.clone(), 4, 100.0);
        net.project(a, b, ConnectionRule::AllToAll, StaticSynapse { weight: 7.0, delay: 2.0 }).unwrap();
        net.project(b, a, ConnectionRule::AllToAll, StaticSynapse { weight: -40.0, delay: 0.1 }).unwrap();
        let joined = Case::of("small", net, 4, 100.0);
        for case in [alone, joined] {
            let reference = case.on_threads(1);
            assert!(reference.spikes > 0);
            for threads in [2, 5, 8] {
                let figures = case.on_threads(threads);
                assert_eq!(figures.spike_digest, reference.spike_digest, "{size} neurons on {threads} threads");
            }
        }
    }
}

/// 70,000 neurons that one thread has to hold with more than the 65,536 slots that 16 bits number.
fn many(out_degree: u32) -> NetworkSpec {
    let mut net = NetworkSpec::default();
    let neurons = net.population("many", 70_000, LifPscExp::default()).unwrap();
    net.vary(neurons, "v_m", Distribution::Uniform { low: -70.0, high: -55.0 }).unwrap();
    let rule = ConnectionRule::FixedOutdegree { n: out_degree };
    let weight = Distribution::normal(5.0, 20.0);
    let delay = Distribution::Uniform { low: 0.1, high: 4.0 };
    net.project(neurons, neurons, rule, StaticSynapse { weight, delay }).unwrap();
    net.stimulate("drive", neurons, 400.0, StimulusKind::Dc).unwrap();
    net
}

/// With 130 synapses a source, one worker takes two shards of 35,000 slots each; several workers take one each.
#[test]
fn several_shards_a_worker() {
    let case = Case::of("shards", many(130), 5, 20.0);
    let reference = case.on_threads(1);
    case.pinned(&reference);
    assert_eq!(reference.synapses, 70_000 * 130);
    for threads in [2, 3] {
        let figures = case.on_threads(threads);
        assert_eq!(figures.spike_digest, reference.spike_digest, "{threads} threads");
        assert_eq!(figures.synaptic_events, reference.synaptic_events);
    }
}

/// With ten synapses a source the pieces would be too short: one worker has one shard with slots of 32 bits.
#[test]
fn slots_beyond_16_bits() {
    let case = Case::of("wide slots", many(10), 5, 40.0);
    let reference = case.on_threads(1);
    case.pinned(&reference);
    // 8 bytes a record and a table of 8 bytes a source; narrow records would be half of that.
    assert!(reference.synapse_bytes > 700_000 * 8, "{}", reference.synapse_bytes);
    for threads in [2, 3] {
        let figures = case.on_threads(threads);
        assert!(figures.synapse_bytes < reference.synapse_bytes, "{}", figures.synapse_bytes);
        assert_eq!(figures.spike_digest, reference.spike_digest, "{threads} threads");
    }
}

/// Weights that both 16 and 32 bits hold exactly, `scale` times 1/64 pA; the sums are exact in f32 too.
fn exact(strong: f64, weak: f64, drive: f64) -> NetworkSpec {
    let mut net = NetworkSpec::default();
    let exc = net.population("exc", 700, LifPscExp::default()).unwrap();
    let inh = net.population("inh", 180, LifPscExp::default()).unwrap();
    for population in [exc, inh] {
        net.vary(population, "v_m", Distribution::Uniform { low: -70.0, high: -55.0 }).unwrap();
    }
    let delay = || Distribution::Uniform { low: 0.1, high: 3.0 };
    let rule = || ConnectionRule::FixedIndegree { n: 40 };
    for (source, target, weight) in [(exc, exc, weak), (exc, inh, strong), (inh, exc, -strong), (inh, inh, -weak)] {
        net.project(source, target, rule(), StaticSynapse { weight, delay: delay() }).unwrap();
    }
    net.stimulate("drive", exc, drive, StimulusKind::Dc).unwrap();
    net
}

fn bits(stored: &[StoredWeights]) -> Vec<u32> {
    stored.iter().map(|w| w.grid.bits).collect()
}

#[test]
fn weights_of_16_and_32_bits_agree_where_both_are_exact() {
    let mut case = Case::of("exact weights", exact(48.0, 3.0, 410.0), 3, 200.0);
    assert_eq!(bits(case.build(case.options.clone()).stored_weights()), [16, 16]);
    let narrow = case.on_threads(1);
    case.options.weight_bits = WeightBits::W32;
    assert_eq!(bits(case.build(case.options.clone()).stored_weights()), [32, 32]);
    assert_eq!(case.on_threads(1).spike_digest, narrow.spike_digest);
    assert_eq!(narrow.row_overflows, 0);
    case.check();
}

/// Sums that no 16-bit row holds: 8,000 steps of the weight grid for one strong synapse, and many at once.
#[test]
fn rows_that_overflow() {
    let mut case = Case::of("overflows", exact(125.0, 1.0 / 64.0, 700.0), 3, 200.0);
    let narrow = case.on_threads(1);
    assert!(narrow.row_overflows > 100, "{}", narrow.row_overflows);
    case.check();
    case.options.weight_bits = WeightBits::W32;
    let wide = case.on_threads(1);
    assert_eq!((wide.row_overflows, &wide.spike_digest), (0, &narrow.spike_digest));
}

/// Forty events of 8,000 steps at once: four fit into 16 bits, each of the others takes the exact detour.
#[test]
fn overflows_are_counted_and_lose_nothing() {
    let mut net = NetworkSpec::default();
    let trains = vec![vec![1.0, 5.0]; 40];
    let source = net.population("source", 40, SpikeTrain::from_trains(&trains).unwrap()).unwrap();
    let silent = LifPscDelta { e_l: 0.0, v_reset: -1.0, v_th: 1e9, tau_m: 1e9, ..LifPscDelta::default() };
    let target = net.population("target", 100, silent).unwrap();
    net.project(source, target, ConnectionRule::AllToAll, StaticSynapse { weight: 8000.0, delay: 1.0 }).unwrap();
    // A weight of one makes it the unit of the grid; it is sent by nobody.
    let quiet = net.population("quiet", 1, SpikeTrain::new(Vec::new()).unwrap()).unwrap();
    net.project(quiet, target, ConnectionRule::AllToAll, StaticSynapse { weight: 1.0, delay: 1.0 }).unwrap();
    for threads in [1, 2, 3] {
        let options = SimOptions { threads, ..SimOptions::default() };
        let mut sim = Simulation::new(BrainModel::build(&net, 1).unwrap(), options).unwrap();
        assert_eq!(sim.stored_weights()[0].grid.unit, 1.0);
        sim.run(3.0).unwrap();
        for neuron in 0..100 {
            assert_eq!(sim.state(target, "v_m", neuron).unwrap(), 320_000.0);
        }
        sim.run(4.0).unwrap();
        assert_eq!(sim.state(target, "v_m", 99).unwrap(), 640_000.0);
        let figures = sim.figures();
        assert_eq!((figures.row_overflows, figures.synaptic_events), (2 * 36 * 100, 2 * 40 * 100));
    }
}

/// A few neurons that receive everything lie in one shard; the others hold nothing of that projection.
#[test]
fn all_synapses_onto_one_shard() {
    let run = |threads| {
        let mut net = NetworkSpec::default();
        let many = net.population("many", 60_000, LifPscExp { i_e: 400.0, ..Default::default() }).unwrap();
        let few = net.population("few", 20, LifPscExp::default()).unwrap();
        net.project(many, few, ConnectionRule::AllToAll, StaticSynapse { weight: 0.01, delay: 1.0 }).unwrap();
        let model = BrainModel::build(&net, 1).unwrap();
        let mut sim = Simulation::new(model, SimOptions { threads, ..Default::default() }).unwrap();
        sim.run(30.0).unwrap();
        (sim.figures().synapses, sim.figures().spike_digest)
    };
    let one = run(1);
    assert_eq!(one.0, 1_200_000);
    assert_eq!(one, run(8));
}
