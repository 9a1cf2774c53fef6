//! Losses.

use super::{autocast, check_device, check_float, check_same, narrowed, wide};
use crate::compute::{ClassLoss, DType, Layout, PairLoss, Shape};
use crate::error::{Error, Result};
use crate::precision::{self, OpClass};
use crate::tensor::Tensor;
use crate::tensor::autograd::{Backward, Tape, record, records_gradients};

/// What becomes of the losses of single elements or rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reduction {
    /// Their mean: a scalar. With weights of classes, the weighted mean, as in torch.
    #[default]
    Mean,
    /// Their sum: a scalar.
    Sum,
    /// They stay as they are.
    None,
}

/// How a loss over classes is taken. The default is the plain mean.
#[derive(Debug, Clone)]
pub struct ClassLossOptions {
    /// What becomes of the losses of the rows.
    pub reduction: Reduction,
    /// Weight of each class, [classes]; 1 where there are none.
    pub weights: Option<Tensor>,
    /// Part of each target that is spread evenly over all classes, 0 to 1. Szegedy et al. (2016), arXiv:1512.00567.
    pub smoothing: f64,
    /// Rows with this target count nothing; torch's default, -100.
    pub ignore: Option<i32>,
}

impl Default for ClassLossOptions {
    fn default() -> Self {
        Self { reduction: Reduction::Mean, weights: None, smoothing: 0.0, ignore: Some(-100) }
    }
}

struct ClassLossRule {
    op: &'static str,
    /// The gradient of the sum of the result.
    dx: Tensor,
    dtype: DType,
}

impl Backward for ClassLossRule {
    fn name(&self) -> &'static str {
        self.op
    }
    fn backward(&self, _: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None]) };
        let dx = if dy.shape().rank() > 0 {
            self.dx.mul(&dy.unsqueeze(1)?)?
        } else if dy.item()? == 1.0 {
            self.dx.clone()
        } else {
            self.dx.mul(dy)?
        };
        Ok(vec![Some(dx.to_dtype(self.dtype)?)])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.dx);
    }
}

impl Tensor {
    /// Cross-entropy of logits [n, classes, ..] and targets [n, ..] (`i32`): -ln of the softmax at the target. The
    /// gradient is found in the same pass, so the backward pass costs nothing. Computed and returned in `f32` for 16-bit
    /// logits.
    ///
    /// ```
    /// use tessera::{compute::Device, tensor::{ClassLossOptions, Tensor}};
    /// let logits = Tensor::new(&[0.0f32, 0.0, 100.0, 0.0], [2, 2], &Device::cpu())?;
    /// let targets = Tensor::new(&[1i32, 0], [2], &Device::cpu())?;
    /// let loss = logits.cross_entropy(&targets, &ClassLossOptions::default())?.item()?;
    /// assert!((loss - 0.5 * 2f64.ln()).abs() < 1e-6);
    /// # Ok::<(), tessera::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes that do not fit, targets that name no class, targets that are not `i32`, a smoothing outside of 0 to 1, or
    /// a mean over no target at all.
    pub fn cross_entropy(&self, targets: &Self, options: &ClassLossOptions) -> Result<Self> {
        self.class_loss("cross_entropy", targets, options, false)
    }

    /// The same from logarithms of probabilities (of [`Tensor::log_softmax`]): minus the one at the target.
    ///
    /// # Errors
    /// As [`Tensor::cross_entropy`].
    pub fn nll_loss(&self, targets: &Self, options: &ClassLossOptions) -> Result<Self> {
        self.class_loss("nll_loss", targets, options, true)
    }

