//! Nodes become populations: all nodes of a SONATA population that share a model become one.

use super::templates::{Key, OF_ALL, Role, TEMPLATES, Template};
use super::{Building, nest_time};
use crate::error::did_you_mean;
use crate::interop::sonata::{Attribute, Findings, Item, NodePopulation};
use crate::model::{Distribution, Placement, PopulationId, PopulationSpec};
use crate::neuron::{self, NeuronModel, SpikeTrain};
use crate::storage::NodeNames;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Nodes of a SONATA population that make one population of the network.
#[derive(Debug)]
pub(super) struct Part {
    /// Which SONATA population.
    pub(super) nodes_of: usize,
    /// Places of its nodes in that population, ascending.
    pub(super) nodes: Vec<u32>,
    /// Name in the network.
    pub(super) name: String,
    /// The model; none for virtual nodes.
    pub(super) template: Option<&'static Template>,
    /// The population of the network.
    pub(super) id: PopulationId,
}

/// Where a node is in the network.
pub(super) struct Places {
    /// Part of each node and its number there; without, the only part has all nodes in order.
    mixed: Option<Vec<(u32, u32)>>,
    first: usize,
}

impl Places {
    /// Index of the part of a node, and its number there.
    pub(super) fn of(&self, node: usize) -> Option<(usize, u32)> {
        match &self.mixed {
            None => Some((self.first, node as u32)),
            Some(places) => {
                let (part, number) = places[node];
                (part != u32::MAX).then_some((part as usize, number))
            }
        }
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Virtual,
    Neuron(&'static Template),
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.nest == other.nest
    }
}

/// Folders of the files of parameters.
pub(super) struct Components {
    cells: Vec<PathBuf>,
    synapses: Vec<PathBuf>,
}

/// Keys under which BMTK and others look for parameters of point neurons.
const CELL_FOLDERS: [&str; 3] = ["point_neuron_models_dir", "custom_neuron_models", "models_dir"];
const SYNAPSE_FOLDERS: [&str; 1] = ["synaptic_models_dir"];

impl Components {
    /// Reads `components`. Folders of what is not supported may be named there too.
    pub(super) fn read(section: Option<Item<'_>>, findings: &mut Findings) -> Self {
        let mut folders = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().filter_map(|name| section.as_ref()?.get(name)).filter_map(|item| item.path(findings)).collect()
        };
        Self { cells: folders(&CELL_FOLDERS), synapses: folders(&SYNAPSE_FOLDERS) }
    }

    /// The file of parameters of a cell.
    pub(super) fn of_cell(&self, name: &str) -> Result<PathBuf, String> {
        find(&self.cells, name, CELL_FOLDERS[0])
    }

    /// The file of parameters of a synapse.
    pub(super) fn of_synapse(&self, name: &str) -> Result<PathBuf, String> {
        find(&self.synapses, name, SYNAPSE_FOLDERS[0])
    }
}

fn find(folders: &[PathBuf], name: &str, key: &str) -> Result<PathBuf, String> {
    if folders.is_empty() {
        return Err(format!("the parameters stand in `{name}`, but `components.{key}` names no folder for it"));
    }
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("there is no file `{}`", folders[0].join(name).display()))
}

/// Reads a file of parameters: an object.
pub(super) fn read_parameters(path: &Path, findings: &mut Findings) -> Option<Value> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            findings.fault(path, "", format!("cannot read the file: {error}"));
            return None;
        }
    };
    match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
        Ok(value) if value.is_object() => return Some(value),
        Ok(_) => findings.fault(path, "", "it holds JSON, but not an object of parameters"),
        Err(error) => findings.fault_at(path, error.line(), "", format!("this is not valid JSON: {error}")),
    }
    None
}

/// Notes a fault of a node's property where it stands: in the types table, or in the file of nodes.
fn fault_of(findings: &mut Findings, population: &NodePopulation, node: usize, property: &str, message: String) {
    match (population.types_file(), population.types_line(node)) {
        (Some(file), Some(line)) => findings.fault_at(file, line, property, message),
        _ => findings.fault(population.file(), &format!("/{}/{property}", population.place()), message),
    }
}

