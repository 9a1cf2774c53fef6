//! Stimuli at work: what each adds to the inputs and currents of one part of a population.

use super::partition::Part;
use crate::compute::ars::ArsKeys;
use crate::compute::poisson::{AddEvents, PoissonKeys, PoissonTable};
use crate::compute::simd::{Real, dispatch};
use crate::compute::{HugeVec, Isa};
use crate::model::{Distribution, Sampler, Selection, StimulusKind, StimulusSpec, StimulusTarget};
use crate::rng::{Key, Purpose, ROUNDS_STEP, philox};
use std::ops::Range;
use std::sync::Arc;

/// Where a weighted stimulus goes: the receptor and the factor its weights take there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub receptor: usize,
    pub weight: f64,
}

/// One stimulus on one part of a population.
pub(super) struct Stimulus<T> {
    /// Where it stands in the description: (stimulus, target).
    pub origin: (usize, usize),
    /// Steps in which it acts.
    active: Range<u64>,
    /// 1 for the neurons it acts on, 0 for the others, if not all.
    gains: Option<Vec<T>>,
    /// With `gains`, for each unit of 32 neurons which of them it acts on.
    units: Vec<u32>,
    kind: Kind<T>,
}

enum Kind<T> {
    Poisson(Box<Poisson<T>>),
    /// The same current for all neurons, and whether it is the same in all steps.
    Current(Box<dyn Fn(u64) -> f64 + Send>, bool),
    Noise(Noise<T>),
    Spikes {
        events: Vec<(u64, u32)>,
        weight: T,
        receptor: usize,
    },
    Matrix {
        values: Arc<[f32]>,
        columns: usize,
        interval: u64,
        level: f64,
        pairs: Vec<(u32, u32)>,
    },
}

/// How a stimulus keeps neurons from resting.
pub(super) enum Hold<'a> {
    /// It gives them something else in every step.
    Varies,
    /// It gives them the same in every step in which it acts.
    Constant,
    /// It sends events in these (step, neuron within the part), ascending.
    Events(&'a [(u64, u32)]),
}

/// Independent Poisson trains.
struct Poisson<T> {
    table: PoissonTable,
    keys: PoissonKeys,
    weight: T,
    receptor: usize,
    work: Vec<T>,
}

impl<T: Real> Poisson<T> {
    fn events<'a>(&'a self, first: u32, step: u64, out: &'a mut [T]) -> AddEvents<'a, T> {
        AddEvents { table: &self.table, keys: &self.keys, first, step, weight: self.weight, out }
    }
}

/// Gaussian currents: `x <- mean + keep * (x - mean) + spread * N(0, 1)` every `interval` steps.
struct Noise<T> {
    key: Key,
    normal: Sampler,
    mean: f64,
    keep: f64,
    spread: f64,
    interval: u64,
    /// First neuron of the part within its population.
    first: u32,
    /// Values that hold for the interval.
    values: Vec<T>,
    /// Exact state of an Ornstein-Uhlenbeck process before its next draw.
    state: Vec<f64>,
}

/// Inputs and currents of the neurons `offset..offset + len` of a part.
pub(super) struct Target<'a, T: Real> {
    pub step: u64,
    pub offset: usize,
    pub len: usize,
    pub inputs: &'a mut [HugeVec<T>],
    pub current: &'a mut [T],
}

