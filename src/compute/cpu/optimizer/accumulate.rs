//! Sums of gradients in place.
#![allow(unsafe_code)]

use super::walk::{Half, MOST_LANES, load_first_half};
use crate::compute::backend::Arg;
use crate::compute::cpu::lanes::{Float, Single, SingleKernel, Vector, dispatch_single};
use crate::compute::cpu::map::{Map, update};
use crate::compute::cpu::{Cpu, Parts};
use crate::compute::dtype::{DType, bf16, f16};
use crate::compute::memory::Buffer;

/// Elements worth a worker.
const WORTH: usize = 16_384;

#[derive(Clone, Copy)]
struct Sum;

impl<T: Float> Map<T, 2, 1> for Sum {
    const GRAIN: usize = WORTH;
    #[inline(always)]
    fn lanes<V: Vector<Elem = T>>(self, [a, b]: [V; 2]) -> [V; 1] {
        [a + b]
    }
}

/// `out[i] += x[i]` in memory order. Sixteen-bit types add in `f32` and round to nearest even. The same bits on every
/// instruction set.
///
/// # Panics
/// If lengths or types differ, the type is not floating point, or the argument has gaps.
pub fn accumulate(cpu: &Cpu, x: Arg<'_>, out: &mut Buffer) {
    match out.dtype() {
        DType::F32 => update(cpu, Sum, [out.as_mut_slice::<f32>()], [x.dense()]),
        DType::F64 => update(cpu, Sum, [out.as_mut_slice::<f64>()], [x.dense()]),
        DType::Bf16 => add_halves::<bf16>(cpu, x.dense(), out.as_mut_slice()),
        DType::F16 => add_halves::<f16>(cpu, x.dense(), out.as_mut_slice()),
        other => unreachable!("front ends do not add up gradients of {other}"),
    }
}

fn add_halves<H: Half + Send + Sync>(cpu: &Cpu, x: &[H], out: &mut [H]) {
    assert_eq!(x.len(), out.len(), "gradients differ in length");
    let parts = Parts::new(out);
    cpu.split(x.len(), WORTH, &|range| {
        // SAFETY: the ranges of different workers are disjoint.
        let out = unsafe { parts.piece(range.clone()) };
        dispatch_single(cpu.isa, AddHalves { x: &x[range], out });
    });
}

struct AddHalves<'a, H> {
    x: &'a [H],
    /// As long as `x`.
    out: &'a mut [H],
}

impl<H: Half> SingleKernel for AddHalves<'_, H> {
    type Output = ();
    #[inline(always)]
    fn run<V: Single>(self) {
        let (x, out, len) = (self.x.as_ptr(), self.out.as_mut_ptr(), self.x.len());
        let mut at = 0;
        while at + V::LANES <= len {
            // SAFETY: `LANES` elements from `at` on lie in both slices.
            unsafe { H::store(H::load::<V>(out.add(at)) + H::load::<V>(x.add(at)), out.add(at)) };
            at += V::LANES;
        }
        if at < len {
            let n = len - at;
            let mut rounded = [H::default(); MOST_LANES];
            // SAFETY: `n` elements, fewer than `LANES`, are left in both slices.
            unsafe {
                let sum = load_first_half::<H, V>(out.add(at), n) + load_first_half::<H, V>(x.add(at), n);
                H::store(sum, rounded.as_mut_ptr());
                std::ptr::copy_nonoverlapping(rounded.as_ptr(), out.add(at), n);
            }
        }
    }
}
