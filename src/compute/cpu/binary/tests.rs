use super::*;
use proptest::prelude::*;

fn reference(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Min => a.min(b),
        Binary::Max => a.max(b),
        Binary::Pow => a.powf(b),
        Binary::Combine { alpha, beta } => alpha * a + beta * b,
    }
}

const ALL: [Binary; 9] = [
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Min,
    Binary::Max,
    Binary::Pow,
    Binary::Combine { alpha: 1.0, beta: -0.5 },
    Binary::Combine { alpha: 0.3, beta: 2.0 },
];

/// Numbers between 0.5 and 2, so that powers are tame.
fn numbers<T: Float>(len: usize, seed: usize) -> Vec<T> {
    (0..len).map(|i| T::of(0.5 + ((i * 7919 + seed * 104_729) % 1000) as f64 * 0.0015)).collect()
}

fn close<T: Float>(op: Binary, a: T, b: T, got: T, place: usize) {
    let want = reference(op, a.to_f64(), b.to_f64());
    let tolerance = if size_of::<T>() == 4 { 1.5e-7 } else { 5e-16 };
    let scale = 1.0 + want.abs();
    assert!((got.to_f64() - want).abs() <= tolerance * scale, "{op:?}({a:?}, {b:?}) = {got:?}, not {want}, at {place}");
}

fn every_form<T: Float>(rows: usize, columns: usize, workers: usize, isa: Isa) {
    let cpu = Cpu::with_isa(workers, isa);
    let len = rows * columns;
    let (a, b) = (numbers::<T>(len, 1), numbers::<T>(len, 2));
    let s = T::of(1.25);
    for op in ALL {
        let mut out = vec![T::ZERO; len];
        binary(&cpu, op, &a, &b, &mut out);
        (0..len).for_each(|i| close(op, a[i], b[i], out[i], i));
        let mut block = vec![T::ZERO; len];
        binary_block(isa, op, &a, &b, &mut block);
        assert_eq!(out, block);
        let mut own = a.clone();
        binary_in_place(&cpu, op, &mut own, &b);
        assert_eq!(out, own);
        own.copy_from_slice(&a);
        binary_in_place_block(isa, op, &mut own, &b);
        assert_eq!(out, own);
        binary_scalar(&cpu, op, &a, s, &mut out);
        (0..len).for_each(|i| close(op, a[i], s, out[i], i));
        own.copy_from_slice(&a);
        binary_scalar_in_place(&cpu, op, &mut own, s);
        assert_eq!(out, own);
        scalar_binary(&cpu, op, s, &b, &mut out);
        (0..len).for_each(|i| close(op, s, b[i], out[i], i));
        let (row, column) = (numbers::<T>(columns, 3), numbers::<T>(rows, 4));
        binary_row(&cpu, op, &a, &row, &mut out);
        (0..len).for_each(|i| close(op, a[i], row[i % columns], out[i], i));
        own.copy_from_slice(&a);
        binary_row_in_place(&cpu, op, &mut own, &row);
        assert_eq!(out, own);
        binary_column(&cpu, op, &a, &column, &mut out);
        (0..len).for_each(|i| close(op, a[i], column[i / columns], out[i], i));
        // The first of shape [rows, columns], the second a transpose.
        strided_binary(&cpu, op, &[rows, columns], &a, &[columns, 1], &b, &[1, rows], &mut out);
        (0..len).for_each(|i| close(op, a[i], b[i % columns * rows + i / columns], out[i], i));
        // Both broadcast: a column and a row.
        strided_binary(&cpu, op, &[rows, columns], &column, &[1, 0], &row, &[0, 1], &mut out);
        (0..len).for_each(|i| close(op, column[i / columns], row[i % columns], out[i], i));
    }
}

#[test]
fn every_form_of_every_function() {
    for isa in Isa::all_available() {
        for (rows, columns) in [(1, 1), (3, 5), (64, 10), (5, 1030), (700, 24), (33, 129)] {
            for workers in [1, 2, 3, 5] {
                every_form::<f32>(rows, columns, workers, isa);
            }
            every_form::<f64>(rows, columns, 2, isa);
        }
    }
}

#[test]
fn smaller_and_larger_pass_nan_on() {
    for isa in Isa::all_available() {
        for op in [Binary::Min, Binary::Max] {
            let mut out = [0f32; 3];
            binary_block(isa, op, &[f32::NAN, 1.0, f32::NAN], &[1.0, f32::NAN, f32::NAN], &mut out);
            assert!(out.iter().all(|x| x.is_nan()));
        }
    }
}

#[test]
fn nothing_of_nothing() {
    let cpu = Cpu::new(2);
    binary::<f32>(&cpu, Binary::Add, &[], &[], &mut []);
    binary_row::<f32>(&cpu, Binary::Add, &[], &[1.0], &mut []);
    binary_row::<f32>(&cpu, Binary::Add, &[], &[], &mut []);
    binary_column::<f32>(&cpu, Binary::Add, &[], &[], &mut []);
}

proptest! {
    #[test]
    fn any_broadcast(sizes in prop::collection::vec(1usize..9, 1..6), repeat_a in 0u32..32, repeat_b in 0u32..32) {
        let n = sizes.len();
        let strides = |repeated: u32| {
            let mut step = 1;
            let mut strides: Vec<usize> = (0..n).rev().map(|d| {
                if repeated >> d & 1 == 1 { 0 } else { let s = step; step *= sizes[d]; s }
            }).collect();
            strides.reverse();
            (strides, step)
        };
        let ((a_strides, a_len), (b_strides, b_len)) = (strides(repeat_a), strides(repeat_b));
        let (a, b) = (numbers::<f32>(a_len, 5), numbers::<f32>(b_len, 6));
        let len: usize = sizes.iter().product();
        let place = |strides: &[usize], mut at: usize| {
            (0..n).rev().fold(0, |offset, d| { let i = at % sizes[d]; at /= sizes[d]; offset + i * strides[d] })
        };
        for workers in [1, 3] {
            let mut out = vec![0.0; len];
            strided_binary(&Cpu::new(workers), Binary::Sub, &sizes, &a, &a_strides, &b, &b_strides, &mut out);
            for i in 0..len {
                prop_assert_eq!(out[i], a[place(&a_strides, i)] - b[place(&b_strides, i)]);
            }
        }
    }
}
