//! Products of 16-bit numbers against the three loops in `f64`.
#![allow(clippy::needless_range_loop)]

use half::{bf16, f16};
use proptest::prelude::*;

use super::super::super::Isa;
use super::super::Cpu;
use super::tests::{Layout, input_layout, numbers, output_layout, size};
use super::*;

/// A 16-bit type for tests.
trait Tested: Half + HalfOutput<Self> + std::fmt::Debug + PartialEq {
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    /// Half a unit in the last place of 1.
    const ROUNDING: f64;
}
impl Tested for bf16 {
    fn of(x: f64) -> Self {
        Self::from_f64(x)
    }
    fn wide(self) -> f64 {
        self.to_f64()
    }
    const ROUNDING: f64 = 1.0 / 256.0;
}
impl Tested for f16 {
    fn of(x: f64) -> Self {
        Self::from_f64(x)
    }
    fn wide(self) -> f64 {
        self.to_f64()
    }
    const ROUNDING: f64 = 1.0 / 2048.0;
}

/// Runs a product into `f32` and into `H` and compares both with the definition.
fn check<H: Tested>(isa: Isa, (m, n, k): (usize, usize, usize), [a, b, c]: [Layout; 3], add: bool, keep: bool) {
    let a_data = numbers(a.len(m, k), 1, H::of);
    let b_data = numbers(b.len(k, n), 2, H::of);
    let bias = numbers(n, 3, |x| x as f32);
    let before = numbers(c.len(m, n), 4, H::of);
    let store = if add { Store::Add } else { Store::Set };
    let wide = |data: &[H]| data.iter().map(|x| x.wide()).collect::<Vec<_>>();
    let (a_wide, b_wide, mut want) = (wide(&a_data), wide(&b_data), wide(&before));
    matmul_naive(store, a.view(&a_wide, m, k), b.view(&b_wide, k, n), c.view_mut(&mut want, m, n));
    let mut kept_want = want.clone();
    for i in 0..m {
        for j in 0..n {
            let x = *c.view_mut(&mut want, m, n).at_mut(i, j) + f64::from(bias[j]);
            *c.view_mut(&mut kept_want, m, n).at_mut(i, j) = x;
            *c.view_mut(&mut want, m, n).at_mut(i, j) = x.max(0.0);
        }
    }
    let results: Vec<_> = [1, 3]
        .map(|workers| {
            let cpu = Cpu::with_isa(workers, isa);
            let mut narrow = before.clone();
            let mut kept = before.clone();
            let keep_in = keep.then(|| c.view_mut(&mut kept, m, n));
            let epilogue = Epilogue { bias: Bias::PerColumn(&bias), activation: Activation::Relu, keep: keep_in };
            gemm_half(
                &cpu,
                store,
                a.view(&a_data, m, k),
                b.view(&b_data, k, n),
                c.view_mut(&mut narrow, m, n),
                epilogue,
            );
            let mut single: Vec<f32> = before.iter().map(|x| x.wide() as f32).collect();
            let epilogue = Epilogue::bias(&bias, Activation::Relu);
            gemm_half(
                &cpu,
                store,
                a.view(&a_data, m, k),
                b.view(&b_data, k, n),
                c.view_mut(&mut single, m, n),
                epilogue,
            );
            (narrow, kept, single)
        })
        .into();
    assert!(results[0].0 == results[1].0 && results[0].1 == results[1].1);
    assert_eq!(super::tests::bits(&results[0].2), super::tests::bits(&results[1].2));
    let sums = (k as f64 + 2.0) * (k as f64 + 3.0) * f64::from(f32::EPSILON);
    let (narrow, kept, single) = &results[0];
    for (i, want) in want.iter().enumerate() {
        let error = (narrow[i].wide() - want).abs();
        assert!(error <= sums + want.abs() * H::ROUNDING, "{isa}: {:?} is not {want} at {i}", narrow[i]);
        let error = (f64::from(single[i]) - want).abs();
        assert!(error <= sums, "{isa}: {} is not {want} at {i}", single[i]);
        if keep {
            let error = (kept[i].wide() - kept_want[i]).abs();
            assert!(error <= sums + kept_want[i].abs() * H::ROUNDING, "{isa} kept: {:?} {}", kept[i], kept_want[i]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn products_of_16_bits_are_those_of_the_definition(
        sizes in (size(), size(), size()),
        layouts in (input_layout(), input_layout(), output_layout()),
        (add, keep) in (any::<bool>(), any::<bool>()),
    ) {
        let layouts = [layouts.0, layouts.1, layouts.2];
        for isa in Isa::all_available() {
            check::<bf16>(isa, sizes, layouts, add, keep);
            check::<f16>(isa, sizes, layouts, add, keep);
        }
    }
}

/// More than one window of C, and an odd k.
#[test]
fn large_products_of_16_bits() {
    let plain = Layout { by_cols: false, gap: 0, spread: 1 };
    let turned = Layout { by_cols: true, gap: 0, spread: 1 };
    for isa in Isa::all_available() {
        check::<bf16>(isa, (300, 700, 65), [plain, plain, plain], true, false);
        check::<bf16>(isa, (300, 700, 64), [plain, turned, plain], false, false);
        check::<f16>(isa, (150, 600, 33), [turned, turned, plain], false, true);
    }
}

#[test]
fn rounding_to_bf16_is_to_nearest_even_and_keeps_nan() {
    let cases =
        [(1.0f32, 1.0f32), (1.003_906_3, 1.0), (1.011_718_8, 1.015_625), (f32::MAX, f32::INFINITY), (-0.0, -0.0)];
    for isa in Isa::all_available() {
        let cpu = Cpu::with_isa(1, isa);
        let round = |x: f32| {
            let mut c = [bf16::ZERO];
            let epilogue = Epilogue { bias: Bias::PerColumn(&[x]), activation: Activation::Identity, keep: None };
            let none = Mat::row_major(&[] as &[bf16], 1, 0);
            gemm_half(&cpu, Store::Set, none, Mat::row_major(&[], 0, 1), MatMut::row_major(&mut c, 1, 1), epilogue);
            c[0]
        };
        for (x, want) in cases {
            assert_eq!(round(x).to_f32(), want, "{isa} {x}");
        }
        assert!(round(f32::NAN).is_nan());
        assert!(round(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
