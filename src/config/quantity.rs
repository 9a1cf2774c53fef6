//! Quantities: a number and a unit, and what they measure.
//!
//! A prefix only moves the decimal point, so `"100 us"` read in ms is the same number as `0.1` would be: the digits
//! are kept and read once, with the exponent of ten that the two units give.

use std::f64::consts::PI;

/// Powers of second, metre, kilogram, ampere, radian.
type Powers = [i8; 5];

/// A unit: what it measures, and the power of ten (and other factor) that leads to the SI unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    powers: Powers,
    exponent: i32,
    /// 1 for all but degrees.
    factor: f64,
}

const NUMBER: Powers = [0; 5];

/// Units that take SI prefixes: symbol, powers, power of ten.
const PREFIXED: [(&str, Powers); 10] = [
    ("s", [1, 0, 0, 0, 0]),
    ("m", [0, 1, 0, 0, 0]),
    ("V", [-3, 2, 1, -1, 0]),
    ("A", [0, 0, 0, 1, 0]),
    ("F", [4, -2, -1, 2, 0]),
    ("S", [3, -2, -1, 2, 0]),
    ("Hz", [-1, 0, 0, 0, 0]),
    ("Ohm", [-3, 2, 1, -2, 0]),
    ("ohm", [-3, 2, 1, -2, 0]),
    ("Ω", [-3, 2, 1, -2, 0]),
];

const PREFIXES: [(&str, i32); 12] = [
    ("f", -15),
    ("p", -12),
    ("n", -9),
    ("u", -6),
    ("µ", -6),
    ("μ", -6),
    ("m", -3),
    ("c", -2),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
];

/// What a set of powers measures, with an article, and an example of it.
const MEASURES: [(&str, &str, &str); 15] = [
    ("ms", "a time", "10 ms"),
    ("mV", "a voltage", "15 mV"),
    ("pA", "a current", "87.8 pA"),
    ("pF", "a capacitance", "250 pF"),
    ("nS", "a conductance", "10 nS"),
    ("Hz", "a rate", "8 Hz"),
    ("um", "a length", "20 um"),
    ("um/ms", "a velocity", "0.3 m/s"),
    ("MOhm", "a resistance", "100 MOhm"),
    ("deg", "an angle", "90 deg"),
    ("mV/ms", "a voltage for each time", "1 mV/ms"),
    ("pA/ms", "a current for each time", "1 pA/ms"),
    ("pA/mV", "a current for each voltage", "10 nS"),
    ("1/um", "an inverse length", "0.1 1/um"),
    ("", "a plain number", "0.5"),
];

impl Unit {
    /// Reads a unit such as `ms`, `um/ms`, `pA/mV`, `1/s`, `m^2` or, for a plain number, the empty text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut unit = Self { powers: NUMBER, exponent: 0, factor: 1.0 };
        let mut sign = 1;
        let mut rest = text.trim();
        if rest.is_empty() || rest == "1" {
            return Some(unit);
        }
        loop {
            let end = rest.find(['/', '*', '·']).unwrap_or(rest.len());
            unit.multiply(rest[..end].trim(), sign)?;
            let Some(operator) = rest[end..].chars().next() else { return Some(unit) };
            // As in `pA/mV/ms`: everything after a stroke divides, until a product sign.
            sign = if operator == '/' { -1 } else { 1 };
            rest = &rest[end + operator.len_utf8()..];
        }
    }

    fn multiply(&mut self, term: &str, sign: i32) -> Option<()> {
        let (name, power) = match term.split_once('^') {
            Some((name, power)) => (name.trim(), power.trim().parse::<i8>().ok()?),
            None => (term, 1),
        };
        let (powers, exponent, factor) = simple(name)?;
        let power = i32::from(power) * sign;
        for (sum, p) in self.powers.iter_mut().zip(powers) {
            *sum += i8::try_from(i32::from(p) * power).ok()?;
        }
        self.exponent += exponent * power;
        self.factor *= if power < 0 { 1.0 / factor } else { factor };
        Some(())
    }

    /// What the unit measures, with an article: `a time`.
    pub(super) fn measures(self) -> String {
        match self.known() {
            Some((_, name, _)) => (*name).to_owned(),
            None => "a quantity of another kind".to_owned(),
        }
    }

    /// An example of such a quantity.
    fn example(self) -> &'static str {
        self.known().map_or("1", |(_, _, example)| example)
    }

    fn known(self) -> Option<&'static (&'static str, &'static str, &'static str)> {
        MEASURES.iter().find(|(unit, _, _)| Self::parse(unit).is_some_and(|u| u.powers == self.powers))
    }
}

/// Powers, power of ten and factor of one symbol with or without a prefix.
fn simple(name: &str) -> Option<(Powers, i32, f64)> {
    match name {
        "" => return None,
        "1" => return Some((NUMBER, 0, 1.0)),
        "%" => return Some((NUMBER, -2, 1.0)),
        "deg" | "°" => return Some(([0, 0, 0, 0, 1], 0, 1.0)),
        "rad" => return Some(([0, 0, 0, 0, 1], 0, 180.0 / PI)),
        _ => {}
    }
    if let Some((_, powers)) = PREFIXED.iter().find(|(symbol, _)| *symbol == name) {
        return Some((*powers, 0, 1.0));
    }
    PREFIXES.iter().find_map(|(prefix, exponent)| {
        let symbol = name.strip_prefix(prefix)?;
        let (_, powers) = PREFIXED.iter().find(|(s, _)| *s == symbol)?;
        Some((*powers, *exponent, 1.0))
    })
}

