//! A run that goes on from a snapshot is the run: the same spikes and the same state, bit for bit, on other threads,
//! another instruction set and with other stretches of steps than the one it was taken from.

#[path = "networks/mixed.rs"]
mod networks;

use networks::mixed;
use std::ops::ControlFlow;
use std::sync::Arc;
use tessera::compute::Isa;
use tessera::engine::{
    Figures, Layout, Precision, Recorder, SimOptions, Simulation, Snapshot, Spike, SpikeRecorder, StateColumn,
    StateRecording, StateSample,
};
use tessera::error::{Error, Result};
use tessera::model::{BrainModel, ConnectionRule, Distribution, NetworkSpec, Selection, StaticSynapse, StimulusKind};
use tessera::neuron::{AdEx, LifPscDelta, LifPscExp, Parrot, SpikeTrain};

/// A network, how it is run, and for how many steps.
struct Case {
    network: NetworkSpec,
    options: SimOptions,
    steps: u64,
}

impl Case {
    fn build(&self, options: SimOptions) -> Simulation {
        Simulation::new(BrainModel::build(&self.network, 11).unwrap(), options).unwrap()
    }

    fn options(&self, threads: usize, isa: Option<Isa>) -> SimOptions {
        SimOptions { threads, isa, ..self.options.clone() }
    }

    /// Runs to a step in stretches that depend on `pace`.
    fn advance(&self, sim: &mut Simulation, to: u64, pace: u64) {
        let dt = self.options.dt;
        while sim.steps() < to {
            let left = to - sim.steps();
            match pace {
                0 => sim.run(left as f64 * dt).unwrap(),
                1 => drop(sim.run_with(left as f64 * dt, |_| ControlFlow::Break(())).unwrap()),
                n => sim.run((n * 7 % 31).min(left) as f64 * dt).unwrap(),
            }
        }
    }

    /// Snapshots of an uninterrupted run at these steps and at the end.
    fn reference(&self, at: &[u64]) -> (Vec<Snapshot>, Snapshot, Figures) {
        let mut sim = self.build(self.options(1, None));
        let mut snapshots = Vec::new();
        for step in at {
            self.advance(&mut sim, *step, 0);
            snapshots.push(sim.snapshot().unwrap());
        }
        self.advance(&mut sim, self.steps, 0);
        let last = sim.snapshot().unwrap();
        (snapshots, last, sim.figures())
    }

    /// Goes on from each snapshot on other machines, and takes every snapshot after it anew.
    fn check(&self, at: &[u64]) {
        let (snapshots, last, figures) = self.reference(at);
        assert!(figures.spikes > 500, "{} spikes do not say much", figures.spikes);
        let mut ways = vec![(1, None), (2, Some(Isa::Portable)), (3, None), (8, None)];
        ways.extend(Isa::all_available().into_iter().map(|isa| (2, Some(isa))));
        for (i, from) in snapshots.iter().enumerate() {
            let (threads, isa) = ways[i % ways.len()];
            let way = format!("from step {} on {threads} threads with {isa:?}", from.step);
            let mut sim = self.build(self.options(threads, isa));
            sim.restore(from).unwrap();
            assert_eq!(sim.steps(), from.step);
            assert!(same(&sim.snapshot().unwrap(), from), "{way}: at once");
            for (k, expected) in snapshots[i + 1..].iter().chain([&last]).enumerate() {
                self.advance(&mut sim, expected.step, (i + k) as u64 % 4);
                assert!(same(&sim.snapshot().unwrap(), expected), "{way}: in step {}", expected.step);
            }
            let found = sim.figures();
            assert_eq!(found.spike_digest, figures.spike_digest, "{way}");
            assert_eq!(found.population_spikes, figures.population_spikes, "{way}");
            assert_eq!((found.spikes, found.synaptic_events), (figures.spikes, figures.synaptic_events), "{way}");
            assert_eq!(found.simulated_ms, figures.simulated_ms);
        }
    }
}

