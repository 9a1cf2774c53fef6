//! How near a numbering of the neurons keeps those that are connected.

use crate::error::Result;
use crate::model::BrainModel;
use serde::Serialize;

/// Bytes of a row of input a neuron takes in one cache line of 64 bytes: 2, so that 32 neurons share a line.
const NEURONS_A_LINE: u32 = 32;
/// A first-level cache of 32 KiB: 64 sets of 8 lines.
const SETS: usize = 64;
const WAYS: usize = 8;
/// Stretches of consecutive sources the access trace is made of, and sources in each.
const STRETCHES: u32 = 16;
const SOURCES: u32 = 256;
/// Most accesses of a stretch.
const MOST_ACCESSES: usize = 1 << 18;

/// Appends the targets (population, index) of a source, given by population and index.
pub(super) type TargetsOf<'a> = dyn FnMut(usize, u32, &mut Vec<(u32, u32)>) -> Result<()> + 'a;

/// Scores of a numbering.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Locality {
    /// Mean over all synapses of |number of target - number of source|, numbers being those of the whole network.
    pub mean_distance: f64,
    /// The same over synapses within a population, whose numbers no other population lies between; 0 without any.
    pub mean_distance_within: f64,
    /// Share of accesses that find their cache line in a cache of 32 KiB (8-way, least recently used), when sources spike
    /// in the order of the numbering and each adds to 2 bytes for every target: 16 stretches of up to 256 sources of
    /// each population, starting with an empty cache.
    pub line_reuse: f64,
}

/// A numbering: for each population, the number of each neuron within it.
pub(super) struct Order {
    firsts: Vec<u32>,
    /// Number of each neuron; none where it is its index.
    ranks: Vec<Option<Vec<u32>>>,
}

/// Sums of distances.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trace {
    all: (u64, u64),
    within: (u64, u64),
}

impl Order {
    /// The numbering the network has.
    pub fn numbering(model: &BrainModel) -> Self {
        let populations = model.populations();
        Self { firsts: populations.iter().map(|p| p.first()).collect(), ranks: vec![None; populations.len()] }
    }

    /// Neurons on the lattice row by row: x fastest, then y, z, w. None if no population lies on it.
    pub fn by_rows(model: &BrainModel) -> Option<Self> {
        let mut order = Self::numbering(model);
        for (population, ranks) in model.populations().iter().zip(&mut order.ranks) {
            let cells: Option<Vec<_>> = (0..population.size()).map(|neuron| population.cell(neuron)).collect();
            let Some(cells) = cells else { continue };
            let mut by_row: Vec<u32> = (0..population.size()).collect();
            by_row.sort_by_key(|neuron| {
                let [x, y, z, w] = cells[*neuron as usize];
                (w, z, y, x, *neuron)
            });
            let mut rank = vec![0; by_row.len()];
            by_row.iter().enumerate().for_each(|(place, neuron)| rank[*neuron as usize] = place as u32);
            *ranks = Some(rank);
        }
        order.ranks.iter().any(Option::is_some).then_some(order)
    }

    fn number(&self, population: usize, neuron: u32) -> u32 {
        self.firsts[population] + self.ranks[population].as_ref().map_or(neuron, |ranks| ranks[neuron as usize])
    }

