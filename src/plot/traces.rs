//! State variables of chosen neurons over time.

use super::axes::{self, Axis, Frame};
use super::canvas::{Picture, Shape, Size};
use super::colour;
use super::sheet::{Area, Entry, Sheet};
use super::statistics::Window;
use crate::error::{Error, Fault, Result};

/// A state variable of one neuron over time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Whose it is, for example `exc 17`; traces of the same name share colour and legend entry.
    pub name: String,
    /// The variable, for example `v_m`; traces of the same variable and unit share a panel.
    pub variable: String,
    /// Its unit, for example `mV`; empty for a plain number.
    pub unit: String,
    /// Times of the samples, ms, ascending.
    pub times_ms: Vec<f64>,
    /// The samples; values that are not finite leave a gap.
    pub values: Vec<f32>,
    /// Times of the neuron's spikes, ms, to be marked above the trace; may be empty.
    pub spikes_ms: Vec<f64>,
}

/// Traces in panels, one for each variable, above a common time axis.
#[derive(Debug, Clone)]
pub struct Traces<'a> {
    /// The traces.
    pub traces: &'a [Trace],
    /// The stretch of time shown; from the first to the last sample if None.
    pub window: Option<Window>,
    /// Size of the picture.
    pub size: Size,
    /// Heading; empty for none.
    pub title: String,
}

impl<'a> Traces<'a> {
    /// The given traces over a window (all samples if None).
    pub fn new(traces: &'a [Trace], window: Option<Window>) -> Self {
        Self { traces, window, size: Size::default(), title: "State variables".into() }
    }

    /// Lays it out.
    ///
    /// # Errors
    /// If a trace has not as many values as times.
    pub fn picture(&self) -> Result<Picture> {
        let faults: Vec<Fault> = self
            .traces
            .iter()
            .filter(|t| t.times_ms.len() != t.values.len())
            .map(|t| {
                let (values, times) = (t.values.len(), t.times_ms.len());
                Fault::new(
                    format!("plot.traces.{}.{}", t.name, t.variable),
                    format!("{values} values for {times} times; there must be one value for each time"),
                )
            })
            .collect();
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }

        let names = distinct(self.traces.iter().map(|t| t.name.as_str()));
        let panels = distinct(self.traces.iter().map(|t| (t.variable.as_str(), t.unit.as_str())));
        let window = self.window.unwrap_or_else(|| self.span());
        let (time, factor) = Axis::time(window);

        let marks = self.traces.iter().any(|t| t.spikes_ms.iter().any(|s| window.contains(*s)));
        let mut notes = Vec::new();
        if marks {
            notes.push("ticks above the traces: spikes".to_owned());
        }
        let (draft, area) = Sheet::new(self.size, &self.title, "one line");
        let room = area.height * 0.8 - axes::bottom_room(&draft);
        let shown = panels.len().min(((room / (50.0 * draft.unit)) as usize).max(1));
        if shown < panels.len() {
            notes.push(format!("first {shown} of {} variables", panels.len()));
        }
        let (mut sheet, area) = Sheet::new(self.size, &self.title, &notes.join("; "));
        let entries: Vec<Entry> = names
            .iter()
            .enumerate()
            .map(|(i, name)| Entry {
                name: (*name).to_owned(),
                colour: colour::category(i),
                dash: Some(sheet.dash(colour::round_of(i))),
            })
            .collect();
        let area = sheet.legend(area, &entries);