/// Whether two snapshots agree in everything but what depends on clocks and threads.
fn same(a: &Snapshot, b: &Snapshot) -> bool {
    let bits = |column: &StateColumn| -> Vec<u64> {
        match column {
            StateColumn::F32(values) => values.iter().map(|x| u64::from(x.to_bits())).collect(),
            StateColumn::F64(values) => values.iter().map(|x| x.to_bits()).collect(),
        }
    };
    let stripped = |s: &Snapshot| {
        let mut s = s.clone();
        s.counters.sim_s = 0.0;
        s.counters.row_overflows = 0;
        s.counters.phases_s.clear();
        s
    };
    let columns = |s: &Snapshot| -> Vec<Vec<u64>> {
        s.populations.iter().flat_map(|p| p.columns.iter().map(|(_, column)| bits(column))).collect()
    };
    stripped(a) == stripped(b) && columns(a) == columns(b)
}

#[test]
fn every_model_rule_and_stimulus() {
    let case = Case { network: mixed(), options: SimOptions::default(), steps: 4000 };
    case.check(&[0, 1, 2, 9, 100, 501, 777, 1500, 2999, 3001, 3999]);
}

#[test]
fn in_double_precision() {
    let options = SimOptions { precision: Precision::F64, ..SimOptions::default() };
    Case { network: mixed(), options, steps: 2000 }.check(&[0, 1, 499, 1234, 1999]);
}

/// Spikes on their way for any time, one step to the longest delay: every arrival is one spike of a parrot.
#[test]
fn spikes_in_flight_arrive_once() {
    let mut net = NetworkSpec::default();
    let source = net.population("source", 2, SpikeTrain::from_trains(&[vec![0.5], vec![2.0]]).unwrap()).unwrap();
    let parrots = net.population("parrots", 200, Parrot::default()).unwrap();
    let synapse = StaticSynapse { weight: 1.0, delay: Distribution::Uniform { low: 0.1, high: 20.0 } };
    net.project(source, parrots, ConnectionRule::AllToAll, synapse).unwrap();
    let model = || BrainModel::build(&net, 3).unwrap();
    let run = |mut sim: Simulation, to: u64| {
        let spikes = sim.record(SpikeRecorder::all()).unwrap();
        sim.run((to - sim.steps()) as f64 * 0.1).unwrap();
        (sim.recorder(&spikes).spikes.clone(), sim.figures())
    };
    let (all, figures) = run(Simulation::new(model(), SimOptions { threads: 1, ..Default::default() }).unwrap(), 230);
    assert_eq!(figures.synaptic_events, 400);
    for at in 0..230 {
        let options = |threads| SimOptions { threads, ..Default::default() };
        let mut first = Simulation::new(model(), options(1)).unwrap();
        first.run(at as f64 * 0.1).unwrap();
        let snapshot = first.snapshot().unwrap();
        let mut second = Simulation::new(model(), options(1 + at % 3)).unwrap();
        let handle = second.record(SpikeRecorder::all()).unwrap();
        let mut snapshot = snapshot;
        snapshot.recorders.push(serde_json::Value::Null);
        second.restore(&snapshot).unwrap();
        second.run((230 - at) as f64 * 0.1).unwrap();
        let later: Vec<Spike> = all.iter().copied().filter(|s| s.step >= at as u64).collect();
        assert_eq!(second.recorder(&handle).spikes, later, "from step {at}");
        assert_eq!(second.figures().synaptic_events, 400, "from step {at}");
        assert_eq!(second.figures().spike_digest, figures.spike_digest, "from step {at}");
    }
}

/// A recorder that keeps what it is told.
#[derive(Default)]
struct Diary {
    spikes: Vec<Spike>,
    samples: Vec<(usize, u64, Vec<f32>)>,
    resumed: Option<serde_json::Value>,
}

