//! Layers against values of torch, and how they behave in training, inference and checkpointed segments.
//!
//! The values in tests/data/torch/layers.json were made by tests/python/torch_layers_reference.py.

mod finite_differences;

use finite_differences::f32s;
use std::collections::BTreeMap;
use tessera::compute::{Activation, ConvOptions, DType, Device};
use tessera::nn::{
    AvgPool2d, BatchNorm1d, BatchNorm2d, BatchNormOptions, Conv1d, Conv2d, Dropout, Embedding, Flatten, InitRng,
    LayerNorm, Linear, MaxPool1d, MaxPool2d, Module, Param, Relu, Sequential,
};
use tessera::tensor::{ClassLossOptions, Conv1dOptions, Gradients, Reduction, Tensor, Windows};

type Cases = BTreeMap<String, BTreeMap<String, Vec<f64>>>;

fn cases() -> Cases {
    serde_json::from_str(include_str!("data/torch/layers.json")).unwrap()
}

fn device() -> Device {
    Device::cpu_threads(2)
}

/// Element i of tensor p is sin(0.37 i + p).
fn wave(p: usize, shape: &[usize]) -> Tensor {
    let values: Vec<f64> = (0..shape.iter().product()).map(|i: usize| (0.37 * i as f64 + p as f64).sin()).collect();
    thread_local!(static DEVICE: Device = device());
    Tensor::new(&values, shape, &DEVICE.with(Device::clone)).unwrap()
}

