//! Lanes of x86-64: AVX-512 and AVX2.

use super::super::ars::ArsKeys;
use super::Lanes;
use std::arch::x86_64::*;

// SAFETY (all blocks of this module): the intrinsics need the instruction set that `dispatch` checked before
// these lanes were chosen; every pointer comes from a slice whose length is asserted to hold all lanes.

macro_rules! lanes {
    (
        $(#[$doc:meta])* $name:ident: $t:ty, $n:literal, $raw:ty, $mask:ty,
        splat $splat:ident, load $load:ident, store $store:ident,
        add $add:ident, sub $sub:ident, mul $mul:ident, div $div:ident, min $min:ident, max $max:ident,
        i16 |$p16:ident| $i16:expr, u16 |$pu16:ident| $u16:expr, i32 |$p32:ident| $i32:expr,
        ge |$ga:ident, $gb:ident| $ge:expr, lt |$la:ident, $lb:ident| $lt:expr,
        select |$sm:ident, $sa:ident, $sb:ident| $select:expr, bits |$bm:ident| $bits:expr,
        and |$aa:ident, $ab:ident| $and:expr, and_not |$na:ident, $nb:ident| $and_not:expr,
        exp2 |$ex:ident| $exp2:expr, count_down |$cd:ident| $count_down:expr,
        $($extra:item)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name($raw);
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Lanes for $name {
            type Elem = $t;
            type Mask = $mask;
            const LANES: usize = $n;
            #[inline(always)]
            fn splat(x: $t) -> Self { Self(unsafe { $splat(x) }) }
            #[inline(always)]
            fn load(from: &[$t]) -> Self { assert!(from.len() >= $n); Self(unsafe { $load(from.as_ptr()) }) }
            #[inline(always)]
            fn store(self, to: &mut [$t]) { assert!(to.len() >= $n); unsafe { $store(to.as_mut_ptr(), self.0) } }
            #[inline(always)]
            fn load_i16(from: &[i16]) -> Self { assert!(from.len() >= $n); let $p16 = from.as_ptr(); Self(unsafe { $i16 }) }
            #[inline(always)]
            fn load_u16(from: &[u16]) -> Self { assert!(from.len() >= $n); let $pu16 = from.as_ptr(); Self(unsafe { $u16 }) }
            #[inline(always)]
            fn load_i32(from: &[i32]) -> Self { assert!(from.len() >= $n); let $p32 = from.as_ptr(); Self(unsafe { $i32 }) }
            #[inline(always)]
            fn add(self, o: Self) -> Self { Self(unsafe { $add(self.0, o.0) }) }
            #[inline(always)]
            fn sub(self, o: Self) -> Self { Self(unsafe { $sub(self.0, o.0) }) }
            #[inline(always)]
            fn mul(self, o: Self) -> Self { Self(unsafe { $mul(self.0, o.0) }) }
            #[inline(always)]
            fn div(self, o: Self) -> Self { Self(unsafe { $div(self.0, o.0) }) }
            #[inline(always)]
            fn min(self, o: Self) -> Self { Self(unsafe { $min(self.0, o.0) }) }
            #[inline(always)]
            fn max(self, o: Self) -> Self { Self(unsafe { $max(self.0, o.0) }) }
            #[inline(always)]
            fn ge(self, o: Self) -> $mask { let ($ga, $gb) = (self.0, o.0); unsafe { $ge } }
            #[inline(always)]
            fn lt(self, o: Self) -> $mask { let ($la, $lb) = (self.0, o.0); unsafe { $lt } }
            #[inline(always)]
            fn select($sm: $mask, a: Self, b: Self) -> Self { let ($sa, $sb) = (a.0, b.0); Self(unsafe { $select }) }
            #[inline(always)]
            #[allow(unused_unsafe)]
            fn bits($bm: $mask) -> u32 { unsafe { $bits } }
            #[inline(always)]
            #[allow(unused_unsafe)]
            fn and($aa: $mask, $ab: $mask) -> $mask { unsafe { $and } }
            #[inline(always)]
            #[allow(unused_unsafe)]
            fn and_not($na: $mask, $nb: $mask) -> $mask { unsafe { $and_not } }
            #[inline(always)]
            fn exp2_integral(self) -> Self { let $ex = self.0; Self(unsafe { $exp2 }) }
            #[inline(always)]
            fn count_down(counters: &mut [u16]) -> $mask {
                assert!(counters.len() >= $n);
                let $cd = counters.as_mut_ptr();
                unsafe { $count_down }
            }
            $($extra)*
        }
    };
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn alias32_avx512(
    keys: &ArsKeys,
    counter: [u32; 4],
    threshold: &[u16; 32],
    alias: &[u16; 32],
) -> ((__m512i, __m512i), u32) {
    // No closures: one that is not inlined would be compiled without the instructions it consists of.
    unsafe {
        let k = keys.0.as_ptr().cast::<__m128i>();
        // Made in registers: four words stored one by one cannot be loaded as one before they reached the cache.
        let [c0, c1, c2, c3] = counter.map(|c| c as i32);
        let same = _mm512_setr_epi32(0, c1, c2, c3, 1, c1, c2, c3, 2, c1, c2, c3, 3, c1, c2, c3);
        let counters = _mm512_add_epi32(same, _mm512_maskz_set1_epi32(0x1111, c0));
        let state = _mm512_xor_si512(counters, _mm512_broadcast_i32x4(_mm_loadu_si128(k)));
        let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(1))));
        let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(2))));
        let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(3))));
        let state = _mm512_aesenc_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(4))));
        let draws = _mm512_aesenclast_epi128(state, _mm512_broadcast_i32x4(_mm_loadu_si128(k.add(5))));
        let column = _mm512_srli_epi16::<11>(draws);
        let fraction = _mm512_and_si512(draws, _mm512_set1_epi16(0x7ff));
        let limit = _mm512_permutexvar_epi16(column, _mm512_loadu_si512(threshold.as_ptr().cast()));
        let other = _mm512_permutexvar_epi16(column, _mm512_loadu_si512(alias.as_ptr().cast()));
        let below = _mm512_cmplt_epu16_mask(fraction, limit);
        let outcomes = _mm512_mask_mov_epi16(other, below, column);
        ((outcomes, draws), _mm512_cmpeq_epu16_mask(fraction, limit))
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn ars16_aes(keys: &ArsKeys, counter: [u32; 4]) -> [u32; 16] {
    unsafe {
        let k = keys.0.as_ptr().cast::<__m128i>();
        let [c0, c1, c2, c3] = counter.map(|c| c as i32);
        let same = _mm_setr_epi32(0, c1, c2, c3);
        let mut blocks = [same; 4];
        for (j, block) in blocks.iter_mut().enumerate() {
            let counter = _mm_insert_epi32::<0>(same, c0.wrapping_add(j as i32));
            let state = _mm_xor_si128(counter, _mm_loadu_si128(k));
            let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(1)));
            let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(2)));
            let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(3)));
            let state = _mm_aesenc_si128(state, _mm_loadu_si128(k.add(4)));
            *block = _mm_aesenclast_si128(state, _mm_loadu_si128(k.add(5)));
        }
        std::mem::transmute::<[__m128i; 4], [u32; 16]>(blocks)
    }
}

