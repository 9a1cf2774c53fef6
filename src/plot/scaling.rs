//! Scaling with the number of threads: speed-up, efficiency, and where the time goes.

use super::axes::{self, Axis, Frame};
use super::canvas::{Anchor, Picture, Size};
use super::colour::{self, SOFT_INK, SPINE};
use super::font::{self, Weight};
use super::sheet::{Area, Entry, Sheet};
use crate::error::{Error, Fault, Result};

/// A measurement at one number of threads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScalingPoint {
    /// Number of threads, at least 1.
    pub threads: usize,
    /// Wall-clock time of the run, s, positive.
    pub seconds: f64,
    /// Seconds spent in each phase of a step, by name; may be empty.
    pub phases: Vec<(String, f64)>,
}

/// Strong scaling: the same network on more and more threads. The point with the fewest threads is the reference.
#[derive(Debug, Clone)]
pub struct Scaling<'a> {
    /// The measurements, in any order.
    pub points: &'a [ScalingPoint],
    /// Size of the picture.
    pub size: Size,
    /// Heading; empty for none.
    pub title: String,
}

impl<'a> Scaling<'a> {
    /// A picture of the given measurements.
    pub fn new(points: &'a [ScalingPoint]) -> Self {
        Self { points, size: Size { width: 1200, height: 500 }, title: "Strong scaling".into() }
    }

    /// Lays it out.
    ///
    /// # Errors
    /// If a number of threads is 0 or a time is not positive (phases: negative).
    pub fn picture(&self) -> Result<Picture> {
        self.check()?;
        let mut points: Vec<&ScalingPoint> = self.points.iter().collect();
        points.sort_by_key(|p| p.threads);
        let subtitle = points.first().map_or(String::new(), |p| {
            let s = if p.threads == 1 { "" } else { "s" };
            format!("reference: {} thread{s}, {} s", p.threads, axes::brief(p.seconds))
        });
        let (mut sheet, area) = Sheet::new(self.size, &self.title, &subtitle);
        let mut phases: Vec<&str> = Vec::new();
        for (name, _) in points.iter().flat_map(|p| &p.phases) {
            if !phases.contains(&name.as_str()) {
                phases.push(name);
            }
        }
        let gap = 20.0 * sheet.unit;
        // Side by side in wide pictures, one above the other in tall ones; small ones have room for fewer.
        let beside = area.width > area.height * 1.1;
        let fit = if beside { area.width / (150.0 * sheet.unit) } else { area.height / (120.0 * sheet.unit) };
        let panels = if phases.is_empty() { 2 } else { 3 }.min(fit as usize).max(1);
        let slot = |i: usize| {
            let share = |length: f64| (length - gap * (panels - 1) as f64) / panels as f64;
            if beside {
                let width = share(area.width);
                Area { x: area.x + (width + gap) * i as f64, width, ..area }
            } else {
                let height = share(area.height);
                Area { y: area.y + (height + gap) * i as f64, height, ..area }
            }
        };
        if points.is_empty() {
            sheet.notice(area, "no measurements");
            return Ok(sheet.picture);
        }
        draw_curve(&mut sheet, slot(0), &points, Curve::SpeedUp);
        if panels > 1 {
            draw_curve(&mut sheet, slot(1), &points, Curve::Efficiency);
        }
        if panels > 2 {
            draw_phases(&mut sheet, slot(2), &points, &phases);
        }
        Ok(sheet.picture)
    }

