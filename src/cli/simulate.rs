//! What `tessera run` and `tessera resume` share: from a network that is built to results that are written.

use super::interrupt::Interrupt;
use super::profile::{self, Watch};
use super::progress::{ProgressLine, biological};
use super::{DONE, FAILED, INTERRUPTED, plot, say};
use crate::config::{CheckpointSpec, RecordKind, RunSpec, SpikesFormat};
use crate::engine::{Figures, InactiveFigures, Outcome, Progress, Simulation};
use crate::error::{Error, Result};
use crate::metrics;
use crate::storage::{
    Checkpoint, CheckpointCost, CheckpointedRun, Checkpoints, CsvSpikes, Machine, NpySpikes, OutputDir, RateTable,
    RunRecord, RunStatus, RunSummary, SonataSpikes, StateReport, StoredWeights, rfc3339,
};
use clap::Args;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// What a run says, and where.
#[derive(Args)]
pub(super) struct Speech {
    /// Print the summary as one JSON object on the standard output.
    #[arg(long)]
    pub json: bool,
    /// No progress and no summary.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

/// A network that is built, and what is to become of it.
pub(super) struct Job<'a> {
    pub spec: &'a RunSpec,
    /// With its recorders; at the beginning, or where a checkpoint was.
    pub sim: Simulation,
    pub folder: OutputDir,
    /// Names of the files the recorders write.
    pub files: Vec<String>,
    /// When the run began.
    pub started: String,
    /// Times at which it was resumed, ms.
    pub resumed_ms: Vec<f64>,
    /// What the checkpoints so far cost.
    pub cost: CheckpointCost,
    pub speech: &'a Speech,
    pub watch: Watch,
}

impl Job<'_> {
    /// The record of the run before its first step.
    fn begun(&self) -> RunRecord {
        RunRecord {
            tessera: env!("CARGO_PKG_VERSION").to_owned(),
            status: RunStatus::Running,
            error: None,
            machine: Machine::this(),
            started: self.started.clone(),
            file: Some(absolute(&self.spec.path)),
            config: self.spec.resolved.clone(),
            populations: self.sim.layout().populations.iter().map(|p| (p.name.clone(), p.size)).collect(),
            weights: stored_weights(&self.sim),
            summary: None,
            resumed_ms: self.resumed_ms.clone(),
            checkpoints: None,
            profile: None,
            files: self.files.clone(),
        }
    }
}

/// Adds the recorders the configuration asks for; with `resuming`, such that go on in the files there are. Gives the names
/// of the files.
pub(super) fn record(spec: &RunSpec, folder: &OutputDir, sim: &mut Simulation, resuming: bool) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut states = false;
    for record in &spec.records {
        let some = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
        let mut file = |extension: &str| {
            files.push(format!("{}.{extension}", record.name));
            folder.path(files.last().expect("just pushed"))
        };
        match &record.kind {
            RecordKind::Spikes { populations, format: SpikesFormat::Sonata } => {
                let (path, names) = (file("h5"), some(populations));
                let spikes =
                    if resuming { SonataSpikes::resuming(path, names) } else { SonataSpikes::create(path, names)? };
                sim.record(spikes.with_nodes(&spec.nodes))?;
            }
            RecordKind::Spikes { populations, format: SpikesFormat::Csv } => {
                let (path, names) = (file("csv"), some(populations));
                sim.record(if resuming { CsvSpikes::resuming(path, names) } else { CsvSpikes::create(path, names)? })?;
            }
            RecordKind::Spikes { populations, format: SpikesFormat::Npy } => {
                // Two files for each population, known by their names.
                let (path, names) = (folder.path(""), some(populations));
                sim.record(if resuming { NpySpikes::resuming(path, names) } else { NpySpikes::create(path, names)? })?;
            }
            RecordKind::State(recordings) => {
                states = true;
                for recording in recordings {
                    let name = |variable: &String| StateReport::file_name(&recording.name, variable);
                    files.extend(recording.variables.iter().map(name));
                }
            }
            RecordKind::Rates { populations, bin_ms } => {
                let (path, names) = (file("csv"), some(populations));
                sim.record(if resuming {
                    RateTable::resuming(path, *bin_ms, names)?
                } else {
                    RateTable::create(path, *bin_ms, names)?
                })?;
            }
        }
    }
    if states {
        let path = folder.path("");
        let report = if resuming { StateReport::resuming(path) } else { StateReport::create(path)? };
        sim.record(report.with_nodes(&spec.nodes))?;
    }
    files.sort();
    Ok(files)
}

