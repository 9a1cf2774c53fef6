//! 16-bit floating point by way of `f32`: blocks are widened, computed, and rounded once. A block fits the first-level
//! cache, so the detour costs little beside the memory.
#![allow(unsafe_code)]

use crate::compute::cpu::{Cpu, Parts};
use crate::compute::dtype::{bf16, f16};
use std::ops::Range;

/// Elements of a block.
const BLOCK: usize = 1024;
/// Elements that are worth a worker.
const GRAIN: usize = 8192;

/// A floating-point type of 16 bits.
pub(super) trait Narrow: crate::compute::Element {
    /// Widens, exactly.
    fn widen(x: &[Self], wide: &mut [f32]);
    /// Rounds to nearest even.
    fn narrow(wide: &[f32], x: &mut [Self]);
}

macro_rules! narrow {
    ($t:ty) => {
        impl Narrow for $t {
            fn widen(x: &[Self], wide: &mut [f32]) {
                x.convert_to_f32_slice(wide);
            }
            fn narrow(wide: &[f32], x: &mut [Self]) {
                x.convert_from_f32_slice(wide);
            }
        }
    };
}
use half::slice::HalfFloatSliceExt as _;
narrow!(f16);
narrow!(bf16);

/// `out = block(a)`.
pub(super) fn map1<T: Narrow>(cpu: &Cpu, a: &[T], out: &mut [T], block: &(dyn Fn(&[f32], &mut [f32]) + Sync)) {
    spread(cpu, out, &|range, out| {
        let (mut x, mut y) = ([0f32; BLOCK], [0f32; BLOCK]);
        let n = range.len();
        T::widen(&a[range], &mut x[..n]);
        block(&x[..n], &mut y[..n]);
        T::narrow(&y[..n], out);
    });
}

/// A function of two blocks.
type Pairs<'a> = dyn Fn(&[f32], &[f32], &mut [f32]) + Sync + 'a;

/// `out = block(a, b)`.
pub(super) fn map2<T: Narrow>(cpu: &Cpu, a: &[T], b: &[T], out: &mut [T], block: &Pairs<'_>) {
    spread(cpu, out, &|range, out| {
        let (mut x, mut y, mut z) = ([0f32; BLOCK], [0f32; BLOCK], [0f32; BLOCK]);
        let n = range.len();
        T::widen(&a[range.clone()], &mut x[..n]);
        T::widen(&b[range], &mut y[..n]);
        block(&x[..n], &y[..n], &mut z[..n]);
        T::narrow(&z[..n], out);
    });
}

/// What is done to a range of the output.
type Job<'a, T> = dyn Fn(Range<usize>, &mut [T]) + Sync + 'a;

fn spread<T: Narrow>(cpu: &Cpu, out: &mut [T], job: &Job<'_, T>) {
    let len = out.len();
    let parts = Parts::new(out);
    cpu.split(len, GRAIN, &|range| {
        let mut start = range.start;
        while start < range.end {
            let piece = start..(start + BLOCK).min(range.end);
            // SAFETY: `split` deals every index once, and pieces of a range follow one another.
            job(piece.clone(), unsafe { parts.piece(piece.clone()) });
            start = piece.end;
        }
    });
}
