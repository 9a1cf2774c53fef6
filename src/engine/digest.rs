//! The spike digest: one number for a whole spike train, to compare runs.

use super::Spike;

/// Digest of spikes ascending by (step, neuron): XXH3-64 over each spike's step (8 bytes) and neuron (4 bytes),
/// little-endian.
#[derive(Clone, Default)]
pub struct Digest {
    hash: xxhash_rust::xxh3::Xxh3,
}

impl Digest {
    /// Takes the next spikes.
    pub fn update(&mut self, spikes: &[Spike]) {
        // A stretch at a time, as the hash is fast on long inputs only.
        for spikes in spikes.chunks(512) {
            let mut bytes = [[0u8; 12]; 512];
            for (bytes, spike) in bytes.iter_mut().zip(spikes) {
                bytes[..8].copy_from_slice(&spike.step.to_le_bytes());
                bytes[8..].copy_from_slice(&spike.neuron.to_le_bytes());
            }
            self.hash.update(bytes[..spikes.len()].as_flattened());
        }
    }

    /// The digest so far, 16 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:016x}", self.hash.digest())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({})", self.hex())
    }
}
