//! Optimizers and schedules against torch. The reference is made by `tests/python/torch_optim_reference.py`.

use serde_json::Value;
use tessera::compute::Device;
use tessera::nn::Param;
use tessera::optim::{Adam, AdamW, Clip, Lion, Method, Optimizer, RmsProp, Schedule, Sgd};
use tessera::tensor::{Gradients, Tensor};

const SHAPES: [&[usize]; 3] = [&[3, 5], &[7], &[2, 3, 2]];

fn reference() -> Value {
    serde_json::from_str(include_str!("data/torch/optim.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// A number in [-1, 1) from an index, as the script computes it.
fn value(i: u64, salt: u64) -> f64 {
    ((i * 7919 + salt * 104_729 + 12_345) * 1_103_515_245 % 2_147_483_648) as f64 / 1_073_741_824.0 - 1.0
}

fn tensor(shape: &[usize], salt: u64, device: &Device) -> Tensor {
    let len = shape.iter().product::<usize>() as u64;
    let values: Vec<f64> = (0..len).map(|i| value(i, salt)).collect();
    Tensor::new(&values, shape, device).unwrap()
}

fn params(device: &Device) -> Vec<Param> {
    (100..).zip(SHAPES).map(|(salt, shape)| Param::new(&tensor(shape, salt, device))).collect()
}

fn values(params: &[Param]) -> Vec<Vec<f64>> {
    params.iter().map(|param| param.value().to_vec().unwrap()).collect()
}

fn assert_near(got: &[Vec<f64>], expected: &Value, tolerance: f64, name: &str) {
    for (got, expected) in got.iter().zip(expected.as_array().unwrap()) {
        let expected = numbers(expected);
        assert_eq!(got.len(), expected.len(), "{name}");
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() <= tolerance, "{name}: {got} against {expected}");
        }
    }
}

/// 20 steps in double precision agree with torch's to rounding.
fn compare(name: &str, method: impl Method) {
    let reference = reference();
    let device = Device::cpu_threads(2);
    let params = params(&device);
    let mut optimizer = method.over(params.clone()).unwrap();
    for step in 0..reference["steps"].as_u64().unwrap() {
        let mut gradients = Gradients::new();
        for ((k, param), shape) in (0..).zip(&params).zip(SHAPES) {
            let noise = tensor(shape, 1000 + 10 * step + k, &device);
            gradients.set(param.id(), param.value().mul_scalar(0.5).unwrap().add(&noise).unwrap());
        }
        optimizer.step(&gradients).unwrap();
    }
    assert_near(&values(&params), &reference["cases"][name], 1e-12, name);
}

#[test]
fn sgd_is_torchs() {
    let sgd = Sgd { lr: 0.05, ..Sgd::default() };
    compare("sgd", sgd);
    compare("sgd_decay", Sgd { weight_decay: 0.1, ..sgd });
    compare("sgd_momentum", Sgd { momentum: 0.9, ..sgd });
    compare("sgd_dampening", Sgd { momentum: 0.9, dampening: 0.4, weight_decay: 0.1, ..sgd });
    compare("sgd_nesterov", Sgd { momentum: 0.9, nesterov: true, ..sgd });
}

#[test]
fn adam_is_torchs() {
    compare("adam", Adam::default());
    let adam = Adam { lr: 0.02, ..Adam::default() };
    compare("adam_decay", Adam { beta1: 0.8, beta2: 0.95, eps: 1e-6, weight_decay: 0.1, ..adam });
    compare("adam_amsgrad", Adam { amsgrad: true, beta2: 0.9, ..adam });
    compare("adamw", AdamW::default());
    let adamw = AdamW { lr: 0.02, beta1: 0.8, beta2: 0.95, weight_decay: 0.3, amsgrad: true, ..AdamW::default() };
    compare("adamw_decay", adamw);
}

#[test]
fn lion_is_the_papers() {
    compare("lion", Lion::default());
    compare("lion_decay", Lion { lr: 0.01, beta1: 0.95, beta2: 0.98, weight_decay: 0.2 });
}

#[test]
fn rmsprop_is_torchs() {
    compare("rmsprop", RmsProp::default());
    let slow = RmsProp { lr: 0.003, ..RmsProp::default() };
    compare("rmsprop_decay", RmsProp { alpha: 0.9, eps: 1e-6, weight_decay: 0.1, ..slow });
    compare("rmsprop_momentum", RmsProp { momentum: 0.8, ..slow });
    compare("rmsprop_centered", RmsProp { centered: true, ..slow });
    compare("rmsprop_both", RmsProp { momentum: 0.8, centered: true, weight_decay: 0.1, ..slow });
}

#[test]
fn clipping_by_norm_is_torchs() {
    let reference = reference();
    let device = Device::cpu_threads(2);
    let params = params(&device);
    let mut optimizer = Sgd { lr: 1.0, ..Sgd::default() }.over(params.clone()).unwrap();
    optimizer.set_clip(Clip::norm(1.0)).unwrap();
    let mut gradients = Gradients::new();
    for ((k, param), shape) in (0..).zip(&params).zip(SHAPES) {
        gradients.set(param.id(), tensor(shape, 1000 + k, &device));
    }
    let report = optimizer.step(&gradients).unwrap();
    assert!(report.clipped && report.updated == 3);
    // torch computes this norm in the precision of the gradients, too.
    assert!((report.norm.unwrap() - reference["norm"].as_f64().unwrap()).abs() < 1e-6);
    assert_near(&values(&params), &reference["clipped"], 1e-12, "clipped");
}

#[test]
fn schedules_are_torchs() {
    let reference = reference();
    for (name, schedule) in [
        ("step", Schedule::Step { every: 7, factor: 0.3 }),
        ("linear", Schedule::Linear { from: 1.0, to: 0.25, steps: 20 }),
        ("cosine", Schedule::Cosine { steps: 30, floor: 0.1 }),
        ("restarts", Schedule::CosineRestarts { first: 4, stretch: 2, floor: 0.1 }),
        ("warm_up", Schedule::Step { every: 4, factor: 0.5 }.warmed_up_from(0.2, 5)),
    ] {
        for (step, expected) in (0..).zip(numbers(&reference["schedules"][name])) {
            let got = schedule.at(step);
            assert!((got - expected).abs() < 1e-12, "{name} in step {step}: {got} against {expected}");
        }
    }
}
