//! Projections whose synapses are drawn again at every spike are the stored ones: the same synapses, the same spikes bit
//! for bit, on any number of threads and any instruction set, and across checkpoints.

#[path = "networks/mixed.rs"]
mod networks;

use networks::mixed;
use tessera::compute::Isa;
use tessera::config::RunSpec;
use tessera::engine::{Connectivity, Figures, Precision, SimOptions, Simulation, Synapse};
use tessera::lattice::Lattice4;
use tessera::model::{
    BrainModel, ConnectionRule, DelaySpec, DistanceKernel, DistanceRule, Distribution, Edge, KernelShape, NetworkSpec,
    ProjectionSpec, StaticSynapse, SynapseStorage,
};
use tessera::neuron::{LifCondExp, LifPscExp};
use tessera::storage::{MappedModel, ModelSettings};
use tessera::synapse::WeightBits;

/// Whether the synapses of a source can be drawn alone.
fn can(projection: &ProjectionSpec) -> bool {
    !matches!(projection.rule, ConnectionRule::FixedIndegree { .. } | ConnectionRule::Edges(_))
}

/// The network with every projection procedural that `which` chooses among those that can be.
fn procedural(mut net: NetworkSpec, which: impl Fn(usize) -> bool) -> NetworkSpec {
    for (i, projection) in net.projections.iter_mut().enumerate() {
        if can(projection) && which(i) {
            projection.storage = SynapseStorage::Procedural;
        }
    }
    net
}

fn build(net: &NetworkSpec, options: &SimOptions) -> Simulation {
    Simulation::new(BrainModel::build(net, 11).unwrap(), options.clone()).unwrap()
}

fn run(net: &NetworkSpec, options: &SimOptions, duration: f64) -> Figures {
    let mut sim = build(net, options);
    sim.run(duration).unwrap();
    sim.figures()
}

fn same(a: &Figures, b: &Figures, what: &str) {
    let of = |f: &Figures| (f.spike_digest.clone(), f.synapses, f.synaptic_events, f.population_spikes.clone());
    assert_eq!(of(a), of(b), "{what}");
}

fn options(threads: usize) -> SimOptions {
    SimOptions { threads, ..SimOptions::default() }
}

/// Every rule, model and kind of delay at once, wholly and in part procedural.
#[test]
fn procedural_networks_spike_as_stored_ones() {
    let stored = run(&mixed(), &options(1), 250.0);
    assert!(stored.spikes > 5000);
    let all = procedural(mixed(), |_| true);
    let some = procedural(mixed(), |i| i % 2 == 0);
    for threads in [1, 2, 3, 8] {
        same(&run(&all, &options(threads), 250.0), &stored, &format!("all, {threads} threads"));
        same(&run(&some, &options(threads), 250.0), &stored, &format!("some, {threads} threads"));
    }
    for isa in Isa::all_available() {
        let options = SimOptions { isa: Some(isa), ..options(2) };
        same(&run(&all, &options, 250.0), &stored, isa.name());
    }
}

#[test]
fn with_other_precision_and_weight_bits_too() {
    for (precision, weight_bits) in
        [(Precision::F64, WeightBits::Auto), (Precision::F32, WeightBits::W16), (Precision::F32, WeightBits::W32)]
    {
        let options = |threads| SimOptions { precision, weight_bits, ..options(threads) };
        let stored = run(&mixed(), &options(1), 100.0);
        let drawn = run(&procedural(mixed(), |_| true), &options(3), 100.0);
        same(&drawn, &stored, &format!("{precision:?} {weight_bits:?}"));
    }
}

/// Taken in the middle of a run, snapshots of procedural networks go on with the same spikes on other threads. The longest
/// delays are 3000 steps, so that most of what is under way was sent long before.
#[test]
fn checkpoints_are_gone_on_from() {
    let net = procedural(mixed(), |i| i != 2);
    let mut reference = build(&net, &options(2));
    let mut snapshots = Vec::new();
    for at in [1, 7, 400, 900] {
        while reference.steps() < at {
            reference.step().unwrap();
        }
        snapshots.push(reference.snapshot().unwrap());
    }
    reference.run(60.0).unwrap();
    let end = reference.snapshot().unwrap();
    for (snapshot, threads) in snapshots.iter().zip([1, 3, 4, 1]) {
        let mut sim = build(&net, &options(threads));
        sim.restore(snapshot).unwrap();
        sim.run((end.step - snapshot.step) as f64 * 0.1).unwrap();
        same(&sim.figures(), &reference.figures(), &format!("from step {} on {threads} threads", snapshot.step));
        assert_eq!(sim.snapshot().unwrap().populations, end.populations);
    }
    // The number of a network tells procedural projections that differ.
    let mut other = net.clone();
    let chosen = other.projections.iter_mut().find(|p| p.storage == SynapseStorage::Procedural).unwrap();
    chosen.weight = Distribution::normal(20.0, 60.1);
    let mut sim = build(&other, &options(1));
    assert!(sim.restore(&snapshots[0]).unwrap_err().to_string().contains("another network"));
}

