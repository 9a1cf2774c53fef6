//! Small SONATA networks, written as the two dialects of the format write them.

#![allow(dead_code)] // Each test program uses a part.

use rust_hdf5::types::VarLenUnicode;
use rust_hdf5::{H5File, H5Group, H5Type};
use std::path::{Path, PathBuf};

/// Writes a list of values.
pub fn put<T: H5Type>(group: &H5Group, name: &str, values: &[T]) {
    group.new_dataset::<T>().shape([values.len()]).create(name).unwrap().write_raw(values).unwrap();
}

/// Writes ids of nodes with the name of their population.
pub fn put_ids(group: &H5Group, name: &str, ids: &[u64], population: &str) {
    let dataset = group.new_dataset::<u64>().shape([ids.len()]).create(name).unwrap();
    dataset.write_raw(ids).unwrap();
    let attribute = dataset.new_attr::<VarLenUnicode>().shape(()).create("node_population").unwrap();
    attribute.write_string(population).unwrap();
}

pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// One neuron `cells` 0 of `nest:iaf_psc_alpha`, driven by virtual node `input` 0 through a synapse of 10 pA without a
/// delay of its own. Spikes at 0.38432, 1.0, 1.02, 1.04 and 2.01 ms. The membrane potential is reported every step.
pub fn single(folder: &Path) -> PathBuf {
    let file = H5File::create(folder.join("nodes.h5")).unwrap();
    let nodes = file.create_group("nodes").unwrap();
    for (name, node_type) in [("cells", 1_u64), ("input", 2)] {
        let population = nodes.create_group(name).unwrap();
        put(&population, "node_type_id", &[node_type]);
        put(&population, "node_group_id", &[0_u16]);
        put(&population, "node_group_index", &[0_u64]);
        population.create_group("0").unwrap();
    }
    file.close().unwrap();
    write(
        folder,
        "node_types.csv",
        "node_type_id model_type model_template\n1 point_neuron nest:iaf_psc_alpha\n2 virtual NULL\n",
    );
    let file = H5File::create(folder.join("edges.h5")).unwrap();
    let population = file.create_group("edges").unwrap().create_group("input_to_cells").unwrap();
    put_ids(&population, "source_node_id", &[0], "input");
    put_ids(&population, "target_node_id", &[0], "cells");
    put(&population, "edge_type_id", &[7_u64]);
    put(&population, "edge_group_id", &[0_u16]);
    put(&population, "edge_group_index", &[0_u64]);
    population.create_group("0").unwrap();
    file.close().unwrap();
    write(folder, "edge_types.csv", "edge_type_id syn_weight model_template\n7 10.0 static_synapse\n");
    write(folder, "spikes.csv", "timestamps node_ids\n0.38432 0\n1.0 0\n1.02 0\n1.04 0\n2.01 0\n");
    write(
        folder,
        "simulation_config.json",
        r#"{
          "manifest": {"$HERE": "."},
          "run": {"tstop": 4.0, "dt": 0.1},
          "networks": {
            "nodes": [{"nodes_file": "$HERE/nodes.h5", "node_types_file": "$HERE/node_types.csv"}],
            "edges": [{"edges_file": "$HERE/edges.h5", "edge_types_file": "$HERE/edge_types.csv"}]
          },
          "inputs": {"drive": {"input_type": "spikes", "module": "csv", "input_file": "$HERE/spikes.csv", "node_set": "input"}},
          "output": {"output_dir": "$HERE/output"},
          "reports": {"soma": {"cells": "cells", "variable_name": "V_m", "module": "membrane_report"}}
        }"#,
    )
}

/// A network that uses most of the format:
///
/// - `net`: nodes with ids 9, 1, 4, 6 in this order, in two groups. Types 1 (`iaf_psc_exp`, file `exp.json`) for 9, 1 and
///   4, and 2 (`iaf_cond_exp`) for 6. Group 0 (9, 4) has an enumerated property `layer` and `tau_m` of each neuron, group
///   1 (1, 6) has `layer` as texts.
/// - `ext`: three virtual nodes without ids, groups or types in the table: all stands in the file.
/// - edges in two populations, with weights and delays in the file, in the table and in `slow.json`.
pub fn mixed(folder: &Path) -> PathBuf {
    mixed_nodes(folder);
    mixed_edges(folder);
    let file = H5File::create(folder.join("spikes.h5")).unwrap();
    let group = file.create_group("spikes").unwrap().create_group("ext").unwrap();
    put(&group, "timestamps", &[0.5_f64, 3.0, 3.0, 7.25]);
    put(&group, "node_ids", &[0_u64, 1, 2, 0]);
    file.close().unwrap();
    write(
        folder,
        "circuit/circuit_config.json",
        r#"{
          "manifest": {"$BASE": ".."},
          "components": {"point_neuron_models_dir": "$BASE/models", "synaptic_models_dir": "${BASE}/models"},
          "networks": {
            "nodes": [
              {"nodes_file": "$BASE/net_nodes.h5", "node_types_file": "$BASE/net_node_types.csv"},
              {"nodes_file": "$BASE/ext_nodes.h5", "node_types_file": null}
            ],
            "edges": [
              {"edges_file": "$BASE/edges.h5", "edge_types_file": "$BASE/edge_types.csv", "enabled": true},
              {"edges_file": "$BASE/none.h5", "edge_types_file": null, "enabled": false}
            ]
          }
        }"#,
    );
    write(
        folder,
        "node_sets.json",
        r#"{
          "deep": {"population": "net", "layer": ["L5", "L6"]},
          "five": {"node_id": [1, 4, 77]},
          "both": ["deep", "five"],
          "stiff": {"population": "net", "stiffness": {"$gt": 0.5, "$lte": 2}}
        }"#,
    );
    write(
        folder,
        "simulation_config.json",
        r#"{
          "network": "circuit/circuit_config.json",
          "run": {"tstop": 20.0, "dt": 0.1, "random_seed": 11, "nsteps_block": 5000},
          "conditions": {"v_init": -80, "celsius": 34.0},
          "node_sets_file": "node_sets.json",
          "inputs": {
            "ext": {"input_type": "spikes", "module": "h5", "input_file": "spikes.h5", "node_set": {"population": "ext"}},
            "push": {"input_type": "current_clamp", "module": "IClamp", "node_set": "deep",
                     "amp": [100.0, -50], "delay": [5.0, 10.0], "duration": [2.0, 20.0]},
            "off": {"input_type": "nothing", "module": "none", "enabled": false}
          },
          "output": {"output_dir": "out", "spikes_file": "my_spikes.h5", "spikes_sort_order": "by_time"},
          "reports": {
            "v": {"cells": "both", "variable_name": ["V_m"], "module": "multimeter_report", "dt": 0.5, "start_time": 2,
                  "end_time": 10, "sections": "soma"},
            "g": {"cells": "stiff", "variable_name": "g_ex", "module": "membrane_report", "file_name": "cond.h5"}
          }
        }"#,
    )
}

