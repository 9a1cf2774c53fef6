//! Text: the embedded font (Inter, SIL Open Font License, see `font/OFL.txt`), its widths and outlines.
//!
//! The files are subsets of Inter 4 with Latin, Greek, Cyrillic and the symbols of axis labels.

use std::sync::LazyLock;

/// Weight of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Labels.
    Regular,
    /// Titles and names.
    SemiBold,
}

static REGULAR: LazyLock<Font> = LazyLock::new(|| Font::parse(include_bytes!("font/Inter-Regular.ttf")));
static SEMI_BOLD: LazyLock<Font> = LazyLock::new(|| Font::parse(include_bytes!("font/Inter-SemiBold.ttf")));

/// A parsed font face.
pub(super) struct Font {
    face: ttf_parser::Face<'static>,
    /// Size of a font unit in em.
    unit: f64,
}

/// A piece of an outline, in em, y upwards, from the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stroke {
    /// Begins a contour.
    Move(f64, f64),
    /// A straight line.
    Line(f64, f64),
    /// A quadratic curve: control point and end.
    Curve(f64, f64, f64, f64),
    /// Closes the contour.
    Close,
}

impl Font {
    /// The face of a weight.
    pub(super) fn of(weight: Weight) -> &'static Self {
        match weight {
            Weight::Regular => &REGULAR,
            Weight::SemiBold => &SEMI_BOLD,
        }
    }

    fn parse(bytes: &'static [u8]) -> Self {
        // The files are part of the program; a test opens both.
        let face = ttf_parser::Face::parse(bytes, 0).expect("embedded fonts are valid");
        let unit = 1.0 / f64::from(face.units_per_em());
        Self { face, unit }
    }

    /// Number of the glyph of a character; characters that the font lacks become an empty box, control characters a
    /// space.
    pub(super) fn glyph(&self, c: char) -> u16 {
        let c = if c.is_control() { ' ' } else { c };
        self.face.glyph_index(c).map_or(0, |g| g.0)
    }

    /// Distance to the next letter, em.
    pub(super) fn advance(&self, glyph: u16) -> f64 {
        f64::from(self.face.glyph_hor_advance(ttf_parser::GlyphId(glyph)).unwrap_or(0)) * self.unit
    }

    /// Width of a line of text, em.
    pub(super) fn width(&self, text: &str) -> f64 {
        text.chars().map(|c| self.advance(self.glyph(c))).sum()
    }

    /// Outline of a glyph; empty for a space.
    pub(super) fn outline(&self, glyph: u16) -> Vec<Stroke> {
        struct Pen {
            unit: f64,
            strokes: Vec<Stroke>,
        }
        impl Pen {
            fn em(&self, v: f32) -> f64 {
                f64::from(v) * self.unit
            }
        }
        impl ttf_parser::OutlineBuilder for Pen {
            fn move_to(&mut self, x: f32, y: f32) {
                self.strokes.push(Stroke::Move(self.em(x), self.em(y)));
            }
            fn line_to(&mut self, x: f32, y: f32) {
                self.strokes.push(Stroke::Line(self.em(x), self.em(y)));
            }
            fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
                self.strokes.push(Stroke::Curve(self.em(x1), self.em(y1), self.em(x), self.em(y)));
            }
            fn curve_to(&mut self, _: f32, _: f32, _: f32, _: f32, _: f32, _: f32) {
                unreachable!("TrueType outlines have quadratic curves only")
            }
            fn close(&mut self) {
                self.strokes.push(Stroke::Close);
            }
        }
        let mut pen = Pen { unit: self.unit, strokes: Vec::new() };
        self.face.outline_glyph(ttf_parser::GlyphId(glyph), &mut pen);
        pen.strokes
    }
}

/// Width of a line of text of a given font size, in the unit of the size.
pub(super) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    Font::of(weight).width(text) * size
}

/// The text, or as much of its beginning as fits into `room` followed by an ellipsis.
pub(super) fn shortened(text: &str, room: f64, size: f64, weight: Weight) -> String {
    if width(text, size, weight) <= room {
        return text.to_owned();
    }
    let font = Font::of(weight);
    let mut used = font.advance(font.glyph('…')) * size;
    let mut short = String::new();
    for c in text.chars() {
        used += font.advance(font.glyph(c)) * size;
        if used > room {
            break;
        }
        short.push(c);
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_have_the_characters_of_labels() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            let font = Font::of(weight);
            for c in "azAZ09 äöüßéřł αβγμτΔΩ µ–−×·…²³°%жЯ".chars() {
                assert_ne!(font.glyph(c), 0, "{c:?} is missing");
            }
            assert!(font.outline(font.glyph('g')).len() > 10);
            assert!(font.outline(font.glyph(' ')).is_empty());
            assert_eq!(font.glyph('漢'), 0);
            assert!(!font.outline(0).is_empty());
        }
    }

    #[test]
    fn text_is_shortened_to_its_room() {
        assert_eq!(shortened("exc", 100.0, 10.0, Weight::Regular), "exc");
        let short = shortened("a very long population name", 60.0, 10.0, Weight::Regular);
        assert!(short.ends_with('…') && width(&short, 10.0, Weight::Regular) <= 60.0, "{short}");
        assert_eq!(shortened("exc", 0.0, 10.0, Weight::Regular), "…");
    }
}
