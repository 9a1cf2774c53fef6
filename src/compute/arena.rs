//! Large zeroed arrays on huge pages.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut, Range};

/// Alignment of every [`HugeVec`], bytes: one huge page of x86-64 and AArch64.
const PAGE: usize = 2 << 20;
/// Arrays below this many bytes come from the ordinary allocator.
const SMALL: usize = 1 << 20;

/// A fixed-length, zero-initialised array, 64-byte aligned at least.
///
/// Large ones are mapped directly and ask for transparent huge pages, which makes streaming over synapses about a
/// tenth faster. Pages that are never touched use no memory, so the length may be a generous bound.
///
/// Invariant: `ptr` is valid for `len` elements of `T`, whose all-zero bytes are a valid value (`T: Zeroed`).
pub struct HugeVec<T: Zeroed> {
    ptr: std::ptr::NonNull<T>,
    len: usize,
    /// Mapping to release, or `(null, layout size)` for the ordinary allocator.
    map: *mut u8,
    map_len: usize,
    /// Whether the system has been told to use small pages, of which single ones can be given back.
    small_pages: bool,
}

/// Plain types without padding whose bytes may be anything, all zero among them.
///
/// # Safety
/// Implement it only for such types, without drop glue.
pub unsafe trait Zeroed: Copy {}
macro_rules! zeroed { ($($t:ty),*) => { $(
    // SAFETY: primitive number.
    unsafe impl Zeroed for $t {}
)* } }
zeroed!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

// SAFETY: owns its memory; `T` is plain data.
unsafe impl<T: Zeroed + Send> Send for HugeVec<T> {}
// SAFETY: shared access is read-only.
unsafe impl<T: Zeroed + Sync> Sync for HugeVec<T> {}

impl<T: Zeroed> HugeVec<T> {
    /// `len` zeroed elements. Aborts like any allocation if the address space is exhausted.
    pub fn zeroed(len: usize) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).expect("array length overflows the address space").max(64);
        #[cfg(unix)]
        if bytes >= SMALL {
            let rounded = bytes.div_ceil(PAGE) * PAGE;
            // SAFETY: an anonymous private mapping at an address of the system's choice.
            let map = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    rounded + PAGE,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                    -1,
                    0,
                )
            };
            if map == libc::MAP_FAILED {
                std::alloc::handle_alloc_error(std::alloc::Layout::from_size_align(bytes, 64).expect("valid layout"));
            }
            let aligned = (map as usize).div_ceil(PAGE) * PAGE;
            // SAFETY: `aligned..aligned + rounded` lies in the mapping; the advice may fail without harm.
            #[cfg(target_os = "linux")]
            unsafe {
                libc::madvise(aligned as *mut _, rounded, libc::MADV_HUGEPAGE);
            }
            let ptr = std::ptr::NonNull::new(aligned as *mut T).expect("mapped");
            return Self { ptr, len, map: map.cast(), map_len: rounded + PAGE, small_pages: false };
        }
        let layout = std::alloc::Layout::from_size_align(bytes, 64).expect("valid layout");
        // SAFETY: the layout's size is at least 64.
        let raw = unsafe { std::alloc::alloc_zeroed(layout) };
        let Some(ptr) = std::ptr::NonNull::new(raw.cast::<T>()) else { std::alloc::handle_alloc_error(layout) };
        Self { ptr, len, map: std::ptr::null_mut(), map_len: bytes, small_pages: false }
    }

    /// The elements of `from`, copied.
    pub fn from_slice(from: &[T]) -> Self {
        let mut new = Self::zeroed(from.len());
        new.copy_from_slice(from);
        new
    }

    /// Whether [`release`](Self::release) gives anything back.
    pub fn releases(&self) -> bool {
        cfg!(target_os = "linux") && !self.map.is_null()
    }

    /// Gives the memory of those pages back to the system that lie wholly within `range`: their elements read as zero
    /// from then on, and take memory again when they are written. The others keep their values, as do all elements of
    /// arrays below a mebibyte, which lie beside other things.
    ///
    /// Returns the bytes given back. From the first time on the array uses small pages: a huge page would come back as a
    /// whole for a single write.
    ///
    /// # Panics
    /// If `range` leads beyond the array.
    pub fn release(&mut self, range: Range<usize>) -> usize {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} lies in an array of {}", self.len);
        #[cfg(target_os = "linux")]
        if !self.map.is_null() {
            let page = page_size();
            let base = self.ptr.as_ptr() as usize;
            let from = (base + range.start * size_of::<T>()).next_multiple_of(page);
            let to = (base + range.end * size_of::<T>()) / page * page;
            if from >= to {
                return 0;
            }
            if !self.small_pages {
                self.small_pages = true;
                let rounded = self.map_len - PAGE;
                // SAFETY: the pages of this array, aligned in `zeroed`; the advice changes no value.
                unsafe { libc::madvise(self.ptr.as_ptr().cast(), rounded, libc::MADV_NOHUGEPAGE) };
            }
            // SAFETY: whole pages of this array's own private mapping, borrowed uniquely; pages that were given back
            // read as zero, which is a valid value.
            let given = unsafe { libc::madvise(from as *mut _, to - from, libc::MADV_DONTNEED) } == 0;
            return if given { to - from } else { 0 };
        }
        0
    }

    /// The bytes of the elements.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the elements are plain data without padding.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr().cast(), self.len * size_of::<T>()) }
    }

    /// The bytes of the elements, to be written.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the elements are plain data without padding, of which any bytes are a value.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr().cast(), self.len * size_of::<T>()) }
    }

    /// Pointer to the first element.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.ptr.as_ptr()
    }
}

