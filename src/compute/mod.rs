//! Where work is done: instruction sets, vector lanes, memory for large arrays, worker threads, and the kernels that
//! stream over synapses. Kernels see arrays and numbers only.

mod arena;
pub mod ars;
pub mod clock;
pub mod cpu;
pub mod input;
mod isa;
mod mailbox;
pub mod poisson;
pub mod records;
mod rows;
pub mod simd;
mod threads;

pub use arena::{HugeVec, Zeroed};
pub use isa::Isa;
pub use mailbox::Mailbox;
pub use rows::Rows;
pub use threads::{Barrier, Crew};
