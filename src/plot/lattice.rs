//! Activity on the 4D lattice: a map of mean rates over (x, y) for each w.

use super::axes;
use super::canvas::{Anchor, Picture, Shape, Size};
use super::colour::{ABSENT, Colour, ColourMap, INK, SPINE};
use super::font::{self, Weight};
use super::sheet::{Area, Sheet};
use super::statistics::{self, Window};
use crate::error::{Error, Fault, Result};
use crate::lattice::Cell;
use crate::storage::PopulationSpikes;

/// Spikes and neurons per cell of a lattice, summed up from any number of populations.
#[derive(Debug, Clone, PartialEq)]
pub struct LatticeActivity {
    shape: [u32; 4],
    duration_s: f64,
    /// Spikes and neurons of each cell, x fastest, then y, z, w.
    cells: Vec<(u32, u32)>,
}

impl LatticeActivity {
    /// Most cells a map may have: 2^28, 2 GiB of counts.
    pub const MOST_CELLS: u64 = 1 << 28;

    /// An empty lattice of a shape (cells along x, y, z, w), for rates over a window.
    ///
    /// # Errors
    /// If an axis has no cell, or there are more than [`LatticeActivity::MOST_CELLS`].
    pub fn new(shape: [u32; 4], window: Window) -> Result<Self> {
        let total = shape.iter().try_fold(1u64, |n, s| n.checked_mul(u64::from(*s))).unwrap_or(u64::MAX);
        if total == 0 || total > Self::MOST_CELLS {
            let [x, y, z, w] = shape;
            return Err(Error::invalid(
                "plot.lattice",
                format!("a shape of {x} x {y} x {z} x {w} has {total} cells; allowed are 1 to {}", Self::MOST_CELLS),
            ));
        }
        Ok(Self { shape, duration_s: window.length() * 1e-3, cells: vec![(0, 0); total as usize] })
    }

    /// Adds a neuron in a cell that fired `spikes` times.
    ///
    /// # Panics
    /// If the cell is outside the lattice.
    pub fn add(&mut self, cell: Cell, spikes: u32) {
        let i = self.index(cell);
        self.cells[i].0 += spikes;
        self.cells[i].1 += 1;
    }

    /// Adds a population; `cells` holds the cell of each of its neurons, `window` must be the one of `new`.
    ///
    /// # Errors
    /// If there is not one cell for each neuron, or a cell is outside the lattice.
    pub fn add_population(&mut self, spikes: &PopulationSpikes, cells: &[Cell], window: Window) -> Result<()> {
        let counts = statistics::spike_counts(spikes, window);
        let key = format!("plot.lattice.{}", spikes.name);
        let mut faults = Vec::new();
        if counts.len() != cells.len() {
            let (given, needed) = (cells.len(), counts.len());
            faults.push(Fault::new(&*key, format!("{given} cells for {needed} neurons; each neuron needs one")));
        }
        let outside = |c: &&Cell| c.iter().zip(self.shape).any(|(c, n)| *c >= n);
        if let Some(cell) = cells.iter().find(outside) {
            faults.push(Fault::new(key, format!("cell {cell:?} is outside a lattice of shape {:?}", self.shape)));
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        for (cell, count) in cells.iter().zip(counts) {
            self.add(*cell, count);
        }
        Ok(())
    }

    fn index(&self, cell: Cell) -> usize {
        assert!(cell.iter().zip(self.shape).all(|(c, n)| *c < n), "cell {cell:?} outside shape {:?}", self.shape);
        let n = self.shape.map(|n| n as usize);
        let c = cell.map(|c| c as usize);
        ((c[3] * n[2] + c[2]) * n[1] + c[1]) * n[0] + c[0]
    }

    /// Mean rate over the neurons in the cells `(x, y, z, w)` with z in a range, Hz; None without neurons there.
    ///
    /// # Panics
    /// If a cell is outside the lattice.
    pub fn rate_hz(&self, x: u32, y: u32, z: std::ops::Range<u32>, w: u32) -> Option<f64> {
        let (spikes, neurons) = z.fold((0u64, 0u64), |sum, z| {
            let (spikes, neurons) = self.cells[self.index([x, y, z, w])];
            (sum.0 + u64::from(spikes), sum.1 + u64::from(neurons))
        });
        (neurons > 0).then(|| spikes as f64 / neurons as f64 / self.duration_s)
    }
}

/// What a panel of the map shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slices {
    /// A panel for each w, the mean over z.
    #[default]
    MeanOverZ,
    /// A panel for each (z, w): a column for each z, a row for each w.
    EachZ,
}

