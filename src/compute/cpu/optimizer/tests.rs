//! Kernels against the equations in double precision, and bits against the number of workers.

use super::*;
use crate::compute::cpu::Cpu;
use crate::compute::isa::Isa;
use crate::compute::memory::Pool;
use crate::compute::shape::{Layout, Shape};
use crate::compute::{Element, bf16, f16};
use std::sync::Arc;

/// Parameters of all sorts: tiny, odd, long enough for several workers, and wide matrices.
const SIZES: &[(usize, usize)] =
    &[(1, 1), (7, 7), (33, 33), (20_011, 20_011), (70 * 515, 515), (130 * 64, 64), (5 * 100, 5)];

const RULES: &[Rule] = &[
    Rule::Sgd { rate: 0.1, decay: 0.01 },
    Rule::Momentum { rate: 0.1, decay: 0.01, keep: 0.9, take: 0.8, ahead: 0.0, follow: 1.0 },
    Rule::Momentum { rate: 0.1, decay: 0.0, keep: 0.9, take: 1.0, ahead: 1.0, follow: 0.9 },
    adam(0.01, 1.0, false),
    adam(0.0, 0.99, true),
    Rule::Lion { rate: 1e-3, shrink: 0.999, beta1: 0.9, beta2: 0.99 },
    rms(None, false),
    rms(None, true),
    rms(Some(0.9), false),
    rms(Some(0.9), true),
];

const fn adam(decay: f64, shrink: f64, largest: bool) -> Rule {
    Rule::Adam { rate: 0.003, decay, shrink, beta1: 0.9, beta2: 0.999, root: 1.7, epsilon: 1e-8, largest }
}

const fn rms(momentum: Option<f64>, centered: bool) -> Rule {
    Rule::RmsProp { rate: 0.01, decay: 0.02, alpha: 0.99, epsilon: 1e-8, momentum, centered }
}

/// One element of one step, as the equations are written.
fn exact(rule: Rule, p: &mut f64, g: f64, s: &mut [f64; 3]) {
    match rule {
        Rule::Sgd { rate, decay } => *p -= rate * (g + decay * *p),
        Rule::Momentum { rate, decay, keep, take, ahead, follow } => {
            let g = g + decay * *p;
            s[0] = keep * s[0] + take * g;
            *p -= rate * (ahead * g + follow * s[0]);
        }
        Rule::Adam { rate, decay, shrink, beta1, beta2, root, epsilon, largest } => {
            let g = g + decay * *p;
            s[0] += (1.0 - beta1) * (g - s[0]);
            s[1] = beta2 * s[1] + (1.0 - beta2) * g * g;
            s[2] = s[2].max(s[1]);
            let v = if largest { s[2] } else { s[1] };
            *p = shrink * *p - rate * s[0] / (root * v.sqrt() + epsilon);
        }
        Rule::Lion { rate, shrink, beta1, beta2 } => {
            let c = beta1 * s[0] + (1.0 - beta1) * g;
            *p = shrink * *p - if c == 0.0 { 0.0 } else { rate.copysign(c) };
            s[0] = beta2 * s[0] + (1.0 - beta2) * g;
        }
        Rule::RmsProp { rate, decay, alpha, epsilon, momentum, centered } => {
            let g = g + decay * *p;
            s[0] = alpha * s[0] + (1.0 - alpha) * g * g;
            let mut v = s[0];
            if centered {
                s[1] += (1.0 - alpha) * (g - s[1]);
                v -= s[1] * s[1];
            }
            let mut d = g / (v.sqrt() + epsilon);
            if let Some(momentum) = momentum {
                s[2] = momentum * s[2] + d;
                d = s[2];
            }
            *p -= rate * d;
        }
    }
}

/// The columns of `s` in [`exact`] that a rule keeps.
fn kept(rule: Rule) -> Vec<usize> {
    match rule {
        Rule::RmsProp { momentum, centered, .. } => {
            [Some(0), centered.then_some(1), momentum.map(|_| 2)].into_iter().flatten().collect()
        }
        _ => (0..rule.columns()).collect(),
    }
}

