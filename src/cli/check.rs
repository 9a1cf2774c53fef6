//! `tessera check` and `tessera schema`.

use super::{DONE, INVALID, Source, say};
use crate::config::{self, CheckpointSpec, Estimate, RunSpec};
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
    let plan = check.spec.as_ref().and_then(|spec| spec.checkpoint.as_ref());
    if args.json {
        let estimate = check.estimate.as_ref().map(|e| {
            serde_json::json!({
                "neurons": e.neurons, "synapses": e.synapses, "memory_bytes": e.memory_bytes,
                "synapse_bytes": e.synapse_bytes, "procedural_synapses": e.procedural, "seconds": e.seconds,
                "parts": e.parts.parts.iter().map(|p| (p.part.clone(), p.bytes.into())).collect::<serde_json::Map<_, _>>(),
            })
        });
        let found = serde_json::json!({
            "faults": texts(&check.faults), "warnings": texts(&check.warnings), "estimate": estimate,
            "fits_in_memory": memory.as_ref().map(std::result::Result::is_ok),
            "checkpoints": plan.map(|plan| serde_json::json!({
                "every_steps": plan.every, "every_wall_s": plan.every_wall.map(|wall| wall.as_secs_f64()),
                "keep": plan.keep, "on_signal": plan.on_signal,
            })),
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
            Some(estimate) => {
                print_estimate(estimate);
                say!("saved      {}", plan_of(plan));
            }
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

/// When checkpoints are written, for people.
fn plan_of(plan: Option<&CheckpointSpec>) -> String {
    let Some(plan) = plan else { return "no checkpoints; a table [checkpoint] asks for some".to_owned() };
    let mut times = Vec::new();
    if let Some(every) = plan.every {
        times.push(format!("every {every} steps"));
    }
    if let Some(wall) = plan.every_wall {
        times.push(format!("every {} s of wall-clock time", wall.as_secs_f64()));
    }
    if plan.on_signal {
        times.push("on signals".to_owned());
    }
    format!("a checkpoint {}; the newest {} are kept", times.join(", "), plan.keep)
}

/// What a run will need, for people.
pub(super) fn print_estimate(estimate: &Estimate) {
    say!("neurons    {}", estimate.neurons);
    say!("synapses   about {:.0}", estimate.synapses);
    if estimate.procedural > 0.0 {
        say!("procedural about {:.0} of them, drawn again at every spike and not kept", estimate.procedural);
    }
    say!(
        "memory     about {:.2} GB ({:.2} GB of it synapses)",
        estimate.memory_bytes as f64 * 1e-9,
        estimate.synapse_bytes as f64 * 1e-9
    );
    for part in estimate.parts.parts.iter().filter(|part| part.bytes >= estimate.memory_bytes / 1000) {
        say!("           {:<18} {:>10.2} MB", part.part, part.bytes as f64 * 1e-6);
    }
    say!("time       about {:.1} s at a mean rate of 5 Hz", estimate.seconds);
}

pub(super) fn schema() -> Result<u8> {
    let text = serde_json::to_string_pretty(&config::schema()).map_err(|e| Error::Usage(e.to_string()))?;
    say!("{text}");
    Ok(DONE)
}
