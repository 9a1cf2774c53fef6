//! ARS-5: counter-based random words from the rounds of AES, for the draws that every neuron needs in every step.
//!
//! Five rounds of AES with a Weyl sequence for round keys (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers:
//! as easy as 1, 2, 3"; the fewest rounds they find Crush-resistant). Where the processor has AES instructions it is
//! the fastest source of words there is; elsewhere the rounds are looked up in tables, slower and with the same words.

use crate::rng::Key;

/// Rounds.
pub const ROUNDS: usize = 5;

/// Round keys of one stream: the first whitens the counter, the others end a round each.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub struct ArsKeys(pub(super) [[u32; 4]; ROUNDS + 1]);

impl ArsKeys {
    /// The keys of a stream.
    pub fn new(key: Key) -> Self {
        const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
        let words = key.words([0; 4]);
        let mut halves = [0, 1].map(|h| u64::from(words[2 * h]) | u64::from(words[2 * h + 1]) << 32);
        let mut keys = [[0; 4]; ROUNDS + 1];
        for key in &mut keys {
            *key = [halves[0] as u32, (halves[0] >> 32) as u32, halves[1] as u32, (halves[1] >> 32) as u32];
            halves = [halves[0].wrapping_add(WEYL[0]), halves[1].wrapping_add(WEYL[1])];
        }
        Self(keys)
    }

    /// The four words at a counter.
    pub fn words(&self, counter: [u32; 4]) -> [u32; 4] {
        let mut state = xor(counter, self.0[0]);
        for key in &self.0[1..ROUNDS] {
            state = xor(middle_round(state), *key);
        }
        xor(last_round(state), self.0[ROUNDS])
    }
}

#[inline(always)]
fn xor(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// SubBytes, ShiftRows and MixColumns of FIPS 197, a column a word, by one table: the others are its rotations.
fn middle_round(s: [u32; 4]) -> [u32; 4] {
    let byte = |word: u32, i: u32| (word >> (8 * i)) as u8 as usize;
    std::array::from_fn(|c| {
        MIXED[byte(s[c], 0)]
            ^ MIXED[byte(s[(c + 1) % 4], 1)].rotate_left(8)
            ^ MIXED[byte(s[(c + 2) % 4], 2)].rotate_left(16)
            ^ MIXED[byte(s[(c + 3) % 4], 3)].rotate_left(24)
    })
}

/// SubBytes and ShiftRows.
fn last_round(s: [u32; 4]) -> [u32; 4] {
    let byte = |word: u32, i: u32| u32::from(SBOX[(word >> (8 * i)) as u8 as usize]) << (8 * i);
    std::array::from_fn(|c| byte(s[c], 0) | byte(s[(c + 1) % 4], 1) | byte(s[(c + 2) % 4], 2) | byte(s[(c + 3) % 4], 3))
}

/// Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
const fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = (a << 1) ^ (if a & 0x80 != 0 { 0x1b } else { 0 });
        b >>= 1;
    }
    product
}

/// The substitution box: the inverse in GF(2^8), then an affine map.
static SBOX: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut x = 0usize;
    while x < 256 {
        // x^254 is the inverse of x, and 0 for 0.
        let (mut inverse, mut power, mut exponent) = (1u8, x as u8, 254);
        while exponent > 0 {
            if exponent & 1 == 1 {
                inverse = times(inverse, power);
            }
            power = times(power, power);
            exponent >>= 1;
        }
        table[x] = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4)
            ^ 0x63;
        x += 1;
    }
    table
};

/// The column that MixColumns makes of one substituted byte.
static MIXED: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut x = 0usize;
    while x < 256 {
        let s = SBOX[x];
        table[x] = (times(s, 2) as u32) | (s as u32) << 8 | (s as u32) << 16 | (times(s, 3) as u32) << 24;
        x += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Isa;
    use crate::compute::simd::{Kernel, Lanes, dispatch};

    #[test]
    fn rounds_are_those_of_the_standard() {
        // FIPS 197, appendix B: round 1 begins with 193de3be..., after MixColumns it is 046681e5...
        let column = |bytes: [u8; 4]| u32::from_le_bytes(bytes);
        let start = [
            column([0x19, 0x3d, 0xe3, 0xbe]),
            column([0xa0, 0xf4, 0xe2, 0x2b]),
            column([0x9a, 0xc6, 0x8d, 0x2a]),
            column([0xe9, 0xf8, 0x48, 0x08]),
        ];
        let mixed = [
            column([0x04, 0x66, 0x81, 0xe5]),
            column([0xe0, 0xcb, 0x19, 0x9a]),
            column([0x48, 0xf8, 0xd3, 0x7a]),
            column([0x28, 0x06, 0x26, 0x4c]),
        ];
        assert_eq!(middle_round(start), mixed);
        assert_eq!(last_round(start)[0], column([0xd4, 0xbf, 0x5d, 0x30]));
    }

    struct Words<'a>(&'a ArsKeys, [u32; 4]);
    impl Kernel<f32> for Words<'_> {
        type Output = [u32; 16];
        #[inline(always)]
        fn run<S: Lanes<Elem = f32>>(self) -> [u32; 16] {
            S::ars16(self.0, self.1)
        }
    }

    #[test]
    fn every_set_gives_the_same_words() {
        let keys = ArsKeys::new(Key([7, 8]));
        for first in [0, 4, 4096] {
            let expected: Vec<u32> = (0..4).flat_map(|j| keys.words([first + j, 9, 1, 2])).collect();
            for isa in Isa::all_available() {
                assert_eq!(dispatch(isa, Words(&keys, [first, 9, 1, 2])).as_slice(), expected, "{isa}");
            }
        }
    }
}
