//! How long does one neuron take for one step? Every model with its defaults and every option, on every instruction
//! set of this machine, with state that fits the second-level cache, no input and no spikes beyond the model's own.
//!
//! Criterion reports time a step of `NEURONS`; its throughput is neuron-steps a second.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;
use tessera::compute::Isa;
use tessera::compute::simd::Real;
use tessera::neuron::{Block, NeuronModel, ParamColumn, ParamTable, Prepare, Stepper, registry};

const NEURONS: usize = 16_384;

/// A column that starts on a cache line, as those of the engine do.
struct Column<T> {
    values: Vec<T>,
    skip: usize,
}

impl<T: Copy> Column<T> {
    fn new(value: T) -> Self {
        let values = vec![value; NEURONS + 64 / size_of::<T>()];
        let skip = values.as_ptr().align_offset(64);
        Self { values, skip }
    }

    fn get(&self) -> &[T] {
        &self.values[self.skip..][..NEURONS]
    }

    fn get_mut(&mut self) -> &mut [T] {
        &mut self.values[self.skip..][..NEURONS]
    }
}

struct State<T> {
    stepper: Box<dyn Stepper<T>>,
    columns: Vec<Column<T>>,
    inputs: Vec<Column<T>>,
    refractory: Column<u16>,
    spikes: Vec<u32>,
    step: u64,
}

impl<T: Real> State<T> {
    fn new(
        model: &dyn NeuronModel,
        isa: Isa,
        params: &ParamTable,
        make: fn(&dyn NeuronModel, &Prepare<'_>) -> Box<dyn Stepper<T>>,
    ) -> Self {
        let prepare = Prepare { dt: 0.1, seed: 1, population: "bench", params, first: 0, len: NEURONS, isa };
        let initial = |v| Column::new(T::of(model.initial(v, &params.row(0))));
        Self {
            stepper: make(model, &prepare),
            columns: (0..model.variables().len()).map(initial).collect(),
            inputs: model.receptors(params).iter().map(|_| Column::new(T::ZERO)).collect(),
            refractory: Column::new(0),
            spikes: vec![0; NEURONS / 32],
            step: 0,
        }
    }

    fn step(&mut self) {
        let inputs: Vec<&[T]> = self.inputs.iter().map(Column::get).collect();
        let mut columns: Vec<&mut [T]> = self.columns.iter_mut().map(Column::get_mut).collect();
        self.stepper.step(&mut Block {
            step: self.step,
            offset: 0,
            len: NEURONS,
            inputs: &inputs,
            current: None,
            columns: &mut columns,
            refractory: self.refractory.get_mut(),
            spikes: &mut self.spikes,
        });
        self.step += 1;
    }
}

fn shared(model: &dyn NeuronModel) -> ParamTable {
    ParamTable { len: NEURONS, columns: model.values().into_iter().map(ParamColumn::Uniform).collect() }
}

/// The first parameter differs between neurons, by a little.
fn differing(model: &dyn NeuronModel) -> ParamTable {
    let mut table = shared(model);
    if let Some(ParamColumn::Uniform(value)) = table.columns.first().cloned() {
        table.columns[0] = ParamColumn::PerNeuron((0..NEURONS).map(|i| value * (1.0 + 1e-6 * i as f64)).collect());
    }
    table
}

fn models() -> Vec<(String, Arc<dyn NeuronModel>)> {
    let mut models = Vec::new();
    for info in registry().iter().filter(|info| info.needs.is_none()) {
        models.push((info.name.to_owned(), info.build(&[], &[]).expect("defaults are valid")));
        for option in info.options {
            for text in option.allowed.iter().filter(|text| **text != option.default) {
                let model = info.build(&[], &[(option.name, text)]).expect("the option takes its texts");
                models.push((format!("{}-{text}", info.name), model));
            }
        }
    }
    models
}

fn bench(c: &mut Criterion) {
    for (name, model) in models() {
        let mut group = c.benchmark_group(&name);
        group.throughput(Throughput::Elements(NEURONS as u64));
        let (uniform, per_neuron) = (shared(&*model), differing(&*model));
        for isa in Isa::all_available() {
            for (kind, params) in [("", &uniform), ("-per_neuron", &per_neuron)] {
                let mut state = State::<f32>::new(&*model, isa, params, |m, p| m.stepper_f32(p).expect("valid"));
                let id = BenchmarkId::new(format!("f32{kind}"), isa);
                group.bench_function(id, |b| b.iter(|| state.step()));
            }
            let mut state = State::<f64>::new(&*model, isa, &uniform, |m, p| m.stepper_f64(p).expect("valid"));
            group.bench_function(BenchmarkId::new("f64", isa), |b| b.iter(|| state.step()));
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().without_plots().sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(400));
    targets = bench
}
criterion_main!(benches);
