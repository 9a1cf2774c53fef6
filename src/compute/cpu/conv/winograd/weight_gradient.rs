//! The gradient of the weights: coefficients of input and gradient, multiplied and summed over the tiles.

use super::tiles::{Grid, Images, Part, Transform};
use super::transform::{COEFFICIENTS, WINDOW, tap_gradients};
use super::{odd_lines, row_of};
use crate::compute::cpu::conv::scratch::Scratch;
use crate::compute::cpu::conv::shape::ConvShape;
use crate::compute::cpu::conv::tile::{TABLE_ROW, VECS, lanes};
use crate::compute::cpu::conv::weight_tile::{WeightTileArgs, WeightTileFn, weight_tiles};
use crate::compute::cpu::lanes::{Float, Kernel, Path, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};
use std::ops::Range;

/// Most segments that tiles are cut into.
const SEGMENTS: usize = 8;
/// Fewest tiles of a segment.
const SEGMENT_TILES: usize = 128;
/// Bytes that the sums of all segments may take.
const SUM_BYTES: usize = 32 << 20;
/// Bytes of the coefficients of a block of tiles.
const BLOCK_BYTES: usize = 5 << 19;
/// Fewest tiles of a block, if there are as many.
const BLOCK_TILES: usize = 128;
/// Tiles that a worker transforms at a time, and rows of register tiles that it multiplies, where several share a block.
const GRAIN: usize = 8;
const TILE_ROWS: usize = 4;

/// How tiles are cut: into segments with sums of their own, these into blocks that are summed one after the other. A
/// function of the sizes alone, as it decides the order of sums.
#[derive(Debug, Clone, Copy)]
struct Plan {
    tiles: usize,
    segments: usize,
    /// Most tiles of a block.
    block: usize,
}

impl Plan {
    fn new(tiles: usize, c_in: usize, c_out: usize, element: usize) -> Self {
        let sums = COEFFICIENTS * c_in * c_out * element;
        let segments = (tiles / SEGMENT_TILES).min(SUM_BYTES / sums).clamp(1, SEGMENTS);
        let each = COEFFICIENTS * (c_in + c_out) * element;
        let longest = tiles.div_ceil(segments);
        let blocks = longest.div_ceil((BLOCK_BYTES / each).max(BLOCK_TILES));
        Self { tiles, segments, block: longest.div_ceil(blocks.max(1)) }
    }

    /// Tiles of a segment.
    fn segment(&self, index: usize) -> Range<usize> {
        self.tiles * index / self.segments..self.tiles * (index + 1) / self.segments
    }
}

/// `dw` from `x` and `dy`; lengths have been checked.
pub(in crate::compute::cpu::conv) fn weight_gradient<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
) {
    let (c_in, c_out) = (shape.c_in(), shape.c_out());
    let grid = Grid::new(shape.n(), shape.out_h(), shape.out_w());
    if grid.len() == 0 {
        return dw.fill(T::ZERO);
    }
    let path = Path::of(cpu.isa);
    let plan = Plan::new(grid.len(), c_in, c_out, size_of::<T>());
    let sum_step = odd_lines::<T>(c_in * c_out);
    let segment_len = COEFFICIENTS * sum_step;
    let mut scratch = Scratch::<T>::take(plan.segments * segment_len + c_in.max(c_out));
    let (sums, zeros) = scratch.as_mut_slice().split_at_mut(plan.segments * segment_len);
    zeros.fill(T::ZERO);
    let zeros = &*zeros;
    let pass = Pass {
        grid,
        x: Images { data: x, height: shape.h(), width: shape.w(), channels: c_in, zeros },
        dy: Images { data: dy, height: shape.out_h(), width: shape.out_w(), channels: c_out, zeros },
        offset: [shape.tap_offset(0, 0), shape.tap_offset(1, 0)],
        lanes: lanes::<T>(path),
        tiles: weight_tiles(path),
        block: plan.block,
        sum_step,
    };
    pass.x.check(shape.n());
    pass.dy.check(shape.n());
    let parts = Parts::new(&mut *sums);
    // SAFETY: every segment has sums of its own.
    let sums_of = |segment: usize| unsafe { parts.piece(segment * segment_len..(segment + 1) * segment_len) };
    // Workers take segments where there are enough of them, so that coefficients stay in a worker's own cache, and share
    // every block otherwise. No sum depends on it.
    if plan.segments >= cpu.crew.size() {
        cpu.crew.for_each(plan.segments, &|segment| {
            pass.segment(cpu, plan.segment(segment), sums_of(segment), &|count, job| (0..count).for_each(job));
        });
    } else {
        for segment in 0..plan.segments {
            let deal = |count: usize, job: &(dyn Fn(usize) + Sync)| cpu.crew.for_each(count, job);
            pass.segment(cpu, plan.segment(segment), sums_of(segment), &deal);
        }
    }
    let sums = &*sums;
    let out = Parts::new(dw);
    cpu.crew.for_each(c_in, &|row| {
        let step = sum_step;
        dispatch(cpu.isa, Finish { sums, segments: plan.segments, step, row, c_in, c_out, out });
    });
}

/// `deal(count, job)` runs `job` with every number below `count`.
type Deal<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'a;

/// What all blocks have in common.
struct Pass<'a, T: 'static> {
    grid: Grid,
    x: Images<'a, T>,
    dy: Images<'a, T>,
    /// From a tile's place to that of its window.
    offset: [isize; 2],
    lanes: usize,
    tiles: &'static [[WeightTileFn<T>; VECS]],
    /// Most tiles of a block.
    block: usize,
    /// Elements from one coefficient of the sums to the next.
    sum_step: usize,
}

