//! Spikes as a SONATA file, written while the simulation runs.

use super::cadence::{BATCH, Cadence, INTERVAL};
use super::hdf5_stream::{Growing, Stream, refuse_existing};
use super::population_filter::Chosen;
use crate::engine::{Layout, Recorder, Spike};
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Members of the `sorting` attribute; the value of each is its place.
const SORTINGS: [&str; 3] = ["none", "by_id", "by_time"];
const BY_TIME: u8 = 2;
/// Number of neurons of the population, an attribute of `node_ids` that other readers pass over.
pub(super) const SIZE_ATTRIBUTE: &str = "population_size";

/// Writes spikes to a SONATA spike file, with bounded memory.
///
/// `/spikes/<population>/timestamps` (f64, ms) and `/spikes/<population>/node_ids` (u64, 0 to n - 1 within the
/// population), in order of time and, within a step, of neurons. Populations without spikes have empty data sets.
/// About every 65,536 spikes, and every five seconds where something waits, the spikes so far are put on disk in a way
/// that survives a kill (see [`super::repair`]). The bytes of a finished file depend on the spikes alone.
pub struct SonataSpikes {
    path: PathBuf,
    populations: Option<Vec<String>>,
    batch: usize,
    interval: Duration,
    open: Option<Open>,
}

struct Open {
    stream: Stream,
    dt: f64,
    chosen: Chosen,
    tracks: Vec<Track>,
    cadence: Cadence,
}

struct Track {
    timestamps: Growing,
    node_ids: Growing,
    chunk: u64,
    waiting_times: Vec<f64>,
    waiting_ids: Vec<u64>,
}

impl SonataSpikes {
    /// A recorder of the named populations, or of all, into a file that does not exist yet. The file is made when the
    /// simulation starts.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`](crate::error::Error::WouldOverwrite) if the file exists.
    pub fn create(path: impl AsRef<Path>, populations: Option<Vec<String>>) -> Result<Self> {
        refuse_existing(path.as_ref())?;
        let path = path.as_ref().to_owned();
        Ok(Self { path, populations, batch: BATCH, interval: INTERVAL, open: None })
    }

    /// Puts spikes on disk whenever `batch` of them wait or the oldest has waited for `interval`.
    #[must_use]
    pub fn with_cadence(mut self, batch: usize, interval: Duration) -> Self {
        self.batch = batch.max(1);
        self.interval = interval;
        self
    }

    /// Puts everything recorded so far on disk; when this returns, a kill no longer loses it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.open.as_mut().map_or(Ok(()), Open::flush)
    }
}

impl Open {
    fn flush(&mut self) -> Result<()> {
        for track in &mut self.tracks {
            track.write(&mut self.stream)?;
        }
        self.stream.acknowledge()?;
        self.cadence.done();
        Ok(())
    }
}

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

impl Recorder for SonataSpikes {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let chosen = Chosen::new("SonataSpikes", layout, self.populations.as_deref())?;
        chosen.refuse_in_names("SonataSpikes", &['/', '\0'])?;
        let mut stream = Stream::create(&self.path)?;
        stream.group("/", "spikes")?;
        let chunk = chunk_size(chosen.slots().len());
        let mut tracks = Vec::with_capacity(chosen.slots().len());
        for slot in chosen.slots() {
            let group = format!("/spikes/{}", slot.name);
            stream.group("/spikes", &slot.name)?;
            stream.enum_attribute(&group, "sorting", &SORTINGS, BY_TIME)?;
            let timestamps = stream.growing::<f64>(&group, "timestamps", &[], chunk)?;
            stream.text(timestamps.index(), "units", "ms")?;
            let node_ids = stream.growing::<u64>(&group, "node_ids", &[], chunk)?;
            stream.number(node_ids.index(), SIZE_ATTRIBUTE, u64::from(slot.size))?;
            let (waiting_times, waiting_ids) = (Vec::new(), Vec::new());
            tracks.push(Track { timestamps, node_ids, chunk, waiting_times, waiting_ids });
        }
        stream.begin()?;
        let cadence = Cadence::new(self.batch, self.interval);
        self.open = Some(Open { stream, dt: layout.dt, chosen, tracks, cadence });
        Ok(())
    }

    fn spikes(&mut self, _from: u64, _to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        for &spike in spikes {
            let Some((slot, id)) = open.chosen.locate(spike) else { continue };
            // The same product as `Layout::time_of`, so that times compare equal with those kept in memory.
            open.tracks[slot].push(&mut open.stream, (spike.step + 1) as f64 * open.dt, id)?;
            open.cadence.add(1);
            if open.cadence.full() {
                open.flush()?;
            }
        }
        if open.cadence.due() { open.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.flush()?;
        open.stream.close()
    }
}

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either.
impl Drop for SonataSpikes {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