#[track_caller]
fn close(name: &str, got: &Tensor, expected: &[f64]) {
    let got: Vec<f64> = got.to_dtype(DType::F64).unwrap().to_vec().unwrap();
    assert_eq!(got.len(), expected.len(), "{name}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        // The convolution kernels and torch sum in other orders; the file has twelve digits.
        assert!((got - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{name} {i}: {got} against {expected}");
    }
}

/// Compares a result and the gradients of named inputs.
#[track_caller]
fn compare(cases: &Cases, name: &str, y: &Tensor, inputs: &[(&str, &Tensor)]) {
    let case = &cases[name];
    close(name, &y.detach(), &case["y"]);
    let dy = if y.shape().rank() == 0 { y.full_like(1.0).unwrap() } else { wave(50, y.dims()) };
    let gradients = y.backward_with(&dy).unwrap();
    for (input, leaf) in inputs {
        close(&format!("{name} d{input}"), gradients.get(leaf).unwrap(), &case[&format!("d{input}")]);
    }
}

#[test]
fn convolution_and_pooling_are_those_of_torch() {
    let cases = cases();
    let leaf = |p, shape: &[usize]| wave(p, shape).requires_grad();
    let (x, w, b) = (leaf(0, &[2, 4, 7, 6]), leaf(1, &[6, 2, 3, 2]), leaf(2, &[6]));
    let options = ConvOptions { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2, ..Default::default() };
    let y = x.conv2d(&w, Some(&b), options, Activation::Identity).unwrap();
    compare(&cases, "conv2d", &y, &[("x", &x), ("w", &w), ("b", &b)]);
    let (x, w, b) = (leaf(0, &[2, 3, 11]), leaf(1, &[5, 3, 3]), leaf(2, &[5]));
    let options = Conv1dOptions { stride: 2, padding: 2, dilation: 2, groups: 1 };
    let y = x.conv1d(&w, Some(&b), options, Activation::Relu).unwrap();
    compare(&cases, "conv1d_relu", &y, &[("x", &x), ("w", &w), ("b", &b)]);

    let x = leaf(0, &[2, 3, 7, 8]);
    let windows = Windows::new([3, 2]).stride([2, 2]).padding([1, 1]).dilation([1, 2]);
    compare(&cases, "max_pool2d", &x.max_pool2d(windows).unwrap(), &[("x", &x)]);
    let windows = Windows::new([3, 2]).stride([2, 1]).padding([1, 1]);
    compare(&cases, "avg_pool2d", &x.avg_pool2d(windows, true).unwrap(), &[("x", &x)]);
    let windows = Windows::new([3, 3]).stride([2, 2]).padding([1, 1]);
    let layer = AvgPool2d { windows, count_padding: false };
    compare(&cases, "avg_pool2d_inside", &layer.forward(&x).unwrap(), &[("x", &x)]);
    compare(&cases, "adaptive_avg_pool2d", &x.adaptive_avg_pool2d([1, 4]).unwrap(), &[("x", &x)]);
    let x = leaf(0, &[2, 3, 9]);
    let layer = MaxPool1d(Windows::new([3]).stride([2]).padding([1]));
    compare(&cases, "max_pool1d", &layer.forward(&x).unwrap(), &[("x", &x)]);
}

#[test]
fn normalisation_is_that_of_torch() {
    let cases = cases();
    let leaf = |p, shape: &[usize]| wave(p, shape).requires_grad();
    let (x, w, b) = (leaf(0, &[3, 5, 4]), leaf(1, &[5, 4]), leaf(2, &[5, 4]));
    compare(&cases, "softmax", &x.softmax(1).unwrap(), &[("x", &x)]);
    compare(&cases, "log_softmax", &x.log_softmax(-1).unwrap(), &[("x", &x)]);
    let y = x.layer_norm(&[5, 4], Some(&w), Some(&b), 1e-3).unwrap();
    compare(&cases, "layer_norm", &y, &[("x", &x), ("w", &w), ("b", &b)]);

    for (name, momentum) in [("batch_norm_0.1", Some(0.1)), ("batch_norm_None", None)] {
        let options = BatchNormOptions { eps: 1e-4, momentum, ..Default::default() };
        let device = x.device();
        let mut layer = BatchNorm2d::new(3, options, device).unwrap();
        let (w, b) = (Param::new(&wave(1, &[3])), Param::new(&wave(2, &[3])));
        (layer.weight, layer.bias) = (Some(w.clone()), Some(b.clone()));
        let running = layer.running.clone().unwrap();
        for state in [&running.mean, &running.var] {
            state.set(&state.value().to_dtype(DType::F64).unwrap()).unwrap();
        }
        layer.forward(&wave(0, &[2, 3, 4, 5])).unwrap();
        let x = leaf(1, &[2, 3, 4, 5]);
        let inputs = [("x", &x), ("w", &w.tensor()), ("b", &b.tensor())];
        compare(&cases, name, &layer.forward(&x).unwrap(), &inputs);
        let running_case = &cases[&format!("{name}_running")];
        close(name, &running.mean.value(), &running_case["mean"]);
        close(name, &running.var.value(), &running_case["var"]);
        assert_eq!(running.batches.value().item().unwrap(), 2.0);
        layer.set_training(false);
        compare(&cases, &format!("{name}_inference"), &layer.forward(&x).unwrap(), &inputs);
        assert_eq!(running.batches.value().item().unwrap(), 2.0);
    }
    close("var", &wave(0, &[4, 3]).var(&[0], 1, false).unwrap(), &cases["var"]["y"]);
    close("norm", &wave(0, &[4, 3]).norm(&[1], false).unwrap(), &cases["var"]["norm"]);
}

#[test]
fn losses_are_those_of_torch() {
    let cases = cases();
    let x = wave(0, &[6, 5]).requires_grad();
    let weights = Some(wave(1, &[5]).abs().unwrap());
    let targets = Tensor::new(&[3i32, 0, -100, 4, 1, 1], [6], x.device()).unwrap();
    for (name, reduction) in [("mean", Reduction::Mean), ("sum", Reduction::Sum)] {
        let options = ClassLossOptions { reduction, weights: weights.clone(), smoothing: 0.2, ..Default::default() };
        let loss = x.cross_entropy(&targets, &options).unwrap();
        compare(&cases, &format!("cross_entropy_{name}"), &loss, &[("x", &x)]);
        let options = ClassLossOptions { smoothing: 0.0, ..options };
        let loss = x.log_softmax(1).unwrap().nll_loss(&targets, &options).unwrap();
        compare(&cases, &format!("nll_loss_{name}"), &loss, &[("x", &x)]);
    }
    let x = wave(0, &[2, 3, 2, 2]).requires_grad();
    let targets = Tensor::new(&[0i32, 1, 2, 2, 1, 7, 0, 1], [2, 2, 2], x.device()).unwrap();
    let options = ClassLossOptions { reduction: Reduction::None, ignore: Some(7), ..Default::default() };
    compare(&cases, "cross_entropy_none", &x.cross_entropy(&targets, &options).unwrap(), &[("x", &x)]);
    let (x, target) = (wave(0, &[4, 3]).requires_grad(), wave(3, &[4, 3]).abs().unwrap());
    compare(&cases, "mse_loss", &x.mse_loss(&target, Reduction::Mean).unwrap(), &[("x", &x)]);
    let weight = wave(4, &[3]).abs().unwrap();
    let loss = x.bce_with_logits(&target, Some(&weight), Reduction::Mean).unwrap();
    compare(&cases, "bce_with_logits", &loss, &[("x", &x)]);
}

#[test]
fn embedding_is_that_of_torch() {
    let layer = Embedding { weight: Param::new(&wave(0, &[5, 3])), padding: Some(2) };
    let x = Tensor::new(&[4i32, 1, 2, 4], [2, 2], &layer.weight.device()).unwrap();
    compare(&cases(), "embedding", &layer.forward(&x).unwrap(), &[("x", &layer.weight.tensor())]);
    let device = device();
    let layer = Embedding::padded(6, 4, 5, &device, &mut InitRng::new(1)).unwrap();
    let rows: Vec<f32> = layer.weight.value().to_vec().unwrap();
    assert!(rows[20..].iter().all(|x| *x == 0.0) && rows[..20].iter().all(|x| *x != 0.0));
    let table: Vec<f32> = Embedding::new(6, 4, &device, &mut InitRng::new(1)).unwrap().weight.value().to_vec().unwrap();
    assert_eq!(rows[..20], table[..20]);
}

#[test]
fn first_values_are_spread_as_in_torch() {
    let (device, mut rng) = (device(), InitRng::new(11));
    let layer = Conv2d::new(16, 32, [3, 5], ConvOptions { groups: 2, ..Default::default() }, &device, &mut rng);
    let layer = layer.unwrap();
    let bound = 1.0 / f64::from(8 * 15).sqrt();
    for param in [&layer.weight, layer.bias.as_ref().unwrap()] {
        let values: Vec<f32> = param.value().to_vec().unwrap();
        let most = values.iter().fold(0f64, |most, x| most.max(f64::from(x.abs())));
        assert!(most <= bound && most > 0.9 * bound, "{most} within {bound}");
    }
    assert_eq!(layer.weight.shape(), [32, 8, 3, 5].into());
    // Output channels lie fastest, which is the order the kernels read.
    assert_eq!(layer.weight.value().layout().strides(), [1, 32, 5 * 256, 256]);
    let values = layer.weight.value().var(&[0, 1, 2, 3], 0, false).unwrap().item().unwrap();
    assert!((values / (bound * bound / 3.0) - 1.0).abs() < 0.1);
    let layer = Conv1d::without_bias(3, 4, [5], Conv1dOptions::default(), &device, &mut rng).unwrap();
    assert_eq!((layer.weight.shape(), layer.parameters().len()), ([4, 3, 5].into(), 1));
}

#[test]
fn names_are_those_of_torch() {
    let (device, mut rng) = (device(), InitRng::new(1));
    let net = Sequential::new()
        .push(Conv2d::new(1, 2, [3, 3], ConvOptions::default(), &device, &mut rng).unwrap())
        .push(BatchNorm2d::new(2, BatchNormOptions::default(), &device).unwrap())
        .push(LayerNorm::new(&[4], &device).unwrap());
    let names: Vec<String> = net.named_tensors().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
        "2.weight",
        "2.bias",
    ];
    assert_eq!(names, expected);
}

/// A chain with everything that draws, counts or is fused.
fn mixed(device: &Device) -> Sequential {
    let mut rng = InitRng::new(5);
    Sequential::new()
        .push(Conv2d::new(2, 6, [3, 3], ConvOptions::default(), device, &mut rng).unwrap())
        .push(BatchNorm2d::new(6, BatchNormOptions::default(), device).unwrap())
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Dropout::new(0.2, &mut rng).unwrap())
        .push(Conv2d::new(6, 4, [2, 2], ConvOptions::default(), device, &mut rng).unwrap())
        .push(Relu)
        .push(Flatten)
        .push(Linear::new(16, 8, device, &mut rng).unwrap())
        .push(BatchNorm1d::new(8, BatchNormOptions::default(), device).unwrap())
        .push(Dropout::new(0.5, &mut rng).unwrap())
        .push(LayerNorm::new(&[8], device).unwrap())
}

