//! Files made to do harm rather than damaged by chance.

use super::containers::Contents;
use super::guard::Cases;
use super::readers::{self, Outcome};
use super::sonata_rig;
use rust_hdf5::{H5File, H5Group};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tessera::config::RunSpec;

/// Model files whose checksums are right and whose contents are not; what each must be told for.
pub fn models(cases: &mut Cases, good: &Contents, path: &Path, scratch: &Path) {
    type Lie = Box<dyn Fn(&mut Contents)>;
    let at = |pointer: &'static str, value: Value| -> Lie {
        Box::new(move |c: &mut Contents| *c.description().pointer_mut(pointer).unwrap() = value.clone())
    };
    let words = |array: &'static str, place: usize, word: u64| -> Lie {
        Box::new(move |c: &mut Contents| {
            let mut words = c.words(array);
            let place = if place == usize::MAX { words.len() - 1 } else { place };
            words[place] = word;
            c.put_words(array, &words);
        })
    };
    let sized = |population: usize, size: u32| -> Lie {
        Box::new(move |c: &mut Contents| {
            let d = c.description();
            d["populations"][population]["size"] = size.into();
            let of = |p: &Value| p["size"].as_u64().unwrap();
            d["neurons"] = d["populations"].as_array().unwrap().iter().map(of).sum::<u64>().into();
        })
    };
    let store = good.arrays.keys().find(|n| n.ends_with("/rows")).unwrap();
    let rows: &'static str = store.clone().leak();
    let records: &'static str = store.replace("/rows", "/records").leak();
    let store_of = |c: &mut Contents| c.description()["connectivity"]["stores"][0][0].clone();
    let lies: Vec<(&str, Lie, &str)> = vec![
        ("size of a population with state", sized(1, 4_000_000_000), "/populations/delta"),
        ("size of a population of given spikes", sized(2, 4_000_000_000), "/rows"),
        ("size of a population of parrots", sized(3, 1_000_000_000), "/"),
        ("no shards", at("/connectivity/shards", json!(0)), "/header"),
        ("many shards", at("/connectivity/shards", json!(4_000_000_000_u64)), "/header"),
        ("most shards", at("/connectivity/shards", json!(u64::MAX)), "/header"),
        ("parts overlap", at("/connectivity/parts/1", json!([[0, 0, 40], [0, 0, 40]])), "/header"),
        ("parts pass the end", at("/connectivity/parts/1", json!([[0, 0, 4_294_967_295_u32]])), "/header"),
        ("parts of no shard", at("/connectivity/parts/1", json!([[9, 0, 40]])), "/header"),
        ("no parts", at("/connectivity/parts", json!([])), "/header"),
        ("long delays", at("/connectivity/delays", json!([1, 16_777_216])), "1048575 steps"),
        ("longest delays", at("/connectivity/delays", json!([4_294_967_295_u32])), "/header"),
        ("delays of nothing", at("/connectivity/delays", json!([0, 1])), "/header"),
        ("no delays", at("/connectivity/delays", json!([])), "/header"),
        (
            "one store many times",
            Box::new(move |c: &mut Contents| {
                let one = store_of(c);
                c.description()["connectivity"]["stores"][0] = Value::Array(vec![one; 5000]);
            }),
            "/header",
        ),
        ("unknown records", at("/connectivity/stores/0/0/format", json!("../rows")), "/synapses/shard_0"),
        ("no grid", at("/connectivity/grids/0", json!([])), "/header"),
        ("endless weights", at("/connectivity/grids/0/0", json!({"unit": 1e308, "bits": 16, "error": 0.0})), ""),
        ("name with a slash", at("/populations/1/name", json!("a/b")), "/"),
        ("name of nothing", at("/populations/1/name", json!("")), "/"),
        ("name of another", at("/populations/1/name", json!("cells")), "/"),
        ("unknown model", at("/populations/1/model", json!("lif_psc_detla")), "/populations/delta"),
        ("parameter of nothing", at("/populations/1/parameters/0/1", Value::Null), "/header"),
        ("parameter too large", at("/populations/1/parameters/0/1", json!(-1e308)), "/populations/delta"),
        ("unknown column", at("/populations/0/per_neuron", json!(["v_tth"])), "/populations/cells"),
        ("unknown state", at("/populations/1/state", json!(["v_mm"])), "/populations/delta"),
        ("no receptors", at("/populations/1/receptors", json!([])), ""),
        ("receptors of another", at("/populations/1/receptors/0/name", json!("x")), "/populations/delta"),
        ("stimulus of nobody", at("/stimuli/0/targets", json!([])), "/header"),
        ("stimulus of a stranger", at("/stimuli/0/targets/0/0", json!("nobody")), "/stimuli"),
        ("matrix of no columns", at("/stimuli/5/kind", json!({"matrix": {"columns": 0, "interval": 2.0}})), "/"),
        ("matrix of no time", at("/stimuli/5/kind", json!({"matrix": {"columns": 40, "interval": 1e-300}})), ""),
        ("steps of nothing", at("/stimuli/4/kind", json!({"steps": {"times": [1.0], "amplitudes": []}})), "/header"),
        ("endless rain", at("/stimuli/1/targets/0/2", json!(1e308)), "stimulus.rain.rate"),
        ("noise of no time", at("/stimuli/2/kind", json!({"ornstein_uhlenbeck": {"sd": 1.0, "tau": 0.0}})), "/header"),
        ("lattice of nothing", at("/lattice/shape", json!([0, 1, 1, 1])), "/"),
        ("lattice of everything", at("/lattice/shape", json!([65_536, 65_536, 65_536, 65_536])), ""),
        (
            "ids of others",
            Box::new(|c: &mut Contents| c.put_words("populations/named/id", &[1, 2, 3, 4, 9])),
            "/populations/named/id",
        ),
        ("lattice beyond", at("/lattice/shape", json!([4_294_967_295_u32, 4_294_967_295_u32, 2, 2])), "/header"),
        ("lattice without space", at("/lattice/spacing_um", json!([0.0, -1.0, 1e308, 1.0])), "/header"),
        ("time stands still", at("/dt_ms", json!(0.0)), "/header"),
        ("time in no steps", at("/dt_ms", json!(1e-308)), "/"),
        ("time flies", at("/dt_ms", json!(1e308)), "stimulus.rain.rate"),
        ("not a network", at("", json!([1, 2])), "/header"),
        ("config of another kind", at("/config", json!([[[]]])), ""),
        ("run of another kind", at("/config", json!({"run": 3})), "/header"),
        (
            "config with a hole",
            at("/config", json!({"run": {"duration": -1}, "record": {"x": {"kind": 7}}})),
            "small.h5",
        ),
        ("rows beyond the records", words(rows, 5, u64::MAX), "/header"),
        ("rows that go back", words(rows, usize::MAX, 0), "/header"),
        ("rows with many segments", words(rows, 0, 0xffff_ffff_0000_0000), "/header"),
        ("heads with many records", words(records, 0, u64::MAX), "/records: the file is damaged"),
        ("heads of no delay", words(records, 0, 0x0001_ffff_0001_ffff), "/records: the file is damaged"),
    ];
    for (label, lie, part) in lies {
        let mut contents = good.clone();
        lie(&mut contents);
        contents.write(path);
        let label = format!("model: {label}");
        let said = cases.case(&label, path.parent().unwrap(), || readers::model(path, scratch));
        if !part.is_empty() {
            cases.expect(&label, &said, part);
        }
    }
    for (label, file) in strange_hdf5(path.parent().unwrap(), "tessera-model") {
        let said = cases.case(&label, path.parent().unwrap(), || readers::model(&file, scratch));
        cases.expect(&label, &said, "");
    }
}

