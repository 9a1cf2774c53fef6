//! Every output pixel gathers from input pixels at fixed offsets: the common form of the forward pass and of the
//! gradient of the input (which is such a gather for each phase of the stride).
// Tiles are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use super::planar::{self, PlanarTiles};
use super::scratch::Scratch;
use super::tile::{ALL, NOT_FIRST, NOT_LAST, TABLE_ROW, TileArgs, TileFn, VECS, tiles};
use crate::compute::cpu::Cpu;
use crate::compute::cpu::lanes::{Float, Kernel, Path, Vector, dispatch};
use std::ops::Range;

/// Pixels of a unit of work, about.
const UNIT_PIXELS: usize = 512;
/// Units wanted, so that workers finish together.
const UNITS: usize = 32;
/// Bytes of weights that stay in the second-level cache while the tiles of a unit walk over them.
const WEIGHTS_IN_CACHE: usize = 384 << 10;

/// Output columns from which on tiles keep to rows where taps may lie outside of the input.
const ROW_TILES_FROM: usize = 6;
/// Bytes of planes that stay in the second-level cache.
const PLANES_IN_CACHE: usize = 256 << 10;

/// Where an output pixel reads: input pixel `step * output + offset`, from `channel` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    pub dy: isize,
    pub dx: isize,
    pub channel: usize,
}

/// Output channels that are computed together, one or two vectors of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    /// First of its taps in [`Gather::taps`].
    pub tap: usize,
    /// First output channel.
    pub first: usize,
    /// Output channels.
    pub channels: usize,
    /// First of its weights in [`Gather::weights`].
    pub weights: usize,
}

/// A gather. Invariants, on which memory safety rests and which `forward` and `input_gradient` keep: `x` and `out` hold
/// the images that sizes and strides describe; every panel has `taps_each` taps and as many rows of weights as these have
/// elements; `zeros` holds a run of zeros.
pub(super) struct Gather<T> {
    pub images: usize,
    /// Input: pointer, height and width, elements from pixel to pixel.
    pub x: *const T,
    pub h: usize,
    pub w: usize,
    pub x_pixel: usize,
    /// Input pixels for a step of the output.
    pub step: [usize; 2],
    /// Output grid and its strides in elements.
    pub rows: usize,
    pub cols: usize,
    pub out: *mut T,
    pub out_pixel: usize,
    pub out_row: usize,
    pub out_image: usize,
    pub taps: Vec<Tap>,
    /// Taps of each panel.
    pub taps_each: usize,
    /// Elements read at each tap.
    pub run: usize,
    pub access: Access,
    pub panels: Vec<Panel>,
    pub weights: *const T,
    pub weight_row: WeightRow,
    /// One for each output channel, or null.
    pub bias: *const T,
    pub relu: bool,
    pub zeros: *const T,
}

/// How the units of a gather read the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Where it lies.
    InPlace,
    /// From a copy of the rows in question, padded with zeros, so that runs may lie across the border.
    PaddedCopy,
    /// From padded planes, one for each channel; see [`planar`]. Only for steps of one pixel along a row, runs of one
    /// pixel and panels of few channels, whose weights lie as close as they can.
    Planes,
}

/// Elements from one row of weights to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WeightRow {
    /// As wide as the vectors of the panel.
    Packed,
    /// This many.
    Strided(usize),
}

impl<T> Gather<T> {
    /// Whether every tap of every output pixel lies in the input.
    fn is_inside(&self) -> bool {
        let last = [(self.rows - 1) * self.step[0], (self.cols - 1) * self.step[1]];
        self.taps.iter().all(|tap| {
            tap.dy >= 0 && tap.dx >= 0 && tap.dy as usize + last[0] < self.h && tap.dx as usize + last[1] < self.w
        })
    }
}

// SAFETY: the pointers lead to memory borrowed for the whole call; `run_all` has each unit write to output elements of
// its own.
unsafe impl<T: Send + Sync> Sync for Gather<T> {}

