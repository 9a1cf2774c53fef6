//! Spike raster: a dot per spike, populations stacked, with their mean rates beside and their rates over time below.

use super::axes::{self, Axis, Frame};
use super::canvas::{Anchor, Picture, Shape, Size};
use super::colour::{self, INK, SOFT_INK};
use super::font::{self, Weight};
use super::rates;
use super::sheet::{Area, Sheet};
use super::statistics::{self, Window};
use crate::rng::{Key, below, philox};
use crate::storage::PopulationSpikes;

/// A raster of several populations, the first on top.
///
/// Of large networks only as many neurons are drawn as there are distinguishable rows; the subtitle says which share.
/// Rates refer to all neurons. Populations too small to be seen to scale get a band of the height of their name.
#[derive(Debug, Clone)]
pub struct Raster<'a> {
    /// The spikes.
    pub populations: &'a [PopulationSpikes],
    /// The stretch of time shown; [`Window::of`] the spikes if None.
    pub window: Option<Window>,
    /// Size of the picture.
    pub size: Size,
    /// Heading; empty for none.
    pub title: String,
}

/// The rows of one population.
struct Band {
    area: Area,
    /// One of this many neurons is drawn.
    share: u32,
}

impl<'a> Raster<'a> {
    /// A raster of the given spikes over a window (all spikes if None).
    pub fn new(populations: &'a [PopulationSpikes], window: Option<Window>) -> Self {
        Self { populations, window, size: Size::default(), title: "Spikes".into() }
    }

    /// Lays it out.
    pub fn picture(&self) -> Picture {
        let window = self.window.unwrap_or_else(|| Window::of(self.populations));
        let sizes: Vec<u32> = self.populations.iter().map(statistics::neurons).collect();
        let neurons: u64 = sizes.iter().map(|n| u64::from(*n)).sum();
        let spikes: usize =
            self.populations.iter().map(|p| p.times_ms.iter().filter(|t| window.contains(**t)).count()).sum();

        // The subtitle says how many neurons are drawn, which is known only once the room below it is: lay out twice.
        let counted = |n: u64, what| format!("{} {what}{}", axes::grouped(n), if n == 1 { "" } else { "s" });
        let counts = format!("{}, {}", counted(neurons, "neuron"), counted(spikes as u64, "spike"));
        let (draft, area) =
            Sheet::new(self.size, &self.title, &format!("{counts}; shown: 1 of 10000 to 10000 neurons"));
        let shares: Vec<u32> =
            bands(&draft, self.plot_area(&draft, area), &sizes, spikes).iter().map(|b| b.share).collect();
        let subtitle = match (shares.iter().min(), shares.iter().max()) {
            (Some(1), Some(1)) | (None, _) | (_, None) => counts,
            (Some(least), Some(most)) if least == most => format!("{counts}; shown: 1 of {most} neurons"),
            (Some(least), Some(most)) => format!("{counts}; shown: 1 of {least} to {most} neurons"),
        };
        let (mut sheet, area) = Sheet::new(self.size, &self.title, &subtitle);
        let plot = self.plot_area(&sheet, area);
        let bands = bands(&sheet, plot, &sizes, spikes);
        let (time, factor) = Axis::time(window);
        let below = self.below(&sheet, area, plot);

        let depth = Axis::new(0.0, 1.0, "");
        let frame = Frame::new(plot, &time, &depth);
        // There is no vertical axis: names stand in its place.
        axes::draw_horizontal(&mut sheet, plot, &time, below.is_none());
        if self.populations.is_empty() {
            sheet.notice(plot, "no populations");
        } else if spikes == 0 {
            sheet.notice(plot, "no spikes in this window");
        }
        self.draw_bands(&mut sheet, &bands, frame, window, factor);
        self.draw_names(&mut sheet, area, &bands);
        self.draw_means(&mut sheet, area, plot, &bands, window);
        if let Some(below) = below {
            rates::draw_panel(&mut sheet, below, self.populations, window, None, "rate (Hz)");
        }
        sheet.picture
    }

    /// Room for names on the left.
    fn left(&self, sheet: &Sheet, area: Area) -> f64 {
        let widest = self.populations.iter().map(|p| font::width(&p.name, sheet.medium(), Weight::Regular));
        let names = widest.fold(0.0, f64::max).min(area.width * 0.22);
        (names + 12.0 * sheet.unit).max(44.0 * sheet.unit)
    }