/// Checkpoints whose checksums are right and whose contents are not.
pub fn checkpoints(cases: &mut Cases, good: &Contents, path: &Path, spec: &RunSpec, results: &Path) {
    let most = u64::MAX;
    let lies: Vec<(&str, Value)> = vec![
        ("/step", json!(most)),
        ("/step", json!(1u64 << 62)),
        ("/dt_bits", json!("7ff8000000000000")),
        ("/dt_bits", json!("+1")),
        ("/counters/population_spikes", json!([most, most, most, most])),
        ("/counters/synaptic_events", json!(most)),
        ("/counters/row_overflows", json!(most)),
        ("/counters/sim_s", json!(1e308)),
        ("/counters/phases_s", json!({"update": -1e308, "x": 1e308})),
        ("/counters/population_spikes", json!([])),
        ("/populations", json!([])),
        ("/populations/0/name", json!("x")),
        ("/populations/0/variables", json!(["v_m"])),
        ("/processes", json!([])),
        ("/recorders", json!([])),
        ("/recorders/0", json!({"recorder": "SonataSpikes", "at": {"cells": most}})),
        ("/recorders/1/at/bytes", json!(most)),
        ("/recorders/1/at/bytes", json!(0)),
        ("/recorders/1/at/bytes", json!(1)),
        ("/recorders/2/at/cells", json!(most)),
        ("/recorders/2/at/cells", json!(1u64 << 61)),
        ("/recorders/2/at/cells", json!(0)),
        ("/run/config", json!({"model": "/dev/null"})),
        ("/run/config", json!({"sonata": {"config": "x.json"}})),
        ("/run/config", Value::Null),
        ("/run/file", json!("/")),
        ("/run/resumed_ms", json!([1e308, -1e308])),
        ("/run/cost/bytes", json!(most)),
    ];
    let kept = std::fs::read(path).unwrap();
    for (number, (pointer, value)) in lies.into_iter().enumerate() {
        let mut contents = good.clone();
        let label = format!("checkpoint: {number} {pointer} = {value}");
        match contents.description().pointer_mut(pointer) {
            Some(place) => *place = value,
            None => cases.fail(&label, "there is no such value"),
        }
        contents.write(path);
        cases.case(&label, results, || readers::checkpoint(path, spec, results));
    }
    let mut contents = good.clone();
    contents.put_words("in_flight/steps", &[9, 8, 7, 99, 99]);
    contents.put("in_flight/neurons", "u4", [5u32, 4, 3, 2, 2].iter().flat_map(|n| n.to_le_bytes()).collect());
    contents.write(path);
    cases.case("checkpoint: spikes in no order", results, || readers::checkpoint(path, spec, results));
    for (label, file) in strange_hdf5(results, "tessera-checkpoint") {
        let said = cases.case(&label, results, || readers::checkpoint(&file, spec, results));
        cases.expect(&label, &said, "");
    }
    std::fs::write(path, kept).unwrap();
}

