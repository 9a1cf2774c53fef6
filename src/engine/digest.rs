//! The spike digest: one number for a whole spike train, to compare runs.

use super::Spike;
use xxhash_rust::xxh3::xxh3_64;

/// Spikes folded in at a time.
const BLOCK: usize = 4096;
/// Bytes of a spike: step (8) and neuron (4), little-endian.
const SPIKE: usize = 12;
/// Bytes of the chain in front of the spikes.
const CHAIN: usize = 8;

/// Digest of spikes ascending by (step, neuron), a chain of hashes whose state can be kept and gone on from.
///
/// The chain begins at 0. Every 4,096 spikes it becomes XXH3-64 over its own 8 bytes and, for each spike, its step
/// (8 bytes) and neuron (4 bytes), all little-endian. The digest is the chain with the spikes that are left (possibly
/// none) folded in likewise.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    /// The chain, then the spikes not folded in.
    bytes: Vec<u8>,
}

/// All that a [`Digest`] has to remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestState {
    /// The chain of the blocks that are full.
    pub chain: u64,
    /// The spikes of the block begun, fewer than 4,096.
    pub open: Vec<Spike>,
}

impl Default for Digest {
    fn default() -> Self {
        Self { bytes: vec![0; CHAIN] }
    }
}

impl Digest {
    /// Takes the next spikes.
    pub fn update(&mut self, spikes: &[Spike]) {
        let mut rest = spikes;
        while !rest.is_empty() {
            let room = BLOCK - (self.bytes.len() - CHAIN) / SPIKE;
            let (now, later) = rest.split_at(room.min(rest.len()));
            for spike in now {
                let mut bytes = [0; SPIKE];
                bytes[..8].copy_from_slice(&spike.step.to_le_bytes());
                bytes[8..].copy_from_slice(&spike.neuron.to_le_bytes());
                self.bytes.extend_from_slice(&bytes);
            }
            if now.len() == room {
                let chain = xxh3_64(&self.bytes);
                self.bytes.clear();
                self.bytes.extend_from_slice(&chain.to_le_bytes());
            }
            rest = later;
        }
    }

    /// The digest so far, 16 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:016x}", xxh3_64(&self.bytes))
    }

    /// What to keep in order to go on later.
    pub fn state(&self) -> DigestState {
        let (chain, spikes) = self.bytes.split_at(CHAIN);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let spike = |bytes: &[u8]| Spike { step: number(&bytes[..8]), neuron: number(&bytes[8..]) as u32 };
        DigestState { chain: number(chain), open: spikes.chunks_exact(SPIKE).map(spike).collect() }
    }

    /// A digest that goes on from `state`.
    pub fn resume(state: &DigestState) -> Self {
        let mut digest = Self { bytes: state.chain.to_le_bytes().to_vec() };
        digest.update(&state.open);
        digest
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({})", self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spikes(count: u64) -> Vec<Spike> {
        (0..count).map(|i| Spike { step: i / 3, neuron: (i % 3) as u32 }).collect()
    }

    #[test]
    fn it_is_the_chain_described() {
        let mut digest = Digest::default();
        assert_eq!(digest.hex(), format!("{:016x}", xxh3_64(&[0; 8])));
        let all = spikes(BLOCK as u64 + 1);
        digest.update(&all);
        let bytes = |chain: u64, spikes: &[Spike]| {
            let mut bytes = chain.to_le_bytes().to_vec();
            for s in spikes {
                bytes.extend(s.step.to_le_bytes());
                bytes.extend(s.neuron.to_le_bytes());
            }
            bytes
        };
        let chain = xxh3_64(&bytes(0, &all[..BLOCK]));
        assert_eq!(digest.hex(), format!("{:016x}", xxh3_64(&bytes(chain, &all[BLOCK..]))));
        assert_eq!(digest.state(), DigestState { chain, open: all[BLOCK..].to_vec() });
    }

    #[test]
    fn stretches_and_resumption_do_not_matter() {
        let all = spikes(3 * BLOCK as u64 + 77);
        let mut whole = Digest::default();
        whole.update(&all);
        for cut in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, all.len()] {
            let mut first = Digest::default();
            first.update(&all[..cut / 2]);
            first.update(&all[cut / 2..cut]);
            let mut second = Digest::resume(&first.state());
            assert_eq!(second, first);
            second.update(&all[cut..]);
            assert_eq!(second.hex(), whole.hex(), "cut at {cut}");
        }
    }
}