/// A map of rates with one colour scale for all panels. x goes to the right, y upwards.
#[derive(Debug, Clone)]
pub struct LatticeMap<'a> {
    /// The activity.
    pub activity: &'a LatticeActivity,
    /// What the panels show.
    pub slices: Slices,
    /// Size of the picture.
    pub size: Size,
    /// Heading; empty for none.
    pub title: String,
}

/// What one panel shows.
struct Panel {
    z: std::ops::Range<u32>,
    w: u32,
    /// Its name, and a shorter one for narrow panels.
    names: [String; 2],
}

impl<'a> LatticeMap<'a> {
    /// Most panels of a picture; further ones are left out and the subtitle says so.
    const MOST_PANELS: usize = 400;

    /// A map of the given activity, a panel for each w.
    pub fn new(activity: &'a LatticeActivity) -> Self {
        Self { activity, slices: Slices::default(), size: Size::default(), title: "Lattice activity".into() }
    }

    /// Lays it out.
    pub fn picture(&self) -> Picture {
        let [nx, ny, nz, nw] = self.activity.shape;
        let all = self.panels();
        let (draft, area) = Sheet::new(self.size, &self.title, "one line");
        let room = map_area(&draft, area);
        // Panels smaller than this show nothing.
        let least = 16.0 * draft.unit;
        let fit = ((room.width / least).floor() * (room.height / least).floor()).max(1.0) as usize;
        let panels = &all[..all.len().min(fit).min(Self::MOST_PANELS)];
        let mut subtitle = format!("lattice of {nx} × {ny} × {nz} × {nw} cells (x, y, z, w)");
        if self.slices == Slices::MeanOverZ && nz > 1 {
            subtitle.push_str("; mean over z");
        }
        if panels.len() < all.len() {
            subtitle = format!("{subtitle}; first {} of {} slices", panels.len(), all.len());
        }
        let rates: Vec<Vec<Option<f64>>> = panels.iter().map(|p| self.rates(p)).collect();
        let absent = rates.iter().flatten().any(Option::is_none);
        if absent {
            subtitle.push_str("; grey: no neurons");
        }
        let (mut sheet, area) = Sheet::new(self.size, &self.title, &subtitle);
        let highest = rates.iter().flatten().flatten().copied().fold(0.0, f64::max);
        let map = ColourMap::new();
        let grid = grid(self.activity.shape, self.slices, &sheet, map_area(&sheet, area), panels.len());
        for (i, (panel, rates)) in panels.iter().zip(&rates).enumerate() {
            let area = grid.place(i % grid.columns, i / grid.columns);
            let room = if grid.columns == 1 { f64::INFINITY } else { grid.width + grid.gap * 0.6 };
            self.draw_panel(&mut sheet, area, (grid.top, room), panel, rates, highest, &map);
            // The first and last cell along y beside the leftmost panels, along x below the lowest ones.
            if i % grid.columns == 0 {
                label_y(&mut sheet, area, ny);
            }
            if i + grid.columns >= panels.len() {
                label_x(&mut sheet, area, nx);
            }
        }
        let (first, last) = (grid.place(0, 0), grid.place(grid.columns - 1, grid.rows - 1));
        draw_scale(&mut sheet, last.right() + 18.0 * draft.unit, first.y, last.bottom(), highest, &map);
        sheet.picture
    }

    fn panels(&self) -> Vec<Panel> {
        let [_, _, nz, nw] = self.activity.shape;
        let mut panels = Vec::new();
        for w in 0..nw {
            match self.slices {
                Slices::MeanOverZ => {
                    panels.push(Panel { z: 0..nz, w, names: [format!("w = {w}"), format!("w{w}")] });
                }
                Slices::EachZ => {
                    let names = |z| [format!("z = {z}, w = {w}"), format!("z{z} w{w}")];
                    panels.extend((0..nz).map(|z| Panel { z: z..z + 1, w, names: names(z) }));
                }
            }
        }
        panels
    }