    fn class_loss(
        &self,
        op: &'static str,
        targets: &Self,
        options: &ClassLossOptions,
        normalized: bool,
    ) -> Result<Self> {
        check_float(op, self)?;
        check_device(op, self, targets)?;
        if targets.dtype() != DType::I32 {
            return Err(Error::op(op, format!("targets are {}, not i32; convert with `to_dtype`", targets.dtype())));
        }
        let rank = self.shape().rank();
        if rank < 2 || targets.shape() != self.shape().reduced(1, false) || self.dims()[1] == 0 {
            return Err(Error::op(
                op,
                format!(
                    "input {} does not fit targets {}: they are [n, classes, ..] and [n, ..]",
                    self.shape(),
                    targets.shape()
                ),
            ));
        }
        if !(0.0..=1.0).contains(&options.smoothing) {
            return Err(Error::op(op, format!("the smoothing is {}; allowed are 0 to 1", options.smoothing)));
        }
        let classes = self.dims()[1];
        let x = wide(self)?;
        // Classes last.
        let mut order: Vec<usize> = (0..rank).collect();
        order.remove(1);
        order.push(1);
        let x = if rank == 2 { x } else { x.permute(&order)? }.contiguous()?;
        let targets = targets.detach().contiguous()?;
        let weights = options.weights.as_ref().map(|weights| fitting_weights(op, &x, weights, classes)).transpose()?;

        let device = self.device();
        let mut spec = ClassLoss {
            targets: targets.arg(),
            weights: weights.as_ref().map(Self::arg),
            smoothing: options.smoothing,
            ignore: options.ignore,
            normalized,
            scale: 1.0,
        };
        let weight = device.backend().weigh_targets(&spec, classes).map_err(|target| {
            Error::op(op, format!("there is a target {target}; the {classes} classes are 0 to {}", classes - 1))
        })?;
        if options.reduction == Reduction::Mean {
            if weight == 0.0 {
                return Err(Error::op(op, "the weights of the targets add up to 0 (or all are ignored): no mean"));
            }
            spec.scale = 1.0 / weight;
        }
        let tracked = records_gradients() && self.tracks_grad();
        let mut dx = tracked.then(|| device.buffer(x.dtype(), x.len())).transpose()?;
        let losses = Self::filled(device, x.dtype(), Layout::row_major(targets.shape()), |losses| {
            device.backend().class_loss(&spec, x.arg(), losses, dx.as_mut());
        })?;
        let loss = if options.reduction == Reduction::None { losses } else { losses.sum_all()? };
        let Some(dx) = dx else { return Ok(loss) };
        let mut dx = Self::of(device, std::sync::Arc::new(dx), Layout::row_major(x.shape()));
        if rank > 2 {
            let mut back: Vec<usize> = (0..rank - 1).collect();
            back.insert(1, rank - 1);
            dx = dx.permute(&back)?;
        }
        Ok(record(&[self], loss, || ClassLossRule { op, dx, dtype: self.dtype() }))
    }

    fn reduce_loss(&self, reduction: Reduction) -> Result<Self> {
        match reduction {
            Reduction::Mean => self.mean_all(),
            Reduction::Sum => self.sum_all(),
            Reduction::None => Ok(self.clone()),
        }
    }

    /// Squared difference to a target of the same shape.
    ///
    /// # Errors
    /// Shapes, element types or devices that differ.
    pub fn mse_loss(&self, target: &Self, reduction: Reduction) -> Result<Self> {
        self.pair_loss("mse_loss", PairLoss::Squared, target, reduction)
    }

    /// Absolute difference to a target of the same shape; slope 0 where they are equal.
    ///
    /// # Errors
    /// As [`Tensor::mse_loss`].
    pub fn l1_loss(&self, target: &Self, reduction: Reduction) -> Result<Self> {
        self.pair_loss("l1_loss", PairLoss::Absolute, target, reduction)
    }

    /// Half of the squared difference to a target of the same shape up to a distance of `delta`, and
    /// `delta (distance - delta/2)` beyond. Huber (1964).
    ///
    /// # Errors
    /// As [`Tensor::mse_loss`], and where `delta` is not above 0.
    pub fn huber_loss(&self, target: &Self, delta: f64, reduction: Reduction) -> Result<Self> {
        const OP: &str = "huber_loss";
        if delta.is_nan() || delta <= 0.0 {
            return Err(Error::op(OP, format!("delta is {delta}; it must be above 0")));
        }
        self.pair_loss(OP, PairLoss::Huber { delta }, target, reduction)
    }

    /// Cross-entropy of the sigmoid of these logits and targets between 0 and 1 of the same shape:
    /// `-(w y ln σ(x) + (1 - y) ln(1 - σ(x)))`, where `positive_weight` gives w (it broadcasts to the shape) or is 1.
    ///
    /// # Errors
    /// As [`Tensor::mse_loss`].
    pub fn bce_with_logits(&self, target: &Self, positive_weight: Option<&Self>, reduction: Reduction) -> Result<Self> {
        const OP: &str = "bce_with_logits";
        let Some(weight) = positive_weight else {
            return self.pair_loss(OP, PairLoss::Logit, target, reduction);
        };
        if precision::current().is_some() {
            let (x, target) = (autocast(OpClass::Sensitive, self)?, autocast(OpClass::Sensitive, target)?);
            let weight = autocast(OpClass::Sensitive, weight)?;
            return precision::under(None, || x.bce_with_logits(&target, Some(&weight), reduction));
        }
        check_pair(OP, self, target)?;
        // (1 - y) x + (1 + (w - 1) y) ln(1 + e⁻ˣ)
        let factor = weight.add_scalar(-1.0)?.mul(target)?.add_scalar(1.0)?;
        let rest = target.neg()?.add_scalar(1.0)?.mul(self)?;
        rest.add(&self.neg()?.softplus()?.mul(&factor)?)?.reduce_loss(reduction)
    }

