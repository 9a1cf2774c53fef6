//! Spiking layers: against the engine's models to the bit, and gradients against the same equations on the tape.

use tessera::compute::cpu::Cpu;
use tessera::compute::{Compare, DType, Device, Isa, LifStep, Reset, Shape, Surrogate};
use tessera::error::Result;
use tessera::neuron::{Block, LifPscDelta, LifPscExp, NeuronModel, ParamColumn, ParamTable, Prepare};
use tessera::nn::{
    Carry, ConstantEncoder, Latency, LatencyEncoder, LiLayer, LifLayer, LifModel, Linear, Module, OverTime,
    PoissonEncoder, Readout, Sequential,
};
use tessera::rng::Key;
use tessera::tensor::ops::{LifConstantsEach, LifState};
use tessera::tensor::{CustomOp, Saved, Tensor, checkpoint, no_grad};

const SURROGATES: [Surrogate; 4] = [
    Surrogate::FastSigmoid { slope: 4.0 },
    Surrogate::ArcTan { alpha: 2.0 },
    Surrogate::Triangular { gamma: 0.3 },
    Surrogate::StraightThrough,
];

fn delta(t_ref: f64) -> LifPscDelta {
    LifPscDelta { tau_m: 13.0, t_ref, i_e: 40.0, ..Default::default() }
}

fn exp(t_ref: f64) -> LifPscExp {
    LifPscExp { tau_m: 13.0, t_ref, i_e: 40.0, tau_syn_ex: 3.0, tau_syn_in: 3.0, ..Default::default() }
}

/// Input that makes neurons spike now and then: mV or pA.
fn input(shape: &[usize], scale: f64, dtype: DType, device: &Device) -> Tensor {
    Tensor::uniform(-0.6 * scale, scale, shape, Key([3, 9]), device).unwrap().to_dtype(dtype).unwrap()
}

/// Spikes and potentials of the engine's own stepper, step by step.
fn engine(model: &dyn NeuronModel, dt: f64, x: &[f32], steps: usize, neurons: usize) -> (Vec<f32>, Vec<f32>) {
    let len = neurons.next_multiple_of(32);
    let columns = model.values().into_iter().map(ParamColumn::Uniform).collect();
    let params = ParamTable { len, columns };
    let isa = Isa::detect();
    let prepare = Prepare { dt, seed: 0, population: "p", params: &params, first: 0, len, isa };
    let mut stepper = model.stepper_f32(&prepare).unwrap();
    let values = model.values();
    let mut columns: Vec<Vec<f32>> =
        (0..model.variables().len()).map(|i| vec![model.initial(i, &values) as f32; len]).collect();
    let mut refractory = vec![0; len];
    let (mut spikes, mut potentials) = (Vec::new(), Vec::new());
    for step in 0..steps {
        let mut arriving = x[step * neurons..(step + 1) * neurons].to_vec();
        arriving.resize(len, 0.0);
        let mut bits = vec![0u32; len / 32];
        let mut views: Vec<&mut [f32]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
        stepper.step(&mut Block {
            step: step as u64,
            offset: 0,
            len,
            inputs: &[&arriving],
            current: None,
            columns: &mut views,
            refractory: &mut refractory,
            spikes: &mut bits,
        });
        spikes.extend((0..neurons).map(|n| (bits[n / 32] >> (n % 32) & 1) as f32));
        potentials.extend_from_slice(&columns[0][..neurons]);
    }
    (spikes, potentials)
}

#[test]
fn layers_are_the_engines_models_to_the_bit() {
    let (steps, neurons, dt) = (200, 77, 0.5);
    for t_ref in [0.0, 0.5, 2.0] {
        let models: [(LifModel, &dyn NeuronModel, f64); 2] =
            [(delta(t_ref).into(), &delta(t_ref), 12.0), (exp(t_ref).into(), &exp(t_ref), 900.0)];
        for (model, theirs, scale) in models {
            let plain = Device::cpu_threads(1);
            let values: Vec<f32> = input(&[steps, neurons], scale, DType::F32, &plain).to_vec().unwrap();
            let (spikes, potentials) = engine(theirs, dt, &values, steps, neurons);
            let count: f32 = spikes.iter().sum();
            assert!(count > 200.0 && count < 0.3 * spikes.len() as f32, "{count} spikes");
            for isa in Isa::all_available() {
                for workers in [1, 2, 3, 5] {
                    let device = Device::of_cpu(Cpu::with_isa(workers, isa));
                    let x = Tensor::new(&values, [steps, neurons], &device).unwrap();
                    let run = LifLayer::new(model.clone(), dt).unwrap().run(&x).unwrap();
                    assert_eq!(run.spikes.to_vec::<f32>().unwrap(), spikes, "{isa}, {workers} workers");
                    assert_eq!(run.potentials.unwrap().to_vec::<f32>().unwrap(), potentials, "{isa}");
                }
            }
        }
    }
}

