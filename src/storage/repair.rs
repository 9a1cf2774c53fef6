//! Making a result file readable again after the run that wrote it was killed.

use super::hdf5_stream::{CREATOR, CREATOR_NAME, hdf5_error};
use super::read_spikes::open_hdf5;
use crate::error::{Error, Result};
use rust_hdf5::format::superblock::SuperblockV2V3;
use rust_hdf5::{FileLocking, H5File, Hdf5Error};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What [`repair`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repaired {
    /// The file was complete; nothing was changed.
    Intact,
    /// The file was left open by a run that died; it now holds everything that run had acknowledged.
    Recovered,
}

/// Clears the mark of an HDF5 result file of this program that it is still being written, and brings its data sets to
/// the same length, so that every reader opens it. What the run had acknowledged before it died is kept.
///
/// Only for files whose run has ended: a file that is being written looks the same as one whose writer died.
///
/// # Errors
/// The file cannot be read or written, or is not an HDF5 file of this program.
pub fn repair(path: impl AsRef<Path>) -> Result<Repaired> {
    let path = path.as_ref();
    let io = |action| move |e| Error::io(path, action, e);
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io("open"))?;
    let mut superblock = read_superblock(path, &mut file)?;
    if superblock.file_consistency_flags == 0 {
        return Ok(Repaired::Intact);
    }
    refuse_foreign(path)?;
    superblock.file_consistency_flags = 0;
    file.seek(SeekFrom::Start(0)).map_err(io("write"))?;
    file.write_all(&superblock.encode()).map_err(io("write"))?;
    file.sync_all().map_err(io("write"))?;
    drop(file);
    level(path).map_err(|e| hdf5_error(path, "repair", e))?;
    Ok(Repaired::Recovered)
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

/// The lengths of data sets that belong together are written one after the other; a kill between two leaves one ahead.
fn level(path: &Path) -> Result<(), Hdf5Error> {
    let file = H5File::options().locking(FileLocking::BestEffort).open_rw(path)?;
    let root = file.root_group();
    let groups = root.group_names()?;
    if groups.iter().any(|g| g == "spikes") {
        for population in root.group("spikes")?.group_names()? {
            let names = ["timestamps", "node_ids"].map(|name| format!("spikes/{population}/{name}"));
            let [times, ids] = [file.dataset_writer(&names[0])?, file.dataset_writer(&names[1])?];
            let both = times.shape()[0].min(ids.shape()[0]);
            for data in [times, ids] {
                if data.shape()[0] > both {
                    data.set_extent(&[both])?;
                }
            }
        }
    }
    if groups.iter().any(|g| g == "report") {
        for population in root.group("report")?.group_names()? {
            let rows = file.dataset_writer(&format!("report/{population}/data"))?.shape()[0];
            let name = format!("report/{population}/mapping/time");
            let time = {
                let reader = open_hdf5(path).map_err(|e| Hdf5Error::InvalidState(e.to_string()))?;
                reader.dataset(&name)?.read_raw::<f64>()?
            };
            let [start, stop, interval] = time[..] else { continue };
            let end = start + rows as f64 * interval;
            if (stop - end).abs() > 0.5 * interval {
                file.dataset_writer(&name)?.write_raw(&[start, end, interval])?;
            }
        }
    }
    file.close()
}
