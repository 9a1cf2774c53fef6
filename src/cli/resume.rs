//! `tessera resume`: go on with a run from a checkpoint.

use super::interrupt::Interrupt;
use super::partitions::Cutting;
use super::profile::{ProfileArgs, Watch};
use super::progress::{ProgressLine, biological};
use super::simulate::{Job, Speech, record, simulate};
use crate::config::RunSpec;
use crate::error::{Error, Fault, Result};
use crate::metrics;
use crate::storage::{Checkpoint, CheckpointedRun, Checkpoints, OutputDir, RunRecord, RunStatus};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct ResumeArgs {
    /// The folder with the results of the run, or one of the checkpoints in it.
    path: PathBuf,
    /// Biological time to end at instead of that in the configuration, for example --until "2 s".
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Worker threads; the spikes do not depend on it.
    #[arg(long, short = 't')]
    threads: Option<usize>,
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

pub(super) fn resume(args: &ResumeArgs) -> Result<u8> {
    let mut interrupt = Interrupt::listen();
    let mut watch = Watch::begin(&args.profile, false)?;
    let _installed = watch.install();
    let (results, path, Checkpoint { snapshot, run }) = metrics::timed("read checkpoint", || find(&args.path))?;
    let bytes = std::fs::metadata(&path).map_or(0, |about| about.len());
    let mut spec = described(&run, args.until.as_deref())?;
    super::place(&mut spec, args.threads, args.isa.as_deref())?;
    args.cutting.apply(&mut spec);
    spec.output.dir.clone_from(&results);
    refuse_what_is_done(&results, &spec, snapshot.step)?;
    if !args.force {
        spec.estimate().fits()?;
    }
    watch.ended("check");
    interrupt.listen_for_checkpoints(spec.checkpoint.as_ref());
    let mut line = ProgressLine::new(args.speech.quiet);
    line.phase("building");
    let mut sim = metrics::timed("build", || spec.build())?;
    watch.ended_with("build", &mut sim);
    let folder = OutputDir::resume(&results)?;
    let files = record(&spec, &folder, &mut sim, true)?;
    // No result is touched before it is known that the run can go on.
    sim.check_snapshot(&snapshot)?;
    if args.path.is_file() {
        let plan = spec.checkpoint.as_ref().map_or(1, |plan| plan.keep);
        let removed = Checkpoints::of(&folder, plan)?.forget_after(snapshot.step)?;
        if removed > 0 {
            eprintln!("warning: removed {removed} later checkpoints, as the records now end before them");
        }
    }
    metrics::timed("restore", || sim.restore(&snapshot))?;
    let at = snapshot.step as f64 * snapshot.dt;
    drop(snapshot);
    if !args.speech.quiet {
        eprintln!("resuming at {}", biological(at));
    }
    let CheckpointedRun { started, mut resumed_ms, mut cost, .. } = run;
    resumed_ms.push(at);
    // A checkpoint tells the cost of those before it.
    (cost.number, cost.bytes) = (cost.number + 1, bytes);
    let job = Job { spec: &spec, sim, folder, files, started, resumed_ms, cost, speech: &args.speech, watch };
    simulate(job, &interrupt, line)
}

/// The folder of the results, and the checkpoint to go on from with its file.
fn find(path: &Path) -> Result<(PathBuf, PathBuf, Checkpoint)> {
    let about = std::fs::metadata(path).map_err(|e| Error::io(path, "open", e))?;
    if about.is_dir() {
        let latest = Checkpoints::latest(path)?;
        for error in &latest.damaged {
            eprintln!("warning: {error}; going on from {} instead", latest.path.display());
        }
        return Ok((path.to_owned(), latest.path, latest.checkpoint));
    }
    let checkpoint = Checkpoint::read(path)?;
    let results = Checkpoints::results_of(path).ok_or_else(|| {
        Error::Usage(format!(
            "{} is not in the folder `checkpoints` of the results of its run, without which the run cannot go on",
            path.display()
        ))
    })?;
    Ok((results, path.to_owned(), checkpoint))
}

/// The run that a checkpoint is of, with another end if one is given.
fn described(run: &CheckpointedRun, until: Option<&str>) -> Result<RunSpec> {
    let mut config = run.config.clone();
    if let (Some(until), Some(serde_json::Value::Object(table))) = (until, config.get_mut("run")) {
        let number = until.parse::<f64>().ok().filter(|ms| ms.is_finite());
        table.insert("duration".into(), number.map_or_else(|| until.into(), Into::into));
    }
    RunSpec::from_resolved(&config, Some(&run.file)).map_err(|error| match error {
        Error::Invalid(faults) if until.is_some() => {
            let told = |fault: Fault| match fault.key.as_str() {
                "run.duration" | "run.tstop" => Fault::new("--until", fault.message),
                _ => fault,
            };
            Error::Invalid(faults.into_iter().map(told).collect())
        }
        other => other,
    })
}

/// Refuses to go on with a run that has reached its end.
fn refuse_what_is_done(results: &Path, spec: &RunSpec, step: u64) -> Result<()> {
    let (dt, until) = (spec.run.dt_ms, spec.run.duration_ms);
    let end = (until / dt).round() as u64;
    if step > end {
        let at = step as f64 * dt;
        return Err(Error::Usage(format!("the checkpoint is at {at} ms, after the end at {until} ms")));
    }
    // A run that was killed is not recorded as complete.
    if let Ok(record) = RunRecord::read(results)
        && record.status == RunStatus::Complete
        && let Some(summary) = record.summary
        && (summary.duration_ms / dt).round() as u64 >= end
    {
        let (path, at) = (results.display(), summary.duration_ms);
        return Err(Error::Usage(format!(
            "the run in {path} is complete at {at} ms; to go on with it, give a later end with --until"
        )));
    }
    Ok(())
}
