//! The handwritten digits that the `digits_*` examples train on, with a fixed split into training and test images.

use std::time::Instant;
use tessera::compute::Device;
use tessera::error::Result;
use tessera::nn::Module;
use tessera::optim::{AdamW, Method, Optimizer, Schedule};
use tessera::rng::{Key, Purpose};
use tessera::tensor::{ClassLossOptions, Tensor, no_grad};

/// Images as rows of 64 numbers from 0 to 1, and the digits they show.
pub struct Images {
    pixels: Vec<f32>,
    digits: Vec<i32>,
}

/// 1,433 images to learn from, 364 to test on.
pub struct Digits {
    /// For learning.
    pub train: Images,
    /// For testing, never learned from.
    pub test: Images,
}

/// The images with their split: of every digit, one image in five, rounded up (drawn without replacement by a counter-based
/// generator, always the same) is for testing.
pub fn load() -> Digits {
    let lines: Vec<Vec<u8>> = include_str!("digits_8x8.csv")
        .lines()
        .map(|line| line.split(',').map(|number| number.parse().expect("a number")).collect())
        .collect();
    let empty = || Images { pixels: Vec::new(), digits: Vec::new() };
    let mut digits = Digits { train: empty(), test: empty() };
    for digit in 0..10 {
        let mut of_digit: Vec<usize> = (0..lines.len()).filter(|i| lines[*i][64] == digit).collect();
        shuffle(&mut of_digit, Key::named(0, Purpose::Parameter, "split of the digits"));
        for (i, line) in of_digit.iter().enumerate() {
            let part = if i * 5 < of_digit.len() { &mut digits.test } else { &mut digits.train };
            part.pixels.extend(lines[*line][..64].iter().map(|pixel| f32::from(*pixel) / 16.0));
            part.digits.push(i32::from(digit));
        }
    }
    digits
}

/// Puts `items` into an order that follows from the key.
fn shuffle(items: &mut [usize], key: Key) {
    let mut words = key.sequence(items.len() as u64);
    for i in (1..items.len()).rev() {
        items.swap(i, tessera::rng::below(words.next_word(), i as u32 + 1) as usize);
    }
}

#[allow(clippy::len_without_is_empty)]
impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.digits.len()
    }

    /// The images `which` with a shape of their own each, and their digits.
    pub fn batch(&self, which: &[usize], shape: &[usize], device: &Device) -> Result<(Tensor, Tensor)> {
        let pixels: Vec<f32> = which.iter().flat_map(|i| self.pixels[i * 64..(i + 1) * 64].iter().copied()).collect();
        let digits: Vec<i32> = which.iter().map(|i| self.digits[*i]).collect();
        let dims = [&[which.len()], shape].concat();
        Ok((Tensor::new(&pixels, dims.as_slice(), device)?, Tensor::new(&digits, [which.len()], device)?))
    }

    /// All images in batches of `size`, in an order that follows from seed and epoch.
    pub fn batches(&self, size: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        shuffle(&mut order, Key::new(seed, Purpose::Parameter, 1 << 32 | epoch));
        order.chunks(size).map(<[usize]>::to_vec).collect()
    }

    /// Share of the images whose digit gets the highest score of `model`.
    pub fn accuracy(&self, model: &dyn Module, shape: &[usize], device: &Device) -> Result<f64> {
        let all: Vec<usize> = (0..self.len()).collect();
        let (x, digits) = self.batch(&all, shape, device)?;
        let found: Vec<i32> = no_grad(|| model.forward(&x)?.arg_max())?.to_vec()?;
        let right = found.iter().zip(digits.to_vec::<i32>()?).filter(|(found, digit)| **found == *digit).count();
        Ok(right as f64 / self.len() as f64)
    }
}

/// How a network is trained.
pub struct Training {
    /// Shape of an image as the network takes it.
    pub shape: &'static [usize],
    /// Passes over all training images.
    pub epochs: u64,
    /// Images in a batch.
    pub batch: usize,
    /// Largest learning rate; it falls along a half cosine.
    pub lr: f64,
    /// Seed of the order of the images.
    pub seed: u64,
}

impl Training {
    /// Trains `model` with AdamW on the cross entropy of its scores and returns the share of test images it then gets
    /// right. `report` gets a line every now and then.
    pub fn run(
        &self,
        model: &dyn Module,
        digits: &Digits,
        device: &Device,
        report: &mut dyn FnMut(String),
    ) -> Result<f64> {
        let Self { shape, epochs, batch, lr, seed } = *self;
        let train = &digits.train;
        report(format!("{} parameters, {} images to learn from, on {device}", model.parameter_count(), train.len()));
        let mut optimizer = AdamW { lr, ..AdamW::default() }.over(model.parameters())?;
        let steps = epochs * train.len().div_ceil(batch) as u64;
        let schedule = Schedule::Cosine { steps, floor: 0.0 };
        model.set_training(true);
        let (start, mut step) = (Instant::now(), 0);
        for epoch in 1..=epochs {
            let mut sum = 0.0;
            for batch in train.batches(batch, seed, epoch) {
                let (x, targets) = train.batch(&batch, shape, device)?;
                let loss = model.forward(&x)?.cross_entropy(&targets, &ClassLossOptions::default())?;
                sum += loss.item()? * batch.len() as f64;
                optimizer.set_lr_factor(schedule.at(step))?;
                optimizer.step(&loss.backward()?)?;
                step += 1;
            }
            if epoch % (epochs / 4).max(1) == 0 {
                report(format!("epoch {epoch:2}: loss {:.4}", sum / train.len() as f64));
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        report(format!("trained in {seconds:.2} s, {:.0} us a step", seconds * 1e6 / step as f64));
        model.set_training(false);
        let accuracy = digits.test.accuracy(model, shape, device)?;
        report(format!("{:.2} % of {} test images right", 100.0 * accuracy, digits.test.len()));
        Ok(accuracy)
    }
}
