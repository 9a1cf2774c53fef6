//! What the file recorders write comes back the same, in every format, and whole files replace nothing unasked.

use std::path::Path;
use tessera::engine::{Layout, PopulationLayout, Recorder, Spike, StateRecording, StateSample};
use tessera::error::Error;
use tessera::model::Selection;
use tessera::rng::{Key, Purpose, philox};
use tessera::storage::{
    CheckpointCost, CsvSpikes, Machine, Named, NpySpikes, OutputDir, PopulationSpikes, RateTable, Repaired, RunRecord,
    RunStatus, RunSummary, SonataSpikes, StateReport, StoredWeights, read_rates, read_report, read_spikes, repair,
};

const DT: f64 = 0.1;

fn layout(states: Vec<StateRecording>) -> Layout {
    let population = |name: &str, first, size| PopulationLayout { name: name.into(), first, size };
    let populations = vec![population("exc", 0, 800), population("silent", 800, 5), population("inh", 805, 200)];
    Layout { dt: DT, populations, states }
}

/// About `rate` spikes a step over the whole network but for the silent population, ascending by (step, neuron).
fn spikes(steps: u64, rate: u32) -> Vec<Spike> {
    let key = Key::new(7, Purpose::Source, 0);
    let mut spikes = Vec::new();
    for step in 0..steps {
        let mut neurons: Vec<u32> = (0..rate)
            .map(|i| philox::<10>([step as u32, i, 0, 0], key)[0] % 1000)
            .map(|n| if n < 800 { n } else { n + 5 })
            .collect();
        neurons.sort_unstable();
        neurons.dedup();
        spikes.extend(neurons.into_iter().map(|neuron| Spike { step, neuron }));
    }
    spikes
}

/// Tells a recorder of `spikes` in stretches of `stretch` steps.
fn play(recorder: &mut dyn Recorder, layout: &Layout, spikes: &[Spike], steps: u64, stretch: u64) {
    recorder.start(layout).unwrap();
    let mut rest = spikes;
    for from in (0..steps).step_by(stretch as usize) {
        let to = (from + stretch).min(steps);
        let (now, later) = rest.split_at(rest.partition_point(|s| s.step < to));
        recorder.spikes(from, to, now).unwrap();
        rest = later;
    }
    recorder.finish().unwrap();
}

fn expected(layout: &Layout, spikes: &[Spike], sizes: bool) -> Vec<PopulationSpikes> {
    layout
        .populations
        .iter()
        .map(|p| {
            let own: Vec<&Spike> = spikes.iter().filter(|s| (p.first..p.first + p.size).contains(&s.neuron)).collect();
            PopulationSpikes {
                name: p.name.clone(),
                size: if sizes { p.size } else { 0 },
                times_ms: own.iter().map(|s| layout.time_of(s.step)).collect(),
                ids: own.iter().map(|s| s.neuron - p.first).collect(),
            }
        })
        .collect()
}

fn sorted(mut populations: Vec<PopulationSpikes>) -> Vec<PopulationSpikes> {
    populations.sort_by(|a, b| a.name.cmp(&b.name));
    populations
}

#[test]
fn sonata_spikes_come_back() {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout(Vec::new()));
    let all = spikes(2_000, 60);
    let path = folder.path().join("spikes.h5");
    let mut recorder = SonataSpikes::create(&path, None).unwrap();
    play(&mut recorder, &layout, &all, 2_000, 15);
    assert_eq!(sorted(read_spikes(folder.path()).unwrap()), sorted(expected(&layout, &all, true)));
    assert_eq!(repair(&path).unwrap(), Repaired::Intact);

    // The bytes follow from the spikes alone: neither from when they were written nor from the stretches.
    let other = folder.path().join("other.h5");
    let mut often = SonataSpikes::create(&other, None).unwrap().with_cadence(997, std::time::Duration::ZERO);
    play(&mut often, &layout, &all, 2_000, 7);
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&other).unwrap(), "the files differ");
}

#[test]
fn chosen_populations_only() {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout(Vec::new()));
    let all = spikes(100, 20);
    for path in [folder.path().join("a.h5"), folder.path().join("a.csv")] {
        let only = Some(vec!["inh".to_owned()]);
        let mut recorder: Box<dyn Recorder> = if path.ends_with("a.h5") {
            Box::new(SonataSpikes::create(&path, only).unwrap())
        } else {
            Box::new(CsvSpikes::create(&path, only).unwrap())
        };
        play(&mut *recorder, &layout, &all, 100, 10);
        let read = read_spikes(&path).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].times_ms, expected(&layout, &all, false)[2].times_ms);
        assert_eq!(read[0].ids, expected(&layout, &all, false)[2].ids);
    }
    let mut unknown = SonataSpikes::create(folder.path().join("b.h5"), Some(vec!["inhh".into()])).unwrap();
    let error = unknown.start(&layout).unwrap_err().to_string();
    assert!(error.contains("`inhh`") && error.contains("did you mean `inh`"), "{error}");
}

