//! One worker's share of a product: blocking, packing, and the tiles in turn.

use std::ops::Range;

use super::kernels::{Kernels, NarrowPackFn, PANEL_VECTORS, SLACK};
use super::micro::Tile;
use super::plan::Blocks;
use super::scratch::Scratch;

/// An operand in memory. Strides count units.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand<U> {
    /// As given: distances from one lane (row of A, column of B) to the next and from one step of k to the next.
    Plain { start: *const U, lane: usize, step: usize },
    /// Of another type, to be converted while it is packed: distances as for `Plain`, but in elements of which a unit
    /// may take several, from one element of k to the next, and the number of elements.
    Narrow { start: *const u8, lane: usize, element: usize, elements: usize, pack: NarrowPackFn<U> },
    /// B in panels of two vectors, each with all of k.
    Panels { start: *const U },
}

/// What happens to blocks of C besides the products.
pub(super) trait Sink {
    /// Called before the first product of a block is added.
    ///
    /// # Safety
    /// As for [`Problem::run`].
    unsafe fn begin(&mut self, rows: Range<usize>, cols: Range<usize>);

    /// Called when all products of a block are in it.
    ///
    /// # Safety
    /// As for [`Problem::run`].
    unsafe fn end(&mut self, rows: Range<usize>, cols: Range<usize>);
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
    /// Whether C has room for one block only, from whose first element `c` counts; then k must be in one block.
    pub window: bool,
    pub add: bool,
    /// What the tile kernels add and apply themselves, or null.
    pub bias_cols: *const S,
    pub bias_rows: *const S,
    pub relu: bool,
}

// SAFETY: the pointers of a problem name operands that are only read, and an output of which every worker writes its
// own part; whoever makes a problem vouches for both.
unsafe impl<U, S> Sync for Problem<U, S> {}

/// Bytes of C that are likely to be in the second-level cache.
const FETCHED: usize = 128 << 10;

/// Part `index` of `count` nearly equal parts of `0..len`: the first ones are larger by one.
#[inline]
pub(super) fn equal_part(len: usize, count: usize, index: usize) -> Range<usize> {
    let (each, extra) = (len / count, len % count);
    let start = index * each + index.min(extra);
    start..start + each + usize::from(index < extra)
}

/// Memory to be fetched while a panel is worked on: `piece` bytes further for each tile, `step` for each step.
#[derive(Clone, Copy)]
struct Ahead {
    start: *const u8,
    piece: usize,
    step: usize,
    /// Tiles that fetch.
    tiles: usize,
}

/// What blocks of one share have in common.
struct Share<'a, U: 'static, S: 'static> {
    problem: &'a Problem<U, S>,
    blocks: Blocks,
    rows: Range<usize>,
    cols: Range<usize>,
    /// Tiles of rows, nearly equal in height.
    tiles: usize,
    /// Columns of a panel.
    width: usize,
    /// Packed panels that are kept before they are overwritten.
    kept_panels: usize,
    /// Whether C is so large that it has to be fetched from memory.
    fetch_c: bool,
    packed_a: *mut U,
    packed_b: *mut U,
}

