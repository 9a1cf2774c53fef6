//! How long does a step of an optimizer take? The six parameters of a 784-256-128-10 perceptron (235,146 numbers, in
//! cache) and ten matrices of 1000 x 512 (5.12 million, in memory), gradients given, on one and two threads. These are the
//! sections `opt_mlp235k` and `opt` of the script that times torch's fused optimizers.
//!
//! Criterion reports time a step; its throughput is parameters a second.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tessera::compute::Device;
use tessera::nn::{InitRng, Linear, Module, Param};
use tessera::optim::{Adam, AdamW, Clip, Lion, Method, Optimizer, Sgd};
use tessera::rng::Key;
use tessera::tensor::{Gradients, Tensor};

const THREADS: [usize; 2] = [1, 2];

fn perceptron(device: &Device) -> Vec<Param> {
    let mut rng = InitRng::new(1);
    [(784, 256), (256, 128), (128, 10)]
        .into_iter()
        .flat_map(|(inputs, outputs)| Linear::new(inputs, outputs, device, &mut rng).unwrap().parameters())
        .collect()
}

fn matrices(device: &Device) -> Vec<Param> {
    let value = |seed| Tensor::normal(0.0, 1.0, [1000, 512], Key([seed, 1]), device).unwrap();
    (0..10).map(|seed| Param::new(&value(seed))).collect()
}

fn gradients(params: &[Param]) -> Gradients {
    let mut gradients = Gradients::new();
    for (seed, param) in (0..).zip(params) {
        let value = param.value();
        let gradient = Tensor::normal(0.0, 0.01, value.dims(), Key([seed, 2]), value.device()).unwrap();
        // In the memory order of the parameter, as products leave it.
        let as_param = value.mul_scalar(0.0).unwrap().add(&gradient).unwrap();
        gradients.set(param.id(), as_param);
    }
    gradients
}

fn step(c: &mut Criterion, group: &str, name: &str, make: fn(&Device) -> Vec<Param>, method: impl Method, clip: Clip) {
    let mut group = c.benchmark_group(group);
    for threads in THREADS {
        let device = Device::cpu_threads(threads);
        let params = make(&device);
        let gradients = gradients(&params);
        group.throughput(Throughput::Elements(params.iter().map(|param| param.shape().len() as u64).sum()));
        let mut optimizer = method.over(params).unwrap();
        optimizer.set_clip(clip).unwrap();
        group.bench_function(BenchmarkId::new(name, threads), |b| b.iter(|| optimizer.step(&gradients).unwrap()));
    }
}

fn all(c: &mut Criterion) {
    for (group, make) in [("mlp235k", perceptron as fn(&Device) -> Vec<Param>), ("5.12M", matrices)] {
        step(c, group, "sgd", make, Sgd::default(), Clip::None);
        step(c, group, "sgd momentum", make, Sgd { momentum: 0.9, ..Sgd::default() }, Clip::None);
        step(c, group, "adam", make, Adam::default(), Clip::None);
        step(c, group, "adamw", make, AdamW::default(), Clip::None);
        step(c, group, "adamw clipped", make, AdamW::default(), Clip::norm(1.0));
        step(c, group, "lion", make, Lion { weight_decay: 0.01, ..Lion::default() }, Clip::None);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(std::time::Duration::from_secs(2));
    targets = all
}
criterion_main!(benches);
