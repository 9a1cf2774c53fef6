//! `tessera convert`: the same content in another format.

use super::convert_network::{self, NetworkOptions};
use super::{DONE, say};
use crate::error::{Error, Result};
use crate::storage::{self, Compression, SpikeFormat};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ConvertArgs {
    /// What to convert. Spikes: a file (.h5, .csv, spikes_<population>_times.npy) or a results folder. A network: a
    /// configuration (.toml, .json), a model file, a SONATA folder, a list of synapses (.csv, .txt, .npy,
    /// .npz).
    input: PathBuf,
    /// What to write; its name says the format. Spikes: a .h5 file (SONATA), a .csv file, or a folder for NPY arrays. A
    /// network: a model file (.h5), a list of synapses (.csv, .npy), or a folder (SONATA).
    output: PathBuf,
    /// Replace what is there.
    #[arg(long)]
    overwrite: bool,
    /// Name for spikes of a file that knows no populations (the first version of SONATA).
    #[arg(long, value_name = "NAME")]
    population: Option<String>,
    /// To a model file: compress with zstd or gzip. Such an archive is small, but cannot be run before it is converted
    /// back.
    #[arg(long, default_value = "none", value_name = "HOW")]
    compress: String,
    #[command(flatten)]
    network: NetworkOptions,
}

pub(super) fn convert(args: &ConvertArgs) -> Result<u8> {
    std::fs::metadata(&args.input).map_err(|e| Error::io(&args.input, "open", e))?;
    // Looks into the file: names alone do not tell spikes from networks.
    if storage::holds_spikes(&args.input) {
        return convert_spikes(args);
    }
    let compression = Compression::parse(&args.compress)?;
    convert_network::convert(&args.input, &args.output, &args.network, compression, args.overwrite)
}

fn convert_spikes(args: &ConvertArgs) -> Result<u8> {
    let Some(format) = SpikeFormat::of_path(&args.output) else {
        let output = args.output.display();
        return Err(Error::Usage(format!(
            "spikes are written to a .h5 file, a .csv file, or a folder, not to {output}"
        )));
    };
    let mut populations = storage::read_spikes(&args.input)?;
    let nameless = populations.iter_mut().find(|p| p.name.is_empty());
    match (nameless, &args.population) {
        (Some(spikes), Some(name)) => spikes.name.clone_from(name),
        (Some(_), None) => {
            let input = args.input.display();
            return Err(Error::Usage(format!("the spikes in {input} have no population; name it with --population")));
        }
        (None, Some(name)) => {
            let input = args.input.display();
            return Err(Error::Usage(format!("--population {name}: the populations in {input} have names already")));
        }
        (None, None) => {}
    }
    storage::write_spikes(&args.output, format, &populations, args.overwrite)?;
    let spikes: usize = populations.iter().map(|p| p.ids.len()).sum();
    say!("{}: {spikes} spikes of {} populations", args.output.display(), populations.len());
    Ok(DONE)
}
