//! From a trained network to one of bytes, and what that costs.

use super::{Calibration, Observer, QuantConv2d, QuantLinear};
use crate::compute::{Activation, Quantised};
use crate::error::{Error, Result};
use crate::nn::{Layer, Module, Sequential};
use crate::tensor::{Tensor, no_grad};
use std::sync::Arc;

/// One layer that was rounded.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisedLayer {
    /// Its place in the chain.
    pub index: usize,
    /// `Linear` or `Conv2d`.
    pub kind: &'static str,
    /// Scale and zero point of its input.
    pub input: Quantised,
    /// Bytes of its weights before.
    pub bytes_before: usize,
    /// Bytes of its weights, scales and bias now.
    pub bytes: usize,
}

/// How far outputs moved.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Loss {
    /// Root of the mean squared difference to the `f32` network's outputs.
    pub rms: f64,
    /// The largest difference.
    pub max: f64,
    /// Root mean square of the `f32` outputs, to compare with.
    pub scale: f64,
    /// Share of rows whose largest output is another than before, 0 to 1.
    pub changed: f64,
}

/// What [`quantise`] did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuantReport {
    /// The layers that were rounded.
    pub layers: Vec<QuantisedLayer>,
    /// What it cost on the calibration batches.
    pub loss: Loss,
}

impl std::fmt::Display for QuantReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for layer in &self.layers {
            writeln!(
                f,
                "layer {} ({}): input scale {:.3e}, zero point {}; {} bytes, were {}",
                layer.index, layer.kind, layer.input.scale, layer.input.zero, layer.bytes, layer.bytes_before
            )?;
        }
        let Loss { rms, max, scale, changed } = self.loss;
        write!(
            f,
            "outputs moved by {rms:.2e} (rms) and {max:.2e} (most) of {scale:.2e} (rms); the largest output is another \
             one in {:.2} % of the rows",
            100.0 * changed
        )
    }
}

/// A chain with its linear and convolutional layers rounded to bytes, calibrated on batches like those it will see.
/// Other layers stay as they are. The chain should be in inference mode.
///
/// # Errors
/// No batches, a layer that refuses them, values that are not finite.
pub fn quantise(net: &Sequential, batches: &[Tensor], calibration: Calibration) -> Result<(Sequential, QuantReport)> {
    if batches.is_empty() {
        return Err(Error::op("quantise", "calibration needs one batch at least"));
    }
    no_grad(|| {
        let observers = observed(net, batches)?;
        let mut report = QuantReport::default();
        let mut out = Sequential::new();
        let mut i = 0;
        while let Some(layer) = net.shared(i) {
            // The activation that follows runs in the same kernel, where it can.
            let follows = net.get(i + 1).and_then(Module::activation);
            let activation = follows.unwrap_or(Activation::Identity);
            let input = observers[i].parameters(calibration)?;
            let rounded: Option<(Arc<dyn Module>, &'static str, usize, usize)> = match layer.layer() {
                Layer::Linear(linear) => {
                    let own = QuantLinear::new(linear, input, activation)?;
                    let (bytes, before) = (own.size(), 4 * layer.parameter_count());
                    Some((Arc::new(own), "Linear", before, bytes))
                }
                Layer::Conv2d(conv) => {
                    let own = QuantConv2d::new(conv, input, activation)?;
                    let (bytes, before) = (own.size(), 4 * layer.parameter_count());
                    Some((Arc::new(own), "Conv2d", before, bytes))
                }
                Layer::Other => None,
            };
            match rounded {
                Some((own, kind, bytes_before, bytes)) => {
                    report.layers.push(QuantisedLayer { index: i, kind, input, bytes_before, bytes });
                    out = out.push_shared(own);
                    i += 1 + usize::from(follows.is_some());
                }
                None => {
                    out = out.push_shared(layer.clone());
                    i += 1;
                }
            }
        }
        report.loss = loss(net, &out, batches)?;
        Ok((out, report))
    })
}

/// What arrives at each layer.
fn observed(net: &Sequential, batches: &[Tensor]) -> Result<Vec<Observer>> {
    let mut observers = vec![Observer::default(); net.len()];
    for batch in batches {
        let mut x = batch.clone();
        for (i, observer) in observers.iter_mut().enumerate() {
            let Some(layer) = net.get(i) else { break };
            if !matches!(layer.layer(), Layer::Other) {
                observer.observe(&x)?;
            }
            x = layer.forward(&x)?;
        }
    }
    Ok(observers)
}

fn loss(net: &Sequential, rounded: &Sequential, batches: &[Tensor]) -> Result<Loss> {
    let (mut squares, mut own, mut max, mut count) = (0.0, 0.0, 0f64, 0usize);
    let (mut changed, mut rows) = (0usize, 0usize);
    for batch in batches {
        let (a, b) = (net.forward(batch)?, rounded.forward(batch)?);
        let (x, y): (Vec<f32>, Vec<f32>) = (a.to_vec()?, b.to_vec()?);
        for (x, y) in x.iter().zip(&y) {
            let difference = f64::from(*y) - f64::from(*x);
            squares += difference * difference;
            own += f64::from(*x) * f64::from(*x);
            max = max.max(difference.abs());
        }
        count += x.len();
        let (x, y): (Vec<i32>, Vec<i32>) = (a.arg_max()?.to_vec()?, b.arg_max()?.to_vec()?);
        changed += x.iter().zip(&y).filter(|(x, y)| x != y).count();
        rows += x.len();
    }
    let n = count.max(1) as f64;
    Ok(Loss { rms: (squares / n).sqrt(), max, scale: (own / n).sqrt(), changed: changed as f64 / rows.max(1) as f64 })
}

/// Share of rows whose largest output is the target, 0 to 1: the accuracy to compare before and after.
///
/// # Errors
/// Targets that are not one `i32` a row.
pub fn accuracy(net: &dyn Module, x: &Tensor, targets: &Tensor) -> Result<f64> {
    let found: Vec<i32> = no_grad(|| net.forward(x))?.arg_max()?.to_vec()?;
    let targets: Vec<i32> = targets.to_vec()?;
    if found.len() != targets.len() {
        return Err(Error::op("accuracy", format!("{} rows of outputs for {} targets", found.len(), targets.len())));
    }
    let hits = found.iter().zip(&targets).filter(|(a, b)| a == b).count();
    Ok(hits as f64 / targets.len().max(1) as f64)
}