/// Vectors that `channels` output channels take, and the channels in the last of them.
fn vectors<V: Vector>(channels: usize) -> (usize, usize) {
    let count = channels.div_ceil(V::LANES);
    (count, channels - (count - 1) * V::LANES)
}

/// Part of a gather for one worker.
#[derive(Clone, Copy)]
struct Unit<'a, T> {
    gather: &'a Gather<T>,
    image: usize,
    /// First output row and the one after the last.
    rows: (usize, usize),
    /// First panel and the one after the last.
    panels: (usize, usize),
}

/// Does all gathers in one region of the crew.
///
/// # Safety
/// The invariants of [`Gather`]; no two gathers may write to the same element.
pub(super) unsafe fn run_all<T: Float>(cpu: &Cpu, gathers: &[Gather<T>]) {
    let path = Path::of(cpu.isa);
    let cuts = |gather: &Gather<T>| {
        let images = gather.images.max(1);
        let wanted = (gather.rows * gather.cols).div_ceil(UNIT_PIXELS).max(UNITS.div_ceil(images));
        // No fewer than two tiles' worth of pixels to a unit.
        let most = (gather.rows * gather.cols).div_ceil(2 * TABLE_ROW);
        let mut rows = gather.rows.div_ceil(wanted.min(most).max(1)).max(1);
        if gather.access == Access::Planes {
            // Tiles read all planes and all rows of the window at once.
            while rows > 1 && planar::planes_bytes(gather, rows) > PLANES_IN_CACHE {
                rows = rows.div_ceil(2);
            }
        }
        let row_cuts = gather.rows.div_ceil(rows);
        if gather.access == Access::Planes {
            return (rows, row_cuts, 1);
        }
        let panel_cuts = UNITS.div_ceil(images * row_cuts.max(1)).clamp(1, gather.panels.len().max(1));
        (rows, row_cuts, panel_cuts)
    };
    let units = gathers.iter().map(|g| g.images * cuts(g).1 * cuts(g).2).sum();
    cpu.crew.for_each(units, &|mut unit| {
        for gather in gathers {
            let (rows, row_cuts, panel_cuts) = cuts(gather);
            let own = gather.images * row_cuts * panel_cuts;
            if unit >= own {
                unit -= own;
                continue;
            }
            // Panels outermost: a worker keeps to its weights.
            let (panel, pixels) = (unit / (gather.images * row_cuts), unit % (gather.images * row_cuts));
            let (image, row) = (pixels / row_cuts, pixels % row_cuts);
            let count = gather.panels.len();
            let unit = Unit {
                gather,
                image,
                rows: (row * rows, ((row + 1) * rows).min(gather.rows)),
                panels: (panel * count / panel_cuts, (panel + 1) * count / panel_cuts),
            };
            return dispatch(cpu.isa, RunUnit { unit, tiles: tiles(path), planar_tiles: planar::tiles(path) });
        }
    });
}

struct RunUnit<'a, T: 'static> {
    unit: Unit<'a, T>,
    tiles: &'static [[TileFn<T>; 2]],
    planar_tiles: &'static PlanarTiles<T>,
}

/// Input as the tiles of a unit see it: pixel (`y`, `x`) is at `origin + y * row + x * pixel` elements and exists where
/// `y < h` and `x < w`. `y` counts from `first_y`, `x` from `first_x`.
pub(super) struct View<T> {
    /// Whether every tap of every output pixel exists.
    pub whole: bool,
    pub origin: *const T,
    pub row: usize,
    pub h: usize,
    pub w: usize,
    pub first_y: isize,
    pub first_x: isize,
}

impl<T> View<T> {
    /// Elements from an output pixel's place in the input to what it reads at `tap`.
    #[inline(always)]
    fn shift(&self, gather: &Gather<T>, tap: &Tap) -> isize {
        tap.dy * self.row as isize + tap.dx * gather.x_pixel as isize + tap.channel as isize
    }
}

