//! Population rates over time, a line for each population.

use super::axes::{self, Axis};
use super::canvas::{Picture, Size};
use super::colour;
use super::sheet::{Area, Entry, Sheet};
use super::statistics::{self, Window};
use crate::error::{Error, Result};
use crate::storage::PopulationSpikes;

/// Rates of several populations over time, with a legend above the lines.
#[derive(Debug, Clone)]
pub struct Rates<'a> {
    /// The spikes.
    pub populations: &'a [PopulationSpikes],
    /// The stretch of time shown; [`Window::of`] the spikes if None.
    pub window: Option<Window>,
    /// Width of the bins, ms; if None, a round width that gives at most 150 bins, 1 ms at least.
    pub bin_ms: Option<f64>,
    /// Size of the picture.
    pub size: Size,
    /// Heading; empty for none.
    pub title: String,
}

impl<'a> Rates<'a> {
    /// Most bins a picture may have; beyond that nothing can be seen.
    pub const MOST_BINS: f64 = 1e6;

    /// Rates of the given populations over a window (all spikes if None).
    pub fn new(populations: &'a [PopulationSpikes], window: Option<Window>) -> Self {
        Self { populations, window, bin_ms: None, size: Size::default(), title: "Population rates".into() }
    }

    /// Lays it out.
    ///
    /// # Errors
    /// If `bin_ms` is not positive, or so small that the window has more than a million bins.
    pub fn picture(&self) -> Result<Picture> {
        let window = self.window.unwrap_or_else(|| Window::of(self.populations));
        if let Some(bin) = self.bin_ms {
            let least = window.length() / Self::MOST_BINS;
            if !(bin.is_finite() && bin >= least && bin > 0.0) {
                return Err(Error::invalid(
                    "plot.bin",
                    format!("{bin} ms; allowed are {least} ms (a millionth of the window) and more"),
                ));
            }
        }
        let bin = self.bin_ms.unwrap_or_else(|| fitting_bin(window, 150.0));
        let subtitle = format!("mean over the neurons of each population, bins of {} ms", axes::brief(bin));
        let (mut sheet, area) = Sheet::new(self.size, &self.title, &subtitle);
        let entries: Vec<Entry> = self
            .populations
            .iter()
            .enumerate()
            .map(|(i, p)| Entry {
                name: p.name.clone(),
                colour: colour::category(i),
                dash: Some(sheet.dash(colour::round_of(i))),
            })
            .collect();
        let area = sheet.legend(area, &entries);
        let (bottom, right) = (axes::bottom_room(&sheet), 12.0 * sheet.unit);
        let rates = all_rates(self.populations, window, bin);
        let left = axes::left_room(&sheet, &rate_axis(&rates, "rate (Hz)"), area.height - bottom);
        let plot = area.inset(left, 4.0 * sheet.unit, right, bottom);
        draw_panel(&mut sheet, plot, self.populations, window, Some(bin), "rate (Hz)");
        if self.populations.is_empty() {
            sheet.notice(plot, "no populations");
        } else if rates.iter().flatten().all(|r| *r == 0.0) {
            sheet.notice(plot, "no spikes in this window");
        }
        Ok(sheet.picture)
    }
}

/// A round bin width, ms, that gives at most `most` bins; 1 ms at least, or a tenth of windows shorter than 10 ms.
fn fitting_bin(window: Window, most: f64) -> f64 {
    axes::round_up((window.length() / most).max(1.0f64.min(window.length() / 10.0)))
}

fn all_rates(populations: &[PopulationSpikes], window: Window, bin: f64) -> Vec<Vec<f64>> {
    populations.iter().map(|p| statistics::population_rate_hz(p, window, bin)).collect()
}

fn rate_axis(rates: &[Vec<f64>], label: &str) -> Axis {
    Axis::from_zero(rates.iter().flatten().copied().fold(0.0, f64::max), label)
}

/// Draws the lines and axes into `plot`; labels of the vertical axis go to its left.
pub(super) fn draw_panel(
    sheet: &mut Sheet,
    plot: Area,
    populations: &[PopulationSpikes],
    window: Window,
    bin: Option<f64>,
    label: &str,
) {
    let bin = bin.unwrap_or_else(|| fitting_bin(window, (plot.width / (4.0 * sheet.unit)).clamp(10.0, 150.0)));
    let rates = all_rates(populations, window, bin);
    let (time, factor) = Axis::time(window);
    let vertical = rate_axis(&rates, label);
    let frame = axes::draw(sheet, plot, &time, &vertical, true);
    for (i, rates) in rates.iter().enumerate() {
        // A point in the middle of each bin, and lines to both ends of the window.
        let mut points = Vec::with_capacity(rates.len() + 2);
        for (b, rate) in rates.iter().enumerate() {
            let from = window.start() + b as f64 * bin;
            let to = (from + bin).min(window.stop());
            if b == 0 {
                points.push(frame.at(from * factor, *rate));
            }
            points.push(frame.at((from + to) / 2.0 * factor, *rate));
            if b + 1 == rates.len() {
                points.push(frame.at(to * factor, *rate));
            }
        }
        let (width, dash) = (sheet.stroke(), sheet.dash(colour::round_of(i)));
        sheet.picture.dashed(points, width, colour::category(i), &dash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_round_and_few() {
        let of = |length: f64| fitting_bin(Window::new(0.0, length).unwrap(), 200.0);
        assert_eq!([of(5.0), of(100.0), of(1000.0), of(10_000.0), of(60_000.0)], [0.5, 1.0, 5.0, 50.0, 500.0]);
    }

    #[test]
    fn impossible_bins_are_refused() {
        let mut rates = Rates::new(&[], None);
        for bin in [0.0, -1.0, f64::NAN, 1e-9] {
            rates.bin_ms = Some(bin);
            assert!(rates.picture().unwrap_err().to_string().starts_with("plot.bin: "));
        }
    }
}
