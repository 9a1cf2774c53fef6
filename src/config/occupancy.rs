//! Which cells of a box the neurons of a population stand on, for selections by area and for exact counts.
//!
//! The same draws as those that place the neurons when the network is built: a fractional density puts an extra
//! neuron on that share of the cells, each cell by its own draw.

use crate::lattice::{Box4, Cell, morton};
use crate::rng::{self, Key, Purpose};

/// Number of neurons on a cell.
fn on_cell(cell: Cell, density: f64, key: Key) -> u32 {
    let whole = density.floor();
    let fraction = density - whole;
    let code = morton::encode(cell);
    let extra = fraction > 0.0 && rng::unit(key.words([code as u32, (code >> 32) as u32, 0, 0])[0]) < fraction;
    whole as u32 + u32::from(extra)
}

/// Number of neurons of the population `name` in a box.
pub(super) fn count(region: &Box4, density: f64, name: &str, seed: u64) -> u64 {
    if density.fract() == 0.0 {
        return region.cells() * density as u64;
    }
    let key = Key::named(seed, Purpose::Placement, name);
    let mut sum = 0;
    for w in region.lo[3]..region.hi[3] {
        for z in region.lo[2]..region.hi[2] {
            for y in region.lo[1]..region.hi[1] {
                for x in region.lo[0]..region.hi[0] {
                    sum += u64::from(on_cell([x, y, z, w], density, key));
                }
            }
        }
    }
    sum
}

/// Indices of the neurons of the population `name` that stand in `area`, ascending.
pub(super) fn within(area: &Box4, region: &Box4, density: f64, name: &str, seed: u64) -> Vec<u32> {
    let key = Key::named(seed, Purpose::Placement, name);
    let mut indices = Vec::new();
    let mut next = 0;
    for cell in region.cells_in_z_order() {
        let here = on_cell(cell, density, key);
        if area.contains(cell) {
            indices.extend(next..next + here);
        }
        next += here;
    }
    indices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::Lattice4;
    use crate::model::{BrainModel, NetworkSpec, Placement, PopulationSpec};

    #[test]
    fn neurons_stand_where_the_built_network_has_them() {
        let lattice = Lattice4::new([9, 8, 4, 3]).unwrap();
        let region = Box4 { lo: [1, 0, 0, 0], hi: [9, 8, 4, 2] };
        let area = Box4 { lo: [2, 3, 0, 0], hi: [5, 7, 2, 2] };
        for density in [1.0, 3.0, 0.3, 1.7] {
            let population = PopulationSpec {
                name: "p".into(),
                model: crate::neuron::find("lif_psc_exp").unwrap().build(&[], &[]).unwrap(),
                placement: Placement::Region { region, density },
                params: Vec::new(),
                initial: Vec::new(),
            };
            let spec =
                NetworkSpec { lattice: Some(lattice.clone()), populations: vec![population], ..NetworkSpec::default() };
            let model = BrainModel::build(&spec, 5).unwrap();
            let built = &model.populations()[0];
            assert_eq!(u64::from(built.size()), count(&region, density, "p", 5));
            let inside = |n: &u32| built.cell(*n).is_some_and(|cell| area.contains(cell));
            let expected: Vec<u32> = (0..built.size()).filter(inside).collect();
            assert_eq!(within(&area, &region, density, "p", 5), expected);
        }
    }

    #[test]
    fn counts_agree_with_lists_and_follow_the_curve() {
        let region = Box4 { lo: [1, 0, 0, 0], hi: [9, 8, 4, 2] };
        for density in [1.0, 2.0, 0.3, 1.7] {
            let all = within(&region, &region, density, "p", 5);
            assert_eq!(all.len() as u64, count(&region, density, "p", 5));
            assert!(all.iter().enumerate().all(|(i, n)| i as u32 == *n));
        }
        let corner = Box4 { lo: [0; 4], hi: [2, 2, 2, 2] };
        // With one neuron on each cell, the first 16 along the curve are the cube of side 2, less its x = 0 half.
        assert_eq!(within(&corner, &region, 1.0, "p", 5), (0..8).collect::<Vec<u32>>());
    }
}
