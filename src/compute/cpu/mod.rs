//! Kernels of the dense layer on the CPU. Each takes a [`Cpu`] (workers and instruction set) and plain slices.
//!
//! Two promises hold for every kernel here. Its result is the same bits for any number of workers: work is cut along
//! boundaries that follow from the sizes alone, and partial sums are added in a fixed order. And on another instruction
//! set it agrees within the tolerance stated beside it, since sums are grouped by lane and products fused where the
//! machine can.

mod backend;
pub mod batch_norm;
pub mod binary;
pub mod cast;
pub mod columns;
pub mod compare;
pub mod conv;
pub mod copy;
pub mod cross_entropy;
pub mod gemm;
pub mod lanes;
pub mod layer_norm;
pub mod lif;
pub mod map;
pub mod math;
pub mod optimizer;
pub mod pair_loss;
mod parts;
pub mod pooling;
pub mod random;
pub mod reduce;
mod row;
mod scratch;
pub mod softmax;
pub mod sparse;
pub mod standardise;
mod strided;
pub mod unary;
pub mod walk;

pub use backend::CpuBackend;
pub use parts::{GRANULE, Parts, blocks, column_share};

use super::{Crew, Isa};

/// Where kernels run: a crew of workers and the instruction set they use.
#[derive(Debug)]
pub struct Cpu {
    /// The workers.
    pub crew: Crew,
    /// The instruction set.
    pub isa: Isa,
}

impl Cpu {
    /// `workers` workers (at least one) on the fastest instruction set of this machine.
    pub fn new(workers: usize) -> Self {
        Self { crew: Crew::new(workers), isa: Isa::detect() }
    }

    /// The same on a chosen instruction set.
    pub fn with_isa(workers: usize, isa: Isa) -> Self {
        Self { crew: Crew::new(workers), isa }
    }

    /// Calls `job` with consecutive ranges that cover `0..len`, on all workers where `len` is worth it (at least
    /// two times `grain`), else on the caller. For work whose result does not depend on where it is cut.
    #[inline]
    pub fn split(&self, len: usize, grain: usize, job: &(dyn Fn(std::ops::Range<usize>) + Sync)) {
        let workers = self.crew.size().min(len / grain.max(1));
        if workers <= 1 {
            return job(0..len);
        }
        // Cut at multiples of a cache line of the smallest element, so that no two workers write to one line.
        let each = len.div_ceil(workers).next_multiple_of(64);
        self.crew.run(&|worker| {
            let start = (worker * each).min(len);
            let end = (start + each).min(len);
            if start < end {
                job(start..end);
            }
        });
    }
}
