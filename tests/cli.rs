//! The program itself: what it prints, what it writes, how it ends.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tessera::config::RunSpec;
use tessera::engine::{Digest, Spike};
use tessera::storage::{RunRecord, RunStatus, read_rates, read_report, read_spikes};

fn tessera(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tessera")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exit code, standard output, standard error.
fn outcome(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Runs and expects success; the standard output.
fn succeed(args: &[&str]) -> String {
    let (code, stdout, stderr) = outcome(&tessera(args));
    assert_eq!(code, Some(0), "{args:?}\n{stdout}\n{stderr}");
    stdout
}

fn config(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
    path.display().to_string()
}

fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn as_text(path: &Path) -> String {
    path.display().to_string()
}

/// Every file in a folder with its content.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Digest of the spikes in a folder, as the engine makes it: by step, then neuron of the network.
fn digest_of(folder: &Path) -> String {
    let record = RunRecord::read(folder).unwrap();
    let dt = record.summary.as_ref().unwrap().dt_ms;
    let mut first = 0;
    let mut spikes = Vec::new();
    let populations = read_spikes(folder).unwrap();
    for (name, size) in &record.populations.0 {
        if let Some(p) = populations.iter().find(|p| p.name == *name) {
            let step = |time: &f64| (time / dt).round() as u64 - 1;
            spikes.extend(p.times_ms.iter().zip(&p.ids).map(|(t, i)| Spike { step: step(t), neuron: first + i }));
        }
        first += size;
    }
    spikes.sort_unstable();
    let mut digest = Digest::default();
    digest.update(&spikes);
    digest.hex()
}

/// Two populations that fire; small enough to run in no time.
const SMALL: &str = r#"
[run]
duration = "200 ms"
seed = 3

[population.exc]
neuron = "lif_psc_exp"
n = 200

[population.inh]
neuron = "lif_psc_exp"
n = 50

[projection.recurrent]
populations = ["exc", "inh"]
rule = "bernoulli"
p = 0.1
weight = ["20 pA", "-80 pA"]
delay = "1.5 ms"

[stimulus.rain]
kind = "poisson"
target = ["exc", "inh"]
rate = "9 kHz"
weight = "25 pA"
"#;

#[test]
fn a_run_prints_one_object_and_writes_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a/b");
    let short = ["--set", "run.duration=120 ms", "--set", "stimulus.push.start=40 ms"];
    let quickstart = config("quickstart.toml");
    let mut args = vec!["run", &quickstart, "--json", "--threads", "2", "--isa", "portable", "--out"];
    let folder = as_text(&out);
    args.push(&folder);
    args.extend(short);
    let printed = succeed(&args);
    assert_eq!(printed.lines().count(), 1);
    let summary: Value = serde_json::from_str(&printed).unwrap();
    let keys: Vec<&str> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let documented = [
        "neurons",
        "synapses",
        "duration_ms",
        "dt_ms",
        "threads",
        "isa",
        "build_s",
        "sim_s",
        "real_time_factor",
        "spikes",
        "synaptic_events",
        "rates_hz",
        "phases_s",
        "peak_rss_bytes",
        "resident_bytes",
        "synapse_bytes",
        "spike_digest",
    ];
    assert_eq!(keys, documented);
    assert_eq!((&summary["threads"], &summary["isa"]), (&2.into(), &"portable".into()));
    assert_eq!((&summary["duration_ms"], &summary["dt_ms"]), (&120.0.into(), &0.1.into()));
    for key in ["neurons", "synapses", "spikes", "synaptic_events", "peak_rss_bytes", "synapse_bytes"] {
        assert!(summary[key].as_u64().is_some_and(|n| n > 100), "{key}: {}", summary[key]);
    }
    for key in ["build_s", "sim_s", "real_time_factor"] {
        assert!(summary[key].as_f64().is_some_and(|x| x > 0.0), "{key}: {}", summary[key]);
    }
    let populations = ["exc_here", "inh_here", "exc_there", "inh_there"];
    assert_eq!(summary["rates_hz"].as_object().unwrap().keys().collect::<Vec<_>>(), populations);
    for phase in ["exchange", "deliver", "update", "wait", "record"] {
        assert!(summary["phases_s"][phase].as_f64().is_some_and(|s| s >= 0.0), "{phase}");
    }

    let record = RunRecord::read(&out).unwrap();
    assert_eq!((record.status, record.error), (RunStatus::Complete, None));
    assert_eq!(serde_json::to_value(record.summary.unwrap()).unwrap(), summary);
    assert_eq!(record.populations.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), populations);
    let files = ["potential.exc_here_v_m.h5", "potential.exc_there_v_m.h5", "rates.csv", "spikes.h5"];
    assert_eq!(record.files, files);
    assert!(record.files.iter().all(|file| out.join(file).is_file()));
    assert!(record.machine.cores > 0 && record.started.ends_with('Z'));
    assert!(!record.weights.is_empty());

    // The configuration in the record describes the same run, with the overrides in it.
    let again = RunSpec::from_resolved(&record.config, record.file.as_deref()).unwrap();
    assert_eq!((again.run.duration_ms, again.run.seed), (120.0, 42));
    let mut sim = again.build().unwrap();
    sim.run(again.run.duration_ms).unwrap();
    assert_eq!(sim.figures().spike_digest, summary["spike_digest"]);

    // What the files hold is what was counted.
    assert_eq!(digest_of(&out), summary["spike_digest"]);
    let spikes = read_spikes(&out).unwrap();
    let rate = |p: &tessera::storage::PopulationSpikes| p.times_ms.len() as f64 / f64::from(p.size) / 0.12;
    for p in &spikes {
        let told = summary["rates_hz"][&p.name].as_f64().unwrap();
        assert!((told - rate(p)).abs() < 1e-9, "{} {told}", p.name);
    }
    let report = read_report(out.join("potential.exc_there_v_m.h5")).unwrap();
    assert_eq!((report.times_ms.len(), report.node_ids.len(), report.unit.as_str()), (120, 5, "mV"));
    assert!((report.times_ms[0] - 1.0).abs() < 1e-9 && (report.times_ms[119] - 120.0).abs() < 1e-9);
    let rates = read_rates(out.join("rates.csv")).unwrap();
    assert_eq!(rates.times_ms.len(), 12);
}

