//! Distributions over the neurons of each population: firing rate, and irregularity of firing.

use super::axes::{self, Axis, Frame};
use super::canvas::{Anchor, Picture, Shape, Size};
use super::colour::{self, Colour, GRID, INK, SOFT_INK, SPINE};
use super::font::{self, Weight};
use super::sheet::{Area, Sheet};
use super::statistics::{self, Window};
use crate::storage::PopulationSpikes;

/// Two columns of histograms, a row for each population: rates of its neurons (Hz) and the coefficient of variation
/// of their interspike intervals, means marked. All rows of a column share their axis; heights are to scale within a
/// row only.
#[derive(Debug, Clone)]
pub struct Histograms<'a> {
    /// The spikes.
    pub populations: &'a [PopulationSpikes],
    /// The stretch of time counted; [`Window::of`] the spikes if None.
    pub window: Option<Window>,
    /// Size of the picture.
    pub size: Size,
    /// Heading; empty for none.
    pub title: String,
}

/// Values of one population and how the row says them.
struct Sample {
    values: Vec<f64>,
    mean: Option<f64>,
}

impl Sample {
    fn new(values: Vec<f64>) -> Self {
        let mean = statistics::mean(&values);
        Self { values, mean }
    }
}

impl<'a> Histograms<'a> {
    /// Distributions of the given populations over a window (all spikes if None).
    pub fn new(populations: &'a [PopulationSpikes], window: Option<Window>) -> Self {
        Self { populations, window, size: Size::default(), title: "Firing rate and irregularity".into() }
    }

    /// Lays it out.
    pub fn picture(&self) -> Picture {
        let window = self.window.unwrap_or_else(|| Window::of(self.populations));
        let (draft, area) = Sheet::new(self.size, &self.title, "one line");
        let room = area.height - axes::bottom_room(&draft) - draft.small() * 1.6;
        let shown = self.populations.len().min(((room / (20.0 * draft.unit)) as usize).max(1));
        let mut subtitle = "neurons per bin, each row to its own height; black line: mean".to_owned();
        if shown < self.populations.len() {
            subtitle = format!("{subtitle}; first {shown} of {} populations", self.populations.len());
        }
        let (mut sheet, area) = Sheet::new(self.size, &self.title, &subtitle);
        let populations = &self.populations[..shown];

        let rates: Vec<Sample> =
            populations.iter().map(|p| Sample::new(statistics::neuron_rates_hz(p, window))).collect();
        let cvs: Vec<Sample> = populations
            .iter()
            .map(|p| Sample::new(statistics::isi_cvs(p, window).into_iter().flatten().collect()))
            .collect();

        let names = populations.iter().map(|p| font::width(&p.name, sheet.medium(), Weight::Regular));
        let left = names.fold(0.0, f64::max).min(area.width * 0.2) + 12.0 * sheet.unit;
        let gap = 26.0 * sheet.unit;
        let top = sheet.small() * 0.6;
        let body = area.inset(left, top, 8.0 * sheet.unit, axes::bottom_room(&sheet));
        let width = (body.width - gap) / 2.0;
        let room = values_room(&sheet);
        // Narrow columns have no room for the values of the means.
        let values = width > 2.6 * room;
        let narrowed = if values { width - room } else { width };
        let first = Area { width: narrowed, ..body };
        let second = Area { x: body.x + width + gap, width: narrowed, ..body };
        if values && !populations.is_empty() {
            for column in [first, second] {
                sheet.label(column.x + width, column.y + sheet.small() * 0.2, Anchor::End, "mean");
            }
        }
        if populations.is_empty() {
            sheet.notice(body, "no populations");
        } else {
            self.draw_names(&mut sheet, area.x, first, populations);
        }
        // Rates are whole numbers of spikes over the duration: bins hold equally many of them, or combs appear.
        let quantum = 1.0 / (window.length() * 1e-3);
        draw_column(&mut sheet, first, &rates, Some(quantum), "firing rate (Hz)", "no neurons", values);
        draw_column(
            &mut sheet,
            second,
            &cvs,
            None,
            "CV of interspike intervals",
            "no neuron with three spikes",
            values,
        );
        sheet.picture
    }

    fn draw_names(&self, sheet: &mut Sheet, left: f64, column: Area, populations: &[PopulationSpikes]) {
        let size = sheet.medium();
        for (i, (population, row)) in populations.iter().zip(rows(sheet, column, populations.len())).enumerate() {
            let bar = (3.0 * sheet.unit).round();
            let x = row.x - bar - (3.0 * sheet.unit).round();
            sheet.picture.rect(x, row.y, bar, row.height, colour::category(i));
            let right = x - 4.0 * sheet.unit;
            let name = font::shortened(&population.name, right - left, size, Weight::Regular);
            let middle = row.y + row.height / 2.0 + size * 0.36;
            sheet.text(right, middle, size, Weight::Regular, Anchor::End, INK, &name);
        }
    }
}

