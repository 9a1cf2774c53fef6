//! A balanced random network, described in Rust: 4,000 excitatory and 1,000 inhibitory neurons with delta synapses and
//! Poisson input, in which inhibition holds the mean potential below the threshold and fluctuations make the spikes:
//! the asynchronous irregular state of Brunel (2000), "Dynamics of sparsely connected networks of excitatory and
//! inhibitory spiking neurons".
//!
//! It is run twice, on one thread and on two: the spikes are the same.
//!
//! ```sh
//! cargo run --release --example run_network
//! ```

use tessera::plot::statistics::{Window, isi_cvs, mean, mean_rate_hz};
use tessera::prelude::*;
use tessera::storage::PopulationSpikes;

/// Duration of a run, ms, and what of it is left out of the statistics.
const DURATION: f64 = 600.0;
const WARM_UP: f64 = 100.0;

fn network() -> Result<NetworkSpec> {
    let mut net = NetworkSpec::default();
    // Potentials are measured from rest.
    let neuron = || LifPscDelta { tau_m: 20.0, t_ref: 2.0, e_l: 0.0, v_reset: 0.0, v_th: 20.0, ..Default::default() };
    let exc = net.population("exc", 4_000, neuron())?;
    let inh = net.population("inh", 1_000, neuron())?;
    for population in [exc, inh] {
        net.vary(population, "v_m", Distribution::Uniform { low: 0.0, high: 20.0 })?;
        // Weights in mV, delays in ms. Inhibition is six times as strong as excitation and a quarter as frequent.
        let excitation = StaticSynapse { weight: 0.5, delay: Distribution::Uniform { low: 0.5, high: 2.5 } };
        let inhibition = StaticSynapse { weight: -3.0, delay: Distribution::Uniform { low: 0.5, high: 2.5 } };
        net.project(exc, population, ConnectionRule::FixedIndegree { n: 400 }, excitation)?;
        net.project(inh, population, ConnectionRule::FixedIndegree { n: 100 }, inhibition)?;
    }
    // One and a half times the input that alone holds the mean at the threshold: 20 mV / (0.5 mV * 20 ms) = 2 kHz.
    for (name, population) in [("input_exc", exc), ("input_inh", inh)] {
        net.stimulate(name, population, 3_000.0, StimulusKind::Poisson { weight: 0.5, receptor: None })?;
    }
    Ok(net)
}

fn main() -> Result<()> {
    let net = network()?;
    let mut digests = Vec::new();
    for threads in [1, 2] {
        let model = BrainModel::build(&net, 42)?;
        let mut sim = Simulation::new(model, SimOptions { threads, ..Default::default() })?;
        let recorder = sim.record(SpikeRecorder::all())?;
        sim.run(DURATION)?;

        let figures = sim.figures();
        println!(
            "{threads} thread(s): {} neurons, {} synapses, built in {:.2} s, real-time factor {:.3}, digest {}",
            figures.neurons,
            figures.synapses,
            figures.build_s,
            figures.real_time_factor(),
            figures.spike_digest
        );
        if threads == 1 {
            let window = Window::new(WARM_UP, DURATION)?;
            for population in &sim.layout().populations {
                let (times_ms, ids) = sim.recorder(&recorder).of_population(&population.name).into_iter().unzip();
                let spikes = PopulationSpikes { name: population.name.clone(), size: population.size, times_ms, ids };
                let cvs: Vec<f64> = isi_cvs(&spikes, window).into_iter().flatten().collect();
                println!(
                    "  {}: {:.1} Hz, coefficient of variation of intervals {:.2}",
                    spikes.name,
                    mean_rate_hz(&spikes, window),
                    mean(&cvs).unwrap_or(f64::NAN)
                );
            }
        }
        digests.push(figures.spike_digest);
    }
    assert_eq!(digests[0], digests[1], "spikes do not depend on the number of threads");
    println!("both runs gave the same spikes");
    Ok(())
}
