//! Pooling over channels-last images.

use crate::compute::cpu::Cpu;
use crate::compute::dtype::Element;
use crate::compute::windows::Pooling;

/// Calls `work(pixel of the output, tap, pixel of the input)` for every tap within the input, windows in order.
fn each(pool: &Pooling, mut work: impl FnMut(usize, usize, usize)) {
    let [rows, cols] = pool.out;
    for n in 0..pool.n {
        for y in 0..rows {
            for x in 0..cols {
                for tap in 0..pool.taps() {
                    if let Some([in_y, in_x]) = pool.at([y, x], tap) {
                        work((n * rows + y) * cols + x, tap, (n * pool.size[0] + in_y) * pool.size[1] + in_x);
                    }
                }
            }
        }
    }
}

pub(super) fn max<T: Element>(
    _: &Cpu,
    pool: &Pooling,
    x: &[T],
    rectify: bool,
    out: &mut [T],
    mut taps: Option<&mut [i32]>,
) {
    let c = pool.c;
    out.fill(T::of_f64(if rectify { 0.0 } else { f64::NEG_INFINITY }));
    if let Some(taps) = &mut taps {
        taps.fill(-1);
    }
    each(pool, |to, tap, from| {
        for i in 0..c {
            let (x, best) = (x[from * c + i], &mut out[to * c + i]);
            // As in torch, the last NaN wins.
            let first = !rectify && taps.as_ref().is_some_and(|taps| taps[to * c + i] < 0);
            if first || x.to_f64() > best.to_f64() || x.to_f64().is_nan() {
                *best = x;
                if let Some(taps) = &mut taps {
                    taps[to * c + i] = tap as i32;
                }
            }
        }
    });
}

pub(super) fn max_grad<T: Element>(_: &Cpu, pool: &Pooling, taps: &[i32], dy: &[T], dx: &mut [T]) {
    let c = pool.c;
    dx.fill(T::default());
    each(pool, |to, tap, from| {
        for i in 0..c {
            if taps[to * c + i] == tap as i32 {
                let sum = &mut dx[from * c + i];
                *sum = T::of_f64(sum.to_f64() + dy[to * c + i].to_f64());
            }
        }
    });
}

/// Taps of the window at each output pixel that count.
fn counts(pool: &Pooling, count_padding: bool) -> Vec<f64> {
    let [rows, cols] = pool.out;
    let inside = |y, x| (0..pool.taps()).filter(|tap| pool.at([y, x], *tap).is_some()).count();
    let count = |i: usize| if count_padding { pool.taps() } else { inside(i / cols, i % cols) };
    (0..rows * cols).map(|i| count(i) as f64).collect()
}

pub(super) fn avg<T: Element>(_: &Cpu, pool: &Pooling, count_padding: bool, x: &[T], out: &mut [T]) {
    let c = pool.c;
    let mut sums = vec![0.0; out.len()];
    each(pool, |to, _, from| {
        for i in 0..c {
            sums[to * c + i] += x[from * c + i].to_f64();
        }
    });
    let counts = counts(pool, count_padding);
    for (i, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
        *out = T::of_f64(sum / counts[i / c % counts.len()]);
    }
}

pub(super) fn avg_grad<T: Element>(_: &Cpu, pool: &Pooling, count_padding: bool, dy: &[T], dx: &mut [T]) {
    let c = pool.c;
    let counts = counts(pool, count_padding);
    let mut sums = vec![0.0; dx.len()];
    each(pool, |to, _, from| {
        for i in 0..c {
            sums[from * c + i] += dy[to * c + i].to_f64() / counts[to % counts.len()];
        }
    });
    for (dx, sum) in dx.iter_mut().zip(sums) {
        *dx = T::of_f64(sum);
    }
}
