//! Taking the state of all neurons out of the shards and putting it back, whatever the shards are.

use super::machine::Shards;
use super::partition::Part;
use super::procedural::Procedural;
use super::recorder::Spike;
use super::shard::{Fault, Pathway, Shard, Slice, What};
use super::snapshot::StateColumn;
use crate::compute::simd::Real;
use std::ops::Range;

/// Where the neurons of a part lie among those of their population.
fn places(part: &Part) -> Range<usize> {
    part.first as usize..(part.first + part.len) as usize
}

impl<T: Real> Shards<T> {
    /// Calls `visit` for every shard.
    fn each_shard(&self, mut visit: impl FnMut(&Shard<T>)) {
        for worker in &self.shards {
            worker.lock().unwrap_or_else(|e| e.into_inner()).iter().for_each(&mut visit);
        }
    }

    /// Calls `visit` for every shard, to change it.
    fn each_shard_mut(&mut self, visit: impl FnMut(&mut Shard<T>)) {
        let all = self.shards.iter_mut().flat_map(|w| w.get_mut().unwrap_or_else(|e| e.into_inner()).iter_mut());
        all.for_each(visit);
    }

    /// Copies the state of a population to `columns` and `refractory`, which have an entry for each of its neurons.
    pub(super) fn take_population(&self, population: usize, columns: &mut [StateColumn], refractory: &mut [u16]) {
        self.each_shard(|shard| {
            for slice in shard.slices.iter().filter(|slice| slice.population == population) {
                let (places, len) = (places(&slice.part), slice.part.len as usize);
                for (variable, (to, from)) in columns.iter_mut().zip(&slice.columns).enumerate() {
                    match &slice.tiles {
                        None => to.write(places.start, from[..len].iter().map(|x| x.to_f64())),
                        Some(tiles) => {
                            let mut values = from[..len].to_vec();
                            tiles.fill_in(variable, &mut values);
                            to.write(places.start, values.iter().map(|x| x.to_f64()));
                        }
                    }
                }
                refractory[places].copy_from_slice(&slice.refractory[..len]);
            }
        });
    }

    /// The reverse of [`take_population`](Self::take_population).
    pub(super) fn put_population(&mut self, population: usize, columns: &[StateColumn], refractory: &[u16]) {
        self.each_shard_mut(|shard| {
            for slice in shard.slices.iter_mut().filter(|slice| slice.population == population) {
                let (places, len) = (places(&slice.part), slice.part.len as usize);
                for (to, from) in slice.columns.iter_mut().zip(columns) {
                    for (to, place) in to.iter_mut().zip(places.clone()) {
                        *to = T::of(from.get(place));
                    }
                    // Padding neurons are stepped too: their state has to be a valid one.
                    let last = to[len - 1];
                    to[len..].fill(last);
                }
                slice.refractory[..len].copy_from_slice(&refractory[places]);
            }
        });
    }

    /// Copies the state of a stimulus's process to `state`, which has an entry for each neuron of its population.
    pub(super) fn take_process(&self, origin: (usize, usize), state: &mut [f64]) {
        self.each_shard(|shard| {
            for Slice { part, stimuli, .. } in &shard.slices {
                for stimulus in stimuli.iter().filter(|s| s.origin == origin) {
                    stimulus.take_process(&mut state[places(part)]);
                }
            }
        });
    }

    /// The reverse of [`take_process`](Self::take_process).
    pub(super) fn put_process(&mut self, origin: (usize, usize), state: &[f64]) {
        self.each_shard_mut(|shard| {
            for Slice { part, stimuli, .. } in &mut shard.slices {
                for stimulus in stimuli.iter_mut().filter(|s| s.origin == origin) {
                    stimulus.put_process(&state[places(part)]);
                }
            }
        });
    }

    /// The longest delay there may be, steps.
    pub(super) fn longest_of_all(&self) -> u32 {
        let mut longest = self.procedural.as_ref().map_or(1, Procedural::longest);
        self.each_shard(|shard| {
            let delays = shard.pathways.iter().flat_map(|pathway| &pathway.delays);
            longest = delays.copied().fold(longest, u32::max);
        });
        longest
    }

    /// Sends spikes of steps before `step` once more, on a machine that is about to take its first step, `step`.
    ///
    /// Those of the last step go to a mailbox, as that step's exchange is part of the next; of the others, the
    /// synapses that have not been reached yet go to the calendars. Inputs are integer sums, so order does not matter.
    pub(super) fn send_again(&mut self, step: u64, spikes: &[Spike]) {
        let Some(last) = step.checked_sub(1) else { return };
        if let Some(mailbox) = self.mailboxes.first_mut() {
            let list = mailbox.list_mut(last);
            list.clear();
            list.extend(spikes.iter().filter(|spike| spike.step == last).map(|spike| spike.neuron));
        }
        if let Some(procedural) = &mut self.procedural {
            procedural.send_again(step, spikes);
        }
        self.each_shard_mut(|shard| {
            let mut sound = true;
            for Pathway { store, calendar, delays } in &mut shard.pathways {
                for spike in spikes.iter().filter(|spike| spike.step < last) {
                    let row = store.rows[spike.neuron as usize];
                    sound &= store.arena.for_each_segment(row, |class, segment| match delays.get(usize::from(class)) {
                        Some(delay) if spike.step + u64::from(*delay) >= step => {
                            calendar.push(spike.step + u64::from(*delay), segment);
                        }
                        Some(_) => {}
                        None => sound = false,
                    });
                }
            }
            if !sound {
                shard.fault = Some(Fault { step, what: What::Damaged });
            }
        });
    }
}
