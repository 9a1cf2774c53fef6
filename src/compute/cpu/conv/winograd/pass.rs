//! The forward pass, and the gradient of the input as another such pass.

use super::tiles::{Grid, Images, Part, Transform};
use super::transform::{COEFFICIENTS, TILE, outputs};
use super::weights::{Turn, WeightPanels, transform};
use super::{odd_lines, row_of};
use crate::compute::cpu::Cpu;
use crate::compute::cpu::conv::Activation;
use crate::compute::cpu::conv::scratch::Scratch;
use crate::compute::cpu::conv::shape::ConvShape;
use crate::compute::cpu::conv::tile::{ALL, TABLE_ROW, TileArgs, TileFn, VECS, tiles};
use crate::compute::cpu::lanes::{Float, Kernel, Path, Vector, dispatch};
use std::ops::Range;

/// Bytes of coefficients of a block of tiles, in and out: what stays in the second-level cache.
const BLOCK_BYTES: usize = 512 << 10;
/// Tiles of a block: a multiple of the height of the register tiles, and so many that the weights are read seldom.
const FEWEST_TILES: usize = 28;

/// A pass: output pixel (`y`, `x`) is the sum over taps of pixel (`y + offset[0] + ky`, `x + offset[1] + kx`).
struct Pass<'a, T: 'static> {
    images: Images<'a, T>,
    grid: Grid,
    offset: [isize; 2],
    /// The output's height, width and channels, and its elements.
    height: usize,
    width: usize,
    panels: WeightPanels,
    weights: &'a [T],
    bias: Option<&'a [T]>,
    relu: bool,
    out: *mut T,
    tiles: &'static [[TileFn<T>; VECS]],
}

// SAFETY: `out` leads to memory that is borrowed for the whole call, and every unit writes to tiles of its own.
unsafe impl<T: Send + Sync> Sync for Pass<'_, T> {}

/// Coefficients of some tiles in memory: those of the input, then those of the output.
#[derive(Clone, Copy)]
struct Room<T> {
    input: *mut T,
    /// Elements from coefficient to coefficient, and from tile to tile.
    input_step: usize,
    input_row: usize,
    output: *mut T,
    output_step: usize,
    output_row: usize,
}

// SAFETY: workers are given pieces that do not overlap, see `run`.
unsafe impl<T: Send> Sync for Room<T> {}

impl<T: Float> Room<T> {
    /// Elements that `count` tiles take, and the room they make of them at `at`.
    fn new(panels: &WeightPanels, count: usize, at: *mut T) -> (usize, Self) {
        let (input_row, output_row) = (row_of(panels.inputs, panels.lanes), row_of(panels.outputs, panels.lanes));
        let (input_step, output_step) = (odd_lines::<T>(count * input_row), odd_lines::<T>(count * output_row));
        let output = at.wrapping_add(COEFFICIENTS * input_step);
        let len = COEFFICIENTS * (input_step + output_step);
        (len, Self { input: at, input_step, input_row, output, output_step, output_row })
    }
}

/// The forward pass; lengths have been checked.
pub(in crate::compute::cpu::conv) fn forward<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    x: &[T],
    weights: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
) {
    let sizes = [shape.n(), shape.h(), shape.w(), shape.c_in()];
    let out = [shape.out_h(), shape.out_w(), shape.c_out()];
    let offset = [shape.tap_offset(0, 0), shape.tap_offset(1, 0)];
    let relu = activation == Activation::Relu;
    pass(cpu, x, sizes, (weights, Turn::Forward), offset, out, (bias, relu), y);
}

/// The gradient of the input; lengths have been checked.
pub(in crate::compute::cpu::conv) fn input_gradient<T: Float>(
    cpu: &Cpu,
    shape: &ConvShape,
    dy: &[T],
    weights: &[T],
    dx: &mut [T],
) {
    let sizes = [shape.n(), shape.out_h(), shape.out_w(), shape.c_out()];
    let out = [shape.h(), shape.w(), shape.c_in()];
    let offset = [-2 - shape.tap_offset(0, 0), -2 - shape.tap_offset(1, 0)];
    pass(cpu, dy, sizes, (weights, Turn::Back), offset, out, (None, false), dx);
}

