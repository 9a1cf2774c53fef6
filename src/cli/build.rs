//! `tessera build`: construct a network and write it to a model file.

use super::{DONE, Source, run, say};
use crate::config::Built;
use crate::error::{Error, Result};
use crate::storage::{Compression, MappedModel};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct BuildArgs {
    #[command(flatten)]
    source: Source,
    /// The model file to write.
    #[arg(long, short = 'o', value_name = "FILE")]
    out: PathBuf,
    /// Lay the synapses out for so many worker threads: a run on more has to copy them first.
    #[arg(long, short = 't')]
    threads: Option<usize>,
    /// Compress: zstd or gzip. Such an archive is small, but has to be converted back before it can be run.
    #[arg(long, default_value = "none", value_name = "HOW")]
    compress: String,
    /// Replace a file of that name.
    #[arg(long)]
    overwrite: bool,
    /// Print what was written as one JSON object on the standard output.
    #[arg(long)]
    json: bool,
    /// No summary.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// Build even if the estimate says that memory will not do.
    #[arg(long)]
    force: bool,
}

pub(super) fn build(args: &BuildArgs) -> Result<u8> {
    let compression = Compression::parse(&args.compress)?;
    MappedModel::refuse(&args.out, args.overwrite)?;
    let mut spec = run::load(&args.source, args.quiet)?;
    if let Some(threads) = args.threads {
        spec.run.threads = Some(super::positive_threads(threads)?);
    }
    if !args.force {
        spec.estimate().fits()?;
    }
    let built = spec.write_model(&args.out, compression, args.overwrite)?;
    if args.json {
        let text = serde_json::to_string(&built).map_err(|e| Error::Usage(e.to_string()))?;
        say!("{text}");
    } else if !args.quiet {
        tell(&built, &args.out, compression);
    }
    Ok(DONE)
}

/// Tells people what was written to a model file.
pub(super) fn tell(built: &Built, path: &Path, compression: Compression) {
    say!("network    {} neurons, {} synapses", built.neurons, built.synapses);
    say!("built in   {:.2} s, written in {:.2} s", built.build_s, built.write_s);
    say!("model      {} ({:.1} MB, for up to {} threads)", path.display(), built.bytes as f64 * 1e-6, built.shards);
    if compression == Compression::None {
        say!("run it     tessera run --model {}", path.display());
    } else {
        say!("unpack it  tessera convert {} MODEL.h5", path.display());
    }
}
