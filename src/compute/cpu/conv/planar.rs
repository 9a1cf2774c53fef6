//! Gathers with very few output channels, which would leave most lanes of a vector of channels empty: here the lanes are
//! neighbouring pixels instead. Every unit copies its input as planes, one for each channel, padded with zeros.
// Tiles are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use super::gather::{Gather, Panel, View, copy_size, reach};
use super::scratch::Scratch;
use super::transpose::transpose;
use crate::compute::cpu::lanes::{Float, Path, Vector};
use std::marker::PhantomData;

/// Most output channels that are computed so.
pub(super) const MOST_CHANNELS: usize = 8;
/// Vectors of pixels that a tile has at most.
const MOST_VECTORS: usize = 12;
/// Elements between planes beyond what they hold, so that the planes of a pixel do not all fall into one cache set.
const BETWEEN_PLANES: usize = 16;

/// What a tile works on: as [`TileArgs`](super::tile::TileArgs), the sums in the same order, for vectors of pixels.
pub(super) struct PlanarArgs<T> {
    /// Where each vector of pixels reads in the plane of the first channel.
    input: [*const T; MOST_VECTORS],
    /// Elements to be added for each tap.
    shifts: *const isize,
    taps: usize,
    /// Channels read at each tap, and elements from plane to plane.
    run: usize,
    plane: usize,
    /// `taps * run` rows of as many weights as there are output channels.
    weights: *const T,
    /// One for each output channel, or null.
    bias: *const T,
    relu: bool,
    /// First output channel of the first pixel of each vector, and elements from pixel to pixel.
    out: [*mut T; MOST_VECTORS],
    out_pixel: usize,
    /// Pixels of each vector that exist; none in vectors that only fill the tile.
    pixels: [usize; MOST_VECTORS],
}

pub(super) type PlanarFn<T> = unsafe fn(&PlanarArgs<T>);

