//! Every key of the file: what it becomes, and that the schema and the reference name it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tessera::config::{CheckpointSpec, OutputSpec, RecordKind, RunSpec, SpikesFormat, reference, schema};
use tessera::engine::{CutOptions, CutStrategy, Inactive, Precision};
use tessera::error::Fault;
use tessera::model::{
    ConnectionRule, DelaySpec, Distribution, KernelShape, Placement, ProjectionSpec, Selection, StimulusKind,
    StimulusSpec,
};
use tessera::synapse::WeightBits;

const FULL: &str = include_str!("config/full.toml");

/// The file in a folder with the data files it refers to.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let write = |name: &str, text: &str| std::fs::write(data.join(name), text).unwrap();
    write("points.csv", "x,y,z,w\n5,10,15,20\n25,30,15,20\n45,50,15,60\n");
    write("currents.txt", "# neuron current\n0 10\n1 20\n2 30\n");
    write("neurons.csv", "name,id,class\n\"a, first\",700,KC\nb,20,LN\nc,31,PN\n");
    write("spikes.txt", "1.5 2\n0.5 0\n");
    write("edges.txt", "700 20 3\n31 700 1\n20 20 2\n");
    write("input.txt", "5 31\n2 700\n");
    write_npy(&data.join("currents.npy"), &[4, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
    std::fs::write(dir.path().join("full.toml"), FULL).unwrap();
    dir
}

fn write_npy(path: &Path, shape: &[u64], values: &[f32]) {
    use npyz::WriterBuilder;
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn load(dir: &tempfile::TempDir) -> RunSpec {
    let check = RunSpec::check(dir.path().join("full.toml"), &[]);
    let list: Vec<String> = check.faults.iter().chain(&check.warnings).map(Fault::to_string).collect();
    assert_eq!(list, Vec::<String>::new());
    check.spec.unwrap()
}

#[test]
fn run_lattice_and_output() {
    let spec = load(&folder());
    assert_eq!((spec.run.duration_ms, spec.run.dt_ms, spec.run.seed, spec.run.threads), (500.0, 0.1, 9, Some(3)));
    assert_eq!((spec.run.precision, spec.run.weight_bits), (Precision::F64, WeightBits::W32));
    assert_eq!(spec.run.isa.as_deref(), Some("portable"));
    let cut = CutOptions { strategy: Some(CutStrategy::Random), shards: Some(5), rebalance: Some(0.25) };
    assert_eq!(spec.run.cut, cut);
    assert_eq!(
        spec.output,
        OutputSpec { dir: "somewhere/else".into(), spikes_format: SpikesFormat::Csv, pictures: true, overwrite: false }
    );
    let every_wall = Some(Duration::from_secs(10));
    let checkpoint = CheckpointSpec { every: Some(500), every_wall, keep: 5, on_signal: false };
    assert_eq!(spec.checkpoint, Some(checkpoint));
    assert_eq!(spec.inactive, Some(Inactive { after: 25.0, synapses: false, tolerance: Some(1e-6) }));
    let lattice = spec.network.lattice.as_ref().unwrap();
    assert_eq!((lattice.shape, lattice.spacing), ([8, 6, 4, 2], [10.0, 20.0, 30.0, 40.0]));
    assert_eq!(lattice.periodic, [true, false, false, true]);
    let corner = spec.network.areas[0].region;
    assert_eq!((corner.lo, corner.hi), ([0, 0, 1, 0], [2, 3, 2, 1]));
}

#[test]
fn populations() {
    let spec = load(&folder());
    let [placed, boxed, pointed, named, given] = &spec.network.populations[..] else { panic!("five populations") };
    let Placement::Region { region, density } = placed.placement else { panic!("a region") };
    assert_eq!((region.cells(), density), (8 * 6 * 4 * 2, 2.0));
    assert_eq!(placed.params, [("c_m".to_owned(), Distribution::Lognormal { mean: 250.0, sd: 25.0 })]);
    let tau_m = placed.model.parameters().iter().position(|p| p.name == "tau_m").unwrap();
    assert_eq!(placed.model.values()[tau_m], 20.0);
    assert!(placed.model.variables().iter().any(|v| v.name == "i_syn_ex"), "the option asks for two currents");
    let Placement::Region { region, density } = boxed.placement else { panic!("a region") };
    assert_eq!((region.lo, region.hi, density), ([0, 0, 0, 1], [4, 6, 4, 2], 0.5));

    let Placement::Positions(points) = &pointed.placement else { panic!("positions") };
    assert_eq!(points[2], [45.0, 50.0, 15.0, 60.0]);
    let c_m = pointed.model.parameters().iter().position(|p| p.name == "c_m").unwrap();
    assert_eq!(pointed.model.values()[c_m], 200.0, "the population's value goes before that of the neuron table");
    assert_eq!(pointed.params, [("i_e".to_owned(), Distribution::Values([10.0, 20.0, 30.0].into()))]);
    let drawn = Distribution::Normal { mean: -65.0, sd: 1.0, low: -70.0, high: -60.0 };
    assert_eq!(pointed.initial, [("v_m".to_owned(), drawn)]);

    assert_eq!(named.placement, Placement::Count(3));
    assert_eq!(spec.ids[3].as_deref(), Some(&[700, 20, 31][..]));
    assert!(given.model.is_source());
}

#[test]
fn projections() {
    let spec = load(&folder());
    let find = |name: &str| -> &ProjectionSpec {
        spec.network.projections.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no `{name}`"))
    };
    assert_eq!(find("every.given.named").rule, ConnectionRule::AllToAll);
    assert_eq!(find("every.given.placed").receptor.as_deref(), Some("excitatory"));
    let pairwise = find("pairwise");
    assert_eq!((&pairwise.rule, &pairwise.weight), (&ConnectionRule::OneToOne, &Distribution::Constant(1000.0)));
    let delay = Distribution::Normal { mean: 1.5, sd: 0.75, low: 0.05, high: f64::INFINITY };
    assert_eq!(pairwise.delay, DelaySpec::Drawn(delay));
    let by_target = find("by_target");
    assert_eq!((&by_target.rule, by_target.multapses), (&ConnectionRule::FixedIndegree { n: 2 }, false));
    assert_eq!(by_target.weight, Distribution::Normal { mean: 20.0, sd: 2.0, low: 0.0, high: 40.0 });
    let by_source = find("by_source");
    assert_eq!((&by_source.rule, by_source.autapses), (&ConnectionRule::FixedOutdegree { n: 3 }, false));
    assert_eq!(by_source.delay, DelaySpec::Drawn(Distribution::Uniform { low: 0.5, high: 2.0 }));
    assert!(!spec.network.projections.iter().any(|p| p.name.starts_with("matrix")), "switched off");

    // Rows are targets: from `pointed` to `boxed` stands in row 2, column 1; from `boxed` to `boxed` p is 0.
    assert_eq!(find("blocks.pointed.boxed").rule, ConnectionRule::Bernoulli { p: 0.3 });
    assert!(!spec.network.projections.iter().any(|p| p.name == "blocks.boxed.boxed"));
    let exception = find("blocks.boxed.pointed");
    assert_eq!(exception.rule, ConnectionRule::Bernoulli { p: 0.25 });
    assert_eq!(exception.weight, Distribution::Constant(-40.0));
    assert_eq!(exception.delay, DelaySpec::Drawn(Distribution::Constant(5.0)));
    assert_eq!(exception.receptor.as_deref(), Some("inhibitory"));
    assert_eq!(find("totals.pointed.pointed").rule, ConnectionRule::FixedTotal { n: 10 });
    assert_eq!(find("totals.boxed.pointed").rule, ConnectionRule::FixedTotal { n: 30 });

    let ConnectionRule::Distance(rule) = &find("near").rule else { panic!("a distance rule") };
    assert_eq!((rule.kernel.shape, rule.kernel.extent), (KernelShape::Exponential, 20.0));
    assert_eq!((rule.p_max, rule.cutoff, rule.scale, rule.hop_w), (0.5, 50.0, [1.0, 1.0, 2.0, 4.0], 0.5));
    assert_eq!(find("near").delay, DelaySpec::Distance { velocity: 300.0, offset: 0.5 });

    let ConnectionRule::Edges(edges) = &find("wired").rule else { panic!("edges") };
    let list: Vec<(u32, u32, f32)> = edges.iter().map(|e| (e.source, e.target, e.weight)).collect();
    assert_eq!(list, [(0, 1, 1.5), (2, 0, 0.5), (1, 1, 1.0)]);
    assert!(edges[0].delay.is_nan());
}

#[test]
fn the_matrix_that_was_switched_off_reads_when_on() {
    let dir = folder();
    let spec = RunSpec::load(dir.path().join("full.toml"), &["projection.matrix.enabled=true".to_owned()]).unwrap();
    let found: Vec<(&str, &ConnectionRule, &DelaySpec)> = spec
        .network
        .projections
        .iter()
        .filter(|p| p.name.starts_with("matrix"))
        .map(|p| (p.name.as_str(), &p.rule, &p.delay))
        .collect();
    let after = |ms: f64| DelaySpec::Drawn(Distribution::Constant(ms));
    assert_eq!(
        found,
        [
            ("matrix.pointed.pointed", &ConnectionRule::FixedTotal { n: 4 }, &after(1.0)),
            ("matrix.pointed.named", &ConnectionRule::FixedTotal { n: 6 }, &after(3.0)),
            ("matrix.named.named", &ConnectionRule::FixedTotal { n: 7 }, &after(4.0)),
        ]
    );
}

#[test]
fn stimuli() {
    let spec = load(&folder());
    let find = |name: &str| -> &StimulusSpec { spec.network.stimuli.iter().find(|s| s.name == name).unwrap() };
    let indices = |stimulus: &StimulusSpec| match &stimulus.targets[0].neurons {
        Selection::All => Vec::new(),
        Selection::Indices(indices) => indices.to_vec(),
    };
    let poisson = find("poisson");
    assert_eq!((poisson.targets[0].level, poisson.targets[1].level), (1000.0, 500.0));
    assert_eq!((poisson.start, poisson.stop), (10.0, 90.0));
    let StimulusKind::Poisson { weight, receptor } = &poisson.kind else { panic!("Poisson") };
    assert_eq!((*weight, receptor.as_deref()), (20.0, Some("excitatory")));
    let dc = find("dc");
    assert_eq!((dc.targets[0].level, indices(dc).len(), dc.stop), (1000.0, 2 * 2 * 3, f64::INFINITY));
    let StimulusKind::Ac { frequency, phase, offset } = find("ac").kind else { panic!("ac") };
    assert_eq!((frequency, phase, offset, indices(find("ac"))), (8.0, 90.0, 5.0, vec![0, 2]));
    let StimulusKind::Steps { times, amplitudes } = &find("steps").kind else { panic!("steps") };
    assert_eq!((&times[..], &amplitudes[..]), (&[1.0, 5.0][..], &[100.0, 200.0][..]));
    assert_eq!((find("steps").targets[0].level, indices(find("steps"))), (2.0, vec![0]));
    let StimulusKind::Noise { sd, interval } = find("noise").kind else { panic!("noise") };
    assert_eq!((sd, interval, indices(find("noise"))), (2.0, 1.0, vec![0, 2]));
    let StimulusKind::OrnsteinUhlenbeck { sd, tau } = find("ou").kind else { panic!("ou") };
    assert_eq!((sd, tau, &find("ou").targets[0].neurons), (3.0, 5.0, &Selection::All));
    let spikes = find("spikes");
    let StimulusKind::Spikes { events, weight, .. } = &spikes.kind else { panic!("spikes") };
    // Neurons 700 and 31 are chosen: places 0 and 1 of the selection.
    assert_eq!((&events[..], *weight, indices(spikes)), (&[(2.0, 0), (5.0, 1)][..], 1.0, vec![0, 2]));
    let StimulusKind::Matrix { values, columns, interval } = &find("matrix").kind else { panic!("matrix") };
    assert_eq!((values.len(), values[3], *columns, *interval), (12, 4.0, 3, 2.0));
    assert_eq!(find("matrix").targets[0].level, 0.5);
    assert!(!spec.network.stimuli.iter().any(|s| s.name == "off"));
}

#[test]
fn records() {
    let spec = load(&folder());
    let names: Vec<&str> = spec.records.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["spikes", "state", "rates"]);
    let populations = vec!["pointed".to_owned(), "named".to_owned()];
    assert_eq!(spec.records[0].kind, RecordKind::Spikes { populations, format: SpikesFormat::Npy });
    let RecordKind::State(states) = &spec.records[1].kind else { panic!("state") };
    assert_eq!((states[0].name.as_str(), states[0].population, states[0].every), ("state.pointed", 2, 5));
    assert_eq!((states[1].name.as_str(), states[1].population), ("state.placed", 0));
    assert_eq!((states[0].start, states[0].stop), (10.0, 20.0));
    assert_eq!(states[0].neurons, Selection::Indices([0, 2].into()));
    assert_eq!(spec.records[2].kind, RecordKind::Rates { populations: vec!["named".to_owned()], bin_ms: 5.0 });
}

/// All `properties` anywhere in a schema, except those of single neuron models.
fn keys_of(schema: &serde_json::Value, out: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            out.insert(name.clone());
            keys_of(inner, out);
        }
    }
    for inner in schema["anyOf"].as_array().into_iter().flatten() {
        keys_of(inner, out);
    }
    for name in ["items", "additionalProperties"] {
        if schema[name].is_object() {
            keys_of(&schema[name], out);
        }
    }
}

