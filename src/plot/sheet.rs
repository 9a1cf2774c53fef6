//! The blank sheet a picture is laid out on: sizes of letters and lines, heading, legend, text.

use super::canvas::{Anchor, Picture, Shape, Size, Text};
use super::colour::{Colour, INK, SOFT_INK};
use super::font::{self, Weight};

/// A rectangle to lay something out in, pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Area {
    pub(super) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// The area less a margin on each side; never of negative size.
    pub(super) fn inset(&self, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self {
            x: self.x + left,
            y: self.y + top,
            width: (self.width - left - right).max(1.0),
            height: (self.height - top - bottom).max(1.0),
        }
    }

    /// Moved to whole pixels, so that its edges are sharp.
    pub(super) fn snapped(&self) -> Self {
        let (x, y) = (self.x.round(), self.y.round());
        Self { x, y, width: (self.right().round() - x).max(1.0), height: (self.bottom().round() - y).max(1.0) }
    }
}

/// A legend entry: name, colour, dash of its line (empty for a box).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub name: String,
    pub colour: Colour,
    pub dash: Option<Vec<f64>>,
}

/// A picture in the making.
pub(super) struct Sheet {
    pub picture: Picture,
    /// What lengths are multiplied with so that the picture looks alike at every size; letters stop shrinking at 0.85.
    pub unit: f64,
}

impl Sheet {
    /// A sheet with its heading; also the area left below it.
    pub(super) fn new(size: Size, title: &str, subtitle: &str) -> (Self, Area) {
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        let unit = ((width * height).sqrt() / 816.0).max(0.85);
        let mut sheet = Self { picture: Picture { size, title: title.to_owned(), shapes: Vec::new() }, unit };
        let margin = 14.0 * unit;
        let mut y = margin;
        let room = width - 2.0 * margin;
        if !title.is_empty() {
            let text = font::shortened(title, room, sheet.heading(), Weight::SemiBold);
            y += sheet.heading() * 0.85;
            sheet.bold(margin, y, sheet.heading(), Anchor::Start, INK, &text);
            y += sheet.heading() * 0.45;
        }
        // Small pictures have no room for more than the title.
        if !subtitle.is_empty() && height >= 180.0 {
            for line in wrapped(subtitle, room, sheet.small(), 3) {
                y += sheet.small() * 1.0;
                sheet.label(margin, y, Anchor::Start, &line);
                y += sheet.small() * 0.4;
            }
        }
        y += if title.is_empty() && subtitle.is_empty() { 0.0 } else { 8.0 * unit };
        let area = Area { x: margin, y, width: room.max(1.0), height: (height - y - margin).max(1.0) };
        (sheet, area)
    }

    /// Size of tick labels and subtitles.
    pub(super) fn small(&self) -> f64 {
        11.0 * self.unit
    }

    /// Size of axis labels and names.
    pub(super) fn medium(&self) -> f64 {
        12.0 * self.unit
    }

    fn heading(&self) -> f64 {
        15.0 * self.unit
    }

    /// Width of spines, ticks and grid lines, whole pixels.
    pub(super) fn hair(&self) -> f64 {
        self.unit.round().max(1.0)
    }

    /// Width of lines that show data.
    pub(super) fn stroke(&self) -> f64 {
        1.4 * self.unit
    }

    /// Dash of lines of the `round`-th time through the palette.
    pub(super) fn dash(&self, round: usize) -> Vec<f64> {
        let pattern: &[f64] = match round % 4 {
            0 => &[],
            1 => &[6.0, 3.0],
            2 => &[2.0, 2.5],
            _ => &[8.0, 2.5, 2.0, 2.5],
        };
        pattern.iter().map(|d| d * self.unit).collect()
    }

    /// Writes a small label, in the colour of axes.
    pub(super) fn label(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let size = self.small();
        self.text(x, y, size, Weight::Regular, anchor, SOFT_INK, text);
    }

    pub(super) fn bold(&mut self, x: f64, y: f64, size: f64, anchor: Anchor, colour: Colour, text: &str) {
        self.text(x, y, size, Weight::SemiBold, anchor, colour, text);
    }

