//! Gradients against central differences in double precision.
#![allow(dead_code)]

use tessera::compute::{DType, Device};
use tessera::error::Result;
use tessera::rng::Key;
use tessera::tensor::Tensor;

/// Uniform numbers between ±1.5 in double precision.
pub fn f64s(shape: &[usize], seed: u32, device: &Device) -> Tensor {
    Tensor::uniform(-1.5, 1.5, shape, Key([seed, 7]), device).unwrap().to_dtype(DType::F64).unwrap()
}

/// Uniform numbers between ±1.5 in single precision.
pub fn f32s(shape: &[usize], seed: u32, device: &Device) -> Tensor {
    Tensor::uniform(-1.5, 1.5, shape, Key([seed, 7]), device).unwrap()
}

/// Compares the gradients of `f` (made scalar with fixed weights) with central differences.
#[track_caller]
pub fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let scalar = |inputs: &[Tensor]| -> Result<Tensor> {
        let y = f(inputs)?;
        y.mul(&f64s(y.dims(), 99, y.device()))?.sum_all()
    };
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::requires_grad).collect();
    let gradients = scalar(&leaves).unwrap().backward().unwrap();
    let h = 1e-6;
    for (n, leaf) in leaves.iter().enumerate() {
        let gradient = gradients.get(leaf).unwrap();
        assert_eq!(gradient.shape(), leaf.shape(), "input {n}");
        let got: Vec<f64> = gradient.to_vec().unwrap();
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
                (got[i] - expected).abs() < 2e-6 * (1.0 + expected.abs()),
                "input {n} element {i}: {} against {expected}",
                got[i]
            );
        }
    }
}

/// Runs `f` on 1, 2, 3 and 5 threads and demands the same bits of every tensor it returns.
#[track_caller]
pub fn same_bits(f: impl Fn(&Device) -> Result<Vec<Tensor>>) {
    let bits = |threads| -> Vec<Vec<u64>> {
        let tensors = f(&Device::cpu_threads(threads)).unwrap();
        let one = |t: &Tensor| t.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
        tensors.iter().map(|t| one(t).into_iter().map(f64::to_bits).collect()).collect()
    };
    let first = bits(1);
    for threads in [2, 3, 5] {
        assert!(bits(threads) == first, "{threads} threads give other bits than one");
    }
}
