//! Timing whole configurations: how long networks take to build and to run.

use super::measurements::{Item, Kind, Measurements};
use crate::config::RunSpec;
use crate::engine::Figures;
use crate::error::{Error, Result};

/// The configurations that come with the program and are timed where none is named: name and text.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("quickstart", include_str!("../../configs/quickstart.toml")),
    ("cuba", include_str!("../../configs/cuba.toml")),
    ("brunel", include_str!("../../configs/brunel.toml")),
    ("lattice_4d", include_str!("../../configs/lattice_4d.toml")),
];

/// Times configurations, several times over in turn. Nothing is recorded.
#[derive(Debug)]
pub struct ConfigBench {
    /// Names and configurations.
    pub specs: Vec<(String, RunSpec)>,
    /// Times each is built and run.
    pub repeats: usize,
}

impl ConfigBench {
    /// Measures. Repeats go round the configurations, so that a drift of the machine's speed meets all. `progress` is told
    /// what is under way.
    ///
    /// # Errors
    /// If there is nothing to do, a run fails, or the spikes of two repeats differ.
    pub fn run(&self, mut progress: impl FnMut(&str)) -> Result<Measurements> {
        if self.specs.is_empty() || self.repeats == 0 {
            return Err(Error::Usage("a benchmark needs at least one configuration and one repeat".to_owned()));
        }
        let mut runs: Vec<Vec<Figures>> = vec![Vec::new(); self.specs.len()];
        let mut memory = vec![0; self.specs.len()];
        for repeat in 0..self.repeats {
            for (number, (name, spec)) in self.specs.iter().enumerate() {
                progress(&format!("repeat {} of {}: {name}", repeat + 1, self.repeats));
                let mut sim = spec.build()?;
                sim.run(spec.run.duration_ms)?;
                sim.finish()?;
                memory[number] = sim.memory(name).counted();
                runs[number].push(sim.figures());
            }
        }
        let isa = runs[0][0].isa.to_string();
        let mut measurements = Measurements::now(Kind::Run, isa);
        for (((name, _), runs), bytes) in self.specs.iter().zip(&runs).zip(memory) {
            let first = &runs[0];
            if let Some(other) = runs.iter().find(|run| run.spike_digest != first.spike_digest) {
                return Err(Error::Usage(format!(
                    "the spikes of two runs of {name} differ (digests {} and {}): this should never happen",
                    first.spike_digest, other.spike_digest
                )));
            }
            let samples = |seconds: fn(&Figures) -> f64| runs.iter().map(seconds).collect();
            let build = Item::new(format!("{name}: build"), samples(|run| run.build_s))
                .with("synapses", first.synapses)
                .with("threads", first.threads);
            let simulate = Item::new(format!("{name}: simulate"), samples(|run| run.sim_s))
                .with("simulated_ms", first.simulated_ms)
                .with("neurons", first.neurons)
                .with("synaptic_events", first.synaptic_events)
                .with("counted_bytes", bytes)
                .with("threads", first.threads)
                .with("spike_digest", first.spike_digest.clone());
            measurements.items.extend([build, simulate]);
        }
        // What took no time at all cannot be compared.
        for item in &mut measurements.items {
            item.samples_s.iter_mut().for_each(|s| *s = s.max(1e-9));
        }
        Ok(measurements)
    }
}