/// A data set of many chunks of which none is there.
fn hollow(group: &H5Group, name: &str, shape: &[usize], chunk: &[usize]) {
    group.new_dataset::<u64>().shape(shape).chunk(chunk).resizable().create(name).unwrap();
}

/// Files of HDF5 that claim much and hold little. What readers look for stands in them in the wrong form.
fn strange_hdf5(folder: &Path, format: &str) -> Vec<(String, PathBuf)> {
    type Fill = fn(&H5File) -> rust_hdf5::Result<()>;
    let fills: [(&str, Fill); 9] = [
        ("a header of chunks that are not there", |file| {
            file.new_dataset::<u8>().shape([1usize << 40]).chunk(&[1 << 20]).resizable().create("header").map(drop)
        }),
        ("a header in one endless chunk", |file| {
            file.new_dataset::<u8>().shape([1usize << 40]).chunk(&[1 << 31]).resizable().create("header").map(drop)
        }),
        ("a short header in a large chunk", |file| {
            file.new_dataset::<u8>().shape([64usize]).chunk(&[1 << 30]).resizable().create("header").map(drop)
        }),
        ("a compressed header that is not there", |file| {
            file.new_dataset::<u8>()
                .shape([1usize << 32])
                .chunk(&[1 << 28])
                .resizable()
                .deflate(4)
                .create("header")
                .map(drop)
        }),
        ("a header in another file", |file| {
            file.new_dataset::<u8>().shape([4096usize]).external(&[("/dev/zero", 0, 4096)]).create("header").map(drop)
        }),
        ("a header without end", |file| file.new_dataset::<u8>().shape([1usize << 45]).create("header").map(drop)),
        ("a header of words", |file| file.root_group().write_vlen_strings("header", &["{}", "x"]).map(drop)),
        ("a header of numbers", |file| {
            file.new_dataset::<f64>().shape([2usize, 2]).create("header")?.write_raw(&[1.0, 2.0, 3.0, 4.0])
        }),
        ("a header that is a group", |file| file.create_group("header").map(drop)),
    ];
    let mut files = Vec::new();
    for (number, (label, fill)) in fills.into_iter().enumerate() {
        let path = folder.join(format!("strange{number}.h5"));
        let file = H5File::create(&path).unwrap();
        file.set_attr_string("format", format).unwrap();
        file.set_attr_string("header_xxh3", "0000000000000000").unwrap();
        // What the library does not write needs no reader to survive it.
        if fill(&file).is_ok() && file.close().is_ok() {
            files.push((format!("{format}: {label}"), path));
        }
    }
    files
}

