//! A network of spiking neurons learns to read handwritten digits with surrogate gradients, and is then run by the
//! simulation engine: `cargo run --release --example digits_snn`.
//!
//! Pixels become spike trains, neurons are the engine's `lif_psc_delta`, and the output neuron that spikes most often
//! names the digit.

#[path = "data/digits/mod.rs"]
pub mod digits;

use tessera::compute::Device;
use tessera::nn::{Init, InitRng, LifLayer, Linear, PoissonEncoder, Readout, Sequential, Surrogate};
use tessera::prelude::*;
use tessera::rng::{Key, Purpose};
use tessera::tensor::{Tensor, no_grad};

/// Steps an image is shown for.
const STEPS: usize = 25;
/// Time step, ms.
const DT: f64 = 1.0;

/// Potentials from 0 (rest and reset) to 1 (threshold).
fn neuron() -> LifPscDelta {
    LifPscDelta { tau_m: 10.0, e_l: 0.0, v_reset: 0.0, v_th: 1.0, t_ref: 0.0, ..Default::default() }
}

/// Pixels to spikes: white is 500 Hz.
fn encoder(seed: u64) -> Result<PoissonEncoder> {
    PoissonEncoder::new(STEPS, 500.0, DT, seed)
}

/// Spikes [T, batch, 64] to the number of spikes of each output neuron [batch, 10].
fn spiking_network(seed: u64, device: &Device) -> Result<Sequential> {
    let mut rng = InitRng::new(seed);
    let mut linear =
        |inputs, outputs| Linear::with_init(inputs, outputs, false, Init::KaimingUniform(1.0), device, &mut rng);
    let spiking = || -> Result<LifLayer> {
        Ok(LifLayer::new(neuron(), DT)?.with_surrogate(Surrogate::FastSigmoid { slope: 5.0 }))
    };
    Ok(Sequential::new()
        .push(linear(64, 128)?)
        .push(spiking()?)
        .push(linear(128, 10)?)
        .push(spiking()?)
        .push(Readout::Sum))
}

/// What is trained, with first weights and spike trains from `seed`.
pub fn model(seed: u64, device: &Device) -> Result<Sequential> {
    Ok(Sequential::new().push(encoder(seed)?).push(spiking_network(seed, device)?))
}

/// How it is trained.
pub const TRAINING: digits::Training = digits::Training { shape: &[64], epochs: 30, batch: 64, lr: 4e-3, seed: 1 };

/// Every weight of a layer [out, in] as a synapse.
fn synapses(weight: &Tensor) -> Result<ConnectionRule> {
    let (weights, inputs) = (weight.to_vec::<f32>()?, weight.dims()[1]);
    let edge = |(i, weight): (usize, &f32)| Edge {
        source: (i % inputs) as u32,
        target: (i / inputs) as u32,
        weight: *weight,
        delay: DT as f32,
    };
    Ok(ConnectionRule::Edges(weights.iter().enumerate().map(edge).collect()))
}

/// The number of spikes of each output neuron when the engine runs the network with these weights on these input
/// spikes [T, 64].
fn on_engine(weights: &[Tensor], spikes: &Tensor) -> Result<Vec<f32>> {
    // A spike of step s is at the end of that step.
    let spikes = spikes.to_vec::<f32>()?.into_iter().enumerate().filter(|(_, spike)| *spike == 1.0);
    let events: Vec<(f64, u32)> = spikes.map(|(i, _)| (((i / 64) + 1) as f64 * DT, (i % 64) as u32)).collect();
    let mut net = NetworkSpec::default();
    let pixels = net.population("pixels", 64, SpikeTrain::new(events)?)?;
    let hidden = net.population("hidden", weights[0].dims()[0] as u32, neuron())?;
    let output = net.population("output", 10, neuron())?;
    let by_list = || StaticSynapse { weight: 0.0, delay: DT };
    net.project(pixels, hidden, synapses(&weights[0])?, by_list())?;
    net.project(hidden, output, synapses(&weights[1])?, by_list())?;
    let options = SimOptions { dt: DT, threads: 1, weight_bits: WeightBits::W32, ..Default::default() };
    let mut simulation = Simulation::new(BrainModel::build(&net, 1)?, options)?;
    let recorder = simulation.record(SpikeRecorder::of(["output"]))?;
    // Each synapse takes a step, so the output is two steps late.
    simulation.run((STEPS + 2) as f64 * DT)?;
    let mut counts = vec![0.0; 10];
    for (_, neuron) in simulation.recorder(&recorder).of_population("output") {
        counts[neuron as usize] += 1.0;
    }
    Ok(counts)
}

/// Runs the trained network as layers and on the engine, on `images` test images with the same input spikes: on how
/// many of them all output neurons spike as often.
pub fn compare_with_engine(network: &dyn tessera::nn::Module, images: usize, device: &Device) -> Result<usize> {
    let digits = digits::load();
    let (x, _) = digits.test.batch(&(0..images).collect::<Vec<_>>(), &[64], device)?;
    let spikes = encoder(0)?.encode(&x, Key::new(1, Purpose::Encode, 1 << 40))?;
    let counts = no_grad(|| network.forward(&spikes))?;
    let weights: Vec<Tensor> = network.parameters().iter().map(|param| param.value()).collect();
    let mut same = 0;
    for image in 0..images {
        let counts: Vec<f32> = counts.select(0, image)?.to_vec()?;
        same += usize::from(on_engine(&weights, &spikes.select(1, image)?)? == counts);
    }
    Ok(same)
}

/// Trains a network and returns it without its encoder, with its accuracy.
pub fn train(seed: u64, device: &Device, report: &mut dyn FnMut(String)) -> Result<(Sequential, f64)> {
    let network = spiking_network(seed, device)?;
    let with_encoder = Sequential::new().push(encoder(seed)?).push(network.clone());
    let accuracy = TRAINING.run(&with_encoder, &digits::load(), device, report)?;
    Ok((network, accuracy))
}

#[allow(dead_code, reason = "tests use the rest alone")]
fn main() -> Result<()> {
    let device = Device::cpu();
    let (network, _) = train(1, &device, &mut |line| println!("{line}"))?;
    let same = compare_with_engine(&network, 100, &device)?;
    println!("on the engine, every output neuron spikes as often as in the layers on {same} of 100 images");
    Ok(())
}