    fn check(&self) -> Result<()> {
        let mut faults = Vec::new();
        for (i, point) in self.points.iter().enumerate() {
            let key = |field: &str| format!("plot.scaling.{i}.{field}");
            if point.threads == 0 {
                faults.push(Fault::new(key("threads"), "0 threads; there must be at least 1"));
            }
            if !(point.seconds.is_finite() && point.seconds > 0.0) {
                let message = format!("{} s; a time must be positive and finite", point.seconds);
                faults.push(Fault::new(key("seconds"), message));
            }
            for (name, seconds) in point.phases.iter().filter(|(_, s)| !(s.is_finite() && *s >= 0.0)) {
                faults.push(Fault::new(key(name), format!("{seconds} s; a time must be finite and not negative")));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    SpeedUp,
    Efficiency,
}

impl Curve {
    fn measured(self, reference: &ScalingPoint, point: &ScalingPoint) -> f64 {
        let speed_up = reference.seconds / point.seconds;
        match self {
            Curve::SpeedUp => speed_up,
            Curve::Efficiency => speed_up / (point.threads as f64 / reference.threads as f64),
        }
    }

    fn ideal(self, reference: &ScalingPoint, threads: usize) -> f64 {
        match self {
            Curve::SpeedUp => threads as f64 / reference.threads as f64,
            Curve::Efficiency => 1.0,
        }
    }
}

fn draw_curve(sheet: &mut Sheet, area: Area, points: &[&ScalingPoint], curve: Curve) {
    let reference = points[0];
    let last = points[points.len() - 1].threads;
    let entries = [
        Entry { name: "measured".into(), colour: colour::category(0), dash: Some(Vec::new()) },
        Entry { name: "ideal".into(), colour: SPINE, dash: Some(sheet.dash(1)) },
    ];
    let area = sheet.legend(area, &entries);
    let values: Vec<f64> = points.iter().map(|p| curve.measured(reference, p)).collect();
    let highest = values.iter().copied().fold(curve.ideal(reference, last), f64::max);
    let label = if curve == Curve::SpeedUp { "speed-up" } else { "efficiency" };
    let vertical = Axis::from_zero(highest, label);
    let horizontal = Axis::new(0.0, last as f64 * 1.04, "threads");
    let bottom = axes::bottom_room(sheet);
    let left = axes::left_room(sheet, &vertical, area.height - bottom);
    let frame = axes::draw(sheet, area.inset(left, 0.0, 4.0 * sheet.unit, bottom), &horizontal, &vertical, true);

    let (stroke, dash) = (sheet.stroke(), sheet.dash(1));
    let from = reference.threads;
    let ideal = [from, last].map(|t| frame.at(t as f64, curve.ideal(reference, t)));
    sheet.picture.dashed(ideal.to_vec(), stroke, SPINE, &dash);
    let line: Vec<(f64, f64)> = points.iter().zip(&values).map(|(p, v)| frame.at(p.threads as f64, *v)).collect();
    sheet.picture.line(line.clone(), stroke * 1.2, colour::category(0));
    let side = 7.0 * sheet.unit;
    for (x, y) in line {
        sheet.picture.rect(x - side / 2.0, y - side / 2.0, side, side, colour::category(0));
    }
}

/// A bar for each number of threads, phases stacked; the rest of the wall-clock time on top in grey.
fn draw_phases(sheet: &mut Sheet, area: Area, points: &[&ScalingPoint], phases: &[&str]) {
    let totals: Vec<f64> = points.iter().map(|p| p.phases.iter().map(|(_, s)| s).sum()).collect();
    let highest = points.iter().zip(&totals).map(|(p, t)| p.seconds.max(*t)).fold(0.0, f64::max);
    let mut entries: Vec<Entry> = phases
        .iter()
        .enumerate()
        .map(|(i, name)| Entry { name: (*name).to_owned(), colour: phase_colour(i), dash: None })
        .collect();
    // Clocks of phases and of the whole differ by less than this without anything being left over.
    let rest = |p: &ScalingPoint, total: f64| if p.seconds > total * 1.005 { p.seconds - total } else { 0.0 };
    if points.iter().zip(&totals).any(|(p, t)| rest(p, *t) > 0.0) {
        entries.push(Entry { name: "other".into(), colour: SPINE.tint(0.5), dash: None });
    }
    let area = sheet.legend(area, &entries);
    let vertical = Axis::from_zero(highest, "time (s)");
    let bottom = axes::bottom_room(sheet);
    let left = axes::left_room(sheet, &vertical, area.height - bottom);
    let plot = area.inset(left, 0.0, 4.0 * sheet.unit, bottom).snapped();
    let blank = Axis::new(0.0, points.len() as f64, "");
    let frame = axes::draw_vertical(sheet, plot, &blank, &vertical);
    let (size, medium) = (sheet.small(), sheet.medium());
    let mut free = f64::NEG_INFINITY;
    for (i, (point, total)) in points.iter().zip(&totals).enumerate() {
        let middle = frame.across(i as f64 + 0.5);
        let width = (plot.width / points.len() as f64 * 0.7).min(60.0 * sheet.unit);
        let mut low = 0.0;
        for (p, name) in phases.iter().enumerate() {
            let seconds: f64 = point.phases.iter().filter(|(n, _)| n == name).map(|(_, s)| s).sum();
            bar(sheet, frame, middle - width / 2.0, width, low, low + seconds, phase_colour(p));
            low += seconds;
        }
        bar(sheet, frame, middle - width / 2.0, width, low, low + rest(point, *total), SPINE.tint(0.5));
        let label = point.threads.to_string();
        let half = font::width(&label, size, Weight::Regular) / 2.0;
        if middle - half > free {
            free = middle + half + size * 0.4;
            let below = plot.bottom() + (size * 0.35).round() + size * 1.05;
            sheet.text(middle, below, size, Weight::Regular, Anchor::Middle, SOFT_INK, &label);
        }
    }
    let below = plot.bottom() + size * 1.75 + medium;
    sheet.text(plot.x + plot.width / 2.0, below, medium, Weight::Regular, Anchor::Middle, colour::INK, "threads");
}

/// Colour of a phase; a lighter shade after each round through the palette.
fn phase_colour(index: usize) -> colour::Colour {
    colour::category(index).tint(1.0 / (1.0 + 0.6 * colour::round_of(index) as f64))
}

fn bar(sheet: &mut Sheet, frame: Frame, x: f64, width: f64, low: f64, high: f64, fill: colour::Colour) {
    if high > low {
        sheet.picture.rect(x, frame.down(high), width, frame.down(low) - frame.down(high), fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_up_and_efficiency_refer_to_the_fewest_threads() {
        let point = |threads, seconds| ScalingPoint { threads, seconds, phases: Vec::new() };
        let (two, eight) = (point(2, 12.0), point(8, 4.0));
        assert_eq!(Curve::SpeedUp.measured(&two, &eight), 3.0);
        assert_eq!(Curve::Efficiency.measured(&two, &eight), 0.75);
        assert_eq!(Curve::SpeedUp.ideal(&two, 8), 4.0);
    }

    #[test]
    fn impossible_measurements_are_all_listed() {
        let bad = ScalingPoint { threads: 0, seconds: f64::NAN, phases: vec![("deliver".into(), -1.0)] };
        let message = Scaling::new(&[bad]).picture().unwrap_err().to_string();
        assert_eq!(message.lines().count(), 3, "{message}");
        assert!(message.contains("plot.scaling.0.threads") && message.contains("-1 s"));
    }
}
