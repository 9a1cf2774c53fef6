//! `tessera run`: check, build, simulate, write.

use super::interrupt::Interrupt;
use super::progress::{ProgressLine, biological};
use super::{DONE, FAILED, INTERRUPTED, Source, plot, say};
use crate::config::{RecordKind, RunSpec, SpikesFormat};
use crate::engine::{Figures, Outcome, Simulation};
use crate::error::{Error, Result};
use crate::metrics;
use crate::storage::{
    CsvSpikes, Machine, MappedModel, NpySpikes, OutputDir, RateTable, RunRecord, RunStatus, RunSummary, SonataSpikes,
    StateReport, StoredWeights, rfc3339,
};
use clap::Args;
use std::ops::ControlFlow;
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
    /// Print the summary as one JSON object on the standard output.
    #[arg(long)]
    json: bool,
    /// No progress and no summary.
    #[arg(long, short = 'q')]
    quiet: bool,
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
    let interrupt = Interrupt::listen();
    let mut spec = load(&args.source()?, args.quiet)?;
    if let Some(threads) = args.threads {
        spec.run.threads = Some(super::positive_threads(threads)?);
    }
    if let Some(isa) = &args.isa {
        crate::compute::Isa::parse(isa)?;
        spec.run.isa = Some(isa.clone());
    }
    if let Some(out) = &args.out {
        spec.output.dir.clone_from(out);
    }
    if !args.force {
        spec.estimate().fits()?;
    }
    let started = rfc3339(SystemTime::now());
    let folder = OutputDir::create(&spec.output.dir, args.overwrite || spec.output.overwrite)?;
    let mut line = ProgressLine::new(args.quiet);
    line.phase("building");
    let mut sim = spec.build()?;
    record(&spec, &folder, &mut sim)?;
    line.phase("running");
    let outcome = sim.run_with(spec.run.duration_ms, |progress| {
        line.update(&progress);
        if interrupt.asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let finished = sim.finish();
    line.clear();
    let outcome = match (outcome, finished) {
        (Ok(outcome), Ok(())) => Ok(outcome),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    let summary = summary(&sim);
    let run = RunRecord {
        tessera: env!("CARGO_PKG_VERSION").to_owned(),
        status: match &outcome {
            Ok(Outcome::Complete) => RunStatus::Complete,
            Ok(Outcome::Interrupted) => RunStatus::Interrupted,
            Err(_) => RunStatus::Failed,
        },
        error: outcome.as_ref().err().map(Error::to_string),
        machine: Machine::this(),
        started,
        file: Some(std::path::absolute(&spec.path).unwrap_or_else(|_| spec.path.clone())),
        config: spec.resolved.clone(),
        populations: sim.layout().populations.iter().map(|p| (p.name.clone(), p.size)).collect(),
        weights: stored_weights(&sim),
        summary: Some(summary.clone()),
        files: folder.results()?,
    };
    run.write(&folder)?;
    let pictures = if spec.output.pictures { plot::draw(&folder.path(""))? } else { Vec::new() };
    if args.json {
        let text = serde_json::to_string(&summary).map_err(|e| Error::Usage(e.to_string()))?;
        say!("{text}");
    } else if !args.quiet {
        print_summary(&summary, &sim.figures());
        say!("results    {}", folder.path("").display());
        for picture in pictures.iter().filter(|p| p.extension().is_some_and(|e| e == "png")) {
            say!("picture    {}", picture.display());
        }
        if pictures.is_empty() {
            say!("pictures   tessera plot {}", folder.path("").display());
        }
    }
    match outcome {
        Ok(Outcome::Complete) => Ok(DONE),
        Ok(Outcome::Interrupted) => {
            eprintln!("interrupted at {}; the results up to there are complete", biological(sim.time()));
            Ok(INTERRUPTED)
        }
        Err(error) => {
            super::report(&error);
            Ok(FAILED)
        }
    }
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

/// Adds the recorders the configuration asks for.
fn record(spec: &RunSpec, folder: &OutputDir, sim: &mut Simulation) -> Result<()> {
    let some = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
    let mut states = false;
    for record in &spec.records {
        let file = |extension: &str| folder.path(&format!("{}.{extension}", record.name));
        match &record.kind {
            RecordKind::Spikes { populations, format: SpikesFormat::Sonata } => {
                sim.record(SonataSpikes::create(file("h5"), some(populations))?.with_nodes(&spec.nodes))?;
            }
            RecordKind::Spikes { populations, format: SpikesFormat::Csv } => {
                sim.record(CsvSpikes::create(file("csv"), some(populations))?)?;
            }
            RecordKind::Spikes { populations, format: SpikesFormat::Npy } => {
                sim.record(NpySpikes::create(folder.path(""), some(populations))?)?;
            }
            RecordKind::State(_) => states = true,
            RecordKind::Rates { populations, bin_ms } => {
                sim.record(RateTable::create(file("csv"), *bin_ms, some(populations))?)?;
            }
        }
    }
    if states {
        sim.record(StateReport::create(folder.path(""))?.with_nodes(&spec.nodes))?;
    }
    Ok(())
}

/// The numbers of a run.
pub(super) fn summary(sim: &Simulation) -> RunSummary {
    let figures = sim.figures();
    let seconds = figures.simulated_ms * 1e-3;
    let rate = |spikes: u64, size: u32| {
        if size == 0 || seconds == 0.0 { 0.0 } else { spikes as f64 / f64::from(size) / seconds }
    };
    RunSummary {
        neurons: figures.neurons,
        synapses: figures.synapses,
        duration_ms: figures.simulated_ms,
        dt_ms: sim.layout().dt,
        threads: figures.threads,
        isa: figures.isa.name().to_owned(),
        build_s: figures.build_s,
        sim_s: figures.sim_s,
        real_time_factor: figures.real_time_factor(),
        spikes: figures.spikes,
        synaptic_events: figures.synaptic_events,
        rates_hz: sim
            .layout()
            .populations
            .iter()
            .zip(&figures.population_spikes)
            .map(|(p, spikes)| (p.name.clone(), rate(*spikes, p.size)))
            .collect(),
        phases_s: figures.phases_s.iter().map(|(name, s)| (name.clone(), *s)).collect(),
        peak_rss_bytes: metrics::peak_rss_bytes(),
        synapse_bytes: figures.synapse_bytes,
        spike_digest: figures.spike_digest,
    }
}

fn stored_weights(sim: &Simulation) -> Vec<StoredWeights> {
    sim.stored_weights()
        .iter()
        .map(|w| StoredWeights {
            population: w.population.clone(),
            receptor: w.receptor.clone(),
            unit: w.unit.clone(),
            bits: w.grid.bits,
            step: w.grid.unit,
            max_error: w.grid.error,
        })
        .collect()
}

fn print_summary(summary: &RunSummary, figures: &Figures) {
    say!(
        "network    {} neurons, {} synapses ({:.2} bytes each)",
        summary.neurons,
        summary.synapses,
        summary.synapse_bytes as f64 / summary.synapses.max(1) as f64
    );
    say!("built in   {:.2} s on {} threads ({})", summary.build_s, summary.threads, summary.isa);
    say!(
        "simulated  {} in {:.2} s: real-time factor {:.3}",
        biological(summary.duration_ms),
        summary.sim_s,
        summary.real_time_factor
    );
    let phases: Vec<_> = summary.phases_s.0.iter().map(|(name, s)| format!("{name} {s:.2} s")).collect();
    say!("phases     {}", phases.join(", "));
    say!("activity   {} spikes, {} synaptic events", summary.spikes, summary.synaptic_events);
    for (name, rate) in &summary.rates_hz.0 {
        say!("           {name:<12} {rate:8.3} Hz");
    }
    say!("memory     {:.0} MB at most", summary.peak_rss_bytes as f64 * 1e-6);
    if figures.row_overflows > 0 {
        say!("           {} sums took the exact detour for large input", figures.row_overflows);
    }
    say!("digest     {}", summary.spike_digest);
}