/// Makes the populations of the network, in the order of the files. Virtual ones send nothing yet.
pub(super) fn build(ctx: &mut Building<'_>, components: &Components) {
    for (index, population) in ctx.nodes.iter().enumerate() {
        let kinds = kinds(population, &mut ctx.findings);
        let mut groups: Vec<(Kind, Vec<u32>)> = Vec::new();
        for (node, kind) in kinds.into_iter().enumerate() {
            let Some(kind) = kind else { continue };
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, nodes)) => nodes.push(node as u32),
                None => groups.push((kind, vec![node as u32])),
            }
        }
        let first = ctx.parts.len();
        let whole = groups.len() == 1 && groups[0].1.len() == population.ids().len();
        let mut mixed = (!whole).then(|| vec![(u32::MAX, 0); population.ids().len()]);
        for (kind, nodes) in groups {
            let name = match (whole, kind) {
                (true, _) => population.name().to_owned(),
                (false, Kind::Virtual) => format!("{}.virtual", population.name()),
                (false, Kind::Neuron(template)) => format!("{}.{}", population.name(), template.nest),
            };
            for (number, node) in nodes.iter().enumerate() {
                if let Some(mixed) = &mut mixed {
                    mixed[*node as usize] = (ctx.parts.len() as u32, number as u32);
                }
            }
            let spec = match kind {
                Kind::Virtual => Some(silent(&name, nodes.len())),
                Kind::Neuron(template) => {
                    cells(population, template, &nodes, &name, components, ctx.dt, &mut ctx.findings)
                }
            };
            // After a fault a stand-in keeps the numbering, so that the rest can be checked.
            let spec = spec.unwrap_or_else(|| silent(&name, nodes.len()));
            let identity = nodes.iter().enumerate().all(|(i, node)| population.ids()[*node as usize] == i as u64);
            let ids: Option<Arc<[u64]>> =
                (!identity).then(|| nodes.iter().map(|node| population.ids()[*node as usize]).collect());
            if !(whole && identity) {
                name_nodes(ctx, population, &nodes, &name);
            }
            if ctx.network.populations.iter().any(|known| known.name == name) {
                let message = format!("there is more than one population `{name}`");
                ctx.findings.fault(population.file(), &format!("/{}", population.place()), message);
            }
            let template = if let Kind::Neuron(template) = kind { Some(template) } else { None };
            let id = PopulationId(ctx.network.populations.len());
            ctx.network.populations.push(spec);
            ctx.ids.push(ids);
            ctx.parts.push(Part { nodes_of: index, nodes, name, template, id });
        }
        ctx.places.push(Places { mixed, first });
    }
}

/// Notes what the nodes of a part are called in result files: as they were in the files they are of.
fn name_nodes(ctx: &mut Building<'_>, population: &NodePopulation, nodes: &[u32], name: &str) {
    let ids: Option<Arc<[u32]>> =
        nodes.iter().map(|node| u32::try_from(population.ids()[*node as usize]).ok()).collect();
    let Some(ids) = ids else {
        let message = format!(
            "`{name}` has node ids of 2^32 and above; results number its nodes from 0 on, in order of their ids"
        );
        ctx.findings.warn(population.file(), &format!("/{}/node_id", population.place()), message);
        return;
    };
    ctx.names.push(NodeNames { population: name.to_owned(), group: population.name().to_owned(), ids });
}

/// A population that sends nothing.
fn silent(name: &str, count: usize) -> PopulationSpec {
    PopulationSpec {
        name: name.to_owned(),
        model: Arc::new(SpikeTrain::new(Vec::new()).expect("no event is a wrong one")),
        placement: Placement::Count(count as u32),
        params: Vec::new(),
        initial: Vec::new(),
    }
}

/// What each node is; `None` after a fault.
fn kinds(population: &NodePopulation, findings: &mut Findings) -> Vec<Option<Kind>> {
    let count = population.ids().len();
    let types = findings.noted(population.attribute("model_type"));
    let templates = findings.noted(population.attribute("model_template"));
    let (Some(types), Some(templates)) = (types, templates) else { return vec![None; count] };
    // Texts of a few types are looked up many times.
    let mut known: Vec<(Option<&str>, Option<&str>, Option<Kind>)> = Vec::new();
    let mut kinds = Vec::with_capacity(count);
    for node in 0..count {
        let model_type = population.text(types.as_ref(), node);
        let template = population.text(templates.as_ref(), node);
        let found = known.iter().find(|(t, m, _)| *t == model_type && *m == template);
        let kind = match found {
            Some((_, _, kind)) => *kind,
            None => {
                let kind = match kind(model_type, template) {
                    Ok(kind) => Some(kind),
                    Err((property, message)) => {
                        fault_of(findings, population, node, property, message);
                        None
                    }
                };
                known.push((model_type, template, kind));
                kind
            }
        };
        kinds.push(kind);
    }
    kinds
}