#[test]
fn results_are_not_overwritten_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "small.toml", SMALL);
    let out = dir.path().join("out");
    let folder = as_text(&out);
    succeed(&["run", &file, "-q", "-o", &folder]);
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let before = content(&out);
    let (code, stdout, stderr) = outcome(&tessera(&["run", &file, "-q", "-o", &folder, "--set", "run.seed=4"]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains(&folder) && stderr.contains("--overwrite"), "{stderr}");
    assert_eq!(content(&out), before);
    succeed(&["run", &file, "-q", "-o", &folder, "--overwrite", "--set", "run.seed=4", "--set", "output.format=csv"]);
    let after = content(&out);
    assert_eq!(after["notes.txt"], b"mine");
    assert_eq!(after.keys().collect::<Vec<_>>(), ["notes.txt", "run.json", "spikes.csv"]);
    assert_ne!(after["run.json"], before["run.json"]);
}

#[test]
fn every_format_holds_the_same_spikes() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "small.toml", SMALL);
    let mut digests = Vec::new();
    for (format, threads, files) in [
        ("sonata", "1", &["spikes.h5"][..]),
        ("csv", "2", &["spikes.csv"]),
        ("npy", "3", &["spikes_exc_ids.npy", "spikes_exc_times.npy", "spikes_inh_ids.npy", "spikes_inh_times.npy"]),
    ] {
        let out = dir.path().join(format);
        let set = format!("output.format={format}");
        let printed = succeed(&["run", &file, "--json", "-t", threads, "-o", &as_text(&out), "--set", &set]);
        let summary: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(RunRecord::read(&out).unwrap().files, files);
        assert_eq!(digest_of(&out), summary["spike_digest"]);
        let sizes: Vec<u32> = read_spikes(&out).unwrap().iter().map(|p| p.size).collect();
        assert_eq!(sizes, [200, 50]);
        digests.push(summary["spike_digest"].clone());
    }
    assert!(digests.windows(2).all(|w| w[0] == w[1]), "{digests:?}");
}

#[test]
fn output_goes_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "small.toml", SMALL);
    let one = as_text(&dir.path().join("one"));
    let (code, stdout, stderr) = outcome(&tessera(&["run", &file, "--quiet", "-o", &one]));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    let two = as_text(&dir.path().join("two"));
    let people = succeed(&["run", &file, "-o", &two]);
    for part in ["250 neurons", "synapses", "real-time factor", "exc", "Hz", "digest", &two] {
        assert!(people.contains(part), "{part} is not in\n{people}");
    }
    // Without --out, into results/<name of the file> of the current folder.
    let output = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["run", "small.toml", "-q"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(dir.path().join("results/small/run.json").is_file());
}

