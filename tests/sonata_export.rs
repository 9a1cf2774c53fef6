//! Networks written as SONATA folders hold what the simulation has, and h5py, libsonata and BMTK read them.
//!
//! Where Python comes from, and what happens without it, stands in `python/venv.rs`.

#[path = "python/venv.rs"]
mod venv;

use serde_json::{Value, json};
use std::path::Path;
use tessera::config::RunSpec;
use tessera::engine::{Connectivity, SimOptions, Simulation, SpikeRecorder};
use tessera::interop::sonata::{Export, ExportOptions};
use tessera::model::{
    BrainModel, ConnectionRule, DelaySpec, Distribution, NetworkSpec, Selection, StaticSynapse, StimulusKind,
};
use tessera::neuron::{Currents, Integrator, LifCondExp, LifPscAlpha, LifPscExp, SpikeTrain};

const DT: f64 = 0.1;

/// Three models, positions, parameters of one and of all neurons, several projections between two populations, sources,
/// currents and given spikes.
fn network() -> NetworkSpec {
    let mut net = NetworkSpec::default();
    let exc = net.population("L23 exc", 60, LifPscExp { currents: Currents::Separate, ..Default::default() }).unwrap();
    let separate = LifPscAlpha { tau_syn_ex: 0.5, tau_syn_in: 3.0, currents: Currents::Separate, ..Default::default() };
    let inh = net.population("inh", 20, separate).unwrap();
    let rk4 = LifCondExp { integrator: Integrator::Rk4, ..Default::default() };
    let cond = net.population("cond", 5, rk4).unwrap();
    let apart = LifPscExp { e_l: -66.0, currents: Currents::Separate, ..Default::default() };
    let alone = net.population("alone", 3, apart).unwrap();
    let trains = SpikeTrain::new(vec![(3.0, 0), (1.04, 2), (7.0, 2), (4.4, 9)]).unwrap();
    let source = net.population("source", 10, trains).unwrap();
    net.populations[exc.0].params.push(("v_th".into(), Distribution::normal(-52.0, 1.0)));
    net.populations[exc.0].initial.push(("v_m".into(), Distribution::Uniform { low: -70.0, high: -56.0 }));
    let positions: Vec<[f32; 4]> = (0..20).map(|i| [i as f32 * 0.1, -3.0, 1e4, i as f32]).collect();
    net.populations[inh.0].placement = tessera::model::Placement::Positions(positions.into());
    let drawn = |weight| StaticSynapse { weight: Distribution::normal(weight, 7.0), delay: 1.5 };
    for target in [exc, inh] {
        net.project(exc, target, ConnectionRule::FixedIndegree { n: 9 }, drawn(45.0)).unwrap();
        net.project(inh, target, ConnectionRule::Bernoulli { p: 0.4 }, drawn(-120.0)).unwrap();
        net.project(source, target, ConnectionRule::FixedOutdegree { n: 6 }, drawn(300.0)).unwrap();
    }
    // A second projection between the same populations, with other delays; and conductances of both signs.
    net.project(exc, exc, ConnectionRule::FixedTotal { n: 100 }, drawn(20.0)).unwrap();
    let last = net.projections.last_mut().unwrap();
    last.delay = DelaySpec::Drawn(Distribution::Uniform { low: 0.1, high: 9.0 });
    net.project(exc, cond, ConnectionRule::AllToAll, StaticSynapse { weight: 40.0, delay: 0.1 }).unwrap();
    net.project(inh, cond, ConnectionRule::AllToAll, StaticSynapse { weight: -0.5, delay: 0.1 }).unwrap();
    net.stimulate("push", exc, 520.0, StimulusKind::Dc).unwrap();
    net.stimulate("pulse", inh, 500.0, StimulusKind::Dc).unwrap();
    let pulse = net.stimuli.last_mut().unwrap();
    (pulse.start, pulse.stop) = (20.0, 60.0);
    pulse.targets[0].neurons = Selection::Indices([1, 4, 19].into());
    let events = [(2.0, 0), (2.0, 0), (30.5, 2)];
    let kick = StimulusKind::Spikes { events: events.into(), weight: 3000.0, receptor: None };
    net.stimulate("kick", alone, 1.0, kick).unwrap();
    net
}

fn options() -> ExportOptions {
    ExportOptions { dt: DT, duration_ms: 200.0, drop_stimuli: false }
}

