//! A network as a SONATA folder.

use super::write_config::{self as texts, EdgesOf, Run};
use super::write_edges::{EdgeWriter, End, Link};
use super::write_folder::{self, Record, Staged};
use super::write_plan::{Cells, Plan};
use super::{write_nodes, write_spikes};
use crate::engine::Connectivity;
use crate::error::{Error, Result};
use crate::model::BrainModel;
use serde_json::Value;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// How a network is written to SONATA.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExportOptions {
    /// Time step, ms: delays are written in whole steps of it.
    pub dt: f64,
    /// Biological time of the simulation that is described, ms.
    pub duration_ms: f64,
    /// Leaves out stimuli that SONATA cannot say instead of refusing them.
    pub drop_stimuli: bool,
}

/// A network that can be written as a SONATA folder; whether it can was checked when this was made.
///
/// The folder holds `circuit_config.json`, `simulation_config.json`, `node_sets.json`, the node and edge files with their
/// type tables in `network`, parameters in `components`, spikes of `spike_train` populations and `spikes` stimuli in
/// `inputs`, and `export.json`, by which a later export knows what it may replace. Models are those of NEST with the same
/// equations, units those of NEST: ms, mV, pA, pF, nS. Weights (f64) and delays are those that are simulated, after
/// rounding to the grids of weights and steps.
#[derive(Debug)]
pub struct Export<'a> {
    model: &'a BrainModel,
    options: ExportOptions,
    plan: Plan,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Neurons and virtual nodes.
    pub nodes: u64,
    /// Edges: synapses, and those of `spikes` stimuli.
    pub edges: u64,
    /// The files.
    pub files: Vec<PathBuf>,
}

impl<'a> Export<'a> {
    /// Checks a network before its synapses are made.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every model without a counterpart in NEST (`lif_euler`, `parrot`, `poisson`, models of the
    /// user's own), every stimulus that SONATA cannot say unless these are to be left out, every initial value of a state
    /// variable that NEST does not let be set, every name that no file can have; and if the time step does not fit the
    /// parameters.
    pub fn new(model: &'a BrainModel, options: ExportOptions) -> Result<Self> {
        let ExportOptions { dt, duration_ms, drop_stimuli } = options;
        if !(dt.is_finite() && dt > 0.0 && duration_ms.is_finite() && duration_ms >= 0.0) {
            let message = format!("{duration_ms} ms in steps of {dt} ms is no run; both are finite, the step above 0");
            return Err(Error::invalid("run.dt", message));
        }
        let faults = model.check_step(dt);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let plan = Plan::new(model, dt, (duration_ms / dt).round() as u64, drop_stimuli)?;
        Ok(Self { model, options, plan })
    }

