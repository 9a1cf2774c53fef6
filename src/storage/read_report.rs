//! Reading SONATA reports back.

use super::hdf5_stream::hdf5_error;
use super::read_spikes::{open_dataset, open_hdf5};
use crate::error::{Error, Result};
use rust_hdf5::{H5Dataset, H5File};
use std::path::Path;

/// A state variable of the neurons of one population over time, as read back from a SONATA report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Population.
    pub population: String,
    /// Name of the variable; empty if the file does not say.
    pub variable: String,
    /// Its unit; empty if the file does not say.
    pub unit: String,
    /// For each column of the data the neuron, 0 to n - 1 within the population.
    pub node_ids: Vec<u64>,
    /// Times of the samples, ms.
    pub times_ms: Vec<f64>,
    /// For each sample the values in the order of `node_ids`.
    pub data: Vec<Vec<f32>>,
}

/// Reads the one population of a report, written by this program or by another that follows SONATA.
///
/// A node with several elements (compartments) has a column for each of them.
///
/// # Errors
/// The file cannot be read, holds no or several populations, or its parts contradict each other.
pub fn read_report(path: impl AsRef<Path>) -> Result<Report> {
    let path = path.as_ref();
    let failed = |e| hdf5_error(path, "read", e);
    let file = open_hdf5(path)?;
    let wrong = |message: String| Error::format(path, message);
    let report = file
        .root_group()
        .group("report")
        .map_err(|_| wrong("there is no group `/report`; it is not a SONATA report".into()))?;
    let names = report.group_names().map_err(failed)?;
    let [population] = names.as_slice() else {
        let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(wrong(format!("one population is expected under `/report`; found: {found}")));
    };
    let (root, mapping) = (format!("report/{population}"), format!("report/{population}/mapping"));
    let data = dataset(path, &file, &root, &["data"])?;
    let [rows, columns] = data.shape()[..] else {
        return Err(wrong(format!("`data` has the shape {:?}; two axes are expected", data.shape())));
    };
    let values = if rows == 0 || columns == 0 { Vec::new() } else { data.read_numeric_as::<f32>().map_err(failed)? };
    let nodes = numbers::<u64>(path, &file, &mapping, &["node_ids", "gids"])?;
    let pointers = numbers::<u64>(path, &file, &mapping, &["index_pointers", "index_pointer"])?;
    let node_ids = spread(&nodes, &pointers, columns)
        .ok_or_else(|| wrong(format!("`mapping` does not describe the {columns} columns of `data`")))?;
    let time = numbers::<f64>(path, &file, &mapping, &["time"])?;
    let [start, _, interval] = time[..] else {
        return Err(wrong(format!(
            "/{mapping}/time: it has {} numbers; start, stop and interval are expected",
            time.len()
        )));
    };
    if !(start.is_finite() && interval.is_finite()) {
        return Err(wrong(format!("/{mapping}/time: it is {time:?}; finite numbers are expected")));
    }
    let times_ms = (0..rows).map(|row| start + row as f64 * interval).collect();
    let attribute = |name| data.attr(name).and_then(|a| a.read_string()).unwrap_or_default();
    Ok(Report {
        population: population.clone(),
        variable: attribute("variable"),
        unit: attribute("units"),
        node_ids,
        times_ms,
        data: if columns == 0 { vec![Vec::new(); rows] } else { values.chunks(columns).map(<[f32]>::to_vec).collect() },
    })
}

/// The first data set there is of these names in a group.
fn dataset(path: &Path, file: &H5File, group: &str, names: &[&str]) -> Result<H5Dataset> {
    let failed = |e| hdf5_error(path, "read", e);
    let there = file.root_group().group(group).and_then(|g| g.dataset_names()).map_err(failed)?;
    match names.iter().find(|name| there.iter().any(|t| t == *name)) {
        Some(name) => open_dataset(path, file, &format!("{group}/{name}")),
        None => Err(Error::format(path, format!("`/{group}` has no data set `{}`", names[0]))),
    }
}

fn numbers<T: rust_hdf5::ReadNumeric>(path: &Path, file: &H5File, group: &str, names: &[&str]) -> Result<Vec<T>> {
    dataset(path, file, group, names)?.read_numeric_as().map_err(|e| hdf5_error(path, "read", e))
}

/// The node of each column, from the half-open ranges of columns of each node.
fn spread(nodes: &[u64], pointers: &[u64], columns: usize) -> Option<Vec<u64>> {
    if pointers.len() != nodes.len() + 1 || pointers.last() != Some(&(columns as u64)) {
        return None;
    }
    let mut spread = vec![0; columns];
    for (&node, range) in nodes.iter().zip(pointers.windows(2)) {
        // Ranges that overlap would be filled again and again.
        if range[1] < range[0] {
            return None;
        }
        spread.get_mut(range[0] as usize..range[1] as usize)?.fill(node);
    }
    Some(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_find_their_nodes() {
        assert_eq!(spread(&[7, 9], &[0, 2, 3], 3), Some(vec![7, 7, 9]));
        assert_eq!(spread(&[7, 9], &[0, 2, 3], 4), None);
        assert_eq!(spread(&[7, 9], &[0, 9, 3], 3), None);
        assert_eq!(spread(&[7, 9], &[2, 1, 3], 3), None);
    }
}
