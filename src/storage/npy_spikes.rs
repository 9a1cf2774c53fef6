//! Spikes as NPY arrays, written while the simulation runs.

use super::Named;
use super::cadence::{BATCH, Cadence, INTERVAL};
use super::hdf5_stream::refuse_existing;
use super::place;
use super::population_filter::Chosen;
use super::record_file::RecordFile;
use crate::engine::{Layout, Recorder, Spike};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "NpySpikes";
/// Length of the header: enough for any number of spikes, so that it can be rewritten in place.
pub(super) const HEADER: usize = 128;
/// Types of the elements of the two arrays: f64 and u32.
pub(super) const DTYPES: [&str; 2] = ["<f8", "<u4"];

/// Writes `spikes_<population>_times.npy` (f64, ms) and `spikes_<population>_ids.npy` (u32) into a folder, for every
/// population a pair, in order of time and, within a step, of neurons.
///
/// The headers are brought up to date about every million spikes and every five seconds: a killed run leaves valid
/// arrays, the ids possibly one batch behind the times ([`super::repair`] brings them to the same length).
pub struct NpySpikes {
    folder: PathBuf,
    populations: Option<Vec<String>>,
    batch: usize,
    interval: Duration,
    open: Option<Open>,
}

struct Open {
    dt: f64,
    chosen: Chosen,
    tracks: Vec<Pair>,
    cadence: Cadence,
}

/// The two arrays of a population.
pub(super) struct Pair {
    times: Array,
    ids: Array,
}

/// A one-dimensional NPY array that grows.
struct Array {
    dtype: &'static str,
    file: RecordFile,
    len: u64,
    /// The length the header says, where it is known.
    said: Option<u64>,
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
        let folder = folder.as_ref();
        std::fs::metadata(folder).map_err(|e| Error::io(folder, "open", e))?;
        Ok(Self::resuming(folder, populations))
    }

    /// A recorder that goes on in the files of an earlier run of the same network ([`Recorder::resume`]). Nothing is
    /// changed before the run goes on.
    pub fn resuming(folder: impl AsRef<Path>, populations: Option<Vec<String>>) -> Self {
        Self { folder: folder.as_ref().to_owned(), populations, batch: BATCH, interval: INTERVAL, open: None }
    }

    /// Hands spikes to the system whenever `batch` of them wait or the oldest has waited for `interval`.
    #[must_use]
    pub fn with_cadence(mut self, batch: usize, interval: Duration) -> Self {
        self.batch = batch.max(1);
        self.interval = interval;
        self
    }

    fn chosen(&self, layout: &Layout) -> Result<Chosen> {
        let chosen = Chosen::new(NAME, layout, self.populations.as_deref())?;
        chosen.refuse_in_names(NAME, &SEPARATORS)?;
        Ok(chosen)
    }

    fn paths(&self, population: &str) -> [PathBuf; 2] {
        file_names(population).map(|name| self.folder.join(name))
    }

    fn record_into(&mut self, tracks: Vec<Pair>, dt: f64, chosen: Chosen) {
        let cadence = Cadence::new(self.batch, self.interval);
        self.open = Some(Open { dt, chosen, tracks, cadence });
    }
}

/// Characters that no file name can have.
pub(super) const SEPARATORS: [char; 3] = ['/', '\\', '\0'];

impl Array {
    fn create(path: &Path, dtype: &'static str) -> Result<Self> {
        refuse_existing(path)?;
        let file = RecordFile::create(path, &header(dtype, 0))?;
        Ok(Self { dtype, file, len: 0, said: Some(0) })
    }

    /// Opens an array to go on after its first `len` elements.
    fn reopen(path: &Path, dtype: &'static str, len: u64) -> Result<Self> {
        let bytes = len.saturating_mul(element_size(dtype)).saturating_add(HEADER as u64);
        let mut file = RecordFile::reopen(path, bytes)?;
        let found = file.read_at(0, HEADER)?;
        if length_in(&found, dtype).is_none() {
            let message = format!("it is not the array of `{dtype}` that was being written");
            return Err(Error::format(path, message));
        }
        Ok(Self { dtype, file, len, said: None })
    }

    fn put(&mut self, element: &[u8]) -> Result<()> {
        self.file.put(element)?;
        self.len += 1;
        Ok(())
    }