impl<T: Float> Kernel<T> for RunUnit<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Unit { gather, image, rows, panels } = self.unit;
        if gather.access == Access::Planes {
            let panels = &gather.panels[panels.0..panels.1];
            // SAFETY: the invariants of `Gather`.
            return unsafe { planar::run::<V>(gather, image, rows, panels, self.planar_tiles) };
        }
        let mut copied = Scratch::take(if gather.access == Access::PaddedCopy { copy_len(gather, rows) } else { 0 });
        // SAFETY: the invariants of `Gather`; the scratch has the length that the copy takes.
        let view = unsafe {
            if gather.access == Access::PaddedCopy {
                copy_padded(gather, image, rows, copied.as_mut_ptr())
            } else {
                let row = gather.w * gather.x_pixel;
                let origin = gather.x.add(image * gather.h * row);
                View { whole: gather.is_inside(), origin, row, h: gather.h, w: gather.w, first_y: 0, first_x: 0 }
            }
        };
        // Pointers of a tile are shifted from tap to tap; where several of its pixels do not exist they are looked up.
        let mut table = Scratch::<u64>::take(gather.taps_each * TABLE_ROW);
        let table = table.as_mut_ptr().cast::<*const T>();
        let mut shifts = Scratch::<i64>::take(gather.taps.len());
        let shifts = shifts.as_mut_ptr().cast::<isize>();
        for (t, tap) in gather.taps.iter().enumerate() {
            // SAFETY: there is a shift for every tap.
            unsafe { shifts.add(t).write(view.shift(gather, tap)) };
        }
        let depth = gather.taps_each * gather.run;
        let panel_bytes = (depth * V::LANES * VECS * size_of::<T>()).max(1);
        // Tiles that keep to a row leave out the taps above and below the input, and clip those to the left and right. But
        // they are more, and so worse where each reads scattered weights that no cache holds.
        let cached = gather.weight_row == WeightRow::Packed || panel_bytes <= WEIGHTS_IN_CACHE;
        let by_rows = !view.whole && gather.cols >= ROW_TILES_FROM && cached;
        let row_tiles = gather.cols.div_ceil(self.tiles.len());
        let mut clips = Scratch::<u8>::take(if by_rows { row_tiles * gather.taps.len() } else { 0 });
        if by_rows {
            let clips = clips.as_mut_slice();
            for (tile, clips) in clips.chunks_exact_mut(gather.taps.len()).enumerate() {
                let columns = gather.cols * tile / row_tiles..gather.cols * (tile + 1) / row_tiles;
                for (tap, clip) in gather.taps.iter().zip(clips) {
                    *clip = clip_of(gather, &columns, tap);
                }
            }
        }
        let lists = Lists { table, shifts, clips: clips.as_mut_ptr() };
        let batch = (WEIGHTS_IN_CACHE / panel_bytes).max(1);
        let mut panel = panels.0;
        while panel < panels.1 {
            let end = (panel + batch).min(panels.1);
            // SAFETY: the invariants of `Gather`; the lists have been filled.
            unsafe {
                if by_rows {
                    self.tiles_in_rows::<V>(&view, panel..end, &lists);
                } else {
                    self.tiles_across_rows::<V>(&view, panel..end, &lists);
                }
            }
            panel = end;
        }
    }
}

/// How a tile of output columns `columns` is clipped at a tap.
fn clip_of<T>(gather: &Gather<T>, columns: &Range<usize>, tap: &Tap) -> u8 {
    let exists = |x: usize| (((x * gather.step[1]) as isize + tap.dx) as usize) < gather.w;
    let inside = |columns: Range<usize>| columns.is_empty() || exists(columns.start) && exists(columns.end - 1);
    if inside(columns.clone()) {
        ALL
    } else if inside(columns.start + 1..columns.end) {
        NOT_FIRST
    } else if inside(columns.start..columns.end - 1) {
        NOT_LAST
    } else {
        LOOK_UP
    }
}

/// More of the pixels lie outside: the tile looks its pointers up, which lead to zeros for them.
const LOOK_UP: u8 = 3;

