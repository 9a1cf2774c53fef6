//! Edges become projections: one for each population of edges and pair of populations it connects.

use super::cells::{Components, read_parameters};
use super::{Building, nest_time};
use crate::error::did_you_mean;
use crate::interop::sonata::{Attribute, EdgePopulation, Findings, Item, NodePopulation};
use crate::model::{ConnectionRule, DelaySpec, Distribution, Edge, PopulationId, ProjectionSpec, SynapseStorage};
use std::collections::{BTreeMap, HashMap};

/// Delay where the files give none, as in NEST, ms.
const DEFAULT_DELAY: f64 = 1.0;
/// Weight functions of BMTK that are `syn_weight * nsyns`.
const PLAIN_WEIGHT_FUNCTIONS: [&str; 3] = ["default_weight_fnc", "set_syn_weight", "wmax"];
/// Models of synapses that do not change.
const STATIC: [&str; 2] = ["static_synapse", "nest:static_synapse"];

/// Model, file of parameters and weight function of an edge.
type Described<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// Weight and delay that a file of parameters gives.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    weight: Option<f64>,
    delay: Option<f64>,
}

/// The first of the edges with the same kind of fault, and how many there are.
#[derive(Default)]
struct Wrong(BTreeMap<&'static str, (usize, String, usize)>);

impl Wrong {
    fn add(&mut self, what: &'static str, edge: usize, message: impl FnOnce() -> String) {
        self.0.entry(what).or_insert_with(|| (edge, message(), 0)).2 += 1;
    }

    fn tell(self, edges: &EdgePopulation, findings: &mut Findings) {
        for (what, (edge, message, count)) in self.0 {
            let more = if count > 1 { format!(" (and {} edges more)", count - 1) } else { String::new() };
            match (edges.types_file(), edges.types_line(edge)) {
                (Some(file), Some(line)) if what == "model_template" || what == "dynamics_params" => {
                    findings.fault_at(file, line, what, message);
                }
                _ => findings.fault(
                    edges.file(),
                    &format!("/{}/{what}", edges.place()),
                    format!("edge {edge}: {message}{more}"),
                ),
            }
        }
    }
}

/// Makes the projections of a population of edges.
pub(super) fn build(ctx: &mut Building<'_>, edges: &EdgePopulation, components: &Components) {
    let Some((source, target)) = ends(ctx, edges) else { return };
    let Some(by_pair) = read(ctx, edges, source, target, components) else { return };
    let several = by_pair.len() > 1;
    for ((from, to), list) in by_pair {
        let (from_part, to_part) = (&ctx.parts[from], &ctx.parts[to]);
        if to_part.template.is_none() {
            let message =
                format!("{} edges lead to virtual nodes of `{}`, which take no input", list.len(), to_part.name);
            ctx.findings.fault(edges.file(), &format!("/{}/target_node_id", edges.place()), message);
            continue;
        }
        let name = if several {
            format!("{}.{}.{}", edges.name(), from_part.name, to_part.name)
        } else {
            edges.name().to_owned()
        };
        let (from_id, to_id) = (from_part.id, to_part.id);
        let copies: Vec<(PopulationId, Vec<Edge>)> = ctx
            .surplus
            .iter()
            .filter(|surplus| surplus.part == from)
            .map(|surplus| {
                let place = |edge: &Edge| surplus.neurons.binary_search(&edge.source).ok();
                let own = |edge: &Edge| place(edge).map(|source| Edge { source: source as u32, ..*edge });
                (surplus.id, list.iter().filter_map(own).collect())
            })
            .collect();
        project(ctx, &name, from_id, to_id, list);
        for (number, (id, list)) in copies.into_iter().enumerate() {
            if !list.is_empty() {
                project(ctx, &format!("{name}+{}", number + 1), id, to_id, list);
            }
        }
    }
}

fn project(ctx: &mut Building<'_>, name: &str, source: PopulationId, target: PopulationId, edges: Vec<Edge>) {
    let taken = |name: &str| ctx.network.projections.iter().any(|known| known.name == name);
    let mut unique = name.to_owned();
    let mut number = 1;
    while taken(&unique) {
        number += 1;
        unique = format!("{name}_{number}");
    }
    ctx.network.projections.push(ProjectionSpec {
        name: unique,
        source,
        target,
        rule: ConnectionRule::Edges(edges.into()),
        weight: Distribution::Constant(0.0),
        delay: DelaySpec::Drawn(Distribution::Constant(DEFAULT_DELAY)),
        receptor: None,
        autapses: true,
        multapses: true,
        storage: SynapseStorage::Stored,
    });
}

/// The SONATA populations that the edges connect.
fn ends(ctx: &mut Building<'_>, edges: &EdgePopulation) -> Option<(usize, usize)> {
    let mut find = |which: &str, name: &str| {
        let found = ctx.nodes.iter().position(|nodes| nodes.name() == name);
        if found.is_none() {
            let known: Vec<&str> = ctx.nodes.iter().map(NodePopulation::name).collect();
            let hint = did_you_mean(name, known.iter().copied())
                .map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let message = format!("there is no population of nodes `{name}`; {hint}there are {}", known.join(", "));
            ctx.findings.fault(edges.file(), &format!("/{}/{which}_node_id.node_population", edges.place()), message);
        }
        found
    };
    let (source, target) = (find("source", edges.source()), find("target", edges.target()));
    source.zip(target)
}

/// The edges, by the parts they connect.
fn read(
    ctx: &mut Building<'_>,
    edges: &EdgePopulation,
    source: usize,
    target: usize,
    components: &Components,
) -> Option<BTreeMap<(usize, usize), Vec<Edge>>> {
    let findings = &mut ctx.findings;
    let before = findings.count();
    let mut attribute = |name: &str| findings.noted(edges.attribute(name));
    let (weight, nsyns, delay) = (attribute("syn_weight")?, attribute("nsyns")?, attribute("delay")?);
    let (template, parameters, function) =
        (attribute("model_template")?, attribute("dynamics_params")?, attribute("weight_function")?);
    let receptor = attribute("receptor_type")?;
    let own = own_parameters(edges, findings)?;
    let sources = findings.noted(edges.sources())?;
    let targets = findings.noted(edges.targets())?;
    let mut wrong = Wrong::default();
    // A number of an edge, if it has one; not a number counts as a fault.
    let number = |attribute: &Option<Attribute>, what: &'static str, edge: usize, wrong: &mut Wrong| -> Option<f64> {
        let value = attribute.as_ref().and_then(|attribute| edges.value(attribute, edge))?;
        match value.number.filter(|x| x.is_finite()) {
            Some(x) => Some(x),
            None => {
                let shown = value.number.map_or_else(|| value.text.unwrap_or_default().to_owned(), |x| x.to_string());
                wrong.add(what, edge, || format!("{what} is `{shown}`; a finite number is expected"));
                Some(1.0)
            }
        }
    };
    let mut sets: HashMap<String, Given> = HashMap::new();
    let mut last: Option<(Described<'_>, Given)> = None;
    let mut by_pair: BTreeMap<(usize, usize), Vec<Edge>> = BTreeMap::new();
    let (nodes_from, nodes_to) = (&ctx.nodes[source], &ctx.nodes[target]);
    let whole = |nodes: usize| ctx.parts.iter().filter(|part| part.nodes_of == nodes).count() == 1;
    let expected = if whole(source) && whole(target) { edges.count() } else { 0 };
    let mut raised = 0_u64;
    for (edge, (from, to)) in sources.into_iter().zip(targets).enumerate() {
        let text = |attribute| edges.text(attribute, edge);
        let texts = (text(template.as_ref()), text(parameters.as_ref()), text(function.as_ref()));
        let given = match &last {
            Some((known, given)) if *known == texts => *given,
            _ => {
                let given = synapse(texts, edge, components, &mut sets, &mut wrong, findings);
                last = Some((texts, given));
                given
            }
        };
        if let Some(port) = number(&receptor, "receptor_type", edge, &mut wrong).filter(|port| *port != 0.0) {
            wrong.add("receptor_type", edge, || format!("receptor_type is {port}; only 0 is supported"));
        }
        let strength = number(&weight, "syn_weight", edge, &mut wrong)
            .or_else(|| number(&own.weight, "weight", edge, &mut wrong))
            .or(given.weight);
        let Some(strength) = strength else {
            wrong.add("syn_weight", edge, || {
                "it has no `syn_weight`, neither in the file of edges nor in their types".into()
            });
            continue;
        };
        let strength = strength * number(&nsyns, "nsyns", edge, &mut wrong).unwrap_or(1.0);
        let time = number(&delay, "delay", edge, &mut wrong)
            .or_else(|| number(&own.delay, "delay", edge, &mut wrong))
            .or(given.delay)
            .unwrap_or(DEFAULT_DELAY);
        if time <= 0.0 {
            wrong.add("delay", edge, || format!("the delay is {time} ms; it must be above 0"));
            continue;
        }
        raised += u64::from(time < ctx.dt * (1.0 - 1e-9));
        let place = |nodes: &NodePopulation, id: u64| nodes.place_of(id);
        let (Some(from_place), Some(to_place)) = (place(nodes_from, from), place(nodes_to, to)) else {
            if place(nodes_from, from).is_none() {
                wrong.add("source_node_id", edge, || format!("there is no node {from} in `{}`", nodes_from.name()));
            }
            if place(nodes_to, to).is_none() {
                wrong.add("target_node_id", edge, || format!("there is no node {to} in `{}`", nodes_to.name()));
            }
            continue;
        };
        // Nodes without a part are at fault already.
        let (Some(from), Some(to)) = (ctx.places[source].of(from_place), ctx.places[target].of(to_place)) else {
            continue;
        };
        let list = by_pair.entry((from.0, to.0)).or_insert_with(|| Vec::with_capacity(expected));
        list.push(Edge { source: from.1, target: to.1, weight: strength as f32, delay: delay_of(time, ctx.dt) });
        if (strength as f32).is_infinite() {
            wrong.add("syn_weight", edge, || format!("the weight {strength} is beyond what 32-bit numbers hold"));
        }
    }
    wrong.tell(edges, findings);
    if raised > 0 {
        let message =
            format!("{raised} edges have delays shorter than the time step of {} ms; they become one step", ctx.dt);
        findings.warn(edges.file(), &format!("/{}/delay", edges.place()), message);
    }
    (findings.count() == before).then_some(by_pair)
}

/// A delay as the list of edges holds it: it rounds to as many steps here as it does in NEST.
fn delay_of(delay: f64, dt: f64) -> f32 {
    let steps = nest_time::delay_steps(delay, dt);
    let narrow = delay as f32;
    if (f64::from(narrow) / dt).round().max(1.0) == steps { narrow } else { (steps * dt) as f32 }
}

/// Parameters that the file of edges gives for each edge.
#[derive(Default)]
struct Own {
    weight: Option<Attribute>,
    delay: Option<Attribute>,
}

fn own_parameters(edges: &EdgePopulation, findings: &mut Findings) -> Option<Own> {
    let mut own = Own::default();
    for name in findings.noted(edges.parameter_names())? {
        match name.as_str() {
            "weight" => own.weight = findings.noted(edges.parameter(&name))?,
            "delay" => own.delay = findings.noted(edges.parameter(&name))?,
            _ => {
                let place = format!("/{}/*/dynamics_params/{name}", edges.place());
                findings.fault(edges.file(), &place, unknown_parameter(&name));
            }
        }
    }
    Some(own)
}

fn unknown_parameter(name: &str) -> String {
    let hint = did_you_mean(name, ["weight", "delay", "receptor_type"])
        .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("a static synapse has no parameter `{name}`; weight, delay and receptor_type (0) are read{hint}")
}

/// Checks model, parameters and weight function of an edge; what the file of parameters gives.
fn synapse(
    (template, parameters, function): Described<'_>,
    edge: usize,
    components: &Components,
    sets: &mut HashMap<String, Given>,
    wrong: &mut Wrong,
    findings: &mut Findings,
) -> Given {
    if let Some(template) = template.filter(|template| !STATIC.contains(template)) {
        wrong.add("model_template", edge, || {
            let hint = did_you_mean(template, STATIC).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            format!("synapse model `{template}` is not supported; static_synapse is{hint}")
        });
    }
    if let Some(function) = function.filter(|function| !PLAIN_WEIGHT_FUNCTIONS.contains(function)) {
        wrong.add("weight_function", edge, || {
            format!("weight function `{function}` is program code and cannot be read; store the weights it gives as syn_weight")
        });
    }
    let Some(name) = parameters else { return Given::default() };
    if let Some(given) = sets.get(name) {
        return *given;
    }
    let mut given = Given::default();
    match components.of_synapse(name) {
        Err(message) => wrong.add("dynamics_params", edge, || message),
        Ok(path) => {
            if let Some(value) = read_parameters(&path, findings) {
                let item = Item { value: &value, file: &path, key: String::new() };
                for (key, item) in item.entries(findings) {
                    match key {
                        "weight" => given.weight = item.number(findings),
                        "delay" => given.delay = item.number(findings),
                        "receptor_type" => {
                            if item.number(findings).is_some_and(|port| port != 0.0) {
                                item.fault(findings, "only receptor_type 0 is supported");
                            }
                        }
                        _ => item.fault(findings, unknown_parameter(key)),
                    }
                }
            }
        }
    }
    sets.insert(name.to_owned(), given);
    given
}
