//! Where the stored elements of a sparse matrix lie.

use crate::compute::cpu::Cpu;
use crate::compute::cpu::sparse::by_row;
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The places of the stored elements of a matrix, row by row (compressed sparse rows).
///
/// Invariants, all checked by [`Pattern::new`]; other constructors keep them:
///
/// - `starts` has one entry more than there are rows, begins with 0, never decreases and ends with the number of
///   elements: the elements of row `r` are `starts[r]..starts[r + 1]`;
/// - `columns` has one entry for each element, below the number of columns;
/// - within a row, columns ascend strictly, so no place is stored twice.
///
/// A pattern never changes, so matrices share it and what is derived from it.
pub struct Pattern {
    cols: usize,
    starts: Vec<usize>,
    columns: Vec<u32>,
    turned: OnceLock<Arc<Turned>>,
}

/// A pattern with rows and columns exchanged.
#[derive(Debug)]
pub struct Turned {
    /// The pattern of the transposed matrix.
    pub pattern: Arc<Pattern>,
    /// For each of its elements, which element of the other pattern it is.
    pub from: Vec<usize>,
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pattern({} x {}, {} elements)", self.rows(), self.cols, self.len())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.cols == other.cols && self.starts == other.starts && self.columns == other.columns
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// A pattern of `starts.len() - 1` rows and `cols` columns.
    ///
    /// # Errors
    /// An invariant does not hold; the message names the row.
    pub fn new(cols: usize, starts: Vec<usize>, columns: Vec<u32>) -> Result<Self> {
        let fault = |message: String| Err(Error::op("csr", message));
        check_cols(cols)?;
        check_cols(starts.len().saturating_sub(1))?;
        if starts.first() != Some(&0) {
            return fault(format!(
                "row starts must begin with 0 and have one entry more than rows; they are {} long and begin with {:?}",
                starts.len(),
                starts.first()
            ));
        }
        if let Some(row) = starts.windows(2).position(|pair| pair[0] > pair[1]) {
            return fault(format!("row {row} starts at element {} and ends at {}", starts[row], starts[row + 1]));
        }
        if starts.last() != Some(&columns.len()) {
            return fault(format!("the last row ends at element {:?}, but there are {}", starts.last(), columns.len()));
        }
        for (row, bounds) in starts.windows(2).enumerate() {
            let of_row = &columns[bounds[0]..bounds[1]];
            if let Some(pair) = of_row.windows(2).find(|pair| pair[0] >= pair[1]) {
                return fault(format!("columns of row {row} must ascend, but {} is followed by {}", pair[0], pair[1]));
            }
            if let Some(last) = of_row.last().filter(|last| **last as usize >= cols) {
                return fault(format!("row {row} has an element in column {last} of {cols}"));
            }
        }
        Ok(Self::sound(cols, starts, columns))
    }

    /// A pattern of which the invariants are known.
    pub(super) fn sound(cols: usize, starts: Vec<usize>, columns: Vec<u32>) -> Self {
        Self { cols, starts, columns, turned: OnceLock::new() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Number of stored elements.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Share of the places that are stored; 0 for a matrix without places.
    pub fn density(&self) -> f64 {
        let places = self.rows() as f64 * self.cols as f64;
        if places == 0.0 { 0.0 } else { self.len() as f64 / places }
    }

    /// Where each row starts, and the end of the last.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Column of each element.
    pub fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// The elements of row `row`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// The pattern with rows and columns exchanged. Made once, then kept.
    pub fn turned(&self, cpu: &Cpu) -> Arc<Turned> {
        self.turned.get_or_init(|| Arc::new(turn(cpu, self))).clone()
    }
}

fn turn(cpu: &Cpu, pattern: &Pattern) -> Turned {
    let (starts, from) = by_row(cpu, pattern.cols(), pattern.columns());
    let mut row_of = vec![0u32; pattern.len()];
    for row in 0..pattern.rows() {
        row_of[pattern.row(row)].fill(row as u32);
    }
    // Elements of a column keep their order, so rows ascend there.
    let rows = from.iter().map(|element| row_of[*element]).collect();
    Turned { pattern: Arc::new(Pattern::sound(pattern.rows(), starts, rows)), from }
}

/// Refuses more rows or columns than can be numbered.
pub(super) fn check_cols(count: usize) -> Result<()> {
    if count > 1 << 32 {
        return Err(Error::op("csr", format!("{count} rows or columns; at most 2^32 can be numbered")));
    }
    Ok(())
}
