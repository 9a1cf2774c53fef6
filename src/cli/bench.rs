//! `tessera bench`: measurements.

use super::{DONE, FAILED, Source, run, say};
use crate::error::{Error, Result};
use crate::op_bench::{OpBench, Peer};
use crate::plot;
use crate::scaling::{CostModel, Scaling};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Bench {
    /// Run a network on different numbers of threads and compare.
    Scaling(ScalingArgs),
    /// Time the operations of the dense layer, beside PyTorch if it is there.
    Ops(OpsArgs),
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
    /// Print the measurements as one JSON object.
    #[arg(long)]
    json: bool,
}

fn ops(args: &OpsArgs) -> Result<u8> {
    let peer = args.python.clone().map(|python| Peer { python, best: !args.stock });
    let bench = OpBench { groups: args.only.clone(), threads: args.threads.clone(), rounds: args.rounds, peer };
    let report = bench.run(|what| eprintln!("{what}"))?;
    if args.json {
        say!("{}", serde_json::to_string(&report).map_err(|e| Error::Usage(e.to_string()))?);
    } else {
        say!("{report}");
    }
    Ok(DONE)
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
    /// Draw a picture of the measurements into this folder.
    #[arg(long, short = 'o')]
    out: Option<PathBuf>,
}

pub(super) fn bench(what: &Bench) -> Result<u8> {
    match what {
        Bench::Scaling(args) => scaling(args),
        Bench::Ops(args) => ops(args),
    }
}

fn scaling(args: &ScalingArgs) -> Result<u8> {
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
    if let Some(out) = &args.out {
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
        for file in
            (plot::Scaling { title: title.into(), ..plot::Scaling::new(&points) }).picture()?.save(out, "scaling")?
        {
            if !args.json {
                say!("picture {}", file.display());
            }
        }
    }
    if report.spikes_agree() {
        Ok(DONE)
    } else {
        eprintln!("error: the spikes of the runs differ");
        Ok(FAILED)
    }
}
