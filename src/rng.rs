//! Counter-based randomness: every draw is a pure function of (seed, stream, counter).
//!
//! Philox4x32 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3") with integer
//! arithmetic only, so the words are the same on every instruction set and device. Ten rounds for everything
//! that happens once (construction, initial values); seven rounds, which the paper finds Crush-resistant, for
//! the draws of every step.

pub(crate) const MUL: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
pub(crate) const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Rounds used for construction and initial values.
pub const ROUNDS_BUILD: usize = 10;
/// Rounds used for the draws of every simulation step.
pub const ROUNDS_STEP: usize = 7;

/// Key of one stream of random words: the run's seed mixed with what the stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub [u32; 2]);

/// What a stream of draws is for. Part of the key, so that no two purposes share words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Which neurons a projection connects.
    Connect = 1,
    /// How many synapses each source of a projection has.
    Degree = 2,
    /// Weights and delays of a projection's synapses.
    Synapse = 3,
    /// Initial values of a state variable.
    Initial = 4,
    /// Per-neuron parameter values.
    Parameter = 5,
    /// Events of a Poisson stimulus.
    Poisson = 6,
    /// The rare exact refinement of a Poisson draw.
    PoissonRefine = 7,
    /// Noise currents.
    Noise = 8,
    /// Spikes of a stochastic source population.
    Source = 9,
    /// Placement of neurons in space.
    Placement = 10,
    /// Elements that dropout sets to zero.
    Dropout = 11,
    /// Spikes that stand for numbers.
    Encode = 12,
    /// The order in which blocks of neurons are dealt to shards. Spikes do not depend on it.
    Partition = 13,
}

impl Key {
    /// Key of stream `index` of `purpose` under `seed`.
    ///
    /// ```
    /// use tessera::rng::{Key, Purpose};
    /// assert_ne!(Key::new(1, Purpose::Connect, 0), Key::new(1, Purpose::Connect, 1));
    /// ```
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let words = philox::<ROUNDS_BUILD>(
            [index as u32, (index >> 32) as u32, purpose as u32, 0x7E55_E7A0],
            Key([seed as u32, (seed >> 32) as u32]),
        );
        Key([words[0], words[1]])
    }

    /// Key of a stream that belongs to a named part, so that adding another part changes no draw of this one.
    pub fn named(seed: u64, purpose: Purpose, name: &str) -> Self {
        Self::new(seed, purpose, xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
    }

    /// Four words at `counter`, ten rounds.
    pub fn words(self, counter: [u32; 4]) -> [u32; 4] {
        philox::<ROUNDS_BUILD>(counter, self)
    }

    /// A sequential generator over one substream, for samplers that need an unknown number of words.
    pub fn sequence(self, substream: u64) -> Sequence {
        Sequence { key: self, substream, block: 0, words: [0; 4], used: 4 }
    }
}

/// One Philox block: four words for a counter under a key.
#[inline(always)]
pub fn philox<const ROUNDS: usize>(counter: [u32; 4], key: Key) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key.0;
    for _ in 0..ROUNDS {
        let p0 = u64::from(c0) * u64::from(MUL[0]);
        let p1 = u64::from(c2) * u64::from(MUL[1]);
        (c0, c1, c2, c3) = ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [c0, c1, c2, c3]
}

/// `LANES` Philox blocks side by side; word `w` of lane `l` is `out[w][l]`.
///
/// A plain loop over blocks whose words stay in the lower halves of 64-bit numbers from round to round, the upper
/// halves never being read: the compiler turns it into the vector instructions of whatever instruction set the caller
/// was compiled for, with the same words everywhere.
#[inline(always)]
pub fn philox_lanes<const ROUNDS: usize, const LANES: usize>(
    counters: [[u32; LANES]; 4],
    key: Key,
) -> [[u32; LANES]; 4] {
    const LOW: u64 = 0xffff_ffff;
    let mut out = [[0u32; LANES]; 4];
    let [w0, w1, w2, w3] = &mut out;
    for l in 0..LANES {
        let mut c = [0, 1, 2, 3].map(|w| u64::from(counters[w][l]));
        let [mut k0, mut k1] = key.0;
        for _ in 0..ROUNDS {
            let p0 = (c[0] & LOW) * u64::from(MUL[0]);
            let p1 = (c[2] & LOW) * u64::from(MUL[1]);
            c = [p1 >> 32 ^ c[1] ^ u64::from(k0), p1, p0 >> 32 ^ c[3] ^ u64::from(k1), p0];
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        w0[l] = c[0] as u32;
        w1[l] = c[1] as u32;
        w2[l] = c[2] as u32;
        w3[l] = c[3] as u32;
    }
    out
}

/// Words of one substream in order.
#[derive(Debug, Clone)]
pub struct Sequence {
    key: Key,
    substream: u64,
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Sequence {
    /// The next 32 bits.
    pub fn next_word(&mut self) -> u32 {
        if self.used == 4 {
            self.words = self.key.words([
                self.block as u32,
                (self.block >> 32) as u32,
                self.substream as u32,
                (self.substream >> 32) as u32,
            ]);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
}

/// A word as a number in the open interval (0, 1): never 0 and never 1.
#[inline(always)]
pub fn unit(word: u32) -> f64 {
    (f64::from(word) + 0.5) * (1.0 / 4_294_967_296.0)
}

/// A word as an index below `n`; the bias is at most `n / 2^32`.
#[inline(always)]
pub fn below(word: u32, n: u32) -> u32 {
    ((u64::from(word) * u64::from(n)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers published with Random123 (kat_vectors, philox4x32 10 and 7 rounds).
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox::<10>([0; 4], Key([0; 2])), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox::<10>([u32::MAX; 4], Key([u32::MAX; 2])),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(philox::<7>([0; 4], Key([0; 2])), [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48]);
    }

    #[test]
    fn lanes_equal_single_blocks() {
        let mut c = [[0u32; 8]; 4];
        for (l, x) in c[0].iter_mut().enumerate() {
            *x = 1000 + l as u32;
        }
        let key = Key([3, 4]);
        let wide = philox_lanes::<7, 8>(c, key);
        for l in 0..8 {
            let one = philox::<7>([1000 + l as u32, 0, 0, 0], key);
            assert_eq!(wide.map(|word| word[l]), one);
        }
    }
}
