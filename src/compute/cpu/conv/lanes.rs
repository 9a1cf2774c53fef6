//! Vectors with a fused multiply-add: what the convolution and pooling kernels are written against.
//!
//! Beside the engine's lanes in `compute::simd`, whose arithmetic must not be fused, these trade identical bits on every
//! instruction set for speed. All functions work on pointers, since the kernels walk strided memory; whoever calls them
//! has checked the bounds of the whole walk.

use crate::compute::Isa;
use crate::compute::simd::Real;

/// A vector of `LANES` elements.
///
/// # Safety
/// The functions of an implementation may be called only where the machine has its instructions, and from code compiled
/// with them ([`dispatch`]). Pointers have to be valid for the elements named; no alignment is asked for.
pub trait Vector: Copy {
    /// Element type.
    type Elem: Float;
    /// Which of the first lanes take part in a masked access.
    type Mask: Copy;
    /// Number of elements.
    const LANES: usize;
    /// Most pixels of a convolution's register tile.
    const TILE: usize;

    /// Zeros.
    unsafe fn zero() -> Self;
    /// Every lane `x`.
    unsafe fn set(x: Self::Elem) -> Self;
    /// Every lane the element at `from`.
    unsafe fn splat(from: *const Self::Elem) -> Self;
    /// `LANES` elements.
    unsafe fn load(from: *const Self::Elem) -> Self;
    /// Writes `LANES` elements.
    unsafe fn store(self, to: *mut Self::Elem);
    /// The first `n` lanes, at most `LANES`.
    unsafe fn mask(n: usize) -> Self::Mask;
    /// The elements under the mask; the others are zero and not touched.
    unsafe fn load_masked(from: *const Self::Elem, mask: Self::Mask) -> Self;
    /// Writes the elements under the mask.
    unsafe fn store_masked(self, to: *mut Self::Elem, mask: Self::Mask);
    /// `self * by + to`; rounded once where the machine has such an instruction.
    unsafe fn fma(self, by: Self, to: Self) -> Self;
    /// Sum.
    unsafe fn add(self, o: Self) -> Self;
    /// Product.
    unsafe fn mul(self, o: Self) -> Self;
    /// `max(self, 0)`; NaN stays NaN.
    unsafe fn relu(self) -> Self;
    /// `to[j * to_row + i] = from[i * from_row + j]` for `i` below `rows` and `j` below `cols`, at most `LANES` each.
    #[inline(always)]
    unsafe fn transpose(
        from: *const Self::Elem,
        from_row: usize,
        rows: usize,
        cols: usize,
        to: *mut Self::Elem,
        to_row: usize,
    ) {
        for j in 0..cols {
            for i in 0..rows {
                // SAFETY: the caller's promise.
                unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) };
            }
        }
    }
}

/// `f32` or `f64`, with its vectors.
pub trait Float: Real + sealed::Sealed {
    /// Vector under AVX-512.
    #[doc(hidden)]
    type Wide: Vector<Elem = Self>;
    /// Vector under AVX2 with FMA.
    #[doc(hidden)]
    type Half: Vector<Elem = Self>;
    /// Vector of plain arrays.
    #[doc(hidden)]
    type Plain: Vector<Elem = Self>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Float for f32 {
    #[cfg(target_arch = "x86_64")]
    type Wide = x86::F32x16;
    #[cfg(target_arch = "x86_64")]
    type Half = x86::F32x8;
    #[cfg(not(target_arch = "x86_64"))]
    type Wide = Plain<f32, 4>;
    #[cfg(not(target_arch = "x86_64"))]
    type Half = Plain<f32, 4>;
    type Plain = Plain<f32, 4>;
}

impl Float for f64 {
    #[cfg(target_arch = "x86_64")]
    type Wide = x86::F64x8;
    #[cfg(target_arch = "x86_64")]
    type Half = x86::F64x4;
    #[cfg(not(target_arch = "x86_64"))]
    type Wide = Plain<f64, 2>;
    #[cfg(not(target_arch = "x86_64"))]
    type Half = Plain<f64, 2>;
    type Plain = Plain<f64, 2>;
}

/// The instructions that dense kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compute::cpu) enum Level {
    /// AVX-512 F, BW, DQ, VL.
    #[cfg(target_arch = "x86_64")]
    Wide,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Half,
    /// What every machine of the target has.
    Plain,
}