#[test]
fn faults_are_all_listed_with_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let faulty = SMALL
        .replace("duration = \"200 ms\"", "duration = \"200 mV\"")
        .replace("n = 50", "n = 50\nv_tt = \"-50 mV\"")
        .replace("p = 0.1", "p = 1.5")
        .replace("target = [\"exc\", \"inh\"]", "target = [\"exc\", \"inhh\"]");
    let file = write(dir.path(), "faulty.toml", &faulty);
    let lines = [3, 13, 18, 24];
    for verb in ["check", "run"] {
        let out = as_text(&dir.path().join("out"));
        let args = if verb == "run" { vec![verb, &file, "-o", &out] } else { vec![verb, &file] };
        let (code, stdout, stderr) = outcome(&tessera(&args));
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        for line in lines {
            let place = format!("faulty.toml:{line}:");
            assert_eq!(stderr.matches(&place).count(), 1, "{place}\n{stderr}");
        }
        assert_eq!(stderr.lines().filter(|l| l.starts_with("error: ")).count(), 4, "{stderr}");
        assert!(stderr.contains("did you mean `v_th`?") && stderr.contains("did you mean `inh`?"), "{stderr}");
        assert!(!dir.path().join("out").exists());
    }
    let (code, stdout, _) = outcome(&tessera(&["check", &file, "--json"]));
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, found["faults"].as_array().unwrap().len(), &found["estimate"]), (Some(2), 4, &Value::Null));
}

#[test]
fn a_good_file_is_estimated() {
    let printed = succeed(&["check", &config("brunel.toml"), "--json"]);
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&found["faults"], &found["fits_in_memory"]), (&serde_json::json!([]), &true.into()));
    assert_eq!(found["estimate"]["neurons"], 12_500);
    assert_eq!(found["estimate"]["synapses"], 15_625_000.0);
    let people = succeed(&["check", &config("brunel.toml")]);
    assert!(people.contains("12500") && people.contains("15625000") && people.contains("GB"), "{people}");
}

#[test]
fn arguments_are_checked_like_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "small.toml", SMALL);
    let out = dir.path().join("out");
    let folder = as_text(&out);
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--set", "run.dt=1 mV"], &["--set: run.dt:", "a time is expected"]),
        (&["--set", "run.durration=1 s"], &["--set: run.durration", "did you mean `duration`?"]),
        (&["--set", "run.duration"], &["--set", "key=value"]),
        (&["--isa", "sse9"], &["`sse9`", "avx512, avx2, neon, portable"]),
        (&["--set", "run.isa=sse9"], &["run.isa", "sse9", "portable"]),
        (&["--threads", "0"], &["--threads 0", "1 to 1024"]),
        (&["--set", "stimulus.rain.rate=1e12 Hz"], &["stimulus.rain.rate", "1e4", "`noise`"]),
        (&["--set", "run.threads=-3"], &["run.threads", "-3"]),
        (&["--frobnicate"], &["--frobnicate"]),
    ];
    for (extra, expected) in cases {
        let args: Vec<&str> = ["run", &file, "-o", &folder].iter().chain(extra).copied().collect();
        let (code, stdout, stderr) = outcome(&tessera(&args));
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{extra:?}\n{stderr}");
        for part in expected {
            assert!(stderr.contains(part), "{extra:?}: `{part}` is not in\n{stderr}");
        }
        assert!(!out.exists(), "{extra:?}");
    }
    let foreign = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
    let (code, _, stderr) = outcome(&tessera(&["run", &file, "-o", &folder, "--isa", foreign]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains(foreign) && stderr.contains("portable"), "{stderr}");
    let missing = as_text(&dir.path().join("missing.toml"));
    for verb in ["run", "check", "info"] {
        let (code, _, stderr) = outcome(&tessera(&[verb, &missing]));
        assert_eq!(code, Some(2), "{verb}");
        assert!(stderr.contains("missing.toml"), "{verb}\n{stderr}");
    }
}

