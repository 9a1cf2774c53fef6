//! [`SpikeHistory`]: who spiked when, over the last steps of a run.
//!
//! A ring of bit sets: one bit a neuron, one set a step. Lists of spikes would be smaller where neurons are silent most
//! of the time, but their size depends on the activity, and whether a neuron is on the list of a step takes a search.
//! With bits the memory is known before the run (`window x neurons / 8` bytes, and 4 bytes a neuron for its count) and
//! never grows, whatever the network does, and a look-up is one word at a known place. A step costs one pass over the
//! words of the set that leaves the window, `neurons / 64` of them.

use super::recorder::{Layout, Recorder, Spike};
use crate::error::{Error, Result};
use std::ops::Range;

/// Bytes a history may take unless it is told otherwise.
const LIMIT: u64 = 1 << 30;

/// Keeps who spiked in the last steps of a run, in memory of fixed size.
///
/// Neurons are named by their numbers in the whole network. What a question is about has to be known: steps that left the
/// window or lie ahead, and neurons of populations that are not kept, give `None`. A run that goes on from a checkpoint
/// begins with an empty history; [`steps`](Self::steps) tells what it knows.
///
/// ```
/// use tessera::prelude::*;
/// use tessera::engine::SpikeHistory;
///
/// # fn main() -> Result<()> {
/// let mut net = NetworkSpec::default();
/// let a = net.population("a", 100, LifPscDelta::default())?;
/// net.stimulate("in", a, 20_000.0, StimulusKind::Poisson { weight: 1.0, receptor: None })?;
/// let model = BrainModel::build(&net, 1)?;
/// let mut sim = Simulation::new(model, SimOptions { threads: 1, ..Default::default() })?;
/// let history = sim.record(SpikeHistory::of_steps(500))?; // the last 50 ms
/// sim.run(200.0)?;
/// let history = sim.recorder(&history);
/// assert_eq!(history.steps(), 1500..2000);
/// println!("neuron 7 spiked in step 1999: {:?}", history.spiked(7, 1999));
/// println!("{} neurons were active in the last 10 ms", history.active_in_last(100));
/// # assert!(history.mean_rate_hz(500) > 0.0 && history.count(7).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SpikeHistory {
    window: u64,
    populations: Vec<String>,
    limit: u64,
    dt: f64,
    /// For each population kept: its neurons in the network, and the place of the first of them.
    ranges: Vec<(Range<u32>, usize)>,
    neurons: usize,
    /// Words of the set of one step.
    words: usize,
    /// Set of step `s` at `(s % window) * words`.
    bits: Vec<u64>,
    /// At `s % window`: spikes of all steps up to `s`, `s` included.
    up_to: Vec<u64>,
    /// Spikes within the window, of each neuron.
    counts: Vec<u32>,
    /// Neurons with spikes within the window.
    active: usize,
    /// Spikes of all steps before the window.
    before: u64,
    known: Range<u64>,
}

impl SpikeHistory {
    /// A history of the last `window` steps (at least 1) of all populations.
    pub fn of_steps(window: u64) -> Self {
        Self {
            window: window.max(1),
            populations: Vec::new(),
            limit: LIMIT,
            dt: 0.0,
            ranges: Vec::new(),
            neurons: 0,
            words: 0,
            bits: Vec::new(),
            up_to: Vec::new(),
            counts: Vec::new(),
            active: 0,
            before: 0,
            known: 0..0,
        }
    }

