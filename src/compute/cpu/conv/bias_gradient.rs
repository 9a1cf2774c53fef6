//! The gradient of the bias by itself: the sum of the output's gradient over all pixels.

use super::scratch::Scratch;
use crate::compute::cpu::columns::add_blocks;
use crate::compute::cpu::lanes::{Float, Kernel, Vector, dispatch};
use crate::compute::cpu::{Cpu, Parts};

/// Pixels of a block.
const BLOCK: usize = 512;

/// `db[o] = sum over pixels of dy[pixel][o]`: blocks of pixels, ascending, are added up in ascending order.
pub(super) fn bias_gradient<T: Float>(cpu: &Cpu, dy: &[T], db: &mut [T]) {
    let columns = db.len();
    let pixels = dy.len() / columns;
    let count = pixels.div_ceil(BLOCK);
    let mut partial = Scratch::<T>::take(count * columns);
    {
        let parts = Parts::new(partial.as_mut_slice());
        cpu.crew.for_each(count, &|block| {
            let range = block * BLOCK..((block + 1) * BLOCK).min(pixels);
            // SAFETY: every block has sums of its own.
            let sums = unsafe { parts.piece(block * columns..(block + 1) * columns) };
            sums.fill(T::ZERO);
            dispatch(cpu.isa, Sums { dy: &dy[range.start * columns..range.end * columns], sums });
        });
    }
    add_blocks(cpu, partial.as_mut_slice(), columns, [Some(db)]);
}

struct Sums<'a, T> {
    dy: &'a [T],
    sums: &'a mut [T],
}

impl<T: Float> Kernel<T> for Sums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        add_columns::<V>(self.dy, self.sums);
    }
}

/// Adds the rows of `from` to `to`, ascending, through a sum of the block's own.
#[inline(always)]
pub(super) fn add_columns<V: Vector>(from: &[V::Elem], to: &mut [V::Elem]) {
    let columns = to.len();
    let rows = from.len() / columns;
    let mut column = 0;
    while column < columns {
        let count = (columns - column).min(V::LANES);
        // SAFETY: `count` elements from `column` on in every row.
        unsafe {
            let mut sum = V::zero();
            for row in 0..rows {
                sum = sum + V::load_first(from.as_ptr().add(row * columns + column), count);
            }
            let to = to.as_mut_ptr().add(column);
            (sum + V::load_first(to, count)).store_first(to, count);
        }
        column += count;
    }
}
