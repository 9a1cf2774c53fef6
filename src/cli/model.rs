//! What `tessera info` shows of a model file: the whole, chosen neurons, damage.

use super::{DONE, FAILED, say};
use crate::error::{Error, Result};
use crate::lattice::{AXES, Box4};
use crate::storage::{MappedModel, NeuronData, NeuronQuery};
use clap::Args;
use std::path::Path;

/// Synapses of a neuron that are shown to people.
const SHOWN: usize = 8;

/// What of a model file is shown.
#[derive(Args)]
pub(super) struct Shown {
    /// Show neurons of a model file with their state and synapses: NAME, or NAME:0-9,17; may be repeated.
    #[arg(long, value_name = "WHICH")]
    neurons: Vec<String>,
    /// The same by the ids that a table gave the neurons: NAME:8419602,9469519; may be repeated.
    #[arg(long, value_name = "WHICH")]
    ids: Vec<String>,
    /// Show the neurons of a model file in a box of the lattice, such as 0..4,0..4,0..2,0..1.
    #[arg(long, value_name = "BOX")]
    cells: Option<String>,
    /// Check every array of a model file against its checksum.
    #[arg(long)]
    verify: bool,
    /// Print neurons as JSON, one a line; partitions as one object.
    #[arg(long)]
    pub json: bool,
}

impl Shown {
    /// Whether anything is asked for that only model files have.
    pub fn is_asked_for(&self) -> bool {
        !self.neurons.is_empty() || !self.ids.is_empty() || self.cells.is_some() || self.verify || self.json
    }
}

/// Shows a model file, or the neurons of it that are asked for.
pub(super) fn info(path: &Path, shown: &Shown) -> Result<u8> {
    let Shown { neurons, ids, cells, verify, json } = shown;
    let mapped = MappedModel::open(path)?;
    if *verify {
        return self::verify(&mapped);
    }
    let mut queries: Vec<NeuronQuery> = neurons.iter().map(|text| query(text)).collect::<Result<_>>()?;
    for text in ids {
        queries.push(by_ids(text)?);
    }
    if let Some(text) = cells.as_deref() {
        queries.push(NeuronQuery::Region(region(text)?));
    }
    if queries.is_empty() {
        describe(&mapped);
        return Ok(DONE);
    }
    for query in queries {
        for neuron in mapped.select(&query)? {
            for data in mapped.load(&[neuron])? {
                if *json { print_json(&data) } else { print(&mapped, &data) }
            }
        }
    }
    Ok(DONE)
}

fn verify(mapped: &MappedModel) -> Result<u8> {
    let damaged = mapped.verify();
    for error in &damaged {
        super::report(error);
    }
    if damaged.is_empty() {
        say!("{}: every array agrees with its checksum", mapped.path().display());
        return Ok(DONE);
    }
    Ok(FAILED)
}

fn describe(mapped: &MappedModel) {
    let options = mapped.options();
    say!("{}: a model file of {:.1} MB", mapped.path().display(), mapped.file_bytes() as f64 * 1e-6);
    say!(
        "built for  steps of {} ms, precision {}, up to {} threads",
        options.dt,
        options.precision.name(),
        mapped.shards()
    );
    if let Some(file) = mapped.config_file() {
        say!("made of    {}", file.display());
    }
    for (name, size) in mapped.populations() {
        say!("population {name:<14} {size:>9} neurons");
    }
    for [name, source, target] in mapped.projections() {
        say!("projection {name:<24} {source} to {target}");
    }
    say!("synapses   {}", mapped.synapses());
}

/// `NAME` for a population, `NAME:0-9,17` for some of its neurons.
fn query(text: &str) -> Result<NeuronQuery> {
    let Some((name, list)) = text.rsplit_once(':') else { return Ok(NeuronQuery::Population(text.to_owned())) };
    let wrong = |what: &str| {
        Error::Usage(format!(
            "--neurons {text}: `{what}` is not a number or a range such as 0-9; expected is NAME or NAME:0-9,17"
        ))
    };
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong(text));
    let mut indices = Vec::new();
    for item in list.split(',') {
        match item.split_once('-') {
            None => indices.push(number(item)?),
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                if to < from {
                    return Err(wrong(item));
                }
                indices.extend(from..=to);
            }
        }
    }
    Ok(NeuronQuery::Indices(name.to_owned(), indices))
}

/// `NAME:8419602,9469519`.
fn by_ids(text: &str) -> Result<NeuronQuery> {
    let wrong = || Error::Usage(format!("--ids {text}: expected is NAME:ID,ID with whole numbers"));
    let (name, list) = text.rsplit_once(':').ok_or_else(wrong)?;
    let ids: Option<Vec<u64>> = list.split(',').map(|id| id.trim().parse().ok()).collect();
    Ok(NeuronQuery::Ids(name.to_owned(), ids.ok_or_else(wrong)?))
}

/// `0..4,0..4,0..2,0..1`: cells along x, y, z, w, the ends not included.
fn region(text: &str) -> Result<Box4> {
    let wrong = || {
        Error::Usage(format!(
            "--cells {text}: expected are four ranges such as 0..4,0..4,0..2,0..1 along {}",
            AXES.join(", ")
        ))
    };
    let range = |text: &str| -> Option<(u32, u32)> {
        let (lo, hi) = text.trim().split_once("..")?;
        Some((lo.parse().ok()?, hi.parse().ok()?))
    };
    let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
    let ranges: [(u32, u32); 4] = ranges.and_then(|r| r.try_into().ok()).ok_or_else(wrong)?;
    Ok(Box4 { lo: ranges.map(|r| r.0), hi: ranges.map(|r| r.1) })
}

fn print(mapped: &MappedModel, data: &NeuronData) {
    let values = |list: &[(String, f64)]| list.iter().map(|(n, x)| format!("{n} {x}")).collect::<Vec<_>>().join(", ");
    let id = data.id.map_or(String::new(), |id| format!(" (id {id})"));
    let position = data.position.map_or(String::new(), |p| format!("  at {p:?} um"));
    say!("{} {}{id}{position}", data.population, data.index);
    if !data.state.is_empty() {
        say!("    state       {}", values(&data.state));
    }
    if !data.parameters.is_empty() {
        say!("    parameters  {}", values(&data.parameters));
    }
    say!("    synapses    {}", data.synapses.len());
    let dt = mapped.options().dt;
    for s in data.synapses.iter().take(SHOWN) {
        let (population, index, receptor) = mapped.target(s);
        say!(
            "                to {population} {index}, {receptor}, weight {}, delay {} ms",
            s.weight,
            f64::from(s.delay) * dt
        );
    }
    if data.synapses.len() > SHOWN {
        say!("                and {} more (--json shows all)", data.synapses.len() - SHOWN);
    }
}

fn print_json(data: &NeuronData) {
    let map = |list: &[(String, f64)]| -> serde_json::Map<String, serde_json::Value> {
        list.iter().map(|(name, x)| (name.clone(), (*x).into())).collect()
    };
    let column = |of: &dyn Fn(&crate::engine::Synapse) -> serde_json::Value| -> Vec<serde_json::Value> {
        data.synapses.iter().map(of).collect()
    };
    let line = serde_json::json!({
        "population": data.population, "index": data.index, "neuron": data.neuron, "id": data.id,
        "position_um": data.position, "parameters": map(&data.parameters), "state": map(&data.state),
        "synapses": {
            "target": column(&|s| s.target.into()), "receptor": column(&|s| s.receptor.into()),
            "weight": column(&|s| s.weight.into()), "delay_steps": column(&|s| s.delay.into()),
        },
    });
    say!("{line}");
}
