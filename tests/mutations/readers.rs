//! Files that nobody vouches for, read as far as the program goes with each kind: what the mutation test and the fuzz
//! targets share.

#![allow(dead_code)] // Each program uses a part.

use super::bundle;
use super::containers::Contents;
use std::path::Path;
use tessera::config::RunSpec;
use tessera::engine::Simulation;
use tessera::error::{Error, Result};
use tessera::interop::table::{self, Column};
use tessera::interop::{edge_list, npy, position_list, spike_list};
use tessera::lattice::Box4;
use tessera::storage::{
    Checkpoint, Compression, CsvSpikes, MappedModel, NeuronQuery, NpySpikes, RateTable, RunRecord, SonataSpikes,
    StateReport, convert_model, holds_spikes, read_rates, read_report, read_spikes, repair, repairable,
};

/// What became of a file.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was said against it while it was read: all of these must name a file.
    pub refusals: Vec<String>,
    /// What was said later, when the network it gave was run.
    pub later: Vec<String>,
    /// Readings that came to something.
    pub read: usize,
}

impl Outcome {
    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.read += 1;
                Some(value)
            }
            Err(Error::Invalid(faults)) => {
                self.refusals.extend(faults.iter().map(ToString::to_string));
                None
            }
            Err(error) => {
                self.refusals.push(error.to_string());
                None
            }
        }
    }

    fn keep_later<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.later.push(error.to_string())).ok()
    }
}

/// Networks beyond these sizes are what their author asked for, not a fault; they are described but not built here.
const MOST_NEURONS: u64 = 20_000;
const MOST_SYNAPSES: f64 = 1e6;
/// Steps that a network is run for.
const STEPS: usize = 12;

fn run(mut sim: Simulation, outcome: &mut Outcome) {
    for _ in 0..STEPS {
        if outcome.keep_later(sim.step()).is_none() {
            break;
        }
    }
    outcome.keep_later(sim.network());
}

/// Whether a network is small enough to be built here.
fn is_small(spec: &RunSpec) -> bool {
    let estimate = spec.estimate();
    estimate.neurons <= MOST_NEURONS && estimate.synapses <= MOST_SYNAPSES
}

fn on_one_thread(mut spec: RunSpec) -> RunSpec {
    spec.run.threads = Some(1);
    spec.run.isa = Some("portable".to_owned());
    spec
}

/// A configuration, TOML or SONATA, and the files it names.
pub fn config(path: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    let check = RunSpec::check(path, &[]);
    outcome.refusals.extend(check.faults.iter().map(ToString::to_string));
    let Some(spec) = check.spec else { return outcome };
    outcome.read += 1;
    if is_small(&spec)
        && let Some(sim) = outcome.keep_later(on_one_thread(spec).build())
    {
        run(sim, &mut outcome);
    }
    outcome
}

/// A model file. `scratch` is a file that may be written.
pub fn model(path: &Path, scratch: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    MappedModel::recognises(path);
    let Some(mapped) = outcome.keep(MappedModel::open(path)) else { return outcome };
    for error in mapped.verify() {
        outcome.refusals.push(error.to_string());
    }
    let _ = (mapped.shards(), mapped.synapses(), mapped.config(), mapped.config_file(), mapped.projections().count());
    outcome.keep(mapped.ids());
    let populations: Vec<(String, u32)> = mapped.populations().map(|(name, n)| (name.to_owned(), n)).collect();
    let mut neurons = Vec::new();
    for (name, size) in &populations {
        let ends = [0, size / 2, size.saturating_sub(1)].into_iter().filter(|i| i < size).collect();
        neurons.extend(outcome.keep(mapped.select(&NeuronQuery::Indices(name.clone(), ends))).unwrap_or_default());
    }
    let everywhere = Box4 { lo: [0; 4], hi: [u32::MAX; 4] };
    for query in [NeuronQuery::Region(everywhere), NeuronQuery::Ids("named".to_owned(), vec![9, 11])] {
        // A network without lattice or ids has none to be asked for.
        let _ = mapped.select(&query).map(|some| neurons.extend(some.into_iter().take(5)));
    }
    if let Some(loaded) = outcome.keep(mapped.load(&neurons)) {
        for neuron in &loaded {
            for synapse in neuron.synapses.iter().take(9) {
                mapped.target(synapse);
            }
        }
    }
    outcome.keep(mapped.model().map(drop));
    outcome.keep(RunSpec::load(path, &[]).map(drop));
    if let Some(connectivity) = outcome.keep(mapped.connectivity())
        && outcome.keep(mapped.model().map(drop)).is_some()
    {
        let mut options = mapped.options();
        options.threads = 1;
        if let Some(model) = outcome.keep(mapped.into_model())
            && let Some(sim) = outcome.keep_later(Simulation::with_connectivity(model, connectivity, options))
        {
            run(sim, &mut outcome);
        }
    }
    if outcome.keep(convert_model(path, scratch, Compression::Gzip, true)).is_some() {
        outcome.keep(MappedModel::open(scratch));
    }
    outcome
}

/// The same model file on more threads than it has shards, which copies its synapses.
pub fn model_on_threads(path: &Path, threads: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(mapped) = outcome.keep(MappedModel::open(path)) else { return outcome };
    let mut options = mapped.options();
    options.threads = threads;
    if let Some(connectivity) = outcome.keep(mapped.connectivity())
        && let Some(model) = outcome.keep(mapped.into_model())
        && let Some(sim) = outcome.keep_later(Simulation::with_connectivity(model, connectivity, options))
    {
        run(sim, &mut outcome);
    }
    outcome
}

