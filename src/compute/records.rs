//! Synapse records as the processor streams them: cache lines of 4-byte records, or packed records.
#![allow(unsafe_code)]

use super::rows::Rows;
use super::simd::{Kernel, Lanes, dispatch};
use super::{HugeVec, Isa};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Records in a cache line.
pub const LINE: usize = 16;
/// Lines delivered at a time: their records are gathered in the first-level cache, then added without a branch.
const CHUNK: usize = 32;
/// How many lines ahead memory is asked for.
const AHEAD: usize = 64;
/// How many packed segments ahead memory is asked for.
const AHEAD_PACKED: usize = 12;

/// How the records of an [`Arena`] lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Segments start on a cache line: 16 records of (u16 slot, i16 weight). For segments of a dozen records and more.
    Lines,
    /// (u16 slot, i16 weight), segments packed. For short segments.
    Packed4,
    /// (u32 slot, i32 weight), segments packed. For fine weights and large shards.
    Packed8,
}

impl Format {
    /// Records in one unit of [`Segment::first`]: segments begin at multiples of it.
    pub const fn granule(self) -> usize {
        match self {
            Self::Lines => LINE,
            Self::Packed4 | Self::Packed8 => 1,
        }
    }

    /// Bytes of a record.
    pub const fn record_bytes(self) -> usize {
        match self {
            Self::Lines | Self::Packed4 => 4,
            Self::Packed8 => 8,
        }
    }

    /// Whether records add to the 16-bit row.
    pub const fn narrow(self) -> bool {
        !matches!(self, Self::Packed8)
    }
}

/// Records of one source that arrive together: `count` records from granule `first` on, packed into 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Segment(u64);

impl Segment {
    /// Largest number of records of a segment; longer ones are split.
    pub const MAX: usize = 65_520;

