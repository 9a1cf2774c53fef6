"""Reads result files with h5py, libsonata and NumPy and compares them with what was recorded.

Usage: read_results.py FOLDER, where FOLDER holds the files and expected.json:
  spikes:  {file: {population: [[time_ms, id], ...]}}
  reports: {file: {population, variable, unit, node_ids, times_ms, data: [[...], ...]}}
  npy:     {population: [[time_ms, id], ...]}
"""

import json
import pathlib
import sys

import h5py
import libsonata
import numpy as np


def check_root(file):
    assert file.attrs["magic"] == 0x0A7A and file.attrs["magic"].dtype == np.uint32
    assert file.attrs["version"].tolist() == [0, 1] and file.attrs["version"].dtype == np.uint32


def check_spikes(path, expected):
    with h5py.File(path) as file:
        check_root(file)
        assert set(file["spikes"]) == set(expected)
        for population, spikes in expected.items():
            group = file["spikes"][population]
            sorting = group.attrs.get_id("sorting").dtype
            assert h5py.check_enum_dtype(sorting) == {"none": 0, "by_id": 1, "by_time": 2}
            assert group.attrs["sorting"] == 2
            assert group["timestamps"].attrs["units"] == "ms"
            assert group["timestamps"].dtype == np.float64 and group["node_ids"].dtype == np.uint64
            assert group["timestamps"][()].tolist() == [t for t, _ in spikes], population
            assert group["node_ids"][()].tolist() == [i for _, i in spikes], population
    reader = libsonata.SpikeReader(str(path))
    assert set(reader.get_population_names()) == set(expected)
    for population, spikes in expected.items():
        read = reader[population]
        assert read.sorting == "by_time" and read.time_units == "ms"
        assert [(t, i) for i, t in read.get()] == [tuple(s) for s in spikes], population
        if spikes:
            middle = spikes[len(spikes) // 2][0]
            late = [(t, i) for i, t in read.get(tstart=middle)]
            assert late == [tuple(s) for s in spikes if s[0] >= middle], population
            some = sorted({i for _, i in spikes})[:2]
            of_some = [(t, i) for i, t in read.get(node_ids=libsonata.Selection(some))]
            assert of_some == [tuple(s) for s in spikes if s[1] in some], population


def check_report(path, expected):
    population = expected["population"]
    data = np.array(expected["data"], dtype=np.float32).reshape(-1, len(expected["node_ids"]))
    with h5py.File(path) as file:
        check_root(file)
        group = file["report"][population]
        assert group["data"].dtype == np.float32 and np.array_equal(group["data"][()], data)
        assert group["data"].attrs["units"] == expected["unit"]
        assert group["data"].attrs["variable"] == expected["variable"]
        assert group["mapping/node_ids"][()].tolist() == expected["node_ids"]
        start, stop, interval = group["mapping/time"][()]
        rows = round((stop - start) / interval)
        assert rows == len(data), (rows, len(data))
    for reader, element in ((libsonata.SomaReportReader, False), (libsonata.ElementReportReader, True)):
        read = reader(str(path))[population]
        assert list(read.get_node_ids()) == expected["node_ids"]
        assert read.data_units == expected["unit"] and read.time_units == "ms" and read.sorted
        if not len(data):
            continue  # libsonata opens a report without samples, but has no frame of it to give
        frame = read.get()
        # libsonata keeps times in 32 bits.
        assert np.allclose(frame.times, expected["times_ms"], rtol=1e-6), (frame.times, expected["times_ms"])
        assert np.array_equal(frame.data, data)
        ids = [(i, 0) for i in expected["node_ids"]] if element else expected["node_ids"]
        found = [tuple(i) for i in frame.ids] if element else list(frame.ids)
        assert found == ids, (found, ids)


def check_npy(folder, expected):
    for population, spikes in expected.items():
        times = np.load(folder / f"spikes_{population}_times.npy")
        ids = np.load(folder / f"spikes_{population}_ids.npy")
        assert times.dtype == np.float64 and ids.dtype == np.uint32
        assert list(zip(times.tolist(), ids.tolist())) == [tuple(s) for s in spikes], population


def main(folder):
    expected = json.loads((folder / "expected.json").read_text())
    for name, spikes in expected["spikes"].items():
        check_spikes(folder / name, spikes)
    for name, report in expected["reports"].items():
        check_report(folder / name, report)
    check_npy(folder, expected["npy"])
    print(f"read by h5py {h5py.__version__}, libsonata {libsonata.version}, numpy {np.__version__}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
