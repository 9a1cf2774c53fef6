//! Published networks behave as published: rates and irregularity.
//!
//! The configurations run as they come with the program, at full size. Bounds are those of other simulators and of
//! different seeds, so that a change of the random numbers does not matter and a change of the physics does.

use std::path::PathBuf;
use tessera::config::RunSpec;
use tessera::engine::SpikeRecorder;
use tessera::plot::Window;
use tessera::plot::statistics::{isi_cvs, mean, mean_rate_hz, population_rate_hz};
use tessera::storage::PopulationSpikes;

/// Spikes of every population of a configuration.
fn spikes_of(config: &str, overrides: &[&str]) -> Vec<PopulationSpikes> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs").join(config);
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let spec = RunSpec::load(path, &overrides).unwrap();
    let mut sim = spec.build().unwrap();
    let recorder = sim.record(SpikeRecorder::all()).unwrap();
    sim.run(spec.run.duration_ms).unwrap();
    let recorder = sim.recorder(&recorder);
    let populations = &sim.layout().populations;
    populations
        .iter()
        .map(|p| {
            let (times_ms, ids) = recorder.of_population(&p.name).into_iter().unzip();
            PopulationSpikes { name: p.name.clone(), size: p.size, times_ms, ids }
        })
        .collect()
}

/// Mean rate over all neurons, Hz.
fn rate(populations: &[PopulationSpikes], window: Window) -> f64 {
    let neurons: u32 = populations.iter().map(|p| p.size).sum();
    populations.iter().map(|p| mean_rate_hz(p, window) * f64::from(p.size)).sum::<f64>() / f64::from(neurons)
}

/// Mean coefficient of variation of the intervals between spikes, over the neurons that have intervals.
fn cv(populations: &[PopulationSpikes], window: Window) -> f64 {
    let cvs: Vec<f64> = populations.iter().flat_map(|p| isi_cvs(p, window)).flatten().collect();
    mean(&cvs).unwrap()
}

fn within(what: &str, value: f64, low: f64, high: f64) {
    println!("{what}: {value:.3}");
    assert!((low..=high).contains(&value), "{what} is {value}; expected is {low} to {high}");
}

/// Brunel (2000), J Comput Neurosci 8:183-208: 32.0 Hz (NEST, Auryn and Brian2 agree), hardly irregular (CV 0.17).
#[test]
fn brunel_fires_at_32_hz() {
    let spikes = spikes_of("brunel.toml", &["run.duration=600 ms"]);
    let window = Window::new(100.0, 600.0).unwrap();
    within("rate", rate(&spikes, window), 32.0 * 0.98, 32.0 * 1.02);
    // Both populations receive the same input.
    let difference = mean_rate_hz(&spikes[0], window) - mean_rate_hz(&spikes[1], window);
    within("excitatory minus inhibitory rate", difference, -0.3, 0.3);
    within("CV", cv(&spikes, window), 0.15, 0.19);
}

/// Vogels & Abbott (2005), J Neurosci 25:10786-10795, in the form of Brette et al. (2007), benchmark 2.
#[test]
fn cuba_keeps_itself_going() {
    let spikes = spikes_of("cuba.toml", &["run.duration=2200 ms"]);
    let window = Window::new(200.0, 2200.0).unwrap();
    within("rate", rate(&spikes, window), 5.2, 5.7);
    within("CV", cv(&spikes, window), 0.65, 0.8);
    let last = population_rate_hz(&spikes[0], window, 100.0);
    assert!(last.iter().all(|r| *r > 3.0), "activity lasts to the end: {last:?}");
}

/// As above, benchmark 1: conductances instead of currents.
#[test]
fn coba_keeps_itself_going() {
    let spikes = spikes_of("coba.toml", &["run.duration=2200 ms"]);
    let window = Window::new(200.0, 2200.0).unwrap();
    within("rate", rate(&spikes, window), 19.0, 21.0);
    within("CV", cv(&spikes, window), 1.5, 2.1);
    let last = population_rate_hz(&spikes[0], window, 100.0);
    assert!(last.iter().all(|r| *r > 5.0), "activity lasts to the end: {last:?}");
}