/// The step function with a surrogate derivative, as an operation of one's own.
struct Spike {
    surrogate: Surrogate,
    width: f64,
}

impl CustomOp for Spike {
    fn name(&self) -> &'static str {
        "spike"
    }
    fn forward(&self, inputs: &[Tensor]) -> Result<(Tensor, Saved)> {
        let zero = inputs[0].full_like(0.0)?;
        let spikes = inputs[0].compare(&zero, Compare::Ge)?.to_dtype(inputs[0].dtype())?;
        Ok((spikes, vec![inputs[0].clone()]))
    }
    fn backward(&self, saved: &[Tensor], dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let above: Vec<f64> = saved[0].to_vec()?;
        let slopes: Vec<f64> =
            above.iter().map(|above| self.surrogate.derivative(above / self.width) / self.width).collect();
        Ok(vec![Some(dy.mul(&Tensor::new(&slopes, dy.shape(), dy.device())?)?)])
    }
}

/// The equations of [`LifStep`] written with operations of the tape: (spikes, potentials, state at the end).
fn on_tape(
    x: &Tensor,
    step: &LifStep,
    surrogate: Surrogate,
    start: &LifState,
    each: Option<&LifConstantsEach>,
) -> Result<(Vec<Tensor>, Vec<Tensor>, LifState)> {
    let LifState { mut v, mut i, mut held } = start.clone();
    let shared = |value: f64| Tensor::full(value, Shape::SCALAR, DType::F64, x.device());
    let each = match each {
        Some(each) => each.clone(),
        None => LifConstantsEach { decay: shared(step.decay)?, drive: shared(step.drive)?, v_th: shared(step.v_th)? },
    };
    let (mut spikes, mut potentials) = (Vec::new(), Vec::new());
    for t in 0..x.dims()[0] {
        let x = x.select(0, t)?;
        let mut next = v.mul(&each.decay)?.add(&each.drive)?;
        match (&mut i, step.synapse) {
            (Some(i), Some((fade, from_syn))) => {
                next = next.add(&i.mul_scalar(from_syn)?)?;
                *i = i.mul_scalar(fade)?.add(&x)?;
            }
            _ => next = next.add(&x)?,
        }
        let zeros = v.detach().full_like(0.0)?;
        let free = held.compare(&zeros, Compare::Eq)?;
        let width = step.v_th - step.v_reset;
        let above = next.sub(&each.v_th)?;
        let spiked = free.select_where(&Tensor::apply(Spike { surrogate, width }, &[&above])?, &zeros)?;
        let by = if step.detach_reset { spiked.detach() } else { spiked.clone() };
        let lowered = match step.reset {
            Reset::ToValue => next.sub(&by.mul(&next)?)?.add(&by.mul_scalar(step.v_reset)?)?,
            Reset::BySubtraction => next.sub(&by.mul(&each.v_th.add_scalar(-step.v_reset)?)?)?,
        };
        v = free.select_where(&lowered, &v)?;
        let after = spiked.detach().mul_scalar(f64::from(step.refractory))?;
        held = held.add_scalar(-1.0)?.relu()?.add(&after)?;
        spikes.push(spiked);
        potentials.push(v.clone());
    }
    Ok((spikes, potentials, LifState { v, i, held }))
}

fn weights(like: &Tensor, seed: u32) -> Tensor {
    Tensor::uniform(-1.0, 1.0, like.shape(), Key([seed, 5]), like.device()).unwrap().to_dtype(like.dtype()).unwrap()
}

fn close(got: &Tensor, expected: &Tensor, what: &str) {
    let (got, expected): (Vec<f64>, Vec<f64>) = (got.to_vec().unwrap(), expected.to_vec().unwrap());
    let largest = expected.iter().fold(1e-3, |m: f64, x| m.max(x.abs()));
    for (i, (g, e)) in got.iter().zip(&expected).enumerate() {
        assert!((g - e).abs() <= 1e-12 * largest, "{what}, element {i}: {g} against {e} (largest {largest})");
    }
}

