//! Strong and weak scaling of a network from a configuration file, made smaller so that it takes seconds.
//!
//! Medians over repeats, in which the numbers of threads take turns; the digests show that the spikes do not depend on
//! the number of threads.
//!
//! ```sh
//! cargo run --release --example scaling
//! ```

use tessera::prelude::*;
use tessera::scaling::Scaling;

fn main() -> Result<()> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/brunel.toml");
    // A fifth of the neurons and of the synapses of each; weights and input keep the mean and the state.
    let smaller = [
        "run.duration=\"300 ms\"",
        "population.exc.n=2000",
        "population.inh.n=500",
        "projection.excitation.n=200",
        "projection.excitation.weight=\"0.5 mV\"",
        "projection.inhibition.n=50",
        "projection.inhibition.weight=\"-2.5 mV\"",
        "stimulus.background.rate=\"4 kHz\"",
        "stimulus.background.weight=\"0.5 mV\"",
    ];
    let spec = RunSpec::load(file, &smaller.map(String::from))?;

    println!("the same network on 1 and 2 threads");
    let strong = Scaling::strong(&spec).threads([1, 2]).repeats(3).run()?;
    println!("{strong}\n");
    assert!(strong.spikes_agree(), "spikes do not depend on the number of threads");

    println!("twice the network on twice the threads");
    let weak = Scaling::weak(&spec).threads([1, 2]).repeats(3).run()?;
    println!("{weak}");
    assert!(weak.spikes_agree(), "repeats give the same spikes");
    Ok(())
}
