//! `--profile` and `--trace` of `tessera run` and `tessera resume`.

use super::say;
use crate::config::RunSpec;
use crate::engine::Simulation;
use crate::error::{Error, Result};
use crate::metrics::{Installed, MemorySnapshot, Profiler, start_peak};
use crate::storage::{MemoryProfile, RunProfile, TimeProfile, TraceRecord};
use clap::{Args, ValueEnum};
use std::fs::OpenOptions;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Spans of the main thread that a trace keeps.
const MAIN_SPANS: usize = 1 << 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Seconds and calls of every phase, nanoseconds an event and a neuron-step.
    Time,
    /// Bytes of every part at the end of each phase, and the high-water mark of each.
    Memory,
}

#[derive(Args)]
pub(super) struct ProfileArgs {
    /// Tell where time or memory goes, at the end and in run.json; several with commas.
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    profile: Vec<Kind>,
    /// Write what every thread does when, for ui.perfetto.dev or chrome://tracing; of long runs every so many-th step.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// What is watched of a run.
pub(super) struct Watch {
    profiler: Profiler,
    time: bool,
    memory: bool,
    trace: Option<PathBuf>,
    /// Whether an existing trace may be replaced.
    overwrite: bool,
    by_phase: bool,
    snapshots: Vec<MemorySnapshot>,
}

impl Watch {
    /// Begins to watch. An existing file is no place for a trace unless `overwrite` is set.
    pub fn begin(args: &ProfileArgs, overwrite: bool) -> Result<Self> {
        if let Some(file) = &args.trace {
            refuse(file, overwrite)?;
        }
        let wants = |kind| args.profile.contains(&kind);
        let (time, memory) = (wants(Kind::Time), wants(Kind::Memory));
        let profiler = match (&args.trace, time) {
            (Some(_), _) => Profiler::with_trace(MAIN_SPANS),
            (None, true) => Profiler::new(),
            (None, false) => Profiler::off(),
        };
        let by_phase = memory && start_peak();
        Ok(Self { profiler, time, memory, trace: args.trace.clone(), overwrite, by_phase, snapshots: Vec::new() })
    }

    /// Has spans of this thread measured until the result is dropped.
    pub fn install(&self) -> Installed {
        self.profiler.install()
    }

    /// A phase that is over before there is a simulation.
    pub fn ended(&mut self, phase: &str) {
        if self.memory {
            self.push(MemorySnapshot::new(phase));
        }
    }

    /// A phase of a simulation is over.
    pub fn ended_with(&mut self, phase: &str, sim: &mut Simulation) {
        if self.memory {
            self.push(sim.memory(phase));
        }
    }

    fn push(&mut self, snapshot: MemorySnapshot) {
        self.snapshots.push(snapshot);
        if self.by_phase {
            start_peak();
        }
    }

    /// A simulation that is built is about to run.
    pub fn before_steps(&self, sim: &mut Simulation) {
        if self.trace.is_some() {
            sim.trace_steps();
        }
    }

    /// What was found so far, for the record of the run; writes the trace.
    pub fn profile(&self, spec: &RunSpec, sim: &Simulation) -> Result<Option<RunProfile>> {
        let time = self.time.then(|| TimeProfile { spans: self.profiler.report(), steps: sim.step_profile() });
        let memory =
            self.memory.then(|| MemoryProfile::of(self.snapshots.clone(), Some(spec.estimate().parts), self.by_phase));
        let trace = self.trace.as_deref().map(|file| self.write_trace(file, sim)).transpose()?;
        let any = time.is_some() || memory.is_some() || trace.is_some();
        Ok(any.then_some(RunProfile { time, memory, trace }))
    }

    fn write_trace(&self, path: &Path, sim: &Simulation) -> Result<TraceRecord> {
        let mut trace = self.profiler.trace();
        sim.add_steps_to(&mut trace, &self.profiler);
        let every_steps =
            trace.notes.iter().find(|(name, _)| name == "every_steps").and_then(|(_, value)| value.as_u64());
        let dropped: u64 = trace.threads.iter().map(|thread| thread.dropped).sum();
        trace.notes.push(("dropped_spans".to_owned(), dropped.into()));
        trace.notes.push(("tessera".to_owned(), env!("CARGO_PKG_VERSION").into()));
        let io = |e| Error::io(path, "write", e);
        refuse(path, self.overwrite)?;
        let mut options = OpenOptions::new();
        options.write(true);
        let file = if self.overwrite { options.create(true).truncate(true) } else { options.create_new(true) };
        trace.write_chrome(BufWriter::new(file.open(path).map_err(io)?)).map_err(io)?;
        let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(TraceRecord { file, spans: trace.len() as u64, every_steps: every_steps.unwrap_or(1) })
    }
}

/// Refuses a file for a trace that exists, or whose folder does not.
fn refuse(file: &Path, overwrite: bool) -> Result<()> {
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::Usage(format!("--trace {}: there is no folder {}", file.display(), folder.display())));
    }
    if file.exists() && (!overwrite || !file.is_file()) {
        return Err(Error::Usage(format!(
            "--trace {} exists already; give another name, or remove it first",
            file.display()
        )));
    }
    Ok(())
}

/// Prints a profile for people.
pub(super) fn print(profile: &RunProfile) {
    if let Some(TimeProfile { spans, steps }) = &profile.time {
        say!("\n{spans}\n\n{steps}");
    }
    if let Some(memory) = &profile.memory {
        print_memory(memory);
    }
    if let Some(TraceRecord { file, spans, every_steps }) = &profile.trace {
        let steps = if *every_steps == 1 { "every step".to_owned() } else { format!("one step of {every_steps}") };
        say!("trace      {} ({spans} spans, {steps}); open it with https://ui.perfetto.dev", file.display());
    }
}

/// One column for each snapshot, one row for each part.
fn print_memory(memory: &MemoryProfile) {
    let mut parts: Vec<&str> = Vec::new();
    for part in memory.snapshots.iter().chain(&memory.estimate).flat_map(|snapshot| &snapshot.parts) {
        if !parts.contains(&&*part.part) {
            parts.push(&part.part);
        }
    }
    let columns: Vec<&MemorySnapshot> = memory.snapshots.iter().chain(&memory.estimate).collect();
    let row = |name: &str, value: &dyn Fn(&MemorySnapshot) -> u64| {
        let cells: Vec<String> = columns
            .iter()
            .map(|snapshot| match value(snapshot) {
                0 => format!("{:>11}", "-"),
                bytes => format!("{:>11.3}", bytes as f64 * 1e-6),
            })
            .collect();
        say!("{name:<18}{}", cells.join(""));
    };
    let names: Vec<String> = columns.iter().map(|snapshot| format!("{:>11}", snapshot.name)).collect();
    say!("\n{:<18}{}", "MB at the end of", names.join(""));
    for part in parts {
        row(part, &|snapshot| snapshot.bytes(part));
    }
    row("counted", &MemorySnapshot::counted);
    row("resident", &|snapshot| snapshot.resident_bytes);
    row(if memory.high_water_by_phase { "most in the phase" } else { "most so far" }, &|s| s.high_water_bytes);
}