/// A population that fires from the start, and one that is blown up after 50 ms.
#[test]
fn a_state_that_is_not_a_number_ends_the_run_and_keeps_the_results() {
    let dir = tempfile::tempdir().unwrap();
    let blown_up = format!(
        "{SMALL}\n[population.wild]\nneuron = \"lif_psc_delta\"\nn = 40\n\n[stimulus.fuse]\nkind = \"dc\"\n\
         target = \"wild\"\nneurons = [33]\namplitude = -1e300\nstart = \"50 ms\"\n"
    );
    let file = write(dir.path(), "wild.toml", &blown_up);
    let out = dir.path().join("out");
    let (code, stdout, stderr) = outcome(&tessera(&["run", &file, "--json", "-o", &as_text(&out)]));
    assert_eq!(code, Some(1), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(summary["duration_ms"], 50.1);
    for part in ["population `wild`", "neuron 33", "`v_m`", "step 500"] {
        assert!(stderr.contains(part), "`{part}` is not in\n{stderr}");
    }
    let record = RunRecord::read(&out).unwrap();
    assert_eq!(record.status, RunStatus::Failed);
    assert!(record.error.unwrap().contains("neuron 33"));
    let spikes = read_spikes(&out).unwrap();
    assert!(spikes[0].times_ms.len() > 50 && spikes[0].times_ms.iter().all(|t| *t <= 50.1 + 1e-9));
    assert_eq!(digest_of(&out), summary["spike_digest"]);
    // The same run without the fuse has the same spikes up to there.
    let whole = dir.path().join("whole");
    let set = ["--set", "stimulus.fuse.enabled=false", "--set", "run.duration=50.1 ms"];
    let args: Vec<&str> = ["run", &file, "--json", "-o"].into_iter().collect();
    let whole = as_text(&whole);
    let printed = succeed(&[&args[..], &[&whole], &set].concat());
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["spike_digest"], summary["spike_digest"]);
}

#[test]
#[cfg(unix)]
fn an_interrupt_ends_the_run_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "small.toml", SMALL);
    let out = dir.path().join("out");
    let long = ["--set", "run.duration=1000 s", "--threads", "2"];
    let mut run = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["run", &file, "--json", "-o", &as_text(&out)])
        .args(long)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    let began = lines.by_ref().map(Result::unwrap).any(|line| line.starts_with("running"));
    assert!(began, "it says when the simulation begins");
    std::thread::sleep(Duration::from_millis(300));
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    let status = run.wait().unwrap();
    let mut stdout = String::new();
    run.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(status.code(), Some(130), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("interrupted at")), "{said:?}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    let reached = summary["duration_ms"].as_f64().unwrap();
    assert!(reached > 0.0 && reached < 1e6, "{reached}");
    assert_eq!(RunRecord::read(&out).unwrap().status, RunStatus::Interrupted);
    assert_eq!(digest_of(&out), summary["spike_digest"]);
    // What there is, is the beginning of the run.
    let spec = RunSpec::load(&file, &[format!("run.duration={reached} ms")]).unwrap();
    let mut sim = spec.build().unwrap();
    sim.run(spec.run.duration_ms).unwrap();
    assert_eq!(sim.figures().spike_digest, summary["spike_digest"]);
}

#[test]
fn a_network_larger_than_memory_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "large.toml", &SMALL.replace("n = 200", "n = 4_000_000"));
    let out = dir.path().join("out");
    // 4 million squared, a tenth of it: 1.6e12 synapses of at least 4 bytes.
    let folder = as_text(&out);
    for args in [&["run", file.as_str(), "-o", &folder][..], &["check", &file]] {
        let (code, _, stderr) = outcome(&tessera(args));
        assert_eq!(code, Some(1), "{stderr}");
        let said = stderr.split("needs about ").nth(1).unwrap_or_else(|| panic!("no need is named:\n{stderr}"));
        let gigabytes: f64 = said.split(' ').next().unwrap().parse().unwrap();
        assert!((6_400.0..15_000.0).contains(&gigabytes), "{stderr}");
        assert!(stderr.contains("GB are available") && stderr.contains("4000050 neurons"), "{stderr}");
    }
    assert!(!out.exists());
}

fn is_picture(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    match path.extension().and_then(|e| e.to_str()) {
        Some("png") => bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 1_000,
        Some("svg") => text(&bytes).contains("<svg") && text(&bytes).trim_end().ends_with("</svg>"),
        _ => false,
    }
}

#[test]
fn results_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("quickstart");
    let folder = as_text(&out);
    succeed(&["run", &config("quickstart.toml"), "-q", "-o", &folder, "--set", "run.duration=100 ms"]);
    let printed = succeed(&["plot", &folder]);
    for name in ["raster", "rates", "histograms", "traces", "lattice"] {
        for extension in ["png", "svg"] {
            let file = out.join(format!("{name}.{extension}"));
            assert!(is_picture(&file), "{}", file.display());
            assert!(printed.contains(&as_text(&file)), "{printed}");
        }
    }
    // Elsewhere, in another size, of a part of the time.
    let elsewhere = dir.path().join("pictures");
    let place = as_text(&elsewhere);
    succeed(&["plot", &folder, "-o", &place, "--from", "20", "--to", "80", "--bin", "2", "--size", "640x400"]);
    let png = std::fs::read(elsewhere.join("raster.png")).unwrap();
    assert_eq!((&png[16..20], &png[20..24]), (&640u32.to_be_bytes()[..], &400u32.to_be_bytes()[..]));

    // Without a lattice and state recordings there are three; a run may draw them itself.
    let file = write(dir.path(), "small.toml", SMALL);
    let small = dir.path().join("small");
    succeed(&["run", &file, "-q", "-o", &as_text(&small), "--set", "output.pictures=true"]);
    let drawn: Vec<String> = content(&small).into_keys().filter(|name| !name.starts_with(['s', 'r', 'h'])).collect();
    assert!(drawn.is_empty(), "{drawn:?}");
    for name in ["raster", "rates", "histograms"] {
        assert!(is_picture(&small.join(format!("{name}.png"))) && is_picture(&small.join(format!("{name}.svg"))));
    }
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let (code, _, stderr) = outcome(&tessera(&["plot", &as_text(&empty)]));
    assert!(code != Some(0) && stderr.contains("run.json"), "{stderr}");
    let (code, _, stderr) = outcome(&tessera(&["plot", &folder, "--size", "large"]));
    assert!(code == Some(2) && stderr.contains("1200x800"), "{stderr}");
}

