//! `tessera bench`: measurements.

use super::bench_report::ReportArgs;
use super::{DONE, FAILED, Source, run, say};
use crate::bench::{BUILT_IN, ConfigBench, Item, Kind, Measurements};
use crate::config::RunSpec;
use crate::error::{Error, Result};
use crate::metrics::seconds;
use crate::op_bench::{OpBench, Peer};
use crate::plot;
use crate::scaling::{CostModel, Scaling};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Bench {
    /// Time the building and running of configurations; those of the program where none is given.
    Run(RunsArgs),
    /// Run a network on different numbers of threads and compare.
    Scaling(ScalingArgs),
    /// Time the operations of the dense layer, beside PyTorch if it is there.
    Ops(OpsArgs),
}

#[derive(Args)]
pub(super) struct RunsArgs {
    /// Configuration files or model files; networks that come with the program where none is given.
    #[arg(value_name = "CONFIG")]
    files: Vec<PathBuf>,
    /// Override a key in each of them, for example --set run.duration="2 s"; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Worker threads.
    #[arg(long, short = 't')]
    threads: Option<usize>,
    /// How often each is built and run, in turn with the others.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    #[command(flatten)]
    report: ReportArgs,
    /// Print the measurements as one JSON object.
    #[arg(long)]
    json: bool,
}

fn runs(args: &RunsArgs) -> Result<u8> {
    let reporting = args.report.begin(Kind::Run)?;
    let mut specs: Vec<(String, RunSpec)> = Vec::new();
    for file in &args.files {
        let source = Source { file: file.clone(), set: args.set.clone() };
        let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        if let Some((_, other)) = specs.iter().find(|(own, _)| *own == name) {
            let (file, other) = (file.display(), other.path.display());
            return Err(Error::Usage(format!("{other} and {file} have the same name, by which they would be told")));
        }
        specs.push((name, run::load(&source, args.json)?));
    }
    if args.files.is_empty() {
        for (name, text) in BUILT_IN {
            let check = RunSpec::check_text(format!("configs/{name}.toml"), text, &args.set);
            specs.push((name.to_owned(), check.spec.ok_or(Error::Invalid(check.faults))?));
        }
    }
    for (_, spec) in &mut specs {
        super::place(spec, args.threads, None)?;
        spec.estimate().fits()?;
    }
    let bench = ConfigBench { specs, repeats: args.repeats };
    let measured = bench.run(|what| eprintln!("{what}"))?;
    if !args.json {
        say!("{:<32} {:>11} {:>8} {:>17}", "", "median", "spread", "real-time factor");
        for item in &measured.items {
            let factor = item.facts.get("simulated_ms").and_then(serde_json::Value::as_f64).filter(|ms| *ms > 0.0);
            let factor = factor.map_or(String::new(), |ms| format!("{:.4}", item.median_s() * 1e3 / ms));
            let (time, spread) = (seconds(item.median_s()), item.spread() * 100.0);
            say!("{:<32} {time:>11} {spread:>7.1}% {factor:>17}", item.name);
        }
    }
    reporting.end(&measured, &[], args.json, true)
}

#[derive(Args)]
pub(super) struct OpsArgs {
    /// Only these groups.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Numbers of threads, of the peer as well.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// How often everything is measured, in turn with the peer.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A Python that has torch, to compare with.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Compare with the peer as it comes only, not with its faster forms (AVX-512 unlocked, compiled, ONNX Runtime).
    #[arg(long, requires = "python")]
    stock: bool,
    #[command(flatten)]
    report: ReportArgs,
    /// Print the measurements as one JSON object.
    #[arg(long)]
    json: bool,
}

