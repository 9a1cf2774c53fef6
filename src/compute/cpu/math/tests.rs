use super::*;
use crate::compute::Isa;
use crate::compute::cpu::map::{Map, map_block};

/// Numbers from all over the range: every `stride`th bit pattern, small ones, and the special ones.
fn singles() -> Vec<f32> {
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(8191).map(f32::from_bits).collect();
    x.extend((-40_000..40_000).map(|i| i as f32 * 0.00317));
    x.extend([0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, f32::MIN_POSITIVE]);
    x
}

fn doubles() -> Vec<f64> {
    let mut x: Vec<f64> = (0..=u64::MAX).step_by((1 << 46) - 12_345).map(f64::from_bits).collect();
    x.extend((-40_000..40_000).map(|i| f64::from(i) * 0.00317));
    x.extend([0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX, f64::MIN, f64::MIN_POSITIVE]);
    x
}

/// The distance between neighbouring numbers of the type at `y`.
fn ulp<T: Float>(y: f64) -> f64 {
    let bits = f64::from(T::FRACTION_BITS);
    let smallest = if size_of::<T>() == 4 { 2f64.powi(-126) } else { f64::MIN_POSITIVE };
    (y.abs().max(smallest).log2().floor() - bits).exp2()
}

struct Case<'a> {
    name: &'a str,
    /// Distances between neighbouring numbers.
    ulps: f64,
    /// Allowed in any case.
    absolute: f64,
}

/// Compares on every instruction set; reports the largest error.
fn compare<T: Float>(x: &[T], f: impl Map<T, 1, 1>, exact: impl Fn(f64) -> f64, case: Case<'_>) {
    let want: Vec<f64> = x.iter().map(|x| exact(x.to_f64())).collect();
    for isa in Isa::all_available() {
        let mut y = vec![T::ZERO; x.len()];
        map_block(isa, f, [x], [&mut y]);
        let mut worst = (0.0, 0.0, 0.0);
        for ((x, y), want) in x.iter().zip(&y).zip(&want) {
            let (y, rounded) = (y.to_f64(), T::of(*want).to_f64());
            if rounded.is_nan() || y.is_nan() {
                assert!(rounded.is_nan() && y.is_nan(), "{}({x:?}) = {y:?}, not {rounded:?}, on {isa}", case.name);
                continue;
            }
            if y == rounded {
                continue;
            }
            // What rounds to infinity may be the largest number, and the other way round.
            let error = if rounded.is_infinite() || y.is_infinite() {
                if y.abs().min(rounded.abs()) >= 0.999_999 * T::of(f64::MAX).to_f64().abs().min(3.402e38) {
                    0.0
                } else {
                    f64::INFINITY
                }
            } else {
                (y - want).abs()
            };
            if error <= case.absolute {
                continue;
            }
            let ulps = error / ulp::<T>(*want);
            if ulps > worst.0 {
                worst = (ulps, x.to_f64(), y);
            }
        }
        println!("{} {isa} {:?}: {:.3} ulp at {:e}", case.name, T::ONE, worst.0, worst.1);
        let (ulps, at, got) = worst;
        assert!(ulps <= case.ulps, "{}({at:e}) = {got:e} on {isa}: {ulps} ulp", case.name);
    }
}

macro_rules! accuracy {
    ($($test:ident: $f:expr, $exact:expr, singles ($su:expr, $sa:expr), doubles ($du:expr, $da:expr);)*) => { $(
        #[test]
        fn $test() {
            #[derive(Clone, Copy)]
            struct F;
            impl<T: Float> Map<T, 1, 1> for F {
                #[inline(always)]
                fn lanes<V: Vector<Elem = T>>(self, [x]: [V; 1]) -> [V; 1] {
                    [$f(x)]
                }
            }
            let name = stringify!($test);
            compare::<f32>(&singles(), F, $exact, Case { name, ulps: $su, absolute: $sa });
            compare::<f64>(&doubles(), F, $exact, Case { name, ulps: $du, absolute: $da });
        }
    )* };
}

const C: f64 = 0.797_884_560_802_865_4;

fn gelu_tanh_exact(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { x / (1.0 + (-2.0 * C * (x + 0.044_715 * x * x * x)).exp()) }
}

fn gelu_tanh_slope_exact(x: f64) -> f64 {
    if x.abs() > 30.0 {
        return f64::from(x > 0.0);
    }
    let z = 2.0 * C * (x + 0.044_715 * x * x * x);
    logistic(z) + x * logistic(z) * logistic(-z) * 2.0 * C * (1.0 + 3.0 * 0.044_715 * x * x)
}

fn gelu_erf_exact(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2) }
}

