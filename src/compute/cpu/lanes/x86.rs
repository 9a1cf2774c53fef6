//! Lanes of x86-64: AVX-512, and AVX2 with FMA and F16C.

use super::super::math;
use super::{Single, Vector};
use half::{bf16, f16};
use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Neg, Sub};

// SAFETY (all blocks of this module): the intrinsics need the instructions that `dispatch` checked before these lanes
// were chosen; what pointers must allow is the promise of each function's caller, stated in the traits.

macro_rules! lanes {
    (
        $(#[$doc:meta])* $name:ident: $t:ty, $n:literal, $raw:ty, $mask:ty,
        splat $splat:ident, load $load:ident, store $store:ident, stream $stream:ident,
        add $add:ident, sub $sub:ident, mul $mul:ident, div $div:ident, min $min:ident, max $max:ident,
        mul_add $mul_add:ident, neg_mul_add $neg_mul_add:ident, sqrt $sqrt:ident,
        bit_and $bit_and:ident, bit_or $bit_or:ident, bit_xor $bit_xor:ident,
        load_first |$lp:ident, $ln:ident| $load_first:expr, store_first |$sp:ident, $sn:ident, $sx:ident| $store_first:expr,
        round |$rx:ident| $round:expr, scale |$scx:ident, $scn:ident| $scale:expr, split |$spx:ident| $split:expr,
        compare |$ca:ident, $cb:ident| $lt:expr, $le:expr, $eq:expr,
        select |$sm:ident, $sa:ident, $sb:ident| $select:expr,
        masks |$ma:ident, $mb:ident| and $and:expr, or $or:expr, not $not:expr, bits $bits:expr,
        mask_of |$mo:ident| $mask_of:expr,
        halves |$hx:ident| $low:expr, $high:expr, $half:ident, transpose $transpose:ident, pow $pow:path,
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name(pub $raw);
        lanes!(@operator $name, Add, add, $add);
        lanes!(@operator $name, Sub, sub, $sub);
        lanes!(@operator $name, Mul, mul, $mul);
        lanes!(@operator $name, Div, div, $div);
        impl Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self { self.bit_xor(Self::splat(-0.0)) }
        }
        #[allow(clippy::undocumented_unsafe_blocks, unused_unsafe)]
        impl Vector for $name {
            type Elem = $t;
            type Mask = $mask;
            const LANES: usize = $n;
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn splat(x: $t) -> Self { Self(unsafe { $splat(x) }) }
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self { Self(unsafe { $load(from) }) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            unsafe fn store(self, to: *mut $t) { unsafe { $store(to, self.0) } }
            #[inline(always)]
            unsafe fn stream(self, to: *mut $t) { unsafe { $stream(to, self.0) } }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            unsafe fn load_first($lp: *const $t, $ln: usize) -> Self { Self(unsafe { $load_first }) }
            #[inline(always)]
            unsafe fn store_first(self, $sp: *mut $t, $sn: usize) { let $sx = self.0; unsafe { $store_first } }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn mul_add(self, a: Self, b: Self) -> Self { Self(unsafe { $mul_add(self.0, a.0, b.0) }) }
            #[inline(always)]
            fn neg_mul_add(self, a: Self, b: Self) -> Self { Self(unsafe { $neg_mul_add(self.0, a.0, b.0) }) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn min(self, o: Self) -> Self { Self(unsafe { $min(self.0, o.0) }) }
            #[inline(always)]
            fn max(self, o: Self) -> Self { Self(unsafe { $max(self.0, o.0) }) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn sqrt(self) -> Self { Self(unsafe { $sqrt(self.0) }) }
            #[inline(always)]
            fn round(self) -> Self { let $rx = self.0; Self(unsafe { $round }) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn scale(self, n: Self) -> Self { let ($scx, $scn) = (self, n); unsafe { $scale } }
            #[inline(always)]
            fn split(self) -> (Self, Self) { let $spx = self.0; let (m, e) = unsafe { $split }; (Self(m), Self(e)) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn lt(self, o: Self) -> $mask { let ($ca, $cb) = (self.0, o.0); unsafe { $lt } }
            #[inline(always)]
            fn le(self, o: Self) -> $mask { let ($ca, $cb) = (self.0, o.0); unsafe { $le } }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn eq(self, o: Self) -> $mask { let ($ca, $cb) = (self.0, o.0); unsafe { $eq } }
            #[inline(always)]
            fn select($sm: $mask, a: Self, b: Self) -> Self { let ($sa, $sb) = (a.0, b.0); Self(unsafe { $select }) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn and($ma: $mask, $mb: $mask) -> $mask { unsafe { $and } }
            #[inline(always)]
            fn or($ma: $mask, $mb: $mask) -> $mask { unsafe { $or } }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn not($ma: $mask) -> $mask { unsafe { $not } }
            #[inline(always)]
            fn bits($ma: $mask) -> u32 { unsafe { $bits } }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn mask_of($mo: u32) -> $mask { unsafe { $mask_of } }
            #[inline(always)]
            fn bit_and(self, o: Self) -> Self { Self(unsafe { $bit_and(self.0, o.0) }) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn bit_or(self, o: Self) -> Self { Self(unsafe { $bit_or(self.0, o.0) }) }
            #[inline(always)]
            fn bit_xor(self, o: Self) -> Self { Self(unsafe { $bit_xor(self.0, o.0) }) }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn sum(self) -> $t { let $hx = self.0; unsafe { lanes!(@fold $half, add, $low, $high) } }
            #[inline(always)]
            fn largest(self) -> $t { let $hx = self.0; unsafe { lanes!(@fold $half, max, $low, $high) } }
            #[inline(always)]
            // SAFETY: as said at the head of the module.
            fn smallest(self) -> $t { let $hx = self.0; unsafe { lanes!(@fold $half, min, $low, $high) } }
            #[inline(always)]
            unsafe fn transpose(from: *const $t, from_step: usize, to: *mut $t, to_step: usize) {
                let mut rows = [Self::splat(0.0).0; $n];
                let mut i = 0;
                while i < $n {
                    // SAFETY: as said at the head of the module.
                    rows[i] = unsafe { $load(from.add(i * from_step)) };
                    i += 1;
                }
                // SAFETY: as said at the head of the module.
                let columns = unsafe { $transpose(rows) };
                let mut i = 0;
                while i < $n {
                    // SAFETY: as said at the head of the module.
                    unsafe { $store(to.add(i * to_step), columns[i]) };
                    i += 1;
                }
            }
            #[inline(always)]
            fn pow(self, o: Self) -> Self { $pow(self, o) }
        }
    };
    (@operator $name:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for $name {
            type Output = Self;
            #[inline(always)]
            fn $method(self, o: Self) -> Self {
                // SAFETY: see the head of this module.
                Self(unsafe { $intrinsic(self.0, o.0) })
            }
        }
    };
    (@fold F32x8, add, $low:expr, $high:expr) => { F32x8(_mm256_add_ps($low, $high)).sum() };
    (@fold F32x8, max, $low:expr, $high:expr) => { F32x8(_mm256_max_ps($low, $high)).largest() };
    (@fold F32x8, min, $low:expr, $high:expr) => { F32x8(_mm256_min_ps($low, $high)).smallest() };
    (@fold F64x4, add, $low:expr, $high:expr) => { F64x4(_mm256_add_pd($low, $high)).sum() };
    (@fold F64x4, max, $low:expr, $high:expr) => { F64x4(_mm256_max_pd($low, $high)).largest() };
    (@fold F64x4, min, $low:expr, $high:expr) => { F64x4(_mm256_min_pd($low, $high)).smallest() };
    (@fold four_singles, $op:ident, $low:expr, $high:expr) => {{
        let x = lanes!(@ps $op, $low, $high);
        let x = lanes!(@ps $op, x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(lanes!(@ps $op, x, _mm_shuffle_ps::<1>(x, x)))
    }};
    (@fold two_doubles, $op:ident, $low:expr, $high:expr) => {{
        let x = lanes!(@pd $op, $low, $high);
        _mm_cvtsd_f64(lanes!(@pd $op, x, _mm_unpackhi_pd(x, x)))
    }};
    (@ps add, $a:expr, $b:expr) => { _mm_add_ps($a, $b) };
    (@ps max, $a:expr, $b:expr) => { _mm_max_ps($a, $b) };
    (@ps min, $a:expr, $b:expr) => { _mm_min_ps($a, $b) };
    (@pd add, $a:expr, $b:expr) => { _mm_add_pd($a, $b) };
    (@pd max, $a:expr, $b:expr) => { _mm_max_pd($a, $b) };
    (@pd min, $a:expr, $b:expr) => { _mm_min_pd($a, $b) };
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// A window of eight or four: the first `n` of the lanes that begin at `8 - n` (or `4 - n`) are all ones.
static FIRST_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
static FIRST_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn first_32(n: usize) -> __m256i {
    // SAFETY: as said at the head of the module.
    unsafe { _mm256_loadu_si256(FIRST_32.as_ptr().add(8 - n.min(8)).cast()) }
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn first_64(n: usize) -> __m256i {
    // SAFETY: as said at the head of the module.
    unsafe { _mm256_loadu_si256(FIRST_64.as_ptr().add(4 - n.min(4)).cast()) }
}

/// Columns of groups of four rows, in each quarter of the vectors.
macro_rules! quads {
    ($rows:expr, $n:literal, $low_ps:ident, $high_ps:ident, $low_pd:ident, $high_pd:ident, $pd:ident, $ps:ident) => {{
        let mut columns = $rows;
        let mut g = 0;
        while g < $n {
            let (a, b, c, d) = ($rows[g], $rows[g + 1], $rows[g + 2], $rows[g + 3]);
            let (ab, cd) = ($pd($low_ps(a, b)), $pd($low_ps(c, d)));
            columns[g] = $ps($low_pd(ab, cd));
            columns[g + 1] = $ps($high_pd(ab, cd));
            let (ab, cd) = ($pd($high_ps(a, b)), $pd($high_ps(c, d)));
            columns[g + 2] = $ps($low_pd(ab, cd));
            columns[g + 3] = $ps($high_pd(ab, cd));
            g += 4;
        }
        columns
    }};
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn transpose_f32x16(rows: [__m512; 16]) -> [__m512; 16] {
    // SAFETY: as said at the head of the module.
    unsafe {
        let q = quads!(
            rows,
            16,
            _mm512_unpacklo_ps,
            _mm512_unpackhi_ps,
            _mm512_unpacklo_pd,
            _mm512_unpackhi_pd,
            _mm512_castps_pd,
            _mm512_castpd_ps
        );
        let mut columns = rows;
        let mut c = 0;
        while c < 4 {
            let even = _mm512_shuffle_f32x4::<0x88>(q[c], q[4 + c]);
            let odd = _mm512_shuffle_f32x4::<0xdd>(q[c], q[4 + c]);
            let even_high = _mm512_shuffle_f32x4::<0x88>(q[8 + c], q[12 + c]);
            let odd_high = _mm512_shuffle_f32x4::<0xdd>(q[8 + c], q[12 + c]);
            columns[c] = _mm512_shuffle_f32x4::<0x88>(even, even_high);
            columns[4 + c] = _mm512_shuffle_f32x4::<0x88>(odd, odd_high);
            columns[8 + c] = _mm512_shuffle_f32x4::<0xdd>(even, even_high);
            columns[12 + c] = _mm512_shuffle_f32x4::<0xdd>(odd, odd_high);
            c += 1;
        }
        columns
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn transpose_f64x8(rows: [__m512d; 8]) -> [__m512d; 8] {
    // SAFETY: as said at the head of the module.
    unsafe {
        let mut columns = rows;
        let mut c = 0;
        while c < 2 {
            let mut q = [rows[0]; 4];
            let mut g = 0;
            while g < 4 {
                let (a, b) = (rows[2 * g], rows[2 * g + 1]);
                q[g] = if c == 0 { _mm512_unpacklo_pd(a, b) } else { _mm512_unpackhi_pd(a, b) };
                g += 1;
            }
            let even = _mm512_shuffle_f64x2::<0x88>(q[0], q[1]);
            let odd = _mm512_shuffle_f64x2::<0xdd>(q[0], q[1]);
            let even_high = _mm512_shuffle_f64x2::<0x88>(q[2], q[3]);
            let odd_high = _mm512_shuffle_f64x2::<0xdd>(q[2], q[3]);
            columns[c] = _mm512_shuffle_f64x2::<0x88>(even, even_high);
            columns[2 + c] = _mm512_shuffle_f64x2::<0x88>(odd, odd_high);
            columns[4 + c] = _mm512_shuffle_f64x2::<0xdd>(even, even_high);
            columns[6 + c] = _mm512_shuffle_f64x2::<0xdd>(odd, odd_high);
            c += 1;
        }
        columns
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn transpose_f32x8(rows: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: as said at the head of the module.
    unsafe {
        let q = quads!(
            rows,
            8,
            _mm256_unpacklo_ps,
            _mm256_unpackhi_ps,
            _mm256_unpacklo_pd,
            _mm256_unpackhi_pd,
            _mm256_castps_pd,
            _mm256_castpd_ps
        );
        let mut columns = rows;
        let mut c = 0;
        while c < 4 {
            columns[c] = _mm256_permute2f128_ps::<0x20>(q[c], q[4 + c]);
            columns[4 + c] = _mm256_permute2f128_ps::<0x31>(q[c], q[4 + c]);
            c += 1;
        }
        columns
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn transpose_f64x4(rows: [__m256d; 4]) -> [__m256d; 4] {
    // SAFETY: as said at the head of the module.
    unsafe {
        let (a, b) = (_mm256_unpacklo_pd(rows[0], rows[1]), _mm256_unpacklo_pd(rows[2], rows[3]));
        let (c, d) = (_mm256_unpackhi_pd(rows[0], rows[1]), _mm256_unpackhi_pd(rows[2], rows[3]));
        [
            _mm256_permute2f128_pd::<0x20>(a, b),
            _mm256_permute2f128_pd::<0x20>(c, d),
            _mm256_permute2f128_pd::<0x31>(a, b),
            _mm256_permute2f128_pd::<0x31>(c, d),
        ]
    }
}

lanes! {
    /// Sixteen single-precision lanes of AVX-512.
    F32x16: f32, 16, __m512, u16,
    splat _mm512_set1_ps, load _mm512_loadu_ps, store _mm512_storeu_ps, stream _mm512_stream_ps,
    add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, div _mm512_div_ps, min _mm512_min_ps, max _mm512_max_ps,
    mul_add _mm512_fmadd_ps, neg_mul_add _mm512_fnmadd_ps, sqrt _mm512_sqrt_ps,
    bit_and _mm512_and_ps, bit_or _mm512_or_ps, bit_xor _mm512_xor_ps,
    load_first |p, n| _mm512_maskz_loadu_ps(_bzhi_u32(0xffff, n as u32) as u16, p),
    store_first |p, n, x| _mm512_mask_storeu_ps(p, _bzhi_u32(0xffff, n as u32) as u16, x),
    round |x| _mm512_roundscale_ps::<NEAREST>(x),
    scale |x, n| Self(_mm512_scalef_ps(x.0, n.0)),
    split |x| {
        let m = _mm512_getmant_ps::<_MM_MANT_NORM_P75_1P5, _MM_MANT_SIGN_ZERO>(x);
        let e = _mm512_getexp_ps(x);
        let one = _mm512_set1_ps(1.0);
        (m, _mm512_mask_add_ps(e, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(m, one), e, one))
    },
    compare |a, b| _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b), _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b),
    select |m, a, b| _mm512_mask_blend_ps(m, b, a),
    masks |a, b| and a & b, or a | b, not !a, bits u32::from(a),
    mask_of |bits| bits as u16,
    halves |x| _mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x), F32x8, transpose transpose_f32x16, pow math::pow_single,
}

lanes! {
    /// Eight double-precision lanes of AVX-512.
    F64x8: f64, 8, __m512d, u8,
    splat _mm512_set1_pd, load _mm512_loadu_pd, store _mm512_storeu_pd, stream _mm512_stream_pd,
    add _mm512_add_pd, sub _mm512_sub_pd, mul _mm512_mul_pd, div _mm512_div_pd, min _mm512_min_pd, max _mm512_max_pd,
    mul_add _mm512_fmadd_pd, neg_mul_add _mm512_fnmadd_pd, sqrt _mm512_sqrt_pd,
    bit_and _mm512_and_pd, bit_or _mm512_or_pd, bit_xor _mm512_xor_pd,
    load_first |p, n| _mm512_maskz_loadu_pd(_bzhi_u32(0xff, n as u32) as u8, p),
    store_first |p, n, x| _mm512_mask_storeu_pd(p, _bzhi_u32(0xff, n as u32) as u8, x),
    round |x| _mm512_roundscale_pd::<NEAREST>(x),
    scale |x, n| Self(_mm512_scalef_pd(x.0, n.0)),
    split |x| {
        let m = _mm512_getmant_pd::<_MM_MANT_NORM_P75_1P5, _MM_MANT_SIGN_ZERO>(x);
        let e = _mm512_getexp_pd(x);
        let one = _mm512_set1_pd(1.0);
        (m, _mm512_mask_add_pd(e, _mm512_cmp_pd_mask::<_CMP_LT_OQ>(m, one), e, one))
    },
    compare |a, b| _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), _mm512_cmp_pd_mask::<_CMP_LE_OQ>(a, b), _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b),
    select |m, a, b| _mm512_mask_blend_pd(m, b, a),
    masks |a, b| and a & b, or a | b, not !a, bits u32::from(a),
    mask_of |bits| bits as u8,
    halves |x| _mm512_castpd512_pd256(x), _mm512_extractf64x4_pd::<1>(x), F64x4, transpose transpose_f64x8, pow math::pow_double,
}

lanes! {
    /// Eight single-precision lanes of AVX2.
    F32x8: f32, 8, __m256, __m256,
    splat _mm256_set1_ps, load _mm256_loadu_ps, store _mm256_storeu_ps, stream _mm256_stream_ps,
    add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, div _mm256_div_ps, min _mm256_min_ps, max _mm256_max_ps,
    mul_add _mm256_fmadd_ps, neg_mul_add _mm256_fnmadd_ps, sqrt _mm256_sqrt_ps,
    bit_and _mm256_and_ps, bit_or _mm256_or_ps, bit_xor _mm256_xor_ps,
    load_first |p, n| _mm256_maskload_ps(p, first_32(n)),
    store_first |p, n, x| _mm256_maskstore_ps(p, first_32(n), x),
    round |x| _mm256_round_ps::<NEAREST>(x),
    scale |x, n| {
        // In two steps, as 2^n itself may leave the range of normal numbers. The first is exact.
        let whole = _mm256_cvtps_epi32(n.0);
        let first = _mm256_srai_epi32::<1>(whole);
        let second = _mm256_sub_epi32(whole, first);
        let one = _mm256_set1_epi32(127);
        x * Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(first, one))))
            * Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(second, one))))
    },
    split |x| {
        let bits = _mm256_castps_si256(x);
        let e = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_castps_si256(_mm256_set1_ps(0.75))));
        let m = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(e));
        (_mm256_castsi256_ps(m), _mm256_cvtepi32_ps(e))
    },
    compare |a, b| _mm256_cmp_ps::<_CMP_LT_OQ>(a, b), _mm256_cmp_ps::<_CMP_LE_OQ>(a, b), _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b),
    select |m, a, b| _mm256_blendv_ps(b, a, m),
    masks |a, b| and _mm256_and_ps(a, b), or _mm256_or_ps(a, b),
    not _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))), bits _mm256_movemask_ps(a) as u32,
    mask_of |bits| {
        let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits as i32), each), each))
    },
    halves |x| _mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x), four_singles, transpose transpose_f32x8, pow math::pow_single,
}

