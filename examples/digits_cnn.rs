//! A small convolutional network learns to read handwritten digits: `cargo run --release --example digits_cnn`.

#[path = "data/digits/mod.rs"]
pub mod digits;

use tessera::compute::{ConvOptions, Device};
use tessera::error::Result;
use tessera::nn::{Conv2d, Dropout, Flatten, InitRng, Linear, MaxPool2d, Relu, Sequential};

/// What the network is, with first weights from `seed`.
pub fn model(seed: u64, device: &Device) -> Result<Sequential> {
    let mut rng = InitRng::new(seed);
    let same = ConvOptions { padding: [1, 1], ..ConvOptions::default() };
    Ok(Sequential::new()
        .push(Conv2d::new(1, 16, [3, 3], same, device, &mut rng)?)
        .push(Relu)
        .push(Conv2d::new(16, 32, [3, 3], same, device, &mut rng)?)
        .push(Relu)
        .push(MaxPool2d::new([2, 2])) // 4 x 4
        .push(Conv2d::new(32, 64, [3, 3], same, device, &mut rng)?)
        .push(Relu)
        .push(MaxPool2d::new([2, 2])) // 2 x 2
        .push(Flatten)
        .push(Dropout::new(0.3, &mut rng)?)
        .push(Linear::new(256, 10, device, &mut rng)?))
}

/// How it is trained.
pub const TRAINING: digits::Training = digits::Training { shape: &[1, 8, 8], epochs: 24, batch: 64, lr: 4e-3, seed: 1 };

#[allow(dead_code, reason = "tests use the model alone")]
fn main() -> Result<()> {
    let device = Device::cpu();
    TRAINING.run(&model(1, &device)?, &digits::load(), &device, &mut |line| println!("{line}"))?;
    Ok(())
}
