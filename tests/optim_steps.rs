//! Optimizers over many steps: equations, groups, state, threads, 16-bit parameters, clipping, loss scaling.

use tessera::compute::cpu::Cpu;
use tessera::compute::{DType, Device, Isa, bf16};
use tessera::nn::{InitRng, Linear, Module, Param, Relu, Sequential};
use tessera::optim::{
    Adam, AdamW, Clip, Fused, Lion, LossScale, Method, NonFinite, Optimizer, OptimizerState, ParamGroup, RmsProp,
    Schedule, Sgd, StepOptions,
};
use tessera::rng::Key;
use tessera::tensor::{Gradients, Tensor};

/// Odd sizes, an empty one, a wide matrix, and more elements than one worker gets.
const SHAPES: [&[usize]; 6] = [&[1], &[3, 7], &[0], &[33, 129], &[70, 300], &[2, 5, 3]];

fn numbers(shape: &[usize], seed: u32, device: &Device) -> Tensor {
    Tensor::uniform(-1.0, 1.0, shape, Key([seed, 11]), device).unwrap()
}

fn params(device: &Device, dtype: DType) -> Vec<Param> {
    let value = |(seed, shape): (u32, &&[usize])| Param::new(&numbers(shape, seed, device).to_dtype(dtype).unwrap());
    (0..).zip(&SHAPES).map(value).collect()
}

/// Gradients of step `step`: noise plus a pull towards zero.
fn gradients(params: &[Param], step: u32) -> Gradients {
    let mut gradients = Gradients::new();
    for (k, param) in (0..).zip(params) {
        let value = param.value().to_dtype(DType::F32).unwrap();
        let noise = numbers(value.dims(), 1000 + 50 * step + k, value.device());
        let gradient = value.mul_scalar(0.3).unwrap().add(&noise).unwrap();
        gradients.set(param.id(), gradient.to_dtype(param.dtype()).unwrap());
    }
    gradients
}

fn bits(params: &[Param]) -> Vec<u32> {
    let one = |param: &Param| param.value().to_dtype(DType::F32).unwrap().to_vec::<f32>().unwrap();
    params.iter().flat_map(one).map(f32::to_bits).collect()
}

/// One element stepped in double precision as the method's documentation has it: value, gradient, state, step from 1.
type Equation = dyn Fn(&mut f64, f64, &mut [f64; 3], i32);

/// 50 steps follow an equation in double precision, which gets the same gradients.
fn follow(method: impl Method, tolerance: f64, equation: &Equation) {
    let device = Device::cpu_threads(2);
    let params = params(&device, DType::F32);
    let mut exact: Vec<Vec<(f64, [f64; 3])>> = params
        .iter()
        .map(|param| param.value().to_vec::<f32>().unwrap().iter().map(|p| (f64::from(*p), [0.0; 3])).collect())
        .collect();
    let mut optimizer = method.over(params.clone()).unwrap();
    for step in 0..50 {
        let gradients = gradients(&params, step);
        for (param, exact) in params.iter().zip(&mut exact) {
            let gradient: Vec<f32> = gradients.of(param.id()).unwrap().to_vec().unwrap();
            for ((p, state), g) in exact.iter_mut().zip(gradient) {
                equation(p, f64::from(g), state, step as i32 + 1);
            }
        }
        assert_eq!(optimizer.step(&gradients).unwrap().updated, SHAPES.len());
    }
    for (param, exact) in params.iter().zip(&exact) {
        for (got, (expected, _)) in param.value().to_vec::<f32>().unwrap().into_iter().zip(exact) {
            let near = (f64::from(got) - expected).abs() <= tolerance * (1.0 + expected.abs());
            assert!(near, "{}: {got} against {expected}", std::any::type_name_of_val(&method));
        }
    }
}

#[test]
fn sgd_follows_its_equation() {
    follow(Sgd { lr: 0.1, weight_decay: 0.01, ..Sgd::default() }, 5e-6, &|p, g, _, _| *p -= 0.1 * (g + 0.01 * *p));
    let sgd = Sgd { lr: 0.05, momentum: 0.9, dampening: 0.3, weight_decay: 0.02, nesterov: false };
    follow(sgd, 5e-6, &|p, g, s, t| {
        let g = g + 0.02 * *p;
        s[0] = if t == 1 { g } else { 0.9 * s[0] + 0.7 * g };
        *p -= 0.05 * s[0];
    });
    follow(Sgd { lr: 0.05, momentum: 0.9, nesterov: true, ..Sgd::default() }, 5e-6, &|p, g, s, _| {
        s[0] = 0.9 * s[0] + g;
        *p -= 0.05 * (g + 0.9 * s[0]);
    });
}

