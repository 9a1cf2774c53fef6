//! How long do products with sparse matrices take: with dense operands, and with spikes?
//!
//! A product with n dense columns takes 2 n operations for each stored element; one with spikes an addition for each
//! element of the rows of active inputs.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tessera::compute::cpu::Cpu;
use tessera::rng::{Key, unit};
use tessera::sparse::{Csr, Events};

/// Rows, columns, share of places that are stored.
const SIZES: [(usize, usize, f64); 2] = [(1000, 1000, 0.1), (10_000, 10_000, 0.01)];
/// Columns of the dense operand.
const WIDTHS: [usize; 4] = [1, 10, 64, 256];
/// Samples, share of inputs that spike.
const SPIKES: [(usize, f64); 4] = [(1, 0.01), (1, 0.1), (64, 0.01), (64, 0.1)];

fn draws(len: usize, share: f64, seed: u32) -> Vec<f32> {
    let key = Key([seed, 1]);
    let draw = |i: usize| key.words([i as u32, (i >> 32) as u32, 0, 0]);
    (0..len).map(|i| if unit(draw(i)[0]) < share { unit(draw(i)[1]) as f32 } else { 0.0 }).collect()
}

fn sparse(c: &mut Criterion) {
    for (rows, cols, density) in SIZES {
        let dense = draws(rows * cols, density, 1);
        let csr = Csr::from_dense(&Cpu::new(1), &dense, rows, cols).expect("a matrix");
        let triplets: Vec<(usize, usize, f32)> = csr.transposed(&Cpu::new(1)).iter().collect();
        let row_of: Vec<u32> = triplets.iter().map(|t| t.1 as u32).collect();
        let col_of: Vec<u32> = triplets.iter().map(|t| t.0 as u32).collect();
        let values: Vec<f32> = triplets.iter().map(|t| t.2).collect();
        for threads in [1, 2] {
            let cpu = Cpu::new(threads);
            let mut group = c.benchmark_group(format!("sparse {rows}x{cols} density {density} threads={threads}"));
            for n in WIDTHS {
                let b = draws(cols * n, 1.0, 2);
                group.bench_function(BenchmarkId::new("times dense", n), |bench| {
                    bench.iter(|| black_box(csr.times(&cpu, &b, n)));
                });
            }
            for (samples, share) in SPIKES {
                let x: Vec<f32> = draws(samples * rows, share, 3).iter().map(|x| f32::from(*x > 0.0)).collect();
                group.bench_function(BenchmarkId::new("add rows of spikes", format!("{samples} x {share}")), |bench| {
                    bench.iter(|| black_box(csr.add_rows(&cpu, &Events::of_dense(&cpu, &x, rows))));
                });
            }
            group.bench_function("from triplets", |bench| {
                bench.iter(|| black_box(Csr::from_triplets(&cpu, rows, cols, &row_of, &col_of, &values)));
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(1));
    targets = sparse
}
criterion_main!(benches);
