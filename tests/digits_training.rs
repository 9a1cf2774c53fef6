//! The networks of the examples: training is the same bits for any number of threads, and they learn what they claim to.

// Each example brings its own copy of the module that reads the data.
#![allow(clippy::duplicate_mod)]

#[path = "../examples/digits_cnn.rs"]
mod cnn;
#[path = "../examples/digits_mlp.rs"]
mod mlp;
#[path = "../examples/digits_snn.rs"]
mod snn;

use tessera::compute::Device;
use tessera::error::Result;
use tessera::nn::{Module, Sequential};
use tessera::optim::{AdamW, Method, Optimizer};
use tessera::tensor::ClassLossOptions;

/// Losses and parameters of a few steps.
fn few_steps(
    model: &dyn Fn(u64, &Device) -> Result<Sequential>,
    shape: &[usize],
    threads: usize,
) -> Result<(Vec<f64>, Vec<Vec<f32>>)> {
    let device = Device::cpu_threads(threads);
    let model = model(3, &device)?;
    let train = mlp::digits::load().train;
    let mut optimizer = AdamW { lr: 4e-3, ..AdamW::default() }.over(model.parameters())?;
    let mut losses = Vec::new();
    for batch in train.batches(50, 3, 1).into_iter().take(8) {
        let (x, targets) = train.batch(&batch, shape, &device)?;
        let loss = model.forward(&x)?.cross_entropy(&targets, &ClassLossOptions::default())?;
        losses.push(loss.item()?);
        optimizer.step(&loss.backward()?)?;
    }
    let parameters = model.parameters().iter().map(|param| param.value().to_vec()).collect::<Result<_>>()?;
    Ok((losses, parameters))
}

#[test]
fn training_is_the_same_bits_for_any_threads() {
    type Model<'a> = (&'a str, &'a dyn Fn(u64, &Device) -> Result<Sequential>, &'a [usize]);
    let models: [Model<'_>; 3] =
        [("mlp", &mlp::model, &[64]), ("cnn", &cnn::model, &[1, 8, 8]), ("snn", &snn::model, &[64])];
    for (name, model, shape) in models {
        let (losses, parameters) = few_steps(model, shape, 1).unwrap();
        assert!(losses[7] < losses[0], "{name}: {losses:?}");
        for threads in [2, 3] {
            let other = few_steps(model, shape, threads).unwrap();
            assert_eq!(other.0, losses, "{name}, {threads} threads");
            assert!(other.1 == parameters, "{name}, {threads} threads");
        }
    }
}

#[test]
fn a_perceptron_reads_97_percent() {
    let device = Device::cpu_threads(2);
    let accuracy = mlp::TRAINING.run(&mlp::model(1, &device).unwrap(), &mlp::digits::load(), &device, &mut |_| {});
    assert!(accuracy.unwrap() >= 0.97);
}

#[test]
fn a_convolutional_network_reads_98_percent() {
    let device = Device::cpu_threads(2);
    let accuracy = cnn::TRAINING.run(&cnn::model(1, &device).unwrap(), &cnn::digits::load(), &device, &mut |_| {});
    assert!(accuracy.unwrap() >= 0.98);
}

#[test]
fn a_spiking_network_reads_95_percent_and_runs_on_the_engine() {
    let device = Device::cpu_threads(2);
    let (network, accuracy) = snn::train(1, &device, &mut |_| {}).unwrap();
    assert!(accuracy >= 0.95, "{accuracy}");
    // Weights are rounded to a grid of 32 bits there, and sums are exact: a spike may fall to the other side of the
    // threshold now and then.
    let same = snn::compare_with_engine(&network, 40, &device).unwrap();
    assert!(same >= 38, "{same} of 40");
}