/// Results that claim much.
pub fn results(cases: &mut Cases, folder: &Path) {
    let path = folder.join("claims.h5");
    let spikes = |fill: &dyn Fn(&H5Group)| {
        let file = H5File::create(&path).unwrap();
        fill(&file.create_group("spikes").unwrap().create_group("p").unwrap());
        file.close().unwrap();
    };
    let short = |g: &H5Group, name: &str| sonata_rig::put(g, name, &[1u64, 2]);
    type Fill<'a> = Box<dyn Fn(&H5Group) + 'a>;
    let fills: Vec<(&str, Fill<'_>)> = vec![
        ("hollow times", Box::new(|g| (hollow(g, "timestamps", &[1 << 40], &[1 << 16]), short(g, "node_ids")).0)),
        ("one large chunk", Box::new(|g| (hollow(g, "timestamps", &[2], &[1 << 28]), short(g, "node_ids")).0)),
        ("a square", Box::new(|g| (hollow(g, "timestamps", &[1 << 30, 1 << 30], &[4, 4]), short(g, "node_ids")).0)),
        (
            "words",
            Box::new(|g| (drop(g.write_vlen_strings("timestamps", &["1", "2"]).unwrap()), short(g, "node_ids")).0),
        ),
        ("no times", Box::new(|g| short(g, "node_ids"))),
        ("nothing", Box::new(|_| {})),
        (
            "times that are none",
            Box::new(|g| (sonata_rig::put(g, "timestamps", &[f64::NAN, f64::INFINITY]), short(g, "node_ids")).0),
        ),
        (
            "times elsewhere",
            Box::new(|g| {
                let data = g.new_dataset::<f64>().shape([2usize]).external(&[("/dev/zero", 0, 16)]);
                let _ = data.create("timestamps");
                short(g, "node_ids");
            }),
        ),
    ];
    for (label, fill) in fills {
        spikes(&fill);
        let label = format!("spikes: {label}");
        let said = cases.case(&label, folder, || readers::spikes(&path));
        if !label.ends_with("nothing") {
            cases.expect(&label, &said, "claims.h5");
        }
    }
    let report = |rows: usize, columns: usize, pointers: &[u64], time: &[f64]| {
        let file = H5File::create(&path).unwrap();
        let population = file.create_group("report").unwrap().create_group("p").unwrap();
        let chunk = [16, columns.clamp(1, 16)];
        population.new_dataset::<f32>().shape([rows, columns]).chunk(&chunk).resizable().create("data").unwrap();
        let mapping = population.create_group("mapping").unwrap();
        sonata_rig::put(&mapping, "node_ids", &vec![3u64; pointers.len() - 1]);
        sonata_rig::put(&mapping, "index_pointers", pointers);
        sonata_rig::put(&mapping, "time", time);
        file.close().unwrap();
    };
    for (label, rows, columns, pointers, time) in [
        ("no columns, many rows", 1 << 40, 0, vec![0, 0], vec![0.0, 1.0, 0.1]),
        ("more than a file holds", 1 << 30, 1 << 30, vec![0, 1 << 30], vec![0.0, 1.0, 0.1]),
        ("nobody in many columns", 0, 1 << 40, vec![0, 1 << 40], vec![0.0, 1.0, 0.1]),
        ("ranges that go back", 2, 3, vec![3, 1, 3], vec![0.0, 1.0, 0.1]),
        ("time that is none", 2, 1, vec![0, 1], vec![f64::NAN, 1.0, 0.0]),
        ("no interval", 2, 1, vec![0, 1], vec![0.0]),
    ] {
        report(rows, columns, &pointers, &time);
        let label = format!("report: {label}");
        let said = cases.case(&label, folder, || readers::report(&path));
        cases.expect(&label, &said, "claims.h5");
    }
    let csv = folder.join("claims.csv");
    let names: String = (0..150_000).map(|i| format!("1,p{i},0\n")).collect();
    for (label, text) in [
        ("as many populations as spikes", format!("time_ms,population,id\n{names}")),
        ("times that are none", "time_ms,population,id\nnan,a,0\ninf,a,1\n".to_owned()),
        ("one long line", format!("time_ms,population,id\n{}", "1,".repeat(2_000_000))),
    ] {
        std::fs::write(&csv, text).unwrap();
        let label = format!("spikes: {label}");
        let said = cases.case(&label, folder, || readers::spikes(&csv));
        if label.ends_with("none") {
            cases.expect(&label, &said, "line 2");
        }
    }
}

