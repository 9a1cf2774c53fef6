//! Timing of one operation.

use crate::error::Result;
use std::time::Instant;

/// Seconds one sample takes at least, so that the clock does not matter.
const SAMPLE_S: f64 = 0.02;
const SAMPLES: usize = 15;
/// For operations longer than 50 ms.
const SAMPLES_LONG: usize = 7;

/// Seconds of one call, several times over. The first calls are not counted: they fill the memory pool and the caches.
pub(super) fn samples(run: &mut dyn FnMut() -> Result<()>) -> Result<Vec<f64>> {
    for _ in 0..3 {
        run()?;
    }
    let start = Instant::now();
    run()?;
    let one = start.elapsed().as_secs_f64().max(1e-7);
    let calls = ((SAMPLE_S / one) as usize).clamp(1, 200_000);
    let count = if one > 0.05 { SAMPLES_LONG } else { SAMPLES };
    let mut seconds = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        for _ in 0..calls {
            run()?;
        }
        seconds.push(start.elapsed().as_secs_f64() / calls as f64);
    }
    Ok(seconds)
}

/// The median; 0 of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}
