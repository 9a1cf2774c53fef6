//! Lossless compression of arrays of numbers: differences of neighbours, byte by byte, then Zstandard (RFC 8878).
//!
//! State at rest and the synapses of neighbours repeat themselves up to small differences. Subtracting the record
//! before and laying out all lowest bytes, then all second bytes and so on turns that into long runs of zeros.

use std::time::Instant;

use rust_zstd::{CompressOptions, Compressor, Decompressor};

/// Level of Zstandard. Higher ones take several times as long for a few per cent.
const LEVEL: i32 = 1;

/// How an array is made up: records of so many numbers of so many bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grain {
    /// Bytes of a number: 1, 2, 4 or 8.
    pub bytes: usize,
    /// Numbers of a record. A number is compared with that in its place in the record before.
    pub numbers: usize,
}

/// What a [`Codec`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CodecFigures {
    /// Bytes, before compression, of what is compressed now.
    pub raw_bytes: u64,
    /// Bytes of that after compression.
    pub packed_bytes: u64,
    /// Arrays compressed since the start.
    pub packings: u64,
    /// Arrays decompressed since the start.
    pub unpackings: u64,
    /// Seconds of compression.
    pub pack_s: f64,
    /// Seconds of decompression.
    pub unpack_s: f64,
}

impl std::ops::AddAssign for CodecFigures {
    fn add_assign(&mut self, other: Self) {
        self.raw_bytes += other.raw_bytes;
        self.packed_bytes += other.packed_bytes;
        self.packings += other.packings;
        self.unpackings += other.unpackings;
        self.pack_s += other.pack_s;
        self.unpack_s += other.unpack_s;
    }
}

/// Compresses and decompresses; holds the tables both work with, and counts.
pub struct Codec {
    figures: CodecFigures,
    zstd: Compressor,
    unzstd: Decompressor,
    planes: Vec<u8>,
    frame: Vec<u8>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

impl Default for Codec {
    fn default() -> Self {
        let options = CompressOptions { level: LEVEL, ..CompressOptions::default() };
        let (zstd, unzstd) = (Compressor::new(options), Decompressor::new());
        Self { figures: CodecFigures::default(), zstd, unzstd, planes: Vec::new(), frame: Vec::new() }
    }
}

impl Codec {
    /// The bytes of an array of any length, compressed.
    pub fn pack(&mut self, array: &[u8], grain: Grain) -> Box<[u8]> {
        let start = Instant::now();
        self.planes.resize(array.len(), 0);
        match grain.bytes {
            8 => split::<8>(array, grain.numbers, &mut self.planes),
            4 => split::<4>(array, grain.numbers, &mut self.planes),
            2 => split::<2>(array, grain.numbers, &mut self.planes),
            _ => split::<1>(array, grain.numbers, &mut self.planes),
        }
        // It appends.
        self.frame.clear();
        self.zstd.compress(&self.planes, &mut self.frame);
        let packed: Box<[u8]> = self.frame.as_slice().into();
        self.figures.raw_bytes += array.len() as u64;
        self.figures.packed_bytes += packed.len() as u64;
        self.figures.packings += 1;
        self.figures.pack_s += start.elapsed().as_secs_f64();
        packed
    }

    /// What this codec has done: what was packed by it is to be unpacked by it, once.
    pub fn figures(&self) -> CodecFigures {
        self.figures
    }

    /// The reverse of [`pack`](Self::pack), told the same grain: fills `array`, which has the length it had.
    ///
    /// # Panics
    /// If `packed` does not come from `pack` of an array of this length.
    pub fn unpack(&mut self, packed: &[u8], grain: Grain, array: &mut [u8]) {
        let start = Instant::now();
        self.peek(packed, grain, array);
        self.figures.raw_bytes = self.figures.raw_bytes.saturating_sub(array.len() as u64);
        self.figures.packed_bytes = self.figures.packed_bytes.saturating_sub(packed.len() as u64);
        self.figures.unpackings += 1;
        self.figures.unpack_s += start.elapsed().as_secs_f64();
    }