/// Lists and arrays that take time or memory.
pub fn lists(cases: &mut Cases, folder: &Path) {
    let text = folder.join("trap.csv");
    let lines = "1,2\n".repeat(400_000);
    for (label, content, part) in [
        ("a quotation over all lines", format!("a,b\n\"{lines}"), "line 2 does not end"),
        ("doubled quotes over all lines", format!("a,b\n\"{}", "\"\"\n".repeat(400_000)), "line 2 does not end"),
        ("many columns", "1,".repeat(1_000_000), ""),
        ("many faults", "x,y\n1,2\n".to_owned() + &"1\n".repeat(500_000), "trap.csv:3"),
        ("no text", "\u{0}\u{0}\u{0}\n".repeat(1000), "trap.csv"),
        ("names alike", (0..20_000).map(|i| format!("sourc{i},")).collect::<String>() + "x\n", "trap.csv"),
    ] {
        std::fs::write(&text, content).unwrap();
        let label = format!("list: {label}");
        let said = cases.case(&label, folder, || readers::list(&text));
        cases.expect(&label, &said, part);
    }
    std::fs::write(&text, b"1,2\n3,\xff\xfe\n").unwrap();
    let said = cases.case("list: not UTF-8", folder, || readers::list(&text));
    cases.expect("list: not UTF-8", &said, "line 2 is not UTF-8");
    let array = folder.join("trap.npy");
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    for (label, descr, shape) in [
        ("large", "'<f8'".to_owned(), "(4611686018427387904,)".to_owned()),
        ("larger than a number", "'<f8'".to_owned(), "(4294967296, 4294967296, 4294967296)".to_owned()),
        ("no columns, many rows", "'<f8'".to_owned(), "(1152921504606846976, 0)".to_owned()),
        ("no rows, many columns", "'<f8'".to_owned(), "(0, 1152921504606846976)".to_owned()),
        ("gaps alone", "[('', '|V8')]".to_owned(), "(1,)".to_owned()),
        ("elements of nothing", "'|V0'".to_owned(), "(9223372036854775807,)".to_owned()),
        ("no fields", "[]".to_owned(), "(9223372036854775807, 2)".to_owned()),
        ("long texts", "'<U1000000000'".to_owned(), "(1,)".to_owned()),
        (
            "records beyond",
            "[('a', '|V9223372036854775807'), ('b', '|V9223372036854775807')]".to_owned(),
            "(1,)".to_owned(),
        ),
        ("arrays within", "[('source', '<f8', (4294967296, 4294967296))]".to_owned(), "(1,)".to_owned()),
        ("negative", "'<f8'".to_owned(), "(-1,)".to_owned()),
        ("many axes", "'<f8'".to_owned(), format!("({})", "0,".repeat(10_000))),
        ("deep tuples", "'<f8'".to_owned(), deep("(", ",)", 20_000)),
        ("deep sets", "'<f8'".to_owned(), deep("{", "}", 40)),
        ("deep maps", "'<f8'".to_owned(), deep("{1:", "}", 3_000)),
        ("deep lists", deep("[", "]", 20_000), "(1,)".to_owned()),
        ("long numbers", "'<f8'".to_owned(), format!("({},)", "9".repeat(200_000))),
    ] {
        let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend([0; 64]);
        std::fs::write(&array, &bytes).unwrap();
        let label = format!("array: {label}");
        let said = cases.case(&label, folder, || readers::list(&array));
        cases.expect(&label, &said, "trap.npy");
        for name in ["spikes_t_times.npy", "spikes_t_ids.npy"] {
            std::fs::write(folder.join(name), &bytes).unwrap();
        }
        let said =
            cases.case(&format!("spikes, {label}"), folder, || readers::spikes(&folder.join("spikes_t_ids.npy")));
        cases.expect(&label, &said, "spikes_t_");
    }
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    std::fs::write(&array, bytes).unwrap();
    let said = cases.case("array: a header of 4 GB", folder, || readers::list(&array));
    cases.expect("array: a header of 4 GB", &said, "trap.npy");
}

