//! `run` and `conditions`.

use super::super::quantity;
use super::super::run::{RunOptions, off_grid};
use crate::compute::Isa;
use crate::engine::{CutOptions, Precision};
use crate::interop::sonata::{Config, Findings, Item};
use crate::synapse::WeightBits;

/// Precision where nothing else is asked for: NEST computes in double precision, and a published network is compared with
/// what NEST made of it.
const PRECISION: Precision = Precision::F64;

/// Bits of weights where nothing else is asked for: 16 bits keep some weights to 0.4 % only.
const WEIGHT_BITS: WeightBits = WeightBits::W32;

/// Keys that are read.
const KEYS: [&str; 10] =
    ["tstart", "tstop", "duration", "dt", "random_seed", "seed", "threads", "precision", "isa", "weight_bits"];
/// Keys of other programs that change no spike here.
const NO_EFFECT: [&str; 24] = [
    "nsteps_block",
    "block_run",
    "block_size",
    "print_time",
    "spike_threshold",
    "dL",
    "n_thread",
    "n_threads",
    "n_runs",
    "overwrite_output_dir",
    "precise_times",
    "allow_offgrid_spikes",
    "calc_ecp",
    "save_cell_vars",
    "calc_ecp_after",
    "spike_location",
    "integration_method",
    "stimulus_seed",
    "ionchannel_seed",
    "minis_seed",
    "synapse_seed",
    "electrodes_file",
    "forward_skip",
    "nsteps",
];

/// Reads how the network is simulated. `overrides` decide between `tstop` and `duration` where both are there.
pub(super) fn read(config: &Config, overrides: &[String], findings: &mut Findings) -> Option<RunOptions> {
    warn_of_conditions(config, findings);
    let Some(run) = config.section("run") else {
        findings.fault(config.path(), "run", "`run` is missing; it has at least tstop and dt, in ms");
        return None;
    };
    let known: Vec<&str> = KEYS.into_iter().chain(NO_EFFECT).collect();
    run.warn_unknown(findings, &known);
    if let Some(start) = time(&run, "tstart", findings).filter(|start| *start != 0.0) {
        findings.fault(run.file, "run.tstart", format!("{start} ms is not supported; runs begin at 0"));
    }
    if let Some(runs) = run.get("n_runs").filter(|runs| runs.value.as_f64() != Some(1.0)) {
        runs.fault(findings, "several runs one after the other are not supported; only 1 is");
    }
    let set = |key: &str| overrides.iter().any(|text| text.split('=').next().is_some_and(|name| name.trim() == key));
    let key = match (run.get("duration").is_some(), run.get("tstop").is_some()) {
        (true, true) if set("run.tstop") && !set("run.duration") => "tstop",
        (true, _) => "duration",
        _ => "tstop",
    };
    let duration = required(&run, key, "the time the run ends, ms", findings);
    let dt = required(&run, "dt", "the time step, ms", findings);
    if let Some(duration) = duration.filter(|duration| *duration < 0.0) {
        findings.fault(
            run.file,
            &format!("run.{key}"),
            format!("{duration} ms is out of range; allowed is 0 ms or above"),
        );
        return None;
    }
    if let Some(dt) = dt.filter(|dt| *dt <= 0.0) {
        findings.fault(run.file, "run.dt", format!("{dt} ms is out of range; allowed is above 0 ms"));
        return None;
    }
    let seed = ["random_seed", "seed"].into_iter().find_map(|name| run.get(name));
    let seed = match seed {
        Some(item) => match item.value.as_u64() {
            Some(seed) => seed,
            None => {
                item.wrong(findings, "a whole number from 0 on");
                return None;
            }
        },
        None => 1,
    };
    let threads = match run.get("threads") {
        Some(item) => match item.value.as_u64() {
            Some(threads) if (1..=4096).contains(&threads) => Some(threads as usize),
            _ => {
                item.wrong(findings, "a whole number, 1 to 4096,");
                return None;
            }
        },
        None => None,
    };
    let precision = choice(&run, "precision", &["f32", "f64"], findings);
    let bits = choice(&run, "weight_bits", &["auto", "16", "32"], findings);
    let isa = run.get("isa").and_then(|item| {
        let name = item.text(findings)?;
        if let Err(error) = Isa::parse(name) {
            item.fault(findings, error.to_string());
        }
        Some(name.to_owned())
    });
    let (duration_ms, dt_ms) = (duration?, dt?);
    if duration_ms / dt_ms > 1e15 {
        findings.fault(
            run.file,
            &format!("run.{key}"),
            format!("{duration_ms} ms is too long for a time step of {dt_ms} ms"),
        );
        return None;
    }
    if let Some(rounded) = off_grid(duration_ms, dt_ms) {
        let message = format!("{duration_ms} ms is not a multiple of dt = {dt_ms} ms; the run ends at {rounded} ms");
        findings.warn(run.file, &format!("run.{key}"), message);
    }
    let precision = match precision.as_deref() {
        Some("f32") => Precision::F32,
        Some("f64") => Precision::F64,
        _ => PRECISION,
    };
    let weight_bits = match bits.as_deref() {
        Some("16") => WeightBits::W16,
        Some("auto") => WeightBits::Auto,
        _ => WEIGHT_BITS,
    };
    let cut = CutOptions::default();
    Some(RunOptions { duration_ms, dt_ms, seed, threads, precision, isa, weight_bits, cut })
}

fn warn_of_conditions(config: &Config, findings: &mut Findings) {
    let Some(conditions) = config.section("conditions") else { return };
    for (name, item) in conditions.entries(findings) {
        let message = match name {
            "v_init" => {
                "it has no effect on point neurons, as in BMTK with NEST: they start at V_m of their parameters, or NEST's default"
            }
            "celsius" => "it has no effect: no supported model depends on temperature",
            _ => "it has no effect on point neurons",
        };
        item.warn(findings, message);
    }
}

fn required(run: &Item<'_>, key: &str, what: &str, findings: &mut Findings) -> Option<f64> {
    if run.get(key).is_none() {
        run.missing(findings, key, what);
    }
    time(run, key, findings)
}

/// A time in ms: a number, or a text with a unit.
pub(super) fn time(parent: &Item<'_>, key: &str, findings: &mut Findings) -> Option<f64> {
    let item = parent.get(key)?;
    let Some(text) = item.value.as_str() else { return item.number(findings) };
    match quantity::parse_text(text, "ms") {
        Ok(time) if time.is_finite() => Some(time),
        Ok(time) => {
            item.fault(findings, format!("{time} ms is not a finite time"));
            None
        }
        Err(message) => {
            item.fault(findings, message);
            None
        }
    }
}

fn choice(run: &Item<'_>, key: &str, allowed: &[&str], findings: &mut Findings) -> Option<String> {
    let item = run.get(key)?;
    let text = item.value.as_str().map_or_else(|| item.value.to_string(), str::to_owned);
    if allowed.contains(&text.as_str()) {
        return Some(text);
    }
    item.fault(findings, format!("`{}` is not allowed; allowed are {}", item.shown(), allowed.join(", ")));
    None
}
