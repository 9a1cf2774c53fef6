//! 20 steps of every optimizer on a small MLP and a small CNN, against torch.
//!
//! The reference, tests/data/torch/training.json, was made by tests/python/torch_training_reference.py in double
//! precision. Here the same is trained in double precision, which agrees to rounding, and in single precision.

use serde_json::Value;
use tessera::compute::{ConvOptions, DType, Device};
use tessera::nn::{BatchNorm2d, Conv2d, Flatten, InitRng, Linear, MaxPool2d, Module, Relu, Sequential, Tanh};
use tessera::optim::{Adam, AdamW, Lion, Method, Optimizer, RmsProp, Sgd};
use tessera::tensor::{ClassLossOptions, Gradients, Tensor};

const STEPS: usize = 20;
const EXAMPLES: usize = 9;
const CLASSES: usize = 5;

/// Element i of tensor p is scale * sin(0.37 i + p).
fn wave(p: usize, scale: f64, shape: &[usize], dtype: DType, device: &Device) -> Tensor {
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|i: usize| scale * (0.37 * i as f64 + p as f64).sin()).collect();
    Tensor::new(&values, shape, device).unwrap().to_dtype(dtype).unwrap()
}

fn mlp(device: &Device) -> Sequential {
    let mut rng = InitRng::new(1);
    Sequential::new()
        .push(Linear::new(12, 16, device, &mut rng).unwrap())
        .push(Relu)
        .push(Linear::new(16, 8, device, &mut rng).unwrap())
        .push(Tanh)
        .push(Linear::new(8, CLASSES, device, &mut rng).unwrap())
}

fn cnn(device: &Device, dtype: DType) -> Sequential {
    let mut rng = InitRng::new(1);
    let padded = ConvOptions { padding: [1, 1], ..Default::default() };
    let halved = ConvOptions { stride: [2, 2], ..padded };
    let norm = BatchNorm2d::new(4, Default::default(), device).unwrap();
    let running = norm.running.as_ref().unwrap();
    for state in [&running.mean, &running.var] {
        state.set(&state.value().to_dtype(dtype).unwrap()).unwrap();
    }
    // Without bias: behind batch normalisation its gradient is rounding alone, which most methods magnify.
    let first = Conv2d::without_bias(2, 4, [3, 3], padded, device, &mut rng).unwrap();
    Sequential::new()
        .push(first)
        .push(norm)
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Conv2d::new(4, 6, [3, 3], halved, device, &mut rng).unwrap())
        .push(Relu)
        .push(Flatten)
        .push(Linear::new(24, CLASSES, device, &mut rng).unwrap())
}

#[track_caller]
fn near(name: &str, what: &str, got: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((got - expected).abs() <= tolerance * (1.0 + expected.abs()), "{name}, {what}: {got} against {expected}");
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().to_vec().unwrap()
}

#[track_caller]
fn sums_near(name: &str, what: &str, got: &[Tensor], expected: &Value, tolerance: f64) {
    for (k, got) in got.iter().enumerate() {
        let values = numbers(got);
        near(name, &format!("{what} {k}"), values.iter().sum(), &expected[k][0], tolerance);
        near(name, &format!("{what} {k}, squared"), values.iter().map(|x| x * x).sum(), &expected[k][1], tolerance);
    }
}

fn train(model: &str, name: &str, method: impl Method, dtype: DType, tolerance: f64) {
    let reference: Value = serde_json::from_str(include_str!("data/torch/training.json")).unwrap();
    let name = &format!("{model} {name}");
    let expected = &reference["cases"][name.as_str()];
    let device = Device::cpu_threads(2);
    let (net, shape) = match model {
        "mlp" => (mlp(&device), vec![EXAMPLES, 12]),
        _ => (cnn(&device, dtype), vec![EXAMPLES, 2, 8, 8]),
    };
    let params = net.parameters();
    for (k, param) in params.iter().enumerate() {
        param.set(&wave(10 + k, 0.4, param.shape().dims(), dtype, &device)).unwrap();
    }
    let mut optimizer = method.over(params.clone()).unwrap();
    let x = wave(1, 1.0, &shape, dtype, &device);
    let y: Vec<i32> = (0..EXAMPLES).map(|i| ((3 * i + 1) % CLASSES) as i32).collect();
    let y = Tensor::new(&y, [EXAMPLES], &device).unwrap();
    for step in 0..STEPS {
        let loss = net.forward(&x).unwrap().cross_entropy(&y, &ClassLossOptions::default()).unwrap();
        let gradients: Gradients = loss.backward().unwrap();
        if step == 0 {
            let all: Vec<Tensor> = params.iter().map(|p| gradients.of(p.id()).unwrap().clone()).collect();
            sums_near(name, "gradient", &all, &expected["gradient"], tolerance);
        }
        optimizer.step(&gradients).unwrap();
        let loss = loss.detach().to_dtype(DType::F64).unwrap().item().unwrap();
        near(name, &format!("loss {step}"), loss, &expected["loss"][step], tolerance);
    }
    let all: Vec<Tensor> = params.iter().map(|p| p.value()).collect();
    sums_near(name, "parameter", &all, &expected["parameters"], tolerance);
    for (i, value) in numbers(&net.forward(&x).unwrap().detach()).into_iter().enumerate() {
        near(name, &format!("output {i}"), value, &expected["output"][i], tolerance);
    }
}

/// In double precision to 1e-9, the sum of 20 steps' rounding; in single precision to `single`, which is larger for
/// methods that divide by, or take the sign of, gradients that nearly cancel.
fn both(name: &str, method: impl Method, single: f64) {
    for model in ["mlp", "cnn"] {
        train(model, name, method, DType::F64, 1e-9);
        train(model, name, method, DType::F32, single);
    }
}

#[test]
fn sgd_trains_as_torchs() {
    both("sgd", Sgd { lr: 0.05, momentum: 0.9, nesterov: true, ..Default::default() }, 1e-4);
}

#[test]
fn adam_trains_as_torchs() {
    both("adam", Adam { lr: 0.01, ..Default::default() }, 2e-3);
    both("adamw", AdamW { lr: 0.01, weight_decay: 0.1, ..Default::default() }, 2e-3);
}

#[test]
fn lion_trains_as_the_papers() {
    both("lion", Lion { lr: 0.002, weight_decay: 0.0, ..Default::default() }, 2e-3);
}

#[test]
fn rmsprop_trains_as_torchs() {
    both("rmsprop", RmsProp { lr: 0.002, ..Default::default() }, 2e-3);
}
