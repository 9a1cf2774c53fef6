//! Damaged and hostile files of every format give an error that names the file, never a panic, a hang, a crash or a
//! giant allocation.
//!
//! Cases are the same in every run: what is done to a file is a function of its name and the number of the case. Each
//! test runs its cases in a process of its own, whose memory is bounded and counted, and whose end by a signal or a
//! hang (the only use of the clock: there is no other sign of a hang) is told with the case.

mod archives;
mod bundle;
mod containers;
mod fixtures;
mod guard;
mod hostile;
mod mutate;
mod readers;
#[path = "../sonata_rig/mod.rs"]
mod sonata_rig;

use containers::Contents;
use guard::{Cases, apart, scratch};
use mutate::Draw;
use readers::Outcome;
use std::path::Path;
use tessera::config::RunSpec;
use tessera::storage::{Compression, read_report, read_spikes};

#[global_allocator]
static COUNTING: guard::Counting = guard::Counting;

/// How often each file is damaged, as a multiple of what the suite does.
fn times(n: usize) -> usize {
    n * std::env::var("TESSERA_MUTATIONS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Damages a file in `rounds` ways and reads it, or what it belongs to, each time; puts it back afterwards.
fn damage(cases: &mut Cases, folder: &Path, file: &str, rounds: usize, read: impl Fn() -> Outcome) {
    let path = folder.join(file);
    let whole = std::fs::read(&path).unwrap();
    let good = read();
    assert!(good.read > 0 && good.later.is_empty(), "{file} is sound: {good:?}");
    for number in 0..times(rounds) {
        let mut draw = Draw::new(file, number);
        let (changed, how) = match path.extension().and_then(|e| e.to_str()) {
            Some("h5") => mutate::hdf5(&mut draw, &whole),
            Some("npy") => match draw.below(3) {
                0 => npy_header(&mut draw, &whole),
                _ => mutate::bytes(&mut draw, &whole),
            },
            Some("json") if number % 2 == 0 => {
                let mut value = serde_json::from_slice(&whole).unwrap();
                let how = mutate::json(&mut draw, &mut value);
                (serde_json::to_vec_pretty(&value).unwrap(), how)
            }
            _ => mutate::text(&mut draw, std::str::from_utf8(&whole).unwrap()),
        };
        std::fs::write(&path, changed).unwrap();
        cases.case(&format!("{file} {number}: {how}"), folder, &read);
    }
    std::fs::write(&path, whole).unwrap();
}

/// Damages the text in the header of an array and makes its length right again.
fn npy_header(draw: &mut Draw, whole: &[u8]) -> (Vec<u8>, String) {
    let end = 10 + usize::from(u16::from_le_bytes([whole[8], whole[9]]));
    let (text, how) = mutate::text(draw, std::str::from_utf8(&whole[10..end]).unwrap());
    let mut changed = whole[..8].to_vec();
    match u16::try_from(text.len()) {
        Ok(length) => changed.extend(length.to_le_bytes()),
        Err(_) => {
            changed[6] = 2;
            changed.extend((text.len() as u32).to_le_bytes());
        }
    }
    changed.extend(text);
    changed.extend(&whole[end..]);
    (changed, format!("header: {how}"))
}

#[test]
fn configurations() {
    apart("configurations", |cases| {
        let folder = scratch();
        let path = fixtures::full(folder.path());
        damage(cases, folder.path(), "full.toml", 420, || readers::config(&path));
        for file in ["points.csv", "currents.txt", "neurons.csv", "spikes.txt", "input.txt", "edges.txt"] {
            damage(cases, folder.path(), &format!("data/{file}"), 12, || readers::config(&path));
        }
        damage(cases, folder.path(), "data/currents.npy", 20, || readers::config(&path));
    });
}

#[test]
fn sonata() {
    apart("sonata", |cases| {
        let folder = scratch();
        let config = sonata_rig::mixed(folder.path());
        let read = || readers::config(&config);
        for file in ["net_nodes.h5", "ext_nodes.h5", "edges.h5", "spikes.h5"] {
            damage(cases, folder.path(), file, 70, read);
        }
        for file in ["net_node_types.csv", "edge_types.csv", "models/exp.json", "circuit/circuit_config.json"] {
            damage(cases, folder.path(), file, 30, read);
        }
        damage(cases, folder.path(), "node_sets.json", 60, read);
        damage(cases, folder.path(), "simulation_config.json", 140, read);
        let folder = scratch();
        let config = sonata_rig::single(folder.path());
        damage(cases, folder.path(), "spikes.csv", 30, || readers::config(&config));
    });
}

#[test]
fn models() {
    apart("models", |cases| {
        let folder = scratch();
        let other = scratch();
        let scratch_file = folder.path().join("copy.h5");
        for (compression, rounds) in [(Compression::None, 260), (Compression::Zstd, 90), (Compression::Gzip, 60)] {
            let path = fixtures::model(folder.path(), compression);
            damage(cases, folder.path(), "small.h5", rounds, || readers::model(&path, &scratch_file));
        }
        // Headers that lie, under checksums that are right.
        let path = fixtures::model(folder.path(), Compression::None);
        let good = Contents::read(&path);
        good.write(&path);
        assert_eq!(readers::model(&path, &scratch_file).refusals, [""; 0], "what is put together again is sound");
        for number in 0..times(320) {
            let mut draw = Draw::new("model header", number);
            let mut contents = good.clone();
            contents.honest = draw.below(4) > 0;
            let mut how = Vec::new();
            for _ in 0..1 + draw.below(2) {
                let whole = draw.below(5) == 0;
                // An earlier change may have left no description to change.
                how.push(match contents.header.get_mut("description") {
                    Some(description) if !whole => mutate::json(&mut draw, description),
                    _ => mutate::json(&mut draw, &mut contents.header),
                });
            }
            contents.write(&path);
            cases.case(&format!("model header {number}: {}", how.join(", ")), folder.path(), || {
                readers::model(&path, &scratch_file)
            });
        }
        // Arrays that lie, likewise.
        let names: Vec<String> = good.arrays.keys().cloned().collect();
        for number in 0..times(160) {
            let mut draw = Draw::new("model array", number);
            let mut contents = good.clone();
            let often: Vec<&String> = names.iter().filter(|n| n.starts_with("synapses/")).collect();
            let name = if draw.below(3) == 0 { draw.pick(&names).clone() } else { (*draw.pick(&often)).clone() };
            let (bytes, how) = mutate::bytes(&mut draw, &contents.arrays[&name]);
            let element = contents.header["arrays"][&name]["type"].as_str().unwrap().to_owned();
            contents.put(&name, &element, bytes);
            contents.write(&path);
            cases.case(&format!("model {name} {number}: {how}"), folder.path(), || {
                let mut outcome = readers::model(&path, &scratch_file);
                if number % 4 == 0 {
                    outcome.later.extend(readers::model_on_threads(&path, 3).later);
                }
                outcome
            });
        }
        hostile::models(cases, &good, &path, &scratch_file);
        drop(other);
    });
}

#[test]
fn checkpoints() {
    apart("checkpoints", |cases| {
        let folder = scratch();
        let (spec, path) = fixtures::checkpoint(folder.path());
        let kept = scratch();
        copy(folder.path(), kept.path());
        let restore = || copy(kept.path(), folder.path());
        let read = || {
            let outcome = readers::checkpoint(&path, &spec, folder.path());
            restore_but(&path, restore);
            outcome
        };
        damage(cases, folder.path(), "step.h5", 200, read);
        let good = Contents::read(&path);
        for number in 0..times(220) {
            let mut draw = Draw::new("checkpoint header", number);
            let mut contents = good.clone();
            let how = match draw.below(4) {
                0 => {
                    let names: Vec<String> = contents.arrays.keys().cloned().collect();
                    let name = draw.pick(&names).clone();
                    let element = contents.header["arrays"][&name]["type"].as_str().unwrap().to_owned();
                    let (bytes, how) = mutate::bytes(&mut draw, &contents.arrays[&name]);
                    contents.put(&name, &element, bytes);
                    format!("{name}: {how}")
                }
                1 => mutate::json(&mut draw, &mut contents.header["description"]["recorders"]),
                2 => mutate::json(&mut draw, &mut contents.header["description"]["counters"]),
                _ => mutate::json(&mut draw, contents.description()),
            };
            contents.write(&path);
            cases.case(&format!("checkpoint header {number}: {how}"), folder.path(), read);
        }
        restore();
        // The results that a run goes on in.
        let mut files: Vec<String> = std::fs::read_dir(kept.path())
            .unwrap()
            .filter_map(|e| e.unwrap().file_name().into_string().ok())
            .filter(|n| (n.ends_with(".h5") && n != "step.h5") || n.ends_with(".csv") || n.ends_with(".npy"))
            .collect();
        files.sort();
        for file in files {
            damage(cases, folder.path(), &file, 12, || {
                let outcome = readers::checkpoint(&path, &spec, folder.path());
                restore();
                outcome
            });
        }
        hostile::checkpoints(cases, &good, &path, &spec, folder.path());
    });
}

/// Puts a folder back but for one file.
fn restore_but(path: &Path, restore: impl Fn()) {
    let now = std::fs::read(path).unwrap();
    restore();
    std::fs::write(path, now).unwrap();
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn results() {
    apart("results", |cases| {
        let folder = scratch();
        fixtures::checkpoint(folder.path());
        let of = |name: &str| folder.path().join(name);
        damage(cases, folder.path(), "spikes.h5", 140, || readers::spikes(&of("spikes.h5")));
        damage(cases, folder.path(), "spikes.csv", 80, || readers::spikes(&of("spikes.csv")));
        for file in ["spikes_cells_times.npy", "spikes_cells_ids.npy"] {
            damage(cases, folder.path(), file, 50, || readers::spikes(&of(file)));
        }
        damage(cases, folder.path(), "rates.csv", 40, || readers::list(&of("rates.csv")));
        let reports: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        let report = reports.iter().find(|p| read_report(p).is_ok()).unwrap();
        let name = report.file_name().unwrap().to_str().unwrap();
        damage(cases, folder.path(), name, 140, || readers::report(report));
        assert!(read_spikes(of("spikes.h5")).is_ok());
        hostile::results(cases, folder.path());
    });
}

#[test]
fn lists() {
    apart("lists", |cases| {
        let folder = scratch();
        fixtures::data(folder.path());
        for file in ["points.csv", "neurons.csv", "spikes.txt", "edges.txt", "edges.csv"] {
            let path = folder.path().join("data").join(file);
            damage(cases, folder.path(), &format!("data/{file}"), 60, || readers::list(&path));
        }
        for file in ["currents.npy", "edges.npy", "spikes.npy"] {
            let path = folder.path().join("data").join(file);
            damage(cases, folder.path(), &format!("data/{file}"), 80, || readers::list(&path));
        }
        archives::cases(cases, folder.path());
        hostile::lists(cases, folder.path());
    });
}

/// Hand-made configurations.
#[test]
fn traps() {
    apart("traps", |cases| {
        let folder = scratch();
        hostile::configurations(cases, folder.path());
        hostile::sonata(cases, folder.path());
    });
}

/// What the fuzz targets began with or found.
#[test]
fn corpus() {
    apart("corpus", |cases| {
        let folder = scratch();
        let spec: RunSpec = fixtures::small(folder.path());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
        for target in ["config", "sonata_config", "csv", "model", "checkpoint"] {
            let Ok(entries) = std::fs::read_dir(root.join(target)) else { continue };
            let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
            files.sort();
            for file in files {
                let bytes = std::fs::read(&file).unwrap();
                let label = format!("{target}/{}", file.file_name().unwrap().display());
                let place = scratch();
                cases.case(&label, place.path(), || readers::fuzzed(target, &bytes, place.path(), &spec));
            }
        }
    });
}

/// Writes what the fuzz targets begin with: `TESSERA_WRITE_CORPUS=1 cargo test --test mutations seeds`.
#[test]
fn seeds() {
    if std::env::var_os("TESSERA_WRITE_CORPUS").is_none() {
        println!("skipped: TESSERA_WRITE_CORPUS is not set");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let put = |target: &str, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(root.join(target)).unwrap();
        std::fs::write(root.join(target).join(name), bytes).unwrap();
    };
    let folder = scratch();
    fixtures::full(folder.path());
    let files = |folder: &Path, names: &[&str]| {
        let read = |name: &&str| ((*name).to_owned(), std::fs::read(folder.join(name)).unwrap());
        bundle::pack(&names.iter().map(read).collect::<Vec<_>>())
    };
    let data = ["points.csv", "currents.txt", "neurons.csv", "spikes.txt", "edges.txt", "input.txt", "currents.npy"];
    let data: Vec<String> = data.iter().map(|name| format!("data/{name}")).collect();
    let names: Vec<&str> = std::iter::once("full.toml").chain(data.iter().map(String::as_str)).collect();
    put("config", "full", &files(folder.path(), &names));
    let short = "[run]\nduration = \"3 ms\"\n[population.a]\nneuron = \"lif_psc_exp\"\nn = 5\n[projection.p]\nsource = \"a\"\n\
                 target = \"a\"\nrule = \"bernoulli\"\np = 0.5\nweight = 1\ndelay = \"1 ms\"\n";
    put("config", "short", short.as_bytes());
    for name in &data {
        put("csv", &name.replace("data/", ""), &std::fs::read(folder.path().join(name)).unwrap());
    }
    for (name, archive) in archives::seeds() {
        put("csv", name, &archive);
    }
    put("csv", "spikes.csv", b"time_ms,population,id\n0.5,a,3\n0.5,b,0\n1.25,a,7\n");
    put("csv", "rates.csv", b"time_ms,a,b\n1,0.5,2\n2,0,1e3\n");
    let folder = scratch();
    sonata_rig::mixed(folder.path());
    let names = [
        "simulation_config.json",
        "circuit/circuit_config.json",
        "node_sets.json",
        "models/exp.json",
        "net_node_types.csv",
        "edge_types.csv",
        "net_nodes.h5",
        "ext_nodes.h5",
        "edges.h5",
        "spikes.h5",
    ];
    put("sonata_config", "mixed", &files(folder.path(), &names));
    let folder = scratch();
    sonata_rig::single(folder.path());
    let names = ["simulation_config.json", "node_types.csv", "edge_types.csv", "spikes.csv", "nodes.h5", "edges.h5"];
    put("sonata_config", "single", &files(folder.path(), &names));
    let folder = scratch();
    let path = fixtures::model(folder.path(), Compression::None);
    put("model", "parts", &Contents::read(&path).to_bundle());
    for (name, compression) in [("zstd", Compression::Zstd), ("plain", Compression::None)] {
        let path = fixtures::tiny(folder.path(), compression);
        put("model", name, &std::fs::read(path).unwrap());
    }
    let folder = scratch();
    let (_, path) = fixtures::checkpoint(folder.path());
    put("checkpoint", "parts", &Contents::read(&path).to_bundle());
    put("checkpoint", "whole", &std::fs::read(path).unwrap());
}
