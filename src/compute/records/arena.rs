//! Where a shard's synapse records lie, how they are written, and how they are found again.
#![allow(unsafe_code)]

use super::delivery::prefetch;
use super::{Format, Segment, SourceRow};
use crate::compute::HugeVec;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

// SAFETY: a plain number, of which any bits may be looked at.
unsafe impl crate::compute::arena::Zeroed for SourceRow {}

/// Memory that somebody else owns, such as a part of a mapped file.
pub type Lent = Box<dyn Deref<Target = [u64]> + Send + Sync>;

enum Advice {
    Random,
    WillNeed,
    PageOut,
}

/// Tells the system how a stretch of mapped memory is used; whether it took notice.
#[cfg(unix)]
fn advise(at: *const u8, len: usize, advice: Advice) -> bool {
    const PAGE: usize = 4096;
    let (from, to) = (at as usize / PAGE * PAGE, at as usize + len);
    let advice = match advice {
        Advice::Random => libc::MADV_RANDOM,
        Advice::WillNeed => libc::MADV_WILLNEED,
        // Not `DONTNEED`, which would lose what lies in no file.
        #[cfg(target_os = "linux")]
        Advice::PageOut => libc::MADV_PAGEOUT,
        #[cfg(not(target_os = "linux"))]
        Advice::PageOut => return false,
    };
    // SAFETY: advice changes no memory; for pages that are not mapped it fails.
    unsafe { libc::madvise(from as *mut libc::c_void, to - from, advice) == 0 }
}

#[cfg(not(unix))]
fn advise(_at: *const u8, _len: usize, _advice: Advice) -> bool {
    false
}

/// Two 4-byte records or one 8-byte record an element.
enum Words {
    Own(HugeVec<u64>),
    Lent(Lent),
}

/// The synapse records of one shard in one format.
///
/// Invariants of an arena of its own memory: every record that was written has a slot below `slots` (checked in
/// [`ArenaWriter::write_source`]), and memory that was not written is zero, which is a record of slot 0 with weight 0.
/// `slots` is at least 32 whenever there is a record. Groups that were put away read as zeros: heads that list empty
/// segments, which are refused, and records without effect. Of lent memory nothing is taken for granted but its length: heads
/// are checked whenever they are read, and records are delivered to rows in which every slot they can name exists.
pub struct Arena {
    pub(super) format: Format,
    pub(super) slots: usize,
    words: Words,
    /// Granules handed to writers.
    used: AtomicUsize,
    /// Granules that writers have written, or lost at the ends of chunks.
    written: AtomicUsize,
    pub(super) granules: usize,
    /// Whether pages are asked for source by source.
    sparse: bool,
    /// Whether groups were ever put away.
    grouped: bool,
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whose = if self.is_lent() { "lent" } else { "own" };
        write!(f, "Arena({:?}, {} slots, {} {whose} bytes)", self.format, self.slots, self.bytes())
    }
}

/// Writes records into chunks of an arena that no other writer has.
#[derive(Debug)]
pub struct ArenaWriter<'a> {
    arena: &'a Arena,
    next: usize,
    end: usize,
    /// Granules written so far, and those lost at the ends of full chunks.
    written: usize,
}

