//! Files of the spikes that virtual nodes send.

use super::write_hdf5::NewFile;
use crate::error::Result;
use std::path::Path;

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
        times.push([*step as f64 * dt])?;
        ids.push([u64::from(*node)])?;
    }
    times.finish()?;
    ids.finish()?;
    file.close()
}