    /// Writes what is buffered and then the header that says so.
    fn settle(&mut self) -> Result<()> {
        self.file.flush()?;
        if self.said != Some(self.len) {
            self.file.replace_head(&header(self.dtype, self.len))?;
            self.said = Some(self.len);
        }
        Ok(())
    }
}

impl Pair {
    /// Makes two files that do not exist yet.
    pub(super) fn create(paths: &[PathBuf; 2]) -> Result<Self> {
        Ok(Self { times: Array::create(&paths[0], DTYPES[0])?, ids: Array::create(&paths[1], DTYPES[1])? })
    }

    fn reopen(paths: &[PathBuf; 2], len: u64) -> Result<Self> {
        Ok(Self { times: Array::reopen(&paths[0], DTYPES[0], len)?, ids: Array::reopen(&paths[1], DTYPES[1], len)? })
    }

    /// Adds a spike.
    pub(super) fn push(&mut self, time: f64, id: u32) -> Result<()> {
        self.times.put(&time.to_le_bytes())?;
        self.ids.put(&id.to_le_bytes())
    }

    fn both(&mut self) -> [&mut Array; 2] {
        [&mut self.times, &mut self.ids]
    }

    /// Puts everything on disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.both().into_iter().try_for_each(|array| array.settle().and_then(|()| array.file.sync()))
    }
}

pub(super) fn element_size(dtype: &str) -> u64 {
    if dtype == DTYPES[0] { 8 } else { 4 }
}

/// The number of elements by a header of ours, if it is one.
pub(super) fn length_in(found: &[u8], dtype: &str) -> Option<u64> {
    let text = std::str::from_utf8(found.get(10..)?).ok()?;
    let len = text.split_once("'shape': (")?.1.split_once(',')?.0.parse().ok()?;
    (header(dtype, len) == *found).then_some(len)
}

/// Header of format version 1.0 for `len` elements, always [`HEADER`] bytes long.
pub(super) fn header(dtype: &str, len: u64) -> [u8; HEADER] {
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
        for pair in &mut self.tracks {
            pair.both().into_iter().try_for_each(Array::settle)?;
        }
        self.cadence.done();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.tracks.iter_mut().try_for_each(Pair::sync)?;
        self.cadence.done();
        Ok(())
    }

    /// Whether the files were opened to go on and have not been changed.
    fn untouched(&self) -> bool {
        self.tracks.iter().all(|pair| pair.times.file.untouched())
    }
}

impl Recorder for NpySpikes {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let chosen = self.chosen(layout)?;
        let tracks: Result<Vec<Pair>> = chosen.slots().iter().map(|s| Pair::create(&self.paths(&s.name))).collect();
        self.record_into(tracks?, layout.dt, chosen);
        Ok(())
    }

    fn spikes(&mut self, _from: u64, _to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        for array in open.tracks.iter_mut().flat_map(Pair::both) {
            array.file.go_on()?;
        }
        for &spike in spikes {
            let Some((slot, id)) = open.chosen.locate(spike) else { continue };
            open.tracks[slot].push((spike.step + 1) as f64 * open.dt, id)?;
            open.cadence.add(1);
        }
        if open.cadence.due() { open.flush() } else { Ok(()) }
    }

    fn checkpoint(&mut self) -> Result<serde_json::Value> {
        let Some(open) = &mut self.open else { return Ok(serde_json::Value::Null) };
        open.sync()?;
        let lengths = open.chosen.slots().iter().zip(&open.tracks).map(|(s, pair)| (s.name.as_str(), pair.times.len));
        place::to_json(NAME, lengths.collect::<Named<u64>>())
    }

    fn resume(&mut self, layout: &Layout, place: &serde_json::Value) -> Result<()> {
        let chosen = self.chosen(layout)?;
        let lengths = place::of_populations(&self.folder, &chosen, &place::from_json(NAME, &self.folder, place)?)?;
        let pairs = chosen.slots().iter().zip(lengths).map(|(s, len)| Pair::reopen(&self.paths(&s.name), len));
        let tracks: Result<Vec<Pair>> = pairs.collect();
        self.record_into(tracks?, layout.dt, chosen);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |mut open| open.sync())
    }
}

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either. One that did not
/// come to go on changes nothing.
impl Drop for NpySpikes {
    fn drop(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.untouched()) {
            let _ = self.finish();
        }
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
            assert_eq!((length_in(&h, "<f8"), length_in(&h, "<u4")), (Some(len), None));
        }
    }
}