fn gelu_erf_slope_exact(x: f64) -> f64 {
    if x.abs() > 40.0 {
        return f64::from(x > 0.0);
    }
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2) + x * (-0.5 * x * x).exp() * 0.398_942_280_401_432_7
}

fn logistic(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

fn softplus_exact(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(0.0) + (-x.abs()).exp().ln_1p() }
}

fn silu_exact(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { x * logistic(x) }
}

fn silu_slope_exact(x: f64) -> f64 {
    if x.abs() > 760.0 {
        return f64::from(x > 0.0);
    }
    let s = logistic(x);
    s * (1.0 + x * logistic(-x))
}

accuracy! {
    exponential: exp, f64::exp, singles (1.5, 0.0), doubles (2.5, 0.0);
    exponential_minus_one: exp_m1, f64::exp_m1, singles (3.0, 0.0), doubles (4.0, 0.0);
    logarithm: ln, |x| if x < 0.0 { f64::NAN } else { x.ln() }, singles (2.0, 0.0), doubles (3.0, 0.0);
    logarithm_of_one_plus: ln_1p, libm::log1p, singles (3.0, 0.0), doubles (4.0, 0.0);
    sine: sin, libm::sin, singles (0.0, 1.2e-7), doubles (0.0, 3e-16);
    cosine: cos, libm::cos, singles (0.0, 1.2e-7), doubles (0.0, 3e-16);
    hyperbolic_tangent: tanh, f64::tanh, singles (4.0, 0.0), doubles (5.0, 0.0);
    logistic_function: sigmoid, logistic, singles (3.0, 1.2e-38), doubles (4.0, 2.3e-308);
    error_function: erf, libm::erf, singles (3.0, 0.0), doubles (1.0, 0.0);
    error_slope: erf_slope, |x| (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI, singles (3.0, 2e-7), doubles (4.0, 4e-16);
    silu_value: silu, silu_exact, singles (4.0, 1.2e-7), doubles (5.0, 2.3e-16);
    silu_derivative: silu_slope, silu_slope_exact, singles (0.0, 5e-7), doubles (0.0, 1e-15);
    softplus_value: softplus, softplus_exact, singles (4.0, 0.0), doubles (5.0, 0.0);
    gelu_tanh_value: gelu_tanh, gelu_tanh_exact, singles (1.1, 6e-7), doubles (1.0, 1e-15);
    gelu_tanh_derivative: gelu_tanh_slope, gelu_tanh_slope_exact, singles (0.0, 1e-6), doubles (0.0, 2e-15);
    gelu_erf_value: gelu_erf, gelu_erf_exact, singles (1.0, 5e-7), doubles (1.0, 1e-15);
    gelu_erf_derivative: gelu_erf_slope, gelu_erf_slope_exact, singles (0.0, 1e-6), doubles (0.0, 2e-15);
}

#[test]
fn powers_with_special_values() {
    #[derive(Clone, Copy)]
    struct F;
    impl<T: Float> Map<T, 2, 1> for F {
        #[inline(always)]
        fn lanes<V: Vector<Elem = T>>(self, [a, b]: [V; 2]) -> [V; 1] {
            [pow(a, b)]
        }
    }
    let inf = f64::INFINITY;
    let bases =
        [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.3, -0.3, inf, -inf, f64::NAN, 1e-40, 3.3e38, 1.000_001, 17.25, -17.25];
    let exponents = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        3.0,
        -3.0,
        0.5,
        -0.5,
        inf,
        -inf,
        f64::NAN,
        1e9,
        16_777_215.0,
        33_554_432.0,
        2.7,
        -7.1,
        1e-30,
    ];
    let pairs: Vec<(f32, f32)> = bases.iter().flat_map(|a| exponents.iter().map(|b| (*a as f32, *b as f32))).collect();
    let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
    for isa in Isa::all_available() {
        let mut y = vec![0f32; a.len()];
        map_block(isa, F, [&a, &b], [&mut y]);
        let (ad, bd): (Vec<f64>, Vec<f64>) =
            (a.iter().map(|x| f64::from(*x)).collect(), b.iter().map(|x| f64::from(*x)).collect());
        let mut z = vec![0f64; a.len()];
        map_block(isa, F, [&ad, &bd], [&mut z]);
        for i in 0..a.len() {
            let want = libm::pow(ad[i], bd[i]);
            assert!(z[i] == want || (z[i].is_nan() && want.is_nan()), "pow({}, {})", ad[i], bd[i]);
            let close = (f64::from(y[i]) - want).abs() <= ulp::<f32>(want);
            let same = f64::from(y[i]) == f64::from(want as f32) && y[i].is_sign_negative() == want.is_sign_negative();
            assert!(
                same || close || (y[i].is_nan() && want.is_nan()),
                "{}^{} = {}, not {want}, on {isa}",
                a[i],
                b[i],
                y[i]
            );
        }
    }
}
