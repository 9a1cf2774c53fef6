//! Softmax, normalisation, losses, dropout, selection: gradients, faults, threads.

mod finite_differences;

use finite_differences::{check, f32s, f64s, same_bits};
use tessera::compute::{DType, Device};
use tessera::rng::Key;
use tessera::tensor::{ClassLossOptions, Reduction, Tensor};

fn index(values: &[i32], shape: &[usize], device: &Device) -> Tensor {
    Tensor::new(values, shape, device).unwrap()
}

#[test]
fn softmax_gradients() {
    let device = Device::cpu_threads(2);
    let x = [f64s(&[3, 5, 4], 1, &device)];
    for axis in [-1, 0, 1] {
        check(&x, |x| x[0].softmax(axis));
        check(&x, |x| x[0].log_softmax(axis));
    }
    let huge = Tensor::new(&[1e4f32, -1e4, 1e4], [1, 3], &device).unwrap();
    assert_eq!(huge.softmax(-1).unwrap().to_vec::<f32>().unwrap(), [0.5, 0.0, 0.5]);
}

#[test]
fn normalisation_gradients() {
    let device = Device::cpu_threads(2);
    let inputs = [f64s(&[3, 2, 5], 1, &device), f64s(&[2, 5], 2, &device), f64s(&[2, 5], 3, &device)];
    check(&inputs, |x| x[0].layer_norm(&[2, 5], Some(&x[1]), Some(&x[2]), 1e-3));
    check(&inputs[..1], |x| x[0].layer_norm(&[5], None, None, 1e-2));
    check(&inputs[..1], |x| x[0].z_score(1e-3));
    check(&inputs[..2], |x| x[0].layer_norm(&[2, 5], Some(&x[1]), None, 1e-3));
    for shape in [&[6, 3][..], &[2, 3, 4], &[2, 3, 2, 3]] {
        let inputs = [f64s(shape, 1, &device), f64s(&[3], 2, &device), f64s(&[3], 3, &device)];
        for rectify in [false, true] {
            check(&inputs, |x| Ok(x[0].batch_norm_train(Some(&x[1]), Some(&x[2]), 1e-2, rectify)?.y));
            let (mean, var) = (f64s(&[3], 4, &device), f64s(&[3], 5, &device).square().unwrap());
            check(&inputs, |x| x[0].batch_norm([&mean, &var], Some(&x[1]), Some(&x[2]), 0.3, rectify));
        }
        check(&inputs[..1], |x| Ok(x[0].batch_norm_train(None, None, 1e-2, false)?.y));
    }
    let x = [f64s(&[3, 4, 2], 1, &device)];
    check(&x, |x| x[0].var(&[0, 2], 1, false));
    check(&x, |x| x[0].std(&[1], 0, true));
    check(&x, |x| x[0].norm(&[1], false));
    check(&x, |x| x[0].norm(&[0, 1, 2], true));
    let zero = Tensor::zeros([4], DType::F32, &device).unwrap().requires_grad();
    let gradients = zero.norm(&[0], false).unwrap().backward().unwrap();
    assert_eq!(gradients.get(&zero).unwrap().to_vec::<f32>().unwrap(), [0.0; 4]);
}

#[test]
fn loss_gradients() {
    let device = Device::cpu_threads(2);
    let x = [f64s(&[5, 4], 1, &device)];
    let targets = index(&[3, 0, -100, 1, 1], &[5], &device);
    let weights = f64s(&[4], 2, &device).abs().unwrap();
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        for (weights, smoothing) in [(None, 0.0), (None, 0.3), (Some(&weights), 0.0), (Some(&weights), 0.1)] {
            let options = ClassLossOptions { reduction, weights: weights.cloned(), smoothing, ..Default::default() };
            check(&x, |x| x[0].cross_entropy(&targets, &options));
            check(&x, |x| x[0].nll_loss(&targets, &options));
        }
        let images = [f64s(&[2, 3, 2, 2], 1, &device)];
        let options = ClassLossOptions { reduction, ..Default::default() };
        let targets = index(&[0, 1, 2, 2, 1, 0, -100, 1], &[2, 2, 2], &device);
        check(&images, |x| x[0].cross_entropy(&targets, &options));
        let pair = [f64s(&[4, 3], 1, &device), f64s(&[4, 3], 2, &device)];
        check(&pair, |x| x[0].mse_loss(&x[1], reduction));
        check(&pair, |x| x[0].l1_loss(&x[1].permute(&[1, 0])?.contiguous()?.permute(&[1, 0])?, reduction));
        check(&pair, |x| x[0].huber_loss(&x[1], 0.7, reduction));
        check(&pair, |x| x[0].bce_with_logits(&x[1].sigmoid()?, None, reduction));
        check(&pair, |x| x[0].bce_with_logits(&x[1].sigmoid()?, Some(&f64s(&[3], 3, &device).exp()?), reduction));
    }
}

