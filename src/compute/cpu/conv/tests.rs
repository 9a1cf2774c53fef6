//! Every pass against the reference in double precision, on every instruction set and for several crews.

use super::*;
use crate::compute::Isa;
use crate::compute::cpu::lanes::Float;
use proptest::prelude::*;

/// Numbers in -1..1 that depend on the seed and the place only.
fn numbers<T: Float>(seed: u64, len: usize) -> Vec<T> {
    let word = |i: usize| {
        let mut z = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.wrapping_mul(0xD1B5_4A32_D192_ED03);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) >> 40
    };
    (0..len).map(|i| T::of(word(i) as f64 / (1u64 << 23) as f64 - 1.0)).collect()
}

/// How much further off Winograd's algorithm may be.
const WINOGRAD_FACTOR: f64 = 4.0;

fn wide<T: Float>(from: &[T]) -> Vec<f64> {
    from.iter().map(|x| x.to_f64()).collect()
}

/// All results of a shape: output (with bias and ReLU), gradients of input, weights, bias.
fn all<T: Float + Real>(cpu: &Cpu, shape: &ConvShape, x: &[T], w: &[T], b: &[T], dy: &[T]) -> [Vec<T>; 4] {
    let mut y = vec![T::of(7.0); shape.output_len()];
    let mut dx = vec![T::of(7.0); shape.input_len()];
    let mut dw = vec![T::of(7.0); shape.weight_len()];
    let mut db = vec![T::of(7.0); shape.c_out()];
    conv_forward(cpu, shape, x, w, Some(b), Activation::Relu, &mut y);
    conv_input_gradient(cpu, shape, dy, w, &mut dx);
    conv_weight_gradient(cpu, shape, x, dy, &mut dw, Some(&mut db));
    [y, dx, dw, db]
}

fn same_bits<T: Float>(a: &[Vec<T>; 4], b: &[Vec<T>; 4]) {
    for (name, (a, b)) in ["y", "dx", "dw", "db"].iter().zip(a.iter().zip(b)) {
        let bits = |x: &T| x.to_f64().to_bits();
        let differs = (0..a.len()).find(|&i| bits(&a[i]) != bits(&b[i]));
        assert_eq!(differs, None, "{name} differs at this element");
    }
}

/// `shape` computed by another algorithm, if that can do it.
fn by(shape: &ConvShape, algorithm: ConvAlgorithm) -> Option<ConvShape> {
    let input = [shape.n(), shape.h(), shape.w(), shape.c_in()];
    let options = ConvOptions { algorithm, ..*shape.options() };
    ConvShape::new(input, [shape.c_out(), shape.kh(), shape.kw()], options).ok()
}

/// Compares all passes with the reference, by every algorithm, on every instruction set; and crews of 2, 3 and 5 with one
/// worker.
fn check<T: Float + Real>(shape: &ConvShape) {
    let x: Vec<T> = numbers(1, shape.input_len());
    let w: Vec<T> = numbers(2, shape.weight_len());
    let b: Vec<T> = numbers(3, shape.c_out());
    let dy: Vec<T> = numbers(4, shape.output_len());
    let mut y = vec![0.0; shape.output_len()];
    conv_naive(shape, &wide(&x), &wide(&w), Some(&wide(&b)), &mut y);
    y.iter_mut().for_each(|y| *y = y.max(0.0));
    let (dx, dw, db) = conv_gradients_naive(shape, &wide(&x), &wide(&w), &wide(&dy));
    let ulp = if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let per_output = (shape.kh() * shape.kw() * shape.group_in() + 1) as f64;
    let per_input = (shape.kh() * shape.kw() * shape.group_out()) as f64;
    let per_weight = (shape.n() * shape.out_h() * shape.out_w()) as f64;
    let shapes = [(ConvAlgorithm::Direct, 1.0), (ConvAlgorithm::Winograd, WINOGRAD_FACTOR)]
        .map(|(algorithm, factor)| by(shape, algorithm).map(|shape| (shape, factor)));
    for (shape, factor) in shapes.iter().flatten() {
        for isa in Isa::all_available() {
            let one = all(&Cpu::with_isa(1, isa), shape, &x, &w, &b, &dy);
            for ((name, products), (got, want)) in
                [("y", per_output), ("dx", per_input), ("dw", per_weight), ("db", per_weight)]
                    .into_iter()
                    .zip(one.iter().zip([&y, &dx, &dw, &db]))
            {
                // No product is above 1, and errors of roundings add up like the steps of a random walk.
                let tolerance = factor * ulp * products.sqrt() * (1.0 + products.sqrt());
                for (i, (got, want)) in got.iter().zip(want).enumerate() {
                    let error = (got.to_f64() - want).abs();
                    assert!(error <= tolerance, "{isa} {name}[{i}]: {got:?} for {want} in {shape:?}");
                }
            }
            for workers in [2, 3, 5] {
                same_bits(&one, &all(&Cpu::with_isa(workers, isa), shape, &x, &w, &b, &dy));
            }
        }
    }
}

fn shape(input: [usize; 4], kernel: [usize; 3], stride: usize, padding: usize) -> ConvShape {
    let options = ConvOptions { stride: [stride; 2], padding: [padding; 2], ..Default::default() };
    ConvShape::new(input, kernel, options).expect("valid")
}