/// Configurations in TOML.
pub fn configurations(cases: &mut Cases, folder: &Path) {
    let path = folder.join("trap.toml");
    let network = "[population.a]\nneuron = \"lif_psc_exp\"\nn = 3\n";
    let dots = "a.".repeat(50_000);
    let with = |rest: &str| network.to_owned() + rest;
    // Three neurons, connected.
    let pair = |rule: &str, weight: &str, delay: &str| {
        format!(
            "{network}[projection.p]\nsource = \"a\"\ntarget = \"a\"\nrule = {rule}\nweight = {weight}\ndelay = {delay}\n"
        )
    };
    let all = |weight: &str, delay: &str| pair("\"all_to_all\"", weight, delay);
    // A lattice full of neurons.
    let space = |shape: &str, rest: &str| {
        format!("[lattice]\nshape = {shape}\n{rest}\n[population.a]\nneuron = \"parrot\"\narea = \"lattice\"\n")
    };
    let growing: String = (0..60)
        .map(|i| format!("P{i} = \"${{P{}}}${{P{}}}\"\n", i + 1, i + 1))
        .chain(["P60 = \"x\"\n".into()])
        .collect();
    let placed = |file: &str| network.replace("n = 3", &format!("coordinates = \"{file}\""));
    let texts: Vec<(&str, String, &str)> = vec![
        ("deep lists", format!("x = {}", "[".repeat(100_000)), "trap.toml"),
        ("deep tables", format!("x = {}", "{a=".repeat(100_000)), "trap.toml"),
        ("a long dotted key", format!("{dots}b = 1\n"), "trap.toml"),
        ("a long table name", format!("[{dots}b]\n"), "trap.toml"),
        ("paths in a circle", "[paths]\nA = \"${B}\"\nB = \"${A}\"\n".to_owned() + &placed("${A}/x"), "trap.toml"),
        ("paths that grow", format!("[paths]\n{growing}") + &placed("${P0}"), "trap.toml"),
        (
            "all neurons there are",
            network.replace("n = 3", "n = 4294967295")
                + "[stimulus.x]\nkind = \"dc\"\ntarget = \"a\"\nneurons = { range = [0, 4294967295] }\namplitude = 1\n",
            "",
        ),
        ("a lattice of everything", space("[65536, 65536, 65536, 65536]", ""), "trap.toml"),
        ("a density of everything", space("[9, 9, 9, 9]", "") + "density = 1e300\n", "trap.toml"),
        ("a lattice without end", space("[9, 9, 9, 9]", "spacing = 1e38"), "lattice.spacing"),
        ("endless time", with("[run]\nduration = 1e308\ndt = 1e-300\n"), ""),
        ("endless bins", with("[record.r]\nkind = \"rates\"\nbin = 1e308\n"), ""),
        ("long delays", all("1", "1e9"), "projection.p.delay"),
        ("longer delays", all("1", "1e300"), "projection.p.delay"),
        (
            "delays that are slow",
            space("[2, 1, 1, 1]", "spacing = 1e30") + &all("1", "{ velocity = 1e-30 }").replace(network, ""),
            "projection.p.delay",
        ),
        ("heavy weights", all("1e308", "1"), ""),
        ("heavy rain", with("[stimulus.p]\nkind = \"poisson\"\ntarget = \"a\"\nrate = 1e308\nweight = 1e308\n"), ""),
        (
            "draws that never fit",
            with("v_th = { dist = \"normal\", mean = -55, sd = 1e-300, min = 1, max = 2 }\n"),
            "trap.toml",
        ),
        ("draws that hardly fit", with("v_th = { dist = \"normal\", mean = -55, sd = 1, min = 5, max = 6 }\n"), ""),
        ("many in one pair", pair("\"fixed_total\"\nn = 9223372036854775807", "1", "1"), ""),
        ("more than there are", pair("\"fixed_indegree\"\nn = 5\nmultapses = false", "1", "1"), "trap.toml"),
        ("many sources", all("1", "1").replace("source = \"a\"", &format!("source = [{}]", "\"a\",".repeat(3000))), ""),
        ("itself as data", placed("trap.toml"), "trap.toml"),
        ("a folder as data", placed("."), "trap.toml"),
        ("nothing", String::new(), "trap.toml"),
        ("not text", "\u{0}\u{1}".repeat(100), "trap.toml:1"),
    ];
    for (label, text, part) in texts {
        std::fs::write(&path, text).unwrap();
        let label = format!("configuration: {label}");
        let said = cases.case(&label, folder, || readers::config(&path));
        if !part.is_empty() {
            cases.expect(&label, &said, part);
        }
    }
}