#[test]
fn adam_follows_its_equation() {
    let adam = |p: &mut f64, g: f64, s: &mut [f64; 3], t: i32, largest: bool| {
        s[0] = 0.9 * s[0] + 0.1 * g;
        s[1] = 0.999 * s[1] + 0.001 * g * g;
        s[2] = s[2].max(s[1]);
        let v = if largest { s[2] } else { s[1] };
        *p -= 0.01 / (1.0 - 0.9f64.powi(t)) * s[0] / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
    };
    follow(Adam { lr: 0.01, weight_decay: 0.1, ..Adam::default() }, 2e-5, &move |p, g, s, t| {
        let g = g + 0.1 * *p;
        adam(p, g, s, t, false);
    });
    follow(AdamW { lr: 0.01, weight_decay: 0.1, amsgrad: true, ..AdamW::default() }, 2e-5, &move |p, g, s, t| {
        *p *= 1.0 - 0.01 * 0.1;
        adam(p, g, s, t, true);
    });
}

#[test]
fn lion_follows_its_equation() {
    follow(Lion { lr: 0.01, weight_decay: 0.1, ..Lion::default() }, 5e-6, &|p, g, s, _| {
        *p = *p * (1.0 - 0.01 * 0.1) - 0.01 * (0.9 * s[0] + 0.1 * g).signum();
        s[0] = 0.99 * s[0] + 0.01 * g;
    });
}

#[test]
fn rmsprop_follows_its_equation() {
    follow(RmsProp { weight_decay: 0.01, ..RmsProp::default() }, 2e-5, &|p, g, s, _| {
        let g = g + 0.01 * *p;
        s[0] = 0.99 * s[0] + 0.01 * g * g;
        *p -= 0.01 * g / (s[0].sqrt() + 1e-8);
    });
    let both = RmsProp { lr: 0.001, momentum: 0.9, centered: true, ..RmsProp::default() };
    follow(both, 2e-5, &|p, g, s, _| {
        s[0] = 0.99 * s[0] + 0.01 * g * g;
        s[1] = 0.99 * s[1] + 0.01 * g;
        s[2] = 0.9 * s[2] + g / ((s[0] - s[1] * s[1]).sqrt() + 1e-8);
        *p -= 0.001 * s[2];
    });
}

#[test]
fn groups_have_hyperparameters_of_their_own() {
    let device = Device::cpu_threads(1);
    let all = params(&device, DType::F32);
    let base = Sgd { lr: 0.5, weight_decay: 0.1, ..Sgd::default() };
    let mut optimizer = Fused::new([
        ParamGroup::new(all[..2].to_vec(), base),
        ParamGroup::new([all[3].clone()], base).lr(0.25).weight_decay(0.0),
    ])
    .unwrap();
    assert_eq!((optimizer.groups(), optimizer.params().len()), (2, 3));
    assert_eq!((optimizer.lr(1).unwrap(), optimizer.weight_decay(1).unwrap()), (0.25, 0.0));
    optimizer.set_lr(0, 1.0).unwrap();
    optimizer.set_lr_factor(0.5).unwrap();
    let before: Vec<Vec<f32>> = all.iter().map(|p| p.value().to_vec().unwrap()).collect();
    let gradients = gradients(&all, 0);
    optimizer.step(&gradients).unwrap();
    for (k, (rate, decay)) in [(0.5, 0.1), (0.5, 0.1), (0.0, 0.0), (0.125, 0.0), (0.0, 0.0)].into_iter().enumerate() {
        let gradient: Vec<f32> = gradients.of(all[k].id()).unwrap().to_vec().unwrap();
        for ((got, p), g) in all[k].value().to_vec::<f32>().unwrap().into_iter().zip(&before[k]).zip(gradient) {
            assert!((got - (p - rate * (g + decay * p))).abs() < 1e-6);
        }
    }
    for message in [
        optimizer.set_lr(2, 0.1).unwrap_err().to_string(),
        optimizer.set_lr(0, -1.0).unwrap_err().to_string(),
        optimizer.set_lr_factor(f64::NAN).unwrap_err().to_string(),
    ] {
        assert!(message.contains("group 2") || message.contains("at least 0"), "{message}");
    }
    assert_eq!(optimizer.lr(0).unwrap(), 1.0);
}

