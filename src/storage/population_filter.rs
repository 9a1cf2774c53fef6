//! Which populations a recorder keeps, and where a neuron of the network belongs.

use crate::engine::{Layout, Spike};
use crate::error::{Error, Fault, Result, did_you_mean};

/// The populations a recorder keeps, each with the place of its records (its slot).
///
/// Invariant: `slots` holds ascending, disjoint ranges of neuron numbers.
#[derive(Debug)]
pub(super) struct Chosen {
    slots: Vec<Slot>,
    /// Slot of the last spike: spikes of one step come in order of neurons, so the next is most often there too.
    last: usize,
}

/// A kept population.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) first: u32,
    pub(super) size: u32,
}

impl Chosen {
    /// The populations of `layout` that `filter` names, or all.
    pub(super) fn new(recorder: &str, layout: &Layout, filter: Option<&[String]>) -> Result<Self> {
        let known = || layout.populations.iter().map(|p| p.name.as_str());
        let faults: Vec<Fault> = filter
            .unwrap_or_default()
            .iter()
            .filter(|name| !known().any(|k| k == name.as_str()))
            .map(|name| {
                let hint = did_you_mean(name, known()).map_or(String::new(), |k| format!(" (did you mean `{k}`?)"));
                let names = known().collect::<Vec<_>>().join(", ");
                Fault::new(recorder, format!("there is no population `{name}`{hint}; there are: {names}"))
            })
            .collect();
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let slots = layout
            .populations
            .iter()
            .filter(|p| filter.is_none_or(|f| f.contains(&p.name)))
            .map(|p| Slot { name: p.name.clone(), first: p.first, size: p.size })
            .collect();
        Ok(Self { slots, last: 0 })
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Slot and index within the population of a spike, if its population is kept.
    #[inline]
    pub(super) fn locate(&mut self, spike: Spike) -> Option<(usize, u32)> {
        let holds = |s: &Slot| spike.neuron >= s.first && spike.neuron - s.first < s.size;
        if !self.slots.get(self.last).is_some_and(holds) {
            let after = self.slots.partition_point(|s| s.first <= spike.neuron);
            self.last = after.checked_sub(1).filter(|&i| holds(&self.slots[i]))?;
        }
        Some((self.last, spike.neuron - self.slots[self.last].first))
    }

    /// Refuses population names that contain one of the characters the format gives a meaning of its own.
    pub(super) fn refuse_in_names(&self, recorder: &str, characters: &[char]) -> Result<()> {
        let faults: Vec<Fault> = self
            .slots
            .iter()
            .filter_map(|s| s.name.chars().find(|c| characters.contains(c)).map(|c| (s, c)))
            .map(|(s, c)| {
                let message = format!("the name of population `{}` has a {c:?}, which this format cannot hold", s.name);
                Fault::new(recorder, message)
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::PopulationLayout;

    fn layout() -> Layout {
        let population = |name: &str, first, size| PopulationLayout { name: name.into(), first, size };
        let populations = vec![population("a", 0, 3), population("b", 3, 2), population("c", 5, 4)];
        Layout { dt: 0.1, populations, states: Vec::new() }
    }

    #[test]
    fn spikes_find_their_population() {
        let mut chosen = Chosen::new("spikes", &layout(), Some(&["c".into(), "a".into()])).unwrap();
        let found: Vec<_> = (0..10).map(|neuron| chosen.locate(Spike { step: 0, neuron })).collect();
        let a = |i| Some((0, i));
        let c = |i| Some((1, i));
        assert_eq!(found, [a(0), a(1), a(2), None, None, c(0), c(1), c(2), c(3), None]);
    }

    #[test]
    fn unknown_names_are_all_reported() {
        let names = ["exc".to_owned(), "b".to_owned(), "d".to_owned()];
        let Err(Error::Invalid(faults)) = Chosen::new("spikes", &layout(), Some(&names)) else { panic!() };
        assert_eq!(faults.len(), 2);
        assert!(faults[0].message.contains("`exc`") && faults[0].message.contains("a, b, c"));
    }
}
