//! The tile kernel: a few rows by a few vectors of C in registers, all of k in one chain.
// Tiles are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

/// What a tile kernel works on. Strides count elements.
///
/// `U` is what one step of k takes of A and B: a number, or a group of numbers that one instruction multiplies and
/// sums. `S` is an element of C.
#[derive(Debug)]
pub struct Tile<U, S> {
    /// Row 0 of A at the first step, less the first segment's offset.
    pub a: *const U,
    /// From one row of A to the next.
    pub a_row: usize,
    /// From one step of A to the next.
    pub a_step: usize,
    /// Offset of A for each run of `depth` steps; B goes on without a break. One of 0 for a plain product; a
    /// convolution has one for each position of its window.
    pub segments: *const isize,
    /// Number of segments.
    pub segment_count: usize,
    /// Steps in a segment.
    pub depth: usize,
    /// The first vector of B at the first step; the others follow it.
    pub b: *const U,
    /// From one step of B to the next.
    pub b_step: usize,
    /// Element (0, 0) of the tile of C.
    pub c: *mut S,
    /// From one row of C to the next.
    pub c_row: usize,
    /// The tile of C that comes next, to be fetched meanwhile (any address will do), or null.
    pub next_c: *const S,
    /// What will be read later, to be fetched meanwhile, a piece with every step; any address will do.
    pub ahead: *const u8,
    /// Bytes of it for each step.
    pub ahead_step: usize,
    /// Columns in the last vector, 1 to the number of lanes.
    pub last: usize,
    /// Whether the chains start at C; else at zero.
    pub add: bool,
    /// What to add for each column of the tile, or null.
    pub bias_cols: *const S,
    /// What to add for each row of the tile, or null.
    pub bias_rows: *const S,
    /// Whether to store max(C, 0).
    pub relu: bool,
}

/// A tile kernel for a fixed number of rows and vectors.
///
/// # Safety
/// All that the tile names must be readable (C writable), and the machine must have the kernel's instruction set.
pub type TileFn<U, S> = unsafe fn(&Tile<U, S>);

/// Vectors of an instruction set for one kind of product.
///
/// Every method is unsafe for two reasons: the caller must have the instruction set, and pointers must be good for
/// what is read or written (for `_some`: the lanes of the mask alone).
pub(super) trait Lanes {
    /// Number or group of numbers of A and B.
    type Unit: Copy;
    /// Element of C.
    type Sum: Copy;
    /// `LANES` units.
    type Units: Copy;
    /// `LANES` sums.
    type Sums: Copy;
    /// The first n lanes.
    type Mask: Copy;
    /// Lanes of a vector.
    const LANES: usize;

    /// Asks for the cache line at `at`, which need not be readable.
    unsafe fn fetch(at: *const Self::Sum);
    /// Asks for the cache line at `at`, which need not be readable, in the second-level cache.
    unsafe fn fetch_far(at: *const u8);
    /// The first `n` lanes, `1 <= n <= LANES`.
    unsafe fn mask(n: usize) -> Self::Mask;
    /// One unit in all lanes.
    unsafe fn splat(from: *const Self::Unit) -> Self::Units;
    /// `LANES` units.
    unsafe fn load(from: *const Self::Unit) -> Self::Units;
    /// The units of the mask, zeros elsewhere.
    unsafe fn load_some(from: *const Self::Unit, mask: Self::Mask) -> Self::Units;
    /// Zeros.
    unsafe fn zeros() -> Self::Sums;
    /// One sum in all lanes.
    unsafe fn splat_sum(from: *const Self::Sum) -> Self::Sums;
    /// `LANES` sums.
    unsafe fn load_sums(from: *const Self::Sum) -> Self::Sums;
    /// The sums of the mask, zeros elsewhere.
    unsafe fn load_sums_some(from: *const Self::Sum, mask: Self::Mask) -> Self::Sums;
    /// Writes `LANES` sums.
    unsafe fn store(to: *mut Self::Sum, sums: Self::Sums);
    /// Writes the sums of the mask.
    unsafe fn store_some(to: *mut Self::Sum, sums: Self::Sums, mask: Self::Mask);
    /// a * b + c
    unsafe fn fma(a: Self::Units, b: Self::Units, c: Self::Sums) -> Self::Sums;
    /// a + b
    unsafe fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// max(a, 0), NaN where a is NaN
    unsafe fn relu(a: Self::Sums) -> Self::Sums;
}