/// Runs both ways with weights on everything that comes out, and compares everything.
fn compare_with_tape(step: &LifStep, surrogate: Surrogate, scale: f64, vary: bool) {
    let device = Device::cpu_threads(2);
    let (steps, shape) = (23, [3usize, 7]);
    let x = input(&[steps, 3, 7], scale, DType::F64, &device).requires_grad();
    let mut start = LifState::at(-68.0, step, shape, DType::F64, &device).unwrap();
    start.v = start.v.requires_grad();
    start.i = start.i.map(|i| i.add_scalar(30.0).unwrap().requires_grad());
    if step.refractory > 0 {
        start.held = Tensor::new(&[2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [7], &device).unwrap();
        start.held = start.held.broadcast_to(shape).unwrap();
    }
    let each = vary.then(|| LifConstantsEach {
        decay: Tensor::uniform(0.85, 0.97, [7], Key([1, 1]), &device).unwrap().to_dtype(DType::F64).unwrap(),
        drive: Tensor::full(step.drive, [3, 1], DType::F64, &device).unwrap(),
        v_th: Tensor::full(step.v_th, Shape::SCALAR, DType::F64, &device).unwrap(),
    });
    let each = each.map(|e| LifConstantsEach {
        decay: e.decay.requires_grad(),
        drive: e.drive.requires_grad(),
        v_th: e.v_th.requires_grad(),
    });
    let loss = |spikes: &Tensor, potentials: &Tensor, state: &LifState| {
        let part = |t: &Tensor, seed| t.mul(&weights(t, seed)).unwrap().sum_all().unwrap();
        let mut sum = part(spikes, 1).mul_scalar(20.0).unwrap().add(&part(potentials, 2)).unwrap();
        sum = sum.add(&part(&state.v, 3)).unwrap();
        if let Some(i) = &state.i {
            sum = sum.add(&part(i, 4)).unwrap();
        }
        sum
    };
    let run = x.lif(step, surrogate, &start, each.as_ref(), true).unwrap();
    let fused = loss(&run.spikes, run.potentials.as_ref().unwrap(), &run.state).backward().unwrap();

    let (spikes, potentials, state) = on_tape(&x, step, surrogate, &start, each.as_ref()).unwrap();
    // Steps side by side, by broadcasting each among zeros.
    let stacked = |parts: &[Tensor]| {
        let mut all: Option<Tensor> = None;
        for (t, part) in parts.iter().enumerate() {
            let mut place = vec![0.0; steps];
            place[t] = 1.0;
            let place = Tensor::new(&place, [steps, 1, 1], &device).unwrap().mul(part).unwrap();
            all = Some(all.map_or(place.clone(), |all| all.add(&place).unwrap()));
        }
        all.unwrap()
    };
    let (spikes, potentials) = (stacked(&spikes), stacked(&potentials));
    let taped = loss(&spikes, &potentials, &state).backward().unwrap();

    let what = format!("{step:?} {surrogate:?}");
    assert_eq!(run.spikes.to_vec::<f64>().unwrap(), spikes.to_vec::<f64>().unwrap(), "{what}");
    let count = run.spikes.sum_all().unwrap().item().unwrap();
    assert!(count > 10.0, "{count} spikes, {what}");
    close(run.potentials.as_ref().unwrap(), &potentials, &format!("potentials, {what}"));
    assert_eq!(run.state.held.to_vec::<f64>().unwrap(), state.held.to_vec::<f64>().unwrap(), "{what}");
    let mut leaves = vec![("x", &x), ("v", &start.v)];
    leaves.extend(start.i.as_ref().map(|i| ("i", i)));
    if let Some(each) = &each {
        leaves.extend([("decay", &each.decay), ("drive", &each.drive), ("v_th", &each.v_th)]);
    }
    for (name, leaf) in leaves {
        let (fused, taped) = (fused.get(leaf).unwrap(), taped.get(leaf).unwrap());
        close(fused, taped, &format!("gradient of {name}, {what}"));
    }
}

#[test]
fn gradients_are_those_of_the_equations_on_the_tape() {
    for (n, surrogate) in SURROGATES.into_iter().enumerate() {
        for reset in [Reset::ToValue, Reset::BySubtraction] {
            for detach in [true, false] {
                let t_ref = [0.0, 1.5][n % 2];
                for (model, scale) in [(LifModel::from(delta(t_ref)), 12.0), (exp(t_ref).into(), 1500.0)] {
                    let layer = LifLayer::new(model, 0.5).unwrap().with_reset(reset).with_detached_reset(detach);
                    compare_with_tape(layer.step(), surrogate, scale, false);
                }
                let layer = LifLayer::new(delta(1.5 - t_ref), 0.5).unwrap();
                let layer = layer.with_reset(reset).with_detached_reset(detach);
                compare_with_tape(layer.step(), surrogate, 12.0, true);
            }
        }
    }
}

#[test]
fn leaky_integrators_have_exact_gradients() {
    let device = Device::cpu_threads(2);
    for model in [LifModel::from(delta(2.0)), exp(2.0).into()] {
        for readout in [Readout::Trace, Readout::Last, Readout::Sum, Readout::Mean, Readout::Max] {
            let layer = LiLayer::new(model.clone(), 0.5, readout).unwrap();
            let x = input(&[9, 2, 3], 10.0, DType::F64, &device).requires_grad();
            let scalar = |x: &Tensor| {
                let y = layer.forward(x).unwrap();
                y.mul(&weights(&y, 7)).unwrap().sum_all().unwrap()
            };
            let gradient: Vec<f64> = scalar(&x).backward().unwrap().get(&x).unwrap().to_vec().unwrap();
            let base: Vec<f64> = x.to_vec().unwrap();
            for i in 0..base.len() {
                let at = |value: f64| {
                    let mut moved = base.clone();
                    moved[i] = value;
                    scalar(&Tensor::new(&moved, [9, 2, 3], &device).unwrap()).item().unwrap()
                };
                let expected = (at(base[i] + 1e-5) - at(base[i] - 1e-5)) / 2e-5;
                assert!((gradient[i] - expected).abs() < 1e-6, "{readout:?} {i}: {} {expected}", gradient[i]);
            }
        }
    }
}

fn gradient_bits(device: &Device, dtype: DType) -> Vec<f64> {
    let layer = LifLayer::new(exp(1.0), 0.5).unwrap();
    let x = input(&[40, 5, 41], 900.0, dtype, device).requires_grad();
    let spikes = layer.forward(&x).unwrap();
    let gradients = spikes.mul(&weights(&spikes, 1)).unwrap().sum_all().unwrap().backward().unwrap();
    gradients.get(&x).unwrap().to_dtype(DType::F64).unwrap().to_vec().unwrap()
}

#[test]
fn gradients_are_the_same_bits_for_any_workers_and_instruction_set() {
    for dtype in [DType::F32, DType::F64] {
        let reference = gradient_bits(&Device::cpu_threads(1), dtype);
        assert!(reference.iter().any(|g| *g != 0.0));
        for isa in Isa::all_available() {
            for workers in [1, 2, 3, 5] {
                let device = Device::of_cpu(Cpu::with_isa(workers, isa));
                assert_eq!(gradient_bits(&device, dtype), reference, "{isa}, {workers} workers, {dtype}");
            }
        }
    }
}

#[test]
fn one_step_at_a_time_is_the_same_as_all_at_once() {
    let device = Device::cpu_threads(2);
    let x = input(&[12, 2, 5], 12.0, DType::F32, &device).requires_grad();
    let whole = LifLayer::new(delta(1.0), 0.5).unwrap();
    let stepwise = LifLayer::new(delta(1.0), 0.5).unwrap().stepwise();
    let halves = LifLayer::new(delta(1.0), 0.5).unwrap().with_carry(Carry::Attached);
    let cut = LifLayer::new(delta(1.0), 0.5).unwrap().with_carry(Carry::Detached);
    let mark = |t: usize| Tensor::full((t as f64 * 0.7).sin(), [2, 5], DType::F32, &device).unwrap();
    let total = |parts: Vec<Tensor>| parts.into_iter().reduce(|a, b| a.add(&b).unwrap()).unwrap();
    let weighted = |spikes: &Tensor, t: usize| spikes.mul(&mark(t)).unwrap().sum_all().unwrap();
    let sequence = |layer: &LifLayer, pieces: &[(usize, usize)]| {
        layer.reset_state();
        let mut parts = Vec::new();
        for (start, len) in pieces {
            let spikes = layer.forward(&x.narrow(0, *start, *len).unwrap()).unwrap();
            parts.extend((0..*len).map(|t| weighted(&spikes.select(0, t).unwrap(), start + t)));
        }
        total(parts)
    };
    let all = sequence(&whole, &[(0, 12)]);
    let two = sequence(&halves, &[(0, 5), (5, 7)]);
    let truncated = sequence(&cut, &[(0, 5), (5, 7)]);
    let each = (0..12).map(|t| weighted(&stepwise.forward(&x.select(0, t).unwrap()).unwrap(), t)).collect();
    let each = total(each);
    let values = [&all, &two, &truncated, &each].map(|t| t.item().unwrap());
    assert!(values.iter().all(|v| *v == values[0]), "{values:?}");
    let gradients = [all, two, truncated, each].map(|loss| {
        let gradients = loss.backward().unwrap();
        gradients.get(&x).unwrap().to_vec::<f32>().unwrap()
    });
    let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + a.abs()));
    assert!(same(&gradients[0], &gradients[1]) && same(&gradients[0], &gradients[3]));
    // Truncated: nothing reaches the first part from the second, the second part is as before.
    assert!(same(&gradients[0][50..], &gradients[2][50..]) && !same(&gradients[0][..50], &gradients[2][..50]));
    assert!(stepwise.state().is_some() && whole.state().is_none());
    let other = input(&[12, 3, 5], 12.0, DType::F32, &device);
    let message = halves.forward(&other).unwrap_err().to_string();
    assert!(message.contains("[2, 5]") && message.contains("[3, 5]") && message.contains("reset_state"), "{message}");
    halves.reset_state();
    assert!(halves.forward(&other).is_ok());
}

