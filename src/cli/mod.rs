//! The command line: argument parsing and one file for each verb. No simulation logic.

mod bench;
mod bench_report;
mod build;
mod check;
mod convert;
mod convert_network;
mod info;
mod interrupt;
mod model;
mod partitions;
mod plot;
mod profile;
mod progress;
mod resume;
mod run;
mod simulate;

use crate::config::RunSpec;
use crate::error::Error;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code of a run that did what it was asked to.
const DONE: u8 = 0;
/// Exit code of a run that failed.
const FAILED: u8 = 1;
/// Exit code for a description or an argument that is wrong.
const INVALID: u8 = 2;
/// Exit code of a run that was interrupted (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// Prints a line on the standard output. When the reader has gone (`tessera schema | head`), the process ends quietly.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if let Err(error) = writeln!(std::io::stdout(), $($text)*) {
            let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
            std::process::exit(i32::from(if gone { $crate::cli::DONE } else { $crate::cli::FAILED }));
        }
    }};
}
use say;

#[derive(Parser)]
#[command(name = "tessera", version, about = "Runs spiking networks described in one file.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a network and write its results.
    Run(run::RunArgs),
    /// Construct a network and write it to a model file, from which it runs without construction.
    Build(build::BuildArgs),
    /// Go on with a run that was killed or interrupted, from its newest checkpoint.
    Resume(resume::ResumeArgs),
    /// Check a configuration without running it; estimate size, memory and time.
    Check(check::CheckArgs),
    /// Print the JSON Schema of configuration files, for editors.
    Schema,
    /// Show what a configuration describes or what a results folder holds.
    Info(info::InfoArgs),
    /// Draw the results in a folder.
    Plot(plot::PlotArgs),
    /// Measure: networks of the program where nothing else is said. Reports go to a folder each, and can be compared.
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        what: Option<bench::Bench>,
        #[command(flatten)]
        run: bench::RunsArgs,
    },
    /// Write the same content in another format: spikes, or a network (configuration, model file, SONATA folder, list of
    /// synapses).
    Convert(convert::ConvertArgs),
    /// Make result files readable that a killed run or a full disk left unfinished.
    Repair {
        /// A file, or a results folder.
        path: PathBuf,
    },
}

/// Where the description comes from.
#[derive(Args)]
struct Source {
    /// Configuration file (TOML, or SONATA JSON), or a model file.
    file: PathBuf,
    /// Override a key, for example --set run.duration="2 s"; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Parses the arguments, does what they ask, and returns the exit code of the process.
pub fn main() -> ExitCode {
    interrupt::see_file_size_limit();
    let outcome = match Cli::parse().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Build(args) => build::build(&args),
        Verb::Resume(args) => resume::resume(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Schema => check::schema(),
        Verb::Info(args) => info::info(&args),
        Verb::Plot(args) => plot::plot(&args),
        Verb::Bench { what, run } => bench::bench(what.as_ref(), &run),
        Verb::Convert(args) => convert::convert(&args),
        Verb::Repair { path } => info::repair(&path),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report(&error);
            ExitCode::from(code_of(&error))
        }
    }
}

/// Prints an error for people. A standard error stream that cannot be written (it may be on the full disk that the error
/// tells of) must not end the process before it has done what is left to do.
fn report(error: &Error) {
    use std::io::Write as _;
    let mut stream = std::io::stderr();
    let _ = match error {
        Error::Invalid(faults) => {
            let lines: String = faults.iter().map(|fault| format!("error: {fault}\n")).collect();
            let sum =
                if faults.len() > 1 { format!("{} faults; nothing was run.\n", faults.len()) } else { String::new() };
            write!(stream, "{lines}{sum}")
        }
        other => writeln!(stream, "error: {other}"),
    };
}

/// A number of threads from the command line.
fn positive_threads(threads: usize) -> crate::error::Result<usize> {
    match threads {
        1..=1024 => Ok(threads),
        _ => Err(Error::Usage(format!("--threads {threads} is out of range; allowed are 1 to 1024"))),
    }
}

/// Lays the choices of where to run over those of a configuration.
fn place(spec: &mut RunSpec, threads: Option<usize>, isa: Option<&str>) -> crate::error::Result<()> {
    if let Some(threads) = threads {
        spec.run.threads = Some(positive_threads(threads)?);
    }
    if let Some(isa) = isa {
        crate::compute::Isa::parse(isa)?;
        spec.run.isa = Some(isa.to_owned());
    }
    if let (Some(path), Some(threads)) = (&spec.model, spec.run.threads) {
        let shards = crate::storage::MappedModel::open(path)?.shards();
        if threads > shards {
            eprintln!(
                "warning: {} is laid out for {shards} threads; for {threads} its synapses are copied into memory first",
                path.display()
            );
        }
    }
    Ok(())
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::Invalid(_) | Error::Usage(_) | Error::Unavailable(_) => INVALID,
        _ => FAILED,
    }
}
