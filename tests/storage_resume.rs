//! A run that is stopped anywhere and goes on from its last checkpoint leaves the files of a run that was never stopped,
//! byte for byte.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tessera::engine::{Layout, PopulationLayout, Recorder, Spike, StateRecording, StateSample};
use tessera::model::Selection;
use tessera::rng::{Key, Purpose, philox};
use tessera::storage::{CsvSpikes, NpySpikes, RateTable, SonataSpikes, StateReport};

fn layout() -> Layout {
    let population = |name: &str, first, size| PopulationLayout { name: name.into(), first, size };
    let state = |name: &str, population, neurons, variables: &[&str], every, start| StateRecording {
        name: name.into(),
        population,
        variables: variables.iter().map(|v| (*v).into()).collect(),
        units: vec!["mV".into(); variables.len()],
        neurons,
        every,
        start,
        stop: f64::INFINITY,
    };
    let some = Selection::Indices([3_u32, 17, 199].into());
    Layout {
        dt: 0.1,
        populations: vec![population("exc", 0, 800), population("silent", 800, 5), population("inh", 805, 200)],
        states: vec![
            state("all", 1, Selection::All, &["v_m"], 1, 0.0),
            state("some", 2, some, &["v_m", "w"], 7, 3.0),
            state("wide", 0, Selection::All, &["v_m"], 5, 0.0),
        ],
    }
}

/// About `rate` spikes in a step.
fn spikes_of(step: u64, rate: u32) -> Vec<Spike> {
    let key = Key::new(7, Purpose::Source, 0);
    // Now and then a silence, so that populations fill their chunks at different times.
    let rate = if step / 50 % 3 == 1 { rate / 10 } else { rate };
    let mut neurons: Vec<u32> = (0..rate)
        .map(|i| philox::<10>([step as u32, i, 0, 0], key)[0] % 1000)
        .map(|n| if n < 800 { n } else { n + 5 })
        .collect();
    neurons.sort_unstable();
    neurons.dedup();
    neurons.into_iter().map(|neuron| Spike { step, neuron }).collect()
}

/// What the engine tells a recorder of the steps `from..to`.
fn tell(recorder: &mut dyn Recorder, layout: &Layout, from: u64, to: u64, rate: u32) {
    let spikes: Vec<Spike> = (from..to).flat_map(|step| spikes_of(step, rate)).collect();
    recorder.spikes(from, to, &spikes).unwrap();
    for step in from..to {
        for (recording, state) in layout.states.iter().enumerate() {
            let time = (step + 1) as f64 * layout.dt;
            if (step + 1) % state.every != 0 || time < state.start {
                continue;
            }
            let neurons = match &state.neurons {
                Selection::All => layout.populations[state.population].size as usize,
                Selection::Indices(indices) => indices.len(),
            };
            let values: Vec<f32> =
                (0..neurons * state.variables.len()).map(|i| step as f32 + i as f32 / 1024.0).collect();
            recorder.state(&StateSample { recording, step, values: &values }).unwrap();
        }
    }
}

/// The recorders under test.
const KINDS: [&str; 5] = ["sonata", "csv", "npy", "rates", "states"];

fn recorder(kind: &str, folder: &Path, resuming: bool, batch: usize) -> Box<dyn Recorder> {
    let hour = Duration::from_secs(3_600);
    let some = Some(vec!["exc".to_owned(), "inh".to_owned()]);
    let file = |name: &str| folder.join(name);
    match (kind, resuming) {
        ("sonata", false) => Box::new(SonataSpikes::create(file("spikes.h5"), some).unwrap().with_cadence(batch, hour)),
        ("sonata", true) => Box::new(SonataSpikes::resuming(file("spikes.h5"), some).with_cadence(batch, hour)),
        ("csv", false) => Box::new(CsvSpikes::create(file("spikes.csv"), None).unwrap().with_cadence(batch, hour)),
        ("csv", true) => Box::new(CsvSpikes::resuming(file("spikes.csv"), None).with_cadence(batch, hour)),
        ("npy", false) => Box::new(NpySpikes::create(folder, None).unwrap().with_cadence(batch, hour)),
        ("npy", true) => Box::new(NpySpikes::resuming(folder, None).with_cadence(batch, hour)),
        ("rates", false) => Box::new(RateTable::create(file("rates.csv"), 1.3, some).unwrap()),
        ("rates", true) => Box::new(RateTable::resuming(file("rates.csv"), 1.3, some).unwrap()),
        ("states", false) => Box::new(StateReport::create(folder).unwrap().with_cadence(batch, hour)),
        ("states", true) => Box::new(StateReport::resuming(folder).with_cadence(batch, hour)),
        _ => unreachable!(),
    }
}

/// Names and bytes of the files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .collect()
}

/// How a run stops between two checkpoints.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It is killed: nothing is closed, what waits in memory is lost.
    Kill,
    /// It is interrupted by the user: its files are completed.
    Finish,
    /// The recorder is dropped, as after a panic.
    Drop,
}

