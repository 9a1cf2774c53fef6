//! Runs of networks that lie in model files: the file brings the network, the configuration in it the rest.

use super::population::{Ids, Population};
use super::reader::{Context, unknown};
use super::run::{OutputSpec, RunOptions};
use super::tree::Table;
use super::{Check, Estimate, RecordKind, RecordSpec, RunSpec, checkpoint, inactive, record, run, tree, without_nulls};
use crate::error::{Error, Fault, Result};
use crate::model::{self, BrainModel, Selection};
use crate::storage::MappedModel;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;

/// Key of a resolved configuration that names the model file the network lies in.
pub(super) const MODEL: &str = "model";
/// Tables of a configuration that say how a network is run, not what it is.
const TABLES: [&str; 5] = ["run", "record", "output", "checkpoint", "inactive"];

impl RunSpec {
    /// How a network in a model file is run: as the configuration it was built from says, with overrides such as
    /// `run.duration="2 s"` laid over it. What the synapses depend on (`run.dt`, `run.seed`, `run.precision`,
    /// `run.weight_bits`) is fixed in the file.
    ///
    /// # Errors
    /// If the file is damaged, or [`Error::Invalid`] with every fault in the overrides.
    pub fn for_model(mapped: &MappedModel, overrides: &[String]) -> Result<Self> {
        read(mapped, mapped.config(), overrides).and_then(|check| check.spec.ok_or(Error::Invalid(check.faults)))
    }

    /// The tables of a configuration that say how the network is run, what is recorded and where results go: what a
    /// model file keeps of it.
    pub fn run_tables(&self) -> Value {
        let mut tables = Map::new();
        // Threads are those of the machine that runs the file; how it is cut, the file has.
        let RunOptions { duration_ms, dt_ms, seed, threads: _, precision, isa, weight_bits, cut: _ } = &self.run;
        let mut run = json!({
            "duration": duration_ms, "dt": dt_ms, "seed": seed, "precision": precision.name(),
            "weight_bits": weight_bits.name(),
        });
        if let Some(isa) = isa {
            run["isa"] = isa.clone().into();
        }
        tables.insert("run".into(), run);
        tables.insert("record".into(), self.record_tables().into());
        let OutputSpec { dir, spikes_format, pictures, overwrite: _ } = &self.output;
        let output = json!({ "dir": dir, "format": spikes_format.name(), "pictures": pictures });
        tables.insert("output".into(), output);
        for name in ["checkpoint", "inactive"] {
            if let Some(table) = self.resolved.get(name) {
                tables.insert(name.into(), table.clone());
            }
        }
        tables.into()
    }

    fn record_tables(&self) -> Map<String, Value> {
        let mut tables = Map::new();
        let some = |table: &mut Value, names: &[String]| {
            if !names.is_empty() {
                table["populations"] = names.into();
            }
        };
        for RecordSpec { name, kind } in &self.records {
            match kind {
                RecordKind::Spikes { populations, format } => {
                    let mut table = json!({ "kind": "spikes", "format": format.name() });
                    some(&mut table, populations);
                    tables.insert(name.clone(), table);
                }
                RecordKind::Rates { populations, bin_ms } => {
                    let mut table = json!({ "kind": "rates", "bin": bin_ms });
                    some(&mut table, populations);
                    tables.insert(name.clone(), table);
                }
                RecordKind::State(recordings) => {
                    for recording in recordings {
                        let population = &self.network.populations[recording.population].name;
                        let mut table = json!({
                            "kind": "state", "populations": [population], "variables": recording.variables,
                            "interval": recording.every as f64 * self.run.dt_ms, "start": recording.start,
                        });
                        if recording.stop.is_finite() {
                            table["stop"] = recording.stop.into();
                        }
                        if let Selection::Indices(indices) = &recording.neurons {
                            table["neurons"] = indices.to_vec().into();
                        }
                        tables.insert(recording.name.clone(), table);
                    }
                }
            }
        }
        if tables.is_empty() {
            // A file without records would record all spikes.
            tables.insert("spikes".into(), json!({ "kind": "spikes", "enabled": false }));
        }
        tables
    }
}

/// Reads what a model file says of its run, and reports everything there is to say about it.
pub(super) fn check(path: &Path, overrides: &[String]) -> Check {
    let checked = MappedModel::open(path).and_then(|mapped| read(&mapped, mapped.config(), overrides));
    checked.unwrap_or_else(|error| {
        let faults = match error {
            Error::Invalid(faults) => faults,
            other => vec![Fault::new("", other.to_string())],
        };
        Check { spec: None, faults, warnings: Vec::new(), estimate: None }
    })
}