fn bits(gradients: &Gradients) -> Vec<Vec<u32>> {
    let one = |t: &Tensor| t.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
    gradients.iter().map(|(_, gradient)| one(gradient)).collect()
}

#[test]
fn checkpointed_dropout_and_batch_norm_give_the_same_bits() {
    let run = |segment: usize| {
        let device = device();
        let net = mixed(&device).checkpoint_every(segment);
        let targets = Tensor::new(&[1i32, 5, 0, 7], [4], &device).unwrap();
        let mut all = Vec::new();
        for pass in 0..3 {
            let x = f32s(&[4, 2, 8, 8], pass, &device);
            let loss = net.forward(&x).unwrap().cross_entropy(&targets, &ClassLossOptions::default()).unwrap();
            all.push(vec![(loss.item().unwrap() as f32).to_bits()]);
            all.extend(bits(&loss.backward().unwrap()));
        }
        let state = |(_, t): (String, Tensor)| t.to_dtype(DType::F32).unwrap().to_vec::<f32>().unwrap();
        (all, net.named_tensors().into_iter().map(state).collect::<Vec<_>>())
    };
    let plain = run(0);
    // Each pass draws anew.
    assert_ne!(plain.0[0], plain.0[1]);
    for segment in [1, 3, 4, 12] {
        assert!(run(segment) == plain, "segments of {segment}");
    }
}

#[test]
fn inference_neither_drops_nor_counts() {
    let device = device();
    let net = mixed(&device);
    let x = f32s(&[4, 2, 8, 8], 1, &device);
    net.forward(&x).unwrap();
    net.set_training(false);
    let before = net.named_tensors();
    let first: Vec<f32> = net.forward(&x).unwrap().to_vec().unwrap();
    assert_eq!(first, net.forward(&x).unwrap().to_vec::<f32>().unwrap());
    for ((name, a), (_, b)) in before.iter().zip(net.named_tensors()) {
        let (a, b) = (a.to_dtype(DType::F32).unwrap(), b.to_dtype(DType::F32).unwrap());
        assert_eq!(a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap(), "{name}");
    }
    let part = net.forward(&x.narrow(0, 1, 1).unwrap()).unwrap();
    assert_eq!(part.to_vec::<f32>().unwrap(), first[8..16]);
}
