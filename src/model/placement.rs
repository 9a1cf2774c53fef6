//! Where neurons are: cells in Z-order, given points, or nowhere.

use super::Placement;
use crate::lattice::morton;
use crate::lattice::{Box4, Cell, Lattice4, Position};
use crate::rng::{self, Key, Purpose};
use std::ops::Range;
use std::sync::Arc;

/// The places of a population's neurons.
#[derive(Debug)]
pub(super) enum Sites {
    /// So many neurons without positions.
    Unplaced(u32),
    /// Neurons at the centres of lattice cells.
    Cells(CellSites),
    /// One neuron a point.
    Points(Arc<[Position]>),
}

/// Neurons at the centres of cells, numbered along the Z-order curve.
#[derive(Debug)]
pub(super) struct CellSites {
    /// The box the cells fill (with a density below 1: lie in).
    pub region: Box4,
    lattice: Lattice4,
    /// Places along the curve of the cells that have neurons, ascending.
    codes: Vec<u64>,
    neurons: PerCell,
}

#[derive(Debug)]
enum PerCell {
    /// Every cell has so many.
    Same(u32),
    /// First neuron of each cell, then the number of neurons.
    From(Vec<u32>),
}

/// How many neurons a density puts on a cell: its whole part, and one more on a share of the cells.
struct OnCell {
    whole: u32,
    fraction: f64,
    key: Key,
}

impl OnCell {
    fn new(density: f64, name: &str, seed: u64) -> Self {
        let whole = density.floor();
        Self { whole: whole as u32, fraction: density - whole, key: Key::named(seed, Purpose::Placement, name) }
    }

    /// Neurons on the cell at this place along the curve; each cell has its own draw.
    fn at(&self, code: u64) -> u32 {
        let extra = || rng::unit(self.key.words([code as u32, (code >> 32) as u32, 0, 0])[0]) < self.fraction;
        self.whole + u32::from(self.fraction > 0.0 && extra())
    }
}

impl Placement {
    /// Number of neurons that a network built with `seed` gives a population of this name.
    pub fn size(&self, name: &str, seed: u64) -> u64 {
        match self {
            Self::Region { region, density } if density.fract() != 0.0 => {
                let on_cell = OnCell::new(*density, name, seed);
                let mut sum = 0;
                walk(region, |codes| sum += codes.map(|code| u64::from(on_cell.at(code))).sum::<u64>());
                sum
            }
            _ => self.exact_size().expect("only a fractional density leaves the size to draws"),
        }
    }

    /// Indices, ascending, of the neurons that a network built with `seed` puts into `area` in a population of this
    /// name; none of those without positions.
    pub fn neurons_in(&self, area: &Box4, lattice: &Lattice4, name: &str, seed: u64) -> Vec<u32> {
        match self {
            Self::Count(_) => Vec::new(),
            Self::Positions(points) => {
                let inside = |point: &Position| area.contains(lattice.cell_of(*point));
                (0u32..).zip(points.iter()).filter(|(_, point)| inside(point)).map(|(neuron, _)| neuron).collect()
            }
            Self::Region { region, density } => {
                let on_cell = OnCell::new(*density, name, seed);
                let (mut neurons, mut next) = (Vec::new(), 0);
                walk(region, |codes| {
                    for code in codes {
                        let first = next;
                        next += on_cell.at(code);
                        if area.contains(morton::decode(code)) {
                            neurons.extend(first..next);
                        }
                    }
                });
                neurons
            }
        }
    }
}

