//! What does a Poisson draw cost? Events for 32,768 neurons a step, at the rates of the cortical microcircuit.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tessera::compute::Isa;
use tessera::compute::ars::ArsKeys;
use tessera::compute::poisson::{AddEvents, PoissonKeys, PoissonTable};
use tessera::compute::simd::dispatch;
use tessera::rng::{Key, Purpose};

/// Neurons a step.
const NEURONS: usize = 32_768;
/// Neurons drawn for at a time, as the engine does.
const TILE: usize = 1024;

fn poisson(c: &mut Criterion) {
    let mut group = c.benchmark_group("poisson");
    group.throughput(Throughput::Elements(NEURONS as u64));
    group.sample_size(30);
    let keys = PoissonKeys {
        draw: ArsKeys::new(Key::new(1, Purpose::Poisson, 0)),
        refine: Key::new(1, Purpose::PoissonRefine, 0),
    };
    for mean in [1.28, 12.8] {
        let table = PoissonTable::new(mean);
        for isa in Isa::all_available() {
            let mut out = vec![0f32; TILE];
            let mut step = 0;
            group.bench_function(BenchmarkId::new(format!("mean {mean}"), isa), |b| {
                b.iter(|| {
                    step += 1;
                    for first in (0..NEURONS as u32).step_by(TILE) {
                        let out = &mut out[..];
                        dispatch(isa, AddEvents { table: &table, keys: &keys, first, step, weight: 1e-3, out });
                    }
                });
            });
        }
    }
}

criterion_group!(benches, poisson);
criterion_main!(benches);
