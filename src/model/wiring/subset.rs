//! Drawing without replacement.

use crate::rng;
use std::cell::RefCell;
use std::collections::HashSet;

/// Which numbers have been taken; kept by each thread from one call to the next.
#[derive(Default)]
struct Taken {
    /// One bit a number. All zero between calls.
    bits: Vec<u64>,
    /// Used instead where a bit a number would be far larger than the numbers drawn.
    few: HashSet<u32>,
}

thread_local! {
    static TAKEN: RefCell<Taken> = RefCell::default();
}

/// Bytes of bits that are kept per number drawn before a hash set is used.
const BYTES_A_DRAW: usize = 64;

/// Turns `k = words.len()` random words into `k` different numbers below `n`, every subset equally likely.
///
/// Floyd's algorithm (Bentley & Floyd 1987, "Programming pearls: a sample of brilliance"): one word a number, no
/// redraws. The order of the numbers is not random.
///
/// # Panics
/// If `k > n`.
pub(super) fn distinct(words: &mut [u32], n: u32) {
    let k = u32::try_from(words.len()).ok().filter(|k| *k <= n).expect("a subset is no larger than the set");
    let first = n - k;
    TAKEN.with_borrow_mut(|taken| {
        if n as usize / 8 <= (1 << 20) + BYTES_A_DRAW * words.len() {
            let needed = n as usize / 64 + 1;
            if taken.bits.len() < needed {
                taken.bits.resize(needed, 0);
            }
            let bits = &mut taken.bits;
            for (i, word) in words.iter_mut().enumerate() {
                let last = first + i as u32;
                let drawn = below_or_equal(*word, last);
                let is_taken = bits[drawn as usize / 64] >> (drawn % 64) & 1 == 1;
                *word = if is_taken { last } else { drawn };
                bits[*word as usize / 64] |= 1 << (*word % 64);
            }
            for number in words.iter() {
                bits[*number as usize / 64] = 0;
            }
        } else {
            taken.few.clear();
            for (i, word) in words.iter_mut().enumerate() {
                let last = first + i as u32;
                let drawn = below_or_equal(*word, last);
                *word = if taken.few.insert(drawn) { drawn } else { last };
                taken.few.insert(*word);
            }
        }
    });
}

/// A number from 0 to `last`.
fn below_or_equal(word: u32, last: u32) -> u32 {
    if last == u32::MAX { word } else { rng::below(word, last + 1) }
}

/// Calls `each` with the numbers below `n` that are not in `excluded`, ascending. Sorts `excluded`.
pub(super) fn complement(excluded: &mut [u32], n: u32, mut each: impl FnMut(u32)) {
    excluded.sort_unstable();
    let mut next = 0;
    for out in excluded.iter() {
        (next..*out).for_each(&mut each);
        next = out + 1;
    }
    (next..n).for_each(each);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Key;

    #[test]
    fn every_subset_is_equally_likely() {
        // All 10 pairs of 5.
        let mut counts = [[0u32; 5]; 5];
        let n = 100_000;
        for trial in 0..n {
            let words = Key([5, 5]).words([trial, 0, 0, 0]);
            let mut pair = [words[0], words[1]];
            distinct(&mut pair, 5);
            pair.sort_unstable();
            counts[pair[0] as usize][pair[1] as usize] += 1;
        }
        let mut chi = 0.0;
        for (a, row) in counts.iter().enumerate() {
            for count in &row[a + 1..] {
                let expected = f64::from(n) / 10.0;
                chi += (f64::from(*count) - expected).powi(2) / expected;
            }
        }
        assert!(chi < 27.9, "chi-square {chi} at 9 degrees of freedom");
    }

    #[test]
    fn bits_and_set_agree_and_all_can_be_drawn() {
        let words: Vec<u32> = (0..20).map(|i| Key([1, 2]).words([i, 0, 0, 0])[0]).collect();
        let mut all = words.clone();
        distinct(&mut all, 20);
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        let mut sparse = words;
        distinct(&mut sparse, 4_000_000_000);
        let unique: HashSet<_> = sparse.iter().collect();
        assert_eq!(unique.len(), 20);
        let mut rest = Vec::new();
        complement(&mut [4, 1], 6, |i| rest.push(i));
        assert_eq!(rest, [0, 2, 3, 5]);
    }
}
