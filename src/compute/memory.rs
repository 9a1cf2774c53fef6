//! Buffers and the pool they come from.
//!
//! A training step asks for the same sizes again and again; the pool keeps what is given back, keyed by size class, so
//! that after the first step no memory is asked of the system. There are four classes to each doubling, so at most a
//! quarter of a block is unused.
#![allow(unsafe_code)]

use super::dtype::{DType, Element};
use crate::error::{Error, Result};
use std::alloc::{Layout as Block, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

/// Every block starts on a cache line, large ones on a huge page.
const LINE: usize = 64;
const HUGE: usize = 2 << 20;
/// Smallest block.
const LEAST: usize = 256;
/// Classes up to 2^48 bytes.
const CLASSES: usize = 4 * 40 + 1;

/// What a pool has done so far. Bytes count whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolFigures {
    /// Requests that were met with a block the pool held.
    pub hits: u64,
    /// Requests that took new memory from the system.
    pub misses: u64,
    /// Bytes of free blocks the pool holds.
    pub bytes_held: u64,
    /// Bytes of blocks in use.
    pub bytes_in_use: u64,
    /// Most bytes ever in use at one time, since the start or the last [`Pool::reset_high_water`].
    pub high_water: u64,
    /// Most bytes the pool may have, in use and held together.
    pub limit: Option<u64>,
}

impl PoolFigures {
    /// Share of requests that were met without the system, 0 to 1; 0 before the first.
    pub fn hit_rate(&self) -> f64 {
        let all = self.hits + self.misses;
        if all == 0 { 0.0 } else { self.hits as f64 / all as f64 }
    }
}

impl std::fmt::Display for PoolFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        write!(
            f,
            "{} hits, {} misses ({:.1} % hits), {:.1} MB in use, {:.1} MB held, {:.1} MB at most",
            self.hits,
            self.misses,
            100.0 * self.hit_rate(),
            mb(self.bytes_in_use),
            mb(self.bytes_held),
            mb(self.high_water)
        )
    }
}

struct Held {
    free: Vec<Vec<Raw>>,
    figures: PoolFigures,
}

/// Memory of one device, kept for reuse.
pub struct Pool {
    held: Mutex<Held>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.figures())
    }
}

struct Raw(NonNull<u8>);
// SAFETY: a block is plain memory that one owner at a time has.
unsafe impl Send for Raw {}
// SAFETY: as above; sharing gives read access only.
unsafe impl Sync for Raw {}

fn class_of(bytes: usize) -> usize {
    let bytes = bytes.max(LEAST);
    let doublings = (usize::BITS - 1 - bytes.leading_zeros()) as usize;
    let quarter = (1usize << doublings) / 4;
    let steps = (bytes - (1 << doublings)).div_ceil(quarter);
    (doublings - 8) * 4 + steps
}

fn bytes_of(class: usize) -> usize {
    let base = LEAST << (class / 4);
    base + base / 4 * (class % 4)
}

fn block_of(class: usize) -> Block {
    let bytes = bytes_of(class);
    let align = if bytes >= HUGE { HUGE } else { LINE };
    Block::from_size_align(bytes, align).expect("a class is a valid block")
}

impl Default for Pool {
    fn default() -> Self {
        let free = (0..CLASSES).map(|_| Vec::new()).collect();
        Self { held: Mutex::new(Held { free, figures: PoolFigures::default() }) }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What it has done so far.
    pub fn figures(&self) -> PoolFigures {
        self.lock().figures
    }

    /// Sets the most bytes it may have, in use and held together; `None` lifts the limit. What is in use stays.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.lock().figures.limit = limit;
    }

    /// Starts the high-water mark anew at what is in use now.
    pub fn reset_high_water(&self) {
        let mut held = self.lock();
        held.figures.high_water = held.figures.bytes_in_use;
    }

    /// Gives all free blocks back to the system.
    pub fn clear(&self) {
        self.lock().release();
    }

    /// A block of at least `bytes`. Its content is arbitrary, but every byte has been written before.
    fn take(&self, bytes: usize) -> Result<(Raw, usize)> {
        let class = class_of(bytes);
        if class >= CLASSES {
            return Err(Error::NotEnoughMemory(format!("a tensor of {bytes} bytes is larger than any memory")));
        }
        let size = bytes_of(class) as u64;
        let mut held = self.lock();
        let block = if let Some(block) = held.free[class].pop() {
            held.figures.hits += 1;
            held.figures.bytes_held -= size;
            block
        } else {
            if let Some(limit) = held.figures.limit {
                if held.figures.bytes_in_use + held.figures.bytes_held + size > limit {
                    held.release();
                }
                if held.figures.bytes_in_use + size > limit {
                    return Err(Error::NotEnoughMemory(format!(
                        "a tensor of {:.1} MB does not fit: {:.1} MB are in use and the pool is limited to {:.1} MB",
                        size as f64 / 1e6,
                        held.figures.bytes_in_use as f64 / 1e6,
                        limit as f64 / 1e6
                    )));
                }
            }
            let block = Self::system(class).or_else(|| {
                held.release();
                Self::system(class)
            });
            held.figures.misses += 1;
            block.ok_or_else(|| {
                Error::NotEnoughMemory(format!("the system has no {:.1} MB for a tensor", size as f64 / 1e6))
            })?
        };
        held.figures.bytes_in_use += size;
        held.figures.high_water = held.figures.high_water.max(held.figures.bytes_in_use);
        Ok((block, class))
    }

