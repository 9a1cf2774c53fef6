//! `inputs`: spikes that virtual nodes send, and current clamps.

use super::{Building, nest_time};
use crate::error::did_you_mean;
use crate::interop::sonata::{Item, NodeSets, read_spikes};
use crate::model::{Placement, PopulationId, PopulationSpec, Selection, StimulusKind, StimulusSpec, StimulusTarget};
use crate::neuron::SpikeTrain;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A population that sends the second (third, ...) spikes that virtual nodes have in one time step: a neuron sends at most
/// one a step, but NEST delivers them all.
#[derive(Debug)]
pub(super) struct Surplus {
    /// The part whose spikes they are.
    pub(super) part: usize,
    /// Numbers of the neurons there, ascending; its own neurons follow them in order.
    pub(super) neurons: Vec<u32>,
    /// The population of the network.
    pub(super) id: PopulationId,
}

/// Spikes of the parts: step at whose end each is sent, and neuron.
type Events = BTreeMap<usize, Vec<(u32, u64)>>;

/// Reads the inputs; afterwards the virtual populations have their spikes.
pub(super) fn build(ctx: &mut Building<'_>, section: Option<Item<'_>>, sets: &NodeSets) {
    let mut events = Events::new();
    let entries = section.map(|section| section.entries(&mut ctx.findings)).unwrap_or_default();
    for (name, item) in entries {
        if !item.value.is_object() {
            item.wrong(&mut ctx.findings, "an object");
            continue;
        }
        if item.get("enabled").and_then(|enabled| enabled.boolean(&mut ctx.findings)) == Some(false) {
            continue;
        }
        let mut text = |key: &str, what: &str| match item.get(key) {
            Some(value) => value.text(&mut ctx.findings).map(|text| (text, value)),
            None => {
                item.missing(&mut ctx.findings, key, what);
                None
            }
        };
        let input_type = text("input_type", "spikes or current_clamp");
        let module = text("module", "h5, csv or IClamp");
        let (Some((input_type, type_item)), Some((module, module_item))) = (input_type, module) else { continue };
        match (input_type, module) {
            ("spikes", "h5" | "hdf5" | "sonata") => spikes(ctx, &item, sets, false, &mut events),
            ("spikes", "csv") => spikes(ctx, &item, sets, true, &mut events),
            ("spikes", "nwb") => {
                let message = "spikes in NWB files are not supported; convert them to SONATA (.h5) or CSV";
                module_item.fault(&mut ctx.findings, message);
            }
            ("spikes", _) => {
                let hint = did_you_mean(module, ["h5", "csv"])
                    .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                module_item.fault(
                    &mut ctx.findings,
                    format!("module `{module}` is not supported for spikes; h5 and csv are{hint}"),
                );
            }
            ("current_clamp", "IClamp") => clamp(ctx, name, &item, sets),
            ("current_clamp", _) => {
                let hint =
                    did_you_mean(module, ["IClamp"]).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                module_item.fault(
                    &mut ctx.findings,
                    format!("module `{module}` is not supported for current clamps; IClamp is{hint}"),
                );
            }
            _ => {
                let hint = did_you_mean(input_type, ["spikes", "current_clamp"])
                    .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                let message = format!("input type `{input_type}` is not supported; spikes and current_clamp are{hint}");
                type_item.fault(&mut ctx.findings, message);
            }
        }
    }
    for (part, events) in events {
        send(ctx, part, events);
    }
}

/// Who an input or report means: for each part the numbers of its neurons, ascending.
pub(super) fn chosen(
    ctx: &mut Building<'_>,
    query: &Item<'_>,
    sets: &NodeSets,
    virtual_nodes: bool,
) -> Option<BTreeMap<usize, Vec<u32>>> {
    let choice = sets.select(query, ctx.nodes, &mut ctx.findings)?;
    let mut of_parts: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (places, nodes) in ctx.places.iter().zip(choice) {
        for node in nodes {
            if let Some((part, number)) = places.of(node as usize)
                && ctx.parts[part].template.is_none() == virtual_nodes
            {
                of_parts.entry(part).or_default().push(number);
            }
        }
    }
    if of_parts.is_empty() {
        let what = if virtual_nodes { "virtual node" } else { "neuron" };
        query.fault(&mut ctx.findings, format!("the node set `{}` selects no {what}", query.shown()));
        return None;
    }
    Some(of_parts)
}

