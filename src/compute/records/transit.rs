//! Records on their way: what one shard sends to all for the steps to come, where synapses are not kept but drawn again
//! at every spike.
#![allow(unsafe_code)]

use super::delivery::{add_narrow, add_wide};
use crate::compute::rows::Rows;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Neurons of a block: they lie in consecutive slots.
const BLOCK: u32 = 32;

/// Where the neurons of a population have their slots of one receptor.
///
/// Invariant, checked by [`new`](Self::new): the 32 slots of every block lie below the number of slots of its shard.
#[derive(Debug)]
pub struct Places {
    /// For each block of 32 neurons its shard and the slot of its first neuron.
    blocks: Vec<(u32, u32)>,
    /// Slots of each shard.
    slots: Arc<[usize]>,
}

impl Places {
    /// Places of blocks of 32 neurons, (shard, slot of the first), in shards of so many `slots`.
    ///
    /// # Panics
    /// If a block does not fit its shard.
    pub fn new(blocks: Vec<(u32, u32)>, slots: Arc<[usize]>) -> Self {
        let fits =
            |(shard, slot): &(u32, u32)| slots.get(*shard as usize).is_some_and(|n| (*slot + BLOCK) as usize <= *n);
        assert!(blocks.iter().all(fits), "every block has its slots in a shard");
        Self { blocks, slots }
    }

    /// Bytes of the table.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * size_of::<(u32, u32)>()
    }

    /// Shard and slot of a neuron.
    #[inline(always)]
    pub fn of(&self, neuron: u32) -> (u32, u32) {
        let (shard, first) = self.blocks[(neuron / BLOCK) as usize];
        (shard, first + neuron % BLOCK)
    }
}

/// A value for each of a list of synapses, or one for all.
#[derive(Debug, Clone, Copy)]
pub enum Each<'a, T> {
    /// The same for all.
    Same(T),
    /// One for each.
    Own(&'a [T]),
}

/// A record in transit: (u16 slot, i16 weight) in 32 bits or (u32 slot, i32 weight) in 64.
pub trait Record: Copy + Send + 'static {
    /// Whether it is added to the narrow row.
    const NARROW: bool;
    /// The record of a slot and a stored weight that fit its widths.
    fn of(slot: u32, weight: i32) -> Self;
    /// Its slot.
    fn slot(self) -> u32;
    /// Adds it to a row.
    ///
    /// # Safety
    /// The row of this width has the record's slot.
    unsafe fn add(self, rows: &mut Rows, cells: (*mut i16, *mut i32));
}

impl Record for u32 {
    const NARROW: bool = true;
    #[inline(always)]
    fn of(slot: u32, weight: i32) -> Self {
        slot | (weight as u32) << 16
    }
    #[inline(always)]
    fn slot(self) -> u32 {
        self & 0xffff
    }
    #[inline(always)]
    unsafe fn add(self, rows: &mut Rows, cells: (*mut i16, *mut i32)) {
        // SAFETY: promised by the caller.
        unsafe { add_narrow(cells.0, rows, self) }
    }
}