fn kind(model_type: Option<&str>, template: Option<&str>) -> Result<Kind, (&'static str, String)> {
    let neuron_types = ["point_neuron", "point_process", "single_compartment"];
    match model_type {
        Some("virtual") => return Ok(Kind::Virtual),
        Some(known) if neuron_types.contains(&known) => {}
        None => {
            let message =
                "there is no model type; virtual, point_neuron, point_process and single_compartment are read";
            return Err(("model_type", message.to_owned()));
        }
        Some("biophysical") => {
            let message = "`biophysical` cells, which have a morphology, are not supported; only point neurons are";
            return Err(("model_type", message.to_owned()));
        }
        Some(other) => {
            let hint = did_you_mean(other, neuron_types.into_iter().chain(["virtual"]))
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let message =
                format!("model type `{other}` is not supported; virtual, {} are{hint}", neuron_types.join(", "));
            return Err(("model_type", message));
        }
    }
    let names = || TEMPLATES.iter().map(|template| template.nest).collect::<Vec<_>>().join(", ");
    let Some(text) = template else {
        return Err(("model_template", format!("there is no model template; `nest:` and one of {} is read", names())));
    };
    let Some(name) = text.strip_prefix("nest:") else {
        let message = format!("`{text}` is not a model of NEST; `nest:` and one of {} is read", names());
        return Err(("model_template", message));
    };
    Template::find(name).map(Kind::Neuron).ok_or_else(|| {
        let hint = did_you_mean(name, TEMPLATES.iter().map(|template| template.nest))
            .map_or(String::new(), |near| format!("; did you mean `nest:{near}`?"));
        ("model_template", format!("`{text}` is not supported; supported are {}{hint}", names()))
    })
}

/// Values of a file of parameters, by NEST's names.
type ParameterSet = HashMap<&'static str, f64>;

/// Parameter values of the nodes of a part.
struct Values<'a> {
    dt: f64,
    population: &'a NodePopulation,
    nodes: &'a [u32],
    /// For each node which of `sets` it has.
    set_of: Vec<u32>,
    /// Files of parameters; the first is empty.
    sets: Vec<ParameterSet>,
    /// Values the file of nodes gives for each node.
    columns: HashMap<&'static str, Attribute>,
}

impl Values<'_> {
    fn of(&self, key: &Key, node: usize) -> f64 {
        let own =
            self.columns.get(key.nest).and_then(|column| self.population.value(column, self.nodes[node] as usize));
        let given = own.and_then(|value| value.number);
        let value =
            given.or_else(|| self.sets[self.set_of[node] as usize].get(key.nest).copied()).unwrap_or(key.default);
        if key.nest == "t_ref" { nest_time::refractory_time(value, self.dt) } else { value }
    }

    /// The value all nodes share, or one for each.
    fn distribution(&self, key: &Key) -> Distribution {
        let first = self.of(key, 0);
        let alike = (!self.columns.contains_key(key.nest) && self.sets.len() == 1)
            || (1..self.nodes.len()).all(|node| self.of(key, node) == first);
        if alike {
            return Distribution::Constant(first);
        }
        Distribution::Values((0..self.nodes.len()).map(|node| self.of(key, node)).collect())
    }
}

/// Makes a population of neurons; `None` after a fault.
fn cells(
    population: &NodePopulation,
    template: &'static Template,
    nodes: &[u32],
    name: &str,
    components: &Components,
    dt: f64,
    findings: &mut Findings,
) -> Option<PopulationSpec> {
    let before = findings.count();
    let (set_of, sets) = parameter_sets(population, template, nodes, components, findings)?;
    let columns = parameter_columns(population, template, nodes, findings)?;
    if findings.count() > before {
        return None;
    }
    let values = Values { dt, population, nodes, set_of, sets, columns };
    let info = neuron::find(template.model).expect("every template has a model");
    let (mut shared, mut params, mut initial) = (Vec::new(), Vec::new(), Vec::new());
    for key in template.keys {
        let distribution = match key.role {
            Role::Parameter(_) | Role::State(_) => values.distribution(key),
            _ => continue,
        };
        match (key.role, distribution) {
            (Role::State(variable), distribution) => initial.push((variable.to_owned(), distribution)),
            (Role::Parameter(own), Distribution::Constant(value)) => shared.push((own, value)),
            (Role::Parameter(own), distribution) => {
                shared.push((own, values.of(key, 0)));
                params.push((own.to_owned(), distribution));
            }
            _ => {}
        }
    }
    let model: Arc<dyn NeuronModel> = match info.build(&shared, template.options) {
        Ok(model) => model,
        Err(faults) => {
            for (parameter, message) in faults {
                fault_of(findings, population, nodes[0] as usize, &parameter, message);
            }
            return None;
        }
    };
    let placement = positions(population, nodes, findings)?;
    Some(PopulationSpec { name: name.to_owned(), model, placement, params, initial })
}

