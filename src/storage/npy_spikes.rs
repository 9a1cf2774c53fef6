//! Spikes as NPY arrays, written while the simulation runs.

use super::cadence::{BATCH, Cadence, INTERVAL};
use super::hdf5_stream::refuse_existing;
use super::population_filter::Chosen;
use crate::engine::{Layout, Recorder, Spike};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Length of the header: enough for any number of spikes, so that it can be rewritten in place.
const HEADER: usize = 128;
const BUFFER: usize = 64 * 1024;

/// Writes `spikes_<population>_times.npy` (f64, ms) and `spikes_<population>_ids.npy` (u32) into a folder, for every
/// population a pair, in order of time and, within a step, of neurons.
///
/// The headers are brought up to date about every 65,536 spikes and every five seconds: a killed run leaves valid
/// arrays, the ids possibly one batch behind or ahead of the times.
pub struct NpySpikes {
    folder: PathBuf,
    populations: Option<Vec<String>>,
    open: Option<Open>,
}

struct Open {
    dt: f64,
    chosen: Chosen,
    tracks: Vec<Track>,
    cadence: Cadence,
}

struct Track {
    times: Array,
    ids: Array,
}

/// A one-dimensional NPY array that grows.
struct Array {
    path: PathBuf,
    dtype: &'static str,
    file: BufWriter<File>,
    len: u64,
}

/// Names of the two files of a population.
pub(super) fn file_names(population: &str) -> [String; 2] {
    [format!("spikes_{population}_times.npy"), format!("spikes_{population}_ids.npy")]
}

impl NpySpikes {
    /// A recorder of the named populations, or of all, into an existing folder. The files are made when the
    /// simulation starts; existing ones are never replaced.
    ///
    /// # Errors
    /// The folder does not exist.
    pub fn create(folder: impl AsRef<Path>, populations: Option<Vec<String>>) -> Result<Self> {
        let folder = folder.as_ref().to_owned();
        std::fs::metadata(&folder).map_err(|e| Error::io(&folder, "open", e))?;
        Ok(Self { folder, populations, open: None })
    }
}

impl Array {
    fn create(path: PathBuf, dtype: &'static str) -> Result<Self> {
        refuse_existing(&path)?;
        let file = File::create_new(&path).map_err(|e| Error::io(&path, "create", e))?;
        let mut array = Self { path, dtype, file: BufWriter::with_capacity(BUFFER, file), len: 0 };
        array.put(&header(array.dtype, 0))?;
        Ok(array)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.path, "write", e))
    }

    /// Writes what is buffered and then the header that says so.
    fn settle(&mut self) -> Result<()> {
        let header = header(self.dtype, self.len);
        let attempt = |file: &mut BufWriter<File>| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.seek(SeekFrom::End(0))?;
            Ok(())
        };
        attempt(&mut self.file).map_err(|e| Error::io(&self.path, "write", e))
    }
}

/// Header of format version 1.0 for `len` elements, always [`HEADER`] bytes long.
fn header(dtype: &str, len: u64) -> [u8; HEADER] {
    let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({len},), }}");
    let mut header = [b' '; HEADER];
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    header[8..10].copy_from_slice(&((HEADER - 10) as u16).to_le_bytes());
    header[10..10 + text.len()].copy_from_slice(text.as_bytes());
    header[HEADER - 1] = b'\n';
    header
}

impl Open {
    fn flush(&mut self) -> Result<()> {
        for track in &mut self.tracks {
            track.times.settle()?;
            track.ids.settle()?;
        }
        self.cadence.done();
        Ok(())
    }
}

impl Recorder for NpySpikes {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let chosen = Chosen::new("NpySpikes", layout, self.populations.as_deref())?;
        chosen.refuse_in_names("NpySpikes", &['/', '\\', '\0'])?;
        let mut tracks = Vec::with_capacity(chosen.slots().len());
        for slot in chosen.slots() {
            let [times, ids] = file_names(&slot.name).map(|name| self.folder.join(name));
            tracks.push(Track { times: Array::create(times, "<f8")?, ids: Array::create(ids, "<u4")? });
        }
        self.open = Some(Open { dt: layout.dt, chosen, tracks, cadence: Cadence::new(BATCH, INTERVAL) });
        Ok(())
    }

    fn spikes(&mut self, _from: u64, _to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        for &spike in spikes {
            let Some((slot, id)) = open.chosen.locate(spike) else { continue };
            let Track { times, ids } = &mut open.tracks[slot];
            let time = (spike.step + 1) as f64 * open.dt;
            times.put(&time.to_le_bytes())?;
            times.len += 1;
            ids.put(&id.to_le_bytes())?;
            ids.len += 1;
            open.cadence.add(1);
        }
        if open.cadence.due() { open.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.flush()?;
        for array in open.tracks.into_iter().flat_map(|t| [t.times, t.ids]) {
            let Array { path, file, .. } = array;
            let file = file.into_inner().map_err(|e| Error::io(&path, "write", e.into_error()))?;
            file.sync_all().map_err(|e| Error::io(&path, "write", e))?;
        }
        Ok(())
    }
}

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either.
impl Drop for NpySpikes {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_has_its_length_for_any_count() {
        for len in [0, 1, u64::MAX] {
            let h = header("<f8", len);
            assert_eq!(h[HEADER - 1], b'\n');
            let parsed = npyz::NpyFile::new(&h[..]).unwrap();
            assert_eq!(parsed.shape(), [len]);
        }
    }
}