/// A rule with its weights and delays, within one population or between two.
fn one(rule: ConnectionRule, weight: &Distribution, delay: &DelaySpec, within: bool, alone: bool) -> NetworkSpec {
    let mut lattice = Lattice4::new([7, 6, 3, 1]).unwrap();
    lattice.spacing = [30.0; 4];
    let bounds = lattice.bounds();
    let mut net = NetworkSpec::new(lattice);
    let a = net.population("a", bounds, LifPscExp::default()).unwrap();
    let b = if within { a } else { net.population("b", bounds, LifCondExp::default()).unwrap() };
    let spec = net.project(a, b, rule, StaticSynapse { weight: weight.clone(), delay: delay.clone() }).unwrap();
    (spec.autapses, spec.multapses) = (!alone, !alone);
    net
}

fn synapses(net: &NetworkSpec, threads: usize) -> Vec<Vec<Synapse>> {
    let model = BrainModel::build(net, 5).unwrap();
    let connectivity = Connectivity::build(&model, &options(threads)).unwrap();
    let of = |neuron| {
        let mut out = Vec::new();
        connectivity.synapses_of(&model, neuron, &mut out).unwrap();
        out.sort_by(|a, b| {
            (a.target, a.receptor, a.delay).cmp(&(b.target, b.receptor, b.delay)).then(a.weight.total_cmp(&b.weight))
        });
        out
    };
    let all: Vec<_> = (0..model.neurons()).map(of).collect();
    assert_eq!(all.iter().map(Vec::len).sum::<usize>() as u64, connectivity.synapses());
    all
}

#[test]
fn every_rule_draws_the_synapses_it_would_store() {
    let near = DistanceRule {
        kernel: DistanceKernel { shape: KernelShape::Gaussian, extent: 50.0 },
        p_max: 0.6,
        cutoff: 120.0,
        scale: [1.0; 4],
        hop_w: 1.0,
    };
    let rules = [
        ConnectionRule::AllToAll,
        ConnectionRule::OneToOne,
        ConnectionRule::Bernoulli { p: 0.2 },
        ConnectionRule::Bernoulli { p: 0.9 },
        ConnectionRule::FixedOutdegree { n: 40 },
        ConnectionRule::FixedTotal { n: 5000 },
        ConnectionRule::Distance(near),
    ];
    let weights = [
        12.0.into(),
        Distribution::normal(20.0, 30.0),
        Distribution::Normal { mean: -30.0, sd: 3.0, low: f64::NEG_INFINITY, high: 0.0 },
        Distribution::Lognormal { mean: 4.0, sd: 3.0 },
        Distribution::Uniform { low: 1.0, high: 1.0001 },
    ];
    let delays: [DelaySpec; 3] = [
        1.5.into(),
        Distribution::Normal { mean: 1.5, sd: 0.8, low: 0.1, high: f64::INFINITY }.into(),
        DelaySpec::Distance { velocity: 90.0, offset: 0.2 },
    ];
    for rule in &rules {
        for (i, weight) in weights.iter().enumerate() {
            for (k, delay) in delays.iter().enumerate() {
                let alone = (i + k) % 2 == 0;
                let within = k != 1 && !(matches!(rule, ConnectionRule::OneToOne) && alone);
                let net = one(rule.clone(), weight, delay, within, alone);
                let stored = synapses(&net, 1);
                let drawn = synapses(&procedural(net, |_| true), 2);
                assert_eq!(drawn, stored, "{rule:?} {weight:?} {delay:?}");
            }
        }
    }
}

/// More slots than 16 bits number: records under way have 8 bytes; and several shards for one worker.
#[test]
fn large_shards_and_several_a_worker() {
    for (out_degree, duration) in [(10, 30.0), (130, 15.0)] {
        let mut net = NetworkSpec::default();
        let neurons = net.population("many", 70_000, LifPscExp { i_e: 400.0, ..LifPscExp::default() }).unwrap();
        net.vary(neurons, "v_m", Distribution::Uniform { low: -70.0, high: -55.0 }).unwrap();
        let weight = Distribution::normal(5.0, 20.0);
        let delay = Distribution::Uniform { low: 0.1, high: 4.0 };
        let rule = ConnectionRule::FixedOutdegree { n: out_degree };
        net.project(neurons, neurons, rule, StaticSynapse { weight, delay }).unwrap();
        let stored = run(&net, &options(1), duration);
        assert!(stored.spikes > 1000);
        let net = procedural(net, |_| true);
        for threads in [1, 2] {
            let drawn = run(&net, &options(threads), duration);
            same(&drawn, &stored, &format!("{out_degree} synapses a source, {threads} threads"));
        }
    }
}

