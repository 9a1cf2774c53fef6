//! The configuration file: a TOML file becomes a network as plain data, and what to do with it.
//!
//! A JSON file is taken for a SONATA configuration (`sonata`) and becomes the same.
//!
//! Reading has two stages. First the file becomes a tree of values that know their lines, with the `--set`
//! overrides laid over it. Then each table is read against the list of its keys: units, ranges, names and
//! combinations are checked, every fault is noted with its place, and reading goes on to the next.

mod cells;
mod checkpoint;
mod datafile;
mod distribution;
mod estimate;
mod from_model;
mod inactive;
mod keys;
mod neurons;
mod population;
mod projection;
mod quantity;
mod reader;
mod record;
mod reference;
mod run;
mod schema;
mod sonata;
mod space;
mod stimulus;
mod tree;

pub use crate::metrics::available_memory;
pub use checkpoint::CheckpointSpec;
pub use estimate::Estimate;
pub use record::{RecordKind, RecordSpec};
pub use reference::reference;
pub use run::{OutputSpec, RunOptions, SpikesFormat};
pub use schema::schema;

use crate::compute::Isa;
use crate::engine::{Connectivity, Inactive, SimOptions, Simulation};
use crate::error::{Error, Fault, Result};
use crate::metrics;
use crate::model::{BrainModel, NetworkSpec};
use crate::storage::NodeNames;
use crate::storage::{Compression, MappedModel, ModelSettings};
use reader::{Context, unknown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A network, how to simulate it, what to record and where results go.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The network.
    pub network: NetworkSpec,
    /// How it is simulated.
    pub run: RunOptions,
    /// What is recorded.
    pub records: Vec<RecordSpec>,
    /// Where results go.
    pub output: OutputSpec,
    /// When checkpoints are written, if they are.
    pub checkpoint: Option<CheckpointSpec>,
    /// What is done about neurons at rest, if anything.
    pub inactive: Option<Inactive>,
    /// For each population the ids that a table gave its neurons, if one did.
    pub ids: Vec<Option<Arc<[u64]>>>,
    /// What neurons are called in SONATA result files, where not by population and number.
    pub nodes: Vec<NodeNames>,
    /// The whole configuration with defaults filled in; it can be read again as a configuration.
    pub resolved: serde_json::Value,
    /// The file.
    pub path: PathBuf,
    /// The model file the network lies in, if it does; the network has no projections then.
    pub model: Option<PathBuf>,
}

/// What a check of a file found.
#[derive(Debug)]
pub struct Check {
    /// The run, if there is no fault.
    pub spec: Option<RunSpec>,
    /// What is wrong, in the order of the file.
    pub faults: Vec<Fault>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Fault>,
    /// What the run will need, if there is no fault.
    pub estimate: Option<Estimate>,
}

