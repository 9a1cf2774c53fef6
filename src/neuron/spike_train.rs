//! Source that sends given spikes.
//!
//! An event at time `t` is sent in the step that ends at the multiple of `dt` nearest to `t`, so its recorded spike
//! time is `t` up to half a step. The earliest possible time is `dt`: no step ends before it. Two events of one neuron
//! that fall into one step are refused, since a neuron sends at most one spike a step.
//!
//! Parameters: none; the events are data, so the model is built from them and not by name.
//!
//! Reference: M.-O. Gewaltig, M. Diesmann (2007), NEST (NEural Simulation Tool), Scholarpedia 2:1430
//! (`spike_generator`).

use super::dynamics::validate;
use super::{Block, Built, ModelInfo, NeuronModel, ParamTable, Prepare, Receptor, Stepper, Variable};
use crate::compute::simd::Real;
use crate::error::{Error, Fault, Result};
use std::sync::Arc;

/// Source of given spikes, `spike_train`. The events are shared, not copied, between clones.
#[derive(Debug, Clone, PartialEq)]
pub struct SpikeTrain {
    /// Time (ms) and index within the population, in the order given.
    events: Arc<[(f64, u32)]>,
}

pub(super) const INFO: ModelInfo = ModelInfo {
    name: "spike_train",
    doc: "Source that sends given spikes",
    parameters: &[],
    variables: &[],
    options: &[],
    reference: "Gewaltig & Diesmann (2007) Scholarpedia 2:1430",
    is_source: true,
    needs: Some("a list of spikes"),
    make: refuse,
};

fn refuse(_info: &ModelInfo, _values: &[(&str, f64)], _options: &[(&str, &str)]) -> Built {
    Err(vec![(String::new(), "model `spike_train` is made from a list of spikes, not from parameters".to_owned())])
}

impl SpikeTrain {
    /// Events as (time in ms, index within the population), in any order.
    ///
    /// # Errors
    /// Every time that is not above zero and finite.
    pub fn new(events: impl Into<Arc<[(f64, u32)]>>) -> Result<Self> {
        let events = events.into();
        let faults: Vec<Fault> = events
            .iter()
            .enumerate()
            .filter(|(_, (time, _))| !(time.is_finite() && *time > 0.0))
            .map(|(i, (time, neuron))| {
                Fault::new(
                    format!("events[{i}]"),
                    format!("{time} ms (neuron {neuron}) is not a spike time; times are finite and above 0"),
                )
            })
            .collect();
        if faults.is_empty() { Ok(Self { events }) } else { Err(Error::Invalid(faults)) }
    }

    /// Spike times (ms) of each neuron.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_trains(trains: &[Vec<f64>]) -> Result<Self> {
        let events: Vec<(f64, u32)> = trains
            .iter()
            .enumerate()
            .flat_map(|(neuron, times)| times.iter().map(move |time| (*time, neuron as u32)))
            .collect();
        Self::new(events)
    }

    /// The events, as given.
    pub fn events(&self) -> &[(f64, u32)] {
        &self.events
    }

    /// Largest neuron index among the events; a population needs more neurons than this.
    pub fn highest_neuron(&self) -> Option<u32> {
        self.events.iter().map(|(_, neuron)| *neuron).max()
    }

    /// Events of the neurons of a part as (step, place within the part), ascending.
    fn on_grid(&self, prepare: &Prepare<'_>) -> Result<Vec<(u64, u32)>> {
        validate(self, prepare)?;
        let (first, dt) = (prepare.first, prepare.dt);
        let key = format!("population.{}.events", prepare.population);
        let mut faults = Vec::new();
        let mut events = Vec::new();
        for (time, neuron) in self.events.iter() {
            if *neuron < first || (*neuron - first) as usize >= prepare.len {
                continue;
            }
            let end = (time / dt).round();
            if end < 1.0 {
                let message =
                    format!("the spike of neuron {neuron} at {time} ms is before the end of the first step, {dt} ms");
                faults.push(Fault::new(key.clone(), message));
            } else {
                events.push((end as u64 - 1, neuron - first));
            }
        }
        events.sort_unstable();
        for pair in events.windows(2).filter(|pair| pair[0] == pair[1]) {
            let (step, place) = pair[0];
            let message = format!(
                "neuron {} has two spikes in the step that ends at {} ms; a neuron sends at most one spike in a step \
                 of {dt} ms",
                first + place,
                (step + 1) as f64 * dt
            );
            faults.push(Fault::new(key.clone(), message));
        }
        if faults.is_empty() { Ok(events) } else { Err(Error::Invalid(faults)) }
    }
}

/// The events of a part. `cursor` is only a guess where the next search ends, so steps may come in any order.
struct Events {
    events: Vec<(u64, u32)>,
    cursor: usize,
}

impl Events {
    /// Index of the first event at or after (step, place).
    fn seek(&mut self, at: (u64, u32)) -> usize {
        let guess = self.cursor;
        let before = guess == 0 || self.events[guess - 1] < at;
        let after = guess == self.events.len() || self.events[guess] >= at;
        if before && after { guess } else { self.events.partition_point(|event| *event < at) }
    }
}

impl<T: Real> Stepper<T> for Events {
    fn step(&mut self, block: &mut Block<'_, T>) {
        let start = block.offset as u32;
        let end = start + block.len as u32;
        let mut next = self.seek((block.step, start));
        while let Some((step, place)) = self.events.get(next).copied()
            && step == block.step
            && place < end
        {
            block.spike((place - start) as usize);
            next += 1;
        }
        self.cursor = next;
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.events)
    }
}

impl NeuronModel for SpikeTrain {
    fn name(&self) -> &str {
        INFO.name
    }

    fn given_spikes(&self) -> Option<&[(f64, u32)]> {
        Some(&self.events)
    }

    fn variables(&self) -> &[Variable] {
        &[]
    }

    fn receptors(&self, _params: &ParamTable) -> Vec<Receptor> {
        Vec::new()
    }

    fn is_source(&self) -> bool {
        true
    }

    fn cost(&self) -> f64 {
        0.1
    }

    fn stepper_f32(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<f32>>> {
        Ok(Box::new(Events { events: self.on_grid(prepare)?, cursor: 0 }))
    }

    fn stepper_f64(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<f64>>> {
        Ok(Box::new(Events { events: self.on_grid(prepare)?, cursor: 0 }))
    }
}