/// Lists that the tiles of a unit read.
struct Lists<T> {
    /// A row of pointers for each tap of a panel.
    table: *mut *const T,
    /// One for each tap of the gather.
    shifts: *const isize,
    /// Where tiles keep to rows: for each tile of a row, one for each tap of the gather.
    clips: *const u8,
}

impl<T: Float> RunUnit<'_, T> {
    /// All tiles of the unit for a few panels, tiles of pixels that follow each other whatever their row.
    #[inline(always)]
    unsafe fn tiles_across_rows<V: Vector<Elem = T>>(&self, view: &View<T>, panels: Range<usize>, lists: &Lists<T>) {
        let Unit { gather, image, rows, .. } = self.unit;
        let pixels = (rows.1 - rows.0) * gather.cols;
        let tile_count = pixels.div_ceil(self.tiles.len());
        let mut tile = Tile::new(gather, view);
        let in_step = (gather.step[1] * gather.x_pixel) as isize;
        let (mut y, mut x, mut done) = (rows.0, 0, 0);
        let (mut in_y, mut input, mut out) = row_start(gather, view, image, y);
        for index in 0..tile_count {
            // Tiles of equal height, give or take one: a short one at the end would leave its multiplications waiting
            // for one another.
            let end = pixels * (index + 1) / tile_count;
            let height = end - done;
            done = end;
            let mut m = 0;
            while m < height {
                let count = (height - m).min(gather.cols - x);
                for i in m..m + count {
                    tile.input[i] = input;
                    tile.out[i] = out;
                    input = input.wrapping_offset(in_step);
                    out = out.wrapping_add(gather.out_pixel);
                }
                if !view.whole {
                    for i in m..m + count {
                        tile.in_y[i] = in_y;
                        tile.in_x[i] = ((x + i - m) * gather.step[1]) as isize - view.first_x;
                    }
                }
                (m, x) = (m + count, x + count);
                if x == gather.cols {
                    (x, y) = (0, y + 1);
                    (in_y, input, out) = row_start(gather, view, image, y);
                }
            }
            let mut table_for = usize::MAX;
            for panel in &gather.panels[panels.clone()] {
                let mut args = self.args(&tile, panel);
                args.taps = gather.taps_each;
                if view.whole {
                    args.table = tile.input.as_ptr();
                    args.shifts = lists.shifts.wrapping_add(panel.tap);
                    args.shift_step = 1;
                } else {
                    if panel.tap != table_for {
                        table_for = panel.tap;
                        // SAFETY: the table has as many rows as a panel has taps.
                        unsafe {
                            fill_table(gather, view, panel.tap..panel.tap + gather.taps_each, &tile, lists.table)
                        };
                    }
                    args.table = lists.table;
                    args.table_step = TABLE_ROW;
                }
                // SAFETY: the invariants of `Gather`.
                unsafe { self.run_tile::<V>(&mut args, panel, 0, height) };
            }
        }
    }

    /// All tiles of the unit for a few panels, each within a row.
    #[inline(always)]
    unsafe fn tiles_in_rows<V: Vector<Elem = T>>(&self, view: &View<T>, panels: Range<usize>, lists: &Lists<T>) {
        let Unit { gather, image, rows, .. } = self.unit;
        let row_tiles = gather.cols.div_ceil(self.tiles.len());
        let mut tile = Tile::new(gather, view);
        let in_step = (gather.step[1] * gather.x_pixel) as isize;
        for y in rows.0..rows.1 {
            let (in_y, mut input, mut out) = row_start(gather, view, image, y);
            // The taps that are in the input as far as the row goes. They are sorted by it.
            let exists = |tap: &Tap| ((in_y + tap.dy) as usize) < view.h;
            let taps = &gather.taps[..gather.taps_each];
            let first = taps.iter().position(exists).unwrap_or(0);
            let count = taps[first..].iter().take_while(|tap| exists(tap)).count();
            for index in 0..row_tiles {
                let start = gather.cols * index / row_tiles;
                let height = gather.cols * (index + 1) / row_tiles - start;
                for i in 0..height {
                    tile.input[i] = input;
                    tile.out[i] = out;
                    tile.in_y[i] = in_y;
                    tile.in_x[i] = ((start + i) * gather.step[1]) as isize - view.first_x;
                    input = input.wrapping_offset(in_step);
                    out = out.wrapping_add(gather.out_pixel);
                }
                let mut table_for = usize::MAX;
                for panel in &gather.panels[panels.clone()] {
                    let tap = panel.tap + first;
                    let mut args = self.args(&tile, panel);
                    args.taps = count;
                    args.clips = lists.clips.wrapping_add(index * gather.taps.len() + tap);
                    args.clip_step = 1;
                    // SAFETY: the clips of these taps.
                    let clips = unsafe { std::slice::from_raw_parts(args.clips, count) };
                    if clips.contains(&LOOK_UP) {
                        if panel.tap != table_for {
                            table_for = panel.tap;
                            // SAFETY: the table has as many rows as a panel has taps.
                            unsafe { fill_table(gather, view, tap..tap + count, &tile, lists.table) };
                        }
                        args.table = lists.table;
                        args.table_step = TABLE_ROW;
                    } else {
                        args.table = tile.input.as_ptr();
                        args.shifts = lists.shifts.wrapping_add(tap);
                        args.shift_step = 1;
                    }
                    // SAFETY: the invariants of `Gather`; clips say which pixels exist.
                    unsafe { self.run_tile::<V>(&mut args, panel, first * gather.run, height) };
                }
            }
        }
    }

    /// Arguments of a tile, but for what depends on how its taps are found.
    #[inline(always)]
    fn args<'a>(&self, tile: &'a Tile<T>, panel: &Panel) -> TileArgs<'a, T> {
        let gather = self.unit.gather;
        TileArgs {
            table: std::ptr::null(),
            table_step: 0,
            shifts: &NO_SHIFT,
            shift_step: 0,
            taps: 0,
            clips: &ALL,
            clip_step: 0,
            run: gather.run,
            weights: gather.weights.wrapping_add(panel.weights),
            weight_row: 0,
            bias: if gather.bias.is_null() { gather.bias } else { gather.bias.wrapping_add(panel.first) },
            out: &tile.out,
            out_first: panel.first,
            last: 0,
            relu: gather.relu,
        }
    }

    /// Runs the tile of `panel` with `height` pixels, from row `first` of the weights on.
    #[inline(always)]
    unsafe fn run_tile<V: Vector<Elem = T>>(
        &self,
        args: &mut TileArgs<'_, T>,
        panel: &Panel,
        first: usize,
        height: usize,
    ) {
        let (count, last) = vectors::<V>(panel.channels);
        args.last = last;
        args.weight_row = match self.unit.gather.weight_row {
            WeightRow::Packed => count * V::LANES,
            WeightRow::Strided(elements) => elements,
        };
        args.weights = args.weights.wrapping_add(first * args.weight_row);
        // SAFETY: the caller's promise.
        unsafe { self.tiles[height - 1][count - 1](args) };
    }
}

