//! Losses of pairs of numbers.

use super::lanes::{Float, Vector};
use super::map::{Map, map};
use super::reduce::sum_of;
use super::{Cpu, math};

/// A loss of a prediction `a` and a target `b`, elementwise; sums have the order and error of [`super::reduce`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PairLoss {
    /// `(a - b)^2`
    Squared,
    /// `|a - b|`; slope 0 where they are equal.
    Absolute,
    /// `(a - b)^2 / 2` up to a distance of `delta`, `delta (|a - b| - delta / 2)` beyond (Huber 1964).
    Huber {
        /// Where the slope stops growing, above 0.
        delta: f64,
    },
    /// Cross-entropy between the logit `a` and the probability `b` of a yes: `max(a, 0) - a b + ln(1 + e^-|a|)`.
    Logit,
}

/// The sum of the loss over all places; over their number it is the mean.
///
/// # Panics
/// If the lengths differ.
pub fn pair_loss_sum<T: Float>(cpu: &Cpu, loss: PairLoss, a: &[T], b: &[T]) -> f64 {
    match loss {
        PairLoss::Squared => sum_of(cpu, Squared, [a, b])[0],
        PairLoss::Absolute => sum_of(cpu, Absolute, [a, b])[0],
        PairLoss::Huber { delta } => sum_of(cpu, Huber(T::of(delta)), [a, b])[0],
        PairLoss::Logit => sum_of(cpu, Logit, [a, b])[0],
    }
}

/// The loss of every place.
///
/// # Panics
/// If the lengths differ.
pub fn pair_loss<T: Float>(cpu: &Cpu, loss: PairLoss, a: &[T], b: &[T], out: &mut [T]) {
    match loss {
        PairLoss::Squared => map(cpu, Squared, [a, b], [out]),
        PairLoss::Absolute => map(cpu, Absolute, [a, b], [out]),
        PairLoss::Huber { delta } => map(cpu, Huber(T::of(delta)), [a, b], [out]),
        PairLoss::Logit => map(cpu, Logit, [a, b], [out]),
    }
}

/// `da = scale` times the slope of the loss in `a`; for a mean, `scale` is the gradient of the mean over the number of
/// places.
///
/// # Panics
/// If the lengths differ.
pub fn pair_loss_backward<T: Float>(cpu: &Cpu, loss: PairLoss, a: &[T], b: &[T], scale: f64, da: &mut [T]) {
    let scale = T::of(scale);
    match loss {
        PairLoss::Squared => map(cpu, Slope(Squared, scale), [a, b], [da]),
        PairLoss::Absolute => map(cpu, Slope(Absolute, scale), [a, b], [da]),
        PairLoss::Huber { delta } => map(cpu, Slope(Huber(T::of(delta)), scale), [a, b], [da]),
        PairLoss::Logit => map(cpu, Slope(Logit, scale), [a, b], [da]),
    }
}

/// A loss on lanes, with its slope in the first argument.
trait Pair<T: Float>: Copy + Sync {
    fn value<V: Vector<Elem = T>>(self, a: V, b: V) -> V;
    fn slope<V: Vector<Elem = T>>(self, a: V, b: V) -> V;
}

#[derive(Clone, Copy)]
struct Slope<P, T>(P, T);
impl<T: Float, P: Pair<T>> Map<T, 2, 1> for Slope<P, T> {
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [a, b]: [V; 2]) -> [V; 1] {
        [self.0.slope(a, b) * V::splat(self.1)]
    }
}

#[derive(Clone, Copy)]
struct Squared;
impl<T: Float> Pair<T> for Squared {
    #[inline(always)]
    fn value<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        (a - b) * (a - b)
    }
    #[inline(always)]
    fn slope<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        (a - b) + (a - b)
    }
}

#[derive(Clone, Copy)]
struct Absolute;
impl<T: Float> Pair<T> for Absolute {
    #[inline(always)]
    fn value<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        (a - b).abs()
    }
    #[inline(always)]
    fn slope<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        let d = a - b;
        V::select(V::or(d.eq(V::zero()), d.is_nan()), d, V::one().bit_or(d.sign_bit()))
    }
}

#[derive(Clone, Copy)]
struct Huber<T>(T);
impl<T: Float> Pair<T> for Huber<T> {
    #[inline(always)]
    fn value<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        let (d, delta, half) = ((a - b).abs(), V::splat(self.0), V::of(0.5));
        V::select(d.gt(delta), delta * half.neg_mul_add(delta, d), half * d * d)
    }
    #[inline(always)]
    fn slope<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        let delta = V::splat(self.0);
        delta.min((-delta).max(a - b))
    }
}

#[derive(Clone, Copy)]
struct Logit;
impl<T: Float> Pair<T> for Logit {
    #[inline(always)]
    fn value<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        a.neg_mul_add(b, math::softplus(a))
    }
    #[inline(always)]
    fn slope<V: Vector<Elem = T>>(self, a: V, b: V) -> V {
        math::sigmoid(a) - b
    }
}

macro_rules! values {
    ($($name:ty),*) => { $(
        impl<T: Float> Map<T, 2, 1> for $name {
            #[inline(always)]
            fn lanes<V: Vector<Elem = T>>(self, [a, b]: [V; 2]) -> [V; 1] {
                [self.value(a, b)]
            }
        }
    )* };
}
values!(Squared, Absolute, Huber<T>, Logit);

#[cfg(test)]
mod tests;
