//! Reading spikes back, in any of the formats written.

use super::PopulationSpikes;
use super::csv_spikes;
use super::hdf5_stream::hdf5_error;
use super::npy_spikes;
use super::run_record::RunRecord;
use super::sonata_file::SIZE_ATTRIBUTE;
use crate::claims::{check_dataset, check_npy_header};
use crate::error::{Error, Result};
use rust_hdf5::{FileLocking, H5Dataset, H5File};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Reads the spikes of every population from a file (`.h5`, `.csv`, or either of an NPY pair) or an output folder
/// (`spikes.h5`, else `spikes.csv`, else `spikes_*_times.npy`; sizes that the format does not hold come from
/// `run.json`).
///
/// Populations come in the order of the network where the folder has a `run.json`, else in that of the file. SONATA
/// files of other programs are read too, those of its first version as one population without a name; spikes that are
/// not in order of time are put in order.
///
/// # Errors
/// There are no spikes, a file cannot be read, or its content is not what it should be.
pub fn read_spikes(path: impl AsRef<Path>) -> Result<Vec<PopulationSpikes>> {
    let path = path.as_ref();
    let about = std::fs::metadata(path).map_err(|e| Error::io(path, "open", e))?;
    let mut populations = if about.is_dir() { read_folder(path)? } else { read_file(path)? };
    let folder = if about.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let record = folder.join("run.json");
    if record.is_file() {
        complete(&mut populations, &RunRecord::read(&record)?);
    }
    Ok(populations)
}

/// Whether a file or folder is one [`read_spikes`] reads, by its content as far as its beginning tells.
pub fn holds_spikes(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    match path.extension().and_then(|e| e.to_str()) {
        _ if path.is_dir() => {
            let known = |name: &str| ["spikes.h5", "spikes.csv"].contains(&name) || population_of_npy(name).is_some();
            let names = std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.file_name());
            names.into_iter().any(|name| name.to_str().is_some_and(known))
        }
        Some("h5" | "hdf5") => open_hdf5(path).is_ok_and(|file| file.root_group().group("spikes").is_ok()),
        Some("csv") => {
            let mut line = Vec::new();
            let most = csv_spikes::HEADER.len() as u64 + 2;
            let read = File::open(path).and_then(|f| BufReader::new(f.take(most)).read_until(b'\n', &mut line));
            read.is_ok() && line.trim_ascii_end() == csv_spikes::HEADER.as_bytes()
        }
        Some("npy") => population_of_npy(name).is_some(),
        _ => false,
    }
}

/// Sizes and order of the populations as the run's record has them.
fn complete(populations: &mut [PopulationSpikes], record: &RunRecord) {
    let place = |name: &str| record.populations.0.iter().position(|(n, _)| n == name);
    for population in populations.iter_mut() {
        if let (0, Some(i)) = (population.size, place(&population.name)) {
            population.size = record.populations.0[i].1;
        }
    }
    populations.sort_by_key(|p| place(&p.name).unwrap_or(usize::MAX));
}

fn read_folder(folder: &Path) -> Result<Vec<PopulationSpikes>> {
    for name in ["spikes.h5", "spikes.csv"] {
        let file = folder.join(name);
        if file.is_file() {
            return read_file(&file);
        }
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", e))? {
        let entry = entry.map_err(|e| Error::io(folder, "read", e))?;
        if let Some(name) = entry.file_name().to_str().and_then(population_of_npy) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        let message = "there are no spikes (no spikes.h5, spikes.csv or spikes_*_times.npy)";
        return Err(Error::format(folder, message));
    }
    names.iter().map(|name| read_npy(folder, name)).collect()
}

/// Population of either file of an NPY pair.
pub(super) fn population_of_npy(file: &str) -> Option<&str> {
    let rest = file.strip_prefix("spikes_")?;
    rest.strip_suffix("_times.npy").or_else(|| rest.strip_suffix("_ids.npy"))
}

fn read_file(path: &Path) -> Result<Vec<PopulationSpikes>> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    match path.extension().and_then(|e| e.to_str()) {
        Some("h5" | "hdf5") => read_sonata(path),
        Some("csv") => read_csv(path),
        Some("npy") if population_of_npy(name).is_some() => {
            let population = population_of_npy(name).unwrap_or_default();
            Ok(vec![read_npy(path.parent().unwrap_or(Path::new("")), population)?])
        }
        _ => Err(Error::format(path, "spikes are read from .h5, .csv or spikes_<population>_times.npy files")),
    }
}

/// Opens an HDF5 file for reading, also while it is being written and where the file system has no locks.
pub(super) fn open_hdf5(path: &Path) -> Result<H5File> {
    H5File::options().locking(FileLocking::BestEffort).open(path).map_err(|e| hdf5_error(path, "read", e))
}

fn read_sonata(path: &Path) -> Result<Vec<PopulationSpikes>> {
    let failed = |e| hdf5_error(path, "read", e);
    let file = open_hdf5(path)?;
    let spikes = file
        .root_group()
        .group("spikes")
        .map_err(|_| Error::format(path, "there is no group `/spikes`; it is not a SONATA spike file"))?;
    // The first files of the format had no populations: their spikes stand in the group itself.
    if spikes.dataset_names().map_err(failed)?.iter().any(|name| name == "timestamps") {
        return Ok(vec![read_group(path, &file, "", "spikes", "gids")?]);
    }
    let names = spikes.group_names().map_err(failed)?;
    names.iter().map(|name| read_group(path, &file, name, &format!("spikes/{name}"), "node_ids")).collect()
}

