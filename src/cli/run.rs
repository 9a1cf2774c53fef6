//! `tessera run`: check, build, simulate, write.

use super::Source;
use super::interrupt::Interrupt;
use super::partitions::Cutting;
use super::profile::{ProfileArgs, Watch};
use super::progress::ProgressLine;
use super::simulate::{Job, Speech, record, simulate};
use crate::config::RunSpec;
use crate::error::{Error, Result};
use crate::metrics;
use crate::storage::{CheckpointCost, MappedModel, OutputDir, rfc3339};
use clap::Args;
use std::path::PathBuf;
use std::time::SystemTime;

#[derive(Args)]
pub(super) struct RunArgs {
    /// Configuration file (TOML), or a model file.
    #[arg(required_unless_present = "model")]
    file: Option<PathBuf>,
    /// Run the network of a model file, without construction.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    model: Option<PathBuf>,
    /// Override a key, for example --set run.duration="2 s"; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Worker threads; the spikes do not depend on it.
    #[arg(long, short = 't')]
    threads: Option<usize>,
    /// Folder for the results.
    #[arg(long, short = 'o')]
    out: Option<PathBuf>,
    /// Replace earlier results in that folder.
    #[arg(long)]
    overwrite: bool,
    /// Instruction set: avx512, avx2, neon or portable; the spikes do not depend on it.
    #[arg(long)]
    isa: Option<String>,
    #[command(flatten)]
    cutting: Cutting,
    #[command(flatten)]
    speech: Speech,
    #[command(flatten)]
    profile: ProfileArgs,
    /// Run even if the estimate says that memory will not do.
    #[arg(long)]
    force: bool,
}

impl RunArgs {
    /// Where the network comes from.
    fn source(&self) -> Result<Source> {
        let set = self.set.clone();
        if let Some(file) = &self.model {
            std::fs::metadata(file).map_err(|e| Error::io(file, "open", e))?;
            if !MappedModel::recognises(file) {
                // Says what the file is instead.
                MappedModel::open(file)?;
            }
            return Ok(Source { file: file.clone(), set });
        }
        let file = self.file.clone().ok_or_else(|| Error::Usage("no configuration file is given".to_owned()))?;
        Ok(Source { file, set })
    }
}

pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let mut interrupt = Interrupt::listen();
    let mut watch = Watch::begin(&args.profile, args.overwrite)?;
    let _installed = watch.install();
    let mut spec = metrics::timed("check", || load(&args.source()?, args.speech.quiet))?;
    watch.ended("check");
    super::place(&mut spec, args.threads, args.isa.as_deref())?;
    args.cutting.apply(&mut spec);
    if let Some(out) = &args.out {
        spec.output.dir.clone_from(out);
    }
    if !args.force {
        spec.estimate().fits()?;
    }
    interrupt.listen_for_checkpoints(spec.checkpoint.as_ref());
    let started = rfc3339(SystemTime::now());
    let folder = OutputDir::create(&spec.output.dir, args.overwrite || spec.output.overwrite)?;
    let mut line = ProgressLine::new(args.speech.quiet);
    line.phase("building");
    let mut sim = metrics::timed("build", || spec.build())?;
    watch.ended_with("build", &mut sim);
    let files = record(&spec, &folder, &mut sim, false)?;
    let (resumed_ms, cost) = (Vec::new(), CheckpointCost::default());
    let job = Job { spec: &spec, sim, folder, files, started, resumed_ms, cost, speech: &args.speech, watch };
    simulate(job, &interrupt, line)
}

/// Reads and checks a configuration; warnings go to the standard error stream.
pub(super) fn load(source: &Source, quiet: bool) -> Result<RunSpec> {
    let check = RunSpec::check(&source.file, &source.set);
    if !quiet {
        for warning in &check.warnings {
            eprintln!("warning: {warning}");
        }
    }
    check.spec.ok_or(Error::Invalid(check.faults))
}
