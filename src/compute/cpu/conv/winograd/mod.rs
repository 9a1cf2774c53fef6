//! Convolutions of three by three taps in a quarter of the multiplications: F(4x4, 3x3) of Winograd.
//!
//! Output pixels are cut into tiles of four by four. The six by six pixels that a tile reads become 36 coefficients, the
//! taps as well; 36 small products of matrices, over the channels, give the 36 coefficients of the output; see
//! [`transform`]. The gradient of the input is the same pass over the gradient of the output, with the taps turned round
//! and the channels exchanged; that of the weights is the transposed identity, summed over the tiles.
//!
//! Every coefficient of a product is one chain over the channels (of the gradient of the weights: over the tiles of a
//! block, whose number follows from the sizes), so results are the same bits for any number of workers.

mod pass;
mod tiles;
mod transform;
mod weight_gradient;
mod weights;

pub(super) use pass::{forward, input_gradient};
pub(super) use weight_gradient::weight_gradient;

use super::shape::{ConvAlgorithm, ConvShape};

/// Cost of a tile's 36 coefficients of one channel, there and back, in multiplications of the products.
const TRANSFORM_COST: usize = 600;
/// Cost of the 36 coefficients of a weight, while all of them stay in a cache and when they do not.
const WEIGHT_COST: usize = 400;
const FAR_WEIGHT_COST: usize = 2400;
/// Weights whose coefficients stay in a cache.
const NEAR_WEIGHTS: usize = 128 << 10;
/// Fewest channels: fewer leave lanes of the transforms empty.
const FEWEST_CHANNELS: usize = 16;

/// Whether passes of `shape` with elements of `bytes` bytes are computed this way.
pub(super) fn applies(shape: &ConvShape, bytes: usize) -> bool {
    match shape.options().algorithm {
        ConvAlgorithm::Direct => false,
        ConvAlgorithm::Winograd => true,
        ConvAlgorithm::Auto => bytes == 4 && shape.winograd_fits() && pays(shape),
    }
}

/// Whether fewer multiplications make up for the transforms: from the sizes alone, so that results do not depend on the
/// machine's load or the number of workers.
fn pays(shape: &ConvShape) -> bool {
    let (c_in, c_out) = (shape.c_in(), shape.c_out());
    let tiles = shape.n() * shape.out_h().div_ceil(transform::TILE) * shape.out_w().div_ceil(transform::TILE);
    let direct = shape.multiplications();
    let products = tiles * transform::COEFFICIENTS * c_in * c_out;
    let weight_cost = if c_in * c_out <= NEAR_WEIGHTS { WEIGHT_COST } else { FAR_WEIGHT_COST };
    let transforms = TRANSFORM_COST * tiles * (c_in + c_out) + weight_cost * c_in * c_out;
    // A tenth to be sure of.
    c_in.min(c_out) >= FEWEST_CHANNELS && (products + transforms) / 9 * 10 < direct
}

/// Elements of a row of `channels` channels in whole vectors.
fn row_of(channels: usize, lanes: usize) -> usize {
    channels.next_multiple_of(lanes)
}

/// `elements`, rounded up to an odd number of cache lines: arrays that far apart do not meet in the same set of a cache.
fn odd_lines<T>(elements: usize) -> usize {
    let line = 64 / size_of::<T>();
    let lines = elements.div_ceil(line);
    (lines | 1) * line
}
