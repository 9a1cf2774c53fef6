//! One worker's share of a product: blocking, packing, and the tiles in turn.

use std::ops::Range;

use super::kernels::{Kernels, PANEL_VECTORS, SLACK};
use super::micro::Tile;
use super::plan::Blocks;
use super::scratch::Scratch;

/// An operand in memory. Strides count units.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand<U> {
    /// As given: distances from one lane (row of A, column of B) to the next and from one step of k to the next.
    Plain { start: *const U, lane: usize, step: usize },
    /// B in panels of two vectors, each with all of k.
    Panels { start: *const U },
}

/// A product with C by rows.
#[derive(Debug)]
pub(super) struct Problem<U: 'static, S: 'static> {
    pub kernels: &'static Kernels<U, S>,
    pub m: usize,
    pub n: usize,
    /// Steps of k, in units.
    pub k: usize,
    pub a: Operand<U>,
    pub b: Operand<U>,
    pub c: *mut S,
    pub c_row: usize,
    pub add: bool,
    /// What the tile kernels add and apply themselves, or null.
    pub bias_cols: *const S,
    pub bias_rows: *const S,
    pub relu: bool,
}

// SAFETY: the pointers of a problem name operands that are only read, and an output of which every worker writes its
// own part; whoever makes a problem vouches for both.
unsafe impl<U, S> Sync for Problem<U, S> {}

/// Sizes of the `count` nearly equal parts of `len`, as (start, length) of part `index`: the first ones are larger by
/// one.
pub(super) fn equal_part(len: usize, count: usize, index: usize) -> Range<usize> {
    let (each, extra) = (len / count, len % count);
    let start = index * each + index.min(extra);
    start..start + each + usize::from(index < extra)
}

