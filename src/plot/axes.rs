//! Axes: round tick values, labels, spines and grid.

use super::canvas::Anchor;
use super::colour::{GRID, INK, SPINE};
use super::font::{self, Weight};
use super::sheet::{Area, Sheet};
use super::statistics::Window;

/// A linear axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// No ticks below this, for axes that begin a little before their first meaningful value.
    pub first_tick: f64,
    pub low: f64,
    pub high: f64,
    pub label: String,
}

/// Round values with their labels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticks {
    pub values: Vec<f64>,
    pub labels: Vec<String>,
}

impl Axis {
    /// An axis over exactly `low` to `high`; an empty or infinite range is widened to something that can be drawn.
    pub(super) fn new(low: f64, high: f64, label: impl Into<String>) -> Self {
        let (low, high) = if low.is_finite() && high.is_finite() && low <= high { (low, high) } else { (0.0, 1.0) };
        let pad = if high > low { 0.0 } else { (low.abs() * 0.05).max(0.5) };
        Self { first_tick: f64::NEG_INFINITY, low: low - pad, high: high + pad, label: label.into() }
    }

    /// An axis from 0 to a little above `high`; to 1 if all is 0.
    pub(super) fn from_zero(high: f64, label: impl Into<String>) -> Self {
        Self::new(0.0, if high > 0.0 { high * 1.06 } else { 1.0 }, label)
    }

    /// The time axis of a window: ms, or s for long ones. Also the factor from ms to its unit.
    pub(super) fn time(window: Window) -> (Self, f64) {
        let (factor, unit) = if window.length() > 5000.0 { (1e-3, "s") } else { (1.0, "ms") };
        (Self::new(window.start() * factor, window.stop() * factor, format!("time ({unit})")), factor)
    }

    /// Round values along the axis, at most `most` (at least two are allowed).
    pub(super) fn ticks(&self, most: usize) -> Ticks {
        let raw = (self.high - self.low) / most.max(2) as f64;
        let exponent = libm::floor(libm::log10(raw)) as i32;
        let magnitude = power_of_ten(exponent);
        let (factor, exponent) = match raw / magnitude {
            r if r <= 1.0 + 1e-9 => (1.0, exponent),
            r if r <= 2.0 + 1e-9 => (2.0, exponent),
            r if r <= 5.0 + 1e-9 => (5.0, exponent),
            _ => (1.0, exponent + 1),
        };
        let step = factor * power_of_ten(exponent);
        let first = (self.low.max(self.first_tick) / step - 1e-6).ceil();
        let count = ((self.high / step + 1e-6).floor() - first).max(-1.0) + 1.0;
        let values: Vec<f64> = (0..count as usize).map(|i| (first + i as f64) * step).collect();
        let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let labels = values.iter().map(|v| tick_label(*v, step, exponent, largest)).collect();
        Ticks { values, labels }
    }

    /// Ticks that have room side by side on `length` pixels.
    fn ticks_across(&self, length: f64, size: f64) -> Ticks {
        let mut most = ((length / (size * 3.2)) as usize).clamp(2, 12);
        loop {
            let ticks = self.ticks(most);
            let widest = ticks.labels.iter().map(|l| font::width(l, size, Weight::Regular)).fold(0.0, f64::max);
            let distance = match ticks.values[..] {
                [a, b, ..] => (b - a) / (self.high - self.low) * length,
                _ => f64::INFINITY,
            };
            if widest + size * 0.9 <= distance || most == 2 {
                return ticks;
            }
            most -= 1;
        }
    }

    /// Ticks that have room one above the other on `length` pixels.
    fn ticks_along(&self, length: f64, size: f64) -> Ticks {
        self.ticks(((length / (size * 2.4)) as usize).clamp(2, 10))
    }
}

fn power_of_ten(exponent: i32) -> f64 {
    // The nearest number to the decimal fraction, as the compiler would read it.
    format!("1e{exponent}").parse().unwrap_or(1.0)
}