/// A part of a run: it goes on up to step `checkpoint`, makes one there, and stops somewhat later.
#[derive(Debug, Clone, Copy)]
struct Session {
    checkpoint: u64,
    beyond: u64,
    stretch: u64,
    batch: usize,
    end: End,
}

fn stretches(recorder: &mut dyn Recorder, layout: &Layout, from: u64, to: u64, stretch: u64, rate: u32) {
    let mut at = from;
    while at < to {
        let next = (at + stretch).min(to);
        tell(recorder, layout, at, next, rate);
        at = next;
    }
}

fn uninterrupted(kind: &str, steps: u64, rate: u32) -> BTreeMap<String, Vec<u8>> {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout());
    let mut recorder = recorder(kind, folder.path(), false, usize::MAX);
    recorder.start(&layout).unwrap();
    stretches(&mut *recorder, &layout, 0, steps, 400, rate);
    recorder.finish().unwrap();
    files(folder.path())
}

fn interrupted(kind: &str, steps: u64, rate: u32, sessions: &[Session]) -> BTreeMap<String, Vec<u8>> {
    let (folder, layout) = (tempfile::tempdir().unwrap(), layout());
    let mut place: Option<(u64, String)> = None;
    let open = |place: &Option<(u64, String)>, batch| {
        let mut recorder = recorder(kind, folder.path(), place.is_some(), batch);
        match place {
            // As text, as a checkpoint keeps it.
            Some((_, text)) => recorder.resume(&layout, &serde_json::from_str(text).unwrap()).unwrap(),
            None => recorder.start(&layout).unwrap(),
        }
        recorder
    };
    for session in sessions {
        let from = place.as_ref().map_or(0, |(step, _)| *step);
        let to = session.checkpoint.clamp(from, steps);
        let mut recorder = open(&place, session.batch);
        stretches(&mut *recorder, &layout, from, to, session.stretch, rate);
        place = Some((to, recorder.checkpoint().unwrap().to_string()));
        stretches(&mut *recorder, &layout, to, (to + session.beyond).min(steps), session.stretch, rate);
        match session.end {
            End::Kill => std::mem::forget(recorder),
            End::Finish => recorder.finish().unwrap(),
            End::Drop => drop(recorder),
        }
    }
    let from = place.as_ref().map_or(0, |(step, _)| *step);
    let mut recorder = open(&place, 1_000);
    stretches(&mut *recorder, &layout, from, steps, 33, rate);
    recorder.finish().unwrap();
    files(folder.path())
}

fn assert_same(kind: &str, found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{kind}");
    for (name, bytes) in expected {
        let (found, len) = (&found[name], bytes.len());
        let first = found.iter().zip(bytes).position(|(a, b)| a != b);
        assert!(
            found == bytes,
            "{kind}: {name} has {} bytes of {len}, and differs from byte {first:?} on",
            found.len()
        );
    }
}

#[test]
fn long_recordings_go_on_exactly() {
    // Several hundred chunks of spikes, so that every kind of index block of the files is met.
    let (steps, rate) = (6_000, 600);
    let session = |checkpoint, beyond, stretch, batch, end| Session { checkpoint, beyond, stretch, batch, end };
    let sessions = [
        session(700, 900, 15, 29_970, End::Kill),
        session(2_500, 10, 400, usize::MAX, End::Kill),
        session(2_500, 1_700, 1, 50_000, End::Drop),
        session(4_100, 1_900, 250, 81_920, End::Finish),
    ];
    for kind in KINDS {
        assert_same(kind, &interrupted(kind, steps, rate, &sessions), &uninterrupted(kind, steps, rate));
    }
}

/// Records 600 steps, keeps the place at step 300, and drops or kills the recorder.
fn half(kind: &str, folder: &Path, end: End) -> serde_json::Value {
    let layout = layout();
    let mut recorder = recorder(kind, folder, false, usize::MAX);
    recorder.start(&layout).unwrap();
    stretches(&mut *recorder, &layout, 0, 300, 50, 100);
    let place = recorder.checkpoint().unwrap();
    stretches(&mut *recorder, &layout, 300, 600, 50, 100);
    match end {
        End::Kill => std::mem::forget(recorder),
        End::Finish => recorder.finish().unwrap(),
        End::Drop => drop(recorder),
    }
    place
}

#[test]
fn nothing_changes_before_the_run_goes_on() {
    let layout = layout();
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let place = half(kind, folder.path(), End::Finish);
        let before = files(folder.path());
        let mut dropped = recorder(kind, folder.path(), true, 100);
        dropped.resume(&layout, &place).unwrap();
        drop(dropped);
        assert_same(kind, &files(folder.path()), &before);
        // A kill leaves a file beside, which the next attempt replaces.
        let mut killed = recorder(kind, folder.path(), true, 100);
        killed.resume(&layout, &place).unwrap();
        std::mem::forget(killed);
        let mut kept = files(folder.path());
        kept.retain(|name, _| !name.ends_with(".part"));
        assert_same(kind, &kept, &before);
        let mut again = recorder(kind, folder.path(), true, 100);
        again.resume(&layout, &place).unwrap();
        stretches(&mut *again, &layout, 300, 600, 7, 100);
        again.finish().unwrap();
        assert_same(kind, &files(folder.path()), &before);
    }
}

