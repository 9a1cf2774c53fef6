//! Against plain loops in double precision, on every instruction set, and for several crews.

use super::*;
use crate::compute::Isa;
use crate::compute::cpu::Cpu;
use proptest::prelude::*;

/// Whole numbers, so that there are equal maxima and sums are exact.
fn numbers(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| (((i * 7919 + seed * 104_729) >> 3) % 23) as f32 - 11.0).collect()
}

/// Input elements under the window at (`oy`, `ox`), row by row.
fn window(shape: &PoolShape, n: usize, oy: usize, ox: usize, c: usize) -> Vec<usize> {
    let options = shape.options();
    let mut at = Vec::new();
    for ky in 0..options.kernel[0] {
        for kx in 0..options.kernel[1] {
            let y = (oy * options.stride[0] + ky * options.dilation[0]).wrapping_sub(options.padding[0]);
            let x = (ox * options.stride[1] + kx * options.dilation[1]).wrapping_sub(options.padding[1]);
            if y < shape.h() && x < shape.w() {
                at.push(((n * shape.h() + y) * shape.w() + x) * shape.c() + c);
            }
        }
    }
    at
}

/// Maxima, averages and their gradients.
fn reference(shape: &PoolShape, x: &[f32], dy: &[f32]) -> [Vec<f64>; 4] {
    let (mut max, mut avg) = (vec![0.0; dy.len()], vec![0.0; dy.len()]);
    let (mut dmax, mut davg) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let mut at = 0;
    for n in 0..shape.n() {
        for oy in 0..shape.out_h() {
            for ox in 0..shape.out_w() {
                for c in 0..shape.c() {
                    let window = window(shape, n, oy, ox, c);
                    let best = window.iter().copied().reduce(|a, b| if x[b] > x[a] || x[b].is_nan() { b } else { a });
                    let best = best.expect("a tap in the input");
                    let whole = shape.options().kernel[0] * shape.options().kernel[1];
                    let count = if shape.options().count_padding { whole } else { window.len() };
                    max[at] = f64::from(x[best]);
                    avg[at] = window.iter().map(|i| f64::from(x[*i])).sum::<f64>() / count as f64;
                    dmax[best] += f64::from(dy[at]);
                    window.iter().for_each(|i| davg[*i] += f64::from(dy[at]) / count as f64);
                    at += 1;
                }
            }
        }
    }
    [max, avg, dmax, davg]
}

fn all(cpu: &Cpu, shape: &PoolShape, x: &[f32], dy: &[f32]) -> [Vec<f32>; 4] {
    let (mut max, mut avg) = (vec![7.0; dy.len()], vec![7.0; dy.len()]);
    let (mut dmax, mut davg) = (vec![7.0; x.len()], vec![7.0; x.len()]);
    max_pool_forward(cpu, shape, x, &mut max);
    avg_pool_forward(cpu, shape, x, &mut avg);
    max_pool_backward(cpu, shape, x, dy, &mut dmax);
    avg_pool_backward(cpu, shape, dy, &mut davg);
    [max, avg, dmax, davg]
}

