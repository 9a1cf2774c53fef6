//! Synapses of sources that are silent, compressed until one of them spikes.

use super::Store;
use crate::compute::records::{Arena, PutAway, SourceRow};
use crate::compute::{Codec, CodecFigures, Grain};
use std::ops::Range;

/// Sources whose rows make a group of the table, 64 KiB.
const ROWS: usize = 8192;
/// A row is a place and a number of segments.
const ROW: Grain = Grain { bytes: 4, numbers: 2 };

/// Which groups of a store's records and of its table lie compressed.
///
/// Groups are put away when all sources that have records there rest, and are fetched before anything of them is looked
/// at. A group keeps its place in the store, so that nothing else has to know.
#[derive(Debug)]
pub struct Dormancy {
    codec: Codec,
    records: Vec<Group>,
    tables: Vec<Group>,
    /// Groups that have to be fetched before they are looked at.
    away: usize,
    /// Bytes of pages left to a file.
    in_file: u64,
}

#[derive(Debug)]
struct Group {
    /// From the first to the last source with records in it; empty if there is none.
    sources: Range<u32>,
    /// Place of the last head that begins in it, and the last group its source reaches into.
    last_head: u32,
    reach: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Here,
    Packed(Box<[u8]>),
    /// Its memory was given back, and reading it gives what it held.
    Released,
}

/// Sources before any are known: the first lowers the start and raises the end.
const NOBODY: std::ops::Range<u32> = std::ops::Range { start: u32::MAX, end: 0 };

impl Dormancy {
    /// Of a store whose groups are all in their place.
    pub fn new(store: &Store) -> Self {
        let arena = &store.arena;
        let group = || Group { sources: NOBODY, last_head: 0, reach: 0, state: State::Here };
        let mut records: Vec<Group> = (0..arena.groups()).map(|_| group()).collect();
        let mut first_head = vec![u32::MAX; records.len()];
        let mut last_source = vec![0; records.len()];
        for (source, row) in store.rows.iter().enumerate().filter(|(_, row)| row.segments() > 0) {
            let at = arena.group_of(row.first() as usize);
            // Rows of a damaged file may lead anywhere; its synapses stay where they are.
            let Some(group) = records.get_mut(at) else { continue };
            let source = source as u32;
            group.sources = group.sources.start.min(source)..group.sources.end.max(source + 1);
            first_head[at] = first_head[at].min(row.first());
            if row.first() >= group.last_head {
                group.last_head = row.first();
                last_source[at] = source;
            }
        }
        // A source whose head is the last of its group ends before the next head, maybe some groups later.
        let mut next_head = arena.used_granules().max(1) as u32;
        for at in (0..records.len()).rev() {
            if first_head[at] == u32::MAX {
                continue;
            }
            let reach = arena.group_of(next_head as usize - 1).clamp(at, records.len() - 1);
            records[at].reach = reach as u32;
            next_head = first_head[at];
            let source = last_source[at];
            for group in &mut records[at + 1..=reach] {
                group.sources = group.sources.start.min(source)..group.sources.end.max(source + 1);
            }
        }
        let rows = store.rows.len();
        let tables = (0..rows.div_ceil(ROWS))
            .map(|i| Group { sources: (i * ROWS) as u32..((i + 1) * ROWS).min(rows) as u32, ..group() })
            .collect();
        Self { codec: Codec::default(), records, tables, away: 0, in_file: 0 }
    }

    /// Whether anything has to be fetched before it is looked at.
    #[inline]
    pub fn is_any_away(&self) -> bool {
        self.away > 0
    }

    /// Fetches the row of a source, if it is away.
    #[inline]
    pub fn fetch_row(&mut self, store: &mut Store, source: u32) {
        let at = source as usize / ROWS;
        if matches!(self.tables[at].state, State::Packed(_)) {
            self.fetch_table(store, at);
        }
    }

    /// Fetches the records of a source with segments, if they are away.
    #[inline]
    pub fn fetch_records(&mut self, store: &mut Store, row: SourceRow) {
        let at = store.arena.group_of(row.first() as usize);
        let Some(Group { last_head, reach, .. }) = self.records.get(at) else { return };
        let last = if row.first() == *last_head { *reach as usize } else { at };
        for at in at..=last {
            match self.records[at].state {
                State::Here => {}
                State::Packed(_) => self.fetch_group(store, at),
                State::Released => {
                    self.in_file -= Arena::GROUP as u64;
                    self.away -= 1;
                    self.records[at].state = State::Here;
                }
            }
        }
    }

    #[cold]
    fn fetch_table(&mut self, store: &mut Store, at: usize) {
        if let State::Packed(packed) = std::mem::replace(&mut self.tables[at].state, State::Here) {
            let range = byte_range(&self.tables[at].sources);
            self.codec.unpack(&packed, ROW, &mut store.rows.as_bytes_mut()[range]);
            self.away -= 1;
        }
    }

    #[cold]
    fn fetch_group(&mut self, store: &mut Store, at: usize) {
        if let State::Packed(packed) = std::mem::replace(&mut self.records[at].state, State::Here) {
            store.arena.fetch_group(at, &packed, &mut self.codec);
            self.away -= 1;
        }
    }

    /// Fetches everything.
    pub fn fetch_all(&mut self, store: &mut Store) {
        (0..self.tables.len()).for_each(|at| self.fetch_table(store, at));
        (0..self.records.len()).for_each(|at| self.fetch_group(store, at));
    }

