//! The operations that are measured.

use crate::compute::cpu::gemm::{Mat, MatMut, Store, matmul_naive};
use crate::compute::{Activation, ConvOptions, DType, Device};
use crate::error::Result;
use crate::nn::{Conv2d, Flatten, InitRng, Linear, MaxPool2d, Module, Relu, Sequential};
use crate::optim::{Adam, AdamW, Lion, Method, Optimizer, Sgd};
use crate::rng::Key;
use crate::tensor::{ClassLossOptions, Gradients, Reduction, Tensor, no_grad};

/// The groups, in the order they are measured.
pub const GROUPS: [&str; 8] = ["gemm", "narrow", "mlp", "optim", "pointwise", "rows", "conv", "demo"];

/// What a call does, for rates.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// Multiplications and additions.
    Operations(f64),
    /// Bytes read and written.
    Bytes(f64),
    /// Neither.
    Uncounted,
}

pub(super) struct Case {
    pub(super) name: String,
    pub(super) work: Work,
    pub(super) note: Option<String>,
    pub(super) run: Box<dyn FnMut() -> Result<()>>,
}

fn case(name: impl Into<String>, work: Work, run: impl FnMut() -> Result<()> + 'static) -> Case {
    Case { name: name.into(), work, note: None, run: Box::new(run) }
}

pub(super) fn of(group: &str, device: &Device) -> Result<Vec<Case>> {
    match group {
        "gemm" => gemm(device),
        "narrow" => narrow(device),
        "mlp" => mlp(device),
        "optim" => optim(device),
        "pointwise" => pointwise(device),
        "rows" => rows(device),
        "conv" => conv(device),
        _ => demo(device),
    }
}

fn uniform(dims: &[usize], stream: u32, device: &Device) -> Result<Tensor> {
    Tensor::uniform(-0.5, 0.5, dims, Key([stream, 11]), device)
}

fn product_operations(m: usize, k: usize, n: usize) -> Work {
    Work::Operations(2.0 * (m * k * n) as f64)
}

/// A result that nobody uses, made without a graph.
fn forget(run: impl Fn() -> Result<Tensor>) -> Result<()> {
    no_grad(run).map(drop)
}

const SIZES: [[usize; 3]; 9] = [
    [64, 64, 64],
    [128, 128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [1024, 1024, 1024],
    [2048, 2048, 2048],
    [64, 784, 256],
    [64, 256, 128],
    [64, 128, 10],
];

fn gemm(device: &Device) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for [m, k, n] in SIZES {
        let (a, b) = (uniform(&[m, k], 1, device)?, uniform(&[k, n], 2, device)?);
        cases.push(case(format!("f32 {m}x{k}x{n}"), product_operations(m, k, n), move || forget(|| a.matmul(&b))));
    }
    let n = 512;
    let a = uniform(&[n, n], 1, device)?.to_dtype(DType::F64)?;
    cases.push(case(format!("f64 {n}x{n}x{n}"), product_operations(n, n, n), move || forget(|| a.matmul(&a))));
    Ok(cases)
}

fn narrow(device: &Device) -> Result<Vec<Case>> {
    let n = 1024;
    let mut cases = Vec::new();
    for dtype in [DType::Bf16, DType::F16] {
        let (a, b) = (uniform(&[n, n], 1, device)?.to_dtype(dtype)?, uniform(&[n, n], 2, device)?.to_dtype(dtype)?);
        cases.push(case(format!("{dtype} {n}x{n}x{n}"), product_operations(n, n, n), move || forget(|| a.matmul(&b))));
    }
    let byte = |stream| uniform(&[n, n], stream, device)?.mul_scalar(200.0)?.to_dtype(DType::I8);
    let (a, b) = (byte(1)?, byte(2)?);
    cases.push(case(format!("i8 {n}x{n}x{n}"), product_operations(n, n, n), move || forget(|| a.matmul(&b))));
    Ok(cases)
}

/// 784-256-128-10, the usual first network on digits.
fn small_mlp(device: &Device) -> Result<Sequential> {
    let mut rng = InitRng::new(1);
    Ok(Sequential::new()
        .push(Linear::new(784, 256, device, &mut rng)?)
        .push(Relu)
        .push(Linear::new(256, 128, device, &mut rng)?)
        .push(Relu)
        .push(Linear::new(128, 10, device, &mut rng)?))
}