        let gap = 14.0 * sheet.unit;
        let room = (area.height - axes::bottom_room(&sheet)).max(1.0);
        let height = (room - gap * shown.saturating_sub(1) as f64) / shown.max(1) as f64;
        let verticals: Vec<Axis> = panels[..shown].iter().map(|p| self.value_axis(*p, window)).collect();
        let left = verticals.iter().map(|a| axes::left_room(&sheet, a, height)).fold(0.0, f64::max);
        if panels.is_empty() {
            let plot = area.inset(12.0 * sheet.unit, 0.0, 12.0 * sheet.unit, axes::bottom_room(&sheet)).snapped();
            axes::draw_horizontal(&mut sheet, plot, &time, true);
            sheet.notice(plot, "no traces");
        }
        for (p, vertical) in verticals.iter().enumerate() {
            let top = area.y + (height + gap) * p as f64;
            let plot = Area { x: area.x + left, y: top, width: area.width - left - 12.0 * sheet.unit, height };
            let of_panel = |t: &&Trace| (t.variable.as_str(), t.unit.as_str()) == panels[p];
            let traces: Vec<&Trace> = self.traces.iter().filter(of_panel).collect();
            // Spikes are marked in a strip of rows above the values.
            let marked = traces.iter().filter(|t| !t.spikes_ms.is_empty()).count();
            let row = if marked == 0 { 0.0 } else { (height * 0.2 / marked as f64).min(8.0 * sheet.unit) };
            let strip = row * marked as f64;
            let values = plot.inset(0.0, strip, 0.0, 0.0);
            let frame = axes::draw(&mut sheet, values, &time, vertical, p + 1 == shown);
            if !traces.iter().any(|t| samples(t, window).any(|(_, v)| v.is_finite())) {
                sheet.notice(values, "no samples in this window");
            }
            let mut mark = 0;
            for trace in traces {
                let i = names.iter().position(|n| *n == trace.name).unwrap_or(0);
                let (width, dash) = (sheet.unit.max(1.0) * 1.1, sheet.dash(colour::round_of(i)));
                for piece in pieces(trace, window, frame, factor) {
                    sheet.picture.dashed(piece, width, colour::category(i), &dash);
                }
                if !trace.spikes_ms.is_empty() {
                    let y = plot.y + row * (f64::from(mark) + 0.5);
                    let shown = trace.spikes_ms.iter().filter(|s| window.contains(**s));
                    let centres: Vec<(f64, f64)> = shown.map(|s| (frame.across(s * factor), y)).collect();
                    let fill = colour::category(i);
                    sheet.picture.shapes.push(Shape::Dots { centres, width, height: row * 0.75, fill });
                    mark += 1;
                }
            }
        }
        Ok(sheet.picture)
    }

    /// From the first to the last sample.
    fn span(&self) -> Window {
        let times = || self.traces.iter().flat_map(|t| t.times_ms.iter().chain(&t.spikes_ms)).copied();
        let first = times().filter(|t| t.is_finite()).fold(f64::INFINITY, f64::min);
        let last = times().filter(|t| t.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        // Samples at the start of a window belong to it here: a line is drawn from there.
        Window::new(first, last).unwrap_or_else(|_| Window::of(&[]))
    }

    fn value_axis(&self, panel: (&str, &str), window: Window) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for trace in self.traces.iter().filter(|t| (t.variable.as_str(), t.unit.as_str()) == panel) {
            for (_, v) in samples(trace, window).filter(|(_, v)| v.is_finite()) {
                low = low.min(v);
                high = high.max(v);
            }
        }
        let pad = (high - low) * 0.05;
        let label = if panel.1.is_empty() { panel.0.to_owned() } else { format!("{} ({})", panel.0, panel.1) };
        Axis::new(low - pad, high + pad, label)
    }
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// Samples in the window, both ends included.
fn samples(trace: &Trace, window: Window) -> impl Iterator<Item = (f64, f64)> {
    let inside = move |t: &f64| *t >= window.start() && *t <= window.stop();
    trace.times_ms.iter().copied().zip(trace.values.iter().map(|v| f64::from(*v))).filter(move |(t, _)| inside(t))
}

/// The lines of a trace: a new one after each gap. Of samples that share a pixel column the first, the extremes and
/// the last are kept, which look the same as all of them.
fn pieces(trace: &Trace, window: Window, frame: Frame, factor: f64) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = Vec::new();
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut column: Vec<(f64, f64)> = Vec::new();
    for (t, v) in samples(trace, window) {
        let point = frame.at(t * factor, v);
        let same = v.is_finite() && column.first().is_some_and(|c| c.0.floor() == point.0.floor());
        if !same {
            flush(&mut column, &mut points);
        }
        if v.is_finite() {
            column.push(point);
        } else if !points.is_empty() {
            pieces.push(std::mem::take(&mut points));
        }
    }
    flush(&mut column, &mut points);
    pieces.push(points);
    // A sample between two gaps is drawn as a short dash, or it would vanish.
    for piece in &mut pieces {
        if let [(x, y)] = piece[..] {
            *piece = vec![(x - 1.5, y), (x + 1.5, y)];
        }
    }
    pieces
}

/// Moves the points of one pixel column to the line, thinned to four.
fn flush(column: &mut Vec<(f64, f64)>, points: &mut Vec<(f64, f64)>) {
    if column.len() > 4 {
        let by_height = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
        let heights: Vec<(usize, f64)> = column.iter().map(|p| p.1).enumerate().collect();
        let mut keep = vec![0, column.len() - 1];
        keep.extend(heights.iter().min_by(by_height).map(|h| h.0));
        keep.extend(heights.iter().max_by(by_height).map(|h| h.0));
        keep.sort_unstable();
        keep.dedup();
        points.extend(keep.into_iter().map(|i| column[i]));
    } else {
        points.append(column);
    }
    column.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let plot = Area { x: 0.0, y: 0.0, width: 100.0, height: 100.0 };
        Frame::new(plot, &Axis::new(0.0, 100.0, ""), &Axis::new(0.0, 100.0, ""))
    }

    #[test]
    fn gaps_break_lines_and_extremes_survive_thinning() {
        let times: Vec<f64> = (0..=10_000).map(|i| f64::from(i) * 0.01).collect();
        let mut values: Vec<f32> = vec![50.0; times.len()];
        values[1234] = 99.0;
        values[5000] = f32::NAN;
        let trace = Trace { times_ms: times, values, ..Default::default() };
        let pieces = pieces(&trace, Window::new(0.0, 100.0).unwrap(), frame(), 1.0);
        assert_eq!(pieces.len(), 2);
        let points: usize = pieces.iter().map(Vec::len).sum();
        assert!(points < 500, "{points}");
        assert!(pieces[0].iter().any(|p| (p.1 - 1.0).abs() < 1e-4));
    }

    #[test]
    fn traces_of_unequal_lengths_are_refused() {
        let trace = Trace { name: "exc 3".into(), variable: "v_m".into(), values: vec![1.0], ..Default::default() };
        let message = Traces::new(&[trace], None).picture().unwrap_err().to_string();
        assert!(message.starts_with("plot.traces.exc 3.v_m: 1 values for 0 times"), "{message}");
    }
}