    /// Keeps the named populations only.
    #[must_use]
    pub fn of_populations<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.populations = names.into_iter().map(Into::into).collect();
        self
    }

    /// Bytes it may take, 1 GiB unless it is told here; a run that would take more does not start.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// The steps it knows: at most the last `window`.
    pub fn steps(&self) -> Range<u64> {
        self.known.clone()
    }

    /// Neurons it keeps.
    pub fn neurons(&self) -> usize {
        self.neurons
    }

    /// Whether a neuron spiked in a step, in constant time.
    pub fn spiked(&self, neuron: u32, step: u64) -> Option<bool> {
        let place = self.place(neuron)?;
        self.known.contains(&step).then(|| self.bit(place, step))
    }

    /// Spikes of a neuron in all steps that are known, in constant time.
    pub fn count(&self, neuron: u32) -> Option<u32> {
        Some(self.counts[self.place(neuron)?])
    }

    /// Spikes of a neuron in the last `steps` steps (fewer if fewer are known), in time proportional to `steps`.
    pub fn count_in_last(&self, neuron: u32, steps: u64) -> Option<u32> {
        let place = self.place(neuron)?;
        Some(self.last(steps).map(|step| u32::from(self.bit(place, step))).sum())
    }

    /// Mean rate of a neuron over the last `steps` steps (fewer if fewer are known), Hz; 0 before the first step.
    pub fn rate_hz(&self, neuron: u32, steps: u64) -> Option<f64> {
        let count =
            if self.last(steps) == self.known { self.count(neuron)? } else { self.count_in_last(neuron, steps)? };
        Some(self.per_second(f64::from(count), steps))
    }

    /// Spikes of all neurons kept in the last `steps` steps (fewer if fewer are known), in constant time.
    pub fn spikes_in_last(&self, steps: u64) -> u64 {
        let range = self.last(steps);
        if range.is_empty() { 0 } else { self.until(range.end) - self.until(range.start) }
    }

    /// Spikes of all neurons kept in one step, in constant time.
    pub fn spikes_in(&self, step: u64) -> Option<u64> {
        self.known.contains(&step).then(|| self.until(step + 1) - self.until(step))
    }

    /// Mean rate of the neurons kept over the last `steps` steps (fewer if fewer are known), Hz, in constant time; 0
    /// before the first step.
    pub fn mean_rate_hz(&self, steps: u64) -> f64 {
        self.per_second(self.spikes_in_last(steps) as f64 / self.neurons.max(1) as f64, steps)
    }

    /// Neurons with a spike in the steps that are known, in constant time.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Neurons with a spike in the last `steps` steps, in time proportional to `steps x neurons / 64`.
    pub fn active_in_last(&self, steps: u64) -> usize {
        self.union(steps).iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The neurons with a spike in the last `steps` steps, ascending within each population, populations in the order of
    /// the network.
    pub fn active_neurons(&self, steps: u64) -> Vec<u32> {
        let union = self.union(steps);
        let set = |place: usize| union[place / 64] >> (place % 64) & 1 == 1;
        let of = |(range, first): &(Range<u32>, usize)| {
            let first = *first;
            range.clone().enumerate().filter(move |(i, _)| set(first + i)).map(|(_, neuron)| neuron).collect::<Vec<_>>()
        };
        self.ranges.iter().flat_map(of).collect()
    }

    /// The neurons that spiked in a step, as [`active_neurons`](Self::active_neurons) orders them.
    pub fn spikes_of(&self, step: u64) -> Option<Vec<u32>> {
        self.known.contains(&step).then(|| {
            let mut at = self.ranges.iter().peekable();
            let mut found = Vec::new();
            each_bit(self.set(step), |place| {
                while at.peek().is_some_and(|(range, first)| place >= first + range.len()) {
                    at.next();
                }
                if let Some((range, first)) = at.peek() {
                    found.push(range.start + (place - first) as u32);
                }
            });
            found
        })
    }

    /// Bytes it takes: known once the run has begun, and the same from then on.
    fn bytes_of(window: u64, neurons: u64) -> u64 {
        let words = neurons.div_ceil(64);
        window.saturating_mul(words * 8 + 8).saturating_add(neurons * 4)
    }

    /// Place of a neuron among those kept.
    fn place(&self, neuron: u32) -> Option<usize> {
        let (range, first) = self.ranges.iter().find(|(range, _)| range.contains(&neuron))?;
        Some(first + (neuron - range.start) as usize)
    }

    fn row(&self, step: u64) -> usize {
        (step % self.window) as usize
    }

    fn set(&self, step: u64) -> &[u64] {
        &self.bits[self.row(step) * self.words..][..self.words]
    }

    fn bit(&self, place: usize, step: u64) -> bool {
        self.set(step)[place / 64] >> (place % 64) & 1 == 1
    }

    /// The last `steps` of the steps that are known.
    fn last(&self, steps: u64) -> Range<u64> {
        self.known.end.saturating_sub(steps).max(self.known.start)..self.known.end
    }

    /// Spikes of all steps before `step`, which is known, or the end.
    fn until(&self, step: u64) -> u64 {
        if step == self.known.start { self.before } else { self.up_to[self.row(step - 1)] }
    }

    fn union(&self, steps: u64) -> Vec<u64> {
        let mut union = vec![0u64; self.words];
        for step in self.last(steps) {
            union.iter_mut().zip(self.set(step)).for_each(|(all, word)| *all |= word);
        }
        union
    }

    fn per_second(&self, spikes: f64, steps: u64) -> f64 {
        let seconds = self.last(steps).count() as f64 * self.dt * 1e-3;
        if seconds > 0.0 { spikes / seconds } else { 0.0 }
    }

    /// Forgets the oldest step.
    fn forget(&mut self) {
        let oldest = self.known.start;
        let row = self.row(oldest);
        self.before = self.up_to[row];
        let (bits, counts, active) =
            (&mut self.bits[row * self.words..][..self.words], &mut self.counts, &mut self.active);
        each_bit(bits, |place| {
            counts[place] -= 1;
            *active -= usize::from(counts[place] == 0);
        });
        bits.fill(0);
        self.known.start += 1;
    }

    /// Forgets everything and knows nothing before `step`.
    fn begin_at(&mut self, step: u64) {
        self.before = if self.known.is_empty() { self.before } else { self.until(self.known.end) };
        self.bits.fill(0);
        self.counts.fill(0);
        self.active = 0;
        self.known = step..step;
    }
}

