//! A picture as a list of shapes in pixels, y downwards; `svg` and `png` turn the same list into files.

use super::colour::Colour;
use super::font::{self, Weight};
use super::{png, svg};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Width and height of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Size {
    /// Fewest pixels a side may have; less leaves no room for axes.
    pub const LEAST: u32 = 160;
    /// Most pixels a side may have.
    pub const MOST: u32 = 16_384;

    /// A size in pixels.
    ///
    /// # Errors
    /// If a side has fewer than 160 or more than 16,384 pixels.
    pub fn new(width: u32, height: u32) -> Result<Self> {
        for (key, pixels) in [("plot.width", width), ("plot.height", height)] {
            if !(Self::LEAST..=Self::MOST).contains(&pixels) {
                return Err(Error::invalid(
                    key,
                    format!("{pixels} pixels; allowed are {} to {}", Self::LEAST, Self::MOST),
                ));
            }
        }
        Ok(Self { width, height })
    }
}

impl Default for Size {
    /// 1200 × 800.
    fn default() -> Self {
        Self { width: 1200, height: 800 }
    }
}

/// Where a text's given point lies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text; `x`, `y` is on its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub x: f64,
    pub y: f64,
    pub size: f64,
    pub weight: Weight,
    pub colour: Colour,
    pub anchor: Anchor,
    /// Turned by 90 degrees to read upwards.
    pub upwards: bool,
    pub text: String,
}

impl Text {
    /// Where the first letter begins.
    pub(super) fn origin(&self) -> (f64, f64) {
        let width = font::width(&self.text, self.size, self.weight);
        let back = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        if self.upwards { (self.x, self.y + back) } else { (self.x - back, self.y) }
    }
}

/// One shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A filled rectangle.
    Rect { x: f64, y: f64, width: f64, height: f64, fill: Colour },
    /// A line through points, `dash` in pixels (on, off; empty for a solid line).
    Line { points: Vec<(f64, f64)>, width: f64, colour: Colour, dash: Vec<f64> },
    /// A filled polygon.
    Area { points: Vec<(f64, f64)>, fill: Colour },
    /// Equal filled rectangles around centres.
    Dots { centres: Vec<(f64, f64)>, width: f64, height: f64, fill: Colour },
    /// A line of text.
    Text(Text),
    /// A grid of coloured cells, row by row from the top left.
    Cells { x: f64, y: f64, width: f64, height: f64, columns: usize, cells: Vec<Colour> },
}

/// A finished drawing, to be saved as SVG and PNG.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub(super) size: Size,
    pub(super) title: String,
    pub(super) shapes: Vec<Shape>,
}

impl Picture {
    /// Its size in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The drawing as an SVG document.
    pub fn to_svg(&self) -> String {
        svg::document(self)
    }

    /// The drawing as a PNG file.
    ///
    /// # Errors
    /// If the machine cannot hold the pixels.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        png::encode(self)
    }

    /// Writes `<name>.svg` and `<name>.png` into a folder, which is made if it is missing; returns their paths.
    ///
    /// # Errors
    /// If the folder or a file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>, name: &str) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, "create", e))?;
        let mut paths = Vec::new();
        for (extension, bytes) in [("svg", self.to_svg().into_bytes()), ("png", self.to_png()?)] {
            let path = dir.join(format!("{name}.{extension}"));
            std::fs::write(&path, bytes).map_err(|e| Error::io(&path, "write", e))?;
            paths.push(path);
        }
        Ok(paths)
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Colour) {
        self.shapes.push(Shape::Rect { x, y, width, height, fill });
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, width: f64, colour: Colour) {
        self.dashed(points, width, colour, &[]);
    }

    pub(super) fn dashed(&mut self, points: Vec<(f64, f64)>, width: f64, colour: Colour, dash: &[f64]) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, width, colour, dash: dash.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(Size::new(600, 400).unwrap(), Size { width: 600, height: 400 });
        let message = Size::new(10, 400).unwrap_err().to_string();
        assert_eq!(message, "plot.width: 10 pixels; allowed are 160 to 16384");
        assert!(Size::new(600, 20_000).is_err());
    }
}
