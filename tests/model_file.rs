//! Model files: what is mapped back runs as what was built, parts are read and replaced, archives are equal.

mod networks {
    pub mod mixed;
}
#[path = "python/venv.rs"]
mod venv;

use networks::mixed::mixed;
use std::path::Path;
use tessera::engine::{Connectivity, Precision, SimOptions, Simulation, Synapse};
use tessera::lattice::Box4;
use tessera::model::BrainModel;
use tessera::storage::{Compression, MappedModel, ModelSettings, NeuronQuery, convert_model};
use tessera::synapse::WeightBits;

const SEED: u64 = 17;
const DURATION: f64 = 60.0;

fn digest(mut sim: Simulation) -> (u64, String, u64) {
    sim.run(DURATION).unwrap();
    let figures = sim.figures();
    assert!(figures.spikes > 1000, "{} spikes do not say much", figures.spikes);
    (figures.spikes, figures.spike_digest, sim.network().unwrap())
}

fn create(path: &Path, options: &SimOptions, compression: Compression) -> (BrainModel, Connectivity) {
    let model = BrainModel::build(&mixed(), SEED).unwrap();
    let connectivity = Connectivity::build(&model, options).unwrap();
    let settings = ModelSettings { options: options.clone(), compression, overwrite: true, ..ModelSettings::default() };
    let bytes = MappedModel::create(path, &model, &connectivity, &settings).unwrap();
    assert_eq!(bytes, std::fs::metadata(path).unwrap().len());
    (model, connectivity)
}

fn options(threads: usize) -> SimOptions {
    SimOptions { threads, ..SimOptions::default() }
}

fn sorted(mut synapses: Vec<Synapse>) -> Vec<Synapse> {
    let key = |s: &Synapse| (s.target, s.receptor, s.delay, s.weight.to_bits());
    synapses.sort_by_key(key);
    synapses
}

#[test]
fn mapped_networks_run_as_built_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.h5");
    for (built, bits, precision) in [
        (1, WeightBits::Auto, Precision::F32),
        (3, WeightBits::W32, Precision::F32),
        (2, WeightBits::Auto, Precision::F64),
    ] {
        let options = |threads| SimOptions { weight_bits: bits, precision, ..options(threads) };
        let (model, connectivity) = create(&path, &options(built), Compression::None);
        let expected = digest(Simulation::with_connectivity(model, connectivity, options(1)).unwrap());
        for threads in [1, 2, 3, 5] {
            let mapped = MappedModel::open(&path).unwrap();
            assert_eq!(mapped.options(), SimOptions { threads: 0, ..options(0) });
            let connectivity = mapped.connectivity().unwrap();
            let run = SimOptions { threads, ..mapped.options() };
            let sim = Simulation::with_connectivity(mapped.into_model().unwrap(), connectivity, run).unwrap();
            assert_eq!(digest(sim), expected, "built for {built} threads, run on {threads}");
        }
    }
}

#[test]
fn the_same_network_makes_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [folder.path().join("a.h5"), folder.path().join("b.h5")];
    let bytes = paths.map(|path| {
        create(&path, &options(3), Compression::None);
        std::fs::read(path).unwrap()
    });
    assert!(bytes[0] == bytes[1], "construction on several threads leaves its mark on the file");
}

#[test]
fn chosen_neurons_are_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::None, Compression::Zstd] {
        let path = folder.path().join("mixed.h5");
        let (model, connectivity) = create(&path, &options(2), compression);
        let mapped = MappedModel::open(&path).unwrap();
        let cells = Box4 { lo: [0, 0, 0, 0], hi: [2, 1, 3, 2] };
        let mut chosen = mapped.select(&NeuronQuery::Indices("merged".into(), vec![5, 0, 332])).unwrap();
        chosen.extend(mapped.select(&NeuronQuery::Region(cells)).unwrap());
        chosen.extend(mapped.select(&NeuronQuery::Population("random".into())).unwrap());
        chosen.extend(mapped.select(&NeuronQuery::Population("given".into())).unwrap());
        assert!(chosen.len() > 70);
        for data in mapped.load(&chosen).unwrap() {
            let (id, population) = model.population(&data.population).unwrap();
            assert_eq!(population.first() + data.index, data.neuron);
            assert_eq!(population.position(data.index), data.position);
            let mut expected = Vec::new();
            connectivity.synapses_of(&model, data.neuron, &mut expected).unwrap();
            assert_eq!(sorted(data.synapses), sorted(expected), "neuron {}", data.neuron);
            let parameters: Vec<f64> = data.parameters.iter().map(|(_, x)| *x).collect();
            assert_eq!(parameters, population.params().row(data.index as usize));
            for (variable, (_, value)) in data.state.iter().enumerate() {
                let initial = model.initial_column(id, variable, data.index..data.index + 1)[0];
                assert_eq!(*value, f64::from(initial as f32));
            }
        }
        let inside = mapped.load(&mapped.select(&NeuronQuery::Region(cells)).unwrap()).unwrap();
        let (_, cortex) = model.population("cortex").unwrap();
        let count = (0..cortex.size()).filter(|i| cells.contains(cortex.cell(*i).unwrap())).count();
        assert_eq!(inside.iter().filter(|n| n.population == "cortex").count(), count);
        for (query, message) in [
            (NeuronQuery::Population("cortx".into()), "did you mean `cortex`"),
            (NeuronQuery::Indices("given".into(), vec![10]), "it has 0 to 9"),
        ] {
            assert!(mapped.select(&query).unwrap_err().to_string().contains(message));
        }
        assert!(mapped.load(&[model.neurons()]).is_err());
    }
}

