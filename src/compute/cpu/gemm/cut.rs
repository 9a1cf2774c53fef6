//! Which part of a product each worker computes.

use std::ops::Range;

use super::super::Cpu;
use super::driver::{Operand, Problem, equal_part};
use super::plan::Cut;

impl<U, S> Problem<U, S> {
    /// Columns that no cut divides: a vector, or a packed panel.
    fn granule(&self) -> usize {
        if matches!(self.b, Operand::Panels { .. }) { self.kernels.panel() } else { self.kernels.lanes }
    }

    /// How to cut it for so many workers.
    pub fn cut(&self, workers: usize) -> Cut {
        let granule = self.granule();
        Cut::choose(self.m, self.n.div_ceil(granule), granule / self.kernels.lanes, self.k, workers)
    }

    /// How many workers `count` products like this one are worth.
    pub fn worth(&self, count: usize) -> usize {
        Cut::worth(count * self.m * self.n.div_ceil(self.kernels.lanes) * self.k)
    }

    /// Rows and columns of part `index`.
    pub fn part(&self, cut: Cut, index: usize) -> (Range<usize>, Range<usize>) {
        let granule = self.granule();
        let groups = equal_part(self.n.div_ceil(granule), cut.cols, index % cut.cols);
        let cols = groups.start * granule..(groups.end * granule).min(self.n);
        (equal_part(self.m, cut.rows, index / cut.cols), cols)
    }

    /// Calls `part(cut, index)` for every part, spread over the workers.
    pub fn on_all(&self, cpu: &Cpu, part: &(dyn Fn(Cut, usize) + Sync)) {
        let cut = self.cut(cpu.crew.size());
        if cut.parts() == 1 {
            return part(cut, 0);
        }
        cpu.crew.run(&|worker| {
            if worker < cut.parts() {
                part(cut, worker);
            }
        });
    }
}