impl Record for u64 {
    const NARROW: bool = false;
    #[inline(always)]
    fn of(slot: u32, weight: i32) -> Self {
        Self::from(slot) | Self::from(weight as u32) << 32
    }
    #[inline(always)]
    fn slot(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    unsafe fn add(self, rows: &mut Rows, cells: (*mut i16, *mut i32)) {
        // SAFETY: promised by the caller.
        unsafe { add_wide(cells.1, rows, self) }
    }
}

/// What one shard sends, by step of arrival and shard of destination.
///
/// The owner writes while other workers read what arrives now: in step `s` it fills the buckets of steps after `s`, the
/// others read those of step `s`, and those of `s - 1` are emptied. The ring has room for all of these at once, and a
/// barrier ends every step.
///
/// Records lie in chunks of a power of two bytes, aligned to their size, so that a chunk is full when the place of the
/// next record is such a multiple. Emptied chunks are used again, the last first: memory is what is on its way at most.
///
/// Invariant: the slot of every record in the bucket of a shard is below that shard's number of slots.
#[derive(Debug)]
pub struct Transit<R> {
    slots: Arc<[usize]>,
    longest: u32,
    mask: u64,
    /// Bytes of a chunk.
    chunk: usize,
    /// For each bucket, where the next record goes: the end of a chunk (or null) if there is no room.
    next: Box<[UnsafeCell<*mut R>]>,
    /// For each bucket, its chunks.
    chunks: Box<[UnsafeCell<Vec<*mut R>>]>,
    spare: UnsafeCell<Vec<*mut R>>,
    /// Chunks there are.
    owned: AtomicUsize,
}

// SAFETY: it owns its chunks; records are plain numbers.
unsafe impl<R: Record> Send for Transit<R> {}
// SAFETY: access is coordinated by the callers' barrier, as the methods demand.
unsafe impl<R: Record> Sync for Transit<R> {}

impl<R: Record> Transit<R> {
    /// For shards of so many `slots` and delays of up to `longest` steps.
    ///
    /// # Panics
    /// If records of this width cannot name all slots.
    pub fn new(slots: Arc<[usize]>, longest: u32) -> Self {
        assert!(!R::NARROW || slots.iter().all(|n| *n <= 1 << 16), "slots have 16 bits");
        let ring = Self::ring(longest);
        let buckets = ring as usize * slots.len();
        Self {
            chunk: Self::chunk_bytes(slots.len()),
            slots,
            longest,
            mask: ring - 1,
            next: (0..buckets).map(|_| UnsafeCell::new(std::ptr::null_mut())).collect(),
            chunks: (0..buckets).map(|_| UnsafeCell::default()).collect(),
            spare: UnsafeCell::default(),
            owned: AtomicUsize::new(0),
        }
    }

    /// Steps whose buckets exist at the same time, for each shard of destination.
    pub fn ring(longest: u32) -> u64 {
        (u64::from(longest) + 2).next_power_of_two()
    }

    /// Bytes of a chunk. Half of one is empty in each bucket: with many shards they are small.
    pub fn chunk_bytes(shards: usize) -> usize {
        (2048 / shards.max(1)).next_power_of_two().clamp(64, 1024) * size_of::<R>()
    }

    /// Bytes of chunks and tables.
    pub fn bytes(&self) -> usize {
        self.owned.load(Ordering::Relaxed) * self.chunk
            + self.next.len() * (size_of::<*mut R>() + size_of::<Vec<*mut R>>())
    }

    #[inline(always)]
    fn bucket(&self, step: u64, shard: usize) -> usize {
        (step & self.mask) as usize * self.slots.len() + shard
    }

    /// Empties what arrived in the step before `step`.
    ///
    /// # Safety
    /// Only the owner calls this, in step `step`, before it sends anything.
    pub unsafe fn clear_before(&self, step: u64) {
        for shard in 0..self.slots.len() {
            let bucket = self.bucket(step.wrapping_sub(1), shard);
            // SAFETY: a barrier lies between the reading of that bucket and this.
            unsafe {
                (*self.spare.get()).append(&mut *self.chunks[bucket].get());
                *self.next[bucket].get() = std::ptr::null_mut();
            }
        }
    }

    /// For sending the synapses of spikes of step `step` that arrive in `from` or later.
    ///
    /// # Safety
    /// Only the owner calls this, `from` is later than the step that is read now, and what it returns is gone before the
    /// barrier that ends the step.
    pub unsafe fn outgoing(&self, step: u64, from: u64) -> Outgoing<'_, R> {
        let least = from.saturating_sub(step).max(1).min(u64::from(self.longest) + 1) as u32;
        Outgoing { transit: self, step, least }
    }

    /// Adds what arrives in `step` at `shard` to its rows; gives the number of records.
    ///
    /// # Safety
    /// The owner does not touch that bucket now: barriers lie before and after.
    ///
    /// # Panics
    /// If the rows are of another shard.
    pub unsafe fn deliver(&self, step: u64, shard: usize, rows: &mut Rows) -> u64 {
        let room = if R::NARROW { rows.narrow.len() } else { rows.wide.len() };
        assert!(room >= self.slots[shard], "rows belong to another shard");
        let cells = rows.cells();
        let mut events = 0;
        // SAFETY: promised by the caller.
        for records in unsafe { self.arrived(step, shard) } {
            for record in records {
                // SAFETY: the slots of records are those of this shard.
                unsafe { record.add(rows, cells) };
            }
            events += records.len() as u64;
        }
        events
    }