/// A table of 32 numbers below 2^16 as bytes: low halves of entries 0 to 15 and 16 to 31, then high halves; each
/// vector holds its 16 bytes twice, as byte shuffles look up within halves of a vector.
#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn byte_tables(table: &[u16; 32]) -> [__m256i; 4] {
    unsafe {
        let t = table.as_ptr().cast::<__m128i>();
        let (a, b, c, d) =
            (_mm_loadu_si128(t), _mm_loadu_si128(t.add(1)), _mm_loadu_si128(t.add(2)), _mm_loadu_si128(t.add(3)));
        let low = _mm_set1_epi16(0xff);
        [
            _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low))),
            _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_and_si128(c, low), _mm_and_si128(d, low))),
            _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_srli_epi16::<8>(a), _mm_srli_epi16::<8>(b))),
            _mm256_broadcastsi128_si256(_mm_packus_epi16(_mm_srli_epi16::<8>(c), _mm_srli_epi16::<8>(d))),
        ]
    }
}

/// Bytes of a table of 32 at `index` (below 16) in the lower or, where `upper` says so, the upper half.
#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn look_up(low: __m256i, high: __m256i, index: __m256i, upper: __m256i) -> __m256i {
    unsafe { _mm256_blendv_epi8(_mm256_shuffle_epi8(low, index), _mm256_shuffle_epi8(high, index), upper) }
}

