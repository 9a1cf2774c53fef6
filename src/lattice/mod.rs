//! The 4D lattice (x, y, z, w): shape, boxes, distances, and the Z-order curve neurons are numbered along.

pub mod morton;

use crate::error::{Error, Result};

/// Cell coordinates (x, y, z, w).
pub type Cell = [u32; 4];
/// A position in space, micrometres along x, y, z, w.
pub type Position = [f32; 4];

/// Names of the four axes, for messages and file columns.
pub const AXES: [&str; 4] = ["x", "y", "z", "w"];

/// A regular lattice in four dimensions.
///
/// Cell `c` has its centre at `(c + 0.5) * spacing` on each axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Lattice4 {
    /// Cells along each axis, 1 to 65,536.
    pub shape: [u32; 4],
    /// Distance between neighbouring cells along each axis, um.
    pub spacing: [f64; 4],
    /// Whether an axis closes on itself.
    pub periodic: [bool; 4],
}

impl Lattice4 {
    /// A clamped lattice with a spacing of 1 um.
    ///
    /// # Errors
    /// If an axis has no cell or more than 65,536.
    pub fn new(shape: [u32; 4]) -> Result<Self> {
        for (axis, cells) in AXES.iter().zip(shape) {
            if !(1..=65_536).contains(&cells) {
                return Err(Error::invalid(
                    "lattice.shape",
                    format!("axis {axis} has {cells} cells; allowed are 1 to 65536"),
                ));
            }
        }
        Ok(Self { shape, spacing: [1.0; 4], periodic: [false; 4] })
    }

    /// Number of cells; the largest number there is for more.
    pub fn cells(&self) -> u64 {
        self.shape.iter().fold(1, |cells: u64, n| cells.saturating_mul(u64::from(*n)))
    }

    /// The whole lattice as a box.
    pub fn bounds(&self) -> Box4 {
        Box4 { lo: [0; 4], hi: self.shape }
    }

    /// Centre of a cell, um.
    pub fn centre(&self, cell: Cell) -> Position {
        std::array::from_fn(|a| ((f64::from(cell[a]) + 0.5) * self.spacing[a]) as f32)
    }

    /// The cell a position lies in, clamped to the lattice.
    pub fn cell_of(&self, position: Position) -> Cell {
        std::array::from_fn(|a| {
            let cell = (f64::from(position[a]) / self.spacing[a]).floor();
            (cell.max(0.0) as u32).min(self.shape[a] - 1)
        })
    }

    /// Displacement from `from` to `to` along each axis, um; the shorter way round on periodic axes.
    pub fn displacement(&self, from: Position, to: Position) -> [f64; 4] {
        std::array::from_fn(|a| {
            let d = f64::from(to[a]) - f64::from(from[a]);
            if self.periodic[a] {
                let length = f64::from(self.shape[a]) * self.spacing[a];
                d - length * (d / length).round()
            } else {
                d
            }
        })
    }
}

/// A half-open box of cells: `lo <= cell < hi` on every axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Box4 {
    /// First cell on each axis.
    pub lo: Cell,
    /// One past the last cell on each axis.
    pub hi: Cell,
}

impl Box4 {
    /// Number of cells; the largest number there is for more.
    pub fn cells(&self) -> u64 {
        (0..4).fold(1, |cells: u64, a| cells.saturating_mul(u64::from(self.hi[a].saturating_sub(self.lo[a]))))
    }

    /// Whether a cell lies inside.
    pub fn contains(&self, cell: Cell) -> bool {
        (0..4).all(|a| (self.lo[a]..self.hi[a]).contains(&cell[a]))
    }

    /// Cells in both.
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            lo: std::array::from_fn(|a| self.lo[a].max(other.lo[a])),
            hi: std::array::from_fn(|a| self.hi[a].min(other.hi[a])),
        }
    }

    /// All cells in Z-order.
    pub fn cells_in_z_order(&self) -> Vec<Cell> {
        let mut cells = Vec::with_capacity(self.cells() as usize);
        for w in self.lo[3]..self.hi[3] {
            for z in self.lo[2]..self.hi[2] {
                for y in self.lo[1]..self.hi[1] {
                    for x in self.lo[0]..self.hi[0] {
                        cells.push([x, y, z, w]);
                    }
                }
            }
        }
        cells.sort_by_cached_key(|c| morton::encode(*c));
        cells
    }
}