    fn pair_loss(&self, op: &'static str, loss: PairLoss, target: &Self, reduction: Reduction) -> Result<Self> {
        if precision::current().is_some() {
            let (x, target) = (autocast(OpClass::Sensitive, self)?, autocast(OpClass::Sensitive, target)?);
            return precision::under(None, || x.pair_loss(op, loss, &target, reduction));
        }
        check_pair(op, self, target)?;
        let x = self.dense()?;
        let target = target.in_order_of(x.layout())?;
        let (a, b, device) = (wide(&x)?, wide(&target)?, self.device());
        let scale = match reduction {
            Reduction::Mean if self.is_empty() => {
                return Err(Error::op(op, format!("shape {} has no elements, so no mean", self.shape())));
            }
            Reduction::Mean => 1.0 / self.len() as f64,
            _ => 1.0,
        };
        let y = if reduction == Reduction::None {
            Self::filled(device, a.dtype(), x.layout().dense_like(), |out| {
                device.backend().pair_loss(loss, a.arg(), b.arg(), out);
            })?
        } else {
            Self::filled(device, a.dtype(), Layout::row_major(Shape::SCALAR), |out| {
                device.backend().pair_loss_sum(loss, scale, a.arg(), b.arg(), out);
            })?
        };
        let y = narrowed(y, self.dtype())?;
        Ok(record(&[&x, &target], y, || PairLossRule { op, loss, scale, x: x.clone(), target: target.clone() }))
    }
}

struct PairLossRule {
    op: &'static str,
    loss: PairLoss,
    scale: f64,
    /// Both dense in the same order.
    x: Tensor,
    target: Tensor,
}

impl Backward for PairLossRule {
    fn name(&self) -> &'static str {
        self.op
    }
    fn backward(&self, tape: &mut Tape<'_>, dy: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let Some(dy) = &dy[0] else { return Ok(vec![None, None]) };
        let (a, b, device) = (wide(&self.x)?, wide(&self.target)?, dy.device());
        let one = dy.shape().rank() == 0 && self.x.shape().rank() > 0;
        let scale = self.scale * if one { dy.item()? } else { 1.0 };
        let mut slope = Tensor::filled(device, a.dtype(), a.layout().dense_like(), |da| {
            device.backend().pair_loss_grad(self.loss, scale, a.arg(), b.arg(), da);
        })?;
        if !one {
            slope = slope.mul(&wide(dy)?)?;
        }
        let dx = tape.needs(0).then(|| narrowed(slope.clone(), self.x.dtype())).transpose()?;
        let dtarget = match self.loss {
            _ if !tape.needs(1) => None,
            // Linear in the target.
            PairLoss::Logit => {
                let factor = if one { wide(dy)?.mul_scalar(-self.scale)? } else { wide(dy)?.neg()? };
                Some(narrowed(a.mul(&factor)?, self.target.dtype())?)
            }
            // Functions of the difference.
            _ => Some(narrowed(slope.neg()?, self.target.dtype())?),
        };
        Ok(vec![dx, dtarget])
    }
    fn saved(&self, visit: &mut dyn FnMut(&Tensor)) {
        visit(&self.x);
        visit(&self.target);
    }
}

fn fitting_weights(op: &'static str, x: &Tensor, weights: &Tensor, classes: usize) -> Result<Tensor> {
    let weights = wide(weights)?.contiguous()?;
    check_same(op, x, &weights)?;
    if weights.shape() != Shape::from([classes]) {
        return Err(Error::op(op, format!("weights {} do not fit {classes} classes", weights.shape())));
    }
    Ok(weights)
}

fn check_pair(op: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    check_same(op, a, b)?;
    check_float(op, a)?;
    if a.shape() != b.shape() {
        return Err(Error::op(op, format!("input {} and target {} must have the same shape", a.shape(), b.shape())));
    }
    Ok(())
}
