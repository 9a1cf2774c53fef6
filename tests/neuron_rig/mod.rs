//! Steps one population of a model without an engine.
#![allow(dead_code)] // each test file uses its part

use std::sync::Arc;
use tessera::compute::Isa;
use tessera::compute::simd::Real;
use tessera::neuron::*;
use tessera::rng::{Key, Purpose, unit};

/// Element types a rig runs on.
pub trait Bits: Real {
    fn prepare(model: &dyn NeuronModel, prepare: &Prepare<'_>) -> tessera::error::Result<Box<dyn Stepper<Self>>>;
    fn bits(self) -> u64;
}

impl Bits for f32 {
    fn prepare(model: &dyn NeuronModel, prepare: &Prepare<'_>) -> tessera::error::Result<Box<dyn Stepper<Self>>> {
        model.stepper_f32(prepare)
    }
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Bits for f64 {
    fn prepare(model: &dyn NeuronModel, prepare: &Prepare<'_>) -> tessera::error::Result<Box<dyn Stepper<Self>>> {
        model.stepper_f64(prepare)
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
}

/// One part of a population.
pub struct Rig<T> {
    stepper: Box<dyn Stepper<T>>,
    pub len: usize,
    pub columns: Vec<Vec<T>>,
    pub inputs: Vec<Vec<T>>,
    refractory: Vec<u16>,
    pub spikes: Vec<u32>,
    pub now: u64,
}

impl<T: Bits> Rig<T> {
    /// 32 neurons with the model's own parameters.
    pub fn new(model: &Arc<dyn NeuronModel>, dt: f64) -> Self {
        Self::with(model, dt, shared(&**model, 32), Isa::detect())
    }

    pub fn with(model: &Arc<dyn NeuronModel>, dt: f64, params: ParamTable, isa: Isa) -> Self {
        let len = params.len;
        let prepare = Prepare { dt, seed: 7, population: "rig", params: &params, first: 0, len, isa };
        let stepper = T::prepare(&**model, &prepare).expect("valid parameters");
        let columns = (0..model.variables().len())
            .map(|v| (0..len).map(|n| T::of(model.initial(v, &params.row(n)))).collect())
            .collect();
        let inputs = model.receptors(&params).iter().map(|_| vec![T::ZERO; len]).collect();
        Self { stepper, len, columns, inputs, refractory: vec![0; len], spikes: vec![0; len / 32], now: 0 }
    }

    pub fn step(&mut self, current: Option<&Vec<T>>) {
        self.step_in_blocks(current, self.len);
    }

    /// One step, `size` neurons at a time.
    pub fn step_in_blocks(&mut self, current: Option<&Vec<T>>, size: usize) {
        self.spikes.fill(0);
        for offset in (0..self.len).step_by(size) {
            let end = (offset + size).min(self.len);
            let inputs: Vec<&[T]> = self.inputs.iter().map(|i| &i[offset..end]).collect();
            let mut columns: Vec<&mut [T]> = self.columns.iter_mut().map(|c| &mut c[offset..end]).collect();
            self.stepper.step(&mut Block {
                step: self.now,
                offset,
                len: end - offset,
                inputs: &inputs,
                current: current.map(|c| &c[offset..end]),
                columns: &mut columns,
                refractory: &mut self.refractory[offset..end],
                spikes: &mut self.spikes[offset / 32..end / 32],
            });
        }
        self.now += 1;
    }

    pub fn clear_inputs(&mut self) {
        self.inputs.iter_mut().for_each(|input| input.fill(T::ZERO));
    }

    /// Runs steps `from..to` and returns those in which neuron 0 spiked.
    pub fn spike_steps(&mut self, from: u64, to: u64, mut drive: impl FnMut(u64, &mut [Vec<T>])) -> Vec<u64> {
        assert_eq!(self.now, from);
        (from..to)
            .filter(|step| {
                drive(*step, &mut self.inputs);
                self.step(None);
                self.spikes[0] & 1 == 1
            })
            .collect()
    }
}

/// The model's own values for all neurons.
pub fn shared(model: &dyn NeuronModel, len: usize) -> ParamTable {
    ParamTable { len, columns: model.values().into_iter().map(ParamColumn::Uniform).collect() }
}

/// Every second parameter differs between neurons by up to a twentieth (refractory times by whole steps).
pub fn differing(model: &dyn NeuronModel, len: usize) -> ParamTable {
    let mut table = shared(model, len);
    for (i, parameter) in model.parameters().iter().enumerate() {
        if (i % 2 == 0 || parameter.name == "t_ref") && !parameter.name.starts_with("tau_syn") {
            let value = table.get(i, 0);
            let spread = |n: usize| match parameter.name {
                "t_ref" => value + 0.1 * (n % 5) as f64,
                _ => value * (1.0 + 0.05 * (n % 11) as f64 / 11.0),
            };
            table.columns[i] = ParamColumn::PerNeuron((0..len).map(spread).collect());
        }
    }
    table
}

/// Every model of the library that needs no data, with every option.
pub fn all_models() -> Vec<(String, Arc<dyn NeuronModel>)> {
    let mut models = Vec::new();
    for info in registry().iter().filter(|info| info.needs.is_none()) {
        models.push((info.name.to_owned(), info.build(&[], &[]).expect("defaults")));
        for option in info.options {
            for text in option.allowed.iter().filter(|text| **text != option.default) {
                let model = info.build(&[], &[(option.name, text)]).expect("an allowed text");
                models.push((format!("{} {text}", info.name), model));
            }
        }
    }
    models
}

/// Irregular input of one receptor in one step for 32 neurons: at strength 1 enough for spikes.
pub fn inputs_of(model: &dyn NeuronModel, receptor: usize, step: usize, strength: f64) -> Vec<f64> {
    let receptors = model.receptors(&shared(model, 32));
    let size = strength
        * match (model.name(), receptors[receptor].unit) {
            ("lif_euler", _) => 600.0,
            ("adex", _) => 400.0,
            (_, "pA") => 300.0,
            (_, "nS") => 120.0,
            (_, "mV") => 2.0,
            _ => 1.0,
        };
    let mut sequence = Key::new(3, Purpose::Source, receptor as u64).sequence(step as u64);
    (0..32)
        .map(|_| {
            let (chance, x) = (unit(sequence.next_word()), unit(sequence.next_word()));
            let value = if chance < 0.2 { size * x } else { 0.0 };
            match receptors[receptor].polarity {
                Polarity::Signed if chance < 0.05 => -value,
                Polarity::Inhibitory => -0.3 * value,
                Polarity::InhibitoryMagnitude => 0.3 * value,
                _ => value,
            }
        })
        .collect()
}
