//! How long does it take to make synapses? Nanoseconds a synapse for each rule on one thread (throughput in
//! elements), for the sampler of weights and for the Z-order curve.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tessera::compute::Crew;
use tessera::error::{Error, Result};
use tessera::lattice::{Lattice4, morton};
use tessera::model::wiring::{SynapseBuffer, prepare};
use tessera::model::{
    BrainModel, ConnectionRule, DelaySampler, DistanceKernel, DistanceRule, Distribution, KernelShape, NetworkSpec,
    Sampler, StaticSynapse,
};
use tessera::neuron::{NeuronModel, Prepare, Stepper, Variable};

#[derive(Debug)]
struct Idle;
impl NeuronModel for Idle {
    fn name(&self) -> &str {
        "idle"
    }
    fn variables(&self) -> &[Variable] {
        &[]
    }
    fn stepper_f32(&self, _: &Prepare<'_>) -> Result<Box<dyn Stepper<f32>>> {
        Err(Error::Unavailable("the benchmark does not simulate".into()))
    }
}

/// Neurons of either population.
const NEURONS: u32 = 20_000;
/// Synapses a source where the rule lets us choose.
const DEGREE: u32 = 4_000;

fn delays() -> Distribution {
    Distribution::Normal { mean: 1.5, sd: 0.75, low: 0.05, high: f64::INFINITY }
}

fn rules(c: &mut Criterion) {
    let crew = Crew::new(1);
    let mut group = c.benchmark_group("append");
    let total = u64::from(NEURONS) * u64::from(DEGREE);
    let p = f64::from(DEGREE) / f64::from(NEURONS);
    let distinct = |rule| (rule, false);
    let cases = [
        ("all_to_all", (ConnectionRule::AllToAll, true)),
        ("bernoulli", (ConnectionRule::Bernoulli { p }, true)),
        ("fixed_indegree", (ConnectionRule::FixedIndegree { n: 400 }, true)),
        ("fixed_outdegree", (ConnectionRule::FixedOutdegree { n: DEGREE }, true)),
        ("fixed_outdegree_distinct", distinct(ConnectionRule::FixedOutdegree { n: DEGREE })),
        ("fixed_total", (ConnectionRule::FixedTotal { n: total }, true)),
        ("fixed_total_500", (ConnectionRule::FixedTotal { n: u64::from(NEURONS) * 500 }, true)),
    ];
    for (name, (rule, multapses)) in cases {
        let mut net = NetworkSpec::default();
        let a = net.population("a", NEURONS, Idle).expect("new name");
        let b = net.population("b", NEURONS, Idle).expect("new name");
        let synapse = StaticSynapse { weight: Distribution::normal(87.8, 8.78), delay: delays() };
        net.project(a, b, rule, synapse).expect("both exist").multapses = multapses;
        bench_projection(&mut group, name, &net, &crew);
    }
    let lattice = Lattice4::new([200, 100, 10, 2]).expect("valid shape");
    let region = lattice.bounds();
    for (name, p_max) in [("distance_dense", 0.5), ("distance_sparse", 0.02)] {
        let mut net = NetworkSpec::new(lattice.clone());
        let a = net.population("a", region, Idle).expect("new name");
        let kernel = DistanceKernel { shape: KernelShape::Gaussian, extent: 4.0 };
        let rule = DistanceRule { kernel, p_max, cutoff: 12.0, scale: [1.0; 4], hop_w: 1.0 };
        let synapse = StaticSynapse { weight: Distribution::normal(87.8, 8.78), delay: delays() };
        net.project(a, a, ConnectionRule::Distance(rule), synapse).expect("both exist");
        bench_projection(&mut group, name, &net, &crew);
    }
    group.finish();
}

fn bench_projection<M: criterion::measurement::Measurement>(
    group: &mut criterion::BenchmarkGroup<'_, M>,
    name: &str,
    net: &NetworkSpec,
    crew: &Crew,
) {
    let model = BrainModel::build(net, 1).expect("valid network");
    let wiring = prepare(&model, 0, 0.1, crew).expect("valid projection");
    let sources = model.populations()[0].size();
    let mut out = SynapseBuffer::with_capacity(wiring.max_outdegree_hint());
    // One round is 50 sources; the throughput is in synapses of an average source.
    const ROUND: u32 = 50;
    group.throughput(Throughput::Elements((wiring.expected() / f64::from(sources) * f64::from(ROUND)) as u64));
    let mut source = 0;
    group.bench_function(name, |b| {
        b.iter(|| {
            for _ in 0..ROUND {
                source = (source + 7919) % sources;
                out.clear();
                wiring.append(source, &mut out);
                black_box(out.target.last());
            }
        });
    });
}

fn preparation(c: &mut Criterion) {
    let crew = Crew::new(1);
    let mut group = c.benchmark_group("prepare");
    for (name, rule) in [
        ("fixed_indegree", ConnectionRule::FixedIndegree { n: 400 }),
        ("fixed_total", ConnectionRule::FixedTotal { n: 8_000_000 }),
    ] {
        let mut net = NetworkSpec::default();
        let a = net.population("a", NEURONS, Idle).expect("new name");
        let synapse = StaticSynapse { weight: 1.0, delay: 1.5 };
        net.project(a, a, rule, synapse).expect("exists");
        let model = BrainModel::build(&net, 1).expect("valid network");
        group.throughput(Throughput::Elements(8_000_000)).sample_size(10);
        group.bench_function(name, |b| {
            b.iter_batched(|| (), |()| prepare(&model, 0, 0.1, &crew).expect("valid"), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn sampling(c: &mut Criterion) {
    let words: Vec<u32> = (0..4096u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let mut group = c.benchmark_group("sample");
    group.throughput(Throughput::Elements(words.len() as u64));
    let normal = Sampler::new(&Distribution::normal(87.8, 8.78)).expect("valid");
    group.bench_function("normal", |b| b.iter(|| words.iter().map(|w| normal.sample(*w)).sum::<f64>()));
    let delay = DelaySampler::new(&delays(), 0.1).expect("valid");
    group.bench_function("delay", |b| b.iter(|| words.iter().map(|w| delay.sample(*w)).sum::<u32>()));
    group.bench_function("morton_encode", |b| {
        b.iter(|| words.iter().map(|w| morton::encode([w & 0xffff, w >> 16, w & 0xff, w >> 24])).sum::<u64>());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    // Plots would need a plotting backend this package does not enable.
    config = Criterion::default().without_plots();
    targets = rules, preparation, sampling
}
criterion_main!(benches);
