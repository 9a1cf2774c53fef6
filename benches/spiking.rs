//! How long do spiking layers take for a batch of sequences, forward and with gradients?
//!
//! A step of a neuron reads its input and writes its spike: 8 bytes forward. The backward pass reads the input and the
//! gradient that arrives and writes one: 12 bytes. At these sizes the memory is the bound.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tessera::compute::{Device, Surrogate};
use tessera::neuron::{LifPscDelta, LifPscExp};
use tessera::nn::{LifLayer, LifModel, Module};
use tessera::rng::Key;
use tessera::tensor::{Tensor, no_grad};

/// Steps, batch, neurons.
const SIZES: [[usize; 3]; 3] = [[25, 64, 100], [100, 128, 256], [100, 256, 512]];

fn models() -> [(&'static str, LifModel); 3] {
    let delta = LifPscDelta { tau_m: 20.0, e_l: 0.0, v_reset: 0.0, v_th: 1.0, t_ref: 0.0, ..Default::default() };
    let exp = LifPscExp { tau_m: 20.0, e_l: 0.0, v_reset: 0.0, v_th: 1.0, ..Default::default() };
    [
        ("delta", delta.clone().into()),
        ("delta, refractory", LifPscDelta { t_ref: 2.0, ..delta }.into()),
        ("exp", exp.into()),
    ]
}

fn spiking(c: &mut Criterion) {
    for threads in [1, 2] {
        let device = Device::cpu_threads(threads);
        for size in SIZES {
            let mut group = c.benchmark_group(format!("lif {size:?} threads={threads}"));
            group.throughput(Throughput::Elements(size.iter().product::<usize>() as u64));
            let x = Tensor::uniform(-0.2, 0.3, size, Key([1, 2]), &device).expect("memory");
            let ones = x.full_like(1.0).expect("memory");
            for (name, model) in models() {
                let layer = LifLayer::new(model, 1.0).expect("values the engine takes");
                let layer = layer.with_surrogate(Surrogate::FastSigmoid { slope: 25.0 });
                group.bench_function(format!("{name} forward"), |b| {
                    b.iter(|| no_grad(|| black_box(layer.forward(&x))));
                });
                let leaf = x.requires_grad();
                group.bench_function(format!("{name} forward and backward"), |b| {
                    b.iter(|| layer.forward(&leaf).and_then(|y| y.backward_with(&ones)).map(black_box));
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(std::time::Duration::from_secs(2));
    targets = spiking
}
criterion_main!(benches);