impl<U: Copy, S: Copy> Problem<U, S> {
    /// Computes the rows and columns given, blocked as `blocks` says. Columns start at a multiple of the panel's width where B is in panels.
    ///
    /// # Safety
    /// The operands must be readable as described, C writable and not in use elsewhere within these rows and columns,
    /// and the machine must have the kernels' instruction set.
    pub unsafe fn run(&self, rows: Range<usize>, cols: Range<usize>, blocks: Blocks, sink: &mut dyn Sink) {
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        let unit = size_of::<U>();
        let tiles = rows.len().div_ceil(self.kernels.most_rows().min(blocks.tallest));
        let tallest = rows.len().div_ceil(tiles);
        let vectors = match self.b {
            Operand::Plain { .. } if !blocks.pack_b => self.kernels.most_vectors(tallest).min(blocks.widest),
            _ => PANEL_VECTORS,
        };
        let width = vectors * self.kernels.lanes;
        let tiles_in_block = (blocks.mc / tallest).clamp(1, tiles);
        let panels = cols.len().div_ceil(width);
        let panels_in_block = (blocks.nc / width).clamp(1, panels);
        let k_blocks = self.k.div_ceil(blocks.kc).max(1);
        let deepest = self.k.div_ceil(k_blocks);

        let a_units = if blocks.pack_a { tiles_in_block * tallest * deepest + SLACK } else { 0 };
        // With all rows in one block every packed panel is used up before the next one is packed.
        let kept_panels = if tiles_in_block < tiles { panels_in_block } else { 1 };
        let b_units = if blocks.pack_b { kept_panels * width * deepest + SLACK } else { 0 };
        let a_bytes = (a_units * unit).next_multiple_of(64);
        let mut scratch = Scratch::take(a_bytes + b_units * unit);
        let packed_a = scratch.as_mut_ptr().cast::<U>();
        let packed_b = scratch.as_mut_ptr().wrapping_add(a_bytes).cast::<U>();
        let fetch_c = rows.len() * cols.len() * size_of::<S>() > FETCHED;
        let share = Share { problem: self, blocks, rows, cols, tiles, width, kept_panels, fetch_c, packed_a, packed_b };

        for first_panel in (0..panels).step_by(panels_in_block) {
            let panels = first_panel..(first_panel + panels_in_block).min(panels);
            for k_block in 0..k_blocks {
                let steps = equal_part(self.k, k_blocks, k_block);
                let last = k_block + 1 == k_blocks;
                for first_tile in (0..tiles).step_by(tiles_in_block) {
                    let tiles = first_tile..(first_tile + tiles_in_block).min(tiles);
                    let rows = share.tile(tiles.start).start..share.tile(tiles.end - 1).end;
                    let cols = share.panel(panels.start).start..share.panel(panels.end - 1).end;
                    // SAFETY: the caller's promise; the scratch memory has room for packed blocks of these sizes.
                    unsafe {
                        if k_block == 0 {
                            sink.begin(rows.clone(), cols.clone());
                        }
                        share.block(panels.clone(), tiles.clone(), steps.clone(), last);
                        if last {
                            sink.end(rows, cols);
                        }
                    }
                }
            }
        }
    }
}