lanes! {
    /// Four double-precision lanes of AVX2.
    F64x4: f64, 4, __m256d, __m256d,
    splat _mm256_set1_pd, load _mm256_loadu_pd, store _mm256_storeu_pd, stream _mm256_stream_pd,
    add _mm256_add_pd, sub _mm256_sub_pd, mul _mm256_mul_pd, div _mm256_div_pd, min _mm256_min_pd, max _mm256_max_pd,
    mul_add _mm256_fmadd_pd, neg_mul_add _mm256_fnmadd_pd, sqrt _mm256_sqrt_pd,
    bit_and _mm256_and_pd, bit_or _mm256_or_pd, bit_xor _mm256_xor_pd,
    load_first |p, n| _mm256_maskload_pd(p, first_64(n)),
    store_first |p, n, x| _mm256_maskstore_pd(p, first_64(n), x),
    round |x| _mm256_round_pd::<NEAREST>(x),
    scale |x, n| {
        // In two steps, as 2^n itself may leave the range of normal numbers. The first is exact.
        let whole = _mm256_cvtpd_epi32(n.0);
        let first = _mm_srai_epi32::<1>(whole);
        let second = _mm_sub_epi32(whole, first);
        let one = _mm256_set1_epi64x(1023);
        let (first, second) = (_mm256_cvtepi32_epi64(first), _mm256_cvtepi32_epi64(second));
        x * Self(_mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_add_epi64(first, one))))
            * Self(_mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_add_epi64(second, one))))
    },
    split |x| {
        let bits = _mm256_castpd_si256(x);
        let one = _mm256_castpd_si256(_mm256_set1_pd(1.0));
        let shift = _mm256_sub_epi64(one, _mm256_castpd_si256(_mm256_set1_pd(0.75)));
        // Biased, and so not negative: this instruction set has no arithmetic shift of 64 bits.
        let e = _mm256_srli_epi64::<52>(_mm256_add_epi64(bits, shift));
        let m = _mm256_add_epi64(_mm256_sub_epi64(bits, _mm256_slli_epi64::<52>(e)), one);
        // Below 2^11: in the low bits of 2^52 it counts ones.
        let power = _mm256_castpd_si256(_mm256_set1_pd(4_503_599_627_370_496.0));
        let e = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(e, power)), _mm256_set1_pd(4_503_599_627_370_496.0 + 1023.0));
        (_mm256_castsi256_pd(m), e)
    },
    compare |a, b| _mm256_cmp_pd::<_CMP_LT_OQ>(a, b), _mm256_cmp_pd::<_CMP_LE_OQ>(a, b), _mm256_cmp_pd::<_CMP_EQ_OQ>(a, b),
    select |m, a, b| _mm256_blendv_pd(b, a, m),
    masks |a, b| and _mm256_and_pd(a, b), or _mm256_or_pd(a, b),
    not _mm256_xor_pd(a, _mm256_castsi256_pd(_mm256_set1_epi32(-1))), bits _mm256_movemask_pd(a) as u32,
    mask_of |bits| {
        let each = _mm256_setr_epi64x(1, 2, 4, 8);
        _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(i64::from(bits)), each), each))
    },
    halves |x| _mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x), two_doubles, transpose transpose_f64x4, pow math::pow_double,
}

