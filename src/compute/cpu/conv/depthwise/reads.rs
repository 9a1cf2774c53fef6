//! Where pixels read.

use super::PIXELS;
use crate::compute::cpu::conv::shape::ConvShape;

/// Whose pixels are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Those of the output, from the input.
    Forward,
    /// Those of the input's gradient, from the output's.
    Back,
}

/// Columns that a few neighbouring pixels read at the taps of a row of the window.
struct Columns {
    /// Taps of which any is read, with the element of a row that each pixel reads, or [`NOWHERE`].
    taps: Vec<(usize, [usize; PIXELS])>,
    /// Pixels that exist.
    count: usize,
}

/// What a pixel reads where there is no input.
const NOWHERE: usize = usize::MAX;

/// Where the pixels of a row read, cut into groups of [`PIXELS`].
pub(super) struct Reads {
    columns: Vec<Columns>,
    way: Way,
    /// Of what is read: rows, and elements of a row.
    height: usize,
    row: usize,
}

/// A tap of a few neighbouring pixels.
#[derive(Clone, Copy)]
pub(super) struct Read<T> {
    /// `ky * kw + kx`
    pub tap: usize,
    pub from: [*const T; PIXELS],
}

impl Reads {
    /// For pixels with `channels` elements each in what is read.
    pub fn new(shape: &ConvShape, way: Way, channels: usize) -> Self {
        let (height, width, columns) = match way {
            Way::Forward => (shape.h(), shape.w(), shape.out_w()),
            Way::Back => (shape.out_h(), shape.out_w(), shape.w()),
        };
        let group = |first: usize| {
            let mut taps = Vec::with_capacity(shape.kw());
            for kx in in_order(way, shape.kw()) {
                let mut from = [NOWHERE; PIXELS];
                for (i, from) in from.iter_mut().enumerate().take(columns - first) {
                    if let Some(x) = source(shape, way, 1, kx, first + i) {
                        *from = x * channels;
                    }
                }
                if from.iter().any(|x| *x != NOWHERE) {
                    taps.push((kx, from));
                }
            }
            Columns { taps, count: PIXELS.min(columns - first) }
        };
        Self { columns: (0..columns).step_by(PIXELS).map(group).collect(), way, height, row: width * channels }
    }

    /// Groups of a row, and pixels of a group.
    pub fn groups(&self) -> usize {
        self.columns.len()
    }
    pub fn pixels(&self, group: usize) -> usize {
        self.columns[group].count
    }

    /// Elements of a row of what is read.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The rows that row `y` reads, tap by tap.
    pub fn rows(&self, shape: &ConvShape, y: usize) -> impl Iterator<Item = (usize, usize)> {
        let (shape, way) = (*shape, self.way);
        in_order(way, shape.kh()).filter_map(move |ky| Some((ky, source(&shape, way, 0, ky, y)?)))
    }

    /// First row that any of `rows` reads, and the one after the last; empty if there is none.
    pub fn span(&self, shape: &ConvShape, rows: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let mut span = self.height..0;
        for y in rows {
            for (_, row) in self.rows(shape, y) {
                span = span.start.min(row)..span.end.max(row + 1);
            }
        }
        if span.is_empty() { 0..0 } else { span }
    }

    /// What group `group` of row `y` reads, in order of the taps, and `zeros` where there is nothing. Row `i` begins at
    /// `origin + i * row()`; where `copied` is set, `origin` has just the rows that `y` reads. Returns the number of taps
    /// written to `list`, which has room for all.
    #[inline(always)]
    pub fn list<T>(
        &self,
        shape: &ConvShape,
        (y, group): (usize, usize),
        (origin, copied): (*const T, bool),
        zeros: *const T,
        list: &mut [Read<T>],
    ) -> usize {
        let mut count = 0;
        for (i, (ky, row)) in self.rows(shape, y).enumerate() {
            let start = origin.wrapping_add(if copied { i } else { row } * self.row);
            for (kx, columns) in &self.columns[group].taps {
                let read = &mut list[count];
                read.tap = ky * shape.kw() + kx;
                for (from, x) in read.from.iter_mut().zip(columns) {
                    *from = if *x == NOWHERE { zeros } else { start.wrapping_add(*x) };
                }
                count += 1;
            }
        }
        count
    }
}

/// Taps so that what is read comes in ascending order.
fn in_order(way: Way, taps: usize) -> impl Iterator<Item = usize> {
    (0..taps).map(move |tap| if way == Way::Forward { tap } else { taps - 1 - tap })
}

/// The coordinate that pixel `at` of an axis reads at `tap`, if there is one.
#[inline(always)]
fn source(shape: &ConvShape, way: Way, axis: usize, tap: usize, at: usize) -> Option<usize> {
    let (stride, offset) = (shape.options().stride[axis], shape.tap_offset(axis, tap));
    let (at, size) = match way {
        Way::Forward => ((at * stride).checked_add_signed(offset)?, [shape.h(), shape.w()][axis]),
        Way::Back => {
            let distance = at.checked_add_signed(-offset)?;
            if stride > 1 && distance % stride != 0 {
                return None;
            }
            (distance / stride, [shape.out_h(), shape.out_w()][axis])
        }
    };
    (at < size).then_some(at)
}
