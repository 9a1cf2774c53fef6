//! Convolution and pooling: gradients, memory order, faults, threads.

mod finite_differences;

use finite_differences::{check, f32s, f64s, same_bits};
use tessera::compute::{Activation, ConvOptions, DType, Device};
use tessera::nn::{Conv2d, Flatten, InitRng, Linear, MaxPool2d, Module, Relu, Sequential};
use tessera::tensor::{ClassLossOptions, Conv1dOptions, Tensor, Windows};

fn options(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups: usize) -> ConvOptions {
    ConvOptions { stride, padding, dilation, groups, ..Default::default() }
}

#[test]
fn convolution_gradients() {
    let device = Device::cpu_threads(2);
    for (input, weight, options) in [
        ([2, 3, 5, 4], [4, 3, 3, 3], options([1, 1], [0, 0], [1, 1], 1)),
        ([1, 2, 6, 5], [3, 2, 3, 2], options([2, 1], [1, 0], [1, 1], 1)),
        ([2, 4, 5, 5], [6, 2, 3, 3], options([1, 2], [2, 1], [2, 1], 2)),
        ([1, 3, 4, 4], [3, 1, 3, 3], options([1, 1], [1, 1], [1, 1], 3)),
        ([2, 5, 3, 3], [4, 5, 1, 1], options([1, 1], [0, 0], [1, 1], 1)),
        ([1, 1, 6, 6], [2, 1, 5, 5], options([1, 1], [2, 2], [1, 1], 1)),
    ] {
        let inputs = [f64s(&input, 1, &device), f64s(&weight, 2, &device), f64s(&weight[..1], 3, &device)];
        for activation in [Activation::Identity, Activation::Relu] {
            check(&inputs, |x| x[0].conv2d(&x[1], Some(&x[2]), options, activation));
        }
        check(&inputs[..2], |x| x[0].conv2d(&x[1], None, options, Activation::Identity));
    }
    for (stride, padding, dilation, groups) in [(1, 0, 1, 1), (2, 2, 1, 1), (1, 1, 2, 2)] {
        let options = Conv1dOptions { stride, padding, dilation, groups };
        let inputs = [f64s(&[2, 4, 7], 1, &device), f64s(&[6, 4 / groups, 3], 2, &device), f64s(&[6], 3, &device)];
        check(&inputs, |x| x[0].conv1d(&x[1], Some(&x[2]), options, Activation::Relu));
    }
}

#[test]
fn pooling_gradients() {
    let device = Device::cpu_threads(2);
    let x = [f64s(&[2, 3, 6, 5], 1, &device)];
    for windows in [
        Windows::new([2, 2]),
        Windows::new([3, 2]).stride([1, 2]).padding([1, 1]),
        Windows::new([2, 3]).stride([2, 1]).dilation([2, 1]),
        Windows::new([6, 5]),
    ] {
        check(&x, |x| x[0].max_pool2d(windows));
        check(&x, |x| x[0].relu()?.max_pool2d(windows));
        if windows.dilation == [1, 1] {
            check(&x, |x| x[0].avg_pool2d(windows, true));
            check(&x, |x| x[0].avg_pool2d(windows, false));
        }
    }
    check(&x, |x| x[0].adaptive_avg_pool2d([1, 1]));
    check(&x, |x| x[0].adaptive_avg_pool2d([3, 5]));
    let x = [f64s(&[2, 3, 8], 1, &device)];
    check(&x, |x| x[0].max_pool1d(Windows::new([3]).stride([2]).padding([1])));
    check(&x, |x| x[0].avg_pool1d(Windows::new([3]).stride([2]).padding([1]), false));
    check(&x, |x| x[0].adaptive_avg_pool1d([4]));
}

#[test]
fn pooling_follows_relu_and_nan() {
    let device = Device::cpu_threads(1);
    let x = f32s(&[2, 6, 8, 8], 4, &device).requires_grad();
    let plain = x.relu().unwrap().max_pool2d(Windows::new([2, 2])).unwrap();
    let fused = MaxPool2d::new([2, 2]).forward_rectified(&x).unwrap();
    assert_eq!(plain.to_vec::<f32>().unwrap(), fused.to_vec::<f32>().unwrap());
    let dy = f32s(plain.dims(), 5, &device);
    let (a, b) = (plain.backward_with(&dy).unwrap(), fused.backward_with(&dy).unwrap());
    assert_eq!(a.get(&x).unwrap().to_vec::<f32>().unwrap(), b.get(&x).unwrap().to_vec::<f32>().unwrap());
    let x = Tensor::new(&[1.0f32, f32::NAN, -2.0, -3.0], [1, 1, 4], &device).unwrap();
    let y: Vec<f32> = x.max_pool1d(Windows::new([2])).unwrap().to_vec().unwrap();
    assert!(y[0].is_nan() && y[1] == -2.0);
}