/// All neurons of a part, or these.
pub(super) fn selection(ctx: &Building<'_>, part: usize, neurons: Vec<u32>) -> Selection {
    if neurons.len() == ctx.parts[part].nodes.len() { Selection::All } else { Selection::Indices(neurons.into()) }
}

fn spikes(ctx: &mut Building<'_>, item: &Item<'_>, sets: &NodeSets, csv: bool, events: &mut Events) {
    item.warn_unknown(
        &mut ctx.findings,
        &["input_type", "module", "input_file", "node_set", "enabled", "trial", "use_parrot_neurons"],
    );
    if item.get("trial").is_some() {
        item.warn(&mut ctx.findings, "`trial` belongs to NWB files and has no effect");
    }
    let file = match item.get("input_file") {
        Some(file) => file.existing_file(&mut ctx.findings).map(|path| (file, path)),
        None => {
            item.missing(&mut ctx.findings, "input_file", "the file of spikes");
            None
        }
    };
    let of_parts = match item.get("node_set") {
        Some(query) => chosen(ctx, &query, sets, true),
        None => {
            item.missing(&mut ctx.findings, "node_set", "which virtual nodes send the spikes");
            None
        }
    };
    let (Some((file, path)), Some(of_parts)) = (file, of_parts) else { return };
    let Some(trains) = ctx.findings.noted(read_spikes(&path, csv)) else { return };
    for (part, neurons) in of_parts {
        let nodes = &ctx.nodes[ctx.parts[part].nodes_of];
        let own = trains.iter().find(|train| train.population.as_deref() == Some(nodes.name()));
        // A file of one population serves whatever its name.
        let train = match (own, trains.as_slice()) {
            (Some(train), _) => train,
            (None, [only]) => only,
            _ => {
                let known: Vec<&str> = trains.iter().filter_map(|train| train.population.as_deref()).collect();
                let message = format!(
                    "{} has no spikes of `{}`; it has those of {}",
                    path.display(),
                    nodes.name(),
                    known.join(", ")
                );
                file.fault(&mut ctx.findings, message);
                continue;
            }
        };
        let list = events.entry(part).or_default();
        let (mut early, mut strangers) = (Vec::new(), 0_u64);
        for (time, id) in &train.spikes {
            let Some(place) = nodes.place_of(*id) else {
                strangers += 1;
                continue;
            };
            let Some((_, number)) = ctx.places[ctx.parts[part].nodes_of].of(place).filter(|(own, _)| *own == part)
            else {
                continue;
            };
            if neurons.binary_search(&number).is_err() {
                continue;
            }
            match nest_time::spike_step(*time, ctx.dt) {
                Some(step) => list.push((number, step)),
                None => early.push((*time, *id)),
            }
        }
        if let Some((time, id)) = early.first() {
            let message =
                format!("node {id} has a spike at {time} ms; spikes come after 0 ({} are at fault)", early.len());
            ctx.findings.fault(&path, "/spikes", message);
        }
        if strangers > 0 {
            let message =
                format!("{strangers} spikes are of nodes that `{}` does not have; they have no effect", nodes.name());
            ctx.findings.warn(&path, "/spikes", message);
        }
    }
}