fn read_group(path: &Path, file: &H5File, name: &str, group: &str, ids: &str) -> Result<PopulationSpikes> {
    let failed = |e| hdf5_error(path, "read", e);
    let times = open_dataset(path, file, &format!("{group}/timestamps"))?;
    let ids = open_dataset(path, file, &format!("{group}/{ids}"))?;
    let size = ids.attr(SIZE_ATTRIBUTE).and_then(|a| a.read_numeric_as::<u64>()).unwrap_or_default();
    let size = size.first().map_or(0, |&n| u32::try_from(n).unwrap_or(0));
    let times_ms: Vec<f64> = times.read_numeric_as().map_err(failed)?;
    let ids: Vec<u64> = ids.read_numeric_as().map_err(failed)?;
    let too_large = |id| Error::format(path, format!("`/{group}` has a spike of node {id}; ids end below 2^32"));
    let ids: Result<Vec<u32>> = ids.into_iter().map(|id| u32::try_from(id).map_err(|_| too_large(id))).collect();
    ordered(path, PopulationSpikes { name: name.to_owned(), size, times_ms, ids: ids? })
}

/// Opens a data set that the file can hold.
pub(super) fn open_dataset(path: &Path, file: &H5File, name: &str) -> Result<H5Dataset> {
    let wrong = |why: String| Error::format(path, format!("/{name}: {why}"));
    let data = file.dataset(name).map_err(|e| match hdf5_error(path, "read", e) {
        Error::Format { message, .. } => wrong(message),
        other => other,
    })?;
    let len = std::fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len();
    check_dataset(&data, len).map_err(wrong)?;
    Ok(data)
}

/// Checks lengths and puts the spikes in order of time.
fn ordered(path: &Path, spikes: PopulationSpikes) -> Result<PopulationSpikes> {
    let PopulationSpikes { name, size, mut times_ms, mut ids } = spikes;
    if let Some(bad) = times_ms.iter().position(|time| !time.is_finite()) {
        let message = format!("population `{name}` has a spike (number {bad}) at {} ms", times_ms[bad]);
        return Err(Error::format(path, message));
    }
    if times_ms.len() != ids.len() {
        let (times, ids) = (times_ms.len(), ids.len());
        let message = format!(
            "population `{name}` has {times} times and {ids} ids; a run that was killed leaves such files, which `tessera repair` mends"
        );
        return Err(Error::format(path, message));
    }
    if !times_ms.is_sorted() {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by(|&a, &b| times_ms[a].total_cmp(&times_ms[b]));
        times_ms = order.iter().map(|&i| times_ms[i]).collect();
        ids = order.iter().map(|&i| ids[i]).collect();
    }
    Ok(PopulationSpikes { name, size, times_ms, ids })
}

fn read_csv(path: &Path) -> Result<Vec<PopulationSpikes>> {
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    let mut lines = BufReader::with_capacity(256 * 1024, file);
    let mut line = String::new();
    let mut populations: Vec<PopulationSpikes> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut last = 0;
    for number in 1_u64.. {
        line.clear();
        if lines.read_line(&mut line).map_err(|e| Error::io(path, "read", e))? == 0 {
            break;
        }
        let text = line.trim_end_matches(['\n', '\r']);
        if number == 1 {
            if text != csv_spikes::HEADER {
                let expected = csv_spikes::HEADER;
                return Err(Error::format(path, format!("line 1 is `{text}`; `{expected}` is expected")));
            }
            continue;
        }
        let (Some((time, name, id)), true) = (parse_csv(text), line.ends_with('\n')) else {
            let message = format!("line {number} is `{text}`; a time, a population and an id are expected");
            return Err(Error::format(path, message));
        };
        if populations.get(last).is_none_or(|p| p.name != name) {
            last = known.get(name).copied().unwrap_or_else(|| {
                populations.push(PopulationSpikes { name: name.to_owned(), ..PopulationSpikes::default() });
                known.insert(name.to_owned(), populations.len() - 1);
                populations.len() - 1
            });
        }
        populations[last].times_ms.push(time);
        populations[last].ids.push(id);
    }
    populations.into_iter().map(|p| ordered(path, p)).collect()
}

fn parse_csv(line: &str) -> Option<(f64, &str, u32)> {
    let mut cells = line.split(',');
    let (time, name, id) = (cells.next()?, cells.next()?, cells.next()?);
    if cells.next().is_some() {
        return None;
    }
    Some((time.parse().ok().filter(|time: &f64| time.is_finite())?, name, id.parse().ok()?))
}

fn read_npy(folder: &Path, population: &str) -> Result<PopulationSpikes> {
    let [times, ids] = npy_spikes::file_names(population).map(|name| folder.join(name));
    let (times_ms, ids) = (read_array::<f64>(&times)?, read_array::<u32>(&ids)?);
    ordered(folder, PopulationSpikes { name: population.to_owned(), size: 0, times_ms, ids })
}

fn read_array<T: npyz::Deserialize>(path: &Path) -> Result<Vec<T>> {
    let io = |e| Error::io(path, "read", e);
    let wrong = |why: &dyn std::fmt::Display| Error::format(path, format!("it is not the array expected: {why}"));
    let file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    check_npy_header(&mut reader).map_err(io)?.map_err(|why| wrong(&why))?;
    let array = npyz::NpyFile::new(reader).map_err(|e| wrong(&e))?;
    let bytes = array.shape().iter().try_fold(size_of::<T>() as u64, |bytes, n| bytes.checked_mul((*n).max(1)));
    if bytes.is_none_or(|bytes| bytes > len.max(size_of::<T>() as u64)) {
        let shape = array.shape();
        return Err(wrong(&format!("its shape is {shape:?}, more than a file of {len} bytes can hold")));
    }
    array.into_vec().map_err(|e| wrong(&e))
}