    /// The records that arrive in `step` at `shard`, chunk by chunk.
    ///
    /// # Safety
    /// As [`deliver`](Self::deliver), for as long as the result lives.
    unsafe fn arrived(&self, step: u64, shard: usize) -> impl Iterator<Item = &[R]> {
        let bucket = self.bucket(step, shard);
        // SAFETY: nobody writes to the bucket now.
        let (chunks, end) = unsafe { (&*self.chunks[bucket].get(), *self.next[bucket].get()) };
        chunks.iter().enumerate().map(move |(i, first)| {
            let last = i + 1 == chunks.len();
            let stop = if last { end } else { first.wrapping_byte_add(self.chunk) };
            let count = (stop as usize - *first as usize) / size_of::<R>();
            // SAFETY: `count` records of this chunk were written.
            unsafe { std::slice::from_raw_parts(*first, count) }
        })
    }

    #[cold]
    #[inline(never)]
    fn grow(&self, bucket: usize) -> *mut R {
        // SAFETY: called by the owner only, as `push` is; nobody else touches the spare chunks or a bucket that is
        // being filled.
        unsafe {
            let (chunks, next) = (&mut *self.chunks[bucket].get(), *self.next[bucket].get());
            if chunks.last() == Some(&next) {
                // Asked for before and still empty.
                return next;
            }
            let chunk = (*self.spare.get()).pop().unwrap_or_else(|| {
                self.owned.fetch_add(1, Ordering::Relaxed);
                let layout = self.layout();
                let new = alloc(layout).cast::<R>();
                if new.is_null() { handle_alloc_error(layout) } else { new }
            });
            chunks.push(chunk);
            *self.next[bucket].get() = chunk;
            chunk
        }
    }

    fn layout(&self) -> Layout {
        Layout::from_size_align(self.chunk, self.chunk).expect("a power of two")
    }
}

impl<R> Drop for Transit<R> {
    fn drop(&mut self) {
        let layout = Layout::from_size_align(self.chunk, self.chunk).expect("a power of two");
        let filled = self.chunks.iter_mut().map(UnsafeCell::get_mut);
        for chunk in filled.chain([self.spare.get_mut()]).flat_map(|list| list.drain(..)) {
            // SAFETY: every chunk was allocated with this layout and is in one list.
            unsafe { dealloc(chunk.cast(), layout) };
        }
    }
}

/// Sends the synapses of spikes of one step.
#[derive(Debug)]
pub struct Outgoing<'a, R> {
    transit: &'a Transit<R>,
    step: u64,
    /// Shorter delays have arrived already.
    least: u32,
}