impl Sites {
    /// Bytes held on the heap.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Unplaced(_) => 0,
            Self::Points(points) => size_of_val(&**points),
            Self::Cells(sites) => {
                let first = if let PerCell::From(first) = &sites.neurons { first.len() * 4 } else { 0 };
                sites.codes.len() * 8 + first
            }
        }
    }

    /// Places the neurons of population `name`. The placement has been validated.
    pub fn new(placement: &Placement, lattice: Option<&Lattice4>, name: &str, seed: u64) -> Self {
        match placement {
            Placement::Count(n) => Self::Unplaced(*n),
            Placement::Positions(points) => Self::Points(points.clone()),
            Placement::Region { region, density } => {
                let lattice = lattice.expect("validated: a region needs a lattice").clone();
                let mut codes = z_order(region);
                let on_cell = OnCell::new(*density, name, seed);
                let neurons = if on_cell.fraction == 0.0 {
                    PerCell::Same(on_cell.whole)
                } else if on_cell.whole == 0 {
                    codes.retain(|code| on_cell.at(*code) > 0);
                    PerCell::Same(1)
                } else {
                    let mut next = 0u32;
                    let mut from = vec![0];
                    for code in &codes {
                        next += on_cell.at(*code);
                        from.push(next);
                    }
                    PerCell::From(from)
                };
                Self::Cells(CellSites { region: *region, lattice, codes, neurons })
            }
        }
    }

    /// Number of neurons.
    pub fn len(&self) -> u64 {
        match self {
            Self::Unplaced(n) => u64::from(*n),
            Self::Points(points) => points.len() as u64,
            Self::Cells(cells) => match &cells.neurons {
                PerCell::Same(n) => cells.codes.len() as u64 * u64::from(*n),
                PerCell::From(from) => u64::from(from[from.len() - 1]),
            },
        }
    }

    /// Position of a neuron, if it has one.
    pub fn position(&self, neuron: u32) -> Option<Position> {
        match self {
            Self::Unplaced(_) => None,
            Self::Points(points) => Some(points[neuron as usize]),
            Self::Cells(cells) => Some(cells.lattice.centre(cells.cell(neuron))),
        }
    }

    /// Smallest box (um) that holds all positions, if there are any.
    pub fn extent(&self) -> Option<([f64; 4], [f64; 4])> {
        match self {
            Self::Unplaced(_) => None,
            Self::Cells(cells) => {
                let centre = |cell: Cell| cells.lattice.centre(cell).map(f64::from);
                Some((centre(cells.region.lo), centre(cells.region.hi.map(|hi| hi - 1))))
            }
            Self::Points(points) => {
                let (mut lo, mut hi) = ([f64::INFINITY; 4], [f64::NEG_INFINITY; 4]);
                for point in points.iter() {
                    for a in 0..4 {
                        lo[a] = lo[a].min(f64::from(point[a]));
                        hi[a] = hi[a].max(f64::from(point[a]));
                    }
                }
                (!points.is_empty()).then_some((lo, hi))
            }
        }
    }
}

impl CellSites {
    /// The cell of a neuron.
    pub fn cell(&self, neuron: u32) -> Cell {
        let place = match &self.neurons {
            PerCell::Same(n) => neuron / n,
            PerCell::From(from) => from.partition_point(|first| *first <= neuron) as u32 - 1,
        };
        morton::decode(self.codes[place as usize])
    }
}

/// Places along the Z-order curve of all cells of a box, ascending.
fn z_order(region: &Box4) -> Vec<u64> {
    let mut codes = Vec::with_capacity(region.cells() as usize);
    walk(region, |places| codes.extend(places));
    codes
}

/// Goes through the cells of a box along the Z-order curve, calling `visit` with stretches of it, by descending the tree
/// of nested cubes and leaving out those beside the box: no sorting.
fn walk(region: &Box4, mut visit: impl FnMut(Range<u64>)) {
    let widest = region.hi.iter().max().copied().unwrap_or(1).max(1);
    let level = u32::BITS - (widest - 1).leading_zeros();
    descend(region, [0; 4], level, &mut visit);
}