/// The file of parameters of each node, and what the files say.
fn parameter_sets(
    population: &NodePopulation,
    template: &'static Template,
    nodes: &[u32],
    components: &Components,
    findings: &mut Findings,
) -> Option<(Vec<u32>, Vec<ParameterSet>)> {
    let mut sets = vec![HashMap::new()];
    let Some(files) = findings.noted(population.attribute("dynamics_params"))? else {
        return Some((vec![0; nodes.len()], sets));
    };
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut set_of = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(file) = population.value(&files, *node as usize).and_then(|value| value.text) else {
            set_of.push(0);
            continue;
        };
        let set = match known.get(file) {
            Some(set) => *set,
            None => {
                match components.of_cell(file) {
                    Ok(path) => sets.push(parameter_set(&path, template, findings)),
                    Err(message) => {
                        fault_of(findings, population, *node as usize, "dynamics_params", message);
                        sets.push(HashMap::new());
                    }
                }
                known.insert(file, sets.len() as u32 - 1);
                sets.len() as u32 - 1
            }
        };
        set_of.push(set);
    }
    Some((set_of, sets))
}

/// Checks a value against what its parameter allows.
fn check(template: &'static Template, key: &Key, value: f64) -> Result<(), String> {
    if let Some(message) = key.refused(value) {
        return Err(message);
    }
    let Role::Parameter(own) = key.role else { return Ok(()) };
    let info = neuron::find(template.model).expect("every template has a model");
    let parameter = info.parameters.iter().find(|p| p.name == own).expect("templates name parameters of their model");
    if parameter.allowed.contains(value) {
        return Ok(());
    }
    Err(format!("{value} {} is out of range; allowed is {}", parameter.unit, parameter.allowed.describe()))
}

fn unknown_parameter(template: &'static Template, name: &str) -> String {
    let known = || template.keys.iter().map(|key| key.nest);
    let hint = did_you_mean(name, known().chain(OF_ALL.iter().map(|key| key.nest)))
        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
    format!(
        "`nest:{}` has no parameter `{name}`; {hint}it has {}",
        template.nest,
        known().collect::<Vec<_>>().join(", ")
    )
}

fn parameter_set(path: &Path, template: &'static Template, findings: &mut Findings) -> ParameterSet {
    let mut set = HashMap::new();
    let Some(value) = read_parameters(path, findings) else { return set };
    let item = Item { value: &value, file: path, key: String::new() };
    for (name, item) in item.entries(findings) {
        let Some(key) = template.key(name) else {
            item.fault(findings, unknown_parameter(template, name));
            continue;
        };
        let number = match item.value {
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            _ if key.role == Role::NoEffect => continue,
            _ => item.number(findings),
        };
        let Some(number) = number else { continue };
        match check(template, key, number) {
            Ok(()) => {
                set.insert(key.nest, number);
            }
            Err(message) => item.fault(findings, message),
        }
    }
    set
}

/// Parameters that the file of nodes gives for each node.
fn parameter_columns(
    population: &NodePopulation,
    template: &'static Template,
    nodes: &[u32],
    findings: &mut Findings,
) -> Option<HashMap<&'static str, Attribute>> {
    let mut columns = HashMap::new();
    for name in findings.noted(population.parameter_names())? {
        let place = format!("/{}/*/dynamics_params/{name}", population.place());
        let Some(column) = findings.noted(population.parameter(&name))? else { continue };
        let mut given =
            nodes.iter().filter_map(|node| Some((*node, population.value(&column, *node as usize)?))).peekable();
        if given.peek().is_none() {
            // Nodes of other models have it.
            continue;
        }
        let Some(key) = template.key(&name) else {
            findings.fault(population.file(), &place, unknown_parameter(template, &name));
            continue;
        };
        let wrong: Vec<(u32, String)> = given
            .filter_map(|(node, value)| match value.number {
                None => Some((node, format!("`{}` is not a number", value.text.unwrap_or_default()))),
                Some(number) if !number.is_finite() => Some((node, format!("{number} is not a finite number"))),
                Some(number) => check(template, key, number).err().map(|message| (node, message)),
            })
            .collect();
        if let Some((node, message)) = wrong.first() {
            let more = if wrong.len() > 1 { format!(" (and {} nodes more)", wrong.len() - 1) } else { String::new() };
            let id = population.ids()[*node as usize];
            findings.fault(population.file(), &place, format!("node {id}: {message}{more}"));
        }
        columns.insert(key.nest, column);
    }
    Some(columns)
}

/// Positions (um), if every node has them.
fn positions(population: &NodePopulation, nodes: &[u32], findings: &mut Findings) -> Option<Placement> {
    let mut axes = Vec::new();
    for axis in ["x", "y", "z"] {
        axes.push(findings.noted(population.attribute(axis))?);
    }
    let count = Placement::Count(nodes.len() as u32);
    let [Some(x), Some(y), Some(z)] = axes.as_slice() else { return Some(count) };
    let at = |axis: &Attribute, node: u32| {
        let number = population.value(axis, node as usize)?.number?;
        (number as f32).is_finite().then_some(number as f32)
    };
    let all: Option<Vec<_>> =
        nodes.iter().map(|node| Some([at(x, *node)?, at(y, *node)?, at(z, *node)?, 0.0])).collect();
    Some(all.map_or(count, |positions| Placement::Positions(positions.into())))
}
