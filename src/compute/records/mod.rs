//! Synapse records as the processor streams them: cache lines of 4-byte records, or packed records.

mod arena;
mod delivery;
mod groups;
mod transit;

pub use arena::{Arena, ArenaWriter, Lent};
pub use delivery::{DeliveryScratch, prefetch_read};
pub use groups::PutAway;
pub use transit::{Arriving, Each, Places, Sending, Transit, Transits};

/// Records in a cache line.
pub const LINE: usize = 16;

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
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Lines, Self::Packed4, Self::Packed8];

    /// Name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Packed4 => "packed4",
            Self::Packed8 => "packed8",
        }
    }

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
    /// The row of a source whose head lies at granule `first`.
    pub(crate) const fn new(first: u32, segments: u32) -> Self {
        Self(first as u64 | (segments as u64) << 32)
    }
    /// Granule of the head.
    #[inline(always)]
    pub const fn first(self) -> u32 {
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
