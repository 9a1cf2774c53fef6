//! Firing rates of populations over time, as a table of text.

use super::Named;
use super::cadence::{BATCH, Cadence, INTERVAL};
use super::csv_spikes::{SEPARATORS, check_table};
use super::hdf5_stream::refuse_existing;
use super::place;
use super::population_filter::Chosen;
use super::record_file::RecordFile;
use crate::engine::{Layout, Recorder, Spike};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const NAME: &str = "RateTable";
/// First column of the table.
pub(super) const TIME: &str = "time_ms";

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
    file: RecordFile,
    dt: f64,
    /// Steps a bin.
    width: u64,
    chosen: Chosen,
    counts: Vec<u64>,
    /// The steps seen of the bin being filled; none before the first call.
    bin: Option<(u64, u64)>,
    cadence: Cadence,
}

/// Where the table ended at a checkpoint, with the bin that was being filled.
#[derive(Serialize, Deserialize)]
struct At {
    bytes: u64,
    width: u64,
    bin: Option<(u64, u64)>,
    counts: Named<u64>,
}

impl RateTable {
    /// A recorder of the rates of the named populations, or of all, in bins of `bin` ms, into a file that does not
    /// exist yet. The file is made when the simulation starts; the bin must be a multiple of its time step.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`] if the file exists, [`Error::Invalid`] if the bin is not a positive time.
    pub fn create(path: impl AsRef<Path>, bin: f64, populations: Option<Vec<String>>) -> Result<Self> {
        refuse_existing(path.as_ref())?;
        Self::resuming(path, bin, populations)
    }

    /// A recorder that goes on in the file of an earlier run of the same network ([`Recorder::resume`]). Nothing is
    /// changed before the run goes on.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the bin is not a positive time.
    pub fn resuming(path: impl AsRef<Path>, bin: f64, populations: Option<Vec<String>>) -> Result<Self> {
        if !(bin.is_finite() && bin > 0.0) {
            return Err(Error::invalid(NAME, format!("a bin of {bin} ms is not positive")));
        }
        Ok(Self { path: path.as_ref().to_owned(), bin, populations, open: None })
    }

    fn chosen(&self, layout: &Layout) -> Result<Chosen> {
        let chosen = Chosen::new(NAME, layout, self.populations.as_deref())?;
        chosen.refuse_in_names(NAME, &SEPARATORS)?;
        Ok(chosen)
    }

    /// Steps a bin.
    fn width(&self, layout: &Layout) -> Result<u64> {
        let steps = self.bin / layout.dt;
        let width = steps.round();
        if width < 1.0 || (steps - width).abs() > 1e-6 * width {
            let message = format!("a bin of {} ms is not a multiple of the time step of {} ms", self.bin, layout.dt);
            return Err(Error::invalid(NAME, message));
        }
        Ok(width as u64)
    }
}

fn header(chosen: &Chosen) -> String {
    std::iter::once(TIME).chain(chosen.slots().iter().map(|s| s.name.as_str())).collect::<Vec<_>>().join(",")
}

impl Open {
    fn new(file: RecordFile, dt: f64, width: u64, chosen: Chosen) -> Self {
        let counts = vec![0; chosen.slots().len()];
        Self { file, dt, width, chosen, counts, bin: None, cadence: Cadence::new(BATCH, INTERVAL) }
    }

    /// Writes the bin of the steps `begin..end`.
    fn close_bin(&mut self, begin: u64, end: u64) -> Result<()> {
        let seconds = (end - begin) as f64 * self.dt * 1e-3;
        let mut line = format!("{}", begin as f64 * self.dt);
        for (count, slot) in self.counts.iter_mut().zip(self.chosen.slots()) {
            let neuron_seconds = f64::from(slot.size) * seconds;
            let rate = if slot.size == 0 { 0.0 } else { *count as f64 / neuron_seconds };
            line += &format!(",{rate}");
            *count = 0;
        }
        self.cadence.add(1);
        self.file.line(format_args!("{line}"))
    }

    /// Steps up to `to` are seen, with no spike before that is not counted yet.
    fn advance(&mut self, to: u64) -> Result<()> {
        let (mut begin, mut end) = self.bin.unwrap_or((to, to));
        while end < to {
            let bin_end = (begin / self.width + 1) * self.width;
            end = bin_end.min(to);
            if end == bin_end {
                self.close_bin(begin, end)?;
                begin = end;
            }
        }
        self.bin = Some((begin, end));
        Ok(())
    }
}

impl Recorder for RateTable {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let (chosen, width) = (self.chosen(layout)?, self.width(layout)?);
        let file = RecordFile::create(&self.path, format!("{}\n", header(&chosen)).as_bytes())?;
        self.open = Some(Open::new(file, layout.dt, width, chosen));
        Ok(())
    }

    fn spikes(&mut self, from: u64, to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.go_on()?;
        let (_, end) = *open.bin.get_or_insert((from, from));
        if end != from {
            return Err(Error::Usage(format!(
                "rates are counted up to step {end}; the steps from {from} on do not follow"
            )));
        }
        for &spike in spikes {
            open.advance(spike.step)?;
            if let Some((slot, _)) = open.chosen.locate(spike) {
                open.counts[slot] += 1;
            }
        }
        open.advance(to)?;
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
        let counts = open.chosen.slots().iter().zip(&open.counts).map(|(s, n)| (s.name.as_str(), *n)).collect();
        place::to_json(NAME, At { bytes: open.file.len(), width: open.width, bin: open.bin, counts })
    }

    fn resume(&mut self, layout: &Layout, place: &serde_json::Value) -> Result<()> {
        let (chosen, width) = (self.chosen(layout)?, self.width(layout)?);
        let at: At = place::from_json(NAME, &self.path, place)?;
        let counts = place::of_populations(&self.path, &chosen, &at.counts)?;
        if at.width != width {
            let message = format!("its bins have {} steps by the checkpoint; those of the run have {width}", at.width);
            return Err(Error::format(&self.path, message));
        }
        let possible = |(begin, end): (u64, u64)| begin <= end && end - begin < width && end < u64::MAX / 4;
        if !at.bin.is_none_or(possible) {
            let message = format!("the checkpoint has the steps {:?} in a bin of {width}", at.bin.unwrap_or_default());
            return Err(Error::format(&self.path, message));
        }
        // Each neuron spikes at most once a step.
        let most = |size: u32| width.saturating_mul(u64::from(size));
        if let Some((slot, count)) = chosen.slots().iter().zip(&counts).find(|(slot, count)| **count > most(slot.size))
        {
            let message = format!(
                "the checkpoint counts {count} spikes of {} in a bin, which has room for {}",
                slot.name,
                most(slot.size)
            );
            return Err(Error::format(&self.path, message));
        }
        let mut file = RecordFile::reopen(&self.path, at.bytes)?;
        check_table(&mut file, &header(&chosen))?;
        self.open = Some(Open { bin: at.bin, counts, ..Open::new(file, layout.dt, width, chosen) });
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if let Some((begin, end)) = open.bin
            && end > begin
        {
            open.close_bin(begin, end)?;
        }
        open.file.sync()
    }
}

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either. One that did not
/// come to go on changes nothing.
impl Drop for RateTable {
    fn drop(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.file.untouched()) {
            let _ = self.finish();
        }
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