    /// `count` (1 to [`Segment::MAX`]) records from granule `first` on, which a writer of the arena made.
    #[inline(always)]
    pub(crate) const fn new(first: u32, count: u32) -> Self {
        Self((first as u64) | (count as u64) << 32)
    }
    /// First granule.
    #[inline(always)]
    pub const fn first(self) -> u32 {
        self.0 as u32
    }
    /// Number of records.
    #[inline(always)]
    pub const fn count(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Where a source's records lie in an [`Arena`]: first granule and number of segments, packed into 8 bytes. The
/// default is a source without records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct SourceRow(u64);

impl SourceRow {
    const fn new(first: u32, segments: u32) -> Self {
        Self(first as u64 | (segments as u64) << 32)
    }
    #[inline(always)]
    const fn first(self) -> u32 {
        self.0 as u32
    }
    /// The row as a plain number, and back.
    pub const fn to_bits(self) -> u64 {
        self.0
    }
    /// The row [`to_bits`](Self::to_bits) gave the number for.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
    /// Number of segments.
    #[inline(always)]
    pub const fn segments(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

// SAFETY: a plain number.
unsafe impl super::arena::Zeroed for SourceRow {}

/// The synapse records of one shard in one format.
///
/// Invariants: every record that was written has a slot below `slots` (checked in
/// [`ArenaWriter::write_source`]), and memory that was not written is zero, which is a record of slot 0 with weight 0.
/// `slots` is at least 32 whenever there is a record.
#[derive(Debug)]
pub struct Arena {
    format: Format,
    slots: usize,
    /// Two 4-byte records or one 8-byte record an element.
    words: HugeVec<u64>,
    /// Granules handed to writers.
    used: AtomicUsize,
    granules: usize,
}

/// Writes records into chunks of an arena that no other writer has.
#[derive(Debug)]
pub struct ArenaWriter<'a> {
    arena: &'a Arena,
    next: usize,
    end: usize,
}

impl Arena {
    /// Room for `records` records of `sources` sources in at most `segments` segments, written by `writers` writers.
    /// Memory that is not used is never touched.
    pub fn new(format: Format, slots: usize, records: usize, segments: usize, sources: usize, writers: usize) -> Self {
        let granule = format.granule();
        let segments = segments.min(records);
        let heads = sources.min(segments) + Self::head_granules(format, segments);
        // What is left of a chunk when the next source does not fit is lost: at most every second granule.
        let bound = 2 * (records / granule + segments + heads) + (writers + 1) * Self::chunk(format);
        // Granules are numbered with 32 bits.
        let granules = bound.min(u32::MAX as usize);
        let bytes = granules * granule * format.record_bytes();
        // The tail lets a delivery read whole lines beyond the last record.
        Self { format, slots, words: HugeVec::zeroed(bytes / 8 + 64), used: AtomicUsize::new(0), granules }
    }

    const fn chunk(format: Format) -> usize {
        (1 << 18) / (format.granule() * format.record_bytes())
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes handed out to writers.
    pub fn bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed).min(self.granules) * self.format.granule() * self.format.record_bytes()
    }

    const fn head_granules(format: Format, segments: usize) -> usize {
        (segments * 4).div_ceil(format.granule() * format.record_bytes())
    }

    /// Asks for the memory of a source's head.
    #[inline(always)]
    pub fn prefetch_head(&self, row: SourceRow) {
        let at = self.words.as_ptr().cast::<u8>();
        let at = at.wrapping_add(row.first() as usize * self.format.granule() * self.format.record_bytes());
        for line in 0..=(row.segments() as usize * 4 / 64).min(7) {
            prefetch(at.wrapping_add(line * 64));
        }
    }

    /// Calls `visit(delay class, segment)` for every segment of a source.
    #[inline(always)]
    pub fn for_each_segment(&self, row: SourceRow, mut visit: impl FnMut(u16, Segment)) {
        let granule = self.format.granule() as u32;
        let count = row.segments() as usize;
        let head = self.words.as_ptr().cast::<u8>();
        let mut first = row.first() + Self::head_granules(self.format, count) as u32;
        for i in 0..count {
            // SAFETY: rows are made by `write_source` of this arena, which wrote `count` entries there.
            let entry = unsafe {
                *head
                    .add(row.first() as usize * self.format.granule() * self.format.record_bytes())
                    .cast::<u32>()
                    .add(i)
            };
            let records = entry >> 16;
            visit(entry as u16, Segment::new(first, records));
            first += records.div_ceil(granule);
        }
    }

    /// Calls `visit(slot, weight)` for every record of a segment, in order of memory.
    ///
    /// # Panics
    /// If the segment does not lie in the arena.
    #[inline(always)]
    pub fn for_each_record(&self, segment: Segment, mut visit: impl FnMut(u32, i32)) {
        let first = segment.first() as usize * self.format.granule();
        let count = segment.count() as usize;
        match self.format {
            Format::Lines | Format::Packed4 => {
                // SAFETY: the same memory as words of half the size.
                let words =
                    unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast::<u32>(), self.words.len() * 2) };
                for word in &words[first..first + count] {
                    visit(word & 0xffff, i32::from((word >> 16) as i16));
                }
            }
            Format::Packed8 => {
                for word in &self.words[first..first + count] {
                    visit(*word as u32, (word >> 32) as i32);
                }
            }
        }
    }

    /// A writer. Several may write at the same time.
    pub fn writer(&self) -> ArenaWriter<'_> {
        ArenaWriter { arena: self, next: 0, end: 0 }
    }

    /// Adds the records of `segments` to `rows`; returns their number. `work` is scratch memory.
    #[inline]
    pub fn deliver(&self, isa: Isa, segments: &[Segment], rows: &mut Rows, work: &mut DeliveryScratch) -> u64 {
        if segments.is_empty() {
            return 0;
        }
        assert_eq!(rows.slots, self.slots, "rows belong to another shard");
        assert!(if self.format.narrow() { rows.narrow.len() } else { rows.wide.len() } == self.slots);
        let limit = self.granules;
        debug_assert!(
            segments
                .iter()
                .all(|s| { s.first() as usize + (s.count() as usize).div_ceil(self.format.granule()) <= limit })
        );
        dispatch::<f32, _>(isa, Deliver { arena: self, segments, rows, work })
    }
}