/// Reads a quantity written as text into the number it is in `expected` units.
///
/// A text without a unit is a number in the expected unit. The error is a full sentence.
pub(super) fn parse_text(text: &str, expected: &str) -> Result<f64, String> {
    let target = Unit::parse(expected).ok_or_else(|| format!("`{expected}` is not a unit this program knows"))?;
    let wanted = || {
        let article = target.measures();
        format!("{article} is expected, for example \"{}\"", target.example())
    };
    let trimmed = text.trim();
    let (digits, unit_text) = split(trimmed).ok_or_else(|| format!("`{text}` is not a quantity; {}", wanted()))?;
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is not a quantity; {}", wanted()))?;
    if unit_text.is_empty() {
        return Ok(number);
    }
    let unit = Unit::parse(unit_text)
        .ok_or_else(|| format!("`{text}` has the unit `{unit_text}`, which is not known; {}", wanted()))?;
    if unit.powers != target.powers {
        return Err(format!("`{text}` is {}; {}", unit.measures(), wanted()));
    }
    let shift = unit.exponent - target.exponent;
    let factor = unit.factor / target.factor;
    if !number.is_finite() || (shift == 0 && factor == 1.0) {
        return Ok(number * factor);
    }
    // Moving the decimal point in the text keeps the digits exact where a multiplication would round.
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().unwrap_or(0)),
        None => (digits, 0),
    };
    let moved: f64 = format!("{mantissa}e{}", exponent + shift).parse().map_err(|_| format!("`{text}` is too long"))?;
    Ok(if factor == 1.0 { moved } else { moved * factor })
}

/// The number and the unit of a text. None if it does not begin with a number.
fn split(text: &str) -> Option<(&str, &str)> {
    if text == "inf" || text == "-inf" || text == "+inf" {
        return Some((text, ""));
    }
    let bytes = text.as_bytes();
    let mut end = 0;
    let mut seen_digit = false;
    while end < bytes.len() {
        let c = bytes[end];
        let sign_ok = end == 0 || matches!(bytes[end - 1], b'e' | b'E');
        let exponent_ok = seen_digit
            && matches!(c, b'e' | b'E')
            && match bytes.get(end + 1) {
                Some(b'+' | b'-') => bytes.get(end + 2).is_some_and(u8::is_ascii_digit),
                Some(d) => d.is_ascii_digit(),
                None => false,
            };
        match c {
            b'0'..=b'9' => seen_digit = true,
            b'.' => {}
            b'+' | b'-' if sign_ok => {}
            b'e' | b'E' if exponent_ok => {}
            _ => break,
        }
        end += 1;
    }
    seen_digit.then(|| (&text[..end], text[end..].trim()))
}

/// A number in a unit, for messages: `0.1 ms`, `0.5`.
pub(super) fn show(value: f64, unit: &str) -> String {
    // Enough digits to tell values apart, without the tail that binary fractions have.
    let rounded: f64 = format!("{value:.10e}").parse().unwrap_or(value);
    if unit.is_empty() { format!("{rounded}") } else { format!("{rounded} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_move_the_decimal_point_exactly() {
        for (text, unit, value) in [
            ("10 ms", "ms", 10.0),
            ("100 us", "ms", 0.1),
            ("100 µs", "ms", 0.1),
            ("1 s", "ms", 1000.0),
            ("0.00025 s", "ms", 0.25),
            ("1.5e-3 s", "ms", 1.5),
            ("20 kHz", "Hz", 20_000.0),
            ("87.8 pA", "pA", 87.8),
            ("0.0878 nA", "pA", 87.8),
            ("0.15 mV", "mV", 0.15),
            ("-65mV", "mV", -65.0),
            ("20 um", "um", 20.0),
            ("0.02 mm", "um", 20.0),
            ("0.3 m/s", "um/ms", 300.0),
            ("0.3 mm/ms", "um/ms", 300.0),
            ("10 nS", "nS", 10.0),
            ("10 nS", "pA/mV", 10.0),
            ("250 pF", "pF", 250.0),
            ("1/s", "Hz", f64::NAN),
            ("5 1/s", "Hz", 5.0),
            ("90 deg", "deg", 90.0),
            ("10 %", "", 0.1),
            ("3", "ms", 3.0),
            ("100 MOhm", "MOhm", 100.0),
        ] {
            match parse_text(text, unit) {
                Ok(read) => assert!(read == value || value.is_nan(), "{text} in {unit}: {read}"),
                Err(message) => assert!(value.is_nan(), "{text}: {message}"),
            }
        }
        assert!((parse_text("3.141592653589793 rad", "deg").unwrap() - 180.0).abs() < 1e-12);
    }

    #[test]
    fn a_wrong_dimension_names_the_expected_one() {
        assert_eq!(
            parse_text("10 mV", "ms").unwrap_err(),
            "`10 mV` is a voltage; a time is expected, for example \"10 ms\""
        );
        assert!(parse_text("10 parsec", "um").unwrap_err().contains("`parsec`, which is not known; a length"));
        assert!(parse_text("soon", "ms").unwrap_err().contains("not a quantity"));
        assert!(parse_text("", "ms").is_err());
        assert!(parse_text("10 ms", "").unwrap_err().contains("a plain number is expected"));
    }

    #[test]
    fn shown_numbers_are_short() {
        assert_eq!(show(0.1 + 0.2, "ms"), "0.3 ms");
        assert_eq!(show(12.0, ""), "12");
    }
}