fn mixed_nodes(folder: &Path) {
    let file = H5File::create(folder.join("net_nodes.h5")).unwrap();
    let net = file.create_group("nodes").unwrap().create_group("net").unwrap();
    put(&net, "node_id", &[9_u64, 1, 4, 6]);
    put(&net, "node_type_id", &[1_i64, 1, 1, 2]);
    put(&net, "node_group_id", &[0_u64, 1, 0, 1]);
    put(&net, "node_group_index", &[1_u64, 0, 0, 1]);
    let first = net.create_group("0").unwrap();
    put(&first, "layer", &[1_u32, 0]);
    let library = first.create_group("@library").unwrap();
    library.write_vlen_strings("layer", &["L4", "L5"]).unwrap();
    put(&first.create_group("dynamics_params").unwrap(), "tau_m", &[14.0_f64, 19.0]);
    let second = net.create_group("1").unwrap();
    second.write_vlen_strings("layer", &["L6", "L4"]).unwrap();
    put(&second, "stiffness", &[0.25_f32, 2.0]);
    file.close().unwrap();
    write(
        folder,
        "net_node_types.csv",
        "node_type_id model_type model_template dynamics_params pop_name\n\
         1 point_neuron nest:iaf_psc_exp exp.json \"a b\"\n2 point_process nest:iaf_cond_exp NULL c\n",
    );
    write(
        folder,
        "models/exp.json",
        r#"{"C_m": 200, "V_m": -60.0, "t_ref": 1, "I_e": 500.0, "tau_minus": 20.0, "delta": 0.0}"#,
    );
    let file = H5File::create(folder.join("ext_nodes.h5")).unwrap();
    let ext = file.create_group("nodes").unwrap().create_group("ext").unwrap();
    put(&ext, "node_type_id", &[-1_i64, -1, -1]);
    let group = ext.create_group("0").unwrap();
    put(&group, "model_type", &[0_u8, 0, 0]);
    group.create_group("@library").unwrap().write_vlen_strings("model_type", &["virtual"]).unwrap();
    file.close().unwrap();
}

fn mixed_edges(folder: &Path) {
    let file = H5File::create(folder.join("edges.h5")).unwrap();
    let edges = file.create_group("edges").unwrap();
    // From ext: weights in the table, some with nsyns, delays in the file of parameters or not at all.
    let ext = edges.create_group("ext_to_net").unwrap();
    put_ids(&ext, "source_node_id", &[0, 0, 1, 2], "ext");
    put_ids(&ext, "target_node_id", &[9, 9, 6, 1], "net");
    put(&ext, "edge_type_id", &[1_u32, 2, 1, 1]);
    put(&ext, "edge_group_id", &[0_u16, 1, 1, 0]);
    put(&ext, "edge_group_index", &[0_u32, 1, 0, 1]);
    put(&ext.create_group("0").unwrap(), "nsyns", &[3_u16, 2]);
    let second = ext.create_group("1").unwrap();
    put(&second, "syn_weight", &[0.5_f64, 8.0]);
    put(&second, "delay", &[0.3_f64, 0.7]);
    // Within net: all in the file.
    let net = edges.create_group("recurrent").unwrap();
    put_ids(&net, "source_node_id", &[9, 6], "net");
    put_ids(&net, "target_node_id", &[6, 1], "net");
    put(&net, "edge_type_id", &[3_u32, 3]);
    put(&net, "edge_group_id", &[0_u16, 0]);
    put(&net, "edge_group_index", &[0_u32, 1]);
    let group = net.create_group("0").unwrap();
    put(&group, "syn_weight", &[-4.0_f32, 25.0]);
    put(&group, "delay", &[2.0_f32, 1.5]);
    file.close().unwrap();
    write(
        folder,
        "edge_types.csv",
        "edge_type_id syn_weight delay dynamics_params model_template target_query\n\
         1 20.0 NULL slow.json static_synapse layer=='L5'\n2 99.0 1.2 NULL nest:static_synapse *\n3 1 1 NULL NULL *\n",
    );
    write(folder, "models/slow.json", r#"{"delay": 2.5, "receptor_type": 0}"#);
}
