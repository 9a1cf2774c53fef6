//! Spikes as a table of text, written while the simulation runs.

use super::cadence::{BATCH, Cadence, INTERVAL};
use super::hdf5_stream::refuse_existing;
use super::place;
use super::population_filter::Chosen;
use super::record_file::RecordFile;
use crate::engine::{Layout, Recorder, Spike};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "CsvSpikes";
/// First line of the table.
pub(super) const HEADER: &str = "time_ms,population,id";
/// Characters that would need quotes in a table; names with one are refused.
pub(super) const SEPARATORS: [char; 4] = [',', '"', '\n', '\r'];

/// Writes one line a spike, `time_ms,population,id`, under a header line, in order of time and, within a step, of
/// populations and neurons. Times have as many digits as it takes to read the same number back.
///
/// The lines so far are handed to the system at least every five seconds, whole lines only.
pub struct CsvSpikes {
    path: PathBuf,
    populations: Option<Vec<String>>,
    batch: usize,
    interval: Duration,
    open: Option<Open>,
}

struct Open {
    file: RecordFile,
    dt: f64,
    chosen: Chosen,
    cadence: Cadence,
}

/// Where the table ended at a checkpoint.
#[derive(Serialize, Deserialize)]
struct At {
    bytes: u64,
    populations: Vec<String>,
}

/// Adds a line to a table.
pub(super) fn put(file: &mut RecordFile, time: f64, population: &str, id: u32) -> Result<()> {
    file.line(format_args!("{time},{population},{id}"))
}

impl CsvSpikes {
    /// A recorder of the named populations, or of all, into a file that does not exist yet. The file is made when the
    /// simulation starts.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`] if the file exists.
    pub fn create(path: impl AsRef<Path>, populations: Option<Vec<String>>) -> Result<Self> {
        refuse_existing(path.as_ref())?;
        Ok(Self::resuming(path, populations))
    }

    /// A recorder that goes on in the file of an earlier run of the same network ([`Recorder::resume`]). Nothing is
    /// changed before the run goes on.
    pub fn resuming(path: impl AsRef<Path>, populations: Option<Vec<String>>) -> Self {
        Self { path: path.as_ref().to_owned(), populations, batch: BATCH, interval: INTERVAL, open: None }
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

    fn record_into(&mut self, file: RecordFile, dt: f64, chosen: Chosen) {
        let cadence = Cadence::new(self.batch, self.interval);
        self.open = Some(Open { file, dt, chosen, cadence });
    }
}

fn names(chosen: &Chosen) -> Vec<String> {
    chosen.slots().iter().map(|s| s.name.clone()).collect()
}

/// Checks that a table opened to go on has this header, and a whole line at the end of what is kept.
pub(super) fn check_table(file: &mut RecordFile, header: &str) -> Result<()> {
    let expected = format!("{header}\n");
    let begins = file.read_at(0, expected.len())? == expected.as_bytes();
    if !begins || file.read_at(file.len() - 1, 1)? != b"\n" {
        let message = format!("it is not the table that was being written, of lines under the header `{header}`");
        return Err(Error::format(file.path(), message));
    }
    Ok(())
}

impl Recorder for CsvSpikes {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let chosen = self.chosen(layout)?;
        let file = RecordFile::create(&self.path, format!("{HEADER}\n").as_bytes())?;
        self.record_into(file, layout.dt, chosen);
        Ok(())
    }

    fn spikes(&mut self, _from: u64, _to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.go_on()?;
        for &spike in spikes {
            let Some((slot, id)) = open.chosen.locate(spike) else { continue };
            let time = (spike.step + 1) as f64 * open.dt;
            put(&mut open.file, time, &open.chosen.slots()[slot].name, id)?;
            open.cadence.add(1);
        }
        if open.cadence.due() {
            open.file.flush()?;
            open.cadence.done();
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<serde_json::Value> {
        let Some(open) = &mut self.open else { return Ok(serde_json::Value::Null) };
        open.file.sync()?;
        open.cadence.done();
        place::to_json(NAME, At { bytes: open.file.len(), populations: names(&open.chosen) })
    }

    fn resume(&mut self, layout: &Layout, place: &serde_json::Value) -> Result<()> {
        let chosen = self.chosen(layout)?;
        let At { bytes, populations } = place::from_json(NAME, &self.path, place)?;
        place::check_populations(&self.path, &chosen, &populations)?;
        let mut file = RecordFile::reopen(&self.path, bytes)?;
        check_table(&mut file, HEADER)?;
        self.record_into(file, layout.dt, chosen);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |mut open| open.file.sync())
    }
}

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either. One that did not
/// come to go on changes nothing.
impl Drop for CsvSpikes {
    fn drop(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.file.untouched()) {
            let _ = self.finish();
        }
    }
}
