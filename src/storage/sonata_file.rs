//! A SONATA spike file being written.

use super::hdf5_stream::{Growing, Stream, hdf5_error};
use super::read_spikes::{open_dataset, open_hdf5};
use crate::error::{Error, Result};
use rust_hdf5::H5Dataset;
use std::path::Path;

/// Members of the `sorting` attribute; the value of each is its place.
const SORTINGS: [&str; 3] = ["none", "by_id", "by_time"];
const BY_TIME: u8 = 2;
/// Number of neurons of the population, an attribute of `node_ids` that other readers pass over.
pub(super) const SIZE_ATTRIBUTE: &str = "population_size";

/// The file. Its bytes depend on the spikes and their order alone, not on when they were put on disk.
pub(super) struct SonataFile {
    stream: Stream,
    tracks: Vec<Track>,
}

struct Track {
    timestamps: Growing,
    node_ids: Growing,
    chunk: u64,
    waiting_times: Vec<f64>,
    waiting_ids: Vec<u64>,
}

/// A population of the file: its name and the number of its neurons, 0 if that is not known.
pub(super) type Population<'a> = (&'a str, u32);

impl Track {
    fn push(&mut self, stream: &mut Stream, time: f64, id: u32) -> Result<()> {
        self.waiting_times.push(time);
        self.waiting_ids.push(u64::from(id));
        // The first spike of a chunk is written at once: it is what reserves the chunk's place in the file, which must
        // follow from the order of the spikes and not from when the clock called for a flush.
        if (self.timestamps.rows() + self.waiting_times.len() as u64 - 1).is_multiple_of(self.chunk) {
            self.write(stream)?;
        }
        Ok(())
    }

    fn write(&mut self, stream: &mut Stream) -> Result<()> {
        stream.append(&mut self.timestamps, &self.waiting_times)?;
        stream.append(&mut self.node_ids, &self.waiting_ids)?;
        self.waiting_times.clear();
        self.waiting_ids.clear();
        Ok(())
    }
}

/// Spikes a chunk: large enough for fast reading, small enough that many populations with few spikes stay small.
fn chunk_size(populations: usize) -> u64 {
    (262_144 / populations.max(1) as u64).clamp(512, 8_192)
}

