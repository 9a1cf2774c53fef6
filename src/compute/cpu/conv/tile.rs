//! The register tile of convolution: up to `TILE` pixels times up to two vectors of output channels.
// Tiles are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use crate::compute::cpu::lanes::{Float, Path, Vector};
use std::marker::PhantomData;

/// Pointers in a row of the table of input pointers, of which a tile uses the first `M`.
pub(super) const TABLE_ROW: usize = 16;

/// Most vectors of output channels of a tile.
pub(super) const VECS: usize = 2;

/// All pixels of a tile take part in a tap.
pub(super) const ALL: u8 = 0;
/// All but the first do: it lies on the left border.
pub(super) const NOT_FIRST: u8 = 1;
/// All but the last do.
pub(super) const NOT_LAST: u8 = 2;

/// What a tile works on.
///
/// For pixel `m` and output channel `o` it computes `bias[o] + sum over t, c of x(t, m)[c] * weights[t * run + c][o]`
/// as one chain of fused multiply-adds, `t` outer and `c` inner, both ascending: an order that neither the height of the
/// tile nor its place in the image changes.
pub(super) struct TileArgs<'a, T> {
    /// Where the pixels read: `x(t, m)` is `table[t * table_step + m]` moved on by `shifts[t * shift_step]` elements, and
    /// has `run` elements for the pixels of the tile.
    pub table: *const *const T,
    pub table_step: usize,
    pub shifts: *const isize,
    pub shift_step: usize,
    /// Number of taps, and which pixels take part in each: one of [`ALL`], [`NOT_FIRST`], [`NOT_LAST`] at
    /// `clips[t * clip_step]`. What the others would read need not exist.
    pub taps: usize,
    pub clips: *const u8,
    pub clip_step: usize,
    /// Elements of a tap.
    pub run: usize,
    /// `taps * run` rows of weights, each of whole vectors.
    pub weights: *const T,
    /// Elements from one row of weights to the next.
    pub weight_row: usize,
    /// `NV * LANES` elements of which those of existing channels are read, or null for zeros.
    pub bias: *const T,
    /// Each pixel of the output, and the first channel of the tile.
    pub out: &'a [*mut T; TABLE_ROW],
    pub out_first: usize,
    /// Channels of the last vector that exist, at least one.
    pub last: usize,
    /// Whether negative results become zero.
    pub relu: bool,
}

/// A tile of a certain height and width.
pub(super) type TileFn<T> = unsafe fn(&TileArgs<'_, T>);

/// Adds the products of a tap, without the first `LEFT` and the last `RIGHT` pixels.
#[inline(always)]
unsafe fn steps<V: Vector, const M: usize, const NV: usize, const LEFT: usize, const RIGHT: usize>(
    args: &TileArgs<'_, V::Elem>,
    pixels: &[*const V::Elem; M],
    mut weights: *const V::Elem,
    sums: &mut [[V; NV]; M],
) {
    // SAFETY: as in `tile`.
    unsafe {
        for c in 0..args.run {
            let mut w = [V::zero(); NV];
            for (v, w) in w.iter_mut().enumerate() {
                *w = V::load(weights.add(v * V::LANES));
            }
            for m in LEFT..M - RIGHT {
                let x = V::splat(*pixels[m].add(c));
                for v in 0..NV {
                    sums[m][v] = x.mul_add(w[v], sums[m][v]);
                }
            }
            weights = weights.add(args.weight_row);
        }
    }
}

#[inline(always)]
unsafe fn tile<V: Vector, const M: usize, const NV: usize>(args: &TileArgs<'_, V::Elem>) {
    // SAFETY: `TileArgs` says what its pointers lead to; the walk stays within it.
    unsafe {
        let last = args.last;
        let mut sums = [[V::zero(); NV]; M];
        if !args.bias.is_null() {
            for v in 0..NV {
                let from = args.bias.add(v * V::LANES);
                let bias = if v + 1 == NV { V::load_first(from, last) } else { V::load(from) };
                for row in &mut sums {
                    row[v] = bias;
                }
            }
        }
        let mut weights = args.weights;
        for tap in 0..args.taps {
            let table = args.table.add(tap * args.table_step);
            let shift = *args.shifts.add(tap * args.shift_step);
            let mut pixels = [std::ptr::null(); M];
            for (m, pixel) in pixels.iter_mut().enumerate() {
                *pixel = (*table.add(m)).wrapping_offset(shift);
            }
            match *args.clips.add(tap * args.clip_step) {
                NOT_FIRST => steps::<V, M, NV, 1, 0>(args, &pixels, weights, &mut sums),
                NOT_LAST => steps::<V, M, NV, 0, 1>(args, &pixels, weights, &mut sums),
                _ => steps::<V, M, NV, 0, 0>(args, &pixels, weights, &mut sums),
            }
            weights = weights.add(args.run * args.weight_row);
        }
        for m in 0..M {
            for v in 0..NV {
                // Zero where the sum is below it; a NaN stays one.
                let sum = if args.relu { V::zero().max(sums[m][v]) } else { sums[m][v] };
                let to = args.out[m].add(args.out_first + v * V::LANES);
                if v + 1 == NV { sum.store_first(to, last) } else { sum.store(to) }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
unsafe fn wide<T: Float, const M: usize, const NV: usize>(args: &TileArgs<'_, T>) {
    // SAFETY: the caller's promise; compiled with the instructions.
    unsafe { tile::<T::Avx512Lanes, M, NV>(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
unsafe fn half<T: Float, const M: usize, const NV: usize>(args: &TileArgs<'_, T>) {
    // SAFETY: the caller's promise; compiled with the instructions.
    unsafe { tile::<T::Avx2Lanes, M, NV>(args) }
}

unsafe fn plain<T: Float, const M: usize, const NV: usize>(args: &TileArgs<'_, T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<T::PortableLanes, M, NV>(args) }
}

/// Tiles by height - 1 and vectors - 1.
struct Tiles<T>(PhantomData<T>);

macro_rules! tiles {
    ($tile:ident: $($m:literal)*) => { [$([$tile::<T, $m, 1> as TileFn<T>, $tile::<T, $m, 2>]),*] };
}

impl<T: Float> Tiles<T> {
    #[cfg(target_arch = "x86_64")]
    const WIDE: [[TileFn<T>; VECS]; 14] = tiles!(wide: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    #[cfg(target_arch = "x86_64")]
    const HALF: [[TileFn<T>; VECS]; 6] = tiles!(half: 1 2 3 4 5 6);
    const PLAIN: [[TileFn<T>; VECS]; 4] = tiles!(plain: 1 2 3 4);
}

/// Elements of a vector.
pub(super) fn lanes<T: Float>(path: Path) -> usize {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => T::Avx512Lanes::LANES,
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => T::Avx2Lanes::LANES,
        Path::Portable => T::PortableLanes::LANES,
    }
}

/// The tiles of `path`, by height - 1 and vectors - 1. To be called only where `path` came from [`Path::of`].
pub(super) fn tiles<T: Float>(path: Path) -> &'static [[TileFn<T>; VECS]] {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => &Tiles::<T>::WIDE,
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => &Tiles::<T>::HALF,
        Path::Portable => &Tiles::<T>::PLAIN,
    }
}
