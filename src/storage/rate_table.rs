//! Firing rates of populations over time, as a table of text.

use super::csv_spikes::SEPARATORS;
use super::hdf5_stream::refuse_existing;
use super::population_filter::Chosen;
use crate::engine::{Layout, Recorder, Spike};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// First column of the table.
const TIME: &str = "time_ms";

/// Writes the mean rate (Hz) of each population in bins of time: a header line `time_ms,<population>,...`, then one
/// line a bin, `time_ms` being its beginning.
///
/// The bin that begins at `t` holds the spikes at times `t < s <= t + bin`, since a spike of a step happens at that
/// step's end. A bin that the run does not fill is divided by the time it did fill.
pub struct RateTable {
    path: PathBuf,
    bin: f64,
    populations: Option<Vec<String>>,
    open: Option<Open>,
}

struct Open {
    path: PathBuf,
    file: BufWriter<File>,
    dt: f64,
    /// Steps a bin.
    width: u64,
    chosen: Chosen,
    counts: Vec<u64>,
    /// Steps seen: those of the bin being filled are `begin..end`.
    begin: u64,
    end: u64,
}

impl RateTable {
    /// A recorder of the rates of the named populations, or of all, in bins of `bin` ms, into a file that does not
    /// exist yet. The file is made when the simulation starts; the bin must be a multiple of its time step.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`] if the file exists, [`Error::Invalid`] if the bin is not a positive time.
    pub fn create(path: impl AsRef<Path>, bin: f64, populations: Option<Vec<String>>) -> Result<Self> {
        refuse_existing(path.as_ref())?;
        if !(bin.is_finite() && bin > 0.0) {
            return Err(Error::invalid("RateTable", format!("a bin of {bin} ms is not positive")));
        }
        Ok(Self { path: path.as_ref().to_owned(), bin, populations, open: None })
    }
}

impl Open {
    /// Writes the bin `begin..end` and opens the next.
    fn close_bin(&mut self) -> Result<()> {
        let seconds = (self.end - self.begin) as f64 * self.dt * 1e-3;
        let mut line = format!("{}", self.begin as f64 * self.dt);
        for (count, slot) in self.counts.iter_mut().zip(self.chosen.slots()) {
            let neuron_seconds = f64::from(slot.size) * seconds;
            let rate = if slot.size == 0 { 0.0 } else { *count as f64 / neuron_seconds };
            line += &format!(",{rate}");
            *count = 0;
        }
        self.begin = self.end;
        writeln!(self.file, "{line}").map_err(|e| Error::io(&self.path, "write", e))
    }

    /// Steps up to `to` are seen, with no spike before that is not counted yet.
    fn advance(&mut self, to: u64) -> Result<()> {
        while self.end < to {
            let bin_end = (self.begin / self.width + 1) * self.width;
            self.end = bin_end.min(to);
            if self.end == bin_end {
                self.close_bin()?;
            }
        }
        Ok(())
    }
}

impl Recorder for RateTable {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let chosen = Chosen::new("RateTable", layout, self.populations.as_deref())?;
        chosen.refuse_in_names("RateTable", &SEPARATORS)?;
        let steps = self.bin / layout.dt;
        let width = steps.round();
        if width < 1.0 || (steps - width).abs() > 1e-6 * width {
            let message = format!("a bin of {} ms is not a multiple of the time step of {} ms", self.bin, layout.dt);
            return Err(Error::invalid("RateTable", message));
        }
        let file = File::create_new(&self.path).map_err(|e| Error::io(&self.path, "create", e))?;
        let mut file = BufWriter::new(file);
        let names: String = chosen.slots().iter().map(|s| format!(",{}", s.name)).collect();
        writeln!(file, "{TIME}{names}").map_err(|e| Error::io(&self.path, "write", e))?;
        let counts = vec![0; chosen.slots().len()];
        let (path, width) = (self.path.clone(), width as u64);
        self.open = Some(Open { path, file, dt: layout.dt, width, chosen, counts, begin: u64::MAX, end: u64::MAX });
        Ok(())
    }

    fn spikes(&mut self, from: u64, to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.begin == u64::MAX {
            (open.begin, open.end) = (from, from);
        }
        for &spike in spikes {
            open.advance(spike.step)?;
            if let Some((slot, _)) = open.chosen.locate(spike) {
                open.counts[slot] += 1;
            }
        }
        open.advance(to)
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if open.end > open.begin {
            open.close_bin()?;
        }
        let file = open.file.into_inner().map_err(|e| Error::io(&open.path, "write", e.into_error()))?;
        file.sync_all().map_err(|e| Error::io(&open.path, "write", e))
    }
}

/// Rates of populations over time, as read back from a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rates {
    /// Populations, in the order of the columns.
    pub populations: Vec<String>,
    /// Beginning of each bin, ms.
    pub times_ms: Vec<f64>,
    /// For each population the rate in each bin, Hz.
    pub rates_hz: Vec<Vec<f64>>,
}

/// Reads a table written by [`RateTable`].
///
/// # Errors
/// The file cannot be read, or a line of it is not what it should be.
pub fn read_rates(path: impl AsRef<Path>) -> Result<Rates> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let Some(names) = header.strip_prefix(TIME) else {
        return Err(Error::format(path, format!("line 1 is `{header}`; a table of rates begins with `{TIME}`")));
    };
    let populations: Vec<String> = names.split(',').skip(1).map(str::to_owned).collect();
    let mut rates = Rates { rates_hz: vec![Vec::new(); populations.len()], populations, times_ms: Vec::new() };
    for (line, number) in lines.zip(2..) {
        let cells: Result<Vec<f64>, _> = line.split(',').map(str::parse::<f64>).collect();
        match cells {
            Ok(cells) if cells.len() == rates.populations.len() + 1 => {
                rates.times_ms.push(cells[0]);
                rates.rates_hz.iter_mut().zip(&cells[1..]).for_each(|(column, &rate)| column.push(rate));
            }
            _ => {
                let columns = rates.populations.len() + 1;
                return Err(Error::format(path, format!("line {number} is `{line}`; {columns} numbers are expected")));
            }
        }
    }
    Ok(rates)
}