impl<T: Real> Stimulus<T> {
    /// Prepares a stimulus for a part; `None` if none of its neurons is selected.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        origin: (usize, usize),
        spec: &StimulusSpec,
        target: &StimulusTarget,
        population: &str,
        part: &Part,
        route: Option<Route>,
        dt: f64,
        seed: u64,
    ) -> Option<Self> {
        let padded = part.padded();
        let range = part.first..part.first + part.len;
        let chosen: Option<Vec<(u32, u32)>> = match &target.neurons {
            Selection::All => None,
            Selection::Indices(indices) => {
                let from = indices.partition_point(|i| *i < range.start);
                let to = indices.partition_point(|i| *i < range.end);
                if from == to {
                    return None;
                }
                Some((from..to).map(|k| (indices[k] - part.first, k as u32)).collect())
            }
        };
        let gains = chosen.as_ref().map(|chosen| {
            let mut gains = vec![T::ZERO; padded];
            for (local, _) in chosen {
                gains[*local as usize] = T::of(1.0);
            }
            gains
        });
        let mut units = vec![0u32; padded / 32];
        for (local, _) in chosen.iter().flatten() {
            units[*local as usize / 32] |= 1 << (local % 32);
        }
        let step_of = |time: f64| if time.is_finite() { (time / dt).round().max(0.0) as u64 } else { u64::MAX };
        let active = step_of(spec.start)..step_of(spec.stop);
        let name = format!("{}/{population}", spec.name);
        let level = target.level;
        let kind = match &spec.kind {
            StimulusKind::Poisson { .. } => {
                let route = route?;
                Kind::Poisson(Box::new(Poisson {
                    table: PoissonTable::new(level * dt * 1e-3),
                    keys: PoissonKeys {
                        draw: ArsKeys::new(Key::named(seed, Purpose::Poisson, &name)),
                        refine: Key::named(seed, Purpose::PoissonRefine, &name),
                    },
                    weight: T::of(route.weight),
                    receptor: route.receptor,
                    work: Vec::new(),
                }))
            }
            StimulusKind::Dc => Kind::Current(Box::new(move |_| level), true),
            StimulusKind::Ac { frequency, phase, offset } => {
                let (omega, phase, offset) = (std::f64::consts::TAU * frequency * 1e-3, phase.to_radians(), *offset);
                // The value at the beginning of the step holds for the step.
                Kind::Current(Box::new(move |step| offset + level * libm::sin(omega * step as f64 * dt + phase)), false)
            }
            StimulusKind::Steps { times, amplitudes } => {
                let changes: Vec<(u64, f64)> =
                    times.iter().zip(amplitudes).map(|(t, a)| (step_of(*t), a * level)).collect();
                let value = move |step| {
                    let passed = changes.partition_point(|(from, _)| *from <= step);
                    if passed == 0 { 0.0 } else { changes[passed - 1].1 }
                };
                Kind::Current(Box::new(value), false)
            }
            StimulusKind::Noise { sd, interval } => {
                Kind::Noise(Noise::new(seed, &name, level, 0.0, *sd, step_of(*interval).max(1), part))
            }
            StimulusKind::OrnsteinUhlenbeck { sd, tau } => {
                let keep = libm::exp(-dt / tau);
                Kind::Noise(
                    Noise::new(seed, &name, level, keep, sd * (1.0 - keep * keep).sqrt(), 1, part).stationary(*sd),
                )
            }
            StimulusKind::Spikes { events, .. } => {
                let route = route?;
                let mut local: Vec<(u64, u32)> = Vec::new();
                for (time, index) in events.iter() {
                    // An event at time t arrives at the end of the step that ends at t.
                    let step = step_of(*time).max(1) - 1;
                    let neuron = match &target.neurons {
                        Selection::All => *index,
                        Selection::Indices(indices) => indices[*index as usize],
                    };
                    if range.contains(&neuron) {
                        local.push((step, neuron - part.first));
                    }
                }
                local.sort_unstable();
                Kind::Spikes { events: local, weight: T::of(route.weight), receptor: route.receptor }
            }
            StimulusKind::Matrix { values, columns, interval } => Kind::Matrix {
                values: values.clone(),
                columns: *columns,
                interval: step_of(*interval).max(1),
                level,
                pairs: chosen.unwrap_or_else(|| (0..part.len).map(|i| (i, part.first + i)).collect()),
            },
        };
        Some(Self { origin, active, gains, units, kind })
    }

    /// Bytes it holds on the heap; values that several parts share count at the first part only.
    pub fn bytes(&self, first: bool) -> usize {
        let gains = self.gains.as_ref().map_or(0, |gains| size_of_val(&**gains));
        let kind = match &self.kind {
            Kind::Poisson(poisson) => size_of::<Poisson<T>>() + poisson.work.capacity() * size_of::<T>(),
            Kind::Current(..) => 0,
            Kind::Noise(noise) => size_of_val(&*noise.values) + size_of_val(&*noise.state),
            Kind::Spikes { events, .. } => size_of_val(&**events),
            Kind::Matrix { values, pairs, .. } => {
                (if first { size_of_val(&**values) } else { 0 }) + size_of_val(&**pairs)
            }
        };
        gains + kind
    }

    /// Whether it is a Poisson stimulus of the whole part onto `receptor` that acts in `step`, so that its
    /// [`events`](Self::events) can be taken in along with the receptor's row.
    #[inline]
    pub fn merges(&self, receptor: usize, step: u64) -> bool {
        matches!(&self.kind, Kind::Poisson(poisson) if poisson.receptor == receptor)
            && self.gains.is_none()
            && self.active.contains(&step)
    }

    /// The events of a stretch of neurons in a step; instead of [`add`](Self::add) where it [`merges`](Self::merges).
    ///
    /// # Panics
    /// If it is not a Poisson stimulus.
    #[inline]
    pub fn events<'a>(&'a self, part_first: u32, step: u64, offset: usize, out: &'a mut [T]) -> AddEvents<'a, T> {
        let Kind::Poisson(poisson) = &self.kind else { unreachable!("only Poisson stimuli merge") };
        poisson.events(part_first + offset as u32, step, out)
    }

    /// The receptor it sends events to, if it does; otherwise it injects current.
    pub fn receptor(&self) -> Option<usize> {
        match &self.kind {
            Kind::Poisson(poisson) => Some(poisson.receptor),
            Kind::Spikes { receptor, .. } => Some(*receptor),
            _ => None,
        }
    }

    /// Steps in which it acts.
    pub fn active(&self) -> Range<u64> {
        self.active.clone()
    }

    /// How it keeps neurons from resting.
    pub fn hold(&self) -> Hold<'_> {
        match &self.kind {
            Kind::Current(_, true) => Hold::Constant,
            Kind::Spikes { events, .. } => Hold::Events(events),
            _ => Hold::Varies,
        }
    }

    /// Whether it acts on any of the neurons `offset..offset + len` of the part.
    pub fn acts_on(&self, offset: usize, len: usize) -> bool {
        match &self.kind {
            Kind::Matrix { pairs, .. } => {
                let from = pairs.partition_point(|(local, _)| (*local as usize) < offset);
                pairs.get(from).is_some_and(|(local, _)| (*local as usize) < offset + len)
            }
            _ => self.gains.is_none() || self.units[offset / 32..(offset + len) / 32].iter().any(|unit| *unit != 0),
        }
    }

    /// Copies the state of its process, if it has one, to the places of those neurons of the part that it acts on.
    pub fn take_process(&self, to: &mut [f64]) {
        if let Kind::Noise(noise) = &self.kind {
            for (i, (to, from)) in to.iter_mut().zip(&noise.state).enumerate() {
                if self.gains.as_ref().is_none_or(|gains| gains[i] != T::ZERO) {
                    *to = *from;
                }
            }
        }
    }

    /// Takes the state of its process, if it has one, from the places of the neurons of the part.
    pub fn put_process(&mut self, from: &[f64]) {
        if let Kind::Noise(noise) = &mut self.kind {
            for ((state, value), from) in noise.state.iter_mut().zip(&mut noise.values).zip(from) {
                *state = *from;
                *value = T::of(noise.mean + *from);
            }
        }
    }

    /// Adds what it does in a step to a stretch of neurons. Stretches of a step may come in any order, each once.
    #[inline]
    pub fn add(&mut self, isa: Isa, part_first: u32, target: Target<'_, T>) {
        if !self.active.contains(&target.step) {
            return;
        }
        let Target { step, offset, len, inputs, current } = target;
        let gains = self.gains.as_ref().map(|g| &g[offset..offset + len]);
        let units = &self.units[offset / 32..(offset + len) / 32];
        match &mut self.kind {
            Kind::Poisson(poisson) => {
                let first = part_first + offset as u32;
                let out = &mut inputs[poisson.receptor][..len];
                match gains {
                    None => dispatch(isa, poisson.events(first, step, out)),
                    Some(gains) => {
                        if units.iter().all(|unit| *unit == 0) {
                            return;
                        }
                        if units.iter().all(|unit| *unit == u32::MAX) {
                            return dispatch(isa, poisson.events(first, step, out));
                        }
                        let mut work = std::mem::take(&mut poisson.work);
                        work.clear();
                        work.resize(len, T::ZERO);
                        dispatch(isa, poisson.events(first, step, &mut work));
                        for ((out, events), gain) in out.iter_mut().zip(work.iter()).zip(gains) {
                            *out += given(*events, *gain);
                        }
                        poisson.work = work;
                    }
                }
            }
            Kind::Current(value, _) => {
                let value = T::of(value(step));
                match gains {
                    None => current.iter_mut().for_each(|c| *c += value),
                    Some(gains) => current.iter_mut().zip(gains).for_each(|(c, g)| *c += given(value, *g)),
                }
            }
            Kind::Noise(noise) => {
                noise.advance(step - self.active.start, step, offset, len);
                let values = &noise.values[offset..offset + len];
                match gains {
                    None => current.iter_mut().zip(values).for_each(|(c, x)| *c += *x),
                    Some(gains) => {
                        current.iter_mut().zip(values).zip(gains).for_each(|((c, x), g)| *c += given(*x, *g))
                    }
                }
            }
            Kind::Spikes { events, weight, receptor } => {
                let from = events.partition_point(|e| *e < (step, offset as u32));
                for (at, neuron) in &events[from..] {
                    if *at != step || *neuron as usize >= offset + len {
                        break;
                    }
                    inputs[*receptor][*neuron as usize - offset] += *weight;
                }
            }
            Kind::Matrix { values, columns, interval, level, pairs } => {
                let row = ((step - self.active.start) / *interval) as usize;
                let Some(row) = values.get(row * *columns..(row + 1) * *columns) else { return };
                let from = pairs.partition_point(|(local, _)| (*local as usize) < offset);
                for (local, column) in &pairs[from..] {
                    let Some(c) = current.get_mut(*local as usize - offset) else { break };
                    *c += T::of(f64::from(row[*column as usize]) * *level);
                }
            }
        }
    }
}

