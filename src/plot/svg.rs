//! SVG documents. Letters are outlines, defined once each and placed by reference.

use super::canvas::{Picture, Shape, Text};
use super::font::{Font, Stroke, Weight};
use super::png;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The whole document.
pub(super) fn document(picture: &Picture) -> String {
    let (w, h) = (picture.size.width, picture.size.height);
    let mut out = String::with_capacity(1 << 16);
    put(&mut out, format_args!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    put(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\">\n"
        ),
    );
    put(&mut out, format_args!("<title>{}</title>\n", escaped(&picture.title)));
    glyph_definitions(&mut out, picture);
    put(&mut out, format_args!("<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n"));
    for shape in &picture.shapes {
        put_shape(&mut out, shape);
    }
    out.push_str("</svg>\n");
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

fn put_shape(out: &mut String, shape: &Shape) {
    match shape {
        Shape::Rect { x, y, width, height, fill } => put(
            out,
            format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\n",
                number(*x),
                number(*y),
                number(*width),
                number(*height),
                fill.hex()
            ),
        ),
        Shape::Line { points, width, colour, dash } => {
            put(
                out,
                format_args!("<path fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"", colour.hex(), number(*width)),
            );
            out.push_str(" stroke-linejoin=\"round\"");
            if !dash.is_empty() {
                let dash: Vec<String> = dash.iter().map(|d| number(*d)).collect();
                put(out, format_args!(" stroke-dasharray=\"{}\"", dash.join(" ")));
            }
            out.push_str(" d=\"");
            put_points(out, points);
            out.push_str("\"/>\n");
        }
        Shape::Area { points, fill } => {
            put(out, format_args!("<path fill=\"{}\" d=\"", fill.hex()));
            put_points(out, points);
            out.push_str("z\"/>\n");
        }
        Shape::Dots { centres, width, height, fill } => {
            // One path of short vertical strokes: far fewer bytes than a rectangle each.
            put(out, format_args!("<path stroke=\"{}\" stroke-width=\"{}\" d=\"", fill.hex(), number(*width)));
            let length = number(*height);
            for (x, y) in centres {
                put(out, format_args!("M{} {}v{length}", number(*x), number(y - height / 2.0)));
            }
            out.push_str("\"/>\n");
        }
        Shape::Text(text) => put_text(out, text),
        Shape::Cells { x, y, width, height, columns, cells } => {
            // Blown up, since not every viewer leaves the edges of enlarged cells sharp.
            let rows = cells.len() / (*columns).max(1);
            let factor = ((width / *columns as f64).ceil().max(height / rows.max(1) as f64) as usize).clamp(1, 64);
            let data = base64(&png::cells(*columns, cells, factor));
            put(
                out,
                format_args!(
                    "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
                     image-rendering=\"pixelated\" xlink:href=\"data:image/png;base64,{data}\"/>\n",
                    number(*x),
                    number(*y),
                    number(*width),
                    number(*height)
                ),
            );
        }
    }
}

fn put_points(out: &mut String, points: &[(f64, f64)]) {
    for (i, (x, y)) in points.iter().enumerate() {
        put(out, format_args!("{}{} {}", if i == 0 { "M" } else { "L" }, number(*x), number(*y)));
    }
}

fn put_text(out: &mut String, text: &Text) {
    let (x, y) = text.origin();
    let turn = if text.upwards { " rotate(-90)" } else { "" };
    put(
        out,
        format_args!(
            "<g aria-label=\"{}\" fill=\"{}\" transform=\"translate({} {}){turn} scale({})\">",
            escaped(&text.text),
            text.colour.hex(),
            number(x),
            number(y),
            fine(text.size / EM)
        ),
    );
    let font = Font::of(text.weight);
    let mut at = 0.0;
    for c in text.text.chars() {
        let glyph = font.glyph(c);
        if c != ' ' {
            put(
                out,
                format_args!("<use xlink:href=\"#{}\" x=\"{}\"/>", glyph_name(text.weight, glyph), number(at * EM)),
            );
        }
        at += font.advance(glyph);
    }
    out.push_str("</g>\n");
}

/// Glyphs are defined at this many units per em: whole numbers are exact enough and short.
const EM: f64 = 1000.0;

fn glyph_name(weight: Weight, glyph: u16) -> String {
    format!("{}{glyph}", if weight == Weight::Regular { 'r' } else { 's' })
}

fn glyph_definitions(out: &mut String, picture: &Picture) {
    let mut used = BTreeSet::new();
    for shape in &picture.shapes {
        if let Shape::Text(text) = shape {
            let font = Font::of(text.weight);
            used.extend(text.text.chars().map(|c| (text.weight, font.glyph(c))));
        }
    }
    out.push_str("<defs>\n");
    for (weight, glyph) in used {
        put(out, format_args!("<path id=\"{}\" d=\"", glyph_name(weight, glyph)));
        let em = |v: f64| (v * EM).round() as i64;
        for stroke in Font::of(weight).outline(glyph) {
            match stroke {
                Stroke::Move(x, y) => put(out, format_args!("M{} {}", em(x), em(-y))),
                Stroke::Line(x, y) => put(out, format_args!("L{} {}", em(x), em(-y))),
                Stroke::Curve(cx, cy, x, y) => {
                    put(out, format_args!("Q{} {} {} {}", em(cx), em(-cy), em(x), em(-y)));
                }
                Stroke::Close => out.push('z'),
            }
        }
        out.push_str("\"/>\n");
    }
    out.push_str("</defs>\n");
}

/// A coordinate with at most two decimals.
fn number(v: f64) -> String {
    trimmed(format!("{v:.2}"))
}

fn fine(v: f64) -> String {
    trimmed(format!("{v:.6}"))
}

fn trimmed(mut text: String) -> String {
    while text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    if text == "-0" { "0".to_owned() } else { text }
}

/// Text that may stand in an element or a quoted attribute; characters XML does not allow become a space.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |w, (i, b)| w | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_rfc_4648() {
        let table =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in table {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn numbers_are_short_and_text_is_escaped() {
        assert_eq!(
            (number(3.0), number(-0.001), number(2.50), number(100.0)),
            ("3".into(), "0".into(), "2.5".into(), "100".into())
        );
        assert_eq!(escaped("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot; ");
    }
}