    /// Room for mean rates on the right; none in narrow pictures.
    fn right(&self, sheet: &Sheet, area: Area) -> f64 {
        if area.width > 420.0 * sheet.unit { 118.0 * sheet.unit } else { 6.0 * sheet.unit }
    }

    fn plot_area(&self, sheet: &Sheet, area: Area) -> Area {
        let under = if area.height > 260.0 * sheet.unit { area.height * 0.24 } else { 0.0 };
        let bottom = axes::bottom_room(sheet) + under;
        area.inset(self.left(sheet, area), 0.0, self.right(sheet, area), bottom).snapped()
    }

    /// The panel of rates below the raster, where there is room for it.
    fn below(&self, sheet: &Sheet, area: Area, plot: Area) -> Option<Area> {
        let top = plot.bottom() + 14.0 * sheet.unit;
        let height = area.bottom() - axes::bottom_room(sheet) - top;
        (area.height > 260.0 * sheet.unit).then_some(Area { y: top, height, ..plot })
    }

    fn draw_bands(&self, sheet: &mut Sheet, bands: &[Band], frame: Frame, window: Window, factor: f64) {
        let width = (1.5 * sheet.unit).max(1.2);
        for (i, (population, band)) in self.populations.iter().zip(bands).enumerate() {
            let n = statistics::neurons(population);
            if n == 0 {
                continue;
            }
            let rows = n.div_ceil(band.share);
            let pitch = band.area.height / f64::from(rows);
            let height = (pitch * 0.8).clamp((1.7 * sheet.unit).max(1.5), 9.0 * sheet.unit).min(band.area.height);
            // Spikes of one row nearer to each other than this cannot be told apart.
            let resolution = width / 3.0;
            let mut last = vec![f64::NEG_INFINITY; rows as usize];
            let mut centres = Vec::new();
            for (t, id) in population.times_ms.iter().zip(&population.ids) {
                let row = id / band.share;
                if !window.contains(*t) || *id != chosen(row, band.share, n) {
                    continue;
                }
                let x = frame.across(t * factor);
                let seen = &mut last[row as usize];
                if x - *seen >= resolution {
                    *seen = x;
                    let y = band.area.y + (f64::from(row) + 0.5) * pitch;
                    let half = height / 2.0;
                    centres.push((x, y.min(band.area.bottom() - half).max(band.area.y + half)));
                }
            }
            let fill = colour::category(i);
            if !centres.is_empty() {
                sheet.picture.shapes.push(Shape::Dots { centres, width, height, fill });
            }
        }
    }

    fn draw_names(&self, sheet: &mut Sheet, area: Area, bands: &[Band]) {
        let size = sheet.medium();
        let bar = (3.0 * sheet.unit).round();
        let mut free = f64::NEG_INFINITY;
        for (i, (population, band)) in self.populations.iter().zip(bands).enumerate() {
            let x = band.area.x - bar - (3.0 * sheet.unit).round();
            sheet.picture.rect(x, band.area.y, bar, band.area.height, colour::category(i));
            let middle = band.area.y + band.area.height / 2.0;
            // With more populations than lines of text, only as many names are written as have room.
            if middle - size * 0.55 < free {
                continue;
            }
            free = middle + size * 0.55;
            let right = x - 4.0 * sheet.unit;
            let name = font::shortened(&population.name, right - area.x, size, Weight::Regular);
            sheet.text(right, middle + size * 0.36, size, Weight::Regular, Anchor::End, INK, &name);
        }
    }

    /// Bars of the mean rates on the right.
    fn draw_means(&self, sheet: &mut Sheet, area: Area, plot: Area, bands: &[Band], window: Window) {
        let room = area.right() - plot.right();
        if room < 60.0 * sheet.unit || self.populations.is_empty() {
            return;
        }
        let means: Vec<f64> = self.populations.iter().map(|p| statistics::mean_rate_hz(p, window)).collect();
        let largest = means.iter().copied().fold(0.0, f64::max);
        let size = sheet.small();
        let left = plot.right() + 12.0 * sheet.unit;
        let longest = room - 12.0 * sheet.unit - font::width("00.0 Hz", size, Weight::Regular) - 6.0 * sheet.unit;
        // Of bands lower than a line of text only the bars are drawn: values would cover the bars around them.
        let values = bands.iter().all(|b| b.area.height >= size);
        for (i, (mean, band)) in means.iter().zip(bands).enumerate() {
            let length = if largest > 0.0 { mean / largest * longest } else { 0.0 };
            let thickness = (band.area.height * 0.6).min(14.0 * sheet.unit);
            let middle = band.area.y + band.area.height / 2.0;
            sheet.picture.rect(left, middle - thickness / 2.0, length, thickness, colour::category(i));
            if !values {
                continue;
            }
            let text = format!("{} Hz", axes::brief(*mean));
            let x = left + length + 5.0 * sheet.unit;
            sheet.text(x, middle + size * 0.36, size, Weight::Regular, Anchor::Start, SOFT_INK, &text);
        }
    }
}

