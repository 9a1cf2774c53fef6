//! Products of 8-bit integers against exact sums.
#![allow(clippy::needless_range_loop)]

use proptest::prelude::*;

use super::super::super::Isa;
use super::super::Cpu;
use super::tests::{Layout, input_layout, numbers, size};
use super::*;

fn exact<A: Byte + Into<i16>>(a: Mat<'_, A>, b: Mat<'_, i8>, i: usize, j: usize) -> i32 {
    (0..a.cols()).map(|k| i32::from(a.at(i, k).into()) * i32::from(b.at(k, j))).sum()
}

fn check<A: Byte + Into<i16> + std::fmt::Debug>(
    isa: Isa,
    (m, n, k): (usize, usize, usize),
    a: Layout,
    b: Layout,
    make: impl Fn(f64) -> A,
) {
    let a_data = numbers(a.len(m, k), 1, make);
    let b_data = numbers(b.len(k, n), 2, |x| (x * 128.0).floor() as i8);
    let offsets: Vec<i32> = numbers(n, 3, |x| (x * 1e5) as i32);
    let col_scales = numbers(n, 4, |x| x as f32 * 1e-3);
    let row_scales = numbers(m, 5, |x| x as f32);
    let bias = numbers(n, 6, |x| x as f32);
    let (a, b) = (a.view(&a_data, m, k), b.view(&b_data, k, n));
    let weights = PackedI8::new(isa, b);
    for workers in [1, 3] {
        let cpu = Cpu::with_isa(workers, isa);
        for (which, right) in [("plain", Right8::Plain(b)), ("packed", Right8::Packed(&weights))] {
            let (mut set, mut add) = (vec![7; m * n], vec![7; m * n]);
            gemm_i8(&cpu, Store::Set, a, right, MatMut::row_major(&mut set, m, n));
            gemm_i8(&cpu, Store::Add, a, right, MatMut::row_major(&mut add, m, n));
            let mut out = vec![0.0; m * n];
            let full = Dequant {
                offsets: Some(&offsets),
                col_scales: &col_scales,
                row_scales: Some(&row_scales),
                bias: Some(&bias),
                activation: Activation::Relu,
            };
            let mut plain = vec![0.0; m * n];
            let bare = Dequant {
                offsets: None,
                col_scales: &[0.5],
                row_scales: None,
                bias: None,
                activation: Activation::Identity,
            };
            if n > 0 {
                gemm_i8_dequant(&cpu, a, right, MatMut::row_major(&mut out, m, n), full);
            }
            gemm_i8_dequant(&cpu, a, right, MatMut::row_major(&mut plain, m, n), bare);
            for i in 0..m {
                for j in 0..n {
                    let at = i * n + j;
                    let want = exact(a, b, i, j);
                    assert_eq!((set[at], add[at]), (want, want + 7), "{isa} {which} ({i}, {j})");
                    let real = (want + offsets[j]) as f32 * col_scales[j] * row_scales[i] + bias[j];
                    assert_eq!(out[at], real.max(0.0), "{isa} {which} ({i}, {j})");
                    assert_eq!(plain[at], want as f32 * 0.5, "{isa} {which} ({i}, {j})");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn products_of_bytes_are_exact(sizes in (size(), size(), size()), a in input_layout(), b in input_layout()) {
        for isa in Isa::all_available() {
            check::<i8>(isa, sizes, a, b, |x| (x * 128.0).floor() as i8);
            check::<u8>(isa, sizes, a, b, |x| (x * 127.9 + 128.0).floor() as u8);
        }
    }
}

/// More than one window, and a k of several groups and a rest.
#[test]
fn large_products_of_bytes() {
    let plain = Layout { by_cols: false, gap: 0, spread: 1 };
    let turned = Layout { by_cols: true, gap: 0, spread: 1 };
    for isa in Isa::all_available() {
        check::<i8>(isa, (200, 600, 130), plain, plain, |x| (x * 128.0).floor() as i8);
        check::<u8>(isa, (40, 50, 5001), plain, turned, |x| (x * 127.9 + 128.0).floor() as u8);
    }
}

/// The largest products there are: no step saturates.
#[test]
fn extreme_bytes_do_not_saturate() {
    for isa in Isa::all_available() {
        let cpu = Cpu::with_isa(1, isa);
        for (a, b) in [(-128i8, -128i8), (-128, 127), (127, -128), (127, 127)] {
            let (a_data, b_data) = (vec![a; 100], vec![b; 100 * 20]);
            let mut c = vec![0; 20];
            gemm_i8(
                &cpu,
                Store::Set,
                Mat::row_major(&a_data, 1, 100),
                Mat::row_major(&b_data, 100, 20),
                MatMut::row_major(&mut c, 1, 20),
            );
            assert!(c.iter().all(|c| *c == i32::from(a) * i32::from(b) * 100), "{isa} {a} {b} {c:?}");
        }
        let (a_data, b_data) = ([255u8; 100], vec![-128i8; 100 * 20]);
        let mut c = vec![0; 20];
        gemm_i8(
            &cpu,
            Store::Set,
            Mat::row_major(&a_data, 1, 100),
            Mat::row_major(&b_data, 100, 20),
            MatMut::row_major(&mut c, 1, 20),
        );
        assert!(c.iter().all(|c| *c == -255 * 128 * 100), "{isa} {c:?}");
    }
}
