//! Walks over layouts of any strides: the plain way for what no faster kernel takes.

use crate::compute::shape::{Layout, MAX_RANK};

/// Calls `row(offsets, len, steps)` for every innermost run of layouts of one shape: the offset of each at the start of
/// the run, and its step along it. Axes that lie as one in all layouts are walked as one.
pub fn rows<const N: usize>(layouts: [&Layout; N], mut row: impl FnMut([usize; N], usize, [usize; N])) {
    let shape = layouts[0].shape;
    if shape.is_empty() {
        return;
    }
    let (dims, steps, rank) = merged(layouts);
    let mut at = layouts.map(|layout| layout.offset);
    let last = rank - 1;
    let inner = steps[last];
    let mut index = [0usize; MAX_RANK];
    loop {
        row(at, dims[last], inner);
        let mut axis = last;
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            for i in 0..N {
                at[i] += steps[axis][i];
            }
            if index[axis] < dims[axis] {
                break;
            }
            for i in 0..N {
                at[i] -= steps[axis][i] * dims[axis];
            }
            index[axis] = 0;
        }
    }
}

/// The axes with those merged that lie as one in every layout; at least one axis.
pub fn merged<const N: usize>(layouts: [&Layout; N]) -> ([usize; MAX_RANK], [[usize; N]; MAX_RANK], usize) {
    let shape = layouts[0].shape;
    let mut dims = [1usize; MAX_RANK];
    let mut steps = [[0usize; N]; MAX_RANK];
    let mut rank = 0;
    for (axis, n) in shape.dims().iter().enumerate() {
        if *n == 1 {
            continue;
        }
        let own = std::array::from_fn(|i| layouts[i].strides[axis]);
        if rank > 0 && (0..N).all(|i| steps[rank - 1][i] == own[i] * n) {
            dims[rank - 1] *= n;
            steps[rank - 1] = own;
        } else {
            dims[rank] = *n;
            steps[rank] = own;
            rank += 1;
        }
    }
    (dims, steps, rank.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::shape::Shape;

    #[test]
    fn every_element_is_met_once_in_order() {
        let shape: Shape = [2, 3, 4].into();
        let plain = Layout::row_major(shape);
        let last = Layout::channels_last(shape);
        let column = Layout::row_major([3, 1].into()).broadcast_to(shape);
        let mut seen = Vec::new();
        rows([&plain, &last, &column], |at, len, step| {
            for i in 0..len {
                seen.push([0, 1, 2].map(|l| at[l] + i * step[l]));
            }
        });
        assert_eq!(seen.len(), 24);
        for (i, [a, b, c]) in seen.into_iter().enumerate() {
            let (n, ch, x) = (i / 12, i / 4 % 3, i % 4);
            assert_eq!((a, b, c), (i, n * 12 + x * 3 + ch, ch));
        }
        let mut runs = 0;
        rows([&plain], |_, len, _| {
            assert_eq!(len, 24);
            runs += 1;
        });
        assert_eq!(runs, 1);
        rows([&Layout::row_major(Shape::SCALAR)], |at, len, _| assert_eq!((at, len), ([0], 1)));
    }
}