    fn system(class: usize) -> Option<Raw> {
        let block = block_of(class);
        // SAFETY: the block has a size above zero.
        let start = NonNull::new(unsafe { alloc_zeroed(block) })?;
        #[cfg(target_os = "linux")]
        if block.size() >= HUGE {
            // SAFETY: advice on memory that was just allocated; it changes no content.
            unsafe { libc::madvise(start.as_ptr().cast(), block.size(), libc::MADV_HUGEPAGE) };
        }
        Some(Raw(start))
    }

    fn give_back(&self, block: Raw, class: usize) {
        let mut held = self.lock();
        let size = bytes_of(class) as u64;
        held.figures.bytes_in_use -= size;
        held.figures.bytes_held += size;
        held.free[class].push(block);
    }
}

impl Held {
    fn release(&mut self) {
        for (class, blocks) in self.free.iter_mut().enumerate() {
            for Raw(start) in blocks.drain(..) {
                // SAFETY: the block came from `alloc_zeroed` with this layout and nobody uses it.
                unsafe { dealloc(start.as_ptr(), block_of(class)) };
            }
        }
        self.figures.bytes_held = 0;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Elements of one type in the memory of a device. Goes back to its pool when dropped.
pub struct Buffer {
    block: Raw,
    class: usize,
    len: usize,
    dtype: DType,
    pool: Arc<Pool>,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} x {})", self.len, self.dtype)
    }
}

impl Buffer {
    /// Room for `len` elements. The values are arbitrary until they are written.
    ///
    /// # Errors
    /// The limit of the pool or the memory of the system is exceeded.
    pub fn new(pool: &Arc<Pool>, dtype: DType, len: usize) -> Result<Self> {
        let (block, class) = pool.take(len.saturating_mul(dtype.size()))?;
        Ok(Self { block, class, len, dtype, pool: pool.clone() })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Bytes of its elements.
    pub fn bytes(&self) -> usize {
        self.len * self.dtype.size()
    }

    /// The elements.
    ///
    /// # Panics
    /// If the type is another; callers match on [`Buffer::dtype`] first.
    #[inline]
    pub fn as_slice<T: Element>(&self) -> &[T] {
        assert_eq!(T::DTYPE, self.dtype, "a buffer of {} read as {}", self.dtype, T::DTYPE);
        // SAFETY: the block is aligned to a cache line, holds `len` elements of this type by construction, every byte
        // was zeroed at least once, and every bit pattern is a value of an `Element`.
        unsafe { std::slice::from_raw_parts(self.block.0.as_ptr().cast(), self.len) }
    }

    /// The elements, to be written.
    ///
    /// # Panics
    /// As [`Buffer::as_slice`].
    #[inline]
    pub fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        assert_eq!(T::DTYPE, self.dtype, "a buffer of {} written as {}", self.dtype, T::DTYPE);
        // SAFETY: as in `as_slice`; the buffer owns the block and is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.block.0.as_ptr().cast(), self.len) }
    }

    /// The bytes of the elements, as this machine stores them.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the block holds that many bytes, all of which were written at least once.
        unsafe { std::slice::from_raw_parts(self.block.0.as_ptr(), self.bytes()) }
    }

    /// The bytes of the elements, to be written.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        // SAFETY: as above; every bit pattern is a value of an `Element`.
        unsafe { std::slice::from_raw_parts_mut(self.block.0.as_ptr(), self.bytes()) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.give_back(Raw(self.block.0), self.class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_is_asked_and_waste_a_quarter_at_most() {
        for bytes in (0..10_000).chain([1 << 20, (1 << 20) + 1, 3_000_000, (1 << 33) + 7]) {
            let class = class_of(bytes);
            assert!(bytes_of(class) >= bytes);
            assert!(bytes_of(class) <= (bytes + bytes / 4 + 1).max(LEAST), "{bytes} -> {}", bytes_of(class));
        }
    }

    #[test]
    fn blocks_come_back_and_figures_tell() {
        let pool = Arc::new(Pool::default());
        let first = Buffer::new(&pool, DType::F32, 1000).unwrap();
        let bytes = pool.figures().bytes_in_use;
        assert_eq!((pool.figures().hits, pool.figures().misses, bytes), (0, 1, 4096));
        drop(first);
        assert_eq!(pool.figures().bytes_held, bytes);
        let second = Buffer::new(&pool, DType::F64, 500).unwrap();
        assert_eq!((pool.figures().hits, pool.figures().hit_rate()), (1, 0.5));
        let third = Buffer::new(&pool, DType::U8, 4096).unwrap();
        assert_eq!(pool.figures().high_water, 2 * bytes);
        drop((second, third));
        pool.clear();
        assert_eq!((pool.figures().bytes_held, pool.figures().bytes_in_use), (0, 0));
    }

    #[test]
    fn a_limit_is_kept_and_said() {
        let pool = Arc::new(Pool::default());
        pool.set_limit(Some(10_000));
        let first = Buffer::new(&pool, DType::U8, 8192).unwrap();
        let message = Buffer::new(&pool, DType::U8, 4096).unwrap_err().to_string();
        assert!(message.contains("limited"), "{message}");
        drop(first);
        // Held blocks make room.
        assert!(Buffer::new(&pool, DType::U8, 5000).is_ok());
    }
}