fn ops(args: &OpsArgs) -> Result<u8> {
    let reporting = args.report.begin(Kind::Ops)?;
    let peer = args.python.clone().map(|python| Peer { python, best: !args.stock });
    let bench = OpBench { groups: args.only.clone(), threads: args.threads.clone(), rounds: args.rounds, peer };
    let report = bench.run(|what| eprintln!("{what}"))?;
    if args.json {
        say!("{}", serde_json::to_string(&report).map_err(|e| Error::Usage(e.to_string()))?);
    } else {
        say!("{report}");
    }
    let mut measured = Measurements::now(Kind::Ops, report.isa.clone());
    for row in &report.rows {
        let threads = if row.threads == 1 { "thread" } else { "threads" };
        let name = format!("{}, {} {threads}", row.case, row.threads);
        measured.items.push(Item::new(name, row.samples_s.clone()).with("group", row.group.clone()));
    }
    reporting.end(&measured, &[], args.json, false)
}

#[derive(Args)]
pub(super) struct ScalingArgs {
    #[command(flatten)]
    source: Source,
    /// Numbers of threads; the first is the reference.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Runs with each number of threads.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Let the network grow with the number of threads.
    #[arg(long)]
    weak: bool,
    /// Also run with more shards than threads, fit what a neuron, an event, a segment and a spike cost, and predict more
    /// threads.
    #[arg(long, conflicts_with_all = ["weak", "out"])]
    model: bool,
    /// Print the measurements as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    report: ReportArgs,
    /// Draw a picture of the measurements into this folder.
    #[arg(long, short = 'o')]
    out: Option<PathBuf>,
}

pub(super) fn bench(what: Option<&Bench>, plain: &RunsArgs) -> Result<u8> {
    match what {
        None => runs(plain),
        Some(Bench::Run(args)) => runs(args),
        Some(Bench::Scaling(args)) => scaling(args),
        Some(Bench::Ops(args)) => ops(args),
    }
}

fn scaling(args: &ScalingArgs) -> Result<u8> {
    let reporting = args.report.begin(Kind::Scaling)?;
    let spec = run::load(&args.source, args.json)?;
    spec.estimate().fits()?;
    for threads in &args.threads {
        super::positive_threads(*threads)?;
    }
    if args.model {
        let model = CostModel::measure(&spec, &args.threads, args.repeats)?;
        if args.json {
            say!("{}", serde_json::to_string(&model).map_err(|e| Error::Usage(e.to_string()))?);
        } else {
            say!("{model}");
        }
        return Ok(DONE);
    }
    let scaling = if args.weak { Scaling::weak(&spec) } else { Scaling::strong(&spec) };
    let report = scaling.threads(args.threads.iter().copied()).repeats(args.repeats).run()?;
    if args.json {
        say!("{}", serde_json::to_string(&report).map_err(|e| Error::Usage(e.to_string()))?);
    } else {
        say!("{report}");
    }
    let points: Vec<plot::ScalingPoint> = report
        .points
        .iter()
        .map(|p| plot::ScalingPoint {
            threads: p.threads,
            seconds: p.sim_s,
            phases: p.phases_s.iter().map(|(name, s)| (name.clone(), *s)).collect(),
        })
        .collect();
    let title = if report.weak { "Weak scaling" } else { "Strong scaling" };
    let picture = plot::Scaling { title: title.into(), ..plot::Scaling::new(&points) }.picture()?;
    if let Some(out) = &args.out {
        for file in picture.save(out, "scaling")? {
            if !args.json {
                say!("picture {}", file.display());
            }
        }
    }
    let mut measured = Measurements::now(Kind::Scaling, crate::compute::Isa::detect().to_string());
    let network = args.source.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    for point in &report.points {
        let threads = if point.threads == 1 { "thread" } else { "threads" };
        let weak = if report.weak { ", weak" } else { "" };
        let item = Item::new(format!("{network}, {} {threads}{weak}", point.threads), point.sim_all_s.clone())
            .with("neurons", point.neurons)
            .with("synapses", point.synapses)
            .with("spike_digest", point.spike_digest.clone());
        measured.items.push(item);
    }
    let code = reporting.end(&measured, &[("scaling", picture)], args.json, false)?;
    if report.spikes_agree() {
        Ok(code)
    } else {
        eprintln!("error: the spikes of the runs differ");
        Ok(FAILED)
    }
}