impl<U: Copy, S: Copy> Problem<U, S> {
    /// Computes the rows and columns given, blocked as `blocks` says; `done(rows, columns)` is called for every block
    /// of C when it is final. Columns start at a multiple of the panel's width where B is in panels.
    ///
    /// # Safety
    /// The operands must be readable as described, C writable and not in use elsewhere within these rows and columns,
    /// and the machine must have the kernels' instruction set.
    pub unsafe fn run(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        blocks: Blocks,
        done: &mut dyn FnMut(Range<usize>, Range<usize>),
    ) {
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        let kernels = self.kernels;
        let unit = size_of::<U>();
        // All row tiles of the share have nearly the same number of rows, none more than the kernels can.
        let tiles = rows.len().div_ceil(kernels.most_rows());
        let tallest = rows.len().div_ceil(tiles);
        let vectors = match self.b {
            Operand::Plain { .. } if !blocks.pack_b => kernels.most_vectors(tallest),
            _ => PANEL_VECTORS,
        };
        let width = vectors * kernels.lanes;
        let tiles_in_block = (blocks.mc / tallest).clamp(1, tiles);
        let k_blocks = self.k.div_ceil(blocks.kc).max(1);
        let deepest = self.k.div_ceil(k_blocks);
        let a_units = if blocks.pack_a { tiles_in_block * tallest * deepest + SLACK } else { 0 };
        let a_bytes = (a_units * unit).next_multiple_of(64);
        let panels = cols.len().div_ceil(width);
        let panels_in_block = (blocks.nc / width).clamp(1, panels);
        let b_units = if blocks.pack_b { panels_in_block * width * deepest + SLACK } else { 0 };
        let mut scratch = Scratch::take(a_bytes + b_units * unit);
        let packed_a = scratch.as_mut_ptr().cast::<U>();
        // SAFETY: within the scratch memory.
        let packed_b = unsafe { scratch.as_mut_ptr().add(a_bytes) }.cast::<U>();
        let no_offset = 0isize;

        for first_panel in (0..panels).step_by(panels_in_block) {
            let block_panels = first_panel..(first_panel + panels_in_block).min(panels);
            let block_cols =
                cols.start + block_panels.start * width..(cols.start + block_panels.end * width).min(cols.end);
            for k_block in 0..k_blocks {
                let steps = equal_part(self.k, k_blocks, k_block);
                let last = k_block + 1 == k_blocks;
                for first_tile in (0..tiles).step_by(tiles_in_block) {
                    let block_tiles = first_tile..(first_tile + tiles_in_block).min(tiles);
                    let tile_rows = |tile| {
                        let part = equal_part(rows.len(), tiles, tile);
                        rows.start + part.start..rows.start + part.end
                    };
                    let block_rows = tile_rows(block_tiles.start).start..tile_rows(block_tiles.end - 1).end;
                    if blocks.pack_a {
                        for tile in block_tiles.clone() {
                            let tile = tile_rows(tile);
                            // SAFETY: the tiles of a block fill its part of the scratch memory in ascending order.
                            unsafe {
                                let to = packed_a.add((tile.start - block_rows.start) * steps.len());
                                self.pack(self.a, to, tile.len(), tile, steps.clone());
                            }
                        }
                    }
                    for panel in block_panels.clone() {
                        let panel_cols = cols.start + panel * width..(cols.start + (panel + 1) * width).min(cols.end);
                        let packed_panel = packed_b.wrapping_add((panel - block_panels.start) * width * steps.len());
                        if blocks.pack_b && first_tile == 0 {
                            // SAFETY: as for A; the panel is packed when the first rows need it, so it is in cache.
                            unsafe { self.pack(self.b, packed_panel, width, panel_cols.clone(), steps.clone()) };
                        }
                        let (b, b_step) = match self.b {
                            _ if blocks.pack_b => (packed_panel.cast_const(), width),
                            Operand::Plain { start, step, .. } => {
                                (start.wrapping_add(panel_cols.start + steps.start * step), step)
                            }
                            Operand::Panels { start } => {
                                (start.wrapping_add(panel_cols.start * self.k + steps.start * width), width)
                            }
                        };
                        let used = panel_cols.len().div_ceil(kernels.lanes);
                        for tile in block_tiles.clone() {
                            let tile = tile_rows(tile);
                            let (a, a_row, a_step) = match self.a {
                                Operand::Plain { start, lane, step } if !blocks.pack_a => {
                                    (start.wrapping_add(tile.start * lane + steps.start * step), lane, step)
                                }
                                _ => {
                                    let offset = (tile.start - block_rows.start) * steps.len();
                                    (packed_a.wrapping_add(offset).cast_const(), 1, tile.len())
                                }
                            };
                            let c = self.c.wrapping_add(tile.start * self.c_row + panel_cols.start);
                            let bias = |bias: *const S, at: usize| {
                                if last && !bias.is_null() { bias.wrapping_add(at) } else { std::ptr::null() }
                            };
                            let arguments = Tile {
                                a,
                                a_row,
                                a_step,
                                segments: &no_offset,
                                segment_count: 1,
                                depth: steps.len(),
                                b,
                                b_step,
                                c,
                                c_row: self.c_row,
                                last: panel_cols.len() - (used - 1) * kernels.lanes,
                                add: self.add || k_block > 0,
                                bias_cols: bias(self.bias_cols, panel_cols.start),
                                bias_rows: bias(self.bias_rows, tile.start),
                                relu: last && self.relu,
                            };
                            // SAFETY: the caller's promise, and packed operands lie in the scratch memory.
                            unsafe { kernels.tiles[tile.len() - 1][used - 1](&arguments) };
                        }
                    }
                    if last {
                        done(block_rows, block_cols.clone());
                    }
                }
            }
        }
    }

    /// Packs lanes and steps of an operand.
    ///
    /// # Safety
    /// As for [`PackFn`](super::kernels::PackFn).
    unsafe fn pack(&self, from: Operand<U>, to: *mut U, width: usize, lanes: Range<usize>, steps: Range<usize>) {
        let Operand::Plain { start, lane, step } = from else { unreachable!("panels are packed already") };
        // SAFETY: the caller's promise.
        unsafe {
            let from = start.add(lanes.start * lane + steps.start * step);
            (self.kernels.pack)(to, width, lanes.len(), steps.len(), from, lane, step);
        }
    }
}
