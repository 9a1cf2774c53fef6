//! Products with sparse matrices, stored by rows: the elements of row `r` are `starts[r]..starts[r + 1]`, with their
//! columns, which ascend, and their values.
//!
//! No product is fused with a sum, and every sum has an order of its own that follows from the matrix: along the
//! elements of a row, or for sums over dense columns in 32 interleaved parts that are then added in pairs. So results
//! are the same bits for any number of workers and on every instruction set.

mod dense;
mod events;
mod sort;

pub use dense::{product, sampled, times_vector};
pub use events::{Events, add_rows, count_events, rows_gradient};
pub use sort::{by_row, rows_of_triplets};

use super::Cpu;
use std::ops::Range;

/// A sparse matrix as kernels take it. The invariants are those of `sparse::Pattern`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    /// Where each row starts, and the end of the last.
    pub starts: &'a [usize],
    /// Column of each element.
    pub columns: &'a [u32],
    /// Number of columns.
    pub cols: usize,
    /// Value of each element.
    pub values: &'a [T],
}

impl<'a, T> Rows<'a, T> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// # Panics
    /// If lengths do not fit each other or a column is out of range.
    fn check(&self) {
        assert_eq!(self.starts.last(), Some(&self.columns.len()), "rows cover all elements");
        assert_eq!(self.values.len(), self.columns.len(), "one value each element");
    }
}

/// Calls `job` with consecutive ranges of rows that have about equally many elements, on all workers where that is worth
/// it. `work` is what an element costs, in about nanoseconds.
fn split_rows(cpu: &Cpu, starts: &[usize], work: f64, job: &(dyn Fn(Range<usize>) + Sync)) {
    let (rows, elements) = (starts.len() - 1, starts[starts.len() - 1]);
    // A row without elements costs something, too.
    let cost = |row: usize| starts[row] + row;
    let whole = elements + rows;
    let workers = cpu.crew.size().min((whole as f64 * work / 4_000.0) as usize).max(1);
    if workers == 1 {
        return job(0..rows);
    }
    let bound = |worker: usize| {
        let target = whole * worker / workers;
        let (mut low, mut high) = (0, rows);
        while low < high {
            let middle = (low + high) / 2;
            if cost(middle) < target { low = middle + 1 } else { high = middle }
        }
        low
    };
    cpu.crew.run(&|worker| {
        if worker < workers {
            let (start, end) = (bound(worker), if worker + 1 == workers { rows } else { bound(worker + 1) });
            if start < end {
                job(start..end);
            }
        }
    });
}