    #[expect(clippy::too_many_arguments, reason = "a place and a look; a struct would repeat `Text`")]
    pub(super) fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        weight: Weight,
        anchor: Anchor,
        colour: Colour,
        text: &str,
    ) {
        let text = text.to_owned();
        self.picture.shapes.push(Shape::Text(Text { x, y, size, weight, colour, anchor, upwards: false, text }));
    }

    /// Writes a text that reads upwards, centred on `y`.
    pub(super) fn upwards(&mut self, x: f64, y: f64, size: f64, text: &str) {
        self.picture.shapes.push(Shape::Text(Text {
            x,
            y,
            size,
            weight: Weight::Regular,
            colour: INK,
            anchor: Anchor::Middle,
            upwards: true,
            text: text.to_owned(),
        }));
    }

    /// Says in the middle of an area why it is empty.
    pub(super) fn notice(&mut self, area: Area, text: &str) {
        let text = font::shortened(text, area.width * 0.96, self.medium(), Weight::Regular);
        let (x, y) = (area.x + area.width / 2.0, area.y + area.height / 2.0);
        self.text(x, y, self.medium(), Weight::Regular, Anchor::Middle, SOFT_INK, &text);
    }

    /// Writes a legend in rows at the top of an area and returns the rest: it can never cover data. What does not fit
    /// into a third of the height is counted instead; tiny pictures have no legend.
    pub(super) fn legend(&mut self, area: Area, entries: &[Entry]) -> Area {
        if entries.is_empty() || area.height < 6.0 * self.small() || area.width < 130.0 * self.unit {
            return area;
        }
        let size = self.small();
        let (swatch, gap, spacing, row) = (18.0 * self.unit, 6.0 * self.unit, 18.0 * self.unit, size * 1.55);
        let rows = ((area.height / 3.0 / row).floor() as usize).max(1);
        let room = (area.width - swatch - gap).min(220.0 * self.unit);
        let more = |n: usize| format!("and {n} more");
        let reserve = font::width(&more(entries.len()), size, Weight::Regular) + spacing;
        let (mut x, mut line) = (area.x, 0);
        for (i, entry) in entries.iter().enumerate() {
            let name = font::shortened(&entry.name, room, size, Weight::Regular);
            let width = swatch + gap + font::width(&name, size, Weight::Regular);
            let keep = if line + 1 == rows && i + 1 < entries.len() { reserve } else { 0.0 };
            if x > area.x && x + width + keep > area.right() {
                if line + 1 == rows {
                    self.label(x, area.y + row * line as f64 + size, Anchor::Start, &more(entries.len() - i));
                    break;
                }
                x = area.x;
                line += 1;
            }
            let y = area.y + row * line as f64 + size;
            let middle = y - size * 0.36;
            match &entry.dash {
                Some(dash) => {
                    let width = self.stroke() * 1.5;
                    self.picture.dashed(vec![(x, middle), (x + swatch, middle)], width, entry.colour, dash);
                }
                None => {
                    let side = size * 0.9;
                    self.picture.rect(x + swatch - side, middle - side / 2.0, side, side, entry.colour);
                }
            }
            self.text(x + swatch + gap, y, size, Weight::Regular, Anchor::Start, INK, &name);
            x += width + spacing;
        }
        area.inset(0.0, row * (line + 1) as f64 + 6.0 * self.unit, 0.0, 0.0)
    }
}

/// Words in lines no wider than `room`, at most `lines` of them.
fn wrapped(text: &str, room: f64, size: f64, lines: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match out.last_mut() {
            Some(line) if font::width(&format!("{line} {word}"), size, Weight::Regular) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => out.push(word.to_owned()),
        }
    }
    if out.len() > lines {
        let rest = out.split_off(lines - 1).join(" ");
        out.push(rest);
    }
    out.iter().map(|line| font::shortened(line, room, size, Weight::Regular)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_subtitles_wrap_and_end() {
        let lines = wrapped("one two three four five six", 60.0, 10.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|l| font::width(l, 10.0, Weight::Regular) <= 60.0), "{lines:?}");
        assert!(lines[1].ends_with('…'));
    }

    #[test]
    fn legend_leaves_the_area_below_it() {
        let (mut sheet, area) = Sheet::new(Size::new(600, 400).unwrap(), "t", "");
        let entries: Vec<Entry> =
            (0..500).map(|i| Entry { name: format!("population {i}"), colour: INK, dash: None }).collect();
        let rest = sheet.legend(area, &entries);
        assert!(rest.y > area.y && rest.height > area.height / 2.0 && (rest.bottom() - area.bottom()).abs() < 1e-9);
        let said = sheet.picture.shapes.iter().any(|s| matches!(s, Shape::Text(t) if t.text.contains("more")));
        assert!(said);
    }
}