#[test]
fn what_makes_no_optimizer_is_refused() {
    let device = Device::cpu_threads(1);
    let param = || Param::new(&numbers(&[2], 1, &device));
    let message = AdamW { beta1: 1.0, lr: -1.0, ..AdamW::default() }.over([param()]).unwrap_err().to_string();
    assert!(message.contains("AdamW.beta1") && message.contains("AdamW.lr"), "{message}");
    assert!(Sgd { nesterov: true, ..Sgd::default() }.over([param()]).is_err());
    assert!(Sgd::default().over([]).is_err());
    let twice = param();
    assert!(Sgd::default().over([twice.clone(), twice]).unwrap_err().to_string().contains("second time"));
    let elsewhere = Param::new(&numbers(&[2], 1, &Device::cpu_threads(1)));
    assert!(Sgd::default().over([param(), elsewhere]).is_err());
    let whole = Param::new(&Tensor::new(&[1i32], [1], &device).unwrap());
    assert!(Sgd::default().over([whole]).unwrap_err().to_string().contains("i32"));
}

#[test]
fn parameters_without_gradient_and_frozen_ones_keep_value_and_state() {
    let device = Device::cpu_threads(1);
    let all: Vec<Param> = (0..3).map(|seed| Param::new(&numbers(&[5], seed, &device))).collect();
    all[1].set_trainable(false);
    let mut optimizer = Adam::default().over(all.clone()).unwrap();
    let mut gradients = gradients(&all, 0);
    gradients.remove(all[2].id());
    let before = bits(&all);
    assert_eq!(optimizer.step(&gradients).unwrap().updated, 1);
    let after = bits(&all);
    assert_ne!(after[..5], before[..5]);
    assert_eq!(after[5..], before[5..]);
    let steps: Vec<String> =
        optimizer.state().numbers.into_iter().map(|n| n.0).filter(|n| n.ends_with("step")).collect();
    assert_eq!(steps, ["0.0.step"]);
}

#[test]
fn gradients_that_do_not_fit_are_refused_and_change_nothing() {
    let device = Device::cpu_threads(1);
    let all: Vec<Param> = (0..2).map(|seed| Param::new(&numbers(&[5], seed, &device))).collect();
    let mut optimizer = Adam::default().over(all.clone()).unwrap();
    let before = bits(&all);
    for wrong in [
        numbers(&[6], 3, &device),
        numbers(&[5], 3, &device).to_dtype(DType::F64).unwrap(),
        numbers(&[5], 3, &Device::cpu_threads(1)),
    ] {
        let mut gradients = gradients(&all, 0);
        gradients.set(all[1].id(), wrong);
        let message = optimizer.step(&gradients).unwrap_err().to_string();
        assert!(message.contains("parameter 1 of group 0"), "{message}");
    }
    assert_eq!(bits(&all), before);
    assert!(optimizer.state().tensors.is_empty());
}

#[test]
fn a_value_that_is_held_stays_as_it_was() {
    let device = Device::cpu_threads(1);
    let param = Param::new(&numbers(&[40], 1, &device));
    let held = param.value();
    let before: Vec<f32> = held.to_vec().unwrap();
    Sgd::default().over([param.clone()]).unwrap().step(&gradients(std::slice::from_ref(&param), 0)).unwrap();
    assert_eq!(held.to_vec::<f32>().unwrap(), before);
    assert_ne!(param.value().to_vec::<f32>().unwrap(), before);
}

#[test]
fn memory_order_of_parameters_and_gradients_does_not_matter() {
    let device = Device::cpu_threads(2);
    // A linear layer stores its weight with the outputs fastest; this gradient comes in row-major order.
    let layer = Linear::new(5, 130, &device, &mut InitRng::new(1)).unwrap();
    let plain = Param::new(&layer.weight.value().contiguous().unwrap());
    let gradient = numbers(&[130, 5], 9, &device);
    let both = [layer.weight.clone(), plain];
    let mut optimizer = AdamW { lr: 0.1, ..AdamW::default() }.over(both.clone()).unwrap();
    for _ in 0..3 {
        let mut gradients = Gradients::new();
        both.iter().for_each(|param| gradients.set(param.id(), gradient.clone()));
        optimizer.step(&gradients).unwrap();
    }
    assert_eq!(bits(&both[..1]), bits(&both[1..]));
    let state = optimizer.state();
    assert_eq!(state.tensors[0].1.layout().strides(), layer.weight.value().layout().strides());
}

