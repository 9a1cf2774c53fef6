//! Model files on the command line: built, run, shown, converted, refused.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn tessera(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs and expects success; the standard output.
fn succeed(args: &[&str]) -> String {
    let output = tessera(args);
    assert!(output.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs and expects failure; the exit code and the standard error.
fn fail(args: &[&str]) -> (i32, String) {
    let output = tessera(args);
    assert!(!output.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn digest(json: &str) -> String {
    serde_json::from_str::<Value>(json).unwrap()["spike_digest"].as_str().unwrap().to_owned()
}

const CONFIG: &str = r#"
run = { duration = "150 ms", seed = 3, weight_bits = "32" }
[lattice]
shape = [4, 4, 2, 1]
[neuron.lif]
model = "lif_psc_exp"
[population]
exc = { neuron = "lif", area = "lattice", density = 3 }
inh = { neuron = "lif", n = 40, tau_m = { dist = "uniform", low = "8 ms", high = "12 ms" } }
[projection.recurrent]
populations = ["exc", "inh"]
rule = "bernoulli"
p = 0.2
weight = ["60 pA", "-200 pA"]
delay = "1.5 ms"
[stimulus.input]
kind = "poisson"
target = ["exc", "inh"]
rate = "3 kHz"
weight = "80 pA"
[record.spikes]
kind = "spikes"
[record.soma]
kind = "state"
populations = "inh"
variables = ["v_m"]
neurons = [0, 7]
interval = "1 ms"
"#;

struct Paths {
    folder: tempfile::TempDir,
}

impl Paths {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("net.toml"), CONFIG).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[test]
fn a_network_runs_from_its_file_as_from_its_configuration() {
    let paths = Paths::new();
    let (config, model) = (paths.path("net.toml"), paths.path("net.h5"));
    let built: Value = serde_json::from_str(&succeed(&["build", &config, "-o", &model, "--json", "-q"])).unwrap();
    let expected = digest(&succeed(&["run", &config, "--out", &paths.path("a"), "--json", "-q"]));
    assert_eq!(built["neurons"], 136);
    // The configuration is not needed any more.
    std::fs::remove_file(&config).unwrap();
    for (name, args) in [("b", vec!["--model", model.as_str()]), ("c", vec![model.as_str(), "--threads", "5"])] {
        let out = paths.path(name);
        let args = [&["run"], &args[..], &["--out", &out, "--json", "-q"]].concat();
        assert_eq!(digest(&succeed(&args)), expected);
        for file in ["spikes.h5", "soma_v_m.h5"] {
            let read = |folder: &str| std::fs::read(Path::new(&paths.path(folder)).join(file)).unwrap();
            assert!(read(name) == read("a"), "{file} of {name}");
        }
    }
    // More threads than the file is laid out for are told of; nobody gets them unasked.
    let one = paths.path("one.h5");
    std::fs::write(&config, CONFIG).unwrap();
    succeed(&["build", &config, "-o", &one, "-q", "--threads", "1"]);
    let told = tessera(&["run", &one, "--threads", "3", "--out", &paths.path("e"), "-q"]);
    assert!(told.status.success() && String::from_utf8_lossy(&told.stderr).contains("is laid out for 1 threads"));
    let alone: Value =
        serde_json::from_str(&succeed(&["run", &one, "--out", &paths.path("f"), "--json", "-q"])).unwrap();
    assert_eq!((alone["threads"].as_u64(), alone["spike_digest"].as_str()), (Some(1), Some(expected.as_str())));
    // Other lengths are another run of the same network; a longer one begins with the same spikes.
    let out = paths.path("d");
    succeed(&[
        "run",
        &model,
        "--set",
        "run.duration=200 ms",
        "--set",
        "record.soma.enabled=false",
        "--out",
        &out,
        "-q",
    ]);
    assert!(!Path::new(&out).join("soma_v_m.h5").exists());
    assert!(succeed(&["check", &model]).contains("neurons    136"));
}

#[test]
fn neurons_of_a_file_are_shown() {
    let paths = Paths::new();
    let (config, model) = (paths.path("net.toml"), paths.path("net.h5"));
    succeed(&["build", &config, "-o", &model, "-q"]);
    let whole = succeed(&["info", &model]);
    assert!(whole.contains("population exc") && whole.contains("96 neurons"), "{whole}");
    let lines = succeed(&["info", &model, "--neurons", "inh:0-2,7", "--json"]);
    let neurons: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(neurons.iter().map(|n| n["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 7]);
    assert!(neurons.iter().all(|n| (8.0..12.0).contains(&n["parameters"]["tau_m"].as_f64().unwrap())));
    assert!(neurons[0]["synapses"]["weight"].as_array().unwrap().iter().all(|w| w.as_f64() == Some(-200.0)));
    let cells = succeed(&["info", &model, "--cells", "0..1,0..2,0..1,0..1", "--json"]);
    assert_eq!(cells.lines().count(), 6);
    assert!(succeed(&["info", &model, "--neurons", "exc:5"]).contains("delay 1.5 ms"));
    assert!(succeed(&["info", &model, "--verify"]).contains("every array agrees"));
    let mut bytes = std::fs::read(&model).unwrap();
    let place = bytes.len() - 30_000;
    bytes[place] ^= 1;
    std::fs::write(&model, bytes).unwrap();
    assert!(fail(&["info", &model, "--verify"]).1.contains("the file is damaged"));
}

#[test]
fn neurons_are_found_by_the_ids_of_a_list() {
    let paths = Paths::new();
    let (edges, model) = (paths.path("edges.csv"), paths.path("net.h5"));
    std::fs::write(&edges, "pre,post,weight\n720575940624547622,12,2\n12,9,-1\n9,12,0.5\n").unwrap();
    succeed(&["convert", &edges, &model, "--weight", "100 pA", "--delay", "2 ms"]);
    let line = succeed(&["info", &model, "--ids", "neurons:720575940624547622", "--json"]);
    let neuron: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((neuron["index"].as_u64(), neuron["id"].as_u64()), (Some(2), Some(720_575_940_624_547_622)));
    assert_eq!(neuron["synapses"]["target"], serde_json::json!([1]));
    assert_eq!(neuron["synapses"]["weight"], serde_json::json!([200.0]));
    assert!(fail(&["info", &model, "--ids", "neurons:7"]).1.contains("no neuron with the id 7"));
}

#[test]
fn what_cannot_be_done_with_a_file_is_said() {
    let paths = Paths::new();
    let (config, model, archive) = (paths.path("net.toml"), paths.path("net.h5"), paths.path("small.h5"));
    succeed(&["build", &config, "-o", &model, "-q"]);
    let refused = |args: &[&str], message: &str| {
        let (code, stderr) = fail(args);
        assert!(stderr.contains(message), "{args:?}: {stderr}");
        code
    };
    assert_eq!(refused(&["build", &config, "-o", &model], "exists; choose another name"), 2);
    assert_eq!(refused(&["run", "--model", &model, "--set", "run.dt=0.2"], "run.dt: it is fixed in a model file"), 2);
    assert_eq!(refused(&["run", &model, "--set", "population.exc.n=3"], "`population` is fixed in a model file"), 2);
    refused(&["run", "--model", &config], "it is not a file of kind `tessera-model`");
    refused(&["run", "--model", &paths.path("none.h5")], "cannot open");
    refused(&["info", &model, "--neurons", "exd"], "did you mean `exc`");
    refused(&["info", &config, "--neurons", "exc"], "is not a model file");
    refused(&["info", &model, "--ids", "exc:7"], "have no ids but their index");
    refused(&["info", &model, "--ids", "exc:x"], "expected is NAME:ID,ID");
    refused(&["build", &model, "-o", &archive], "is a model file already");
    succeed(&["convert", &model, &archive, "--compress", "zstd"]);
    refused(&["run", &archive, "--out", &paths.path("x")], "it is compressed and cannot be mapped");
    let back = paths.path("back.h5");
    succeed(&["convert", &archive, &back]);
    let of = |file: &str, out: &str| digest(&succeed(&["run", file, "--out", &paths.path(out), "--json", "-q"]));
    assert_eq!(of(&back, "y"), of(&model, "z"));
}
