//! How fast are products of matrices? Layers of a small MLP, their gradients, squares, and a single row; one worker and
//! all processors. Throughput counts multiplications and additions.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::bf16;
use tessera::compute::cpu::Cpu;
use tessera::compute::cpu::gemm::{Epilogue, Mat, MatMut, PackedI8, Store, gemm, gemm_half, gemm_i8, matmul_naive};

/// Rows, depth, columns, and whether A or B is transposed in memory.
const SHAPES: [(usize, usize, usize, bool, bool); 9] = [
    (64, 64, 64, false, false),
    (64, 784, 256, false, false),
    (64, 256, 128, false, false),
    (784, 64, 256, true, false),
    (64, 256, 784, false, true),
    (1024, 1024, 1024, false, false),
    (64, 2000, 2000, false, false),
    (8, 512, 512, false, false),
    (1, 784, 256, false, false),
];

fn numbers(len: usize) -> Vec<f32> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5).collect()
}

fn name((m, k, n, a_turned, b_turned): (usize, usize, usize, bool, bool)) -> String {
    let mark = |turned| if turned { "t" } else { "" };
    format!("{m}x{k}{}x{n}{}", mark(a_turned), mark(b_turned))
}

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("gemm");
    group.sample_size(20);
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    for workers in if all > 1 { vec![1, all] } else { vec![1] } {
        let cpu = Cpu::new(workers);
        for shape in SHAPES {
            let (m, k, n, a_turned, b_turned) = shape;
            let (a, b) = (numbers(m * k), numbers(k * n));
            let mut out = vec![0.0; m * n];
            let a = if a_turned { Mat::col_major(&a, m, k) } else { Mat::row_major(&a, m, k) };
            let b = if b_turned { Mat::col_major(&b, k, n) } else { Mat::row_major(&b, k, n) };
            group.throughput(Throughput::Elements(2 * (m * k * n) as u64));
            group.bench_function(BenchmarkId::new(format!("f32, {workers} workers"), name(shape)), |bench| {
                bench.iter(|| gemm(&cpu, Store::Set, a, b, MatMut::row_major(&mut out, m, n), Epilogue::none()));
            });
        }
        for size in [512, 1024] {
            let numbers = numbers(size * size);
            group.throughput(Throughput::Elements(2 * (size * size * size) as u64));
            let halves: Vec<bf16> = numbers.iter().map(|x| bf16::from_f32(*x)).collect();
            let mut out = vec![bf16::ZERO; size * size];
            group.bench_function(BenchmarkId::new(format!("bf16, {workers} workers"), size), |bench| {
                bench.iter(|| {
                    let a = Mat::row_major(&halves, size, size);
                    gemm_half(&cpu, Store::Set, a, a, MatMut::row_major(&mut out, size, size), Epilogue::none());
                });
            });
            let bytes: Vec<i8> = numbers.iter().map(|x| (*x * 255.0) as i8).collect();
            let a = Mat::row_major(&bytes, size, size);
            let weights = PackedI8::new(cpu.isa, a);
            let mut out = vec![0; size * size];
            group.bench_function(BenchmarkId::new(format!("i8, {workers} workers"), size), |bench| {
                bench.iter(|| gemm_i8(&cpu, Store::Set, a, &weights, MatMut::row_major(&mut out, size, size)));
            });
        }
    }
    let (m, k, n) = (64, 784, 256);
    let (a, b) = (numbers(m * k), numbers(k * n));
    let mut out = vec![0.0; m * n];
    group.throughput(Throughput::Elements(2 * (m * k * n) as u64));
    group.bench_function("three loops/64x784x256", |bench| {
        bench.iter(|| {
            let (a, b) = (Mat::row_major(&a, m, k), Mat::row_major(&b, k, n));
            matmul_naive(Store::Set, a, b, MatMut::row_major(&mut out, m, n));
        });
    });
}

criterion_group!(benches, products);
criterion_main!(benches);
