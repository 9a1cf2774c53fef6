//! SONATA configurations as runs: what `simulation_config.json` and the files it names say, in terms of the engine.
//!
//! Units are those of NEST's models: ms, mV, pA, pF, nS. `docs/sonata.md` lists what is read.

mod cells;
mod inputs;
mod nest_time;
mod own_tables;
mod records;
mod run;
mod synapses;
mod templates;

use super::{Check, Estimate, RunSpec};
use crate::error::{Error, Fault};
use crate::interop::sonata::{Config, Findings, NodePopulation, NodeSets, read_edges, read_nodes};
use crate::model::{BrainModel, NetworkSpec};
use crate::storage::NodeNames;
use cells::{Components, Part, Places};
use inputs::Surplus;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Key of a resolved configuration that names a SONATA configuration instead of holding everything itself.
pub(super) const RESOLVED: &str = "sonata";

/// A network while it is put together.
struct Building<'a> {
    nodes: &'a [NodePopulation],
    findings: Findings,
    network: NetworkSpec,
    ids: Vec<Option<Arc<[u64]>>>,
    names: Vec<NodeNames>,
    parts: Vec<Part>,
    /// For each population of `nodes`.
    places: Vec<Places>,
    surplus: Vec<Surplus>,
    dt: f64,
}