#[allow(clippy::undocumented_unsafe_blocks)]
#[inline(always)]
unsafe fn alias32_avx2(
    keys: &ArsKeys,
    counter: [u32; 4],
    threshold: &[u16; 32],
    alias: &[u16; 32],
) -> (super::OutcomeLine, u32) {
    unsafe {
        let draws = ars16_aes(keys, counter);
        let mut out = super::OutcomeLine { outcomes: [0; 32], draws };
        let (t, a) = (byte_tables(threshold), byte_tables(alias));
        let mut ties = 0u32;
        for half in 0..2 {
            let u = _mm256_loadu_si256(draws.as_ptr().add(8 * half).cast());
            let column = _mm256_srli_epi16::<11>(u);
            let fraction = _mm256_and_si256(u, _mm256_set1_epi16(0x7ff));
            let upper = _mm256_cmpgt_epi16(column, _mm256_set1_epi16(15));
            // The odd bytes select nothing: their top bit is set.
            let index = _mm256_or_si256(_mm256_and_si256(column, _mm256_set1_epi16(15)), _mm256_set1_epi16(-0x8000));
            let limit = _mm256_or_si256(
                look_up(t[0], t[1], index, upper),
                _mm256_slli_epi16::<8>(look_up(t[2], t[3], index, upper)),
            );
            let other = look_up(a[0], a[1], index, upper);
            // Fractions and thresholds are below 2^11, so signed comparison is right.
            let below = _mm256_cmpgt_epi16(limit, fraction);
            let chosen = _mm256_blendv_epi8(other, column, below);
            _mm256_storeu_si256(out.outcomes.as_mut_ptr().add(16 * half).cast(), chosen);
            let equal = _mm256_cmpeq_epi16(limit, fraction);
            let bits = _mm_packs_epi16(_mm256_castsi256_si128(equal), _mm256_extracti128_si256::<1>(equal));
            ties |= (_mm_movemask_epi8(bits) as u32) << (16 * half);
        }
        (out, ties)
    }
}

lanes! {
    /// Sixteen single-precision lanes of AVX-512.
    F32x16: f32, 16, __m512, u16,
    splat _mm512_set1_ps, load _mm512_loadu_ps, store _mm512_storeu_ps,
    add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, div _mm512_div_ps, min _mm512_min_ps, max _mm512_max_ps,
    i16 |p| _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(p.cast()))),
    u16 |p| _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()))),
    i32 |p| _mm512_cvtepi32_ps(_mm512_loadu_si512(p.cast())),
    ge |a, b| _mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b), lt |a, b| _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b),
    select |m, a, b| _mm512_mask_blend_ps(m, b, a), bits |m| u32::from(m),
    and |a, b| a & b, and_not |a, b| a & !b,
    exp2 |x| _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
        _mm512_castps_si512(_mm512_add_ps(x, _mm512_set1_ps(12_582_912.0))), _mm512_set1_epi32(127)))),
    count_down |p| {
        let c = _mm256_loadu_si256(p.cast());
        _mm256_storeu_si256(p.cast(), _mm256_subs_epu16(c, _mm256_set1_epi16(1)));
        _mm256_test_epi16_mask(c, c)
    },
    type Outcomes = (__m512i, __m512i);
    #[inline(always)]
    fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> ((__m512i, __m512i), u32) {
        unsafe { alias32_avx512(keys, counter, threshold, alias) }
    }
    #[inline(always)]
    fn outcomes(outcomes: &(__m512i, __m512i), at: usize) -> Self {
        let half = unsafe {
            if at == 0 { _mm512_castsi512_si256(outcomes.0) } else { _mm512_extracti64x4_epi64::<1>(outcomes.0) }
        };
        Self(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(half)) })
    }
    #[inline(always)]
    fn outcome_array(outcomes: (__m512i, __m512i)) -> super::OutcomeLine {
        unsafe {
            super::OutcomeLine { outcomes: std::mem::transmute::<__m512i, [u16; 32]>(outcomes.0), draws: std::mem::transmute::<__m512i, [u32; 16]>(outcomes.1) }
        }
    }
    #[inline(always)]
    fn outcomes_of(array: super::OutcomeLine) -> (__m512i, __m512i) {
        unsafe { (
                std::mem::transmute::<[u16; 32], __m512i>(array.outcomes),
                std::mem::transmute::<[u32; 16], __m512i>(array.draws),
            ) }
    }
}

