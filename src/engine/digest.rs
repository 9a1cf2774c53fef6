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
        for spike in spikes {
            let mut bytes = [0u8; 12];
            bytes[..8].copy_from_slice(&spike.step.to_le_bytes());
            bytes[8..].copy_from_slice(&spike.neuron.to_le_bytes());
            self.hash.update(&bytes);
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