impl<R: Record> Outgoing<'_, R> {
    /// Sends synapses onto `targets` (indices within the population of `places`) with their stored weights and delays
    /// in steps.
    ///
    /// # Panics
    /// If the places are of other shards, a delay is longer than the longest or a list shorter than that of targets.
    pub fn send(&mut self, places: &Places, targets: &[u32], weights: Each<'_, i32>, delays: Each<'_, u32>) {
        let transit = self.transit;
        assert!(Arc::ptr_eq(&places.slots, &transit.slots) || places.slots == transit.slots, "places of these shards");
        match (weights, delays) {
            (Each::Same(weight), Each::Same(delay)) => self.together(places, targets, delay, |_| weight),
            (Each::Own(weights), Each::Same(delay)) => {
                let weights = &weights[..targets.len()];
                self.together(places, targets, delay, |i| weights[i]);
            }
            (Each::Same(weight), Each::Own(delays)) => {
                for (target, delay) in targets.iter().zip(&delays[..targets.len()]) {
                    self.push(places.of(*target), weight, *delay);
                }
            }
            (Each::Own(weights), Each::Own(delays)) => {
                let rest = weights[..targets.len()].iter().zip(&delays[..targets.len()]);
                for (target, (weight, delay)) in targets.iter().zip(rest) {
                    self.push(places.of(*target), *weight, *delay);
                }
            }
        }
    }

    /// One delay for all: one shard is a plain copy, two go to two places in turn without a branch.
    #[inline(always)]
    fn together(&mut self, places: &Places, targets: &[u32], delay: u32, weight: impl Fn(usize) -> i32) {
        let transit = self.transit;
        let shards = transit.slots.len();
        if !self.on_its_way(delay) {
            return;
        }
        if shards > 2 {
            for (i, target) in targets.iter().enumerate() {
                self.push(places.of(*target), weight(i), delay);
            }
            return;
        }
        let first = transit.bucket(self.step + u64::from(delay), 0);
        let buckets = [first, first + shards - 1];
        let mut done = 0;
        while done < targets.len() {
            let [mut a, mut b] = buckets.map(|bucket| self.place(bucket));
            let room = [a, b].map(|at| (transit.chunk - (at as usize & (transit.chunk - 1))) / size_of::<R>());
            let end = targets.len().min(done + room[0].min(room[1]));
            if shards == 1 {
                for (i, target) in (done..end).zip(&targets[done..end]) {
                    let (_, slot) = places.of(*target);
                    // SAFETY: there is room for so many records after `a`.
                    unsafe { a.write(R::of(slot, weight(i))) };
                    a = a.wrapping_add(1);
                }
                b = a;
            } else {
                for (i, target) in (done..end).zip(&targets[done..end]) {
                    let (shard, slot) = places.of(*target);
                    let record = R::of(slot, weight(i));
                    // SAFETY: there is room for so many records after `a` and after `b`; what was written to the other
                    // shard's is overwritten by its next record or lies beyond its end.
                    unsafe {
                        a.write(record);
                        b.write(record);
                    }
                    a = a.wrapping_add((shard == 0) as usize);
                    b = b.wrapping_add((shard != 0) as usize);
                }
            }
            done = end;
            // SAFETY: only the owner touches these buckets.
            unsafe {
                *transit.next[buckets[0]].get() = a;
                *transit.next[buckets[1]].get() = b;
            }
        }
    }

    /// Where the next record of a bucket goes.
    #[inline(always)]
    fn place(&self, bucket: usize) -> *mut R {
        // SAFETY: only the owner touches a bucket of a later step.
        let next = unsafe { *self.transit.next[bucket].get() };
        if next as usize & (self.transit.chunk - 1) == 0 { self.transit.grow(bucket) } else { next }
    }

    /// Whether a delay is one that has not arrived yet.
    #[inline(always)]
    fn on_its_way(&self, delay: u32) -> bool {
        assert!(delay <= self.transit.longest, "no delay is longer than the longest");
        delay >= self.least
    }

    #[inline(always)]
    fn push(&mut self, (shard, slot): (u32, u32), weight: i32, delay: u32) {
        if !self.on_its_way(delay) {
            return;
        }
        let bucket = self.transit.bucket(self.step + u64::from(delay), shard as usize);
        let at = self.place(bucket);
        // SAFETY: `at` lies in a chunk of the bucket, which only the owner touches; the slot is one of the shard's.
        unsafe {
            at.write(R::of(slot, weight));
            *self.transit.next[bucket].get() = at.wrapping_add(1);
        }
    }
}

/// What all shards send to all, in both widths.
#[derive(Debug)]
pub struct Transits {
    senders: Vec<Sender>,
}

#[derive(Debug)]
struct Sender {
    narrow: Option<Transit<u32>>,
    wide: Option<Transit<u64>>,
}

/// Sends the synapses of spikes of one step of one shard, of either width.
#[derive(Debug)]
pub struct Sending<'a> {
    narrow: Option<Outgoing<'a, u32>>,
    wide: Option<Outgoing<'a, u64>>,
}

/// What arrives in a step at a shard.
#[derive(Debug, Clone, Copy)]
pub struct Arriving<'a> {
    transits: &'a Transits,
    step: u64,
    shard: usize,
}