#[test]
fn common_layers_agree_with_the_reference() {
    check::<f32>(&shape([2, 9, 11, 3], [32, 3, 3], 1, 1));
    check::<f32>(&shape([1, 14, 14, 6], [16, 5, 5], 1, 0));
    check::<f32>(&shape([3, 13, 13, 1], [6, 5, 5], 1, 2));
    check::<f32>(&shape([2, 8, 8, 40], [48, 3, 3], 1, 1));
    check::<f32>(&shape([1, 9, 9, 33], [65, 3, 3], 2, 1));
    check::<f32>(&shape([2, 7, 7, 34], [20, 1, 1], 1, 0));
    check::<f32>(&shape([3, 21, 19, 17], [33, 1, 1], 1, 0));
    check::<f32>(&shape([1, 8, 8, 5], [7, 1, 1], 2, 0));
    check::<f64>(&shape([1, 7, 9, 19], [18, 3, 3], 1, 1));
}

#[test]
fn one_dimension_is_a_height_of_one() {
    let options = ConvOptions { stride: [1, 2], padding: [0, 3], dilation: [1, 2], ..Default::default() };
    check::<f32>(&ConvShape::new([3, 1, 40, 5], [9, 1, 4], options).expect("valid"));
}

#[test]
fn an_empty_batch_gives_zero_gradients() {
    let shape = shape([0, 4, 4, 2], [3, 3, 3], 1, 1);
    let [y, dx, dw, db] = all::<f32>(&Cpu::new(2), &shape, &[], &[1.0; 54], &[1.0; 3], &[]);
    assert!(y.is_empty() && dx.is_empty());
    assert!(dw.iter().chain(&db).all(|x| *x == 0.0));
}

#[test]
fn not_a_number_passes_the_activation() {
    let shape = shape([1, 3, 3, 1], [2, 1, 1], 1, 0);
    for isa in Isa::all_available() {
        let mut y = [0f32; 18];
        conv_forward(&Cpu::with_isa(1, isa), &shape, &[f32::NAN; 9], &[1.0, -1.0], None, Activation::Relu, &mut y);
        assert!(y.iter().all(|y| y.is_nan()), "{isa}");
    }
}

#[test]
fn winograd_agrees_over_several_blocks() {
    check::<f32>(&shape([3, 26, 22, 64], [48, 3, 3], 1, 1));
    check::<f32>(&shape([1, 9, 13, 33], [65, 3, 3], 1, 0));
    check::<f64>(&shape([2, 12, 10, 17], [9, 3, 3], 1, 1));
}

#[test]
fn the_library_chooses_for_single_precision_only() {
    let large = shape([8, 32, 32, 64], [64, 3, 3], 1, 1);
    assert!(winograd::applies(&large, 4) && !winograd::applies(&large, 8));
    for few in [shape([8, 32, 32, 3], [64, 3, 3], 1, 1), shape([1, 4, 4, 64], [64, 3, 3], 1, 1)] {
        assert!(!winograd::applies(&few, 4), "{few:?}");
    }
    let direct = ConvOptions { algorithm: ConvAlgorithm::Direct, ..*large.options() };
    assert!(!winograd::applies(&ConvShape::new([8, 32, 32, 64], [64, 3, 3], direct).expect("valid"), 4));
    assert!(by(&shape([8, 32, 32, 64], [64, 3, 3], 2, 1), ConvAlgorithm::Winograd).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..Default::default() })]

    #[test]
    fn winograd_agrees_with_the_reference(
        n in 1usize..4,
        size in (1usize..18, 1usize..18),
        channels in (1usize..40, 1usize..40),
        padding in (0usize..5, 0usize..5),
    ) {
        let options = ConvOptions { padding: [padding.0, padding.1], ..Default::default() };
        if let Ok(shape) = ConvShape::new([n, size.0, size.1, channels.0], [channels.1, 3, 3], options) {
            check::<f32>(&shape);
        }
    }

    #[test]
    fn any_shape_agrees_with_the_reference(
        n in 1usize..4,
        size in (1usize..14, 1usize..14),
        channels in (1usize..7, 1usize..9),
        groups in prop_oneof![4 => Just(1usize), 1 => Just(2), 1 => Just(3)],
        kernel in (1usize..5, 1usize..5),
        stride in (1usize..4, 1usize..4),
        padding in (0usize..4, 0usize..4),
        dilation in (1usize..4, 1usize..4),
        many in any::<bool>(),
    ) {
        let scale = if many { 7 } else { 1 };
        let options = ConvOptions {
            stride: [stride.0, stride.1],
            padding: [padding.0, padding.1],
            dilation: [dilation.0, dilation.1],
            groups,
            ..Default::default()
        };
        let input = [n, size.0, size.1, groups * channels.0 * scale];
        if let Ok(shape) = ConvShape::new(input, [groups * channels.1 * scale, kernel.0, kernel.1], options) {
            check::<f32>(&shape);
        }
    }

    #[test]
    fn depthwise_agrees_with_the_reference(
        size in (1usize..20, 1usize..20),
        channels in 1usize..40,
        multiplier in prop_oneof![2 => Just(1usize), 1 => Just(2), 1 => Just(3)],
        kernel in (1usize..6, 1usize..6),
        stride in (1usize..4, 1usize..4),
        padding in (0usize..4, 0usize..4),
        dilation in (1usize..3, 1usize..3),
    ) {
        let options = ConvOptions {
            stride: [stride.0, stride.1],
            padding: [padding.0, padding.1],
            dilation: [dilation.0, dilation.1],
            groups: channels,
            ..Default::default()
        };
        let kernel = [channels * multiplier, kernel.0, kernel.1];
        if let Ok(shape) = ConvShape::new([2, size.0, size.1, channels], kernel, options) {
            check::<f32>(&shape);
        }
    }
}
