//! A number that tells one network from another, whatever threads, shards and instruction set it was built for.

use super::connectivity::{Connectivity, StoredWeights};
use super::machine::Shards;
use super::partition::Slot;
use super::procedural::is_procedural;
use super::shard::Shard;

use crate::compute::Crew;
use crate::compute::simd::Real;
use crate::model::{BrainModel, ConnectionRule, DelaySpec, Selection, StimulusKind, StimulusSpec};
use crate::neuron::ParamColumn;
use crate::synapse::Store;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use xxhash_rust::xxh3::Xxh3;

/// Counts the ways of computing the number that there have been.
const VERSION: u64 = 1;

/// The number of a network whose synapses sum to `synapses` (see [`Shards::sum_of_synapses`]).
///
/// It covers all that decides spikes but what a run is told besides: seed, time step and precision. Initial values are
/// left out, since they are state.
pub(super) fn fingerprint(model: &BrainModel, weights: &[StoredWeights], synapses: u64) -> u64 {
    let mut text = Text(Xxh3::new());
    text.number(VERSION);
    text.number(model.populations().len() as u64);
    for population in model.populations() {
        text.words(population.name());
        text.number(u64::from(population.size()));
        text.words(population.model().name());
        // Parameters that are no numbers, and those of models that keep their values to themselves.
        text.shown(population.model());
        for column in &population.params().columns {
            match column {
                ParamColumn::Uniform(value) => text.reals(&[*value]),
                ParamColumn::PerNeuron(values) => text.reals(values),
            }
        }
        for receptor in population.receptors() {
            text.words(receptor.name);
            text.shown(&receptor.polarity);
        }
    }
    text.number(weights.len() as u64);
    for stored in weights {
        text.words(&stored.population);
        text.words(&stored.receptor);
        text.reals(&[stored.grid.unit]);
        text.number(u64::from(stored.grid.bits));
    }
    text.number(model.spec().stimuli.len() as u64);
    for (index, stimulus) in model.spec().stimuli.iter().enumerate() {
        text.stimulus(model, index, stimulus);
    }
    text.number(synapses);
    for projection in 0..model.spec().projections.len() {
        if is_procedural(model, projection) {
            text.procedural(model, projection);
        }
    }
    text.0.digest()
}

/// What is hashed, as a sequence of bytes that can be cut in one way only.
struct Text(Xxh3);

impl Text {
    fn number(&mut self, n: u64) {
        self.0.update(&n.to_le_bytes());
    }

    fn words(&mut self, words: &str) {
        self.number(words.len() as u64);
        self.0.update(words.as_bytes());
    }

    fn reals(&mut self, values: &[f64]) {
        self.number(values.len() as u64);
        values.iter().for_each(|x| self.number(x.to_bits()));
    }

    /// The value as `Debug` shows it, which for numbers is exact.
    fn shown(&mut self, value: &impl std::fmt::Debug) {
        // Writing to a hash cannot fail; an implementation of `Debug` that fails adds what it had written.
        let _ = write!(self, "{value:?}");
        self.number(0);
    }

    /// All that the synapses of a procedural projection follow from: drawing them only for this would take long.
    fn procedural(&mut self, model: &BrainModel, projection: usize) {
        let spec = &model.spec().projections[projection];
        self.words("procedural");
        self.words(&spec.name);
        self.number(model.seed());
        self.number(spec.source.0 as u64);
        self.number(spec.target.0 as u64);
        self.shown(&(&spec.rule, &spec.weight, &spec.delay));
        self.shown(&model.projection_receptor(projection));
        self.number(u64::from(spec.autapses) | u64::from(spec.multapses) << 1);
        let spatial =
            matches!(spec.rule, ConnectionRule::Distance(_)) || matches!(spec.delay, DelaySpec::Distance { .. });
        if spatial {
            self.shown(&model.spec().lattice);
            for population in [spec.source, spec.target] {
                self.shown(&model.spec().populations[population.0].placement);
            }
        }
    }