impl Transits {
    /// For shards of so many `slots`, delays of up to `longest` steps, and the widths that are needed.
    pub fn new(slots: &Arc<[usize]>, longest: u32, narrow: bool, wide: bool) -> Self {
        let sender = |_| Sender {
            narrow: narrow.then(|| Transit::new(slots.clone(), longest)),
            wide: wide.then(|| Transit::new(slots.clone(), longest)),
        };
        Self { senders: (0..slots.len()).map(sender).collect() }
    }

    /// For what `shard` sends in `step`, to arrive later.
    ///
    /// # Safety
    /// Only the shard's worker calls this, once in step `step`, and what it returns is gone before the barrier that ends
    /// the step. Every worker passes a barrier between steps, and nobody asks for what arrives in another step.
    pub unsafe fn sending(&self, step: u64, shard: usize) -> Sending<'_> {
        let Sender { narrow, wide } = &self.senders[shard];
        // SAFETY: promised by the caller; what is sent arrives after `step`.
        unsafe {
            narrow.iter().for_each(|transit| transit.clear_before(step));
            wide.iter().for_each(|transit| transit.clear_before(step));
            Sending {
                narrow: narrow.as_ref().map(|transit| transit.outgoing(step, step + 1)),
                wide: wide.as_ref().map(|transit| transit.outgoing(step, step + 1)),
            }
        }
    }

    /// For what spikes of step `step` send that arrives in step `from` or later, while no step is taken.
    pub fn sending_again(&mut self, step: u64, from: u64) -> Option<Sending<'_>> {
        let Sender { narrow, wide } = self.senders.first_mut()?;
        // SAFETY: borrowed for change: nobody reads or sends.
        Some(unsafe {
            Sending {
                narrow: narrow.as_ref().map(|transit| transit.outgoing(step, from)),
                wide: wide.as_ref().map(|transit| transit.outgoing(step, from)),
            }
        })
    }

    /// What arrives in `step` at `shard`.
    ///
    /// # Safety
    /// Called in step `step`, and what it returns is gone before the barrier that ends the step; see
    /// [`sending`](Self::sending).
    pub unsafe fn arriving(&self, step: u64, shard: usize) -> Arriving<'_> {
        Arriving { transits: self, step, shard }
    }

    /// Bytes of chunks and tables.
    pub fn bytes(&self) -> usize {
        let of = |sender: &Sender| {
            sender.narrow.as_ref().map_or(0, Transit::bytes) + sender.wide.as_ref().map_or(0, Transit::bytes)
        };
        self.senders.iter().map(of).sum()
    }
}

impl Sending<'_> {
    /// Sends synapses to where and when they arrive; `wide` says in which width.
    ///
    /// # Panics
    /// If lengths do not fit, a delay is too long or 0, or the width was not asked for.
    pub fn send(
        &mut self,
        wide: bool,
        places: &Places,
        targets: &[u32],
        weights: Each<'_, i32>,
        delays: Each<'_, u32>,
    ) {
        match (wide, &mut self.narrow, &mut self.wide) {
            (false, Some(narrow), _) => narrow.send(places, targets, weights, delays),
            (true, _, Some(wide)) => wide.send(places, targets, weights, delays),
            _ => panic!("records of a width that was not asked for"),
        }
    }
}