/// What a neuron gets: the value if it is chosen. Not a product, so that a value beyond the numbers stays with the
/// neurons it is meant for.
#[inline(always)]
fn given<T: Real>(value: T, gain: T) -> T {
    if gain == T::ZERO { T::ZERO } else { value }
}

impl<T: Real> Noise<T> {
    fn new(seed: u64, name: &str, mean: f64, keep: f64, spread: f64, interval: u64, part: &Part) -> Self {
        let padded = part.padded();
        let normal = Sampler::new(&Distribution::normal(0.0, 1.0)).expect("a standard normal distribution is valid");
        let key = Key::named(seed, Purpose::Noise, name);
        Self {
            key,
            normal,
            mean,
            keep,
            spread,
            interval,
            first: part.first,
            values: vec![T::of(mean); padded],
            state: vec![0.0; padded],
        }
    }

    /// Starts each neuron's process from its stationary distribution.
    fn stationary(mut self, sd: f64) -> Self {
        for i in 0..self.state.len() {
            self.state[i] = sd * self.draw(u64::MAX, i);
        }
        self
    }

    #[inline]
    fn draw(&self, step: u64, i: usize) -> f64 {
        let counter = [self.first + i as u32, step as u32, (step >> 32) as u32, 0];
        self.normal.sample(philox::<ROUNDS_STEP>(counter, self.key)[0])
    }

    fn advance(&mut self, since_start: u64, step: u64, offset: usize, len: usize) {
        if since_start.is_multiple_of(self.interval) {
            for i in offset..offset + len {
                self.state[i] = self.keep * self.state[i] + self.spread * self.draw(step, i);
                self.values[i] = T::of(self.mean + self.state[i]);
            }
        }
    }
}