    /// Whether a folder may be written to, before anything is made for it.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn refuse(folder: &Path, overwrite: bool) -> Result<()> {
        write_folder::refuse(folder, overwrite)
    }

    /// Stimuli that are left out, and why.
    pub fn left_out(&self) -> &[String] {
        &self.plan.left_out
    }

    /// What other programs that read the folder will do differently.
    pub fn notes(&self) -> &[String] {
        &self.plan.notes
    }

    /// Writes the folder, which appears when it is whole. Memory is bounded: synapses are asked for several times.
    ///
    /// `connectivity` must be that of the model, made with the same time step.
    ///
    /// # Errors
    /// The folder has something in it and `overwrite` is false, or it has something that is no earlier export; a file
    /// cannot be written; the synapses lie in a file that is damaged.
    pub fn write(&self, connectivity: &Connectivity, folder: &Path, overwrite: bool) -> Result<Exported> {
        let dt = self.options.dt;
        let mut staged = Staged::begin(folder, overwrite)?;
        for nodes in &self.plan.nodes {
            let population = nodes.population.map(|index| &self.model.populations()[index]);
            write_nodes::write(&staged.place(&texts::nodes_file(&nodes.name))?, nodes, population)?;
            staged.text(&texts::node_types_file(&nodes.name), &texts::node_types(nodes))?;
            if let Some(parameters) = texts::parameters(nodes) {
                staged.text(&format!("{}/{}.json", texts::NEURON_FOLDER, nodes.name), &pretty(&parameters))?;
            }
            if let Cells::Virtual(sent) = &nodes.cells {
                write_spikes::write(&staged.place(&texts::spikes_file(&nodes.name))?, &nodes.name, sent, dt)?;
            }
        }
        let (edges, count) = self.write_edges(connectivity, &mut staged)?;
        for edges in &edges {
            staged.text(&texts::edge_types_file(&edges.name), &texts::edge_types())?;
        }
        staged.text(&format!("{}/{}", texts::SYNAPSE_FOLDER, texts::SYNAPSE_FILE), "{}\n")?;
        let run = Run { duration: self.options.duration_ms, dt, seed: self.model.seed() };
        staged.text("circuit_config.json", &pretty(&texts::circuit(&self.plan.nodes, &edges)))?;
        staged.text("node_sets.json", &pretty(&texts::node_sets(&self.plan.nodes, &self.plan.clamps)))?;
        let simulation = texts::simulation(&run, &self.plan.nodes, &self.plan.clamps);
        staged.text("simulation_config.json", &pretty(&simulation))?;
        let nodes = self.plan.nodes.iter().map(|n| u64::from(n.size)).sum();
        let record = Record {
            creator: format!("tessera {}", env!("CARGO_PKG_VERSION")),
            files: Vec::new(),
            nodes,
            edges: count,
            left_out: self.plan.left_out.clone(),
        };
        Ok(Exported { nodes, edges: count, files: staged.finish(record)? })
    }

    fn write_edges(&self, connectivity: &Connectivity, staged: &mut Staged) -> Result<(Vec<EdgesOf>, u64)> {
        let mut made = EdgeFiles { names: Vec::new(), edges: 0 };
        let populations = self.model.populations();
        let targets: Vec<End<'_>> =
            populations.iter().map(|p| End { name: p.name(), first: p.first(), size: p.size() }).collect();
        let synapses = RefCell::new(Vec::new());
        for source in &targets {
            let links = |neuron: u32, out: &mut Vec<Link>| {
                let mut synapses = synapses.borrow_mut();
                synapses.clear();
                connectivity.synapses_of(self.model, source.first + neuron, &mut synapses)?;
                out.extend(synapses.iter().map(|s| Link { target: s.target, delay: s.delay, weight: s.weight }));
                Ok(())
            };
            made.write(&EdgeWriter { source: *source, targets: &targets, links: &links, dt: self.options.dt }, staged)?;
        }
        for driven in &self.plan.driven {
            let nodes = &self.plan.nodes[driven.nodes];
            let source = End { name: &nodes.name, first: 0, size: nodes.size };
            let links = |node: u32, out: &mut Vec<Link>| {
                out.push(Link { target: driven.targets[node as usize], delay: 1, weight: driven.weight });
                Ok(())
            };
            made.write(&EdgeWriter { source, targets: &targets, links: &links, dt: self.options.dt }, staged)?;
        }
        Ok((made.names.into_iter().map(|name| EdgesOf { name }).collect(), made.edges))
    }
}

/// The edge populations so far.
struct EdgeFiles {
    names: Vec<String>,
    edges: u64,
}

impl EdgeFiles {
    fn write(&mut self, writer: &EdgeWriter<'_>, staged: &mut Staged) -> Result<()> {
        let written = writer.write(|target| {
            let mut name = format!("{}_to_{}", writer.source.name, writer.targets[target].name);
            while self.names.contains(&name) {
                name.push('_');
            }
            self.names.push(name.clone());
            let path = staged.place(&texts::edges_file(&name))?;
            Ok((name, path))
        })?;
        self.edges += written.iter().map(|w| w.edges).sum::<u64>();
        Ok(())
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data");
    text.push('\n');
    text
}
