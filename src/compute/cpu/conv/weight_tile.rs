//! The register tile of the weight gradient: up to `TILE` rows of weights times up to two vectors of output channels,
//! summed over the pixels of a block.
// Tiles are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use super::tile::{TABLE_ROW, VECS};
use crate::compute::cpu::lanes::{Float, Path, Vector};
use std::marker::PhantomData;

/// What a tile works on: for its rows `m` and output channels `o`, `out[m][o] += sum over pixels of x[pixel][m] *
/// dy[pixel][o]`. The sum of the block is one chain of fused multiply-adds, pixels ascending, and is added once.
pub(super) struct WeightTileArgs<T> {
    /// What each row of weights reads at the first pixel.
    pub x: [*const T; TABLE_ROW],
    /// Elements of the input from pixel to pixel and from row to row of pixels.
    pub x_pixel: usize,
    pub x_row: usize,
    /// The gradient of the output at the first pixel, and the same distances.
    pub dy: *const T,
    pub dy_pixel: usize,
    pub dy_row: usize,
    /// Pixels.
    pub rows: usize,
    pub cols: usize,
    /// First weight of the tile, and elements from one row of weights to the next.
    pub out: *mut T,
    pub out_row: usize,
    /// Channels of the last vector that exist, at least one.
    pub last: usize,
}

/// A tile of a certain height and width.
pub(super) type WeightTileFn<T> = unsafe fn(&WeightTileArgs<T>);

#[inline(always)]
unsafe fn tile<V: Vector, const M: usize, const NV: usize>(args: &WeightTileArgs<V::Elem>) {
    // SAFETY: the arguments describe memory that exists; the walk stays within it.
    unsafe {
        let last = args.last;
        let mut sums = [[V::zero(); NV]; M];
        let mut x = [std::ptr::null(); M];
        x.copy_from_slice(&args.x[..M]);
        for row in 0..args.rows {
            let mut at = row * args.x_row;
            let mut dy = args.dy.add(row * args.dy_row);
            for _ in 0..args.cols {
                let mut g = [V::zero(); NV];
                for (v, g) in g.iter_mut().enumerate() {
                    let from = dy.add(v * V::LANES);
                    *g = if v + 1 == NV { V::load_first(from, last) } else { V::load(from) };
                }
                for m in 0..M {
                    let x = V::splat(*x[m].add(at));
                    for v in 0..NV {
                        sums[m][v] = x.mul_add(g[v], sums[m][v]);
                    }
                }
                at += args.x_pixel;
                dy = dy.add(args.dy_pixel);
            }
        }
        for m in 0..M {
            for v in 0..NV {
                let to = args.out.add(m * args.out_row + v * V::LANES);
                if v + 1 == NV {
                    (sums[m][v] + V::load_first(to, last)).store_first(to, last);
                } else {
                    (sums[m][v] + V::load(to)).store(to);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
unsafe fn wide<T: Float, const M: usize, const NV: usize>(args: &WeightTileArgs<T>) {
    // SAFETY: the caller's promise; compiled with the instructions.
    unsafe { tile::<T::Avx512Lanes, M, NV>(args) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt")]
unsafe fn half<T: Float, const M: usize, const NV: usize>(args: &WeightTileArgs<T>) {
    // SAFETY: the caller's promise; compiled with the instructions.
    unsafe { tile::<T::Avx2Lanes, M, NV>(args) }
}

unsafe fn plain<T: Float, const M: usize, const NV: usize>(args: &WeightTileArgs<T>) {
    // SAFETY: the caller's promise.
    unsafe { tile::<T::PortableLanes, M, NV>(args) }
}

/// Tiles by height - 1 and vectors - 1.
struct Tiles<T>(PhantomData<T>);

macro_rules! tiles {
    ($tile:ident: $($m:literal)*) => { [$([$tile::<T, $m, 1> as WeightTileFn<T>, $tile::<T, $m, 2>]),*] };
}

impl<T: Float> Tiles<T> {
    #[cfg(target_arch = "x86_64")]
    const WIDE: [[WeightTileFn<T>; VECS]; 14] = tiles!(wide: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    #[cfg(target_arch = "x86_64")]
    const HALF: [[WeightTileFn<T>; VECS]; 6] = tiles!(half: 1 2 3 4 5 6);
    const PLAIN: [[WeightTileFn<T>; VECS]; 4] = tiles!(plain: 1 2 3 4);
}

/// The tiles of `path`, by height - 1 and vectors - 1. To be called only where `path` came from [`Path::of`].
pub(super) fn weight_tiles<T: Float>(path: Path) -> &'static [[WeightTileFn<T>; VECS]] {
    match path {
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => &Tiles::<T>::WIDE,
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => &Tiles::<T>::HALF,
        Path::Portable => &Tiles::<T>::PLAIN,
    }
}
