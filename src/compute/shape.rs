//! Shapes, and how the elements of a tensor lie in its buffer.

use crate::error::{Error, Result};

/// Most axes a tensor may have.
pub const MAX_RANK: usize = 8;

/// Up to [`MAX_RANK`] lengths, first axis first. Small enough to copy.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    rank: u8,
    dims: [usize; MAX_RANK],
}

impl Shape {
    /// The shape of a single number: no axes, one element.
    pub const SCALAR: Self = Self { rank: 0, dims: [1; MAX_RANK] };

    /// A shape of these lengths.
    ///
    /// # Panics
    /// With more than [`MAX_RANK`] axes; front ends check with [`Shape::checked`] first.
    pub fn new(dims: &[usize]) -> Self {
        Self::checked(dims).unwrap_or_else(|e| panic!("{e}"))
    }

    /// A shape of these lengths.
    ///
    /// # Errors
    /// More than [`MAX_RANK`] axes, or more elements than memory can number.
    pub fn checked(dims: &[usize]) -> Result<Self> {
        if dims.len() > MAX_RANK {
            return Err(Error::op(
                "shape",
                format!("{dims:?} has {} axes; at most {MAX_RANK} are supported", dims.len()),
            ));
        }
        let elements = dims.iter().filter(|n| **n != 0).try_fold(1usize, |all, n| all.checked_mul(*n));
        if elements.is_none_or(|all| all > isize::MAX as usize / 8) {
            return Err(Error::op("shape", format!("{dims:?} has more elements than memory can hold")));
        }
        let mut own = [1; MAX_RANK];
        own[..dims.len()].copy_from_slice(dims);
        Ok(Self { rank: dims.len() as u8, dims: own })
    }

    /// The lengths.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..usize::from(self.rank)]
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// Whether some axis has length 0.
    pub fn is_empty(&self) -> bool {
        self.dims().contains(&0)
    }

    /// Length of the last axis; 1 for a scalar.
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// Product of all lengths but the last.
    pub fn rows(&self) -> usize {
        self.dims()[..self.rank().saturating_sub(1)].iter().product()
    }

    /// The shape without axis `axis`, or with that axis of length 1.
    pub fn reduced(&self, axis: usize, keep: bool) -> Self {
        let mut dims = self.dims().to_vec();
        if keep {
            dims[axis] = 1;
        } else {
            dims.remove(axis);
        }
        Self::new(&dims)
    }

    /// Strides of row-major storage: the last axis has stride 1.
    pub fn row_major(&self) -> Strides {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in (0..self.rank()).rev() {
            strides[axis] = step;
            step *= self.dims[axis].max(1);
        }
        strides
    }

    /// The shape both broadcast to: axes are aligned at the last, and a length of 1 stretches.
    ///
    /// # Errors
    /// Lengths that differ and are not 1, naming both shapes and `op`.
    pub fn broadcast(op: &'static str, a: &Self, b: &Self) -> Result<Self> {
        let rank = a.rank().max(b.rank());
        let mut dims = [1; MAX_RANK];
        for i in 0..rank {
            let at = |s: &Self| if i < s.rank() { s.dims[s.rank() - 1 - i] } else { 1 };
            dims[rank - 1 - i] = match (at(a), at(b)) {
                (m, n) if m == n => m,
                (1, n) => n,
                (m, 1) => m,
                (m, n) => {
                    return Err(Error::op(
                        op,
                        format!("shapes {a} and {b} do not broadcast: {m} and {n} differ {} from the end", nth(i)),
                    ));
                }
            };
        }
        Self::checked(&dims[..rank])
    }

    /// Axis `axis`, counted from the end where negative.
    ///
    /// # Errors
    /// An axis there is not, naming the shape and `op`.
    pub fn axis(&self, op: &'static str, axis: isize) -> Result<usize> {
        let rank = self.rank() as isize;
        if (-rank..rank).contains(&axis) {
            Ok(axis.rem_euclid(rank) as usize)
        } else {
            Err(Error::op(
                op,
                format!("there is no axis {axis} in shape {self}; allowed are {} to {}", -rank, rank - 1),
            ))
        }
    }
}

fn nth(i: usize) -> String {
    match i {
        0 => "in the last axis, counted".to_owned(),
        i => format!("in axis {}, counted", i + 1),
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self::new(&dims)
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self::new(dims)
    }
}

/// Elements to step over for the next index of each axis; 0 where an axis is broadcast.
pub type Strides = [usize; MAX_RANK];

/// Where the elements of a tensor lie in its buffer: element `(i, j, ..)` at `offset + i * strides[0] + j * strides[1] ..`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Lengths of the axes.
    pub shape: Shape,
    /// Steps of the axes, in elements.
    pub strides: Strides,
    /// First element, counted from the start of the buffer.
    pub offset: usize,
}

impl Layout {
    /// Row-major storage from the start of the buffer.
    pub fn row_major(shape: Shape) -> Self {
        Self { strides: shape.row_major(), shape, offset: 0 }
    }

    /// Storage in which `order` names the axes from the slowest to the fastest.
    pub fn ordered(shape: Shape, order: &[usize]) -> Self {
        debug_assert_eq!(order.len(), shape.rank());
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in order.iter().rev() {
            strides[*axis] = step;
            step *= shape.dims()[*axis].max(1);
        }
        Self { shape, strides, offset: 0 }
    }

    /// Channels-last storage of a shape [N, C, ..]: the channel varies fastest.
    pub fn channels_last(shape: Shape) -> Self {
        let mut order: Vec<usize> = (0..shape.rank()).collect();
        if shape.rank() > 2 {
            order.remove(1);
            order.push(1);
        }
        Self::ordered(shape, &order)
    }