/// Calls `visit` with the place of every bit that is set, in order.
fn each_bit(words: &[u64], mut visit: impl FnMut(usize)) {
    for (number, word) in words.iter().enumerate() {
        let mut word = *word;
        while word != 0 {
            visit(number * 64 + word.trailing_zeros() as usize);
            word &= word - 1;
        }
    }
}

impl Recorder for SpikeHistory {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        if let Some(unknown) = self.populations.iter().find(|name| layout.populations.iter().all(|p| p.name != **name))
        {
            let known: Vec<&str> = layout.populations.iter().map(|p| &*p.name).collect();
            return Err(Error::Usage(format!(
                "the spike history asks for a population `{unknown}`; the network has {}",
                known.join(", ")
            )));
        }
        self.ranges.clear();
        self.neurons = 0;
        for p in &layout.populations {
            if self.populations.is_empty() || self.populations.contains(&p.name) {
                self.ranges.push((p.first..p.first + p.size, self.neurons));
                self.neurons += p.size as usize;
            }
        }
        let bytes = Self::bytes_of(self.window, self.neurons as u64);
        if bytes > self.limit {
            return Err(Error::NotEnoughMemory(format!(
                "a spike history of {} steps of {} neurons takes {:.2} GB, but its limit is {:.2} GB; keep fewer steps or \
                 populations, or raise the limit",
                self.window,
                self.neurons,
                bytes as f64 * 1e-9,
                self.limit as f64 * 1e-9
            )));
        }
        self.dt = layout.dt;
        self.words = self.neurons.div_ceil(64);
        self.bits = vec![0; self.window as usize * self.words];
        self.up_to = vec![0; self.window as usize];
        self.counts = vec![0; self.neurons];
        (self.active, self.before, self.known) = (0, 0, 0..0);
        Ok(())
    }

    fn spikes(&mut self, from: u64, to: u64, spikes: &[Spike]) -> Result<()> {
        // Of a stretch longer than the window only its end matters; a run that goes on begins where it does.
        let first = to.saturating_sub(self.window).max(from);
        if first > self.known.end {
            self.begin_at(first);
        }
        let mut spikes = spikes[spikes.partition_point(|spike| spike.step < first)..].iter().peekable();
        for step in first..to {
            if self.known.end - self.known.start == self.window {
                self.forget();
            }
            let mut total = self.until(step);
            let row = self.row(step) * self.words;
            while let Some(spike) = spikes.next_if(|spike| spike.step == step) {
                if let Some(place) = self.place(spike.neuron) {
                    self.bits[row + place / 64] |= 1 << (place % 64);
                    self.active += usize::from(self.counts[place] == 0);
                    self.counts[place] += 1;
                    total += 1;
                }
            }
            let row = self.row(step);
            self.up_to[row] = total;
            self.known.end = step + 1;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.bits.capacity() + self.up_to.capacity()) * 8 + self.counts.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorder::PopulationLayout;
    use super::*;
    use proptest::prelude::*;

    fn layout(sizes: &[u32]) -> Layout {
        let mut first = 0;
        let populations = sizes.iter().enumerate().map(|(i, size)| {
            first += size;
            PopulationLayout { name: format!("p{i}"), first: first - size, size: *size }
        });
        Layout { dt: 0.5, populations: populations.collect(), states: Vec::new() }
    }

    proptest! {
        /// Every answer is that of a list of all spikes, however the run was cut into stretches.
        #[test]
        fn answers_are_those_of_a_list(
            seeds in prop::collection::btree_set((0u64..300, 0u32..150), 0..400),
            window in 1u64..90,
            cuts in prop::collection::vec(1u64..200, 1..8),
            begin in prop::sample::select(vec![0u64, 17]),
            last in 0u64..120,
        ) {
            let all: Vec<Spike> = seeds.iter().filter(|s| s.0 >= begin).map(|(step, neuron)| Spike { step: *step, neuron: *neuron }).collect();
            let mut history = SpikeHistory::of_steps(window).of_populations(["p0", "p2"]);
            history.start(&layout(&[70, 10, 70])).unwrap();
            let kept = |n: u32| !(70..80).contains(&n);
            let mut at = begin;
            for cut in cuts {
                let to = (at + cut).min(300);
                let stretch: Vec<Spike> = all.iter().filter(|s| (at..to).contains(&s.step)).copied().collect();
                history.spikes(at, to, &stretch).unwrap();
                at = to;
                let known = history.steps();
                prop_assert_eq!(known.clone(), at.saturating_sub(window).max(begin)..at);
                let recent = at.saturating_sub(last).max(known.start)..at;
                let within = |range: &Range<u64>, n: u32| all.iter().filter(|s| s.neuron == n && range.contains(&s.step)).count();
                let mut active = Vec::new();
                for n in 0..150 {
                    if !kept(n) {
                        prop_assert_eq!((history.count(n), history.spiked(n, at - 1)), (None, None));
                        continue;
                    }
                    prop_assert_eq!(history.count(n), Some(within(&known, n) as u32));
                    prop_assert_eq!(history.count_in_last(n, last), Some(within(&recent, n) as u32));
                    if within(&recent, n) > 0 {
                        active.push(n);
                    }
                }
                let total: usize = (0..150).filter(|n| kept(*n)).map(|n| within(&recent, n)).sum();
                prop_assert_eq!(history.spikes_in_last(last), total as u64);
                prop_assert_eq!(history.active_in_last(last), active.len());
                prop_assert_eq!(history.active_neurons(last), active);
                prop_assert_eq!(history.active(), (0..150).filter(|n| kept(*n) && within(&known, *n) > 0).count());
                for step in known.clone() {
                    let own: Vec<u32> = all.iter().filter(|s| s.step == step && kept(s.neuron)).map(|s| s.neuron).collect();
                    prop_assert_eq!(history.spikes_in(step), Some(own.len() as u64));
                    prop_assert!(own.iter().all(|n| history.spiked(*n, step) == Some(true)));
                    prop_assert_eq!(history.spikes_of(step), Some(own));
                }
                prop_assert_eq!(history.spiked(3, at), None);
                prop_assert_eq!(history.bytes() as u64, SpikeHistory::bytes_of(window, 140));
            }
        }
    }

    #[test]
    fn rates_are_over_the_steps_that_are_known() {
        let mut history = SpikeHistory::of_steps(1_000);
        history.start(&layout(&[2])).unwrap();
        assert_eq!((history.mean_rate_hz(10), history.rate_hz(0, 10)), (0.0, Some(0.0)));
        let spikes: Vec<Spike> = (0..10).map(|i| Spike { step: i * 10, neuron: 0 }).collect();
        history.spikes(0, 100, &spikes).unwrap();
        // 10 spikes of one of two neurons in 100 steps of 0.5 ms.
        assert_eq!((history.rate_hz(0, u64::MAX), history.rate_hz(1, 50)), (Some(200.0), Some(0.0)));
        assert_eq!((history.mean_rate_hz(100), history.rate_hz(0, 20)), (100.0, Some(200.0)));
    }

    #[test]
    fn too_much_memory_and_unknown_populations_are_refused() {
        let error = SpikeHistory::of_steps(1 << 40).start(&layout(&[1000])).unwrap_err().to_string();
        assert!(error.contains("1099511627776 steps of 1000 neurons") && error.contains("limit is 1.07 GB"), "{error}");
        let error = SpikeHistory::of_steps(5).of_populations(["q"]).start(&layout(&[10, 20])).unwrap_err().to_string();
        assert_eq!(error, "the spike history asks for a population `q`; the network has p0, p1");
    }
}