fn targets(n: usize, classes: usize, device: &Device) -> Result<Tensor> {
    let targets: Vec<i32> = (0..n).map(|i| ((i * 7 + 3) % classes) as i32).collect();
    Tensor::new(&targets, [n], device)
}

/// One step of training: forward, loss, backward, update.
fn step(name: &str, work: f64, net: Sequential, mut optimizer: impl Optimizer + 'static, x: Tensor, y: Tensor) -> Case {
    let options = ClassLossOptions::default();
    case(name, Work::Operations(work), move || {
        let gradients = net.forward(&x)?.cross_entropy(&y, &options)?.backward()?;
        optimizer.step(&gradients).map(drop)
    })
}

fn mlp(device: &Device) -> Result<Vec<Case>> {
    let forward = 2.0 * 64.0 * (784.0 * 256.0 + 256.0 * 128.0 + 128.0 * 10.0);
    let (x, y) = (Tensor::normal(0.0, 1.0, [64, 784], Key([3, 3]), device)?, targets(64, 10, device)?);
    let one = x.narrow(0, 0, 1)?.contiguous()?;
    let (net, latency) = (small_mlp(device)?, small_mlp(device)?);
    let batch = x.clone();
    let mut cases = vec![
        case("mlp forward, batch 64", Work::Operations(forward), move || forget(|| net.forward(&batch))),
        case("mlp forward, one sample", Work::Uncounted, move || forget(|| latency.forward(&one))),
    ];
    let net = small_mlp(device)?;
    let sgd = Sgd { lr: 1e-4, ..Default::default() }.over(net.parameters())?;
    cases.push(step("mlp training step, SGD", 3.0 * forward, net, sgd, x.clone(), y.clone()));
    let net = small_mlp(device)?;
    let adam = Adam { lr: 1e-4, ..Default::default() }.over(net.parameters())?;
    cases.push(step("mlp training step, Adam", 3.0 * forward, net, adam, x, y));
    Ok(cases)
}

fn optim(device: &Device) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let gradients_of = |net: &dyn Module| -> Result<Gradients> {
        let mut gradients = Gradients::new();
        for param in net.parameters() {
            gradients.set(param.id(), param.value().mul_scalar(0.01)?);
        }
        Ok(gradients)
    };
    let net = small_mlp(device)?;
    let gradients = gradients_of(&net)?;
    let mut adamw = AdamW { lr: 1e-4, ..Default::default() }.over(net.parameters())?;
    let small = net.parameter_count() as f64;
    cases.push(case("AdamW 235 k", Work::Bytes(28.0 * small), move || {
        let _ = &net;
        adamw.step(&gradients).map(drop)
    }));
    let large = || -> Result<Sequential> {
        let mut net = Sequential::new();
        for i in 0..10 {
            let init = crate::nn::Init::Normal(0.0, 1.0);
            net = net.push(Linear::with_init(512, 1000, false, init, device, &mut InitRng::new(i))?);
        }
        Ok(net)
    };
    macro_rules! large {
        ($name:expr, $bytes:expr, $make:expr) => {{
            let net = large()?;
            let gradients = gradients_of(&net)?;
            let mut optimizer = $make.over(net.parameters())?;
            cases.push(case($name, Work::Bytes($bytes * net.parameter_count() as f64), move || {
                let _ = &net;
                optimizer.step(&gradients).map(drop)
            }));
        }};
    }
    large!("SGD 5.12 M", 12.0, Sgd { lr: 1e-4, ..Default::default() });
    large!("Adam 5.12 M", 28.0, Adam { lr: 1e-4, ..Default::default() });
    large!("AdamW 5.12 M", 28.0, AdamW { lr: 1e-4, ..Default::default() });
    large!("Lion 5.12 M", 20.0, Lion { lr: 1e-4, ..Default::default() });
    Ok(cases)
}