lanes! {
    /// Eight double-precision lanes of AVX-512.
    F64x8: f64, 8, __m512d, u8,
    splat _mm512_set1_pd, load _mm512_loadu_pd, store _mm512_storeu_pd,
    add _mm512_add_pd, sub _mm512_sub_pd, mul _mm512_mul_pd, div _mm512_div_pd, min _mm512_min_pd, max _mm512_max_pd,
    i16 |p| _mm512_cvtepi32_pd(_mm256_cvtepi16_epi32(_mm_loadu_si128(p.cast()))),
    u16 |p| _mm512_cvtepi32_pd(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()))),
    i32 |p| _mm512_cvtepi32_pd(_mm256_loadu_si256(p.cast())),
    ge |a, b| _mm512_cmp_pd_mask::<_CMP_GE_OQ>(a, b), lt |a, b| _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b),
    select |m, a, b| _mm512_mask_blend_pd(m, b, a), bits |m| u32::from(m),
    and |a, b| a & b, and_not |a, b| a & !b,
    exp2 |x| _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_add_epi64(
        _mm512_castpd_si512(_mm512_add_pd(x, _mm512_set1_pd(6_755_399_441_055_744.0))), _mm512_set1_epi64(1023)))),
    count_down |p| {
        let c = _mm_loadu_si128(p.cast());
        _mm_storeu_si128(p.cast(), _mm_subs_epu16(c, _mm_set1_epi16(1)));
        _mm_test_epi16_mask(c, c)
    },
    type Outcomes = super::OutcomeLine;
    #[inline(always)]
    fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (super::OutcomeLine, u32) {
        let (outcomes, ties) = unsafe { alias32_avx512(keys, counter, threshold, alias) };
        (F32x16::outcome_array(outcomes), ties)
    }
    #[inline(always)]
    fn outcomes(outcomes: &super::OutcomeLine, at: usize) -> Self {
        Self::load_u16(&outcomes.outcomes[at..])
    }
    #[inline(always)]
    fn outcome_array(outcomes: super::OutcomeLine) -> super::OutcomeLine {
        outcomes
    }
    #[inline(always)]
    fn outcomes_of(array: super::OutcomeLine) -> super::OutcomeLine {
        array
    }
}