#[allow(clippy::too_many_arguments)]
fn pass<T: Float>(
    cpu: &Cpu,
    x: &[T],
    [n, h, w, inputs]: [usize; 4],
    (weights, turn): (&[T], Turn),
    offset: [isize; 2],
    [height, width, channels]: [usize; 3],
    (bias, relu): (Option<&[T]>, bool),
    out: &mut [T],
) {
    let path = Path::of(cpu.isa);
    let panels = WeightPanels::new::<T>(path, inputs, channels);
    let mut scratch = Scratch::take(panels.len() + inputs);
    let (coefficients, zeros) = scratch.as_mut_slice().split_at_mut(panels.len());
    transform(cpu, weights, turn, &panels, coefficients);
    zeros.fill(T::ZERO);
    assert_eq!(out.len(), n * height * width * channels, "elements of the output");
    let images = Images { data: x, height: h, width: w, channels: inputs, zeros };
    images.check(n);
    let grid = Grid::new(n, height, width);
    let pass = Pass {
        images,
        grid,
        offset,
        height,
        width,
        panels,
        weights: coefficients,
        bias,
        relu,
        out: out.as_mut_ptr(),
        tiles: tiles(path),
    };
    pass.run(cpu);
}

impl<T: Float> Pass<'_, T> {
    /// Tiles of a block.
    fn block_tiles(&self) -> usize {
        let each = COEFFICIENTS * (self.panels.inputs + self.panels.outputs) * size_of::<T>();
        (BLOCK_BYTES / each / FEWEST_TILES).max(1) * FEWEST_TILES
    }

    /// Where there are tiles enough, every worker takes a block at a time through all three stages, in its own cache. Where
    /// there are few, the workers share out each stage. No sum depends on it.
    fn run(&self, cpu: &Cpu) {
        let (all, block) = (self.grid.len(), self.block_tiles());
        let blocks = all.div_ceil(block);
        if cpu.crew.size() == 1 || blocks >= 4 * cpu.crew.size() {
            cpu.crew.for_each(blocks, &|index| {
                let tiles = index * block..((index + 1) * block).min(all);
                let (len, _) = Room::<T>::new(&self.panels, tiles.len(), std::ptr::null_mut());
                let mut scratch = Scratch::take(len);
                let (_, room) = Room::new(&self.panels, tiles.len(), scratch.as_mut_ptr());
                // SAFETY: the room is this block's own; blocks are of different tiles.
                unsafe {
                    self.gather(cpu, &room, tiles.clone(), 0..tiles.len());
                    for coefficient in 0..COEFFICIENTS {
                        self.multiply(&room, 0..tiles.len(), coefficient, 0..self.panels.count());
                    }
                    self.scatter(cpu, &room, tiles.clone(), 0..tiles.len());
                }
            });
            return;
        }
        let (len, _) = Room::<T>::new(&self.panels, all, std::ptr::null_mut());
        let mut scratch = Scratch::take(len);
        let (_, room) = Room::new(&self.panels, all, scratch.as_mut_ptr());
        let room = &room;
        let units = all.min(4 * cpu.crew.size());
        let share = |unit: usize| all * unit / units..all * (unit + 1) / units;
        // SAFETY: each stage's units write to tiles or to coefficients and panels of their own, and a stage begins when the
        // one before has ended.
        cpu.crew.for_each(units, &|unit| unsafe { self.gather(cpu, room, 0..all, share(unit)) });
        let panels = self.panels.count();
        cpu.crew.for_each(COEFFICIENTS * panels, &|unit| {
            let (coefficient, panel) = (unit / panels, unit % panels);
            // SAFETY: as above.
            unsafe { self.multiply(room, 0..all, coefficient, panel..panel + 1) };
        });
        // SAFETY: as above.
        cpu.crew.for_each(units, &|unit| unsafe { self.scatter(cpu, room, 0..all, share(unit)) });
    }

    /// Coefficients of the input of the tiles `range` of those in `room`.
    ///
    /// # Safety
    /// Nobody else uses their coefficients in the room, which has those of `tiles`.
    unsafe fn gather(&self, cpu: &Cpu, room: &Room<T>, tiles: Range<usize>, range: Range<usize>) {
        let kernel = Transform {
            grid: self.grid,
            images: self.images,
            part: Part::Window(self.offset),
            tiles: tiles.start + range.start..tiles.start + range.end,
            to: room.input.wrapping_add(range.start * room.input_row),
            step: room.input_step,
            row: room.input_row,
        };
        dispatch(cpu.isa, kernel);
    }

    /// One coefficient of the output, of all tiles in the room and some panels of channels.
    ///
    /// # Safety
    /// Nobody else writes to it; those of the input have been computed.
    unsafe fn multiply(&self, room: &Room<T>, range: Range<usize>, coefficient: usize, panels: Range<usize>) {
        let count = range.len();
        let chunks = count.div_ceil(self.tiles.len());
        let weights = self.weights.as_ptr().wrapping_add(coefficient * self.panels.step);
        let shift = 0;
        for panel in panels {
            let (first, vectors, at) = self.panels.panel(panel);
            for chunk in 0..chunks {
                let (start, end) = (count * chunk / chunks, count * (chunk + 1) / chunks);
                let mut table = [room.input.cast_const(); TABLE_ROW];
                let mut out = [room.output; TABLE_ROW];
                let input =
                    room.input.wrapping_add(coefficient * room.input_step + (range.start + start) * room.input_row);
                let output =
                    room.output.wrapping_add(coefficient * room.output_step + (range.start + start) * room.output_row);
                for m in 0..end - start {
                    table[m] = input.wrapping_add(m * room.input_row);
                    out[m] = output.wrapping_add(m * room.output_row);
                }
                let args = TileArgs {
                    table: table.as_ptr(),
                    table_step: 0,
                    shifts: &shift,
                    shift_step: 0,
                    taps: 1,
                    clips: &ALL,
                    clip_step: 0,
                    run: self.panels.inputs,
                    weights: weights.wrapping_add(at),
                    weight_row: vectors * self.panels.lanes,
                    bias: std::ptr::null(),
                    out: &out,
                    out_first: first,
                    last: self.panels.lanes,
                    relu: false,
                };
                // SAFETY: rows of the room are whole vectors, as are those of the panels.
                unsafe { self.tiles[end - start - 1][vectors - 1](&args) };
            }
        }
    }

    /// Writes the outputs of tiles `range` of those in the room.
    ///
    /// # Safety
    /// Nobody else writes these tiles; all their coefficients have been computed.
    unsafe fn scatter(&self, cpu: &Cpu, room: &Room<T>, tiles: Range<usize>, range: Range<usize>) {
        dispatch(cpu.isa, Scatter { pass: self, room, tiles, range });
    }
}

