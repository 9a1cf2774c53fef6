//! Spikes as a SONATA file, written while the simulation runs.

use super::Named;
use super::cadence::{BATCH, Cadence, INTERVAL};
use super::hdf5_stream::refuse_existing;
use super::node_names::{Naming, NodeNames};
use super::place;
use super::population_filter::Chosen;
use super::sonata_file::{Population, SonataFile};
use crate::engine::{Layout, Recorder, Spike};
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "SonataSpikes";

/// Writes spikes to a SONATA spike file, with bounded memory.
///
/// `/spikes/<population>/timestamps` (f64, ms) and `/spikes/<population>/node_ids` (u64, 0 to n - 1 within the
/// population), in order of time and, within a step, of neurons. Populations without spikes have empty data sets.
/// About every million spikes, and every five seconds where something waits, the spikes so far are put on disk in a way
/// that survives a kill (see [`super::repair`]). The bytes of a finished file depend on the spikes alone: neither on when
/// they were written nor on how often the run was stopped and went on.
pub struct SonataSpikes {
    path: PathBuf,
    populations: Option<Vec<String>>,
    batch: usize,
    interval: Duration,
    names: Naming,
    open: Option<Open>,
}

struct Open {
    file: SonataFile,
    dt: f64,
    chosen: Chosen,
    groups: Groups,
    cadence: Cadence,
}

impl SonataSpikes {
    /// A recorder of the named populations, or of all, into a file that does not exist yet. The file is made when the
    /// simulation starts.
    ///
    /// # Errors
    /// [`Error::WouldOverwrite`](crate::error::Error::WouldOverwrite) if the file exists.
    pub fn create(path: impl AsRef<Path>, populations: Option<Vec<String>>) -> Result<Self> {
        refuse_existing(path.as_ref())?;
        Ok(Self::resuming(path, populations))
    }

    /// A recorder that goes on in the file of an earlier run of the same network ([`Recorder::resume`]). Nothing is
    /// changed before the run goes on; then the file is replaced by one that ends where the checkpoint was.
    pub fn resuming(path: impl AsRef<Path>, populations: Option<Vec<String>>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            populations,
            batch: BATCH,
            interval: INTERVAL,
            names: Naming::default(),
            open: None,
        }
    }

    /// Gives neurons the names they have in SONATA files; populations that are not named keep their own.
    #[must_use]
    pub fn with_nodes(mut self, names: &[NodeNames]) -> Self {
        self.names = Naming::new(names);
        self
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

    fn chosen(&self, layout: &Layout) -> Result<Chosen> {
        let chosen = Chosen::new(NAME, layout, self.populations.as_deref())?;
        chosen.refuse_in_names(NAME, &['/', '\0'])?;
        Ok(chosen)
    }

    fn record_into(&mut self, file: SonataFile, dt: f64, chosen: Chosen, groups: Groups) {
        let cadence = Cadence::new(self.batch, self.interval);
        self.open = Some(Open { file, dt, chosen, groups, cadence });
    }
}

impl Open {
    fn flush(&mut self) -> Result<()> {
        self.file.put_in_place()?;
        self.file.flush()?;
        self.cadence.done();
        Ok(())
    }
}

/// The populations of the file, and which of them has the spikes of each kept population of the network.
struct Groups {
    /// Name, and one more than the largest id.
    groups: Vec<(String, u32)>,
    /// For each slot its group, and the ids of its neurons if they are not 0, 1, 2, ...
    of_slots: Vec<(usize, Option<Arc<[u32]>>)>,
}

impl Groups {
    fn new(chosen: &Chosen, names: &Naming) -> Self {
        let mut groups: Vec<(String, u32)> = Vec::new();
        let mut of_slots = Vec::new();
        for slot in chosen.slots() {
            let name = names.group(&slot.name);
            let ids = names.ids(&slot.name, slot.size);
            let end = ids.as_ref().map_or(slot.size, |ids| ids.iter().max().map_or(0, |id| id.saturating_add(1)));
            let group = groups.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                groups.push((name.to_owned(), 0));
                groups.len() - 1
            });
            groups[group].1 = groups[group].1.max(end);
            of_slots.push((group, ids));
        }
        Self { groups, of_slots }
    }

    fn populations(&self) -> Vec<Population<'_>> {
        self.groups.iter().map(|(name, size)| (name.as_str(), *size)).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.groups.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Group and id of a neuron of a slot.
    fn locate(&self, slot: usize, neuron: u32) -> (usize, u32) {
        let (group, ids) = &self.of_slots[slot];
        (*group, ids.as_ref().map_or(neuron, |ids| ids[neuron as usize]))
    }
}

impl Recorder for SonataSpikes {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        let chosen = self.chosen(layout)?;
        let groups = Groups::new(&chosen, &self.names);
        let file = SonataFile::create(&self.path, &groups.populations())?;
        self.record_into(file, layout.dt, chosen, groups);
        Ok(())
    }

    fn spikes(&mut self, _from: u64, _to: u64, spikes: &[Spike]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.put_in_place()?;
        for &spike in spikes {
            let Some((slot, id)) = open.chosen.locate(spike) else { continue };
            // The same product as `Layout::time_of`, so that times compare equal with those kept in memory.
            let (group, id) = open.groups.locate(slot, id);
            open.file.push(group, (spike.step + 1) as f64 * open.dt, id)?;
            open.cadence.add(1);
            if open.cadence.full() {
                open.flush()?;
            }
        }
        if open.cadence.due() { open.flush() } else { Ok(()) }
    }

    fn checkpoint(&mut self) -> Result<serde_json::Value> {
        let Some(open) = &mut self.open else { return Ok(serde_json::Value::Null) };
        open.flush()?;
        let rows = open.groups.names().into_iter().enumerate().map(|(i, name)| (name, open.file.rows(i)));
        place::to_json(NAME, rows.collect::<Named<u64>>())
    }

    fn resume(&mut self, layout: &Layout, place: &serde_json::Value) -> Result<()> {
        let chosen = self.chosen(layout)?;
        let groups = Groups::new(&chosen, &self.names);
        let rows = place::of_names(&self.path, &groups.names(), &place::from_json(NAME, &self.path, place)?)?;
        let file = SonataFile::go_on_from(&self.path, &groups.populations(), &rows)?;
        self.record_into(file, layout.dt, chosen, groups);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |open| {
            let mut file = open.file;
            file.put_in_place()?;
            file.close()
        })
    }
}

/// A run that ends by a panic keeps its records; what cannot be written then cannot be told either. One that did not
/// come to go on changes nothing.
impl Drop for SonataSpikes {
    fn drop(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.file.is_beside()) {
            let _ = self.finish();
        }
    }
}