impl Recorder for Diary {
    fn spikes(&mut self, _: u64, _: u64, spikes: &[Spike]) -> Result<()> {
        self.spikes.extend_from_slice(spikes);
        Ok(())
    }

    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        self.samples.push((sample.recording, sample.step, sample.values.to_vec()));
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<serde_json::Value> {
        Ok(serde_json::json!([self.spikes.len(), self.samples.len()]))
    }

    fn resume(&mut self, _: &Layout, place: &serde_json::Value) -> Result<()> {
        self.resumed = Some(place.clone());
        Ok(())
    }
}

fn small() -> NetworkSpec {
    let mut net = NetworkSpec::default();
    let a = net.population("a", 200, LifPscExp::default()).unwrap();
    let b = net.population("b", 40, LifPscDelta::default()).unwrap();
    net.project(a, b, ConnectionRule::FixedIndegree { n: 20 }, StaticSynapse { weight: 2.0, delay: 1.5 }).unwrap();
    net.project(b, a, ConnectionRule::FixedIndegree { n: 5 }, StaticSynapse { weight: -20.0, delay: 0.7 }).unwrap();
    net.stimulate("rain", a, 9_000.0, StimulusKind::Poisson { weight: 30.0, receptor: None }).unwrap();
    net
}

fn recorded(threads: usize) -> (Simulation, tessera::engine::RecorderHandle<Diary>) {
    let model = BrainModel::build(&small(), 5).unwrap();
    let mut sim = Simulation::new(model, SimOptions { threads, ..Default::default() }).unwrap();
    sim.record_state(StateRecording {
        name: "v".into(),
        population: 0,
        variables: vec!["v_m".into()],
        units: Vec::new(),
        neurons: Selection::Indices((0..200).step_by(17).collect()),
        every: 7,
        start: 3.0,
        stop: 40.0,
    })
    .unwrap();
    let diary = sim.record(Diary::default()).unwrap();
    (sim, diary)
}

/// What recorders are told from a resumption on is what they would have been told.
#[test]
fn recorders_are_told_the_rest() {
    let (mut whole, diary) = recorded(1);
    whole.run(50.0).unwrap();
    let whole = whole.recorder(&diary);
    assert!(whole.samples.len() > 50);
    for (at, threads) in [(0.0, 2), (0.1, 1), (3.4, 3), (20.0, 2)] {
        let (mut first, diary) = recorded(2);
        first.run(at).unwrap();
        let snapshot = first.snapshot().unwrap();
        let first = first.recorder(&diary);
        let place = serde_json::json!([first.spikes.len(), first.samples.len()]);
        assert_eq!(snapshot.recorders, std::slice::from_ref(&place));
        let (mut second, diary) = recorded(threads);
        second.restore(&snapshot).unwrap();
        second.run(50.0 - at).unwrap();
        let second = second.recorder(&diary);
        assert_eq!(second.resumed, Some(place));
        assert!([&first.spikes[..], &second.spikes].concat() == whole.spikes, "spikes from {at} ms");
        assert!([&first.samples[..], &second.samples].concat() == whole.samples, "samples from {at} ms");
    }
}

