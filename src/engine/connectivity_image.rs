//! A connectivity as files keep it: a description of its shape, and per store a table of rows and an image of records.

use super::connectivity::{Connectivity, damaged};
use super::partition::Partition;
use crate::compute::records::{Arena, Format, Lent, SourceRow};
use crate::compute::{Crew, HugeVec};
use crate::error::{Error, Result};
use crate::model::{BrainModel, LONGEST_DELAY};
use crate::synapse::{Store, WeightGrid};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a file has to say of a connectivity besides its rows and records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConnectivityShape {
    /// Number of shards.
    pub shards: usize,
    /// For each population its parts in order: (shard, first neuron, number of neurons).
    pub parts: Vec<Vec<(usize, u32, u32)>>,
    /// For each population and receptor the grid of weights, where synapses arrive.
    pub grids: Vec<Vec<Option<StoredGrid>>>,
    /// Steps of each delay class, ascending.
    pub delays: Vec<u32>,
    /// For each shard its stores.
    pub stores: Vec<Vec<StoredStore>>,
    /// Sum of hashes of all synapses: tells networks from each other without reading them.
    pub synapse_sum: u64,
}

/// The grid of weights onto a receptor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredGrid {
    pub unit: f64,
    pub bits: u32,
    pub error: f64,
}

/// A store of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredStore {
    /// [`Format::name`].
    pub format: String,
    pub synapses: u64,
}

impl ConnectivityShape {
    /// The cut of populations of these (size, number of receptors); `None` if it does not fit them.
    pub(crate) fn partition(&self, populations: &[(u32, usize)]) -> Option<Partition> {
        let neurons: u64 = populations.iter().map(|(n, _)| u64::from(*n)).sum();
        // There are no more shards than neurons, but for networks smaller than the crew.
        let bounded = self.shards > 0 && self.shards as u64 <= neurons.max(1024) && self.stores.len() == self.shards;
        if bounded { Partition::of_cuts(populations, self.shards, &self.parts) } else { None }
    }
}

/// Two 4-byte halves a word, as records lie in memory and in the file.
pub(crate) fn words_of(halves: &[u32]) -> impl Iterator<Item = u64> + '_ {
    halves.chunks(2).map(|h| u64::from(h[0]) | u64::from(h.get(1).copied().unwrap_or(0)) << 32)
}