/// Row `y` of the output: its row in the view, and the first pixel's place in input and output.
#[inline(always)]
fn row_start<T>(gather: &Gather<T>, view: &View<T>, image: usize, y: usize) -> (isize, *const T, *mut T) {
    let in_y = (y * gather.step[0]) as isize - view.first_y;
    let input = in_y * view.row as isize - view.first_x * gather.x_pixel as isize;
    let out = image * gather.out_image + y * gather.out_row;
    (in_y, view.origin.wrapping_offset(input), gather.out.wrapping_add(out))
}

/// The shift of pointers that are looked up.
static NO_SHIFT: isize = 0;

/// The pixels of a tile; those behind its height are left over from the tile before.
struct Tile<T> {
    /// Input coordinates at offset (0, 0) in the view. Kept only where taps may lie outside of it.
    in_y: [isize; TABLE_ROW],
    in_x: [isize; TABLE_ROW],
    /// The input there, which need not exist.
    input: [*const T; TABLE_ROW],
    out: [*mut T; TABLE_ROW],
}

impl<T> Tile<T> {
    fn new(gather: &Gather<T>, view: &View<T>) -> Self {
        Self {
            in_y: [0; TABLE_ROW],
            in_x: [0; TABLE_ROW],
            input: [view.origin; TABLE_ROW],
            out: [gather.out; TABLE_ROW],
        }
    }
}

