//! Connection probability that falls with distance on the lattice.
//!
//! Neurons are sorted into bins: lattice cells where both populations sit at cell centres (the probability then is a
//! function of the displacement of the cells), else boxes small against the cut-off, whose nearest corners bound the
//! probability from above. Displacements are grouped into classes of nearly equal bound. Within a class, candidates
//! are thinned: geometric skips jump from one candidate at the class's bound to the next, and a candidate becomes a
//! synapse with probability p / bound. The cost is near the number of synapses made, not the number of pairs, and
//! every pair still is an independent trial with exactly its probability (up to the 32 bits of a draw).
//!
//! Candidate `j` of source `s` has the block at counter (j, s, 0, 0): word 0 is the skip to it, word 1 the delay,
//! word 2 the weight, word 3 the acceptance.

use super::super::brain::BrainModel;
use super::super::placement::Sites;
use super::super::{DistanceRule, ProjectionSpec};
use super::delay::displacement;
use super::draw::{CHUNK, SynapseDraw, block_words};
use super::estimate::expected_synapses;
use super::kernel::{Axis, Offset, cell_axes, offsets};
use super::{SynapseBuffer, WeightSummary, Wiring};
use crate::lattice::{Lattice4, Position};
use crate::rng;
use std::ops::Range;
use std::sync::Arc;

/// Most displacements kept for neurons at cell centres; beyond, larger bins are used.
const MOST_EXACT: usize = 1 << 20;
/// Most displacements between bins of spread neurons.
const MOST_SPREAD: usize = 1 << 15;

/// Displacements whose bounds are within a factor of two.
#[derive(Debug)]
struct Class {
    offsets: Range<usize>,
    /// No probability in the class exceeds it.
    bound: f64,
    /// `1 / ln(1 - bound)`.
    per_log: f64,
}

#[derive(Debug)]
pub(super) struct DistanceWiring {
    rule: DistanceRule,
    lattice: Option<Lattice4>,
    sources: Arc<Sites>,
    targets: Arc<Sites>,
    grid: Grid,
    offsets: Vec<Offset>,
    classes: Vec<Class>,
    members: Members,
    /// Whether a jump may go by bins times `most` places (bins nearly equally full), or must count each bin.
    even: bool,
    without_self: bool,
    expected: f64,
    hint: usize,
    draw: SynapseDraw,
}

/// The bins.
#[derive(Debug)]
struct Grid {
    axes: [Axis; 4],
    origin: [f64; 4],
}

/// Targets by bin, over the box of bins that have any.
#[derive(Debug)]
struct Members {
    lo: [i64; 4],
    size: [i64; 4],
    starts: Vec<u32>,
    neurons: Vec<u32>,
    /// Targets in the fullest bin.
    most: u32,
}

impl Grid {
    fn new(rule: &DistanceRule, lattice: Option<&Lattice4>, sources: &Sites, targets: &Sites) -> (Self, Vec<Offset>) {
        if let (Some(lattice), Sites::Cells(s), Sites::Cells(t)) = (lattice, sources, targets) {
            let axes = cell_axes(lattice, &s.region, &t.region);
            if let Some(offsets) = offsets(rule, &axes, MOST_EXACT) {
                return (Self { axes, origin: [0.0; 4] }, offsets);
            }
        }
        let none = ([0.0; 4], [0.0; 4]);
        let (s, t) = (sources.extent().unwrap_or(none), targets.extent().unwrap_or(none));
        let mut origin = [0.0; 4];
        let mut length = [0.0; 4];
        let mut bins = [1u32; 4];
        let mut periodic = [false; 4];
        for a in 0..4 {
            if let Some(lattice) = lattice.filter(|l| l.periodic[a]) {
                periodic[a] = true;
                length[a] = f64::from(lattice.shape[a]) * lattice.spacing[a];
            } else {
                origin[a] = s.0[a].min(t.0[a]);
                // A little more, so that the last neuron lies inside.
                length[a] = (s.1[a].max(t.1[a]) - origin[a]) * (1.0 + 1e-9);
            }
            if length[a] <= 0.0 {
                length[a] = 1.0;
                continue;
            }
            let wanted = length[a] / (0.25 * rule.cutoff * rule.scale[a]).max(1e-9 * length[a]);
            bins[a] = wanted.clamp(1.0, 65_536.0) as u32;
        }
        loop {
            let axes: [Axis; 4] = std::array::from_fn(|a| Axis {
                bins: bins[a],
                width: length[a] / f64::from(bins[a]),
                periodic: periodic[a],
                sources: (0, bins[a]),
                targets: (0, bins[a]),
                spread: true,
            });
            let few = bins.iter().map(|n| f64::from(*n)).product::<f64>() <= 65_536.0 + 4.0 * targets.len() as f64;
            if let Some(offsets) = few.then(|| offsets(rule, &axes, MOST_SPREAD)).flatten() {
                return (Self { axes, origin }, offsets);
            }
            // One bin an axis is always few enough.
            let widest = (0..4).max_by_key(|a| bins[*a]).unwrap_or(0);
            bins[widest] = (bins[widest] / 2).max(1);
        }
    }

