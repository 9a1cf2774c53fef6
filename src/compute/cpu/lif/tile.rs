//! Tiles of neurons: a few vectors whose state stays in registers through all steps.
#![allow(unsafe_code)]

use crate::compute::simd::{Kernel, Lanes, Real};
use std::marker::PhantomData;
use std::ops::Range;

/// Vectors of a full tile.
pub(super) const VECTORS: usize = 4;

/// Work on one tile of neurons after another.
pub(super) trait TileJob<T: Real> {
    /// Takes `U` vectors of neurons from `first` on through all steps; where `PART` is set, only the first `count`
    /// neurons of a single vector.
    ///
    /// # Safety
    /// Those neurons exist and no other thread has them.
    unsafe fn tile<S: Lanes<Elem = T>, const U: usize, const PART: bool>(&self, first: usize, count: usize);
}

/// All tiles of a range of neurons.
pub(super) struct Sweep<'a, T, J> {
    job: &'a J,
    range: Range<usize>,
    element: PhantomData<T>,
}

impl<'a, T: Real, J: TileJob<T>> Sweep<'a, T, J> {
    /// # Safety
    /// The neurons of `range` exist and no other thread has them.
    pub(super) unsafe fn new(job: &'a J, range: Range<usize>) -> Self {
        Self { job, range, element: PhantomData }
    }
}

impl<T: Real, J: TileJob<T>> Kernel<T> for Sweep<'_, T, J> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        let Range { mut start, end } = self.range;
        // SAFETY: every tile lies within the range, about which `Sweep::new` was promised what is needed.
        unsafe {
            while end - start >= VECTORS * S::LANES {
                self.job.tile::<S, VECTORS, false>(start, VECTORS * S::LANES);
                start += VECTORS * S::LANES;
            }
            while start < end {
                let count = S::LANES.min(end - start);
                self.job.tile::<S, 1, true>(start, count);
                start += count;
            }
        }
    }
}

/// More elements than a vector of any instruction set has.
const MOST_LANES: usize = 32;

/// `U` vectors from `from` on, or the first `count` lanes of one.
///
/// # Safety
/// So many elements can be read.
#[inline(always)]
pub(super) unsafe fn load<S: Lanes, const U: usize, const PART: bool>(from: *const S::Elem, count: usize) -> [S; U] {
    if PART {
        let mut padded = [S::Elem::ZERO; MOST_LANES];
        // SAFETY: the caller's promise; `count` is at most the lanes of a vector.
        unsafe { std::ptr::copy_nonoverlapping(from, padded.as_mut_ptr(), count) };
        return [S::load(&padded); U];
    }
    let mut vectors = [S::splat(S::Elem::ZERO); U];
    for (u, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *vector = S::load(unsafe { std::slice::from_raw_parts(from.add(u * S::LANES), S::LANES) });
    }
    vectors
}

/// [`load`] where there is something, else zeros.
///
/// # Safety
/// `from` is null, or as for [`load`].
#[inline(always)]
pub(super) unsafe fn load_if<S: Lanes, const U: usize, const PART: bool>(
    from: *const S::Elem,
    at: usize,
    count: usize,
) -> [S; U] {
    if from.is_null() {
        return [S::splat(S::Elem::ZERO); U];
    }
    // SAFETY: the caller's promise.
    unsafe { load::<S, U, PART>(from.add(at), count) }
}

/// Writes what [`load`] reads.
///
/// # Safety
/// So many elements can be written.
#[inline(always)]
pub(super) unsafe fn store<S: Lanes, const U: usize, const PART: bool>(
    vectors: [S; U],
    to: *mut S::Elem,
    count: usize,
) {
    if PART {
        let mut padded = [S::Elem::ZERO; MOST_LANES];
        vectors[0].store(&mut padded);
        // SAFETY: the caller's promise; `count` is at most the lanes of a vector.
        unsafe { std::ptr::copy_nonoverlapping(padded.as_ptr(), to, count) };
        return;
    }
    for (u, vector) in vectors.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        vector.store(unsafe { std::slice::from_raw_parts_mut(to.add(u * S::LANES), S::LANES) });
    }
}

/// [`store`] where there is a place.
///
/// # Safety
/// `to` is null, or as for [`store`].
#[inline(always)]
pub(super) unsafe fn store_if<S: Lanes, const U: usize, const PART: bool>(
    vectors: [S; U],
    to: *mut S::Elem,
    at: usize,
    count: usize,
) {
    if !to.is_null() {
        // SAFETY: the caller's promise.
        unsafe { store::<S, U, PART>(vectors, to.add(at), count) };
    }
}
