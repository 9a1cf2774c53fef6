//! Weights in the order in which the tiles read them.

use super::gather::Panel;
use crate::compute::cpu::lanes::Float;
use crate::compute::cpu::{Cpu, Parts};

/// Where the rows of a panel come from: row `t * run + r`, column `j` is element
/// `taps[t] + r * run_stride + first + j * column_stride` of the weights.
pub(super) struct PackSource<'a> {
    /// Start of each tap in the weights.
    pub taps: &'a [usize],
    /// Rows of a tap.
    pub run: usize,
    /// Elements of the weights from row to row.
    pub run_stride: usize,
    /// Elements of the weights from column to column.
    pub column_stride: usize,
}

/// Copies the weights of every panel to `packed`, at [`Panel::weights`], rows of whole vectors of `lanes` elements padded
/// with zeros. `first(panel)` is the place of the panel's first column in the weights.
pub(super) fn pack<T: Float>(
    cpu: &Cpu,
    weights: &[T],
    source: &PackSource<'_>,
    panels: &[Panel],
    lanes: usize,
    first: &(dyn Fn(&Panel) -> usize + Sync),
    packed: &mut [T],
) {
    let parts = Parts::new(packed);
    let taps = source.taps.len();
    let one = |unit: usize| {
        let panel = &panels[unit / taps];
        let (tap, start) = (unit % taps, first(panel));
        let row = panel.channels.div_ceil(lanes) * lanes;
        let at = panel.weights + tap * source.run * row;
        // SAFETY: every unit has a tap of a panel of its own, and panels do not overlap.

        let to = unsafe { parts.piece(at..at + source.run * row) };
        let from = &weights[source.taps[tap] + start..];
        if source.column_stride == 1 {
            for (r, to) in to.chunks_exact_mut(row).enumerate() {
                let (channels, padding) = to.split_at_mut(panel.channels);
                channels.copy_from_slice(&from[r * source.run_stride..][..panel.channels]);
                padding.fill(T::ZERO);
            }
            return;
        }
        // A transposition, in blocks that stay in the first-level cache.
        const BLOCK: usize = 16;
        to.fill(T::ZERO);
        for r0 in (0..source.run).step_by(BLOCK) {
            for j in 0..panel.channels {
                for r in r0..(r0 + BLOCK).min(source.run) {
                    to[r * row + j] = from[r * source.run_stride + j * source.column_stride];
                }
            }
        }
    };
    let units = panels.len() * taps;
    // A region of the crew is not worth it for a few kilobytes.
    if packed_len(panels, taps * source.run, lanes) < 8192 {
        (0..units).for_each(one);
    } else {
        cpu.crew.for_each(units, &one);
    }
}

/// Elements that the panels take with `depth` rows each.
pub(super) fn packed_len(panels: &[Panel], depth: usize, lanes: usize) -> usize {
    panels.iter().map(|p| p.channels.div_ceil(lanes) * lanes * depth).sum()
}