fn tick_label(value: f64, step: f64, exponent: i32, largest: f64) -> String {
    let text = if largest >= 999_999.5 || step < 0.9e-4 {
        let scale = libm::floor(libm::log10(largest.max(f64::MIN_POSITIVE)) + 1e-9) as i32;
        if value == 0.0 {
            return "0".to_owned();
        }
        let decimals = (scale - exponent).max(0) as usize;
        format!("{:.decimals$}×10{}", value / power_of_ten(scale), superscript(scale))
    } else {
        format!("{value:.decimals$}", decimals = (-exponent).max(0) as usize)
    };
    let text = if text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    };
    text.replacen('-', "−", 1)
}

fn superscript(n: i32) -> String {
    let raised = |c| match c {
        '-' => '⁻',
        c => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c as usize - '0' as usize],
    };
    n.to_string().chars().map(raised).collect()
}

/// Where values lie on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub plot: Area,
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    pub(super) fn new(plot: Area, x: &Axis, y: &Axis) -> Self {
        Self { plot, x: (x.low, x.high), y: (y.low, y.high) }
    }

    /// Pixel across of a value.
    pub(super) fn across(&self, v: f64) -> f64 {
        self.plot.x + (v - self.x.0) / (self.x.1 - self.x.0) * self.plot.width
    }

    /// Pixel down of a value.
    pub(super) fn down(&self, v: f64) -> f64 {
        self.plot.bottom() - (v - self.y.0) / (self.y.1 - self.y.0) * self.plot.height
    }

    /// A point.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.across(x), self.down(y))
    }
}

/// Room that tick labels and the label of a vertical axis need on the left of a plot `height` pixels high.
pub(super) fn left_room(sheet: &Sheet, axis: &Axis, height: f64) -> f64 {
    let size = sheet.small();
    let ticks = axis.ticks_along(height, size);
    let widest = ticks.labels.iter().map(|l| font::width(l, size, Weight::Regular)).fold(0.0, f64::max);
    let label = if axis.label.is_empty() { 0.0 } else { sheet.medium() * 1.4 };
    widest + size * 0.8 + label
}

/// Room that tick labels and the label of a horizontal axis need below a plot.
pub(super) fn bottom_room(sheet: &Sheet) -> f64 {
    sheet.small() * 1.75 + sheet.medium() * 1.3
}

/// Draws grid, spines, ticks and labels around a plot; data is drawn on top. Labels of the horizontal axis are left
/// out (for panels with a common axis further down) if `x_labels` is false.
pub(super) fn draw(sheet: &mut Sheet, plot: Area, x: &Axis, y: &Axis, x_labels: bool) -> Frame {
    let frame = draw_vertical(sheet, plot, x, y);
    draw_horizontal(sheet, frame.plot, x, x_labels);
    frame
}

/// Draws the vertical axis with its grid, and the line at the foot of the plot.
pub(super) fn draw_vertical(sheet: &mut Sheet, plot: Area, x: &Axis, y: &Axis) -> Frame {
    let plot = plot.snapped();
    let frame = Frame::new(plot, x, y);
    let (hair, size) = (sheet.hair(), sheet.small());
    let tick = (size * 0.35).round();
    let along = y.ticks_along(plot.height, size);
    for (value, label) in along.values.iter().zip(&along.labels) {
        let at = frame.down(*value).round();
        sheet.picture.rect(plot.x, at - (hair / 2.0).floor(), plot.width, hair, GRID);
        sheet.picture.rect(plot.x - tick, at - (hair / 2.0).floor(), tick, hair, SPINE);
        sheet.label(plot.x - tick - size * 0.3, at + size * 0.36, Anchor::End, label);
    }
    sheet.picture.rect(plot.x - hair, plot.y, hair, plot.height + hair, SPINE);
    sheet.picture.rect(plot.x - hair, plot.bottom(), plot.width + hair, hair, SPINE);
    let medium = sheet.medium();
    if !y.label.is_empty() {
        let text = font::shortened(&y.label, plot.height * 1.1, medium, Weight::Regular);
        let left = plot.x - left_room(sheet, y, plot.height) + medium * 0.85;
        sheet.upwards(left, plot.y + plot.height / 2.0, medium, &text);
    }
    frame
}

