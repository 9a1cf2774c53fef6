//! The backward pass: a tile is stepped again with its potentials kept in cache, then walked back over.
#![allow(unsafe_code)]

use super::super::Cpu;
use super::super::scratch::with_scratch;
use super::forward::{Constants, Inputs, State};
use super::tile::{Sweep, TileJob, VECTORS, load, load_if, store, store_if};
use crate::compute::lif::{LifArriving, LifGradients, LifScan, LifStep, Reset, Surrogate};
use crate::compute::simd::{Lanes, Real, dispatch};
use crate::compute::{Arg, Buffer, Element};
use std::ptr::{null, null_mut};

/// What stands for the potential of a held neuron: no neuron gets there without having overflowed.
const HELD: f64 = f64::NEG_INFINITY;
const LOWEST: f64 = -1e38;

/// Gradients that arrive, each null where there is none.
#[derive(Clone, Copy)]
struct Arriving<T> {
    spikes: *const T,
    potentials: *const T,
    v: *const T,
    i: *const T,
}

/// Where gradients go; those that are not wanted are null.
#[derive(Clone, Copy)]
struct Places<T> {
    x: *mut T,
    v: *mut T,
    i: *mut T,
    decay: *mut T,
    drive: *mut T,
    v_th: *mut T,
}

/// A part of a scan for one worker. Without `SPIKE` no neuron ever spikes and nothing has to be stepped again.
struct Backward<T, const EXP: bool, const HOLD: bool, const VARY: bool, const SPIKE: bool> {
    step: LifStep,
    surrogate: Surrogate,
    inputs: Inputs<T>,
    arriving: Arriving<T>,
    to: Places<T>,
    /// Room for the potentials of a tile at each step, twice where constants vary.
    scratch: *mut T,
}

/// `g(x)` of [`Surrogate`] for vectors.
#[inline(always)]
fn derivative<S: Lanes>(surrogate: Surrogate, x: S) -> S {
    let c = |value: f64| S::splat(S::Elem::of(value));
    let (zero, one) = (c(0.0), c(1.0));
    let size = x.max(zero.sub(x));
    match surrogate {
        Surrogate::FastSigmoid { slope } => {
            let root = one.add(c(slope).mul(size));
            one.div(root.mul(root))
        }
        Surrogate::ArcTan { alpha } => {
            let scaled = c(std::f64::consts::FRAC_PI_2 * alpha).mul(x);
            c(alpha / 2.0).div(one.add(scaled.mul(scaled)))
        }
        Surrogate::Triangular { gamma } => c(gamma).mul(one.sub(size).max(zero)),
        Surrogate::StraightThrough => one,
    }
}

impl<T: Real, const EXP: bool, const HOLD: bool, const VARY: bool, const SPIKE: bool>
    Backward<T, EXP, HOLD, VARY, SPIKE>
{
    /// Steps the tile again and keeps the potentials before the comparison, and the ones before the step.
    ///
    /// # Safety
    /// As [`TileJob::tile`].
    #[inline(always)]
    unsafe fn replay<S: Lanes<Elem = T>, const U: usize, const PART: bool>(
        &self,
        c: &Constants<S, U>,
        before: *mut T,
        first: usize,
        count: usize,
    ) {
        let inputs = &self.inputs;
        let by_subtraction = self.step.reset == Reset::BySubtraction;
        let marker = S::splat(T::of(HELD));
        let row = U * S::LANES;
        // SAFETY: the caller's promise; the scratch has `row` elements for each step.
        unsafe {
            let mut state = State::<S, U>::load::<EXP, HOLD, PART>(inputs, first, count);
            for t in 0..inputs.steps {
                let x = load::<S, U, PART>(inputs.x.add(t * inputs.x_step + first), count);
                if VARY {
                    store::<S, U, false>(state.v, before.add(t * row), row);
                }
                let mut next = [c.zero; U];
                for u in 0..U {
                    let (reached, held, _) = state.step::<EXP, HOLD>(u, x[u], c, by_subtraction);
                    next[u] = if HOLD { S::select(held, marker, reached) } else { reached };
                }
                store::<S, U, false>(next, self.scratch.add(t * row), row);
            }
        }
    }
}