#[test]
fn input_in_other_orders_and_constant_input() {
    let device = Device::cpu_threads(2);
    let layer = LifLayer::new(delta(1.0), 0.5).unwrap();
    let x = input(&[12, 2, 5], 12.0, DType::F32, &device).requires_grad();
    let plain = layer.forward(&x).unwrap();
    // Neurons stored in another order keep it.
    let turned = x.transpose(1, 2).unwrap().contiguous().unwrap().transpose(1, 2).unwrap();
    let other = layer.forward(&turned).unwrap();
    assert_eq!(other.layout().strides(), turned.layout().strides());
    assert_eq!(other.to_vec::<f32>().unwrap(), plain.to_vec::<f32>().unwrap());
    let gradient = |y: &Tensor| {
        let gradients = y.mul(&weights(&x, 3)).unwrap().sum_all().unwrap().backward().unwrap();
        gradients.get(&x).unwrap().to_vec::<f32>().unwrap()
    };
    assert_eq!(gradient(&other), gradient(&plain));
    // Time that varies faster than neurons, and rows with gaps, are copied.
    let by_time = x.permute(&[1, 2, 0]).unwrap().contiguous().unwrap().permute(&[2, 0, 1]).unwrap();
    assert_eq!(layer.forward(&by_time).unwrap().to_vec::<f32>().unwrap(), plain.to_vec::<f32>().unwrap());
    let part = layer.forward(&x.narrow(2, 1, 3).unwrap()).unwrap().to_vec::<f32>().unwrap();
    assert_eq!(part, plain.narrow(2, 1, 3).unwrap().to_vec::<f32>().unwrap());
    // A constant input takes no memory for time.
    let current = input(&[2, 5], 9.0, DType::F32, &device).requires_grad();
    let repeated = current.broadcast_to([12, 2, 5]).unwrap();
    let spikes = layer.forward(&repeated).unwrap();
    let copied = layer.forward(&repeated.contiguous().unwrap()).unwrap();
    assert_eq!(spikes.to_vec::<f32>().unwrap(), copied.to_vec::<f32>().unwrap());
    let of = |y: &Tensor| {
        let gradients = y.mul(&weights(y, 3)).unwrap().sum_all().unwrap().backward_keep().unwrap();
        gradients.get(&current).unwrap().to_vec::<f32>().unwrap()
    };
    assert_eq!(of(&spikes), of(&copied));
}

