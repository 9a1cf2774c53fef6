//! What does a synaptic event cost? Segments of a network too large for the caches are delivered step by step, in each
//! record format, on each instruction set. The sizes are those of one of two shards of the cortical microcircuit.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tessera::compute::records::{Arena, DeliveryScratch, Format, Segment};
use tessera::compute::{Isa, Rows};
use tessera::rng::{Key, Purpose, below};

/// Input slots of the shard.
const SLOTS: usize = 38_592;
/// Sources whose records are laid out.
const SOURCES: u32 = 16_000;
/// Segments of a source, one for each delay.
const SEGMENTS: u32 = 40;
/// Segments that arrive in a step.
const ARRIVALS: usize = 1_100;
/// Steps that are prepared; the benchmark cycles through them.
const STEPS: usize = 512;

fn delivery(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery");
    group.sample_size(20);
    let key = Key::new(1, Purpose::Connect, 0);
    for format in [Format::Lines, Format::Packed4, Format::Packed8] {
        let arena = Arena::new(format, SLOTS, 48_000_000, (SOURCES * SEGMENTS) as usize, SOURCES as usize, 1);
        let mut writer = arena.writer();
        let mut segments: Vec<Segment> = Vec::new();
        for source in 0..SOURCES {
            let mut heads = Vec::new();
            let mut records = Vec::new();
            for class in 0..SEGMENTS {
                // Bell-shaped around 48 records, as delays that are normally distributed make them.
                let bell = [0u32, 1, 2].map(|k| below(key.words([source, class, k, 1])[0], 60)).iter().sum::<u32>();
                let count = (bell / 2 + 4).max(1);
                heads.push((class as u16, count));
                records.extend((0..count).map(|k| {
                    let w = key.words([source, class, k, 2]);
                    (below(w[0], SLOTS as u32), below(w[1], 1400) as i32 - 700)
                }));
            }
            let row = writer.write_source(&heads, &records);
            arena.for_each_segment(row, |_, segment| segments.push(segment));
        }
        let steps: Vec<Vec<Segment>> = (0..STEPS as u32)
            .map(|step| {
                let pick = |k: usize| below(key.words([step, k as u32, 0, 3])[0], segments.len() as u32);
                (0..ARRIVALS).map(|k| segments[pick(k) as usize]).collect()
            })
            .collect();
        let events: u64 = steps.iter().flatten().map(|s| u64::from(s.count())).sum();
        group.throughput(Throughput::Elements(events / STEPS as u64));
        for isa in Isa::all_available() {
            let mut rows = Rows::new(SLOTS, format.narrow(), !format.narrow());
            let mut work = DeliveryScratch::default();
            let mut next = 0;
            group.bench_function(BenchmarkId::new(format!("{format:?}"), isa), |b| {
                b.iter(|| {
                    next = (next + 1) % STEPS;
                    let events = arena.deliver(isa, &steps[next], &mut rows, &mut work);
                    rows.narrow().fill(0);
                    rows.wide().fill(0);
                    black_box(events)
                });
            });
        }
    }
}

criterion_group!(benches, delivery);
criterion_main!(benches);