/// Whether a configuration is a SONATA one: JSON, which TOML never begins like.
pub(super) fn is_sonata(path: &Path, text: &str) -> bool {
    path.extension().is_some_and(|e| e == "json") || text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

/// Reads a configuration; a thorough reading also makes the neurons and an estimate.
pub(super) fn read(path: &Path, overrides: &[String], thorough: bool) -> Check {
    let mut findings = Findings::default();
    let spec = match Config::read(path, overrides) {
        Ok(config) => spec(&config, overrides, &mut findings),
        Err(error) => {
            findings.error(error);
            None
        }
    };
    let spec = spec.filter(|_| !findings.has_faults()).filter(|spec| {
        for fault in spec.network.validate() {
            findings.fault(path, &fault.key, fault.message);
        }
        !findings.has_faults()
    });
    let estimate = spec.as_ref().filter(|_| thorough).map(RunSpec::estimate);
    if let (Some(spec), Some(estimate)) = (&spec, &estimate)
        && estimate.fits().is_ok()
    {
        check_neurons(spec, &mut findings);
    }
    let good = !findings.has_faults();
    let (faults, warnings) = findings.into_parts();
    Check { spec: spec.filter(|_| good), faults, warnings, estimate: estimate.filter(|_: &Estimate| good) }
}

/// Reads a configuration that [`RESOLVED`] names.
///
/// `run.duration` beside it goes before what the configuration says: a run that goes on may have another end.
pub(super) fn read_resolved(resolved: &serde_json::Value, file: &Path) -> Check {
    let duration = resolved.get("run").and_then(|run| run.get("duration"));
    let Some(resolved) = resolved.get(RESOLVED) else { return read(file, &[], false) };
    let fault = |message: &str| {
        let fault =
            Fault { file: Some(file.to_owned()), line: None, key: RESOLVED.to_owned(), message: message.to_owned() };
        Check { spec: None, faults: vec![fault], warnings: Vec::new(), estimate: None }
    };
    let Some(config) = resolved.get("config").and_then(|config| config.as_str()) else {
        return fault("`config` is missing; it is the path of the SONATA configuration");
    };
    let overrides: Option<Vec<String>> = match resolved.get("set") {
        None => Some(Vec::new()),
        Some(list) => {
            list.as_array().and_then(|list| list.iter().map(|text| text.as_str().map(str::to_owned)).collect())
        }
    };
    let Some(mut overrides) = overrides else { return fault("`set` is not a list of overrides") };
    if let Some(duration) = duration {
        overrides.retain(|text| !text.starts_with("run.duration=") && !text.starts_with("run.tstop="));
        overrides.push(format!("run.duration={duration}"));
    }
    let base = file.parent().unwrap_or(Path::new(""));
    read(&base.join(config), &overrides, false)
}

fn spec(config: &Config, overrides: &[String], findings: &mut Findings) -> Option<RunSpec> {
    config.warn_unknown(findings);
    if let Some(simulator) = config.section("target_simulator")
        && simulator
            .value
            .as_str()
            .is_some_and(|name| !["NEST", "tessera"].iter().any(|own| own.eq_ignore_ascii_case(name)))
    {
        simulator.warn(findings, format!("the network is meant for `{}`; it is run as NEST would", simulator.shown()));
    }
    for part in ["connection_overrides", "gid_mapping_file"] {
        if let Some(section) = config.section(part) {
            section.fault(findings, format!("`{part}` is not supported"));
        }
    }
    let run = run::read(config, overrides, findings);
    let output = records::output(config, findings);
    let dt = run.as_ref().map_or(0.1, |run| run.dt_ms);
    let checkpoint = own_tables::checkpoint(config, dt, findings);
    let inactive = own_tables::inactive(config, dt, findings);
    let components = Components::read(config.section("components"), findings);
    let sets = NodeSets::read(config, findings);
    let sets = findings.noted(sets);
    let nodes = nodes(config, findings);
    let mut ctx = Building {
        nodes: &nodes,
        findings: std::mem::take(findings),
        network: NetworkSpec::default(),
        ids: Vec::new(),
        names: Vec::new(),
        parts: Vec::new(),
        places: Vec::new(),
        surplus: Vec::new(),
        dt,
    };
    cells::build(&mut ctx, &components);
    let mut records = Vec::new();
    if let Some(sets) = &sets {
        inputs::build(&mut ctx, config.section("inputs"), sets);
        let duration = run.as_ref().map_or(0.0, |run| run.duration_ms);
        records = records::build(&mut ctx, config, sets, duration);
    }
    edges(config, &mut ctx, &components);
    let Building { findings: found, network, ids, names, .. } = ctx;
    *findings = found;
    let run = run?;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let resolved = serde_json::json!({
        RESOLVED: { "config": absolute(config.path()).display().to_string(), "set": overrides },
        "run": { "duration": run.duration_ms, "dt": run.dt_ms, "seed": run.seed },
    });
    Some(RunSpec {
        network,
        run,
        records,
        output,
        ids,
        nodes: names,
        resolved,
        path: config.path().to_owned(),
        checkpoint,
        inactive,
        model: None,
    })
}

/// A file of nodes or edges of `networks`, with its table of types.
fn files(config: &Config, part: &str, findings: &mut Findings) -> Vec<(PathBuf, Option<PathBuf>)> {
    let Some(list) = config.section("networks").and_then(|networks| networks.get(part)) else { return Vec::new() };
    let (file_key, types_key) = match part {
        "nodes" => ("nodes_file", "node_types_file"),
        _ => ("edges_file", "edge_types_file"),
    };
    let mut files = Vec::new();
    for item in list.items(findings) {
        if !item.value.is_object() {
            item.wrong(findings, "an object");
            continue;
        }
        item.warn_unknown(findings, &[file_key, types_key, "enabled", "populations"]);
        if item.get("enabled").and_then(|enabled| enabled.boolean(findings)) == Some(false) {
            continue;
        }
        let types = item.get(types_key).filter(|types| types.value.as_str() != Some(""));
        let types = types.map(|types| types.existing_file(findings));
        let Some(file) = item.get(file_key) else {
            item.missing(findings, file_key, "an HDF5 file");
            continue;
        };
        let file = file.existing_file(findings);
        if let (Some(file), true) = (file, types != Some(None)) {
            files.push((file, types.flatten()));
        }
    }
    files
}

fn nodes(config: &Config, findings: &mut Findings) -> Vec<NodePopulation> {
    let before = findings.count();
    let mut nodes = Vec::new();
    for (file, types) in files(config, "nodes", findings) {
        nodes.extend(findings.noted(read_nodes(&file, types.as_deref())).unwrap_or_default());
    }
    if nodes.is_empty() && findings.count() == before {
        findings.fault(config.path(), "networks.nodes", "there are no nodes; `network` names the file that lists them");
    }
    nodes
}

fn edges(config: &Config, ctx: &mut Building<'_>, components: &Components) {
    for (file, types) in files(config, "edges", &mut ctx.findings) {
        for edges in ctx.findings.noted(read_edges(&file, types.as_deref())).unwrap_or_default() {
            synapses::build(ctx, &edges, components);
        }
    }
}

/// Numbers and parametrises the neurons as a run would, for what only then shows.
fn check_neurons(spec: &RunSpec, findings: &mut Findings) {
    let faults = match BrainModel::build(&spec.network, spec.run.seed) {
        Ok(model) => model.check_step(spec.run.dt_ms),
        Err(Error::Invalid(faults)) => faults,
        Err(error) => vec![Fault::new("", error.to_string())],
    };
    for fault in faults {
        findings.fault(&spec.path, &fault.key, fault.message);
    }
}
