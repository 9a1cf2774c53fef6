//! PNG files: the shapes drawn with anti-aliased edges.

use super::canvas::{Picture, Shape, Text};
use super::colour::Colour;
use super::font::{Font, Stroke};
use crate::error::{Error, Result};
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, StrokeDash, Transform};

/// Draws a picture and encodes it.
pub(super) fn encode(picture: &Picture) -> Result<Vec<u8>> {
    let (w, h) = (picture.size.width, picture.size.height);
    let unable = |what: &str| Error::Unavailable(format!("a picture of {w} x {h} pixels cannot be {what}"));
    let mut pixels = Pixmap::new(w, h).ok_or_else(|| unable("held in memory"))?;
    pixels.fill(Color::WHITE);
    for shape in &picture.shapes {
        draw(&mut pixels, shape);
    }
    pixels.encode_png().map_err(|_| unable("encoded as PNG"))
}

/// A small PNG of coloured cells, each `factor` pixels wide and high.
pub(super) fn cells(columns: usize, cells: &[Colour], factor: usize) -> Vec<u8> {
    let rows = cells.len().checked_div(columns).unwrap_or(0);
    let Some(mut pixels) = Pixmap::new((columns * factor) as u32, (rows * factor) as u32) else { return Vec::new() };
    for (row, line) in pixels.data_mut().chunks_exact_mut(columns * factor * 4).enumerate() {
        for (column, pixel) in line.chunks_exact_mut(4).enumerate() {
            let Colour(r, g, b) = cells[row / factor * columns + column / factor];
            pixel.copy_from_slice(&[r, g, b, 255]);
        }
    }
    // Encoding into memory fails only for pictures without pixels, excluded above.
    pixels.encode_png().unwrap_or_default()
}

fn draw(pixels: &mut Pixmap, shape: &Shape) {
    match shape {
        Shape::Rect { x, y, width, height, fill } => blend_rect(pixels, *x, *y, *width, *height, *fill),
        Shape::Line { points, width, colour, dash } => {
            let Some(path) = polygon(points, false) else { return };
            let mut stroke = tiny_skia::Stroke {
                width: *width as f32,
                line_join: LineJoin::Round,
                line_cap: LineCap::Butt,
                ..Default::default()
            };
            if !dash.is_empty() {
                stroke.dash = StrokeDash::new(dash.iter().map(|d| *d as f32).collect(), 0.0);
            }
            pixels.stroke_path(&path, &paint(*colour), &stroke, Transform::identity(), None);
        }
        Shape::Area { points, fill } => {
            let Some(path) = polygon(points, true) else { return };
            pixels.fill_path(&path, &paint(*fill), FillRule::Winding, Transform::identity(), None);
        }
        Shape::Dots { centres, width, height, fill } => {
            for (x, y) in centres {
                blend_rect(pixels, x - width / 2.0, y - height / 2.0, *width, *height, *fill);
            }
        }
        Shape::Text(text) => draw_text(pixels, text),
        Shape::Cells { x, y, width, height, columns, cells } => {
            draw_cells(pixels, [*x, *y, *width, *height], *columns, cells);
        }
    }
}

fn paint(Colour(r, g, b): Colour) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(r, g, b, 255);
    paint.anti_alias = true;
    paint
}