#[test]
fn stored_neurons_replace_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.h5");
    create(&path, &options(1), Compression::None);
    let mut mapped = MappedModel::open(&path).unwrap();
    let before = mapped.load_population("merged").unwrap();
    let mut some = vec![before[3].clone(), before[77].clone()];
    for data in &mut some {
        data.state[0].1 = -61.25;
        data.parameters.iter_mut().find(|(name, _)| name == "v_th").unwrap().1 = -49.5;
    }
    mapped.store(&some).unwrap();
    assert!(mapped.verify().is_empty());
    let after = MappedModel::open(&path).unwrap().load_population("merged").unwrap();
    for (i, (old, new)) in before.iter().zip(&after).enumerate() {
        match i {
            3 => assert_eq!(*new, some[0]),
            77 => assert_eq!(*new, some[1]),
            _ => assert_eq!(new, old),
        }
    }
    let model = mapped.into_model().unwrap();
    let (id, merged) = model.population("merged").unwrap();
    assert_eq!(model.initial_column(id, 0, 76..78)[1], -61.25);
    assert_eq!(merged.params().row(3), some[0].parameters.iter().map(|(_, x)| *x).collect::<Vec<_>>());
    let mut mapped = MappedModel::open(&path).unwrap();
    some[0].state[0].0 = "volts".into();
    assert!(mapped.store(&some).unwrap_err().to_string().contains("no state variable `volts`"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn archives_are_smaller_refuse_to_be_mapped_and_come_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain.h5");
    create(&plain, &options(2), Compression::None);
    // A copy has its arrays in another order than the file as it was made.
    let copy = folder.path().join("copy.h5");
    convert_model(&plain, &copy, Compression::None, false).unwrap();
    let original = std::fs::read(&copy).unwrap();
    for compression in [Compression::Zstd, Compression::Gzip] {
        let (archive, back) = (folder.path().join("archive.h5"), folder.path().join("back.h5"));
        let bytes = convert_model(&plain, &archive, compression, true).unwrap();
        assert!(bytes < original.len() as u64 * 4 / 5, "{bytes} of {}", original.len());
        let error = MappedModel::open(&archive).unwrap().connectivity().unwrap_err().to_string();
        assert!(error.contains("it is compressed and cannot be mapped; `tessera convert`"), "{error}");
        convert_model(&archive, &back, Compression::None, true).unwrap();
        assert!(std::fs::read(&back).unwrap() == original, "an archive unpacked is the file it was made of");
        assert!(convert_model(&archive, &back, Compression::None, false).unwrap_err().to_string().contains("exists"));
    }
}

/// The recipe in the documentation, run as it stands there, gives the synapses the library gives.
#[test]
fn python_reads_synapses_by_the_documented_layout() {
    let Some(python) = venv::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, bits, compression) in
        [("plain.h5", WeightBits::Auto, Compression::None), ("gzip.h5", WeightBits::W32, Compression::Gzip)]
    {
        let path = folder.path().join(name);
        let (model, connectivity) = create(&path, &SimOptions { weight_bits: bits, ..options(2) }, compression);
        let neurons: Vec<u32> = (0..model.neurons()).step_by(29).collect();
        let output = std::process::Command::new(&python)
            .args([root.join("tests/python/read_model.py"), root.join("docs/model-format.md"), path])
            .args(neurons.iter().map(u32::to_string))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read: Vec<Vec<(u32, f64, f64)>> = serde_json::from_slice(&output.stdout).unwrap();
        for (neuron, mut read) in neurons.iter().zip(read) {
            let mut expected = Vec::new();
            connectivity.synapses_of(&model, *neuron, &mut expected).unwrap();
            let mut expected: Vec<_> =
                expected.iter().map(|s| (s.target, s.weight, f64::from(s.delay) * 0.1)).collect();
            let order = |a: &(u32, f64, f64), b: &(u32, f64, f64)| a.partial_cmp(b).unwrap();
            read.sort_by(order);
            expected.sort_by(order);
            assert_eq!(read, expected, "neuron {neuron} of {name}");
        }
    }
}

#[test]
fn damaged_records_end_a_run_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.h5");
    create(&path, &options(1), Compression::None);
    let sound = std::fs::read(&path).unwrap();
    let mut told = 0;
    // Records fill most of the file: noise laid over them hits heads and records of many sources.
    for offset in 0..8 {
        let mut bytes = sound.clone();
        let from = bytes.len() * 2 / 3 + offset * 4096;
        bytes[from..from + 40_000].iter_mut().enumerate().for_each(|(i, b)| *b = (i * 7919 + offset) as u8);
        std::fs::write(&path, &bytes).unwrap();
        let mapped = MappedModel::open(&path).unwrap();
        let found = mapped.verify();
        assert!(!found.is_empty() && found.iter().all(|e| e.to_string().contains("the file is damaged")));
        let Ok(connectivity) = mapped.connectivity() else { continue };
        let model = mapped.into_model().unwrap();
        let sim = Simulation::with_connectivity(model, connectivity, options(1));
        let error = sim.and_then(|mut sim| sim.run(DURATION)).err();
        told += usize::from(error.is_some_and(|e| e.to_string().contains("the synapses are damaged")));
    }
    assert!(told > 0, "runs over damaged heads say so");
}
