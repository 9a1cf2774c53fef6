//! `tessera convert`: the same content in another format.

use super::{DONE, say};
use crate::error::{Error, Result};
use crate::storage::{self, SpikeFormat};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct ConvertArgs {
    /// What to convert. Spikes: a file (.h5, .csv, spikes_<population>_times.npy) or a results folder.
    input: PathBuf,
    /// What to write; its name says the format. Spikes: a .h5 file (SONATA), a .csv file, or a folder for NPY arrays.
    output: PathBuf,
    /// Replace what is there.
    #[arg(long)]
    overwrite: bool,
    /// Name for spikes of a file that knows no populations (the first version of SONATA).
    #[arg(long, value_name = "NAME")]
    population: Option<String>,
}

/// What a file or folder holds that can be converted.
enum Content {
    Spikes,
}

/// Looks at what is in a file or folder; its name alone does not say it.
fn content_of(input: &Path) -> Result<Content> {
    std::fs::metadata(input).map_err(|e| Error::io(input, "open", e))?;
    if storage::holds_spikes(input) {
        return Ok(Content::Spikes);
    }
    Err(Error::Usage(format!(
        "{} holds nothing that can be converted; spikes can be (SONATA .h5, .csv, .npy, or a results folder)",
        input.display()
    )))
}

pub(super) fn convert(args: &ConvertArgs) -> Result<u8> {
    match content_of(&args.input)? {
        Content::Spikes => convert_spikes(args),
    }
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
