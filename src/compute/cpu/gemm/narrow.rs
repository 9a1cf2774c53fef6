//! Packing of operands of narrow types: conversion, and groups of k that one instruction multiplies and sums.

use std::ops::Range;

use half::{bf16, f16};

/// How elements of a type become units.
pub(super) trait Narrow {
    /// Element of the operand.
    type Element: Copy;
    /// What tile kernels take; its default stands for no elements.
    type Unit: Copy + Default;
    /// Elements in a unit.
    const GROUP: usize;

    /// The unit of the first `count` of its elements, which are `stride` apart; the others count nothing.
    ///
    /// # Safety
    /// These elements must be readable.
    unsafe fn unit(from: *const Self::Element, stride: usize, count: usize) -> Self::Unit;
}

/// A [`NarrowPackFn`](super::kernels::NarrowPackFn) for any processor.
///
/// # Safety
/// As for [`NarrowPackFn`](super::kernels::NarrowPackFn).
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(super) unsafe fn pack<N: Narrow>(
    to: *mut N::Unit,
    width: usize,
    lanes: Range<usize>,
    steps: Range<usize>,
    from: *const u8,
    lane_stride: usize,
    element_stride: usize,
    elements: usize,
) {
    let from = from.cast::<N::Element>();
    // SAFETY: the caller vouches for both ends; no element beyond `elements` is read.
    unsafe {
        for (s, step) in steps.enumerate() {
            let k = step * N::GROUP;
            let count = (elements - k).min(N::GROUP);
            let to = to.add(s * width);
            let from = from.wrapping_add(k * element_stride + lanes.start * lane_stride);
            for lane in 0..lanes.len() {
                *to.add(lane) = N::unit(from.wrapping_add(lane * lane_stride), element_stride, count);
            }
            for lane in lanes.len()..width {
                *to.add(lane) = N::Unit::default();
            }
        }
    }
}

/// `bf16` widened to `f32`.
pub(super) struct WideBf16;
impl Narrow for WideBf16 {
    type Element = bf16;
    type Unit = f32;
    const GROUP: usize = 1;
    #[inline(always)]
    unsafe fn unit(from: *const bf16, _: usize, _: usize) -> f32 {
        // SAFETY: the caller's promise.
        f32::from_bits(u32::from(unsafe { (*from).to_bits() }) << 16)
    }
}

/// `f16` widened to `f32`.
pub(super) struct WideF16;
impl Narrow for WideF16 {
    type Element = f16;
    type Unit = f32;
    const GROUP: usize = 1;
    #[inline(always)]
    unsafe fn unit(from: *const f16, _: usize, _: usize) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { (*from).to_f32() }
    }
}

/// Two `bf16`.
pub(super) struct PairsBf16;
impl Narrow for PairsBf16 {
    type Element = bf16;
    type Unit = u32;
    const GROUP: usize = 2;
    #[inline(always)]
    unsafe fn unit(from: *const bf16, stride: usize, count: usize) -> u32 {
        // SAFETY: the caller's promise; the second element is read only if it is there.
        unsafe {
            let low = u32::from((*from).to_bits());
            if count > 1 { low | u32::from((*from.add(stride)).to_bits()) << 16 } else { low }
        }
    }
}

/// Four `i8`, `FLIP` added to each of them modulo 256.
pub(super) struct QuadsI8<const FLIP: u8>;
impl<const FLIP: u8> Narrow for QuadsI8<FLIP> {
    type Element = u8;
    type Unit = u32;
    const GROUP: usize = 4;
    #[inline(always)]
    unsafe fn unit(from: *const u8, stride: usize, count: usize) -> u32 {
        let mut bytes = [0; 4];
        for (i, byte) in bytes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller's promise.
            *byte = unsafe { *from.add(i * stride) } ^ FLIP;
        }
        u32::from_le_bytes(bytes)
    }
}

/// Two `i8` or `u8` widened to `i16`.
pub(super) struct PairsI16<T>(std::marker::PhantomData<T>);
impl<T: Copy + Into<i16>> Narrow for PairsI16<T> {
    type Element = T;
    type Unit = u32;
    const GROUP: usize = 2;
    #[inline(always)]
    unsafe fn unit(from: *const T, stride: usize, count: usize) -> u32 {
        // SAFETY: the caller's promise; the second element is read only if it is there.
        unsafe {
            let [low, high] = [(*from).into(), if count > 1 { (*from.add(stride)).into() } else { 0i16 }];
            u32::from(low as u16) | u32::from(high as u16) << 16
        }
    }
}
