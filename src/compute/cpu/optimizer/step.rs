//! One step of all parameters on all workers.
#![allow(unsafe_code)]

use super::equations::{Adam, AdamLargest, Centered, CenteredGathered, Gathered, Lion, Momentum, RmsProp, Sgd};
use super::walk::{Adjust, Half, Window, walk, walk_half};
use super::{MAX_STATE, Rule, Update};
use crate::compute::cpu::Cpu;
use crate::compute::cpu::lanes::Float;
use crate::compute::dtype::{DType, bf16, f16};
use crate::compute::isa::Isa;
use crate::compute::simd::Real;
use std::cell::RefCell;
use std::ptr::null_mut;

/// Elements below which another worker does not pay, about a microsecond of work.
const GRAIN: usize = 8_192;
/// Cuts through a parameter fall on multiples of this many elements, so that no two workers write to one line.
const GRANULE: usize = 64;

/// An [`Update`] as pointers.
#[derive(Clone, Copy)]
struct Segment {
    rule: Rule,
    /// Type of the parameter.
    dtype: DType,
    len: usize,
    /// What is stepped: the parameter or its master copy.
    values: *mut u8,
    /// The 16-bit parameter beside a master copy.
    copy: *mut u8,
    gradient: *const u8,
    state: [*mut u8; MAX_STATE],
}

/// Segments that may be seen by all workers.
struct Shared<'a>(&'a [Segment]);
// SAFETY: every worker writes its own elements only (`Segment::share`), and gradients are only read.
unsafe impl Sync for Shared<'_> {}

thread_local! {
    static SEGMENTS: RefCell<Vec<Segment>> = const { RefCell::new(Vec::new()) };
}

