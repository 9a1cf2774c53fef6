//! Files of spikes that networks are driven with.
//!
//! - HDF5: `/spikes/<population>/{timestamps, node_ids}`; in the first version of the format `/spikes/{timestamps, gids}`.
//! - CSV: columns `timestamps` and `node_ids`, perhaps `population`; or BMTK's older `gid` and `spike-times`, a line a
//!   neuron, with commas between the times.

use super::super::table;
use super::hdf5::Hdf5;
use crate::error::{Error, Fault, Result};
use std::collections::HashMap;
use std::path::Path;

/// The spikes of one population.
#[derive(Debug, Clone, PartialEq)]
pub struct SpikeTrains {
    /// Name of the population; none where the file has no names.
    pub population: Option<String>,
    /// Time (ms) and node id of each spike, in the order of the file.
    pub spikes: Vec<(f64, u64)>,
}

/// Reads the spikes of a `.h5` or `.csv` file.
///
/// # Errors
/// The file cannot be read, or is not what the format says.
pub fn read_spikes(path: &Path, csv: bool) -> Result<Vec<SpikeTrains>> {
    if csv { read_csv(path) } else { read_hdf5(path) }
}

fn read_hdf5(path: &Path) -> Result<Vec<SpikeTrains>> {
    let file = Hdf5::open(path)?;
    let Some(names) = file.groups("spikes")? else {
        return Err(file.error("spikes", "there is no such group; it is not a SONATA file of spikes"));
    };
    if file.datasets("spikes")?.iter().any(|name| name == "timestamps") {
        return Ok(vec![SpikeTrains { population: None, spikes: group(&file, "spikes", "gids")? }]);
    }
    names
        .into_iter()
        .map(|name| {
            let spikes = group(&file, &format!("spikes/{name}"), "node_ids")?;
            Ok(SpikeTrains { population: Some(name), spikes })
        })
        .collect()
}

fn group(file: &Hdf5, at: &str, ids: &str) -> Result<Vec<(f64, u64)>> {
    let ids = if file.datasets(at)?.iter().any(|name| name == ids) { ids } else { "node_ids" };
    let times_at = format!("{at}/timestamps");
    let (times, nodes) = (file.numbers(&times_at)?, file.indices(&format!("{at}/{ids}"))?);
    if times.len() != nodes.len() {
        return Err(file.error(at, format!("there are {} timestamps, but {} {ids}", times.len(), nodes.len())));
    }
    if let Some(units) = file.text_attribute(&times_at, "units")?
        && !matches!(units.as_str(), "ms" | "milliseconds" | "millisecond")
    {
        return Err(file.error(&times_at, format!("its unit is `{units}`; ms is expected")));
    }
    if let Some(bad) = times.iter().position(|time| !time.is_finite()) {
        return Err(file.error(&times_at, format!("spike {bad} has the time {}", times[bad])));
    }
    Ok(times.into_iter().zip(nodes).collect())
}

fn read_csv(path: &Path) -> Result<Vec<SpikeTrains>> {
    let table = table::read_columns(path)?;
    let has = |name: &str| table.names().iter().any(|known| known == name);
    if has("gid") && has("spike-times") {
        let nodes = table.indices("gid")?;
        let mut spikes = Vec::new();
        let mut faults = Vec::new();
        for (row, text) in table.text("spike-times")?.iter().enumerate() {
            for time in text.split(',').map(str::trim).filter(|time| !time.is_empty()) {
                match time.parse::<f64>() {
                    Ok(time) if time.is_finite() => spikes.push((time, nodes[row])),
                    _ => faults.push(Fault {
                        file: Some(path.to_owned()),
                        line: Some(table.line(row)),
                        key: "spike-times".into(),
                        message: format!("`{time}` is not a time in ms"),
                    }),
                }
            }
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        return Ok(vec![SpikeTrains { population: None, spikes }]);
    }
    let (times, nodes) = (table.numbers("timestamps")?, table.indices("node_ids")?);
    let all: Vec<(f64, u64)> = times.into_iter().zip(nodes).collect();
    if !has("population") {
        return Ok(vec![SpikeTrains { population: None, spikes: all }]);
    }
    let mut trains: Vec<SpikeTrains> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (name, spike) in table.text("population")?.iter().zip(all) {
        let place = *known.entry(name).or_insert_with(|| {
            trains.push(SpikeTrains { population: Some(name.clone()), spikes: Vec::new() });
            trains.len() - 1
        });
        trains[place].spikes.push(spike);
    }
    Ok(trains)
}