impl ArenaWriter<'_> {
    /// Makes the next `granules` granules contiguous, so that writes of a source follow each other.
    fn reserve(&mut self, granules: usize) {
        if self.end - self.next < granules {
            let take = granules.max(Arena::chunk(self.arena.format));
            self.next = self.arena.used.fetch_add(take, Ordering::Relaxed);
            self.end = self.next + take;
            assert!(self.end <= self.arena.granules, "the bound on records given to the arena was too small");
        }
    }

    /// Writes all records of one source: a head that lists its segments, then the segments, one after the other.
    ///
    /// `segments` gives (delay class, number of records) in order, `records` their (slot, weight) concatenated.
    ///
    /// # Panics
    /// If a slot, a weight or a count does not fit.
    pub fn write_source(&mut self, segments: &[(u16, u32)], records: &[(u32, i32)]) -> SourceRow {
        let format = self.arena.format;
        let head = Arena::head_granules(format, segments.len());
        let body: usize = segments.iter().map(|(_, count)| (*count as usize).div_ceil(format.granule())).sum();
        self.reserve(head + body);
        let row = SourceRow::new(self.next as u32, segments.len() as u32);
        let to = self.arena.words.as_ptr().cast_mut().cast::<u8>();
        for (i, (class, count)) in segments.iter().enumerate() {
            assert!((1..=Segment::MAX as u32).contains(count));
            let entry = u32::from(*class) | count << 16;
            // SAFETY: the head lies in granules reserved for this writer alone.
            unsafe { to.add(self.next * format.granule() * format.record_bytes()).cast::<u32>().add(i).write(entry) }
        }
        self.next += head;
        let mut from = 0;
        for (_, count) in segments {
            self.write(&records[from..from + *count as usize]);
            from += *count as usize;
        }
        assert_eq!(from, records.len(), "segments cover all records");
        row
    }

    /// Writes one segment of (slot, weight) records.
    fn write(&mut self, records: &[(u32, i32)]) -> Segment {
        let granule = self.arena.format.granule();
        let need = records.len().div_ceil(granule);
        assert!(self.end - self.next >= need, "reserve before writing");
        let first = self.next * granule;
        let slots = self.arena.slots as u32;
        let base = self.arena.words.as_ptr().cast_mut();
        // SAFETY: granules `next..end` were handed to this writer alone and lie within the array, so no other
        // thread reads or writes these records while the arena is being written.
        unsafe {
            match self.arena.format {
                Format::Lines | Format::Packed4 => {
                    let to = base.cast::<u32>().add(first);
                    for (i, (slot, weight)) in records.iter().enumerate() {
                        assert!(*slot < slots && *slot <= 0xffff && i16::try_from(*weight).is_ok());
                        to.add(i).write(slot | (*weight as u32) << 16);
                    }
                }
                Format::Packed8 => {
                    let to = base.add(first);
                    for (i, (slot, weight)) in records.iter().enumerate() {
                        assert!(*slot < slots);
                        to.add(i).write(u64::from(*slot) | u64::from(*weight as u32) << 32);
                    }
                }
            }
        }
        let segment = Segment::new(self.next as u32, records.len() as u32);
        self.next += need;
        segment
    }
}

/// Memory a delivery works in, kept between steps.
#[derive(Debug, Default)]
pub struct DeliveryScratch {
    lines: Vec<u32>,
    counts: Vec<u8>,
    buffer: Vec<u32>,
}

struct Deliver<'a> {
    arena: &'a Arena,
    segments: &'a [Segment],
    rows: &'a mut Rows,
    work: &'a mut DeliveryScratch,
}

impl Kernel<f32> for Deliver<'_> {
    type Output = u64;
    #[inline(always)]
    fn run<S: Lanes<Elem = f32>>(self) -> u64 {
        // SAFETY: `Arena::deliver` checked that rows of the right width and length exist; slots are below their
        // length by the arena's invariant; segments were made by a writer of this arena.
        unsafe {
            match self.arena.format {
                Format::Lines => deliver_lines(self.arena, self.segments, self.rows, self.work),
                Format::Packed4 => {
                    let cells = self.rows.cells().0;
                    let words = self.arena.words.as_ptr().cast::<u32>();
                    deliver_packed(words, self.segments, |record| add_narrow(cells, self.rows, record))
                }
                Format::Packed8 => {
                    let cells = self.rows.cells().1;
                    deliver_packed(self.arena.words.as_ptr(), self.segments, |record| {
                        add_wide(cells, self.rows, record)
                    })
                }
            }
        }
    }
}

