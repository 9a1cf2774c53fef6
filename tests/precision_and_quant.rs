//! Fewer bits: training in 16-bit products, inference in bytes.

use tessera::compute::{ConvOptions, DType, Device};
use tessera::nn::{Conv2d, Flatten, InitRng, Linear, MaxPool2d, Module, Relu, Sequential};
use tessera::optim::{AdamW, Method, Optimizer};
use tessera::precision::{Policy, autocast};
use tessera::quant::{Calibration, accuracy, quantise};
use tessera::rng::Key;
use tessera::tensor::{ClassLossOptions, Tensor};

/// Images of two kinds of stripes under noise, and which kind.
fn stripes(n: usize, stream: u32, device: &Device) -> (Tensor, Tensor) {
    let noise: Vec<f32> = Tensor::normal(0.0, 0.4, [n, 64], Key([stream, 1]), device).unwrap().to_vec().unwrap();
    let kinds: Vec<i32> = (0..n as i32).map(|i| i % 2).collect();
    let value = |i: usize, at: usize| {
        let stripe = if kinds[i] == 0 { at / 8 } else { at % 8 };
        noise[i * 64 + at] + if stripe % 2 == 0 { 1.0 } else { -1.0 }
    };
    let x: Vec<f32> = (0..n).flat_map(|i| (0..64).map(move |at| (i, at))).map(|(i, at)| value(i, at)).collect();
    (Tensor::new(&x, [n, 1, 8, 8], device).unwrap(), Tensor::new(&kinds, [n], device).unwrap())
}

fn net(device: &Device) -> Sequential {
    let mut rng = InitRng::new(4);
    let padded = ConvOptions { padding: [1, 1], ..Default::default() };
    Sequential::new()
        .push(Conv2d::new(1, 8, [3, 3], padded, device, &mut rng).unwrap())
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Conv2d::new(8, 12, [3, 3], padded, device, &mut rng).unwrap())
        .push(Relu)
        .push(Flatten)
        .push(Linear::new(192, 24, device, &mut rng).unwrap())
        .push(Relu)
        .push(Linear::new(24, 2, device, &mut rng).unwrap())
}

#[test]
fn training_in_16_bits_keeps_f32_masters_and_learns() {
    let device = Device::cpu_threads(2);
    let (x, y) = stripes(128, 1, &device);
    for policy in [Policy::BF16, Policy::F16] {
        let net = net(&device);
        let mut optimizer = AdamW { lr: 3e-3, ..Default::default() }.over(net.parameters()).unwrap();
        let mut losses = Vec::new();
        for _ in 0..25 {
            let loss =
                autocast(policy, || net.forward(&x).unwrap().cross_entropy(&y, &ClassLossOptions::default()).unwrap());
            assert_eq!(loss.dtype(), DType::F32);
            losses.push(loss.item().unwrap());
            let scale = if policy == Policy::F16 { 1024.0 } else { 1.0 };
            let mut gradients = loss.mul_scalar(scale).unwrap().backward().unwrap();
            gradients.scale(1.0 / scale).unwrap();
            assert!(gradients.iter().all(|(_, g)| g.dtype() == DType::F32));
            optimizer.step(&gradients).unwrap();
        }
        assert!(losses[24] < 0.25 * losses[0], "{policy:?}: {losses:?}");
        assert!(net.parameters().iter().all(|p| p.dtype() == DType::F32));
        let first = autocast(policy, || net.forward(&x)).unwrap();
        assert_eq!(first.dtype(), policy.product);
    }
}

#[test]
fn networks_of_bytes_answer_as_before() {
    let device = Device::cpu_threads(2);
    let (x, y) = stripes(256, 1, &device);
    let net = net(&device);
    let mut optimizer = AdamW { lr: 3e-3, ..Default::default() }.over(net.parameters()).unwrap();
    for _ in 0..30 {
        let loss = net.forward(&x).unwrap().cross_entropy(&y, &ClassLossOptions::default()).unwrap();
        optimizer.step(&loss.backward().unwrap()).unwrap();
    }
    let (fresh, kinds) = stripes(400, 2, &device);
    let before = accuracy(&net, &fresh, &kinds).unwrap();
    for calibration in [Calibration::MinMax, Calibration::Percentile(99.9)] {
        let (bytes, report) = quantise(&net, std::slice::from_ref(&x), calibration).unwrap();
        let after = accuracy(&bytes, &fresh, &kinds).unwrap();
        println!("{report}\naccuracy {before} before, {after} after");
        assert!(before > 0.97 && after >= before - 0.01, "{before} {after}");
        let kinds: Vec<&str> = report.layers.iter().map(|layer| layer.kind).collect();
        assert_eq!(kinds, ["Conv2d", "Conv2d", "Linear", "Linear"]);
        assert!(report.loss.rms < 0.05 * report.loss.scale, "{report}");
        assert!(report.layers[2].bytes * 3 < report.layers[2].bytes_before);
        // The same bits on any number of threads.
        let other = Device::cpu_threads(3);
        let again = net.forward(&fresh).unwrap();
        assert_eq!(again.dims(), bytes.forward(&fresh).unwrap().dims());
        assert!(bytes.forward(&fresh.to_device(&other).unwrap()).is_err(), "tensors of two devices do not mix");
    }
    assert!(quantise(&net, &[], Calibration::MinMax).is_err());
}
