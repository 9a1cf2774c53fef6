//! Gradients against finite differences, and how the tape behaves.

use tessera::compute::{Activation, DType, Device, Unary};
use tessera::error::Result;
use tessera::nn::{InitRng, Linear, Module, Relu, Sequential};
use tessera::rng::Key;
use tessera::tensor::{Gradients, Tensor, checkpoint, no_grad};

fn f64s(shape: &[usize], seed: u32, device: &Device) -> Tensor {
    Tensor::uniform(-1.5, 1.5, shape, Key([seed, 7]), device).unwrap().to_dtype(DType::F64).unwrap()
}

/// Compares the gradients of `f` (made scalar with fixed weights) with central differences in double precision.
fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let scalar = |inputs: &[Tensor]| -> Result<Tensor> {
        let y = f(inputs)?;
        y.mul(&f64s(y.dims(), 99, y.device()))?.sum_all()
    };
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::requires_grad).collect();
    let gradients = scalar(&leaves).unwrap().backward().unwrap();
    let h = 1e-6;
    for (n, leaf) in leaves.iter().enumerate() {
        let got: Vec<f64> = gradients.get(leaf).unwrap().to_vec().unwrap();
        let base: Vec<f64> = leaf.to_vec().unwrap();
        for i in 0..base.len() {
            let at = |x: f64| {
                let mut moved = base.clone();
                moved[i] = x;
                let mut all = inputs.to_vec();
                all[n] = Tensor::new(&moved, leaf.shape(), leaf.device()).unwrap();
                scalar(&all).unwrap().item().unwrap()
            };
            let expected = (at(base[i] + h) - at(base[i] - h)) / (2.0 * h);
            assert!(
                (got[i] - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "input {n} element {i}: {} against {expected}",
                got[i]
            );
        }
    }
}

#[test]
fn elementwise_gradients() {
    let device = Device::cpu_threads(2);
    let x = f64s(&[3, 4], 1, &device);
    for op in [
        Unary::Affine { scale: 2.0, shift: 1.0 },
        Unary::Square,
        Unary::Exp,
        Unary::Tanh,
        Unary::Sigmoid,
        Unary::Relu,
        Unary::LeakyRelu { slope: 0.1 },
        Unary::Elu { alpha: 1.3 },
        Unary::GeluTanh,
        Unary::GeluErf,
        Unary::Erf,
        Unary::Sin,
        Unary::Cos,
        Unary::ExpM1,
        Unary::Pow { exponent: 3.0 },
        Unary::Silu,
        Unary::Softplus,
        Unary::Abs,
        Unary::Recip,
        Unary::Clamp { low: -0.7, high: 0.8 },
    ] {
        check(std::slice::from_ref(&x), |x| x[0].unary(op));
    }
    let positive = x.square().unwrap().add_scalar(0.3).unwrap();
    for op in [Unary::Sqrt, Unary::Rsqrt, Unary::Ln, Unary::Ln1p] {
        check(std::slice::from_ref(&positive), |x| x[0].unary(op));
    }
    check(&[positive, x], |x| x[0].pow(&x[1]));
}

#[test]
fn broadcast_and_view_gradients() {
    let device = Device::cpu_threads(1);
    let (a, b) = (f64s(&[2, 3, 4], 1, &device), f64s(&[3, 1], 2, &device));
    check(&[a.clone(), b.clone()], |x| x[0].add(&x[1])?.mul(&x[1]));
    check(&[a.clone(), b.clone()], |x| x[0].sub(&x[1])?.div(&x[1].add_scalar(3.0)?));
    check(&[a.clone(), b.clone()], |x| x[0].maximum(&x[1])?.minimum(&x[1].neg()?));
    check(std::slice::from_ref(&a), |x| x[0].permute(&[2, 0, 1])?.reshape([4, 6])?.narrow(0, 1, 2)?.square());
    check(std::slice::from_ref(&a), |x| x[0].sum(&[1], false)?.mul(&x[0].mean(&[0, 2], true)?.sum_all()?));
    check(std::slice::from_ref(&a), |x| x[0].max(1, false)?.add(&x[0].min(-1, true)?.sum_all()?));
    check(std::slice::from_ref(&b), |x| x[0].broadcast_to([2, 3, 5])?.exp());
    check(&[a, b], |x| x[0].compare(&x[1], tessera::compute::Compare::Gt)?.select_where(&x[0], &x[1]));
}

#[test]
fn product_gradients() {
    let device = Device::cpu_threads(2);
    check(&[f64s(&[3, 4], 1, &device), f64s(&[4, 5], 2, &device)], |x| x[0].matmul(&x[1]));
    check(&[f64s(&[2, 3, 4], 1, &device), f64s(&[4, 5], 2, &device)], |x| x[0].matmul(&x[1]));
    check(&[f64s(&[2, 1, 3, 4], 1, &device), f64s(&[3, 5, 4], 2, &device)], |x| x[0].matmul(&x[1].t()?));
    for activation in [Activation::Identity, Activation::Relu, Activation::GeluTanh] {
        let inputs = [f64s(&[2, 3, 4], 1, &device), f64s(&[5, 4], 2, &device), f64s(&[5], 3, &device)];
        check(&inputs, |x| x[0].linear(&x[1], Some(&x[2]), activation));
    }
}

