//! What models with synaptic conductances share: receptors, and the time course of a conductance within a step.

use super::{Polarity, Receptor};
use crate::compute::simd::Lanes;

/// The receptors of a model with synaptic conductances.
pub(super) fn conductance_receptors() -> Vec<Receptor> {
    vec![
        Receptor { name: "excitatory", unit: "nS", polarity: Polarity::Excitatory },
        Receptor { name: "inhibitory", unit: "nS", polarity: Polarity::InhibitoryMagnitude },
    ]
}

/// Two conductances at one instant.
#[derive(Clone, Copy)]
pub(super) struct Conductances<S> {
    /// Excitatory.
    pub ex: S,
    /// Inhibitory.
    pub inh: S,
}

/// A passive membrane with two conductances: constants of `c_m dv/dt = -g_l (v - e_l) - ... + drive`.
#[derive(Clone, Copy)]
pub(super) struct Membrane<S> {
    /// Leak conductance, nS.
    pub g_l: S,
    /// Excitatory reversal potential, mV.
    pub e_ex: S,
    /// Inhibitory reversal potential, mV.
    pub e_in: S,
    /// `-dt / c_m`, ms/pF.
    pub minus_dt_by_c: S,
}

impl<S: Lanes> Membrane<S> {
    /// Exponential Euler: exact for conductances and drive (pA, with `g_l * e_l` in it) constant over the step.
    #[inline(always)]
    pub fn exponential_euler(&self, v: S, g: Conductances<S>, drive: S) -> S {
        let total = self.g_l.add(g.ex).add(g.inh);
        let toward = drive.add(g.ex.mul(self.e_ex)).add(g.inh.mul(self.e_in)).div(total);
        let decay = crate::compute::simd::exp(total.mul(self.minus_dt_by_c));
        toward.add(v.sub(toward).mul(decay))
    }

    /// `dt * dv/dt`, mV.
    #[inline(always)]
    pub fn slope(&self, v: S, g: Conductances<S>, drive: S) -> S {
        let inward = v.sub(self.e_ex).mul(g.ex).add(v.sub(self.e_in).mul(g.inh)).add(v.mul(self.g_l)).sub(drive);
        inward.mul(self.minus_dt_by_c)
    }

    /// One Runge-Kutta step, with the conductances at the start, middle and end of it.
    #[inline(always)]
    pub fn rk4(&self, v: S, g: [Conductances<S>; 3], drive: S) -> S {
        let c = |x: f64| S::splat(<S::Elem as crate::compute::simd::Real>::of(x));
        let (half, two, sixth) = (c(0.5), c(2.0), c(1.0 / 6.0));
        let k1 = self.slope(v, g[0], drive);
        let k2 = self.slope(v.add(k1.mul(half)), g[1], drive);
        let k3 = self.slope(v.add(k2.mul(half)), g[1], drive);
        let k4 = self.slope(v.add(k3), g[2], drive);
        v.add(k1.add(k2.add(k3).mul(two)).add(k4).mul(sixth))
    }
}