/// A checkpoint, of the run of `spec` if it is one of it, whose results are in `results`.
pub fn checkpoint(path: &Path, spec: &RunSpec, results: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(checkpoint) = outcome.keep(Checkpoint::read(path)) else { return outcome };
    let described = outcome.keep_later(RunSpec::from_resolved(&checkpoint.run.config, Some(&checkpoint.run.file)));
    if let Some(described) = described.filter(is_small) {
        outcome.keep_later(on_one_thread(described).build());
    }
    let Some(mut sim) = outcome.keep_later(spec.build()) else { return outcome };
    for recorder in ["sonata", "csv", "npy", "rates", "states"] {
        let added = match recorder {
            "sonata" => sim.record(SonataSpikes::resuming(results.join("spikes.h5"), None)).map(drop),
            "csv" => sim.record(CsvSpikes::resuming(results.join("spikes.csv"), None)).map(drop),
            "npy" => sim.record(NpySpikes::resuming(results, None)).map(drop),
            "rates" => RateTable::resuming(results.join("rates.csv"), 1.0, None).and_then(|r| sim.record(r).map(drop)),
            _ => sim.record(StateReport::resuming(results)).map(drop),
        };
        outcome.keep_later(added);
    }
    if outcome.keep_later(sim.restore(&checkpoint.snapshot)).is_some() {
        run(sim, &mut outcome);
    }
    outcome
}

/// A table of text or an array, in every sense such files have.
pub fn list(path: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.keep(edge_list::read(path));
    outcome.keep(spike_list::read(path));
    if path.extension().is_some_and(|e| e == "npy") {
        outcome.keep(npy::read_matrix(path));
    } else {
        outcome.keep(position_list::read(path));
        if let Some(table) = outcome.keep(table::read_columns(path)) {
            for name in table.names() {
                let _ = (table.numbers(name), table.indices(name));
            }
        }
        outcome.keep(table::text_columns(path, &[Column::Number(2), Column::Name("id".to_owned())]));
        outcome.keep(read_rates(path));
    }
    outcome.keep(table::number_column(path, &Column::Number(1)));
    outcome
}

/// An archive of arrays.
pub fn archive(path: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.keep(edge_list::read(path));
    outcome
}

/// A file of spikes or its folder: looked at, read, mended, and read again.
pub fn spikes(path: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    holds_spikes(path);
    outcome.keep(read_spikes(path));
    if outcome.keep(repair(path)).is_some() {
        outcome.keep(read_spikes(path));
    }
    outcome
}

/// A report: read, mended, and read again.
pub fn report(path: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.keep(read_report(path));
    if outcome.keep(repair(path)).is_some() {
        outcome.keep(read_report(path));
    }
    outcome
}

/// A folder of results: everything in it that can be mended or read.
pub fn results(folder: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    for file in outcome.keep(repairable(folder)).unwrap_or_default() {
        outcome.keep(repair(file));
    }
    outcome.keep(read_spikes(folder));
    outcome.keep(RunRecord::read(folder));
    outcome
}

/// What a fuzz target does with its input. `folder` is empty; `spec` is the run that checkpoints are of.
pub fn fuzzed(target: &str, bytes: &[u8], folder: &Path, spec: &RunSpec) -> Outcome {
    let unpacked = |first: &str| -> Option<std::path::PathBuf> {
        let files = bundle::unpack(bytes, first);
        for (name, content) in &files {
            let path = folder.join(name);
            // A name may stand for a file here and for a folder there.
            let _ = path.parent().map(std::fs::create_dir_all);
            let _ = std::fs::write(path, content);
        }
        Some(folder.join(&files.first()?.0))
    };
    let put = |name: &str| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    match target {
        "config" => unpacked("config.toml").map(|path| config(&path)).unwrap_or_default(),
        "sonata_config" => unpacked("config.json").map(|path| config(&path)).unwrap_or_default(),
        "csv" => {
            let mut all = list(&put("list.csv"));
            let mut add = |more: Outcome| {
                all.read += more.read;
                all.refusals.extend(more.refusals);
                all.later.extend(more.later);
            };
            if bytes.starts_with(b"PK") {
                add(archive(&put("list.npz")));
            }
            if bytes.starts_with(b"\x93NUMPY") {
                add(list(&put("list.npy")));
                put("spikes_a_times.npy");
                add(spikes(&put("spikes_a_ids.npy")));
            }
            add(spikes(&put("spikes.csv")));
            all
        }
        // Files as they are, or contents that are put into a file with checksums that are right.
        "model" => {
            let path = folder.join("m.h5");
            if bytes.starts_with(b"\x89HDF") {
                std::fs::write(&path, bytes).unwrap();
            } else if !Contents::of_bundle("tessera-model", bytes).is_some_and(|c| c.write(&path)) {
                return Outcome::default();
            }
            model(&path, &folder.join("copy.h5"))
        }
        _ => {
            let path = folder.join("c.h5");
            if bytes.starts_with(b"\x89HDF") {
                std::fs::write(&path, bytes).unwrap();
            } else if !Contents::of_bundle("tessera-checkpoint", bytes).is_some_and(|c| c.write(&path)) {
                return Outcome::default();
            }
            checkpoint(&path, spec, folder)
        }
    }
}