/// Eight steps with clipping, from the start or from a state after four.
fn run(device: &Device, method: impl Method, dtype: DType, saved: Option<&(Vec<Tensor>, OptimizerState)>) -> Run {
    let params = params(device, dtype);
    let mut optimizer = method.over(params.clone()).unwrap();
    optimizer.set_clip(Clip::norm(20.0)).unwrap();
    let schedule = Schedule::Cosine { steps: 8, floor: 0.1 };
    if let Some((values, state)) = saved {
        // In the order that would lose master weights if values counted as changed.
        optimizer.load_state(state).unwrap();
        params.iter().zip(values).for_each(|(param, value)| param.set(&value.to_device(device).unwrap()).unwrap());
    }
    let mut middle = None;
    for step in if saved.is_some() { 4 } else { 0 }..8 {
        if step == 4 {
            middle = Some((params.iter().map(Param::value).collect(), optimizer.state()));
        }
        optimizer.set_lr_factor(schedule.at(step)).unwrap();
        optimizer.step(&gradients(&params, step as u32)).unwrap();
    }
    Run { bits: bits(&params), state: optimizer.state(), middle: middle.unwrap() }
}

struct Run {
    bits: Vec<u32>,
    state: OptimizerState,
    middle: (Vec<Tensor>, OptimizerState),
}

impl Run {
    fn state_bits(&self) -> Vec<(String, Vec<u32>)> {
        let bits = |tensor: &Tensor| tensor.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
        self.state.tensors.iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
    }
}

fn same_for_any_threads_and_after_a_restart(method: impl Method) {
    for dtype in [DType::F32, DType::Bf16, DType::F16] {
        let one = run(&Device::cpu_threads(1), method, dtype, None);
        for threads in [2, 3, 5] {
            let other = run(&Device::cpu_threads(threads), method, dtype, None);
            assert!(other.bits == one.bits && other.state_bits() == one.state_bits(), "{threads} {dtype} {method:?}");
        }
        let again = run(&Device::cpu_threads(2), method, dtype, Some(&one.middle));
        assert!(again.bits == one.bits && again.state_bits() == one.state_bits(), "{dtype} {method:?}");
        assert_eq!(again.state.numbers, one.state.numbers);
    }
}

#[test]
fn threads_and_restarts_change_no_bit() {
    same_for_any_threads_and_after_a_restart(Sgd { momentum: 0.9, dampening: 0.1, ..Sgd::default() });
    same_for_any_threads_and_after_a_restart(Adam { amsgrad: true, ..Adam::default() });
    same_for_any_threads_and_after_a_restart(AdamW::default());
    same_for_any_threads_and_after_a_restart(Lion::default());
    same_for_any_threads_and_after_a_restart(RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() });
}

