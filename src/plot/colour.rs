//! Colours: a palette for categories that colour-blind readers can tell apart, and a colour map for amounts.

/// Red, green, blue, 0 to 255 each (sRGB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(pub u8, pub u8, pub u8);

/// Titles and names.
pub(super) const INK: Colour = Colour(0x1e, 0x22, 0x28);
/// Axes, tick labels, subtitles.
pub(super) const SOFT_INK: Colour = Colour(0x4d, 0x54, 0x5e);
/// Spines and ticks.
pub(super) const SPINE: Colour = Colour(0x8a, 0x90, 0x99);
/// Grid lines.
pub(super) const GRID: Colour = Colour(0xe6, 0xe8, 0xeb);
/// Cells without a neuron.
pub(super) const ABSENT: Colour = Colour(0xdc, 0xde, 0xe1);

/// The palette of Okabe and Ito (2008), "Color universal design", ordered so that neighbours differ in lightness too;
/// its black is a grey here, since black is the colour of text, and its yellow is darkened to stand out on white.
const PALETTE: [Colour; 8] = [
    Colour(0x00, 0x72, 0xb2), // blue
    Colour(0xd5, 0x5e, 0x00), // vermilion
    Colour(0x00, 0x9e, 0x73), // bluish green
    Colour(0xcc, 0x79, 0xa7), // reddish purple
    Colour(0xe6, 0x9f, 0x00), // orange
    Colour(0x56, 0xb4, 0xe9), // sky blue
    Colour(0x6b, 0x6f, 0x76), // grey
    Colour(0xb8, 0xa8, 0x00), // yellow, darkened
];

/// Colour of the `index`-th category; they repeat after eight.
pub(super) fn category(index: usize) -> Colour {
    PALETTE[index % PALETTE.len()]
}

/// How often the palette was gone through before the `index`-th category: those differ by the dash of their lines.
pub(super) fn round_of(index: usize) -> usize {
    index / PALETTE.len()
}

impl Colour {
    /// The colour mixed with white; `amount` 1 is the colour itself.
    pub(super) fn tint(self, amount: f64) -> Self {
        let mix = |c: u8| (255.0 + (f64::from(c) - 255.0) * amount).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }

    /// `#rrggbb`.
    pub(super) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// A perceptually uniform colour map from dark violet over blue and green to yellow.
///
/// Lightness in the Oklab space (Ottosson 2020, "A perceptual color space for image processing") rises in equal steps
/// from 0.26 to 0.93 while the hue turns evenly. The chroma follows what the sRGB gamut allows, up to 0.14, but
/// smoothed: where it bends suddenly, the eye sees a contour that is not in the data.
#[derive(Debug, Clone)]
pub(super) struct ColourMap([Colour; 256]);

impl ColourMap {
    /// Computes the table.
    pub(super) fn new() -> Self {
        const LAST: usize = 255;
        // Half the width of the window that chroma is smoothed over.
        const REACH: usize = 48;
        let tone = |i: usize| {
            let t = i as f64 / LAST as f64;
            (0.26 + 0.67 * t, (312.0 - 206.0 * t).to_radians())
        };
        let limits: Vec<f64> = (0..=LAST)
            .map(|i| {
                let (lightness, hue) = tone(i);
                most_chroma(lightness, hue, 0.14)
            })
            .collect();
        let around = |i: usize| i.saturating_sub(REACH)..=(i + REACH).min(LAST);
        let floor: Vec<f64> = (0..=LAST).map(|i| limits[around(i)].iter().copied().fold(1.0, f64::min)).collect();
        Self(std::array::from_fn(|i| {
            // Each of these minima is over a window that holds `i`, so their mean is within the gamut too.
            let window = &floor[around(i)];
            let chroma = window.iter().sum::<f64>() / window.len() as f64;
            let (lightness, hue) = tone(i);
            let [r, g, b] = linear_srgb(lightness, chroma, hue).map(encode);
            Colour(r, g, b)
        }))
    }

    /// Colour of `t`, 0 to 1; values outside are clamped.
    pub(super) fn at(&self, t: f64) -> Colour {
        self.0[(t.clamp(0.0, 1.0) * 255.0).round() as usize]
    }
}

/// The largest chroma up to `most` within the sRGB gamut, found by halving the interval.
fn most_chroma(lightness: f64, hue: f64, most: f64) -> f64 {
    if in_gamut(linear_srgb(lightness, most, hue)) {
        return most;
    }
    let (mut low, mut high) = (0.0, most);
    for _ in 0..30 {
        let middle = (low + high) / 2.0;
        if in_gamut(linear_srgb(lightness, middle, hue)) { low = middle } else { high = middle }
    }
    low
}

/// Linear sRGB of a colour given by Oklab lightness, chroma and hue (radians).
fn linear_srgb(lightness: f64, chroma: f64, hue: f64) -> [f64; 3] {
    let (a, b) = (chroma * libm::cos(hue), chroma * libm::sin(hue));
    let cube = |x: f64| x * x * x;
    let l = cube(lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b);
    let m = cube(lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b);
    let s = cube(lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ]
}

fn in_gamut(rgb: [f64; 3]) -> bool {
    rgb.iter().all(|c| (0.0..=1.0).contains(c))
}

/// The sRGB transfer curve, to 8 bits.
fn encode(c: f64) -> u8 {
    let c = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * libm::pow(c, 1.0 / 2.4) - 0.055 };
    (c * 255.0).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE lightness L* of a colour, by which monitors and printers are judged.
    fn cie_lightness(Colour(r, g, b): Colour) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { libm::pow((c + 0.055) / 1.055, 2.4) }
        };
        116.0 * libm::cbrt(0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)) - 16.0
    }

    #[test]
    fn colour_map_brightens_evenly_from_dark_to_light() {
        let map = ColourMap::new();
        let lightness: Vec<f64> = (0..=16).map(|i| cie_lightness(map.at(f64::from(i) / 16.0))).collect();
        assert!(lightness[0] < 20.0 && lightness[16] > 85.0, "{lightness:?}");
        let mean = (lightness[16] - lightness[0]) / 16.0;
        for pair in lightness.windows(2) {
            assert!(((pair[1] - pair[0]) / mean - 1.0).abs() < 0.4, "{lightness:?}");
        }
    }

    #[test]
    fn tints_go_to_white() {
        assert_eq!(category(0).tint(0.0), Colour(255, 255, 255));
        assert_eq!(category(3).tint(1.0), category(3));
        assert_eq!(category(9), category(1));
        assert_eq!(round_of(9), 1);
    }
}