    /// See [`Locality::line_reuse`]; `targets` appends those of a source.
    pub fn line_reuse(&self, model: &BrainModel, targets: &mut TargetsOf<'_>) -> Result<f64> {
        let (mut hits, mut accesses) = (0u64, 0u64);
        let mut found = Vec::new();
        for (number, population) in model.populations().iter().enumerate() {
            let size = population.size();
            let by_rank = self.ranks[number].as_ref().map(|ranks| {
                let mut by_rank = vec![0u32; ranks.len()];
                ranks.iter().enumerate().for_each(|(neuron, rank)| by_rank[*rank as usize] = neuron as u32);
                by_rank
            });
            let starts: Vec<u32> = if size <= STRETCHES * SOURCES {
                (0..size).step_by(SOURCES as usize).collect()
            } else {
                (0..STRETCHES).map(|s| (u64::from(s) * u64::from(size) / u64::from(STRETCHES)) as u32).collect()
            };
            for start in starts {
                let mut cache = Cache::default();
                let mut of_stretch = 0;
                for rank in start..(start + SOURCES).min(size) {
                    found.clear();
                    targets(number, by_rank.as_ref().map_or(rank, |by_rank| by_rank[rank as usize]), &mut found)?;
                    for (to, neuron) in &found {
                        let line = self.number(*to as usize, *neuron) / NEURONS_A_LINE;
                        hits += u64::from(cache.access(line));
                    }
                    of_stretch += found.len();
                    if of_stretch > MOST_ACCESSES {
                        break;
                    }
                }
                accesses += of_stretch as u64;
            }
        }
        Ok(if accesses > 0 { hits as f64 / accesses as f64 } else { 0.0 })
    }
}

impl Trace {
    /// Adds the synapses of a source.
    pub fn add(&mut self, order: &Order, population: usize, source: u32, targets: &[(u32, u32)]) {
        let from = order.number(population, source);
        for (to, neuron) in targets {
            let distance = u64::from(order.number(*to as usize, *neuron).abs_diff(from));
            self.all = (self.all.0 + distance, self.all.1 + 1);
            if *to as usize == population {
                self.within = (self.within.0 + distance, self.within.1 + 1);
            }
        }
    }

    pub fn join(&mut self, other: &Self) {
        self.all = (self.all.0 + other.all.0, self.all.1 + other.all.1);
        self.within = (self.within.0 + other.within.0, self.within.1 + other.within.1);
    }

    pub fn locality(&self, line_reuse: f64) -> Locality {
        let mean = |(sum, count): (u64, u64)| if count > 0 { sum as f64 / count as f64 } else { 0.0 };
        Locality { mean_distance: mean(self.all), mean_distance_within: mean(self.within), line_reuse }
    }
}

/// A cache that keeps what was used last.
struct Cache {
    /// For each set its lines, the last used first; `u32::MAX` for none.
    sets: Vec<[u32; WAYS]>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { sets: vec![[u32::MAX; WAYS]; SETS] }
    }
}

impl Cache {
    /// Whether the line was there; it is afterwards.
    fn access(&mut self, line: u32) -> bool {
        let set = &mut self.sets[line as usize % SETS];
        let place = set.iter().position(|known| *known == line);
        set[..=place.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = line;
        place.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::Lattice4;
    use crate::model::NetworkSpec;
    use crate::neuron::LifEuler;

    #[test]
    fn the_cache_forgets_what_was_used_longest_ago() {
        let mut cache = Cache::default();
        let line = |k: u32| k * SETS as u32;
        assert!((0..8).all(|k| !cache.access(line(k))));
        assert!(cache.access(line(0)));
        assert!(!cache.access(line(8)));
        assert!(cache.access(line(0)) && !cache.access(line(1)) && cache.access(line(3)));
    }

    #[test]
    fn rows_and_curve_differ() {
        let lattice = Lattice4::new([4, 4, 1, 1]).unwrap();
        let bounds = lattice.bounds();
        let mut net = NetworkSpec::new(lattice);
        net.population("p", bounds, LifEuler::default()).unwrap();
        let model = BrainModel::build(&net, 1).unwrap();
        let (curve, rows) = (Order::numbering(&model), Order::by_rows(&model).unwrap());
        // Along the curve cells 0 to 3 are the square of side 2; row by row its upper half begins a row later.
        let square: Vec<u32> = (0..4).map(|n| rows.number(0, n)).collect();
        assert_eq!(square, [0, 1, 4, 5]);
        let mut trace = [Trace::default(); 2];
        for (order, trace) in [&curve, &rows].into_iter().zip(&mut trace) {
            trace.add(order, 0, 0, &[(0, 1), (0, 2), (0, 3)]);
        }
        assert_eq!(trace[0].locality(0.0).mean_distance, 2.0);
        assert_eq!(trace[1].locality(0.0).mean_distance_within, 10.0 / 3.0);
    }
}