#[test]
fn a_graph_is_used_once_unless_kept() {
    let device = Device::cpu_threads(1);
    let x = Tensor::new(&[3.0f32], [1], &device).unwrap().requires_grad();
    let y = x.square().unwrap();
    assert_eq!(y.backward_keep().unwrap().get(&x).unwrap().item().unwrap(), 6.0);
    assert_eq!(y.backward().unwrap().get(&x).unwrap().item().unwrap(), 6.0);
    let message = y.backward().unwrap_err().to_string();
    assert!(message.contains("backward_keep") && message.contains("square"), "{message}");
    let message = no_grad(|| x.square()).unwrap().backward().unwrap_err().to_string();
    assert!(message.contains("no_grad"), "{message}");
    let message = Tensor::ones([2], DType::F32, &device).unwrap().requires_grad().square().unwrap().backward();
    assert!(message.unwrap_err().to_string().contains("backward_with"));
    // A value used twice collects both gradients.
    let z = x.mul(&y.detach()).unwrap().add(&x).unwrap();
    assert_eq!(z.backward().unwrap().get(&x).unwrap().item().unwrap(), 10.0);
}

#[test]
fn long_chains_neither_recurse_nor_leak() {
    let device = Device::cpu_threads(1);
    let x = Tensor::new(&[1.0f32], [1], &device).unwrap().requires_grad();
    let mut y = x.clone();
    for _ in 0..200_000 {
        y = y.add_scalar(0.0).unwrap();
    }
    let used = device.pool().figures().bytes_in_use;
    drop(y.clone());
    assert_eq!(y.backward().unwrap().get(&x).unwrap().item().unwrap(), 1.0);
    drop(y);
    assert!(device.pool().figures().bytes_in_use <= used);
    let mut y = x.clone();
    for _ in 0..200_000 {
        y = y.square().unwrap();
    }
    drop(y);
}

fn deep(layers: usize, segment: usize, device: &Device) -> Sequential {
    let mut rng = InitRng::new(5);
    let mut net = Sequential::new();
    for _ in 0..layers {
        net = net.push(Linear::new(32, 32, device, &mut rng).unwrap()).push(Relu);
    }
    net.checkpoint_every(segment)
}

fn same_gradients(a: &Gradients, b: &Gradients) {
    assert_eq!(a.len(), b.len());
    for ((_, a), (_, b)) in a.iter().zip(b.iter()) {
        assert_eq!(a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    }
}

#[test]
fn checkpointing_keeps_less_and_gives_the_same_bits() {
    let device = Device::cpu_threads(2);
    let x = Tensor::normal(0.0, 1.0, [64, 32], Key([1, 2]), &device).unwrap();
    let run = |segment: usize| {
        let loss = deep(64, segment, &device).forward(&x).unwrap().square().unwrap().mean_all().unwrap();
        (loss.graph_memory().bytes, loss.backward().unwrap())
    };
    let (plain, gradients) = run(0);
    for segment in [2, 16, 128] {
        let (bytes, again) = run(segment);
        same_gradients(&gradients, &again);
        let saved = 1.0 - bytes as f64 / plain as f64;
        assert!(segment != 16 || saved > 0.85, "{bytes} of {plain}");
    }
    // Segments within segments, and parameters that are used outside as well.
    let w = Tensor::normal(0.0, 1.0, [32, 32], Key([3, 2]), &device).unwrap().requires_grad();
    let inner = |x: &Tensor, w: &Tensor| -> Result<Tensor> { x.matmul(w)?.tanh() };
    let plain = inner(&inner(&x, &w).unwrap(), &w).unwrap().sum_all().unwrap().backward().unwrap();
    let nested = checkpoint(&[&x, &w], move |outer| {
        let h = inner(&outer[0], &outer[1])?;
        checkpoint(&[&h, &outer[1]], move |inside| inner(&inside[0], &inside[1]))
    });
    same_gradients(&plain, &nested.unwrap().sum_all().unwrap().backward().unwrap());
}

#[test]
fn parameters_are_snapshots_until_set() {
    let device = Device::cpu_threads(1);
    let layer = Linear::new(3, 2, &device, &mut InitRng::new(1)).unwrap();
    let before = layer.weight.value();
    let held: Vec<f32> = before.to_vec().unwrap();
    layer.weight.set(&Tensor::zeros([2, 3], DType::F32, &device).unwrap()).unwrap();
    assert_eq!(before.to_vec::<f32>().unwrap(), held);
    assert_eq!(layer.weight.value().to_vec::<f32>().unwrap(), [0.0; 6]);
    assert!(layer.weight.set(&Tensor::zeros([3, 2], DType::F32, &device).unwrap()).is_err());
    let names: Vec<String> = deep(2, 0, &device).named_parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias"]);
}

#[test]
fn faults_name_op_and_shapes() {
    let device = Device::cpu_threads(1);
    let ones = |dims: &[usize]| Tensor::ones(dims, DType::F32, &device).unwrap();
    let message = |r: Result<Tensor>| r.unwrap_err().to_string();
    let text = message(ones(&[64, 784]).matmul(&ones(&[785, 256])));
    assert!(text.contains("matmul") && text.contains("[64, 784]") && text.contains("[785, 256]"), "{text}");
    let text = message(ones(&[2, 3]).add(&ones(&[2, 3]).to_dtype(DType::F64).unwrap()));
    assert!(text.contains("f32") && text.contains("f64"), "{text}");
    let elsewhere = Tensor::ones([2, 3], DType::F32, &Device::cpu_threads(1)).unwrap();
    assert!(message(ones(&[2, 3]).add(&elsewhere)).contains("clone one"));
    assert!(message(ones(&[2, 3]).narrow(1, 2, 2)).contains("[2, 3]"));
    assert!(message(ones(&[2, 3]).reshape([4, 2])).contains("6 elements"));
}
