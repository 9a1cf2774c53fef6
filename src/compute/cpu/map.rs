//! Elementwise kernels: any function of some numbers at one place, giving some numbers at that place.
#![allow(unsafe_code)]

use super::lanes::{Float, Kernel, Vector, dispatch};
use super::{Cpu, Parts};
use crate::compute::isa::Isa;
use std::ops::Range;

/// An elementwise function from `I` columns to `O` columns.
///
/// Mark `lanes` `#[inline(always)]`, call only functions marked so, and put no lane operations into closures. The value
/// holds the function's parameters.
pub trait Map<T: Float, const I: usize, const O: usize>: Copy + Sync {
    /// How many elements are worth a worker, about a microsecond of work: 16,384 for functions of few operations.
    const GRAIN: usize = 4_096;
    /// The function on lanes.
    fn lanes<V: Vector<Elem = T>>(self, x: [V; I]) -> [V; O];
}

/// `outputs = map(inputs)` at every place, on all workers.
///
/// # Panics
/// If the lengths differ.
pub fn map<T: Float, const I: usize, const O: usize>(
    cpu: &Cpu,
    map: impl Map<T, I, O>,
    inputs: [&[T]; I],
    outputs: [&mut [T]; O],
) {
    let len = length(inputs.iter().map(|x| x.len()).chain(outputs.iter().map(|x| x.len())));
    let from = inputs.map(<[T]>::as_ptr);
    let to = outputs.map(Parts::new);
    spread(cpu, len, from, to, map);
}

/// [`map`] on the caller alone: a block within another loop.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn map_block<T: Float, const I: usize, const O: usize>(
    isa: Isa,
    map: impl Map<T, I, O>,
    inputs: [&[T]; I],
    outputs: [&mut [T]; O],
) {
    let len = length(inputs.iter().map(|x| x.len()).chain(outputs.iter().map(|x| x.len())));
    // SAFETY: every pointer allows for `len` elements, and the outputs overlap nothing, being borrowed mutably.
    unsafe { walk(isa, map, inputs.map(<[T]>::as_ptr), outputs.map(<[T]>::as_mut_ptr), len) };
}

/// `state = map(state, inputs)` at every place, on all workers: the function gets the `O` state columns and then the
/// inputs, `I` columns together.
///
/// # Panics
/// If the lengths differ, or `I` is not `O + N`.
pub fn update<T: Float, const I: usize, const O: usize, const N: usize>(
    cpu: &Cpu,
    map: impl Map<T, I, O>,
    state: [&mut [T]; O],
    inputs: [&[T]; N],
) {
    let len = length(inputs.iter().map(|x| x.len()).chain(state.iter().map(|x| x.len())));
    let to = state.map(Parts::new);
    let from = joined(to.each_ref().map(|part| part.as_mut_ptr().cast_const()), inputs.map(<[T]>::as_ptr));
    spread(cpu, len, from, to, map);
}

/// [`update`] on the caller alone: a block within another loop.
///
/// # Panics
/// If the lengths differ, or `I` is not `O + N`.
#[inline]
pub fn update_block<T: Float, const I: usize, const O: usize, const N: usize>(
    isa: Isa,
    map: impl Map<T, I, O>,
    state: [&mut [T]; O],
    inputs: [&[T]; N],
) {
    let len = length(inputs.iter().map(|x| x.len()).chain(state.iter().map(|x| x.len())));
    let to = state.map(<[T]>::as_mut_ptr);
    let from = joined(to.map(<*mut T>::cast_const), inputs.map(<[T]>::as_ptr));
    // SAFETY: every pointer allows for `len` elements; inputs that are outputs too are the same places exactly.
    unsafe { walk(isa, map, from, to, len) };
}

/// The one length of all columns.
pub(super) fn length(lengths: impl Iterator<Item = usize>) -> usize {
    let mut one = None;
    for len in lengths {
        assert_eq!(*one.get_or_insert(len), len, "columns of an elementwise kernel differ in length");
    }
    one.unwrap_or(0)
}

fn joined<T, const I: usize, const O: usize, const N: usize>(
    state: [*const T; O],
    inputs: [*const T; N],
) -> [*const T; I] {
    assert_eq!(I, O + N, "the function takes {I} columns, not {O} and {N}");
    std::array::from_fn(|i| if i < O { state[i] } else { inputs[i - O] })
}

