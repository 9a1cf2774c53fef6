//! `tessera convert` between the forms of a network: nothing is lost on the way, and nothing is overwritten.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tessera::interop::edge_list;
use tessera::storage::MappedModel;

const NETWORK: &str = r#"
[run]
duration = "50 ms"
seed = 3
[neuron.cell]
model = "lif_psc_exp"
i_e = "400 pA"
[population.a]
neuron = "cell"
n = 40
[population.b]
neuron = "lif_psc_alpha"
n = 10
[projection.ab]
source = "a"
target = ["a", "b"]
rule = "fixed_indegree"
n = 5
weight = { dist = "normal", mean = "60 pA", sd = "10 pA" }
delay = { dist = "uniform", low = "0.5 ms", high = "3 ms" }
"#;

fn convert(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera")).arg("convert").args(arguments).current_dir(folder).output().unwrap()
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The exit code 2 of a wrong description, and what was said.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_configuration_and_its_model_file_make_the_same_folder_and_list() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("net.toml"), NETWORK).unwrap();
    done(&convert(folder.path(), &["net.toml", "model.h5"]));
    for (from, folder_name, list) in [("net.toml", "one", "one.csv"), ("model.h5", "two", "two.npy")] {
        done(&convert(folder.path(), &[from, folder_name]));
        done(&convert(folder.path(), &[from, list]));
    }
    assert!(files(&at("one")).len() > 8 && files(&at("one")) == files(&at("two")));
    let lists = ["one.csv", "two.npy"].map(|name| {
        let edges = edge_list::read(at(name)).unwrap();
        edges.iter().map(|e| (e.source, e.target, e.weight, e.delay)).collect::<Vec<_>>()
    });
    assert_eq!(lists[0].len(), 250);
    assert!(lists[0] == lists[1]);

    // A SONATA folder becomes a model file too, with the same synapses.
    done(&convert(folder.path(), &["one/simulation_config.json", "three.h5"]));
    done(&convert(folder.path(), &["two", "four.h5"]));
    for name in ["three.h5", "four.h5"] {
        let mapped = MappedModel::open(at(name)).unwrap();
        assert_eq!(mapped.populations().collect::<Vec<_>>(), [("a", 40), ("b", 10)]);
        assert_eq!((mapped.synapses(), mapped.options().dt), (250, 0.1));
    }
}

#[test]
fn a_list_of_synapses_becomes_a_model_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("edges.csv"), "pre,post,weight\n7,900,1\n900,7,2\n12,7,-1\n").unwrap();
    let options = ["--weight", "50 pA", "--delay", "1.5", "--dt", "0.5 ms", "--set", "neuron.cell.tau_m=\"20 ms\""];
    done(&convert(folder.path(), &[["edges.csv", "model.h5"].as_slice(), &options].concat()));
    let mapped = MappedModel::open(at("model.h5")).unwrap();
    assert_eq!((mapped.synapses(), mapped.options().dt), (3, 0.5));
    assert_eq!(mapped.ids().unwrap()[0].as_deref(), Some([7, 12, 900].as_slice()));
    let model = mapped.model().unwrap();
    let (_, neurons) = model.population("neurons").unwrap();
    let tau_m = neurons.model().parameters().iter().position(|p| p.name == "tau_m").unwrap();
    assert_eq!(neurons.params().uniform(tau_m), Some(20.0));
    done(&convert(folder.path(), &["model.h5", "again.csv"]));
    let again: Vec<_> = edge_list::read(at("again.csv"))
        .unwrap()
        .iter()
        .map(|e| (e.source, e.target, e.weight.unwrap(), e.delay.unwrap()))
        .collect();
    assert_eq!(again, [(0, 2, 50.0, 1.5), (1, 0, -50.0, 1.5), (2, 0, 100.0, 1.5)]);
    // Neurons by number, also those without synapses.
    std::fs::write(at("few.txt"), "0 3 2.5 1\n").unwrap();
    done(&convert(folder.path(), &["few.txt", "few.h5", "--neurons", "10", "--neuron", "lif_psc_delta"]));
    let mapped = MappedModel::open(at("few.h5")).unwrap();
    assert_eq!(mapped.populations().collect::<Vec<_>>(), [("neurons", 10)]);
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["again.csv", "edges.csv", "few.h5", "few.txt", "model.h5"], "nothing else is left behind");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let noisy = "[stimulus.noise]\nkind = \"poisson\"\ntarget = \"a\"\nrate = \"1 kHz\"\nweight = \"10 pA\"\n";
    std::fs::write(at("net.toml"), format!("{NETWORK}{noisy}")).unwrap();
    let message = refused(&convert(folder.path(), &["net.toml", "out"]));
    assert!(message.contains("stimulus.noise") && message.contains("--drop-stimuli"), "{message}");
    assert!(!at("out").exists());
    done(&convert(folder.path(), &["net.toml", "out", "--drop-stimuli"]));
    let message = refused(&convert(folder.path(), &["net.toml", "out", "--drop-stimuli"]));
    assert!(message.contains("--overwrite"), "{message}");
    let before = files(&at("out"));
    done(&convert(folder.path(), &["net.toml", "out", "--drop-stimuli", "--overwrite"]));
    assert!(files(&at("out")) == before);
    std::fs::create_dir(at("mine")).unwrap();
    std::fs::write(at("mine/thesis.tex"), "x").unwrap();
    refused(&convert(folder.path(), &["net.toml", "mine", "--drop-stimuli", "--overwrite"]));
    for to in ["net.docx", "other.toml"] {
        refused(&convert(folder.path(), &["net.toml", to]));
    }
    std::fs::write(at("wrong.csv"), "0,1,x\n0,1,2\n").unwrap();
    let message = refused(&convert(folder.path(), &["wrong.csv", "model.h5", "--delay", "1"]));
    assert!(message.contains("wrong.csv"), "{message}");
    assert!(!at("model.h5").exists());
}