impl Drop for ArenaWriter<'_> {
    fn drop(&mut self) {
        self.arena.written.fetch_add(self.written, Ordering::Relaxed);
    }
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
        let words = Words::Own(HugeVec::zeroed(bytes / 8 + Self::TAIL));
        Self {
            format,
            slots,
            words,
            used: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            granules,
            sparse: false,
            grouped: false,
        }
    }

    /// Words beyond the last record that a delivery may ask for.
    pub const TAIL: usize = 64;

    /// An arena whose records another owner keeps, as [`source_image`](Self::source_image) gave them, followed by
    /// [`TAIL`](Self::TAIL) words of zeros. `None` if the memory does not hold whole granules, or too many.
    pub fn lent(format: Format, slots: usize, words: Lent) -> Option<Self> {
        let bytes = words.len().checked_sub(Self::TAIL)? * 8;
        let size = format.granule() * format.record_bytes();
        let granules = bytes / size;
        // Packed records of four bytes may leave half a word.
        let whole = bytes - granules * size < 8;
        (whole && granules <= u32::MAX as usize && slots >= 32).then(|| Self {
            format,
            slots,
            words: Words::Lent(words),
            used: AtomicUsize::new(granules),
            written: AtomicUsize::new(granules),
            granules,
            sparse: false,
            grouped: false,
        })
    }

    /// Says that lent memory is a mapped file larger than memory: the system is not to read ahead of what is looked at,
    /// which would push out what is needed; [`will_need`](Self::will_need) asks for the pages of a source instead.
    pub fn make_sparse(&mut self) {
        if let Words::Lent(words) = &self.words {
            self.sparse = advise(words.as_ptr().cast(), words.len() * 8, Advice::Random);
        }
    }

    /// Whether pages are to be asked for with [`will_need`](Self::will_need).
    #[inline(always)]
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Has the pages of a source fetched while other work goes on. `next` is the row of the source that follows.
    pub fn will_need(&self, row: SourceRow, next: Option<SourceRow>) {
        let size = self.format.granule() * self.format.record_bytes();
        let end = next.map_or(self.granules, |next| next.first() as usize).min(self.granules);
        let (from, to) = (row.first() as usize * size, end * size);
        if from < to {
            advise(self.words().cast::<u8>().wrapping_add(from), to - from, Advice::WillNeed);
        }
    }

    /// Number of granules: no head or segment leads beyond.
    pub fn granules(&self) -> usize {
        self.granules
    }

    /// Whether the records lie in memory of another owner.
    pub fn is_lent(&self) -> bool {
        matches!(self.words, Words::Lent(_))
    }

    /// The words, if they are the arena's own.
    pub(super) fn own_words(&self) -> Option<&HugeVec<u64>> {
        match &self.words {
            Words::Own(words) => Some(words),
            Words::Lent(_) => None,
        }
    }

    /// The words to compress and to restore, if they are the arena's own and their memory can be given back.
    pub(super) fn own_words_to_pack(&mut self) -> Option<&mut HugeVec<u64>> {
        match &mut self.words {
            Words::Own(words) if words.releases() => {
                self.grouped = true;
                Some(words)
            }
            _ => None,
        }
    }

    /// Lets the system have the pages of a range of bytes of lent memory, which it reads again when it has to; whether
    /// it took notice.
    pub(super) fn drop_pages(&self, bytes: std::ops::Range<usize>) -> bool {
        let Words::Lent(words) = &self.words else { return false };
        let end = bytes.end.min(words.len() * 8);
        bytes.start < end
            && advise(words.as_ptr().cast::<u8>().wrapping_add(bytes.start), end - bytes.start, Advice::PageOut)
    }

    #[inline(always)]
    pub(super) fn words(&self) -> *const u64 {
        match &self.words {
            Words::Own(words) => words.as_ptr(),
            Words::Lent(words) => words.as_ptr(),
        }
    }

    /// Bytes that a writer takes at a time.
    pub const CHUNK_BYTES: usize = 1 << 18;

    /// Granules that a writer takes at a time.
    const fn chunk(format: Format) -> usize {
        Self::CHUNK_BYTES / (format.granule() * format.record_bytes())
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes handed out to writers.
    pub fn bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed).min(self.granules) * self.format.granule() * self.format.record_bytes()
    }

    /// Bytes up to where writers have written in the chunks they took, as far as the writers were dropped since; of lent
    /// memory, all. What [`bytes`](Self::bytes) has more is the end of each writer's last chunk, which nobody touches.
    pub fn written_bytes(&self) -> usize {
        self.written.load(Ordering::Relaxed).min(self.granules) * self.format.granule() * self.format.record_bytes()
    }

    const fn head_granules(format: Format, segments: usize) -> usize {
        (segments * 4).div_ceil(format.granule() * format.record_bytes())
    }

    /// Asks for the memory of a source's head.
    #[inline(always)]
    pub fn prefetch_head(&self, row: SourceRow) {
        let at = self.words().cast::<u8>();
        let at = at.wrapping_add(row.first() as usize * self.format.granule() * self.format.record_bytes());
        for line in 0..=(row.segments() as usize * 4 / 64).min(7) {
            prefetch(at.wrapping_add(line * 64));
        }
    }

    /// Calls `visit(delay class, segment)` for every segment of a source; false if lent memory holds a head that leads
    /// out of the arena, in which case the segments up to there were visited.
    #[inline(always)]
    pub fn for_each_segment(&self, row: SourceRow, mut visit: impl FnMut(u16, Segment)) -> bool {
        let granule = self.format.granule() as u32;
        let count = row.segments() as usize;
        let (lent, doubtful) = (self.is_lent(), self.is_lent() || self.grouped);
        let head = self.words().cast::<u8>();
        let at = row.first() as usize * self.format.granule() * self.format.record_bytes();
        let body = row.first() as usize + Self::head_granules(self.format, count);
        if lent && body > self.granules {
            return false;
        }
        let mut first = body as u32;
        for i in 0..count {
            // SAFETY: rows are made by `write_source` of this arena, which wrote `count` entries there; in lent memory
            // the whole head lies within the granules.
            let entry = unsafe { *head.add(at).cast::<u32>().add(i) };
            let records = entry >> 16;
            let need = records.div_ceil(granule);
            if doubtful && (records == 0 || first as usize + need as usize > self.granules) {
                return false;
            }
            visit(entry as u16, Segment::new(first, records));
            first = first.wrapping_add(need);
        }
        true
    }

    /// Calls `visit(slot, weight)` for every record of a segment that [`for_each_segment`](Self::for_each_segment) of
    /// this arena gave.
    ///
    /// # Panics
    /// If the segment is of another arena.
    pub fn for_each_record(&self, segment: Segment, mut visit: impl FnMut(u32, i32)) {
        let (first, count) = (segment.first() as usize, segment.count() as usize);
        assert!(first + count.div_ceil(self.format.granule()) <= self.granules, "the segment is of this arena");
        for k in first * self.format.granule()..first * self.format.granule() + count {
            // SAFETY: record `k` lies within the granules, as was just checked.
            unsafe {
                match self.format {
                    Format::Lines | Format::Packed4 => {
                        let record = *self.words().cast::<u32>().add(k);
                        visit(record & 0xffff, i32::from((record >> 16) as i16));
                    }
                    Format::Packed8 => {
                        let record = *self.words().add(k);
                        visit(record as u32, (record >> 32) as i32);
                    }
                }
            }
        }
    }

    /// The head and records of a source as they lie in memory: whole granules that can be put elsewhere. `None` if
    /// lent memory holds a head that leads out of the arena.
    pub fn source_image(&self, row: SourceRow) -> Option<&[u32]> {
        let mut end = row.first() as usize + Self::head_granules(self.format, row.segments() as usize);
        let sound = self.for_each_segment(row, |_, segment| {
            end = segment.first() as usize + (segment.count() as usize).div_ceil(self.format.granule());
        });
        let size = self.format.granule() * self.format.record_bytes() / 4;
        // SAFETY: the granules from the head to the end of the last segment lie within the arena.
        sound.then(|| unsafe {
            let at = self.words().cast::<u32>().add(row.first() as usize * size);
            std::slice::from_raw_parts(at, (end - row.first() as usize) * size)
        })
    }

    /// A writer. Several may write at the same time.
    ///
    /// # Panics
    /// If the memory is lent.
    pub fn writer(&self) -> ArenaWriter<'_> {
        assert!(!self.is_lent(), "lent memory is only read");
        ArenaWriter { arena: self, next: 0, end: 0, written: 0 }
    }
}

impl ArenaWriter<'_> {
    /// Makes the next `granules` granules contiguous, so that writes of a source follow each other.
    fn reserve(&mut self, granules: usize) {
        if self.end - self.next < granules {
            // What is left of the chunk is lost, and lies among records.
            self.written += self.end - self.next;
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
        self.written += head + body;
        let row = SourceRow::new(self.next as u32, segments.len() as u32);
        let to = self.arena.words().cast_mut().cast::<u8>();
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
        let base = self.arena.words().cast_mut();
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