impl RunSpec {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Invalid`] with every fault in it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::load(path, &[])
    }

    /// Reads a file with overrides such as `run.duration="2 s"` laid over it. A model file stands for the configuration
    /// it was built from.
    ///
    /// # Errors
    /// As for [`RunSpec::from_file`]; a fault in an override is located at `--set`.
    pub fn load(path: impl AsRef<Path>, overrides: &[String]) -> Result<Self> {
        let path = path.as_ref();
        if MappedModel::recognises(path) {
            return Self::for_model(&MappedModel::open(path)?, overrides);
        }
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, "read", error))?;
        let check = read_any(path, &text, overrides, false);
        check.spec.ok_or(Error::Invalid(check.faults))
    }

    /// Reads a configuration that lies in memory, as [`check`](Self::check) reads a file. Paths in it are relative to the
    /// folder of `path`, which names it in messages.
    pub fn check_text(path: impl AsRef<Path>, text: &str, overrides: &[String]) -> Check {
        read(path.as_ref(), text, overrides, true)
    }

    /// Reads a file and reports everything there is to say about it, without stopping at faults.
    pub fn check(path: impl AsRef<Path>, overrides: &[String]) -> Check {
        let path = path.as_ref();
        if MappedModel::recognises(path) {
            return from_model::check(path, overrides);
        }
        match std::fs::read_to_string(path) {
            Ok(text) => read_any(path, &text, overrides, true),
            Err(error) => {
                let message = format!("cannot read the file: {error}");
                let fault = Fault { file: Some(path.to_owned()), line: None, key: String::new(), message };
                Check { spec: None, faults: vec![fault], warnings: Vec::new(), estimate: None }
            }
        }
    }
}

impl RunSpec {
    /// Reads a configuration back that was recorded with results ([`RunSpec::resolved`]). `file` is where it came
    /// from; relative paths in it are relative to that.
    ///
    /// # Errors
    /// As for [`RunSpec::from_file`], for example if a file it names has gone.
    pub fn from_resolved(resolved: &serde_json::Value, file: Option<&Path>) -> Result<Self> {
        if resolved.get(from_model::MODEL).is_some() {
            let check = from_model::read_resolved(resolved)?;
            return check.spec.ok_or(Error::Invalid(check.faults));
        }
        let path = file.unwrap_or(Path::new("run.json"));
        if resolved.get(sonata::RESOLVED).is_some() {
            let check = sonata::read_resolved(resolved, path);
            return check.spec.ok_or(Error::Invalid(check.faults));
        }
        let text = toml::to_string(&without_nulls(resolved)).map_err(|e| Error::format(path, e.to_string()))?;
        let check = read(path, &text, &[], false);
        check.spec.ok_or(Error::Invalid(check.faults))
    }

    /// What the run will need.
    pub fn estimate(&self) -> Estimate {
        Estimate::of(&self.network, &self.run)
    }

    /// What the simulation is told.
    ///
    /// # Errors
    /// If the instruction set has no such name.
    pub fn options(&self) -> Result<SimOptions> {
        Ok(SimOptions {
            dt: self.run.dt_ms,
            threads: self.run.threads.unwrap_or(0),
            precision: self.run.precision,
            isa: self.run.isa.as_deref().map(Isa::parse).transpose()?,
            weight_bits: self.run.weight_bits,
            inactive: self.inactive,
            cut: self.run.cut.clone(),
        })
    }

    /// Builds the network, or maps it where it lies in a model file, and sets up its state recordings. Spikes and other
    /// results go to whatever recorders are added to the simulation.
    ///
    /// # Errors
    /// If the machine lacks the instruction set asked for, a model cannot be run with this time step, or a model file
    /// is damaged.
    pub fn build(&self) -> Result<Simulation> {
        let options = self.options()?;
        let mut sim = match &self.model {
            None => {
                let model = metrics::timed("place neurons", || BrainModel::build(&self.network, self.run.seed))?;
                Simulation::new(model, options)?
            }
            Some(path) => {
                let mapped = MappedModel::open(path)?;
                let connectivity = mapped.connectivity()?;
                // A number that nobody asked for is not worth a copy of the synapses.
                let options = match options.threads {
                    0 => SimOptions { threads: available_threads().min(mapped.shards()), ..options },
                    _ => options,
                };
                Simulation::with_connectivity(mapped.into_model()?, connectivity, options)?
            }
        };
        for record in &self.records {
            if let RecordKind::State(recordings) = &record.kind {
                for recording in recordings {
                    sim.record_state(recording.clone())?;
                }
            }
        }
        Ok(sim)
    }

    /// Builds the network and writes it to a model file; gives its length in bytes.
    ///
    /// # Errors
    /// As for [`build`](Self::build) and [`MappedModel::create`].
    pub fn write_model(&self, path: impl AsRef<Path>, compression: Compression, overwrite: bool) -> Result<Built> {
        if let Some(own) = &self.model {
            return Err(Error::Usage(format!(
                "{} is a model file already; `tessera convert` copies it",
                own.display()
            )));
        }
        let options = self.options()?;
        let settings = ModelSettings {
            options: options.clone(),
            config: self.run_tables(),
            config_file: std::path::absolute(&self.path).ok(),
            ids: self.ids.clone(),
            compression,
            overwrite,
        };
        MappedModel::refuse(path.as_ref(), overwrite)?;
        MappedModel::refuse_procedural(&self.network)?;
        let start = std::time::Instant::now();
        let model = BrainModel::build(&self.network, self.run.seed)?;
        let connectivity = Connectivity::build(&model, &options)?;
        let build_s = start.elapsed().as_secs_f64();
        let bytes = MappedModel::create(path, &model, &connectivity, &settings)?;
        let write_s = start.elapsed().as_secs_f64() - build_s;
        let (neurons, synapses, shards) = (model.neurons(), connectivity.synapses(), connectivity.shards());
        Ok(Built { neurons, synapses, shards, bytes, build_s, write_s })
    }
}

fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What was written to a model file.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Built {
    /// Neurons.
    pub neurons: u32,
    /// Synapses.
    pub synapses: u64,
    /// Shards the synapses are cut into: threads the file serves without copying them.
    pub shards: usize,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Wall-clock time of construction, s.
    pub build_s: f64,
    /// Wall-clock time of writing, s.
    pub write_s: f64,
}

/// TOML has no null; what is null was not given.
fn without_nulls(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// Reads a file of either kind.
fn read_any(path: &Path, text: &str, overrides: &[String], thorough: bool) -> Check {
    if sonata::is_sonata(path, text) {
        return sonata::read(path, overrides, thorough);
    }
    read(path, text, overrides, thorough)
}

/// Reads a TOML file; a thorough reading also makes the neurons and an estimate.
fn read(path: &Path, text: &str, overrides: &[String], thorough: bool) -> Check {
    let mut faults = Vec::new();
    let mut root = tree::parse(text, path, &mut faults);
    if !faults.is_empty() {
        return Check { spec: None, faults, warnings: Vec::new(), estimate: None };
    }
    for text in overrides {
        tree::apply_override(&mut root, text, &mut faults);
    }
    let mut ctx = Context::new(path, faults);
    for (name, node) in &root.entries {
        if !keys::TABLES.iter().any(|table| table.name == name) {
            let message = unknown("table", name, keys::TABLES.iter().map(|table| table.name));
            ctx.fault(name, node.place, message);
        }
    }
    let mut resolved = serde_json::Map::new();
    let (run, map) = run::read_run(&ctx, &root);
    resolved.insert("run".into(), map);
    if let Some(run) = &run {
        ctx.dt = run.dt_ms;
        ctx.seed = run.seed;
    }
    let paths = run::read_paths(&mut ctx, &root);
    if root.get("paths").is_some() {
        resolved.insert("paths".into(), paths);
    }
    let (output, output_map) = run::read_output(&ctx, &root, path);
    let space = space::Space::read(&ctx, &root, &mut resolved);
    let tables = neurons::read_all(&ctx, &root, &mut resolved);
    let populations = population::read_all(&ctx, &root, &space, &tables, &mut resolved);
    let projections = projection::read_all(&ctx, &root, &populations, &mut resolved);
    let stimuli = stimulus::read_all(&ctx, &root, &populations, &space, &mut resolved);
    let format = output.as_ref().map(|output| output.spikes_format).unwrap_or_default();
    let records = record::read_all(&ctx, &root, &populations, format, &mut resolved);
    resolved.insert("output".into(), output_map);
    let checkpoint = checkpoint::read(&ctx, &root, &mut resolved);
    let inactive = inactive::read(&ctx, &root, &mut resolved);

    let ids = populations.iter().map(|p| p.ids.as_ref().map(|ids| ids.list.clone())).collect();
    let specs: Option<Vec<_>> = populations.into_iter().map(|population| population.spec).collect();
    let spec = match (run, output, specs) {
        (Some(run), Some(output), Some(populations)) if !ctx.has_faults() => {
            let network = NetworkSpec { lattice: space.lattice, areas: space.areas, populations, projections, stimuli };
            // What a network built in Rust is checked for, in case the checks above let something through.
            for fault in network.validate() {
                ctx.fault(&fault.key, tree::place_of(&root, &fault.key), fault.message);
            }
            let path = path.to_owned();
            let resolved = resolved.into();
            let nodes = Vec::new();
            let spec = RunSpec {
                network,
                run,
                records,
                output,
                checkpoint,
                inactive,
                ids,
                nodes,
                resolved,
                path,
                model: None,
            };
            let estimate = thorough.then(|| Estimate::of(&spec.network, &spec.run));
            if let Some(estimate) = &estimate
                && !ctx.has_faults()
                && estimate.fits().is_ok()
            {
                check_neurons(&ctx, &root, &spec);
            }
            (!ctx.has_faults()).then_some((spec, estimate))
        }
        _ => None,
    };
    let (faults, warnings) = ctx.into_findings();
    let (spec, estimate) = spec.unzip();
    Check { spec, faults, warnings, estimate: estimate.flatten() }
}

/// Numbers and parametrises the neurons as a run would, for what only drawn values show.
fn check_neurons(ctx: &Context, root: &tree::Table, spec: &RunSpec) {
    let faults = match BrainModel::build(&spec.network, spec.run.seed) {
        Ok(model) => model.check_step(spec.run.dt_ms),
        Err(Error::Invalid(faults)) => faults,
        Err(error) => vec![Fault::new("", error.to_string())],
    };
    for fault in faults {
        ctx.fault(&fault.key, tree::place_of(root, &fault.key), fault.message);
    }
}
