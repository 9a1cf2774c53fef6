//! Lanes of `f32` and `f64` for the tile kernels, from the names of an instruction set's operations.

/// Implements [`Lanes`](super::micro::Lanes) for a type whose units and sums are the same numbers. The masked operations
/// and the mask itself are written out, since instruction sets differ in them.
macro_rules! real_lanes {
    (
        $name:ident: $lanes:literal $elem:ty, $vector:ty, $mask:ty;
        mask $n:ident: $make_mask:expr;
        load_some $from:ident, $load_mask:ident: $load_some:expr;
        store_some $to:ident, $sums:ident, $store_mask:ident: $store_some:expr;
        $set1:ident $loadu:ident $setzero:ident $storeu:ident $fmadd:ident $add:ident $max:ident
    ) => {
        impl $crate::compute::cpu::gemm::micro::Lanes for $name {
            type Unit = $elem;
            type Sum = $elem;
            type Units = $vector;
            type Sums = $vector;
            type Mask = $mask;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn fetch(at: *const $elem) {
                _mm_prefetch::<_MM_HINT_T0>(at.cast());
            }
            #[inline(always)]
            unsafe fn fetch_far(at: *const u8) {
                _mm_prefetch::<_MM_HINT_T1>(at.cast());
            }
            #[inline(always)]
            unsafe fn mask($n: usize) -> $mask {
                $make_mask
            }
            #[inline(always)]
            unsafe fn splat(from: *const $elem) -> $vector {
                $set1(*from)
            }
            #[inline(always)]
            unsafe fn load(from: *const $elem) -> $vector {
                $loadu(from)
            }
            #[inline(always)]
            unsafe fn load_some($from: *const $elem, $load_mask: $mask) -> $vector {
                $load_some
            }
            #[inline(always)]
            unsafe fn zeros() -> $vector {
                $setzero()
            }
            #[inline(always)]
            unsafe fn splat_sum(from: *const $elem) -> $vector {
                Self::splat(from)
            }
            #[inline(always)]
            unsafe fn load_sums(from: *const $elem) -> $vector {
                Self::load(from)
            }
            #[inline(always)]
            unsafe fn load_sums_some(from: *const $elem, mask: $mask) -> $vector {
                Self::load_some(from, mask)
            }
            #[inline(always)]
            unsafe fn store(to: *mut $elem, sums: $vector) {
                $storeu(to, sums)
            }
            #[inline(always)]
            unsafe fn store_some($to: *mut $elem, $sums: $vector, $store_mask: $mask) {
                $store_some
            }
            #[inline(always)]
            unsafe fn fma(a: $vector, b: $vector, c: $vector) -> $vector {
                $fmadd(a, b, c)
            }
            #[inline(always)]
            unsafe fn add(a: $vector, b: $vector) -> $vector {
                $add(a, b)
            }
            #[inline(always)]
            unsafe fn relu(a: $vector) -> $vector {
                // Where one operand is NaN, the second one is taken.
                $max($setzero(), a)
            }
        }
    };
}
pub(super) use real_lanes;