impl SonataFile {
    /// Makes a file that does not exist yet.
    pub(super) fn create(path: &Path, populations: &[Population<'_>]) -> Result<Self> {
        Self::describe(Stream::create(path)?, populations)
    }

    /// Makes a file beside `path`, whose place it takes when it is closed or told to.
    pub(super) fn create_beside(path: &Path, populations: &[Population<'_>]) -> Result<Self> {
        Self::describe(Stream::create_beside(path)?, populations)
    }

    fn describe(mut stream: Stream, populations: &[Population<'_>]) -> Result<Self> {
        stream.group("/", "spikes")?;
        let chunk = chunk_size(populations.len());
        let mut tracks = Vec::with_capacity(populations.len());
        for (name, size) in populations {
            let group = format!("/spikes/{name}");
            stream.group("/spikes", name)?;
            stream.enum_attribute(&group, "sorting", &SORTINGS, BY_TIME)?;
            let timestamps = stream.growing::<f64>(&group, "timestamps", &[], chunk)?;
            stream.text(timestamps.index(), "units", "ms")?;
            let node_ids = stream.growing::<u64>(&group, "node_ids", &[], chunk)?;
            if *size > 0 {
                stream.number(node_ids.index(), SIZE_ATTRIBUTE, u64::from(*size))?;
            }
            let (waiting_times, waiting_ids) = (Vec::new(), Vec::new());
            tracks.push(Track { timestamps, node_ids, chunk, waiting_times, waiting_ids });
        }
        stream.begin()?;
        Ok(Self { stream, tracks })
    }

    /// Makes a file beside `path` that holds the first `rows` spikes of each population of the file at `path`, down to
    /// the last byte what a file holds that was written up to there. The old file is only read.
    ///
    /// Memory is bounded: a chunk of every population at a time.
    pub(super) fn go_on_from(path: &Path, populations: &[Population<'_>], rows: &[u64]) -> Result<Self> {
        let old = Old::open(path, populations, rows)?;
        let mut file = Self::create_beside(path, populations)?;
        let mut heads: Vec<Slab> = (0..populations.len()).map(|slot| old.slab(slot, 0)).collect::<Result<_>>()?;
        // Chunks lie in the file in the order in which their first spikes were recorded: by time, then population.
        loop {
            let next = heads.iter().zip(0..).filter_map(|(head, slot)| Some((*head.times.first()?, slot)));
            let Some((_, slot)) = next.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) else { break };
            let slot: usize = slot;
            let track = &mut file.tracks[slot];
            file.stream.append(&mut track.timestamps, &heads[slot].times)?;
            file.stream.append(&mut track.node_ids, &heads[slot].ids)?;
            let last = heads[slot].times.last().copied().unwrap_or_default();
            heads[slot] = old.slab(slot, track.timestamps.rows())?;
            if heads[slot].times.first().is_some_and(|&first| first < last) {
                return Err(old.damaged(slot));
            }
        }
        drop(old);
        file.stream.acknowledge()?;
        Ok(file)
    }

    /// Whether the file still stands beside the one it is to replace.
    pub(super) fn is_beside(&self) -> bool {
        self.stream.is_beside()
    }

    /// Replaces the file beside which this one was made. Only right after it was made.
    pub(super) fn put_in_place(&mut self) -> Result<()> {
        self.stream.put_in_place()
    }

    /// Adds a spike to a population. Spikes come in order of time and, at one time, of populations.
    pub(super) fn push(&mut self, slot: usize, time: f64, id: u32) -> Result<()> {
        self.tracks[slot].push(&mut self.stream, time, id)
    }

    /// Spikes of a population so far.
    pub(super) fn rows(&self, slot: usize) -> u64 {
        let track = &self.tracks[slot];
        track.timestamps.rows() + track.waiting_times.len() as u64
    }

    /// Puts everything on disk; when this returns, neither a kill nor a power failure loses it.
    pub(super) fn flush(&mut self) -> Result<()> {
        for track in &mut self.tracks {
            track.write(&mut self.stream)?;
        }
        self.stream.acknowledge()
    }

    /// Writes what waits and completes the file.
    pub(super) fn close(mut self) -> Result<()> {
        self.flush()?;
        self.stream.close()
    }
}

/// The file of an earlier run, of which the beginning is taken over.
struct Old<'a> {
    path: &'a Path,
    populations: &'a [Population<'a>],
    tracks: Vec<OldTrack>,
}

struct OldTrack {
    times: H5Dataset,
    ids: H5Dataset,
    rows: u64,
    chunk: u64,
}

/// The spikes of one chunk.
struct Slab {
    times: Vec<f64>,
    ids: Vec<u64>,
}

impl<'a> Old<'a> {
    fn open(path: &'a Path, populations: &'a [Population<'a>], rows: &[u64]) -> Result<Self> {
        let failed = |e| hdf5_error(path, "read", e);
        let len = std::fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len();
        let file = open_hdf5(path)?;
        let mut found = file.root_group().group("spikes").and_then(|g| g.group_names()).map_err(failed)?;
        let mut needed: Vec<String> = populations.iter().map(|(name, _)| (*name).to_owned()).collect();
        found.sort();
        needed.sort();
        if found != needed {
            let (found, needed) = (found.join(", "), needed.join(", "));
            return Err(Error::format(path, format!("it has the populations {found}; the run needs {needed}")));
        }
        let chunk = chunk_size(populations.len());
        let mut tracks = Vec::with_capacity(populations.len());
        for (&(name, size), &rows) in populations.iter().zip(rows) {
            let times = open_dataset(path, &file, &format!("spikes/{name}/timestamps"))?;
            let ids = open_dataset(path, &file, &format!("spikes/{name}/node_ids"))?;
            let has = times.shape().first().copied().unwrap_or(0).min(ids.shape().first().copied().unwrap_or(0)) as u64;
            // Chunks that were never written take no place in the file and read as zeros.
            if has < rows || rows.saturating_mul(16) > len {
                let message = format!(
                    "population `{name}` has {has} spikes in {len} bytes; the checkpoint needs the first {rows}"
                );
                return Err(Error::format(path, message));
            }
            let said = ids.attr(SIZE_ATTRIBUTE).and_then(|a| a.read_numeric_as::<u64>()).unwrap_or_default();
            if said.first().is_some_and(|&n| n != u64::from(size)) {
                let message = format!("population `{name}` has {} neurons; the run has {size}", said[0]);
                return Err(Error::format(path, message));
            }
            tracks.push(OldTrack { times, ids, rows, chunk });
        }
        Ok(Self { path, populations, tracks })
    }

    /// The spikes of a population from `row` on, at most a chunk of them.
    fn slab(&self, slot: usize, row: u64) -> Result<Slab> {
        let track = &self.tracks[slot];
        let count = (track.rows - row).min(track.chunk);
        if count == 0 {
            return Ok(Slab { times: Vec::new(), ids: Vec::new() });
        }
        let (start, count) = ([row as usize], [count as usize]);
        let failed = |e| hdf5_error(self.path, "read", e);
        let times: Vec<f64> = track.times.read_numeric_slice_as(&start, &count).map_err(failed)?;
        let ids: Vec<u64> = track.ids.read_numeric_slice_as(&start, &count).map_err(failed)?;
        let size = u64::from(self.populations[slot].1);
        if times.is_sorted() && times[0] > 0.0 && ids.iter().all(|&id| id < size) {
            Ok(Slab { times, ids })
        } else {
            Err(self.damaged(slot))
        }
    }

    fn damaged(&self, slot: usize) -> Error {
        let name = self.populations[slot].0;
        Error::format(
            self.path,
            format!("population `{name}` has spikes that no run has recorded; the file is damaged"),
        )
    }
}