/// The neuron drawn in a row: any of the `share` neurons of the row, by a draw that depends on the row alone. Taking
/// every n-th would show a single column of a population laid out on a grid.
fn chosen(row: u32, share: u32, neurons: u32) -> u32 {
    const SAMPLE: Key = Key([0x5A4D_9C31, 0x0B7E_1F02]);
    let first = row * share;
    let candidates = share.min(neurons - first);
    if candidates == 1 { first } else { first + below(philox::<7>([row, 0, 0, 0], SAMPLE)[0], candidates) }
}

/// Divides the height of the plot among the populations in proportion to their sizes, but gives each the height of a
/// line of text where that is possible; picks the share of neurons to draw.
fn bands(sheet: &Sheet, plot: Area, sizes: &[u32], spikes: usize) -> Vec<Band> {
    let gap = if sizes.len() > 40 { 0.0 } else { (3.0 * sheet.unit).round() };
    let height = (plot.height - gap * sizes.len().saturating_sub(1) as f64).max(1.0);
    let least = (sheet.medium() * 1.15).min(height / sizes.len().max(1) as f64);
    let heights = proportional(sizes, height, least);

    // Rows closer than this run into each other; so do spikes that fill more of the plot than this.
    let pitch = 0.5 * sheet.unit;
    let most_spikes = plot.width * plot.height / (sheet.unit * sheet.unit) * 0.12;
    let by_spikes = (spikes as f64 / most_spikes).ceil().max(1.0) as u32;
    let neurons: u64 = sizes.iter().map(|n| u64::from(*n)).sum();
    let by_rows = ((neurons as f64 * pitch / height).ceil() as u32).max(1);
    let common = by_rows.max(by_spikes);

    let mut y = plot.y;
    sizes
        .iter()
        .zip(heights)
        .map(|(n, height)| {
            // Small populations have a taller band than their size asks for, hence room for more of their neurons.
            let room = (height / pitch).floor().max(1.0) as u32;
            let share = common.min(n.div_ceil(room).max(if *n > room { by_spikes.min(*n) } else { 1 })).max(1);
            let area = Area { y, height, ..plot };
            y += height + gap;
            Band { area, share }
        })
        .collect()
}

/// Shares of `total` in proportion to `sizes`, none below `least`.
fn proportional(sizes: &[u32], total: f64, least: f64) -> Vec<f64> {
    let mut fixed = vec![false; sizes.len()];
    loop {
        let free: f64 = sizes.iter().zip(&fixed).filter(|(_, f)| !**f).map(|(n, _)| f64::from(*n)).sum();
        let room = total - least * fixed.iter().filter(|f| **f).count() as f64;
        let share = |n: u32| if free > 0.0 { f64::from(n) / free * room } else { least };
        let small: Vec<usize> = (0..sizes.len()).filter(|i| !fixed[*i] && share(sizes[*i]) < least).collect();
        if small.is_empty() {
            return sizes.iter().zip(&fixed).map(|(n, f)| if *f { least } else { share(*n) }).collect();
        }
        for i in small {
            fixed[i] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_follow_sizes_but_keep_a_minimum() {
        assert_eq!(proportional(&[300, 100], 400.0, 10.0), [300.0, 100.0]);
        let heights = proportional(&[10_000, 1, 0], 120.0, 10.0);
        assert_eq!(heights, [100.0, 10.0, 10.0]);
        assert_eq!(proportional(&[0, 0], 120.0, 10.0), [10.0, 10.0]);
        assert!(proportional(&[], 120.0, 10.0).is_empty());
    }

    #[test]
    fn one_neuron_of_each_row_is_drawn() {
        for row in 0..8 {
            let id = chosen(row, 13, 100);
            assert!(id / 13 == row && id < 100 && id == chosen(row, 13, 100));
        }
        assert_eq!(chosen(5, 1, 6), 5);
        // Not the same place in every row, as taking every 13th would give.
        assert!((0..7).map(|r| chosen(r, 13, 100) % 13).collect::<std::collections::BTreeSet<_>>().len() > 2);
    }
}