fn polygon(points: &[(f64, f64)], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::with_capacity(points.len() + 1, points.len());
    let (first, rest) = points.split_first()?;
    path.move_to(first.0 as f32, first.1 as f32);
    for (x, y) in rest {
        path.line_to(*x as f32, *y as f32);
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn draw_text(pixels: &mut Pixmap, text: &Text) {
    let font = Font::of(text.weight);
    let (x, y) = text.origin();
    // Letters stand sharper when their baseline lies between two rows of pixels.
    let (x, y) = if text.upwards { (x.round(), y) } else { (x, y.round()) };
    let mut path = PathBuilder::new();
    let mut at = 0.0;
    let place = |ex: f64, ey: f64| {
        let (dx, dy) = (ex * text.size, -ey * text.size);
        let (dx, dy) = if text.upwards { (dy, -dx) } else { (dx, dy) };
        ((x + dx) as f32, (y + dy) as f32)
    };
    for c in text.text.chars() {
        let glyph = font.glyph(c);
        for stroke in font.outline(glyph) {
            match stroke {
                Stroke::Move(ex, ey) => {
                    let p = place(at + ex, ey);
                    path.move_to(p.0, p.1);
                }
                Stroke::Line(ex, ey) => {
                    let p = place(at + ex, ey);
                    path.line_to(p.0, p.1);
                }
                Stroke::Curve(cx, cy, ex, ey) => {
                    let (c, p) = (place(at + cx, cy), place(at + ex, ey));
                    path.quad_to(c.0, c.1, p.0, p.1);
                }
                Stroke::Close => path.close(),
            }
        }
        at += font.advance(glyph);
    }
    if let Some(path) = path.finish() {
        pixels.fill_path(&path, &paint(text.colour), FillRule::Winding, Transform::identity(), None);
    }
}

/// Shares of the pixels `0..limit` that the interval from `start` of `length` covers: (first pixel, shares).
fn coverage(start: f64, length: f64, limit: u32) -> (usize, Vec<f64>) {
    let low = start.clamp(0.0, f64::from(limit));
    let high = (start + length).clamp(low, f64::from(limit));
    let first = low.floor();
    let count = (high.ceil() - first).max(0.0) as usize;
    let shares = (0..count)
        .map(|i| {
            let pixel = first + i as f64;
            (high.min(pixel + 1.0) - low.max(pixel)).max(0.0)
        })
        .collect();
    (first as usize, shares)
}

/// Fills a rectangle, edge pixels by the share of them it covers. Exact, and far faster than a path for many dots.
fn blend_rect(pixels: &mut Pixmap, x: f64, y: f64, width: f64, height: f64, fill: Colour) {
    if !(x.is_finite() && y.is_finite() && width.is_finite() && height.is_finite()) {
        return;
    }
    let across = pixels.width();
    let (x0, columns) = coverage(x, width, across);
    let (y0, rows) = coverage(y, height, pixels.height());
    let data = pixels.data_mut();
    for (j, down) in rows.iter().enumerate() {
        for (i, share) in columns.iter().enumerate() {
            let at = ((y0 + j) * across as usize + x0 + i) * 4;
            mix(&mut data[at..at + 3], fill, share * down);
        }
    }
}

/// Moves an opaque pixel towards a colour.
fn mix(pixel: &mut [u8], Colour(r, g, b): Colour, share: f64) {
    for (channel, target) in pixel.iter_mut().zip([r, g, b]) {
        let from = f64::from(*channel);
        *channel = (from + (f64::from(target) - from) * share).round() as u8;
    }
}

/// Draws a grid of cells so that each pixel holds the mean of what it covers: sharp when enlarged, smooth when reduced.
fn draw_cells(pixels: &mut Pixmap, [x, y, width, height]: [f64; 4], columns: usize, cells: &[Colour]) {
    if columns == 0 || cells.len() < columns || width <= 0.0 || height <= 0.0 {
        return;
    }
    let rows = cells.len() / columns;
    let across = pixels.width() as usize;
    let (x0, shares_x) = coverage(x, width, pixels.width());
    let (y0, shares_y) = coverage(y, height, pixels.height());
    // For each pixel of a line the cells it covers, and how much of each.
    let spans = |first: usize, count: usize, start: f64, length: f64, n: usize| -> Vec<(usize, Vec<f64>)> {
        let scale = n as f64 / length;
        (0..count)
            .map(|i| {
                let low = (((first + i) as f64 - start) * scale).clamp(0.0, n as f64);
                let high = (((first + i + 1) as f64 - start) * scale).clamp(low, n as f64);
                coverage(low, high - low, n as u32)
            })
            .collect()
    };
    let spans_x = spans(x0, shares_x.len(), x, width, columns);
    let spans_y = spans(y0, shares_y.len(), y, height, rows);
    let data = pixels.data_mut();
    for (j, (row, down)) in spans_y.iter().enumerate() {
        for (i, (column, right)) in spans_x.iter().enumerate() {
            let (mut sum, mut weight) = ([0.0; 3], 0.0);
            for (dj, wy) in down.iter().enumerate() {
                for (di, wx) in right.iter().enumerate() {
                    let Colour(r, g, b) = cells[(row + dj) * columns + column + di];
                    let share = wx * wy;
                    for (s, c) in sum.iter_mut().zip([r, g, b]) {
                        *s += share * f64::from(c);
                    }
                    weight += share;
                }
            }
            if weight > 0.0 {
                let [r, g, b] = sum.map(|s| (s / weight).round() as u8);
                let at = ((y0 + j) * across + x0 + i) * 4;
                mix(&mut data[at..at + 3], Colour(r, g, b), shares_x[i] * shares_y[j]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_cover_pixels_by_their_share() {
        let mut pixels = Pixmap::new(4, 4).unwrap();
        pixels.fill(Color::WHITE);
        blend_rect(&mut pixels, 0.5, 1.0, 2.0, 1.0, Colour(0, 0, 0));
        let row: Vec<u8> = (0..4).map(|x| pixels.data()[(4 + x) * 4]).collect();
        assert_eq!(row, [128, 0, 128, 255]);
        blend_rect(&mut pixels, -10.0, -10.0, 5.0, 5.0, Colour(0, 0, 0));
        blend_rect(&mut pixels, f64::NAN, 0.0, 5.0, 5.0, Colour(0, 0, 0));
        assert_eq!(pixels.data()[0], 255);
    }

    #[test]
    fn cells_are_sharp_when_enlarged_and_averaged_when_reduced() {
        let (black, white) = (Colour(0, 0, 0), Colour(255, 255, 255));
        let mut pixels = Pixmap::new(4, 2).unwrap();
        pixels.fill(Color::WHITE);
        draw_cells(&mut pixels, [0.0, 0.0, 4.0, 2.0], 2, &[black, white]);
        let red = |p: &Pixmap| p.data().iter().step_by(4).copied().collect::<Vec<u8>>();
        assert_eq!(red(&pixels), [0, 0, 255, 255, 0, 0, 255, 255]);
        let mut one = Pixmap::new(1, 1).unwrap();
        one.fill(Color::WHITE);
        draw_cells(&mut one, [0.0, 0.0, 1.0, 1.0], 2, &[black, white, white, black]);
        assert_eq!(red(&one), [128]);
    }
}
