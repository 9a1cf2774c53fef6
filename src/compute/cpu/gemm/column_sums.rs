//! Sums of the columns of 8-bit matrices.

use std::ops::Range;

use super::super::super::Isa;
use super::Mat;

/// `sums[j]` = the sum of column `cols.start + j`, modulo 2^32.
pub(super) fn column_sums(isa: Isa, b: Mat<'_, i8>, cols: Range<usize>, sums: &mut [i32]) {
    assert!(cols.end <= b.cols() && sums.len() == cols.len());
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn with_avx512(b: Mat<'_, i8>, cols: Range<usize>, sums: &mut [i32]) {
            add_up(b, cols, sums);
        }
        if isa == Isa::Avx512 && isa.available() {
            // SAFETY: the machine has the instruction set.
            return unsafe { with_avx512(b, cols, sums) };
        }
    }
    let _ = isa;
    add_up(b, cols, sums);
}

#[inline(always)]
fn add_up(b: Mat<'_, i8>, cols: Range<usize>, sums: &mut [i32]) {
    sums.fill(0);
    // SAFETY: rows and columns are below the matrix's, whose invariant is that such elements lie in its slice.
    unsafe {
        let first = b.as_ptr().wrapping_add(cols.start * b.col_stride());
        if b.col_stride() == 1 {
            // Eight rows at a time: their sum fits 16 bits, and the running sums are read and written less often.
            let whole = b.rows() / 8 * 8;
            for k in (0..whole).step_by(8) {
                for (j, sum) in sums.iter_mut().enumerate() {
                    let mut of_rows = 0i16;
                    for row in k..k + 8 {
                        of_rows += i16::from(*first.add(row * b.row_stride() + j));
                    }
                    *sum = sum.wrapping_add(i32::from(of_rows));
                }
            }
            for k in whole..b.rows() {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.wrapping_add(i32::from(*first.add(k * b.row_stride() + j)));
                }
            }
            return;
        }
        for (j, sum) in sums.iter_mut().enumerate() {
            let first = first.add(j * b.col_stride());
            for k in 0..b.rows() {
                *sum = sum.wrapping_add(i32::from(*first.add(k * b.row_stride())));
            }
        }
    }
}