/// C[0..M][0..N vectors], the body of every tile kernel.
///
/// # Safety
/// As [`TileFn`].
#[inline(always)]
pub(super) unsafe fn tile<L: Lanes, const M: usize, const N: usize>(t: &Tile<L::Unit, L::Sum>) {
    // SAFETY: the caller vouches for the instruction set and for every place that the tile names.
    unsafe {
        let mask = L::mask(t.last);
        let mut sums = [[L::zeros(); N]; M];
        if t.add {
            for i in 0..M {
                let c = t.c.add(i * t.c_row);
                for j in 0..N - 1 {
                    sums[i][j] = L::load_sums(c.add(j * L::LANES));
                }
                sums[i][N - 1] = L::load_sums_some(c.add((N - 1) * L::LANES), mask);
            }
        }
        if !t.next_c.is_null() {
            for i in 0..M {
                for j in 0..N {
                    L::fetch(t.next_c.wrapping_add(i * t.c_row + j * L::LANES));
                }
            }
        }
        let (mut b, mut ahead) = (t.b, t.ahead);
        let (row, step, b_step) = (t.a_row, t.a_step, t.b_step);
        for segment in 0..t.segment_count {
            // One pointer for every four rows: with one for each row there would not be registers enough.
            let first = t.a.offset(*t.segments.add(segment));
            let mut a = [first; 4];
            for (group, a) in a.iter_mut().enumerate().take(M.div_ceil(4)) {
                *a = first.add(group * 4 * row);
            }
            for _ in 0..t.depth {
                let mut units = [L::load_some(b.add((N - 1) * L::LANES), mask); N];
                for (j, units) in units.iter_mut().enumerate().take(N - 1) {
                    *units = L::load(b.add(j * L::LANES));
                }
                for i in 0..M {
                    let x = L::splat(a[i / 4].add(i % 4 * row));
                    for j in 0..N {
                        sums[i][j] = L::fma(x, units[j], sums[i][j]);
                    }
                }
                for a in a.iter_mut().take(M.div_ceil(4)) {
                    *a = a.wrapping_add(step);
                }
                b = b.wrapping_add(b_step);
                // A single row reads B in long pieces, which the processor fetches by itself.
                if M > 1 {
                    L::fetch_far(ahead);
                    ahead = ahead.wrapping_add(t.ahead_step);
                }
            }
        }
        if !t.bias_cols.is_null() {
            for j in 0..N {
                let from = t.bias_cols.add(j * L::LANES);
                let bias = if j < N - 1 { L::load_sums(from) } else { L::load_sums_some(from, mask) };
                for i in 0..M {
                    sums[i][j] = L::add(sums[i][j], bias);
                }
            }
        }
        if !t.bias_rows.is_null() {
            for i in 0..M {
                let bias = L::splat_sum(t.bias_rows.add(i));
                for j in 0..N {
                    sums[i][j] = L::add(sums[i][j], bias);
                }
            }
        }
        if t.relu {
            for i in 0..M {
                for j in 0..N {
                    sums[i][j] = L::relu(sums[i][j]);
                }
            }
        }
        for i in 0..M {
            let c = t.c.add(i * t.c_row);
            for j in 0..N - 1 {
                L::store(c.add(j * L::LANES), sums[i][j]);
            }
            L::store_some(c.add((N - 1) * L::LANES), sums[i][N - 1], mask);
        }
    }
}