#[test]
fn the_full_file_uses_every_key_of_the_schema() {
    let schema = schema();
    let mut keys = BTreeSet::new();
    for (name, table) in schema["properties"].as_object().unwrap() {
        // Models have keys of their own; those of the population table are told apart by their missing description.
        if name == "population" {
            let properties = table["additionalProperties"]["properties"].as_object().unwrap();
            keys.extend(properties.iter().filter(|(_, p)| !p["description"].is_null()).map(|(k, _)| k.clone()));
        } else if name != "neuron" {
            keys_of(table, &mut keys);
        }
        keys.insert(name.clone());
    }
    keys_of(&schema["$defs"]["distribution"], &mut keys);
    assert!(keys.len() > 70, "{keys:?}");
    let words: BTreeSet<&str> = FULL.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let unused: Vec<&String> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_model_is_in_the_schema_and_no_parameter_hides_a_key() {
    let schema = schema();
    let variants = schema["properties"]["neuron"]["additionalProperties"]["oneOf"].as_array().unwrap();
    for info in tessera::neuron::registry() {
        let variant = variants.iter().find(|v| v["properties"]["model"]["const"] == info.name).unwrap();
        for parameter in info.parameters {
            assert_eq!(variant["properties"][parameter.name]["default"], parameter.default);
            for key in ["neuron", "n", "area", "region", "density", "coordinates", "ids", "initial", "file", "model"] {
                assert_ne!(parameter.name, key, "{}", info.name);
            }
        }
    }
}

#[test]
fn the_documentation_has_the_whole_reference() {
    const BEGIN: &str = "<!-- reference: written by the program -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find(BEGIN).expect("the mark before the reference") + BEGIN.len();
    let expected = format!("\n{}", reference());
    if text[at..] != expected && std::env::var_os("TESSERA_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{}{expected}", &text[..at])).unwrap();
        return;
    }
    assert!(
        text[at..] == expected,
        "docs/config.md is not what the program knows; write it anew with TESSERA_WRITE_DOCS=1 cargo test --test config_keys"
    );
}
