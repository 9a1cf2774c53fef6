//! The equations of [`Rule`](super::Rule) on lanes.

use crate::compute::cpu::lanes::{Float, Vector};

/// An update equation with `S` columns of state. Mark `step` `#[inline(always)]`; it holds its numbers as elements.
pub(super) trait Equation<T: Float, const S: usize>: Copy {
    /// The new value and state from value, gradient and state.
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, state: [V; S]) -> (V, [V; S]);
}

#[derive(Clone, Copy)]
pub(super) struct Sgd<T> {
    pub(super) rate: T,
    pub(super) decay: T,
}

impl<T: Float> Equation<T, 0> for Sgd<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, state: [V; 0]) -> (V, [V; 0]) {
        let g = p.mul_add(V::splat(self.decay), g);
        (g.neg_mul_add(V::splat(self.rate), p), state)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Momentum<T> {
    pub(super) rate: T,
    pub(super) decay: T,
    pub(super) keep: T,
    pub(super) take: T,
    pub(super) ahead: T,
    pub(super) follow: T,
}

impl<T: Float> Equation<T, 1> for Momentum<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [b]: [V; 1]) -> (V, [V; 1]) {
        let g = p.mul_add(V::splat(self.decay), g);
        let b = b.mul_add(V::splat(self.keep), g * V::splat(self.take));
        let d = b.mul_add(V::splat(self.follow), g * V::splat(self.ahead));
        (d.neg_mul_add(V::splat(self.rate), p), [b])
    }
}

#[derive(Clone, Copy)]
pub(super) struct Adam<T> {
    pub(super) rate: T,
    pub(super) decay: T,
    pub(super) shrink: T,
    /// 1 - β₁
    pub(super) beta1_rest: T,
    pub(super) beta2: T,
    /// 1 - β₂
    pub(super) beta2_rest: T,
    pub(super) root: T,
    pub(super) epsilon: T,
}

impl<T: Float> Adam<T> {
    #[inline(always)]
    fn moments<V: Vector<Elem = T>>(self, p: V, g: V, m: V, v: V) -> (V, V) {
        let g = p.mul_add(V::splat(self.decay), g);
        let m = (g - m).mul_add(V::splat(self.beta1_rest), m);
        (m, v.mul_add(V::splat(self.beta2), g * g * V::splat(self.beta2_rest)))
    }

    #[inline(always)]
    fn value<V: Vector<Elem = T>>(self, p: V, m: V, v: V) -> V {
        let root = v.sqrt().mul_add(V::splat(self.root), V::splat(self.epsilon));
        (m / root).neg_mul_add(V::splat(self.rate), p * V::splat(self.shrink))
    }
}

impl<T: Float> Equation<T, 2> for Adam<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [m, v]: [V; 2]) -> (V, [V; 2]) {
        let (m, v) = self.moments(p, g, m, v);
        (self.value(p, m, v), [m, v])
    }
}

/// [`Adam`] that divides by the largest v so far: AMSGrad.
#[derive(Clone, Copy)]
pub(super) struct AdamLargest<T>(pub(super) Adam<T>);

impl<T: Float> Equation<T, 3> for AdamLargest<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [m, v, x]: [V; 3]) -> (V, [V; 3]) {
        let (m, v) = self.0.moments(p, g, m, v);
        let x = x.max(v);
        (self.0.value(p, m, x), [m, v, x])
    }
}

#[derive(Clone, Copy)]
pub(super) struct Lion<T> {
    pub(super) rate: T,
    pub(super) shrink: T,
    pub(super) beta1: T,
    /// 1 - β₁
    pub(super) beta1_rest: T,
    pub(super) beta2: T,
    /// 1 - β₂
    pub(super) beta2_rest: T,
}

impl<T: Float> Equation<T, 1> for Lion<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [m]: [V; 1]) -> (V, [V; 1]) {
        let c = m.mul_add(V::splat(self.beta1), g * V::splat(self.beta1_rest));
        // Zero stays zero, and a NaN goes on to the parameter.
        let away = c.abs().gt(V::zero());
        let u = V::select(away, V::splat(self.rate).bit_xor(c.sign_bit()), c);
        let m = m.mul_add(V::splat(self.beta2), g * V::splat(self.beta2_rest));
        (p.mul_add(V::splat(self.shrink), -u), [m])
    }
}

#[derive(Clone, Copy)]
pub(super) struct RmsProp<T> {
    pub(super) rate: T,
    pub(super) decay: T,
    pub(super) alpha: T,
    /// 1 - α
    pub(super) alpha_rest: T,
    pub(super) epsilon: T,
    pub(super) momentum: T,
}

impl<T: Float> RmsProp<T> {
    #[inline(always)]
    fn square<V: Vector<Elem = T>>(self, p: V, g: V, v: V) -> (V, V) {
        let g = p.mul_add(V::splat(self.decay), g);
        (g, v.mul_add(V::splat(self.alpha), g * g * V::splat(self.alpha_rest)))
    }

    #[inline(always)]
    fn over_root<V: Vector<Elem = T>>(self, g: V, v: V) -> V {
        g / (v.sqrt() + V::splat(self.epsilon))
    }

    #[inline(always)]
    fn variance<V: Vector<Elem = T>>(self, g: V, v: V, a: V) -> (V, V) {
        let a = (g - a).mul_add(V::splat(self.alpha_rest), a);
        (V::zero().max(a.neg_mul_add(a, v)), a)
    }

    #[inline(always)]
    fn gathered<V: Vector<Elem = T>>(self, d: V, b: V) -> V {
        b.mul_add(V::splat(self.momentum), d)
    }

    #[inline(always)]
    fn value<V: Vector<Elem = T>>(self, p: V, d: V) -> V {
        d.neg_mul_add(V::splat(self.rate), p)
    }
}

impl<T: Float> Equation<T, 1> for RmsProp<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [v]: [V; 1]) -> (V, [V; 1]) {
        let (g, v) = self.square(p, g, v);
        (self.value(p, self.over_root(g, v)), [v])
    }
}

/// [`RmsProp`] with a mean of gradients.
#[derive(Clone, Copy)]
pub(super) struct Centered<T>(pub(super) RmsProp<T>);

impl<T: Float> Equation<T, 2> for Centered<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [v, a]: [V; 2]) -> (V, [V; 2]) {
        let (g, v) = self.0.square(p, g, v);
        let (spread, a) = self.0.variance(g, v, a);
        (self.0.value(p, self.0.over_root(g, spread)), [v, a])
    }
}

/// [`RmsProp`] with momentum.
#[derive(Clone, Copy)]
pub(super) struct Gathered<T>(pub(super) RmsProp<T>);

impl<T: Float> Equation<T, 2> for Gathered<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [v, b]: [V; 2]) -> (V, [V; 2]) {
        let (g, v) = self.0.square(p, g, v);
        let b = self.0.gathered(self.0.over_root(g, v), b);
        (self.0.value(p, b), [v, b])
    }
}

/// [`RmsProp`] with a mean of gradients and momentum.
#[derive(Clone, Copy)]
pub(super) struct CenteredGathered<T>(pub(super) RmsProp<T>);

impl<T: Float> Equation<T, 3> for CenteredGathered<T> {
    #[inline(always)]
    fn step<V: Vector<Elem = T>>(self, p: V, g: V, [v, a, b]: [V; 3]) -> (V, [V; 3]) {
        let (g, v) = self.0.square(p, g, v);
        let (spread, a) = self.0.variance(g, v, a);
        let b = self.0.gathered(self.0.over_root(g, spread), b);
        (self.0.value(p, b), [v, a, b])
    }
}