#[test]
fn networks_and_results_are_described() {
    let quickstart = config("quickstart.toml");
    let about = succeed(&["info", &quickstart, "--set", "run.duration=2 s"]);
    for part in ["2000 ms", "exc_here", "here_to_there", "push", "lif_psc_exp", "lattice", "area", "GB"] {
        assert!(about.contains(part), "{part} is not in\n{about}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "small.toml", SMALL);
    let out = dir.path().join("out");
    let folder = as_text(&out);
    let summary: Value = serde_json::from_str(&succeed(&["run", &file, "--json", "-o", &folder])).unwrap();
    for path in [out.clone(), out.join("run.json")] {
        let about = succeed(&["info", &as_text(&path)]);
        for part in ["complete", "250 neurons", "spikes.h5", "exc", "inh", summary["spike_digest"].as_str().unwrap()] {
            assert!(about.contains(part), "{part} is not in\n{about}");
        }
        assert!(about.contains(&format!("{:.3}", summary["rates_hz"]["exc"].as_f64().unwrap())), "{about}");
    }
    assert!(succeed(&["info", &as_text(&out.join("spikes.h5"))]).contains("inh"));
    let repaired = succeed(&["repair", &folder]);
    assert!(repaired.contains("spikes.h5"), "{repaired}");
    let (code, _, stderr) = outcome(&tessera(&["info", &as_text(&dir.path().join("nothing"))]));
    assert!(code == Some(2) && stderr.contains("nothing"), "{stderr}");
}

#[test]
fn the_schema_is_json_and_knows_the_tables() {
    let schema: Value = serde_json::from_str(&succeed(&["schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for table in ["run", "lattice", "area", "neuron", "population", "projection", "stimulus", "record", "output"] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
}

#[test]
fn scaling_measures_runs_that_agree() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "small.toml", SMALL);
    let out = as_text(&dir.path().join("pictures"));
    let args = ["bench", "scaling", &file, "--threads", "1,2,3", "--repeats", "2", "--no-report"];
    let report: Value = serde_json::from_str(&succeed(&[&args[..], &["--json", "-o", &out]].concat())).unwrap();
    let points = report["points"].as_array().unwrap();
    assert_eq!(points.iter().map(|p| p["threads"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    for point in points {
        assert_eq!((&point["repeatable"], &point["spike_digest"]), (&true.into(), &points[0]["spike_digest"]));
        assert_eq!((&point["neurons"], point["sim_all_s"].as_array().unwrap().len()), (&250.into(), 2));
        for key in ["build_s", "sim_s", "real_time_factor", "speed_up", "efficiency", "load_balance"] {
            assert!(point[key].as_f64().is_some_and(|x| x > 0.0), "{key}: {}", point[key]);
        }
    }
    assert_eq!(points[0]["speed_up"], 1.0);
    assert!(is_picture(&dir.path().join("pictures/scaling.png")));
    let people = succeed(&["bench", "scaling", &file, "--threads", "1,2", "--repeats", "1", "--no-report"]);
    assert!(
        people.contains("spikes agree") && people.contains(points[0]["spike_digest"].as_str().unwrap()),
        "{people}"
    );
    let weak = ["bench", "scaling", &file, "--weak", "--threads", "1,2", "--repeats", "2", "--json", "--no-report"];
    let report: Value = serde_json::from_str(&succeed(&weak)).unwrap();
    let points = report["points"].as_array().unwrap();
    assert_eq!((&report["weak"], &points[1]["neurons"]), (&true.into(), &500.into()));
    assert!(points.iter().all(|p| p["repeatable"] == true));
}