    fn bin(&self, sites: &Sites, neuron: u32) -> [i64; 4] {
        if !self.axes[0].spread
            && let Sites::Cells(cells) = sites
        {
            return cells.cell(neuron).map(i64::from);
        }
        let position = sites.position(neuron).unwrap_or_default();
        std::array::from_fn(|a| {
            let axis = &self.axes[a];
            let mut x = f64::from(position[a]) - self.origin[a];
            if axis.periodic {
                x = x.rem_euclid(f64::from(axis.bins) * axis.width);
            }
            ((x / axis.width).floor().max(0.0) as i64).min(i64::from(axis.bins) - 1)
        })
    }
}

impl Members {
    fn new(grid: &Grid, targets: &Sites) -> Self {
        let n = targets.len() as u32;
        let (mut lo, mut hi) = ([i64::MAX; 4], [i64::MIN; 4]);
        if let (false, Sites::Cells(cells)) = (grid.axes[0].spread, targets) {
            (lo, hi) = (cells.region.lo.map(i64::from), cells.region.hi.map(i64::from));
        } else {
            for neuron in 0..n {
                let bin = grid.bin(targets, neuron);
                for a in 0..4 {
                    lo[a] = lo[a].min(bin[a]);
                    hi[a] = hi[a].max(bin[a] + 1);
                }
            }
        }
        let size: [i64; 4] = std::array::from_fn(|a| hi[a] - lo[a]);
        let mut members = Self { lo, size, starts: Vec::new(), neurons: vec![0; n as usize], most: 0 };
        let index = |neuron| members.index(grid.bin(targets, neuron)).expect("within the box of all bins");
        let mut starts = vec![0u32; size.iter().product::<i64>() as usize + 1];
        for neuron in 0..n {
            starts[index(neuron) + 1] += 1;
        }
        let most = starts.iter().copied().max().unwrap_or(0);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        // Writing moves each start to the bin's end; going backwards through the neurons moves ends to starts.
        let mut neurons = vec![0u32; n as usize];
        let mut ends = starts.clone();
        for neuron in (0..n).rev() {
            let end = &mut ends[index(neuron) + 1];
            *end -= 1;
            neurons[*end as usize] = neuron;
        }
        (members.starts, members.neurons, members.most) = (starts, neurons, most);
        members
    }

    fn index(&self, bin: [i64; 4]) -> Option<usize> {
        let mut index = 0;
        for a in (0..4).rev() {
            let place = bin[a] - self.lo[a];
            if !(0..self.size[a]).contains(&place) {
                return None;
            }
            index = index * self.size[a] + place;
        }
        Some(index as usize)
    }

    fn of(&self, bin: [i64; 4]) -> &[u32] {
        match self.index(bin) {
            Some(i) => &self.neurons[self.starts[i] as usize..self.starts[i + 1] as usize],
            None => &[],
        }
    }
}

impl DistanceWiring {
    pub fn new(model: &BrainModel, projection: usize, rule: &DistanceRule, draw: SynapseDraw) -> Self {
        let spec: &ProjectionSpec = &model.spec().projections[projection];
        let lattice = model.spec().lattice.clone();
        let (sources, targets) = (model.sites(spec.source), model.sites(spec.target));
        let (grid, mut offsets) = Grid::new(rule, lattice.as_ref(), &sources, &targets);
        offsets.sort_by(|a, b| b.p.total_cmp(&a.p));
        let members = Members::new(&grid, &targets);
        let mut classes: Vec<Class> = Vec::new();
        let mut candidates = 0.0;
        for (i, offset) in offsets.iter().enumerate() {
            match classes.last_mut() {
                Some(class) if offset.p >= 0.5 * class.bound => class.offsets.end = i + 1,
                _ => classes.push(Class { offsets: i..i + 1, bound: offset.p, per_log: 1.0 / libm::log1p(-offset.p) }),
            }
            candidates += offset.p;
        }
        // Back in the order of space within each class: jumps then go forwards through offsets and targets, which
        // the caches like (less than half the time of an order by probability).
        for class in &classes {
            offsets[class.offsets.clone()].sort_by_key(|o| [o.delta[3], o.delta[2], o.delta[1], o.delta[0]]);
        }
        let mean_full = members.neurons.len() as f64 / (members.starts.len() - 1).max(1) as f64;
        let most = f64::from(members.most);
        // A jump over even bins costs a rejected candidate for each missing neuron (about 30 ns), counting costs a
        // look at each bin (about 2 ns).
        let even = candidates * (most - mean_full) * 15.0 <= offsets.len() as f64;
        let hint = candidates * most;
        let expected = expected_synapses(model.spec(), projection);
        Self {
            rule: rule.clone(),
            lattice,
            sources,
            targets,
            grid,
            offsets,
            classes,
            members,
            even,
            without_self: spec.source == spec.target && !spec.autapses,
            expected,
            hint: (hint + 6.0 * hint.sqrt() + 8.0).min(model.populations()[spec.target.0].size().into()) as usize,
            draw,
        }
    }