    /// The strides of the axes there are.
    pub fn strides(&self) -> &[usize] {
        &self.strides[..self.shape.rank()]
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_row_major(&self) -> bool {
        let plain = self.shape.row_major();
        self.shape.is_empty()
            || self.shape.dims().iter().zip(self.strides.iter().zip(&plain)).all(|(n, (a, b))| *n == 1 || a == b)
    }

    /// Whether the elements fill a piece of the buffer without gaps, in whatever order of axes.
    pub fn is_dense(&self) -> bool {
        if self.is_row_major() {
            return true;
        }
        let mut axes: Vec<(usize, usize)> = self
            .strides()
            .iter()
            .zip(self.shape.dims())
            .filter(|(_, n)| **n != 1)
            .map(|(stride, n)| (*stride, *n))
            .collect();
        axes.sort_unstable();
        let mut step = 1;
        axes.iter().all(|(stride, n)| {
            let fits = *stride == step;
            step *= n;
            fits
        })
    }

    /// Whether two layouts of one shape put every index at the same place (from their offsets on).
    pub fn same_order(&self, other: &Self) -> bool {
        self.shape == other.shape
            && self
                .shape
                .dims()
                .iter()
                .zip(self.strides.iter().zip(&other.strides))
                .all(|(n, (a, b))| *n == 1 || a == b)
    }

    /// A layout for a fresh dense buffer that keeps the order of axes of this one.
    pub fn dense_like(&self) -> Self {
        if self.is_row_major() || !self.is_dense() {
            return Self::row_major(self.shape);
        }
        Self { offset: 0, ..*self }
    }

    /// One past the last element that is reached, counted from the start of the buffer.
    pub fn end(&self) -> usize {
        if self.shape.is_empty() {
            return self.offset;
        }
        let last: usize = self.shape.dims().iter().zip(self.strides()).map(|(n, stride)| (n - 1) * stride).sum();
        self.offset + last + 1
    }

    /// The same elements seen in a shape they broadcast to; stretched axes get stride 0.
    pub fn broadcast_to(&self, shape: Shape) -> Self {
        let mut strides = [0; MAX_RANK];
        let (from, to) = (self.shape.rank(), shape.rank());
        for axis in 0..from {
            let target = to - from + axis;
            strides[target] = if self.shape.dims()[axis] == shape.dims()[target] { self.strides[axis] } else { 0 };
        }
        Self { shape, strides, offset: self.offset }
    }

    /// The same elements in another shape, if no copy is needed.
    pub fn reshaped(&self, shape: Shape) -> Option<Self> {
        if self.is_row_major() {
            return Some(Self { strides: shape.row_major(), shape, offset: self.offset });
        }
        // Runs of axes that lie as one may be cut anew; each must match a run of the new axes.
        let old: Vec<(usize, usize)> =
            self.shape.dims().iter().zip(self.strides()).filter(|(n, _)| **n != 1).map(|(n, s)| (*n, *s)).collect();
        let mut strides = [0; MAX_RANK];
        let dims = shape.dims();
        let (mut axis, mut at) = (0, 0);
        while at < old.len() {
            let (mut length, mut end) = (old[at].0, at + 1);
            let (mut new_length, start) = (1, axis);
            loop {
                if new_length == length && axis > start {
                    break;
                }
                if new_length < length || axis == start {
                    new_length *= *dims.get(axis)?;
                    axis += 1;
                } else {
                    let (n, stride) = *old.get(end)?;
                    if old[end - 1].1 != n * stride {
                        return None;
                    }
                    length *= n;
                    end += 1;
                }
            }
            let mut step = old[end - 1].1;
            for own in (start..axis).rev() {
                strides[own] = step;
                step *= dims[own];
            }
            at = end;
        }
        (dims[axis..].iter().all(|n| *n == 1)).then_some(Self { shape, strides, offset: self.offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_aligns_at_the_end_and_names_both_shapes() {
        let shape = Shape::broadcast("add", &[3, 1, 5].into(), &[4, 1].into()).unwrap();
        assert_eq!(shape, [3, 4, 5].into());
        let message = Shape::broadcast("add", &[3, 2].into(), &[4, 3].into()).unwrap_err().to_string();
        assert!(message.contains("add") && message.contains("[3, 2]") && message.contains("[4, 3]"), "{message}");
    }

    #[test]
    fn layouts_know_their_order() {
        let last = Layout::channels_last([2, 3, 4, 5].into());
        assert_eq!(last.strides(), [60, 1, 15, 3]);
        assert!(last.is_dense() && !last.is_row_major());
        assert_eq!(last.end(), 120);
        assert!(!Layout::row_major([3].into()).broadcast_to([2, 3].into()).is_dense());
        assert_eq!(last.dense_like(), last);
    }

    #[test]
    fn views_reshape_where_they_can() {
        let last = Layout::channels_last([2, 3, 4, 5].into());
        // Merging the two spatial axes takes no copy; merging channels with them does.
        let merged = last.reshaped([2, 3, 20].into()).unwrap();
        assert_eq!(merged.strides(), [60, 1, 3]);
        assert!(last.reshaped([2, 60].into()).is_none());
        let split = Layout::row_major([6, 4].into()).reshaped([2, 3, 2, 2].into()).unwrap();
        assert_eq!(split.strides(), [12, 4, 2, 1]);
        assert_eq!(last.reshaped([2, 1, 3, 4, 5, 1].into()).unwrap().strides()[2..5], [1, 15, 3]);
    }
}
