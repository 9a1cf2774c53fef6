//! Two areas on a 4D lattice, each with excitatory and inhibitory neurons connected by distance. A sense drives the
//! middle of the first area; the second hears of it through connections along the fourth axis. Prints the rates of
//! the areas before and during the stimulus, and draws where the lattice was active.
//!
//! ```sh
//! cargo run --release --example lattice_areas -- [folder for the picture, results/lattice_areas]
//! ```

use std::path::PathBuf;
use tessera::plot::{LatticeActivity, LatticeMap, Window};
use tessera::prelude::*;
use tessera::storage::PopulationSpikes;

/// Time at which the stimulus begins and at which the run ends, ms.
const ONSET: f64 = 200.0;
const END: f64 = 500.0;

/// Connections whose probability falls with distance as a gaussian of this sigma (um), cut off at three sigma.
fn nearby(p_max: f64, sigma: f64) -> ConnectionRule {
    ConnectionRule::Distance(DistanceRule {
        kernel: DistanceKernel { shape: KernelShape::Gaussian, extent: sigma },
        p_max,
        cutoff: 3.0 * sigma,
        // A step along w counts as a quarter of one in space: areas are near each other although they do not overlap.
        scale: [1.0, 1.0, 1.0, 4.0],
        hop_w: 1.0,
    })
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from("results/lattice_areas"), PathBuf::from);

    // 16 x 16 x 2 cells in space, and two sheets of them along w: an area each.
    let mut lattice = Lattice4::new([16, 16, 2, 2])?;
    lattice.spacing = [50.0; 4];
    lattice.periodic = [true, true, false, false];
    let mut net = NetworkSpec::new(lattice);
    let sensory = net.area("sensory", Box4 { lo: [0, 0, 0, 0], hi: [16, 16, 2, 1] })?;
    let higher = net.area("higher", Box4 { lo: [0, 0, 0, 1], hi: [16, 16, 2, 2] })?;

    let neuron = || LifPscExp { tau_m: 20.0, tau_syn_ex: 3.0, tau_syn_in: 6.0, ..Default::default() };
    let mut excitatory = Vec::new();
    for (name, area) in [("sensory", sensory), ("higher", higher)] {
        let exc = net.population(&format!("{name}_exc"), Placement::Region { region: area, density: 2.0 }, neuron())?;
        let inh = net.population(&format!("{name}_inh"), Placement::Region { region: area, density: 0.5 }, neuron())?;
        // Signals travel at 0.2 m/s = 200 um/ms.
        let delay = DelaySpec::Distance { velocity: 200.0, offset: 0.5 };
        for (population, input) in [(exc, 700.0), (inh, 500.0)] {
            net.vary(population, "v_m", Distribution::Uniform { low: -70.0, high: -56.0 })?;
            let excitation = StaticSynapse { weight: Distribution::normal(30.0, 6.0), delay: delay.clone() };
            net.project(exc, population, nearby(0.3, 80.0), excitation)?.autapses = false;
            let inhibition = StaticSynapse { weight: -110.0, delay: delay.clone() };
            net.project(inh, population, nearby(0.4, 110.0), inhibition)?.autapses = false;
            let poisson = StimulusKind::Poisson { weight: 60.0, receptor: None };
            net.stimulate(&format!("background_{}", population.0), population, input, poisson)?;
        }
        excitatory.push(exc);
    }
    let (from, to) = (excitatory[0], excitatory[1]);
    net.project(from, to, nearby(0.4, 60.0), StaticSynapse { weight: 45.0, delay: 8.0 })?;

    // The neurons of a patch, by where they are: only a built model has placed them.
    let placed = BrainModel::build(&net, 1)?;
    let patch = Box4 { lo: [4, 4, 0, 0], hi: [12, 12, 2, 1] };
    let population = &placed.populations()[from.0];
    let chosen: Vec<u32> =
        (0..population.size()).filter(|i| population.cell(*i).is_some_and(|cell| patch.contains(cell))).collect();
    println!("the sense drives {} of the {} neurons of `{}`", chosen.len(), population.size(), population.name());
    let sense = net.stimulate("sense", from, 150.0, StimulusKind::Dc)?;
    sense.targets[0].neurons = Selection::Indices(chosen.into());
    sense.start = ONSET;

    let mut sim = Simulation::new(BrainModel::build(&net, 1)?, SimOptions { threads: 2, ..Default::default() })?;
    let recorder = sim.record(SpikeRecorder::all())?;
    sim.run(END)?;

    let during = Window::new(ONSET, END)?;
    let mut activity = LatticeActivity::new([16, 16, 2, 2], during)?;
    println!("{:<12} {:>8} {:>12} {:>12}", "population", "neurons", "before, Hz", "during, Hz");
    let mut rates = Vec::new();
    for population in sim.model().populations() {
        let (times_ms, ids) = sim.recorder(&recorder).of_population(population.name()).into_iter().unzip();
        let spikes = PopulationSpikes { name: population.name().to_owned(), size: population.size(), times_ms, ids };
        let rate = |from: f64, to: f64| -> Result<f64> {
            Ok(tessera::plot::statistics::mean_rate_hz(&spikes, Window::new(from, to)?))
        };
        rates.push((rate(0.0, ONSET)?, rate(ONSET, END)?));
        let (before, after) = rates[rates.len() - 1];
        println!("{:<12} {:>8} {before:>12.2} {after:>12.2}", spikes.name, spikes.size);
        let cells: Vec<Cell> = (0..population.size()).filter_map(|i| population.cell(i)).collect();
        activity.add_population(&spikes, &cells, during)?;
    }
    assert!(rates[to.0].1 > rates[to.0].0, "the second area hears of it");

    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "create", e))?;
    let map = LatticeMap { title: "Activity during the stimulus".into(), ..LatticeMap::new(&activity) };
    for file in map.picture().save(&folder, "lattice")? {
        println!("{}", file.display());
    }
    Ok(())
}
