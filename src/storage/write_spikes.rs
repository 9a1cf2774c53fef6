//! Spikes that are there already, written as files in any of the formats.

use super::PopulationSpikes;
use super::aside;
use super::csv_spikes;
use super::hdf5_stream::refuse_existing;
use super::npy_spikes::{self, Pair};
use super::read_spikes::population_of_npy;
use super::record_file::RecordFile;
use super::sonata_file::SonataFile;
use crate::error::{Error, Fault, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

/// How spikes are kept in files (`docs/results.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpikeFormat {
    /// A SONATA spike file.
    Sonata,
    /// A table of text.
    Csv,
    /// A folder with a pair of arrays for each population.
    Npy,
}

impl SpikeFormat {
    /// The format that the name of a file or folder asks for: `.h5` for SONATA, `.csv` for a table, no extension (or an
    /// existing folder) for arrays.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => Some(Self::Npy),
            Some("h5" | "hdf5") => Some(Self::Sonata),
            Some("csv") => Some(Self::Csv),
            None => Some(Self::Npy),
            Some(_) => None,
        }
    }
}

/// Writes the spikes of populations, as the recorder of the same format would have written them in one run: those of all
/// populations in order of time and, at one time, of populations.
///
/// `path` is a file, for arrays a folder that need not exist. What is there already is replaced only with `overwrite`,
/// and only when the new file is whole.
///
/// # Errors
/// [`Error::WouldOverwrite`]; [`Error::Invalid`] with everything that keeps the spikes from being written in this format;
/// [`Error::Io`].
pub fn write_spikes(
    path: impl AsRef<Path>,
    format: SpikeFormat,
    populations: &[PopulationSpikes],
    overwrite: bool,
) -> Result<()> {
    let path = path.as_ref();
    check(format, populations)?;
    match format {
        SpikeFormat::Npy => write_arrays(path, populations, overwrite),
        _ if !overwrite => {
            refuse_existing(path)?;
            write_file(path, format, populations)
        }
        _ => write_file(path, format, populations),
    }
}

/// Everything that keeps the spikes from being written, at once.
fn check(format: SpikeFormat, populations: &[PopulationSpikes]) -> Result<()> {
    let separators: &[char] = match format {
        SpikeFormat::Sonata => &['/', '\0'],
        SpikeFormat::Csv => &csv_spikes::SEPARATORS,
        SpikeFormat::Npy => &npy_spikes::SEPARATORS,
    };
    let mut faults = Vec::new();
    for (i, p) in populations.iter().enumerate() {
        let mut fault = |message: String| faults.push(Fault::new(format!("spikes.{}", p.name), message));
        if p.name.is_empty() || p.name == "." || p.name == ".." {
            fault(format!("`{}` cannot be the name of a population", p.name));
        }
        if let Some(c) = p.name.chars().find(|c| separators.contains(c)) {
            fault(format!("the name of population `{}` has a {c:?}, which this format cannot hold", p.name));
        }
        if populations[..i].iter().any(|other| other.name == p.name) {
            fault(format!("there are two populations `{}`", p.name));
        }
        if p.times_ms.len() != p.ids.len() {
            fault(format!("there are {} times and {} ids", p.times_ms.len(), p.ids.len()));
        }
        if let Some(time) = p.times_ms.iter().find(|t| !t.is_finite()) {
            fault(format!("{time} is not the time of a spike"));
        } else if !p.times_ms.is_sorted() {
            fault("the times are not in order".to_owned());
        }
        if let Some(id) = p.ids.iter().find(|&&id| p.size > 0 && id >= p.size) {
            fault(format!("there is no neuron {id}; the population has {}", p.size));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// Calls `put(population, time, id)` for all spikes in order of time and, at one time, of populations.
fn merged(populations: &[PopulationSpikes], mut put: impl FnMut(usize, f64, u32) -> Result<()>) -> Result<()> {
    /// Times that are numbers, in their order.
    #[derive(PartialEq)]
    struct Time(f64);
    impl Eq for Time {}
    impl PartialOrd for Time {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Time {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            // Negative zero is not before zero.
            self.0.partial_cmp(&other.0).unwrap_or(std::cmp::Ordering::Equal)
        }
    }
    let head = |slot: usize, at: usize| populations[slot].times_ms.get(at).map(|&t| Reverse((Time(t), slot)));
    let mut at = vec![0; populations.len()];
    let mut heads: BinaryHeap<_> = (0..populations.len()).filter_map(|slot| head(slot, 0)).collect();
    while let Some(Reverse((Time(time), slot))) = heads.pop() {
        let spikes = &populations[slot];
        while spikes.times_ms.get(at[slot]) == Some(&time) {
            put(slot, spikes.times_ms[at[slot]], spikes.ids[at[slot]])?;
            at[slot] += 1;
        }
        heads.extend(head(slot, at[slot]));
    }
    Ok(())
}

fn write_file(path: &Path, format: SpikeFormat, populations: &[PopulationSpikes]) -> Result<()> {
    if format == SpikeFormat::Sonata {
        let described: Vec<_> = populations.iter().map(|p| (p.name.as_str(), p.size)).collect();
        let mut file = SonataFile::create_beside(path, &described)?;
        merged(populations, |slot, time, id| file.push(slot, time, id))?;
        return file.close();
    }
    beside(&[path], |parts| {
        let mut file = RecordFile::create(&parts[0], format!("{}\n", csv_spikes::HEADER).as_bytes())?;
        merged(populations, |slot, time, id| csv_spikes::put(&mut file, time, &populations[slot].name, id))?;
        file.sync()
    })
}

fn write_arrays(folder: &Path, populations: &[PopulationSpikes], overwrite: bool) -> Result<()> {
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", e))? {
            let name = entry.map_err(|e| Error::io(folder, "read", e))?.file_name();
            let found = name.to_string_lossy().into_owned();
            let Some(population) = population_of_npy(&found) else { continue };
            if !overwrite {
                return Err(Error::WouldOverwrite { path: folder.to_owned(), found });
            }
            if !populations.iter().any(|p| p.name == population) {
                let message = format!(
                    "it has spikes of a population `{population}`, which would seem to belong to these; choose another folder"
                );
                return Err(Error::format(folder, message));
            }
        }
    } else {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", e))?;
    }
    for spikes in populations {
        let paths = npy_spikes::file_names(&spikes.name).map(|name| folder.join(name));
        beside(&[&paths[0], &paths[1]], |parts| {
            let mut pair = Pair::create(&[parts[0].clone(), parts[1].clone()])?;
            spikes.times_ms.iter().zip(&spikes.ids).try_for_each(|(&time, &id)| pair.push(time, id))?;
            pair.sync()
        })?;
    }
    Ok(())
}

/// Lets `write` write files beside `targets`, and puts them in their places when all are whole.
fn beside(targets: &[&Path], write: impl FnOnce(&[std::path::PathBuf]) -> Result<()>) -> Result<()> {
    let parts: Vec<_> = targets.iter().map(|target| aside::part_of(target)).collect();
    let attempt = || {
        targets.iter().try_for_each(|target| aside::remove_leftover(target))?;
        write(&parts)?;
        targets.iter().try_for_each(|target| aside::put_in_place(target))
    };
    attempt().inspect_err(|_| {
        for part in &parts {
            let _ = std::fs::remove_file(part);
        }
    })
}
