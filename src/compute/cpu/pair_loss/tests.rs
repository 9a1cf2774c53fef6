use super::*;
use crate::compute::Isa;

fn numbers<T: Float>(len: usize, scale: f64) -> Vec<T> {
    (0..len).map(|i| T::of((((i * 7919 + 13) % 2003) as f64 * 0.001 - 1.0) * scale)).collect()
}

#[test]
fn losses_of_pairs() {
    let a = numbers::<f64>(5003, 3.0);
    let b: Vec<f64> = numbers::<f64>(5100, 2.0)[97..].iter().map(|b| b.abs().min(1.0)).collect();
    let (a32, b32): (Vec<f32>, Vec<f32>) =
        (a.iter().map(|a| *a as f32).collect(), b.iter().map(|b| *b as f32).collect());
    for loss in [PairLoss::Squared, PairLoss::Absolute, PairLoss::Huber { delta: 0.8 }, PairLoss::Logit] {
        let one = |a: f64, b: f64| match loss {
            PairLoss::Squared => (a - b) * (a - b),
            PairLoss::Absolute => (a - b).abs(),
            PairLoss::Huber { delta } if (a - b).abs() > delta => delta * ((a - b).abs() - delta / 2.0),
            PairLoss::Huber { .. } => (a - b) * (a - b) / 2.0,
            PairLoss::Logit => a.max(0.0) - a * b + (-a.abs()).exp().ln_1p(),
        };
        let want: Vec<f64> = a.iter().zip(&b).map(|(a, b)| one(*a, *b)).collect();
        let total: f64 = want.iter().sum();
        for isa in Isa::all_available() {
            for workers in [1, 3] {
                let cpu = Cpu::with_isa(workers, isa);
                assert!((pair_loss_sum(&cpu, loss, &a, &b) - total).abs() < 1e-12 * total);
                assert!((pair_loss_sum(&cpu, loss, &a32, &b32) - total).abs() < 1e-5 * total);
                let (mut each, mut slope) = (vec![0.0; a.len()], vec![0.0; a.len()]);
                pair_loss(&cpu, loss, &a, &b, &mut each);
                pair_loss_backward(&cpu, loss, &a, &b, 2.5, &mut slope);
                for i in 0..a.len() {
                    assert!((each[i] - want[i]).abs() < 1e-14 * (1.0 + want[i]));
                    let h = 1e-6;
                    let difference = 2.5 * (one(a[i] + h, b[i]) - one(a[i] - h, b[i])) / (2.0 * h);
                    assert!((slope[i] - difference).abs() < 1e-5, "{loss:?} at {} {}", a[i], b[i]);
                }
            }
        }
    }
}