#[test]
fn learned_constants_start_as_the_models_and_get_gradients() {
    let device = Device::cpu_threads(2);
    let model = delta(1.0);
    let x = input(&[60, 4, 33], 12.0, DType::F32, &device);
    let plain = LifLayer::new(model.clone(), 0.5).unwrap();
    let learned = LifLayer::new(model, 0.5).unwrap();
    let learned = learned.with_learned_tau_m([33], &device).unwrap().with_learned_v_th(Shape::SCALAR, &device).unwrap();
    let names: Vec<String> = learned.named_parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["log_tau_m", "log_rise"]);
    assert!((learned.tau_m().unwrap().unwrap().to_vec::<f32>().unwrap()[32] - 13.0).abs() < 1e-5);
    assert!((learned.v_th().unwrap().unwrap().item().unwrap() + 55.0).abs() < 1e-5);
    // Constants rounded in single precision move few spikes.
    let (a, b) = (plain.forward(&x).unwrap(), learned.forward(&x).unwrap());
    let differing = a.sub(&b).unwrap().abs().unwrap().sum_all().unwrap().item().unwrap();
    assert!(differing <= 0.01 * a.sum_all().unwrap().item().unwrap(), "{differing}");
    let potentials = learned.run(&x.mul_scalar(0.1).unwrap()).unwrap().potentials.unwrap();
    let gradients = potentials.mul(&weights(&potentials, 2)).unwrap().sum_all().unwrap().backward().unwrap();
    for param in learned.parameters() {
        assert!(gradients.of(param.id()).is_some());
    }
    // No neuron spikes at this input, so finite differences hold for tau_m.
    let log_tau_m = &learned.parameters()[0];
    let got: Vec<f32> = gradients.of(log_tau_m.id()).unwrap().to_vec().unwrap();
    let before = log_tau_m.value();
    let loss = |shift: f64| {
        log_tau_m.set(&before.add_scalar(shift).unwrap()).unwrap();
        let x = x.mul_scalar(0.1).unwrap().to_dtype(DType::F64).unwrap();
        let run = learned.run(&x).unwrap();
        assert_eq!(run.spikes.sum_all().unwrap().item().unwrap(), 0.0);
        let v = run.potentials.unwrap();
        v.mul(&weights(&v, 2)).unwrap().sum_all().unwrap().item().unwrap()
    };
    let h = 1.0 / 1024.0;
    let expected = (loss(h) - loss(-h)) / (2.0 * h);
    let total: f64 = got.iter().map(|g| f64::from(*g)).sum();
    assert!((total - expected).abs() < 1e-3 * expected.abs(), "{total} against {expected}");
    assert!(LifLayer::new(exp(1.0), 0.5).unwrap().with_learned_v_th([1], &device).is_err());
}

