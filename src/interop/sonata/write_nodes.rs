//! Node files: identity, parameters and positions of the neurons of a population.

use super::write_hdf5::{Column, NewFile};
use super::write_plan::{Cells, Nodes};
use crate::error::Result;
use crate::lattice::AXES;
use crate::model::Population;
use crate::neuron::ParamColumn;
use std::path::Path;

/// Writes the node file of a population, whose nodes all have type 0 and group 0.
///
/// Parameters that differ between neurons go to `dynamics_params`, positions (um) to `x`, `y`, `z` and `w`.
pub(super) fn write(path: &Path, nodes: &Nodes, population: Option<&Population>) -> Result<()> {
    let file = NewFile::create(path)?;
    let (above, group) = (format!("nodes/{}", nodes.name), format!("nodes/{}/0", nodes.name));
    let rows = u64::from(nodes.size);
    file.group("nodes")?;
    file.group(&above)?;
    file.group(&group)?;
    let mut ids: Column<u64> = file.column(&format!("{above}/node_id"), rows, &[])?;
    let mut types: Column<u32> = file.column(&format!("{above}/node_type_id"), rows, &[])?;
    let mut groups: Column<u16> = file.column(&format!("{above}/node_group_id"), rows, &[])?;
    let mut places: Column<u64> = file.column(&format!("{above}/node_group_index"), rows, &[])?;
    for node in 0..rows {
        ids.push([node])?;
        types.push([0])?;
        groups.push([0])?;
        places.push([node])?;
    }
    ids.finish()?;
    types.finish()?;
    groups.finish()?;
    places.finish()?;
    if let Some(population) = population.filter(|p| p.size() > 0 && p.position(0).is_some()) {
        for (axis, name) in AXES.iter().enumerate() {
            let mut column: Column<f32> = file.column(&format!("{group}/{name}"), rows, &[("units", "um")])?;
            for node in 0..nodes.size {
                column.push([population.position(node).map_or(f32::NAN, |at| at[axis])])?;
            }
            column.finish()?;
        }
    }
    if let Cells::Point { params, .. } = &nodes.cells {
        let mut made = false;
        for (name, column) in params {
            let ParamColumn::PerNeuron(values) = column else { continue };
            let group = format!("{group}/dynamics_params");
            if !made {
                file.group(&group)?;
                made = true;
            }
            file.values(&format!("{group}/{name}"), values, &[])?;
        }
    }
    file.close()
}
