//! Spikes go from any format to any other and come back the same, and other programs read them.

#[path = "python/venv.rs"]
mod venv;

use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tessera::engine::{Layout, PopulationLayout, Recorder, Spike};
use tessera::error::Error;
use tessera::storage::{
    CsvSpikes, NpySpikes, PopulationSpikes, Repaired, SonataSpikes, SpikeFormat, holds_spikes, read_spikes, repair,
    write_spikes,
};

const FORMATS: [(SpikeFormat, &str); 3] =
    [(SpikeFormat::Sonata, "out.h5"), (SpikeFormat::Csv, "out.csv"), (SpikeFormat::Npy, "out")];

fn layout() -> Layout {
    let population = |name: &str, first, size| PopulationLayout { name: name.into(), first, size };
    Layout { dt: 0.1, populations: vec![population("L4 exc", 0, 400), population("inh", 400, 100)], states: vec![] }
}

fn record(recorder: &mut dyn Recorder) {
    recorder.start(&layout()).unwrap();
    for step in 0..1_500_u64 {
        let first = (step * 7 % 460) as u32;
        let spikes: Vec<Spike> = (first..first + 40).map(|neuron| Spike { step, neuron }).collect();
        recorder.spikes(step, step + 1, &spikes).unwrap();
    }
    recorder.finish().unwrap();
}

fn tessera(args: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.args(args).args(paths).stdin(Stdio::null()).output().unwrap()
}

fn convert(input: &Path, output: &Path, args: &[&str]) {
    let told = tessera(&[&["convert"], args].concat(), &[input, output]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

/// Bytes of a file, or of every file in a folder.
fn bytes(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(PathBuf::new(), std::fs::read(path).unwrap())];
    }
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|e| e.unwrap()).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    files.into_iter().map(|e| (e.file_name().into(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn what_is_converted_is_what_would_have_been_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("npy")).unwrap();
    record(&mut SonataSpikes::create(at("a.h5"), None).unwrap());
    record(&mut CsvSpikes::create(at("a.csv"), None).unwrap());
    record(&mut NpySpikes::create(at("npy"), None).unwrap());
    let sources = [at("a.h5"), at("a.csv"), at("npy")];
    for (i, source) in sources.iter().enumerate() {
        for (expected, (_, name)) in sources.iter().zip(FORMATS) {
            let output = at(&format!("{i}_{name}"));
            convert(source, &output, &[]);
            let mut found = read_spikes(&output).unwrap();
            let mut spikes = read_spikes(&sources[0]).unwrap();
            spikes.iter_mut().chain(&mut found).for_each(|p| p.size = 0);
            assert_eq!(found, spikes, "{} to {}", source.display(), output.display());
            // Only SONATA files keep the number of neurons.
            if name != "out.h5" || i == 0 {
                assert!(bytes(&output) == bytes(expected), "{} to {}", source.display(), output.display());
            }
        }
    }
}

#[test]
fn nothing_is_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let spikes =
        |name: &str| PopulationSpikes { name: name.into(), size: 0, times_ms: vec![0.5, 1.0], ids: vec![1, 0] };
    for (format, name) in FORMATS {
        let path = folder.path().join(name);
        write_spikes(&path, format, &[spikes("a"), spikes("b")], false).unwrap();
        let before = bytes(&path);
        let error = write_spikes(&path, format, &[spikes("a")], false).unwrap_err();
        assert!(matches!(error, Error::WouldOverwrite { .. }), "{error}");
        let told = tessera(&["convert"], &[&path, &path]);
        assert!(!told.status.success());
        // What cannot be written leaves what is there.
        let wrong = PopulationSpikes { times_ms: vec![2.0, f64::NAN], ..spikes("a") };
        assert!(matches!(write_spikes(&path, format, &[wrong], true), Err(Error::Invalid(_))));
        assert!(bytes(&path) == before);
        write_spikes(&path, format, &[spikes("b"), spikes("a")], true).unwrap();
        assert_eq!(read_spikes(&path).unwrap().len(), 2);
        convert(&path, &path, &["--overwrite"]);
        assert_eq!(read_spikes(&path).unwrap().len(), 2);
    }
    // Arrays of other populations would seem to belong to these.
    let arrays = folder.path().join("out");
    let error = write_spikes(&arrays, SpikeFormat::Npy, &[spikes("a")], true).unwrap_err().to_string();
    assert!(error.contains("population `b`"), "{error}");
    let left: Vec<_> = bytes(folder.path().join("out").as_path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn faults_are_told_together() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, times_ms: &[f64], ids: &[u32]| PopulationSpikes {
        name: name.into(),
        size: 3,
        times_ms: times_ms.to_vec(),
        ids: ids.to_vec(),
    };
    let all = [of("a,b", &[1.0, 0.5], &[0, 7]), of("", &[1.0], &[]), of("c", &[], &[]), of("c", &[], &[])];
    let Err(Error::Invalid(faults)) = write_spikes(folder.path().join("x.csv"), SpikeFormat::Csv, &all, false) else {
        panic!("the spikes are faulty");
    };
    assert_eq!(faults.len(), 6, "{faults:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_program_says_what_it_cannot_convert() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name)
    };
    let good = at("good.csv", b"time_ms,population,id\n0.1,a,3\n");
    for (input, output, expected) in [
        (at("a.csv", b"x,y\n1,2\n"), "b.h5", "`target` (or `post`) are expected; found: x, y"),
        (at("a.h5", b"not HDF5"), "b.csv", "it is not a file of kind `tessera-model`"),
        (folder.path().join("absent.h5"), "b.csv", "No such file"),
        (good.clone(), "b.txt", "not to"),
        (at("torn.csv", b"time_ms,population,id\n0.1,a,3\n0.2,a"), "b.h5", "line 3"),
    ] {
        let told = tessera(&["convert"], &[&input, &folder.path().join(output)]);
        let stderr = String::from_utf8_lossy(&told.stderr);
        assert!(!told.status.success() && stderr.contains(expected), "{}: {stderr}", input.display());
        assert!(!folder.path().join(output).exists());
    }
    assert!(holds_spikes(&good) && !holds_spikes(folder.path().join("a.h5")));
    let told = tessera(&["convert", "--population", "x"], &[&good, &folder.path().join("b.h5")]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("have names already"));
}

#[test]
fn torn_tables_and_arrays_are_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spikes.csv");
    std::fs::write(&path, "time_ms,population,id\n0.1,a,3\n0.2,a,17\n0.3,a,1").unwrap();
    assert_eq!(repair(&path).unwrap(), Repaired::Recovered);
    assert_eq!(repair(&path).unwrap(), Repaired::Intact);
    assert_eq!(read_spikes(&path).unwrap()[0].ids, [3, 17]);
    let foreign = folder.path().join("foreign.csv");
    std::fs::write(&foreign, "a,b\n1,2\n3").unwrap();
    assert!(repair(&foreign).is_err());
    assert_eq!(std::fs::read(&foreign).unwrap(), b"a,b\n1,2\n3");

    let spikes = PopulationSpikes { name: "a".into(), size: 0, times_ms: vec![0.5, 1.0, 1.5], ids: vec![1, 0, 2] };
    let arrays = folder.path().join("arrays");
    write_spikes(&arrays, SpikeFormat::Npy, &[spikes], false).unwrap();
    let times = arrays.join("spikes_a_times.npy");
    assert_eq!(repair(&times).unwrap(), Repaired::Intact);
    let whole = std::fs::read(&times).unwrap();
    std::fs::write(&times, &whole[..whole.len() - 3]).unwrap();
    assert!(read_spikes(&arrays).is_err());
    assert_eq!(repair(arrays.join("spikes_a_ids.npy")).unwrap(), Repaired::Recovered);
    let mended = &read_spikes(&arrays).unwrap()[0];
    assert_eq!((mended.times_ms.as_slice(), mended.ids.as_slice()), (&[0.5, 1.0][..], &[1, 0][..]));
}