/// Bytes of a small page.
#[cfg(target_os = "linux")]
fn page_size() -> usize {
    static SIZE: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    // SAFETY: asks for a number.
    *SIZE.get_or_init(|| usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE))
}

impl<T: Zeroed> Drop for HugeVec<T> {
    fn drop(&mut self) {
        if self.map.is_null() {
            let layout = std::alloc::Layout::from_size_align(self.map_len, 64).expect("valid layout");
            // SAFETY: allocated with this layout in `zeroed`.
            unsafe { std::alloc::dealloc(self.ptr.as_ptr().cast(), layout) }
        } else {
            // SAFETY: this mapping was made in `zeroed` and nothing else refers to it.
            #[cfg(unix)]
            unsafe {
                libc::munmap(self.map.cast(), self.map_len);
            }
        }
    }
}

impl<T: Zeroed> Deref for HugeVec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the type's invariant.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl<T: Zeroed> DerefMut for HugeVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the type's invariant, and `self` is borrowed uniquely.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl<T: Zeroed + std::fmt::Debug> std::fmt::Debug for HugeVec<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HugeVec<{}>[{}]", std::any::type_name::<T>(), self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_are_zeroed_aligned_and_writable() {
        for n in [0, 1, 1000, 3_000_000] {
            let mut v = HugeVec::<u32>::zeroed(n);
            assert_eq!(v.as_ptr() as usize % 64, 0);
            assert!(v.iter().all(|x| *x == 0));
            if let Some(last) = v.last_mut() {
                *last = 7;
                assert_eq!(v[n - 1], 7);
            }
        }
    }

    #[test]
    fn what_is_released_is_zero_or_as_it_was() {
        for n in [1000usize, 2_000_000] {
            let mut v = HugeVec::<u32>::zeroed(n);
            v.fill(5);
            let (from, to) = (n / 3, n / 3 * 2);
            let bytes = v.release(from..to);
            let zeros = v.iter().filter(|x| **x == 0).count();
            assert_eq!(zeros * 4, bytes);
            assert!(v[from..to].iter().all(|x| *x == 0 || *x == 5));
            assert!(v[..from].iter().chain(&v[to..]).all(|x| *x == 5));
            assert_eq!(bytes > 0, n > 1000 && cfg!(target_os = "linux"));
            v.fill(7);
            assert!(v.iter().all(|x| *x == 7));
        }
    }
}