#[test]
fn csv_spikes_come_back() {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout(Vec::new()));
    let all = spikes(500, 20);
    let path = folder.path().join("spikes.csv");
    play(&mut CsvSpikes::create(&path, None).unwrap(), &layout, &all, 500, 15);
    let mut expected = expected(&layout, &all, false);
    expected.retain(|p| !p.ids.is_empty()); // a table has no line for the silent
    assert_eq!(sorted(read_spikes(&path).unwrap()), sorted(expected));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("time_ms,population,id\n0.1,exc,"), "{}", &text[..60]);

    std::fs::write(&path, "time_ms,population,id\n0.1,exc,3\n0.2,exc,x\n").unwrap();
    let error = read_spikes(&path).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("0.2,exc,x"), "{error}");
}

#[test]
fn npy_spikes_come_back() {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout(Vec::new()));
    let all = spikes(3_000, 60);
    play(&mut NpySpikes::create(folder.path(), None).unwrap(), &layout, &all, 3_000, 15);
    assert_eq!(read_spikes(folder.path()).unwrap(), sorted(expected(&layout, &all, false)));
    let one = read_spikes(folder.path().join("spikes_inh_ids.npy")).unwrap();
    assert_eq!(one, expected(&layout, &all, false)[2..]);
    // A run may not write over an earlier one.
    let error = NpySpikes::create(folder.path(), None).unwrap().start(&layout).unwrap_err();
    assert!(matches!(error, Error::WouldOverwrite { .. }), "{error}");
}

#[test]
fn sizes_and_order_come_from_the_record() {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout(Vec::new()));
    let dir = OutputDir::create(folder.path(), false).unwrap();
    play(&mut NpySpikes::create(dir.path(""), None).unwrap(), &layout, &spikes(100, 20), 100, 10);
    let mut record = record(&dir);
    record.populations = layout.populations.iter().map(|p| (p.name.clone(), p.size)).collect();
    record.write(&dir).unwrap();
    assert_eq!(read_spikes(folder.path()).unwrap(), expected(&layout, &spikes(100, 20), true));
}

#[test]
fn rates_are_counted_in_bins() {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout(Vec::new()));
    // Bins of 10 steps; 25 steps; the last bin is half full. Spikes at the edges of bins.
    let at = |step, neuron| Spike { step, neuron };
    let all = [at(0, 0), at(9, 1), at(10, 2), at(10, 900), at(19, 805), at(24, 799), at(24, 802)];
    for stretch in [1, 3, 10, 25] {
        let path = folder.path().join(format!("rates_{stretch}.csv"));
        play(&mut RateTable::create(&path, 1.0, None).unwrap(), &layout, &all, 25, stretch);
        let rates = read_rates(&path).unwrap();
        assert_eq!(rates.populations, ["exc", "silent", "inh"]);
        assert_eq!(rates.times_ms, [0.0, 1.0, 2.0]);
        let close = |a: &[f64], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close(&rates.rates_hz[0], [2.5, 1.25, 2.5]), "{rates:?}");
        assert!(close(&rates.rates_hz[1], [0.0, 0.0, 400.0]), "{rates:?}");
        assert!(close(&rates.rates_hz[2], [0.0, 10.0, 0.0]), "{rates:?}");
    }
    let error = RateTable::create(folder.path().join("x.csv"), 0.25, None).unwrap().start(&layout).unwrap_err();
    assert!(error.to_string().contains("0.25 ms is not a multiple"), "{error}");
}

