//! A shard's synapses in one format: records in an arena and a table from each source neuron to its records.

use crate::compute::HugeVec;
use crate::compute::records::{Arena, ArenaWriter, Format, Segment, SourceRow};
use std::sync::atomic::{AtomicU64, Ordering};

/// All synapses of one format onto one shard.
#[derive(Debug)]
pub struct Store {
    /// The records.
    pub arena: Arena,
    /// For every neuron of the network, its row of segments.
    pub rows: HugeVec<SourceRow>,
    /// Number of records.
    pub synapses: u64,
}

impl Store {
    /// Bytes of records and tables.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.rows.len() * size_of::<SourceRow>()
    }
}

/// A store while it is filled by several packers at once.
#[derive(Debug)]
pub struct StoreBuilder {
    arena: Arena,
    rows: Vec<AtomicU64>,
    synapses: AtomicU64,
}

impl StoreBuilder {
    /// Room for about `records` records; see [`Arena::new`].
    pub fn new(format: Format, slots: usize, records: usize, segments: usize, sources: usize, writers: usize) -> Self {
        Self {
            arena: Arena::new(format, slots, records, segments, sources, writers),
            rows: (0..sources).map(|_| AtomicU64::new(0)).collect(),
            synapses: AtomicU64::new(0),
        }
    }

    /// A packer; several may work at the same time, each source going to one of them.
    pub fn packer(&self) -> Packer<'_> {
        Packer { store: self, writer: self.arena.writer() }
    }

    /// The finished store.
    pub fn finish(self) -> Store {
        let mut rows = HugeVec::zeroed(self.rows.len());
        for (to, from) in rows.iter_mut().zip(&self.rows) {
            *to = SourceRow::from_bits(from.load(Ordering::Relaxed));
        }
        Store { arena: self.arena, rows, synapses: self.synapses.into_inner() }
    }
}

/// Writes sources into a store.
#[derive(Debug)]
pub struct Packer<'a> {
    store: &'a StoreBuilder,
    writer: ArenaWriter<'a>,
}

/// Memory a packer works in.
#[derive(Debug, Default)]
pub struct PackScratch {
    segments: Vec<(u16, u32)>,
}

impl Packer<'_> {
    /// Writes the records of `source`: `counts[class]` (slot, weight) records for each delay class in turn.
    pub fn write(&mut self, source: u32, counts: &[u32], records: &[(u32, i32)], scratch: &mut PackScratch) {
        scratch.segments.clear();
        for (class, count) in counts.iter().enumerate() {
            let mut left = *count;
            while left > 0 {
                let take = left.min(Segment::MAX as u32);
                scratch.segments.push((class as u16, take));
                left -= take;
            }
        }
        if scratch.segments.is_empty() {
            return;
        }
        let row = self.writer.write_source(&scratch.segments, records);
        self.store.rows[source as usize].store(row.to_bits(), Ordering::Relaxed);
        self.store.synapses.fetch_add(records.len() as u64, Ordering::Relaxed);
    }
}