/// Draws the horizontal axis of a plot alone.
pub(super) fn draw_horizontal(sheet: &mut Sheet, plot: Area, x: &Axis, x_labels: bool) {
    let frame = Frame::new(plot, x, x);
    let (hair, size, medium) = (sheet.hair(), sheet.small(), sheet.medium());
    let tick = (size * 0.35).round();
    let across = x.ticks_across(plot.width, size);
    for (value, label) in across.values.iter().zip(&across.labels) {
        let at = (frame.across(*value) - hair / 2.0).round();
        sheet.picture.rect(at, plot.bottom(), hair, tick, SPINE);
        if x_labels {
            // The last label stays within the picture.
            let half = font::width(label, size, Weight::Regular) / 2.0;
            let limit = f64::from(sheet.picture.size.width) - half - 2.0;
            sheet.label((at + hair / 2.0).min(limit), plot.bottom() + tick + size * 1.05, Anchor::Middle, label);
        }
    }
    sheet.picture.rect(plot.x - hair, plot.bottom(), plot.width + hair, hair, SPINE);
    if x_labels && !x.label.is_empty() {
        let text = font::shortened(&x.label, plot.width, medium, Weight::Regular);
        let middle = plot.x + plot.width / 2.0;
        let below = plot.bottom() + size * 1.75 + medium;
        sheet.text(middle, below, medium, Weight::Regular, Anchor::Middle, INK, &text);
    }
}

/// Smallest of 1, 2, 5 times a power of ten that is at least `v` (positive).
pub(super) fn round_up(v: f64) -> f64 {
    let exponent = libm::floor(libm::log10(v)) as i32;
    [(1.0, exponent), (2.0, exponent), (5.0, exponent), (1.0, exponent + 1)]
        .into_iter()
        .map(|(f, e)| f * power_of_ten(e))
        .find(|candidate| *candidate >= v * (1.0 - 1e-9))
        .unwrap_or(v)
}

/// A number for a reader: three significant digits, no trailing zeros.
pub(super) fn brief(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return if v == 0.0 { "0".to_owned() } else { v.to_string() };
    }
    let exponent = libm::floor(libm::log10(v.abs())) as i32;
    let decimals = (2 - exponent).clamp(0, 6) as usize;
    let mut text = format!("{v:.decimals$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text.replacen('-', "−", 1)
}

/// A whole number with commas at the thousands: `77,169`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, most: usize) -> Vec<String> {
        Axis::new(low, high, "").ticks(most).labels
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(0.0, 1000.0, 5), ["0", "200", "400", "600", "800", "1000"]);
        assert_eq!(labels(0.0, 1.0, 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-70.3, -49.0, 4), ["−70", "−60", "−50"]);
        assert_eq!(labels(-1.0, 1.0, 4), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(0.0, 2.0e6, 2), ["0", "1×10⁶", "2×10⁶"]);
        assert_eq!(labels(0.0, 4.0e-5, 2), ["0", "2×10⁻⁵", "4×10⁻⁵"]);
        assert_eq!(labels(0.0, 1.5e6, 3), ["0", "0.5×10⁶", "1.0×10⁶", "1.5×10⁶"]);
    }

    #[test]
    fn impossible_ranges_are_widened() {
        for (low, high) in [(5.0, 5.0), (f64::NAN, 1.0), (3.0, -3.0), (0.0, f64::INFINITY), (0.0, 0.0)] {
            let axis = Axis::new(low, high, "");
            assert!(axis.high > axis.low && axis.high.is_finite());
            assert!(!axis.ticks(5).values.is_empty());
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0.0, 3.0, 0.12345, 12.345, 123_456.0, -0.5].map(brief),
            ["0", "3", "0.123", "12.3", "123456", "−0.5"]
        );
        assert_eq!([0, 999, 77_169, 1_000_000].map(grouped), ["0", "999", "77,169", "1,000,000"]);
        assert_eq!([0.3, 1.0, 1.1, 23.0, 60.0].map(round_up), [0.5, 1.0, 2.0, 50.0, 100.0]);
    }
}
