//! A neuron model of your own: the quadratic integrate-and-fire neuron, written as a closure over blocks of neurons.
//!
//! ```text
//! tau dv/dt = v^2 + eta + (weights that arrive)
//! v >= v_peak: spike, v = -v_peak
//! ```
//!
//! Alone, a neuron with eta > 0 fires with the period `2 tau / sqrt(eta) * atan(v_peak / sqrt(eta))` (Ermentrout &
//! Kopell 1986, "Parabolic bursting in an excitable system coupled with a slow oscillation"); the example compares.
//! Then the neurons excite each other, and the rate goes up.
//!
//! ```sh
//! cargo run --release --example own_neuron_model
//! ```

use tessera::neuron::{Block, Polarity, Prepare, Receptor, Stepper};
use tessera::prelude::*;

/// Quadratic integrate-and-fire neuron. All quantities but `tau` are dimensionless.
#[derive(Debug, Clone)]
struct Qif {
    /// Time constant, ms.
    tau: f64,
    /// Peak, and minus the reset.
    v_peak: f64,
}

const VARIABLES: &[Variable] = &[Variable::new("v", "", -1.0)];

impl NeuronModel for Qif {
    fn name(&self) -> &str {
        "qif"
    }

    fn variables(&self) -> &[Variable] {
        VARIABLES
    }

    fn receptors(&self, _: &tessera::neuron::ParamTable) -> Vec<Receptor> {
        vec![Receptor { name: "pulse", unit: "", polarity: Polarity::Signed }]
    }

    /// Called once for every part of a population. The closure is the step; it holds the constants of this time step.
    ///
    /// One call takes a block of neurons, so that the engine's dynamic call costs nothing for each neuron. Only
    /// additions and multiplications are used: they round alike on every machine.
    fn stepper_f32(&self, prepare: &Prepare<'_>) -> Result<Box<dyn Stepper<f32>>> {
        let rate = (prepare.dt / self.tau) as f32;
        let peak = self.v_peak as f32;
        Ok(Box::new(move |block: &mut Block<'_, f32>| {
            for i in 0..block.len {
                // Injected current plays the part of eta.
                let eta = block.current.map_or(0.0, |current| current[i]);
                let v = block.columns[0][i];
                let next = v + rate * (v * v + eta) + block.inputs[0][i];
                if next >= peak {
                    block.columns[0][i] = -peak;
                    block.spike(i);
                } else {
                    block.columns[0][i] = next;
                }
            }
        }))
    }
}

const NEURONS: u32 = 1_000;

/// Mean rate (Hz) with drive `eta` and, between the neurons, pulses of this size.
fn rate(qif: &Qif, eta: f64, pulse: f64) -> Result<f64> {
    let mut net = NetworkSpec::default();
    let neurons = net.population("qif", NEURONS, qif.clone())?;
    net.vary(neurons, "v", Distribution::Uniform { low: -5.0, high: 5.0 })?;
    net.stimulate("drive", neurons, eta, StimulusKind::Dc)?;
    if pulse != 0.0 {
        let synapse = StaticSynapse { weight: pulse, delay: Distribution::Uniform { low: 0.5, high: 5.0 } };
        net.project(neurons, neurons, ConnectionRule::FixedIndegree { n: 100 }, synapse)?;
    }
    let model = BrainModel::build(&net, 7)?;
    let mut sim = Simulation::new(model, SimOptions { dt: 0.005, threads: 2, ..Default::default() })?;
    let spikes = sim.record(SpikeRecorder::all())?;
    sim.run(500.0)?;
    Ok(sim.recorder(&spikes).mean_rate_hz())
}

fn main() -> Result<()> {
    let qif = Qif { tau: 10.0, v_peak: 100.0 };
    println!("{:>5} {:>14} {:>14} {:>14}", "eta", "expected, Hz", "alone, Hz", "coupled, Hz");
    for eta in [0.5f64, 1.0, 2.0, 4.0] {
        let root = eta.sqrt();
        let expected = 1e3 / (2.0 * qif.tau / root * (qif.v_peak / root).atan());
        let alone = rate(&qif, eta, 0.0)?;
        let coupled = rate(&qif, eta, 0.005)?;
        println!("{eta:>5} {expected:>14.2} {alone:>14.2} {coupled:>14.2}");
        assert!((alone / expected - 1.0).abs() < 0.03, "the rate is that of the formula");
        assert!(coupled > alone, "excitation raises the rate");
    }
    Ok(())
}
