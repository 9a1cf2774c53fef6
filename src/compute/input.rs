//! From integer input rows to the real numbers a neuron model reads, and the check for non-finite state.

use super::Isa;
use super::poisson::{AddEvents, Base};
use super::rows::Rows;
use super::simd::{Kernel, Lanes, Real, dispatch};

/// Moves the sums of slots `first..first + out.len()` (multiples of 32) into `out`, times `unit`, and clears them.
/// `wide` says which row they are in.
#[inline]
pub fn take<T: Real>(isa: Isa, rows: &mut Rows, wide: bool, first: usize, unit: T, out: &mut [T]) {
    let mut spilled: Vec<(usize, i64)> = Vec::new();
    if rows.overflowed {
        rows.take_side(first, out.len(), |i, sum| spilled.push((i, sum)));
        for (i, sum) in &mut spilled {
            *sum += if wide { i64::from(rows.wide[first + *i]) } else { i64::from(rows.narrow[first + *i]) };
        }
    }
    if wide {
        dispatch(isa, TakeWide { row: &mut rows.wide[first..first + out.len()], unit, out });
    } else {
        dispatch(isa, TakeNarrow { row: &mut rows.narrow[first..first + out.len()], unit, out });
    }
    for (i, total) in spilled {
        out[i] = T::of_i64(total) * unit;
    }
}

/// As [`take`] from the narrow row, with the events of a Poisson stimulus added: the two most common inputs in one pass.
#[inline]
pub fn take_with_events<T: Real>(isa: Isa, rows: &mut Rows, first: usize, unit: T, events: AddEvents<'_, T>) {
    if rows.overflowed {
        take(isa, rows, false, first, unit, events.out);
        return dispatch(isa, events);
    }
    let row = &mut rows.narrow[first..first + events.out.len()];
    dispatch(isa, TakeWithEvents { row, unit, events });
}

struct TakeWithEvents<'a, T> {
    row: &'a mut [i16],
    unit: T,
    events: AddEvents<'a, T>,
}

impl<T: Real> Kernel<T> for TakeWithEvents<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        let AddEvents { table, keys, first, step, weight, out } = self.events;
        let base = Row { row: self.row, unit: S::splat(self.unit) };
        table.add_events::<S>(keys, first, step, weight, out, base);
    }
}

/// Takes and clears the narrow row.
struct Row<'a, S> {
    row: &'a mut [i16],
    unit: S,
}

impl<S: Lanes> Base<S> for Row<'_, S> {
    #[inline(always)]
    fn at(&mut self, at: usize, _out: &[S::Elem]) -> S {
        let row = &mut self.row[at..at + S::LANES];
        let input = S::load_i16(row).mul(self.unit);
        row.fill(0);
        input
    }
}

struct TakeNarrow<'a, T> {
    row: &'a mut [i16],
    unit: T,
    out: &'a mut [T],
}

impl<T: Real> Kernel<T> for TakeNarrow<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        let unit = S::splat(self.unit);
        for (row, out) in self.row.chunks_exact_mut(S::LANES).zip(self.out.chunks_exact_mut(S::LANES)) {
            S::load_i16(row).mul(unit).store(out);
            row.fill(0);
        }
    }
}

struct TakeWide<'a, T> {
    row: &'a mut [i32],
    unit: T,
    out: &'a mut [T],
}

impl<T: Real> Kernel<T> for TakeWide<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        let unit = S::splat(self.unit);
        for (row, out) in self.row.chunks_exact_mut(S::LANES).zip(self.out.chunks_exact_mut(S::LANES)) {
            S::load_i32(row).mul(unit).store(out);
            row.fill(0);
        }
    }
}

/// Whether all values (a multiple of 32 of them) are finite.
#[inline]
pub fn all_finite<T: Real>(isa: Isa, values: &[T]) -> bool {
    dispatch(isa, AllFinite(values))
}

struct AllFinite<'a, T>(&'a [T]);

impl<T: Real> Kernel<T> for AllFinite<'_, T> {
    type Output = bool;
    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) -> bool {
        // x - x is zero for finite x and NaN otherwise; a sum of zeros stays zero.
        // Two sums, as one would make every addition wait for the one before (32 is a multiple of twice the lanes of
        // every set).
        let mut sums = [S::splat(T::ZERO); 2];
        for chunk in self.0.chunks_exact(2 * S::LANES) {
            let (x, y) = (S::load(chunk), S::load(&chunk[S::LANES..]));
            sums = [sums[0].add(x.sub(x)), sums[1].add(y.sub(y))];
        }
        let sum = sums[0].add(sums[1]);
        S::bits(sum.ge(S::splat(T::ZERO))) == u32::MAX >> (32 - S::LANES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finite_check_sees_every_lane() {
        for isa in Isa::all_available() {
            let mut x = vec![1.0f32; 96];
            assert!(all_finite(isa, &x));
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for i in 0..96 {
                    x[i] = bad;
                    assert!(!all_finite(isa, &x), "{isa} {bad} at {i}");
                    x[i] = -3.0;
                }
            }
        }
    }

    #[test]
    fn taking_clears_and_scales() {
        for isa in Isa::all_available() {
            let mut rows = Rows::new(64, true, false);
            for k in 0..40_000 {
                let slot = 32 + k % 32;
                rows.narrow()[slot] = rows.narrow()[slot].wrapping_add(1);
            }
            let mut out = vec![0f64; 32];
            take(isa, &mut rows, false, 32, 0.5, &mut out);
            assert!(out.iter().all(|x| *x == 625.0));
            assert!(rows.narrow().iter().all(|x| *x == 0));
        }
    }
}
