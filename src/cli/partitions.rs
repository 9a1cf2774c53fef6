//! How the network is cut: the options of `run` and `resume`, and what `tessera info --partitions` shows.

use super::{DONE, Source, run, say};
use crate::config::RunSpec;
use crate::engine::{CutStrategy, Locality, MOST_SHARDS, PartitionReport, Spread};
use crate::error::{Error, Result};
use crate::model::BrainModel;
use crate::plot::PartitionMap;
use crate::storage::MappedModel;
use clap::Args;
use std::path::{Path, PathBuf};

/// How the network is cut into the parts that threads own. The spikes do not depend on it.
#[derive(Args)]
pub(super) struct Cutting {
    /// How neurons are dealt to threads: zorder, blocks or random; the spikes do not depend on it.
    #[arg(long, value_name = "STRATEGY", value_parser = CutStrategy::NAMES)]
    pub partition: Option<String>,
}

impl Cutting {
    /// Lays the choice over that of a configuration.
    pub fn apply(&self, spec: &mut RunSpec) {
        if let Some(strategy) = self.partition.as_deref().and_then(CutStrategy::named) {
            spec.run.cut.strategy = Some(strategy);
        }
    }
}

/// What `tessera info` shows of a cut.
#[derive(Args)]
pub(super) struct Partitions {
    /// Show how the network of a configuration or model file is cut into so many partitions.
    #[arg(long, value_name = "N")]
    partitions: Option<usize>,
    /// How neurons are dealt to them: zorder, blocks or random.
    #[arg(long, value_name = "STRATEGY", value_parser = CutStrategy::NAMES, requires = "partitions")]
    partition: Option<String>,
    /// Draw the partitions on the slices of the lattice into this file (.svg or .png).
    #[arg(long, value_name = "FILE", requires = "partitions")]
    plot: Option<PathBuf>,
}

impl Partitions {
    /// Number of partitions asked for.
    pub fn asked_for(&self) -> Option<usize> {
        self.partitions
    }
}

/// Shows how the network of a configuration or a model file is cut.
pub(super) fn info(source: &Source, asked: &Partitions, partitions: usize, json: bool) -> Result<u8> {
    if !(1..=MOST_SHARDS).contains(&partitions) {
        let message = format!("--partitions {partitions} is out of range; allowed are 1 to {MOST_SHARDS}");
        return Err(Error::Usage(message));
    }
    let picture = asked.plot.as_deref().map(|file| Ok::<_, Error>((file, kind_of(file)?))).transpose()?;
    let mut spec = run::load(source, json)?;
    if let Some(strategy) = asked.partition.as_deref().and_then(CutStrategy::named) {
        spec.run.cut.strategy = Some(strategy);
    }
    if picture.is_some() && spec.network.lattice.is_none() {
        let message = format!("--plot: {} has no lattice to draw partitions on", spec.path.display());
        return Err(Error::Usage(message));
    }
    let options = spec.options()?;
    let (model, report) = match &spec.model {
        None => {
            let model = BrainModel::build(&spec.network, spec.run.seed)?;
            let report = PartitionReport::of_model(&model, &options, partitions)?;
            (model, report)
        }
        Some(path) => {
            let mapped = MappedModel::open(path)?;
            let connectivity = mapped.connectivity()?;
            let model = mapped.into_model()?;
            let report = PartitionReport::of_connectivity(&model, &connectivity, &options, partitions)?;
            (model, report)
        }
    };
    if json {
        say!("{}", serde_json::to_string(&report).map_err(|e| Error::Usage(e.to_string()))?);
    } else {
        print(&report);
    }
    if let (Some((file, kind)), Some(lattice)) = (picture, &spec.network.lattice) {
        let mut map = PartitionMap::new(lattice.shape)?;
        for (number, population) in model.populations().iter().enumerate() {
            for neuron in 0..population.size() {
                if let Some(cell) = population.cell(neuron) {
                    map.add(cell, report.owner(number, neuron));
                }
            }
        }
        map.title = format!("{}: {}", spec.path.display(), report.strategy);
        let picture = map.picture();
        let bytes = match kind {
            Kind::Svg => picture.to_svg().into_bytes(),
            Kind::Png => picture.to_png()?,
        };
        std::fs::write(file, bytes).map_err(|e| Error::io(file, "write", e))?;
        if !json {
            say!("picture    {}", file.display());
        }
    }
    Ok(DONE)
}

/// Formats of a picture.
#[derive(Clone, Copy)]
enum Kind {
    Svg,
    Png,
}

/// The format of a picture's file by its name; refused where the file exists.
fn kind_of(file: &Path) -> Result<Kind> {
    if file.exists() {
        return Err(Error::Usage(format!("--plot: {} exists; give another name or remove it", file.display())));
    }
    match file.extension().and_then(|e| e.to_str()) {
        Some("svg") => Ok(Kind::Svg),
        Some("png") => Ok(Kind::Png),
        _ => Err(Error::Usage(format!("--plot: {} ends neither in .svg nor in .png", file.display()))),
    }
}

fn print(report: &PartitionReport) {
    let PartitionReport { strategy, neurons, synapses, partitions, .. } = report;
    say!("{} partitions of {neurons} neurons and {synapses} synapses, strategy {strategy}", partitions.len());
    let cells = partitions.iter().any(|p| p.cells.is_some());
    let space = partitions.iter().any(|p| p.extent_um.is_some());
    let place = if cells { "cells x, y, z, w" } else { "extent x, y, z, w (um)" };
    say!(
        "{:>9} {:>9} {:>12} {:>9} {:>12} {:>6}  {}",
        "partition",
        "neurons",
        "synapses",
        "boundary",
        "cut",
        "load",
        if space { place } else { "" }
    );
    for (number, p) in partitions.iter().enumerate() {
        let ranges = match (&p.cells, &p.extent_um) {
            (Some(cells), _) => cells.map(|[lo, hi]| format!("{lo}..{hi}")).join(" "),
            (None, Some(extent)) => extent.map(|[lo, hi]| format!("{lo:.1}..{hi:.1}")).join(" "),
            (None, None) => String::new(),
        };
        say!(
            "{number:>9} {:>9} {:>12} {:>9} {:>12} {:>6.3}  {}",
            p.neurons,
            p.synapses,
            p.boundary_neurons,
            p.cut_synapses,
            p.load,
            ranges
        );
    }
    let spread = |name: &str, s: &Spread, digits: usize| {
        say!(
            "{name:<10} mean {:.digits$}, standard deviation {:.digits$}, imbalance {:.1} %",
            s.mean,
            s.sd,
            s.imbalance * 100.0
        );
    };
    spread("neurons", &report.neuron_spread, 1);
    spread("synapses", &report.synapse_spread, 1);
    spread("load", &report.load, 4);
    say!("cut        {:.2} % of the synapses lie between partitions", report.cut_share * 100.0);
    let locality = |name: &str, l: &Locality| {
        say!(
            "{name:<10} mean |difference of numbers| {:.1} (within populations {:.1}), cache lines found again {:.1} %",
            l.mean_distance,
            l.mean_distance_within,
            l.line_reuse * 100.0
        );
    };
    if let Some(rows) = &report.locality_by_rows {
        locality("by rows", rows);
    }
    locality(if cells { "Z-order" } else { "numbering" }, &report.locality);
}