/// The number of a network is the same on any machine, and another for any change.
#[test]
fn networks_are_told_apart() {
    let number = |net: &NetworkSpec, threads, isa| {
        let options = SimOptions { threads, isa, ..Default::default() };
        Simulation::new(BrainModel::build(net, 11).unwrap(), options).unwrap().network().unwrap()
    };
    let reference = number(&mixed(), 1, None);
    for (threads, isa) in [(2, Some(Isa::Portable)), (3, None), (8, None)] {
        assert_eq!(number(&mixed(), threads, isa), reference);
    }
    let mut seen = vec![reference];
    type Change = fn(&mut NetworkSpec);
    let changes: [(&str, Change); 13] = [
        ("a weight", |net| net.projections[6].weight = (-0.26).into()),
        ("a delay", |net| net.projections[6].delay = 1.6.into()),
        ("a name", |net| net.populations[3].name = "beta".into()),
        ("a parameter", |net| net.populations[1].params[0].1 = 11.0.into()),
        ("a model's option", |net| net.populations[6].model = Arc::new(AdEx::default())),
        ("given spikes", |net| {
            let last = net.populations.len() - 1;
            net.populations[last].model = Arc::new(SpikeTrain::new(vec![(3.0, 1)]).unwrap());
        }),
        ("a rate", |net| net.stimuli[0].targets[0].level = 7_001.0),
        ("a start", |net| net.stimuli[1].start = 51.0),
        ("a selection", |net| net.stimuli[1].targets[0].neurons = Selection::Indices(vec![3, 5].into())),
        ("a kind", |net| net.stimuli[2].kind = StimulusKind::Noise { sd: 1.0, interval: 1.0 }),
        ("a stimulus's name", |net| net.stimuli[0].name = "hail".into()),
        ("a stimulus less", |net| drop(net.stimuli.pop())),
        ("a projection less", |net| drop(net.projections.pop())),
    ];
    for (what, change) in changes {
        let mut net = mixed();
        change(&mut net);
        let other = number(&net, 2, None);
        assert!(!seen.contains(&other), "{what}");
        seen.push(other);
    }
    // Initial values are state, which a snapshot brings along.
    let mut net = mixed();
    net.populations[0].initial[0].1 = (-60.0).into();
    assert_eq!(number(&net, 1, None), reference);
}

/// Snapshots of something else, and such that do not fit in themselves, are refused in one sentence.
#[test]
fn what_does_not_fit_is_refused() {
    let (mut sim, _) = recorded(1);
    sim.run(10.0).unwrap();
    let good = sim.snapshot().unwrap();
    let refused = |snapshot: &Snapshot, words: &str| {
        let (mut sim, _) = recorded(2);
        let error = sim.restore(snapshot).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        // Nothing happened to it.
        sim.restore(&good).unwrap();
        let mut again = sim.snapshot().unwrap();
        again.recorders.clone_from(&good.recorders);
        assert!(same(&again, &good), "{words}");
    };
    let change = |f: &dyn Fn(&mut Snapshot), words: &str| {
        let mut snapshot = good.clone();
        f(&mut snapshot);
        refused(&snapshot, words);
    };
    change(&|s| s.dt = 0.2, "time step");
    change(&|s| s.precision = Precision::F64, "precision f64");
    change(&|s| s.seed = 6, "seed 6");
    change(&|s| s.network ^= 1, "another network");
    change(&|s| s.recorders.clear(), "recorders");
    let misfit = "does not fit";
    change(&|s| drop(s.populations.pop()), misfit);
    change(&|s| s.populations.swap(0, 1), misfit);
    change(&|s| s.populations[0].refractory.truncate(199), misfit);
    change(&|s| s.populations[0].columns.swap(0, 1), misfit);
    change(&|s| s.populations[0].columns[0].1 = StateColumn::F32(vec![0.0; 199]), misfit);
    change(&|s| s.populations[0].columns[0].1 = StateColumn::F64(vec![0.0; 200]), misfit);
    change(&|s| s.in_flight.push(Spike { step: 1, neuron: 240 }), misfit);
    change(&|s| s.in_flight.push(Spike { step: s.step, neuron: 0 }), misfit);
    change(&|s| s.digest.open.push(Spike { step: u64::MAX, neuron: 0 }), misfit);
    change(&|s| s.counters.population_spikes.clear(), misfit);
    change(&|s| s.counters.population_spikes = vec![u64::MAX; 2], misfit);
    change(&|s| s.counters.synaptic_events = u64::MAX, misfit);
    change(&|s| s.step = u64::MAX, misfit);
    // One that has begun is not put elsewhere.
    assert!(matches!(sim.restore(&good), Err(Error::Usage(message)) if message.contains("before the first step")));
    sim.finish().unwrap();
    assert!(sim.snapshot().is_err());
}