    /// Puts groups away whose sources all rest, as `rests` says of a range of them, until `budget` bytes were
    /// compressed.
    pub fn put_away(&mut self, store: &mut Store, rests: impl Fn(&Range<u32>) -> bool, budget: &mut usize) {
        for at in 0..self.records.len() {
            if *budget == 0 {
                return;
            }
            let Group { sources, state, .. } = &self.records[at];
            if !matches!(state, State::Here) || sources.is_empty() || !rests(sources) {
                continue;
            }
            match store.arena.put_group_away(at, &mut self.codec) {
                // Nothing is to be had from this store.
                None => break,
                Some(PutAway::Packed(packed)) => {
                    self.records[at].state = State::Packed(packed);
                    self.away += 1;
                }
                Some(PutAway::InFile) => {
                    self.records[at].state = State::Released;
                    self.away += 1;
                    self.in_file += Arena::GROUP as u64;
                }
            }
            *budget = budget.saturating_sub(Arena::GROUP);
        }
        if !store.rows.releases() {
            return;
        }
        for at in 0..self.tables.len() {
            if *budget == 0 {
                return;
            }
            let Group { sources, state, .. } = &self.tables[at];
            if !matches!(state, State::Here) || !rests(sources) {
                continue;
            }
            let range = sources.start as usize..sources.end as usize;
            // Of sources that have no synapse here nothing needs to be kept.
            if store.rows[range.clone()].iter().all(|row| *row == SourceRow::default()) {
                self.tables[at].state = State::Released;
            } else {
                let packed = self.codec.pack(&store.rows.as_bytes()[byte_range(sources)], ROW);
                self.tables[at].state = State::Packed(packed);
                self.away += 1;
            }
            store.rows.release(range);
            *budget = budget.saturating_sub(ROWS * size_of::<SourceRow>());
        }
    }

    /// What compression did, and what it holds.
    pub fn figures(&self) -> CodecFigures {
        let released = self.tables.iter().filter(|group| matches!(group.state, State::Released)).count();
        let mut figures = self.codec.figures();
        figures.raw_bytes += self.in_file + (released * ROWS * size_of::<SourceRow>()) as u64;
        figures
    }
}

/// The bytes of the rows of a range of sources.
fn byte_range(sources: &Range<u32>) -> Range<usize> {
    sources.start as usize * size_of::<SourceRow>()..sources.end as usize * size_of::<SourceRow>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::records::Format;
    use crate::synapse::{PackScratch, StoreBuilder};
    use proptest::prelude::*;

    /// Delay class, slot and weight of every synapse of a source.
    fn synapses(store: &Store, source: usize) -> Vec<(u16, u32, i32)> {
        let mut found = Vec::new();
        let sound = store.arena.for_each_segment(store.rows[source], |class, segment| {
            store.arena.for_each_record(segment, |slot, weight| found.push((class, slot, weight)));
        });
        assert!(sound);
        found
    }

    fn store(format: Format, sources: u32, longest: u32, seed: u32) -> Store {
        let builder =
            StoreBuilder::new(format, 60_000, (sources * (longest + 1) * 3) as usize, 1 << 20, sources as usize, 2);
        let (mut first, mut second) = (builder.packer(), builder.packer());
        let mut scratch = PackScratch::default();
        for source in 0..sources {
            let of_class = |class: u32| source.wrapping_mul(seed | 1).wrapping_add(class * 7) % (longest + 1);
            let counts: Vec<u32> = if source % 5 == 3 { vec![0; 3] } else { (0..3).map(of_class).collect() };
            let records: Vec<(u32, i32)> =
                (0..counts.iter().sum()).map(|i| ((source * 31 + i * 17) % 60_000, (i % 100) as i32 - 50)).collect();
            let packer = if source / 64 % 2 == 0 { &mut first } else { &mut second };
            packer.write(source, &counts, &records, &mut scratch);
        }
        drop((first, second));
        builder.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn synapses_come_back_source_by_source(
            format in prop::sample::select(Format::ALL.to_vec()),
            longest in prop::sample::select(vec![3u32, 40, 900]),
            seed in any::<u32>(),
            order in prop::collection::vec(0u32..20_000, 1..40),
        ) {
            let sources = if longest > 100 { 2000 } else { 20_000 };
            let mut store = store(format, sources, longest, seed);
            let before: Vec<_> = (0..sources as usize).map(|source| synapses(&store, source)).collect();
            let mut dormancy = Dormancy::new(&store);
            let mut budget = usize::MAX;
            dormancy.put_away(&mut store, |sources| !sources.contains(&(seed % 2000)), &mut budget);
            prop_assert!(dormancy.is_any_away() || !cfg!(target_os = "linux") || store.arena.groups() < 5);
            for source in order.iter().map(|source| source % sources).chain([seed % 2000]) {
                dormancy.fetch_row(&mut store, source);
                let row = store.rows[source as usize];
                if row.segments() > 0 {
                    dormancy.fetch_records(&mut store, row);
                }
                prop_assert_eq!(&synapses(&store, source as usize), &before[source as usize]);
            }
            dormancy.fetch_all(&mut store);
            let after: Vec<_> = (0..sources as usize).map(|source| synapses(&store, source)).collect();
            prop_assert_eq!(after, before);
            prop_assert_eq!((dormancy.is_any_away(), dormancy.figures().packed_bytes), (false, 0));
        }
    }
}
