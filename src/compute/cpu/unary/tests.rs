use super::*;

fn all() -> Vec<Unary> {
    vec![
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Square,
        Unary::Sqrt,
        Unary::Rsqrt,
        Unary::Recip,
        Unary::Exp,
        Unary::ExpM1,
        Unary::Ln,
        Unary::Ln1p,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Sigmoid,
        Unary::Erf,
        Unary::GeluTanh,
        Unary::GeluErf,
        Unary::Silu,
        Unary::Softplus,
        Unary::Relu,
        Unary::LeakyRelu { slope: 0.1 },
        Unary::Elu { alpha: 0.7 },
        Unary::Clamp { low: -0.5, high: 1.5 },
        Unary::Affine { scale: -1.7, shift: 0.4 },
        Unary::Pow { exponent: 2.0 },
        Unary::Pow { exponent: 3.0 },
        Unary::Pow { exponent: 0.5 },
        Unary::Pow { exponent: -0.5 },
        Unary::Pow { exponent: -1.0 },
        Unary::Pow { exponent: -2.0 },
        Unary::Pow { exponent: 1.7 },
    ]
}

/// Arguments at which every function is smooth.
fn arguments(op: Unary) -> Vec<f64> {
    let positive =
        matches!(op, Unary::Sqrt | Unary::Rsqrt | Unary::Ln | Unary::Ln1p | Unary::Recip | Unary::Pow { .. });
    (0..1003)
        .map(|i| {
            let x = (i as f64 - 501.3) * 0.007;
            if positive { x.abs() + 0.2 } else { x }
        })
        .collect()
}

fn forward(op: Unary, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    unary_block(Isa::Portable, op, x, &mut y);
    y
}

#[test]
fn slopes_are_finite_differences() {
    for op in all() {
        let x = arguments(op);
        let h = 1e-5;
        let (up, down) = (
            forward(op, &x.iter().map(|x| x + h).collect::<Vec<_>>()),
            forward(op, &x.iter().map(|x| x - h).collect::<Vec<_>>()),
        );
        let saved = if op.saved() == Saved::Output { forward(op, &x) } else { x.clone() };
        let dy: Vec<f64> = (0..x.len()).map(|i| 1.0 + (i % 5) as f64).collect();
        for isa in Isa::all_available() {
            let mut dx = vec![0.0; x.len()];
            unary_backward_block(isa, op, &saved, &dy, &mut dx);
            for i in 0..x.len() {
                let want = dy[i] * (up[i] - down[i]) / (2.0 * h);
                assert!((dx[i] - want).abs() < 1e-6 * (1.0 + want.abs()), "{op:?} at {}: {} not {want}", x[i], dx[i]);
            }
        }
    }
}

#[test]
fn single_precision_agrees_with_double_in_every_form() {
    for op in all() {
        let x64 = arguments(op);
        let x: Vec<f32> = x64.iter().map(|x| *x as f32).collect();
        let x64: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let y64 = forward(op, &x64);
        let dy = vec![1.5f32; x.len()];
        let saved64 = if op.saved() == Saved::Output { &y64 } else { &x64 };
        let mut dx64 = vec![0.0; x.len()];
        unary_backward_block(Isa::Portable, op, saved64, &vec![1.5; x.len()], &mut dx64);
        for isa in Isa::all_available() {
            for workers in [1, 3] {
                let cpu = Cpu::with_isa(workers, isa);
                let mut y = vec![0.0; x.len()];
                unary(&cpu, op, &x, &mut y);
                let mut z = x.clone();
                unary_in_place(&cpu, op, &mut z);
                assert_eq!(y, z, "{op:?}");
                unary_block_in_place(isa, op, z[..].copy_from(&x));
                assert_eq!(y, z, "{op:?}");
                let saved = if op.saved() == Saved::Output { &y } else { &x };
                let mut dx = vec![0.0; x.len()];
                unary_backward(&cpu, op, saved, &dy, &mut dx);
                let mut g = dy.clone();
                unary_backward_in_place(&cpu, op, saved, &mut g);
                assert_eq!(dx, g, "{op:?}");
                for i in 0..x.len() {
                    let near = |a: f32, b: f64| (f64::from(a) - b).abs() <= 2e-6 * (1.0 + b.abs());
                    assert!(near(y[i], y64[i]), "{op:?}({}) = {}, not {}, on {isa}", x[i], y[i], y64[i]);
                    assert!(near(dx[i], dx64[i]), "{op:?}'({}) = {}, not {}, on {isa}", x[i], dx[i], dx64[i]);
                }
            }
        }
    }
}

trait CopyFrom<T> {
    fn copy_from(&mut self, from: &[T]) -> &mut Self;
}
impl<T: Copy> CopyFrom<T> for [T] {
    fn copy_from(&mut self, from: &[T]) -> &mut Self {
        self.copy_from_slice(from);
        self
    }
}

#[test]
fn nan_propagates_and_edges_are_torchs() {
    let x = [f32::NAN, 0.0, -0.0, -1.0, 2.0];
    for isa in Isa::all_available() {
        for op in all() {
            let mut y = [0f32; 5];
            unary_block(isa, op, &x, &mut y);
            assert!(y[0].is_nan(), "{op:?} hides a NaN on {isa}");
        }
        let mut y = [0f32; 5];
        let dy = [f32::NAN, 1.0, 1.0, 1.0, 1.0];
        unary_backward_block(isa, Unary::Relu, &[1.0, 0.0, 0.0, 0.0, 2.0], &dy, &mut y);
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [0.0, 0.0, 0.0, 1.0]);
        unary_backward_block(isa, Unary::Abs, &[3.0, 0.0, -0.0, -1.0, 2.0], &[1.0; 5], &mut y);
        assert_eq!(y, [1.0, 0.0, 0.0, -1.0, 1.0]);
        unary_backward_block(
            isa,
            Unary::Clamp { low: -1.0, high: 2.0 },
            &[-1.0, 2.0, -1.1, 2.1, 0.0],
            &[1.0; 5],
            &mut y,
        );
        assert_eq!(y, [1.0, 1.0, 0.0, 0.0, 1.0]);
    }
}
