//! The kernels of one instruction set for one kind of product.

use std::ops::Range;

use super::micro::TileFn;

/// Copies part of an operand to the order that tile kernels stream: `to[s * width + l]` is lane `l` of step `s`.
///
/// The arguments are `to`, the number of lanes written for each step (`width`), those of them that exist (`lanes`, the
/// rest become zero), the number of steps, `from`, and the distances in `from` between lanes and between steps.
///
/// # Safety
/// `to` must have room for `steps * width + SLACK` units (the last ones may be overwritten with anything), all named
/// units of `from` must be readable, and the machine must have the kernel's instruction set.
pub type PackFn<U> = unsafe fn(*mut U, usize, usize, usize, *const U, usize, usize);

/// The same for an operand of another type: converts it, and joins as many elements of k as a unit takes.
///
/// The arguments are `to`, the number of lanes written for each step, those of them that exist (the rest become zero),
/// the steps, the operand's first element, the distances in elements between lanes and between elements of k, and the
/// number of elements of k there are (those beyond become zero).
///
/// # Safety
/// As for [`PackFn`].
pub type NarrowPackFn<U> = unsafe fn(*mut U, usize, Range<usize>, Range<usize>, *const u8, usize, usize, usize);

/// Units behind a packed block that packing may overwrite.
pub(super) const SLACK: usize = 32;

/// Kernels for one instruction set. `U` and `S` as in [`Tile`](super::micro::Tile).
#[derive(Debug)]
pub struct Kernels<U: 'static, S: 'static> {
    /// Lanes of a vector.
    pub lanes: usize,
    /// `tiles[rows - 1][vectors - 1]`. Every list has two vectors at least; lists for few rows have more, which hides
    /// the latency of their few chains.
    pub tiles: &'static [&'static [TileFn<U, S>]],
    /// Packing of operands.
    pub pack: PackFn<U>,
}

impl<U, S> Kernels<U, S> {
    /// Most rows of a tile.
    pub fn most_rows(&self) -> usize {
        self.tiles.len()
    }

    /// Most vectors of a tile of `rows` rows.
    pub fn most_vectors(&self, rows: usize) -> usize {
        self.tiles[rows - 1].len()
    }

    /// Columns of a packed panel of B: those of a tile of two vectors.
    pub fn panel(&self) -> usize {
        PANEL_VECTORS * self.lanes
    }
}

/// Vectors in a packed panel of B.
pub(super) const PANEL_VECTORS: usize = 2;

/// `rows: vectors...` for every number of rows from 1.
macro_rules! tiles {
    ($tile:ident; $($m:literal: $($n:literal)+),+ $(,)?) => { &[$(&[$($tile::<$m, $n>),+]),+] };
}
/// Tiles for 32 vector registers. A single row takes up to 16 vectors, which reads B in long pieces.
macro_rules! tiles_of_32_registers {
    ($tile:ident) => {
        $crate::compute::cpu::gemm::kernels::tiles!($tile;
            1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16, 2: 1 2 3 4 5 6 7 8, 3: 1 2 3 4, 4: 1 2 3 4, 5: 1 2, 6: 1 2, 7: 1 2,
            8: 1 2, 9: 1 2, 10: 1 2, 11: 1 2, 12: 1 2, 13: 1 2, 14: 1 2)
    };
}
/// Fewer of them, for operands that are always packed.
macro_rules! tiles_of_panels {
    ($tile:ident) => {
        $crate::compute::cpu::gemm::kernels::tiles!($tile;
            1: 1 2, 2: 1 2, 3: 1 2, 4: 1 2, 5: 1 2, 6: 1 2, 7: 1 2, 8: 1 2, 9: 1 2, 10: 1 2, 11: 1 2, 12: 1 2, 13: 1 2,
            14: 1 2)
    };
}
/// Tiles for 16 vector registers.
macro_rules! tiles_of_16_registers {
    ($tile:ident) => {
        $crate::compute::cpu::gemm::kernels::tiles!($tile;
            1: 1 2 3 4 5 6 7 8, 2: 1 2 3 4, 3: 1 2 3, 4: 1 2, 5: 1 2, 6: 1 2)
    };
}
/// The same for 16 vector registers.
macro_rules! tiles_of_small_panels {
    ($tile:ident) => {
        $crate::compute::cpu::gemm::kernels::tiles!($tile; 1: 1 2, 2: 1 2, 3: 1 2, 4: 1 2, 5: 1 2, 6: 1 2)
    };
}
pub(super) use {tiles, tiles_of_16_registers, tiles_of_32_registers, tiles_of_panels, tiles_of_small_panels};