/// Eight integers rounded to `bf16`, in the lower halves of 32-bit lanes.
#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn bf16_bits_256(x: __m256) -> __m256i {
    // SAFETY: as said at the head of the module.
    unsafe {
        let bits = _mm256_castps_si256(x);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let nearest = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
        _mm256_srli_epi32::<16>(_mm256_blendv_epi8(nearest, quiet, nan))
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
impl Single for F32x16 {
    type Double = F64x8;
    #[inline(always)]
    fn widen(self) -> (F64x8, F64x8) {
        // SAFETY: as said at the head of the module.
        unsafe {
            let high = _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(self.0));
            (F64x8(_mm512_cvtps_pd(_mm512_castps512_ps256(self.0))), F64x8(high))
        }
    }
    #[inline(always)]
    fn narrow(low: F64x8, high: F64x8) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe {
            let low = _mm512_castps256_ps512(_mm512_cvtpd_ps(low.0));
            Self(_mm512_insertf32x8::<1>(low, _mm512_cvtpd_ps(high.0)))
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        // SAFETY: as said at the head of the module.
        unsafe {
            let bits = _mm512_castps_si512(self.0);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let nearest = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            let rounded = _mm512_mask_or_epi32(nearest, nan, bits, _mm512_set1_epi32(0x40_0000));
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded)));
        }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut f16) {
        // SAFETY: as said at the head of the module.
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<NEAREST>(self.0)) }
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())))) }
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())))) }
    }
    #[inline(always)]
    unsafe fn load_i32(from: *const i32) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm512_cvtepi32_ps(_mm512_loadu_si512(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: *mut i32) {
        // SAFETY: as said at the head of the module.
        unsafe { _mm512_storeu_si512(to.cast(), _mm512_cvtps_epi32(self.0)) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        // SAFETY: as said at the head of the module.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self.0))) }
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: *mut u8) {
        // SAFETY: as said at the head of the module.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self.0))) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
impl Single for F32x8 {
    type Double = F64x4;
    #[inline(always)]
    fn widen(self) -> (F64x4, F64x4) {
        // SAFETY: as said at the head of the module.
        unsafe {
            let high = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(self.0));
            (F64x4(_mm256_cvtps_pd(_mm256_castps256_ps128(self.0))), F64x4(high))
        }
    }
    #[inline(always)]
    fn narrow(low: F64x4, high: F64x4) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm256_set_m128(_mm256_cvtpd_ps(high.0), _mm256_cvtpd_ps(low.0))) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe {
            let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits)))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        // SAFETY: as said at the head of the module.
        unsafe {
            let bits = bf16_bits_256(self.0);
            let packed = _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256::<1>(bits));
            _mm_storeu_si128(to.cast(), packed);
        }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm256_cvtph_ps(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn store_f16(self, to: *mut f16) {
        // SAFETY: as said at the head of the module.
        unsafe { _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0)) }
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast())))) }
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())))) }
    }
    #[inline(always)]
    unsafe fn load_i32(from: *const i32) -> Self {
        // SAFETY: as said at the head of the module.
        unsafe { Self(_mm256_cvtepi32_ps(_mm256_loadu_si256(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn store_i32(self, to: *mut i32) {
        // SAFETY: as said at the head of the module.
        unsafe { _mm256_storeu_si256(to.cast(), _mm256_cvtps_epi32(self.0)) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        // SAFETY: as said at the head of the module.
        unsafe {
            let whole = _mm256_cvtps_epi32(self.0);
            let words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
            _mm_storel_epi64(to.cast(), _mm_packs_epi16(words, words));
        }
    }
    #[inline(always)]
    unsafe fn store_u8(self, to: *mut u8) {
        // SAFETY: as said at the head of the module.
        unsafe {
            let whole = _mm256_cvtps_epi32(self.0);
            let words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }
}