fn number(i: usize, salt: u32) -> f64 {
    let word = crate::rng::Key([salt, 3]).words([i as u32, 0, 0, 0])[0];
    f64::from(word) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// Buffers of one parameter.
struct Columns {
    param: Buffer,
    master: Option<Buffer>,
    gradient: Buffer,
    state: Vec<Buffer>,
    row: usize,
}

impl Columns {
    fn new<T: Element>(rule: Rule, len: usize, row: usize) -> Self {
        let pool = Arc::new(Pool::default());
        let buffer = |dtype| Buffer::new(&pool, dtype, len).unwrap();
        let half = matches!(T::DTYPE, DType::Bf16 | DType::F16);
        let value = if half { DType::F32 } else { T::DTYPE };
        let mut own = Self {
            param: buffer(T::DTYPE),
            master: half.then(|| buffer(DType::F32)),
            gradient: buffer(T::DTYPE),
            state: (0..rule.columns()).map(|_| buffer(value)).collect(),
            row,
        };
        for i in 0..len {
            let p = T::of_f64(number(i, 1));
            own.param.as_mut_slice::<T>()[i] = p;
            if let Some(master) = &mut own.master {
                master.as_mut_slice::<f32>()[i] = p.to_f64() as f32;
            }
            own.gradient.as_mut_slice::<T>()[i] = T::of_f64(number(i, 2));
        }
        for column in &mut own.state {
            column.as_mut_bytes().fill(0);
        }
        own
    }

    /// All bytes that a step may change.
    fn bytes(&self) -> Vec<u8> {
        let all = std::iter::once(&self.param).chain(&self.master).chain(&self.state);
        all.flat_map(|buffer| buffer.as_bytes().to_vec()).collect()
    }
}

fn steps<T: Element>(cpu: &Cpu, rule: Rule, scale: f64, bound: f64, count: usize) -> Vec<Columns> {
    let mut all: Vec<_> = SIZES.iter().map(|(len, row)| Columns::new::<T>(rule, *len, *row)).collect();
    for _ in 0..count {
        let layouts: Vec<_> = all.iter().map(|c| Layout::row_major(Shape::new(&[c.param.len()]))).collect();
        let mut updates: Vec<Update<'_>> = all
            .iter_mut()
            .zip(&layouts)
            .map(|(c, layout)| {
                let mut state = c.state.iter_mut();
                Update {
                    rule,
                    param: &mut c.param,
                    master: c.master.as_mut(),
                    gradient: Arg { buffer: &c.gradient, layout },
                    state: std::array::from_fn(|_| state.next()),
                    row: c.row,
                }
            })
            .collect();
        optimize(cpu, &mut updates, scale, bound);
    }
    all
}

fn against_equations<T: Element>(tolerance: f64) {
    for rule in RULES {
        for isa in Isa::all_available() {
            let got = steps::<T>(&Cpu::with_isa(2, isa), *rule, 0.5, 0.4, 3);
            for columns in &got {
                for i in (0..columns.param.len()).step_by(7).chain([columns.param.len() - 1]) {
                    let (mut p, mut s) = (T::of_f64(number(i, 1)).to_f64(), [0.0; 3]);
                    let g = (T::of_f64(number(i, 2)).to_f64() * 0.5).clamp(-0.4, 0.4);
                    for _ in 0..3 {
                        exact(*rule, &mut p, g, &mut s);
                    }
                    let near = |got: f64, expected: f64, what: &str| {
                        let error = (got - expected).abs();
                        assert!(
                            error <= tolerance * (1.0 + expected.abs()),
                            "{rule:?} {isa} {i} {what}: {got} {expected}"
                        );
                    };
                    let stepped = columns.master.as_ref().unwrap_or(&columns.param);
                    let read = |column: &Buffer| match column.dtype() {
                        DType::F64 => column.as_slice::<f64>()[i],
                        _ => f64::from(column.as_slice::<f32>()[i]),
                    };
                    near(read(stepped), p, "value");
                    for (column, at) in columns.state.iter().zip(kept(*rule)) {
                        near(read(column), s[at], "state");
                    }
                    if let Some(master) = &columns.master {
                        let rounded = T::of_f64(f64::from(master.as_slice::<f32>()[i]));
                        assert_eq!(columns.param.as_slice::<T>()[i], rounded, "{rule:?} {isa} {i}");
                    }
                }
            }
        }
    }
}

#[test]
fn single_precision_follows_the_equations() {
    against_equations::<f32>(2e-5);
}

#[test]
fn double_precision_follows_the_equations() {
    against_equations::<f64>(1e-12);
}

#[test]
fn sixteen_bit_parameters_are_rounded_masters() {
    against_equations::<bf16>(2e-5);
    against_equations::<f16>(2e-5);
}

#[test]
fn workers_change_no_bit() {
    for rule in RULES {
        let bytes = |workers| -> Vec<Vec<u8>> {
            let cpu = Cpu::new(workers);
            let singles = steps::<f32>(&cpu, *rule, 1.5, f64::INFINITY, 2);
            let halves = steps::<bf16>(&cpu, *rule, 1.5, f64::INFINITY, 2);
            singles.iter().chain(&halves).map(Columns::bytes).collect()
        };
        let one = bytes(1);
        for workers in [2, 3, 5] {
            assert!(bytes(workers) == one, "{rule:?} with {workers} workers");
        }
    }
}

#[test]
fn what_is_not_a_number_reaches_the_parameter() {
    for rule in RULES {
        let mut columns = Columns::new::<f32>(*rule, 40, 40);
        columns.gradient.as_mut_slice::<f32>()[17] = f32::NAN;
        let layout = Layout::row_major(Shape::new(&[40]));
        let mut state = columns.state.iter_mut();
        let mut update = Update {
            rule: *rule,
            param: &mut columns.param,
            master: None,
            gradient: Arg { buffer: &columns.gradient, layout: &layout },
            state: std::array::from_fn(|_| state.next()),
            row: 40,
        };
        optimize(&Cpu::new(1), std::slice::from_mut(&mut update), 1.0, 1.0);
        let p = columns.param.as_slice::<f32>();
        assert!(p[17].is_nan() && p.iter().filter(|x| x.is_nan()).count() == 1, "{rule:?}");
    }
}

fn squares<T: Element>(cpu: &Cpu, huge: Option<f64>) -> (f64, f64) {
    let rule = RULES[0];
    let mut all: Vec<_> = SIZES.iter().map(|(len, row)| Columns::new::<T>(rule, *len, *row)).collect();
    if let Some(huge) = huge {
        all[4].gradient.as_mut_slice::<T>()[36_000] = T::of_f64(huge);
    }
    let expected: f64 =
        all.iter().map(|c| c.gradient.as_slice::<T>().iter().map(|g| g.to_f64() * g.to_f64()).sum::<f64>()).sum();
    let layouts: Vec<_> = all.iter().map(|c| Layout::row_major(Shape::new(&[c.param.len()]))).collect();
    let updates: Vec<_> = all
        .iter_mut()
        .zip(&layouts)
        .map(|(c, layout)| Update {
            rule,
            param: &mut c.param,
            master: c.master.as_mut(),
            gradient: Arg { buffer: &c.gradient, layout },
            state: [None, None, None],
            row: c.row,
        })
        .collect();
    (gradient_squares(cpu, &updates), expected)
}

#[test]
fn squares_add_up_to_the_same_bits_for_any_workers() {
    for isa in Isa::all_available() {
        let one = Cpu::with_isa(1, isa);
        let sums = |cpu: &Cpu| {
            [
                squares::<f32>(cpu, None),
                squares::<f64>(cpu, None),
                squares::<bf16>(cpu, None),
                squares::<f16>(cpu, None),
            ]
        };
        let expected = sums(&one);
        for (got, expected) in expected {
            assert!((got - expected).abs() < 1e-12 * expected, "{isa}: {got} {expected}");
        }
        for workers in [2, 3, 5, 11] {
            assert_eq!(sums(&Cpu::with_isa(workers, isa)), expected, "{isa} {workers}");
        }
    }
}

#[test]
fn squares_tell_what_is_not_finite_and_do_not_overflow() {
    let cpu = Cpu::new(2);
    assert!(squares::<f32>(&cpu, Some(f64::NAN)).0.is_nan());
    assert_eq!(squares::<f32>(&cpu, Some(f64::NEG_INFINITY)).0, f64::INFINITY);
    let (got, expected) = squares::<f32>(&cpu, Some(3e38));
    assert!((got / expected - 1.0).abs() < 1e-12 && got.is_finite());
}

fn accumulated<T: Element>(cpu: &Cpu, len: usize) {
    let pool = Arc::new(Pool::default());
    let (mut sum, mut x) = (Buffer::new(&pool, T::DTYPE, len).unwrap(), Buffer::new(&pool, T::DTYPE, len).unwrap());
    for i in 0..len {
        sum.as_mut_slice::<T>()[i] = T::of_f64(number(i, 1));
        x.as_mut_slice::<T>()[i] = T::of_f64(number(i, 2));
    }
    let layout = Layout::row_major(Shape::new(&[len]));
    accumulate(cpu, Arg { buffer: &x, layout: &layout }, &mut sum);
    for i in 0..len {
        // One addition, rounded once; the sum of two 16-bit numbers is exact enough in `f32`.
        let expected = T::of_f64(T::of_f64(number(i, 1)).to_f64() + T::of_f64(number(i, 2)).to_f64());
        let near = (sum.as_slice::<T>()[i].to_f64() - expected.to_f64()).abs() <= 1e-7;
        assert!(near, "{} of {}: {:?} {expected:?}", i, T::DTYPE, sum.as_slice::<T>()[i]);
    }
}

#[test]
fn gradients_add_up_in_place() {
    for isa in Isa::all_available() {
        let cpu = Cpu::with_isa(3, isa);
        for len in [0, 1, 31, 70_007] {
            accumulated::<f32>(&cpu, len);
            accumulated::<f64>(&cpu, len);
            accumulated::<bf16>(&cpu, len);
            accumulated::<f16>(&cpu, len);
        }
    }
}
