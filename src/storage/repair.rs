//! Making a result file readable again after the run that wrote it was killed.

use super::hdf5_stream::{CREATOR, CREATOR_NAME, hdf5_error};
use super::read_spikes::{open_hdf5, population_of_npy};
use super::repair_plain;
use crate::claims::check_dataset;
use crate::error::{Error, Result};
use rust_hdf5::format::superblock::SuperblockV2V3;
use rust_hdf5::{FileLocking, H5File, Hdf5Error};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What [`repair`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repaired {
    /// The file was complete; nothing was changed.
    Intact,
    /// The file was left open by a run that died; it now holds everything that run had acknowledged.
    Recovered,
}

/// Makes a result file of this program readable that a killed run or a full disk left unfinished. What the run had
/// acknowledged before is kept.
///
/// In an HDF5 file the mark that it is still being written is cleared, and data sets that belong together are brought to
/// the same length. A last line without an end is cut off a table (`.csv`). The two arrays of a population (`.npy`, either
/// of them) are brought to the length of the shorter.
///
/// Only for files whose run has ended: a file that is being written looks the same as one whose writer died.
///
/// # Errors
/// The file cannot be read or written, or is not one of this program.
pub fn repair(path: impl AsRef<Path>) -> Result<Repaired> {
    let path = path.as_ref();
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    match (path.extension().and_then(|e| e.to_str()), population_of_npy(name)) {
        (Some("csv"), _) => repair_plain::table(path),
        (Some("npy"), Some(population)) => repair_plain::arrays(path.parent().unwrap_or(Path::new("")), population),
        _ => repair_hdf5(path),
    }
}

/// The files in a folder that [`repair`] can look after, sorted: HDF5 files, tables of spikes and rates, and of every pair
/// of arrays the first.
///
/// # Errors
/// The folder cannot be read.
pub fn repairable(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let folder = folder.as_ref();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, "read", e))? {
        let path = entry.map_err(|e| Error::io(folder, "read", e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let takes = match path.extension().and_then(|e| e.to_str()) {
            Some("h5") => !name.starts_with('.'),
            Some("csv") => repair_plain::is_table(&path),
            Some("npy") => name.ends_with("_times.npy") && population_of_npy(name).is_some(),
            _ => false,
        };
        if takes {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn repair_hdf5(path: &Path) -> Result<Repaired> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| Error::io(path, "open", e))?;
    let mut superblock = read_superblock(path, &mut file)?;
    let flags = superblock.file_consistency_flags;
    if flags == 0 {
        return Ok(Repaired::Intact);
    }
    refuse_foreign(path)?;
    // Readers refuse a file that is shorter than it says.
    let len = file.metadata().map_err(|e| Error::io(path, "read", e))?.len();
    if len < superblock.end_of_file_address {
        let end = superblock.end_of_file_address;
        return Err(Error::format(
            path,
            format!("it has {len} bytes of the {end} it says; it was cut and cannot be repaired"),
        ));
    }
    let uneven = is_uneven(path)?;
    superblock.file_consistency_flags = 0;
    write_superblock(path, &mut file, &superblock)?;
    if uneven && let Err(e) = level(path) {
        // The mark tells the next attempt that there is something left to do.
        superblock.file_consistency_flags = flags;
        write_superblock(path, &mut file, &superblock)?;
        return Err(hdf5_error(path, "repair", e));
    }
    Ok(Repaired::Recovered)
}

fn write_superblock(path: &Path, file: &mut File, superblock: &SuperblockV2V3) -> Result<()> {
    let mut attempt = || {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&superblock.encode())?;
        file.sync_all()
    };
    attempt().map_err(|e| Error::io(path, "write", e))
}

fn read_superblock(path: &Path, file: &mut File) -> Result<SuperblockV2V3> {
    let mut bytes = [0; 48];
    file.read_exact(&mut bytes).map_err(|e| Error::io(path, "read", e))?;
    SuperblockV2V3::decode(&bytes).map_err(|e| Error::format(path, format!("it does not begin as HDF5 files do: {e}")))
}

fn refuse_foreign(path: &Path) -> Result<()> {
    match open_hdf5(path)?.attr_string(CREATOR) {
        Ok(creator) if creator == CREATOR_NAME => Ok(()),
        _ => Err(Error::format(path, "it was not written by this program; only its own files are repaired")),
    }
}

/// Whether data sets that belong together differ in length. Their lengths are written one after the other; a kill between
/// two leaves one ahead. To mend that takes room on the disk, which clearing the mark does not.
fn is_uneven(path: &Path) -> Result<bool> {
    let file = open_hdf5(path)?;
    let examine = || -> Result<bool, Hdf5Error> {
        for population in populations(&file, "spikes")? {
            let rows = |name| file.dataset(&format!("spikes/{population}/{name}")).map(|d| d.shape().first().copied());
            if rows("timestamps")? != rows("node_ids")? {
                return Ok(true);
            }
        }
        for population in populations(&file, "report")? {
            if end_to_correct(&file, &population)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    };
    examine().map_err(|e| hdf5_error(path, "read", e))
}

/// Names of the populations under a group, which need not be there.
fn populations(file: &H5File, group: &str) -> Result<Vec<String>, Hdf5Error> {
    let root = file.root_group();
    if root.group_names()?.iter().any(|g| g == group) { root.group(group)?.group_names() } else { Ok(Vec::new()) }
}

/// What the times of a report must be by the number of its samples, if they are something else.
fn end_to_correct(reader: &H5File, population: &str) -> Result<Option<[f64; 3]>, Hdf5Error> {
    let rows = reader.dataset(&format!("report/{population}/data"))?.shape().first().copied().unwrap_or(0);
    let time = reader.dataset(&format!("report/{population}/mapping/time"))?;
    if time.shape() != [3] || check_dataset(&time, 1 << 20).is_err() {
        return Ok(None);
    }
    let [start, stop, interval] = time.read_raw::<f64>()?[..] else { return Ok(None) };
    let end = start + rows as f64 * interval;
    Ok(((stop - end).abs() > 0.5 * interval).then_some([start, end, interval]))
}

/// Brings data sets that belong together to the same length.
fn level(path: &Path) -> Result<(), Hdf5Error> {
    let reader = H5File::options().locking(FileLocking::BestEffort).open(path)?;
    let reports = populations(&reader, "report")?;
    let ends: Result<Vec<_>, _> = reports.iter().map(|population| end_to_correct(&reader, population)).collect();
    let ends = ends?;
    drop(reader);
    let file = H5File::options().locking(FileLocking::BestEffort).open_rw(path)?;
    for population in populations(&file, "spikes")? {
        let names = ["timestamps", "node_ids"].map(|name| format!("spikes/{population}/{name}"));
        let [times, ids] = [file.dataset_writer(&names[0])?, file.dataset_writer(&names[1])?];
        let both = times.shape()[0].min(ids.shape()[0]);
        for data in [times, ids] {
            if data.shape()[0] > both {
                data.set_extent(&[both])?;
            }
        }
    }
    for (population, end) in reports.iter().zip(ends) {
        if let Some(time) = end {
            file.dataset_writer(&format!("report/{population}/mapping/time"))?.write_raw(&time)?;
        }
    }
    file.close()
}
