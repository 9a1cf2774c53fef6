//! How a product is blocked and cut. None of this changes a result.

use super::driver::{Operand, Problem};

/// Block sizes of one worker's share, and which operands it copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Rows of A in a block (in the second-level cache when packed).
    pub mc: usize,
    /// Steps of k in a block: a panel of B of so many steps stays in the first-level cache.
    pub kc: usize,
    /// Columns of B in a block.
    pub nc: usize,
    pub pack_a: bool,
    pub pack_b: bool,
    /// Most rows of a tile.
    pub tallest: usize,
    /// Most vectors of a tile.
    pub widest: usize,
}

/// Bytes of A kept in the second-level cache: half of 1 MiB.
const A_BLOCK: usize = 448 << 10;
/// Bytes of all steps of one lane in a block. The panel of B comes from the second-level cache, so what decides is how
/// often C goes to memory and back.
const DEPTH: usize = 4096;
/// Bytes of packed B, in the last-level cache.
const B_BLOCK: usize = 8 << 20;

/// Most rows and columns of a block of C that is computed in other memory than its own.
pub(super) const WINDOW: (usize, usize) = (128, 512);

/// What the choice of blocks looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub rows: usize,
    pub cols: usize,
    /// Steps of k.
    pub steps: usize,
    /// Bytes of a unit.
    pub unit: usize,
    /// Whether A has to be converted.
    pub a_narrow: bool,
    /// Whether the columns of B lie next to one another.
    pub b_plain: bool,
    /// Whether B is in panels already.
    pub b_panels: bool,
    /// Distances, in units, between steps of B and between rows and steps of A.
    pub b_step: usize,
    pub a_row: usize,
    pub a_step: usize,
    /// Whether C has room for one block only.
    pub window: bool,
}

impl Blocks {
    /// Blocks for a share of this shape.
    pub fn choose(s: Shape) -> Self {
        let depth = (DEPTH / s.unit).min(s.steps).max(1);
        let b_clashes = s.b_plain && clash(s.b_step * s.unit, depth);
        let pack_b = !s.b_panels && (!s.b_plain || (b_clashes && s.rows > 32));
        // Rows of A are read side by side, columns of A one after the other.
        let a_clashes =
            if s.a_step == 1 { (s.a_row * s.unit).is_multiple_of(4096) } else { clash(s.a_step * s.unit, depth) };
        let a_bytes = s.rows * s.steps * s.unit;
        let pack_a = s.a_narrow || s.cols >= 256 && (a_clashes || (s.a_step != 1 && a_bytes > (2 << 20)));
        // Of a B that comes from memory every tile fetches one cache line a row (see `Share::ahead`): there must be as
        // many tiles as lines.
        let far = s.b_plain && !pack_b && (4..=14).contains(&s.rows) && s.steps * s.cols * s.unit > (6 << 20);
        let (tallest, widest) = if far { (s.rows.div_ceil(2), 2) } else { (usize::MAX, usize::MAX) };
        // Few rows do not pay for fetching so much of B early that it clashes before it is packed.
        let kc = if b_clashes && s.rows < 256 { depth.min(DEPTH / 4 / s.unit) } else { depth };
        let kc = if s.window { s.steps.max(1) } else { kc };
        let (mc, nc) = (A_BLOCK / (kc * s.unit), B_BLOCK / (kc * s.unit));
        let (mc, nc) = if s.window { (mc.min(WINDOW.0), nc.min(WINDOW.1)) } else { (mc, nc) };
        Self { mc: mc.max(1), kc, nc: nc.max(1), pack_a, pack_b, tallest, widest }
    }
}

/// Whether `count` cache lines at this distance, in bytes, do not fit the second-level cache together, since they fall
/// on few of its sets: 64 KiB lie in each of (here) 16 ways.
fn clash(distance: usize, count: usize) -> bool {
    let places = (64 << 10) >> distance.trailing_zeros().min(16);
    count > 16 * places
}

/// Into how many parts rows and columns are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub rows: usize,
    pub cols: usize,
}

/// Tile-vector steps (about half a cycle each) below which another worker does not pay.
const SHARE: usize = 1 << 11;

impl Cut {
    /// All in one part.
    pub const NONE: Self = Self { rows: 1, cols: 1 };

    /// Number of parts.
    pub fn parts(self) -> usize {
        self.rows * self.cols
    }

    /// How many workers so many products of a number and a vector are worth.
    pub fn worth(total: usize) -> usize {
        (total / SHARE).max(1)
    }

    /// Cuts `rows` rows by `granules` groups of columns, of `vectors` vectors each, for at most `workers` workers.
    /// Columns are cut rather than rows where that is as even, so that every worker meets its own columns of B again.
    pub fn choose(rows: usize, granules: usize, vectors: usize, steps: usize, workers: usize) -> Self {
        let total = rows * granules * vectors * steps;
        let workers = workers.min(Self::worth(total));
        // A weight's gradient: few steps, a large output. Rows of it are what the optimizer cuts it by, too, so that a
        // worker finds its part of the gradient in its own cache.
        if steps <= 256 && rows >= 2 * steps && rows >= 64 * workers {
            return Self { rows: workers, cols: 1 };
        }
        let mut best = (usize::MAX, Self { rows: 1, cols: 1 });
        for cols in (1..=workers.min(granules)).rev() {
            let parts = (workers / cols).min(rows.max(1));
            // Beside the products, a share costs about eight rows' worth of bringing B into cache.
            let cost = granules.div_ceil(cols) * (rows.div_ceil(parts) + 8);
            if cost < best.0 {
                best = (cost, Self { rows: parts, cols });
            }
        }
        best.1
    }
}

impl Shape {
    /// The shape of a share of `rows` by `cols` of a problem.
    pub fn of<U, S>(problem: &Problem<U, S>, rows: usize, cols: usize) -> Self {
        let (a_row, a_step) = match problem.a {
            Operand::Plain { lane, step, .. } => (lane, step),
            _ => (0, 0),
        };
        let (b_plain, b_step) = match problem.b {
            Operand::Plain { lane, step, .. } => (lane == 1, step),
            _ => (false, 0),
        };
        Self {
            rows,
            cols,
            steps: problem.k,
            unit: size_of::<U>(),
            a_narrow: matches!(problem.a, Operand::Narrow { .. }),
            b_plain,
            b_panels: matches!(problem.b, Operand::Panels { .. }),
            b_step,
            a_row,
            a_step,
            window: problem.window,
        }
    }
}