impl Level {
    /// The level for `isa`: AVX2 counts only together with FMA, which `Isa::Avx2` does not promise.
    pub fn of(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if std::is_x86_feature_detected!("fma") => Self::Wide,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 if std::is_x86_feature_detected!("fma") => Self::Half,
            _ => Self::Plain,
        }
    }

    /// Elements of a vector.
    pub fn lanes<T: Float>(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Wide => T::Wide::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Half => T::Half::LANES,
            Self::Plain => T::Plain::LANES,
        }
    }
}

/// A kernel, generic over the vectors it runs on. Mark `run` and all below it `#[inline(always)]`, and pass no closures:
/// they are compiled without the instructions.
pub(in crate::compute::cpu) trait Kernel<T: Float> {
    /// What the kernel returns.
    type Output;
    /// The body.
    ///
    /// # Safety
    /// Called only by [`dispatch`].
    unsafe fn run<V: Vector<Elem = T>>(self) -> Self::Output;
}

/// Runs `kernel` on the vectors of `level`, compiled with its instructions.
pub(in crate::compute::cpu) fn dispatch<T: Float, K: Kernel<T>>(level: Level, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
    fn wide<T: Float, K: Kernel<T>>(kernel: K) -> K::Output {
        // SAFETY: compiled with the instructions.
        unsafe { kernel.run::<T::Wide>() }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
    fn half<T: Float, K: Kernel<T>>(kernel: K) -> K::Output {
        // SAFETY: compiled with the instructions.
        unsafe { kernel.run::<T::Half>() }
    }
    match level {
        // SAFETY: `Level::of` gives this level only where the machine has the instructions.
        #[cfg(target_arch = "x86_64")]
        Level::Wide => unsafe { wide(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Half => unsafe { half(kernel) },
        // SAFETY: plain arrays need no instructions of their own.
        Level::Plain => unsafe { kernel.run::<T::Plain>() },
    }
}

/// A vector made of an array, which the compiler turns into whatever the target has.
#[derive(Clone, Copy)]
pub struct Plain<T, const N: usize>([T; N]);

impl<T: Float, const N: usize> Vector for Plain<T, N> {
    type Elem = T;
    type Mask = usize;
    const LANES: usize = N;
    const TILE: usize = 6;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([T::ZERO; N])
    }
    #[inline(always)]
    unsafe fn set(x: T) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    unsafe fn splat(from: *const T) -> Self {
        // SAFETY: the caller's promise.
        Self([unsafe { *from }; N])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn mask(n: usize) -> usize {
        n
    }
    #[inline(always)]
    unsafe fn load_masked(from: *const T, n: usize) -> Self {
        let mut new = [T::ZERO; N];
        for (i, lane) in new.iter_mut().enumerate() {
            if i < n {
                // SAFETY: the caller's promise.
                *lane = unsafe { *from.add(i) };
            }
        }
        Self(new)
    }
    #[inline(always)]
    unsafe fn store_masked(self, to: *mut T, n: usize) {
        for (i, lane) in self.0.into_iter().enumerate() {
            if i < n {
                // SAFETY: the caller's promise.
                unsafe { *to.add(i) = lane };
            }
        }
    }
    #[inline(always)]
    unsafe fn fma(self, by: Self, to: Self) -> Self {
        // Not `mul_add`: without the instruction it is a call into the C library.
        Self(std::array::from_fn(|i| self.0[i] * by.0[i] + to.0[i]))
    }
    #[inline(always)]
    unsafe fn add(self, o: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + o.0[i]))
    }
    #[inline(always)]
    unsafe fn mul(self, o: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * o.0[i]))
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        Self(self.0.map(|x| if x < T::ZERO { T::ZERO } else { x }))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! wide {
        ($name:ident, $elem:ty, $raw:ty, $mask:ty, $lanes:expr, $zero:ident, $set:ident, $load:ident, $store:ident, $mload:ident,
         $mstore:ident, $fma:ident, $add:ident, $mul:ident, $max:ident $(, $transpose:ident)?) => {
            /// A 512-bit vector.
            #[derive(Clone, Copy)]
            pub struct $name(pub $raw);

            impl Vector for $name {
                type Elem = $elem;
                type Mask = $mask;
                const LANES: usize = $lanes;
                const TILE: usize = 14;

                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $zero() })
                }
                #[inline(always)]
                unsafe fn set(x: $elem) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $set(x) })
                }
                #[inline(always)]
                unsafe fn splat(from: *const $elem) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $set(*from) })
                }
                #[inline(always)]
                unsafe fn load(from: *const $elem) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $elem) {
                    // SAFETY: the trait's promise.
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn mask(n: usize) -> $mask {
                    ((1u32 << n) - 1) as $mask
                }
                #[inline(always)]
                unsafe fn load_masked(from: *const $elem, mask: $mask) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $mload(mask, from) })
                }
                #[inline(always)]
                unsafe fn store_masked(self, to: *mut $elem, mask: $mask) {
                    // SAFETY: the trait's promise.
                    unsafe { $mstore(to, mask, self.0) }
                }
                #[inline(always)]
                unsafe fn fma(self, by: Self, to: Self) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $fma(self.0, by.0, to.0) })
                }
                #[inline(always)]
                unsafe fn add(self, o: Self) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $add(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn mul(self, o: Self) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $mul(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn relu(self) -> Self {
                    // The instruction returns its second operand where either is NaN.
                    // SAFETY: the trait's promise.
                    Self(unsafe { $max($zero(), self.0) })
                }
                $(#[inline(always)]
                unsafe fn transpose(
                    from: *const $elem,
                    from_row: usize,
                    rows: usize,
                    cols: usize,
                    to: *mut $elem,
                    to_row: usize,
                ) {
                    // SAFETY: the trait's promise.
                    unsafe { $transpose(from, from_row, rows, cols, to, to_row) }
                })?
            }
        };
    }

    wide!(
        F32x16,
        f32,
        __m512,
        __mmask16,
        16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_maskz_loadu_ps,
        _mm512_mask_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_mul_ps,
        _mm512_max_ps,
        transpose16
    );
    wide!(
        F64x8,
        f64,
        __m512d,
        __mmask8,
        8,
        _mm512_setzero_pd,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_maskz_loadu_pd,
        _mm512_mask_storeu_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd,
        _mm512_mul_pd,
        _mm512_max_pd
    );

    /// A transposition of up to 16 by 16 elements in registers; of up to 8 rows in half the steps.
    #[inline(always)]
    unsafe fn transpose16(from: *const f32, from_row: usize, rows: usize, cols: usize, to: *mut f32, to_row: usize) {
        // SAFETY: the promise of `Vector::transpose`; rows and columns that do not exist are masked off.
        unsafe {
            let wanted = ((1u32 << cols) - 1) as __mmask16;
            let written = ((1u32 << rows) - 1) as __mmask16;
            let mut r = [_mm512_setzero_ps(); 16];
            if rows <= 8 {
                for i in 0..8 {
                    let mask = if i < rows { wanted } else { 0 };
                    r[i] = _mm512_maskz_loadu_ps(mask, from.wrapping_add(i * from_row));
                }
                let fours = [fours(&r, 0), fours(&r, 4)];
                for j in 0..4 {
                    // Columns j and 4 + j, then 8 + j and 12 + j.
                    let low = _mm512_shuffle_f32x4::<0x44>(fours[0][j], fours[1][j]);
                    let high = _mm512_shuffle_f32x4::<0xEE>(fours[0][j], fours[1][j]);
                    for (pair, first) in [(low, j), (high, 8 + j)] {
                        let pair = _mm512_shuffle_f32x4::<0xD8>(pair, pair);
                        if first < cols {
                            let column = _mm512_castps512_ps256(pair);
                            _mm256_mask_storeu_ps(to.add(first * to_row), written as __mmask8, column);
                        }
                        if first + 4 < cols {
                            let column = _mm512_extractf32x8_ps::<1>(pair);
                            _mm256_mask_storeu_ps(to.add((first + 4) * to_row), written as __mmask8, column);
                        }
                    }
                }
                return;
            }
            for i in 0..16 {
                let mask = if i < rows { wanted } else { 0 };
                r[i] = _mm512_maskz_loadu_ps(mask, from.wrapping_add(i * from_row));
            }
            let fours = [fours(&r, 0), fours(&r, 4), fours(&r, 8), fours(&r, 12)];
            for j in 0..4 {
                let [a, b, c, d] = [fours[0][j], fours[1][j], fours[2][j], fours[3][j]];
                let low = [_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d)];
                let high = [_mm512_shuffle_f32x4::<0xEE>(a, b), _mm512_shuffle_f32x4::<0xEE>(c, d)];
                let columns = [
                    _mm512_shuffle_f32x4::<0x88>(low[0], low[1]),
                    _mm512_shuffle_f32x4::<0xDD>(low[0], low[1]),
                    _mm512_shuffle_f32x4::<0x88>(high[0], high[1]),
                    _mm512_shuffle_f32x4::<0xDD>(high[0], high[1]),
                ];
                for (l, column) in columns.into_iter().enumerate() {
                    if 4 * l + j < cols {
                        _mm512_mask_storeu_ps(to.add((4 * l + j) * to_row), written, column);
                    }
                }
            }
        }
    }

    /// Rows `at` to `at + 3` four by four: 128-bit lane `l` of result `j` is column `4 l + j`.
    #[inline(always)]
    unsafe fn fours(r: &[__m512; 16], at: usize) -> [__m512; 4] {
        // SAFETY: the caller is compiled with the instructions.
        unsafe {
            let low = [_mm512_unpacklo_ps(r[at], r[at + 1]), _mm512_unpacklo_ps(r[at + 2], r[at + 3])];
            let high = [_mm512_unpackhi_ps(r[at], r[at + 1]), _mm512_unpackhi_ps(r[at + 2], r[at + 3])];
            let (a, b) = (_mm512_castps_pd(low[0]), _mm512_castps_pd(low[1]));
            let (c, d) = (_mm512_castps_pd(high[0]), _mm512_castps_pd(high[1]));
            [
                _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)),
                _mm512_castpd_ps(_mm512_unpacklo_pd(c, d)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(c, d)),
            ]
        }
    }

    macro_rules! half {
        ($name:ident, $elem:ty, $int:ty, $raw:ty, $lanes:expr, $zero:ident, $set:ident, $load:ident, $store:ident, $mload:ident,
         $mstore:ident, $fma:ident, $add:ident, $mul:ident, $max:ident) => {
            /// A 256-bit vector.
            #[derive(Clone, Copy)]
            pub struct $name(pub $raw);

            impl Vector for $name {
                type Elem = $elem;
                type Mask = __m256i;
                const LANES: usize = $lanes;
                const TILE: usize = 6;

                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $zero() })
                }
                #[inline(always)]
                unsafe fn set(x: $elem) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $set(x) })
                }
                #[inline(always)]
                unsafe fn splat(from: *const $elem) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $set(*from) })
                }
                #[inline(always)]
                unsafe fn load(from: *const $elem) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $elem) {
                    // SAFETY: the trait's promise.
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn mask(n: usize) -> __m256i {
                    const ONES: [$int; 2 * $lanes] = {
                        let mut ones = [0; 2 * $lanes];
                        let mut i = 0;
                        while i < $lanes {
                            ones[i] = -1;
                            i += 1;
                        }
                        ones
                    };
                    // SAFETY: the trait's promise; `n` is at most the number of lanes.
                    unsafe { _mm256_loadu_si256(ONES.as_ptr().add($lanes - n).cast()) }
                }
                #[inline(always)]
                unsafe fn load_masked(from: *const $elem, mask: __m256i) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $mload(from, mask) })
                }
                #[inline(always)]
                unsafe fn store_masked(self, to: *mut $elem, mask: __m256i) {
                    // SAFETY: the trait's promise.
                    unsafe { $mstore(to, mask, self.0) }
                }
                #[inline(always)]
                unsafe fn fma(self, by: Self, to: Self) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $fma(self.0, by.0, to.0) })
                }
                #[inline(always)]
                unsafe fn add(self, o: Self) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $add(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn mul(self, o: Self) -> Self {
                    // SAFETY: the trait's promise.
                    Self(unsafe { $mul(self.0, o.0) })
                }
                #[inline(always)]
                unsafe fn relu(self) -> Self {
                    // The instruction returns its second operand where either is NaN.
                    // SAFETY: the trait's promise.
                    Self(unsafe { $max($zero(), self.0) })
                }
            }
        };
    }

    half!(
        F32x8,
        f32,
        i32,
        __m256,
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_maskload_ps,
        _mm256_maskstore_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_mul_ps,
        _mm256_max_ps
    );
    half!(
        F64x4,
        f64,
        i64,
        __m256d,
        4,
        _mm256_setzero_pd,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_maskload_pd,
        _mm256_maskstore_pd,
        _mm256_fmadd_pd,
        _mm256_add_pd,
        _mm256_mul_pd,
        _mm256_max_pd
    );
}