#[test]
fn a_run_that_ends_at_its_checkpoint_is_completed() {
    let layout = layout();
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let place = half(kind, folder.path(), End::Kill);
        let mut recorder = recorder(kind, folder.path(), true, 100);
        recorder.resume(&layout, &place).unwrap();
        recorder.finish().unwrap();
        assert_same(kind, &files(folder.path()), &uninterrupted(kind, 300, 100));
    }
}

#[test]
fn files_of_other_runs_are_refused() {
    let layout = layout();
    let refused = |kind: &str, folder: &Path, layout: &Layout, place: &serde_json::Value| -> String {
        let before = files(folder);
        let mut recorder = recorder(kind, folder, true, 100);
        let error = recorder.resume(layout, place).expect_err(kind);
        drop(recorder);
        assert_same(kind, &files(folder), &before);
        error.to_string()
    };
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let place = half(kind, folder.path(), End::Finish);
        // A run that got less far.
        let short = tempfile::tempdir().unwrap();
        half(kind, short.path(), End::Finish);
        for (name, bytes) in files(short.path()) {
            let whole = uninterrupted(kind, 100, 20);
            let bytes = if name.ends_with(".h5") { &whole[&name] } else { &bytes[..bytes.len() / 4] };
            std::fs::write(short.path().join(name), bytes).unwrap();
        }
        let error = refused(kind, short.path(), &layout, &place);
        assert!(error.contains("the checkpoint needs the first"), "{kind}: {error}");
        // No file, a file that is something else, a place of nothing.
        let empty = tempfile::tempdir().unwrap();
        let error = refused(kind, empty.path(), &layout, &place);
        assert!(error.contains("No such file"), "{kind}: {error}");
        for name in files(folder.path()).keys() {
            std::fs::write(empty.path().join(name), vec![b'x'; 1 << 20]).unwrap();
        }
        refused(kind, empty.path(), &layout, &place);
        let error = refused(kind, folder.path(), &layout, &serde_json::Value::Null);
        assert!(error.contains("the checkpoint does not say"), "{kind}: {error}");
        // Another network.
        let mut other = layout.clone();
        other.populations[0].name = "else".into();
        other.populations[2].name = "inhibitory".into();
        other.states[1].variables[0] = "v".into();
        let error = match kind {
            "sonata" => {
                SonataSpikes::resuming(folder.path().join("spikes.h5"), None).resume(&other, &place).unwrap_err()
            }
            "rates" => RateTable::resuming(folder.path().join("rates.csv"), 1.3, None)
                .unwrap()
                .resume(&other, &place)
                .unwrap_err(),
            _ => recorder(kind, folder.path(), true, 1).resume(&other, &place).unwrap_err(),
        };
        let error = error.to_string();
        assert!(error.contains("by the checkpoint; the run records"), "{kind}: {error}");
    }
}

#[test]
fn places_out_of_range_are_errors() {
    // What a damaged or edited checkpoint may say.
    let layout = layout();
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let text = half(kind, folder.path(), End::Finish).to_string();
        let mut at = 0;
        while let Some(begin) = text[at..].find(|c: char| c.is_ascii_digit()).map(|i| at + i) {
            let end = begin + text[begin..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - begin);
            for number in ["0", "1", "4611686018427387904", "18446744073709551615", "99999999999999999999", "-1"] {
                let edited: serde_json::Value =
                    serde_json::from_str(&format!("{}{number}{}", &text[..begin], &text[end..])).unwrap();
                // Some of these are places too; what counts is that each call returns.
                let mut recorder = recorder(kind, folder.path(), true, 100);
                let _ = recorder.resume(&layout, &edited);
            }
            at = end;
        }
    }
}

fn session() -> impl Strategy<Value = Session> {
    let end = prop_oneof![2 => Just(End::Kill), 1 => Just(End::Finish), 1 => Just(End::Drop)];
    let batch = prop_oneof![5_000_usize..20_000, Just(usize::MAX)];
    (0_u64..600, 0_u64..300, 1_u64..90, batch, end).prop_map(|(checkpoint, beyond, stretch, batch, end)| Session {
        checkpoint,
        beyond,
        stretch,
        batch,
        end,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_stop_is_forgotten(mut sessions in prop::collection::vec(session(), 1..5), rate in 0_u32..150) {
        sessions.sort_by_key(|s| s.checkpoint);
        for kind in KINDS {
            assert_same(kind, &interrupted(kind, 600, rate, &sessions), &uninterrupted(kind, 600, rate));
        }
    }
}