/// Pointers that may go to other threads.
#[derive(Clone, Copy)]
struct Columns<T, const I: usize>([*const T; I]);
// SAFETY: read only where no one writes, except each place by the worker that writes it.
unsafe impl<T: Sync, const I: usize> Sync for Columns<T, I> {}

impl<T, const I: usize> Columns<T, I> {
    fn from(&self, place: usize) -> [*const T; I] {
        self.0.map(|p| p.wrapping_add(place))
    }
}

/// `from` are slices of `len` elements, and equal or disjoint to each of `to`.
fn spread<T: Float, M: Map<T, I, O>, const I: usize, const O: usize>(
    cpu: &Cpu,
    len: usize,
    from: [*const T; I],
    to: [Parts<'_, T>; O],
    map: M,
) {
    let from = Columns(from);
    cpu.split(len, M::GRAIN, &|range: Range<usize>| {
        // SAFETY: ranges of different calls are disjoint.
        let pieces = to.map(|part| unsafe { part.piece(range.clone()) }.as_mut_ptr());
        // SAFETY: `range` is within all columns; workers write disjoint places, and read from outputs only their own.
        unsafe { walk(cpu.isa, map, from.from(range.start), pieces, range.len()) };
    });
}

/// # Safety
/// Each pointer allows for `len` elements. A written column is the same as a read one or does not overlap it.
#[inline(always)]
pub(super) unsafe fn walk<T: Float, M: Map<T, I, O>, const I: usize, const O: usize>(
    isa: Isa,
    map: M,
    from: [*const T; I],
    to: [*mut T; O],
    len: usize,
) {
    dispatch(isa, Walk { map, from, to, len });
}

struct Walk<T, M, const I: usize, const O: usize> {
    map: M,
    from: [*const T; I],
    to: [*mut T; O],
    len: usize,
}

impl<T: Float, M: Map<T, I, O>, const I: usize, const O: usize> Kernel<T> for Walk<T, M, I, O> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { map, from, to, len } = self;
        let mut at = 0;
        while at + V::LANES <= len {
            let mut x = [V::zero(); I];
            for i in 0..I {
                // SAFETY: `at + LANES` does not pass `len`, which all columns have.
                x[i] = unsafe { V::load(from[i].add(at)) };
            }
            let y = map.lanes(x);
            for o in 0..O {
                // SAFETY: as above.
                unsafe { y[o].store(to[o].add(at)) };
            }
            at += V::LANES;
        }
        if at < len {
            let mut x = [V::zero(); I];
            for i in 0..I {
                // SAFETY: `len - at` elements are left in all columns.
                x[i] = unsafe { V::load_first(from[i].add(at), len - at) };
            }
            let y = map.lanes(x);
            for o in 0..O {
                // SAFETY: as above.
                unsafe { y[o].store_first(to[o].add(at), len - at) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct SumAndProduct;
    impl<T: Float> Map<T, 3, 2> for SumAndProduct {
        #[inline(always)]
        fn lanes<V: Vector<Elem = T>>(self, [a, b, c]: [V; 3]) -> [V; 2] {
            [a + b + c, a * b * c]
        }
    }

    #[test]
    fn every_place_once_whatever_the_workers() {
        for len in [0, 1, 7, 8, 15, 16, 17, 33, 1000, 3 * 4096 + 5] {
            let a: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let b: Vec<f32> = (0..len).map(|i| (i % 7) as f32).collect();
            for isa in Isa::all_available() {
                for workers in [1, 2, 3, 5] {
                    let cpu = Cpu::with_isa(workers, isa);
                    let (mut s, mut p) = (vec![0.0; len], vec![0.0; len]);
                    map(&cpu, SumAndProduct, [&a, &b, &a], [&mut s, &mut p]);
                    let (mut u, mut v) = (a.clone(), b.clone());
                    update(&cpu, SumAndProduct, [&mut u, &mut v], [&a]);
                    for i in 0..len {
                        assert_eq!((s[i], p[i]), (a[i] + b[i] + a[i], a[i] * b[i] * a[i]));
                        assert_eq!((u[i], v[i]), (s[i], p[i]));
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "differ in length")]
    fn unequal_lengths_are_refused() {
        map_block(Isa::detect(), SumAndProduct, [&[1f32][..], &[1.0], &[1.0]], [&mut [], &mut []]);
    }
}
