//! How long kernels over the rows of a matrix take: cross entropy, softmax, and normalisation by rows and by columns.
//!
//! Sizes are those that peers were timed with; `cargo bench --bench rows`. The element rate beside each time is that of the
//! input.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tessera::compute::HugeVec;
use tessera::compute::cpu::Cpu;
use tessera::compute::cpu::batch_norm::{ColumnMoments, column_moments, column_norm, column_norm_grad};
use tessera::compute::cpu::columns::NormGrads;
use tessera::compute::cpu::cross_entropy::{CrossEntropy, cross_entropy};
use tessera::compute::cpu::layer_norm::{layer_norm, layer_norm_grad, rms_norm, rms_norm_grad};
use tessera::compute::cpu::softmax::{log_softmax, log_softmax_grad, softmax, softmax_grad};

const WORKERS: [usize; 2] = [1, 2];
const LOGITS: [usize; 2] = [1024, 1000];
const TOKENS: [usize; 2] = [2048, 768];
const PIXELS: [[usize; 2]; 4] = [[64 * 28 * 28, 6], [32 * 32 * 32, 16], [32 * 32 * 32, 64], [4096, 100]];

/// Numbers in [-3, 3), aligned as tensors are.
fn noise(len: usize) -> HugeVec<f32> {
    let mut numbers = HugeVec::zeroed(len);
    for (i, x) in numbers.iter_mut().enumerate() {
        *x = ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 * (6.0 / 16_777_216.0) - 3.0;
    }
    numbers
}

fn rows(c: &mut Criterion) {
    for workers in WORKERS {
        let cpu = Cpu::new(workers);
        logits(c, &cpu);
        tokens(c, &cpu);
        for [rows, cols] in PIXELS {
            pixels(c, &cpu, rows, cols);
        }
    }
}

fn logits(c: &mut Criterion, cpu: &Cpu) {
    let [rows, cols] = LOGITS;
    let mut group = c.benchmark_group(format!("rows/{rows}x{cols}/{}", cpu.crew.size()));
    group.throughput(Throughput::Elements((rows * cols) as u64));
    let x = noise(rows * cols);
    let targets: Vec<i32> = (0..rows).map(|r| (r * 37 % cols) as i32).collect();
    let loss = CrossEntropy {
        targets: &targets,
        weights: None,
        smoothing: 0.0,
        ignore: None,
        normalized: false,
        scale: 1.0 / rows as f64,
    };
    let (mut losses, mut y, mut z, mut dx) = (vec![0.0; rows], noise(x.len()), noise(x.len()), noise(x.len()));
    group.bench_function("cross_entropy", |b| {
        b.iter(|| cross_entropy(cpu, &loss, cols, black_box(&x), &mut losses, None));
    });
    group.bench_function("cross_entropy_with_gradient", |b| {
        b.iter(|| cross_entropy(cpu, &loss, cols, black_box(&x), &mut losses, Some(&mut dx)));
    });
    group.bench_function("softmax", |b| b.iter(|| softmax(cpu, cols, black_box(&x), &mut y)));
    group.bench_function("log_softmax", |b| b.iter(|| log_softmax(cpu, cols, black_box(&x), &mut z)));
    group.bench_function("softmax_grad", |b| b.iter(|| softmax_grad(cpu, cols, black_box(&y), &x, &mut dx)));
    group.bench_function("log_softmax_grad", |b| b.iter(|| log_softmax_grad(cpu, cols, black_box(&z), &x, &mut dx)));
}

fn tokens(c: &mut Criterion, cpu: &Cpu) {
    let [rows, cols] = TOKENS;
    let mut group = c.benchmark_group(format!("rows/{rows}x{cols}/{}", cpu.crew.size()));
    group.throughput(Throughput::Elements((rows * cols) as u64));
    let (x, dy, mut out) = (noise(rows * cols), noise(rows * cols), noise(rows * cols));
    let (weight, bias) = (noise(cols), noise(cols));
    let (mut mean, mut rstd) = (vec![0.0; rows], vec![0.0; rows]);
    let (mut dweight, mut dbias) = (vec![0.0; cols], vec![0.0; cols]);
    group.bench_function("layer_norm", |b| {
        b.iter(|| {
            let stats = Some([&mut mean[..], &mut rstd[..]]);
            layer_norm(cpu, cols, black_box(&x), [Some(&weight), Some(&bias)], 1e-5, &mut out, stats);
        });
    });
    group.bench_function("layer_norm_grad", |b| {
        b.iter(|| {
            let grads = NormGrads { dx: Some(&mut out), dweight: Some(&mut dweight), dbias: Some(&mut dbias) };
            layer_norm_grad(cpu, cols, black_box(&x), [&mean, &rstd], Some(&weight), &dy, grads);
        });
    });
    group.bench_function("rms_norm", |b| {
        b.iter(|| rms_norm(cpu, cols, black_box(&x), Some(&weight), 1e-5, &mut out, Some(&mut rstd)));
    });
    group.bench_function("rms_norm_grad", |b| {
        b.iter(|| {
            let grads = NormGrads { dx: Some(&mut out), dweight: Some(&mut dweight), dbias: None };
            rms_norm_grad(cpu, cols, black_box(&x), &rstd, Some(&weight), &dy, grads);
        });
    });
}

fn pixels(c: &mut Criterion, cpu: &Cpu, rows: usize, cols: usize) {
    let mut group = c.benchmark_group(format!("rows/{rows}x{cols}/{}", cpu.crew.size()));
    group.throughput(Throughput::Elements((rows * cols) as u64));
    let (x, dy, mut out) = (noise(rows * cols), noise(rows * cols), noise(rows * cols));
    let (weight, bias) = (noise(cols), noise(cols));
    let (mut mean, mut var) = (vec![0.0; cols], vec![0.0; cols]);
    let (mut dweight, mut dbias) = (vec![0.0; cols], vec![0.0; cols]);
    group.bench_function("batch_norm_in_training", |b| {
        b.iter(|| {
            column_moments(cpu, cols, black_box(&x), &mut mean, &mut var);
            let moments = ColumnMoments { mean: &mean, var: &var, eps: 1e-5 };
            column_norm(cpu, cols, &x, moments, [Some(&weight), Some(&bias)], false, &mut out);
        });
    });
    column_moments(cpu, cols, &x, &mut mean, &mut var);
    let moments = ColumnMoments { mean: &mean, var: &var, eps: 1e-5 };
    group.bench_function("batch_norm", |b| {
        b.iter(|| column_norm(cpu, cols, black_box(&x), moments, [Some(&weight), Some(&bias)], true, &mut out));
    });
    group.bench_function("batch_norm_grad", |b| {
        b.iter(|| {
            let grads = NormGrads { dx: Some(&mut out), dweight: Some(&mut dweight), dbias: Some(&mut dbias) };
            column_norm_grad(cpu, cols, black_box(&x), moments, Some(&weight), &dy, true, grads);
        });
    });
}

criterion_group!(benches, rows);
criterion_main!(benches);