#[test]
fn networks_of_layers_checkpoint_and_fold_time() {
    let device = Device::cpu_threads(2);
    let mut rng = tessera::nn::InitRng::new(3);
    let unit = || LifPscDelta { tau_m: 10.0, e_l: 0.0, v_reset: 0.0, v_th: 0.3, t_ref: 0.0, ..Default::default() };
    let layer = |n: usize, m: usize, rng: &mut _| Linear::new(n, m, &device, rng).unwrap();
    let net = Sequential::new()
        .push(OverTime(layer(6, 20, &mut rng)))
        .push(LifLayer::new(unit(), 1.0).unwrap())
        .push(layer(20, 4, &mut rng))
        .push(LiLayer::new(unit(), 1.0, Readout::Max).unwrap());
    let x = input(&[15, 3, 6], 3.0, DType::F32, &device);
    let y = net.forward(&x).unwrap();
    assert_eq!(y.dims(), [3, 4]);
    let bits = |net: &Sequential| {
        let gradients = net.forward(&x).unwrap().sum_all().unwrap().backward().unwrap();
        let all: Vec<Vec<f32>> = gradients.iter().map(|(_, g)| g.to_vec().unwrap()).collect();
        assert_eq!(all.len(), 4);
        all
    };
    let plain = bits(&net);
    assert!(plain.iter().flatten().any(|g| *g != 0.0));
    assert_eq!(bits(&net.clone().checkpoint_every(2)), plain);
    let stateful = LifLayer::new(unit(), 1.0).unwrap().with_carry(Carry::Attached);
    let stateful = std::sync::Arc::new(stateful);
    let leaf = x.requires_grad();
    let inner = stateful.clone();
    let y = checkpoint(&[&leaf], move |inputs| inner.forward(&inputs[0])).unwrap();
    assert!(y.sum_all().unwrap().backward().unwrap_err().to_string().contains("checkpointed"));
    let message = no_grad(|| OverTime(Readout::Sum).forward(&x)).unwrap_err().to_string();
    assert!(message.contains("15 steps of a batch of 3"), "{message}");
}

