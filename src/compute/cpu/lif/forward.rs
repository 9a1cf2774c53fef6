//! The forward pass.
#![allow(unsafe_code)]

use super::super::Cpu;
use super::tile::{Sweep, TileJob, load, store, store_if};
use crate::compute::Element;
use crate::compute::lif::{LifOut, LifScan, LifStep, Reset};
use crate::compute::simd::{Lanes, Real, dispatch};
use std::ptr::null_mut;

/// The inputs of a scan as kernels see them. `varying` is null where constants are shared.
#[derive(Clone, Copy)]
pub(super) struct Inputs<T> {
    pub steps: usize,
    pub neurons: usize,
    pub x: *const T,
    /// Elements from one step's input to the next.
    pub x_step: usize,
    pub v: *const T,
    pub i: *const T,
    pub held: *const T,
    pub decay: *const T,
    pub drive: *const T,
    pub v_th: *const T,
}

impl<T: Real + Element> Inputs<T> {
    /// # Panics
    /// If an input is shorter than the scan says.
    pub(super) fn new(scan: &LifScan<'_>) -> Self {
        let neurons = scan.neurons;
        let per_neuron = |values: &[T]| {
            assert_eq!(values.len(), neurons, "one number each neuron");
            values.as_ptr()
        };
        let (mut x, mut x_step) = (std::ptr::null(), 0);
        if let Some(arg) = scan.x.filter(|_| scan.steps > 0 && neurons > 0) {
            let from = &arg.buffer.as_slice::<T>()[arg.layout.offset..];
            (x, x_step) = (from.as_ptr(), arg.layout.strides[0]);
            assert!((scan.steps - 1) * x_step + neurons <= from.len(), "the input holds all steps");
        }
        let varying = scan.varying;
        let pick = |value: Option<crate::compute::Arg<'_>>| {
            value.map_or(std::ptr::null(), |value| per_neuron(value.dense::<T>()))
        };
        Self {
            steps: scan.steps,
            neurons,
            x,
            x_step,
            v: per_neuron(scan.v.dense::<T>()),
            i: pick(scan.i),
            held: per_neuron(scan.held.dense::<T>()),
            decay: pick(varying.map(|varying| varying.decay)),
            drive: pick(varying.map(|varying| varying.drive)),
            v_th: pick(varying.map(|varying| varying.v_th)),
        }
    }
}

/// The constants of a tile. Where all neurons share them, the entries are one value.
pub(super) struct Constants<S, const U: usize> {
    pub decay: [S; U],
    pub drive: [S; U],
    pub v_th: [S; U],
    pub v_reset: S,
    /// Threshold less reset.
    pub width: [S; U],
    pub fade: S,
    pub from_syn: S,
    pub refractory: S,
    pub one: S,
    pub zero: S,
}

impl<S: Lanes, const U: usize> Constants<S, U> {
    /// # Safety
    /// As [`load`], of `inputs` at `first`.
    #[inline(always)]
    pub(super) unsafe fn new<const VARY: bool, const PART: bool>(
        step: &LifStep,
        inputs: &Inputs<S::Elem>,
        first: usize,
        count: usize,
    ) -> Self {
        let c = |value: f64| S::splat(S::Elem::of(value));
        let (fade, from_syn) = step.synapse.unwrap_or_default();
        let v_reset = c(step.v_reset);
        let (decay, drive, v_th) = if VARY {
            // SAFETY: the caller's promise.
            unsafe {
                (
                    load::<S, U, PART>(inputs.decay.add(first), count),
                    load::<S, U, PART>(inputs.drive.add(first), count),
                    load::<S, U, PART>(inputs.v_th.add(first), count),
                )
            }
        } else {
            ([c(step.decay); U], [c(step.drive); U], [c(step.v_th); U])
        };
        let mut width = [v_reset; U];
        for u in 0..U {
            width[u] = v_th[u].sub(v_reset);
        }
        Self {
            decay,
            drive,
            v_th,
            v_reset,
            width,
            fade: c(fade),
            from_syn: c(from_syn),
            refractory: c(f64::from(step.refractory)),
            one: c(1.0),
            zero: c(0.0),
        }
    }
}

/// The state of a tile.
#[derive(Clone, Copy)]
pub(super) struct State<S, const U: usize> {
    pub v: [S; U],
    pub i: [S; U],
    pub held: [S; U],
}

impl<S: Lanes, const U: usize> State<S, U> {
    /// # Safety
    /// As [`load`], of `inputs` at `first`.
    #[inline(always)]
    pub(super) unsafe fn load<const EXP: bool, const HOLD: bool, const PART: bool>(
        inputs: &Inputs<S::Elem>,
        first: usize,
        count: usize,
    ) -> Self {
        let zero = [S::splat(S::Elem::ZERO); U];
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                v: load::<S, U, PART>(inputs.v.add(first), count),
                i: if EXP { load::<S, U, PART>(inputs.i.add(first), count) } else { zero },
                held: if HOLD { load::<S, U, PART>(inputs.held.add(first), count) } else { zero },
            }
        }
    }

    /// Takes vector `u` through one step: (potential before the comparison, who is held, who spikes).
    #[inline(always)]
    pub(super) fn step<const EXP: bool, const HOLD: bool>(
        &mut self,
        u: usize,
        x: S,
        c: &Constants<S, U>,
        by_subtraction: bool,
    ) -> (S, S::Mask, S::Mask) {
        let mut next = self.v[u].mul(c.decay[u]).add(c.drive[u]);
        if EXP {
            next = next.add(self.i[u].mul(c.from_syn));
            self.i[u] = self.i[u].mul(c.fade).add(x);
        } else {
            next = next.add(x);
        }
        let mut spiked = next.ge(c.v_th[u]);
        let held = self.held[u].ge(c.one);
        let mut kept = next;
        if HOLD {
            spiked = S::and_not(spiked, held);
            kept = S::select(held, self.v[u], next);
            self.held[u] = S::select(spiked, c.refractory, self.held[u].sub(c.one).max(c.zero));
        }
        let reset = if by_subtraction { next.sub(c.width[u]) } else { c.v_reset };
        self.v[u] = S::select(spiked, reset, kept);
        (next, held, spiked)
    }
}

