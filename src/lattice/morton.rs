//! The 4D Z-order (Morton) curve: cells near each other in space are near each other in memory.
//!
//! Bit `b` of x, y, z, w becomes bit `4b`, `4b + 1`, `4b + 2`, `4b + 3` of the code (Morton 1966, "A computer
//! oriented geodetic data base and a new technique in file sequencing").

use super::Cell;

/// Spreads 16 bits so that bit `b` lands on bit `4b`.
#[inline(always)]
const fn spread(x: u32) -> u64 {
    let mut x = (x & 0xffff) as u64;
    x = (x | x << 24) & 0x0000_00ff_0000_00ff;
    x = (x | x << 12) & 0x000f_000f_000f_000f;
    x = (x | x << 6) & 0x0303_0303_0303_0303;
    (x | x << 3) & 0x1111_1111_1111_1111
}

/// The inverse of [`spread`].
#[inline(always)]
const fn gather(x: u64) -> u32 {
    let mut x = x & 0x1111_1111_1111_1111;
    x = (x | x >> 3) & 0x0303_0303_0303_0303;
    x = (x | x >> 6) & 0x000f_000f_000f_000f;
    x = (x | x >> 12) & 0x0000_00ff_0000_00ff;
    ((x | x >> 24) & 0xffff) as u32
}

/// Place of a cell along the curve. Coordinates are taken modulo 65,536.
///
/// ```
/// use tessera::lattice::morton::{decode, encode};
/// assert_eq!(encode([1, 0, 0, 0]), 1);
/// assert_eq!(encode([0, 0, 0, 1]), 8);
/// assert_eq!(decode(encode([3, 65_535, 17, 4])), [3, 65_535, 17, 4]);
/// ```
#[inline(always)]
pub const fn encode(cell: Cell) -> u64 {
    spread(cell[0]) | spread(cell[1]) << 1 | spread(cell[2]) << 2 | spread(cell[3]) << 3
}

/// The cell at a place along the curve.
#[inline(always)]
pub const fn decode(code: u64) -> Cell {
    [gather(code), gather(code >> 1), gather(code >> 2), gather(code >> 3)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_inverts_encode(x in 0u32..65_536, y in 0u32..65_536, z in 0u32..65_536, w in 0u32..65_536) {
            prop_assert_eq!(decode(encode([x, y, z, w])), [x, y, z, w]);
        }

        #[test]
        fn encode_agrees_with_bit_by_bit(x in 0u32..65_536, y in 0u32..65_536, z in 0u32..65_536, w in 0u32..65_536) {
            let mut code = 0u64;
            for b in 0..16 {
                for (a, v) in [x, y, z, w].into_iter().enumerate() {
                    code |= u64::from(v >> b & 1) << (4 * b + a);
                }
            }
            prop_assert_eq!(encode([x, y, z, w]), code);
        }
    }
}
