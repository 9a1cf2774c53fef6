//! Times of a benchmark: every repeat of every item over a reference.

use super::axes::{self, Axis};
use super::canvas::{Anchor, Picture, Size};
use super::colour::{self, SOFT_INK, SPINE};
use super::font::{self, Weight};
use super::sheet::Sheet;
use crate::error::{Error, Fault, Result};

/// One item of a benchmark.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimingRow {
    /// Its name.
    pub name: String,
    /// Seconds of every repeat, positive.
    pub seconds: Vec<f64>,
    /// Seconds that stand for 1, positive.
    pub reference: f64,
    /// Relative distance from the reference that is noise; 0 for no band.
    pub bound: f64,
}

/// One line an item: its repeats as squares over their reference, with the reference and the band of noise behind.
#[derive(Debug, Clone)]
pub struct Timings<'a> {
    /// The items, from top to bottom; at most 500 are drawn.
    pub rows: &'a [TimingRow],
    /// Heading.
    pub title: String,
    /// A line below the heading.
    pub subtitle: String,
}

/// Items drawn at most: more would pass the largest picture.
const MOST: usize = 500;
/// Ratios beyond these are drawn at the edge.
const EDGES: (f64, f64) = (0.5, 2.0);

impl Timings<'_> {
    /// Lays it out.
    ///
    /// # Errors
    /// If a time is not positive and finite.
    pub fn picture(&self) -> Result<Picture> {
        let positive = |s: &f64| s.is_finite() && *s > 0.0;
        let bad = self.rows.iter().filter(|row| !(positive(&row.reference) && row.seconds.iter().all(positive)));
        let faults: Vec<Fault> = bad
            .map(|row| Fault::new(format!("plot.timings.{}", row.name), "times must be positive and finite"))
            .collect();
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let rows = &self.rows[..self.rows.len().min(MOST)];
        let height = (120 + 24 * rows.len() as u32).clamp(240, Size::MOST);
        let (mut sheet, area) = Sheet::new(Size { width: 1000, height }, &self.title, &self.subtitle);
        if rows.is_empty() {
            sheet.notice(area, "no measurements");
            return Ok(sheet.picture);
        }
        let size = sheet.small();
        let widest = rows.iter().map(|row| font::width(&row.name, size, Weight::Regular)).fold(0.0, f64::max);
        let left = widest.min(area.width * 0.45) + size;
        let times: Vec<String> = rows.iter().map(|row| axes::brief(row.reference * 1e3) + " ms").collect();
        let right = times.iter().map(|text| font::width(text, size, Weight::Regular)).fold(0.0, f64::max) + size * 1.5;
        let plot = area.inset(left, 0.0, right, axes::bottom_room(&sheet)).snapped();

        let ratio = |row: &TimingRow, s: f64| (s / row.reference).clamp(EDGES.0, EDGES.1);
        let ratios = || rows.iter().flat_map(|row| row.seconds.iter().map(move |s| ratio(row, *s)));
        let band = |row: &TimingRow| (1.0 / (1.0 + row.bound), 1.0 + row.bound);
        let low = ratios().chain(rows.iter().map(|row| band(row).0)).fold(0.97, f64::min).max(EDGES.0);
        let high = ratios().chain(rows.iter().map(|row| band(row).1)).fold(1.03, f64::max).min(EDGES.1);
        let pad = (high - low) * 0.03;
        let across = Axis::new(low - pad, high + pad, "time over reference");
        let down = Axis::new(0.0, rows.len() as f64, "");
        axes::draw_horizontal(&mut sheet, plot, &across, true);
        let frame = axes::Frame::new(plot, &across, &down);

        let line = plot.height / rows.len() as f64;
        let side = (line * 0.35).clamp(3.0, 8.0 * sheet.unit);
        for (i, (row, time)) in rows.iter().zip(&times).enumerate() {
            let middle = plot.y + line * (i as f64 + 0.5);
            if row.bound > 0.0 {
                let (from, to) = band(row);
                let (from, to) = (frame.across(from.max(across.low)), frame.across(to.min(across.high)));
                sheet.picture.rect(from, middle - line * 0.4, to - from, line * 0.8, SPINE.tint(0.3));
            }
            let name = font::shortened(&row.name, left - size, size, Weight::Regular);
            let base = middle + size * 0.35;
            sheet.text(plot.x - size * 0.6, base, size, Weight::Regular, Anchor::End, SOFT_INK, &name);
            sheet.text(plot.right() + size * 0.6, base, size, Weight::Regular, Anchor::Start, SOFT_INK, time);
            for seconds in &row.seconds {
                let x = frame.across(ratio(row, *seconds));
                sheet.picture.rect(x - side / 2.0, middle - side / 2.0, side, side, colour::category(0).tint(0.7));
            }
        }
        let (x, stroke) = (frame.across(1.0), sheet.stroke());
        sheet.picture.line(vec![(x, plot.y), (x, plot.bottom())], stroke, SPINE);
        Ok(sheet.picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_drawn_and_nonsense_is_refused() {
        let row = |name: &str, seconds: &[f64]| TimingRow {
            name: name.into(),
            seconds: seconds.to_vec(),
            reference: 1.0,
            bound: 0.1,
        };
        let draw = |rows: &[TimingRow]| {
            Timings { rows, title: "t".into(), subtitle: String::new() }.picture().map(|p| p.to_svg())
        };
        assert!(draw(&[row("a", &[1.0, 1.1]), row("b", &[0.1, 9.0])]).unwrap().contains("<svg"));
        assert!(draw(&[]).is_ok());
        let error = draw(&[row("a", &[0.0])]).unwrap_err().to_string();
        assert!(error.contains("plot.timings.a"), "{error}");
    }
}
