//! The texts of an export: configurations, node sets, type tables and parameters.

use super::write_plan::{Cells, ClampInput, Nodes};
use crate::model::Selection;
use crate::neuron::ParamColumn;
use serde_json::{Map, Value, json};

/// Folders of the parameter files of neurons and synapses.
pub(super) const NEURON_FOLDER: &str = "components/point_neuron_models";
pub(super) const SYNAPSE_FOLDER: &str = "components/synaptic_models";
/// Parameters of all synapses: there are none besides weight and delay.
pub(super) const SYNAPSE_FILE: &str = "static_synapse.json";

/// A file of edges.
#[derive(Debug)]
pub(super) struct EdgesOf {
    /// The edge population.
    pub(super) name: String,
}

pub(super) fn nodes_file(name: &str) -> String {
    format!("network/{name}_nodes.h5")
}

pub(super) fn node_types_file(name: &str) -> String {
    format!("network/{name}_node_types.csv")
}

pub(super) fn edges_file(name: &str) -> String {
    format!("network/{name}_edges.h5")
}

pub(super) fn edge_types_file(name: &str) -> String {
    format!("network/{name}_edge_types.csv")
}

pub(super) fn spikes_file(name: &str) -> String {
    format!("inputs/{name}_spikes.h5")
}

/// The types table of a node population.
pub(super) fn node_types(nodes: &Nodes) -> String {
    let name = &nodes.name;
    match &nodes.cells {
        Cells::Point { template, .. } => format!(
            "node_type_id model_type model_template dynamics_params pop_name\n\
             0 point_neuron {} \"{name}.json\" \"{name}\"\n",
            template.template
        ),
        Cells::Virtual(_) => format!("node_type_id model_type pop_name\n0 virtual \"{name}\"\n"),
    }
}

/// Parameters that the neurons of a population share.
pub(super) fn parameters(nodes: &Nodes) -> Option<Value> {
    let Cells::Point { params, .. } = &nodes.cells else { return None };
    let shared = params.iter().filter_map(|(name, column)| match column {
        ParamColumn::Uniform(value) => Some(((*name).to_owned(), json!(value))),
        ParamColumn::PerNeuron(_) => None,
    });
    Some(Value::Object(shared.collect()))
}

/// The types table of an edge population.
pub(super) fn edge_types() -> String {
    format!("edge_type_id model_template dynamics_params\n0 static_synapse {SYNAPSE_FILE}\n")
}

/// `circuit_config.json`
pub(super) fn circuit(nodes: &[Nodes], edges: &[EdgesOf]) -> Value {
    let inside = |file: String| format!("$BASE_DIR/{file}");
    let nodes: Vec<Value> = nodes
        .iter()
        .map(|nodes| {
            let kind = if matches!(nodes.cells, Cells::Virtual(_)) { "virtual" } else { "point_neuron" };
            json!({
                "nodes_file": inside(nodes_file(&nodes.name)),
                "node_types_file": inside(node_types_file(&nodes.name)),
                "populations": { &nodes.name: { "type": kind } },
            })
        })
        .collect();
    let edges: Vec<Value> = edges
        .iter()
        .map(|edges| {
            json!({
                "edges_file": inside(edges_file(&edges.name)),
                "edge_types_file": inside(edge_types_file(&edges.name)),
                "populations": { &edges.name: { "type": "point_neuron" } },
            })
        })
        .collect();
    json!({
        "manifest": { "$BASE_DIR": "." },
        "node_sets_file": "$BASE_DIR/node_sets.json",
        "components": {
            "point_neuron_models_dir": inside(NEURON_FOLDER.to_owned()),
            "synaptic_models_dir": inside(SYNAPSE_FOLDER.to_owned()),
        },
        "networks": { "nodes": nodes, "edges": edges },
    })
}

/// `node_sets.json`: a set for each population, and for the neurons under each clamp.
pub(super) fn node_sets(nodes: &[Nodes], clamps: &[ClampInput]) -> Value {
    let mut sets: Map<String, Value> =
        nodes.iter().map(|nodes| (nodes.name.clone(), json!({ "population": nodes.name }))).collect();
    for input in clamps {
        let population = &nodes[input.population].name;
        if let Selection::Indices(neurons) = &input.neurons {
            let set = json!({ "population": population, "node_id": neurons.to_vec() });
            sets.insert(clamped(input, nodes), set);
        }
    }
    Value::Object(sets)
}

/// Name of the node set under a clamp.
fn clamped(input: &ClampInput, nodes: &[Nodes]) -> String {
    match input.neurons {
        Selection::All => nodes[input.population].name.clone(),
        Selection::Indices(_) => format!("{}_neurons", input.name),
    }
}

/// What of a run goes into `simulation_config.json`.
pub(super) struct Run {
    /// Biological time, ms.
    pub(super) duration: f64,
    /// Time step, ms.
    pub(super) dt: f64,
    pub(super) seed: u64,
}

/// `simulation_config.json`
pub(super) fn simulation(run: &Run, nodes: &[Nodes], clamps: &[ClampInput]) -> Value {
    let mut inputs = Map::new();
    for nodes in nodes.iter().filter(|nodes| matches!(nodes.cells, Cells::Virtual(_))) {
        let input = json!({
            "input_type": "spikes",
            "module": "h5",
            "input_file": format!("$BASE_DIR/{}", spikes_file(&nodes.name)),
            "node_set": nodes.name,
        });
        inputs.insert(format!("{}_spikes", nodes.name), input);
    }
    for input in clamps {
        let clamp = json!({
            "input_type": "current_clamp",
            "module": "IClamp",
            "node_set": clamped(input, nodes),
            "amp": input.clamp.amplitude,
            "delay": input.clamp.delay,
            "duration": input.clamp.duration,
        });
        inputs.insert(input.name.clone(), clamp);
    }
    json!({
        "manifest": { "$BASE_DIR": ".", "$OUTPUT_DIR": "$BASE_DIR/output" },
        "network": "$BASE_DIR/circuit_config.json",
        "node_sets_file": "$BASE_DIR/node_sets.json",
        "run": { "tstart": 0.0, "tstop": run.duration, "dt": run.dt, "random_seed": run.seed },
        "conditions": {},
        "inputs": inputs,
        "output": {
            "output_dir": "$OUTPUT_DIR",
            "log_file": "log.txt",
            "spikes_file": "spikes.h5",
            "spikes_sort_order": "by_time",
        },
        "reports": {},
    })
}