#[test]
fn results_do_not_depend_on_the_order_in_memory() {
    let device = Device::cpu_threads(2);
    let (x, w) = (f32s(&[2, 3, 9, 8], 1, &device), f32s(&[8, 3, 3, 3], 2, &device));
    let run = |x: &Tensor, w: &Tensor| {
        let y = x.conv2d(w, None, options([1, 1], [1, 1], [1, 1], 1), Activation::Relu).unwrap();
        assert!(y.layout().is_dense() && y.layout().strides()[1] == 1, "{:?}", y.layout());
        y.max_pool2d(Windows::new([2, 2])).unwrap().to_vec::<f32>().unwrap()
    };
    let first = run(&x, &w);
    assert_eq!(first, run(&x.channels_last().unwrap(), &w));
    let turned = w.permute(&[3, 2, 1, 0]).unwrap().contiguous().unwrap().permute(&[3, 2, 1, 0]).unwrap();
    assert_eq!(first, run(&x, &turned));
    let wider = x.permute(&[2, 0, 1, 3]).unwrap().contiguous().unwrap().permute(&[1, 2, 0, 3]).unwrap();
    assert_eq!(first, run(&wider, &w));
}

#[test]
fn half_precision_computes_in_single() {
    let device = Device::cpu_threads(1);
    for dtype in [DType::F16, DType::Bf16] {
        let half = |shape: &[usize], seed| f32s(shape, seed, &device).to_dtype(dtype).unwrap().requires_grad();
        let (x, w, b) = (half(&[2, 3, 6, 6], 1), half(&[4, 3, 3, 3], 2), half(&[4], 3));
        let y = x.conv2d(&w, Some(&b), ConvOptions::default(), Activation::Relu).unwrap();
        let y = y.max_pool2d(Windows::new([2, 2])).unwrap().avg_pool2d(Windows::new([2, 2]), true).unwrap();
        let gradients = y.backward_with(&y.full_like(1.0).unwrap()).unwrap();
        let single = |t: &Tensor| t.detach().to_dtype(DType::F32).unwrap();
        let exact =
            single(&x).conv2d(&single(&w), Some(&single(&b)), ConvOptions::default(), Activation::Relu).unwrap();
        let exact = exact.max_pool2d(Windows::new([2, 2])).unwrap().avg_pool2d(Windows::new([2, 2]), true).unwrap();
        for (got, exact) in single(&y).to_vec::<f32>().unwrap().iter().zip(exact.to_vec::<f32>().unwrap()) {
            assert!((got - exact).abs() <= exact.abs() / 100.0, "{got} against {exact}");
        }
        for leaf in [&x, &w, &b] {
            let gradient = gradients.get(leaf).unwrap();
            assert_eq!((gradient.dtype(), gradient.shape()), (dtype, leaf.shape()));
        }
    }
}

/// The network of LeCun et al. (1998) with maxima for its subsampling.
fn lenet(device: &Device) -> Sequential {
    let mut rng = InitRng::new(3);
    let wide = ConvOptions { padding: [2, 2], ..Default::default() };
    Sequential::new()
        .push(Conv2d::new(1, 6, [5, 5], wide, device, &mut rng).unwrap())
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Conv2d::new(6, 16, [5, 5], ConvOptions::default(), device, &mut rng).unwrap())
        .push(Relu)
        .push(MaxPool2d::new([2, 2]))
        .push(Flatten)
        .push(Linear::new(400, 120, device, &mut rng).unwrap())
        .push(Relu)
        .push(Linear::new(120, 84, device, &mut rng).unwrap())
        .push(Relu)
        .push(Linear::new(84, 10, device, &mut rng).unwrap())
}

#[test]
fn a_network_gives_the_same_bits_on_any_number_of_threads() {
    same_bits(|device| {
        let net = lenet(device);
        let x = f32s(&[5, 1, 28, 28], 1, device);
        let targets = Tensor::new(&[1i32, 5, 0, 9, 3], [5], device)?;
        let loss = net.forward(&x)?.cross_entropy(&targets, &ClassLossOptions::default())?;
        let gradients = loss.backward()?;
        assert_eq!(gradients.len(), 10);
        let mut all: Vec<Tensor> = gradients.iter().map(|(_, gradient)| gradient.clone()).collect();
        all.push(loss.detach());
        Ok(all)
    });
}

#[test]
fn faults_name_both_shapes() {
    let device = Device::cpu_threads(1);
    let ones = |dims: &[usize]| Tensor::ones(dims, DType::F32, &device).unwrap();
    let conv = |x: &[usize], w: &[usize]| {
        ones(x).conv2d(&ones(w), None, ConvOptions::default(), Activation::Identity).unwrap_err().to_string()
    };
    let text = conv(&[2, 3, 8, 8], &[4, 2, 3, 3]);
    assert!(text.contains("[2, 3, 8, 8]") && text.contains("[4, 2, 3, 3]") && text.contains("3 channels"), "{text}");
    assert!(conv(&[2, 3, 2, 8], &[4, 3, 3, 3]).contains("spans 3 pixels"));
    assert!(conv(&[3, 8, 8], &[4, 3, 3, 3]).contains("4 axes"));
    assert!(ones(&[2, 3]).max_pool2d(Windows::new([2, 2])).unwrap_err().to_string().contains("[2, 3]"));
    let text = Conv2d::new(3, 4, [3, 3], options([1, 1], [0, 0], [1, 1], 2), &device, &mut InitRng::new(1));
    assert!(text.unwrap_err().to_string().contains("2 equal groups"));
}
