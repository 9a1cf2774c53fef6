//! The state of neurons at rest, compressed block by block.

use crate::compute::simd::Real;
use crate::compute::{Codec, CodecFigures, Grain, HugeVec};
use std::ops::Range;

/// The columns of a block, each compressed.
type PackedColumns = Box<[Box<[u8]>]>;

/// Keeps the state columns of blocks of neurons compressed, and their memory with the system meanwhile.
///
/// A block's values stay reachable one by one ([`value`](Self::value)) and come back all at once, bit for bit
/// ([`decompress`](Self::decompress)).
///
/// ```
/// use tessera::compute::HugeVec;
/// use tessera::engine::StateCompressor;
///
/// let mut v_m = [HugeVec::<f32>::zeroed(1 << 20)];
/// v_m[0].fill(-65.0);
/// let mut compressor = StateCompressor::new(1 << 20, 1024);
/// compressor.compress(3, &mut v_m);
/// assert_eq!(compressor.value(0, 3 * 1024 + 5), Some(-65.0f32));
/// assert!(compressor.figures().packed_bytes < 100);
/// assert!(compressor.decompress(3 * 1024 + 5, &mut v_m));
/// assert!(v_m[0].iter().all(|v| *v == -65.0));
/// ```
#[derive(Debug)]
pub struct StateCompressor<T> {
    codec: Codec,
    neurons: usize,
    /// Neurons of a block.
    block: usize,
    /// For each block that is compressed, its columns.
    packed: Vec<Option<PackedColumns>>,
    kind: std::marker::PhantomData<T>,
}

impl<T: Real> StateCompressor<T> {
    /// For the columns of `neurons` neurons in blocks of `block`; the last may be shorter. Nothing is compressed yet.
    pub fn new(neurons: usize, block: usize) -> Self {
        let packed = (0..neurons.div_ceil(block)).map(|_| None).collect();
        Self { codec: Codec::default(), neurons, block, packed, kind: std::marker::PhantomData }
    }

    const GRAIN: Grain = Grain { bytes: size_of::<T>(), numbers: 1 };

    fn range(&self, block: usize) -> Range<usize> {
        block * self.block..((block + 1) * self.block).min(self.neurons)
    }

    fn bytes(range: &Range<usize>) -> Range<usize> {
        range.start * size_of::<T>()..range.end * size_of::<T>()
    }

    /// Whether a block is compressed.
    pub fn is_compressed(&self, block: usize) -> bool {
        self.packed[block].is_some()
    }

    /// Compresses a block, once; what its columns hold meanwhile is of no meaning.
    ///
    /// # Panics
    /// If there is no such block, or a column is shorter than the number of neurons.
    pub fn compress(&mut self, block: usize, columns: &mut [HugeVec<T>]) {
        if self.is_compressed(block) {
            return;
        }
        let range = self.range(block);
        let codec = &mut self.codec;
        let pack = |column: &mut HugeVec<T>| {
            let packed = codec.pack(&column.as_bytes()[Self::bytes(&range)], Self::GRAIN);
            column.release(range.clone());
            packed
        };
        self.packed[block] = Some(columns.iter_mut().map(pack).collect());
    }

    /// Puts the block of a neuron back into its columns; whether it was compressed.
    ///
    /// # Panics
    /// If there is no such neuron, or the columns are not those that were compressed.
    pub fn decompress(&mut self, neuron: usize, columns: &mut [HugeVec<T>]) -> bool {
        let block = neuron / self.block;
        let Some(packed) = self.packed[block].take() else { return false };
        let range = Self::bytes(&self.range(block));
        for (packed, column) in packed.iter().zip(columns) {
            self.codec.unpack(packed, Self::GRAIN, &mut column.as_bytes_mut()[range.clone()]);
        }
        true
    }

    /// The value of a state variable of a neuron, if its block is compressed.
    pub fn value(&self, variable: usize, neuron: usize) -> Option<T> {
        let values = self.block_values(variable, neuron / self.block, &mut Codec::default())?;
        Some(values[neuron % self.block])
    }

    fn block_values(&self, variable: usize, block: usize, codec: &mut Codec) -> Option<HugeVec<T>> {
        let packed = self.packed[block].as_ref()?;
        let mut values = HugeVec::zeroed(self.range(block).len());
        codec.peek(&packed[variable], Self::GRAIN, values.as_bytes_mut());
        Some(values)
    }

    /// Copies the values of all compressed blocks of a variable to their places in a copy of its column.
    pub fn fill_in(&self, variable: usize, column: &mut [T]) {
        let mut codec = Codec::default();
        for block in 0..self.packed.len() {
            if let Some(values) = self.block_values(variable, block, &mut codec) {
                let range = self.range(block);
                let len = range.len().min(column.len().saturating_sub(range.start));
                column[range.start..range.start + len].copy_from_slice(&values[..len]);
            }
        }
    }

    /// What compression did, and what it holds.
    pub fn figures(&self) -> CodecFigures {
        self.codec.figures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn state_comes_back_bit_for_bit(
            values in prop::collection::vec(any::<u32>(), 40),
            neurons in prop::sample::select(vec![100usize, 3000, 300_000]),
            blocks in prop::collection::vec(0usize..300, 1..20),
        ) {
            // Any bits: NaNs, infinities, denormal numbers; also long runs of one value.
            let value = |variable: usize, i: usize| f32::from_bits(values[(i / 37 + variable * 11) % values.len()]);
            let mut columns: Vec<HugeVec<f32>> = (0..2).map(|_| HugeVec::zeroed(neurons)).collect();
            for (variable, column) in columns.iter_mut().enumerate() {
                column.iter_mut().enumerate().for_each(|(i, x)| *x = value(variable, i));
            }
            let mut compressor = StateCompressor::new(neurons, 1024);
            let last = neurons.div_ceil(1024);
            for block in &blocks {
                compressor.compress(block % last, &mut columns);
            }
            for block in &blocks {
                let neuron = block % last * 1024;
                prop_assert_eq!(compressor.value(1, neuron).unwrap().to_bits(), value(1, neuron).to_bits());
            }
            let mut copy = columns[1].to_vec();
            compressor.fill_in(1, &mut copy);
            prop_assert!(copy.iter().enumerate().all(|(i, x)| x.to_bits() == value(1, i).to_bits()));
            for block in &blocks {
                compressor.decompress(block % last * 1024, &mut columns);
            }
            for (variable, column) in columns.iter().enumerate() {
                prop_assert!(column.iter().enumerate().all(|(i, x)| x.to_bits() == value(variable, i).to_bits()));
            }
            prop_assert_eq!(compressor.figures().packed_bytes, 0);
        }
    }
}
