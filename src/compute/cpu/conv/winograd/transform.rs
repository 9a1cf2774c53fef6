//! The transforms of F(4x4, 3x3): from windows of six by six pixels, four by four pixels and three by three taps to 36
//! coefficients, and back.
//!
//! One dimension: four outputs `y[k] = sum over j of g[j] d[k + j]` of three taps are `y = A^T ((G g) * (B^T d))`, where
//! the product is elementwise. The matrices follow from five points and infinity (Toom and Cook). Points 0, +-3/4, +-3/2
//! instead of the usual 0, +-1, +-2 keep the coefficients of one size, and all their powers are exact in 32 bits.
//! Transposing the same identity gives the gradient of the taps, `g' = G^T ((A y') * (B^T d))`.
//!
//! S. Winograd (1980), Arithmetic Complexity of Computations; A. Lavin & S. Gray (2016), Fast algorithms for convolutional
//! neural networks, doi:10.1109/CVPR.2016.435; on points and accuracy B. Barabasz et al. (2020), doi:10.1145/3412380.
// Tiles are arrays of registers; indices say which.
#![allow(clippy::needless_range_loop)]

use crate::compute::cpu::lanes::Vector;

/// Output pixels of a tile, along each axis.
pub(super) const TILE: usize = 4;
/// Input pixels of a tile, along each axis.
pub(super) const WINDOW: usize = TILE + 2;
/// Coefficients of a tile.
pub(super) const COEFFICIENTS: usize = WINDOW * WINDOW;

/// The points beside 0 and infinity: `+-P` and `+-Q`.
const P: f64 = 0.75;
const Q: f64 = 1.5;
const P2: f64 = P * P;
const Q2: f64 = Q * Q;
/// What `G` divides by: the products of the distances of a point to the others.
const AT_0: f64 = P2 * Q2;
const AT_P: f64 = 2.0 * P2 * (P2 - Q2);
const AT_Q: f64 = 2.0 * Q2 * (Q2 - P2);

/// `B^T d`
#[inline(always)]
fn window<V: Vector>(d: [V; WINDOW]) -> [V; WINDOW] {
    let (p, q) = (V::of(P), V::of(Q));
    let (minus_p2, minus_q2) = (V::of(-P2), V::of(-Q2));
    let (outer, middle) = (V::of(P2 * Q2), V::of(-P2 - Q2));
    let even_p = minus_q2.mul_add(d[2], d[4]);
    let odd_p = minus_q2.mul_add(d[1], d[3]);
    let even_q = minus_p2.mul_add(d[2], d[4]);
    let odd_q = minus_p2.mul_add(d[1], d[3]);
    [
        outer.mul_add(d[0], middle.mul_add(d[2], d[4])),
        p.mul_add(odd_p, even_p),
        p.neg_mul_add(odd_p, even_p),
        q.mul_add(odd_q, even_q),
        q.neg_mul_add(odd_q, even_q),
        outer.mul_add(d[1], middle.mul_add(d[3], d[5])),
    ]
}

/// `A^T m`
#[inline(always)]
fn tile<V: Vector>(m: [V; WINDOW]) -> [V; TILE] {
    let (even_p, odd_p) = (m[1] + m[2], m[1] - m[2]);
    let (even_q, odd_q) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + (even_p + even_q),
        V::of(Q).mul_add(odd_q, V::of(P) * odd_p),
        V::of(Q2).mul_add(even_q, V::of(P2) * even_p),
        V::of(Q2 * Q).mul_add(odd_q, V::of(P2 * P).mul_add(odd_p, m[5])),
    ]
}

/// `A y'`
#[inline(always)]
fn tile_gradient<V: Vector>(y: [V; TILE]) -> [V; WINDOW] {
    let (p, q) = (V::of(P), V::of(Q));
    let (even_p, odd_p) = (V::of(P2).mul_add(y[2], y[0]), V::of(P2).mul_add(y[3], y[1]));
    let (even_q, odd_q) = (V::of(Q2).mul_add(y[2], y[0]), V::of(Q2).mul_add(y[3], y[1]));
    [
        y[0],
        p.mul_add(odd_p, even_p),
        p.neg_mul_add(odd_p, even_p),
        q.mul_add(odd_q, even_q),
        q.neg_mul_add(odd_q, even_q),
        y[3],
    ]
}

/// `G^T s`
#[inline(always)]
fn taps_gradient<V: Vector>(s: [V; WINDOW]) -> [V; 3] {
    let (even_p, odd_p) = (s[1] + s[2], s[1] - s[2]);
    let (even_q, odd_q) = (s[3] + s[4], s[3] - s[4]);
    [
        V::of(1.0 / AT_0).mul_add(s[0], V::of(1.0 / AT_P).mul_add(even_p, V::of(1.0 / AT_Q) * even_q)),
        V::of(P / AT_P).mul_add(odd_p, V::of(Q / AT_Q) * odd_q),
        V::of(P2 / AT_P).mul_add(even_p, V::of(Q2 / AT_Q).mul_add(even_q, s[5])),
    ]
}

