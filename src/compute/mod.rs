//! Where work is done: instruction sets, vector lanes, memory for large arrays, worker threads.

mod arena;
pub mod clock;
mod isa;
pub mod simd;
mod threads;

pub use arena::HugeVec;
pub use isa::Isa;
pub use threads::{Barrier, Crew};
