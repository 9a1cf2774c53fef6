//! Pooling: maximum, average and global average over windows, channels-last, with vectors of channels.
//!
//! Memory order is that of [`ConvShape`](super::conv::ConvShape): input `[n, h, w, c]`, output `[n, out_h, out_w, c]`. One
//! dimension is a height of 1. Every output element is computed by one worker in an order that follows from the sizes,
//! so results are the same bits for any number of workers.
//!
//! Maxima are exact. Averages are sums over the window, row by row, divided once: within `K` roundings of the exact sum
//! of `K` elements, on every instruction set the same bits. Global averages sum blocks of [`GLOBAL_BLOCK`] pixels.
#![allow(unsafe_code)]

mod backward;
mod forward;
mod global;
mod shape;

#[cfg(test)]
mod tests;

pub use backward::{avg_pool_backward, max_pool_backward, max_pool_relu_backward};
pub use forward::{avg_pool_forward, max_pool_forward, max_pool_relu_forward};
pub use global::{GLOBAL_BLOCK, global_avg_backward, global_avg_forward};
pub use shape::{PoolOptions, PoolShape};