impl<T: Real, const EXP: bool, const HOLD: bool, const VARY: bool, const SPIKE: bool> TileJob<T>
    for Backward<T, EXP, HOLD, VARY, SPIKE>
{
    #[inline(always)]
    unsafe fn tile<S: Lanes<Elem = T>, const U: usize, const PART: bool>(&self, first: usize, count: usize) {
        let (inputs, arriving, to) = (&self.inputs, &self.arriving, &self.to);
        let by_subtraction = self.step.reset == Reset::BySubtraction;
        let detach = self.step.detach_reset;
        let lowest = S::splat(T::of(LOWEST));
        let row = U * S::LANES;
        // SAFETY: the neurons exist, so every array that is not null has elements for them in every step (checked in
        // `run`); the scratch has room for two rows of a full tile for each step where constants vary, else for one.
        unsafe {
            let before = if VARY { self.scratch.add(inputs.steps * row) } else { null_mut() };
            let c = Constants::<S, U>::new::<VARY, PART>(&self.step, inputs, first, count);
            if SPIKE {
                self.replay::<S, U, PART>(&c, before, first, count);
            }
            let mut per_width = [c.one; U];
            for (inverse, width) in per_width.iter_mut().zip(c.width) {
                *inverse = c.one.div(width);
            }
            let mut dv = load_if::<S, U, PART>(arriving.v, first, count);
            let mut di = load_if::<S, U, PART>(arriving.i, first, count);
            let (mut d_decay, mut d_drive, mut d_th) = ([c.zero; U], [c.zero; U], [c.zero; U]);
            for t in (0..inputs.steps).rev() {
                let at = t * inputs.neurons + first;
                let along = load_if::<S, U, PART>(arriving.potentials, at, count);
                let ds = load_if::<S, U, PART>(arriving.spikes, at, count);
                let next = if SPIKE { load::<S, U, false>(self.scratch.add(t * row), row) } else { [c.zero; U] };
                let mut dx = [c.zero; U];
                for u in 0..U {
                    let arrived = dv[u].add(along[u]);
                    let mut dnext = arrived;
                    if SPIKE {
                        let spiked = next[u].ge(c.v_th[u]);
                        let x = next[u].sub(c.v_th[u]).mul(per_width[u]);
                        let slope = derivative(self.surrogate, x).mul(per_width[u]);
                        let mut through = ds[u];
                        if !detach {
                            let jump = if by_subtraction { c.zero.sub(c.width[u]) } else { c.v_reset.sub(next[u]) };
                            through = through.add(arrived.mul(jump));
                        }
                        let mut by_spike = through.mul(slope);
                        if !by_subtraction {
                            dnext = S::select(spiked, c.zero, arrived);
                        }
                        dnext = dnext.add(by_spike);
                        if HOLD {
                            let held = next[u].lt(lowest);
                            dnext = S::select(held, c.zero, dnext);
                            by_spike = S::select(held, c.zero, by_spike);
                            dv[u] = S::select(held, arrived, dnext.mul(c.decay[u]));
                        } else {
                            dv[u] = dnext.mul(c.decay[u]);
                        }
                        if VARY {
                            let v = S::load(std::slice::from_raw_parts(before.add(t * row + u * S::LANES), S::LANES));
                            d_decay[u] = d_decay[u].add(dnext.mul(v));
                            d_drive[u] = d_drive[u].add(dnext);
                            d_th[u] = d_th[u].sub(by_spike);
                            if by_subtraction {
                                d_th[u] = d_th[u].sub(S::select(spiked, arrived, c.zero));
                            }
                        }
                    } else {
                        dv[u] = dnext.mul(c.decay[u]);
                    }
                    if EXP {
                        dx[u] = di[u];
                        di[u] = di[u].mul(c.fade).add(dnext.mul(c.from_syn));
                    } else {
                        dx[u] = dnext;
                    }
                }
                store::<S, U, PART>(dx, to.x.add(at), count);
            }
            store::<S, U, PART>(dv, to.v.add(first), count);
            if EXP {
                store::<S, U, PART>(di, to.i.add(first), count);
            }
            if VARY {
                store_if::<S, U, PART>(d_decay, to.decay, first, count);
                store_if::<S, U, PART>(d_drive, to.drive, first, count);
                store_if::<S, U, PART>(d_th, to.v_th, first, count);
            }
        }
    }
}