    /// The same for what stays packed: it is not counted.
    ///
    /// # Panics
    /// As [`unpack`](Self::unpack).
    pub fn peek(&mut self, packed: &[u8], grain: Grain, array: &mut [u8]) {
        self.unzstd.decompress_into(packed, &mut self.planes).expect("what was packed can be unpacked");
        assert_eq!(self.planes.len(), array.len(), "an array is unpacked to the length it had");
        match grain.bytes {
            8 => join::<8>(&self.planes, grain.numbers, array),
            4 => join::<4>(&self.planes, grain.numbers, array),
            2 => join::<2>(&self.planes, grain.numbers, array),
            _ => join::<1>(&self.planes, grain.numbers, array),
        }
    }
}

/// A number of `N` bytes, lowest first.
#[inline(always)]
fn number<const N: usize>(bytes: &[u8; N]) -> u64 {
    let mut eight = [0; 8];
    eight[..N].copy_from_slice(bytes);
    u64::from_le_bytes(eight)
}

/// Writes the differences of numbers to their like in the record before, byte by byte: first the lowest byte of every
/// number in the first place of a record, then their second bytes, and so on, then those in the second place. What is
/// left of the array beyond whole records follows as it is.
fn split<const N: usize>(array: &[u8], numbers: usize, to: &mut [u8]) {
    let records = array.len() / (N * numbers);
    let (body, rest) = array.split_at(records * N * numbers);
    let (to, tail) = to.split_at_mut(body.len());
    tail.copy_from_slice(rest);
    let (body, _) = body.as_chunks::<N>();
    for place in 0..numbers {
        let mut planes = to[place * N * records..(place + 1) * N * records].chunks_exact_mut(records.max(1));
        let mut planes: [&mut [u8]; N] = std::array::from_fn(|_| planes.next().unwrap_or_default());
        let mut before = 0u64;
        for (i, of_record) in body.chunks_exact(numbers).enumerate() {
            let value = number(&of_record[place]);
            let difference = value.wrapping_sub(before).to_le_bytes();
            before = value;
            for (plane, byte) in planes.iter_mut().zip(difference) {
                plane[i] = byte;
            }
        }
    }
}

/// The reverse of [`split`].
fn join<const N: usize>(planes: &[u8], numbers: usize, array: &mut [u8]) {
    let records = array.len() / (N * numbers);
    let (body, rest) = array.split_at_mut(records * N * numbers);
    let (planes, tail) = planes.split_at(body.len());
    rest.copy_from_slice(tail);
    let (body, _) = body.as_chunks_mut::<N>();
    for place in 0..numbers {
        let mut planes = planes[place * N * records..(place + 1) * N * records].chunks_exact(records.max(1));
        let planes: [&[u8]; N] = std::array::from_fn(|_| planes.next().unwrap_or_default());
        let mut before = 0u64;
        for (i, of_record) in body.chunks_exact_mut(numbers).enumerate() {
            let difference: [u8; N] = std::array::from_fn(|k| planes[k][i]);
            before = before.wrapping_add(number(&difference));
            let value = before.to_le_bytes();
            of_record[place].copy_from_slice(&value[..N]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            array in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..5000),
                prop::collection::vec(0u8..2, 0..5000),
                (0usize..3000, any::<u8>()).prop_map(|(n, x)| vec![x; n]),
            ],
            bytes in prop::sample::select(vec![1usize, 2, 4, 8]),
            numbers in 1usize..5,
        ) {
            let grain = Grain { bytes, numbers };
            let mut codec = Codec::default();
            let packed = codec.pack(&array, grain);
            // Another array in between: the codec keeps nothing of one call for the next.
            let other = codec.pack(&[1, 2, 3, 4, 5, 6, 7, 8, 9], grain);
            let mut back = vec![0xaa; array.len()];
            codec.unpack(&packed, grain, &mut back);
            prop_assert_eq!(&back, &array);
            let mut back = vec![0; 9];
            codec.unpack(&other, grain, &mut back);
            prop_assert_eq!(back, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
    }

    #[test]
    fn numbers_at_even_distances_take_next_to_nothing() {
        let records: Vec<u8> = (0..8192u32).flat_map(|i| [i * 37, 0xdead_beef]).flat_map(u32::to_le_bytes).collect();
        let packed = Codec::default().pack(&records, Grain { bytes: 4, numbers: 2 });
        assert!(packed.len() < 200, "{} bytes", packed.len());
    }
}