#[test]
fn faults_are_said() {
    let device = Device::cpu_threads(1);
    let layer = LifLayer::new(delta(1.0), 0.5).unwrap();
    let message = |x: &Tensor| layer.forward(x).unwrap_err().to_string();
    let ones = |dims: &[usize], dtype| Tensor::ones(dims, dtype, &device).unwrap();
    assert!(message(&ones(&[4, 2], DType::Bf16)).contains("to_dtype"));
    assert!(message(&ones(&[], DType::F32)).contains("time"));
    let text = LifLayer::new(LifPscDelta { v_reset: -50.0, ..delta(1.0) }, 0.5).unwrap_err().to_string();
    assert!(text.contains("v_reset") && text.contains("-50"), "{text}");
    let text = LifLayer::new(LifPscExp { tau_syn_in: 5.0, ..exp(1.0) }, 0.5).unwrap_err().to_string();
    assert!(text.contains("two currents"), "{text}");
    let bad = LifLayer::new(delta(1.0), 0.5).unwrap().with_surrogate(Surrogate::FastSigmoid { slope: -1.0 });
    assert!(bad.forward(&ones(&[4, 2], DType::F32)).unwrap_err().to_string().contains("slope"));
    assert!(LifLayer::new(delta(1.0), 0.0).is_err());
}

#[test]
fn encoders_make_spikes() {
    let device = Device::cpu_threads(2);
    let x = Tensor::new(&[0.0f32, 0.25, 0.5, 1.0, -1.0], [5], &device).unwrap();
    let encoder = PoissonEncoder::new(20_000, 100.0, 2.0, 7).unwrap();
    let spikes = encoder.forward(&x).unwrap();
    assert_eq!(spikes.dims(), [20_000, 5]);
    let rates: Vec<f32> = spikes.mean(&[0], false).unwrap().to_vec().unwrap();
    for (rate, x) in rates.iter().zip([0.0, 0.25, 0.5, 1.0, 0.0]) {
        // 100 Hz in steps of 2 ms; five standard errors.
        let p = 1.0 - f64::exp(-x * 0.2);
        assert!((f64::from(*rate) - p).abs() <= 5.0 * (p * (1.0 - p) / 20_000.0).sqrt(), "{rate} for {x}");
    }
    let again = encoder.forward(&x).unwrap().to_vec::<f32>().unwrap();
    assert_ne!(again, spikes.to_vec::<f32>().unwrap());
    for threads in [1, 3] {
        let device = Device::cpu_threads(threads);
        let same = PoissonEncoder::new(20_000, 100.0, 2.0, 7).unwrap();
        same.forward(&x.to_device(&device).unwrap()).unwrap();
        let second = same.forward(&x.to_device(&device).unwrap()).unwrap();
        assert_eq!(second.to_vec::<f32>().unwrap(), again, "{threads} threads");
    }
    assert!(PoissonEncoder::new(5, -1.0, 1.0, 0).is_err());

    let latency = LatencyEncoder { steps: 11, threshold: 0.1, latency: Latency::Linear };
    let x = Tensor::new(&[1.0f32, 0.5, 0.1, 0.14, 7.0], [1, 5], &device).unwrap();
    let first = |spikes: &Tensor| -> Vec<Option<usize>> {
        let trains: Vec<f32> = spikes.permute(&[1, 2, 0]).unwrap().to_vec().unwrap();
        trains
            .chunks(spikes.dims()[0])
            .map(|train| {
                assert!(train.iter().sum::<f32>() <= 1.0);
                train.iter().position(|s| *s == 1.0)
            })
            .collect()
    };
    assert_eq!(first(&latency.forward(&x).unwrap()), [Some(0), Some(5), None, Some(9), Some(0)]);
    let charging = Latency::Charging { tau_m: 10.0, dt: 1.0 };
    let latency = LatencyEncoder { steps: 30, threshold: 0.2, latency: charging };
    let expected = [1.0f64, 0.5, 0.1, 0.14, 7.0].map(|x| (x > 0.2).then(|| (10.0 * (x / (x - 0.2)).ln()) as usize));
    assert_eq!(first(&latency.forward(&x).unwrap()), expected);
    let constant = ConstantEncoder { steps: 4 }.forward(&x).unwrap();
    assert_eq!((constant.dims(), constant.layout().strides()[0]), (&[4, 1, 5][..], 0));
}