struct Forward<T, const EXP: bool, const HOLD: bool, const VARY: bool> {
    step: LifStep,
    inputs: Inputs<T>,
    spikes: *mut T,
    potentials: *mut T,
    v: *mut T,
    i: *mut T,
    held: *mut T,
}

// SAFETY: workers read shared inputs and write to neurons of their own.
unsafe impl<T, const EXP: bool, const HOLD: bool, const VARY: bool> Sync for Forward<T, EXP, HOLD, VARY> {}

impl<T: Real, const EXP: bool, const HOLD: bool, const VARY: bool> TileJob<T> for Forward<T, EXP, HOLD, VARY> {
    #[inline(always)]
    unsafe fn tile<S: Lanes<Elem = T>, const U: usize, const PART: bool>(&self, first: usize, count: usize) {
        let inputs = &self.inputs;
        let by_subtraction = self.step.reset == Reset::BySubtraction;
        // SAFETY: the neurons exist, so every array has elements for them in every step (checked in `run`).
        unsafe {
            let c = Constants::<S, U>::new::<VARY, PART>(&self.step, inputs, first, count);
            let mut state = State::<S, U>::load::<EXP, HOLD, PART>(inputs, first, count);
            for t in 0..inputs.steps {
                let x = load::<S, U, PART>(inputs.x.add(t * inputs.x_step + first), count);
                let mut spikes = [c.zero; U];
                for u in 0..U {
                    let (_, _, spiked) = state.step::<EXP, HOLD>(u, x[u], &c, by_subtraction);
                    spikes[u] = S::select(spiked, c.one, c.zero);
                }
                let at = t * inputs.neurons + first;
                store_if::<S, U, PART>(spikes, self.spikes, at, count);
                store_if::<S, U, PART>(state.v, self.potentials, at, count);
            }
            store::<S, U, PART>(state.v, self.v.add(first), count);
            store_if::<S, U, PART>(state.i, self.i, first, count);
            store::<S, U, PART>(state.held, self.held.add(first), count);
        }
    }
}

/// Pointers to where results go, with their lengths checked.
fn places<T: Real + Element>(scan: &LifScan<'_>, out: LifOut<'_>) -> [*mut T; 5] {
    let (all, neurons) = (scan.steps * scan.neurons, scan.neurons);
    let place = |buffer: Option<&mut crate::compute::Buffer>, len: usize| {
        buffer.map_or(null_mut(), |buffer| {
            let slice = buffer.as_mut_slice::<T>();
            assert_eq!(slice.len(), len, "outputs have the size of the scan");
            slice.as_mut_ptr()
        })
    };
    [
        place(out.spikes, all),
        place(out.potentials, all),
        place(Some(out.v), neurons),
        place(out.i, neurons),
        place(Some(out.held), neurons),
    ]
}

pub(super) fn run<T: Real + Element>(cpu: &Cpu, scan: &LifScan<'_>, out: LifOut<'_>) {
    let inputs = Inputs::<T>::new(scan);
    let places = places::<T>(scan, out);
    match (scan.step.synapse.is_some(), scan.step.refractory > 0, scan.varying.is_some()) {
        (false, _, true) => on::<T, false, true, true>(cpu, scan, inputs, places),
        (true, _, true) => unreachable!("front ends do not vary the constants of neurons with synaptic currents"),
        (false, false, false) => on::<T, false, false, false>(cpu, scan, inputs, places),
        (false, true, false) => on::<T, false, true, false>(cpu, scan, inputs, places),
        (true, _, false) => on::<T, true, true, false>(cpu, scan, inputs, places),
    }
}

fn on<T: Real + Element, const EXP: bool, const HOLD: bool, const VARY: bool>(
    cpu: &Cpu,
    scan: &LifScan<'_>,
    inputs: Inputs<T>,
    [spikes, potentials, v, i, held]: [*mut T; 5],
) {
    assert!(inputs.steps == 0 || inputs.neurons == 0 || !inputs.x.is_null(), "there is an input");
    assert!(!EXP || !(inputs.i.is_null() || i.is_null()), "a synaptic current has a place");
    let job = Forward::<T, EXP, HOLD, VARY> { step: scan.step, inputs, spikes, potentials, v, i, held };
    cpu.split(scan.neurons, super::grain(scan.steps), &|range| {
        // SAFETY: `split` hands out disjoint ranges of the neurons there are.
        dispatch(cpu.isa, unsafe { Sweep::new(&job, range) });
    });
}
