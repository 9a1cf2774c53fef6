//! Files of the spikes that virtual nodes send, and how times are written.

use super::write_hdf5::NewFile;
use crate::error::Result;
use std::path::Path;

/// The end of a step (counted from 1), ms.
///
/// NEST moves a spike to the next step if its time is the least bit later than the end of one, which it computes in
/// thousandths of a ms. The nearest number to the decimal one is never later than that.
pub(super) fn end_of(step: u64, dt: f64) -> f64 {
    let tics = (dt * 1000.0).round();
    if tics >= 1.0 && (dt * 1000.0 - tics).abs() < 1e-6 { step as f64 * tics / 1000.0 } else { step as f64 * dt }
}

/// Writes the spikes of a population: (step at whose end it is sent, counted from 1; node), in ascending order.
pub(super) fn write(path: &Path, population: &str, sent: &[(u64, u32)], dt: f64) -> Result<()> {
    let file = NewFile::create(path)?;
    let group = format!("spikes/{population}");
    file.group("spikes")?;
    file.group(&group)?;
    file.enum_attribute(&group, "sorting", &["none", "by_id", "by_time"], 2)?;
    let rows = sent.len() as u64;
    let mut times = file.column::<f64, 1>(&format!("{group}/timestamps"), rows, &[("units", "ms")])?;
    let mut ids = file.column::<u64, 1>(&format!("{group}/node_ids"), rows, &[])?;
    for (step, node) in sent {
        times.push([end_of(*step, dt)])?;
        ids.push([u64::from(*node)])?;
    }
    times.finish()?;
    ids.finish()?;
    file.close()
}
