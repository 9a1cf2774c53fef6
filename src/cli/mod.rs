//! The command line: argument parsing and one file for each verb. No simulation logic.

mod bench;
mod check;
mod convert_network;
mod info;
mod interrupt;
mod plot;
mod progress;
mod run;

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
    /// Check a configuration without running it; estimate size, memory and time.
    Check(check::CheckArgs),
    /// Print the JSON Schema of configuration files, for editors.
    Schema,
    /// Show what a configuration describes or what a results folder holds.
    Info(info::InfoArgs),
    /// Draw the results in a folder.
    Plot(plot::PlotArgs),
    /// Measure.
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// Convert a network from one form to another: configuration, model file, SONATA folder, list of synapses.
    Convert {
        /// What to read.
        from: PathBuf,
        /// What to write: FILE.h5 (a model file), FILE.csv or FILE.npy (a list of synapses), or a folder (SONATA).
        to: PathBuf,
        /// Replace what an earlier conversion wrote there.
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        options: convert_network::NetworkOptions,
    },
    /// Make spike and state files readable that a killed run left behind.
    Repair {
        /// A file, or a results folder.
        path: PathBuf,
    },
}

/// Where the description comes from.
#[derive(Args)]
struct Source {
    /// Configuration file (TOML, or SONATA JSON).
    file: PathBuf,
    /// Override a key, for example --set run.duration="2 s"; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Parses the arguments, does what they ask, and returns the exit code of the process.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Schema => check::schema(),
        Verb::Info(args) => info::info(&args),
        Verb::Plot(args) => plot::plot(&args),
        Verb::Bench { what } => bench::bench(&what),
        Verb::Convert { from, to, overwrite, options } => convert_network::convert(&from, &to, &options, overwrite),
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

/// Prints an error for people.
fn report(error: &Error) {
    match error {
        Error::Invalid(faults) => {
            for fault in faults {
                eprintln!("error: {fault}");
            }
            if faults.len() > 1 {
                eprintln!("{} faults; nothing was run.", faults.len());
            }
        }
        other => eprintln!("error: {other}"),
    }
}

/// A number of threads from the command line.
fn positive_threads(threads: usize) -> crate::error::Result<usize> {
    match threads {
        1..=1024 => Ok(threads),
        _ => Err(Error::Usage(format!("--threads {threads} is out of range; allowed are 1 to 1024"))),
    }
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::Invalid(_) | Error::Usage(_) | Error::Unavailable(_) => INVALID,
        _ => FAILED,
    }
}
