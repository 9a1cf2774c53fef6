//! Delivery: adding the records of arriving segments to the input rows.
#![allow(unsafe_code)]

use super::{Arena, Format, LINE, Segment};
use crate::compute::Isa;
use crate::compute::rows::Rows;
use crate::compute::simd::{Kernel, Lanes, dispatch};

/// Lines delivered at a time: their records are gathered in the first-level cache, then added without a branch.
const CHUNK: usize = 32;
/// How many lines ahead memory is asked for.
const AHEAD: usize = 64;
/// How many packed segments ahead memory is asked for.
const AHEAD_PACKED: usize = 12;

impl Arena {
    /// Adds the records of `segments` to `rows`; returns their number. `work` is scratch memory.
    #[inline]
    pub fn deliver(&self, isa: Isa, segments: &[Segment], rows: &mut Rows, work: &mut DeliveryScratch) -> u64 {
        if segments.is_empty() {
            return 0;
        }
        assert_eq!(rows.slots, self.slots, "rows belong to another shard");
        // Lent records may name any slot: a narrow row then has all 65,536, of a wide row each slot is checked.
        let least = if self.is_lent() { 1 << 16 } else { self.slots };
        assert!(if self.format.narrow() { rows.narrow.len() >= least } else { rows.wide.len() == self.slots });
        let limit = self.granules;
        debug_assert!(
            segments
                .iter()
                .all(|s| { s.first() as usize + (s.count() as usize).div_ceil(self.format.granule()) <= limit })
        );
        dispatch::<f32, _>(isa, Deliver { arena: self, segments, rows, work })
    }
}

/// Memory a delivery works in, kept between steps.
#[derive(Debug, Default)]
pub struct DeliveryScratch {
    lines: Vec<u32>,
    counts: Vec<u8>,
    buffer: Vec<u32>,
}

impl DeliveryScratch {
    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.lines.capacity() * 4 + self.counts.capacity() + self.buffer.capacity() * 4
    }
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
        // length by the arena's invariant, in lent memory by the row's length or the check below; segments were made
        // by a writer of this arena or checked when they were read.
        unsafe {
            match self.arena.format {
                Format::Lines => deliver_lines(self.arena, self.segments, self.rows, self.work),
                Format::Packed4 => {
                    let cells = self.rows.cells().0;
                    let words = self.arena.words().cast::<u32>();
                    deliver_packed(words, self.segments, |record| add_narrow(cells, self.rows, record))
                }
                Format::Packed8 => {
                    let cells = self.rows.cells().1;
                    let words = self.arena.words();
                    if self.arena.is_lent() {
                        let slots = self.arena.slots as u64;
                        deliver_packed(words, self.segments, |record| {
                            if record & 0xffff_ffff < slots {
                                add_wide(cells, self.rows, record);
                            } else {
                                self.rows.stray += 1;
                            }
                        })
                    } else {
                        deliver_packed(words, self.segments, |record| add_wide(cells, self.rows, record))
                    }
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
pub(super) unsafe fn add_narrow(cells: *mut i16, rows: &mut Rows, record: u32) {
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
pub(super) unsafe fn add_wide(cells: *mut i32, rows: &mut Rows, record: u64) {
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
pub(super) fn prefetch<T>(at: *const T) {
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
    let base = arena.words().cast::<[u32; LINE]>();
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