/// Steps every parameter once with its rule, after every gradient was multiplied by `scale` and then held within
/// `±bound`. Elementwise, so the same bits however the work is cut.
///
/// # Panics
/// If the columns of an update do not belong together; see [`Update`].
pub fn optimize(cpu: &Cpu, updates: &mut [Update<'_>], scale: f64, bound: f64) {
    SEGMENTS.with_borrow_mut(|segments| {
        segments.clear();
        segments.extend(updates.iter_mut().map(Segment::of));
        let total = segments.iter().map(|segment| segment.len).sum::<usize>();
        let workers = cpu.crew.size().min(total / GRAIN).max(1);
        let (shared, adjust) = (Shared(segments), Adjust { scale, bound });
        if workers == 1 {
            return share(&shared, cpu.isa, adjust, 0, 1);
        }
        cpu.crew.run(&|worker| {
            if worker < workers {
                share(&shared, cpu.isa, adjust, worker, workers);
            }
        });
    });
}

/// What one worker does.
fn share(segments: &Shared<'_>, isa: Isa, adjust: Adjust, worker: usize, workers: usize) {
    // All segments one after the other, each rounded up to whole granules and counted in bytes. Columns of a matrix, as
    // products give them to workers, would keep them in one cache, but the processor fetches ahead beyond the end of a
    // row's share, into lines that the neighbour has just written: a step of SGD on 784 x 256 took 88 us on two workers
    // so, and 18 us on one.
    let bytes = |s: &Segment| s.len.next_multiple_of(GRANULE) * s.value_size();
    let all: usize = segments.0.iter().map(bytes).sum();
    let cut = |worker: usize| (all as u128 * worker as u128 / workers as u128) as usize;
    let (first, last) = (cut(worker), cut(worker + 1));
    let mut before = 0;
    for segment in segments.0 {
        let granule = GRANULE * segment.value_size();
        let at = |cut: usize| (cut.saturating_sub(before).div_ceil(granule) * GRANULE).min(segment.len);
        let (start, end) = (at(first), at(last));
        if start < end {
            let window = Window { rows: 1, cols: end - start, stride: 0 };
            // SAFETY: the end of one worker's elements is the start of the next one's.
            unsafe { segment.run(isa, adjust, start, window) };
        }
        before += bytes(segment);
    }
}

impl Segment {
    fn of(update: &mut Update<'_>) -> Self {
        update.check();
        let (dtype, len) = (update.param.dtype(), update.param.len());
        let param = update.param.as_mut_bytes().as_mut_ptr();
        let (values, copy) = match &mut update.master {
            Some(master) => (master.as_mut_bytes().as_mut_ptr(), param),
            None => (param, null_mut()),
        };
        let mut state = [null_mut(); MAX_STATE];
        for (to, column) in state.iter_mut().zip(update.state.iter_mut().flatten()) {
            *to = column.as_mut_bytes().as_mut_ptr();
        }
        let gradient = update.gradient.buffer.as_bytes()[update.gradient.layout.offset * dtype.size()..].as_ptr();
        Self { rule: update.rule, dtype, len, values, copy, gradient, state }
    }

    /// Bytes of one stepped value.
    fn value_size(&self) -> usize {
        self.dtype.size().max(4)
    }

    /// Steps a window that begins at element `at`.
    ///
    /// # Safety
    /// The window lies within the segment, and no other thread works on its elements.
    unsafe fn run(&self, isa: Isa, adjust: Adjust, at: usize, window: Window) {
        // SAFETY: the pointers come from buffers of these types and of `len` elements (`Update::check`), borrowed
        // mutably for as long as the step takes; the rest is the caller's promise.
        unsafe {
            match self.dtype {
                DType::F64 => self.run_real::<f64>(isa, adjust, at, window),
                DType::F32 => self.run_real::<f32>(isa, adjust, at, window),
                DType::Bf16 => self.run_half::<bf16>(isa, adjust, at, window),
                DType::F16 => self.run_half::<f16>(isa, adjust, at, window),
                other => unreachable!("a parameter of {other}"),
            }
        }
    }

    /// The columns of state from element `at` on.
    unsafe fn state_at<T, const S: usize>(&self, at: usize) -> [*mut T; S] {
        // SAFETY: the caller's promise that `at` lies within the segment.
        std::array::from_fn(|i| unsafe { self.state[i].cast::<T>().add(at) })
    }
}

/// Calls `$run!(equation)` with the equation of a rule, its numbers rounded to `$t`.
macro_rules! with_equation {
    ($rule:expr, $t:ty, $run:ident) => {
        match $rule {
            Rule::Sgd { rate, decay } => $run!(Sgd { rate: <$t as Real>::of(rate), decay: <$t as Real>::of(decay) }),
            Rule::Momentum { rate, decay, keep, take, ahead, follow } => $run!(Momentum {
                rate: <$t as Real>::of(rate),
                decay: <$t as Real>::of(decay),
                keep: <$t as Real>::of(keep),
                take: <$t as Real>::of(take),
                ahead: <$t as Real>::of(ahead),
                follow: <$t as Real>::of(follow),
            }),
            Rule::Adam { rate, decay, shrink, beta1, beta2, root, epsilon, largest } => {
                let adam = Adam {
                    rate: <$t as Real>::of(rate),
                    decay: <$t as Real>::of(decay),
                    shrink: <$t as Real>::of(shrink),
                    beta1_rest: <$t as Real>::of(1.0 - beta1),
                    beta2: <$t as Real>::of(beta2),
                    beta2_rest: <$t as Real>::of(1.0 - beta2),
                    root: <$t as Real>::of(root),
                    epsilon: <$t as Real>::of(epsilon),
                };
                if largest { $run!(AdamLargest(adam)) } else { $run!(adam) }
            }
            Rule::Lion { rate, shrink, beta1, beta2 } => $run!(Lion {
                rate: <$t as Real>::of(rate),
                shrink: <$t as Real>::of(shrink),
                beta1: <$t as Real>::of(beta1),
                beta1_rest: <$t as Real>::of(1.0 - beta1),
                beta2: <$t as Real>::of(beta2),
                beta2_rest: <$t as Real>::of(1.0 - beta2),
            }),
            Rule::RmsProp { rate, decay, alpha, epsilon, momentum, centered } => {
                let plain = RmsProp {
                    rate: <$t as Real>::of(rate),
                    decay: <$t as Real>::of(decay),
                    alpha: <$t as Real>::of(alpha),
                    alpha_rest: <$t as Real>::of(1.0 - alpha),
                    epsilon: <$t as Real>::of(epsilon),
                    momentum: <$t as Real>::of(momentum.unwrap_or(0.0)),
                };
                match (centered, momentum.is_some()) {
                    (false, false) => $run!(plain),
                    (true, false) => $run!(Centered(plain)),
                    (false, true) => $run!(Gathered(plain)),
                    (true, true) => $run!(CenteredGathered(plain)),
                }
            }
        }
    };
}

impl Segment {
    /// # Safety
    /// As for [`Segment::run`]; values, gradient and state are of type `T`.
    unsafe fn run_real<T: Float>(&self, isa: Isa, adjust: Adjust, at: usize, window: Window) {
        // SAFETY: the caller's promise.
        let (values, gradient) = unsafe { (self.values.cast::<T>().add(at), self.gradient.cast::<T>().add(at)) };
        macro_rules! run {
            ($equation:expr) => {
                // SAFETY: the caller's promise; the rule keeps as many columns as its equation takes.
                unsafe { walk(isa, $equation, adjust, values, gradient, self.state_at(at), window) }
            };
        }
        with_equation!(self.rule, T, run);
    }

    /// # Safety
    /// As for [`Segment::run`]; values and state are `f32`, copy and gradient of type `H`.
    unsafe fn run_half<H: Half>(&self, isa: Isa, adjust: Adjust, at: usize, window: Window) {
        // SAFETY: the caller's promise.
        let (values, halves) = unsafe {
            let halves = (self.copy.cast::<H>().add(at), self.gradient.cast::<H>().add(at));
            (self.values.cast::<f32>().add(at), halves)
        };
        macro_rules! run {
            ($equation:expr) => {
                // SAFETY: the caller's promise; the rule keeps as many columns as its equation takes.
                unsafe { walk_half(isa, $equation, adjust, values, halves, self.state_at(at), window) }
            };
        }
        with_equation!(self.rule, f32, run);
    }
}
