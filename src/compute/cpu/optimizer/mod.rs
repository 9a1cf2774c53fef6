//! Optimizer steps: every parameter in one region of the crew, each element read and written once.
//!
//! The elements of all parameters form one list that is cut evenly among the workers. Elements do not depend on one
//! another, so no cut changes a result.

mod accumulate;
mod equations;
mod rule;
mod squares;
mod step;
mod walk;

pub use accumulate::accumulate;
pub use rule::Rule;
pub use squares::gradient_squares;
pub use step::optimize;

use crate::compute::backend::Arg;
use crate::compute::dtype::DType;
use crate::compute::memory::Buffer;

/// Most columns of state a rule keeps for a parameter.
pub const MAX_STATE: usize = 3;

/// Row length from which on a matrix is wide: fixed, as the order of sums depends on it.
const WIDE: usize = 64;

/// A parameter in a step of an optimizer.
#[derive(Debug)]
pub struct Update<'a> {
    /// What is done to each element.
    pub rule: Rule,
    /// The parameter: dense from the start of its buffer. `f32`, `f64`, or `bf16` or `f16`, which take a `master`.
    pub param: &'a mut Buffer,
    /// `f32` values that are stepped in place of a 16-bit parameter, which becomes their rounded copy.
    pub master: Option<&'a mut Buffer>,
    /// The gradient: dense, in the memory order and of the type of the parameter.
    pub gradient: Arg<'a>,
    /// As many columns as the rule keeps, in its order; of the type of what is stepped.
    pub state: [Option<&'a mut Buffer>; MAX_STATE],
    /// Length of the rows the parameter lies in if it is a matrix; else the number of its elements.
    pub row: usize,
}

impl Update<'_> {
    /// Type of the values that are stepped.
    pub fn value_dtype(&self) -> DType {
        self.master.as_ref().map_or(self.param.dtype(), |master| master.dtype())
    }

    /// Refuses columns that do not belong together.
    #[track_caller]
    fn check(&self) {
        let (len, dtype) = (self.param.len(), self.value_dtype());
        let half = matches!(self.param.dtype(), DType::Bf16 | DType::F16);
        assert!(
            if half { dtype == DType::F32 } else { self.master.is_none() && matches!(dtype, DType::F32 | DType::F64) },
            "a parameter of {} is stepped as {dtype}",
            self.param.dtype()
        );
        assert!(self.gradient.layout.is_dense(), "a gradient has gaps");
        assert_eq!((self.gradient.len(), self.gradient.dtype()), (len, self.param.dtype()), "a gradient differs");
        assert!(self.master.as_ref().is_none_or(|master| master.len() == len), "a master copy differs in length");
        let kept = self.state.iter().take_while(|column| column.is_some()).count();
        assert_eq!(kept, self.rule.columns(), "columns of state for {:?}", self.rule);
        let fits = |column: &Buffer| column.len() == len && column.dtype() == dtype;
        assert!(self.state.iter().flatten().all(|column| fits(column)), "a column of state differs");
        assert!(self.row > 0 && len.is_multiple_of(self.row) || len == 0, "{len} elements in rows of {}", self.row);
    }
}

/// Rows and row length where the elements are a wide matrix, else one row.
fn matrix(len: usize, row: usize) -> Option<(usize, usize)> {
    (row >= WIDE && row < len).then(|| (len / row, row))
}

#[cfg(test)]
mod tests;