    /// The bin at a displacement from another; beyond a clamped end it lies outside all members.
    fn moved(&self, from: [i64; 4], offset: &Offset) -> [i64; 4] {
        std::array::from_fn(|a| {
            let to = from[a] + i64::from(offset.delta[a]);
            let axis = &self.grid.axes[a];
            if axis.periodic { to.rem_euclid(i64::from(axis.bins)) } else { to }
        })
    }

    /// Cells along w between two positions, the short way round.
    fn hops(&self, from: Position, to: Position) -> u32 {
        let Some(lattice) = &self.lattice else { return 0 };
        let apart = lattice.cell_of(from)[3].abs_diff(lattice.cell_of(to)[3]);
        if lattice.periodic[3] { apart.min(lattice.shape[3] - apart) } else { apart }
    }

    /// Connection probability of a pair whose bins are at `offset`.
    fn probability(&self, from: Position, target: u32, offset: &Offset) -> f64 {
        if !self.grid.axes[0].spread {
            return offset.p;
        }
        let to = self.targets.position(target).unwrap_or_default();
        self.rule.probability(displacement(self.lattice.as_ref(), from, to), self.hops(from, to))
    }
}

/// The candidates of one source, one after the other.
struct Candidates<'a> {
    wiring: &'a DistanceWiring,
    source: u32,
    position: Position,
    /// Number of the current block.
    block: u32,
    /// Blocks drawn ahead, from the one with number `first` on.
    words: [[u32; CHUNK]; 4],
    first: u32,
    drawn: u32,
}

/// Blocks drawn at a time.
const AHEAD: u32 = 64;

impl Candidates<'_> {
    /// Draws the next block and returns how many places are jumped over.
    fn skip(&mut self, class: &Class) -> u64 {
        self.block = self.first + self.drawn;
        if self.block.is_multiple_of(AHEAD) {
            let draw = &self.wiring.draw;
            block_words(draw.isa, draw.key, self.block, self.source, AHEAD as usize, &mut self.words);
            (self.first, self.drawn) = (self.block, 0);
        }
        self.drawn += 1;
        (libm::log(rng::unit(self.word(0))) * class.per_log) as u64
    }

    /// A word of the current block.
    fn word(&self, word: usize) -> u32 {
        self.words[word][(self.block - self.first) as usize]
    }

    /// Decides on a candidate and appends it.
    fn consider(&self, target: u32, offset: &Offset, class: &Class, out: &mut SynapseBuffer) {
        let wiring = self.wiring;
        if wiring.without_self && target == self.source {
            return;
        }
        let p = wiring.probability(self.position, target, offset);
        if rng::unit(self.word(3)) * class.bound >= p {
            return;
        }
        out.target.push(target);
        if let Some(sampler) = wiring.draw.delays.sampler() {
            out.delay.push(sampler.sample(self.word(1)));
        }
        if let Some(sampler) = wiring.draw.weights.sampler() {
            out.weight.push(sampler.sample(self.word(2)));
        }
    }
}

impl Wiring for DistanceWiring {
    fn expected(&self) -> f64 {
        self.expected
    }

    fn exact(&self) -> Option<u64> {
        None
    }

    fn max_outdegree_hint(&self) -> usize {
        self.hint
    }

    fn append(&self, source: u32, out: &mut SynapseBuffer) {
        let first = out.target.len();
        let from = self.grid.bin(&self.sources, source);
        let position = self.sources.position(source).unwrap_or_default();
        let mut candidates =
            Candidates { wiring: self, source, position, block: 0, words: [[0; CHUNK]; 4], first: 0, drawn: 0 };
        let most = u64::from(self.members.most);
        for class in &self.classes {
            let offsets = &self.offsets[class.offsets.clone()];
            let mut skip = candidates.skip(class);
            if self.even {
                let places = offsets.len() as u64 * most;
                while skip < places {
                    let offset = &offsets[(skip / most) as usize];
                    // A place that its bin does not fill is a candidate that is not there.
                    if let Some(target) = self.members.of(self.moved(from, offset)).get((skip % most) as usize) {
                        candidates.consider(*target, offset, class, out);
                    }
                    skip = (skip + 1).saturating_add(candidates.skip(class));
                }
            } else {
                for offset in offsets {
                    let bin = self.members.of(self.moved(from, offset));
                    while skip < bin.len() as u64 {
                        candidates.consider(bin[skip as usize], offset, class, out);
                        skip = (skip + 1).saturating_add(candidates.skip(class));
                    }
                    skip -= bin.len() as u64;
                }
            }
        }
        self.draw.finish(source, first, 0, out);
    }

    fn weights(&self) -> WeightSummary {
        self.draw.weights.summary()
    }

    fn delays(&self) -> (u32, u32) {
        self.draw.delays.bounds()
    }

    fn bytes(&self) -> usize {
        (self.members.starts.len() + self.members.neurons.len()) * 4 + self.offsets.len() * size_of::<Offset>()
    }
}