/// Writes the checkpoints of a run as its configuration says.
struct Writer<'a> {
    plan: &'a CheckpointSpec,
    checkpoints: Checkpoints,
    run: CheckpointedRun,
    /// When the latest was written, or the run began.
    latest: Instant,
    /// Its step, if there is one.
    step: Option<u64>,
}

impl<'a> Writer<'a> {
    fn new(job: &Job<'a>, plan: &'a CheckpointSpec) -> Result<Self> {
        let run = CheckpointedRun {
            tessera: env!("CARGO_PKG_VERSION").to_owned(),
            started: job.started.clone(),
            written: String::new(),
            file: absolute(&job.spec.path),
            config: job.spec.resolved.clone(),
            resumed_ms: job.resumed_ms.clone(),
            cost: job.cost,
        };
        let checkpoints = Checkpoints::of(&job.folder, plan.keep)?;
        Ok(Self { plan, checkpoints, run, latest: Instant::now(), step: None })
    }

    /// The next step in which one is due by biological time.
    fn next_step(&self, step: u64) -> u64 {
        self.plan.every.map_or(u64::MAX, |every| (step / every + 1).saturating_mul(every))
    }

    fn due_by_wall(&self) -> bool {
        self.plan.every_wall.is_some_and(|every| self.latest.elapsed() >= every)
    }

    fn due_by_step(&self, step: u64) -> bool {
        step > 0 && self.plan.every.is_some_and(|every| step.is_multiple_of(every))
    }

    fn write(&mut self, sim: &mut Simulation) -> Result<()> {
        if self.step == Some(sim.steps()) {
            return Ok(());
        }
        let _span = metrics::span("checkpoint");
        let start = Instant::now();
        self.run.written = rfc3339(SystemTime::now());
        let checkpoint = Checkpoint { snapshot: sim.snapshot()?, run: self.run.clone() };
        let bytes = self.checkpoints.write(&checkpoint)?;
        let seconds = self.run.cost.seconds + start.elapsed().as_secs_f64();
        self.run.cost = CheckpointCost { number: self.run.cost.number + 1, seconds, bytes };
        (self.latest, self.step) = (Instant::now(), Some(sim.steps()));
        Ok(())
    }
}