impl<U: Copy, S: Copy> Share<'_, U, S> {
    /// Rows of tile `index`.
    #[inline]
    fn tile(&self, index: usize) -> Range<usize> {
        let part = equal_part(self.rows.len(), self.tiles, index);
        self.rows.start + part.start..self.rows.start + part.end
    }

    /// Columns of panel `index`.
    #[inline]
    fn panel(&self, index: usize) -> Range<usize> {
        let start = self.cols.start + index * self.width;
        start..(start + self.width).min(self.cols.end)
    }

    /// Packs lanes and steps of an operand.
    ///
    /// # Safety
    /// As for [`PackFn`](super::kernels::PackFn).
    unsafe fn pack(&self, from: Operand<U>, to: *mut U, width: usize, lanes: Range<usize>, steps: Range<usize>) {
        // SAFETY: the caller's promise.
        unsafe {
            match from {
                Operand::Plain { start, lane, step } => {
                    let from = start.wrapping_add(lanes.start * lane + steps.start * step);
                    (self.problem.kernels.pack)(to, width, lanes.len(), steps.len(), from, lane, step);
                }
                Operand::Narrow { start, lane, element, elements, pack } => {
                    pack(to, width, lanes, steps, start, lane, element, elements);
                }
                Operand::Panels { .. } => unreachable!("panels are packed already"),
            }
        }
    }

    /// Adds to a block of C the products of some steps of k; `last` if they are the last ones.
    ///
    /// # Safety
    /// As for [`Problem::run`]; packed memory must have room for the block.
    unsafe fn block(&self, panels: Range<usize>, tiles: Range<usize>, steps: Range<usize>, last: bool) {
        let Self { problem, blocks, width, .. } = *self;
        let kernels = problem.kernels;
        let first_row = self.tile(tiles.start).start;
        let first_col = self.panel(panels.start).start;
        if blocks.pack_a {
            for tile in tiles.clone().map(|tile| self.tile(tile)) {
                // SAFETY: the tiles fill the packed block in ascending order.
                unsafe {
                    let to = self.packed_a.add((tile.start - first_row) * steps.len());
                    self.pack(problem.a, to, tile.len(), tile, steps.clone());
                }
            }
        }
        let no_offset = 0;
        for panel in panels.clone() {
            let cols = self.panel(panel);
            let slot = (panel - panels.start) % self.kept_panels;
            let packed = self.packed_b.wrapping_add(slot * width * steps.len());
            if blocks.pack_b && tiles.start == 0 {
                // SAFETY: as for A. A panel is packed when the first rows need it, so they find it in cache.
                unsafe { self.pack(problem.b, packed, width, cols.clone(), steps.clone()) };
            }
            let (b, b_step) = match problem.b {
                Operand::Plain { start, step, .. } if !blocks.pack_b => {
                    (start.wrapping_add(cols.start + steps.start * step), step)
                }
                Operand::Panels { start } => (start.wrapping_add(cols.start * problem.k + steps.start * width), width),
                _ => (packed.cast_const(), width),
            };
            let mut ahead = self.ahead(b.cast(), cols.clone(), tiles.clone(), &steps);
            if panel + 1 == panels.end {
                ahead.tiles = 0;
            }
            let vectors = cols.len().div_ceil(kernels.lanes);
            for (index, tile) in tiles.clone().map(|tile| self.tile(tile)).enumerate() {
                let (a, a_row, a_step) = match problem.a {
                    Operand::Plain { start, lane, step } if !blocks.pack_a => {
                        (start.wrapping_add(tile.start * lane + steps.start * step), lane, step)
                    }
                    _ => {
                        let offset = (tile.start - first_row) * steps.len();
                        (self.packed_a.wrapping_add(offset).cast_const(), 1, tile.len())
                    }
                };
                let bias =
                    |bias: *const S, at| if last && !bias.is_null() { bias.wrapping_add(at) } else { std::ptr::null() };
                let (c_i, c_j) = if problem.window {
                    (tile.start - first_row, cols.start - first_col)
                } else {
                    (tile.start, cols.start)
                };
                let c = problem.c.wrapping_add(c_i * problem.c_row + c_j);
                let fetch = index < ahead.tiles;
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
                    c_row: problem.c_row,
                    next_c: if self.fetch_c { c.wrapping_add(tile.len() * problem.c_row) } else { std::ptr::null() },
                    ahead: if fetch { ahead.start.wrapping_add(index * ahead.piece) } else { b.cast() },
                    ahead_step: if fetch { ahead.step } else { 0 },
                    last: cols.len() - (vectors - 1) * kernels.lanes,
                    add: problem.add || steps.start > 0,
                    bias_cols: bias(problem.bias_cols, cols.start),
                    bias_rows: bias(problem.bias_rows, tile.start),
                    relu: last && problem.relu,
                };
                // SAFETY: the caller's promise; packed operands lie in the scratch memory.
                unsafe { kernels.tiles[tile.len() - 1][vectors - 1](&arguments) };
            }
        }
    }

    /// Where the panel after this one, which starts at `b`, will be read from. Fetching it early is what lets B stay
    /// where it lies: the processor's own prefetching does not follow its rows.
    fn ahead(&self, b: *const u8, cols: Range<usize>, tiles: Range<usize>, steps: &Range<usize>) -> Ahead {
        let unit = size_of::<U>();
        let row = self.width * unit;
        match self.problem.b {
            // B itself, a cache line of every row for each tile.
            Operand::Plain { start, lane: 1, step } if !self.blocks.pack_b || tiles.start == 0 => {
                let start = start.wrapping_add(cols.end + steps.start * step).cast();
                Ahead { start, piece: 64, step: step * unit, tiles: row.div_ceil(64).min(tiles.len()) }
            }
            // Not worth it: it is packed from rows that lie across the panels.
            Operand::Plain { .. } | Operand::Narrow { .. } if tiles.start == 0 => {
                Ahead { start: b, piece: 0, step: 0, tiles: 0 }
            }
            // Packed memory, an equal part for each tile.
            _ => {
                let depth = if self.blocks.pack_b { steps.len() } else { self.problem.k };
                let step = row.div_ceil(tiles.len());
                Ahead { start: b.wrapping_add(row * depth), piece: step * steps.len(), step, tiles: tiles.len() }
            }
        }
    }
}
