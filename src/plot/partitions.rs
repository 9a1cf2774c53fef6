//! Partitions on the 4D lattice: which part of the network each cell belongs to, slice by slice.

use super::canvas::{Anchor, Picture, Shape, Size};
use super::colour::{self, ABSENT, Colour, INK, SPINE};
use super::font::{self, Weight};
use super::lattice::{Slices, grid, label_x, label_y};
use super::sheet::{Area, Entry, Sheet};
use crate::error::{Error, Result};
use crate::lattice::Cell;

/// Most panels of a picture; further ones are left out and the subtitle says so.
const MOST_PANELS: usize = 400;

/// The partition of every cell of a lattice.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionMap {
    shape: [u32; 4],
    /// Partition of each cell, x fastest, then y, z, w; `u32::MAX` for cells without neurons.
    cells: Vec<u32>,
    /// Size of the picture.
    pub size: Size,
    /// Heading; empty for none.
    pub title: String,
}

impl PartitionMap {
    /// Most cells a map may have: 2^28, 1 GiB.
    pub const MOST_CELLS: u64 = 1 << 28;

    /// An empty lattice of a shape (cells along x, y, z, w).
    ///
    /// # Errors
    /// If an axis has no cell, or there are more than [`PartitionMap::MOST_CELLS`].
    pub fn new(shape: [u32; 4]) -> Result<Self> {
        let total = shape.iter().try_fold(1u64, |n, s| n.checked_mul(u64::from(*s))).unwrap_or(u64::MAX);
        if total == 0 || total > Self::MOST_CELLS {
            let message = format!("{shape:?} has {total} cells; allowed are 1 to {}", Self::MOST_CELLS);
            return Err(Error::invalid("plot.partitions", message));
        }
        let cells = vec![u32::MAX; total as usize];
        Ok(Self { shape, cells, size: Size::default(), title: "Partitions".into() })
    }

    /// Says that a neuron in a cell belongs to a partition. Where neurons of one cell belong to different ones, the first
    /// that is told is shown.
    ///
    /// # Panics
    /// If the cell is outside the lattice.
    pub fn add(&mut self, cell: Cell, partition: u32) {
        let at = self.index(cell);
        if self.cells[at] == u32::MAX {
            self.cells[at] = partition;
        }
    }

    fn index(&self, cell: Cell) -> usize {
        assert!(cell.iter().zip(self.shape).all(|(c, n)| *c < n), "cell {cell:?} outside shape {:?}", self.shape);
        let (n, c) = (self.shape.map(|n| n as usize), cell.map(|c| c as usize));
        ((c[3] * n[2] + c[2]) * n[1] + c[1]) * n[0] + c[0]
    }

    /// Lays it out: a panel for each (z, w), a column for each z and a row for each w where that fits.
    pub fn picture(&self) -> Picture {
        let [nx, ny, nz, nw] = self.shape;
        let partitions = self.cells.iter().filter(|p| **p != u32::MAX).max().map_or(0, |most| most + 1);
        let entries: Vec<Entry> = (0..partitions)
            .map(|p| Entry { name: format!("partition {p}"), colour: colour_of(p), dash: None })
            .collect();
        let mut subtitle = format!("lattice of {nx} × {ny} × {nz} × {nw} cells (x, y, z, w); {partitions} partitions");
        let all = nz as usize * nw as usize;
        let room = |subtitle: &str| {
            let (mut sheet, area) = Sheet::new(self.size, &self.title, subtitle);
            let area = sheet.legend(area, &entries);
            (sheet, area)
        };
        // Panels smaller than this show nothing.
        let (draft, area) = room(&subtitle);
        let least = 16.0 * draft.unit;
        let fit = ((area.width / least).floor() * (area.height / least).floor()).max(1.0) as usize;
        let panels = all.min(fit).min(MOST_PANELS);
        if panels < all {
            subtitle.push_str(&format!("; first {panels} of {all} slices"));
        }
        let (mut sheet, area) = room(&subtitle);
        let grid = grid(self.shape, Slices::EachZ, &sheet, area, panels);
        for panel in 0..panels {
            let (z, w) = (panel as u32 % nz, panel as u32 / nz);
            let area = grid.place(panel % grid.columns, panel / grid.columns);
            let hair = sheet.hair();
            sheet.picture.rect(area.x - hair, area.y - hair, area.width + 2.0 * hair, area.height + 2.0 * hair, SPINE);
            let row = |y: u32| (0..nx).map(move |x| self.cells[self.index([x, y, z, w])]);
            let cells: Vec<Colour> =
                (0..ny).rev().flat_map(row).map(|p| if p == u32::MAX { ABSENT } else { colour_of(p) }).collect();
            let Area { x, y, width, height } = area;
            sheet.picture.shapes.push(Shape::Cells { x, y, width, height, columns: nx as usize, cells });
            let size = sheet.small();
            let names = [format!("z = {z}, w = {w}"), format!("z{z} w{w}")];
            let fits = |name: &&String| font::width(name, size, Weight::SemiBold) <= grid.width + grid.gap * 0.6;
            if let (true, Some(name)) = (grid.top > size, names.iter().find(fits)) {
                sheet.bold(x, y - size * 0.45, size, Anchor::Start, INK, name);
            }
            if panel % grid.columns == 0 {
                label_y(&mut sheet, area, ny);
            }
            if panel + grid.columns >= panels {
                label_x(&mut sheet, area, nx);
            }
        }
        sheet.picture
    }
}

/// Colour of a partition; lighter after each round through the palette.
fn colour_of(partition: u32) -> Colour {
    let index = partition as usize;
    colour::category(index).tint(1.0 / (1.0 + 0.6 * colour::round_of(index) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_belong_to_the_first_partition_told() {
        let mut map = PartitionMap::new([3, 2, 2, 2]).unwrap();
        map.add([2, 1, 1, 0], 4);
        map.add([2, 1, 1, 0], 1);
        assert_eq!(map.cells[map.index([2, 1, 1, 0])], 4);
        let svg = map.picture().to_svg();
        assert!(svg.starts_with("<svg") || svg.starts_with("<?xml"));
        assert!(PartitionMap::new([0, 1, 1, 1]).is_err());
    }
}