#[test]
fn instruction_sets_agree() {
    let on = |isa| {
        let device = Device::of_cpu(Cpu::with_isa(2, isa));
        run(&device, AdamW::default(), DType::F32, None).bits.into_iter().map(f32::from_bits).collect::<Vec<_>>()
    };
    let fastest = on(Isa::detect());
    for isa in Isa::all_available() {
        let near = |(a, b): (&f32, f32)| (a - b).abs() <= 1e-5 * (1.0 + a.abs());
        assert!(fastest.iter().zip(on(isa)).all(near), "{isa}");
    }
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let device = Device::cpu_threads(1);
    let all = params(&device, DType::F32);
    let mut optimizer = Adam::default().over(all.clone()).unwrap();
    optimizer.step(&gradients(&all, 0)).unwrap();
    let good = optimizer.state();
    let refused = |optimizer: &mut dyn Optimizer, state: &OptimizerState, part: &str| {
        let message = optimizer.load_state(state).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(&mut AdamW::default().over(all.clone()).unwrap(), &good, "adamw");
    let mut few = Adam::default().over(all[..2].to_vec()).unwrap();
    refused(&mut few, &good, "0.2.step");
    let mut state = good.clone();
    state.tensors[0].1 = numbers(&[9], 1, &device);
    state.tensors.remove(1);
    refused(&mut optimizer, &state, "0.0.exp_avg_sq");
    refused(&mut optimizer, &state, "[9]");
    let mut state = good.clone();
    state.numbers.iter_mut().for_each(|(name, value)| {
        if name == "0.beta1" {
            *value = 2.0
        }
    });
    refused(&mut optimizer, &state, "beta1");
    optimizer.load_state(&good).unwrap();
}

#[test]
fn a_value_set_from_outside_becomes_the_master() {
    let device = Device::cpu_threads(1);
    let param = Param::new(&numbers(&[8], 1, &device).to_dtype(DType::Bf16).unwrap());
    let mut optimizer = Sgd { lr: 1e-4, ..Sgd::default() }.over([param.clone()]).unwrap();
    let push = |optimizer: &mut Fused<Sgd>, times: usize| {
        let mut gradients = Gradients::new();
        gradients.set(param.id(), Tensor::ones([8], DType::Bf16, &device).unwrap());
        for _ in 0..times {
            optimizer.step(&gradients).unwrap();
        }
    };
    // Steps far below the spacing of `bf16` add up in the master.
    param.set(&Tensor::ones([8], DType::Bf16, &device).unwrap()).unwrap();
    push(&mut optimizer, 100);
    assert_eq!(param.value().to_vec::<bf16>().unwrap()[0].to_f32(), 0.988_281_25);
    param.set(&Tensor::full(2.0, [8], DType::Bf16, &device).unwrap()).unwrap();
    push(&mut optimizer, 1);
    let master = optimizer.state().tensors.into_iter().find(|(name, _)| name == "0.0.master").unwrap().1;
    assert!((master.to_vec::<f32>().unwrap()[0] - 1.9999).abs() < 1e-6);
}

#[test]
fn clipping_by_value_holds_every_element() {
    let device = Device::cpu_threads(1);
    let param = Param::new(&Tensor::new(&[0f64, 0.0, 0.0], [3], &device).unwrap());
    let mut optimizer = Sgd { lr: 1.0, ..Sgd::default() }.over([param.clone()]).unwrap();
    optimizer.set_clip(Clip::value(0.5)).unwrap();
    let mut gradients = Gradients::new();
    gradients.set(param.id(), Tensor::new(&[8f64, -0.5, f64::NEG_INFINITY], [3], &device).unwrap());
    let report = optimizer.step_with(&gradients, StepOptions { grad_scale: 0.5, non_finite: None }).unwrap();
    assert_eq!((report.norm, report.clipped), (None, false));
    assert_eq!(param.value().to_vec::<f64>().unwrap(), [-0.5, 0.25, 0.5]);
    assert!(optimizer.set_clip(Clip::value(0.0)).is_err() && optimizer.set_clip(Clip::norm(f64::NAN)).is_err());
}

#[test]
fn a_norm_that_is_not_finite_is_an_error_or_skipped() {
    let device = Device::cpu_threads(2);
    let all = params(&device, DType::F32);
    let mut optimizer = Adam::default().over(all.clone()).unwrap();
    optimizer.step(&gradients(&all, 0)).unwrap();
    let (before, steps) = (bits(&all), optimizer.state().numbers);
    let mut bad = gradients(&all, 1);
    let mut values = vec![0f32; 70 * 300];
    values[12_345] = f32::NAN;
    bad.set(all[4].id(), Tensor::new(&values, [70, 300], &device).unwrap());
    optimizer.set_clip(Clip::norm(f64::INFINITY)).unwrap();
    assert!(optimizer.step(&bad).unwrap_err().to_string().contains("NaN"));
    optimizer.set_clip(Clip::Norm { max: 1.0, non_finite: NonFinite::Skip }).unwrap();
    let report = optimizer.step(&bad).unwrap();
    assert!(report.skipped && report.updated == 0 && report.norm.unwrap().is_nan());
    assert_eq!((bits(&all), optimizer.state().numbers), (before, steps));
}

#[test]
fn scaled_losses_give_the_steps_of_unscaled_ones() {
    let device = Device::cpu_threads(2);
    let train = |scaled: bool| {
        let mut rng = InitRng::new(5);
        let model = Sequential::new()
            .push(Linear::new(6, 16, &device, &mut rng).unwrap())
            .push(Relu)
            .push(Linear::new(16, 1, &device, &mut rng).unwrap());
        let mut optimizer = AdamW { lr: 0.01, ..AdamW::default() }.over(model.parameters()).unwrap();
        optimizer.set_clip(Clip::norm(0.5)).unwrap();
        let mut scale = LossScale { interval: 2, ..LossScale::default() };
        for step in 0..6 {
            let x = numbers(&[8, 6], 100 + step, &device);
            let loss = model.forward(&x).unwrap().add_scalar(-1.0).unwrap().square().unwrap().mean_all().unwrap();
            let report = if scaled {
                scale.step(&mut optimizer, &scale.apply(&loss).unwrap().backward().unwrap()).unwrap()
            } else {
                optimizer.step(&loss.backward().unwrap()).unwrap()
            };
            assert!(!report.skipped);
        }
        if scaled {
            assert_eq!(scale.scale(), 524_288.0);
        }
        bits(&model.parameters())
    };
    // The scale is a power of two, so nothing but the last bit of the norm may differ.
    let (plain, scaled) = (train(false), train(true));
    for (a, b) in plain.iter().zip(&scaled) {
        assert!((f32::from_bits(*a) - f32::from_bits(*b)).abs() < 1e-6);
    }
}

#[test]
fn overflow_skips_the_step_and_lowers_the_scale() {
    let device = Device::cpu_threads(1);
    let param = Param::new(&Tensor::ones([4], DType::F16, &device).unwrap());
    let mut optimizer = Sgd { lr: 0.5, ..Sgd::default() }.over([param.clone()]).unwrap();
    let mut scale = LossScale { interval: 2, ..LossScale::default() };
    let mut seen = Vec::new();
    for _ in 0..8 {
        // d(p · 3)/dp times the scale; `f16` ends at 65504.
        let gradient = Tensor::full(3.0 * scale.scale(), [4], DType::F16, &device).unwrap();
        let mut gradients = Gradients::new();
        gradients.set(param.id(), gradient);
        let report = scale.step(&mut optimizer, &gradients).unwrap();
        seen.push((report.skipped, scale.scale()));
    }
    let expected = [
        (true, 32_768.0),
        (true, 16_384.0),
        (false, 16_384.0),
        (false, 32_768.0),
        (true, 16_384.0),
        (false, 16_384.0),
        (false, 32_768.0),
        (true, 16_384.0),
    ];
    assert_eq!(seen, expected);
    assert_eq!(scale.skipped(), 4);
    assert_eq!(param.value().to_vec::<half::f16>().unwrap()[0].to_f32(), 1.0 - 4.0 * 1.5);
}

#[test]
fn micro_batches_add_up_in_place() {
    let device = Device::cpu_threads(2);
    let param = Param::new(&numbers(&[700, 90], 1, &device));
    let part = |seed| {
        let mut gradients = Gradients::new();
        gradients.set(param.id(), numbers(&[700, 90], seed, &device));
        gradients
    };
    let mut sum = Gradients::new();
    sum.accumulate(&part(1)).unwrap();
    sum.accumulate(&part(2)).unwrap();
    // In place: the buffer stays the same, until somebody holds the sum.
    let before_third = device.pool().figures();
    let third = part(3);
    let requests = |figures: tessera::compute::PoolFigures| figures.hits + figures.misses;
    let taken = requests(device.pool().figures()) - requests(before_third);
    sum.accumulate(&third).unwrap();
    assert_eq!(requests(device.pool().figures()) - requests(before_third), taken);
    let held = sum.of(param.id()).unwrap().clone();
    let before: Vec<f32> = held.to_vec().unwrap();
    sum.accumulate(&part(5)).unwrap();
    assert_eq!(held.to_vec::<f32>().unwrap(), before);
    drop(held);
    let transposed = {
        let mut gradients = Gradients::new();
        gradients.set(param.id(), numbers(&[90, 700], 4, &device).t().unwrap());
        gradients
    };
    sum.accumulate(&transposed).unwrap();
    let parts: Vec<Vec<f32>> = [1, 2, 3, 5].map(|seed| part(seed).of(param.id()).unwrap().to_vec().unwrap()).into();
    let last: Vec<f32> = transposed.of(param.id()).unwrap().to_vec().unwrap();
    for (i, got) in sum.of(param.id()).unwrap().to_vec::<f32>().unwrap().into_iter().enumerate() {
        assert_eq!(got, parts.iter().fold(0.0, |sum, part| sum + part[i]) + last[i]);
    }
    let mean = StepOptions { grad_scale: 0.25, ..StepOptions::default() };
    let before = param.value();
    Sgd { lr: 1.0, ..Sgd::default() }.over([param.clone()]).unwrap().step_with(&sum, mean).unwrap();
    let moved = before.sub(&param.value()).unwrap().to_vec::<f32>().unwrap();
    assert!((moved[77] - 0.25 * sum.of(param.id()).unwrap().to_vec::<f32>().unwrap()[77]).abs() < 1e-6);
}