    /// Rates of a panel, row by row from the highest y.
    fn rates(&self, panel: &Panel) -> Vec<Option<f64>> {
        let [nx, ny, ..] = self.activity.shape;
        let row = |y: u32| (0..nx).map(move |x| self.activity.rate_hz(x, y, panel.z.clone(), panel.w));
        (0..ny).rev().flat_map(row).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "one call, from the loop over panels")]
    fn draw_panel(
        &self,
        sheet: &mut Sheet,
        area: Area,
        (top, room): (f64, f64),
        panel: &Panel,
        rates: &[Option<f64>],
        highest: f64,
        map: &ColourMap,
    ) {
        let scaled = |rate: f64| if highest > 0.0 { rate / highest } else { 0.0 };
        let cells: Vec<Colour> = rates.iter().map(|r| r.map_or(ABSENT, |r| map.at(scaled(r)))).collect();
        let hair = sheet.hair();
        sheet.picture.rect(area.x - hair, area.y - hair, area.width + 2.0 * hair, area.height + 2.0 * hair, SPINE);
        let Area { x, y, width, height } = area;
        let columns = self.activity.shape[0] as usize;
        sheet.picture.shapes.push(Shape::Cells { x, y, width, height, columns, cells });
        let size = sheet.small();
        let fits = |name: &&String| font::width(name, size, Weight::SemiBold) <= room;
        if let (true, Some(name)) = (top > size, panel.names.iter().find(fits)) {
            sheet.bold(x, y - size * 0.45, size, Anchor::Start, INK, name);
        }
    }
}

/// The number of columns that makes the panels of (x, y) cells largest; one for each z where that is what columns mean and
/// the panels do not become tiny.
pub(super) fn grid(shape: [u32; 4], slices: Slices, sheet: &Sheet, area: Area, panels: usize) -> Grid {
    let nz = shape[2] as usize;
    if slices == Slices::EachZ && nz <= panels {
        let grid = grid_of(shape, sheet, area, panels, nz);
        if grid.width.max(grid.height) > 24.0 * sheet.unit {
            return grid;
        }
    }
    let mut best = grid_of(shape, sheet, area, panels, 1);
    for columns in 2..=panels {
        let grid = grid_of(shape, sheet, area, panels, columns);
        // The first of equals: fewer columns.
        if grid.scale > best.scale * 1.000_001 {
            best = grid;
        }
    }
    best
}

fn grid_of(shape: [u32; 4], sheet: &Sheet, area: Area, panels: usize, columns: usize) -> Grid {
    let [nx, ny, ..] = shape;
    let size = sheet.small();
    let rows = panels.div_ceil(columns);
    // Names and numbers go when they would take more room than the panels.
    let tight = area.height / rows as f64 <= size * 4.0;
    let (top, gap) = if tight { (size * 0.4, size * 0.4) } else { (size * 1.7, size * 0.9) };
    let digits = font::width(&(ny - 1).to_string(), size, Weight::Regular);
    let area = area.inset(digits + size, 0.0, size * 0.3, size * 1.6);
    let across = (area.width - gap * (columns - 1) as f64) / columns as f64;
    let down = area.height / rows as f64 - top;
    let scale = (across / f64::from(nx)).min(down / f64::from(ny)).max(0.0);
    // Cells of whole pixels are evenly wide; that is worth more than the last few pixels of a panel.
    let side = if scale >= 4.0 { scale.floor() } else { scale };
    let length = |cells: u32| (side * f64::from(cells)).max(2.0);
    let origin = (area.x, area.y);
    Grid { columns, rows, scale, width: length(nx), height: length(ny), gap, top, origin }
}

/// Where the panels lie: all of one size, left-aligned.
pub(super) struct Grid {
    pub columns: usize,
    pub rows: usize,
    /// Pixels a cell could have.
    scale: f64,
    pub width: f64,
    pub height: f64,
    pub gap: f64,
    /// Room above each panel, for its name.
    pub top: f64,
    origin: (f64, f64),
}

impl Grid {
    pub fn place(&self, column: usize, row: usize) -> Area {
        let (x, y) = self.origin;
        Area {
            x: x + (self.width + self.gap) * column as f64,
            y: y + self.top + (self.height + self.top) * row as f64,
            width: self.width,
            height: self.height,
        }
        .snapped()
    }
}

pub(super) fn label_y(sheet: &mut Sheet, area: Area, cells: u32) {
    let size = sheet.small();
    let left = area.x - size * 0.5;
    if area.height < size {
        return;
    }
    sheet.label(left, area.bottom(), Anchor::End, "0");
    if cells > 1 && area.height > size * 2.2 {
        sheet.label(left, area.y + size * 0.75, Anchor::End, &(cells - 1).to_string());
    }
    if area.height > size * 3.6 {
        sheet.text(left, area.y + area.height / 2.0 + size * 0.36, size, Weight::Regular, Anchor::End, INK, "y");
    }
}

