//! A perceptron with two hidden layers learns to read handwritten digits: `cargo run --release --example digits_mlp`.

#[path = "data/digits/mod.rs"]
pub mod digits;

use tessera::compute::Device;
use tessera::error::Result;
use tessera::nn::{Dropout, InitRng, Linear, Relu, Sequential};

/// What the network is, with first weights from `seed`.
pub fn model(seed: u64, device: &Device) -> Result<Sequential> {
    let mut rng = InitRng::new(seed);
    Ok(Sequential::new()
        .push(Linear::new(64, 256, device, &mut rng)?)
        .push(Relu)
        .push(Dropout::new(0.3, &mut rng)?)
        .push(Linear::new(256, 128, device, &mut rng)?)
        .push(Relu)
        .push(Dropout::new(0.3, &mut rng)?)
        .push(Linear::new(128, 10, device, &mut rng)?))
}

/// How it is trained.
pub const TRAINING: digits::Training = digits::Training { shape: &[64], epochs: 60, batch: 64, lr: 4e-3, seed: 1 };

#[allow(dead_code, reason = "tests use the model alone")]
fn main() -> Result<()> {
    let device = Device::cpu();
    TRAINING.run(&model(1, &device)?, &digits::load(), &device, &mut |line| println!("{line}"))?;
    Ok(())
}