#[test]
fn spikes_without_a_population_are_given_one() {
    let data = std::env::var_os("TESSERA_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let input = data.join("sonata_300_pointneurons/examples/300_pointneurons/inputs/external_spike_trains.h5");
    if !input.exists() {
        println!("skipped: no data ({})", input.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("external.h5");
    let told = tessera(&["convert"], &[&input, &output]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("name it with --population"));
    convert(&input, &output, &["--population", "external"]);
    let spikes = read_spikes(&output).unwrap();
    assert_eq!((spikes[0].name.as_str(), spikes[0].ids.len()), ("external", 4_334));
}

#[test]
fn python_reads_what_was_converted() {
    let Some(python) = venv::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&mut CsvSpikes::create(at("a.csv"), None).unwrap());
    convert(&at("a.csv"), &at("b.h5"), &[]);
    convert(&at("b.h5"), folder.path(), &[]);
    let spikes: serde_json::Map<String, Value> = read_spikes(at("a.csv"))
        .unwrap()
        .into_iter()
        .map(|p| (p.name, p.times_ms.iter().zip(&p.ids).map(|(t, i)| json!([t, i])).collect()))
        .collect();
    let expected = json!({ "spikes": { "b.h5": spikes }, "reports": {}, "npy": spikes });
    std::fs::write(at("expected.json"), expected.to_string()).unwrap();
    venv::compare(&python, folder.path());
}

fn population() -> impl Strategy<Value = (Vec<f64>, Vec<u32>)> {
    let times = prop::collection::vec(prop_oneof![-1e3_f64..1e6, (0_u32..40).prop_map(|t| f64::from(t) * 0.1)], 0..60);
    times.prop_flat_map(|mut times| {
        times.sort_by(f64::total_cmp);
        let ids = prop::collection::vec(any::<u32>(), times.len());
        (Just(times), ids)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_spikes_come_back(spikes in prop::collection::vec(population(), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let spikes: Vec<PopulationSpikes> = spikes
            .into_iter()
            .zip(["a", "b c", "d-e"])
            .map(|((times_ms, ids), name)| PopulationSpikes { name: name.into(), size: 0, times_ms, ids })
            .collect();
        for (format, name) in FORMATS {
            let path = folder.path().join(name);
            write_spikes(&path, format, &spikes, false).unwrap();
            let mut found = read_spikes(&path).unwrap();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            let mut expected = spikes.clone();
            if format == SpikeFormat::Csv {
                expected.retain(|p| !p.ids.is_empty()); // a table has no line for the silent
            }
            prop_assert_eq!(found, expected);
        }
    }
}