fn descend(region: &Box4, origin: Cell, level: u32, visit: &mut impl FnMut(Range<u64>)) {
    let side = 1u64 << level;
    let outside = |a: usize| {
        let (lo, hi) = (u64::from(origin[a]), u64::from(origin[a]) + side);
        hi <= u64::from(region.lo[a]) || lo >= u64::from(region.hi[a])
    };
    if (0..4).any(outside) {
        return;
    }
    let inside = |a: usize| origin[a] >= region.lo[a] && u64::from(origin[a]) + side <= u64::from(region.hi[a]);
    if (0..4).all(inside) {
        let first = morton::encode(origin);
        visit(first..first + (1u64 << (4 * level)));
        return;
    }
    for child in 0..16u32 {
        let corner = std::array::from_fn(|a| origin[a] + ((child >> a & 1) << (level - 1)));
        descend(region, corner, level - 1, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_walked_along_the_curve() {
        for (lo, hi) in [([0; 4], [1; 4]), ([0; 4], [4; 4]), ([1, 0, 2, 0], [6, 3, 5, 1]), ([5, 5, 0, 3], [7, 6, 9, 4])]
        {
            let region = Box4 { lo, hi };
            let expected: Vec<u64> = region.cells_in_z_order().into_iter().map(morton::encode).collect();
            assert_eq!(z_order(&region), expected);
        }
        assert!(z_order(&Box4 { lo: [2; 4], hi: [2; 4] }).is_empty());
    }

    #[test]
    fn densities_place_whole_and_drawn_neurons() {
        let lattice = Lattice4::new([64, 64, 1, 1]).unwrap();
        let region = lattice.bounds();
        for density in [1.0, 3.0, 0.25, 2.5] {
            let sites = Sites::new(&Placement::Region { region, density }, Some(&lattice), "p", 7);
            let n = sites.len() as f64;
            let fraction: f64 = density.fract();
            let sd = (4096.0 * fraction * (1.0 - fraction)).sqrt();
            assert!((n - 4096.0 * density).abs() <= 4.0 * sd, "density {density}: {n}");
            let Sites::Cells(cells) = &sites else { panic!("a region has cells") };
            let mut before = 0;
            for neuron in 0..sites.len() as u32 {
                let code = morton::encode(cells.cell(neuron));
                assert!(code >= before, "numbering follows the curve");
                before = code;
                assert_eq!(lattice.cell_of(sites.position(neuron).unwrap()), cells.cell(neuron));
            }
        }
    }
    #[test]
    fn neurons_stand_where_the_built_network_has_them() {
        let lattice = Lattice4::new([9, 8, 4, 3]).unwrap();
        let region = Box4 { lo: [1, 0, 0, 0], hi: [9, 8, 4, 2] };
        let area = Box4 { lo: [2, 3, 0, 0], hi: [5, 7, 2, 2] };
        for density in [1.0, 3.0, 0.3, 1.7] {
            let placement = Placement::Region { region, density };
            let sites = Sites::new(&placement, Some(&lattice), "p", 5);
            assert_eq!(sites.len(), placement.size("p", 5));
            let Sites::Cells(cells) = &sites else { panic!("a region has cells") };
            let expected: Vec<u32> = (0..sites.len() as u32).filter(|n| area.contains(cells.cell(*n))).collect();
            assert_eq!(placement.neurons_in(&area, &lattice, "p", 5), expected);
        }
    }

    #[test]
    fn counts_agree_with_lists_and_follow_the_curve() {
        let lattice = Lattice4::new([9, 8, 4, 2]).unwrap();
        let region = Box4 { lo: [1, 0, 0, 0], hi: [9, 8, 4, 2] };
        for density in [1.0, 2.0, 0.3, 1.7] {
            let placement = Placement::Region { region, density };
            let all = placement.neurons_in(&region, &lattice, "p", 5);
            assert_eq!(all, (0..placement.size("p", 5) as u32).collect::<Vec<u32>>());
        }
        let corner = Box4 { lo: [0; 4], hi: [2, 2, 2, 2] };
        let single = Placement::Region { region, density: 1.0 };
        // With one neuron on each cell, the first 16 along the curve are the cube of side 2, less its x = 0 half.
        assert_eq!(single.neurons_in(&corner, &lattice, "p", 5), (0..8).collect::<Vec<u32>>());
        let points = Placement::Positions([[1.0; 4], [-9.0, 0.0, 0.0, 0.0], [1e9; 4]].into());
        assert_eq!((points.size("p", 5), points.neurons_in(&corner, &lattice, "p", 5)), (3, vec![0, 1]));
        assert!(Placement::Count(3).neurons_in(&corner, &lattice, "p", 5).is_empty());
    }
}
