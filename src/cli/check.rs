//! `tessera check` and `tessera schema`.

use super::{DONE, INVALID, Source, say};
use crate::config::{self, Estimate, RunSpec};
use crate::error::{Error, Result};
use clap::Args;

#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    source: Source,
    /// Print what was found as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn check(args: &CheckArgs) -> Result<u8> {
    let check = RunSpec::check(&args.source.file, &args.source.set);
    let texts = |faults: &[crate::error::Fault]| -> Vec<String> { faults.iter().map(ToString::to_string).collect() };
    let memory = check.estimate.as_ref().map(Estimate::fits);
    if args.json {
        let estimate = check.estimate.as_ref().map(|e| {
            serde_json::json!({
                "neurons": e.neurons, "synapses": e.synapses, "memory_bytes": e.memory_bytes,
                "synapse_bytes": e.synapse_bytes, "seconds": e.seconds,
            })
        });
        let found = serde_json::json!({
            "faults": texts(&check.faults), "warnings": texts(&check.warnings), "estimate": estimate,
            "fits_in_memory": memory.as_ref().map(std::result::Result::is_ok),
        });
        say!("{found}");
    } else {
        for fault in &check.faults {
            eprintln!("error: {fault}");
        }
        for warning in &check.warnings {
            eprintln!("warning: {warning}");
        }
        match &check.estimate {
            Some(estimate) => print_estimate(estimate),
            None => eprintln!("{} faults in {}", check.faults.len(), args.source.file.display()),
        }
    }
    if !check.faults.is_empty() {
        return Ok(INVALID);
    }
    match memory {
        Some(Err(error)) => Err(error),
        _ => Ok(DONE),
    }
}

/// What a run will need, for people.
pub(super) fn print_estimate(estimate: &Estimate) {
    say!("neurons    {}", estimate.neurons);
    say!("synapses   about {:.0}", estimate.synapses);
    say!(
        "memory     about {:.2} GB ({:.2} GB of it synapses)",
        estimate.memory_bytes as f64 * 1e-9,
        estimate.synapse_bytes as f64 * 1e-9
    );
    say!("time       about {:.1} s at a mean rate of 5 Hz", estimate.seconds);
}

pub(super) fn schema() -> Result<u8> {
    let text = serde_json::to_string_pretty(&config::schema()).map_err(|e| Error::Usage(e.to_string()))?;
    say!("{text}");
    Ok(DONE)
}