#[inline(always)]
unsafe fn tile<V: Vector, const O: usize, const PV: usize>(args: &PlanarArgs<V::Elem>) {
    // SAFETY: the arguments describe memory that exists; the walk stays within it. The planes have a vector to spare
    // behind them, so that lanes behind the last pixel may be read.
    unsafe {
        let mut sums = [[V::zero(); PV]; O];
        if !args.bias.is_null() {
            for (o, sums) in sums.iter_mut().enumerate() {
                *sums = [V::splat(*args.bias.add(o)); PV];
            }
        }
        let mut weights = args.weights;
        for tap in 0..args.taps {
            let shift = *args.shifts.add(tap);
            let mut input = [std::ptr::null(); PV];
            for (v, input) in input.iter_mut().enumerate() {
                *input = args.input[v].offset(shift);
            }
            let mut at = 0;
            for _ in 0..args.run {
                let mut x = [V::zero(); PV];
                for (v, x) in x.iter_mut().enumerate() {
                    *x = V::load(input[v].add(at));
                }
                for o in 0..O {
                    let w = V::splat(*weights.add(o));
                    for v in 0..PV {
                        sums[o][v] = x[v].mul_add(w, sums[o][v]);
                    }
                }
                at += args.plane;
                weights = weights.add(O);
            }
        }
        if args.relu {
            for sums in &mut sums {
                for sum in sums {
                    *sum = V::zero().max(*sum);
                }
            }
        }
        // Through the first-level cache into pixels. All sums are stored before the first is looked at by number, else they
        // would live in memory throughout.
        let mut stored = [[V::zero(); O]; PV];
        for (v, stored) in stored.iter_mut().enumerate() {
            for (o, stored) in stored.iter_mut().enumerate() {
                *stored = sums[o][v];
            }
        }
        let stored = std::hint::black_box(&stored);
        for (v, rows) in stored.iter().enumerate() {
            let count = args.pixels[v];
            if O == 1 && args.out_pixel == 1 {
                rows[0].store_first(args.out[v], count);
            } else if count > 0 {
                transpose::<V>(rows.as_ptr().cast(), V::LANES, O, count, args.out[v], args.out_pixel);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
unsafe fn wide<T: Float, const O: usize, const PV: usize>(args: &PlanarArgs<T>) {
    // SAFETY: the caller's promise; compiled with the instructions.
    unsafe { tile::<T::Avx512Lanes, O, PV>(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
unsafe fn half<T: Float, const O: usize, const PV: usize>(args: &PlanarArgs<T>) {
    // SAFETY: the caller's promise; compiled with the instructions.
    unsafe { tile::<T::Avx2Lanes, O, PV>(args) }
}

unsafe fn plain<T: Float, const O: usize, const PV: usize>(args: &PlanarArgs<T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<T::PortableLanes, O, PV>(args) }
}

/// Tiles by output channels - 1, with their number of vectors: as many as the registers hold beside inputs and a weight.
pub(super) type PlanarTiles<T> = [(PlanarFn<T>, usize); MOST_CHANNELS];

struct Tiles<T>(PhantomData<T>);

macro_rules! tiles {
    ($tile:ident: $($o:literal $pv:literal),*) => { [$(($tile::<T, $o, $pv> as PlanarFn<T>, $pv)),*] };
}

impl<T: Float> Tiles<T> {
    #[cfg(target_arch = "x86_64")]
    const WIDE: PlanarTiles<T> = tiles!(wide: 1 12, 2 8, 3 7, 4 6, 5 5, 6 4, 7 3, 8 3);
    #[cfg(target_arch = "x86_64")]
    const HALF: PlanarTiles<T> = tiles!(half: 1 8, 2 4, 3 3, 4 2, 5 2, 6 2, 7 1, 8 1);
    const PLAIN: PlanarTiles<T> = tiles!(plain: 1 8, 2 4, 3 3, 4 2, 5 2, 6 2, 7 1, 8 1);
}

/// The tiles of `path`, which came from [`Path::of`].
pub(super) fn tiles<T: Float>(path: Path) -> &'static PlanarTiles<T> {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => &Tiles::<T>::WIDE,
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => &Tiles::<T>::HALF,
        Path::Portable => &Tiles::<T>::PLAIN,
    }
}

/// Bytes of the planes of a unit with `rows` output rows.
pub(super) fn planes_bytes<T>(gather: &Gather<T>, rows: usize) -> usize {
    let (height, width) = copy_size(gather, (0, rows));
    height * width * gather.x_pixel * size_of::<T>()
}

/// Computes output rows `rows` of `image` for some panels, each of at most [`MOST_CHANNELS`] channels.
///
/// # Safety
/// The invariants of [`Gather`]; runs lie within a pixel.
#[inline(always)]
pub(super) unsafe fn run<V: Vector>(
    gather: &Gather<V::Elem>,
    image: usize,
    rows: (usize, usize),
    panels: &[Panel],
    tiles: &PlanarTiles<V::Elem>,
) {
    let (height, width) = copy_size(gather, rows);
    let plane = height * width + BETWEEN_PLANES;
    // The vectors of the last plane may be read beyond its end.
    let mut planes = Scratch::take(plane * gather.x_pixel + V::LANES);
    // SAFETY: the scratch has room for the planes.
    let view = unsafe { copy_planes::<V>(gather, image, rows, plane, planes.as_mut_ptr()) };
    let mut shifts = Scratch::<i64>::take(gather.taps.len());
    let shifts = shifts.as_mut_ptr().cast::<isize>();
    for (t, tap) in gather.taps.iter().enumerate() {
        let shift = tap.dy * width as isize + tap.dx + (tap.channel * plane) as isize;
        // SAFETY: there is a shift for every tap.
        unsafe { shifts.add(t).write(shift) };
    }
    let row_vectors = gather.cols.div_ceil(V::LANES);
    let vectors = (rows.1 - rows.0) * row_vectors;
    for panel in panels {
        let (tile, height) = tiles[panel.channels - 1];
        let mut args = PlanarArgs {
            input: [view.origin; MOST_VECTORS],
            shifts: shifts.wrapping_add(panel.tap),
            taps: gather.taps_each,
            run: gather.run,
            plane,
            weights: gather.weights.wrapping_add(panel.weights),
            bias: if gather.bias.is_null() { gather.bias } else { gather.bias.wrapping_add(panel.first) },
            relu: gather.relu,
            out: [gather.out; MOST_VECTORS],
            out_pixel: gather.out_pixel,
            pixels: [0; MOST_VECTORS],
        };
        let (mut y, mut x) = (rows.0, 0);
        for first in (0..vectors).step_by(height) {
            for v in 0..height {
                if first + v >= vectors {
                    // Reads what the first vector reads, writes nothing.
                    args.input[v] = args.input[0];
                    args.pixels[v] = 0;
                    continue;
                }
                let in_y = (y * gather.step[0]) as isize - view.first_y;
                let input = in_y * width as isize + x as isize - view.first_x;
                args.input[v] = view.origin.wrapping_offset(input);
                let out = image * gather.out_image + y * gather.out_row + x * gather.out_pixel + panel.first;
                args.out[v] = gather.out.wrapping_add(out);
                args.pixels[v] = (gather.cols - x).min(V::LANES);
                x += V::LANES;
                if x >= gather.cols {
                    (x, y) = (0, y + 1);
                }
            }
            // SAFETY: pixels and taps of the view, and output pixels of the unit.
            unsafe { tile(&args) };
        }
    }
}

/// Copies what output rows `rows` of `image` read to `to`, a plane for each channel, zeros where there is no input.
#[inline(always)]
unsafe fn copy_planes<V: Vector>(
    gather: &Gather<V::Elem>,
    image: usize,
    rows: (usize, usize),
    plane: usize,
    to: *mut V::Elem,
) -> View<V::Elem> {
    let (low, _) = reach(gather);
    let (height, width) = copy_size(gather, rows);
    let channels = gather.x_pixel;
    let first_y = (rows.0 * gather.step[0]) as isize + low[0];
    let left = ((-low[1]).max(0) as usize).min(width);
    let start = low[1].max(0) as usize;
    let count = (width - left).min(gather.w.saturating_sub(start));
    for y in 0..height {
        let from_y = first_y + y as isize;
        // SAFETY: `to` holds the planes; the rows copied exist in the input.
        unsafe {
            let row = to.add(y * width);
            let exists = from_y >= 0 && (from_y as usize) < gather.h;
            let (left, count) = if exists { (left, count) } else { (width, 0) };
            for c in 0..channels {
                let row = row.add(c * plane);
                row.write_bytes(0, left);
                row.add(left + count).write_bytes(0, width - left - count);
            }
            if !exists {
                continue;
            }
            let from = gather.x.add(((image * gather.h + from_y as usize) * gather.w + start) * channels);
            let row = row.add(left);
            if channels == 1 {
                std::ptr::copy_nonoverlapping(from, row, count);
                continue;
            }
            for x in (0..count).step_by(V::LANES) {
                for c in (0..channels).step_by(V::LANES) {
                    let (pixels, some) = ((count - x).min(V::LANES), (channels - c).min(V::LANES));
                    transpose::<V>(from.add(x * channels + c), channels, pixels, some, row.add(c * plane + x), plane);
                }
            }
        }
    }
    View { whole: true, origin: to, row: width, h: height, w: width, first_y, first_x: low[1] }
}