    fn stimulus(&mut self, model: &BrainModel, index: usize, stimulus: &StimulusSpec) {
        self.words(&stimulus.name);
        self.reals(&[stimulus.start, stimulus.stop]);
        match &stimulus.kind {
            StimulusKind::Spikes { events, weight, .. } => {
                self.words("spikes");
                self.reals(&[*weight]);
                self.number(events.len() as u64);
                for (time, neuron) in events.iter() {
                    self.number(time.to_bits());
                    self.number(u64::from(*neuron));
                }
            }
            StimulusKind::Matrix { values, columns, interval } => {
                self.words("matrix");
                self.number(*columns as u64);
                self.reals(&[*interval]);
                self.number(values.len() as u64);
                values.iter().for_each(|x| self.0.update(&x.to_bits().to_le_bytes()));
            }
            other => self.shown(other),
        }
        self.number(stimulus.targets.len() as u64);
        for (place, target) in stimulus.targets.iter().enumerate() {
            self.number(target.population.0 as u64);
            self.reals(&[target.level]);
            self.number(model.stimulus_receptor(index, place).map_or(0, |receptor| receptor as u64 + 1));
            match &target.neurons {
                Selection::All => self.number(u64::MAX),
                Selection::Indices(indices) => {
                    self.number(indices.len() as u64);
                    indices.iter().for_each(|i| self.0.update(&i.to_le_bytes()));
                }
            }
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Scatters a number over 64 bits (the finaliser of SplitMix64; Steele, Lea & Flood 2014, "Fast splittable
/// pseudorandom number generators").
fn scatter(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

impl<T: Real> Shards<T> {
    /// A sum over all synapses of a hash of (source, target, receptor, delay, weight as stored). Being a sum, it does
    /// not depend on where the synapses lie. `None` if they lie in a file that is damaged.
    pub(super) fn sum_of_synapses(&self) -> Option<u64> {
        let sum = AtomicU64::new(0);
        let sound = AtomicBool::new(true);
        self.crew.run(&|worker| {
            for shard in self.shards[worker].lock().unwrap_or_else(|e| e.into_inner()).iter_mut() {
                if let Some(watch) = &mut shard.watch {
                    watch.fetch_all(&mut shard.pathways);
                }
                match sum_of(shard) {
                    Some(part) => drop(sum.fetch_add(part, Ordering::Relaxed)),
                    None => sound.store(false, Ordering::Relaxed),
                }
            }
        });
        sound.into_inner().then_some(sum.into_inner())
    }
}

fn sum_of<T: Real>(shard: &Shard<T>) -> Option<u64> {
    let mut slots = vec![0u64; shard.rows.slots()];
    for slice in &shard.slices {
        for (receptor, input) in slice.receptors.iter().enumerate() {
            for neuron in 0..slice.part.len {
                slots[input.slot + neuron as usize] = scatter_slot(slice.first_neuron + neuron, receptor);
            }
        }
    }
    let sums = shard.pathways.iter().map(|pathway| sum_of_store(&pathway.store, &pathway.delays, &slots));
    sums.sum_wrapping()
}

impl Connectivity {
    /// The same sum of synapses that are not part of a simulation.
    pub(super) fn sum_of_synapses(&self, model: &BrainModel, crew: &Crew) -> Option<u64> {
        let sum = AtomicU64::new(0);
        let sound = AtomicBool::new(true);
        let next = AtomicUsize::new(0);
        crew.run(&|_| {
            while let Some((shard, stores)) = {
                let shard = next.fetch_add(1, Ordering::Relaxed);
                self.stores.get(shard).map(|stores| (shard, stores))
            } {
                let slot = |slot| self.partition.slot(shard, slot);
                let scattered =
                    |at: Slot| scatter_slot(model.populations()[at.population].first() + at.neuron, at.receptor);
                let slots: Vec<u64> =
                    (0..self.partition.slots[shard] as u32).map(|s| slot(s).map_or(0, scattered)).collect();
                match stores.iter().map(|store| sum_of_store(store, &self.delays, &slots)).sum_wrapping() {
                    Some(part) => drop(sum.fetch_add(part, Ordering::Relaxed)),
                    None => sound.store(false, Ordering::Relaxed),
                }
            }
        });
        sound.into_inner().then_some(sum.into_inner())
    }
}

/// Sums that wrap around; none if one is missing.
trait SumWrapping {
    fn sum_wrapping(self) -> Option<u64>;
}

impl<I: Iterator<Item = Option<u64>>> SumWrapping for I {
    fn sum_wrapping(mut self) -> Option<u64> {
        self.try_fold(0u64, |sum, part| Some(sum.wrapping_add(part?)))
    }
}

/// What a slot stands for, scattered once and not for every synapse.
fn scatter_slot(neuron: u32, receptor: usize) -> u64 {
    scatter(u64::from(neuron) | (receptor as u64) << 32)
}

fn sum_of_store(store: &Store, delays: &[u32], slots: &[u64]) -> Option<u64> {
    let mut sum = 0u64;
    let mut sound = true;
    for (source, row) in store.rows.iter().enumerate().filter(|(_, row)| row.segments() > 0) {
        sound &= store.arena.for_each_segment(*row, |class, segment| {
            let Some(delay) = delays.get(usize::from(class)) else {
                sound = false;
                return;
            };
            let from = scatter(scatter(source as u64) ^ u64::from(*delay));
            store.arena.for_each_record(segment, |slot, weight| {
                let Some(slot) = slots.get(slot as usize) else {
                    sound = false;
                    return;
                };
                let weight = (weight as i64 as u64).wrapping_mul(0xA076_1D64_78BD_642F);
                let synapse = (slot ^ from).wrapping_add(weight);
                // A product folded upon itself mixes well and takes one multiplication.
                let product = u128::from(synapse) * 0xE703_7ED1_A0B4_28DB;
                sum = sum.wrapping_add(product as u64 ^ (product >> 64) as u64);
            });
        });
    }
    sound.then_some(sum)
}