/// Runs a network to its end and writes what came out; the exit code of the process.
pub(super) fn simulate(mut job: Job<'_>, interrupt: &Interrupt, mut line: ProgressLine) -> Result<u8> {
    if job.spec.checkpoint.is_some() && job.spec.inactive.is_some_and(|inactive| inactive.synapses) {
        // A checkpoint needs a sum over all synapses, which is taken before any are compressed.
        job.sim.network()?;
    }
    let mut writer = job.spec.checkpoint.as_ref().map(|plan| Writer::new(&job, plan)).transpose()?;
    // Says of a run that is killed what it was and which files are its own.
    let begun = job.begun();
    begun.write(&job.folder)?;
    line.phase("running");
    job.watch.before_steps(&mut job.sim);
    let outcome = metrics::timed("run", || run(&mut job, interrupt, &mut writer, &mut line));
    job.watch.ended_with("run", &mut job.sim);
    let finished = metrics::timed("finish", || job.sim.finish());
    job.watch.ended_with("finish", &mut job.sim);
    line.clear();
    let outcome = match (outcome, finished) {
        (Ok(outcome), Ok(())) => Ok(outcome),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    let summary = summary(&job.sim);
    let cost = writer.as_ref().map_or(job.cost, |writer| writer.run.cost);
    let listed = job.folder.results();
    let profile = job.watch.profile(job.spec, &job.sim);
    let run = RunRecord {
        status: match &outcome {
            Ok(Outcome::Complete) => RunStatus::Complete,
            Ok(Outcome::Interrupted) => RunStatus::Interrupted,
            Err(_) => RunStatus::Failed,
        },
        error: outcome.as_ref().err().map(Error::to_string),
        summary: Some(summary.clone()),
        checkpoints: (cost.number > 0).then_some(cost),
        profile: profile.as_ref().ok().cloned().flatten().map(Box::new),
        files: listed.as_ref().map_or(Vec::new(), Clone::clone),
        ..begun
    };
    let Job { spec, sim, folder, speech, .. } = job;
    let told = run.write(&folder).and(listed.map(drop));
    // First what stopped the run: on a full disk its record finds no room either.
    if let Err(error) = &outcome {
        super::report(error);
        if told.is_err() && RunRecord::note_failure(&folder, error).is_ok() {
            return Ok(FAILED);
        }
    }
    told?;
    let profile = profile?;
    let results = folder.path("");
    let pictures = if spec.output.pictures { plot::draw(&results)? } else { Vec::new() };
    if speech.json {
        let text = serde_json::to_string(&summary).map_err(|e| Error::Usage(e.to_string()))?;
        say!("{text}");
    } else if !speech.quiet {
        print_summary(&summary, &sim.figures());
        if let Some(CheckpointCost { number, seconds, bytes }) = run.checkpoints {
            let latest = bytes as f64 * 1e-6;
            say!("saved      {number} checkpoints in {seconds:.2} s, the latest of {latest:.1} MB");
        }
        say!("results    {}", results.display());
        for picture in pictures.iter().filter(|p| p.extension().is_some_and(|e| e == "png")) {
            say!("picture    {}", picture.display());
        }
        if pictures.is_empty() {
            say!("pictures   tessera plot {}", results.display());
        }
        if let Some(profile) = &profile {
            profile::print(profile);
        }
    }
    match outcome {
        Ok(Outcome::Complete) => Ok(DONE),
        Ok(Outcome::Interrupted) => {
            eprintln!("interrupted at {}; the results up to there are complete", biological(sim.time()));
            if run.checkpoints.is_some() {
                eprintln!("tessera resume {} goes on", results.display());
            }
            Ok(INTERRUPTED)
        }
        Err(_) => Ok(FAILED),
    }
}

/// Takes the steps, and stops for checkpoints on the way.
fn run(
    job: &mut Job<'_>,
    interrupt: &Interrupt,
    writer: &mut Option<Writer<'_>>,
    line: &mut ProgressLine,
) -> Result<Outcome> {
    let sim = &mut job.sim;
    let dt = sim.layout().dt;
    let (from, end) = (sim.steps(), (job.spec.run.duration_ms / dt).round() as u64);
    let mut wall = Duration::ZERO;
    loop {
        let to = writer.as_ref().map_or(end, |writer| end.min(writer.next_step(sim.steps())));
        let mut last = Duration::ZERO;
        sim.run_with((to.saturating_sub(sim.steps())) as f64 * dt, |progress| {
            last = progress.wall;
            line.update(&Progress { until_ms: end as f64 * dt, wall: wall + last, ..progress }, from as f64 * dt);
            let wanted = interrupt.asked()
                || writer.as_ref().is_some_and(|writer| interrupt.checkpoint_wanted() || writer.due_by_wall());
            if wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        wall += last;
        let stop = interrupt.asked();
        if let Some(writer) = writer {
            let wanted = interrupt.take_checkpoint_wanted() || (stop && writer.plan.on_signal);
            if wanted || writer.due_by_step(sim.steps()) || writer.due_by_wall() {
                writer.write(sim)?;
            }
        }
        if sim.steps() >= end {
            return Ok(Outcome::Complete);
        }
        if stop {
            return Ok(Outcome::Interrupted);
        }
    }
}

fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
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
        rebalances: (figures.rebalances > 0).then_some(figures.rebalances),
        spike_digest: figures.spike_digest,
        resident_bytes: metrics::resident_bytes(),
        inactive: sim.inactive(),
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
    if figures.rebalances > 0 {
        say!("cut anew   {} times by measured load", figures.rebalances);
    }
    say!("activity   {} spikes, {} synaptic events", summary.spikes, summary.synaptic_events);
    for (name, rate) in &summary.rates_hz.0 {
        say!("           {name:<12} {rate:8.3} Hz");
    }
    say!(
        "memory     {:.0} MB at most, {:.0} MB at the end",
        summary.peak_rss_bytes as f64 * 1e-6,
        summary.resident_bytes as f64 * 1e-6
    );
    if figures.row_overflows > 0 {
        say!("           {} sums took the exact detour for large input", figures.row_overflows);
    }
    if let Some(inactive) = &summary.inactive {
        say_inactive(inactive);
    }
    say!("digest     {}", summary.spike_digest);
}

/// Tells what skipping and compressing neurons at rest did.
pub(super) fn say_inactive(inactive: &InactiveFigures) {
    let percent = |share: f64| format!("{:.3} %", share * 100.0);
    let shares = &inactive.active_fraction;
    say!(
        "active     {} of the neurons on average, {} at the end; {} of {} blocks rest, woken {} times",
        percent(inactive.mean_active_fraction()),
        percent(shares.last().copied().unwrap_or(1.0)),
        inactive.resting,
        inactive.blocks,
        inactive.wake_ups
    );
    say!(
        "saved      {:.1} MB of state and {:.1} MB of synapses; compressing took {:.2} s, decompressing {:.2} s",
        inactive.state_bytes_saved as f64 * 1e-6,
        inactive.synapse_bytes_saved as f64 * 1e-6,
        inactive.compress_s,
        inactive.decompress_s
    );
}