impl Arriving<'_> {
    /// Sets `marks[slot >> shift]` for every record; gives their number.
    pub fn mark(&self, shift: u32, marks: &mut [u8]) -> u64 {
        fn of<R: Record>(arrived: impl Iterator<Item = impl AsRef<[R]>>, shift: u32, marks: &mut [u8]) -> u64 {
            let mut count = 0;
            for records in arrived {
                for record in records.as_ref() {
                    marks[(record.slot() >> shift) as usize] = 1;
                }
                count += records.as_ref().len() as u64;
            }
            count
        }
        let Self { transits, step, shard } = *self;
        let mut count = 0;
        for Sender { narrow, wide } in &transits.senders {
            // SAFETY: promised when this was made.
            unsafe {
                count += narrow.as_ref().map_or(0, |transit| of(transit.arrived(step, shard), shift, marks));
                count += wide.as_ref().map_or(0, |transit| of(transit.arrived(step, shard), shift, marks));
            }
        }
        count
    }

    /// Adds it to the rows of the shard; gives the number of records.
    pub fn deliver(self, rows: &mut Rows) -> u64 {
        let Self { transits, step, shard } = self;
        let mut events = 0;
        for Sender { narrow, wide } in &transits.senders {
            // SAFETY: promised when this was made.
            unsafe {
                events += narrow.as_ref().map_or(0, |transit| transit.deliver(step, shard, rows));
                events += wide.as_ref().map_or(0, |transit| transit.deliver(step, shard, rows));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Purpose, below};

    fn exact<R: Record>(shards: usize, delays: &[u32], constant: bool) {
        let slots: Arc<[usize]> = (0..shards).map(|s| 320 + 32 * s).collect();
        let blocks: Vec<(u32, u32)> = (0..30).map(|b| ((b % shards as u32), 32 * ((b / shards as u32) % 10))).collect();
        let places = Places::new(blocks, slots.clone());
        let longest = delays.iter().copied().max().unwrap();
        let transit = Transit::<R>::new(slots.clone(), longest);
        let key = Key::new(3, Purpose::Connect, 0);
        let mut expected: Vec<Vec<Vec<i64>>> = (0..200).map(|_| slots.iter().map(|n| vec![0; *n]).collect()).collect();
        for step in 0..150u64 {
            // SAFETY: one thread.
            unsafe { transit.clear_before(step) };
            let count = [0, 1, 900, 5000][(step % 4) as usize];
            let words: Vec<[u32; 4]> = (0..count).map(|i| key.words([i, step as u32, 0, 0])).collect();
            let targets: Vec<u32> = words.iter().map(|w| below(w[0], 960)).collect();
            let weights: Vec<i32> = words.iter().map(|w| i32::from(w[1] as i16)).collect();
            let own: Vec<u32> = words.iter().map(|w| delays[below(w[2], delays.len() as u32) as usize]).collect();
            let same = delays[step as usize % delays.len()];
            // SAFETY: one thread.
            let mut out = unsafe { transit.outgoing(step, step + 1) };
            let of = if constant { Each::Same(same) } else { Each::Own(&own) };
            out.send(&places, &targets, Each::Own(&weights), of);
            for i in 0..targets.len() {
                let (shard, slot) = places.of(targets[i]);
                let delay = if constant { same } else { own[i] };
                expected[(step + u64::from(delay)) as usize][shard as usize][slot as usize] += i64::from(weights[i]);
            }
            for (shard, slots) in slots.iter().enumerate() {
                let mut rows = Rows::new(*slots, true, true);
                // SAFETY: one thread.
                unsafe { transit.deliver(step, shard, &mut rows) };
                let mut got: Vec<i64> = if R::NARROW {
                    rows.narrow().iter().map(|x| i64::from(*x)).collect()
                } else {
                    rows.wide().iter().map(|x| i64::from(*x)).collect()
                };
                rows.take_side(0, *slots, |slot, sum| got[slot] += sum);
                assert_eq!(got, expected[step as usize][shard], "step {step}, shard {shard} of {shards}");
            }
        }
    }

    #[test]
    fn everything_arrives_once_when_it_should() {
        for shards in [1, 2, 3, 9] {
            for constant in [true, false] {
                exact::<u32>(shards, &[1], constant);
                exact::<u32>(shards, &[1, 3, 14, 40], constant);
                exact::<u64>(shards, &[2, 5], constant);
            }
        }
    }

    #[test]
    fn what_has_arrived_is_not_sent_again() {
        let slots: Arc<[usize]> = Arc::new([32]);
        let places = Places::new(vec![(0, 0)], slots.clone());
        let transit = Transit::<u32>::new(slots, 5);
        // SAFETY: one thread.
        let mut again = unsafe { transit.outgoing(7, 10) };
        again.send(&places, &[4, 5, 6], Each::Same(3), Each::Own(&[2, 3, 5]));
        again.send(&places, &[9], Each::Same(3), Each::Same(1));
        let mut rows = Rows::new(32, true, false);
        // SAFETY: one thread.
        let counts = [8, 9, 10, 11, 12].map(|step| unsafe { transit.deliver(step, 0, &mut rows) });
        assert_eq!(counts, [0, 0, 1, 0, 1]);
    }
}