lanes! {
    /// Eight single-precision lanes of AVX2.
    F32x8: f32, 8, __m256, __m256,
    splat _mm256_set1_ps, load _mm256_loadu_ps, store _mm256_storeu_ps,
    add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, div _mm256_div_ps, min _mm256_min_ps, max _mm256_max_ps,
    i16 |p| _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(p.cast()))),
    u16 |p| _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()))),
    i32 |p| _mm256_cvtepi32_ps(_mm256_loadu_si256(p.cast())),
    ge |a, b| _mm256_cmp_ps::<_CMP_GE_OQ>(a, b), lt |a, b| _mm256_cmp_ps::<_CMP_LT_OQ>(a, b),
    select |m, a, b| _mm256_blendv_ps(b, a, m), bits |m| _mm256_movemask_ps(m) as u32,
    and |a, b| _mm256_and_ps(a, b), and_not |a, b| _mm256_andnot_ps(b, a),
    exp2 |x| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
        _mm256_castps_si256(_mm256_add_ps(x, _mm256_set1_ps(12_582_912.0))), _mm256_set1_epi32(127)))),
    count_down |p| {
        let c = _mm_loadu_si128(p.cast());
        _mm_storeu_si128(p.cast(), _mm_subs_epu16(c, _mm_set1_epi16(1)));
        let idle = _mm_cmpeq_epi16(c, _mm_setzero_si128());
        _mm256_castsi256_ps(_mm256_cvtepi16_epi32(_mm_xor_si128(idle, _mm_set1_epi16(-1))))
    },
    type Outcomes = super::OutcomeLine;
    #[inline(always)]
    fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (super::OutcomeLine, u32) {
        unsafe { alias32_avx2(keys, counter, threshold, alias) }
    }
    #[inline(always)]
    fn outcomes(outcomes: &super::OutcomeLine, at: usize) -> Self {
        Self::load_u16(&outcomes.outcomes[at..])
    }
    #[inline(always)]
    fn outcome_array(outcomes: super::OutcomeLine) -> super::OutcomeLine {
        outcomes
    }
    #[inline(always)]
    fn outcomes_of(array: super::OutcomeLine) -> super::OutcomeLine {
        array
    }
}

lanes! {
    /// Four double-precision lanes of AVX2.
    F64x4: f64, 4, __m256d, __m256d,
    splat _mm256_set1_pd, load _mm256_loadu_pd, store _mm256_storeu_pd,
    add _mm256_add_pd, sub _mm256_sub_pd, mul _mm256_mul_pd, div _mm256_div_pd, min _mm256_min_pd, max _mm256_max_pd,
    i16 |p| _mm256_cvtepi32_pd(_mm_cvtepi16_epi32(_mm_loadl_epi64(p.cast()))),
    u16 |p| _mm256_cvtepi32_pd(_mm_cvtepu16_epi32(_mm_loadl_epi64(p.cast()))),
    i32 |p| _mm256_cvtepi32_pd(_mm_loadu_si128(p.cast())),
    ge |a, b| _mm256_cmp_pd::<_CMP_GE_OQ>(a, b), lt |a, b| _mm256_cmp_pd::<_CMP_LT_OQ>(a, b),
    select |m, a, b| _mm256_blendv_pd(b, a, m), bits |m| _mm256_movemask_pd(m) as u32,
    and |a, b| _mm256_and_pd(a, b), and_not |a, b| _mm256_andnot_pd(b, a),
    exp2 |x| _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_add_epi64(
        _mm256_castpd_si256(_mm256_add_pd(x, _mm256_set1_pd(6_755_399_441_055_744.0))), _mm256_set1_epi64x(1023)))),
    count_down |p| {
        let c = _mm_loadl_epi64(p.cast());
        _mm_storel_epi64(p.cast(), _mm_subs_epu16(c, _mm_set1_epi16(1)));
        let idle = _mm_cmpeq_epi16(c, _mm_setzero_si128());
        _mm256_castsi256_pd(_mm256_cvtepi16_epi64(_mm_xor_si128(idle, _mm_set1_epi16(-1))))
    },
    type Outcomes = super::OutcomeLine;
    #[inline(always)]
    fn alias32(keys: &ArsKeys, counter: [u32; 4], threshold: &[u16; 32], alias: &[u16; 32]) -> (super::OutcomeLine, u32) {
        unsafe { alias32_avx2(keys, counter, threshold, alias) }
    }
    #[inline(always)]
    fn outcomes(outcomes: &super::OutcomeLine, at: usize) -> Self {
        Self::load_u16(&outcomes.outcomes[at..])
    }
    #[inline(always)]
    fn outcome_array(outcomes: super::OutcomeLine) -> super::OutcomeLine {
        outcomes
    }
    #[inline(always)]
    fn outcomes_of(array: super::OutcomeLine) -> super::OutcomeLine {
        array
    }
}
