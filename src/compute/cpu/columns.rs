//! Sums of columns: partial ones of blocks of rows, added in the order of the blocks.
#![allow(unsafe_code)]

use super::conv::scratch::Scratch;
use super::lanes::{Float, Kernel, Vector, dispatch};
use super::row::{self, Column};
use super::{Cpu, Parts};

/// Where the gradients of a normalisation go; what is `None` is not wanted.
#[derive(Debug, Default)]
pub struct NormGrads<'a, T> {
    /// Of the input.
    pub dx: Option<&'a mut [T]>,
    /// Of the factor of each column.
    pub dweight: Option<&'a mut [T]>,
    /// Of the term of each column.
    pub dbias: Option<&'a mut [T]>,
}

/// `outs[k][c] = factors[k][c] * Σ_b partials[b, k, c]`, b ascending; factors are 1 where there are none.
pub(super) fn add_blocks<T: Float, const K: usize>(
    cpu: &Cpu,
    partials: &[T],
    cols: usize,
    outs: [Option<&mut [T]>; K],
) {
    let blocks = partials.len() / (K * cols);
    let from = Column::of(partials);
    for (k, out) in outs.into_iter().enumerate() {
        let Some(out) = out else { continue };
        assert_eq!(out.len(), cols, "a sum for each column");
        let out = Parts::new(out);
        // Cut at whole cache lines.
        row::deal(cpu, cols.div_ceil(16), 16 * blocks, 16_384, &|range| {
            let range = range.start * 16..(range.end * 16).min(cols);
            // SAFETY: ranges of different calls are disjoint.
            let out = unsafe { out.piece(range.clone()) };
            let from = from.at(k * cols + range.start);
            dispatch(cpu.isa, AddBlocks { from, blocks, stride: K * cols, out });
        });
    }
}

/// `out = Σ_b from[b stride ..]`
struct AddBlocks<'a, T> {
    from: *const T,
    blocks: usize,
    stride: usize,
    out: &'a mut [T],
}

impl<T: Float> Kernel<T> for AddBlocks<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Self { from, blocks, stride, out } = self;
        let mut at = 0;
        // SAFETY: every block has `out.len()` numbers.
        unsafe {
            while at + 4 * V::LANES <= out.len() {
                let mut sum = [V::zero(); 4];
                for b in 0..blocks {
                    let from = from.add(b * stride + at);
                    for (i, sum) in sum.iter_mut().enumerate() {
                        *sum = *sum + V::load(from.add(i * V::LANES));
                    }
                }
                for (i, sum) in sum.iter().enumerate() {
                    sum.store(out.as_mut_ptr().add(at + i * V::LANES));
                }
                at += 4 * V::LANES;
            }
            while at < out.len() {
                let n = (out.len() - at).min(V::LANES);
                let mut sum = V::zero();
                for b in 0..blocks {
                    sum = sum + V::load_first(from.add(b * stride + at), n);
                }
                sum.store_first(out.as_mut_ptr().add(at), n);
                at += n;
            }
        }
    }
}

/// `values`, or as many times `other`, kept in scratch memory.
pub(super) fn values_or<'a, T: Float>(
    values: Option<&'a [T]>,
    cols: usize,
    other: T,
    kept: &'a mut Option<Scratch<T>>,
) -> &'a [T] {
    match values {
        Some(values) => {
            assert_eq!(values.len(), cols, "a number for each column");
            values
        }
        None => {
            let kept = kept.insert(Scratch::take(cols)).as_mut_slice();
            kept.fill(other);
            kept
        }
    }
}