pub(super) fn label_x(sheet: &mut Sheet, area: Area, cells: u32) {
    let size = sheet.small();
    let below = area.bottom() + size * 1.2;
    if area.width < size {
        return;
    }
    sheet.label(area.x, below, Anchor::Start, "0");
    let last = (cells - 1).to_string();
    let taken = font::width(&last, size, Weight::Regular) + size;
    if cells > 1 && area.width > taken + size {
        sheet.label(area.right(), below, Anchor::End, &last);
    }
    if area.width > 2.0 * taken + 2.0 * size {
        sheet.text(area.x + area.width / 2.0, below, size, Weight::Regular, Anchor::Middle, INK, "x");
    }
}

/// The area for panels: what the colour scale on the right leaves.
fn map_area(sheet: &Sheet, area: Area) -> Area {
    area.inset(0.0, 0.0, 92.0 * sheet.unit, 0.0)
}

/// The colour scale with round values, Hz.
fn draw_scale(sheet: &mut Sheet, x: f64, top: f64, bottom: f64, highest: f64, map: &ColourMap) {
    let size = sheet.small();
    let top = top.max(0.0) + size * 0.2;
    let height = (bottom - top).min(360.0 * sheet.unit).max(size * 3.0);
    let width = 14.0 * sheet.unit;
    let bar = Area { x, y: top, width, height }.snapped();
    let hair = sheet.hair();
    sheet.picture.rect(bar.x - hair, bar.y - hair, bar.width + 2.0 * hair, bar.height + 2.0 * hair, SPINE);
    let steps = 256;
    let cells: Vec<Colour> = (0..steps).map(|i| map.at(1.0 - f64::from(i) / f64::from(steps - 1))).collect();
    sheet.picture.shapes.push(Shape::Cells {
        x: bar.x,
        y: bar.y,
        width: bar.width,
        height: bar.height,
        columns: 1,
        cells,
    });
    let axis = axes::Axis::new(0.0, if highest > 0.0 { highest } else { 1.0 }, "");
    let frame = axes::Frame::new(bar, &axis, &axis);
    let ticks = axis.ticks(((bar.height / (size * 3.0)) as usize).clamp(2, 8));
    for (value, label) in ticks.values.iter().zip(&ticks.labels) {
        let y = frame.down(*value).round();
        sheet.picture.rect(bar.right() + hair, y - (hair / 2.0).floor(), (size * 0.35).round(), hair, SPINE);
        sheet.label(bar.right() + size * 0.75, y + size * 0.36, Anchor::Start, label);
    }
    let widest = ticks.labels.iter().map(|l| font::width(l, size, Weight::Regular)).fold(0.0, f64::max);
    let label = font::shortened("mean rate (Hz)", bar.height * 1.2, size, Weight::Regular);
    sheet.upwards(bar.right() + size * 0.75 + widest + size * 1.35, bar.y + bar.height / 2.0, size, &label);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_means_over_neurons_and_z() {
        let window = Window::new(0.0, 500.0).unwrap();
        let mut activity = LatticeActivity::new([2, 1, 2, 1], window).unwrap();
        activity.add([0, 0, 0, 0], 3);
        activity.add([0, 0, 0, 0], 1);
        activity.add([0, 0, 1, 0], 5);
        assert_eq!(activity.rate_hz(0, 0, 0..1, 0), Some(4.0));
        assert_eq!(activity.rate_hz(0, 0, 0..2, 0), Some(6.0));
        assert_eq!(activity.rate_hz(1, 0, 0..2, 0), None);
        let map = LatticeMap::new(&activity);
        assert_eq!(map.rates(&map.panels()[0]), [Some(6.0), None]);
    }

    #[test]
    fn populations_are_checked_against_the_lattice() {
        let window = Window::new(0.0, 1000.0).unwrap();
        let mut activity = LatticeActivity::new([2, 2, 1, 1], window).unwrap();
        let spikes = PopulationSpikes { name: "exc".into(), size: 2, times_ms: vec![5.0, 6.0], ids: vec![1, 1] };
        activity.add_population(&spikes, &[[0, 0, 0, 0], [1, 1, 0, 0]], window).unwrap();
        assert_eq!(activity.rate_hz(1, 1, 0..1, 0), Some(2.0));
        assert_eq!(activity.rate_hz(0, 0, 0..1, 0), Some(0.0));
        let message = activity.add_population(&spikes, &[[0, 0, 0, 7]], window).unwrap_err().to_string();
        assert!(message.contains("1 cells for 2 neurons") && message.contains("[0, 0, 0, 7] is outside"), "{message}");
        assert!(LatticeActivity::new([0, 1, 1, 1], window).is_err());
        assert!(LatticeActivity::new([65_536; 4], window).is_err());
    }
}
