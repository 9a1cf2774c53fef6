use super::*;
use crate::rng::philox;

const KEY: Key = Key([17, 42]);

/// The word of a place, from the definition.
fn word(place: u64) -> u32 {
    let (group, within) = (place / 64, place % 64);
    let counter = group * 16 + within % 16;
    philox::<ROUNDS_STEP>([counter as u32, (counter >> 32) as u32, 0, 0], KEY)[(within / 16) as usize]
}

fn unit_single(place: u64) -> f32 {
    (word(place) >> 8) as f32 / 16_777_216.0
}

fn unit_double(place: u64) -> f64 {
    let (group, within) = (place / 32, place % 32);
    let first = group * 64 + 32 * (within / 16) + within % 16;
    (u64::from(word(first)) << 21 ^ u64::from(word(first + 16)) >> 11) as f64 / 2f64.powi(53)
}

#[test]
fn uniform_numbers_are_the_definition_on_every_set() {
    for isa in Isa::all_available() {
        for workers in [1, 2, 3, 5] {
            let cpu = Cpu::with_isa(workers, isa);
            for place in [0, 5, 64, 1 << 40, u64::from(u32::MAX) * 4 - 3] {
                let mut single = vec![0f32; 9001];
                fill_uniform(&cpu, KEY, place, -1.0, 2.0, &mut single);
                let mut double = vec![0f64; 9001];
                fill_uniform(&cpu, KEY, place, -1.0, 2.0, &mut double);
                for i in 0..single.len() {
                    let at = place + i as u64;
                    assert_eq!(single[i], -1.0 + unit_single(at) * 3.0, "place {at}");
                    assert_eq!(double[i], -1.0 + unit_double(at) * 3.0, "place {at}");
                    assert!((-1.0..2.0).contains(&single[i]) && (-1.0..2.0).contains(&double[i]));
                }
            }
        }
    }
}

#[test]
fn the_open_end_is_never_reached() {
    let mut x = vec![0f32; 1 << 20];
    let (low, high) = (1.0, 1.0 + f64::from(f32::EPSILON) * 4.0);
    fill_uniform(&Cpu::new(1), KEY, 0, low, high, &mut x);
    assert!(x.iter().all(|x| (low..high).contains(&f64::from(*x))));
}

fn moments_of(x: &[f64]) -> [f64; 4] {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let power = |k: i32| x.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
    let deviation = power(2).sqrt();
    [mean, deviation, power(3) / deviation.powi(3), power(4) / deviation.powi(4)]
}

#[test]
fn normal_numbers() {
    const N: usize = 400_000;
    let mut first: Option<(Vec<f32>, Vec<f64>)> = None;
    for isa in Isa::all_available() {
        for workers in [1, 3] {
            let cpu = Cpu::with_isa(workers, isa);
            let (mut single, mut double) = (vec![0f32; N], vec![0f64; N]);
            fill_normal(&cpu, KEY, 7, 3.0, 2.0, &mut single);
            fill_normal(&cpu, KEY, 7, 3.0, 2.0, &mut double);
            let wide: Vec<f64> = single.iter().map(|x| f64::from(*x)).collect();
            for x in [&wide, &double] {
                let [mean, deviation, skew, kurtosis] = moments_of(x);
                // Five standard errors each.
                assert!((mean - 3.0).abs() < 5.0 * 2.0 / (N as f64).sqrt());
                assert!((deviation - 2.0).abs() < 5.0 * 2.0 / (2.0 * N as f64).sqrt());
                assert!(skew.abs() < 5.0 * (6.0 / N as f64).sqrt());
                assert!((kurtosis - 3.0).abs() < 5.0 * (24.0 / N as f64).sqrt());
            }
            let (a, b) = first.get_or_insert_with(|| (single.clone(), double.clone()));
            assert!(a.iter().zip(&single).all(|(a, b)| (a - b).abs() <= 2.0 * 2e-6), "{isa}");
            assert!(b.iter().zip(&double).all(|(a, b)| (a - b).abs() <= 2.0 * 1e-14), "{isa}");
        }
    }
    // The exact transform.
    let (single, _) = first.expect("some set");
    for (i, got) in single.iter().enumerate().take(10_000) {
        let at = i as u64 + 7;
        let base = at / 32 * 32 + at % 16;
        let radius = (-2.0 * (1.0 - f64::from(unit_single(base))).ln()).sqrt();
        let angle = (f64::from(unit_single(base + 16)) - 0.5) * std::f64::consts::TAU;
        let want = 3.0 + 2.0 * radius * if at % 32 < 16 { angle.cos() } else { angle.sin() };
        assert!((f64::from(*got) - want).abs() < 2.0 * 2e-6, "{got} {want}");
    }
}

#[test]
fn dropout_drops_its_share_and_the_same_again() {
    let x: Vec<f32> = (0..100_003).map(|i| 1.0 + i as f32).collect();
    for p in [0.0, 0.3, 1.0] {
        let mut first: Option<Vec<f32>> = None;
        for isa in Isa::all_available() {
            for workers in [1, 2, 3, 5] {
                let mut y = vec![0f32; x.len()];
                dropout(&Cpu::with_isa(workers, isa), KEY, 99, p, &x, &mut y);
                for (i, (x, y)) in x.iter().zip(&y).enumerate() {
                    let kept = f64::from(unit_single(99 + i as u64)) >= f64::from(p as f32);
                    assert_eq!(*y, if kept { x * (1.0 / (1.0 - p)) as f32 } else { 0.0 });
                }
                assert_eq!(first.get_or_insert_with(|| y.clone()), &y);
            }
        }
        let kept = first.expect("some set").iter().filter(|y| **y != 0.0).count() as f64 / x.len() as f64;
        assert!((kept - (1.0 - p)).abs() < 0.01);
    }
    let mut y = [0f32; 64];
    dropout(&Cpu::new(1), KEY, 0, 0.5, &[f32::NAN; 64], &mut y);
    assert!(y.contains(&0.0) && y.iter().any(|y| y.is_nan()));
}

#[test]
fn bernoulli_and_permutations() {
    let mut x = vec![0f64; 100_000];
    fill_bernoulli(&Cpu::new(2), KEY, 0, 0.2, &mut x);
    assert!(x.iter().all(|x| *x == 0.0 || *x == 1.0));
    assert!((x.iter().sum::<f64>() / 1e5 - 0.2).abs() < 0.01);
    for n in [0, 1, 2, 1000] {
        let order = permutation(KEY, n);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        assert_eq!(order, permutation(KEY, n));
    }
    assert_ne!(permutation(KEY, 1000), permutation(Key([1, 2]), 1000));
    // All orders of four come up about equally often.
    let mut counts = std::collections::BTreeMap::new();
    for i in 0..24_000 {
        *counts.entry(permutation(Key([i, 0]), 4)).or_insert(0) += 1;
    }
    assert!(counts.len() == 24 && counts.values().all(|n| (800..1200).contains(n)));
}
