//! Input rows: where the weights that arrive in a step are summed, exactly and in any order.

use super::HugeVec;

/// Integer accumulators, one for each slot of a shard.
///
/// A slot's sum is `narrow + wide + side`. Records add to the narrow (16-bit) or wide (32-bit) row; an addition that
/// would overflow there goes to the 64-bit side row instead, which cannot overflow: it would take 2^31 events of the
/// largest weight in one step. Integer sums do not depend on the order of events, so neither threads nor layouts
/// change a bit.
#[derive(Debug)]
pub struct Rows {
    pub(super) slots: usize,
    pub(super) narrow: HugeVec<i16>,
    pub(super) wide: HugeVec<i32>,
    pub(super) side: HugeVec<i64>,
    /// One flag for every 32 slots: the side row holds something there.
    pub(super) flags: HugeVec<u8>,
    /// Whether any flag is set.
    pub(super) overflowed: bool,
    /// Additions that went to the side row since the start.
    pub(super) overflows: u64,
    /// Records that named a slot that does not exist, which only those from a damaged file do.
    pub(super) stray: u64,
}

impl Rows {
    /// Rows of `slots` accumulators (a multiple of 32), with the widths that are needed.
    pub fn new(slots: usize, narrow: bool, wide: bool) -> Self {
        Self::with_room(slots, narrow, wide, slots)
    }

    /// Rows in which every slot exists that a 16-bit number can name, for records that were not checked.
    pub fn guarded(slots: usize, narrow: bool, wide: bool) -> Self {
        Self::with_room(slots, narrow, wide, slots.max(1 << 16))
    }

    fn with_room(slots: usize, narrow: bool, wide: bool, room: usize) -> Self {
        assert!(slots.is_multiple_of(32), "slots come in blocks of 32");
        Self {
            slots,
            narrow: HugeVec::zeroed(if narrow { room } else { 0 }),
            wide: HugeVec::zeroed(if wide { slots } else { 0 }),
            side: HugeVec::zeroed(room),
            flags: HugeVec::zeroed(room / 32),
            overflowed: false,
            overflows: 0,
            stray: 0,
        }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Additions that did not fit their row and took the exact detour, since the start.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Records that named a slot that does not exist, since the start.
    pub fn stray(&self) -> u64 {
        self.stray
    }

    /// Bytes of the rows that are in use.
    pub fn bytes(&self) -> usize {
        self.narrow.len() * 2 + self.wide.len() * 4 + self.flags.len()
    }

    /// The narrow row; empty if it was not asked for.
    pub fn narrow(&mut self) -> &mut [i16] {
        &mut self.narrow
    }

    /// The wide row; empty if it was not asked for.
    pub fn wide(&mut self) -> &mut [i32] {
        &mut self.wide
    }

    /// Takes what overflowed into the side row at `first..first + len` (multiples of 32): calls `take(i, sum)` for
    /// every slot `first + i` with a non-zero side sum and clears it.
    #[inline]
    pub fn take_side(&mut self, first: usize, len: usize, mut take: impl FnMut(usize, i64)) {
        if !self.overflowed {
            return;
        }
        for block in first / 32..(first + len).div_ceil(32) {
            if self.flags[block] != 0 {
                for slot in block * 32..(block + 1) * 32 {
                    if self.side[slot] != 0 && (first..first + len).contains(&slot) {
                        take(slot - first, self.side[slot]);
                        self.side[slot] = 0;
                    }
                }
                self.flags[block] = 0;
            }
        }
    }

    /// Whether the memory of slots of the narrow or the wide row can be given back.
    pub fn releases(&self, wide: bool) -> bool {
        if wide { self.wide.releases() } else { self.narrow.releases() }
    }

    /// Gives back the memory of slots `range` that nothing was added to since they were taken; it comes back when something
    /// is. Returns the bytes given back.
    ///
    /// # Panics
    /// In debug builds, if something was added.
    pub fn release(&mut self, range: std::ops::Range<usize>) -> usize {
        let mut bytes = 0;
        if !self.narrow.is_empty() {
            debug_assert!(self.narrow[range.clone()].iter().all(|sum| *sum == 0));
            bytes += self.narrow.release(range.clone());
        }
        if !self.wide.is_empty() {
            debug_assert!(self.wide[range.clone()].iter().all(|sum| *sum == 0));
            bytes += self.wide.release(range);
        }
        bytes
    }

    /// Says that all side sums have been taken. Call it at the end of each step.
    #[inline]
    pub fn end_step(&mut self) {
        self.overflowed = false;
    }

    /// Where the sums of the narrow and wide rows are.
    pub(super) fn cells(&mut self) -> (*mut i16, *mut i32) {
        (self.narrow.as_mut_ptr(), self.wide.as_mut_ptr())
    }

    /// Adds to the side row what did not fit.
    #[cold]
    #[inline(never)]
    pub(super) fn spill(&mut self, slot: usize, weight: i64) {
        self.side[slot] += weight;
        self.flags[slot / 32] = 1;
        self.overflowed = true;
        self.overflows += 1;
    }
}