#[test]
fn reports_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let state = |name: &str, population, neurons, variables: &[&str], every| StateRecording {
        name: name.into(),
        population,
        variables: variables.iter().map(|v| (*v).into()).collect(),
        units: vec!["mV".into(); variables.len()],
        neurons,
        every,
        start: 1.0,
        stop: f64::INFINITY,
    };
    let some = Selection::Indices([3_u32, 17, 199].into());
    let layout = layout(vec![state("all", 1, Selection::All, &["v_m"], 1), state("some", 2, some, &["v_m", "w"], 5)]);
    let mut recorder = StateReport::create(folder.path()).unwrap();
    recorder.start(&layout).unwrap();
    let value = |step: u64, i: usize| step as f32 + i as f32 / 16.0;
    for step in 0..1_000 {
        if step >= 10 {
            let values: Vec<f32> = (0..5).map(|i| value(step, i)).collect();
            recorder.state(&StateSample { recording: 0, step, values: &values }).unwrap();
        }
        if (step + 1) % 5 == 0 && step >= 10 {
            let values: Vec<f32> = (0..6).map(|i| value(step, i)).collect();
            recorder.state(&StateSample { recording: 1, step, values: &values }).unwrap();
        }
        recorder.spikes(step, step + 1, &[]).unwrap();
        if step == 500 {
            recorder.flush().unwrap();
        }
    }
    let missed = recorder.state(&StateSample { recording: 1, step: 1_009, values: &[0.0; 6] });
    assert!(matches!(missed, Err(Error::Usage(_))));
    recorder.finish().unwrap();

    let all = read_report(folder.path().join("all_v_m.h5")).unwrap();
    assert_eq!((all.population.as_str(), all.variable.as_str(), all.unit.as_str()), ("silent", "v_m", "mV"));
    assert_eq!(all.node_ids, [0, 1, 2, 3, 4]);
    assert_eq!((all.times_ms.len(), all.data.len()), (990, 990));
    assert!((all.times_ms[0] - 1.1).abs() < 1e-12 && (all.times_ms[989] - 100.0).abs() < 1e-9);
    for (row, step) in all.data.iter().zip(10..) {
        assert_eq!(row, &(0..5).map(|i| value(step, i)).collect::<Vec<f32>>());
    }
    let w = read_report(folder.path().join("some_w.h5")).unwrap();
    assert_eq!((w.variable.as_str(), w.node_ids.as_slice()), ("w", &[3, 17, 199][..]));
    assert_eq!(w.data.len(), 198);
    assert_eq!(w.data[0], (3..6).map(|i| value(14, i)).collect::<Vec<f32>>());
    assert!((w.times_ms[0] - 1.5).abs() < 1e-12 && (w.times_ms[1] - 2.0).abs() < 1e-12);
}

fn record(dir: &OutputDir) -> RunRecord {
    let summary = RunSummary {
        neurons: 1_005,
        duration_ms: 100.0,
        rates_hz: [("exc", 3.25), ("inh", 0.1 + 0.2)].into_iter().collect(),
        phases_s: [("update", 0.5), ("deliver", 0.25)].into_iter().collect(),
        spike_digest: "00ff".into(),
        ..RunSummary::default()
    };
    RunRecord {
        tessera: env!("CARGO_PKG_VERSION").into(),
        status: RunStatus::Interrupted,
        error: Some("stopped by the user".into()),
        machine: Machine::this(),
        started: "2026-11-20T09:40:00Z".into(),
        file: Some("/runs/a.toml".into()),
        config: serde_json::json!({ "run": { "dt": "0.1 ms" } }),
        populations: Named::default(),
        weights: vec![StoredWeights {
            population: "exc".into(),
            receptor: "excitatory".into(),
            unit: "pA".into(),
            bits: 16,
            step: 0.03125,
            max_error: 0.0156,
        }],
        summary: Some(summary),
        resumed_ms: vec![12.5],
        checkpoints: Some(CheckpointCost { number: 3, seconds: 0.25, bytes: 4096 }),
        profile: None,
        files: dir.results().unwrap(),
    }
}

#[test]
fn records_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(folder.path(), false).unwrap();
    let record = record(&dir);
    record.write(&dir).unwrap();
    assert_eq!(RunRecord::read(folder.path()).unwrap(), record);
    assert!(record.machine.cores >= 1 && !record.machine.cpu.is_empty() && !record.machine.os.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.path("run.json")).unwrap()).unwrap();
    assert_eq!(json["status"], "interrupted");
    assert_eq!(json["summary"]["rates_hz"]["exc"], 3.25);
}

#[test]
fn overwriting_removes_own_reports_only() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(Vec::new());
    let own = folder.path().join("anything.h5");
    play(&mut SonataSpikes::create(&own, None).unwrap(), &layout, &[], 10, 10);
    let foreign = folder.path().join("network.h5");
    std::fs::write(&foreign, b"not ours").unwrap();
    assert!(matches!(OutputDir::create(folder.path(), false), Err(Error::WouldOverwrite { .. })));
    OutputDir::create(folder.path(), true).unwrap();
    assert!(!own.exists() && foreign.exists());
}

#[test]
fn existing_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spikes.h5");
    std::fs::write(&path, b"x").unwrap();
    assert!(matches!(SonataSpikes::create(&path, None), Err(Error::WouldOverwrite { .. })));
    assert!(matches!(CsvSpikes::create(&path, None), Err(Error::WouldOverwrite { .. })));
    assert!(read_spikes(Path::new("/nonexistent")).is_err());
}
