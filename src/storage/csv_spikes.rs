//! Spikes as a table of text, written while the simulation runs.

use super::cadence::{BATCH, Cadence, INTERVAL};
use super::hdf5_stream::refuse_existing;
use super::population_filter::Chosen;
use crate::engine::{Layout, Recorder, Spike};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// First line of the table.
pub(super) const HEADER: &str = "time_ms,population,id";
/// Characters that would need quotes in a table; names with one are refused.
pub(super) const SEPARATORS: [char; 4] = [',', '"', '\n', '\r'];

/// Writes one line a spike, `time_ms,population,id`, under a header line, in order of time and, within a step, of
/// populations and neurons. Times have as many digits as it takes to read the same number back.
pub struct CsvSpikes {
    path: PathBuf,
    populations: Option<Vec<String>>,
    open: Option<Open>,
}

struct Open {
    path: PathBuf,
    file: BufWriter<File>,
    dt: f64,
    chosen: Chosen,
    cadence: Cadence,
}

impl CsvSpikes {
    /// A recorder of the named populations, or of all, into a file that does not exist yet. The file is made when the
    /// simulation starts.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`] if the file exists.
    pub fn create(path: impl AsRef<Path>, populations: Option<Vec<String>>) -> Result<Self> {
        refuse_existing(path.as_ref())?;
        Ok(Self { path: path.as_ref().to_owned(), populations, open: None })
    }
}

impl Recorder for CsvSpikes {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let chosen = Chosen::new("CsvSpikes", layout, self.populations.as_deref())?;
        chosen.refuse_in_names("CsvSpikes", &SEPARATORS)?;
        let file = File::create_new(&self.path).map_err(|e| Error::io(&self.path, "create", e))?;
        let mut file = BufWriter::with_capacity(256 * 1024, file);
        writeln!(file, "{HEADER}").map_err(|e| Error::io(&self.path, "write", e))?;
        let path = self.path.clone();
        self.open = Some(Open { path, file, dt: layout.dt, chosen, cadence: Cadence::new(BATCH, INTERVAL) });
        Ok(())
    }

    fn spikes(&mut self, _from: u64, _to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let failed = |e| Error::io(&open.path, "write", e);
        for &spike in spikes {
            let Some((slot, id)) = open.chosen.locate(spike) else { continue };
            let time = (spike.step + 1) as f64 * open.dt;
            let population = &open.chosen.slots()[slot].name;
            writeln!(open.file, "{time},{population},{id}").map_err(failed)?;
            open.cadence.add(1);
        }
        if open.cadence.due() {
            open.file.flush().map_err(failed)?;
            open.cadence.done();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let failed = |e| Error::io(&open.path, "write", e);
        let file = open.file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)
    }
}