fn pointwise(device: &Device) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let x = Tensor::normal(0.0, 1.0, [4096, 1024], Key([5, 5]), device)?;
    for (name, op) in [("GELU tanh", crate::compute::Unary::GeluTanh), ("GELU erf", crate::compute::Unary::GeluErf)] {
        let x = x.clone();
        let bytes = 8.0 * x.len() as f64;
        cases.push(case(format!("{name} 4096x1024"), Work::Bytes(bytes), move || forget(|| x.unary(op))));
    }
    let x = uniform(&[512, 512], 1, device)?;
    let layer = Linear::new(512, 768, device, &mut InitRng::new(1))?;
    cases.push(case("Linear + GELU 512x512->768", product_operations(512, 512, 768), move || {
        forget(|| {
            x.linear(&layer.weight.value(), layer.bias.as_ref().map(|b| b.value()).as_ref(), Activation::GeluTanh)
        })
    }));
    let (a, b) = (Tensor::normal(0.0, 1.0, [1_000_000], Key([6, 6]), device)?, uniform(&[1_000_000], 2, device)?);
    let z = a.clone();
    cases.push(case("z-score 1e6", Work::Bytes(8e6), move || forget(|| z.z_score(0.0))));
    cases.push(case("MSE 1e6", Work::Bytes(8e6), move || forget(|| a.mse_loss(&b, Reduction::Mean))));
    Ok(cases)
}

fn rows(device: &Device) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let x = Tensor::normal(0.0, 1.0, [2048, 768], Key([7, 7]), device)?;
    let (gamma, beta) = (Tensor::ones([768], DType::F32, device)?, Tensor::zeros([768], DType::F32, device)?);
    cases.push(case("LayerNorm 2048x768", Work::Bytes(8.0 * x.len() as f64), move || {
        forget(|| x.layer_norm(&[768], Some(&gamma), Some(&beta), 1e-5))
    }));
    let x = Tensor::normal(0.0, 1.0, [1024, 1000], Key([8, 8]), device)?;
    let s = x.clone();
    cases.push(case("softmax 1024x1000", Work::Bytes(8.0 * x.len() as f64), move || forget(|| s.softmax(-1))));
    let leaf = x.requires_grad();
    let y = targets(1024, 1000, device)?;
    let options = ClassLossOptions::default();
    cases.push(case("cross-entropy + gradient 1024x1000", Work::Bytes(8.0 * x.len() as f64), move || {
        leaf.cross_entropy(&y, &options)?.backward().map(drop)
    }));
    Ok(cases)
}

/// LeNet's shape: two convolutions with pooling, three linear layers.
fn lenet(device: &Device) -> Result<Sequential> {
    let mut rng = InitRng::new(1);
    let padded = ConvOptions { padding: [2, 2], ..Default::default() };
    Ok(Sequential::new()
        .push(Conv2d::new(1, 6, [5, 5], padded, device, &mut rng)?)
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Conv2d::new(6, 16, [5, 5], ConvOptions::default(), device, &mut rng)?)
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Flatten)
        .push(Linear::new(400, 120, device, &mut rng)?)
        .push(Relu)
        .push(Linear::new(120, 84, device, &mut rng)?)
        .push(Relu)
        .push(Linear::new(84, 10, device, &mut rng)?))
}