/// `G g`
#[inline(always)]
fn taps<V: Vector>(g: [V; 3]) -> [V; WINDOW] {
    let even_p = V::of(P2 / AT_P).mul_add(g[2], V::of(1.0 / AT_P) * g[0]);
    let even_q = V::of(Q2 / AT_Q).mul_add(g[2], V::of(1.0 / AT_Q) * g[0]);
    let (p, q) = (V::of(P / AT_P), V::of(Q / AT_Q));
    [
        V::of(1.0 / AT_0) * g[0],
        p.mul_add(g[1], even_p),
        p.neg_mul_add(g[1], even_p),
        q.mul_add(g[1], even_q),
        q.neg_mul_add(g[1], even_q),
        g[2],
    ]
}

/// One vector of channels of memory that may end within it.
#[inline(always)]
unsafe fn load<V: Vector, const FULL: bool>(from: *const V::Elem, count: usize) -> V {
    // SAFETY: the caller's promise: `count` elements exist, which are all where `FULL`.
    unsafe { if FULL { V::load(from) } else { V::load_first(from, count) } }
}

/// Coefficients of the windows at `pixels`, for `count` channels from `channel` on: coefficient `i` goes to `to + i * step`.
///
/// # Safety
/// Every pixel has these channels; a vector can be written at each place.
#[inline(always)]
pub(super) unsafe fn window_coefficients<V: Vector, const FULL: bool>(
    pixels: &[[*const V::Elem; WINDOW]; WINDOW],
    channel: usize,
    count: usize,
    to: *mut V::Elem,
    step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [[V::zero(); WINDOW]; WINDOW];
        for x in 0..WINDOW {
            let mut d = [V::zero(); WINDOW];
            for y in 0..WINDOW {
                d[y] = load::<V, FULL>(pixels[y][x].add(channel), count);
            }
            columns[x] = window(d);
        }
        for y in 0..WINDOW {
            let mut row = [V::zero(); WINDOW];
            for x in 0..WINDOW {
                row[x] = columns[x][y];
            }
            let row = window(row);
            for x in 0..WINDOW {
                row[x].store(to.add((y * WINDOW + x) * step));
            }
        }
    }
}

/// The same of the gradients of four by four outputs.
///
/// # Safety
/// As for [`window_coefficients`].
#[inline(always)]
pub(super) unsafe fn gradient_coefficients<V: Vector, const FULL: bool>(
    pixels: &[[*const V::Elem; TILE]; TILE],
    channel: usize,
    count: usize,
    to: *mut V::Elem,
    step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [[V::zero(); WINDOW]; TILE];
        for x in 0..TILE {
            let mut d = [V::zero(); TILE];
            for y in 0..TILE {
                d[y] = load::<V, FULL>(pixels[y][x].add(channel), count);
            }
            columns[x] = tile_gradient(d);
        }
        for y in 0..WINDOW {
            let mut row = [V::zero(); TILE];
            for x in 0..TILE {
                row[x] = columns[x][y];
            }
            let row = tile_gradient(row);
            for x in 0..WINDOW {
                row[x].store(to.add((y * WINDOW + x) * step));
            }
        }
    }
}

/// The outputs of a tile for a vector of channels, from coefficients `step` apart.
///
/// # Safety
/// A vector can be read at each coefficient.
#[inline(always)]
pub(super) unsafe fn outputs<V: Vector>(from: *const V::Elem, step: usize) -> [[V; TILE]; TILE] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [[V::zero(); TILE]; WINDOW];
        for x in 0..WINDOW {
            let mut m = [V::zero(); WINDOW];
            for y in 0..WINDOW {
                m[y] = V::load(from.add((y * WINDOW + x) * step));
            }
            columns[x] = tile(m);
        }
        let mut out = [[V::zero(); TILE]; TILE];
        for y in 0..TILE {
            let mut row = [V::zero(); WINDOW];
            for x in 0..WINDOW {
                row[x] = columns[x][y];
            }
            out[y] = tile(row);
        }
        out
    }
}

/// The gradient of the taps for a vector of channels, from its coefficients.
#[inline(always)]
pub(super) fn tap_gradients<V: Vector>(sums: [[V; WINDOW]; WINDOW]) -> [[V; 3]; 3] {
    let mut columns = [[V::zero(); 3]; WINDOW];
    for x in 0..WINDOW {
        let mut s = [V::zero(); WINDOW];
        for y in 0..WINDOW {
            s[y] = sums[y][x];
        }
        columns[x] = taps_gradient(s);
    }
    let mut out = [[V::zero(); 3]; 3];
    for y in 0..3 {
        let mut row = [V::zero(); WINDOW];
        for x in 0..WINDOW {
            row[x] = columns[x][y];
        }
        out[y] = taps_gradient(row);
    }
    out
}

/// Coefficients of the taps of a vector of channels; coefficient `i` goes to `to + i * step`.
///
/// # Safety
/// A vector can be written at each place.
#[inline(always)]
pub(super) unsafe fn tap_coefficients<V: Vector>(g: &[V; 9], to: *mut V::Elem, step: usize) {
    let mut columns = [[V::zero(); WINDOW]; 3];
    for x in 0..3 {
        columns[x] = taps([g[x], g[3 + x], g[6 + x]]);
    }
    for y in 0..WINDOW {
        let row = taps([columns[0][y], columns[1][y], columns[2][y]]);
        for x in 0..WINDOW {
            // SAFETY: the caller's promise.
            unsafe { row[x].store(to.add((y * WINDOW + x) * step)) };
        }
    }
}