/// Fills the table with the pointers of some taps; to zeros where a pixel lies outside of the view.
#[inline(always)]
unsafe fn fill_table<T>(gather: &Gather<T>, view: &View<T>, taps: Range<usize>, tile: &Tile<T>, table: *mut *const T) {
    for (t, tap) in gather.taps[taps].iter().enumerate() {
        let shift = view.shift(gather, tap);
        // SAFETY: row `t` of the table.
        let row = unsafe { &mut *table.add(t * TABLE_ROW).cast::<[*const T; TABLE_ROW]>() };
        for m in 0..TABLE_ROW {
            let inside = ((tile.in_y[m] + tap.dy) as usize) < view.h && ((tile.in_x[m] + tap.dx) as usize) < view.w;
            row[m] = if inside { tile.input[m].wrapping_offset(shift) } else { gather.zeros };
        }
    }
}

/// First and last offset of any tap, (y, x).
pub(super) fn reach<T>(gather: &Gather<T>) -> ([isize; 2], [isize; 2]) {
    let mut low = [isize::MAX; 2];
    let mut high = [isize::MIN; 2];
    for tap in &gather.taps {
        low = [low[0].min(tap.dy), low[1].min(tap.dx)];
        high = [high[0].max(tap.dy), high[1].max(tap.dx)];
    }
    (low, high)
}

/// Rows and columns of the padded copy for output rows `rows`: what the window passes over. The run at a tap may cover
/// several pixels to the right of it.
pub(super) fn copy_size<T>(gather: &Gather<T>, rows: (usize, usize)) -> (usize, usize) {
    let (low, high) = reach(gather);
    let span = gather.run.div_ceil(gather.x_pixel) - 1;
    (
        (rows.1 - rows.0 - 1) * gather.step[0] + (high[0] - low[0]) as usize + 1,
        (gather.cols - 1) * gather.step[1] + (high[1] - low[1]) as usize + 1 + span,
    )
}

fn copy_len<T>(gather: &Gather<T>, rows: (usize, usize)) -> usize {
    let (height, width) = copy_size(gather, rows);
    height * width * gather.x_pixel
}

/// Copies what output rows `rows` of `image` read to `to`, zeros where there is no input.
#[inline(always)]
unsafe fn copy_padded<T: Float>(gather: &Gather<T>, image: usize, rows: (usize, usize), to: *mut T) -> View<T> {
    let (low, _) = reach(gather);
    let (height, width) = copy_size(gather, rows);
    let pixel = gather.x_pixel;
    let first_y = (rows.0 * gather.step[0]) as isize + low[0];
    // Columns that exist.
    let left = ((-low[1]).max(0) as usize).min(width);
    let start = low[1].max(0) as usize;
    let count = (width - left).min(gather.w.saturating_sub(start));
    for y in 0..height {
        let from_y = first_y + y as isize;
        // SAFETY: `to` holds `height * width` pixels; the rows copied exist in the input.
        unsafe {
            let row = to.add(y * width * pixel);
            if from_y < 0 || from_y as usize >= gather.h {
                row.write_bytes(0, width * pixel);
                continue;
            }
            row.write_bytes(0, left * pixel);
            let from = gather.x.add(((image * gather.h + from_y as usize) * gather.w + start) * pixel);
            std::ptr::copy_nonoverlapping(from, row.add(left * pixel), count * pixel);
            row.add((left + count) * pixel).write_bytes(0, (width - left - count) * pixel);
        }
    }
    View { whole: true, origin: to, row: width * pixel, h: height, w: width, first_y, first_x: low[1] }
}