impl Connectivity {
    /// What a file has to say of it.
    ///
    /// # Errors
    /// If the synapses lie in a file that is damaged.
    pub(crate) fn shape(&self, model: &BrainModel) -> Result<ConnectivityShape> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let sum = self.synapse_sum.or_else(|| self.sum_of_synapses(model, &Crew::new(workers.min(self.shards()))));
        let synapse_sum = sum.ok_or_else(|| damaged(&self.origin, "found when all were read"))?;
        let grid = |g: &WeightGrid| StoredGrid { unit: g.unit, bits: g.bits, error: g.error };
        let store = |s: &Store| StoredStore { format: s.arena.format().name().to_owned(), synapses: s.synapses };
        Ok(ConnectivityShape {
            shards: self.partition.shards,
            parts: self.partition.parts.iter().map(|p| p.iter().map(|p| (p.shard, p.first, p.len)).collect()).collect(),
            grids: self.grids.iter().map(|of| of.iter().map(|g| g.as_ref().map(grid)).collect()).collect(),
            delays: self.delays.clone(),
            stores: self.stores.iter().map(|of| of.iter().map(store).collect()).collect(),
            synapse_sum,
        })
    }

    /// What each slot of a shard stands for: neuron of the whole network (`u32::MAX` for none), receptor, and what a
    /// stored weight of 1 means there.
    pub(crate) fn slots(&self, model: &BrainModel, shard: usize) -> (Vec<u32>, Vec<u8>, Vec<f64>) {
        let none = (u32::MAX, 0, 0.0);
        let mut slots = (Vec::new(), Vec::new(), Vec::new());
        for slot in 0..self.partition.slots[shard] as u32 {
            let (neuron, receptor, unit) = self.partition.slot(shard, slot).map_or(none, |at| {
                let population = &model.populations()[at.population];
                (population.first() + at.neuron, at.receptor as u8, self.unit(model, at.population, at.receptor))
            });
            slots.0.push(neuron);
            slots.1.push(receptor);
            slots.2.push(unit);
        }
        slots
    }

    /// Rows of a store as a file has them, one more than there are neurons: where the image of each source begins, and
    /// the end of all. Sources follow each other without gaps.
    pub(crate) fn rows(&self, shard: usize, store: usize) -> Result<Vec<u64>> {
        let Store { arena, rows, .. } = &self.stores[shard][store];
        let size = arena.format().granule() * arena.format().record_bytes() / 4;
        let mut first = 0usize;
        let mut table = Vec::with_capacity(rows.len() + 1);
        for (neuron, row) in rows.iter().enumerate() {
            table.push(SourceRow::new(first as u32, row.segments()).to_bits());
            if row.segments() > 0 {
                first += self.image(shard, store, neuron as u32)?.len() / size;
            }
        }
        table.push(SourceRow::new(first as u32, 0).to_bits());
        Ok(table)
    }

    /// Head and records of a source in a store, as 4-byte halves of words; empty if it has none there.
    pub(crate) fn image(&self, shard: usize, store: usize, neuron: u32) -> Result<&[u32]> {
        let Store { arena, rows, .. } = &self.stores[shard][store];
        let row = rows[neuron as usize];
        if row.segments() == 0 {
            return Ok(&[]);
        }
        arena.source_image(row).ok_or_else(|| damaged(&self.origin, &format!("those of neuron {neuron}")))
    }

    /// A connectivity whose records lie in a file. `populations` are (size, number of receptors); `lend` gives the rows
    /// and records of store `k` of a shard; `sparse` says that they are more than memory holds.
    ///
    /// # Errors
    /// If the parts do not fit each other. Records themselves are checked when they are used.
    pub(crate) fn from_file(
        path: &Path,
        shape: &ConnectivityShape,
        populations: &[(u32, usize)],
        sparse: bool,
        mut lend: impl FnMut(usize, usize, Format) -> Result<(Vec<u64>, Lent)>,
    ) -> Result<Self> {
        let wrong = |what: &str| Error::format(path, format!("/header: the file is damaged ({what})"));
        let neurons: u64 = populations.iter().map(|(n, _)| u64::from(*n)).sum();
        let partition = shape.partition(populations).ok_or_else(|| wrong("the parts of the populations"))?;
        let ascending = shape.delays.windows(2).all(|d| d[0] < d[1]);
        let (low, high) = (shape.delays.first().copied(), shape.delays.last().copied());
        if !ascending || low.is_none_or(|d| d == 0) || high.is_none_or(|d| d > LONGEST_DELAY) {
            return Err(wrong(&format!("the delays; allowed are 1 to {LONGEST_DELAY} steps")));
        }
        let grid = |g: &StoredGrid| {
            let sound = g.unit.is_finite() && g.unit > 0.0 && matches!(g.bits, 16 | 32) && g.error.is_finite();
            sound.then_some(WeightGrid { unit: g.unit, bits: g.bits, error: g.error })
        };
        let mut grids = Vec::new();
        for ((_, receptors), of) in populations.iter().zip(&shape.grids) {
            let made: Option<Vec<_>> =
                of.iter().map(|g| g.as_ref().map(grid).map_or(Some(None), |g| g.map(Some))).collect();
            match made {
                Some(made) if made.len() == *receptors => grids.push(made),
                _ => return Err(wrong("the grids of weights")),
            }
        }
        if grids.len() != populations.len() {
            return Err(wrong("the grids of weights"));
        }
        let mut stores = Vec::new();
        for (shard, of) in shape.stores.iter().enumerate() {
            let mut lent = Vec::new();
            for (k, stored) in of.iter().enumerate() {
                let format = Format::ALL.into_iter().find(|f| f.name() == stored.format);
                let format = format.ok_or_else(|| wrong(&format!("records of the format `{}`", stored.format)))?;
                if format.narrow() && partition.wide() {
                    return Err(wrong("records of 4 bytes in a shard of more than 65536 slots"));
                }
                let (table, words) = lend(shard, k, format)?;
                let mut arena = Arena::lent(format, partition.slots[shard].max(32), words)
                    .ok_or_else(|| wrong("the length of the records"))?;
                if stored.synapses > (arena.granules() * format.granule()) as u64 {
                    return Err(wrong(&format!("{} synapses in shorter records", stored.synapses)));
                }
                let rows = checked_rows(&table, neurons, &arena).ok_or_else(|| wrong("the rows of a store"))?;
                if sparse {
                    arena.make_sparse();
                }
                lent.push(Store { arena, rows, synapses: stored.synapses });
            }
            stores.push(lent);
        }
        let origin = Some(path.to_owned());
        Ok(Self {
            partition,
            strategy: None,
            loads: None,
            grids,
            delays: shape.delays.clone(),
            stores,
            generator: None,
            origin,
            synapse_sum: Some(shape.synapse_sum),
        })
    }
}

/// The rows of a file, if every head lies within its source's part of the records.
fn checked_rows(table: &[u64], neurons: u64, arena: &Arena) -> Option<HugeVec<SourceRow>> {
    if table.len() as u64 != neurons + 1 {
        return None;
    }
    let mut rows = HugeVec::zeroed(neurons as usize);
    for (to, pair) in rows.iter_mut().zip(table.windows(2)) {
        let (row, next) = (SourceRow::from_bits(pair[0]), SourceRow::from_bits(pair[1]));
        let head = (row.segments() as usize * 4).div_ceil(arena.format().granule() * arena.format().record_bytes());
        if row.first() as usize + head > next.first() as usize {
            return None;
        }
        *to = row;
    }
    let end = SourceRow::from_bits(*table.last()?);
    (end.first() as usize <= arena.granules()).then_some(rows)
}