/// See [`Pass::scatter`].
struct Scatter<'a, T: 'static> {
    pass: &'a Pass<'a, T>,
    room: &'a Room<T>,
    tiles: Range<usize>,
    range: Range<usize>,
}

impl<T: Float> Kernel<T> for Scatter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { pass, room, tiles, range } = self;
        let channels = pass.panels.outputs;
        for index in range {
            let (image, y, x) = pass.grid.place(tiles.start + index);
            let rows = (pass.height - y).min(TILE);
            let columns = (pass.width - x).min(TILE);
            let out = pass.out.wrapping_add(((image * pass.height + y) * pass.width + x) * channels);
            let from = room.output.wrapping_add(index * room.output_row);
            for c in (0..channels).step_by(V::LANES) {
                let count = (channels - c).min(V::LANES);
                // SAFETY: the room has whole vectors; pixels and channels written exist.
                unsafe {
                    let bias = match pass.bias {
                        Some(bias) => V::load_first(bias.as_ptr().add(c), count),
                        None => V::zero(),
                    };
                    let sums = outputs::<V>(from.add(c), room.output_step);
                    for (i, row) in sums.iter().enumerate().take(rows) {
                        for (j, sum) in row.iter().enumerate().take(columns) {
                            let sum = *sum + bias;
                            // Zero where the sum is below it; a NaN stays one.
                            let sum = if pass.relu { V::zero().max(sum) } else { sum };
                            let to = out.wrapping_add((i * pass.width + j) * channels + c);
                            if count == V::LANES { sum.store(to) } else { sum.store_first(to, count) }
                        }
                    }
                }
            }
        }
    }
}
