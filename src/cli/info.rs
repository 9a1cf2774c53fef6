//! `tessera info`: what a configuration describes, what a results folder holds; `tessera repair`.

use super::simulate::say_inactive;
use super::{DONE, FAILED, Source, check, model, partitions, run, say};
use crate::config::RunSpec;
use crate::error::{Error, Result};
use crate::model::{BrainModel, SynapseStorage};
use crate::plot::statistics::{Window, isi_cvs, mean, mean_rate_hz};
use crate::storage::{self, Checkpoint, MappedModel, RunRecord, RunStatus};
use clap::Args;
use std::path::Path;

#[derive(Args)]
pub(super) struct InfoArgs {
    /// A configuration file, a model file, a checkpoint, a results folder, or a file in one.
    path: std::path::PathBuf,
    /// Override a key of a configuration; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    partitions: partitions::Partitions,
    #[command(flatten)]
    shown: model::Shown,
}

pub(super) fn info(args: &InfoArgs) -> Result<u8> {
    if let Some(number) = args.partitions.asked_for() {
        let source = Source { file: args.path.clone(), set: args.set.clone() };
        return partitions::info(&source, &args.partitions, number, args.shown.json);
    }
    if MappedModel::recognises(&args.path) {
        return model::info(&args.path, &args.shown);
    }
    if args.shown.is_asked_for() {
        let message = "is not a model file; --neurons, --ids, --cells, --verify and --json are for those";
        return Err(Error::Usage(format!("{} {message}", args.path.display())));
    }
    let record = args.path.file_name().is_some_and(|n| n == "run.json");
    if !record && args.path.extension().is_some_and(|e| e == "toml" || e == "json") {
        let source = Source { file: args.path.clone(), set: args.set.clone() };
        return describe(&run::load(&source, false)?);
    }
    if args.path.is_dir() || record {
        return results(&args.path);
    }
    if Checkpoint::recognises(&args.path) {
        return checkpoint(&args.path);
    }
    if args.path.is_file() {
        return spikes(&args.path, None);
    }
    Err(Error::Usage(format!(
        "{} is neither a configuration file (.toml, SONATA .json) nor a results folder or file",
        args.path.display()
    )))
}

fn describe(spec: &RunSpec) -> Result<u8> {
    let model = BrainModel::build(&spec.network, spec.run.seed)?;
    say!("{}", spec.path.display());
    say!("runs       {} ms in steps of {} ms, seed {}", spec.run.duration_ms, spec.run.dt_ms, spec.run.seed);
    if let Some(lattice) = &spec.network.lattice {
        say!("lattice    {:?} cells (x, y, z, w), periodic {:?}", lattice.shape, lattice.periodic);
    }
    for area in &spec.network.areas {
        say!("area       {:<14} {:?} to {:?}", area.name, area.region.lo, area.region.hi);
    }
    for p in model.populations() {
        say!("population {:<14} {:>9} neurons  {}", p.name(), p.size(), p.model().name());
    }
    let estimate = spec.estimate();
    for (projection, synapses) in spec.network.projections.iter().zip(&estimate.synapses_of) {
        let drawn = if projection.storage == SynapseStorage::Procedural { ", procedural" } else { "" };
        say!("projection {:<24} about {synapses:>12.0} synapses{drawn}", projection.name);
    }
    for stimulus in &spec.network.stimuli {
        let targets: Vec<_> = stimulus.targets.iter().map(|t| model.populations()[t.population.0].name()).collect();
        say!("stimulus   {:<14} on {}", stimulus.name, targets.join(", "));
    }
    check::print_estimate(&estimate);
    Ok(DONE)
}

fn results(path: &Path) -> Result<u8> {
    let record = RunRecord::read(path)?;
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let status = match record.status {
        RunStatus::Running => "under way, or killed",
        RunStatus::Complete => "complete",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Failed => "failed",
    };
    say!("{}: {status}, started {}, tessera {}", folder.display(), record.started, record.tessera);
    if let Some(error) = &record.error {
        say!("error      {error}");
    }
    say!("machine    {}, {} processors", record.machine.cpu, record.machine.cores);
    if let Some(s) = &record.summary {
        say!("network    {} neurons, {} synapses", s.neurons, s.synapses);
        say!(
            "simulated  {} ms on {} threads ({}), real-time factor {:.3}",
            s.duration_ms,
            s.threads,
            s.isa,
            s.real_time_factor
        );
        say!("digest     {}", s.spike_digest);
        if let Some(inactive) = &s.inactive {
            say_inactive(inactive);
        }
    }
    for w in &record.weights {
        say!(
            "weights    {} {}: {} bits, steps of {} {}, error at most {}",
            w.population,
            w.receptor,
            w.bits,
            w.step,
            w.unit,
            w.max_error
        );
    }
    say!("files      {}", record.files.join(", "));
    let duration = record.summary.as_ref().map(|s| s.duration_ms);
    if record.files.iter().any(|f| f.starts_with("spikes")) { spikes(folder, duration) } else { Ok(DONE) }
}

fn checkpoint(path: &Path) -> Result<u8> {
    let checkpoint = Checkpoint::read(path)?;
    let Checkpoint { snapshot, run } = &checkpoint;
    say!("{}: a checkpoint at {} ms, sound, tessera {}", path.display(), checkpoint.time_ms(), run.tessera);
    say!("written    {} in a run that began {}", run.written, run.started);
    say!("run of     {}", run.file.display());
    for (p, spikes) in snapshot.populations.iter().zip(&snapshot.counters.population_spikes) {
        say!("population {:<14} {:>9} neurons {spikes:>10} spikes", p.name, p.refractory.len());
    }
    say!("in flight  {} spikes", snapshot.in_flight.len());
    Ok(DONE)
}

fn spikes(path: &Path, duration: Option<f64>) -> Result<u8> {
    let populations = storage::read_spikes(path)?;
    let window = match duration {
        Some(ms) if ms > 0.0 => Window::new(0.0, ms)?,
        _ => Window::of(&populations),
    };
    say!("{:<16} {:>9} {:>10} {:>10} {:>8}", "population", "neurons", "spikes", "rate Hz", "CV ISI");
    for p in &populations {
        let cvs: Vec<f64> = isi_cvs(p, window).into_iter().flatten().collect();
        let cv = mean(&cvs).map_or("-".to_owned(), |cv| format!("{cv:.3}"));
        say!("{:<16} {:>9} {:>10} {:>10.3} {cv:>8}", p.name, p.size, p.times_ms.len(), mean_rate_hz(p, window));
    }
    Ok(DONE)
}

pub(super) fn repair(path: &Path) -> Result<u8> {
    let files = if path.is_dir() { storage::repairable(path)? } else { vec![path.to_owned()] };
    if files.is_empty() {
        return Err(Error::Usage(format!("{} holds no spikes, rates or state variables", path.display())));
    }
    let mut code = DONE;
    for file in files {
        match storage::repair(&file) {
            Ok(repaired) => say!("{}: {repaired:?}", file.display()),
            // The others can be repaired all the same.
            Err(error) => {
                super::report(&error);
                code = FAILED;
            }
        }
    }
    Ok(code)
}