/// Configurations in SONATA's JSON.
pub fn sonata(cases: &mut Cases, folder: &Path) {
    let good = sonata_rig::single(folder);
    let text = std::fs::read_to_string(&good).unwrap();
    let path = folder.join("trap.json");
    let with = |key: &str, value: Value| -> String {
        let mut root: Value = serde_json::from_str(&text).unwrap();
        root[key] = value;
        root.to_string()
    };
    let chain = |n: usize| -> Value {
        let sets = (0..n).map(|i| (format!("s{i}"), json!([format!("s{}", i + 1)])));
        Value::Object(sets.chain([("cells".to_owned(), json!({"population": "cells"}))]).collect())
    };
    let with_sets = |sets: Value, chosen: &str| {
        let mut root: Value = serde_json::from_str(&text).unwrap();
        root["node_sets"] = sets;
        root["reports"]["soma"]["cells"] = chosen.into();
        root.to_string()
    };
    let growing: serde_json::Map<String, Value> = (0..60)
        .map(|i| (format!("$V{i}"), format!("$V{}$V{}", i + 1, i + 1).into()))
        .chain([("$V60".to_owned(), "x".into())])
        .collect();
    let texts: Vec<(&str, String, &str)> = vec![
        ("deep lists", "[".repeat(100_000), "trap.json"),
        ("deep objects", "{\"a\":".repeat(100_000), "trap.json"),
        ("variables in a circle", with("manifest", json!({"$A": "$B", "$B": "$C", "$C": "$A"})), "manifest.$"),
        ("a variable of itself", with("manifest", json!({"$A": "$A/x"})), "manifest.$A"),
        ("variables that grow", with("manifest", growing.into()), "manifest.$V"),
        ("itself as network", json!({"network": "trap.json"}).to_string(), "circle"),
        ("sets in a circle", with_sets(json!({"a": ["b"], "b": ["a"]}), "a"), ""),
        ("a set of itself", with_sets(json!({"a": ["a"]}), "a"), ""),
        ("a long chain of sets", with_sets(chain(100_000), "s0"), "trap.json"),
        ("many sets in one", with_sets(json!({"a": vec!["cells"; 20_000]}), "a"), ""),
        ("no such set", with_sets(json!({}), "cels"), "did you mean `cells`"),
        ("ids beyond", with_sets(json!({"a": [18_446_744_073_709_551_615_u64, 1, 0]}), "a"), ""),
        ("endless time", with("run", json!({"tstop": 1e308, "dt": 1e-300})), ""),
        ("time that stands", with("run", json!({"tstop": 1.0, "dt": 0.0})), "run.dt"),
        (
            "nodes that are none",
            with("networks", json!({"nodes": [{"nodes_file": "spikes.csv"}], "edges": []})),
            "spikes.csv",
        ),
        ("a folder of nodes", with("networks", json!({"nodes": [{"nodes_file": "."}], "edges": []})), "trap.json"),
        ("edges for nodes", with("networks", json!({"nodes": [{"nodes_file": "edges.h5"}], "edges": []})), "/nodes"),
        (
            "nodes twice",
            with("networks", json!({"nodes": [{"nodes_file": "nodes.h5"}, {"nodes_file": "nodes.h5"}], "edges": []})),
            "",
        ),
        ("nothing", String::new(), "trap.json"),
        ("no object", "3".into(), "trap.json"),
    ];
    for (label, text, part) in texts {
        std::fs::write(&path, text).unwrap();
        let label = format!("sonata: {label}");
        let said = cases.case(&label, folder, || readers::config(&path));
        if !part.is_empty() {
            cases.expect(&label, &said, part);
        }
    }
    // Nodes and edges that claim much.
    let whole: Vec<(&str, Vec<u8>)> =
        ["nodes.h5", "edges.h5"].into_iter().map(|name| (name, std::fs::read(folder.join(name)).unwrap())).collect();
    type Fill = fn(&H5Group);
    let fills: [(&str, &str, Fill); 5] = [
        ("nodes that are not there", "nodes", |p| hollow(p, "node_type_id", &[1 << 40], &[1 << 16])),
        ("nodes in a large chunk", "nodes", |p| hollow(p, "node_type_id", &[2], &[1 << 28])),
        ("nodes as words", "nodes", |p| drop(p.write_vlen_strings("node_type_id", &["1"]).unwrap())),
        ("a square of nodes", "nodes", |p| hollow(p, "node_type_id", &[1 << 30, 1 << 30], &[4, 4])),
        ("no ids", "edges", |p| drop(p.create_group("0").unwrap())),
    ];
    for (label, part, fill) in fills {
        let file = H5File::create(folder.join(format!("{part}.h5"))).unwrap();
        fill(&file.create_group(part).unwrap().create_group("cells").unwrap());
        file.close().unwrap();
        let label = format!("sonata: {label}");
        let said = cases.case(&label, folder, || readers::config(&good));
        cases.expect(&label, &said, &format!("/{part}/cells"));
        for (name, bytes) in &whole {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let sound: Outcome = readers::config(&good);
    assert_eq!(sound.refusals, [""; 0]);
}