/// Gives the spikes to a virtual population, and what is more than one a step to populations beside it.
fn send(ctx: &mut Building<'_>, part: usize, mut events: Vec<(u32, u64)>) {
    events.sort_unstable();
    let mut layers: Vec<Vec<(u32, u64)>> = Vec::new();
    let mut depth = 0;
    for (i, event) in events.iter().enumerate() {
        depth = if i > 0 && events[i - 1] == *event { depth + 1 } else { 0 };
        if layers.len() == depth {
            layers.push(Vec::new());
        }
        layers[depth].push(*event);
    }
    let name = ctx.parts[part].name.clone();
    let dt = ctx.dt;
    let train = |events: Vec<(u32, u64)>| -> Arc<SpikeTrain> {
        let events: Vec<(f64, u32)> = events.into_iter().map(|(neuron, step)| (step as f64 * dt, neuron)).collect();
        Arc::new(SpikeTrain::new(events).expect("steps are counted from 1"))
    };
    for (depth, events) in layers.into_iter().enumerate() {
        if depth == 0 {
            ctx.network.populations[ctx.parts[part].id.0].model = train(events);
            continue;
        }
        let mut neurons: Vec<u32> = events.iter().map(|(neuron, _)| *neuron).collect();
        neurons.dedup();
        let number = |neuron: u32| neurons.partition_point(|known| *known < neuron) as u32;
        let own: Vec<(u32, u64)> = events.iter().map(|(neuron, step)| (number(*neuron), *step)).collect();
        let id = PopulationId(ctx.network.populations.len());
        ctx.network.populations.push(PopulationSpec {
            name: format!("{name}+{depth}"),
            model: train(own),
            placement: Placement::Count(neurons.len() as u32),
            params: Vec::new(),
            initial: Vec::new(),
        });
        let nodes = &ctx.nodes[ctx.parts[part].nodes_of];
        let places = &ctx.parts[part].nodes;
        ctx.ids.push(Some(neurons.iter().map(|neuron| nodes.ids()[places[*neuron as usize] as usize]).collect()));
        ctx.surplus.push(Surplus { part, neurons, id });
    }
}

/// A current clamp: steps of current, as BMTK makes them with NEST's `step_current_generator`.
fn clamp(ctx: &mut Building<'_>, name: &str, item: &Item<'_>, sets: &NodeSets) {
    item.warn_unknown(&mut ctx.findings, &["input_type", "module", "node_set", "enabled", "amp", "delay", "duration"]);
    let mut list = |key: &str, what: &str| -> Option<Vec<f64>> {
        let Some(values) = item.get(key) else {
            item.missing(&mut ctx.findings, key, what);
            return None;
        };
        values.one_or_more().iter().map(|value| value.number(&mut ctx.findings)).collect()
    };
    let amps = list("amp", "the current, pA");
    let delays = list("delay", "the time it begins, ms");
    let durations = list("duration", "the time it lasts, ms");
    let of_parts = match item.get("node_set") {
        Some(query) => chosen(ctx, &query, sets, false),
        None => {
            let all = serde_json::Value::String("all".to_owned());
            chosen(ctx, &Item { value: &all, file: item.file, key: format!("{}.node_set", item.key) }, sets, false)
        }
    };
    let (Some(amps), Some(delays), Some(durations), Some(of_parts)) = (amps, delays, durations, of_parts) else {
        return;
    };
    if amps.len() != delays.len() || amps.len() != durations.len() {
        let message = format!(
            "`amp`, `delay` and `duration` have {}, {} and {} values; as many of each are expected",
            amps.len(),
            delays.len(),
            durations.len()
        );
        item.fault(&mut ctx.findings, message);
        return;
    }
    let before = ctx.findings.count();
    let (mut times, mut amplitudes) = (Vec::new(), Vec::new());
    for (i, ((amp, delay), duration)) in amps.iter().zip(&delays).zip(&durations).enumerate() {
        if *delay < 0.0 || *duration < 0.0 {
            let message = format!("a clamp at {delay} ms for {duration} ms is not possible; both are 0 or above");
            item.fault(&mut ctx.findings, message);
        }
        if i > 0 && *delay <= delays[i - 1] {
            let message =
                format!("clamps must follow each other, but one at {delay} ms follows one at {} ms", delays[i - 1]);
            item.fault(&mut ctx.findings, message);
        }
        if *duration == 0.0 {
            continue;
        }
        // The current goes through a connection with a delay of one step.
        times.push(delay + ctx.dt);
        amplitudes.push(*amp);
        let end = delay + duration;
        if delays.get(i + 1).is_none_or(|next| end < *next) {
            times.push(end + ctx.dt);
            amplitudes.push(0.0);
        }
    }
    if times.is_empty() || ctx.findings.count() > before {
        return;
    }
    let targets = of_parts
        .into_iter()
        .map(|(part, neurons)| StimulusTarget {
            population: ctx.parts[part].id,
            neurons: selection(ctx, part, neurons),
            level: 1.0,
        })
        .collect();
    ctx.network.stimuli.push(StimulusSpec {
        name: name.to_owned(),
        targets,
        kind: StimulusKind::Steps { times, amplitudes },
        start: 0.0,
        stop: f64::INFINITY,
    });
}