/// Reads a resolved configuration that names a model file.
pub(super) fn read_resolved(resolved: &Value) -> Result<Check> {
    let Some(path) = resolved.get(MODEL).and_then(Value::as_str) else {
        return Err(Error::invalid(MODEL, "it is not the path of a model file"));
    };
    read(&MappedModel::open(path)?, resolved, &[])
}

/// Reads the tables of `config` that say how a network is run.
fn read(mapped: &MappedModel, config: &Value, overrides: &[String]) -> Result<Check> {
    let path = mapped.path();
    let model = mapped.model()?;
    let own = mapped.options();
    let mut tables: Map<String, Value> = match config {
        Value::Object(map) => {
            map.iter().filter(|(k, _)| TABLES.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        _ => Map::new(),
    };
    let fixed = [
        ("dt", json!(own.dt)),
        ("seed", json!(model.seed())),
        ("precision", json!(own.precision.name())),
        ("weight_bits", json!(own.weight_bits.name())),
    ];
    let run_table = tables.entry("run").or_insert_with(|| json!({}));
    if !run_table.is_object() {
        return Err(Error::format(path, "/header: the file is damaged (`run` is not a table)"));
    }
    for (key, value) in fixed {
        run_table[key] = value;
    }
    let text = toml::to_string(&without_nulls(&tables.into())).map_err(|e| Error::format(path, e.to_string()))?;
    let mut faults = Vec::new();
    let mut root = tree::parse(&text, path, &mut faults);
    for text in overrides {
        tree::apply_override(&mut root, text, &mut faults);
    }
    let ids = mapped.ids()?;
    let populations = populations(model, &ids);
    let mut ctx = Context::new(path, faults);
    refuse_network_tables(&ctx, &root);
    let mut resolved = Map::new();
    resolved.insert(MODEL.into(), absolute(path).into());
    let (run, map) = run::read_run(&ctx, &root);
    resolved.insert("run".into(), map);
    if let Some(run) = &run {
        (ctx.dt, ctx.seed) = (run.dt_ms, run.seed);
        let same = [
            ("run.dt", run.dt_ms == own.dt),
            ("run.seed", run.seed == model.seed()),
            ("run.precision", run.precision == own.precision),
            ("run.weight_bits", run.weight_bits == own.weight_bits),
        ];
        for (key, _) in same.iter().filter(|(_, same)| !same) {
            let message = "it is fixed in a model file; build another with `tessera build --set`";
            ctx.fault(key, tree::place_of(&root, key), message);
        }
    }
    let (output, output_map) = run::read_output(&ctx, &root, path);
    let format = output.as_ref().map(|output| output.spikes_format).unwrap_or_default();
    let records = record::read_all(&ctx, &root, &populations, format, &mut resolved);
    resolved.insert("output".into(), output_map);
    let checkpoint = checkpoint::read(&ctx, &root, &mut resolved);
    let inactive = inactive::read(&ctx, &root, &mut resolved);
    let network = model.spec().clone();
    let spec = match (run, output) {
        (Some(run), Some(output)) if !ctx.has_faults() => Some(RunSpec {
            network,
            run,
            records,
            output,
            checkpoint,
            inactive,
            ids,
            nodes: Vec::new(),
            resolved: resolved.into(),
            path: path.to_owned(),
            model: Some(path.to_owned()),
        }),
        _ => None,
    };
    let estimate = spec.as_ref().map(|spec| Estimate::of_model(&spec.network, &spec.run, mapped.synapses()));
    let (faults, warnings) = ctx.into_findings();
    // Lines are those of no file the user has.
    let told = |faults: Vec<Fault>| faults.into_iter().map(|f| Fault { line: None, ..f }).collect();
    Ok(Check { spec, faults: told(faults), warnings: told(warnings), estimate })
}

fn populations(model: &BrainModel, ids: &[Option<Arc<[u64]>>]) -> Vec<Population> {
    let of = |(p, ids): (&model::Population, &Option<Arc<[u64]>>)| Population {
        name: p.name().to_owned(),
        spec: None,
        size: Some(p.size()),
        receptors: p.receptors().to_vec(),
        variables: p.model().variables().iter().map(|v| v.name).collect(),
        ids: ids.as_ref().map(|ids| Ids::new(ids.clone())),
    };
    model.populations().iter().zip(ids).map(of).collect()
}

/// Overrides of what a model file holds already.
fn refuse_network_tables(ctx: &Context, root: &Table) {
    for (name, node) in &root.entries {
        if TABLES.contains(&name.as_str()) {
            continue;
        }
        let message = if super::keys::TABLES.iter().any(|table| table.name == name) {
            format!("`{name}` is fixed in a model file; build another with `tessera build --set`")
        } else {
            unknown("table", name, TABLES)
        };
        ctx.fault(name, node.place, message);
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