impl<T: Float> Pass<'_, T> {
    /// The sums of some tiles, block by block.
    fn segment(&self, cpu: &Cpu, tiles: Range<usize>, sums: &mut [T], deal: &Deal<'_>) {
        let (c_in, c_out) = (self.x.channels, self.dy.channels);
        let (x_row, dy_row) = (row_of(c_in, self.lanes), row_of(c_out, self.lanes));
        let (x_step, dy_step) = (odd_lines::<T>(self.block * x_row), odd_lines::<T>(self.block * dy_row));
        let mut scratch = Scratch::<T>::take(COEFFICIENTS * (x_step + dy_step));
        let (x_part, dy_part) = scratch.as_mut_slice().split_at_mut(COEFFICIENTS * x_step);
        let (x_part, dy_part, sums) = (Parts::new(x_part), Parts::new(dy_part), Parts::new(sums));
        let groups = c_in.div_ceil(self.tiles.len() * TILE_ROWS);
        for first in tiles.clone().step_by(self.block) {
            let count = self.block.min(tiles.end - first);
            // Every job transforms tiles of its own, or adds to rows of a coefficient of its own.
            deal(count.div_ceil(GRAIN), &|unit| {
                let start = unit * GRAIN;
                let tiles = first + start..first + (start + GRAIN).min(count);
                let (grid, images, part) = (self.grid, self.x, Part::Window(self.offset));
                let to = x_part.as_mut_ptr().wrapping_add(start * x_row);
                dispatch(cpu.isa, Transform { grid, images, part, tiles: tiles.clone(), to, step: x_step, row: x_row });
                let (images, part) = (self.dy, Part::Gradient);
                let to = dy_part.as_mut_ptr().wrapping_add(start * dy_row);
                dispatch(cpu.isa, Transform { grid, images, part, tiles, to, step: dy_step, row: dy_row });
            });
            deal(COEFFICIENTS * groups, &|unit| {
                let (coefficient, group) = (unit / groups, unit % groups);
                let rows = c_in * group / groups..c_in * (group + 1) / groups;
                let at = coefficient * self.sum_step;
                // SAFETY: these rows of this coefficient are this job's.
                let sums = unsafe { sums.piece(at + rows.start * c_out..at + rows.end * c_out) };
                if first == tiles.start {
                    sums.fill(T::ZERO);
                }
                let product = Product {
                    x: x_part.as_mut_ptr().wrapping_add(coefficient * x_step + rows.start),
                    x_row,
                    dy: dy_part.as_mut_ptr().wrapping_add(coefficient * dy_step),
                    dy_row,
                    count,
                    columns: c_out,
                    lanes: self.lanes,
                    tiles: self.tiles,
                };
                product.add(rows.len(), sums);
            });
        }
    }
}

/// One coefficient of the tiles of a block: `sums[m][o] += sum over tiles of x[tile][m] * dy[tile][o]`.
struct Product<T: 'static> {
    x: *const T,
    x_row: usize,
    dy: *const T,
    dy_row: usize,
    count: usize,
    columns: usize,
    lanes: usize,
    tiles: &'static [[WeightTileFn<T>; VECS]],
}

impl<T: Float> Product<T> {
    fn add(&self, rows: usize, sums: &mut [T]) {
        let chunks = rows.div_ceil(self.tiles.len());
        let width = VECS * self.lanes;
        for chunk in 0..chunks {
            let (start, end) = (rows * chunk / chunks, rows * (chunk + 1) / chunks);
            let mut x = [self.x; TABLE_ROW];
            for m in start..end {
                x[m - start] = self.x.wrapping_add(m);
            }
            for first in (0..self.columns).step_by(width) {
                let channels = (self.columns - first).min(width);
                let vectors = channels.div_ceil(self.lanes);
                let args = WeightTileArgs {
                    x,
                    x_pixel: self.x_row,
                    x_row: 0,
                    dy: self.dy.wrapping_add(first),
                    dy_pixel: self.dy_row,
                    dy_row: 0,
                    rows: 1,
                    cols: self.count,
                    out: sums.as_mut_ptr().wrapping_add(start * self.columns + first),
                    out_row: self.columns,
                    last: channels - (vectors - 1) * self.lanes,
                };
                // SAFETY: the coefficients of `count` tiles have been written; `sums` has `rows` rows.
                unsafe { self.tiles[end - start - 1][vectors - 1](&args) };
            }
        }
    }
}

/// The gradient of all taps of one input channel from the coefficients, those of the segments added up.
struct Finish<'a, T> {
    sums: &'a [T],
    segments: usize,
    step: usize,
    row: usize,
    c_in: usize,
    c_out: usize,
    out: Parts<'a, T>,
}

impl<T: Float> Kernel<T> for Finish<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let sums = &self.sums[..self.segments * COEFFICIENTS * self.step];
        for o in (0..self.c_out).step_by(V::LANES) {
            let count = (self.c_out - o).min(V::LANES);
            let mut total = [[V::zero(); WINDOW]; WINDOW];
            // SAFETY: the coefficients have `c_out` channels in this row; no other call writes this row of any tap.
            unsafe {
                for (i, total) in total.as_flattened_mut().iter_mut().enumerate() {
                    let from = sums.as_ptr().add(i * self.step + self.row * self.c_out + o);
                    *total = V::load_first(from, count);
                    for segment in 1..self.segments {
                        *total = *total + V::load_first(from.add(segment * COEFFICIENTS * self.step), count);
                    }
                }
                let taps = tap_gradients(total);
                for (tap, gradient) in taps.as_flattened().iter().enumerate() {
                    let at = (tap * self.c_in + self.row) * self.c_out + o;
                    gradient.store_first(self.out.as_mut_ptr().add(at), count);
                }
            }
        }
    }
}