fn check(shape: &PoolShape) {
    let (x, dy) = (numbers(1, shape.input_len()), numbers(2, shape.output_len()));
    let want = reference(shape, &x, &dy);
    for isa in Isa::all_available() {
        for workers in [1, 2, 3, 5] {
            let got = all(&Cpu::with_isa(workers, isa), shape, &x, &dy);
            for (which, (got, want)) in got.iter().zip(&want).enumerate() {
                for (i, (got, want)) in got.iter().zip(want).enumerate() {
                    // Sums are exact, but for shares of averages: one rounding for each, and one for each addition.
                    let tolerance = if which % 2 == 0 { 0.0 } else { 1e-6 * (1.0 + 40.0 * want.abs().max(11.0)) };
                    assert!(
                        (f64::from(*got) - want).abs() <= tolerance,
                        "{isa}, {workers} workers, result {which}, element {i}: {got} for {want} in {shape:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn common_windows_agree_with_the_reference() {
    for c in [1, 6, 16, 40] {
        check(&PoolShape::new([3, 28, 28, c], PoolOptions::square(2)).expect("valid"));
        let three = PoolOptions { stride: [2; 2], padding: [1; 2], count_padding: false, ..PoolOptions::square(3) };
        check(&PoolShape::new([2, 15, 14, c], three).expect("valid"));
    }
    // Many channels and one image: channels are shared out.
    let three = PoolOptions { stride: [1; 2], padding: [1; 2], ..PoolOptions::square(3) };
    check(&PoolShape::new([1, 12, 12, 200], three).expect("valid"));
    // One dimension.
    let line = PoolOptions { kernel: [1, 3], stride: [1, 2], padding: [0, 1], ..PoolOptions::square(1) };
    check(&PoolShape::new([4, 1, 31, 5], line).expect("valid"));
}

#[test]
fn workers_change_no_bit_of_averages() {
    let shape =
        PoolShape::new([2, 30, 30, 70], PoolOptions { stride: [1; 2], ..PoolOptions::square(3) }).expect("valid");
    let x: Vec<f32> = (0..shape.input_len()).map(|i| (i as f32).sin()).collect();
    let dy: Vec<f32> = (0..shape.output_len()).map(|i| (i as f32).cos()).collect();
    for isa in Isa::all_available() {
        let one = all(&Cpu::with_isa(1, isa), &shape, &x, &dy);
        for workers in [2, 3, 5] {
            assert_eq!(one, all(&Cpu::with_isa(workers, isa), &shape, &x, &dy));
        }
    }
}

#[test]
fn maxima_after_relu_are_those_of_rectified_inputs() {
    for options in [PoolOptions::square(2), PoolOptions { stride: [1, 2], padding: [1; 2], ..PoolOptions::square(3) }] {
        let shape = PoolShape::new([2, 7, 8, 21], options).expect("valid");
        let (x, dy) = (numbers(1, shape.input_len()), numbers(2, shape.output_len()));
        let rectified: Vec<f32> = x.iter().map(|x| x.max(0.0)).collect();
        for isa in Isa::all_available() {
            let cpu = Cpu::with_isa(2, isa);
            let (mut y, mut plain) = (vec![7.0; dy.len()], vec![7.0; dy.len()]);
            let (mut dx, mut dplain) = (vec![7.0; x.len()], vec![7.0; x.len()]);
            max_pool_relu_forward(&cpu, &shape, &x, &mut y);
            max_pool_forward(&cpu, &shape, &rectified, &mut plain);
            assert_eq!(y, plain);
            max_pool_relu_backward(&cpu, &shape, &x, &dy, &mut dx);
            max_pool_backward(&cpu, &shape, &rectified, &dy, &mut dplain);
            // The gradient of ReLU at 0 is 0.
            dplain.iter_mut().zip(&x).filter(|(_, x)| **x <= 0.0).for_each(|(dx, _)| *dx = 0.0);
            if shape.windows_are_apart() {
                assert_eq!(dx, dplain);
            } else {
                // A window without a positive element adds nothing here, and at a zero there.
                for (i, (a, b)) in dx.iter().zip(&dplain).enumerate() {
                    assert!((a - b).abs() < 1e-5, "{i}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn not_a_number_is_the_maximum() {
    let shape = PoolShape::new([1, 2, 4, 1], PoolOptions::square(2)).expect("valid");
    let nan = f32::NAN;
    for isa in Isa::all_available() {
        let cpu = Cpu::with_isa(1, isa);
        let x = [1.0, nan, f32::NEG_INFINITY, f32::NEG_INFINITY, 9.0, 2.0, f32::NEG_INFINITY, f32::NEG_INFINITY];
        let (mut y, mut dx) = ([0.0; 2], [7.0; 8]);
        max_pool_forward(&cpu, &shape, &x, &mut y);
        assert!(y[0].is_nan() && y[1] == f32::NEG_INFINITY, "{isa} {y:?}");
        max_pool_backward(&cpu, &shape, &x, &[3.0, 5.0], &mut dx);
        assert_eq!(dx, [0.0, 3.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0], "{isa}");
    }
}

#[test]
fn the_global_average_is_that_of_all_pixels() {
    for (n, pixels, c) in [(1, 1, 1), (3, 49, 20), (2, 1000, 33), (5, 130, 6)] {
        let x = numbers(3, n * pixels * c);
        let dy = numbers(4, n * c);
        for isa in Isa::all_available() {
            for workers in [1, 2, 3, 5] {
                let cpu = Cpu::with_isa(workers, isa);
                let (mut y, mut dx) = (vec![0.0; n * c], vec![0.0; x.len()]);
                global_avg_forward(&cpu, pixels, c, &x, &mut y);
                global_avg_backward(&cpu, pixels, c, &dy, &mut dx);
                for i in 0..n * c {
                    let sum: f32 = (0..pixels).map(|p| x[(i / c * pixels + p) * c + i % c]).sum();
                    assert_eq!(y[i], sum / pixels as f32, "{isa}");
                }
                for (i, dx) in dx.iter().enumerate() {
                    assert_eq!(*dx, dy[i / (pixels * c) * c + i % c] / pixels as f32);
                }
            }
        }
    }
}

#[test]
fn every_fault_is_told() {
    let options = PoolOptions { stride: [0, 1], padding: [0, 2], ..PoolOptions::square(3) };
    let message = PoolShape::new([1, 4, 4, 3], options).expect_err("faults").to_string();
    assert_eq!(
        message,
        "pool.stride.height: 0 is not allowed; it has to be at least 1\n\
         pool.padding.width: 2 is more than half of the window, which spans 3 pixels; at most 1 is allowed"
    );
    assert!(PoolShape::new([1, 2, 2, 3], PoolOptions::square(3)).is_err());
    // Taps at -1 and 1 of a single pixel.
    let options =
        PoolOptions { kernel: [1, 2], stride: [1; 2], padding: [0, 1], dilation: [1, 2], ..PoolOptions::square(1) };
    let message = PoolShape::new([1, 1, 1, 3], options).expect_err("faults").to_string();
    assert!(message.starts_with("pool.dilation.width: with 2 a window has no tap"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn any_window_agrees_with_the_reference(
        n in 1usize..4,
        size in (1usize..14, 1usize..14),
        c in 1usize..40,
        kernel in (1usize..5, 1usize..5),
        stride in (1usize..5, 1usize..5),
        padding in (0usize..3, 0usize..3),
        dilation in (1usize..3, 1usize..3),
        count_padding in any::<bool>(),
    ) {
        let options = PoolOptions {
            kernel: [kernel.0, kernel.1],
            stride: [stride.0, stride.1],
            padding: [padding.0, padding.1],
            dilation: [dilation.0, dilation.1],
            count_padding,
        };
        if let Ok(shape) = PoolShape::new([n, size.0, size.1, c], options) {
            check(&shape);
        }
    }
}
