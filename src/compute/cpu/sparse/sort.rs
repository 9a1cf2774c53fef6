//! Putting elements into rows: two passes over them, one that counts and one that places.
//!
//! Elements are cut into as many runs as there are workers. Each worker counts how many of its elements go to each row;
//! from that follows where its first one of each row belongs, behind those of the runs before. So elements of a row keep
//! the order they were given in, whatever the number of workers.
#![allow(unsafe_code)]

use super::super::{Cpu, Parts};
use super::split_rows;
use crate::compute::simd::Real;
use std::ops::Range;

/// Fewest elements worth a worker of their own.
const GRAIN: usize = 16_384;

fn runs(cpu: &Cpu, len: usize) -> Vec<Range<usize>> {
    let workers = cpu.crew.size().min(len.div_ceil(GRAIN)).max(1);
    let each = len.div_ceil(workers);
    (0..workers).map(|w| (w * each).min(len)..((w + 1) * each).min(len)).collect()
}

/// Sorts elements by row: where each of `rows` rows starts (and the end of the last), and the numbers of the elements
/// row after row, each row's in ascending order. `row_of` has the row of each element.
///
/// # Panics
/// If there is no such row.
pub fn by_row(cpu: &Cpu, rows: usize, row_of: &[u32]) -> (Vec<usize>, Vec<usize>) {
    let runs = runs(cpu, row_of.len());
    let mut counts: Vec<Vec<usize>> = vec![Vec::new(); runs.len()];
    {
        let parts = Parts::new(&mut counts);
        cpu.crew.for_each(runs.len(), &|run| {
            let mut own = vec![0usize; rows];
            for row in &row_of[runs[run].clone()] {
                own[*row as usize] += 1;
            }
            // SAFETY: every run has a place of its own.
            let place = unsafe { parts.piece(run..run + 1) };
            place[0] = own;
        });
    }
    // Counts become the place of the first element of each run and row.
    let mut starts = Vec::with_capacity(rows + 1);
    let mut total = 0;
    for row in 0..rows {
        starts.push(total);
        for counts in &mut counts {
            total += std::mem::replace(&mut counts[row], total);
        }
    }
    starts.push(total);
    let mut order = vec![0usize; row_of.len()];
    {
        let (to, places) = (Parts::new(&mut order), Parts::new(&mut counts));
        cpu.crew.for_each(runs.len(), &|run| {
            // SAFETY: every run has counts of its own.
            let next = &mut unsafe { places.piece(run..run + 1) }[0];
            for element in runs[run].clone() {
                let at = &mut next[row_of[element] as usize];
                // SAFETY: the counts give every element a place of its own.
                let place = unsafe { to.piece(*at..*at + 1) };
                place[0] = element;
                *at += 1;
            }
        });
    }
    (starts, order)
}

/// Rows of a sparse matrix from triplets in any order: where each row starts, columns and values. Values at one place
/// are added in the order they are given.
///
/// # Panics
/// If lists differ in length or there is no such row.
pub fn rows_of_triplets<T: Real>(
    cpu: &Cpu,
    rows: usize,
    row_of: &[u32],
    col_of: &[u32],
    values: &[T],
) -> (Vec<usize>, Vec<u32>, Vec<T>) {
    assert!(row_of.len() == col_of.len() && row_of.len() == values.len(), "one row, column and value each");
    let (bounds, mut order) = by_row(cpu, rows, row_of);
    // By column within each row, equal ones as they were given; and how many places each row has.
    let mut places = vec![0usize; rows];
    {
        let (order, places) = (Parts::new(&mut order), Parts::new(&mut places));
        split_rows(cpu, &bounds, 10.0, &|range| {
            for row in range {
                // SAFETY: ranges of rows do not overlap, nor do their elements.
                let (own, place) =
                    unsafe { (order.piece(bounds[row]..bounds[row + 1]), &mut places.piece(row..row + 1)[0]) };
                let key = |element: &usize| (col_of[*element], *element);
                if !own.is_sorted_by_key(key) {
                    own.sort_unstable_by_key(key);
                }
                *place = own.chunk_by(|a, b| col_of[*a] == col_of[*b]).count();
            }
        });
    }
    let mut starts = Vec::with_capacity(rows + 1);
    let mut total = 0;
    for count in places {
        starts.push(total);
        total += count;
    }
    starts.push(total);
    let (mut columns, mut sums) = (vec![0u32; total], vec![T::ZERO; total]);
    {
        let (to_columns, to_sums) = (Parts::new(&mut columns), Parts::new(&mut sums));
        split_rows(cpu, &bounds, 4.0, &|range| {
            for row in range {
                let own = starts[row]..starts[row + 1];
                // SAFETY: ranges of rows do not overlap, nor do their places.
                let (columns, sums) = unsafe { (to_columns.piece(own.clone()), to_sums.piece(own)) };
                let of_row = order[bounds[row]..bounds[row + 1]].chunk_by(|a, b| col_of[*a] == col_of[*b]);
                for ((of_place, column), sum) in of_row.zip(columns).zip(sums) {
                    *column = col_of[of_place[0]];
                    *sum = values[of_place[0]];
                    of_place[1..].iter().for_each(|element| *sum += values[*element]);
                }
            }
        });
    }
    (starts, columns, sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_order_for_any_workers() {
        let row_of: Vec<u32> = (0..100_003u32).map(|i| i.wrapping_mul(2_654_435_761) >> 20).collect();
        let (starts, order) = by_row(&Cpu::new(1), 4096, &row_of);
        let mut expected: Vec<usize> = (0..row_of.len()).collect();
        expected.sort_by_key(|element| row_of[*element]);
        assert_eq!(order, expected);
        assert!((0..4096).all(|row| order[starts[row]..starts[row + 1]].iter().all(|e| row_of[*e] as usize == row)));
        for workers in [2, 3, 5] {
            assert_eq!(by_row(&Cpu::new(workers), 4096, &row_of), (starts.clone(), order.clone()));
        }
        assert_eq!(by_row(&Cpu::new(2), 2, &[]), (vec![0, 0, 0], Vec::new()));
    }
}
