//! What the parts of a network cost a step: expected from the model alone, or measured.

use super::connectivity::Connectivity;
use super::partition::{BLOCK, Partition};
use crate::compute::Crew;
use crate::error::Result;
use crate::model::BrainModel;
use crate::model::wiring::{SynapseBuffer, Wiring};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seconds a step of a neuron of cost 1 takes.
const NEURON_STEP_S: f64 = 0.1e-9;
/// Seconds a synaptic event takes.
const EVENT_S: f64 = 0.5e-9;
/// Rate at which sources are assumed to spike, Hz: nobody knows it before the run.
const ASSUMED_RATE_HZ: f64 = 5.0;
/// Synapses that are looked at to learn how in-degrees differ; of more, a sample of the sources is drawn.
const SAMPLE: f64 = (1 << 21) as f64;
/// Sources a worker takes at a time.
const BATCH: u32 = 1024;

/// The cost of every block of 32 neurons of every population, in seconds a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BlockLoads {
    /// For each population and block, stepping its neurons.
    pub update: Vec<Vec<f64>>,
    /// Delivering what arrives at them.
    pub delivery: Vec<Vec<f64>>,
}

impl BlockLoads {
    /// Expected loads of a network whose synapses are still to be drawn. The same for any crew.
    pub fn of_wirings(model: &BrainModel, wirings: &[Box<dyn Wiring>], dt: f64, crew: &Crew) -> Self {
        let expected = wirings.iter().map(|w| w.expected()).sum();
        let mut lanes: Vec<Vec<(&dyn Wiring, usize)>> = vec![Vec::new(); model.populations().len()];
        for (wiring, projection) in wirings.iter().zip(&model.spec().projections) {
            lanes[projection.source.0].push((&**wiring, projection.target.0));
        }
        let counted = count(model, expected, crew, |tally: &mut Tally, population, source| {
            for (wiring, target) in &lanes[population] {
                tally.buffer.clear();
                wiring.append(source, &mut tally.buffer);
                let blocks = &mut tally.arriving[*target];
                tally.buffer.target.iter().for_each(|neuron| blocks[(neuron / BLOCK) as usize] += 1);
            }
            Ok(())
        });
        Self::new(model, dt, &counted.unwrap_or_else(|_| unreachable!("drawing does not fail")))
    }

    /// Expected loads of a network whose synapses exist. The same for any crew and any cut.
    ///
    /// # Errors
    /// If the synapses lie in a file that is damaged.
    pub fn of_connectivity(model: &BrainModel, from: &Connectivity, dt: f64, crew: &Crew) -> Result<Self> {
        let populations = model.populations();
        let counted = count(model, from.synapses() as f64, crew, |tally: &mut Tally, population, source| {
            from.for_each_record(populations[population].first() + source, &mut |at, _| {
                tally.arriving[at.population][(at.neuron / BLOCK) as usize] += 1;
            })
        })?;
        Ok(Self::new(model, dt, &counted))
    }

    fn new(model: &BrainModel, dt: f64, (stride, arriving): &(u64, Vec<Vec<u64>>)) -> Self {
        let update = model.populations().iter().map(|population| {
            let cost = population.model().cost();
            // A model of one's own may say anything.
            let cost = if cost.is_finite() { cost.clamp(1e-3, 1e6) } else { 1.0 };
            let firsts = (0..population.size()).step_by(BLOCK as usize);
            let neurons = firsts.map(|first| BLOCK.min(population.size() - first));
            neurons.map(|n| f64::from(n) * cost * NEURON_STEP_S).collect()
        });
        let event = *stride as f64 * ASSUMED_RATE_HZ * dt * 1e-3 * EVENT_S;
        let delivery = arriving.iter().map(|blocks| blocks.iter().map(|n| *n as f64 * event).collect());
        Self { update: update.collect(), delivery: delivery.collect() }
    }

    /// Loads in which all blocks cost the same.
    pub fn even(model: &BrainModel) -> Self {
        let ones = |p: &crate::model::Population| vec![1.0; p.size().div_ceil(BLOCK) as usize];
        let update: Vec<_> = model.populations().iter().map(ones).collect();
        let delivery = update.iter().map(|blocks| vec![0.0; blocks.len()]).collect();
        Self { update, delivery }
    }

    /// Both parts together, for each population and block.
    pub fn totals(&self) -> Vec<Vec<f64>> {
        let both = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
        self.update.iter().zip(&self.delivery).map(both).collect()
    }

    /// These loads, scaled shard by shard so that they sum to what was measured: seconds of update and of delivery.
    pub fn measured(&self, partition: &Partition, shards: &[[f64; 2]]) -> Self {
        let mut sums = vec![[0.0f64; 2]; partition.shards];
        let parts = [&self.update, &self.delivery];
        for (phase, loads) in parts.iter().enumerate() {
            for (places, loads) in partition.blocks.iter().zip(loads.iter()) {
                places.iter().zip(loads).for_each(|(place, load)| sums[place.shard as usize][phase] += load);
            }
        }
        let scaled = |phase: usize| {
            let of_population = |(places, loads): (&Vec<super::partition::BlockPlace>, &Vec<f64>)| {
                let scale = |shard: usize| {
                    if sums[shard][phase] > 0.0 { shards[shard][phase] / sums[shard][phase] } else { 0.0 }
                };
                places.iter().zip(loads).map(|(place, load)| load * scale(place.shard as usize)).collect()
            };
            partition.blocks.iter().zip(parts[phase]).map(of_population).collect()
        };
        Self { update: scaled(0), delivery: scaled(1) }
    }
}

/// What a worker has counted.
struct Tally {
    buffer: SynapseBuffer,
    /// Synapses onto each block of each population.
    arriving: Vec<Vec<u64>>,
}

/// Calls `visit` for a sample of the sources, and gives one in how many they are and the synapses counted.
fn count(
    model: &BrainModel,
    expected: f64,
    crew: &Crew,
    visit: impl Fn(&mut Tally, usize, u32) -> Result<()> + Sync,
) -> Result<(u64, Vec<Vec<u64>>)> {
    let populations = model.populations();
    let stride = (expected / SAMPLE).ceil().max(1.0) as u64;
    let zeros = || populations.iter().map(|p| vec![0u64; p.size().div_ceil(BLOCK) as usize]).collect::<Vec<_>>();
    let total = Mutex::new(zeros());
    let batches: Vec<(usize, u32)> = populations
        .iter()
        .enumerate()
        .flat_map(|(p, population)| (0..population.size()).step_by(BATCH as usize).map(move |first| (p, first)))
        .collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    crew.run(&|_| {
        let mut tally = Tally { buffer: SynapseBuffer::default(), arriving: zeros() };
        while let Some((population, first)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            for source in *first..(first + BATCH).min(populations[*population].size()) {
                let neuron = populations[*population].first() + source;
                if !sampled(neuron, stride) {
                    continue;
                }
                if let Err(error) = visit(&mut tally, *population, source) {
                    failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                    return;
                }
            }
        }
        let mut total = total.lock().unwrap_or_else(|e| e.into_inner());
        for (sums, counts) in total.iter_mut().zip(&tally.arriving) {
            sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        }
    });
    match failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(error) => Err(error),
        None => Ok((stride, total.into_inner().unwrap_or_else(|e| e.into_inner()))),
    }
}

/// Whether a source is one of every `stride` that are looked at: scattered, as regular steps would always meet the same
/// corner of a cube of the Z-order curve.
fn sampled(neuron: u32, stride: u64) -> bool {
    let scattered = u64::from(neuron).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (scattered >> 20).is_multiple_of(stride)
}