fn conv(device: &Device) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let padded = ConvOptions { padding: [1, 1], ..Default::default() };
    for (inputs, outputs) in [(3, 32), (64, 64)] {
        let work = 2.0 * 32.0 * 1024.0 * (inputs * outputs * 9) as f64;
        let x = Tensor::normal(0.0, 1.0, [32, inputs, 32, 32], Key([9, 9]), device)?.channels_last()?;
        let layer = Conv2d::new(inputs, outputs, [3, 3], padded, device, &mut InitRng::new(2))?;
        let (one, input) = (layer.clone(), x.clone());
        cases.push(case(format!("conv {inputs}->{outputs} 32x32 forward"), Work::Operations(work), move || {
            forget(|| one.forward(&input))
        }));
        if inputs == 64 {
            let leaf = x.requires_grad();
            let dy = Tensor::normal(0.0, 1.0, [32, 64, 32, 32], Key([10, 9]), device)?.channels_last()?;
            cases.push(case("conv 64->64 32x32 forward + backward", Work::Operations(3.0 * work), move || {
                layer.forward(&leaf)?.backward_with(&dy).map(drop)
            }));
        }
    }
    let depthwise = ConvOptions { groups: 128, ..padded };
    for (name, [n, inputs, outputs, size, taps], options) in [
        ("conv 1x1 64->256 32x32", [32, 64, 256, 32, 1], ConvOptions::default()),
        ("conv depthwise 128 56x56", [8, 128, 128, 56, 3], depthwise),
    ] {
        let products = n * size * size * outputs * (inputs / options.groups) * taps * taps;
        let x = Tensor::normal(0.0, 1.0, [n, inputs, size, size], Key([11, 9]), device)?.channels_last()?;
        let dy = Tensor::normal(0.0, 1.0, [n, outputs, size, size], Key([12, 9]), device)?.channels_last()?;
        let layer = Conv2d::new(inputs, outputs, [taps, taps], options, device, &mut InitRng::new(2))?;
        let (one, input, leaf) = (layer.clone(), x.clone(), x.requires_grad());
        let work = 2.0 * products as f64;
        let forward = move || forget(|| one.forward(&input));
        cases.push(case(format!("{name} forward"), Work::Operations(work), forward));
        cases.push(case(format!("{name} forward + backward"), Work::Operations(3.0 * work), move || {
            layer.forward(&leaf)?.backward_with(&dy).map(drop)
        }));
    }
    let net = lenet(device)?;
    let sgd = Sgd { lr: 1e-4, ..Default::default() }.over(net.parameters())?;
    let x = Tensor::normal(0.0, 1.0, [64, 1, 28, 28], Key([4, 3]), device)?;
    let work = 6.0 * 64.0 * (6.0 * 784.0 * 25.0 + 16.0 * 100.0 * 150.0 + 400.0 * 120.0 + 120.0 * 84.0 + 840.0);
    cases.push(step("LeNet training step, batch 64", work, net, sgd, x, targets(64, 10, device)?));
    Ok(cases)
}

/// What the library shows of itself: from three loops to the kernel, and what checkpointing saves.
fn demo(device: &Device) -> Result<Vec<Case>> {
    let n = 1024;
    let (a, b) = (uniform(&[n, n], 1, device)?, uniform(&[n, n], 2, device)?);
    let (va, vb): (Vec<f32>, Vec<f32>) = (a.to_vec()?, b.to_vec()?);
    let mut c = vec![0f32; n * n];
    let mut cases = vec![
        case("matmul 1024, three loops", product_operations(n, n, n), move || {
            let (a, b) = (Mat::row_major(&va, n, n), Mat::row_major(&vb, n, n));
            matmul_naive(Store::Set, a, b, MatMut::row_major(&mut c, n, n));
            Ok(())
        }),
        case("matmul 1024, kernel", product_operations(n, n, n), move || forget(|| a.matmul(&b))),
    ];
    let deep = |segment: usize| -> Result<Sequential> {
        let mut rng = InitRng::new(3);
        let mut net = Sequential::new();
        for _ in 0..64 {
            net = net.push(Linear::new(256, 256, device, &mut rng)?).push(Relu);
        }
        Ok(net.checkpoint_every(segment))
    };
    let x = Tensor::normal(0.0, 1.0, [64, 256], Key([12, 3]), device)?;
    let kept = |net: &Sequential| -> Result<u64> { Ok(net.forward(&x)?.square()?.mean_all()?.graph_memory().bytes) };
    let plain = kept(&deep(0)?)?;
    // 128 modules; a layer and its activation are one kernel, so segments of 16 modules are 8 layers: the square root.
    for (name, segment) in [("64-layer MLP, gradients", 0), ("64-layer MLP, checkpointed every 8", 16)] {
        let net = deep(segment)?;
        let bytes = kept(&net)?;
        let x = x.clone();
        let mut case = case(name, Work::Uncounted, move || net.forward(&x)?.square()?.mean_all()?.backward().map(drop));
        let saved = 100.0 * (1.0 - bytes as f64 / plain as f64);
        case.note = Some(format!("keeps {:.2} MB of activations, {saved:.1} % less", bytes as f64 / 1e6));
        cases.push(case);
    }
    Ok(cases)
}