/// Writes the network into `folder/net` and what it should hold into `folder/expected.json`.
fn export(folder: &Path) {
    let model = BrainModel::build(&network(), 11).unwrap();
    let connectivity = Connectivity::build(&model, &SimOptions { dt: DT, threads: 2, ..Default::default() }).unwrap();
    let export = Export::new(&model, options()).unwrap();
    assert_eq!(export.left_out(), [""; 0]);
    let written = export.write(&connectivity, &folder.join("net"), false).unwrap();
    assert_eq!(written.edges, connectivity.synapses() + 6, "two layers of three sources for `kick`");
    assert_eq!(written.nodes, u64::from(model.neurons()) + 6);
    assert!(written.files.iter().all(|file| file.is_file()));

    let mut edges = serde_json::Map::new();
    let name_of = |neuron: u32| {
        let population = model.populations().iter().rev().find(|p| p.first() <= neuron).unwrap();
        (population.name(), neuron - population.first())
    };
    let mut synapses = Vec::new();
    for source in 0..model.neurons() {
        synapses.clear();
        connectivity.synapses_of(&model, source, &mut synapses).unwrap();
        for synapse in &synapses {
            let (from, to) = (name_of(source), name_of(synapse.target));
            let list = edges.entry(format!("{}_to_{}", from.0, to.0)).or_insert_with(|| json!([]));
            let edge = json!([from.1, to.1, synapse.weight, f64::from(synapse.delay) / 10.0]);
            list.as_array_mut().unwrap().push(edge);
        }
    }
    let kicks: Vec<Value> = (0..6).map(|node| json!([node, node % 3, 3000.0, DT])).collect();
    edges.insert("kick_to_alone".into(), kicks.into());
    let sizes: serde_json::Map<String, Value> = model
        .populations()
        .iter()
        .map(|p| (p.name().to_owned(), json!(p.size())))
        .chain([("kick".to_owned(), json!(6))])
        .collect();
    let v_m = model.initial_column(model.population("L23 exc").unwrap().0, 0, 0..60);
    let at = |sent: &[(u32, u32)]| sent.iter().map(|(step, node)| (f64::from(*step) / 10.0, *node)).collect::<Vec<_>>();
    let expected = json!({
        "edges": edges,
        "sizes": sizes,
        "positions": (0..20).map(|i| model.population("inh").unwrap().1.position(i)).collect::<Vec<_>>(),
        "v_m": v_m,
        "spikes": {
            "source": at(&[(10, 2), (30, 0), (44, 9), (70, 2)]),
            "kick": at(&[(19, 0), (19, 3), (304, 2)]),
        },
    });
    std::fs::write(folder.join("expected.json"), expected.to_string()).unwrap();
}

#[test]
fn the_same_network_makes_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let model = BrainModel::build(&network(), 11).unwrap();
    let export = Export::new(&model, options()).unwrap();
    let written: Vec<_> = [1, 3]
        .into_iter()
        .map(|threads| {
            let options = SimOptions { dt: DT, threads, ..Default::default() };
            let connectivity = Connectivity::build(&model, &options).unwrap();
            let folder = folder.path().join(format!("net_{threads}"));
            let written = export.write(&connectivity, &folder, false).unwrap();
            written.files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    assert!(written[0] == written[1]);
}

/// Spikes of every population as (ms, neuron).
fn spikes(sim: &mut Simulation, populations: &[String]) -> Vec<Vec<(f64, u32)>> {
    let spikes = sim.record(SpikeRecorder::all()).unwrap();
    sim.run(200.0).unwrap();
    populations.iter().map(|name| sim.recorder(&spikes).of_population(name).to_vec()).collect()
}

/// Weights lie on a grid of a power of two, so nothing is lost on the way.
#[test]
fn an_export_that_is_read_back_makes_the_same_spikes() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path());
    let spec = RunSpec::from_file(folder.path().join("net/simulation_config.json")).unwrap();
    assert_eq!((spec.run.dt_ms, spec.run.duration_ms, spec.run.seed), (DT, 200.0, 11));
    let model = BrainModel::build(&network(), 11).unwrap();
    let names: Vec<String> = model.populations().iter().map(|p| p.name().to_owned()).collect();
    let again = spikes(&mut spec.build().unwrap(), &names);
    let options = SimOptions { dt: DT, precision: spec.run.precision, ..Default::default() };
    let first = spikes(&mut Simulation::new(model, options).unwrap(), &names);
    for ((name, first), again) in names.iter().zip(&first).zip(&again) {
        assert!(!first.is_empty(), "{name} is silent");
        assert!(first == again, "{name}: {} and {} spikes", first.len(), again.len());
    }
}

#[test]
fn other_programs_read_an_export() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path());
    let Some(python) = venv::python_with_bmtk() else { return };
    venv::run_script(&python, "read_network.py", folder.path());
}
