//! Records put away in groups: stretches of an arena whose memory goes back to the system while nobody needs them.

use super::{Arena, Format, Segment};
use crate::compute::{Codec, Grain};
use std::ops::Range;

/// What became of a group that was put away.
#[derive(Debug)]
pub enum PutAway {
    /// It lies here, compressed.
    Packed(Box<[u8]>),
    /// It lies in a file, from which the system fetches it when it is looked at.
    InFile,
}

impl Arena {
    /// Bytes of a group: enough to compress well, few enough to be back within a fraction of a millisecond.
    pub const GROUP: usize = 64 << 10;

    /// Number of groups that hold records.
    pub fn groups(&self) -> usize {
        self.bytes().div_ceil(Self::GROUP)
    }

    /// The group a granule lies in.
    pub fn group_of(&self, granule: usize) -> usize {
        granule * self.format().granule() * self.format().record_bytes() / Self::GROUP
    }

    /// Granules that hold heads or records.
    pub fn used_granules(&self) -> usize {
        self.bytes() / (self.format().granule() * self.format().record_bytes())
    }

    /// Words of a group.
    fn group_words(&self, group: usize, words: usize) -> Range<usize> {
        let per_group = Self::GROUP / 8;
        (group * per_group).min(words)..((group + 1) * per_group).min(words)
    }

    /// How records are made up: two numbers each.
    fn grain(&self) -> Grain {
        match self.format() {
            Format::Lines | Format::Packed4 => Grain { bytes: 2, numbers: 2 },
            Format::Packed8 => Grain { bytes: 4, numbers: 2 },
        }
    }

    /// Compresses a group of records and gives its memory back to the system. Until
    /// [`fetch_group`](Self::fetch_group) its sources seem damaged and its segments without effect. `None` if that
    /// would save nothing.
    pub fn put_group_away(&mut self, group: usize, codec: &mut Codec) -> Option<PutAway> {
        let grain = self.grain();
        let Some(own) = self.own_words() else {
            return self.drop_pages(group * Self::GROUP..(group + 1) * Self::GROUP).then_some(PutAway::InFile);
        };
        let range = self.group_words(group, own.len());
        let words = self.own_words_to_pack()?;
        let packed = codec.pack(&words.as_bytes()[range.start * 8..range.end * 8], grain);
        words.release(range);
        Some(PutAway::Packed(packed))
    }

    /// Brings back a group that was compressed.
    ///
    /// # Panics
    /// If the group was another, or the records lie in a file.
    pub fn fetch_group(&mut self, group: usize, packed: &[u8], codec: &mut Codec) {
        let grain = self.grain();
        let words = self.own_words().expect("only records in memory are compressed");
        let range = self.group_words(group, words.len());
        let words = self.own_words_to_pack().expect("they were compressed before");
        codec.unpack(packed, grain, &mut words.as_bytes_mut()[range.start * 8..range.end * 8]);
    }

    /// Sets `marks[slot >> shift]` for every record of `segments`.
    pub fn mark(&self, segments: &[Segment], shift: u32, marks: &mut [u8]) {
        for segment in segments {
            self.for_each_record(*segment, |slot, _| {
                // Records from a file may name slots that do not exist; delivery tells.
                if let Some(mark) = marks.get_mut((slot >> shift) as usize) {
                    *mark = 1;
                }
            });
        }
    }
}