#[test]
fn a_scaled_loss_scales_its_gradient() {
    let device = Device::cpu_threads(1);
    let x = f32s(&[4, 3], 1, &device).requires_grad();
    let targets = index(&[0, 2, 1, 1], &[4], &device);
    let gradient = |factor: f64| -> Vec<f32> {
        let loss = x.cross_entropy(&targets, &ClassLossOptions::default()).unwrap().mul_scalar(factor).unwrap();
        loss.backward().unwrap().get(&x).unwrap().to_vec().unwrap()
    };
    let twice: Vec<f32> = gradient(1.0).iter().map(|g| 1024.0 * g).collect();
    assert_eq!(gradient(1024.0), twice);
    let half = x.detach().to_dtype(DType::F16).unwrap().requires_grad();
    let loss = half.cross_entropy(&targets, &ClassLossOptions::default()).unwrap();
    assert_eq!(loss.dtype(), DType::F32);
    assert_eq!(loss.backward().unwrap().get(&half).unwrap().dtype(), DType::F16);
}

#[test]
fn selection_gradients() {
    let device = Device::cpu_threads(2);
    let x = [f64s(&[4, 3, 5], 1, &device), f64s(&[4, 2, 5], 2, &device)];
    let rows = index(&[2, 0, 2, 2], &[2, 2], &device);
    for axis in 0..3 {
        check(&x[..1], |x| x[0].index_select(axis, &rows));
    }
    check(&x, |x| Tensor::cat(&[&x[0], &x[1], &x[0]], 1));
    check(&x[..1], |x| Tensor::stack(&[&x[0], &x[0].square()?], 1));
    check(&x[..1], |x| Tensor::cat(&[&x[0].permute(&[2, 0, 1])?, &x[0].permute(&[2, 0, 1])?], -1));
    assert_eq!(
        index(&[1, 0], &[2], &device).one_hot(3, DType::F32).unwrap().to_vec::<f32>().unwrap(),
        [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    );
    let last = f32s(&[2, 3, 2, 2], 1, &device).channels_last().unwrap();
    let both = Tensor::cat(&[&last, &last], 1).unwrap();
    assert_eq!(both.layout().strides()[1], 1);
    let flat: Vec<f32> = last.to_vec().unwrap();
    assert_eq!(both.to_vec::<f32>().unwrap()[12..24], flat[..12]);
}

#[test]
fn dropout_draws_by_key_and_place() {
    let device = Device::cpu_threads(2);
    let x = [f64s(&[3, 5, 4], 1, &device)];
    check(&x, |x| x[0].dropout(0.4, Key([5, 6])));
    check(&x, |x| x[0].permute(&[2, 0, 1])?.dropout(0.4, Key([5, 6])));
    let ones = Tensor::ones([100, 1000], DType::F32, &device).unwrap();
    let dropped: Vec<f32> = ones.dropout(0.25, Key([1, 1])).unwrap().to_vec().unwrap();
    assert!(dropped.iter().all(|x| *x == 0.0 || *x == 1.0 / 0.75));
    let share = dropped.iter().filter(|x| **x == 0.0).count() as f64 / 1e5;
    // Four standard deviations of a binomial share.
    assert!((share - 0.25).abs() < 4.0 * (0.25 * 0.75 / 1e5f64).sqrt(), "{share}");
    assert_eq!(dropped, ones.dropout(0.25, Key([1, 1])).unwrap().to_vec::<f32>().unwrap());
    assert_ne!(dropped, ones.dropout(0.25, Key([1, 2])).unwrap().to_vec::<f32>().unwrap());
    assert_eq!(ones.dropout(1.0, Key([1, 1])).unwrap().sum_all().unwrap().item().unwrap(), 0.0);
    assert!(ones.dropout(1.5, Key([1, 1])).is_err());
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    same_bits(|device| {
        let x = f32s(&[300, 33], 1, device).requires_grad();
        let (w, b) = (f32s(&[33], 2, device).requires_grad(), f32s(&[33], 3, device).requires_grad());
        let targets: Vec<i32> = (0..300).map(|i| i * 7 % 33).collect();
        let h = x.layer_norm(&[33], Some(&w), Some(&b), 1e-5)?.dropout(0.3, Key([1, 2]))?;
        let h = h.batch_norm_train(Some(&w), Some(&b), 1e-5, true)?.y.z_score(1e-5)?;
        let h = h.index_select(1, &index(&[3; 33], &[33], device))?.add(&h)?.add(&h.softmax(1)?)?;
        let loss = h.cross_entropy(&index(&targets, &[300], device), &ClassLossOptions::default())?;
        let loss = loss.add(&h.var(&[0], 1, false)?.norm(&[0], false)?)?.add(&h.mse_loss(&x, Reduction::Mean)?)?;
        let gradients = loss.backward()?;
        Ok(vec![loss, gradients.get(&x).unwrap().clone(), gradients.get(&w).unwrap().clone()])
    });
}

#[test]
fn half_precision_normalises_in_single() {
    let device = Device::cpu_threads(1);
    let x = f32s(&[6, 8], 1, &device).to_dtype(DType::Bf16).unwrap().requires_grad();
    let (w, b) = (f32s(&[8], 2, &device).requires_grad(), f32s(&[8], 3, &device).requires_grad());
    let y = x.layer_norm(&[8], Some(&w), Some(&b), 1e-5).unwrap();
    let y = y.batch_norm_train(Some(&w), Some(&b), 1e-5, false).unwrap().y.softmax(-1).unwrap();
    let gradients = y.backward_with(&f32s(&[6, 8], 9, &device).to_dtype(DType::Bf16).unwrap()).unwrap();
    assert_eq!(y.dtype(), DType::Bf16);
    assert_eq!(gradients.get(&x).unwrap().dtype(), DType::Bf16);
    assert_eq!(gradients.get(&w).unwrap().dtype(), DType::F32);
}

#[test]
fn faults_say_what_is_wrong() {
    let device = Device::cpu_threads(1);
    let ones = |dims: &[usize]| Tensor::ones(dims, DType::F32, &device).unwrap();
    let loss = |x: &[usize], targets: &[i32]| {
        let targets = index(targets, &[targets.len()], &device);
        ones(x).cross_entropy(&targets, &ClassLossOptions::default()).unwrap_err().to_string()
    };
    assert!(loss(&[2, 3], &[0, 3]).contains("target 3") && loss(&[2, 3], &[0, -1]).contains("0 to 2"));
    assert!(loss(&[2, 3], &[0]).contains("[2, 3]") && loss(&[1, 3], &[-100]).contains("no mean"));
    let text = ones(&[4, 2]).index_select(0, &index(&[1, 4], &[2], &device)).unwrap_err().to_string();
    assert!(text.contains("index 4") && text.contains("4 entries"), "{text}");
    let text = ones(&[4, 2]).layer_norm(&[3], None, None, 1e-5).unwrap_err().to_string();
    assert!(text.contains("[4, 2]") && text.contains("[3]"), "{text}");
    assert!(ones(&[1, 3]).batch_norm_train(None, None, 1e-5, false).unwrap_err().to_string().contains("needs two"));
    let text = Tensor::cat(&[&ones(&[2, 3]), &ones(&[2, 4])], 0).unwrap_err().to_string();
    assert!(text.contains("[2, 3]") && text.contains("[2, 4]"), "{text}");
    assert!(Tensor::cat(&[], 0).is_err() && Tensor::stack(&[], 0).is_err());
}
