use super::*;

fn numbers<T: Float>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::of(((i * 7919 + 13) % 2003) as f64 * 0.01 - 7.0 + (i % 17) as f64 * 1e-4)).collect()
}

const LENGTHS: [usize; 12] = [0, 1, 3, 15, 64, 65, 100, 4096, 4097, 65_536, 70_001, 300_017];

/// The same bits on every instruction set and for every number of workers, near the exact result.
fn check<T: Float>(op: Reduction, len: usize, exact: f64, tolerance: f64) {
    let x = numbers::<T>(len);
    let mut first = None;
    for isa in Isa::all_available() {
        for workers in [1, 2, 3, 5] {
            let cpu = Cpu::with_isa(workers, isa);
            let got = reduce(&cpu, op, &x);
            let error = (got.to_f64() - exact).abs();
            assert!(
                error <= tolerance || (got.is_nan() && exact.is_nan()) || got.to_f64() == exact,
                "{op:?} of {len}: {got:?}, not {exact}"
            );
            let mut row = [T::ZERO];
            reduce_rows(&cpu, op, &x, len, &mut row);
            let same = |a: T, b: T| a == b || (a.is_nan() && b.is_nan());
            assert!(same(row[0], got), "{op:?} of a row of {len}: {row:?}, not {got:?}");
            if !matches!(op, Reduction::SumSquares | Reduction::Variance { .. }) {
                assert!(same(*first.get_or_insert(got), got), "{op:?} of {len} on {isa} with {workers} workers");
            }
        }
    }
}

fn all<T: Float>(epsilon: f64) {
    for len in LENGTHS {
        let x: Vec<f64> = numbers::<T>(len).iter().map(|x| x.to_f64()).collect();
        let n = len as f64;
        let sum: f64 = x.iter().sum();
        let sizes: f64 = x.iter().map(|x| x.abs()).sum();
        let squares: f64 = x.iter().map(|x| x * x).sum();
        let bound = 72.0 * epsilon;
        check::<T>(Reduction::Sum, len, sum, bound * sizes);
        check::<T>(Reduction::Mean, len, sum / n, bound * sizes / n);
        check::<T>(Reduction::SumSquares, len, squares, bound * squares);
        check::<T>(Reduction::Max, len, x.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x)), 0.0);
        check::<T>(Reduction::Min, len, x.iter().fold(f64::INFINITY, |m, x| m.min(*x)), 0.0);
        for correction in [0.0, 1.0] {
            let squares: f64 = x.iter().map(|x| (x - sum / n).powi(2)).sum();
            let variance = if n > correction { squares / (n - correction) } else { f64::NAN };
            check::<T>(Reduction::Variance { correction }, len, variance, 200.0 * epsilon * variance);
        }
    }
}

#[test]
fn single_precision() {
    all::<f32>(2f64.powi(-24));
}

#[test]
fn double_precision() {
    all::<f64>(2f64.powi(-50));
}

#[test]
fn variance_far_from_zero() {
    // A mean of 10^4 standard deviations, where the difference of sums of squares would keep no digit.
    let x: Vec<f32> = (0..100_000).map(|i| 10_000.0 + (i % 7) as f32 * 0.5).collect();
    let exact = {
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / x.len() as f64
    };
    for isa in Isa::all_available() {
        let got = moments(&Cpu::with_isa(2, isa), &x);
        assert!((got.variance(0.0) / exact - 1.0).abs() < 1e-5);
    }
}

#[test]
fn rows_of_all_widths() {
    for (rows, columns) in [(1, 1), (64, 10), (1000, 16), (33, 129), (7, 5000), (3, 200_000)] {
        let x = numbers::<f32>(rows * columns);
        for isa in Isa::all_available() {
            for op in [
                Reduction::Sum,
                Reduction::Mean,
                Reduction::Max,
                Reduction::Min,
                Reduction::Variance { correction: 0.0 },
            ] {
                let want: Vec<f32> =
                    x.chunks_exact(columns).map(|row| reduce(&Cpu::with_isa(1, isa), op, row)).collect();
                for workers in [1, 2, 3, 5] {
                    let mut out = vec![0.0; rows];
                    reduce_rows(&Cpu::with_isa(workers, isa), op, &x, columns, &mut out);
                    assert_eq!(out, want, "{op:?} {rows}x{columns}");
                }
            }
        }
    }
}

#[test]
fn places_of_extremes() {
    let mut x = numbers::<f32>(50 * 21);
    x[3 * 21 + 5] = f32::NAN;
    x[3 * 21 + 9] = f32::NAN;
    x[4 * 21..5 * 21].fill(2.0);
    x[5 * 21..6 * 21].fill(f32::NEG_INFINITY);
    for isa in Isa::all_available() {
        for workers in [1, 3] {
            let cpu = Cpu::with_isa(workers, isa);
            let (mut most, mut least) = (vec![0; 50], vec![0; 50]);
            argmax_rows(&cpu, &x, 21, &mut most);
            argmin_rows(&cpu, &x, 21, &mut least);
            for r in 0..50 {
                let row = &x[r * 21..][..21];
                let by = |better: fn(f32, f32) -> bool| {
                    (1..21).fold(0, |best: usize, i| {
                        if !row[best].is_nan() && (better(row[i], row[best]) || row[i].is_nan()) { i } else { best }
                    })
                };
                assert_eq!(most[r], by(|a, b| a > b) as i32);
                assert_eq!(least[r], by(|a, b| a < b) as i32);
            }
        }
    }
}

#[test]
fn nan_is_the_extreme_and_the_sum() {
    for at in [0, 17, 5000] {
        let mut x = numbers::<f32>(70_000);
        x[at] = f32::NAN;
        for isa in Isa::all_available() {
            let cpu = Cpu::with_isa(2, isa);
            for op in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::Variance { correction: 0.0 }] {
                assert!(reduce(&cpu, op, &x).is_nan(), "{op:?}");
            }
        }
    }
}

#[test]
fn counts_products_and_finiteness() {
    for len in LENGTHS {
        let mut x = numbers::<f32>(len);
        x.iter_mut().step_by(3).for_each(|x| *x = 0.0);
        for isa in Isa::all_available() {
            let cpu = Cpu::with_isa(3, isa);
            assert_eq!(count_nonzero(&cpu, &x), x.iter().filter(|x| **x != 0.0).count() as u64);
            let exact: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!((dot(&cpu, &x, &x) - exact).abs() <= 1e-5 * exact);
            assert_eq!(dot(&cpu, &x, &x), sum_squares(&cpu, &x));
            assert_eq!(sum_squares_block(isa, &x), sum_squares(&cpu, &x));
            assert!(all_finite(&cpu, &x) && all_finite_block(isa, &x));
            if let Some(last) = x.len().checked_sub(1) {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut y = x.clone();
                    y[last] = bad;
                    assert!(!all_finite(&cpu, &y) && !all_finite_block(isa, &y));
                }
            }
        }
    }
}