fn rows(sheet: &Sheet, column: Area, n: usize) -> Vec<Area> {
    let pitch = column.height / n.max(1) as f64;
    let gap = (pitch * 0.16).min(10.0 * sheet.unit);
    let row = |i: usize| Area { y: column.y + pitch * i as f64 + gap, height: pitch - gap, ..column }.snapped();
    (0..n).map(row).collect()
}

/// Width of bins and number of them for values up to `high`: about `wanted` bins, each a whole number of quanta wide.
fn binning(high: f64, quantum: Option<f64>, wanted: f64) -> (f64, usize) {
    if high <= 0.0 {
        return (quantum.unwrap_or(0.05), 1);
    }
    let width = match quantum {
        Some(q) => (high / q / wanted).ceil().max(1.0) * q,
        None => axes::round_up(high / wanted),
    };
    (width, (high / width + 1e-9).floor() as usize + 1)
}

fn draw_column(
    sheet: &mut Sheet,
    column: Area,
    samples: &[Sample],
    quantum: Option<f64>,
    label: &str,
    none: &str,
    values: bool,
) {
    let high = samples.iter().flat_map(|s| &s.values).copied().fold(0.0, f64::max);
    let (width, bins) = binning(high, quantum, (column.width / (7.0 * sheet.unit)).clamp(12.0, 60.0));
    // Whole spikes per bin: the bin of n spikes lies around n, not to the right of it.
    let low = quantum.map_or(0.0, |q| -q / 2.0);
    let mut axis =
        Axis::new(low.max(-width), (low + width * bins as f64).max(if high > 0.0 { 0.0 } else { 1.0 }), label);
    axis.first_tick = 0.0;
    for (i, (sample, row)) in samples.iter().zip(rows(sheet, column, samples.len())).enumerate() {
        let mut counts = vec![0u32; bins];
        for v in &sample.values {
            counts[(((v - low) / width + 1e-9) as usize).min(bins - 1)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        let hair = sheet.hair();
        sheet.picture.rect(row.x, row.bottom(), row.width, hair, if i + 1 == samples.len() { SPINE } else { GRID });
        if sample.values.is_empty() {
            let size = sheet.small();
            let text = font::shortened(none, row.width, size, Weight::Regular);
            let at = (row.x + row.width / 2.0, row.y + row.height / 2.0 + size * 0.36);
            sheet.text(at.0, at.1, size, Weight::Regular, Anchor::Middle, SOFT_INK, &text);
            continue;
        }
        let frame = Frame::new(row, &axis, &Axis::new(0.0, f64::from(most.max(1)), ""));
        outline(sheet, frame, &counts, low, width, colour::category(i));
        if let Some(mean) = sample.mean {
            mark_mean(sheet, frame, row, mean, values);
        }
    }
    axes::draw_horizontal(sheet, column.snapped(), &axis, true);
}

/// The filled steps of a histogram.
fn outline(sheet: &mut Sheet, frame: Frame, counts: &[u32], low: f64, width: f64, colour: Colour) {
    let mut points = vec![frame.at(low, 0.0)];
    for (b, count) in counts.iter().enumerate() {
        let y = f64::from(*count);
        points.push(frame.at(low + width * b as f64, y));
        points.push(frame.at(low + width * (b + 1) as f64, y));
    }
    points.push(frame.at(low + width * counts.len() as f64, 0.0));
    sheet.picture.shapes.push(Shape::Area { points: points.clone(), fill: colour.tint(0.35) });
    let stroke = sheet.unit.max(1.0);
    sheet.picture.line(points, stroke, colour);
}

/// A line at the mean, and its value to the right of the row if wanted.
fn mark_mean(sheet: &mut Sheet, frame: Frame, row: Area, mean: f64, value: bool) {
    let width = (1.6 * sheet.unit).max(1.0);
    sheet.picture.rect(frame.across(mean) - width / 2.0, row.y, width, row.height, INK);
    if value {
        let middle = row.y + row.height / 2.0 + sheet.small() * 0.36;
        sheet.label(row.right() + values_room(sheet), middle, Anchor::End, &axes::brief(mean));
    }
}

/// Room for the mean values beside a column.
fn values_room(sheet: &Sheet) -> f64 {
    font::width("00.00", sheet.small(), Weight::Regular) + 4.0 * sheet.unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_whole_numbers_of_spikes() {
        // 1 s: rates are 0, 1, 2, ... Hz; up to 100 Hz in about 30 bins means 4 Hz each.
        assert_eq!(binning(100.0, Some(1.0), 30.0), (4.0, 26));
        assert_eq!(binning(3.0, Some(1.0), 30.0), (1.0, 4));
        assert_eq!(binning(0.0, Some(1.0), 30.0), (1.0, 1));
        assert_eq!(binning(1.9, None, 40.0), (0.05, 39));
    }
}
