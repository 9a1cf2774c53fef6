//! How long does a step of a small convolutional network take? LeNet-5 with maxima (LeCun et al. 1998), a batch of 64
//! images of 28 x 28 pixels: forward pass, and forward and backward pass, on one and two threads.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tessera::compute::{ConvOptions, Device};
use tessera::nn::{Conv2d, Flatten, InitRng, Linear, MaxPool2d, Module, Relu, Sequential};
use tessera::rng::Key;
use tessera::tensor::{ClassLossOptions, Tensor, no_grad};

const BATCH: usize = 64;

fn lenet(device: &Device) -> Sequential {
    let mut rng = InitRng::new(3);
    let padded = ConvOptions { padding: [2, 2], ..Default::default() };
    let made = "a layer";
    Sequential::new()
        .push(Conv2d::new(1, 6, [5, 5], padded, device, &mut rng).expect(made))
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Conv2d::new(6, 16, [5, 5], ConvOptions::default(), device, &mut rng).expect(made))
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Flatten)
        .push(Linear::new(400, 120, device, &mut rng).expect(made))
        .push(Relu)
        .push(Linear::new(120, 84, device, &mut rng).expect(made))
        .push(Relu)
        .push(Linear::new(84, 10, device, &mut rng).expect(made))
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lenet64");
    for threads in [1, 2] {
        let device = Device::cpu_threads(threads);
        let net = lenet(&device);
        let x = Tensor::normal(0.0, 1.0, [BATCH, 1, 28, 28], Key([1, 2]), &device).expect("images");
        let targets: Vec<i32> = (0..BATCH as i32).map(|i| i * 7 % 10).collect();
        let targets = Tensor::new(&targets, [BATCH], &device).expect("targets");
        group.bench_function(BenchmarkId::new("forward", threads), |bench| {
            bench.iter(|| no_grad(|| black_box(net.forward(&x).expect("a result"))));
        });
        group.bench_function(BenchmarkId::new("forward_backward", threads), |bench| {
            bench.iter(|| {
                let logits = net.forward(&x).expect("logits");
                let loss = logits.cross_entropy(&targets, &ClassLossOptions::default()).expect("a loss");
                black_box(loss.backward().expect("gradients"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
