//! Losses over classes.

use crate::compute::backend::{Arg, ClassLoss};
use crate::compute::cpu::Cpu;
use crate::compute::dtype::{DType, Element};
use crate::compute::memory::Buffer;

pub(super) fn weigh(loss: &ClassLoss<'_>, classes: usize) -> Result<f64, i32> {
    let weight = |class: usize| match &loss.weights {
        None => 1.0,
        Some(weights) if weights.dtype() == DType::F64 => weights.dense::<f64>()[class],
        Some(weights) => f64::from(weights.dense::<f32>()[class]),
    };
    let mut sum = 0.0;
    for target in loss.targets.dense::<i32>() {
        if loss.ignore == Some(*target) {
            continue;
        }
        if usize::try_from(*target).is_ok_and(|class| class < classes) {
            sum += weight(*target as usize);
        } else {
            return Err(*target);
        }
    }
    Ok(sum)
}

/// In double precision, rounded once.
pub(super) fn class_loss<T: Element>(
    _: &Cpu,
    loss: &ClassLoss<'_>,
    x: Arg<'_>,
    losses: &mut Buffer,
    mut dx: Option<&mut Buffer>,
) {
    let classes = x.layout.shape.last();
    let weights = loss.weights.as_ref().map(Arg::dense::<T>);
    let weight = |class: usize| weights.map_or(1.0, |weights| weights[class].to_f64());
    let spread = loss.smoothing / classes as f64;
    let spread_sum: f64 = (0..classes).map(|class| spread * weight(class)).sum();
    let losses = losses.as_mut_slice::<T>();
    for (row, (x, target)) in x.dense::<T>().chunks_exact(classes).zip(loss.targets.dense::<i32>()).enumerate() {
        let mut dx = dx.as_mut().map(|dx| &mut dx.as_mut_slice::<T>()[row * classes..(row + 1) * classes]);
        if loss.ignore == Some(*target) {
            losses[row] = T::default();
            if let Some(dx) = &mut dx {
                dx.fill(T::default());
            }
            continue;
        }
        let most = x.iter().fold(f64::NEG_INFINITY, |most, x| if x.to_f64() > most { x.to_f64() } else { most });
        let log_sum = if loss.normalized {
            0.0
        } else {
            most + libm::log(x.iter().map(|x| libm::exp(x.to_f64() - most)).sum::<f64>())
        };
        let own = (1.0 - loss.smoothing) * weight(*target as usize);
        let mut sum = -own * (x[*target as usize].to_f64() - log_sum);
        if spread > 0.0 {
            for (class, x) in x.iter().enumerate() {
                sum -= spread * weight(class) * (x.to_f64() - log_sum);
            }
        }
        losses[row] = T::of_f64(loss.scale * sum);
        if let Some(dx) = &mut dx {
            for (class, (dx, x)) in dx.iter_mut().zip(x).enumerate() {
                let p = if loss.normalized { 0.0 } else { libm::exp(x.to_f64() - log_sum) };
                let hit = if class == *target as usize { own } else { 0.0 };
                *dx = T::of_f64(loss.scale * (p * (own + spread_sum) - hit - spread * weight(class)));
            }
        }
    }
}
