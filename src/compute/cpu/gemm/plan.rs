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
}

/// Bytes of A kept in the second-level cache: about half of the smallest one (512 KiB to 2 MiB) of current cores.
const A_BLOCK: usize = 384 << 10;
/// Bytes of a panel of B kept in the first-level cache: about two thirds of it.
const B_PANEL: usize = 32 << 10;
/// Bytes of packed B, in the last-level cache.
const B_BLOCK: usize = 4 << 20;

/// What the choice of blocks looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub rows: usize,
    pub cols: usize,
    /// Steps of k.
    pub steps: usize,
    /// Bytes of a unit.
    pub unit: usize,
    /// Columns of a packed panel.
    pub panel: usize,
    /// Whether the columns of B lie next to one another.
    pub b_plain: bool,
    /// Whether B is in panels already.
    pub b_panels: bool,
    /// Distances, in units, between steps of B and between rows and steps of A.
    pub b_step: usize,
    pub a_row: usize,
    pub a_step: usize,
}

impl Blocks {
    /// Blocks for a share of this shape.
    pub fn choose(s: Shape) -> Self {
        let b_bytes = s.steps * s.cols * s.unit;
        let pack_b = !s.b_panels && (!s.b_plain || (s.rows >= 128 && b_bytes > (256 << 10)));
        let pack_a = s.cols >= 256 && s.rows * s.steps * s.unit > (256 << 10);
        let kc = if pack_b || pack_a || s.b_panels { (B_PANEL / (s.panel * s.unit)).max(1) } else { s.steps.max(1) };
        let depth = kc.min(s.steps).max(1);
        Self { mc: (A_BLOCK / (depth * s.unit)).max(1), kc, nc: (B_BLOCK / (depth * s.unit)).max(1), pack_a, pack_b }
    }
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
    /// Cuts `rows` rows by `granules` groups of columns, of `vectors` vectors each, for at most `workers` workers.
    /// Columns are cut rather than rows where that is as even, so that every worker meets its own columns of B again.
    pub fn choose(rows: usize, granules: usize, vectors: usize, steps: usize, workers: usize) -> Self {
        let total = rows * granules * vectors * steps;
        let workers = workers.min(total / SHARE).max(1);
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
            Operand::Panels { .. } => unreachable!("only B comes in panels"),
        };
        let (b_plain, b_panels, b_step) = match problem.b {
            Operand::Plain { lane, step, .. } => (lane == 1, false, step),
            Operand::Panels { .. } => (false, true, problem.kernels.panel()),
        };
        let (unit, panel) = (size_of::<U>(), problem.kernels.panel());
        Self { rows, cols, steps: problem.k, unit, panel, b_plain, b_panels, b_step, a_row, a_step }
    }
}