/// What all workers share.
struct Shared<T> {
    inputs: Inputs<T>,
    arriving: Arriving<T>,
    to: Places<T>,
}

// SAFETY: workers read shared inputs and write to neurons of their own.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Real + Element> Shared<T> {
    /// # Panics
    /// If an array does not have the size the scan says.
    fn new(scan: &LifScan<'_>, arriving: &LifArriving<'_>, gradients: LifGradients<'_>) -> Self {
        let (all, neurons) = (scan.steps * scan.neurons, scan.neurons);
        let from = |arg: Option<Arg<'_>>, len: usize| {
            arg.map_or(null(), |arg| {
                let slice = arg.dense::<T>();
                assert_eq!(slice.len(), len, "gradients have the size of the scan");
                slice.as_ptr()
            })
        };
        let to = |buffer: Option<&mut Buffer>, len: usize| {
            buffer.map_or(null_mut(), |buffer| {
                let slice = buffer.as_mut_slice::<T>();
                assert_eq!(slice.len(), len, "gradients have the size of the scan");
                slice.as_mut_ptr()
            })
        };
        let [decay, drive, v_th] = match gradients.varying {
            Some(buffers) => buffers.map(|buffer| to(Some(buffer), neurons)),
            None => [null_mut(); 3],
        };
        Self {
            inputs: Inputs::new(scan),
            arriving: Arriving {
                spikes: from(arriving.spikes, all),
                potentials: from(arriving.potentials, all),
                v: from(arriving.v, neurons),
                i: from(arriving.i, neurons),
            },
            to: Places {
                x: to(Some(gradients.x), all),
                v: to(Some(gradients.v), neurons),
                i: to(gradients.i, neurons),
                decay,
                drive,
                v_th,
            },
        }
    }
}

pub(super) fn run<T: Real + Element>(
    cpu: &Cpu,
    scan: &LifScan<'_>,
    surrogate: Surrogate,
    arriving: &LifArriving<'_>,
    gradients: LifGradients<'_>,
) {
    let shared = Shared::<T>::new(scan, arriving, gradients);
    let step = &scan.step;
    assert!(step.synapse.is_none() || !(shared.inputs.i.is_null() || shared.to.i.is_null()), "a current has a place");
    let spikes = step.v_th.is_finite() || scan.varying.is_some();
    match (step.synapse.is_some(), step.refractory > 0, scan.varying.is_some()) {
        (false, _, true) => on::<T, false, true, true, true>(cpu, scan, surrogate, &shared),
        (true, _, true) => unreachable!("front ends do not vary the constants of neurons with synaptic currents"),
        (false, ..) if !spikes => on::<T, false, false, false, false>(cpu, scan, surrogate, &shared),
        (true, ..) if !spikes => on::<T, true, false, false, false>(cpu, scan, surrogate, &shared),
        (false, false, false) => on::<T, false, false, false, true>(cpu, scan, surrogate, &shared),
        (false, true, false) => on::<T, false, true, false, true>(cpu, scan, surrogate, &shared),
        (true, _, false) => on::<T, true, true, false, true>(cpu, scan, surrogate, &shared),
    }
}

fn on<T: Real + Element, const EXP: bool, const HOLD: bool, const VARY: bool, const SPIKE: bool>(
    cpu: &Cpu,
    scan: &LifScan<'_>,
    surrogate: Surrogate,
    shared: &Shared<T>,
) {
    let inputs = &shared.inputs;
    assert!(!SPIKE || inputs.steps == 0 || inputs.neurons == 0 || !inputs.x.is_null(), "there is an input");
    // The widest lanes have 16 elements.
    let row = VECTORS * 16;
    let room = if SPIKE { scan.steps * row * if VARY { 2 } else { 1 } } else { 0 };
    cpu.split(scan.neurons, super::grain(scan.steps), &|range| {
        with_scratch::<T, _>(room, |scratch| {
            let job = Backward::<T, EXP, HOLD, VARY, SPIKE> {
                step: scan.step,
                surrogate,
                inputs: shared.inputs,
                arriving: shared.arriving,
                to: shared.to,
                scratch: scratch.as_mut_ptr(),
            };
            // SAFETY: `split` hands out disjoint ranges of the neurons there are.
            dispatch(cpu.isa, unsafe { Sweep::new(&job, range) });
        });
    });
}