/// Adds a (u16 slot, i16 weight) record.
///
/// # Safety
/// `cells` is the narrow row of `rows` and the record's slot lies in it.
#[inline(always)]
unsafe fn add_narrow(cells: *mut i16, rows: &mut Rows, record: u32) {
    let (slot, weight) = ((record & 0xffff) as usize, (record >> 16) as i16);
    #[cfg(target_arch = "x86_64")]
    // One addition in memory and a jump that is never taken: the compiler's own sequence (load, add, test, store) makes
    // delivery a fifth slower. On overflow the cell is put back and the weight goes to the side row.
    // SAFETY: the cell lies in the row, as promised by the caller.
    unsafe {
        std::arch::asm!(
            "add word ptr [{cells} + 2 * {slot}], {weight:x}",
            "jo {overflow}",
            cells = in(reg) cells,
            slot = in(reg) slot,
            weight = in(reg) weight,
            overflow = label {
                // SAFETY: as above.
                let cell = unsafe { &mut *cells.add(slot) };
                *cell = cell.wrapping_sub(weight);
                rows.spill(slot, i64::from(weight));
            },
            options(nostack)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // SAFETY: promised by the caller.
        let cell = unsafe { &mut *cells.add(slot) };
        let (sum, overflow) = cell.overflowing_add(weight);
        if overflow {
            rows.spill(slot, i64::from(weight));
        } else {
            *cell = sum;
        }
    }
}

/// Adds a (u32 slot, i32 weight) record.
///
/// # Safety
/// `cells` is the wide row of `rows` and the record's slot lies in it.
#[inline(always)]
unsafe fn add_wide(cells: *mut i32, rows: &mut Rows, record: u64) {
    let (slot, weight) = ((record & 0xffff_ffff) as usize, (record >> 32) as i32);
    // SAFETY: promised by the caller.
    let cell = unsafe { &mut *cells.add(slot) };
    let (sum, overflow) = cell.overflowing_add(weight);
    if overflow {
        rows.spill(slot, i64::from(weight));
    } else {
        *cell = sum;
    }
}

#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; it never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a hint; it never faults.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

/// Asks for the memory at `at`.
#[inline(always)]
pub fn prefetch_read<T>(at: &T) {
    prefetch(at);
}

/// # Safety
/// See [`Deliver::run`].
#[inline(always)]
unsafe fn deliver_lines(arena: &Arena, segments: &[Segment], rows: &mut Rows, work: &mut DeliveryScratch) -> u64 {
    let total: usize = segments.iter().map(|s| (s.count() as usize).div_ceil(LINE)).sum();
    // Whole vectors are stored and whole chunks prefetched, so both lists have room beyond their end.
    let room = total + LINE + CHUNK + AHEAD;
    if work.lines.len() < room {
        work.lines.resize(room * 2, 0);
        work.counts.resize(room * 2, 0);
    }
    if work.buffer.is_empty() {
        work.buffer.resize((CHUNK + 2) * LINE, 0);
    }
    let base = arena.words.as_ptr().cast::<[u32; LINE]>();
    let (lines, counts) = (work.lines.as_mut_ptr(), work.counts.as_mut_ptr());
    // SAFETY: both lists have `room` elements; `buffer` holds a chunk of lines beyond the carried remainder; line
    // numbers below `total` come from segments of this arena, those beyond repeat line 0 of the list.
    unsafe {
        let mut n = 0;
        for segment in segments {
            let (first, count) = (segment.first(), segment.count());
            let of_segment = count.div_ceil(LINE as u32);
            let mut done = 0;
            loop {
                let ids: [u32; LINE] = std::array::from_fn(|i| first + done + i as u32);
                lines.add(n + done as usize).cast::<[u32; LINE]>().write_unaligned(ids);
                counts.add(n + done as usize).cast::<[u8; LINE]>().write_unaligned([LINE as u8; LINE]);
                done += LINE as u32;
                if done >= of_segment {
                    break;
                }
            }
            n += of_segment as usize;
            counts.add(n - 1).write((count - (of_segment - 1) * LINE as u32) as u8);
        }
        for i in 0..CHUNK + AHEAD {
            lines.add(n + i).write(*lines);
        }
        let buffer = work.buffer.as_mut_ptr();
        let cells = rows.cells().0;
        let mut filled = 0usize;
        let mut events = 0u64;
        let mut q = 0;
        for i in 0..AHEAD.min(n) {
            prefetch(base.add(*lines.add(i) as usize));
        }
        while q < n {
            let end = (q + CHUNK).min(n);
            while q < end {
                prefetch(base.add(*lines.add(q + AHEAD) as usize));
                let line = base.add(*lines.add(q) as usize).read();
                buffer.add(filled).cast::<[u32; LINE]>().write_unaligned(line);
                filled += usize::from(*counts.add(q));
                q += 1;
            }
            let mut i = 0;
            while i + LINE <= filled {
                let records = buffer.add(i);
                macro_rules! add_all {
                    ($($k:literal)*) => { $( add_narrow(cells, rows, *records.add($k)); )* };
                }
                // Written out: a loop would cost as much as the additions.
                add_all!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                i += LINE;
            }
            let rest = buffer.add(i).cast::<[u32; LINE]>().read_unaligned();
            buffer.cast::<[u32; LINE]>().write_unaligned(rest);
            filled -= i;
            events += i as u64;
        }
        for i in 0..filled {
            add_narrow(cells, rows, *buffer.add(i));
        }
        events + filled as u64
    }
}

/// # Safety
/// See [`Deliver::run`].
#[inline(always)]
unsafe fn deliver_packed<R: Copy>(base: *const R, segments: &[Segment], mut add: impl FnMut(R)) -> u64 {
    let mut events = 0;
    for (i, segment) in segments.iter().enumerate() {
        if let Some(ahead) = segments.get(i + AHEAD_PACKED) {
            // SAFETY: within the arena.
            let at = unsafe { base.add(ahead.first() as usize) };
            let bytes = (ahead.count() as usize * size_of::<R>()).min(1024);
            for line in 0..=bytes / 64 {
                prefetch(at.cast::<u8>().wrapping_add(line * 64));
            }
        }
        for k in 0..segment.count() as usize {
            // SAFETY: within the arena.
            add(unsafe { *base.add(segment.first() as usize + k) });
        }
        events += u64::from(segment.count());
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose, below};

    /// Segments of random lengths in every format add up to the sums a plain loop gives, also where rows overflow.
    #[test]
    fn every_format_delivers_the_exact_sums() {
        let key = Key::new(5, Purpose::Connect, 0);
        for format in [Format::Lines, Format::Packed4, Format::Packed8] {
            for isa in Isa::all_available() {
                let slots = 96;
                let arena = Arena::new(format, slots, 200_000, 1000, 300, 1);
                let mut writer = arena.writer();
                let mut segments = Vec::new();
                let mut expected = vec![0i64; slots];
                let mut counter = 0;
                for s in 0..300u32 {
                    let mut heads = Vec::new();
                    let mut records: Vec<(u32, i32)> = Vec::new();
                    for class in 0..s % 3 + 1 {
                        let length = if s == 7 { 5000 } else { 1 + key.words([s, 1, class, 0])[0] % 120 };
                        heads.push((class as u16, length));
                        records.extend((0..length).map(|_| {
                            counter += 1;
                            let w = key.words([counter, 0, 0, 0]);
                            (below(w[0], slots as u32), i32::from(w[1] as i16))
                        }));
                    }
                    for (slot, weight) in &records {
                        expected[*slot as usize] += i64::from(*weight);
                    }
                    let row = writer.write_source(&heads, &records);
                    let mut seen = Vec::new();
                    arena.for_each_segment(row, |class, segment| {
                        seen.push((class, segment.count()));
                        segments.push(segment);
                    });
                    assert_eq!(seen, heads);
                }
                let mut rows = Rows::new(slots, format.narrow(), !format.narrow());
                let mut work = DeliveryScratch::default();
                let events = arena.deliver(isa, &segments, &mut rows, &mut work);
                assert_eq!(events, segments.iter().map(|s| u64::from(s.count())).sum::<u64>());
                let mut got: Vec<i64> = if format.narrow() {
                    rows.narrow().iter().map(|x| i64::from(*x)).collect()
                } else {
                    rows.wide().iter().map(|x| i64::from(*x)).collect()
                };
                assert_eq!(format.narrow(), rows.overflows() > 0, "16-bit rows overflow in this test");
                rows.take_side(0, slots, |slot, sum| got[slot] += sum);
                assert_eq!(got, expected, "{format:?} {isa}");
            }
        }
    }
}