/// What is made for few threads is cut anew for more.
#[test]
fn cut_anew_for_more_threads() {
    let net = procedural(mixed(), |i| i % 3 != 0);
    let stored = run(&mixed(), &options(1), 100.0);
    let model = BrainModel::build(&net, 11).unwrap();
    let connectivity = Connectivity::build(&model, &options(1)).unwrap();
    let mut sim = Simulation::with_connectivity(model, connectivity, options(3)).unwrap();
    sim.run(100.0).unwrap();
    same(&sim.figures(), &stored, "made for one thread, run on three");
}

#[test]
fn memory_is_that_of_what_is_under_way() {
    let net = |storage| {
        let mut net = NetworkSpec::default();
        let neurons = net.population("n", 4000, LifPscExp { i_e: 500.0, ..LifPscExp::default() }).unwrap();
        let rule = ConnectionRule::FixedOutdegree { n: 500 };
        let weight = Distribution::normal(1.0, 0.2);
        net.project(neurons, neurons, rule, StaticSynapse { weight, delay: 1.0 }).unwrap().storage = storage;
        net
    };
    let (stored, drawn) = (net(SynapseStorage::Stored), net(SynapseStorage::Procedural));
    assert!(run(&stored, &options(2), 5.0).synapse_bytes > 2_000_000 * 4);
    assert!(run(&drawn, &options(2), 5.0).synapse_bytes < 500_000);
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let edge = Edge { source: 1, target: 2, weight: 1.0, delay: 1.0 };
    for (rule, name) in
        [(ConnectionRule::FixedIndegree { n: 3 }, "fixed_indegree"), (ConnectionRule::Edges([edge].into()), "edges")]
    {
        let mut net = one(rule, &1.0.into(), &1.0.into(), true, false);
        net.projections[0].storage = SynapseStorage::Procedural;
        let message = BrainModel::build(&net, 1).unwrap_err().to_string();
        assert!(message.contains("projection.a_to_a.storage"), "{message}");
        assert!(message.contains(&format!("rule `{name}` cannot be procedural")), "{message}");
        assert!(message.contains("fixed_outdegree"), "{message}");
    }
}

#[test]
fn model_files_refuse_procedural_projections() {
    let folder = tempfile::tempdir().unwrap();
    let net = procedural(one(ConnectionRule::AllToAll, &1.0.into(), &1.0.into(), true, false), |_| true);
    let model = BrainModel::build(&net, 1).unwrap();
    let connectivity = Connectivity::build(&model, &options(1)).unwrap();
    let path = folder.path().join("model.h5");
    let refused = MappedModel::create(&path, &model, &connectivity, &ModelSettings::default()).unwrap_err();
    assert!(refused.to_string().contains("projection `a_to_a` has storage = \"procedural\""), "{refused}");
    assert!(!path.exists());
}

#[test]
fn configurations_say_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = |rule: &str| {
        format!(
            "[run]\nduration = \"10 ms\"\n\n[population.a]\nneuron = \"lif_psc_exp\"\nn = 1000\n\n[projection.p]\n\
             source = \"a\"\ntarget = \"a\"\n{rule}\nweight = \"10 pA\"\ndelay = \"1 ms\"\nstorage = \"procedural\"\n"
        )
    };
    let path = folder.path().join("a.toml");
    std::fs::write(&path, text("rule = \"bernoulli\"\np = 0.5")).unwrap();
    let check = RunSpec::check(&path, &[]);
    assert!(check.faults.is_empty(), "{:?}", check.faults);
    let estimate = check.estimate.unwrap();
    assert_eq!(estimate.procedural, 500_000.0);
    assert!(estimate.synapse_bytes < 100_000, "{}", estimate.synapse_bytes);
    assert_eq!(check.spec.unwrap().network.projections[0].storage, SynapseStorage::Procedural);
    let built = RunSpec::load(&path, &[]).unwrap().write_model(
        folder.path().join("m.h5"),
        tessera::storage::Compression::None,
        false,
    );
    assert!(built.unwrap_err().to_string().contains("storage = \"stored\""));
    std::fs::write(&path, text("rule = \"fixed_indegree\"\nn = 5")).unwrap();
    let faults = RunSpec::check(&path, &[]).faults;
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].line, Some(15));
    let fault = faults[0].to_string();
    assert!(fault.contains("projection.p.storage") && fault.contains("fixed_indegree"), "{fault}");
}
