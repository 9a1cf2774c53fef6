"""Reads a SONATA network with h5py, libsonata and BMTK and compares it with what was written.

Usage: read_network.py FOLDER, where FOLDER holds the network in `net`, and expected.json:
  edges:     {edge population: [[source, target, weight, delay_ms], ...]}, in any order
  sizes:     {population: number of nodes}
  positions: [[x, y, z, w], ...] of population `inh`
  v_m:       initial potentials of population `L23 exc`
  spikes:    {population: [[time_ms, id], ...]}
"""

import json
import pathlib
import sys

import h5py
import libsonata
import numpy as np
from bmtk.utils.sonata.file import File


def edge_list(sources, targets, weights, delays):
    return sorted(zip(map(int, sources), map(int, targets), map(float, weights), map(float, delays)))


def with_h5py(net, expected):
    for path in net.glob("*/*.h5"):
        with h5py.File(path) as file:
            assert file.attrs["magic"] == 0x0A7A and file.attrs["magic"].dtype == np.uint32
            assert file.attrs["version"].tolist() == [0, 1] and file.attrs["version"].dtype == np.uint32
    for name, edges in expected["edges"].items():
        with h5py.File(net / "network" / f"{name}_edges.h5") as file:
            group = file["edges"][name]
            assert group["0/syn_weight"].dtype == np.float64 and group["0/delay"].dtype == np.float64
            read = edge_list(group["source_node_id"], group["target_node_id"], group["0/syn_weight"], group["0/delay"])
            assert read == sorted(map(tuple, edges)), name
            assert (group["0/nsyns"][()] == 1).all()
            for column in ["0/syn_weight", "source_node_id", "edge_group_index"]:
                assert group[column].chunks is None and group[column].compression is None
            assert group["edge_group_index"][()].tolist() == list(range(len(edges)))
    for name, spikes in expected["spikes"].items():
        with h5py.File(net / "inputs" / f"{name}_spikes.h5") as file:
            group = file["spikes"][name]
            assert group.attrs["sorting"] == 2
            assert list(zip(group["timestamps"][()].tolist(), group["node_ids"][()].tolist())) == list(
                map(tuple, spikes)
            ), name


def with_libsonata(net, expected):
    circuit = libsonata.CircuitConfig.from_file(str(net / "circuit_config.json"))
    assert circuit.node_populations == set(expected["sizes"])
    assert circuit.edge_populations == set(expected["edges"])
    for name, size in expected["sizes"].items():
        nodes = circuit.node_population(name)
        assert nodes.size == size
        kind = nodes.get_attribute("model_type", libsonata.Selection([0])) if "model_type" in nodes.attribute_names else None
        assert kind is None or kind[0] in ("point_neuron", "virtual")
    inh = circuit.node_population("inh")
    everyone = libsonata.Selection([(0, inh.size)])
    positions = np.stack([inh.get_attribute(axis, everyone) for axis in "xyzw"], axis=1)
    assert np.array_equal(positions, np.array(expected["positions"], dtype=np.float32))
    exc = circuit.node_population("L23 exc")
    assert exc.dynamics_attribute_names == {"V_m", "V_th"}
    assert exc.get_dynamics_attribute("V_m", libsonata.Selection([(0, 60)])).tolist() == expected["v_m"]
    for name, edges in expected["edges"].items():
        population = circuit.edge_population(name)
        assert population.size == len(edges)
        assert f"{population.source}_to_{population.target}" == name

        def read(selection):
            return edge_list(
                population.source_nodes(selection),
                population.target_nodes(selection),
                population.get_attribute("syn_weight", selection),
                population.get_attribute("delay", selection),
            )

        # By the indices, from either end, node by node.
        for end, size, edges_of in [
            (0, expected["sizes"][population.source], population.efferent_edges),
            (1, expected["sizes"][population.target], population.afferent_edges),
        ]:
            for node in range(size):
                assert read(edges_of(node)) == sorted(tuple(e) for e in edges if e[end] == node), (name, node)
            assert read(edges_of(list(range(size)))) == sorted(map(tuple, edges))
    for name, spikes in expected["spikes"].items():
        reader = libsonata.SpikeReader(str(net / "inputs" / f"{name}_spikes.h5"))[name]
        assert reader.sorting == "by_time"
        assert [(t, i) for i, t in reader.get()] == [tuple(s) for s in spikes]
    sets = libsonata.NodeSets.from_file(str(net / "node_sets.json"))
    clamped = [name for name in sets.names if name.startswith("pulse")]
    assert len(clamped) == 1 and sets.materialize(clamped[0], inh).flatten().tolist() == [1, 4, 19]


def with_bmtk(net, expected):
    folder = net / "network"
    for name, size in expected["sizes"].items():
        file = File(data_files=str(folder / f"{name}_nodes.h5"), data_type_files=str(folder / f"{name}_node_types.csv"))
        nodes = file.nodes[name]
        assert len(nodes) == size
        types = {node["model_type"] for node in nodes}
        assert types == {"virtual"} if name in expected["spikes"] else types == {"point_neuron"}
        assert [node.node_id for node in nodes] == list(range(size))
    for name, edges in expected["edges"].items():
        file = File(data_files=str(folder / f"{name}_edges.h5"), data_type_files=str(folder / f"{name}_edge_types.csv"))
        population = file.edges[name]
        assert len(population) == len(edges)
        assert f"{population.source_population}_to_{population.target_population}" == name

        def read(found):
            found = list(found)
            return edge_list(
                [e.source_node_id for e in found],
                [e.target_node_id for e in found],
                [e["syn_weight"] * e["nsyns"] for e in found],
                [e["delay"] for e in found],
            )

        assert read(population) == sorted(map(tuple, edges))
        for node in {e[0] for e in edges}:
            assert read(population.get_source(node)) == sorted(tuple(e) for e in edges if e[0] == node)
        for node in {e[1] for e in edges}:
            assert read(population.get_target(node)) == sorted(tuple(e) for e in edges if e[1] == node)


def main():
    folder = pathlib.Path(sys.argv[1])
    expected = json.loads((folder / "expected.json").read_text())
    for reader in [with_h5py, with_libsonata, with_bmtk]:
        reader(folder / "net", expected)


main()
