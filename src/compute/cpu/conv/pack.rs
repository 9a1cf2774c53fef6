//! Weights in the order in which the tiles read them.

use super::gather::Panel;
use super::transpose::transpose;
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
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
    /// Elements of the weights from column to column. Either this or `run_stride` is 1.
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
        dispatch(
            cpu.isa,
            Transposed { from, run: source.run, step: source.column_stride, channels: panel.channels, row, to },
        );
    };
    let units = panels.len() * taps;
    // A region of the crew is not worth it for a few kilobytes.
    if packed_len(panels, taps * source.run, lanes) < 8192 {
        (0..units).for_each(one);
    } else {
        cpu.crew.for_each(units, &one);
    }
}

/// Rows of `row` elements from columns `step` elements apart, padded with zeros.
struct Transposed<'a, T> {
    from: &'a [T],
    run: usize,
    step: usize,
    channels: usize,
    row: usize,
    to: &'a mut [T],
}

impl<T: Float> Kernel<T> for Transposed<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { from, run, step, channels, row, to } = self;
        // The last element read: columns may overlap the next group's, but not the end of the weights.
        assert!(run == 0 || (channels - 1) * step + run <= from.len() && run * row <= to.len() && channels <= row);
        for r in (0..run).step_by(V::LANES) {
            let rows = (run - r).min(V::LANES);
            for j in (0..channels).step_by(V::LANES) {
                let columns = (channels - j).min(V::LANES);
                // SAFETY: the elements were checked above.
                unsafe {
                    let (from, to) = (from.as_ptr().add(j * step + r), to.as_mut_ptr().add(r * row + j));
                    transpose::<V>(from, step, columns, rows, to, row);
                }
            }
        }
        if channels < row {
            for row in to.chunks_exact_mut(row) {
                row[channels..].fill(T::ZERO);
            }
        }
    }
}

/// Elements that the panels take with `depth` rows each.
pub(super) fn packed_len(panels: &[Panel], depth: usize, lanes: usize) -> usize {
    panels.iter().map(|p| p.channels.div_ceil(lanes) * lanes * depth).sum()
}
